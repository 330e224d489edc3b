//! Manners: threads that mine leave the CPU to whatever else wants it. Used by `demo` and `mine`;
//! not by what measures (`bench`, `asic`), nor by what somebody waits for (`grind`).

use clap::{Args, ValueEnum};

/// Flags about manners.
#[derive(Args, Debug, Clone, Copy)]
pub(crate) struct PriorityArgs {
    /// Priority of the hashing threads: idle lets other programs go first, normal competes with
    /// them. No effect on Windows
    #[arg(long, value_name = "HOW", default_value = "idle", hide_possible_values = true)]
    pub(crate) priority: Priority,
}

/// How a thread stands among all others of the machine.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    Idle,
    Normal,
}

impl Priority {
    /// Puts the calling thread there. Linux has a priority for each thread; the other Unixes have
    /// one for the process, and there the network's thread gives way, too. Linux may share the CPU
    /// among sessions first (autogroups). What a session gets is not ours to change: the shell and
    /// whatever else was started there would get less, too.
    pub(crate) fn take(self) {
        #[cfg(unix)]
        if self == Self::Idle {
            /// The lowest, as minerd has it.
            const NICE: i32 = 19;
            // Lowering one's own priority needs no rights. Where a sandbox forbids even that,
            // hashing goes on as it is.
            let _ = rustix::process::setpriority_process(None, NICE);
        }
    }
}
