//! The bytes that leave, for every way of proving who the client is and everything that a request may ask for.

use std::collections::HashSet;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::over_tcp::{endpoint_at, server};
use super::*;
use crate::oauth::signing_key::tests::{key_file, signing_key};

const NOW: u64 = 1_800_000_000;
const JWT_BEARER: &str =
    "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

/// A client whose id and secret hold what has to be encoded.
fn client() -> TokenRequest {
    TokenRequest { client_id: "my:id".into(), audience: None, ..request("") }
}

/// Each method with its `authorization` and the form's parameters.
fn methods(workload_token: &std::path::Path) -> Vec<(ClientAuth, Option<&'static str>, String)> {
    let secret = || "s+ec:ret".into();
    let identity = ClientIdentity::new(&key_file("rsa.p12")).unwrap();
    vec![
        (ClientAuth::Post(secret()), None, "&client_id=my%3Aid&client_secret=s%2Bec%3Aret".to_owned()),
        // my%3Aid:s%2Bec%3Aret
        (ClientAuth::Basic(secret()), Some("Basic bXklM0FpZDpzJTJCZWMlM0FyZXQ="), String::new()),
        (
            ClientAuth::PrivateKeyJwt(signing_key("rsa.pem", Some("k")).into()),
            None,
            format!("&client_id=my%3Aid&{JWT_BEARER}&client_assertion=SIGNED"),
        ),
        (ClientAuth::Mtls(identity.into()), None, "&client_id=my%3Aid".to_owned()),
        (
            ClientAuth::WorkloadToken(workload_token.to_owned()),
            None,
            format!("&client_id=my%3Aid&{JWT_BEARER}&client_assertion=platform.token"),
        ),
    ]
}

/// What reaches the endpoint.
struct Sent {
    endpoint: String,
    first: String,
    /// Sorted, without `host`.
    fields: Vec<String>,
    form: String,
}

async fn sent(request: &TokenRequest) -> Sent {
    let (at, seen) = server(async move |mut stream: TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    })
    .await;
    let clock = Clock::steered(UNIX_EPOCH + secs(NOW));
    let request = TokenRequest { endpoint: at.endpoint.clone(), ..request.clone() };
    endpoint_at(secs(5), clock).ask(&request).await.unwrap();
    let seen = seen.await.unwrap();
    let (head, form) = seen.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines().filter(|line| !line.starts_with("host: ")).map(str::to_owned);
    let first = lines.next().unwrap();
    let mut fields: Vec<String> = lines.collect();
    fields.sort_unstable();
    Sent { endpoint: at.endpoint, first, fields, form: form.to_owned() }
}

/// Checks a client assertion and puts a word in its place: no two are the same.
fn checked(form: &str, endpoint: &str, jtis: &mut HashSet<String>) -> String {
    let Some((before, rest)) = form.split_once("client_assertion=ey") else { return form.to_owned() };
    let (token, after) = rest.split_once('&').map_or((rest, String::new()), |(t, a)| (t, format!("&{a}")));
    let token = format!("ey{token}");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let certificate =
        crate::key_file::certificates(include_bytes!("../../../tests/keys/rsa.cert.pem")).unwrap();
    let key = crate::certificate::Certificate::read(&certificate[0]).unwrap().public_key;
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
    key.verify(signed.as_bytes(), &signature).unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let part = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    assert_eq!(part(header), json!({ "alg": "RS256", "typ": "JWT", "kid": "k" }));
    let claims = part(claims);
    let (iat, jti) = (claims["iat"].as_u64().unwrap(), claims["jti"].as_str().unwrap());
    assert!((NOW..NOW + 60).contains(&iat), "{iat}");
    assert!(jti.len() == 22 && jtis.insert(jti.to_owned()), "{jti}");
    let expected = json!({
        "iss": "my:id", "sub": "my:id", "aud": endpoint, "jti": jti, "iat": iat, "nbf": iat, "exp": iat + 300,
    });
    assert_eq!(claims, expected);
    format!("{before}client_assertion=SIGNED{after}")
}

#[tokio::test]
async fn every_combination_has_exactly_these_bytes() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b" platform.token\n").unwrap();
    let mut jtis = HashSet::new();
    for (client_auth, authorization, proof) in methods(file.path()) {
        for chosen in 0..32_u32 {
            let with = |bit: u32| chosen & (1 << bit) != 0;
            let text = |bit: u32, text: &str| with(bit).then(|| text.to_owned());
            let pairs = |bit: u32, pairs: [(&str, &str); 2]| {
                pairs
                    .map(|(name, value)| (name.to_owned(), value.into()))
                    .into_iter()
                    .filter(move |_| with(bit))
            };
            let made = TokenRequest {
                client_auth: client_auth.clone(),
                audience: text(0, "zeebe.camunda.io"),
                oauth_scope: text(1, "api://x/.default y"),
                resource: text(2, "urn:a"),
                extra: pairs(3, [("org", "1 2"), ("ä", "=&")]).collect(),
                headers: pairs(4, [("accept", "*/*"), ("x-tenant", "one")]).collect(),
                ..client()
            };
            let Sent { endpoint, first, fields, form } = sent(&made).await;
            let mut expected = format!("grant_type=client_credentials{proof}");
            for (bit, text) in [
                "&audience=zeebe.camunda.io",
                "&scope=api%3A%2F%2Fx%2F.default+y",
                "&resource=urn%3Aa",
                "&org=1+2&%C3%A4=%3D%26",
            ]
            .into_iter()
            .enumerate()
            {
                expected += if with(bit as u32) { text } else { "" };
            }
            let length = format!("content-length: {}", form.len());
            assert_eq!(checked(&form, &endpoint, &mut jtis), expected);
            let agent = concat!("user-agent: camunda-auth-proxy/", env!("CARGO_PKG_VERSION"));
            let authorization = authorization.map(|value| format!("authorization: {value}"));
            let mut expected = vec![if with(4) { "accept: */*" } else { "accept: application/json" }];
            expected.extend(authorization.as_deref());
            expected.extend([&length, "content-type: application/x-www-form-urlencoded", agent]);
            expected.extend(with(4).then_some("x-tenant: one"));
            assert_eq!(first, "POST /oauth/token HTTP/1.1");
            assert_eq!(fields, expected, "{client_auth:?} {chosen:05b}");
        }
    }
    assert_eq!(jtis.len(), 32);
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned()
}

