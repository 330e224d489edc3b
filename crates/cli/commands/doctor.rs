//! `midstate doctor`: what this machine can do, or how a pool or a node does if one is named. One
//! line per finding, each with its cure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midstate_chain::{BIP320_MASK, Job, Network};
use midstate_economics::calendar::utc;
use midstate_net::{NodeUrl, Outcome, PoolAddress, Stage, Step};
use midstate_sha256d::Kernel;
use midstate_stratum::ExpectedPayout;
use serde::Serialize;

use crate::commands::mine::{Server, no_flag_of};
use crate::machine::choose::{self, HashArgs};
use crate::machine::cpu::cpu_name;
use crate::machine::measure::Estimate;
use crate::servers::node::EntryArgs;
use crate::servers::pools::PoolArgs;
use crate::servers::terms::{Terms, node_login};
use crate::shell::exit::{Failure, Kind};
use crate::shell::output::Output;
use crate::shell::runtime;
use crate::shell::units;

/// Our user name at a pool where none is given.
const POOL_USER: &str = "midstate.doctor";

/// Seconds for which the rate of this machine is measured.
const MEASURING: f64 = 0.5;

/// Jobs are as old as the pool's last look at its node, so a smaller difference means nothing.
const CLOCK_SKEW: u64 = 120;

/// Flags of `doctor`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  midstate doctor
  midstate doctor stratum+tcp://127.0.0.1:3333 -u worker
  midstate doctor http://127.0.0.1:18443")]
pub(crate) struct Args {
    /// Examine this pool or this Bitcoin Core node instead of this machine
    #[arg(value_name = "URL")]
    url: Option<Server>,
    /// User name at the pool or node [default: midstate.doctor at a pool, the cookie at a node]
    #[arg(short, long, value_name = "USER", requires = "url")]
    user: Option<String>,
    /// Password at the pool or node
    #[arg(short, long, value_name = "PASS", requires = "url", allow_hyphen_values = true)]
    pass: Option<String>,
    #[command(flatten)]
    way: PoolArgs,
    #[command(flatten)]
    entry: EntryArgs,
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
    took: Option<Duration>,
}

pub(crate) fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let Args { way, entry, hash, .. } = &args;
    match &args.url {
        None => {
            let given = way.route.given().or(way.given()).or(entry.given());
            no_flag_of("pools and nodes", given, "no URL is given")?;
            examine_machine(&args, out)
        }
        Some(Server::Pool(url)) => {
            no_flag_of("this machine", hash.given(), "a pool is examined")?;
            no_flag_of("nodes", entry.given(), "the server is a pool")?;
            examine_pool(url, &args, out)
        }
        Some(Server::Node(url)) => {
            no_flag_of("this machine", hash.given(), "a node is examined")?;
            no_flag_of("pools", way.given(), "the server is a node")?;
            examine_node(url, &args, out)
        }
    }
}

