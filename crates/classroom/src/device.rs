//! A device: its seat at the pool, the work it holds, its claims, and how it behaves.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Target};
use midstate_pool::SessionId;
use midstate_stratum::Submission;
use midstate_work::{Claim, Cut, Frontier, Page, SearchSpace, Unit};
use serde::Serialize;

use crate::class::Verdict;
use crate::limits::ClassLimits;

/// Headers hashed side by side: what a browser's kernel gains by more is below a percent.
const MIDSTATES: usize = 16;
/// All nonces: a page lasts a telephone for hours, and a block comes before.
const NONCES: u64 = 1 << 32;

pub(crate) struct Device {
    /// Its name, which is its worker's name at the pool.
    pub(crate) name: String,
    /// `None` after a long silence, or when it was dropped.
    pub(crate) seat: Option<SessionId>,
    /// When it loses its seat, unless something comes from it.
    pub(crate) due: Duration,
    /// Why it was dropped, in words.
    pub(crate) dropped: Option<String>,
    /// Hashes of all pieces that it says it has done.
    pub(crate) claimed: u64,
    search: Option<Search>,
    /// Newest last.
    pieces: VecDeque<Piece>,
    next_piece: u64,
    pub(crate) conduct: Conduct,
}

/// The job that it searches, and how far it is handed out.
struct Search {
    space: SearchSpace,
    frontier: Frontier,
}

/// A part of a job in the hands of a device.
struct Piece {
    number: u64,
    job: Arc<Job>,
    page: Page,
    unit: Unit,
    /// Hashes that the device says it has done of it.
    done: u64,
    /// The hits that came, with their verdicts.
    hits: HashMap<(usize, u32), Verdict>,
}

/// A piece of work, as a device is sent it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Work {
    /// Its number.
    pub piece: u64,
    /// Whether hits of the pieces before are void.
    pub clean: bool,
    /// Height of the block that is searched; null where the job does not say it.
    pub height: Option<u32>,
    /// States of SHA-256 after the first 64 bytes of each header, in hex.
    pub midstates: Vec<String>,
    /// The bytes 64 to 75 of all headers, in hex.
    pub tail: String,
    /// The first nonce.
    pub first: u64,
    /// How many nonces.
    pub count: u64,
    /// A hash that is not above it is a hit: a number in hex, most significant digit first.
    pub target: String,
    /// The same as a difficulty.
    pub difficulty: f64,
}

/// What a hit of a device is to the device's pieces.
pub(crate) enum Found {
    /// To be judged.
    New(Submission),
    /// It came before.
    Known(Verdict),
    /// Not one of the headers that the device was given.
    Outside,
    /// The piece has had too many.
    TooMany,
    /// The piece is forgotten: a block was found long ago.
    Forgotten,
}

impl Device {
    pub(crate) fn new(now: Duration, name: String, seat: SessionId, limits: &ClassLimits) -> Self {
        Self {
            name,
            seat: Some(seat),
            due: now + limits.silent,
            dropped: None,
            claimed: 0,
            search: None,
            pieces: VecDeque::new(),
            next_piece: 1,
            conduct: Conduct::new(now, limits),
        }
    }

    /// It has another seat: the work of the one before is void.
    pub(crate) fn take_seat(&mut self, seat: SessionId) {
        self.seat = Some(seat);
        self.search = None;
        self.pieces.clear();
    }

    /// Work of a job that came just now. Where it is the same work with another share target, the
    /// search goes on.
    pub(crate) fn take_job(&mut self, job: Arc<Job>, limits: &ClassLimits) -> Option<Work> {
        self.take_job_in(
            job,
            Cut { midstates: MIDSTATES, hashes: u64::MAX, nonces: 0..NONCES },
            limits,
        )
    }

    fn take_job_in(&mut self, job: Arc<Job>, cut: Cut, limits: &ClassLimits) -> Option<Work> {
        let space = SearchSpace::new(job, cut);
        let before = self.search.take();
        let before = before.filter(|before| before.space.job().same_work(space.job()));
        let frontier =
            before.map_or_else(|| Frontier::new(&space), |Search { frontier, .. }| frontier);
        self.search = Some(Search { space, frontier });
        self.next_work(limits)
    }

    /// The next piece of its job. `None` without a job, or when no header of it is left.
    pub(crate) fn next_work(&mut self, limits: &ClassLimits) -> Option<Work> {
        let Search { space, frontier } = self.search.as_mut()?;
        let Claim::Unit(unit) = frontier.claim(space, 0) else { return None };
        let (job, page) = (Arc::clone(space.job()), space.page(unit.page));
        let number = self.next_piece;
        self.next_piece += 1;
        if self.pieces.len() >= limits.pieces {
            self.pieces.pop_front();
        }
        let piece = Piece { number, job, page, unit, done: 0, hits: HashMap::new() };
        let work = piece.work();
        self.pieces.push_back(piece);
        Some(work)
    }

