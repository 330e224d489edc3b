//! How often, how long and how deep: our blocks in virtual time, to the second.

mod support;

use std::time::Duration;

use midstate_chain::Verdict;
use midstate_gbt::client::{BlockOutcome, Ledger, NodeNews};
use serde_json::{Value, json};
use support::{Core, Said, Trouble, World, solve};

/// When blocks went to a node, in seconds since the start.
fn sent_at(world: &World, node: usize) -> Vec<u64> {
    let to_node = world.sent.iter().filter(|sent| sent.0 == node);
    to_node.map(|sent| sent.1.as_secs() - 1000).collect()
}

fn outcomes(world: &World) -> Vec<&BlockOutcome> {
    let mut outcomes = Vec::new();
    for event in &world.events {
        if let NodeNews::Block(outcome) = &event.what {
            outcomes.push(outcome);
        }
    }
    outcomes
}

fn warnings(world: &World, words: &str) -> usize {
    world.warnings().iter().filter(|told| told.contains(words)).count()
}

#[test]
fn i8_a_block_is_sent_again_after_pauses_that_grow() {
    let vain = [0, 2, 7, 22, 82, 202, 322];
    // It says yes, and is asked when the tip has not moved.
    let untrue = [0, 2, 4, 9, 24, 84, 204, 324];
    // The node may be back soon.
    let passing = [0, 1, 3, 8, 18, 28, 38, 48];
    for (said, times) in [
        (Said::Result(json!(true)), &vain[..]),
        (Said::Result(json!("prev-blk-not-found")), &vain),
        (Said::Error(-20, "Database error"), &vain),
        (Said::Result(json!(null)), &untrue),
        (Said::Http(503, ""), &passing),
    ] {
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        world.cores[0].say(&said);
        world.mine();
        world.pass(330);
        let sent = sent_at(&world, 0);
        assert_eq!(sent[..times.len()], *times, "{said:?}: {sent:?}");
    }
}

#[test]
fn i8_a_block_of_this_run_is_sent_for_six_hours() {
    const SIX_HOURS: Duration = Duration::from_secs(6 * 3600);
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.cores[0].say(&Said::Result(json!(true)));
    world.mine();
    world.pass(12 * 3600);
    let last = *sent_at(&world, 0).last().unwrap();
    assert!((6 * 3600..6 * 3600 + 120).contains(&last), "{last}");
    assert_eq!(world.verdicts(), [Verdict::Unresolved]);
    // To the moment: an answer that comes earlier is followed by a question, one at the end is not.
    for (age, goes_on) in [(SIX_HOURS - Duration::from_millis(1), true), (SIX_HOURS, false)] {
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        world.cores[0].hangs_at = vec!["submitblock"];
        world.mine();
        let (id, _) = world.hanging.pop().unwrap();
        world.now += age;
        world.client.handle_answer(world.now, id, Ok(support::result(&json!(true))));
        world.settle();
        let told = match goes_on {
            true => "it is kept, and sent again with growing pauses",
            false => "it is kept, and not sent again in this run",
        };
        assert_eq!(warnings(&world, told), 1, "{:?}", world.warnings());
    }
}

#[test]
fn i8_a_block_is_sent_until_others_have_buried_its_place() {
    // At heights where no sum is a product.
    for (above, goes_on) in [(5, true), (6, false)] {
        let mut world = World::new(vec![Core::new()]);
        for _ in 0..3 {
            world.cores[0].foreign_block();
        }
        world.settle();
        world.cores[0].say(&Said::Result(json!(true)));
        world.mine();
        for _ in 0..above {
            world.cores[0].foreign_block();
            world.settle();
        }
        world.pass(60);
        let sent = world.sent.len();
        world.pass(600);
        assert_eq!(world.sent.len() > sent, goes_on, "{above} blocks of others");
    }
}

