//! Tasklist's API: `/v1` and GraphQL.

use http::Method;
use serde_json::{Value, json};

use super::Asked;
use super::operate::timestamp;
use super::reply::Reply;
use crate::sandbox::cluster::state::{State, TENANT, UserTask, Variables};

/// Answers one request.
pub(super) fn answer(asked: &Asked) -> Reply {
    answered(asked).unwrap_or_else(|reply| reply)
}

fn answered(asked: &Asked) -> Result<Reply, Reply> {
    match (&asked.head.method, asked.segments) {
        (&Method::POST, ["v1", "tasks", "search"]) => Ok(Reply::Json(Value::Array(tasks(asked)?))),
        (&Method::GET, ["v1", "tasks", id]) => Ok(Reply::Json(task(asked, id)?)),
        (&Method::PATCH, ["v1", "tasks", id, action]) => change(asked, id, action),
        (&Method::GET, ["v1", "variables", id]) => {
            let found = asked.cluster.state(|state| variable(state, id));
            found.map(Reply::Json).ok_or_else(|| Reply::missing("variable", id))
        }
        (&Method::POST, ["graphql"]) => {
            let query = asked.json()?["query"].as_str().unwrap_or_default().to_owned();
            Ok(Reply::Json(match query.contains("tasks") {
                true => json!({ "data": { "tasks": tasks(asked)? } }),
                false => json!({ "errors": [{ "message": "the sandbox knows the query `tasks` alone" }] }),
            }))
        }
        _ => Err(Reply::nothing()),
    }
}

fn tasks(asked: &Asked) -> Result<Vec<Value>, Reply> {
    let body = asked.json()?;
    let size = body["pageSize"].as_u64().unwrap_or(50).min(1000) as usize;
    let assignee = body["assignee"].as_str();
    // Completed tasks are not kept.
    if matches!(body["state"].as_str(), Some("COMPLETED" | "CANCELED")) {
        return Ok(Vec::new());
    }
    let fits = |task: &&UserTask| assignee.is_none_or(|name| task.assignee.as_deref() == Some(name));
    Ok(asked
        .cluster
        .state(|state| state.user_tasks.values().rev().filter(fits).take(size).map(task_json).collect()))
}

fn task(asked: &Asked, id: &str) -> Result<Value, Reply> {
    let found = asked.cluster.state(|state| state.user_tasks.get(&id.parse().ok()?).map(task_json));
    found.ok_or_else(|| Reply::missing("task", id))
}

fn change(asked: &Asked, id: &str, action: &str) -> Result<Reply, Reply> {
    let body = asked.json()?;
    let mut task = task(asked, id)?;
    let key = id.parse().unwrap_or(-1);
    match action {
        "assign" => {
            let to = body["assignee"].as_str().map(str::to_owned);
            task["assignee"] = json!(to);
            asked.cluster.state(|state| state.assign_user_task(key, to))?;
        }
        "unassign" => {
            task["assignee"] = Value::Null;
            asked.cluster.state(|state| state.assign_user_task(key, None))?;
        }
        "complete" => {
            // Here variables are a list, and their values texts of JSON.
            let given = body["variables"].as_array().into_iter().flatten();
            let variables = given.filter_map(|variable| {
                let value = serde_json::from_str(variable["value"].as_str()?).ok()?;
                Some((variable["name"].as_str()?.to_owned(), value))
            });
            let variables: Variables = variables.collect();
            asked.cluster.state(|state| state.complete_user_task(key, variables))?;
            task["taskState"] = json!("COMPLETED");
        }
        _ => return Err(Reply::nothing()),
    }
    Ok(Reply::Json(task))
}

fn task_json(task: &UserTask) -> Value {
    json!({
        "id": task.key.to_string(),
        "name": task.name,
        "taskDefinitionId": task.element,
        "processName": task.definition.process.name,
        "creationDate": timestamp(task.created),
        "assignee": task.assignee,
        "taskState": "CREATED",
        "processDefinitionKey": task.definition.key.to_string(),
        "processInstanceKey": task.instance.to_string(),
        "tenantId": TENANT,
    })
}

/// By the variable's key, or by `<instance key>-<name>` as Tasklist itself names them.
fn variable(state: &State, id: &str) -> Option<Value> {
    let (scope, name) = match id.split_once('-') {
        Some((scope, name)) => (scope.parse().ok()?, name.to_owned()),
        None => state.variables.get(&id.parse().ok()?)?.clone(),
    };
    let value = &state.instances.get(&scope)?.variables.get(&name)?.value;
    Some(
        json!({ "id": format!("{scope}-{name}"), "name": name, "value": value.to_string(), "tenantId": TENANT }),
    )
}
