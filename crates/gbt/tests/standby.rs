//! Blocks of ours at nodes that had them and have them no more: they are offered again there, the
//! parents first, and work goes on from our own chain, in virtual time.

mod support;

use std::time::Duration;

use midstate_chain::Verdict;
use midstate_gbt::client::{Config, LongPolling, NodeNews, NodeState};
use midstate_gbt::rpc::Call;
use serde_json::json;
use support::{Core, Said, World, config};

/// A world without calls that wait.
fn polling(nodes: usize) -> World {
    let never = Config { long_poll: LongPolling::Never, ..config(nodes) };
    World::with(never, (0..nodes).map(|_| Core::new()).collect())
}

/// The node is killed, and back before anything is asked of it, with the first `kept` blocks.
fn forget(world: &mut World, node: usize, kept: usize) {
    let core = &mut world.cores[node];
    for hash in core.best.split_off(1 + kept) {
        core.blocks.remove(&hash);
    }
    core.fresh = true;
}

fn jobs(world: &World) -> Vec<u32> {
    let height = |what: &NodeNews| match what {
        NodeNews::Job { height, .. } => Some(*height),
        _ => None,
    };
    world.events.iter().filter_map(|event| height(&event.what)).collect()
}

fn calls(world: &World, node: usize) -> usize {
    world.cores[node].seen.values().sum()
}

#[test]
fn i8_a_standby_that_forgot_our_blocks_gets_them_again_with_the_next_one() {
    for kept in [0, 3, 9] {
        let mut world = polling(2);
        world.settle();
        for _ in 0..10 {
            world.mine();
        }
        forget(&mut world, 1, kept);
        let before = calls(&world, 1);
        world.mine();
        world.pass(2);
        assert_eq!(world.cores[1].height(), 11, "{kept} kept: {:?}", world.warnings());
        // A question and a block for each, the answers to it, and the first refusals.
        let asked = calls(&world, 1) - before;
        assert!(asked <= 4 * 11, "{kept} kept: {asked} calls");
        assert_eq!(world.warnings(), [""; 0]);
        assert_eq!(world.verdicts(), [Verdict::Accepted; 11], "the first one has them all along");
    }
}

#[test]
fn i8_a_node_that_takes_over_gets_our_chain_before_anything_is_mined_there() {
    for (kept, is_told) in [(0, false), (3, false), (0, true), (3, true)] {
        let mut world = polling(2);
        world.settle();
        for _ in 0..5 {
            world.mine();
        }
        forget(&mut world, 1, kept);
        if is_told {
            // It was away when it was asked to take a block, and is so for long.
            world.stop(1);
            world.mine();
            world.pass(40);
            world.cores[1].trouble = None;
        }
        world.stop(0);
        world.events.clear();
        world.pass(30);
        assert!(world.states().contains(&(1, NodeState::Active)), "{:?}", world.states());
        let height = if is_told { 6 } else { 5 };
        assert_eq!(world.cores[1].height(), height, "{kept} kept: {:?}", world.warnings());
        let heights = jobs(&world);
        let next = height as u32 + 1;
        assert!(heights.iter().all(|&it| it == next), "{kept} kept: jobs {heights:?}");
        assert!(!heights.is_empty());
    }
}

#[test]
fn i8_a_node_that_goes_back_without_a_word_gets_our_blocks_before_the_next_job() {
    for (kept, blocks) in [(0, 5), (3, 5), (5, 6)] {
        let mut world = polling(1);
        world.settle();
        for _ in 0..blocks {
            world.mine();
        }
        forget(&mut world, 0, kept);
        world.cores[0].fresh = false;
        world.events.clear();
        world.pass(15);
        assert_eq!(world.cores[0].height(), blocks, "{kept} kept: {:?}", world.warnings());
        let heights = jobs(&world);
        assert!(heights.iter().all(|&it| it == blocks as u32 + 1), "jobs {heights:?}");
    }
}

