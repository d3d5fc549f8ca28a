use proptest::prelude::*;

use super::*;
use crate::intake::collectd::{encoder, parts};

const PLAIN: &[u8] = include_bytes!("../testdata/values-plain.bin");
const SIGNED: &[u8] = include_bytes!("../testdata/values-signed.bin");
const ENCRYPTED: &[u8] = include_bytes!("../testdata/values-encrypted.bin");

fn users() -> Users {
    Users::parse("web-1: s3cret\ndb-1: other").unwrap()
}

/// What was taken, and why something was not.
fn opened(packet: &[u8], security: Security, users: Option<&Users>) -> (Vec<Vec<u8>>, Vec<Refusal>) {
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    open(packet, security, users, |parts| taken.push(parts.to_vec()), |reason| refused.push(reason));
    (taken, refused)
}

#[track_caller]
fn refused(packet: &[u8], security: Security, users: Option<&Users>, reason: Refusal) {
    assert_eq!(opened(packet, security, users), (vec![], vec![reason]), "{security}");
}

#[test]
fn what_collectd_sends_is_let_in_by_what_it_proves() {
    let users = users();
    let users = Some(&users);
    for security in [Security::None, Security::Sign, Security::Encrypt] {
        let whole = (vec![PLAIN.to_vec()], vec![]);
        assert_eq!(opened(ENCRYPTED, security, users), whole);
        if security < Security::Encrypt {
            assert_eq!(opened(SIGNED, security, users), whole);
        } else {
            refused(SIGNED, security, users, Refusal::Unencrypted);
        }
    }
    assert_eq!(opened(PLAIN, Security::None, users).0, [PLAIN]);
    refused(PLAIN, Security::Sign, users, Refusal::Unsigned);
    refused(PLAIN, Security::Encrypt, users, Refusal::Unencrypted);
    assert_eq!(parts::host(PLAIN), Some("web-1"));
}

#[test]
fn notifications_come_in_all_three_ways() {
    let plain = include_bytes!("../testdata/notification-plain.bin").to_vec();
    let users = users();
    for packet in [
        &plain[..],
        include_bytes!("../testdata/notification-signed.bin"),
        include_bytes!("../testdata/notification-encrypted.bin"),
    ] {
        assert_eq!(opened(packet, Security::None, Some(&users)), (vec![plain.clone()], vec![]));
    }
}

#[test]
fn without_users_signatures_are_not_checked_and_nothing_is_decrypted() {
    assert_eq!(opened(SIGNED, Security::None, None), (vec![PLAIN.to_vec()], vec![]));
    refused(ENCRYPTED, Security::None, None, Refusal::NoUsers);
}

#[test]
fn strangers_and_wrong_passwords_are_refused_by_name() {
    let strangers = Users::parse("web-2: s3cret").unwrap();
    refused(SIGNED, Security::None, Some(&strangers), Refusal::UnknownUser);
    refused(ENCRYPTED, Security::None, Some(&strangers), Refusal::UnknownUser);
    let wrong = Users::parse("web-1: S3cret").unwrap();
    refused(SIGNED, Security::Sign, Some(&wrong), Refusal::BadSignature);
    refused(ENCRYPTED, Security::Sign, Some(&wrong), Refusal::BadChecksum);
}

#[test]
fn what_ends_too_early_costs_no_more_than_itself() {
    let users = users();
    refused(&[], Security::None, Some(&users), Refusal::Malformed);
    refused(&[0, 0, 0], Security::None, Some(&users), Refusal::Malformed);
    refused(&[2, 0, 0, 36], Security::Sign, Some(&users), Refusal::Malformed);
    // A signature without anything signed, an encryption without anything in it.
    refused(&[2, 0, 0, 5, 1], Security::Sign, Some(&users), Refusal::Malformed);
    refused(&[2, 0x10, 0, 6, 0, 0], Security::Encrypt, Some(&users), Refusal::Malformed);
    let cut = &PLAIN[..PLAIN.len() - 1];
    let (taken, reasons) = opened(cut, Security::None, Some(&users));
    assert_eq!(reasons, [Refusal::Malformed]);
    assert!(
        PLAIN.starts_with(&taken[0]) && taken[0].len() > PLAIN.len() / 2,
        "the parts before it are taken"
    );
}

#[test]
fn an_encrypted_part_between_plain_ones_stands_for_itself() {
    let users = users();
    let (head, tail) = PLAIN.split_at(10);
    let mixed = [head, ENCRYPTED, tail].concat();
    assert_eq!(opened(&mixed, Security::None, Some(&users)).0, [PLAIN, PLAIN]);
    let (taken, reasons) = opened(&mixed, Security::Sign, Some(&users));
    assert_eq!((taken, reasons), (vec![PLAIN.to_vec()], vec![Refusal::Unsigned]));
}

proptest! {
    #[test]
    fn anything_is_survived(packet in prop::collection::vec(any::<u8>(), 0..300), headed in any::<bool>(), kind in 0..2_usize) {
        let mut packet = packet;
        if headed {
            let length = u16::try_from(packet.len() + 4).unwrap().to_be_bytes();
            packet.splice(0..0, [2, [0, 0x10][kind], length[0], length[1]]);
        }
        let users = users();
        for security in [Security::None, Security::Sign, Security::Encrypt] {
            for users in [None, Some(&users)] {
                let (taken, refused) = opened(&packet, security, users);
                prop_assert!(taken.iter().map(Vec::len).sum::<usize>() <= packet.len());
                prop_assert!(!taken.is_empty() || !refused.is_empty() || packet.is_empty());
            }
        }
    }

    #[test]
    fn what_is_sealed_comes_out_as_it_was(
        parts in prop::collection::vec(any::<u8>(), 1..1400),
        user in "[a-z][a-z0-9-]{0,62}",
        password in "[ -~]{0,80}[!-~]",
        iv in any::<[u8; 16]>(),
    ) {
        let users = Users::parse(&format!("{user}: x{password}")).unwrap();
        let password = format!("x{password}");
        for packet in [encoder::sign(&parts, &user, &password), encoder::encrypt(&parts, &user, &password, iv)] {
            prop_assert_eq!(opened(&packet, Security::Sign, Some(&users)), (vec![parts.clone()], vec![]));
        }
    }

    #[test]
    fn a_flipped_bit_is_refused(encrypted in any::<bool>(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut packet = if encrypted { ENCRYPTED } else { SIGNED }.to_vec();
        let at = at.index(packet.len());
        packet[at] ^= 1 << bit;
        let users = users();
        for security in [Security::Sign, Security::Encrypt] {
            let (taken, refused) = opened(&packet, security, Some(&users));
            prop_assert!(taken.is_empty() && !refused.is_empty(), "byte {}, bit {}: {:?}", at, bit, refused);
        }
    }
}
