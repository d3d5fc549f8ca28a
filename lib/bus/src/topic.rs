//! Topic patterns (AMQP 0-9-1, 3.1.3.3): words divided by dots; `*` stands for one word, `#` for zero or more.

/// Does the routing key match the pattern?
#[must_use]
pub fn matches(pattern: &str, routing_key: &str) -> bool {
    // Greedy with one way back: where a mismatch follows a `#`, that `#` takes one word more. An earlier `#`
    // never needs to be tried again, so the cost is words of pattern times words of key at worst.
    let key: Vec<&str> = words(routing_key).collect();
    let pattern: Vec<&str> = words(pattern).collect();
    let (mut at_pattern, mut at_key) = (0, 0);
    let mut last_hash: Option<(usize, usize)> = None;
    while at_key < key.len() {
        match pattern.get(at_pattern) {
            Some(&"#") => {
                last_hash = Some((at_pattern, at_key));
                at_pattern += 1;
            }
            Some(word) if *word == "*" || *word == key[at_key] => {
                at_pattern += 1;
                at_key += 1;
            }
            _ => match last_hash {
                Some((hash, taken)) => {
                    last_hash = Some((hash, taken + 1));
                    at_pattern = hash + 1;
                    at_key = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at_pattern..].iter().all(|word| *word == "#")
}

/// The words of a key; the empty key has none.
fn words(key: &str) -> impl Iterator<Item = &str> {
    key.split('.').filter(move |_| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{matches, words};
    use proptest::prelude::*;

    #[test]
    fn the_specifications_own_examples() {
        assert!(matches("*.stock.#", "usd.stock"));
        assert!(matches("*.stock.#", "eur.stock.db"));
        assert!(!matches("*.stock.#", "stock.nasdaq"));
    }

    #[test]
    fn kinetics_own_keys() {
        assert!(matches("statsd.web.#", "statsd.web.web-1"));
        assert!(matches("statsd.web.#", "statsd.web.web-1.example.com"));
        assert!(matches("statsd.web.#", "statsd.web"));
        assert!(!matches("statsd.web.#", "statsd.webshop.web-1"));
        assert!(!matches("statsd.web.#", "statsd"));
    }

    #[test]
    fn edges() {
        assert!(matches("#", ""));
        assert!(matches("", ""));
        assert!(!matches("*", ""));
        assert!(matches("#.#", "a"));
        assert!(matches("#.b.#", "a.b.c"));
        assert!(matches("#.b", "b.a.b"));
        assert!(!matches("#.b", "b.a"));
        assert!(matches("a..b", "a..b"), "an empty word is a word");
        assert!(matches("a.*.b", "a..b"));
    }

    /// The definition itself, word by word, in exponential time.
    fn by_definition(pattern: &[&str], key: &[&str]) -> bool {
        match pattern.split_first() {
            None => key.is_empty(),
            Some((&"#", rest)) => (0..=key.len()).any(|n| by_definition(rest, &key[n..])),
            Some((word, rest)) => key.split_first().is_some_and(|(first, others)| {
                (*word == "*" || word == first) && by_definition(rest, others)
            }),
        }
    }

    proptest! {
        #[test]
        fn as_the_definition(pattern in "(a|b|\\*|#)(\\.(a|b|\\*|#)){0,5}", key in "(|(a|b|c)(\\.(a|b|c)){0,6})") {
            let pattern_words: Vec<&str> = words(&pattern).collect();
            let key_words: Vec<&str> = words(&key).collect();
            prop_assert_eq!(matches(&pattern, &key), by_definition(&pattern_words, &key_words));
        }
    }
}
