//! The search space of a job as a line of numbered units.
//!
//! From the inside out: nonces, then versions, then extranonce2, then time. A *page* is what one
//! prepared kernel input covers: one extranonce2, one time, `midstates` versions, all nonces. A
//! *unit* is a page and a range of nonces, small enough that a thread always finishes it: so there
//! are no half-done units, no gaps (I3) and no doubles (I2), and a new job waits for one unit at
//! most.
//!
//! Beside the line lie the pages of two extranonce2 values ([`pairs`](crate::pairs)); in which
//! order all of them are worked off is for [`Frontier`](crate::Frontier).

use std::ops::Range;
use std::sync::Arc;

use midstate_chain::{Hash256, Header, Job, Share};

/// Seconds that a header's time may run ahead of its job's, however long the job lasts (I11).
pub const MAX_TIME_ROLL: u32 = 600;
/// A multiple of every kernel's lanes.
const BATCHES: u64 = 64;

/// How a search space is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Versions hashed side by side (they share the message schedule), rounded down to a power of
    /// two. A job with too few rollable bits gets as many as it has.
    pub midstates: usize,
    /// Hashes in a unit at most, but for a unit of one nonce.
    pub hashes: u64,
    /// The nonces of a page: normally all, `0..2^32`.
    pub nonces: Range<u64>,
}

impl Cut {
    /// All nonces, in units of `hashes` hashes.
    pub fn by_hashes(midstates: usize, hashes: u64) -> Self {
        Self { midstates, hashes, nonces: 0..1 << 32 }
    }
}

/// Every header that a job allows, in numbered units.
#[derive(Debug, Clone)]
pub struct SearchSpace {
    job: Arc<Job>,
    cut: Cut,
    /// Groups of `midstates` versions.
    version_groups: u64,
    /// Values of extranonce2; saturates, since no search gets to the end of 2^64.
    extranonces: u64,
    /// How a page of the line and that of a pair are cut: looked up with every claim.
    line: Units,
    pair: Units,
}

/// The units of a page.
#[derive(Debug, Clone, Copy)]
struct Units {
    /// Headers of the page.
    headers: u64,
    /// Nonces in a unit, but for the last one.
    nonces: u64,
    /// How many units.
    count: u64,
}

impl Units {
    /// The more headers a page has, the fewer nonces a unit. Whole batches of any kernel where
    /// there are so many: the nonces of a batch that two units share are hashed for both.
    fn new(headers: u64, cut: &Cut) -> Self {
        let nonces = match (cut.hashes / headers).clamp(1, 1 << 32) {
            few @ ..BATCHES => few,
            many => many - many % BATCHES,
        };
        let count = (cut.nonces.end - cut.nonces.start).div_ceil(nonces);
        Self { headers, nonces, count }
    }
}

/// Names a page of a job: equal names mean equal [`Page`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageName {
    /// By its number in the line: one extranonce2, as many versions as are hashed side by side.
    InLine(u64),
    /// By the counters of its two extranonce2 values.
    Pair([u64; 2]),
}

/// A piece of work that one thread does in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The page of the headers.
    pub page: PageName,
    /// Nonces to hash, each with every header of the page.
    pub nonces: Range<u64>,
}

/// A part of the search space, by its number.
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
    /// Equal in their last 16 bytes.
    pub headers: Vec<Header>,
    /// Our part of the extranonce: of all headers, or of each.
    extranonce2: Vec<Vec<u8>>,
}

impl Page {
    /// Our part of the extranonce in header number `index`.
    pub fn extranonce2(&self, index: usize) -> &[u8] {
        &self.extranonce2[index % self.extranonce2.len()]
    }
}

impl SearchSpace {
    /// Lays out the space of `job`.
    pub fn new(job: Arc<Job>, cut: Cut) -> Self {
        let versions = 1u64 << job.rollable_bits().count_ones();
        // Rounded down to a power of two, so that the groups use up the versions without a rest.
        let midstates = (1 << cut.midstates.max(1).ilog2()).min(versions);
        let extranonce_bits = 8 * job.extranonce2_size as u32;
        Self {
            version_groups: versions / midstates,
            extranonces: 1u64.checked_shl(extranonce_bits).unwrap_or(u64::MAX),
            line: Units::new(midstates, &cut),
            pair: Units::new(2, &cut),
            job,
            cut,
        }
    }

    /// The job.
    pub fn job(&self) -> &Arc<Job> {
        &self.job
    }

    /// Unit number `index` of the line. `elapsed` is the number of seconds since the job came: the
    /// time may be rolled that far, and it is only when every extranonce2 is used up.
    pub fn unit(&self, index: u64, elapsed: u32) -> Claim {
        let units = self.line.count;
        if units == 0 {
            return Claim::Exhausted;
        }
        let page = index / units;
        let roll = self.time_roll(page);
        // The field has 32 bits: what comes after its last second would be that second again.
        if roll > u64::from(MAX_TIME_ROLL.min(u32::MAX - self.job.time)) {
            return Claim::Exhausted;
        }
        if roll > u64::from(elapsed) {
            return Claim::NotYet;
        }
        let nonces = self.nonces(self.line, index % units);
        Claim::Unit(Unit { page: PageName::InLine(page), nonces })
    }

