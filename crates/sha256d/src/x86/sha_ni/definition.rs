//! The instructions of [`order`](super::order) by their definition, a word at a time: what Miri
//! runs in place of the assembly, and the tests beside it. Each function is the instruction's page
//! of the manual (Intel SDM, volume 2) in words of `scalar`, the lowest lane first.

use core::arch::x86_64::*;

use super::order;
use crate::scalar::{K, round, small_sigma0, small_sigma1};

pub(super) type Vector = [u32; 4];

/// A block of [`order`](super::order).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Block {
    Read,
    Make,
    Alone,
}

/// Registers and memory as [`order`](super::order) names them.
#[derive(Default)]
pub(super) struct Machine {
    /// Which four rounds.
    pub(super) i: usize,
    pub(super) a: [Vector; 4],
    pub(super) c: [Vector; 4],
    pub(super) w: [Vector; 4],
    pub(super) n: [Vector; 3],
    pub(super) m: [[Vector; 16]; 4],
    pub(super) kw: [Vector; 2],
    pub(super) x: Vector,
    pub(super) t: Vector,
}

/// One instruction. The memory `m` is read and written relative to the four rounds at hand.
macro_rules! execute {
    ($s:ident oldest $n:ident $m:ident) => { place!($s $n) = place!($s $m)[$s.i - 3] };
    ($s:ident msg1 $n:ident $m:ident) => {
        place!($s $n) = sha256msg1(place!($s $n), place!($s $m)[$s.i - 2])
    };
    ($s:ident older $t:ident $w:ident $m:ident) => {
        place!($s $t) = vpalignr_4(place!($s $w), place!($s $m)[$s.i - 1])
    };
    ($s:ident add $n:ident $t:ident) => { place!($s $n) = vpaddd(place!($s $n), place!($s $t)) };
    ($s:ident msg2 $n:ident $w:ident) => {
        place!($s $n) = sha256msg2(place!($s $n), place!($s $w))
    };
    ($s:ident keep $n:ident $m:ident) => { place!($s $m)[$s.i + 1] = place!($s $n) };
    ($s:ident round_words x $w:ident) => {
        $s.x = vpaddd(place!($s $w), core::array::from_fn(|j| K[4 * $s.i + j]))
    };
    ($s:ident upper x) => { $s.x = vpshufd_14($s.x) };
    ($s:ident rnds2 $c:ident $a:ident) => {
        place!($s $c) = sha256rnds2(place!($s $c), place!($s $a), $s.x)
    };
    ($s:ident kw_lower x) => { $s.x = $s.kw[0] };
    ($s:ident kw_upper x) => { $s.x = $s.kw[1] };
    ($s:ident keep_lower x) => { $s.kw[0] = $s.x };
    ($s:ident keep_upper x) => { $s.kw[1] = $s.x };
    ($s:ident upper_of_kept x) => { $s.x = vpshufd_14($s.kw[0]) };
}

macro_rules! place {
    ($s:ident a0) => {
        $s.a[0]
    };
    ($s:ident a1) => {
        $s.a[1]
    };
    ($s:ident a2) => {
        $s.a[2]
    };
    ($s:ident a3) => {
        $s.a[3]
    };
    ($s:ident c0) => {
        $s.c[0]
    };
    ($s:ident c1) => {
        $s.c[1]
    };
    ($s:ident c2) => {
        $s.c[2]
    };
    ($s:ident c3) => {
        $s.c[3]
    };
    ($s:ident w0) => {
        $s.w[0]
    };
    ($s:ident w1) => {
        $s.w[1]
    };
    ($s:ident w2) => {
        $s.w[2]
    };
    ($s:ident w3) => {
        $s.w[3]
    };
    ($s:ident n0) => {
        $s.n[0]
    };
    ($s:ident n1) => {
        $s.n[1]
    };
    ($s:ident n2) => {
        $s.n[2]
    };
    ($s:ident m0) => {
        $s.m[0]
    };
    ($s:ident m1) => {
        $s.m[1]
    };
    ($s:ident m2) => {
        $s.m[2]
    };
    ($s:ident m3) => {
        $s.m[3]
    };
    ($s:ident x) => {
        $s.x
    };
    ($s:ident t) => {
        $s.t
    };
}

