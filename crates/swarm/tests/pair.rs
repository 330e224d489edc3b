//! Miners of a swarm at the embedded pool, without sockets and in virtual time: whole runs, and the
//! books of both sides.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Header;
use midstate_pool::{EmbeddedPoolEvent, Front, PoolConfig, RegtestPool, SessionId};
use midstate_stratum::ClientConfig;
use midstate_swarm::{Allotment, Books, Event, Limits, Miner, Piece, Script, State, Turn};

/// When the pool's time begins, since 1970.
const EPOCH: Duration = Duration::from_secs(1_700_000_000);
/// From one look at everything to the next.
const STEP: Duration = Duration::from_millis(10);

/// A pool, its miners, and one hashing thread that is as fast as it has to be.
struct World {
    now: Duration,
    pool: RegtestPool,
    accepted: u64,
    rejected: u64,
    miners: Vec<(Miner, Option<SessionId>)>,
    allotment: Allotment,
    books: Books,
}

impl World {
    /// A pool where shares have this difficulty and blocks are ten times as hard, and miners by
    /// this script.
    fn new(script: Script, end: Duration, difficulty: f64) -> Self {
        let config =
            PoolConfig { block_difficulty: difficulty * 10.0, ..PoolConfig::new(difficulty, 7) };
        let pool = RegtestPool::new(config, Vec::new(), EPOCH).expect("it starts");
        let workers = script.workers();
        let miner = |worker| (Miner::new(ClientConfig::new(format!("w{worker}"))), None);
        Self {
            now: Duration::ZERO,
            pool,
            accepted: 0,
            rejected: 0,
            miners: (0..workers).map(miner).collect(),
            allotment: Allotment::new(Arc::new(script), end, &Limits::PRIVATE),
            books: Books::new(workers),
        }
    }

    fn connect(&mut self, worker: usize) {
        let (miner, session) = &mut self.miners[worker];
        *session = Some(self.pool.connect(SocketAddr::from(([127, 0, 0, 1], 1))));
        miner.handle_connected(self.now, None);
    }

    fn disconnect(&mut self, worker: usize) {
        let (miner, session) = &mut self.miners[worker];
        self.pool.disconnect(session.take().expect("it is connected"));
        miner.handle_disconnected(self.now, "cut");
    }

    /// Lines and events go where they belong until there are none.
    fn exchange(&mut self) {
        self.pool.handle_timeout(EPOCH + self.now);
        let mut is_busy = true;
        while std::mem::take(&mut is_busy) {
            for (worker, (miner, session)) in self.miners.iter_mut().enumerate() {
                while let Some(event) = miner.poll_event() {
                    if let Event::Job(job) = &event {
                        self.allotment.set_job(self.now, worker as u32, job.clone());
                    }
                    self.books.record(self.now, worker as u32, &event);
                    is_busy = true;
                }
                let Some(session) = *session else { continue };
                while let Some(line) = miner.poll_transmit() {
                    self.pool.handle_bytes(EPOCH + self.now, session, &line);
                    is_busy = true;
                }
                while let Some(line) = self.pool.poll_transmit(session) {
                    miner.handle_bytes(self.now, &line);
                    is_busy = true;
                }
            }
            while let Some(event) = self.pool.poll_event() {
                if let EmbeddedPoolEvent::Share { rejected, .. } = event {
                    self.accepted += u64::from(rejected.is_none());
                    self.rejected += u64::from(rejected.is_some());
                }
            }
        }
    }

    /// All that is due is hashed.
    fn hash(&mut self) {
        while let Turn::Piece(piece) = self.allotment.next(self.now) {
            let worker = piece.worker();
            for share in scan(&piece) {
                if self.allotment.admits(self.now, worker) {
                    self.miners[worker as usize].0.submit(self.now, share);
                }
            }
            self.allotment.book(piece);
        }
    }

    fn run_until(&mut self, until: Duration) {
        while self.now < until {
            self.exchange();
            self.hash();
            self.exchange();
            self.now += STEP;
        }
    }
}

