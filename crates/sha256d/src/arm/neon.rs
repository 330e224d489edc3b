//! Four lanes with NEON. A rotation is a shift and a shift that inserts; a select is one operation.

use core::arch::aarch64::*;
use core::ops::{Add, BitAnd, BitXor};

use crate::lanes::{self, Lanes};
use crate::scan::{Batches, Candidates};
use crate::{Operations, Work, bound};

/// The proof that the CPU has NEON, as every aarch64 with an operating system does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Neon(());

impl Neon {
    pub(crate) const LANES: usize = Vector::COUNT;
    pub(crate) const OPERATIONS: Option<Operations> = None;

    pub(crate) fn detect() -> Option<Self> {
        super::cpu_has!("neon").then_some(Self(()))
    }

    pub(crate) fn find(self, work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
        #[target_feature(enable = "neon")]
        fn find(token: Neon, work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
            lanes::find::<Vector>(token, work, batches, candidates)
        }
        // SAFETY: the token proves that the CPU has NEON.
        unsafe { find(self, work, batches, candidates) }
    }

    pub(crate) fn independent_rounds(self, turns: u32) -> Option<u64> {
        #[target_feature(enable = "neon")]
        fn rounds(token: Neon, turns: u32) -> u64 {
            bound::independent_rounds::<Vector>(token, turns)
        }
        // SAFETY: the token proves that the CPU has NEON.
        Some(unsafe { rounds(self, turns) })
    }
}

/// Four words. Only made with the token, so that a value is a proof, too.
#[derive(Clone, Copy)]
struct Vector(uint32x4_t);

impl Add for Vector {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: a vector proves that the CPU has NEON.
        Self(unsafe { vaddq_u32(self.0, other.0) })
    }
}

impl BitXor for Vector {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        // SAFETY: a vector proves that the CPU has NEON.
        Self(unsafe { veorq_u32(self.0, other.0) })
    }
}

impl BitAnd for Vector {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        // SAFETY: a vector proves that the CPU has NEON.
        Self(unsafe { vandq_u32(self.0, other.0) })
    }
}

impl Vector {
    #[inline(always)]
    fn lanes(_: Neon, words: [u32; 4]) -> Self {
        // SAFETY: the token proves that the CPU has NEON, and four words are read from an array of
        // four.
        Self(unsafe { vld1q_u32(words.as_ptr()) })
    }

    /// The bits of `one` where `self` is set, those of `zero` elsewhere.
    #[inline(always)]
    fn select(self, one: Self, zero: Self) -> Self {
        // SAFETY: a vector proves that the CPU has NEON.
        Self(unsafe { vbslq_u32(self.0, one.0, zero.0) })
    }
}

impl Lanes for Vector {
    type Token = Neon;
    const COUNT: usize = 4;

    #[inline(always)]
    fn splat(_: Neon, word: u32) -> Self {
        // SAFETY: the token proves that the CPU has NEON.
        Self(unsafe { vdupq_n_u32(word) })
    }

    #[inline(always)]
    fn nonces(token: Neon, first: u32) -> Self {
        Self::splat(token, first.swap_bytes()) + Self::lanes(token, [0, 1 << 24, 2 << 24, 3 << 24])
    }

    #[inline(always)]
    fn rotr<const R: i32, const L: i32>(self) -> Self {
        const { assert!(R + L == 32) };
        // SAFETY: a vector proves that the CPU has NEON.
        Self(unsafe { vsliq_n_u32::<L>(vshrq_n_u32::<R>(self.0), self.0) })
    }

    #[inline(always)]
    fn shr<const N: i32>(self) -> Self {
        // SAFETY: a vector proves that the CPU has NEON.
        Self(unsafe { vshrq_n_u32::<N>(self.0) })
    }

    #[inline(always)]
    fn zero_lanes(self) -> u32 {
        // SAFETY: a vector proves that the CPU has NEON, and four words are read from an array of
        // four.
        unsafe {
            let bits = vld1q_u32([1, 2, 4, 8].as_ptr());
            vaddvq_u32(vandq_u32(vceqzq_u32(self.0), bits))
        }
    }

    #[inline(always)]
    fn choice(e: Self, f: Self, g: Self) -> Self {
        e.select(f, g)
    }

    /// Where `a` and `b` differ, `c` decides: two operations, and no need of `b ^ c`.
    #[inline(always)]
    fn majority(a: Self, b: Self, c: Self, _bc: Self) -> (Self, Self) {
        ((a ^ b).select(c, b), a)
    }
}
