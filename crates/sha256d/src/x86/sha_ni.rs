//! The SHA instructions, hashes side by side: `sha256rnds2` answers after four cycles but can be
//! started more often (every cycle on Zen 3 and 4, every second or third on Intel), so that one
//! hash alone would leave the unit idle.
//!
//! There are three ways to fill it. [`pairs`] puts two midstates of one nonce side by side, and
//! [`alone`] two nonces of a lone midstate, both in orders that are data; [`nonces`] puts two
//! nonces of each midstate side by side in the order of the compiler, as the kernel did before.

mod alone;
mod assembly;
#[cfg(any(test, miri))]
mod definition;
mod nonces;
mod order;
mod pairs;

use core::arch::x86_64::*;

use crate::scalar::{DIGEST_BITS, HEADER_BITS, IV, K, PAD};
use crate::scan::{Batches, Candidates};
use crate::work;
use crate::{Operations, Work};

/// Nonces in a batch.
const LANES: usize = 4;
/// Hashes side by side: two midstates of one nonce, or two nonces of one midstate.
const PAIR: usize = 2;

/// An odd number of midstates is padded to an even one by `pairs`. Below this number the padding
/// costs more than the pairs gain, so that the midstates go by `nonces`.
const LEAST_ODD: usize = 7;

/// The second block's words 4 to 15.
const PADDING: [[u32; 4]; 3] = [[PAD, 0, 0, 0], [0; 4], [0, 0, 0, HEADER_BITS]];
/// The third block's words 8 to 15.
const DIGEST_PADDING: [[u32; 4]; 2] = [[PAD, 0, 0, 0], [0, 0, 0, DIGEST_BITS]];

/// The proof that the CPU has the SHA extensions, and AVX: not for its width, but because its
/// encoding spares the moves of two-operand SSE (2.5 percent on Zen 3). The CPUs that have the one
/// without the other are Atoms of 2016 to 2020.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ShaNi(());

impl ShaNi {
    pub(crate) const LANES: usize = LANES;
    /// 61 `rnds2`, 11 `msg1` and 12 `msg2`; and, shared, 10 and 12.
    pub(crate) const OPERATIONS: Option<Operations> =
        Some(Operations::Sha { hash: 84, shared: 22 });

    pub(crate) fn detect() -> Option<Self> {
        super::cpu_has!("sha", "avx").then_some(Self(()))
    }

    pub(crate) fn find(self, work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
        // SAFETY: the token proves that the CPU has the SHA extensions and AVX.
        unsafe { find::<true>(work, batches, candidates) }
    }

    /// An instruction does two rounds; the vector ports are not what bounds it.
    pub(crate) fn independent_rounds(self, _turns: u32) -> Option<u64> {
        None
    }
}

/// The variant in the order of the compiler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ShaNiNonces(ShaNi);

impl ShaNiNonces {
    pub(crate) const LANES: usize = LANES;
    pub(crate) const OPERATIONS: Option<Operations> = ShaNi::OPERATIONS;

    pub(crate) fn detect() -> Option<Self> {
        ShaNi::detect().map(Self)
    }

    pub(crate) fn find(self, work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
        // SAFETY: the token within proves that the CPU has the SHA extensions and AVX.
        unsafe { find::<false>(work, batches, candidates) }
    }

    pub(crate) fn independent_rounds(self, turns: u32) -> Option<u64> {
        self.0.independent_rounds(turns)
    }
}

/// A state in the order of the instructions, the last letter in the lowest lane.
#[derive(Clone, Copy)]
struct State {
    abef: __m128i,
    cdgh: __m128i,
}

/// The words of two rounds in the lower half of a vector, and of the next two likewise.
type FourRounds = [__m128i; 2];

/// Words 0 to 3 and 4 to 7 of the first hash.
type Digest = [__m128i; 2];

#[target_feature(enable = "sha,avx")]
fn find<const IN_ORDER: bool>(work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
    let zero = vector([0; 4]);
    let nothing = State { abef: zero, cdgh: zero };
    let mut starts = [Start { midstate: nothing, after_round_3: nothing }; Work::MAX_MIDSTATES];
    for (start, folded) in starts.iter_mut().zip(work.starts()) {
        *start = Start::new(folded);
    }
    let midstates = work.midstates();
    match midstates {
        1 if IN_ORDER => alone::find(work, &starts[0], batches, candidates),
        // A lone midstate shares its schedule with no other, and is spared the stores.
        1 => nonces::find::<false>(work, &starts[..1], batches, candidates),
        _ if !IN_ORDER || (midstates % 2 == 1 && midstates < LEAST_ODD) => {
            nonces::find::<true>(work, &starts[..midstates], batches, candidates)
        }
        // An odd midstate goes with the empty one behind it, and the driver reads no candidate of
        // that.
        _ => {
            let pairs = midstates.div_ceil(PAIR);
            pairs::find(work, &starts.as_chunks().0[..pairs], batches, candidates)
        }
    }
}

/// A midstate, and itself after rounds 0 to 3 but for the nonce, which is missing in `a` and `e`.
#[derive(Clone, Copy)]
struct Start {
    midstate: State,
    after_round_3: State,
}

impl Start {
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn new(folded: &work::Start) -> Self {
        Self {
            midstate: State::new(&folded.feed_forward),
            after_round_3: State::new(&folded.state),
        }
    }

    /// The state after round 3.
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn with_nonce(&self, nonce: __m128i) -> State {
        let State { abef, cdgh } = self.after_round_3;
        State { abef: _mm_add_epi32(abef, nonce), cdgh }
    }

    /// The digest, from the state after round 63.
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn digest(&self, s: State) -> Digest {
        let abef = _mm_add_epi32(s.abef, self.midstate.abef);
        let cdgh = _mm_add_epi32(s.cdgh, self.midstate.cdgh);
        let abcd = _mm_unpackhi_epi64(cdgh, abef);
        let efgh = _mm_unpacklo_epi64(cdgh, abef);
        // Turned round: word 0 is the message's first, in the lowest lane.
        [_mm_shuffle_epi32::<0b00_01_10_11>(abcd), _mm_shuffle_epi32::<0b00_01_10_11>(efgh)]
    }
}

/// Of the words `w0` to `w3` the nonce, where round 3 adds it: in `a` and `e`.
#[inline]
#[target_feature(enable = "sha,avx")]
fn in_a_and_e(w0: __m128i) -> __m128i {
    _mm_slli_epi64::<32>(_mm_shuffle_epi32::<0b11_11_11_11>(w0))
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

    /// Word 7 of a hash from its state after round 61: its `f` is `e` after round 60, and would be
    /// `h` after round 63.
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn word7(self) -> u32 {
        _mm_cvtsi128_si32(self.abef).cast_unsigned().wrapping_add(IV[7])
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