/// Hashes a piece with the scalar definition, nonce by nonce.
fn scan(piece: &Piece) -> Vec<midstate_chain::Share> {
    let (page, mut shares, mut hashes) = (piece.page(), Vec::new(), 0);
    for nonce in piece.nonces() {
        for (index, header) in page.headers.iter().enumerate() {
            let nonce = u32::try_from(nonce).expect("nonces have 32 bits");
            let hash = Header { nonce, ..*header }.hash();
            hashes += 1;
            if piece.target().is_met_by(&hash) {
                shares.push(piece.share(&page, index, nonce, *hash.as_bytes()));
            }
        }
    }
    assert_eq!(hashes, piece.hashes(), "a piece has as many hashes as it says");
    shares
}

fn steady(workers: u32, rate: u64) -> Script {
    Script::parse(&format!("steady:{rate}"), workers, 1).expect("a profile")
}

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

#[test]
fn hashes_are_those_of_the_script_to_the_hash_and_shares_are_on_both_books() {
    // Rates that no turn and no page divides.
    for (workers, rate) in [(1, 40_009), (10, 3001), (70, 97)] {
        let end = SECONDS(20);
        let mut world = World::new(steady(workers, rate), end, 1e-7);
        (0..workers as usize).for_each(|worker| world.connect(worker));
        world.run_until(end + STEP * 2);
        assert!(world.allotment.is_over());
        let total = world.allotment.total(world.now);
        assert_eq!(total.asked, u64::from(workers) * rate * 20);
        assert_eq!((total.done, total.idle, total.withheld), (total.asked, 0, 0));
        assert_eq!(total.late, 0);
        for worker in 0..workers {
            assert_eq!(world.allotment.count(world.now, worker).done, rate * 20);
        }
        let shares = world.books.shares();
        assert_eq!(shares.accepted(), world.accepted);
        assert_eq!(shares.rejected(), world.rejected);
        assert_eq!(shares.unresolved(), 0);
        // Four standard deviations.
        let expected = total.expected_shares;
        let found = shares.found() as f64;
        assert!((found - expected).abs() < 4.0 * expected.sqrt(), "{found} of {expected}");
        assert_eq!(world.books.count(State::Working), workers as usize);
    }
}

#[test]
fn a_miner_without_a_job_hashes_nothing_and_does_not_make_up_for_it() {
    let end = SECONDS(30);
    let mut world = World::new(steady(2, 1000), end, 1e-7);
    world.connect(0);
    world.connect(1);
    world.run_until(SECONDS(10));
    world.disconnect(1);
    world.run_until(SECONDS(20));
    world.connect(1);
    world.run_until(end + STEP * 2);
    let [one, other] = [0, 1].map(|worker| world.allotment.count(world.now, worker));
    assert_eq!((one.done, one.idle), (30_000, 0));
    assert_eq!(other.done + other.idle, 30_000);
    // What was owed at its last turn before, and the second half.
    assert!((19_000..=20_000).contains(&other.done), "{other:?}");
    assert_eq!(world.books.connections().lost, 1);
    assert_eq!(world.books.connections().opened, 3);
}

#[test]
fn a_script_that_ends_early_ends_to_the_hash() {
    let mut world = World::new(steady(3, 1001), SECONDS(60), 1e-7);
    (0..3).for_each(|worker| world.connect(worker));
    world.run_until(SECONDS(5));
    world.allotment.end_at(Duration::from_millis(5005));
    world.run_until(SECONDS(6));
    assert!(world.allotment.is_over());
    let total = world.allotment.total(world.now);
    assert_eq!((total.asked, total.done), (3 * 5010, 3 * 5010), "5.005 s at 1001 a second");
}

#[test]
fn more_shares_than_may_be_sent_in_a_second_are_withheld_and_counted() {
    // A share takes five hashes or so.
    let mut world = World::new(steady(60, 1000), SECONDS(2), 1e-9);
    (0..60).for_each(|worker| world.connect(worker));
    world.run_until(SECONDS(3));
    let total = world.allotment.total(world.now);
    assert_eq!(total.done, 120_000);
    let found = world.books.shares().found();
    assert!(found <= 3 * u64::from(Limits::PRIVATE.shares), "{found}");
    assert!(total.withheld > 1000, "{total:?}");
    let all = (found + total.withheld) as f64;
    assert!((all - total.expected_shares).abs() < 4.0 * all.sqrt(), "{all} {total:?}");
}

