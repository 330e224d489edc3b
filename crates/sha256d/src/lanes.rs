//! The one vector kernel, generic over what a lane operation is: [`Lanes`] is implemented by a
//! vector of each instruction set (`x86`, `arm`) and by a plain word (`word`), the scalar kernel.
//!
//! Each lane hashes its own nonce. `find` runs inside a `#[target_feature]` function of the
//! instruction set's file, and everything here is inlined into it.

use core::ops::{Add, BitAnd, BitXor};

use crate::Work;
use crate::scalar::{self, DIGEST_BITS, HEADER_BITS, IV, K, PAD};
use crate::scan::{Batches, Candidates};
use crate::work::{Schedule, Start};

/// The body once for each literal, with the literal as a constant: unrolled by construction, so
/// that no index is computed and no array has to live in memory.
macro_rules! unroll {
    ($i:ident in $($n:literal)+ => $body:block) => { $( { const $i: usize = $n; $body } )+ };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use unroll;

/// A vector of [`COUNT`](Self::COUNT) words and what a kernel asks of it.
///
/// A value can only be made from the token, which is the proof that the CPU has the instructions.
pub(crate) trait Lanes:
    Copy + Add<Output = Self> + BitXor<Output = Self> + BitAnd<Output = Self>
{
    /// The proof that the CPU has the instructions.
    type Token: Copy;
    /// Words in a vector, a power of two up to 32.
    const COUNT: usize;

    /// The same word in every lane.
    fn splat(token: Self::Token, word: u32) -> Self;
    /// `first`, `first + 1`, .. as message words, that is, with their bytes swapped. `first` is a
    /// multiple of `COUNT`, so that the lanes differ in the low bits of the number's first byte
    /// and no carry crosses it: one addition of constants does for all lanes.
    fn nonces(token: Self::Token, first: u32) -> Self;
    /// Rotates to the right by `R`; `L` is `32 - R`, which const generics cannot yet say.
    fn rotr<const R: i32, const L: i32>(self) -> Self;
    /// Shifts to the right.
    fn shr<const N: i32>(self) -> Self;
    /// One bit for each lane that is zero, lane 0 in bit 0.
    fn zero_lanes(self) -> u32;

    #[inline(always)]
    fn xor3(self, y: Self, z: Self) -> Self {
        self ^ y ^ z
    }

    /// `f` where `e` is set, `g` elsewhere.
    #[inline(always)]
    fn choice(e: Self, f: Self, g: Self) -> Self {
        g ^ (e & (f ^ g))
    }

    /// The majority of three, and `a ^ b`. Given `bc = b ^ c`, which the round before left behind
    /// as its own `a ^ b`, it is `b` where `a` or `c` agrees with it: three operations, not four.
    #[inline(always)]
    fn majority(a: Self, b: Self, _c: Self, bc: Self) -> (Self, Self) {
        let ab = a ^ b;
        (b ^ (ab & bc), ab)
    }

    #[inline(always)]
    fn big_sigma0(self) -> Self {
        self.rotr::<2, 30>().xor3(self.rotr::<13, 19>(), self.rotr::<22, 10>())
    }

    #[inline(always)]
    fn big_sigma1(self) -> Self {
        self.rotr::<6, 26>().xor3(self.rotr::<11, 21>(), self.rotr::<25, 7>())
    }

    #[inline(always)]
    fn small_sigma0(self) -> Self {
        self.rotr::<7, 25>().xor3(self.rotr::<18, 14>(), self.shr::<3>())
    }

    #[inline(always)]
    fn small_sigma1(self) -> Self {
        self.rotr::<17, 15>().xor3(self.rotr::<19, 13>(), self.shr::<10>())
    }
}

/// Hashes batches until one has a candidate; see [`scan`](crate::scan::scan) for the contract.
#[inline(always)]
pub(crate) fn find<V: Lanes>(
    token: V::Token,
    work: &Work,
    batches: Batches,
    candidates: &mut Candidates,
) -> u32 {
    let zero_bits = V::splat(token, work.zero_bits);
    let mut kw = [V::splat(token, 0); 48];
    let mut first = batches.first;
    for batch in 0..batches.count {
        let nonce = V::nonces(token, first);
        expand(token, &work.schedule, nonce, &mut kw);
        let mut any = 0;
        for (start, found) in work.starts().iter().zip(candidates.iter_mut()) {
            let message = first_hash(token, start, nonce, &kw);
            let word7 = second_hash(token, message);
            *found = (word7 & zero_bits).zero_lanes();
            any |= *found;
        }
        if any != 0 {
            return batch + 1;
        }
        first = first.wrapping_add(V::COUNT as u32);
    }
    batches.count
}

/// The schedule words 16 to 63 of the second block, each with its round constant added: all that
/// the midstates of a batch share.
#[inline(always)]
fn expand<V: Lanes>(token: V::Token, schedule: &Schedule, nonce: V, kw: &mut [V; 48]) {
    let splat = |word| V::splat(token, word);
    let Schedule { w16, w17, w18, w19 } = *schedule;
    let mut w = [splat(0); 16];
    w[0] = splat(w16);
    w[1] = splat(w17);
    w[2] = splat(w18) + nonce.small_sigma0();
    w[3] = splat(w19) + nonce;
    w[4] = w[2].small_sigma1() + splat(PAD);
    w[5] = w[3].small_sigma1();
    w[6] = w[4].small_sigma1() + splat(HEADER_BITS);
    w[7] = w[5].small_sigma1() + w[0];
    w[8] = w[6].small_sigma1() + w[1];
    w[9] = w[7].small_sigma1() + w[2];
    w[10] = w[8].small_sigma1() + w[3];
    w[11] = w[9].small_sigma1() + w[4];
    w[12] = w[10].small_sigma1() + w[5];
    w[13] = w[11].small_sigma1() + w[6];
    w[14] = w[12].small_sigma1() + w[7] + splat(scalar::small_sigma0(HEADER_BITS));
    let w15 = scalar::small_sigma0(w16).wrapping_add(HEADER_BITS);
    w[15] = w[13].small_sigma1() + w[8] + splat(w15);
    kw[0] = splat(w16.wrapping_add(K[16]));
    kw[1] = splat(w17.wrapping_add(K[17]));
    unroll!(I in 2 3 4 5 6 7 8 9 10 11 12 13 14 15 => { kw[I] = w[I] + splat(K[16 + I]); });

    w[0] = splat(scalar::small_sigma0(w17).wrapping_add(w16)) + (w[14].small_sigma1() + w[9]);
    kw[16] = w[0] + splat(K[32]);
    unroll!(I in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 => {
        kw[16 + I] = extend::<V, I>(&mut w) + splat(K[32 + I]);
    });
    unroll!(I in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 => {
        kw[32 + I] = extend::<V, I>(&mut w) + splat(K[48 + I]);
    });
}

/// Word `I` of the sixteen, replaced by the one sixteen later.
#[inline(always)]
fn extend<V: Lanes, const I: usize>(w: &mut [V; 16]) -> V {
    let [older, newer] = [w[(I + 1) % 16].small_sigma0(), w[(I + 14) % 16].small_sigma1()];
    w[I] = (w[I] + w[(I + 9) % 16]) + (older + newer);
    w[I]
}

/// The working variables of the compression.
#[derive(Clone, Copy)]
struct State<V> {
    a: V,
    b: V,
    c: V,
    d: V,
    e: V,
    f: V,
    g: V,
    h: V,
    /// `b ^ c`, see [`Lanes::majority`].
    bc: V,
}

impl<V: Lanes> State<V> {
    /// A round, given `h` plus the round's constant and schedule word.
    #[inline(always)]
    fn round(self, hkw: V) -> Self {
        let Self { a, b, c, d, e, f, g, bc, .. } = self;
        self.turn(hkw + V::choice(e, f, g) + e.big_sigma1(), V::majority(a, b, c, bc), d)
    }

    #[inline(always)]
    fn turn(self, t1: V, (majority, ab): (V, V), d: V) -> Self {
        let Self { a, b, c, e, f, g, .. } = self;
        let t2 = a.big_sigma0() + majority;
        Self { a: t1 + t2, b: a, c: b, d: c, e: d + t1, f: e, g: f, h: g, bc: ab }
    }
}

/// Rounds 4 to 63 of the second block, and the sum with the midstate: the first digest's words.
#[inline(always)]
fn first_hash<V: Lanes>(token: V::Token, start: &Start, nonce: V, kw: &[V; 48]) -> [V; 8] {
    let splat = |word| V::splat(token, word);
    let [a, b, c, d, e, f, g, _] = start.state.map(splat);
    let (a, e) = (a + nonce, e + nonce);
    let mut s = State { a, b, c, d, e, f, g, h: g, bc: splat(start.bc) };

    let choice = g ^ (e & splat(start.fg));
    let t1 = splat(start.hkw[0]) + choice + e.big_sigma1();
    s = s.turn(t1, V::majority(a, b, c, s.bc), d);
    s = s.round(splat(start.hkw[1]));
    s = s.round(splat(start.hkw[2]));
    unroll!(I in 7 8 9 10 11 12 13 14 => { s = s.round(s.h + splat(K[I])); });
    s = s.round(s.h + splat(K[15].wrapping_add(HEADER_BITS)));
    for kw in kw.as_chunks::<8>().0 {
        unroll!(I in 0 1 2 3 4 5 6 7 => { s = s.round(s.h + kw[I]); });
    }

    let [ma, mb, mc, md, me, mf, mg, mh] = start.feed_forward.map(splat);
    [s.a + ma, s.b + mb, s.c + mc, s.d + md, s.e + me, s.f + mf, s.g + mg, s.h + mh]
}

/// Word 7 of the second hash: rounds 0 to 60, of which the last four only in `e`.
#[inline(always)]
fn second_hash<V: Lanes>(token: V::Token, message: [V; 8]) -> V {
    let splat = |word| V::splat(token, word);
    let mut w = [splat(0); 16];
    w[..8].copy_from_slice(&message);

    // Round 0 adds the first word to two constants.
    let after = const { scalar::round(IV, K[0]) };
    let [a, b, c, d, e, f, g, h] = after.map(splat);
    let bc = splat(after[1] ^ after[2]);
    let mut s = State { a: a + w[0], b, c, d, e: e + w[0], f, g, h, bc };
    // The choice of round 1 is between two constants, and `h` is one up to round 3.
    let choice = g ^ (s.e & splat(after[5] ^ after[6]));
    let t1 = w[1] + splat(K[1].wrapping_add(after[7])) + choice + s.e.big_sigma1();
    s = s.turn(t1, V::majority(s.a, b, c, bc), d);
    s = s.round(w[2] + splat(K[2].wrapping_add(after[6])));
    s = s.round(w[3] + splat(K[3].wrapping_add(after[5])));
    unroll!(I in 4 5 6 7 => { s = s.round(s.h + (w[I] + splat(K[I]))); });
    s = s.round(s.h + splat(K[8].wrapping_add(PAD)));
    unroll!(I in 9 10 11 12 13 14 => { s = s.round(s.h + splat(K[I])); });
    s = s.round(s.h + splat(K[15].wrapping_add(DIGEST_BITS)));

    // Words 8 to 15 of the message are constants, most of them zero.
    w[0] = w[0] + w[1].small_sigma0();
    w[1] = w[1] + w[2].small_sigma0() + splat(scalar::small_sigma1(DIGEST_BITS));
    unroll!(I in 2 3 4 5 => {
        w[I] = w[I] + w[I + 1].small_sigma0() + w[I - 2].small_sigma1();
    });
    w[6] = w[6] + w[7].small_sigma0() + w[4].small_sigma1() + splat(DIGEST_BITS);
    w[7] = w[7] + w[5].small_sigma1() + w[0] + splat(scalar::small_sigma0(PAD));
    w[8] = w[6].small_sigma1() + w[1] + splat(PAD);
    unroll!(I in 9 10 11 12 13 => { w[I] = w[I - 2].small_sigma1() + w[I - 7]; });
    w[14] = w[12].small_sigma1() + w[7] + splat(scalar::small_sigma0(DIGEST_BITS));
    w[15] = w[13].small_sigma1() + w[8] + w[0].small_sigma0() + splat(DIGEST_BITS);
    unroll!(I in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 => {
        s = s.round(s.h + (w[I] + splat(K[16 + I])));
    });
    unroll!(I in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 => {
        s = s.round(s.h + (extend::<V, I>(&mut w) + splat(K[32 + I])));
    });
    unroll!(I in 0 1 2 3 4 5 6 7 8 9 10 11 => {
        s = s.round(s.h + (extend::<V, I>(&mut w) + splat(K[48 + I])));
    });
    // `e` after round 60 is `h` after round 63; its initial value is added along.
    s.round(s.h + (extend::<V, 12>(&mut w) + splat(K[60].wrapping_add(IV[7])))).e
}
