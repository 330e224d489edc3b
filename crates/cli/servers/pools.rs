//! The pools to mine at and how to get there: from the flags, or from the configuration file. The
//! way to a node is the same.

use std::fmt::Display;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use midstate_gbt::{Address, AddressError};
use midstate_net::{Account, LinkConfig, LinkLimits, PoolUrl, ProxyUrl, Redirects, Route, Trust};
use midstate_stratum::{ClientConfig, Limits};

use crate::servers::config::{self, Config, Redirect};
use crate::servers::payout::Payout;
use crate::servers::secrets;
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::values;

/// The name and version that pools are told.
pub(crate) const USER_AGENT: &str = concat!("midstate/", env!("CARGO_PKG_VERSION"));

/// Flags about the way to a server.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct RouteArgs {
    /// Believe the authorities in this PEM file instead of the system's
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tls_pin", "tls_insecure"])]
    cert: Option<PathBuf>,
    /// Believe this certificate or public key alone: its SHA-256
    #[arg(long, value_name = "HEX", alias = "tls-fingerprint", conflicts_with = "tls_insecure")]
    tls_pin: Option<String>,
    /// Believe anybody. Only for tests: whoever is on the way can take the work
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
    /// Take no more shares a second than this, after a second's worth at once; what is found beyond
    /// counts as throttled, blocks never do, except on regtest [default: 200]
    #[arg(long, value_name = "N", value_parser = values::at_least_one::<NonZeroU32>)]
    max_share_rate: Option<NonZeroU32>,
    /// Look into the coinbase of every job: it has to pay this address, and at least PCT percent of
    /// all it pays; warn if it does not
    #[arg(long, value_name = "ADDR[:PCT]")]
    expect_payout: Option<Payout>,
    /// Leave a pool whose job does not pay as --expect-payout says
    #[arg(long)]
    payout_strict: bool,
    /// Take a user name even if it looks like a mistyped address
    #[arg(long)]
    any_user: bool,
}

/// Pools, and how to read the list again.
pub(crate) struct Pools {
    pub(crate) link: LinkConfig,
    reload: Option<Reload>,
}

/// Where a list came from that can be read again.
struct Reload {
    file: PathBuf,
    version_mask: u32,
    way: PoolArgs,
}

/// Who somebody is at a pool.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) pass: Option<String>,
}

impl Pools {
    pub(crate) fn new(accounts: Vec<Account>) -> Self {
        let link = LinkConfig { accounts, give_up: None, limits: LinkLimits::default() };
        Self { link, reload: None }
    }

    /// The pools of a configuration file.
    pub(crate) fn from_file(
        file: &Path,
        config: &Config,
        version_mask: u32,
        way: &PoolArgs,
    ) -> Result<Self, Failure> {
        let mut pools = Self::new(accounts(file, config, version_mask, way)?);
        pools.link.give_up = config.give_up.map(Duration::from_secs);
        pools.set_return_after(config.return_after);
        pools.reload = Some(Reload { file: file.to_owned(), version_mask, way: way.clone() });
        Ok(pools)
    }

    pub(crate) fn set_return_after(&mut self, seconds: Option<u64>) {
        if let Some(seconds) = seconds {
            self.link.limits.return_after = Duration::from_secs(seconds);
        }
    }

    /// How to read the list of pools again, if it came from a file. Separate from the list, which
    /// is used up by then.
    pub(crate) fn into_parts(self) -> (LinkConfig, Reloader) {
        (self.link, Reloader(self.reload))
    }
}

/// Reads the list of pools again.
pub(crate) struct Reloader(Option<Reload>);

impl Reloader {
    /// Where there is nothing to read again.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// The list as the file has it now; `None` if there is no file.
    pub(crate) fn accounts(&self) -> Option<Result<Vec<Account>, Failure>> {
        let Reload { file, version_mask, way } = self.0.as_ref()?;
        let read = || accounts(file, &Config::read(file)?, *version_mask, way);
        Some(read())
    }
}

impl RouteArgs {
    /// The way to `url`; `without_tls` names the scheme it should have had, if it
    /// has no TLS.
    pub(crate) fn route(
        &self,
        url: &dyn Display,
        without_tls: Option<&str>,
    ) -> Result<Route, Failure> {
        let trust = trust(self.cert.as_deref(), self.tls_pin.as_deref(), self.tls_insecure)?;
        match without_tls {
            Some(scheme) if trust != Trust::System => Err(Failure::usage(format!(
                "--cert, --tls-pin and --tls-insecure need TLS, and {url} has none: use {scheme}"
            ))),
            _ => Ok(Route { trust, proxy: self.proxy.clone() }),
        }
    }
}

impl PoolArgs {
    /// An account at a pool that was named by a flag.
    pub(crate) fn account(
        &self,
        url: &PoolUrl,
        login: Login,
        version_mask: u32,
    ) -> Result<Account, Failure> {
        let route = self.route.route(url, (!url.tls).then_some("stratum+tls://"))?;
        if self.payout_strict && self.expect_payout.is_none() {
            return Err(Failure::usage(format!(
                "--payout-strict is about --expect-payout, and there is none for {url}"
            )));
        }
        let Login { user, pass } = login;
        if let Some(error) = mistyped_address(&user).filter(|_| !self.any_user) {
            return Err(Failure::usage(format!(
                "the user name for {url} would be paid to nobody: {error}; if it is no address, \
                 add --any-user"
            )));
        }
        let client = ClientConfig {
            user,
            password: pass.unwrap_or_else(|| "x".to_owned()),
            user_agent: USER_AGENT.to_owned(),
            version_mask,
            suggest_difficulty: None,
            expect_payout: self.expect_payout.as_ref().map(|of| of.expected(self.payout_strict)),
            limits: self.limits(),
        };
        client.check().map_err(|error| Failure::usage(error.to_string()))?;
        let redirects = match self.redirect() {
            None => Redirects::default(),
            Some(Redirect::None) => Redirects::None,
            Some(Redirect::Owner) => Redirects::Owner,
            Some(Redirect::Any) => Redirects::Any,
        };
        Ok(Account { url: url.clone(), client, route, redirects })
    }

