//! Rules for faults seen in the field at nodes, each test named after its rule, in virtual time:
//! who may wait at a node (19), whose trouble it is (20), answers that say nothing (21), a node
//! that comes back (24), a block that is in the spool already (30).

mod support;

use std::io::ErrorKind;
use std::time::Duration;

use midstate_chain::Verdict;
use midstate_gbt::client::{Config, Ledger, LongPolling, NodeEvent, NodeNews, NodeState};
use midstate_gbt::rpc::Call;
use serde_json::json;
use support::{Core, World, config};

#[test]
fn rule_20_trouble_at_one_node_is_never_reported_as_another_nodes() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.settle();
    // The first node refuses the block, the second takes it.
    world.cores[0].refuse_blocks = Some("high-hash");
    world.mine();
    let nodes = |world: &World, wanted: fn(&NodeNews) -> bool| -> Vec<usize> {
        let events = world.events.iter().filter(|event| wanted(&event.what));
        events.map(|event| event.node).collect()
    };
    assert_eq!(nodes(&world, |what| matches!(what, NodeNews::Block(_))), [1]);
    assert_eq!(nodes(&world, |what| matches!(what, NodeNews::Job { .. })), [0]);
    assert_eq!(nodes(&world, |what| matches!(what, NodeNews::Chain(_))), [0]);

    // The second one is away while the first gives work: the warning names the second.
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.settle();
    world.stop(1);
    world.mine();
    assert_eq!(nodes(&world, |what| matches!(what, NodeNews::Warning(_))), [1]);
    assert_eq!(nodes(&world, |what| matches!(what, NodeNews::Block(_))), [0]);
    assert_eq!(world.states(), [(0, NodeState::Connected)], "work goes on at the first");

    // After a failover jobs, pauses and proposals are the second one's.
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.settle();
    world.stop(0);
    world.pass(10);
    world.events.clear();
    world.cores[1].refuse_proposals = Some("bad-cb-amount");
    world.cores[1].foreign_block();
    world.settle();
    assert_eq!(
        nodes(&world, |what| matches!(what, NodeNews::Warning(_) | NodeNews::Pause)),
        [1, 1]
    );
    world.cores[1].refuse_proposals = None;
    world.pass(10);
    assert_eq!(nodes(&world, |what| matches!(what, NodeNews::Job { .. })), [1]);
    world.stop(1);
    world.mine();
    world.client.abandon();
    world.settle();
    assert_eq!(
        nodes(&world, |what| matches!(what, NodeNews::Block(_))),
        [1],
        "unresolved: its job's"
    );
}

#[test]
fn rule_30_a_block_found_while_the_spool_is_read_is_the_same_block_replayed() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    let hash = world.mine();
    let file = world.spool[&hash.to_string()].clone();
    world.client.replay(world.now, file, Duration::ZERO);
    world.pass(60);
    assert_eq!(world.verdicts(), [Verdict::Accepted]);
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.client.ledger(), Ledger { found: 1, accepted: 1, ..Ledger::default() });

    // The spool was read before the refused block's file was renamed.
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.cores[0].refuse_blocks = Some("high-hash");
    let share = world.solve();
    world.client.handle_share(world.now, &share).unwrap();
    let Some(NodeNews::Pause) = world.client.poll_event().map(|event| event.what) else { panic!() };
    let Some(NodeNews::Spool(file)) = world.client.poll_event().map(|event| event.what) else {
        panic!()
    };
    world.client.handle_spooled(world.now, file.hash, Ok(()));
    world.settle();
    world.client.replay(world.now, file, Duration::ZERO);
    world.pass(60);
    assert_eq!(world.verdicts(), [Verdict::Rejected]);
    assert_eq!(world.sent.len(), 1);
}

/// How many jobs came, and the last one's previous block.
fn jobs(world: &World) -> usize {
    world.events.iter().filter(|event| matches!(event.what, NodeNews::Job { .. })).count()
}

