//! The rules about shares that do not depend on the wire: which ones are not sent, how fast they
//! may come, and when a pool has proved that it is not worth the work. The V1 client and that of
//! Stratum V2 (`midstate-sv2`) keep to the same ones.

mod rate;
mod recent;
mod trust;
mod withheld;

pub use crate::advice::Cause;
pub use rate::{Bucket, Window};
pub use recent::Recent;
pub use trust::Trust;
pub use withheld::{Withheld, check};
