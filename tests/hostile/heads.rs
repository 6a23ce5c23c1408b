//! What stands before the body: the request line, field lines and `Host` (RFC 9112 §2, §3 and §5).

use super::{Answer, Case, Close, End, Pass, get, judge_all, post};

fn line(line: &str) -> Vec<u8> {
    format!("{line}\r\nhost: localhost\r\n\r\n").into()
}

fn host(value: &str) -> Vec<u8> {
    format!("GET /v2/x HTTP/1.1\r\nhost: {value}\r\n\r\n").into()
}

fn field(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET /v2/x HTTP/1.1\r\nhost: localhost\r\n", bytes.as_ref(), b"\r\n\r\n"].concat()
}

#[tokio::test]
async fn a_request_line_is_read_strictly() {
    let cases: &[Case] = &[
        ("an empty line before it", [b"\r\n", &*get("/v2/x")].concat(), Pass("")),
        ("ten empty lines before it", [b"\r\n".repeat(10), get("/v2/x")].concat(), Pass("")),
        ("LF alone at its end", b"GET /v2/x HTTP/1.1\nhost: localhost\n\n".to_vec(), Pass("")),
        ("a method of one's own", line("FROB /v2/x HTTP/1.1"), Pass("")),
        ("a method of all characters that may be", line("!#$%&'*+-.^_`|~9aZ /v2/x HTTP/1.1"), Pass("")),
        ("a space before it", line(" GET /v2/x HTTP/1.1"), End(400)),
        ("two spaces behind the method", line("GET  /v2/x HTTP/1.1"), End(400)),
        ("a tab behind the method", line("GET\t/v2/x HTTP/1.1"), End(400)),
        ("a tab before the version", line("GET /v2/x\tHTTP/1.1"), End(400)),
        ("two spaces before the version", line("GET /v2/x  HTTP/1.1"), End(400)),
        ("a space in the target", line("GET /v2/x y HTTP/1.1"), End(400)),
        ("a word behind the version", line("GET /v2/x HTTP/1.1 x"), End(400)),
        ("a CR in it", line("GET /v2/x\rHTTP/1.1"), End(400)),
        ("a CR before its end", line("GET /v2/x HTTP/1.1\r"), End(400)),
        ("a NUL in the target", line("GET /v2/\0x HTTP/1.1"), End(400)),
        ("a NUL in the method", line("GE\0T /v2/x HTTP/1.1"), End(400)),
        ("a vertical tab in the target", line("GET /v2/\u{b}x HTTP/1.1"), End(400)),
        ("a DEL in the target", line("GET /v2/\u{7f}x HTTP/1.1"), End(400)),
        ("no method", line(" /v2/x HTTP/1.1"), End(400)),
        ("no target", line("GET HTTP/1.1"), End(400)),
        ("an empty target", line("GET  HTTP/1.1"), End(400)),
        ("a method in brackets", line("(GET) /v2/x HTTP/1.1"), End(400)),
        ("a method with a colon", line("GET: /v2/x HTTP/1.1"), End(400)),
        ("a method with a slash", line("GET/ /v2/x HTTP/1.1"), End(400)),
        ("a method that is not ASCII", line("G\u{c9}T /v2/x HTTP/1.1"), End(400)),
        ("a method of 70 000 letters", line(&format!("{} /v2/x HTTP/1.1", "G".repeat(70_000))), End(431)),
        ("HTTP/0.9", line("GET /v2/x"), End(400)),
        ("HTTP/0.9 by name", line("GET /v2/x HTTP/0.9"), End(400)),
        ("HTTP/1.2", line("GET /v2/x HTTP/1.2"), End(400)),
        ("HTTP/1.10", line("GET /v2/x HTTP/1.10"), End(400)),
        ("HTTP/2.0", line("GET /v2/x HTTP/2.0"), End(400)),
        ("HTTP/3.0", line("GET /v2/x HTTP/3.0"), End(400)),
        ("HTTP/1", line("GET /v2/x HTTP/1"), End(400)),
        ("HTTP/01.1", line("GET /v2/x HTTP/01.1"), End(400)),
        ("HTTP/ 1.1", line("GET /v2/x HTTP/ 1.1"), End(400)),
        ("HTTP/1.1 in small letters", line("GET /v2/x http/1.1"), End(400)),
        ("another protocol", line("GET /v2/x ICAP/1.0"), End(400)),
        ("a protocol that shares its beginning", line("GET /v2/x HTTPS/1.1"), End(400)),
        ("an answer", b"HTTP/1.1 200 OK\r\nhost: localhost\r\n\r\n".to_vec(), End(400)),
        ("the greeting of another protocol", b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec(), End(400)),
        ("HTTP/2's preface, cut short by a request", b"PRI * HTTP/2.0\r\n\r\nXX".to_vec(), End(400)),
        ("a TLS greeting", b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00".to_vec(), Close),
        ("noise", vec![0xfe; 64], End(400)),
        ("NULs", vec![0; 64], End(400)),
        ("a target of 70 000 letters", get(&format!("/v2/{}", "x".repeat(70_000))), End(431)),
        ("a target of 60 000 letters", get(&format!("/v2/{}", "x".repeat(60_000))), Pass("")),
    ];
    judge_all(cases).await;
}

#[tokio::test]
async fn field_lines_are_read_strictly() {
    let cases: &[Case] = &[
        ("any value", field("x: !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"), Pass("")),
        ("an empty value", field("x:"), Pass("")),
        ("a value in Latin-1", field(b"x: caf\xe9"), Pass("")),
        ("a value in UTF-8", field("x: caf\u{e9}"), Pass("")),
        ("a tab in a value", field("x: a\tb"), Pass("")),
        ("a folded value", field("x: a\r\n b"), End(400)),
        ("a value folded by a tab", field("x: a\r\n\tb"), End(400)),
        ("a value folded thrice", field("x: a\r\n \r\n \r\n b"), End(400)),
        ("a fold in the first line", b"GET /v2/x HTTP/1.1\r\n host: localhost\r\n\r\n".to_vec(), End(400)),
        ("a CR in a value", field("x: a\rb"), End(400)),
        ("a CR at a value's end", field("x: a\r\r\ny: b"), End(400)),
        ("a NUL in a value", field("x: a\0b"), End(400)),
        ("a bell in a value", field("x: a\u{7}b"), End(400)),
        ("an escape in a value", field("x: a\u{1b}b"), End(400)),
        ("a DEL in a value", field("x: a\u{7f}b"), End(400)),
        ("no colon", field("x"), End(400)),
        ("no name", field(": y"), End(400)),
        ("a space before the colon", field("x : y"), End(400)),
        ("a tab before the colon", field("x\t: y"), End(400)),
        ("a space in a name", field("x y: z"), End(400)),
        ("a NUL in a name", field("x\0: y"), End(400)),
        ("a CR in a name", field("x\ry: z"), End(400)),
        ("a name in quotes", field("\"x\": y"), End(400)),
        ("a name in brackets", field("(x): y"), End(400)),
        ("a name with a slash", field("x/y: z"), End(400)),
        ("a name with an at", field("x@y: z"), End(400)),
        ("a name with a semicolon", field("x;y: z"), End(400)),
        ("a name with an equals", field("x=y: z"), End(400)),
        ("a name that is not ASCII", field("\u{e9}: y"), End(400)),
        ("a name of a pseudo-field", field(":path: /v2/y"), End(400)),
        ("a name with underscores", field("x_y: z"), Pass("")),
        ("98 fields more", field("x: y\r\n".repeat(97) + "x: y"), Pass("")),
        ("101 fields more", field("x: y\r\n".repeat(100) + "x: y"), End(431)),
        ("10 000 fields more", field("x: y\r\n".repeat(9_999) + "x: y"), End(431)),
        ("a value of 50 000 letters", field(format!("x: {}", "y".repeat(50_000))), Pass("")),
        ("a value of 70 000 letters", field(format!("x: {}", "y".repeat(70_000))), End(431)),
        ("a name of 70 000 letters", field(format!("{}: y", "x".repeat(70_000))), End(431)),
        ("a head of 1 MiB", field(format!("x: {}", "y".repeat(1 << 20))), End(431)),
    ];
    judge_all(cases).await;
}

#[tokio::test]
async fn a_host_is_one_of_ours_in_every_spelling_and_nothing_else() {
    let foreign = Answer(421, "host_denied");
    let cases: &[Case] = &[
        ("localhost", host("localhost"), Pass("")),
        ("in capitals", host("LOCALHOST"), Pass("")),
        ("with its last dot", host("localhost."), Pass("")),
        ("with a port", host("localhost:8080"), Pass("")),
        ("with space around it", host(" \t localhost \t "), Pass("")),
        ("127.0.0.1", host("127.0.0.1"), Pass("")),
        ("[::1]", host("[::1]"), Pass("")),
        ("[::1] with a port", host("[::1]:1"), Pass("")),
        ("[::1] at length", host("[0:0:0:0:0:0:0:1]"), Pass("")),
        ("127.0.0.1 as IPv6", host("[::ffff:127.0.0.1]"), Pass("")),
        ("of others", host("evil.example"), foreign),
        ("of others with our port", host("evil.example:26500"), foreign),
        ("that ends in ours", host("evil.localhost"), foreign),
        ("that begins with ours", host("localhost.evil.example"), foreign),
        ("that begins with our address", host("127.0.0.1.nip.io"), foreign),
        ("with letters behind ours", host("localhostx"), foreign),
        ("the unspecified address", host("0.0.0.0"), foreign),
        ("the unspecified address of IPv6", host("[::]"), foreign),
        ("a neighbour's address", host("192.168.0.1"), foreign),
        ("a cloud's metadata", host("169.254.169.254"), foreign),
        ("another loopback address", host("127.0.0.2"), foreign),
        ("127.0.0.1 cut short", host("127.1"), foreign),
        ("127.0.0.1 as one number", host("2130706433"), foreign),
        ("127.0.0.1 in hexadecimal", host("0x7f.0.0.1"), foreign),
        ("127.0.0.1 in octal", host("0177.0.0.1"), foreign),
        ("127.0.0.1 with zeros", host("127.000.000.001"), foreign),
        ("missing", b"GET /v2/x HTTP/1.1\r\nx: y\r\n\r\n".to_vec(), End(400)),
        ("missing over HTTP/1.0", b"GET /v2/x HTTP/1.0\r\nconnection: keep-alive\r\n\r\n".to_vec(), End(400)),
        ("empty", host(""), End(400)),
        ("twice", field("host: localhost"), End(400)),
        ("twice, differing", field("host: evil.example"), End(400)),
        ("twice, in another case", field("HOST: localhost"), End(400)),
        ("of two names", host("localhost evil.example"), End(400)),
        ("of a list", host("localhost, evil.example"), End(400)),
        ("with a user", host("evil@localhost"), End(400)),
        ("with a user and a password", host("localhost:80@evil.example"), End(400)),
        ("with a path", host("localhost/x"), End(400)),
        ("with a query", host("localhost?x"), End(400)),
        ("with a fragment", host("localhost#x"), End(400)),
        ("with a backslash", host("localhost\\x"), End(400)),
        ("with a scheme", host("http://localhost"), End(400)),
        ("with two ports", host("localhost:80:80"), End(400)),
        ("with an empty port", host("localhost:"), End(400)),
        ("with a port of letters", host("localhost:http"), End(400)),
        ("with a port past 65535", host("localhost:65536"), End(400)),
        ("with a port below zero", host("localhost:-1"), End(400)),
        ("with a plus before the port", host("localhost:+80"), End(400)),
        ("with two last dots", host("localhost.."), Answer(421, "host_denied")),
        ("with an escape", host("%6cocalhost"), End(400)),
        ("that is not ASCII", host("l\u{f6}calhost"), End(400)),
        ("with a NUL", host("localhost\0.evil.example"), End(400)),
        ("of IPv6 without brackets", host("::1"), End(400)),
        ("of IPv6 with half its brackets", host("[::1"), End(400)),
        ("of IPv6 with a zone", host("[::1%lo]"), End(400)),
        ("of IPv6 with an escaped zone", host("[::1%25lo]"), End(400)),
        ("with letters behind the brackets", host("[::1]x"), End(400)),
        ("with a name in brackets", host("[localhost]"), End(400)),
        ("of a later IP", host("[v1.x]"), End(400)),
        ("folded", b"GET /v2/x HTTP/1.1\r\nhost:\r\n localhost\r\n\r\n".to_vec(), End(400)),
        (
            "with a space before its colon",
            b"GET /v2/x HTTP/1.1\r\nhost : localhost\r\n\r\n".to_vec(),
            End(400),
        ),
        ("with underscores beside it", field("x_host: evil.example"), Pass("")),
    ];
    judge_all(cases).await;
}

#[tokio::test]
async fn what_follows_a_request_is_the_next_request_and_nothing_is_lost_between() {
    let two = |first: &[u8], second: &[u8]| [first, second].concat();
    let cases: &[Case] = &[
        ("a good one, then noise", two(&get("/v2/.."), b"\0\0\0\0"), End(400)),
        ("a body longer than its length", post("content-length: 0\r\n", ""), Pass("")),
        (
            "a length of zero, and a request in its place",
            two(&post("transfer-encoding: identity\r\ncontent-length: 0\r\n", ""), &get("/v2/smuggled")),
            End(400),
        ),
        (
            "Expect and a body at once",
            post("expect: 100-continue\r\ncontent-length: 5\r\n", "hello"),
            Pass("hello"),
        ),
        ("Expect without a body", post("expect: 100-continue\r\n", ""), Pass("")),
        ("Expect in capitals", post("Expect: 100-CONTINUE\r\ncontent-length: 5\r\n", "hello"), Pass("hello")),
        ("Expect of something else", post("expect: 200-ok\r\ncontent-length: 5\r\n", "hello"), Pass("hello")),
        (
            "Expect twice",
            post("expect: 100-continue\r\nexpect: x\r\ncontent-length: 5\r\n", "hello"),
            Pass("hello"),
        ),
        (
            "an upgrade with a body",
            post("connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 5\r\n", "hello"),
            Pass("hello"),
        ),
        (
            "an upgrade to HTTP/2",
            post("connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n", ""),
            Pass(""),
        ),
        ("an upgrade to several", post("connection: upgrade\r\nupgrade: websocket, h2c\r\n", ""), Pass("")),
        ("an upgrade that connection does not name", post("upgrade: websocket\r\n", ""), Pass("")),
        ("an upgrade to nothing", post("connection: upgrade\r\n", ""), Pass("")),
        ("TLS asked for in plaintext", post("connection: upgrade\r\nupgrade: TLS/1.3\r\n", ""), Pass("")),
    ];
    judge_all(cases).await;
}
