//! One file a command: its flags, and which rooms it joins. `bench`, `asic`, `explain` and `econ`,
//! which mine nothing, are in [`lab`](crate::lab).

pub(crate) mod class;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod grind;
pub(crate) mod help;
mod limits;
pub(crate) mod mine;
mod node_side;
pub(crate) mod outcome;
mod visitors;
