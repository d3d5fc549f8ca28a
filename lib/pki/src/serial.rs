//! Serial numbers, in the one spelling that they are compared by.

use std::{fmt, str::FromStr};

/// A certificate's serial number: lower-case hexadecimal, without leading zeros.
///
/// Reads what people copy out of tools: `openssl x509 -serial` (upper case), browsers (colons), `0x…`.
///
/// ```
/// use kinetic_pki::Serial;
/// assert_eq!("0A:BC:01".parse::<Serial>().unwrap().to_string(), "abc01");
/// assert_eq!("serial=0x0abc01".parse::<Serial>().unwrap(), Serial::from_bytes(&[0x0a, 0xbc, 0x01]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial(String);

/// A text that is no serial number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no serial number: write it in hexadecimal, such as 4f:0a:91 or 4f0a91")]
pub struct InvalidSerial(String);

impl Serial {
    /// The number that these bytes are, most significant first (the contents of the certificate's INTEGER).
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self::from_digits(&hex::encode(bytes))
    }

    /// `digits` are lower-case hexadecimal.
    fn from_digits(digits: &str) -> Self {
        let significant = digits.trim_start_matches('0');
        Self(if significant.is_empty() { "0".to_owned() } else { significant.to_owned() })
    }

    /// The spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Serial {
    type Err = InvalidSerial;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.trim().to_ascii_lowercase();
        let bare = lower.strip_prefix("serial=").unwrap_or(&lower).trim();
        let bare = bare.strip_prefix("0x").unwrap_or(bare);
        let digits: String = bare.chars().filter(|c| *c != ':' && *c != ' ').collect();
        let valid = (1..=64).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_hexdigit());
        if valid {
            Ok(Self::from_digits(&digits))
        } else {
            Err(InvalidSerial(text.chars().take(80).collect()))
        }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_spelling_of_a_number_is_the_same(bytes in prop::collection::vec(any::<u8>(), 1..20)) {
            let serial = Serial::from_bytes(&bytes);
            let colons: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            prop_assert_eq!(colons.join(":").parse(), Ok(serial.clone()));
            prop_assert_eq!(format!("0x{}", hex::encode(&bytes)).parse(), Ok(serial.clone()));
            prop_assert_eq!(serial.as_str().parse(), Ok(serial));
        }
    }

    #[test]
    fn zero_has_a_digit() {
        assert_eq!(Serial::from_bytes(&[]).as_str(), "0");
        assert_eq!("00:00".parse::<Serial>().unwrap().as_str(), "0");
    }

    #[test]
    fn refuses_what_is_no_number() {
        for text in ["", ":", "0x", "-1", "4g", &"1".repeat(65)] {
            assert!(text.parse::<Serial>().is_err(), "{text}");
        }
    }
}
