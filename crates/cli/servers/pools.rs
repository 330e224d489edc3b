//! The pools to mine at: from the flags, the configuration file, or both. What each says is laid
//! over the other by [`terms`](crate::servers::terms), in two steps: first within the file (a table
//! over the head), then the flags over the file.
//!
//! With `--url` the flags name the servers, and the file still says the rest. A server that is in
//! the file, too, has its table's values; any other has those on which all tables of the file
//! agree, passwords excepted, and those of its head. So a proxy of the file is never lost: where
//! the tables disagree about it, that is an error.

use std::fmt::Display;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use midstate_net::{Account, HashRate, LinkConfig, LinkLimits, PoolAddress, PoolUrl, ProxyUrl};
use midstate_stratum::Limits;
use midstate_sv2::ChannelKind;

use crate::servers::config::{self, Config, Keys, Redirect};
use crate::servers::payout::Payee;
use crate::servers::secrets;
use crate::servers::terms::{Terms, TrustTerms};
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::units;
use crate::shell::values;

/// Flags about the way to a server.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct RouteArgs {
    /// Trust the certificates in this PEM file, of authorities or of the server itself, instead of
    /// the system's authorities
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tls_pin", "tls_insecure"])]
    cert: Option<PathBuf>,
    /// Trust only the certificate or public key with this SHA-256
    #[arg(long, value_name = "HEX", alias = "tls-fingerprint", conflicts_with = "tls_insecure")]
    tls_pin: Option<String>,
    /// Accept any certificate. Only for tests: an attacker between you and the server can steal the
    /// work
    #[arg(long)]
    tls_insecure: bool,
    /// Connect through a SOCKS5 proxy, which also looks up the names
    #[arg(long, value_name = "URL")]
    proxy: Option<ProxyUrl>,
}

/// Flags about the way to a pool.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct PoolArgs {
    #[command(flatten)]
    pub(crate) route: RouteArgs,
    /// Where a pool's client.reconnect may lead: nowhere (none), to the pool's own host or, over
    /// TLS, domain (owner), or anywhere (any) [default: owner]
    #[arg(long, value_name = "WHERE", hide_possible_values = true)]
    redirect: Option<Redirect>,
    /// The same as --redirect none
    #[arg(long, conflicts_with = "redirect")]
    no_redirect: bool,
    /// Send at most this many shares a second. Further shares count as throttled and are not sent.
    /// Blocks are always sent, except on regtest [default: 200]
    #[arg(long, value_name = "N", value_parser = values::share_rate)]
    max_share_rate: Option<NonZeroU32>,
    /// Warn when the coinbase of a job does not pay this address, or pays it less than PCT percent
    /// of the coinbase
    #[arg(long, value_name = "ADDR[:PCT]")]
    expect_payout: Option<Payee>,
    /// Leave a pool whose job does not pay as --expect-payout says
    #[arg(long)]
    payout_strict: bool,
    /// Accept a user name that looks like a mistyped address
    #[arg(long)]
    any_user: bool,
    /// Ask the pool for shares of this difficulty; few pools obey
    #[arg(long, value_name = "D", value_parser = values::positive)]
    suggest_difficulty: Option<f64>,
    /// The channel to open at a pool of Stratum V2: a job is a header (standard), or a coinbase
    /// with a part of the extranonce for us (extended) [default: standard]
    #[arg(long, value_name = "KIND", hide_possible_values = true)]
    channel: Option<Channel>,
    /// Open so many channels at a pool of Stratum V2, over one connection: each has its own jobs,
    /// target and shares, and they are hashed in turns [default: 1]
    #[arg(long, value_name = "N", value_parser = values::channels)]
    channels: Option<usize>,
    /// Tell a pool of Stratum V2 this hash rate, as 50M, instead of the measured one. Several
    /// channels have equal parts of it
    #[arg(long, value_name = "HS", value_parser = values::hash_rate)]
    nominal_hashrate: Option<f64>,
    /// Send a share to a pool of Stratum V2 only when the share before it on that channel is
    /// answered, or 10 s old; shares found meanwhile count as throttled. For tests of a pool
    #[arg(long)]
    single_submit: bool,
}

/// The kinds of channels, as the flag names them.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// A job is a header.
    Standard,
    /// A job is a coinbase and a merkle path.
    Extended,
}

