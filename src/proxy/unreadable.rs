//! A head that cannot be read as a request is answered and recorded like every other failure.

use std::fmt::Display;
use std::rc::Rc;
use std::time::SystemTime;

use http::header::{CONNECTION, CONTENT_LENGTH, DATE};
use http::{HeaderValue, Response, Version};

use super::error::Error;
use super::reply::{Dialect, reply};
use super::{Connection, Proxy, Tracked};
use crate::body::Body;
use crate::reason::Reason;

impl Proxy {
    /// The answer to a head that HTTP/1.1 cannot read, in the bytes in which it goes out; the connection ends with it.
    pub fn unreadable(&self, connection: &Rc<Connection>, too_large: bool, why: &dyn Display) -> Vec<u8> {
        let error = match too_large {
            true => Error::too_large(self.settings.head_size),
            false => Error::new(Reason::Malformed, format!("the request's head cannot be read: {why}")),
        };
        let answer = reply(&error, Dialect::Rest);
        let mut exchange = self.exchange(Rc::clone(connection), Version::HTTP_11, Dialect::Rest);
        exchange.failed(&error, answer.status());
        exchange.complete = true;
        wire(answer)
    }

    /// The answer to an HTTP/2 head that is too large to be read. Nobody knows who sent it, or what for.
    pub fn oversized(&self, connection: &Rc<Connection>) -> Response<Tracked> {
        let error = Error::too_large(self.settings.head_size);
        let answer = reply(&error, Dialect::Rest);
        let mut exchange = self.exchange(Rc::clone(connection), Version::HTTP_2, Dialect::Rest);
        exchange.failed(&error, answer.status());
        answer.map(|body| Tracked::own(body, exchange))
    }
}

fn wire(mut answer: Response<Body>) -> Vec<u8> {
    let body = match std::mem::take(answer.body_mut()) {
        Body::Full(bytes) => bytes,
        _ => Default::default(),
    };
    let headers = answer.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now())) {
        headers.insert(DATE, date);
    }
    let mut wire = format!("HTTP/1.1 {}\r\n", answer.status()).into_bytes();
    for (name, value) in answer.headers() {
        wire.extend_from_slice(name.as_str().as_bytes());
        wire.extend_from_slice(b": ");
        wire.extend_from_slice(value.as_bytes());
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"\r\n");
    wire.extend_from_slice(&body);
    wire
}
