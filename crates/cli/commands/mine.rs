//! `midstate mine`: mine at a pool, or solo at a node.

mod plan;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use midstate_net::{NodeLinkConfig, NodeUrl, PoolAddress, Upstream, UrlError, WrongPart};
use tokio::sync::mpsc;

use self::plan::Plan;
use crate::commands::limits::print_limits;
use crate::commands::outcome::{outcome, with_summary};
use crate::console::{self, ViewArgs};
use crate::machine::choose::MiningArgs;
use crate::mining::{self, Goals, Rig};
use crate::servers::config::Config;
use crate::servers::directories;
use crate::servers::frames::FramesArgs;
use crate::servers::node::NodeArgs;
use crate::servers::pools::{self, PoolArgs, Pools, Reloader, spread};
use crate::servers::secrets;
use crate::servers::terms::node_login;
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::runtime;
use crate::shell::values;
use crate::web::WebArgs;

/// The configuration that is read when nothing else is said, in our own directory.
const CONFIG_NAME: &str = "config.toml";

/// The groups of flags in `mine --help`; those of flattened structs stand there.
const POOLS: &str = "Pools and nodes";
const STOPPING: &str = "Stopping";
const CHECKING: &str = "Checking";

/// Flags of `mine`.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = POOLS, after_help = "Examples:
  midstate mine -o stratum+tcp://127.0.0.1:3333 -u worker -p x
  midstate mine --address bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080 --blocks 10")]
pub(crate) struct Args {
    /// Pool to mine at, stratum+tcp://HOST:PORT or HOST:PORT, or a Bitcoin Core node,
    /// http://HOST:PORT or https://HOST; several are tried in order [default, with --address: the
    /// local node]
    #[arg(short = 'o', long, value_name = "URL")]
    url: Vec<Server>,
    /// User name at the pool or node, one for each URL or one for all
    #[arg(short, long, value_name = "USER")]
    user: Vec<String>,
    /// Password at the pool or node, one for each URL or one for all
    #[arg(short, long, value_name = "PASS", allow_hyphen_values = true)]
    pass: Vec<String>,
    /// File whose only line is the password, one for each URL or one for all. Safer than --pass,
    /// because every user of the machine can read a command line
    #[arg(long, value_name = "FILE", conflicts_with = "pass")]
    pass_file: Vec<PathBuf>,
    /// User name and password in one
    #[arg(
        short = 'O', long, value_name = "USER:PASS", allow_hyphen_values = true,
        conflicts_with_all = ["user", "pass", "pass_file"]
    )]
    userpass: Vec<String>,
    /// Version bits to roll, or off
    #[arg(long, value_name = "HEX", default_value = "1fffe000", value_parser = values::parse_mask)]
    version_mask: u32,
    /// Return from a backup when a better pool or node has been healthy for this many seconds
    /// [default: 60]
    #[arg(long, value_name = "SECS", value_parser = values::seconds)]
    return_after: Option<u64>,
    /// Read pools and defaults from this TOML file; SIGHUP reads the pools again [default, if
    /// neither URL nor --address is given: ~/.config/midstate/config.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    way: PoolArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    mining: MiningArgs,
    /// Stop after this many accepted blocks
    #[arg(long, value_name = "N", value_parser = values::count, help_heading = STOPPING)]
    blocks: Option<u64>,
    /// Stop after this many accepted shares
    #[arg(long, value_name = "N", value_parser = values::count, help_heading = STOPPING)]
    shares: Option<u64>,
    /// Stop after this many seconds
    #[arg(long, value_name = "SECS", value_parser = values::seconds, help_heading = STOPPING)]
    time_limit: Option<u64>,
    /// Give up when no pool or node has given us work for this many seconds, 1 or more
    #[arg(long, value_name = "SECS", value_parser = values::patience, help_heading = STOPPING)]
    give_up: Option<u64>,
    #[command(flatten)]
    web: WebArgs,
    #[command(flatten)]
    view: ViewArgs,
    #[command(flatten)]
    frames: FramesArgs,
    /// Check flags and configuration, print what would be done, and exit
    #[arg(long, help_heading = CHECKING)]
    dry_run: bool,
    /// Print every limit on pools and nodes, and what happens beyond it
    #[arg(long, help_heading = CHECKING)]
    print_limits: bool,
}

/// Where jobs can come from.
#[derive(Debug, Clone)]
pub(crate) enum Server {
    Pool(PoolAddress),
    Node(NodeUrl),
}

impl FromStr for Server {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let scheme = text.trim().split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("http" | "https") => text.parse().map(Self::Node),
            _ => text.parse().map(Self::Pool).map_err(|error: UrlError| match error.wrong {
                WrongPart::Scheme(_) | WrongPart::Slashes | WrongPart::Colon => {
                    UrlError { expected: EITHER, ..error }
                }
                _ => error,
            }),
        }
    }
}

