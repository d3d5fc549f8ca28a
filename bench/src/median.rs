//! The middle of several measurements: one that others disturbed does not move it.

/// The middle value; of an even number the upper one of the two. Not a number for none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
