//! Two measurements against each other, for a change that must not make anything slower.
//!
//! A machine has faster and slower days. So what is compared is not microseconds but how much slower than the first target
//! of its own run each target was, and CPU time in units of what the generator spent on a request meanwhile.

use std::fmt;

use super::result::{Difference, Figures, Measurement, Series};
use super::statistics::Interval;
use super::table::{micros, signed, title};
use super::work::Load;

/// A change smaller than this part is none, whatever its bounds say.
const NOTHING: f64 = 0.05;

/// Requests that may fail more, as a part of all.
const FAILURES: f64 = 0.001;

const WORDS: [&str; 4] = ["p50", "p90", "p99", "p99.9"];

/// What has changed from one measurement to another.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    groups: Vec<(String, Vec<Line>)>,
    /// What makes the two hard to compare.
    warnings: Vec<String>,
}

#[derive(Clone, Debug)]
struct Line {
    what: String,
    before: String,
    after: String,
    /// In units of the first target of each run.
    change: Option<Interval>,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Worse,
    Better,
    Same,
}

impl Comparison {
    /// What has changed from `before` to `after`.
    pub fn of(before: &Measurement, after: &Measurement) -> Comparison {
        let mut comparison = Comparison { warnings: warnings(before, after), ..Comparison::default() };
        for new in &after.series {
            let same = |old: &&Series| old.work == new.work && same_load(old.load, new.load);
            let Some(old) = before.series.iter().find(same) else { continue };
            for target in new.targets.iter().filter(|target| !new.is_noise(&target.name)) {
                let lines = lines(old, new, &target.name);
                if !lines.is_empty() {
                    comparison.groups.push((format!("{}: {}", title(new), target.name), lines));
                }
            }
        }
        if comparison.groups.is_empty() {
            comparison.warnings.push("the two have nothing in common that could be compared".to_owned());
        }
        comparison
    }

    /// Whether anything has become worse beyond the noise.
    pub fn has_regressed(&self) -> bool {
        self.groups.iter().flat_map(|(_, lines)| lines).any(|line| line.verdict == Verdict::Worse)
    }

    /// Whether there was anything to compare.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

/// A closed loop is the same whatever it reached; a rate is another load.
fn same_load(a: Load, b: Load) -> bool {
    match (a, b) {
        (Load::Rate(a), Load::Rate(b)) => (a / b - 1.0).abs() < 0.01,
        (a, b) => a == b,
    }
}

fn warnings(before: &Measurement, after: &Measurement) -> Vec<String> {
    let (a, b) = (&before.setup, &after.setup);
    let differ = [
        ("processors", a.processor != b.processor),
        ("kernels", a.kernel != b.kernel),
        ("numbers of CPUs", a.cpus != b.cpus || a.measured_on != b.measured_on),
        ("settings", a.settings != b.settings),
        ("builds", a.debug_build != b.debug_build),
    ];
    let differ = differ.iter().filter(|(_, differs)| *differs);
    differ.map(|(what, _)| format!("measured with different {what}")).collect()
}

fn lines(old: &Series, new: &Series, name: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    if let (Some(before), Some(after)) = (old.difference(name), new.difference(name))
        // In a closed loop latency only says how many waited.
        && matches!(new.load, Load::Rate(_))
    {
        lines.extend(latencies(old, new, before, after));
    }
    if let (Some(before), Some(after)) = (old.target(name), new.target(name)) {
        lines.extend(cpu(old, new, before, after));
        lines.extend(failures(before, after));
    }
    lines
}

fn latencies(old: &Series, new: &Series, before: &Difference, after: &Difference) -> Vec<Line> {
    let (old_base, new_base) = (old.base(), new.base());
    let line = |at: usize| {
        let change = after.added[at].over(new_base[at]).minus(&before.added[at].over(old_base[at]));
        let noise = old.noise(at).max(new.noise(at)).max(NOTHING);
        Line {
            what: WORDS[at].to_owned(),
            before: signed(&before.added[at]),
            after: signed(&after.added[at]),
            change: Some(change),
            verdict: judge(&change, noise),
        }
    };
    (0..WORDS.len()).map(line).collect()
}

fn cpu(old: &Series, new: &Series, before: &Figures, after: &Figures) -> Option<Line> {
    let (cpu_before, cpu_after) = (before.cpu_per_request?, after.cpu_per_request?);
    let yardstick = |series: &Series| series.targets.first().map(|first| first.generator_per_request);
    let (was, is) = (cpu_before.over(yardstick(old)?), cpu_after.over(yardstick(new)?));
    let change = is.minus(&was).over(was.estimate);
    Some(Line {
        what: "CPU each".to_owned(),
        before: micros(cpu_before.estimate),
        after: micros(cpu_after.estimate),
        change: Some(change),
        verdict: judge(&change, NOTHING),
    })
}

fn failures(before: &Figures, after: &Figures) -> Option<Line> {
    let part = |figures: &Figures| {
        let failed = figures.errors.values().sum::<u64>() as f64;
        failed / (failed + figures.ok as f64).max(1.0)
    };
    let (was, is) = (part(before), part(after));
    let verdict = match is - was {
        more if more > FAILURES => Verdict::Worse,
        less if less < -FAILURES => Verdict::Better,
        _ => return None,
    };
    let text = |part: f64| format!("{:.2} %", part * 100.0);
    Some(Line { what: "failed".to_owned(), before: text(was), after: text(is), change: None, verdict })
}

fn judge(change: &Interval, noise: f64) -> Verdict {
    match change.estimate {
        more if more > noise && change.low > 0.0 => Verdict::Worse,
        less if less < -noise && change.high < 0.0 => Verdict::Better,
        _ => Verdict::Same,
    }
}

impl Series {
    fn target(&self, name: &str) -> Option<&Figures> {
        self.targets.iter().find(|target| target.name == name)
    }

