//! The pool on its own chain, by the lines that a miner sends.

use std::net::SocketAddr;
use std::time::Duration;

use midstate_pool::{EmbeddedPoolEvent, Front, PoolBounds, PoolConfig, RegtestPool, SessionId};
use serde_json::{Value, json};

/// Core's `MAX_FUTURE_BLOCK_TIME`.
const TWO_HOURS: Duration = Duration::from_secs(2 * 60 * 60);

/// A miner of a few hashes.
struct Miner {
    pool: RegtestPool,
    session: SessionId,
    /// The newest one that was announced.
    job: Option<String>,
}

impl Miner {
    fn join(now: Duration) -> Self {
        Self::join_at(now, PoolConfig::new(1e-9, 0))
    }

    /// At a pool of this kind.
    fn join_at(now: Duration, config: PoolConfig) -> Self {
        let mut pool = RegtestPool::new(config, Vec::new(), now).expect("it starts");
        let session = pool.connect(SocketAddr::from(([127, 0, 0, 1], 1)));
        let mut miner = Self { pool, session, job: None };
        miner.ask(now, "mining.subscribe", json!([]));
        miner.ask(now, "mining.authorize", json!(["me", ""]));
        miner
    }

    /// The answer to a request.
    fn ask(&mut self, now: Duration, method: &str, params: Value) -> Value {
        let line = format!("{}\n", json!({"id": 1, "method": method, "params": params}));
        self.pool.handle_bytes(now, self.session, line.as_bytes());
        self.hear().expect("a request has its answer")
    }

    /// Takes what the pool sends: its jobs, and an answer if there is one.
    fn hear(&mut self) -> Option<Value> {
        let mut answer = None;
        while let Some(bytes) = self.pool.poll_transmit(self.session) {
            for line in String::from_utf8(bytes).expect("text").lines() {
                let message: Value = serde_json::from_str(line).expect("JSON");
                match message["method"].as_str() {
                    Some("mining.notify") => {
                        self.job = message["params"][0].as_str().map(str::to_owned);
                    }
                    Some(_) => {}
                    None => answer = Some(message),
                }
            }
        }
        answer
    }

    /// Another connection, whose answers are taken by [`ask_as`](Self::ask_as).
    fn connect(&mut self, now: Duration, user: &str, password: &str) -> SessionId {
        let session = self.pool.connect(SocketAddr::from(([127, 0, 0, 1], 2)));
        self.ask_as(session, now, "mining.subscribe", json!([]));
        self.ask_as(session, now, "mining.authorize", json!([user, password]));
        session
    }

    fn ask_as(&mut self, session: SessionId, now: Duration, method: &str, params: Value) -> Value {
        let own = std::mem::replace(&mut self.session, session);
        let answer = self.ask(now, method, params);
        self.session = own;
        answer
    }

    /// Submits this nonce for the present job: the answer, and the events.
    fn submit(&mut self, now: Duration, nonce: u32) -> (Value, Vec<EmbeddedPoolEvent>) {
        let job = self.job.clone().expect("there is a job");
        let (time, nonce) = (format!("{:08x}", now.as_secs()), format!("{nonce:08x}"));
        let answer = self.ask(now, "mining.submit", json!(["me", job, "00000000", time, nonce]));
        (answer, std::iter::from_fn(|| self.pool.poll_event()).collect())
    }

    /// Mines a block with this time in its header. It ends the job.
    fn mine(&mut self, now: Duration, time: Duration) {
        let job = self.job.take().expect("there is a job");
        let time = format!("{:08x}", time.as_secs());
        for nonce in 0..10_000 {
            let nonce = format!("{nonce:08x}");
            self.ask(now, "mining.submit", json!(["me", job, "00000000", time, nonce]));
            let mut events = std::iter::from_fn(|| self.pool.poll_event());
            if events.any(|event| matches!(event, EmbeddedPoolEvent::Block { .. })) {
                return;
            }
        }
        panic!("no block with time {time}");
    }
}

#[test]
fn a_chain_two_hours_ahead_of_the_clock_waits_for_it() {
    let now = Duration::from_secs(1_700_000_000);
    let mut miner = Miner::join(now);
    // Above genesis alone, a block's time is the median.
    miner.mine(now, now + TWO_HOURS);
    assert_eq!(miner.job, None, "the next one's time would be two hours and a second ahead");
    let late = json!(["me", "1", "00000000", "6553f100", "00000000"]);
    let late = miner.ask(now, "mining.submit", late);
    assert_eq!(late["error"][0], 21, "{late}");

    let then = now + Duration::from_secs(1);
    assert_eq!(miner.pool.poll_timeout(), then);
    miner.pool.handle_timeout(now);
    assert_eq!((miner.hear(), &miner.job), (None, &None), "not yet");
    miner.pool.handle_timeout(then);
    miner.hear();
    miner.mine(then, then + TWO_HOURS);
    assert_eq!(miner.pool.chain().height(), 2);
}

const NOW: Duration = Duration::from_secs(1_700_000_000);

