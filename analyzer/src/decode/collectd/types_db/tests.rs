use std::fmt::Write as _;

use super::*;
use crate::decode::{
    bad_line::BadLineReason,
    sample::{Raw, Reading},
};

/// A type as a types.db has it, whatever spaces it uses.
fn written(name: &str, sources: &[DataSource]) -> String {
    let bound = |bound: f64| if bound.is_finite() { bound.to_string() } else { "U".to_owned() };
    let mut text = name.to_owned();
    for DataSource { name, kind, bounds } in sources {
        let kind = format!("{kind:?}").to_uppercase();
        write!(text, " {name}:{kind}:{}:{}", bound(bounds.min), bound(bounds.max)).unwrap();
    }
    text
}

#[test]
fn the_types_that_people_see_first() {
    let types = TypesDb::standard();
    for line in [
        "cpu value:DERIVE:0:U",
        "if_octets rx:DERIVE:0:U tx:DERIVE:0:U",
        "load shortterm:GAUGE:0:5000 midterm:GAUGE:0:5000 longterm:GAUGE:0:5000",
        "counter value:COUNTER:U:U",
        "absolute value:ABSOLUTE:0:U",
        "percent value:GAUGE:U:U",
        "a-type-of-nobody value:GAUGE:U:U",
    ] {
        let name = line.split(' ').next().unwrap();
        assert_eq!(written(name, types.sources(name)), line);
    }
    assert_eq!(types.bounds("if_octets", "tx"), Bounds::NOT_NEGATIVE);
    assert_eq!(types.bounds("if_octets", "other"), Bounds::NONE);
}

/// Where collectd is installed, its own types.db says what ours must say.
#[test]
fn the_standard_types_are_collectds() {
    let Ok(text) = std::fs::read_to_string("/usr/share/collectd/types.db") else { return };
    let mut theirs = TypesDb::default();
    theirs.add(&text).unwrap();
    let ours = TypesDb::standard();
    assert!(theirs.iter().count() > 300);
    for (name, sources) in theirs.iter() {
        let plain = sources.len() == 1 && sources[0].name == "value" && sources[0].kind == SourceKind::Gauge;
        let ours = ours.sources(name);
        if plain {
            assert_eq!((ours.len(), ours[0].kind, ours[0].name.as_str()), (1, SourceKind::Gauge, "value"));
        } else {
            assert_eq!(written(name, ours), written(name, sources));
        }
    }
}

#[test]
fn a_file_of_ones_own() {
    let mut types = TypesDb::standard().as_ref().clone();
    let own = "# ours\n\nqueue\t\tready:GAUGE:0:U,  sent:DERIVE:0:U # both\r\ncpu value:GAUGE:0:100\n";
    types.add(own).unwrap();
    assert_eq!(written("queue", types.sources("queue")), "queue ready:GAUGE:0:U sent:DERIVE:0:U");
    assert_eq!(written("cpu", types.sources("cpu")), "cpu value:GAUGE:0:100");
    for (text, line) in
        [("a b:GAUGE:0", 1), ("\na value", 2), ("a", 1), ("a b:METER:0:U", 1), ("a :GAUGE:0:U", 1)]
    {
        assert_eq!(types.add(text).unwrap_err().line, line, "{text}");
    }
}

#[test]
fn a_values_text() {
    use SourceKind::{Absolute, Counter, Derive, Gauge};
    let raw = |raw| Ok(Some(Reading::Raw { raw, bounds: Bounds::NONE }));
    let bad = Err(BadLineReason::NotANumber);
    for (kind, text, read) in [
        (Gauge, "1.5", Ok(Some(Reading::Level(1.5)))),
        (Gauge, "-1e3", Ok(Some(Reading::Level(-1000.0)))),
        (Gauge, "U", Ok(None)),
        (Gauge, "-nan", Ok(None)),
        (Gauge, "NaN", Ok(None)),
        (Gauge, "null", Ok(None)),
        (Gauge, "inf", bad),
        (Gauge, "", bad),
        (Counter, "18446744073709551615", raw(Raw::Counter(u64::MAX))),
        (Counter, "-1", raw(Raw::Rate(-1.0))),
        (Counter, "0.25", raw(Raw::Rate(0.25))),
        (Derive, "-9223372036854775808", raw(Raw::Derive(i64::MIN))),
        (Derive, "U", Ok(None)),
        (Derive, "null", raw(Raw::NoRate)),
        (Counter, "nan", raw(Raw::NoRate)),
        (Absolute, "7", raw(Raw::Absolute(7))),
        (Absolute, "x", bad),
    ] {
        assert_eq!(kind.read(text, Bounds::NONE), read, "{kind:?} {text}");
    }
}
