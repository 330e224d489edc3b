//! The events of mining, as programs are told them: the JSON is a contract with scripts
//! (fields may be added). Owned, so that an event can be kept and handed round.
//!
//! [`Miner`](super::miner) makes them; every [`View`](super::View) gets them. What they say to
//! people is in [`words`](super::words).

use std::net::SocketAddr;

use midstate_chain::{Hash256, Job, Verdict};
use midstate_net::{LinkState, Protocol};
use midstate_stratum::{Remark, ShareOutcome};
use midstate_work::{BlockLedger, Ledger, Rejects};
use serde::{Serialize, Serializer};

use super::status::{BlockCounts, Rates, ShareCounts, Status};
use super::{Reason, Rig};

/// One line of `--json`.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Event {
    Pool(PoolEvent),
    Remark(RemarkEvent),
    Job(JobEvent),
    Share(ShareEvent),
    Block(BlockEvent),
    Rate(RateEvent),
    Miner(MinerEvent),
    Retarget(RetargetEvent),
    Renamed(RenamedEvent),
    Throttled(ThrottledEvent),
    #[serde(rename = "left_out")]
    LeftOut(LeftOutEvent),
    /// The last one, always.
    Summary(Summary),
}

impl Event {
    /// Its name: the field `event` of the JSON.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Pool(_) => "pool",
            Self::Remark(_) => "remark",
            Self::Job(_) => "job",
            Self::Share(_) => "share",
            Self::Block(_) => "block",
            Self::Rate(_) => "rate",
            Self::Miner(_) => "miner",
            Self::Retarget(_) => "retarget",
            Self::Renamed(_) => "renamed",
            Self::Throttled(_) => "throttled",
            Self::LeftOut(_) => "left_out",
            Self::Summary(_) => "summary",
        }
    }
}

/// The connection to a pool or node changed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PoolEvent {
    pub(crate) url: String,
    #[serde(serialize_with = "protocol")]
    pub(crate) protocol: Protocol,
    #[serde(serialize_with = "state")]
    pub(crate) state: LinkState,
    pub(crate) reason: Option<String>,
    /// The pool of the list, where that redirected us to this URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listed: Option<String>,
}

/// A pool or node says something to its users, or there is something to say about it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RemarkEvent {
    pub(crate) pool: String,
    #[serde(flatten)]
    pub(crate) remark: Remark,
    /// See [`PoolEvent::listed`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listed: Option<String>,
}

/// There is new work.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct JobEvent {
    pub(crate) pool: String,
    #[serde(serialize_with = "protocol")]
    pub(crate) protocol: Protocol,
    /// The pool's number of the channel, of Stratum V2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channel: Option<u32>,
    pub(crate) job_id: String,
    pub(crate) height: Option<u32>,
    pub(crate) difficulty: f64,
    pub(crate) network_difficulty: f64,
    pub(crate) clean: bool,
    /// See [`PoolEvent::listed`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listed: Option<String>,
}

/// A share got its verdict. Numbers of the header in hex, as they were submitted.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ShareEvent {
    pub(crate) pool: String,
    #[serde(serialize_with = "protocol")]
    pub(crate) protocol: Protocol,
    /// See [`JobEvent::channel`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channel: Option<u32>,
    pub(crate) job_id: String,
    pub(crate) extranonce2: String,
    pub(crate) ntime: String,
    pub(crate) nonce: String,
    pub(crate) version: String,
    pub(crate) hash: String,
    pub(crate) difficulty: f64,
    pub(crate) target_difficulty: f64,
    #[serde(serialize_with = "verdict")]
    pub(crate) verdict: Verdict,
    pub(crate) code: Option<i64>,
    pub(crate) reason: Option<String>,
    pub(crate) latency_ms: f64,
    pub(crate) block: bool,
    /// A guess of the cause of a refusal, and what to do.
    pub(crate) advice: Option<&'static str>,
    /// See [`PoolEvent::listed`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listed: Option<String>,
}

/// A block got its verdict, or another one than it had.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct BlockEvent {
    pub(crate) pool: String,
    pub(crate) hash: String,
    pub(crate) height: Option<u32>,
    #[serde(serialize_with = "verdict")]
    pub(crate) verdict: Verdict,
    pub(crate) reason: Option<String>,
    /// See [`PoolEvent::listed`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listed: Option<String>,
    /// The verdict until now, where this one takes its place.
    #[serde(serialize_with = "verdict_or_null")]
    pub(crate) was: Option<Verdict>,
    /// The time and hashes it took, told with the first verdict if that is good.
    #[serde(flatten)]
    pub(crate) effort: Option<Effort>,
}

/// The time and hashes that an accepted block took.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Effort {
    /// Since the accepted block before it, or since the start.
    pub(crate) seconds: f64,
    /// Hashes done in that time, and how many are needed on average.
    pub(crate) hashes: u64,
    pub(crate) expected_hashes: f64,
}

