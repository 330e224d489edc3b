//! Shares that we end, and not the pool.

use std::time::Duration;

use midstate_chain::{Share, Verdict};

use crate::ShareOutcome;

/// Why we, and not the pool, ended a share; in words for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each has a sentence")]
pub enum Withheld {
    #[error("not sent: its header does not hash to its hash; a kernel or the CPU is at fault")]
    WrongHash,
    #[error("not sent: its extranonce2 or version is not one of its job's")]
    Foreign,
    #[error("not sent: its hash is above its job's target")]
    TooEasy,
    #[error("not sent: it was found and sent before")]
    Duplicate,
    #[error("not sent: the pool judges by the new, higher difficulty")]
    Outgrown,
    #[error("not sent: its job is void")]
    Void,
    #[error("not sent: the pool no longer allows the version bits it rolled")]
    Unrollable,
    #[error("not sent: above the limit of shares a second")]
    Rate,
    #[error("not sent: too many shares wait for an answer")]
    Backlog,
    #[error("settled to make room for a block")]
    Displaced,
    #[error("sent before the connection broke; the session did not come back")]
    SessionLost,
    #[error(
        "sent before the connection broke; the pool no longer allows the version bits it rolled"
    )]
    BitsLost,
    #[error("sent before the pool closed its channel")]
    ChannelClosed,
    #[error("sent, and the pool did not answer")]
    NoAnswer,
    #[error("no answer before the end")]
    Finished,
}

impl Withheld {
    /// How such a share ends.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::WrongHash | Self::Foreign | Self::TooEasy | Self::Duplicate => Verdict::Rejected,
            Self::Outgrown | Self::Void | Self::Unrollable => Verdict::Stale,
            Self::Rate | Self::Backlog => Verdict::Throttled,
            Self::Displaced
            | Self::SessionLost
            | Self::BitsLost
            | Self::ChannelClosed
            | Self::NoAnswer
            | Self::Finished => Verdict::Unresolved,
        }
    }

    /// The end of `share`, which was sent so long ago; zero if it was not.
    pub fn end(self, share: Share, latency: Duration) -> ShareOutcome {
        let outcome = ShareOutcome::new(share, self.verdict(), Some(self.to_string()));
        ShareOutcome { latency, ..outcome }
    }
}

/// Whether the share is one of its job's, and hashes to its hash.
///
/// # Errors
/// [`Withheld::Foreign`] and [`Withheld::WrongHash`].
pub fn check(share: &Share) -> Result<(), Withheld> {
    let job = &share.job;
    let rolled = share.version ^ job.version;
    if share.extranonce2.len() != job.extranonce2_size || rolled & !job.rollable_bits() != 0 {
        return Err(Withheld::Foreign);
    }
    if share.header().hash() != share.hash {
        return Err(Withheld::WrongHash);
    }
    Ok(())
}
