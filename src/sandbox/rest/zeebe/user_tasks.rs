//! `/v2/user-tasks`.

use http::Method;
use serde_json::{Value, json};

use super::{object, page};
use crate::sandbox::cluster::state::{TENANT, UserTask};
use crate::sandbox::rest::Asked;
use crate::sandbox::rest::operate::timestamp;
use crate::sandbox::rest::reply::Reply;

/// The open tasks, the newest first.
pub(super) fn search(asked: &Asked) -> Result<Reply, Reply> {
    let limit = asked.json()?["page"]["limit"].as_u64().unwrap_or(100).min(10_000) as usize;
    Ok(asked.cluster.state(|state| {
        page(
            state.user_tasks.values().rev().take(limit).map(user_task_json).collect(),
            state.user_tasks.len(),
        )
    }))
}

/// One task: read, assigned, completed.
pub(super) fn one(asked: &Asked, key: i64) -> Result<Reply, Reply> {
    let body = asked.json()?;
    let assignee = |value: &Value| value.as_str().map(str::to_owned);
    match (&asked.head.method, &asked.segments[3..]) {
        (&Method::GET, []) => {
            let task = asked.cluster.state(|state| state.user_tasks.get(&key).map(user_task_json));
            return task.map(Reply::Json).ok_or_else(|| Reply::missing("User Task", &key.to_string()));
        }
        (&Method::POST, ["completion"]) => {
            let variables = object(&body["variables"]);
            asked.cluster.state(|state| state.complete_user_task(key, variables))?;
        }
        (&Method::POST, ["assignment"]) => {
            asked.cluster.state(|state| state.assign_user_task(key, assignee(&body["assignee"])))?;
        }
        (&Method::DELETE, ["assignee"]) => asked.cluster.state(|state| state.assign_user_task(key, None))?,
        _ => return Err(Reply::nothing()),
    }
    Ok(Reply::Done)
}

fn user_task_json(task: &UserTask) -> Value {
    json!({
        "userTaskKey": task.key.to_string(),
        "name": task.name,
        "state": "CREATED",
        "assignee": task.assignee,
        "elementId": task.element,
        "candidateGroups": [],
        "candidateUsers": [],
        "processInstanceKey": task.instance.to_string(),
        "processDefinitionId": task.definition.process.id,
        "processDefinitionVersion": task.definition.version,
        "processDefinitionKey": task.definition.key.to_string(),
        "creationDate": timestamp(task.created),
        "priority": 50,
        "tenantId": TENANT,
    })
}
