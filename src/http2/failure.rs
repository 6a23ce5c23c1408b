//! What goes wrong on a connection or a stream, and what it means for a request.

use std::borrow::Cow;

use h2::Reason;

use super::hpack::Corrupt;

/// Why a stream ended before its end.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    kind: Kind,
    /// The HTTP/2 code, where there is one.
    code: Option<Reason>,
    text: Cow<'static, str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The peer reset the stream.
    Reset,
    /// The peer will not look at the stream, nor at later ones.
    Unseen,
    /// Not an octet of the request has left.
    Unsent,
    /// We ended it.
    Ours,
    /// The connection is lost.
    Lost,
}

impl Failure {
    pub(super) fn reset(code: Reason) -> Failure {
        let text = format!("the stream was reset: {}", code.description());
        Failure { kind: Kind::Reset, code: Some(code), text: text.into() }
    }

    /// Above the last stream that a GOAWAY names.
    pub(super) fn unseen(code: Reason) -> Failure {
        let text = format!("the connection is going away: {}", code.description());
        Failure { kind: Kind::Unseen, code: Some(code), text: text.into() }
    }

    pub(super) fn unsent() -> Failure {
        Failure {
            kind: Kind::Unsent,
            code: None,
            text: Cow::Borrowed("the connection takes no more streams"),
        }
    }

    pub(crate) fn cancelled() -> Failure {
        Failure::ours(Reason::CANCEL, "the stream was cancelled")
    }

    /// All of the answer is out, and nobody wants the rest of its request.
    pub(super) fn answered() -> Failure {
        Failure::ours(Reason::NO_ERROR, "the request was answered")
    }

    /// Who was to answer is gone.
    pub(super) fn unanswered() -> Failure {
        Failure::ours(Reason::INTERNAL_ERROR, "the request was given up")
    }

    /// We broke the stream off.
    pub(crate) fn ours(code: Reason, text: &'static str) -> Failure {
        Failure { kind: Kind::Ours, code: Some(code), text: Cow::Borrowed(text) }
    }

    pub(crate) fn lost(text: impl Into<Cow<'static, str>>) -> Failure {
        Failure { kind: Kind::Lost, code: None, text: text.into() }
    }

    /// The peer closed the connection after it had said why.
    pub(super) fn closed(code: Reason) -> Failure {
        Failure::lost(format!("the connection was closed: {}", code.description()))
    }

    /// The same end, for a stream of which nothing was sent.
    pub(super) fn of_unsent(&self) -> Failure {
        Failure { kind: Kind::Unsent, ..self.clone() }
    }

    /// Whether the request was not looked at, so that it may go out again (RFC 9113 §8.7).
    pub(crate) fn is_unprocessed(&self) -> bool {
        matches!(self.kind, Kind::Unseen | Kind::Unsent)
            || self.kind == Kind::Reset && self.code == Some(Reason::REFUSED_STREAM)
    }

    /// Whether the connection was lost, and nobody knows what became of the request.
    pub(crate) fn is_lost(&self) -> bool {
        self.kind == Kind::Lost
    }

    pub(crate) fn code(&self) -> Option<Reason> {
        self.code
    }

    /// Whether the peer reset this one stream.
    pub(crate) fn is_reset_by_peer(&self) -> bool {
        self.kind == Kind::Reset
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// What the peer did that it must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: Reason,
    pub(super) what: &'static str,
}

impl Fault {
    pub(super) const fn new(code: Reason, what: &'static str) -> Fault {
        Fault { code, what }
    }

    pub(super) const fn protocol(what: &'static str) -> Fault {
        Fault::new(Reason::PROTOCOL_ERROR, what)
    }

    pub(super) const fn size(what: &'static str) -> Fault {
        Fault::new(Reason::FRAME_SIZE_ERROR, what)
    }

    /// RFC 9113 §5.1: on a stream that the peer has ended.
    pub(super) const fn closed(what: &'static str) -> Fault {
        Fault::new(Reason::STREAM_CLOSED, what)
    }

    pub(super) const fn calm(what: &'static str) -> Fault {
        Fault::new(Reason::ENHANCE_YOUR_CALM, what)
    }

    pub(super) const fn flow(what: &'static str) -> Fault {
        Fault::new(Reason::FLOW_CONTROL_ERROR, what)
    }
}

impl From<Corrupt> for Fault {
    fn from(corrupt: Corrupt) -> Fault {
        Fault::new(Reason::COMPRESSION_ERROR, corrupt.0)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        let text = format!("the rules of HTTP/2 are broken: {}", fault.what);
        Failure { kind: Kind::Ours, code: Some(fault.code), text: text.into() }
    }
}
