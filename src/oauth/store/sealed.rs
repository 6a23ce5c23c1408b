//! Seals: an entry can be read, and made, only by who has the secret that its token is asked for with.
//!
//! Name and key both come from that secret, so the name tells nobody whose token it is, another secret's entry is
//! never met, and one that was copied to the right name does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;

use crate::oauth::request::TokenRequest;
use crate::secret::Secret;

/// How entries look. An entry of another version is not looked into.
const VERSION: u8 = 1;
const SALT: &[u8] = b"camunda-auth-proxy store";

/// The seal of one token request's entry.
pub(in crate::oauth) struct Seal {
    name: String,
    key: RandomizedNonceKey,
    /// Version and token request: what an entry is bound to without holding it.
    bound_to: Vec<u8>,
}

impl Seal {
    /// Absent when there is nothing secret to make it from: a client that has no long-lived secret needs `key`.
    pub(in crate::oauth) fn new(request: &TokenRequest, key: Option<&Secret>) -> Option<Seal> {
        let secret = request.client_auth.store_key();
        if secret.is_none() && key.is_none() {
            return None;
        }
        let mut material = Vec::new();
        for part in [secret, key] {
            append(&mut material, part.map(|secret| secret.expose().as_bytes()));
        }
        let identity = request.identity();
        let extracted = Salt::new(HKDF_SHA256, SALT).extract(&material);
        let derive = |purpose: &[u8]| {
            let mut key = [0; KEY_LENGTH];
            extracted.expand(&[purpose], Bits256).ok()?.fill(&mut key).ok()?;
            Some(key)
        };
        let name = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &derive(b"name")?), &identity);
        Some(Seal {
            name: name.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
            key: RandomizedNonceKey::new(&AES_256_GCM, &derive(&[b'v', VERSION])?).ok()?,
            bound_to: [&[VERSION], identity.as_slice()].concat(),
        })
    }

    /// The entry's name: letters and digits, the same for all who have the secret.
    pub(in crate::oauth) fn name(&self) -> &str {
        &self.name
    }

    /// The text sealed: version, nonce, ciphertext and tag.
    pub(in crate::oauth) fn seal(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = text.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(&self.bound_to), &mut sealed).ok()?;
        Some([&[VERSION], nonce.as_ref().as_slice(), sealed.as_slice()].concat())
    }

    /// The text again; absent when it was not sealed with this very seal, or changed since.
    pub(in crate::oauth) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (version, rest) = sealed.split_first()?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>()?;
        if *version != VERSION {
            return None;
        }
        let mut text = rest.to_vec();
        let aad = Aad::from(&self.bound_to);
        let length = self.key.open_in_place(Nonce::from(nonce), aad, &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// Length first, so that no two lists of parts make the same bytes; what is absent differs from what is empty.
fn append(bytes: &mut Vec<u8>, part: Option<&[u8]>) {
    bytes.push(u8::from(part.is_some()));
    let part = part.unwrap_or_default();
    bytes.extend((part.len() as u64).to_be_bytes());
    bytes.extend(part);
}

const KEY_LENGTH: usize = 32;

/// What is derived: 256 bits.
struct Bits256;

impl KeyType for Bits256 {
    fn len(&self) -> usize {
        KEY_LENGTH
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::ClientAuth;
    use crate::oauth::request::tests::request;

    fn seal(request: &TokenRequest) -> Seal {
        Seal::new(request, None).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_again_and_never_looks_the_same() {
        let one = seal(&request("a"));
        let (first, second) = (one.seal(b"canary").unwrap(), one.seal(b"canary").unwrap());
        assert_ne!(first, second);
        assert_eq!(seal(&request("a")).open(&first).unwrap(), b"canary");
        assert!(!String::from_utf8_lossy(&first).contains("canary"));
    }

    /// Computed by another implementation. Whoever changes this makes every stored entry unreadable, and needs another
    /// version.
    #[test]
    fn an_entry_of_version_1_has_this_name_and_opens() {
        let sealed = "01000102030405060708090a0b5d6270b4292590b918942d6acf3775c20a8c0c48a61d";
        let name = "b999d21fe0407f6b39268de4506a2b509b2e2eac0530191b5d1c9e735c8a2978";
        let bytes = sealed.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let bytes: Vec<u8> = bytes.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        let one = seal(&request("a"));
        assert_eq!(one.name(), name);
        assert_eq!(one.open(&bytes).unwrap(), b"golden");
    }

    #[test]
    fn a_change_of_any_byte_and_a_cut_anywhere_are_noticed() {
        let one = seal(&request("a"));
        let sealed = one.seal(b"canary").unwrap();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(one.open(&changed), None, "bit {bit} of byte {at}");
            }
            assert_eq!(one.open(&sealed[..at]), None, "cut at {at}");
        }
        assert_eq!(one.open(&[sealed.as_slice(), &[0]].concat()), None);
    }

    #[test]
    fn another_secret_key_or_token_request_neither_finds_nor_opens_an_entry() {
        let one = request("a");
        let sealed = seal(&one).seal(b"canary").unwrap();
        let others = [
            seal(&request("b")),
            seal(&TokenRequest { client_auth: ClientAuth::Post("rotated".into()), ..one.clone() }),
            seal(&TokenRequest { client_auth: ClientAuth::Basic("canary-secret".into()), ..one.clone() }),
            seal(&TokenRequest { client_id: "other".into(), ..one.clone() }),
            Seal::new(&one, Some(&"further".into())).unwrap(),
            Seal::new(&one, Some(&"".into())).unwrap(),
        ];
        let mut names = std::collections::HashSet::from([seal(&one).name().to_owned()]);
        for other in others {
            assert!(names.insert(other.name().to_owned()));
            assert_eq!(other.open(&sealed), None);
        }
        // The same, so that only what it is bound to tells the two apart.
        let mut bound = seal(&one);
        bound.bound_to = seal(&request("b")).bound_to;
        assert_eq!(bound.open(&sealed), None);
    }

    #[test]
    fn without_anything_secret_there_is_no_seal() {
        let workload = TokenRequest { client_auth: ClientAuth::WorkloadToken("t".into()), ..request("a") };
        assert!(Seal::new(&workload, None).is_none());
        assert!(Seal::new(&workload, Some(&"further".into())).is_some());
    }
}
