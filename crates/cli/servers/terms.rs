//! The terms for a server, from any source: flags, a `[[pool]]` table of the configuration,
//! its URL, or the head of the file. All of them become one value, [`Terms`], and values are laid
//! over each other until one is left: *flags win over the file, and what flags leave open is the
//! file's*. A key is written into [`Terms`] once and then has this meaning everywhere.
//!
//! Called by [`pools`](crate::servers::pools) and [`node`](crate::servers::node).

use std::fmt::Display;
use std::num::NonZeroU32;
use std::path::PathBuf;

use midstate_gbt::conf::Login;
use midstate_gbt::{Address, AddressError};
use midstate_net::{
    Account, NodeUrl, PoolUrl, ProxyUrl, Redirects, Route, Trust, UrlLogin, V2Wishes,
};
use midstate_stratum::{ClientConfig, Limits};
use midstate_sv2::ChannelKind;

use crate::servers::config::Redirect;
use crate::servers::payout::Payee;
use crate::shell::exit::Failure;

/// All that can be said about a server besides its URL. `None`: nothing is said. No `Debug`: there
/// is a password in it.
#[derive(Clone, Default)]
pub(crate) struct Terms {
    pub(crate) user: Option<String>,
    pub(crate) pass: Option<String>,
    pub(crate) trust: Option<TrustTerms>,
    pub(crate) proxy: Option<ProxyUrl>,
    pub(crate) redirect: Option<Redirect>,
    pub(crate) max_share_rate: Option<NonZeroU32>,
    pub(crate) expect_payout: Option<Payee>,
    pub(crate) payout_strict: Option<bool>,
    pub(crate) any_user: Option<bool>,
    pub(crate) suggest_difficulty: Option<f64>,
    pub(crate) channel: Option<ChannelKind>,
    pub(crate) channels: Option<usize>,
    pub(crate) nominal_hash_rate: Option<f64>,
    pub(crate) single_submit: Option<bool>,
}

/// The certificates to trust, as flags or keys name them: one choice, whichever of them makes it.
#[derive(Clone, PartialEq)]
pub(crate) enum TrustTerms {
    /// `tls-insecure = false`, where the head of the file says otherwise.
    System,
    Cert(PathBuf),
    Pin(String),
    Anybody,
}

impl TrustTerms {
    /// The one choice of the three flags or keys.
    pub(crate) fn new(
        cert: Option<PathBuf>,
        pin: Option<String>,
        insecure: Option<bool>,
    ) -> Result<Option<Self>, &'static str> {
        match (cert, pin, insecure) {
            (None, None, None) => Ok(None),
            (None, None, Some(false)) => Ok(Some(Self::System)),
            (None, None, Some(true)) => Ok(Some(Self::Anybody)),
            (Some(file), None, None | Some(false)) => Ok(Some(Self::Cert(file))),
            (None, Some(pin), None | Some(false)) => Ok(Some(Self::Pin(pin))),
            _ => Err("cert, tls-pin and tls-insecure exclude each other"),
        }
    }

    fn read(&self) -> Result<Trust, Failure> {
        let trust = match self {
            Self::System => Ok(Trust::System),
            Self::Cert(file) => Trust::from_pem_file(file),
            Self::Pin(pin) => Trust::from_pin(pin),
            Self::Anybody => Ok(Trust::Anybody),
        };
        trust.map_err(|error| Failure::usage(error.to_string()))
    }
}

impl From<UrlLogin> for Terms {
    fn from(UrlLogin { user, password }: UrlLogin) -> Self {
        Self { user, pass: password, ..Self::default() }
    }
}

impl Terms {
    /// This, and where it says nothing, the other.
    pub(crate) fn over(self, other: Self) -> Self {
        // Taken apart by name, so that a value that is not merged does not compile.
        let Self {
            user,
            pass,
            trust,
            proxy,
            redirect,
            max_share_rate,
            expect_payout,
            payout_strict,
            any_user,
            suggest_difficulty,
            channel,
            channels,
            nominal_hash_rate,
            single_submit,
        } = self;
        Self {
            user: user.or(other.user),
            pass: pass.or(other.pass),
            trust: trust.or(other.trust),
            proxy: proxy.or(other.proxy),
            redirect: redirect.or(other.redirect),
            max_share_rate: max_share_rate.or(other.max_share_rate),
            expect_payout: expect_payout.or(other.expect_payout),
            payout_strict: payout_strict.or(other.payout_strict),
            any_user: any_user.or(other.any_user),
            suggest_difficulty: suggest_difficulty.or(other.suggest_difficulty),
            channel: channel.or(other.channel),
            channels: channels.or(other.channels),
            nominal_hash_rate: nominal_hash_rate.or(other.nominal_hash_rate),
            single_submit: single_submit.or(other.single_submit),
        }
    }

