//! The link to pools through its public door: over pipes in virtual time, and over real TLS.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod failover;
mod pipes;
mod socks;
mod tls;