/// The rates, now and then.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RateEvent {
    #[serde(flatten)]
    pub(crate) rates: Rates,
    pub(crate) hashes: u64,
}

/// Shares that were found and not sent, since the last of these events. They are told together, at
/// most once in ten seconds: at a toy difficulty there are thousands a second.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct ThrottledEvent {
    pub(crate) shares: u64,
    /// Those of them that were blocks, as on regtest.
    pub(crate) blocks: u64,
    /// Of the job that is hashed; null without one.
    pub(crate) difficulty: Option<f64>,
    /// So low that not every hash that meets it is looked at.
    pub(crate) absurdly_low: bool,
}

/// How many events were not told one by one since the last of these, because too many came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct LeftOutEvent {
    pub(crate) jobs: u64,
    pub(crate) shares: u64,
    /// News of other miners.
    pub(crate) miners: u64,
}

#[cfg(test)]
impl ShareEvent {
    /// A share that is nothing but its verdict.
    pub(crate) fn example(verdict: Verdict) -> Self {
        Self {
            pool: String::new(),
            protocol: Protocol::Stratum1,
            channel: None,
            job_id: String::new(),
            extranonce2: String::new(),
            ntime: String::new(),
            nonce: String::new(),
            version: String::new(),
            hash: String::new(),
            difficulty: 1.0,
            target_difficulty: 1.0,
            verdict,
            code: None,
            reason: None,
            latency_ms: 1.0,
            block: false,
            advice: None,
            listed: None,
        }
    }
}

#[cfg(test)]
impl LeftOutEvent {
    pub(crate) fn add(&mut self, other: &Self) {
        self.jobs += other.jobs;
        self.shares += other.shares;
        self.miners += other.miners;
    }
}

/// News of another miner at the pool in this program.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MinerEvent {
    /// Its name, which others may carry, too.
    pub(crate) worker: String,
    /// The number of its connection, which tells it from the others.
    pub(crate) session: u32,
    /// Whether it is a device of a class, and has no Stratum connection.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) device: bool,
    #[serde(flatten)]
    pub(crate) news: MinerNews,
}

/// A deed of a miner.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(crate) enum MinerNews {
    Joined {
        address: SocketAddr,
    },
    /// It found one.
    Block {
        height: u32,
        hash: String,
    },
    /// A block of its is not in the chain of the node behind the pool.
    Refused {
        height: u32,
        hash: String,
        // A field of that name hides the function.
        #[serde(serialize_with = "self::verdict")]
        verdict: Verdict,
        reason: Option<String>,
    },
    /// Its connection has ended, over which so many shares came.
    Left {
        address: SocketAddr,
        accepted: u64,
        rejected: u64,
        blocks: u64,
    },
}

/// The difficulty of blocks at the pool in this program is another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RetargetEvent {
    pub(crate) before: f64,
    pub(crate) difficulty: f64,
    /// Of the first block that is to be that hard.
    pub(crate) height: u32,
    pub(crate) reason: RetargetCause,
}

/// Why it came now: its blocks were found, or were not for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RetargetCause {
    Blocks,
    Time,
}

/// A miner of a class is shown under another name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RenamedEvent {
    pub(crate) before: String,
    pub(crate) name: String,
}

/// How it all ended.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    pub(crate) seconds: f64,
    /// The part of it in which the threads hashed.
    pub(crate) seconds_hashing: f64,
    pub(crate) hashes: u64,
    /// Hashes per second of hashing, and of all seconds.
    pub(crate) hps: f64,
    pub(crate) hps_overall: f64,
    pub(crate) kernel: &'static str,
    pub(crate) threads: usize,
    pub(crate) midstates: usize,
    pub(crate) shares: ShareCounts,
    pub(crate) blocks: BlockCounts,
    /// The most frequent first; at most 32, and the rest as "other".
    pub(crate) rejects: Vec<RejectCount>,
    pub(crate) best_difficulty: f64,
    pub(crate) reason: Reason,
}

impl Summary {
    /// Of a run that ends as `status` has it.
    pub(super) fn new(status: Status, rejects: Vec<RejectCount>, reason: Reason) -> Self {
        let Status { seconds, seconds_hashing, hashes, .. } = status;
        let rate = |seconds| if seconds > 0.0 { hashes as f64 / seconds } else { 0.0 };
        Self {
            seconds,
            seconds_hashing,
            hashes,
            hps: rate(seconds_hashing),
            hps_overall: rate(seconds),
            kernel: status.kernel,
            threads: status.threads,
            midstates: status.midstates,
            shares: status.shares,
            blocks: status.blocks,
            rejects,
            best_difficulty: status.best_difficulty,
            reason,
        }
    }

