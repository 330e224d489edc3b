//! How runs end: the summary is the last line on every path (rule 22), and no line promises
//! something that the end takes back (rule 27).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::pools::{answer, notify, pool, refuse};
use crate::port::Port;
use crate::program::{Directory, events, run};

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
const GENESIS: &str = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";

/// A node that answers each call as `script` has it, with the number of calls before: the status of
/// HTTP and the result. Its URL, with a password.
fn node(script: impl Fn(&str, usize) -> (u16, Value) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://me:secret@{}", listener.local_addr().unwrap());
    let (script, calls) = (Arc::new(script), Arc::new(AtomicUsize::new(0)));
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (script, calls) = (Arc::clone(&script), Arc::clone(&calls));
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                loop {
                    let mut length = 0;
                    loop {
                        let mut line = String::new();
                        if reader.read_line(&mut line).unwrap_or(0) == 0 {
                            return;
                        }
                        if line == "\r\n" {
                            break;
                        }
                        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                            length = value.trim().parse().unwrap();
                        }
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    let call: Value = serde_json::from_slice(&body).unwrap();
                    let method = match call["params"][0]["mode"].as_str() {
                        Some("proposal") => "proposal",
                        _ => call["method"].as_str().unwrap(),
                    };
                    let before = calls.fetch_add(1, Ordering::Relaxed);
                    let (status, result) = script(method, before);
                    let body = json!({"result": result, "error": null, "id": call["id"]});
                    let body = if status == 200 { body.to_string() } else { String::new() };
                    let head = format!(
                        "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\n\
                         Content-Length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    // A miner that hung up wants no answer.
                    let _ = stream.write_all(head.as_bytes());
                }
            });
        }
    });
    url
}

/// A node on regtest with one template for ever, as long as `is_well`. Then it refuses the
/// password.
fn node_until(is_well: impl Fn(&str, usize) -> bool + Send + Sync + 'static) -> String {
    node(move |method, before| match method {
        _ if !is_well(method, before) => (401, Value::Null),
        "getblockchaininfo" => {
            (200, json!({"chain": "regtest", "blocks": 0, "initialblockdownload": false}))
        }
        "getblocktemplate" => (200, template(&json!([]))),
        _ => (200, Value::Null),
    })
}

fn template(more_rules: &Value) -> Value {
    let mut rules = vec![json!("csv"), json!("!segwit")];
    rules.extend(more_rules.as_array().unwrap().iter().cloned());
    json!({
        "capabilities": ["proposal"], "version": 536_870_912, "rules": rules,
        "vbavailable": {}, "vbrequired": 0, "previousblockhash": GENESIS, "transactions": [],
        "coinbaseaux": {}, "coinbasevalue": 5_000_000_000_u64,
        "target": format!("7fffff{}", "00".repeat(29)),
        "mintime": 1_700_000_000, "mutable": ["time", "transactions", "prevblock"],
        "noncerange": "00000000ffffffff", "sigoplimit": 80_000, "sizelimit": 4_000_000,
        "weightlimit": 4_000_000, "curtime": 1_700_000_000, "bits": "207fffff", "height": 1,
    })
}

