//! `cargo xtask`: automation of the project, in Rust, so that it runs wherever cargo runs.
//!
//! One module per command. Nothing here ships: no other crate depends on this one, and it depends
//! on no room of the house, so that a broken room cannot stop the tools that would say so.
#![forbid(unsafe_code)]

mod bitcoind;
mod tidy;

use std::env;
use std::path::Path;
use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask <command>

  tidy       assert the invariants of docs/architecture.md; list every violation
  bitcoind   print the path of a bitcoind for the tests, building one if there is none
  help       print this
";

/// The exit code for a command line that was not understood, as in the `midstate` binary.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["tidy"] => tidy::run(repository()),
        ["bitcoind"] => bitcoind::run(),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("xtask: unknown command {arguments:?}\n\n{HELP}");
            return ExitCode::from(USAGE);
        }
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

/// The root of the working tree that this program was compiled in.
fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate lies two levels below the root, in crates/xtask")
}
