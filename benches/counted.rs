//! Counts instructions under callgrind, so that a figure is the same whatever else the machine does.
//!
//! A bench program runs a case so many times when it is started with `--count CASE TIMES`. Started without, as `cargo
//! bench` does, it starts itself under callgrind, twice for each case; the difference of the two counts is what the
//! additional rounds cost, without what starting cost.

use std::process::{Command, ExitCode};

/// One thing that is counted.
pub(crate) struct Case {
    /// Its name in one word.
    pub(crate) name: &'static str,
    /// How often it runs in the shorter of both runs; in the longer one twice as often.
    pub(crate) times: u64,
    /// So many instructions may one round take.
    pub(crate) limit: u64,
    /// Runs it so many times.
    pub(crate) run: fn(u64),
    /// Runs the same without what is to be counted; its count is taken off.
    pub(crate) base: Option<fn(u64)>,
}

/// Counts, or is counted. A part of a case's name as the first argument chooses cases.
pub(crate) fn main(cases: &[Case]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let parts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [flag @ ("--count" | "--count-base"), name, times] = parts.as_slice() {
        let case = cases.iter().find(|case| case.name == *name).expect("the name of a case");
        let run = if *flag == "--count" { Some(case.run) } else { case.base };
        run.expect("a case with a base")(times.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    let chosen = cases.iter().filter(|case| arguments.first().is_none_or(|part| case.name.contains(part)));
    println!("{:<16} {:>12} {:>12}", "instructions", "per round", "limit");
    let mut kept = true;
    for case in chosen {
        let per_round = match measured(case) {
            Ok(per_round) => per_round,
            Err(problem) => {
                eprintln!("{problem}");
                return ExitCode::FAILURE;
            }
        };
        let verdict = match per_round {
            above if above > case.limit => "TOO MANY: make it cheaper, or raise the limit and say why",
            below if below < case.limit / 4 * 3 => "far below: lower the limit, so that it stays so",
            _ => "",
        };
        kept &= per_round <= case.limit;
        println!("{:<16} {per_round:>12} {:>12} {verdict}", case.name, case.limit);
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measured(case: &Case) -> Result<u64, String> {
    let more = |flag| {
        let (few, many) = (count(flag, case.name, case.times)?, count(flag, case.name, 2 * case.times)?);
        Ok::<u64, String>(many.saturating_sub(few) / case.times)
    };
    let base = case.base.map_or(Ok(0), |_| more("--count-base"))?;
    Ok(more("--count")?.saturating_sub(base))
}

/// The instructions of all threads of a process that runs the case so many times.
fn count(flag: &str, name: &str, times: u64) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([flag, name, &times.to_string()])
        .output()
        .map_err(|error| format!("valgrind could not be started; install the package `valgrind`: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("`{name}` failed under valgrind:\n{told}"));
    }
    let collected = told.lines().find_map(|line| line.split_once("Collected : "));
    let total = collected.and_then(|(_, total)| total.trim().parse().ok());
    total.ok_or_else(|| format!("callgrind did not say how many instructions it collected:\n{told}"))
}