fn is_block(event: &EmbeddedPoolEvent) -> bool {
    matches!(event, EmbeddedPoolEvent::Block { .. })
}

#[test]
fn a_share_has_one_verdict_and_a_refused_one_changes_nothing() {
    // Shares of 65,536 hashes, blocks the same, on a network where every second hash would do.
    let mut miner = Miner::join_at(NOW, PoolConfig::new(1.0 / 65536.0, 0));
    let job = miner.job.clone();
    let mut refused = 0;
    for nonce in 0..1_000 {
        let (answer, events) = miner.submit(NOW, nonce);
        if answer["error"][0] == 23 {
            refused += 1;
            assert!(!events.iter().any(is_block), "{answer} {events:?}");
            assert_eq!((miner.pool.chain().height(), &miner.job), (0, &job));
        }
    }
    assert!(refused > 900, "about one in 65,536 is a share: {refused} refused");
    // The same nonce again is refused for the same reason: a refusal leaves nothing behind.
    let again: Vec<_> =
        (0..10).map(|nonce| miner.submit(NOW, nonce).0["error"][0].clone()).collect();
    assert!(again.iter().filter(|code| **code == 23).count() >= 9, "{again:?}");
}

#[test]
fn an_accepted_share_that_misses_the_block_target_is_a_share_and_no_block() {
    let config = PoolConfig { block_difficulty: 1e-6, ..PoolConfig::new(1e-9, 0) };
    let mut miner = Miner::join_at(NOW, config);
    let (mut shares, mut blocks) = (0, 0);
    for nonce in 0..100_000 {
        let (answer, events) = miner.submit(NOW, nonce);
        let found = events.iter().any(is_block);
        assert!(!found || answer["result"] == true, "a block is an accepted share: {answer}");
        if answer["result"] == true {
            shares += u32::from(!found);
            blocks += u32::from(found);
        }
        if blocks > 0 {
            break;
        }
    }
    assert!(shares > 10 && blocks == 1, "{shares} shares, {blocks} blocks");
    assert_eq!(miner.pool.chain().height(), 1);
    let stats = miner.pool.pool().standings().values().next().unwrap();
    assert_eq!((stats.blocks, stats.accepted), (1, u64::from(shares) + 1));
}

#[test]
fn a_share_counts_once_on_a_tip_whatever_job_it_names() {
    let config = PoolConfig { block_difficulty: 1.0, ..PoolConfig::new(1e-9, 0) };
    let mut miner = Miner::join_at(NOW, config);
    let nonce = (0..100).find(|&nonce| miner.submit(NOW, nonce).0["result"] == true).unwrap();
    assert_eq!(miner.submit(NOW, nonce).0["error"][0], 22, "the same job");
    let first = miner.job.clone();
    let due = miner.pool.poll_timeout();
    miner.pool.handle_timeout(due);
    miner.hear();
    assert_ne!(miner.job, first, "the same work under a new id");
    assert_eq!(miner.submit(NOW, nonce).0["error"][0], 22, "the same header");
}

#[test]
fn miners_are_known_by_session_and_the_host_by_its_password() {
    let config = PoolConfig { host_password: Some("secret".into()), ..PoolConfig::new(1.0, 0) };
    let mut miner = Miner::join_at(NOW, config);
    let guest = miner.connect(NOW, "demo", "x");
    let host = miner.connect(NOW, "demo", "secret");
    let empty = miner.connect(NOW, "demo", "");
    let mut joined = Vec::new();
    while let Some(event) = miner.pool.poll_event() {
        if let EmbeddedPoolEvent::Joined { miner, .. } = event {
            joined.push((miner.session, miner.worker, miner.is_host));
        }
    }
    let demo = |session, is_host| (session, "demo".to_owned(), is_host);
    let me = (miner.session, "me".to_owned(), false);
    assert_eq!(joined, [me, demo(guest, false), demo(host, true), demo(empty, false)]);
    let standings = miner.pool.pool().standings();
    let labels: Vec<_> = standings.keys().map(|label| (&*label.worker, label.is_host)).collect();
    assert_eq!(labels, [("demo", false), ("demo", true), ("me", false)]);
    miner.pool.disconnect(host);
    let left = std::iter::from_fn(|| miner.pool.poll_event()).find_map(|event| match event {
        EmbeddedPoolEvent::Left { miner, .. } => Some((miner.session, miner.is_host)),
        _ => None,
    });
    assert_eq!(left, Some((host, true)));
}

