//! The pool on templates that a node could have given it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::time::Duration;

use midstate_chain::Network;
use midstate_pool::{Event, Pool, PoolConfig, RegtestChain, SessionId, Template};
use serde_json::{Value, json};

const NOW: Duration = Duration::from_secs(1_700_000_000);

/// A template of a chain whose blocks are earnest.
fn earnest_template() -> Template {
    let mut template = RegtestChain::new(Vec::new()).unwrap().template(NOW);
    template.job.network_target = Network::Signet.limit().to_target().unwrap();
    template
}

/// A pool with work, and a miner that was let in.
fn open(config: PoolConfig, template: Template) -> (Pool, SessionId) {
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
    // Found by a search over all nonces up to it; its hash begins with 00000375.
    let submit = |nonce: &str| json!(["me", "1", "00000000", "6553f100", nonce]);
    let answers = ask(&mut pool, id, "mining.submit", submit("005b9861"));
    assert_eq!(answers, [json!({"id": 1, "error": null, "result": true})]);
    let is_block = |event: &Event| matches!(event, Event::Block { height: 1, .. });
    assert!(std::iter::from_fn(|| pool.poll_event()).any(|event| is_block(&event)));
    let stats = *pool.standings().values().next().unwrap();
    assert_eq!((stats.accepted, stats.blocks), (1, 1));

    let (mut pool, id) = open(PoolConfig::new(1.0, 0), earnest_template());
    let answers = ask(&mut pool, id, "mining.submit", submit("005b9860"));
    assert_eq!(answers[0]["error"][0], 23, "neither a share nor a block");
    assert!(!std::iter::from_fn(|| pool.poll_event()).any(|event| is_block(&event)));
}
