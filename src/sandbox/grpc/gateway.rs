//! `gateway_protocol.Gateway`: each method translates a message into a command of the engine.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use tokio::sync::mpsc;

use super::framing::{self, Code, Encoding, Status, unary};
use super::messages::*;
use crate::sandbox::VERSION;
use crate::sandbox::body::Body;
use crate::sandbox::cluster::Cluster;
use crate::sandbox::cluster::jobs::{self, Activation};
use crate::sandbox::cluster::state::{Definition, Rejection, TENANT, Variables, rejected};

/// The gateway's own patience when a caller states none.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers a call by the method's name.
pub(super) async fn call(
    cluster: &Cluster,
    method: &str,
    body: Incoming,
    encoding: Encoding,
) -> Response<Body> {
    macro_rules! commands {
        ($($name:literal => $answer:expr,)*) => {
            match method {
                "ActivateJobs" => activate_jobs(cluster, body, encoding).await,
                "StreamActivatedJobs" => stream_activated_jobs(cluster, body, encoding).await,
                $($name => unary(body, encoding, async |asked| {
                    cluster.held().await;
                    $answer(cluster, asked).await
                }).await,)*
                _ => {
                    let text = format!("Method not found: gateway_protocol.Gateway/{method}");
                    Status::new(Code::Unimplemented, text).into_response()
                }
            }
        };
    }
    commands! {
        "Topology" => topology,
        "DeployResource" => deploy_resource,
        "DeployProcess" => deploy_process,
        "CreateProcessInstance" => create,
        "CreateProcessInstanceWithResult" => create_with_result,
        "CompleteJob" => complete_job,
        "FailJob" => fail_job,
        "ThrowError" => throw_error,
        "UpdateJobRetries" => update_job_retries,
        "ResolveIncident" => resolve_incident,
        "PublishMessage" => publish_message,
        "CancelProcessInstance" => cancel,
        "SetVariables" => set_variables,
    }
}

async fn topology(_: &Cluster, _: TopologyRequest) -> Result<TopologyResponse, Status> {
    let partition = Partition { partition_id: 1, role: 0, health: 0 };
    let broker = BrokerInfo {
        node_id: 0,
        host: "localhost".to_owned(),
        port: 26501,
        partitions: vec![partition],
        version: VERSION.to_owned(),
    };
    Ok(TopologyResponse {
        brokers: vec![broker],
        cluster_size: 1,
        partitions_count: 1,
        replication_factor: 1,
        gateway_version: VERSION.to_owned(),
    })
}

async fn deploy_resource(
    cluster: &Cluster,
    asked: DeployResourceRequest,
) -> Result<DeployResourceResponse, Status> {
    let files: Vec<_> = asked.resources.into_iter().map(|file| (file.name, file.content)).collect();
    let (key, deployed) = cluster.state(|state| state.deploy(&files))?;
    let deployments = deployed
        .iter()
        .map(|definition| Deployment { metadata: Some(Metadata::Process(metadata(definition))) });
    Ok(DeployResourceResponse { key, deployments: deployments.collect(), tenant_id: TENANT.to_owned() })
}

async fn deploy_process(
    cluster: &Cluster,
    asked: DeployProcessRequest,
) -> Result<DeployProcessResponse, Status> {
    let files: Vec<_> = asked.processes.into_iter().map(|file| (file.name, file.definition)).collect();
    let (key, deployed) = cluster.state(|state| state.deploy(&files))?;
    Ok(DeployProcessResponse { key, processes: deployed.iter().map(metadata).collect() })
}

fn metadata(definition: &Arc<Definition>) -> ProcessMetadata {
    ProcessMetadata {
        bpmn_process_id: definition.process.id.clone(),
        version: definition.version,
        process_definition_key: definition.key,
        resource_name: definition.resource.clone(),
        tenant_id: TENANT.to_owned(),
    }
}

async fn create(
    cluster: &Cluster,
    asked: CreateProcessInstanceRequest,
) -> Result<CreateProcessInstanceResponse, Status> {
    let variables = variables(&asked.variables)?;
    let chosen = (asked.process_definition_key, asked.bpmn_process_id.as_str(), asked.version);
    let created = cluster.state(|state| state.create_instance(chosen, variables, false))?;
    Ok(CreateProcessInstanceResponse {
        process_definition_key: created.definition.key,
        bpmn_process_id: created.definition.process.id.clone(),
        version: created.definition.version,
        process_instance_key: created.key,
        tenant_id: TENANT.to_owned(),
    })
}

