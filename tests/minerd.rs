//! The drop-in for minerd: command lines of those who drive minerd, and the lines they look for.
//! The table in docs/minerd.md is held to its word.
#![cfg(unix)]

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::bitcoind::Bitcoind;
use crate::pools;
use crate::port::Port;
use crate::program::{Directory, Lines, Running, fail, midstate};

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
/// Every flag of minerd 2.5.1, by its long name.
const FLAGS: [&str; 28] = [
    "algo",
    "background",
    "benchmark",
    "cert",
    "coinbase-addr",
    "coinbase-sig",
    "config",
    "debug",
    "help",
    "no-gbt",
    "no-getwork",
    "no-longpoll",
    "no-redirect",
    "no-stratum",
    "pass",
    "protocol-dump",
    "proxy",
    "quiet",
    "retries",
    "retry-pause",
    "scantime",
    "syslog",
    "threads",
    "timeout",
    "url",
    "user",
    "userpass",
    "version",
];

impl Directory {
    /// The program by the name of minerd.
    fn minerd(&self) -> Command {
        let link = self.0.join("minerd");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_midstate"), &link).unwrap();
        Command::new(link)
    }
}

/// A minerd in the background; killed when dropped.
struct Minerd {
    child: Child,
    lines: Lines,
}

impl Minerd {
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = Lines::of(child.stderr.take().unwrap());
        Self { child, lines }
    }

    /// The words of the next line that holds `wanted`; every line on the way has minerd's form.
    fn wait_for(&mut self, wanted: &str) -> String {
        self.lines.find(|line| Some(words_of(line)).filter(|words| words.contains(wanted)))
    }

    /// As [`wait_for`](Self::wait_for), in a line whose rate is not 0: a second in which the system
    /// gave the thread no time has that rate.
    fn wait_for_rate(&mut self, wanted: &str) -> String {
        loop {
            let words = self.wait_for(wanted);
            if khash_in(&words).unwrap_or_else(|| panic!("no rate: {words}")) > 0.0 {
                return words;
            }
        }
    }

    /// The line of the `last` share that was accepted. Not every share is: where each is a block,
    /// the second of two that were found at once comes late.
    fn wait_for_shares(&mut self, last: u32) -> String {
        let mut wait_for_the_next = |number: u32| {
            let words = self.wait_for(" (yay!!!)");
            assert!(words.starts_with(&format!("accepted: {number}/")), "{words}");
            words
        };
        (1..=last).map(&mut wait_for_the_next).last().unwrap()
    }

    fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        self.lines.drain();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Minerd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text behind `[YYYY-MM-DD HH:MM:SS] `.
fn words_of(line: &str) -> String {
    let (time, words) = line.split_at_checked(22).unwrap_or_else(|| panic!("no time: {line:?}"));
    let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(form, "[0000-00-00 00:00:00] ", "{line}");
    words.to_owned()
}

/// As those who drive minerd find a rate: the word before ` khash/s`.
fn khash_in(words: &str) -> Option<f64> {
    let (before, _) = words.split_once(" khash/s")?;
    before.rsplit(' ').next()?.parse().ok()
}

/// A pool whose own miner hardly gets to work.
fn pool() -> (Running, String) {
    let mut pool = Running::start(&[
        "demo",
        "--listen",
        "127.0.0.1:0",
        "--blocks",
        "100000",
        "--difficulty",
        "0.00005",
        "--threads",
        "1",
        "--max-hashrate",
        "1",
    ]);
    let url = format!("stratum+tcp://{}", pool.pool_address());
    (pool, url)
}

#[test]
fn the_reference_implementations_command_line_mines() {
    let ((_pool, url), directory) = (pool(), Directory::new("minerd-sri"));
    let mut minerd = directory.minerd();
    minerd.args(["-a", "sha256d", "--threads", "1", "--retry-pause", "1", "--url", &url]);
    minerd.args(["--userpass", "u:p", "--scantime", "1"]);
    let mut minerd = Minerd::start(&mut minerd);
    minerd.wait_for("1 miner threads started, using 'sha256d' algorithm.");
    assert_eq!(minerd.wait_for("Starting"), format!("Starting Stratum on {url}"));
    assert_eq!(minerd.wait_for("work"), "Stratum requested work restart");
    let accepted = minerd.wait_for_shares(3);
    assert!(accepted.ends_with(" khash/s (yay!!!)"), "{accepted}");
    minerd.wait_for_rate(" (yay!!!)");
    let thread = minerd.wait_for_rate("thread 0: ");
    assert!(thread.contains(" hashes, "), "{thread}");
    assert_eq!(minerd.terminate(), Some(0));
}

