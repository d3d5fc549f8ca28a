//! What is wrong with files is told with its line, its column, its field and a way out.

#![allow(clippy::unwrap_used, reason = "a test that fails there says so")]

use std::{fs, path::PathBuf};

use kinetic_resources::load;
use tempfile::TempDir;

/// A whole file, that the cases below break at one place or more.
const WHOLE: &str = "\
apiVersion: kinetic.dev/v1alpha1
kind: Customer
metadata: {name: shop}
spec:
  region: local
  provider: demo
  contacts: [ops@shop.example]
  limits: {topologies: 1}
  clients:
    - {name: web, profile: web}
---
apiVersion: kinetic.dev/v1alpha1
kind: Topology
metadata:
  name: web
spec:
  customer: shop
  sources:
    - name: pages
      type: statsd
      profiles: [web]
      interval: 5s
      origin: {tag: host}
  analytics:
    - name: slow-host
      source: pages
      match: {metric: page.*.time, tags: {env: prod}}
      cluster:
        minFeeds: 4
    - name: errors
      source: pages
      match: {metric: page.*.errors}
      statistic: rate
      threshold: {above: 5, clearBelow: 2}
---
apiVersion: kinetic.dev/v1alpha1
kind: Alert
metadata: {name: checkout}
spec:
  topology: web
  match: {analytics: [slow-host]}
  groupBy: [analytic, metric]
  receivers:
    - name: oncall
      email: {to: [oncall@shop.example]}
";

/// Every problem of a folder with these files, without the folder's name.
fn problems(files: &[(&str, &[u8])]) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let prefix = format!("{}/", folder.path().display());
    match load(&[folder.path().to_owned()]) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect(),
    }
}

/// What is told of [`WHOLE`] after some edits.
#[track_caller]
fn broken(edits: &[(&str, &str)], expected: &[&str]) {
    let mut text = WHOLE.to_owned();
    for (from, to) in edits {
        assert_eq!(text.matches(from).count(), 1, "`{from}` must be there once");
        text = text.replace(from, to);
    }
    let told = problems(&[("shop.yaml", text.as_bytes())]);
    assert_eq!(told, expected, "\n{}", told.join("\n"));
}

#[test]
fn what_is_whole_is_loaded() {
    broken(&[], &[]);
}

#[test]
fn schema() {
    broken(
        &[("minFeeds: 4", "minFeeds: 2")],
        &[
            "shop.yaml:29:9: Topology web: spec.analytics[0].cluster.minFeeds: 2 is less than 3; use 3 or more",
        ],
    );
    broken(
        &[("      cluster:\n        minFeeds: 4\n", "      cluster:\n")],
        &[
            "shop.yaml:28:7: Topology web: spec.analytics[0].cluster: there is nothing behind the colon; write {} for the defaults, or leave it out",
        ],
    );
    broken(&[("limits: {topologies: 1}", "limits:")], &[]);
    broken(
        &[("      cluster:\n", "      clutser:\n")],
        &[
            "shop.yaml:28:7: Topology web: spec.analytics[0].clutser: there is no field `clutser`; did you mean cluster?",
        ],
    );
    broken(
        &[("  customer: shop\n", "")],
        &[
            "shop.yaml:16:1: Topology web: spec.customer: the field is missing; add it: the Customer whose metrics these are",
        ],
    );
    broken(
        &[("interval: 5s", "interval: 5")],
        &[
            "shop.yaml:22:7: Topology web: spec.sources[0].interval: 5 is not a text; write numbers with the units h, m, s or ms, such as 10s or 1h30m",
        ],
    );
    broken(
        &[("interval: 5s", "interval: 5 seconds")],
        &[
            "shop.yaml:22:7: Topology web: spec.sources[0].interval: `5 seconds` is not allowed here; write numbers with the units h, m, s or ms, such as 10s or 1h30m",
        ],
    );
    broken(
        &[("statistic: rate", "statistic: rates")],
        &[
            "shop.yaml:33:7: Topology web: spec.analytics[1].statistic: there is no `rates`; did you mean rate? There are: count, rate, sum, mean, min, max, stddev, p50, p90, p95, p99, last, cardinality",
        ],
    );
    broken(
        &[("{env: prod}", "{env: 1}")],
        &[
            "shop.yaml:27:43: Topology web: spec.analytics[0].match.tags.env: 1 is a number, not a text; put it in quotes: \"1\"",
        ],
    );
    broken(
        &[("receivers:\n    - name: oncall\n      email: {to: [oncall@shop.example]}\n", "receivers: []\n")],
        &["shop.yaml:43:3: Alert checkout: spec.receivers: this is empty; there must be at least 1"],
    );
    broken(
        &[("[analytic, metric]", "analytic")],
        &[
            "shop.yaml:42:3: Alert checkout: spec.groupBy: `analytic` is a text, not a list; write a list: a line that begins with `- ` for each entry, or [a, b]",
        ],
    );
    broken(
        &[("  groupBy:", "  active: yes\n  groupBy:")],
        &[
            "shop.yaml:42:3: Alert checkout: spec.active: `yes` is a text, not true or false; write true or false",
        ],
    );
    broken(
        &[("region: local", "region:")],
        &[
            "shop.yaml:5:3: Customer shop: spec.region: there is nothing behind the colon; use a to z, 0 to 9 and inner hyphens, such as web-1",
        ],
    );
    broken(
        &[("{name: checkout}", "{nmae: checkout}")],
        &[
            "shop.yaml:38:1: Alert: metadata.name: the field is missing; add it: the resource's name",
            "shop.yaml:38:12: Alert: metadata.nmae: there is no field `nmae`; did you mean name?",
        ],
    );
    broken(
        &[("name: web, profile: web}", "name: web, profile: web}\n    - {name: web, profile: other}")],
        &[
            "shop.yaml:11:8: Customer shop: spec.clients[1].name: there is another `web`; give each a name of its own",
        ],
    );
    broken(
        &[("limits: {topologies: 1}", "limits: {topologies: 1, retention: 999999999999999Ti}")],
        &[
            "shop.yaml:8:27: Customer shop: spec.limits.retention: `999999999999999Ti` is no quantity of bytes; write a whole number with Ki, Mi, Gi, Ti, k, M, G, T or nothing, such as 5Gi",
        ],
    );
}

