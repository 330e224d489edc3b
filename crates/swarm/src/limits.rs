//! Every limit of the swarm in one place. A test tool is no weapon: they hold whatever the flags
//! say, and `--print-limits` prints them.

use std::time::Duration;

use midstate_limits::{LimitRow, row};

use crate::{expect, fault, findings, script};

/// The limits of a swarm. Two sets: for pools on this machine or in a private network, and for
/// pools at public addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Miners, those that join later included.
    pub workers: u32,
    /// Connections opened in a second, all miners together.
    pub connections: u32,
    /// Shares sent in a second, all miners together.
    pub shares: u32,
    /// Jobs that a miner remembers. A share is of the newest one or of the one before.
    pub jobs: usize,
    /// How long a run may last.
    pub time: Duration,
    /// How long the script waits at its beginning for miners that have no job yet.
    pub gather: Duration,
}

impl Limits {
    /// At a pool that is on this machine or in a private network.
    pub const PRIVATE: Self = Self {
        workers: 10_000,
        connections: 500,
        shares: 5000,
        jobs: 8,
        time: Duration::from_secs(24 * 60 * 60),
        gather: Duration::from_secs(60),
    };

    /// At a pool that everybody can reach.
    pub const PUBLIC: Self = Self {
        workers: 50,
        connections: 5,
        shares: 50,
        jobs: 8,
        time: Duration::from_secs(60 * 60),
        gather: Duration::from_secs(60),
    };

    /// Each limit as a row.
    pub fn rows() -> Vec<LimitRow> {
        // Taken apart by name, so that a limit without a row does not compile.
        let Self { workers, connections, shares, jobs, time, gather } = Self::PRIVATE;
        let public = Self::PUBLIC;
        let mut rows = vec![
            row("miners of a swarm", workers, "refused"),
            row("connections a second", connections, "further miners wait"),
            row("shares a second, all miners together", shares, "throttled"),
            row("jobs that a miner remembers", jobs, "shares of older ones are stale"),
            row("length of a run", time, "refused"),
            row("miners of a swarm, public pool", public.workers, "refused"),
            row("connections a second, public pool", public.connections, "further miners wait"),
            row("shares a second, public pool", public.shares, "throttled"),
            row("length of a run, public pool", public.time, "refused"),
            row("wait for the first jobs", gather, "the script begins without the rest"),
        ];
        rows.extend(script::rows());
        rows.extend(fault::rows());
        rows.extend(expect::rows());
        rows.extend(findings::rows());
        rows
    }
}
