//! The token endpoint over the network: one POST on a connection of its own, and a GET before it where only the issuer
//! is known.

use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use reqwest::{Client, RequestBuilder, Response};
use tokio::time::sleep;

use super::Config;
use super::answer::{Answer, Ask, Asked, Cause, Failure};
use super::client_auth::Proof;
use super::client_identity::ClientIdentity;
use super::clock::Clock;
use super::discovery::{self, Discovery, Metadata};
use super::pace::AFTER_ANSWER;
use super::request::{TokenRequest, shown};

mod clients;
mod time;

use clients::Clients;
use time::EndpointTime;

/// Asks real token endpoints.
pub struct Endpoint(Arc<Inner>);

struct Inner {
    clients: Clients,
    time: EndpointTime,
    discovery: Discovery,
}

/// More than any token; what is longer is not read to its end.
const LONGEST: usize = 64 * 1024;
/// An error's body is only read for its code.
const ERROR_BODY: Duration = Duration::from_secs(5);
/// For an issuer's metadata: a small file.
const METADATA: Duration = Duration::from_secs(10);
const US: &str = "the token endpoint";
const ISSUER: &str = "the issuer";

impl Endpoint {
    /// Trusts whom `tls` trusts. `HTTPS_PROXY`, `NO_PROXY` and the like are obeyed, but a loopback endpoint is always
    /// spoken to directly: a company's proxy cannot reach it, and would read the secret.
    pub fn new(config: &Config, tls: rustls::ClientConfig, clock: Clock) -> Result<Endpoint, reqwest::Error> {
        let clients = Clients::new(tls, config.timeout)?;
        let (time, discovery) = (EndpointTime::new(clock), Discovery::new(config.allow_plaintext));
        Ok(Endpoint(Arc::new(Inner { clients, time, discovery })))
    }

    /// Now by the clock of the endpoint that is to be asked, as far as it is known.
    #[cfg(test)]
    pub(super) fn time(&self, endpoint: &str) -> std::time::SystemTime {
        self.0.time.now(endpoint)
    }
}

impl Ask for Endpoint {
    fn ask(&self, request: &TokenRequest) -> Asked {
        let (inner, request) = (Arc::clone(&self.0), request.clone());
        Box::pin(async move {
            if request.by_issuer { inner.ask_by_issuer(request).await } else { inner.ask(&request).await }
        })
    }

    fn shown(&self, request: &TokenRequest) -> String {
        let known = self.0.discovery.known(&request.endpoint).filter(|_| request.by_issuer);
        let endpoint = |known: Metadata| shown(known.token_endpoint(request.shown_certificate().is_some()));
        known.map_or_else(|| request.shown(), endpoint)
    }
}

impl Inner {
    /// One POST.
    async fn ask(&self, request: &TokenRequest) -> Result<Answer, Failure> {
        let mut response = self.prepared(request)?.send().await.map_err(|error| transient(&error, US))?;
        self.time.note(&request.endpoint, response.headers());
        let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
        let body = if status == 200 {
            read(&mut response, US).await?
        } else {
            // Whatever happens to an error's body, the status has said enough.
            let body = tokio::time::timeout(ERROR_BODY, read(&mut response, US)).await;
            body.ok().and_then(Result::ok).unwrap_or_default()
        };
        Ok(Answer { status, headers, body: body.freeze() })
    }

    async fn ask_by_issuer(&self, request: TokenRequest) -> Result<Answer, Failure> {
        let metadata = self.metadata(&request).await?;
        let endpoint = metadata.token_endpoint(request.shown_certificate().is_some()).to_owned();
        let issuer = request.endpoint.clone();
        let answer = self.ask(&TokenRequest { endpoint, by_issuer: false, ..request }).await;
        self.discovery.note(&issuer, answer.as_ref().ok().map(|answer| answer.status));
        answer
    }

