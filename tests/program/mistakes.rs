//! A user's mistakes: status 78, on standard error, with key, origin and remedy; all at once.

use super::harness::{Camunda, program};

#[test]
fn what_is_no_credentials_file_is_named_for_what_it_is() {
    for (name, content, says) in [
        ("empty", &b""[..], "the file is empty"),
        ("comments", b"# only\n\n  # comments\n", "nothing but comments"),
        ("binary", b"\x7fELF\x00\xff\xfe\x80", "not UTF-8"),
        ("html", b"\n<!doctype html><html></html>", "web page"),
        ("half JSON", b"{\"ZEEBE_CLIENT_ID\": ", "not valid JSON"),
        ("text", b"dear colleague\n", "missing"),
        ("half a quote", b"export ZEEBE_CLIENT_SECRET='abc\n", "quote is not closed"),
    ] {
        let ended = program(&["check", "--credentials", "c"]).file("c", content).end();
        assert_eq!((ended.status, ended.out.as_str()), (78, ""), "{name}");
        assert!(ended.err.contains(says), "{name}: {}", ended.err);
        assert!(!ended.err.contains("abc"), "{name}: {}", ended.err);
    }
    let folder = program(&["check", "--credentials", "."]).end();
    assert!(folder.status == 78 && folder.err.contains("this is a directory"), "{}", folder.err);
    let none = program(&["check", "--credentials", "c"]).end();
    assert!(none.status == 78 && none.err.contains("there is no such file"), "{}", none.err);
}

#[test]
fn missing_credentials_are_all_named_with_the_way_to_get_them() {
    for command in ["run", "check", "config"] {
        let ended = program(&[command]).end();
        assert_eq!((ended.status, ended.out.as_str()), (78, ""), "{command}");
        for part in ["CAMUNDA_CLIENT_ID", "CAMUNDA_CLIENT_SECRET", "environment", "--credentials", "Console"]
        {
            assert!(ended.err.contains(part), "{command}: {part} in {}", ended.err);
        }
    }
}

#[test]
fn all_mistakes_are_told_at_once_with_key_origin_and_remedy() {
    let camunda = Camunda::start();
    let toml = "wrokers = 3\nworkers = \"many\"\n\n[log]\nlevel = \"loud\"\n\n[access]\nallowed_hosts = [\"http://x\"]\n\n\
                [[listener]]\naddress = \"0.0.0.0:0\"\n\n[scopes.zeebe]\nca_file = \"no.pem\"\n";
    let setup = |command: &str| {
        camunda
            .command(&[command, "-c", "bad.toml", "--listen", "0.0.0.0:0", "--admin", "nowhere"])
            .file("bad.toml", toml)
            .file("text.pem", "no certificate\n")
            .with("CAMUNDA_PROXY_OAUTH__CA_FILE", "text.pem")
            .with("CAMUNDA_PROXY_DRAIN__TIMEOUT", "30")
            .with("CAMUNDA_PROXY_OAUTH__CLIENT_ED", "x")
    };
    for command in ["run", "check", "config", "token zeebe", "route GET /"] {
        let mut words = command.split(' ');
        let ended = setup(words.next().expect("command")).arguments(&words.collect::<Vec<_>>()).end();
        assert_eq!((ended.status, ended.out.as_str()), (78, ""), "{command}");
        for line in [
            "wrokers (bad.toml:1:1): there is no such key; did you mean `workers`?",
            "workers (bad.toml:2:1): expected a number",
            "log.level (bad.toml:5:1): there is no such level",
            "access.allowed_hosts (bad.toml:8:1): ",
            "listener.0.address (bad.toml:11:1): others can reach 0.0.0.0:0",
            "scopes.zeebe.ca_file (bad.toml:14:1): there is no such file",
            "listen (flag --listen): others can reach 0.0.0.0:0",
            "anonymous = \"anywhere\"",
            "admin.address (flag --admin): `nowhere` is not an address",
            "oauth.ca_file (environment variable CAMUNDA_PROXY_OAUTH__CA_FILE): text.pem cannot be read as PEM",
            "drain.timeout (environment variable CAMUNDA_PROXY_DRAIN__TIMEOUT): expected a duration",
            "did you mean `CAMUNDA_PROXY_OAUTH__CLIENT_ID`?",
        ] {
            assert!(ended.err.contains(line), "{command}: {line}\nin {}", ended.err);
        }
        assert!(!ended.err.contains(&camunda.secret));
    }
}

