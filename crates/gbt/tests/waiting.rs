//! Calls that wait at a node, and how room for them is looked for, to the millisecond, in virtual
//! time: the answers are given by hand.

mod support;

use std::time::Duration;

use midstate_gbt::client::{Config, LongPolling, NodeNews};
use midstate_gbt::rpc::{Answer, NoAnswer};
use serde_json::json;
use support::{Core, World, config, result};

/// A node that knows `waitforblockheight`.
fn waits() -> Core {
    Core { waits: true, ..Core::new() }
}

fn world(long_poll: LongPolling, first_byte: u8, nodes: Vec<Core>) -> World {
    let extranonce1 = vec![first_byte, 2, 3, 4];
    World::with(Config { long_poll, extranonce1, ..config(nodes.len()) }, nodes)
}

fn auto(nodes: Vec<Core>) -> World {
    world(LongPolling::Auto, 0, nodes)
}

fn pass_ms(world: &mut World, milliseconds: u64) {
    world.now += Duration::from_millis(milliseconds);
    world.client.handle_timeout(world.now);
    world.settle();
}

fn answer(world: &mut World, id: u64, answer: Result<Answer, NoAnswer>) {
    world.client.handle_answer(world.now, id, answer);
    world.settle();
}

/// Lets time pass until the node is asked for room, and takes these calls.
fn probes(world: &mut World) -> Vec<u64> {
    world.cores[0].limits.clear();
    for _ in 0..100 {
        if world.cores[0].limits == [250; 3] {
            return std::mem::take(&mut world.hanging).into_iter().map(|(id, _)| id).collect();
        }
        assert!(world.cores[0].limits.is_empty(), "{:?}", world.cores[0].limits);
        pass_ms(world, 100);
    }
    panic!("room is not looked for");
}

/// All the calls come back with the node's tip.
fn come_back(world: &mut World, calls: Vec<u64>) {
    let tip = result(&json!({"hash": world.cores[0].tip().to_string(), "height": 0}));
    for id in calls {
        answer(world, id, Ok(tip.clone()));
    }
}

/// The node has room, seen twice: then a call waits there.
fn prove_room(world: &mut World) {
    for _ in 0..2 {
        let calls = probes(world);
        pass_ms(world, 250);
        come_back(world, calls);
    }
    pass_ms(world, 0);
}

fn warnings(world: &World, words: &str) -> usize {
    world.warnings().iter().filter(|told| told.contains(words)).count()
}

#[test]
fn rule_19_room_is_looked_for_after_5_seconds_and_up_to_4_more_that_differ_from_miner_to_miner() {
    for (first_byte, after) in [(0, 5_000), (64, 6_000), (128, 7_000), (192, 8_000)] {
        let mut world = world(LongPolling::Auto, first_byte, vec![waits()]);
        world.settle();
        pass_ms(&mut world, after - 1);
        assert_eq!(world.cores[0].limits, [0; 0], "{first_byte}");
        pass_ms(&mut world, 1);
        assert_eq!(world.cores[0].limits, [250; 3], "{first_byte}");
    }
}

#[test]
fn rule_19_room_is_looked_for_on_a_tip_that_has_stood_for_half_a_second() {
    let mut world = auto(vec![waits()]);
    world.settle();
    pass_ms(&mut world, 4_600);
    world.mine();
    assert_eq!(world.job.clone().unwrap().height(), Some(2));
    for after in [400, 99] {
        pass_ms(&mut world, after);
        assert_eq!(world.cores[0].limits, [0; 0], "the tip is new");
    }
    pass_ms(&mut world, 1);
    assert_eq!(world.cores[0].limits, [250; 3]);
}

#[test]
fn rule_19_a_call_waits_when_there_was_room_twice_and_for_a_minute() {
    let mut world = auto(vec![waits()]);
    world.settle();
    let calls = probes(&mut world);
    pass_ms(&mut world, 250);
    come_back(&mut world, calls[..2].to_vec());
    pass_ms(&mut world, 100);
    come_back(&mut world, calls[2..].to_vec());
    let since = world.now;
    let calls = probes(&mut world);
    assert_eq!(world.now - since, Duration::from_secs(5), "once is not enough");
    world.cores[0].limits.clear();
    pass_ms(&mut world, 250);
    let [first, second, last] = calls[..] else { panic!("{calls:?}") };
    come_back(&mut world, vec![last, first]);
    assert_eq!(world.cores[0].limits, [0; 0], "one has not come back");
    come_back(&mut world, vec![second]);
    assert_eq!(world.cores[0].limits, [20_000]);
    let [(_, until)] = world.hanging[..] else { panic!("{:?}", world.hanging) };
    assert_eq!(until - world.now, Duration::from_secs(50), "20 s, and 30 for the answer");
    // It ends and is made again, three times; then room is looked for anew.
    let proven = world.now;
    while world.now - proven < Duration::from_secs(59) {
        pass_ms(&mut world, 19_700);
        let calls = std::mem::take(&mut world.hanging);
        let ids = calls.into_iter().map(|(id, _)| id).collect();
        come_back(&mut world, ids);
    }
    assert_eq!(world.cores[0].limits, [20_000; 4]);
    pass_ms(&mut world, 900);
    let calls = std::mem::take(&mut world.hanging);
    come_back(&mut world, calls.into_iter().map(|(id, _)| id).collect());
    assert_eq!(world.cores[0].limits[4..], [250; 3]);
    assert_eq!(world.warnings(), [""; 0]);
}