#[test]
fn a_pool_does_without_a_name() {
    let (_pool, url) = pool();
    let minerd = ["--compat", "minerd", "-a", "sha256d", "-t1", "-qD", "--url", &url];
    let mut minerd = Minerd::start(&mut midstate(&minerd));
    minerd.wait_for("DEBUG: job_id='");
    minerd.wait_for_shares(3);
    assert_eq!(minerd.terminate(), Some(0));
}

#[test]
fn a_pool_that_wants_no_share_is_booed() {
    let address = pools::pool(|request, stream| match request["method"].as_str().unwrap() {
        "mining.subscribe" => {
            pools::answer(stream, request, &json!([[["mining.notify", "1"]], "00000001", 4]));
        }
        "mining.authorize" => {
            pools::answer(stream, request, &json!(true));
            let easy = json!({"id": null, "method": "mining.set_difficulty", "params": [1e-5]});
            let _ = write!(stream, "{easy}\n{}", pools::notify("1"));
        }
        "mining.submit" => {
            let error = json!([20, "not today", null]);
            let _ = writeln!(stream, "{}", json!({"id": request["id"], "error": error}));
        }
        _ => pools::answer(stream, request, &json!(false)),
    });
    let url = format!("stratum+tcp://{address}");
    let mut minerd = Minerd::start(&mut midstate(&["--compat", "minerd", "-D", "--url", &url]));
    let booed = minerd.wait_for("accepted: 0/2 (0.00%), ");
    assert!(booed.ends_with(" khash/s (booooo)"), "{booed}");
    assert_eq!(minerd.wait_for("reason"), "DEBUG: reject reason: not today");
}

#[test]
fn a_quiet_benchmark_says_the_total_alone() {
    let minerd = ["--compat=minerd", "-a", "sha256d", "-t", "1", "--benchmark", "-q"];
    let mut minerd = Minerd::start(&mut midstate(&minerd));
    let first = minerd.wait_for(" khash/s");
    assert!(first.starts_with("Total: "), "{first}");
    minerd.wait_for_rate("Total: ");
}

#[test]
fn a_benchmark_says_what_each_thread_does() {
    let minerd = ["--compat", "minerd", "-t", "2", "--benchmark", "-s", "1"];
    let mut minerd = Minerd::start(&mut midstate(&minerd));
    for _ in 0..2 {
        let [first, second, total] =
            ["thread 0: ", "thread 1: ", "Total: "].map(|start| minerd.wait_for(start));
        let sum = khash_in(&first).unwrap() + khash_in(&second).unwrap();
        let total = khash_in(&total).unwrap();
        assert!((sum - total).abs() <= 1.0, "{first}, {second}: {total}");
    }
}

#[test]
fn a_server_that_is_not_there_is_given_up_after_so_many_pauses() {
    let free = Port::hold();
    let url = format!("stratum+tcp://{}", free.address());
    let (code, stderr) =
        fail(&["--compat", "minerd", "-o", &url, "-O", "u:p", "-r", "1", "-R", "5"]);
    assert_eq!(code, 5, "{stderr}");
    for words in ["] Stratum connection failed: ", "] ...retry after 5 seconds"] {
        assert!(stderr.contains(words), "{stderr}");
    }
}

