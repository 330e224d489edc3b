//! Which servers let us in. The loss of one hides no other: a backup that is lost does not show as
//! "connecting" while the first pool works.

use std::sync::Arc;

use midstate_net::LinkState;

/// See the [module](self) page.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// The server whose connection changed last.
    last: Option<Arc<str>>,
    /// Servers that let us in, until their connection is lost.
    let_in: Vec<Arc<str>>,
    /// Whether any server was ever reached.
    has_reached_one: bool,
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

    /// A connection changed; whether to tell that no server was reached so far, which is once.
    pub(super) fn note(&mut self, server: &Arc<str>, state: LinkState) -> bool {
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
        let is_due = state == LinkState::Lost && !self.has_reached_one;
        is_due && !std::mem::replace(&mut self.is_told, true)
    }
}