#[test]
fn i8_a_block_beside_the_best_chain_leaves_the_spool_when_its_place_is_6_deep() {
    let mut world = World::new(vec![Core::new()]);
    for _ in 0..2 {
        world.cores[0].foreign_block();
    }
    world.settle();
    let share = world.solve();
    world.cores[0].foreign_block();
    world.client.handle_share(world.now, &share).unwrap();
    world.settle();
    assert_eq!(world.verdicts(), [Verdict::Unresolved]);
    while world.cores[0].height() < 7 {
        world.cores[0].foreign_block();
        world.settle();
    }
    world.pass(70 * 60);
    // Height 3 is 5 deep. Any question in between leaves the file there, too.
    world.stop(0);
    world.cores[0].trouble = None;
    world.pass(15);
    assert_eq!(world.spool.len(), 1);
    world.cores[0].foreign_block();
    world.settle();
    assert_eq!(world.spool.len(), 0);
    assert!(world.told(&NodeNews::Unspool { hash: share.hash, refused: false }));
}

#[test]
fn i8_a_block_of_ours_is_asked_about_once_before_its_file_goes() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    for _ in 0..30 {
        world.mine();
    }
    assert_eq!(world.cores[0].seen("getblockheader"), 0);
    // Long polls end in vain, but a template on top of the highest says enough.
    world.pass(70 * 60 - 1);
    assert_eq!((world.cores[0].seen("getblockheader"), world.spool.len()), (0, 30));
    world.pass(100);
    assert_eq!(world.spool.len(), 5);
    world.mine();
    assert_eq!(world.spool.len(), 5);
    assert_eq!(world.cores[0].seen("getblockheader"), 26);
}

#[test]
fn i8_a_tip_of_others_leads_to_one_question_about_our_highest_block() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    for _ in 0..3 {
        world.mine();
    }
    world.cores[0].foreign_block();
    world.settle();
    assert_eq!(world.cores[0].seen("getblockheader"), 1);
    // A block of ours as the tip asks nothing.
    world.mine();
    assert_eq!(world.cores[0].seen("getblockheader"), 1);
}

/// The node forgets all that it took, as in a crash.
fn forget(core: &mut Core) {
    core.blocks.clear();
    core.best.truncate(1);
}

/// Answers all that is asked, and what comes of it, without time passing; of each round the
/// questions about blocks in reverse.
fn answer_in_reverse(world: &mut World) {
    loop {
        while world.client.poll_event().is_some() {}
        let round: Vec<_> = std::iter::from_fn(|| world.client.poll_request()).collect();
        if round.is_empty() {
            return;
        }
        let (questions, others): (Vec<_>, Vec<_>) =
            round.into_iter().partition(|request| request.call.method() == "getblockheader");
        for request in questions.into_iter().rev().chain(others) {
            if let Some(answer) = world.cores[0].answer(request.id, &request.call) {
                world.client.handle_answer(world.now, request.id, answer);
            }
        }
    }
}

#[test]
fn i8_a_node_that_forgot_our_blocks_gets_them_again_in_the_order_of_the_chain() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    for _ in 0..5 {
        world.mine();
    }
    let files: Vec<_> = world.spool.values().cloned().collect();
    forget(&mut world.cores[0]);
    world.client.finish(world.now);
    answer_in_reverse(&mut world);
    assert_eq!(world.cores[0].height(), 5);
    assert_eq!(world.cores[0].seen("submitblock"), 10, "each once more");
    // So do those of an earlier run, in whatever order they are read.
    let mut world = World::new(vec![Core::new()]);
    files.into_iter().for_each(|file| world.client.replay(world.now, file, Duration::ZERO));
    answer_in_reverse(&mut world);
    assert_eq!(world.cores[0].height(), 5);
    assert_eq!(world.cores[0].seen("submitblock"), 5);
}

#[test]
fn i8_a_block_whose_parent_the_node_has_forgotten_goes_right_behind_it() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    for _ in 0..4 {
        world.mine();
    }
    forget(&mut world.cores[0]);
    world.mine();
    assert_eq!(world.cores[0].height(), 5, "without a pause");
    assert_eq!(warnings(&world, "prev-blk-not-found"), 0, "{:?}", world.warnings());
    // A node that has the parent and denies it is not asked without end.
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.mine();
    world.cores[0].refuse_blocks = Some("prev-blk-not-found");
    world.mine();
    world.pass(10);
    assert!(world.sent.len() <= 5, "{:?}", world.sent);
    assert_eq!(warnings(&world, "prev-blk-not-found"), 1);
}

