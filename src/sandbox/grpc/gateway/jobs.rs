//! The two methods that hand out jobs: polled and streamed.

use http::Response;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::{json, milliseconds, patience};
use crate::sandbox::body::Body;
use crate::sandbox::cluster::Cluster;
use crate::sandbox::cluster::jobs::{self, Activation};
use crate::sandbox::cluster::state::{TENANT, rejected};
use crate::sandbox::grpc::framing::{self, Encoding, Status};
use crate::sandbox::grpc::messages::{
    ActivateJobsRequest, ActivateJobsResponse, ActivatedJob, StreamActivatedJobsRequest,
};

/// Answers with the jobs there are; when there are none, waits for the first.
pub(super) async fn activate(cluster: &Cluster, body: Incoming, encoding: Encoding) -> Response<Body> {
    let asked = framing::one::<ActivateJobsRequest>(body, encoding).await;
    let asked = asked.and_then(|asked| {
        let checked = activation(asked.r#type, asked.worker, asked.timeout, asked.max_jobs_to_activate)?;
        Ok((Activation { fetch: asked.fetch_variable, ..checked }, patience(asked.request_timeout)))
    });
    match asked {
        Err(status) => status.into_response(),
        Ok((asked, patience)) => {
            let jobs = cluster.poll_jobs(&asked, patience).await;
            if jobs.is_empty() {
                return framing::empty();
            }
            let answer = ActivateJobsResponse { jobs: jobs.into_iter().map(message).collect() };
            framing::streamed(Body::whole(framing::framed(&answer)))
        }
    }
}

/// Pushes jobs until the caller leaves. HTTP/2 flow control reaches the queue: one job waits at most.
pub(super) async fn stream(cluster: &Cluster, body: Incoming, encoding: Encoding) -> Response<Body> {
    let asked = framing::one::<StreamActivatedJobsRequest>(body, encoding).await;
    let asked = asked.and_then(|asked| {
        let checked = activation(asked.r#type, asked.worker, asked.timeout, 1)?;
        Ok(Activation { fetch: asked.fetch_variable, ..checked })
    });
    let asked = match asked {
        Ok(asked) => asked,
        Err(status) => return status.into_response(),
    };
    let (sender, receiver) = mpsc::channel(1);
    let cluster = cluster.clone();
    tokio::spawn(async move {
        // Room first, then a job: a job taken for a caller that is gone would be lost until its time is up.
        while let Ok(room) = sender.reserve().await {
            tokio::select! {
                jobs = cluster.next_jobs(&asked) => {
                    if let Some(job) = jobs.into_iter().next() {
                        room.send(Ok(framing::framed(&message(job))));
                    }
                }
                () = sender.closed() => return,
            }
        }
    });
    framing::streamed(Body::streamed(receiver))
}

fn activation(job_type: String, worker: String, timeout: i64, limit: i32) -> Result<Activation, Status> {
    let wrong = |what: &str| Err(Status::from(rejected("ACTIVATE", what)));
    match (job_type.trim(), timeout, limit) {
        ("", ..) => wrong("Expected to activate job batch with type to be present, but it was blank"),
        (_, ..=0, _) => wrong("Expected to activate job batch with timeout to be greater than zero"),
        (.., ..=0) => {
            wrong("Expected to activate job batch with max jobs to activate to be greater than zero")
        }
        _ => Ok(Activation {
            job_type,
            worker,
            timeout: milliseconds(timeout),
            limit: limit as usize,
            fetch: Vec::new(),
        }),
    }
}

fn message(job: jobs::ActivatedJob) -> ActivatedJob {
    let task = job.task();
    let headers = task.headers.iter().map(|(key, value)| (key.clone(), value.clone().into()));
    ActivatedJob {
        key: job.key,
        r#type: task.job_type.clone().unwrap_or_default(),
        process_instance_key: job.instance,
        bpmn_process_id: job.definition.process.id.clone(),
        process_definition_version: job.definition.version,
        process_definition_key: job.definition.key,
        element_id: task.element.clone(),
        element_instance_key: job.element,
        custom_headers: json(headers.collect()),
        worker: job.worker,
        retries: job.retries,
        deadline: job.deadline,
        variables: json(job.variables),
        tenant_id: TENANT.to_owned(),
    }
}