#[test]
fn i8_no_template_from_before_a_crash_is_mined_beside_our_blocks() {
    // The node is killed at each time of an interval, and is back at once or 700 ms later.
    for (milliseconds, is_down) in
        [0, 300, 600, 900, 999, 1000].into_iter().flat_map(|at| [(at, false), (at, true)])
    {
        for kept in [0, 2, 4] {
            let paced = Config {
                long_poll: LongPolling::Never,
                block_interval: Duration::from_secs(1),
                ..config(1)
            };
            let mut world = World::with(paced, vec![Core::new()]);
            let mut highest = 0;
            let mut run = |world: &mut World, milliseconds: u64| {
                for _ in 0..milliseconds / 100 {
                    world.now += Duration::from_millis(100);
                    world.client.handle_timeout(world.now);
                    world.settle();
                    if world.job.is_some() {
                        world.mine();
                    }
                }
                for height in jobs(world) {
                    assert!(
                        height > highest,
                        "killed at {milliseconds}, {kept} kept: job {height}"
                    );
                    highest = height;
                }
                world.events.clear();
            };
            run(&mut world, 5_000 + milliseconds);
            forget(&mut world, 0, kept);
            if is_down {
                world.stop(0);
                world.now += Duration::from_millis(700);
                world.client.handle_timeout(world.now);
                world.settle();
                world.cores[0].trouble = None;
            }
            run(&mut world, 20_000);
            assert!(world.cores[0].height() > 15, "{}", world.cores[0].height());
        }
    }
}

#[test]
fn rule_16_blocks_that_lack_a_block_of_another_miner_wait_for_it_together() {
    let mut world = polling(2);
    world.cores[0].foreign_block();
    let foreign = world.cores[0].tip();
    world.settle();
    for _ in 0..20 {
        world.mine();
        world.pass(1);
    }
    let refused = world.cores[1].seen("submitblock");
    assert!(refused <= 2 * 20 + 5, "each once, and the first one again with each: {refused}");
    assert_eq!(world.cores[1].height(), 0);
    // It hears of that block, and gets ours with the next attempt.
    world.cores[1].best.push(foreign);
    world.pass(120);
    assert_eq!(world.cores[1].height(), 21, "{:?}", world.warnings());
    assert!(world.cores[1].seen("submitblock") <= refused + 30);
}

#[test]
fn i8_our_blocks_that_lacked_a_parent_come_before_a_job_beside_them() {
    let mut world = polling(2);
    world.cores[0].foreign_block();
    let foreign = world.cores[0].tip();
    world.settle();
    for _ in 0..3 {
        world.mine();
    }
    // The next attempt is a minute away, or two.
    world.pass(100);
    world.cores[1].best.push(foreign);
    world.stop(0);
    world.events.clear();
    world.pass(20);
    assert!(world.states().contains(&(1, NodeState::Active)));
    assert_eq!(world.cores[1].height(), 4);
    assert!(jobs(&world).iter().all(|&height| height == 5), "{:?}", jobs(&world));
    assert_eq!(world.job.clone().unwrap().height(), Some(5));
}

#[test]
fn rule_16_a_node_that_has_the_parent_and_says_that_it_lacks_it_is_asked_with_pauses() {
    let mut world = polling(2);
    world.settle();
    world.mine();
    world.cores[1].submit_says = Some(json!("prev-blk-not-found"));
    world.cores[1].header_says = Some(Said::Result(json!({"confirmations": 1, "nTx": 1})));
    world.mine();
    let before = calls(&world, 1);
    world.pass(600);
    let asked = calls(&world, 1) - before;
    assert!((6..=60).contains(&asked), "{asked} calls in ten minutes");
}

#[test]
fn rule_16_two_nodes_in_turn_behind_one_name_are_not_flooded_with_questions() {
    let mut world = polling(2);
    world.settle();
    for _ in 0..30 {
        world.mine();
    }
    // The standby has our blocks each second second.
    let (best, blocks) = (world.cores[1].best.clone(), world.cores[1].blocks.clone());
    let before = calls(&world, 1);
    for second in 0..60 {
        if second % 2 == 0 {
            forget(&mut world, 1, 0);
        } else {
            let core = &mut world.cores[1];
            core.blocks.extend(blocks.clone());
            core.best = best.clone();
        }
        if second % 5 == 0 {
            world.mine();
        }
        world.pass(1);
    }
    let asked = calls(&world, 1) - before;
    assert!(asked <= 60 * 30, "{asked} calls in a minute");
}

