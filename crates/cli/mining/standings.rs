//! The miners at the embedded pool: their blocks, their shares, and their rates as the pool sees
//! them, that is by their shares. The page and the live view show them. Bounded, whatever comes. No
//! clock: `now` is the time since the pool was opened.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use midstate_chain::is_printable;
use midstate_pool::{EmbeddedPoolEvent, Miner};
use serde::Serialize;

/// Workers that are remembered: their names come from strangers.
const WORKERS: usize = 64;
/// Characters of a worker's name that are shown.
const NAME: usize = 64;
/// Seconds of shares that a worker's rate is estimated from.
const WINDOW: u64 = 60;
/// How we are called among the miners.
pub(crate) const THIS_MACHINE: &str = "this machine";

/// See the [module](self) page.
pub(crate) struct Standings {
    /// Of the pool's shares, if all have the same.
    difficulty: Option<f64>,
    workers: BTreeMap<Miner, Worker>,
}

struct Worker {
    /// Its connection has ended.
    has_left: bool,
    /// When it was first heard of.
    since: Duration,
    /// When it was last heard of.
    heard: Duration,
    /// Accepted shares of the last seconds, oldest first.
    recent: VecDeque<Second>,
    accepted: u64,
    rejected: u64,
    blocks: u64,
}

/// The shares of one second.
struct Second {
    second: u64,
    shares: u64,
    /// Hashes that they stand for.
    work: u64,
}

/// A worker at this instant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct WorkerStatus {
    pub(crate) name: String,
    /// Estimated from the shares of the last minute; null before there is one.
    pub(crate) hps: Option<f64>,
    /// One standard error of `hps`, as a fraction: 1 / sqrt(shares).
    pub(crate) error: Option<f64>,
    pub(crate) accepted: u64,
    pub(crate) rejected: u64,
    pub(crate) blocks: u64,
    /// Seconds since it was last heard of.
    pub(crate) silent: f64,
}

impl Standings {
    /// No miner yet, at a pool whose shares all have this difficulty, if there is one.
    pub(crate) fn new(difficulty: Option<f64>) -> Self {
        Self { difficulty, workers: BTreeMap::new() }
    }

    /// Of the pool's shares, if all have the same.
    pub(crate) fn difficulty(&self) -> Option<f64> {
        self.difficulty
    }

    /// Something happened at the pool.
    pub(crate) fn record(&mut self, now: Duration, event: &EmbeddedPoolEvent) {
        match event {
            EmbeddedPoolEvent::Joined { miner, .. } => {
                self.worker(now, miner);
            }
            EmbeddedPoolEvent::Share { miner, rejected: None, work, .. } => {
                self.worker(now, miner).record_accepted(now, *work);
            }
            EmbeddedPoolEvent::Share { miner, rejected: Some(_), .. } => {
                self.worker(now, miner).rejected += 1;
            }
            EmbeddedPoolEvent::Block { miner, .. } => self.worker(now, miner).blocks += 1,
            EmbeddedPoolEvent::Left { miner, .. } => {
                if let Some(worker) = self.workers.get_mut(miner) {
                    worker.has_left = true;
                }
            }
            EmbeddedPoolEvent::Unchained { .. }
            | EmbeddedPoolEvent::Full { .. }
            | EmbeddedPoolEvent::Retarget { .. }
            | EmbeddedPoolEvent::Close { .. } => {}
        }
    }

