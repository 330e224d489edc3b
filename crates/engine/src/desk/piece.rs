//! A piece of a job in the hands of a worker.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use midstate_chain::{Header, Job, Share, Target};
use midstate_work::{Claim, Page, PageName, Unit};

use super::{Assignment, Worker};

/// A range of nonces of one page, in the hands of one worker.
///
/// The part that is not [booked](Self::book) when it is dropped goes back to the desk, for the next
/// claim. If it is dropped by a panic, it is lost instead, until
/// [`Worker::write_off`]: what one worker did not survive, the next would not.
pub struct Piece {
    worker: Arc<Worker>,
    assignment: Arc<Assignment>,
    /// The nonces that are not booked yet.
    unit: Unit,
}

/// A header that meets the target, as its worker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Finding {
    /// Which of the page's headers.
    pub header: usize,
    /// Its nonce.
    pub nonce: u32,
}

/// Why what a worker brought back was not booked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// The worker does not hold these nonces, or not any more.
    #[error("hashed up to nonce {until}, where the worker holds {} to {}", held.start, held.end)]
    NotHeld {
        /// The end of the nonces it has hashed.
        until: u64,
        /// The nonces that are not booked.
        held: Range<u64>,
    },
    /// A hit beside what was hashed.
    #[error(
        "a hit of header {} at nonce {}, where {headers} headers were hashed with nonces {} to {}",
        .finding.header, .finding.nonce, hashed.start, hashed.end
    )]
    Outside {
        /// The hit.
        finding: Finding,
        /// How many headers the page has.
        headers: usize,
        /// The nonces that were to be booked.
        hashed: Range<u64>,
    },
    /// A hit that is none.
    #[error("the hash of header {} at nonce {} misses the target", .0.header, .0.nonce)]
    Misses(Finding),
    /// A hit that was named before.
    #[error("a hit of header {} at nonce {} named twice", .0.header, .0.nonce)]
    Twice(Finding),
}

impl Piece {
    /// Takes units of `hashes` hashes together, or one.
    pub(super) fn claim(
        worker: &Arc<Worker>,
        assignment: &Arc<Assignment>,
        hashes: u64,
    ) -> Option<Self> {
        let left = worker.desk.left();
        if left == 0 {
            return None;
        }
        let Claim::Unit(unit) = assignment.claim(hashes.min(left)) else { return None };
        let hashes = assignment.space.hashes(&unit);
        worker.in_hand.fetch_add(hashes, Ordering::Relaxed);
        worker.desk.claimed.fetch_add(hashes, Ordering::Relaxed);
        Some(Self { worker: Arc::clone(worker), assignment: Arc::clone(assignment), unit })
    }

    /// The job of these headers.
    pub fn job(&self) -> &Arc<Job> {
        self.assignment.space.job()
    }

    /// The name of the page: pieces of one job with equal names have equal pages.
    pub fn page_name(&self) -> PageName {
        self.unit.page
    }

    /// The headers to hash, with nonce 0. To be kept for the next piece, which may have the same
    /// page: a merkle root is computed to make them.
    pub fn page(&self) -> Page {
        self.assignment.space.page(self.unit.page)
    }

    /// The nonces that are not booked, each for every header of the page.
    pub fn nonces(&self) -> Range<u64> {
        self.unit.nonces.clone()
    }

    /// Hashes that are not booked.
    pub fn hashes(&self) -> u64 {
        self.assignment.space.hashes(&self.unit)
    }

    /// A hash at or below this is a hit.
    pub fn target(&self) -> Target {
        let (job, easiest) = (self.job(), self.worker.desk.easiest.get().copied());
        let easiest = easiest.unwrap_or(Target::MAX);
        // A block is never too easy (I7), but for toys.
        let easiest = if job.has_toy_blocks() { easiest } else { easiest.max(job.network_target) };
        job.submit_target().min(easiest)
    }

    /// Whether the desk still has this work. What is left of a piece that is not wanted should be
    /// dropped: if the work comes again, the rest of it is handed out again.
    pub fn is_wanted(&self) -> bool {
        let present = self.worker.desk.slot.take_up();
        let is_it = |of: &Arc<Assignment>| Arc::ptr_eq(&of.search, &self.assignment.search);
        present.is_some_and(|present| present.jobs().iter().any(is_it))
    }

    /// The nonces up to `until` are hashed with every header of the page, and these are their hits.
    /// The hits are hashed again here, and become shares. A worker's word is all there is for the
    /// hashes that miss.
    ///
    /// Nothing is booked if anything is wrong, so that the nonces go back when this is dropped.
    pub fn book(&mut self, until: u64, hits: &[Finding]) -> Result<(), BookError> {
        let held = self.nonces();
        if !(held.start..=held.end).contains(&until) {
            return Err(BookError::NotHeld { until, held });
        }
        let shares = self.shares(held.start..until, hits)?;
        shares.into_iter().for_each(|share| (self.worker.desk.on_share)(share));
        self.count(until);
        Ok(())
    }

    /// All of it is hashed; as [`book`](Self::book).
    pub fn finish(mut self, hits: &[Finding]) -> Result<(), BookError> {
        self.book(self.unit.nonces.end, hits)
    }

    /// A share of this piece, of a hit that was hashed again.
    pub(crate) fn hand_on(&self, page: &Page, header: usize, nonce: u32, hash: [u8; 32]) {
        (self.worker.desk.on_share)(self.assignment.space.share(page, header, nonce, hash));
    }

    fn shares(&self, hashed: Range<u64>, hits: &[Finding]) -> Result<Vec<Share>, BookError> {
        if hits.is_empty() {
            return Ok(Vec::new());
        }
        let (page, target) = (self.page(), self.target());
        let mut seen = HashSet::new();
        let share = |&finding: &Finding| {
            let Finding { header, nonce } = finding;
            let outside = || {
                let (headers, hashed) = (page.headers.len(), hashed.clone());
                BookError::Outside { finding, headers, hashed }
            };
            let base = page.headers.get(header).ok_or_else(outside)?;
            if !hashed.contains(&nonce.into()) {
                return Err(outside());
            }
            if !seen.insert(finding) {
                return Err(BookError::Twice(finding));
            }
            let hash = Header { nonce, ..*base }.hash();
            if !target.is_met_by(&hash) {
                return Err(BookError::Misses(finding));
            }
            Ok(self.assignment.space.share(&page, header, nonce, *hash.as_bytes()))
        };
        hits.iter().map(share).collect()
    }

    /// Moves the hashes up to nonce `until` from in hand to finished.
    fn count(&mut self, until: u64) {
        let before = self.hashes();
        self.unit.nonces.start = until;
        let hashes = before - self.hashes();
        self.worker.hashes.fetch_add(hashes, Ordering::Relaxed);
        self.worker.in_hand.fetch_sub(hashes, Ordering::Relaxed);
        self.worker.desk.hashes.fetch_add(hashes, Ordering::Relaxed);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if self.unit.nonces.is_empty() || std::thread::panicking() {
            return;
        }
        let hashes = self.hashes();
        let Worker { desk, in_hand, .. } = &*self.worker;
        self.assignment.give_back(self.unit.clone());
        in_hand.fetch_sub(hashes, Ordering::Relaxed);
        desk.claimed.fetch_sub(hashes, Ordering::Relaxed);
        desk.wake();
    }
}
