//! Nonces of one midstate side by side, in the order of the compiler: the kernel of three and of
//! five midstates, and the variant `sha-ni-nonces`, which the kernel is measured against.
//!
//! A nonce and its message schedule take six of the sixteen registers, so two nonces go side by
//! side. The first midstate makes the schedule of the second block beside its rounds. For the other
//! midstates the first hash is `sha256rnds2` and loads alone, with two registers for a nonce, and
//! runs beside the second hash of the midstate before it.

#[cfg(not(miri))]
use core::arch::asm;
use core::arch::x86_64::*;
use core::hint::black_box;

use super::{
    DIGEST_PADDING, Digest, FourRounds, LANES, PADDING, PAIR, Start, State, constants, extend,
    in_a_and_e, upper, vector,
};
use crate::Work;
use crate::lanes::unroll;
use crate::scalar::IV;
use crate::scan::{Batches, Candidates};

/// Two pairs in turns: where the end of one pair's hash waits, the start of the other's does not.
const PAIRS: usize = LANES / PAIR;

/// Values that all midstates of a batch share: the nonces, and for each four rounds from 16 to 63
/// the message schedule with the round constants added.
struct Shared {
    /// In `a` and `e`, where round 3 adds it.
    nonces: [[__m128i; PAIR]; PAIRS],
    kw: [[[FourRounds; PAIR]; PAIRS]; 12],
}

