//! Programs that run beside: the proxy that is measured, and what else is compared with it.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use super::cpus::Cpus;
use super::meter::Processes;

/// From its start until a program answers.
const START: Duration = Duration::from_secs(20);

/// Every program that runs, as the leader of its own process group.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Ends every program that was started here. For a process that is told to end in the middle of it.
pub fn end_all() {
    let running = std::mem::take(&mut *RUNNING.lock().unwrap_or_else(PoisonError::into_inner));
    running.into_iter().for_each(kill);
}

fn kill(id: u32) {
    if let Some(group) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// A program that runs; dropping it ends it and what it has started.
pub struct Program {
    child: Child,
}

impl Drop for Program {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.child.id());
        kill(self.child.id());
        let _ = self.child.wait();
    }
}

impl Program {
    /// Starts a command on these CPUs. Its standard error is handed out.
    fn start(mut command: Command, cpus: &Cpus) -> io::Result<(Program, ChildStderr)> {
        use std::os::unix::process::CommandExt;
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // A child stays where the thread that starts it stays.
        let mut child = std::thread::scope(|scope| {
            let start = scope.spawn(|| {
                cpus.stay();
                command.spawn()
            });
            start.join().unwrap_or_else(|_| Err(io::Error::other("the thread that was to start it ended")))
        })?;
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).insert(child.id());
        let errors =
            child.stderr.take().ok_or_else(|| io::Error::other("its standard error is not there"))?;
        Ok((Program { child }, errors))
    }

    /// What is measured of it.
    pub fn processes(&self) -> Processes {
        Processes::of(self.child.id())
    }

    /// Sends a signal to it alone.
    pub fn signal(&self, signal: Signal) {
        // It may have ended by itself.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// How it ended, when it has.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().ok().flatten().map(|status| status.code().unwrap_or(-1))
    }
}

/// This program as a proxy.
pub struct Proxy {
    /// The process.
    pub program: Program,
    /// Where it takes requests.
    pub listener: SocketAddr,
    /// Where it tells of itself.
    pub admin: SocketAddr,
}

impl Proxy {
    /// Starts `run` in `folder` with a credentials file, and waits until it listens.
    ///
    /// # Errors
    /// When it does not: its own words.
    pub fn start(folder: &Path, credentials: &Path, cpus: &Cpus) -> io::Result<Proxy> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--credentials"]);
        command.arg(credentials).current_dir(folder);
        // What is set for a real cluster is none of its business; its own settings may be tried.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("ZEEBE_")
                || (name.starts_with("CAMUNDA_") && !name.starts_with("CAMUNDA_PROXY_"))
            {
                command.env_remove(&*name);
            }
        }
        command.env("CAMUNDA_PROXY_LOG__FORMAT", "json");
        let (program, errors) = Program::start(command, cpus)?;
        let mut lines = BufReader::new(errors);
        let mut said = String::new();
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                return Err(io::Error::other(format!("the proxy did not start: {}", said.trim())));
            }
            let told: Value = serde_json::from_str(&line).unwrap_or_default();
            if told["message"] == "listening" {
                let address =
                    |name: &str| told[name].as_str().and_then(|text| text.split(", ").next()?.parse().ok());
                let (Some(listener), Some(admin)) = (address("listeners"), address("admin")) else {
                    return Err(io::Error::other("the proxy does not say where it listens"));
                };
                drain(lines);
                return Ok(Proxy { program, listener, admin });
            }
            said.push_str(&line);
        }
    }

    /// Waits until every scope has its token.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn complete(&self) -> io::Result<()> {
        let until = Instant::now() + START;
        loop {
            let status: Value = serde_json::from_str(&get(self.admin, "/status")?).unwrap_or_default();
            let valid = |scopes: &serde_json::Map<String, Value>| {
                scopes.values().all(|scope| scope["state"] == "valid")
            };
            if status["scopes"].as_object().is_some_and(valid) {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(io::Error::other("the proxy has no tokens"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A command of the shell that serves in front of the embedded Camunda.
///
/// # Errors
/// When it ends or does not listen in time: its own words.
pub(super) fn serve(
    command: &str,
    environment: &[(String, String)],
    at: SocketAddr,
    cpus: &Cpus,
) -> io::Result<Program> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).envs(environment.iter().cloned());
    let (mut program, errors) = Program::start(shell, cpus)?;
    let said = drain(BufReader::new(errors));
    let until = Instant::now() + START;
    while TcpStream::connect(at).is_err() {
        let failed = match program.ended() {
            Some(status) => format!("it ended with {status}"),
            None if Instant::now() > until => format!("nothing listens at {at}"),
            None => {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
        };
        let said = said.lock().unwrap_or_else(PoisonError::into_inner);
        return Err(io::Error::other(format!("{failed}: {}", said.trim())));
    }
    Ok(program)
}

/// Reads what a program says, so that it never waits for a reader, and keeps the beginning.
fn drain(mut from: impl Read + Send + 'static) -> std::sync::Arc<Mutex<String>> {
    let kept = std::sync::Arc::new(Mutex::new(String::new()));
    let said = std::sync::Arc::clone(&kept);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.len() < 4096 {
                said.push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        }
    });
    kept
}

/// The body of one page of an admin address.
pub(super) fn get(at: SocketAddr, path: &str) -> io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&at, Duration::from_secs(3))?;
    socket.set_read_timeout(Some(Duration::from_secs(3)))?;
    write!(socket, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.ok_or_else(|| io::Error::other("what answers there does not speak HTTP"))
}