#[test]
fn rule_20_one_node_that_lost_a_block_takes_no_verdict_back_that_another_gave() {
    let mut world = polling(2);
    world.settle();
    for _ in 0..3 {
        world.mine();
    }
    forget(&mut world, 1, 0);
    // The first one does not answer, and the second one does.
    world.cores[0].header_says = Some(Said::Nothing);
    world.client.finish(world.now);
    world.settle();
    assert_eq!(world.verdicts(), [Verdict::Accepted; 3], "{:?}", world.events);
}

#[test]
fn rule_20_a_block_without_a_verdict_is_told_as_of_the_node_whose_words_it_has() {
    let mut world = polling(2);
    world.settle();
    // The first node goes, and the second one says yes to what it does not take.
    world.stop(0);
    world.cores[1].submit_says = Some(json!(null));
    world.mine();
    world.pass(1);
    world.client.finish(world.now);
    world.pass(3);
    let told = world.events.iter().filter_map(|event| match &event.what {
        NodeNews::Block(outcome) => Some((event.node, outcome.reason.clone()?)),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    let [(node, reason)] = &told[..] else { panic!("{told:?}") };
    assert!(*node == 1 && reason.contains("does not have it"), "{node}: {reason}");
}

#[test]
fn rule_5_the_reason_of_a_block_that_no_node_judged_is_what_became_of_it() {
    // Each node has said something, and none is said to have been silent.
    let mut world = polling(1);
    world.settle();
    world.cores[0].hangs_at = vec!["submitblock"];
    world.mine();
    world.pass(1);
    world.swap(0, Core { chain: "testnet4".to_owned(), ..Core::new() });
    world.pass(3);
    world.client.abandon();
    world.settle();
    let reason = world.events.iter().rev().find_map(|event| match &event.what {
        NodeNews::Block(outcome) => outcome.reason.clone(),
        _ => None,
    });
    let reason = reason.unwrap();
    assert!(reason.contains("another chain") && reason.contains("spool"), "{reason}");

    // The second node has it beside its chain, and the first one is still to answer.
    let mut world = polling(2);
    world.settle();
    world.cores[0].hangs_at = vec!["submitblock"];
    world.cores[1].submit_says = Some(json!("inconclusive"));
    world.mine();
    world.pass(1);
    world.client.abandon();
    world.settle();
    let last = world.events.iter().rev().find_map(|event| match &event.what {
        NodeNews::Block(outcome) => Some((event.node, outcome.reason.clone().unwrap())),
        _ => None,
    });
    let (node, reason) = last.unwrap();
    assert!(node == 1 && reason.contains("inconclusive"), "{node}: {reason}");
}

#[test]
fn rule_21_blocks_whose_chain_no_node_has_any_more_hold_up_no_work() {
    // So many that we have let go of the first ones.
    let mut world = polling(1);
    world.settle();
    for _ in 0..80 {
        world.mine();
    }
    forget(&mut world, 0, 0);
    for _ in 0..90 {
        world.pass(1);
        if world.job.is_some() {
            world.mine();
        }
    }
    let height = world.cores[0].height();
    assert!(height >= 60, "height {height}: {:?}", world.warnings());
    assert!(world.client.ledger().accepted as usize >= height);
    // Their files are kept, or laid aside as evidence; one was found as the pause began.
    assert!(world.spool.len() <= 65, "{}", world.spool.len());
    let before = world.cores[0].seen("submitblock");
    world.pass(300);
    assert!(world.cores[0].seen("submitblock") - before <= 70, "each once more at most");
}

#[test]
fn i8_a_node_that_is_killed_while_it_gets_our_blocks_again_gets_them_once_more() {
    // Once more unseen, too, where its tip tells.
    let seen = [1, 2, 5, 12, 19].map(|at| (at, true));
    for (after, is_seen) in seen.into_iter().chain([2, 5, 12, 19].map(|at| (at, false))) {
        let mut world = polling(1);
        world.settle();
        for _ in 0..20 {
            world.mine();
        }
        forget(&mut world, 0, 0);
        world.events.clear();
        world.now += Duration::from_secs(6);
        world.client.handle_timeout(world.now);
        let mut sent = 0;
        while let Some(request) = world.client.poll_request() {
            if std::mem::take(&mut world.cores[0].fresh) {
                world.client.handle_connected(world.now, 0);
            }
            let answer = world.cores[0].answer(request.id, &request.call).expect("an answer");
            sent += usize::from(matches!(request.call, Call::Submit { .. }));
            world.client.handle_answer(world.now, request.id, answer);
            if sent == after {
                break;
            }
        }
        forget(&mut world, 0, 0);
        if is_seen {
            world.stop(0);
            world.pass(3);
            world.cores[0].trouble = None;
        }
        world.pass(40);
        assert_eq!(world.cores[0].height(), 20, "after {after}: {:?}", world.warnings());
        assert!(jobs(&world).iter().all(|&height| height == 21), "{after}: {:?}", jobs(&world));
        assert_eq!(world.client.ledger().accepted, 20, "after {after}");
    }
}

#[test]
fn rule_23_blocks_behind_one_that_a_standby_does_not_take_wait_with_it_and_come_with_the_next_one()
{
    for (says, next) in [
        (Said::Result(json!("time-too-new")), None),
        (Said::Result(json!(true)), None),
        // As its clock has it that is behind: the others lack their parents.
        (Said::Nothing, Some("time-too-new")),
    ] {
        let mut world = polling(2);
        world.settle();
        world.cores[1].say(&says);
        world.cores[1].refuses_next = next;
        for _ in 0..24 {
            world.mine();
            world.pass(1);
        }
        let sent = calls(&world, 1);
        assert!(sent < 24 * 12, "{says:?}: {sent} calls while it takes none");
        world.cores[1].say(&Said::Nothing);
        world.cores[1].refuses_next = None;
        for _ in 0..3 {
            world.mine();
            world.pass(1);
        }
        assert_eq!(world.cores[1].height(), 27, "{says:?}: {:?}", world.warnings());
        let sent = calls(&world, 1) - sent;
        assert!(sent < 27 * 8, "{says:?}: {sent} calls when it takes them again");
    }
}

#[test]
fn i8_a_standby_that_refused_one_block_gets_it_again_when_it_lacks_it_for_the_next() {
    for says in [Said::Result(json!("rejected")), Said::Error(-22, "Block decode failed")] {
        let mut world = polling(2);
        world.settle();
        for nth in 0..12 {
            world.cores[1].say(if nth == 2 { &says } else { &Said::Nothing });
            world.mine();
            world.pass(1);
        }
        let sent = calls(&world, 1);
        assert!(sent < 12 * 8, "{says:?}: {sent} calls");
        assert_eq!(world.cores[1].height(), 12, "{says:?}: {:?}", world.warnings());
        world.stop(0);
        world.pass(20);
        world.mine();
        assert_eq!(world.cores[1].height(), 13, "our own chain goes on: {says:?}");
        assert_eq!(world.verdicts(), [Verdict::Accepted; 13]);
    }
}

#[test]
fn rule_23_a_standby_that_refuses_one_block_for_ever_costs_a_few_calls_a_block() {
    let mut world = polling(2);
    world.settle();
    world.cores[1].say(&Said::Result(json!("rejected")));
    let hash = world.mine();
    world.cores[1].refused = Some(hash.to_string().parse().unwrap());
    world.cores[1].say(&Said::Nothing);
    for _ in 0..30 {
        world.mine();
        world.pass(2);
    }
    let sent = calls(&world, 1);
    assert!(sent < 30 * 10, "{sent} calls");
    assert_eq!(world.verdicts(), [Verdict::Accepted; 31]);
}
