//! Jobs over gRPC streams: workers hold streams open through the target, and each job that is created must arrive on one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use prost::Message;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::cpus::Cpus;
use super::grpc::{Call, Connection};
use super::outcome::Outcome;
use super::target::Target;

/// The streams of one thread, and the jobs that are under way on them.
pub(super) struct Jobs {
    feed: Connection,
    create: Call,
    process: String,
    waiting: RefCell<HashMap<u64, oneshot::Sender<Outcome>>>,
}

impl Jobs {
    /// Deploys a process of its own at `feed`, and opens streams for its jobs through `target`.
    pub(super) async fn open(
        target: &Arc<Target>,
        feed: &Arc<Target>,
        connections: usize,
        streams: usize,
        index: usize,
    ) -> io::Result<Rc<Jobs>> {
        // A job left over from another block must not arrive here.
        let process = format!("bench-{index}-{:08x}", fastrand::u32(..));
        let to_feed = Connection::new(Arc::clone(feed));
        let deploy = Call::new(feed, "/gateway_protocol.Gateway/DeployResource", &deployment(&process))?;
        match to_feed.call(&deploy).await {
            Outcome::Ok => {}
            other => {
                return Err(io::Error::other(format!(
                    "the process of the jobs cannot be deployed: {other:?}"
                )));
            }
        }
        let create = Call::new(feed, "/gateway_protocol.Gateway/CreateProcessInstance", &[])?;
        let jobs = Rc::new(Jobs { feed: to_feed, create, process, waiting: RefCell::default() });
        let asked = Stream { kind: jobs.process.clone(), worker: "bench".to_owned(), timeout: 3_600_000 };
        let stream =
            Call::new(target, "/gateway_protocol.Gateway/StreamActivatedJobs", &asked.encode_to_vec())?;
        for _ in 0..connections {
            let connection = Rc::new(Connection::new(Arc::clone(target)));
            for _ in 0..streams {
                tokio::task::spawn_local(read(Rc::downgrade(&jobs), Rc::clone(&connection), stream.clone()));
            }
        }
        Ok(jobs)
    }

    /// Creates a job, and waits for it to arrive.
    pub(super) async fn push(self: &Rc<Jobs>, number: u64) -> Outcome {
        let (tell, told) = oneshot::channel();
        self.waiting.borrow_mut().insert(number, tell);
        let jobs = Rc::clone(self);
        // The job can be here before the command's own answer, which nobody waits for unless it is a failure.
        tokio::task::spawn_local(async move {
            let instance = Instance {
                process: jobs.process.clone(),
                version: -1,
                variables: format!("{{\"n\":{number}}}"),
            };
            let outcome = jobs.feed.call(&jobs.create.with(&instance.encode_to_vec())).await;
            if outcome != Outcome::Ok {
                jobs.arrived(number, outcome);
            }
        });
        told.await.unwrap_or(Outcome::Reset)
    }

    fn arrived(&self, number: u64, outcome: Outcome) {
        if let Some(waiting) = self.waiting.borrow_mut().remove(&number) {
            // It may have given up.
            let _ = waiting.send(outcome);
        }
    }
}

/// Streams that are open and silent, until this is dropped.
pub(super) struct Held {
    _stop: oneshot::Sender<()>,
}

/// Opens streams on which no job will ever come, on a thread of its own, and keeps them open.
///
/// # Errors
/// When the system has no thread to give.
pub(super) fn hold(
    target: &Arc<Target>,
    connections: usize,
    streams: usize,
    cpus: &Cpus,
) -> io::Result<Held> {
    let (stop, stopped) = oneshot::channel();
    let (target, cpus) = (Arc::clone(target), cpus.clone());
    let asked = Stream { kind: "bench-silent".to_owned(), worker: "bench".to_owned(), timeout: 3_600_000 };
    let call = Call::new(&target, "/gateway_protocol.Gateway/StreamActivatedJobs", &asked.encode_to_vec())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("held-streams".to_owned()).spawn(move || {
        cpus.stay();
        LocalSet::new().block_on(&runtime, async {
            for _ in 0..connections {
                let connection = Rc::new(Connection::new(Arc::clone(&target)));
                for _ in 0..streams {
                    let (connection, call) = (Rc::clone(&connection), call.clone());
                    tokio::task::spawn_local(async move {
                        // One that ends is missed in the upstream's count.
                        if let Ok(response) = connection.send(&call).await
                            && let Ok(response) = response.await
                        {
                            let mut body = response.into_body();
                            while let Some(Ok(_)) = body.data().await {}
                        }
                    });
                }
            }
            // Whoever holds them has left.
            let _ = stopped.await;
        });
    })?;
    Ok(Held { _stop: stop })
}

/// Keeps one stream open for as long as anybody waits for jobs.
async fn read(jobs: std::rc::Weak<Jobs>, connection: Rc<Connection>, call: Call) {
    while jobs.strong_count() > 0 {
        if let Ok(response) = connection.send(&call).await
            && let Ok(response) = response.await
        {
            let mut body = response.into_body();
            let mut buffer = BytesMut::new();
            while let Some(Ok(data)) = body.data().await {
                // Nothing more comes on a stream whose window cannot grow.
                let _ = body.flow_control().release_capacity(data.len());
                buffer.extend_from_slice(&data);
                let Some(jobs) = jobs.upgrade() else { return };
                while let Some(number) = next_number(&mut buffer) {
                    jobs.arrived(number, Outcome::Ok);
                }
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// The number of the next job that is there as a whole.
fn next_number(buffer: &mut BytesMut) -> Option<u64> {
    let prefix = buffer.first_chunk::<5>()?;
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    if buffer.len() < 5 + length {
        return None;
    }
    buffer.advance(5);
    let job = Job::decode(buffer.split_to(length)).unwrap_or_default();
    let variables: serde_json::Value = serde_json::from_str(&job.variables).unwrap_or_default();
    // A job that is none of ours is nobody's.
    Some(variables["n"].as_u64().unwrap_or(u64::MAX))
}

fn deployment(process: &str) -> Vec<u8> {
    let bpmn = format!(
        r#"<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:zeebe="http://camunda.org/schema/zeebe/1.0" targetNamespace="bench"><bpmn:process id="{process}" isExecutable="true"><bpmn:startEvent id="start"/><bpmn:sequenceFlow id="in" sourceRef="start" targetRef="task"/><bpmn:serviceTask id="task"><bpmn:extensionElements><zeebe:taskDefinition type="{process}"/></bpmn:extensionElements></bpmn:serviceTask><bpmn:sequenceFlow id="out" sourceRef="task" targetRef="end"/><bpmn:endEvent id="end"/></bpmn:process></bpmn:definitions>"#
    );
    let resource = Resource { name: format!("{process}.bpmn"), content: bpmn.into_bytes() };
    Deploy { resources: vec![resource] }.encode_to_vec()
}

#[derive(Clone, PartialEq, Message)]
struct Deploy {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resource>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    content: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Instance {
    #[prost(string, tag = "2")]
    process: String,
    #[prost(int32, tag = "3")]
    version: i32,
    #[prost(string, tag = "4")]
    variables: String,
}

#[derive(Clone, PartialEq, Message)]
struct Stream {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    worker: String,
    #[prost(int64, tag = "3")]
    timeout: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Job {
    #[prost(string, tag = "13")]
    variables: String,
}