// Not inlined, so that `cargo xtask asm` finds it by its name.
#[inline(never)]
#[target_feature(enable = "sha,avx")]
pub(super) fn find<const SHARED: bool>(
    work: &Work,
    starts: &[Start],
    batches: Batches,
    candidates: &mut Candidates,
) -> u32 {
    let zero = vector([0; 4]);
    let mut shared = Shared { nonces: [[zero; PAIR]; PAIRS], kw: [[[[zero; 2]; PAIR]; PAIRS]; 12] };
    let mut digests = [[[zero; 2]; PAIR]; PAIRS];

    // The SHA instructions have no AVX encoding, and Intel CPUs run them a hundred times slower
    // while the upper halves of the vector registers are in use: by whoever hashed before, or by
    // the zeros above.
    _mm256_zeroupper();

    let Some(head) = starts.first() else { return batches.count }; // no work has no midstate
    let mut first = batches.first;
    for batch in 0..batches.count {
        for (pair, digests) in digests.iter_mut().enumerate() {
            let w = message(work.tail(), first.wrapping_add((pair * PAIR) as u32));
            first_hash_and_schedule::<SHARED>(head, w, pair, &mut shared, digests);
        }
        let mut any = 0;
        for (index, found) in candidates.iter_mut().take(starts.len()).enumerate() {
            let next = if SHARED { starts.get(index + 1) } else { None };
            *found = 0;
            for (pair, digests) in digests.iter_mut().enumerate() {
                let word7 = match next {
                    // Without the black box the compiler moves loads of the schedule out of this
                    // loop, which means copying them from one place of the stack to another.
                    Some(next) => second_hash_beside_first(digests, next, black_box(&shared), pair),
                    None => second_hash::<SHARED>(digests),
                };
                for (lane, word7) in word7.into_iter().enumerate() {
                    *found |= u32::from(word7 & work.zero_bits == 0) << (pair * PAIR + lane);
                }
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

/// The second block's words for the nonces from `first` on.
#[inline]
#[target_feature(enable = "sha,avx")]
fn message([w0, w1, w2]: [u32; 3], first: u32) -> [[__m128i; 4]; PAIR] {
    let [w4, w8, w12] = PADDING.map(|words| vector(words));
    let mut w = [[w8, w4, w8, w12]; PAIR];
    for (lane, w) in w.iter_mut().enumerate() {
        w[0] = vector([w0, w1, w2, first.wrapping_add(lane as u32).swap_bytes()]);
    }
    w
}

/// The first hash of a batch's first midstate, for two nonces. The schedule is made beside the
/// rounds, and kept if it is shared with other midstates.
#[inline]
#[target_feature(enable = "sha,avx")]
fn first_hash_and_schedule<const SHARED: bool>(
    start: &Start,
    mut w: [[__m128i; 4]; PAIR],
    pair: usize,
    shared: &mut Shared,
    digests: &mut [Digest; PAIR],
) {
    shared.nonces[pair] = w.map(|[w0, ..]| in_a_and_e(w0));
    let mut s = shared.nonces[pair].map(|nonce| start.with_nonce(nonce));
    unroll!(I in 1 2 3 => {
        let kw = _mm_add_epi32(vector(PADDING[I - 1]), constants(I));
        s = s.map(|s| s.four_rounds(kw));
    });
    unroll!(I in 4 5 6 7 8 9 10 11 12 13 14 15 => {
        for lane in 0..PAIR {
            w[lane] = extend(w[lane]);
            let kw = _mm_add_epi32(w[lane][3], constants(I));
            if SHARED {
                shared.kw[I - 4][pair][lane] = [kw, upper(kw)];
            }
            s[lane] = s[lane].four_rounds(kw);
        }
    });
    for lane in 0..PAIR {
        digests[lane] = start.digest(s[lane]);
    }
}

/// Word 7 of the second hash for two nonces of one midstate, and beside it the first hash of the
/// next, whose digests take the place of those that went in.
///
/// The two do not wait for each other. The schedule of the first hash is read from memory, so that
/// it needs two registers for each nonce: with the six of the second hash sixteen in all, which is
/// what there is, but `xmm0` is where `sha256rnds2` looks for its words. So some are in memory.
#[inline]
#[target_feature(enable = "sha,avx")]
fn second_hash_beside_first(
    digests: &mut [Digest; PAIR],
    next: &Start,
    shared: &Shared,
    pair: usize,
) -> [u32; PAIR] {
    let mut second = SecondHash::new(digests);
    let mut s = shared.nonces[pair].map(|nonce| next.with_nonce(nonce));
    second.first_four_rounds::<0>();
    unroll!(I in 1 2 3 => {
        second.first_four_rounds::<I>();
        let kw = _mm_add_epi32(vector(PADDING[I - 1]), constants(I));
        s = s.map(|s| s.four_rounds(kw));
        keep_step(&mut second.s, &mut s);
    });
    unroll!(I in 4 5 6 7 8 9 10 11 12 13 14 => {
        second.four_rounds::<I>();
        for (s, &[kw, upper]) in s.iter_mut().zip(&shared.kw[I - 4][pair]) {
            *s = s.two_rounds(kw).two_rounds(upper);
        }
        keep_step(&mut second.s, &mut s);
    });
    for (lane, digest) in digests.iter_mut().enumerate() {
        let [kw, upper] = shared.kw[11][pair][lane];
        *digest = next.digest(s[lane].two_rounds(kw).two_rounds(upper));
    }
    second.word7()
}

/// No instruction, but a mark that the compiler moves no rounds across: left to itself it sorts two
/// hashes that do not depend on each other one after the other, for want of registers, and the CPU
/// sees too little of the second while it waits for the first.
#[inline]
#[target_feature(enable = "sha,avx")]
#[cfg_attr(miri, expect(unused_variables, reason = "Miri runs no assembly, not even none"))]
fn keep_step([a, b]: &mut [State; PAIR], [c, d]: &mut [State; PAIR]) {
    // SAFETY: there is no instruction, so each operand comes out as it went in, and neither memory
    // nor a flag is touched.
    #[cfg(not(miri))]
    unsafe {
        asm!(
            "/* {} {} {} {} {} {} {} {} */",
            inout(xmm_reg) a.abef, inout(xmm_reg) a.cdgh,
            inout(xmm_reg) b.abef, inout(xmm_reg) b.cdgh,
            inout(xmm_reg) c.abef, inout(xmm_reg) c.cdgh,
            inout(xmm_reg) d.abef, inout(xmm_reg) d.cdgh,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// Word 7 of the second hash for two nonces. Each of the two `find` has a copy of its own, and a
/// function with one caller is inlined (`inline(always)` is not for target features).
#[inline]
#[target_feature(enable = "sha,avx")]
fn second_hash<const SHARED: bool>(digests: &[Digest; PAIR]) -> [u32; PAIR] {
    let mut second = SecondHash::new(digests);
    unroll!(I in 0 1 2 3 => { second.first_four_rounds::<I>(); });
    unroll!(I in 4 5 6 7 8 9 10 11 12 13 14 => { second.four_rounds::<I>(); });
    second.word7()
}

/// The second hash on its way, for two nonces.
struct SecondHash {
    /// The sixteen words of the schedule that the next rounds are made from.
    w: [[__m128i; 4]; PAIR],
    s: [State; PAIR],
}

impl SecondHash {
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn new(digests: &[Digest; PAIR]) -> Self {
        let [w8, w12] = DIGEST_PADDING.map(|words| vector(words));
        Self { w: digests.map(|[w0, w4]| [w0, w4, w8, w12]), s: [State::new(&IV); PAIR] }
    }

    /// The rounds `4 * I` to `4 * I + 3` of the first sixteen.
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn first_four_rounds<const I: usize>(&mut self) {
        for (s, w) in self.s.iter_mut().zip(&self.w) {
            *s = s.four_rounds(_mm_add_epi32(w[I], constants(I)));
        }
    }

    /// The rounds `4 * I` to `4 * I + 3` of the others.
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn four_rounds<const I: usize>(&mut self) {
        for (s, w) in self.s.iter_mut().zip(&mut self.w) {
            *w = extend(*w);
            *s = s.four_rounds(_mm_add_epi32(w[3], constants(I)));
        }
    }

    /// From the state after round 59.
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn word7(self) -> [u32; PAIR] {
        core::array::from_fn(|lane| {
            let [.., w60] = extend(self.w[lane]);
            self.s[lane].two_rounds(_mm_add_epi32(w60, constants(15))).word7()
        })
    }
}
