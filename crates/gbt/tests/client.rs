//! The client against nodes in memory, in virtual time.

mod support;

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Network, Share, Verdict};
use midstate_gbt::client::{Config, Fatal, Ledger, NodeEvent, NodeNews, NodeState, NotSent};
use midstate_gbt::rpc::NoAnswer;
use proptest::prelude::*;
use serde_json::json;
use support::{Core, Trouble, World, config, solve};

#[test]
fn two_hundred_blocks_in_a_row_each_spooled_before_it_is_sent() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    for height in 1..=200 {
        world.mine();
        assert_eq!(world.cores[0].height(), height, "{:?}", world.warnings());
    }
    assert_eq!(world.client.ledger(), Ledger { found: 200, accepted: 200, ..Ledger::default() });
    assert!(world.sent.iter().all(|&(_, _, spooled)| spooled));
    assert_eq!(world.sent.len(), 200, "nothing is sent twice");
    // Every template was checked before it was mined; the tip's long poll brought it at once.
    assert_eq!(world.cores[0].seen("proposal"), 201);
    assert_eq!(world.now, Duration::from_secs(1000));
    assert_eq!(world.spool.len(), 64, "a node that crashes forgets many of them");
    assert_eq!(world.warnings(), [""; 0]);
}

#[test]
fn only_the_first_block_of_a_tip_is_sent() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    let job = world.job.clone().unwrap();
    let sibling = solve(&job, 1);
    // While the first one is on its way, and after it was accepted.
    world.stop(0);
    world.mine();
    assert_eq!(world.client.handle_share(world.now, &sibling), Err(NotSent::Sibling));
    world.settle();
    world.cores[0].trouble = None;
    world.pass(5);
    assert_eq!(world.client.handle_share(world.now, &sibling), Err(NotSent::Sibling));
    world.settle();
    assert_eq!(world.client.ledger(), Ledger { found: 1, accepted: 1, ..Ledger::default() });
    assert_eq!(world.cores[0].height(), 1);
    assert_eq!(world.job.clone().unwrap().height(), Some(2), "and mining was not stopped by it");
}

#[test]
fn what_is_not_sent_is_told_from_what_came_second() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    let job = world.job.clone().unwrap();
    let mut shares = (0..).map(|nonce| Share { nonce, ..solve(&job, 0) });
    let no_block = shares.find(|share| !job.network_target.is_met_by(&share.header().hash()));
    let no_block = no_block.unwrap();
    assert_eq!(world.client.handle_share(world.now, &no_block), Err(NotSent::Unsolved));
    let unknown = Arc::new(Job { id: "unknown".to_owned(), ..(*job).clone() });
    let foreign = solve(&unknown, 0);
    assert_eq!(world.client.handle_share(world.now, &foreign), Err(NotSent::Foreign));
    assert_eq!(world.client.handle_block(world.now, &[0; 79]), Err(NotSent::Unreadable));
    // None of them is in the way of a block.
    world.mine();
    assert_eq!(world.verdicts(), [Verdict::Accepted]);
}

#[test]
fn i7_a_block_on_a_tip_that_is_no_more_is_sent_without_stopping_the_work() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    let stale = world.solve();
    world.cores[0].foreign_block();
    world.settle();
    world.client.handle_share(world.now, &stale).unwrap();
    world.settle();
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.verdicts(), [Verdict::Unresolved]);
    assert_eq!(world.job.clone().unwrap().height(), Some(2));
}

#[test]
fn i8_a_node_killed_between_solving_and_submitting_gets_the_block_when_it_is_back() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.stop(0);
    world.mine();
    let asked = world.cores[0].seen("getblockchaininfo");
    world.pass(30);
    assert_eq!(world.sent, [], "a node that is away is asked for its chain, and sent nothing");
    let asked = world.cores[0].seen("getblockchaininfo") - asked;
    assert!((5..=10).contains(&asked), "after 1, 2, 5, then every 10 s: {asked}");
    world.cores[0].trouble = None;
    world.pass(10);
    assert_eq!(world.verdicts(), [Verdict::Accepted]);
    assert_eq!(world.cores[0].height(), 1);
    assert!(world.job.is_some(), "mining goes on");
}

