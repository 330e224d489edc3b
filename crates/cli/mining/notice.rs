//! News of mining that is no event: facts for people, who read them as the sentences of
//! [`words`](super::words). Programs get events.

use std::sync::Arc;

use super::reload::ListError;

/// See the [module](self) page.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Notice {
    /// The cause of a refusal by this server, as we guess it, and what to do. Its words may have to
    /// wait until we work for another server.
    Advice { server: Arc<str>, advice: &'static str },
    /// No server was reached so far, and nothing says when to give up. Told once.
    NothingReached { server: Arc<str> },
    /// A block takes so long at this rate, in hashes per second, that it will not come. Told once.
    Odds { rate: f64, seconds: f64 },
    /// A viewer asked for a pause while a sensor has hashing rest, or took it back.
    PausedToo { paused: bool, why: String },
    /// A viewer asked for one thread more or fewer, and there are as many as may be.
    NoOtherCount { threads: usize },
    /// A sensor has hashing rest.
    Held { why: String },
    /// A sensor has hashing rest no longer; a viewer's pause may be in force.
    Released { now: String, paused: bool },
    /// A sensor is lost.
    SensorLost(&'static str),
    /// The pool in this program turned a miner away.
    PoolFull { places: usize },
    /// An answer to a line that was typed.
    Said(String),
    /// Threads cannot be started.
    NoThread { error: String },
    /// A hashing thread ended by a bug and was replaced; its last hashes are lost.
    ThreadReplaced { index: usize, lost: u64 },
    /// A hashing thread ended by a bug, and another one cannot be started.
    ThreadMissing { error: String },
    /// A hashing thread has had these hashes in hand for seconds.
    ThreadStands { index: usize, in_hand: u64, seconds: u64 },
    /// It goes on.
    ThreadGoesOn { index: usize },
    /// The answer to a request to read the configuration again.
    Reload(ReloadNotice),
}

/// See [`Notice::Reload`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReloadNotice {
    /// A reading is under way; another one follows it.
    Queued,
    /// There is no file.
    NoFile,
    /// The file cannot be read or is wrong; the pools are kept.
    Kept { error: ListError },
    /// So many pools.
    Read { pools: usize },
}
