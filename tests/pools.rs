//! `mine` and `doctor` at pools that behave and pools that do not: exit codes, the configuration
//! file, signals, floods (S6, S9, U6, U8).

use std::cell::Cell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::port::Port;
use crate::program::{Lines, PATIENCE, Running, fail, midstate, run};

/// A pool that calls `serve` for every line of every connection, on a free port.
pub(crate) fn pool(serve: impl Fn(&Value, &mut TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || {
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                for line in lines.map_while(Result::ok) {
                    serve(&serde_json::from_str(&line).unwrap(), &mut stream);
                }
            });
        }
    });
    address
}

pub(crate) fn answer(stream: &mut TcpStream, request: &Value, result: &Value) {
    let answer = json!({"id": request["id"], "result": result, "error": null});
    // A miner that hung up wants no answer.
    let _ = writeln!(stream, "{answer}");
}

/// An answer that is an error, such as `[23, "Low difficulty share", null]`.
pub(crate) fn refuse(stream: &mut TcpStream, request: &Value, error: &Value) {
    let answer = json!({"id": request["id"], "result": null, "error": error});
    // As above.
    let _ = writeln!(stream, "{answer}");
}

pub(crate) fn notify(id: &str) -> String {
    let coinbase = format!("02000000{}ffffffff0a510000", "00".repeat(37));
    let params = json!([
        id,
        "00".repeat(32),
        coinbase,
        "ffffffff0000000000",
        [],
        "20000000",
        "1d00ffff",
        "65000000",
        true
    ]);
    format!("{}\n", json!({"id": null, "method": "mining.notify", "params": params}))
}