#[test]
fn rule_19_a_node_that_answers_at_once_does_not_wait_and_gets_a_long_poll() {
    for (after, is_early) in [(224, true), (225, false)] {
        let mut world = auto(vec![waits()]);
        world.settle();
        let calls = probes(&mut world);
        pass_ms(&mut world, after);
        come_back(&mut world, calls);
        assert_eq!(world.cores[0].seen("longpoll") == 1, is_early, "after {after} ms");
    }
}

#[test]
fn rule_19_calls_that_took_turns_twice_mean_that_there_is_no_room() {
    for (after, is_short) in [(479, false), (480, true)] {
        let mut world = auto(vec![waits()]);
        world.settle();
        for round in 0..2 {
            let calls = probes(&mut world);
            pass_ms(&mut world, after);
            come_back(&mut world, calls);
            let told = is_short && round == 1;
            assert_eq!(warnings(&world, "is short of RPC threads") == 1, told, "{after} {round}");
        }
        let waits = world.cores[0].limits.last() == Some(&20_000);
        assert_eq!(waits, !is_short, "after {after} ms");
        if is_short {
            world.cores[0].limits.clear();
            let since = world.now;
            world.pass(595);
            assert_eq!(world.cores[0].limits, [0; 0], "nothing waits for ten minutes");
            probes(&mut world);
            assert!(world.now - since >= Duration::from_secs(600));
        }
    }
}

#[test]
fn rule_19_a_tip_that_moved_meanwhile_leaves_the_question_for_room_open() {
    let mut world = auto(vec![waits()]);
    world.settle();
    for _ in 0..3 {
        let calls = probes(&mut world);
        let asked = world.cores[0].seen("getblocktemplate");
        pass_ms(&mut world, 240);
        world.cores[0].foreign_block();
        come_back(&mut world, calls);
        assert_eq!(world.cores[0].seen("getblocktemplate"), asked + 1, "its template is fetched");
    }
    assert!(!world.cores[0].limits.contains(&20_000));
    // Also where the new tip is known before the calls come back.
    let mut world = auto(vec![waits()]);
    world.settle();
    world.cores[0].hangs_at = vec!["getblocktemplate"];
    pass_ms(&mut world, 5_000);
    let calls: Vec<_> = std::mem::take(&mut world.hanging).into_iter().map(|(id, _)| id).collect();
    assert_eq!((calls.len(), world.cores[0].limits.len()), (4, 3), "a template, and room");
    world.cores[0].hangs_at.clear();
    world.cores[0].foreign_block();
    pass_ms(&mut world, 100);
    let template = result(&world.cores[0].template());
    answer(&mut world, calls[0], Ok(template));
    assert_eq!(world.job.clone().unwrap().height(), Some(2));
    let asked = world.cores[0].seen("getblocktemplate");
    pass_ms(&mut world, 140);
    come_back(&mut world, calls[1..].to_vec());
    assert_eq!(world.cores[0].seen("getblocktemplate"), asked + 1);
    assert_eq!(world.warnings(), [""; 0]);
}

#[test]
fn rule_19_a_node_that_forbids_the_question_is_told_of_once_and_gets_long_polls_only_if_asked_to() {
    for (when, longpolls) in [(LongPolling::Auto, 0), (LongPolling::Always, 1)] {
        let mut world = world(when, 0, vec![waits()]);
        world.settle();
        let calls = match when {
            LongPolling::Always => {
                assert_eq!(world.cores[0].limits, [2_000], "not proven: a short one");
                std::mem::take(&mut world.hanging).into_iter().map(|(id, _)| id).collect()
            }
            _ => probes(&mut world),
        };
        for id in calls {
            let forbidden = Answer { status: 403, ..Answer::default() };
            answer(&mut world, id, Ok(forbidden));
        }
        world.pass(30);
        assert_eq!(world.cores[0].seen("longpoll"), longpolls, "{when:?}");
        assert_eq!(warnings(&world, "(waitforblockheight: ") as u64, 1 - longpolls as u64);
        assert_eq!(world.warnings().len(), 1 - longpolls);
    }
}

