//! The client against a pool in memory, in virtual time.

#![expect(clippy::unwrap_used, reason = "a test that unwraps says what failed")]

mod accord;
mod channels;
mod faults;
mod judge;
mod pool;
mod work;
