//! The bind guard: no address that others can reach, unless that was written out.

use super::Anonymous;
use crate::address::Address;

/// What to do about an address that the bind guard refuses.
pub const REMEDY: &str = "listen on 127.0.0.1, [::1] or a Unix socket, name who may come in with `[[caller]]`, or write \
                          `anonymous = \"anywhere\"` if the network itself keeps strangers out";

/// Refuses an address that is not this machine's alone, unless callers prove there who they are (`known`); the error
/// says why, [`REMEDY`] how to go on.
///
/// A systemd socket passes by its name; once it is taken over, its real address has to pass as well.
pub fn bind_guard(address: &Address, anonymous: Anonymous, known: bool) -> Result<(), String> {
    if known || anonymous == Anonymous::Anywhere || address.is_local() {
        return Ok(());
    }
    Err(format!("others can reach {address}, and whoever reaches it acts with this cluster's credentials"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_addresses_pass_unless_anywhere_is_written_out() {
        for (address, local) in [
            ("127.0.0.1:8080", true),
            ("127.9.9.9:0", true),
            ("localhost:8080", true),
            ("[::1]:8080", true),
            ("[::ffff:127.0.0.1]:8080", true),
            ("unix:/run/proxy.sock", true),
            ("unix:/run/proxy.sock?mode=0660", true),
            ("systemd:proxy", true),
            ("0.0.0.0:8080", false),
            ("[::]:8080", false),
            ("[::ffff:0.0.0.0]:8080", false),
            ("192.168.1.10:8080", false),
            ("[fe80::1]:8080", false),
            ("10.0.0.1:0", false),
        ] {
            let parsed: Address = address.parse().unwrap();
            assert_eq!(bind_guard(&parsed, Anonymous::Loopback, false).is_ok(), local, "{address}");
            assert_eq!(bind_guard(&parsed, Anonymous::Nowhere, false).is_ok(), local, "{address}");
            assert_eq!(bind_guard(&parsed, Anonymous::Loopback, true), Ok(()), "{address}");
            assert_eq!(bind_guard(&parsed, Anonymous::Anywhere, false), Ok(()), "{address}");
        }
    }

    #[test]
    fn the_message_names_the_address_and_the_remedy_both_ways_out() {
        let address: Address = "0.0.0.0:8080".parse().unwrap();
        let message = bind_guard(&address, Anonymous::Loopback, false).unwrap_err();
        assert!(message.contains("0.0.0.0:8080"), "{message}");
        assert!(REMEDY.contains("127.0.0.1") && REMEDY.contains("anonymous = \"anywhere\""));
    }
}
