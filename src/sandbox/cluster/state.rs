//! The engine's memory: definitions, instances, what they wait at, and what was published.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::bpmn::{Process, Task};

/// Variables as JSON.
pub(in crate::sandbox) type Variables = Map<String, Value>;

/// The only tenant.
pub(in crate::sandbox) const TENANT: &str = "<default>";

/// Zeebe's first key on partition 1: the partition's number stands in the upper bits.
const FIRST_KEY: i64 = (1 << 51) + 1;

/// Finished instances that can still be found; older ones are forgotten.
const FINISHED_KEPT: usize = 10_000;

/// Why a command was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Rejection {
    NotFound(String),
    Invalid(String),
    Precondition(String),
    Exists(String),
    Timeout(String),
}

#[derive(Default)]
pub(in crate::sandbox) struct State {
    last_key: i64,
    pub(super) versions: HashMap<String, Vec<Arc<Definition>>>,
    pub(in crate::sandbox) definitions: BTreeMap<i64, Arc<Definition>>,
    pub(in crate::sandbox) instances: BTreeMap<i64, Instance>,
    pub(super) finished: VecDeque<i64>,
    pub(super) jobs: HashMap<i64, Job>,
    pub(super) queues: HashMap<String, Queue>,
    pub(in crate::sandbox) user_tasks: BTreeMap<i64, UserTask>,
    pub(in crate::sandbox) incidents: BTreeMap<i64, Incident>,
    pub(in crate::sandbox) variables: HashMap<i64, (i64, String)>,
    pub(super) messages: HashMap<String, Instant>,
}

/// A deployed process in one version.
#[derive(Debug)]
pub(in crate::sandbox) struct Definition {
    pub(in crate::sandbox) key: i64,
    pub(in crate::sandbox) version: i32,
    pub(in crate::sandbox) process: Process,
    pub(in crate::sandbox) resource: String,
    pub(super) text: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Progress {
    Active,
    Completed,
    Canceled,
}

pub(in crate::sandbox) struct Instance {
    pub(in crate::sandbox) key: i64,
    pub(in crate::sandbox) definition: Arc<Definition>,
    pub(in crate::sandbox) progress: Progress,
    pub(in crate::sandbox) incident: bool,
    pub(in crate::sandbox) started: SystemTime,
    pub(in crate::sandbox) ended: Option<SystemTime>,
    pub(in crate::sandbox) variables: BTreeMap<String, Variable>,
    pub(super) step: usize,
    pub(super) waits_at: Option<i64>,
    pub(super) waiters: Vec<oneshot::Sender<Variables>>,
}

pub(in crate::sandbox) struct Variable {
    pub(in crate::sandbox) key: i64,
    pub(in crate::sandbox) value: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JobState {
    Ready,
    /// Activated, or backing off: ready again at this time.
    Until(Instant, bool),
    /// Out of retries.
    Failed,
}

pub(super) struct Job {
    pub(super) instance: i64,
    pub(super) definition: Arc<Definition>,
    pub(super) step: usize,
    pub(super) element: i64,
    pub(super) retries: i32,
    pub(super) state: JobState,
    pub(super) incident: Option<i64>,
}

impl Job {
    pub(super) fn task(&self) -> &Task {
        &self.definition.process.tasks[self.step]
    }
}

/// The jobs of one type.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) ready: VecDeque<i64>,
    pub(super) later: BTreeSet<(Instant, i64)>,
    pub(super) arrived: Arc<Notify>,
}

pub(in crate::sandbox) struct UserTask {
    pub(in crate::sandbox) key: i64,
    pub(in crate::sandbox) instance: i64,
    pub(in crate::sandbox) definition: Arc<Definition>,
    pub(in crate::sandbox) element: String,
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) assignee: Option<String>,
    pub(in crate::sandbox) created: SystemTime,
}

pub(in crate::sandbox) struct Incident {
    pub(in crate::sandbox) key: i64,
    pub(in crate::sandbox) instance: i64,
    pub(in crate::sandbox) definition: i64,
    pub(in crate::sandbox) job: i64,
    pub(in crate::sandbox) kind: &'static str,
    pub(in crate::sandbox) message: String,
    pub(in crate::sandbox) created: SystemTime,
}

impl Instance {
    /// The variables named, or all when none is.
    pub(in crate::sandbox) fn chosen(&self, names: &[String]) -> Variables {
        let value = |(name, variable): (&String, &Variable)| (name.clone(), variable.value.clone());
        match names {
            [] => self.variables.iter().map(value).collect(),
            _ => names.iter().filter_map(|name| self.variables.get_key_value(name)).map(value).collect(),
        }
    }
}

