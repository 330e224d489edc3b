//! The economics of mining: exact formulas, a hardware table and simulators.
//!
//! Pure functions over numbers with their unit in the type. What they are fed with when nobody says
//! otherwise ([`inputs`]), the machines ([`hardware`]), the history of difficulty ([`history`]),
//! what others published ([`figures`]) and where a joule goes ([`joule`]) are data files, compiled
//! in. No I/O, no clock; randomness starts from a seed in an argument.
//!
//! The command line (`asic`, `econ`, `explain`) calls it and words the results. Consensus
//! arithmetic (target, difficulty, subsidy, retarget) is `midstate-chain`'s and is not repeated
//! here.
#![forbid(unsafe_code)]

pub mod calendar;
pub mod claims;
pub mod dispatch;
pub mod figures;
pub mod hardware;
pub mod hashprice;
pub mod history;
pub mod host;
pub mod inputs;
pub mod joule;
pub mod odds;
pub mod physics;
pub mod pools;
pub mod random;
pub mod simulate;
pub mod site;
pub mod statistics;
pub mod supply;
pub mod units;
