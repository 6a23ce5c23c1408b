//! A worker's next turn.

use std::task::{Context, Poll};

/// Lets every other task that is ready go first. Where many requests come at once, all are read before the first is passed
/// on, and so with answers: a peer on another CPU is woken once for all, which costs more than passing them on does.
#[derive(Default)]
pub struct Turn(bool);

impl Turn {
    /// Ready when it has come.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