#[test]
fn check_tells_programs_what_is_wrong_where_they_look_for_results() {
    let ended = program(&["check", "--format", "json"]).with("CAMUNDA_PROXY_WORKERS", "x").end();
    assert_eq!(ended.status, 78);
    let report = ended.json();
    assert_eq!(report["valid"], false);
    let keys: Vec<_> =
        report["problems"].as_array().expect("list").iter().map(|p| p["key"].clone()).collect();
    assert_eq!(keys[0], "workers");
    assert!(ended.err.contains("workers (environment variable CAMUNDA_PROXY_WORKERS)"), "{}", ended.err);
}

#[test]
fn each_mistake_alone_is_78() {
    let camunda = Camunda::start();
    for (name, value) in [
        ("ANONYMOUS", "everywhere"),
        ("LISTEN", "[]"),
        ("LISTEN", "127.0.0.1:99999"),
        ("LISTEN", "[\"127.0.0.1:1\", \"127.0.0.1:1\"]"),
        ("ADMIN__ADDRESS", "192.0.2.1:9600"),
        ("OAUTH__CLIENT_SECRET_FILE", "nowhere"),
        ("OAUTH__URL", "ftp://example.com"),
        ("SCOPES__OPERATE__ADDRESS", "http://example.com"),
        ("SCOPES__OPERATE__GRPC_ADDRESS", "grpc://localhost"),
        ("SCOPES__ZEEBE__PROTOCOL", "http3"),
        ("LIMITS__CONNECTIONS", "0"),
        ("LOG__FORMAT", "xml"),
        ("SAAS__HOSTS", "new"),
        ("LISTENER", "[{ address = \"127.0.0.1:1\", tls = { cert_file = \"a\", key_file = \"b\" } }]"),
        ("NO_SUCH_KEY", "x"),
    ] {
        let name = format!("CAMUNDA_PROXY_{name}");
        let ended = camunda.command(&["run"]).with(&name, value).end();
        assert_eq!((ended.status, ended.out.as_str()), (78, ""), "{name}={value}: {}", ended.err);
        assert!(ended.err.contains(&name), "{name}: {}", ended.err);
    }
}

#[test]
fn anywhere_is_served_once_it_is_written_out() {
    let camunda = Camunda::start();
    let setup = camunda.command(&["run", "--listen", "0.0.0.0:0", "--admin", "127.0.0.1:0"]);
    let proxy = setup.with("CAMUNDA_PROXY_ANONYMOUS", "anywhere").start();
    let port = proxy.listeners[0].port();
    let answer = super::harness::get(([127, 0, 0, 1], port).into(), "/v2/topology");
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn an_occupied_address_is_named_with_what_to_do() {
    let camunda = Camunda::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("address").to_string();
    for [listen, admin] in [[address.as_str(), "127.0.0.1:0"], ["127.0.0.1:0", address.as_str()]] {
        let ended = camunda.command(&["run", "--listen", listen, "--admin", admin]).end();
        assert_eq!(ended.status, 1);
        let says = format!("cannot listen on {address}: it is in use by another program");
        assert!(ended.err.contains(&says), "{}", ended.err);
    }
}

#[test]
fn an_address_that_this_user_may_not_have_is_77() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may do everything");
        return;
    }
    let camunda = Camunda::start();
    for address in ["127.0.0.1:81", "unix:/proxy.sock"] {
        let ended = camunda.command(&["run", "--listen", address, "--admin", "127.0.0.1:0"]).end();
        assert_eq!(ended.status, 77, "{address}: {}", ended.err);
    }
}

#[test]
fn unix_sockets_are_served_and_removed_and_a_missing_folder_is_named() {
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;
    let camunda = Camunda::start();
    let folder = super::harness::folder();
    let socket = folder.path().join("proxy.sock");
    let address = format!("unix:{}", socket.display());
    let mut proxy = camunda.command(&["run", "--listen", &address, "--admin", "127.0.0.1:0"]).start();
    assert_eq!(std::fs::metadata(&socket).expect("socket").permissions().mode() & 0o777, 0o600);
    let mut caller = std::os::unix::net::UnixStream::connect(&socket).expect("connected");
    caller.write_all(b"GET /v2/topology HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    caller.read_to_string(&mut answer).expect("answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    proxy.signal(rustix::process::Signal::TERM);
    assert_eq!((proxy.status(), socket.exists()), (0, false));
    let nowhere =
        camunda.command(&["run", "--listen", "unix:/no/such/folder/s", "--admin", "127.0.0.1:0"]).end();
    assert_eq!(nowhere.status, 1);
    assert!(nowhere.err.contains("its folder does not exist"), "{}", nowhere.err);
}
