//! The chart in a mail: the feed among its peers, and the band that it was held against.

mod draw;

use kinetic_api::anomaly::Anomaly;
use kinetic_chart::{Picture, PictureError};

/// The chart's width in pixels.
const WIDTH: u32 = 1_200;
/// The chart's height in pixels.
const HEIGHT: u32 = 480;

/// Why a chart cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChartError {
    /// There is nothing to show.
    #[error("the finding carries no windows")]
    Empty,
    /// There is no picture.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

/// A finding's chart, as PNG.
pub(crate) fn png(anomaly: &Anomaly) -> Result<Vec<u8>, ChartError> {
    let plot = draw::Plot::new(anomaly).ok_or(ChartError::Empty)?;
    let picture = Picture { width: WIDTH, height: HEIGHT };
    Ok(picture.png(|canvas| draw::chart(canvas, &plot, anomaly))?)
}

#[cfg(test)]
mod tests;
