//! A miner that comes to the pool of a `demo`, goes, or finds a block there is told on its side: as
//! events, in lines, and (in `terminal`) in the live view.

use std::process::Stdio;

use serde_json::Value;

use crate::foreign::Foreigner;
use crate::program::{Lines, Running, SLOW_POOL, midstate};

#[test]
fn events_tell_who_joins_finds_a_block_and_leaves() {
    let mut demo = Running::start(&SLOW_POOL);
    let address = demo.pool_address();
    let mut ann =
        Running::start(&["mine", "-o", &address, "-u", "ann", "--shares", "3", "--threads", "1"]);
    let mut next = |state: &str| -> Value {
        let event = demo.wait_for(|event| event["event"] == "miner");
        assert_eq!((&event["worker"], &event["state"]), (&"ann".into(), &state.into()), "{event}");
        event
    };
    let joined = next("joined");
    assert!(joined["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{joined}");
    for height in 1..=3 {
        let hers =
            ann.wait_for(|event| event["event"] == "block" && event["verdict"] == "accepted");
        let ours = next("block");
        assert_eq!((&ours["height"], &ours["hash"]), (&height.into(), &hers["hash"]));
    }
    let summary = ann.wait_for(|event| event["event"] == "summary");
    // She may have found more while the third was on its way.
    let mut blocks = 3;
    let left = loop {
        let news = demo.wait_for(|event| event["event"] == "miner");
        if news["state"] == "left" {
            break news;
        }
        blocks += 1;
    };
    assert_eq!(left["address"], joined["address"]);
    assert_eq!(left["blocks"], blocks, "{left}");
    // An answer that came too late for her is none.
    assert!(left["accepted"].as_u64() >= summary["shares"]["accepted"].as_u64(), "{left}");
    demo.signal("INT");
    let summary = demo.wait_for(|event| event["event"] == "summary");
    assert_eq!(summary["blocks"]["found"], 0, "hers are not ours: {summary}");
}

#[test]
fn lines_tell_it_in_words_and_one_is_not_many() {
    let mut demo = midstate(&SLOW_POOL);
    let mut demo = demo.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut results = Lines::of(demo.stdout.take().unwrap());
    let mut notes = Lines::of(demo.stderr.take().unwrap());
    let address = notes.find(|line| {
        let (_, rest) = line.split_once("pool on stratum+tcp://")?;
        assert!(rest.contains("difficulty 5.00e-5: about 215 khashes a share"), "{line}");
        Some(rest.split(',').next()?.to_owned())
    });
    notes.find(|line| line.starts_with("mining 6 blocks with ").then_some(()));

    let mut ann = Foreigner::join(&address, "ann");
    ann.deliver("ann");
    drop(ann);
    notes.find(|line| (line == "ann joined from 127.0.0.1").then_some(()));
    notes.find(|line| (line == "ann left after 1 share, 1 block").then_some(()));
    let block = results.find(|line| line.starts_with("block 1 ").then(|| line.to_owned()));
    assert!(block.ends_with("  found by ann"), "{block}");

    let pid = demo.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    results.find(|line| line.contains(", 1 thread, 1 midstate").then_some(()));
    results.find(|line| line.ends_with("shares none; best difficulty none").then_some(()));
    results
        .find(|line| (line == "worker ann: 1 block, 1 share accepted, 0 rejected").then_some(()));
    results.find(|line| line.starts_with("proved: 1 block on ").then_some(()));
    assert!(demo.wait().unwrap().success());
}

#[test]
fn who_is_there_in_the_end_leaves_with_the_pool() {
    let mut demo = Running::start(&SLOW_POOL);
    let address = demo.pool_address();
    let mut ann = Foreigner::join(&address, "ann");
    ann.deliver("ann");
    let state = |state: &'static str| {
        move |event: &Value| event["event"] == "miner" && event["state"] == state
    };
    demo.wait_for(state("block"));
    demo.signal("INT");
    let left = demo.wait_for(|event| state("left")(event) || event["event"] == "summary");
    assert_eq!((&left["worker"], &left["blocks"]), (&"ann".into(), &1.into()), "{left}");
    demo.wait_for(|event| event["event"] == "summary");
    assert_eq!(demo.exit_code(), Some(0));
}

/// A name is a label: a guest who takes the name of the pool's own miner is a guest all the same.
#[test]
fn a_guest_with_the_name_of_the_host_is_a_guest() {
    let mut demo = Running::start(&SLOW_POOL);
    let address = demo.pool_address();
    let guest =
        Running::start(&["mine", "-o", &address, "-u", "demo", "--shares", "1", "--threads", "1"]);
    let joined = demo.wait_for(|event| event["event"] == "miner" && event["state"] == "joined");
    assert_eq!(joined["worker"], "demo");
    assert!(joined["session"].as_u64() >= Some(1), "{joined}");
    demo.wait_for(|event| event["event"] == "miner" && event["state"] == "left");
    drop(guest);
    demo.signal("INT");
    let rows: Vec<_> = std::iter::from_fn(|| {
        let row = demo.wait_for(|event| event["event"] == "worker" || event["event"] == "summary");
        (row["event"] == "worker").then_some(row)
    })
    .collect();
    let of = |own: bool| rows.iter().find(|row| row["own"] == own && row["worker"] == "demo");
    assert_eq!(of(true).unwrap()["accepted"], 0, "{rows:?}");
    assert!(of(false).unwrap()["accepted"].as_u64() >= Some(1), "{rows:?}");
}

/// The difficulty follows the rate that the machine has, not the number of threads asked for.
#[test]
fn the_pace_of_demo_does_not_depend_on_the_threads_asked_for() {
    let hashes_a_share = |threads: &str| {
        let mut demo = midstate(&["demo", "-t", threads, "--plain", "--blocks", "1000"]);
        let mut demo = demo.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut notes = Lines::of(demo.stderr.take().unwrap());
        let difficulty: f64 = notes.find(|line| {
            let (_, rest) = line.split_once(", difficulty ")?;
            rest.split(':').next()?.parse().ok()
        });
        demo.kill().unwrap();
        demo.wait().unwrap();
        difficulty
    };
    let (few, many) = (hashes_a_share("2"), hashes_a_share("64"));
    assert!(many < 8.0 * few, "{many} with 64 threads, {few} with 2: 32 times the pace");
}
