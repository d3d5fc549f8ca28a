//! States as bytes: what an engine knows, in the order in which it is laid out. The same state has the same bytes.

use postcard::ser_flavors::Flavor;
use serde::{Serialize, de::DeserializeOwned};

/// An image is none of this version's, or not of what it is restored to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state in it cannot be read: {0}")]
pub struct ImageError(pub(crate) String);

/// So many bytes are handed on together.
pub(crate) const PIECE: usize = 1 << 18;

/// Makes an image: one value after the other. It is handed on in pieces, since it may be as large as the state itself.
pub(crate) struct Writer<'a> {
    piece: Vec<u8>,
    take: &'a mut dyn FnMut(Vec<u8>),
}

impl<'a> Writer<'a> {
    /// One whose pieces are taken by `take`: each of [`PIECE`] bytes, but for the last.
    pub(crate) fn new(take: &'a mut dyn FnMut(Vec<u8>)) -> Self {
        Self { piece: Vec::with_capacity(PIECE), take }
    }

    /// Adds plain data.
    pub(crate) fn put<T: Serialize + ?Sized>(&mut self, state: &T) {
        postcard::serialize_with_flavor(state, &mut *self)
            .expect("plain data, and there is room for all of it");
    }

    /// Adds bytes as they are.
    pub(crate) fn bytes(&mut self, mut bytes: &[u8]) {
        while let Some((now, later)) = bytes.split_at_checked(PIECE - self.piece.len()) {
            self.piece.extend_from_slice(now);
            (self.take)(std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE)));
            bytes = later;
        }
        self.piece.extend_from_slice(bytes);
    }

    /// Hands on what is left.
    pub(crate) fn finish(self) {
        (self.take)(self.piece);
    }
}

impl Flavor for &mut Writer<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.piece.push(byte);
        if self.piece.len() == PIECE {
            self.bytes(&[]);
        }
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.bytes(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Reads an image: what was put first comes first.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(image: &'a [u8]) -> Self {
        Self(image)
    }

    /// The next value.
    pub(crate) fn get<T: DeserializeOwned>(&mut self) -> Result<T, ImageError> {
        let (state, rest) =
            postcard::take_from_bytes(self.0).map_err(|error| ImageError(error.to_string()))?;
        self.0 = rest;
        Ok(state)
    }

    /// What was not read yet.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Nothing is left.
    pub(crate) fn end(self) -> Result<(), ImageError> {
        match self.0 {
            [] => Ok(()),
            rest => Err(ImageError(format!("{} bytes too many", rest.len()))),
        }
    }
}

/// For maps: in the order of their keys, so that the same map has the same bytes.
pub(crate) mod sorted {
    use std::hash::Hash;

    use hashbrown::HashMap;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<K: Ord + Serialize, V: Serialize, S: Serializer>(
        map: &HashMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut entries: Vec<_> = map.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<HashMap<K, V>, D::Error>
    where
        K: Eq + Hash + Deserialize<'de>,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}

/// For what leaves fields out when it is serialized, such as findings: only a self-describing format can read that back.
pub(crate) mod as_json {
    use serde::{
        Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _,
        ser::Error as _,
    };

    pub(crate) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(value).map_err(S::Error::custom)?)
    }

    pub(crate) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        serde_json::from_str(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out_in_pieces() {
        let (texts, bytes): (Vec<String>, Vec<u8>) =
            ((0..50_000).map(|n| format!("series {n}")).collect(), vec![7; 3 * PIECE]);
        let mut pieces = Vec::new();
        let mut take = |piece| pieces.push(piece);
        let mut writer = Writer::new(&mut take);
        writer.put(&texts);
        writer.put(&5_u16);
        writer.bytes(&bytes);
        writer.finish();
        assert!(pieces.len() > 4 && pieces.iter().rev().skip(1).all(|piece| piece.len() == PIECE));
        let image = pieces.concat();
        let mut reader = Reader::new(&image);
        assert_eq!(reader.get::<Vec<String>>().unwrap(), texts);
        assert_eq!(reader.get::<u16>().unwrap(), 5);
        assert!(Reader::new(reader.0).end().is_err());
        assert_eq!(reader.rest(), bytes);
        assert!(Reader::new(&image[..100]).get::<Vec<String>>().is_err());
    }
}
