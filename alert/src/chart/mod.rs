//! The chart in a mail: the feed among its peers, and the band that it was held against.
//!
//! Drawn twice as large as it is shown and then scaled down, which smooths every edge.

mod canvas;
mod draw;
mod font;
mod scale;

use kinetic_api::anomaly::Anomaly;
use plotters::{backend::BitMapBackend, drawing::IntoDrawingArea};

/// The chart's width in pixels.
const WIDTH: u32 = 1_200;
/// The chart's height in pixels.
const HEIGHT: u32 = 480;
/// How much larger it is drawn, each way.
const OVERSAMPLING: u32 = 2;

/// Why a chart cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChartError {
    /// There is nothing to show.
    #[error("the finding carries no windows")]
    Empty,
    /// The drawing failed.
    #[error("drawing: {0}")]
    Draw(String),
    /// The picture cannot be encoded.
    #[error("encoding: {0}")]
    Encode(#[from] png::EncodingError),
}

/// A finding's chart, as PNG.
pub(crate) fn png(anomaly: &Anomaly) -> Result<Vec<u8>, ChartError> {
    font::register();
    let (width, height) = (WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING);
    let mut large = vec![255; (width * height * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut large, (width, height)).into_drawing_area();
        draw::chart(&canvas::Canvas(&area), anomaly)?;
        area.present().map_err(|error| ChartError::Draw(error.to_string()))?;
    }
    encode(&halve(&large))
}

/// Averages blocks of [`OVERSAMPLING`]² pixels.
fn halve(large: &[u8]) -> Vec<u8> {
    let (factor, row) = (OVERSAMPLING as usize, (WIDTH * OVERSAMPLING * 3) as usize);
    let mut small = Vec::with_capacity((WIDTH * HEIGHT * 3) as usize);
    for y in 0..HEIGHT as usize {
        for x in 0..WIDTH as usize {
            for channel in 0..3 {
                let mut sum = 0_usize;
                for dy in 0..factor {
                    for dx in 0..factor {
                        sum += usize::from(large[(y * factor + dy) * row + (x * factor + dx) * 3 + channel]);
                    }
                }
                small.push(u8::try_from(sum / (factor * factor)).unwrap_or(u8::MAX));
            }
        }
    }
    small
}

fn encode(pixels: &[u8]) -> Result<Vec<u8>, ChartError> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(out)
}

#[cfg(test)]
mod tests;
