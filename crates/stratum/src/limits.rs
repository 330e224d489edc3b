//! Every limit of the protocol code in one place, with its default and its consequence.
//!
//! The numbers S1..S12 are those of the project's requirements; `--print-limits` prints
//! [`Limits::rows`].

use std::time::Duration;

use midstate_limits::{LimitRow, LimitValue, row};

/// The limits on a peer. All are inclusive: the limit itself is still allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Bytes in a line from a pool (S1). Real lines reach 102,000; Stratum v2 proxies 262,000.
    pub line: usize,
    /// Bytes in a line from a miner, when we are the server. Real ones stay below 1,024.
    pub request_line: usize,
    /// Age of an unfinished line (S1).
    pub line_age: Duration,
    /// Nesting of arrays and objects in a line (S2).
    pub depth: usize,
    /// Malformed lines within [`malformed_window`](Self::malformed_window) that end a connection
    /// (S2).
    pub malformed_lines: usize,
    /// See [`malformed_lines`](Self::malformed_lines).
    pub malformed_window: Duration,
    /// Bytes of the pool's part of the extranonce (S3).
    pub extranonce1: usize,
    /// Bytes of our part of the extranonce (S3).
    pub extranonce2: usize,
    /// Bytes of a job id as JSON writes it (S4).
    pub job_id: usize,
    /// Hashes in a merkle branch (S4); 12 suffice for a block full of the smallest transactions.
    pub branches: usize,
    /// Bytes of an assembled coinbase (S3).
    pub coinbase: usize,
    /// Jobs whose shares are still taken (S6).
    pub jobs: usize,
    /// Shares without an answer, sent or not (S6).
    pub outbox: usize,
    /// Shares a second (S6).
    pub share_rate: u32,
    /// From the moment that a share was sent, on whatever connection, without an answer.
    pub answer: Duration,
    /// Shares refused in a row, none accepted between them, that end a connection.
    pub refused: u32,
    /// The time that those refusals must span at least.
    pub refused_over: Duration,
    /// A share is stale by bad luck if it was found for a job that was replaced this long ago at
    /// most, and counts as no refusal.
    pub just_replaced: Duration,
    /// The same, from the last accepted share: a pool that replaces its job all the time is no use
    /// either.
    pub stale_over: Duration,
    /// Shares without an answer that end a connection.
    pub unanswered: usize,
    /// The age that the oldest of those shares must have at least.
    pub unanswered_over: Duration,
    /// Answers to the peer's questions that wait to be written.
    pub replies: usize,
    /// Lines that wait for a miner to read them, when we are the server. Of jobs, only the newest
    /// waits.
    pub server_outbox: usize,
    /// Workers on one connection, when we are the server; a proxy may bring several.
    pub workers: usize,
    /// Redirects within [`redirect_window`](Self::redirect_window) (S7).
    pub redirects: usize,
    /// See [`redirects`](Self::redirects).
    pub redirect_window: Duration,
    /// Longest wait before a redirect (S7).
    pub redirect_wait: Duration,
    /// From the connection to the answers to subscribe and authorize (S9).
    pub handshake: Duration,
    /// Without a byte from the pool (S9).
    pub silence: Duration,
    /// Without a job, though data flows (S9).
    pub job_gap: Duration,
    /// Answers "unauthorized" to shares in a row (S9).
    pub unauthorized: u32,
    /// Characters of the pool's text that are shown (S11).
    pub text: usize,
    /// Between two texts of the pool that are shown (S11).
    pub text_interval: Duration,
    /// Bytes of a user name (S12); some gateways overflow above.
    pub user: usize,
    /// Bytes of a password (S12).
    pub password: usize,
    /// Bytes of a line that is sent (S12); ckpool drops longer ones.
    pub outbound_line: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            line: 512 * 1024,
            request_line: 8 * 1024,
            line_age: seconds(30),
            depth: 16,
            malformed_lines: 8,
            malformed_window: seconds(60),
            extranonce1: 32,
            extranonce2: 32,
            job_id: 256,
            branches: 32,
            coinbase: 128 * 1024,
            jobs: 64,
            outbox: 4096,
            share_rate: 200,
            answer: seconds(120),
            refused: 20,
            refused_over: seconds(30),
            just_replaced: seconds(5),
            stale_over: seconds(300),
            unanswered: 5,
            unanswered_over: seconds(60),
            replies: 64,
            server_outbox: 4096,
            workers: 64,
            redirects: 3,
            redirect_window: seconds(600),
            redirect_wait: seconds(60),
            handshake: seconds(15),
            silence: seconds(180),
            job_gap: seconds(300),
            unauthorized: 3,
            text: 256,
            text_interval: seconds(10),
            user: 191,
            password: 255,
            outbound_line: 1024,
        }
    }
}

