//! A node's answers to our blocks, and the verdicts made of them, in virtual time: no block is
//! called accepted, rejected or dropped when the node's chain says otherwise, or may still say so.

mod support;

use std::time::Duration;

use midstate_chain::{Hash256, Verdict};
use midstate_gbt::client::{NodeEvent, NodeNews, NodeState};
use serde_json::json;
use support::{Core, Said, Trouble, World, result};

/// The last verdict on a block, with its reason.
fn standing(world: &World, hash: Hash256) -> Option<(Verdict, Option<String>)> {
    let outcome = |event: &NodeEvent| match &event.what {
        NodeNews::Block(outcome) if outcome.hash == hash => {
            Some((outcome.verdict, outcome.reason.clone()))
        }
        _ => None,
    };
    world.events.iter().rev().find_map(outcome)
}

#[test]
fn i8_a_block_that_the_node_says_yes_to_and_does_not_have_is_not_accepted() {
    for says in [json!(null), json!("duplicate"), json!("inconclusive")] {
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        world.cores[0].submit_says = Some(says.clone());
        let hash = world.mine();
        world.pass(5);
        let (verdict, reason) = standing(&world, hash).unwrap();
        assert_eq!(verdict, Verdict::Unresolved, "{says}");
        assert!(reason.unwrap().contains("does not have it; it stays in the spool"), "{says}");
        assert_eq!(world.client.ledger().unresolved(), 1);
        // It keeps on saying so, and is believed no more.
        world.pass(300);
        assert_eq!(standing(&world, hash).unwrap().0, Verdict::Unresolved, "{says}");
        let told = world.verdicts().len();
        assert!(told <= 2, "{says}: {told} verdicts");
        assert!(world.spool.contains_key(&hash.to_string()));
        world.client.finish(world.now);
        world.settle();
        assert!(!world.client.is_settled(), "{says}: the caller waits for as long as it can");
        world.client.abandon();
        world.settle();
        assert_eq!(standing(&world, hash).unwrap().0, Verdict::Unresolved, "{says}");
        assert!(world.spool.contains_key(&hash.to_string()), "{says}: kept for the next run");
    }
}

#[test]
fn i8_a_check_that_was_asked_for_in_the_end_is_waited_for() {
    // The blocks are taken back, or forgotten in a crash, and nothing but the end asks for them.
    for forgets in [false, true] {
        let mut world = World::new(vec![Core::new(), Core::new()]);
        world.cores[1].trouble = Some(Trouble::Down);
        world.settle();
        let hashes = [world.mine(), world.mine()];
        world.pass(3);
        let core = &mut world.cores[0];
        core.best.truncate(1);
        core.refuse_blocks = forgets.then_some("prev-blk-not-found");
        if forgets {
            core.blocks.clear();
        }
        world.client.finish(world.now);
        assert!(!world.client.is_settled(), "the checks are under way, or about to be");
        world.settle();
        assert!(!world.client.is_settled() || !forgets);
        world.client.abandon();
        world.settle();
        for hash in hashes {
            let (verdict, reason) = standing(&world, hash).unwrap();
            assert_eq!(verdict, Verdict::Unresolved, "{reason:?}");
        }
        assert_eq!(world.client.ledger().accepted, 0);
    }
    // A node that is down is not waited for.
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.mine();
    world.stop(0);
    world.client.finish(world.now);
    world.settle();
    assert!(world.client.is_settled());
}

/// Answers that are no verdict: what the node says, and its words in ours.
fn no_verdicts() -> Vec<(Said, &'static str)> {
    let result = |value: serde_json::Value| Said::Result(value);
    vec![
        (Said::Error(-32603, "Internal error"), "the node says: Internal error (-32603)"),
        (Said::Error(-20, "Database error"), "Database error (-20)"),
        (Said::Error(-32601, "Method not found"), "Method not found (-32601)"),
        (Said::Error(-1, "help text"), "help text (-1)"),
        (Said::Error(-28, "Loading"), "Loading (-28)"),
        (Said::Http(503, "Work queue depth exceeded"), "503"),
        (Said::Http(200, "<html>oops"), "a web page"),
        (Said::Http(403, ""), "403"),
        (result(json!(true)), "the node answers true, which says neither yes nor no"),
        (result(json!(false)), "the node answers false, which says neither yes nor no"),
        (result(json!({"status": "ok"})), "neither yes nor no"),
        (result(json!(-1)), "neither yes nor no"),
        (result(json!([])), "neither yes nor no"),
        (result(json!("")), "neither yes nor no"),
        (result(json!("time-too-new")), "time-too-new: its time is too far ahead"),
        (result(json!("prev-blk-not-found")), "prev-blk-not-found: it does not have the block"),
    ]
}

