//! `midstate doctor http://node` (U10): every step with its finding and the cure, at a real node
//! and at one that plays what a real one does only now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::bitcoind::Bitcoind;
use crate::port::Port;
use crate::program::{events, midstate};
use crate::proxy::scripted;

/// The doctor's findings: `(check, health)`, the words of all findings and errors, the exit code.
struct Diagnosis {
    found: Vec<(String, String)>,
    words: String,
    code: i32,
}

fn examine(url: &str, flags: &[&str]) -> Diagnosis {
    let output = midstate(&["doctor", url, "--json"]).args(flags).output().unwrap();
    let events = events(&output.stdout);
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let found = events.iter().map(|event| (text(event, "check"), text(event, "health"))).collect();
    let words: Vec<_> =
        events.iter().map(|event| text(event, "found") + " " + &text(event, "cure")).collect();
    let words = words.join("\n") + &String::from_utf8(output.stderr).unwrap();
    Diagnosis { found, words, code: output.status.code().unwrap() }
}

impl Diagnosis {
    /// Asserts the checks that were made, in order: those named are not ok, but as stated.
    #[track_caller]
    fn assert(&self, code: i32, checks: &[&str], not_ok: &[(&str, &str)], words: &[&str]) {
        let health = |check: &str| not_ok.iter().find(|(name, _)| *name == check);
        let expected: Vec<_> = checks
            .iter()
            .map(|check| (check.to_string(), health(check).map_or("ok", |(_, h)| h).to_owned()))
            .collect();
        assert_eq!(self.found, expected, "{}", self.words);
        assert_eq!(self.code, code, "{}", self.words);
        for word in words {
            assert!(self.words.contains(word), "{word:?} is not in: {}", self.words);
        }
    }
}

const ALL: [&str; 9] = [
    "name",
    "connection",
    "credentials",
    "chain",
    "sync",
    "peers",
    "template",
    "proposal",
    "clock",
];

