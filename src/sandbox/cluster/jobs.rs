//! Jobs: ready, activated for a while, completed or failed.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::instances::not_found;
use super::state::{Definition, Job, JobState, Queue, Rejection, State, Variables};

/// What a worker asks for.
#[derive(Clone, Debug, Default)]
pub(in crate::sandbox) struct Activation {
    pub(in crate::sandbox) job_type: String,
    pub(in crate::sandbox) worker: String,
    pub(in crate::sandbox) timeout: Duration,
    pub(in crate::sandbox) limit: usize,
    pub(in crate::sandbox) fetch: Vec<String>,
}

/// A job as a worker gets it.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct ActivatedJob {
    pub(in crate::sandbox) key: i64,
    pub(in crate::sandbox) instance: i64,
    pub(in crate::sandbox) definition: Arc<Definition>,
    pub(in crate::sandbox) step: usize,
    pub(in crate::sandbox) element: i64,
    pub(in crate::sandbox) worker: String,
    pub(in crate::sandbox) retries: i32,
    /// Milliseconds since 1970.
    pub(in crate::sandbox) deadline: i64,
    pub(in crate::sandbox) variables: Variables,
}

/// Jobs, or what to wait for.
pub(super) enum Taken {
    Jobs(Vec<ActivatedJob>),
    None { arrived: Arc<Notify>, next: Option<Instant> },
}

impl Queue {
    pub(super) fn put(&mut self, key: i64) {
        self.ready.push_back(key);
        // A permit is kept when nobody waits, and handed on when the waiter leaves.
        self.arrived.notify_one();
    }
}

impl State {
    /// Activates jobs, at most as many as asked for.
    pub(super) fn activate(&mut self, asked: &Activation) -> Taken {
        let now = Instant::now();
        let State { queues, jobs, instances, .. } = self;
        if !queues.contains_key(&asked.job_type) {
            queues.insert(asked.job_type.clone(), Queue::default());
        }
        let queue = queues.get_mut(&asked.job_type).expect("inserted above");
        while let Some((_, key)) = queue.later.first().copied().filter(|(at, _)| *at <= now) {
            queue.later.pop_first();
            if let Some(job) = jobs.get_mut(&key) {
                job.state = JobState::Ready;
                queue.ready.push_back(key);
            }
        }
        let until = now + asked.timeout;
        let mut taken = Vec::new();
        while taken.len() < asked.limit
            && let Some(key) = queue.ready.pop_front()
        {
            // A job that was completed or canceled while it waited is still in the list.
            let Some(job) = jobs.get_mut(&key).filter(|job| job.state == JobState::Ready) else { continue };
            job.state = JobState::Until(until, true);
            queue.later.insert((until, key));
            let variables = instances.get(&job.instance).map(|instance| instance.chosen(&asked.fetch));
            taken.push(activated(key, job, asked, variables.unwrap_or_default()));
        }
        if !queue.ready.is_empty() {
            queue.arrived.notify_one();
        }
        match taken.is_empty() {
            false => Taken::Jobs(taken),
            true => {
                Taken::None { arrived: queue.arrived.clone(), next: queue.later.first().map(|(at, _)| *at) }
            }
        }
    }

    /// Completes a job and moves its instance on.
    pub(in crate::sandbox) fn complete_job(
        &mut self,
        key: i64,
        variables: Variables,
    ) -> Result<(), Rejection> {
        match self.jobs.get(&key).map(|job| job.state) {
            None => Err(not_found("COMPLETE", "complete job", key)),
            Some(JobState::Failed) => Err(Rejection::Precondition(format!(
                "Command 'COMPLETE' rejected with code 'INVALID_STATE': Expected to complete job with key '{key}', but it is in state 'FAILED'"
            ))),
            Some(_) => {
                if let Some(job) = self.remove_job(key) {
                    self.leave(job.instance, variables);
                }
                Ok(())
            }
        }
    }

    /// Fails a job: it is ready again after the back-off while it has retries, else there is an incident.
    pub(in crate::sandbox) fn fail_job(
        &mut self,
        key: i64,
        retries: i32,
        message: String,
        back_off: Duration,
        variables: Variables,
    ) -> Result<(), Rejection> {
        let job = self.activated_job("FAIL", key)?;
        job.retries = retries;
        let instance = job.instance;
        let job_type = job.task().job_type.clone().unwrap_or_default();
        self.merge(instance, variables);
        if retries <= 0 {
            self.unschedule(key, JobState::Failed);
            self.raise_incident(key, "JOB_NO_RETRIES", message);
        } else if back_off.is_zero() {
            self.unschedule(key, JobState::Ready);
            self.queue(&job_type).put(key);
        } else {
            let at = Instant::now() + back_off;
            self.unschedule(key, JobState::Until(at, false));
            let queue = self.queue(&job_type);
            queue.later.insert((at, key));
            // Whoever waits has to learn the new time.
            queue.arrived.notify_one();
        }
        Ok(())
    }

