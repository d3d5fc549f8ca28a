//! What goes wrong, where, and from when to when. Pure.

use clap::ValueEnum;
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use serde::Serialize;

/// What kind of traffic is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scenario {
    /// One host's checkout takes three times as long.
    SlowHost,
    /// One host gets a tenth of its requests.
    Drop,
    /// One host says nothing any more.
    SilentHost,
    /// All of one host's pages get slower, bit by bit, up to 2.5 times.
    Drift,
    /// All of one host's pages take five times as long, for a minute.
    Spike,
    /// Nothing goes wrong; one timer only, packed many values a line.
    Noise,
}

/// How service times scatter around their mean; the standard deviation is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Tails {
    /// As the normal distribution.
    Normal,
    /// Student's t with three degrees of freedom: outliers are common.
    StudentT,
}

/// A page of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Checkout,
    Home,
    Search,
}

impl Page {
    pub(super) const ALL: [Self; 3] = [Self::Checkout, Self::Home, Self::Search];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::Home => "home",
            Self::Search => "search",
        }
    }

    /// Mean service time in milliseconds.
    pub(super) fn mean_ms(self) -> f64 {
        match self {
            Self::Checkout => 120.0,
            Self::Home => 40.0,
            Self::Search => 80.0,
        }
    }
}

/// What a user asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wish {
    pub(super) scenario: Scenario,
    pub(super) seed: u64,
    pub(super) hosts: u32,
    /// Requests per second and host.
    pub(super) rate: f64,
    pub(super) tails: Tails,
    /// Milliseconds since the epoch.
    pub(super) start_ms: i64,
    pub(super) duration_ms: u64,
    /// When the anomaly shall begin, in milliseconds from the start.
    pub(super) at_ms: Option<u64>,
}

/// All that the traffic follows from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) scenario: Scenario,
    pub(super) seed: u64,
    pub(super) hosts: u32,
    pub(super) rate: f64,
    pub(super) tails: Tails,
    /// Milliseconds since the epoch.
    pub(super) start_ms: i64,
    pub(super) duration_ms: u64,
    /// What goes wrong; in noise, nothing.
    pub(super) anomaly: Option<Anomaly>,
}

/// What goes wrong with one host for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anomaly {
    pub(super) fault: Fault,
    /// Which host, from 0.
    pub(super) host: u32,
    /// Milliseconds from the start: the first that it holds for …
    pub(super) from_ms: u64,
    /// … and the first after it.
    pub(super) to_ms: u64,
}

/// How something goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    SlowHost,
    Drop,
    SilentHost,
    Drift,
    Spike,
}

/// Runs up to this length show their anomaly early.
const SHORT_MS: u64 = 180_000;
const EARLY_MS: u64 = 25_000;
const MINUTE_MS: u64 = 60_000;
/// A drift has crept to its factor after so long, however long it lasts.
const CREEP_MS: u64 = 600_000;

impl Plan {
    pub(super) fn new(wish: &Wish) -> Self {
        let &Wish { scenario, seed, hosts, rate, tails, start_ms, duration_ms, at_ms } = wish;
        let anomaly = scenario.fault().map(|fault| {
            let host = Xoshiro256PlusPlus::seed_from_u64(seed).random_range(0..hosts);
            let (from_ms, to_ms) = placement(fault, duration_ms, at_ms);
            Anomaly { fault, host, from_ms, to_ms }
        });
        Self { scenario, seed, hosts, rate, tails, start_ms, duration_ms, anomaly }
    }
}

/// From when to when, in milliseconds from the start: the rule that `--help` tells.
fn placement(fault: Fault, duration_ms: u64, at_ms: Option<u64>) -> (u64, u64) {
    let usual = if duration_ms <= SHORT_MS { EARLY_MS.min(duration_ms / 3) } else { duration_ms / 2 };
    let from = at_ms.unwrap_or(usual).min(duration_ms);
    let to = match fault {
        Fault::Spike => from + MINUTE_MS,
        Fault::SlowHost | Fault::Drop | Fault::SilentHost | Fault::Drift => {
            (duration_ms / 5 * 4).max(from + MINUTE_MS)
        }
    };
    (from, to.min(duration_ms))
}

impl Scenario {
    fn fault(self) -> Option<Fault> {
        match self {
            Self::SlowHost => Some(Fault::SlowHost),
            Self::Drop => Some(Fault::Drop),
            Self::SilentHost => Some(Fault::SilentHost),
            Self::Drift => Some(Fault::Drift),
            Self::Spike => Some(Fault::Spike),
            Self::Noise => None,
        }
    }

