//! A node that forgets our blocks, or does not answer to them: nothing is mined beside them, they
//! come back, and work goes on, in virtual time.

mod support;

use std::time::Duration;

use midstate_chain::{Hash256, Verdict};
use midstate_gbt::client::{Config, LongPolling, NodeNews};
use midstate_gbt::rpc::Call;
use midstate_gbt::spool::SpooledBlock;
use support::{Core, Said, World, config};

/// The node forgets all that it took but the first `kept` blocks, as in a crash, and is away.
fn crash(world: &mut World, kept: usize) {
    world.stop(0);
    let core = &mut world.cores[0];
    for hash in core.best.split_off(1 + kept) {
        core.blocks.remove(&hash);
    }
    core.fresh = true;
}

fn come_back(world: &mut World) {
    world.cores[0].trouble = None;
    world.events.clear();
}

/// The heights of all jobs that came.
fn jobs(world: &World) -> Vec<u32> {
    let height = |what: &NodeNews| match what {
        NodeNews::Job { height, .. } => Some(*height),
        _ => None,
    };
    world.events.iter().filter_map(|event| height(&event.what)).collect()
}

fn warnings(world: &World, words: &str) -> usize {
    world.warnings().iter().filter(|told| told.contains(words)).count()
}

/// A world without calls that wait: nothing but a question tells that the tip has moved.
fn polling(nodes: usize) -> World {
    let never = Config { long_poll: LongPolling::Never, ..config(nodes) };
    World::with(never, (0..nodes).map(|_| Core::new()).collect())
}

/// The block that was found, as it lies in the spool.
fn file(world: &World, hash: Hash256) -> SpooledBlock {
    world.spool[&hash.to_string()].clone()
}

#[test]
fn i8_nothing_is_mined_beside_blocks_of_ours_that_the_node_forgot_and_gets_again() {
    for kept in [0, 2, 4] {
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        for _ in 0..5 {
            world.mine();
        }
        crash(&mut world, kept);
        world.pass(1);
        come_back(&mut world);
        world.pass(15);
        assert_eq!(world.cores[0].height(), 5, "{:?}", world.warnings());
        assert!(jobs(&world).iter().all(|&height| height == 6), "{:?}", jobs(&world));
        assert_eq!(world.job.clone().unwrap().height(), Some(6));
        assert_eq!(world.warnings(), [""; 0]);
        assert_eq!(world.client.ledger().accepted, 5);
    }
}

#[test]
fn rule_21_blocks_of_ours_that_do_not_get_through_hold_up_the_work_for_seconds() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    for _ in 0..3 {
        world.mine();
    }
    crash(&mut world, 0);
    world.cores[0].hangs_at = vec!["submitblock"];
    world.pass(1);
    come_back(&mut world);
    let since = world.now;
    while jobs(&world).is_empty() {
        world.pass(1);
        assert!(world.now < since + Duration::from_secs(20), "no job");
    }
    assert_eq!(jobs(&world), [1], "the tip that the node has");
    let waited = (world.now - since).as_secs();
    assert!((5..=12).contains(&waited), "{waited} s");
    assert_eq!(warnings(&world, "has not answered to our block yet"), 1);
}

#[test]
fn i8_blocks_of_an_earlier_run_come_before_the_first_job() {
    let mut first = World::new(vec![Core::new()]);
    first.settle();
    for _ in 0..3 {
        first.mine();
    }
    // The spool is read while the node checks the first template.
    let mut world = World::new(vec![Core::new()]);
    let mut files = Some(first.spool.into_values());
    loop {
        while let Some(event) = world.client.poll_event() {
            if let NodeNews::Job { height, .. } = event.what {
                assert_eq!(height, 4, "not beside a block of ours");
            }
        }
        let Some(request) = world.client.poll_request() else { break };
        if matches!(request.call, Call::Proposal { .. })
            && let Some(files) = files.take()
        {
            files.for_each(|file| world.client.replay(world.now, file, Duration::ZERO));
        }
        if let Some(answer) = world.cores[0].answer(request.id, &request.call) {
            world.client.handle_answer(world.now, request.id, answer);
        }
    }
    assert_eq!(world.cores[0].height(), 3);
    world.pass(3);
    assert_eq!(jobs(&world).first().unwrap_or(&4), &4);
}

