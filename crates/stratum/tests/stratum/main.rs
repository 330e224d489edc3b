//! The protocol, played in virtual time: one binary, a module per subject.
//!
//! Names carry the numbers of the requirements (S1.., I1..) and of the nasty cases (N1..N19) that a
//! test answers for.

mod handshake;
mod hostile;
mod jobs;
mod liveness;
mod mock;
mod oracle;
mod pair;
mod payout;
mod properties;
mod server;
mod shares;
mod text;
mod trust;
