//! Four lanes with WebAssembly's vectors, for browsers.
//!
//! There is no rotation: two shifts and an OR, as with SSE. Engines emit instructions of three
//! operands where the CPU has them, so that the nested shifts of `x86/sse41.rs` gain nothing here.
//! `v128_bitselect` for choice and majority was 6 to 12 percent slower in Node 20 (x86-64), and as
//! fast in Chromium 156. No code in here is `unsafe`: a module that has these instructions is
//! refused by an engine that lacks them, before anything runs.

use core::arch::wasm32::{
    i32x4_add, i32x4_bitmask, i32x4_eq, i32x4_shl, u32x4, u32x4_shr, u32x4_splat, v128, v128_and,
    v128_or, v128_xor,
};
use core::ops::{Add, BitAnd, BitXor};

use crate::lanes::{self, Lanes};
use crate::scan::{Batches, Candidates};
use crate::{Operations, Work, bound};

/// The proof that the module was compiled with vectors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Simd128(());

impl Simd128 {
    pub(crate) const LANES: usize = Vector::COUNT;
    pub(crate) const OPERATIONS: Option<Operations> = Some(Operations::PLAIN);
    /// This file is only compiled with vectors.
    pub(crate) const PROOF: Self = Self(());

    pub(crate) fn detect() -> Option<Self> {
        Some(Self::PROOF)
    }

    #[inline(never)]
    pub(crate) fn find(self, work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
        lanes::find::<Vector>(self, work, batches, candidates)
    }

    pub(crate) fn independent_rounds(self, turns: u32) -> Option<u64> {
        Some(bound::independent_rounds::<Vector>(self, turns))
    }
}

/// Four words.
#[derive(Clone, Copy)]
struct Vector(v128);

impl Add for Vector {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(i32x4_add(self.0, other.0))
    }
}

impl BitXor for Vector {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        Self(v128_xor(self.0, other.0))
    }
}

impl BitAnd for Vector {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self(v128_and(self.0, other.0))
    }
}

impl Lanes for Vector {
    type Token = Simd128;
    const COUNT: usize = 4;

    #[inline(always)]
    fn splat(_: Simd128, word: u32) -> Self {
        Self(u32x4_splat(word))
    }

    #[inline(always)]
    fn nonces(token: Simd128, first: u32) -> Self {
        Self::splat(token, first.swap_bytes()) + Self(u32x4(0, 1 << 24, 2 << 24, 3 << 24))
    }

    #[inline(always)]
    fn rotr<const R: i32, const L: i32>(self) -> Self {
        const { assert!(R + L == 32) };
        Self(v128_or(u32x4_shr(self.0, R as u32), i32x4_shl(self.0, L as u32)))
    }

    #[inline(always)]
    fn shr<const N: i32>(self) -> Self {
        Self(u32x4_shr(self.0, N as u32))
    }

    #[inline(always)]
    fn zero_lanes(self) -> u32 {
        u32::from(i32x4_bitmask(i32x4_eq(self.0, u32x4_splat(0))))
    }
}
