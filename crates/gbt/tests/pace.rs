//! When a node is asked for what, and what is told, to the second, in virtual time.

mod support;

use std::time::Duration;

use midstate_gbt::client::{Config, Fatal, LongPolling, NodeEvent, NodeNews, NodeState};
use serde_json::{Value, json};
use support::{Core, Said, Trouble, World, config, solve};

/// Seconds since the start.
fn at(world: &World) -> u64 {
    world.now.as_secs() - 1000
}

fn never(nodes: usize) -> Config {
    Config { long_poll: LongPolling::Never, ..config(nodes) }
}

fn warnings(world: &World, words: &str) -> usize {
    world.warnings().iter().filter(|told| told.contains(words)).count()
}

fn fatals(world: &World) -> Vec<&Fatal> {
    let fatal = |event: &'_ NodeEvent| matches!(event.what, NodeNews::Fatal(_));
    let events = world.events.iter().filter(|event| fatal(event));
    let fatals = events.filter_map(|event| match &event.what {
        NodeNews::Fatal(fatal) => Some(fatal),
        _ => None,
    });
    fatals.collect()
}

/// The words of each change of a node to this state.
fn reasons(world: &World, node: usize, wanted: NodeState) -> Vec<&str> {
    let mut reasons = Vec::new();
    for event in world.events.iter().filter(|event| event.node == node) {
        if let NodeNews::Node { state, reason: Some(reason) } = &event.what
            && *state == wanted
        {
            reasons.push(reason.as_str());
        }
    }
    reasons
}

#[test]
fn every_request_is_json_with_its_number_its_method_and_its_parameters() {
    let mut world = World::new(vec![Core::new()]);
    let mut numbers = Vec::new();
    let mut submitted = None;
    for _ in 0..20 {
        while let Some(event) = world.client.poll_event() {
            match event.what {
                NodeNews::Job { job, .. } if submitted.is_none() => {
                    world.client.handle_share(world.now, &solve(&job, 0)).unwrap();
                }
                NodeNews::Spool(block) => {
                    world.client.handle_spooled(world.now, block.hash, Ok(()));
                    submitted = Some(block.hex);
                }
                _ => {}
            }
        }
        let Some(request) = world.client.poll_request() else { break };
        let body: Value = serde_json::from_slice(&request.body()).unwrap();
        assert_eq!(body["id"], request.id);
        assert_eq!(body["method"], request.call.method());
        assert!(body["params"].is_array(), "{body}");
        if body["method"] == "submitblock" {
            assert_eq!(body["params"][0], submitted.clone().unwrap());
        }
        numbers.push(request.id);
        if let Some(answer) = world.cores[0].answer(request.id, &request.call) {
            world.client.handle_answer(world.now, request.id, answer);
        }
    }
    assert!(submitted.is_some());
    let count = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), count, "each has a number of its own");
}

#[test]
fn a_template_is_asked_for_every_5_seconds_and_every_30_beside_a_call_that_waits() {
    let mut world = World::with(never(1), vec![Core::new()]);
    world.pass(21);
    assert_eq!(world.asked_at(0, "getblocktemplate", 0), [0, 5, 10, 15, 20]);
    assert_eq!(world.asked_at(0, "getblockchaininfo", 0), [0], "it is there, as can be seen");
    let mut world = World::new(vec![Core::new()]);
    world.pass(61);
    assert_eq!(world.asked_at(0, "longpoll", 0), [0]);
    assert_eq!(world.asked_at(0, "getblocktemplate", 0), [0, 5, 35]);
    // Whether it is there is asked meanwhile.
    let pings = [0, 10, 15, 20, 25, 30, 40, 45, 50, 55, 60];
    assert_eq!(world.asked_at(0, "getblockchaininfo", 0), pings);
}

