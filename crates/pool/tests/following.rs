//! Difficulties that follow the rates of the miners, and miners without a Stratum connection.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Hash256, Header, Job, Target};
use midstate_pool::{
    EmbeddedPoolEvent, Front, Miner, PaceConfig, Pool, PoolConfig, RegtestPool, RetargetReason,
    SessionId, VardiffConfig,
};
use midstate_stratum::Submission;
use serde_json::{Value, json};

const NOW: Duration = Duration::from_secs(1_700_000_000);

fn after(seconds: f64) -> Duration {
    NOW + Duration::from_secs_f64(seconds)
}

fn from() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

/// Shares of a few hashes for whoever is slow.
fn easy() -> VardiffConfig {
    let (first, easiest) = (1e-9, 1e-9);
    VardiffConfig { first, easiest, ..VardiffConfig::default() }
}

fn start(vardiff: Option<VardiffConfig>, blocks: f64, pace: Option<PaceConfig>) -> RegtestPool {
    let config = PoolConfig { vardiff, ..PoolConfig::new(blocks, 7) };
    let Some(pace) = pace else { return RegtestPool::new(config, Vec::new(), NOW).unwrap() };
    // The headers' bits say how hard a block is, and nothing else does.
    let config = PoolConfig { block_difficulty: 1e-30, ..config };
    let pool = RegtestPool::new(config, Vec::new(), NOW).unwrap();
    pool.with_pace(pace, blocks, NOW).unwrap()
}

fn ask(pool: &mut RegtestPool, now: Duration, id: SessionId, method: &str, params: Value) -> Lines {
    let line = format!("{}\n", json!({"id": 1, "method": method, "params": params}));
    pool.handle_bytes(now, id, line.as_bytes());
    hear(pool, id)
}

/// What a session was sent.
#[derive(Debug, Default, PartialEq)]
struct Lines {
    difficulty: Option<f64>,
    /// Id and `clean`.
    job: Option<(String, bool)>,
    answer: Option<Value>,
}

fn hear(pool: &mut RegtestPool, id: SessionId) -> Lines {
    let mut heard = Lines::default();
    while let Some(line) = pool.poll_transmit(id) {
        let line: Value = serde_json::from_slice(&line).unwrap();
        let params = &line["params"];
        match line["method"].as_str() {
            Some("mining.set_difficulty") => heard.difficulty = params[0].as_f64(),
            Some("mining.notify") => {
                let id = params[0].as_str().unwrap().to_owned();
                heard.job = Some((id, params[8].as_bool().unwrap()));
            }
            _ => heard.answer = Some(line),
        }
    }
    heard
}

fn events(pool: &mut RegtestPool) -> Vec<EmbeddedPoolEvent> {
    std::iter::from_fn(|| pool.poll_event()).collect()
}

/// The share with this nonce.
fn submission(job: &Job, nonce: u32) -> (Submission, Hash256) {
    let extranonce2 = vec![0; job.extranonce2_size];
    let hash = Header { nonce, ..job.header(&extranonce2) }.hash();
    let (worker, job_id) = ("Ada".to_owned(), job.id.clone());
    let submission =
        Submission { worker, job_id, extranonce2, time: job.time, nonce, version_bits: None };
    (submission, hash)
}

/// Nonces whose hashes meet the job's share target.
fn hits(job: &Job) -> impl Iterator<Item = (Submission, Hash256)> + '_ {
    (0..).map(|nonce| submission(job, nonce)).filter(|(_, hash)| job.share_target.is_met_by(hash))
}

