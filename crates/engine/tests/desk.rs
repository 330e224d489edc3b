//! The desk with workers that are no threads: as a GPU they claim in batches, as a browser they are
//! slow, come back late, bring a part, or vanish. In virtual time, the same in every run.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use midstate_chain::{Bits, Hash256, Header, Job, Share, Target};
use midstate_engine::{
    BookError, Config, Desk, Engine, Finding, Piece, Progress, Worker, WorkerCount,
};
use midstate_sha256d::Kernel;
use midstate_work::Cut;

const NONCES: u64 = 500;
const VERSIONS: u64 = 8;
/// Headers of a job at one time.
const ALL: u64 = NONCES * VERSIONS;

fn job(id: &str, share_target: Target) -> Arc<Job> {
    Arc::new(Job {
        id: id.into(),
        session: 1,
        channel: None,
        version: 0x2000_0000,
        version_mask: 0x0000_e000,
        prev_hash: Hash256::of(id.as_bytes()),
        coinbase_prefix: vec![1, 2, 3],
        extranonce1: vec![4, 5],
        extranonce2_size: 0,
        coinbase_suffix: vec![6],
        branch: vec![],
        bits: Bits::from_consensus(0x1d00_ffff),
        time: 1_700_000_000,
        share_target,
        network_target: Target::DIFFICULTY_1,
        clean: true,
    })
}

/// Four headers a page, 20 hashes a unit.
fn cut() -> Cut {
    Cut { midstates: 4, hashes: 20, nonces: 7..7 + NONCES }
}

fn desk() -> (Arc<Desk>, Arc<Mutex<Vec<Share>>>) {
    let shares = Arc::new(Mutex::new(Vec::new()));
    let found = Arc::clone(&shares);
    (
        Desk::new(cut(), move |share| found.lock().expect("no test panics with it").push(share)),
        shares,
    )
}

/// Every header of the piece up to a nonce: where every hash is a hit, these are the hits.
fn headers(piece: &Piece, until: u64) -> Vec<(Finding, [u8; 80])> {
    let page = piece.page();
    let nonces = piece.nonces().start as u32..until as u32;
    let of_nonce = |nonce| {
        let headers = page.headers.iter().enumerate();
        headers.map(move |(header, base)| {
            (Finding { header, nonce }, Header { nonce, ..*base }.to_bytes())
        })
    };
    nonces.flat_map(of_nonce).collect()
}

fn findings(piece: &Piece, until: u64) -> Vec<Finding> {
    headers(piece, until).into_iter().map(|(finding, _)| finding).collect()
}

/// Numbers that are as good as random, and the same in every run.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % sides
    }
}

/// A worker in virtual time.
struct Remote {
    worker: Arc<Worker>,
    pieces: Vec<Piece>,
    /// When it does something.
    next: Duration,
}

/// The desk, its workers and all that they did.
struct World {
    desk: Arc<Desk>,
    remotes: Vec<Remote>,
    dice: Dice,
    tried: HashSet<[u8; 80]>,
    /// Tried by a worker that vanished before it told of it.
    untold: HashSet<[u8; 80]>,
    doubles: usize,
}

impl World {
    fn new(desk: &Arc<Desk>, seed: u64) -> Self {
        let remote = || {
            let (worker, pieces) = (desk.worker(), Vec::new());
            Remote { worker, pieces, next: Duration::ZERO }
        };
        Self {
            remotes: std::iter::repeat_with(remote).take(5).collect(),
            desk: Arc::clone(desk),
            dice: Dice(seed),
            tried: HashSet::new(),
            untold: HashSet::new(),
            doubles: 0,
        }
    }

    fn run_until(&mut self, end: Duration) {
        loop {
            let first = (0..self.remotes.len()).min_by_key(|&index| self.remotes[index].next);
            let index = first.expect("there are workers");
            if self.remotes[index].next > end {
                return;
            }
            self.act(index);
        }
    }

