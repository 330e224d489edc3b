//! Flags over the configuration file (rule 12), and user names and passwords in URLs (rule 7).

use std::sync::mpsc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::pools::{answer, pool};
use crate::program::{Directory, PATIENCE, Running, events, fail, midstate, run};
use crate::proxy::scripted;

const PAYOUT: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
const OTHER_PAYOUT: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
const POOL: &str = "stratum+tls://pool.invalid:1";
const SECRET: &str = "hunter2";

/// A key of the file, its value there and elsewhere in the file, a flag that says otherwise, and
/// where the plan shows which of them holds.
struct Key {
    line: &'static str,
    other_line: &'static str,
    flag: &'static [&'static str],
    shown_at: &'static str,
    by_file: Value,
    by_other: Value,
    by_flag: Value,
}

fn keys() -> Vec<Key> {
    let key = |line, other_line, flag, shown_at, [by_file, by_other, by_flag]: [Value; 3]| Key {
        line,
        other_line,
        flag,
        shown_at,
        by_file,
        by_other,
        by_flag,
    };
    let system = "the system's authorities";
    let [cert, pin, nobody] =
        ["the certificates of --cert", "--tls-pin", "any certificate (--tls-insecure)"]
            .map(|s| json!(s));
    vec![
        key(
            "user = 'file'",
            "user = 'other'",
            &["-u", "flag"],
            "user",
            [json!("file"), json!("other"), json!("flag")],
        ),
        key(
            "proxy = 'socks5://file:1'",
            "proxy = 'socks5://other:1'",
            &["--proxy", "socks5://flag:1"],
            "proxy",
            [json!("socks5://file:1"), json!("socks5://other:1"), json!("socks5://flag:1")],
        ),
        key(
            "cert = 'ca.pem'",
            "tls-insecure = true",
            &["--tls-pin", "PIN"],
            "trust",
            [cert.clone(), nobody.clone(), pin.clone()],
        ),
        key(
            "tls-pin = 'PIN'",
            "cert = 'ca.pem'",
            &["--tls-insecure"],
            "trust",
            [pin.clone(), cert.clone(), nobody.clone()],
        ),
        key(
            "tls-insecure = true",
            "tls-insecure = false",
            &["--cert", "CERT"],
            "trust",
            [nobody, json!(system), cert],
        ),
        key(
            "redirect = 'any'",
            "redirect = 'owner'",
            &["--no-redirect"],
            "redirect",
            [json!("any"), json!("owner"), json!("none")],
        ),
        key(
            "no-redirect = true",
            "redirect = 'owner'",
            &["--redirect", "any"],
            "redirect",
            [json!("none"), json!("owner"), json!("any")],
        ),
        key(
            "max-share-rate = 5",
            "max-share-rate = 6",
            &["--max-share-rate", "7"],
            "max_share_rate",
            [json!(5), json!(6), json!(7)],
        ),
        key(
            "expect-payout = 'PAYOUT'",
            "expect-payout = '3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy'",
            &["--expect-payout", OTHER_PAYOUT],
            "expect_payout",
            [json!(PAYOUT), json!("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"), json!(OTHER_PAYOUT)],
        ),
        key(
            "expect-payout = 'PAYOUT'\npayout-strict = false",
            "payout-strict = true",
            &["--payout-strict"],
            "payout_strict",
            [json!(false), json!(true), json!(true)],
        ),
        key(
            "suggest-difficulty = 0.5",
            "suggest-difficulty = 2.0",
            &["--suggest-difficulty", "4"],
            "suggest_difficulty",
            [json!(0.5), json!(2.0), json!(4.0)],
        ),
    ]
}

/// A directory with a certificate in it, and what the texts of a test stand for.
struct Files(Directory);

impl Files {
    fn new(name: &str) -> Self {
        let directory = Directory::new(name);
        let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(directory.0.join("ca.pem"), certificate.cert.pem()).unwrap();
        Self(directory)
    }

    fn meant(&self, text: &str) -> String {
        let cert = self.0.0.join("ca.pem");
        text.replace("PIN", &"5a".repeat(32))
            .replace("CERT", cert.to_str().unwrap())
            .replace("PAYOUT", PAYOUT)
    }

    /// The plan of `mine` by this configuration and these flags.
    fn plan(&self, config: &str, flags: &[&str]) -> Value {
        let path = self.0.0.join("config.toml");
        std::fs::write(&path, self.meant(config)).unwrap();
        let flags: Vec<_> = flags.iter().map(|flag| self.meant(flag)).collect();
        let output = midstate(&["mine", "--json", "--dry-run", "--kernel", "scalar", "-t", "1"])
            .args(["-c", path.to_str().unwrap()])
            .args(&flags)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{config}\n{flags:?}\n{stderr}");
        events(&output.stdout).pop().unwrap()
    }
}

