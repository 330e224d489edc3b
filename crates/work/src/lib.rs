//! The search space of a mining job and the ledger of its shares.
#![forbid(unsafe_code)]