#[test]
fn i8_an_answer_that_is_no_verdict_keeps_the_block_and_work_goes_on() {
    for (said, words) in no_verdicts() {
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        let job = world.job.clone().unwrap();
        world.cores[0].say(&said);
        let hash = world.mine();
        // Rule 21: a fresh template within seconds.
        world.pass(4);
        let next = world.job.clone().unwrap_or_else(|| panic!("{said:?}: no job"));
        assert!(next.id != job.id, "{said:?}");
        world.pass(3 * 3600);
        let told = world.warnings().iter().filter(|told| told.contains(words)).count();
        assert_eq!(told, 1, "{said:?}: {:?}", world.warnings());
        assert!(world.warnings().len() <= 2, "{said:?}: {:?}", world.warnings());
        assert_eq!(world.verdicts(), [], "{said:?}: neither accepted nor rejected");
        assert!(world.spool.contains_key(&hash.to_string()), "{said:?}");
        let sent = world.sent.len();
        assert!(sent >= 60, "{said:?}: it is sent again, {sent} times in three hours");
        // In the end the reason is the true one.
        let mut twin = World::new(vec![Core::new()]);
        twin.settle();
        twin.cores[0].say(&said);
        let twins = twin.mine();
        twin.client.finish(twin.now);
        twin.pass(3);
        twin.client.abandon();
        twin.settle();
        let (verdict, reason) = standing(&twin, twins).unwrap();
        let reason = reason.unwrap();
        assert_eq!(verdict, Verdict::Unresolved);
        assert!(reason.contains(words) && reason.ends_with("it stays in the spool"), "{reason}");
        // The trouble passes, and the block gets its verdict.
        world.cores[0].say(&Said::Nothing);
        world.pass(130);
        assert_eq!(world.verdicts(), [Verdict::Accepted], "{said:?}");
        assert_eq!(world.cores[0].height(), 1, "{said:?}");
    }
}

#[test]
fn i8_a_block_that_can_matter_no_more_stays_in_the_spool_unjudged() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.cores[0].submit_fails = Some((-20, "Database error"));
    let hash = world.mine();
    world.pass(10);
    // Others bury its place.
    for _ in 0..6 {
        world.cores[0].foreign_block();
        world.settle();
    }
    world.pass(200);
    let (verdict, reason) = standing(&world, hash).unwrap();
    assert_eq!(verdict, Verdict::Unresolved);
    assert!(reason.unwrap().contains("Database error"));
    let sent = world.sent.len();
    world.pass(3600);
    assert_eq!(world.sent.len(), sent, "no more");
    assert!(world.spool.contains_key(&hash.to_string()));
}

#[test]
fn rule_23_a_spool_of_orphans_is_told_of_once() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    for number in 0..70 {
        let mut lost = World::new(vec![Core::new()]);
        lost.cores[0].best[0] = bitcoin::hashes::Hash::from_byte_array([number + 1; 32]);
        lost.settle();
        lost.mine();
        let file = lost.spool.into_values().next().unwrap();
        world.client.replay(world.now, file, Duration::ZERO);
    }
    world.pass(60);
    world.client.finish(world.now);
    world.settle();
    world.client.abandon();
    world.settle();
    let warnings = world.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("prev-blk-not-found"), "{warnings:?}");
    assert!(warnings[1].starts_with("70 blocks of earlier runs"), "{warnings:?}");
    assert!(warnings[1].contains("prev-blk-not-found"), "{warnings:?}");
    assert_eq!(world.verdicts(), []);
}

#[test]
fn rule_21_a_node_that_never_answers_to_a_block_costs_seconds() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.cores[0].hangs_at = vec!["submitblock"];
    world.mine();
    world.pass(8);
    assert!(world.job.is_some(), "no job");
    assert!(world.warnings()[0].contains("has not answered to our block"));
}

