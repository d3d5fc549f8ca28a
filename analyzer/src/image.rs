//! States as bytes: what an engine knows, in the order in which it is laid out. The same state has the same bytes.

use serde::{Serialize, de::DeserializeOwned};

/// An image is none of this version's, or not of what it is restored to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state in it cannot be read: {0}")]
pub struct ImageError(pub(crate) String);

/// The image of plain data.
pub(crate) fn encode<T: Serialize + ?Sized>(state: &T) -> Vec<u8> {
    postcard::to_allocvec(state).expect("plain data, and a vector takes as much as there is")
}

/// The data that an image was made of.
pub(crate) fn decode<T: DeserializeOwned>(image: &[u8]) -> Result<T, ImageError> {
    match postcard::take_from_bytes(image) {
        Ok((state, [])) => Ok(state),
        Ok((_, rest)) => Err(ImageError(format!("{} bytes too many", rest.len()))),
        Err(error) => Err(ImageError(error.to_string())),
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