impl From<Channel> for ChannelKind {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Standard => Self::Standard,
            Channel::Extended => Self::Extended,
        }
    }
}

/// The pools that the flags name, and what the flags say about them.
#[derive(Clone, Default)]
pub(crate) struct Flags {
    /// In order of preference; none: those of the file.
    pub(crate) urls: Vec<PoolAddress>,
    /// None, one for all pools, or one for each.
    pub(crate) users: Vec<String>,
    pub(crate) passwords: Vec<String>,
    /// The flag that gave the passwords.
    pub(crate) pass_flag: &'static str,
    pub(crate) way: Terms,
    pub(crate) version_mask: u32,
}

/// Pools, and how to read the list again.
pub(crate) struct Pools {
    pub(crate) link: LinkConfig,
    reload: Option<(PathBuf, Flags)>,
}

/// A configuration file's terms for servers.
#[derive(Default)]
struct Filed {
    pools: Vec<(PoolUrl, Terms)>,
    head: Terms,
}

impl Pools {
    pub(crate) fn new(accounts: Vec<Account>) -> Self {
        let limits = LinkLimits::default();
        let link = LinkConfig {
            accounts,
            give_up: None,
            limits,
            frames: None,
            hash_rate: HashRate::default(),
        };
        Self { link, reload: None }
    }

    /// The pools of flags and file.
    pub(crate) fn merged(flags: Flags, file: Option<(&Path, &Config)>) -> Result<Self, Failure> {
        let mut pools = Self::new(flags.accounts(file)?);
        if let Some((path, config)) = file {
            pools.link.give_up = config.give_up();
            pools.set_return_after(config.return_after);
            pools.reload = Some((path.to_owned(), flags));
        }
        Ok(pools)
    }

    pub(crate) fn set_return_after(&mut self, seconds: Option<u64>) {
        if let Some(seconds) = seconds {
            self.link.limits.failover.return_after = Duration::from_secs(seconds);
        }
    }

    /// How to read the list of pools again, if a file has a part in it. Separate from the list,
    /// which is used up by then.
    pub(crate) fn into_parts(self) -> (LinkConfig, Reloader) {
        (self.link, Reloader(self.reload))
    }
}

/// Reads the list of pools again.
#[derive(Clone)]
pub(crate) struct Reloader(Option<(PathBuf, Flags)>);

impl Reloader {
    /// Where there is nothing to read again.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// The list as the file has it now, the flags over it; `None` if there is no file.
    pub(crate) fn accounts(&self) -> Option<Result<Vec<Account>, Failure>> {
        let (file, flags) = self.0.as_ref()?;
        let read = || flags.accounts(Some((file, &Config::read(file)?)));
        Some(read())
    }
}

impl RouteArgs {
    /// The first flag that is given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let Self { cert, tls_pin, tls_insecure, proxy } = self;
        values::first_given(&[
            (cert.is_some(), "--cert"),
            (tls_pin.is_some(), "--tls-pin"),
            (*tls_insecure, "--tls-insecure"),
            (proxy.is_some(), "--proxy"),
        ])
    }

    /// The same as a value that can be merged.
    pub(crate) fn terms(&self) -> Terms {
        let Self { cert, tls_pin, tls_insecure, proxy } = self.clone();
        // clap has seen to it that there is one of them at most.
        let trust = TrustTerms::new(cert, tls_pin, tls_insecure.then_some(true)).ok().flatten();
        Terms { trust, proxy, ..Terms::default() }
    }
}

