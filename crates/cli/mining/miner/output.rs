//! The values that go into a [`Miner`](super::Miner) and come out of it.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Share, Target};
use midstate_engine::{Progress, WorkerCount};
use midstate_net::Account;

use crate::mining::event::{Event, RejectCount};
use crate::mining::notice::Notice;
use crate::mining::{BlockJudge, Goals, Rig};

/// Something to do, or to tell.
#[derive(Debug)]
pub(in crate::mining) enum Output {
    Do(Action),
    Tell(News),
}

/// Something to do.
#[derive(Debug)]
pub(in crate::mining) enum Action {
    /// Hash this job alone, or none.
    Hash(Option<Arc<Job>>),
    /// Hash this job beside those of other channels.
    HashBeside(Arc<Job>),
    /// Hash the job of this channel no more.
    Leave(u32),
    /// Hash with so many threads. Answered by [`handle_threads`](super::Miner::handle_threads).
    Threads(usize),
    /// The present work first came so many seconds ago.
    Elapsed(u32),
    /// Hash no more than this since the start.
    Allow(u64),
    /// Give a share to the link.
    Send(Share),
    /// Read the configuration. Answered by [`handle_list`](super::Miner::handle_list).
    ReadPools,
    /// Give the link its new pools.
    SetPools(Vec<Account>),
    /// So many more times Ctrl-C end the program at once.
    HeedInterrupts(usize),
    /// Stop all threads. When their last shares are handed in,
    /// [`handle_stopped`](super::Miner::handle_stopped) follows.
    StopHashing,
    /// Have the link end. [`handle_link_end`](super::Miner::handle_link_end) follows.
    StopLink,
}

/// Something to tell.
#[derive(Debug)]
pub(in crate::mining) enum News {
    Event(Box<Event>),
    Notice(Notice),
    /// The answer to a request for the status: the reasons for refusals so far.
    Report(Vec<RejectCount>),
    /// A quarter of a second has passed, or a viewer's wish was granted.
    Tick,
    /// Hashing ends.
    Ending,
}

/// The threads' work, as the engine counts it.
#[derive(Debug, Clone)]
pub(in crate::mining) struct Counts {
    pub(in crate::mining) hashes: u64,
    /// Time that was spent hashing.
    pub(in crate::mining) hashing: Duration,
    pub(in crate::mining) progress: Progress,
    pub(in crate::mining) threads: Vec<WorkerCount>,
}

/// The task of a miner.
pub(in crate::mining) struct Plan {
    pub(in crate::mining) rig: Rig,
    pub(in crate::mining) goals: Goals,
    /// Whether the link ends by itself when no server works.
    pub(in crate::mining) gives_up: bool,
    /// Least time between two blocks at a node.
    pub(in crate::mining) block_interval: Duration,
    /// The judge of whether a share is a block.
    pub(in crate::mining) block_judge: BlockJudge,
    /// Shares that are sent in a second.
    pub(in crate::mining) share_rate: u32,
    /// Easier hits are not looked for.
    pub(in crate::mining) easiest: Target,
}
