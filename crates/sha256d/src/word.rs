//! One lane in plain Rust: the scalar kernel. The folded algorithm of `lanes` over a vector of one
//! word, on every CPU; the definition that its hits are held against is `scalar`.

use core::ops::{Add, BitAnd, BitXor};

use crate::lanes::{self, Lanes};
use crate::scan::{Batches, Candidates};
use crate::{Operations, Work};

/// Needs no proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Scalar;

impl Scalar {
    pub(crate) const LANES: usize = Word::COUNT;
    pub(crate) const OPERATIONS: Option<Operations> =
        Some(Operations::Lanes { rotation: 1, ternary: false });

    pub(crate) fn detect() -> Option<Self> {
        Some(Self)
    }

    /// Never inlined, so that the check of the assembly finds its loops.
    #[inline(never)]
    pub(crate) fn find(self, work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
        lanes::find::<Word>(self, work, batches, candidates)
    }

    /// Plain words: a compiler may make vectors of them, and then it measures those.
    pub(crate) fn independent_rounds(self, _turns: u32) -> Option<u64> {
        None
    }
}

/// One word.
#[derive(Clone, Copy)]
struct Word(u32);

impl Add for Word {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

impl BitXor for Word {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }
}

impl BitAnd for Word {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Lanes for Word {
    type Token = Scalar;
    const COUNT: usize = 1;

    #[inline(always)]
    fn splat(_: Scalar, word: u32) -> Self {
        Self(word)
    }

    #[inline(always)]
    fn nonces(_: Scalar, first: u32) -> Self {
        Self(first.swap_bytes())
    }

    #[inline(always)]
    fn rotr<const R: i32, const L: i32>(self) -> Self {
        Self(self.0.rotate_right(R as u32))
    }

    #[inline(always)]
    fn shr<const N: i32>(self) -> Self {
        Self(self.0 >> N)
    }

    #[inline(always)]
    fn zero_lanes(self) -> u32 {
        u32::from(self.0 == 0)
    }
}
