//! A measurement as a person reads it on a terminal.

use std::fmt::Write as _;

use super::result::{Difference, Figures, Generator, Measurement, Series, Setup};
use super::statistics::Interval;
use super::work::{Load, Protocol};

/// From here on what others do on the machine is worth a word.
const FOREIGN: f64 = 0.1;

/// The whole measurement.
pub fn table(measurement: &Measurement) -> String {
    let mut text = String::new();
    let _ = setup(&mut text, &measurement.setup, measurement.generator.as_ref());
    for series in &measurement.series {
        let _ = one(&mut text, series);
    }
    let _ = costs(&mut text, measurement);
    let _ = notes(&mut text, measurement);
    for finding in &measurement.findings {
        let mark = match finding.holds {
            Some(true) => "holds ",
            Some(false) => "BROKEN",
            None => "      ",
        };
        let _ = writeln!(text, "  {mark}  {}", finding.what);
    }
    text
}

fn setup(text: &mut String, setup: &Setup, generator: Option<&Generator>) -> std::fmt::Result {
    writeln!(text, "camunda-auth-proxy {}   {}   {:.0} s", setup.version, setup.at, setup.seconds)?;
    writeln!(text, "{}, {}, {} CPUs", setup.processor, setup.kernel, setup.cpus)?;
    writeln!(text, "what is measured runs on {}, load and upstream on {}", setup.measured_on, setup.load_on)?;
    if let Some(generator) = generator {
        writeln!(
            text,
            "the generator alone: {} REST requests or {} gRPC calls per CPU second, late by {} (p99 {})",
            thousands(generator.rest),
            thousands(generator.grpc),
            micros(generator.late_p50),
            micros(generator.late_p99),
        )?;
    }
    if setup.debug_build {
        writeln!(text, "a build without optimisation: its figures say nothing")?;
    }
    Ok(())
}

/// What a series is, in words.
pub(super) fn title(series: &Series) -> String {
    let work = &series.work;
    let (what, streams) = match work.protocol {
        Protocol::Rest => ("REST", String::new()),
        Protocol::Grpc => ("gRPC unary", format!(" of {} streams", work.streams)),
        Protocol::GrpcStream => ("gRPC job stream", format!(" of {} streams", work.streams)),
    };
    let body = if work.body > 0 { format!(", bodies of {} bytes", work.body) } else { String::new() };
    let load = match series.load {
        Load::Rate(rate) => format!("{} a second", thousands(rate)),
        Load::Saturate => "as many as go through".to_owned(),
    };
    format!("{what}, {load}, {} connections{streams}{body}", work.connections)
}

fn one(text: &mut String, series: &Series) -> std::fmt::Result {
    let rounds = if series.rounds == 1 { String::new() } else { format!("{} rounds of ", series.rounds) };
    writeln!(text, "\n{}; {rounds}{:.1} s", title(series), series.seconds)?;
    let width = series.targets.iter().map(|target| target.name.chars().count()).max().unwrap_or(0).max(6);
    writeln!(
        text,
        "  {:width$} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10} {:>9} {:>8} {:>7}",
        "", "p50", "p90", "p99", "p99.9", "max", "answers/s", "CPU each", "memory", "failed",
    )?;
    for target in &series.targets {
        line(text, target, width)?;
    }
    Ok(())
}

fn line(text: &mut String, target: &Figures, width: usize) -> std::fmt::Result {
    let quantiles = target.quantiles;
    let cpu = target.cpu_per_request.map_or("–".to_owned(), |cpu| micros(cpu.estimate));
    let memory = target.memory.map_or("–".to_owned(), |bytes| format!("{:.0} MB", bytes as f64 / 1e6));
    let failed: u64 = target.errors.values().sum();
    write!(text, "  {:width$}", target.name)?;
    for value in quantiles.all().into_iter().chain([quantiles.max]) {
        write!(text, " {:>9}", micros(value))?;
    }
    writeln!(text, " {:>10} {cpu:>9} {memory:>8} {failed:>7}", thousands(target.rate))?;
    for (word, count) in &target.errors {
        writeln!(text, "  {:width$}   {count} × {word}", "")?;
    }
    if let Some(bottleneck) = &target.bottleneck {
        writeln!(text, "  {:width$}   held back by {bottleneck}", "")?;
    }
    Ok(())
}

