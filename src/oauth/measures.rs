//! What is measured of a source, for the metrics.

use super::source::TokenSource;
use crate::metrics::{Counts, Histogram};

/// Upper bounds in seconds: a token endpoint answers within a second or, when it delays rejections, after half a minute.
pub(super) const SECONDS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// One source's histograms.
pub(super) struct Measures {
    /// How long token requests took that brought a token.
    pub(super) ok: Histogram,
    /// How long those took that did not.
    pub(super) error: Histogram,
    /// How long requests waited for a token.
    pub(super) waits: Histogram,
}

impl Default for Measures {
    fn default() -> Measures {
        let histogram = || Histogram::new(SECONDS);
        Measures { ok: histogram(), error: histogram(), waits: histogram() }
    }
}

/// What was measured so far, of one source and of its token host.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The token host, whose pace and limits all its sources share.
    pub host: String,
    /// How long token requests took that brought a token.
    pub ok: Counts,
    /// How long those took that did not.
    pub error: Counts,
    /// How long requests waited for a token.
    pub waits: Counts,
    /// How long token requests to this host waited for their turn.
    pub budget_waits: Counts,
    /// Whether a token request to this host could start at once.
    pub budget_free: bool,
}

impl TokenSource {
    /// What was measured so far.
    pub fn measured(&self) -> Measured {
        let (entry, measures) = (&self.entry, &self.entry.measures);
        Measured {
            host: entry.request.host(),
            ok: measures.ok.counts(),
            error: measures.error.counts(),
            waits: measures.waits.counts(),
            budget_waits: entry.pace.waits.counts(),
            budget_free: entry.pace.is_free(),
        }
    }
}
