//! Sockets. The only library that knows tokio; protocol rules live in `stratum` and `pool`, which
//! know neither sockets nor clocks. Everything here reads bytes, hands them over, writes what comes
//! back, and keeps the time.
#![forbid(unsafe_code)]

mod backoff;
mod link;
mod pool_server;
mod url;

pub use link::{End, Happened, Link, LinkConfig, LinkEvent, LinkState};
pub use pool_server::{PoolServer, ServerHandle};
pub use url::{PoolUrl, UrlError};