/// The URLs of both kinds of servers.
const EITHER: &str = "stratum+tcp://HOST:PORT, stratum+tls://HOST:PORT or \
                      stratum2+tcp://HOST:PORT/AUTHORITYKEY for a pool, http://HOST:PORT or \
                      https://HOST:PORT for a node";

pub(crate) fn run(mut args: Args, out: &mut Output) -> Result<(), Failure> {
    if args.print_limits {
        let mut pools = Pools::new(Vec::new());
        pools.set_return_after(args.return_after);
        print_limits(&args.way.limits(), &pools.link.limits, out);
        return Ok(());
    }
    let plan = args.plan(out);
    if args.dry_run {
        return plan?.tell(out);
    }
    let rig = plan.as_ref().map_or(Rig::NONE, |plan| Rig::of(&plan.choice));
    let mined = plan.and_then(|plan| mine(&args, plan, out));
    with_summary(mined, rig, out)
}

fn mine(args: &Args, plan: Plan, out: &mut Output) -> Result<(), Failure> {
    let (frames, file) = args.frames.open(out)?;
    let setup = plan.tapped(frames).into_setup();
    let end = runtime::block_on(async {
        let page = args.web.open(out).await?;
        let (mut views, commands) = console::views(&args.view, None, out);
        if let Some(page) = &page {
            views = page.join(views);
        }
        let (_, mut pool_news) = mpsc::unbounded_channel();
        let end = mining::run(setup, views, commands, &mut pool_news).await;
        if let Some(page) = page {
            page.close().await;
        }
        outcome(end)
    })?;
    file.close();
    end
}

impl Args {
    /// The plan that they come to; measures the kernels.
    pub(crate) fn plan(&mut self, out: &mut Output) -> Result<Plan, Failure> {
        let (upstream, reloader) = self.upstream(out)?;
        let goals = Goals {
            blocks: self.blocks,
            shares: self.shares,
            time: self.time_limit.map(Duration::from_secs),
        };
        let choice = self.mining.choose()?;
        Ok(Plan { choice, upstream, reloader, goals })
    }

    /// Pools or nodes: their jobs are not alike, so that one cannot stand in for the other.
    fn upstream(&mut self, out: &mut Output) -> Result<(Upstream, Reloader), Failure> {
        let config = match self.config_file(out) {
            Some(file) => {
                let config = self.read_config(&file, out)?;
                Some((file, config))
            }
            None => None,
        };
        let (mut pools, mut nodes) = (Vec::new(), Vec::new());
        for server in &self.url {
            match server {
                Server::Pool(url) => pools.push(url.clone()),
                Server::Node(url) => nodes.push(url.clone()),
            }
        }
        if config.is_none() && !self.names_a_server() {
            let file = usual_config()
                .map(|file| format!(", or write a configuration to {}", file.display()))
                .unwrap_or_default();
            return Err(Failure::usage(format!(
                "no pool or node to mine at: name a pool with -o URL -u USER, or your address for \
                 the local Bitcoin Core node with --address ADDR{file}; midstate demo mines \
                 without any of them"
            )));
        }
        let config = config.as_ref().map(|(file, config)| (file.as_path(), config));
        match (pools.is_empty(), nodes.is_empty()) {
            (false, false) => Err(Failure::usage(
                "-o names pools and nodes: give only pools (stratum+tcp://) or only nodes \
                 (http://)",
            )),
            (false, true) if self.node.address.is_some() => Err(Failure::usage(
                "--address is for nodes, and -o names a pool: write http:// before the HOST:PORT \
                 of a node; a pool pays the user it knows, name it with -u",
            )),
            (true, true) if self.node.address.is_some() => self.nodes(nodes, config, out),
            (true, false) => self.nodes(nodes, config, out),
            (_, true) => self.pools(pools, config, out),
        }
    }

    /// The pools of the flags or, if they name none, of the file.
    fn pools(
        &self,
        urls: Vec<PoolAddress>,
        config: Option<(&Path, &Config)>,
        out: &mut Output,
    ) -> Result<(Upstream, Reloader), Failure> {
        no_flag_of("nodes", self.node.given(), "the server is a pool")?;
        if let Some((file, _)) = config.filter(|(_, config)| config.long_poll.is_some()) {
            let file = file.display();
            out.note(format!("{file}: long-poll is for nodes: it means nothing at a pool"));
        }
        let (users, passwords) = self.logins(out)?;
        let pass_flag = self.pass_flag();
        let (way, version_mask) = (self.way.terms(), self.version_mask);
        let flags = pools::Flags { urls, users, passwords, pass_flag, way, version_mask };
        let mut pools = Pools::merged(flags, config)?;
        let mut speak_v2 = pools.link.accounts.iter().map(|account| account.url.v2.is_some());
        match (speak_v2.clone().any(|v2| v2), speak_v2.all(|v2| v2)) {
            (false, _) => {
                no_flag_of("pools of Stratum V2", self.way.given_of_v2(), "every pool speaks V1")?;
            }
            (_, true) => {
                no_flag_of("pools of Stratum V1", self.way.given_of_v1(), "every pool speaks V2")?;
            }
            _ => {}
        }
        pools.link.give_up = self.give_up().or(pools.link.give_up);
        pools.set_return_after(self.return_after);
        let (link, reloader) = pools.into_parts();
        Ok((Upstream::Pools(Box::new(link)), reloader))
    }

