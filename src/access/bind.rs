//! The bind guard: no address that others can reach, unless that was written out.

use super::Anonymous;
use crate::address::Address;

/// Refuses addresses that are not this machine's alone, with one message each that says how to go on.
///
/// An address comes with the key that set it, for example `listeners[0].address` or `admin.address`. A systemd
/// socket passes by its name; once it is taken over, its real address has to pass as well.
pub fn bind_guard(addresses: &[(&str, &Address)], anonymous: Anonymous) -> Result<(), Vec<String>> {
    if anonymous == Anonymous::Anywhere {
        return Ok(());
    }
    let refused: Vec<String> = addresses
        .iter()
        .filter(|(_, address)| !address.is_local())
        .map(|(key, address)| {
            format!(
                "{key}: others can reach {address}, and whoever reaches it acts with this cluster's credentials: \
                 listen on 127.0.0.1, [::1] or a Unix socket, or write `anonymous = \"anywhere\"` if the network \
                 itself keeps strangers out"
            )
        })
        .collect();
    if refused.is_empty() { Ok(()) } else { Err(refused) }
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
            let listed = [("listener", &parsed)];
            assert_eq!(bind_guard(&listed, Anonymous::Loopback).is_ok(), local, "{address}");
            assert_eq!(bind_guard(&listed, Anonymous::Anywhere), Ok(()), "{address}");
        }
    }

    #[test]
    fn every_open_address_gets_a_message_that_says_how_to_go_on() {
        let [open, closed, admin] =
            ["0.0.0.0:8080", "127.0.0.1:1", "[::]:9600"].map(|text| text.parse::<Address>().unwrap());
        let listed =
            [("listeners[0].address", &open), ("listeners[1].address", &closed), ("admin.address", &admin)];
        let messages = bind_guard(&listed, Anonymous::Loopback).unwrap_err();
        assert_eq!(messages.len(), 2);
        for (message, key, address) in [
            (&messages[0], "listeners[0].address", "0.0.0.0:8080"),
            (&messages[1], "admin.address", "[::]:9600"),
        ] {
            for part in [key, address, "127.0.0.1", "anonymous = \"anywhere\""] {
                assert!(message.contains(part), "{message}");
            }
        }
    }
}
