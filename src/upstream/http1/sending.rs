//! A request on its way into a connection.

use std::io;

use crate::body::{self, CallerBody};
use crate::http1::{Framing, Outgoing, RequestHead, Stopped, Unsent};
use crate::upstream::Payload;

/// The request.
pub(super) type Sending = Outgoing<CallerBody>;

/// A request with this body.
pub(super) fn sending(head: RequestHead, payload: Payload) -> Sending {
    match payload {
        Payload::Empty => Sending::whole(head.finish(Framing::None), Framing::None, Default::default()),
        Payload::Whole(data) => {
            let framing = Framing::Length(data.len() as u64);
            Sending::whole(head.finish(framing), framing, data)
        }
        Payload::Streaming(body) => {
            let known = http_body::Body::size_hint(&body).exact();
            let framing = known.map_or(Framing::Chunked, Framing::Length);
            Sending::streaming(head.finish(framing), framing, body)
        }
    }
}

/// The body once more, of a request that has not begun.
pub(super) fn unsent(sending: Sending) -> Option<Payload> {
    match sending.into_unsent() {
        Unsent::Whole(data) if data.is_empty() => Some(Payload::Empty),
        Unsent::Whole(data) => Some(Payload::Whole(data)),
        Unsent::Untouched(body) => Some(Payload::Streaming(body)),
        Unsent::Touched(body) => body.rewound().map(Payload::Streaming),
    }
}

impl From<Stopped<body::Error>> for io::Error {
    fn from(stopped: Stopped<body::Error>) -> io::Error {
        match stopped {
            Stopped::Wire(cause) => cause,
            Stopped::Body(cause) => io::Error::other(cause),
        }
    }
}
