//! Signatures and encryption of collectd's network plugin. Pure.
//!
//! - `SIGN_SHA256`: 32 bytes of HMAC-SHA-256, keyed with the password, over what follows them: the user's name, which ends the part, and
//!   the rest of the packet.
//! - `ENCR_AES256`: the length of the user's name in two bytes, the name, 16 bytes of initialisation vector; then, encrypted by AES-256 in
//!   output feedback mode with the password's SHA-256 as its key, 20 bytes of SHA-1 of the parts, and the parts.

use aes::Aes256;
use hmac::{Hmac, KeyInit, Mac, digest::CtOutput};
use ofb::{
    Ofb,
    cipher::{KeyIvInit, StreamCipher},
};
use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::{metrics::Refusal, parts::Part, users::Users};

const MAC: usize = 32;
const IV: usize = 16;
const CHECKSUM: usize = 20;

/// Checks a signature; gives what it signs. Without users nobody can check it, and it is taken for what it says.
pub(super) fn verify<'a>(part: &Part<'a>, users: Option<&Users>) -> Result<&'a [u8], Refusal> {
    let (mac, user) = part.content().split_first_chunk::<MAC>().ok_or(Refusal::Malformed)?;
    let signed = &part.rest[part.whole.len()..];
    if user.is_empty() || signed.is_empty() {
        return Err(Refusal::Malformed);
    }
    let Some(users) = users else { return Ok(signed) };
    let secret = users.get(user).ok_or(Refusal::UnknownUser)?;
    let mut check = signature(&secret.password);
    check.update(user);
    check.update(signed);
    // In constant time.
    check.verify_slice(mac).map_err(|_| Refusal::BadSignature)?;
    Ok(signed)
}

/// The keyed hash of a user's signatures.
pub(super) fn signature(password: &str) -> Hmac<Sha256> {
    Hmac::new_from_slice(password.as_bytes()).expect("HMAC takes keys of any length (RFC 2104)")
}

/// Decrypts a part; gives the parts that were in it.
pub(super) fn decrypt(part: &Part<'_>, users: Option<&Users>) -> Result<Vec<u8>, Refusal> {
    let (length, content) = part.content().split_first_chunk::<2>().ok_or(Refusal::Malformed)?;
    let (user, content) =
        content.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(Refusal::Malformed)?;
    let (iv, encrypted) = content.split_first_chunk::<IV>().ok_or(Refusal::Malformed)?;
    if user.is_empty() || encrypted.len() <= CHECKSUM {
        return Err(Refusal::Malformed);
    }
    let secret = users.ok_or(Refusal::NoUsers)?.get(user).ok_or(Refusal::UnknownUser)?;
    let mut plain = encrypted.to_vec();
    Ofb::<Aes256>::new(&secret.cipher_key.into(), &(*iv).into()).apply_keystream(&mut plain);
    let parts = plain.split_off(CHECKSUM);
    let told: [u8; CHECKSUM] = plain.try_into().map_err(|_| Refusal::Malformed)?;
    // In constant time.
    let same = CtOutput::<Sha1>::new(Sha1::digest(&parts)) == CtOutput::new(told.into());
    if same { Ok(parts) } else { Err(Refusal::BadChecksum) }
}