#[test]
fn no_header_is_hashed_twice_when_the_same_work_comes_again() {
    use midstate_chain::{Hash256, Job, Network, Target};
    use std::collections::HashSet;

    let job = |difficulty: f64, version_mask: u32| {
        Arc::new(Job {
            id: "1".into(),
            session: 1,
            channel: None,
            version: 0x2000_0000,
            version_mask,
            prev_hash: Hash256::default(),
            coinbase_prefix: vec![1; 40],
            extranonce1: vec![2; 4],
            extranonce2_size: 4,
            coinbase_suffix: vec![3; 40],
            branch: Vec::new(),
            bits: Network::Regtest.limit(),
            time: 1_700_000_000,
            share_target: Target::from_difficulty(difficulty).expect("a difficulty"),
            network_target: Target::DIFFICULTY_1,
            clean: true,
        })
    };
    let script = Arc::new(steady(1, 1001));
    let mut allotment = Allotment::new(script, SECONDS(9), &Limits::PRIVATE);
    let mut headers = HashSet::new();
    // Another difficulty, the same again after a break, and other bits to roll.
    let jobs =
        [(1.0, 0x1fff_e000), (2.0, 0x1fff_e000), (2.0, 0x1fff_e000), (2.0, 0), (4.0, 0x6000)];
    for (seconds, (difficulty, mask)) in (1..).zip(jobs) {
        let now = SECONDS(seconds);
        allotment.set_job(now - SECONDS(1), 0, None);
        allotment.set_job(now - SECONDS(1), 0, Some(job(difficulty, mask)));
        while let Turn::Piece(piece) = allotment.next(now) {
            let mut hashes = 0;
            for nonce in piece.nonces() {
                for header in piece.page().headers {
                    let nonce = u32::try_from(nonce).expect("nonces have 32 bits");
                    assert!(headers.insert(Header { nonce, ..header }.to_bytes()));
                    hashes += 1;
                }
            }
            assert_eq!(hashes, piece.hashes());
            allotment.book(piece);
        }
    }
    let count = allotment.count(SECONDS(5), 0);
    assert_eq!(headers.len() as u64, count.done);
    assert!(count.done > 4900, "{count:?}");
}

#[test]
fn every_word_of_a_profile_is_kept_to_the_hash() {
    for profile in [
        "steady:1009",
        "step:500@1s,2003@3s",
        "ramp:0..4001/5s@1s",
        "burst:5003/300ms every 1s",
        "steady:1000 stall:@2s for 3s",
        "oscillate:100..2003/3s",
        "steady:700 leave:34%@3s",
        "steady:700 join:2@3s",
    ] {
        let script = Script::parse(profile, 3, 1).expect("a profile");
        let (workers, end) = (script.workers(), SECONDS(8));
        let mut world = World::new(script.clone(), end, 1e-7);
        while world.now < end + STEP * 2 {
            for worker in 0..workers {
                let is_connected = world.miners[worker as usize].1.is_some();
                match (script.is_present(worker, world.now), is_connected) {
                    (true, false) => world.connect(worker as usize),
                    (false, true) => world.disconnect(worker as usize),
                    _ => {}
                }
            }
            world.run_until(world.now + STEP);
        }
        assert!(world.allotment.is_over(), "{profile}");
        for worker in 0..workers {
            let count = world.allotment.count(world.now, worker);
            assert_eq!(count.asked, script.owed(worker, end), "{profile}");
            assert_eq!((count.done + count.idle, count.late), (count.asked, 0), "{profile}");
            // One that leaves does not get to its last turn.
            let may_idle = !script.is_present(worker, end) && count.idle < 700;
            assert!(count.idle == 0 || may_idle, "{profile}: {count:?}");
        }
        assert!(world.accepted > 0, "{profile}");
        assert_eq!(world.books.shares().accepted(), world.accepted, "{profile}");
        assert_eq!(world.books.shares().rejected(), world.rejected, "{profile}");
    }
}
