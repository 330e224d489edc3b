//! The link to nodes in virtual time, at scripted pairs of them: what is asked and told, when it
//! goes on at the other node, what is on disk, and when it ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::Duration;

use midstate_chain::Verdict;
use midstate_gbt::client::Config;
use midstate_net::{Happened, LinkEnd, LinkEvent};
use midstate_stratum::ShareOutcome;
use world::{Trouble, World, config};

/// Node and first words of what was told.
fn heads(told: &[(String, String)]) -> Vec<(&str, &str)> {
    told.iter().map(|(node, words)| (&**node, words.split(' ').next().unwrap())).collect()
}

fn position(told: &[(String, String)], node: &str, words: &str) -> usize {
    let found = told.iter().position(|(at, said)| at == node && said.contains(words));
    found.unwrap_or_else(|| panic!("{node}: {words:?} is not in {told:#?}"))
}

#[test]
fn a_block_is_written_then_sent_to_every_node_and_told_as_its_nodes() {
    let mut world = World::new(&["a", "b"], None);
    world.settle();
    let hash = world.mine();
    assert_eq!(world.disk.keys().collect::<Vec<_>>(), [&hash.to_string()]);
    for node in &world.nodes {
        assert_eq!(node.blocks.last(), Some(&hash));
    }
    let told = world.told();
    let expected = [
        ("a", "Connecting"),
        ("a", "Authorized"),
        ("a", "job"),
        ("a", "pause"),
        ("a", "Accepted"),
        ("a", "job"),
    ];
    assert_eq!(heads(&told), expected);
    // Six deep and seventy minutes old, its file is deleted.
    for _ in 0..6 {
        world.mine();
    }
    world.pass(10);
    assert!(world.disk.contains_key(&hash.to_string()));
    world.pass(70 * 60);
    world.mine();
    assert!(!world.disk.contains_key(&hash.to_string()));
}

#[test]
fn rule_20_every_event_names_its_node_through_a_failover_and_back() {
    let mut world = World::new(&["a", "b"], Some(8));
    world.pass(5);
    world.told();
    world.break_node(0, Trouble::Down);
    world.pass(40);
    let told = world.told();
    let lost = position(&told, "a", "connection refused");
    let moved = position(&told, "b", "Failover");
    let let_in = position(&told, "b", "Authorized");
    assert!(lost < let_in && let_in < moved, "{told:#?}");
    assert!(world.end.is_none(), "the second one serves, longer than the patience of 8 s");
    let hash = world.mine();
    assert_eq!(world.nodes[1].blocks.last(), Some(&hash));
    let told = world.told();
    position(&told, "b", "Accepted");
    position(&told, "a", "has not reached the node");
    assert!(told.iter().all(|(_, words)| !words.contains("Lost")), "{told:#?}");
    // Its own words change while the other one serves.
    world.break_node(0, Trouble::Starting);
    world.pass(90);
    assert!(world.end.is_none());
    position(&world.told(), "a", "Loading block index");
    world.nodes[0].trouble = None;
    world.pass(200);
    let told = world.told();
    assert_eq!(world.nodes[0].blocks.last(), Some(&hash), "it got what it lacked");
    let back = position(&told, "a", "Failover");
    assert!(told[..back].iter().all(|(node, words)| node != "a" || !words.starts_with("job")));
    world.mine();
    position(&world.told(), "a", "Accepted");
}

#[test]
fn rule_20_trouble_at_one_node_is_never_counted_against_another() {
    let mut world = World::new(&["a", "b"], Some(30));
    world.pass(5);
    world.break_node(0, Trouble::Down);
    world.pass(60);
    assert!(world.end.is_none());
    let gone = world.now;
    world.break_node(1, Trouble::Starting);
    world.pass(200);
    let Some(LinkEnd::Unreachable(words)) = &world.end else { panic!("{:?}", world.end) };
    assert!(words.contains("http://a: ") && words.contains("connection refused"), "{words}");
    assert!(words.contains("http://b: ") && words.contains("Loading block index"), "{words}");
    let waited = world.now - gone;
    assert!((30..=36).contains(&waited.as_secs()), "{waited:?}");

    // None at all from the start.
    let mut world = World::new(&["a"], Some(30));
    world.break_node(0, Trouble::Silent);
    world.pass(100);
    assert!(matches!(world.end, Some(LinkEnd::Unreachable(_))), "{:?}", world.end);
}

