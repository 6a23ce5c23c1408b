//! `gateway_protocol.Gateway`: each method translates a message into a command of the engine.

mod jobs;

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;

use super::framing::{Code, Encoding, Status, unary};
use super::messages::*;
use crate::sandbox::VERSION;
use crate::sandbox::body::Body;
use crate::sandbox::cluster::Cluster;
use crate::sandbox::cluster::state::{Definition, Rejection, TENANT, Variables};

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
                "ActivateJobs" => jobs::activate(cluster, body, encoding).await,
                "StreamActivatedJobs" => jobs::stream(cluster, body, encoding).await,
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
