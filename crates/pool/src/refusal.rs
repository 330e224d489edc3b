//! Why a share is refused, and how each protocol words it.

use std::ops::RangeInclusive;

use midstate_stratum::Reject;

/// Why a share is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its session is not there.
    NoSession,
    /// Its job is void.
    Stale,
    /// The same, since a block was found on its tip; the next job has yet to come.
    Solved,
    /// The session was never given such a job.
    UnknownJob,
    Duplicate,
    LowDifficulty,
    ExtranonceSize {
        came: usize,
        expected: usize,
    },
    Time {
        came: u32,
        allowed: RangeInclusive<u32>,
    },
    VersionBits {
        /// Those that are not the miner's.
        bits: u32,
        mask: u32,
    },
    /// The session has so many shares on one tip.
    Crowded(usize),
}

impl Refusal {
    /// As Stratum V1 has it. The words are for people, too.
    pub(crate) fn reject(&self) -> Reject {
        match self {
            Self::NoSession => Reject::not_subscribed(),
            Self::Stale => Reject::stale(),
            Self::Solved => Reject::solved(),
            Self::UnknownJob => Reject { text: "no such job".into(), ..Reject::stale() },
            Self::Duplicate => Reject::duplicate(),
            Self::LowDifficulty => Reject::low_difficulty(),
            Self::ExtranonceSize { came, expected } => {
                Reject::other(format!("extranonce2 has {came} bytes, expected {expected}"))
            }
            Self::Time { came, allowed } => {
                let (low, high) = (allowed.start(), allowed.end());
                let words = format!("ntime {came:08x} is not from {low:08x} to {high:08x}");
                Reject::other(words)
            }
            Self::VersionBits { bits, mask } => {
                Reject::other(format!("version bits {bits:08x} outside the mask {mask:08x}"))
            }
            Self::Crowded(most) => Reject::other(format!(
                "this session has {most} shares on one tip, and the pool remembers no more: ask \
                 for a higher difficulty"
            )),
        }
    }

    /// As Stratum V2 has it: the codes of its reference implementation.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NoSession => "invalid-channel-id",
            Self::Stale | Self::Solved => "stale-share",
            Self::UnknownJob => "invalid-job-id",
            Self::Duplicate => "duplicate-share",
            Self::LowDifficulty => "difficulty-too-low",
            Self::ExtranonceSize { .. } => "bad-extranonce-size",
            Self::VersionBits { .. } => "invalid-non-rollable-version-bit",
            Self::Time { .. } | Self::Crowded(_) => "invalid-share",
        }
    }
}
