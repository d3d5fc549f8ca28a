//! What a packet holds, once it has said who it is. Pure.

use super::{
    crypto,
    guard::Security,
    metrics::Refusal,
    parts::{ENCR_AES256, HEADER, Parts, SIGN_SHA256},
    users::Users,
};

/// Gives `take` what a packet holds, each time parts that stand for themselves, and `refuse` why something in it is not let in, each
/// reason once.
///
/// As in collectd, a signature speaks for all that follows it, an encrypted part for itself.
pub(super) fn open(
    packet: &[u8],
    security: Security,
    users: Option<&Users>,
    mut take: impl FnMut(&[u8]),
    mut refuse: impl FnMut(Refusal),
) {
    let mut plain = Vec::new();
    let mut unproven = false;
    if packet.len() < HEADER {
        refuse(Refusal::Malformed);
    }
    for part in Parts::of(packet) {
        let Ok(part) = part else {
            if packet.len() >= HEADER {
                refuse(Refusal::Malformed);
            }
            break;
        };
        match part.kind {
            ENCR_AES256 => match crypto::decrypt(&part, users) {
                Ok(parts) => take(&parts),
                Err(reason) => refuse(reason),
            },
            SIGN_SHA256 if security < Security::Encrypt => {
                match crypto::verify(&part, users) {
                    Ok(parts) => take(parts),
                    Err(reason) => refuse(reason),
                }
                break;
            }
            _ if security == Security::None => plain.extend_from_slice(part.whole),
            _ => unproven = true,
        }
    }
    if unproven {
        refuse(if security == Security::Encrypt { Refusal::Unencrypted } else { Refusal::Unsigned });
    }
    if !plain.is_empty() {
        take(&plain);
    }
}

#[cfg(test)]
mod tests;
