//! What is logged: changes of state, once each, and never a secret.

use std::io::Write;
use std::sync::OnceLock;

use tracing_subscriber::fmt::MakeWriter;

use super::*;

/// Collects what is logged on this thread, which is where the whole test runs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn collect(&self, level: tracing::Level) -> tracing::subscriber::DefaultGuard {
        // With one subscriber alone, tracing asks whichever thread meets an event first whether anybody listens, and
        // remembers its answer for all: a second one, deaf, makes it ask everybody.
        static DEAF: OnceLock<tracing::Dispatch> = OnceLock::new();
        DEAF.get_or_init(|| tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default()));
        let made = tracing_subscriber::fmt().with_writer(self.clone()).with_max_level(level).with_ansi(false);
        tracing::subscriber::set_default(made.finish())
    }

    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Log;

    fn make_writer(&self) -> Log {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_at_its_start_and_at_its_end() {
    let log = Log::default();
    let _collected = log.collect(tracing::Level::INFO);
    let bench = bench(|_, number| match number {
        1 | 20.. => token(number, 300),
        _ => reply(503, ""),
    });
    let source = bench.tokens.source(request("a"));
    while source.status().requests.ok < 2 {
        sleep(secs(1)).await;
    }
    let lines = log.lines();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for (line, parts) in lines.iter().zip([
        ["INFO token: token obtained", "generation=1"],
        ["WARN token: no token: the token endpoint answered 503", "next_attempt_seconds=1"],
        ["INFO token: token obtained again", "outage_seconds="],
    ]) {
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_hours_is_told_in_a_line_for_each_kind_of_failure() {
    let log = Log::default();
    let _collected = log.collect(tracing::Level::INFO);
    let bench = bench(|_, number| match number {
        1 => token(1, 300),
        n if n % 3 == 0 => reply(200, "<html>"),
        n if n % 7 == 0 => panic!("on purpose"),
        _ => reply(503, ""),
    });
    let source = bench.tokens.source(request("a"));
    for _ in 0..(3 * 360) {
        sleep(secs(10)).await;
        let _ = source.wait(Instant::now() + Duration::from_millis(1)).await;
    }
    bench.script(|_, number| token(number, 300));
    sleep(secs(301)).await;
    let failures = source.status().requests.total() - source.status().requests.ok;
    assert!(failures > 30, "{failures}");
    let lines = log.lines();
    let count = |words: &str| lines.iter().filter(|line| line.contains(words)).count();
    // One panic at most is told between two tokens, and each kind of failure once.
    assert_eq!((count("cause=\"transient\""), count("cause=\"malformed\"")), (1, 1), "{lines:#?}");
    assert_eq!((count("the renewal task panicked;"), count("token obtained again")), (1, 1), "{lines:#?}");
    assert_eq!(lines.len(), 5, "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_quarantine_is_told_once_with_what_to_do() {
    let log = Log::default();
    let _collected = log.collect(tracing::Level::INFO);
    let bench = bench(|_, _| reply(401, r#"{"error":"access_denied"}"#));
    let _source = bench.tokens.source(request("a"));
    sleep(secs(86_400)).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains(
        "ERROR token: the token endpoint answered 401 (access_denied): mend the client id or secret"
    ));
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_renewals_on_401_is_told_at_its_start_and_at_its_end() {
    let log = Log::default();
    let _collected = log.collect(tracing::Level::INFO);
    let bench = bench(|_, number| token(number, 7 * 86_400));
    let source = bench.tokens.source(request("a"));
    source.wait(soon()).await.unwrap();
    for _ in 0..7200 {
        let sent = source.current().unwrap().generation();
        source.rejected(sent);
        sleep(secs(1)).await;
    }
    sleep(secs(60)).await;
    source.accepted(source.current().unwrap().generation());
    let lines = log.lines();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(
        lines[1].contains("WARN token: the upstream answers 401 to one new token after the other"),
        "{lines:#?}"
    );
    assert!(lines[1].contains("pause_seconds=300"), "{lines:#?}");
    assert!(lines[2].contains("INFO token: the upstream accepts the token again"), "{lines:#?}");
}

#[tokio::test]
async fn no_log_at_any_level_holds_a_secret() {
    let log = Log::default();
    let _collected = log.collect(tracing::Level::TRACE);
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 31\r\n\r\n{\"access_token\":\"canary-token\"}\n",
        "HTTP/1.1 401 No\r\ncontent-length: 25\r\n\r\n{\"error\":\"canary-secret\"}",
        "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"access_token\":\"canary-token",
        "HTTP/1.1 302 Found\r\nlocation: /?canary-secret\r\ncontent-length: 0\r\n\r\n",
    ] {
        let (request, _seen) = over_tcp::server(async move |mut stream: tokio::net::TcpStream| {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await;
        })
        .await;
        let tokens = Tokens::new(&Config::default(), Arc::new(over_tcp::endpoint(secs(5))), Clock::system());
        let _ = tokens.source(request).wait(Instant::now() + secs(1)).await;
    }
    let lines = log.lines();
    assert!(lines.len() > 8, "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains("canary")), "{lines:#?}");
}
