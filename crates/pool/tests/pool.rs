//! The pool on templates that a node could have given it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::time::Duration;

use midstate_chain::Network;
use midstate_pool::{
    EmbeddedPoolEvent, Pool, PoolBounds, PoolConfig, PoolTemplate, RegtestChain, SessionId,
    WorkerStats,
};
use serde_json::{Value, json};

const NOW: Duration = Duration::from_secs(1_700_000_000);

/// A template of a chain whose blocks are earnest.
fn earnest_template() -> PoolTemplate {
    let mut template = RegtestChain::new(Vec::new()).unwrap().template(NOW);
    template.job.network_target = Network::Signet.limit().to_target().unwrap();
    template
}

/// A pool with work, and a miner that was let in.
fn open(config: PoolConfig, template: PoolTemplate) -> (Pool, SessionId) {
    let mut pool = Pool::new(config).unwrap();
    pool.set_template(template);
    let id = pool.connect(SocketAddr::from(([127, 0, 0, 1], 1)));
    ask(&mut pool, id, "mining.subscribe", json!([]));
    ask(&mut pool, id, "mining.authorize", json!(["me"]));
    (pool, id)
}

/// All that the pool has to say after a request.
fn ask(pool: &mut Pool, id: SessionId, method: &str, params: Value) -> Vec<Value> {
    let line = format!("{}\n", json!({"id": 1, "method": method, "params": params}));
    pool.handle_bytes(NOW, id, line.as_bytes());
    let lines = std::iter::from_fn(|| pool.poll_transmit(id));
    lines.map(|line| serde_json::from_slice(&line).unwrap()).collect()
}

#[test]
fn a_block_of_an_earnest_chain_is_a_share_whatever_the_share_difficulty() {
    // Shares of difficulty 1, blocks of a thousandth of it: no block may be refused.
    let (mut pool, id) = open(PoolConfig::new(1.0, 0), earnest_template());
    // Found by a search over all nonces up to it; its hash begins with 00000032.
    let submit = |nonce: &str| json!(["me", "1", "00000000", "6553f100", nonce]);
    let answers = ask(&mut pool, id, "mining.submit", submit("004ef56c"));
    assert_eq!(answers, [json!({"id": 1, "error": null, "result": true})]);
    let is_block =
        |event: &EmbeddedPoolEvent| matches!(event, EmbeddedPoolEvent::Block { height: 1, .. });
    assert!(std::iter::from_fn(|| pool.poll_event()).any(|event| is_block(&event)));
    let stats = *pool.standings().values().next().unwrap();
    assert_eq!((stats.accepted, stats.blocks), (1, 1));

    let (mut pool, id) = open(PoolConfig::new(1.0, 0), earnest_template());
    let answers = ask(&mut pool, id, "mining.submit", submit("004ef56b"));
    assert_eq!(answers[0]["error"][0], 23, "neither a share nor a block");
    assert!(!std::iter::from_fn(|| pool.poll_event()).any(|event| is_block(&event)));
}

/// A template of regtest.
fn toy_template() -> PoolTemplate {
    RegtestChain::new(Vec::new()).unwrap().template(NOW)
}

/// Each of these lines as id, `clean` and time of the job that it announces.
fn jobs(lines: &[Value]) -> Vec<(String, bool)> {
    let jobs = lines.iter().filter(|line| line["method"] == "mining.notify");
    jobs.map(|line| &line["params"])
        .map(|params| (params[0].as_str().unwrap().to_owned(), params[8].as_bool().unwrap()))
        .collect()
}

fn heard(pool: &mut Pool, id: SessionId) -> Vec<Value> {
    let lines = std::iter::from_fn(|| pool.poll_transmit(id));
    lines.map(|line| serde_json::from_slice(&line).unwrap()).collect()
}

fn submit(pool: &mut Pool, id: SessionId, job: &str, nonce: u32) -> Value {
    let params = json!(["me", job, "00000000", "6553f100", format!("{nonce:08x}")]);
    ask(pool, id, "mining.submit", params).remove(0)
}

#[test]
fn every_bound_has_its_row() {
    let bounds =
        PoolBounds { jobs: 3, shares_on_a_tip: 4, channels: 6, names: 5, judged_blocks: 7 };
    let rows = bounds.rows();
    let numbers: Vec<_> = rows.iter().map(|row| &*row.value).collect();
    assert_eq!(numbers, ["3", "4", "6", "5", "7"]);
    assert!(rows.iter().all(|row| row.name.contains(' ') && row.over.contains(' ')), "{rows:?}");
    assert_eq!((Pool::EXTRANONCE_SIZE, Pool::EXTRANONCE2_SIZE), (16, 4));
}