fn datadir(node: &Bitcoind) -> [&str; 2] {
    ["--datadir", node.datadir.to_str().unwrap()]
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn u10_a_healthy_node_is_told_so_step_by_step() {
    let node = Bitcoind::regtest();
    node.generate(1);
    let flags = [&datadir(&node)[..], &["--chain", "regtest"]].concat();
    let healthy = examine(&node.url(), &flags);
    let words =
        ["the cookie ", "regtest", "block 1 is the tip", "/Satoshi:", "block 2, transactions: 0"];
    healthy.assert(0, &ALL, &[], &words);
    // Nothing was mined by looking.
    assert_eq!(node.height(), 1);

    // An hour ahead of us.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    node.call("setmocktime", json!([now.as_secs() + 3_600]));
    examine(&node.url(), &flags).assert(0, &ALL, &[("clock", "warn")], &["ahead of ours", "NTP"]);
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn u10_what_is_wrong_with_us_is_named_with_the_cure() {
    let node = Bitcoind::regtest();
    let url = node.url();
    let datadir = datadir(&node);
    let at_the_door = ["name", "connection", "credentials"];
    let locked = [("credentials", "fail")];

    let wrong = node.datadir.join("wrong");
    std::fs::write(&wrong, "__cookie__:wrong").unwrap();
    let cookie = ["--chain", "regtest", "--rpccookiefile", wrong.to_str().unwrap()];
    examine(&url, &cookie).assert(3, &at_the_door, &locked, &["(401)", "--datadir"]);
    let absent = ["--chain", "regtest", "--rpccookiefile", "/nowhere/.cookie"];
    examine(&url, &absent).assert(
        3,
        &at_the_door,
        &locked,
        &["/nowhere/.cookie", "when it starts"],
    );
    examine(&url, &["-u", "me", "-p", "wrong"]).assert(3, &at_the_door, &locked, &["(401)"]);

    let elsewhere = [&datadir[..], &["--chain", "signet", "-u", "me"]].concat();
    let half = examine(&url, &elsewhere);
    assert_eq!(half.code, 2, "{}", half.words);
    assert!(half.words.contains("both --user and --pass"), "{}", half.words);
    let cookie = node.cookie();
    let other_chain = ["--chain", "signet", "--rpccookiefile", cookie.to_str().unwrap()];
    let found = examine(&url, &other_chain);
    let words = ["is on regtest", "--chain says signet"];
    found.assert(1, &ALL[..4], &[("chain", "fail")], &words);
}

#[test]
fn u10_a_port_where_nobody_listens() {
    let free = Port::hold();
    let found = examine(&format!("http://{}", free.address()), &["-u", "me", "-p", "x"]);
    found.assert(5, &ALL[..2], &[("connection", "fail")], &["refused", "check the port"]);
}

/// The answer of a node where all is well, on mainnet.
fn answer(method: &str) -> Value {
    match method {
        "getblockchaininfo" => json!({
            "chain": "main", "blocks": 900_000, "headers": 900_000, "initialblockdownload": false,
        }),
        "getnetworkinfo" => json!({"connections": 8, "subversion": "/Satoshi:31.0.0/"}),
        other => panic!("the doctor asked for {other}"),
    }
}

/// A node with one trouble: what it says to `method` instead.
fn troubled(method: &'static str, status: u16, said: &Value) -> String {
    let said = said.clone();
    scripted(move |call| {
        let asked = call["method"].as_str().unwrap();
        match asked == method {
            true => (status, said.clone()),
            false => (200, json!({"result": answer(asked)})),
        }
    })
}

fn error(code: i64, message: &str) -> Value {
    json!({"result": null, "error": {"code": code, "message": message}})
}

#[test]
fn u10_what_a_node_goes_through_is_told_with_the_cure() {
    let login = ["-u", "me", "-p", "x"];
    let warming_up = error(-28, "Loading block index\u{2026}");
    let url = troubled("getblockchaininfo", 500, &warming_up);
    let words = ["Loading block index", "(-28)", "it is starting"];
    examine(&url, &login).assert(1, &ALL[..4], &[("chain", "fail")], &words);

    let testnet3 = json!({"result": {"chain": "test", "blocks": 1}});
    let url = troubled("getblockchaininfo", 200, &testnet3);
    let words = ["testnet3", "use testnet4"];
    examine(&url, &login).assert(1, &ALL[..4], &[("chain", "fail")], &words);

    let downloading = error(-10, "Bitcoin Core is in initial sync and waiting for blocks...");
    let url = troubled("getblocktemplate", 500, &downloading);
    let words = ["in initial sync", "still downloading the chain"];
    examine(&url, &login).assert(1, &ALL[..7], &[("template", "fail")], &words);

    let behind = json!({"result": {
        "chain": "main", "blocks": 5, "headers": 900_000, "initialblockdownload": true,
    }});
    let alone = json!({"connections": 0, "subversion": "/Satoshi:31.0.0/\u{1b}[31m"});
    let url = scripted(move |call| match call["method"].as_str().unwrap() {
        "getblockchaininfo" => (200, behind.clone()),
        "getnetworkinfo" => (200, json!({"result": alone})),
        _ => (500, error(-9, "Bitcoin Core is not connected!")),
    });
    let found = examine(&url, &login);
    let not_ok = [("sync", "warn"), ("peers", "warn"), ("template", "fail")];
    let words = ["block 5 of 900000", "connections: 0", "gives no work without peers"];
    found.assert(1, &ALL[..7], &not_ok, &words);
    assert!(!found.words.contains('\u{1b}'), "S11");

    let forbidden = troubled("getblockchaininfo", 403, &json!("no"));
    let found = examine(&forbidden, &login);
    found.assert(3, &ALL[..3], &[("credentials", "fail")], &["rpcallowip"]);
    let small = troubled("getblockchaininfo", 413, &json!("<html>"));
    let found = examine(&small, &login);
    assert!(found.words.contains("client_max_body_size"), "{}", found.words);
    let no_node = troubled("getblockchaininfo", 404, &json!("<html>"));
    let found = examine(&no_node, &login);
    let words = ["HTTP status 404", "Bitcoin Core RPC port"];
    found.assert(1, &["name", "connection", "chain"], &[("chain", "fail")], &words);
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn u10_signets_are_told_apart_by_who_may_mine() {
    let checks = [&ALL[..7], &["signet challenge", "proposal", "clock"]].concat();
    let not_ok = [("sync", "warn"), ("peers", "warn")];
    let open = Bitcoind::start("signet", &["-signet", "-signetchallenge=51"]);
    let flags = [&datadir(&open)[..], &["--chain", "signet"]].concat();
    let found = examine(&open.url(), &flags);
    found.assert(0, &checks, &not_ok, &["any miner may mine here"]);
    drop(open);

    let signed = Bitcoind::start("signet", &["-signet"]);
    let flags = [&datadir(&signed)[..], &["--chain", "signet"]].concat();
    let found = examine(&signed.url(), &flags);
    let not_ok = [&not_ok[..], &[("signet challenge", "fail")]].concat();
    found.assert(1, &checks[..8], &not_ok, &["must be signed by the holders of its key"]);
}

/// The exit codes and the words of a miner and of the doctor, at a node on regtest that answers
/// `getblocktemplate` so.
fn judged(template: &Value) -> [(i32, String); 2] {
    let template = template.clone();
    both_say(move || template.clone(), &json!("bad-cb-amount"))
}

/// The same, with what it says to a proposal.
fn both_say(
    template: impl Fn() -> Value + Clone + Send + 'static,
    proposal: &Value,
) -> [(i32, String); 2] {
    let proposal = proposal.clone();
    let url = scripted(move |call| {
        let result = match call["method"].as_str().unwrap() {
            "getblockchaininfo" => json!({
                "chain": "regtest", "blocks": 0, "headers": 0, "initialblockdownload": false,
            }),
            "getnetworkinfo" => json!({"connections": 0, "subversion": "/btcwire:0.5.0/"}),
            "getblocktemplate" if call["params"][0]["mode"] == "proposal" => proposal.clone(),
            "getblocktemplate" => template(),
            "submitblock" => json!(null),
            other => panic!("{other}"),
        };
        (200, json!({"result": result}))
    });
    let found = examine(&url, &["-u", "me", "-p", "x"]);
    let spool = std::env::temp_dir().join(format!("midstate-rule25-{}", std::process::id()));
    let miner = midstate(&["mine", "-o", &url, "-u", "me", "-p", "x", "--json"])
        .args(["--address", "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "--threads", "1"])
        .args(["--time-limit", "3", "--spool", spool.to_str().unwrap()])
        .output()
        .unwrap();
    let words = String::from_utf8(miner.stdout).unwrap() + &String::from_utf8_lossy(&miner.stderr);
    [(found.code, found.words), (miner.status.code().unwrap(), words)]
}

/// A template without transactions, on regtest's first block.
fn template() -> Value {
    json!({
        "capabilities": ["proposal"], "version": 536_870_912, "rules": ["csv", "!segwit"],
        "previousblockhash": "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
        "transactions": [], "coinbaseaux": {}, "coinbasevalue": 5_000_000_000_u64,
        "target": format!("7fffff{}", "0".repeat(58)), "bits": "207fffff", "height": 1,
        "curtime": std::time::SystemTime::now()
            .duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs(),
        "sigoplimit": 80_000,
    })
}

#[test]
fn rule_25_mine_and_doctor_name_what_is_wrong_with_a_template_and_do_not_wait() {
    let commitment = format!("6a24aa21a9ed{}", "0".repeat(64));
    for (change, words) in [
        (json!({"rules": null, "default_witness_commitment": commitment}), "do not name segwit"),
        (json!({"coinbasevalue": null, "coinbasetxn": {"data": "00"}}), "coinbasetxn"),
        (json!({"bits": "1d00ffff"}), "1d00ffff"),
        (json!({"height": "one"}), "height"),
        (json!({"curtime": null}), "no curtime"),
        (json!({"coinbaseaux": {"x": "00".repeat(90)}}), "wants 90 bytes of its own"),
    ] {
        let mut template = template();
        for (key, value) in change.as_object().unwrap() {
            template[key] = value.clone();
        }
        for (code, said) in judged(&template) {
            assert_eq!(code, 1, "{change}: {said}");
            assert!(said.contains(words), "{change}: {said}");
        }
    }
    // A block that the node would refuse: another template may be better, so the miner waits.
    let [doctor, miner] = judged(&template());
    assert_eq!((doctor.0, miner.0), (1, 0), "{doctor:?} {miner:?}");
    for (_, said) in [doctor, miner] {
        assert!(said.contains("would refuse our block at height 1: bad-cb-amount"), "{said}");
    }
}

#[test]
fn rule_25_the_doctor_judges_late_and_strange_proposals_as_the_miner_does() {
    let not_best = json!("inconclusive-not-best-prevblk");
    // A tip that the node does not take for its best: nobody mines on it.
    let [doctor, miner] = both_say(template, &not_best);
    assert_eq!((doctor.0, miner.0), (1, 0), "{doctor:?} {miner:?}");
    for said in [&doctor.1, &miner.1] {
        assert!(said.contains("that it does not take for its best"), "{said}");
    }
    assert!(!miner.1.contains(r#""event":"job""#), "{}", miner.1);

    // Another tip each time: the node is slow, or its chain is fast.
    let count = Arc::new(AtomicU32::new(0));
    let moving = move || {
        let tip = format!("{:064x}", count.fetch_add(1, Ordering::Relaxed));
        let mut template = template();
        template["previousblockhash"] = json!(tip);
        template
    };
    let [doctor, miner] = both_say(moving, &not_best);
    assert_eq!((doctor.0, miner.0), (0, 0), "{doctor:?} {miner:?}");
    assert!(doctor.1.contains("each time the tip moved"), "{}", doctor.1);
    assert!(miner.1.contains("checks our blocks too slowly"), "{}", miner.1);
    assert!(miner.1.contains(r#""event":"job""#), "{}", miner.1);

    // A reason whose cause is known.
    for said in both_say(template, &json!("time-too-new")) {
        assert!(
            said.1.contains("time-too-new: its time is too far ahead of the node's clock"),
            "{said:?}"
        );
        assert!(said.1.contains("check both clocks"), "{said:?}");
    }

    // Neither yes nor no.
    let [doctor, miner] = both_say(template, &json!(true));
    for said in [&doctor.1, &miner.1] {
        assert!(said.contains("could not be checked (the node says true)"), "{said}");
    }
    assert!(miner.1.contains(r#""event":"job""#), "{}", miner.1);
}
