//! `grind`: what `bitcoin-util grind` does, as scripts call it.

use std::process::{Command, Stdio};

use bitcoin::block::Header;
use bitcoin::consensus::deserialize;

use crate::bitcoind;
use crate::program::{fail, midstate, run};

/// Block 125552 at another time, an easier target, and without its nonce: the first one is 314,981.
const FAR_BETWEEN: &str = "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000\
     e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122b02f5d74dffff001e00000000";

/// Block 125552, without its nonce and at an easier target.
fn header(bits: &str) -> String {
    "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2fffc8d750423\
     db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74d"
        .to_owned()
        + bits
        + "00000000"
}

#[test]
fn a_header_is_solved_for_its_own_bits() {
    for bits in ["ffff001e", "ffff7f20", "ffff001f"] {
        let output = run(&["grind", &header(bits)]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let stdout = String::from_utf8(output.stdout).unwrap();
        let solved: Header = deserialize(&hex::decode(stdout.trim_end()).unwrap()).unwrap();
        solved.validate_pow(solved.target()).unwrap();
        assert_eq!(stdout.trim_end()[..152], header(bits)[..152], "only the nonce is changed");
    }
}

#[test]
fn the_answer_is_the_lowest_nonce_whatever_the_threads() {
    let solve = |threads| run(&["grind", &header("ffff001f"), "--threads", threads]).stdout;
    assert_eq!(solve("1"), solve("3"));
}

/// The output of a program in the place of `bitcoin-util`: exit code, stdout, stderr.
fn grind(command: Command, argument: &str) -> (Option<i32>, String, String) {
    grind_all(command, &[argument])
}

fn grind_all(mut command: Command, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = command.arg("grind").args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
#[ignore = "needs bitcoin-util: cargo xtask bitcoind builds one"]
fn bitcoin_util_says_the_same_byte_for_byte() {
    let util = bitcoind::util();
    let good = header("ffff7f20");
    let cases = [
        // Its threads take turns, and of two solutions side by side it may find the second first:
        // of these there is one in 16 million.
        FAR_BETWEEN.to_owned(),
        good[..158].to_owned(),
        good[..159].to_owned(),
        good.replace("c7f5", "c7g5"),
        String::new(),
        header("00000000"),
        header("ffffff21"),
        header("ffff8020"),
        // The bytes behind the header are of no interest.
        format!("{FAR_BETWEEN}00ff"),
        FAR_BETWEEN.to_uppercase(),
    ];
    for case in &cases {
        let theirs = grind(Command::new(&util), case);
        let ours = grind(midstate(&[]), case);
        assert_eq!((ours.0, &ours.1), (theirs.0, &theirs.1), "{case}: {ours:?} {theirs:?}");
        assert!(ours.2.contains(theirs.2.trim()), "{case}: {ours:?} {theirs:?}");
    }
    for arguments in [&[][..], &["ff", "ff"], &[&*good, &*good, &*good]] {
        let theirs = grind_all(Command::new(&util), arguments);
        let ours = grind_all(midstate(&[]), arguments);
        assert_eq!((ours.0, &ours.1), (theirs.0, &theirs.1), "{arguments:?}: {ours:?} {theirs:?}");
        assert!(ours.2.contains(theirs.2.trim()), "{arguments:?}: {ours:?} {theirs:?}");
    }
    // Where it may choose, the form is still the same.
    let (ours, theirs) = (grind(midstate(&[]), &good).1, grind(Command::new(&util), &good).1);
    assert_eq!((ours.len(), &ours[..152]), (theirs.len(), &theirs[..152]));
}

#[test]
fn more_than_the_nonce_is_changed_only_if_a_flag_says_so() {
    // This header is solved by its nonces: flags or not, they come first.
    let plain = run(&["grind", &header("ffff001f")]).stdout;
    let flags = ["--roll-version", "1fffe000", "--roll-time", "600"];
    let rolled = run(&[&["grind", &header("ffff001f")], &flags[..]].concat()).stdout;
    assert_eq!(plain, rolled);
    let help = String::from_utf8(run(&["grind", "--help"]).stdout).unwrap();
    for words in ["Only the nonce is changed", "--roll-version", "--roll-time", "signed signet"] {
        assert!(help.contains(words), "{words:?} is not in: {help}");
    }
}

#[test]
fn no_header_and_two_are_refused_in_the_words_of_core() {
    let good = header("ffff7f20");
    for (arguments, came) in [(&["grind"][..], "got 0"), (&["grind", &good, &good], "got 2")] {
        let (code, stderr) = fail(arguments);
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains("Must specify block header to grind"), "{stderr}");
        assert!(stderr.contains(came), "{stderr}");
    }
}

#[test]
fn what_is_not_a_header_is_refused_with_the_reason() {
    let good = header("ffff001e");
    for (header, words) in [
        (&good[..158], "expected 80 bytes, got 79"),
        (&good[..159], "Odd number of digits"),
        (&good.replace("c7f5", "c7g5"), "Invalid character 'g'"),
        (&header("ffffff21"), "Could not satisfy difficulty target: "),
        (&header("00000000"), "zero"),
    ] {
        let (code, stderr) = fail(&["grind", header]);
        assert_eq!(code, 1, "as bitcoin-util does: {stderr}");
        assert!(stderr.contains(words), "{words:?} in {stderr}");
    }
}
