//! Rations the lines about servers: let in, lost, given up for another one. A server may come and
//! go many times a second.
//!
//! The rule: a line is true when it is printed. One line per server and cause at once, then at most
//! one in ten seconds; of the lines that had to wait, the newest of each server is printed, and not
//! even that one once something else has happened there. Events for programs are never held back.

use std::collections::HashMap;
use std::time::Duration;

use midstate_net::LinkState;

use super::ration::{CAUSES, PACE, cause, with_count};

/// See the [module](self) page.
#[derive(Debug, Default)]
pub(crate) struct States {
    servers: HashMap<String, Server>,
}

#[derive(Debug, Default)]
struct Server {
    told: Vec<Told>,
    waits: Option<Line>,
}

/// A cause that was told of less than ten seconds ago.
#[derive(Debug)]
struct Told {
    cause: String,
    at: Duration,
    held_back: u64,
}

/// A line that has to wait.
#[derive(Debug)]
struct Line {
    cause: String,
    state: LinkState,
    text: String,
}

impl States {
    /// The line to print now, if any, when a server has come into this state.
    pub(crate) fn say(
        &mut self,
        now: Duration,
        url: &str,
        state: LinkState,
        text: &str,
    ) -> Option<String> {
        self.forget(now);
        if state == LinkState::Failover {
            let moved = |line: &mut Line| line.state == LinkState::Failover;
            self.servers.values_mut().for_each(|server| drop(server.waits.take_if(moved)));
        }
        let is_full = self.servers.len() >= CAUSES && !self.servers.contains_key(url);
        let server = self.servers.entry(if is_full { String::new() } else { url.to_owned() });
        server.or_default().say(now, state, text)
    }

    /// The server has come into a state that is not told of: what waited is no longer so.
    pub(crate) fn pass_over(&mut self, url: &str) {
        if let Some(server) = self.servers.get_mut(url) {
            server.waits = None;
        }
    }

    /// The lines that had to wait, and are due.
    pub(crate) fn due(&mut self, now: Duration) -> Vec<String> {
        let mut due: Vec<_> =
            self.servers.values_mut().filter_map(|server| server.due(now)).collect();
        due.sort();
        due
    }

    fn forget(&mut self, now: Duration) {
        self.servers.retain(|_, server| {
            let waits = server.waits.as_ref().map(|line| line.cause.as_str());
            let is_needed =
                |told: &Told| now < told.at + PACE || waits == Some(told.cause.as_str());
            server.told.retain(is_needed);
            !server.told.is_empty()
        });
    }
}

impl Server {
    fn say(&mut self, now: Duration, state: LinkState, text: &str) -> Option<String> {
        // Whatever waited is no longer so.
        self.waits = None;
        let mut cause = cause(text);
        if self.told.len() >= CAUSES {
            cause.clear();
        }
        match self.told.iter_mut().find(|told| told.cause == cause && now < told.at + PACE) {
            Some(told) => {
                told.held_back += 1;
                self.waits = Some(Line { cause, state, text: text.to_owned() });
                None
            }
            None => {
                self.told.retain(|told| told.cause != cause);
                self.told.push(Told { cause, at: now, held_back: 0 });
                Some(text.to_owned())
            }
        }
    }

    fn due(&mut self, now: Duration) -> Option<String> {
        let waits = self.waits.as_ref()?;
        let told = self.told.iter_mut().find(|told| told.cause == waits.cause)?;
        if now < told.at + PACE {
            return None;
        }
        told.at = now;
        let more = std::mem::take(&mut told.held_back).saturating_sub(1);
        self.waits.take().map(|line| with_count(&line.text, more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed, with its second: `(second, server, state, line)` happens, each tenth of a
    /// second the lines that are due are taken.
    fn printed(happens: &[(f64, &str, LinkState, &str)], until: u32) -> Vec<(f64, String)> {
        let mut states = States::default();
        let mut printed = Vec::new();
        for tenth in 0..=10 * until {
            let (at, now) =
                (f64::from(tenth) / 10.0, Duration::from_millis(100 * u64::from(tenth)));
            printed.extend(states.due(now).into_iter().map(|line| (at, line)));
            for &(_, url, state, text) in happens.iter().filter(|it| (it.0 * 10.0) as u32 == tenth)
            {
                printed.extend(states.say(now, url, state, text).map(|line| (at, line)));
            }
        }
        printed
    }

    #[test]
    fn rule_27_a_state_that_had_to_wait_and_is_no_longer_so_is_not_printed() {
        use LinkState::{Authorized, Lost};
        // Away at 2.5, back at 5.6, away for good at 7.7.
        let lines = printed(
            &[
                (0.5, "a", Authorized, "authorized at a"),
                (2.5, "a", Lost, "no work from a: refused"),
                (5.6, "a", Authorized, "authorized at a"),
                (7.7, "a", Lost, "no work from a: refused"),
            ],
            60,
        );
        let expected = [
            (0.5, "authorized at a"),
            (2.5, "no work from a: refused"),
            (12.5, "no work from a: refused"),
        ];
        assert_eq!(lines, expected.map(|(at, line)| (at, line.to_owned())));
    }

    #[test]
    fn rule_5_two_servers_are_two_causes() {
        use LinkState::{Authorized, Failover};
        let lines = printed(
            &[
                (0.5, "http://h:1", Authorized, "authorized at http://h:1"),
                (4.7, "http://h:2", Authorized, "authorized at http://h:2"),
                (4.7, "http://h:2", Failover, "going over to http://h:2"),
                (6.0, "http://h:1", Failover, "going over to http://h:1"),
                // Back and forth: of these the last one is told.
                (7.0, "http://h:2", Failover, "going over to http://h:2"),
                (8.0, "http://h:1", Failover, "going over to http://h:1"),
            ],
            60,
        );
        let expected = [
            (0.5, "authorized at http://h:1"),
            (4.7, "authorized at http://h:2"),
            (4.7, "going over to http://h:2"),
            (6.0, "going over to http://h:1"),
            (16.0, "going over to http://h:1"),
        ];
        assert_eq!(lines, expected.map(|(at, line)| (at, line.to_owned())));
    }

    #[test]
    fn rule_23_a_server_that_comes_and_goes_for_ever_is_told_of_every_ten_seconds() {
        let mut happens = Vec::new();
        for second in 0..60 {
            happens.push((f64::from(second), "a", LinkState::Authorized, "authorized at a"));
            happens.push((f64::from(second) + 0.5, "a", LinkState::Lost, "no connection to a: 7"));
        }
        let lines = printed(&happens, 100);
        assert!((8..=14).contains(&lines.len()), "{lines:?}");
        assert_eq!(lines.last().unwrap().1.split(" (").next(), Some("no connection to a: 7"));
        assert!(lines.iter().any(|(_, line)| line.ends_with("more held back)")), "{lines:?}");
    }

    #[test]
    fn rule_16_servers_and_reasons_without_end_fill_no_memory() {
        let mut states = States::default();
        let words = |n: u32| char::from_u32(0x4e00 + n).unwrap().to_string();
        for n in 0..10_000 {
            states.say(Duration::ZERO, &words(n), LinkState::Lost, "lost");
            states.say(Duration::ZERO, "one", LinkState::Lost, &words(n));
        }
        assert!(states.servers.len() <= CAUSES + 1);
        assert!(states.servers.values().all(|server| server.told.len() <= CAUSES + 1));
        states.say(Duration::from_secs(11), "one", LinkState::Lost, "lost");
        assert!(states.servers.len() <= 2, "only lines that wait are remembered");
    }
}
