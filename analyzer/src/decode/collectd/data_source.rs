//! A value of a value list: what it is called and what it means.

use crate::decode::{
    bad_line::BadLineReason,
    number,
    sample::{Bounds, Raw, Reading},
};

/// What the values of a data source mean (types.db(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A level.
    Gauge,
    /// A counter that wraps around.
    Counter,
    /// A counter that may go down.
    Derive,
    /// A counter that reading resets.
    Absolute,
}

impl SourceKind {
    /// By its name, in capitals or not.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [
            ("gauge", Self::Gauge),
            ("counter", Self::Counter),
            ("derive", Self::Derive),
            ("absolute", Self::Absolute),
        ]
        .into_iter()
        .find_map(|(name, kind)| name.eq_ignore_ascii_case(text).then_some(kind))
    }

    /// What a value's text means; None where it says that there is no value (`U`, `nan`, `null`).
    ///
    /// A counter with a fraction is none, nor is one that is not a number: the client converts what it reads to rates (`StoreRates`).
    pub fn read<'a>(self, text: &str, bounds: Bounds) -> Result<Option<Reading<'a>>, BadLineReason> {
        let no_value = is_none(text);
        if text == "U" || (no_value && self == Self::Gauge) {
            return Ok(None);
        }
        let rate = || {
            if no_value { Some(Raw::NoRate) } else { number::parse(text.as_bytes()).map(Raw::Rate) }
        };
        let raw = match self {
            Self::Gauge => {
                let level = number::parse(text.as_bytes()).ok_or(BadLineReason::NotANumber)?;
                return Ok(Some(Reading::Level(level)));
            }
            Self::Counter => text.parse().map(Raw::Counter).ok().or_else(rate),
            Self::Derive => text.parse().map(Raw::Derive).ok().or_else(rate),
            Self::Absolute => text.parse().map(Raw::Absolute).ok().or_else(rate),
        };
        Ok(Some(Reading::Raw { raw: raw.ok_or(BadLineReason::NotANumber)?, bounds }))
    }
}

/// Whether a value's text says that there is none.
#[must_use]
pub fn is_none(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    text == "U" || text.eq_ignore_ascii_case("nan") || text == "null"
}

/// A value of a value list, as types.db(5) describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSource {
    /// Its name.
    pub name: String,
    /// What it means.
    pub kind: SourceKind,
    /// Which levels or rates are possible.
    pub bounds: Bounds,
}
