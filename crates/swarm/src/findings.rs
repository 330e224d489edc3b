//! What the pool did, over time: its difficulties against the script, its answers, the work that it
//! counted. The sums are in the [`Books`](crate::Books).

mod vardiff;

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Verdict;
use midstate_limits::{LimitRow, row};

use crate::{Event, Latencies, Script};
pub use vardiff::Following;
use vardiff::{HASHES, Stretch};

/// Changes of difficulty that are kept of one miner; a pool that changes it more often does not
/// come to rest.
const MOST_CHANGES: usize = 1000;
/// So many shares has a stretch that tells the pool's goal; with fewer, its difficulty may as well
/// be out of reach.
const LEAST_SHARES: f64 = 3.0;
/// Looks that are kept: with one more, each two become one.
const MOST_LOOKS: usize = 600;

/// The findings of a run. Times are those of the script.
#[derive(Debug)]
pub struct Findings {
    script: Arc<Script>,
    /// Each miner's difficulties, and when they came; at 0 what came before the script.
    trails: Vec<Vec<(Duration, f64)>>,
    looks: Vec<Look>,
    /// How long a look is at least.
    period: Duration,
    /// What came since the last look.
    seen: f64,
    answers: Latencies,
}

/// What there was in a second, or in a few.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Its beginning and its end.
    pub time: [Duration; 2],
    /// Hashes that the script asked for.
    pub asked: u64,
    /// Hashes that were done.
    pub done: u64,
    /// Hashes that the accepted shares stand for, by the difficulty that the pool had set.
    pub seen: f64,
    /// The lowest, the middle and the highest difficulty of all miners at its end.
    pub difficulty: Option<[f64; 3]>,
    /// Half of the answers took no longer, and 99 of 100.
    pub answers: Option<[Duration; 2]>,
}

/// What the difficulties of the miners come to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vardiff {
    /// Shares a minute and miner that the pool aims at: as the user says, or the median of what it
    /// came to. `None` where no rate rested.
    pub goal: Option<f64>,
    /// Stretches of the script with one rate, of all miners.
    pub stretches: usize,
    /// Those in which the difficulty settled.
    pub settled: usize,
    /// The median of the times to settle, and the longest.
    pub settle: Option<[Duration; 2]>,
    /// The highest overshoot, as a part of the difficulty that was asked for.
    pub overshoot: Option<f64>,
}

impl Findings {
    /// Nothing was found yet.
    pub fn new(script: Arc<Script>) -> Self {
        let trails = (0..script.workers()).map(|_| Vec::new()).collect();
        Self {
            script,
            trails,
            looks: Vec::new(),
            period: Duration::ZERO,
            seen: 0.0,
            answers: Latencies::default(),
        }
    }

    /// Takes an event, at a time of the script.
    pub fn record(&mut self, at: Duration, worker: u32, event: &Event) {
        match event {
            Event::Difficulty(difficulty) => {
                let Some(trail) = self.trails.get_mut(worker as usize) else { return };
                let has_room = trail.len() < MOST_CHANGES;
                match trail.last_mut() {
                    Some(last) if last.0 == at => last.1 = *difficulty,
                    _ if has_room => trail.push((at, *difficulty)),
                    _ => {}
                }
            }
            Event::Verdict(outcome) if outcome.verdict == Verdict::Accepted => {
                self.seen += outcome.share.job.share_target.difficulty() * HASHES;
                self.answers.record(outcome.latency);
            }
            _ => {}
        }
    }

    /// Looks at everything, about once a second. `asked` and `done` are the hashes of all miners so
    /// far.
    pub fn look(&mut self, at: Duration, asked: u64, done: u64) {
        let begun = self.looks.last().map_or(Duration::ZERO, |look| look.time[1]);
        if at <= begun || at - begun < self.period {
            return;
        }
        let answers = std::mem::take(&mut self.answers);
        let quantiles = || [0.5, 0.99].map(|part| answers.quantile(part));
        let before = |of: fn(&Look) -> u64| self.looks.iter().map(of).sum::<u64>();
        let look = Look {
            time: [begun, at],
            asked: asked.saturating_sub(before(|look| look.asked)),
            done: done.saturating_sub(before(|look| look.done)),
            seen: std::mem::take(&mut self.seen),
            difficulty: self.difficulties(at),
            answers: (answers.count() > 0).then(quantiles),
        };
        self.looks.push(look);
        if self.looks.len() > MOST_LOOKS {
            self.looks = self.looks.chunks(2).map(Look::joined).collect();
            self.period = self.looks.first().map_or(self.period, Look::length);
        }
    }

