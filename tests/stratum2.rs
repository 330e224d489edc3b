//! Clone to block by Stratum V2 with nothing installed: `demo --listen-sv2` and `mine` at it.

use serde_json::Value;

use crate::program::{Running, SLOW_POOL, events, run};

#[test]
fn six_blocks_by_stratum_v2_and_both_books_agree_to_the_share() {
    let mut demo = Running::start(&[&SLOW_POOL[..], &["--listen-sv2", "127.0.0.1:0"]].concat());
    let url = demo.pool_v2_url();
    assert!(url.starts_with("stratum2+tcp://127.0.0.1:"), "{url}");
    for (worker, kind) in [("ann", "standard"), ("ben", "extended")] {
        let mine = ["mine", "-o", &url, "-u", worker, "--channel", kind, "--blocks", "6"];
        let output = run(&[&mine[..], &["--threads", "1", "--json"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        let told = events(&output.stdout);
        let summary = told.last().unwrap();
        assert!(summary["blocks"]["accepted"].as_u64() >= Some(6), "{summary}");
        let shares = &summary["shares"];
        let left = demo.wait_for(|event| event["event"] == "miner" && event["state"] == "left");
        assert_eq!(left["worker"], worker);
        // A block that was on its way when the miner left is known to the pool alone.
        let known = [&shares["accepted"], &shares["unresolved"]].map(|it| it.as_u64().unwrap());
        let accepted = left["accepted"].as_u64().unwrap();
        assert!((known[0]..=known[0] + known[1]).contains(&accepted), "{left} {summary}");
        assert_eq!(left["blocks"], left["accepted"], "every share is a block here: {left}");
    }
    demo.signal("INT");
    let worker = |event: &Value| event["event"] == "worker" && event["worker"] == "ann";
    assert!(demo.wait_for(worker)["blocks"].as_u64() >= Some(6));
    assert_eq!(demo.exit_code(), Some(0));
}

#[test]
fn a_miner_of_stratum_v1_at_the_port_of_v2_is_told_so() {
    let mut demo = Running::start(&[&SLOW_POOL[..], &["--listen-sv2", "127.0.0.1:0"]].concat());
    let url = demo.pool_v2_url();
    let address = url.strip_prefix("stratum2+tcp://").unwrap().split('/').next().unwrap();
    let output = run(&["doctor", address]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("this port speaks Stratum V2"), "{stdout}");
}
