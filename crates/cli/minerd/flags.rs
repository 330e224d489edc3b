//! minerd's flags, and what they are in midstate's own words.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser};
use midstate_gbt::Address;
use midstate_net::ProxyUrl;

use super::{NAME, config};
use crate::commands::mine;
use crate::machine::choose::HashArgs;
use crate::shell::exit::Failure;
use crate::shell::flags::{OutputArgs, exit, with_negatives, without_secrets};
use crate::shell::printer::Printer;
use crate::shell::values::{threads, whole};

const ALGORITHM: &str = "sha256d";

/// Mine with the flags of minerd; docs/minerd.md explains each.
#[derive(Parser, Debug)]
#[command(
    name = "cpuminer",
    bin_name = NAME,
    version = concat!("2.5.1, played by midstate ", env!("CARGO_PKG_VERSION")),
    infer_long_args = true,
    args_override_self = true,
    max_term_width = 100,
    after_help = "Example: minerd -a sha256d -o stratum+tcp://127.0.0.1:3333 -O worker:x",
)]
pub(super) struct Flags {
    /// The algorithm: sha256d, and no other
    #[arg(short, long, value_name = "ALGO", default_value = ALGORITHM)]
    algo: String,
    /// Pool, stratum+tcp://HOST:PORT or stratum+tcps://HOST:PORT, or node, http(s)://HOST:PORT
    #[arg(short = 'o', long, value_name = "URL")]
    url: Option<String>,
    /// User name and password in one
    #[arg(short = 'O', long, value_name = "USER:PASS", allow_hyphen_values = true)]
    userpass: Option<String>,
    /// User name
    #[arg(short, long, value_name = "USER", allow_hyphen_values = true)]
    user: Option<String>,
    /// Password
    #[arg(short, long, value_name = "PASS", allow_hyphen_values = true)]
    pass: Option<String>,
    /// Trust the certificates in this PEM file instead of the system's authorities
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Connect through this SOCKS5 proxy
    #[arg(
        short = 'x', long, value_name = "socks5://HOST:PORT", value_parser = checked::<ProxyUrl>
    )]
    proxy: Option<String>,
    /// Number of hashing threads [default: one for each CPU that this process may use]
    #[arg(short, long, value_name = "N", value_parser = threads)]
    threads: Option<NonZeroUsize>,
    /// Give up after so many failures to reach the server; -1: never
    #[arg(
        short, long, value_name = "N", default_value_t = -1, allow_negative_numbers = true,
        value_parser = whole(-1..=9999_i32, 5)
    )]
    retries: i32,
    /// Pause between two tries, in seconds
    #[arg(
        short = 'R', long, value_name = "N", default_value_t = 30,
        value_parser = whole(1..=9999_u64, 30)
    )]
    retry_pause: u64,
    /// Without effect: midstate has its own limits for silent servers
    #[arg(
        short = 'T', long, value_name = "N",
        value_parser = whole(1..=99_999_u64, 180)
    )]
    timeout: Option<u64>,
    /// Seconds between two hashmeter lines of a thread
    #[arg(
        short, long, value_name = "N", default_value_t = 5,
        value_parser = whole(1..=9999_u64, 5)
    )]
    scantime: u64,
    /// Address that our blocks pay, when mining at a node
    #[arg(long, value_name = "ADDR", value_parser = checked::<Address>)]
    coinbase_addr: Option<String>,
    /// Text in the coinbase of our blocks, when mining at a node
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    coinbase_sig: Option<String>,
    /// Ask a node every five seconds instead of waiting there for the next block
    #[arg(long)]
    no_longpoll: bool,
    /// Without effect: midstate does not speak getwork
    #[arg(long)]
    no_getwork: bool,
    /// Refused with a node: getblocktemplate is the only way to mine there
    #[arg(long)]
    no_gbt: bool,
    /// Without effect: no HTTP header makes midstate leave a server
    #[arg(long)]
    no_stratum: bool,
    /// Stay where you are when a pool says client.reconnect
    #[arg(long)]
    no_redirect: bool,
    /// Without effect: the lines have no colour
    #[arg(long)]
    no_color: bool,
    /// No hashmeter lines of threads
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Print what minerd prints for debugging
    #[arg(short = 'D', long)]
    pub(super) debug: bool,
    /// Log the events of the protocol
    #[arg(short = 'P', long)]
    protocol_dump: bool,
    /// Print to the system's log
    #[arg(short = 'S', long)]
    pub(super) syslog: bool,
    /// Refused: leave that to the shell or to the system
    #[arg(short = 'B', long)]
    background: bool,
    /// Measure, without a server, until stopped
    #[arg(long)]
    pub(super) benchmark: bool,
    /// Read flags from this JSON file; the command line wins
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// User name and password, whichever flag said them last.
    #[arg(skip)]
    login: Login,
}