#[test]
fn rule_21_a_block_that_finds_the_node_again_is_waited_for_from_then_on() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.stop(0);
    world.mine();
    world.pass(20);
    // Back, and busy with other things than our block.
    world.cores[0].hangs_at = vec!["submitblock"];
    come_back(&mut world);
    let mut waited = 0;
    while world.cores[0].seen("submitblock") == 0 {
        world.pass(1);
        waited += 1;
        assert!(waited < 15, "it is not sent");
    }
    world.pass(3);
    assert_eq!(jobs(&world), [0; 0], "it has just been sent");
    world.pass(8);
    assert_eq!(jobs(&world), [1]);
    assert_eq!(warnings(&world, "the node has not answered to our block yet"), 1);
    assert_eq!(warnings(&world, "does not become"), 0, "it has not answered");
}

#[test]
fn rule_21_a_block_that_the_disk_holds_up_has_no_answer() {
    let mut world = polling(1);
    world.settle();
    let share = world.solve();
    world.client.handle_share(world.now, &share).unwrap();
    // The disk is slow: the block is not written yet, and so it is not sent.
    let mut told = Vec::new();
    let mut jobs = 0;
    for second in 1..=6 {
        world.now += Duration::from_secs(1);
        world.client.handle_timeout(world.now);
        while let Some(request) = world.client.poll_request() {
            if let Some(answer) = world.cores[0].answer(request.id, &request.call) {
                world.client.handle_answer(world.now, request.id, answer);
            }
        }
        while let Some(event) = world.client.poll_event() {
            match event.what {
                NodeNews::Warning(words) => told.push((second, words)),
                NodeNews::Job { .. } => jobs += 1,
                _ => {}
            }
        }
    }
    let [(second, words)] = &told[..] else { panic!("{told:?}") };
    assert!(*second >= 5 && words.contains("has not answered to our block yet"), "{told:?}");
    assert_eq!(jobs, 1);
}

#[test]
fn rule_21_a_node_that_takes_a_block_and_does_not_answer_costs_a_second() {
    let mut world = polling(1);
    world.settle();
    world.cores[0].hangs_at = vec!["submitblock"];
    for height in 1..=5 {
        let hash = world.mine();
        let block = file(&world, hash);
        world.cores[0].take(&block.hex);
        world.pass(1);
        assert_eq!(world.job.clone().unwrap().height(), Some(height + 1), "{:?}", world.now);
        assert_eq!(world.verdicts().len(), height as usize);
    }
    assert_eq!(world.verdicts(), [Verdict::Accepted; 5]);
    assert_eq!(world.warnings(), [""; 0]);
}

#[test]
fn i8_a_node_that_does_not_answer_to_a_block_is_asked_whether_it_has_it() {
    // In the run, of one that gives no work, after 5 s; at the end after a second.
    for (ends, seconds) in [(false, 5), (true, 1)] {
        let mut world = polling(2);
        world.settle();
        for core in &mut world.cores {
            core.hangs_at = vec!["submitblock"];
        }
        let hash = world.mine();
        let block = file(&world, hash);
        world.cores[1].take(&block.hex);
        if ends {
            world.client.finish(world.now);
        }
        world.now += Duration::from_secs(seconds) - Duration::from_millis(1);
        world.client.handle_timeout(world.now);
        world.settle();
        assert_eq!(world.verdicts(), [], "{ends}");
        world.now += Duration::from_millis(1);
        world.client.handle_timeout(world.now);
        world.settle();
        assert_eq!(world.verdicts(), [Verdict::Accepted], "{ends}");
        assert_eq!(world.cores[1].seen("submitblock"), 1);
    }
}

