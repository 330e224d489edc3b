//! This machine: the kernel and the threads that suit it, their priority, its sensors, its energy
//! meter, and measurements of its hash rate. It knows no pool and prints no report.

pub(crate) mod choose;
pub(crate) mod cpu;
pub(crate) mod energy;
pub(crate) mod gauge;
pub(crate) mod measure;
pub(crate) mod priority;
pub(crate) mod sensors;
