//! Every limit of a link and of the embedded pool's server in one place, as
//! [`midstate_stratum::Limits`] is for the protocol.

use std::time::Duration;

use midstate_limits::{LimitRow, row};

use crate::{cookie, spool};

/// How long verdicts are awaited when stopping (I20), at pools and at nodes. A share that has none
/// by then is unresolved; a block stays in the spool.
pub(crate) const FLUSH: Duration = Duration::from_secs(3);

/// How patient a link is with its pools (S9, I20).
#[derive(Debug, Clone, PartialEq)]
pub struct LinkLimits {
    /// From the first look-up to an open TCP connection, a proxy included.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// One address of several that does not answer delays the next by this much (RFC 8305).
    pub next_address: Duration,
    /// A pool that takes nothing of what is sent.
    pub write: Duration,
    /// Bound of the first wait after a failure; it doubles with each further one.
    pub backoff_first: Duration,
    /// Bound of every wait after a failure.
    pub backoff_cap: Duration,
    /// When work goes to another pool of the list, and back.
    pub failover: midstate_failover::Limits,
    /// How long a pool that is left is still there for shares of threads that do not know it yet.
    pub linger: Duration,
    /// How long answers to shares are awaited when a pool is left or the program stops.
    pub flush: Duration,
    /// TCP keepalive: before the first probe.
    pub keepalive_idle: Duration,
    /// TCP keepalive: between two probes.
    pub keepalive_interval: Duration,
    /// TCP keepalive: probes without an answer that end the connection.
    pub keepalive_probes: u32,
}

impl Default for LinkLimits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(10),
            tls: seconds(10),
            next_address: Duration::from_millis(250),
            write: seconds(10),
            backoff_first: seconds(1),
            backoff_cap: seconds(60),
            failover: midstate_failover::Limits::default(),
            linger: seconds(1),
            flush: FLUSH,
            keepalive_idle: seconds(30),
            keepalive_interval: seconds(10),
            keepalive_probes: 3,
        }
    }
}

impl LinkLimits {
    /// Each limit as a row.
    pub fn rows(&self) -> Vec<LimitRow> {
        // Taken apart by name, so that a limit without a row does not compile.
        let Self {
            connect,
            tls,
            next_address,
            write,
            backoff_first,
            backoff_cap,
            failover,
            linger,
            flush,
            keepalive_idle,
            keepalive_interval,
            keepalive_probes,
        } = self;
        let mut rows = vec![
            row("connecting, name and proxy included", connect, "back off"),
            row("TLS handshake", tls, "back off; never without TLS"),
            row("silence of one address of several", next_address, "the next is tried as well"),
            row("a pool that does not read", write, "disconnect and back off"),
            row("first wait after a failure", backoff_first, "drawn from 0 to it, then doubled"),
            row("any wait after a failure", backoff_cap, "not doubled further"),
            row("wait for shares when leaving", linger, "a later share is unresolved or stale"),
            row("wait for answers when leaving", flush, "a share without one is unresolved"),
            row("quiet line", keepalive_idle, "TCP asks whether the pool is there"),
            row("between two such questions", keepalive_interval, "TCP asks again"),
            row("such questions", keepalive_probes, "disconnect and back off"),
        ];
        rows.extend(failover.rows());
        rows
    }
}

/// Each limit on nodes as a row.
pub fn node_rows() -> Vec<LimitRow> {
    let mut rows = midstate_gbt::limits::rows();
    rows.push(row("refused blocks kept on disk", spool::MAX_REFUSED, "the oldest is deleted"));
    let cookie = format!("{} bytes", cookie::MAX_COOKIE);
    rows.push(row("a node's cookie file", cookie, "refused"));
    rows
}

/// The limits on miners at the embedded pool, as its server holds them.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerLimits {
    /// Connections at a time. The caller lowers it where there are fewer descriptors.
    pub sessions: usize,
    /// From the connection to the answers to `mining.subscribe` and `mining.authorize`.
    pub let_in: Duration,
    /// Age of an unfinished line.
    pub line: Duration,
    /// Connections at a time that are told that every place is taken.
    pub turned_away: usize,
    /// How long such a connection may take to hear it.
    pub farewell: Duration,
    /// A miner that takes not a byte of its lines.
    pub write: Duration,
    /// Reads of all miners together that wait for the pool, each of at most 4 KiB. A miner has one
    /// at a time.
    pub inbox: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            sessions: 10_000,
            let_in: seconds(60),
            line: seconds(30),
            turned_away: 16,
            farewell: seconds(2),
            write: seconds(10),
            inbox: 16,
        }
    }
}

impl ServerLimits {
    /// Each limit as a row.
    pub fn rows(&self) -> Vec<LimitRow> {
        // Taken apart by name, so that a limit without a row does not compile.
        let Self { sessions, let_in, line, turned_away, farewell, write, inbox } = self;
        vec![
            row("miners at a time, descriptors allowing", sessions, "told so and hung up on"),
            row("miners told so at a time", turned_away, "a further one is hung up on at once"),
            row("time to hear it", farewell, "disconnect"),
            row("time until it may mine", let_in, "disconnect"),
            row("age of a miner's unfinished line", line, "disconnect"),
            row("a miner that does not read", write, "disconnect"),
            row("reads that wait for the pool", inbox, "further ones wait at the socket"),
        ]
    }
}
