use proptest::prelude::*;

use super::*;
use crate::decode::collector::Collector;

fn decoded(body: &[u8]) -> Vec<String> {
    Collector::of(|sink| decode(body, &TypesDb::standard(), sink))
}

const NOT_NEGATIVE: &str = "bounds: Bounds { min: 0.0, max: inf } }";

#[test]
fn what_collectd_writes() {
    let body = br#"[{"values":[1901474177],"dstypes":["derive"],"dsnames":["value"],"time":1280959128.123,"interval":10.000,
        "host":"leeloo.octo.it","plugin":"cpu","plugin_instance":"0","type":"cpu","type_instance":"idle","meta":{"a":[true]}},
        {"values":[0.25,null,3],"dstypes":["derive","gauge","gauge"],"dsnames":["rx","midterm","longterm"],"time":1280959128,
        "interval":10,"host":"h","plugin":"load","plugin_instance":"","type":"if_octets","type_instance":""}]"#;
    assert_eq!(
        decoded(body),
        [
            format!(
                "cpu.0.cpu.idle{{plugin=cpu,plugin_instance=0,type=cpu,type_instance=idle}}@leeloo.octo.it \
                 Raw {{ raw: Derive(1901474177), {NOT_NEGATIVE} 1280959128123000000"
            ),
            format!(
                "load.if_octets.rx{{plugin=load,type=if_octets}}@h Raw {{ raw: Rate(0.25), {NOT_NEGATIVE} 1280959128000000000"
            ),
            "gap".to_owned(),
            "load.if_octets.longterm{plugin=load,type=if_octets}@h Level(3.0) 1280959128000000000".to_owned(),
        ]
    );
    let notification =
        br#"{"severity":"OKAY","message":"fine","time":1280959128,"host":"h","plugin":"p","type":"t"}"#;
    assert_eq!(decoded(notification), ["event"]);
    let of_write_http = br#"[{"labels":{"alertname":"collectd_cpu"},"annotations":{"summary":"x"},"startsAt":"2020-01-01T00:00:00Z"}]"#;
    assert_eq!(decoded(of_write_http), ["event"]);
}

