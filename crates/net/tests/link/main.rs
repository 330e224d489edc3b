//! The link to pools through its public door: over pipes in virtual time, and over real sockets
//! where names, proxies and TLS are concerned. And the embedded pool's server, over real sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod examine;
mod failover;
mod names;
mod nodes;
mod pipes;
mod pool_server;
mod socks;
mod swarm;
mod tls;
mod trust;