#[test]
fn i8_an_answer_that_is_lost_leads_to_duplicate_which_is_accepted() {
    // At a node whose templates do not tell: the second one.
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.settle();
    world.cores[1].mute_submit = true;
    world.mine();
    world.cores[1].mute_submit = false;
    world.pass(30);
    assert_eq!(world.verdicts(), [Verdict::Accepted]);
    let to_second = world.sent.iter().filter(|&&(node, ..)| node == 1).count();
    assert_eq!(to_second, 2);
    let [warning] = world.warnings()[..] else { panic!("{:?}", world.warnings()) };
    assert!(warning.starts_with("no verdict on block "), "{warning}");
    assert!(warning.contains("which the node may have: connection reset"), "{warning}");
    assert!(world.client.is_settled());
}

#[test]
fn i8_a_template_on_top_of_a_block_is_an_answer_before_the_next_job() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.cores[0].mute_submit = true;
    world.events.clear();
    world.mine();
    assert_eq!(world.verdicts(), [Verdict::Accepted]);
    let at = |wanted: fn(&NodeEvent) -> bool| world.events.iter().position(wanted).unwrap();
    let verdict = at(|event| matches!(event.what, NodeNews::Block(_)));
    let next_job = at(|event| matches!(event.what, NodeNews::Job { height: 2, .. }));
    assert!(verdict < next_job, "{:?}", world.events);
    world.pass(60);
    assert_eq!(world.sent.len(), 1, "nothing is sent again");
}

#[test]
fn whoever_waits_for_an_answer_is_not_woken_before_it_comes() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    // A plain fetch goes out, and hangs.
    world.now = world.client.poll_timeout().unwrap();
    world.client.handle_timeout(world.now);
    let hanging = world.client.poll_request().unwrap();
    // Meanwhile the long poll brings a template, which is out of date when it is checked.
    world.cores[0].refuse_proposals = Some("inconclusive-not-best-prevblk");
    world.cores[0].foreign_block();
    world.settle();
    assert_eq!(world.cores[0].seen("proposal"), 2);
    assert!(world.client.poll_timeout().is_none_or(|at| at > world.now), "a caller would spin");
    // The fetch that was due comes right behind the answer.
    world.client.handle_answer(
        world.now,
        hanging.id,
        Err(NoAnswer::TimedOut("nothing came".to_owned())),
    );
    assert!(world.client.poll_timeout().is_some_and(|at| at > world.now));
}

#[test]
fn one_block_and_no_more_is_a_pace_too() {
    let config = Config { block_interval: Duration::MAX, ..config(1) };
    let mut world = World::with(config, vec![Core::new()]);
    world.settle();
    world.mine();
    world.pass(600);
    assert_eq!(world.verdicts(), [Verdict::Accepted]);
    assert!(world.job.is_none());
}

#[test]
fn work_that_is_held_wakes_nobody_who_asks_for_no_more() {
    let pace = Duration::from_secs(10);
    let config = Config { block_interval: pace, ..config(1) };
    let mut world = World::with(config, vec![Core::new()]);
    world.settle();
    world.mine();
    world.client.finish(world.now);
    world.now += pace;
    world.client.handle_timeout(world.now);
    assert!(world.client.poll_timeout().is_none_or(|at| at > world.now), "a caller would spin");
}

#[test]
fn i8_a_refused_block_is_never_sent_again_and_mining_goes_on_without_haste() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.cores[0].refuse_blocks = Some("high-hash");
    let hash = world.mine();
    assert_eq!(world.verdicts(), [Verdict::Rejected]);
    assert!(world.told(&NodeNews::Unspool { hash, refused: true }));
    assert!(world.job.is_none());
    world.pass(60);
    assert_eq!(world.sent.len(), 1);
    assert!(world.job.is_some());
    world.cores[0].refuse_blocks = None;
    world.mine();
    assert_eq!(world.cores[0].height(), 1);
}

