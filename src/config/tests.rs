//! Layers, mistakes and `proxy.toml`.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::collect::collect;
use super::*;
use crate::problem::Problem;
use crate::scope::Scope;

const SECRET: &str = "CANARY.s3cr3t";

/// What a process would find: files in a directory of its own, and any environment and flags.
struct Sandbox {
    directory: TempDir,
    sources: Sources,
}

impl Sandbox {
    fn new() -> Sandbox {
        Sandbox { directory: tempfile::tempdir().expect("directory"), sources: Sources::default() }
    }

    /// With complete credentials in a file, so that only what a test adds can be wrong.
    fn with_credentials() -> Sandbox {
        let mut sandbox = Sandbox::new();
        let text = format!(
            "export ZEEBE_ADDRESS='abc.bru-2.zeebe.camunda.io:443'\nexport ZEEBE_CLIENT_ID='id'\n\
             export ZEEBE_CLIENT_SECRET='{SECRET}'\nexport CAMUNDA_OAUTH_URL='https://login/oauth/token'\n\
             export CAMUNDA_OPERATE_BASE_URL='https://bru-2.operate.camunda.io/abc'\n"
        );
        let path = sandbox.write("credentials.txt", &text);
        sandbox.sources.flags.push(Flag { name: "--credentials", key: "credentials", values: vec![path] });
        sandbox
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    fn file(mut self, text: &str) -> Sandbox {
        let path = self.write(&format!("{}.toml", self.sources.files.len()), text);
        self.sources.files.push(path.into());
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Sandbox {
        self.sources.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn flag(mut self, name: &'static str, key: &'static str, values: &[&str]) -> Sandbox {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        self.sources.flags.push(Flag { name, key, values });
        self
    }

    fn config(&self) -> Config {
        let (figment, problems) = self.sources.layers();
        let (config, more) = collect(&figment);
        assert!(problems.is_empty() && more.is_empty(), "{problems:?} {more:?}");
        config
    }

    fn settings(&self) -> Settings {
        Settings::load(&self.sources).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    /// Problems as `key (origin): message; remedy`, the directory left out.
    fn problems(&self) -> Vec<String> {
        let problems = Settings::load(&self.sources).expect_err("should be refused");
        let directory = format!("{}/", self.directory.path().display());
        problems.iter().map(|problem: &Problem| problem.to_string().replace(&directory, "")).collect()
    }
}

#[test]
fn later_layers_count_more_and_every_value_knows_its_origin() {
    let sandbox = Sandbox::with_credentials()
        .file("workers = 1\n[log]\nlevel = \"debug\"\nformat = \"json\"\n[drain]\ntimeout = \"5s\"")
        .file("[log]\nlevel = \"warn\"\n[admin]\naddress = \"127.0.0.1:1\"")
        .variable("CAMUNDA_PROXY_WORKERS", "3")
        .variable("CAMUNDA_PROXY_ADMIN__ADDRESS", "127.0.0.1:2")
        .variable("CAMUNDA_PROXY_SAAS__HOSTS", "legacy")
        .variable("CAMUNDA_PROXY_SCOPES__ZEEBE__ALLOW_PLAINTEXT", "true")
        .flag("--admin", "admin.address", &["127.0.0.1:3"]);
    let settings = sandbox.settings();
    assert_eq!(settings.config.workers, 3);
    assert_eq!(settings.config.log.level, "warn");
    assert_eq!(settings.config.log.format, LogFormat::Json);
    assert_eq!(settings.config.admin.address.to_string(), "127.0.0.1:3");
    assert_eq!(settings.config.drain.timeout, Duration::from_secs(5));
    assert_eq!(settings.config.saas.hosts, Hosts::Legacy);
    assert!(settings.config.scopes.zeebe.allow_plaintext);
    let directory = format!("{}/", sandbox.directory.path().display());
    for (key, value, origin) in [
        ("workers", "3", "environment variable CAMUNDA_PROXY_WORKERS"),
        ("log.level", "\"warn\"", "1.toml:2:1"),
        ("log.format", "\"json\"", "0.toml:4:1"),
        ("admin.address", "\"127.0.0.1:3\"", "flag --admin"),
        ("log.access", "\"all\"", "default"),
        ("oauth.client_id", "\"id\"", "ZEEBE_CLIENT_ID (credentials.txt:2)"),
        ("oauth.client_secret", "\"[redacted]\"", "ZEEBE_CLIENT_SECRET (credentials.txt:3)"),
        ("scopes.operate.audience", "\"operate.camunda.io\"", "default for this address"),
        (
            "scopes.zeebe.address",
            "\"https://bru-2.zeebe.camunda.io/abc\"",
            "derived from region and cluster id",
        ),
        ("listen", "[\"127.0.0.1:26500\",\"127.0.0.1:8080\"]", "default"),
        ("scopes.tasklist.address", "null", "default"),
    ] {
        let found = settings.effective.iter().find(|effective| effective.key == key).expect(key);
        assert_eq!(
            (found.value.to_string().as_str(), found.origin.replace(&directory, "").as_str()),
            (value, origin),
            "{key}"
        );
    }
    let shown = format!("{settings:?}{}", serde_json::to_string(&settings.effective).expect("JSON"));
    assert!(!shown.contains("CANARY"), "{shown}");
}

#[test]
fn a_secret_of_digits_stays_a_text() {
    for secret in ["12345678", "007", "true", "[x", "a$b", "1e5", "a,b"] {
        let sandbox = Sandbox::with_credentials().variable("CAMUNDA_PROXY_OAUTH__CLIENT_SECRET", secret);
        assert_eq!(sandbox.settings().credentials.client_secret.expose(), secret);
    }
    let sandbox = Sandbox::with_credentials().file("[oauth]\nclient_secret = 12345678");
    assert_eq!(sandbox.settings().credentials.client_secret.expose(), "12345678");
    let file = Sandbox::with_credentials();
    let path = file.write("secret", &format!("  {SECRET}-2\r\n"));
    let sandbox = file.variable("CAMUNDA_PROXY_OAUTH__CLIENT_SECRET_FILE", &path);
    assert_eq!(sandbox.settings().credentials.client_secret.expose(), format!("{SECRET}-2"));
}

#[test]
fn lists_are_read_from_texts() {
    let listen = |value: &str| {
        let config = Sandbox::new().variable("CAMUNDA_PROXY_LISTEN", value).config();
        config.listeners().iter().map(|l| l.address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listen("127.0.0.1:1, [::1]:2"), ["127.0.0.1:1", "[::1]:2"]);
    assert_eq!(listen("[\"127.0.0.1:1\", \"unix:/x?mode=0660\"]"), ["127.0.0.1:1", "unix:/x?mode=0660"]);
    assert_eq!(listen("[]"), Vec::<String>::new());
    let config = Sandbox::new()
        .variable("CAMUNDA_PROXY_LISTENER", "[{address = \"127.0.0.1:1\", scope = \"operate\"}]")
        .variable("CAMUNDA_PROXY_ACCESS__ALLOWED_HOSTS", "a.example, b.example:80")
        .variable("CAMUNDA_PROXY_WORKERS", "")
        .variable("CAMUNDA_PROXY_SERVICE_HOST", "10.0.0.1")
        .variable("CAMUNDA_PROXY_PORT_8080_TCP", "tcp://10.0.0.1:8080")
        .config();
    assert_eq!(config.listener[0].scope, Some(Scope::Operate));
    assert_eq!(config.access.allowed_hosts, ["a.example", "b.example:80"]);
}

#[test]
fn main_listeners_are_replaced_and_others_kept() {
    let addresses = |sandbox: Sandbox| -> Vec<String> {
        sandbox.config().listeners().iter().map(|l| l.address.to_string()).collect()
    };
    let pinned = "[[listener]]\naddress = \"127.0.0.1:1\"\nscope = \"operate\"\n";
    let main = "[[listener]]\naddress = \"127.0.0.1:2\"\n";
    assert_eq!(addresses(Sandbox::new().file(pinned)), ["127.0.0.1:26500", "127.0.0.1:8080", "127.0.0.1:1"]);
    assert_eq!(addresses(Sandbox::new().file(main)), ["127.0.0.1:2"]);
    let both = Sandbox::new().file(&format!("{pinned}{main}"));
    let both = both.flag("--listen", "listen", &["127.0.0.1:3", "127.0.0.1:0"]);
    assert_eq!(addresses(both), ["127.0.0.1:3", "127.0.0.1:0", "127.0.0.1:1"]);
    assert_eq!(addresses(Sandbox::new().flag("--listen", "listen", &["127.0.0.1:3"])), ["127.0.0.1:3"]);
}

#[test]
fn all_mistakes_are_reported_at_once_with_key_origin_and_remedy() {
    let sandbox = Sandbox::new()
        .file(&format!(
            "wrokers = 1\nworkers = \"many\"\nanonymous = \"everywhere\"\n[oauth]\nclient_secret = [\"{SECRET}\"]\n\
             client_secret_fiel = \"{SECRET}\"\nwait = \"{SECRET}\"\n[[listener]]\naddres = \"127.0.0.1:1\"\n\
             [[listener]]\naddress = \"nowhere\"\ntls = {{ cert_file = 1 }}\n"
        ))
        .variable("CAMUNDA_PROXY_LOG__LEVLE", "debug")
        .variable("CAMUNDA_PROXY_LIMITS__CONNECTIONS", SECRET)
        .variable("CAMUNDA_PROXY_OAUTH__ALLOW_PLAINTEXT", "perhaps")
        .flag("--admin", "admin.address", &["9600"]);
    let mut problems = sandbox.problems();
    let missing = problems.pop().expect("missing credentials");
    assert!(missing.contains("are missing"), "{missing}");
    problems.sort();
    let wrong_address = |text: &str| {
        format!(
            "`{text}` is not an address: write 127.0.0.1:8080, [::1]:8080, localhost:8080, \
             unix:/path?mode=0600 or systemd:NAME"
        )
    };
    assert_eq!(
        problems,
        [
            format!("admin.address (flag --admin): {}", wrong_address("9600")),
            "anonymous (0.toml:3:1): expected loopback or anywhere".to_owned(),
            "limits.connections (environment variable CAMUNDA_PROXY_LIMITS__CONNECTIONS): \
             expected a number, 0 or more"
                .to_owned(),
            "listener.0.addres (0.toml:9:1): there is no such key; did you mean `listener.0.address`?"
                .to_owned(),
            "listener.0.address (0.toml:8:1): the key is missing; write it".to_owned(),
            format!("listener.1.address (0.toml:11:1): {}", wrong_address("nowhere")),
            "listener.1.tls.cert_file (0.toml:12:9): expected a text in quotes".to_owned(),
            "log.levle (environment variable CAMUNDA_PROXY_LOG__LEVLE): there is no such key; \
             did you mean `CAMUNDA_PROXY_LOG__LEVEL`?"
                .to_owned(),
            "oauth.allow_plaintext (environment variable CAMUNDA_PROXY_OAUTH__ALLOW_PLAINTEXT): \
             expected true or false"
                .to_owned(),
            "oauth.client_secret (0.toml:5:1): expected a text in quotes".to_owned(),
            "oauth.client_secret_fiel (0.toml:6:1): there is no such key; \
             did you mean `oauth.client_secret_file`?"
                .to_owned(),
            "oauth.wait (0.toml:7:1): expected a duration such as 30s or 5m".to_owned(),
            "workers (0.toml:2:1): expected a number, 0 or more".to_owned(),
            "wrokers (0.toml:1:1): there is no such key; did you mean `workers`?".to_owned(),
        ]
    );
}

#[test]
fn a_file_that_is_no_toml_says_where_and_quotes_nothing() {
    for text in [
        format!("workers = 1\n[oauth]\nclient_secret = {SECRET}\n"),
        format!("workers = 1\n[oauth]\nclient_secret = \"{SECRET}\n"),
        format!("workers = 1\n[oauth]\n\"{SECRET}\" {SECRET}\n"),
        format!("a = 1\nb = 2\nclient_secret = '{SECRET}' {SECRET}\n"),
    ] {
        let problems = Sandbox::new().file(&text).problems();
        assert!(problems[0].starts_with("0.toml:3:"), "{problems:?}");
        assert!(!problems.concat().contains("CANARY"), "{problems:?}");
    }
}

#[test]
fn files_that_cannot_be_read_are_named_with_their_key() {
    let mut sandbox = Sandbox::new().variable("CAMUNDA_PROXY_OAUTH__CA_FILE", "/nowhere/ca.pem");
    sandbox.sources.files.push("/nowhere/proxy.toml".into());
    assert_eq!(
        sandbox.problems(),
        [
            "/nowhere/proxy.toml: there is no such file; check the path",
            "oauth.ca_file (environment variable CAMUNDA_PROXY_OAUTH__CA_FILE): there is no such file; check the path",
        ]
    );
    let problems = Sandbox::new().flag("--credentials", "credentials", &["/nowhere/x"]).problems();
    assert_eq!(
        problems,
        ["credentials (flag --credentials): /nowhere/x: there is no such file; check the path"]
    );
    let problems = Sandbox::new().flag("--credentials", "credentials", &["/"]).problems();
    assert_eq!(problems, ["credentials (flag --credentials): /: this is a directory; name the file in it"]);
}

#[test]
fn mistakes_in_the_credentials_name_file_and_line() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("c.txt", &format!("ZEEBE_CLIENT_ID=i\nZEEBE_CLIENT_SECRET='{SECRET}\n"));
    let problems = sandbox.variable("CAMUNDA_PROXY_CREDENTIALS", &path).problems();
    assert!(problems[0].starts_with("ZEEBE_CLIENT_SECRET (c.txt:2): the value's quote"), "{problems:?}");
}

#[test]
fn keys_count_more_than_the_credentials_file() {
    let sandbox = Sandbox::with_credentials()
        .file("[oauth]\nclient_id = \"other\"\n[scopes.zeebe]\ngrpc_address = \"grpc://localhost\"\naudience = \"a\"")
        .variable("CAMUNDA_PROXY_OAUTH__CLIENT_SECRET", "CANARY-2")
        .variable("CAMUNDA_PROXY_SCOPES__OPTIMIZE__ADDRESS", "https://optimize.example");
    let settings = sandbox.settings();
    assert_eq!(settings.credentials.client_id, "other");
    assert_eq!(settings.credentials.client_secret.expose(), "CANARY-2");
    let zeebe = &settings.scopes[&Scope::Zeebe];
    assert_eq!(
        zeebe.grpc_address.as_ref().map(ToString::to_string).as_deref(),
        Some("http://localhost:26500")
    );
    assert_eq!(zeebe.audience.as_deref(), Some("a"));
    assert!(settings.scopes.contains_key(&Scope::Optimize));
}

#[test]
fn without_a_file_the_environment_holds_the_credentials() {
    let sandbox = Sandbox::new()
        .variable("ZEEBE_CLIENT_ID", "'id'")
        .variable("ZEEBE_CLIENT_SECRET", "\"007\"")
        .variable("ZEEBE_AUTHORIZATION_SERVER_URL", "http://127.0.0.1:1/oauth/token")
        .variable("ZEEBE_GRPC_ADDRESS", "grpc://127.0.0.1:2");
    let settings = sandbox.settings();
    assert_eq!(settings.credentials.client_id, "id");
    assert_eq!(settings.credentials.client_secret.expose(), "007");
    let id = settings.effective.iter().find(|e| e.key == "oauth.client_id").expect("id");
    assert_eq!(id.origin, "environment variable ZEEBE_CLIENT_ID");
}

#[test]
fn plaintext_beyond_loopback_is_refused_unless_allowed_for_that_leg() {
    let sandbox = |allow: &str| {
        Sandbox::with_credentials()
            .file(allow)
            .variable("CAMUNDA_PROXY_OAUTH__URL", "http://idp/token?x=y")
            .variable("CAMUNDA_PROXY_SCOPES__ZEEBE__GRPC_ADDRESS", "grpc://zeebe:26500")
            .variable("CAMUNDA_PROXY_SCOPES__OPERATE__ADDRESS", "http://localhost:1")
    };
    let both = sandbox("").variable("CAMUNDA_PROXY_SCOPES__TASKLIST__ADDRESS", "u@h").problems();
    assert_eq!(both.len(), 3, "{both:?}");
    let problems = sandbox("").problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].ends_with("set oauth.allow_plaintext = true"), "{problems:?}");
    assert!(problems[1].ends_with("set scopes.zeebe.allow_plaintext = true"), "{problems:?}");
    sandbox("[oauth]\nallow_plaintext = true\n[scopes.zeebe]\nallow_plaintext = true").settings();
}

#[test]
fn saas_hosts_decide_where_rest_goes_and_for_whom_the_token_is() {
    let operate = |hosts: &str| {
        let sandbox = Sandbox::with_credentials().variable("CAMUNDA_PROXY_SAAS__HOSTS", hosts);
        sandbox.settings().scopes.remove(&Scope::Operate).expect("operate")
    };
    let shown =
        |scope: &ScopeSettings| (scope.address.clone().expect("address").host, scope.audience.clone());
    let legacy = ("bru-2.operate.camunda.io".to_owned(), Some("operate.camunda.io".to_owned()));
    let api = ("bru-2.api.camunda.io".to_owned(), Some("zeebe.camunda.io".to_owned()));
    assert_eq!((shown(&operate("legacy")), operate("legacy").migrated), (legacy.clone(), None));
    assert_eq!((shown(&operate("api")), operate("api").migrated), (api.clone(), None));
    let mut auto = operate("auto");
    assert_eq!(shown(&auto), legacy);
    auto.migrate();
    assert_eq!(shown(&auto), api);
}

#[test]
fn mistakes_between_keys_are_found() {
    let sandbox = Sandbox::with_credentials()
        .file(&format!(
            "listen = [\"127.0.0.1:1\", \"127.0.0.1:1\", \"127.0.0.1:0\", \"127.0.0.1:0\"]\n\
             [admin]\naddress = \"127.0.0.1:1\"\n[oauth]\nclient_secret = \"{SECRET}\"\nclient_secret_file = \"/\"\n\
             [log]\nlevel = \"inof\"\n[scopes.operate]\ngrpc_address = \"x\"\n[drain]\ntimeout = \"0s\""
        ))
        .variable("CAMUNDA_PROXY_LIMITS__HEAD_TIMEOUT", "0s");
    let mut keys: Vec<String> =
        sandbox.problems().iter().map(|p| p.split(' ').next().unwrap_or_default().to_owned()).collect();
    keys.sort();
    let expected = [
        "admin.address",
        "limits.head_timeout",
        "listen",
        "log.level",
        "oauth.client_secret",
        "oauth.client_secret_file",
        "scopes.operate.grpc_address",
    ];
    assert_eq!(keys, expected);
}

/// `proxy.toml` with everything that stands behind a `#` and looks like configuration taken in.
fn with_examples(text: &str) -> String {
    let key = |line: &str| {
        let mut rest = line;
        while let Some(inner) = rest.strip_prefix("# ") {
            rest = inner;
        }
        let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
        let is_key = !name.is_empty() && rest[name.len()..].starts_with(" = ");
        if is_key || rest == "[[listener]]" { rest.to_owned() } else { String::new() }
    };
    let line = |line: &str| if line.starts_with('#') { key(line) } else { line.to_owned() };
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn proxy_toml_holds_every_key_with_its_default() {
    let text = include_str!("../../proxy.toml");
    let keys =
        |config: &Config| effective::keys(config).into_iter().collect::<std::collections::BTreeMap<_, _>>();
    let config = Sandbox::new().file(text).config();
    assert_eq!(keys(&config), keys(&Config::default()), "as it is, it changes nothing");

    // Top-level examples end where the first table begins, so the example listener must come last there.
    let (top, tables) = with_examples(text)
        .split_once("[[listener]]")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .expect("example");
    let (listener, tables) = tables.split_once("[admin]").expect("admin");
    let full = Sandbox::new().file(&format!("{top}\n[admin]{tables}\n[[listener]]{listener}")).config();
    let unset: Vec<String> =
        keys(&full).into_iter().filter(|(_, v)| v.is_null()).map(|(key, _)| key).collect();
    let not_zeebe =
        ["operate", "optimize", "secrets", "tasklist"].map(|s| format!("scopes.{s}.grpc_address"));
    assert_eq!(unset, not_zeebe, "every key without a default has an example");
    let listen: Vec<String> = full.listen.expect("example").iter().map(ToString::to_string).collect();
    let default = Config::default().listeners();
    assert_eq!(listen, default.iter().map(|l| l.address.to_string()).collect::<Vec<_>>());
    let listener = serde_json::to_value(&full.listener).expect("JSON");
    for key in ["address", "scope", "secrets", "tls"] {
        assert!(!listener[0][key].is_null(), "{key} has an example");
    }
    for key in effective::keys(&Config::default()).into_iter().filter(|(_, value)| !value.is_null()) {
        let name = key.0.rsplit('.').next().unwrap_or_default().to_owned();
        assert!(name == "listener" || text.contains(&format!("\n{name} = ")), "{name} stands there");
    }
}
