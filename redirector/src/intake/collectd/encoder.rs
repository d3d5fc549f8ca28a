//! Signs and encrypts as collectd's network plugin does, for tests.

use aes::Aes256;
use hmac::Mac;
use ofb::{
    Ofb,
    cipher::{KeyIvInit, StreamCipher},
};
use sha1::{Digest, Sha1};

use super::{crypto, parts, users::Secret};

fn part(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(parts::HEADER + content.len()).unwrap();
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), content].concat()
}

/// A packet of these parts, signed.
pub(super) fn sign(parts: &[u8], user: &str, password: &str) -> Vec<u8> {
    let mac = crypto::signature(password).chain_update(user).chain_update(parts).finalize().into_bytes();
    [part(parts::SIGN_SHA256, &[&mac[..], user.as_bytes()].concat()), parts.to_vec()].concat()
}

/// A packet of these parts, encrypted.
pub(super) fn encrypt(parts: &[u8], user: &str, password: &str, iv: [u8; 16]) -> Vec<u8> {
    let mut sealed = [&Sha1::digest(parts)[..], parts].concat();
    let key = Secret::new(password).cipher_key;
    Ofb::<Aes256>::new(&key.into(), &iv.into()).apply_keystream(&mut sealed);
    let length = u16::try_from(user.len()).unwrap().to_be_bytes();
    part(parts::ENCR_AES256, &[&length[..], user.as_bytes(), &iv, &sealed].concat())
}
