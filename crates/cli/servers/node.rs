//! Mining at a Bitcoin Core node: from flags, environment, `bitcoin.conf` and cookie to what the
//! link needs, so that with a local node no flag but `--address` is needed (U4).

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use midstate_chain::Network;
use midstate_gbt::client::{Config, LongPolling};
use midstate_gbt::conf::{self, CONF_NAME, Conf, Login, LoginSources, Platform};
use midstate_gbt::{Address, MAX_TAG};
use midstate_net::{NodeAccess, NodeLinkConfig, NodeUrl, read_text_file};

use crate::servers::config::LongPoll;
use crate::servers::directories;
use crate::servers::terms::Terms;
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::values::first_given;

/// User name and password for a node, where they should not stand on a command line.
const USER_VARIABLE: &str = "MIDSTATE_RPC_USER";
const PASSWORD_VARIABLE: &str = "MIDSTATE_RPC_PASSWORD";

/// Flags about being let in by a node.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct EntryArgs {
    /// The chain that the node must be on: main, testnet4, signet or regtest
    #[arg(long, value_name = "NAME")]
    pub(crate) chain: Option<Network>,
    /// The node's data directory [default: Bitcoin Core's own]
    #[arg(long, value_name = "DIR")]
    datadir: Option<PathBuf>,
    /// The node's cookie file [default: in its data directory]
    #[arg(long, value_name = "FILE")]
    rpccookiefile: Option<PathBuf>,
}

impl From<LongPoll> for LongPolling {
    fn from(when: LongPoll) -> Self {
        match when {
            LongPoll::Auto => Self::Auto,
            LongPoll::Always => Self::Always,
            LongPoll::Never => Self::Never,
        }
    }
}

/// The text in our blocks' coinbase unless another is given.
const DEFAULT_TAG: &str = "/midstate/";

/// Flags of `mine` that are about nodes.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Solo mining at a Bitcoin Core node")]
pub(crate) struct NodeArgs {
    /// Address that our blocks pay: base58 or bech32, of the node's chain
    #[arg(long, value_name = "ADDR")]
    pub(crate) address: Option<Address>,
    /// Text in the coinbase of our blocks [default: /midstate/]
    #[arg(long, value_name = "TEXT", value_parser = parse_tag)]
    coinbase_tag: Option<String>,
    #[command(flatten)]
    entry: EntryArgs,
    /// Keep a call waiting at the node, which answers at the next block. The call takes one of the
    /// node's RPC threads; auto waits only where threads are free [default: auto]
    #[arg(long, value_name = "WHEN")]
    long_poll: Option<LongPoll>,
    /// Find no more than one block in this many seconds [default: 0]
    #[arg(long, value_name = "SECS", value_parser = parse_seconds)]
    block_interval: Option<Duration>,
    /// Directory for solved blocks until the chain has them for good [default: in the state
    /// directory of the user]
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
}

/// Core's files on this machine, as far as they are about a node.
struct Files {
    datadir: PathBuf,
    conf: Conf,
    /// The chain whose port and cookie to look for; the node's own word on its chain is final.
    chain: Network,
}