#[test]
fn rule_19_a_wait_that_returns_with_a_new_tip_leads_to_the_template_at_once() {
    let mut world = auto(vec![waits()]);
    world.settle();
    prove_room(&mut world);
    assert_eq!(world.cores[0].limits.last(), Some(&20_000));
    let asked = world.cores[0].seen("getblocktemplate");
    // The same tip is no reason.
    pass_ms(&mut world, 1_000);
    let (id, _) = world.hanging.pop().unwrap();
    come_back(&mut world, vec![id]);
    assert_eq!(world.cores[0].seen("getblocktemplate"), asked);
    for height in 2..8 {
        world.cores[0].foreign_block();
        let (id, _) = world.hanging.pop().unwrap();
        come_back(&mut world, vec![id]);
        assert_eq!(world.job.clone().unwrap().height(), Some(height));
    }
    assert_eq!(world.warnings(), [""; 0], "however soon the tips come");
}

#[test]
fn rule_19_waits_that_return_within_a_second_for_nothing_three_times_rest() {
    for (after, rests) in [(999, true), (1_000, false)] {
        let mut world = world(LongPolling::Always, 0, vec![waits()]);
        world.settle();
        for _ in 0..3 {
            let (id, _) = world.hanging.pop().expect("a call that waits");
            pass_ms(&mut world, after);
            come_back(&mut world, vec![id]);
        }
        assert_eq!(world.hanging.is_empty(), rests, "after {after} ms");
        assert_eq!(warnings(&world, "long polling does not work") == 1, rests);
        // The same of BIP22's.
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        for _ in 0..3 {
            let (id, _) = world.cores[0].longpolls.pop().expect("a long poll");
            world.hanging.clear();
            pass_ms(&mut world, after);
            let template = world.cores[0].template();
            answer(&mut world, id, Ok(result(&template)));
        }
        assert_eq!(world.cores[0].longpolls.is_empty(), rests, "after {after} ms");
        assert_eq!(warnings(&world, "long polling does not work") == 1, rests);
    }
}

#[test]
fn rule_19_a_node_that_tells_of_a_tip_which_no_template_has_is_not_flooded() {
    let mut world = world(LongPolling::Always, 0, vec![waits()]);
    world.settle();
    let mut waits = 0;
    for round in 0..100 {
        while waits < 1_000
            && let Some((id, _)) = world.hanging.pop()
        {
            waits += 1;
            let tip = json!({"hash": format!("{round:064x}"), "height": 9});
            answer(&mut world, id, Ok(result(&tip)));
        }
        pass_ms(&mut world, 100);
    }
    assert!((2..=12).contains(&waits), "{waits} waits in ten seconds");
}

#[test]
fn rule_19_a_wait_that_breaks_after_ten_seconds_has_done_its_work() {
    for (after, asked_again) in [(9_999, 1_000), (10_000, 0)] {
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        for _ in 0..3 {
            let (id, _) = world.cores[0].longpolls.pop().expect("a long poll");
            world.hanging.clear();
            pass_ms(&mut world, after);
            let asked = world.cores[0].seen("getblocktemplate");
            answer(&mut world, id, Err(NoAnswer::Broken("connection closed".to_owned())));
            if asked_again > 0 {
                assert_eq!(world.cores[0].seen("getblocktemplate"), asked);
                pass_ms(&mut world, asked_again);
            }
            assert_eq!(world.cores[0].seen("getblocktemplate"), asked + 1, "after {after} ms");
        }
        let rests = asked_again > 0;
        assert_eq!(warnings(&world, "long polling does not work") == 1, rests);
        assert_eq!(world.cores[0].longpolls.is_empty(), rests);
    }
}

#[test]
fn rule_19_a_wait_with_proven_room_stays_while_a_block_is_sent() {
    for is_proven in [true, false] {
        let when = if is_proven { LongPolling::Auto } else { LongPolling::Always };
        let mut world = world(when, 0, vec![waits()]);
        world.settle();
        if is_proven {
            prove_room(&mut world);
        }
        let [(id, _)] = world.hanging[..] else { panic!("{:?}", world.hanging) };
        world.mine();
        assert_eq!(world.cores[0].height(), 1);
        assert_eq!(world.hanging.iter().any(|call| call.0 == id), is_proven);
        assert_eq!(world.job.clone().unwrap().height(), Some(2), "the answer is enough");
    }
}