impl PoolArgs {
    /// The first flag that is given of those that speak of a pool, and mean nothing at a node.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let Self {
            route: _,
            redirect,
            no_redirect,
            max_share_rate,
            expect_payout,
            payout_strict,
            any_user,
            suggest_difficulty,
            channel,
            channels,
            nominal_hashrate,
            single_submit,
        } = self;
        values::first_given(&[
            (redirect.is_some(), "--redirect"),
            (*no_redirect, "--no-redirect"),
            (max_share_rate.is_some(), "--max-share-rate"),
            (expect_payout.is_some(), "--expect-payout"),
            (*payout_strict, "--payout-strict"),
            (*any_user, "--any-user"),
            (suggest_difficulty.is_some(), "--suggest-difficulty"),
            (channel.is_some(), "--channel"),
            (channels.is_some(), "--channels"),
            (nominal_hashrate.is_some(), "--nominal-hashrate"),
            (*single_submit, "--single-submit"),
        ])
    }

    /// The first flag that is given of those that speak of Stratum V2.
    pub(crate) fn given_of_v2(&self) -> Option<&'static str> {
        values::first_given(&[
            (self.channel.is_some(), "--channel"),
            (self.channels.is_some(), "--channels"),
            (self.nominal_hashrate.is_some(), "--nominal-hashrate"),
            (self.single_submit, "--single-submit"),
        ])
    }

    /// The same for Stratum V1.
    pub(crate) fn given_of_v1(&self) -> Option<&'static str> {
        self.suggest_difficulty.map(|_| "--suggest-difficulty")
    }

    /// The same as a value that can be merged.
    pub(crate) fn terms(&self) -> Terms {
        let Self {
            route,
            redirect,
            no_redirect,
            max_share_rate,
            expect_payout,
            payout_strict,
            any_user,
            suggest_difficulty,
            channel,
            channels,
            nominal_hashrate,
            single_submit,
        } = self;
        Terms {
            redirect: if *no_redirect { Some(Redirect::None) } else { *redirect },
            max_share_rate: *max_share_rate,
            expect_payout: expect_payout.clone(),
            payout_strict: payout_strict.then_some(true),
            any_user: any_user.then_some(true),
            suggest_difficulty: *suggest_difficulty,
            channel: channel.map(ChannelKind::from),
            channels: *channels,
            nominal_hash_rate: *nominal_hashrate,
            single_submit: single_submit.then_some(true),
            ..route.terms()
        }
    }

    /// The limits on a pool.
    pub(crate) fn limits(&self) -> Limits {
        self.terms().limits()
    }
}

impl Flags {
    /// The accounts that flags and file come to.
    fn accounts(&self, file: Option<(&Path, &Config)>) -> Result<Vec<Account>, Failure> {
        let filed = match file {
            Some((path, config)) => Filed::read(path, config)?,
            None => Filed::default(),
        };
        if self.urls.is_empty() && filed.pools.is_empty() {
            let path = file.map(|(path, _)| path.display().to_string()).unwrap_or_default();
            return Err(Failure::usage(format!(
                "{path} names no pool: add a table [[pool]] with a url, or name one with --url"
            )));
        }
        let servers: Vec<_> = if self.urls.is_empty() {
            filed.pools.iter().map(|(url, terms)| (url, terms.clone())).collect()
        } else {
            let named = |PoolAddress { url, login }: &PoolAddress| {
                Ok(Terms::from(login.clone()).over(filed.about(url)?))
            };
            let terms = self.urls.iter().map(named).collect::<Result<Vec<_>, Failure>>()?;
            self.urls.iter().map(|address| &address.url).zip(terms).collect()
        };
        let user = spread("--user", &self.users, servers.len())?;
        let pass = spread(self.pass_flag, &self.passwords, servers.len())?;
        let accounts = servers.into_iter().enumerate().map(|(index, (url, terms))| {
            let flags = Terms { user: user(index), pass: pass(index), ..self.way.clone() };
            let terms = flags.over(terms).over(filed.head.clone().for_tls(url.tls));
            let from_file = file.filter(|_| self.urls.is_empty());
            terms.account(url, self.version_mask).map_err(|failure| match from_file {
                Some((path, _)) => failure.context(path.display().to_string()),
                None => failure,
            })
        });
        accounts.collect()
    }
}

impl Filed {
    fn read(path: &Path, config: &Config) -> Result<Self, Failure> {
        let head = terms_of(path, &"all pools", config.keys())?;
        let table = |pool: &config::Pool| {
            let PoolAddress { url, login } = &pool.url;
            let terms = terms_of(path, url, pool.keys())?;
            Ok((url.clone(), terms.over(login.clone().into())))
        };
        let pools = config.pool.iter().map(table).collect::<Result<_, Failure>>()?;
        Ok(Self { pools, head })
    }

    /// The terms of its tables for a pool that a flag names.
    fn about(&self, url: &PoolUrl) -> Result<Terms, Failure> {
        if let Some((_, own)) = self.pools.iter().find(|(other, _)| other == url) {
            return Ok(own.clone());
        }
        Ok(self.common(url)?.for_tls(url.tls))
    }