macro_rules! execute_all {
    ([$(($($instruction:tt)+))+] $machine:ident) => {{
        $( execute!($machine $($instruction)+); )+
    }};
}

impl Machine {
    /// The four rounds as the description has them.
    pub(super) fn four_rounds(&mut self, block: Block) {
        let machine = self;
        match block {
            Block::Read => order::read!(execute_all! machine),
            Block::Make => order::make!(execute_all! machine),
            Block::Alone => order::alone!(execute_all! machine),
        }
    }

    /// The newest vectors of the four schedules after [`Block::Alone`], which leaves all but the
    /// first in the registers of those before.
    pub(super) fn next(&self) -> [Vector; 4] {
        let ([n0, ..], [n1, n2, n3, _]) = (self.n, self.w);
        [n0, n1, n2, n3]
    }
}

/// Two rounds: `abef` and `cdgh` are states, last letter in the lowest lane, and the two lowest
/// words of `xmm0` are the rounds'. What comes back is the new `abef`.
fn sha256rnds2(cdgh: Vector, abef: Vector, xmm0: Vector) -> Vector {
    let ([f, e, b, a], [h, g, d, c]) = (abef, cdgh);
    let state = round([a, b, c, d, e, f, g, h], xmm0[0]);
    let [a, b, _, _, e, f, ..] = round(state, xmm0[1]);
    [f, e, b, a]
}

fn sha256msg1([w0, w1, w2, w3]: Vector, [w4, ..]: Vector) -> Vector {
    vpaddd([w0, w1, w2, w3], [w1, w2, w3, w4].map(small_sigma0))
}

fn sha256msg2(older: Vector, [_, _, w14, w15]: Vector) -> Vector {
    let w16 = older[0].wrapping_add(small_sigma1(w14));
    let w17 = older[1].wrapping_add(small_sigma1(w15));
    let w18 = older[2].wrapping_add(small_sigma1(w16));
    let w19 = older[3].wrapping_add(small_sigma1(w17));
    [w16, w17, w18, w19]
}

fn vpaddd(x: Vector, y: Vector) -> Vector {
    core::array::from_fn(|lane| x[lane].wrapping_add(y[lane]))
}

/// The four words from the second of `low` on.
fn vpalignr_4([h0, ..]: Vector, [_, l1, l2, l3]: Vector) -> Vector {
    [l1, l2, l3, h0]
}

/// The upper half in the lower one.
fn vpshufd_14([w0, _, w2, w3]: Vector) -> Vector {
    [w2, w3, w0, w0]
}

#[target_feature(enable = "sha,avx")]
pub(super) fn to_words(v: __m128i) -> Vector {
    [
        _mm_extract_epi32::<0>(v),
        _mm_extract_epi32::<1>(v),
        _mm_extract_epi32::<2>(v),
        _mm_extract_epi32::<3>(v),
    ]
    .map(i32::cast_unsigned)
}

#[target_feature(enable = "sha,avx")]
pub(super) fn to_vector(words: Vector) -> __m128i {
    super::vector(words)
}

/// A vector of random words (Steele, Lea and Flood 2014: SplitMix).
#[cfg(all(test, not(miri)))]
#[target_feature(enable = "sha,avx")]
pub(super) fn random(seed: &mut u64) -> __m128i {
    to_vector([0; 4].map(|_: u32| {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) as u32
    }))
}

