use std::{borrow::Cow, collections::BTreeMap};

use kinetic_api::statistic::Statistic;
use proptest::prelude::*;

use super::*;
use crate::window::{Accumulator, Names, Needs};

/// Remembers all that it is told.
#[derive(Debug, Default)]
struct Log {
    names: BTreeMap<SeriesId, String>,
    closed: Vec<(Window, Vec<(String, Accumulator)>)>,
    evicted: Vec<SeriesId>,
    ignored: &'static str,
}

impl WindowSink for Log {
    fn series(&mut self, id: SeriesId, name: &SeriesName, _: MetricType, _: &Names) -> Option<Needs> {
        assert_eq!(self.names.insert(id, name.to_string()), None, "{id:?} is taken");
        (self.ignored.is_empty() || !name.metric.starts_with(self.ignored)).then_some(Needs {
            quantiles: true,
            cardinality: true,
            moments: true,
        })
    }

    fn closed(
        &mut self,
        window: Window,
        _: &Names,
        values: &mut dyn Iterator<Item = (SeriesId, Cow<'_, Accumulator>)>,
    ) {
        let values: Vec<_> = values.map(|(id, a)| (id, a.into_owned())).collect();
        assert!(values.is_sorted_by(|a, b| a.0 < b.0), "in order of id, none twice");
        let named = values.into_iter().map(|(id, a)| (self.names[&id].clone(), a)).collect();
        self.closed.push((window, named));
    }

    fn evicted(&mut self, id: SeriesId, _: &Names) {
        assert!(self.names.remove(&id).is_some());
        self.evicted.push(id);
    }
}

impl Log {
    /// Start in seconds, and `name=sum` of each series.
    fn sums(&self) -> Vec<(i64, String)> {
        self.closed
            .iter()
            .map(|(window, values)| {
                let sums: Vec<_> = values
                    .iter()
                    .map(|(name, a)| {
                        format!("{name}={}", a.statistic(Statistic::Sum, 10_000).unwrap_or(f64::NAN))
                    })
                    .collect();
                (window.start_ms / 1000, sums.join(" "))
            })
            .collect()
    }

    fn starts(&self) -> Vec<i64> {
        self.closed.iter().map(|(window, _)| window.start_ms / 1000).collect()
    }
}

fn config() -> WindowConfig {
    WindowConfig {
        interval_ms: 10_000,
        lateness_ms: 10_000,
        origin: OriginRule::Header("origin".into()),
        max_series: 1000,
        idle_series_ms: 3_600_000,
    }
}

struct Bench {
    windows: Windows,
    log: Log,
}

impl Bench {
    fn new(config: WindowConfig) -> Self {
        Self { windows: Windows::new(config), log: Log::default() }
    }

    fn add(&mut self, seconds: i64, body: &str) {
        self.add_from("", Some(seconds * 1000), body);
    }

    fn add_from(&mut self, origin: &str, time_ms: Option<i64>, body: &str) {
        let context = MessageContext { origin: Some(origin) };
        self.windows.add_statsd(body.as_bytes(), context, time_ms, &mut self.log);
    }

    fn tick(&mut self, seconds: i64) {
        self.windows.tick(seconds * 1000, &mut self.log);
    }