#[derive(Debug, Default)]
struct Login {
    user: Option<String>,
    pass: Option<String>,
}

/// `mine`, as it is called.
#[derive(Parser)]
#[command(version, disable_help_flag = true, disable_version_flag = true)]
struct Mine {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    args: mine::Args,
}

impl Flags {
    /// Reads the flags, those of a configuration file first, and refuses what cannot be done.
    pub(super) fn read(arguments: &[OsString], printer: &Printer) -> Result<Self, Failure> {
        let mut flags = Self::parse_all(arguments.iter().cloned(), printer)?;
        if let Some(file) = &flags.config {
            let from_file = config::arguments(file, &Self::command())?;
            let from_file = from_file.into_iter().map(OsString::from);
            flags = Self::parse_all(from_file.chain(arguments.iter().cloned()), printer)?;
        }
        flags.check()?;
        Ok(flags)
    }

    /// Ends the program where clap does: after `--help`, `--version` and mistakes.
    fn parse_all(
        arguments: impl Iterator<Item = OsString>,
        printer: &Printer,
    ) -> Result<Self, Failure> {
        let program = std::iter::once(OsString::from(NAME));
        let command = with_negatives(Self::command());
        let matches = command.try_get_matches_from(program.chain(arguments));
        let matches = matches.unwrap_or_else(|error| exit(&without_secrets(error), printer));
        let mut flags =
            Self::from_arg_matches(&matches).unwrap_or_else(|error| exit(&error, printer));
        let said_last = |one, other| matches.index_of(one) > matches.index_of(other);
        let (mut user, mut pass) = (flags.user.clone(), flags.pass.clone());
        if let Some(userpass) = &flags.userpass {
            let (first, second) = userpass
                .split_once(':')
                .ok_or_else(|| Failure::usage("--userpass has no colon, expected USER:PASS"))?;
            user = user.filter(|_| said_last("user", "userpass")).or(Some(first.to_owned()));
            pass = pass.filter(|_| said_last("pass", "userpass")).or(Some(second.to_owned()));
        }
        flags.login = Login { user, pass };
        Ok(flags)
    }

    fn check(&self) -> Result<(), Failure> {
        if self.background {
            return Err(Failure::usage(
                "--background is refused: end the command with &, or run midstate as a service \
                 (contrib/systemd/midstate.service)",
            ));
        }
        if self.algo != ALGORITHM {
            return Err(Failure::usage(format!(
                "unknown algorithm {:?}: midstate hashes {ALGORITHM} and nothing else; for \
                 scrypt and the rest take the original minerd",
                self.algo
            )));
        }
        if !self.benchmark && self.url.is_none() {
            return Err(Failure::usage("no URL supplied: add --url stratum+tcp://HOST:PORT"));
        }
        match self.is_node() {
            _ if self.benchmark => Ok(()),
            true => self.check_node(),
            false => self.check_pool(),
        }
    }

