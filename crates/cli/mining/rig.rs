//! The kernel and its threads, in plain values: mining knows no flags and does not choose kernels.

use crate::machine::choose::{Choice, available_threads};

/// See the [module](self) page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rig {
    pub(crate) kernel: &'static str,
    pub(crate) threads: usize,
    pub(crate) midstates: usize,
    /// Hashes per second of all threads, as far as a short trial can tell.
    pub(crate) rate: f64,
    /// The limit on them that was asked for.
    pub(crate) max_rate: Option<f64>,
    /// Threads that a viewer may ask for.
    pub(crate) most_threads: usize,
}

impl Rig {
    /// Where no kernel could be chosen.
    pub(crate) const NONE: Self = Self {
        kernel: "none",
        threads: 0,
        midstates: 0,
        rate: 0.0,
        max_rate: None,
        most_threads: 0,
    };

    pub(crate) fn of(choice: &Choice) -> Self {
        let config = &choice.config;
        Self {
            kernel: config.kernel.name(),
            threads: config.threads,
            midstates: config.cut.midstates,
            rate: choice.rate(),
            max_rate: choice.max_rate,
            most_threads: available_threads().max(config.threads),
        }
    }
}
