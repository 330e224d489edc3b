//! The settings of a client, and the facts about a connection.

use midstate_chain::BIP320_MASK;
use midstate_stratum::ExpectedPayout;

use crate::{AuthorityKey, Limits};

/// The kind of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChannelKind {
    /// A job is a merkle root: nonce, version and time are ours. For one device.
    #[default]
    Standard,
    /// A job is a coinbase and a merkle path: a part of the extranonce is ours, too, and the payout
    /// can be looked at.
    Extended,
}

/// Our name at the pool, and our wishes.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientConfig {
    /// The worker, usually `address.name`.
    pub user: String,
    /// Our name and version, for the pool's statistics.
    pub firmware: String,
    /// The key that has to have signed the server's certificate. `None`: anybody may answer; the
    /// connection is encrypted, and not authenticated.
    pub authority: Option<AuthorityKey>,
    /// The channels to open. An expected payout wants extended ones, and gets them.
    pub kind: ChannelKind,
    /// How many channels to open, each with jobs, a target and a book of shares of its own; 0
    /// counts as 1. All are opened for the same user. With several, standard channels take their
    /// jobs by group.
    pub channels: usize,
    /// Hashes a second of all channels together, which we tell the pool until
    /// [`Client::set_hash_rate`](crate::Client::set_hash_rate) knows better: it chooses the first
    /// targets by that.
    pub nominal_hash_rate: f64,
    /// One share at a time on a channel, for testing a pool: the next one goes out when the last is
    /// answered, or has waited for [`Limits::single`], since a pool may answer many at once. Shares
    /// that are found meanwhile are throttled; blocks go out at once, where they are no toy.
    pub single_submit: bool,
    /// The version bits we would roll.
    pub version_mask: u32,
    /// The payment that every job has to make; `None` checks none.
    pub expect_payout: Option<ExpectedPayout>,
    /// The limits on the pool.
    pub limits: Limits,
}

impl ClientConfig {
    /// A standard channel for `user`, and nobody's signature asked for.
    pub fn new(user: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            firmware: concat!("midstate/", env!("CARGO_PKG_VERSION")).to_owned(),
            authority: None,
            kind: ChannelKind::default(),
            channels: 1,
            nominal_hash_rate: 1e7,
            single_submit: false,
            version_mask: BIP320_MASK,
            expect_payout: None,
            limits: Limits::default(),
        }
    }

    /// How many channels, one at least.
    pub(super) fn wanted(&self) -> usize {
        self.channels.max(1)
    }

    /// Of which kind, unless the pool imposes another one.
    pub(super) fn kind(&self) -> ChannelKind {
        match self.expect_payout {
            Some(_) => ChannelKind::Extended,
            None => self.kind,
        }
    }
}

/// A share to be sent as it is, right or wrong ([`Client::attempt`](crate::Client::attempt)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// The number of its job.
    pub job: u32,
    /// Its nonce.
    pub nonce: u32,
    /// Its time.
    pub time: u32,
    /// Its version, with the bits that were rolled.
    pub version: u32,
    /// Our part of the extranonce, at most 32 bytes; a standard channel has none.
    pub extranonce: &'a [u8],
}

/// The facts about a fresh transport that the client cannot know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialled {
    /// The server that was dialled, which it is told.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Seconds since 1970, for the certificate.
    pub unix: u32,
    /// 32 random bytes, never used twice.
    pub entropy: [u8; 32],
}
