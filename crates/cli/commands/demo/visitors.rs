//! What the embedded pool tells, passed on to whom it concerns: everything to the page, what other
//! miners do to those who watch our mining, blocks to the node. What happens to our own shares
//! comes back by our own client.

use midstate_pool::Event;
use tokio::sync::mpsc;

use crate::mining::event::{MinerEvent, MinerNews};
use crate::web::PoolSide;

/// Who is told.
pub(super) struct Listeners {
    pub(super) page: Option<PoolSide>,
    pub(super) miners: mpsc::UnboundedSender<MinerEvent>,
    /// Blocks, raw.
    pub(super) node: Option<mpsc::UnboundedSender<Vec<u8>>>,
}

/// Passes on what comes until the pool ends. `own` is the worker that we are.
pub(super) async fn tell(
    mut events: mpsc::UnboundedReceiver<Event>,
    own: &'static str,
    to: Listeners,
) {
    while let Some(event) = events.recv().await {
        if let Some(page) = &to.page {
            page.event(&event);
        }
        // Mining that has ended is told no more; a link that has ended takes no more blocks, and
        // has said why.
        if let Some(news) = of_another(&event, own) {
            let _ = to.miners.send(news);
        }
        if let (Event::Block { raw, .. }, Some(node)) = (event, &to.node) {
            let _ = node.send(raw);
        }
    }
}

/// What is news of another miner.
fn of_another(event: &Event, own: &str) -> Option<MinerEvent> {
    let (worker, news) = match event {
        Event::Joined { worker, from, .. } => (worker, MinerNews::Joined { address: *from }),
        Event::Block { worker, height, header, .. } => {
            (worker, MinerNews::Block { height: *height, hash: header.hash().to_string() })
        }
        Event::Left { worker, from, stats } => {
            let &midstate_pool::WorkerStats { accepted, rejected, blocks } = stats;
            (worker, MinerNews::Left { address: *from, accepted, rejected, blocks })
        }
        Event::Share { .. } | Event::Close { .. } => return None,
    };
    (worker != own).then(|| MinerEvent { worker: worker.clone(), news })
}