    /// Where the issuer's token endpoint is: known, or looked up.
    async fn metadata(&self, request: &TokenRequest) -> Result<Metadata, Failure> {
        let issuer = &request.endpoint;
        if let Some(metadata) = self.discovery.fresh(issuer) {
            return Ok(metadata);
        }
        let [usual, other] = discovery::places(issuer);
        let body = match self.fetch(&usual, request).await {
            Ok(None) => {
                sleep(AFTER_ANSWER).await;
                self.fetch(&other, request).await
            }
            fetched => fetched,
        };
        let missing =
            || Failure::new(Cause::Malformed, "the issuer publishes no metadata: set oauth.url in its place");
        let metadata = self.discovery.keep(issuer, body.and_then(|body| body.ok_or_else(missing)))?;
        // The host counts this request too: the next one keeps its distance, and the turn with it.
        sleep(AFTER_ANSWER).await;
        Ok(metadata)
    }

    /// One GET; nothing where there is nothing.
    async fn fetch(&self, url: &str, request: &TokenRequest) -> Result<Option<Vec<u8>>, Failure> {
        let client = self.client(url, request)?;
        let fetched = async {
            let get = client.get(url).header(header::ACCEPT, "application/json");
            let mut response = get.send().await.map_err(|error| transient(&error, ISSUER))?;
            let said =
                |cause: Cause, status: u16| Failure::new(cause, format!("the issuer answered {status}"));
            match response.status().as_u16() {
                200 => read(&mut response, ISSUER).await.map(|body| Some(body.to_vec())),
                404 => Ok(None),
                429 => Err(said(Cause::RateLimited, 429)),
                status @ (408 | 425 | 500..=599) => Err(said(Cause::Transient, status)),
                status => Err(said(Cause::Malformed, status)),
            }
        };
        let slow = |_| Failure::new(Cause::Transient, "the issuer did not answer in time");
        tokio::time::timeout(METADATA, fetched).await.map_err(slow)?
    }

    /// The request with a proof that was made for it alone.
    fn prepared(&self, request: &TokenRequest) -> Result<RequestBuilder, Failure> {
        let proof = request.client_auth.proof(request, self.time.now(&request.endpoint))?;
        let headers = headers(request, &proof)?;
        let client = self.client(&request.endpoint, request)?;
        Ok(client.post(&request.endpoint).headers(headers).body(request.form(&proof)))
    }
    /// The client that speaks to this URL for this request.
    fn client(&self, url: &str, request: &TokenRequest) -> Result<Client, Failure> {
        let pair =
            self.clients.showing(request.shown_certificate()).map_err(|error| transient(&error, US))?;
        Ok(if is_loopback(url) { pair.direct } else { pair.through_proxies })
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

async fn read(response: &mut Response, whom: &str) -> Result<BytesMut, Failure> {
    let too_long = || Failure::new(Cause::Malformed, format!("{whom}'s answer is longer than 64 KiB"));
    if response.content_length().is_some_and(|length| length > LONGEST as u64) {
        return Err(too_long());
    }
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await.map_err(|error| transient(&error, whom))? {
        if body.len() + piece.len() > LONGEST {
            return Err(too_long());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// What went wrong, in a sentence. The innermost cause says most; the URL is left out, it may hold a password.
fn transient(error: &reqwest::Error, whom: &str) -> Failure {
    let mut innermost: Option<&dyn Error> = error.source();
    while let Some(source) = innermost.and_then(Error::source) {
        innermost = Some(source);
    }
    let what = match error {
        error if error.is_builder() => "'s URL cannot be used",
        error if error.is_connect() => " cannot be reached",
        error if error.is_timeout() => " did not answer in time",
        _ => " broke off",
    };
    let why = innermost.map(|cause| format!(": {cause}")).unwrap_or_default();
    let detail =
        format!("{whom}{what}{why}").chars().filter(|c| !c.is_control()).take(200).collect::<String>();
    Failure::new(Cause::Transient, detail)
}

pub(super) fn is_loopback(endpoint: &str) -> bool {
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
