//! Why a pool refused a share, as far as it can be told, and what to do about it.
//!
//! By the code, and by whole reason words that a known pool uses; never by a substring, since pools
//! word the same thing in a hundred ways.

use crate::message::Refusal;
use crate::server::SOLVED;

/// The cause that a refusal names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The job is gone.
    Stale,
    /// Our own pool has a block on this tip, and no next job yet.
    Solved,
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
    /// Neither a number nor a word, or 20, which says no more. p2poolv2 refuses so, whatever the
    /// cause.
    Unsaid,
    /// A number that is the pool's own, and not a word.
    Unworded,
    /// Something else.
    Other,
}

impl Cause {
    /// Words before numbers, since DATUM has one number for several causes, and ckpool had none
    /// until 2026.
    pub(crate) fn of(refusal: &Refusal) -> Self {
        let words = refusal.reason.as_ref().map(|reason| reason.to_ascii_lowercase());
        match (words.as_deref(), refusal.code) {
            (None, None | Some(20)) => Self::Unsaid,
            (Some("h-not-zero"), _) => Self::BelowDifficulty1,
            (Some(SOLVED), _) => Self::Solved,
            (Some("bad-version"), _) => Self::BadVersion,
            (Some("unknown-work" | "stale" | "invalid jobid"), _) | (_, Some(21)) => Self::Stale,
            (Some("duplicate"), _) | (_, Some(22)) => Self::Duplicate,
            (Some("above target"), _) | (_, Some(23)) => Self::LowDifficulty,
            (Some("worker mismatch"), _) | (_, Some(24)) => Self::Unauthorized,
            (_, Some(25)) => Self::NotSubscribed,
            (None, _) => Self::Unworded,
            _ => Self::Other,
        }
    }
}

/// For a refusal that says nothing of its cause.
const UNSAID: &str = "the pool gives no reason: some answer so when a hash misses their newest \
                      difficulty, others when user name, address or password \
                      do not suit them";

/// The facts about a refused share beside the pool's answer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Circumstances {
    /// A difficulty that went up after the share's job came explains the refusal.
    pub(crate) raised: bool,
    /// The share was sent before, on a connection that broke.
    pub(crate) is_known: bool,
    /// Another job has taken the place of the share's.
    pub(crate) is_replaced: bool,
}

/// Advice for a refusal.
pub(crate) fn advice(cause: Cause, of: Circumstances) -> Option<&'static str> {
    let Circumstances { raised, is_known, is_replaced } = of;
    Some(match cause {
        Cause::BelowDifficulty1 => {
            "this gateway takes no hash below difficulty 1: ask for difficulty 1 or more"
        }
        Cause::BadVersion => {
            "the pool expects other version bits: try again without version rolling"
        }
        Cause::Stale if is_replaced => {
            "the job was replaced before the share arrived: a few are normal, many mean a slow line"
        }
        Cause::Stale => {
            "it was for the newest job that the pool has sent: a newer one may be on its way; if \
             it repeats, the pool's job ids are at fault"
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
        Cause::Unsaid => UNSAID,
        Cause::Unworded => "the pool gives a number of its own and no reason: ask it",
        Cause::Solved | Cause::Other => return None,
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
        | Cause::Unsaid
        | Cause::NotSubscribed => {
            advice(cause, Circumstances::default()).expect("these causes have advice")
        }
        Cause::Unworded | Cause::Solved | Cause::Other => {
            "user name, address or password do not suit this pool, or the pool has a fault"
        }
    }
}
