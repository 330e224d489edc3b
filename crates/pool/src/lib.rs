//! An embedded regtest pool: a chain in memory, a job maker and a share judge.
#![forbid(unsafe_code)]