async fn create_with_result(
    cluster: &Cluster,
    asked: CreateProcessInstanceWithResultRequest,
) -> Result<CreateProcessInstanceWithResultResponse, Status> {
    let request = asked.request.unwrap_or_default();
    let given = variables(&request.variables)?;
    let chosen = (request.process_definition_key, request.bpmn_process_id.as_str(), request.version);
    let patience = patience(asked.request_timeout);
    let (key, definition, mut result) = cluster.run_instance(chosen, given, patience).await?;
    if !asked.fetch_variables.is_empty() {
        result.retain(|name, _| asked.fetch_variables.contains(name));
    }
    Ok(CreateProcessInstanceWithResultResponse {
        process_definition_key: definition.key,
        bpmn_process_id: definition.process.id.clone(),
        version: definition.version,
        process_instance_key: key,
        variables: json(result),
        tenant_id: TENANT.to_owned(),
    })
}

async fn complete_job(cluster: &Cluster, asked: CompleteJobRequest) -> Result<CompleteJobResponse, Status> {
    let variables = variables(&asked.variables)?;
    cluster.state(|state| state.complete_job(asked.job_key, variables))?;
    Ok(CompleteJobResponse {})
}

async fn fail_job(cluster: &Cluster, asked: FailJobRequest) -> Result<FailJobResponse, Status> {
    let variables = variables(&asked.variables)?;
    let back_off = milliseconds(asked.retry_back_off);
    cluster.state(|state| {
        state.fail_job(asked.job_key, asked.retries, asked.error_message, back_off, variables)
    })?;
    Ok(FailJobResponse {})
}

async fn throw_error(cluster: &Cluster, asked: ThrowErrorRequest) -> Result<ThrowErrorResponse, Status> {
    cluster.state(|state| state.throw_error(asked.job_key, &asked.error_code, &asked.error_message))?;
    Ok(ThrowErrorResponse {})
}

async fn update_job_retries(
    cluster: &Cluster,
    asked: UpdateJobRetriesRequest,
) -> Result<UpdateJobRetriesResponse, Status> {
    cluster.state(|state| state.update_retries(asked.job_key, asked.retries))?;
    Ok(UpdateJobRetriesResponse {})
}

async fn resolve_incident(
    cluster: &Cluster,
    asked: ResolveIncidentRequest,
) -> Result<ResolveIncidentResponse, Status> {
    cluster.state(|state| state.resolve_incident(asked.incident_key))?;
    Ok(ResolveIncidentResponse {})
}

async fn publish_message(
    cluster: &Cluster,
    asked: PublishMessageRequest,
) -> Result<PublishMessageResponse, Status> {
    variables(&asked.variables)?;
    let life = milliseconds(asked.time_to_live);
    let key = cluster.state(|state| state.publish(&asked.name, &asked.message_id, life))?;
    Ok(PublishMessageResponse { key, tenant_id: TENANT.to_owned() })
}

async fn cancel(
    cluster: &Cluster,
    asked: CancelProcessInstanceRequest,
) -> Result<CancelProcessInstanceResponse, Status> {
    cluster.state(|state| state.cancel_instance(asked.process_instance_key))?;
    Ok(CancelProcessInstanceResponse {})
}

async fn set_variables(
    cluster: &Cluster,
    asked: SetVariablesRequest,
) -> Result<SetVariablesResponse, Status> {
    let variables = variables(&asked.variables)?;
    let key = cluster.state(|state| state.set_variables(asked.element_instance_key, variables))?;
    Ok(SetVariablesResponse { key })
}

/// Answers with the jobs there are; when there are none, waits for the first.
async fn activate_jobs(cluster: &Cluster, body: Incoming, encoding: Encoding) -> Response<Body> {
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
async fn stream_activated_jobs(cluster: &Cluster, body: Incoming, encoding: Encoding) -> Response<Body> {
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

/// Variables come as the text of a JSON object; none at all is an empty one.
fn variables(text: &str) -> Result<Variables, Status> {
    if text.is_empty() {
        return Ok(Variables::new());
    }
    serde_json::from_str(text).map_err(|cause| {
        let text = format!("Property 'variables' is invalid: Expected document to be a root level object, but was not: {cause}");
        Rejection::Invalid(text).into()
    })
}

fn json(variables: Variables) -> String {
    serde_json::Value::Object(variables).to_string()
}

/// Zero is the gateway's own patience, below zero none.
fn patience(requested: i64) -> Duration {
    if requested == 0 { PATIENCE } else { milliseconds(requested) }
}

fn milliseconds(time: i64) -> Duration {
    // A year is as good as for ever, and cannot overflow a time.
    Duration::from_millis(u64::try_from(time).unwrap_or(0)).min(Duration::from_secs(365 * 86_400))
}
