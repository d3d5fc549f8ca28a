//! A fast hash of short byte strings.
//!
//! Sixteen bytes a step: both halves, mixed with the state, are multiplied to 128 bits that are folded into 64, as in wyhash
//! and its descendants. Seeded at random it finds series (nobody outside can aim for collisions); with a fixed seed it counts
//! a set's members, so that every machine and every run estimates alike.

const ODD: [u64; 3] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db, 0x8ebc_6af0_9c88_c6e3];

/// The hash of `bytes`; other seeds give unrelated hashes.
#[inline]
#[must_use]
pub fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let key = seed ^ ODD[0];
    let mut state = fold(seed ^ ODD[1], bytes.len() as u64 ^ ODD[2]);
    let (blocks, tail) = bytes.as_chunks::<16>();
    for block in blocks {
        let (low, high) = halves(block);
        state = fold(low ^ key, high ^ state);
    }
    if !tail.is_empty() {
        // The last sixteen bytes again, where there are as many.
        let (low, high) = bytes.last_chunk().map_or_else(|| few(tail), halves);
        state = fold(low ^ key, high ^ state);
    }
    fold(state ^ ODD[2], key ^ ODD[1])
}

#[inline]
fn halves(block: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*block);
    split(both)
}

/// Fewer than sixteen bytes, and zeros after them: by two words that overlap, which costs less than copying them.
#[inline]
fn few(bytes: &[u8]) -> (u64, u64) {
    let all = if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        u128::from(first) | u128::from(last) << (8 * (bytes.len() - 8))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        u128::from(first) | u128::from(last) << (8 * (bytes.len() - 4))
    } else {
        bytes.iter().rev().fold(0, |all, byte| all << 8 | u128::from(*byte))
    };
    split(all)
}

/// The product of two words, folded.
#[inline]
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let (low, high) = split(u128::from(a) * u128::from(b));
    low ^ high
}

/// Lower and upper half.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "it cuts in two")]
pub(super) fn split(both: u128) -> (u64, u64) {
    (both as u64, (both >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_length_byte_and_seed_counts() {
        let bytes: Vec<u8> = (0..80).collect();
        let mut seen = HashSet::new();
        for length in 0..=bytes.len() {
            assert!(seen.insert(hash(7, &bytes[..length])));
            for flipped in 0..length {
                let mut other = bytes[..length].to_vec();
                other[flipped] ^= 1;
                assert!(seen.insert(hash(7, &other)), "byte {flipped} of {length}");
            }
        }
        assert_ne!(hash(7, b"cpu"), hash(8, b"cpu"));
        assert_ne!(hash(7, b"a"), hash(7, b"a\0"));
    }

    /// Balls in bins: counts in 256 bins of any 8 bits of the hash are Poisson; chi-squared of 255 degrees stays under 400
    /// but for one time in ten million.
    #[test]
    fn similar_names_spread_over_all_bits() {
        for shift in (0..64).step_by(8) {
            let mut bins = [0u32; 256];
            for n in 0..100_000 {
                let at = (hash(0, format!("page.checkout.time.{n}").as_bytes()) >> shift) & 255;
                bins[usize::try_from(at).unwrap()] += 1;
            }
            let expected = 100_000.0 / 256.0;
            let chi: f64 = bins.iter().map(|b| (f64::from(*b) - expected).powi(2) / expected).sum();
            assert!(chi < 400.0, "bits {shift}..: {chi}");
        }
    }
}
