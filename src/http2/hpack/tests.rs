//! What is known of the format: the examples of RFC 7541 appendix C, and blocks that must be refused.

use http::header::{CACHE_CONTROL, DATE, LOCATION, SET_COOKIE, USER_AGENT};
use http::{HeaderName, HeaderValue, Request};
use proptest::prelude::*;

use super::*;
use crate::message::{Headers, request};

fn octets(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn decoded(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, Corrupt> {
    let mut fields = Fields::up_to(64 * 1024, Of::Answer);
    decoder.decode(block, &mut fields).map(|()| fields)
}

/// C.5 and C.6: three answers in a row with a table of 256 octets, plain and coded.
#[test]
fn the_answers_of_the_rfc_are_read() {
    let size = octets("3fe101");
    let plain = [
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d",
        "4803333037c1c0bf",
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
    ];
    let coded = [
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
        "4883640effc1c0bf",
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
    ];
    for blocks in [plain, coded] {
        let mut decoder = Decoder::new();
        decoder.decode(&size, &mut Fields::default()).unwrap();
        for (block, status, date) in [(0, 302, "21"), (1, 307, "21"), (2, 200, "22")] {
            let fields = decoded(&mut decoder, &octets(blocks[block])).unwrap();
            assert_eq!(fields.malformed, None);
            assert_eq!(fields.status.unwrap(), status);
            let has = |name, value: &str| fields.headers.get(name).is_some_and(|it| it == value);
            assert!(has(CACHE_CONTROL, "private") && has(LOCATION, "https://www.example.com"));
            assert!(has(DATE, &format!("Mon, 21 Oct 2013 20:13:{date} GMT")));
            assert_eq!(fields.headers.len(), if block == 2 { 5 } else { 3 });
        }
        let fields = decoded(&mut decoder, &octets("be")).unwrap();
        let cookie = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
        assert_eq!(fields.headers.get(SET_COOKIE).unwrap(), cookie);
    }
}

#[test]
fn blocks_that_cannot_be_read_are_refused() {
    for (block, what) in [
        ("80", "index 0"),
        ("be", "an empty dynamic table"),
        ("ffffffffff01", "an index without end"),
        ("7e0161", "a name beyond the table"),
        ("40", "a name that is missing"),
        ("4005616263", "a name that is cut"),
        ("400161", "a value that is missing"),
        ("4001610a6162", "a value that is cut"),
        ("40016181ff", "a Huffman code that is padding alone"),
        ("40816100", "wrong padding"),
        ("3fe21f", "a table larger than ours"),
        ("8820", "a size after a field"),
        ("3f", "a size that is cut"),
    ] {
        assert!(decoded(&mut Decoder::new(), &octets(block)).is_err(), "{what}: {block}");
    }
}

#[test]
fn malformed_fields_leave_the_table_as_the_peer_has_it() {
    for (block, what) in [
        ("88400141 0131", "a capital letter"),
        ("88400161 010a", "a line feed"),
        ("88400161 0100", "a NUL"),
        ("8840046120621a 00", "a space in a name"),
        ("88400a636f6e6e656374696f6e 0131", "connection"),
        ("88400274650131", "te"),
        ("8888", "two statuses"),
        ("6101318840 0161 0131", "a status after another field"),
        ("480232300000", "no status"),
        ("8882400161 0131", "a request's pseudo-field"),
        ("88400000", "an empty name"),
        ("884004 3a616263 0131", "an unknown pseudo-field"),
    ] {
        let mut decoder = Decoder::new();
        let Ok(fields) = decoded(&mut decoder, &octets(block)) else { continue };
        assert!(fields.malformed.is_some(), "{what}");
    }
    // The name of an entry with a bad value is still a name.
    let mut decoder = Decoder::new();
    assert!(decoded(&mut decoder, &octets("88400161010a")).unwrap().malformed.is_some());
    let fields = decoded(&mut decoder, &octets("88 7e 0131")).unwrap();
    assert_eq!(
        (fields.malformed, fields.headers.get(HeaderName::from_static("a")).unwrap().as_bytes()),
        (None, &b"1"[..])
    );
}

#[test]
fn a_small_block_that_stands_for_much_is_malformed_and_costs_nothing() {
    let mut decoder = Decoder::new();
    let mut block = octets("400161 7fa11e");
    block.extend(vec![b'x'; 4000]);
    block.extend(vec![0xbe; 60_000]);
    let fields = decoded(&mut decoder, &block).unwrap();
    assert_eq!(fields.malformed, Some("the fields are too large"));
    assert!(fields.headers.len() < 20);
}

#[test]
fn a_table_of_size_0_forgets() {
    let mut decoder = Decoder::new();
    decoded(&mut decoder, &octets("4001610131")).unwrap();
    assert!(decoded(&mut decoder, &octets("be")).is_ok());
    decoded(&mut decoder, &octets("20")).unwrap();
    assert!(decoded(&mut decoder, &octets("be")).is_err());
}

const TOKEN: &str = "Bearer x.y.z";

fn call(path: &str, token: &str) -> request::Head {
    Request::post(format!("http://zeebe.example:26500{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", token)
        .header("grpc-timeout", "15000m")
        .body(())
        .unwrap()
        .into()
}

fn encoded(encoder: &mut Encoder, head: &request::Head) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.request(&mut out, head);
    out
}

#[test]
fn the_token_is_written_out_once() {
    let token = format!("Bearer {}", "t".repeat(1000));
    let mut encoder = Encoder::new();
    let first = encoded(&mut encoder, &call("/a.B/C", &token));
    let second = encoded(&mut encoder, &call("/a.B/C", &token));
    assert!(first.len() > 1000);
    // :method, :scheme, :authority, :path, content-type, te, authorization; grpc-timeout, which varies.
    assert_eq!(second.len(), 7 + 1 + 1 + 12 + 1 + 6);
    let third = encoded(&mut encoder, &call("/a.B/C", &token.to_uppercase()));
    assert_eq!(third.len(), 6 + 1 + 3 + "Bearer ".len() + 1000 + 21);
    assert_eq!(encoded(&mut encoder, &call("/a.B/C", &token.to_uppercase())).len(), second.len());
}

#[test]
fn paths_of_rest_cookies_and_secrets_stay_out_of_the_table() {
    let head = Request::get("https://a/v2/topology")
        .header("cookie", "a=b")
        .header("x-key", "secret")
        .body(())
        .unwrap()
        .into();
    let mut encoder = Encoder::new();
    encoded(&mut encoder, &head);
    assert_eq!(encoder.order.len(), 1);
}

#[test]
fn a_caller_with_ever_new_values_does_not_drive_the_token_out() {
    let mut encoder = Encoder::new();
    encoded(&mut encoder, &call("/a.B/C", TOKEN));
    for n in 0..1000 {
        let mut head = call(&format!("/a.B/C{n}"), TOKEN);
        head.headers.insert(USER_AGENT, HeaderValue::from_str(&format!("client/{n}")).unwrap());
        encoded(&mut encoder, &head);
    }
    assert!(encoded(&mut encoder, &call("/a.B/C", TOKEN)).len() < 40);
}

#[test]
fn the_table_follows_the_peers_size() {
    let mut encoder = Encoder::new();
    encoded(&mut encoder, &call("/a.B/C", TOKEN));
    encoder.set_limit(0);
    encoder.set_limit(100_000);
    let block = encoded(&mut encoder, &call("/a.B/C", TOKEN));
    // 0, then 16 384.
    assert_eq!(block[..5], octets("20 3fe17f 83")[..]);
    encoder.set_limit(0);
    let block = encoded(&mut encoder, &call("/a.B/C", TOKEN));
    assert_eq!(block[..2], octets("20 83")[..]);
    assert!(encoder.order.is_empty());
}

/// A peer's encoder, at its worst: any way of writing a field, in any order, with sizes in between.
#[derive(Clone, Debug)]
enum Written {
    Field { how: u8, name: String, value: Vec<u8>, coded: bool },
    Again(usize),
}

fn fields() -> impl Strategy<Value = Vec<Written>> {
    let field = (0..3u8, "[a-d]{1,3}", prop::collection::vec(32..127u8, 0..300), any::<bool>())
        .prop_map(|(how, name, value, coded)| Written::Field { how, name, value, coded });
    prop::collection::vec(prop_oneof![field, (0..20usize).prop_map(Written::Again)], 0..20)
}

fn put(out: &mut Vec<u8>, text: &[u8], coded: bool) {
    let text = if coded { huffman::encode(text) } else { text.to_vec() };
    integer::put(out, if coded { 0x80 } else { 0 }, 7, text.len());
    out.extend(text);
}

proptest! {
    #[test]
    fn whatever_way_a_peer_writes_its_fields_the_same_ones_are_read(blocks in prop::collection::vec((prop::option::of(0..=4096usize), fields()), 1..6)) {
        let mut decoder = Decoder::new();
        let (mut table, mut max): (Vec<(String, Vec<u8>)>, usize) = (Vec::new(), 4096);
        let trim = |table: &mut Vec<(String, Vec<u8>)>, max: usize| {
            while table.iter().map(|(name, value)| name.len() + value.len() + 32).sum::<usize>() > max {
                table.pop();
            }
        };
        for (size, fields) in blocks {
            let (mut block, mut expected) = (Vec::new(), Headers::default());
            if let Some(size) = size {
                max = size;
                integer::put(&mut block, 0x20, 5, size);
                trim(&mut table, max);
            }
            for field in fields {
                let (name, value) = match field {
                    Written::Again(n) if n < table.len() => {
                        integer::put(&mut block, 0x80, 7, 62 + n);
                        table[n].clone()
                    }
                    Written::Again(_) => continue,
                    Written::Field { how, name, value, coded } => {
                        let (flags, prefix) = [(0x40, 6), (0, 4), (0x10, 4)][usize::from(how)];
                        match table.iter().position(|(known, _)| *known == name) {
                            Some(at) => integer::put(&mut block, flags, prefix, 62 + at),
                            None => {
                                block.push(flags);
                                put(&mut block, name.as_bytes(), coded);
                            }
                        }
                        put(&mut block, &value, coded);
                        if how == 0 {
                            table.insert(0, (name.clone(), value.clone()));
                            trim(&mut table, max);
                        }
                        (name, value)
                    }
                };
                expected.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(&value).unwrap());
            }
            let fields = decoded(&mut decoder, &block).unwrap();
            prop_assert_eq!(fields.malformed, None);
            prop_assert_eq!(fields.headers, expected);
        }
    }

    #[test]
    fn octets_that_make_no_sense_are_no_panic(block in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut decoder = Decoder::new();
        let _ = decoded(&mut decoder, &block);
        let _ = decoded(&mut decoder, &block);
    }
}
