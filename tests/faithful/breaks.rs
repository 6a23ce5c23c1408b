//! Who breaks off: the other side hears of it, at once, with the same code where there is one, and takes nothing half
//! for whole.

use super::cell::{all, in_each};
use super::http1::Framing;
use super::upstream::Asked;
use crate::common::in_time;

#[tokio::test]
async fn a_caller_that_gives_up_is_heard_upstream() {
    let script = async |mut asked: Asked| {
        let talk = asked.talk.clone();
        talk.say("asked");
        let code = match asked.wish() {
            "waiting" => asked.given_up().await,
            _ => {
                let (mut body, mut out) = asked.answer(200, &[], Framing::Unknown).await;
                out.data("begun").await;
                out.given_up(&mut body).await
            }
        };
        talk.say(format!("{code:?}"));
    };
    in_each(all(), script, async |to| {
        for wish in ["waiting", "begun"] {
            for ended in [false, true] {
                let mut call = to.post(wish, &[], Framing::Unknown).await;
                call.out.data("some").await;
                if ended {
                    call.out.end().await;
                }
                assert_eq!(to.talk().heard().await, "asked");
                let mut answer = None;
                if wish == "begun" {
                    let mut begun = call.answer().await.expect("an answer");
                    begun.body.octets(5).await;
                    answer = Some(begun);
                }
                call.cancel();
                drop(answer);
                let code = if to.cell.outgoing.is_http2() { "Some(8)" } else { "None" };
                assert_eq!(to.talk().heard().await, code, "{wish} {ended}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_never_a_whole_one() {
    let script = async |mut asked: Asked| {
        let talk = asked.talk.clone();
        asked.body.octets(4).await;
        talk.say("some");
        let broken = asked.whole().await.broken;
        talk.say(format!("{broken:?}"));
    };
    in_each(all(), script, async |to| {
        for framing in [Framing::Unknown, Framing::Length(100)] {
            let mut call = to.post("x", &[], framing).await;
            call.out.data("some").await;
            assert_eq!(to.talk().heard().await, "some");
            call.cancel();
            let code =
                if to.cell.outgoing.is_http2() { "Some(Broken(Some(8)))" } else { "Some(Broken(None))" };
            assert_eq!(to.talk().heard().await, code);
        }
    })
    .await;
}

/// Of RFC 9113 §7, those that say something about one stream.
const CODES: [u32; 7] = [0, 1, 2, 5, 8, 11, 13];

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_a_whole_one() {
    let script = async |mut asked: Asked| {
        asked.whole().await;
        let (talk, wish) = (asked.talk.clone(), asked.wish().to_owned());
        let code = wish.parse();
        let framing = if code.is_ok() { Framing::Unknown } else { Framing::Length(100) };
        let (_body, mut out) = asked.answer(200, &[], framing).await;
        out.data("half").await;
        talk.go.notified().await;
        out.reset(code.unwrap_or(2));
    };
    in_each(all(), script, async |to| {
        for wish in CODES.map(|code| code.to_string()).iter().map(|code| &**code).chain(["length"]) {
            let mut call = to.post(wish, &[], Framing::Unknown).await;
            call.out.end().await;
            let mut answer = call.answer().await.expect("an answer");
            answer.body.octets(4).await;
            to.talk().go.notify_one();
            let broken = in_time("a break", answer.body.whole()).await.broken.expect("a break");
            let code = wish.parse().unwrap_or(2);
            match (to.cell.is_http2(), to.cell.incoming.is_http2()) {
                (true, _) => assert_eq!(broken.0, Some(code)),
                // HTTP/1.1 has no code: it is our word that it broke.
                (false, true) => assert!(broken.0.is_some_and(|code| code != 0), "{broken:?}"),
                (false, false) => assert_eq!(broken.0, None),
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_break_before_the_answer_is_told_in_words() {
    let script = async |mut asked: Asked| {
        asked.whole().await;
        let code = asked.wish().parse().expect("a code");
        asked.break_off(code);
    };
    in_each(all(), script, async |to| {
        for code in CODES {
            let (answer, whole) = to.ask("POST", &code.to_string(), &[], b"body").await;
            if to.cell.incoming.is_grpc() {
                assert_eq!((answer.status, answer.fields.one("grpc-status")), (200, "14"), "{code}");
                assert!(
                    answer.fields.one("grpc-message").starts_with("upstream_reset"),
                    "{:?}",
                    answer.fields
                );
                assert!(whole.head_alone);
            } else {
                assert_eq!(answer.status, 502, "{code}");
                assert!(String::from_utf8_lossy(&whole.body).contains(r#""reason":"upstream_reset""#));
            }
            assert!(
                answer.fields.one("proxy-status").starts_with("camunda-auth-proxy"),
                "{:?}",
                answer.fields
            );
        }
    })
    .await;
}

#[tokio::test]
async fn an_http1_caller_that_shuts_its_half_has_left() {
    let script = async |mut asked: Asked| {
        let talk = asked.talk.clone();
        talk.say("asked");
        talk.say(format!("{:?}", asked.given_up().await));
    };
    let cells = all().into_iter().filter(|cell| !cell.incoming.is_http2()).collect();
    in_each(cells, script, async |to| {
        let mut call = to.open("GET", "/v2/x", &[], Framing::Empty).await;
        assert_eq!(to.talk().heard().await, "asked");
        call.out.shut().await;
        let code = if to.cell.outgoing.is_http2() { "Some(8)" } else { "None" };
        assert_eq!(to.talk().heard().await, code);
        assert!(call.answer().await.is_err());
    })
    .await;
}
