//! `midstate grind`: a header in, the solved header out. Takes the place of `bitcoin-util grind` in
//! scripts: same argument, same output, same exit code.

use midstate_chain::Header;
use midstate_engine::grind;

use crate::choose::{self, HashArgs};
use crate::exit::Failure;
use crate::output::Output;

/// Flags of `grind`.
///
/// Only the nonce is changed. Exit code 1 and `Could not satisfy difficulty target` on stderr mean
/// that none of the 2^32 nonces will do: change the header's time and try again.
///
/// Example: midstate grind 0100000000000000...1dac2b7c
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The header: 80 bytes, 160 hex digits
    #[arg(value_name = "HEADERHEX")]
    header: String,
    #[command(flatten)]
    hash: HashArgs,
}

pub(crate) fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let header: Header = args.header.parse().map_err(|error: midstate_chain::HeaderError| {
        Failure::usage(format!("the header cannot be used: {error}"))
    })?;
    let target = header
        .bits
        .to_target()
        .map_err(|error| Failure::usage(format!("the header cannot be solved: {error}")))?;
    let config = choose::choose(&args.hash)?.config;
    let solved = grind(config.kernel, config.threads, &header, target, 0..1 << 32)
        .ok_or_else(|| anyhow::anyhow!("Could not satisfy difficulty target"))?;
    if out.is_json() {
        let (header, hash) = (solved.to_string(), solved.hash().to_string());
        out.event(&serde_json::json!({
            "event": "grind", "header": header, "nonce": solved.nonce, "hash": hash,
        }));
    }
    out.line(solved.to_string());
    Ok(())
}
