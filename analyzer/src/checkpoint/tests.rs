use proptest::prelude::*;

use super::*;

fn checkpoint() -> Checkpoint {
    Checkpoint {
        of: "acme/web/pages".into(),
        partition: Partition::new(1, 3).unwrap(),
        generation: 7,
        identity: Some(Uuid::from_u128(9)),
        position: Some(Position { last: 12, anchor: Anchor { offset: 10, digest: 11 } }),
        last_tick: Some(1_700_000_000_000),
        firing: Vec::new(),
        handover: Some(Handover { until: Until::Tick(5), firing: Vec::new() }),
        producers: Producers::default(),
        engine: (0..200).collect(),
    }
}

impl Checkpoint {
    /// All pieces of it together.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(|image| image.bytes(&self.engine), &mut |piece| bytes.extend(piece));
        bytes
    }
}

#[test]
fn what_is_written_is_read() {
    let bytes = checkpoint().encode();
    let read = Checkpoint::decode(&bytes).unwrap();
    assert_eq!(read.encode(), bytes);
    assert_eq!(format!("{read:?}"), format!("{:?}", checkpoint()));
}

#[test]
fn another_version_is_told_from_damage() {
    let mut bytes = checkpoint().encode();
    bytes[8] = 99;
    let error = Checkpoint::decode(&bytes).unwrap_err();
    assert!(
        matches!(&error, Unreadable::Version { format: 99, version } if version == env!("CARGO_PKG_VERSION")),
        "{error}"
    );
    assert_eq!(Checkpoint::decode(b"{\"json\": 1}").unwrap_err(), Unreadable::Foreign);
    assert_eq!(Checkpoint::decode(b"").unwrap_err(), Unreadable::Foreign);
}

proptest! {
    #[test]
    fn no_damage_goes_unseen(flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..8), 1..4), cut in any::<prop::sample::Index>()) {
        let whole = checkpoint().encode();
        let mut flipped = whole.clone();
        for (at, bit) in flips {
            let at = at.index(flipped.len());
            flipped[at] ^= 1 << bit;
        }
        if flipped != whole {
            prop_assert!(Checkpoint::decode(&flipped).is_err());
        }
        prop_assert!(Checkpoint::decode(&whole[..cut.index(whole.len())]).is_err());
    }

    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Checkpoint::decode(&[MAGIC.as_slice(), &bytes].concat()).is_err());
    }
}
