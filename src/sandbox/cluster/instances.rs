//! Instances: created, moved from task to task, completed or canceled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::oneshot;

use super::state::{
    Definition, Incident, Instance, Job, JobState, Progress, Rejection, State, UserTask, Variable, Variables,
};

/// An instance that was created.
pub(in crate::sandbox) struct Created {
    pub(in crate::sandbox) key: i64,
    pub(in crate::sandbox) definition: Arc<Definition>,
    /// Gets the variables at the instance's completion, when that was asked for.
    pub(super) done: Option<oneshot::Receiver<Variables>>,
}

impl State {
    /// Creates an instance. When it is `awaited`, [`Created::done`] gets its variables at the end.
    pub(in crate::sandbox) fn create_instance(
        &mut self,
        (key, id, version): (i64, &str, i32),
        variables: Variables,
        awaited: bool,
    ) -> Result<Created, Rejection> {
        let definition = self.definition(key, id, version)?;
        let (sender, receiver) = oneshot::channel();
        let key = self.key();
        let instance = Instance {
            key,
            definition: definition.clone(),
            progress: Progress::Active,
            incident: false,
            started: SystemTime::now(),
            ended: None,
            variables: BTreeMap::new(),
            step: 0,
            waits_at: None,
            waiters: if awaited { vec![sender] } else { Vec::new() },
        };
        self.instances.insert(key, instance);
        self.merge(key, variables);
        self.arrive(key);
        Ok(Created { key, definition, done: awaited.then_some(receiver) })
    }

    /// Cancels an instance, and the job or user task it waits at.
    pub(in crate::sandbox) fn cancel_instance(&mut self, key: i64) -> Result<(), Rejection> {
        let active = self.instances.get(&key).is_some_and(|instance| instance.progress == Progress::Active);
        if !active {
            return Err(not_found("CANCEL", "cancel a process instance", key));
        }
        self.finish(key, Progress::Canceled);
        Ok(())
    }

    /// Deletes a finished instance.
    pub(in crate::sandbox) fn delete_instance(&mut self, key: i64) -> Result<(), Rejection> {
        match self.instances.get(&key).map(|instance| instance.progress) {
            None => Err(Rejection::NotFound(format!("No process instance found for key {key}"))),
            Some(Progress::Active) => Err(Rejection::Precondition(format!(
                "Process instances needs to be in one of the states [COMPLETED, CANCELED], but {key} is ACTIVE"
            ))),
            Some(_) => {
                self.finished.retain(|finished| *finished != key);
                self.forget(key);
                Ok(())
            }
        }
    }

    /// Sets variables of an instance, named by its key or that of the task it waits at.
    pub(in crate::sandbox) fn set_variables(
        &mut self,
        scope: i64,
        variables: Variables,
    ) -> Result<i64, Rejection> {
        let key = match self.instances.contains_key(&scope) {
            true => scope,
            // The key of a task is handed out just before its job's, or is the user task's own.
            false => {
                let job = self.jobs.get(&(scope + 1)).filter(|job| job.element == scope);
                let instance = job.map(|job| job.instance);
                instance
                    .or_else(|| self.user_tasks.get(&scope).map(|task| task.instance))
                    .ok_or_else(|| not_found("UPDATE", "update variables for element", scope))?
            }
        };
        self.merge(key, variables);
        Ok(self.key())
    }

    /// Completes a user task and moves its instance on.
    pub(in crate::sandbox) fn complete_user_task(
        &mut self,
        key: i64,
        variables: Variables,
    ) -> Result<(), Rejection> {
        let task =
            self.user_tasks.remove(&key).ok_or_else(|| not_found("COMPLETE", "complete user task", key))?;
        self.leave(task.instance, variables);
        Ok(())
    }

    /// Assigns a user task, or takes the assignment away.
    pub(in crate::sandbox) fn assign_user_task(
        &mut self,
        key: i64,
        to: Option<String>,
    ) -> Result<(), Rejection> {
        let task =
            self.user_tasks.get_mut(&key).ok_or_else(|| not_found("ASSIGN", "assign user task", key))?;
        task.assignee = to;
        Ok(())
    }

    /// Moves an instance past the task it waits at.
    pub(super) fn leave(&mut self, key: i64, variables: Variables) {
        self.merge(key, variables);
        if let Some(instance) = self.instances.get_mut(&key) {
            instance.waits_at = None;
            instance.step += 1;
            self.arrive(key);
        }
    }

    /// Records that an instance cannot go on.
    pub(super) fn raise_incident(&mut self, job: i64, kind: &'static str, message: String) {
        let key = self.key();
        let Some(held) = self.jobs.get_mut(&job) else { return };
        held.incident = Some(key);
        let (instance, definition) = (held.instance, held.definition.key);
        let incident = Incident { key, instance, definition, job, kind, message, created: SystemTime::now() };
        self.incidents.insert(key, incident);
        if let Some(instance) = self.instances.get_mut(&instance) {
            instance.incident = true;
        }
    }

    pub(super) fn merge(&mut self, key: i64, variables: Variables) {
        for (name, value) in variables {
            let fresh = self.key();
            let Some(instance) = self.instances.get_mut(&key) else { return };
            match instance.variables.get_mut(&name) {
                Some(variable) => variable.value = value,
                None => {
                    self.variables.insert(fresh, (key, name.clone()));
                    instance.variables.insert(name, Variable { key: fresh, value });
                }
            }
        }
    }

    /// Puts an instance at its next task, or completes it.
    fn arrive(&mut self, key: i64) {
        let Some(instance) = self.instances.get(&key) else { return };
        let (definition, step) = (instance.definition.clone(), instance.step);
        let Some(task) = definition.process.tasks.get(step) else {
            return self.finish(key, Progress::Completed);
        };
        let element = self.key();
        let waits_at = match &task.job_type {
            Some(job_type) => {
                let job_key = self.key();
                let retries = task.retries;
                let definition = definition.clone();
                let job = Job {
                    instance: key,
                    definition,
                    step,
                    element,
                    retries,
                    state: JobState::Ready,
                    incident: None,
                };
                self.jobs.insert(job_key, job);
                self.queue(job_type).put(job_key);
                job_key
            }
            None => {
                let user_task = UserTask {
                    key: element,
                    instance: key,
                    definition: definition.clone(),
                    element: task.element.clone(),
                    name: task.name.clone(),
                    assignee: None,
                    created: SystemTime::now(),
                };
                self.user_tasks.insert(element, user_task);
                element
            }
        };
        if let Some(instance) = self.instances.get_mut(&key) {
            instance.waits_at = Some(waits_at);
        }
    }

    fn finish(&mut self, key: i64, progress: Progress) {
        let Some(instance) = self.instances.get_mut(&key) else { return };
        instance.progress = progress;
        instance.ended = Some(SystemTime::now());
        let waiters = std::mem::take(&mut instance.waiters);
        if progress == Progress::Completed {
            for waiter in waiters {
                // Whoever asked may have left.
                let _ = waiter.send(instance.chosen(&[]));
            }
        }
        if let Some(waits_at) = instance.waits_at.take() {
            self.user_tasks.remove(&waits_at);
            self.remove_job(waits_at);
        }
        self.forget_finished(key);
    }
}

/// A NOT_FOUND in the engine's words.
pub(super) fn not_found(command: &str, what: &str, key: i64) -> Rejection {
    Rejection::NotFound(format!(
        "Command '{command}' rejected with code 'NOT_FOUND': Expected to {what} with key '{key}', but no such one was found"
    ))
}