proptest! {
    #[test]
    fn every_character_survives_each_encoding(id in "\\PC{0,12}|[\\x00-\\x7f]{0,12}", secret in "\\PC{0,12}|[\\x00-\\x7f]{0,12}") {
        let of = |client_auth: ClientAuth| {
            let made = TokenRequest { client_id: id.clone(), client_auth, ..request(&secret) };
            let proof = made.client_auth.proof(&made, UNIX_EPOCH).unwrap();
            (made.form(&proof), proof.authorization)
        };
        let (form, none) = of(ClientAuth::Post(secret.as_str().into()));
        prop_assert!(none.is_none() && form.is_ascii());
        let values: Vec<String> = form.split('&').map(|pair| decoded(pair.split_once('=').unwrap().1)).collect();
        prop_assert_eq!(values, ["client_credentials", &id, &secret, &secret]);
        let (form, basic) = of(ClientAuth::Basic(secret.as_str().into()));
        prop_assert!(!form.contains("client_id") && !form.contains("client_secret"));
        let basic = basic.unwrap();
        let pair = STANDARD.decode(basic.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        let pair = String::from_utf8(pair).unwrap();
        let (user, password) = pair.split_once(':').unwrap();
        prop_assert_eq!([decoded(user), decoded(password)], [id.as_str(), secret.as_str()]);
        let key = signing_key("ec.pem", None);
        let (form, _) = of(ClientAuth::PrivateKeyJwt(key.into()));
        let assertion = form.split('&').find_map(|pair| pair.strip_prefix("client_assertion=")).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        prop_assert_eq!(&claims["iss"], id.as_str());
    }
}

#[tokio::test]
async fn a_free_parameter_or_field_takes_the_place_of_ours() {
    let made = TokenRequest {
        client_auth: ClientAuth::Basic("canary".into()),
        extra: [("grant_type".to_owned(), "other".into())].into(),
        headers: [("authorization".to_owned(), "Other".into())].into(),
        ..request("a")
    };
    let Sent { fields, form, .. } = sent(&made).await;
    assert_eq!(form, "audience=a&grant_type=other");
    let authorization: Vec<&String> = fields.iter().filter(|field| field.contains("uthorization")).collect();
    assert_eq!(authorization, ["authorization: Other"]);
}

#[tokio::test]
async fn a_workload_token_is_read_anew_and_its_absence_passes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let made = TokenRequest { client_auth: ClientAuth::WorkloadToken(path.clone()), ..request("a") };
    let proof = || made.client_auth.proof(&made, UNIX_EPOCH);
    for (content, what) in [
        (None, "cannot be read: No such file"),
        (Some(&b""[..]), "is empty"),
        (Some(b" \n"), "is empty"),
        (Some(b"canary\ncanary"), "holds blanks"),
        (Some(b"can\xc3\xa4ry"), "holds blanks or characters"),
        (Some(&[b'x'; 40_000]), "is longer than 32 KiB"),
    ] {
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let failure = proof().err().unwrap();
        assert_eq!(failure.cause, Cause::Transient);
        assert!(failure.detail.contains(what), "{failure}");
        assert!(
            failure.detail.contains(path.to_str().unwrap()) && !failure.detail.contains("canary"),
            "{failure}"
        );
    }
    for token in ["one", "two"] {
        std::fs::write(&path, format!("\n{token}\r\n")).unwrap();
        assert_eq!(proof().unwrap().parameters.pop().unwrap().1.expose(), token);
    }
}

#[tokio::test]
async fn an_assertion_is_made_by_the_endpoints_clock_once_it_is_known() {
    let date = httpdate::fmt_http_date(UNIX_EPOCH + secs(NOW + 7200));
    let (at, seen) = server(async move |mut stream: TcpStream| {
        let refusal = format!("HTTP/1.1 400 Bad Request\r\ndate: {date}\r\ncontent-length: 0\r\n\r\n");
        let _ = stream.write_all(refusal.as_bytes()).await;
    })
    .await;
    let client_auth = ClientAuth::PrivateKeyJwt(signing_key("ec.pem", None).into());
    let made = TokenRequest { endpoint: at.endpoint, client_auth, ..request("a") };
    let endpoint = endpoint_at(secs(5), Clock::steered(UNIX_EPOCH + secs(NOW)));
    let iat = |form: &str| {
        let claims = form.split("client_assertion=").nth(1).unwrap().split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        claims["iat"].as_u64().unwrap()
    };
    assert_eq!(endpoint.ask(&made).await.unwrap().status, 400);
    assert!((NOW..NOW + 60).contains(&iat(&seen.await.unwrap())));
    let proof = made.client_auth.proof(&made, endpoint.time(&made.endpoint)).unwrap();
    assert!((NOW + 7198..NOW + 7260).contains(&iat(&made.form(&proof))));
}

#[test]
fn nothing_secret_is_in_what_programmers_see() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (client_auth, ..) in methods(file.path()) {
        let shown = format!("{:?}", TokenRequest { client_auth, ..client() });
        assert!(!shown.contains("ec:ret") && !shown.contains("ec%3Aret"), "{shown}");
    }
}