#[test]
fn memory_that_a_miner_can_fill_has_a_bound() {
    let bounds = PoolBounds { shares_on_a_tip: 16, names: 8, ..PoolBounds::default() };
    let config = PoolConfig { block_difficulty: 1.0, bounds, ..PoolConfig::new(1e-9, 0) };
    let mut miner = Miner::join_at(NOW, config);
    let answers: Vec<_> = (0..2_000).map(|nonce| miner.submit(NOW, nonce).0).collect();
    let accepted = answers.iter().filter(|answer| answer["result"] == true).count();
    assert_eq!(accepted, 16);
    let full = answers.iter().find(|answer| answer["error"][0] == 20).unwrap();
    assert!(full.to_string().contains("16 shares on one tip"), "{full}");

    // A stream of names pushes out those that have done nothing, and never the one that has.
    for stranger in 0..100 {
        let session = miner.connect(NOW, &format!("stranger {stranger}"), "");
        miner.pool.disconnect(session);
    }
    let pool = miner.pool.pool();
    assert_eq!(pool.standings().len(), 8);
    assert!(pool.standings().keys().any(|label| label.worker == "me"));
    let all: u64 = pool.standings().values().map(|stats| stats.accepted + stats.rejected).sum();
    let others = pool.others();
    assert_eq!(all + others.accepted + others.rejected, 2_000, "nothing is forgotten in sum");
}

#[test]
fn a_job_is_renewed_every_half_minute_and_at_each_block() {
    let mut miner = Miner::join(NOW);
    let half_minute = Duration::from_secs(30);
    assert_eq!((miner.job.as_deref(), miner.pool.poll_timeout()), (Some("1"), NOW + half_minute));
    miner.pool.handle_timeout(NOW + half_minute - Duration::from_millis(1));
    miner.hear();
    assert_eq!(miner.job.as_deref(), Some("1"));
    miner.pool.handle_timeout(NOW + half_minute);
    miner.hear();
    assert_eq!(miner.job.as_deref(), Some("2"));
    assert_eq!(miner.pool.poll_timeout(), NOW + 2 * half_minute);
    let later = NOW + half_minute + Duration::from_secs(7);
    miner.mine(later, later);
    assert_eq!(miner.job.as_deref(), Some("3"), "the next block's job came with the answer");
    assert_eq!(miner.pool.poll_timeout(), later + half_minute);
    let session = miner.session;
    miner.pool.disconnect(session);
    assert!(matches!(miner.pool.poll_event(), Some(EmbeddedPoolEvent::Left { .. })));
    assert_eq!(miner.pool.pool().sessions(), 0);
}

#[test]
fn two_pools_never_produce_the_same_block() {
    let block_of = |first_extranonce1| {
        let mut miner = Miner::join_at(NOW, PoolConfig::new(1e-9, first_extranonce1));
        miner.mine(NOW, NOW);
        miner.pool.chain().blocks()[0].raw.clone()
    };
    assert_eq!(block_of(7), block_of(7), "the same seed, the same block");
    assert_ne!(block_of(7), block_of(1_000_000));
    // The numbers of the sessions may wrap.
    assert_ne!(block_of(u32::MAX), block_of(7));
}

/// Each field of a submission is checked by the judge, and rolled versions are hashed as agreed.
#[test]
fn the_judge_knows_every_field() {
    let mut miner = Miner::join_at(NOW, PoolConfig::new(1e-9, 0));
    let job = miner.job.clone().unwrap();
    let time = format!("{:08x}", NOW.as_secs());
    let past = format!("{:08x}", 1_296_688_602);
    let future = format!("{:08x}", NOW.as_secs() + TWO_HOURS.as_secs() + 1);
    for (params, code, words) in [
        (json!(["me", job, "000000", time, "00000000"]), 20, "extranonce2"),
        (json!(["me", job, "00000000", past, "00000000"]), 20, "ntime"),
        (json!(["me", job, "00000000", future, "00000000"]), 20, "ntime"),
        (
            json!(["me", job, "00000000", time, "00000000", "00002000"]),
            20,
            "without mining.configure",
        ),
        (json!(["me", "ffff", "00000000", time, "00000000"]), 21, "stale"),
        (json!(["you", job, "00000000", time, "00000000"]), 24, "unauthorized"),
    ] {
        let answer = miner.ask(NOW, "mining.submit", params.clone());
        assert_eq!(answer["error"][0], code, "{params} {answer}");
        assert!(answer["error"][1].as_str().unwrap().contains(words), "{params} {answer}");
    }
    assert_eq!(miner.pool.chain().height(), 0);
    // Version rolling, negotiated: the block carries the rolled bits and no others.
    let ask = json!([["version-rolling"], {"version-rolling.mask": "1fffe000"}]);
    assert_eq!(
        miner.ask(NOW, "mining.configure", ask)["result"]["version-rolling.mask"],
        "1fffe000"
    );
    let outside = json!(["me", job, "00000000", time, "00000000", "20000000"]);
    let answer = miner.ask(NOW, "mining.submit", outside);
    assert!(answer["error"][1].as_str().unwrap().contains("beyond the mask 1fffe000"), "{answer}");
    for nonce in 0..10_000 {
        let nonce = format!("{nonce:08x}");
        let params = json!(["me", job, "00000000", time, nonce, "1fffe000"]);
        if miner.ask(NOW, "mining.submit", params)["result"] == true {
            break;
        }
    }
    let header = miner.pool.chain().blocks()[0].header;
    assert_eq!(header.version, 0x3fff_e000);
    assert_eq!(header.hash(), miner.pool.chain().blocks()[0].hash);
}
