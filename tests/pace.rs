//! `--max-hashrate`: a bound that is kept, whatever the machine could do.

use crate::program::{Running, events, run};

#[test]
fn hashing_keeps_to_the_limit() {
    let mut demo = Running::start(&["demo", "--difficulty", "1", "--max-hashrate", "1k"]);
    let address = demo.pool_address();
    let output = run(&[
        "mine",
        "-o",
        &address,
        "-u",
        "me",
        "--json",
        "--time-limit",
        "4",
        "--max-hashrate",
        "20k",
    ]);
    let events = events(&output.stdout);
    let summary = events.last().unwrap();
    assert_eq!(summary["reason"], "time-limit");
    let hashes = summary["hashes"].as_f64().unwrap();
    let limit = 20_000.0 * summary["seconds"].as_f64().unwrap();
    // A unit of each thread, a twentieth of a second long, may be begun before and ended after.
    assert!(hashes <= limit + 2_000.0, "{summary}");
    assert!(hashes > 0.0, "{summary}");
}
