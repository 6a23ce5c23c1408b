//! A worker: one thread, one runtime, its own upstream pools, connections and counters.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior};

use super::Limits;
use super::connection::{self, Shared};
use super::handover::{Accepted, Acceptor};
use super::watch::{Order, Watch};
use crate::log;
use crate::memory;
use crate::metrics::Shard;
use crate::proxy::{Destinations, Proxy, Settings};
use crate::shutdown::{Phase, Shutdown};

/// How long idle HTTP/1.1 connections may still bring a request after the drain has begun: closed at once, they
/// could lose one that is on its way. Its answer closes the connection.
const LINGER: Duration = Duration::from_secs(1);

/// After so many lingers a connection without a request is cut: an HTTP/2 caller that does not even answer pings would
/// hold the drain to its end.
const PATIENCE: u32 = 4;

/// How long the last answers may take to leave.
const FAREWELL: Duration = Duration::from_millis(250);

/// A worker's state, on its own thread.
pub struct Worker {
    shared: Shared,
    shard: Arc<Shard>,
    connections: Cell<usize>,
    empty: Notify,
}

/// The control side of a worker.
pub struct Handle {
    /// Where connections are handed over.
    pub acceptor: Acceptor,
    /// Ends when the worker has stopped; true when every connection ended by itself.
    pub thread: JoinHandle<bool>,
}

impl Worker {
    /// Starts a worker's thread.
    ///
    /// # Errors
    /// When the system has no thread or no event queue to give.
    pub fn start(
        name: String,
        destinations: Arc<ArcSwap<Destinations>>,
        settings: Settings,
        limits: Limits,
        shard: Arc<Shard>,
        shutdown: Shutdown,
    ) -> io::Result<Handle> {
        let (hand, accepted) = unbounded_channel();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            log::buffer_this_thread();
            let mut builder = Builder::new_current_thread();
            let runtime = match builder
                .enable_all()
                .on_thread_park(log::before_sleep)
                .build_local(LocalOptions::default())
            {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = tell.send(Err(error));
                    return false;
                }
            };
            let _ = tell.send(Ok(()));
            runtime.block_on(async move {
                let proxy = Rc::new(Proxy::new(destinations, settings, Arc::clone(&shard)));
                let worker = Worker {
                    shared: Shared { proxy, watch: Watch::default(), limits, spare: Default::default() },
                    shard,
                    connections: Cell::new(0),
                    empty: Notify::new(),
                };
                Rc::new(worker).run(accepted, shutdown).await
            })
        })?;
        told.recv().map_err(|_| io::Error::other("a worker's thread ended at once"))??;
        Ok(Handle { acceptor: Acceptor { hand, load: Arc::new(AtomicUsize::new(0)) }, thread })
    }

    /// Serves until the drain is over or the process stops; true when every connection ended by itself.
    async fn run(self: Rc<Worker>, mut accepted: UnboundedReceiver<Accepted>, shutdown: Shutdown) -> bool {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.reached(Phase::Draining) => break,
                next = accepted.recv() => match next {
                    Some(accepted) => self.serve(accepted),
                    None => break,
                },
                _ = ticks.tick() => {
                    self.shard.beat();
                    self.shared.watch.look(&self.shared.limits);
                    self.shared.proxy.sweep();
                    memory::give_back();
                }
            }
        }
        tokio::select! {
            biased;
            () = self.drain(accepted) => true,
            () = shutdown.reached(Phase::Stopping) => self.end().await,
        }
    }

    /// Tells those who wait for an answer that none will come. True when nobody did.
    async fn end(&self) -> bool {
        if self.connections.get() == 0 {
            return true;
        }
        self.shared.proxy.stop();
        self.shared.watch.order(Order::Finish, false);
        let told = async {
            while self.connections.get() > 0 {
                self.empty.notified().await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, told).await;
        false
    }

    fn serve(self: &Rc<Worker>, accepted: Accepted) {
        let Accepted { socket, entrance, mut place, burden } = accepted;
        let open = Open::new(Rc::clone(self));
        tokio::task::spawn_local(async move {
            connection::serve(&open.0.shared, entrance, socket, &mut place).await;
            drop((open, place, burden));
        });
    }

    /// Takes the connections that were accepted before the listeners closed, and lets all of them finish.
    async fn drain(self: &Rc<Worker>, mut accepted: mpsc::UnboundedReceiver<Accepted>) {
        self.shared.proxy.drain();
        // GOAWAY loses nothing: a request that crosses it is not processed, and its client knows.
        self.shared.watch.order(Order::Finish, true);
        let mut ticks = tokio::time::interval_at(Instant::now() + LINGER, LINGER);
        let (mut accepting, mut lingered) = (true, 0);
        while accepting || self.connections.get() > 0 {
            tokio::select! {
                next = accepted.recv(), if accepting => match next {
                    Some(accepted) => self.serve(accepted),
                    None => accepting = false,
                },
                () = self.empty.notified() => {}
                _ = ticks.tick() => {
                    lingered += 1;
                    self.shared.watch.order(Order::Finish, false);
                    if lingered > PATIENCE {
                        self.shared.watch.cut_idle();
                    }
                }
            }
        }
    }
}

/// Counts a connection while it is open, also when its task panics.
struct Open(Rc<Worker>);

impl Open {
    fn new(worker: Rc<Worker>) -> Open {
        worker.connections.set(worker.connections.get() + 1);
        worker.shard.connection_opened();
        Open(worker)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
        self.0.shard.connection_closed();
        if self.0.connections.get() == 0 {
            self.0.empty.notify_one();
        }
    }
}
