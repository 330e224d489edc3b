//! Sockets for midstate: the only room that knows tokio.
#![forbid(unsafe_code)]
