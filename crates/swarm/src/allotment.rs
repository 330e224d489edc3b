//! Which miner gets the next hashes, and how many: exactly those that the script says it is to have
//! done by now and has not. Asked by the hashing threads.
//!
//! Each miner is looked at when it is due, and gets all that it lacks then, in pieces. A miner
//! that has no job hashes nothing, and does not make up for it: such hashes are counted as idle.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Share, Target};
use midstate_work::{Page, SearchSpace, Unit};

use crate::search::Search;
use crate::{Limits, Script};

/// A miner is due this long after its last turn, if it has much to hash.
const TURN: Duration = Duration::from_millis(200);
/// A miner with less to hash is due later, but not after this.
const LONGEST_TURN: Duration = Duration::from_secs(1);
/// So many hashes are worth a turn: to prepare it costs about as much as a hundred of them.
const WORTH_A_TURN: u64 = 4096;
/// So many hashes has a piece at most: a hundredth of a second's work, so that several threads can
/// work for one miner, and a new job is soon heard of.
const PIECE: u64 = 1 << 19;

/// Divides the hashes of this machine by a script. `now` is the time of the script.
pub struct Allotment {
    script: Arc<Script>,
    /// When the script ends.
    end: Duration,
    hands: Vec<Hand>,
    /// When each miner is due, the first one first. One that has nothing left to do is not in it.
    due: BinaryHeap<Reverse<(Duration, u32)>>,
    in_hand: usize,
    /// A harder target for jobs that are too easy.
    easiest: Target,
    pace: Pace,
}

/// A miner's hashes.
#[derive(Default)]
struct Hand {
    search: Option<Search>,
    has_job: bool,
    count: HashCount,
    /// Hashes handed out, those in hand included.
    claimed: u64,
}

/// Hashes of one miner, or of all.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HashCount {
    /// Hashes that the script asked for.
    pub asked: u64,
    /// Hashes done.
    pub done: u64,
    /// Hashes that were not done for want of a job.
    pub idle: u64,
    /// Hashes that are not done and have been asked for longer than a turn lasts: the threads are
    /// too slow. After the script's end, all that are not done.
    pub late: u64,
    /// Shares that these hashes should have, on average.
    pub expected_shares: f64,
    /// Shares that were found and not sent, since there were too many in that second.
    pub withheld: u64,
}

/// What a hashing thread is to do.
pub enum Turn {
    /// This.
    Piece(Piece),
    /// Nothing before this time has passed.
    Wait(Duration),
    /// Nothing any more.
    Over,
}

/// Headers to hash, for one miner.
pub struct Piece {
    worker: u32,
    space: Arc<SearchSpace>,
    unit: Unit,
    /// How many of the page's headers.
    headers: usize,
    hashes: u64,
    target: Target,
}

/// A bound on shares in a second.
struct Pace {
    second: u64,
    left: u32,
    most: u32,
}

impl Allotment {
    /// The hashes of `script` from its beginning to `end`.
    pub fn new(script: Arc<Script>, end: Duration, limits: &Limits) -> Self {
        let workers = script.workers();
        // Spread evenly, so that not all are due at once.
        let first = |worker: u32| TURN * worker / workers.max(1);
        let due = (0..workers).map(|worker| Reverse((first(worker).min(end), worker))).collect();
        let hands = (0..workers).map(|_| Hand::default()).collect();
        let pace = Pace { second: 0, left: limits.shares, most: limits.shares };
        Self { script, end, hands, due, in_hand: 0, easiest: Target::MAX, pace }
    }

    /// Hits above this target are not looked for, however easy a job is: looking at each costs more
    /// than hashing.
    pub fn set_easiest_target(&mut self, target: Target) {
        self.easiest = target;
    }

    /// Ends the script earlier.
    pub fn end_at(&mut self, now: Duration) {
        self.end = self.end.min(now);
    }

    /// A miner has a new job, or none.
    pub fn set_job(&mut self, now: Duration, worker: u32, job: Option<Arc<Job>>) {
        let owed = self.script.owed(worker, now.min(self.end));
        let Some(hand) = self.hands.get_mut(worker as usize) else { return };
        if !hand.has_job {
            hand.rest(owed);
        }
        hand.has_job = job.is_some();
        if let Some(job) = job {
            hand.search = Some(Search::new(now, job, hand.search.take()));
        }
    }

    /// The next work for a thread.
    pub fn next(&mut self, now: Duration) -> Turn {
        let at = now.min(self.end);
        loop {
            let Some(&Reverse((due, worker))) = self.due.peek() else {
                // The last pieces may still be in hand; nothing comes of them.
                return Turn::Over;
            };
            let due = due.min(self.end);
            if due > at {
                return Turn::Wait(due - at);
            }
            self.due.pop();
            if let Some(piece) = self.take(at, worker) {
                self.in_hand += 1;
                return Turn::Piece(piece);
            }
        }
    }

    /// Whether a share of this miner may be sent, or there are too many in this second. To be asked
    /// once for each share, as soon as it is found.
    pub fn admits(&mut self, now: Duration, worker: u32) -> bool {
        let is_admitted = self.pace.take(now);
        let hand = self.hands.get_mut(worker as usize).filter(|_| !is_admitted);
        hand.into_iter().for_each(|hand| hand.count.withheld += 1);
        is_admitted
    }

    /// A piece is hashed.
    pub fn book(&mut self, piece: Piece) {
        self.in_hand -= 1;
        let count = &mut self.hands[piece.worker as usize].count;
        count.done += piece.hashes;
        count.expected_shares += piece.hashes as f64 / piece.target.expected_hashes_f64();
    }

