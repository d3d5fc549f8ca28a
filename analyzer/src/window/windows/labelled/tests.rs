use std::{borrow::Cow, collections::BTreeMap};

use kinetic_api::{plan::OriginRule, series::SeriesName, statistic::Statistic};

use super::*;
use crate::{
    decode::{
        MetricType,
        collectd::{putval, types_db::TypesDb},
        graphite::{self, Paths},
        influx, json,
    },
    window::{Accumulator, Names, Needs, Window, WindowConfig},
};

/// Start in seconds and `series=mean` of each window that closed.
#[derive(Default)]
struct Log {
    names: BTreeMap<SeriesId, (String, MetricType)>,
    told: Vec<String>,
}

impl WindowSink for Log {
    fn series(&mut self, id: SeriesId, name: &SeriesName, kind: MetricType, _: &Names) -> Option<Needs> {
        self.names.insert(id, (name.to_string(), kind));
        Some(Needs { quantiles: false, cardinality: true, moments: false })
    }

    fn closed(
        &mut self,
        window: Window,
        _: &Names,
        values: &mut dyn Iterator<Item = (SeriesId, Cow<'_, Accumulator>)>,
    ) {
        for (id, accumulator) in values {
            let (name, kind) = &self.names[&id];
            let statistic = match kind {
                MetricType::Counter => Statistic::Sum,
                MetricType::Set => Statistic::Cardinality,
                _ => Statistic::Mean,
            };
            let value = accumulator.statistic(statistic, 10_000).unwrap();
            self.told.push(format!("{} {name}={value}", window.start_ms / 1000));
        }
    }

    fn evicted(&mut self, id: SeriesId, _: &Names) {
        self.names.remove(&id);
    }
}

struct Bench {
    windows: Windows,
    log: Log,
}

impl Bench {
    fn new(origin: OriginRule) -> Self {
        Self::with(origin, 1000, 3_600_000)
    }

    fn with(origin: OriginRule, max_series: usize, idle_series_ms: i64) -> Self {
        let config =
            WindowConfig { interval_ms: 10_000, lateness_ms: 10_000, origin, max_series, idle_series_ms };
        Self { windows: Windows::new(config), log: Log::default() }
    }

    fn add(&mut self, header: &str, decode: impl FnOnce(&mut dyn SampleSink)) -> &mut Self {
        self.windows.add_labelled(MessageContext { origin: Some(header) }, None, &mut self.log, decode);
        self
    }

    fn influx(&mut self, header: &str, body: &str) -> &mut Self {
        self.add(header, |sink| influx::decode(body.as_bytes(), sink))
    }

    fn putval(&mut self, header: &str, body: &str) -> &mut Self {
        self.add(header, |sink| putval::decode(body.as_bytes(), &TypesDb::standard(), sink))
    }

