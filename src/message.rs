//! Requests and answers as they pass through: heads like those of the `http` crate, but that their fields stay in the order
//! in which they came, and cost no more than a list does.

use std::borrow::Borrow;
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

pub mod request;
pub mod response;

/// An answer with what carries its body.
#[derive(Debug)]
pub struct Response<B> {
    /// All but the body.
    pub head: response::Head,
    /// What carries the body.
    pub body: B,
}

impl<B> Response<B> {
    /// An answer without fields.
    pub fn new(status: StatusCode, body: B) -> Response<B> {
        Response { head: response::Head { status, ..response::Head::default() }, body }
    }

    /// The same answer with another body.
    pub fn map<T>(self, change: impl FnOnce(B) -> T) -> Response<T> {
        Response { head: self.head, body: change(self.body) }
    }
}

/// The fields of a head in their order, also of those that come more than once (RFC 9110 §5.3). There are few of them: to look
/// at each is cheaper than to find one by its hash, and than to make a table for that.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(HeaderName, HeaderValue)>);

impl Headers {
    /// None yet, with room for so many.
    pub fn with_capacity(fields: usize) -> Headers {
        Headers(Vec::with_capacity(fields))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name and value of each.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// The name of each; one that comes again is told again.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|(name, _)| name)
    }

    /// The first value of this name.
    pub fn get(&self, name: impl Borrow<HeaderName>) -> Option<&HeaderValue> {
        let name = name.borrow();
        self.0.iter().find(|field| field.0 == *name).map(|(_, value)| value)
    }

    /// All values of this name.
    pub fn get_all(&self, name: HeaderName) -> impl Iterator<Item = &HeaderValue> {
        self.iter().filter(move |field| *field.0 == name).map(|(_, value)| value)
    }

    /// Whether there is one of this name.
    pub fn contains(&self, name: impl Borrow<HeaderName>) -> bool {
        self.get(name).is_some()
    }

    /// Adds one after all others.
    pub fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push((name, value));
    }

    /// The only one of this name from now on: where the first of them was, or after all others.
    pub fn insert(&mut self, name: HeaderName, value: HeaderValue) {
        let Some(at) = self.names().position(|known| *known == name) else { return self.append(name, value) };
        let mut place = 0..;
        self.0.retain(|field| place.next() <= Some(at) || field.0 != name);
        self.0[at].1 = value;
    }

    /// Takes out all but those whose name stays.
    pub fn retain(&mut self, stays: impl Fn(&HeaderName) -> bool) {
        self.0.retain(|(name, _)| stays(name));
    }

    /// Puts another value in place of each for which there is one.
    pub fn change(&mut self, other: impl Fn(&HeaderName, &HeaderValue) -> Option<HeaderValue>) {
        for (name, value) in &mut self.0 {
            if let Some(other) = other(name, value) {
                *value = other;
            }
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl FromIterator<(HeaderName, HeaderValue)> for Headers {
    fn from_iter<I: IntoIterator<Item = (HeaderName, HeaderValue)>>(fields: I) -> Headers {
        Headers(fields.into_iter().collect())
    }
}

impl From<HeaderMap> for Headers {
    fn from(map: HeaderMap) -> Headers {
        map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

impl From<Headers> for HeaderMap {
    fn from(headers: Headers) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(headers.len());
        for (name, value) in headers.0 {
            map.append(name, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, COOKIE, HOST};

    use super::*;

    fn headers(fields: &[(HeaderName, &'static str)]) -> Headers {
        fields.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn fields_stay_in_the_order_in_which_they_came() {
        let came = [(COOKIE, "a"), (HOST, "b"), (COOKIE, "c"), (ACCEPT, "d")];
        let mut headers = headers(&came);
        let told: Vec<_> =
            headers.iter().map(|(name, value)| (name.clone(), value.to_str().unwrap())).collect();
        assert_eq!(told, came);
        assert_eq!(headers.get(COOKIE).unwrap(), "a");
        assert!(headers.get_all(COOKIE).eq(["a", "c"]));
        headers.append(COOKIE, HeaderValue::from_static("e"));
        assert!(headers.get_all(COOKIE).eq(["a", "c", "e"]));
    }

    #[test]
    fn what_is_inserted_is_the_only_one_and_stands_where_the_first_was() {
        let came = [(ACCEPT, "a"), (COOKIE, "b"), (HOST, "c"), (COOKIE, "d"), (COOKIE, "e")];
        let mut it = headers(&came);
        it.insert(COOKIE, HeaderValue::from_static("f"));
        assert_eq!(it, headers(&[(ACCEPT, "a"), (COOKIE, "f"), (HOST, "c")]));
        it.retain(|name| name != COOKIE);
        it.insert(COOKIE, HeaderValue::from_static("g"));
        assert_eq!(it, headers(&[(ACCEPT, "a"), (HOST, "c"), (COOKIE, "g")]));
    }

    #[test]
    fn some_values_are_changed_and_others_stay() {
        let mut it = headers(&[(COOKIE, "a"), (HOST, "a"), (COOKIE, "b")]);
        it.change(|name, value| (name == COOKIE && value == "a").then(|| HeaderValue::from_static("c")));
        assert_eq!(it, headers(&[(COOKIE, "c"), (HOST, "a"), (COOKIE, "b")]));
    }
}