#[test]
fn a_few_jobs_are_open_at_a_time_and_the_oldest_is_stale() {
    let bounds = PoolBounds { jobs: 3, ..PoolBounds::default() };
    let (mut pool, id) = open(PoolConfig { bounds, ..PoolConfig::new(1.0, 0) }, toy_template());
    for _ in 0..3 {
        pool.set_template(toy_template());
        pool.set_template(PoolTemplate { height: 1, ..toy_template() });
    }
    assert_eq!(jobs(&heard(&mut pool, id)), [("7".to_owned(), false)], "the newest alone");
    let codes: Vec<_> = ["4", "5", "6", "7", "8"]
        .map(|job| submit(&mut pool, id, job, 0)["error"][0].as_i64().unwrap())
        .to_vec();
    assert_eq!(codes, [21, 23, 23, 23, 21]);
    // Another tip voids all of them.
    let mut next = toy_template();
    next.job.prev_hash = Network::Signet.genesis().hash();
    pool.set_template(next);
    assert_eq!(jobs(&heard(&mut pool, id)), [("8".to_owned(), true)]);
    assert_eq!(submit(&mut pool, id, "7", 0)["error"][0], 21);
    assert_eq!(submit(&mut pool, id, "8", 0)["error"][0], 23);
}

#[test]
fn rule_5_a_share_after_a_block_hears_of_the_block_until_the_next_job() {
    let (mut pool, id) = open(PoolConfig::new(1e-9, 0), toy_template());
    pool.set_template(toy_template());
    heard(&mut pool, id);
    let block = |pool: &mut Pool, job: &str| {
        (0..100).any(|nonce| submit(pool, id, job, nonce)["result"] == true)
    };
    assert!(block(&mut pool, "2"));
    let error = |pool: &mut Pool, job: &str| submit(pool, id, job, 0)["error"].clone();
    let found = json!([21, "a block on this tip was found already; the next job follows", null]);
    for (job, expected) in [("1", &found), ("2", &found)] {
        assert_eq!(&error(&mut pool, job), expected, "job {job}");
    }
    let stale = json!([21, "job not found (stale)", null]);
    assert_eq!(error(&mut pool, "0"), stale, "no job of this tip");
    // The node refused the block, and gives the same work anew.
    pool.set_template(toy_template());
    heard(&mut pool, id);
    assert_eq!(error(&mut pool, "2"), stale, "now there is another job");
    assert!(block(&mut pool, "3"));
}

#[test]
fn the_first_job_of_a_session_is_clean_and_its_difficulty_is_said_again() {
    let (mut pool, first) = open(PoolConfig::new(0.5, 0), toy_template());
    pool.set_template(toy_template());
    let id = pool.connect(SocketAddr::from(([127, 0, 0, 1], 2)));
    assert_eq!((first.number(), id.number(), pool.sessions()), (1, 2, 2));
    assert!(pool.is_let_in(first) && !pool.is_let_in(id));
    let lines = ask(&mut pool, id, "mining.subscribe", json!([]));
    assert!(!pool.is_let_in(id), "it has no worker yet");
    assert_eq!(lines[1]["params"], json!([0.5]));
    assert_eq!(jobs(&lines), [("2".to_owned(), true)], "it had no job before");
    assert_eq!(jobs(&heard(&mut pool, first)), [("2".to_owned(), false)]);
    let lines = ask(&mut pool, id, "mining.suggest_difficulty", json!([77]));
    let difficulty = lines.iter().find(|line| line["method"] == "mining.set_difficulty");
    assert_eq!(difficulty.unwrap()["params"], json!([0.5]), "one difficulty for all");
}

