//! The token endpoint over the network: one POST on a connection of its own.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use reqwest::{RequestBuilder, Response};

use super::Config;
use super::answer::{Answer, Ask, Asked, Cause, Failure};
use super::client_auth::Proof;
use super::client_identity::ClientIdentity;
use super::clock::Clock;
use super::request::TokenRequest;

mod clients;
mod time;

use clients::Clients;
use time::EndpointTime;

/// Asks real token endpoints.
pub struct Endpoint {
    clients: Clients,
    time: Arc<EndpointTime>,
}

/// More than any token; what is longer is not read to its end.
const LONGEST: usize = 64 * 1024;
/// An error's body is only read for its code.
const ERROR_BODY: Duration = Duration::from_secs(5);

impl Endpoint {
    /// Trusts whom `tls` trusts. `HTTPS_PROXY`, `NO_PROXY` and the like are obeyed, but a loopback endpoint is always
    /// spoken to directly: a company's proxy cannot reach it, and would read the secret.
    pub fn new(config: &Config, tls: rustls::ClientConfig, clock: Clock) -> Result<Endpoint, reqwest::Error> {
        let clients = Clients::new(tls, config.timeout)?;
        Ok(Endpoint { clients, time: Arc::new(EndpointTime::new(clock)) })
    }

    /// Now by the clock of the endpoint that is to be asked, as far as it is known.
    pub(super) fn time(&self, request: &TokenRequest) -> SystemTime {
        self.time.now(&request.endpoint)
    }

    /// The request with a proof that was made for it alone.
    fn prepared(&self, request: &TokenRequest) -> Result<RequestBuilder, Failure> {
        let proof = request.client_auth.proof(request, self.time(request))?;
        let headers = headers(request, &proof)?;
        let pair = self.clients.showing(request.shown_certificate()).map_err(|error| transient(&error))?;
        let client = if is_loopback(&request.endpoint) { pair.direct } else { pair.through_proxies };
        Ok(client.post(&request.endpoint).headers(headers).body(request.form(&proof)))
    }
}

impl Ask for Endpoint {
    fn ask(&self, request: &TokenRequest) -> Asked {
        let sent = match self.prepared(request) {
            Ok(prepared) => prepared.send(),
            Err(failure) => return Box::pin(std::future::ready(Err(failure))),
        };
        let (time, endpoint) = (Arc::clone(&self.time), request.endpoint.clone());
        Box::pin(async move {
            let mut response = sent.await.map_err(|error| transient(&error))?;
            time.note(&endpoint, response.headers());
            let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
            let body = if status == 200 {
                read(&mut response).await?
            } else {
                // Whatever happens to an error's body, the status has said enough.
                let body = tokio::time::timeout(ERROR_BODY, read(&mut response)).await;
                body.ok().and_then(Result::ok).unwrap_or_default()
            };
            Ok(Answer { status, headers, body: body.freeze() })
        })
    }
}

/// Our fields, each replaced by one of the same name that the request brings.
fn headers(request: &TokenRequest, proof: &Proof) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    if let Some(authorization) = &proof.authorization {
        headers.insert(header::AUTHORIZATION, authorization.clone());
    }
    for (name, value) in &request.headers {
        let unfit = || {
            let detail =
                format!("the token request's header field {name:?} has characters that no field may have");
            Failure::new(Cause::Transient, detail)
        };
        let field = HeaderName::try_from(name).map_err(|_| unfit())?;
        let mut value = HeaderValue::try_from(value.expose()).map_err(|_| unfit())?;
        value.set_sensitive(true);
        headers.insert(field, value);
    }
    Ok(headers)
}

async fn read(response: &mut Response) -> Result<BytesMut, Failure> {
    let too_long = || Failure::new(Cause::Malformed, "the token endpoint's answer is longer than 64 KiB");
    if response.content_length().is_some_and(|length| length > LONGEST as u64) {
        return Err(too_long());
    }
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| transient(&error))? {
        if body.len() + piece.len() > LONGEST {
            return Err(too_long());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// What went wrong, in a sentence. The innermost cause says most; the URL is left out, it may hold a password.
fn transient(error: &reqwest::Error) -> Failure {
    let mut innermost: Option<&dyn Error> = error.source();
    while let Some(source) = innermost.and_then(Error::source) {
        innermost = Some(source);
    }
    let what = match error {
        error if error.is_builder() => "the token endpoint's URL cannot be used",
        error if error.is_connect() => "the token endpoint cannot be reached",
        error if error.is_timeout() => "the token endpoint did not answer in time",
        _ => "the token endpoint broke off",
    };
    let why = innermost.map(|cause| format!(": {cause}")).unwrap_or_default();
    let detail = format!("{what}{why}").chars().filter(|c| !c.is_control()).take(200).collect::<String>();
    Failure::new(Cause::Transient, detail)
}

fn is_loopback(endpoint: &str) -> bool {
    let Ok(uri) = endpoint.parse::<Uri>() else { return false };
    let host =
        uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    let host = host.to_ascii_lowercase();
    let address = host.parse::<IpAddr>().map(|address| address.to_canonical().is_loopback());
    address.unwrap_or(host == "localhost" || host.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_endpoints_are_known_however_they_are_written() {
        for near in [
            "http://127.0.0.1:8080/",
            "http://[::1]/x",
            "http://LOCALHOST./",
            "https://a.localhost",
            "http://[::ffff:127.0.0.1]/",
        ] {
            assert!(is_loopback(near), "{near}");
        }
        for far in ["https://login.example/", "http://10.0.0.1/", "https://localhost.example/", "not a url"] {
            assert!(!is_loopback(far), "{far}");
        }
    }
}
