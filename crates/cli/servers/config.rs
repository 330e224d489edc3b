//! The configuration file: TOML with the names of the long flags. This file reads it, and every
//! mistake is an error that names its line; [`pools`](crate::servers::pools) decides what it means.
//! A flag on the command line wins over the file. Paths in it start from the file's directory.
//!
//! ```toml
//! user = "bc1q...worker"        # for every pool without a user of its own; so all keys of a pool
//!
//! [[pool]]
//! url = "stratum+tls://pool.example:443"
//!
//! [[pool]]                      # the backup
//! url = "stratum+tcp://backup.example:3333"
//! user = "somebody"
//! ```

mod mistakes;

pub(crate) use mistakes::Mistake;

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use midstate_net::{PoolAddress, ProxyUrl};
use serde::{Deserialize, Deserializer};

use crate::servers::payout::Payee;
use crate::shell::values;

/// Where a redirect may lead, as people write it.
#[derive(clap::ValueEnum, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Redirect {
    None,
    Owner,
    Any,
}

/// Whether to wait at a node for the next block, as people write it.
#[derive(clap::ValueEnum, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LongPoll {
    Auto,
    Always,
    Never,
}

/// The keys of a table, as [`Config`] and [`Pool`] share them.
pub(crate) struct Keys<'a> {
    pub(crate) user: Option<&'a str>,
    pub(crate) pass: Option<&'a str>,
    pub(crate) pass_file: Option<&'a Path>,
    pub(crate) proxy: Option<&'a ProxyUrl>,
    pub(crate) cert: Option<&'a Path>,
    pub(crate) tls_pin: Option<&'a str>,
    pub(crate) tls_insecure: Option<bool>,
    pub(crate) redirect: Option<Redirect>,
    pub(crate) no_redirect: bool,
    pub(crate) max_share_rate: Option<NonZeroU32>,
    pub(crate) expect_payout: Option<&'a Payee>,
    pub(crate) payout_strict: Option<bool>,
    pub(crate) any_user: Option<bool>,
    pub(crate) suggest_difficulty: Option<f64>,
}

