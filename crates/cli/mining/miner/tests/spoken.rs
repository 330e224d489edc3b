//! The sentences that a viewer is told in the course of a run.

use super::*;
use crate::mining::event::BlockEvent;

/// The lines for a viewer of these happenings, `(second, server, what)`, until a second.
fn spoken(happens: Vec<(u64, &str, Happened)>, until: u64) -> Vec<String> {
    let (mut world, mut speech, mut told) =
        (world(Goals::default()), Speech::default(), Vec::new());
    let mut happens = happens.into_iter().peekable();
    for second in 0..=until {
        while let Some((_, url, what)) = happens.next_if(|(at, ..)| *at <= second) {
            match what {
                // A block of ours whose share is not played here.
                Happened::Revised { hash, height, was, verdict, reason } => {
                    let block = BlockEvent::revised(url, &hash, height, [was, verdict], reason);
                    world.tell(|miner, _| miner.tell_event(Event::Block(block)));
                }
                what => world.link_of(url, what),
            }
        }
        let status = world.miner.status(world.now);
        told.extend(world.events.drain(..).filter_map(|event| speech.of(&event, &status)));
        told.extend(speech.due(&status));
        world.pass(1);
    }
    let words = |said: Sentence| match said {
        Sentence::Note(words) | Sentence::Result(words) => words,
    };
    told.into_iter().map(words).collect()
}

#[test]
fn rule_27_a_remark_that_had_to_wait_and_is_no_longer_true_is_not_printed() {
    const NODE: &str = "http://h:1";
    let state = |state| Happened::State { state, reason: Some("why".to_owned()) };
    let away = |hash: u32| {
        Happened::warning(format!("block {hash:064x} has not reached the node: refused"))
    };
    let judged = |hash: u32| Happened::Revised {
        hash: format!("{hash:064x}").parse().unwrap(),
        height: 7,
        was: Verdict::Unresolved,
        verdict: Verdict::Accepted,
        reason: None,
    };
    let job = |id: &str| Happened::job(Arc::new(job(id)));
    let told = |then: Vec<(u64, &'static str, Happened)>| {
        let mut happens = vec![(1, NODE, away(1)), (3, NODE, away(2)), (4, NODE, away(3))];
        happens.extend(then);
        let lines = spoken(happens, 30);
        lines.into_iter().filter(|line| line.contains("has not reached")).collect::<Vec<_>>()
    };
    let (first, held) = (format!("{:064x}", 1), format!("{:064x}", 3));
    let lines = told(vec![]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains(&first) && lines[1].contains(&held), "{lines:?}");
    assert!(lines[1].ends_with(" (1 more held back)"), "{lines:?}");
    // The other node has taken it; the node is back, gives work, or is told as lost.
    for then in [
        (6, "http://h:2", judged(3)),
        (6, NODE, state(LinkState::Authorized)),
        (6, NODE, state(LinkState::Lost)),
        (6, NODE, job("a")),
    ] {
        let what = format!("{then:?}");
        assert_eq!(told(vec![then]).len(), 1, "{what}");
    }
    // Another block's verdict, another node's return and work of a pool change nothing.
    for then in [
        (6, "http://h:2", judged(2)),
        (6, "http://h:2", state(LinkState::Authorized)),
        (6, "http://h:12", job("a")),
    ] {
        let what = format!("{then:?}");
        assert_eq!(told(vec![then]).len(), 2, "{what}");
    }
    // The next one in time is told at once: those that were untrue do not hold it back.
    let lines = told(vec![(6, NODE, job("a")), (20, NODE, away(4))]);
    assert!(lines.len() == 2 && lines[1].ends_with("refused"), "{lines:?}");
    // A pool's job that pays nobody did so, whatever job comes then.
    let pays = |id: &str| Happened::warning(format!("job {id}: pays nobody"));
    let pool = "stratum+tcp://p:1";
    let happens = vec![(1, pool, pays("1")), (2, pool, pays("2")), (3, pool, job("3"))];
    assert_eq!(spoken(happens, 30).iter().filter(|line| line.contains("pays")).count(), 2);
}

