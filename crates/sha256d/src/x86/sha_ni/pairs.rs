//! Two midstates of one nonce side by side: their first hashes take the same words, so that one
//! load serves both. Beside the two first hashes run the second hashes of the two midstates before,
//! which they do not wait for. That is four states and their schedules in sixteen registers. The
//! last second hashes of a batch run beside the first hashes of the next batch.
//!
//! The number of instructions does not bound this kernel, but their places do: of 760 orders of the
//! same four rounds, in a generated loop on Zen 3, the worst took a quarter longer than the best.
//! It looks as if the CPU dealt vector operations to two schedulers in the order they come, and
//! each can start a `sha256rnds2` every other cycle. So the order of the rounds is not left to the
//! compiler: it is data in [`order`], found by `cargo xtask order`.

#[cfg(not(miri))]
use core::arch::asm;
use core::arch::x86_64::*;
use core::hint::black_box;

use super::assembly::two_rounds_of_both;
#[cfg(not(miri))]
use super::assembly::{ROUNDS, assemble, text};
use super::{
    DIGEST_PADDING, FourRounds, LANES, PADDING, PAIR, Start, State, constants, in_a_and_e, order,
    upper, vector,
};
use crate::Work;
use crate::lanes::unroll;
use crate::scalar::IV;
use crate::scan::{Batches, Candidates};

/// A message and its schedule, but for the last three of 64 words.
pub(super) type Words = [__m128i; 16];

/// Values that all midstates of a batch share, and those that one leaves for the next. In one
/// piece, and within a page: no two addresses are told apart by their upper bits alone.
#[repr(C, align(64))]
struct Shared {
    /// For each four rounds from 12 to 63 the message schedule with the round constants added.
    kw: [[FourRounds; LANES]; 13],
    /// The messages of the second hashes that are next, and room for their schedules.
    digests: [[Words; PAIR]; LANES],
    /// The message that `kw` is made from.
    message: Words,
    /// The nonces in `a` and `e`, where round 3 adds them.
    nonces: [__m128i; LANES],
}

impl Shared {
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn new() -> Self {
        let zero = vector([0; 4]);
        let mut message = [zero; 16];
        message[1..4].copy_from_slice(&PADDING.map(|words| vector(words)));
        let mut digest = [zero; 16];
        digest[2..4].copy_from_slice(&DIGEST_PADDING.map(|words| vector(words)));
        Self {
            kw: [[[zero; 2]; LANES]; 13],
            digests: [[digest; PAIR]; LANES],
            message,
            nonces: [zero; LANES],
        }
    }

    /// The nonce `first + lane`, for the [`hashes`] that make the schedule.
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn set_nonce(&mut self, [w0, w1, w2]: [u32; 3], first: u32, lane: usize) {
        let nonce = first.wrapping_add(lane as u32);
        self.message[0] = vector([w0, w1, w2, nonce.swap_bytes()]);
        self.nonces[lane] = in_a_and_e(self.message[0]);
    }
}

// Not inlined, so that `cargo xtask asm` finds it by its name.
#[inline(never)]
#[target_feature(enable = "sha,avx")]
pub(super) fn find(
    work: &Work,
    starts: &[[Start; PAIR]],
    batches: Batches,
    candidates: &mut Candidates,
) -> u32 {
    let Some(head) = starts.first() else { return batches.count }; // no work has no midstate
    let mut shared = Shared::new();

    // The SHA instructions have no AVX encoding, and Intel CPUs run them a hundred times slower
    // while the upper halves of the vector registers are in use: by the code before this, or by
    // the zeros above.
    _mm256_zeroupper();

    let candidates = &mut candidates.as_chunks_mut().0[..starts.len()];
    let mut first = batches.first;
    // At first there are no digests, so only the last pair is hashed, for nothing; beside it run
    // the first hashes of the first batch.
    let mut from = starts.len() - 1;
    for batch in 0..=batches.count {
        let mut any = 0;
        for (index, found) in candidates.iter_mut().enumerate().skip(from) {
            let next = starts.get(index + 1);
            *found = [0; PAIR];
            for lane in 0..LANES {
                let words7 = if let Some(next) = next {
                    // Without the black box the compiler moves loads of the schedule out of this
                    // loop, which means copying them from one place of the stack to another.
                    hashes::<false>(next, black_box(&mut shared), lane)
                } else {
                    shared.set_nonce(work.tail(), first, lane);
                    hashes::<true>(head, &mut shared, lane)
                };
                note(found, words7, work.zero_bits, lane);
            }
            any |= found[0] | found[1];
        }
        if any != 0 && batch > 0 {
            return batch;
        }
        from = 0;
        first = first.wrapping_add(LANES as u32);
    }
    batches.count
}