#[test]
fn rule_21_no_answer_to_a_block_stops_work_silently() {
    for says in
        [json!("inconclusive"), json!(null), json!("duplicate"), json!("duplicate-inconclusive")]
    {
        // The node's tip does not move.
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        world.cores[0].submit_says = Some(says.clone());
        let job = world.job.clone().unwrap();
        world.mine();
        world.pass(4);
        let next = world.job.clone().unwrap_or_else(|| panic!("{says}: no job"));
        assert_eq!(next.prev_hash, job.prev_hash);
        assert_ne!(next.id, job.id);
        assert!(world.warnings()[0].contains("does not become the node's tip"));
        assert!(world.cores[0].seen("getblocktemplate") >= 2, "a fresh template within seconds");
        // For ever so: neither silent nor busy.
        let mut found = 1;
        for _ in 0..20 {
            if world.job.is_some() {
                world.mine();
                found += 1;
            }
            world.pass(10);
        }
        assert!((15..=21).contains(&found), "{says}: {found}");
        let each = world.sent.len() / found;
        assert!(each <= 6, "{says}: {found} blocks were sent {} times", world.sent.len());
        assert_eq!(world.warnings().len(), 2, "{says}: {:?}", world.warnings());
        assert!(world.warnings()[1].contains("took none of our last 3 blocks"));
        // And all is well again.
        world.cores[0].submit_says = None;
        world.pass(130);
        world.mine();
        world.pass(10);
        assert_eq!(world.job.clone().unwrap().height(), Some(3), "{says}");
        assert_eq!(world.client.ledger().accepted, 2, "{says}");
    }
}

#[test]
fn rule_21_a_node_that_answers_true_and_has_the_block_has_accepted_it() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    let share = world.solve();
    let mut twin = Core::new();
    world.cores[0].deaf = true;
    world.cores[0].submit_says = Some(json!(true));
    world.client.handle_share(world.now, &share).unwrap();
    // It says `true`, and takes the block all the same.
    while let Some(event) = world.client.poll_event() {
        if let NodeNews::Spool(block) = event.what {
            twin.take(&block.hex);
            world.cores[0].best = twin.best.clone();
            world.cores[0].blocks = twin.blocks.clone();
            world.client.handle_spooled(world.now, block.hash, Ok(()));
        }
    }
    world.settle();
    assert_eq!(world.verdicts(), [Verdict::Accepted]);
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.client.ledger(), Ledger { found: 1, accepted: 1, ..Ledger::default() });
}

#[test]
fn rule_21_an_unknown_answer_to_a_proposal_is_told_once_and_work_goes_on() {
    for says in [json!(true), json!({}), json!(-1)] {
        let mut world = World::new(vec![Core::new()]);
        world.cores[0].proposal_says = Some(says.clone());
        world.settle();
        for _ in 0..5 {
            world.mine();
        }
        assert_eq!(world.cores[0].height(), 5, "{says}");
        let [warning] = world.warnings()[..] else { panic!("{says}: {:?}", world.warnings()) };
        assert!(warning.contains(&says.to_string()), "{warning}");
    }
    // Always too late: asked again at once a few times, and then without haste.
    let mut world = World::new(vec![Core::new()]);
    world.cores[0].refuse_proposals = Some("inconclusive-not-best-prevblk");
    world.pass(60);
    assert!(world.cores[0].seen("proposal") < 25, "{}", world.cores[0].seen("proposal"));
    assert_eq!(world.warnings().len(), 1, "{:?}", world.warnings());
}

/// Everything that is asked of the node until a proposal is.
fn methods(world: &mut World) -> Vec<&'static str> {
    std::iter::from_fn(|| world.client.poll_request())
        .map(|request| request.call.method())
        .collect()
}