#[test]
fn a_seat_mines_as_a_connection_does_and_by_the_same_judge() {
    let mut pool = start(None, 1e-6, None);
    let seat = pool.seat(NOW, "Ada", from());
    let (first, other) = (pool.poll_job(seat).unwrap(), pool.seat(NOW, "Ada", from()));
    assert_eq!(pool.poll_job(seat), None, "it was taken");
    let others = pool.poll_job(other).unwrap();
    assert_ne!(first.extranonce1, others.extranonce1, "no two search the same headers");
    assert!(pool.pool().is_let_in(seat) && first.clean);
    assert!(pool.poll_transmit(seat).is_none(), "there are no lines");

    let wrong = (0..).map(|nonce| submission(&first, nonce));
    let wrong = wrong.into_iter().find(|(_, hash)| !first.share_target.is_met_by(hash)).unwrap().0;
    assert_eq!(pool.submit(NOW, seat, wrong).unwrap_err().code, 23);
    let (share, hash) = hits(&first).next().unwrap();
    let accepted = pool.submit(NOW, seat, share.clone()).unwrap();
    assert_eq!((accepted.hash, accepted.block), (hash, Some(1)), "every share is a block here");
    assert_eq!(pool.chain().height(), 1);
    assert_eq!(pool.submit(NOW, seat, share).unwrap_err().code, 21, "of a job that is over");
    assert!(pool.poll_job(seat).unwrap().clean);

    let own = |miner: &Miner| (miner.session, miner.is_device, miner.is_host);
    let told: Vec<_> = events(&mut pool)
        .into_iter()
        .filter_map(|event| match event {
            EmbeddedPoolEvent::Joined { miner, .. } => Some(("joined", own(&miner))),
            EmbeddedPoolEvent::Block { miner, .. } => Some(("block", own(&miner))),
            _ => None,
        })
        .collect();
    let (seat, other) = ((seat, true, false), (other, true, false));
    assert_eq!(told, [("joined", seat), ("joined", other), ("block", seat)]);
    let books: Vec<_> = pool.pool().standings().values().collect();
    let work = first.share_target.expected_hashes().to::<u64>();
    assert_eq!((books.len(), books[0].accepted, books[0].rejected), (1, 1, 2));
    assert_eq!((books[0].blocks, books[0].work), (1, work));
}

#[test]
fn a_device_and_a_miner_of_one_name_have_a_line_each_in_the_standings() {
    let mut pool = start(None, 1e-6, None);
    pool.seat(NOW, "Ada", from());
    let id = pool.connect(from());
    ask(&mut pool, NOW, id, "mining.subscribe", json!([]));
    ask(&mut pool, NOW, id, "mining.authorize", json!(["Ada", "x"]));
    let kinds: Vec<_> =
        pool.pool().standings().keys().map(|label| (&*label.worker, label.is_device)).collect();
    assert_eq!(kinds, [("Ada", false), ("Ada", true)]);
}

#[test]
fn a_session_that_is_too_fast_gets_harder_shares_and_old_jobs_keep_theirs() {
    let mut pool = start(Some(easy()), 1e9, None);
    let seat = pool.seat(NOW, "Ada", from());
    let old = pool.poll_job(seat).unwrap();
    assert_eq!(pool.pool().share_difficulty(seat), Some(1e-9));
    let mut shares = hits(&old).map(|(share, _)| share);
    for share in shares.by_ref().take(8) {
        pool.submit(after(0.5), seat, share).unwrap();
    }
    let new = pool.poll_job(seat).unwrap();
    assert!(new.share_target < old.share_target && !new.clean && new.id != old.id);
    assert!(new.same_work(&old), "the search goes on");
    // A hash between both targets: good in the old job, too easy in the new one.
    let between = hits(&old).skip(8).find(|(_, hash)| !new.share_target.is_met_by(hash));
    let in_old = between.unwrap().0;
    let in_new = Submission { job_id: new.id.clone(), ..in_old.clone() };
    assert_eq!(pool.submit(after(0.6), seat, in_new).unwrap_err().code, 23);
    pool.submit(after(0.6), seat, in_old.clone()).unwrap();
    assert_eq!(pool.submit(after(0.6), seat, in_old).unwrap_err().code, 22);
    let work = |job: &Job| job.share_target.expected_hashes().to::<u64>();
    let stats = *pool.pool().standings().values().next().unwrap();
    assert_eq!((stats.accepted, stats.work), (9, 9 * work(&old)));
}

