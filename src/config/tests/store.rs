//! Where tokens are kept: what each store is named by, and what is said of keys that do not fit together.

use super::*;
use crate::config::StorePlace;

fn with(store: &str) -> Sandbox {
    Sandbox::with_credentials().file(&format!("[store]\n{store}"))
}

fn place(sandbox: &Sandbox) -> String {
    match sandbox.settings().store.place {
        StorePlace::Memory => "memory".to_owned(),
        StorePlace::Folder(path) => path.display().to_string(),
        StorePlace::Redis(address) => address.to_string(),
    }
}

#[test]
fn the_folder_is_the_one_that_is_named_or_that_the_platform_has_for_state() {
    assert_eq!(place(&Sandbox::with_credentials()), "memory");
    assert_eq!(place(&with("kind = \"file\"\npath = \"/a\"").variable("HOME", "/h")), "/a");
    let home = with("kind = \"file\"").variable("HOME", "/h");
    assert_eq!(place(&home), "/h/.local/state/camunda-auth-proxy");
    let xdg = home.variable("XDG_STATE_HOME", "/x");
    assert_eq!(place(&xdg), "/x/camunda-auth-proxy");
    assert_eq!(place(&xdg.variable("STATE_DIRECTORY", "/s:/t")), "/s");
    assert_eq!(
        with("kind = \"file\"").problems(),
        ["store.path (default): there is no folder for this user's state to put the store in; name a folder"]
    );
}

#[test]
fn a_redis_url_is_read_from_a_key_or_a_file_and_its_password_never_shown() {
    let mut sandbox = Sandbox::with_credentials();
    let path = sandbox.write("url", &format!("rediss://me:{SECRET}@cache:7000/1\n"));
    sandbox = sandbox.file(&format!("[store]\nkind = \"redis\"\nurl_file = \"{path}\""));
    assert_eq!(place(&sandbox), "rediss://cache:7000");
    let plain = with(&format!("kind = \"redis\"\nurl = \"redis://:{SECRET}@cache\"")).settings();
    assert!(plain.warnings.iter().any(|warning| warning.contains("redis://cache:6379 can be read")));
    for settings in [plain, sandbox.settings()] {
        assert!(!format!("{settings:?}").contains(SECRET));
    }
    let wrong = with(&format!("kind = \"redis\"\nurl = \"http://:{SECRET}@cache\"")).problems();
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].starts_with("store.url (0.toml:3:1): the scheme is none of"), "{wrong:?}");
    assert!(!wrong[0].contains(SECRET));
}

#[test]
fn keys_that_do_not_fit_together_are_all_told_of() {
    assert_eq!(
        with("url = \"redis://a\"\nurl_file = \"b\"\npath = \"c\"\nkey = \"d\"\nkey_file = \"e\"\nkind = \"redis\"")
            .problems(),
        [
            "store.url (0.toml:2:1): store.url and store.url_file are both set; keep one of them",
            "store.key (0.toml:5:1): store.key and store.key_file are both set; keep one of them",
            "store.path (0.toml:4:1): the store that store.kind names has no use for it; \
             set store.kind = \"file\", or take it out",
        ]
    );
    assert_eq!(
        with("kind = \"redis\"").problems(),
        ["store.url (default): the Redis server is not named; write redis://HOST:PORT"]
    );
    let missing = with("kind = \"redis\"\nurl_file = \"/nowhere/url\"").problems();
    assert!(missing.len() == 1 && missing[0].starts_with("store.url_file (0.toml:3:1): "), "{missing:?}");
}

#[test]
fn a_client_without_a_lasting_secret_needs_a_key_for_the_store() {
    let workload = |store: &str| {
        let oauth = "[oauth]\nclient_auth = \"workload_token\"\nworkload_token_file = \"/nowhere/yet\"\n";
        Sandbox::with_credentials().file(&format!("{oauth}[store]\n{store}"))
    };
    assert_eq!(place(&workload("")), "memory");
    let problems = workload("kind = \"file\"\npath = \"/a\"").problems();
    assert!(problems.len() == 1 && problems[0].starts_with("store.key_file (default): a workload token is"));
    assert_eq!(place(&workload("kind = \"file\"\npath = \"/a\"\nkey = \"long and random\"")), "/a");
}
