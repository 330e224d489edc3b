//! A channel's work: which jobs are known, which one is worked on, and with which target.
//!
//! The target is frozen in a job when it becomes workable: SetTarget is for the jobs after it, and
//! for future jobs that are not worked on yet (specification, 5.3.21).

use std::collections::VecDeque;
use std::sync::Arc;

use midstate_chain::{Bits, Hash256, Job, Target};

use crate::Limits;
use crate::message::{Body, NewJob, NewPrevHash, Opened};

/// An open channel.
#[derive(Debug)]
pub(crate) struct Channel {
    id: u32,
    group: u32,
    /// Which channel this is of all that the client ever had: its jobs die with it.
    session: u64,
    target: Target,
    prefix: Vec<u8>,
    size: usize,
    /// The version bits that may be rolled where a job allows it.
    version_mask: u32,
    /// Jobs for a block to come, oldest first. Those of a group are the same ones in each channel.
    future: VecDeque<(u32, Arc<Body>)>,
    tip: Option<Tip>,
    /// The jobs whose shares count, newest last.
    live: VecDeque<Arc<Job>>,
    future_limit: usize,
    live_limit: usize,
}

#[derive(Debug, Clone, Copy)]
struct Tip {
    prev_hash: Hash256,
    bits: Bits,
    network_target: Target,
}

/// Why something that the pool said about its work is of no use. The running job goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("a target of 0, which no hash can meet")]
    Target,
    #[error("the bits {0:08x} are no target")]
    Bits(u32),
    #[error("no future job {0} is known: no work until the next one")]
    NoSuchJob(u32),
    #[error("job {0} is for the present block, and no block was named yet")]
    NoBlock(u32),
    #[error("a job of the other kind of channel")]
    Kind,
    #[error("the job has {got} hashes in its merkle path, the limit is {limit}")]
    Branch { got: usize, limit: usize },
    #[error("the job's coinbase has {got} bytes, the limit is {limit}")]
    Coinbase { got: usize, limit: usize },
    #[error("the job's coinbase is empty")]
    NoCoinbase,
}

