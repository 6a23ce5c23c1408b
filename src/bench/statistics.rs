//! Differences between two targets, and how sure one can be of them.
//!
//! Requests of one block resemble each other more than those of another: the machine's mood changes slowly. So the unit is
//! the round, in which every target had its turn, and not the request. The estimate is the difference of the quantiles of
//! all requests; its error comes from drawing rounds anew, and Student's t allows for their small number.

use serde::{Deserialize, Serialize};

use super::latencies::Latencies;

/// The quantiles that are told.
pub const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// How often rounds are drawn anew.
const DRAWS: usize = 400;

/// With fewer requests beyond a quantile than this, it is an accident where it lies.
const BEYOND: f64 = 10.0;

/// Student's t at 1 - 0.05 / 2 / 4 for 1, 2, 3… degrees of freedom: with 95 % all four quantiles are within their bounds.
const T_OF_FOUR: [f64; 30] = [
    50.923, 8.860, 5.392, 4.315, 3.810, 3.521, 3.335, 3.206, 3.111, 3.038, 2.981, 2.934, 2.896, 2.864, 2.837,
    2.813, 2.793, 2.775, 2.759, 2.744, 2.732, 2.720, 2.710, 2.700, 2.692, 2.684, 2.676, 2.669, 2.663, 2.657,
];
const T_OF_FOUR_AT_LAST: f64 = 2.498;

/// Student's t at 1 - 0.05 / 2.
const T: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];
const T_AT_LAST: f64 = 1.960;

/// An estimate with the bounds that hold it with 95 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The most likely value.
    pub estimate: f64,
    /// Its lower bound.
    pub low: f64,
    /// Its upper bound.
    pub high: f64,
}

impl Interval {
    /// Whether it is surely not zero.
    pub fn differs(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }

    /// Half the distance of its bounds.
    pub fn half(&self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// The difference to another that was found independently; their errors add up as squares.
    pub fn minus(&self, other: &Interval) -> Interval {
        let half = self.half().hypot(other.half());
        let estimate = self.estimate - other.estimate;
        Interval { estimate, low: estimate - half, high: estimate + half }
    }

    /// In units of something that is known exactly.
    pub fn over(&self, unit: f64) -> Interval {
        Interval { estimate: self.estimate / unit, low: self.low / unit, high: self.high / unit }
    }

    /// The mean of some values.
    pub fn of_mean(values: &[f64]) -> Option<Interval> {
        let count = values.len() as f64;
        let estimate = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - estimate).powi(2)).sum::<f64>();
        let freedom = values.len().checked_sub(1).filter(|freedom| *freedom > 0)?;
        let half = (squares / freedom as f64 / count).sqrt() * student(&T, T_AT_LAST, freedom);
        Some(Interval { estimate, low: estimate - half, high: estimate + half })
    }
}

fn student(table: &[f64; 30], at_last: f64, freedom: usize) -> f64 {
    table.get(freedom - 1).copied().unwrap_or(at_last)
}

/// By how many microseconds each of [`QUANTILES`] of `other` lies above `base`'s; the same round of both stands at the
/// same place. None when there are too few rounds to tell, or one of them is empty.
pub fn differences(base: &[Latencies], other: &[Latencies]) -> Option<[Interval; 4]> {
    let rounds = base.len().min(other.len());
    let (base, other) = (Pooled::new(&base[..rounds]), Pooled::new(&other[..rounds]));
    if rounds < 2 || base.is_empty() || other.is_empty() {
        return None;
    }
    let difference =
        |weights: &[u64]| QUANTILES.map(|q| other.quantile(weights, q) - base.quantile(weights, q));
    let estimates = difference(&vec![1; rounds]);
    // The same rounds give the same bounds, whenever they are looked at.
    let mut random = fastrand::Rng::with_seed(8);
    let mut sums = [(0.0, 0.0); 4];
    for _ in 0..DRAWS {
        let mut weights = vec![0; rounds];
        (0..rounds).for_each(|_| weights[random.usize(..rounds)] += 1);
        for (sum, value) in sums.iter_mut().zip(difference(&weights)) {
            sum.0 += value;
            sum.1 += value * value;
        }
    }
    let freedom = rounds - 1;
    // Drawn rounds vary by less than new ones would.
    let wider = student(&T_OF_FOUR, T_OF_FOUR_AT_LAST, freedom) * (rounds as f64 / freedom as f64).sqrt();
    let mut intervals = [Interval::default(); 4];
    let requests = base.count().min(other.count()) as f64;
    let largest = base.largest().max(other.largest());
    let drawn = estimates.into_iter().zip(sums).zip(QUANTILES);
    for (interval, ((estimate, (sum, squares)), quantile)) in intervals.iter_mut().zip(drawn) {
        let mean = sum / DRAWS as f64;
        let half = match requests * (1.0 - quantile) {
            ..BEYOND => largest,
            _ => (squares / DRAWS as f64 - mean * mean).max(0.0).sqrt() * wider,
        };
        *interval = Interval { estimate, low: estimate - half, high: estimate + half };
    }
    Some(intervals)
}