#[test]
fn a_configuration_file_speaks_first() {
    let ((_pool, url), directory) = (pool(), Directory::new("minerd-config"));
    let file = directory.0.join("minerd.json");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    write(&format!(
        r#"{{"_comment": "ours", "algo": "scrypt", "url": "{url}", "user": "me", "threads": "1"}}"#
    ));
    let (code, stderr) = fail(&["--compat", "minerd", "-c", path]);
    assert!(code == 2 && stderr.contains("scrypt"), "{stderr}");
    let mut minerd = midstate(&["--compat", "minerd", "-c", path, "-a", "sha256d"]);
    Minerd::start(&mut minerd).wait_for_shares(3);

    for (text, words) in [
        (r#"{"config": "more.json"}"#, "not allowed here"),
        (r#"{"quiet": "yes"}"#, "expected true"),
        (r#"{"user": true}"#, "expected a text"),
        (r#"{"user": "me",}"#, "line 1"),
        (r#"{"usr": "me"}"#, "unknown option \"usr\""),
    ] {
        write(text);
        let (code, stderr) = fail(&["--compat", "minerd", "-c", path]);
        assert!(code == 2 && stderr.contains(words), "{words:?} is not in: {stderr}");
    }

    // S15. The algorithm ends it before it mines.
    for (mode, warned) in [(0o644, true), (0o600, false)] {
        write(r#"{"userpass": "me:secret", "algo": "scrypt"}"#);
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let (_, stderr) = fail(&["--compat", "minerd", "-c", path]);
        assert_eq!(stderr.contains("others can read the password"), warned, "{stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
    }
}

#[test]
fn mistakes_say_what_to_do() {
    for (arguments, words) in [
        (&["-a", "scrypt"][..], "midstate hashes sha256d and nothing else"),
        (&["--algo=x11"], "unknown algorithm \"x11\""),
        (&["-t", "1"], "no URL supplied"),
        (&["-o", "stratum+tcp://a:1", "-O", "nocolon"], "expected USER:PASS"),
        (&["-o", "127.0.0.1:1"], "--coinbase-addr"),
        (&["-o", "http://a:1", "--coinbase-addr", ADDRESS, "--no-gbt"], "--no-gbt"),
        (&["-o", "stratum+tcp://a:1", "--coinbase-addr", ADDRESS], "--coinbase-addr is for nodes"),
        (&["-o", "stratum+tcp://a:1", "--coinbase-sig", "x"], "--coinbase-sig is for nodes"),
        (&["-o", "http://a:1", "--cert", "ca.pem", "--coinbase-addr", ADDRESS], "ca.pem"),
        (&["-o", "gopher://a:1"], "unknown scheme \"gopher\""),
        (&["-o", "stratum+tcp://a:1", "-x", "http://a:1"], "expected socks5://HOST:PORT"),
        (&["--thread", "0"], "--threads"),
        (&["--treads", "1"], "'--threads'"),
    ] {
        let (code, stderr) = fail(&[&["--compat", "minerd"], arguments].concat());
        assert!(code == 2 && stderr.contains(words), "{words:?} is not in: {stderr}");
    }
    let (code, stderr) = fail(&["--json", "--compat", "minerd", "demo"]);
    assert!(code == 2 && stderr.contains("--compat comes before everything else"), "{stderr}");
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn at_a_node_blocks_are_mined() {
    let node = Bitcoind::regtest();
    let login = std::fs::read_to_string(node.cookie()).unwrap();
    let url = format!("http://127.0.0.1:{}", node.port);
    let directory = Directory::new("minerd-node");
    let mut minerd = midstate(&["--compat", "minerd", "-o", &url, "-O", &login]);
    minerd.args(["--coinbase-addr", ADDRESS, "--coinbase-sig", "/m/", "-t", "1"]);
    let mut minerd = Minerd::start(minerd.env("XDG_STATE_HOME", &directory.0));
    minerd.wait_for("Long-polling activated for http://127.0.0.1");
    minerd.wait_for("LONGPOLL pushed new work");
    minerd.wait_for_shares(2);
    assert_eq!(minerd.terminate(), Some(0));
    assert!(node.height() >= 2);
}

/// A row of the table: names, value, verdict.
type Row = (Vec<String>, String, String);

fn table() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/minerd.md");
    let text = std::fs::read_to_string(path).unwrap();
    let bare = |cell: &str| cell.trim().trim_matches('`').to_owned();
    let rows = text.lines().filter(|line| line.starts_with("| `-"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').collect();
        (cells[1].split(',').map(bare).collect(), bare(cells[2]), bare(cells[3]))
    })
    .collect()
}

#[test]
fn the_table_names_every_flag_once() {
    let rows = table();
    let longs = || rows.iter().flat_map(|(names, ..)| names).filter_map(|n| n.strip_prefix("--"));
    for flag in FLAGS {
        assert_eq!(longs().filter(|&long| long == flag).count(), 1, "{flag}");
    }
    let help = String::from_utf8(midstate(&["--compat", "minerd", "-h"]).output().unwrap().stdout);
    let help = help.unwrap();
    for (names, ..) in &rows {
        let all = names.join(", ");
        assert!(help.lines().any(|line| line.trim_start().starts_with(&all)), "{all}: {help}");
    }
    let in_help = help.lines().filter(|line| line.trim_start().starts_with('-')).count();
    assert_eq!(in_help, rows.len(), "{help}");
}

#[test]
fn every_flag_is_taken_or_refused_as_the_table_says() {
    let file = Directory::new("minerd-flags");
    let config = file.0.join("minerd.json");
    std::fs::write(&config, "{}").unwrap();
    for (names, value, verdict) in table() {
        for name in &names {
            let mut arguments = vec!["--compat", "minerd", name];
            match value.as_str() {
                "" => {}
                "minerd.json" => arguments.push(config.to_str().unwrap()),
                value => arguments.push(value),
            }
            // The algorithm is judged last, and this one not taken: nothing is mined here.
            arguments.extend(["-a", "scrypt"]);
            let (code, stderr) = fail(&arguments);
            let is_taken = match name.as_str() {
                "-V" | "--version" | "-h" | "--help" => code == 0,
                _ => code == 2 && stderr.contains("unknown algorithm"),
            };
            match verdict.as_str() {
                "honoured" | "no effect" => assert!(is_taken, "{name}: {stderr}"),
                "refused" => {
                    let says_so = stderr.contains("is refused");
                    assert!(!is_taken && code == 2 && says_so, "{name}: {stderr}");
                }
                other => panic!("{name}: the table says {other:?}"),
            }
        }
    }
}
