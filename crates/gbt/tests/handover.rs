//! Which node is asked and told of while another one gives the work, in virtual time.

mod support;

use midstate_failover::Service;
use midstate_gbt::client::{Config, LongPolling, NodeEvent, NodeNews, NodeState};
use serde_json::json;
use support::{Core, Trouble, World, config, solve};

fn never(nodes: usize) -> Config {
    Config { long_poll: LongPolling::Never, ..config(nodes) }
}

fn lost(world: &World, node: usize) -> Vec<&str> {
    let mut reasons = Vec::new();
    for event in world.events.iter().filter(|event| event.node == node) {
        if let NodeNews::Node { state: NodeState::Lost, reason: Some(reason) } = &event.what {
            reasons.push(reason.as_str());
        }
    }
    reasons
}

#[test]
fn rule_20_the_next_node_is_asked_at_once_where_nobody_listens_and_after_three_failures_else() {
    for (trouble, after) in [(Trouble::Down, 0), (Trouble::Says(-28, "Loading"), 3)] {
        let mut world = World::with(never(2), vec![Core::new(), Core::new()]);
        world.cores[0].trouble = Some(trouble);
        world.pass(20);
        assert_eq!(world.asked_at(1, "getblockchaininfo", 0)[0], after, "{trouble:?}");
        assert!(world.job.is_some());
    }
}

#[test]
fn a_better_node_that_is_back_is_asked_every_10_seconds_and_gets_the_work_after_60() {
    let mut world = World::with(never(2), vec![Core::new(), Core::new()]);
    world.cores[0].trouble = Some(Trouble::Down);
    world.settle();
    assert!(world.states().ends_with(&[(1, NodeState::Active)]));
    world.cores[0].trouble = None;
    world.pass(62);
    let asked = world.asked_at(0, "getblocktemplate", 0);
    assert_eq!(asked[..7], [1, 11, 21, 31, 41, 51, 61], "{asked:?}");
    assert_eq!(world.states().last(), Some(&(0, NodeState::Active)));
    assert!(!world.asked_at(1, "getblocktemplate", 0).contains(&62));
}

#[test]
fn a_node_that_comes_back_with_a_shorter_chain_gives_work() {
    let mut world = World::with(never(1), vec![Core::new()]);
    world.settle();
    world.mine();
    world.mine();
    world.stop(0);
    world.pass(30);
    assert!(world.client.service(world.now) != Service::Trusted);
    world.cores[0].best.truncate(2);
    world.cores[0].trouble = None;
    world.pass(10);
    assert!(world.client.service(world.now) == Service::Trusted);
    assert_eq!(world.job.clone().unwrap().height(), Some(2));
}

#[test]
fn a_node_that_is_behind_gives_work_where_no_other_does() {
    let mut world = World::with(never(2), vec![Core::new(), Core::new()]);
    for _ in 0..3 {
        world.cores[0].foreign_block();
    }
    world.settle();
    assert_eq!(world.job.clone().unwrap().height(), Some(4));
    world.stop(0);
    world.pass(20);
    assert!(world.states().contains(&(1, NodeState::Active)), "{:?}", world.states());
    assert_eq!(world.job.clone().unwrap().height(), Some(1));
}

#[test]
fn a_block_from_elsewhere_is_of_the_node_that_gave_its_job() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.settle();
    let old = world.job.clone().unwrap();
    assert_eq!(world.client.node_of(&old), 0);
    let block = world.client.newest_work().unwrap().block(&solve(&old, 0));
    world.stop(0);
    world.cores[1].foreign_block();
    world.pass(10);
    let new = world.job.clone().unwrap();
    assert_eq!([&old, &new].map(|job| world.client.node_of(job)), [0, 1]);
    world.events.clear();
    world.client.handle_block(world.now, &block).unwrap();
    world.settle();
    let spooled = |event: &&NodeEvent| matches!(event.what, NodeNews::Spool(_));
    assert_eq!(world.events.iter().find(spooled).map(|event| event.node), Some(0));
    assert!(world.job.is_some(), "it is of an older tip");
    let block = world.client.newest_work().unwrap().block(&solve(&new, 0));
    world.events.clear();
    world.client.handle_block(world.now, &block).unwrap();
    world.settle();
    assert_eq!(world.events.iter().find(spooled).map(|event| event.node), Some(1));
}

#[test]
fn rule_4_one_more_block_that_could_not_be_written_is_told_in_the_end_and_none_is_not() {
    for (blocks, words) in [(1, "could not be written"), (2, "one more block could not be")] {
        let mut world = World::new(vec![Core::new()]);
        world.disk_full = true;
        world.settle();
        for _ in 0..blocks {
            world.mine();
        }
        world.client.abandon();
        world.settle();
        assert_eq!(world.warnings().len(), blocks);
        assert!(world.warnings()[blocks - 1].contains(words), "{:?}", world.warnings());
    }
}

