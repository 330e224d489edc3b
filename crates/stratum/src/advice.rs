//! Why a pool refused a share, as far as it can be told, and what to do about it.
//!
//! By the code, and by whole reason words that a known pool uses; never by a substring, since pools
//! word the same thing in a hundred ways.

use crate::message::Refusal;

/// What a refusal says of its cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The job is gone.
    Stale,
    /// The pool has the share.
    Duplicate,
    /// The hash misses the target that the pool judges by.
    LowDifficulty,
    /// DATUM takes no hash with one of the first 32 bits set, whatever the difficulty.
    BelowDifficulty1,
    /// The version rolled bits that it may not roll.
    BadVersion,
    /// The worker is not known.
    Unauthorized,
    /// The session is not known.
    NotSubscribed,
    /// Neither a number nor a word. p2poolv2 refuses so, whatever the cause.
    Unsaid,
    /// Something else.
    Other,
}

impl Cause {
    /// Words before numbers, since DATUM has one number for several causes, and ckpool had none
    /// until 2026.
    pub(crate) fn of(refusal: &Refusal) -> Self {
        let words = refusal.reason.as_ref().map(|reason| reason.to_ascii_lowercase());
        match (words.as_deref(), refusal.code) {
            (None, None) => Self::Unsaid,
            (Some("h-not-zero"), _) => Self::BelowDifficulty1,
            (Some("bad-version"), _) => Self::BadVersion,
            (Some("unknown-work" | "stale" | "invalid jobid"), _) | (_, Some(21)) => Self::Stale,
            (Some("duplicate"), _) | (_, Some(22)) => Self::Duplicate,
            (Some("above target"), _) | (_, Some(23)) => Self::LowDifficulty,
            (Some("worker mismatch"), _) | (_, Some(24)) => Self::Unauthorized,
            (_, Some(25)) => Self::NotSubscribed,
            _ => Self::Other,
        }
    }
}

/// Advice for a refusal. `raised`: a difficulty that went up after the share's job came explains
/// it. `is_known`: the share was sent before on a connection that broke.
pub(crate) fn advice(cause: Cause, raised: bool, is_known: bool) -> Option<&'static str> {
    Some(match cause {
        Cause::BelowDifficulty1 => {
            "this gateway takes no hash below difficulty 1: ask for difficulty 1 or more"
        }
        Cause::BadVersion => {
            "the pool expects other version bits: try again without version rolling"
        }
        Cause::Stale => {
            "the job was replaced before the share arrived: a few are normal, many mean a slow line"
        }
        Cause::Duplicate if is_known => {
            "the pool had it from before the connection broke: counted as accepted"
        }
        Cause::Duplicate => "the pool has this share already: if it repeats, please report it",
        Cause::LowDifficulty | Cause::Unsaid if raised => {
            "the pool judges old jobs by its new difficulty: from now on, so do we"
        }
        Cause::LowDifficulty => {
            "pool and miner disagree about the difficulty: if it repeats, ask for a fixed one"
        }
        Cause::Unauthorized => "the pool does not know the worker: check the user name",
        Cause::NotSubscribed => "the pool lost the subscription: a reconnect cures it",
        Cause::Unsaid => {
            "the pool gives no reason: some answer so when a hash misses their newest difficulty"
        }
        Cause::Other => return None,
    })
}

/// The likely cause when a pool refuses every share, whatever form its refusals have.
pub(crate) fn likely_cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Stale => "the pool knows none of our jobs: its job ids or the line are at fault",
        Cause::Duplicate => {
            "the pool holds each share for a repeated one: another miner may use this session"
        }
        Cause::LowDifficulty => {
            "pool and miner disagree about the difficulty: ask the pool for a fixed one"
        }
        Cause::BelowDifficulty1
        | Cause::BadVersion
        | Cause::Unauthorized
        | Cause::NotSubscribed => advice(cause, false, false).expect("these causes have advice"),
        Cause::Unsaid | Cause::Other => {
            "user name, address or password do not suit this pool, or the pool has a fault"
        }
    }
}
