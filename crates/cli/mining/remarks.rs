//! Rations the remarks of servers and about them, for programs and for people alike: one event, and
//! one sentence made of it. See [`Ration`] for the rule.

use std::time::Duration;

use midstate_net::LinkState;
use midstate_stratum::Remark;

use super::event::{BlockEvent, Event, JobEvent, PoolEvent, RemarkEvent};
use super::ration::{Ration, Told};
use super::words::is_node;

/// See the [module](self) page.
#[derive(Debug, Default)]
pub(super) struct Remarks(Ration<RemarkEvent>);

impl Told for RemarkEvent {
    fn sentence(&self) -> String {
        self.remark.sentence(&self.pool)
    }

    fn text_mut(&mut self) -> &mut String {
        self.remark.text_mut()
    }
}

impl Remarks {
    /// The remark to tell now, if any.
    pub(super) fn say(&mut self, now: Duration, remark: RemarkEvent) -> Option<RemarkEvent> {
        self.0.say(now, remark)
    }

    /// Those that were held back and are due.
    pub(super) fn due(&mut self, now: Duration) -> Vec<RemarkEvent> {
        self.0.due(now)
    }

    /// All that were held back, at the end.
    pub(super) fn rest(&mut self) -> Vec<RemarkEvent> {
        self.0.rest()
    }

    /// Warnings that had to wait and are true no longer. A warning about a node says how it stands:
    /// that is over when the node is let in or lost, or gives the next job. One about a block is
    /// over when that has its verdict. A warning about a pool tells what has happened there.
    pub(super) fn drop_untrue(&mut self, event: &Event) {
        match event {
            Event::Pool(PoolEvent { url, state, .. })
                if is_node(url) && !matches!(state, LinkState::Connecting) =>
            {
                self.drop_warnings(|server, _| server == url);
            }
            Event::Job(JobEvent { pool: url, .. }) if is_node(url) => {
                self.drop_warnings(|server, _| server == url);
            }
            Event::Block(BlockEvent { hash, .. }) => {
                self.drop_warnings(|_, text| text.contains(hash));
            }
            _ => {}
        }
    }

    fn drop_warnings(&mut self, is_over: impl Fn(&str, &str) -> bool) {
        self.0.drop_those(|RemarkEvent { pool, remark, .. }| match remark {
            Remark::Warning { text } => is_over(pool, text),
            _ => false,
        });
    }
}
