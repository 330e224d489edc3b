//! The trouble at a pool at present, in words: for the reason of a failover and of `--give-up`.
//!
//! The rule: a reason names the present trouble, never an older one, and there always is a reason.
//! An older trouble is one that a later connection has got past: "connection refused" is over once
//! the pool lets us in and then sends no work.

use std::time::Duration;

use crate::seat::SeatNews;
use crate::{Happened, LinkState};

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Connecting,
    Connected,
    LetIn,
    Working,
}

/// See the [module](self) page.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// When the present attempt, or the wait for it, began.
    since: Duration,
    /// How far the present connection has come; `None` between two.
    stage: Option<Stage>,
    /// How far the last one had come, and why it ended.
    last: Option<(Stage, String)>,
}

impl Trouble {
    pub(crate) fn new(now: Duration) -> Self {
        Self { since: now, stage: None, last: None }
    }

    /// A seat told something.
    pub(crate) fn note(&mut self, now: Duration, told: &SeatNews) {
        let stage = match told {
            SeatNews::Happened(Happened::State { state: LinkState::Connecting, .. }) => {
                Stage::Connecting
            }
            SeatNews::Happened(Happened::State { state: LinkState::Connected, .. }) => {
                Stage::Connected
            }
            SeatNews::Happened(Happened::State { state: LinkState::Authorized, .. }) => {
                Stage::LetIn
            }
            SeatNews::Healthy => Stage::Working,
            SeatNews::Failed(_, reason) => {
                let stage = self.stage.take().unwrap_or(Stage::Connecting);
                self.last = Some((stage, reason.clone()));
                return;
            }
            _ => return,
        };
        if self.stage != Some(stage) {
            (self.stage, self.since) = (Some(stage), now);
        }
    }

    /// The trouble in words. A stage that lasts `long` is trouble by itself.
    pub(crate) fn words(&self, now: Duration, long: Duration) -> String {
        let lasted = now.saturating_sub(self.since);
        let stage = self.stage.unwrap_or(Stage::Connecting);
        match &self.last {
            Some((_, reason)) if self.stage.is_none() => return reason.clone(),
            Some((_, reason)) if stage == Stage::Working => {
                return format!("{reason}; it is back, and has to prove itself first");
            }
            Some((reached, reason)) if stage <= *reached && lasted < long => return reason.clone(),
            _ => {}
        }
        let seconds = lasted.as_secs();
        match stage {
            Stage::Connecting => format!("there is no connection to it yet, after {seconds} s"),
            Stage::Connected => {
                format!("it took our connection and has said nothing useful for {seconds} s")
            }
            Stage::LetIn => format!("it let us in but has sent no work for {seconds} s"),
            Stage::Working => "it has not yet worked without trouble for long enough".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use midstate_failover::Failure;

    #[test]
    fn a_reason_names_the_present_trouble_never_an_older_one_and_is_never_null() {
        let seconds = Duration::from_secs;
        let state = |state| SeatNews::Happened(Happened::State { state, reason: None });
        let mut trouble = Trouble::new(seconds(0));
        let words = |trouble: &Trouble, now| trouble.words(seconds(now), seconds(10));
        assert!(words(&trouble, 7).contains("no connection to it yet, after 7 s"));
        trouble.note(seconds(7), &state(LinkState::Connecting));
        trouble.note(seconds(8), &SeatNews::Failed(Failure::Hopeless, "refused".into()));
        assert_eq!(words(&trouble, 60), "refused");
        trouble.note(seconds(60), &state(LinkState::Connecting));
        assert_eq!(words(&trouble, 61), "refused", "the next attempt is no cure");
        trouble.note(seconds(61), &state(LinkState::Connected));
        assert!(words(&trouble, 71).contains("nothing useful for 10 s"));
        trouble.note(seconds(72), &state(LinkState::Authorized));
        assert!(words(&trouble, 82).contains("let us in but has sent no work for 10 s"));
        trouble.note(seconds(83), &SeatNews::Healthy);
        trouble.note(seconds(84), &SeatNews::Failed(Failure::Passing, "hung up".into()));
        trouble.note(seconds(85), &state(LinkState::Connecting));
        trouble.note(seconds(85), &state(LinkState::Authorized));
        assert_eq!(words(&trouble, 86), "hung up", "being let in is no cure for that");
        assert!(words(&trouble, 95).contains("sent no work for 10 s"), "this is the trouble now");
        trouble.note(seconds(96), &SeatNews::Healthy);
        assert_eq!(words(&trouble, 97), "hung up; it is back, and has to prove itself first");
    }
}