impl NodeArgs {
    /// The first flag that is given: each speaks of a node, and means nothing elsewhere.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let Self { address, coinbase_tag, entry, long_poll, block_interval, spool } = self;
        let ours = first_given(&[
            (address.is_some(), "--address"),
            (coinbase_tag.is_some(), "--coinbase-tag"),
            (long_poll.is_some(), "--long-poll"),
            (block_interval.is_some(), "--block-interval"),
            (spool.is_some(), "--spool"),
        ]);
        ours.or_else(|| entry.given())
    }

    /// The same at nodes of this chain alone.
    ///
    /// # Errors
    /// With the chain that was asked for, if it is another one.
    pub(crate) fn on(self, chain: Network) -> Result<Self, Network> {
        match self.entry.chain {
            Some(other) if other != chain => Err(other),
            _ => Ok(Self { entry: EntryArgs { chain: Some(chain), ..self.entry }, ..self }),
        }
    }

    /// The link's configuration. Without URLs: the local node. `login` is that given for a node by
    /// `-u` and `-p`.
    pub(crate) fn link(
        &self,
        urls: Vec<NodeUrl>,
        login: impl Fn(usize) -> Option<Login>,
        route: &Terms,
        version_mask: u32,
        out: &mut Output,
    ) -> Result<NodeLinkConfig, Failure> {
        let address = self.address.clone().ok_or_else(|| {
            Failure::usage("mining at a node wants an address to pay: add --address ADDR")
        })?;
        let chain = |conf: &Conf| self.chain_of(&address, urls.first(), conf);
        let files = self.entry.files(chain, out)?;
        let urls = match urls.is_empty() {
            true => vec![conf::local_url(&files.conf, files.chain).parse()?],
            false => urls,
        };
        let nodes = urls.into_iter().enumerate().map(|(index, url)| {
            warn_of_eavesdroppers(&url, out);
            self.entry.access(url, login(index), route, &files)
        });
        let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
        let client = Config {
            chain: self.entry.chain,
            address: address.clone(),
            tag: self.coinbase_tag.as_deref().unwrap_or(DEFAULT_TAG).into(),
            extranonce1: Vec::new(),
            version_mask,
            nodes: nodes.len(),
            long_poll: self.long_poll(None),
            failover: midstate_failover::Limits::default(),
            block_interval: self.block_interval.unwrap_or_default(),
        };
        let spool = match &self.spool {
            Some(directory) => directory.clone(),
            None => directories::state()
                .ok_or_else(|| Failure::usage("no home directory: add --spool DIR"))?
                .join("blocks"),
        };
        Ok(NodeLinkConfig { nodes, client, spool, give_up: None })
    }

    /// Whether to wait at the nodes, by the flag or else by the file.
    pub(crate) fn long_poll(&self, filed: Option<LongPoll>) -> LongPolling {
        self.long_poll.or(filed).map_or(LongPolling::default(), LongPolling::from)
    }

    /// The chain to look for, on which the address must mean something.
    fn chain_of(
        &self,
        address: &Address,
        url: Option<&NodeUrl>,
        conf: &Conf,
    ) -> Result<Network, Failure> {
        if let Some(chain) = self.entry.chain {
            let checked = address.script_for(chain);
            checked.map_err(|error| Failure::usage(format!("--chain {chain}: {error}")))?;
            return Ok(chain);
        }
        let chains = address.chains();
        let hint = hints(url, conf).find(|chain| chains.contains(chain));
        match (hint, chains) {
            (Some(chain), _) => Ok(chain),
            (None, &[chain]) => Ok(chain),
            // A port of its own and an address of several test chains: its cookie may be anywhere.
            (None, _) => {
                conf.chain().map_err(|error| Failure::usage(error.to_string()))?;
                let names: Vec<_> = chains.iter().map(|chain| chain.name()).collect();
                Err(Failure::usage(format!(
                    "the address can be paid on several chains: add --chain {}",
                    names.join(" or --chain ")
                )))
            }
        }
    }
}

