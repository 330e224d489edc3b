//! The servers that jobs come from: flags and the configuration file become accounts at pools, or
//! entries of nodes, with passwords, routes and certificates. It connects to nothing.

pub(crate) mod config;
pub(crate) mod directories;
pub(crate) mod frames;
pub(crate) mod node;
mod payout;
pub(crate) mod pools;
pub(crate) mod secrets;
pub(crate) mod terms;