#[test]
fn a_node_that_is_away_is_asked_after_1_2_5_and_then_every_10_seconds() {
    let mut world = World::new(vec![Core::new()]);
    world.cores[0].trouble = Some(Trouble::Down);
    world.pass(40);
    assert_eq!(world.asked_at(0, "getblockchaininfo", 0), [0, 1, 3, 8, 18, 28, 38]);
    world.cores[0].trouble = None;
    world.pass(20);
    assert!(world.job.is_some());
    // From the beginning, once it has given work.
    let asked = world.cores[0].seen("getblockchaininfo");
    let since = at(&world);
    world.stop(0);
    world.pass(20);
    let again = world.asked_at(0, "getblockchaininfo", asked);
    let again: Vec<_> = again.into_iter().map(|at| at - since).collect();
    assert_eq!(again[1..], [again[0] + 1, again[0] + 3, again[0] + 8, again[0] + 18], "{again:?}");
}

#[test]
fn rule_23_a_node_that_closes_the_connection_is_asked_after_1_2_5_and_then_every_10_seconds() {
    for call in ["getblocktemplate", "proposal"] {
        let mut world = World::with(never(1), vec![Core::new()]);
        world.cores[0].cuts = Some(call);
        world.pass(40);
        assert_eq!(world.asked_at(0, call, 0), [0, 1, 3, 8, 18, 28, 38]);
        assert!(world.cores[0].seen("getblockchaininfo") <= 2 * 7);
        // The node is well again.
        world.cores[0].cuts = None;
        world.pass(10);
        assert!(world.job.is_some(), "{call}");
    }
}

#[test]
fn long_polls_that_break_at_once_rest_for_ten_minutes_after_the_third() {
    let mut world = World::new(vec![Core::new()]);
    world.cores[0].cuts_longpolls = Some(0);
    world.pass(595);
    assert_eq!(world.cores[0].seen("longpoll"), 3);
    assert_eq!(warnings(&world, "long polling does not work at this node"), 1);
    world.cores[0].cuts_longpolls = None;
    world.pass(15);
    assert_eq!(world.cores[0].seen("longpoll"), 4);
    world.cores[0].foreign_block();
    world.settle();
    assert_eq!(world.job.clone().unwrap().height(), Some(2), "at once");
}

#[test]
fn rule_21_a_tip_that_ignores_our_blocks_is_mined_on_after_2_4_and_then_8_seconds() {
    // The node answers; or it does not, and has more time.
    for (answers, pauses) in [(true, [2, 4, 8, 8]), (false, [5, 10, 20, 20])] {
        let mut world = World::with(never(1), vec![Core::new()]);
        world.settle();
        match answers {
            true => world.cores[0].say(&Said::Result(json!(null))),
            false => world.cores[0].hangs_at = vec!["submitblock"],
        }
        let mut seen = Vec::new();
        for _ in 0..4 {
            world.mine();
            assert_eq!(world.job, None);
            let since = at(&world);
            for _ in 0..30 {
                if world.job.is_none() {
                    world.pass(1);
                }
            }
            seen.push(at(&world) - since);
        }
        assert_eq!(seen, pauses, "answers {answers}");
        let told = ["does not become the node's tip", "has not answered to our block yet"];
        assert_eq!(
            told.map(|words| warnings(&world, words)),
            [usize::from(answers), usize::from(!answers)]
        );
        // On another tip it begins anew.
        if answers {
            world.cores[0].foreign_block();
            world.pass(6);
            world.mine();
            world.pass(1);
            assert_eq!(world.job, None);
            world.pass(1);
            assert!(world.job.is_some());
            assert_eq!(warnings(&world, told[0]), 2);
        }
    }
}

#[test]
fn the_answer_to_a_block_leads_to_the_next_template_at_once() {
    let mut world = World::with(never(2), vec![Core::new(), Core::new()]);
    world.settle();
    for height in 2..=5 {
        world.mine();
        assert_eq!(world.job.clone().unwrap().height(), Some(height));
    }
    // One that came too late leads to none.
    let stale = world.solve();
    world.cores[0].foreign_block();
    world.pass(5);
    let asked = world.cores[0].seen("getblocktemplate");
    world.client.handle_share(world.now, &stale).unwrap();
    world.settle();
    assert_eq!(world.cores[0].seen("getblocktemplate"), asked);
}

