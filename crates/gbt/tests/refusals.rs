//! A node that takes none of our blocks: refusals in a row have consequences, in virtual time.

mod support;

use midstate_chain::Verdict;
use midstate_failover::Service;
use midstate_gbt::client::{Config, LongPolling, NodeNews, NodeState};
use serde_json::json;
use support::{Core, Said, World, config, solve};

/// A world without calls that wait.
fn polling(nodes: usize) -> World {
    let never = Config { long_poll: LongPolling::Never, ..config(nodes) };
    World::with(never, (0..nodes).map(|_| Core::new()).collect())
}

/// Mines each job as soon as it comes, for so many seconds. When blocks were found, from now on.
fn mine_on(world: &mut World, seconds: u64) -> Vec<u64> {
    let since = world.now;
    let mut found = Vec::new();
    world.settle();
    for _ in 0..seconds {
        if world.job.is_some() {
            world.mine();
            found.push((world.now - since).as_secs());
        }
        world.pass(1);
    }
    found
}

fn warnings(world: &World, words: &str) -> usize {
    world.warnings().iter().filter(|told| told.contains(words)).count()
}

fn failovers(world: &World) -> Vec<(usize, String)> {
    let active = |what: &NodeNews| match what {
        NodeNews::Node { state: NodeState::Active, reason } => reason.clone(),
        _ => None,
    };
    let events = world.events.iter();
    events.filter_map(|event| Some((event.node, active(&event.what)?))).collect()
}

#[test]
fn rule_2_a_node_that_does_not_take_a_block_which_another_has_is_told_of_once_and_left() {
    const HANGS: Said = Said::Nothing;
    for (said, words) in [
        (Said::Result(json!("bad-cb-height")), "bad-cb-height: the height"),
        (Said::Result(json!("a-new-word")), "the node refuses it: a-new-word"),
        (Said::Result(json!("prev-blk-not-found")), "prev-blk-not-found: it does not"),
        (Said::Result(json!("inconclusive")), "inconclusive: stored"),
        (Said::Result(json!(null)), "it says that it has the block"),
        (Said::Result(json!(true)), "the node answers true"),
        (Said::Error(-28, "Verifying blocks…"), "Verifying blocks"),
        (Said::Error(-22, "Block decode failed"), "Block decode failed: the node cannot"),
        (Said::Http(503, "busy"), "503"),
        (HANGS, "it has not answered; is it overloaded"),
    ] {
        let mut world = polling(2);
        world.cores[0].say(&said);
        if said == HANGS {
            world.cores[0].hangs_at = vec!["submitblock"];
        }
        // A second for the next node, and the time that a block has to become the tip.
        mine_on(&mut world, 8);
        let told = failovers(&world);
        let [(1, reason)] = &told[..] else { panic!("{said:?}: {told:?} {:?}", world.warnings()) };
        assert!(reason.contains("does not take our block, which another node has"), "{reason}");
        assert!(reason.contains(words), "{said:?}: {reason}");
        assert_eq!(warnings(&world, "does not take our block"), 1, "{said:?}");
        assert_eq!(warnings(&world, "it counts as a node that fails"), 1, "{said:?}");
        // Rule 27: nor is it said before that its work is mined.
        assert_eq!(warnings(&world, "mining that work"), 0, "{said:?}: {:?}", world.warnings());
        // The second one gives work to which blocks are found, each of which it takes.
        let height = world.cores[1].height();
        let found = mine_on(&mut world, 90);
        assert!(found.len() > 80, "{said:?}: {found:?}");
        assert_eq!(world.cores[1].height(), height + found.len(), "{said:?}");
        assert_eq!(failovers(&world).len(), 1, "{said:?} {:?}", failovers(&world));
        assert_eq!(world.client.service(world.now), Service::Trusted, "{said:?}");
        assert_eq!(world.verdicts().last(), Some(&Verdict::Accepted));
        // None was mined beside another.
        let ledger = world.client.ledger();
        assert_eq!(ledger.accepted as usize, world.cores[1].height(), "{said:?}: {ledger:?}");
        assert_eq!(ledger.found, ledger.accepted, "{said:?}");
    }
}

#[test]
fn rule_2_nodes_that_both_take_none_are_told_of_once_each_and_mined_at_with_pauses() {
    let mut world = polling(2);
    for core in &mut world.cores {
        core.say(&Said::Result(json!("bad-cb-amount")));
    }
    let found = mine_on(&mut world, 300);
    assert!((8..=40).contains(&found.len()), "{found:?}");
    assert_eq!(warnings(&world, "took none of our last 3 blocks"), 2, "{:?}", world.warnings());
    assert!(failovers(&world).len() <= found.len(), "{:?}", failovers(&world));
}

#[test]
fn rule_2_at_a_node_alone_the_pauses_grow_and_end_with_a_block_that_it_takes() {
    let mut world = polling(1);
    world.cores[0].say(&Said::Result(json!("bad-cb-height")));
    let found = mine_on(&mut world, 200);
    let pauses: Vec<_> = found.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses[..6], [5, 5, 5, 10, 20, 30], "{found:?}");
    assert!(pauses[6..].iter().all(|&pause| pause == 30), "{pauses:?}");
    assert_eq!(warnings(&world, "took none of our last 3 blocks"), 1, "{:?}", world.warnings());
    assert_eq!(warnings(&world, "the pauses before our next blocks grow"), 1);
    assert_eq!(world.client.ledger().rejected, found.len() as u64);
    assert_eq!(failovers(&world), []);
    let troubles: Vec<_> = world.client.troubles().map(|(_, words)| words.to_owned()).collect();
    assert!(troubles[0].contains("took none"), "{troubles:?}");
    assert_eq!(world.client.service(world.now), Service::OnTrial);
    // It takes blocks again: no pauses, and another row would be told.
    world.cores[0].say(&Said::Nothing);
    let found = mine_on(&mut world, 60);
    assert!(found.len() >= 30, "{found:?}");
    assert_eq!(world.client.troubles().count(), 0);
    assert_eq!(world.client.service(world.now), Service::Trusted);
    world.cores[0].say(&Said::Result(json!("bad-cb-amount")));
    mine_on(&mut world, 30);
    assert_eq!(warnings(&world, "took none of our last 3 blocks"), 2);
}

