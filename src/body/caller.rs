//! A caller's body on its way upstream, frame by frame.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Body as _, Frame, SizeHint};

use super::Error;
use super::arriving::Arriving;
use super::copy::Copy;
use super::patience::Patience;

/// A body as it arrives, and the frame that was read to see whether it is all there.
#[derive(Debug)]
pub struct CallerBody {
    first: Option<First>,
    rest: Arriving,
    copy: Option<Rc<Copy>>,
    patience: Option<Rc<Patience>>,
}

/// A frame that was read ahead. Smaller than a whole frame, since it goes wherever the body goes.
#[derive(Debug)]
enum First {
    Chunk(Bytes),
    Trailers(Box<HeaderMap>),
}

impl CallerBody {
    /// What comes, after a frame that was already read.
    pub fn new(first: Option<Frame<Bytes>>, rest: Arriving) -> CallerBody {
        let first = first.map(|frame| match frame.into_data() {
            Ok(chunk) => First::Chunk(chunk),
            Err(frame) => First::Trailers(Box::new(frame.into_trailers().unwrap_or_default())),
        });
        CallerBody { first, rest, copy: None, patience: None }
    }

    /// From now on what goes by is copied, within the copy's limit.
    pub fn copied_to(mut self, copy: Rc<Copy>) -> CallerBody {
        self.copy = Some(copy);
        self
    }

    /// From now on the caller may not be silent for longer than this.
    pub fn within(mut self, patience: Rc<Patience>) -> CallerBody {
        self.patience = Some(patience);
        self
    }

    /// The same body from its start, if all that has gone by was copied.
    pub fn rewound(mut self) -> Option<CallerBody> {
        let gone = self.copy.as_ref()?.rewind()?;
        if !gone.is_empty() {
            self.first = Some(First::Chunk(gone));
        }
        Some(self)
    }

    fn copy_frame(&self, copy: &Copy, frame: &Option<Result<Frame<Bytes>, Error>>) {
        match frame {
            None => copy.end(),
            Some(Ok(frame)) if frame.is_data() => {
                frame.data_ref().inspect(|chunk| copy.add(chunk));
                // Whoever sends a body of known length asks for nothing after its last byte.
                if self.is_end_stream() {
                    copy.end();
                }
            }
            Some(_) => copy.give_up(),
        }
    }
}

impl http_body::Body for CallerBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = match self.first.take() {
            Some(First::Chunk(chunk)) => Some(Ok(Frame::data(chunk))),
            Some(First::Trailers(trailers)) => Some(Ok(Frame::trailers(*trailers))),
            None => match (poll_caller(&mut self.rest, cx), &self.patience) {
                (Poll::Ready(frame), patience) => {
                    patience.iter().for_each(|patience| patience.heard());
                    frame
                }
                (Poll::Pending, None) => return Poll::Pending,
                (Poll::Pending, Some(patience)) => {
                    ready!(patience.poll_lost(cx));
                    Some(Err(Error::Stalled))
                }
            },
        };
        if let Some(copy) = &self.copy {
            self.copy_frame(copy, &frame);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let chunk = match &self.first {
            Some(First::Chunk(chunk)) => chunk.len() as u64,
            // With a length there is no place for them.
            Some(First::Trailers(_)) => return SizeHint::default(),
            None => 0,
        };
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + chunk);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + chunk);
        }
        hint
    }
}

/// The next frame of a caller's body. Trailers lose what only a head may say: a credential in a trailer could be
/// taken for the one in the head, and framing or routing fields are refused there by RFC 9110 §6.5.1.
pub fn poll_caller(body: &mut Arriving, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
    let mut frame = ready!(Pin::new(body).poll_frame(cx));
    if let Some(trailers) = frame.as_mut().and_then(|frame| frame.as_mut().ok()?.trailers_mut()) {
        let of_a_head: Vec<HeaderName> = trailers.keys().filter(|name| is_of_a_head(name)).cloned().collect();
        for name in of_a_head {
            trailers.remove(name);
        }
    }
    Poll::Ready(frame)
}

/// Also with `_` for `-`, as servers read it that pass fields on as variables.
fn is_of_a_head(name: &HeaderName) -> bool {
    const OF_A_HEAD: [&str; 22] = [
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "max-forwards",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-http-method-override",
        "x-original-url",
        "x-real-ip",
    ];
    let read = name.as_str().replace('_', "-");
    OF_A_HEAD.contains(&&*read) || read.starts_with("x-forwarded-")
}
