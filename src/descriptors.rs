//! File descriptors: as many as the system allows, and some kept back for what is not a caller's.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept back for each worker (its event queue, its wake-up, its share of open files) and once for the rest of the
/// process: listeners, probes, token requests, files of the configuration.
const OWN: u64 = 8;
const REST: u64 = 32;

/// Raises this process's limit to what it may have: shells and service managers begin with 1024, for programs that
/// still use `select`, and a proxy needs up to two for each connection.
pub fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where the system refuses, the limit that is there is obeyed.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// How many connections may be open: `wanted`, or what the limit of this process leaves. Callers that hold all
/// descriptors would otherwise keep tokens from being renewed and probes from being answered.
pub fn connections(wanted: usize, workers: usize) -> usize {
    match getrlimit(Resource::Nofile).current {
        Some(limit) => wanted.min(leaves(limit, workers)),
        None => wanted,
    }
}

fn leaves(limit: u64, workers: usize) -> usize {
    let workers = u64::try_from(workers).unwrap_or(u64::MAX);
    // An eighth is for connections to upstreams, which idle callers do not have.
    let kept = (limit / 8).saturating_add(workers.saturating_mul(OWN)).saturating_add(REST);
    usize::try_from(limit.saturating_sub(kept)).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::leaves;

    #[test]
    fn something_is_kept_back_and_something_is_left() {
        assert_eq!(leaves(1024, 2), 848);
        assert_eq!(leaves(20_000, 2), 17_452);
        assert_eq!(leaves(64, 2), 8);
        assert_eq!(leaves(16, 64), 1);
        assert!(leaves(u64::MAX, usize::MAX) >= 1);
    }
}
