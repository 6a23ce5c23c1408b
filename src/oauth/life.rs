//! Lives: how long a token may be served, and when to ask for the next one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::answer::{Cause, Failure, Grant, number};

/// A token's life as its answer tells it.
#[derive(Debug, PartialEq)]
pub(super) struct Life {
    /// From now to its end.
    pub(super) left: Duration,
    /// The JWT's `exp`.
    pub(super) exp: Option<i64>,
    /// By how many seconds the endpoint's clock is ahead of ours.
    pub(super) skew: Option<i64>,
    /// From now to the moment at which the token becomes valid (`nbf`, `iat`): nothing for nearly all.
    pub(super) held: Duration,
    /// The token's times contradict our clock, and no `Date` said whose clock is wrong.
    pub(super) doubtful: bool,
}

impl Life {
    /// The same life when it began with the request: an endpoint may make the token first and then hold it up.
    pub(super) fn since(self, took: Duration) -> Life {
        Life { left: self.left.saturating_sub(took).max(Duration::from_secs_f64(SHORTEST)), ..self }
    }
}

/// A token of a shorter life must have been used, each one, for the next to be asked for.
pub(super) const SHORT: Duration = Duration::from_secs(60);

const SHORTEST: f64 = 1.0;
const LONGEST: f64 = 7.0 * 24.0 * 3600.0;
/// For a token that does not tell, which is a life that every provider's tokens outlast.
const UNKNOWN: f64 = 300.0;
/// A token that becomes valid later than this is of no use to anybody who waits for one.
const LATEST: f64 = 300.0;
/// The same where only our own clock says so, which may be the wrong one.
const LATEST_BY_OUR_CLOCK: f64 = 30.0;

/// The life of a token just granted: the shorter of what the answer states and what the token itself says, measured by
/// the endpoint's own clock where it shows one, because ours may be wrong by hours.
pub(super) fn of(grant: &Grant, wall: SystemTime) -> Result<Life, Failure> {
    let claim = |name| grant.claims.as_ref().and_then(|claims| number(claims.get(name)?));
    let exp = claim("exp");
    let skew = grant.date.map(|date| (unix(date) + 0.5 - unix(wall)).round() as i64);
    let now = unix(grant.date.unwrap_or(wall));
    let inherent = exp.map(|exp| exp - now);
    let past = inherent.is_some_and(|left| left < 0.0);
    let ahead = claim("nbf").into_iter().chain(claim("iat")).fold(now, f64::max) - now;
    let early = ahead > if grant.date.is_some() { LATEST } else { LATEST_BY_OUR_CLOCK };
    if grant.date.is_some() && (past || early) {
        let what = match past {
            true => "had expired when the token endpoint handed it out",
            false => "becomes valid more than five minutes after the token endpoint handed it out",
        };
        return Err(Failure::new(Cause::Malformed, format!("the token {what}")));
    }
    let inherent = inherent.filter(|_| !past);
    let left = match (grant.expires_in, inherent) {
        (Some(stated), Some(inherent)) => stated.min(inherent),
        (Some(left), None) | (None, Some(left)) => left,
        (None, None) => UNKNOWN,
    };
    let left = Duration::from_secs_f64(left.clamp(SHORTEST, LONGEST));
    let held = if early { Duration::ZERO } else { Duration::from_secs_f64(ahead) };
    Ok(Life { left, exp: exp.map(|exp| exp as i64), skew, held, doubtful: past || early })
}

/// How long before its end a token is no longer sent: it has a way to go, and clocks differ.
pub(super) fn margin(life: Duration) -> Duration {
    (life / 20).min(Duration::from_secs(5))
}

/// When to ask for the next token: at 80 % of the life, long lives spread wide so that a fleet does not ask at once.
pub(super) fn renewal(life: Duration) -> Duration {
    let (from, width) = if life > Duration::from_secs(3600) { (0.75, 0.10) } else { (0.78, 0.04) };
    life.mul_f64(from + width * fastrand::f64())
}

/// When to ask again after an answer that moved nothing. SaaS hands out the same token until 30 s before its end:
/// 25 s before it is the first moment that can bring another one; after that half of what is left, again and again.
pub(super) fn rearm(left: Duration) -> Duration {
    let before_end = Duration::from_secs_f64(24.0 + 2.0 * fastrand::f64());
    match left.checked_sub(before_end) {
        Some(wait) if wait >= SOONEST => wait,
        _ => (left / 2).max(SOONEST),
    }
}