#[test]
fn plans_and_cel_rules() {
    broken(
        &[("      cluster:\n        minFeeds: 4\n", "")],
        &[
            "shop.yaml:25:7: Topology web: spec.analytics[0]: exactly one of cluster, stddev, threshold, absence must be set; keep one of them; make an analytic of its own of each other",
        ],
    );
    broken(
        &[("clearBelow: 2", "clearBelow: 7")],
        &[
            "shop.yaml:34:7: Topology web: spec.analytics[1].threshold: exactly one of above, below must be set, clearBelow (≤ above) only with above, clearAbove (≥ below) only with below; write for example {above: 90, clearBelow: 85}",
        ],
    );
    // The plan cannot be made of this; the definition's own rule still speaks.
    broken(
        &[("clearBelow: 2", "clearBelow: 7"), ("type: statsd", "type: stats")],
        &[
            "shop.yaml:20:7: Topology web: spec.sources[0].type: there is no `stats`; did you mean statsd? There are: statsd, collectd, graphite, influx, telegraf, vector",
            "shop.yaml:34:7: Topology web: spec.analytics[1].threshold: clearBelow goes with above, and must not be more than it; change the field, or the one that it depends on",
        ],
    );
    broken(
        &[("metadata: {name: shop}", "metadata: {name: Shop}")],
        &[
            "shop.yaml:3:12: Customer Shop: metadata.name: `Shop` is not allowed here; use a to z, 0 to 9 and inner hyphens, such as web-1",
            "shop.yaml:17:3: Topology web: spec.customer: there is no Customer shop; did you mean Shop?",
        ],
    );
    broken(
        &[("{to: [oncall@shop.example]}", "{to: [oncall]}")],
        &[
            "shop.yaml:45:20: Alert checkout: spec.receivers[0].email.to[0]: `oncall` is no mail address; write it as user@host",
        ],
    );
}