#[test]
fn rule_19_nothing_waits_at_the_node_before_the_proposal_is_answered() {
    let mut world = World::new(vec![Core::new()]);
    let mut order = Vec::new();
    while let Some(request) = world.client.poll_request() {
        order.push(request.call.method());
        if let Some(answer) = world.cores[0].answer(request.id, &request.call) {
            world.client.handle_answer(world.now, request.id, answer);
        }
    }
    let expected = ["getblockchaininfo", "getblocktemplate", "getblocktemplate"];
    assert_eq!(order[..3], expected, "chain, template, proposal");
    assert_eq!(order[3..], ["waitforblockheight", "getblocktemplate"], "then it waits");
}

#[test]
fn rule_19_a_wait_is_given_up_when_an_ordinary_call_hangs_and_before_a_block_is_sent() {
    // The plain fetch beside the long poll is not answered.
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    let poll = world.cores[0].longpolls[0].0;
    world.now = world.client.poll_timeout().unwrap();
    world.client.handle_timeout(world.now);
    assert_eq!(methods(&mut world), ["getblocktemplate"]);
    let hangs_at = world.client.poll_timeout().unwrap();
    assert_eq!(hangs_at - world.now, Duration::from_secs(3));
    assert_eq!(world.client.poll_cancel(), None);
    world.client.handle_timeout(hangs_at);
    assert_eq!(world.client.poll_cancel(), Some(poll), "its connection is closed");
    let Some(NodeNews::Warning(words)) =
        std::iter::from_fn(|| world.client.poll_event()).map(|event| event.what).last()
    else {
        panic!("not told")
    };
    assert!(words.contains("-rpcthreads"), "{words}");

    // A block does not stand behind it either.
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    let poll = world.cores[0].longpolls[0].0;
    let share = world.solve();
    world.client.handle_share(world.now, &share).unwrap();
    world.client.handle_spooled(world.now, share.hash, Ok(()));
    assert_eq!(world.client.poll_cancel(), Some(poll));
    assert_eq!(methods(&mut world), ["submitblock"]);
}

#[test]
fn rule_19_also_always_a_wait_is_short_and_a_block_behind_it_is_told_once() {
    let mut world = World::new(vec![Core::new()]);
    world.cores[0].waits = true;
    world.settle();
    let mut told = 0;
    for round in 0..2 {
        // The node has one thread: what waits there holds up the block, although nobody listens.
        let share = world.solve();
        world.client.handle_share(world.now, &share).unwrap();
        world.client.handle_spooled(world.now, share.hash, Ok(()));
        let mut submit = None;
        while let Some(call) = world.client.poll_request() {
            if call.call.method() == "submitblock" {
                submit = Some(call);
            } else if let Some(answer) = world.cores[0].answer(call.id, &call.call) {
                world.client.handle_answer(world.now, call.id, answer);
            }
        }
        let submit = submit.expect("it is sent at once");
        let left = world.cores[0].limits.iter().max().copied().unwrap_or(0);
        assert!(left <= 2000, "{left} ms behind our own call");
        assert_eq!(world.client.poll_cancel().is_some(), round == 0, "round {round}");
        world.now += Duration::from_millis(left.into());
        world.cores[0].limits.clear();
        let answer = world.cores[0].answer(submit.id, &submit.call).unwrap();
        world.client.handle_answer(world.now, submit.id, answer);
        world.settle();
        let warnings = world.events.drain(..).filter_map(|event| match event.what {
            NodeNews::Warning(words) => Some(words),
            _ => None,
        });
        told += warnings.filter(|words| words.contains("-rpcthreads")).count();
        assert_eq!(told, 1, "round {round}");
    }
    assert_eq!(world.cores[0].limits, [0; 0], "nothing waits there any more");
}

