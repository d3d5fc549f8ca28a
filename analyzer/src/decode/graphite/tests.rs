use proptest::prelude::*;

use super::*;
use crate::decode::collector::Collector;

fn decoded(body: &[u8]) -> Vec<String> {
    Collector::of(|sink| decode(body, Paths::Metrics, sink))
}

fn of_collectd(body: &str) -> Vec<String> {
    Collector::of(|sink| decode(body.as_bytes(), Paths::Collectd(&TypesDb::standard()), sink))
}

#[test]
fn paths_tags_and_times() {
    let body =
        b"shop.queue.length 7 1251533299\r\n\n  disk.used;datacenter=dc1;rack=a1   1e3\t1251533299.25\n\
        now 1.5 N\nnow.too 2 -1\nnothing nan 5\n";
    assert_eq!(
        decoded(body),
        [
            "shop.queue.length{}@(header) Level(7.0) 1251533299000000000",
            "disk.used{datacenter=dc1,rack=a1}@(header) Level(1000.0) 1251533299250000000",
            "now{}@(header) Level(1.5) now",
            "now.too{}@(header) Level(2.0) now",
            "gap",
        ]
    );
}

#[test]
fn the_paths_that_collectd_makes() {
    let derive = "bounds: Bounds { min: 0.0, max: inf } } 5000000000";
    for (line, told) in [
        (
            "db-1_example.cpu-0.cpu-idle 98261 5",
            format!("cpu.0.cpu.idle{{plugin=cpu,plugin_instance=0,type=cpu,type_instance=idle}}@db-1_example Raw {{ raw: Derive(98261), {derive}"),
        ),
        (
            "h.interface-eth0.if_octets.tx 12.5 5",
            format!("interface.eth0.if_octets.tx{{plugin=interface,plugin_instance=eth0,type=if_octets}}@h Raw {{ raw: Rate(12.5), {derive}"),
        ),
        ("h.load.load.shortterm 0.5 5", "load.load.shortterm{plugin=load,type=load}@h Level(0.5) 5000000000".into()),
        // GraphiteAlwaysAppendDS
        ("h.df-root.percent-used.value 9 5", "df.root.percent.used{plugin=df,plugin_instance=root,type=percent,type_instance=used}@h Level(9.0) 5000000000".into()),
        // GraphiteSeparateInstances
        ("h.df.root.percent.used 9 5", "df.root.percent.used{}@h Level(9.0) 5000000000".into()),
        ("h.uptime 9 5", "uptime{}@h Level(9.0) 5000000000".into()),
        ("h.a;b=c 9 5", "a{b=c}@h Level(9.0) 5000000000".into()),
        ("h 9 5", "bad: BadIdentifier".into()),
        ("h.load.load.shortterm nan 5", "gap".into()),
    ] {
        assert_eq!(of_collectd(line), [told], "{line}");
    }
}

#[test]
fn a_bad_line_costs_that_line() {
    for (line, reason) in [
        ("a", "NotThreeWords"),
        ("a 1", "NotThreeWords"),
        ("a 1 1 1", "NotThreeWords"),
        ("a x 1", "NotANumber"),
        ("a inf 1", "NotANumber"),
        ("a 1 yesterday", "BadTime"),
        ("a;b 1 1", "BadTag"),
        ("a;=b 1 1", "BadTag"),
    ] {
        let told = decoded(format!("a 1 1\n{line}\na 2 2").as_bytes());
        assert_eq!(told.len(), 3, "{line}: {told:?}");
        assert_eq!(told[1], format!("bad: {reason}"), "{line}");
    }
    let many: Vec<_> = (0..=MAX_TAGS).map(|n| format!(";k{n}=v")).collect();
    let many = many.concat();
    assert_eq!(decoded(format!("a{many} 1 1").as_bytes()), ["bad: TooManyTags"]);
    assert_eq!(decoded(&[b'a'; MAX_LINE + 1]), ["bad: TooLong"]);
    assert_eq!(decoded(b"\xff 1 1"), ["bad: NotText"]);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        decoded(&bytes);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z.;=\\-é]{0,20} [0-9.naU-]{0,5} [0-9N.-]{0,5}") {
        decoded(text.as_bytes());
        of_collectd(&text);
    }

    #[test]
    fn what_is_written_is_read(
        path in "[a-z0-9_.-]{1,30}", tag in "[a-z]{1,5}", text in "[a-z0-9.=]{1,9}", level in -1e300..1e300, seconds in 0i64..9_000_000_000,
    ) {
        let wanted = format!("{path}{{{tag}={text}}}@(header) Level({level:?}) {}", i128::from(seconds) * 1_000_000_000);
        prop_assert_eq!(decoded(format!("{path};{tag}={text} {level:?} {seconds}\n").as_bytes()), [wanted]);
    }
}
