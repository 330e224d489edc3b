//! The search space of a job as a line of numbered units.
//!
//! From the inside out: nonces, then versions, then extranonce2, then time. A *page* is what one
//! prepared kernel input covers: one extranonce2, one time, `midstates` versions, all nonces. A
//! *unit* is a page and a range of nonces, small enough that a thread always finishes it: so there
//! are no half-done units, no gaps (I3) and no doubles (I2), and a new job waits for one unit at
//! most.

use std::ops::Range;
use std::sync::Arc;

use midstate_chain::{Hash256, Header, Job, Share};

/// Seconds that a header's time may run ahead of its job's, however long the job lasts (I11).
pub const MAX_TIME_ROLL: u32 = 600;

/// How a search space is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Versions hashed side by side (they share the message schedule), rounded down to a power of
    /// two. A job with too few rollable bits gets as many as it has.
    pub midstates: usize,
    /// Nonces in a unit, at least 1.
    pub unit: u64,
    /// The nonces of a page: normally all, `0..2^32`.
    pub nonces: Range<u64>,
}

impl Cut {
    /// All nonces, in units of about `hashes` hashes.
    pub fn by_hashes(midstates: usize, hashes: u64) -> Self {
        let unit = (hashes / midstates.max(1) as u64).clamp(1, 1 << 32);
        Self { midstates, unit, nonces: 0..1 << 32 }
    }
}

/// Every header that a job allows, in numbered units.
#[derive(Debug, Clone)]
pub struct SearchSpace {
    job: Arc<Job>,
    cut: Cut,
    /// Versions side by side in this job.
    midstates: u64,
    /// Groups of `midstates` versions.
    version_groups: u64,
    /// Values of extranonce2; saturates, since no search gets to the end of 2^64.
    extranonces: u64,
    units_per_page: u64,
}

/// A piece of work that one thread does in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Number of the page: equal numbers mean equal [`Page`]s.
    pub page: u64,
    /// Nonces to hash, each with every midstate of the page.
    pub nonces: Range<u64>,
}

/// What the search space has under a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Work.
    Unit(Unit),
    /// Work whose time has not come: everything at the present time is hashed or being hashed.
    NotYet,
    /// The end: neither extranonce2 nor time is left.
    Exhausted,
}

/// The headers of a page, nonce 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Our part of the extranonce.
    pub extranonce2: Vec<u8>,
    /// One for each version, equal in their last 16 bytes.
    pub headers: Vec<Header>,
}

impl SearchSpace {
    /// Lays out the space of `job`.
    pub fn new(job: Arc<Job>, cut: Cut) -> Self {
        let versions = 1u64 << job.rollable_bits().count_ones();
        // Rounded down to a power of two, so that the groups use up the versions without a rest.
        let midstates = (1 << cut.midstates.max(1).ilog2()).min(versions);
        let extranonce_bits = 8 * job.extranonce2_size as u32;
        Self {
            midstates,
            version_groups: versions / midstates,
            extranonces: 1u64.checked_shl(extranonce_bits).unwrap_or(u64::MAX),
            units_per_page: (cut.nonces.end - cut.nonces.start).div_ceil(cut.unit.max(1)),
            job,
            cut,
        }
    }

    /// The job.
    pub fn job(&self) -> &Arc<Job> {
        &self.job
    }

    /// Versions hashed side by side in this job.
    pub fn midstates(&self) -> usize {
        self.midstates as usize
    }

    /// Unit number `index`. `elapsed` is the number of seconds since the job came: the time may be
    /// rolled that far, and it is only when every extranonce2 is used up.
    pub fn unit(&self, index: u64, elapsed: u32) -> Claim {
        if self.units_per_page == 0 {
            return Claim::Exhausted;
        }
        let page = index / self.units_per_page;
        let roll = self.time_roll(page);
        if roll > u64::from(MAX_TIME_ROLL) {
            return Claim::Exhausted;
        }
        if roll > u64::from(elapsed) {
            return Claim::NotYet;
        }
        let start = self.cut.nonces.start + index % self.units_per_page * self.cut.unit;
        let end = (start + self.cut.unit).min(self.cut.nonces.end);
        Claim::Unit(Unit { page, nonces: start..end })
    }

    /// The headers of page `number`.
    pub fn page(&self, number: u64) -> Page {
        let group = number % self.version_groups;
        let counter = number / self.version_groups % self.extranonces;
        let mut extranonce2 = vec![0; self.job.extranonce2_size];
        for (byte, value) in extranonce2.iter_mut().zip(counter.to_le_bytes()) {
            *byte = value;
        }
        let mut base = self.job.header(&extranonce2);
        base.time = base.time.saturating_add(self.time_roll(number) as u32);
        let headers = (group * self.midstates..(group + 1) * self.midstates)
            .map(|version| Header { version: self.version(version), ..base })
            .collect();
        Page { extranonce2, headers }
    }

    /// The share for a hit in a page.
    pub fn share(&self, page: &Page, midstate: usize, nonce: u32, hash: [u8; 32]) -> Share {
        let Header { version, time, .. } = page.headers[midstate];
        Share {
            job: Arc::clone(&self.job),
            extranonce2: page.extranonce2.clone(),
            version,
            time,
            nonce,
            hash: Hash256::from_bytes(hash),
        }
    }

    fn time_roll(&self, page: u64) -> u64 {
        page / self.version_groups / self.extranonces
    }

    /// Version number `index`: its bits spread over the rollable ones, lowest first.
    fn version(&self, index: u64) -> u32 {
        let mut free = self.job.rollable_bits();
        let mut version = self.job.version;
        let mut index = index;
        while index != 0 {
            let lowest = free & free.wrapping_neg();
            if index & 1 == 1 {
                version |= lowest;
            }
            free &= !lowest;
            index >>= 1;
        }
        version
    }
}
