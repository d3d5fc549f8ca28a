//! When a delivery that failed is tried again.

/// The pause after the first failure in milliseconds; it doubles from failure to failure.
const FIRST_MS: i64 = 1_000;
/// The longest pause in milliseconds.
const LONGEST_MS: i64 = 15 * 60_000;

/// The pause after a failure, in milliseconds; `failures` is how many there were before it. Between half and all of the
/// exponential value: `seed` spreads deliveries that failed together.
pub(crate) fn pause_ms(failures: u32, seed: &str) -> i64 {
    let full = FIRST_MS
        .checked_shl(failures)
        .filter(|&ms| ms > 0 && failures < 32)
        .map_or(LONGEST_MS, |ms| ms.min(LONGEST_MS));
    // FNV-1a: a spread is all that is asked of it.
    let hash = seed.bytes().chain(failures.to_be_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let spread = i64::try_from(hash >> 40).unwrap_or(0) % (full / 2 + 1);
    full - spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_a_quarter_of_an_hour() {
        for failures in [0, 1, 5, 9, 10, 31, 32, 63, 64, u32::MAX] {
            let full = if failures < 10 { 1_000 << failures } else { 900_000 };
            for seed in ["a@acme.example", "b@acme.example", ""] {
                let pause = pause_ms(failures, seed);
                assert!((full / 2..=full).contains(&pause), "{failures} {seed}: {pause}");
            }
        }
    }

    #[test]
    fn spreads_what_failed_together() {
        let pauses: std::collections::HashSet<_> = (0..50).map(|n| pause_ms(6, &n.to_string())).collect();
        assert!(pauses.len() > 40);
    }
}
