//! The token: the header it becomes, its end, and what it says of itself.

use std::fmt;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use serde_json::Value;
use tokio::time::Instant;

use super::answer::{self, Grant, number};
use super::clock::{Clock, Deadline};
use super::life::{self, Life};

/// A token as it was obtained. It never changes; the next one takes its place.
pub struct Token {
    /// Absent where requests need none.
    authorization: Option<HeaderValue>,
    generation: u64,
    claims: Option<Value>,
    exp: Option<i64>,
    obtained_at: SystemTime,
    /// From its start to its end, which is more than what was left when the endpoint handed it out once more.
    life: Duration,
    /// Absent for a fixed field, which has no end.
    ends: Option<Ends>,
}

struct Ends {
    at: Deadline,
    served_until: Deadline,
}

impl Token {
    /// The field that requests get: `Bearer …`, marked sensitive. Absent where they need none.
    pub fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// The token itself, for `token --reveal` alone.
    pub fn reveal(&self) -> &str {
        let field = self.authorization.as_ref().and_then(|field| field.to_str().ok());
        field.unwrap_or_default().trim_start_matches("Bearer ")
    }

    /// Grows with every new token of the process. The same token handed out once more keeps its generation.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The payload of a JWT, unverified; absent when the token is opaque.
    pub fn claims(&self) -> Option<&Value> {
        self.claims.as_ref()
    }

    /// When it was obtained, by our wall clock.
    pub fn obtained_at(&self) -> SystemTime {
        self.obtained_at
    }

    /// Its end, by our wall clock. It is served until a little before. A fixed field has none.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.ends.as_ref().map(|ends| ends.at.wall)
    }

    /// A field that stays as it is, or none.
    pub(super) fn fixed(authorization: Option<HeaderValue>) -> Token {
        Token {
            authorization,
            generation: 0,
            claims: None,
            exp: None,
            obtained_at: SystemTime::now(),
            life: Duration::MAX,
            ends: None,
        }
    }

    /// The token just granted, beside the one it follows. `next` makes a generation.
    pub(super) fn new(
        grant: Grant,
        life: &Life,
        clock: &Clock,
        previous: Option<&Token>,
        next: impl FnOnce() -> u64,
    ) -> Token {
        let authorization = Some(grant.authorization);
        let same = previous.filter(|previous| previous.authorization == authorization);
        let whole = same.map_or(life.left, |same| same.life.max(life.left));
        let end = clock.deadline(life.left);
        Token {
            authorization,
            generation: same.map_or_else(next, |same| same.generation),
            claims: grant.claims,
            exp: life.exp,
            obtained_at: clock.wall(),
            life: whole,
            ends: Some(Ends { at: end, served_until: end.earlier(life::margin(whole)) }),
        }
    }

    /// A token that another process obtained `age` ago, with the life it has left and had in whole.
    pub(super) fn kept(
        token: &str,
        left: Duration,
        life: Duration,
        age: Duration,
        clock: &Clock,
        next: impl FnOnce() -> u64,
    ) -> Option<Token> {
        let claims = answer::claims(token);
        let end = clock.deadline(left);
        Some(Token {
            authorization: Some(answer::bearer(token)?),
            generation: next(),
            exp: claims.as_ref().and_then(|claims| number(claims.get("exp")?)).map(|exp| exp as i64),
            claims,
            obtained_at: clock.wall() - age,
            life,
            ends: Some(Ends { at: end, served_until: end.earlier(life::margin(life)) }),
        })
    }

    /// From now to its end.
    pub(super) fn until_end(&self, clock: &Clock) -> Duration {
        self.ends.as_ref().map_or(Duration::MAX, |ends| clock.left(&ends.at))
    }

    /// From its start to its end.
    pub(super) fn life(&self) -> Duration {
        self.life
    }

    /// Whether it may be sent `now`. Asked for every request.
    pub(super) fn is_servable(&self, clock: &Clock, now: Instant) -> bool {
        self.ends.as_ref().is_none_or(|ends| clock.is_ahead(&ends.served_until, now))
    }

    /// For how long it is still sent.
    pub(super) fn left(&self, clock: &Clock) -> Duration {
        self.ends.as_ref().map_or(Duration::MAX, |ends| clock.left(&ends.served_until))
    }

    /// Whether the endpoint handed out nothing newer than the token before.
    pub(super) fn moved_nothing(&self, previous: &Token) -> bool {
        self.authorization == previous.authorization || (self.exp.is_some() && self.exp == previous.exp)
    }

    /// Whether it is too short-lived to be renewed for nobody.
    pub(super) fn is_short(&self) -> bool {
        self.life < life::SHORT
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("generation", &self.generation)
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