    /// It says how many hashes of a piece it has done: whether that can be, and whether it needs
    /// the next one.
    pub(crate) fn claim(&mut self, number: u64, done: u64) -> Result<bool, String> {
        let newest = self.pieces.back().map(|piece| piece.number);
        let Some(piece) = self.pieces.iter_mut().find(|piece| piece.number == number) else {
            return match number < self.next_piece {
                true => Ok(false),
                false => Err(format!("piece {number} was never handed out")),
            };
        };
        let hashes = piece.hashes();
        if done > hashes {
            return Err(format!(
                "piece {number} has {hashes} hashes, and {done} are said to be done"
            ));
        }
        let was_done = piece.done == hashes;
        let more = done.saturating_sub(piece.done);
        piece.done += more;
        self.claimed = self.claimed.saturating_add(more);
        Ok(!was_done && piece.done == hashes && newest == Some(number))
    }

    /// Looks a hit up in its piece.
    pub(crate) fn find(&self, number: u64, hit: (usize, u32), limits: &ClassLimits) -> Found {
        let Some(piece) = self.pieces.iter().find(|piece| piece.number == number) else {
            return Found::Forgotten;
        };
        let (header, nonce) = hit;
        if let Some(verdict) = piece.hits.get(&hit) {
            return Found::Known(verdict.clone());
        }
        let inside = piece.unit.nonces.contains(&nonce.into());
        let Some(base) = piece.page.headers.get(header).filter(|_| inside) else {
            return Found::Outside;
        };
        if piece.hits.len() >= limits.hits_of_a_piece {
            return Found::TooMany;
        }
        Found::New(Submission {
            worker: self.name.clone(),
            job_id: piece.job.id.clone(),
            extranonce2: piece.page.extranonce2(header).to_vec(),
            time: base.time,
            nonce,
            version_bits: Some(base.version & piece.job.version_mask),
        })
    }

    /// What became of a hit, should it come again.
    pub(crate) fn remember(&mut self, number: u64, hit: (usize, u32), verdict: Verdict) {
        if let Some(piece) = self.pieces.iter_mut().find(|piece| piece.number == number) {
            piece.hits.insert(hit, verdict);
        }
    }
}

impl Piece {
    fn hashes(&self) -> u64 {
        let nonces = self.unit.nonces.end - self.unit.nonces.start;
        nonces * self.page.headers.len() as u64
    }

    fn work(&self) -> Work {
        let midstate = |header: &midstate_chain::Header| {
            header.midstate().words().iter().map(|word| format!("{word:08x}")).collect()
        };
        let target: Target = self.job.share_target;
        let tail = self.page.headers.first().map_or([0; 12], |header| {
            let bytes = header.to_bytes();
            std::array::from_fn(|at| bytes[64 + at])
        });
        Work {
            piece: self.number,
            clean: self.job.clean,
            height: self.job.height(),
            midstates: self.page.headers.iter().map(midstate).collect(),
            tail: const_hex::encode(tail),
            first: self.unit.nonces.start,
            count: self.unit.nonces.end - self.unit.nonces.start,
            target: target.to_string(),
            difficulty: target.difficulty(),
        }
    }
}

/// How a device behaves: a bucket of requests, which fills up with time, and what made no sense.
pub(crate) struct Conduct {
    /// Requests that it may make now.
    left: f64,
    since: Duration,
    /// Requests that were too many, less those since then that were not.
    floods: u32,
    /// Senseless ones in a row.
    strikes: u32,
}

impl Conduct {
    fn new(now: Duration, limits: &ClassLimits) -> Self {
        Self { left: limits.burst.into(), since: now, floods: 0, strikes: 0 }
    }

    /// A request comes. If it is one too many: how long to wait, or that it is enough.
    pub(crate) fn admit(&mut self, now: Duration, limits: &ClassLimits) -> Result<(), Excess> {
        let elapsed = now.saturating_sub(self.since).as_secs_f64();
        let rate = f64::from(limits.requests);
        self.left = (self.left + elapsed * rate).min(limits.burst.into());
        self.since = now;
        if self.left >= 1.0 {
            self.left -= 1.0;
            self.floods = self.floods.saturating_sub(1);
            return Ok(());
        }
        self.floods += 1;
        match self.floods >= limits.floods {
            true => Err(Excess::Drop),
            false => Err(Excess::Wait(Duration::from_secs_f64((1.0 - self.left) / rate))),
        }
    }

    /// Something made no sense; whether that is enough.
    pub(crate) fn strike(&mut self, limits: &ClassLimits) -> bool {
        self.strikes += 1;
        self.strikes >= limits.strikes
    }

