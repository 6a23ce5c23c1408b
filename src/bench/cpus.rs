//! Which CPUs who runs on: what is measured gets its own, so that its cost is not mixed with the load's.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// CPUs by number; none means wherever the system likes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpus(pub Vec<usize>);

impl Cpus {
    /// Those that this process may use.
    pub fn allowed() -> Cpus {
        let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        Cpus((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
    }

    /// Splits those that may be used: for what is measured, and for the load and the upstream. A single CPU is shared.
    pub fn split(self) -> (Cpus, Cpus) {
        let Cpus(mut measured) = self;
        if measured.len() < 2 {
            return (Cpus::default(), Cpus::default());
        }
        let load = measured.split_off(measured.len() / 2);
        (Cpus(measured), Cpus(load))
    }

    /// Keeps the calling thread, and what it will start, on these.
    pub(super) fn stay(&self) {
        if self.0.is_empty() {
            return;
        }
        let mut set = CpuSet::new();
        self.0.iter().for_each(|cpu| set.set(*cpu));
        // Where the system refuses, the figures are only noisier.
        let _ = sched_setaffinity(None, &set);
    }

    /// How many there are; all of the machine's when it is not said which.
    pub fn count(&self) -> usize {
        match self.0.len() {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            some => some,
        }
    }
}

impl std::fmt::Display for Cpus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(usize::to_string).collect();
        match numbers.as_slice() {
            [] => f.write_str("any CPU"),
            [one] => write!(f, "CPU {one}"),
            many => write!(f, "CPUs {}", many.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_cpu_is_shared_and_more_are_split() {
        assert_eq!(Cpus(vec![3]).split(), (Cpus::default(), Cpus::default()));
        assert_eq!(Cpus(vec![0, 1]).split(), (Cpus(vec![0]), Cpus(vec![1])));
        assert_eq!(Cpus(vec![0, 2, 4, 6, 8]).split(), (Cpus(vec![0, 2]), Cpus(vec![4, 6, 8])));
    }
}
