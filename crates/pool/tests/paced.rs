//! A pool with a pace of its own on a node's chain: the class's target and not the node's decides
//! which share is a block, and the node whether it counts.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Hash256, Header, Job, Verdict};
use midstate_pool::{
    EmbeddedPoolEvent, Front, PaceConfig, PacedPool, PoolConfig, RegtestChain, RetargetReason,
    SessionId,
};
use midstate_stratum::Submission;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_700_000_000 + seconds)
}

/// A pool at a node whose chain has the bits of regtest, and a device at it.
struct Room {
    pool: PacedPool,
    chain: RegtestChain,
    seat: SessionId,
    job: Option<Arc<Job>>,
    nonce: u32,
}

impl Room {
    /// A share takes a few hashes, a block some shares.
    fn open() -> Self {
        Self::of(PoolConfig::new(1e-9, 7))
    }

    fn of(config: PoolConfig) -> Self {
        let pace = PaceConfig { seconds: 10.0, blocks: 2, first_blocks: 2, easiest: 8e-9 };
        let mut pool = PacedPool::new(config, pace, 8e-9).unwrap();
        let from = SocketAddr::from(([10, 0, 0, 1], 1));
        let seat = pool.seat(at(0), "Ada", from);
        let chain = RegtestChain::new(Vec::new()).unwrap();
        let mut room = Self { pool, chain, seat, job: None, nonce: 0 };
        room.renew(at(0));
        room
    }

    /// The node has new work.
    fn renew(&mut self, now: Duration) {
        self.pool.set_template(self.chain.template(now));
    }

    /// Brings shares until one is a block, raw; how many shares that took.
    fn find_block(&mut self, now: Duration) -> (Header, Vec<u8>, usize) {
        let mut shares = 0;
        loop {
            if let Some(job) = self.pool.poll_job(self.seat) {
                self.job = Some(job);
            }
            let job = self.job.clone().unwrap();
            self.nonce += 1;
            let extranonce2 = vec![0; job.extranonce2_size];
            let header = Header { nonce: self.nonce, ..job.header(&extranonce2) };
            if !job.share_target.is_met_by(&header.hash()) {
                continue;
            }
            let (worker, job_id) = ("Ada".to_owned(), job.id.clone());
            let (time, nonce) = (header.time, self.nonce);
            let share = Submission { worker, job_id, extranonce2, time, nonce, version_bits: None };
            let accepted = self.pool.submit(now, self.seat, share).unwrap();
            shares += 1;
            if accepted.block.is_some() {
                return (header, self.pool.poll_block().unwrap(), shares);
            }
        }
    }

    fn events(&mut self) -> Vec<EmbeddedPoolEvent> {
        std::iter::from_fn(|| self.pool.poll_event()).collect()
    }

    fn judge(&mut self, now: Duration, hash: Hash256, verdict: Verdict) {
        let reason = (verdict != Verdict::Accepted).then(|| "high-hash".to_owned());
        self.pool.handle_verdict(now, hash, verdict, reason);
    }

    /// Blocks in the books.
    fn booked(&self) -> u64 {
        self.pool.pool().standings().values().map(|stats| stats.blocks).sum()
    }
}

fn is_block(event: &EmbeddedPoolEvent) -> bool {
    matches!(event, EmbeddedPoolEvent::Block { .. })
}

#[test]
fn a_block_is_harder_than_its_header_says_and_counts_when_the_node_has_it() {
    let mut room = Room::open();
    let mut shares = 0;
    for block in 1..=6 {
        let now = at(block);
        let (header, raw, tries) = room.find_block(now);
        shares += tries;
        assert_eq!(header.bits, midstate_chain::Network::Regtest.limit(), "the node's own");
        assert!(room.pool.pool().height().is_none(), "nobody searches beside it");
        assert_eq!((room.pool.waiting(), room.booked()), (1, block - 1));
        assert!(!room.events().iter().any(is_block), "not before the node has said so");
        room.chain.accept(now, header, raw).unwrap();
        room.judge(now, header.hash(), Verdict::Accepted);
        // The node says it again.
        room.judge(now, header.hash(), Verdict::Accepted);
        assert_eq!(room.events().iter().filter(|event| is_block(event)).count(), 1);
        assert_eq!((room.pool.waiting(), room.booked()), (0, block));
        room.renew(now);
    }
    assert!(shares > 18, "{shares} shares were six blocks");
}

