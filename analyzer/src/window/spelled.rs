//! How something spells its series: its hash, and whether it is spelled alike.
//!
//! Both look at up to 64 bytes of either part in as many steps whatever their lengths are: four blocks of sixteen, which overlap as
//! needed, and of a short part are all the same, with zeros for what stands around it. A processor that guesses lengths wrong loses
//! more time than all these steps take.

use wide::u8x16;

use super::hash::{fold, hash, split};

/// Blocks of either part.
const BLOCKS: usize = 4;
/// The longest part that is looked at in blocks.
const LONGEST: usize = 64;

/// A name, and the rest of what decides which series is meant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spelled<'a> {
    /// It begins with the name.
    head: &'a [u8],
    name: usize,
    /// It ends with the rest.
    tail: &'a [u8],
    rest: usize,
}

/// What spellings are hashed with. Nobody outside knows it, and each block has words of its own on both sides of its
/// multiplication, so that nobody can aim for collisions, nor for a factor of zero.
#[derive(Clone, Debug)]
pub(super) struct Secrets {
    blocks: [[u64; 2]; 2 * BLOCKS],
    last: [u64; 2],
}

impl<'a> Spelled<'a> {
    /// By two parts, each by itself.
    pub(super) fn of([name, rest]: [&'a [u8]; 2]) -> Self {
        Self { head: name, name: name.len(), tail: rest, rest: rest.len() }
    }

    /// By the first `name` bytes of a text and its last `rest` bytes; by all of it if there are not as many.
    #[inline]
    pub(super) fn within(text: &'a [u8], name: usize, rest: usize) -> Self {
        Self { head: text, name: name.min(text.len()), tail: text, rest: rest.min(text.len()) }
    }

    /// Name and rest.
    #[inline]
    pub(super) fn parts(&self) -> [&'a [u8]; 2] {
        [&self.head[..self.name], &self.tail[self.tail.len() - self.rest..]]
    }

    /// Whether another is spelled the same, part by part.
    #[inline]
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.name, self.rest) == (other.name, other.rest)
            && match (self.tiles(), other.tiles()) {
                (Some(own), Some(others)) => unlike(&own, &others, self.name, self.rest) == 0,
                _ => self.parts() == other.parts(),
            }
    }

    /// The blocks that cover both parts, if they can be read without minding what is short: then they hold what lies around a short
    /// part, too.
    #[inline]
    fn tiles(&self) -> Option<[[[u8; 16]; BLOCKS]; 2]> {
        let Self { head, name, tail, rest } = *self;
        let from = tail.len().checked_sub(rest.max(16))?;
        if name > LONGEST || rest > LONGEST || name == 0 || rest == 0 {
            return None;
        }
        Some([tiles(head, name.max(16))?, tiles(&tail[from..], rest.max(16))?])
    }

    /// The blocks of both parts, with zeros for what lies around a short one.
    #[inline]
    fn blocks(&self) -> Option<[[u64; 2]; 2 * BLOCKS]> {
        let [names, rests] = self.tiles()?;
        let (first, last) = (words(FIRST[self.name.min(16)]), words(LAST[self.rest.min(16)]));
        let mut blocks = [[0; 2]; 2 * BLOCKS];
        for (block, tile) in blocks.iter_mut().zip(&names) {
            let [low, high] = words(*tile);
            *block = [low & first[0], high & first[1]];
        }
        for (block, tile) in blocks[BLOCKS..].iter_mut().zip(&rests) {
            let [low, high] = words(*tile);
            *block = [low & last[0], high & last[1]];
        }
        Some(blocks)
    }

    /// The same, read with care.
    #[cold]
    fn careful_blocks(&self) -> Option<[[u64; 2]; 2 * BLOCKS]> {
        let [name, rest] = self.parts();
        if name.len() > LONGEST || rest.len() > LONGEST {
            return None;
        }
        let (mut first, mut last) = ([0; 16], [0; 16]);
        if name.len() < 16 {
            first[..name.len()].copy_from_slice(name);
        }
        if rest.len() < 16 {
            last[16 - rest.len()..].copy_from_slice(rest);
        }
        let names = tiles(name, name.len()).unwrap_or([first; BLOCKS]);
        let rests = tiles(rest, rest.len()).unwrap_or([last; BLOCKS]);
        let mut blocks = [[0; 2]; 2 * BLOCKS];
        for (block, tile) in blocks.iter_mut().zip(names.into_iter().chain(rests)) {
            *block = words(tile);
        }
        Some(blocks)
    }
}

impl Secrets {
    /// From a number that is chosen at random.
    pub(super) fn new(seed: u64) -> Self {
        let word = |n: usize| hash(seed, &n.to_le_bytes());
        Self { blocks: std::array::from_fn(|n| [word(2 * n), word(2 * n + 1)]), last: [word(98), word(99)] }
    }

    /// The hash of a spelling; other seeds give unrelated hashes.
    #[inline]
    pub(super) fn hash(&self, seed: u64, spelled: &Spelled<'_>) -> u64 {
        let lengths = (spelled.name as u64) << 32 | spelled.rest as u64;
        let state = match spelled.blocks() {
            Some(blocks) => self.mix(&blocks),
            None => self.careful(seed, spelled),
        };
        fold(state ^ seed ^ self.last[0], lengths ^ self.last[1])
    }

