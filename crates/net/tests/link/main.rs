//! The link to pools through its public door: over pipes in virtual time, and over real sockets
//! where names, proxies and TLS are concerned. And the embedded pool's server, over real sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod examine;
mod failover;
mod names;
mod nodes;
mod pipes;
mod pool_server;
mod pool_v2;
mod socks;
mod swarm;
mod tls;
mod trust;
mod v2;
#[expect(dead_code, reason = "most of it is for the tests of the client")]
#[path = "../../../sv2/tests/play/pool.rs"]
mod v2_pool;