    fn difference(&self, name: &str) -> Option<&Difference> {
        self.differences.iter().find(|difference| difference.target == name)
    }

    fn is_noise(&self, name: &str) -> bool {
        self.difference(name).is_some_and(|difference| difference.noise)
    }

    /// Latencies of the first target.
    fn base(&self) -> [f64; 4] {
        self.targets.first().map_or([f64::NAN; 4], |first| first.quantiles.all())
    }

    /// By which part of itself the first target differs from itself.
    fn noise(&self, at: usize) -> f64 {
        let noise = self.differences.iter().filter(|difference| difference.noise);
        noise.map(|difference| difference.added[at].estimate.abs() / self.base()[at]).fold(0.0, f64::max)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, lines) in &self.groups {
            writeln!(f, "{name}")?;
            for line in lines {
                let change = match &line.change {
                    Some(change) => {
                        format!("{:+.0} ± {:.0} %", change.estimate * 100.0, change.half() * 100.0)
                    }
                    None => String::new(),
                };
                let verdict = match line.verdict {
                    Verdict::Worse => "WORSE",
                    Verdict::Better => "better",
                    Verdict::Same => "",
                };
                writeln!(
                    f,
                    "  {:10} {:>19} → {:>19} {change:>14}  {verdict}",
                    line.what, line.before, line.after
                )?;
            }
            writeln!(f)?;
        }
        for warning in &self.warnings {
            writeln!(f, "note: {warning}")?;
        }
        let words = match self.has_regressed() {
            true => "Something has become worse beyond the noise.",
            false if self.is_empty() => "Nothing was compared.",
            false => "Nothing has become worse beyond the noise.",
        };
        writeln!(
            f,
            "Latency is compared in parts of the first target's, CPU in parts of what it was. {words}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::work::{Protocol, Work};

    fn around(estimate: f64, half: f64) -> Interval {
        Interval { estimate, low: estimate - half, high: estimate + half }
    }

    /// A run in which the proxy adds `added` microseconds to 200 and spends `cpu`, on a machine `slow` times as slow.
    fn measured(added: f64, cpu: f64, slow: f64) -> Measurement {
        let figures = |name: &str, p50: f64| Figures {
            name: name.to_owned(),
            ok: 1000,
            errors: [].into(),
            rate: 1000.0,
            quantiles: crate::bench::result::Quantiles { p50, p90: p50, p99: p50, p999: p50, max: p50 },
            cpu_per_request: (name == "proxied").then(|| around(cpu * slow, slow)),
            generator_per_request: 10.0 * slow,
            memory: None,
            busy: None,
            bottleneck: None,
            latencies: Vec::new(),
            moments: Vec::new(),
        };
        let added =
            Difference { target: "proxied".to_owned(), noise: false, added: [around(added * slow, 5.0); 4] };
        let series = Series {
            work: Work { protocol: Protocol::Rest, connections: 1, streams: 1, body: 0 },
            load: Load::Rate(1000.0),
            rounds: 6,
            seconds: 1.0,
            targets: vec![figures("direct", 200.0 * slow), figures("proxied", 300.0 * slow)],
            differences: vec![added],
            foreign: 0.0,
        };
        Measurement { series: vec![series], ..Measurement::default() }
    }

    #[test]
    fn a_slower_day_of_the_machine_is_no_regression() {
        let comparison = Comparison::of(&measured(100.0, 30.0, 1.0), &measured(100.0, 30.0, 1.7));
        assert!(!comparison.has_regressed() && !comparison.is_empty(), "{comparison}");
    }

    #[test]
    fn a_proxy_that_adds_more_or_spends_more_has_regressed() {
        let before = measured(100.0, 30.0, 1.0);
        assert!(Comparison::of(&before, &measured(150.0, 30.0, 1.0)).has_regressed());
        assert!(Comparison::of(&before, &measured(100.0, 36.0, 1.0)).has_regressed());
        let better = Comparison::of(&before, &measured(60.0, 25.0, 1.0));
        assert!(!better.has_regressed() && better.to_string().contains("better"), "{better}");
    }

    #[test]
    fn a_change_within_the_bounds_is_none() {
        let comparison = Comparison::of(&measured(100.0, 30.0, 1.0), &measured(105.0, 30.5, 1.0));
        assert!(!comparison.has_regressed(), "{comparison}");
    }

    #[test]
    fn requests_that_fail_are_a_regression_however_fast() {
        let (before, mut after) = (measured(100.0, 30.0, 1.0), measured(10.0, 3.0, 1.0));
        after.series[0].targets[1].errors.insert("reset".to_owned(), 10);
        assert!(Comparison::of(&before, &after).has_regressed());
    }
}
