//! Pictures of series: a canvas in pixels, scales with round ticks, and numbers and times as people read them.
//!
//! Drawn twice as large as it is shown and then scaled down, which smooths every edge. Nothing need be installed: the font comes along.

pub mod canvas;
pub mod figures;
mod font;
mod picture;
mod runs;
pub mod scale;

pub use picture::{Picture, PictureError};
pub use plotters::style::{
    RGBColor,
    text_anchor::{HPos, VPos},
};
pub use runs::runs;

/// The drawing failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("drawing: {0}")]
pub struct DrawError(pub(crate) String);
