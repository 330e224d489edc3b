//! A node that stops to answer, or refuses us, beside one that serves, in virtual time.

mod support;

use midstate_gbt::client::{NodeEvent, NodeNews, NodeState};
use support::{Core, Trouble, World};

/// Why a node was lost, or work went to another one.
fn reasons(world: &World, wanted: (usize, NodeState)) -> Vec<&str> {
    let reason = |event: &'_ NodeEvent| match &event.what {
        NodeNews::Node { state, .. } => (event.node, *state) == wanted,
        _ => false,
    };
    let events = world.events.iter().filter(|event| reason(event));
    let words = events.filter_map(|event| match &event.what {
        NodeNews::Node { reason, .. } => reason.as_deref(),
        _ => None,
    });
    words.collect()
}

#[test]
fn rule_5_a_node_that_hangs_from_the_start_has_a_reason_before_it_is_told_of() {
    for first in ["getblockchaininfo", "getblocktemplate"] {
        let mut world = World::new(vec![Core { hangs_at: vec![first], ..Core::new() }]);
        world.pass(3);
        let troubles: Vec<_> = world.client.troubles().collect();
        assert_eq!(troubles, [(0, "the node has not answered yet")], "{first}");
        world.pass(3);
        let troubles: Vec<_> = world.client.troubles().collect();
        assert_eq!(troubles, [(0, "the node has not answered for 5 s")], "{first}");
    }
}

#[test]
fn rule_21_a_node_that_hangs_is_told_and_the_next_one_gives_work_within_ten_seconds() {
    // From the start, soon after it, and when it has proved itself.
    for up in [0, 7, 100] {
        let mut world = World::new(vec![Core::new(), Core::new()]);
        let all = ["getblockchaininfo", "getblocktemplate", "proposal", "longpoll"];
        let hang = |world: &mut World| world.cores[0].hangs_at = all.to_vec();
        if up > 0 {
            world.pass(up);
            assert!(world.job.is_some());
        }
        hang(&mut world);
        // Another miner's block: work of its own.
        world.cores[1].foreign_block();
        world.events.clear();
        world.pass(11);
        assert_eq!(reasons(&world, (0, NodeState::Lost)), ["the node has not answered for 5 s"]);
        let active = (1, NodeState::Active);
        assert_eq!(reasons(&world, active), ["the node has not answered for 5 s"], "up {up} s");
        let job = |event: &NodeEvent| event.node == 1 && matches!(event.what, NodeNews::Job { .. });
        assert!(world.events.iter().any(job), "up {up} s: no job");
    }
}

#[test]
fn rule_23_a_node_that_refuses_us_is_asked_with_pauses_however_many_blocks_there_are() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.cores[1].trouble = Some(Trouble::Locked);
    world.settle();
    let asked = world.cores[1].seen("getblockchaininfo");
    for _ in 0..80 {
        world.mine();
        world.now += std::time::Duration::from_millis(100);
        world.client.handle_timeout(world.now);
        world.settle();
    }
    let asked = world.cores[1].seen("getblockchaininfo") - asked;
    assert!(asked <= 6, "{asked} questions in 8 s");
    assert_eq!(world.cores[0].height(), 80);
}

#[test]
fn rule_5_a_refused_proposal_is_the_reason_of_the_failover() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.cores[0].refuse_proposals = Some("bad-txns");
    world.pass(60);
    let reasons = reasons(&world, (1, NodeState::Active));
    let [reason] = &reasons[..] else { panic!("{reasons:?}") };
    assert!(reason.starts_with("the node would refuse our block: bad-txns: a tra"), "{reason}");
}

#[test]
fn rule_4_a_node_that_hangs_for_ever_is_told_of_twice() {
    // Nothing is answered, or templates alone are not.
    for hangs in [["getblockchaininfo", "getblocktemplate"], ["-", "getblocktemplate"]] {
        let mut world = World::new(vec![Core::new()]);
        world.cores[0].hangs_at = hangs.to_vec();
        world.pass(1_000);
        let told = reasons(&world, (0, NodeState::Lost));
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[0], "the node has not answered for 5 s");
        assert!(told[1].contains("nothing came within 30 s"), "{told:?}");
        // It comes back, and hangs once more: that is news.
        world.cores[0].hangs_at.clear();
        world.pass(60);
        assert!(world.job.is_some());
        world.cores[0].hangs_at = vec!["getblocktemplate", "longpoll"];
        world.events.clear();
        world.pass(45);
        assert_eq!(reasons(&world, (0, NodeState::Lost))[0], "the node has not answered for 5 s");
    }
}

#[test]
fn i8_a_block_waits_for_seconds_when_a_node_that_refused_us_comes_back() {
    // The only node, with a block of the job at hand; and one that gives no work, beside another.
    for nodes in [1, 2] {
        for away in [1, 2, 5, 20, 300] {
            let mut world = World::new((0..nodes).map(|_| Core::new()).collect());
            world.settle();
            let node = nodes - 1;
            world.cores[node].trouble = Some(Trouble::Locked);
            world.pass(away);
            if nodes == 1 {
                world.cores[0].trouble = Some(Trouble::Down);
            }
            let hash = world.mine();
            world.pass(away);
            world.cores[node].trouble = None;
            world.pass(if nodes == 2 { 2 } else { 10 });
            world.pass(11);
            assert!(world.cores[node].has(&hash), "{nodes} nodes, away for {away} s");
        }
    }
}

#[test]
fn a_node_that_refuses_us_does_not_hold_up_the_end() {
    for trouble in [Trouble::Down, Trouble::Locked] {
        let mut world = World::new(vec![Core::new(), Core::new()]);
        world.cores[1].trouble = Some(trouble);
        world.settle();
        for _ in 0..30 {
            world.mine();
            world.pass(1);
        }
        world.mine();
        world.client.finish(world.now);
        world.settle();
        assert!(world.client.is_settled(), "{trouble:?}");
    }
}

#[test]
fn rule_21_a_template_that_comes_over_a_new_connection_after_a_wait_broke_is_used() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    assert_eq!(world.cores[0].longpolls.len(), 1);
    // The next template is being made when the wait breaks, and comes over a new connection.
    world.cores[0].hangs_at = vec!["getblocktemplate"];
    world.pass(6);
    let (id, _) = world.hanging.pop().expect("a template is asked for");
    world.cores[0].hangs_at.clear();
    world.stop(0);
    world.cores[0].trouble = None;
    world.client.handle_connected(world.now, 0);
    world.cores[0].foreign_block();
    let template = support::result(&world.cores[0].template());
    world.client.handle_answer(world.now, id, Ok(template));
    world.settle();
    assert_eq!(world.job.clone().unwrap().height(), Some(2), "{:?}", world.events.last());
    let asked = world.cores[0].seen("getblocktemplate");
    world.pass(40);
    assert!(world.cores[0].seen("getblocktemplate") > asked, "it is asked on");
}
