//! The engine with real threads: everything hashed once, exact counts, new jobs at once.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use midstate_chain::{Bits, Hash256, Header, Job, Share, Target};
use midstate_engine::{Config, Engine, Progress, RateMeter, Reading, WorkerCount};
use midstate_sha256d::Kernel;
use midstate_work::Cut;

fn job(id: &str, version_mask: u32, share_target: Target) -> Arc<Job> {
    Arc::new(Job {
        id: id.into(),
        session: 1,
        channel: None,
        version: 0x2000_0000,
        version_mask,
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

/// A busy machine may need long for what is sure to come.
const PATIENCE: Duration = Duration::from_secs(200);

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "did not happen within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Every hash hits, so the shares are the search: all of it, once.
#[test]
fn i2_i3_i4_threads_cover_the_space_once_and_count_it_exactly() {
    for kernel in Kernel::available() {
        for threads in [1, 2, 3, 8, 64] {
            for version_mask in [0, 0x0000_e000] {
                let shares = Arc::new(Mutex::new(Vec::<Share>::new()));
                let cut = Cut { midstates: 4, hashes: 148, nonces: (1 << 32) - 1000..1 << 32 };
                let mut engine = Engine::start(Config { kernel, threads, cut }, {
                    let shares = Arc::clone(&shares);
                    move |share| shares.lock().unwrap().push(share)
                });
                engine.set_job(Some(job("all", version_mask, Target::MAX)));
                wait_until("the space is searched", || engine.progress() != Progress::Searching);
                engine.stop();
                let hashes = engine.hashes();

                let shares = shares.lock().unwrap();
                let distinct: HashSet<_> =
                    shares.iter().map(|share| share.header().to_bytes()).collect();
                let expected = 1000 * (1 << version_mask.count_ones());
                assert_eq!(hashes, expected, "{} x {threads}", kernel.name());
                assert_eq!(shares.len() as u64, expected, "{} x {threads}", kernel.name());
                assert_eq!(distinct.len() as u64, expected, "{} x {threads}", kernel.name());
                assert!(shares.iter().all(|share| share.header().hash() == share.hash));
            }
        }
    }
}

#[test]
fn i1_the_same_work_again_goes_on_and_a_new_target_counts_at_once() {
    let shares = Arc::new(Mutex::new(Vec::<Share>::new()));
    let cut = Cut { midstates: 1, hashes: 10, nonces: 0..500 };
    let mut engine = Engine::start(Config { kernel: Kernel::SCALAR, threads: 2, cut }, {
        let shares = Arc::clone(&shares);
        move |share| shares.lock().unwrap().push(share)
    });
    let first = job("same", 0, Target::DIFFICULTY_1);
    engine.set_job(Some(Arc::clone(&first)));
    // All of it is handed out before all of it is hashed.
    wait_until("the space is searched", || {
        engine.hashes() == 500 && engine.progress() == Progress::WaitingForTime
    });

    // Only the difficulty changed: nothing is hashed again.
    engine.set_job(Some(Arc::new(Job { share_target: Target::MAX, ..(*first).clone() })));
    assert_eq!(engine.progress(), Progress::WaitingForTime);
    assert_eq!(engine.hashes(), 500);

    // A second later there is new work, judged by the new target. Time does not go back.
    engine.set_elapsed(1);
    engine.set_elapsed(0);
    wait_until("the next second is searched", || {
        engine.hashes() == 1000 && engine.progress() == Progress::WaitingForTime
    });
    engine.stop();
    let shares = shares.lock().unwrap();
    assert_eq!(shares.len(), 500);
    assert!(shares.iter().all(|share| share.time == first.time + 1));
}

/// A pool that is lost may resume the session and send the job that it left with; and with another
/// version mask some of the headers are the same.
#[test]
fn i1_i2_work_that_comes_back_is_not_hashed_again() {
    let shares = Arc::new(Mutex::new(Vec::<Share>::new()));
    let cut = Cut { midstates: 4, hashes: 16, nonces: 0..100 };
    let mut engine = Engine::start(Config { kernel: Kernel::SCALAR, threads: 2, cut }, {
        let shares = Arc::clone(&shares);
        move |share| shares.lock().unwrap().push(share)
    });
    let with_mask = |version_mask| Job {
        extranonce2_size: 1,
        ..(*job("resumed", version_mask, Target::MAX)).clone()
    };
    let hash_up_to = |hashes| {
        engine.set_allowance(hashes);
        wait_until("so many are hashed", || engine.hashes() >= hashes);
    };
    engine.set_allowance(0);
    engine.set_job(Some(Arc::new(with_mask(0xe000))));
    hash_up_to(2000);
    engine.set_job(None);
    engine.set_job(Some(Arc::new(with_mask(0xe000))));
    hash_up_to(4000);
    engine.set_job(Some(Arc::new(with_mask(0x2000))));
    hash_up_to(6000);
    engine.set_job(Some(Arc::new(with_mask(0x6000))));
    engine.set_allowance(u64::MAX);
    wait_until("the rest is handed out", || engine.progress() == Progress::WaitingForTime);
    engine.stop();
    let shares = shares.lock().unwrap();
    let distinct: HashSet<_> = shares.iter().map(|share| share.header().to_bytes()).collect();
    assert_eq!((distinct.len(), engine.hashes()), (shares.len(), shares.len() as u64));
    // Each extranonce2 was begun with one mask; with this one all that were left.
    let last = shares.iter().filter(|share| share.job.version_mask == 0x6000);
    assert_eq!(last.map(|share| share.extranonce2[0]).max(), Some(255));
}

#[test]
fn i10_without_a_job_a_thread_ends_after_the_unit_in_hand() {
    const UNIT: u64 = 64;
    let (found, shares) = mpsc::channel();
    let (go_on, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let cut = Cut { midstates: 1, hashes: UNIT, nonces: 0..1 << 32 };
    let mut engine =
        Engine::start(Config { kernel: Kernel::SCALAR, threads: 1, cut }, move |share| {
            // Every hash hits: the thread stands in the first of its unit until the job is gone.
            if found.send(share).is_ok() {
                let _ = gate.lock().unwrap().recv();
            }
        });
    engine.set_job(Some(job("young", 0, Target::MAX)));
    shares.recv_timeout(PATIENCE).expect("the first unit is begun");
    engine.set_job(None);
    drop((shares, go_on));
    wait_until("the unit is done", || engine.hashes() == UNIT);
    engine.stop();
    assert_eq!(engine.hashes(), UNIT, "and no other one");
}

#[test]
fn i10_a_new_job_replaces_the_old_one_and_no_job_stops_the_search() {
    let (found, shares) = mpsc::channel();
    let cut = Cut { midstates: 1, hashes: 64, nonces: 0..1 << 32 };
    let easy = Target::from_difficulty(1e-7).unwrap();
    let mut engine =
        Engine::start(Config { kernel: Kernel::SCALAR, threads: 2, cut }, move |share| {
            let _ = found.send(share);
        });
    assert_eq!(engine.progress(), Progress::Idle);
    for id in ["one", "two", "three"] {
        engine.set_job(Some(job(id, 0, easy)));
        wait_until("a share of the new job", || {
            shares.recv_timeout(Duration::from_secs(10)).is_ok_and(|share| share.job.id == id)
        });
    }
    engine.set_job(None);
    assert_eq!(engine.progress(), Progress::Idle);
    let mut before = engine.hashes();
    wait_until("the last units end", || {
        std::mem::replace(&mut before, engine.hashes()) == engine.hashes()
    });
    engine.stop();
}

#[test]
fn the_meter_averages_over_its_windows() {
    let second = Duration::from_secs;
    let reading = |at: u64, count| Reading { now: second(100 + at), busy: second(7 + at), count };
    let mut meter = RateMeter::new(second(60), reading(0, 0));
    assert_eq!(meter.rate(second(10)), None);
    for at in 1..=200 {
        // 5 a second at first, 20 a second in the last ten seconds.
        let count = if at <= 190 { 5 * at } else { 950 + 20 * (at - 190) };
        meter.record(reading(at, count));
    }
    assert_eq!(meter.rate(second(10)), Some(20.0));
    assert_eq!(meter.rate(second(20)), Some(12.5));
    assert_eq!(meter.rate(second(60)), Some(7.5));
}

#[test]
fn a_hash_rate_is_hashes_by_the_time_spent_hashing() {
    let second = Duration::from_secs;
    let reading = |now, busy, count| Reading { now: second(now), busy: second(busy), count };
    let mut meter = RateMeter::new(second(60), reading(0, 0, 0));
    // Waits 5 s, hashes 5 s, rests 30 s, hashes 10 s.
    for (now, busy, count) in [(5, 0, 0), (10, 5, 500), (40, 5, 500), (50, 15, 1500)] {
        meter.record(reading(now, busy, count));
    }
    assert_eq!(meter.rate(second(60)), Some(100.0));
    assert_eq!(meter.overall(second(60)), Some(30.0));
    meter.record(reading(70, 15, 1500));
    assert_eq!((meter.rate(second(10)), meter.overall(second(20))), (None, Some(0.0)));
}

/// Hits that flood the threads are left out, but for blocks that are no toy.
#[test]
fn i7_a_block_is_looked_for_however_easy_it_is() {
    let kernel = Kernel::available().last().expect("there is the scalar kernel");
    let block = Target::from_difficulty(0.0012).unwrap();
    let hard = Target::from_difficulty(1e6).unwrap();
    let easy = Job { network_target: block, ..(*job("easy", 0x1fff_e000, Target::MAX)).clone() };
    assert!(!easy.has_toy_blocks());
    let (found, shares) = mpsc::channel();
    let config = Config { kernel, threads: 1, cut: Cut::by_hashes(16, 4_000) };
    let mut engine = Engine::start(config, move |share: Share| {
        let _ = found.send(share);
    });
    engine.set_easiest_target(hard);
    engine.set_job(Some(Arc::new(easy)));
    let share = shares.recv_timeout(PATIENCE).unwrap();
    assert!(block.is_met_by(&share.hash), "nothing but blocks is looked for");
    engine.stop();
}

/// The time between the calls is the time spent hashing: rests for want of a job, of an allowance
/// or of threads lie outside.
#[test]
fn the_engine_tells_when_hashing_begins_and_ends() {
    let kernel = Kernel::available().last().expect("there is the scalar kernel");
    let config = Config { kernel, threads: 3, cut: Cut::by_hashes(4, 1_000) };
    let mut engine = Engine::start(config, |_| {});
    let (told, calls) = mpsc::channel();
    engine.set_on_busy(move |is_busy| told.send(is_busy).unwrap());
    let last = || {
        let calls: Vec<_> = calls.try_iter().collect();
        let alternate = calls.windows(2).all(|pair| pair[0] != pair[1]);
        assert!(alternate, "{calls:?}");
        calls.last().copied()
    };
    assert_eq!(last(), None, "there is no job");
    // It hashes until the allowance is used up.
    engine.set_allowance(10_000);
    engine.set_job(Some(job("busy", 0x1fff_e000, Target::DIFFICULTY_1)));
    wait_until("the allowance is used", || engine.hashes() >= 10_000);
    wait_until("all threads rest", || engine.thread_counts().all(|count| count.in_hand == 0));
    let ended = || calls.recv_timeout(PATIENCE).unwrap();
    let mut is_busy = ended();
    while is_busy || engine.hashes() < 10_000 {
        is_busy = ended();
    }
    // Without a limit it goes on, until there are no threads, no job, or no engine.
    engine.set_allowance(u64::MAX);
    assert!(ended());
    engine.set_threads(0).unwrap();
    while ended() {}
    engine.set_threads(2).unwrap();
    while !ended() {}
    engine.set_job(None);
    while ended() {}
    engine.set_job(Some(job("busy", 0x1fff_e000, Target::DIFFICULTY_1)));
    while !ended() {}
    engine.stop();
    assert_eq!(last(), Some(false));
}

/// A pool that forbids to roll the version: what is hashed side by side is two extranonce2 values.
#[test]
fn i2_pairs_of_extranonces_are_hashed_and_give_good_shares() {
    let kernel = Kernel::available().last().expect("there is the scalar kernel");
    let easy = Target::from_difficulty(1e-5).unwrap();
    let narrow = Job { extranonce2_size: 4, ..(*job("narrow", 0, easy)).clone() };
    let (found, shares) = mpsc::channel();
    let cut = Cut::by_hashes(32, 4_000);
    let mut engine = Engine::start(Config { kernel, threads: 2, cut }, move |share: Share| {
        let _ = found.send(share);
    });
    engine.set_job(Some(Arc::new(narrow)));
    let mut distinct = HashSet::new();
    let mut extranonces = HashSet::new();
    let started = Instant::now();
    while extranonces.len() < 3 {
        assert!(started.elapsed() < PATIENCE, "no pair: {extranonces:?}");
        let share = shares.recv_timeout(PATIENCE).unwrap();
        assert_eq!(share.header().hash(), share.hash);
        assert!(easy.is_met_by(&share.hash));
        assert!(distinct.insert(share.header().to_bytes()), "hashed twice");
        extranonces.insert(share.extranonce2);
    }
    engine.stop();
    let mut ends: Vec<_> = (extranonces.iter())
        .map(|value| job("narrow", 0, easy).merkle_root(value).as_bytes()[28..].to_vec())
        .collect();
    ends.sort();
    assert!(ends[0] == ends[1] || ends[1] == ends[2], "two of three end alike: {ends:?}");
    let doubles = shares.try_iter().filter(|share| !distinct.insert(share.header().to_bytes()));
    assert_eq!(doubles.count(), 0, "hashed twice");
}

#[test]
fn an_allowance_is_used_up_and_exceeded_by_a_unit_a_thread_at_most() {
    let (threads, unit) = (3, 400);
    let cut = Cut { midstates: 4, hashes: unit, nonces: 0..1 << 32 };
    let kernel = Kernel::available().next().unwrap();
    let mut engine = Engine::start(Config { kernel, threads, cut }, |_| {});
    engine.set_allowance(0);
    engine.set_job(Some(job("limited", 0x0000_e000, Target::DIFFICULTY_1)));
    let most = threads as u64 * unit;
    for allowance in [10_000, 10_001, 50_000] {
        engine.set_allowance(allowance);
        wait_until("the allowance is used up", || engine.hashes() >= allowance);
        std::thread::sleep(Duration::from_millis(20));
        assert!(engine.hashes() < allowance + most, "{} of {allowance}", engine.hashes());
    }
    engine.set_allowance(u64::MAX);
    wait_until("all holds are off", || engine.hashes() > 1_000_000);
    engine.stop();
}

/// Threads come and go in the middle of the search, and it is none the worse for it.
#[test]
fn i2_i3_i4_the_number_of_threads_may_change_at_any_time() {
    let (found, shares) = mpsc::channel();
    let (space, easy) = (400_000, Target::from_difficulty(1e-7).unwrap());
    let cut = Cut { midstates: 1, hashes: 64, nonces: 0..space };
    let mut engine =
        Engine::start(Config { kernel: Kernel::SCALAR, threads: 1, cut }, move |share| {
            found.send(share).unwrap();
        });
    let job = job("changing", 0, easy);
    engine.set_job(Some(Arc::clone(&job)));
    wait_until("one thread has begun", || engine.hashes() > 0);
    for threads in [3, 1, 2, 0, 4].into_iter().cycle().take(50) {
        engine.set_threads(threads).unwrap();
        assert_eq!(engine.threads(), threads);
        std::thread::sleep(Duration::from_micros(200));
    }
    wait_until("the space is searched", || engine.hashes() == space);
    engine.stop();
    assert_eq!(engine.hashes(), space);

    let found: Vec<_> = shares.try_iter().map(|share| share.nonce).collect();
    let distinct: HashSet<_> = found.iter().copied().collect();
    assert_eq!(distinct.len(), found.len(), "nothing is found twice");
    let header = job.header(&[]);
    let hits = |nonce: &u32| easy.is_met_by(&Header { nonce: *nonce, ..header }.hash());
    let expected: HashSet<_> = (0..space as u32).filter(hits).collect();
    assert!(expected.len() > 100, "{}", expected.len());
    assert_eq!(distinct, expected, "nothing is lost");
}

#[test]
fn without_threads_the_search_stands_still_and_goes_on_where_it_stood() {
    let cut = Cut { midstates: 1, hashes: 64, nonces: 0..1 << 32 };
    let mut engine = Engine::start(Config { kernel: Kernel::SCALAR, threads: 2, cut }, |_| {});
    let job = job("paused", 0, Target::DIFFICULTY_1);
    engine.set_job(Some(Arc::clone(&job)));
    wait_until("the search has begun", || engine.hashes() > 0);
    engine.set_threads(0).unwrap();
    // Every unit that was taken is done when the next one begins where the count stands.
    let mut next = None;
    wait_until("the last units end", || {
        next = engine.next_header();
        next.is_some_and(|next| u64::from(next.nonce) == engine.hashes())
    });
    let (next, before) = (next.unwrap(), engine.hashes());
    assert_eq!(Header { nonce: 0, ..next }, job.header(&[]));
    assert_eq!(engine.progress(), Progress::Searching, "there is more to do");
    engine.set_threads(1).unwrap();
    wait_until("it goes on", || engine.hashes() > before);
    engine.set_job(None);
    assert_eq!(engine.next_header(), None);
}

/// However fast jobs come (S6), none is begun for less than some units: to begin one has a price.
#[test]
fn s6_in_a_flood_of_jobs_each_that_is_begun_lasts_for_some_units() {
    const UNIT: usize = 64;
    let (found, shares) = mpsc::channel();
    let cut = Cut { midstates: 1, hashes: UNIT as u64, nonces: 0..1 << 32 };
    let mut engine =
        Engine::start(Config { kernel: Kernel::SCALAR, threads: 1, cut }, move |share: Share| {
            found.send(share.job.id.clone()).unwrap();
        });
    let mut hashed = BTreeMap::<usize, usize>::new();
    let number = |id: String| id.parse::<usize>().unwrap();
    // Every hash is a share.
    for sent in 0.. {
        engine.set_job(Some(job(&sent.to_string(), 0, Target::MAX)));
        shares.try_iter().for_each(|id| *hashed.entry(number(id)).or_default() += 1);
        if hashed.len() > 100 {
            break;
        }
    }
    engine.stop();
    shares.try_iter().for_each(|id| *hashed.entry(number(id)).or_default() += 1);
    // The last one was not ended by a new job.
    hashed.pop_last();
    for (id, hashes) in hashed {
        assert_eq!(hashes % UNIT, 0, "whole units of job {id}");
        assert!(hashes >= 4 * UNIT, "{hashes} hashes of job {id}");
    }
}

/// A thread that does not come back from a share of the job before: the others do not wait for it.
#[test]
fn i10_a_thread_that_stalls_holds_up_no_other_and_goes_on_where_it_stood() {
    let (found, shares) = mpsc::channel();
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap();
    let cut = Cut { midstates: 1, hashes: 64, nonces: 0..64_000 };
    let config = Config { kernel: Kernel::SCALAR, threads: 2, cut };
    let mut engine = Engine::start(config, {
        let gate = Arc::clone(&gate);
        move |share: Share| {
            if share.job.id == "first" && share.nonce == 5 {
                drop(gate.lock().unwrap());
            }
            found.send((share.job.id.clone(), share.nonce)).unwrap();
        }
    });
    engine.set_job(Some(job("first", 0, Target::MAX)));
    let busy = |engine: &Engine| {
        let busy = |(index, count): (usize, WorkerCount)| (count.in_hand > 0).then_some(index);
        engine.thread_counts().enumerate().filter_map(busy).collect::<Vec<_>>()
    };
    // The unit with the gate, and all the others.
    wait_until("one thread is left to hash", || {
        engine.hashes() == 64_000 - 64 && busy(&engine).len() == 1
    });
    let index = busy(&engine)[0];
    let before = engine.thread_counts().nth(index);
    engine.set_job(Some(job("second", 0, Target::MAX)));
    wait_until("the other has hashed it all", || engine.hashes() == 2 * 64_000 - 64);
    assert_eq!(engine.thread_counts().nth(index), before, "it has not moved");

    drop(closed);
    wait_until("its unit is finished", || engine.hashes() == 2 * 64_000);
    engine.set_job(Some(job("third", 0, Target::MAX)));
    wait_until("both hash again", || engine.hashes() == 3 * 64_000);
    engine.stop();
    let found: Vec<_> = shares.try_iter().collect();
    let distinct: HashSet<_> = found.iter().collect();
    assert_eq!((found.len(), distinct.len()), (3 * 64_000, 3 * 64_000), "nothing lost or doubled");
}

#[test]
fn a_thread_that_falls_is_told_with_what_is_lost_and_replaced() {
    let fallen = AtomicBool::new(false);
    let cut = Cut { midstates: 1, hashes: 64, nonces: 0..64_000 };
    let config = Config { kernel: Kernel::SCALAR, threads: 1, cut };
    let mut engine = Engine::start(config, move |share| {
        let falls = share.nonce == 100 && !fallen.swap(true, Ordering::Relaxed);
        assert!(!falls, "this panic is part of a test");
    });
    assert_eq!(fallen_of(&mut engine), []);
    // Just enough for the others: the unit that is lost does not use any of it up.
    engine.set_allowance(64_000 - 64);
    engine.set_job(Some(job("first", 0, Target::MAX)));
    let mut told = Vec::new();
    wait_until("the thread falls", || {
        told = fallen_of(&mut engine);
        !told.is_empty()
    });
    assert_eq!(told, [(0, 64)], "the unit from nonce 64 on");
    wait_until("the new one has hashed the rest", || engine.hashes() == 64_000 - 64);
    wait_until("it rests", || engine.thread_counts().all(|count| count.in_hand == 0));
    assert_eq!(fallen_of(&mut engine), []);
    engine.stop();
    assert_eq!(engine.hashes(), 64_000 - 64);
}

fn fallen_of(engine: &mut Engine) -> Vec<(usize, u64)> {
    let (replaced, outcome) = engine.replace_fallen();
    outcome.expect("the system starts threads");
    replaced
}