#[test]
fn a_stratum_miner_hears_of_its_difficulty_and_gets_a_job_with_it() {
    let mut pool = start(Some(VardiffConfig::default()), 1e9, None);
    let id = pool.connect(from());
    let first = ask(&mut pool, NOW, id, "mining.subscribe", json!([]));
    assert_eq!(first.difficulty, Some(2f64.powi(-14)));
    assert_eq!(first.job, Some(("1".to_owned(), true)));
    ask(&mut pool, NOW, id, "mining.authorize", json!(["me"]));
    // Silence: a share is made easier, down to the easiest.
    let due = pool.poll_timeout();
    assert_eq!(due, after(20.0));
    pool.handle_timeout(due);
    let easier = hear(&mut pool, id);
    assert_eq!(easier.difficulty, Some(2f64.powi(-16)));
    assert_eq!(easier.job, Some(("1.1".to_owned(), false)));
    pool.handle_timeout(after(29.0));
    assert_eq!(hear(&mut pool, id), Lines::default(), "nothing changes, nothing is said");
    // A new job is no reason to say the difficulty again.
    pool.handle_timeout(after(30.0));
    let renewed = hear(&mut pool, id);
    assert_eq!((renewed.difficulty, renewed.job), (None, Some(("2".to_owned(), false))));
}

#[test]
fn a_suggested_difficulty_is_granted_before_and_after_the_subscription() {
    let mut pool = start(Some(VardiffConfig::default()), 1e9, None);
    let early = pool.connect(from());
    let answer = ask(&mut pool, NOW, early, "mining.suggest_difficulty", json!([1000]));
    assert_eq!((answer.difficulty, answer.job), (None, None), "it has not subscribed");
    let heard = ask(&mut pool, NOW, early, "mining.subscribe", json!([]));
    assert_eq!(heard.difficulty, Some(1000.0));
    let heard = ask(&mut pool, NOW, early, "mining.suggest_difficulty", json!([0.5]));
    assert_eq!((heard.difficulty, heard.job), (Some(0.5), Some(("1.1".to_owned(), false))));
    for (wish, granted) in [(1e-30, 2f64.powi(-16)), (1e60, 2f64.powi(20))] {
        let heard = ask(&mut pool, NOW, early, "mining.suggest_difficulty", json!([wish]));
        assert_eq!(heard.difficulty, Some(granted));
    }
    // A pool of one difficulty says which, as ever.
    let mut pool = start(None, 3.0, None);
    let id = pool.connect(from());
    ask(&mut pool, NOW, id, "mining.suggest_difficulty", json!([1000]));
    assert_eq!(ask(&mut pool, NOW, id, "mining.subscribe", json!([])).difficulty, Some(3.0));
    let heard = ask(&mut pool, NOW, id, "mining.suggest_difficulty", json!([1000]));
    assert_eq!((heard.difficulty, heard.job), (Some(3.0), None));
}

#[test]
fn wishes_without_end_fill_no_memory_and_leave_the_newest_jobs_open() {
    let mut pool = start(Some(easy()), 1e9, None);
    let id = pool.connect(from());
    ask(&mut pool, NOW, id, "mining.subscribe", json!([]));
    ask(&mut pool, NOW, id, "mining.authorize", json!(["me"]));
    for wish in 1..1000 {
        ask(&mut pool, NOW, id, "mining.suggest_difficulty", json!([wish]));
    }
    let mut code = |job: &str| {
        let params = json!(["me", job, "00000000", "6553f100", "00000000"]);
        ask(&mut pool, NOW, id, "mining.submit", params).answer.unwrap()["error"][0].clone()
    };
    assert_eq!((code("1"), code("1.1")), (json!(21), json!(21)), "forgotten");
    assert_eq!((code("1.998"), code("1.999")), (json!(23), json!(23)), "still known");
    assert_eq!((code("1.960"), code("1.959")), (json!(23), json!(21)), "forty of them");
}

/// A pace whose blocks may take a few hashes.
fn pace(seconds: f64, blocks: u32) -> PaceConfig {
    PaceConfig { seconds, blocks, first_blocks: blocks, easiest: 1e-9 }
}

