//! The link to pools through its public door: over pipes in virtual time, and over real TLS.

mod failover;
mod pipes;
mod tls;
