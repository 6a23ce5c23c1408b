//! The load generator: threads that send what the schedule says and write down what comes back.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::Instant;

use super::cpus::Cpus;
use super::outcome::Outcome;
use super::sample::{Recorder, Sample};
use super::target::Target;
use super::tickets::{Ticket, Tickets};
use super::timer::Timer;
use super::work::{Load, Protocol, Work};
use super::{grpc, http1, streams};

/// A request without an answer after this time has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is under way at the end of a block gets this long: whatever was sent has its answer or has failed by then.
const GRACE: Duration = Duration::from_millis(10_500);

/// A closed loop does not ask again at once where nobody listens.
const BREATH: Duration = Duration::from_millis(5);

/// A stretch of load on one target.
#[derive(Clone)]
pub struct Block {
    /// Whom it is for.
    pub target: Arc<Target>,
    /// Where jobs for streams are created: the embedded Camunda itself, or without one the target.
    pub feed: Option<Arc<Target>>,
    /// What requests are.
    pub work: Work,
    /// When they start.
    pub load: Load,
    /// What starts in this time is not counted.
    pub warm_up: Duration,
    /// How long it takes, without the warm-up.
    pub duration: Duration,
    /// The course is told in stretches of this length.
    pub slice: Duration,
    /// Threads that send.
    pub threads: usize,
    /// The CPUs that they run on.
    pub cpus: Cpus,
}

impl Block {
    /// Opens the connections and starts. Returns when the schedule has begun.
    ///
    /// # Errors
    /// When the system has no thread or timer to give.
    pub fn start(self) -> io::Result<Loading> {
        let threads = self.threads.clamp(1, self.work.connections.max(1));
        let (ready, readies) = mpsc::sync_channel(threads);
        let mut running = Vec::new();
        for index in 0..threads {
            let (go, going) = mpsc::sync_channel::<Instant>(1);
            let (block, ready) = (self.clone(), ready.clone());
            let run = move || block.run(index, threads, &ready, &going);
            let thread = std::thread::Builder::new().name(format!("load-{index}")).spawn(run)?;
            running.push((thread, go));
        }
        let mut ids = Vec::new();
        for _ in 0..threads {
            ids.push(readies.recv().map_err(io::Error::other)??);
        }
        let began = Instant::now() + Duration::from_millis(2);
        let threads = running
            .into_iter()
            .map(|(thread, go)| {
                // A thread that is gone is told of when it is joined.
                let _ = go.send(began);
                (thread, go)
            })
            .collect();
        let from = began + self.warm_up;
        Ok(Loading { began, from, until: from + self.duration, ids, threads })
    }

    /// A thread: its part of the connections and of the rate.
    fn run(
        self,
        index: usize,
        threads: usize,
        ready: &mpsc::SyncSender<io::Result<u32>>,
        going: &mpsc::Receiver<Instant>,
    ) -> Sample {
        self.cpus.stay();
        // Looked at often, so that the timer is heard among answers.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(13).build();
        let prepared = runtime.and_then(|runtime| {
            let entered = runtime.enter();
            let timer = Timer::new()?;
            drop(entered);
            Ok((runtime, timer))
        });
        let (runtime, timer) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                let _ = ready.send(Err(error));
                return Sample::default();
            }
        };
        let sample = LocalSet::new().block_on(&runtime, async {
            let slots = self.slots(index, threads).await;
            let _ = ready.send(
                slots
                    .as_ref()
                    .map(|_| super::meter::thread_id())
                    .map_err(|error| io::Error::other(error.to_string())),
            );
            let (Ok(slots), Ok(began)) = (slots, going.recv()) else { return Sample::default() };
            let (from, until) = (began + self.warm_up, began + self.warm_up + self.duration);
            let tickets = Tickets::new(began, until, self.load, index, threads);
            let recorder = Rc::new(RefCell::new(Recorder::new(began, from, until, self.slice)));
            let mut tasks = tokio::task::JoinSet::new();
            let mut under_way = Vec::new();
            for slot in slots {
                let started = Rc::new(Cell::new(None));
                under_way.push(Rc::clone(&started));
                tasks.spawn_local(slot.run(Rc::clone(&tickets), Rc::clone(&recorder), started));
            }
            tickets.fall_due(&timer).await;
            let all = async { while tasks.join_next().await.is_some() {} };
            if tokio::time::timeout_at(until + GRACE, all).await.is_err() {
                tickets.close();
                tasks.shutdown().await;
                let mut recorder = recorder.borrow_mut();
                let left = under_way.iter().filter_map(|started| started.get()).chain(tickets.untaken());
                left.for_each(|intended| recorder.over(intended, &Outcome::Unanswered));
            }
            std::mem::take(&mut recorder.borrow_mut().sample)
        });
        // Answers when the other end is dropped.
        let _ = going.recv();
        sample
    }

    /// The slots of a thread, their connections open as far as that was possible.
    async fn slots(&self, index: usize, threads: usize) -> io::Result<Vec<Slot>> {
        let mine = self.work.connections / threads + usize::from(index < self.work.connections % threads);
        let mut slots = Vec::new();
        match self.work.protocol {
            Protocol::Rest => {
                let request: Rc<[u8]> = http1::request(&self.target, &self.work).into();
                for _ in 0..mine {
                    let connection = http1::Connection::open(&self.target).await.ok();
                    let (target, request) = (Arc::clone(&self.target), Rc::clone(&request));
                    slots.push(Slot::Http1 { target, connection, request });
                }
            }
            Protocol::Grpc => {
                let call = grpc::Call::unary(&self.target, &self.work)?;
                for _ in 0..mine {
                    let connection = Rc::new(grpc::Connection::new(Arc::clone(&self.target)));
                    // A connection that cannot be opened is tried again by whoever needs it.
                    let _ = connection.ready().await;
                    let slot = |_| Slot::Grpc { connection: Rc::clone(&connection), call: call.clone() };
                    slots.extend((0..self.work.streams).map(slot));
                }
            }
            Protocol::GrpcStream => {
                let feed = self.feed.as_ref().unwrap_or(&self.target);
                let jobs = streams::Jobs::open(&self.target, feed, mine, self.work.streams, index).await?;
                slots.extend((0..mine * self.work.streams).map(|_| Slot::Job(Rc::clone(&jobs))));
            }
        }
        Ok(slots)
    }
}