/// Answers the handshake; on `mining.authorize` sends a job that is named after the pool.
fn friendly(name: &'static str) -> impl Fn(&Value, &mut TcpStream) + Clone + Send + 'static {
    move |request, stream| match request["method"].as_str().unwrap() {
        "mining.subscribe" => {
            answer(stream, request, &json!([[["mining.notify", "1"]], "00000001", 4]));
        }
        "mining.authorize" => {
            answer(stream, request, &json!(true));
            let _ = stream.write_all(notify(name).as_bytes());
        }
        "mining.submit" => answer(stream, request, &json!(true)),
        _ => answer(stream, request, &json!(false)),
    }
}

fn file(name: &str, text: &str) -> PathBuf {
    let directory = std::env::temp_dir().join(format!("midstate-pools-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn s9_a_pool_that_refuses_authorization_is_tried_twice_and_then_exit_3() {
    let (told, asked) = mpsc::channel();
    let address = pool(move |request, stream| match request["method"].as_str().unwrap() {
        "mining.authorize" => {
            told.send(()).unwrap();
            refuse(stream, request, &json!([24, "no such worker", null]));
        }
        _ => friendly("a")(request, stream),
    });
    let (code, stderr) = fail(&["mine", "-o", &address, "-u", "nobody", "--threads", "1"]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("no such worker"), "{stderr}");
    assert_eq!(asked.try_iter().count(), 2, "one retry");
}

#[test]
fn u8_mistakes_in_the_configuration_are_usage() {
    for (text, words) in [
        ("[[pool]]\nurl = 'a:1'\nuzer = 'me'\n", ["line 3", "did you mean `user`?"]),
        ("[[pool]]\nurl = 'gopher://a:1'\nuser = 'me'\n", ["line 2", "unknown scheme"]),
        ("[[pool]]\nurl = 'a:1'\n", ["no user", "a:1"]),
        ("user = 'me'\n", ["names no pool", "[[pool]]"]),
    ] {
        let path = file("wrong.toml", text);
        let (code, stderr) = fail(&["mine", "-c", path.to_str().unwrap()]);
        assert_eq!(code, 2, "{stderr}");
        for word in words {
            assert!(stderr.contains(word), "{word:?} is not in: {stderr}");
        }
    }
    let (code, stderr) = fail(&["mine", "-c", "/nowhere/midstate.toml"]);
    assert_eq!(code, 2, "{stderr}");
}

#[test]
fn u8_a_dry_run_says_what_would_be_done_and_does_nothing() {
    let (pin, address) = ("5a".repeat(32), "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080");
    let text = format!(
        "user = 'me'\nproxy = 'socks5://127.0.0.1:9050'\n\
         [[pool]]\nurl = 'stratum+tls://nowhere.invalid:443'\ntls-pin = '{pin}'\n\
         [[pool]]\nurl = 'nowhere.invalid:3333'\nuser = 'other'\n"
    );
    let path = file("dry.toml", &text);
    let flags = ["--dry-run", "--kernel", "scalar", "--threads", "2", "--blocks", "3"];
    let at_pools = [&["mine", "-c", path.to_str().unwrap()][..], &flags].concat();
    let output = run(&at_pools);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    for words in [
        "mine at stratum+tls://nowhere.invalid:443 as me, trusting --tls-pin, through socks5",
        "or else at stratum+tcp://nowhere.invalid:3333 as other, through socks5",
        "with scalar, 2 threads",
        "until 3 accepted blocks",
    ] {
        assert!(text.contains(words), "{words:?} is not in: {text}");
    }

    let plan = crate::program::events(&run(&[&at_pools[..], &["--json"]].concat()).stdout);
    let [plan] = &plan[..] else { panic!("one event: {plan:?}") };
    assert_eq!((&plan["event"], &plan["kernel"]), (&"plan".into(), &"scalar".into()));
    assert_eq!((&plan["threads"], &plan["blocks"]), (&2.into(), &3.into()));
    let rate = |field: &str| plan[field].as_f64().unwrap();
    assert!(0.0 < rate("hps") && rate("hps") <= rate("hps_possible"), "{plan}");
    assert_eq!(plan["servers"][1]["user"], "other");
    assert_eq!(plan["servers"][1]["trust"], Value::Null, "there is no TLS");

    let spool = std::env::temp_dir().join(format!("midstate-dry-run-{}", std::process::id()));
    let spool = spool.to_str().unwrap();
    let node = ["mine", "-o", "http://127.0.0.1:1", "--address", address, "--spool", spool];
    let output = run(&[&node[..], &flags, &["-u", "a", "-p", "b"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let words = format!("mine at http://127.0.0.1:1\nsolved blocks wait in {spool}\n");
    assert!(text.starts_with(&words), "{text}");
    assert!(!std::path::Path::new(spool).exists(), "nothing is written");
}

#[test]
fn s8_trust_that_makes_no_sense_is_usage() {
    for (arguments, word) in [
        (&["-o", "a:1", "--tls-insecure"][..], "stratum+tls://"),
        (&["-o", "stratum+tls://a:1", "--tls-pin", "abc"], "64 hex digits"),
        (&["-o", "stratum+tls://a:1", "--cert", "/nowhere/ca.pem"], "/nowhere/ca.pem"),
        (&["-o", "stratum+tls://a:1", "--tls-insecure", "--tls-pin", "abc"], "cannot be used"),
        (&["-o", "a:1", "--proxy", "http://b:2"], "socks5://"),
        (&["-o", "a:1", "--payout-strict"], "--expect-payout"),
        (&["-o", "a:1", "--expect-payout", "bc1qw508"], "no Bitcoin address"),
    ] {
        let (code, stderr) = fail(&[&["mine", "-u", "me"], arguments].concat());
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(word), "{word:?} is not in: {stderr}");
    }
}

#[test]
fn u3_a_user_that_nobody_could_pay_is_usage_unless_meant() {
    let user = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3tx.rig";
    let (code, stderr) = fail(&["mine", "-o", "a:1", "-u", user, "--dry-run"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("no Bitcoin address") && stderr.contains("--any-user"), "{stderr}");
    let table = format!("[[pool]]\nurl = 'a:1'\nuser = '{user}'\n");
    let path = file("mistyped.toml", &table);
    assert_eq!(fail(&["mine", "-c", path.to_str().unwrap(), "--dry-run"]).0, 2);

    let hash = ["--dry-run", "--kernel", "scalar"];
    let path = file("meant.toml", &format!("{table}any-user = true\n"));
    let meant = [
        &["mine", "-c", path.to_str().unwrap()][..],
        &["mine", "-o", "a:1", "-u", user, "--any-user"],
        &[
            "--compat",
            "minerd",
            "-o",
            "stratum+tcp://127.0.0.1:1",
            "-u",
            user,
            "-r",
            "0",
            "-R",
            "1",
        ],
    ];
    for arguments in &meant[..2] {
        let output = run(&[*arguments, &hash].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
    }
    // minerd sends what it is told: this one fails for want of a pool.
    let (code, stderr) = fail(meant[2]);
    assert_eq!(code, 5, "{stderr}");
}

#[cfg(unix)]
#[test]
fn u6_hangup_reads_the_pools_again_and_user1_prints_the_status() {
    let (first, second) = (pool(friendly("first")), pool(friendly("second")));
    let config = |pool: &str| format!("user = 'me'\nthreads = 1\n[[pool]]\nurl = '{pool}'\n");
    let path = file("reload.toml", &config(&first));
    let mut child = midstate(&["mine", "--json", "-c", path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = Lines::of(child.stdout.take().unwrap());
    let mut stderr = Lines::of(child.stderr.take().unwrap());
    let mut wait_for_words = |words: &[&str]| {
        stderr.find(|line| words.iter().all(|word| line.contains(word)).then_some(()));
    };
    let mut wait_for_job = |id: &str| {
        stdout.find(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            (event["event"] == "job" && event["job_id"] == id).then_some(())
        });
    };
    let pid = child.id().to_string();
    let signal = |name: &str| {
        let status = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(status.unwrap().success());
    };
    wait_for_job("first");
    signal("USR1");
    wait_for_words(&["status: "]);
    // A file that is wrong now changes nothing.
    std::fs::write(&path, "nonsense").unwrap();
    signal("HUP");
    wait_for_words(&["kept the pools as they were", "line 1"]);
    std::fs::write(&path, config(&second)).unwrap();
    signal("HUP");
    wait_for_words(&["read the configuration again"]);
    wait_for_job("second");
    signal("INT");
    stdout.drain();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// SIGHUP reads its files off the mining loop: a pipe in the place of the configuration, into which
/// nothing is written, holds up neither the status nor the end.
#[cfg(unix)]
#[test]
fn sighup_reads_its_files_off_the_mining_loop() {
    let config = format!("user = 'me'\nthreads = 1\n[[pool]]\nurl = '{}'\n", pool(friendly("a")));
    let path = file("pipe.toml", &config);
    let mut child = midstate(&["mine", "--json", "-c", path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = Lines::of(child.stdout.take().unwrap());
    let mut stderr = Lines::of(child.stderr.take().unwrap());
    let mut wait_for_words = |words: &str| stderr.find(|line| line.contains(words).then_some(()));
    let pid = child.id().to_string();
    let signal = |name: &str| {
        let status = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(status.unwrap().success());
    };
    stdout.find(|line| line.contains(r#""event":"job""#).then_some(()));
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    signal("HUP");
    signal("USR1");
    wait_for_words("status: ");
    // A request during the reading is not lost: the file is read once more.
    signal("HUP");
    wait_for_words("the configuration is being read");
    std::fs::write(&path, &config).unwrap();
    wait_for_words("read the configuration again: 1 pool");
    std::fs::write(&path, &config).unwrap();
    wait_for_words("read the configuration again: 1 pool");
    // Nor does a reading that never ends hold up the end.
    signal("HUP");
    signal("USR1");
    wait_for_words("status: ");
    signal("INT");
    stdout.find(|line| line.contains(r#""event":"summary""#).then_some(()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A home with that configuration, and where the configuration is.
#[cfg(unix)]
fn home(name: &str, text: &str) -> (PathBuf, PathBuf) {
    let home = std::env::temp_dir().join(format!("midstate-home-{name}-{}", std::process::id()));
    let directory = home.join(".config/midstate");
    std::fs::create_dir_all(&directory).unwrap();
    let config = directory.join("config.toml");
    std::fs::write(&config, text).unwrap();
    (home, config)
}

#[cfg(unix)]
#[test]
fn u8_the_configuration_in_its_usual_place_is_read_when_nothing_else_is_said() {
    let text = "user = 'me'\n[[pool]]\nurl = 'usual.invalid:3333'\n";
    let (home, config) = home("usual", text);
    let xdg = home.join(".config");
    let shown = config.to_str().unwrap();
    let mine = |arguments: &[&str], xdg: Option<&str>| {
        let common = ["mine", "--dry-run", "--kernel", "scalar", "--threads", "1"];
        let mut mine = midstate(&[&common, arguments].concat());
        mine.env("HOME", &home).env_remove("XDG_STATE_HOME");
        match xdg {
            Some(xdg) => mine.env("XDG_CONFIG_HOME", xdg),
            None => mine.env_remove("XDG_CONFIG_HOME"),
        };
        let output = mine.current_dir(&home).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    // XDG has its user ignore what is no absolute path.
    for place in [xdg.to_str(), None, Some(""), Some("elsewhere")] {
        let (code, stdout, stderr) = mine(&[], place);
        assert_eq!(code, Some(0), "{place:?}: {stderr}");
        assert!(stdout.contains("mine at stratum+tcp://usual.invalid:3333 as me"), "{stdout}");
        assert!(stderr.contains(shown), "{stderr}");
    }
    let (code, _, stderr) = mine(&[], Some("/nowhere"));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("/nowhere/midstate/config.toml"), "{stderr}");

    let address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    let other = file("other.toml", &text.replace("usual", "other"));
    for said in [
        &["-o", "said.invalid:3333", "-u", "me"][..],
        &["-c", other.to_str().unwrap()],
        &["--address", address, "--chain", "regtest"],
    ] {
        let (code, stdout, stderr) = mine(said, None);
        assert_eq!(code, Some(0), "{stderr}");
        assert!(!stdout.contains("usual.invalid") && !stderr.contains(shown), "{stdout}{stderr}");
    }
    let (code, stdout, stderr) = mine(&["-u", "flag"], None);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("usual.invalid:3333 as flag"), "a flag wins: {stdout}");

    std::fs::write(&config, "nonsense").unwrap();
    let (code, _, stderr) = mine(&[], None);
    assert!(code == Some(2) && stderr.contains(shown) && stderr.contains("line 1"), "{stderr}");
    // Not even root can read a directory as a file.
    std::fs::remove_file(&config).unwrap();
    std::fs::create_dir(&config).unwrap();
    let (code, _, stderr) = mine(&[], None);
    assert!(code == Some(2) && stderr.contains("cannot read the configuration"), "{stderr}");
    std::fs::remove_dir_all(&home).unwrap();
}

#[cfg(unix)]
#[test]
fn u8_hangup_reads_the_usual_configuration_again() {
    let (first, second) = (pool(friendly("first")), pool(friendly("second")));
    let text = |pool: &str| format!("user = 'me'\nthreads = 1\n[[pool]]\nurl = '{pool}'\n");
    let (home, config) = home("again", &text(&first));
    let mut child = midstate(&["mine", "--json"])
        .env("XDG_CONFIG_HOME", home.join(".config"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = Lines::of(child.stdout.take().unwrap());
    let mut wait_for_job = |id: &str| {
        stdout.find(|line| {
            let event: Value = serde_json::from_str(line).unwrap();
            (event["event"] == "job" && event["job_id"] == id).then_some(())
        });
    };
    wait_for_job("first");
    std::fs::write(&config, text(&second)).unwrap();
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    wait_for_job("second");
    interrupt(&child);
    stdout.drain();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    std::fs::remove_dir_all(&home).unwrap();
}

#[test]
fn the_limits_can_be_printed() {
    let output = run(&["mine", "--print-limits"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for words in ["line from a pool", "524288 bytes", "TLS handshake", "exit 3"] {
        assert!(text.contains(words), "{words:?} is not in: {text}");
    }
    let share_rate = |flags: &[&str]| {
        let output = run(&[&["mine", "--print-limits", "--json"], flags].concat());
        let limits = crate::program::events(&output.stdout);
        let row = limits.iter().find(|limit| limit["name"] == "shares a second").unwrap();
        row["value"].clone()
    };
    assert_eq!(share_rate(&[]), "200");
    assert_eq!(share_rate(&["--max-share-rate", "5"]), "5");
}

/// The address of a pool at which shares are found by the thousand, all good, and their count.
fn easy_pool() -> (String, Arc<AtomicUsize>) {
    easy_pool_of(1e-6)
}

/// The same at this difficulty.
pub(crate) fn easy_pool_of(difficulty: f64) -> (String, Arc<AtomicUsize>) {
    let submitted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&submitted);
    let address =
        pool(move |request, stream| match request["method"].as_str().expect("a method") {
            "mining.submit" => {
                count.fetch_add(1, Ordering::Relaxed);
                answer(stream, request, &json!(true));
            }
            "mining.authorize" => {
                let easy = json!({"id": null, "method": "mining.set_difficulty",
                                  "params": [difficulty]});
                let _ = writeln!(stream, "{easy}");
                friendly("a")(request, stream);
            }
            _ => friendly("a")(request, stream),
        });
    (address, submitted)
}

#[test]
fn s6_no_more_shares_are_sent_than_the_user_wants_and_the_others_are_counted() {
    const RATE: usize = 3;
    let (address, submitted) = easy_pool();
    let started = std::time::Instant::now();
    let rate = RATE.to_string();
    let output = run(&[
        "mine",
        "-o",
        &address,
        "-u",
        "me",
        "--shares",
        "5",
        "--max-share-rate",
        &rate,
        "--json",
    ]);
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let summary = crate::program::events(&output.stdout).pop().unwrap();
    let shares = |verdict: &str| summary["shares"][verdict].as_u64().unwrap();
    assert!(shares("throttled") > 0, "{summary}");
    let verdicts = ["accepted", "rejected", "stale", "throttled", "unresolved"];
    assert_eq!(shares("found"), verdicts.into_iter().map(shares).sum::<u64>(), "{summary}");
    // A second's worth at once, then so many a second.
    let most = RATE as f64 * (1.0 + seconds);
    let sent = submitted.load(Ordering::Relaxed);
    assert!((5.0..=most).contains(&(sent as f64)), "{sent} in {seconds} s");
}

#[test]
fn u10_doctor_examines_a_pool_step_by_step() {
    let output = run(&["doctor", &pool(friendly("a")), "-u", "me", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Vec<_> = crate::program::events(&output.stdout)
        .iter()
        .map(|event| (event["check"].clone(), event["health"].clone()))
        .collect();
    let ok = ["name", "connection", "subscribe", "authorize", "first job"];
    let mut expected: Vec<_> = ok.iter().map(|check| (json!(check), json!("ok"))).collect();
    // The job of this pool is from 2023.
    expected.push((json!("clock"), json!("warn")));
    assert_eq!(found, expected);

    let free = Port::hold();
    let (code, stderr) = fail(&["doctor", &free.address().to_string()]);
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("refused"), "{stderr}");
}

#[test]
fn s11_the_summary_counts_refusals_by_reason() {
    let address = pool(move |request, stream| match request["method"].as_str().unwrap() {
        "mining.submit" => {
            refuse(stream, request, &json!([23, "low difficulty", null]));
        }
        "mining.authorize" => {
            let easy = json!({"id": null, "method": "mining.set_difficulty", "params": [1e-5]});
            let _ = writeln!(stream, "{easy}");
            friendly("a")(request, stream);
        }
        _ => friendly("a")(request, stream),
    });
    let mut miner = Running::start(&["mine", "-o", &address, "-u", "me", "--threads", "1"]);
    miner.wait_for(|event| event["event"] == "share" && event["verdict"] == "rejected");
    miner.signal("INT");
    let summary = miner.wait_for(|event| event["event"] == "summary");
    let rejected = &summary["shares"]["rejected"];
    assert!(rejected.as_u64().unwrap() > 0, "{summary}");
    let reason = json!({"reason": "low difficulty (code 23)", "count": rejected});
    assert_eq!(summary["rejects"], json!([reason]), "{summary}");
}

/// A miner that has found more than a pipe holds, and whose stdout nobody has read.
#[cfg(unix)]
fn unread_miner() -> (std::process::Child, usize) {
    const SHARES: usize = 600;
    let (address, submitted) = easy_pool();
    // No faster, so that the lines which wait for a reader stay far from being too many to keep.
    let slow = ["--threads", "1", "--max-hashrate", "1M", "--json"];
    let child = midstate(&[&["mine", "-o", &address, "-u", "me"][..], &slow].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while submitted.load(Ordering::Relaxed) < SHARES {
        assert!(begun.elapsed() < PATIENCE, "{submitted:?} shares and no more");
        thread::sleep(Duration::from_millis(20));
    }
    (child, SHARES)
}

#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn whoever_does_not_read_does_not_stop_the_mining() {
    let (mut child, least) = unread_miner();
    interrupt(&child);
    let mut told = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut told).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let events = crate::program::events(&told);
    let shares = events.iter().filter(|event| event["event"] == "share").count();
    assert!(shares >= least, "{shares} shares");
    assert_eq!(events.last().unwrap()["shares"]["found"], shares, "every share was told");
}

#[cfg(unix)]
#[test]
fn a_second_ctrl_c_ends_it_though_nobody_reads_the_summary() {
    let (mut child, _) = unread_miner();
    let begun = Instant::now();
    // The first one stops the mining; the summary then waits for a reader.
    let code = loop {
        interrupt(&child);
        thread::sleep(Duration::from_millis(300));
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        assert!(begun.elapsed() < PATIENCE, "it goes on");
    };
    assert_eq!(code, Some(130));
}

/// Resident memory of a process, in bytes.
#[cfg(target_os = "linux")]
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[test]
fn s6_a_flood_of_jobs_at_no_difficulty_from_a_silent_pool_costs_no_memory() {
    const FLOOD: Duration = Duration::from_secs(5);
    const JOBS_A_SECOND: f64 = 10_000.0;
    const MOST_GROWTH: u64 = 16 << 20;
    let (told, last) = mpsc::channel();
    let over = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&over);
    let address = pool(move |request, stream| match request["method"].as_str().unwrap() {
        "mining.submit" => {}
        "mining.authorize" => {
            answer(stream, request, &json!(true));
            let difficulty =
                json!({"id": null, "method": "mining.set_difficulty", "params": [1e-9]});
            let _ = writeln!(stream, "{difficulty}");
            let (mut stream, told) = (stream.try_clone().unwrap(), told.clone());
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                let (started, mut sent) = (Instant::now(), 0);
                while !is_over.load(Ordering::Relaxed) {
                    // Or as many as are taken: what was not sent in time is not made good.
                    let due = (started.elapsed().as_secs_f64() * JOBS_A_SECOND) as u64 + 1;
                    let due = due.min(sent + 100);
                    let batch: String = (sent..due).map(|id| notify(&id.to_string())).collect();
                    stream.write_all(batch.as_bytes()).unwrap();
                    sent = due;
                    thread::sleep(Duration::from_millis(1));
                }
                println!("{:.0} jobs a second", sent as f64 / started.elapsed().as_secs_f64());
                told.send(sent - 1).unwrap();
                // The line of a job may be one of too many that waited to be read.
                while stream.write_all(notify(&sent.to_string()).as_bytes()).is_ok() {
                    sent += 1;
                    thread::sleep(Duration::from_millis(100));
                }
            });
        }
        _ => friendly("unused")(request, stream),
    });
    // One a second is sent, and the others are throttled or stale. (In virtual time the miner's
    // own test counts them.)
    let rate = ["--max-share-rate", "1"];
    let mine = ["mine", "-o", &address, "-u", "me", "--threads", "1", "-q"];
    let began = Instant::now();
    let mut miner = Running::start(&[&mine[..], &rate].concat());
    miner.wait_for(|event| event["event"] == "job");
    let (mut early, started) = (None, Instant::now());
    let last = loop {
        miner.wait_for(|event| event["event"] == "job" || event["event"] == "rate");
        if early.is_none() && started.elapsed() > FLOOD / 3 {
            early = Some(resident(miner.child.id()));
        } else if started.elapsed() > FLOOD {
            over.store(true, Ordering::Relaxed);
        }
        if let Ok(last) = last.try_recv() {
            break last;
        }
        assert!(started.elapsed() < PATIENCE, "the flood does not end");
    };
    let number = |job: &Value| job["job_id"].as_str()?.parse::<u64>().ok();
    miner.wait_for(|event| event["event"] == "job" && number(event) >= Some(last));
    let (early, late) = (early.expect("the flood lasts"), resident(miner.child.id()));
    println!("{last} jobs; {} KiB resident, then {} KiB", early >> 10, late >> 10);
    assert!(late < early + MOST_GROWTH, "{early} bytes, then {late}");
    miner.signal("INT");
    let summary = miner.wait_for(|event| event["event"] == "summary");
    let shares = &summary["shares"];
    let count = |name: &str| shares[name].as_u64().unwrap();
    let settled: u64 =
        ["accepted", "rejected", "stale", "throttled", "unresolved"].iter().map(|n| count(n)).sum();
    assert_eq!(count("found"), settled, "{summary}");
    // A share that was found for a job that is gone is stale, and not sent.
    let sent = count("found") - count("stale") - count("throttled");
    assert!(sent as f64 <= 1.0 + began.elapsed().as_secs_f64(), "{summary}");
    assert!(count("found") > sent, "few of them are sent: {summary}");
    assert_eq!(miner.exit_code(), Some(0));
}

/// At a difficulty of regtest's grade every second hash is a share. Throttled ones are told
/// together.
#[test]
fn output_stays_proportionate_to_what_happens() {
    let (address, _) = easy_pool_of(4.7e-10);
    let started = Instant::now();
    let flags = ["-u", "me", "--time-limit", "3", "--max-share-rate", "20", "--json"];
    let output = run(&[&["mine", "-o", &address][..], &flags].concat());
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let events = crate::program::events(&output.stdout);
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    let summary = events.last().unwrap();
    // How many are found depends on the machine, what becomes of them does not. (In virtual time
    // the miner's own test counts a thousand of them.)
    let shares = |name: &str| summary["shares"][name].as_u64().unwrap();
    assert!(20 * shares("found") < summary["hashes"].as_u64().unwrap(), "few are looked at");
    let sent = shares("found") - shares("throttled");
    assert_eq!(of("share") as u64, sent, "each share that is sent is told, and no other");
    assert!(sent as f64 <= 20.0 * (1.0 + seconds), "{sent} shares in {seconds} s");
    assert!(shares("throttled") > sent, "{summary}");
    assert_eq!(of("block"), 0, "they are no blocks: {summary}");
    assert!((1..=3).contains(&of("throttled")), "at once, and at the end");
    let throttled = events.iter().filter(|event| event["event"] == "throttled");
    let throttled = throttled.inspect(|event| assert_eq!(event["absurdly_low"], true, "{event}"));
    let sum: u64 = throttled.map(|event| event["shares"].as_u64().unwrap()).sum();
    assert_eq!(Some(sum), summary["shares"]["throttled"].as_u64());
}

#[test]
fn what_we_say_ourselves_is_rationed_like_what_pools_say() {
    let address = pool(|request, stream| match request["method"].as_str().unwrap() {
        "mining.authorize" => {
            answer(stream, request, &json!(true));
            let easy = json!({"id": null, "method": "mining.set_difficulty", "params": [1e-6]});
            let _ = stream.write_all(format!("{easy}\n{}", notify("job")).as_bytes());
        }
        "mining.submit" => {
            refuse(stream, request, &json!([23, "Low difficulty share", null]));
        }
        _ => friendly("job")(request, stream),
    });
    let url = format!("stratum+tcp://{address}");
    let plain = ["mine", "-o", &url, "-u", "me", "-t", "1", "--time-limit", "5"];
    let output = run(&plain);
    let (refused, notes) = (String::from_utf8_lossy(&output.stdout), &output.stderr);
    assert!(refused.matches("rejected share").count() > 10, "{refused}");
    let notes = String::from_utf8_lossy(notes);
    assert_eq!(notes.matches("disagree about the difficulty").count(), 1, "{notes}");

    let output = run(&[&plain[..], &["--json"]].concat());
    let advice: Vec<_> = crate::program::events(&output.stdout)
        .into_iter()
        .filter(|event| event["event"] == "share" && event["verdict"] == "rejected")
        .map(|event| event["advice"].clone())
        .collect();
    let is_told = |advice: &Value| advice.as_str().is_some_and(|text| text.contains("difficulty"));
    assert!(advice.len() > 10 && advice.iter().all(is_told), "{advice:?}");
}

/// A pool sends jobs by the thousand: they are told up to a rate, the others are counted, and the
/// newest is told in the end.
#[test]
fn output_stays_proportionate_to_a_flood_of_jobs() {
    const JOBS: u64 = 5_000;
    let address = pool(move |request, stream| {
        let method = request["method"].as_str().unwrap();
        if method != "mining.authorize" {
            return friendly("unused")(request, stream);
        }
        answer(stream, request, &json!(true));
        // In many pieces, or most are replaced before anybody could tell of them.
        for id in 0..JOBS {
            if stream.write_all(notify(&id.to_string()).as_bytes()).is_err() {
                return;
            }
            thread::sleep(Duration::from_micros(200));
        }
    });
    let started = Instant::now();
    let mut miner = Running::start(&["mine", "-o", &address, "-u", "me", "--threads", "1", "-q"]);
    let (told, newest) = (Cell::new(0_u64), (JOBS - 1).to_string());
    miner.wait_for(|event| {
        told.set(told.get() + u64::from(event["event"] == "job"));
        event["event"] == "job" && event["job_id"] == newest
    });
    let most = 200.0 + 50.0 * started.elapsed().as_secs_f64();
    let told = told.get();
    assert!(told as f64 <= most, "{told} jobs told in {:?}", started.elapsed());
    miner.signal("INT");
    let left_out = Cell::new(0);
    miner.wait_for(|event| {
        left_out.set(left_out.get() + event["jobs"].as_u64().unwrap_or(0));
        event["event"] == "summary"
    });
    let left_out = left_out.get();
    assert!(told + left_out <= JOBS, "{told} told, {left_out} left out");
}
