//! Four lanes with SSE4.1, for CPUs older than AVX2.

#[cfg(not(miri))]
use core::arch::asm;
use core::arch::x86_64::*;
use core::ops::{Add, BitAnd, BitXor};

use crate::lanes::{self, Lanes};
use crate::scan::{Batches, Candidates};
use crate::{Operations, Work, bound};

/// The proof that the CPU has SSE4.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sse41(());

impl Sse41 {
    pub(crate) const LANES: usize = Vector::COUNT;
    pub(crate) const OPERATIONS: Option<Operations> = Some(Operations::PLAIN);

    pub(crate) fn detect() -> Option<Self> {
        super::cpu_has!("sse4.1").then_some(Self(()))
    }

    pub(crate) fn find(self, work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
        #[target_feature(enable = "sse4.1")]
        fn find(token: Sse41, work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
            lanes::find::<Vector>(token, work, batches, candidates)
        }
        // SAFETY: the token proves that the CPU has SSE4.1.
        unsafe { find(self, work, batches, candidates) }
    }

    pub(crate) fn independent_rounds(self, turns: u32) -> Option<u64> {
        #[target_feature(enable = "sse4.1")]
        fn rounds(token: Sse41, turns: u32) -> u64 {
            bound::independent_rounds::<Vector>(token, turns)
        }
        // SAFETY: the token proves that the CPU has SSE4.1.
        Some(unsafe { rounds(self, turns) })
    }
}

/// Four words. The operations are SSE2, which each x86-64 has; what SSE4.1 adds is the compiler's.
#[derive(Clone, Copy)]
struct Vector(__m128i);

impl Vector {
    #[inline(always)]
    fn shl<const N: i32>(self) -> Self {
        // SAFETY: every x86-64 has SSE2.
        Self(unsafe { _mm_slli_epi32::<N>(self.0) })
    }

    /// The same vector, of which the compiler no longer knows that a shift made it: it would take
    /// nested shifts apart again.
    #[inline(always)]
    #[cfg_attr(miri, expect(unused_mut, reason = "Miri runs no assembly, not even none"))]
    fn fixed(mut self) -> Self {
        // SAFETY: there is no instruction in it.
        #[cfg(not(miri))]
        unsafe {
            asm!("/* {} */", inout(xmm_reg) self.0, options(pure, nomem, nostack, preserves_flags));
        }
        self
    }
}

impl Add for Vector {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: every x86-64 has SSE2.
        Self(unsafe { _mm_add_epi32(self.0, other.0) })
    }
}

impl BitXor for Vector {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        // SAFETY: every x86-64 has SSE2.
        Self(unsafe { _mm_xor_si128(self.0, other.0) })
    }
}

impl BitAnd for Vector {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        // SAFETY: every x86-64 has SSE2.
        Self(unsafe { _mm_and_si128(self.0, other.0) })
    }
}

impl Lanes for Vector {
    type Token = Sse41;
    const COUNT: usize = 4;

    #[inline(always)]
    fn splat(_: Sse41, word: u32) -> Self {
        // SAFETY: every x86-64 has SSE2.
        Self(unsafe { _mm_set1_epi32(word.cast_signed()) })
    }

    #[inline(always)]
    fn nonces(token: Sse41, first: u32) -> Self {
        // SAFETY: every x86-64 has SSE2.
        let lane = unsafe { _mm_setr_epi32(0, 1 << 24, 2 << 24, 3 << 24) };
        Self::splat(token, first.swap_bytes()) + Self(lane)
    }

    #[inline(always)]
    fn rotr<const R: i32, const L: i32>(self) -> Self {
        const { assert!(R + L == 32) };
        // SAFETY: every x86-64 has SSE2.
        Self(unsafe { _mm_or_si128(_mm_srli_epi32::<R>(self.0), _mm_slli_epi32::<L>(self.0)) })
    }

    #[inline(always)]
    fn shr<const N: i32>(self) -> Self {
        // SAFETY: every x86-64 has SSE2.
        Self(unsafe { _mm_srli_epi32::<N>(self.0) })
    }

    #[inline(always)]
    fn zero_lanes(self) -> u32 {
        // SAFETY: every x86-64 has SSE2.
        let lanes = unsafe {
            _mm_movemask_ps(_mm_castsi128_ps(_mm_cmpeq_epi32(self.0, _mm_setzero_si128())))
        };
        lanes.cast_unsigned()
    }

    // An instruction of SSE overwrites its first operand, so that each rotation of the plain sums
    // costs two copies. Taken apart into shifts to the right and to the left, and nested, each sum
    // takes as many operations and two copies in all: a tenth of the kernel's instructions less.
    // Nothing is left that calls `rotr`.

    #[inline(always)]
    fn big_sigma0(self) -> Self {
        let right = (self.shr::<9>().fixed() ^ self).shr::<11>().fixed() ^ self;
        let left = (self.shl::<11>().fixed() ^ self).shl::<9>().fixed() ^ self;
        right.shr::<2>() ^ left.shl::<10>()
    }

    #[inline(always)]
    fn big_sigma1(self) -> Self {
        let right = (self.shr::<14>().fixed() ^ self).shr::<5>().fixed() ^ self;
        let left = (self.shl::<5>().fixed() ^ self).shl::<14>().fixed() ^ self;
        right.shr::<6>() ^ left.shl::<7>()
    }

    #[inline(always)]
    fn small_sigma0(self) -> Self {
        let right = (self.shr::<11>().fixed() ^ self).shr::<4>().fixed() ^ self;
        let left = self.shl::<11>().fixed() ^ self;
        right.shr::<3>() ^ left.shl::<14>()
    }

    #[inline(always)]
    fn small_sigma1(self) -> Self {
        let right = (self.shr::<2>().fixed() ^ self).shr::<7>().fixed() ^ self;
        let left = self.shl::<2>().fixed() ^ self;
        right.shr::<10>() ^ left.shl::<13>()
    }
}
