//! `multipart/form-data` (RFC 7578) just enough to find the files in it.

/// The files of a body: name and content.
pub(super) fn files(content_type: &str, body: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let boundary = content_type.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    let delimiter = format!("--{}", boundary.trim_matches('"')).into_bytes();
    let mut rest = after(body, &delimiter)?;
    let mut files = Vec::new();
    // Two hyphens after a delimiter end the body.
    while !rest.starts_with(b"--") {
        let end = find(rest, &delimiter)?;
        let part = rest[..end].strip_suffix(b"\r\n").unwrap_or(&rest[..end]);
        rest = &rest[end + delimiter.len()..];
        let at = find(part, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&part[..at]);
        if let Some((_, name)) = head.split_once("filename=\"") {
            let name = name.split('"').next().unwrap_or_default();
            files.push((name.to_owned(), part[at + 4..].to_vec()));
        }
    }
    Some(files)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn after<'a>(text: &'a [u8], what: &[u8]) -> Option<&'a [u8]> {
    find(text, what).map(|at| &text[at + what.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_and_other_fields_are_not() {
        let body = b"--x\r\ncontent-disposition: form-data; name=\"tenantId\"\r\n\r\nt\r\n--x\r\ncontent-disposition: form-data; name=\"resources\"; filename=\"a.bpmn\"\r\ncontent-type: text/xml\r\n\r\n<a/>\r\n--x--\r\n";
        let found = files("multipart/form-data; boundary=\"x\"", body);
        assert_eq!(found, Some(vec![("a.bpmn".to_owned(), b"<a/>".to_vec())]));
        assert_eq!(files("multipart/form-data; boundary=x", b"--x\r\nbroken"), None);
        assert_eq!(files("application/json", body), None);
    }
}
