//! What a path may not hold: everything that somebody behind us could read as another path.
//!
//! Refused, never repaired. The octets that were checked are the octets that leave, so no server can be made to
//! see a path that the route table did not see. The readings to fear are Tomcat's and Spring's, which stand
//! behind most of Camunda: `/..;x/` is up, `%2f` may be a slash, and a gateway in between may decode once more.

/// How often a path is decoded before it is believed: once by us, once by a gateway, once by mistake.
const DECODINGS: usize = 3;

/// Checks the path of a request target, without its query. The error says what was wrong, for the caller to read.
///
/// Allocates only for segments with a percent escape, which few requests have.
pub(super) fn check(path: &str) -> Result<(), &'static str> {
    if is_ordinary(path.as_bytes()) { Ok(()) } else { look_closely(path) }
}

fn look_closely(path: &str) -> Result<(), &'static str> {
    let Some(segments) = path.strip_prefix('/') else {
        return Err("the request target must start with a slash");
    };
    if !path.bytes().all(is_plain) {
        return Err(
            "the path holds a backslash, a `#`, a space, a control character or one that is not ASCII",
        );
    }
    let mut segments = segments.as_bytes().split(|&octet| octet == b'/').peekable();
    while let Some(segment) = segments.next() {
        // A slash at the very end leaves one empty segment, which means nothing.
        if segment.is_empty() && segments.peek().is_none() {
            break;
        }
        check_meaning(segment)?;
        if segment.contains(&b'%') {
            check_escapes(segment)?;
        }
    }
    Ok(())
}

/// Whether one look shows that nothing is wrong: segments of letters, digits, `-` and `_`, with dots inside. Most paths are
/// like that.
fn is_ordinary(path: &[u8]) -> bool {
    let mut before = 0;
    let ordinary = path.iter().all(|&octet| {
        let begins = std::mem::replace(&mut before, octet) == b'/';
        ORDINARY[usize::from(octet)] && !(begins && matches!(octet, b'/' | b'.'))
    });
    ordinary && path.first() == Some(&b'/')
}

static ORDINARY: [bool; 256] = {
    let mut ordinary = [false; 256];
    let mut octet = 0;
    while octet < 256 {
        ordinary[octet] =
            (octet as u8).is_ascii_alphanumeric() || matches!(octet as u8, b'/' | b'.' | b'-' | b'_');
        octet += 1;
    }
    ordinary
};

/// Visible ASCII but for the two characters that some servers take for a slash or for the end of the path.
fn is_plain(octet: u8) -> bool {
    octet.is_ascii_graphic() && octet != b'\\' && octet != b'#'
}

/// What a segment means once its parameters (`;name=value`) are cut, as servlet containers do.
fn check_meaning(segment: &[u8]) -> Result<(), &'static str> {
    match segment.split(|&octet| octet == b';').next() {
        Some(b"." | b"..") => Err("the path holds a `.` or `..` segment"),
        Some(b"") | None => Err("the path holds an empty segment (`//`)"),
        Some(_) => Ok(()),
    }
}

fn check_escapes(segment: &[u8]) -> Result<(), &'static str> {
    let escapes_are_whole = segment
        .split(|&octet| octet == b'%')
        .skip(1)
        .all(|escape| matches!(escape, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()));
    if !escapes_are_whole {
        return Err("the path holds a `%` that is not followed by two hexadecimal digits");
    }
    let mut decoded = segment.to_vec();
    for _ in 0..DECODINGS {
        decode_in_place(&mut decoded);
        if decoded.iter().any(|&octet| octet == b'/' || octet == b'\\' || octet.is_ascii_control()) {
            return Err("the path holds an encoded slash, backslash or control character");
        }
        // Also the door for overlong forms: `%c0%ae` is a dot to a decoder that does not look closely.
        if std::str::from_utf8(&decoded).is_err() {
            return Err("the path holds percent escapes that are not UTF-8");
        }
        check_meaning(&decoded)?;
        if !decoded.contains(&b'%') {
            break;
        }
    }
    Ok(())
}