    fn told(&mut self) -> Vec<String> {
        self.windows.finish(&mut self.log);
        std::mem::take(&mut self.log.told)
    }
}

fn header(name: &str) -> OriginRule {
    OriginRule::Header(name.into())
}

#[test]
fn rates_go_into_the_window_of_the_later_reading() {
    let mut bench = Bench::new(header("origin"));
    for (second, octets) in [(10, 100), (20, 350), (30, 50), (40, 60)] {
        bench.putval(
            "",
            &format!("PUTVAL h/interface-eth0/if_octets interval=10 {second}.000:{octets}:{second}"),
        );
    }
    let told = bench.told();
    let [rx, tx] = ["rx", "tx"].map(|source| {
        format!("interface.eth0.if_octets.{source}{{plugin=interface,plugin_instance=eth0,type=if_octets}}@h")
    });
    assert_eq!(
        told,
        [
            format!("20 {rx}=25"),
            format!("20 {tx}=1"),
            format!("30 {tx}=1"),
            format!("40 {rx}=1"),
            format!("40 {tx}=1"),
        ]
    );
    let counters = bench.windows.counters();
    assert_eq!((counters.samples, counters.unrated, counters.bad_lines), (8, 3, 0));
}

#[test]
fn a_late_reading_is_no_sample_but_what_the_next_is_compared_with() {
    let mut bench = Bench::new(header("origin"));
    bench.putval("", "PUTVAL h/p/absolute 10:1").influx("", "clock v=1 1000");
    bench.putval("", "PUTVAL h/p/absolute 500:1");
    assert_eq!(bench.windows.counters().late, 1);
    bench.putval("", "PUTVAL h/p/absolute 1000:50");
    assert_eq!(bench.told(), ["1000 p.absolute{plugin=p,type=absolute}@h=0.1", "1000 clock.v=1"]);
}

#[test]
fn who_is_the_origin() {
    let rule_tag = OriginRule::Tag("dc".into());
    let rule_pattern = OriginRule::Pattern { glob: "srv.*.**".parse().unwrap(), segment: 1 };
    for (rule, sent_header, line, name) in [
        (header("origin"), "", "cpu,host=web-1,a=b v=1 5", "cpu.v{a=b}@web-1"),
        (header("origin"), "relay", "cpu,host=web-1 v=1 5", "cpu.v{host=web-1}@relay"),
        (header("origin"), "", "cpu v=1 5", "cpu.v"),
        (rule_tag.clone(), "", "cpu,host=web-1,dc=x v=1 5", "cpu.v{host=web-1}@x"),
        (rule_tag.clone(), "", "cpu,host=web-1 v=1 5", "cpu.v@web-1"),
        (rule_pattern.clone(), "relay", "srv.web-1.cpu,a=b v=1 5", "srv.cpu.v{a=b}@web-1"),
        (rule_pattern, "", "cpu,host=web-2 v=1 5", "cpu.v@web-2"),
    ] {
        let told = Bench::new(rule.clone()).influx(sent_header, line).told();
        assert_eq!(told, [format!("0 {name}=1")], "{rule:?} {sent_header} {line}");
    }
    for (rule, sent_header, name) in [
        (header("origin"), "relay", "load{plugin=p,type=load}@h"),
        (header("x-dc"), "east", "load{plugin=p,type=load}@east"),
        (header("x-dc"), "", "load{plugin=p,type=load}@h"),
        (OriginRule::Tag("plugin".into()), "relay", "load{type=load}@p"),
        (
            OriginRule::Pattern { glob: "*.load".parse().unwrap(), segment: 0 },
            "relay",
            "load{plugin=p,type=load}@p",
        ),
    ] {
        let line = "PUTVAL h/p/gauge 5:1".replace("gauge", "load");
        let types = {
            let mut types = TypesDb::default();
            types.add("load value:GAUGE:0:U").unwrap();
            types
        };
        let name =
            if matches!(rule, OriginRule::Pattern { .. }) { name.to_owned() } else { format!("p.{name}") };
        let told = Bench::new(rule.clone())
            .add(sent_header, |sink| putval::decode(line.as_bytes(), &types, sink))
            .told();
        assert_eq!(told, [format!("0 {name}=1")], "{rule:?} {sent_header}");
    }
}

#[test]
fn every_format_spells_a_series_of_collectds_alike() {
    let mut bench = Bench::new(header("origin"));
    let types = TypesDb::standard();
    bench.putval("", "PUTVAL h/df-root/df_complex-free 5:1");
    let json = r#"{"values":[2],"dstypes":["gauge"],"dsnames":["value"],"time":6,"host":"h","plugin":"df","plugin_instance":"root","type":"df_complex","type_instance":"free"}"#;
    bench.add("", |sink| json::decode(json.as_bytes(), &types, sink));
    bench.add("", |sink| graphite::decode(b"h.df-root.df_complex-free 6 7", Paths::Collectd(&types), sink));
    let name = "df.root.df_complex.free{plugin=df,plugin_instance=root,type=df_complex,type_instance=free}@h";
    assert_eq!(bench.told(), [format!("0 {name}=3")]);
}

#[test]
fn every_kind_of_value() {
    let mut bench = Bench::new(header("origin"));
    for (name, kind, value) in [
        ("n", "incremental", r#""counter":{"value":2.5}"#),
        ("n", "incremental", r#""counter":{"value":1}"#),
        ("level", "absolute", r#""gauge":{"value":10}"#),
        ("level", "incremental", r#""gauge":{"value":-4}"#),
        ("users", "incremental", r#""set":{"values":["a","b","a"]}"#),
        (
            "time",
            "incremental",
            r#""distribution":{"samples":[{"value":1,"rate":3},{"value":9,"rate":1}],"statistic":"summary"}"#,
        ),
    ] {
        let body =
            format!(r#"{{"name":"{name}","timestamp":"1970-01-01T00:00:05Z","kind":"{kind}",{value}}}"#);
        bench.add("v", |sink| json::decode(body.as_bytes(), &TypesDb::standard(), sink));
    }
    assert_eq!(bench.told(), ["0 n@v=3.5", "0 level@v=8", "0 users@v=2", "0 time@v=3"]);
}

#[test]
fn names_are_checked_and_bounded() {
    let mut bench = Bench::new(header("origin"));
    bench.influx("", &format!("{} v=1 5", "a".repeat(600)));
    bench.influx("", &format!("a,b={} v=1 5", "c".repeat(600)));
    bench.influx("", "a,b=\u{7f} v=1 5");
    bench.add("", |sink| {
        json::decode(
            br#"{"name":"a\u001b","kind":"absolute","gauge":{"value":1}}"#,
            &TypesDb::standard(),
            sink,
        );
    });
    // The last one has no time at all.
    assert_eq!((bench.windows.counters().bad_lines, bench.windows.counters().samples), (3, 1));
    assert_eq!(bench.windows.take_bad_line().map(|bad| bad.reason), Some(BadLineReason::NameTooLong));
    assert_eq!(bench.windows.counters().untimed, 1);
    assert_eq!(bench.told(), [""; 0]);
}

#[test]
fn series_are_bounded_and_forgotten_with_their_readings() {
    let mut bench = Bench::with(header("origin"), 2, 100_000);
    bench.putval("", "PUTVAL h/a/derive 10:5\nPUTVAL h/b/derive 10:5\nPUTVAL h/c/derive 10:5");
    let counters = bench.windows.counters();
    assert_eq!((counters.series, counters.dropped_series, counters.unrated), (2, 1, 2));
    bench.influx("", "clock v=1 1000");
    bench.influx("", "clock v=1 2000");
    assert_eq!(bench.windows.counters().dropped_series, 2);
    bench.putval("", "PUTVAL h/c/derive 2000:7");
    assert_eq!(bench.windows.counters().unrated, 3, "what had its id is forgotten");
}

#[test]
fn times_beyond_reason_are_none() {
    let mut bench = Bench::new(header("origin"));
    bench.windows.add_labelled(MessageContext::default(), Some(i64::MAX), &mut bench.log, |sink| {
        influx::decode(b"a v=1", sink);
    });
    bench.influx("", "a v=1");
    assert_eq!(bench.windows.counters().untimed, 2);
    bench.windows.tick(100_000, &mut bench.log);
    bench.influx("", "a v=1\na v=1 9000000000");
    assert_eq!((bench.windows.counters().untimed, bench.windows.counters().future), (2, 1));
    assert_eq!(bench.told(), ["100 a.v=1"]);
}
