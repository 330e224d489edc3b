//! `invalidateblock` and `reconsiderblock` at the node while blocks of ours are on their way, in
//! virtual time: a refusal that the user can lift is no last word.

mod support;

use std::time::Duration;

use midstate_chain::{Hash256, Verdict};
use midstate_gbt::client::{BlockOutcome, Config, LongPolling, NodeNews};
use serde_json::json;
use support::{Core, Said, World, config};

/// A world without calls that wait.
fn polling(nodes: usize) -> World {
    let never = Config { long_poll: LongPolling::Never, ..config(nodes) };
    World::with(never, (0..nodes).map(|_| Core::new()).collect())
}

/// All that was told of a block.
fn told(world: &World, hash: Hash256) -> Vec<BlockOutcome> {
    let outcome = |what: &NodeNews| match what {
        NodeNews::Block(outcome) if outcome.hash == hash => Some(outcome.clone()),
        _ => None,
    };
    world.events.iter().filter_map(|event| outcome(&event.what)).collect()
}

fn jobs(world: &World) -> Vec<u32> {
    let height = |what: &NodeNews| match what {
        NodeNews::Job { height, .. } => Some(*height),
        _ => None,
    };
    world.events.iter().filter_map(|event| height(&event.what)).collect()
}

/// The node's tip at height 2 is ours or another miner's, and is invalidated while a block of ours
/// on it is on its way: the block.
fn refused(world: &mut World, parent_is_ours: bool) -> Hash256 {
    world.settle();
    world.mine();
    match parent_is_ours {
        true => drop(world.mine()),
        false => world.cores[0].foreign_block(),
    }
    world.pass(6);
    assert_eq!(world.job.as_ref().and_then(|job| job.height()), Some(3));
    world.cores[0].invalidate(2);
    let hash = world.mine();
    let outcome = told(world, hash).pop().expect("a verdict");
    assert_eq!(outcome.verdict, Verdict::Rejected);
    assert_eq!(outcome.reason.as_deref(), Some("bad-prevblk"));
    assert_eq!(world.client.ledger().rejected, 1);
    hash
}

#[test]
fn i8_a_block_whose_parent_was_invalid_comes_again_when_the_node_has_the_parent_again() {
    // With the next template or long after it.
    for (parent_is_ours, seconds) in [(true, 0), (true, 60), (false, 0), (false, 60), (true, 9999)]
    {
        let mut world = polling(1);
        let hash = refused(&mut world, parent_is_ours);
        let name = hash.to_string();
        assert!(world.spool.contains_key(&name), "its file stays");
        world.pass(seconds);
        assert!(seconds == 0 || jobs(&world).ends_with(&[2]), "{:?}", jobs(&world));
        assert!(world.spool.contains_key(&name), "its file stays");
        world.cores[0].reconsider(2);
        world.events.clear();
        world.pass(10);
        assert!(world.cores[0].has(&hash), "{parent_is_ours} {seconds}: {:?}", world.warnings());
        assert_eq!(world.cores[0].height(), 3);
        let [outcome] = &told(&world, hash)[..] else { panic!("{:?}", told(&world, hash)) };
        assert_eq!((outcome.verdict, outcome.was), (Verdict::Accepted, Some(Verdict::Rejected)));
        let ledger = world.client.ledger();
        assert_eq!((ledger.rejected, ledger.unresolved()), (0, 0), "{ledger:?}");
        assert_eq!(ledger.accepted, ledger.found, "{ledger:?}");
        assert!(world.spool.contains_key(&name), "as that of any block that is not buried");
        assert_eq!(world.job.as_ref().unwrap().height(), Some(4));
        // The node was back at once, or nothing is mined beside our block.
        let beside = jobs(&world).iter().filter(|&&height| height == 3).count();
        assert!(seconds == 0 || beside == 0, "{:?}", jobs(&world));
        // It is a block as any other.
        world.mine();
        assert_eq!(world.cores[0].height(), 4);
    }
}

