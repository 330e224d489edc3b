//! The jobs on the desk: one, or one of each channel, which take turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Assignment, Piece, Worker};

/// Units of one channel that are claimed before it is the next one's turn. A turn lasts some
/// milliseconds: preparing a page, which each thread does once a turn, takes a twentieth of the
/// time of a unit.
const UNITS_A_TURN: u64 = 8;

/// Jobs of different channels.
pub(super) struct Bench {
    /// At least one.
    jobs: Vec<Arc<Assignment>>,
    /// Claims of units since the start, whatever jobs there were.
    turns: Arc<AtomicU64>,
}

impl Bench {
    pub(super) fn new(jobs: Vec<Arc<Assignment>>, turns: Arc<AtomicU64>) -> Self {
        Self { jobs, turns }
    }

    pub(super) fn jobs(&self) -> &[Arc<Assignment>] {
        &self.jobs
    }

    /// The job whose turn it is.
    pub(super) fn at_turn(&self) -> &Arc<Assignment> {
        &self.jobs[self.place(self.turns.load(Ordering::Relaxed))]
    }

    /// Takes units of `hashes` hashes together, or one, of the job whose turn it is; if there are
    /// none, of the next one that has some.
    pub(super) fn claim(&self, worker: &Arc<Worker>, hashes: u64) -> Option<Piece> {
        let first = match &self.jobs[..] {
            [only] => return Piece::claim(worker, only, hashes),
            _ => self.place(self.turns.fetch_add(1, Ordering::Relaxed)),
        };
        let (before, from) = self.jobs.split_at(first);
        from.iter().chain(before).find_map(|job| Piece::claim(worker, job, hashes))
    }

    fn place(&self, claims: u64) -> usize {
        (claims / UNITS_A_TURN % self.jobs.len() as u64) as usize
    }
}

/// Puts a job in the place of that of its channel, or behind the others.
pub(super) fn put(jobs: &mut Vec<Arc<Assignment>>, next: Arc<Assignment>) {
    let channel = next.space.job().channel;
    match jobs.iter_mut().find(|of| of.space.job().channel == channel) {
        Some(of) => *of = next,
        None => jobs.push(next),
    }
}
