//! The clients of the tests.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::sandbox::{Config, Sandbox};

pub(super) const ORDER: &str = r#"<definitions xmlns:zeebe="z"><process id="order"><startEvent id="s"/>
    <sequenceFlow id="1" sourceRef="s" targetRef="t"/><serviceTask id="t"><extensionElements>
    <zeebe:taskDefinition type="pay"/></extensionElements></serviceTask></process></definitions>"#;

pub(super) const ASK: &str =
    r#"<definitions><process id="ask"><userTask id="look"/></process></definitions>"#;

/// A sandbox in plaintext.
pub(super) async fn sandbox() -> Sandbox {
    Sandbox::start(Config { tls: false, token_rate_limit: false, ..Config::default() })
        .await
        .expect("started")
}

/// The socket address in a URL.
pub(super) fn address(url: &str) -> &str {
    url.split('/').nth(2).expect("an authority")
}

pub(super) fn zeebe_token(sandbox: &Sandbox) -> String {
    format!("Bearer {}", sandbox.authorization_server().issue("zeebe.camunda.io"))
}

/// A gRPC client on one connection.
pub(super) struct Caller {
    pub(super) requests: h2::client::SendRequest<Bytes>,
}

/// What came back from a call.
pub(super) struct Outcome {
    pub(super) head: HeaderMap,
    /// The head carried END_STREAM.
    pub(super) trailers_only: bool,
    pub(super) body: Bytes,
    pub(super) status: i32,
}

impl Outcome {
    pub(super) fn message<M: Message + Default>(&self) -> M {
        assert_eq!(self.status, 0, "{:?}", self.head);
        M::decode(&self.body[5..]).expect("a message")
    }
}

impl Caller {
    pub(super) async fn to(sandbox: &Sandbox) -> Caller {
        let stream = TcpStream::connect(address(&sandbox.addresses().grpc)).await.expect("connected");
        let (requests, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        Caller { requests }
    }

    /// Starts a call; the authorization fields are sent as they are.
    pub(super) async fn start(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        body: Bytes,
    ) -> h2::client::ResponseFuture {
        let mut request = Request::post(format!("http://localhost{path}"))
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let mut requests = self.requests.clone().ready().await.expect("a stream");
        let (response, mut sender) =
            requests.send_request(request.body(()).expect("a request"), false).expect("sent");
        sender.send_data(body, true).expect("sent");
        response
    }

    pub(super) async fn raw(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Outcome, h2::Error> {
        finish(self.start(path, fields, body).await.await?).await
    }

    /// A gateway method, called with a token.
    pub(super) async fn call(&self, sandbox: &Sandbox, method: &str, message: &impl Message) -> Outcome {
        let path = format!("/gateway_protocol.Gateway/{method}");
        let token = zeebe_token(sandbox);
        self.raw(&path, &[("authorization", &token)], framed(message)).await.expect("an answer")
    }

    pub(super) async fn deploy(&self, sandbox: &Sandbox, text: &str) {
        use crate::sandbox::grpc::messages::{DeployResourceRequest, Resource};
        let resource = Resource { name: "p.bpmn".to_owned(), content: text.as_bytes().to_vec() };
        let asked = DeployResourceRequest { resources: vec![resource], tenant_id: String::new() };
        assert_eq!(self.call(sandbox, "DeployResource", &asked).await.status, 0);
    }

    pub(super) async fn create(&self, sandbox: &Sandbox, id: &str, variables: &str) -> i64 {
        use crate::sandbox::grpc::messages::{CreateProcessInstanceRequest, CreateProcessInstanceResponse};
        let asked = CreateProcessInstanceRequest {
            bpmn_process_id: id.to_owned(),
            version: -1,
            variables: variables.to_owned(),
            ..Default::default()
        };
        let created: CreateProcessInstanceResponse =
            self.call(sandbox, "CreateProcessInstance", &asked).await.message();
        created.process_instance_key
    }
}

async fn finish(response: Response<h2::RecvStream>) -> Result<Outcome, h2::Error> {
    let (parts, mut stream) = response.into_parts();
    let trailers_only = stream.is_end_stream();
    let mut body = BytesMut::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        let _ = stream.flow_control().release_capacity(data.len());
        body.put(data);
    }
    let trailers = stream.trailers().await?;
    let status = trailers.as_ref().unwrap_or(&parts.headers).get("grpc-status");
    let status = status.and_then(|status| status.to_str().ok()?.parse().ok()).unwrap_or(-1);
    Ok(Outcome { head: parts.headers, trailers_only, body: body.freeze(), status })
}

pub(super) fn framed(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(message.encoded_len() as u32);
    message.encode(&mut bytes).expect("room");
    bytes.freeze()
}

/// What a REST component answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// One request on a connection of its own.
pub(super) async fn rest(
    version: Version,
    (method, url): (Method, &str),
    fields: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Answer, hyper::Error> {
    let stream = TcpStream::connect(address(url)).await.expect("connected");
    let mut request = Request::builder().method(method).version(version);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let body = Full::new(body.into());
    let response = if version == Version::HTTP_2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        sender.send_request(request.uri(url).body(body).expect("a request")).await?
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let path = url.splitn(4, '/').nth(3).unwrap_or_default();
        let request = request.uri(format!("/{path}")).header("host", address(url));
        sender.send_request(request.body(body).expect("a request")).await?
    };
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Answer { status: parts.status, version: parts.version, headers: parts.headers, body })
}

/// Waits until something is so; the test's own deadline is what ends it otherwise.
pub(super) async fn until(so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), waiting).await.expect("in time");
}
