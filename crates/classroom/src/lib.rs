//! A class of devices that mine at one pool: browsers on telephones and laptops, which joined by a
//! code and speak no Stratum.
//!
//! [`Class`] decides who may join and under which name, cuts each device's work, hands its hits to
//! the pool's judge, and keeps what the pool's books do not have: rates, claims, waits, the nearest
//! miss. What counts is in the pool's standings alone.
//!
//! Neither sockets nor clocks nor random sources: `now` is the time as the pool has it, tokens and
//! the code are drawn by the caller.
#![forbid(unsafe_code)]

mod admission;
mod class;
mod device;
mod limits;
mod name;
mod record;
mod rename;
mod status;

pub use class::{Class, HitsError, JoinError, Report, Verdict};
pub use device::Work;
pub use limits::ClassLimits;
pub use rename::{Named, RenameError, Renamed};
pub use status::{ClassStatus, Kind, Last, Row, You};
