//! Passwords: taken from files, sent whole, and in no message (S15).

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::pools::{answer, pool};
use crate::program::{Directory, PATIENCE, Running, fail, run};

const SECRET: &str = "hunter2";

impl Directory {
    /// Writes a file that only its owner can read, and tells its path.
    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        #[cfg(unix)]
        set_mode(&path, 0o600);
        path.to_str().unwrap().to_owned()
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A pool that tells user and password of whoever comes, and lets nobody in.
fn strict_pool(told: &Sender<(String, String)>) -> String {
    let told = told.clone();
    pool(move |request: &Value, stream: &mut TcpStream| {
        let result = match request["method"].as_str().unwrap() {
            "mining.subscribe" => json!([[["mining.notify", "1"]], "00000001", 4]),
            "mining.authorize" => {
                let [user, pass] = [0, 1].map(|place| request["params"][place].as_str().unwrap());
                // The test may have seen enough.
                let _ = told.send((user.to_owned(), pass.to_owned()));
                json!(false)
            }
            _ => json!(false),
        };
        answer(stream, request, &result);
    })
}

/// The first login of each of so many users.
fn logins(told: &Receiver<(String, String)>, users: usize) -> Vec<(String, String)> {
    let mut logins: Vec<(String, String)> = Vec::new();
    while logins.len() < users {
        let (user, pass) = told.recv_timeout(PATIENCE).expect("every user comes");
        if logins.iter().all(|(known, _)| *known != user) {
            logins.push((user, pass));
        }
    }
    logins.sort();
    logins
}

fn owned(logins: &[(&str, &str)]) -> Vec<(String, String)> {
    logins.iter().map(|(user, pass)| ((*user).to_owned(), (*pass).to_owned())).collect()
}

#[test]
fn s15_each_pool_gets_the_password_of_its_file() {
    let directory = Directory::new("secrets-pools");
    let [first, second] = [
        directory.file("first", "with a space, ü and no line end "),
        directory.file("second", "second\r\n"),
    ];
    let (told, logged_in) = channel();
    let (a, b) = (strict_pool(&told), strict_pool(&told));
    let _miner = Running::start(&[
        "mine",
        "-o",
        &a,
        "-u",
        "one",
        "--pass-file",
        &first,
        "-o",
        &b,
        "-u",
        "two",
        "--pass-file",
        &second,
        "--kernel",
        "scalar",
        "--threads",
        "1",
    ]);
    let expected = [("one", "with a space, ü and no line end "), ("two", "second")];
    assert_eq!(logins(&logged_in, 2), owned(&expected));
}

#[test]
fn s15_one_file_does_for_all_pools_of_a_configuration_but_those_with_their_own() {
    let directory = Directory::new("secrets-configuration");
    directory.file("common", "for all\n");
    directory.file("own", "for one");
    let (told, logged_in) = channel();
    let pools: Vec<_> = (0..4).map(|_| strict_pool(&told)).collect();
    // Paths start from where the file is, whoever starts the program where.
    let text = format!(
        "pass-file = 'common'\nthreads = 1\nkernel = 'scalar'\n\
         [[pool]]\nurl = '{}'\nuser = 'a'\n\
         [[pool]]\nurl = '{}'\nuser = 'b'\npass-file = 'own'\n\
         [[pool]]\nurl = '{}'\nuser = 'c'\npass = 'here'\n\
         [[pool]]\nurl = '{}'\nuser = 'd'\n",
        pools[0], pools[1], pools[2], pools[3]
    );
    let config = directory.file("config.toml", text);
    let _miner = Running::start(&["mine", "-c", &config]);
    let expected = [("a", "for all"), ("b", "for one"), ("c", "here"), ("d", "for all")];
    assert_eq!(logins(&logged_in, 4), owned(&expected));
}

#[test]
fn s15_a_node_gets_the_password_of_a_file() {
    let directory = Directory::new("secrets-node");
    let pass = directory.file("pass", format!("{SECRET}\n"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (told, asked) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
            for (name, value) in head.filter_map(|line| {
                line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            }) {
                if name == "authorization" {
                    // The test may have seen enough.
                    let _ = told.send(value);
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    let node = ["mine", "-o", &url, "--address", address, "--spool", directory.0.to_str().unwrap()];
    let login = ["-u", "me", "--pass-file", &pass, "--kernel", "scalar", "--threads", "1"];
    let _miner = Running::start(&[&node[..], &login].concat());
    let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("me:{SECRET}")));
    assert_eq!(asked.recv_timeout(PATIENCE).unwrap(), expected);

    let (code, stderr) = fail(&[&node[..], &["--pass-file", &pass]].concat());
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("--user") && stderr.contains("--pass-file"), "{stderr}");
}

#[test]
fn s15_a_file_that_is_no_password_is_named_and_not_shown() {
    let directory = Directory::new("secrets-mistakes");
    let long = SECRET.repeat(4096 / SECRET.len() + 1);
    let mut cases = vec![
        (directory.file("empty", ""), "holds no password"),
        (directory.file("line-end", "\r\n"), "holds no password"),
        (directory.file("two", format!("{SECRET}\n{SECRET}")), "more than one line"),
        (directory.file("blank", format!("{SECRET}\n\n")), "more than one line"),
        (directory.file("old-mac", format!("{SECRET}\r{SECRET}\r")), "more than one line"),
        (directory.file("latin", [SECRET.as_bytes(), b"\xfc"].concat()), "no UTF-8 text"),
        (directory.file("long", long), "larger than 4096 bytes"),
        (directory.0.join("missing").to_str().unwrap().to_owned(), "cannot be read"),
        (directory.0.to_str().unwrap().to_owned(), "cannot be read"),
        // As much as is read, and more than a pool is sent.
        (directory.file("most", &SECRET.repeat(585)[..4096 - 1]), "at most 255"),
        (directory.file("control", format!("{SECRET}\u{1b}[2J")), "password"),
    ];
    if Path::new("/dev/zero").exists() {
        cases.push(("/dev/zero".to_owned(), "larger than 4096 bytes"));
    } else {
        eprintln!("skipped: a file without an end, which is not there (/dev/zero)");
    }
    for (file, words) in &cases {
        let by_flag = ["mine", "-o", "a:1", "-u", "me", "--dry-run", "--pass-file", file];
        let text = format!("[[pool]]\nurl = 'a:1'\nuser = 'me'\npass-file = '{file}'\n");
        let config = directory.file("config.toml", text);
        for arguments in [&by_flag[..], &["mine", "--dry-run", "-c", &config]] {
            let (code, stderr) = fail(arguments);
            assert_eq!(code, 2, "{stderr}");
            let named = words.contains("255") || *words == "password" || stderr.contains(file);
            assert!(named && stderr.contains(words), "{file}, {words:?}: {stderr}");
            assert!(!stderr.contains(SECRET), "{stderr}");
        }
    }
}

#[test]
fn s15_a_mistake_in_a_configuration_does_not_show_its_password() {
    let directory = Directory::new("secrets-broken");
    for text in [
        "pass = hunter2",
        "pass = \"hunter2",
        "  pass=hunter2",
        "pool = [{ url = \"a:1\", pass = hunter2 }]",
        "pas = 'hunter2'",
    ] {
        let config = directory.file("broken.toml", text);
        let (code, stderr) = fail(&["mine", "-c", &config]);
        assert_eq!(code, 2, "{stderr}");
        assert!(!stderr.contains(SECRET), "{text}: {stderr}");
        for words in ["broken.toml", "line 1, column ", "not shown"] {
            assert!(stderr.contains(words), "{text}: {words:?} is not in: {stderr}");
        }
    }
}

#[test]
fn s15_a_password_is_said_in_one_way() {
    let directory = Directory::new("secrets-ways");
    let pass = directory.file("pass", SECRET);
    let pool = ["mine", "-o", "a:1", "-u", "me", "--pass-file", &pass, "--dry-run"];
    let twice = "cannot be used with";
    let config = directory.file(
        "twice.toml",
        "pass-file = 'pass'\n[[pool]]\nurl = 'a:1'\nuser = 'me'\npass = 'x'\npass-file = 'pass'\n",
    );
    let common = directory.file(
        "common.toml",
        "pass = 'x'\npass-file = 'pass'\n[[pool]]\nurl = 'a:1'\nuser = 'me'\n",
    );
    let fine =
        directory.file("fine.toml", "pass-file = 'pass'\n[[pool]]\nurl = 'a:1'\nuser = 'me'\n");
    for (arguments, words) in [
        (&[&pool[..], &["-p", "x"]].concat()[..], &[twice, "--pass"][..]),
        (&["mine", "-o", "a:1", "-O", "me:x", "--pass-file", &pass], &[twice, "--userpass"]),
        (
            &[&pool[..], &["-o", "b:1", "-o", "c:1", "--pass-file", &pass]].concat(),
            &["--pass-file is given 2 times for 3 pools"],
        ),
        (&["mine", "-c", &config], &["twice.toml", "pass and pass-file", "stratum+tcp://a:1"]),
        (&["mine", "-c", &common], &["common.toml", "pass and pass-file", "all pools"]),
    ] {
        let (code, stderr) = fail(arguments);
        assert_eq!(code, 2, "{stderr}");
        for word in words {
            assert!(stderr.contains(word), "{word:?} is not in: {stderr}");
        }
    }
    let both = ["mine", "-c", &fine, "--dry-run", "--pass-file", &pass];
    for arguments in [&pool[..], &["mine", "-c", &fine, "--dry-run"], &both] {
        let output = run(&[arguments, &["--kernel", "scalar"]].concat());
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8(told).unwrap();
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(!told.contains(SECRET) && !told.contains("warning"), "{told}");
    }
}

#[test]
fn rule_7_a_password_that_looks_like_a_flag_is_taken_and_no_mistake_shows_a_password() {
    const DASHED: &str = "--hunter2";
    let (told, logged_in) = channel();
    for login in [
        &["-u", "me", "-p", DASHED][..],
        &["-u", "me", "-p=--hunter2"],
        &["-u", "me", "--pass", DASHED],
        &["-u", "me", "--pass=--hunter2"],
        &["-O", "me:--hunter2"],
    ] {
        let pool = strict_pool(&told);
        let server = ["mine", "-o", &pool, "--kernel", "scalar", "--threads", "1"];
        let _miner = Running::start(&[&server[..], login].concat());
        assert_eq!(logins(&logged_in, 1), owned(&[("me", DASHED)]), "{login:?}");
    }
    // Where it cannot be taken it is not shown, however it came there.
    let mistakes: [&[&str]; 23] = [
        &["mine", "-o=-p=hunter2"],
        &["mine", "--url=-p=hunter2", "-u", "me"],
        &["mine", "-o", "stratum+tcp//me:hunter2@h:3333"],
        &["doctor", "--", "-p=hunter2"],
        &["demo", "--node=-p=hunter2"],
        &["swarm", "--workers", "1", "-o=-p=hunter2"],
        &["mine", "-o", "a:1", "-u", "me", "-p", "x", SECRET],
        &["mine", "-o", "a:1", "-u", "me", "-p", DASHED, "--nonsense"],
        &["mine", "-o", "a:1", "-u", "me", "-p", "-hunter2", "--nonsense"],
        &["mine", "-o", "a:1", "-u", "me", "-p", DASHED, "-O", "me:hunter2"],
        &["mine", "-o", "a:1", "-u", "me", "-p", "x", "--hunter2"],
        &["doctor", "a:1", "-u", "me", "-p", "x", "--hunter2"],
        &["--compat", "minerd", "-o", "a:1", "-u", "me", "-p", "x", "--hunter2"],
        &["mine", SECRET],
        &["doctor", "a:x", "-u", "me", "-p", DASHED],
        &["doctor", "a:1", "-u", "me", "-p", DASHED, "--nonsense"],
        &["doctor", "a:1", SECRET],
        &["demo", SECRET],
        &["demo", "-p", DASHED],
        &["demo", "--pass", SECRET],
        &["--compat", "minerd", "-o", "a:1", "-u", "me", "-p", "x", SECRET],
        &["--compat", "minerd", "-o", "a:1", "-u", "me", "-p", DASHED, "--nonsense"],
        &["--compat", "minerd", "-o", "a:1", "--userpass=-me:hunter2", "-t", "x"],
    ];
    for arguments in mistakes {
        let (code, stderr) = fail(arguments);
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
        assert!(!stderr.contains(SECRET), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_word_too_many_is_shown_where_no_password_can_be() {
    let (code, stderr) = fail(&["asic", "--rate", "25.8", "MH/s"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("unexpected argument 'MH/s'"), "{stderr}");
    let (_, stderr) = fail(&["mine", "-o", "127.0.0.1:333333", "-u", "me"]);
    assert!(stderr.contains("'127.0.0.1:..'") && stderr.contains("port"), "{stderr}");
}

#[cfg(unix)]
#[test]
fn s15_a_file_that_others_can_read_is_warned_of_unless_it_is_a_credential() {
    let directory = Directory::new("secrets-modes");
    let pass = directory.file("pass", SECRET);
    let config = "pass-file = 'pass'\n[[pool]]\nurl = 'a:1'\nuser = 'me'\n";
    let config = directory.file("config.toml", config);
    let warning = format!("warning: others can read the password in {pass}: chmod 600 {pass}");
    for (mode, place, warned) in [
        (0o600, "/nowhere", false),
        (0o640, "/nowhere", true),
        (0o604, "", true),
        (0o440, directory.0.to_str().unwrap(), false),
    ] {
        set_mode(Path::new(&pass), mode);
        for from in [&["-o", "a:1", "-u", "me", "--pass-file", &pass][..], &["-c", &config]] {
            let output = crate::program::midstate(
                &[&["mine", "--dry-run", "--kernel", "scalar"], from].concat(),
            )
            .env("CREDENTIALS_DIRECTORY", place)
            .output()
            .unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(0), "{stderr}");
            assert_eq!(stderr.contains(&warning), warned, "{mode:o}: {stderr}");
        }
    }
}
