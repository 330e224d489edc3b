//! Passes the embedded pool's news on: everything to the page and the live
//! view, what other miners do to those who watch our mining, blocks to the node. What happens to
//! our own shares comes back by our own client.

use midstate_pool::EmbeddedPoolEvent;
use tokio::sync::mpsc;

use crate::console;
use crate::mining::PoolNews;
use crate::mining::event::{MinerEvent, MinerNews};
use crate::web::PoolSide;

/// The receivers of its news.
pub(super) struct Listeners {
    pub(super) page: Option<PoolSide>,
    pub(super) view: console::PoolSide,
    pub(super) miners: mpsc::UnboundedSender<PoolNews>,
    /// Blocks, raw.
    pub(super) node: Option<mpsc::UnboundedSender<Vec<u8>>>,
}

/// Passes on every event until the pool ends.
pub(super) async fn tell(mut events: mpsc::UnboundedReceiver<EmbeddedPoolEvent>, to: Listeners) {
    while let Some(event) = events.recv().await {
        if let Some(page) = &to.page {
            page.event(&event);
        }
        to.view.event(&event);
        // Mining that has ended is told no more; a link that has ended takes no more blocks, and
        // has said why.
        if let EmbeddedPoolEvent::Full { places, .. } = event {
            let _ = to.miners.send(PoolNews::Full { places });
        }
        if let Some(news) = of_a_guest(&event) {
            let _ = to.miners.send(PoolNews::Miner(news));
        }
        if let (EmbeddedPoolEvent::Block { raw, .. }, Some(node)) = (event, &to.node) {
            let _ = node.send(raw);
        }
    }
}

/// The news about a guest; none about our own miner, whatever name a guest gives itself.
fn of_a_guest(event: &EmbeddedPoolEvent) -> Option<MinerEvent> {
    let (miner, news) = match event {
        EmbeddedPoolEvent::Joined { miner, from } => (miner, MinerNews::Joined { address: *from }),
        EmbeddedPoolEvent::Block { miner, height, header, .. } => {
            (miner, MinerNews::Block { height: *height, hash: header.hash().to_string() })
        }
        EmbeddedPoolEvent::Left { miner, from, stats } => {
            let &midstate_pool::WorkerStats { accepted, rejected, blocks, work: _ } = stats;
            (miner, MinerNews::Left { address: *from, accepted, rejected, blocks })
        }
        EmbeddedPoolEvent::Share { .. }
        | EmbeddedPoolEvent::Retarget { .. }
        | EmbeddedPoolEvent::Full { .. }
        | EmbeddedPoolEvent::Close { .. } => return None,
    };
    (!miner.is_host).then(|| MinerEvent {
        worker: miner.worker.clone(),
        session: miner.session.number(),
        news,
    })
}