#[test]
fn a_template_that_differs_is_a_new_job_and_one_that_does_not_is_none_for_30_seconds() {
    let mut world = World::with(never(1), vec![Core::new()]);
    world.cores[0].transaction(0);
    let mut jobs = Vec::new();
    for _ in 0..65 {
        world.settle();
        if world.job.as_ref().map(|job| &job.id) != jobs.last().map(|(_, id)| id) {
            jobs.push((at(&world), world.job.clone().unwrap().id.clone()));
        }
        world.pass(1);
    }
    let times: Vec<_> = jobs.into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [0, 30, 60], "its time is renewed");
    // Everything else that the block depends on.
    let changes: [fn(&mut Core); 6] = [
        |core| core.template_extras = json!({"version": 536_870_913}),
        |core| core.template_extras = json!({"coinbaseaux": {"flags": "0102"}}),
        |core| core.template_extras = json!({"coinbaseaux": {"flags": "0103"}}),
        |core| core.transaction(1),
        |core| drop(core.mempool.remove(0)),
        |core| {
            core.mempool.clear();
            core.transaction(7);
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let old = world.job.clone().unwrap();
        change(&mut world.cores[0]);
        // The test's node would refuse what it does not know.
        world.cores[0].proposal_says = Some(json!(null));
        world.pass(5);
        assert_ne!(world.job.clone().unwrap().id, old.id, "change {number}");
    }
}

#[test]
fn rule_25_a_refused_template_ends_the_work_on_its_tip_only_if_the_tip_is_new() {
    let mut world = World::with(never(1), vec![Core::new()]);
    world.settle();
    let job = world.job.clone().unwrap();
    world.cores[0].refuse_proposals = Some("bad-txns");
    world.cores[0].transaction(0);
    world.pass(21);
    assert_eq!(world.job, Some(job), "what it took before is as good as ever");
    assert_eq!(warnings(&world, "bad-txns: a transaction of the template is not valid"), 1);
    let proposals = world.asked_at(0, "proposal", 0);
    assert_eq!(proposals, [0, 5, 10, 15, 20], "asked again at its pace");
    world.cores[0].foreign_block();
    world.pass(5);
    assert_eq!(world.job, None);
    // Another reason is news, a minute later.
    world.cores[0].refuse_proposals = Some("bad-cb-amount");
    world.pass(60);
    assert_eq!(warnings(&world, "bad-cb-amount: its coinbase"), 1);
    world.cores[0].refuse_proposals = None;
    world.pass(5);
    assert_eq!(world.job.clone().unwrap().height(), Some(2));
}

#[test]
fn rule_4_words_about_a_proposal_that_change_each_time_are_told_once_a_minute() {
    // Neither yes nor no, an error, and a refusal.
    for (say, words) in [
        (
            (|core, number| core.proposal_says = Some(json!({ "x": number })))
                as fn(&mut Core, usize),
            "mining it unchecked",
        ),
        (|core, number| core.proposal_http = Some((500, ERRORS[number % 2])), "unchecked"),
        (|core, number| core.refuse_proposals = Some(["bad-a", "bad-b"][number % 2]), "not mining"),
    ] {
        let mut world = World::with(never(1), vec![Core::new()]);
        world.settle();
        for number in 0..90 {
            say(&mut world.cores[0], number);
            world.cores[0].foreign_block();
            world.pass(5);
            if world.job.is_some() {
                world.mine();
            }
        }
        let told = warnings(&world, words);
        assert!((2..=8).contains(&told), "{told} in 450 s: {:?}", world.warnings());
    }
}

const ERRORS: [&str; 2] = [
    r#"{"result":null,"error":{"code":-1,"message":"one"}}"#,
    r#"{"result":null,"error":{"code":-1,"message":"two"}}"#,
];

