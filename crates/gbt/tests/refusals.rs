//! A node that takes none of our blocks: refusals in a row have consequences, in virtual time.

mod support;

use midstate_chain::Verdict;
use midstate_failover::Service;
use midstate_gbt::client::{Config, LongPolling, NodeNews, NodeState};
use serde_json::json;
use support::{Core, Said, World, config};

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
fn rule_2_a_node_that_takes_none_of_our_blocks_is_told_of_once_and_the_next_one_is_mined_at() {
    for (said, words, most) in [
        (Said::Result(json!("bad-cb-height")), "bad-cb-height: the height", 15),
        (Said::Result(json!("a-new-word")), "a-new-word; likely cause: the node judges", 15),
        (Said::Result(json!("prev-blk-not-found")), "prev-blk-not-found: it does not", 25),
        (Said::Result(json!("inconclusive")), "inconclusive: stored", 25),
        (Said::Result(json!(null)), "it says that it has the block", 25),
        (Said::Result(json!(true)), "the node answers true", 25),
        (Said::Error(-28, "Verifying blocks…"), "Verifying blocks", 45),
        (Said::Error(-22, "Block decode failed"), "Block decode failed: the node cannot", 15),
        (Said::Http(503, "busy"), "503", 45),
    ] {
        let mut world = polling(2);
        world.cores[0].say(&said);
        mine_on(&mut world, most);
        let told = failovers(&world);
        let [(1, reason)] = &told[..] else { panic!("{said:?}: {told:?} {:?}", world.warnings()) };
        assert!(reason.contains("took none of our last 3 blocks"), "{said:?}: {reason}");
        assert!(reason.contains(words), "{said:?}: {reason}");
        assert_eq!(warnings(&world, "took none of our last 3 blocks"), 1, "{said:?}");
        assert_eq!(warnings(&world, "it counts as a node that fails"), 1, "{said:?}");
        // The second one gives work to which blocks are found, each of which it takes.
        let height = world.cores[1].height();
        let found = mine_on(&mut world, 90);
        assert!(found.len() > 80, "{said:?}: {found:?}");
        // The first one's job is hashed until the second one's comes.
        let grown = world.cores[1].height() - height;
        assert!(found.len() - grown <= 1, "{said:?}: {grown} of {}", found.len());
        assert_eq!(failovers(&world).len(), 1, "{said:?} {:?}", failovers(&world));
        assert_eq!(world.client.service(world.now), Service::Trusted, "{said:?}");
    }
}

#[test]
fn rule_2_a_node_that_answers_to_no_block_hands_over_within_a_minute() {
    let mut world = polling(2);
    world.cores[0].hangs_at = vec!["submitblock"];
    mine_on(&mut world, 60);
    let told = failovers(&world);
    let [(1, reason)] = &told[..] else { panic!("{told:?} {:?}", world.warnings()) };
    assert!(reason.contains("it has not answered; is it overloaded"), "{reason}");
    assert!(world.cores[1].height() > 10);
}

#[test]
fn rule_2_a_node_that_says_yes_to_every_block_and_has_none_hands_over_although_its_tip_moves() {
    let mut world = polling(2);
    world.cores[0].say(&Said::Result(json!(null)));
    for second in 0..60 {
        mine_on(&mut world, 1);
        if second % 20 == 19 && failovers(&world).is_empty() {
            for core in &mut world.cores {
                core.foreign_block();
            }
        }
    }
    assert_eq!(failovers(&world).len(), 1, "{:?}", world.warnings());
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
fn rule_2_two_refused_blocks_in_a_row_have_no_consequence_but_a_pause() {
    let mut world = polling(2);
    for _ in 0..5 {
        world.cores[0].say(&Said::Result(json!("bad-cb-height")));
        let mut refused = 0;
        while refused < 2 {
            refused += mine_on(&mut world, 1).len();
        }
        world.cores[0].say(&Said::Nothing);
        // They have it from each other.
        let (best, blocks) = (world.cores[1].best.clone(), world.cores[1].blocks.clone());
        world.cores[0].best = best;
        world.cores[0].blocks.extend(blocks);
        mine_on(&mut world, 10);
    }
    assert_eq!(failovers(&world), []);
    assert_eq!(warnings(&world, "took none"), 0, "{:?}", world.warnings());
    // Yet the first words of the node are told, where another one has the block.
    let told = warnings(&world, "the node refuses block");
    assert!((1..=2).contains(&told), "{told}");
    assert_eq!(warnings(&world, "; another node"), told);
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
    assert_eq!(warnings(&world, "took none of our last 3 blocks"), 1, "it is told once");
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
        // The tip moves while the block is on its way.
        let share = world.solve();
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
