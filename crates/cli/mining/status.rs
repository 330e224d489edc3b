//! All that mining is at one instant, as numbers: what every view shows, and programs can ask for.
//! The same counts as the summary's.

use midstate_chain::{Header, Job};
use midstate_net::Protocol;
use midstate_work::{BlockLedger, Ledger};
use serde::Serialize;

use super::event::name_of;
pub(crate) use crate::machine::gauge::Readings;

/// See the [module](self) page.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Status {
    /// Since the start.
    pub(crate) seconds: f64,
    /// The part of it in which the threads hashed.
    pub(crate) seconds_hashing: f64,
    pub(crate) state: State,
    /// Where the job comes from; without a job, who was heard of last.
    pub(crate) url: Option<String>,
    pub(crate) kernel: &'static str,
    /// Hashing threads, those of a pause included.
    pub(crate) threads: usize,
    pub(crate) midstates: usize,
    /// The newest.
    pub(crate) job: Option<JobStatus>,
    /// How many are hashed in turns: one, or one of each channel of Stratum V2.
    pub(crate) jobs: usize,
    /// A header that is about to be hashed, sampled a few times a second.
    pub(crate) header: Option<HeaderStatus>,
    #[serde(flatten)]
    pub(crate) rates: Rates,
    pub(crate) hashes: u64,
    /// Of each thread.
    pub(crate) thread_hashes: Vec<u64>,
    pub(crate) shares: ShareCounts,
    pub(crate) blocks: BlockCounts,
    pub(crate) best_difficulty: f64,
    #[serde(flatten)]
    pub(crate) readings: Readings,
    /// From sending the newest answered share to its answer.
    pub(crate) latency_ms: Option<f64>,
    /// Mean wait for a share, and for a block, at the overall rate of the last ten seconds.
    pub(crate) seconds_to_share: Option<f64>,
    pub(crate) seconds_to_block: Option<f64>,
    /// The rest of `--block-interval`, before which there is no job. For words alone.
    #[serde(skip)]
    pub(crate) seconds_of_interval: f64,
}

/// The state of mining.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// No pool or node has let us in.
    Connecting,
    /// Let in, and nothing to hash: there is no job, or all of it is hashed.
    Waiting,
    /// Hashing.
    Mining,
    /// Resting, because somebody asked for it or a sensor does.
    Paused,
}

/// The job in work.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct JobStatus {
    /// The protocol of its server.
    pub(crate) protocol: &'static str,
    /// The pool's number of the channel, of Stratum V2.
    pub(crate) channel: Option<u32>,
    pub(crate) job_id: String,
    pub(crate) height: Option<u32>,
    pub(crate) difficulty: f64,
    pub(crate) network_difficulty: f64,
    /// A hash at or below this is a share; in hex.
    pub(crate) target: String,
    /// Seconds since it came.
    pub(crate) age: f64,
}

/// A header, field by field: numbers and hashes in hex as people write them (big-endian), and the
/// 80 bytes as they are hashed, with their hash.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HeaderStatus {
    pub(crate) version: String,
    pub(crate) prev_hash: String,
    pub(crate) merkle_root: String,
    pub(crate) time: u32,
    pub(crate) bits: String,
    pub(crate) nonce: u32,
    pub(crate) bytes: String,
    pub(crate) hash: String,
}

/// Hashes per second of hashing, over the last windows of time; null where nothing was hashed.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Rates {
    pub(crate) hps_10s: Option<f64>,
    pub(crate) hps_60s: Option<f64>,
    pub(crate) hps_15m: Option<f64>,
    /// With pauses and waits, and with the rests of `--max-hashrate`.
    pub(crate) hps_10s_overall: Option<f64>,
}

/// The ledger of shares: `found` is the sum of the others.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ShareCounts {
    pub(crate) found: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) stale: u64,
    pub(crate) throttled: u64,
    pub(crate) unresolved: u64,
}

impl ShareCounts {
    /// Shares that the pool or the node has judged: not those under way, and not those that were
    /// never sent.
    pub(crate) fn answered(&self) -> u64 {
        self.accepted + self.rejected
    }
}

/// The ledger of blocks; `found` counts those without a verdict, too.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct BlockCounts {
    pub(crate) found: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
}

impl JobStatus {
    pub(crate) fn new(job: &Job, protocol: Protocol, age: f64) -> Self {
        Self {
            protocol: name_of(protocol),
            channel: job.channel,
            job_id: job.id.clone(),
            height: job.height(),
            difficulty: job.share_target.difficulty(),
            network_difficulty: job.network_target.difficulty(),
            target: job.submit_target().to_string(),
            age,
        }
    }
}

impl From<&Header> for HeaderStatus {
    fn from(header: &Header) -> Self {
        Self {
            version: format!("{:08x}", header.version),
            prev_hash: header.prev_hash.to_string(),
            merkle_root: header.merkle_root.to_string(),
            time: header.time,
            bits: format!("{:08x}", header.bits.to_consensus()),
            nonce: header.nonce,
            bytes: header.to_string(),
            hash: header.hash().to_string(),
        }
    }
}

impl From<&Ledger> for ShareCounts {
    fn from(ledger: &Ledger) -> Self {
        Self {
            found: ledger.found(),
            accepted: ledger.accepted(),
            rejected: ledger.rejected(),
            stale: ledger.stale(),
            throttled: ledger.throttled(),
            unresolved: ledger.unresolved(),
        }
    }
}

impl From<&BlockLedger> for BlockCounts {
    fn from(ledger: &BlockLedger) -> Self {
        let &BlockLedger { found, accepted, rejected } = ledger;
        Self { found, accepted, rejected }
    }
}