#[test]
fn i8_a_full_disk_is_said_and_the_block_sent_all_the_same() {
    let mut world = World::new(vec![Core::new()]);
    world.disk_full = true;
    world.settle();
    world.mine();
    assert_eq!(world.verdicts(), [Verdict::Accepted]);
    assert!(world.warnings()[0].contains("no space left on device"));
}

#[test]
fn i8_every_node_gets_every_block() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.settle();
    for _ in 0..3 {
        world.mine();
    }
    assert_eq!([world.cores[0].height(), world.cores[1].height()], [3, 3]);
    assert_eq!(world.verdicts(), [Verdict::Accepted; 3]);
}

#[test]
fn i8_a_block_of_an_earlier_run_is_sent_only_to_a_node_that_lacks_it() {
    let mut first = World::new(vec![Core::new()]);
    first.settle();
    first.mine();
    let file = first.spool.into_values().next().unwrap();

    let mut knows = World::new(first.cores);
    knows.client.replay(knows.now, file.clone(), Duration::ZERO);
    knows.settle();
    assert!(knows.sent.is_empty());

    let mut forgot = World::new(vec![Core::new()]);
    forgot.client.replay(forgot.now, file, Duration::ZERO);
    forgot.settle();
    assert_eq!(forgot.sent.len(), 1);
    assert_eq!(forgot.cores[0].height(), 1);
    assert_eq!(forgot.client.ledger(), Ledger::default(), "not of this run");
}

#[test]
fn i8_a_node_that_forgot_a_block_in_a_crash_gets_it_again() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.mine();
    world.mine();
    // It comes back as it was on disk: without our second block.
    world.stop(0);
    let lost = world.cores[0].best.pop().unwrap();
    world.cores[0].blocks.remove(&lost);
    world.cores[0].trouble = None;
    world.pass(5);
    assert_eq!(world.cores[0].height(), 2);
    assert_eq!(world.client.ledger().accepted, 2);
    assert_eq!(world.sent.len(), 3);
}

#[test]
fn a_lost_race_is_told_from_acceptance() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    let share = world.solve();
    world.cores[0].foreign_block();
    world.client.handle_share(world.now, &share).unwrap();
    world.settle();
    assert_eq!(world.verdicts(), [Verdict::Unresolved]);
    assert_eq!(world.client.ledger(), Ledger { found: 1, overtaken: 1, ..Ledger::default() });
    assert_eq!(world.client.ledger().unresolved(), 0);
    let mut whats = world.events.iter().map(|event| &event.what);
    let Some(NodeNews::Block(outcome)) = whats.find(|what| matches!(what, NodeNews::Block(_)))
    else {
        panic!("no verdict")
    };
    assert!(outcome.reason.as_ref().unwrap().starts_with("inconclusive"));
    // Work goes on on the other's block.
    assert_eq!(world.job.clone().unwrap().height(), Some(2));
}

#[test]
fn i8_a_reorganisation_under_the_miner_is_told_with_the_next_tip() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.mine();
    world.mine();
    // Another branch overtakes both.
    world.cores[0].best.truncate(1);
    for _ in 0..3 {
        world.cores[0].foreign_block();
    }
    world.settle();
    assert_eq!(world.job.clone().unwrap().height(), Some(4));
    assert_eq!(world.client.ledger(), Ledger { found: 2, overtaken: 2, ..Ledger::default() });
    assert!(world.client.is_settled());
}

#[test]
fn after_invalidateblock_the_old_tip_is_mined_again() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.mine();
    world.cores[0].best.pop();
    world.settle();
    let job = world.job.clone().unwrap();
    assert_eq!(job.height(), Some(1));
    world.client.handle_share(world.now, &solve(&job, 1)).unwrap();
    world.settle();
    assert_eq!(world.cores[0].height(), 1);
}

#[test]
fn a_second_node_takes_over_and_gives_back() {
    let mut world = World::new(vec![Core::new(), Core::new()]);
    world.settle();
    world.stop(0);
    world.pass(10);
    assert!(world.states().contains(&(1, NodeState::Active)));
    world.mine();
    assert_eq!(world.cores[1].height(), 1);
    world.cores[0].trouble = None;
    world.pass(130);
    assert_eq!(world.states()[..2], [(0, NodeState::Connected), (0, NodeState::Lost)]);
    let back = [(0, NodeState::Connected), (0, NodeState::Active)];
    assert!(world.states().ends_with(&back), "{:?}", world.states());
    // The blocks that were mined meanwhile reached the first node, too.
    assert_eq!(world.cores[0].height(), 1);
}