#[test]
fn two_nodes_that_are_away_are_asked_in_turn_with_pauses() {
    let mut world = World::new(&["a", "b"], None);
    world.pass(5);
    world.break_node(0, Trouble::Down);
    world.break_node(1, Trouble::Down);
    world.pass(20);
    world.told();
    let before = world.nodes.iter().map(|node| node.asked.len()).sum::<usize>();
    world.pass(600);
    let asked = world.nodes.iter().map(|node| node.asked.len()).sum::<usize>() - before;
    assert!((60..=140).contains(&asked), "{asked} calls in 600 s");
    assert_eq!(world.told(), [], "all has been told");
    world.nodes[1].trouble = None;
    world.pass(20);
    let told = world.told();
    assert!(position(&told, "b", "Authorized") < position(&told, "b", "Failover"));
}

#[test]
fn a_node_earns_trust_by_work_not_by_a_handshake() {
    // It gives templates, and refuses the blocks that we would make of them.
    let mut world = World::new(&["a", "b"], None);
    world.break_node(0, Trouble::RefusesProposals);
    world.pass(60);
    let told = world.told();
    position(&told, "a", "the node would refuse our block");
    position(&told, "b", "Failover");
    position(&told, "b", "job 1");
    // It gives templates, and does not answer proposals.
    let mut world = World::new(&["a", "b"], None);
    world.break_node(0, Trouble::NoProposals);
    world.pass(60);
    let told = world.told();
    let lost = told.iter().filter(|(node, words)| node == "a" && words.starts_with("Lost"));
    assert!(lost.count() <= 3, "{told:#?}");
    position(&told, "b", "Failover");
    position(&told, "b", "job 1");
    world.nodes[0].trouble = None;
    world.pass(200);
    position(&world.told(), "a", "Failover it has answered again for long enough");
}

#[test]
fn rule_5_who_has_work_of_a_node_is_never_given_up_whatever_was_before() {
    let mut world = World::new(&["a"], Some(30));
    // Three runs of templates end early.
    for _ in 0..3 {
        world.pass(10);
        world.break_node(0, Trouble::Down);
        world.pass(8);
        world.nodes[0].trouble = None;
    }
    world.pass(10);
    assert!(world.job.is_some());
    world.pass(50);
    assert_eq!(world.end, None, "it gives work");
    world.break_node(0, Trouble::Down);
    // Some seconds until it is noticed, then 30 s.
    world.pass(36);
    assert!(
        matches!(&world.end, Some(LinkEnd::Unreachable(reason)) if reason.contains("refused")),
        "{:?}",
        world.end
    );
}

#[test]
fn a_node_that_is_better_gets_the_work_back_after_a_minute_of_health_and_not_at_its_first_answer() {
    let mut world = World::new(&["a", "b"], None);
    world.pass(100);
    world.break_node(0, Trouble::Down);
    world.pass(20);
    position(&world.told(), "b", "Failover");
    // It comes and goes.
    for _ in 0..5 {
        world.nodes[0].trouble = None;
        world.pass(40);
        world.break_node(0, Trouble::Down);
        world.pass(15);
    }
    let told = world.told();
    assert!(told.iter().all(|(_, words)| !words.starts_with("Failover")), "{told:#?}");
    world.nodes[0].trouble = None;
    let back = world.now;
    while world.told().iter().all(|(_, words)| !words.starts_with("Failover")) {
        world.pass(1);
    }
    let waited = (world.now - back).as_secs();
    assert!((60..=75).contains(&waited), "{waited} s");
}

#[test]
fn a_node_that_is_behind_does_not_get_the_work_back_before_it_has_caught_up() {
    let mut world = World::new(&["a", "b"], None);
    world.pass(100);
    world.break_node(0, Trouble::Down);
    world.pass(20);
    for _ in 0..10 {
        world.mine();
        world.pass(5);
    }
    // It is back, and has lost touch with the other one: what it lacks is long buried there.
    world.told();
    world.nodes[0].trouble = None;
    world.nodes[0].refuses = Some("prev-blk-not-found");
    world.pass(200);
    assert!(world.told().iter().all(|(_, words)| !words.starts_with("Failover")));
    world.nodes[0].refuses = None;
    world.nodes[0].blocks = world.nodes[1].blocks.clone();
    world.pass(80);
    position(&world.told(), "a", "Failover");
}

