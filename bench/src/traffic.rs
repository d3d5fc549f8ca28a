//! Statsd traffic as a fleet sends it; the same on every run.

/// Statsd messages, each with as many lines as fit.
pub struct Traffic {
    /// Origin (by number) and body.
    pub messages: Vec<(usize, Vec<u8>)>,
    /// The origins' names.
    pub origins: Vec<String>,
    /// How many samples there are.
    pub samples: u64,
}

const SERVICES: [&str; 10] =
    ["checkout", "search", "catalog", "cart", "login", "images", "payment", "stock", "reviews", "mailer"];
const WHATS: [&str; 8] =
    ["request", "db.query", "cache.get", "queue.publish", "render", "auth.token", "upstream", "gc"];
const ZONES: [&str; 3] = ["eu-west-1a", "eu-west-1b", "eu-west-1c"];

impl Traffic {
    /// `samples` samples of `series` series, each as often as any other and in no order, in messages of `message` bytes at most.
    pub fn new(series: usize, samples: usize, message: usize) -> Self {
        Self::of(line, series, samples, message)
    }

    /// The same without tags and sets: what every statsd server understands.
    pub fn plain(series: usize, samples: usize, message: usize) -> Self {
        Self::of(plain_line, series, samples, message)
    }

    fn of(
        line: fn(usize, usize, &mut Random) -> String,
        series: usize,
        samples: usize,
        message: usize,
    ) -> Self {
        let mut random = Random(0x5eed);
        let hosts = (series / 200).max(5);
        let origins = (0..hosts).map(|h| format!("web-{h}")).collect();
        let mut bodies = vec![Vec::with_capacity(message); hosts];
        let mut messages = Vec::new();
        let mut order: Vec<usize> = (0..series).collect();
        let mut sent = 0;
        while sent < samples {
            for at in (1..series).rev() {
                order.swap(at, random.below(at + 1));
            }
            for series in order.iter().take(samples - sent) {
                let host = series % hosts;
                let line = line(*series, host, &mut random);
                if bodies[host].len() + line.len() > message {
                    messages.push((host, std::mem::take(&mut bodies[host])));
                }
                bodies[host].extend_from_slice(line.as_bytes());
            }
            sent += series;
        }
        messages.extend(bodies.into_iter().enumerate().filter(|(_, body)| !body.is_empty()));
        Self { messages, origins, samples: samples as u64 }
    }

    /// How many bytes there are.
    pub fn bytes(&self) -> u64 {
        self.messages.iter().map(|(_, body)| body.len() as u64).sum()
    }
}

/// A line of this series: nine timers and histograms, six counters, three gauges and two sets among twenty.
fn line(series: usize, host: usize, random: &mut Random) -> String {
    let metric = series / 7;
    let service = SERVICES[metric % SERVICES.len()];
    let what = WHATS[metric / SERVICES.len() % WHATS.len()];
    let route = metric / SERVICES.len() / WHATS.len();
    let tags = match series % 4 {
        0 => String::new(),
        1 => format!("|#env:prod,route:r{route}"),
        _ => format!("|#env:prod,zone:{},version:1.{}.0,route:r{route}", ZONES[host % 3], series % 7),
    };
    let name = format!("shop.{service}.{what}.{series}");
    let n = random.below(1_000_000);
    match series % 20 {
        0..7 => format!("{name}.time:{}.{}|ms{tags}\n", n % 900, n % 7),
        7..9 => format!("{name}.size:{}|h|@0.5{tags}\n", n % 20_000),
        9..13 => format!("{name}.count:1|c{tags}\n"),
        13..15 => format!("{name}.bytes:{n}|c|@0.1{tags}\n"),
        15..18 => format!("{name}.used:{}.{}|g{tags}\n", n % 100, n % 10),
        _ => format!("{name}.users:u{}|s{tags}\n", n % 5000),
    }
}

/// A line of this series: ten timers and histograms, seven counters and three gauges among twenty.
fn plain_line(series: usize, _: usize, random: &mut Random) -> String {
    let service = SERVICES[series % SERVICES.len()];
    let what = WHATS[series / SERVICES.len() % WHATS.len()];
    let name = format!("shop.{service}.{what}.{series}");
    let n = random.below(1_000_000);
    match series % 20 {
        0..8 => format!("{name}.time:{}.{}|ms\n", n % 900, n % 7),
        8..10 => format!("{name}.size:{}|h|@0.5\n", n % 20_000),
        10..15 => format!("{name}.count:1|c\n"),
        15..17 => format!("{name}.bytes:{n}|c|@0.1\n"),
        _ => format!("{name}.used:{}.{}|g\n", n % 100, n % 10),
    }
}

/// A multiplicative congruential generator (Lehmer): enough to shuffle.
struct Random(u128);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(0xda94_2042_e4dd_58b5) | 1;
        usize::try_from((self.0 >> 66) % bound as u128).expect("it is below a usize")
    }
}
