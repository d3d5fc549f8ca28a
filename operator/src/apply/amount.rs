//! Amounts as Kubernetes writes them ([resource.Quantity]): `1Gi`, `500m`, `1.5e3`.
//!
//! [resource.Quantity]: https://pkg.go.dev/k8s.io/apimachinery/pkg/api/resource#Quantity

/// Whether both are the same amount, however they are written.
pub(super) fn same(one: &str, other: &str) -> bool {
    one == other || nano(one).is_some_and(|amount| nano(other) == Some(amount))
}

/// The powers of ten, and of 1024, that suffixes stand for.
const SUFFIXES: [(&str, i32, u32); 16] = [
    ("Ki", 0, 1),
    ("Mi", 0, 2),
    ("Gi", 0, 3),
    ("Ti", 0, 4),
    ("Pi", 0, 5),
    ("Ei", 0, 6),
    ("n", -9, 0),
    ("u", -6, 0),
    ("m", -3, 0),
    ("", 0, 0),
    ("k", 3, 0),
    ("M", 6, 0),
    ("G", 9, 0),
    ("T", 12, 0),
    ("P", 15, 0),
    ("E", 18, 0),
];

/// In billionths, of which an API server keeps no parts. None of what is no amount, or beyond all that is measured.
fn nano(text: &str) -> Option<i128> {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (tens, binary) = match SUFFIXES.iter().find(|(of, ..)| *of == suffix) {
        Some((_, tens, binary)) => (*tens, *binary),
        None => (suffix.strip_prefix(['e', 'E'])?.parse().ok()?, 0),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits: i128 = format!("{whole}{part}").parse().ok()?;
    let tens = u32::try_from(9 + tens - i32::try_from(part.len()).ok()?).ok()?;
    digits.checked_mul(10_i128.checked_pow(tens)?)?.checked_mul(1024_i128.checked_pow(binary)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_the_same_however_it_is_written() {
        for (one, other) in [
            ("1024Mi", "1Gi"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1000m", "1"),
            ("1e3", "1k"),
            ("2.5E2", "250"),
            ("1000M", "1G"),
            (".5", "500000u"),
            ("-1", "-1000m"),
        ] {
            assert!(same(one, other) && same(other, one), "{one} {other}");
        }
        for (one, other) in
            [("1Gi", "1G"), ("1", "1m"), ("", "0"), ("1.x", "1"), ("1Xi", "1"), ("1e", "1"), ("9e99", "9e98")]
        {
            assert!(!same(one, other) && !same(other, one), "{one} {other}");
        }
        assert!(same("unreadable", "unreadable"));
    }
}