impl EntryArgs {
    /// The first flag that is given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let Self { chain, datadir, rpccookiefile } = self;
        first_given(&[
            (chain.is_some(), "--chain"),
            (datadir.is_some(), "--datadir"),
            (rpccookiefile.is_some(), "--rpccookiefile"),
        ])
    }

    /// A node to look at, whoever is paid. Without a hint it is taken for one on the main chain, as
    /// Core would.
    pub(crate) fn node(
        &self,
        url: NodeUrl,
        login: Option<Login>,
        route: &Terms,
        out: &mut Output,
    ) -> Result<NodeAccess, Failure> {
        let hinted = |conf: &Conf| hints(Some(&url), conf).next().unwrap_or(Network::Mainnet);
        let files = self.files(|conf| Ok(self.chain.unwrap_or_else(|| hinted(conf))), out)?;
        warn_of_eavesdroppers(&url, out);
        self.access(url, login, route, &files)
    }

    /// Where the node is and what opens its door.
    fn access(
        &self,
        url: NodeUrl,
        login: Option<Login>,
        route: &Terms,
        files: &Files,
    ) -> Result<NodeAccess, Failure> {
        let route = route.route(&url, (!url.tls).then_some("use https://"))?;
        let sources = LoginSources {
            cookie_file: self.rpccookiefile.clone(),
            flags: login,
            environment: login_from_environment(),
        };
        let Files { datadir, conf, chain } = files;
        let credentials = conf::credentials(&sources, conf, datadir, *chain, Path::exists);
        let port = Some(url.port.unwrap_or(conf::default_port(*chain)));
        Ok(NodeAccess { url: NodeUrl { port, ..url }, route, credentials })
    }

    /// Core's files; which chain they are read for may depend on what they say.
    fn files(
        &self,
        chain: impl FnOnce(&Conf) -> Result<Network, Failure>,
        out: &mut Output,
    ) -> Result<Files, Failure> {
        let datadir = self.datadir()?;
        let mut conf = read_conf(&datadir, out)?;
        let chain = chain(&conf)?;
        read_includes(&mut conf, &datadir, chain)?;
        Ok(Files { datadir, conf, chain })
    }

    /// Core's data directory: the one named, else the default one.
    fn datadir(&self) -> Result<PathBuf, Failure> {
        if let Some(datadir) = &self.datadir {
            return Ok(datadir.clone());
        }
        let (platform, home) = if cfg!(windows) {
            (Platform::Windows, env::var_os("LOCALAPPDATA").map(PathBuf::from))
        } else if cfg!(target_os = "macos") {
            (Platform::MacOs, env::home_dir())
        } else {
            (Platform::Unix, env::home_dir())
        };
        let home = home.ok_or_else(|| Failure::usage("no home directory: add --datadir DIR"))?;
        Ok(conf::default_datadir(platform, &home))
    }
}

/// Chains that a URL's port and `bitcoin.conf` speak for, the likeliest first.
fn hints(url: Option<&NodeUrl>, conf: &Conf) -> impl Iterator<Item = Network> {
    let port = url.and_then(|url| url.port);
    let by_port = port
        .and_then(|port| Network::ALL.into_iter().find(|&chain| conf::default_port(chain) == port));
    [by_port, conf.chain().ok().flatten()].into_iter().flatten()
}

fn warn_of_eavesdroppers(url: &NodeUrl, out: &mut Output) {
    if !url.tls && !url.is_local() {
        out.note(format!(
            "warning: {url} is asked over plain HTTP: an attacker on the network can read the \
             password and change the payout; put TLS in front of the node (https://), or forward \
             its port with ssh -L"
        ));
    }
}

/// `bitcoin.conf`, if there is one. One that cannot be read is told of, and no error: flags and a
/// cookie may do without it, as where only the node's own user may read it.
fn read_conf(datadir: &Path, out: &mut Output) -> Result<Conf, Failure> {
    let path = datadir.join(CONF_NAME);
    match read_text_file(&path) {
        Ok(text) => Conf::parse(&text)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display()))),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                out.note(format!(
                    "warning: cannot read {}: {error}; let this user read it, or give its \
                     settings by flags: URL, login or --rpccookiefile, and --chain",
                    path.display()
                ));
            }
            Ok(Conf::default())
        }
    }
}

/// The files that it includes. One that cannot be read stops Core, too.
fn read_includes(conf: &mut Conf, datadir: &Path, chain: Network) -> Result<(), Failure> {
    let included: Vec<_> = conf.includes(chain).iter().map(|name| datadir.join(name)).collect();
    for path in included {
        let text = read_text_file(&path)
            .with_context(|| format!("cannot read {}, included by {CONF_NAME}", path.display()))?;
        conf.extend(Conf::parse(&text).with_context(|| path.display().to_string())?);
    }
    Ok(())
}

fn login_from_environment() -> Option<Login> {
    let user = env::var(USER_VARIABLE).ok()?;
    let password = env::var(PASSWORD_VARIABLE).ok()?;
    Some(Login { user, password })
}

fn parse_tag(text: &str) -> Result<String, String> {
    match text.len() {
        0..=MAX_TAG => Ok(text.to_owned()),
        len => Err(format!("expected at most {MAX_TAG} bytes, got {len}")),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.0..=1e9).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "expected a number of seconds from 0 to 1000000000, as 30 or 0.5".to_owned())
}
