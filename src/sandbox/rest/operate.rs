//! Operate's API, `/v1`.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Asked;
use super::reply::Reply;
use crate::sandbox::cluster::state::{Definition, Incident, Instance, Progress, State, TENANT};

/// Answers one request.
pub(super) fn answer(asked: &Asked) -> Reply {
    answered(asked).unwrap_or_else(|reply| reply)
}

fn answered(asked: &Asked) -> Result<Reply, Reply> {
    match (&asked.head.method, asked.segments) {
        (&Method::POST, ["v1", what, "search"]) => {
            let body = asked.json()?;
            asked.cluster.state(|state| search(state, what, &body)).ok_or_else(Reply::nothing)
        }
        (&Method::GET, ["v1", what, key]) => {
            let found = asked.cluster.state(|state| one(state, what, key.parse().ok()?));
            found.map(Reply::Json).ok_or_else(|| Reply::missing(what, key))
        }
        (&Method::DELETE, ["v1", "process-instances", key]) => {
            let unknown = || Reply::missing("process-instances", key);
            let number = key.parse().map_err(|_| unknown())?;
            asked.cluster.state(|state| state.delete_instance(number))?;
            let message = format!("1 process instances deleted. Process instance key: {key}");
            Ok(Reply::Json(json!({ "message": message, "deleted": 1 })))
        }
        (&Method::DELETE, ["v1", ..]) => {
            let text = "Request method 'DELETE' is not supported".to_owned();
            Err(Reply::Problem(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", text))
        }
        _ => Err(Reply::nothing()),
    }
}

fn search(state: &State, what: &str, body: &Value) -> Option<Reply> {
    let size = body["size"].as_u64().unwrap_or(10).min(1000) as usize;
    let filter = &body["filter"];
    let id = filter["bpmnProcessId"].as_str();
    let (items, total) = match what {
        "process-instances" => {
            let wanted = filter["state"].as_str();
            let fits = |instance: &&Instance| {
                id.is_none_or(|id| instance.definition.process.id == id)
                    && wanted.is_none_or(|wanted| progress(instance) == wanted)
                    && filter["key"].as_i64().is_none_or(|key| instance.key == key)
            };
            let found = state.instances.values().rev().filter(fits).take(size).map(instance).collect();
            (found, state.instances.len())
        }
        "process-definitions" => {
            let fits =
                |definition: &&std::sync::Arc<Definition>| id.is_none_or(|id| definition.process.id == id);
            let found = state.definitions.values().rev().filter(fits).take(size);
            (found.map(|found| definition(found)).collect(), state.definitions.len())
        }
        "incidents" => {
            (state.incidents.values().rev().take(size).map(incident).collect(), state.incidents.len())
        }
        "variables" => {
            let scope = filter["processInstanceKey"].as_i64();
            let fits = |instance: &&Instance| scope.is_none_or(|key| instance.key == key);
            let instances = state.instances.values().rev().filter(fits);
            let found = instances
                .flat_map(|instance| instance.variables.keys().map(move |name| variable(instance, name)));
            (found.take(size).collect(), state.variables.len())
        }
        "flownode-instances" => (Vec::new(), 0),
        _ => return None,
    };
    Some(items_of(items, total))
}

fn items_of(items: Vec<Value>, total: usize) -> Reply {
    let last = items.last().map(|item| item["key"].clone());
    Reply::Json(
        json!({ "items": items, "sortValues": last.map(|key| vec![key]).unwrap_or_default(), "total": total }),
    )
}

fn one(state: &State, what: &str, key: i64) -> Option<Value> {
    match what {
        "process-instances" => state.instances.get(&key).map(instance),
        "process-definitions" => state.definitions.get(&key).map(|found| definition(found)),
        "incidents" => state.incidents.get(&key).map(incident),
        "variables" => {
            let (scope, name) = state.variables.get(&key)?;
            state.instances.get(scope).map(|instance| variable(instance, name))
        }
        _ => None,
    }
}

fn progress(instance: &Instance) -> &'static str {
    match instance.progress {
        Progress::Active => "ACTIVE",
        Progress::Completed => "COMPLETED",
        Progress::Canceled => "CANCELED",
    }
}

fn instance(instance: &Instance) -> Value {
    json!({
        "key": instance.key,
        "processVersion": instance.definition.version,
        "bpmnProcessId": instance.definition.process.id,
        "startDate": timestamp(instance.started),
        "endDate": instance.ended.map(timestamp),
        "state": progress(instance),
        "incident": instance.incident,
        "processDefinitionKey": instance.definition.key,
        "tenantId": TENANT,
    })
}

fn definition(definition: &Definition) -> Value {
    json!({
        "key": definition.key,
        "name": definition.process.name,
        "version": definition.version,
        "bpmnProcessId": definition.process.id,
        "tenantId": TENANT,
    })
}

fn incident(incident: &Incident) -> Value {
    json!({
        "key": incident.key,
        "processDefinitionKey": incident.definition,
        "processInstanceKey": incident.instance,
        "type": incident.kind,
        "message": incident.message,
        "creationTime": timestamp(incident.created),
        "state": "ACTIVE",
        "jobKey": incident.job,
        "tenantId": TENANT,
    })
}

fn variable(instance: &Instance, name: &str) -> Value {
    let variable = instance.variables.get(name);
    json!({
        "key": variable.map(|variable| variable.key),
        "processInstanceKey": instance.key,
        "scopeKey": instance.key,
        "name": name,
        "value": variable.map(|variable| variable.value.to_string()),
        "truncated": false,
        "tenantId": TENANT,
    })
}

/// RFC 3339 in UTC with milliseconds, as the components write times.
pub(super) fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = ((since.as_secs() / 86_400) as i64, since.as_secs() % 86_400);
    // Days to a date, by eras of 400 years that begin on the first of March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}+0000",
        since.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_dates() {
        let at = |seconds| timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000+0000");
        assert_eq!(at(951_826_154), "2000-02-29T12:09:14.000+0000");
        assert_eq!(at(1_795_437_296), "2026-11-23T12:34:56.000+0000");
    }
}
