//! The orchestration cluster's REST API: `/v2`, and the topology of `/v1`.

mod content;
mod jobs;
mod user_tasks;

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::reply::Reply;
use super::{Asked, multipart};
use crate::sandbox::VERSION;
use crate::sandbox::cluster::state::{Instance, Progress, State, TENANT, Variables};
use crate::sandbox::rest::operate::timestamp;

/// Whether a path needs no token.
pub(super) fn is_open(path: &str) -> bool {
    matches!(path, "/v2/license" | "/v2/status")
}

/// Answers one request.
pub(super) async fn answer(asked: &Asked<'_>) -> Reply {
    answered(asked).await.unwrap_or_else(|reply| reply)
}

async fn answered(asked: &Asked<'_>) -> Result<Reply, Reply> {
    let cluster = asked.cluster;
    let method = &asked.head.method;
    match (method, asked.segments) {
        (&Method::GET, ["v1" | "v2", "topology"]) => Ok(topology()),
        (&Method::GET, ["v2", "license"]) => Ok(Reply::Json(
            json!({ "validLicense": true, "licenseType": "saas", "isCommercial": false, "expiresAt": null }),
        )),
        (&Method::GET, ["v2", "status"]) => Ok(Reply::Done),
        (&Method::POST, ["v2", "deployments"]) => deploy(asked),
        (&Method::POST, ["v2", "process-instances"]) => create(asked).await,
        (&Method::POST, ["v2", "process-instances", "search"]) => instances(asked),
        (&Method::GET, ["v2", "process-instances", key]) => {
            let instance = cluster.state(|state| state.instances.get(&number(key)?).map(instance_json));
            instance.map(Reply::Json).ok_or_else(|| Reply::missing("Process Instance", key))
        }
        (&Method::POST, ["v2", "process-instances", key, "cancellation"]) => {
            cluster.state(|state| state.cancel_instance(number(key).unwrap_or(-1)))?;
            Ok(Reply::Done)
        }
        (&Method::POST, ["v2", "jobs", "activation"]) => jobs::activate(asked).await,
        (_, ["v2", "jobs", key, ..]) => {
            jobs::job(asked, number(key).ok_or_else(|| Reply::missing("Job", key))?)
        }
        (&Method::POST, ["v2", "user-tasks", "search"]) => user_tasks::search(asked),
        (_, ["v2", "user-tasks", key, ..]) => {
            user_tasks::one(asked, number(key).ok_or_else(|| Reply::missing("User Task", key))?)
        }
        (&Method::PUT, ["v2", "element-instances", key, "variables"]) => {
            let variables = object(&asked.json()?["variables"]);
            cluster.state(|state| state.set_variables(number(key).unwrap_or(-1), variables))?;
            Ok(Reply::Done)
        }
        (&Method::POST, ["v2", "messages", "publication"]) => publish(asked),
        (&Method::GET, ["v2", "documents", "stream"]) => Ok(content::stream(asked)),
        (&Method::POST, ["v2", "documents"]) => Ok(content::echo(asked)),
        (&Method::GET, ["v2", "resources", _, "content", "binary"]) => Ok(content::large(asked)),
        (&Method::DELETE, ["v2", ..]) => Err(Reply::Problem(
            StatusCode::METHOD_NOT_ALLOWED,
            "Method Not Allowed",
            "Method 'DELETE' is not supported.".to_owned(),
        )),
        _ => Err(Reply::nothing()),
    }
}

fn topology() -> Reply {
    Reply::Written(TOPOLOGY.clone())
}

/// Written once: load is measured with this answer, and it should not be serde's time that shows.
static TOPOLOGY: LazyLock<Bytes> = LazyLock::new(|| {
    let partition = json!({ "partitionId": 1, "role": "leader", "health": "healthy" });
    let broker = json!({
        "nodeId": 0, "host": "localhost", "port": 26501, "partitions": [partition], "version": VERSION,
    });
    let topology = json!({
        "brokers": [broker], "clusterSize": 1, "partitionsCount": 1, "replicationFactor": 1,
        "gatewayVersion": VERSION, "lastCompletedChangeId": "-1",
    });
    topology.to_string().into()
});