/// The description against `scalar`: it runs on every x86 CPU, and under Miri.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::{IV, compress};

    fn abef([a, b, _, _, e, f, ..]: [u32; 8]) -> Vector {
        [f, e, b, a]
    }

    fn cdgh([_, _, c, d, .., g, h]: [u32; 8]) -> Vector {
        [h, g, d, c]
    }

    /// Twelve rounds by the definition, 48 by the description, and the last four again by the
    /// definition are a compression.
    #[test]
    fn the_described_rounds_are_those_of_the_definition() {
        for block in [Block::Read, Block::Make, Block::Alone] {
            let message = |seed: u32| -> [u32; 16] {
                core::array::from_fn(|i| (i as u32 + 7).wrapping_mul(seed | 1).rotate_left(seed))
            };
            // Of the two second hashes, and of the first hashes, which may have one between them.
            let mut messages = [0x1234_5677, 0x89ab_cdef, 0x0f1e_2d3c, 0x7654_3211].map(message);
            if block != Block::Alone {
                messages[3] = messages[2];
            }
            let inits = [IV, IV.map(|w| !w), IV.map(|w| w.rotate_left(3)), IV.map(|w| w ^ 0x5555)];
            let mut states = inits;
            for (hash, state) in states.iter_mut().enumerate() {
                let w = messages[hash];
                *state = (0..12).fold(*state, |s, i| round(s, w[i].wrapping_add(K[i])));
            }
            let vectors = |w: [u32; 16]| {
                core::array::from_fn(|i| match w.as_chunks().0.get(i) {
                    Some(vector) => *vector,
                    None => [0; 4],
                })
            };
            let schedule = schedule(messages[2]);
            let mut machine = Machine {
                a: states.map(abef),
                c: states.map(cdgh),
                w: messages.map(|w| [w[12], w[13], w[14], w[15]]),
                m: messages.map(vectors),
                ..Machine::default()
            };
            for i in 3..15 {
                machine.i = i;
                let kw: Vector =
                    core::array::from_fn(|j| schedule[4 * i + j].wrapping_add(K[4 * i + j]));
                let kw = [kw, vpshufd_14(kw)];
                machine.kw = if block == Block::Make { [[0; 4]; 2] } else { kw };
                machine.four_rounds(block);
                assert_eq!(machine.kw, kw, "four rounds {i}");
                let ([n0, n1, n2], [.., w2, w3]) = (machine.n, machine.w);
                machine.w = match block {
                    Block::Read => [n0, n1, w2, w3],
                    Block::Make => [n0, n1, n2, w3],
                    Block::Alone => machine.next(),
                };
            }
            for hash in 0..4 {
                let ([f, e, b, a], [h, g, d, c]) = (machine.a[hash], machine.c[hash]);
                let w = self::schedule(messages[hash]);
                let state = (60..64)
                    .fold([a, b, c, d, e, f, g, h], |s, i| round(s, w[i].wrapping_add(K[i])));
                let mut expected = inits[hash];
                compress(&mut expected, &messages[hash]);
                let sum = core::array::from_fn(|i| state[i].wrapping_add(inits[hash][i]));
                assert_eq!(sum, expected, "hash {hash}, {block:?}");
            }
            let made = match block {
                Block::Read => 2,
                Block::Make => 3,
                Block::Alone => 4,
            };
            let made = messages.iter().zip(machine.w).take(made);
            for (hash, (message, w)) in made.enumerate() {
                let last = [60, 61, 62, 63].map(|j| self::schedule(*message)[j]);
                assert_eq!(w, last, "schedule {hash}");
            }
        }
    }

    /// All 64 words by the recurrence of FIPS 180-4.
    fn schedule(message: [u32; 16]) -> [u32; 64] {
        let mut w = [0; 64];
        w[..16].copy_from_slice(&message);
        for i in 16..64 {
            w[i] = small_sigma1(w[i - 2])
                .wrapping_add(w[i - 7])
                .wrapping_add(small_sigma0(w[i - 15]))
                .wrapping_add(w[i - 16]);
        }
        w
    }
}
