//! The vocabulary: the program, a Camunda for it to talk to, and a caller.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use camunda_auth_proxy::sandbox::{Addresses, AuthorizationServer, Cluster, Config, Sandbox};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// What nothing in a test takes longer than, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A Camunda in this process, on a thread of its own.
pub(crate) struct Camunda {
    pub(crate) tokens: AuthorizationServer,
    pub(crate) cluster: Cluster,
    pub(crate) addresses: Addresses,
    /// As Console would hand them out.
    pub(crate) credentials: String,
    pub(crate) secret: String,
    folder: TempDir,
    _stop: oneshot::Sender<()>,
}

impl Camunda {
    /// In plaintext, with a token endpoint that takes requests at any rate.
    pub(crate) fn start() -> Camunda {
        Camunda::with(Config { tls: false, token_rate_limit: false, ..Config::default() })
    }

    pub(crate) fn with(config: Config) -> Camunda {
        let (tell, told) = sync_channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        let secret = config.client_secret.expose().to_owned();
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let sandbox = Sandbox::start(config).await.expect("a sandbox");
                let handles = (sandbox.authorization_server().clone(), sandbox.cluster().clone());
                let texts = (sandbox.credentials_file(), sandbox.ca_pem().to_owned());
                tell.send((handles, sandbox.addresses().clone(), texts)).expect("told");
                let _ = stopped.await;
            });
        });
        let ((tokens, cluster), addresses, (credentials, ca)) = told.recv().expect("started");
        let folder = folder();
        write(folder.path(), "credentials.txt", &credentials);
        write(folder.path(), "ca.pem", &ca);
        Camunda { tokens, cluster, addresses, credentials, secret, folder, _stop: stop }
    }

    /// The credentials file, which a test may change.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("credentials.txt")
    }

    /// The authority of its certificates.
    pub(crate) fn ca(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }

    /// `run` in front of it, on free ports.
    pub(crate) fn proxy(&self) -> Setup {
        program(&["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .arguments(&["--credentials", &self.file().display().to_string()])
            .with("CAMUNDA_PROXY_WORKERS", "2")
    }

    /// Another command with its credentials file.
    pub(crate) fn command(&self, arguments: &[&str]) -> Setup {
        program(arguments).arguments(&["--credentials", &self.file().display().to_string()])
    }
}

/// A start of the program, in an empty folder and with an empty environment.
pub(crate) struct Setup {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: TempDir,
    descriptors: Option<u32>,
}

pub(crate) fn program(arguments: &[&str]) -> Setup {
    Setup { arguments: Vec::new(), environment: Vec::new(), folder: folder(), descriptors: None }
        .arguments(arguments)
}

impl Setup {
    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Setup {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// An environment variable.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Setup {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// It may open no more files than that.
    pub(crate) fn descriptors(mut self, most: u32) -> Setup {
        self.descriptors = Some(most);
        self
    }

    /// A file in the working directory.
    pub(crate) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Setup {
        write(self.folder.path(), name, text);
        self
    }

    /// The working directory.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_camunda-auth-proxy");
        let mut command = Command::new(if self.descriptors.is_some() { "/bin/sh" } else { program });
        if let Some(most) = self.descriptors {
            command.args(["-c", &format!("ulimit -n {most} && exec \"$0\" \"$@\""), program]);
        }
        command.args(&self.arguments).env_clear().envs(self.environment.iter().cloned());
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    pub(crate) fn end(self) -> Ended {
        let mut running = self.spawn();
        let status = running.status();
        Ended { status, out: running.out.text(), err: running.err.text() }
    }

    /// Runs it to its end with another standard output: its status and what it says of it.
    pub(crate) fn end_into(self, out: impl Into<Stdio>) -> (i32, String) {
        let ended = self.command().stdout(out).output().expect("the program starts");
        (ended.status.code().expect("not killed"), String::from_utf8_lossy(&ended.stderr).into_owned())
    }

    /// Starts it and goes on at once.
    pub(crate) fn spawn(self) -> Running {
        let started = Instant::now();
        let mut child = self.command().spawn().expect("the program starts");
        let out = Sink::of(child.stdout.take().expect("piped"));
        let err = Sink::of(child.stderr.take().expect("piped"));
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Running { child, out, err, started, listeners: Vec::new(), admin: nowhere, _folder: self.folder }
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(self) -> Running {
        let mut running = self.spawn();
        let line = running.line("listening");
        let addresses = line["listeners"].as_str().expect("listeners").split(", ");
        running.listeners = addresses.filter_map(|address| address.parse().ok()).collect();
        running.admin = line["admin"].as_str().and_then(|admin| admin.parse().ok()).unwrap_or(running.admin);
        running
    }
}

/// What a program that ended left behind.
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// Standard output as JSON, and nothing else there.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {:?} {}", self.out, self.err))
    }
}

/// A program that runs. It is killed when this is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) out: Sink,
    pub(crate) err: Sink,
    pub(crate) started: Instant,
    pub(crate) listeners: Vec<SocketAddr>,
    pub(crate) admin: SocketAddr,
    _folder: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Waits for the log line with this message.
    pub(crate) fn line(&mut self, message: &str) -> Value {
        eventually(&format!("log line {message:?}"), || {
            let found = self.lines().into_iter().find(|line| line["message"] == message);
            if found.is_none() && self.child.try_wait().expect("waited").is_some() {
                panic!("it has ended: {}", self.err.text());
            }
            found
        })
    }

    /// Every log line so far, as an object.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.err.text().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signalled");
    }

    /// Its exit status, once it has ended.
    pub(crate) fn status(&mut self) -> i32 {
        let status = eventually("the end", || self.child.try_wait().expect("waited"));
        self.out.finish();
        self.err.finish();
        status.code().expect("not killed by a signal")
    }

    /// GET at the first listener.
    pub(crate) fn get(&self, path: &str) -> Answer {
        get(self.listeners[0], path)
    }

    /// GET at the admin address.
    pub(crate) fn ask(&self, path: &str) -> Answer {
        get(self.admin, path)
    }

    /// Waits until it is ready.
    pub(crate) fn ready(self) -> Running {
        eventually("readiness", || (self.ask("/readyz").status == 200).then_some(()));
        self
    }

    /// Waits until every scope has its token.
    pub(crate) fn complete(self) -> Running {
        eventually("all tokens", || {
            let status = self.ask("/status").json();
            let scopes = status["scopes"].as_object()?.values().all(|scope| scope["state"] == "valid");
            scopes.then_some(())
        });
        self
    }
}

