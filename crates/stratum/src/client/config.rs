//! The settings of a client, and the check that they can be sent.

use std::fmt;

use midstate_chain::{BIP320_MASK, is_printable};

use super::secret::Secret;
use crate::{ExpectedPayout, Limits};

/// Our login at a pool, and our wishes.
#[derive(Clone, PartialEq)]
pub struct ClientConfig {
    /// The worker, usually `address.name`: printable ASCII.
    pub user: String,
    /// Often unused, or carries options as `d=0.02`.
    pub password: String,
    /// Our name and version, printable ASCII. Pools choose a first difficulty by it.
    pub user_agent: String,
    /// The version bits we would roll: `1fffe000` by BIP320. 0 does not ask (no
    /// `mining.configure`).
    pub version_mask: u32,
    /// Asked of the pool; few obey.
    pub suggest_difficulty: Option<f64>,
    /// The payout that every job must have (S13); `None` accepts any.
    pub expect_payout: Option<ExpectedPayout>,
    /// The limits on the pool.
    pub limits: Limits,
}

impl fmt::Debug for ClientConfig {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, user_agent, version_mask, suggest_difficulty, .. } = self;
        f.debug_struct("ClientConfig")
            .field("user", user)
            .field("user_agent", user_agent)
            .field("version_mask", version_mask)
            .field("suggest_difficulty", suggest_difficulty)
            .finish_non_exhaustive()
    }
}

/// Why a configuration cannot be sent to any pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// S12.
    #[error("the {what} is {got} bytes, at most {limit} are sent; shorten it")]
    TooLong {
        /// user name, password or user agent.
        what: &'static str,
        /// Its length in bytes.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// S12.
    #[error("the {what} holds {character:?}; only printable {allowed} can be sent")]
    Character {
        /// user name, password or user agent.
        what: &'static str,
        /// The first one that cannot be sent.
        character: char,
        /// The characters that can.
        allowed: &'static str,
    },
    /// Pools identify miners by it.
    #[error("the user name is empty; pools want an address or an account")]
    NoUser,
    /// Not a difficulty.
    #[error("the difficulty to suggest must be a finite number above 0")]
    Difficulty,
}

/// A user agent is ours alone, so no one needs to set this.
const MAX_USER_AGENT: usize = 128;

impl ClientConfig {
    /// The configuration that suits most pools: password `x`, our own name, every version bit of
    /// BIP320, no suggestion, any payout, default limits.
    pub fn new(user: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            password: "x".to_owned(),
            user_agent: concat!("midstate/", env!("CARGO_PKG_VERSION")).to_owned(),
            version_mask: BIP320_MASK,
            suggest_difficulty: None,
            expect_payout: None,
            limits: Limits::default(),
        }
    }

    /// A text of the pool without our password in it, should it repeat that. A password of less
    /// than four characters hides nothing and stays.
    pub fn hide_password(&self, text: &str) -> String {
        Secret::new(&self.password).hide(text)
    }

    /// Whether all of it can be sent. A client with a configuration that cannot closes every
    /// connection before it says a word.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.user.is_empty() {
            return Err(ConfigError::NoUser);
        }
        check_text("user name", &self.user, self.limits.user, true)?;
        check_text("password", &self.password, self.limits.password, false)?;
        check_text("user agent", &self.user_agent, MAX_USER_AGENT, true)?;
        match self.suggest_difficulty {
            Some(difficulty) if !(difficulty.is_finite() && difficulty > 0.0) => {
                Err(ConfigError::Difficulty)
            }
            _ => Ok(()),
        }
    }
}

fn check_text(
    what: &'static str,
    text: &str,
    limit: usize,
    ascii_only: bool,
) -> Result<(), ConfigError> {
    if text.len() > limit {
        return Err(ConfigError::TooLong { what, got: text.len(), limit });
    }
    let sendable = |&c: &char| is_printable(c) && (c.is_ascii() || !ascii_only);
    let allowed = if ascii_only { "ASCII" } else { "characters" };
    match text.chars().find(|c| !sendable(c)) {
        Some(character) => Err(ConfigError::Character { what, character, allowed }),
        None => Ok(()),
    }
}