    fn act(&mut self, index: usize) {
        let busy = Duration::from_millis(1 + self.dice.throw(200));
        self.remotes[index].next += busy;
        if self.remotes[index].pieces.is_empty() {
            let appetite = 1 + self.dice.throw(400);
            let remote = &mut self.remotes[index];
            remote.pieces = remote.worker.claim_many(appetite);
            return;
        }
        match self.dice.throw(10) {
            // Is busy with it for long: the job may be replaced meanwhile.
            0 => self.remotes[index].next += Duration::from_secs(2),
            1 => self.vanish(index),
            2 => {
                // A part comes back, the rest does not: it looks for newer work, say.
                let mut piece = self.remotes[index].pieces.remove(0);
                let nonces = piece.nonces();
                let until = nonces.start + self.dice.throw(nonces.end - nonces.start);
                self.hash(&piece, until, true);
                let hits = findings(&piece, until);
                piece.book(until, &hits).expect("it was hashed to there");
                self.remotes[index].pieces.clear();
            }
            _ => {
                for piece in std::mem::take(&mut self.remotes[index].pieces) {
                    let until = piece.nonces().end;
                    self.hash(&piece, until, true);
                    let hits = findings(&piece, until);
                    piece.finish(&hits).expect("it was hashed to there");
                }
            }
        }
    }

    /// It goes in the middle of a unit, and another worker comes in its place.
    fn vanish(&mut self, index: usize) {
        let worker = self.desk.worker();
        let next = self.remotes[index].next;
        let gone =
            std::mem::replace(&mut self.remotes[index], Remote { worker, pieces: vec![], next });
        let until = gone.pieces[0].nonces().start + 2;
        self.hash(&gone.pieces[0], until.min(gone.pieces[0].nonces().end), false);
    }

    fn hash(&mut self, piece: &Piece, until: u64, tells: bool) {
        for (_, header) in headers(piece, until) {
            if !self.tried.insert(header) {
                assert!(self.untold.remove(&header), "tried twice, though it was booked");
                self.doubles += 1;
            }
            if !tells {
                self.untold.insert(header);
            }
        }
    }
}

#[test]
fn i2_i3_i4_workers_that_come_late_or_never_lose_nothing_and_double_nothing() {
    let mut doubles = 0;
    for seed in 0..40 {
        let (desk, shares) = desk();
        let mut world = World::new(&desk, seed);
        let second = Duration::from_secs;
        desk.set_job(Some(job("first", Target::MAX)));
        world.run_until(second(1));
        // It goes and comes back: the search goes on.
        desk.set_job(None);
        world.run_until(second(2));
        desk.set_job(Some(job("first", Target::MAX)));
        world.run_until(second(3));
        desk.set_job(Some(job("second", Target::MAX)));
        world.run_until(second(100));

        assert_eq!(desk.progress(), Progress::WaitingForTime, "seed {seed}");
        world.remotes.clear();
        let rest = desk.worker().claim_many(u64::MAX);
        assert!(rest.len() < 30, "no more than what the last workers held: {}", rest.len());
        rest.into_iter().for_each(|piece| {
            let hits = findings(&piece, piece.nonces().end);
            piece.finish(&hits).unwrap();
        });
        let shares = shares.lock().unwrap();
        let distinct: HashSet<_> = shares.iter().map(|share| share.header().to_bytes()).collect();
        assert_eq!(distinct.len(), shares.len(), "seed {seed}: no share twice");
        assert_eq!(desk.hashes(), shares.len() as u64, "seed {seed}: each is counted once");
        let second = shares.iter().filter(|share| share.job.id == "second").count() as u64;
        assert_eq!(second, ALL, "seed {seed}: nothing is lost");
        assert!(shares.len() as u64 > ALL, "seed {seed}: the first job was hashed, too");
        doubles += world.doubles;
    }
    assert!(doubles > 40, "workers vanished in the middle of a unit: {doubles}");
}

