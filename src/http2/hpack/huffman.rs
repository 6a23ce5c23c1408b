//! The Huffman code of RFC 7541 appendix B, for reading. The code is canonical (shorter before longer, then by
//! symbol), so that the lengths alone say all of it.

use super::Corrupt;

/// The symbol that must not occur: only its first bits fill the last octet.
const END: u16 = 256;
const LONGEST: usize = 30;
const SHORTEST: usize = 5;

/// How many bits each symbol has.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

static CODE: Code = Code::new();

struct Code {
    /// By the next eight bits: a symbol and its length, where it is not longer. The common ones are.
    short: [(u8, u8); 256],
    /// For each length: its first code, how many there are, and where their symbols begin in `symbols`.
    lengths: [(u32, u32, usize); LONGEST + 1],
    symbols: [u16; 257],
}

impl Code {
    const fn new() -> Code {
        let mut code = Code { short: [(0, 0); 256], lengths: [(0, 0, 0); LONGEST + 1], symbols: [0; 257] };
        let (mut next, mut at, mut length) = (0, 0, 1);
        while length <= LONGEST {
            next <<= 1;
            let (first, begins) = (next, at);
            let mut symbol = 0;
            while symbol < LENGTHS.len() {
                if LENGTHS[symbol] as usize == length {
                    code.symbols[at] = symbol as u16;
                    if length <= 8 {
                        let mut tail = 0;
                        while tail < 1 << (8 - length) {
                            code.short[((next as usize) << (8 - length)) | tail] =
                                (symbol as u8, length as u8);
                            tail += 1;
                        }
                    }
                    at += 1;
                    next += 1;
                }
                symbol += 1;
            }
            code.lengths[length] = (first, next - first, begins);
            length += 1;
        }
        code
    }

    /// The symbol that these bits begin with, and its length. The code is complete: there always is one.
    fn find(&self, bits: u32) -> (u16, u32) {
        let (symbol, length) = self.short[(bits >> 24) as usize];
        if length > 0 {
            return (u16::from(symbol), u32::from(length));
        }
        for (length, (first, count, begins)) in self.lengths.iter().enumerate().skip(9) {
            let offset = (bits >> (32 - length)).wrapping_sub(*first);
            if offset < *count {
                return (self.symbols[begins + offset as usize], length as u32);
            }
        }
        (END, LONGEST as u32)
    }
}

/// Appends what `coded` stands for to `out`.
pub(super) fn decode(mut coded: &[u8], out: &mut Vec<u8>) -> Result<(), Corrupt> {
    out.reserve(coded.len() * 8 / SHORTEST);
    // The next bits, from the top, and how many of them there are.
    let (mut bits, mut held) = (0u64, 0u32);
    loop {
        if let Some((four, rest)) = coded.split_first_chunk().filter(|_| held <= 32) {
            bits |= u64::from(u32::from_be_bytes(*four)) << (32 - held);
            (held, coded) = (held + 32, rest);
        }
        while let Some((one, rest)) = coded.split_first().filter(|_| held <= 56) {
            bits |= u64::from(*one) << (56 - held);
            (held, coded) = (held + 8, rest);
        }
        // The common ones, and nothing else is done for them.
        while held >= 8
            && let (symbol, length @ 1..) = CODE.short[(bits >> 56) as usize]
        {
            out.push(symbol);
            (bits, held) = (bits << length, held - u32::from(length));
        }
        if held < LONGEST as u32 && !coded.is_empty() {
            continue;
        }
        // What is missing at the end is taken for padding, which is ones.
        let ahead = (bits >> 32) as u32 | u32::MAX.checked_shr(held).unwrap_or(0);
        let (symbol, length) = CODE.find(ahead);
        if length > held {
            // RFC 7541 §5.2: less than an octet of padding, all of it the beginning of the symbol that ends.
            return match held < 8 && ahead == u32::MAX {
                true => Ok(()),
                false => Err(Corrupt("a Huffman code is cut off")),
            };
        }
        if symbol == END {
            return Err(Corrupt("a Huffman code has an end inside"));
        }
        out.push(symbol as u8);
        (bits, held) = (bits << length, held - length);
    }
}

/// For tests: the proxy itself writes no Huffman codes.
#[cfg(test)]
pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    let mut bits = String::new();
    for octet in text {
        let length = usize::from(LENGTHS[usize::from(*octet)]);
        let (first, count, begins) = CODE.lengths[length];
        let symbols = &CODE.symbols[begins..begins + count as usize];
        let offset = symbols.iter().position(|symbol| *symbol == u16::from(*octet)).unwrap();
        bits += &format!("{:0length$b}", first as usize + offset);
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    bits.as_bytes()
        .chunks(8)
        .map(|octet| u8::from_str_radix(std::str::from_utf8(octet).unwrap(), 2).unwrap())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, Corrupt> {
        let mut out = Vec::new();
        decode(coded, &mut out).map(|()| out)
    }

    #[test]
    fn every_octet_survives() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decoded(&encode(&all)), Ok(all));
        for octet in 0..=255 {
            assert_eq!(decoded(&encode(&[octet])), Ok(vec![octet]));
        }
    }

    /// RFC 7541 C.4.1 and C.6.1.
    #[test]
    fn the_codes_are_those_of_the_rfc() {
        let coded = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(encode(b"www.example.com"), coded);
        assert_eq!(decoded(&coded), Ok(b"www.example.com".to_vec()));
        assert_eq!(encode(b"302"), [0x64, 0x02]);
    }

    #[test]
    fn wrong_padding_is_refused() {
        // `0` is five zeros; then three ones.
        assert_eq!(decoded(&[0b0000_0111]), Ok(vec![b'0']));
        for coded in
            [&[0b0000_0000][..], &[0b0000_0011], &[0b0000_0111, 0xff], &[0xff], &[0xff, 0xff, 0xff, 0xff]]
        {
            assert!(decoded(coded).is_err(), "{coded:?}");
        }
        assert_eq!(decoded(&[]), Ok(vec![]));
    }
}