impl Channel {
    /// A channel that the pool opened, as the `session`th of the client.
    ///
    /// # Errors
    /// When its extranonce or its target cannot be used: in words.
    pub(crate) fn open(
        opened: Opened,
        session: u64,
        version_mask: u32,
        live_limit: usize,
        limits: &Limits,
    ) -> Result<Self, String> {
        let size = usize::from(opened.size.unwrap_or(0));
        if size > limits.common.extranonce2 {
            let limit = limits.common.extranonce2;
            return Err(format!("{size} bytes of its extranonce are ours, the limit is {limit}"));
        }
        if opened.size == Some(0) {
            return Err("no byte of its extranonce is ours, though four were asked for".to_owned());
        }
        if opened.target == Target::from_number(midstate_chain::U256::ZERO) {
            return Err("its target is 0, which no hash can meet".to_owned());
        }
        Ok(Self {
            id: opened.channel,
            group: opened.group,
            session,
            target: opened.target,
            prefix: opened.prefix,
            size,
            version_mask,
            future: VecDeque::new(),
            tip: None,
            live: VecDeque::new(),
            future_limit: limits.future_jobs.max(1),
            live_limit,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Whether a message to that number is for this one among others.
    pub(crate) fn is_in_group(&self, group: u32) -> bool {
        group == self.group
    }

    pub(crate) fn is_standard(&self) -> bool {
        self.size == 0
    }

    pub(crate) fn join_group(&mut self, group: u32) {
        self.group = group;
    }

    /// Holds for the jobs to come. The difficulty, if it changed.
    pub(crate) fn set_target(&mut self, target: Target) -> Result<Option<f64>, Unusable> {
        if target == Target::from_number(midstate_chain::U256::ZERO) {
            return Err(Unusable::Target);
        }
        let changed = std::mem::replace(&mut self.target, target) != target;
        Ok(changed.then(|| target.difficulty()))
    }

    pub(crate) fn difficulty(&self) -> f64 {
        self.target.difficulty()
    }

    /// Holds for the jobs to come.
    pub(crate) fn set_prefix(&mut self, prefix: Vec<u8>) {
        self.prefix = prefix;
    }

    /// A job was announced: the one to work on, if it is for the present block.
    pub(crate) fn announce(
        &mut self,
        job: &NewJob,
        limits: &Limits,
    ) -> Result<Option<Arc<Job>>, Unusable> {
        self.check(job, limits)?;
        match (job.min_time, self.tip) {
            (Some(time), Some(tip)) => {
                // The pool recycled the number: it would judge the old job's shares by the new one.
                self.live.retain(|live| live.id != job.job.to_string());
                Ok(Some(self.work_on(job.job, &job.body, tip, time, false)))
            }
            (time, _) => {
                self.future.retain(|(id, _)| *id != job.job);
                if self.future.len() == self.future_limit {
                    self.future.pop_front();
                }
                self.future.push_back((job.job, Arc::clone(&job.body)));
                // The pool forgot that the first job of a channel is a future one; the
                // SetNewPrevHash that follows makes it good.
                match time {
                    Some(_) => Err(Unusable::NoBlock(job.job)),
                    None => Ok(None),
                }
            }
        }
    }

    /// A new block: all jobs are void but the one named.
    pub(crate) fn new_block(&mut self, new: &NewPrevHash) -> Result<Arc<Job>, Unusable> {
        let network_target =
            new.bits.to_target().map_err(|_| Unusable::Bits(new.bits.to_consensus()))?;
        let tip = Tip { prev_hash: new.prev_hash, bits: new.bits, network_target };
        self.tip = Some(tip);
        self.live.clear();
        let future = std::mem::take(&mut self.future);
        let body = future.into_iter().find(|(id, _)| *id == new.job).map(|(_, body)| body);
        let body = body.ok_or(Unusable::NoSuchJob(new.job))?;
        Ok(self.work_on(new.job, &body, tip, new.min_time, true))
    }

    /// Whether the pool still takes shares of this job. A number that was used again is another
    /// job's.
    pub(crate) fn is_live(&self, job: &Job) -> bool {
        self.live.iter().rev().any(|live| live.id == job.id && live.same_work(job))
    }

    /// Whether the headers of this job are among those of a job whose shares count: a share of one
    /// may then be found again.
    pub(crate) fn has_headers_of(&self, job: &Job) -> bool {
        self.live.iter().rev().any(|live| live.same_work_but_versions(job))
    }

    /// Whether this channel issued the job, live or not: then it can be named in a submission.
    pub(crate) fn issued(&self, job: &Job) -> bool {
        self.session == job.session
    }

    /// Whether it is the newest one.
    pub(crate) fn is_newest(&self, job: &Job) -> bool {
        self.live.back().is_some_and(|live| live.session == job.session && live.id == job.id)
    }

    /// An extended job of the group is one for its standard channels, too: their whole extranonce
    /// is the pool's part (specification, 5.2.3).
    fn check(&self, job: &NewJob, limits: &Limits) -> Result<(), Unusable> {
        let Body::Extended { branch, coinbase_prefix, coinbase_suffix, .. } = &*job.body else {
            return if self.is_standard() { Ok(()) } else { Err(Unusable::Kind) };
        };
        if self.is_standard() && job.channel == self.id {
            return Err(Unusable::Kind);
        }
        let (got, limit) = (branch.len(), limits.common.branches);
        if got > limit {
            return Err(Unusable::Branch { got, limit });
        }
        if coinbase_prefix.is_empty() && coinbase_suffix.is_empty() {
            return Err(Unusable::NoCoinbase);
        }
        let got = coinbase_prefix.len() + self.prefix.len() + self.size + coinbase_suffix.len();
        let limit = limits.common.coinbase;
        if got > limit {
            return Err(Unusable::Coinbase { got, limit });
        }
        Ok(())
    }

    fn work_on(&mut self, id: u32, body: &Body, tip: Tip, time: u32, clean: bool) -> Arc<Job> {
        let Tip { prev_hash, bits, network_target } = tip;
        let empty = Job {
            id: id.to_string(),
            session: self.session,
            channel: Some(self.id),
            version: 0,
            version_mask: self.version_mask,
            prev_hash,
            coinbase_prefix: Vec::new(),
            extranonce1: Vec::new(),
            extranonce2_size: 0,
            coinbase_suffix: Vec::new(),
            branch: Vec::new(),
            bits,
            time,
            share_target: self.target,
            network_target,
            clean,
        };
        let job = Arc::new(match body {
            &Body::Standard { version, merkle_root } => {
                Job { version, branch: vec![merkle_root], ..empty }
            }
            Body::Extended { version, may_roll, branch, coinbase_prefix, coinbase_suffix } => Job {
                version: *version,
                version_mask: if *may_roll { self.version_mask } else { 0 },
                coinbase_prefix: coinbase_prefix.clone(),
                extranonce1: self.prefix.clone(),
                extranonce2_size: self.size,
                coinbase_suffix: coinbase_suffix.clone(),
                branch: branch.clone(),
                ..empty
            },
        });
        if self.live.len() == self.live_limit {
            self.live.pop_front();
        }
        self.live.push_back(Arc::clone(&job));
        job
    }
}