/// A place for one request at a time.
enum Slot {
    Http1 { target: Arc<Target>, connection: Option<http1::Connection>, request: Rc<[u8]> },
    Grpc { connection: Rc<grpc::Connection>, call: grpc::Call },
    Job(Rc<streams::Jobs>),
}

impl Slot {
    /// Takes tickets until there are no more.
    async fn run(
        mut self,
        tickets: Rc<Tickets>,
        recorder: Rc<RefCell<Recorder>>,
        started: Rc<Cell<Option<Instant>>>,
    ) {
        while let Some(ticket) = tickets.next().await {
            started.set(Some(ticket.intended));
            if let Some(by) = ticket.late {
                recorder.borrow_mut().late(ticket.intended, by);
            }
            let outcome = match tokio::time::timeout(PATIENCE, self.ask(ticket)).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    self.give_up();
                    Outcome::Timeout
                }
            };
            recorder.borrow_mut().over(ticket.intended, &outcome);
            started.set(None);
            if outcome == Outcome::Connect {
                tokio::time::sleep(BREATH).await;
            }
        }
    }

    async fn ask(&mut self, ticket: Ticket) -> Outcome {
        match self {
            Slot::Http1 { target, connection, request } => {
                if ticket.late.is_some() && connection.as_mut().is_some_and(http1::Connection::has_ended) {
                    *connection = None;
                }
                if connection.is_none() {
                    *connection = http1::Connection::open(target).await.ok();
                }
                let Some(open) = connection else { return Outcome::Connect };
                match open.exchange(request).await {
                    Ok((outcome, keeps)) => {
                        if !keeps {
                            *connection = None;
                        }
                        outcome
                    }
                    Err(_) => {
                        *connection = None;
                        Outcome::Reset
                    }
                }
            }
            Slot::Grpc { connection, call } => connection.call(call).await,
            Slot::Job(jobs) => jobs.push(ticket.number).await,
        }
    }

    /// After an answer that did not come in time the connection would answer the wrong request.
    fn give_up(&mut self) {
        if let Slot::Http1 { connection, .. } = self {
            *connection = None;
        }
    }
}

/// A block that runs.
pub struct Loading {
    /// When its schedule began.
    pub began: Instant,
    /// When its warm-up ends.
    pub from: Instant,
    /// When its schedule ends.
    pub until: Instant,
    /// The threads that send.
    pub(super) ids: Vec<u32>,
    /// Each stays until its sender is dropped: the CPU time of a thread that has ended cannot be read.
    threads: Vec<(JoinHandle<Sample>, mpsc::SyncSender<Instant>)>,
}

impl Loading {
    /// Waits for the last answers.
    pub fn end(self) -> Sample {
        let mut all = Sample::default();
        for (thread, stay) in self.threads {
            drop(stay);
            // A thread that panicked has said so.
            if let Ok(sample) = thread.join() {
                all.add(sample);
            }
        }
        all
    }
}
