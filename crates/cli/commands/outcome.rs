//! How mining ended, as an exit code and words: the one place where the one becomes the other.

use anyhow::{Error, anyhow};
use midstate_net::LinkEnd;

use crate::mining::event::{Event, Summary};
use crate::mining::{End, Missed, MissedGoal, Rig};
use crate::shell::exit::{Failure, Kind};
use crate::shell::output::Output;
use crate::shell::units;

/// The end of mining as the program's own.
pub(crate) fn outcome(end: End) -> Result<(), Failure> {
    match end {
        End::Done => Ok(()),
        End::GoalMissed(Missed { goals, limit }) => {
            let goals = goals.iter().map(|MissedGoal { goal, accepted, thing }| {
                format!("{accepted} of {}", units::count(*goal, thing))
            });
            let goals = goals.collect::<Vec<_>>().join(", ");
            let words = match limit {
                Some(limit) => format!("accepted within --time-limit {}", limit.as_secs_f64()),
                None => "in the chain at the end".to_owned(),
            };
            Err(Failure::new(Kind::GoalMissed, anyhow!("goal not reached: {goals} {words}")))
        }
        End::NoThreads { threads, error } => Err(Failure::new(
            Kind::Runtime,
            anyhow!("{error}").context(match threads {
                1 => "no hashing thread can be started; give the program more memory or processes"
                    .to_owned(),
                _ => format!(
                    "{threads} hashing threads cannot be started; ask for fewer with --threads"
                ),
            }),
        )),
        End::Link(Ok(end)) => of_link(end),
        End::Link(Err(panic)) => Err(Failure::new(Kind::Runtime, panic)),
    }
}

/// The end of a link as the program's own.
pub(super) fn of_link(end: LinkEnd) -> Result<(), Failure> {
    let (kind, reason) = match end {
        LinkEnd::Stopped => return Ok(()),
        LinkEnd::Refused(reason) => (Kind::Refused, reason),
        LinkEnd::Misconfigured(reason) => (Kind::Usage, reason),
        LinkEnd::Unusable(reason) => (Kind::Runtime, reason),
        LinkEnd::Unreachable(reason) => (Kind::Unreachable, reason),
    };
    Err(Failure::new(kind, Error::msg(reason)))
}

/// The summary is the last event on every path, also of a run that fails before anything is hashed:
/// a self-test, a port that is taken. Flags that make no sense are no run.
pub(super) fn with_summary(
    mined: Result<(), Failure>,
    rig: Rig,
    out: &mut Output,
) -> Result<(), Failure> {
    if mined.as_ref().is_err_and(|failure| !failure.is_usage()) && !out.has_last_event() {
        out.last_event(&Event::Summary(Summary::of_nothing(rig)));
    }
    mined
}