#[test]
fn i8_a_node_that_has_the_header_alone_gets_the_block_again() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    let hash = world.mine();
    // It comes back with less than it had.
    world.stop(0);
    for block in world.cores[0].blocks.values_mut() {
        block.txdata.clear();
    }
    world.cores[0].best.pop();
    world.cores[0].trouble = None;
    world.pass(5);
    assert!(world.sent.len() > 1, "sent again");
    let last = outcomes(&world).last().copied().unwrap();
    assert_eq!((last.hash, last.verdict), (hash, Verdict::Unresolved));
    assert!(world.spool.contains_key(&hash.to_string()));
}

#[test]
fn i8_a_node_that_cannot_be_asked_about_a_block_is_believed() {
    // It said yes, so it has it; it said nothing, so it gets it again.
    for (said, is_taken) in [(Said::Nothing, true), (Said::Result(json!(true)), false)] {
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        world.cores[0].header_says = Some(Said::Error(-32601, "Method not found"));
        world.cores[0].say(&said);
        world.mine();
        world.client.finish(world.now);
        world.settle();
        assert_eq!(world.client.is_settled(), is_taken, "{said:?}");
        let asked = world.cores[0].seen("getblockheader");
        world.pass(30);
        let again = world.cores[0].seen("getblockheader") - asked;
        match is_taken {
            true => assert_eq!((again, world.sent.len()), (0, 1)),
            false => assert_eq!(sent_at(&world, 0), [0, 2, 7, 22]),
        }
    }
}

#[test]
fn i8_a_node_that_is_busy_is_asked_about_a_block_again_after_pauses() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.mine();
    world.cores[0].header_says = Some(Said::Http(503, ""));
    world.client.finish(world.now);
    world.settle();
    // At 1, 3, 8 and 18 s.
    for (seconds, asked) in [(1, 2), (1, 2), (1, 3), (4, 3), (1, 4), (9, 4), (1, 5)] {
        world.pass(seconds);
        assert_eq!(world.cores[0].seen("getblockheader"), asked, "{:?}", world.now);
    }
    world.cores[0].header_says = None;
    world.pass(10);
    assert!(world.client.is_settled());
    assert_eq!(world.verdicts(), [Verdict::Accepted]);
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn rule_21_after_a_refused_block_the_work_is_fetched_anew_and_hashed_five_seconds_later() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    let asked = world.cores[0].seen("getblocktemplate");
    let old = world.job.clone().unwrap();
    world.cores[0].refuse_blocks = Some("high-hash");
    world.mine();
    assert_eq!(world.cores[0].seen("getblocktemplate"), asked + 1, "at once");
    world.cores[0].refuse_blocks = None;
    world.pass(4);
    assert_eq!(world.job, None);
    world.pass(1);
    let job = world.job.clone().expect("work goes on");
    assert_eq!(job.prev_hash, old.prev_hash);
    world.client.handle_share(world.now, &solve(&job, 1)).unwrap();
    world.settle();
    assert_eq!(world.verdicts(), [Verdict::Rejected, Verdict::Accepted]);
    // A block of an earlier run that is refused does not hold up the work.
    let file = one_file();
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.cores[0].refuse_blocks = Some("high-hash");
    world.client.replay(world.now, file, Duration::ZERO);
    world.settle();
    assert_eq!(world.verdicts(), [Verdict::Rejected]);
    assert!(!world.told(&NodeNews::Pause));
    assert!(world.job.is_some());
    world.cores[0].refuse_blocks = None;
    world.mine();
    world.mine();
    assert_eq!(world.cores[0].height(), 2, "at once");
}