/// Every key of the file against every flag, with every way to name the server.
#[test]
fn rule_12_flags_win_over_the_file_and_the_rest_of_the_file_holds() {
    let files = Files::new("servers-merge");
    let user = ["-u", "me"];
    for Key { line, other_line, flag, shown_at, by_file, by_other, by_flag } in keys() {
        let check = |config: &str, flags: &[&str], expected: &Value| {
            // Every plan needs a user, from wherever.
            let flags = match shown_at {
                "user" => flags.to_vec(),
                _ => [flags, &user].concat(),
            };
            let plan = files.plan(config, &flags);
            assert_eq!(plan["servers"][0][shown_at], *expected, "{config}\n{flags:?}\n{plan}");
        };
        let in_head = format!("{line}\n[[pool]]\nurl = '{POOL}'\n");
        let in_table = format!("[[pool]]\nurl = '{POOL}'\n{line}\n");
        let in_both = format!("{line}\n[[pool]]\nurl = '{POOL}'\n{other_line}\n");
        let head_alone = line.to_owned();
        let same: &[&str] = &["-o", POOL];
        let another: &[&str] = &["-o", "stratum+tls://another.invalid:2"];
        for named in [&[][..], same, another] {
            for config in [&in_head, &in_table, &in_both, &head_alone] {
                if named.is_empty() && config == &head_alone {
                    continue;
                }
                let expected = if config == &in_both { &by_other } else { &by_file };
                check(config, named, expected);
                check(config, &[named, flag].concat(), &by_flag);
            }
        }
    }
}

#[test]
fn rule_12_what_is_not_about_one_server_holds_however_it_is_named() {
    let files = Files::new("servers-common");
    let config = format!(
        "give-up = 11\nreturn-after = 12\nthreads = 2\nuser = 'me'\nproxy = 'socks5://p:1'\n\
         long-poll = 'never'\n[[pool]]\nurl = '{POOL}'\n"
    );
    for named in [&[][..], &["-o", POOL], &["-o", "a:1"], &["-o", "a:1", "-o", "b:1"]] {
        let plan = files.plan(&config, named);
        assert_eq!((&plan["give_up"], &plan["return_after"]), (&json!(11), &json!(12)));
        let flags = [named, &["--give-up", "21", "--return-after", "22"]].concat();
        let plan = files.plan(&config, &flags);
        assert_eq!((&plan["give_up"], &plan["return_after"]), (&json!(21), &json!(22)));
        for server in plan["servers"].as_array().unwrap() {
            assert_eq!((&server["user"], &server["proxy"]), (&"me".into(), &"socks5://p:1".into()));
        }
    }
    // Nodes: the way to them, and nothing that is about pools.
    let spool = files.0.0.to_str().unwrap().to_owned();
    let node = ["--address", PAYOUT, "--chain", "regtest", "--datadir", &spool, "--spool", &spool];
    for named in [&[][..], &["-o", "http://127.0.0.1:1"], &["-o", "https://node.invalid"]] {
        let plan = files.plan(&config, &[&node[..], named].concat());
        let server = &plan["servers"][0];
        assert_eq!(server["proxy"], "socks5://p:1", "{plan}");
        assert_eq!((&server["user"], &plan["give_up"]), (&Value::Null, &json!(11)), "{plan}");
        assert_eq!(plan["long_poll"], "never", "{plan}");
        let said = ["--proxy", "socks5://flag:1", "--long-poll", "always"];
        let plan = files.plan(&config, &[&node[..], named, &said].concat());
        assert_eq!(plan["servers"][0]["proxy"], "socks5://flag:1", "{plan}");
        assert_eq!(plan["long_poll"], "always", "{plan}");
        let plan = files.plan("user = 'me'", &[&node[..], named].concat());
        assert_eq!(plan["long_poll"], "auto", "{plan}");
    }
}

