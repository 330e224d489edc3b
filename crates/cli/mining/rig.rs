//! What hashes, in plain values: mining knows no flags, and nothing of how a kernel was chosen.

use crate::machine::choose::Choice;

/// See the [module](self) page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rig {
    pub(crate) kernel: &'static str,
    pub(crate) threads: usize,
    pub(crate) midstates: usize,
}

impl Rig {
    /// Where no kernel could be chosen.
    pub(crate) const NONE: Self = Self { kernel: "none", threads: 0, midstates: 0 };

    pub(crate) fn of(choice: &Choice) -> Self {
        let config = &choice.config;
        Self {
            kernel: config.kernel.name(),
            threads: config.threads,
            midstates: config.cut.midstates,
        }
    }
}