/// Notes the lane for each of the two midstates whose word 7 passes the filter.
#[inline]
fn note(found: &mut [u32; PAIR], words7: [u32; PAIR], zero_bits: u32, lane: usize) {
    for (found, word7) in found.iter_mut().zip(words7) {
        *found |= u32::from(word7 & zero_bits == 0) << lane;
    }
}

/// Word 7 of the second hashes of one nonce, for two midstates, and beside it the first hashes of
/// the next two, whose digests take the place of those that went in. With `MAKE` the next two are
/// of another nonce and make its message schedule; otherwise they read the schedule from memory.
#[inline]
#[target_feature(enable = "sha,avx")]
fn hashes<const MAKE: bool>(next: &[Start; PAIR], shared: &mut Shared, lane: usize) -> [u32; PAIR] {
    let first = next.each_ref().map(|next| next.with_nonce(shared.nonces[lane]));
    let [first, second] = first_rounds(first, &shared.digests[lane]);
    let newest = vector(DIGEST_PADDING[1]);
    let mut step = Step { first, second, w: [newest, newest, vector(PADDING[2])] };
    unroll!(I in 3 4 5 6 7 8 9 10 11 12 13 14 => { step.four_rounds::<I, MAKE>(shared, lane); });
    let Step { first, second, w: [w0, w1, w2] } = step;

    if MAKE {
        let kw = _mm_add_epi32(w2, constants(15));
        shared.kw[12][lane] = [kw, upper(kw)];
    }
    let [kw, upper] = shared.kw[12][lane];
    let first = two_rounds_of_both(two_rounds_of_both(first, kw), upper);
    for ((digest, next), s) in shared.digests[lane].iter_mut().zip(next).zip(first) {
        [digest[0], digest[1]] = next.digest(s);
    }
    last_two_rounds(second, [w0, w1])
}

/// Word 7 of second hashes from their states after round 59 and their schedules' newest words.
#[inline]
#[target_feature(enable = "sha,avx")]
pub(super) fn last_two_rounds(second: [State; PAIR], newest: [__m128i; PAIR]) -> [u32; PAIR] {
    let words = newest.map(|w| _mm_add_epi32(w, constants(15)));
    [0, 1].map(|i| second[i].two_rounds_in_order(words[i]).word7())
}

/// Rounds 4 to 11 of two first hashes, whose words are padding, and rounds 0 to 11 of two second
/// hashes beside them.
#[inline]
#[target_feature(enable = "sha,avx")]
pub(super) fn first_rounds(
    mut first: [State; PAIR],
    digests: &[Words; PAIR],
) -> [[State; PAIR]; 2] {
    let mut second = [State::new(&IV); PAIR];
    unroll!(I in 0 1 => {
        for (s, w) in second.iter_mut().zip(digests) {
            *s = s.four_rounds_in_order(_mm_add_epi32(w[I], constants(I)));
        }
        let kw = _mm_add_epi32(vector(PADDING[I]), constants(I + 1));
        first = two_rounds_of_both(two_rounds_of_both(first, kw), upper(kw));
    });
    let kw = _mm_add_epi32(vector(DIGEST_PADDING[0]), constants(2));
    second = two_rounds_of_both(two_rounds_of_both(second, kw), upper(kw));
    [first, second]
}

/// The state that the four rounds change.
#[derive(Clone, Copy)]
struct Step {
    first: [State; PAIR],
    second: [State; PAIR],
    /// The newest words of the schedules: of the second hashes, and of the first.
    w: [__m128i; 3],
}

impl Step {
    /// Rounds `4 * I` to `4 * I + 3` of all four hashes, and the schedules' words for the next.
    #[cfg(not(miri))]
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn four_rounds<const I: usize, const MAKE: bool>(&mut self, shared: &mut Shared, lane: usize) {
        const { assert!(I >= 3 && I <= 14) };
        let Self { first: [f0, f1], second: [s0, s1], w: [w0, w1, w2] } = self;
        let (n0, n1): (__m128i, __m128i);
        macro_rules! operands {
            ($block:tt $($more:tt)*) => {
                assemble!($block
                    a0 = inout(xmm_reg) s0.abef, c0 = inout(xmm_reg) s0.cdgh,
                    a1 = inout(xmm_reg) s1.abef, c1 = inout(xmm_reg) s1.cdgh,
                    a2 = inout(xmm_reg) f0.abef, c2 = inout(xmm_reg) f0.cdgh,
                    a3 = inout(xmm_reg) f1.abef, c3 = inout(xmm_reg) f1.cdgh,
                    w0 = in(xmm_reg) *w0, n0 = out(xmm_reg) n0,
                    w1 = in(xmm_reg) *w1, n1 = out(xmm_reg) n1,
                    t = out(xmm_reg) _, out("xmm0") _,
                    words = in(reg) &raw mut shared.digests[lane],
                    k = in(reg) &raw const ROUNDS,
                    kw = in(reg) &raw mut shared.kw[0][lane],
                    i = const 16 * I,
                    at = const (I - 3) * size_of::<[FourRounds; LANES]>(),
                    $($more)*
                    options(nostack, preserves_flags),
                )
            };
        }
        if MAKE {
            let n2;
            order::make!(operands!
                w2 = in(xmm_reg) *w2, n2 = out(xmm_reg) n2,
                message = in(reg) shared.message.as_mut_ptr(),
            );
            *w2 = n2;
        } else {
            order::read!(operands!);
        }
        (*w0, *w1) = (n0, n1);
    }