    /// The row of a miner. A miner that comes back under its name takes its old row over; the one
    /// that was silent longest makes room for a new one.
    fn worker(&mut self, now: Duration, miner: &Miner) -> &mut Worker {
        if !self.workers.contains_key(miner) {
            let is_back = |(old, worker): &(&Miner, &Worker)| {
                worker.has_left
                    && (&old.worker, old.is_host, old.is_device)
                        == (&miner.worker, miner.is_host, miner.is_device)
            };
            let row = match self.workers.iter().find(is_back).map(|(old, _)| old.clone()) {
                Some(old) => self.workers.remove(&old),
                None => None,
            };
            if self.workers.len() >= WORKERS {
                let silent = self.workers.iter().min_by_key(|(_, worker)| worker.heard);
                if let Some(silent) = silent.map(|(silent, _)| silent.clone()) {
                    self.workers.remove(&silent);
                }
            }
            let row = row.unwrap_or_else(|| Worker::new(now));
            self.workers.insert(miner.clone(), Worker { has_left: false, ..row });
        }
        let worker = self.workers.get_mut(miner).expect("it was inserted if it was not there");
        worker.heard = now;
        worker
    }

    /// The name of a miner as it is shown: its own, and the number of its session where an earlier
    /// row is called the same, so that no name stands for two miners. A name that has such a number
    /// in it always gets its own behind it.
    pub(crate) fn shown_name(&self, miner: &Miner) -> String {
        let name = plain_name(miner);
        let is_taken = (name == THIS_MACHINE && !miner.is_host)
            || name.contains('#')
            || self
                .workers
                .keys()
                .take_while(|other| *other != miner)
                .any(|other| plain_name(other) == name);
        if is_taken { format!("{name} #{}", miner.session.number()) } else { name }
    }

    /// All of them, fastest first.
    pub(crate) fn statuses(&self, now: Duration) -> Vec<WorkerStatus> {
        let status = |(miner, worker): (&Miner, &Worker)| {
            let (shares, hashes) = worker.recent(now);
            let seconds = (now - worker.since).as_secs_f64().clamp(1.0, WINDOW as f64);
            WorkerStatus {
                name: self.shown_name(miner),
                hps: (worker.accepted > 0).then_some(hashes as f64 / seconds),
                error: (shares > 0).then(|| 1.0 / (shares as f64).sqrt()),
                accepted: worker.accepted,
                rejected: worker.rejected,
                blocks: worker.blocks,
                silent: (now - worker.heard).as_secs_f64(),
            }
        };
        let mut statuses: Vec<_> = self.workers.iter().map(status).collect();
        statuses.sort_by(|a, b| b.hps.unwrap_or(-1.0).total_cmp(&a.hps.unwrap_or(-1.0)));
        statuses
    }
}

impl Worker {
    fn new(now: Duration) -> Self {
        let recent = VecDeque::new();
        Self {
            has_left: false,
            since: now,
            heard: now,
            recent,
            accepted: 0,
            rejected: 0,
            blocks: 0,
        }
    }

    fn record_accepted(&mut self, now: Duration, work: u64) {
        self.accepted += 1;
        let second = now.as_secs();
        match self.recent.back_mut() {
            Some(last) if last.second == second => {
                last.shares += 1;
                last.work = last.work.saturating_add(work);
            }
            _ => {
                if self.recent.len() == WINDOW as usize {
                    self.recent.pop_front();
                }
                self.recent.push_back(Second { second, shares: 1, work });
            }
        }
    }

    /// The shares of the last minute, and the hashes that they stand for.
    fn recent(&self, now: Duration) -> (u64, u64) {
        let start = (now.as_secs() + 1).saturating_sub(WINDOW);
        let recent = self.recent.iter().filter(|second| second.second >= start);
        recent.fold((0, 0), |(shares, work), second| {
            (shares + second.shares, second.work.saturating_add(work))
        })
    }
}

/// The name that a miner gave, as far as it can be printed.
fn plain_name(miner: &Miner) -> String {
    if miner.is_host {
        return THIS_MACHINE.to_owned();
    }
    // Spaces at the ends and double ones are not seen: with them a name would look like another.
    let words: Vec<_> = miner.worker.split_whitespace().collect();
    words.join(" ").chars().filter(|&character| is_printable(character)).take(NAME).collect()
}

#[cfg(test)]
mod tests;
