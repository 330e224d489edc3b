//! `midstate doctor`: what this machine can do. One line per finding, each with its cure.

use std::time::{SystemTime, UNIX_EPOCH};

use midstate_chain::Network;
use midstate_sha256d::Kernel;
use serde::Serialize;

use crate::bench::cpu_name;
use crate::choose::{self, HashArgs};
use crate::exit::{Failure, Kind};
use crate::output::Output;
use crate::units;

/// Flags of `doctor`.
///
/// Example: midstate doctor
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    hash: HashArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Ok,
    Warn,
    Fail,
}

struct Finding {
    check: String,
    health: Health,
    found: String,
    cure: Option<&'static str>,
}

pub(crate) fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let mut findings = vec![cpu()];
    findings.extend(Kernel::available().map(kernel));
    findings.push(clock());
    let choice = choose::choose(&args.hash);
    if let Ok(choice) = &choice {
        findings.push(speed(choice));
    }
    for finding in &findings {
        tell(finding, out);
    }
    choice?;
    match findings.iter().any(|finding| finding.health == Health::Fail) {
        true => Err(Failure::new(Kind::SelfTest, anyhow::anyhow!("a kernel fails its self-test"))),
        false => Ok(()),
    }
}

fn tell(Finding { check, health, found, cure }: &Finding, out: &mut Output) {
    out.event(&serde_json::json!({
        "event": "doctor", "check": check, "health": health, "found": found, "cure": cure,
    }));
    let mark = match health {
        Health::Ok => "ok",
        Health::Warn => "warn",
        Health::Fail => "FAIL",
    };
    out.line(format!("{mark:<5} {check}: {found}"));
    if let Some(cure) = cure {
        out.line(format!("      {cure}"));
    }
}

fn cpu() -> Finding {
    let found = format!("{}, {} threads for us", cpu_name(), choose::available_threads());
    Finding { check: "cpu".into(), health: Health::Ok, found, cure: None }
}

fn kernel(kernel: Kernel) -> Finding {
    let good = kernel.self_test();
    Finding {
        check: format!("kernel {}", kernel.name()),
        health: if good { Health::Ok } else { Health::Fail },
        found: match good {
            true => format!("{} lanes, solves block 125552", kernel.lanes()),
            false => "computes wrong hashes".into(),
        },
        cure: (!good).then_some("report it, with the CPU's name; use another one with --kernel"),
    }
}

/// A wrong clock makes jobs look old and headers look new.
fn clock() -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // No clock is right that runs before this program's networks did.
    let sane = now > u64::from(Network::Testnet4.genesis().time);
    Finding {
        check: "clock".into(),
        health: if sane { Health::Ok } else { Health::Warn },
        found: format!("{now} seconds since 1970"),
        cure: (!sane).then_some("the clock is years behind: set it, for instance with NTP"),
    }
}

fn speed(choice: &choose::Choice) -> Finding {
    let config = &choice.config;
    Finding {
        check: "speed".into(),
        health: Health::Ok,
        found: format!(
            "{} is the fastest kernel, about {} with {} threads",
            config.kernel.name(),
            units::rate(choice.rate()),
            config.threads
        ),
        cure: None,
    }
}
