use kinetic_analyzer::backtest::{Keep, Replay};

use super::*;

/// Draws what an analytic makes of some series. `KINETIC_CHARTS=FOLDER` keeps the pictures, to be looked at.
fn draw(name: &str, kind: &str, settings: &[&str], series: &[(&str, Vec<f64>)]) -> Vec<u8> {
    let settings: Vec<_> = settings.iter().map(|text| text.parse().unwrap()).collect();
    let choice = Choice::new(kind, &[], &settings, Some(60_000)).unwrap();
    let mut replay = Replay::of_rows(&choice.plan, choice.analytic, "latency", Keep::All);
    let rows = series.iter().map(|(_, values)| values.len()).max().unwrap_or_default();
    for n in 0..rows {
        for (origin, values) in series {
            if let Some(value) = values.get(n).filter(|value| value.is_finite()) {
                replay.row(origin, 1_767_225_600_000 + 60_000 * i64::try_from(n).unwrap(), *value);
            }
        }
    }
    let png = png(&choice, &replay.finish()).unwrap();
    if let Ok(folder) = std::env::var("KINETIC_CHARTS") {
        std::fs::write(format!("{folder}/backtest-{name}.png"), &png).unwrap();
    }
    png
}

/// The pixels of a colour.
fn pixels(png: &[u8], color: RGBColor) -> usize {
    let mut reader = ::png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (PICTURE.width, PICTURE.height));
    pixels.chunks_exact(3).filter(|p| (p[0], p[1], p[2]) == (color.0, color.1, color.2)).count()
}

fn wave(rows: i32, odd: std::ops::Range<i32>) -> Vec<f64> {
    let noise = |n: i32| f64::from((n % 1009 * 7919 + n % 1013 * 31) % 101) / 20.0;
    (0..rows).map(|n| 100.0 + noise(n) + if odd.contains(&n) { 60.0 } else { 0.0 }).collect()
}

#[test]
fn a_finding_is_shaded_and_its_scores_are_red() {
    let odd = draw("stddev", "stddev", &[], &[("", wave(600, 400..430))]);
    let quiet = draw("quiet", "stddev", &[], &[("", wave(600, 0..0))]);
    // The legend shows each colour, too.
    assert!(pixels(&odd, FOUND) > pixels(&quiet, FOUND) + 5_000);
    assert!(pixels(&odd, ODD) > pixels(&quiet, ODD) + 500);
    assert!(pixels(&odd, BAND) > 5_000 && pixels(&odd, UNJUDGED) > 5_000);
}

#[test]
fn each_kind_and_many_series_have_a_picture() {
    let names: Vec<String> = (1..=9).map(|n| format!("web-{n}")).collect();
    let series: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), wave(600, if name == "web-8" { 300..330 } else { 0..0 })))
        .collect();
    assert!(pixels(&draw("cluster", "cluster", &[], &series), FOUND) > 1_000);
    let line = draw("threshold", "threshold", &["above=140"], &[("", wave(600, 400..430))]);
    assert!(pixels(&line, FOUND) > 1_000);
    let mut silent = wave(600, 0..0);
    silent[300..400].fill(f64::NAN);
    assert!(
        pixels(&draw("absence", "absence", &[], &[("a", silent), ("b", wave(600, 0..0))]), FOUND) > 1_000
    );
}

#[test]
fn nothing_makes_it_fail() {
    draw("one row", "stddev", &[], &[("", vec![1.0])]);
    draw("constant", "stddev", &[], &[("", vec![7.0; 200])]);
    let huge = (0..200).map(|n| if n % 2 == 0 { 1e149 } else { -1e149 }).collect();
    draw("huge", "stddev", &[], &[("ünïcode-😀".repeat(40).as_str(), huge)]);
    draw("many rows", "stddev", &[], &[("", wave(20_000, 9_000..9_100))]);
}
