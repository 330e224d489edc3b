//! `midstate mine`: mine at a pool.

use std::time::Duration;

use midstate_net::{LinkConfig, PoolUrl};
use midstate_stratum::{ClientConfig, Limits};

use crate::choose::{self, HashArgs};
use crate::exit::Failure;
use crate::mining::{self, Goals};
use crate::output::Output;

/// How we call ourselves to pools.
pub(crate) const USER_AGENT: &str = concat!("midstate/", env!("CARGO_PKG_VERSION"));
/// Version bits for general use (BIP320).
pub(crate) const VERSION_MASK: u32 = 0x1fff_e000;

/// Flags of `mine`.
///
/// Example: midstate mine -o stratum+tcp://127.0.0.1:3333 -u worker -p x
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Pool to mine at: stratum+tcp://HOST:PORT or HOST:PORT; several are tried in order
    #[arg(short = 'o', long, value_name = "URL", required = true)]
    url: Vec<PoolUrl>,
    /// User name at the pool, one for each URL or one for all
    #[arg(short, long, value_name = "USER")]
    user: Vec<String>,
    /// Password at the pool, likewise
    #[arg(short, long, value_name = "PASS")]
    pass: Vec<String>,
    /// User name and password in one
    #[arg(short = 'O', long, value_name = "USER:PASS", conflicts_with_all = ["user", "pass"])]
    userpass: Vec<String>,
    /// Version bits to roll, or off
    #[arg(long, value_name = "HEX", default_value = "1fffe000", value_parser = parse_mask)]
    version_mask: u32,
    /// Stop after this many accepted blocks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    blocks: Option<u64>,
    /// Stop after this many accepted shares
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    shares: Option<u64>,
    /// Stop after this many seconds
    #[arg(long, value_name = "SECS")]
    time_limit: Option<u64>,
    /// Give up when no pool has let us in for this many seconds
    #[arg(long, value_name = "SECS")]
    give_up: Option<u64>,
    #[command(flatten)]
    hash: HashArgs,
}

pub(crate) fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let pools = args.pools()?;
    let link = LinkConfig { pools, give_up: args.give_up.map(Duration::from_secs) };
    let goals = Goals {
        blocks: args.blocks,
        shares: args.shares,
        time: args.time_limit.map(Duration::from_secs),
    };
    let choice = choose::choose(&args.hash)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(mining::mine(choice, link, goals, out))
}

impl Args {
    /// Each URL with its own user and password.
    fn pools(&self) -> Result<Vec<(PoolUrl, ClientConfig)>, Failure> {
        let (mut users, mut passwords) = (self.user.clone(), self.pass.clone());
        for userpass in &self.userpass {
            let (user, password) = userpass.split_once(':').ok_or_else(|| {
                Failure::usage(format!("--userpass {userpass:?} has no colon, expected USER:PASS"))
            })?;
            users.push(user.to_owned());
            passwords.push(password.to_owned());
        }
        let user = spread("--user", &users, self.url.len())?
            .ok_or_else(|| Failure::usage("a pool wants a user name: add --user NAME"))?;
        let password = spread("--pass", &passwords, self.url.len())?;
        self.url
            .iter()
            .enumerate()
            .map(|(index, url)| {
                let client = ClientConfig {
                    user: user(index),
                    password: password.as_ref().map_or_else(|| "x".to_owned(), |of| of(index)),
                    user_agent: USER_AGENT.to_owned(),
                    version_mask: self.version_mask,
                    suggest_difficulty: None,
                    limits: Limits::default(),
                };
                client.check().map_err(|error| Failure::usage(error.to_string()))?;
                Ok((url.clone(), client))
            })
            .collect()
    }
}

/// Which value belongs to which pool: one each, or one for all.
fn spread<'a>(
    flag: &str,
    values: &'a [String],
    pools: usize,
) -> Result<Option<impl Fn(usize) -> String + 'a>, Failure> {
    match values.len() {
        0 => Ok(None),
        count if count == 1 || count == pools => {
            Ok(Some(move |index: usize| values[index.min(count - 1)].clone()))
        }
        count => Err(Failure::usage(format!(
            "{flag} is given {count} times for {pools} pools: give it once, or once for each --url"
        ))),
    }
}

fn parse_mask(text: &str) -> Result<u32, String> {
    if text == "off" {
        return Ok(0);
    }
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u32::from_str_radix(digits, 16)
        .map_err(|_| "expected up to 8 hex digits, as 1fffe000, or off".to_owned())
}