    /// Whether this miner has got all the hashes up to now that the script asks for.
    pub fn is_served(&self, now: Duration, worker: u32) -> bool {
        let owed = self.script.owed(worker, now.min(self.end));
        self.hands.get(worker as usize).is_none_or(|hand| hand.lacks(owed) == 0)
    }

    /// Whether nothing is left to hash, nor in hand.
    pub fn is_over(&self) -> bool {
        self.due.is_empty() && self.in_hand == 0
    }

    /// The hashes of one miner up to now.
    pub fn count(&self, now: Duration, worker: u32) -> HashCount {
        let asked = self.script.owed(worker, now.min(self.end));
        let count = self.hands[worker as usize].count;
        let due = match now >= self.end {
            true => asked,
            false => self.script.owed(worker, now.saturating_sub(LONGEST_TURN)),
        };
        HashCount { asked, late: due.saturating_sub(count.done + count.idle), ..count }
    }

    /// The hashes of all miners up to now.
    pub fn total(&self, now: Duration) -> HashCount {
        let counts = (0..self.script.workers()).map(|worker| self.count(now, worker));
        counts.fold(HashCount::default(), |sum, one| HashCount {
            asked: sum.asked + one.asked,
            done: sum.done + one.done,
            idle: sum.idle + one.idle,
            late: sum.late + one.late,
            expected_shares: sum.expected_shares + one.expected_shares,
            withheld: sum.withheld + one.withheld,
        })
    }

    /// A piece of what this miner lacks, and its next turn.
    fn take(&mut self, at: Duration, worker: u32) -> Option<Piece> {
        let (end, easiest) = (self.end, self.easiest);
        let owed = self.script.owed(worker, at);
        // It may end here, or leave, or rest for long.
        let is_last = at >= end || self.script.owed(worker, at + LONGEST_TURN) == owed;
        let hand = self.hands.get_mut(worker as usize)?;
        let piece = match hand.has_job {
            true => hand.claim(at, is_last, owed, worker, easiest),
            false => None,
        };
        match piece {
            // There is more to do at once, perhaps for another thread.
            Some(piece) if hand.lacks(owed) > 0 => {
                self.due.push(Reverse((at, worker)));
                Some(piece)
            }
            piece => {
                if piece.is_none() && (at >= end || !hand.has_job) {
                    hand.rest(owed);
                }
                self.schedule(at, worker);
                piece
            }
        }
    }

    /// When this miner is to be looked at again: soon, or when there is something worth a turn.
    fn schedule(&mut self, at: Duration, worker: u32) {
        if at >= self.end {
            return;
        }
        let owed = self.script.owed(worker, at);
        let mut turn = TURN;
        while turn < LONGEST_TURN && self.script.owed(worker, at + turn) - owed < WORTH_A_TURN {
            turn = (turn * 2).min(LONGEST_TURN);
        }
        self.due.push(Reverse(((at + turn).min(self.end), worker)));
    }
}

impl Hand {
    /// Hashes that are owed and neither handed out nor given up.
    fn lacks(&self, owed: u64) -> u64 {
        owed.saturating_sub(self.claimed + self.count.idle)
    }

    /// What it lacks is not done any more.
    fn rest(&mut self, owed: u64) {
        self.count.idle += self.lacks(owed);
    }

    /// As much as it lacks, or as a piece may have. A rest of less than one nonce with all the
    /// page's headers waits for the next turn. Where none comes soon it is some of those headers,
    /// and the others stay unhashed.
    fn claim(
        &mut self,
        at: Duration,
        is_last: bool,
        owed: u64,
        worker: u32,
        easiest: Target,
    ) -> Option<Piece> {
        let lacks = self.lacks(owed).min(PIECE);
        let search = self.search.as_mut()?;
        let Some(headers) = search.hashes_a_nonce(at) else {
            // Every header of the job is hashed.
            self.rest(owed);
            return None;
        };
        if lacks == 0 || (lacks < headers && !is_last) {
            return None;
        }
        let unit = search.claim(at, lacks)?;
        let space = Arc::clone(search.space());
        let all = space.hashes(&unit);
        let headers = if lacks < headers { lacks } else { headers };
        let hashes = all.min(lacks);
        self.claimed += hashes;
        let target = space.job().submit_target().min(easiest);
        Some(Piece { worker, space, unit, headers: headers as usize, hashes, target })
    }
}

impl Piece {
    /// Whose it is.
    pub fn worker(&self) -> u32 {
        self.worker
    }

    /// The headers to hash, with nonce 0.
    pub fn page(&self) -> Page {
        let mut page = self.space.page(self.unit.page);
        page.headers.truncate(self.headers);
        page
    }

    /// The nonces to hash, each with every header of the page.
    pub fn nonces(&self) -> Range<u64> {
        self.unit.nonces.clone()
    }

    /// How many hashes that is.
    pub fn hashes(&self) -> u64 {
        self.hashes
    }

    /// A hash at or below it is a share.
    pub fn target(&self) -> Target {
        self.target
    }

    /// The share of a hash that meets the target, of header number `header`.
    pub fn share(&self, page: &Page, header: usize, nonce: u32, hash: [u8; 32]) -> Share {
        self.space.share(page, header, nonce, hash)
    }
}

impl Pace {
    /// Whether one more share may be sent now.
    fn take(&mut self, now: Duration) -> bool {
        if now.as_secs() > self.second {
            (self.second, self.left) = (now.as_secs(), self.most);
        }
        let is_left = self.left > 0;
        self.left -= u32::from(is_left);
        is_left
    }
}
