//! Goals and limits of a run: a goal that was not reached is not a success, and a rate counts the
//! time spent hashing.

use serde_json::Value;

use crate::program::{Running, events, midstate, run, run_in_little_space};

/// A pool at which nothing is found in the time of a test, and its address.
fn hard_pool() -> (Running, String) {
    let mut pool = Running::start(&[
        "demo",
        "--listen",
        "127.0.0.1:0",
        "--difficulty",
        "1e6",
        "--max-hashrate",
        "1",
        "--threads",
        "1",
    ]);
    let address = pool.pool_address();
    (pool, address)
}

fn summary(stdout: &[u8]) -> Value {
    let last = events(stdout).pop().unwrap();
    assert_eq!(last["event"], "summary", "the summary is the last line");
    last
}

#[test]
fn a_goal_that_was_not_reached_is_not_a_success() {
    let (_pool, address) = hard_pool();
    let mine =
        ["mine", "-o", &address, "-u", "me", "--threads", "1", "--time-limit", "1", "--json"];
    for (goal, words) in [
        (&["--shares", "5"][..], "goal not reached: 0 of 5 shares accepted within --time-limit 1"),
        (&["--blocks", "1"], "goal not reached: 0 of 1 block accepted within --time-limit 1"),
    ] {
        let output = run(&[&mine[..], goal].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(6), "{stderr}");
        assert!(stderr.contains(words), "{stderr}");
        assert_eq!(summary(&output.stdout)["reason"], "time-limit");
    }
    let alone = run(&mine);
    assert_eq!(alone.status.code(), Some(0), "a time limit alone is a goal of its own");
}

#[test]
fn a_rate_counts_the_time_spent_hashing_and_no_other() {
    // A port where no pool listens: it waits, and hashes nothing.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let waited = midstate(&["mine", "-o", &closed.to_string(), "-u", "me", "--time-limit", "1"])
        .arg("--json")
        .output()
        .unwrap();
    let waited = summary(&waited.stdout);
    assert_eq!(
        (&waited["hps"], &waited["seconds_hashing"]),
        (&0.0.into(), &0.0.into()),
        "{waited}"
    );

    let (_pool, address) = hard_pool();
    let mine =
        ["mine", "-o", &address, "-u", "me", "--threads", "1", "--time-limit", "2", "--json"];
    let hashed = summary(&run(&mine).stdout);
    let number = |name: &str| hashed[name].as_f64().unwrap();
    assert!(number("seconds_hashing") > 0.0 && number("seconds_hashing") <= number("seconds"));
    let counted = number("hps") * number("seconds_hashing") / number("hashes");
    assert!((counted - 1.0).abs() < 1e-9, "{hashed}");
}

#[test]
fn the_summary_comes_when_threads_cannot_be_started() {
    let (_pool, address) = hard_pool();
    let output =
        run_in_little_space(&["mine", "-o", &address, "-u", "me", "--threads", "4000", "--json"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("4000 hashing threads cannot be started"), "{stderr}");
    assert_eq!(summary(&output.stdout)["reason"], "error");
}

/// `--max-hashrate` lets the threads rest, so that there are two rates, and both are told.
#[test]
fn a_hash_rate_under_a_limit_is_told_with_and_without_the_rests() {
    let (_pool, address) = hard_pool();
    let mine = ["mine", "-o", &address, "-u", "me", "--threads", "1", "--time-limit", "2"];
    let limited = [&mine[..], &["--max-hashrate", "1k"]].concat();
    let hashed = summary(&run(&[&limited[..], &["--json"]].concat()).stdout);
    let number = |name: &str| hashed[name].as_f64().unwrap();
    assert!(number("seconds_hashing") < number("seconds"), "{hashed}");
    assert!(number("hps_overall") < number("hps"), "{hashed}");
    let counted = number("hps_overall") * number("seconds") / number("hashes");
    assert!((counted - 1.0).abs() < 1e-9, "{hashed}");

    let words = run(&limited);
    let words = String::from_utf8_lossy(&words.stdout);
    assert!(words.contains(" overall) with "), "{words}");
}
