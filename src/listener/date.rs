//! The date of answers that have none, written once a second.

use std::cell::RefCell;
use std::time::UNIX_EPOCH;

use http::HeaderValue;

use crate::wall;

thread_local! {
    static LAST: RefCell<(u64, HeaderValue)> = const { RefCell::new((0, HeaderValue::from_static(""))) };
}

pub(super) fn date() -> HeaderValue {
    let now = wall::now();
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    LAST.with_borrow_mut(|(last, text)| {
        if *last != second
            && let Ok(written) = HeaderValue::from_str(&httpdate::fmt_http_date(now))
        {
            (*last, *text) = (second, written);
        }
        text.clone()
    })
}