/// Finds and brings a share of the seat's newest job; whether it was a block.
fn mine(pool: &mut RegtestPool, now: Duration, seat: SessionId, job: &mut Arc<Job>) -> bool {
    if let Some(newer) = pool.poll_job(seat) {
        *job = newer;
    }
    let mut nonces = hits(job).map(|(share, _)| share);
    loop {
        match pool.submit(now, seat, nonces.next().unwrap()) {
            Ok(accepted) => return accepted.block.is_some(),
            Err(reject) => assert_eq!(reject.code, 22, "found before: {}", reject.text),
        }
    }
}

#[test]
fn block_difficulty_follows_the_counted_rate_every_six_blocks() {
    let mut pool = start(None, 2e-9, Some(pace(10.0, 6)));
    let seat = pool.seat(NOW, "Ada", from());
    let mut job = pool.poll_job(seat).unwrap();
    // A block a second where ten seconds are wanted: four times as hard, and that is the most.
    let (mut seconds, mut blocks) = (0.0, 0);
    while blocks < 6 {
        seconds += 1.0;
        blocks += u32::from(mine(&mut pool, after(seconds), seat, &mut job));
    }
    let retargets: Vec<_> = events(&mut pool)
        .into_iter()
        .filter_map(|event| match event {
            EmbeddedPoolEvent::Retarget { difficulty, before, height, reason } => {
                assert_eq!((height, reason), (7, RetargetReason::Blocks));
                Some((difficulty, before))
            }
            _ => None,
        })
        .collect();
    let [(harder, before)] = retargets[..] else { panic!("{retargets:?}") };
    assert!((harder / before - 4.0).abs() < 1e-4, "{retargets:?}");
    assert_eq!(pool.block_difficulty(), harder);
    let bits = pool.chain().template(NOW).job.bits.to_target().unwrap();
    assert_eq!(bits.difficulty(), harder, "the headers say so");
    // The class has left: no block comes, and the next one does not become an endless one.
    // The rate is not found yet: half of the time that a class has later.
    let due = after(seconds + 120.0);
    while pool.poll_timeout() < due {
        let now = pool.poll_timeout();
        pool.handle_timeout(now);
        assert_eq!(pool.block_difficulty(), harder, "not yet");
    }
    let job = pool.poll_job(seat).unwrap();
    pool.handle_timeout(due);
    assert!((pool.block_difficulty() / harder - 0.25).abs() < 1e-4);
    let easier = pool.poll_job(seat).unwrap();
    assert!(!easier.clean && easier.network_target > job.network_target);
    // A block of the harder job is still one.
    let (share, _) = hits(&job).find(|(_, hash)| job.network_target.is_met_by(hash)).unwrap();
    assert!(pool.submit(due, seat, share).unwrap().block.is_some());
    assert_eq!(pool.chain().height(), 7);
}

#[test]
fn no_share_is_harder_than_a_block_where_blocks_are_toys() {
    let vardiff = VardiffConfig { first: 2e-7, ..easy() };
    let mut pool = start(Some(vardiff), 1e-7, Some(pace(1.0, 1)));
    let seat = pool.seat(NOW, "Ada", from());
    let about = |difficulty: Option<f64>, expected: f64| {
        assert!((difficulty.unwrap() / expected - 1.0).abs() < 1e-4, "{difficulty:?}");
    };
    about(pool.pool().share_difficulty(seat), 1e-7);
    let mut job = pool.poll_job(seat).unwrap();
    assert!(mine(&mut pool, NOW, seat, &mut job), "so every share is a block");
    // The block is harder now, and the share's difficulty its own.
    about(Some(pool.block_difficulty()), 4e-7);
    assert_eq!(pool.pool().share_difficulty(seat), Some(2e-7));
    let target = pool.poll_job(seat).unwrap().share_target;
    assert_eq!(target, Target::from_difficulty(2e-7).unwrap());
}

#[test]
fn difficulties_that_are_none_are_refused_at_the_start() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let vardiff = Some(VardiffConfig { first: bad, ..VardiffConfig::default() });
        let config = PoolConfig { vardiff, ..PoolConfig::new(1.0, 0) };
        assert!(Pool::new(config).is_err(), "{bad}");
    }
}