impl State {
    pub(super) fn key(&mut self) -> i64 {
        self.last_key = self.last_key.max(FIRST_KEY - 1) + 1;
        self.last_key
    }

    /// Deploys the processes of the files: all or none.
    pub(in crate::sandbox) fn deploy(
        &mut self,
        files: &[(String, Vec<u8>)],
    ) -> Result<(i64, Vec<Arc<Definition>>), Rejection> {
        if files.is_empty() {
            return Err(rejected("CREATE", "Expected to deploy at least one resource, but none given"));
        }
        let mut parsed = Vec::new();
        for (name, content) in files {
            let refused = |reason: String| {
                rejected(
                    "CREATE",
                    &format!(
                        "Expected to deploy new resources, but encountered the following errors:\n'{name}': {reason}"
                    ),
                )
            };
            let text = std::str::from_utf8(content).map_err(|_| refused("not UTF-8".to_owned()))?;
            let text: Arc<str> = text.into();
            for process in super::bpmn::parse(&text).map_err(refused)? {
                parsed.push((name.clone(), text.clone(), process));
            }
        }
        let key = self.key();
        let deployed =
            parsed.into_iter().map(|(name, text, process)| self.define(name, text, process)).collect();
        Ok((key, deployed))
    }

    /// The same file again is the same version again.
    fn define(&mut self, resource: String, text: Arc<str>, process: Process) -> Arc<Definition> {
        let versions = self.versions.get(&process.id).map(Vec::as_slice).unwrap_or_default();
        if let Some(last) = versions.last().filter(|last| last.text == text && last.resource == resource) {
            return last.clone();
        }
        let version = versions.len() as i32 + 1;
        let key = self.key();
        let id = process.id.clone();
        let definition = Arc::new(Definition { key, version, process, resource, text });
        self.versions.entry(id).or_default().push(definition.clone());
        self.definitions.insert(key, definition.clone());
        definition
    }

    /// A definition by key, or by process id and version (below 1 for the latest).
    pub(super) fn definition(&self, key: i64, id: &str, version: i32) -> Result<Arc<Definition>, Rejection> {
        let (found, searched) = match (key, id) {
            (1.., _) => (self.definitions.get(&key), format!("key '{key}'")),
            (_, "") => {
                return Err(rejected(
                    "CREATE",
                    "Expected either a bpmnProcessId or a key greater than -1, but none given",
                ));
            }
            _ if version < 1 => {
                (self.versions.get(id).and_then(|all| all.last()), format!("process ID '{id}'"))
            }
            _ => {
                let found = self.versions.get(id).and_then(|all| all.get(version as usize - 1));
                (found, format!("process ID '{id}' and version '{version}'"))
            }
        };
        found.cloned().ok_or_else(|| {
            let text = format!("Expected to find process definition with {searched}, but none found");
            Rejection::NotFound(format!("Command 'CREATE' rejected with code 'NOT_FOUND': {text}"))
        })
    }

    /// Publishes a message. One with an id is refused while an earlier one with the same id lives.
    pub(in crate::sandbox) fn publish(
        &mut self,
        name: &str,
        id: &str,
        life: Duration,
    ) -> Result<i64, Rejection> {
        let now = Instant::now();
        if !id.is_empty() {
            if self.messages.len() > FINISHED_KEPT {
                self.messages.retain(|_, end| *end > now);
            }
            let id = format!("{name}\n{id}");
            if self.messages.get(&id).is_some_and(|end| *end > now) {
                return Err(Rejection::Exists(
                    "Command 'PUBLISH' rejected with code 'ALREADY_EXISTS': a message with that id was already published"
                        .to_owned(),
                ));
            }
            self.messages.insert(id, now + life);
        }
        Ok(self.key())
    }

    pub(super) fn forget_finished(&mut self, key: i64) {
        self.finished.push_back(key);
        if self.finished.len() > FINISHED_KEPT
            && let Some(oldest) = self.finished.pop_front()
        {
            self.forget(oldest);
        }
    }

    /// Removes an instance with its variables.
    pub(super) fn forget(&mut self, key: i64) {
        for variable in self.instances.remove(&key).into_iter().flat_map(|instance| instance.variables) {
            self.variables.remove(&variable.1.key);
        }
    }
}

/// An INVALID_ARGUMENT in the engine's words.
pub(in crate::sandbox) fn rejected(command: &str, reason: &str) -> Rejection {
    Rejection::Invalid(format!("Command '{command}' rejected with code 'INVALID_ARGUMENT': {reason}"))
}
