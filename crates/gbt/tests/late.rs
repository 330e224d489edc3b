//! Proposals that are answered late, never, or with a contradiction, in virtual time: a node that
//! is merely slow gives work.

mod support;

use midstate_failover::Service;
use midstate_gbt::client::{Config, LongPolling, NodeEvent, NodeNews, NodeState};
use midstate_gbt::rpc::Answer;
use midstate_gbt::{Lateness, NOT_BEST};
use serde_json::json;
use support::{Core, World, config};

fn warnings(world: &World, words: &str) -> usize {
    world.warnings().iter().filter(|told| told.contains(words)).count()
}

const TOO_SLOWLY: &str = "checks our blocks too slowly";

#[test]
fn rule_21_a_node_whose_proposals_are_slower_than_its_tips_gives_work() {
    // They are never answered before the next template, or answered when the tip has moved.
    for hangs in [true, false] {
        // A call that waits would return at once where each proposal moves the tip.
        let never = Config { long_poll: LongPolling::Never, ..config(2) };
        let mut world = World::with(never, vec![Core::new(), Core::new()]);
        match hangs {
            true => world.cores[0].hangs_at = vec!["proposal"],
            false => world.cores[0].moves_at_proposals = true,
        }
        for _ in 0..30 {
            world.cores[0].foreign_block();
            world.pass(2);
        }
        let job = world.job.clone().unwrap_or_else(|| panic!("hangs {hangs}: no job"));
        let height = job.height().unwrap() as usize;
        assert!(world.cores[0].height() <= height + 3, "one of the newest: {height}");
        assert_eq!(warnings(&world, TOO_SLOWLY), 1, "{:?}", world.warnings());
        assert_eq!(world.warnings().len(), 1, "{:?}", world.warnings());
        assert_eq!(world.states(), [(0, NodeState::Connected)], "no reason to go elsewhere");
    }
}

#[test]
fn rule_21_a_proposal_without_an_answer_costs_seconds() {
    let mut world = World::new(vec![Core::new()]);
    world.cores[0].hangs_at = vec!["proposal"];
    world.pass(5);
    assert!(world.job.is_some());
    // It is hashed on when the call is given up, and blocks of it are sent.
    world.pass(100);
    world.mine();
    assert_eq!(world.cores[0].height(), 1);
    world.pass(100);
    assert_eq!(world.job.clone().unwrap().height(), Some(2));
    // The other one is of the call that waits beside it.
    assert_eq!(warnings(&world, TOO_SLOWLY), 1);
    assert_eq!(world.warnings().len(), 2, "{:?}", world.warnings());
    assert_eq!(world.states(), [(0, NodeState::Connected)]);
}

#[test]
fn rule_21_after_a_proposal_without_an_answer_the_next_template_is_mined_at_once() {
    let mut world = World::new(vec![Core::new()]);
    world.cores[0].hangs_at = vec!["proposal"];
    world.pass(5);
    let first = world.job.clone().expect("a job after 5 s");
    world.cores[0].foreign_block();
    // The next template is asked for in the meantime.
    world.pass(5);
    let next = world.job.clone().unwrap();
    assert_eq!((first.height(), next.height()), (Some(1), Some(2)), "not after 5 s more");
}

#[test]
fn rule_21_one_answer_in_time_does_not_undo_all_that_were_late() {
    let mut lateness = Lateness::default();
    for _ in 0..3 {
        assert!(!lateness.is_slow());
        lateness.overtaken();
    }
    assert!(lateness.is_slow());
    lateness.in_time();
    assert!(!lateness.is_slow());
    lateness.overtaken();
    assert!(lateness.is_slow());
}

