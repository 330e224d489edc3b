//! The trouble at a pool at present, in words: for the reason of a failover and of `--give-up`.
//!
//! The rule: a reason names the present trouble, never an older one, and there always is a reason.
//! An older trouble is one that a later connection has got past: "connection refused" is over once
//! the pool lets us in and then sends no work.

use std::time::Duration;

use midstate_stratum::Remark;

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
    /// The pool's own words before it sent work, and when it said them last: a pool that is full
    /// says so, and hangs up. The same words again and again do not all come here.
    said: Option<(Duration, String)>,
    /// The last warning since it let us in, while it has sent no work: of a job that cannot be
    /// mined, perhaps.
    warned: Option<String>,
}

/// So long a pool's words stand for those of the next connections, too.
const WORDS_HOLD: Duration = Duration::from_secs(30);

impl Trouble {
    pub(crate) fn new(now: Duration) -> Self {
        Self { since: now, stage: None, last: None, said: None, warned: None }
    }

    /// A seat told something.
    pub(crate) fn note(&mut self, now: Duration, told: &SeatNews) {
        let stage = match told {
            SeatNews::Happened(Happened::State { state: LinkState::Connecting, .. }) => {
                Stage::Connecting
            }
            SeatNews::Happened(Happened::Remark(Remark::Message { text })) => {
                if self.stage <= Some(Stage::LetIn) {
                    self.said = Some((now, text.clone()));
                }
                return;
            }
            SeatNews::Happened(Happened::Remark(Remark::Warning { text })) => {
                if self.stage == Some(Stage::LetIn) {
                    self.warned = Some(text.clone());
                }
                return;
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
                let has_met_us = matches!(stage, Stage::Connected | Stage::LetIn);
                let is_present =
                    |said: &&(Duration, String)| has_met_us && now <= said.0 + WORDS_HOLD;
                let reason = match self.said.as_ref().filter(is_present) {
                    Some((_, said)) => with_words(reason, said),
                    None => reason.clone(),
                };
                self.last = Some((stage, reason));
                return;
            }
            _ => return,
        };
        if stage == Stage::Working {
            self.said = None;
        }
        if self.stage != Some(stage) {
            (self.stage, self.since) = (Some(stage), now);
            self.warned = None;
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
            Stage::Connected => self.quoting(format!(
                "it took our connection and has said nothing useful for {seconds} s"
            )),
            Stage::LetIn => match &self.warned {
                None => self.quoting(format!("it let us in but has sent no work for {seconds} s")),
                Some(warning) => format!(
                    "it let us in but has sent no work that can be done for {seconds} s; the last \
                     warning: {warning}"
                ),
            },
            Stage::Working => "it has not yet worked without trouble for long enough".to_owned(),
        }
    }
}

impl Trouble {
    /// The trouble of a stage with the pool's words in it.
    fn quoting(&self, trouble: String) -> String {
        match self.said.as_ref().filter(|said| said.0 >= self.since) {
            Some((_, said)) => format!("{trouble}; it said: {said}"),
            None => trouble,
        }
    }
}

/// The reason for which a connection ended, with the pool's last words before.
pub(crate) fn with_words(reason: &str, said: &str) -> String {
    match reason.contains(said) {
        true => reason.to_owned(),
        false => format!("{reason}; before that it said: {said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use midstate_failover::Failure;

    #[test]
    fn rule_5_the_reason_has_the_words_of_a_pool_that_does_not_let_us_in() {
        let seconds = Duration::from_secs;
        let state = |state| SeatNews::Happened(Happened::State { state, reason: None });
        let says = |text: &str| SeatNews::Happened(Happened::Remark(Remark::message(text)));
        let failed = |reason: &str| SeatNews::Failed(Failure::Passing, reason.to_owned());
        let words = |trouble: &Trouble| trouble.words(seconds(9), seconds(10));
        let mut trouble = Trouble::new(seconds(0));
        for news in [
            state(LinkState::Connecting),
            state(LinkState::Connected),
            says("full"),
            failed("hung up"),
        ] {
            trouble.note(seconds(1), &news);
        }
        assert_eq!(words(&trouble), "hung up; before that it said: full");
        // They stand for the next connections, too, but not for long, nor where there is none.
        // No words come twice.
        trouble.note(seconds(2), &state(LinkState::Connecting));
        trouble.note(seconds(2), &failed("refused"));
        assert_eq!(words(&trouble), "refused");
        for (at, told) in [(31, "hung up; before that it said: full"), (32, "hung up")] {
            trouble.note(seconds(at), &state(LinkState::Connected));
            trouble.note(seconds(at), &failed("hung up"));
            assert_eq!(words(&trouble), told);
        }
        for news in
            [state(LinkState::Connected), says("refused by whim"), failed("refused by whim")]
        {
            trouble.note(seconds(3), &news);
        }
        assert_eq!(words(&trouble), "refused by whim");
        // A pool may let us in and send no work. After work its words are no reason any more.
        let (connected, let_in) = (state(LinkState::Connected), state(LinkState::Authorized));
        let (full, hung_up) = (says("full"), failed("hung up"));
        let told = "hung up; before that it said: full";
        let work = SeatNews::Healthy;
        for (news, told) in [
            (vec![&connected, &full, &let_in, &hung_up], told),
            (vec![&connected, &let_in, &full, &hung_up], told),
            (vec![&connected, &full, &let_in, &work, &hung_up], "hung up"),
            (vec![&connected, &let_in, &work, &full, &hung_up], "hung up"),
        ] {
            news.into_iter().for_each(|news| trouble.note(seconds(40), news));
            assert_eq!(words(&trouble), told);
        }
    }

    #[test]
    fn rule_5_the_reason_has_the_warning_about_work_that_cannot_be_done() {
        let seconds = Duration::from_secs;
        let state = |state| SeatNews::Happened(Happened::State { state, reason: None });
        let warn = |text: &str| SeatNews::Happened(Happened::warning(text));
        let words = |trouble: &Trouble, now| trouble.words(seconds(now), seconds(10));
        let mut trouble = Trouble::new(seconds(0));
        for news in
            [state(LinkState::Connected), warn("not encrypted"), state(LinkState::Authorized)]
        {
            trouble.note(seconds(1), &news);
        }
        assert_eq!(words(&trouble, 11), "it let us in but has sent no work for 10 s");
        let says = SeatNews::Happened(Happened::Remark(Remark::message("no bitcoind, wait")));
        trouble.note(seconds(2), &says);
        let told = words(&trouble, 11);
        assert_eq!(told, "it let us in but has sent no work for 10 s; it said: no bitcoind, wait");
        trouble.note(seconds(2), &warn("refused a job: coinb1 is no hex"));
        let told = words(&trouble, 11);
        assert!(told.contains("no work that can be done for 10 s"), "{told}");
        assert!(told.ends_with("the last warning: refused a job: coinb1 is no hex"), "{told}");
        // Of the next connection it says nothing.
        trouble.note(seconds(12), &SeatNews::Failed(Failure::Passing, "hung up".to_owned()));
        trouble.note(seconds(12), &state(LinkState::Connected));
        trouble.note(seconds(12), &state(LinkState::Authorized));
        assert_eq!(words(&trouble, 30), "it let us in but has sent no work for 18 s");
        trouble.note(seconds(31), &SeatNews::Failed(Failure::Passing, "hung up".to_owned()));
        trouble.note(seconds(32), &state(LinkState::Connected));
        trouble.note(seconds(32), &says);
        let told = words(&trouble, 52);
        assert!(told.ends_with("nothing useful for 20 s; it said: no bitcoind, wait"), "{told}");
    }

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
