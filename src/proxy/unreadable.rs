//! A head that cannot be read as a request is answered and recorded like every other failure.

use std::fmt::Display;
use std::rc::Rc;

use http::header::CONNECTION;
use http::{HeaderValue, Version};

use super::error::Error;
use super::reply::{Dialect, reply};
use super::{Connection, Proxy, Tracked};
use crate::message::Response;
use crate::reason::Reason;

impl Proxy {
    /// The answer to what HTTP/1.1 cannot read; the connection ends with it.
    pub fn unreadable(&self, connection: &Rc<Connection>, why: &dyn Display) -> Response<Tracked> {
        let error = Error::new(Reason::Malformed, format!("the request's head cannot be read: {why}"));
        self.unread(connection, Version::HTTP_11, &error)
    }

    /// The answer to a head that is too large to be read; over HTTP/1.1 the connection ends with it. Nobody knows who sent
    /// it, or what for.
    pub fn oversized(&self, connection: &Rc<Connection>, version: Version) -> Response<Tracked> {
        self.unread(connection, version, &Error::too_large(self.settings.head_size))
    }

    fn unread(&self, connection: &Rc<Connection>, version: Version, error: &Error) -> Response<Tracked> {
        let mut answer = reply(error, Dialect::Rest);
        let mut exchange = self.exchange(Rc::clone(connection), version, Dialect::Rest);
        exchange.failed(error);
        exchange.status = Some(answer.head.status);
        if version != Version::HTTP_2 {
            answer.head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer.map(|body| Tracked::own(body, exchange))
    }
}