#[test]
fn blocks_that_do_not_reach_a_node_are_told_once_until_one_does() {
    let mut world = World::new(&["a", "b"], None);
    world.settle();
    for _ in 0..2 {
        world.break_node(1, Trouble::Down);
        for _ in 0..20 {
            world.mine();
            world.pass(3);
        }
        let told = world.told();
        let late = told.iter().filter(|(_, words)| words.contains("has not reached the node"));
        assert_eq!(late.count(), 1, "{told:#?}");
        world.nodes[1].trouble = None;
        world.nodes[1].blocks = world.nodes[0].blocks.clone();
        world.mine();
        world.pass(20);
    }
}

#[test]
fn refused_by_all_is_final_and_by_one_is_not() {
    let mut world = World::new(&["a", "b"], None);
    world.break_node(0, Trouble::Locked);
    world.pass(30);
    assert!(world.end.is_none() && world.job.is_some());
    let mut world = World::new(&["a", "b"], None);
    world.break_node(0, Trouble::Locked);
    world.break_node(1, Trouble::Locked);
    world.pass(60);
    assert!(matches!(&world.end, Some(LinkEnd::Refused(words)) if words.contains("401")));

    let mut world = World::new(&["a"], None);
    world.nodes[0].chain = "main";
    world.pass(10);
    assert!(matches!(&world.end, Some(LinkEnd::Misconfigured(_))), "{:?}", world.end);
}

#[test]
fn i20_to_stop_waits_for_verdicts_for_some_seconds_and_the_rest_stays_on_disk() {
    // Nothing to wait for.
    let mut world = World::new(&["a"], None);
    world.settle();
    world.session.handle_stop(world.now);
    world.settle();
    assert_eq!(world.end, Some(LinkEnd::Stopped));

    let mut world = World::new(&["a"], Some(2));
    world.settle();
    world.break_node(0, Trouble::SilentOnBlocks);
    let hash = world.mine();
    let stopped = world.now;
    world.session.handle_stop(world.now);
    world.pass(60);
    assert_eq!(world.end, Some(LinkEnd::Stopped), "and not for want of patience");
    assert_eq!(world.now - stopped, Duration::from_secs(3));
    world.told();
    world.finish();
    let told = world.told();
    position(&told, "a", "Unresolved");
    assert_eq!(told.len(), 1, "one verdict: {told:#?}");
    assert_eq!(world.disk.get(&hash.to_string()), Some(&false), "for the next start");
}

#[test]
fn i8_a_full_disk_is_told_and_the_block_sent_all_the_same() {
    let mut world = World::new(&["a"], None);
    world.disk_is_full = true;
    world.settle();
    world.told();
    let hash = world.mine();
    assert_eq!(world.nodes[0].blocks.last(), Some(&hash));
    let told = world.told();
    assert!(position(&told, "a", "no space left") < position(&told, "a", "Accepted"));
}

#[test]
fn rule_4_files_that_cannot_be_removed_are_told_once_and_then_counted() {
    let mut world = World::new(&["a"], None);
    world.settle();
    world.is_read_only = true;
    for _ in 0..70 {
        world.mine();
    }
    let about_files = |world: &mut World| -> Vec<String> {
        let told = world.told().into_iter().map(|(_, words)| words);
        told.filter(|words| words.contains("spool")).collect()
    };
    let told = about_files(&mut world);
    let [first] = &told[..] else { panic!("{told:#?}") };
    assert!(first.contains("(/spool/regtest: permission denied)"), "{first}");
    assert!(first.ends_with("let this user read and write there, or name another directory"));
    world.pass(60);
    world.mine();
    world.mine();
    let told = about_files(&mut world);
    let [count] = &told[..] else { panic!("{told:#?}") };
    assert!(count.ends_with("6 more files could not be removed from the spool"), "{count}");
    // The rest is told in the end, and trouble after a success is news.
    world.session.tell_rest();
    world.settle();
    assert_eq!(about_files(&mut world).len(), 1);
    for is_read_only in [true, false, true] {
        world.is_read_only = is_read_only;
        world.mine();
    }
    let told = about_files(&mut world);
    assert_eq!(told.iter().filter(|words| words.contains("cannot be removed")).count(), 2);
}