/// Runs it with and without `--json` to the exit code that is expected. What people read, in order;
/// asserts that programs read the summary last, with this reason.
fn ends(arguments: &[&str], code: i32, reason: &str) -> String {
    let output = run(&[arguments, &["--json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    let events = events(&output.stdout);
    let summary = events.last().unwrap_or_else(|| panic!("no event: {stderr}"));
    assert_eq!(summary["event"], "summary", "{arguments:?}: the summary is the last line");
    assert_eq!(summary["reason"], reason, "{arguments:?}: {stderr}");
    assert_eq!(events.iter().filter(|event| event["event"] == "summary").count(), 1);
    for field in ["seconds", "hashes", "hps", "kernel", "threads", "shares", "blocks"] {
        assert!(!summary[field].is_null(), "{field}: {summary}");
    }
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn rule_22_a_run_that_fails_before_mining_ends_with_the_summary() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let hash = ["--kernel", "scalar", "--threads", "1"];
    for (arguments, words) in [
        (&["mine", "-o", "127.0.0.1:1", "-u", "me", "--web", &taken][..], "take a free port"),
        (&["demo", "--blocks", "1", "--web", &taken], "take a free port"),
        (&["demo", "--blocks", "1", "--listen", &taken], "take a free port"),
    ] {
        let said = ends(&[arguments, &hash].concat(), 1, "error");
        assert!(said.contains(words), "{said}");
    }
    // Flags that make no sense are no run.
    let usage = run(&["mine", "-o", "127.0.0.1:1", "--json"]);
    assert_eq!((usage.status.code(), &usage.stdout[..]), (Some(2), &b""[..]));
}

#[test]
fn rule_22_a_demo_at_a_node_that_ends_in_an_error_ends_with_the_summary() {
    let directory = Directory::new("endings-demo");
    let rule = node(|method, _| match method {
        "getblockchaininfo" => {
            (200, json!({"chain": "regtest", "blocks": 0, "initialblockdownload": false}))
        }
        "getblocktemplate" => (200, template(&json!(["!newrule"]))),
        _ => (200, Value::Null),
    });
    let chain = node(|_, _| (200, json!({"chain": "main", "blocks": 0})));
    for (url, code, words) in
        [(node_until(|_, _| false), 3, "401"), (rule, 1, "newrule"), (chain, 2, "main")]
    {
        let demo = ["demo", "--node", &url, "--address", ADDRESS, "--kernel", "scalar", "-t", "1"];
        let spool = ["--spool", directory.0.to_str().unwrap()];
        let said = ends(&[&demo[..], &spool].concat(), code, "error");
        assert!(said.contains(words), "{words:?} is not in: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

/// Words of what will be. Each of these ends is final, so that none of them could come true.
fn promises(said: &str) -> Vec<&str> {
    let is_promise = |line: &&str| {
        let line = line.to_lowercase();
        let words: Vec<_> = line.split(|c: char| !c.is_alphanumeric()).collect();
        let of_the_future =
            ["again", "until", "will", "next", "every", "yet", "soon", "later", "anew", "retry"];
        of_the_future.iter().any(|word| words.contains(word))
    };
    said.lines().filter(is_promise).collect()
}

#[test]
fn rule_27_no_line_promises_what_the_end_takes_back() {
    let directory = Directory::new("endings-promises");
    let spool = directory.0.to_str().unwrap();
    let refusing = |method: &'static str, error: Value| {
        pool(move |request, stream| match request["method"].as_str().unwrap() {
            asked if asked == method => refuse(stream, request, &error),
            "mining.subscribe" => answer(stream, request, &json!([[], "00000001", 4])),
            "mining.authorize" => {
                answer(stream, request, &json!(true));
                let easy = json!({"id": null, "method": "mining.set_difficulty", "params": [1e-6]});
                let _ = stream.write_all(format!("{easy}\n{}", notify("a")).as_bytes());
            }
            _ => answer(stream, request, &json!(true)),
        })
    };
    let stranger = refusing("mining.authorize", json!([24, "no such worker", null]));
    let strict = refusing("mining.submit", json!([20, "Invalid address", null]));
    let closed = Port::hold();
    let closed = closed.address().to_string();
    // It lets the first one in, and then nobody any more.
    let first = Mutex::new(true);
    let first = Arc::new(first);
    let fickle = pool(move |request, stream| match request["method"].as_str().unwrap() {
        "mining.authorize" if std::mem::take(&mut *first.lock().unwrap()) => {
            answer(stream, request, &json!(true));
            let _ = stream.write_all(notify("a").as_bytes());
            thread::sleep(std::time::Duration::from_millis(300));
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        "mining.authorize" => {
            let error = json!({"id": request["id"], "result": false, "error": [24, "gone", null]});
            let _ = writeln!(stream, "{error}");
        }
        "mining.subscribe" => answer(stream, request, &json!([[], "00000001", 4])),
        _ => answer(stream, request, &json!(false)),
    });
    // A block is found in the first calls; then the password is wrong.
    let solo = || node_until(|method, before| before < 12 && method != "submitblock");
    let chain = node(|_, _| (200, json!({"chain": "main", "blocks": 0})));
    let rule = node(|method, _| match method {
        "getblockchaininfo" => {
            (200, json!({"chain": "regtest", "blocks": 0, "initialblockdownload": false}))
        }
        _ => (200, template(&json!(["!newrule"]))),
    });
    let (solo, pace) = (solo(), solo());
    let at_node = |url| ["-o", url, "--address", ADDRESS, "--spool", spool];
    let mut cases: Vec<(Vec<&str>, i32)> = vec![
        (vec!["-o", &stranger, "-u", "me"], 3),
        (vec!["-o", &fickle, "-u", "me", "--give-up", "3"], 5),
        (vec!["-o", &closed, "-u", "me", "--give-up", "2"], 5),
        (vec!["-o", &closed, "-o", &closed, "-u", "me", "--give-up", "2"], 5),
        (vec!["-o", &closed, "-u", "me", "--shares", "1", "--time-limit", "2"], 6),
        (vec!["-o", &strict, "-u", "me", "--blocks", "1", "--time-limit", "12"], 6),
        ([&at_node(&chain)[..], &["--chain", "regtest"]].concat(), 2),
        (at_node(&rule).to_vec(), 1),
        ([&at_node(&solo)[..], &["--give-up", "2"]].concat(), 5),
        ([&at_node(&pace)[..], &["--block-interval", "60", "--time-limit", "12"]].concat(), 0),
    ];
    thread::scope(|scope| {
        for (arguments, code) in cases.drain(..) {
            scope.spawn(move || {
                let hash = ["--kernel", "scalar", "--threads", "1", "--max-hashrate", "50k"];
                let mine = [&["mine"], &arguments[..], &hash].concat();
                let output = run(&mine);
                let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
                assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
                let promises = promises(&said);
                assert!(promises.is_empty(), "{arguments:?} promises {promises:?} in: {said}");
            });
        }
    });
}
