//! `grind`: what `bitcoin-util grind` does, as scripts call it.

use bitcoin::block::Header;
use bitcoin::consensus::deserialize;

use crate::program::{fail, run};

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

#[test]
fn what_is_not_a_header_is_refused_with_its_length() {
    let good = header("ffff001e");
    for (header, words) in [
        (&good[..158], "got 79 bytes"),
        (&format!("{good}00"), "got 81 bytes"),
        (&good[..159], "Odd number of digits"),
        (&good.replace("c7f5", "c7g5"), "Invalid character 'g'"),
        (&header("ffffff21"), "target"),
        (&header("00000000"), "zero"),
    ] {
        let (code, stderr) = fail(&["grind", header]);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains(words), "{words:?} in {stderr}");
    }
}