    /// The nodes of the flags or, if they name none, the local one.
    fn nodes(
        &self,
        urls: Vec<NodeUrl>,
        config: Option<(&Path, &Config)>,
        out: &mut Output,
    ) -> Result<(Upstream, Reloader), Failure> {
        let given = self.way.given().or(self.frames.given());
        no_flag_of("pools", given, "the server is a node")?;
        let (users, passwords) = self.logins(out)?;
        let count = urls.len().max(1);
        let user = spread("--user", &users, count)?;
        let password = spread(self.pass_flag(), &passwords, count)?;
        let logins =
            (0..count).map(|index| node_login(user(index), password(index), urls.get(index)));
        let logins = logins.collect::<Result<Vec<_>, _>>()?;
        let mut way = self.way.terms();
        if let Some((file, config)) = config {
            let tls = urls.iter().all(|url| url.tls) && !urls.is_empty();
            way = way.over(pools::about_node(file, config, &"this node", tls)?);
        }
        let login = |index: usize| logins[index].clone();
        let mut link = self.node.link(urls, login, &way, self.version_mask, out)?;
        link.client.long_poll = self.node.long_poll(config.and_then(|(_, file)| file.long_poll));
        let return_after = config.and_then(|(_, file)| file.return_after);
        if let Some(seconds) = self.return_after.or(return_after) {
            link.client.failover.return_after = Duration::from_secs(seconds);
        }
        let filed = config.and_then(|(_, config)| config.give_up());
        let give_up = self.give_up().or(filed);
        let link = NodeLinkConfig { give_up, ..link };
        Ok((Upstream::Nodes(Box::new(link)), Reloader::none()))
    }

    fn give_up(&self) -> Option<Duration> {
        self.give_up.map(Duration::from_secs)
    }

    /// Whether it is said where to mine, a configuration aside.
    fn names_a_server(&self) -> bool {
        !self.url.is_empty() || self.node.address.is_some()
    }

    /// The configuration that is named, or the usual one where nothing else says where to mine.
    fn config_file(&self, out: &mut Output) -> Option<PathBuf> {
        if self.config.is_some() || self.names_a_server() || self.node.given().is_some() {
            return self.config.clone();
        }
        let file = usual_config().filter(|file| is_there(file))?;
        out.note(format!("no URL is given: read the configuration {}", file.display()));
        Some(file)
    }

    /// All user names and passwords, however they were given.
    fn logins(&self, out: &mut Output) -> Result<(Vec<String>, Vec<String>), Failure> {
        let (mut users, mut passwords) = (self.user.clone(), self.pass.clone());
        for file in &self.pass_file {
            secrets::warn_of_readers(file, "password", out);
            passwords.push(secrets::read_password(file)?);
        }
        for userpass in &self.userpass {
            let (user, password) = userpass
                .split_once(':')
                .ok_or_else(|| Failure::usage("--userpass has no colon, expected USER:PASS"))?;
            users.push(user.to_owned());
            passwords.push(password.to_owned());
        }
        Ok((users, passwords))
    }

    /// The flag that gave the passwords.
    fn pass_flag(&self) -> &'static str {
        if self.pass_file.is_empty() { "--pass" } else { "--pass-file" }
    }

    /// The configuration file; what it says about hashing becomes ours, unless a flag says more.
    fn read_config(&mut self, file: &Path, out: &mut Output) -> Result<Config, Failure> {
        let config = Config::read(file).map_err(|error| Failure::usage(error.to_string()))?;
        pools::warn_of_secrets(file, &config, out);
        let hash = &mut self.mining.hash;
        hash.threads = hash.threads.or(config.threads);
        hash.kernel = hash.kernel.take().or_else(|| config.kernel.clone());
        Ok(config)
    }
}

/// A flag that means nothing for the server at hand is a mistake, and is named: its user believes
/// that it does something.
pub(super) fn no_flag_of(whose: &str, given: Option<&str>, instead: &str) -> Result<(), Failure> {
    match given {
        Some(flag) => Err(Failure::usage(format!(
            "{flag} is for {whose}, and {instead}: leave the flag out, or name another server"
        ))),
        None => Ok(()),
    }
}

fn usual_config() -> Option<PathBuf> {
    Some(directories::config()?.join(CONFIG_NAME))
}

/// Whether there is a file, readable or not: one that cannot be read is a mistake to be told of.
fn is_there(file: &Path) -> bool {
    !matches!(
        std::fs::symlink_metadata(file).map_err(|error| error.kind()),
        Err(ErrorKind::NotFound | ErrorKind::NotADirectory)
    )
}
