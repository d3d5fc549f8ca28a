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
        matches(self.0.as_bytes(), text.as_bytes(), None)
    }

    /// What each wildcard (`*`, `**`, `?`) stands for in a text that fits, in order; each takes as little as it can.
    #[must_use]
    pub fn captures<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let mut taken = Vec::new();
        matches(self.0.as_bytes(), text.as_bytes(), Some(&mut taken))
            .then(|| taken.into_iter().map(|(from, to)| &text[from..to]).collect())
    }

    /// How many wildcards there are.
    #[must_use]
    pub fn wildcards(&self) -> usize {
        self.parts().filter(|part| matches!(part, Part::Wildcard(_))).count()
    }

    /// The text that fits where the wildcards stand for these, in order; a wildcard beyond them stays as it is written.
    #[must_use]
    pub fn filled<'t>(&self, captures: impl IntoIterator<Item = &'t str>) -> String {
        let mut captures = captures.into_iter();
        self.parts()
            .map(|part| match part {
                Part::Wildcard(written) => captures.next().unwrap_or(written),
                Part::Text(text) => text,
            })
            .collect()
    }

    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let mut rest = self.0.as_str();
        std::iter::from_fn(move || {
            let length = match rest.as_bytes() {
                [] => return None,
                [b'*', b'*', ..] => 2,
                [b'*' | b'?', ..] => 1,
                _ => {
                    let (text, after) = rest.split_at(rest.find(['*', '?']).unwrap_or(rest.len()));
                    rest = after;
                    return Some(Part::Text(text));
                }
            };
            let (wildcard, after) = rest.split_at(length);
            rest = after;
            Some(Part::Wildcard(wildcard))
        })
    }

    /// The pattern as it was written (with `**` for `*` where it is flat).
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A piece of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(&'a str),
    Wildcard(&'a str),
}

/// A star that may take more: the pattern after it, how far it reaches in the text, and which wildcard it is.
#[derive(Clone, Copy)]
struct Star {
    after: usize,
    reach: usize,
    number: usize,
}

/// Greedy matching that returns to the last star of each sort: linear for usual patterns, never exponential. Where `taken` is
/// asked for, it holds what each wildcard stands for, if the text fits.
fn matches(pattern: &[u8], text: &[u8], mut taken: Option<&mut Vec<(usize, usize)>>) -> bool {
    let (mut p, mut t, mut wildcards) = (0, 0, 0);
    let mut single: Option<Star> = None;
    let mut double: Option<Star> = None;
    let mut take = |number: usize, to: usize| {
        let Some(taken) = taken.as_deref_mut() else { return };
        let from = taken.get(number).map_or(to, |(from, _)| *from);
        taken.truncate(number);
        taken.push((from, to));
    };
    loop {
        match pattern.get(p) {
            Some(b'*') => {
                let number = wildcards;
                wildcards += 1;
                take(number, t);
                if pattern.get(p + 1) == Some(&b'*') {
                    p += 2;
                    double = Some(Star { after: p, reach: t, number });
                    single = None;
                } else {
                    p += 1;
                    single = Some(Star { after: p, reach: t, number });
                }
                continue;
            }
            Some(b'?') if text.get(t).is_some_and(|&c| c != b'.') => {
                take(wildcards, t);
                p += 1;
                t += char_width(text, t);
                take(wildcards, t);
                wildcards += 1;
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
        let star = if let Some(star) = &mut single
            && text.get(star.reach).is_some_and(|&c| c != b'.')
        {
            star
        } else if let Some(star) = &mut double
            && star.reach < text.len()
        {
            single = None;
            star
        } else {
            return false;
        };
        star.reach += 1;
        take(star.number, star.reach);
        (p, t, wildcards) = (star.after, star.reach, star.number + 1);
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

    #[test]
    fn what_wildcards_stand_for() {
        let cases: [(&str, &str, Option<&[&str]>); 7] = [
            ("page.*.errors", "page.cart.errors", Some(&["cart"])),
            ("page.*.*.errors", "page.cart.add.errors", Some(&["cart", "add"])),
            ("**.errors", "page.errors.cart.errors", Some(&["page.errors.cart"])),
            ("*.?b.**", "x.éb.c.d", Some(&["x", "é", "c.d"])),
            ("a*b*c", "abbbc", Some(&["", "bb"])),
            ("errors", "errors", Some(&[])),
            ("page.*.errors", "page.cart.time", None),
        ];
        for (pattern, text, expected) in cases {
            let glob: Glob = pattern.parse().unwrap();
            assert_eq!(glob.captures(text).as_deref(), expected, "{pattern} {text}");
            if let Some(captures) = expected {
                assert_eq!(glob.wildcards(), captures.len());
                assert_eq!(glob.filled(captures.iter().copied()), text);
            }
        }
        let glob: Glob = "page.*.requests".parse().unwrap();
        assert_eq!(glob.filled(["cart"]), "page.cart.requests");
        assert_eq!(glob.filled([]), "page.*.requests");
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
            let glob: Glob = pattern.parse().unwrap();
            prop_assert_eq!(glob.matches(&text), reference(pattern.as_bytes(), text.as_bytes()));
            if let Some(captures) = glob.captures(&text) {
                prop_assert_eq!(captures.len(), glob.wildcards());
                prop_assert_eq!(glob.filled(captures), text);
            }
        }
    }
}
