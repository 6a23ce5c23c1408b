//! The vocabulary: a world is a Camunda with the proxy in front of it; callers speak to it.

pub(crate) mod caller;
pub(crate) mod frames;
pub(crate) mod peer;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use camunda_auth_proxy::address::Address;
use camunda_auth_proxy::app::App;
use camunda_auth_proxy::config::{Flag, Settings, Sources};
use camunda_auth_proxy::sandbox::{Config, Sandbox};
use camunda_auth_proxy::shutdown::Phase;
use tempfile::TempDir;

pub(crate) use caller::{Answer, Caller};

/// What nothing in a test takes longer than, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// A gRPC method that answers at once.
pub(crate) const TOPOLOGY: &str = "/gateway_protocol.Gateway/Topology";

/// How a world will be.
pub(crate) struct Setup {
    camunda: Config,
    environment: Vec<(String, String)>,
    toml: Option<String>,
    authorities: String,
    credentials: fn(&str) -> bool,
}

/// Both in plaintext, one worker, one listener.
pub(crate) fn setup() -> Setup {
    let camunda = Config { tls: false, ..Config::default() };
    let (environment, authorities) = (Vec::new(), String::new());
    let setup = Setup { camunda, environment, toml: None, authorities, credentials: |_| true };
    setup.with("workers", "1")
}

impl Setup {
    /// A key of the configuration.
    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Setup {
        let name = format!("CAMUNDA_PROXY_{}", key.to_ascii_uppercase().replace('.', "__"));
        self.environment.push((name, value.into()));
        self
    }

    /// What only a file can say. `{folder}` is where it lies.
    pub(crate) fn toml(mut self, text: impl Into<String>) -> Setup {
        self.toml = Some(text.into());
        self
    }

    /// Another authority that the proxy trusts, besides the Camunda's.
    pub(crate) fn trusting(mut self, pem: &str) -> Setup {
        self.authorities.push_str(pem);
        self
    }

    /// The lines of the credentials file that stay.
    pub(crate) fn credentials(mut self, stays: fn(&str) -> bool) -> Setup {
        self.credentials = stays;
        self
    }

    /// Zeebe's REST address is somebody else's.
    pub(crate) fn zeebe_rest(self, at: SocketAddr) -> Setup {
        self.with("scopes.zeebe.address", format!("http://{at}/base"))
    }

    /// Zeebe's gRPC address is somebody else's.
    pub(crate) fn zeebe_grpc(self, at: SocketAddr) -> Setup {
        self.with("scopes.zeebe.grpc_address", format!("grpc://{at}"))
    }

    /// Changes the Camunda.
    pub(crate) fn camunda(mut self, change: impl FnOnce(&mut Config)) -> Setup {
        change(&mut self.camunda);
        self
    }

    /// Starts both.
    pub(crate) async fn start(self) -> World {
        self.start_with(|_| ()).await
    }

    /// Starts both; `before` sees the Camunda while nobody has spoken to it.
    pub(crate) async fn start_with(self, before: impl FnOnce(&Sandbox)) -> World {
        let camunda = Sandbox::start(self.camunda).await.expect("a sandbox");
        before(&camunda);
        let folder = TempDir::new().expect("a folder");
        let write = |name: &str, text: &str| -> PathBuf {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let flag = |key, value: String| Flag { name: "--test", key, values: vec![value] };
        let ca = write("ca.pem", &(camunda.ca_pem().to_owned() + &self.authorities)).display().to_string();
        let all = camunda.credentials_file();
        let lines: Vec<&str> = all.lines().filter(|line| (self.credentials)(line)).collect();
        let credentials = write("credentials.txt", &lines.join("\n"));
        let mut flags = vec![
            flag("credentials", credentials.display().to_string()),
            flag("listen", "127.0.0.1:0".to_owned()),
            flag("admin.address", "127.0.0.1:0".to_owned()),
        ];
        for key in [
            "oauth.ca_file",
            "scopes.zeebe.ca_file",
            "scopes.operate.ca_file",
            "scopes.tasklist.ca_file",
            "scopes.optimize.ca_file",
        ] {
            flags.push(flag(key, ca.clone()));
        }
        let files = self
            .toml
            .iter()
            .map(|text| write("proxy.toml", &text.replace("{folder}", &folder.path().display().to_string())))
            .collect();
        let sources = Sources { files, default_file: None, environment: self.environment, flags };
        let settings = Settings::load(&sources).unwrap_or_else(|problems| panic!("{problems:?}"));
        let app = App::start(settings, sources).expect("a proxy");
        World {
            proxy: tcp(&app.listeners()[0]),
            admin: tcp(app.admin()),
            app: Some(app),
            camunda,
            _folder: folder,
        }
    }
}

/// A Camunda and the proxy in front of it.
pub(crate) struct World {
    pub(crate) camunda: Sandbox,
    pub(crate) proxy: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// Taken by who waits for its end.
    pub(crate) app: Option<App>,
    _folder: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(app) = &self.app {
            app.shutdown().advance(Phase::Stopping);
        }
    }
}

impl World {
    /// The address of a listener after the first.
    pub(crate) fn listener(&self, at: usize) -> Address {
        self.app.as_ref().expect("running").listeners()[at].clone()
    }

    /// A caller with an HTTP/1.1 connection of its own.
    pub(crate) async fn http1(&self) -> Caller {
        Caller::http1(self.proxy).await
    }

    /// A caller with an HTTP/2 connection of its own, prior knowledge.
    pub(crate) async fn http2(&self) -> Caller {
        Caller::http2(self.proxy).await
    }

    /// One GET on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.http1().await.get(path).await
    }

    /// One page of the admin address.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        Caller::http1(self.admin).await.get(path).await
    }

    /// Waits for the tokens of some scopes, so that what follows is about something else.
    pub(crate) async fn ready(self) -> World {
        let mut caller = self.http2().await;
        let answer = caller.grpc(TOPOLOGY, &[], message(&[])).await.expect("an answer");
        assert!(!answer.headers.contains_key("proxy-status"), "{:?}", answer.headers);
        self.camunda.cluster().clear();
        self
    }
}

/// The socket address of a TCP listener.
pub(crate) fn tcp(address: &Address) -> SocketAddr {
    match address {
        Address::Tcp(address) => *address,
        other => panic!("{other} is not TCP"),
    }
}

/// A gRPC message in its frame.
pub(crate) fn message(bytes: &[u8]) -> bytes::Bytes {
    let mut framed = vec![0];
    framed.extend((bytes.len() as u32).to_be_bytes());
    framed.extend(bytes);
    framed.into()
}

/// `ActivateJobs` of a type that has none, waiting as long as `patience` says.
pub(crate) fn poll(patience: Duration) -> bytes::Bytes {
    #[derive(prost::Message)]
    struct ActivateJobs {
        #[prost(string, tag = "1")]
        job_type: String,
        #[prost(int64, tag = "3")]
        timeout: i64,
        #[prost(int32, tag = "4")]
        max_jobs: i32,
        #[prost(int64, tag = "6")]
        request_timeout: i64,
    }
    let asked = ActivateJobs {
        job_type: "nothing".to_owned(),
        timeout: 60_000,
        max_jobs: 1,
        request_timeout: patience.as_millis() as i64,
    };
    message(&prost::Message::encode_to_vec(&asked))
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// Fails a test that hangs, and says at what.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}