    fn check_pool(&self) -> Result<(), Failure> {
        let given =
            [(&self.coinbase_addr, "--coinbase-addr"), (&self.coinbase_sig, "--coinbase-sig")];
        match given.into_iter().find(|(value, _)| value.is_some()) {
            Some((_, flag)) => Err(Failure::usage(format!(
                "{flag} is for nodes: a pool makes the coinbase, and pays the user that it knows; \
                 take {flag} away"
            ))),
            None => Ok(()),
        }
    }

    fn check_node(&self) -> Result<(), Failure> {
        if self.no_gbt {
            return Err(Failure::usage(
                "--no-gbt leaves getwork, which no node answers: take it away",
            ));
        }
        if self.coinbase_addr.is_none() {
            return Err(Failure::usage(
                "a node needs an address to pay: add --coinbase-addr ADDR; a pool is \
                 stratum+tcp://HOST:PORT",
            ));
        }
        Ok(())
    }

    /// As in minerd, what has no scheme is HTTP.
    fn is_node(&self) -> bool {
        let scheme = self.url.as_deref().map(|url| url.split_once("://").map(|(name, _)| name));
        match scheme {
            None => false,
            Some(None) => true,
            Some(Some(name)) => name.to_ascii_lowercase().starts_with("http"),
        }
    }

    /// The same in the flags of `mine`.
    pub(super) fn as_mine(&self) -> Result<(OutputArgs, mine::Args), Failure> {
        let url = self.url.as_deref().unwrap_or_default();
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let (login, address) = match rest.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, rest),
        };
        let (user, pass) = match login.map(|login| login.split_once(':')) {
            Some(Some((user, pass))) => (Some(user), Some(pass)),
            Some(None) => (login, None),
            None => (None, None),
        };
        // A pool wants to know somebody; minerd sends a name without letters.
        let nobody = (!self.is_node()).then_some(NAME);
        let user = self.login.user.as_deref().or(user).filter(|user| !user.is_empty()).or(nobody);
        let pass = self.login.pass.as_deref().or(pass);

        let mut flags = vec![NAME.to_owned(), format!("--url={scheme}://{address}")];
        let mut add = |name: &str, value: Option<String>| {
            flags.extend(value.map(|value| format!("--{name}={value}")));
        };
        add("user", user.map(str::to_owned));
        add("pass", pass.filter(|_| user.is_some()).map(str::to_owned));
        add("cert", self.cert.as_ref().map(|file| file.display().to_string()));
        add("proxy", self.proxy.clone());
        add("threads", self.threads.map(|threads| threads.to_string()));
        if self.is_node() {
            add("address", self.coinbase_addr.clone());
            add("coinbase-tag", self.coinbase_sig.clone());
            add("long-poll", self.no_longpoll.then(|| "never".to_owned()));
        }
        if !self.is_node() {
            // minerd sends whatever it is told.
            flags.push("--any-user".to_owned());
            flags.extend(self.no_redirect.then(|| "--no-redirect".to_owned()));
        }
        flags.extend(self.protocol_dump.then(|| "--verbose".to_owned()));
        let Mine { output, args } = Mine::try_parse_from(flags).map_err(|error| {
            let words = without_secrets(error).to_string();
            Failure::usage(words.lines().next().unwrap_or_default().replacen("error: ", "", 1))
        })?;
        Ok((output, args))
    }

    /// How to hash; the rest is ours to choose.
    pub(super) fn hash_args(&self) -> HashArgs {
        HashArgs { threads: self.threads, kernel: None }
    }

    /// `--retries` as a time: so many pauses, and the one before the first try.
    pub(super) fn give_up(&self) -> Option<Duration> {
        let retries = u32::try_from(self.retries).ok()?;
        Some(self.retry_pause() * (retries + 1))
    }

    pub(super) fn retry_pause(&self) -> Duration {
        Duration::from_secs(self.retry_pause)
    }

    pub(super) fn scantime(&self) -> Duration {
        Duration::from_secs(self.scantime)
    }
}

/// The text as it is, if it reads as a `T`.
fn checked<T: FromStr>(text: &str) -> Result<String, T::Err> {
    text.parse().map(|_: T| text.to_owned())
}
