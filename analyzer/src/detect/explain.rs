//! What is found, in one sentence for people.

use std::fmt::Write as _;

use kinetic_api::series::SeriesName;

use super::{
    figures::{Unit, number, span},
    measure::Measure,
    verdict::Verdict,
};

/// More standard deviations than this say no more.
const COUNTLESS: f64 = 1_000.0;

/// What a sentence is about.
#[derive(Clone, Copy, Debug)]
pub struct Topic<'a> {
    /// The series or feed.
    pub subject: &'a SeriesName,
    /// What is looked at.
    pub measure: Measure<'a>,
    /// Its unit.
    pub unit: Unit,
    /// The windows' length in milliseconds.
    pub interval_ms: i64,
}

impl Topic<'_> {
    /// `web-3's page.checkout.time{env=prod}`.
    fn name(&self) -> String {
        let SeriesName { metric, tags, origin } = self.subject;
        let unnamed = SeriesName { metric: metric.clone(), tags: tags.clone(), origin: String::new() };
        if origin.is_empty() { unnamed.to_string() } else { format!("{origin}'s {unnamed}") }
    }

    /// `web-3's page.checkout.time (mean over 10s)`; of a ratio `web-3's page.errors ÷ page.requests (sum over 10s)`.
    fn measured(&self) -> String {
        let divided = self
            .measure
            .metrics(&self.subject.metric)
            .map(|metric| SeriesName { metric, ..self.subject.clone() });
        let topic = Topic { subject: divided.as_ref().unwrap_or(self.subject), ..*self };
        format!("{} ({} over {})", topic.name(), self.measure.brief(), span(self.interval_ms))
    }

    fn value(&self, value: f64) -> String {
        format!("{}{}", number(value, 4), self.unit)
    }

    /// `120 ± 4.1 ms`.
    fn expectation(&self, verdict: &Verdict) -> Option<String> {
        let (centre, spread) = (verdict.expected?, verdict.stddev?);
        Some(format!("{} ± {}{}", number(centre, 4), number(spread, 2), self.unit))
    }

    /// A feed strays from its peers.
    #[must_use]
    pub fn among_peers(&self, verdict: &Verdict, peers: usize) -> String {
        self.odd(verdict, &format!("its {peers} peers"), |band| format!(" ({band})"))
    }

    /// A series strays from its past.
    #[must_use]
    pub fn against_past(&self, verdict: &Verdict) -> String {
        self.odd(verdict, "its usual", |band| format!(" {band}"))
    }

    fn odd(&self, verdict: &Verdict, whom: &str, band: impl Fn(String) -> String) -> String {
        let mut text = self.measured();
        if let Some(value) = verdict.value {
            let _ = write!(text, " is {}", self.value(value));
        }
        let _ = write!(text, ": {} {whom}", off(verdict));
        text += &self.expectation(verdict).map(band).unwrap_or_default();
        text + "."
    }

    /// It is no longer odd: `home` says where it is back.
    #[must_use]
    pub fn back(&self, verdict: &Verdict, home: &str, lasted_ms: i64) -> String {
        let mut text = format!("{} is back {home} after {}", self.measured(), span(lasted_ms));
        if let Some(value) = verdict.value {
            let _ = write!(text, ": {}", self.value(value));
        }
        if let Some(band) = self.expectation(verdict) {
            let _ = write!(text, " (expected {band})");
        }
        text + "."
    }

    /// It stays where it is, and that is the normal now.
    #[must_use]
    pub fn settled(&self, lasted_ms: i64) -> String {
        format!(
            "{} has kept its new level for {}, which is its normal from now on.",
            self.measured(),
            span(lasted_ms)
        )
    }

    /// It sends nothing any more, or too few others do, so that it is no longer judged.
    #[must_use]
    pub fn unjudged(&self, why: &str, lasted_ms: i64) -> String {
        format!("{} is no longer judged after {}: {why}.", self.measured(), span(lasted_ms))
    }

    /// A series is beyond a line.
    #[must_use]
    pub fn beyond(&self, verdict: &Verdict, line: f64) -> String {
        let value = verdict.value.map(|value| format!(" is {}:", self.value(value))).unwrap_or_default();
        format!("{}{value} {} {}.", self.measured(), side(verdict), self.value(line))
    }

    /// A series has sent nothing for too long.
    #[must_use]
    pub fn silent(&self, silence_ms: i64, allowed_ms: i64) -> String {
        format!("{} has been silent for {} ({} is allowed).", self.name(), span(silence_ms), span(allowed_ms))
    }

    /// It sends again.
    #[must_use]
    pub fn returned(&self, silence_ms: i64) -> String {
        format!("{} is back after {} of silence.", self.name(), span(silence_ms))
    }

    /// It has been silent for so long that it is taken to be gone for good.
    #[must_use]
    pub fn given_up(&self, silence_ms: i64) -> String {
        format!("{} has been silent for {} and is taken to be gone for good.", self.name(), span(silence_ms))
    }
}

