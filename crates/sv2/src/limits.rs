//! Every limit of V2 in one place, beside those that it shares with V1: those of the client on a
//! pool, and those of the server on a miner.

use std::time::Duration;

use midstate_limits::{LimitRow, LimitValue, row};

/// The limits on a V2 pool. All are inclusive.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Bytes of a frame's payload. The largest message of a pool is an extended job.
    pub frame: usize,
    /// Jobs for blocks to come that a channel remembers.
    pub future_jobs: usize,
    /// Malformed messages on one connection that end it.
    pub malformed: usize,
    /// Without a byte from the pool. Longer than with V1: a V2 pool need not send its job again.
    pub silence: Duration,
    /// The same while as many shares wait for their answers as with V1. A time and no number of
    /// shares: a V2 pool may answer many at once.
    pub mute: Duration,
    /// Without an answer to any share, while other messages come, and as many shares wait.
    pub answer: Duration,
    /// Between two times that we tell the pool another nominal hash rate.
    pub update: Duration,
    /// Shares without an answer that end a connection, if the oldest is as old as with V1. More
    /// than with V1: a V2 pool may answer many at once.
    pub unanswered: usize,
    /// The same at a pool that has answered: so many times its largest batch, if the oldest is so
    /// many times as old as any share that it accepted.
    pub batches: u32,
    /// At least so many of them.
    pub batched: usize,
    /// How long a share without an answer holds up the next one, where they go one at a time.
    pub single: Duration,
    /// Channels that are asked for at a time.
    pub opening: usize,
    /// Before a channel that the pool closed or refused is asked for again, the first time.
    pub reopen_first: Duration,
    /// The longest of these pauses.
    pub reopen_cap: Duration,
    /// The limits that both protocols share.
    pub common: midstate_stratum::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame: 256 * 1024,
            future_jobs: 16,
            malformed: 8,
            silence: Duration::from_secs(2 * 60 * 60),
            mute: Duration::from_secs(150),
            answer: Duration::from_secs(20 * 60),
            update: Duration::from_secs(30),
            unanswered: 256,
            batches: 4,
            batched: 16,
            single: Duration::from_secs(10),
            opening: 64,
            reopen_first: Duration::from_secs(1),
            reopen_cap: Duration::from_secs(60),
            common: midstate_stratum::Limits::default(),
        }
    }
}

impl Limits {
    /// Each limit as a row, without those that `stratum` lists.
    pub fn rows(&self) -> Vec<LimitRow> {
        // Taken apart by name, so that a limit without a row does not compile.
        let Self {
            frame,
            future_jobs,
            malformed,
            silence,
            mute,
            answer,
            update,
            unanswered,
            batches,
            batched,
            single,
            opening,
            reopen_first,
            reopen_cap,
            common,
        } = self;
        let while_they_wait =
            |limit: &Duration| format!("{}, with {} shares", limit.in_words(), common.unanswered);
        vec![
            row(
                "frame from a pool",
                format!("{frame} bytes"),
                "disconnect and back off; never cut",
            ),
            row("jobs for blocks to come", future_jobs, "the oldest is forgotten"),
            row("malformed messages on a connection", malformed, "the last of them disconnects"),
            row("silence of a V2 pool", silence, "disconnect and back off"),
            row(
                "the same while shares wait for it",
                while_they_wait(mute),
                "disconnect and try the next pool",
            ),
            row(
                "no answer to a share, but other messages",
                while_they_wait(answer),
                "disconnect and try the next pool",
            ),
            row("time between two nominal hash rates", update, "the next one waits"),
            row(
                "unanswered shares on a V2 channel",
                format!("{unanswered}, the oldest as old as with V1"),
                "disconnect and try the next pool",
            ),
            row(
                "the same, once the pool has answered",
                format!("{batches} times its largest batch and longest wait, {batched} at least"),
                "disconnect and try the next pool",
            ),
            row("wait for the answer, with --single-submit", single, "the next share is sent"),
            row("channels that are asked for at a time", opening, "the next ones wait"),
            row(
                "first wait after a channel is closed",
                reopen_first,
                "doubled with each further one",
            ),
            row("any wait after a channel is closed", reopen_cap, "not doubled further"),
        ]
    }
}

/// The limits on a V2 miner, when we are the server. All are inclusive.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerLimits {
    /// Bytes of a frame's payload. The largest message of a miner, SetupConnection, has 1,292.
    pub frame: usize,
    /// Malformed messages on one connection that end it.
    pub malformed: usize,
    /// Channels open at a time on one connection.
    pub channels: usize,
    /// Answers that wait for a miner to read them. Of jobs, only the newest waits.
    pub outbox: usize,
    /// Bytes of a user name.
    pub user: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        let v1 = midstate_stratum::Limits::default();
        Self {
            frame: v1.request_line,
            malformed: v1.malformed_lines,
            channels: 2048,
            outbox: v1.server_outbox,
            user: v1.user,
        }
    }
}

impl ServerLimits {
    /// Each limit as a row.
    pub fn rows(&self) -> Vec<LimitRow> {
        // Taken apart by name, so that a limit without a row does not compile.
        let Self { frame, malformed, channels, outbox, user } = self;
        vec![
            row("frame from a miner", format!("{frame} bytes"), "disconnect"),
            row("malformed messages of a miner", malformed, "the last of them disconnects"),
            row("channels on one connection", channels, "a further one is not opened"),
            row("answers a miner has not read", outbox, "disconnect"),
            row("user name of a channel", format!("{user} bytes"), "the channel is not opened"),
        ]
    }
}
