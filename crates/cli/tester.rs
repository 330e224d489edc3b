//! `midstate swarm`: a pool tester. Many miners in one process, with true work at rates that a
//! script decides, and books that are compared with the answers of the pool.

mod guard;
mod nominal;
mod page;
mod run;
mod view;
mod watch;
mod words;
mod yard;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use midstate_net::{Account, PoolAddress, PoolUrl, Redirects, read_text_file};
use midstate_sv2::ChannelKind;
use midstate_swarm::{Fault, FaultPlan, Limits, Script, expect};

use crate::console::{self, ViewArgs};
use crate::machine::choose::{HashArgs, choose};
use crate::servers::frames::FramesArgs;
use crate::servers::pools::{Channel, RouteArgs};
use crate::servers::terms::Terms;
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::runtime;
use crate::shell::values;

/// The number of a miner in a user name.
const NUMBER: &str = "{n}";

/// Flags of `swarm`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  midstate demo --listen 127.0.0.1:3333 --threads 1 --max-hashrate 1000
  midstate swarm -o 127.0.0.1:3333 --workers 100 --profile steady:50k")]
pub(crate) struct Args {
    /// The pool to test, stratum+tcp://HOST:PORT, stratum+tls://HOST:PORT, HOST:PORT, or
    /// stratum2+tcp://HOST:PORT/AUTHORITYKEY for Stratum V2
    #[arg(short = 'o', long, value_name = "URL", required = true)]
    url: PoolAddress,
    /// Number of miners, each with its own connection, user name and search
    #[arg(
        long, value_name = "N", default_value = "10",
        value_parser = values::whole(1..=Limits::PRIVATE.workers, 100)
    )]
    workers: u32,
    /// Hash rate of each miner and its changes, as words with spaces between them: steady:5M,
    /// step:1M@30s,10M@60s, ramp:1M..50M/2m, burst:20M/1s every 10s, stall:@60s for 30s,
    /// leave:20%@2m, join:100@3m and others
    #[arg(long, value_name = "WORDS", default_value = "steady:50k")]
    profile: String,
    /// TOML file with groups of miners, each with its own profile
    #[arg(long, value_name = "FILE", conflicts_with_all = ["profile", "workers"])]
    script: Option<PathBuf>,
    /// Seed of all that is drawn, such as who leaves: the same seed draws the same
    #[arg(
        long, value_name = "N", default_value = "1",
        value_parser = values::whole(0..=u64::MAX, 1)
    )]
    seed: u64,
    /// User name of each miner; the n in braces becomes its number, from 1
    #[arg(long, value_name = "PATTERN", default_value = "w{n}")]
    user_pattern: String,
    /// Password of all miners
    #[arg(short, long, value_name = "PASS", allow_hyphen_values = true)]
    pass: Option<String>,
    /// Length of the script
    #[arg(long, value_name = "SECS", default_value = "60", value_parser = values::patience)]
    time_limit: u64,
    /// Test a pool at a public address, with 50 miners at most. Only for a pool of your own: to
    /// load a stranger's is an attack
    #[arg(long)]
    i_own_this_pool: bool,
    /// Version bits to roll, or off
    #[arg(long, value_name = "HEX", default_value = "1fffe000", value_parser = values::parse_mask)]
    version_mask: u32,
    /// Ask the pool for shares of this difficulty; few pools obey
    #[arg(long, value_name = "D", value_parser = values::positive)]
    suggest_difficulty: Option<f64>,
    /// The channel of each miner at a pool of Stratum V2: a job is a header (standard), or a
    /// coinbase with a part of the extranonce for us (extended) [default: standard]
    #[arg(long, value_name = "KIND", hide_possible_values = true)]
    channel: Option<Channel>,
    /// Tell a pool of Stratum V2 this hash rate of each miner, as 50M, instead of what the script
    /// asks for
    #[arg(long, value_name = "HS", value_parser = values::hash_rate)]
    nominal_hashrate: Option<f64>,
    /// Judge the test by these conditions, with commas between them, and exit with code 6 if one is
    /// not met: p99<50ms,lost=0,disconnects=0 and others
    #[arg(long, value_name = "CONDITIONS")]
    expect: Option<String>,
    /// Shares a minute that the pool wants of each miner, by which its difficulty is judged
    /// [default: the median of what it comes to]
    #[arg(long, value_name = "N", value_parser = values::positive)]
    goal: Option<f64>,
    /// Faults to be done on purpose, KIND:COUNT, KIND:PERCENT% of the shares or KIND:COUNT/TIME,
    /// with commas between them: stale, duplicate, low, bad-job, bad-extranonce, bad-time,
    /// bad-version, unauthorized, late, silent, half-line or half-frame, disconnect. None where
    /// blocks are worth money
    #[arg(long, value_name = "FAULTS", value_delimiter = ',')]
    fault: Vec<String>,
    /// Write a report with plots to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    route: RouteArgs,
    #[command(flatten)]
    hash: HashArgs,
    #[command(flatten)]
    frames: FramesArgs,
    #[command(flatten)]
    view: ViewArgs,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<(), Failure> {
    let script = Arc::new(args.script()?);
    let account = args.account(script.workers())?;
    let names = Names(args.user_pattern.clone());
    let expected = args.expect.as_deref().map_or(Ok(Vec::new()), expect::parse);
    let expected = expected.map_err(|error| Failure::usage(format!("--expect {error}")))?;
    let faults = args.faults()?;
    let (frames, file) = args.frames.open(out)?;
    let choice = choose(&args.hash)?;
    let tested = runtime::block_on(async {
        let bounds = guard::bounds(&account, script.workers(), args).await?;
        let setup = run::Setup {
            account,
            names,
            script,
            length: Duration::from_secs(args.time_limit),
            bounds,
            choice,
            profile: args.profile_in_words(),
            frames,
            expected,
            faults,
            goal: args.goal,
            html: args.html.clone(),
            is_watched: console::is_watched(&args.view, out),
        };
        run::run(setup, out).await
    });
    file.close();
    tested?
}

