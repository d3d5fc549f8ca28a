//! Stretches of a series.

use std::ops::Range;

/// The runs of indices below `length` for which `holds`.
#[must_use]
pub fn runs(length: usize, holds: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for n in (0..length).filter(|&n| holds(n)) {
        match runs.last_mut() {
            Some(run) if run.end == n => run.end += 1,
            _ => runs.push(n..n + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_where_it_does_not_hold() {
        let values = [true, true, false, true, false, false, true];
        assert_eq!(runs(values.len(), |n| values[n]), [0..2, 3..4, 6..7]);
        assert!(runs(3, |_| false).is_empty());
    }
}