    /// The same by the definition of each instruction, since Miri runs no assembly.
    #[cfg(miri)]
    #[target_feature(enable = "sha,avx")]
    fn four_rounds<const I: usize, const MAKE: bool>(&mut self, shared: &mut Shared, lane: usize) {
        self.four_rounds_by_definition::<I, MAKE>(shared, lane);
    }

    #[cfg(any(test, miri))]
    #[target_feature(enable = "sha,avx")]
    fn four_rounds_by_definition<const I: usize, const MAKE: bool>(
        &mut self,
        shared: &mut Shared,
        lane: usize,
    ) {
        use super::definition::{Block, Machine, to_vector, to_words};

        let Self { first: [f0, f1], second: [s0, s1], w } = self;
        let [m0, m1] = shared.digests[lane];
        let mut machine = Machine {
            i: I,
            a: [s0.abef, s1.abef, f0.abef, f1.abef].map(|v| to_words(v)),
            c: [s0.cdgh, s1.cdgh, f0.cdgh, f1.cdgh].map(|v| to_words(v)),
            w: [w[0], w[1], w[2], w[2]].map(|v| to_words(v)),
            m: [m0, m1, shared.message, shared.message].map(|m| m.map(|v| to_words(v))),
            kw: shared.kw[I - 3][lane].map(|v| to_words(v)),
            ..Machine::default()
        };
        machine.four_rounds(if MAKE { Block::Make } else { Block::Read });
        [s0.abef, s1.abef, f0.abef, f1.abef] = machine.a.map(|w| to_vector(w));
        [s0.cdgh, s1.cdgh, f0.cdgh, f1.cdgh] = machine.c.map(|w| to_vector(w));
        let [n0, n1, n2] = machine.n.map(|w| to_vector(w));
        *w = [n0, n1, if MAKE { n2 } else { w[2] }];
        let [m0, m1, message, _] = machine.m.map(|m| m.map(|w| to_vector(w)));
        (shared.digests[lane], shared.message) = ([m0, m1], message);
        shared.kw[I - 3][lane] = machine.kw.map(|w| to_vector(w));
    }
}

/// The description against the assembly; both against `scalar` in [`super::definition`].
#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use crate::x86::sha_ni::definition::{random, to_words};

    #[target_feature(enable = "sha,avx")]
    fn agree<const I: usize, const MAKE: bool>(seed: &mut u64) {
        let states = |seed: &mut u64| {
            core::array::from_fn(|_| State { abef: random(seed), cdgh: random(seed) })
        };
        let mut step = Step {
            first: states(seed),
            second: states(seed),
            w: core::array::from_fn(|_| random(seed)),
        };
        let lane = (*seed % LANES as u64) as usize;
        let mut shared = Shared::new();
        shared.digests[lane] = shared.digests[lane].map(|words| words.map(|_| random(seed)));
        shared.message = shared.message.map(|_| random(seed));
        shared.kw[I - 3][lane] = shared.kw[I - 3][lane].map(|_| random(seed));

        let (mut defined, mut described) = (step, Shared { ..shared });
        step.four_rounds::<I, MAKE>(&mut shared, lane);
        defined.four_rounds_by_definition::<I, MAKE>(&mut described, lane);
        let numbers = |step: &Step, shared: &Shared| {
            let states = [step.first, step.second].map(|s| s.map(|s| [s.abef, s.cdgh]));
            let kw = shared.kw.map(|kw| kw.map(|kw| kw.map(|v| to_words(v))));
            let digests = shared.digests.map(|d| d.map(|d| d.map(|v| to_words(v))));
            let states = states.map(|s| s.map(|s| s.map(|v| to_words(v))));
            let message = shared.message.map(|v| to_words(v));
            (states, step.w.map(|v| to_words(v)), kw, digests, message)
        };
        assert_eq!(numbers(&step, &shared), numbers(&defined, &described), "four rounds {I}");
    }

    #[test]
    fn the_assembly_does_what_the_description_says() {
        #[target_feature(enable = "sha,avx")]
        fn all() {
            let mut seed = 16;
            for _ in 0..200 {
                unroll!(I in 3 4 5 6 7 8 9 10 11 12 13 14 => {
                    agree::<I, false>(&mut seed);
                    agree::<I, true>(&mut seed);
                });
            }
        }
        if super::super::ShaNi::detect().is_some() {
            // SAFETY: the token was made, so the CPU has SHA and AVX.
            unsafe { all() }
        }
    }
}
