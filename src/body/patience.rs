//! How long a caller may be silent in the middle of its request's body.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Shared by the body, which waits, and by whoever tells the caller why nothing came of it.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    // Made when it is first needed: most bodies are here when they are asked for.
    silence: RefCell<Option<Pin<Box<Sleep>>>>,
    waiting: Cell<bool>,
    lost: Cell<bool>,
}

impl Patience {
    /// For so long.
    pub fn new(limit: Duration) -> Patience {
        Patience { limit, silence: RefCell::default(), waiting: Cell::new(false), lost: Cell::new(false) }
    }

    /// Whether it came to an end.
    pub fn is_lost(&self) -> bool {
        self.lost.get()
    }

    /// Something came.
    pub(super) fn heard(&self) {
        self.waiting.set(false);
    }

    /// Ready when nothing has come for too long.
    pub(super) fn poll_lost(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut silence = self.silence.borrow_mut();
        let silence = silence.get_or_insert_with(|| Box::pin(sleep(self.limit)));
        if !self.waiting.replace(true) {
            silence.as_mut().reset(Instant::now() + self.limit);
        }
        ready!(silence.as_mut().poll(cx));
        self.lost.set(true);
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_lasts_anew_with_everything_that_comes() {
        let patience = Patience::new(Duration::from_secs(60));
        for _ in 0..5 {
            let silence = poll_fn(|cx| patience.poll_lost(cx));
            assert!(tokio::time::timeout(Duration::from_secs(59), silence).await.is_err());
            patience.heard();
        }
        let began = Instant::now();
        poll_fn(|cx| patience.poll_lost(cx)).await;
        assert!(patience.is_lost() && began.elapsed() == Duration::from_secs(60), "{:?}", began.elapsed());
    }
}
