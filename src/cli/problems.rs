//! Mistakes in configuration or credentials, told to whoever started the program.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::problem::Problem;

use super::arguments::Format;

/// Exit status for invalid configuration (`EX_CONFIG` of sysexits.h).
pub const INVALID_CONFIGURATION: u8 = 78;

/// Prints every problem to standard error and answers the exit status.
pub fn report(problems: &[Problem], format: Format) -> ExitCode {
    // Nobody is left to be told when standard error is closed; the exit status still says it.
    let _ = write(&mut io::stderr().lock(), problems, format);
    ExitCode::from(INVALID_CONFIGURATION)
}

fn write(out: &mut impl Write, problems: &[Problem], format: Format) -> io::Result<()> {
    if format == Format::Json {
        serde_json::to_writer(&mut *out, &serde_json::json!({ "problems": problems }))?;
        return writeln!(out);
    }
    let noun = if problems.len() == 1 { "mistake" } else { "mistakes" };
    writeln!(out, "invalid configuration, {} {noun}:", problems.len())?;
    for problem in problems {
        writeln!(out, "  {problem}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_listed_for_people_and_for_programs() {
        let problems = [Problem::new("workers", "proxy.toml:3:1", "expected a number, 0 or more", "")];
        let written = |format| {
            let mut out = Vec::new();
            write(&mut out, &problems, format).expect("written");
            String::from_utf8(out).expect("text")
        };
        assert_eq!(
            written(Format::Text),
            "invalid configuration, 1 mistake:\n  workers (proxy.toml:3:1): expected a number, 0 or more\n"
        );
        let json: serde_json::Value = serde_json::from_str(&written(Format::Json)).expect("JSON");
        assert_eq!(json["problems"][0]["key"], "workers");
    }
}