#[test]
fn what_telegraf_writes() {
    let metric = r#"{"fields":{"usage_idle":98.5,"value":7,"ok":true,"mode":"rw","none":null},"name":"cpu","tags":{"cpu":"cpu0","host":"web-1"},"timestamp":1458229140}"#;
    let one =
        ["cpu.usage_idle", "cpu", "cpu.ok"].into_iter().zip(["98.5", "7.0", "1.0"]).map(|(name, level)| {
            format!("{name}{{cpu=cpu0,host=web-1}}@(tag host) Level({level}) 1458229140000000000")
        });
    let one: Vec<_> = one.chain(["gap".to_owned(), "gap".to_owned()]).collect();
    assert_eq!(decoded(metric.as_bytes()), one);
    let two = [one.clone(), one].concat();
    assert_eq!(decoded(format!("{{\"metrics\":[{metric},{metric}]}}\n").as_bytes()), two);
    assert_eq!(decoded(format!("{metric}\n{metric}\n").as_bytes()), two);
    assert_eq!(decoded(format!("[{metric},{metric}]").as_bytes()), two);
    for time in
        ["1458229140", "1458229140000", "1458229140000000", "1458229140000000000", "\"2016-03-17T15:39:00Z\""]
    {
        let body = format!(r#"{{"fields":{{"value":1}},"name":"a","tags":{{}},"timestamp":{time}}}"#);
        assert_eq!(decoded(body.as_bytes()), ["a{}@(tag host) Level(1.0) 1458229140000000000"]);
    }
}

#[test]
fn what_vector_writes() {
    let metric = |kind: &str, value: &str| {
        let text = format!(
            r#"{{"name":"requests","namespace":"shop","tags":{{"host":"web-1"}},"timestamp":"1970-01-01T00:00:05Z","kind":"{kind}",{value}}}"#
        );
        decoded(text.as_bytes())
    };
    let tags = "{host=web-1}@(tag host)";
    let sum = |sum: &str| format!("Raw {{ raw: Sum({sum}), {NOT_NEGATIVE}");
    for (kind, value, told) in [
        (
            "incremental",
            r#""counter":{"value":2.0}"#,
            vec![format!("shop.requests{tags} Increment(2.0) 5000000000")],
        ),
        (
            "absolute",
            r#""counter":{"value":2.0}"#,
            vec![format!("shop.requests{tags} {} 5000000000", sum("2.0"))],
        ),
        (
            "absolute",
            r#""gauge":{"value":-1.5}"#,
            vec![format!("shop.requests{tags} Level(-1.5) 5000000000")],
        ),
        (
            "incremental",
            r#""gauge":{"value":-1.5}"#,
            vec![format!("shop.requests{tags} Change(-1.5) 5000000000")],
        ),
        ("absolute", r#""gauge":{"value":null}"#, vec!["gap".to_owned()]),
        (
            "incremental",
            r#""set":{"values":["a"]}"#,
            vec![format!("shop.requests{tags} Member([97]) 5000000000")],
        ),
        (
            "incremental",
            r#""distribution":{"samples":[{"value":1.0,"rate":3},{"value":9.0,"rate":0}],"statistic":"histogram"}"#,
            vec![format!("shop.requests{tags} Observation {{ value: 1.0, weight: 3.0 }} 5000000000")],
        ),
        (
            "incremental",
            r#""aggregated_histogram":{"buckets":[{"upper_limit":1.0,"count":10}],"count":10,"sum":7.5}"#,
            vec![
                format!("shop.requests.count{tags} Increment(10.0) 5000000000"),
                format!("shop.requests.sum{tags} Increment(7.5) 5000000000"),
            ],
        ),
        (
            "absolute",
            r#""aggregated_summary":{"quantiles":[{"quantile":0.5,"value":2.0},{"quantile":0.99,"value":null}],"count":10,"sum":7.5}"#,
            vec![
                format!("shop.requests.count{tags} {} 5000000000", sum("10.0")),
                format!("shop.requests.sum{tags} {} 5000000000", sum("7.5")),
                "shop.requests{host=web-1,quantile=0.5}@(tag host) Level(2.0) 5000000000".to_owned(),
                "gap".to_owned(),
            ],
        ),
    ] {
        assert_eq!(metric(kind, value), told, "{kind} {value}");
    }
    let as_log = r#"{"counter":{"value":1.0},"host":"localhost","kind":"absolute","name":"counter","tags":{"some_tag":"some_value"},"timestamp":"2018-11-14T08:09:10.000000011Z"}"#;
    assert_eq!(
        decoded(as_log.as_bytes()),
        [format!(
            "counter{{some_tag=some_value,host=localhost}}@(tag host) {} 1542182950000000011",
            sum("1.0")
        )]
    );
    let bare = r#"{"name":"up","kind":"absolute","gauge":{"value":1}}"#;
    assert_eq!(decoded(bare.as_bytes()), ["up{}@(tag host) Level(1.0) now"]);
    let native = format!(r#"{{"metric":{bare}}}"#);
    assert_eq!(decoded(native.as_bytes()), ["up{}@(tag host) Level(1.0) now"]);
    let tags = r#"{"name":"up","tags":{"a":["x","y"],"b":null},"timestamp":null,"kind":"absolute","gauge":{"value":1}}"#;
    assert_eq!(decoded(tags.as_bytes()), [r#"up{a=["x","y"],b=null}@(tag host) Level(1.0) now"#]);
}

#[test]
fn a_bad_object_costs_that_object() {
    let good = r#"{"fields":{"value":1},"name":"a","tags":{},"timestamp":5}"#;
    let collectd = |from: &str, to: &str| {
        r#"{"values":[1],"dstypes":["gauge"],"dsnames":["value"],"time":5,"host":"h","plugin":"p","type":"t"}"#.replace(from, to)
    };
    for (bad, reason) in [
        ("7".to_owned(), "NotJson"),
        ("[1]".to_owned(), "NotJson"),
        ("{}".to_owned(), "UnknownShape"),
        (r#"{"log":{"message":"x"}}"#.to_owned(), "UnknownShape"),
        (r#"{"metrics":[{"metrics":[]}]}"#.to_owned(), "UnknownShape"),
        (r#"{"fields":1,"name":"a","timestamp":5}"#.to_owned(), "NotJson"),
        (r#"{"fields":{"value":1},"name":"","timestamp":5}"#.to_owned(), "NoName"),
        (r#"{"fields":{"value":1},"name":"a","timestamp":"x"}"#.to_owned(), "BadTime"),
        (r#"{"fields":{"value":1},"name":"a","timestamp":-1}"#.to_owned(), "BadTime"),
        (r#"{"fields":{"value":[1]},"name":"a","timestamp":5}"#.to_owned(), "NotANumber"),
        (r#"{"fields":{"value":1e999},"name":"a","timestamp":5}"#.to_owned(), "NotANumber"),
        (r#"{"name":"a","kind":"relative","gauge":{"value":1}}"#.to_owned(), "NotJson"),
        (r#"{"name":"a","kind":"absolute","gauge":{"value":1},"timestamp":"x"}"#.to_owned(), "BadTime"),
        (collectd("[1]", "[1,2]"), "WrongValueCount"),
        (collectd(r#""value""#, r#""a","b""#), "WrongValueCount"),
        (collectd(r#""gauge""#, r#""meter""#), "UnknownSourceKind"),
        (collectd("[1]", "[\"1\"]"), "NotANumber"),
        (collectd(r#""h""#, r#""""#), "BadIdentifier"),
        (collectd(":5", ":-5"), "BadTime"),
    ] {
        let told = decoded(format!("[{good},{bad},{good}]").as_bytes());
        assert_eq!(told.len(), 3, "{bad}: {told:?}");
        assert_eq!(told[1], format!("bad: {reason}"), "{bad}");
        assert!(told[2].starts_with("a{}"), "{told:?}");
    }
    let lines = format!("{good}\n{{\"fields\":\n{good}\nnonsense\n{good}");
    let told: Vec<_> = decoded(lines.as_bytes()).into_iter().map(|told| told.starts_with("a{}")).collect();
    assert_eq!(told, [true, false, true, false, true]);
}

#[test]
fn what_has_no_end_is_refused() {
    let long = format!(r#"{{"fields":{{"value":1}},"name":"{}","timestamp":5}}"#, "a".repeat(MAX_OBJECT));
    assert_eq!(decoded(long.as_bytes()), ["bad: ObjectTooLong"]);
    let fields: Vec<_> = (0..2_000).map(|n| format!(r#""f{n}":1"#)).collect();
    let many = format!(r#"{{"fields":{{{}}},"name":"a","timestamp":5}}"#, fields.join(","));
    assert_eq!(decoded(many.as_bytes()), ["bad: NotJson"]);
    for (open, close) in [("[", "]"), (r#"{"metrics":"#, "}"), (r#"{"a":"#, "}"), (r#"{"metrics":["#, "]}")] {
        let deep = format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
        assert_eq!(decoded(deep.as_bytes()).len(), 1, "{open}");
        assert!(!decoded(open.repeat(200_000).as_bytes()).is_empty(), "{open}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        decoded(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0usize..160, byte in any::<u8>(), cut in 0usize..160) {
        for text in [
            r#"[{"values":[1,2],"dstypes":["gauge","derive"],"dsnames":["a","b"],"time":5.5,"host":"h","plugin":"p","type":"t"}]"#,
            r#"{"metrics":[{"fields":{"value":1,"b":true},"name":"a","tags":{"host":"x"},"timestamp":5}]}"#,
            r#"{"name":"a","tags":{"b":"c"},"kind":"absolute","aggregated_summary":{"quantiles":[{"quantile":0.5,"value":1}],"count":1,"sum":2}}"#,
        ] {
            let mut bytes = text.as_bytes().to_vec();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            decoded(&bytes);
            bytes.truncate(cut);
            decoded(&bytes);
        }
    }

    #[test]
    fn what_is_written_is_read(name in "[^\u{0}]{1,12}", key in ".{1,6}", value in ".{0,6}", field in ".{1,6}", level in -1e300f64..1e300) {
        let mut fields = serde_json::Map::new();
        fields.insert(field.clone(), level.into());
        let mut tags = serde_json::Map::new();
        tags.insert(key.clone(), value.clone().into());
        let metric = serde_json::json!({"fields": fields, "name": name, "tags": tags, "timestamp": 5});
        let dot = if field == "value" { String::new() } else { format!(".{field}") };
        let wanted = format!("{name}{dot}{{{key}={value}}}@(tag host) Level({level:?}) 5000000000");
        prop_assert_eq!(decoded(metric.to_string().as_bytes()), [wanted]);
    }
}