#[test]
fn i8_a_block_whose_parent_was_invalid_comes_again_in_the_next_run() {
    let mut world = polling(1);
    let hash = refused(&mut world, true);
    world.pass(20);
    world.client.finish(world.now);
    world.settle();
    assert!(world.client.is_settled());
    world.client.abandon();
    world.settle();
    assert_eq!(told(&world, hash).len(), 1, "no second word about it");
    // Still invalid when the next run begins, or no longer.
    for is_lifted in [true, false] {
        let mut next = polling(1);
        next.cores = vec![Core {
            best: world.cores[0].best.clone(),
            blocks: world.cores[0].blocks.clone(),
            invalid: world.cores[0].invalid.clone(),
            ..Core::new()
        }];
        if is_lifted {
            next.cores[0].reconsider(2);
        }
        next.spool = world.spool.clone();
        for file in next.spool.clone().into_values() {
            next.client.replay(next.now, file, Duration::ZERO);
        }
        next.pass(20);
        if !is_lifted {
            assert_eq!(told(&next, hash).pop().unwrap().verdict, Verdict::Rejected);
            assert!(next.spool.contains_key(&hash.to_string()));
            next.cores[0].reconsider(2);
            next.pass(10);
        }
        assert_eq!(told(&next, hash).pop().unwrap().verdict, Verdict::Accepted);
        assert_eq!(next.cores[0].height(), 3);
    }
}

#[test]
fn rule_16_a_node_that_always_says_that_the_parent_is_invalid_gets_a_block_six_times() {
    for reason in ["bad-prevblk", "duplicate-invalid"] {
        let mut world = polling(1);
        world.settle();
        world.cores[0].say(&Said::Result(json!(reason)));
        let hash = world.mine();
        // No other block is found.
        world.pass(2 * 3600);
        assert_eq!(world.cores[0].seen("submitblock"), 6, "{reason}");
        assert_eq!(told(&world, hash).len(), 1, "{reason}");
        assert!(world.warnings().len() <= 1, "{reason}: {:?}", world.warnings());
        // One block is one refusal in a row of them.
        let told = world.warnings().iter().filter(|told| told.contains("took none")).count();
        assert_eq!(told, 0, "{reason}: {:?}", world.warnings());
        // Its place is buried: the file is evidence.
        assert!(world.spool.contains_key(&hash.to_string()), "{reason}");
        for height in 1..=7 {
            world.cores[0].foreign_block();
            world.pass(6);
            let is_kept = world.spool.contains_key(&hash.to_string());
            assert_eq!(is_kept, height < 6, "{reason} at {height}");
        }
        let refused = NodeNews::Unspool { hash, refused: true };
        assert!(world.told(&refused), "{reason}");
    }
}

#[test]
fn rule_16_blocks_whose_parent_was_invalid_are_let_go_of_as_others_and_kept_as_evidence() {
    let mut world = polling(1);
    world.settle();
    world.cores[0].say(&Said::Result(json!("bad-prevblk")));
    for _ in 0..80 {
        world.mine();
        world.pass(40);
    }
    assert!(world.client.ledger().found >= 70, "{:?}", world.client.ledger());
    assert!(world.spool.len() <= 64, "{}", world.spool.len());
    let gone = |refused| {
        let mut events = world.events.iter();
        events.any(
            |event| matches!(event.what, NodeNews::Unspool { refused: it, .. } if it == refused),
        )
    };
    assert!(gone(true) && !gone(false), "no file of a refused block is deleted");
}

#[test]
fn i8_a_standby_that_held_the_parent_for_invalid_gets_the_block_when_it_has_the_parent() {
    let mut world = polling(2);
    world.settle();
    world.mine();
    world.mine();
    world.pass(6);
    // The first node goes back, the second one takes our block.
    world.cores[0].invalidate(2);
    let hash = world.mine();
    assert_eq!(told(&world, hash).pop().unwrap().verdict, Verdict::Accepted);
    world.cores[0].reconsider(2);
    world.pass(10);
    assert!(world.cores[0].has(&hash), "{:?}", world.warnings());
    assert_eq!(told(&world, hash).len(), 1, "{:?}", told(&world, hash));
}
