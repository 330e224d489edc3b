//! `--max-hashrate`: a bound that is kept, whatever the machine could do.

use crate::program::{Running, events, run};

#[test]
fn hashing_keeps_to_the_limit() {
    let pool = ["demo", "--blocks", "100000", "--difficulty", "0.00001", "--max-hashrate", "1k"];
    let mut demo = Running::start(&pool);
    let address = demo.pool_address();
    let output = run(&[
        "mine",
        "-o",
        &address,
        "-u",
        "me",
        "--json",
        "--threads",
        "2",
        "--shares",
        "3",
        "--max-hashrate",
        "20k",
    ]);
    let events = events(&output.stdout);
    let summary = events.last().unwrap();
    assert_eq!(summary["reason"], "shares");
    let hashes = summary["hashes"].as_f64().unwrap();
    let limit = 20_000.0 * summary["seconds"].as_f64().unwrap();
    // A unit of each thread, a twentieth of a second long, may be begun before and ended after.
    assert!(hashes <= limit + 2_000.0, "{summary}");
    assert!(hashes > 0.0, "{summary}");
}