    fn redirect(&self) -> Option<Redirect> {
        if self.no_redirect { Some(Redirect::None) } else { self.redirect }
    }

    /// What a pool may do.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.share_rate = self.max_share_rate.map_or(limits.share_rate, NonZeroU32::get);
        limits
    }
}

/// What is wrong with the address that a user name begins with, as `ADDRESS.WORKER` (U3): some
/// pools let in whoever comes, and pay an address that is nobody's. Names of accounts are shorter,
/// or hold what no address does.
fn mistyped_address(user: &str) -> Option<AddressError> {
    const SHORTEST: usize = 26;
    let name = user.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    let segwit = ["bc1", "tb1", "bcrt1"].iter().any(|prefix| lower.starts_with(prefix));
    let is_base58 = !name.contains(['0', 'O', 'I', 'l']) && name.len() <= 35;
    let base58 = is_base58 && name.starts_with(['1', '3']);
    (name.len() >= SHORTEST && (segwit || base58)).then(|| name.parse::<Address>().err()).flatten()
}

/// The accounts of a configuration file.
fn accounts(
    file: &Path,
    config: &Config,
    version_mask: u32,
    way: &PoolArgs,
) -> Result<Vec<Account>, Failure> {
    if config.pool.is_empty() {
        return Err(Failure::usage(format!(
            "{} names no pool: add a table [[pool]] with a url, or name one with --url",
            file.display()
        )));
    }
    let common = password(file, &"all pools", config.pass.as_ref(), config.pass_file.as_deref())?;
    let account_of = |pool: &config::Pool| {
        let user = pool.user.as_ref().or(config.user.as_ref()).ok_or_else(|| {
            Failure::usage(format!("{}: no user for {}", file.display(), pool.url))
        })?;
        if pool.redirects_twice() {
            return Err(Failure::usage(format!(
                "{}: {} has both redirect and no-redirect: leave one out",
                file.display(),
                pool.url
            )));
        }
        let own = password(file, &pool.url, pool.pass.as_ref(), pool.pass_file.as_deref())?;
        let login = Login { user: user.clone(), pass: own.or_else(|| common.clone()) };
        let said = &way.route;
        let proxies = [&said.proxy, &pool.proxy, &config.proxy];
        let route = RouteArgs {
            cert: said.cert.clone().or_else(|| Some(beside(file, pool.cert.as_deref()?))),
            tls_pin: said.tls_pin.clone().or_else(|| pool.tls_pin.clone()),
            tls_insecure: said.tls_insecure || pool.tls_insecure,
            proxy: proxies.into_iter().flatten().next().cloned(),
        };
        let flags = PoolArgs {
            route,
            redirect: way.redirect().or_else(|| pool.redirect()),
            no_redirect: false,
            max_share_rate: way.max_share_rate.or(pool.max_share_rate),
            expect_payout: way.expect_payout.clone().or_else(|| pool.expect_payout.clone()),
            payout_strict: way.payout_strict || pool.payout_strict,
            any_user: way.any_user || pool.any_user,
        };
        flags.account(&pool.url, login, version_mask)
    };
    config.pool.iter().map(account_of).collect()
}

fn trust(cert: Option<&Path>, pin: Option<&str>, insecure: bool) -> Result<Trust, Failure> {
    let trust = match (cert, pin, insecure) {
        (None, None, false) => Ok(Trust::System),
        (Some(file), None, false) => Trust::from_pem_file(file),
        (None, Some(pin), false) => Trust::from_pin(pin),
        (None, None, true) => Ok(Trust::Anybody),
        _ => return Err(Failure::usage("cert, tls-pin and tls-insecure exclude each other")),
    };
    trust.map_err(|error| Failure::usage(error.to_string()))
}

/// The password that `file` gives to `whom`, if it gives one.
fn password(
    file: &Path,
    whom: &dyn Display,
    pass: Option<&String>,
    pass_file: Option<&Path>,
) -> Result<Option<String>, Failure> {
    match (pass, pass_file) {
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "{}: there are both pass and pass-file for {whom}: keep one of them",
            file.display()
        ))),
        (None, Some(pass_file)) => secrets::read_password(&beside(file, pass_file)).map(Some),
        (pass, None) => Ok(pass.cloned()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u3_a_slip_of_the_pen_in_an_address_is_found_and_names_are_let_be() {
        for wrong in [
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3tx",
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3TX.rig",
            "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt081.w",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5x_1",
            "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3.rig",
            "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLz",
        ] {
            assert!(mistyped_address(wrong).is_some(), "{wrong}");
        }
        for fine in [
            "",
            "me",
            "bc1q...worker",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.rig",
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
            "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2.rig",
            "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
            "3rdRigOfTheHouseOnTheHillOverThere",
            "a-company.1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3",
        ] {
            assert_eq!(mistyped_address(fine), None, "{fine}");
        }
    }
}