#[test]
fn rule_10_a_stored_block_is_not_accepted_where_the_node_cannot_be_asked_about_it() {
    for (says, words) in [("inconclusive", "another block came first"), ("duplicate", "duplicate")]
    {
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        world.cores[0].header_says = Some(Said::Error(-32601, "Method not found"));
        world.cores[0].submit_says = Some(json!(says));
        let hash = world.mine();
        // The tip does not move, so the block is asked about.
        world.pass(60);
        world.client.finish(world.now);
        world.settle();
        assert!(world.cores[0].seen("getblockheader") >= 1);
        assert_eq!(world.verdicts(), [Verdict::Unresolved], "{says}");
        assert!(standing(&world, hash).unwrap().1.unwrap().contains(words), "{says}");
        assert_eq!(world.client.ledger().accepted, 0, "{says}");
    }
}

#[test]
fn rule_10_a_yes_that_was_untrue_is_not_believed_where_the_node_cannot_be_asked() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.cores[0].submit_says = Some(json!(null));
    let hash = world.mine();
    world.pass(5);
    world.cores[0].header_says = Some(Said::Error(-32601, "Method not found"));
    world.pass(300);
    assert_eq!(standing(&world, hash).unwrap().0, Verdict::Unresolved);
    assert_eq!(world.client.ledger().accepted, 0);
    // A template on top of it says more than the node's word.
    world.cores[0].submit_says = None;
    world.pass(130);
    assert_eq!(standing(&world, hash).unwrap().0, Verdict::Accepted);
}

#[test]
fn rule_10_a_duplicate_is_accepted_if_the_chain_has_it_and_nothing_is_called_a_reorganisation() {
    for comes_first in [false, true] {
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        let share = world.solve();
        if comes_first {
            world.cores[0].foreign_block();
        }
        // The node takes the block or stores it, and the answer is lost.
        world.cores[0].mute_submit = true;
        world.client.handle_share(world.now, &share).unwrap();
        while world.client.poll_event().is_some() {}
        world.client.handle_spooled(world.now, share.hash, Ok(()));
        world.settle();
        world.cores[0].mute_submit = false;
        world.pass(2);
        for _ in 0..2 {
            world.cores[0].foreign_block();
            world.settle();
        }
        match comes_first {
            false => assert_eq!(world.verdicts(), [Verdict::Accepted]),
            true => {
                let reason = standing(&world, share.hash).unwrap().1.unwrap();
                assert!(reason.contains("another block came first"), "{reason}");
                assert_eq!(world.verdicts(), [Verdict::Unresolved]);
            }
        }
    }
    // Two names of one node, beaten to it.
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.settle();
    let share = world.solve();
    world.cores[0].foreign_block();
    world.cores[1].submit_says = Some(json!("duplicate"));
    world.client.handle_share(world.now, &share).unwrap();
    world.cores[1].header_says = Some(Said::Result(json!({"confirmations": -1, "nTx": 1})));
    world.pass(30);
    assert_eq!(world.verdicts(), [Verdict::Unresolved]);
}

#[test]
fn rule_21_an_answer_of_another_server_to_a_block_is_told_as_what_came() {
    for (status, body, words) in [
        (204, "", "no verdict on block"),
        (200, "", "which the node may have: HTTP status 200 with an empty body"),
        (200, "<html>", "which the node may have: HTTP status 200 with a web page"),
        (502, "<html>", "which the node may have: HTTP status 502"),
        // These are known not to have passed it on.
        (413, "<html>", "has not reached the node: HTTP status 413"),
        (503, "Work queue depth exceeded", "has not reached the node: HTTP status 503"),
    ] {
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        world.cores[0].say(&Said::Http(status, body));
        world.mine();
        world.pass(2);
        let told = world.warnings();
        assert!(told.iter().any(|text| text.contains(words)), "{status} {body:?}: {told:?}");
    }
}

#[test]
fn rule_21_a_word_that_core_does_not_have_is_a_refusal_if_the_node_does_not_have_the_block() {
    for word in ["OK", "accepted", "null", "Inconclusive", "a word that nobody knows"] {
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        world.cores[0].says_yes = Some(word);
        for _ in 0..5 {
            world.mine();
            world.pass(1);
        }
        assert_eq!(world.cores[0].height(), 5);
        assert_eq!(world.verdicts(), [Verdict::Accepted; 5], "{word}");
        assert_eq!(world.warnings(), [""; 0], "{word}");
        // With that word, and no block.
        world.cores[0].say(&Said::Result(json!(word)));
        let hash = world.mine();
        world.pass(1);
        let (verdict, reason) = standing(&world, hash).unwrap();
        assert_eq!((verdict, reason.as_deref()), (Verdict::Rejected, Some(word)));
        assert!(!world.spool.contains_key(&hash.to_string()));
    }
}