    /// The pages that are requested.
    pub(super) fn pages(self) -> &'static [Page] {
        match self {
            Self::Noise => &[Page::Checkout],
            _ => &Page::ALL,
        }
    }
}

impl Fault {
    /// What service times or requests are multiplied by, at the most.
    pub(super) fn factor(self) -> f64 {
        match self {
            Self::SlowHost => 3.0,
            Self::Drop => 0.1,
            Self::SilentHost => 0.0,
            Self::Drift => 2.5,
            Self::Spike => 5.0,
        }
    }
}

impl Anomaly {
    /// What a page's service time is multiplied by on the host, `at_ms` from the start.
    pub(super) fn time_factor(&self, page: Page, at_ms: f64) -> f64 {
        let (from, to) = (self.from_ms as f64, self.to_ms as f64);
        if at_ms < from || at_ms >= to {
            return 1.0;
        }
        let factor = self.fault.factor();
        match self.fault {
            Fault::SlowHost if page == Page::Checkout => factor,
            Fault::Spike => factor,
            Fault::Drift => {
                1.0 + (factor - 1.0) * ((at_ms - from) / (to - from).min(CREEP_MS as f64)).min(1.0)
            }
            Fault::SlowHost | Fault::Drop | Fault::SilentHost => 1.0,
        }
    }

    /// What the host's request rate is multiplied by, `at_ms` from the start.
    pub(super) fn request_factor(&self, at_ms: f64) -> f64 {
        if self.fault == Fault::Drop && self.holds(at_ms) { self.fault.factor() } else { 1.0 }
    }

    /// Whether the host says nothing, `at_ms` from the start.
    pub(super) fn silent(&self, at_ms: f64) -> bool {
        self.fault == Fault::SilentHost && self.holds(at_ms)
    }

    fn holds(&self, at_ms: f64) -> bool {
        at_ms >= self.from_ms as f64 && at_ms < self.to_ms as f64
    }
}

/// The name of a host, from 0: `web-1`, `web-2`, …
pub(super) fn host_name(host: u32) -> String {
    format!("web-{}", host + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_runs_show_it_early_and_long_ones_after_the_warm_up() {
        let place = |seconds: u64| {
            let (from, to) = placement(Fault::SlowHost, seconds * 1000, None);
            (from / 1000, to / 1000)
        };
        assert_eq!(place(60), (20, 60));
        assert_eq!(place(90), (25, 85));
        assert_eq!(place(180), (25, 144));
        assert_eq!(place(600), (300, 480));
        assert_eq!(place(86_400), (43_200, 69_120));
        assert_eq!(placement(Fault::Spike, 3_600_000, None), (1_800_000, 1_860_000));
        assert_eq!(placement(Fault::Drop, 600_000, Some(25_000)), (25_000, 480_000));
        assert_eq!(placement(Fault::Drop, 600_000, Some(900_000)), (600_000, 600_000));
    }

    #[test]
    fn the_seed_picks_the_host_and_every_host_can_be_picked() {
        let host = |seed| {
            let wish = Wish {
                scenario: Scenario::SlowHost,
                seed,
                hosts: 8,
                rate: 10.0,
                tails: Tails::Normal,
                start_ms: 0,
                duration_ms: 120_000,
                at_ms: None,
            };
            Plan::new(&wish).anomaly.unwrap().host
        };
        let hosts: Vec<u32> = (0..200).map(host).collect();
        assert!((0..8).all(|wanted| hosts.contains(&wanted)), "{hosts:?}");
        assert_eq!(host(5), host(5));
    }

    #[test]
    fn a_drift_creeps() {
        let drift = Anomaly { fault: Fault::Drift, host: 0, from_ms: 1000, to_ms: 3000 };
        let factor = |at: f64| drift.time_factor(Page::Home, at);
        for (at, expected) in [(999.0, 1.0), (1000.0, 1.0), (2000.0, 1.75), (2999.99, 2.5), (3000.0, 1.0)] {
            assert!((factor(at) - expected).abs() < 1e-4, "{at}: {}", factor(at));
        }
        let lasting = Anomaly { to_ms: 7_200_000, ..drift };
        let factor = |minutes: f64| lasting.time_factor(Page::Home, 1000.0 + minutes * 60_000.0);
        for (minutes, expected) in [(0.0, 1.0), (5.0, 1.75), (10.0, 2.5), (100.0, 2.5)] {
            assert!((factor(minutes) - expected).abs() < 1e-9, "{minutes}: {}", factor(minutes));
        }
    }
}
