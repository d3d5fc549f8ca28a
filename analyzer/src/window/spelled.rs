//! How something spells its series, and the key by which such a spelling is known again.
//!
//! Up to 64 bytes of either part are looked at in as many steps whatever their lengths are: four blocks of sixteen, which overlap as
//! needed, and of a short part are all the same, with zeros for what stands around it. A processor that guesses lengths wrong loses
//! more time than all these steps take.
//!
//! The key stands for the spelling: nothing else is kept or compared. It is a universal hash: of NH, with secrets that are chosen at
//! random, it is proven that two given spellings come out alike once in 2^64 times (Black, Halevi, Krawczyk, Krovetz, Rogaway 1999,
//! "UMAC: fast and secure message authentication", theorem 4.2), and its 128 bits are then mixed into 64. So the chance that any two
//! of a million spellings are ever taken for one is less than one in ten million.

use std::num::NonZeroU64;

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

/// What stands for a spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(NonZeroU64);

/// What spellings are hashed with. Nobody outside knows it.
#[derive(Clone, Debug)]
pub(super) struct Secrets {
    blocks: [[u64; 2]; 2 * BLOCKS],
    about: [u64; 2],
    last: [u64; 2],
    long: [u64; 2],
}

impl Key {
    /// That of nothing yet.
    pub(super) const NONE: Self = Self(NonZeroU64::MIN);

    /// The number that it is; evenly spread in all bits.
    #[inline]
    pub(super) fn number(self) -> u64 {
        self.0.get()
    }
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
    fn parts(&self) -> [&'a [u8]; 2] {
        [&self.head[..self.name], &self.tail[self.tail.len() - self.rest..]]
    }

    /// Both parts in blocks, if they can be read without minding what is short.
    #[inline]
    fn blocks(&self) -> Option<[[u64; 2]; 2 * BLOCKS]> {
        let Self { head, name, tail, rest } = *self;
        let from = tail.len().checked_sub(rest.max(16))?;
        if name > LONGEST || rest > LONGEST {
            return None;
        }
        let (names, rests) = (tiles(head, name.max(16))?, tiles(&tail[from..], rest.max(16))?);
        let (first, last) = (words(FIRST[name.min(16)]), words(LAST[rest.min(16)]));
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
        let pair = |n: usize| [word(2 * n), word(2 * n + 1)];
        Self { blocks: std::array::from_fn(pair), about: pair(100), last: pair(101), long: pair(102) }
    }

    /// The key of a spelling, `about` which more is to be told apart.
    #[inline]
    pub(super) fn key(&self, about: u64, spelled: &Spelled<'_>) -> Key {
        let lengths = (spelled.name as u64) << 32 | spelled.rest as u64;
        let blocks = match spelled.blocks() {
            Some(blocks) => blocks,
            None => self.careful(spelled),
        };
        let mut sum = product([lengths, about], self.about);
        for (block, secret) in blocks.iter().zip(&self.blocks) {
            sum = sum.wrapping_add(product(*block, *secret));
        }
        let (low, high) = split(sum);
        let mixed = fold(low ^ self.last[0], high ^ self.last[1]);
        Key(NonZeroU64::new(mixed).unwrap_or(NonZeroU64::MIN))
    }

    /// What is too long for blocks is hashed to 128 bits first, which then are two of them.
    #[cold]
    fn careful(&self, spelled: &Spelled<'_>) -> [[u64; 2]; 2 * BLOCKS] {
        spelled.careful_blocks().unwrap_or_else(|| {
            let mut blocks = [[0; 2]; 2 * BLOCKS];
            for (block, part) in blocks.iter_mut().zip(spelled.parts()) {
                *block = self.long.map(|seed| hash(seed, part));
            }
            blocks
        })
    }
}

/// A step of NH.
#[inline]
fn product([low, high]: [u64; 2], [a, b]: [u64; 2]) -> u128 {
    u128::from(low.wrapping_add(a)) * u128::from(high.wrapping_add(b))
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
            assert!(seen.insert(secrets.key(3, &spelled).number()), "{parts:?}");
        };
        for length in 0..=bytes.len() {
            let (name, rest) = bytes.split_at(length);
            new([name, rest]);
            for flipped in 0..bytes.len() {
                let mut other = bytes.clone();
                other[flipped] ^= 0x80;
                let (other_name, other_rest) = other.split_at(length);
                new([other_name, other_rest]);
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
                    assert_eq!(secrets.key(3, &within), secrets.key(3, &alone), "{name} and {rest}");
                }
            }
        }
        assert_ne!(
            secrets.key(3, &Spelled::of([b"name", b"c"])),
            secrets.key(4, &Spelled::of([b"name", b"c"]))
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
                let at = (secrets.key(0, &spelled).number() >> shift) & 255;
                bins[usize::try_from(at).unwrap()] += 1;
            }
            let expected = 100_000.0 / 256.0;
            let chi: f64 = bins.iter().map(|b| (f64::from(*b) - expected).powi(2) / expected).sum();
            assert!(chi < 400.0, "bits {shift}..: {chi}");
        }
    }
}