const SOONEST: Duration = Duration::from_millis(1100);

fn unix(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn left(expires_in: Option<f64>, exp: Option<i64>, date: Option<i64>) -> Option<(f64, bool)> {
        let at = |offset: i64| UNIX_EPOCH + Duration::from_secs(NOW.saturating_add_signed(offset));
        let grant = Grant {
            authorization: http::HeaderValue::from_static("Bearer x"),
            expires_in,
            claims: exp.map(|offset| json!({ "exp": NOW.saturating_add_signed(offset) })),
            date: date.map(at),
        };
        of(&grant, at(0)).ok().map(|life| (life.left.as_secs_f64(), life.doubtful))
    }

    #[test]
    fn a_life_is_the_shorter_of_both_statements_by_the_endpoints_clock() {
        for (expires_in, exp, date, expected) in [
            (Some(300.0), None, None, Some((300.0, false))),
            (Some(0.0), None, None, Some((1.0, false))),
            (Some(-5.0), None, None, Some((1.0, false))),
            (Some(1e300), None, None, Some((604_800.0, false))),
            (None, None, None, Some((300.0, false))),
            (None, Some(900), None, Some((900.0, false))),
            (Some(300.0), Some(100), None, Some((100.0, false))),
            (Some(50.0), Some(100), None, Some((50.0, false))),
            // Our clock is two hours ahead: the endpoint's counts.
            (Some(3600.0), Some(-3600), Some(-7200), Some((3600.0, false))),
            // Nobody shows a clock: what was stated counts, and doubt is voiced.
            (Some(3600.0), Some(-3600), None, Some((3600.0, true))),
            (None, Some(-3600), None, Some((300.0, true))),
            // Dead by the endpoint's own clock.
            (Some(3600.0), Some(-1), Some(0), None),
            (Some(3600.0), Some(0), Some(0), Some((1.0, false))),
        ] {
            assert_eq!(left(expires_in, exp, date), expected, "{expires_in:?} {exp:?} {date:?}");
        }
    }

    #[test]
    fn a_token_is_held_until_it_becomes_valid_by_the_endpoints_clock() {
        let held = |claim: &str, ahead: i64, date: Option<i64>| {
            let at = |offset: i64| UNIX_EPOCH + Duration::from_secs(NOW.saturating_add_signed(offset));
            let grant = Grant {
                authorization: http::HeaderValue::from_static("Bearer x"),
                expires_in: Some(3600.0),
                claims: Some(json!({ claim: NOW.saturating_add_signed(ahead) })),
                date: date.map(at),
            };
            of(&grant, at(0)).ok().map(|life| (life.held.as_secs(), life.doubtful))
        };
        for claim in ["iat", "nbf"] {
            for (ahead, date, expected) in [
                (-3600, Some(0), Some((0, false))),
                (0, Some(0), Some((0, false))),
                (1, Some(0), Some((1, false))),
                (300, Some(0), Some((300, false))),
                (301, Some(0), None),
                // Our clock is an hour behind, or ahead: the endpoint's counts.
                (3610, Some(3600), Some((10, false))),
                (-3590, Some(-3600), Some((10, false))),
                // Nobody shows a clock: a little is waited for, much says that ours is wrong.
                (30, None, Some((30, false))),
                (31, None, Some((0, true))),
            ] {
                assert_eq!(held(claim, ahead, date), expected, "{claim} {ahead} {date:?}");
            }
        }
    }

    #[test]
    fn a_renewal_comes_at_about_four_fifths_of_the_life() {
        for (life, from, to) in [(60, 46.8, 49.2), (3600, 2808.0, 2952.0), (86_400, 64_800.0, 73_440.0)] {
            for _ in 0..200 {
                let at = renewal(Duration::from_secs(life)).as_secs_f64();
                assert!((from..=to).contains(&at), "{life}: {at}");
            }
        }
    }

    #[test]
    fn an_answer_that_moved_nothing_is_asked_for_again_just_before_the_end() {
        assert!((17_254.0..=17_256.0).contains(&rearm(Duration::from_secs(17_280)).as_secs_f64()));
        assert_eq!(rearm(Duration::from_secs(24)), Duration::from_secs(12));
        assert_eq!(rearm(Duration::from_millis(900)), Duration::from_millis(1100));
    }
}
