//! Where requests get their `authorization` field: from a token that is renewed, or from one that stays as it is.

use std::sync::Arc;

use http::HeaderValue;
use tokio::time::Instant;

use super::measures::Measured;
use super::source::TokenSource;
use super::status::{State, Status, Unavailable};
use super::token::Token;

/// Gives requests their `authorization` field. Clones give the same one.
#[derive(Clone)]
pub enum Authorizer {
    /// OAuth's: asked for, kept, renewed.
    Tokens(Arc<TokenSource>),
    /// A field that has no end, or none at all. It is there at once, and nobody is ever asked for it.
    Fixed(Arc<Token>),
}

impl Authorizer {
    /// Always this field; without one, requests go out without it.
    pub fn fixed(field: Option<HeaderValue>) -> Authorizer {
        Authorizer::Fixed(Arc::new(Token::fixed(field)))
    }

    /// The source, where tokens are asked for.
    pub fn source(&self) -> Option<&Arc<TokenSource>> {
        match self {
            Authorizer::Tokens(source) => Some(source),
            Authorizer::Fixed(_) => None,
        }
    }

    /// What was measured so far, where tokens are asked for.
    pub fn measured(&self) -> Option<Measured> {
        self.source().map(|source| source.measured())
    }

    /// The token, unless there is none or its end has come. `now` is for who has read the clock already.
    pub fn current_at(&self, now: Instant) -> Option<Arc<Token>> {
        match self {
            Authorizer::Tokens(source) => source.current_at(now),
            Authorizer::Fixed(token) => Some(Arc::clone(token)),
        }
    }

    /// Waits for a token, as [`TokenSource::wait`] does.
    pub async fn wait(&self, until: Instant) -> Result<Arc<Token>, Unavailable> {
        match self {
            Authorizer::Tokens(source) => source.wait(until).await,
            Authorizer::Fixed(token) => Ok(Arc::clone(token)),
        }
    }

    /// What there is to say of it now.
    pub fn status(&self) -> Status {
        match self {
            Authorizer::Tokens(source) => source.status(),
            Authorizer::Fixed(token) => {
                Status { state: State::Fixed, obtained_at: Some(token.obtained_at()), ..Status::default() }
            }
        }
    }

    /// Tries again at once, as [`TokenSource::retry`] does. A fixed field has nothing to try.
    pub fn retry(&self) {
        if let Authorizer::Tokens(source) = self {
            source.retry();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fixed_field_is_there_at_once_and_has_no_end() {
        let authorizer = Authorizer::fixed(Some(HeaderValue::from_static("Basic canary")));
        let token = authorizer.wait(Instant::now()).await.unwrap();
        assert_eq!(token.authorization(), Some(&HeaderValue::from_static("Basic canary")));
        assert!(token.expires_at().is_none() && authorizer.current_at(Instant::now()).is_some());
        authorizer.retry();
        let status = authorizer.status();
        assert_eq!((status.state, status.requests.total()), (State::Fixed, 0));
        assert!(!format!("{token:?} {status:?}").contains("canary"));
    }
}
