//! The input of a kernel, with everything folded that the nonce does not touch: done once per job,
//! read by every batch. The kernels read the folded words; the driver in `scan` reads the rest.

use core::fmt;

use crate::scalar::{self, HEADER_BITS, K, PAD};
use crate::{Midstate, Tail};

/// One to [`Work::MAX_MIDSTATES`] midstates that share a tail, and a target: the headers to hash
/// are these midstates times all nonces. A message schedule that several midstates share is what
/// AsicBoost is about (Hanke 2016, arXiv:1604.00575).
///
/// Fixed size (about 7 KiB), no allocation. Prepare it once per job; a scan only reads it.
#[derive(Clone)]
pub struct Work {
    tail: Tail,
    target: [u8; 32],
    len: usize,
    midstates: [Midstate; Self::MAX_MIDSTATES],
    starts: [Start; Self::MAX_MIDSTATES],
    pub(crate) schedule: Schedule,
    /// The bits of the hash's word 7 that are zero in every hash at or below the target.
    pub(crate) zero_bits: u32,
}

/// A midstate carried through rounds 0 to 3 as far as that goes without the nonce.
///
/// The nonce is added in round 3, so that after it `a` and `e` are a constant plus the nonce and
/// the other six words are constants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// The midstate itself, added again after round 63.
    pub(crate) feed_forward: [u32; 8],
    /// `a` to `h` after round 3; in `a` and `e` the nonce is missing.
    pub(crate) state: [u32; 8],
    /// Rounds 4, 5 and 6 still consume a constant `h`: it, their round constant and their schedule
    /// word in one number.
    pub(crate) hkw: [u32; 3],
    /// `b ^ c` and `f ^ g` of the state, for the first majority and the first choice.
    pub(crate) bc: u32,
    pub(crate) fg: u32,
}

/// The part of the second block's message schedule that does not depend on the nonce.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// The schedule words 16 and 17.
    pub(crate) w16: u32,
    pub(crate) w17: u32,
    /// Word 18 without `small_sigma0(nonce)`, and word 19 without the nonce.
    pub(crate) w18: u32,
    pub(crate) w19: u32,
}

impl Work {
    /// The most midstates that one piece of work holds. Beyond 32 the gain is below one percent.
    pub const MAX_MIDSTATES: usize = 64;

    /// Folds the midstates and the tail. `target_le` is a 256-bit little-endian number; a hash
    /// counts when it is at or below it. `None` for no midstate or more than
    /// [`Self::MAX_MIDSTATES`].
    pub fn new(midstates: &[Midstate], tail: Tail, target_le: &[u8; 32]) -> Option<Self> {
        let (&first, len) = (midstates.first()?, midstates.len());
        if len > Self::MAX_MIDSTATES {
            return None;
        }
        let mut all = [first; Self::MAX_MIDSTATES];
        all[..len].copy_from_slice(midstates);
        let mut starts = [Start::new(&first, &tail); Self::MAX_MIDSTATES];
        for (start, midstate) in starts.iter_mut().zip(midstates).skip(1) {
            *start = Start::new(midstate, &tail);
        }
        let schedule = Schedule::new(&tail);
        let mut work =
            Self { tail, target: [0; 32], len, midstates: all, starts, schedule, zero_bits: 0 };
        work.set_target(target_le);
        Some(work)
    }

    /// Replaces the target, little-endian as in [`Self::new`], and folds nothing anew: what a
    /// change of share difficulty needs.
    pub fn set_target(&mut self, target_le: &[u8; 32]) {
        self.target = *target_le;
        let [.., b0, b1, b2, b3] = *target_le;
        let top = u32::from_le_bytes([b0, b1, b2, b3]);
        let zero = u32::MAX.checked_shr(top.leading_zeros()).map_or(u32::MAX, |ones| !ones);
        // SHA-256 writes word 7 big-endian, and the number is read little-endian.
        self.zero_bits = zero.swap_bytes();
    }

    /// The number of midstates, at least one: what a nonce costs in hashes.
    pub fn midstates(&self) -> usize {
        self.len
    }

    /// The folded midstates, by index.
    pub(crate) fn starts(&self) -> &[Start] {
        &self.starts[..self.len]
    }

    /// The three words before the nonce, for the SHA instructions.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub(crate) fn tail(&self) -> [u32; 3] {
        self.tail.words()
    }

    /// The hash of one header of this work if it is at or below the target.
    pub(crate) fn check(&self, midstate: usize, nonce: u32) -> Option<[u8; 32]> {
        let hash = self.midstates[midstate].header_hash(&self.tail, nonce);
        hash.iter().rev().le(self.target.iter().rev()).then_some(hash)
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work")
            .field("midstates", &self.len)
            .field("tail", &self.tail)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Start {
    fn new(midstate: &Midstate, tail: &Tail) -> Self {
        let feed_forward = midstate.words();
        let [w0, w1, w2] = tail.words();
        let mut s = feed_forward;
        for (k, w) in K.into_iter().zip([w0, w1, w2, 0]) {
            s = scalar::round(s, k.wrapping_add(w));
        }
        let [_, b, c, _, _, f, g, h] = s;
        Self {
            feed_forward,
            state: s,
            hkw: [
                h.wrapping_add(K[4]).wrapping_add(PAD),
                g.wrapping_add(K[5]),
                f.wrapping_add(K[6]),
            ],
            bc: b ^ c,
            fg: f ^ g,
        }
    }
}

impl Schedule {
    fn new(tail: &Tail) -> Self {
        use scalar::{small_sigma0, small_sigma1};
        let [w0, w1, w2] = tail.words();
        let w16 = small_sigma0(w1).wrapping_add(w0);
        let w17 = small_sigma1(HEADER_BITS).wrapping_add(small_sigma0(w2)).wrapping_add(w1);
        let w18 = small_sigma1(w16).wrapping_add(w2);
        let w19 = small_sigma1(w17).wrapping_add(small_sigma0(PAD));
        Self { w16, w17, w18, w19 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Too few would lose no hit, but have lanes hashed again in vain; nothing else sees that.
    #[test]
    fn zero_bits_are_those_above_the_targets_highest() {
        let zero_bits = |top: u32| {
            let mut target = [0xff; 32];
            target[28..].copy_from_slice(&top.to_le_bytes());
            let work = Work::new(&[Midstate::of(&[0; 64])], Tail::from_bytes([0; 12]), &target);
            work.map(|work| work.zero_bits.swap_bytes())
        };
        assert_eq!(zero_bits(0), Some(0xffff_ffff));
        assert_eq!(zero_bits(1), Some(0xffff_fffe));
        assert_eq!(zero_bits(0x80), Some(0xffff_ff00));
        assert_eq!(zero_bits(0x7fff_ffff), Some(0x8000_0000));
        assert_eq!(zero_bits(0xffff_ffff), Some(0));
    }
}