/// A block of an earlier run.
fn one_file() -> midstate_gbt::spool::SpooledBlock {
    let mut first = World::new(vec![Core::new()]);
    first.settle();
    first.mine();
    first.spool.into_values().next().expect("a file")
}

#[test]
fn i8_the_verdict_on_a_block_of_an_earlier_run_is_told_and_not_counted() {
    let file = one_file();
    let mut world = World::new(vec![Core::new()]);
    world.client.replay(world.now, file, Duration::ZERO);
    world.settle();
    let [outcome] = outcomes(&world)[..] else { panic!("{:?}", world.events) };
    assert_eq!((outcome.verdict, outcome.replayed), (Verdict::Accepted, true));
    assert_eq!(world.client.ledger(), Ledger::default());
    // In the end only those without a verdict are told of, and blocks of this run once.
    world.cores[0].say(&Said::Result(json!(null)));
    world.mine();
    world.pass(5);
    assert_eq!(world.verdicts()[1..], [Verdict::Accepted, Verdict::Unresolved]);
    world.client.abandon();
    world.settle();
    assert_eq!(world.verdicts().len(), 3);
    assert_eq!(warnings(&world, "earlier run"), 0, "{:?}", world.warnings());
    // One that none has judged.
    let mut world = World::new(vec![Core::new()]);
    world.cores[0].say(&Said::Result(json!(true)));
    world.client.replay(world.now, one_file(), Duration::ZERO);
    world.settle();
    world.client.abandon();
    world.settle();
    assert_eq!(warnings(&world, "a block of an earlier run has no verdict: "), 1);
    assert_eq!(world.verdicts(), []);
}

#[test]
fn rule_4_a_node_that_blocks_do_not_reach_is_told_of_once_each_time() {
    // Away, or too busy for blocks alone.
    for busy in [false, true] {
        let mut world = World::new(vec![Core::new(), Core::new()]);
        world.settle();
        for round in 1..=2 {
            match busy {
                true => world.cores[1].say(&Said::Http(503, "")),
                false => world.stop(1),
            }
            for _ in 0..4 {
                world.mine();
                assert_eq!(warnings(&world, "has not reached the node"), round, "at once");
            }
            world.pass(30);
            assert_eq!(warnings(&world, "has not reached the node"), round, "{busy}");
            world.cores[1].trouble = None;
            world.cores[1].say(&Said::Nothing);
            world.pass(12);
            assert_eq!(world.cores[1].height(), world.cores[0].height(), "{busy}");
        }
    }
}

#[test]
fn rule_23_a_node_that_is_away_is_asked_for_a_block_with_pauses_that_grow() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.settle();
    world.stop(1);
    world.pass(120);
    let before = world.cores[1].seen("getblockchaininfo");
    world.mine();
    let mut asked = Vec::new();
    for second in 0..60 {
        let now = world.cores[1].seen("getblockchaininfo") - before;
        asked.extend(std::iter::repeat_n(second, now - asked.len()));
        world.pass(1);
    }
    assert_eq!(asked, [0, 2, 4, 9, 19, 29, 39, 49, 59]);
}

#[test]
fn rule_4_words_that_are_no_verdict_are_told_once_and_others_once_a_minute() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    let says = |world: &mut World, value: Value| world.cores[0].say(&Said::Result(value));
    says(&mut world, json!(true));
    world.mine();
    assert_eq!(warnings(&world, "the node answers true"), 1);
    // Sent again at 2, 7, 22 and 82 s.
    for (number, seconds) in [(1, 2), (2, 5), (3, 15)] {
        says(&mut world, json!(number));
        world.pass(seconds);
        assert_eq!(world.sent.len(), number + 1);
        assert_eq!(warnings(&world, "neither yes nor no"), 1, "{:?}", world.warnings());
    }
    says(&mut world, json!(4));
    world.pass(60);
    assert_eq!(warnings(&world, "the node answers 4"), 1, "{:?}", world.warnings());
    // An answer that is none in between makes no news of old words; one block that is taken does,
    // but not within the minute.
    world.cores[0].say(&Said::Http(503, ""));
    world.pass(121);
    says(&mut world, json!(4));
    world.pass(121);
    assert_eq!(warnings(&world, "the node answers 4"), 1, "{:?}", world.warnings());
    world.cores[0].say(&Said::Nothing);
    world.pass(121);
    assert!(world.verdicts().ends_with(&[Verdict::Accepted]));
    says(&mut world, json!(4));
    world.mine();
    assert_eq!(warnings(&world, "the node answers 4"), 2, "{:?}", world.warnings());
    world.cores[0].say(&Said::Nothing);
    world.pass(10);
    world.mine();
    assert!(world.verdicts().ends_with(&[Verdict::Accepted; 2]));
    says(&mut world, json!(4));
    world.mine();
    assert_eq!(warnings(&world, "the node answers 4"), 2, "{:?}", world.warnings());
    world.pass(90);
    assert_eq!(warnings(&world, "the node answers 4"), 3, "{:?}", world.warnings());
}