#[test]
fn a_batch_is_neighbouring_units_as_one_piece() {
    let (desk, _) = desk();
    desk.set_job(Some(job("batch", Target::DIFFICULTY_1)));
    let worker = desk.worker();
    let pieces = worker.claim_many(1000);
    assert_eq!(pieces.len(), 1);
    assert_eq!((pieces[0].nonces(), pieces[0].hashes()), (7..257, 1000));
    assert_eq!(worker.count(), WorkerCount { hashes: 0, in_hand: 1000 });
    // The rest of the page, and what is missing of the next one; rounded up to a unit.
    let more = worker.claim_many(1001);
    let nonces: Vec<_> = more.iter().map(Piece::nonces).collect();
    assert_eq!(nonces, [257..507, 7..12]);
    assert_ne!(more[0].page_name(), more[1].page_name());
    assert!(worker.claim_many(0).is_empty());
    assert_eq!(worker.claim().unwrap().hashes(), 20);
}

#[test]
fn what_is_wrong_with_a_hit_is_said_and_nothing_of_it_is_booked() {
    let (desk, shares) = desk();
    let easy = Target::from_difficulty(1e-9).unwrap();
    desk.set_job(Some(job("hits", easy)));
    let worker = desk.worker();
    let mut piece = worker.claim_many(200).pop().unwrap();
    let is_hit = |bytes: &[u8; 80]| easy.is_met_by(&Header::from_bytes(bytes).hash());
    let (hits, misses): (Vec<_>, Vec<_>) = headers(&piece, piece.nonces().end)
        .into_iter()
        .map(|(finding, bytes)| (finding, is_hit(&bytes)))
        .partition(|(_, hit)| *hit);
    let (hit, miss) = (hits[0].0, misses[0].0);
    let end = piece.nonces().end;
    let wrong = [
        (end + 1, vec![hit], BookError::NotHeld { until: end + 1, held: 7..end }),
        (end, vec![hit, miss], BookError::Misses(miss)),
        (end, vec![hit, hit], BookError::Twice(hit)),
        (
            end,
            vec![Finding { header: 4, ..hit }],
            BookError::Outside {
                finding: Finding { header: 4, ..hit },
                headers: 4,
                hashed: 7..end,
            },
        ),
        (7, vec![hit], BookError::Outside { finding: hit, headers: 4, hashed: 7..7 }),
    ];
    for (until, hits, error) in wrong {
        assert_eq!(piece.book(until, &hits), Err(error));
        assert_eq!((desk.hashes(), shares.lock().unwrap().len()), (0, 0));
    }
    let all: Vec<_> = hits.iter().map(|(finding, _)| *finding).collect();
    piece.book(end, &all).unwrap();
    assert_eq!((desk.hashes(), shares.lock().unwrap().len()), (200, all.len()));
    assert!(shares.lock().unwrap().iter().all(|share| easy.is_met_by(&share.hash)));
    assert_eq!(
        piece.book(end - 1, &[]),
        Err(BookError::NotHeld { until: end - 1, held: end..end }),
        "it is booked already"
    );
    // A worker with a wrong word for the end of its piece loses it to the next.
    let second = worker.claim().unwrap();
    let nonces = second.nonces();
    assert!(second.finish(&[miss]).is_err());
    assert_eq!(worker.claim().unwrap().nonces(), nonces);
}

#[test]
fn a_piece_is_wanted_as_long_as_its_work_is_on_the_desk() {
    let (desk, _) = desk();
    desk.set_job(Some(job("wanted", Target::DIFFICULTY_1)));
    let worker = desk.worker();
    let piece = worker.claim().unwrap();
    desk.set_elapsed(3);
    desk.set_job(Some(job("wanted", Target::MAX)));
    assert!(piece.is_wanted(), "another target, the same work");
    desk.set_job(None);
    assert!(!piece.is_wanted());
    desk.set_job(Some(job("wanted", Target::DIFFICULTY_1)));
    assert!(piece.is_wanted());
    desk.set_job(Some(job("other", Target::DIFFICULTY_1)));
    assert!(!piece.is_wanted());
    desk.set_job(Some(job("wanted", Target::DIFFICULTY_1)));
    desk.close();
    assert!(!piece.is_wanted() && worker.claim().is_none());
    assert!(!desk.wait_past(desk.epoch()), "nobody waits at a closed desk");
    piece.finish(&[]).expect("what is in hand can be booked");
    assert_eq!(desk.hashes(), 20);
}

