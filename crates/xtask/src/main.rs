//! `cargo xtask`: automation of the project, in Rust, so that it runs wherever cargo runs.
//!
//! One module per command. Nothing here ships: no other crate depends on this one, and it depends
//! on no room of the house, so that a broken room cannot stop the tools that would say so.
#![forbid(unsafe_code)]

mod asm;
mod bitcoind;
mod cache;
mod chaos;
mod cross;
mod debian;
mod flood;
mod instructions;
mod kernels;
mod loom;
mod machines;
mod mutants;
mod order;
mod program;
mod soak;
mod sv2_pool;
mod tidy;
mod torture;
mod wasm;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

const HELP: &str = "\
usage: cargo xtask <command>

  tidy       assert the invariants of docs/architecture.md; list every violation
  asm [TRIPLE]
             check the kernels' assembly: nothing called in a loop, no growth
  instructions
             count a hash's instructions with callgrind; fail on growth
  order [--seconds S] [--seed N]
             search the order of the SHA kernel's rounds on this CPU; writes it if one is faster
  machines [FILE]
             the table of docs/machines.md from its blocks of `midstate bench --report`, and
             from those of FILE, a saved issue for example
  cross-test aarch64|windows
             the hasher's suite under qemu's user-mode emulation, or all libraries' under Wine
  torture [--pairs N]
             random headers through every kernel, against two other crates; 10^9 pairs
  chaos --seeds N
             the faults of pools against the Stratum client, and those of miners against the
             embedded pool, each over N seeds
  mutants [--shard K/N] [CRATE..]
             change the code of chain, work, stratum, pool and gbt in every way that
             cargo-mutants knows; their tests must notice 95 % of the changes
  loom       explore every interleaving of the slot between network and threads
  soak --hours H
             the program for a long time: at a pool through a proxy with a fault every
             30 s, and at a node that is stopped or killed every ten minutes
  flood --seconds S
             what 10,000 jobs a second cost the program, against one job
  wasm [--write|--bench]
             build the module that browsers hash with, compare it with the one in the
             repository and test it in Node and Chromium; --write puts it there first,
             --bench tells its rate beside the native kernel's
  bitcoind   print the path of a bitcoind for the tests, building one if there is none
  sv2-pool [--cached]
             print the path of the Stratum V2 reference implementation's pool for the
             tests, building one if there is none; --cached builds none
  help       print this
";

/// The exit code for a command line that was not understood, as in the `midstate` binary.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["tidy"] => repository().and_then(|root| tidy::run(&root)),
        ["asm"] => repository().and_then(|root| asm::run(&root, None)),
        ["asm", triple] => repository().and_then(|root| asm::run(&root, Some(triple))),
        ["instructions"] => repository().and_then(|root| instructions::run(&root)),
        ["order"] => repository().and_then(|root| order::run(&root, "300", "1")),
        ["order", "--seconds", seconds] => {
            repository().and_then(|root| order::run(&root, seconds, "1"))
        }
        ["order", "--seconds", seconds, "--seed", seed] => {
            repository().and_then(|root| order::run(&root, seconds, seed))
        }
        ["machines"] => repository().and_then(|root| machines::run(&root, None)),
        ["machines", file] => repository().and_then(|root| machines::run(&root, Some(file))),
        ["cross-test", target] => repository().and_then(|root| cross::run(&root, target)),
        ["torture"] => repository().and_then(|root| torture::run(&root, torture::PAIRS)),
        ["torture", "--pairs", pairs] => repository().and_then(|root| torture::run(&root, pairs)),
        ["chaos", "--seeds", seeds] => repository().and_then(|root| chaos::run(&root, seeds)),
        ["mutants", ..] => repository().and_then(|root| mutants::run(&root, &arguments[1..])),
        ["loom"] => repository().and_then(|root| loom::run(&root)),
        ["soak", "--hours", hours] => repository().and_then(|root| soak::run(&root, hours)),
        ["flood", "--seconds", seconds] => repository().and_then(|root| flood::run(&root, seconds)),
        ["wasm"] => repository().and_then(|root| wasm::run(&root, false)),
        ["wasm", "--write"] => repository().and_then(|root| wasm::run(&root, true)),
        ["wasm", "--bench"] => repository().and_then(|root| wasm::bench(&root)),
        ["bitcoind"] => bitcoind::run(),
        ["sv2-pool"] => sv2_pool::run(true),
        ["sv2-pool", "--cached"] => sv2_pool::run(false),
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

/// The root of the working tree that cargo runs this for. Asked at run time: clones that share a
/// target directory share this program too, so a path compiled in may be the other clone's.
fn repository() -> anyhow::Result<PathBuf> {
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .context("CARGO_MANIFEST_DIR is not set: run it as `cargo xtask`")?;
    let root = package.ancestors().nth(2);
    Ok(root.context("this package lies two levels below the root")?.to_owned())
}