    /// Of a run that failed before anything was hashed.
    pub(crate) fn of_nothing(Rig { kernel, threads, midstates, .. }: Rig) -> Self {
        Self {
            seconds: 0.0,
            seconds_hashing: 0.0,
            hashes: 0,
            hps: 0.0,
            hps_overall: 0.0,
            kernel,
            threads,
            midstates,
            shares: (&Ledger::default()).into(),
            blocks: (&BlockLedger::default()).into(),
            rejects: Vec::new(),
            best_difficulty: 0.0,
            reason: Reason::Error,
        }
    }
}

/// How many shares were refused for a reason.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RejectCount {
    pub(crate) reason: String,
    pub(crate) count: u64,
}

impl RejectCount {
    /// The table that was kept.
    pub(crate) fn rows(rejects: &Rejects) -> Vec<Self> {
        let row = |(reason, count): (&str, u64)| Self { reason: reason.to_owned(), count };
        rejects.rows().into_iter().map(row).collect()
    }
}

impl JobEvent {
    pub(crate) fn new(pool: &str, protocol: Protocol, job: &Job) -> Self {
        Self {
            pool: pool.to_owned(),
            protocol,
            channel: job.channel,
            job_id: job.id.clone(),
            height: job.height(),
            difficulty: job.share_target.difficulty(),
            network_difficulty: job.network_target.difficulty(),
            clean: job.clean,
            listed: None,
        }
    }
}

impl ShareEvent {
    pub(crate) fn new(pool: &str, protocol: Protocol, outcome: &ShareOutcome) -> Self {
        let ShareOutcome { share, verdict, code, reason, advice, latency } = outcome;
        Self {
            pool: pool.to_owned(),
            protocol,
            channel: share.job.channel,
            job_id: share.job.id.clone(),
            extranonce2: hex::encode(&share.extranonce2),
            ntime: format!("{:08x}", share.time),
            nonce: format!("{:08x}", share.nonce),
            version: format!("{:08x}", share.version_bits()),
            hash: share.hash.to_string(),
            difficulty: share.difficulty(),
            target_difficulty: share.job.share_target.difficulty(),
            verdict: *verdict,
            code: *code,
            reason: reason.clone(),
            latency_ms: latency.as_secs_f64() * 1e3,
            block: share.is_block(),
            advice: *advice,
            listed: None,
        }
    }
}

impl BlockEvent {
    /// The first verdict on a share that is a block.
    pub(crate) fn first(share: &ShareEvent, height: Option<u32>, effort: Option<Effort>) -> Self {
        Self {
            pool: share.pool.clone(),
            hash: share.hash.clone(),
            height,
            verdict: of_block(share.verdict),
            reason: share.reason.clone(),
            listed: share.listed.clone(),
            was: None,
            effort,
        }
    }

    /// The best chain took a block up, or left it.
    pub(crate) fn revised(
        pool: &str,
        hash: &Hash256,
        height: u32,
        [was, verdict]: [Verdict; 2],
        reason: Option<String>,
    ) -> Self {
        Self {
            pool: pool.to_owned(),
            hash: hash.to_string(),
            height: Some(height),
            verdict: of_block(verdict),
            reason,
            listed: None,
            was: Some(of_block(was)),
            effort: None,
        }
    }

    /// As [`revised`](Self::revised), of a block that was told as a share. That a node accepts it
    /// is the first word of it, and no other one than before.
    pub(crate) fn of_our_pool(
        node: &str,
        hash: &Hash256,
        height: u32,
        [was, verdict]: [Verdict; 2],
        reason: Option<String>,
    ) -> Self {
        let block = Self::revised(node, hash, height, [was, verdict], reason);
        let is_first = was == Verdict::Unresolved && verdict == Verdict::Accepted;
        Self { was: block.was.filter(|_| !is_first), ..block }
    }
}

/// A block that was held back or too late was never offered: no verdict on it.
fn of_block(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Accepted | Verdict::Rejected => verdict,
        Verdict::Stale | Verdict::Throttled | Verdict::Unresolved => Verdict::Unresolved,
    }
}

/// The verdict's name in events and in words.
pub(crate) fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted",
        Verdict::Rejected => "rejected",
        Verdict::Stale => "stale",
        Verdict::Throttled => "throttled",
        Verdict::Unresolved => "unresolved",
    }
}

/// The protocol's name in events.
pub(crate) fn name_of(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Stratum1 => "stratum1",
        Protocol::Stratum2 => "stratum2",
        Protocol::Node => "getblocktemplate",
    }
}

// `chain` and `net` know no serde: what their types are called in JSON is our affair.

fn verdict<S: Serializer>(verdict: &Verdict, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name(*verdict))
}

fn verdict_or_null<S: Serializer>(
    verdict: &Option<Verdict>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    verdict.map(name).serialize(serializer)
}

fn protocol<S: Serializer>(protocol: &Protocol, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name_of(*protocol))
}

fn state<S: Serializer>(state: &LinkState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match state {
        LinkState::Connecting => "connecting",
        LinkState::Connected => "connected",
        LinkState::Authorized => "authorized",
        LinkState::Lost => "lost",
        LinkState::Failover => "failover",
    })
}
