//! Which chain a node is on, and what happens when that changes, in virtual time: the first word of
//! a node is final, and a later one is not.

mod support;

use midstate_chain::{Network, Verdict};
use midstate_failover::Service;
use midstate_gbt::client::{Config, Fatal, NodeEvent, NodeNews, NodeState};
use serde_json::json;
use support::{Core, World, config};

fn fatal(world: &World) -> Option<&Fatal> {
    let fatal = |event: &'_ NodeEvent| matches!(event.what, NodeNews::Fatal(_));
    let event = world.events.iter().find(|event| fatal(event))?;
    match &event.what {
        NodeNews::Fatal(fatal) => Some(fatal),
        _ => None,
    }
}

/// Why this node was lost.
fn lost(world: &World, node: usize) -> Vec<&str> {
    let mut reasons = Vec::new();
    for event in world.events.iter().filter(|event| event.node == node) {
        if let NodeNews::Node { state: NodeState::Lost, reason } = &event.what {
            reasons.push(reason.as_deref().expect("a lost node has a reason"));
        }
    }
    reasons
}

fn signet() -> Core {
    Core { chain: "signet".to_owned(), ..Core::new() }
}

#[test]
fn rule_5_a_node_that_comes_back_on_another_chain_is_told_as_that_and_may_come_back_once_more() {
    for chain in [None, Some(Network::Regtest)] {
        let mut world = World::with(Config { chain, ..config(1) }, vec![Core::new()]);
        world.settle();
        world.mine();
        world.pass(3);
        let share = world.solve();
        let own = Core { fresh: true, ..std::mem::replace(&mut world.cores[0], Core::new()) };
        world.swap(0, signet());
        world.client.handle_share(world.now, &share).unwrap();
        world.pass(100);
        let words = match chain {
            None => "the node is on signet, and was on regtest: another one has taken its place",
            Some(_) => "the node is on signet, but --chain says regtest",
        };
        let told = lost(&world, 0);
        assert_eq!(told.iter().filter(|told| told.starts_with(words)).count(), 1, "{told:?}");
        assert_eq!(fatal(&world), None, "it gave work before");
        assert!(world.cores[0].seen("getblockchaininfo") <= 14, "asked with pauses");
        assert_eq!(world.cores[0].seen("submitblock") + world.cores[0].seen("getblockheader"), 0);
        assert_eq!(world.client.service(world.now), Service::None, "--give-up counts");
        let troubles: Vec<_> = world.client.troubles().collect();
        assert!(troubles[0].1.starts_with(words), "{troubles:?}");

        // The right one is back: it gets the block that was solved meanwhile, and gives work.
        world.stop(0);
        world.cores[0] = own;
        world.pass(12);
        assert!(world.cores[0].has(&share.hash));
        assert_eq!(world.job.clone().unwrap().height(), Some(3));
        world.mine();
        assert_eq!(world.verdicts(), [Verdict::Accepted; 3]);
    }
}

#[test]
fn rule_20_a_node_that_comes_back_on_another_chain_hands_over_at_once() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.pass(70);
    // Nothing breaks: something in between asks another one from now on.
    let own = std::mem::replace(&mut world.cores[0], Core { fresh: true, ..signet() });
    world.events.clear();
    world.pass(6);
    assert_eq!(
        world.states(),
        [(0, NodeState::Lost), (1, NodeState::Connected), (1, NodeState::Active),]
    );
    assert!(world.job.is_some());
    // And gets the work back when it is itself again.
    world.stop(0);
    world.cores[0] = Core { fresh: true, ..own };
    world.pass(90);
    assert_eq!(world.states().last(), Some(&(0, NodeState::Active)));
}

#[test]
fn rule_5_the_first_word_of_a_node_is_final_and_names_the_chains() {
    let mut world = World::new(vec![signet()]);
    world.pass(10);
    let Some(Fatal::WrongChain(words)) = fatal(&world) else { panic!("{:?}", world.events) };
    assert!(words.starts_with("the node is on signet: address "), "{words}");
    // One of two is out for good, and the other goes on.
    let mut world = World::new(vec![Core::new(), signet()]);
    world.settle();
    world.stop(0);
    world.pass(60);
    world.cores[0].trouble = None;
    world.pass(30);
    assert_eq!(fatal(&world), None);
    assert_eq!(
        lost(&world, 1),
        ["the node is on signet, but the first node that answered is on \
                                  regtest"]
    );
    assert_eq!(world.cores[1].seen("getblockchaininfo"), 1);
    assert!(world.job.is_some());
}

#[test]
fn rule_25_a_template_that_cannot_be_mined_is_final_as_a_first_word_alone() {
    for extras in [
        json!({"rules": ["csv", "!segwit", "!fork2030"]}),
        json!({"coinbaseaux": {"x": "00".repeat(90)}}),
        json!({"coinbasevalue": null}),
    ] {
        let mut world = World::new(vec![Core::new()]);
        world.cores[0].template_extras = extras.clone();
        world.pass(10);
        assert!(matches!(fatal(&world), Some(Fatal::Unusable(_))), "{extras}");

        let mut world = World::new(vec![Core::new()]);
        world.settle();
        world.cores[0].template_extras = extras.clone();
        world.cores[0].foreign_block();
        world.pass(30);
        assert_eq!(fatal(&world), None, "{extras}");
        assert_eq!(lost(&world, 0).len(), 1, "{extras}: {:?}", lost(&world, 0));
        world.cores[0].template_extras = json!({});
        world.pass(11);
        assert_eq!(world.job.clone().unwrap().height(), Some(2), "{extras}");
    }
}

#[test]
fn rule_20_a_template_without_room_for_a_coinbase_leads_to_the_next_node() {
    for up in [0, 3, 100] {
        let mut world = World::new(vec![Core::new(), Core::new()]);
        let no_room = json!({"weightlimit": 400});
        match up {
            0 => world.cores[0].template_extras = no_room.clone(),
            _ => world.pass(up),
        }
        world.cores[0].template_extras = no_room;
        world.cores[0].foreign_block();
        world.events.clear();
        world.pass(12);
        assert_eq!(lost(&world, 0).len(), 1, "up {up}: {:?}", lost(&world, 0));
        assert!(lost(&world, 0)[0].contains("weight"), "{:?}", lost(&world, 0));
        let again = (0, NodeState::Connected);
        assert!(!world.states().contains(&again), "up {up}: {:?}", world.states());
        assert!(world.states().contains(&(1, NodeState::Active)), "up {up}: {:?}", world.states());
    }
}
