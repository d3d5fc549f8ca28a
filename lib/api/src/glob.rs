//! Patterns over metric names, tags and origins.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A pattern in which `*` stands for any run of characters within one dotted segment, `**` for any run at all, and `?` for
/// one character other than the dot, as Graphite users write them.
///
/// ```
/// use kinetic_api::glob::Glob;
/// let glob: Glob = "page.*.time".parse().unwrap();
/// assert!(glob.matches("page.checkout.time"));
/// assert!(!glob.matches("page.checkout.slow.time"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    /// The pattern for values without segments (tags, origins): there `*` crosses dots.
    #[must_use]
    pub fn flat(pattern: &str) -> Self {
        let mut out = String::with_capacity(pattern.len() + 1);
        for c in pattern.chars() {
            match c {
                '*' if out.ends_with("**") => {}
                '*' => out.push_str("**"),
                _ => out.push(c),
            }
        }
        Self(out)
    }

    /// Whether the whole of `text` fits the pattern.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        matches(self.0.as_bytes(), text.as_bytes())
    }

    /// The pattern as it was written (with `**` for `*` where it is flat).
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Greedy matching that returns to the last star of each sort: linear for usual patterns, never exponential.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut single: Option<(usize, usize)> = None;
    let mut double: Option<(usize, usize)> = None;
    loop {
        match pattern.get(p) {
            Some(b'*') if pattern.get(p + 1) == Some(&b'*') => {
                p += 2;
                double = Some((p, t));
                single = None;
                continue;
            }
            Some(b'*') => {
                p += 1;
                single = Some((p, t));
                continue;
            }
            Some(b'?') if text.get(t).is_some_and(|&c| c != b'.') => {
                p += 1;
                t += char_width(text, t);
                continue;
            }
            Some(c) if text.get(t) == Some(c) => {
                p += 1;
                t += 1;
                continue;
            }
            None if t == text.len() => return true,
            _ => {}
        }
        if let Some((after, from)) = single
            && text.get(from).is_some_and(|&c| c != b'.')
        {
            single = Some((after, from + 1));
            (p, t) = (after, from + 1);
        } else if let Some((after, from)) = double
            && from < text.len()
        {
            double = Some((after, from + 1));
            single = None;
            (p, t) = (after, from + 1);
        } else {
            return false;
        }
    }
}

/// The bytes of the UTF-8 character at `at`, so that `?` takes a whole one.
fn char_width(text: &[u8], at: usize) -> usize {
    1 + text[at + 1..].iter().take_while(|&&b| b & 0b1100_0000 == 0b1000_0000).count()
}

/// A pattern that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pattern must not be empty: write ** for everything")]
pub struct EmptyGlob;

impl FromStr for Glob {
    type Err = EmptyGlob;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() { Err(EmptyGlob) } else { Ok(Self(text.to_owned())) }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn segments_and_runs() {
        let cases = [
            ("**", "a.b.c", true),
            ("**", "", true),
            ("*", "a.b", false),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.**", "a.b.c", true),
            ("**.time", "page.checkout.time", true),
            ("**.*me", "page.checkout.time", true),
            ("a.*.c.**.f", "a.b.c.d.e.f", true),
            ("df.*.percent", "df.root.percent", true),
            ("web-?", "web-1", true),
            ("web-?", "web-.", false),
            ("web-?", "web-é", true),
            ("web-?", "web-12", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(pattern.parse::<Glob>().unwrap().matches(text), expected, "{pattern} {text}");
        }
        assert!(Glob::flat("web-*").matches("web-1.acme.example"));
    }

    /// The textbook definition, exponential but obviously right.
    fn reference(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', b'*', rest @ ..] => (0..=text.len()).any(|n| reference(rest, &text[n..])),
            [b'*', rest @ ..] => {
                let run = text.iter().take_while(|&&c| c != b'.').count();
                (0..=run).any(|n| reference(rest, &text[n..]))
            }
            [b'?', rest @ ..] => text.first().is_some_and(|&c| c != b'.') && reference(rest, &text[1..]),
            [c, rest @ ..] => text.first() == Some(c) && reference(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab.*?]{1,8}", text in "[ab.]{0,8}") {
            prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), reference(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
