//! The manners of Camunda's token service: one request a second and address, a block, a tarpit.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::AUDIENCES;
use super::answer::Answer;

/// The distance between two requests of one address.
const PACE: Duration = Duration::from_secs(1);

/// By how much a request may come early: a caller paces what it sends, and the first of two may have
/// been held up by its handshake.
const TOLERANCE: Duration = Duration::from_millis(50);

/// Addresses or pairs remembered; all are forgotten beyond, so that a scan cannot fill the memory.
const REMEMBERED: usize = 10_000;

pub(super) struct Manners {
    pub(super) rate_limited: bool,
    pub(super) block: Duration,
    pub(super) retry_after: bool,
    pub(super) rejection_delay: Duration,
    pub(super) audiences: Vec<String>,
    sources: HashMap<IpAddr, Source>,
    rejected: HashMap<(String, String), u64>,
}

struct Source {
    last: Instant,
    blocked_until: Option<Instant>,
}

impl Default for Manners {
    fn default() -> Manners {
        Manners {
            rate_limited: true,
            block: Duration::from_secs(10),
            retry_after: false,
            rejection_delay: Duration::from_secs(30),
            audiences: AUDIENCES.map(str::to_owned).to_vec(),
            sources: HashMap::new(),
            rejected: HashMap::new(),
        }
    }
}

impl Manners {
    /// Counts a request; there is a refusal when it comes too early or from a blocked address.
    pub(super) fn refusal(&mut self, from: IpAddr, now: Instant) -> Option<Answer> {
        if self.sources.len() > REMEMBERED {
            self.sources.clear();
        }
        let known = self.sources.insert(from, Source { last: now, blocked_until: None });
        let before = known.filter(|_| self.rate_limited)?;
        let until = match before.blocked_until {
            Some(until) if now < until => until,
            _ if now.duration_since(before.last) + TOLERANCE < PACE => now + self.block,
            _ => return None,
        };
        self.sources.insert(from, Source { last: now, blocked_until: Some(until) });
        let answer = Answer::error(StatusCode::TOO_MANY_REQUESTS, "access_denied", "Too many requests");
        Some(match self.retry_after {
            true => answer.with("retry-after", (until - now).as_secs_f64().ceil() as u64),
            false => answer,
        })
    }

    /// Rejects a client or an audience: at once the first time, then late.
    pub(super) fn reject(&mut self, client_id: &str, audience: &str) -> Answer {
        if self.rejected.len() > REMEMBERED {
            self.rejected.clear();
        }
        let times = self.rejected.entry((client_id.to_owned(), audience.to_owned())).or_default();
        *times += 1;
        let delay = if *times > 1 { self.rejection_delay } else { Duration::ZERO };
        Answer::error(StatusCode::UNAUTHORIZED, "access_denied", "Unauthorized").after(delay)
    }

    /// Forgets the rejections of a pair that was accepted.
    pub(super) fn forgive(&mut self, client_id: &str, audience: &str) {
        if !self.rejected.is_empty() {
            self.rejected.remove(&(client_id.to_owned(), audience.to_owned()));
        }
    }

    /// Forgets every address and rejection.
    pub(super) fn forget(&mut self) {
        self.sources.clear();
        self.rejected.clear();
    }
}