/// A table with these fields and with every key that can be said of one pool or of all. serde's
/// `flatten` would do without a macro, but it knows neither unknown keys nor places.
macro_rules! table {
    ($(#[$about:meta])* $name:ident { $($fields:tt)* }) => {
        $(#[$about])*
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub(crate) struct $name {
            $($fields)*
            user: Option<String>,
            pass: Option<String>,
            pass_file: Option<PathBuf>,
            #[serde(default, deserialize_with = "some_parsed")]
            proxy: Option<ProxyUrl>,
            cert: Option<PathBuf>,
            tls_pin: Option<String>,
            tls_insecure: Option<bool>,
            redirect: Option<Redirect>,
            #[serde(default)]
            no_redirect: bool,
            #[serde(default, deserialize_with = "some_share_rate")]
            max_share_rate: Option<NonZeroU32>,
            #[serde(default, deserialize_with = "some_parsed")]
            expect_payout: Option<Payee>,
            payout_strict: Option<bool>,
            any_user: Option<bool>,
            #[serde(default, deserialize_with = "some_difficulty")]
            suggest_difficulty: Option<f64>,
        }

        impl $name {
            /// Its keys, about a pool or about all pools.
            pub(crate) fn keys(&self) -> Keys<'_> {
                Keys {
                    user: self.user.as_deref(),
                    pass: self.pass.as_deref(),
                    pass_file: self.pass_file.as_deref(),
                    proxy: self.proxy.as_ref(),
                    cert: self.cert.as_deref(),
                    tls_pin: self.tls_pin.as_deref(),
                    tls_insecure: self.tls_insecure,
                    redirect: self.redirect,
                    no_redirect: self.no_redirect,
                    max_share_rate: self.max_share_rate,
                    expect_payout: self.expect_payout.as_ref(),
                    payout_strict: self.payout_strict,
                    any_user: self.any_user,
                    suggest_difficulty: self.suggest_difficulty,
                }
            }
        }
    };
}

table! {
    /// All that a file can say: its head, whose keys hold for every pool that does not say
    /// otherwise, and its pools.
    Config {
        #[serde(default, deserialize_with = "some_patience")]
        pub(crate) give_up: Option<NonZeroU64>,
        #[serde(default, deserialize_with = "some_seconds")]
        pub(crate) return_after: Option<u64>,
        #[serde(default, deserialize_with = "some_threads")]
        pub(crate) threads: Option<NonZeroUsize>,
        pub(crate) kernel: Option<String>,
        /// At nodes.
        pub(crate) long_poll: Option<LongPoll>,
        /// In order of preference.
        #[serde(default)]
        pub(crate) pool: Vec<Pool>,
    }
}

table! {
    /// One pool.
    Pool {
        #[serde(deserialize_with = "parsed")]
        pub(crate) url: PoolAddress,
    }
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the configuration {path}: {error}")]
    Unreadable { path: String, error: std::io::Error },
    #[error("{path}: {mistake}")]
    Invalid { path: String, mistake: Mistake },
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or something in it is not understood.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let text = midstate_net::read_text_file(path)
            .map_err(|error| ConfigError::Unreadable { path: shown.clone(), error })?;
        Self::parse(&text).map_err(|mistake| ConfigError::Invalid { path: shown, mistake })
    }

    /// Reads its text. The fuzz target calls it, too.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        toml::from_str(text).map_err(|error| Mistake::new(&error, text))
    }

    /// Time without work after which nobody goes on, if it says so.
    pub(crate) fn give_up(&self) -> Option<Duration> {
        self.give_up.map(|seconds| Duration::from_secs(seconds.get()))
    }

    /// Whether it holds a password.
    pub(crate) fn has_secrets(&self) -> bool {
        let in_table = |pool: &Pool| pool.pass.is_some() || pool.url.login.password.is_some();
        self.pass.is_some() || self.pool.iter().any(in_table)
    }

    /// The files that it names and that hold passwords.
    pub(crate) fn pass_files(&self) -> impl Iterator<Item = &Path> {
        let of_pools = self.pool.iter().map(|pool| pool.pass_file.as_deref());
        std::iter::once(self.pass_file.as_deref()).chain(of_pools).flatten()
    }
}

/// A value that is written as text.
fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// The same where it may be left out.
fn some_parsed<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    parsed(deserializer).map(Some)
}

fn some_threads<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NonZeroUsize>, D::Error> {
    as_a_flag(from, values::threads)
}

fn some_patience<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NonZeroU64>, D::Error> {
    as_a_flag(from, values::patience).map(|seconds| seconds.and_then(NonZeroU64::new))
}

fn some_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    as_a_flag(from, values::seconds)
}

fn some_share_rate<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NonZeroU32>, D::Error> {
    as_a_flag(from, values::share_rate)
}

fn some_difficulty<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    as_a_flag(from, values::positive)
}

/// A number, read as the flag of the same name reads it: with its bounds and its words.
fn as_a_flag<'de, D: Deserializer<'de>, T>(
    from: D,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, D::Error> {
    let number = toml::Value::deserialize(from)?.to_string();
    parse(&number).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u8_a_whole_file() {
        let config = Config::parse(
            r#"
            user = "me"
            give-up = 60
            threads = 2
            long-poll = "never"
            [[pool]]
            url = "stratum+tls://a.example:443"
            tls-pin = "00"
            proxy = "socks5://127.0.0.1:9050"
            [[pool]]
            url = "b.example:3333"
            user = "other"
            pass = "secret"
            redirect = "any"
            max-share-rate = 5
            "#,
        )
        .unwrap();
        assert_eq!((config.pool.len(), config.long_poll), (2, Some(LongPoll::Never)));
        assert!(config.pool[0].url.url.tls && !config.pool[1].url.url.tls);
        assert_eq!(config.pool[0].proxy.as_ref().unwrap().port, 9050);
        assert_eq!(config.pool[0].redirect, None);
        assert_eq!(config.pool[1].redirect, Some(Redirect::Any));
        assert!(config.has_secrets());
    }
}
