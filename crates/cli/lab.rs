//! The lab: commands that measure and teach, and mine nothing. `bench` measures kernels, `asic`
//! compares this machine with others, `explain` walks through one hash, `econ` computes the
//! economics of mining.

pub(crate) mod asic;
pub(crate) mod bench;
pub(crate) mod econ;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod inputs;