/// `5.3 standard deviations above`.
fn off(verdict: &Verdict) -> String {
    let size = verdict.deviation.unwrap_or_default().abs();
    let many = if size > COUNTLESS { format!("over {}", number(COUNTLESS, 1)) } else { number(size, 2) };
    format!("{many} standard deviations {}", side(verdict))
}

fn side(verdict: &Verdict) -> &'static str {
    if verdict.above { "above" } else { "below" }
}

/// What else ends a finding than what it is about.
#[must_use]
pub fn withdrawn(subject: &SeriesName, why: &str) -> String {
    format!("{subject} is no longer looked at: {why}.")
}

#[cfg(test)]
mod tests {
    use kinetic_api::statistic::Statistic;

    use super::*;

    const SLOW: Verdict = Verdict {
        value: Some(912.3),
        expected: Some(120.04),
        stddev: Some(4.123),
        reach: None,
        deviation: Some(5.31),
        score: 1.3,
        above: true,
    };

    fn topic(subject: &SeriesName) -> Topic<'_> {
        Topic {
            subject,
            measure: Measure::plain(Statistic::Mean),
            unit: Unit::Milliseconds,
            interval_ms: 10_000,
        }
    }

    #[test]
    fn reads_as_a_sentence() {
        let page =
            SeriesName { metric: "page.checkout.time".into(), tags: Vec::new(), origin: "web-3".into() };
        let topic = topic(&page);
        assert_eq!(
            topic.among_peers(&SLOW, 7),
            "web-3's page.checkout.time (mean over 10s) is 912.3 ms: 5.3 standard deviations above its 7 peers \
             (120 ± 4.1 ms)."
        );
        assert_eq!(
            topic.against_past(&Verdict { above: false, deviation: Some(-5_000.0), ..SLOW }),
            "web-3's page.checkout.time (mean over 10s) is 912.3 ms: over 1000 standard deviations below its usual \
             120 ± 4.1 ms."
        );
        assert_eq!(
            topic.back(&Verdict { value: Some(121.0), ..SLOW }, "among its peers", 200_000),
            "web-3's page.checkout.time (mean over 10s) is back among its peers after 3m20s: 121 ms (expected 120 ± 4.1 ms)."
        );
        assert_eq!(
            topic.settled(3_600_000),
            "web-3's page.checkout.time (mean over 10s) has kept its new level for 1h, which is its normal from now on."
        );
    }

    #[test]
    fn without_an_origin_it_is_named_by_metric_and_tags() {
        let tags = vec![("env".to_owned(), "prod".to_owned())];
        let total = SeriesName { metric: "orders".into(), tags, origin: String::new() };
        assert_eq!(
            topic(&total).silent(130_000, 120_000),
            "orders{env=prod} has been silent for 2m10s (2m is allowed)."
        );
        assert_eq!(
            withdrawn(&total, "the analytic was removed"),
            "orders{env=prod} is no longer looked at: the analytic was removed."
        );
    }
}
