//! Two extranonce2 values whose merkle roots end in the same four bytes: two midstates with one
//! tail, where the version may not be rolled and there would be one midstate alone.
//!
//! By the birthday paradox 2^16 roots and a few hold such a pair, which then lasts for 2^33 hashes.
//! `docs/sha256d.md` has its gain and its cost. The search knows neither threads nor time: it goes
//! on by steps of bounded work, of which a hashing thread takes one now and then
//! ([`Frontier`](crate::Frontier)).

use std::ops::Range;
use std::sync::Arc;

use midstate_chain::Job;
use sha2::{Digest, Sha256};

use crate::SearchSpace;

/// Compressions in a step: a tenth of a millisecond with SHA instructions, half of one without.
const STEP: u64 = 2048;
/// Compressions for a root beyond which no search pays: 32 levels of a tree, or a coinbase of 4 KiB
/// after the extranonce.
const MOST_FOR_A_ROOT: u64 = 96;
/// The roots of an extranonce2 of one byte hold no pair to speak of.
const FEWEST_VALUES: u64 = 1 << 16;
/// One part in so many is left to the line, whose pages are hashed while the search goes on.
const RESERVE: u64 = 16;
/// The table has a slot for each value of the first bits of a root's end: 2 MiB, a pair in 16,384
/// roots once it is full, and half of the time one before 82,000.
const SLOT_BITS: u32 = 18;

/// A search for pairs among the extranonce2 values of a job, as far as it is.
pub struct PairSearch {
    job: Arc<Job>,
    /// The coinbase up to our extranonce, hashed.
    stem: Sha256,
    /// Counters that were not tried yet; the highest is next.
    untried: Range<u64>,
    roots_in_step: u64,
    /// Roots by the first bits of their end: the end and the distance of the counter from the
    /// highest one, which is never 0. 0 is an empty slot.
    seen: Vec<u64>,
    /// Distances are counted from here.
    top: u64,
}

/// The counters among which pairs of this space are searched, the highest that there are: the line
/// begins with the lowest. Empty where a search does not pay.
pub(crate) fn searched(space: &SearchSpace) -> Range<u64> {
    let top = space.extranonces();
    let pays = space.wants_pairs()
        && top >= FEWEST_VALUES
        && compressions_for_a_root(space.job()) <= MOST_FOR_A_ROOT;
    let lowest = (top / RESERVE).max(top.saturating_sub(u64::from(u32::MAX)));
    if pays { lowest..top } else { top..top }
}

impl PairSearch {
    /// A search that has not begun; `None` where it does not pay.
    pub fn new(space: &SearchSpace) -> Option<Self> {
        let untried = searched(space);
        let job = Arc::clone(space.job());
        let stem = Sha256::new_with_prefix(&job.coinbase_prefix).chain_update(&job.extranonce1);
        (!untried.is_empty()).then(|| Self {
            stem,
            top: untried.end,
            untried,
            roots_in_step: (STEP / compressions_for_a_root(&job)).max(1),
            seen: vec![0; 1 << SLOT_BITS],
            job,
        })
    }

    /// Tries some values, up to the first pair: two counters, neither of them in a pair before.
    pub fn step(&mut self, space: &SearchSpace) -> Option<[u64; 2]> {
        for _ in 0..self.roots_in_step {
            let counter = self.untried.next_back()?;
            let end = self.end_of_root(&space.extranonce2(counter));
            let slot = &mut self.seen[(end >> (u32::BITS - SLOT_BITS)) as usize];
            let (seen_end, distance) = ((*slot >> 32) as u32, *slot & u64::from(u32::MAX));
            if distance != 0 && seen_end == end {
                *slot = 0;
                return Some([self.top - distance, counter]);
            }
            // The value that was in the slot is forgotten: a loss of one pair in seven, for a table
            // that never grows.
            *slot = u64::from(end) << 32 | (self.top - counter);
        }
        None
    }

    /// Whether every value was tried.
    pub fn is_over(&self) -> bool {
        self.untried.is_empty()
    }

    /// The last four bytes of the merkle root: the first word of a header's second block.
    fn end_of_root(&self, extranonce2: &[u8]) -> u32 {
        let coinbase = self.stem.clone().chain_update(extranonce2);
        let coinbase = coinbase.chain_update(&self.job.coinbase_suffix).finalize();
        let root = self.job.branch.iter().fold(Sha256::digest(coinbase), |root, sibling| {
            let pair = Sha256::new_with_prefix(root).chain_update(sibling.as_bytes());
            Sha256::digest(pair.finalize())
        });
        u32::from_be_bytes([root[28], root[29], root[30], root[31]])
    }
}

/// The cost of a root: the coinbase from our extranonce on, its second hash, and three for a level.
fn compressions_for_a_root(job: &Job) -> u64 {
    let before = job.coinbase_prefix.len() + job.extranonce1.len();
    let len = before + job.extranonce2_size + job.coinbase_suffix.len();
    // The padding takes nine bytes at least.
    let coinbase = (len + 9).div_ceil(64) - before / 64;
    (coinbase + 1 + 3 * job.branch.len()) as u64
}
