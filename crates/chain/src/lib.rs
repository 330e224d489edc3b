//! Bitcoin consensus values for miners: header, target, merkle tree, coinbase, job and share.
#![forbid(unsafe_code)]