    /// The last look. What is left is too little for a look of its own, and goes with the one
    /// before.
    pub fn finish(&mut self, at: Duration, asked: u64, done: u64) {
        let before = self.looks.len();
        self.period = Duration::ZERO;
        self.look(at, asked, done);
        if before > 0 && self.looks.len() > before {
            let last = self.looks.split_off(before - 1);
            self.looks.push(Look::joined(&last));
        }
    }

    /// The looks, in order.
    pub fn looks(&self) -> &[Look] {
        &self.looks
    }

    /// How each stretch of a miner's script was followed, up to `end`.
    pub fn followings(&self, worker: u32, end: Duration, goal: f64) -> Vec<Following> {
        let Some(trail) = self.trails.get(worker as usize) else { return Vec::new() };
        let stretches = vardiff::stretches(&self.script, worker, end);
        let one = |stretch: Stretch| vardiff::following(stretch, trail, goal);
        stretches.into_iter().filter_map(one).collect()
    }

    /// What the difficulties of all miners come to, up to `end`, where the pool aims at so many
    /// shares a minute; without that, at the median of what it came to.
    pub fn vardiff(&self, end: Duration, goal: Option<f64>) -> Vardiff {
        let Some(goal) = goal.or_else(|| self.goal(end)) else { return Vardiff::default() };
        let workers = 0..self.script.workers();
        let all: Vec<_> = workers.flat_map(|worker| self.followings(worker, end, goal)).collect();
        let mut times: Vec<_> = all.iter().filter_map(|one| one.settled).collect();
        times.sort_unstable();
        let settle = times.last().map(|&last| [times[(times.len() - 1) / 2], last]);
        Vardiff {
            goal: Some(goal),
            stretches: all.len(),
            settled: times.len(),
            settle,
            overshoot: all.iter().map(|one| one.overshoot).reduce(f64::max),
        }
    }

    /// The median of the shares a minute that the pool came to at the end of each stretch that was
    /// long enough for some.
    fn goal(&self, end: Duration) -> Option<f64> {
        let of_worker = |(worker, trail): (u32, &Vec<(Duration, f64)>)| {
            let stretches = vardiff::stretches(&self.script, worker, end);
            let last = |stretch: Stretch| {
                let shares =
                    vardiff::shares_a_minute(stretch.rate, vardiff::at(trail, stretch.to)?);
                let minutes = (stretch.to - stretch.from).as_secs_f64() / 60.0;
                (shares * minutes >= LEAST_SHARES).then_some(shares)
            };
            stretches.into_iter().filter_map(last).collect::<Vec<_>>()
        };
        vardiff::median((0..).zip(&self.trails).flat_map(of_worker).collect())
    }

    fn difficulties(&self, at: Duration) -> Option<[f64; 3]> {
        let workers = (0..).zip(&self.trails);
        let present = workers.filter(|&(worker, _)| self.script.is_present(worker, at));
        let last = present.filter_map(|(_, trail)| trail.last().map(|&(_, value)| value));
        let mut all: Vec<f64> = last.collect();
        all.sort_unstable_by(f64::total_cmp);
        Some([*all.first()?, all[(all.len() - 1) / 2], *all.last()?])
    }
}

impl Look {
    /// How long it is.
    pub fn length(&self) -> Duration {
        self.time[1] - self.time[0]
    }

    fn joined(looks: &[Self]) -> Self {
        let [first, .., last] = looks else { return looks[0] };
        let both = first.answers.zip(last.answers);
        let worse = both.map(|(one, other)| [one[0].max(other[0]), one[1].max(other[1])]);
        Self {
            time: [first.time[0], last.time[1]],
            asked: first.asked + last.asked,
            done: first.done + last.done,
            seen: first.seen + last.seen,
            difficulty: last.difficulty.or(first.difficulty),
            answers: worse.or(last.answers).or(first.answers),
        }
    }
}