/// Several rounds as one, each as often as wanted.
struct Pooled {
    /// Every latency that occurred in any round, ascending, in nanoseconds.
    values: Vec<u64>,
    /// For each round: how many of its requests took no longer than the value at the same place.
    cumulative: Vec<Vec<u64>>,
}

impl Pooled {
    fn new(rounds: &[Latencies]) -> Pooled {
        let mut values: Vec<u64> =
            rounds.iter().flat_map(|round| round.counted().map(|(value, _)| value)).collect();
        values.sort_unstable();
        values.dedup();
        let cumulative = |round: &Latencies| {
            let mut counted = round.counted().peekable();
            let mut total = 0;
            let up_to = |value: &u64| {
                while let Some((_, count)) = counted.next_if(|(occurred, _)| occurred <= value) {
                    total += count;
                }
                total
            };
            values.iter().map(up_to).collect()
        };
        let cumulative = rounds.iter().map(cumulative).collect();
        Pooled { values, cumulative }
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn count(&self) -> u64 {
        self.cumulative.iter().filter_map(|round| round.last()).sum()
    }

    /// Microseconds.
    fn largest(&self) -> f64 {
        self.values.last().map_or(0.0, |nanos| *nanos as f64 / 1e3)
    }

    /// Microseconds.
    fn quantile(&self, weights: &[u64], quantile: f64) -> f64 {
        let up_to = |at: usize| -> u64 {
            self.cumulative.iter().zip(weights).map(|(round, weight)| round[at] * weight).sum()
        };
        let last = self.values.len() - 1;
        let wanted = ((up_to(last) as f64 * quantile).ceil() as u64).max(1);
        let (mut low, mut high) = (0, last);
        while low < high {
            let middle = low.midpoint(high);
            if up_to(middle) >= wanted { high = middle } else { low = middle + 1 }
        }
        self.values[low] as f64 / 1e3
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Rounds of a server whose mood changes from round to round, with a long tail; `added` microseconds slower.
    fn rounds(random: &mut fastrand::Rng, moods: &[f64], added: f64) -> Vec<Latencies> {
        let round = |mood: &f64| {
            let mut latencies = Latencies::default();
            for _ in 0..300 {
                let tail = -random.f64().max(1e-9).ln() * 100.0 * if random.u8(..) == 0 { 20.0 } else { 1.0 };
                latencies.record(Duration::from_secs_f64((mood + tail + added) / 1e6));
            }
            latencies
        };
        moods.iter().map(round).collect()
    }

    fn moods(random: &mut fastrand::Rng) -> Vec<f64> {
        (0..6).map(|_| 200.0 + 100.0 * random.f64()).collect()
    }

    #[test]
    fn two_runs_of_the_same_differ_in_five_of_a_hundred_cases_at_most() {
        let mut random = fastrand::Rng::with_seed(1);
        let differ = |_: &usize| {
            let moods = moods(&mut random);
            let (a, again) = (rounds(&mut random, &moods, 0.0), rounds(&mut random, &moods, 0.0));
            differences(&a, &again).expect("rounds").iter().any(Interval::differs)
        };
        let wrong = (0..60).filter(differ).count();
        assert!(wrong <= 3, "{wrong} of 60");
    }

    #[test]
    fn what_is_slower_is_found_and_by_how_much() {
        let mut random = fastrand::Rng::with_seed(2);
        let moods = moods(&mut random);
        let (a, b) = (rounds(&mut random, &moods, 0.0), rounds(&mut random, &moods, 100.0));
        let found = differences(&a, &b).expect("rounds");
        assert!(found[0].differs() && found[0].low < 100.0 && found[0].high > 100.0, "{found:?}");
    }

    #[test]
    fn a_quantile_that_hardly_anything_lies_beyond_is_told_from_nothing() {
        let mut random = fastrand::Rng::with_seed(5);
        let moods = [200.0; 6];
        let (a, b) = (rounds(&mut random, &moods, 0.0), rounds(&mut random, &moods, 5000.0));
        let found = differences(&a, &b).expect("rounds");
        assert!(
            found[0].differs() && !found[3].differs(),
            "1800 requests, two of them beyond p99.9: {found:?}"
        );
    }

    #[test]
    fn a_single_round_tells_nothing() {
        let mut random = fastrand::Rng::with_seed(3);
        let one = rounds(&mut random, &[200.0], 0.0);
        assert!(differences(&one, &one).is_none());
        assert!(
            differences(
                &[Latencies::default(), Latencies::default()],
                &[Latencies::default(), Latencies::default()]
            )
            .is_none()
        );
    }

    #[test]
    fn a_pooled_quantile_is_that_of_all_requests() {
        let mut random = fastrand::Rng::with_seed(4);
        let rounds = rounds(&mut random, &[100.0, 900.0], 0.0);
        let mut all = rounds[0].clone();
        all.add(&rounds[1]);
        let pooled = Pooled::new(&rounds);
        for quantile in QUANTILES {
            let exact = all.quantile(quantile).as_secs_f64() * 1e6;
            assert!((pooled.quantile(&[1, 1], quantile) / exact - 1.0).abs() < 0.002, "{quantile}");
        }
    }
}
