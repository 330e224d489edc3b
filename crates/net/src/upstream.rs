//! Where jobs come from: pools, or nodes. Their jobs are not alike, so that one kind cannot stand
//! in for the other.

use std::time::Duration;

use midstate_chain::Share;
use midstate_stratum::Limits;
use tokio::sync::{mpsc, oneshot};

use crate::{Account, EventSender, HashRate, Link, LinkConfig, LinkEnd, NodeLink, NodeLinkConfig};

/// The servers to mine at, and how.
pub enum Upstream {
    /// Pools, by Stratum.
    Pools(Box<LinkConfig>),
    /// Bitcoin Core nodes.
    Nodes(Box<NodeLinkConfig>),
}

impl Upstream {
    /// The time after which a run ends in which no server worked.
    pub fn give_up(&self) -> Option<Duration> {
        match self {
            Self::Pools(link) => link.give_up,
            Self::Nodes(link) => link.give_up,
        }
    }

    /// Where to tell the measured hash rate; nodes do not want to know.
    pub fn hash_rate(&self) -> HashRate {
        match self {
            Self::Pools(link) => link.hash_rate.clone(),
            Self::Nodes(_) => HashRate::default(),
        }
    }

    /// Least time between two blocks of ours; pools set none.
    pub fn block_interval(&self) -> Duration {
        match self {
            Self::Pools(_) => Duration::ZERO,
            Self::Nodes(link) => link.client.block_interval,
        }
    }

    /// Shares that are sent in a second, at the pool that takes most.
    pub fn share_rate(&self) -> u32 {
        let usual = Limits::default().share_rate;
        match self {
            Self::Pools(link) => {
                let rates = link.accounts.iter().map(|account| account.client.limits.share_rate);
                rates.max().unwrap_or(usual)
            }
            Self::Nodes(_) => usual,
        }
    }

    /// Channels at the pool that has most, 1 at nodes and pools of Stratum V1.
    pub fn channels(&self) -> usize {
        match self {
            Self::Pools(link) => {
                let of_v2 = link.accounts.iter().filter(|account| account.url.v2.is_some());
                of_v2.map(|account| account.v2.channels).max().unwrap_or(1).max(1)
            }
            Self::Nodes(_) => 1,
        }
    }

    /// Runs the link until it ends: it sends `shares`, tells `events`, ends after `stop`, and takes
    /// its pools anew from `reloads`.
    pub async fn run(
        self,
        shares: mpsc::UnboundedReceiver<Share>,
        events: EventSender,
        stop: oneshot::Receiver<()>,
        reloads: mpsc::UnboundedReceiver<Vec<Account>>,
    ) -> LinkEnd {
        match self {
            Self::Pools(config) => {
                Link::new(*config, shares, events, stop).with_reloads(reloads).run().await
            }
            Self::Nodes(config) => NodeLink::new(*config, shares, events, stop).run().await,
        }
    }
}