#[test]
fn references() {
    broken(
        &[("customer: shop", "customer: shopp")],
        &["shop.yaml:17:3: Topology web: spec.customer: there is no Customer shopp; did you mean shop?"],
    );
    broken(
        &[("topology: web", "topology: mobile")],
        &[
            "shop.yaml:40:3: Alert checkout: spec.topology: there is no Topology mobile; add it, or use one of: web",
        ],
    );
    broken(
        &[("analytics: [slow-host]", "analytics: [slow-host, slow-hots], sources: [page], profiles: [app]")],
        &[
            "shop.yaml:41:34: Alert checkout: spec.match.analytics[1]: Topology web has no analytic `slow-hots`; did you mean slow-host?",
            "shop.yaml:41:56: Alert checkout: spec.match.sources[0]: Topology web has no source `page`; did you mean pages?",
            "shop.yaml:41:74: Alert checkout: spec.match.profiles[0]: Topology web has no source with the profile `app`; add it, or use one of: web",
        ],
    );
    broken(
        &[("profiles: [web]", "profiles: [web, app]")],
        &[
            "shop.yaml:21:23: Topology web: spec.sources[0].profiles[1]: no client of Customer shop has the profile `app`; add it, or use one of: web",
        ],
    );
    // What names a broken resource is not blamed for it.
    broken(
        &[("type: statsd", "type: stats")],
        &[
            "shop.yaml:20:7: Topology web: spec.sources[0].type: there is no `stats`; did you mean statsd? There are: statsd, collectd, graphite, influx, telegraf, vector",
        ],
    );
    let second = "---\n{apiVersion: kinetic.dev/v1alpha1, kind: Topology, metadata: {name: NAME}, spec: {customer: shop, sources: [{name: a, type: statsd}]}}\n";
    let told =
        problems(&[("a.yaml", WHOLE.as_bytes()), ("b.yaml", second.replace("NAME", "web").as_bytes())]);
    assert_eq!(
        told,
        [
            "b.yaml:2:63: Topology web: metadata.name: there is another Topology web, at a.yaml:15:3; rename or remove one of the two"
        ]
    );
    let told =
        problems(&[("a.yaml", WHOLE.as_bytes()), ("b.yaml", second.replace("NAME", "other").as_bytes())]);
    assert_eq!(
        told,
        [
            "b.yaml:2:84: Topology other: spec.customer: this is Topology number 2 of Customer shop, and 1 is its limit; raise its spec.limits.topologies (a.yaml:8:12)"
        ]
    );
    let customer = "{apiVersion: kinetic.dev/v1alpha1, kind: Customer, metadata: {name: shop, namespace: other}, spec: {region: local, provider: demo}}";
    let told = problems(&[("a.yaml", WHOLE.as_bytes()), ("b.yaml", customer.as_bytes())]);
    assert_eq!(
        told,
        [
            "b.yaml:1:63: Customer other/shop: metadata.name: the vhost local.demo.shop belongs to the Customer of a.yaml:1:1; choose another name, region or provider: a vhost has one Customer, whatever the namespace"
        ]
    );
}

#[test]
fn documents() {
    let cases: [(&str, &[&str]); 9] = [
        (
            "kind: Topolgy\n",
            &[
                "x.yaml:1:1: kind: Kinetic knows no kind `Topolgy`; did you mean Topology? There are: Customer, Topology, Alert",
            ],
        ),
        (
            "apiVersion: v1\nkind: Secret\n",
            &[
                "x.yaml:2:1: kind: Kinetic knows no kind `Secret`; use one of: Customer, Topology, Alert; keep other resources elsewhere",
            ],
        ),
        (
            "apiVersion: kinetic.dev/v1\nkind: Alert\n",
            &[
                "x.yaml:1:1: Alert: apiVersion: this version of Kinetic knows no `kinetic.dev/v1`; set it to kinetic.dev/v1alpha1",
                "x.yaml:1:1: Alert: metadata: the field is missing; add it: what the resource is called",
                "x.yaml:1:1: Alert: spec: the field is missing; add it: which findings become incidents, and who is told",
            ],
        ),
        (
            "kind: Alert\n",
            &[
                "x.yaml:1:1: Alert: apiVersion: the field is missing; set it to kinetic.dev/v1alpha1",
                "x.yaml:1:1: Alert: metadata: the field is missing; add it: what the resource is called",
                "x.yaml:1:1: Alert: spec: the field is missing; add it: which findings become incidents, and who is told",
            ],
        ),
        (
            "apiVersion: monitoring.example/v1\nkind: Alert\n",
            &[
                "x.yaml:1:1: apiVersion: this version of Kinetic knows no `monitoring.example/v1`; set it to kinetic.dev/v1alpha1",
            ],
        ),
        (
            "a: 1\n",
            &[
                "x.yaml:1:1: kind: the document does not say what it is; set it to one of: Customer, Topology, Alert",
            ],
        ),
        (
            "hello\n",
            &[
                "x.yaml:1:1: this document is no resource; begin with apiVersion: kinetic.dev/v1alpha1 and kind: one of Customer, Topology, Alert",
            ],
        ),
        (
            "apiVersion: kinetic.dev/v1alpha1\nkind: Customer\nmetadata: {name: a}\n",
            &[
                "x.yaml:1:1: Customer a: spec: the field is missing; add it: whose metrics these are: a tenant with a vhost of its own",
            ],
        ),
        (
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: kinetic.dev/v1alpha1\n  kind: Customer\n  metadata: {name: a}\n  spec: {region: r}\n",
            &[
                "x.yaml:7:3: Customer a: spec.provider: the field is missing; add it: who runs that place, such as `aws`. The second part of the vhost's name",
            ],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problems(&[("x.yaml", text.as_bytes())]), expected, "{text}");
    }
}