#[test]
fn rule_2_a_refusal_that_comes_late_is_no_reason_for_another_pause() {
    let mut world = polling(1);
    world.cores[0].say(&Said::Result(json!(true)));
    let unclear = mine_on(&mut world, 100).len();
    assert!(unclear >= 10, "{unclear}");
    // Each of those is sent again in its own time, and refused now.
    world.cores[0].say(&Said::Result(json!("bad-cb-height")));
    let found = mine_on(&mut world, 300);
    assert!(found.windows(2).all(|pair| pair[1] - pair[0] <= 30), "{found:?}");
    assert_eq!(world.client.ledger().rejected as usize, unclear + found.len());
}

#[test]
fn rule_2_two_refused_blocks_in_a_row_have_no_consequence_but_a_pause() {
    let mut world = polling(1);
    for _ in 0..5 {
        world.cores[0].say(&Said::Result(json!("bad-cb-height")));
        let mut refused = 0;
        while refused < 2 {
            refused += mine_on(&mut world, 1).len();
        }
        world.cores[0].say(&Said::Nothing);
        mine_on(&mut world, 10);
    }
    assert_eq!(world.warnings(), [""; 0]);
    assert_eq!(world.client.ledger().rejected, 10);
}

#[test]
fn rule_2_a_standby_that_refuses_all_blocks_is_told_of_once_and_costs_nothing() {
    let mut world = polling(2);
    world.cores[1].say(&Said::Result(json!("bad-cb-height")));
    let found = mine_on(&mut world, 30);
    assert_eq!(found.len(), 30);
    assert_eq!(warnings(&world, "took none of our last 3 blocks"), 1);
    assert_eq!(warnings(&world, "the other nodes get our blocks all the same"), 1);
    assert!(world.warnings().len() <= 2, "{:?}", world.warnings());
    assert_eq!(world.verdicts(), [Verdict::Accepted; 30]);
    assert_eq!(failovers(&world), []);
}

#[test]
fn rule_2_a_node_that_took_none_is_returned_to_after_a_minute_and_left_at_its_first_refusal() {
    let mut world = polling(2);
    world.cores[0].say(&Said::Result(json!("bad-cb-height")));
    mine_on(&mut world, 20);
    assert_eq!(failovers(&world).len(), 1);
    // Another miner's block has both on one chain, so that the first one would give work.
    world.cores[1].foreign_block();
    world.cores[0].best = world.cores[1].best.clone();
    for _ in 0..30 {
        world.pass(5);
        if failovers(&world).len() == 2 {
            break;
        }
    }
    let told = failovers(&world);
    assert_eq!(told[1].0, 0, "{told:?}");
    assert!(told[1].1.contains("our blocks are tried there again"), "{told:?}");
    let found = mine_on(&mut world, 10);
    let told = failovers(&world);
    assert_eq!(told.len(), 3, "{told:?} {found:?}");
    assert_eq!(told[2].0, 1);
    assert_eq!(warnings(&world, "does not take our block, which another"), 1, "it is told once");
}

#[test]
fn rule_21_a_refused_block_holds_up_the_work_on_its_own_tip_alone() {
    for reason in ["bad-prevblk", "duplicate-invalid", "bad-cb-height"] {
        let mut world = polling(1);
        world.settle();
        world.cores[0].refuse_blocks = Some(reason);
        // The tip stands: on regtest the next block would be as bad, and a millisecond away.
        world.mine();
        assert_eq!(world.job, None);
        world.pass(4);
        assert_eq!(world.job, None, "{reason}");
        world.pass(1);
        assert_eq!(world.job.clone().unwrap().height(), Some(1), "{reason}");
        // The tip moves while the block is on its way. A job that comes again is hashed on.
        let share = solve(world.job.as_ref().unwrap(), 1);
        world.cores[0].foreign_block();
        world.client.handle_share(world.now, &share).unwrap();
        world.settle();
        assert_eq!(world.job.clone().unwrap().height(), Some(2), "{reason}: at once");
        assert_eq!(world.client.ledger().rejected, 2);
    }
}

#[test]
fn rule_2_a_tip_that_is_taken_back_again_and_again_is_no_fault_of_the_node() {
    let mut world = polling(2);
    world.settle();
    for _ in 0..3 {
        world.mine();
    }
    for _ in 0..6 {
        world.cores.iter_mut().for_each(|core| {
            core.foreign_block();
            core.refuse_blocks = Some("bad-prevblk");
        });
        world.mine();
        world.cores.iter_mut().for_each(|core| core.refuse_blocks = None);
        world.pass(1);
        assert!(world.job.is_some(), "no pause on another tip");
    }
    assert_eq!(warnings(&world, "took none"), 0, "{:?}", world.warnings());
    assert_eq!(failovers(&world), []);
    // A node that says so of every block, and goes on with that tip, takes none.
    world.cores[0].refuse_blocks = Some("bad-prevblk");
    mine_on(&mut world, 40);
    assert_eq!(failovers(&world).len(), 1, "{:?}", world.warnings());
}