fn examine_machine(args: &Args, out: &mut Output) -> Result<(), Failure> {
    let mut findings = vec![cpu()];
    findings.extend(Kernel::available().map(kernel));
    findings.push(clock());
    let choice = choose::choose(&args.hash);
    if let Ok(choice) = &choice {
        findings.push(speed(choice, &choice.measure(MEASURING)?));
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

/// One connection to a pool, step by step.
fn examine_pool(address: &PoolAddress, args: &Args, out: &mut Output) -> Result<(), Failure> {
    let flags = Terms { user: args.user.clone(), pass: args.pass.clone(), ..args.way.terms() };
    let nobody = Terms { user: Some(POOL_USER.to_owned()), ..Terms::default() };
    let said = flags.over(address.login.clone().into()).over(nobody);
    let account = said.account(&address.url, BIP320_MASK)?;
    let dialler = midstate_net::Dialler::default();
    let is_stranger = account.client.user == POOL_USER;
    let mut steps = Steps { out, failed: None, is_stranger };
    let examination = midstate_net::examine_pool(&account, &dialler, |step| steps.tell(step));
    let job = runtime::block_on(examination)?;
    steps.verdict()?;
    if let Some(job) = job {
        tell(&pool_clock(&job), out);
        if let Some(expected) = &account.client.expect_payout {
            tell(&payout(expected, &job), out);
        }
    }
    Ok(())
}

/// All that mining at a node needs of it, step by step.
fn examine_node(url: &NodeUrl, args: &Args, out: &mut Output) -> Result<(), Failure> {
    let login = node_login(args.user.clone(), args.pass.clone(), Some(url))?;
    let node = args.entry.node(url.clone(), login, &args.way.terms(), out)?;
    let dialler = midstate_net::Dialler::default();
    let mut steps = Steps { out, failed: None, is_stranger: false };
    let wanted = args.entry.chain;
    let examination = midstate_net::examine_node(&node, wanted, &dialler, |step| steps.tell(step));
    runtime::block_on(examination)?;
    steps.verdict()
}

/// Tells the steps of an examination, and remembers the one that failed.
struct Steps<'a> {
    out: &'a mut Output,
    failed: Option<(Kind, String)>,
    /// No user was given, so that the pool was told of one that it cannot know.
    is_stranger: bool,
}

impl Steps<'_> {
    fn tell(&mut self, step: Step) {
        let kind = match (&step.outcome, step.stage) {
            (Outcome::Refused(_), _) => Kind::Refused,
            (_, Stage::Name | Stage::Connect | Stage::Tls | Stage::Noise) => Kind::Unreachable,
            _ => Kind::Runtime,
        };
        if let Outcome::Bad(problem) | Outcome::Explained(problem) | Outcome::Refused(problem) =
            &step.outcome
        {
            self.failed = Some((kind, problem.clone()));
        }
        let mut finding = examined(step);
        if self.is_stranger && kind == Kind::Refused && finding.cure.is_some() {
            finding.cure = Some(
                "no user was given, and the pool does not know midstate.doctor: add -u USER, which \
                 most pools want to be an address or an account",
            );
        }
        tell(&finding, self.out);
    }

    fn verdict(self) -> Result<(), Failure> {
        let Some((kind, problem)) = self.failed else { return Ok(()) };
        Err(Failure::new(kind, anyhow::Error::msg(problem)))
    }
}

fn examined(Step { stage, took, outcome }: Step) -> Finding {
    // Where the node's answer or ours to it names the cure, there is no other.
    let (check, cure) = match stage {
        Stage::Name => ("name", Some("check the spelling, and whether other names can be found")),
        Stage::Connect => {
            ("connection", Some("check the port, the firewall and whether the server is up"))
        }
        Stage::Tls => {
            ("TLS", Some("see the line above; --tls-insecure would only hide the problem"))
        }
        Stage::Noise => ("Noise", Some("is it a Stratum V2 port? Ask the pool")),
        Stage::Setup => {
            ("setup", Some("the pool gave no clear answer: try again later, or ask it"))
        }
        Stage::Channel => {
            ("channel", Some("check --user; pools want an address or account, see also --channel"))
        }
        Stage::Subscribe => {
            ("subscribe", Some("is it a Stratum v1 port for SHA-256? Ask the pool"))
        }
        Stage::Authorize => {
            let cure = match outcome {
                Outcome::Refused(_) => "check --user and --pass; pools want an address or account",
                _ => "the pool gave no clear answer: try again later, or ask the pool",
            };
            ("authorize", Some(cure))
        }
        Stage::Job => {
            ("first job", Some("the pool has no work: its node may be down or catching up"))
        }
        Stage::Credentials => ("credentials", None),
        Stage::Chain => ("chain", None),
        Stage::Sync => {
            ("sync", Some("wait until it has caught up: blocks mined before then are stale"))
        }
        Stage::Peers => {
            ("peers", Some("check the node's network: a block that no other node hears of is lost"))
        }
        Stage::Template => ("template", Some("the node's debug.log may say more")),
        Stage::Challenge => ("signet challenge", None),
        Stage::Proposal => {
            ("proposal", Some("where the reason is the node's, its debug.log may say more"))
        }
        Stage::Clock => (
            "clock",
            Some(
                "set both clocks with NTP; the times of test networks may run ahead, but a block \
                 more than two hours ahead is refused",
            ),
        ),
    };
    let is_pool = matches!(
        stage,
        Stage::Noise
            | Stage::Setup
            | Stage::Channel
            | Stage::Subscribe
            | Stage::Authorize
            | Stage::Job
    );
    let cure = cure.filter(|_| match outcome {
        Outcome::Good(_) | Outcome::Explained(_) => false,
        // A warning by the pool or about it; the cures are for what ends the examination.
        Outcome::Doubtful(_) => !is_pool,
        Outcome::Bad(_) | Outcome::Refused(_) => true,
    });
    let (health, found) = match outcome {
        Outcome::Good(found) => (Health::Ok, found),
        Outcome::Doubtful(found) => (Health::Warn, found),
        Outcome::Bad(problem) | Outcome::Refused(problem) => (Health::Fail, problem),
        Outcome::Explained(problem) => (Health::Fail, problem),
    };
    Finding { check: check.to_owned(), health, found, cure, took: Some(took) }
}

