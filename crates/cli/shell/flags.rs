//! The flags that every command has: how much is said, in which form, in which colours.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};

/// Flags that every command has.
#[derive(Args, Debug, Clone)]
pub(crate) struct OutputArgs {
    /// Print one JSON object per line on stdout
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Log more to stderr (twice: everything)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Log errors only, and show no hash rate while running
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Use colour: auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    color: When,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Auto,
    Always,
    Never,
}

impl OutputArgs {
    pub(crate) fn log_level(&self) -> &'static str {
        match (self.quiet, self.verbose) {
            (true, _) => "error",
            (_, 0) => "warn",
            (_, 1) => "debug",
            (_, _) => "trace",
        }
    }

    /// Colour on stderr: `--color` first, then `NO_COLOR` and `CLICOLOR_FORCE`, then whether
    /// anybody looks.
    pub(crate) fn stderr_colour(&self) -> bool {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto if set("NO_COLOR") => false,
            When::Auto => set("CLICOLOR_FORCE") || std::io::stderr().is_terminal(),
        }
    }
}