#[test]
fn rule_16_a_block_without_a_verdict_is_never_let_go_of_while_a_node_may_say_more() {
    // The node says yes and does not have them; or says nothing at all.
    for says in [json!(null), json!(true)] {
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        world.cores[0].say(&Said::Result(says.clone()));
        let mut job = world.job.clone().unwrap();
        let mut mined = 0;
        for _ in 0..100 {
            let Some(next) = world.job.clone() else { break };
            job = next;
            world.mine();
            mined += 1;
            world.pass(12);
        }
        // A "yes" counts until the node is asked.
        assert!((64..=65).contains(&mined), "{says}: {mined}");
        assert_eq!(warnings(&world, "64 blocks of ours have no verdict"), 1);
        // One that was on its way in the threads.
        world.client.handle_share(world.now, &solve(&job, 1)).unwrap();
        world.settle();
        world.pass(60);
        assert_eq!(world.spool.len(), mined + 1, "{says}");
        let is_unspooled = |what: &NodeNews| matches!(what, NodeNews::Unspool { .. });
        assert!(!world.events.iter().any(|event| is_unspooled(&event.what)), "{says}");
    }
}

#[test]
fn rule_16_a_node_that_is_away_does_not_fill_the_room_for_blocks_with_a_verdict() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.cores[1].trouble = Some(Trouble::Down);
    world.settle();
    let mut first = None;
    for number in 0..70 {
        let share = solve(world.job.as_ref().unwrap(), number);
        world.client.handle_share(world.now, &share).unwrap();
        world.settle();
        first.get_or_insert(share.hash);
        // Never buried: somebody takes each of them back.
        world.cores[0].best.pop();
        world.pass(6);
        assert!(world.job.is_some(), "{:?}", world.warnings());
    }
    assert_eq!(world.client.ledger().found, 70);
    assert_eq!(world.spool.len(), 64);
    let hash = first.unwrap();
    assert!(world.told(&NodeNews::Unspool { hash, refused: false }), "the oldest");
}

#[test]
fn rule_16_the_last_64_blocks_that_were_let_go_of_are_known() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.cores[0].refuse_blocks = Some("high-hash");
    let mut files = Vec::new();
    for number in 0..65 {
        let share = solve(world.job.as_ref().unwrap(), number);
        world.client.handle_share(world.now, &share).unwrap();
        while let Some(event) = world.client.poll_event() {
            if let NodeNews::Spool(file) = event.what {
                world.client.handle_spooled(world.now, file.hash, Ok(()));
                files.push(file);
            }
        }
        world.job = None;
        world.pass(31);
    }
    assert_eq!(world.sent.len(), 65);
    // The spool was read before their files were renamed.
    for file in files.drain(1..) {
        world.client.replay(world.now, file, Duration::ZERO);
    }
    world.pass(60);
    assert_eq!((world.sent.len(), world.cores[0].seen("getblockheader")), (65, 0));
    // One more is of no harm: the node is asked about it.
    world.client.replay(world.now, files.remove(0), Duration::ZERO);
    world.settle();
    assert_eq!(world.cores[0].seen("getblockheader"), 1);
}