#[test]
fn fees_alone_bring_a_new_job_without_a_new_tip() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    let before = world.job.clone().unwrap();
    world.cores[0].transaction(1);
    world.pass(31);
    let after = world.job.clone().unwrap();
    assert_eq!(after.prev_hash, before.prev_hash);
    assert!(!after.clean);
    assert_ne!(after.branch, before.branch);
    // A block of the older job is still a block.
    world.cores[0].mempool.clear();
    world.client.handle_share(world.now, &solve(&before, 0)).unwrap();
    world.settle();
    assert_eq!(world.verdicts(), [Verdict::Accepted]);
}

#[test]
fn blocks_carry_the_mempool_and_its_fees() {
    let mut world = World::new(vec![Core::new()]);
    for number in 0..7 {
        world.cores[0].transaction(number);
    }
    world.settle();
    world.mine();
    let block = &world.cores[0].blocks[&world.cores[0].tip()];
    assert_eq!(block.txdata.len(), 8);
    assert_eq!(block.txdata[0].output[0].value.to_sat(), 5_000_000_000 + 7 * 1_234);
}

#[test]
fn a_refused_proposal_is_not_mined_and_said_once() {
    let mut world = World::new(vec![Core::new()]);
    world.cores[0].refuse_proposals = Some("bad-cb-amount");
    world.pass(60);
    assert!(world.job.is_none());
    assert_eq!(world.warnings().len(), 1, "{:?}", world.warnings());
    assert!(world.warnings()[0].contains("bad-cb-amount"));
    world.cores[0].refuse_proposals = None;
    world.pass(5);
    assert!(world.job.is_some());
}

#[test]
fn a_node_without_proposals_is_mined_at_all_the_same() {
    let mut world = World::new(vec![Core::new()]);
    world.cores[0].template_extras = json!({"capabilities": []});
    world.settle();
    assert!(world.job.is_some());
    assert_eq!(world.cores[0].seen("proposal"), 0);
}

#[test]
fn without_long_poll_the_node_is_asked_every_5_seconds() {
    let mut world = World::new(vec![Core::new()]);
    world.cores[0].template_extras = json!({"longpollid": null});
    world.settle();
    world.pass(59);
    assert_eq!(world.cores[0].seen("getblocktemplate"), 12);
    world.cores[0].foreign_block();
    world.pass(5);
    assert_eq!(world.job.clone().unwrap().height(), Some(2));
}

#[test]
fn a_long_poll_that_breaks_at_once_gives_way_to_polling() {
    // The connection breaks, or a web server in front of the node has no patience.
    for status in [0, 502, 504] {
        let mut world = World::new(vec![Core::new()]);
        world.cores[0].cuts_longpolls = Some(status);
        world.pass(120);
        assert!(world.warnings()[0].contains("long polling does not work"));
        assert_eq!(world.cores[0].seen("longpoll"), 3);
        assert!((20..40).contains(&world.cores[0].seen("getblocktemplate")));
        let lost =
            |event: &NodeEvent| matches!(event.what, NodeNews::Node { state: NodeState::Lost, .. });
        assert!(!world.events.iter().any(lost), "{status}: the node itself is well");
    }
}

#[test]
fn a_long_poll_that_went_deaf_costs_half_a_minute_not_more() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.cores[0].deaf = true;
    world.cores[0].foreign_block();
    world.pass(31);
    assert_eq!(world.job.clone().unwrap().height(), Some(2));
    // And a fresh one takes its place.
    world.cores[0].deaf = false;
    world.pass(10);
    assert_eq!(world.cores[0].seen("longpoll"), 2);
}

