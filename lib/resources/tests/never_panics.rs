//! Whatever a file holds, it is read or refused.

#![allow(clippy::unwrap_used, reason = "a test that fails there says so")]

use std::fs;

use kinetic_resources::load;
use proptest::prelude::*;
use tempfile::TempDir;

fn survives(content: &[u8]) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("x.yaml"), content).unwrap();
    if let Err(problems) = load(&[folder.path().to_owned()]) {
        assert!(!problems.is_empty());
        for problem in problems {
            assert!(!problem.to_string().contains('\n'), "one line a problem: {problem:?}");
        }
    }
}

/// Pieces that get further than noise does.
fn yamlish() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "apiVersion: kinetic.dev/v1alpha1\n",
        "kind: Topology\n",
        "kind: Customer\n",
        "kind: Alert\n",
        "kind: List\n",
        "metadata: {name: a}\n",
        "spec:\n",
        "  customer: a\n",
        "  sources:\n",
        "  - name: s\n",
        "    type: statsd\n",
        "    interval: 0s\n",
        "    origin: {pattern: 'a.{origin}.**'}\n",
        "  analytics: [{name: x, source: s, match: {metric: '*'}, cluster: {minFeeds: -1}}]\n",
        "  receivers: [{name: r, email: {to: [a@b]}}]\n",
        "items: [",
        "]",
        "{",
        "}",
        "- ",
        "? ",
        ": ",
        "&a ",
        "*a ",
        "!!str ",
        "!x ",
        "| \n",
        "kind: |\n  a\n  b\n",
        "'",
        "\"",
        "\t",
        "\n",
        "  ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "99999999999999999999",
        ".nan",
        "\u{feff}",
        "é",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes(content in prop::collection::vec(any::<u8>(), 0..2000)) {
        survives(&content);
    }

    #[test]
    fn arbitrary_pieces(content in yamlish()) {
        survives(content.as_bytes());
    }
}