    /// How many units in the line have the same extranonce2 and the same time.
    pub(crate) fn units_of_extranonce(&self) -> u64 {
        self.line.count * self.version_groups
    }

    /// Number of the first unit in the line after this page.
    pub(crate) fn after(&self, page: u64) -> u64 {
        (page + 1) * self.line.count
    }

    /// Unit number `index` of the page of a pair.
    pub(crate) fn unit_of_pair(&self, pair: [u64; 2], index: u64) -> Unit {
        Unit { page: PageName::Pair(pair), nonces: self.nonces(self.pair, index) }
    }

    /// How many units a pair has.
    pub(crate) fn units_of_pair(&self) -> u64 {
        self.pair.count
    }

    /// Hashes in a unit.
    pub fn hashes(&self, unit: &Unit) -> u64 {
        self.units(unit.page).headers * (unit.nonces.end - unit.nonces.start)
    }

    /// Where the nonces of every page end; itself not one of them.
    pub(crate) fn end_of_nonces(&self) -> u64 {
        self.cut.nonces.end
    }

    /// The first of the units that a range of nonces of a page makes.
    pub(crate) fn first_unit(&self, Unit { page, nonces }: &Unit) -> Unit {
        let end = nonces.start + self.units(*page).nonces;
        Unit { page: *page, nonces: nonces.start..end.min(nonces.end) }
    }

    /// Lengthens `unit` by those behind it in its page, as long as all of them have no more than
    /// `hashes` hashes and end at nonce `end`; says by how many.
    pub(crate) fn lengthen(&self, unit: &mut Unit, hashes: u64, end: u64) -> u64 {
        let each = self.units(unit.page).nonces;
        let behind = (end - unit.nonces.end).div_ceil(each);
        let more = (hashes / self.hashes(unit)).saturating_sub(1).min(behind);
        unit.nonces.end = (unit.nonces.end + more * each).min(end);
        more
    }

    fn units(&self, page: PageName) -> Units {
        match page {
            PageName::InLine(_) => self.line,
            PageName::Pair(_) => self.pair,
        }
    }

    /// The headers of a page.
    pub fn page(&self, name: PageName) -> Page {
        let counters = match name {
            PageName::InLine(number) => vec![number / self.version_groups % self.extranonces],
            PageName::Pair(counters) => counters.to_vec(),
        };
        let extranonce2: Vec<_> =
            counters.into_iter().map(|counter| self.extranonce2(counter)).collect();
        let headers = match name {
            PageName::InLine(number) => {
                let group = number % self.version_groups;
                let mut base = self.job.header(&extranonce2[0]);
                base.time += self.time_roll(number) as u32;
                (group * self.line.headers..(group + 1) * self.line.headers)
                    .map(|version| Header { version: self.version(version), ..base })
                    .collect()
            }
            PageName::Pair(_) => extranonce2.iter().map(|value| self.job.header(value)).collect(),
        };
        Page { headers, extranonce2 }
    }

    /// The share for a hit in a page, of its header number `index`.
    pub fn share(&self, page: &Page, index: usize, nonce: u32, hash: [u8; 32]) -> Share {
        let Header { version, time, .. } = page.headers[index];
        Share {
            job: Arc::clone(&self.job),
            extranonce2: page.extranonce2(index).to_vec(),
            version,
            time,
            nonce,
            hash: Hash256::from_bytes(hash),
        }
    }

    /// How many values extranonce2 has.
    pub(crate) fn extranonces(&self) -> u64 {
        self.extranonces
    }

    /// Whether more headers side by side are wanted than this job has versions for.
    pub(crate) fn wants_pairs(&self) -> bool {
        self.cut.midstates > 1 && self.line.headers * self.version_groups == 1
    }

    /// The counter of the extranonce2 of a page in the line, if the page has the job's own time.
    pub(crate) fn counter(&self, page: u64) -> Option<u64> {
        let counter = page / self.version_groups;
        (counter < self.extranonces).then_some(counter)
    }

    /// Value number `counter`, little-endian.
    pub(crate) fn extranonce2(&self, counter: u64) -> Vec<u8> {
        let mut extranonce2 = vec![0; self.job.extranonce2_size];
        for (byte, value) in extranonce2.iter_mut().zip(counter.to_le_bytes()) {
            *byte = value;
        }
        extranonce2
    }

    fn nonces(&self, units: Units, index: u64) -> Range<u64> {
        let start = self.cut.nonces.start + index * units.nonces;
        start..(start + units.nonces).min(self.cut.nonces.end)
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
