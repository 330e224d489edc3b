//! Hashing threads: they take jobs and find shares.
#![forbid(unsafe_code)]