    /// Something made sense.
    pub(crate) fn forgive(&mut self) {
        self.strikes = 0;
    }
}

/// A request too many.
pub(crate) enum Excess {
    Wait(Duration),
    Drop,
}

#[cfg(test)]
mod tests {
    use midstate_chain::Header;
    use midstate_pool::{Pool, PoolConfig, RegtestChain};

    use super::*;

    fn device() -> (Device, Arc<Job>, ClassLimits) {
        let mut pool = Pool::new(PoolConfig::new(1e-9, 0)).unwrap();
        let now = Duration::from_secs(1_700_000_000);
        let mut template = RegtestChain::new(Vec::new()).unwrap().template(now);
        template.job.share_target = Target::MAX;
        pool.set_template(template);
        let seat = pool.seat(now, "Ada", ([127, 0, 0, 1], 1).into());
        let limits = ClassLimits::default();
        let job = pool.poll_job(seat).unwrap();
        (Device::new(now, "Ada".into(), seat, &limits), job, limits)
    }

    #[test]
    fn work_is_what_a_kernel_needs_and_no_header_comes_twice() {
        let (mut device, job, limits) = device();
        let work = device.take_job(Arc::clone(&job), &limits).unwrap();
        assert_eq!((work.midstates.len(), work.first, work.count), (16, 0, 1 << 32));
        assert_eq!((work.piece, work.clean, work.height), (1, true, Some(1)));
        assert_eq!((work.tail.len(), work.target.len()), (24, 64));
        // From the midstates and the tail the header's hash can be made.
        let Found::New(share) = device.find(1, (3, 7), &limits) else { panic!("it is new") };
        let version = share.version_bits.unwrap() | job.version & !job.version_mask;
        let header = Header { version, nonce: 7, ..job.header(&share.extranonce2) };
        let words: Vec<u32> = (0..8)
            .map(|word| u32::from_str_radix(&work.midstates[3][8 * word..][..8], 16).unwrap())
            .collect();
        assert_eq!(header.midstate().words()[..], words);
        assert_eq!(header.to_bytes()[64..76], const_hex::decode(&work.tail).unwrap());
        // The same work again, with another target: other headers.
        let again = device.take_job(Arc::clone(&job), &limits).unwrap();
        assert!(again.midstates.iter().all(|midstate| !work.midstates.contains(midstate)));
        // Another job: from the start.
        let other = Arc::new(Job { time: job.time + 1, ..(*job).clone() });
        let fresh = device.take_job(other, &limits).unwrap();
        assert_eq!(fresh.midstates, work.midstates, "the time is in the tail");
        assert_ne!(fresh.tail, work.tail);
    }

    #[test]
    fn a_claim_is_bounded_by_the_piece_and_the_end_of_one_asks_for_the_next() {
        let (mut device, job, limits) = device();
        let cut = Cut { midstates: 2, hashes: 100, nonces: 0..100 };
        let first = device.take_job_in(job, cut, &limits).unwrap();
        assert_eq!((first.first, first.count), (0, 50));
        assert_eq!(device.claim(1, 40), Ok(false));
        assert_eq!(device.claim(1, 30), Ok(false), "an older request came late");
        assert_eq!(device.claimed, 40);
        assert!(device.claim(1, 101).unwrap_err().contains("has 100 hashes"));
        assert!(device.claim(2, 0).unwrap_err().contains("never"));
        assert_eq!(device.claim(1, 100), Ok(true));
        assert_eq!(device.claim(1, 100), Ok(false), "sent again");
        let second = device.next_work(&limits).unwrap();
        assert_eq!((second.piece, second.first, &second.midstates), (2, 50, &first.midstates));
        for (piece, hit) in [(2, (0, 49)), (2, (2, 50)), (2, (0, 100)), (1, (0, 50))] {
            assert!(matches!(device.find(piece, hit, &limits), Found::Outside), "{hit:?}");
        }
        assert!(matches!(device.find(2, (1, 50), &limits), Found::New(_)));
    }

    #[test]
    fn a_hit_that_comes_again_is_known_and_old_pieces_are_forgotten() {
        let (mut device, job, limits) = device();
        device.take_job(job, &limits).unwrap();
        device.remember(1, (0, 5), Verdict::Stale);
        assert!(matches!(device.find(1, (0, 5), &limits), Found::Known(Verdict::Stale)));
        for nonce in 0..2000 {
            if let Found::New(_) = device.find(1, (1, nonce), &limits) {
                device.remember(1, (1, nonce), Verdict::Stale);
            }
        }
        assert!(matches!(device.find(1, (2, 0), &limits), Found::TooMany));
        (0..4).for_each(|_| drop(device.next_work(&limits)));
        assert!(matches!(device.find(1, (0, 5), &limits), Found::Forgotten));
        assert_eq!(device.pieces.len(), limits.pieces);
    }
}