#[test]
fn troubles_of_a_node_are_said_once_with_the_cure_and_waited_out() {
    for (code, words, cure) in [
        (-9, "Bitcoin Core is not connected!", "no work without peers"),
        (-10, "Bitcoin Core is in initial sync and waiting for blocks...", "caught up"),
        (-28, "Loading block index…", "it is starting"),
        (-1, "TestBlockValidity failed: time-too-new, block too far ahead", "check both clocks"),
    ] {
        let mut world = World::new(vec![Core::new()]);
        world.cores[0].trouble = Some(Trouble::Says(code, words));
        world.pass(60);
        let reasons: Vec<_> = world
            .events
            .iter()
            .filter_map(|event| match &event.what {
                NodeNews::Node { state: NodeState::Lost, reason, .. } => reason.as_ref(),
                _ => None,
            })
            .collect();
        assert_eq!(reasons.len(), 1);
        assert!(reasons[0].contains(words) && reasons[0].contains(cure), "{}", reasons[0]);
        world.cores[0].trouble = None;
        world.pass(10);
        assert!(world.job.is_some());
    }
}

fn fatal(config: Config, core: Core) -> Fatal {
    let mut world = World::with(config, vec![core]);
    world.pass(10);
    assert!(world.job.is_none());
    let fatal = world.events.into_iter().find_map(|event| match event.what {
        NodeNews::Fatal(fatal) => Some(fatal),
        _ => None,
    });
    fatal.expect("a fatal event")
}

#[test]
fn what_waiting_does_not_cure_is_fatal() {
    let mut core = Core::new();
    core.trouble = Some(Trouble::Locked);
    assert!(
        matches!(fatal(config(1), core), Fatal::Unauthorized(words) if words.contains(".cookie"))
    );

    let mut core = Core::new();
    core.chain = "main".to_owned();
    let words = fatal(config(1), core).to_string();
    assert!(words.starts_with("the node is on main: "), "{words}");
    assert!(words.contains("is for regtest, not for main"), "{words}");

    let other = Config { chain: Some(Network::Signet), ..config(1) };
    assert!(fatal(other, Core::new()).to_string().contains("--chain says signet"));

    let mut core = Core::new();
    core.template_extras = json!({"rules": ["csv", "!segwit", "!fork2030"]});
    assert!(fatal(config(1), core).to_string().contains("fork2030"));

    let mut core = Core::new();
    core.template_extras =
        json!({"rules": ["!segwit", "!signet"], "signet_challenge": "5121aa51ae"});
    assert!(fatal(config(1), core).to_string().contains("must be signed"));
}

#[test]
fn a_restarted_node_with_a_new_cookie_is_waited_for() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.stop(0);
    world.pass(3);
    // The caller reads the cookie anew on 401; until the node has written it, that fails.
    world.cores[0].trouble = Some(Trouble::Locked);
    world.pass(8);
    world.cores[0].trouble = None;
    world.pass(10);
    assert_eq!(world.states().last(), Some(&(0, NodeState::Connected)));
    world.mine();
    assert_eq!(world.cores[0].height(), 1);
}

#[test]
fn block_interval_paces_regtest() {
    let pace = Config { block_interval: Duration::from_secs(60), ..config(1) };
    let mut world = World::with(pace, vec![Core::new()]);
    world.settle();
    world.mine();
    assert!(world.job.is_none());
    world.pass(59);
    assert!(world.job.is_none());
    world.pass(1);
    assert_eq!(world.job.clone().unwrap().height(), Some(2));
}

#[test]
fn op_true_signets_are_mined() {
    let mut core = Core::new();
    core.chain = "signet".to_owned();
    core.template_extras = json!({"rules": ["!segwit", "!signet"], "signet_challenge": "51"});
    let address = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx".parse().unwrap();
    let mut world = World::with(Config { address, ..config(1) }, vec![core]);
    world.settle();
    world.mine();
    assert_eq!(world.cores[0].height(), 1);
}

#[test]
fn what_is_left_at_the_end_is_unresolved_and_stays_in_the_spool() {
    let mut world = World::new(vec![Core::new()]);
    world.settle();
    world.stop(0);
    world.mine();
    world.client.finish(world.now);
    world.pass(3);
    assert!(!world.client.is_settled());
    world.client.abandon();
    world.settle();
    assert_eq!(world.verdicts(), [Verdict::Unresolved]);
    assert_eq!(world.client.ledger().unresolved(), 1);
    assert_eq!(world.spool.len(), 1);
}

