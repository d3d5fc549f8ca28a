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

use super::{ChartError, OVERSAMPLING};

pub(super) type Point = (i32, i32);

/// What is drawn on; its pixels are [`OVERSAMPLING`] times as fine as the finished chart's.
pub(super) struct Canvas<'a, 'b>(pub(super) &'a DrawingArea<BitMapBackend<'b>, Shift>);

/// How words look, and which of their edges the point is.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub(super) size: i32,
    pub(super) bold: bool,
    pub(super) color: RGBColor,
    pub(super) horizontal: HPos,
    pub(super) vertical: VPos,
}

impl Canvas<'_, '_> {
    pub(super) fn fill(&self, color: RGBColor) -> Result<(), ChartError> {
        self.0.fill(&color).map_err(|error| ChartError::Draw(error.to_string()))
    }

    pub(super) fn line(&self, points: &[Point], color: RGBColor, width: u32) -> Result<(), ChartError> {
        if points.len() < 2 {
            return Ok(());
        }
        let style = ShapeStyle::from(&color).stroke_width(width * OVERSAMPLING);
        self.draw(&PathElement::new(points.iter().map(|&point| fine(point)).collect::<Vec<_>>(), style))
    }

    /// A line of dashes; straight.
    pub(super) fn dashes(&self, from: Point, to: Point, color: RGBColor) -> Result<(), ChartError> {
        const DASH: i32 = 8;
        let count = ((to.0 - from.0).abs().max((to.1 - from.1).abs()) / DASH).max(1);
        let at = |n: i32| (from.0 + (to.0 - from.0) * n / count, from.1 + (to.1 - from.1) * n / count);
        (0..count).step_by(2).try_for_each(|n| self.line(&[at(n), at(n + 1)], color, 2))
    }

    pub(super) fn area(&self, outline: &[Point], color: RGBColor) -> Result<(), ChartError> {
        if outline.len() < 3 {
            return Ok(());
        }
        self.draw(&Polygon::new(outline.iter().map(|&point| fine(point)).collect::<Vec<_>>(), color.filled()))
    }

    pub(super) fn rectangle(&self, from: Point, to: Point, color: RGBColor) -> Result<(), ChartError> {
        self.draw(&Rectangle::new([fine(from), fine(to)], color.filled()))
    }

    pub(super) fn dot(&self, at: Point, radius: i32, color: RGBColor) -> Result<(), ChartError> {
        self.draw(&Circle::new(fine(at), radius * OVERSAMPLING.cast_signed(), color.filled()))
    }

    pub(super) fn words(&self, text: &str, at: Point, words: Words) -> Result<(), ChartError> {
        let style = plotters::style::TextStyle::from(words.font())
            .color(&words.color)
            .pos(Pos::new(words.horizontal, words.vertical));
        self.0.draw_text(text, &style, fine(at)).map_err(|error| ChartError::Draw(error.to_string()))
    }

    fn draw<E>(&self, element: &E) -> Result<(), ChartError>
    where
        for<'e> &'e E: PointCollection<'e, Point>,
        for<'e> E: Drawable<BitMapBackend<'e>>,
    {
        self.0.draw(element).map_err(|error| ChartError::Draw(error.to_string()))
    }
}

impl Words {
    /// How wide a text is, in pixels of the finished chart.
    pub(super) fn width(self, text: &str) -> Result<i32, ChartError> {
        let (width, _) = self.font().box_size(text).map_err(|error| ChartError::Draw(error.to_string()))?;
        Ok(width.div_ceil(OVERSAMPLING).cast_signed())
    }

    fn font(self) -> FontDesc<'static> {
        let style = if self.bold { FontStyle::Bold } else { FontStyle::Normal };
        FontDesc::new(FontFamily::SansSerif, f64::from(self.size * OVERSAMPLING.cast_signed()), style)
    }
}

fn fine((x, y): Point) -> Point {
    (x * OVERSAMPLING.cast_signed(), y * OVERSAMPLING.cast_signed())
}
