//! A bitmap that becomes a PNG.

use plotters::{backend::BitMapBackend, drawing::IntoDrawingArea};

use crate::{DrawError, canvas::Canvas, font};

/// How much larger it is drawn, each way.
pub(crate) const OVERSAMPLING: u32 = 2;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// It cannot be drawn.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// It cannot be encoded.
    #[error("encoding: {0}")]
    Encode(#[from] png::EncodingError),
}

/// A picture of this size, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

impl Picture {
    /// What is drawn, as PNG.
    pub fn png(
        self,
        draw: impl FnOnce(&Canvas<'_, '_>) -> Result<(), DrawError>,
    ) -> Result<Vec<u8>, PictureError> {
        font::register();
        let (width, height) = (self.width * OVERSAMPLING, self.height * OVERSAMPLING);
        let mut large = vec![255; (width * height * 3) as usize];
        {
            let area = BitMapBackend::with_buffer(&mut large, (width, height)).into_drawing_area();
            draw(&Canvas(&area))?;
            area.present().map_err(|error| DrawError(error.to_string()))?;
        }
        self.encode(&self.halve(&large))
    }

    /// Averages blocks of [`OVERSAMPLING`]² pixels.
    fn halve(self, large: &[u8]) -> Vec<u8> {
        let (factor, row) = (OVERSAMPLING as usize, (self.width * OVERSAMPLING * 3) as usize);
        let mut small = Vec::with_capacity((self.width * self.height * 3) as usize);
        for y in 0..self.height as usize {
            for x in 0..self.width as usize {
                for channel in 0..3 {
                    let mut sum = 0_usize;
                    for dy in 0..factor {
                        for dx in 0..factor {
                            sum +=
                                usize::from(large[(y * factor + dy) * row + (x * factor + dx) * 3 + channel]);
                        }
                    }
                    small.push(u8::try_from(sum / (factor * factor)).unwrap_or(u8::MAX));
                }
            }
        }
        small
    }

    fn encode(self, pixels: &[u8]) -> Result<Vec<u8>, PictureError> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()?;
        Ok(out)
    }
}
