//! Any header blocks, one after the other.

use super::{DEFAULT_TABLE, Decoder, ENTRY, Fields, Of};

/// Blocks, each behind an octet with its length.
///
/// The table keeps within its size, what is read is sound or says that it is not, and is the same each time.
pub(crate) fn hpack(octets: &[u8]) {
    const LIMIT: usize = 4096;
    let (mut decoder, mut other) = (Decoder::new(), Decoder::new());
    let mut rest = octets;
    while let Some((length, after)) = rest.split_first() {
        let (block, after) = after.split_at(after.len().min(usize::from(*length)));
        rest = after;
        let (mut fields, mut again) = (Fields::up_to(LIMIT, Of::Answer), Fields::up_to(LIMIT, Of::Answer));
        let read = decoder.decode(block, &mut fields);
        assert_eq!(read, other.decode(block, &mut again));
        if read.is_err() {
            return;
        }
        assert_eq!((&fields.headers, fields.malformed), (&again.headers, again.malformed));
        assert_eq!(decoder.size, decoder.table.iter().map(|field| field.size).sum::<usize>());
        assert!(decoder.size <= decoder.max && decoder.max <= DEFAULT_TABLE);
        let size = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            assert!(!name.as_str().contains(|letter: char| letter.is_ascii_uppercase() || letter == ':'));
            assert!(!["connection", "transfer-encoding", "te", "upgrade"].contains(&name.as_str()));
            name.as_str().len() + value.len() + ENTRY
        };
        assert!(fields.headers.iter().map(size).sum::<usize>() <= LIMIT);
    }
}
