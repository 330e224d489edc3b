//! The lab: commands that measure and teach, and mine nothing. `bench` measures kernels, `asic`
//! compares this machine with others, `explain` walks through one hash, `econ` computes the
//! economics of mining.

pub(crate) mod asic;
pub(crate) mod bench;
pub(crate) mod econ;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod inputs;

use std::time::{SystemTime, UNIX_EPOCH};

use midstate_economics::calendar::Date;

/// By this machine's clock.
pub(crate) fn today() -> Date {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    Date::from_unix(i64::try_from(since).unwrap_or(0))
}
