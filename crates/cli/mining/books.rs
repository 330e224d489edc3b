//! The books: what was found, what became of it, and how fast. No clock and no threads here: times
//! are told as durations since the start, hashes as the engine has counted them.

use std::time::Duration;

use midstate_chain::{Share, Verdict};
use midstate_engine::{RateMeter, Reading};
use midstate_stratum::ShareOutcome;
use midstate_work::{BlockLedger, Ledger, Rejects};

use super::event::Effort;
use super::status::Rates;

const WINDOWS: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(15 * 60)];

/// See the [module](self) page.
pub(super) struct Books {
    pub(super) shares: Ledger,
    pub(super) blocks: BlockLedger,
    pub(super) rejects: Rejects,
    pub(super) best_difficulty: f64,
    /// Of the newest share that was answered.
    pub(super) latency: Option<Duration>,
    meter: RateMeter,
    /// When the last block was accepted, and the hashes done by then.
    last_block: (Duration, u64),
}

impl Books {
    pub(super) fn new() -> Self {
        Self {
            shares: Ledger::default(),
            blocks: BlockLedger::default(),
            rejects: Rejects::default(),
            best_difficulty: 0.0,
            latency: None,
            meter: RateMeter::new(
                WINDOWS[2],
                Reading { now: Duration::ZERO, busy: Duration::ZERO, count: 0 },
            ),
            last_block: (Duration::ZERO, 0),
        }
    }

    pub(super) fn record_found(&mut self, share: &Share) {
        self.shares.record_found();
        self.best_difficulty = self.best_difficulty.max(share.difficulty());
    }

    /// Shares that the threads found and nobody could have taken.
    pub(super) fn record_turned_away(&mut self, count: u64) {
        for _ in 0..count {
            self.shares.record_found();
            self.shares.record_verdict(Verdict::Throttled);
        }
    }

    /// How a share ended and, where it was refused, why: in the pool's words or ours.
    pub(super) fn record_outcome(&mut self, outcome: &ShareOutcome) {
        let ShareOutcome { verdict, code, reason, latency, .. } = outcome;
        self.shares.record_verdict(*verdict);
        if matches!(verdict, Verdict::Accepted | Verdict::Rejected) {
            self.latency = Some(*latency);
        }
        let reason = reason.as_deref().unwrap_or("no reason given");
        match (verdict, code) {
            (Verdict::Rejected, Some(code)) => {
                self.rejects.record(&format!("{reason} (code {code})"));
            }
            (Verdict::Rejected, None) => self.rejects.record(reason),
            _ => {}
        }
    }

    /// A share that is a block got its verdict. What the block took, if it is accepted.
    pub(super) fn record_block(
        &mut self,
        share: &Share,
        verdict: Verdict,
        now: Duration,
        hashes: u64,
    ) -> Option<Effort> {
        self.blocks.record(verdict);
        if verdict != Verdict::Accepted {
            return None;
        }
        let (then, before) = std::mem::replace(&mut self.last_block, (now, hashes));
        Some(Effort {
            seconds: (now - then).as_secs_f64(),
            hashes: hashes - before,
            expected_hashes: share.job.block_target().expected_hashes_f64(),
        })
    }

    /// `busy` is the time spent hashing.
    pub(super) fn record_hashes(&mut self, now: Duration, busy: Duration, hashes: u64) {
        self.meter.record(Reading { now, busy, count: hashes });
    }

    pub(super) fn rates(&self) -> Rates {
        let [hps_10s, hps_60s, hps_15m] = WINDOWS.map(|window| self.meter.rate(window));
        Rates { hps_10s, hps_60s, hps_15m, hps_10s_overall: self.meter.overall(WINDOWS[0]) }
    }
}

/// `--max-hashrate`: time that passes is turned into hashes that may be done.
pub(super) struct Allowance {
    /// Hashes per second.
    limit: f64,
    /// Hashes allowed so far, and when that was worked out.
    granted: (f64, Duration),
}

impl Allowance {
    pub(super) fn new(limit: f64) -> Self {
        Self { limit, granted: (0.0, Duration::ZERO) }
    }

    /// The hashes allowed since the start, by now. What was not used, for want of a job, is not
    /// saved up beyond what `interval` brings, the time until the next call, and one hash: so no
    /// part of a hash is lost, and the slowest limit is no standstill.
    pub(super) fn grant(&mut self, now: Duration, hashes: u64, interval: Duration) -> u64 {
        let (granted, then) = self.granted;
        let saved_up = hashes as f64 + self.limit * interval.as_secs_f64() + 1.0;
        let granted = (granted + self.limit * (now - then).as_secs_f64()).min(saved_up);
        self.granted = (granted, now);
        granted as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_grows_with_time_and_is_not_saved_up() {
        let (second, quarter) = (Duration::from_secs(1), Duration::from_millis(250));
        let mut allowance = Allowance::new(1000.0);
        assert_eq!(allowance.grant(Duration::ZERO, 0, quarter), 0);
        assert_eq!(allowance.grant(quarter, 0, quarter), 250);
        assert_eq!(allowance.grant(2 * quarter, 250, quarter), 500);
        // Nothing was hashed for a minute.
        assert_eq!(allowance.grant(60 * second, 500, quarter), 751);
    }

    #[test]
    fn rule_18_a_limit_of_a_few_hashes_a_second_is_reached() {
        let (limit, tick) = (3.0, Duration::from_millis(250));
        let mut allowance = Allowance::new(limit);
        // Two workers, each of which may begin a hash while the sum is below the allowance.
        let hashes = (0..400).fold(0, |hashes, ticks| {
            let granted = allowance.grant(tick * ticks, hashes, tick);
            if granted > hashes { hashes + 2 } else { hashes }
        });
        assert!((297..=303).contains(&hashes), "{hashes} in 100 s");
    }

    #[test]
    fn less_than_a_hash_an_interval_is_a_hash_now_and_then() {
        let quarter = Duration::from_millis(250);
        let mut allowance = Allowance::new(1.0);
        let granted =
            [0, 1, 2, 3, 4, 8].map(|quarters| allowance.grant(quarter * quarters, 0, quarter));
        assert_eq!(granted, [0, 0, 0, 0, 1, 1]);
    }
}
