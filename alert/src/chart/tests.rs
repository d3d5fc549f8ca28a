use jiff::SignedDuration;
use kinetic_api::anomaly::{AnalyticName, Anomaly, Finding, HistoryWindow, State};

use super::*;
use crate::fixture;

/// Draws a changed finding. `KINETIC_CHARTS=FOLDER` keeps the pictures, to be looked at.
fn draw(name: &str, change: impl FnOnce(&mut Finding)) -> Vec<u8> {
    let mut finding = fixture::finding();
    change(&mut finding);
    let png = png(&Anomaly::new(fixture::time(), finding)).unwrap();
    if let Ok(folder) = std::env::var("KINETIC_CHARTS") {
        std::fs::write(format!("{folder}/{name}.png"), &png).unwrap();
    }
    png
}

/// The pixels that look like this, in the plot.
fn pixels(png: &[u8], like: impl Fn(u8, u8, u8) -> bool) -> usize {
    let mut reader = ::png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (WIDTH, HEIGHT));
    let plot = pixels.chunks_exact(3).skip((WIDTH * 84) as usize).take((WIDTH * 350) as usize);
    plot.filter(|p| like(p[0], p[1], p[2])).count()
}

fn red(r: u8, g: u8, b: u8) -> bool {
    r > 180 && g < 90 && b < 90
}

fn blue_band(r: u8, g: u8, b: u8) -> bool {
    r < 225 && r > 200 && g < 235 && b > 235
}

#[test]
fn the_feed_stands_out_among_its_peers() {
    let png = draw("cluster", |_| {});
    assert!(pixels(&png, red) > 2_000);
    assert!(pixels(&png, blue_band) > 2_000);
    assert!(png.len() < 120_000, "{} bytes are too many for a mail", png.len());
}

#[test]
fn gaps_break_the_line() {
    let whole = pixels(&draw("whole", |f| f.peers = None), red);
    let gaps = draw("gaps", |finding| {
        finding.peers = None;
        for (n, window) in finding.history.iter_mut().enumerate() {
            if (10..40).contains(&n) && n != 25 {
                *window = HistoryWindow { value: None, lower: None, upper: None, expected: None, ..*window };
            }
        }
    });
    assert!(pixels(&gaps, red) < whole);
}

#[test]
fn silence_has_no_line_where_it_is() {
    let png = draw("absence", |finding| {
        finding.analytic_kind = AnalyticName::Absence;
        finding.peers = None;
        finding.value = None;
        finding.threshold = 120.0;
        for (n, window) in finding.history.iter_mut().enumerate() {
            let value = (n < 46).then_some(120.0 + (n % 5) as f64);
            *window = HistoryWindow { value, lower: None, upper: None, expected: None, ..*window };
        }
        finding.since = finding.history[46].time;
    });
    assert!(pixels(&png, red) > 500);
}

#[test]
fn a_threshold_is_a_line_over_the_whole_plot() {
    let png = draw("threshold", |finding| {
        finding.analytic_kind = AnalyticName::Threshold;
        finding.peers = None;
        finding.threshold = 90.0;
        finding.metric = "df.root.percent".into();
        for (n, window) in finding.history.iter_mut().enumerate() {
            *window = HistoryWindow {
                value: Some(60.0 + 0.6 * n as f64),
                lower: None,
                upper: None,
                expected: None,
                ..*window
            };
        }
    });
    assert!(pixels(&png, |r, g, b| r < 110 && g < 150 && b > 150) > 300);
}

#[test]
fn nothing_makes_it_fail_but_nothing_to_show() {
    let set = |value: fn(usize) -> Option<f64>| {
        move |finding: &mut Finding| {
            finding.peers = None;
            for (n, window) in finding.history.iter_mut().enumerate() {
                let value = value(n);
                *window = HistoryWindow { value, expected: value, lower: value, upper: value, ..*window };
            }
        }
    };
    draw("constant", set(|_| Some(7.0)));
    draw("zero", set(|_| Some(0.0)));
    draw("huge", set(|n| Some(if n % 2 == 0 { f64::MAX } else { f64::MIN })));
    draw("tiny", set(|n| Some(n as f64 * f64::MIN_POSITIVE)));
    draw("none", set(|_| None));
    draw("one point", |finding| finding.history.truncate(1));
    draw("one window each", |finding| {
        finding.history.iter_mut().enumerate().filter(|(n, _)| n % 2 == 1).for_each(|(_, w)| w.value = None);
    });
    draw("long names", |finding| {
        finding.metric = "a.very.long.metric".repeat(20);
        finding.origin = "ünïcode-😀-web-3.acme.example".repeat(5);
    });
    draw("backwards", |finding| finding.since = fixture::time() + SignedDuration::from_hours(24 * 365));
    draw("same time", |finding| {
        let time = finding.history[0].time;
        finding.history.iter_mut().for_each(|window| window.time = time);
    });
    draw("resolved", |finding| finding.state = State::Resolved);
    let mut empty = fixture::finding();
    empty.history.clear();
    assert!(matches!(png(&Anomaly::new(fixture::time(), empty)), Err(ChartError::Empty)));
}
