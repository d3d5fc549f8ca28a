//! Which feed a series belongs to.

use kinetic_api::{names::ORIGIN_HEADER, plan::OriginRule, series::SeriesName};

use super::{sample::OriginHint, series::Labels};

/// The bytes of an origin header that are kept.
const MAX_ORIGIN: usize = 500;

/// Takes the origin out of a series' labels as the rule says; where the rule finds none, the message's header is the
/// origin (control characters left out), and without one it is empty.
///
/// A pattern whose segment is the whole metric takes nothing out: a series needs a name.
#[must_use]
pub fn name(labels: Labels, rule: &OriginRule, header: &str) -> SeriesName {
    labelled(labels, rule, header, OriginHint::Header)
}

/// The same for a format that knows something of the sender itself. Where the rule finds no origin:
///
/// - a host that the format names is it, unless the rule names a header of its own (not `origin`, which a relay may have set);
/// - the tag `host` is it, taken out, if no header was sent.
#[must_use]
pub fn labelled(labels: Labels, rule: &OriginRule, header: &str, hint: OriginHint<'_>) -> SeriesName {
    let Labels { mut metric, mut tags } = labels;
    let found = match rule {
        OriginRule::Tag(key) => take_tag(&mut tags, key),
        OriginRule::Pattern { glob, segment } if glob.matches(&metric) => take_segment(&mut metric, *segment),
        OriginRule::Header(_) | OriginRule::Pattern { .. } => None,
    };
    let own_header = matches!(rule, OriginRule::Header(name) if name != ORIGIN_HEADER);
    let found = found.or_else(|| match hint {
        OriginHint::Host(host) if header.is_empty() || !own_header => Some(cleaned(host)),
        OriginHint::HostTag if header.is_empty() => take_tag(&mut tags, "host"),
        OriginHint::Header | OriginHint::Host(_) | OriginHint::HostTag => None,
    });
    SeriesName { metric, tags, origin: found.unwrap_or_else(|| cleaned(header)) }
}

fn take_tag(tags: &mut Vec<(String, String)>, key: &str) -> Option<String> {
    tags.iter().position(|(k, _)| k == key).map(|at| tags.remove(at).1)
}

fn cleaned(origin: &str) -> String {
    bounded(origin).replace(char::is_control, "")
}

/// What of an origin header becomes part of a name: 500 bytes at most.
#[must_use]
pub fn bounded(header: &str) -> &str {
    &header[..header.floor_char_boundary(MAX_ORIGIN)]
}

fn take_segment(metric: &mut String, segment: usize) -> Option<String> {
    let mut parts: Vec<&str> = metric.split('.').collect();
    if segment >= parts.len() || parts.len() == 1 {
        return None;
    }
    let origin = parts.remove(segment).to_owned();
    *metric = parts.join(".");
    Some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::series::labels;

    fn named(line: (&str, &str), rule: &OriginRule, header: &str) -> String {
        name(labels(line.0.as_bytes(), line.1.as_bytes()).unwrap(), rule, header).to_string()
    }

    #[test]
    fn header() {
        let rule = OriginRule::Header("origin".into());
        assert_eq!(named(("cpu", "host:a"), &rule, "web-1"), "cpu{host=a}@web-1");
        assert_eq!(named(("cpu", ""), &rule, ""), "cpu");
    }

    #[test]
    fn tag() {
        let rule = OriginRule::Tag("host".into());
        assert_eq!(named(("cpu", "env:p,host:a"), &rule, "relay"), "cpu{env=p}@a");
        assert_eq!(named(("cpu", "env:p"), &rule, "relay"), "cpu{env=p}@relay");
    }

    #[test]
    fn pattern() {
        let rule = OriginRule::Pattern { glob: "servers.*.**".parse().unwrap(), segment: 1 };
        assert_eq!(named(("servers.web-1.load", ""), &rule, "relay"), "servers.load@web-1");
        assert_eq!(named(("other.web-1.load", ""), &rule, "relay"), "other.web-1.load@relay");
        let whole = OriginRule::Pattern { glob: "*".parse().unwrap(), segment: 0 };
        assert_eq!(named(("web-1", ""), &whole, ""), "web-1");
    }

    #[test]
    fn headers_are_cleaned() {
        let rule = OriginRule::Header("origin".into());
        assert_eq!(named(("cpu", ""), &rule, "web\r\n-1"), "cpu@web-1");
        assert_eq!(named(("cpu", ""), &rule, &"é".repeat(400)), format!("cpu@{}", "é".repeat(250)));
    }
}