#[test]
fn rule_19_never_means_that_nothing_waits_and_a_run_that_ends_leaves_nothing() {
    let never = Config { long_poll: LongPolling::Never, ..config(1) };
    let mut world = World::with(never, vec![Core::new()]);
    world.pass(60);
    assert_eq!(world.cores[0].seen("longpoll") + world.cores[0].seen("waitforblockheight"), 0);
    assert!((12..=14).contains(&world.cores[0].seen("getblocktemplate")));
    // Nor in the first seconds otherwise.
    let auto = Config { long_poll: LongPolling::Auto, ..config(1) };
    let mut world = World::with(auto, vec![Core::new()]);
    world.pass(4);
    assert_eq!(world.cores[0].seen("longpoll") + world.cores[0].seen("waitforblockheight"), 0);
    world.pass(26);
    assert_eq!(world.cores[0].seen("longpoll"), 1, "this one knows nothing else");
    let poll = world.cores[0].longpolls[0].0;
    world.client.finish(world.now);
    assert_eq!(world.client.poll_cancel(), Some(poll));
}

#[test]
fn rule_16_memory_that_a_node_can_fill_has_a_bound() {
    // Proposals are not answered, and the tip never rests: one proposal at a time.
    let mut world = World::new(vec![Core::new()]);
    let mut open: Vec<u64> = Vec::new();
    for _ in 0..500 {
        world.cores[0].foreign_block();
        world.now += Duration::from_secs(1);
        world.client.handle_timeout(world.now);
        loop {
            while let Some(id) = world.client.poll_cancel() {
                open.retain(|&call| call != id);
            }
            let Some(request) = world.client.poll_request() else { break };
            if request.call.method() == "getblocktemplate"
                && matches!(request.call, Call::Proposal { .. })
            {
                open.push(request.id);
            } else if let Some(answer) = world.cores[0].answer(request.id, &request.call) {
                world.client.handle_answer(world.now, request.id, answer);
            }
        }
        assert!(open.len() <= 1, "{} proposals wait for an answer", open.len());
    }
    assert!(world.cores[0].seen("getblocktemplate") > 50);

    // Blocks are taken and never buried, as the tip is always another one: the oldest go.
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.cores[0].submit_says = Some(json!(null));
    for _ in 0..300 {
        world.mine();
        world.cores[0].foreign_block();
        world.pass(6);
        assert!(world.spool.len() <= 64, "{} files", world.spool.len());
    }
    assert!(world.sent.len() >= 200, "work goes on: {}", world.sent.len());

    // Blocks get no answer: none is lost, and no more are found until one gets its verdict.
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.cores[0].mute_submit = true;
    world.cores[0].submit_says = Some(json!(null));
    for _ in 0..300 {
        if world.job.is_some() {
            world.mine();
        }
        world.cores[0].foreign_block();
        world.pass(6);
        assert!(world.spool.len() <= 64, "{} files", world.spool.len());
    }
    assert_eq!((world.spool.len(), &world.job), (64, &None));
    let told = |words: &&str| words.contains("have no verdict");
    assert_eq!(world.warnings().into_iter().filter(told).count(), 1);
    world.cores[0].mute_submit = false;
    world.cores[0].submit_says = Some(json!("high-hash"));
    world.pass(60);
    assert_eq!(world.verdicts().len(), 64, "each has its verdict");
    assert!(world.job.is_some(), "work goes on");
}

#[test]
fn rule_24_the_chain_is_asked_for_whenever_a_node_comes_back() {
    let other = || Core { chain: "testnet4".to_owned(), ..Core::new() };
    // Swapped while a block is about to be sent, with and without a second node to go on at.
    for nodes in [1, 2] {
        let mut world = World::new((0..nodes).map(|_| Core::new()).collect());
        world.settle();
        let share = world.solve();
        world.swap(0, other());
        world.client.handle_share(world.now, &share).unwrap();
        world.pass(120);
        assert_eq!(world.cores[0].seen("submitblock"), 0);
        assert_eq!(world.cores[0].seen("getblockheader"), 0, "of no use to it either");
        if nodes == 2 {
            assert_eq!(world.cores[1].height(), 1, "the other one gets it");
            assert_eq!(world.job.clone().unwrap().height(), Some(2));
        } else {
            assert_eq!(world.states().last(), Some(&(0, NodeState::Lost)));
            assert_eq!(world.spool.len(), 1, "the block is kept for its own chain");
        }
    }
    // Swapped without a trace but a new connection: its template is not mined.
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    let jobs_before = jobs(&world);
    world.cores[0] = Core { fresh: true, ..other() };
    world.cores[0].foreign_block();
    world.pass(40);
    assert_eq!(jobs(&world), jobs_before);
    assert_eq!(world.cores[0].seen("proposal"), 0);

    // A second node that gives no work now is asked, too.
    let mut world = World::new(vec![Core::new(), other()]);
    world.settle();
    world.mine();
    world.pass(60);
    assert_eq!(world.cores[1].seen("submitblock"), 0);
    assert_eq!(world.verdicts(), [Verdict::Accepted]);
    let on_other =
        |event: &&NodeEvent| matches!(event.what, NodeNews::Node { state: NodeState::Lost, .. });
    let told: Vec<_> = world.events.iter().filter(on_other).map(|event| event.node).collect();
    assert_eq!(told, [1], "told once, as the second one's");
}

