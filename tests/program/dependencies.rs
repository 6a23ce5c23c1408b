//! What the program is built from: nothing older than the fix of its last known flaw.

/// Crates that read what others wrote or keep secrets, and the first version without a known flaw (RustSec, 2026-08-20).
const SOUND: &[(&str, [u64; 3])] = &[
    // RUSTSEC-2026-0258, and a second content-length refused.
    ("h2", [0, 4, 20]),
    // A length before chunks, without a number.
    ("hyper", [1, 11, 0]),
    ("http", [1, 0, 0]),
    // RUSTSEC-2025-0023.
    ("tokio", [1, 44, 2]),
    // RUSTSEC-2024-0336 and -0399.
    ("rustls", [0, 23, 18]),
    ("tokio-rustls", [0, 26, 0]),
    // RUSTSEC-2026-0104.
    ("rustls-webpki", [0, 103, 13]),
    // RUSTSEC-2026-0044 to -0048.
    ("aws-lc-sys", [0, 39, 0]),
    // RUSTSEC-2026-0007.
    ("bytes", [1, 11, 1]),
    // RUSTSEC-2025-0047.
    ("slab", [0, 4, 11]),
    // RUSTSEC-2024-0421.
    ("idna", [1, 0, 0]),
    // RUSTSEC-2025-0055.
    ("tracing-subscriber", [0, 3, 20]),
];

/// Nobody maintains them, or they are flawed in every version.
const UNWANTED: &[&str] = &["rustls-pemfile", "openssl", "native-tls", "serde_yaml", "atty"];

#[test]
fn no_dependency_is_older_than_its_last_known_flaw() {
    let lock = include_str!("../../Cargo.lock").parse::<toml::Table>().expect("a lock file");
    let packages = lock["package"].as_array().expect("packages");
    let text = |package: &toml::Value, key: &str| package[key].as_str().expect("text").to_owned();
    for package in packages {
        let (name, version) = (text(package, "name"), text(package, "version"));
        assert!(!UNWANTED.contains(&&*name), "{name}");
        let Some((_, sound)) = SOUND.iter().find(|(of, _)| *of == name) else { continue };
        let numbers: Vec<u64> =
            version.split(['.', '-', '+']).take(3).filter_map(|n| n.parse().ok()).collect();
        assert!(numbers.as_slice() >= sound.as_slice(), "{name} {version} has a known flaw");
    }
    for (name, _) in SOUND {
        assert!(
            packages.iter().any(|package| package["name"].as_str() == Some(name)),
            "{name} is no longer used"
        );
    }
}
