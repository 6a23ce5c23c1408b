//! Faults of the components, switched at run time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sandbox::lock;

/// A way for a component to go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Closes the connection instead of answering.
    Close,
    /// Closes the connection after the answer's head and its first bytes.
    CloseMidway,
    /// Resets the stream with this HTTP/2 code instead of answering; HTTP/1.1 closes.
    Reset(u32),
    /// Resets the stream after the answer's head and its first bytes.
    ResetMidway(u32),
    /// Answers, and sends GOAWAY (`connection: close` on HTTP/1.1): no further request is taken.
    GoAway,
    /// Answers any status with an HTML page, as load balancers do, gRPC or not.
    Html(u16),
    /// Refuses the token, whatever it is.
    Unauthorized,
}

#[derive(Debug, Default)]
pub(in crate::sandbox) struct Faults {
    // Read by each request, so that the lock is taken only when there is a fault.
    any: AtomicBool,
    rule: Mutex<Option<Rule>>,
}

#[derive(Debug)]
struct Rule {
    fault: Fault,
    path: String,
    left: Option<u64>,
}

impl Faults {
    /// Meets requests whose path contains `path`: the next `left`, or all.
    pub(in crate::sandbox) fn set(&self, fault: Option<Fault>, path: &str, left: Option<u64>) {
        let mut rule = lock(&self.rule);
        *rule = fault.map(|fault| Rule { fault, path: path.to_owned(), left });
        self.any.store(rule.is_some(), Ordering::Release);
    }

    /// The fault that meets a request.
    pub(in crate::sandbox) fn meet(&self, path: &str) -> Option<Fault> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut rule = lock(&self.rule);
        let met = rule.as_mut().filter(|rule| path.contains(&rule.path) && rule.left != Some(0))?;
        if let Some(left) = &mut met.left {
            *left -= 1;
        }
        Some(met.fault.clone())
    }
}
