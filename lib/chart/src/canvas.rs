//! Lines, areas and words on a bitmap, in pixels of the finished chart.

use plotters::{
    backend::BitMapBackend,
    coord::Shift,
    drawing::DrawingArea,
    element::{Circle, Drawable, PathElement, PointCollection, Polygon, Rectangle},
    style::{
        Color, FontDesc, FontFamily, FontStyle, RGBColor, ShapeStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use crate::{DrawError, picture::OVERSAMPLING};

/// A pixel of the finished chart.
pub type Point = (i32, i32);

/// What is drawn on; its pixels are [`OVERSAMPLING`] times as fine as the finished chart's.
pub struct Canvas<'a, 'b>(pub(crate) &'a DrawingArea<BitMapBackend<'b>, Shift>);

/// No text is longer before it is measured, which takes time.
const LONGEST: usize = 160;

/// How words look, and which of their edges the point is.
#[derive(Clone, Copy)]
pub struct Words {
    /// Their height in pixels.
    pub size: i32,
    /// Whether they are bold.
    pub bold: bool,
    /// Their colour.
    pub color: RGBColor,
    /// Which of their edges the point is, from left to right.
    pub horizontal: HPos,
    /// Which of their edges the point is, from top to bottom.
    pub vertical: VPos,
}

impl Canvas<'_, '_> {
    /// All of it in one colour.
    pub fn fill(&self, color: RGBColor) -> Result<(), DrawError> {
        self.0.fill(&color).map_err(|error| DrawError(error.to_string()))
    }

    /// A line through points; nothing for fewer than two.
    pub fn line(&self, points: &[Point], color: RGBColor, width: u32) -> Result<(), DrawError> {
        if points.len() < 2 {
            return Ok(());
        }
        let style = ShapeStyle::from(&color).stroke_width(width * OVERSAMPLING);
        self.draw(&PathElement::new(points.iter().map(|&point| fine(point)).collect::<Vec<_>>(), style))
    }

    /// A line of dashes; straight.
    pub fn dashes(&self, from: Point, to: Point, color: RGBColor) -> Result<(), DrawError> {
        const DASH: i32 = 8;
        let count = ((to.0 - from.0).abs().max((to.1 - from.1).abs()) / DASH).max(1);
        let at = |n: i32| (from.0 + (to.0 - from.0) * n / count, from.1 + (to.1 - from.1) * n / count);
        (0..count).step_by(2).try_for_each(|n| self.line(&[at(n), at(n + 1)], color, 2))
    }

    /// The inside of an outline; nothing for fewer than three points.
    pub fn area(&self, outline: &[Point], color: RGBColor) -> Result<(), DrawError> {
        if outline.len() < 3 {
            return Ok(());
        }
        self.draw(&Polygon::new(outline.iter().map(|&point| fine(point)).collect::<Vec<_>>(), color.filled()))
    }

    /// A rectangle between two corners.
    pub fn rectangle(&self, from: Point, to: Point, color: RGBColor) -> Result<(), DrawError> {
        self.draw(&Rectangle::new([fine(from), fine(to)], color.filled()))
    }

    /// A filled circle.
    pub fn dot(&self, at: Point, radius: i32, color: RGBColor) -> Result<(), DrawError> {
        self.draw(&Circle::new(fine(at), radius * OVERSAMPLING.cast_signed(), color.filled()))
    }

    /// Words at a point.
    pub fn words(&self, text: &str, at: Point, words: Words) -> Result<(), DrawError> {
        let style = plotters::style::TextStyle::from(words.font())
            .color(&words.color)
            .pos(Pos::new(words.horizontal, words.vertical));
        self.0.draw_text(text, &style, fine(at)).map_err(|error| DrawError(error.to_string()))
    }

    fn draw<E>(&self, element: &E) -> Result<(), DrawError>
    where
        for<'e> &'e E: PointCollection<'e, Point>,
        for<'e> E: Drawable<BitMapBackend<'e>>,
    {
        self.0.draw(element).map_err(|error| DrawError(error.to_string()))
    }
}

impl Words {
    /// How wide a text is, in pixels of the finished chart.
    pub fn width(self, text: &str) -> Result<i32, DrawError> {
        let (width, _) = self.font().box_size(text).map_err(|error| DrawError(error.to_string()))?;
        Ok(width.div_ceil(OVERSAMPLING).cast_signed())
    }

    /// As much of a text as fits into so many pixels, with an ellipsis for the rest; without control characters.
    pub fn shorten(self, text: &str, room: i32) -> Result<String, DrawError> {
        let mut text: String =
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
        if self.width(&text)? <= room {
            return Ok(text);
        }
        while !text.is_empty() && self.width(&format!("{text}…"))? > room {
            text.pop();
        }
        Ok(format!("{text}…"))
    }

    fn font(self) -> FontDesc<'static> {
        let style = if self.bold { FontStyle::Bold } else { FontStyle::Normal };
        FontDesc::new(FontFamily::SansSerif, f64::from(self.size * OVERSAMPLING.cast_signed()), style)
    }
}

fn fine((x, y): Point) -> Point {
    (x * OVERSAMPLING.cast_signed(), y * OVERSAMPLING.cast_signed())
}
