//! The SHA instructions, four nonces side by side: `sha256rnds2` answers after four cycles but can
//! be started more often (every cycle on Zen, every second or third on Intel), so that one nonce
//! alone would leave the unit idle.
//!
//! The message schedule of the second block is expanded once for all midstates, with the round
//! constants added, after which the first hash is `sha256rnds2` and loads alone.

use core::arch::x86_64::*;
use core::hint::black_box;

use crate::Work;
use crate::lanes::unroll;
use crate::scalar::{IV, K, PAD};
use crate::scan::{Batches, Candidates};

const LANES: usize = 4;

/// The proof that the CPU has the SHA extensions, and AVX: not for its width, but because its
/// encoding spares the moves of two-operand SSE (2.5 percent on Zen 3). The CPUs that have the one
/// without the other are Atoms of 2016 to 2020.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ShaNi(());

impl ShaNi {
    pub(crate) const LANES: usize = LANES;

    pub(crate) fn detect() -> Option<Self> {
        super::cpu_has!("sha", "avx").then_some(Self(()))
    }

    pub(crate) fn find(self, work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
        // SAFETY: the token proves that the CPU has the SHA extensions and AVX.
        unsafe { find(work, batches, candidates) }
    }

    /// An instruction does two rounds; the vector ports are not what bounds it.
    pub(crate) fn independent_rounds(self, _turns: u32) -> Option<u64> {
        None
    }
}

/// A state in the order of the instructions, the last letter in the lowest lane.
#[derive(Clone, Copy)]
struct State {
    abef: __m128i,
    cdgh: __m128i,
}

/// The message schedule with the round constants added: for each pair of rounds a vector for each
/// nonce, with the two sums in its lower half.
type Schedule = [[__m128i; LANES]; 32];

#[target_feature(enable = "sha,avx")]
fn find(work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
    // The SHA instructions have no AVX encoding, and Intel CPUs run them a hundred times slower
    // while the upper halves of the vector registers are in use.
    _mm256_zeroupper();

    let nothing = State { abef: vector([0; 4]), cdgh: vector([0; 4]) };
    let mut starts = [Start { midstate: nothing, after_round_1: nothing }; Work::MAX_MIDSTATES];
    let starts = &mut starts[..work.midstates()];
    for (start, folded) in starts.iter_mut().zip(work.starts()) {
        *start = Start::new(&folded.feed_forward, work.tail());
    }

    let mut schedule = [[vector([0; 4]); LANES]; 32];
    let mut first = batches.first;
    for batch in 0..batches.count {
        expand(work.tail(), first, &mut schedule);
        let mut any = 0;
        for (start, found) in starts.iter().zip(candidates.iter_mut()) {
            // Without the black box the compiler moves the loads out of this loop, which means
            // copying the whole schedule from one place of the stack to another.
            let word7 = second_hash(first_hash(start, black_box(&schedule)));
            *found = 0;
            for (lane, word7) in word7.into_iter().enumerate() {
                *found |= u32::from(word7 & work.zero_bits == 0) << lane;
            }
            any |= *found;
        }
        if any != 0 {
            return batch + 1;
        }
        first = first.wrapping_add(LANES as u32);
    }
    batches.count
}

/// A midstate, and itself after rounds 0 and 1, which see no nonce.
#[derive(Clone, Copy)]
struct Start {
    midstate: State,
    after_round_1: State,
}

impl Start {
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn new(words: &[u32; 8], [w0, w1, _]: [u32; 3]) -> Self {
        let midstate = State::new(words);
        let kw = vector([K[0].wrapping_add(w0), K[1].wrapping_add(w1), 0, 0]);
        Self { midstate, after_round_1: midstate.two_rounds(kw) }
    }
}

/// The schedule of the second block for the nonces from `first` on.
#[inline]
#[target_feature(enable = "sha,avx")]
fn expand([w0, w1, w2]: [u32; 3], first: u32, schedule: &mut Schedule) {
    let mut w: [[__m128i; 4]; LANES] = core::array::from_fn(|lane| {
        let nonce = first.wrapping_add(lane as u32).swap_bytes();
        let length = 80 * 8;
        [
            vector([w0, w1, w2, nonce]),
            vector([PAD, 0, 0, 0]),
            vector([0; 4]),
            vector([0, 0, 0, length]),
        ]
    });
    let mut store = |i: usize, w: [__m128i; LANES]| {
        schedule[2 * i] = w.map(|w| _mm_add_epi32(w, constants(i)));
        schedule[2 * i + 1] = schedule[2 * i].map(|kw| upper(kw));
    };
    unroll!(I in 0 1 2 3 => { store(I, w.map(|w| w[I])); });
    unroll!(I in 4 5 6 7 8 9 10 11 12 13 14 15 => {
        w = w.map(|w| extend(w));
        store(I, w.map(|w| w[3]));
    });
}

