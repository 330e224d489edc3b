//! The pool tester against the embedded pool, over TCP: the books of both sides, and what it
//! refuses to do.

use std::io::Write;

use serde_json::{Value, json};

use crate::pools::{answer, notify, pool, refuse};
use crate::program::{Directory, Running, SLOW_POOL, events, fail, run};

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

#[test]
fn hashes_are_those_of_the_script_and_shares_are_on_both_books() {
    let mut demo = Running::start(&SLOW_POOL);
    let address = demo.pool_address();
    let arguments = ["swarm", "-o", &address, "--workers", "30", "--profile", "steady:30011"];
    let output = run(&[&arguments[..], &["--time-limit", "8", "--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = events(&output.stdout);
    let summary = events.last().expect("there is a summary");
    assert_eq!((&summary["event"], &summary["reason"]), (&"summary".into(), &"time-limit".into()));

    // To the hash, for each miner and in all.
    let books: Vec<_> = events.iter().filter(|event| event["event"] == "books").collect();
    assert_eq!(books.len(), 30);
    let total = &summary["hashes"];
    for of in books.iter().map(|book| &book["hashes"]).chain([total]) {
        assert_eq!(number(&of["asked"]), number(&of["done"]) + number(&of["idle"]), "{of}");
        assert_eq!(number(&of["late"]), 0);
    }
    assert_eq!(number(&total["asked"]), 30 * 30_011 * 8);
    let sum = |key: &str| books.iter().map(|book| number(&book["shares"][key])).sum::<u64>();
    for key in ["found", "accepted", "rejected", "stale", "throttled", "unresolved"] {
        assert_eq!(sum(key), number(&summary["shares"][key]), "{key}");
    }
    let shares = &summary["shares"];
    assert_eq!(number(&shares["unresolved"]), 0, "{shares}");
    assert!(number(&shares["found"]) > 10, "33 are expected: {shares}");
    assert_eq!(number(&summary["connections"]["opened"]), 30);
    assert_eq!(number(&summary["connections"]["lost"]), 0);

    // The pool says the same, name by name.
    demo.signal("INT");
    let mut seen = 0;
    while seen < 30 {
        let row = demo.wait_for(|event| event["event"] == "worker" && event["own"] == false);
        let book = books.iter().find(|book| book["worker"] == row["worker"]).expect("its name");
        assert_eq!(book["shares"]["accepted"], row["accepted"], "{row} {book}");
        assert_eq!(book["shares"]["rejected"], row["rejected"], "{row} {book}");
        seen += 1;
    }
}

#[test]
fn a_strangers_pool_is_not_tested_and_the_bounds_hold_at_ones_own() {
    // An address of the documentation's; nothing is sent there.
    let stranger = ["swarm", "-o", "192.0.2.1:3333"];
    let (code, stderr) = fail(&stranger);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("if it is your own, add --i-own-this-pool"), "{stderr}");
    let owned = [&stranger[..], &["--i-own-this-pool", "--workers", "51"]].concat();
    let (code, stderr) = fail(&owned);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("a pool at a public address is tested with 50 miners at most"));
    let owned = [&stranger[..], &["--i-own-this-pool", "--time-limit", "3601"]].concat();
    let (code, stderr) = fail(&owned);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("a test lasts 3600 s at most"), "{stderr}");
    let (code, stderr) = fail(&["swarm", "-o", "127.0.0.1:1", "--workers", "10001"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("expected a whole number from 1 to 10000"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn a_swarm_raises_its_limit_of_descriptors_and_names_the_hard_limit_where_that_is_too_low() {
    let mut demo = Running::start(&SLOW_POOL);
    let address = demo.pool_address();
    let swarm = |limit: &str| {
        let script = format!(r#"{limit} && exec "$0" "$@""#);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_midstate")]);
        command.args(["swarm", "-o", &address, "--workers", "100", "--profile", "steady:0"]);
        command.args(["--time-limit", "1", "--json"]).output().expect("there is a shell")
    };
    let output = swarm("ulimit -Sn 64");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let events = events(&output.stdout);
    assert_eq!(number(&events.last().unwrap()["connections"]["opened"]), 100);
    let output = swarm("ulimit -n 99");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let words = "100 miners: the hard limit of this process is 99 descriptors (ulimit -Hn), which \
                 are enough for 35 connections";
    assert!(stderr.contains(words), "{stderr}");
}

#[test]
fn a_pool_that_refuses_every_miner_ends_the_test_with_3() {
    let address = pool(|request, stream| match request["method"].as_str() {
        Some("mining.authorize") => refuse(stream, request, &json!([24, "who are you?", null])),
        Some("mining.subscribe") => answer(stream, request, &json!([[], "00000001", 4])),
        _ => answer(stream, request, &json!(true)),
    });
    let output = run(&["swarm", "-o", &address, "--workers", "2", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let events = events(&output.stdout);
    let summary = events.last().unwrap();
    assert_eq!((&summary["event"], &summary["reason"]), (&"summary".into(), &"error".into()));
    assert!(number(&summary["connections"]["refused"]) >= 2, "{summary}");
}

#[test]
fn a_server_that_does_not_speak_v2_is_named() {
    use std::io::Read;
    // It greets, and hangs up on the answer.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n");
            let _ = stream.read(&mut [0; 64]);
        }
    });
    let (code, stderr) = fail(&["swarm", "-o", &format!("stratum2+tcp://{address}")]);
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("no miner was given a job: ") && stderr.contains("SSH"), "{stderr}");
}

#[test]
fn a_pool_that_is_not_there_ends_the_test_with_5_and_the_reason() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, stderr) = fail(&["swarm", "-o", &free.to_string(), "--workers", "3"]);
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("no miner was given a job: cannot connect to"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn the_live_view_shows_the_miners_and_q_ends_the_test_with_its_summary() {
    use crate::terminal::Terminal;

    let mut demo = Running::start(&SLOW_POOL);
    let address = demo.pool_address();
    let swarm = Terminal::start(
        &["swarm", "-o", &address, "--workers", "4", "--profile", "steady:100k"],
        &[],
    );
    swarm.wait_for("four miners at work", |screen| {
        let page = screen.contents();
        page.contains("4 at work, 0 waiting for a job") && page.contains("w4 ")
    });
    swarm.wait_for("an answer", |screen| !screen.contents().contains("answers  p50 0.0 ms"));
    swarm.press("q");
    let (code, page, _) = swarm.end();
    assert_eq!(code, Some(0), "{page}");
    assert!(page.contains("connections  4 opened, 0 lost, 0 not reached, 0 refused"), "{page}");
    assert!(page.contains("(100.0000 %)"), "{page}");
}

#[test]
fn conditions_that_are_not_met_are_named_and_end_the_test_with_6() {
    let mut demo = Running::start(&SLOW_POOL);
    let address = demo.pool_address();
    let swarm = |conditions: &str| {
        let arguments = ["swarm", "-o", &address, "--workers", "2", "--profile", "steady:300k"];
        let more = ["--time-limit", "2", "--expect", conditions, "--json"];
        run(&[&arguments[..], &more].concat())
    };
    let output = swarm("disconnects=0,lost=0,accepted>0");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let output = swarm("disconnects=0,accepted<1");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{stderr}");
    assert!(stderr.contains("error: accepted<1: not met, "), "{stderr}");
    let events = events(&output.stdout);
    let expectations = events.last().unwrap()["expectations"].as_array().unwrap().clone();
    assert_eq!(expectations[0]["met"], true, "{expectations:?}");
    assert_eq!(
        (&expectations[1]["text"], &expectations[1]["met"]),
        (&"accepted<1".into(), &false.into())
    );
    let (code, stderr) = fail(&["swarm", "-o", &address, "--expect", "speed>9000"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("--expect speed>9000: `speed` is not measured"), "{stderr}");
}

#[test]
fn every_word_of_a_profile_is_kept_to_the_hash() {
    let mut demo = Running::start(&SLOW_POOL);
    let address = demo.pool_address();
    let profile = "steady:20k step:10k@1s ramp:0..40k/2s@1s burst:50k/500ms every 2s \
                   oscillate:10k..30k/2s stall:@3s for 1s join:2@2s leave:1@4s";
    let script = midstate_swarm::Script::parse(profile, 3, 1).unwrap();
    let arguments = ["swarm", "-o", &address, "--workers", "3", "--profile", profile];
    let output = run(&[&arguments[..], &["--time-limit", "6", "--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = events(&output.stdout);
    let books: Vec<_> = events.iter().filter(|event| event["event"] == "books").collect();
    assert_eq!(books.len(), 5, "two have joined");
    for (worker, book) in (0..).zip(&books) {
        let hashes = &book["hashes"];
        let owed = script.owed(worker, std::time::Duration::from_secs(6));
        assert_eq!(number(&hashes["asked"]), owed, "{book}");
        assert_eq!(number(&hashes["done"]) + number(&hashes["idle"]), owed, "{book}");
    }
    assert!(number(&events.last().unwrap()["hashes"]["done"]) > 0);
}

#[test]
fn faults_on_purpose_are_told_by_kind_with_the_answers_of_the_pool() {
    let mut demo = Running::start(&SLOW_POOL);
    let address = demo.pool_address();
    let directory = Directory::new("swarm-faults");
    let page = directory.0.join("report.html");
    let wrong = ["duplicate", "low", "bad-job", "bad-extranonce", "unauthorized", "bad-time"];
    let wrong = [&wrong[..], &["bad-version", "stale"]].concat();
    let faults: Vec<_> = wrong.iter().map(|kind| format!("{kind}:6")).collect();
    let faults = format!("{},late:1,half-line:1,disconnect:1", faults.join(","));
    // One miner, so that no other one's block makes its shares stale: every share is a block here.
    let arguments = ["swarm", "-o", &address, "--workers", "1", "--profile", "steady:1500k"];
    let more = ["--time-limit", "25", "--fault", &faults, "--html", page.to_str().unwrap()];
    let expected = ["--expect", "let-through=0,disconnects=0", "--json"];
    let output = run(&[&arguments[..], &more, &expected].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = events(&output.stdout);
    let summary = events.last().expect("there is a summary");
    let of = |kind: &str| {
        let faults = summary["faults"].as_array().unwrap().iter();
        let fault = faults.clone().find(|fault| fault["fault"] == kind);
        fault.unwrap_or_else(|| panic!("no {kind} in {summary}")).clone()
    };
    for kind in wrong {
        let fault = of(kind);
        let refused = fault["refused"].as_array().unwrap().iter();
        let refused: u64 = refused.map(|row| number(&row["count"])).sum();
        let (done, unanswered) = (number(&fault["done"]), number(&fault["unanswered"]));
        assert_eq!(number(&fault["accepted"]), 0, "{fault}");
        // The disconnect may come before an answer.
        assert!(done >= 1 && refused >= 1 && refused + unanswered == done, "{fault}");
        assert_eq!(done + number(&fault["unsent"]), 6, "{fault}");
    }
    assert_eq!(number(&of("disconnect")["done"]), 1);
    assert_eq!(number(&of("half-line")["done"]), 1);
    assert_eq!(number(&summary["connections"]["opened"]), 2);
    assert!(events.iter().any(|event| event["event"] == "fault" && event["state"] == "refused"));
    assert!(events.iter().any(|event| event["event"] == "worker" && event["state"] == "cut"));

    let page = std::fs::read_to_string(page).unwrap();
    for words in ["A pool, tested", "Faults on purpose", "duplicates: ", "Hash rate of all", "w1"] {
        assert!(page.contains(words), "{words}");
    }
    assert_eq!(page.matches("<figure>").count(), 3);
}

#[test]
fn a_late_share_is_sent_ten_seconds_after_it_was_found_and_its_answer_is_told() {
    let mut demo = Running::start(&[&SLOW_POOL[..], &["--vardiff"]].concat());
    let address = demo.pool_address();
    let arguments = ["swarm", "-o", &address, "--workers", "1", "--profile", "steady:400k"];
    let more = ["--time-limit", "25", "--fault", "late:1", "--json"];
    let output = run(&[&arguments[..], &more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = events(&output.stdout);
    let late = &events.last().expect("there is a summary")["faults"][0];
    assert_eq!((&late["fault"], number(&late["done"])), (&"late".into(), 1), "{late}");
    // A block may have come meanwhile.
    let refused = late["refused"].as_array().unwrap().iter();
    let refused: u64 = refused
        .inspect(|row| assert_eq!(row["code"], 21, "{late}"))
        .map(|row| number(&row["count"]))
        .sum();
    assert_eq!(number(&late["accepted"]) + refused, 1, "{late}");
    let told = events.iter().filter(|event| event["event"] == "fault");
    let states: Vec<_> = told.map(|event| event["state"].clone()).collect();
    let [done, answer] = &states[..] else { panic!("{states:?}") };
    assert_eq!((done, answer == "accepted"), (&"done".into(), refused == 0));
}

#[test]
fn flags_and_faults_of_the_other_protocol_are_refused_with_the_reason() {
    let swarm = |url: &str, more: &[&str]| {
        let (code, stderr) = fail(&[&["swarm", "-o", url][..], more].concat());
        assert_eq!(code, 2, "{stderr}");
        stderr
    };
    let [v1, v2] = ["127.0.0.1:1", "stratum2+tcp://127.0.0.1:1"];
    for (url, more, words) in [
        (
            v2,
            ["--fault", "low:1,unauthorized:1"],
            "--fault unauthorized: a share of Stratum V2 names no user",
        ),
        (
            v2,
            ["--fault", "bad-extranonce:1"],
            "--fault bad-extranonce: a share on a standard channel has no extranonce: add \
             --channel extended",
        ),
        (
            v2,
            ["--suggest-difficulty", "1"],
            "--suggest-difficulty is for pools of Stratum V1, and the pool of --url speaks V2",
        ),
        (
            v1,
            ["--channel", "extended"],
            "--channel is for pools of Stratum V2, and the pool of --url speaks V1",
        ),
    ] {
        let stderr = swarm(url, &more);
        assert!(stderr.contains(words), "{stderr}");
    }
}

#[cfg(unix)]
#[test]
fn a_silent_miner_reads_no_answer_while_the_others_go_on() {
    let mut demo = Running::start(&SLOW_POOL);
    let address = demo.pool_address();
    let arguments = ["swarm", "-o", &address, "--workers", "2", "--profile", "steady:500k"];
    let more = ["--time-limit", "600", "--fault", "silent:1"];
    let mut swarm = Running::start(&[&arguments[..], &more].concat());
    let fault = swarm.wait_for(|event| event["event"] == "fault");
    assert_eq!((&fault["fault"], &fault["state"]), (&"silent".into(), &"done".into()));
    for _ in 0..10 {
        let share = swarm.wait_for(|event| event["event"] == "share");
        assert_ne!(share["worker"], fault["worker"], "{share}");
    }
    swarm.signal("INT");
    let summary = swarm.wait_for(|event| event["event"] == "summary");
    let silent = &summary["faults"][0];
    assert_eq!((number(&silent["done"]), number(&silent["cut_off"])), (1, 0), "{silent}");
    assert_eq!(number(&summary["connections"]["opened"]), 2);
    assert_eq!(number(&summary["connections"]["lost"]), 0);
}

#[test]
fn a_swarm_at_a_v2_pool_keeps_its_books_and_has_its_faults_refused_by_word() {
    let mut demo = Running::start(&[&SLOW_POOL[..], &["--listen-sv2", "127.0.0.1:0"]].concat());
    let url = demo.pool_v2_url();
    let wrong = [
        ("stale", "stale-share"),
        ("duplicate", "duplicate-share"),
        ("low", "difficulty-too-low"),
        ("bad-job", "invalid-job-id"),
        ("bad-extranonce", "bad-extranonce-size"),
        ("bad-time", "invalid-share"),
        ("bad-version", "invalid-non-rollable-version-bit"),
    ];
    let faults = wrong.map(|(kind, _)| format!("{kind}:5")).join(",");
    let faults = format!("{faults},late:1,half-frame:1,disconnect:1");
    let arguments = ["swarm", "-o", &url, "--workers", "1", "--channel", "extended"];
    let more = ["--profile", "steady:1500k", "--time-limit", "25", "--fault", &faults];
    let expected = ["--expect", "let-through=0,disconnects=0,lost=0", "--json"];
    let output = run(&[&arguments[..], &more, &expected].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = events(&output.stdout);
    let summary = events.last().expect("there is a summary");
    assert_eq!(number(&summary["connections"]["opened"]), 2);
    for (kind, code) in wrong {
        let faults = summary["faults"].as_array().unwrap();
        let fault = faults.iter().find(|fault| fault["fault"] == kind).unwrap();
        let (done, unanswered) = (number(&fault["done"]), number(&fault["unanswered"]));
        assert!(done >= 1 && number(&fault["accepted"]) == 0, "{fault}");
        // Every share is a block here, and voids the job of those behind it. The disconnect may
        // come before an answer.
        let refused = fault["refused"].as_array().unwrap();
        let refused = refused.iter().inspect(|row| {
            assert!(row["code"] == code || row["code"] == "stale-share", "{fault}");
        });
        let refused: u64 = refused.map(|row| number(&row["count"])).sum();
        assert_eq!(refused + unanswered, done, "{fault}");
    }
    // Good shares and odd ones are on both books.
    demo.signal("INT");
    let row = demo.wait_for(|event| event["event"] == "worker" && event["own"] == false);
    let odd = summary["faults"].as_array().unwrap().iter().map(|fault| number(&fault["accepted"]));
    let good = number(&summary["shares"]["accepted"]);
    assert_eq!(number(&row["accepted"]), good + odd.sum::<u64>(), "{row} {summary}");
}

#[test]
fn a_mistake_in_a_fault_is_told_before_the_run() {
    let (code, stderr) = fail(&["swarm", "-o", "127.0.0.1:1", "--fault", "low:1%,duplicate"]);
    assert_eq!(code, 2, "{stderr}");
    let words = "--fault duplicate: how often is not said; expected KIND:COUNT";
    assert!(stderr.contains(words), "{stderr}");
}

#[test]
fn miners_come_and_go_by_the_script_and_none_goes_before_its_last_hash() {
    let mut demo = Running::start(&SLOW_POOL);
    let address = demo.pool_address();
    let profile = "steady:20011 leave:2@2s join:1@3s";
    let arguments = ["swarm", "-o", &address, "--workers", "4", "--profile", profile];
    let output = run(&[&arguments[..], &["--time-limit", "5", "--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = events(&output.stdout);
    let books: Vec<_> = events.iter().filter(|event| event["event"] == "books").collect();
    let mut done: Vec<_> = books
        .iter()
        .map(|book| (number(&book["hashes"]["asked"]), number(&book["hashes"]["idle"])))
        .collect();
    // The one that comes has no job before it is connected.
    let (asked, idle) = done.pop().expect("five miners");
    assert_eq!(asked, 2 * 20_011);
    assert!(idle < asked, "it has worked");
    done.sort_unstable();
    let [left, stayed] = [(2 * 20_011, 0), (5 * 20_011, 0)];
    assert_eq!(done, [left, left, stayed, stayed]);
    let state = |state: &str| events.iter().filter(|event| event["state"] == state).count();
    assert_eq!((state("left"), state("lost")), (5, 0));
}

#[test]
fn faults_are_refused_where_blocks_are_worth_money() {
    let address = pool(|request, stream| match request["method"].as_str() {
        Some("mining.authorize") => {
            answer(stream, request, &json!(true));
            let job = notify("1").replace("1d00ffff", "17020000");
            stream.write_all(job.as_bytes()).unwrap();
        }
        Some("mining.subscribe") => answer(stream, request, &json!([[], "00000001", 4])),
        _ => answer(stream, request, &json!(true)),
    });
    let arguments = ["swarm", "-o", &address, "--workers", "2", "--fault", "low:5"];
    let (code, stderr) = fail(&arguments);
    assert_eq!(code, 2, "{stderr}");
    let words = "--fault is for chains whose blocks are worth nothing";
    assert!(stderr.contains(words) && stderr.contains("141 T"), "{stderr}");
}