#[test]
fn rule_19_a_block_that_a_wait_made_way_for_is_late_after_a_second() {
    for (after, is_late) in [(999, false), (1_000, true)] {
        let mut world = world(LongPolling::Always, 0, vec![waits()]);
        world.settle();
        world.cores[0].hangs_at = vec!["submitblock"];
        world.mine();
        let (id, _) = world.hanging.pop().unwrap();
        pass_ms(&mut world, after);
        answer(&mut world, id, Ok(result(&json!("inconclusive"))));
        assert_eq!(warnings(&world, "behind a call of ours") == 1, is_late, "after {after} ms");
    }
    // Where nothing waited, the node is merely slow.
    let mut world = world(LongPolling::Never, 0, vec![waits()]);
    world.settle();
    world.cores[0].hangs_at = vec!["submitblock"];
    world.mine();
    let (id, _) = world.hanging.pop().unwrap();
    pass_ms(&mut world, 1_500);
    answer(&mut world, id, Ok(result(&json!("inconclusive"))));
    assert_eq!(warnings(&world, "behind a call of ours"), 0);
}

#[test]
fn rule_19_a_call_that_hangs_at_another_node_ends_no_wait() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.settle();
    world.cores[1].hangs_at = vec!["submitblock"];
    world.mine();
    world.pass(25);
    assert_eq!(warnings(&world, "does not answer within 3 s"), 0, "{:?}", world.warnings());
    assert_eq!(world.cores[0].longpolls.len(), 1);
    // Its own does, three seconds later.
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.cores[0].hangs_at = vec!["getblockchaininfo"];
    for _ in 0..100 {
        if world.hanging.len() < 2 {
            pass_ms(&mut world, 100);
        }
    }
    world.pass(2);
    assert_eq!(warnings(&world, "does not answer within 3 s"), 0);
    world.pass(1);
    assert_eq!(warnings(&world, "does not answer within 3 s"), 1);
    assert_eq!(world.cores[0].longpolls.len(), 0);
}

#[test]
fn rule_4_a_node_that_is_gone_is_not_told_to_be_short_of_threads() {
    let mut world = auto(vec![waits()]);
    world.settle();
    let calls = probes(&mut world);
    for id in calls {
        answer(&mut world, id, Err(NoAnswer::Broken("connection closed".to_owned())));
    }
    world.stop(0);
    world.pass(10);
    assert_eq!(world.warnings(), [""; 0], "its loss is told, and that is all");
    // It is asked for room again soon after it is back.
    world.cores[0].trouble = None;
    world.cores[0].limits.clear();
    world.pass(20);
    assert_eq!(world.cores[0].limits, [250; 3]);
    // Where these calls alone break, nothing waits for a while after the third time.
    let mut world = auto(vec![waits()]);
    world.settle();
    for round in 1..=3 {
        for id in probes(&mut world) {
            answer(&mut world, id, Err(NoAnswer::Broken("connection closed".to_owned())));
        }
        let told = warnings(&world, "long polling does not work");
        assert_eq!(told, usize::from(round == 3), "{:?}", world.warnings());
    }
    world.cores[0].limits.clear();
    world.pass(500);
    assert_eq!(world.cores[0].limits, [0; 0]);
}

#[test]
fn rule_4_a_node_that_answers_no_question_for_room_is_told_of_once_and_not_asked_for_a_while() {
    let mut world = auto(vec![waits()]);
    world.settle();
    for id in probes(&mut world) {
        answer(&mut world, id, Err(NoAnswer::TimedOut("nothing came within 30 s".to_owned())));
    }
    assert_eq!(warnings(&world, "does not say whether it has RPC threads to spare"), 1);
    world.cores[0].limits.clear();
    world.pass(500);
    assert_eq!(world.cores[0].limits, [0; 0]);
    assert_eq!(world.warnings().len(), 1, "{:?}", world.warnings());
}

#[test]
fn a_run_that_ends_asks_for_no_more_work() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.client.finish(world.now);
    world.settle();
    let asked = world.cores[0].seen("getblocktemplate");
    world.pass(100);
    assert_eq!(world.cores[0].seen("getblocktemplate"), asked);
    let is_job = |what: &NodeNews| matches!(what, NodeNews::Job { .. });
    assert_eq!(world.events.iter().filter(|event| is_job(&event.what)).count(), 1);
}
