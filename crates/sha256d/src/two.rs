//! Two batches at once in the vector kernel: each operation is done with a vector of the one batch
//! and then with a vector of the other, which does not wait for it. That is twice the lanes in
//! twice the registers, for CPUs where one batch leaves the ports idle while it waits for itself.

use core::ops::{Add, BitAnd, BitXor};

use crate::lanes::Lanes;

/// Two vectors as one.
#[derive(Clone, Copy)]
pub(crate) struct Two<V>([V; 2]);

impl<V: Lanes> Two<V> {
    #[inline(always)]
    fn each(self, operation: impl Fn(V) -> V) -> Self {
        let Self([x0, x1]) = self;
        Self([operation(x0), operation(x1)])
    }

    #[inline(always)]
    fn both(self, other: Self, operation: impl Fn(V, V) -> V) -> Self {
        let (Self([x0, x1]), Self([y0, y1])) = (self, other);
        Self([operation(x0, y0), operation(x1, y1)])
    }
}

impl<V: Lanes> Add for Two<V> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.both(other, V::add)
    }
}

impl<V: Lanes> BitXor for Two<V> {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        self.both(other, V::bitxor)
    }
}

impl<V: Lanes> BitAnd for Two<V> {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        self.both(other, V::bitand)
    }
}

impl<V: Lanes> Lanes for Two<V> {
    type Token = V::Token;
    const COUNT: usize = 2 * V::COUNT;

    #[inline(always)]
    fn splat(token: V::Token, word: u32) -> Self {
        Self([V::splat(token, word); 2])
    }

    #[inline(always)]
    fn nonces(token: V::Token, first: u32) -> Self {
        // `first` is a multiple of twice the lanes, so that this does not wrap.
        Self([first, first + V::COUNT as u32].map(|first| V::nonces(token, first)))
    }

    #[inline(always)]
    fn rotr<const R: i32, const L: i32>(self) -> Self {
        self.each(V::rotr::<R, L>)
    }

    #[inline(always)]
    fn shr<const N: i32>(self) -> Self {
        self.each(V::shr::<N>)
    }

    #[inline(always)]
    fn zero_lanes(self) -> u32 {
        let Self([x0, x1]) = self;
        x0.zero_lanes() | x1.zero_lanes() << V::COUNT
    }

    #[inline(always)]
    fn xor3(self, Self([y0, y1]): Self, Self([z0, z1]): Self) -> Self {
        let Self([x0, x1]) = self;
        Self([x0.xor3(y0, z0), x1.xor3(y1, z1)])
    }

    #[inline(always)]
    fn choice(Self([e0, e1]): Self, Self([f0, f1]): Self, Self([g0, g1]): Self) -> Self {
        Self([V::choice(e0, f0, g0), V::choice(e1, f1, g1)])
    }

    #[inline(always)]
    fn majority(
        Self([a0, a1]): Self,
        Self([b0, b1]): Self,
        Self([c0, c1]): Self,
        Self([bc0, bc1]): Self,
    ) -> (Self, Self) {
        let (m0, ab0) = V::majority(a0, b0, c0, bc0);
        let (m1, ab1) = V::majority(a1, b1, c1, bc1);
        (Self([m0, m1]), Self([ab0, ab1]))
    }
}