#[test]
fn rule_21_a_node_that_answers_to_a_block_with_an_error_is_not_said_to_lack_the_answer() {
    for (code, words) in [(-28, "Verifying blocks…"), (-9, "Shutting down")] {
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        world.cores[0].say(&Said::Error(code, words));
        world.mine();
        let told = world.warnings();
        let [told] = &told[..] else { panic!("{told:?}") };
        assert!(told.contains("the node did not take block"), "{told}");
        assert!(told.contains(&format!("the node says: {words} ({code})")), "{told}");
        assert!(!told.contains("has not reached"), "{told}");
    }
}

#[test]
fn rule_27_the_first_verdict_waits_for_the_node_that_is_answering() {
    for takes in [true, false] {
        let mut world = World::new(vec![Core::new(), Core::new()]);
        world.settle();
        // The first node says that it has the block, and has it not; the second one thinks.
        world.cores[0].submit_says = Some(json!("duplicate"));
        world.cores[1].hangs_at = vec!["submitblock"];
        world.mine();
        assert!(world.cores[0].seen("getblockheader") > 0);
        assert_eq!(world.verdicts(), [], "{:?}", world.events);
        match takes {
            true => {
                let [(call, _)] = world.hanging[..] else { panic!("{:?}", world.hanging) };
                world.hanging.clear();
                world.client.handle_answer(world.now, call, Ok(result(&json!(null))));
                world.settle();
                assert_eq!(world.verdicts(), [Verdict::Accepted]);
            }
            false => {
                world.pass(40);
                assert_eq!(world.verdicts(), [Verdict::Unresolved]);
            }
        }
    }
}

#[test]
fn rule_27_a_block_that_the_node_took_is_never_said_not_to_have_reached_it() {
    for trouble in [Trouble::Down, Trouble::Locked, Trouble::Says(-28, "Loading block index…")] {
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        world.mine();
        assert_eq!(world.verdicts(), [Verdict::Accepted]);
        // The node is away when it is asked in the end whether it still has the block.
        world.stop(0);
        world.cores[0].trouble = Some(trouble);
        world.pass(10);
        world.client.finish(world.now);
        world.pass(5);
        world.client.abandon();
        world.settle();
        assert_eq!(world.verdicts(), [Verdict::Accepted], "{trouble:?}");
        assert_eq!(world.warnings(), [""; 0], "{trouble:?}");
    }
}

#[test]
fn rule_27_mining_that_work_is_said_when_the_node_takes_its_proposal() {
    let words = "mining that work";
    let said = |world: &World| world.warnings().iter().filter(|told| told.contains(words)).count();
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    // As with a clock that was set back: no block of now is taken.
    world.cores[0].say(&Said::Result(json!("time-too-new")));
    world.cores[0].refuse_proposals = Some("time-too-new");
    world.mine();
    world.pass(30);
    assert!(world.warnings().iter().any(|told| told.contains("not mining it")), "it is refused");
    assert_eq!(said(&world), 0, "{:?}", world.warnings());
    world.cores[0].refuse_proposals = None;
    world.pass(10);
    assert_eq!(said(&world), 1, "{:?}", world.warnings());
}

#[test]
fn rule_26_answers_that_belong_to_other_calls_are_no_verdicts_and_lead_to_the_next_node() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.settle();
    world.cores[0].mixes_up = true;
    let hash = world.mine();
    world.pass(60);
    let reasons = |event: &NodeEvent| match &event.what {
        NodeNews::Node { state: NodeState::Lost, reason } if event.node == 0 => reason.clone(),
        _ => None,
    };
    let reason = world.events.iter().find_map(reasons).expect("it is told as lost");
    assert!(reason.contains("an answer with the id "), "{reason}");
    let active = |world: &World| {
        let last = world.states().into_iter().rev().find(|(_, state)| *state == NodeState::Active);
        last.map(|(node, _)| node)
    };
    assert_eq!(active(&world), Some(1));
    // The other node has the block, and says so; the first one judges it when it can.
    assert_eq!(standing(&world, hash), Some((Verdict::Accepted, None)));
    world.cores[0].mixes_up = false;
    world.pass(300);
    assert_eq!(standing(&world, hash), Some((Verdict::Accepted, None)));
    assert_eq!(active(&world), Some(0));
}