/// Each limit as a row.
pub(crate) fn rows() -> Vec<LimitRow> {
    vec![
        row("difficulties kept of a miner", MOST_CHANGES, "further ones are not looked at"),
        row("points of a plot", MOST_LOOKS, "each two become one"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The findings of a profile for two miners, whose difficulties change like this.
    fn findings(profile: &str, changes: &[(u64, f64)]) -> Findings {
        let script = Arc::new(Script::parse(profile, 2, 0).unwrap());
        let mut findings = Findings::new(script);
        for worker in 0..2 {
            for &(at, difficulty) in changes {
                findings.record(seconds(at), worker, &Event::Difficulty(difficulty));
            }
        }
        findings
    }

    #[test]
    fn the_goal_of_a_pool_is_what_it_comes_to() {
        // Difficulty 1 and 8 G hashes a minute make about two shares a minute.
        let rate = "step:143165576,1145324612@60s";
        let findings = findings(rate, &[(0, 16.0), (10, 1.0), (90, 32.0), (100, 8.0)]);
        let vardiff = findings.vardiff(seconds(200), None);
        assert!((vardiff.goal.unwrap() - 2.0).abs() < 1e-6, "{vardiff:?}");
        assert_eq!((vardiff.stretches, vardiff.settled), (4, 4));
        assert_eq!(vardiff.settle, Some([seconds(10), seconds(40)]));
        assert!((vardiff.overshoot.unwrap() - 3.0).abs() < 1e-6, "{vardiff:?}");
        let vardiff = findings.vardiff(seconds(200), Some(60.0));
        assert_eq!((vardiff.goal, vardiff.settled), (Some(60.0), 0));
    }

    #[test]
    fn a_rate_that_never_rests_and_a_pool_without_difficulties_settle_nothing() {
        let restless = findings("oscillate:1M..2M/20s", &[(0, 1.0)]);
        assert_eq!(restless.vardiff(seconds(100), None), Vardiff::default());
        let out_of_reach = findings("steady:1M", &[(0, 1.0)]);
        assert_eq!(out_of_reach.vardiff(seconds(100), None), Vardiff::default());
        let silent = findings("steady:1M", &[]);
        assert_eq!(silent.vardiff(seconds(100), None), Vardiff::default());
        let vardiff = silent.vardiff(seconds(100), Some(20.0));
        assert_eq!((vardiff.stretches, vardiff.settle), (0, None));
    }

    #[test]
    fn looks_become_coarser_and_lose_nothing() {
        let mut findings = findings("steady:1M", &[(0, 1.0)]);
        for second in 1..=5000 {
            findings.look(seconds(second), 10 * second, 9 * second);
            findings.look(seconds(second), 10 * second, 9 * second);
        }
        let looks = findings.looks();
        assert!((MOST_LOOKS / 2 - 1..=MOST_LOOKS).contains(&looks.len()), "{}", looks.len());
        assert!(looks.windows(2).all(|two| two[0].time[1] == two[1].time[0]));
        let end = looks.last().unwrap().time[1].as_secs();
        assert!(end > 4980, "{end}");
        assert_eq!(looks.iter().map(|look| look.asked).sum::<u64>(), 10 * end);
        assert_eq!(looks.iter().map(|look| look.done).sum::<u64>(), 9 * end);
        assert!(looks.iter().all(|look| look.difficulty == Some([1.0; 3])));
        let count = looks.len();
        findings.finish(Duration::from_millis(5_000_100), 60_000, 50_000);
        let looks = findings.looks();
        assert_eq!(looks.len(), count);
        assert_eq!(looks.iter().map(|look| look.asked).sum::<u64>(), 60_000);
    }

    #[test]
    fn a_pool_that_changes_the_difficulty_without_end_fills_no_memory() {
        let mut findings = findings("steady:1M", &[]);
        for at in 0..10_000 {
            findings.record(seconds(at), 0, &Event::Difficulty(at as f64 + 1.0));
        }
        assert_eq!(findings.trails[0].len(), MOST_CHANGES);
    }
}
