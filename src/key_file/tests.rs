//! Keys as the tools that people use write them: `tests/keys/make.sh` made these.

use super::*;

const PASSWORD: &str = "canary-password";

fn read(name: &str, password: Option<&str>, alias: Option<&str>) -> Result<KeyFile, Error> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name);
    KeyFile::parse(&std::fs::read(path).unwrap(), password.map(Secret::from).as_ref(), alias)
}

fn key_of(name: &str) -> Vec<u8> {
    read(name, None, None).unwrap().key.secret_der().to_vec()
}

#[test]
fn one_key_is_the_same_in_every_form() {
    let pkcs8 = key_of("rsa.pem");
    for name in ["rsa.encrypted.pem", "rsa.p12", "rsa.legacy.p12", "rsa.no-cert.p12"] {
        let file = read(name, Some(PASSWORD), None).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(file.key.secret_der() == pkcs8, "{name}");
    }
    assert!(matches!(*read("rsa.pkcs1.pem", None, None).unwrap().key, PrivateKeyDer::Pkcs1(_)));
    assert!(matches!(*read("ec.sec1.pem", None, None).unwrap().key, PrivateKeyDer::Sec1(_)));
    assert!(matches!(*read("ec.pem", None, None).unwrap().key, PrivateKeyDer::Pkcs8(_)));
}

#[test]
fn a_pkcs12_file_brings_the_certificate_of_its_key_and_no_root() {
    let certificate = certificates(include_bytes!("../../tests/keys/rsa.cert.pem")).unwrap();
    for name in ["rsa.p12", "rsa.legacy.p12"] {
        let file = read(name, Some(PASSWORD), None).unwrap();
        assert_eq!((file.certificates, file.alias.as_deref()), (certificate.clone(), Some("rsa")), "{name}");
    }
    assert_eq!(read("rsa.no-cert.p12", Some(PASSWORD), None).unwrap().certificates.len(), 0);
    assert_eq!(read("signed.p12", Some(PASSWORD), None).unwrap().certificates.len(), 1);
}

#[test]
fn a_java_store_with_two_keys_wants_the_alias() {
    let names = || vec!["one".to_owned(), "two".to_owned()];
    assert_eq!(read("java.p12", Some(PASSWORD), None).unwrap_err(), Error::SeveralKeys(names()));
    assert_eq!(read("java.p12", Some(PASSWORD), Some("three")).unwrap_err(), Error::NoSuchAlias(names()));
    let [one, two] = ["one", "TWO"].map(|alias| read("java.p12", Some(PASSWORD), Some(alias)).unwrap());
    assert!(one.key != two.key && one.certificates != two.certificates);
    assert_eq!(one.certificates.len(), 1);
}

#[test]
fn what_is_wrong_with_a_file_is_told() {
    for (name, password, error) in [
        ("rsa.encrypted.pem", None, Error::PasswordMissing),
        ("rsa.encrypted.pem", Some("wrong"), Error::Password),
        ("rsa.p12", None, Error::PasswordMissing),
        ("rsa.p12", Some("wrong"), Error::Password),
        ("rsa.legacy.p12", Some("wrong"), Error::Password),
        ("java.p12", Some(""), Error::Password),
        ("rsa.legacy-encrypted.pem", Some(PASSWORD), Error::OldEncryption),
        ("rsa.cert.pem", None, Error::NoKey),
        ("make.sh", None, Error::Unknown),
    ] {
        assert_eq!(read(name, password, None).unwrap_err(), error, "{name} {password:?}");
    }
    let whole = include_bytes!("../../tests/keys/rsa.p12");
    let password = Secret::from(PASSWORD);
    assert_eq!(KeyFile::parse(&whole[..900], Some(&password), None).unwrap_err(), Error::Broken);
    assert_eq!(KeyFile::parse(b"", None, None).unwrap_err(), Error::Unknown);
    let cut = "-----BEGIN PRIVATE KEY-----\nMIIE\n";
    assert_eq!(KeyFile::parse(cut.as_bytes(), None, None).unwrap_err(), Error::Broken);
    let two = [include_str!("../../tests/keys/ec.pem"), include_str!("../../tests/keys/rsa.pem")].concat();
    assert_eq!(KeyFile::parse(two.as_bytes(), None, None).unwrap_err(), Error::SeveralKeys(Vec::new()));
    assert_eq!(certificates(b"").unwrap_err(), Error::NoCertificate);
}

#[test]
fn a_pem_file_may_hold_key_and_certificate_together() {
    let both =
        [include_str!("../../tests/keys/rsa.cert.pem"), include_str!("../../tests/keys/rsa.pem")].concat();
    let file = KeyFile::parse(both.as_bytes(), None, None).unwrap();
    assert_eq!(file.certificates.len(), 1);
    assert_eq!(format!("{file:?}"), "KeyFile(1 certificates)");
}