/// What matters most, last: it stands where the eye is when the run is over.
fn costs(text: &mut String, measurement: &Measurement) -> std::fmt::Result {
    let open = |series: &&Series| matches!(series.load, Load::Rate(_)) && !series.differences.is_empty();
    let series: Vec<&Series> = measurement.series.iter().filter(open).collect();
    if series.is_empty() {
        return Ok(());
    }
    let base =
        series.first().and_then(|series| series.targets.first()).map_or("", |target| target.name.as_str());
    writeln!(
        text,
        "\nWhat the token costs you: latency added to {base}'s, with bounds that hold it with 95 %"
    )?;
    writeln!(
        text,
        "  {:32} {:>17} {:>17} {:>17} {:>17} {:>9} {:>13}",
        "", "p50", "p90", "p99", "p99.9", "CPU each", "per CPU second",
    )?;
    for series in &series {
        for difference in &series.differences {
            cost(text, series, difference)?;
        }
    }
    writeln!(
        text,
        "  In brackets: cannot be told from zero. “again” is {base} a second time: the machine's noise."
    )
}

fn cost(text: &mut String, series: &Series, difference: &Difference) -> std::fmt::Result {
    let Load::Rate(rate) = series.load else { return Ok(()) };
    let what = format!("{} {}/s {}", series.work.protocol, thousands(rate), difference.target);
    write!(text, "  {what:32}")?;
    for added in &difference.added {
        write!(text, " {:>17}", signed(added))?;
    }
    let cpu = series
        .targets
        .iter()
        .find(|target| target.name == difference.target)
        .and_then(|target| target.cpu_per_request);
    match cpu {
        Some(cpu) if cpu.estimate > 0.0 => {
            writeln!(text, " {:>9} {:>13}", micros(cpu.estimate), thousands(1e6 / cpu.estimate))
        }
        _ => writeln!(text),
    }
}

fn notes(text: &mut String, measurement: &Measurement) -> std::fmt::Result {
    if let Some(count) = measurement.token_requests {
        let series: u64 =
            measurement.series.iter().flat_map(|series| &series.targets).map(|target| target.ok).sum();
        writeln!(text, "\nToken requests: {count}, for {} requests.", thousands(series as f64))?;
    }
    let foreign = measurement.series.iter().map(|series| series.foreign).fold(0.0, f64::max);
    if foreign > FOREIGN {
        writeln!(
            text,
            "Others took up to {:.0} % of this machine meanwhile: read the differences, not the figures.",
            foreign * 100.0
        )?;
    }
    Ok(())
}

/// A difference with its bounds.
pub(super) fn signed(added: &Interval) -> String {
    let (estimate, half) = (added.estimate, added.half());
    let largest = estimate.abs().max(half);
    let (divisor, unit, digits) = match largest {
        ..1e3 => (1.0, "µs", 0),
        ..1e4 => (1e3, "ms", 2),
        ..1e6 => (1e3, "ms", 1),
        _ => (1e6, "s", 2),
    };
    let text = format!("{:+.digits$} ± {:.digits$} {unit}", estimate / divisor, half / divisor);
    if added.differs() { text } else { format!("({text})") }
}

/// Microseconds in the unit that suits them.
pub(super) fn micros(value: f64) -> String {
    match value {
        ..99.5 => format!("{value:.1} µs"),
        ..999.5 => format!("{value:.0} µs"),
        ..9_995.0 => format!("{:.2} ms", value / 1e3),
        ..999_500.0 => format!("{:.1} ms", value / 1e3),
        _ => format!("{:.2} s", value / 1e6),
    }
}

/// A whole number in groups of three digits.
pub(super) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 && digit.is_ascii_digit() && !text.ends_with('-') {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_the_unit_that_suits_them() {
        let texts = [12.34, 123.4, 1234.0, 12_340.0, 1_234_000.0].map(micros);
        assert_eq!(texts, ["12.3 µs", "123 µs", "1.23 ms", "12.3 ms", "1.23 s"]);
        assert_eq!([1.0, 999.0, 1234.0, 1_234_567.0].map(thousands), ["1", "999", "1 234", "1 234 567"]);
    }

    #[test]
    fn what_cannot_be_told_from_zero_stands_in_brackets() {
        let text = |estimate: f64, half: f64| {
            signed(&Interval { estimate, low: estimate - half, high: estimate + half })
        };
        assert_eq!(text(145.2, 12.0), "+145 ± 12 µs");
        assert_eq!(text(-3.0, 40.0), "(-3 ± 40 µs)");
        assert_eq!(text(1500.0, 200.0), "+1.50 ± 0.20 ms");
    }
}
