//! collectd: told the same values on several hosts, it sends them in every way that it has.

use std::{
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use kinetic_tests::collectd::Collectd;

use super::{Place, WINDOW_S, expected::Expected};

const FLUSH_EVERY: Duration = Duration::from_millis(200);

/// The ways of the amqp plugin, as sources and profiles are called, and its settings for each.
const AMQP: [(&str, &str); 4] = [
    ("command", "Format Command"),
    ("json", "Format JSON"),
    ("graphite", "Format Graphite"),
    ("rates", "Format JSON\n StoreRates true"),
];

/// The ways of the network plugin: the host that speaks so, and the settings.
const NETWORK: [(&str, &str); 3] = [
    ("open-1", "SecurityLevel None"),
    ("signed-1", "SecurityLevel Sign\n Username \"signer\"\n Password \"s3cret\""),
    ("encrypted-1", "SecurityLevel Encrypt\n Username \"cipher\"\n Password \"another: one\""),
];

/// By source, what of [`commands`] gives no sample: a value that is none, first readings, resets. Three hosts send packets.
pub(crate) const DROPPED: [(&str, &str, u32); 8] = [
    ("command", "no_value", 1),
    ("command", "no_rate", 8),
    ("json", "no_value", 1),
    ("json", "no_rate", 8),
    ("graphite", "no_value", 1),
    ("graphite", "no_rate", 8),
    ("packets", "no_value", 3),
    ("packets", "no_rate", 24),
];

/// Starts collectd once for AMQP and once for each way of the network plugin, and tells each the same.
pub(crate) fn send(place: &Place<'_>) -> Collectors {
    let publish = |(name, settings): (&str, &str)| {
        format!(
            "<Publish \"{name}\">\n Host \"127.0.0.1\"\n Port \"{}\"\n VHost \"{}\"\n User \"guest\"\n Password \"guest\"\n \
             Exchange \"kinetic.metrics\"\n RoutingKey \"collectd.{name}.web-1\"\n Persistent true\n {settings}\n</Publish>\n",
            place.broker.amqp_port(),
            place.vhost
        )
    };
    let amqp: String = AMQP.into_iter().map(publish).collect();
    let mut collectors =
        vec![(Collectd::start(&format!("LoadPlugin amqp\n<Plugin amqp>\n{amqp}</Plugin>")), "web-1")];
    for (host, settings) in NETWORK {
        let server = format!("<Server \"127.0.0.1\" \"{}\">\n {settings}\n</Server>", place.packets);
        let plugin = format!("LoadPlugin network\n<Plugin network>\n{server}\n</Plugin>");
        collectors.push((Collectd::start(&plugin), host));
    }
    for (collectd, host) in &mut collectors {
        for command in commands(place.start, host) {
            collectd.command(&command);
        }
    }
    Collectors::flushing(collectors.into_iter().map(|(collectd, _)| collectd).collect())
}

/// Collectors that empty their buffers again and again: a value that is still on its way through collectd misses a single flush.
pub(crate) struct Collectors {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Collectors {
    fn flushing(mut collectors: Vec<Collectd>) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(FLUSH_EVERY) == Err(RecvTimeoutError::Timeout) {
                for collectd in &mut collectors {
                    collectd.command("FLUSH");
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Collectors {
    fn drop(&mut self) {
        // A thread that has ended by itself has panicked, and said why.
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a host is said to have measured.
fn commands(start: i64, host: &str) -> Vec<String> {
    let values = [
        // Times of a high resolution, numbers of fifteen digits.
        ("load/load", 0, ".125", "0.5:0.25:0.125"),
        ("load/load", 10, ".125", "0.1:4321.09876543211:3e-07"),
        // A DERIVE that is reset: it must not be below zero.
        ("cpu-0/cpu-idle", 0, "", "1000"),
        ("cpu-0/cpu-idle", 10, "", "1250"),
        ("cpu-0/cpu-idle", 20, "", "50"),
        ("cpu-0/cpu-idle", 30, "", "150"),
        // A COUNTER that wraps around at 32 bits, goes far, is reset, goes farther, and wraps around at 64 bits.
        ("app/counter-hits", 0, "", "4294967290"),
        ("app/counter-hits", 10, "", "4"),
        ("app/counter-hits", 20, "", "5000000000"),
        ("app/counter-hits", 30, "", "100"),
        ("app/counter-hits", 40, "", "5000000000"),
        ("app/counter-wide", 0, "", "18446744073709551610"),
        ("app/counter-wide", 10, "", "90"),
        // What is reset by reading it.
        ("app/absolute-hits", 0, "", "70"),
        ("app/absolute-hits", 10, "", "70"),
        ("app/absolute-hits", 20, "", "5"),
        // Two values at once; instances with dashes.
        ("disk-sda/disk_octets", 0, "", "100:200"),
        ("disk-sda/disk_octets", 10, "", "1100:700"),
        ("df-root-data/df_complex-in-use", 0, "", "123456789012345"),
        // No value.
        ("app/gauge-none", 0, "", "U"),
    ];
    let mut commands: Vec<_> = values
        .iter()
        .map(|(identifier, after, fraction, values)| {
            format!("PUTVAL \"{host}/{identifier}\" interval={WINDOW_S} {}{fraction}:{values}", start + after)
        })
        .collect();
    commands
        .push(format!("PUTNOTIF message=\"it is full\" severity=failure time={start} host={host} plugin=df"));
    commands
}

/// What they come out as.
pub(crate) fn expected(place: &Place<'_>) -> Vec<Expected> {
    let raw = ["command", "json", "graphite"].map(|source| (source, "web-1"));
    let packets = NETWORK.map(|(host, _)| ("packets", host));
    let mut expected: Vec<_> = raw
        .into_iter()
        .chain(packets)
        .flat_map(|(source, host)| of_host(place.start, source, host))
        .collect();
    // What collectd made a rate of itself looks like a reading where it is a whole number; levels and fractions do not.
    let told = |series: &Expected| {
        ["load.", "df.", "app.counter.wide"].iter().any(|begin| series.metric.starts_with(begin))
    };
    expected.extend(of_host(place.start, "rates", "web-1").into_iter().filter(told));
    expected
}

fn of_host(start: i64, source: &'static str, origin: &'static str) -> Vec<Expected> {
    let cpu = vec![("plugin", "cpu"), ("plugin_instance", "0"), ("type", "cpu"), ("type_instance", "idle")];
    let app = |kind, instance| vec![("plugin", "app"), ("type", kind), ("type_instance", instance)];
    let disk = vec![("plugin", "disk"), ("plugin_instance", "sda"), ("type", "disk_octets")];
    let df = vec![
        ("plugin", "df"),
        ("plugin_instance", "root-data"),
        ("type", "df_complex"),
        ("type_instance", "in-use"),
    ];
    let load = vec![("plugin", "load"), ("type", "load")];
    let series = [
        ("load.load.shortterm", load.clone(), vec![(0, 0.5), (10, 0.1)]),
        ("load.load.midterm", load.clone(), vec![(0, 0.25), (10, 4_321.098_765_432_11)]),
        ("load.load.longterm", load, vec![(0, 0.125), (10, 3e-7)]),
        ("cpu.0.cpu.idle", cpu, vec![(10, 25.0), (30, 10.0)]),
        (
            "app.counter.hits",
            app("counter", "hits"),
            vec![(10, 1.0), (20, 499_999_999.6), (40, 499_999_990.0)],
        ),
        ("app.counter.wide", app("counter", "wide"), vec![(10, 9.6)]),
        ("app.absolute.hits", app("absolute", "hits"), vec![(10, 7.0), (20, 0.5)]),
        ("disk.sda.disk_octets.read", disk.clone(), vec![(10, 100.0)]),
        ("disk.sda.disk_octets.write", disk, vec![(10, 50.0)]),
        ("df.root-data.df_complex.in-use", df, vec![(0, 123_456_789_012_345.0)]),
    ];
    series
        .into_iter()
        .map(|(metric, tags, values)| {
            let window =
                |(after, value): (i64, f64)| (Some(start + after), vec![("count", 1.0), ("last", value)]);
            let windows = values.into_iter().map(window).collect();
            Expected { source, metric: metric.to_owned(), tags, origin, kind: "gauge", windows }
        })
        .collect()
}
