//! The driver of every kernel: nonce ranges into whole batches, candidates into exact hits, and the
//! count. A kernel only ever sees aligned batches and a filter on one word; all that is exact is
//! here, once.

use core::ops::Range;

use crate::Work;

/// A header whose hash is at or below the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hit {
    /// Which of the work's midstates, by index.
    pub midstate: usize,
    /// The nonce as a number; little-endian in the header.
    pub nonce: u32,
    /// The hash by the scalar definition, in internal byte order.
    pub hash: [u8; 32],
}

/// For each midstate the lanes of a batch whose word 7 passed the filter, lane 0 in bit 0.
pub(crate) type Candidates = [u32; Work::MAX_MIDSTATES];

/// A stretch of batches: `count` of them, the first starting at the nonce `first`, a multiple of
/// the lanes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batches {
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// One past the last nonce.
const END: u64 = 1 << 32;

/// Hashes the range with every midstate of the work.
///
/// `find` hashes batches until one has a candidate, and returns how many it hashed, that one
/// included. It fills in the candidates of the last batch and leaves no others.
pub(crate) fn scan(
    work: &Work,
    nonces: Range<u64>,
    lanes: u32,
    find: impl Fn(&Work, Batches, &mut Candidates) -> u32,
    on_hit: &mut dyn FnMut(Hit),
) -> u64 {
    let nonces = nonces.start..nonces.end.min(END);
    if nonces.is_empty() {
        return 0;
    }
    let step = u64::from(lanes);
    let mut first = nonces.start - nonces.start % step;
    let mut candidates = [0; Work::MAX_MIDSTATES];
    while first < nonces.end {
        let count = (nonces.end - first).div_ceil(step);
        // Both fit: `first` is below 2^32, and one lane would need 2^32 batches, one too many.
        let batches = Batches { first: first as u32, count: count.min(u64::from(u32::MAX)) as u32 };
        let hashed = find(work, batches, &mut candidates);
        let last = first + u64::from(hashed - 1) * step;
        for (midstate, &found) in candidates[..work.midstates()].iter().enumerate() {
            for nonce in set_bits(found).map(|lane| last + u64::from(lane)) {
                if !nonces.contains(&nonce) {
                    continue; // the first and the last batch may reach beyond the range
                }
                if let Some(hash) = work.check(midstate, nonce as u32) {
                    on_hit(Hit { midstate, nonce: nonce as u32, hash });
                }
            }
        }
        first = last + step;
    }
    (nonces.end - nonces.start) * work.midstates() as u64
}

fn set_bits(mut mask: u32) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        let bit = mask.trailing_zeros();
        mask &= mask.wrapping_sub(1);
        (bit < 32).then_some(bit)
    })
}

#[cfg(test)]
mod tests {
    use core::cell::RefCell;
    use std::vec::Vec;

    use super::*;
    use crate::{Midstate, Tail};

    /// A scan of two midstates as a kernel and its caller see it.
    struct Driven {
        /// First nonce and count of batches, for each call of the kernel.
        calls: Vec<(u32, u32)>,
        /// Nonce and midstate.
        hits: Vec<(u32, usize)>,
        hashes: u64,
    }

    /// With a target that all hashes meet and a kernel that finds nothing before the last batch of
    /// each call, and in that the candidates that `plant` makes up.
    fn driven(nonces: Range<u64>, lanes: u32, plant: impl Fn(Batches) -> u32) -> Driven {
        let midstates = [Midstate::of(&[0; 64]); 2];
        let work = Work::new(&midstates, Tail::from_bytes([0; 12]), &[0xff; 32]);
        let calls = RefCell::new(Vec::new());
        let find = |_: &Work, batches: Batches, candidates: &mut Candidates| {
            calls.borrow_mut().push((batches.first, batches.count));
            candidates.fill(plant(batches));
            batches.count
        };
        let mut hits = Vec::new();
        let mut on_hit = |hit: Hit| hits.push((hit.nonce, hit.midstate));
        let hashes = scan(&work.expect("two midstates"), nonces, lanes, find, &mut on_hit);
        Driven { calls: calls.into_inner(), hits, hashes }
    }

    #[test]
    fn all_nonces_one_by_one_are_one_batch_too_many_for_a_word() {
        let in_the_last = |batches: Batches| u32::from(batches.first == u32::MAX);
        let driven = driven(0..u64::MAX, 1, in_the_last);
        assert_eq!(driven.calls, [(0, u32::MAX), (u32::MAX, 1)]);
        assert_eq!(driven.hits, [(u32::MAX, 0), (u32::MAX, 1)]);
        assert_eq!(driven.hashes, 2 * END);
    }

    #[test]
    fn the_last_batch_ends_with_the_last_nonce() {
        let driven = driven(0..END, 16, |_| 1 << 15);
        assert_eq!(driven.calls, [(0, 1 << 28)]);
        assert_eq!(driven.hits, [(u32::MAX, 0), (u32::MAX, 1)]);
        assert_eq!(driven.hashes, 2 * END);
    }

    #[test]
    fn candidates_before_and_behind_the_range_are_nobodys() {
        let driven = driven(37..39, 16, |_| 0xffff);
        assert_eq!(driven.calls, [(32, 1)]);
        assert_eq!(driven.hits, [(37, 0), (38, 0), (37, 1), (38, 1)]);
        assert_eq!(driven.hashes, 4);
    }
}