#[test]
fn the_events_of_a_pool_of_stratum_v2_name_protocol_and_channel() {
    let mut world = world(Goals::default());
    let url = "stratum2+tcp://pool:1";
    world.state_of(url, LinkState::Authorized);
    world.link_of(url, Happened::job(Arc::new(Job { channel: Some(7), ..job("a") })));
    assert!(world.find());
    let share = world.sent.pop_front().unwrap();
    world.link_of(url, Happened::Verdict(ShareOutcome::new(share, Verdict::Accepted, None)));
    let json: Vec<_> = world.events.iter().map(|of| serde_json::to_value(of).unwrap()).collect();
    let told: Vec<_> = json.iter().map(|of| (of["protocol"].as_str(), &of["channel"])).collect();
    let (no_channel, seven) = (serde_json::Value::Null, serde_json::json!(7));
    let expected = [&no_channel, &seven, &seven].map(|channel| (Some("stratum2"), channel));
    assert_eq!(told, expected);
    let status = serde_json::to_value(world.miner.status(world.now)).unwrap();
    assert_eq!(
        (&status["job"]["protocol"], &status["job"]["channel"]),
        (&"stratum2".into(), &seven)
    );
}

#[test]
fn rule_4_remarks_have_one_ration_for_programs_and_for_people() {
    let (one, two) = ("stratum+tcp://one:1", "stratum+tcp://two:1");
    let (mut world, mut speech) = (world(Goals::default()), Speech::default());
    let mut told = Vec::new();
    for second in 0..25 {
        world.link_of(one, Happened::warning(format!("job {second}: pays nobody")));
        if second == 3 {
            world.link_of(two, Happened::warning("job x3: pays nobody"));
        }
        world.pass(1);
        let status = world.miner.status(world.now);
        for event in world.events.drain(..).filter(|event| event.name() == "remark") {
            let json = serde_json::to_value(&event).unwrap();
            let (pool, text) = (json["pool"].as_str().unwrap(), json["text"].as_str().unwrap());
            let sentence = Sentence::Note(format!("warning: {pool}: {text}"));
            assert_eq!(speech.of(&event, &status), Some(sentence), "each event is a sentence");
            told.push(format!("{pool} {text}"));
        }
    }
    // The end brings the last one, and the counts are complete.
    world.end_link(LinkEnd::Stopped);
    let last = world.events.iter().filter(|event| event.name() == "remark");
    told.extend(last.map(|event| {
        let json = serde_json::to_value(event).unwrap();
        format!("{} {}", json["pool"].as_str().unwrap(), json["text"].as_str().unwrap())
    }));
    let expected = [
        format!("{one} job 0: pays nobody"),
        format!("{two} job x3: pays nobody"),
        format!("{one} job 9: pays nobody (8 more held back)"),
        format!("{one} job 19: pays nobody (9 more held back)"),
        format!("{one} job 24: pays nobody (4 more held back)"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn rule_6_advice_that_had_to_wait_names_the_server_that_it_is_about() {
    let (mut world, mut speech, mut told) = (world(Goals::default()), Speech::default(), vec![]);
    let mut refuse = |world: &mut World, url: &str, id: &str| {
        world.link_of(url, Happened::job(Arc::new(job(id))));
        assert!(world.find());
        let share = world.sent.pop_front().unwrap();
        let outcome = ShareOutcome::new(share, Verdict::Rejected, Some("stale".to_owned()));
        let advice = Some("the job was replaced");
        world.link_of(url, Happened::Verdict(ShareOutcome { advice, ..outcome }));
        let status = world.miner.status(world.now);
        let notices = world.notices.drain(..);
        let said = notices.filter_map(|notice| speech.of_notice(&notice, &status));
        told.extend(said);
        world.pass(1);
    };
    for (url, id) in [("one", "a"), ("one", "b"), ("two", "c")] {
        refuse(&mut world, url, id);
    }
    world.pass(10);
    told.extend(speech.due(&world.miner.status(world.now)));
    let lines = ["one", "two", "one"].map(|server| format!("  {server}: the job was replaced"));
    assert_eq!(told, lines.map(Sentence::Note));
}
