//! Mistakes: the exit code, and words that say what to do.

use std::net::TcpListener;

use crate::port::Port;
use crate::program::{Directory, events, fail, midstate, run, run_in_little_space};

#[track_caller]
fn check(arguments: &[&str], code: i32, words: &[&str]) {
    let (came, stderr) = fail(arguments);
    assert_eq!(came, code, "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is not in: {stderr}");
    }
}

#[test]
fn unknown_kernels_are_named_beside_the_known_ones() {
    check(&["bench", "--kernel", "warp9"], 2, &["unknown kernel \"warp9\"", "scalar"]);
    check(&["demo", "--kernel", "warp9"], 2, &["unknown kernel \"warp9\"", "scalar"]);
    let foreign = if cfg!(target_arch = "x86_64") { "neon" } else { "avx2" };
    check(&["grind", "--kernel", foreign, &"00".repeat(80)], 1, &["bits 00000000"]);
    check(&["demo", "--kernel", foreign], 2, &["this CPU cannot run", "scalar"]);
}

#[test]
fn wrong_urls_say_what_a_url_looks_like() {
    for (url, word) in [
        ("http//pool:1", "colon"),
        ("gopher://pool:1", "unknown scheme"),
        ("pool.example", "port"),
        ("pool:0", "port"),
        ("pool:70000", "port"),
        ("stratum+tcp://:3333", "host"),
    ] {
        check(&["mine", "-o", url, "-u", "me"], 2, &[word, "stratum+tcp://HOST:PORT"]);
    }
    for url in ["http:/127.0.0.1:8332", "http//127.0.0.1:8332"] {
        check(&["mine", "-o", url, "--address", "x"], 2, &["//", "for a pool", "http://HOST:PORT"]);
        check(&["doctor", url], 2, &["//", "for a pool", "http://HOST:PORT"]);
    }
    // A node without its scheme, and one with a blank from the clipboard.
    let node = ["--address", "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "--dry-run"];
    let bare = [&["mine", "-u", "me", "-o", "127.0.0.1:18443"], &node[..]].concat();
    check(&bare, 2, &["write http:// before the HOST:PORT of a node"]);
    check(&[&["mine", "-o", " http://127.0.0.1:18443 "], &node[..]].concat(), 0, &[]);
    // A scheme that neither has: both are named.
    for url in ["ws://127.0.0.1:8332", "gopher://pool:1"] {
        check(&["mine", "-o", url], 2, &["unknown scheme", "for a pool", "http://HOST:PORT"]);
        check(&["doctor", url], 2, &["unknown scheme", "for a pool", "http://HOST:PORT"]);
    }
}

#[test]
fn a_missing_user_and_uneven_lists_are_usage() {
    check(&["mine", "-o", "127.0.0.1:1"], 2, &["--user"]);
    let uneven = ["mine", "-o", "a:1", "-o", "b:1", "-o", "c:1", "-u", "x", "-u", "y"];
    check(&uneven, 2, &["--user is given 2 times for 3 pools"]);
    check(&["mine", "-o", "a:1", "-O", "nocolon"], 2, &["USER:PASS"]);
}

#[test]
fn a_patience_of_no_seconds_is_a_mistake() {
    check(&["mine", "-o", "a:1", "-u", "x", "--give-up", "0"], 2, &["--give-up", "from 1 to"]);
    let directory = Directory::new("give-up");
    let file = directory.0.join("config.toml");
    std::fs::write(&file, "give-up = 0\n[[pool]]\nurl = 'a:1'\nuser = 'x'\n").unwrap();
    check(&["mine", "-c", file.to_str().unwrap()], 2, &["give-up = 0", "from 1 to"]);
}

#[test]
fn who_names_no_server_is_told_of_all_ways_to_mine() {
    let ways = ["-o URL -u USER", "--address", "midstate demo", "config.toml"];
    check(&["mine"], 2, &[&["no pool or node to mine at"], &ways[..]].concat());
}

/// As in `midstate .. 2>&1 | head -1`.
#[cfg(unix)]
#[test]
fn an_error_that_nobody_reads_is_still_its_exit_code() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut mine = midstate(&["mine"]);
    let (stdout, stderr) = (writer.try_clone().unwrap(), writer);
    assert_eq!(mine.stdout(stdout).stderr(stderr).status().unwrap().code(), Some(2));
}

