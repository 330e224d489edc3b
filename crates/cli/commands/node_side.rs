//! The node behind a pool of this program: its link, which takes the pool's blocks and gives it
//! work, and what is told of it. Used by `demo` and `class`.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use midstate_chain::{BIP320_MASK, Hash256, Verdict};
use midstate_net::{
    EventReceiver, Happened, LinkEnd, LinkState, NodeLink, NodeLinkConfig, NodeUrl,
};
use midstate_pool::PoolTemplate;
use midstate_stratum::Remark;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::mining::PoolNews;
use crate::servers::node::NodeArgs;
use crate::servers::pools::RouteArgs;
use crate::servers::terms::node_login;
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::units;

/// A running link.
pub(super) struct NodeSide {
    link: JoinHandle<LinkEnd>,
    /// How the link ended, once it has done so by itself.
    end: Option<LinkEnd>,
    stop: oneshot::Sender<()>,
    told: JoinHandle<Verdicts>,
}

/// The pool's end of it.
pub(super) struct PoolEnd {
    /// Blocks go here, raw.
    pub(super) blocks: mpsc::UnboundedSender<Vec<u8>>,
    /// Work comes from here.
    pub(super) templates: mpsc::UnboundedReceiver<PoolTemplate>,
}

/// A node's word on a block.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) node: Arc<str>,
    pub(super) hash: Hash256,
    pub(super) height: u32,
    pub(super) verdict: Verdict,
    pub(super) reason: Option<String>,
}

/// News of the node for the pool, beside work.
#[derive(Debug)]
pub(super) enum NodeNews {
    Judged(Judged),
    /// It gives work, or does not any more.
    Here(bool),
}

/// Blocks whose verdict may still be replaced by another one. The oldest make room for new ones.
const MOST_TOLD: usize = 1024;

/// A node's verdicts on the pool's blocks, the last one on each.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    accepted: u64,
    rejected: u64,
    other: u64,
    told: VecDeque<(Hash256, Verdict)>,
}

/// The link that the flags ask for.
pub(super) fn link(
    url: NodeUrl,
    solo: &NodeArgs,
    route: &RouteArgs,
    out: &mut Output,
) -> Result<NodeLinkConfig, Failure> {
    let login = node_login(None, None, Some(&url))?;
    solo.link(vec![url], |_| login.clone(), &route.terms(), BIP320_MASK, out)
}

impl NodeSide {
    /// Starts a link. What is to be heard of the node goes to `hear`, the rest into the log.
    pub(super) fn start(
        link: NodeLinkConfig,
        hear: impl FnMut(NodeNews) + Send + 'static,
    ) -> (Self, PoolEnd) {
        let (blocks, solved) = mpsc::unbounded_channel();
        let (work, templates) = mpsc::unbounded_channel();
        let (events, told) = midstate_net::events();
        let (stop, stopped) = oneshot::channel();
        let link = tokio::spawn(NodeLink::for_pool(link, solved, work, events, stopped).run());
        let told = tokio::spawn(tell(told, hear));
        (Self { link, end: None, stop, told }, PoolEnd { blocks, templates })
    }

    /// Waits for the end of what needs the node. The link ends by itself only when the node cannot
    /// be mined at: then mining is told, and ends in its usual way, with the summary.
    pub(super) async fn attend<T>(
        &mut self,
        served: impl Future<Output = T>,
        miners: &mpsc::UnboundedSender<PoolNews>,
    ) -> Result<T, Failure> {
        let mut served = pin!(served);
        loop {
            tokio::select! {
                outcome = &mut served => return Ok(outcome),
                ended = &mut self.link, if self.end.is_none() => {
                    self.end = Some(ended?);
                    let _ = miners.send(PoolNews::Failed);
                }
            }
        }
    }

    /// Ends the link, which waits for the blocks on their way to the disk and for the last
    /// verdicts.
    pub(super) async fn stop(self) -> Result<(LinkEnd, Verdicts), Failure> {
        let _ = self.stop.send(());
        let end = match self.end {
            Some(end) => end,
            None => self.link.await?,
        };
        Ok((end, self.told.await?))
    }
}

impl Verdicts {
    fn record(&mut self, hash: Hash256, verdict: Verdict) {
        if let Some(at) = self.told.iter().position(|(told, _)| *told == hash)
            && let Some((_, was)) = self.told.remove(at)
        {
            *self.count(was) -= 1;
        }
        if self.told.len() >= MOST_TOLD {
            self.told.pop_front();
        }
        self.told.push_back((hash, verdict));
        *self.count(verdict) += 1;
    }

    fn count(&mut self, verdict: Verdict) -> &mut u64 {
        match verdict {
            Verdict::Accepted => &mut self.accepted,
            Verdict::Rejected => &mut self.rejected,
            _ => &mut self.other,
        }
    }

    /// For programs and for people.
    pub(super) fn tell(&self, out: &mut Output) {
        let Self { accepted, rejected, other, .. } = self;
        out.event(&serde_json::json!({
            "event": "node", "accepted": accepted, "rejected": rejected, "other": other,
        }));
        let judged = format!(
            "the node took {}, refused {rejected}, and had another one first {}",
            units::count(*accepted, "block"),
            units::count(*other, "time"),
        );
        out.message(2, judged);
    }
}

/// Counts the verdicts until the link ends, passes them on, and says what goes wrong.
async fn tell(mut events: EventReceiver, mut hear: impl FnMut(NodeNews)) -> Verdicts {
    let mut verdicts = Verdicts::default();
    while let Some(event) = events.recv().await {
        match event.what {
            Happened::Revised { hash, height, verdict, reason, .. } => {
                verdicts.record(hash, verdict);
                let node = event.url;
                hear(NodeNews::Judged(Judged { node, hash, height, verdict, reason }));
            }
            Happened::Remark(Remark::Warning { text }) => tracing::warn!("{text}"),
            Happened::Remark(remark) => tracing::info!("{}", remark.sentence(&event.url)),
            Happened::State { state, reason } => {
                match state {
                    LinkState::Authorized | LinkState::Failover => hear(NodeNews::Here(true)),
                    LinkState::Lost => hear(NodeNews::Here(false)),
                    LinkState::Connecting | LinkState::Connected => {}
                }
                if let Some(reason) = reason {
                    tracing::warn!("{reason}");
                }
            }
            _ => {}
        }
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_that_replaces_another_one_is_counted_in_its_place() {
        let (mut verdicts, hash) = (Verdicts::default(), Hash256::default());
        for verdict in [Verdict::Accepted, Verdict::Unresolved, Verdict::Accepted] {
            verdicts.record(hash, verdict);
        }
        verdicts.record(Hash256::from_bytes([1; 32]), Verdict::Rejected);
        assert_eq!((verdicts.accepted, verdicts.rejected, verdicts.other), (1, 1, 0));
    }
}