#[test]
fn i8_the_file_of_a_block_stays_until_it_is_six_deep_and_seventy_minutes_old() {
    const KEPT: u64 = 70 * 60;
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    for _ in 0..8 {
        world.mine();
    }
    world.pass(KEPT - 1);
    world.cores[0].foreign_block();
    world.settle();
    assert_eq!(world.spool.len(), 8, "too young");
    world.pass(2);
    world.cores[0].foreign_block();
    world.settle();
    // Ten blocks: those from 6 on are not deep enough.
    assert_eq!(world.spool.len(), 3);
    assert_eq!(world.verdicts(), [Verdict::Accepted; 8]);
    // Depth comes after age, too.
    for left in [2, 1, 0, 0] {
        world.cores[0].foreign_block();
        world.settle();
        assert_eq!(world.spool.len(), left);
    }
}

#[test]
fn i8_a_file_stays_into_the_next_run_until_it_is_old_and_a_block_that_was_never_gone_is_counted() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    for _ in 0..10 {
        world.mine();
    }
    world.client.finish(world.now);
    world.settle();
    assert_eq!(world.spool.len(), 10);
    assert!(world.client.is_settled());
    // The next run. The files of the first four have been there for long.
    let (files, cores) = (world.spool, world.cores);
    let mut world = World::new(cores);
    world.spool = files.clone();
    for file in files.values() {
        let minutes = if file.height <= 4 { 70 } else { 69 };
        world.client.replay(world.now, file.clone(), Duration::from_secs(60 * minutes));
    }
    world.settle();
    assert!(world.told(&NodeNews::Known(10)), "{:?}", world.events);
    assert_eq!(world.verdicts(), [], "no news");
    assert_eq!(world.spool.len(), 6);
    world.pass(60);
    world.cores[0].foreign_block();
    world.settle();
    // Those of 5 and 6 are six deep now.
    assert_eq!(world.spool.len(), 4);
    // One that the node lacks is sent, and that is news; the others are counted all the same.
    let tip = world.cores[0].best.split_off(10);
    assert_eq!(tip.len(), 2);
    world.cores[0].blocks.remove(&tip[0]);
    let mut world = World::new(world.cores);
    for file in files.into_values() {
        world.client.replay(world.now, file, Duration::ZERO);
    }
    world.settle();
    assert_eq!(world.verdicts(), [Verdict::Accepted]);
    assert!(world.told(&NodeNews::Known(9)), "{:?}", world.events);
}

#[test]
fn i8_a_block_of_an_earlier_run_that_was_sent_is_news_whatever_the_node_calls_it() {
    let mut first = World::new(vec![Core::new()]);
    first.settle();
    let hash = first.mine();
    let block = file(&first, hash);
    let mut world = polling(1);
    world.client.replay(world.now, block.clone(), Duration::ZERO);
    let mut was_sent = false;
    while let Some(request) = world.client.poll_request() {
        let answer = match request.call {
            // The node has got it from elsewhere meanwhile.
            Call::Submit { .. } => {
                was_sent = true;
                world.cores[0].take(&block.hex);
                Some(Ok(support::result(&serde_json::json!("duplicate"))))
            }
            _ => world.cores[0].answer(request.id, &request.call),
        };
        world.client.handle_answer(world.now, request.id, answer.expect("an answer"));
    }
    world.settle();
    assert!(was_sent);
    assert_eq!(world.verdicts(), [Verdict::Accepted], "{:?}", world.events);
}

#[test]
fn i8_a_block_that_one_node_has_in_its_chain_is_kept_whatever_another_says() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.settle();
    let share = world.solve();
    world.cores[1].foreign_block();
    world.client.handle_share(world.now, &share).unwrap();
    world.settle();
    for _ in 0..8 {
        world.mine();
        world.cores[1].foreign_block();
    }
    assert_eq!(world.cores[0].height(), 9);
    // The first one is asked, too, and has not answered yet.
    world.cores[0].header_says = Some(Said::Nothing);
    world.client.finish(world.now);
    world.settle();
    assert!(world.spool.contains_key(&share.hash.to_string()));
    assert_eq!(world.client.ledger().accepted, 9, "{:?}", world.client.ledger());
}

