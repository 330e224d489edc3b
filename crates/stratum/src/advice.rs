//! A guess why a pool refused a share, and what to do about it.
//!
//! By the code, and by whole reason words that a known pool uses; never by a substring, since pools
//! word the same thing in a hundred ways.

/// Advice for a refusal. `raised`: the difficulty went up after the share's job came. `is_known`:
/// the share was sent before on a connection that broke.
pub(crate) fn advice(
    code: Option<i64>,
    reason: Option<&str>,
    raised: bool,
    is_known: bool,
) -> Option<&'static str> {
    Some(match (reason, code) {
        (Some("H-not-zero"), _) => {
            "this gateway takes no hash below difficulty 1: ask for difficulty 1 or more"
        }
        (Some("bad-version"), _) => {
            "the pool expects other version bits: try again without version rolling"
        }
        (Some("unknown-work"), _) | (_, Some(21)) => {
            "the job was replaced before the share arrived: a few are normal, many mean a slow line"
        }
        (_, Some(22)) if is_known => {
            "the pool had it from before the connection broke: counted as accepted"
        }
        (_, Some(22)) => "the pool has this share already: if it repeats, please report it",
        (_, Some(23)) if raised => {
            "the pool judges old jobs by its new difficulty: from now on, so do we"
        }
        (_, Some(23)) => {
            "pool and miner disagree about the difficulty: if it repeats, ask for a fixed one"
        }
        (_, Some(24)) => "the pool does not know the worker: check the user name",
        (_, Some(25)) => "the pool lost the subscription: a reconnect cures it",
        (None, None) => {
            "the pool gives no reason: some answer so when a hash misses their newest difficulty"
        }
        _ => return None,
    })
}