    fn finish(&mut self) {
        self.windows.finish(&mut self.log);
    }
}

fn sums(of: &[(i64, &str)]) -> Vec<(i64, String)> {
    of.iter().map(|(start, text)| (*start, (*text).to_owned())).collect()
}

#[test]
fn windows_close_in_order_once_the_watermark_passes() {
    let mut bench = Bench::new(config());
    bench.add(101, "a:1|c");
    bench.add(109, "a:2|c\nb:5|c");
    bench.add(119, "a:4|c");
    assert_eq!(bench.log.sums(), []);
    bench.add(105, "a:8|c");
    bench.add(120, "a:16|c");
    assert_eq!(bench.log.sums(), sums(&[(100, "a=11 b=5")]));
    bench.add(150, "b:1|c");
    assert_eq!(bench.log.sums(), sums(&[(100, "a=11 b=5"), (110, "a=4"), (120, "a=16"), (130, "")]));
    bench.finish();
    assert_eq!(bench.log.sums()[4..], sums(&[(140, ""), (150, "b=1")]));
    assert_eq!(bench.windows.counters().windows_closed, 6);
}

#[test]
fn late_samples_are_counted_and_dropped() {
    let mut bench = Bench::new(config());
    bench.add(100, "a:1|c");
    bench.add(120, "a:1|c");
    bench.add(109, "a:1|c\nnew:1:2|ms");
    let counters = *bench.windows.counters();
    assert_eq!((counters.late, counters.samples, counters.series), (3, 5, 1));
    bench.finish();
    assert_eq!(bench.log.sums()[0], (100, "a=1".into()));
}

#[test]
fn the_lines_own_time_comes_first() {
    let mut bench = Bench::new(config());
    bench.add(500, "a:1|c|T100\na:2|c|T105");
    bench.finish();
    assert_eq!(bench.log.sums(), sums(&[(100, "a=3")]));
}

#[test]
fn without_any_time_the_last_tick_is_the_time() {
    let mut bench = Bench::new(config());
    bench.add_from("", None, "a:1|c");
    assert_eq!(bench.windows.counters().untimed, 1);
    bench.tick(105);
    bench.add_from("", None, "a:2|c");
    bench.add_from("", Some(-1), "a:4|c");
    bench.add_from("", Some(i64::MAX), "a:8|c");
    bench.finish();
    assert_eq!(bench.log.sums(), sums(&[(100, "a=2")]));
    assert_eq!(bench.windows.counters().untimed, 3);
}

#[test]
fn a_wrong_clock_moves_nothing() {
    let mut bench = Bench::new(config());
    bench.tick(100);
    bench.add(101, "a:1|c");
    bench.add(100_000, "a:2|c");
    bench.add(102, "a:4|c");
    bench.finish();
    assert_eq!(bench.log.sums(), sums(&[(100, "a=5")]));
    assert_eq!(bench.windows.counters().future, 1);
}

#[test]
fn silence_closes_windows_by_ticks() {
    let mut bench = Bench::new(config());
    bench.tick(100);
    bench.add(101, "a:1|c");
    for tick in [110, 120, 130, 140] {
        bench.tick(tick);
    }
    assert_eq!(bench.log.sums(), sums(&[(100, "a=1"), (110, ""), (120, "")]));
}

#[test]
fn a_source_that_never_speaks_has_empty_windows_from_the_first_tick_on() {
    let mut bench = Bench::new(config());
    for tick in [105, 115, 125, 135, 145] {
        bench.tick(tick);
    }
    assert_eq!(bench.log.starts(), [100, 110, 120]);
    bench.add(131, "a:1|c");
    bench.finish();
    assert_eq!(bench.log.sums()[3..], sums(&[(130, "a=1")]));
}

#[test]
fn long_gaps_are_reported_in_part() {
    let mut bench = Bench::new(config());
    bench.add(0, "a:1|c");
    bench.add(2010, "a:1|c");
    bench.finish();
    assert_eq!(bench.log.closed.len(), 202, "200 empty ones are reported whole");
    bench.add(5000, "a:1|c");
    bench.finish();
    let starts = bench.log.starts();
    assert_eq!(starts.len(), 202 + 103);
    assert_eq!(starts[202..204], [2020, 2030]);
    assert_eq!(
        starts[300..],
        [3000, 3010, 4980, 4990, 5000],
        "the sample closes up to 4990, the end the rest"
    );
}

#[test]
fn gauges_change_from_where_they_were() {
    let mut bench = Bench::new(config());
    bench.add(100, "g:10|g\ng:+5|g\ng:-20|g");
    bench.add(110, "g:+1|g");
    bench.finish();
    let last: Vec<_> =
        bench.log.closed.iter().map(|(_, v)| v[0].1.statistic(Statistic::Last, 10_000).unwrap()).collect();
    assert_eq!(last, [-5.0, -4.0]);
    let first = &bench.log.closed[0].1[0].1;
    assert_eq!(first.statistic(Statistic::Max, 10_000), Some(15.0));
}

#[test]
fn spellings_of_a_series_are_one() {
    let mut bench = Bench::new(config());
    bench.add(100, "a:1|c|#x:1,y:2\na:2|c|#y:2,x:1\na,x=1,y=2:4|c\na:8|c|#x:1");
    bench.finish();
    assert_eq!(bench.log.sums(), sums(&[(100, "a{x=1,y=2}=7 a{x=1}=8")]));
    assert_eq!(bench.windows.counters().series, 2);
}

#[test]
fn origins_and_types_make_series() {
    let mut bench = Bench::new(config());
    bench.add_from("web-1", Some(100_000), "a:1|c\na:10|ms");
    bench.add_from("web-2", Some(100_000), "a:2|c");
    bench.add_from("web-1", Some(100_000), "a:4|c");
    bench.finish();
    assert_eq!(bench.log.sums(), sums(&[(100, "a@web-1=5 a{kinetic.type=timer}@web-1=10 a@web-2=2")]));
    assert_eq!(bench.windows.name(SeriesId(2)).unwrap().to_string(), "a@web-2");
    assert_eq!(bench.windows.kind(SeriesId(1)), Some(MetricType::Timer));
    assert_eq!(bench.windows.name(SeriesId(3)), None);
}

#[test]
fn a_tags_origin_is_the_same_from_every_sender() {
    let mut bench = Bench::new(WindowConfig { origin: OriginRule::Tag("host".into()), ..config() });
    bench.add_from("relay-1", Some(100_000), "a:1|c|#host:h1");
    bench.add_from("relay-2", Some(100_000), "a:2|c|#host:h1");
    bench.finish();
    assert_eq!(bench.log.sums(), sums(&[(100, "a@h1=3")]));
}

#[test]
fn nobody_looks() {
    let mut bench = Bench::new(config());
    bench.log.ignored = "noise";
    bench.add(100, "noise.a:1:2|ms\na:1|c");
    bench.add(130, "noise.a:1|ms");
    let counters = *bench.windows.counters();
    assert_eq!((counters.samples, counters.unmatched, counters.series), (4, 3, 2));
    assert_eq!(bench.log.sums(), sums(&[(100, "a=1"), (110, "")]), "time goes on nevertheless");
}

#[test]
fn bad_lines_are_counted_and_one_is_kept() {
    let mut bench = Bench::new(config());
    bench.add(100, "a:1|c\na:x|c\nc\x07:1|c\nb:1|c\n_sc|up|0\n_e{1,1}:a|b");
    bench.add(900, "c\x07:1|c");
    let counters = *bench.windows.counters();
    assert_eq!(
        (counters.samples, counters.bad_lines, counters.events, counters.service_checks),
        (2, 3, 1, 1)
    );
    let bad = bench.windows.take_bad_line().unwrap();
    assert_eq!((bad.reason, &*bad.line), (BadLineReason::NotANumber, "a:x|c"));
    assert_eq!(bench.windows.take_bad_line(), None);
    assert_eq!(bench.log.closed.len(), 0, "a bad line's time moves nothing");
}

#[test]
fn series_are_bounded_and_forgotten_when_idle() {
    let mut bench = Bench::new(WindowConfig { max_series: 2, idle_series_ms: 60_000, ..config() });
    bench.add(100, "a:1|c\nb:1|c\nc:1|c\na:1|c");
    assert_eq!((bench.windows.counters().dropped_series, bench.windows.counters().series), (1, 2));
    for time in (110..=190).step_by(10) {
        bench.add(time, "b:1|c");
    }
    assert_eq!(bench.log.evicted, [SeriesId(0)]);
    bench.add(195, "c:4|c");
    assert_eq!(bench.log.names[&SeriesId(0)], "c");
    bench.finish();
    assert_eq!(bench.log.sums().last().unwrap(), &(190, "c=4 b=1".to_owned()));
    assert_eq!(bench.windows.counters().dropped_series, 1);
}

#[test]
fn a_series_that_is_forgotten_between_two_lines_of_a_message_is_new() {
    let mut bench = Bench::new(WindowConfig { idle_series_ms: 60_000, ..config() });
    bench.add(100, "a:1|c");
    bench.add(100, "b:2|c|T500\na:4|c|T500\nb:8|c|T500\na:16|c|T501");
    assert_eq!(bench.log.evicted, [SeriesId(0)]);
    bench.finish();
    assert_eq!(bench.log.sums().last().unwrap(), &(500, "a=20 b=10".to_owned()));
}

#[test]
fn endless_spellings_and_senders_find_their_series() {
    let mut bench =
        Bench::new(WindowConfig { max_series: 3, origin: OriginRule::Tag("host".into()), ..config() });
    for n in 0..5000 {
        bench.add_from(
            &format!("relay-{n}"),
            Some(100_000),
            &format!("a:1|c|#host:h,{}", ",".repeat(n % 40)),
        );
    }
    bench.finish();
    assert_eq!(bench.log.sums(), sums(&[(100, "a@h=5000")]));
}

/// What happens, in the order of the stream.
#[derive(Clone, Debug)]
enum Step {
    Sample { series: u8, at_ms: i64, value: i32 },
    Tick { ahead_ms: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sample = (0..5u8, -40_000..100_000i64, -100..100i32);
    let step = prop_oneof![
        8 => sample.prop_map(|(series, at_ms, value)| Step::Sample { series, at_ms, value }),
        1 => (0..30_000i64).prop_map(|ahead_ms| Step::Tick { ahead_ms }),
    ];
    prop::collection::vec(step, 0..200)
}

/// Sum and last value by window and series.
type Contents = BTreeMap<(i64, u8), (f64, f64)>;

/// The definition, without any cleverness: which samples a stream's windows hold.
fn reference(steps: &[(Step, i64)], lateness: i64) -> (Contents, [u64; 2]) {
    let (mut newest, mut tick): (Option<i64>, Option<i64>) = (None, None);
    let (mut quiet, mut spoken) = (0, false);
    let mut watermark = i64::MIN;
    let (mut late, mut future) = (0, 0);
    let mut sums = Contents::new();
    for (step, at) in steps {
        match step {
            Step::Tick { .. } => {
                let since = tick.map_or(0, |tick| at - tick);
                tick = Some(*at);
                // Of a gap between ticks nobody can tell whether it was silence, and it is given as long again.
                quiet = if since > 21_000 {
                    (quiet.min(0) - since).max(-20_000)
                } else {
                    quiet + since.min(15_000)
                };
                if !spoken && quiet > 10_000 + lateness {
                    watermark = watermark.max(at - lateness);
                }
                spoken = false;
            }
            Step::Sample { series, value, .. } => {
                let number = at.div_euclid(10_000);
                if (number + 1) * 10_000 <= watermark {
                    late += 1;
                } else if tick.is_some_and(|tick| at - tick > lateness.max(60_000)) {
                    future += 1;
                } else {
                    newest = newest.max(Some(*at));
                    watermark = watermark.max(newest.unwrap_or(*at) - lateness);
                    quiet = 0;
                    spoken = true;
                    let sum = sums.entry((number, *series)).or_insert((0.0, 0.0));
                    sum.0 += f64::from(*value);
                    sum.1 = f64::from(*value);
                }
            }
        }
    }
    (sums, [late, future])
}

/// Gives every step its time: the wall goes on by a second a step and by what ticks say.
fn timed(steps: Vec<Step>) -> Vec<(Step, i64)> {
    let mut wall = 1_000_000;
    steps
        .into_iter()
        .map(|step| {
            wall += 1_000;
            let at = match step {
                Step::Sample { at_ms, .. } => wall + at_ms,
                Step::Tick { ahead_ms } => {
                    wall += ahead_ms;
                    wall
                }
            };
            (step, at)
        })
        .collect()
}

proptest! {
    #[test]
    fn windows_are_as_defined(steps in steps(), lateness in prop::sample::select(vec![0i64, 5_000, 10_000, 35_000])) {
        let mut bench = Bench::new(WindowConfig { lateness_ms: lateness, ..config() });
        let steps = timed(steps);
        let mut samples = 0;
        for (step, at) in &steps {
            match step {
                Step::Sample { series, value, .. } => {
                    samples += 1;
                    bench.add_from("", Some(*at), &format!("s{series}:{value}|c"));
                }
                Step::Tick { .. } => bench.windows.tick(*at, &mut bench.log),
            }
        }
        bench.finish();
        let (expected, [late, future]) = reference(&steps, lateness);
        let mut seen = BTreeMap::new();
        let mut accepted = 0.0;
        for (window, values) in &bench.log.closed {
            for (name, accumulator) in values {
                let of = |statistic| accumulator.statistic(statistic, 10_000).unwrap();
                accepted += of(Statistic::Count);
                let series = name.strip_prefix('s').unwrap().parse::<u8>().unwrap();
                let key = (window.start_ms / 10_000, series);
                prop_assert_eq!(seen.insert(key, (of(Statistic::Sum), of(Statistic::Last))), None, "closed twice");
            }
        }
        prop_assert_eq!(seen, expected);
        let counters = bench.windows.counters();
        prop_assert_eq!((counters.samples, counters.late, counters.future), (samples, late, future));
        prop_assert_eq!(accepted, (samples - late - future) as f64);
        let starts: Vec<_> = bench.log.closed.iter().map(|(w, _)| w.start_ms).collect();
        prop_assert!(starts.is_sorted_by(|a, b| b - a == 10_000), "{:?}", starts);
    }

    #[test]
    fn order_within_the_lateness_does_not_matter(
        samples in prop::collection::vec((0..5u8, 0..10_000i64, 1..9u32), 1..100),
        seed in any::<u64>(),
    ) {
        let mut shuffled = samples.clone();
        let mut state = seed | 1;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
        }
        let run = |samples: &[(u8, i64, u32)]| {
            let mut bench = Bench::new(config());
            for (series, at, value) in samples {
                bench.add_from("", Some(1_005_000 + at), &format!("s{series}:{value}|ms"));
            }
            bench.finish();
            let mut sums = bench.log.sums();
            for (_, sums) in &mut sums {
                let mut parts: Vec<_> = sums.split(' ').collect();
                parts.sort_unstable();
                *sums = parts.join(" ");
            }
            sums
        };
        prop_assert_eq!(run(&samples), run(&shuffled));
    }