impl Limits {
    /// Each limit as a row.
    pub fn rows(&self) -> Vec<LimitRow> {
        // Taken apart by name, so that a limit without a row does not compile.
        let Self {
            line,
            request_line,
            line_age,
            depth,
            malformed_lines,
            malformed_window,
            extranonce1,
            extranonce2,
            job_id,
            branches,
            coinbase,
            jobs,
            outbox,
            share_rate,
            answer,
            refused,
            refused_over,
            just_replaced,
            stale_over,
            unanswered,
            unanswered_over,
            replies,
            server_outbox,
            workers,
            redirects,
            redirect_window,
            redirect_wait,
            handshake,
            silence,
            job_gap,
            unauthorized,
            text,
            text_interval,
            user,
            password,
            outbound_line,
        } = self;
        let bytes = |n: &usize| format!("{n} bytes");
        let per = |n: &usize, t: &Duration| format!("{n} in {}", t.in_words());
        vec![
            row("line from a pool", bytes(line), "disconnect and back off; never cut"),
            row("line from a miner", bytes(request_line), "disconnect"),
            row("age of an unfinished line", line_age, "disconnect and back off"),
            row("nesting in a line", format!("{depth} levels"), "the line counts as malformed"),
            row(
                "malformed lines",
                per(malformed_lines, malformed_window),
                "the last of them disconnects",
            ),
            row("extranonce1", bytes(extranonce1), "the session is refused"),
            row("extranonce2", bytes(extranonce2), "the session is refused"),
            row(
                "job id, as JSON writes it",
                bytes(job_id),
                "the job is refused, the old one goes on",
            ),
            row(
                "merkle branch",
                format!("{branches} hashes"),
                "the job is refused, the old one goes on",
            ),
            row("coinbase", bytes(coinbase), "the job is refused, the old one goes on"),
            row("remembered jobs", jobs, "the oldest is forgotten, its shares are stale"),
            row(
                "shares without an answer",
                outbox,
                "new shares count as throttled; a block settles the oldest share as unresolved",
            ),
            row(
                "shares a second",
                share_rate,
                "counted as throttled; blocks never are, except on regtest",
            ),
            row(
                "wait for the answer to a share",
                answer,
                "the share is unresolved; a later answer is ignored",
            ),
            row(
                "refused shares in a row",
                format!("{refused} over {}", refused_over.in_words()),
                "warn, disconnect, and try the next pool",
            ),
            row("a job was replaced before", just_replaced, "a stale share of it is no refusal"),
            row("stale shares alone, none accepted", stale_over, "they count as refusals, too"),
            row(
                "unanswered shares",
                format!("{unanswered}, the oldest {} old", unanswered_over.in_words()),
                "disconnect and try the next pool",
            ),
            row("replies not yet written", replies, "further questions go unanswered"),
            row("lines a miner has not read", server_outbox, "disconnect"),
            row("workers on one connection", workers, "a further one is not let in"),
            row("redirects", per(redirects, redirect_window), "ignored with a warning"),
            row("wait before a redirect", redirect_wait, "cut to the limit"),
            row("subscribe and authorize", handshake, "disconnect and back off"),
            row("silence of a pool", silence, "disconnect and back off"),
            row("data without a job", job_gap, "disconnect and back off"),
            row("\"unauthorized\" answers in a row", unauthorized, "the last of them disconnects"),
            row("text of a pool", format!("{text} characters"), "cut, with a mark where"),
            row(
                "time between two texts of a pool",
                text_interval,
                "held back; the next one says how many were",
            ),
            row("user name", bytes(user), "refused before the first connection"),
            row("password", bytes(password), "refused before the first connection"),
            row("line we send", bytes(outbound_line), "cannot happen: the limits above see to it"),
        ]
    }
}