    /// The terms that two tables of a file share. No password: it is for its own server alone.
    pub(crate) fn common(self, other: &Self) -> Self {
        fn both<T: PartialEq>(one: Option<T>, other: &Option<T>) -> Option<T> {
            one.filter(|one| other.as_ref() == Some(one))
        }
        let Self {
            user,
            pass: _,
            trust,
            proxy,
            redirect,
            max_share_rate,
            expect_payout,
            payout_strict,
            any_user,
            suggest_difficulty,
            channel,
            channels,
            nominal_hash_rate,
            single_submit,
        } = self;
        Self {
            user: both(user, &other.user),
            pass: None,
            trust: both(trust, &other.trust),
            proxy: both(proxy, &other.proxy),
            redirect: both(redirect, &other.redirect),
            max_share_rate: both(max_share_rate, &other.max_share_rate),
            expect_payout: both(expect_payout, &other.expect_payout),
            payout_strict: both(payout_strict, &other.payout_strict),
            any_user: both(any_user, &other.any_user),
            suggest_difficulty: both(suggest_difficulty, &other.suggest_difficulty),
            channel: both(channel, &other.channel),
            channels: both(channels, &other.channels),
            nominal_hash_rate: both(nominal_hash_rate, &other.nominal_hash_rate),
            single_submit: both(single_submit, &other.single_submit),
        }
    }

    /// Without a choice of whom to trust, if the server has no TLS: for what is said about several
    /// servers at once. Terms about one server without TLS, such a choice is a mistake.
    pub(crate) fn for_tls(self, tls: bool) -> Self {
        Self { trust: self.trust.filter(|_| tls), ..self }
    }

    /// The way to `url`; `without_tls` names the scheme it should have had, if it has no TLS.
    pub(crate) fn route(
        &self,
        url: &dyn Display,
        without_tls: Option<&str>,
    ) -> Result<Route, Failure> {
        let trust = self.trust.as_ref().map_or(Ok(Trust::System), TrustTerms::read)?;
        match without_tls {
            Some(cure) if trust != Trust::System => Err(Failure::usage(format!(
                "--cert, --tls-pin and --tls-insecure need TLS, and {url} has none: {cure}"
            ))),
            _ => Ok(Route { trust, proxy: self.proxy.clone() }),
        }
    }

    /// An account at a pool.
    pub(crate) fn account(&self, url: &PoolUrl, version_mask: u32) -> Result<Account, Failure> {
        let cure = match url.v2 {
            None => "use stratum+tls://",
            Some(_) => "a pool of Stratum V2 proves itself by the key behind the last / of its URL",
        };
        let route = self.route(url, (!url.tls).then_some(cure))?;
        let strict = self.payout_strict.unwrap_or_default();
        if strict && self.expect_payout.is_none() {
            return Err(Failure::usage(format!(
                "--payout-strict is about --expect-payout, and there is none for {url}"
            )));
        }
        let user = self.user.clone().ok_or_else(|| {
            Failure::usage(format!(
                "a pool wants a user name, and there is no user for {url}: add --user NAME"
            ))
        })?;
        if let Some(error) = mistyped_address(&user).filter(|_| self.any_user != Some(true)) {
            return Err(Failure::usage(format!(
                "the user name for {url} looks like an address that cannot be paid: {error}; if it \
                 is no address, add --any-user"
            )));
        }
        let mut client = ClientConfig {
            version_mask,
            suggest_difficulty: self.suggest_difficulty,
            expect_payout: self.expect_payout.as_ref().map(|of| of.expected(strict)),
            limits: self.limits(),
            ..ClientConfig::new(user)
        };
        if let Some(password) = &self.pass {
            client.password.clone_from(password);
        }
        client.check().map_err(|error| Failure::usage(error.to_string()))?;
        let redirects = match self.redirect {
            None => Redirects::default(),
            Some(Redirect::None) => Redirects::None,
            Some(Redirect::Owner) => Redirects::Owner,
            Some(Redirect::Any) => Redirects::Any,
        };
        let v2 = V2Wishes {
            channel: self.channel.unwrap_or_default(),
            channels: self.channels.unwrap_or(1),
            nominal_hash_rate: self.nominal_hash_rate,
            single_submit: self.single_submit == Some(true),
        };
        Ok(Account { url: url.clone(), client, route, redirects, v2 })
    }

    /// The limits on a pool.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.share_rate = self.max_share_rate.map_or(limits.share_rate, NonZeroU32::get);
        limits
    }
}

/// Our login at a node: by flags, and where they say nothing, by its URL.
pub(crate) fn node_login(
    user: Option<String>,
    pass: Option<String>,
    url: Option<&NodeUrl>,
) -> Result<Option<Login>, Failure> {
    let written = url.and_then(|url| url.login.clone());
    let (own_user, own_pass) = written.map(|login| (login.user, login.password)).unzip();
    match (user.or(own_user), pass.or(own_pass)) {
        (Some(user), Some(password)) => Ok(Some(Login { user, password })),
        (None, None) => Ok(None),
        _ => {
            Err(Failure::usage("a node wants both --user and --pass (or --pass-file), or neither"))
        }
    }
}

/// The mistake in the address that a user name begins with, as `ADDRESS.WORKER` (U3): some
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