#[test]
fn a_session_that_breaks_the_protocol_is_closed_and_one_that_left_is_forgotten() {
    let (mut pool, id) = open(PoolConfig::new(1.0, 0), toy_template());
    submit(&mut pool, id, "1", 0);
    pool.handle_bytes(NOW, id, "nonsense\n".repeat(8).as_bytes());
    let closed = std::iter::from_fn(|| pool.poll_event()).find_map(|event| match event {
        EmbeddedPoolEvent::Close { session, reason } => Some((session, reason)),
        _ => None,
    });
    let (session, reason) = closed.unwrap();
    assert!(session == id && reason.contains('8'), "{reason}");
    pool.disconnect(id);
    pool.disconnect(id);
    let left: Vec<_> = std::iter::from_fn(|| pool.poll_event()).collect();
    let [EmbeddedPoolEvent::Left { miner, stats, .. }] = &left[..] else { panic!("{left:?}") };
    assert_eq!((miner.worker.as_str(), miner.is_host), ("me", false));
    assert_eq!(*stats, WorkerStats { blocks: 0, accepted: 0, rejected: 1, work: 0 });
    assert_eq!((pool.sessions(), pool.is_let_in(id), pool.poll_transmit(id)), (0, false, None));
}

#[test]
fn a_session_whose_shares_fill_its_memory_may_still_find_a_block() {
    let bounds = PoolBounds { shares_on_a_tip: 2, ..PoolBounds::default() };
    let config = PoolConfig { block_difficulty: 1e-7, bounds, ..PoolConfig::new(1e-9, 0) };
    let (mut pool, id) = open(config, toy_template());
    let mut counts = [0; 2];
    for nonce in 0..100_000 {
        let answer = submit(&mut pool, id, "1", nonce);
        counts[0] += u64::from(answer["result"] == true);
        counts[1] += u64::from(answer["error"][0] == 20);
        if std::iter::from_fn(|| pool.poll_event())
            .any(|event| matches!(event, EmbeddedPoolEvent::Block { .. }))
        {
            break;
        }
    }
    assert_eq!(counts[0], 3, "two shares and the block");
    assert!(counts[1] > 10, "{counts:?}");
    // The tip has moved, and the memory is empty: the same nonces are shares of the next job.
    pool.set_template(toy_template());
    heard(&mut pool, id);
    let accepted = (0..100).filter(|&nonce| submit(&mut pool, id, "2", nonce)["result"] == true);
    assert_eq!(accepted.count(), 2);
}

#[test]
fn the_name_that_has_done_least_joins_the_others_and_the_host_never_does() {
    let bounds = PoolBounds { names: 3, ..PoolBounds::default() };
    let host_password = Some("secret".to_owned());
    let config = PoolConfig { bounds, host_password, ..PoolConfig::new(1e-9, 0) };
    let config = PoolConfig { block_difficulty: 1.0, ..config };
    let (mut pool, id) = open(config, toy_template());
    ask(&mut pool, id, "mining.authorize", json!(["host", "secret"]));
    ask(&mut pool, id, "mining.authorize", json!(["idle"]));
    let mut nonces = 0..;
    let mut share = |pool: &mut Pool, name: &str, is_accepted: bool| {
        let params = |nonce| json!([name, "1", "00000000", "6553f100", format!("{nonce:08x}")]);
        while (ask(pool, id, "mining.submit", params(nonces.next().unwrap()))[0]["result"] == true)
            != is_accepted
        {}
    };
    // "me" has the most, "idle" one refused at least, the host nothing.
    (0..40).for_each(|_| share(&mut pool, "me", true));
    share(&mut pool, "idle", false);
    let idle = *pool.standings().iter().find(|(label, _)| label.worker == "idle").unwrap().1;
    assert_eq!(pool.others(), WorkerStats::default());
    ask(&mut pool, id, "mining.authorize", json!(["new"]));
    let names = |pool: &Pool| -> Vec<_> {
        pool.standings().keys().map(|label| label.worker.clone()).collect()
    };
    assert_eq!(names(&pool), ["host", "me", "new"]);
    assert_eq!(pool.others(), idle);
    // It comes back, and again has to leave: the sums grow.
    share(&mut pool, "idle", true);
    assert_eq!(names(&pool), ["host", "idle", "me"], "the new name had done nothing");
    (0..3).for_each(|_| share(&mut pool, "idle", false));
    let again = *pool.standings().iter().find(|(label, _)| label.worker == "idle").unwrap().1;
    ask(&mut pool, id, "mining.authorize", json!(["newer"]));
    let expected = WorkerStats {
        blocks: 0,
        accepted: idle.accepted + again.accepted,
        rejected: idle.rejected + again.rejected,
        work: idle.work + again.work,
    };
    assert_eq!(
        (names(&pool), pool.others()),
        (vec!["host".into(), "me".into(), "newer".into()], expected)
    );
}
