//! The configuration file: TOML with the names of the long flags. This file reads it, and every
//! mistake is an error that names its line; [`pools`](crate::servers::pools) decides what it means.
//! A flag on the command line wins over the file. Paths in it start from the file's directory.
//!
//! ```toml
//! user = "bc1q...worker"        # for every pool without a user of its own
//!
//! [[pool]]
//! url = "stratum+tls://pool.example:443"
//!
//! [[pool]]                      # the backup
//! url = "stratum+tcp://backup.example:3333"
//! user = "somebody"
//! ```

mod mistakes;

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use midstate_net::{PoolUrl, ProxyUrl};
use serde::{Deserialize, Deserializer};

use crate::servers::payout::Payout;

/// Where a redirect may lead, as people write it.
#[derive(clap::ValueEnum, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Redirect {
    None,
    Owner,
    Any,
}

/// All that a file can say.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) user: Option<String>,
    pub(crate) pass: Option<String>,
    pub(crate) pass_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "some_parsed")]
    pub(crate) proxy: Option<ProxyUrl>,
    /// Seconds.
    pub(crate) give_up: Option<u64>,
    /// Seconds.
    pub(crate) return_after: Option<u64>,
    pub(crate) threads: Option<NonZeroUsize>,
    pub(crate) kernel: Option<String>,
    /// In order of preference.
    #[serde(default)]
    pub(crate) pool: Vec<Pool>,
}

/// One pool.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Pool {
    #[serde(deserialize_with = "parsed")]
    pub(crate) url: PoolUrl,
    pub(crate) user: Option<String>,
    pub(crate) pass: Option<String>,
    pub(crate) pass_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "some_parsed")]
    pub(crate) proxy: Option<ProxyUrl>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) tls_pin: Option<String>,
    #[serde(default)]
    pub(crate) tls_insecure: bool,
    redirect: Option<Redirect>,
    #[serde(default)]
    no_redirect: bool,
    pub(crate) max_share_rate: Option<NonZeroU32>,
    #[serde(default, deserialize_with = "some_parsed")]
    pub(crate) expect_payout: Option<Payout>,
    #[serde(default)]
    pub(crate) payout_strict: bool,
    #[serde(default)]
    pub(crate) any_user: bool,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the configuration {path}: {error}")]
    Unreadable { path: String, error: std::io::Error },
    #[error("{path}: {mistake}")]
    Invalid { path: String, mistake: String },
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or something in it is not understood.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: shown.clone(), error })?;
        Self::parse(&text).map_err(|mistake| ConfigError::Invalid { path: shown, mistake })
    }

    /// Reads its text; an error is in words, and holds no password.
    fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| mistakes::describe(&error, text))
    }

    /// Whether it holds a password.
    pub(crate) fn has_secrets(&self) -> bool {
        self.pass.is_some() || self.pool.iter().any(|pool| pool.pass.is_some())
    }

    /// The files that it names and that hold passwords.
    pub(crate) fn pass_files(&self) -> impl Iterator<Item = &Path> {
        let of_pools = self.pool.iter().map(|pool| pool.pass_file.as_deref());
        std::iter::once(self.pass_file.as_deref()).chain(of_pools).flatten()
    }
}

impl Pool {
    /// Where its redirects may lead, if the file says.
    pub(crate) fn redirect(&self) -> Option<Redirect> {
        if self.no_redirect { Some(Redirect::None) } else { self.redirect }
    }

    /// Whether it says so twice, perhaps not the same.
    pub(crate) fn redirects_twice(&self) -> bool {
        self.no_redirect && self.redirect.is_some()
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
        assert_eq!(config.pool.len(), 2);
        assert!(config.pool[0].url.tls && !config.pool[1].url.tls);
        assert_eq!(config.pool[0].proxy.as_ref().unwrap().port, 9050);
        assert_eq!(config.pool[0].redirect(), None);
        assert_eq!(config.pool[1].redirect(), Some(Redirect::Any));
        assert!(config.has_secrets());
    }
}