#[test]
fn a_refused_block_is_kept_as_evidence_and_a_block_of_an_earlier_run_is_told_as_such() {
    let mut world = World::new(&["a"], None);
    world.settle();
    world.nodes[0].refuses = Some("high-hash");
    let hash = world.mine();
    position(&world.told(), "a", "Rejected high-hash");
    assert_eq!(world.disk.get(&hash.to_string()), Some(&true));

    let mut first = World::new(&["a"], None);
    first.settle();
    first.break_node(0, Trouble::SilentOnBlocks);
    first.mine();
    // The run ends without a verdict; the next one finds the block on disk.
    let mut world = World::new(&["a"], None);
    world.left = first.written;
    world.settle();
    let told = world.told();
    position(&told, "a", "of an earlier run: is accepted");
    assert_eq!(world.nodes[0].blocks.len(), 2);
}

#[test]
fn a_pool_gets_templates_and_its_blocks_are_told_without_a_share() {
    let mut world = World::with(&["a"], None, Config { extranonce1: Vec::new(), ..config() }, true);
    world.settle();
    assert_eq!(world.templates.len(), 1);
    assert_eq!(world.templates[0].height, 1);
    assert!(world.job.is_none(), "its miners get the jobs from the pool");
    assert!(world.events.iter().all(|event| !matches!(event.what, Happened::Job { .. })));
}

#[test]
fn a_clock_that_is_wrong_is_told_once() {
    let mut world = World::new(&["a", "b"], None);
    world.clock_skew = 1800;
    world.pass(100);
    let told = world.told();
    let skewed = told.iter().filter(|(_, words)| words.contains("1800 s ahead of ours"));
    assert_eq!(skewed.count(), 1, "{told:#?}");
}

#[test]
fn every_share_has_exactly_one_verdict_whatever_happens_to_the_nodes() {
    let troubles = [
        None,
        Some(Trouble::Down),
        Some(Trouble::Silent),
        Some(Trouble::Starting),
        Some(Trouble::SilentOnBlocks),
    ];
    let mut state = 7u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    for _ in 0..40 {
        let mut world = World::new(&["a", "b"], None);
        world.settle();
        let (mut given, mut verdicts) = (0, 0);
        for _ in 0..12 {
            let node = random(2) as usize;
            match troubles[random(5) as usize] {
                Some(trouble) => world.break_node(node, trouble),
                None => world.nodes[node].trouble = None,
            }
            if world.job.is_some() {
                world.mine();
                given += 1;
            }
            world.pass(random(40));
        }
        world.session.handle_stop(world.now);
        world.pass(10);
        assert_eq!(world.end, Some(LinkEnd::Stopped));
        world.finish();
        for event in &world.events {
            if let Happened::Verdict(ShareOutcome { verdict, share, .. }) = &event.what {
                verdicts += 1;
                let hash = share.hash.to_string();
                let is_unresolved = *verdict == Verdict::Unresolved;
                assert!(!is_unresolved || world.disk.contains_key(&hash), "{hash} is lost");
            }
        }
        assert_eq!(given, verdicts);
    }
}

#[test]
fn rule_25_a_refused_block_comes_with_the_cause_of_the_nodes_word() {
    let mut world = World::new(&["a"], None);
    world.settle();
    world.nodes[0].refuses = Some("bad-cb-amount");
    world.mine();
    world.pass(1);
    let outcome = |event: &LinkEvent| match &event.what {
        Happened::Verdict(outcome) => Some((outcome.reason.clone(), outcome.advice)),
        _ => None,
    };
    let (reason, advice) = world.events.iter().find_map(outcome).unwrap();
    // The word alone, for programs.
    assert_eq!(reason.as_deref(), Some("bad-cb-amount"));
    assert!(advice.unwrap().contains("takes more than reward and fees"), "{advice:?}");
}
