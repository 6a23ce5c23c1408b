//! `/v2/jobs`: activation with its long poll, and what a worker says of a job.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{milliseconds, object};
use crate::sandbox::cluster::jobs::{ActivatedJob, Activation};
use crate::sandbox::cluster::state::{TENANT, Variables};
use crate::sandbox::rest::Asked;
use crate::sandbox::rest::reply::Reply;

/// Answers with the jobs there are; when there are none, waits for the first.
pub(super) async fn activate(asked: &Asked<'_>) -> Result<Reply, Reply> {
    let body = asked.json()?;
    let limit = body["maxJobsToActivate"].as_u64().unwrap_or(0) as usize;
    let job_type = body["type"].as_str().unwrap_or_default().to_owned();
    let timeout = milliseconds(&body["timeout"], 0);
    if job_type.is_empty() || limit == 0 || timeout.is_zero() {
        return Err(Reply::invalid(
            "No type, timeout or maxJobsToActivate provided, or one that is not greater than 0.",
        ));
    }
    let fetch = body["fetchVariable"].as_array().into_iter().flatten();
    let wanted = Activation {
        job_type,
        worker: body["worker"].as_str().unwrap_or_default().to_owned(),
        timeout,
        limit,
        fetch: fetch.filter_map(|name| name.as_str().map(str::to_owned)).collect(),
    };
    let patience = match body["requestTimeout"].as_i64() {
        None | Some(0) => Duration::from_secs(10),
        Some(..0) => Duration::ZERO,
        Some(_) => milliseconds(&body["requestTimeout"], 0),
    };
    let jobs = asked.cluster.poll_jobs(&wanted, patience).await;
    let jobs: Vec<Value> = jobs.iter().map(job_json).collect();
    Ok(Reply::Json(json!({ "jobs": jobs })))
}

fn job_json(job: &ActivatedJob) -> Value {
    let task = job.task();
    let headers = task.headers.iter().map(|(key, value)| (key.clone(), Value::from(value.clone())));
    json!({
        "jobKey": job.key.to_string(),
        "type": task.job_type,
        "processInstanceKey": job.instance.to_string(),
        "processDefinitionId": job.definition.process.id,
        "processDefinitionVersion": job.definition.version,
        "processDefinitionKey": job.definition.key.to_string(),
        "elementId": task.element,
        "elementInstanceKey": job.element.to_string(),
        "customHeaders": headers.collect::<Variables>(),
        "worker": job.worker,
        "retries": job.retries,
        "deadline": job.deadline,
        "variables": job.variables,
        "tenantId": TENANT,
    })
}

/// Completes or fails a job, throws an error at it, changes its retries.
pub(super) fn job(asked: &Asked, key: i64) -> Result<Reply, Reply> {
    let body = asked.json()?;
    let variables = object(&body["variables"]);
    match (&asked.head.method, &asked.segments[3..]) {
        (&Method::POST, ["completion"]) => asked.cluster.state(|state| state.complete_job(key, variables))?,
        (&Method::POST, ["failure"]) => {
            let retries = body["retries"].as_i64().unwrap_or(0) as i32;
            let message = body["errorMessage"].as_str().unwrap_or_default().to_owned();
            let back_off = milliseconds(&body["retryBackOff"], 0);
            asked.cluster.state(|state| state.fail_job(key, retries, message, back_off, variables))?;
        }
        (&Method::POST, ["error"]) => {
            let code = body["errorCode"].as_str().unwrap_or_default();
            let message = body["errorMessage"].as_str().unwrap_or_default();
            asked.cluster.state(|state| state.throw_error(key, code, message))?;
        }
        (&Method::PATCH, []) => {
            let retries = body["changeset"]["retries"].as_i64().unwrap_or(0) as i32;
            asked.cluster.state(|state| state.update_retries(key, retries))?;
        }
        _ => return Err(Reply::nothing()),
    }
    Ok(Reply::Done)
}