#[test]
fn rule_24_a_block_waits_a_second_for_the_nodes_word_on_its_chain() {
    let mut world = World::with(never(1), vec![Core::new()]);
    world.pass(3);
    world.cores[0].hangs_at = vec!["getblockchaininfo"];
    world.mine();
    assert_eq!(world.sent, []);
    let due = world.now + Duration::from_secs(1);
    assert_eq!(world.client.poll_timeout(), Some(due));
    world.pass(1);
    assert_eq!(world.sent, [(0, due, true)]);
    assert_eq!(world.cores[0].height(), 1);
    assert_eq!(world.job.clone().unwrap().height(), Some(2), "work goes on meanwhile");
}

#[test]
fn rule_24_a_node_that_is_doubted_gets_no_block_before_it_has_named_its_chain() {
    // Another one may answer where a connection is new; or the old one has broken.
    for breaks in [false, true] {
        let mut world = World::new(vec![Core::new()]);
        world.pass(4);
        let share = world.solve();
        world.cores[0].hangs_at = vec!["getblockchaininfo"];
        match breaks {
            true => {
                world.stop(0);
                world.cores[0].trouble = None;
                world.pass(3);
            }
            false => world.client.handle_connected(world.now, 0),
        }
        world.client.handle_share(world.now, &share).unwrap();
        world.pass(20);
        assert_eq!(world.sent, [], "breaks {breaks}");
        world.cores[0].hangs_at.clear();
        world.pass(30);
        assert_eq!(world.sent.len(), 1, "breaks {breaks}");
    }
}

#[test]
fn rule_24_the_word_of_a_node_on_its_chain_is_good_for_a_tenth_of_a_second() {
    let mut world = World::with(never(1), vec![Core::new()]);
    world.settle();
    for (after, asked) in [(0, 1), (100, 1), (101, 2), (50, 2)] {
        world.now += Duration::from_millis(after);
        world.mine();
        assert_eq!(world.cores[0].seen("getblockchaininfo"), asked, "after {after} ms");
    }
    assert_eq!(world.cores[0].height(), 4);
}

#[test]
fn nodes_that_all_refuse_us_end_the_run_and_one_that_does_not_goes_on() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.cores[0].trouble = Some(Trouble::Locked);
    world.pass(60);
    assert_eq!(fatals(&world), [] as [&Fatal; 0]);
    assert!(world.job.is_some());
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.cores.iter_mut().for_each(|core| core.trouble = Some(Trouble::Locked));
    world.pass(60);
    assert_eq!(fatals(&world).len(), 1, "{:?}", world.events);
}

#[test]
fn rule_5_work_goes_over_and_back_for_a_reason_that_is_told() {
    let mut world = World::new(vec![Core::new(), Core::new(), Core::new()]);
    world.settle();
    world.stop(0);
    world.stop(1);
    world.pass(30);
    let active = reasons(&world, 2, NodeState::Active);
    // Two nodes with the same trouble, which is told once.
    assert_eq!(active, ["no answer from the node: connection refused"]);
    assert!(world.client.troubles().map(|(node, _)| node).eq([0, 1]));
    world.events.clear();
    world.cores[0].trouble = None;
    world.pass(130);
    let back = reasons(&world, 0, NodeState::Active);
    assert_eq!(back, ["it has answered again for long enough"]);
}

#[test]
fn rule_20_a_node_that_comes_back_a_block_behind_gets_the_work_when_it_has_caught_up() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.settle();
    world.stop(0);
    world.pass(10);
    world.cores[1].foreign_block();
    world.pass(2);
    assert_eq!(world.job.clone().unwrap().height(), Some(2));
    world.cores[0].trouble = None;
    world.pass(300);
    assert_eq!(reasons(&world, 0, NodeState::Active).len(), 0, "its work would be for nothing");
    assert_eq!(world.job.clone().unwrap().height(), Some(2));
    world.cores[0].foreign_block();
    world.pass(130);
    assert_eq!(reasons(&world, 0, NodeState::Active).len(), 1);
}