impl Args {
    fn account(&self, workers: u32) -> Result<Account, Failure> {
        let PoolAddress { url, login } = &self.url;
        if login.user.is_some() {
            return Err(Failure::usage(
                "the URL has a user name, and each miner has its own: name them with \
                 --user-pattern",
            ));
        }
        self.check_protocol(url.v2.is_some())?;
        // The longest name: if it can be sent, all can.
        let longest = Names(self.user_pattern.clone()).of(workers - 1);
        let terms = Terms {
            user: Some(longest),
            pass: self.pass.clone().or(login.password.clone()),
            any_user: Some(true),
            suggest_difficulty: self.suggest_difficulty,
            channel: self.channel.map(ChannelKind::from),
            nominal_hash_rate: self.nominal_hashrate,
            ..self.route.terms()
        };
        let mut account = terms.account(url, self.version_mask)?;
        account.redirects = Redirects::None;
        account.client.limits.share_rate = Limits::PRIVATE.shares;
        // Ten thousand miners remember theirs.
        account.client.limits.jobs = Limits::PRIVATE.jobs;
        Ok(account)
    }

    /// Whether the flags are about the protocol that the pool speaks.
    fn check_protocol(&self, is_v2: bool) -> Result<(), Failure> {
        let foreign = if is_v2 {
            values::first_given(&[
                (self.pass.is_some(), "--pass"),
                (self.suggest_difficulty.is_some(), "--suggest-difficulty"),
            ])
        } else {
            values::first_given(&[
                (self.channel.is_some(), "--channel"),
                (self.nominal_hashrate.is_some(), "--nominal-hashrate"),
            ])
        };
        let (theirs, ours) = if is_v2 { ("V1", "V2") } else { ("V2", "V1") };
        match foreign {
            None => Ok(()),
            Some(flag) => Err(Failure::usage(format!(
                "{flag} is for pools of Stratum {theirs}, and the pool of --url speaks {ours}: \
                 leave it out"
            ))),
        }
    }

    fn faults(&self) -> Result<Option<FaultPlan>, Failure> {
        if self.fault.is_empty() {
            return Ok(None);
        }
        let plan = FaultPlan::parse(&self.fault.join(","), self.seed);
        let plan = plan.map_err(|error| Failure::usage(format!("--fault {error}")))?;
        let lacks = |fault: &Fault| match (self.url.url.v2, fault) {
            (Some(_), Fault::Unauthorized) => {
                Some("a share of Stratum V2 names no user: its channel was opened for one")
            }
            (Some(_), Fault::BadExtranonce) if self.channel != Some(Channel::Extended) => {
                Some("a share on a standard channel has no extranonce: add --channel extended")
            }
            _ => None,
        };
        let lacking = plan.kinds().find_map(|fault| Some((fault, lacks(&fault)?)));
        match lacking {
            Some((fault, why)) => Err(Failure::usage(format!("--fault {}: {why}", fault.name()))),
            None => Ok(Some(plan)),
        }
    }

    fn profile_in_words(&self) -> String {
        match &self.script {
            Some(file) => format!("by {}", file.display()),
            None => self.profile.clone(),
        }
    }

    fn script(&self) -> Result<Script, Failure> {
        match &self.script {
            Some(file) => {
                let text =
                    read_text_file(file).map_err(|error| Failure::usage(error.to_string()))?;
                Script::from_toml(&text, self.seed)
                    .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
            }
            None => Script::parse(&self.profile, self.workers, self.seed)
                .map_err(|error| Failure::usage(format!("--profile {error}"))),
        }
    }
}

/// The names of the miners.
#[derive(Clone)]
struct Names(String);

impl Names {
    /// The name of a miner by its number, which people count from 1.
    fn of(&self, worker: u32) -> String {
        self.0.replace(NUMBER, &(worker + 1).to_string())
    }
}

/// The pool's name in events.
fn name_of(url: &PoolUrl) -> String {
    url.to_string()
}