#[test]
fn rule_25_a_refusal_that_comes_late_ends_the_work() {
    let mut world = World::new(vec![Core::new()]);
    world.cores[0].hangs_at = vec!["proposal"];
    world.pass(6);
    assert!(world.job.is_some());
    let (id, _) = world.hanging.pop().unwrap();
    let body = json!({"jsonrpc": "2.0", "result": "bad-txns", "id": id}).to_string();
    let answer = Answer { status: 200, body: body.into(), ..Answer::default() };
    world.client.handle_answer(world.now, id, Ok(answer));
    world.settle();
    assert_eq!(world.job, None);
    assert_eq!(warnings(&world, "bad-txns: a transaction of the template"), 1);
    // The same template again: nothing of it is hashed before the node says yes.
    world.pass(25);
    assert_eq!(world.job, None);
    world.cores[0].hangs_at.clear();
    world.pass(20);
    assert!(world.job.is_some());
    // And when it answers in time, all is as ever.
    world.pass(200);
    world.cores[0].refuse_proposals = Some("bad-cb-amount");
    let jobs = |world: &World| {
        let is_job = |event: &&NodeEvent| matches!(event.what, NodeNews::Job { .. });
        world.events.iter().filter(is_job).count()
    };
    let before = jobs(&world);
    world.cores[0].foreign_block();
    world.pass(30);
    assert_eq!(jobs(&world), before);
}

#[test]
fn rule_25_a_node_that_does_not_take_its_own_tip_for_the_best_gives_no_work() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.cores[0].refuse_proposals = Some(NOT_BEST);
    world.pass(60);
    let active = |event: &&NodeEvent| {
        event.node == 1 && matches!(&event.what, NodeNews::Node { state: NodeState::Active, .. })
    };
    assert!(world.events.iter().any(|event| active(&event)), "the next one does");
    let job = |event: &NodeEvent| event.node == 0 && matches!(event.what, NodeNews::Job { .. });
    assert!(!world.events.iter().any(job));
    assert_eq!(warnings(&world, "several nodes"), 1, "{:?}", world.warnings());
    assert_eq!(world.warnings().len(), 1, "{:?}", world.warnings());
    // It is asked again at its pace, and all is well when it agrees with itself.
    let mut world = World::new(vec![Core::new()]);
    world.cores[0].refuse_proposals = Some(NOT_BEST);
    world.pass(60);
    assert!(world.cores[0].seen("proposal") < 25, "{}", world.cores[0].seen("proposal"));
    world.cores[0].refuse_proposals = None;
    world.pass(6);
    assert!(world.job.is_some());
}

#[test]
fn rule_20_a_template_whose_block_cannot_be_checked_is_no_work() {
    for up in [0, 100] {
        let mut world = World::new(vec![Core::new()]);
        world.pass(up);
        world.events.clear();
        world.cores[0].proposal_http = Some((413, "<html>Too Large"));
        world.cores[0].foreign_block();
        world.settle();
        let served = (0..60).filter(|_| {
            world.pass(1);
            world.client.service(world.now) != Service::None
        });
        assert_eq!(served.count(), 0, "--give-up counts from the beginning");
        assert_eq!(world.states(), [(0, NodeState::Lost)], "it does not come and go");
        // Nor with another one, which has the work soon.
        let mut world = World::new(vec![Core::new(), Core::new()]);
        world.pass(up);
        world.events.clear();
        world.cores[0].proposal_http = Some((413, "<html>Too Large"));
        world.cores[0].foreign_block();
        world.pass(12);
        let states = [(0, NodeState::Lost), (1, NodeState::Connected), (1, NodeState::Active)];
        assert_eq!(world.states()[..3], states);
    }
}