#[test]
fn syntax() {
    let text = |text: &str| problems(&[("x.yaml", text.as_bytes())]);
    // One broken document does not hide what is wrong with the next.
    let told = text("kind: [Alert\n---\nkind: Secret\n---\na:\n\tkind: Alert\n---\nkind: 'Alert\n");
    assert_eq!(told.len(), 4, "{told:#?}");
    assert!(
        told[0].ends_with("; close the `[`") || told[0].contains("close the list with `]`"),
        "{}",
        told[0]
    );
    assert!(told[1].starts_with("x.yaml:3:1: kind: Kinetic knows no kind `Secret`"), "{}", told[1]);
    assert!(
        told[2].starts_with("x.yaml:6:") && told[2].ends_with("; indent with spaces, not tabs"),
        "{}",
        told[2]
    );
    assert!(
        told[3].starts_with("x.yaml:9:1: this is no YAML") && told[3].ends_with("; close the quotes"),
        "{}",
        told[3]
    );

    let told = text("kind: Alert\nkind: Alert\napiVersion: x\n");
    assert_eq!(told[0], "x.yaml:2:1: `kind` is here twice; keep one of the two");
    assert_eq!(
        text("? [a]\n: b\n"),
        ["x.yaml:1:3: a list or map cannot be a field's name; name the field by a plain word"]
    );
    assert_eq!(text("kind: !Ref x\n")[1], "x.yaml:1:12: the tag !Ref says nothing here; leave the tag out");
    assert_eq!(
        text("a: &a [*a]\n"),
        ["x.yaml:1:8: the alias stands inside of what it names; write the value out"]
    );
    assert!(text("a: *nowhere\n")[0].contains("1:4: this is no YAML: "));
}

#[test]
fn files() {
    assert_eq!(
        problems(&[("x.yaml", b"kind: Alert # caf\xe9\n")]),
        ["x.yaml:1:18: this is no UTF-8 text; save the file as UTF-8"]
    );
    assert_eq!(
        problems(&[("x.yaml", b"")])[0].rsplit(": ").next(),
        Some(
            "there are no resources here; put Customers, Topologies and Alerts into *.yaml files; examples/ has some"
        )
    );
    let missing = PathBuf::from("/nowhere/at/all");
    let told = load(&[missing]).unwrap_err();
    assert_eq!(told[0].to_string(), "/nowhere/at/all: there is no such file or folder; check the path");
}

#[test]
fn hostile_files() {
    let text = |text: &str| {
        let told = problems(&[("x.yaml", text.as_bytes())]);
        assert!(!told.is_empty());
        told[0].clone()
    };
    // A billion laughs.
    let laughs = |n: usize| match n {
        0 => "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(),
        n => format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", ")),
    };
    let bomb: Vec<_> = (0..20).map(laughs).collect();
    assert!(text(&bomb.concat()).contains("the resources are too large, aliases written out"));
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(1000));
    assert!(text(&long).contains("the resources are too large, aliases written out"));
    let nested = |n: usize| match n {
        0 => "a0: &a0 [x]\n".to_owned(),
        n => format!("a{n}: &a{n} [*a{}]\n", n - 1),
    };
    let deep: Vec<_> = (0..100).map(nested).collect();
    assert!(text(&deep.concat()).contains("this is nested too deeply"));
    let blocks: Vec<_> = (0..10_000).map(|n| format!("{}a:\n", " ".repeat(n % 500))).collect();
    for deep in ["[".repeat(10_000), "- ".repeat(10_000), "{a: ".repeat(10_000), blocks.concat()] {
        assert!(text(&deep).contains("this is nested too deeply"));
    }
    assert!(text(&"- x\n".repeat(1 << 20)).contains("the resources are too large"));
    assert!(text(&"x".repeat((4 << 20) + 1)).ends_with("the file is larger than 4 MiB; split it"));
    let told = problems(&[("x.yaml", "---\nx: 1\n".repeat(10_000).as_bytes())]);
    assert_eq!(told.len(), 501);
    assert_eq!(told[500], "x.yaml:1000:1: 9500 further problems are not listed; begin with those above");
}
