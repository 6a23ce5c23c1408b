//! Trailers: they pass both ways, and what is only trailers stays one frame.

use super::call::To;
use super::cell::{all, grpc, in_each, rest};
use super::fields::Fields;
use super::http1::Framing;
use super::upstream::Asked;

/// Announced, as RFC 9110 §6.6.2 would have it.
const TRAILER: (&str, &str) = ("trailer", "x-sum, x-many");

const SENT: [(&str, &str); 4] = [("x-sum", "7"), ("x-many", "1"), ("x-many", "caf\u{e9}"), ("x-many", "")];

fn assert_same(trailers: Option<&Fields>) {
    let trailers = trailers.expect("trailers");
    assert_eq!((trailers.all("x-sum"), trailers.all("x-many")), (vec!["7"], vec!["1", "caf\u{e9}", ""]));
    assert_eq!(trailers.0.len(), 4, "{trailers:?}");
}

async fn echo(mut asked: Asked) {
    assert_eq!(asked.fields.one("te"), "trailers");
    assert_eq!(asked.fields.one("trailer"), TRAILER.1);
    let whole = asked.whole().await;
    assert_eq!(whole.body.len(), if asked.wish() == "alone" { 0 } else { 5 });
    assert_same(whole.trailers.as_ref());
    let (_body, mut out) = asked.answer(200, &[TRAILER], Framing::Unknown).await;
    out.data(whole.body).await;
    out.trailers(&SENT).await;
}

async fn ask(to: &To, wish: &str, body: &'static [u8]) {
    let mut fields = vec![TRAILER];
    fields.extend(to.cell.incoming.wants_trailers());
    let mut call = to.post(wish, &fields, Framing::Unknown).await;
    call.out.data(body).await;
    call.out.trailers(&SENT).await;
    let mut answer = call.answer().await.expect("an answer");
    assert_eq!(answer.fields.one("trailer"), TRAILER.1);
    let whole = answer.body.whole().await;
    assert_eq!((&whole.body[..], whole.broken), (body, None));
    assert_same(whole.trailers.as_ref());
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    in_each(all(), echo, async |to| ask(&to, "x", b"hello").await).await;
}

#[tokio::test]
async fn trailers_pass_where_there_is_nothing_before_them() {
    in_each(all(), echo, async |to| ask(&to, "alone", b"").await).await;
}

#[tokio::test]
async fn trailers_pass_that_nobody_announced_or_asked_for() {
    // RFC 9110 §6.5.1 lets them go; a wire doesn't.
    let script = async |mut asked: Asked| {
        let whole = asked.whole().await;
        assert_eq!(&whole.body[..], b"hello");
        assert_eq!(whole.broken, None);
        assert_same(whole.trailers.as_ref());
        let (_body, mut out) = asked.answer(200, &[], Framing::Unknown).await;
        out.data("world").await;
        out.trailers(&SENT).await;
    };
    in_each(rest(), script, async |to| {
        let mut call = to.post("x", &[], Framing::Unknown).await;
        call.out.data("hello").await;
        call.out.trailers(&SENT).await;
        let mut answer = call.answer().await.expect("an answer");
        let whole = answer.body.whole().await;
        assert_eq!((&whole.body[..], whole.broken), (&b"world"[..], None));
        assert_same(whole.trailers.as_ref());
    })
    .await;
}

#[tokio::test]
async fn what_is_only_trailers_stays_one_frame() {
    let script = async |mut asked: Asked| {
        asked.whole().await;
        let status =
            [("content-type", "application/grpc"), ("grpc-status", "5"), ("grpc-message", "no %C3%A4")];
        asked.answer(200, &status, Framing::Empty).await;
    };
    in_each(grpc(), script, async |to| {
        let (answer, whole) = to.ask("POST", "x", &[], b"\0\0\0\0\0").await;
        assert_eq!(answer.fields.one("grpc-status"), "5");
        assert_eq!(answer.fields.one("grpc-message"), "no %C3%A4");
        assert!(whole.head_alone && whole.trailers.is_none() && whole.broken.is_none(), "{whole:?}");
    })
    .await;
}
