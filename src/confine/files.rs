//! Landlock: no file but those of the configuration and the system.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    path_beneath_rules,
};

use super::{Files, Measure};

/// As far as files go; what the kernel does not know of it is left out.
const ASKED: ABI = ABI::V3;

/// What the C library, name look-up and TLS read while the process runs. Nobody's home, no `/tmp`, no `/var`.
const SYSTEM: [&str; 9] =
    ["/etc", "/usr", "/lib", "/lib64", "/proc", "/sys", "/dev", "/nix/store", "/run/systemd/resolve"];
/// Links to elsewhere on some systems.
const LINKED: [&str; 4] = ["/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs", "/etc/pki/tls/certs"];
/// Where the system's certificates lie, if not where they usually do.
const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Confines the calling thread, and those that it starts.
pub(super) fn restrict(allowed: &Files) -> Measure {
    match restricted(allowed) {
        Ok(RulesetStatus::FullyEnforced) => Measure::On,
        Ok(RulesetStatus::PartiallyEnforced) => Measure::Partial,
        Ok(RulesetStatus::NotEnforced) | Err(_) => Measure::Unavailable,
    }
}

fn restricted(allowed: &Files) -> Result<RulesetStatus, RulesetError> {
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let sockets: BitFlags<AccessFs> = AccessFs::MakeSock | AccessFs::RemoveFile | AccessFs::ReadDir;
    let written: BitFlags<AccessFs> = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer;
    let named = allowed.read.iter().flat_map(|path| with_target(path));
    let certificates = CERTIFICATES.iter().filter_map(std::env::var_os).map(PathBuf::from);
    let system = SYSTEM.iter().map(PathBuf::from).chain(certificates);
    let linked = LINKED.iter().filter_map(|path| std::fs::canonicalize(path).ok());
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(ASKED))?
        .create()?
        // A path that is not there opens nothing.
        .add_rules(path_beneath_rules(system.chain(linked).chain(named), read))?
        .add_rules(path_beneath_rules(allowed.sockets.iter().map(|path| folder(path)), sockets))?
        .add_rules(path_beneath_rules(&allowed.written, written))?;
    Ok(ruleset.restrict_self()?.ruleset)
}

/// The folder of a file, and that of what it is a link to.
fn with_target(path: &Path) -> impl Iterator<Item = PathBuf> {
    let target = std::fs::canonicalize(path).ok();
    [Some(folder(path)), target.as_deref().map(folder)].into_iter().flatten()
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_named_is_read_and_nothing_else_is_read_or_written() {
        let (ours, others) = (tempfile::TempDir::new().unwrap(), tempfile::TempDir::new().unwrap());
        let store = tempfile::TempDir::new().unwrap();
        let (file, foreign) = (ours.path().join("a"), others.path().join("b"));
        fs::write(&file, "a").unwrap();
        fs::write(&foreign, "b").unwrap();
        // A thread of its own: the others of this process stay as they are.
        let confined = std::thread::spawn(move || {
            let allowed = Files {
                read: vec![file.clone()],
                sockets: vec![file.with_file_name("s")],
                written: vec![store.path().to_owned()],
            };
            if restrict(&allowed) == Measure::Unavailable {
                return;
            }
            assert_eq!(fs::read_to_string(&file).unwrap(), "a");
            assert!(fs::read("/etc/passwd").is_ok());
            let (new, old) = (store.path().join("new"), store.path().join("old"));
            fs::write(&new, "x").unwrap();
            fs::rename(&new, &old).unwrap();
            let denied = |result: std::io::Result<()>| {
                result.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
            };
            assert!(denied(fs::read(&foreign).map(drop)));
            assert!(denied(fs::write(&file, "x")) && denied(fs::write(&foreign, "x")));
            assert!(denied(std::process::Command::new("/usr/bin/env").output().map(drop)));
            let socket = file.with_file_name("s");
            std::os::unix::net::UnixListener::bind(&socket).unwrap();
            fs::remove_file(&socket).unwrap();
        });
        confined.join().unwrap();
    }
}