#[test]
fn rule_12_a_proxy_is_never_lost_and_a_password_never_goes_to_another_server() {
    let files = Files::new("servers-proxy");
    let config = "user = 'me'\n[[pool]]\nurl = 'a:1'\nproxy = 'socks5://p:1'\n\
                  [[pool]]\nurl = 'b:1'\n";
    let path = files.0.0.join("config.toml");
    std::fs::write(&path, config).unwrap();
    let output = run(&["mine", "--dry-run", "-c", path.to_str().unwrap(), "-o", "c:1"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("--proxy") && stderr.contains("c:1"), "{stderr}");
    // A certificate of the head is no mistake for a pool without TLS; for its own pool it is.
    files.plan("user = 'me'\ncert = 'ca.pem'\n[[pool]]\nurl = 'a:1'\n", &[]);
    files.plan("user = 'me'\ncert = 'ca.pem'\n", &["-o", "a:1"]);
    let own = "user = 'me'\n[[pool]]\nurl = 'a:1'\ncert = 'ca.pem'\n";
    std::fs::write(&path, own).unwrap();
    assert_eq!(run(&["mine", "--dry-run", "-c", path.to_str().unwrap()]).status.code(), Some(2));
    // The user's words for all pools, or one by one.
    let two = "user = 'me'\n[[pool]]\nurl = 'a:1'\n[[pool]]\nurl = 'b:1'\nuser = 'own'\n";
    let users = |flags: &[&str]| {
        let plan = files.plan(two, flags);
        plan["servers"].as_array().unwrap().iter().map(|s| s["user"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(users(&[]), ["me", "own"]);
    assert_eq!(users(&["-u", "flag"]), ["flag", "flag"]);
    assert_eq!(users(&["-u", "one", "-u", "two"]), ["one", "two"]);
    assert_eq!(users(&["-o", "b:1", "-o", "c:1"]), ["own", "me"]);
}

#[test]
fn rule_7_the_user_in_a_url_is_decoded_and_a_flag_or_key_wins() {
    let files = Files::new("servers-login");
    let url = "stratum+tcp://a%40b.rig:p%2Fq@pool.invalid:1#xnsub";
    let head = "user = 'head'\n";
    let table = format!("{head}[[pool]]\nurl = '{url}'\n");
    let user = |config: &str, flags: &[&str]| {
        let plan = files.plan(config, flags);
        assert_eq!(plan["servers"][0]["url"], "stratum+tcp://pool.invalid:1");
        plan["servers"][0]["user"].as_str().unwrap().to_owned()
    };
    assert_eq!(user(head, &["-o", url]), "a@b.rig");
    assert_eq!(user(head, &["-o", url, "-u", "flag"]), "flag");
    assert_eq!(user(&table, &[]), "a@b.rig");
    assert_eq!(user(&table, &["-u", "flag"]), "flag");
    assert_eq!(user(&format!("{table}user = 'key'\n"), &[]), "key");
    assert_eq!(user(head, &["-o", "stratum+tcp://:x@pool.invalid:1"]), "head");
}

#[test]
fn rule_29_the_pool_is_asked_for_the_difficulty_that_is_suggested() {
    let (told, asked) = mpsc::channel();
    let address = pool(move |request, stream| {
        if request["method"] == "mining.suggest_difficulty" {
            // The test may have seen enough.
            let _ = told.send(request["params"].clone());
        }
        answer(stream, request, &json!(false));
    });
    let flags = ["-u", "me", "--suggest-difficulty", "0.25", "--kernel", "scalar", "-t", "1"];
    let _miner = Running::start(&[&["mine", "-o", &address][..], &flags].concat());
    assert_eq!(asked.recv_timeout(PATIENCE).unwrap(), json!([0.25]));
    for wrong in ["0", "-1", "NaN", "inf", "x"] {
        let flag = format!("--suggest-difficulty={wrong}");
        let (code, stderr) = fail(&["mine", "-o", "a:1", "-u", "me", &flag]);
        assert!(code == 2 && stderr.contains("--suggest-difficulty"), "{stderr}");
    }
}

/// In an error, in what it says to a block, and as the header that was sent.
#[test]
fn rule_7_a_node_that_repeats_our_password_is_shown_without_it() {
    let login = STANDARD.encode(format!("me:{SECRET}"));
    let words = format!("no such user: me, {SECRET}, {login}");
    let directory = Directory::new("servers-repeats");
    let cookie = directory.0.join(".cookie");
    std::fs::write(&cookie, format!("me:{SECRET}")).unwrap();
    let spool = directory.0.join("spool");
    let node = ["--address", PAYOUT, "--chain", "regtest", "--spool", spool.to_str().unwrap()];
    for body in [
        json!({"result": null, "error": {"code": -1, "message": words}}),
        json!({"result": {"chain": words, "blocks": 0}}),
        json!(words),
    ] {
        let url = scripted(move |_| (200, body.clone()));
        for door in [
            ["-u", "me", "-p", SECRET].to_vec(),
            ["--rpccookiefile", cookie.to_str().unwrap()].to_vec(),
        ] {
            let flags = ["-v", "-v", "--json"];
            let mine = [&["mine", "-o", &url, "--give-up", "1"][..], &node, &door, &flags].concat();
            let doctor = [&["doctor", &url, "--chain", "regtest"][..], &door, &flags].concat();
            for command in [mine, doctor] {
                let output = midstate(&command).output().unwrap();
                let said = String::from_utf8_lossy(&output.stdout).into_owned()
                    + &String::from_utf8_lossy(&output.stderr);
                assert!(!said.contains(SECRET), "{command:?}: {said}");
                assert!(!said.contains(&login), "{command:?}: {said}");
                assert!(said.contains("***"), "{command:?}: {said}");
            }
        }
    }
}

/// A password through every door, right and wrong; it is in nothing that the program says.
#[test]
fn rule_7_no_message_prints_a_password() {
    let directory = Directory::new("servers-secrets");
    let mut commands: Vec<Vec<String>> = Vec::new();
    let mut add = |words: &[&str]| {
        commands.push(words.iter().map(|word| (*word).to_owned()).collect());
    };
    let mut files = 0;
    let spool = directory.0.to_str().unwrap();
    let node = ["--address", PAYOUT, "--chain", "regtest", "--datadir", spool, "--spool", spool];
    // Right, and wrong in every part.
    for rest in [
        "@127.0.0.1:1",
        "@127.0.0.1:1#xnsub",
        "@127.0.0.1:1/path",
        "@127.0.0.1:1?x=1",
        "@127.0.0.1:1#x",
        "@127.0.0.1:99999",
        "@127.0.0.1:x",
        "@127.0.0.1",
        "@::1:1",
        "@[::1:1",
        "@a b:1",
        "@",
        "",
        "/@127.0.0.1:1",
        "%zz@127.0.0.1:1",
        "%ff@127.0.0.1:1",
    ] {
        for scheme in ["stratum+tcp://", "stratum+tls://", "", "http://", "https://", "gopher://"] {
            let url = format!("{scheme}me:{SECRET}{rest}");
            let flags = ["--kernel", "scalar", "-t", "1", "-v", "-v", "--json"];
            add(&[&["mine", "--dry-run", "-o", &url][..], &flags].concat());
            add(&[&["mine", "--dry-run", "-o", &url][..], &node, &flags].concat());
            if rest.len() < 3 || rest == "@127.0.0.1:1" {
                add(&["doctor", &url, "-v", "-v", "--datadir", spool]);
                add(&["--compat", "minerd", "-o", &url, "-r", "0", "-R", "1", "-D", "-P"]);
            }
            let path = directory.0.join(format!("{files}.toml"));
            files += 1;
            std::fs::write(&path, format!("user = 'x'\n[[pool]]\nurl = '{url}'\n")).unwrap();
            add(&["mine", "--dry-run", "-c", path.to_str().unwrap(), "-v", "-v"]);
        }
        let proxy = format!("socks5://me:{SECRET}{rest}");
        add(&["mine", "--dry-run", "-o", "a:1", "-u", "x", "--proxy", &proxy, "-v", "-v"]);
        add(&["demo", "--blocks", "1", "--node", &format!("http://me:{SECRET}{rest}"), "-v"]);
    }
    let url = format!("stratum+tcp://me:{SECRET}@127.0.0.1:1");
    add(&["mine", "-o", &url, "--give-up", "1", "-v", "-v"]);
    add(&["mine", "-o", &url, "--give-up", "1", "-v", "-v", "--json"]);
    let url = format!("http://me:{SECRET}@127.0.0.1:1");
    add(&[&["mine", "-o", &url, "--give-up", "1", "-v", "-v", "--json"][..], &node].concat());
    add(&["mine", "-o", "a:1", "-u", "me", &url]);
    // A password with a space in it, or that looks like a flag.
    add(&["mine", "-o", "a:1", "-u", "me", "-p", "my", SECRET]);
    add(&["mine", "-o", "a:1", "-u", "me", "-p", &format!("--{SECRET}"), "--dry-run"]);
    add(&["doctor", "a:1", "-u", "me", "--pass=my", SECRET]);
    add(&["--compat", "minerd", "-o", "a:1", "-u", "me", "-p", "my", SECRET]);
    add(&["--compat", "minerd", "-o", "a:1", "-O", "me:my", SECRET]);
    add(&[&url]);
    let run_one = |words: &Vec<String>| {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let output = run(&words);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!said.contains(SECRET), "{words:?} says: {said}");
        assert!(!said.contains("panicked"), "{words:?} says: {said}");
    };
    for words in &commands {
        run_one(words);
    }
}