/// Rounds 2 to 63 of the second block and the sum with the midstate: the first digest's words 0 to
/// 3 and 4 to 7, for each nonce.
#[inline]
#[target_feature(enable = "sha,avx")]
fn first_hash(start: &Start, schedule: &Schedule) -> [[__m128i; 2]; LANES] {
    let mut s = [start.after_round_1; LANES];
    let [_, schedule @ ..] = schedule;
    for kw in schedule {
        s = core::array::from_fn(|lane| s[lane].two_rounds(kw[lane]));
    }
    s.map(|s| {
        let abef = _mm_add_epi32(s.abef, start.midstate.abef);
        let cdgh = _mm_add_epi32(s.cdgh, start.midstate.cdgh);
        let dcba = _mm_unpackhi_epi64(cdgh, abef);
        let hgfe = _mm_unpacklo_epi64(cdgh, abef);
        [_mm_shuffle_epi32::<0b00_01_10_11>(dcba), _mm_shuffle_epi32::<0b00_01_10_11>(hgfe)]
    })
}

/// Word 7 of the second hash, for each nonce.
#[inline]
#[target_feature(enable = "sha,avx")]
fn second_hash(message: [[__m128i; 2]; LANES]) -> [u32; LANES] {
    let length = 32 * 8;
    let mut w = message.map(|[w0, w4]| [w0, w4, vector([PAD, 0, 0, 0]), vector([0, 0, 0, length])]);
    let mut s = [State::new(&IV); LANES];
    unroll!(I in 0 1 2 3 => {
        for lane in 0..LANES {
            s[lane] = s[lane].four_rounds(_mm_add_epi32(w[lane][I], constants(I)));
        }
    });
    unroll!(I in 4 5 6 7 8 9 10 11 12 13 14 => {
        for lane in 0..LANES {
            w[lane] = extend(w[lane]);
            s[lane] = s[lane].four_rounds(_mm_add_epi32(w[lane][3], constants(I)));
        }
    });
    // `f` after round 61 is `e` after round 60 and would be `h` after round 63.
    core::array::from_fn(|lane| {
        let [.., w60] = extend(w[lane]);
        let s = s[lane].two_rounds(_mm_add_epi32(w60, constants(15)));
        _mm_cvtsi128_si32(s.abef).cast_unsigned().wrapping_add(IV[7])
    })
}

impl State {
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn new(&[a, b, c, d, e, f, g, h]: &[u32; 8]) -> Self {
        Self { abef: vector([f, e, b, a]), cdgh: vector([h, g, d, c]) }
    }

    /// Two rounds with the lower two words of `kw`.
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn two_rounds(self, kw: __m128i) -> Self {
        let Self { abef, cdgh } = self;
        Self { abef: _mm_sha256rnds2_epu32(cdgh, abef, kw), cdgh: abef }
    }

    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn four_rounds(self, kw: __m128i) -> Self {
        self.two_rounds(kw).two_rounds(upper(kw))
    }
}

#[inline]
#[target_feature(enable = "sha,avx")]
fn upper(kw: __m128i) -> __m128i {
    _mm_shuffle_epi32::<0b00_00_11_10>(kw)
}

/// Sixteen schedule words, moved on by four.
#[inline]
#[target_feature(enable = "sha,avx")]
fn extend([w0, w4, w8, w12]: [__m128i; 4]) -> [__m128i; 4] {
    let older = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w4), _mm_alignr_epi8::<4>(w12, w8));
    [w4, w8, w12, _mm_sha256msg2_epu32(older, w12)]
}

/// The round constants `4 * i` to `4 * i + 3`.
#[inline]
#[target_feature(enable = "sha,avx")]
fn constants(i: usize) -> __m128i {
    vector([K[4 * i], K[4 * i + 1], K[4 * i + 2], K[4 * i + 3]])
}

/// Four words, the first in the lowest lane.
#[inline]
#[target_feature(enable = "sha,avx")]
fn vector([w0, w1, w2, w3]: [u32; 4]) -> __m128i {
    _mm_setr_epi32(w0.cast_signed(), w1.cast_signed(), w2.cast_signed(), w3.cast_signed())
}
