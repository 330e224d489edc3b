//! The standings, fed as the embedded pool feeds them.

use std::net::SocketAddr;

use midstate_chain::{Bits, Hash256, Header};
use midstate_pool::{Front, PoolConfig, RegtestPool, SessionId};
use midstate_stratum::Reject;

use super::*;

/// Hashes that a share of difficulty 1 stands for.
const WORK: u64 = 4_295_032_833;

/// So many sessions, as a pool numbers them.
fn sessions(count: usize) -> Vec<SessionId> {
    let mut pool = RegtestPool::new(PoolConfig::new(1.0, 0), Vec::new(), at(0)).unwrap();
    let from = SocketAddr::from(([127, 0, 0, 1], 1));
    (0..count).map(|_| pool.connect(from)).collect()
}

fn miner(session: SessionId, worker: &str) -> Miner {
    Miner { session, worker: worker.to_owned(), is_host: false, is_device: false }
}

fn host() -> Miner {
    Miner { is_host: true, ..miner(sessions(1)[0], "demo") }
}

fn guest(worker: &str) -> Miner {
    miner(sessions(2)[1], worker)
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn share(miner: Miner, rejected: Option<Reject>) -> EmbeddedPoolEvent {
    let work = if rejected.is_some() { 0 } else { WORK };
    EmbeddedPoolEvent::Share { miner, hash: None, work, rejected }
}

fn block(miner: Miner, height: u32) -> EmbeddedPoolEvent {
    let zero = Hash256::from_bytes([0; 32]);
    let header = Header {
        version: 0,
        prev_hash: zero,
        merkle_root: zero,
        time: height,
        bits: Bits::from_consensus(0x207f_ffff),
        nonce: 0,
    };
    EmbeddedPoolEvent::Block { miner, height, header, raw: Vec::new() }
}

fn workers(standings: &Standings, seconds: u64) -> Vec<WorkerStatus> {
    standings.statuses(at(seconds))
}

#[test]
fn a_rate_is_what_the_shares_of_a_minute_are_worth() {
    let mut standings = Standings::new(Some(1.0));
    for second in 0..300 {
        standings.record(at(second), &share(guest("anna"), None));
    }
    let [anna] = &workers(&standings, 299)[..] else { panic!("one worker") };
    assert_eq!(anna.hps, Some(WORK as f64), "a share a second");
    assert_eq!(anna.error, Some(1.0 / 60f64.sqrt()));
    assert_eq!((anna.accepted, anna.silent), (300, 0.0));
    let [anna] = &workers(&standings, 329)[..] else { panic!("one worker") };
    assert_eq!(anna.hps, Some(WORK as f64 / 2.0), "half a minute without any");
    let [anna] = &workers(&standings, 500)[..] else { panic!("one worker") };
    assert_eq!((anna.hps, anna.error, anna.silent), (Some(0.0), None, 201.0));
}

#[test]
fn refused_shares_are_worth_nothing() {
    let mut standings = Standings::new(Some(1.0));
    standings.record(at(0), &share(guest("ben"), Some(Reject::stale())));
    let [ben] = &workers(&standings, 10)[..] else { panic!("one worker") };
    assert_eq!((ben.hps, ben.accepted, ben.rejected), (None, 0, 1));
}

#[test]
fn strangers_cannot_fill_the_standings() {
    let mut standings = Standings::new(Some(1.0));
    let strangers = sessions(100);
    for stranger in 0..10_000 {
        let (now, height) = (at(stranger), stranger as u32);
        let name = format!("{stranger}\u{1b}[2J\u{200b}{}", "x".repeat(1000));
        let stranger = &strangers[stranger as usize % strangers.len()];
        standings.record(now, &share(miner(*stranger, &name), None));
        standings.record(now, &share(host(), None));
        standings.record(now, &block(miner(*stranger, &name), height));
    }
    let workers = workers(&standings, 10_000);
    assert_eq!(workers.len(), WORKERS);
    assert!(workers.iter().any(|worker| worker.name == THIS_MACHINE), "the active ones stay");
    assert!(workers.iter().all(|worker| worker.name.chars().count() <= NAME));
    assert!(workers.iter().all(|worker| worker.name.chars().all(is_printable)));
    let me = &standings.workers[&host()];
    assert_eq!(me.recent.len(), WINDOW as usize);
}

#[test]
fn miners_are_told_apart_by_session_and_a_name_is_a_label() {
    let mut standings = Standings::new(Some(1.0));
    let ids = sessions(8);
    let guests = [("ann", 1), ("ann", 2), ("demo", 3), (THIS_MACHINE, 4), ("ann #3", 6), (" #", 7)]
        .map(|(name, session)| miner(ids[session], name));
    standings.record(at(0), &share(host(), None));
    for guest in &guests {
        standings.record(at(0), &share(guest.clone(), None));
    }
    let names = |standings: &Standings| {
        let mut names: Vec<_> = workers(standings, 1).into_iter().map(|row| row.name).collect();
        names.sort();
        names
    };
    let expected =
        ["# #8", "ann", "ann #3", "ann #3 #7", "demo", "this machine", "this machine #5"];
    assert_eq!(names(&standings), expected);
    // One of them comes back by another connection, and its row goes on.
    let gone = &guests[1];
    let from = SocketAddr::from(([127, 0, 0, 1], 1));
    let stats = midstate_pool::WorkerStats::default();
    standings.record(at(1), &EmbeddedPoolEvent::Left { miner: gone.clone(), from, stats });
    standings.record(at(1), &share(miner(ids[5], "ann"), None));
    let expected =
        ["# #8", "ann", "ann #3 #7", "ann #6", "demo", "this machine", "this machine #5"];
    assert_eq!(names(&standings), expected);
    let back = workers(&standings, 1).into_iter().find(|row| row.name == "ann #6").unwrap();
    assert_eq!(back.accepted, 2);
}
