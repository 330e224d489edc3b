//! Scans with one kernel and prints how many hashes that were: `scan avx2 16 8000` is the kernel,
//! the number of midstates, and the number of nonces.
//!
//! Without a clock, so that it is also what `cargo xtask instructions` counts instructions of.

use std::process::ExitCode;

use midstate_sha256d::{Kernel, Midstate, Tail, Work};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((kernel, work, nonces)) = parse(&arguments) else {
        let names: Vec<_> = Kernel::available().map(Kernel::name).collect();
        eprintln!("usage: scan KERNEL MIDSTATES NONCES, with a kernel of {}", names.join(", "));
        return ExitCode::from(2);
    };
    println!("{}", kernel.scan(&work, 0..nonces, &mut |hit| println!("{hit:?}")));
    ExitCode::SUCCESS
}

fn parse(arguments: &[String]) -> Option<(Kernel, Work, u64)> {
    let [kernel, midstates, nonces] = arguments else { return None };
    let versions = 0..midstates.parse::<u8>().ok()?;
    let midstates: Vec<_> = versions.map(|version| Midstate::of(&[version; 64])).collect();
    let work = Work::new(&midstates, Tail::from_bytes([7; 12]), &[0; 32])?;
    Some((Kernel::named(kernel)?, work, nonces.parse().ok()?))
}