/// The check of the address that the job's coinbase pays. With `--payout-strict` a job that does
/// not pay is none.
fn payout(expected: &ExpectedPayout, job: &Job) -> Finding {
    let (health, found) = match expected.check(job) {
        Ok(()) => (Health::Ok, format!("the job's coinbase pays {}", expected.address)),
        Err(why) => (Health::Warn, why.to_string()),
    };
    let cure = "ask the pool how it pays: most pay later, from an address of their own";
    let cure = (health != Health::Ok).then_some(cure);
    Finding { check: "payout".to_owned(), health, found, cure, took: None }
}

/// The pool's time against ours: a job's time is the earliest that a header may carry.
fn pool_clock(job: &Job) -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let skew = now.abs_diff(u64::from(job.time));
    let sane = skew <= CLOCK_SKEW;
    Finding {
        check: "clock".to_owned(),
        health: if sane { Health::Ok } else { Health::Warn },
        found: format!("{skew} s from the time of the pool's job"),
        cure: (!sane).then_some(
            "set this machine's clock with NTP; if it is right, the pool's work is old (or it is \
             a test network, whose times run ahead)",
        ),
        took: None,
    }
}

fn tell(Finding { check, health, found, cure, took }: &Finding, out: &mut Output) {
    out.event(&serde_json::json!({
        "event": "doctor", "check": check, "health": health, "found": found, "cure": cure,
        "took_ms": took.map(|took| took.as_secs_f64() * 1e3),
    }));
    let mark = match health {
        Health::Ok => "ok",
        Health::Warn => "warn",
        Health::Fail => "FAIL",
    };
    let took = took.map(|took| format!("  ({:.1} ms)", took.as_secs_f64() * 1e3));
    out.message(6, format!("{mark:<5} {check}: {found}{}", took.unwrap_or_default()));
    if let Some(cure) = cure {
        out.message(0, format!("      {cure}"));
    }
}

fn cpu() -> Finding {
    let threads = units::count(choose::available_threads(), "thread");
    let found = format!("{}, {threads} for us", cpu_name());
    Finding { check: "cpu".into(), health: Health::Ok, found, cure: None, took: None }
}

fn kernel(kernel: Kernel) -> Finding {
    let good = kernel.self_test();
    Finding {
        check: format!("kernel {}", kernel.name()),
        health: if good { Health::Ok } else { Health::Fail },
        found: match good {
            true => format!("{}, solves block 125552", units::count(kernel.lanes(), "lane")),
            false => "computes wrong hashes".into(),
        },
        cure: (!good).then_some("report it, with the CPU's name; use another one with --kernel"),
        took: None,
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
        found: format!("{} UTC", utc(now as i64)),
        cure: (!sane).then_some("the clock is years behind: set it, for instance with NTP"),
        took: None,
    }
}

fn speed(choice: &choose::Choice, rate: &Estimate) -> Finding {
    let config = &choice.config;
    let busy = rate.is_busy();
    Finding {
        check: "speed".into(),
        health: if busy { Health::Warn } else { Health::Ok },
        found: format!(
            "{}, {}, {}: {}",
            config.kernel.name(),
            units::count(config.threads, "thread"),
            units::count(config.cut.midstates, "midstate"),
            rate.words(),
        ),
        cure: busy.then_some("end the programs that use the CPU, then measure again"),
        took: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_cpu_is_a_warning_with_a_cure() {
        let args = HashArgs { threads: None, kernel: Some("scalar".into()) };
        let choice = choose::choose(&args).unwrap();
        let free = Estimate {
            median: 75e6,
            low: 74e6,
            high: 76e6,
            best: 76.4e6,
            possible: 76.4e6,
            samples: 10,
            elsewhere: Some(0.01),
        };
        let finding = speed(&choice, &free);
        assert_eq!((finding.health, finding.cure), (Health::Ok, None));
        assert!(finding.found.ends_with(": 75.0 MH/s measured now"), "{}", finding.found);
        let finding = speed(&choice, &Estimate { median: 10.8e6, elsewhere: Some(0.86), ..free });
        assert_eq!(finding.health, Health::Warn);
        assert!(finding.cure.is_some());
        let busy = "busy: 10.8 of 76.4 MH/s possible; 86 % of the CPU time went to other programs";
        assert!(finding.found.ends_with(busy), "{}", finding.found);
    }
}
