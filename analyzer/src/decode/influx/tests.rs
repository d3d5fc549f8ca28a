use proptest::prelude::*;

use super::*;
use crate::decode::collector::Collector;

fn decoded(body: &[u8]) -> Vec<String> {
    Collector::of(|sink| decode(body, sink))
}

#[test]
fn what_telegraf_writes() {
    let body = b"cpu,cpu=cpu0,host=web-1 usage_idle=98.5,usage_user=1 1458229140000000000\n\
        disk,host=web-1,path=/ free=71i,total=18446744073709551615u,mode=\"rw\",ok=true,value=0.5 1458229140000000000\r\n\
        # a comment\n\nuptime value=3i\n";
    let disk = |field: &str, level: &str| {
        format!("disk{field}{{host=web-1,path=/}}@(tag host) Level({level}) 1458229140000000000")
    };
    assert_eq!(
        decoded(body),
        [
            "cpu.usage_idle{cpu=cpu0,host=web-1}@(tag host) Level(98.5) 1458229140000000000".to_owned(),
            "cpu.usage_user{cpu=cpu0,host=web-1}@(tag host) Level(1.0) 1458229140000000000".to_owned(),
            disk(".free", "71.0"),
            disk(".total", "1.8446744073709552e19"),
            "gap".to_owned(),
            disk(".ok", "1.0"),
            disk("", "0.5"),
            "uptime{}@(tag host) Level(3.0) now".to_owned(),
        ]
    );
}

#[test]
fn escapes() {
    assert_eq!(
        decoded(br#"my\ disk\,s,ta\=g=a\ b\,c fi\ eld=1,t="a \"b\\" 5"#),
        ["my disk,s.fi eld{ta=g=a b,c}@(tag host) Level(1.0) 5000000000", "gap"]
    );
    assert_eq!(decoded(br"back\slash v=1"), [r"back\slash.v{}@(tag host) Level(1.0) now"]);
}

#[test]
fn the_unit_of_a_timestamp_is_told_by_its_magnitude() {
    for time in ["1458229140", "1458229140000", "1458229140000000", "1458229140000000000"] {
        let told = decoded(format!("a value=1 {time}").as_bytes());
        assert_eq!(told, ["a{}@(tag host) Level(1.0) 1458229140000000000"]);
    }
}

#[test]
fn a_text_may_hold_newlines() {
    let body = b"a t=\"one\ntwo \\\" three\nfour\",value=1 5\nb value=2 5\nc t=\"never closed\nd value=3 5\n";
    assert_eq!(
        decoded(body),
        [
            "gap",
            "a{}@(tag host) Level(1.0) 5000000000",
            "b{}@(tag host) Level(2.0) 5000000000",
            "bad: BadQuotes",
            "d{}@(tag host) Level(3.0) 5000000000",
        ]
    );
}

#[test]
fn a_bad_line_costs_that_line() {
    for (line, reason) in [
        (",a=b v=1", "NoName"),
        ("a", "BadField"),
        ("a,b v=1", "BadTag"),
        ("a,=b v=1", "BadTag"),
        ("a,b=c", "BadField"),
        ("a v", "BadField"),
        ("a v=", "BadField"),
        ("a v=1,", "BadField"),
        ("a v=\"x\"y", "BadField"),
        ("a v=\"x", "BadQuotes"),
        ("a v=x", "NotANumber"),
        ("a v=1.5i", "NotANumber"),
        ("a v=nan", "NotANumber"),
        ("a v=1 later", "BadTime"),
        ("a v=1 -5", "BadTime"),
        ("a v=1 5 5", "BadTime"),
    ] {
        let told = decoded(format!("a v=1 1\n{line}\na v=2 2").as_bytes());
        assert_eq!(told[1], format!("bad: {reason}"), "{line}: {told:?}");
        assert_eq!(told[0], "a.v{}@(tag host) Level(1.0) 1000000000", "{line}");
        assert_eq!(told.last().unwrap(), "a.v{}@(tag host) Level(2.0) 2000000000", "{line}");
    }
    let tags: Vec<_> = (0..=MAX_TAGS).map(|n| format!(",k{n}=v")).collect();
    let tags = tags.concat();
    assert_eq!(decoded(format!("a{tags} v=1").as_bytes()), ["bad: TooManyTags"]);
    let fields: Vec<_> = (0..=MAX_FIELDS).map(|n| format!("k{n}=1")).collect();
    assert_eq!(decoded(format!("a {}", fields.join(",")).as_bytes()), ["bad: TooManyFields"]);
    assert_eq!(decoded(format!("a {}", fields[1..].join(",")).as_bytes()).len(), MAX_FIELDS);
    assert_eq!(decoded(&vec![b'a'; MAX_OBJECT + 1]), ["bad: ObjectTooLong"]);
    assert_eq!(decoded(b"\xff v=1"), ["bad: NotText"]);
}

#[test]
fn a_bad_value_costs_that_value() {
    assert_eq!(decoded(b"a b=1,c=x,d=3 5").len(), 3);
    assert_eq!(decoded(b"a b=1,c=x,d=3 5")[1], "bad: NotANumber");
}

fn escaped(text: &str, special: &[char]) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if special.contains(&c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        decoded(&bytes);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z,= \\\\\"é\n0-9it]{0,60}") {
        decoded(text.as_bytes());
    }

    #[test]
    fn what_is_written_is_read(
        measurement in "[a-z][a-z0-9 ,.é-]{0,12}", key in "[a-z=, ]{1,9}", value in "[a-z=, é/]{1,9}", field in "[b-z=, ]{1,6}",
        level in -1e300..1e300, text in "[a-z \",=\n\\\\]{0,12}", ns in 100_000_000_000_000_000i64..i64::MAX,
    ) {
        let line = format!(
            "{},{}={} t=\"{}\",{}={level:?} {ns}\n",
            escaped(&measurement, &[',', ' ']),
            escaped(&key, &[',', '=', ' ']),
            escaped(&value, &[',', '=', ' ']),
            escaped(&text, &['"', '\\']),
            escaped(&field, &[',', '=', ' ']),
        );
        let wanted = format!("{measurement}.{field}{{{key}={value}}}@(tag host) Level({level:?}) {ns}");
        let told = decoded(format!("{line}{line}").as_bytes());
        prop_assert_eq!(told, ["gap", &wanted, "gap", &wanted]);
    }
}
