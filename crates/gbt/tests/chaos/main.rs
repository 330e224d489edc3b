//! Chaos at nodes: servers with a few RPC threads that break in some ways, several miners at them,
//! and no clock. `cargo test` plays each fault with one seed; `CHAOS_SEEDS` sets the number, and
//! `CHAOS_FAULT` part of a name (`cargo xtask chaos --seeds N`).
//!
//! In every run: an ordinary call is never stuck behind miners that wait, no block goes to another
//! chain, each block has a verdict in the end, work goes on, and no timer spins.
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::time::Duration;

use midstate_gbt::client::{LongPolling, NodeNews, NodeState};
use serde_json::json;
use support::Core;
use world::World;

/// Enough for every `cargo test`.
const FEW: u64 = 1;

struct Fault {
    name: &'static str,
    play: fn(u64),
}

const FAULTS: &[Fault] = &[
    Fault { name: "rule 19: as many miners as threads", play: as_many_miners_as_threads },
    Fault { name: "rule 19: many short runs, one after the other", play: short_runs },
    Fault { name: "rule 19: a node that knows long polls alone", play: long_polls_alone },
    Fault { name: "rule 20: the first of two nodes comes and goes", play: comes_and_goes },
    Fault { name: "rule 20: both of two nodes come and go", play: both_come_and_go },
    Fault { name: "rule 21: answers that say nothing", play: strange_answers },
    Fault { name: "rule 24: a node of another chain takes the place", play: swapped },
    Fault { name: "i8: a node forgets our blocks, seen or unseen", play: forgets },
    Fault { name: "rule 2: the first of two nodes takes no block", play: takes_none },
];

#[test]
fn rules_19_20_21_24_no_fault_of_a_node_loses_a_block_or_stops_the_miners() {
    let wanted = std::env::var("CHAOS_FAULT").unwrap_or_default();
    let seeds = std::env::var("CHAOS_SEEDS").map_or(FEW, |text| text.parse().unwrap());
    for fault in FAULTS.iter().filter(|fault| fault.name.contains(&wanted)) {
        for seed in 1..=seeds {
            let played = std::panic::catch_unwind(|| (fault.play)(seed));
            if let Err(panic) = played {
                eprintln!("{}: seed {seed}", fault.name);
                std::panic::resume_unwind(panic);
            }
        }
        println!("{:<56} {seeds} runs", fault.name);
    }
}

fn as_many_miners_as_threads(seed: u64) {
    for count in [1, 2, 4, 16] {
        let mut world = World::new(seed);
        // Half of the runs are so fast that no tip stands long enough to wait on it.
        let is_calm = seed.is_multiple_of(2);
        world.pace = if is_calm { count as u32 } else { 1 };
        let server = world.server(Core::new(), count);
        for _ in 0..count {
            world.miner(&[server], LongPolling::Auto);
        }
        world.pass(if is_calm { 120 } else { 60 });
        // Only short questions for room are in the way of a call.
        let patience = Duration::from_millis(1_000);
        let worst = world.servers[server].slowest;
        assert!(worst <= patience, "{count} threads: a call took {worst:?}");
        let most = world.servers[server].most_waiting;
        let bound = if count < 3 { 0 } else { count - 1 };
        assert!(most <= bound, "{count} threads, {most} taken by waits");
        assert!(count < 4 || !is_calm || most > 0, "{count} threads, and nothing waits");
        let told =
            world.told(|what| matches!(what, NodeNews::Warning(text) if text.contains("short")));
        assert!(count > 2 || !is_calm || told == count, "{count} threads: told {told} times");
        world.check(if is_calm { 1 } else { 10 });
    }
}

fn short_runs(seed: u64) {
    let mut world = World::new(seed);
    let server = world.server(Core::new(), 16);
    for run in 0..40 {
        let miner = world.miner(&[server], LongPolling::Auto);
        // No block is found, so that nothing ends a wait but its time.
        world.miners[miner].finds = false;
        world.pass([1, 1, 10, 15, 30][run % 5]);
        world.leave(miner);
    }
    let miner = world.miner(&[server], LongPolling::Auto);
    world.pass(60);
    assert!(world.servers[server].slowest < Duration::from_millis(300));
    assert!(world.miners[miner].found > 3);
    world.check(0);
}

fn long_polls_alone(seed: u64) {
    for (count, when) in [(1, LongPolling::Auto), (1, LongPolling::Always), (2, LongPolling::Auto)]
    {
        let mut world = World::new(seed);
        let server = world.server(Core::new(), count);
        world.servers[server].knows_waits = false;
        // This one notices when a client leaves.
        world.servers[server].notices = true;
        for _ in 0..count {
            world.miner(&[server], when);
        }
        world.pass(120);
        let worst = world.servers[server].slowest;
        assert!(worst <= Duration::from_secs(4), "{when:?} at {count}: a call took {worst:?}");
        world.check(10);
    }
}

