//! Edits of YAML texts, a document at a time: everything else in a file stays as people wrote it. Pure.

use std::ops::Range;

/// Whether a line begins a document (YAML 1.2, 9.1.2): at the margin, whatever stands above.
fn separates(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

/// The documents of a text with the lines that begin them, as ranges of bytes; and where in it the line (from 1) stands.
fn find(text: &str, line: usize) -> Option<Range<usize>> {
    let mut begins = vec![0];
    let (mut at, mut wanted) = (0, None);
    for (n, content) in text.split_inclusive('\n').enumerate() {
        if separates(content) && at > 0 {
            begins.push(at);
        }
        if n + 1 == line {
            wanted = Some(at);
        }
        at += content.len();
    }
    begins.push(text.len());
    let wanted = wanted?;
    begins.windows(2).map(|pair| pair[0]..pair[1]).find(|range| range.contains(&wanted))
}

/// How many bytes of a document are the bare line that begins it.
fn head(document: &str) -> usize {
    let first = document.split_inclusive('\n').next().unwrap_or_default();
    if first.trim_end() == "---" { first.len() } else { 0 }
}

/// A document's own text, comments and all, by a line of it (from 1).
pub(crate) fn body(text: &str, line: usize) -> Option<&str> {
    let document = &text[find(text, line)?];
    Some(&document[head(document)..])
}

/// The text with another document in the place of the one with this line.
pub(crate) fn replaced(text: &str, line: usize, body: &str) -> Option<String> {
    let range = find(text, line)?;
    let begin = range.start + head(&text[range.clone()]);
    Some(format!("{}{}{}", &text[..begin], ended(body), &text[range.end..]))
}

/// The text without the document with this line; empty if there is no other.
pub(crate) fn removed(text: &str, line: usize) -> Option<String> {
    let range = find(text, line)?;
    let rest = format!("{}{}", &text[..range.start], &text[range.end..]);
    let says = |line: &str| {
        !(separates(line) && line.trim_end() == "---" || line.trim().is_empty() || line.starts_with('#'))
    };
    Some(if rest.lines().any(says) { rest } else { String::new() })
}

/// The text with one more document.
pub(crate) fn appended(text: &str, body: &str) -> String {
    if text.trim().is_empty() { ended(body) } else { format!("{}---\n{}", ended(text), ended(body)) }
}

fn ended(text: &str) -> String {
    let line = if text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{line}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml::{Budget, parse};

    const TEXT: &str = "# head\n---\n# of a\na: 1\n---\nb: |\n  text\n   ---\nc: 2\n--- # of d\nd: 4";

    #[test]
    fn one_document_is_touched() {
        assert_eq!(body(TEXT, 4), Some("# of a\na: 1\n"));
        assert_eq!(body(TEXT, 8), Some("b: |\n  text\n   ---\nc: 2\n"));
        assert_eq!(body(TEXT, 11), Some("--- # of d\nd: 4"));
        assert_eq!(body(TEXT, 12), None);
        let changed = replaced(TEXT, 6, "b: 5").unwrap();
        assert_eq!(changed, "# head\n---\n# of a\na: 1\n---\nb: 5\n--- # of d\nd: 4");
        assert_eq!(removed(TEXT, 3).unwrap(), "# head\n---\nb: |\n  text\n   ---\nc: 2\n--- # of d\nd: 4");
        assert_eq!(removed("# only\na: 1\n", 2).unwrap(), "");
        assert_eq!(removed("# head\n---\na: 1\n", 3).unwrap(), "");
        assert_eq!(appended("a: 1", "b: 2"), "a: 1\n---\nb: 2\n");
        assert_eq!(appended("\n", "b: 2"), "b: 2\n");
    }

    fn values(text: &str) -> Vec<serde_json::Value> {
        let (nodes, faults) = parse(text, &mut Budget::default());
        assert!(faults.is_empty(), "{text}");
        nodes.into_iter().map(|node| node.value.to_json()).collect()
    }

    proptest! {
        /// Of any documents one is replaced or removed, and the others stay.
        #[test]
        fn the_others_stay(
            documents in prop::collection::vec("(# c\n)?(k: [1-9]\n){1}(l: \\|\n  (---|x)\n)?", 1..6),
            at in any::<prop::sample::Index>(),
            leading in any::<bool>(),
        ) {
            let text = format!("{}{}", if leading { "---\n" } else { "" }, documents.join("---\n"));
            let at = at.index(documents.len());
            let (nodes, _) = parse(&text, &mut Budget::default());
            let line = nodes[at].position.line;
            let mut expected = values(&text);
            let changed = replaced(&text, line, "k: 77").unwrap();
            expected[at] = serde_json::json!({"k": 77});
            prop_assert_eq!(values(&changed), expected.clone());
            expected.remove(at);
            prop_assert_eq!(values(&removed(&text, line).unwrap()), expected);
        }
    }
}
