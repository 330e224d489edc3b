//! Why a connection has to end. Told to the caller, who owns the transport and the back-off.

use std::time::Duration;

use crate::{ConfigError, PayoutError};

/// Why the caller must drop the transport. The text names the limit and what came.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The configuration cannot be sent; connecting again does not help.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// S1.
    #[error("a line of at least {got} bytes came, the limit is {limit}")]
    LineTooLong {
        /// Bytes seen so far.
        got: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// S1.
    #[error("a line was begun and not finished within {} s", .0.as_secs())]
    LineUnfinished(Duration),
    /// S2.
    #[error("{count} malformed lines came, the last one: {last}")]
    Malformed {
        /// How many.
        count: usize,
        /// The mistake in the last one.
        last: String,
    },
    /// The pool will not have us, in its own words.
    #[error("the pool refused the subscription: {0}")]
    SubscriptionRefused(String),
    /// The pool's answer to the subscription is not one for Bitcoin.
    #[error("the pool answered mining.subscribe with {0}")]
    Subscription(String),
    /// S3: the extranonce the pool handed out is unusable.
    #[error("the pool's extranonce is unusable: {0}")]
    Extranonce(String),
    /// The pool refused user or password, in its own words.
    #[error("the pool refused user or password: {0}")]
    AuthorizationRefused(String),
    /// S9.
    #[error("no answer to {call} within {} s", .limit.as_secs())]
    Handshake {
        /// The method that was not answered.
        call: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// S9.
    #[error("nothing came for {} s", .0.as_secs())]
    Silent(Duration),
    /// S9: data flows, but no work.
    #[error("no job came for {} s, though the connection is up; try another pool", .0.as_secs())]
    NoJob(Duration),
    /// S13: the job is for somebody else, and [`strict`](crate::ExpectedPayout::strict) was asked
    /// for.
    #[error("job {job}: {why}")]
    Payout {
        /// The id of the job.
        job: String,
        /// How it fails to pay.
        why: PayoutError,
    },
    /// S9: it forgot who we are.
    #[error("the pool answered \"unauthorized\" to {0} shares in a row")]
    Unauthorized(u32),
    /// The pool accepts none of our shares. Its next connection will hardly go better.
    #[error(
        "the pool refused {count} shares in a row over {} s and accepted none; its last words: \
         {words}; likely cause: {cause}", .over.as_secs()
    )]
    Refusing {
        /// How many shares.
        count: u32,
        /// From the first of these refusals to the last.
        over: Duration,
        /// The pool's last words.
        words: String,
        /// Our guess of the cause, with the cure.
        cause: &'static str,
    },
    /// The pool takes shares and does not answer them, while its connection stays open.
    #[error("the pool left {count} shares unanswered, the oldest for {} s", .age.as_secs())]
    Unanswered {
        /// How many shares.
        count: usize,
        /// The age of the oldest.
        age: Duration,
    },
    /// The peer does not read.
    #[error("{0} lines wait and the peer reads none of them")]
    NotRead(usize),
}
