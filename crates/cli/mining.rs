//! Mining, whoever the jobs come from: joins a link and the engine, keeps the books, tells whoever
//! watches, does what it is told, and knows when to stop. Used by `demo`, `mine` and `minerd`.
//!
//! [`miner`] decides, as a state machine; [`mod@run`] drives it. Both know each [`View`] as a
//! trait.

mod backlog;
mod books;
mod connections;
mod crew;
mod end;
pub(crate) mod event;
pub(crate) mod flood;
mod intake;
mod judged;
mod miner;
pub(crate) mod notice;
pub(crate) mod overdue;
mod ration;
mod reload;
mod remarks;
mod rig;
mod run;
mod stalls;
pub(crate) mod standings;
mod states;
pub(crate) mod status;
mod stopwatch;
mod toy_blocks;
mod view;
pub(crate) mod words;
mod works;

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Hash256, Verdict};
use serde::Serialize;

pub(crate) use self::end::{End, Missed, MissedGoal};
use self::event::{MinerEvent, RenamedEvent, RetargetEvent};
pub(crate) use self::reload::ListError;
pub(crate) use self::rig::Rig;
pub(crate) use self::run::{Setup, run};
pub(crate) use self::view::{Lines, View, Views};

/// How often counts are read, times are checked, and views are shown how things stand.
const TICK: Duration = Duration::from_millis(250);

/// When to stop by ourselves.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Goals {
    /// Accepted blocks.
    pub(crate) blocks: Option<u64>,
    /// Accepted shares.
    pub(crate) shares: Option<u64>,
    /// Running time.
    pub(crate) time: Option<Duration>,
}

/// Why mining stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reason {
    Blocks,
    Shares,
    TimeLimit,
    Interrupted,
    Error,
}

/// The judge of whether a share of ours is a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockJudge {
    /// By the target in its header.
    Header,
    /// So, and then by a node behind the pool, whose word comes by [`PoolNews::Judged`].
    Node,
    /// By a pool in this program, whose blocks are harder than their headers say. Its word comes by
    /// [`PoolNews::OwnBlock`].
    Pool,
}

/// A request from a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Stop, as after Ctrl-C.
    Quit,
    /// Rest, or go on where the search stands. While a sensor has hashing rest, this decides
    /// whether it goes on when the sensor allows it: a key lifts no limit of the machine's.
    TogglePause,
    /// Hash with a thread more, or with one fewer but never none.
    AddThread,
    RemoveThread,
}

/// News from a pool in this program.
#[derive(Debug, Clone)]
pub(crate) enum PoolNews {
    /// Another miner joined, left or found a block.
    Miner(MinerEvent),
    /// The node behind the pool has judged a block, ours or another miner's.
    Judged { node: Arc<str>, hash: Hash256, height: u32, verdict: Verdict, reason: Option<String> },
    /// A miner was turned away: all so many places are taken.
    Full { places: usize },
    /// A block of ours has a verdict of the node behind the pool, or another one than before.
    OwnBlock {
        node: Arc<str>,
        hash: Hash256,
        height: u32,
        verdict: Verdict,
        reason: Option<String>,
    },
    /// The difficulty of blocks has followed the rate of all miners.
    Retarget(RetargetEvent),
    /// The teacher of a class has another name shown for a miner.
    Renamed(RenamedEvent),
    /// An answer to a line that was typed.
    Said(String),
    /// All miners together have found the blocks that were asked for: mining ends.
    Enough,
    /// The pool has lost its work for good: mining ends.
    Failed,
}
