//! How a pool behaves, and the bounds of its memory.

use midstate_limits::{LimitRow, row};
use midstate_stratum::Limits;

use crate::vardiff::VardiffConfig;

/// How the pool behaves.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Difficulty of a share, the same for every session, unless it follows each session's rate.
    pub share_difficulty: f64,
    /// How it follows the rate of each session; then [`share_difficulty`](Self::share_difficulty)
    /// counts for nothing, and no share is harder than a block.
    pub vardiff: Option<VardiffConfig>,
    /// Difficulty of a block where blocks are a [toy](midstate_chain::Job::has_toy_blocks), as on
    /// regtest: there it sets the pace of the chain. On every other chain a block is a hash that
    /// meets the network's target, whatever stands here. Only an accepted share is a block.
    pub block_difficulty: f64,
    /// The extranonce1 of the first session; the next sessions count up from here. Draw it at
    /// random: two pools that start with the same value can produce the same block.
    pub first_extranonce1: u32,
    /// A worker that authorizes with this password belongs to the program that runs the pool. A
    /// name proves nothing, since any guest can choose it.
    pub host_password: Option<String>,
    /// The limits of a line and of a session.
    pub limits: Limits,
    /// The limits of a connection of Stratum V2.
    pub v2_limits: midstate_sv2::ServerLimits,
    /// The limits of the pool's memory.
    pub bounds: PoolBounds,
}

impl PoolConfig {
    /// A pool whose shares are all blocks where the network's difficulty is lower, as on regtest.
    pub fn new(difficulty: f64, first_extranonce1: u32) -> Self {
        Self {
            share_difficulty: difficulty,
            vardiff: None,
            block_difficulty: difficulty,
            first_extranonce1,
            host_password: None,
            limits: Limits::default(),
            v2_limits: midstate_sv2::ServerLimits::default(),
            bounds: PoolBounds::default(),
        }
    }
}

/// Bounds of every collection that miners can fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolBounds {
    /// Open jobs on one tip: at one each 30 s, five minutes of them.
    pub jobs: usize,
    /// Accepted shares that one session may have on one tip: the pool remembers each, so that none
    /// counts twice.
    pub shares_on_a_tip: usize,
    /// Channels of Stratum V2, of all connections together.
    pub channels: usize,
    /// Names in the standings. One more takes the place of the name that has done least, whose
    /// counts move to [`Pool::others`](crate::Pool::others).
    pub names: usize,
    /// Blocks of a [`PacedPool`](crate::PacedPool) whose verdict may still come, or be replaced.
    pub judged_blocks: usize,
}

impl Default for PoolBounds {
    fn default() -> Self {
        Self { jobs: 10, shares_on_a_tip: 8192, channels: 10_000, names: 1024, judged_blocks: 64 }
    }
}

impl PoolBounds {
    /// Each bound as a row.
    pub fn rows(&self) -> Vec<LimitRow> {
        // Taken apart by name, so that a bound without a row does not compile.
        let Self { jobs, shares_on_a_tip, channels, names, judged_blocks } = self;
        vec![
            row("open jobs", jobs, "the oldest is void, its shares are stale"),
            row("shares of a session on one tip", shares_on_a_tip, "refused with code 20"),
            row("channels of all connections", channels, "a further one is not opened"),
            row("names in the standings", names, "the least active joins the further workers"),
            row("blocks of a class at a node", judged_blocks, "the oldest keeps its last verdict"),
        ]
    }
}
