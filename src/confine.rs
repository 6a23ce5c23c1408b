//! What this process gives up before it serves: core dumps, more rights than it has, files that are not its own, and
//! system calls that no proxy makes. A flaw in it, or in what it is made of, is then worth less.
//!
//! The kernel may have none of it. That is reported, and never a reason not to serve.

use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::set_no_new_privs;
use serde::Serialize;

mod calls;
mod files;

/// What was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Confinement {
    /// A crash leaves no image of the memory, which holds secrets, and no other process of the user may look into it.
    pub core_dumps: Measure,
    /// No program that it could start would get more rights than it has.
    pub privileges: Measure,
    /// It reads the files of its configuration and of the system, and writes none but its own (Landlock).
    pub files: Measure,
    /// It starts no program, and asks the kernel for nothing that a proxy has no use for (seccomp).
    pub system_calls: Measure,
}

/// How far that went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// It was not asked for.
    #[default]
    Off,
    /// The kernel does not know it.
    Unavailable,
    /// The kernel knows some of it.
    Partial,
    /// In force.
    On,
}

/// The files that stay open to the process, besides the system's. A file stands for the folder that it lies in, because
/// editors and Kubernetes put new files in the place of old ones.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// What is read, also later on.
    pub read: Vec<PathBuf>,
    /// Where sockets are made and removed.
    pub sockets: Vec<PathBuf>,
    /// Folders in which files are written. They are there already.
    pub written: Vec<PathBuf>,
}

static IN_FORCE: OnceLock<Confinement> = OnceLock::new();

/// Gives up all of it, for good. Threads that run already keep their files: so it comes before they are started.
pub fn confine(allowed: &Files) -> Confinement {
    let on = |given_up: bool| if given_up { Measure::On } else { Measure::Unavailable };
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let limited = setrlimit(Resource::Core, none).is_ok();
    let confinement = Confinement {
        // The limit alone does not hold where the system pipes core dumps to a program.
        core_dumps: on(set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok() && limited),
        privileges: on(set_no_new_privs(true).is_ok()),
        files: files::restrict(allowed),
        system_calls: on(calls::refuse().is_ok()),
    };
    *IN_FORCE.get_or_init(|| confinement)
}

/// What this process has given up.
pub fn in_force() -> Confinement {
    let nothing = Measure::Off;
    IN_FORCE.get().copied().unwrap_or(Confinement {
        core_dumps: nothing,
        privileges: nothing,
        files: nothing,
        system_calls: nothing,
    })
}