/// One decoding; a `%` without two hexadecimal digits stays, as lenient decoders leave it.
fn decode_in_place(octets: &mut Vec<u8>) {
    let digit = |octet: Option<&u8>| octet.and_then(|&octet| (octet as char).to_digit(16));
    let (mut read, mut written) = (0, 0);
    while read < octets.len() {
        let escape = match octets[read] {
            b'%' => digit(octets.get(read + 1)).zip(digit(octets.get(read + 2))),
            _ => None,
        };
        (octets[written], read) = match escape {
            Some((high, low)) => ((high * 16 + low) as u8, read + 3),
            None => (octets[read], read + 1),
        };
        written += 1;
    }
    octets.truncate(written);
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn what_is_ordinary_is_fine_at_the_second_look_too(path in "[/]?[a-z.%;/_-]{0,12}") {
            if is_ordinary(path.as_bytes()) {
                proptest::prop_assert_eq!(look_closely(&path), Ok(()));
            }
        }
    }

    #[test]
    fn a_path_that_could_be_read_as_another_is_refused() {
        const HOSTILE: &[&str] = &[
            "",
            "*",
            "v2/topology",
            "?x",
            "http://evil/v2",
            "//",
            "//evil.example/v2",
            "/v2//topology",
            "/v2/topology//",
            "/.",
            "/..",
            "/./v2",
            "/../v2",
            "/v2/.",
            "/v2/..",
            "/v2/../operate",
            "/v2/./x",
            "/operate/../secrets",
            "/%2e",
            "/%2E%2e/v2",
            "/.%2e/v2",
            "/%2e./v2",
            "/v2/%2e%2e",
            "/v2/%2E",
            "/v2/%2e%2E/secrets",
            "/v2/%252e%252e/x",
            "/v2/%25252e%25252e/x",
            "/v2/.%252e",
            "/v2/%2%65",
            "/v2/..;/x",
            "/v2/..;a=b/x",
            "/v2/.;x",
            "/v2/%2e%2e;x/y",
            "/v2/..%3bx/y",
            "/v2/..%253Bx/y",
            "/v2/;/x",
            "/v2/;a=b",
            "/v2/%3b/x",
            "/v2%2fx",
            "/v2%2Fx",
            "/v2/%2f",
            "/v2/..%2f..%2fsecrets",
            "/v2%252fx",
            "/v2%25252Fx",
            "/%2foperate",
            "/v2\\x",
            "/v2/..\\x",
            "\\v2",
            "/\\evil.example",
            "/v2%5cx",
            "/v2%5Cx",
            "/v2%255cx",
            "/v2%25255cx",
            "/v2\0",
            "/v2%00",
            "/v2%2500",
            "/v2/x%00.xml",
            "/v2%0d%0aHost:x",
            "/v2%0a",
            "/v2%09",
            "/v2%1f",
            "/v2%7f",
            "/v2%257F",
            "/v2\r\nx",
            "/v2\t",
            "/v2 x",
            "/v2\u{7f}",
            "/v2/ü",
            "/v2/\u{2215}x",
            "/v2#x",
            "/v2/#/../x",
            "/v2/%",
            "/v2/%2",
            "/v2/%zz",
            "/v2/%u002f",
            "/v2/%%32%65",
            "/v2/% 2",
            "/v2/x%/y",
            "/v2/%+2",
            "/v2/%c0%ae%c0%ae/x",
            "/v2/%c0%af",
            "/v2/%e0%80%af",
            "/v2/%ff",
            "/v2/%fc",
            "/v2/%25c0%25ae",
            "/v2/%f0%80%80%af",
        ];
        assert!(HOSTILE.len() >= 60);
        for path in HOSTILE {
            assert!(check(path).is_err(), "{path:?} got through");
        }
    }

    #[test]
    fn an_ordinary_path_passes_also_with_unusual_characters() {
        for path in [
            "/",
            "/v2/topology",
            "/v2/topology/",
            "/operate",
            "/graphql",
            "/.well-known",
            "/v2/...",
            "/v2/..a",
            "/v2/a..",
            "/v2/x;v=1",
            "/v2/a%20b",
            "/v2/100%25",
            "/v2/100%25zz",
            "/v2/%c3%bc",
            "/v2/%E2%82%AC",
            "/v2/a@b:c,d+e",
            "/v2/messages/'x'(1)",
            "/v2/~x",
            "/v2/a%3Bb",
            "/v2/%23",
            "/v2/%3F",
            "/gateway_protocol.Gateway/Topology",
        ] {
            assert_eq!(check(path), Ok(()), "{path:?}");
        }
    }
}
