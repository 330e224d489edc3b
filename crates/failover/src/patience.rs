//! When to give up (`--give-up`).
//!
//! The rule: a clock runs while no server of the list gives work, and stands still while one does.
//! So nobody is given up who works. A server that we trust sets the clock back to zero; one that
//! works for a moment each time, and hangs up, only stops it for that moment.

use std::time::Duration;

/// The present service of the servers in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// None has let us in and sent work.
    None,
    /// One has, and its earlier sessions ended too early, or it has taken none of our shares.
    OnTrial,
    /// One gives work, as far as can be seen.
    Trusted,
}

/// When to give up: a clock that runs while no server of a list gives work.
#[derive(Debug)]
pub struct Patience {
    /// `None`: without end.
    limit: Option<Duration>,
    /// Time without work, up to `since` where the clock runs.
    spent: Duration,
    /// The clock runs since then; `None` while it stands still.
    since: Option<Duration>,
    /// A server gave work since the clock was at zero.
    was_served: bool,
}

impl Patience {
    /// The clock runs from `now` on.
    pub fn new(limit: Option<Duration>, now: Duration) -> Self {
        Self { limit, spent: Duration::ZERO, since: Some(now), was_served: false }
    }

    /// Records the servers' service from `now` on.
    pub fn note(&mut self, now: Duration, service: Service) {
        if service == Service::None {
            self.since.get_or_insert(now);
            return;
        }
        self.was_served = service == Service::OnTrial;
        match service {
            Service::Trusted => (self.spent, self.since) = (Duration::ZERO, None),
            _ => self.spent = self.spent(now),
        }
        self.since = None;
    }

    /// When the patience ends, if nothing changes.
    pub fn ends(&self) -> Option<Duration> {
        Some(self.since?.saturating_add(self.limit?.saturating_sub(self.spent)))
    }

    /// The time without work at the end of the patience, in words; `None` before.
    pub fn over(&self, now: Duration) -> Option<String> {
        let seconds = self.limit?.as_secs();
        (now >= self.ends()?).then(|| match self.was_served {
            false => format!("{seconds} s"),
            true => format!("{seconds} s, sessions that ended early left out"),
        })
    }

    fn spent(&self, now: Duration) -> Duration {
        let runs = self.since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        self.spent.saturating_add(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_clock_runs_while_no_server_gives_work_and_stands_still_while_one_does() {
        let mut patience = Patience::new(Some(seconds(8)), seconds(0));
        assert_eq!(patience.ends(), Some(seconds(8)));
        patience.note(seconds(5), Service::OnTrial);
        assert_eq!((patience.ends(), patience.over(seconds(1000))), (None, None));
        patience.note(seconds(1000), Service::None);
        patience.note(seconds(1001), Service::None);
        assert_eq!((patience.ends(), patience.over(seconds(1002))), (Some(seconds(1003)), None));
        assert_eq!(
            patience.over(seconds(1003)).unwrap(),
            "8 s, sessions that ended early left out"
        );
        patience.note(seconds(1003), Service::Trusted);
        patience.note(seconds(1004), Service::None);
        assert_eq!(patience.over(seconds(1012)).unwrap(), "8 s", "it began anew");
    }

    #[test]
    fn who_sets_no_limit_never_gives_up() {
        let mut patience = Patience::new(None, seconds(0));
        patience.note(seconds(1), Service::None);
        assert_eq!((patience.ends(), patience.over(Duration::MAX)), (None, None));
    }
}
