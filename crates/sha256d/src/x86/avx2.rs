//! Eight lanes with AVX2. No rotation: each is two shifts and an OR.

use core::arch::x86_64::*;
use core::ops::{Add, BitAnd, BitXor};

use crate::lanes::{self, Lanes};
use crate::scan::{Batches, Candidates};
use crate::{Operations, Work, bound};

/// The proof that the CPU has AVX2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) const LANES: usize = Vector::COUNT;
    pub(crate) const OPERATIONS: Option<Operations> = Some(Operations::PLAIN);

    pub(crate) fn detect() -> Option<Self> {
        super::cpu_has!("avx2").then_some(Self(()))
    }

    pub(crate) fn find(self, work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
        #[target_feature(enable = "avx2")]
        fn find(token: Avx2, work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
            lanes::find::<Vector>(token, work, batches, candidates)
        }
        // SAFETY: the token proves that the CPU has AVX2.
        unsafe { find(self, work, batches, candidates) }
    }

    pub(crate) fn independent_rounds(self, turns: u32) -> Option<u64> {
        #[target_feature(enable = "avx2")]
        fn rounds(token: Avx2, turns: u32) -> u64 {
            bound::independent_rounds::<Vector>(token, turns)
        }
        // SAFETY: the token proves that the CPU has AVX2.
        Some(unsafe { rounds(self, turns) })
    }
}

/// Eight words. Only made with the token, so that a value is a proof, too.
#[derive(Clone, Copy)]
struct Vector(__m256i);

impl Add for Vector {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: a vector proves that the CPU has AVX2.
        Self(unsafe { _mm256_add_epi32(self.0, other.0) })
    }
}

impl BitXor for Vector {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        // SAFETY: a vector proves that the CPU has AVX2.
        Self(unsafe { _mm256_xor_si256(self.0, other.0) })
    }
}

impl BitAnd for Vector {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        // SAFETY: a vector proves that the CPU has AVX2.
        Self(unsafe { _mm256_and_si256(self.0, other.0) })
    }
}

impl Lanes for Vector {
    type Token = Avx2;
    const COUNT: usize = 8;

    #[inline(always)]
    fn splat(_: Avx2, word: u32) -> Self {
        // SAFETY: the token proves that the CPU has AVX2.
        Self(unsafe { _mm256_set1_epi32(word.cast_signed()) })
    }

    #[inline(always)]
    fn nonces(token: Avx2, first: u32) -> Self {
        const T: i32 = 1 << 24;
        // SAFETY: the token proves that the CPU has AVX2.
        let lane = unsafe { _mm256_setr_epi32(0, T, 2 * T, 3 * T, 4 * T, 5 * T, 6 * T, 7 * T) };
        Self::splat(token, first.swap_bytes()) + Self(lane)
    }

    #[inline(always)]
    fn rotr<const R: i32, const L: i32>(self) -> Self {
        const { assert!(R + L == 32) };
        // SAFETY: a vector proves that the CPU has AVX2.
        Self(unsafe {
            _mm256_or_si256(_mm256_srli_epi32::<R>(self.0), _mm256_slli_epi32::<L>(self.0))
        })
    }

    #[inline(always)]
    fn shr<const N: i32>(self) -> Self {
        // SAFETY: a vector proves that the CPU has AVX2.
        Self(unsafe { _mm256_srli_epi32::<N>(self.0) })
    }

    #[inline(always)]
    fn zero_lanes(self) -> u32 {
        // SAFETY: a vector proves that the CPU has AVX2.
        let lanes = unsafe {
            let zero = _mm256_cmpeq_epi32(self.0, _mm256_setzero_si256());
            _mm256_movemask_ps(_mm256_castsi256_ps(zero))
        };
        lanes.cast_unsigned()
    }
}
