//! Many windows on few pixels: of each column of pixels, what a line through all of its windows would show.

use kinetic_chart::canvas::Point;

/// The points of a line, column by column: where it comes in, its lowest and highest, and where it goes out. The line is broken where two
/// points are further apart than `gap` (in the unit of `at`).
pub(super) fn lines(
    points: impl Iterator<Item = (i64, f64)>,
    gap: i64,
    x: impl Fn(i64) -> i32,
    y: impl Fn(f64) -> i32,
) -> Vec<Vec<Point>> {
    let mut lines: Vec<Vec<Point>> = Vec::new();
    let mut latest: Option<i64> = None;
    let mut column: Option<Column> = None;
    for (at, value) in points {
        let (px, py) = (x(at), y(value));
        if latest.is_none_or(|latest| at - latest > gap) {
            flush(&mut column, &mut lines);
            lines.push(Vec::new());
        }
        latest = Some(at);
        match &mut column {
            Some(column) if column.x == px => column.add(py),
            _ => {
                flush(&mut column, &mut lines);
                column = Some(Column { x: px, first: py, least: py, most: py, last: py });
            }
        }
    }
    flush(&mut column, &mut lines);
    lines
}

struct Column {
    x: i32,
    first: i32,
    least: i32,
    most: i32,
    last: i32,
}

impl Column {
    fn add(&mut self, y: i32) {
        self.least = self.least.min(y);
        self.most = self.most.max(y);
        self.last = y;
    }
}

fn flush(column: &mut Option<Column>, lines: &mut [Vec<Point>]) {
    let (Some(Column { x, first, least, most, last }), Some(line)) = (column.take(), lines.last_mut()) else {
        return;
    };
    line.push((x, first));
    for y in [least, most, last] {
        if line.last() != Some(&(x, y)) {
            line.push((x, y));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
    fn a_column_keeps_its_extremes_and_its_ends() {
        let points = [(0, 5.0), (1, 9.0), (2, 1.0), (3, 4.0), (10, 2.0), (11, 3.0), (40, 7.0)];
        let drawn = lines(points.into_iter(), 10, |at| (at / 10) as i32, |value| value as i32);
        assert_eq!(drawn, [vec![(0, 5), (0, 1), (0, 9), (0, 4), (1, 2), (1, 3)], vec![(4, 7)]]);
        assert!(lines(std::iter::empty(), 1, |_| 0, |_| 0).is_empty());
    }
}