fn comes_and_goes(seed: u64) {
    let mut world = World::new(seed);
    let first = world.server(Core::new(), 16);
    let second = world.server(Core::new(), 4);
    world.miner(&[first, second], LongPolling::Auto);
    for _ in 0..6 {
        let up = world.random(100);
        world.pass(up);
        world.servers[first].is_down = true;
        world.break_connections(first);
        let down = world.random(100);
        world.pass(down);
        world.servers[first].is_down = false;
    }
    world.pass(200);
    let lost = |node| {
        world.events(0).filter(move |event| {
            let lost = matches!(event.what, NodeNews::Node { state: NodeState::Lost, .. });
            lost && event.node == node
        })
    };
    assert_eq!(lost(1).count(), 0, "the second one never failed");
    world.check(20);
}

fn both_come_and_go(seed: u64) {
    let mut world = World::new(seed);
    let servers = [world.server(Core::new(), 16), world.server(Core::new(), 4)];
    world.miner(&servers, LongPolling::Auto);
    for _ in 0..6 {
        let up = world.random(100);
        world.pass(up);
        let which = world.random(5);
        for (bit, server) in servers.into_iter().enumerate() {
            if which & (1 << bit) != 0 {
                world.servers[server].is_down = true;
                world.break_connections(server);
            }
        }
        let asked = world.miners[0].asked;
        let down = world.random(100);
        world.pass(down);
        let asked = world.miners[0].asked - asked;
        // A block and a question for each node every second would be less.
        let most = 40 + 8 * down as usize;
        assert!(asked <= most, "{asked} calls in {down} s");
        for server in servers {
            world.servers[server].is_down = false;
        }
    }
    world.pass(200);
    world.check(10);
}

fn strange_answers(seed: u64) {
    let mut world = World::new(seed);
    let server = world.server(Core::new(), 16);
    world.miner(&[server], LongPolling::Auto);
    let answers = [
        json!("inconclusive"),
        json!(null),
        json!(true),
        json!(false),
        json!({}),
        json!(-1),
        json!([1]),
        json!("duplicate"),
        json!("high-hash"),
        json!("a word that nobody knows"),
    ];
    for _ in 0..6 {
        let answer = answers[world.random(answers.len() as u64) as usize].clone();
        world.servers[server].core.submit_says = Some(answer);
        world.servers[server].core.submitted.clear();
        let jobs = world.miners[0].jobs;
        world.pass(60);
        assert!(world.miners[0].jobs > jobs, "no work");
        let core = &world.servers[server].core;
        // Once, again at once if it is lost, then after 2, 5 and 15 seconds.
        let most = core.submitted.values().max();
        assert!(most <= Some(&5), "one block came {most:?} times in a minute");
        world.servers[server].core.submit_says = None;
        let pause = world.random(30);
        world.pass(pause);
    }
    world.pass(120);
    world.check(5);
}

fn swapped(seed: u64) {
    let mut world = World::new(seed);
    let first = world.server(Core::new(), 16);
    let second = world.server(Core::new(), 16);
    world.miner(&[first, second], LongPolling::Auto);
    let up = world.random(60);
    world.pass(up);
    let other = Core { chain: "testnet4".to_owned(), ..Core::new() };
    world.servers[first].core = other;
    world.break_connections(first);
    world.pass(200);
    assert_eq!(world.servers[first].core.seen("submitblock"), 0);
    assert_eq!(world.servers[first].core.seen("proposal"), 0);
    world.check(20);
}

/// A node alone, so that no block comes back but from us.
fn forgets(seed: u64) {
    let mut world = World::new(seed);
    let server = world.server(Core::new(), 16);
    world.miner(&[server], LongPolling::Auto);
    for _ in 0..12 {
        let up = world.random(30);
        world.pass(up);
        let how = world.random(4);
        let kept = world.random(1 + world.servers[server].core.height() as u64) as usize;
        let core = &mut world.servers[server].core;
        // Blocks that are buried deep are on its disk.
        let kept = kept.max(core.height().saturating_sub(20));
        for hash in core.best.split_off(1 + kept) {
            core.blocks.remove(&hash);
        }
        world.servers[server].is_down = how == 2;
        if how > 0 {
            world.break_connections(server);
        }
        let down = world.random(20);
        world.pass(if how == 2 { down } else { 0 });
        world.servers[server].is_down = false;
    }
    world.check(20);
    let (height, found) = (world.servers[server].core.height(), world.miners[0].found);
    assert_eq!(height, found, "a block of ours beside a block of ours");
}

/// They do not relay: the second one has nothing but our blocks.
fn takes_none(seed: u64) {
    let mut world = World::new(seed);
    let answers = [json!("bad-cb-height"), json!("inconclusive"), json!(null), json!({"x": 1})];
    let answer = answers[world.random(5) as usize].clone();
    world.relays = false;
    let first = world.server(Core { submit_says: Some(answer), ..Core::new() }, 16);
    let second = world.server(Core::new(), 4);
    world.miner(&[first, second], LongPolling::Auto);
    world.pass(120);
    let active = world
        .events(0)
        .filter(|event| matches!(event.what, NodeNews::Node { state: NodeState::Active, .. }));
    let active: Vec<_> = active.map(|event| event.node).collect();
    assert_eq!(active, [1]);
    let before = world.servers[second].core.height();
    let up = 60 + world.random(60);
    world.pass(up);
    assert!(world.servers[second].core.height() >= before + 10);
    world.check(20);
}
