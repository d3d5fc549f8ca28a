//! What somebody who mistyped a word probably meant, and what else there is.

use std::fmt::Write;

/// The candidate that is closest to a word, if it is close: at most a third of its letters wrong, upper and lower case aside.
#[must_use]
pub fn closest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing takes the product of both lengths, and no name is that long.
    const LONGEST: usize = 100;
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Names for people, not all of them where they are many.
#[must_use]
pub fn list(names: &[&str]) -> String {
    const MAX_NAMES: usize = 15;
    let mut text = names.iter().take(MAX_NAMES).copied().collect::<Vec<_>>().join(", ");
    if names.len() > MAX_NAMES {
        let _ = write!(text, " and {} more", names.len() - MAX_NAMES);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant_only_if_it_is_close() {
        let names = ["cluster", "stddev", "threshold", "minFeeds", "match"];
        for (word, expected) in [
            ("clutser", Some("cluster")),
            ("minfeeds", Some("minFeeds")),
            ("min_feeds", Some("minFeeds")),
            ("Match", Some("match")),
            ("treshhold", Some("threshold")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(closest(word, names.into_iter()), expected, "{word}");
        }
        assert_eq!(closest(&"x".repeat(100_000), names.into_iter()), None);
    }

    #[test]
    fn lists_not_everything() {
        assert_eq!(list(&["a", "b"]), "a, b");
        assert_eq!(list(&["a"; 17]), format!("{}a and 2 more", "a, ".repeat(14)));
    }
}
