//! What octets are taken for by what fuzzing tries: a path as servers may read it, lines as fields. Compiled for tests and for
//! fuzzing alone.

use crate::message::Headers;

/// How often a path is decoded on its way at most: by us, by a gateway, by mistake.
const DECODINGS: usize = 3;

/// A path as servers may read it that decode it once, twice, or not at all.
pub(crate) fn readings(path: &str) -> impl Iterator<Item = Vec<u8>> {
    let decode = |path: &Vec<u8>| Some(percent_encoding::percent_decode(path).collect());
    std::iter::successors(Some(path.as_bytes().to_vec()), decode).take(DECODINGS + 1)
}

/// Lines of `name: value`; what is no field is left out.
pub(crate) fn fields<'a>(lines: impl Iterator<Item = &'a str>) -> Headers {
    let mut fields = Headers::default();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = http::HeaderValue::from_bytes(value.trim_ascii().as_bytes());
        if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), value) {
            fields.append(name, value);
        }
    }
    fields
}