    /// The terms on which all tables agree, for a server that is in none of them.
    fn common(&self, url: &dyn Display) -> Result<Terms, Failure> {
        let mut tables = self.pools.iter().map(|(_, terms)| terms);
        let first = tables.next().map(|terms| Terms { pass: None, ..terms.clone() });
        let common = tables.fold(first.unwrap_or_default(), Terms::common);
        let any_proxy = self.pools.iter().any(|(_, terms)| terms.proxy.is_some());
        if any_proxy && common.proxy.is_none() && self.head.proxy.is_none() {
            return Err(Failure::usage(format!(
                "the pools of the configuration go different ways (proxy), and {url} is none of \
                 them: say with --proxy through which, or add it to the file"
            )));
        }
        Ok(common)
    }
}

/// The terms of a file of pools for the way to a node: its proxy, and its head's trust. Not the
/// user and password, which are a pool's.
pub(crate) fn about_node(
    path: &Path,
    config: &Config,
    url: &dyn Display,
    tls: bool,
) -> Result<Terms, Failure> {
    let Filed { head: Terms { trust, proxy, .. }, .. } = Filed::read(path, config)?;
    let common = Filed::read(path, config)?.common(url)?.proxy;
    Ok(Terms { trust, proxy: proxy.or(common), ..Terms::default() }.for_tls(tls))
}

/// The keys of a table, or of the head, as terms for `whom`.
fn terms_of(file: &Path, whom: &dyn Display, keys: Keys<'_>) -> Result<Terms, Failure> {
    let mistake = |words: &str| Failure::usage(format!("{}: {whom}: {words}", file.display()));
    if keys.no_redirect && keys.redirect.is_some() {
        return Err(mistake("has both redirect and no-redirect: leave one out"));
    }
    let cert = keys.cert.map(|cert| beside(file, cert));
    let trust = TrustTerms::new(cert, keys.tls_pin.map(str::to_owned), keys.tls_insecure);
    Ok(Terms {
        user: keys.user.map(str::to_owned),
        pass: password(file, whom, keys.pass, keys.pass_file)?,
        trust: trust.map_err(mistake)?,
        proxy: keys.proxy.cloned(),
        redirect: if keys.no_redirect { Some(Redirect::None) } else { keys.redirect },
        max_share_rate: keys.max_share_rate,
        expect_payout: keys.expect_payout.cloned(),
        payout_strict: keys.payout_strict,
        any_user: keys.any_user,
        suggest_difficulty: keys.suggest_difficulty,
        // Flags alone have them.
        channel: None,
        channels: None,
        nominal_hash_rate: None,
        single_submit: None,
    })
}

/// Which value belongs to which server: one each, one for all, or none.
pub(crate) fn spread<'a>(
    flag: &str,
    values: &'a [String],
    servers: usize,
) -> Result<impl Fn(usize) -> Option<String> + 'a, Failure> {
    let count = values.len();
    if count > 1 && count != servers {
        return Err(Failure::usage(format!(
            "{flag} is given {count} times for {}: give it once, or once for each --url",
            units::count(servers, "pool")
        )));
    }
    Ok(move |index: usize| values.get(index.min(count.saturating_sub(1))).cloned())
}

/// The password that `file` gives to `whom`, if it gives one.
fn password(
    file: &Path,
    whom: &dyn Display,
    pass: Option<&str>,
    pass_file: Option<&Path>,
) -> Result<Option<String>, Failure> {
    match (pass, pass_file) {
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "{}: there are both pass and pass-file for {whom}: keep one of them",
            file.display()
        ))),
        (None, Some(pass_file)) => secrets::read_password(&beside(file, pass_file)).map(Some),
        (pass, None) => Ok(pass.map(str::to_owned)),
    }
}

/// A path that `file` names: told from where the file is, so that it does not matter who starts the
/// program where, and that all credentials of a service can stand side by side.
fn beside(file: &Path, path: &Path) -> PathBuf {
    file.parent().map_or_else(|| path.to_owned(), |directory| directory.join(path))
}

/// Warns of files that others can read passwords from (S15).
pub(crate) fn warn_of_secrets(file: &Path, config: &Config, out: &mut Output) {
    if config.has_secrets() {
        secrets::warn_of_readers(file, "passwords", out);
    }
    for pass_file in config.pass_files() {
        secrets::warn_of_readers(&beside(file, pass_file), "password", out);
    }
}
