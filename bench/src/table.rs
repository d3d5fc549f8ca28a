//! The table that is printed.

/// One line of the table.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// Our figure, with its unit.
    pub ours: String,
    /// What it stands beside: a peer, or a limit of the machine.
    pub beside: String,
    /// Ours over theirs, both in the same unit; not a number where theirs was not measured.
    pub ratio: f64,
}

/// Prints the table's head.
pub fn print_header() {
    println!(
        "| {:<45} | {:<34} | {:<45} | {:>6} |",
        "what", "ours", "beside (same run, same bytes)", "ratio"
    );
    println!("|{:-<47}|{:-<36}|{:-<47}|{:->7}:|", "", "", "", "");
}

/// Prints a line.
pub fn print(row: &Row) {
    let ratio = if row.ratio.is_nan() { "-".to_owned() } else { format!("{:.3}", row.ratio) };
    println!("| {:<45} | {:<34} | {:<45} | {ratio:>6} |", row.what, row.ours, row.beside);
}