#[test]
fn i8_a_block_beside_the_chain_of_one_node_is_not_accepted_for_another_that_cannot_be_asked() {
    for (is_down, verdict) in [(true, Verdict::Unresolved), (false, Verdict::Accepted)] {
        let mut world = World::new(vec![Core::new(), Core::new()]);
        world.settle();
        world.mine();
        assert_eq!(world.verdicts(), [Verdict::Accepted]);
        // The first node's chain is reorganised; the second one keeps the block.
        world.cores[0].best.truncate(1);
        world.cores[0].foreign_block();
        if is_down {
            world.stop(1);
        }
        world.client.finish(world.now);
        world.pass(2);
        assert_eq!(world.verdicts().last(), Some(&verdict), "{is_down}");
        assert_eq!(world.verdicts().len(), if is_down { 2 } else { 1 }, "{is_down}");
    }
}

#[test]
fn rule_16_of_blocks_with_a_verdict_sixty_four_are_kept_those_of_earlier_runs_included() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    for _ in 0..100 {
        world.mine();
        assert!(world.spool.len() <= 64);
    }
    let mut files: Vec<_> = world.spool.values().cloned().collect();
    files.sort_by_key(|file| file.height);
    assert_eq!(files.len(), 64);
    // The run is killed, and so is the node, which has written a part.
    crash(&mut world, 40);
    let mut next = World::new(world.cores);
    next.cores[0].trouble = None;
    next.spool = world.spool;
    files.into_iter().for_each(|file| next.client.replay(next.now, file, Duration::ZERO));
    next.pass(3);
    assert_eq!(next.cores[0].height(), 100, "all are back");
    for _ in 0..100 {
        next.mine();
        assert!(next.spool.len() <= 64, "{}", next.spool.len());
    }
    // Short runs, one after the other.
    for _ in 0..5 {
        let spool = next.spool;
        next = World::new(next.cores);
        spool.values().for_each(|file| next.client.replay(next.now, file.clone(), Duration::ZERO));
        next.spool = spool;
        next.settle();
        for _ in 0..10 {
            next.mine();
        }
        assert!(next.spool.len() <= 64, "{}", next.spool.len());
    }
}

#[test]
fn rule_16_a_node_is_asked_about_four_blocks_at_a_time() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    for _ in 0..64 {
        world.mine();
    }
    let files: Vec<_> = world.spool.into_values().collect();
    let mut world = World::new(world.cores);
    world.cores[0].header_says = Some(Said::Nothing);
    files.into_iter().for_each(|file| world.client.replay(world.now, file, Duration::ZERO));
    world.settle();
    assert_eq!(world.cores[0].seen("getblockheader"), 4);
    world.pass(20);
    assert_eq!(world.cores[0].seen("getblockheader"), 4);
    // A new block does not wait for that.
    world.mine();
    assert_eq!(world.cores[0].height(), 65);
    world.cores[0].header_says = None;
    world.pass(60);
    assert_eq!(world.client.ledger().accepted, 1);
    assert!(world.client.is_settled());
}

const SHORTER: &str = "shorter than it was";

#[test]
fn rule_21_a_chain_that_stays_shorter_than_it_was_is_told_once_and_mined_on() {
    let mut world = World::new(vec![Core::new()]);
    for _ in 0..5 {
        world.cores[0].foreign_block();
    }
    world.settle();
    crash(&mut world, 2);
    world.pass(1);
    come_back(&mut world);
    world.pass(20);
    assert_eq!((jobs(&world), warnings(&world, SHORTER)), (vec![3], 0), "its peers may have them");
    world.pass(40);
    assert_eq!(warnings(&world, "3 blocks shorter than it was"), 1, "{:?}", world.warnings());
    assert!(warnings(&world, "mines on its tip at height 2") == 1, "{:?}", world.warnings());
    world.mine();
    world.pass(100);
    assert_eq!((world.cores[0].height(), warnings(&world, SHORTER)), (3, 1));
    // A chain that is as long again within seconds is nobody's concern.
    let lost = world.cores[0].best.pop().unwrap();
    world.pass(20);
    world.cores[0].best.push(lost);
    world.pass(100);
    assert_eq!(warnings(&world, SHORTER), 1, "{:?}", world.warnings());
}