fn deploy(asked: &Asked) -> Result<Reply, Reply> {
    let kind = asked.head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let files = multipart::files(kind, &asked.body)
        .ok_or_else(|| Reply::invalid("Required part 'resources' is not present."))?;
    let (key, deployed) = asked.cluster.state(|state| state.deploy(&files))?;
    let deployments = deployed.iter().map(|definition| {
        json!({ "processDefinition": {
            "processDefinitionId": definition.process.id,
            "processDefinitionVersion": definition.version,
            "processDefinitionKey": definition.key.to_string(),
            "resourceName": definition.resource,
            "tenantId": TENANT,
        } })
    });
    let deployments: Vec<Value> = deployments.collect();
    Ok(Reply::Json(
        json!({ "deploymentKey": key.to_string(), "tenantId": TENANT, "deployments": deployments }),
    ))
}

async fn create(asked: &Asked<'_>) -> Result<Reply, Reply> {
    let body = asked.json()?;
    let id = body["processDefinitionId"].as_str().unwrap_or_default();
    let version = body["processDefinitionVersion"].as_i64().unwrap_or(-1) as i32;
    let chosen = (key_in(&body, "processDefinitionKey").unwrap_or(-1), id, version);
    let variables = object(&body["variables"]);
    let (key, definition, variables) = match body["awaitCompletion"].as_bool() {
        Some(true) => {
            let patience = milliseconds(&body["requestTimeout"], 10_000);
            asked.cluster.run_instance(chosen, variables, patience).await?
        }
        _ => {
            let created = asked.cluster.state(|state| state.create_instance(chosen, variables, false))?;
            (created.key, created.definition, Variables::new())
        }
    };
    Ok(Reply::Json(json!({
        "processDefinitionId": definition.process.id,
        "processDefinitionVersion": definition.version,
        "processDefinitionKey": definition.key.to_string(),
        "processInstanceKey": key.to_string(),
        "tenantId": TENANT,
        "variables": variables,
    })))
}

fn instances(asked: &Asked) -> Result<Reply, Reply> {
    let body = asked.json()?;
    let filter = body["filter"]["processDefinitionId"].as_str();
    let limit = body["page"]["limit"].as_u64().unwrap_or(100).min(10_000) as usize;
    Ok(asked.cluster.state(|state| {
        let fits = |instance: &&Instance| filter.is_none_or(|id| instance.definition.process.id == id);
        let found = state.instances.values().rev().filter(fits).take(limit).map(instance_json).collect();
        page(found, state.instances.len())
    }))
}

fn instance_json(instance: &Instance) -> Value {
    json!({
        "processInstanceKey": instance.key.to_string(),
        "processDefinitionId": instance.definition.process.id,
        "processDefinitionName": instance.definition.process.name,
        "processDefinitionVersion": instance.definition.version,
        "processDefinitionKey": instance.definition.key.to_string(),
        "startDate": timestamp(instance.started),
        "endDate": instance.ended.map(timestamp),
        "state": match instance.progress {
            Progress::Active => "ACTIVE",
            Progress::Completed => "COMPLETED",
            Progress::Canceled => "TERMINATED",
        },
        "hasIncident": instance.incident,
        "tenantId": TENANT,
    })
}

fn publish(asked: &Asked) -> Result<Reply, Reply> {
    let body = asked.json()?;
    let name = body["name"].as_str().ok_or_else(|| Reply::invalid("No messageName provided."))?;
    let id = body["messageId"].as_str().unwrap_or_default();
    let life = milliseconds(&body["timeToLive"], 0);
    let key = asked.cluster.state(|state: &mut State| state.publish(name, id, life))?;
    Ok(Reply::Json(json!({ "messageKey": key.to_string(), "tenantId": TENANT })))
}

fn page(items: Vec<Value>, total: usize) -> Reply {
    Reply::Json(json!({
        "items": items,
        "page": { "totalItems": total, "hasMoreTotalItems": false, "startCursor": null, "endCursor": null },
    }))
}

/// Keys are texts since 8.8, and were numbers before.
fn key_in(body: &Value, name: &str) -> Option<i64> {
    body[name].as_i64().or_else(|| number(body[name].as_str()?))
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

fn object(value: &Value) -> Variables {
    value.as_object().cloned().unwrap_or_default()
}

fn milliseconds(value: &Value, default: u64) -> Duration {
    // A year is as good as for ever, and cannot overflow a time.
    Duration::from_millis(value.as_u64().unwrap_or(default)).min(Duration::from_secs(365 * 86_400))
}
