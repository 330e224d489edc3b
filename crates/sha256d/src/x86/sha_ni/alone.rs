//! A lone midstate: two nonces of it side by side, and beside their first hashes the second hashes
//! of two nonces before, which they do not wait for. As in [`pairs`](super::pairs), four hashes
//! share the registers in an order that is data, but each has a message schedule to make.

#[cfg(not(miri))]
use core::arch::asm;
use core::arch::x86_64::*;

#[cfg(not(miri))]
use super::assembly::{ROUNDS, assemble, text};
use super::pairs::{Words, first_rounds, last_two_rounds};
use super::{
    DIGEST_PADDING, LANES, PADDING, PAIR, Start, State, constants, in_a_and_e, order, vector,
};
use crate::Work;
use crate::lanes::unroll;
use crate::scan::{Batches, Candidates};

/// Two pairs of nonces in turns: when the first hashes of one pair end, their second hashes need
/// not begin at once.
const TURNS: usize = LANES / PAIR;

/// In one piece, and within a page: no two addresses are told apart by their upper bits alone.
#[repr(C, align(64))]
struct Memory {
    /// For each turn the messages of the second hashes that are next, and room for their schedules.
    digests: [[Words; PAIR]; TURNS],
    /// The same of the first hashes.
    messages: [Words; PAIR],
}

impl Memory {
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn new() -> Self {
        let zero = vector([0; 4]);
        let (mut message, mut digest) = ([zero; 16], [zero; 16]);
        message[1..4].copy_from_slice(&PADDING.map(|words| vector(words)));
        digest[2..4].copy_from_slice(&DIGEST_PADDING.map(|words| vector(words)));
        Self { digests: [[digest; PAIR]; TURNS], messages: [message; PAIR] }
    }
}

// Not inlined, so that `cargo xtask asm` finds it by its name.
#[inline(never)]
#[target_feature(enable = "sha,avx")]
pub(super) fn find(
    work: &Work,
    start: &Start,
    batches: Batches,
    candidates: &mut Candidates,
) -> u32 {
    let mut memory = Memory::new();
    // As in `pairs::find`.
    _mm256_zeroupper();

    let [w0, w1, w2] = work.tail();
    let found = &mut candidates[0];
    let mut first = batches.first;
    // At first there are no digests, so second hashes are made for nothing; beside them run the
    // first hashes of the first batch.
    for batch in 0..=batches.count {
        *found = 0;
        for turn in 0..TURNS {
            for (lane, message) in memory.messages.iter_mut().enumerate() {
                let nonce = first.wrapping_add((turn * PAIR + lane) as u32);
                message[0] = vector([w0, w1, w2, nonce.swap_bytes()]);
            }
            for (lane, word7) in hashes(start, &mut memory, turn).into_iter().enumerate() {
                *found |= u32::from(word7 & work.zero_bits == 0) << (turn * PAIR + lane);
            }
        }
        if *found != 0 && batch > 0 {
            return batch;
        }
        first = first.wrapping_add(LANES as u32);
    }
    batches.count
}

/// Word 7 of the second hashes of the turn, and beside it the first hashes of the messages, whose
/// digests take the place of those that went in.
#[inline]
#[target_feature(enable = "sha,avx")]
fn hashes(start: &Start, memory: &mut Memory, turn: usize) -> [u32; PAIR] {
    let first = [0, 1].map(|lane| start.with_nonce(in_a_and_e(memory.messages[lane][0])));
    let [first, second] = first_rounds(first, &memory.digests[turn]);
    let [digest, message] = [DIGEST_PADDING[1], PADDING[2]].map(|words| vector(words));
    let mut step = Step { first, second, w: [digest, digest, message, message] };
    unroll!(I in 3 4 5 6 7 8 9 10 11 12 13 14 => { step.four_rounds::<I>(memory, turn); });

    let Step { first, second, w: [w0, w1, w2, w3] } = step;
    for ((digest, s), w) in memory.digests[turn].iter_mut().zip(first).zip([w2, w3]) {
        let s = s.four_rounds_in_order(_mm_add_epi32(w, constants(15)));
        [digest[0], digest[1]] = start.digest(s);
    }
    last_two_rounds(second, [w0, w1])
}

/// The state that the four rounds change.
#[derive(Clone, Copy)]
struct Step {
    first: [State; PAIR],
    second: [State; PAIR],
    /// The newest words of the schedules: of the second hashes, and of the first.
    w: [__m128i; 4],
}

