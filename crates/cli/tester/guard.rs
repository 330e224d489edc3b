//! A test tool is no weapon: which pools may be tested, and with how much.

use midstate_net::{Account, SwarmDialler};
use midstate_swarm::Limits;

use super::Args;
use crate::shell::descriptors;
use crate::shell::exit::{Failure, Kind};
use crate::shell::units;

/// The bounds of a test.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    pub(super) limits: Limits,
    /// Whether the pool may be at a public address.
    pub(super) is_public_allowed: bool,
}

/// Looks where the pool is, and whether the flags keep to the bounds that hold there.
pub(super) async fn bounds(
    account: &Account,
    workers: u32,
    args: &Args,
) -> Result<Bounds, Failure> {
    let Account { url, route, .. } = account;
    let is_private = SwarmDialler::default().is_private(url, route).await;
    let is_private = is_private.map_err(|error| Failure::new(Kind::Unreachable, error))?;
    let limits = match (is_private, args.i_own_this_pool) {
        (true, _) => Limits::PRIVATE,
        (false, true) => Limits::PUBLIC,
        (false, false) => {
            return Err(Failure::usage(format!(
                "{url} is not on this machine or in a private network, and to load a stranger's \
                 pool is an attack: if it is your own, add --i-own-this-pool ({} at most)",
                units::count(Limits::PUBLIC.workers, "miner"),
            )));
        }
    };
    if workers > limits.workers {
        return Err(Failure::usage(format!(
            "{}: a pool at a public address is tested with {} at most",
            units::count(workers, "miner"),
            units::count(limits.workers, "miner"),
        )));
    }
    if let Some(places) = descriptors::places().filter(|&places| workers as usize > places) {
        return Err(Failure::usage(format!(
            "{}: the hard limit of this process is {} descriptors (ulimit -Hn), which are enough \
             for {places} connections: raise the limit, or take fewer miners",
            units::count(workers, "miner"),
            places + descriptors::OWN,
        )));
    }
    if args.time_limit > limits.time.as_secs() {
        return Err(Failure::usage(format!(
            "--time-limit {}: a test lasts {} s at most, midstate mine --print-limits has the \
             limits",
            args.time_limit,
            limits.time.as_secs(),
        )));
    }
    Ok(Bounds { limits, is_public_allowed: !is_private })
}