#[test]
fn rule_20_a_node_left_for_its_proposals_serves_when_it_takes_one_and_not_when_it_gives_templates()
{
    type Break = fn(&mut Core);
    let breaks: [Break; 4] = [
        |core| core.refuse_proposals = Some("bad-txns"),
        |core| core.proposal_http = Some((413, "<html>Too Large")),
        |core| core.refuse_proposals = Some(NOT_BEST),
        |core| core.cuts = Some("proposal"),
    ];
    for (number, breaks) in breaks.into_iter().enumerate() {
        let mut world = World::new(vec![Core::new(), Core::new()]);
        breaks(&mut world.cores[0]);
        world.pass(400);
        let states = world.states();
        assert!(!states.contains(&(0, NodeState::Connected)), "{number}: {states:?}");
        let handovers = states.iter().filter(|it| it.1 == NodeState::Active).count();
        assert_eq!(handovers, 1, "{number}: {states:?}");
        assert_eq!(world.client.troubles().map(|(node, _)| node).collect::<Vec<_>>(), [0]);
        let asked = world.cores[0].seen("proposal");
        assert!(asked <= 50, "{number}: {asked} proposals in 400 s");
        let trouble = |world: &World| world.client.troubles().next().unwrap().1.to_owned();
        if number == 0 {
            // Its trouble is the newest reason; a tip that has moved is none.
            world.cores[0].refuse_proposals = Some("bad-cb-amount");
            world.pass(11);
            let words = "the node would refuse our block: bad-cb-amount: its coinbase takes more";
            assert!(trouble(&world).starts_with(words), "{}", trouble(&world));
            world.cores[0].refuse_proposals = Some(NOT_BEST);
            world.pass(11);
            assert!(trouble(&world).starts_with(words), "{}", trouble(&world));
            // Nor does it serve when it cannot be reached.
            world.cores[0].refuse_proposals = None;
            world.cores[0].cuts = Some("proposal");
            world.pass(11);
            assert!(trouble(&world).contains("connection closed"), "{}", trouble(&world));
        }
        // It is put right.
        (world.cores[0].refuse_proposals, world.cores[0].proposal_http) = (None, None);
        world.cores[0].cuts = None;
        world.events.clear();
        world.pass(85);
        assert_eq!(world.states(), [(0, NodeState::Connected), (0, NodeState::Active)], "{number}");
        assert_eq!(world.client.troubles().count(), 0);
        world.mine();
        assert_eq!(world.cores[0].height(), 1);
    }
}

#[test]
fn rule_20_a_node_left_for_its_proposals_that_will_not_say_yes_or_no_is_mined_at_unchecked() {
    for says in [json!(true), json!(-1)] {
        let mut world = World::new(vec![Core::new(), Core::new()]);
        world.cores[0].refuse_proposals = Some("bad-txns");
        world.pass(60);
        world.cores[0].proposal_says = Some(says);
        world.pass(85);
        assert_eq!(world.states().last(), Some(&(0, NodeState::Active)), "{:?}", world.states());
    }
    // One that gives no proposals any more is mined at by its templates.
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.cores[0].refuse_proposals = Some("bad-txns");
    world.pass(60);
    world.cores[0].template_extras = json!({"capabilities": []});
    world.pass(85);
    assert_eq!(world.states().last(), Some(&(0, NodeState::Active)), "{:?}", world.states());
}

#[test]
fn rule_1_a_node_on_trial_is_trusted_ten_seconds_after_a_block_that_it_takes() {
    for (answer, service) in [
        (None, Service::OnTrial),
        (Some(json!(null)), Service::Trusted),
        (Some(json!("high-hash")), Service::OnTrial),
        (Some(json!("inconclusive")), Service::OnTrial),
    ] {
        let mut world = World::new(vec![Core::new()]);
        // Three runs of templates end early.
        for _ in 0..3 {
            world.pass(5);
            assert!(world.job.is_some());
            world.stop(0);
            world.pass(3);
            world.cores[0].trouble = None;
            world.pass(10);
        }
        assert_eq!(world.client.service(world.now), Service::OnTrial);
        if let Some(answer) = &answer {
            world.cores[0].submit_says = Some(answer.clone()).filter(|answer| !answer.is_null());
            world.mine();
            assert_eq!(world.sent.len(), 1);
        }
        world.pass(10);
        assert_eq!(world.client.service(world.now), service, "{answer:?}");
        world.pass(60);
        assert_eq!(world.client.service(world.now), Service::Trusted, "by work");
    }
}
