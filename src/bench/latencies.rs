//! Latencies in a histogram of three digits: small, and exact enough at every size.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer as Reader, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is told apart at the lower end, in nanoseconds, and the longest that can be told.
const FINEST: u64 = 100;
const LONGEST: u64 = 1_000_000_000_000;

/// Latencies of requests. Serialised as base64 of HdrHistogram's own compressed form, in nanoseconds.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies::with_digits(3)
    }
}

impl Latencies {
    /// With as many digits as are kept of each latency.
    pub(super) fn with_digits(digits: u8) -> Latencies {
        let histogram = Histogram::new_with_bounds(FINEST, LONGEST, digits);
        Latencies(histogram.expect("the bounds are constants that fit"))
    }

    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        self.0.saturating_record(latency.as_nanos() as u64);
    }

    /// Counts all of another.
    pub fn add(&mut self, other: &Latencies) {
        // Both have the same bounds, so that nothing can be out of them.
        let _ = self.0.add(&other.0);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The smallest latency that is not exceeded by this part of them, from 0 to 1.
    pub fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(quantile))
    }

    /// The largest.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }

    /// Each value that occurred with its count, ascending.
    pub(super) fn counted(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()))
    }
}

impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        let written = V2DeflateSerializer::new().serialize(&self.0, &mut bytes);
        written.map_err(serde::ser::Error::custom)?;
        STANDARD.encode(bytes).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Latencies, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        let read: Histogram<u64> =
            Reader::new().deserialize(&mut bytes.as_slice()).map_err(serde::de::Error::custom)?;
        // Of the usual bounds again, whatever the file says.
        let mut latencies = Latencies::default();
        latencies.0.add(&read).map_err(serde::de::Error::custom)?;
        Ok(latencies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut latencies = Latencies::default();
        for micros in 1..5_000 {
            latencies.record(Duration::from_micros(micros));
        }
        latencies.record(Duration::from_secs(3));
        let text = serde_json::to_string(&latencies).expect("written");
        let again: Latencies = serde_json::from_str(&text).expect("read");
        assert_eq!(again.0, latencies.0);
        assert!(again.max() >= Duration::from_secs(3));
    }

    #[test]
    fn three_digits_are_kept() {
        let mut latencies = Latencies::default();
        latencies.record(Duration::from_micros(123_456));
        let median = latencies.quantile(0.5).as_micros();
        assert!((123_400..=123_600).contains(&median), "{median}");
    }
}