#[test]
fn an_allowance_bounds_a_batch_and_what_comes_back_does_not_use_it_up() {
    let (desk, _) = desk();
    desk.set_job(Some(job("allowed", Target::DIFFICULTY_1)));
    desk.set_allowance(100);
    let worker = desk.worker();
    let pieces = worker.claim_many(1000);
    assert_eq!(pieces.iter().map(Piece::hashes).sum::<u64>(), 100);
    assert!(worker.claim().is_none());
    let epoch = desk.epoch();
    drop(pieces);
    assert!(desk.epoch() > epoch, "workers that wait look again");
    assert_eq!(desk.worker().claim_many(1000).iter().map(Piece::hashes).sum::<u64>(), 100);
    assert_eq!((worker.count().in_hand, desk.hashes()), (0, 0));
}

/// A piece whose worker panics may be the reason: it is not handed out again.
#[test]
fn a_piece_that_a_worker_panics_with_is_lost_and_is_written_off() {
    let (desk, _) = desk();
    desk.set_job(Some(job("panic", Target::DIFFICULTY_1)));
    desk.set_allowance(40);
    let worker = desk.worker();
    let fallen = std::thread::spawn({
        let worker = Arc::clone(&worker);
        move || {
            let _piece = worker.claim().unwrap();
            panic!("this panic is part of a test");
        }
    });
    assert!(fallen.join().is_err());
    assert_eq!(worker.count(), WorkerCount { hashes: 0, in_hand: 20 });
    let next = worker.claim().unwrap();
    assert_eq!(next.nonces(), 12..17, "behind what was lost");
    next.finish(&[]).unwrap();
    assert!(worker.claim().is_none(), "the allowance is used up");
    worker.write_off();
    assert_eq!(worker.count(), WorkerCount { hashes: 20, in_hand: 0 });
    assert!(worker.claim().is_some());
}

/// Threads and another worker at one desk, which is told when the first begins and the last ends.
#[test]
fn i2_i3_i4_threads_and_other_workers_share_one_desk() {
    let shares = Arc::new(Mutex::new(Vec::<Share>::new()));
    let found = Arc::clone(&shares);
    let config = Config { kernel: Kernel::SCALAR, threads: 2, cut: cut() };
    let mut engine = Engine::start(config, move |share| found.lock().unwrap().push(share));
    let (told, calls) = mpsc::channel();
    engine.set_on_busy(move |is_busy| told.send(is_busy).unwrap());
    let desk = Arc::clone(engine.desk());
    let worker = desk.worker();
    desk.set_job(Some(job("shared", Target::MAX)));
    {
        let _at_work = worker.at_work();
        loop {
            let epoch = desk.epoch();
            let pieces = worker.claim_many(90);
            if pieces.is_empty() {
                // The threads may still hash, and no more is to come but from here.
                if desk.progress() != Progress::Searching && desk.epoch() == epoch {
                    break;
                }
                continue;
            }
            for (number, mut piece) in pieces.into_iter().enumerate() {
                let nonces = piece.nonces();
                // All of the first, of others a part.
                let until = if number == 0 { nonces.end } else { nonces.start + 1 };
                let hits = findings(&piece, until);
                piece.book(until, &hits).unwrap();
            }
        }
    }
    engine.stop();
    let shares = shares.lock().unwrap();
    let distinct: BTreeSet<_> = shares.iter().map(|share| share.header().to_bytes()).collect();
    assert_eq!((shares.len() as u64, distinct.len() as u64), (ALL, ALL));
    let by_threads: u64 = engine.thread_counts().map(|count| count.hashes).sum();
    assert_eq!(by_threads + worker.count().hashes, ALL);
    assert_eq!(engine.hashes(), ALL);
    let calls: Vec<_> = calls.try_iter().collect();
    assert!(calls.windows(2).all(|pair| pair[0] != pair[1]), "{calls:?}");
    assert_eq!((calls.first(), calls.last()), (Some(&true), Some(&false)));
}

