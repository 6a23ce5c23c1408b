//! Integers in a prefix of some bits (RFC 7541 §5.1).

use super::Corrupt;

/// The octets that may follow a prefix: 2^28 is far beyond every length and index that could be meant.
const MAX_OCTETS: u32 = 4;

/// Writes `value` into the low `prefix` bits of an octet that begins with `flags`, and as many more as it takes.
pub(super) fn put(out: &mut Vec<u8>, flags: u8, prefix: u32, value: usize) {
    let full = (1usize << prefix) - 1;
    if value < full {
        return out.push(flags | value as u8);
    }
    out.push(flags | full as u8);
    let mut rest = value - full;
    while rest >= 128 {
        out.push(rest as u8 | 128);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Reads an integer from the front of `block`.
pub(super) fn take(block: &mut &[u8], prefix: u32) -> Result<usize, Corrupt> {
    let full = (1usize << prefix) - 1;
    let mut value = usize::from(octet(block)?) & full;
    if value < full {
        return Ok(value);
    }
    for n in 0..MAX_OCTETS {
        let next = octet(block)?;
        value += usize::from(next & 127) << (7 * n);
        if next & 128 == 0 {
            return Ok(value);
        }
    }
    Err(Corrupt("an integer is too large"))
}

fn octet(block: &mut &[u8]) -> Result<u8, Corrupt> {
    let (first, rest) = block.split_first().ok_or(Corrupt("a header block ends within a field"))?;
    *block = rest;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7541 C.1.
    #[test]
    fn the_examples_of_the_rfc() {
        for (prefix, value, octets) in [
            (5, 10, &[10][..]),
            (5, 1337, &[31, 154, 10]),
            (8, 42, &[42]),
            (7, 127, &[127, 0]),
            (7, 126, &[126]),
        ] {
            let mut out = Vec::new();
            put(&mut out, 0, prefix, value);
            assert_eq!(out, octets);
            assert_eq!(take(&mut &out[..], prefix), Ok(value));
        }
    }

    #[test]
    fn endless_and_cut_integers_are_refused() {
        assert!(take(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..], 7).is_err());
        assert!(take(&mut &[0xff, 0x80, 0x80, 0x80, 0x80, 0x00][..], 7).is_err());
        assert!(take(&mut &[0xff, 0x80][..], 7).is_err());
        assert!(take(&mut &[][..], 7).is_err());
        assert_eq!(take(&mut &[0xff, 0xff, 0xff, 0xff, 0x7f][..], 7), Ok(127 + (1 << 28) - 1));
    }
}