    #[test]
    fn how_lines_are_packed_into_messages_does_not_matter(
        lines in prop::collection::vec("[ab]{1,2}:[0-9x]{1,3}\\|(c|ms|g|s)(\\|#[xy](,[xy])?)?(\\|T10[0-9][0-9])?", 1..60),
        cuts in prop::collection::vec(any::<bool>(), 60),
    ) {
        let run = |cuts: &[bool]| {
            let mut bench = Bench::new(config());
            let mut body = String::new();
            for (line, cut) in lines.iter().zip(cuts) {
                body.push_str(line);
                body.push('\n');
                if *cut {
                    bench.add(1000, &body);
                    body.clear();
                }
            }
            bench.add(1000, &body);
            bench.finish();
            (bench.log.sums(), *bench.windows.counters())
        };
        prop_assert_eq!(format!("{:?}", run(&cuts)), format!("{:?}", run(&[false; 60])));
    }

    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..300), time in any::<i64>(), wall in any::<i64>()) {
        let mut bench = Bench::new(config());
        let context = MessageContext { origin: Some("o") };
        bench.windows.add_statsd(&body, context, Some(time), &mut bench.log);
        bench.windows.tick(wall, &mut bench.log);
        bench.windows.tick(wall.saturating_add(100_000), &mut bench.log);
        bench.windows.add_statsd(&body, context, Some(time), &mut bench.log);
        bench.finish();
    }
}
