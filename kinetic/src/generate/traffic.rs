//! The shop's lines, host by host, in event time. Pure: the plan alone decides every byte.
//!
//! Each page of each host is a random stream of its own, so that an anomaly changes nothing but what it is about, and
//! slices of any length give the same samples. Requests are dealt evenly, as a load balancer does: the gaps between
//! them scatter by 30 % around their mean, which keeps counts far steadier than a Poisson process would.

use rand::{Rng, RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use rand_distr::StandardNormal;

use super::{
    line::{Lines, Stamp},
    scenario::{Anomaly, Page, Plan, Scenario, Tails, host_name},
};

/// The standard deviation of a service time, as a part of its mean.
const TIME_SPREAD: f64 = 0.2;
/// The standard deviation of the gap between requests, as a part of its mean.
const GAP_SPREAD: f64 = 0.3;
/// No gap is shorter than this part of the mean.
const MIN_GAP: f64 = 0.05;
/// How often a checkout fails.
const ERRORS: f64 = 0.01;
const LOAD_MEAN: f64 = 0.4;
const LOAD_SPREAD: f64 = 0.05;
const SECOND_MS: f64 = 1000.0;

/// All hosts' streams, each at the time that it has reached.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    tails: Tails,
    anomaly: Option<Anomaly>,
    stamp: Stamp,
    hosts: Vec<Host>,
}

#[derive(Clone, Debug)]
struct Host {
    /// What follows the type, such as `#host:web-1,env:prod`.
    tags: String,
    kind: Kind,
}

/// What a host sends.
#[derive(Clone, Debug)]
enum Kind {
    /// Timers, counters and a gauge.
    Shop(Box<Shop>),
    /// The checkout's timer, as many values a line as a second has.
    Noise(Stream),
}

#[derive(Clone, Debug)]
struct Shop {
    pages: [PageStream; 3],
    load: Stream,
}

#[derive(Clone, Debug)]
struct PageStream {
    page: Page,
    time: String,
    requests: String,
    stream: Stream,
}

/// Random numbers, and when the next event is due.
#[derive(Clone, Debug)]
struct Stream {
    rng: Xoshiro256PlusPlus,
    /// Milliseconds from the start.
    next_ms: f64,
    gap_ms: f64,
}

impl Traffic {
    pub(super) fn new(plan: &Plan, stamp: Stamp) -> Self {
        let mut master = Xoshiro256PlusPlus::seed_from_u64(plan.seed);
        let pages = plan.scenario.pages();
        let gap_ms = SECOND_MS * pages.len() as f64 / plan.rate;
        let mut host = |host: u32| {
            let mut stream = |gap_ms| Stream::new(Xoshiro256PlusPlus::from_rng(&mut master), gap_ms);
            let kind = if plan.scenario == Scenario::Noise {
                Kind::Noise(stream(gap_ms))
            } else {
                let pages = Page::ALL.map(|page| PageStream::new(page, stream(gap_ms)));
                Kind::Shop(Box::new(Shop { pages, load: stream(SECOND_MS) }))
            };
            // Noise is for false alarms, which depend on how many feeds a group has: racks of 4, rows of 10, halls of 50.
            let groups = match kind {
                Kind::Noise(_) => format!(",rack:{},row:{},hall:{}", host / 4, host / 10, host / 50),
                Kind::Shop(_) => String::new(),
            };
            Host { tags: format!("#host:{},env:prod{groups}", host_name(host)), kind }
        };
        let hosts = (0..plan.hosts).map(&mut host).collect();
        Self { tails: plan.tails, anomaly: plan.anomaly, stamp, hosts }
    }

    /// How many hosts there are.
    pub(super) fn hosts(&self) -> u32 {
        u32::try_from(self.hosts.len()).expect("they were counted by a u32")
    }

    /// Appends to `out` the lines of one host (from 0) from where it is up to `until_ms` (exclusive), each with a
    /// newline. Gives the number of samples.
    pub(super) fn advance(&mut self, host: u32, until_ms: u64, out: &mut Vec<u8>) -> u64 {
        let anomaly = self.anomaly.filter(|anomaly| anomaly.host == host);
        let Host { tags, kind } = &mut self.hosts[host as usize];
        let mut lines = Lines::new(out, tags, self.stamp);
        let (until, tails) = (until_ms as f64, self.tails);
        match kind {
            Kind::Noise(stream) => {
                while stream.next_ms < until {
                    let value = service_time(&mut stream.rng, tails, Page::Checkout.mean_ms());
                    lines.pack("page.checkout.time:", value, "|ms|", stream.next_ms);
                    stream.next_ms += stream.gap_ms;
                }
            }
            Kind::Shop(shop) => {
                let Shop { pages, load } = &mut **shop;
                for page in pages {
                    page.advance(until, tails, anomaly, &mut lines);
                }
                while load.next_ms < until {
                    let value = LOAD_MEAN + LOAD_SPREAD * load.normal();
                    if !anomaly.is_some_and(|anomaly| anomaly.silent(load.next_ms)) {
                        lines.sample("host.load:", value.max(0.0), "|g|", load.next_ms);
                    }
                    load.next_ms += load.gap_ms;
                }
            }
        }
        lines.finish()
    }
}

impl PageStream {
    fn new(page: Page, stream: Stream) -> Self {
        let name = page.name();
        Self { page, time: format!("page.{name}.time:"), requests: format!("page.{name}.requests:"), stream }
    }

    fn advance(&mut self, until: f64, tails: Tails, anomaly: Option<Anomaly>, lines: &mut Lines<'_>) {
        let Self { page, time, requests, stream } = self;
        while stream.next_ms < until {
            let at = stream.next_ms;
            let factor = anomaly.map_or(1.0, |anomaly| anomaly.time_factor(*page, at));
            let value = service_time(&mut stream.rng, tails, page.mean_ms()) * factor;
            let failed = *page == Page::Checkout && stream.rng.random_bool(ERRORS);
            if !anomaly.is_some_and(|anomaly| anomaly.silent(at)) {
                lines.sample(time, value, "|ms|", at);
                lines.one(requests, at);
                if failed {
                    lines.one("page.checkout.errors:", at);
                }
            }
            let scatter = (1.0 + GAP_SPREAD * stream.normal()).max(MIN_GAP);
            let rate = anomaly.map_or(1.0, |anomaly| anomaly.request_factor(at));
            stream.next_ms += stream.gap_ms * scatter / rate;
        }
    }
}

impl Stream {
    /// The first event comes somewhere within the first gap.
    fn new(mut rng: Xoshiro256PlusPlus, gap_ms: f64) -> Self {
        let next_ms = gap_ms * rng.random::<f64>();
        Self { rng, next_ms, gap_ms }
    }

    fn normal(&mut self) -> f64 {
        self.rng.sample(StandardNormal)
    }
}

/// A service time around its mean, never below zero.
fn service_time(rng: &mut impl Rng, tails: Tails, mean: f64) -> f64 {
    let mut normal = || -> f64 { rng.sample(StandardNormal) };
    let deviation = match tails {
        Tails::Normal => normal(),
        // t₃ = z / √(χ²₃ / 3), over its own standard deviation √3.
        Tails::StudentT => normal() / (normal().powi(2) + normal().powi(2) + normal().powi(2)).sqrt(),
    };
    (mean * (1.0 + TIME_SPREAD * deviation)).max(0.0)
}
