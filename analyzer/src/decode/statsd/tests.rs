use proptest::prelude::*;

use super::*;

fn read(body: &str) -> Vec<Result<Entry<'_>, BadLineReason>> {
    lines(body.as_bytes()).collect()
}

fn one(line: &str) -> Samples<'_> {
    match read(line)[..] {
        [Ok(Entry::Samples(samples))] => samples,
        ref other => panic!("{line}: {other:?}"),
    }
}

fn numbers(line: &str) -> Vec<f64> {
    one(line).values.numbers().map(|v| v.number).collect()
}

fn refused(line: &str) -> BadLineReason {
    match read(line)[..] {
        [Err(reason)] => reason,
        ref other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn types() {
    let cases = [
        ("a:1|c", MetricType::Counter),
        ("a:1|m", MetricType::Counter),
        ("a:1|g", MetricType::Gauge),
        ("a:1|ms", MetricType::Timer),
        ("a:1|h", MetricType::Histogram),
        ("a:1|d", MetricType::Distribution),
        ("a:1|s", MetricType::Set),
    ];
    for (line, kind) in cases {
        assert_eq!(one(line).kind, kind, "{line}");
    }
}

#[test]
fn rates_make_weights() {
    assert_eq!(one("a:1|c|@0.1").weight, 10.0);
    assert_eq!(one("a:1|ms|@0.5").weight, 2.0);
    assert_eq!(one("a:1|ms|@1").weight, 1.0);
    assert_eq!(one("a:1|g|@0.1").weight, 1.0);
    assert_eq!(one("a:1|s|@0.1").weight, 1.0);
}

#[test]
fn signs_tell_a_gauges_change_from_its_level() {
    assert_eq!(one("a:5|g").values, Values::One(Value { number: 5.0, signed: false }));
    assert_eq!(one("a:+5|g").values, Values::One(Value { number: 5.0, signed: true }));
    assert_eq!(one("a:-3|g").values, Values::One(Value { number: -3.0, signed: true }));
    let signs: Vec<bool> = one("a:1:-2:+1e3|g").values.numbers().map(|v| v.signed).collect();
    assert_eq!(signs, [false, true, true]);
}

#[test]
fn sections_come_in_any_order() {
    let expected = one("page.time:3.5|ms|@0.5|#env:prod,canary|T1656581400|c:ci-1f2");
    assert_eq!(expected.name, b"page.time");
    assert_eq!(expected.tags, b"env:prod,canary");
    assert_eq!(expected.time_ms, Some(1_656_581_400_000));
    assert_eq!(one("page.time:3.5|ms|c:ci-1f2|T1656581400|#env:prod,canary|@0.5"), expected);
    assert_eq!(
        one("page.time:3.5|ms|T1656581400|e:it-false,cn-web|@0.5|card:low|#env:prod,canary|"),
        expected
    );
}

#[test]
fn packed_values() {
    assert_eq!(numbers("a:1:2.5:-3|ms|#b:c"), [1.0, 2.5, -3.0]);
    assert_eq!(one("a:1:2.5:-3|ms").values.count(), 3);
    assert_eq!(one("a:1:2:3|s").values, Values::Member(b"1:2:3"));
    assert_eq!(refused("a:1:x:3|ms"), BadLineReason::NotANumber);
    assert_eq!(refused("a:1::3|ms"), BadLineReason::NotANumber);
}

#[test]
fn several_values_with_types_of_their_own() {
    let entries = read("gorets:1|c:320|ms|@0.1:-7|g|#a:b\nnext:1|c");
    let samples: Vec<_> = entries
        .iter()
        .map(|e| match e {
            Ok(Entry::Samples(s)) => (s.name, s.kind, s.weight, s.tags),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        samples,
        [
            (&b"gorets"[..], MetricType::Counter, 1.0, &b""[..]),
            (b"gorets", MetricType::Timer, 10.0, b""),
            (b"gorets", MetricType::Gauge, 1.0, b"a:b"),
            (b"next", MetricType::Counter, 1.0, b""),
        ]
    );
}

#[test]
fn a_container_is_not_a_value() {
    assert_eq!(one("a:1|c|c:2").name, b"a");
}

#[test]
fn events_and_service_checks_are_known() {
    assert_eq!(
        read("_e{5,4}:title|text|#env:prod\n_sc|redis|2|m:down:hard"),
        [Ok(Entry::Event), Ok(Entry::ServiceCheck)]
    );
    assert_eq!(one("_events:1|c").name, b"_events");
}

#[test]
fn line_ends() {
    assert_eq!(read("\n\r\na:1|c\r\n\nb:2|c").len(), 2);
    assert_eq!(one("a:1|c\r\n").kind, MetricType::Counter);
    assert_eq!(read(""), []);
}

#[test]
fn reasons() {
    let cases = [
        ("a", BadLineReason::NoName),
        (":1|c", BadLineReason::NoName),
        ("a:", BadLineReason::NoValue),
        ("a:1", BadLineReason::NoValue),
        ("a:|c", BadLineReason::NoValue),
        ("a:|s", BadLineReason::NoValue),
        ("a:x|c", BadLineReason::NotANumber),
        ("a:nan|g", BadLineReason::NotANumber),
        ("a:1e999|g", BadLineReason::NotANumber),
        ("a:1|", BadLineReason::UnknownType),
        ("a:1|cc", BadLineReason::UnknownType),
        ("a:1|kv", BadLineReason::UnknownType),
        ("a:1|c|@0", BadLineReason::BadRate),
        ("a:1|c|@1.1", BadLineReason::BadRate),
        ("a:1|c|@-1", BadLineReason::BadRate),
        ("a:1|c|@", BadLineReason::BadRate),
        ("a:1|c|@1e-320", BadLineReason::BadRate),
        ("a:1|c|T", BadLineReason::BadTimestamp),
        ("a:1|c|T1.5", BadLineReason::BadTimestamp),
        ("a:1|c|T-5", BadLineReason::BadTimestamp),
        ("a:1|c|T123456789012", BadLineReason::BadTimestamp),
        ("a:1|c|!", BadLineReason::UnknownSection),
    ];
    for (line, reason) in cases {
        assert_eq!(refused(line), reason, "{line}");
    }
    assert_eq!(refused(&format!("a:1|c|#{}", "x".repeat(MAX_LINE))), BadLineReason::TooLong);
}

/// A line as a client would write it, from parts that are valid.
#[derive(Clone, Debug)]
struct Written {
    name: String,
    values: Vec<f64>,
    kind: &'static str,
    rate: Option<f64>,
    tags: String,
    seconds: Option<u32>,
    container: Option<String>,
    sections: [usize; 4],
}

impl Written {
    fn encode(&self) -> String {
        let values: Vec<_> = self.values.iter().map(ToString::to_string).collect();
        let mut sections = [
            self.rate.map(|r| format!("|@{r}")),
            (!self.tags.is_empty()).then(|| format!("|#{}", self.tags)),
            self.seconds.map(|s| format!("|T{s}")),
            self.container.as_ref().map(|c| format!("|c:{c}")),
        ];
        for (at, with) in self.sections.iter().enumerate() {
            sections.swap(at, *with);
        }
        let sections: String = sections.into_iter().flatten().collect();
        format!("{}:{}|{}{sections}", self.name, values.join(":"), self.kind)
    }
}

fn written() -> impl Strategy<Value = Written> {
    (
        "[a-zA-Z0-9_./é-]{1,40}",
        prop::collection::vec(any::<f64>().prop_filter("finite", |n| n.is_finite()), 1..5),
        prop::sample::select(vec!["c", "g", "ms", "h", "d", "m"]),
        prop::option::of(0.001..=1.0f64),
        "([a-z]{1,8}(:[a-z0-9:/]{0,8})?(,[a-z]{1,8}(:[a-z]{0,8})?){0,5})?",
        prop::option::of(any::<u32>()),
        prop::option::of("[a-z0-9-]{1,20}"),
        prop::array::uniform4(0..4usize),
    )
        .prop_map(|(name, values, kind, rate, tags, seconds, container, sections)| Written {
            name,
            values,
            kind,
            rate,
            tags,
            seconds,
            container,
            sections,
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read(written in written()) {
        let line = written.encode();
        let samples = one(&line);
        prop_assert_eq!(samples.name, written.name.as_bytes());
        prop_assert_eq!(samples.tags, written.tags.as_bytes());
        prop_assert_eq!(samples.time_ms, written.seconds.map(|s| i64::from(s) * 1000));
        let rate = written.rate.filter(|_| written.kind != "g").unwrap_or(1.0);
        prop_assert_eq!(samples.weight, 1.0 / rate);
        prop_assert_eq!(samples.values.count(), written.values.len() as u64);
        prop_assert_eq!(samples.values.numbers().map(|v| v.number).collect::<Vec<_>>(), written.values);
    }

    #[test]
    fn nothing_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        for entry in lines(&body) {
            let _ = entry;
        }
    }

    #[test]
    fn nearly_right_lines_do_not_make_it_panic(body in "([a_:|@#T0-9.,cgmshd\\-\n]|_e\\{|_sc){0,80}") {
        for entry in lines(body.as_bytes()).flatten() {
            if let Entry::Samples(samples) = entry {
                prop_assert!(samples.weight >= 1.0 && samples.weight.is_finite());
                let numbers = samples.values.numbers().filter(|v| v.number.is_finite()).count() as u64;
                let expected = if samples.kind == MetricType::Set { 0 } else { samples.values.count() };
                prop_assert_eq!(numbers, expected);
            }
        }
    }

    #[test]
    fn a_bad_line_costs_one_line(
        good in prop::collection::vec(written(), 1..6),
        bad in "[a-z]{0,9}(:[x-z]{0,3}(\\|[x-z]?)?)?",
        at in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!bad.is_empty());
        let mut all: Vec<_> = good.iter().map(Written::encode).collect();
        let at = at.index(all.len() + 1);
        all.insert(at, bad);
        let body = all.join("\n");
        let read = read(&body);
        prop_assert_eq!(read.len(), all.len());
        for (n, entry) in read.iter().enumerate() {
            prop_assert_eq!(entry.is_err(), n == at, "line {}: {}", n, all[n]);
        }
    }
}
