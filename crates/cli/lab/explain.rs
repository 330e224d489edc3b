//! `midstate explain`: one header's hash, step by step; and chance, felt on this machine.

mod dial;
mod luck;
mod rounds;
mod terms;
mod walk;

use midstate_chain::{Header, HeaderError, Network};

use crate::machine::choose::HashArgs;
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::values::whole;

/// Headers that have a name.
const FAMOUS: [(&str, &str); 2] = [
    (
        "1",
        "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd\
         1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299",
    ),
    (
        "125552",
        "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000e320b6c2\
         fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74df2b9441a42a14695",
    ),
];

/// The glossary, which is asked for in place of a header.
const TERMS: &str = "terms";

/// Flags of `explain`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  midstate explain 125552 --step
  midstate explain --dial")]
pub(crate) struct Args {
    /// A header: 160 hex digits, or genesis, 1, 125552 (blocks of mainnet) or regtest; or terms,
    /// the words of mining, or one of them
    #[arg(value_name = "HEADER", default_value = "genesis")]
    header: String,
    /// Wait for Enter before each step, and show every round
    #[arg(long)]
    step: bool,
    /// Mine at rising difficulty, 8 to 28 bits, and compare the tries with their expectation
    #[arg(long, conflicts_with_all = ["step", "luck"])]
    dial: bool,
    /// Find thousands of easy blocks, and compare the waits with theory
    #[arg(long, conflicts_with = "step")]
    luck: bool,
    /// Seed of --dial and --luck: the same seed mines the same headers [default: the time]
    #[arg(long, value_name = "N", value_parser = whole(0..=u64::MAX, 1))]
    seed: Option<u64>,
    #[command(flatten)]
    hash: HashArgs,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<(), Failure> {
    if args.dial {
        return dial::run(&args.hash, seed(args), out);
    }
    if args.luck {
        return luck::run(&args.hash, seed(args), out);
    }
    if args.header == TERMS {
        terms::print(out);
        return Ok(());
    }
    if let Some(meaning) = terms::meaning(&args.header) {
        terms::print_one(&args.header, meaning, out);
        return Ok(());
    }
    walk::run(&args.header, &header_named(&args.header)?, args.step, out)
}

fn seed(args: &Args) -> u64 {
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |time| time.as_nanos() as u64)
    };
    args.seed.unwrap_or_else(now)
}

fn header_named(name: &str) -> Result<Header, Failure> {
    let famous = FAMOUS.iter().find(|(famous, _)| *famous == name);
    match (name, famous) {
        ("genesis", _) => Ok(Network::Mainnet.genesis()),
        ("regtest", _) => Ok(Network::Regtest.genesis()),
        (_, Some((_, hex))) => Ok(hex.parse().expect("the constants are headers")),
        _ => name.parse().map_err(|error: HeaderError| match similar(name) {
            Some(meant) => {
                Failure::usage(format!("unknown header {name:?}: did you mean {meant}?"))
            }
            None => {
                // A text of another length is hardly meant as a header.
                let why = match name.len() {
                    160 => format!(": {error}"),
                    _ => String::new(),
                };
                let known = "genesis, 1, 125552, regtest, terms, one of the words that terms \
                             explains, or a header of 160 hex digits";
                Failure::usage(format!("cannot explain {name:?}{why}; expected {known}"))
            }
        }),
    }
}

/// The name that was probably meant: at most two letters of it are wrong, missing or too many.
fn similar(name: &str) -> Option<&'static str> {
    const WORDS: [&str; 3] = ["genesis", "regtest", TERMS];
    let name = name.to_lowercase();
    WORDS.into_iter().find(|word| strsim::levenshtein(word, &name) <= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn famous_headers_are_what_they_are_called() {
        let hash = |name| header_named(name).unwrap().hash().to_string();
        assert!(hash("genesis").ends_with("b60a8ce26f"));
        assert!(hash("1").ends_with("eb6048"));
        assert!(hash("125552").ends_with("1f98bd1d"));
        assert_eq!(header_named(&Network::Signet.genesis().to_string()).unwrap().nonce, 52_613_770);
        assert!(header_named("genesiss").is_err());
    }

    #[test]
    fn a_name_with_a_slip_is_told_the_right_one() {
        let names = ["genisis", "Genesis", "gensis", "regtst", "words", "00"].map(similar);
        let (genesis, regtest) = (Some("genesis"), Some("regtest"));
        assert_eq!(names, [genesis, genesis, genesis, regtest, None, None]);
    }
}
