//! statsd lines, written straight into a buffer. Pure.

/// Whether lines carry their time, as DogStatsD's `|T<seconds since the epoch>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// None: the time of arrival counts.
    Arrival,
    /// Each line has its own, counted from this start (milliseconds since the epoch).
    Line { start_ms: i64 },
}

/// So many values are packed into a line at most, which keeps it within a packet.
const MAX_PACKED: u64 = 100;

/// Writes one host's lines.
pub(super) struct Lines<'a> {
    out: &'a mut Vec<u8>,
    tags: &'a str,
    stamp: Stamp,
    samples: u64,
    packing: Option<Packing>,
}

/// A line that takes further values of its second.
struct Packing {
    second: i64,
    values: u64,
    kind: &'static str,
}

impl<'a> Lines<'a> {
    /// `tags` is what follows the type, such as `#host:web-1`.
    pub(super) fn new(out: &'a mut Vec<u8>, tags: &'a str, stamp: Stamp) -> Self {
        Self { out, tags, stamp, samples: 0, packing: None }
    }

    /// One value: `name` ends in a colon, `kind` has a bar on both sides.
    pub(super) fn sample(&mut self, name: &str, value: f64, kind: &'static str, at_ms: f64) {
        self.samples += 1;
        self.out.extend_from_slice(name.as_bytes());
        hundredths(self.out, value);
        let second = self.second(at_ms);
        self.end(kind, second);
    }

    /// A counter's 1.
    pub(super) fn one(&mut self, name: &str, at_ms: f64) {
        self.samples += 1;
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'1');
        let second = self.second(at_ms);
        self.end("|c|", second);
    }

    /// One value, in the same line as those before it in its second. Calls must not mix with the others'.
    pub(super) fn pack(&mut self, name: &str, value: f64, kind: &'static str, at_ms: f64) {
        self.samples += 1;
        let second = self.second(at_ms);
        match &mut self.packing {
            Some(packing) if packing.second == second && packing.values < MAX_PACKED => {
                packing.values += 1;
                self.out.push(b':');
            }
            _ => {
                self.end_packing();
                self.out.extend_from_slice(name.as_bytes());
                self.packing = Some(Packing { second, values: 1, kind });
            }
        }
        hundredths(self.out, value);
    }

    /// Ends the last line. Gives the number of samples written.
    pub(super) fn finish(mut self) -> u64 {
        self.end_packing();
        self.samples
    }

    fn end_packing(&mut self) {
        if let Some(Packing { second, kind, .. }) = self.packing.take() {
            self.end(kind, second);
        }
    }

    fn end(&mut self, kind: &str, second: i64) {
        self.out.extend_from_slice(kind.as_bytes());
        self.out.extend_from_slice(self.tags.as_bytes());
        if let Stamp::Line { .. } = self.stamp {
            self.out.extend_from_slice(b"|T");
            integer(self.out, second.unsigned_abs());
        }
        self.out.push(b'\n');
    }

    /// The second since the epoch in which an event falls; from the start, where lines are not stamped.
    #[expect(clippy::cast_possible_truncation, reason = "a run lasts 400,000 hours at most")]
    fn second(&self, at_ms: f64) -> i64 {
        let start_ms = match self.stamp {
            Stamp::Line { start_ms } => start_ms,
            Stamp::Arrival => 0,
        };
        (start_ms + at_ms as i64).div_euclid(1000)
    }
}

/// Writes a value that is not negative with two decimals.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "service times are small and not negative"
)]
fn hundredths(out: &mut Vec<u8>, value: f64) {
    let hundredths = (value * 100.0).round() as u64;
    integer(out, hundredths / 100);
    let cents = (hundredths % 100) as u8;
    out.extend_from_slice(&[b'.', b'0' + cents / 10, b'0' + cents % 10]);
}

fn integer(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(stamp: Stamp, write: impl Fn(&mut Lines<'_>)) -> String {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, "#host:web-1", stamp);
        write(&mut lines);
        lines.finish();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_as_dogstatsd_writes_them() {
        let text = written(Stamp::Line { start_ms: 1_767_225_600_500 }, |lines| {
            lines.sample("time:", 123.4, "|ms|", 499.9);
            lines.sample("time:", 0.005, "|ms|", 500.0);
            lines.one("requests:", 0.0);
        });
        assert_eq!(
            text,
            "time:123.40|ms|#host:web-1|T1767225600\ntime:0.01|ms|#host:web-1|T1767225601\n\
             requests:1|c|#host:web-1|T1767225600\n"
        );
        assert_eq!(
            written(Stamp::Arrival, |lines| lines.sample("load:", 1007.0, "|g|", 0.0)),
            "load:1007.00|g|#host:web-1\n"
        );
    }

    #[test]
    fn values_of_a_second_share_a_line() {
        let text = written(Stamp::Line { start_ms: 0 }, |lines| {
            for at in [0.0, 400.0, 999.0, 1000.0] {
                lines.pack("time:", at / 100.0, "|ms|", at);
            }
        });
        assert_eq!(text, "time:0.00:4.00:9.99|ms|#host:web-1|T0\ntime:10.00|ms|#host:web-1|T1\n");
    }

    #[test]
    fn no_packed_line_outgrows_a_packet() {
        let text = written(Stamp::Arrival, |lines| {
            for _ in 0..1000 {
                lines.pack("page.checkout.time:", 99_999.99, "|ms|", 0.0);
            }
        });
        assert_eq!(text.lines().count(), 10);
        assert!(text.lines().all(|line| line.len() < 1432));
    }
}