#[test]
fn i13_the_difference_of_the_clocks_is_that_of_the_newest_template() {
    let mut world = World::new(vec![Core::new()]);
    assert_eq!(world.client.clock_skew(0), None, "no template");
    world.settle();
    let time = u64::from(world.cores[0].clock);
    assert_eq!(world.client.clock_skew(time), None);
    assert_eq!(world.client.clock_skew(time + 7200), Some(-7200));
}

#[test]
fn rule_24_a_second_connection_during_the_question_for_the_chain_leads_to_another() {
    for (opened, asked) in [(1, 2), (2, 3)] {
        let mut world = World::with(never(1), vec![Core::new()]);
        world.settle();
        assert_eq!(world.cores[0].seen("getblockchaininfo"), 1);
        world.client.handle_connected(world.now, 0);
        let request = world.client.poll_request().expect("the chain is asked for");
        // The first may be the question's own.
        for _ in 0..opened {
            world.client.handle_connected(world.now, 0);
        }
        let answer = world.cores[0].answer(request.id, &request.call).unwrap();
        world.client.handle_answer(world.now, request.id, answer);
        world.settle();
        assert_eq!(world.cores[0].seen("getblockchaininfo"), asked, "{opened} connections");
    }
}

#[test]
fn rule_24_a_node_that_gives_no_work_gets_no_block_while_its_chain_is_not_named() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.settle();
    world.mine();
    assert_eq!(world.cores[1].height(), 1);
    world.pass(3);
    world.cores[1].hangs_at = vec!["getblockchaininfo"];
    world.mine();
    world.pass(20);
    assert_eq!(world.cores[1].height(), 1);
    assert_eq!(lost(&world, 1), [""; 0], "nobody waits for its work");
    world.cores[1].hangs_at.clear();
    world.pass(40);
    assert_eq!(world.cores[1].height(), 2);
}

#[test]
fn rule_4_a_node_that_hangs_again_after_another_trouble_is_told_of_again() {
    const SILENT: &str = "the node has not answered for 5 s";
    let mut world = World::with(never(1), vec![Core::new()]);
    world.settle();
    world.cores[0].hangs_at = vec!["getblockchaininfo", "getblocktemplate"];
    world.pass(12);
    assert_eq!(lost(&world, 0), [SILENT]);
    world.cores[0].trouble = Some(Trouble::Locked);
    world.cores[0].hangs_at.clear();
    world.pass(60);
    let told = lost(&world, 0).len();
    world.cores[0].hangs_at = vec!["getblockchaininfo"];
    world.pass(17);
    assert_eq!(lost(&world, 0).len(), told + 1, "{:?}", lost(&world, 0));
    assert_eq!(lost(&world, 0).last(), Some(&SILENT));
}

#[test]
fn a_job_says_whether_older_ones_are_worthless() {
    let mut world = World::with(never(1), vec![Core::new()]);
    world.settle();
    assert!(world.job.clone().unwrap().clean);
    // As many fees, and one transaction more.
    world.cores[0].template_extras = json!({"coinbasevalue": 5_000_001_234_u64});
    world.cores[0].transaction(0);
    world.pass(5);
    let job = world.job.clone().unwrap();
    assert!(!job.clean);
    world.cores[0].transaction(1);
    world.cores[0].proposal_says = Some(json!(null));
    world.pass(5);
    assert_ne!(world.job.clone().unwrap().id, job.id);
    world.cores[0].foreign_block();
    world.pass(5);
    assert!(world.job.clone().unwrap().clean);
}

#[test]
fn rule_21_a_node_that_has_become_quick_again_has_its_templates_checked_before_they_are_hashed() {
    let mut world = World::with(never(1), vec![Core::new()]);
    world.cores[0].hangs_at = vec!["proposal"];
    world.pass(40);
    assert!(world.job.is_some(), "too slow");
    world.cores[0].hangs_at.clear();
    world.pass(31);
    // One answer in time was given.
    world.cores[0].hangs_at = vec!["proposal"];
    world.cores[0].foreign_block();
    let old = world.job.clone().unwrap().height();
    let asked = world.cores[0].seen("proposal");
    for _ in 0..10 {
        if world.cores[0].seen("proposal") == asked {
            world.pass(1);
        }
    }
    world.pass(4);
    assert_eq!(world.job.clone().unwrap().height(), old, "it is being checked");
    world.pass(1);
    assert_eq!(world.job.clone().unwrap().height(), Some(2), "it takes too long");
}
