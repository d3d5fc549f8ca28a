//! The names that lines carry: metric and tags, in the order that makes two spellings of a series the same.

use super::{
    bad_line::BadLineReason,
    limits::{MAX_LINE, MAX_NAME, MAX_TAGS},
    sample::Tag,
};

/// What a line calls its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The metric, byte for byte as it was sent, without tags that were written into it.
    pub metric: String,
    /// The tags, sorted, none twice.
    pub tags: Vec<(String, String)>,
}

/// Reads a line's name and the text of its tags (`env:prod,canary`: `DogStatsD`).
///
/// Tags may also be written into the name: `name,env=prod:1|c` as Telegraf does it (`InfluxDB` line protocol) and
/// `name#env=prod:1|c` (Librato). A name in which any part after the separator lacks the `=` is taken as it is.
pub fn labels(name: &[u8], tags: &[u8]) -> Result<Labels, BadLineReason> {
    if name.len() > MAX_NAME {
        return Err(BadLineReason::NameTooLong);
    }
    let (name, own) = (text(name)?, text(tags)?);
    let (metric, written_in) = split_name(name);
    if metric.is_empty() {
        return Err(BadLineReason::NoName);
    }
    let own = own.split(',').filter(|t| !t.is_empty()).map(|t| t.split_once(':').unwrap_or((t, "")));
    let written_in = written_in.split(',').filter_map(|t| t.split_once('='));
    let mut tags = Vec::new();
    for (key, value) in written_in.chain(own) {
        if tags.len() == MAX_TAGS {
            return Err(BadLineReason::TooManyTags);
        }
        tags.push((key.to_owned(), value.to_owned()));
    }
    tags.sort_unstable();
    tags.dedup();
    Ok(Labels { metric: metric.to_owned(), tags })
}

/// Checks a name whose parts are known.
pub fn named(metric: &str, tags: &[Tag<'_>]) -> Result<Labels, BadLineReason> {
    if metric.is_empty() {
        return Err(BadLineReason::NoName);
    }
    if metric.len() > MAX_NAME {
        return Err(BadLineReason::NameTooLong);
    }
    if tags.len() > MAX_TAGS {
        return Err(BadLineReason::TooManyTags);
    }
    let total: usize = tags.iter().map(|(key, value)| key.len() + value.len()).sum();
    if total > MAX_LINE || tags.iter().any(|(key, value)| key.len() > MAX_NAME || value.len() > MAX_NAME) {
        return Err(BadLineReason::TagsTooLong);
    }
    let parts = tags.iter().flat_map(|(key, value)| [&**key, &**value]);
    if parts.chain([metric]).any(|part| part.chars().any(char::is_control)) {
        return Err(BadLineReason::ControlCharacter);
    }
    let mut tags: Vec<_> = tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    tags.sort_unstable();
    tags.dedup();
    Ok(Labels { metric: metric.to_owned(), tags })
}

fn text(bytes: &[u8]) -> Result<&str, BadLineReason> {
    let text = std::str::from_utf8(bytes).map_err(|_| BadLineReason::NotText)?;
    if text.chars().any(char::is_control) { Err(BadLineReason::ControlCharacter) } else { Ok(text) }
}

fn split_name(name: &str) -> (&str, &str) {
    name.split_once([',', '#'])
        .filter(|(_, tags)| {
            tags.split(',').all(|tag| tag.split_once('=').is_some_and(|(key, _)| !key.is_empty()))
        })
        .unwrap_or((name, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn order_and_repetition_do_not_matter() {
        let one = labels(b"page.time", b"env:prod,canary,zone:a").unwrap();
        assert_eq!(one.tags, tags(&[("canary", ""), ("env", "prod"), ("zone", "a")]));
        assert_eq!(labels(b"page.time", b"zone:a,canary,env:prod,,canary"), Ok(one));
    }

    #[test]
    fn a_value_may_hold_colons() {
        assert_eq!(labels(b"a", b"url:http://x:80/").unwrap().tags, tags(&[("url", "http://x:80/")]));
    }

    #[test]
    fn tags_written_into_the_name() {
        for name in ["cpu,host=a,zone=b", "cpu#zone=b,host=a"] {
            let labels = labels(name.as_bytes(), b"").unwrap();
            assert_eq!(
                (&*labels.metric, labels.tags),
                ("cpu", tags(&[("host", "a"), ("zone", "b")])),
                "{name}"
            );
        }
        for name in ["cpu,idle", "cpu#1", "a,b=c,d"] {
            assert_eq!(labels(name.as_bytes(), b"").unwrap().metric, name);
        }
    }

    #[test]
    fn refuses_what_would_spoil_a_terminal_or_a_mail() {
        assert_eq!(labels(b"a\x1b[0m", b""), Err(BadLineReason::ControlCharacter));
        assert_eq!(labels(b"a", b"b:\x7f"), Err(BadLineReason::ControlCharacter));
        assert_eq!(labels(b"a\xff", b""), Err(BadLineReason::NotText));
        assert_eq!(labels(&[b'a'; MAX_NAME + 1], b""), Err(BadLineReason::NameTooLong));
        assert_eq!(labels(b",a=b", b""), Err(BadLineReason::NoName));
        let many: Vec<_> = (0..=MAX_TAGS).map(|n| n.to_string()).collect();
        assert_eq!(labels(b"a", many.join(",").as_bytes()), Err(BadLineReason::TooManyTags));
        assert_eq!(labels(b"a", many[1..].join(",").as_bytes()).unwrap().tags.len(), MAX_TAGS);
    }
}
