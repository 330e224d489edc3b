//! The SHA-256 instructions of ARMv8, four nonces side by side: each takes a few cycles to answer
//! and can be started more often.
//!
//! The message schedule of the second block is expanded once for all midstates, with the round
//! constants added. An instruction does four rounds; the nonce enters the last of the first four,
//! which is an addition to two words, so those four are done once for all nonces.

use core::arch::aarch64::*;
use core::hint::black_box;

use crate::lanes::unroll;
use crate::scalar::{DIGEST_BITS, HEADER_BITS, IV, K, PAD};
use crate::scan::{Batches, Candidates};
use crate::work::Start;
use crate::{Operations, Work};

const LANES: usize = 4;

/// The proof that the CPU has the SHA-256 instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sha2(());

impl Sha2 {
    pub(crate) const LANES: usize = LANES;
    pub(crate) const OPERATIONS: Option<Operations> = None;

    pub(crate) fn detect() -> Option<Self> {
        super::cpu_has!("sha2").then_some(Self(()))
    }

    pub(crate) fn find(self, work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
        // SAFETY: the token proves that the CPU has the SHA-256 instructions.
        unsafe { find(work, batches, candidates) }
    }

    /// An instruction does four rounds; the vector ports are not what bounds it.
    pub(crate) fn independent_rounds(self, _turns: u32) -> Option<u64> {
        None
    }
}

#[derive(Clone, Copy)]
struct State {
    abcd: uint32x4_t,
    efgh: uint32x4_t,
}

/// Values that all midstates of a batch share: a vector of each nonce, and for each four rounds
/// from 16 to 63 a vector of the message schedule with the round constants added.
struct Shared {
    /// In the first word, where round 3 adds it to `a` and to `e`.
    nonces: [uint32x4_t; LANES],
    kw: [[uint32x4_t; LANES]; 12],
}

/// The second block's words 4 to 15.
const PADDING: [[u32; 4]; 3] = [[PAD, 0, 0, 0], [0; 4], [0, 0, 0, HEADER_BITS]];

#[target_feature(enable = "sha2")]
fn find(work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
    let zero = vector([0; 4]);
    let mut shared = Shared { nonces: [zero; LANES], kw: [[zero; LANES]; 12] };
    let mut first = batches.first;
    for batch in 0..batches.count {
        expand(work.tail(), first, &mut shared);
        let mut any = 0;
        for (start, found) in work.starts().iter().zip(candidates.iter_mut()) {
            // The black box keeps the loads of the schedule in this loop; see the x86 kernel.
            let message = first_hash(start, black_box(&shared));
            *found = 0;
            for (lane, word7) in second_hash(message).into_iter().enumerate() {
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

/// The nonces from `first` on, and the schedule of the second block for them.
#[inline]
#[target_feature(enable = "sha2")]
fn expand([w0, w1, w2]: [u32; 3], first: u32, shared: &mut Shared) {
    let [w4, w8, w12] = PADDING.map(|words| vector(words));
    let nonces: [u32; LANES] =
        core::array::from_fn(|lane| first.wrapping_add(lane as u32).swap_bytes());
    shared.nonces = nonces.map(|nonce| vector([nonce, 0, 0, 0]));
    let mut w = nonces.map(|nonce| [vector([w0, w1, w2, nonce]), w4, w8, w12]);
    unroll!(I in 4 5 6 7 8 9 10 11 12 13 14 15 => {
        w = w.map(|w| extend(w));
        shared.kw[I - 4] = w.map(|w| vaddq_u32(w[3], constants(I)));
    });
}

/// Rounds 4 to 63 of the second block and the sum with the midstate: the first digest for each
/// nonce.
#[inline]
#[target_feature(enable = "sha2")]
fn first_hash(start: &Start, shared: &Shared) -> [State; LANES] {
    let midstate = State::new(&start.feed_forward);
    let after_round_3 = State::new(&start.state);
    let mut s = shared.nonces.map(|nonce| State {
        abcd: vaddq_u32(after_round_3.abcd, nonce),
        efgh: vaddq_u32(after_round_3.efgh, nonce),
    });
    unroll!(I in 1 2 3 => {
        let kw = vaddq_u32(vector(PADDING[I - 1]), constants(I));
        s = s.map(|s| s.four_rounds(kw));
    });
    for kw in &shared.kw {
        s = core::array::from_fn(|lane| s[lane].four_rounds(kw[lane]));
    }
    s.map(|s| State {
        abcd: vaddq_u32(s.abcd, midstate.abcd),
        efgh: vaddq_u32(s.efgh, midstate.efgh),
    })
}

/// Word 7 of the second hash, for each nonce.
#[inline]
#[target_feature(enable = "sha2")]
fn second_hash(message: [State; LANES]) -> [u32; LANES] {
    let mut w = message.map(|message| {
        let State { abcd, efgh } = message;
        [abcd, efgh, vector([PAD, 0, 0, 0]), vector([0, 0, 0, DIGEST_BITS])]
    });
    let mut s = [State::new(&IV); LANES];
    unroll!(I in 0 1 2 3 => {
        s = core::array::from_fn(|lane| s[lane].four_rounds(vaddq_u32(w[lane][I], constants(I))));
    });
    unroll!(I in 4 5 6 7 8 9 10 11 12 13 14 => {
        w = w.map(|w| extend(w));
        s = core::array::from_fn(|lane| s[lane].four_rounds(vaddq_u32(w[lane][3], constants(I))));
    });
    // The last four rounds only in `e` to `h`.
    core::array::from_fn(|lane| {
        let [.., w60] = extend(w[lane]);
        let State { abcd, efgh } = s[lane];
        let efgh = vsha256h2q_u32(efgh, abcd, vaddq_u32(w60, constants(15)));
        vgetq_lane_u32::<3>(efgh).wrapping_add(IV[7])
    })
}

impl State {
    #[inline]
    #[target_feature(enable = "sha2")]
    fn new(&[a, b, c, d, e, f, g, h]: &[u32; 8]) -> Self {
        Self { abcd: vector([a, b, c, d]), efgh: vector([e, f, g, h]) }
    }

    #[inline]
    #[target_feature(enable = "sha2")]
    fn four_rounds(self, kw: uint32x4_t) -> Self {
        let Self { abcd, efgh } = self;
        Self { abcd: vsha256hq_u32(abcd, efgh, kw), efgh: vsha256h2q_u32(efgh, abcd, kw) }
    }
}

/// Sixteen schedule words, moved on by four.
#[inline]
#[target_feature(enable = "sha2")]
fn extend([w0, w4, w8, w12]: [uint32x4_t; 4]) -> [uint32x4_t; 4] {
    [w4, w8, w12, vsha256su1q_u32(vsha256su0q_u32(w0, w4), w8, w12)]
}

/// The round constants `4 * i` to `4 * i + 3`.
#[inline]
#[target_feature(enable = "sha2")]
fn constants(i: usize) -> uint32x4_t {
    vector([K[4 * i], K[4 * i + 1], K[4 * i + 2], K[4 * i + 3]])
}

/// Four words, the first in the lowest lane.
#[inline]
#[target_feature(enable = "sha2")]
fn vector(words: [u32; 4]) -> uint32x4_t {
    // SAFETY: four words are read from an array of four.
    unsafe { vld1q_u32(words.as_ptr()) }
}
