//! How the program ends when something went wrong. The codes are part of the contract with scripts.

use std::io::{Write, stderr};
use std::process::ExitCode;

use midstate_net::without_os_number;

use super::output::broken;

/// A failure and its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    error: anyhow::Error,
}

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something failed while running.
    Runtime = 1,
    /// Flags or configuration make no sense.
    Usage = 2,
    /// The pool does not let us in.
    Refused = 3,
    /// A kernel computes wrong hashes here.
    SelfTest = 4,
    /// No pool or node could be reached in time.
    Unreachable = 5,
    /// `--time-limit` came before the goal of `--shares` or `--blocks`.
    GoalMissed = 6,
}

/// After a second Ctrl-C: 128 + SIGINT, as shells have it.
pub(crate) const INTERRUPTED_TWICE: i32 = 130;

impl Failure {
    pub(crate) fn new(kind: Kind, error: impl Into<anyhow::Error>) -> Self {
        Self { kind, error: error.into() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, error: anyhow::Error::msg(message.into()) }
    }

    pub(crate) fn is_usage(&self) -> bool {
        self.kind == Kind::Usage
    }

    /// The same, with the place of the mistake before it.
    pub(crate) fn context(self, place: String) -> Self {
        Self { kind: self.kind, error: self.error.context(place) }
    }

    /// Says what went wrong, on stderr.
    pub(crate) fn report(&self) -> ExitCode {
        self.tell();
        ExitCode::from(self.kind as u8)
    }

    /// The same; the code as a number.
    pub(crate) fn tell(&self) -> i32 {
        let lines = broken(&format!("error: {self}"), 2, &stderr()).join("\n");
        // `eprintln` would panic where nobody is left to be told.
        let _ = writeln!(stderr(), "{lines}");
        self.kind as i32
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&without_os_number(&format!("{:#}", self.error)))
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { kind: Kind::Runtime, error: error.into() }
    }
}