/// A job of a channel, as hard as it can be.
fn job_of(channel: u32, id: &str) -> Arc<Job> {
    let mut job = Job::clone(&job(id, Target::DIFFICULTY_1));
    (job.session, job.channel) = (channel.into(), Some(channel));
    Arc::new(job)
}

/// Claims and finishes that many units, and counts them by channel.
fn work_off(worker: &Arc<Worker>, units: usize) -> Vec<(u32, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for piece in std::iter::from_fn(|| worker.claim()).take(units) {
        *counts.entry(piece.job().channel.expect("of a channel")).or_default() += 1;
        piece.finish(&[]).expect("it is held");
    }
    counts.into_iter().collect()
}

#[test]
fn jobs_of_several_channels_take_turns_and_each_is_searched_once() {
    let (desk, _) = desk();
    let worker = desk.worker();
    desk.set_job(Some(job_of(1, "a")));
    desk.add_job(job_of(2, "b"));
    desk.add_job(job_of(3, "c"));
    // In turns of eight.
    assert_eq!(work_off(&worker, 96), [(1, 32), (2, 32), (3, 32)]);
    // The rest of a channel whose job is replaced is not searched; the others go on where they are.
    desk.add_job(job_of(2, "other"));
    // Of each job there are 4,000 headers, 20 a unit.
    let rest = work_off(&worker, usize::MAX);
    assert_eq!(rest, [(1, 168), (2, 200), (3, 168)], "every header once");
    assert_eq!(desk.progress(), Progress::WaitingForTime);
    assert_eq!(desk.hashes(), (3 * 200 + 32) * 20);
    // The same job again has nothing new.
    desk.add_job(job_of(3, "c"));
    assert_eq!(work_off(&worker, 1), []);
    desk.set_elapsed(1);
    assert_eq!(work_off(&worker, usize::MAX), [(1, 200), (2, 200), (3, 200)]);
}

#[test]
fn a_channel_that_is_taken_away_is_searched_no_more_and_one_job_alone_takes_all_places() {
    let (desk, _) = desk();
    let worker = desk.worker();
    desk.add_job(job_of(1, "a"));
    desk.add_job(job_of(2, "b"));
    let held = worker.claim().expect("there is work");
    assert!(held.is_wanted());
    desk.remove_job(held.job().channel);
    assert!(!held.is_wanted());
    drop(held);
    assert_eq!(work_off(&worker, 40), [(2, 40)]);
    desk.set_job(Some(job_of(3, "c")));
    assert_eq!(work_off(&worker, 40), [(3, 40)]);
    desk.remove_job(Some(3));
    assert_eq!(desk.progress(), Progress::Idle);
    assert!(worker.claim().is_none());
}

#[test]
fn threads_hash_the_jobs_of_all_channels_and_keep_their_pages_apart() {
    let channels = 5;
    let (sender, found) = mpsc::channel();
    let config = Config { kernel: Kernel::SCALAR, threads: 2, cut: cut() };
    let mut engine = Engine::start(config, move |share: Share| {
        // The hash is that of the header of this very job.
        assert_eq!(share.header().hash(), share.hash);
        let _ = sender.send((share.job.channel.expect("of a channel"), share.version, share.nonce));
    });
    for channel in 1..=channels {
        let mut job = Job::clone(&job_of(channel, &channel.to_string()));
        job.share_target = Target::MAX;
        engine.add_job(Arc::new(job));
    }
    let mut seen = HashSet::new();
    while seen.len() < ALL as usize * channels as usize {
        assert!(
            seen.insert(found.recv_timeout(Duration::from_secs(60)).expect("they hash")),
            "twice"
        );
    }
    engine.stop();
}
