//! What must hold of any octets at all, one function for each thing that reads what others wrote. `tests/fuzz/run` looks
//! for octets of which it does not; those that it has found worth keeping are replayed here by every `cargo test`.
//!
//! Compiled for tests and for fuzzing alone: no part of the program.

/// A name, which its corpus in `tests/fuzz/corpus` has too, and what is done with the octets.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 12] = [
    ("credentials", crate::credentials::fuzzed::credentials),
    ("configuration", crate::config::fuzzed::configuration),
    ("route", crate::route::fuzzed::route),
    ("caller", crate::proxy::fuzzed::caller),
    ("fields", crate::proxy::fuzzed::fields),
    ("token", crate::oauth::fuzzed::token),
    ("answers", crate::http1::fuzzed::answers),
    ("inbound", crate::http1::fuzzed::inbound),
    ("frames", crate::http2::fuzzed::frames),
    ("requests", crate::http2::fuzzed::requests),
    ("hpack", crate::http2::fuzzed::hpack),
    ("calls", crate::http2::fuzzed::calls),
];

/// Does what a target does. Unknown names do nothing, which a fuzzer would show at once: nothing is covered.
pub fn run(name: &str, octets: &[u8]) {
    if let Some((_, target)) = TARGETS.iter().find(|(of, _)| *of == name) {
        target(octets);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn what_was_found_by_fuzzing_holds() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
        for (name, target) in TARGETS {
            let files = fs::read_dir(corpus.join(name)).expect("a corpus");
            let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
            assert!(!files.is_empty(), "{name}");
            files.sort();
            for file in files {
                println!("{}", file.display());
                target(&fs::read(file).expect("octets"));
            }
        }
        let folders = fs::read_dir(&corpus).expect("a corpus").count();
        assert_eq!(folders, TARGETS.len(), "a corpus of a target that is not there");
    }
}
