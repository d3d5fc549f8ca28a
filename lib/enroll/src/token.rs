//! Enrolment tokens: who shows one may ask for certificates for a customer's machines.

use std::{fmt, str::FromStr};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use hmac::digest::CtOutput;
use jiff::Timestamp;
use kinetic_api::resources::Name;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How every token begins: people and scanners of leaked secrets recognise it.
pub const PREFIX: &str = "ket_";
/// Random bytes of a token.
const BYTES: usize = 32;

/// A token: `ket_` and 256 random bits in base64url. Its [`Debug`] tells the id only.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// A text that is no token. It does not repeat the text: that may be a secret with a slip of the keyboard in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no enrolment token: it is ket_ and 43 letters, digits, `-` or `_`, as `kinetic token create` prints it"
)]
pub struct InvalidToken;

impl Token {
    /// A new token.
    #[must_use]
    pub fn generate() -> Self {
        let secret: [u8; BYTES] = rand::random();
        Self(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(secret)))
    }

    /// The secret itself: to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What it is called where it must not be told: the first 64 bits of its hash.
    #[must_use]
    pub fn id(&self) -> TokenId {
        TokenId(hex::encode(&self.hash()[..8]))
    }

    /// 256 random bits cannot be guessed back from a plain hash; a slow one would only make refusals dear.
    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let secret = text.strip_prefix(PREFIX).ok_or(InvalidToken)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(secret).map_err(|_| InvalidToken)?;
        if bytes.len() == BYTES { Ok(Self(text.to_owned())) } else { Err(InvalidToken) }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.id())
    }
}

/// What a token is called: 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenId(String);

/// A text that is no token's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no token's id: it has 16 hexadecimal digits, as `kinetic token create` tells")]
pub struct InvalidTokenId(String);

impl TryFrom<String> for TokenId {
    type Error = InvalidTokenId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if text.len() == 16 && text.bytes().all(digit) {
            Ok(Self(text))
        } else {
            Err(InvalidTokenId(text.chars().take(80).collect()))
        }
    }
}

impl From<TokenId> for String {
    fn from(id: TokenId) -> Self {
        id.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is kept of a token: enough to recognise it, not to show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenRecord {
    /// What it is called.
    pub id: TokenId,
    /// Whose machines it is for.
    pub customer: Name,
    /// The SHA-256 of the token, in hexadecimal.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
}

impl TokenRecord {
    /// What to keep of a token.
    #[must_use]
    pub fn of(token: &Token, customer: Name, created_at: Timestamp, expires_at: Timestamp) -> Self {
        Self { id: token.id(), customer, hash: hex::encode(token.hash()), created_at, expires_at }
    }
}

/// Whether `token` may be used for this customer now, by what is kept of it. The comparison takes as long for a wrong token as for the right
/// one, and as for one that nothing is kept of.
#[must_use]
pub fn admits(record: Option<&TokenRecord>, token: &Token, customer: &Name, now: Timestamp) -> bool {
    let mut kept = [0; 32];
    let whole = record.is_some_and(|record| hex::decode_to_slice(&record.hash, &mut kept).is_ok());
    let same = CtOutput::<Sha256>::new(kept.into()) == CtOutput::new(token.hash().into());
    let current = record.is_some_and(|record| record.customer == *customer && now < record.expires_at);
    whole & same & current
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_is_long_random_and_not_told() {
        let (one, other) = (Token::generate(), Token::generate());
        assert_ne!(one, other);
        assert_eq!(one.reveal().len(), PREFIX.len() + 43);
        assert_eq!(one.reveal().parse(), Ok(one.clone()));
        assert_eq!(format!("{one:?}"), format!("Token({})", one.id()));
    }

    #[test]
    fn admits_the_token_for_its_customer_until_it_ends() {
        let (token, other) = (Token::generate(), Token::generate());
        let record = TokenRecord::of(&token, name("acme"), now(), now() + 1.hour());
        let kept = serde_saphyr::to_string(&record).unwrap();
        assert!(!kept.contains(&token.reveal()[PREFIX.len()..]), "{kept}");
        assert_eq!(serde_saphyr::from_str::<TokenRecord>(&kept).unwrap(), record);

        let just_before = now() + 3599.seconds();
        assert!(admits(Some(&record), &token, &name("acme"), just_before));
        assert!(!admits(Some(&record), &token, &name("acme"), now() + 1.hour()));
        assert!(!admits(Some(&record), &token, &name("beta"), now()));
        assert!(!admits(Some(&record), &other, &name("acme"), now()));
        assert!(!admits(None, &token, &name("acme"), now()));
        for hash in ["", "00", &"0".repeat(64)] {
            let broken = TokenRecord { hash: hash.to_owned(), ..record.clone() };
            assert!(!admits(Some(&broken), &token, &name("acme"), now()), "{hash}");
        }
    }

    proptest! {
        #[test]
        fn what_is_no_token(text in "(ket_)?[A-Za-z0-9_=-]{0,42}|[A-Za-z0-9]{47}|ket_[A-Za-z0-9]{44,50}") {
            prop_assert_eq!(text.parse::<Token>(), Err(InvalidToken));
        }

        #[test]
        fn ids_are_safe_in_paths(text in "[0-9a-fA-F./]{0,17}") {
            if let Ok(id) = TokenId::try_from(text) {
                prop_assert!(id.to_string().bytes().all(|c| c.is_ascii_hexdigit()));
            }
        }
    }
}
