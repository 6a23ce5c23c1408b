//! Results, on standard output.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Prints a result. Who pipes it into `head` has seen enough, so a reader that has left is no failure.
pub(super) fn print(result: impl Display) -> ExitCode {
    let mut out = io::stdout().lock();
    match write!(out, "{result}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            // Standard error may be gone as well; the exit status still says it.
            let _ = writeln!(io::stderr(), "the result cannot be written: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
