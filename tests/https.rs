//! Nodes behind TLS (S8, S16): the same trust as for pools, and nothing ever in the clear.

use std::thread;

use crate::bitcoind::Bitcoind;
use crate::port::Port;
use crate::program::{Directory, events, fail, midstate, run};
use crate::tls_front::{Authority, Identity};

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// Mines two blocks at a node by this URL; what was said on stderr.
fn mine(node: &Bitcoind, url: &str, trust: &[&str]) -> String {
    let mut flags = node.miner_flags();
    flags[1] = url.to_owned();
    let output = midstate(&["mine", "--json", "--blocks", "2", "--address", ADDRESS])
        .args(flags)
        .args(trust)
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(events(&output.stdout).last().unwrap()["blocks"]["accepted"], 2);
    stderr
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn blocks_travel_through_tls_to_a_real_node() {
    let node = Bitcoind::regtest();
    let authority = Authority::new("good");
    let identity = authority.sign("localhost", |_| {});
    let url = identity.front(node.port);

    let stderr = mine(&node, &url, &["--cert", authority.file.to_str().unwrap()]);
    assert!(!stderr.contains("warning"), "{stderr}");
    mine(&node, &url, &["--tls-pin", &identity.pin()]);
    let stderr = mine(&node, &url, &["--tls-insecure"]);
    assert!(stderr.contains("an attacker can pose as this node"), "{stderr}");
    assert_eq!(node.height(), 6);
}

#[test]
fn s8_a_node_that_cannot_prove_itself_is_not_spoken_to() {
    let (authority, stranger) = (Authority::new("trusted"), Authority::new("stranger"));
    let good = authority.sign("localhost", |_| {});
    let expired = authority.sign("localhost", |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    // Nothing listens behind the front: the program's words are about the front.
    let port = Port::hold();
    let behind = port.number();
    let cert = authority.file.to_str().unwrap();
    let zeros = "00".repeat(32);
    let cases: [(String, &[&str], &[&str]); 4] = [
        (
            stranger.sign("localhost", |_| {}).front(behind),
            &["--cert", cert],
            &["no authority that is trusted here", "--tls-pin", "--cert"],
        ),
        (
            authority.sign("other.example", |_| {}).front(behind),
            &["--cert", cert],
            &["for another name than localhost", "check the URL"],
        ),
        (expired.front(behind), &["--cert", cert], &["expired", "set the clock"]),
        (good.front(behind), &["--tls-pin", &zeros], &["than the pinned one", &good.pin()]),
    ];
    let login = ["-u", "me", "-p", "secret", "--chain", "regtest"];
    let check = |url: &str, trust: &[&str], words: &[&str]| {
        let (code, stderr) = fail(&[&["doctor", url], trust, &login[..]].concat());
        assert_eq!(code, 5, "{stderr}");
        for word in words {
            assert!(stderr.contains(word), "{word:?} is not in: {stderr}");
        }
        // Long enough for one attempt, however slow the machine is; all cases wait at once.
        let mine = ["mine", "-o", url, "--address", ADDRESS, "--give-up", "10"];
        let (code, stderr) = fail(&[&mine, trust, &login[..]].concat());
        assert_eq!(code, 5, "{stderr}");
        for word in words {
            assert!(stderr.contains(word), "{word:?} is not in: {stderr}");
        }
    };
    thread::scope(|scope| {
        for (url, trust, words) in &cases {
            scope.spawn(|| check(url, trust, words));
        }
    });
}

#[test]
fn rule_9_the_certificate_of_a_node_that_is_named_with_cert_is_trusted() {
    let directory = Directory::new("https-own");
    let (identity, file) = Identity::own(&directory.0);
    // Nothing listens behind the front: the examination ends behind the step that is asked for.
    let port = Port::hold();
    let url = identity.front(port.number());
    let login = ["-u", "me", "-p", "secret", "--chain", "regtest"];
    let doctor = |trust: &[&str]| {
        let output = run(&[&["doctor", &url], trust, &login[..]].concat());
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let said = doctor(&["--cert", file.to_str().unwrap()]);
    assert!(said.contains("ok    TLS: the certificate is good"), "{said}");
    let stranger = Authority::new("rule-9");
    let said = doctor(&["--cert", stranger.file.to_str().unwrap()]);
    assert!(said.contains("FAIL  TLS") && said.contains("--tls-pin"), "{said}");
    assert!(!said.contains("CaUsed") && !said.contains("Error"), "{said}");
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn s8_a_plaintext_port_is_no_port_for_https() {
    let node = Bitcoind::regtest();
    let url = format!("https://localhost:{}", node.port);
    let (code, stderr) = fail(&["doctor", &url, "--tls-insecure", "-u", "me", "-p", "x"]);
    assert_eq!(code, 5, "{stderr}");
    // Core hangs up on what is no HTTP.
    assert!(stderr.contains("TLS"), "{stderr}");
}

#[test]
fn s8_trust_for_a_node_without_tls_is_usage() {
    for command in [&["mine", "--address", ADDRESS, "-o"][..], &["doctor"]] {
        let (code, stderr) =
            fail(&[command, &["http://127.0.0.1:18443", "--tls-insecure"]].concat());
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("use https://"), "{stderr}");
    }
    let help = String::from_utf8(run(&["mine", "--help"]).stdout).unwrap();
    assert!(help.contains("https://HOST"), "{help}");
}

#[test]
fn s16_plain_http_to_another_machine_is_warned_of() {
    // A name that never resolves: the warning comes before anything is sent.
    let away = ["-o", "http://node.invalid:18443", "-u", "me", "-p", "secret"];
    let (code, stderr) =
        fail(&[&["mine", "--address", ADDRESS, "--give-up", "1"], &away[..]].concat());
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("http://node.invalid:18443 is asked over plain HTTP"), "{stderr}");
    assert!(!stderr.contains("secret"), "S15: {stderr}");
}