#[test]
fn a_busy_port_asks_for_another_one() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check(&["demo", "--listen", &address], 1, &["cannot listen on", "--listen 127.0.0.1:0"]);
}

#[test]
fn a_port_where_nobody_listens_ends_after_give_up() {
    let port = Port::hold();
    let free = port.address().to_string();
    // Long enough for one attempt, however slow the machine is.
    let arguments = ["mine", "-o", &free, "-u", "me", "--give-up", "10"];
    check(&arguments, 5, &["cannot connect", &free, "refused"]);
}

#[test]
fn u4_a_bitcoin_conf_that_cannot_be_read_is_not_one_that_is_missing() {
    let free = Port::hold();
    let free = format!("http://{}", free.address());
    let datadir = std::env::temp_dir().join(format!("midstate-errors-{}", std::process::id()));
    let ours = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    let arguments = [
        &["mine", "-o", &free, "-u", "x", "-p", "y", "--address", ours, "--give-up", "1"],
        &["--datadir", datadir.to_str().unwrap()][..],
    ]
    .concat();
    let (code, stderr) = fail(&arguments);
    assert_eq!((code, stderr.contains("bitcoin.conf")), (5, false), "{stderr}");
    // Not even root can read a directory as a file.
    std::fs::create_dir_all(datadir.join("bitcoin.conf")).unwrap();
    let (code, stderr) = fail(&arguments);
    std::fs::remove_dir_all(&datadir).unwrap();
    assert_eq!(code, 5, "{stderr}");
    let told = format!("warning: cannot read {}", datadir.join("bitcoin.conf").display());
    assert!(stderr.contains(&told), "{stderr}");
    assert!(stderr.contains("--rpccookiefile"), "{stderr}");
}

/// As in a container with a limit on processes.
#[cfg(target_os = "linux")]
#[test]
fn threads_that_the_system_refuses_are_told_of() {
    let mine = midstate(&["mine", "-o", "127.0.0.1:1", "-u", "me", "--kernel", "scalar"]);
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -v 3000000 && exec \"$0\" \"$@\""]).arg(mine.get_program());
    limited.args(mine.get_args()).args(["-t", "4000"]);
    // A thread that has started asks for a little more memory, and to be refused that is its end.
    // Stacks this large leave enough for it when one of them is refused.
    let output = limited.env("RUST_MIN_STACK", (1 << 30).to_string()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("4000 hashing threads cannot be started"), "{stderr}");
    assert!(stderr.contains("--threads"), "{stderr}");
}

#[test]
fn what_is_misspelt_gets_a_suggestion() {
    for (arguments, word) in [
        (&["dmo"][..], "'demo'"),
        (&["econ", "hashprise"], "'hashprice'"),
        (&["demo", "--block", "1"], "'--blocks'"),
        (&["mine", "--adress", "x"], "'--address'"),
        (&["econ", "odds", "--dais", "3"], "'--days'"),
        (&["demo", "--color", "nevr"], "'never'"),
        (&["completions", "bsh"], "'bash'"),
        (&["econ", "retarget", "--replay", "us-exi"], "'us-exit'"),
    ] {
        check(arguments, 2, &["tip:", word]);
    }
}