impl Step {
    /// Rounds `4 * I` to `4 * I + 3` of all four hashes, and the schedules' words for the next.
    #[cfg(not(miri))]
    #[inline]
    #[target_feature(enable = "sha,avx")]
    fn four_rounds<const I: usize>(&mut self, memory: &mut Memory, turn: usize) {
        const { assert!(I >= 3 && I <= 14) };
        let Self { first: [f0, f1], second: [s0, s1], w: [w0, w1, w2, w3] } = self;
        let (n0, n1, n2, n3): (__m128i, __m128i, __m128i, __m128i);
        macro_rules! operands {
            ($block:tt) => {
                assemble!($block
                    a0 = inout(xmm_reg) s0.abef, c0 = inout(xmm_reg) s0.cdgh,
                    a1 = inout(xmm_reg) s1.abef, c1 = inout(xmm_reg) s1.cdgh,
                    a2 = inout(xmm_reg) f0.abef, c2 = inout(xmm_reg) f0.cdgh,
                    a3 = inout(xmm_reg) f1.abef, c3 = inout(xmm_reg) f1.cdgh,
                    w0 = inout(xmm_reg) *w0 => n1, w1 = inout(xmm_reg) *w1 => n2,
                    w2 = inout(xmm_reg) *w2 => n3, w3 = inout(xmm_reg) *w3 => _,
                    n0 = out(xmm_reg) n0, t = out(xmm_reg) _, out("xmm0") _,
                    words = in(reg) &raw mut memory.digests[turn],
                    message = in(reg) memory.messages.as_mut_ptr(),
                    k = in(reg) &raw const ROUNDS,
                    i = const 16 * I,
                    options(nostack, preserves_flags),
                )
            };
        }
        order::alone!(operands!);
        self.w = [n0, n1, n2, n3];
    }

    /// The same by the definition of each instruction, since Miri runs no assembly.
    #[cfg(miri)]
    #[target_feature(enable = "sha,avx")]
    fn four_rounds<const I: usize>(&mut self, memory: &mut Memory, turn: usize) {
        self.four_rounds_by_definition::<I>(memory, turn);
    }

    #[cfg(any(test, miri))]
    #[target_feature(enable = "sha,avx")]
    fn four_rounds_by_definition<const I: usize>(&mut self, memory: &mut Memory, turn: usize) {
        use super::definition::{Block, Machine, to_vector, to_words};

        let Self { first: [f0, f1], second: [s0, s1], w } = self;
        let ([m0, m1], [m2, m3]) = (memory.digests[turn], memory.messages);
        let mut machine = Machine {
            i: I,
            a: [s0.abef, s1.abef, f0.abef, f1.abef].map(|v| to_words(v)),
            c: [s0.cdgh, s1.cdgh, f0.cdgh, f1.cdgh].map(|v| to_words(v)),
            w: w.map(|v| to_words(v)),
            m: [m0, m1, m2, m3].map(|m| m.map(|v| to_words(v))),
            ..Machine::default()
        };
        machine.four_rounds(Block::Alone);
        [s0.abef, s1.abef, f0.abef, f1.abef] = machine.a.map(|w| to_vector(w));
        [s0.cdgh, s1.cdgh, f0.cdgh, f1.cdgh] = machine.c.map(|w| to_vector(w));
        *w = machine.next().map(|w| to_vector(w));
        let [m0, m1, m2, m3] = machine.m.map(|m| m.map(|w| to_vector(w)));
        (memory.digests[turn], memory.messages) = ([m0, m1], [m2, m3]);
    }
}

/// The description against the assembly; both against `scalar` in [`super::definition`].
#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use crate::x86::sha_ni::definition::{random, to_words};

    #[target_feature(enable = "sha,avx")]
    fn agree<const I: usize>(seed: &mut u64) {
        let mut states =
            || core::array::from_fn(|_| State { abef: random(seed), cdgh: random(seed) });
        let (first, second) = (states(), states());
        let mut step = Step { first, second, w: core::array::from_fn(|_| random(seed)) };
        let turn = (*seed % TURNS as u64) as usize;
        let mut memory = Memory::new();
        memory.digests[turn] = memory.digests[turn].map(|words| words.map(|_| random(seed)));
        memory.messages = memory.messages.map(|words| words.map(|_| random(seed)));

        let (mut defined, mut described) = (step, Memory { ..memory });
        step.four_rounds::<I>(&mut memory, turn);
        defined.four_rounds_by_definition::<I>(&mut described, turn);
        let numbers = |step: &Step, memory: &Memory| {
            let states = [step.first, step.second].map(|s| s.map(|s| [s.abef, s.cdgh]));
            let states = states.map(|s| s.map(|s| s.map(|v| to_words(v))));
            let digests = memory.digests.map(|d| d.map(|d| d.map(|v| to_words(v))));
            let messages = memory.messages.map(|m| m.map(|v| to_words(v)));
            (states, step.w.map(|v| to_words(v)), digests, messages)
        };
        assert_eq!(numbers(&step, &memory), numbers(&defined, &described), "four rounds {I}");
    }

    #[test]
    fn the_assembly_does_what_the_description_says() {
        #[target_feature(enable = "sha,avx")]
        fn all() {
            let mut seed = 16;
            for _ in 0..200 {
                unroll!(I in 3 4 5 6 7 8 9 10 11 12 13 14 => { agree::<I>(&mut seed); });
            }
        }
        if super::super::ShaNi::detect().is_some() {
            // SAFETY: the token was made, so the CPU has SHA and AVX.
            unsafe { all() }
        }
    }
}
