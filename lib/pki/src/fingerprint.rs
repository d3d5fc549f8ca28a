//! SHA-256 fingerprints, of certificates and of keys.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

/// The SHA-256 of something in DER; shown as `sha256:` and lower-case hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of these bytes.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// Its 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

/// A text that is no fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no fingerprint: write sha256: and 64 hexadecimal digits")]
pub struct InvalidFingerprint(String);

/// Reads what is shown, and what `openssl x509 -fingerprint -sha256` shows after its `=`.
impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text).replace(':', "");
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes)
            .map_err(|_| InvalidFingerprint(text.chars().take(120).collect()))?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_sha256() {
        // FIPS 180-4's example `abc`.
        let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Fingerprint::of(b"abc").to_string(), expected);
        assert_eq!(expected.parse(), Ok(Fingerprint::of(b"abc")));
        let colons =
            "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD";
        assert_eq!(colons.parse(), Ok(Fingerprint::of(b"abc")));
        for bad in ["", "sha256:", "sha256:ba", "sha1:ba7816bf"] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }
}
