//! Optimize's public and ingestion APIs.

use http::Method;
use serde_json::json;

use super::Asked;
use super::reply::Reply;

/// Answers one request.
pub(super) fn answer(asked: &Asked) -> Reply {
    answered(asked).unwrap_or_else(|reply| reply)
}

fn answered(asked: &Asked) -> Result<Reply, Reply> {
    match (&asked.head.method, asked.segments) {
        (&Method::GET, ["api", "readyz"]) => Ok(Reply::Json(json!({}))),
        (&Method::GET, ["api", "public", "dashboard" | "report"]) => {
            Ok(Reply::Json(json!([{ "id": "9b0f1c1e-0000-4000-8000-000000000001" }])))
        }
        (&Method::POST, ["api", "public", "dashboard" | "report", "search"]) => {
            asked.json()?;
            let processes = asked.cluster.state(|state| state.definitions.len());
            Ok(Reply::Json(json!({ "items": [], "total": 0, "processDefinitions": processes })))
        }
        (&Method::POST, ["api", "public", "variables", "labels"]) => asked.json().map(|_| Reply::Done),
        (&Method::POST, ["api", "ingestion", "variable"]) => match asked.json()? {
            list if list.is_array() => Ok(Reply::Done),
            _ => Err(Reply::invalid("a list of variables is expected")),
        },
        _ => Err(Reply::nothing()),
    }
}