#[test]
fn values_out_of_range_are_usage() {
    check(&["demo", "--difficulty", "0"], 2, &["'0'", "--difficulty", "above 0"]);
    check(&["demo", "--blocks", "0"], 2, &["--blocks", "from 1 to"]);
    check(&["demo", "--midstates", "3"], 2, &["power of two"]);
    check(&["bench", "--seconds", "0"], 2, &["--seconds"]);
    check(&["asic", "--seconds", "1e300"], 2, &["--seconds", "3600"]);
    check(&["econ", "halving", "--height", "4294967295"], 2, &["--height", "10000000"]);
    check(&["econ", "retarget", "--exit", "1"], 2, &["--exit", "0 to 0.99"]);
    check(&["mine", "-o", "a:1", "-u", "x", "--version-mask", "zz"], 2, &["1fffe000"]);
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_mined() {
    let directory = Directory::new("no-out");
    let path = directory.0.join("nowhere").join("blocks");
    let hash = ["--kernel", "scalar", "--threads", "1", "--json"];
    let output = run(&[&["demo", "--out", path.to_str().unwrap()][..], &hash].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("nowhere") && stderr.contains("cannot be written"), "{stderr}");
    let [summary] = &events(&output.stdout)[..] else { panic!("the summary alone") };
    assert_eq!(summary["hashes"], 0, "{summary}");
}

#[test]
fn a_count_of_threads_has_a_bound_in_flags_and_file() {
    let usize_max = u64::MAX.to_string();
    for count in ["0", "4097", "1000000", "9223372036854775807", &usize_max, "-1", "two"] {
        let threads = format!("--threads={count}");
        for command in [&["mine", "-o", "a:1", "-u", "x"][..], &["demo"], &["bench"], &["asic"]] {
            let arguments = [command, &[&threads]].concat();
            check(&arguments, 2, &["--threads", "expected a whole number from 1 to 4096"]);
        }
    }
    let directory = Directory::new("threads");
    let path = directory.0.join("config.toml");
    for count in ["4097", "9223372036854775807"] {
        std::fs::write(&path, format!("threads = {count}\nuser = 'x'\n")).unwrap();
        let file = ["mine", "-c", path.to_str().unwrap(), "-o", "a:1", "--dry-run"];
        check(&file, 2, &["line 1", "expected a whole number from 1 to 4096"]);
    }
}

/// A name may be that of a device: what has no end must not fill the memory.
#[cfg(target_os = "linux")]
#[test]
fn every_file_that_the_user_names_is_read_up_to_a_limit() {
    let tls = ["mine", "-o", "stratum+tls://a.example:1", "-u", "me", "--dry-run"];
    let plain = ["mine", "-o", "a.example:1", "-u", "me", "--dry-run"];
    for arguments in [
        &[&plain[..], &["-c", "/dev/zero"]].concat()[..],
        &[&tls[..], &["--cert", "/dev/zero"]].concat(),
        &[&plain[..2], &["a.example:1", "-u", "me", "--pass-file", "/dev/zero"]].concat(),
        &["--compat", "minerd", "-c", "/dev/zero"],
        &["econ", "dispatch", "/dev/zero"],
        &["demo", "--web", "0", "--web-token", "/dev/zero", "--kernel", "scalar", "-t", "1"],
    ] {
        let (code, stderr) = fail(arguments);
        assert!(code == 1 || code == 2, "{arguments:?}: {stderr}");
        assert!(stderr.contains("/dev/zero"), "{arguments:?}: {stderr}");
        assert!(stderr.contains("larger than "), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("os error"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_file_that_is_no_text_or_begins_with_a_mark_is_told_in_plain_words() {
    let directory = Directory::new("files");
    let file = directory.0.join("file");
    let name = file.to_str().unwrap();
    std::fs::write(&file, b"user = '\xff'").unwrap();
    check(&["mine", "-c", name, "-o", "a:1", "--dry-run"], 2, &[name, "it is no text in UTF-8"]);
    check(&["--compat", "minerd", "-c", name], 2, &[name, "it is no text in UTF-8: byte 9"]);
    std::fs::write(&file, "{\"url\": }").unwrap();
    let json = ["line 1, column 9: expected a JSON object such as {\"url\": "];
    check(&["--compat", "minerd", "-c", name], 2, &json);
    std::fs::write(&file, "\u{feff}{\"algo\": \"nonsense\"}").unwrap();
    check(&["--compat", "minerd", "-c", name], 2, &["unknown algorithm \"nonsense\""]);
}

/// Rule: a flag that means nothing for the server is named, and nothing is done without it.
#[test]
fn a_flag_that_means_nothing_for_the_server_is_an_error_that_names_it() {
    let pool = ["mine", "-o", "a.example:1", "-u", "me", "--dry-run"];
    let ours = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    let node = ["mine", "-o", "http://127.0.0.1:1", "--address", ours, "--dry-run"];
    let of_nodes: [&[&str]; 9] = [
        &["--chain", "main"],
        &["--datadir", "/nope"],
        &["--rpccookiefile", "/nope"],
        &["--spool", "/nope"],
        &["--block-interval", "5"],
        &["--coinbase-tag", "x"],
        // Their defaults mean as little.
        &["--block-interval", "0"],
        &["--coinbase-tag", "/midstate/"],
        &["--long-poll", "never"],
    ];
    let of_pools: [&[&str]; 7] = [
        &["--redirect", "any"],
        &["--no-redirect"],
        &["--max-share-rate", "5"],
        &["--expect-payout", ours],
        &["--payout-strict"],
        &["--any-user"],
        &["--suggest-difficulty", "1"],
    ];
    for flag in of_nodes {
        check(&[&pool[..], flag].concat(), 2, &[flag[0], "is for nodes, and the server is a pool"]);
        check(&[&["demo"][..], flag].concat(), 2, &[flag[0], "add --node URL"]);
    }
    for flag in of_pools {
        check(&[&node[..], flag].concat(), 2, &[flag[0], "is for pools, and the server is a node"]);
        check(&[&["doctor", "http://127.0.0.1:1"][..], flag].concat(), 2, &[flag[0], "for pools"]);
        check(&[&["doctor"][..], flag].concat(), 2, &[flag[0], "no URL is given"]);
    }
    let v2 = ["mine", "-o", "stratum2+tcp://a.example:1", "-u", "me", "--dry-run"];
    let of_v2: [&[&str]; 3] =
        [&["--channel", "extended"], &["--nominal-hashrate", "5T"], &["--single-submit"]];
    for flag in of_v2 {
        let words = [flag[0], "is for pools of Stratum V2, and every pool speaks V1"];
        check(&[&pool[..], flag].concat(), 2, &words);
        check(&[&pool[..], &v2[1..3], flag].concat(), 0, &[]);
    }
    let flag = ["--suggest-difficulty", "1"];
    check(&[&v2[..], &flag].concat(), 2, &[flag[0], "Stratum V1, and every pool speaks V2"]);
    let pin = ["--tls-pin", &"00".repeat(32)];
    check(&[&v2[..], &pin].concat(), 2, &["the key behind the last / of its URL"]);
    for flag in [&["--cert", "/nope"][..], &["--tls-pin", "zz"], &["--proxy", "socks5://a:1"]] {
        check(&[&["demo"][..], flag].concat(), 2, &[flag[0], "add --node URL"]);
    }
    for flag in &of_nodes[..3] {
        check(&[&["doctor", "a.example:1"][..], flag].concat(), 2, &[flag[0], "is for nodes"]);
    }
    check(&["demo", "--address", ours], 2, &["--address", "add --node URL"]);
    // A file may serve for both: the key is named, and work goes on.
    let directory = Directory::new("for-nodes");
    let file = directory.0.join("config.toml");
    std::fs::write(&file, "long-poll = 'never'\n[[pool]]\nurl = 'a:1'\nuser = 'x'\n").unwrap();
    let file = file.to_str().unwrap();
    let words = format!("{file}: long-poll is for nodes");
    check(&["mine", "-c", file, "--kernel", "scalar", "--dry-run"], 0, &[&words]);
    check(&["doctor", "a.example:1", "--threads", "2"], 2, &["--threads", "is for this machine"]);
}

#[test]
fn hash_rates_take_a_unit_everywhere() {
    for rate in ["54M", "5.4e7", "54000k"] {
        let output = run(&["econ", "odds", "--rate", rate, "--json"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{rate}");
        assert!(text.contains("/ 54,000,000 H/s"), "{rate}: {text}");
    }
    for rate in ["54 potatoes", "0", "-1M", "M", "inf"] {
        check(&["asic", &format!("--rate={rate}")], 2, &["expected hashes per second", "1.5M"]);
        check(&["demo", &format!("--max-hashrate={rate}")], 2, &["expected hashes per second"]);
    }
    check(&["demo", "--max-hashrate", "0.5"], 2, &["from 1 to 1e30"]);
}

/// More threads than the system starts are an error with a cure, and no panic.
#[cfg(unix)]
#[test]
fn threads_that_cannot_be_started_are_an_error_that_says_so() {
    for command in [
        &["bench", "--kernel", "scalar", "--seconds", "0.05"][..],
        &["bench", "--ladder", "--seconds", "0.05"],
    ] {
        let output = run_in_little_space(&[command, &["--threads", "4000"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {stderr}");
        assert!(stderr.contains("4000 threads cannot be started"), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}

/// `demo` keeps the pace that it promises, or says that it cannot.
#[test]
fn rule_18_a_pace_that_cannot_be_kept_is_not_promised() {
    let many = ["demo", "--kernel", "scalar", "--threads", "4000"];
    check(&many, 2, &["--threads 4000", "a block every 3 s cannot be kept", "--difficulty"]);
}
