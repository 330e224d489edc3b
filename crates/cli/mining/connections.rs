//! Which servers let us in. The loss of one hides no other: a backup that is lost does not show as
//! "connecting" while the first pool works.

use std::sync::Arc;
use std::time::Duration;

use midstate_net::LinkState;

/// How long no server has been reached when that is told: longer than a final refusal takes, which
/// is two answers.
const TOLD_AFTER: Duration = Duration::from_secs(5);

/// See the [module](self) page.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// The server whose connection changed last.
    last: Option<Arc<str>>,
    /// Servers that let us in, until their connection is lost.
    let_in: Vec<Arc<str>>,
    /// Whether any server was ever reached.
    has_reached_one: bool,
    /// The server whose loss was the first, and when, until that none was reached is told.
    lost: Option<(Arc<str>, Duration)>,
    /// Whether it was told that none was, or need not be.
    is_told: bool,
}

impl Connections {
    /// `gives_up`: whoever set an end knows that there is none otherwise.
    pub(super) fn new(gives_up: bool) -> Self {
        Self { is_told: gives_up, ..Self::default() }
    }

    /// The server whose connection changed last.
    pub(super) fn last(&self) -> Option<&Arc<str>> {
        self.last.as_ref()
    }

    pub(super) fn any_lets_us_in(&self) -> bool {
        !self.let_in.is_empty()
    }

    /// A connection changed.
    pub(super) fn note(&mut self, now: Duration, server: &Arc<str>, state: LinkState) {
        self.last = Some(Arc::clone(server));
        self.has_reached_one |= matches!(state, LinkState::Connected | LinkState::Authorized);
        match state {
            LinkState::Authorized if !self.let_in.contains(server) => {
                self.let_in.push(Arc::clone(server));
            }
            LinkState::Authorized => {}
            // Work is at this server now; the others may have been left without a word.
            LinkState::Failover => self.let_in.retain(|known| known == server),
            LinkState::Connecting | LinkState::Connected | LinkState::Lost => {
                self.let_in.retain(|known| known != server);
            }
        }
        if state == LinkState::Lost {
            self.lost.get_or_insert_with(|| (Arc::clone(server), now));
        }
    }

    /// Rule 27: no line promises further attempts just before the end. The server whose loss to
    /// tell with that promise, once, when the attempts have gone on for a while.
    pub(super) fn nothing_reached(&mut self, now: Duration) -> Option<Arc<str>> {
        if self.is_told || self.has_reached_one {
            return None;
        }
        let (server, _) = self.lost.take_if(|(_, since)| now >= *since + TOLD_AFTER)?;
        self.is_told = true;
        Some(server)
    }
}