    #[inline]
    fn mix(&self, blocks: &[[u64; 2]; 2 * BLOCKS]) -> u64 {
        let mut state = 0_u64;
        for ([low, high], [a, b]) in blocks.iter().zip(&self.blocks) {
            state = state.wrapping_add(fold(low ^ a, high ^ b));
        }
        state
    }

    #[cold]
    fn careful(&self, seed: u64, spelled: &Spelled<'_>) -> u64 {
        if let Some(blocks) = spelled.careful_blocks() {
            return self.mix(&blocks);
        }
        let [name, rest] = spelled.parts();
        hash(seed ^ self.last[0], name).wrapping_add(hash(seed ^ self.last[1], rest))
    }
}

/// The first so many of sixteen bytes, and the last.
const FIRST: [[u8; 16]; 17] = covers(false);
const LAST: [[u8; 16]; 17] = covers(true);

const fn covers(from_the_end: bool) -> [[u8; 16]; 17] {
    let mut covers = [[0; 16]; 17];
    let mut length = 0;
    while length <= 16 {
        let mut n = 0;
        while n < length {
            covers[length][if from_the_end { 15 - n } else { n }] = 0xff;
            n += 1;
        }
        length += 1;
    }
    covers
}

/// Four blocks that cover the first `length` bytes, if there are as many and at least sixteen.
#[inline]
fn tiles(bytes: &[u8], length: usize) -> Option<[[u8; 16]; BLOCKS]> {
    let last = length.checked_sub(16)?;
    let second = last.min(16);
    let block = |place: usize| Some(*bytes.get(place..)?.first_chunk()?);
    Some([block(0)?, block(second)?, block(last - second)?, block(last)?])
}

/// Which bytes differ within parts of these lengths: none if it is 0.
#[inline]
fn unlike(own: &[[[u8; 16]; BLOCKS]; 2], others: &[[[u8; 16]; BLOCKS]; 2], name: usize, rest: usize) -> u32 {
    let unlike = |part: usize| {
        let mut all = u8x16::ZERO;
        for (a, b) in own[part].iter().zip(&others[part]) {
            all |= u8x16::from(*a) ^ u8x16::from(*b);
        }
        all
    };
    let names = unlike(0) & u8x16::from(FIRST[name.min(16)]);
    let rests = unlike(1) & u8x16::from(LAST[rest.min(16)]);
    0xffff ^ (names | rests).simd_eq(u8x16::ZERO).to_bitmask()
}

#[inline]
fn words(block: [u8; 16]) -> [u64; 2] {
    let (low, high) = split(u128::from_le_bytes(block));
    [low, high]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn secrets() -> Secrets {
        Secrets::new(7)
    }

    #[test]
    fn every_byte_counts_and_where_a_part_ends() {
        let bytes: Vec<u8> = (0..80).collect();
        let (secrets, mut seen) = (secrets(), HashSet::new());
        let mut new = |parts: [&[u8]; 2]| {
            let spelled = Spelled::of(parts);
            assert!(seen.insert(secrets.hash(3, &spelled)), "{parts:?}");
            assert!(spelled.is(&Spelled::of(parts)));
        };
        for length in 0..=bytes.len() {
            let (name, rest) = bytes.split_at(length);
            new([name, rest]);
            for flipped in 0..bytes.len() {
                let mut other = bytes.clone();
                other[flipped] ^= 0x80;
                let (other_name, other_rest) = other.split_at(length);
                new([other_name, other_rest]);
                assert!(!Spelled::of([name, rest]).is(&Spelled::of([other_name, other_rest])));
            }
        }
        for zeros in 1..40 {
            new([&[0; 40][..zeros], b"c"]);
            new([b"c", &[0; 40][..zeros]]);
        }
    }

    /// Whatever stands around the parts.
    #[test]
    fn is_the_same_wherever_it_stands() {
        let secrets = secrets();
        for name in 0..70 {
            for rest in (0..70).chain([200]) {
                let parts = [vec![b'n'; name], vec![b'r'; rest]];
                let alone = Spelled::of([&parts[0], &parts[1]]);
                for between in [&b":1|"[..], b":1234567890123456789|", b""] {
                    let text = [&parts[0], between, &parts[1]].concat();
                    let within = Spelled::within(&text, name, rest);
                    assert_eq!(within.parts(), alone.parts());
                    assert_eq!(secrets.hash(3, &within), secrets.hash(3, &alone), "{name} and {rest}");
                    assert!(within.is(&alone) && alone.is(&within));
                }
            }
        }
        assert_ne!(
            secrets.hash(3, &Spelled::of([b"name", b"c"])),
            secrets.hash(4, &Spelled::of([b"name", b"c"]))
        );
    }

    /// Balls in bins: counts in 256 bins of any 8 bits of the hash are Poisson; chi-squared of 255 degrees stays under 400
    /// but for one time in ten million.
    #[test]
    fn similar_spellings_spread_over_all_bits() {
        let secrets = secrets();
        for shift in (0..64).step_by(8) {
            let mut bins = [0u32; 256];
            for n in 0..100_000 {
                let name = format!("page.checkout.time.{n}");
                let spelled = Spelled::of([name.as_bytes(), b"ms|#env:prod,zone:eu-west"]);
                let at = (secrets.hash(0, &spelled) >> shift) & 255;
                bins[usize::try_from(at).unwrap()] += 1;
            }
            let expected = 100_000.0 / 256.0;
            let chi: f64 = bins.iter().map(|b| (f64::from(*b) - expected).powi(2) / expected).sum();
            assert!(chi < 400.0, "bits {shift}..: {chi}");
        }
    }
}