/// What a program has written to one of its outputs.
pub(crate) struct Sink {
    text: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Sink {
    fn of(pipe: impl Read + Send + 'static) -> Sink {
        let text = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut text = written.lock().expect("lock");
                text.push_str(&line);
                text.push('\n');
            }
        });
        Sink { text, reader: Some(reader) }
    }

    pub(crate) fn text(&self) -> String {
        self.text.lock().expect("lock").clone()
    }

    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("read");
        }
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    call(address, "GET", path, &[])
}

/// One request over a connection of its own.
pub(crate) fn call(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    Caller::new(address).call(method, path, headers).expect("an answer")
}

/// A caller who keeps his connection.
pub(crate) struct Caller(BufReader<TcpStream>);

impl Caller {
    pub(crate) fn new(address: SocketAddr) -> Caller {
        Caller::connect(address).expect("connected")
    }

    pub(crate) fn connect(address: SocketAddr) -> std::io::Result<Caller> {
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        Ok(Caller(BufReader::new(socket)))
    }

    /// A request and its answer. `host` is `localhost` unless it is among the headers.
    pub(crate) fn call(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> std::io::Result<Answer> {
        self.send(method, path, headers)?;
        self.answer(method == "HEAD")
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> std::io::Result<()> {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let is_given = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        for (name, value) in headers.iter().copied().chain((!is_given).then_some(("host", "localhost"))) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.0.get_mut().write_all(head.as_bytes())
    }

    pub(crate) fn answer(&mut self, headless: bool) -> std::io::Result<Answer> {
        let early = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let mut line = || {
            let mut line = String::new();
            match self.0.read_line(&mut line)? {
                0 => Err(early()),
                _ => Ok(line.trim_end().to_owned()),
            }
        };
        let status = line()?.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(early)?;
        let mut headers = Vec::new();
        loop {
            let line = line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: String::new() };
        if !headless {
            answer.body = self.body(&answer)?;
        }
        Ok(answer)
    }

    fn body(&mut self, answer: &Answer) -> std::io::Result<String> {
        let mut body = Vec::new();
        if answer.header("transfer-encoding") == "chunked" {
            loop {
                let mut size = String::new();
                self.0.read_line(&mut size)?;
                let size = usize::from_str_radix(size.trim(), 16).map_err(std::io::Error::other)?;
                let mut chunk = vec![0; size + 2];
                self.0.read_exact(&mut chunk)?;
                body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    break;
                }
            }
        } else if let Ok(length) = answer.header("content-length").parse() {
            body.resize(length, 0);
            self.0.read_exact(&mut body)?;
        }
        String::from_utf8(body).map_err(std::io::Error::other)
    }
}

/// Looks until there is something to see.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "no {what} in {PATIENCE:?}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

pub(crate) fn folder() -> TempDir {
    TempDir::new().expect("a folder")
}

/// Readable for this user alone, as a file with a secret should be.
pub(crate) fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("mode");
}