/// Events at a node and its miner.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Mine,
    MineTwice,
    Stop,
    Start,
    Lock,
    LoseAnswers,
    ForeignBlock,
    Transaction,
    FullDisk,
    Pass(u64),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Mine),
        1 => Just(Fate::MineTwice),
        1 => Just(Fate::Stop),
        2 => Just(Fate::Start),
        1 => Just(Fate::Lock),
        1 => Just(Fate::LoseAnswers),
        1 => Just(Fate::ForeignBlock),
        1 => Just(Fate::Transaction),
        1 => Just(Fate::FullDisk),
        3 => (0..40u64).prop_map(Fate::Pass),
    ]
}

proptest! {
    /// After any events the node has, in the end, every block that was found, each was on disk
    /// before it was sent unless the disk was full, and the ledger adds up.
    #[test]
    fn i8_no_block_is_lost(fates in prop::collection::vec(fate(), 1..60)) {
        let mut world = World::new(vec![Core::new()]);
        let mut found = Vec::new();
        for fate in fates {
            world.settle();
            match fate {
                Fate::Mine if world.job.is_some() => found.push(world.mine()),
                Fate::MineTwice if world.job.is_some() => {
                    let second = solve(world.job.as_ref().unwrap(), 1);
                    found.push(world.mine());
                    let _ = world.client.handle_share(world.now, &second);
                }
                Fate::Mine | Fate::MineTwice => {}
                Fate::Stop => world.stop(0),
                Fate::Start => {
                    world.cores[0].trouble = None;
                    world.cores[0].mute_submit = false;
                    world.disk_full = false;
                }
                Fate::Lock => world.cores[0].trouble = Some(Trouble::Locked),
                Fate::LoseAnswers => world.cores[0].mute_submit = true,
                Fate::ForeignBlock => world.cores[0].foreign_block(),
                Fate::Transaction => {
                    let number = world.cores[0].mempool.len() as u32;
                    world.cores[0].transaction(number);
                }
                Fate::FullDisk => world.disk_full = true,
                Fate::Pass(seconds) => world.pass(seconds),
            }
        }
        world.stop(0);
        world.cores[0].trouble = None;
        world.cores[0].mute_submit = false;
        world.pass(60);
        world.client.finish(world.now);
        world.pass(60);

        let core = &world.cores[0];
        let refused = world.client.ledger().rejected;
        let lost = found
            .iter()
            .filter(|hash| !core.has(hash))
            .count() as u64;
        prop_assert_eq!(lost, refused, "{:?}", world.events);
        prop_assert!(world.client.is_settled());
        prop_assert_eq!(world.client.ledger().unresolved(), 0);
        prop_assert!(world.client.ledger().found >= found.len() as u64);
        let full = world.warnings().iter().any(|words| words.contains("no space"));
        prop_assert!(full || world.sent.iter().all(|&(_, _, spooled)| spooled));
    }
}

#[test]
fn rule_25_a_template_that_waiting_does_not_better_is_fatal_at_once_unless_the_node_gave_work() {
    let broken = json!({"coinbasevalue": null, "coinbasetxn": {"data": "00"}});
    let mut core = Core::new();
    core.template_extras = broken.clone();
    let Fatal::Unusable(words) = fatal(config(1), core) else { panic!("another end") };
    assert!(words.contains("coinbasetxn"), "{words}");
    // Gave work, goes astray, and comes back.
    let mut world = World::new(vec![Core::new()]);
    world.pass(10);
    assert!(world.job.is_some());
    world.cores[0].template_extras = broken;
    world.cores[0].foreign_block();
    world.pass(60);
    assert!(!world.events.iter().any(|event| matches!(event.what, NodeNews::Fatal(_))));
    assert!(world.states().contains(&(0, NodeState::Lost)));
    world.cores[0].template_extras = json!({});
    world.pass(60);
    let tip = world.cores[0].tip().to_string();
    assert_eq!(world.job.as_ref().unwrap().prev_hash.to_string(), tip);
}