    /// Throws an error at a job. Nothing here catches errors, so an incident it is.
    pub(in crate::sandbox) fn throw_error(
        &mut self,
        key: i64,
        code: &str,
        message: &str,
    ) -> Result<(), Rejection> {
        self.activated_job("THROW_ERROR", key)?;
        self.unschedule(key, JobState::Failed);
        let text = format!("An error was thrown with the code '{code}', but not caught. {message}");
        self.raise_incident(key, "UNHANDLED_ERROR_EVENT", text);
        Ok(())
    }

    /// Gives a job more retries; it is ready again when its incident is resolved.
    pub(in crate::sandbox) fn update_retries(&mut self, key: i64, retries: i32) -> Result<(), Rejection> {
        if retries < 1 {
            return Err(super::state::rejected("UPDATE_RETRIES", "Expected retries to be greater than 0"));
        }
        let job = self
            .jobs
            .get_mut(&key)
            .ok_or_else(|| not_found("UPDATE_RETRIES", "update retries for job", key))?;
        job.retries = retries;
        Ok(())
    }

    /// Resolves an incident.
    pub(in crate::sandbox) fn resolve_incident(&mut self, key: i64) -> Result<(), Rejection> {
        let unknown = || not_found("RESOLVE", "resolve incident", key);
        let job_key = self.incidents.get(&key).ok_or_else(unknown)?.job;
        let job = self.jobs.get_mut(&job_key).ok_or_else(unknown)?;
        job.retries = job.retries.max(1);
        job.state = JobState::Ready;
        job.incident = None;
        let instance = job.instance;
        let job_type = job.task().job_type.clone().unwrap_or_default();
        self.incidents.remove(&key);
        if let Some(instance) = self.instances.get_mut(&instance) {
            instance.incident = false;
        }
        self.queue(&job_type).put(job_key);
        Ok(())
    }

    /// Removes a job with what points to it.
    pub(super) fn remove_job(&mut self, key: i64) -> Option<Job> {
        self.unschedule(key, JobState::Failed);
        let job = self.jobs.remove(&key)?;
        if let Some(incident) = job.incident {
            self.incidents.remove(&incident);
        }
        Some(job)
    }

    pub(super) fn queue(&mut self, job_type: &str) -> &mut Queue {
        if !self.queues.contains_key(job_type) {
            self.queues.insert(job_type.to_owned(), Queue::default());
        }
        self.queues.get_mut(job_type).expect("inserted above")
    }

    fn activated_job(&mut self, command: &str, key: i64) -> Result<&mut Job, Rejection> {
        let job = self.jobs.get_mut(&key).ok_or_else(|| not_found(command, "find job", key))?;
        match job.state {
            JobState::Until(_, true) => Ok(job),
            other => Err(Rejection::Precondition(format!(
                "Command '{command}' rejected with code 'INVALID_STATE': Expected job with key '{key}' to be activated, but it is {}",
                if other == JobState::Failed { "FAILED" } else { "ACTIVATABLE" }
            ))),
        }
    }

    /// Takes a job off the list of later times, and gives it another state.
    fn unschedule(&mut self, key: i64, state: JobState) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        let before = std::mem::replace(&mut job.state, state);
        if let (JobState::Until(at, _), Some(job_type)) = (before, &job.task().job_type)
            && let Some(queue) = self.queues.get_mut(job_type)
        {
            queue.later.remove(&(at, key));
        }
    }
}

fn activated(key: i64, job: &Job, asked: &Activation, variables: Variables) -> ActivatedJob {
    let deadline = SystemTime::now() + asked.timeout;
    ActivatedJob {
        key,
        instance: job.instance,
        definition: job.definition.clone(),
        step: job.step,
        element: job.element,
        worker: asked.worker.clone(),
        retries: job.retries,
        deadline: deadline.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64),
        variables,
    }
}

impl ActivatedJob {
    /// The task that the job is for.
    pub(in crate::sandbox) fn task(&self) -> &super::bpmn::Task {
        &self.definition.process.tasks[self.step]
    }
}
