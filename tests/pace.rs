//! `--max-hashrate`: a bound that is kept, whatever the machine could do.

use std::sync::atomic::Ordering;

use crate::pools::easy_pool_of;
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

/// The bound on the hits that the threads look at is one a second, and does not follow the size of
/// their units: under `--max-hashrate` no share is left out that `--max-share-rate` allows.
#[test]
fn a_limit_on_the_hash_rate_loses_no_share_within_the_limit_on_shares() {
    // Every second hash is a share: 500 a second.
    let (address, submitted) = easy_pool_of(4.7e-10);
    let output = run(&[
        "mine",
        "-o",
        &address,
        "-u",
        "me",
        "--threads",
        "1",
        "--max-hashrate",
        "1k",
        "--max-share-rate",
        "2000",
        "--time-limit",
        "2",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = events(&output.stdout).pop().unwrap();
    let (found, hashes) = (&summary["shares"]["found"], &summary["hashes"]);
    let (found, hashes) = (found.as_f64().unwrap(), hashes.as_f64().unwrap());
    assert!(hashes >= 500.0, "{summary}");
    // With a thousand hashes, 0.1 are six standard deviations.
    assert!((found / hashes - 0.5).abs() < 0.1, "{summary}");
    assert_eq!(summary["shares"]["throttled"], 0, "{summary}");
    assert_eq!(submitted.load(Ordering::Relaxed) as f64, found, "{summary}");
}