#[test]
fn rule_16_the_newest_blocks_wait_for_their_verdicts_and_no_more() {
    let mut config = PoolConfig::new(1e-9, 7);
    config.bounds.judged_blocks = 2;
    let mut room = Room::of(config);
    // The node takes them, and says so late.
    let hashes = [1, 2, 3].map(|block| {
        let (header, raw, _) = room.find_block(at(block));
        room.chain.accept(at(block), header, raw).unwrap();
        room.renew(at(block));
        header.hash()
    });
    let told = hashes.map(|hash| {
        room.judge(at(4), hash, Verdict::Accepted);
        room.events().iter().filter(|event| is_block(event)).count()
    });
    assert_eq!((told, room.booked()), ([0, 1, 1], 2));
}

#[test]
fn a_refused_block_is_told_with_the_node_s_words_and_is_none() {
    let mut room = Room::open();
    let (header, ..) = room.find_block(at(1));
    room.events();
    room.judge(at(1), header.hash(), Verdict::Rejected);
    let events = room.events();
    let [EmbeddedPoolEvent::Unchained { miner, height, reason, has_counted, .. }] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((&*miner.worker, *height, *has_counted), ("Ada", 1, false));
    assert_eq!(reason.as_deref(), Some("high-hash"));
    assert_eq!((room.pool.waiting(), room.booked()), (0, 0));
    // The node goes on with the same tip, and so does the class.
    room.renew(at(2));
    let (header, raw, _) = room.find_block(at(2));
    room.chain.accept(at(2), header, raw).unwrap();
    room.judge(at(2), header.hash(), Verdict::Accepted);
    assert_eq!(room.booked(), 1);
    // A block that leaves the node's chain counts no more, until it is back.
    room.judge(at(3), header.hash(), Verdict::Unresolved);
    let left = room.events();
    assert!(matches!(left.last(), Some(EmbeddedPoolEvent::Unchained { has_counted: true, .. })));
    assert_eq!(room.booked(), 0);
    room.judge(at(4), header.hash(), Verdict::Accepted);
    assert!(room.events().iter().any(is_block));
    assert_eq!(room.booked(), 1);
    // Of a block that nobody here found the pool knows nothing.
    room.judge(at(4), Hash256::default(), Verdict::Rejected);
    assert!(room.events().is_empty());
}

#[test]
fn the_pace_is_the_pool_s_own_and_old_jobs_keep_their_target() {
    let mut room = Room::open();
    for block in 1..=2 {
        let (header, raw, _) = room.find_block(at(block));
        room.chain.accept(at(block), header, raw).unwrap();
        room.judge(at(block), header.hash(), Verdict::Accepted);
        room.renew(at(block));
    }
    let retarget = room.events().into_iter().find_map(|event| match event {
        EmbeddedPoolEvent::Retarget { difficulty, before, height, reason } => {
            Some((difficulty, before, height, reason))
        }
        _ => None,
    });
    let (harder, before, height, reason) = retarget.unwrap();
    assert_eq!((before, height, reason), (8e-9, 3, RetargetReason::Blocks));
    assert!(harder > before && harder == room.pool.block_difficulty());
    let hard = room.pool.poll_job(room.seat).unwrap();
    assert!((hard.network_target.difficulty() / harder - 1.0).abs() < 1e-6);
    // Nobody finds anything: after a while it is easier, without another tip.
    let due = room.pool.poll_timeout();
    room.pool.handle_timeout(due);
    let easy = room.pool.poll_job(room.seat).unwrap();
    assert!(easy.network_target > hard.network_target && !easy.clean && easy.same_work(&hard));
    let events = room.events();
    let Some(EmbeddedPoolEvent::Retarget { reason: RetargetReason::Time, height: 3, .. }) =
        events.last()
    else {
        panic!("{events:?}")
    };
}