#[test]
fn rule_24_a_node_behind_a_server_that_closes_every_connection_is_mined_at() {
    let mut world = World::new(vec![Core::new()]);
    world.cores[0].closes = true;
    world.settle();
    for height in 1..=20 {
        world.mine();
        assert_eq!(world.cores[0].height(), height);
    }
    world.pass(60);
    let asked = world.cores[0].seen("getblockchaininfo");
    assert!(asked < 150, "no question leads to the next: {asked}");
    assert_eq!(world.warnings(), [""; 0]);
}

#[test]
fn rule_4_a_spool_that_cannot_be_written_is_told_once_and_then_counted() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.disk_full = true;
    for _ in 0..300 {
        world.mine();
        world.now += Duration::from_millis(500);
    }
    assert_eq!(world.cores[0].height(), 300, "they are sent all the same");
    let warnings = world.warnings();
    assert_eq!(warnings.len(), 3, "at 0, 60 and 120 s: {warnings:?}");
    assert!(warnings[0].contains("could not be written to the spool (no space"), "{warnings:?}");
    assert_eq!(warnings[1], "120 more blocks could not be written to the spool");
    // The rest is told in the end.
    world.client.abandon();
    world.settle();
    let words = "59 more blocks could not be written to the spool";
    assert_eq!(world.warnings().last(), Some(&words));
    world.client.abandon();
    world.settle();
    assert_eq!(world.warnings().last(), Some(&words), "and once");
    // One alone leaves nothing to tell. And when it fails anew after a success:
    let mut world = World::new(vec![Core::new()]);
    for full in [true, false, true] {
        world.settle();
        world.disk_full = full;
        world.mine();
    }
    assert_eq!(world.warnings().len(), 2);
    world.client.abandon();
    world.settle();
    assert_eq!(world.warnings().len(), 2);
}

#[test]
fn rule_3_a_spool_that_cannot_be_written_has_the_cure_of_its_cause() {
    for (kind, cure) in [
        (ErrorKind::StorageFull, "has it; make room on the disk, or name another directory"),
        (
            ErrorKind::PermissionDenied,
            "has it; let this user read and write there, or name another directory",
        ),
        (ErrorKind::NotADirectory, "has it; name another directory"),
    ] {
        let mut world = World::new(vec![Core::new()]);
        world.settle();
        let share = world.solve();
        world.client.handle_share(world.now, &share).unwrap();
        while world.client.poll_event().is_some() {}
        world.client.handle_spooled(world.now, share.hash, Err(kind.into()));
        world.settle();
        let warnings = world.warnings();
        assert!(warnings[0].ends_with(cure), "{warnings:?}");
    }
}

#[test]
fn rule_3_a_proposal_with_a_time_too_new_names_the_clocks() {
    let mut world = World::new(vec![Core::new()]);
    world.cores[0].refuse_proposals = Some("time-too-new");
    world.settle();
    let warnings = world.warnings();
    assert!(warnings[0].contains("check both clocks; not mining it"), "{warnings:?}");
}
