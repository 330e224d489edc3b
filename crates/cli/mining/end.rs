//! How mining ended, as values. Exit codes are given at the program's door.

use std::time::Duration;

/// How the link ended, or that it did not come to an end of its own.
pub(crate) type LinkResult = Result<midstate_net::LinkEnd, LinkPanic>;

/// The link's task fell by a bug in this program, which says so in these words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LinkPanic(pub(crate) String);

/// See the [module](self) page.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    /// A goal was met, or somebody ended it.
    Done,
    /// The time limit came before a goal, or a node's chain took a reached one back.
    GoalMissed(Missed),
    /// The hashing threads could not be started.
    NoThreads { threads: usize, error: String },
    /// The link ended by itself.
    Link(LinkResult),
}

/// Goals of which none was reached.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Missed {
    pub(crate) goals: Vec<MissedGoal>,
    /// The time limit that came before them. `None`: they were reached, and are no more.
    pub(crate) limit: Option<Duration>,
}

/// A goal that was not reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MissedGoal {
    pub(crate) goal: u64,
    pub(crate) accepted: u64,
    /// The thing to be accepted, in the singular.
    pub(crate) thing: &'static str,
}
