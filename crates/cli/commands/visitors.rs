//! Passes the embedded pool's news on: everything to the page and the live view, what other miners
//! do to those who watch our mining, blocks to the node. What happens to our own shares comes back
//! by our own client. Used by `demo` and `class`.

use midstate_chain::Verdict;
use midstate_pool::EmbeddedPoolEvent;
use tokio::sync::mpsc;

use crate::console;
use crate::mining::PoolNews;
use crate::mining::event::{BlockEvent, Event, MinerEvent, MinerNews};
use crate::mining::words::{Sentence, of_late};
use crate::shell::output::Output;
use crate::web::PoolSide;

/// The receivers of its news.
pub(super) struct Listeners {
    pub(super) page: Option<PoolSide>,
    pub(super) view: Option<console::PoolSide>,
    pub(super) miners: mpsc::UnboundedSender<PoolNews>,
    /// Blocks, raw.
    pub(super) node: Option<mpsc::UnboundedSender<Vec<u8>>>,
    /// Our own mining is told when all miners together have found so many blocks.
    pub(super) enough: Option<u64>,
}

impl Listeners {
    /// Our own mining alone.
    pub(super) fn new(miners: mpsc::UnboundedSender<PoolNews>) -> Self {
        Self { page: None, view: None, miners, node: None, enough: None }
    }
}

/// Passes on every event until the pool ends.
pub(super) async fn tell(mut events: mpsc::UnboundedReceiver<EmbeddedPoolEvent>, to: Listeners) {
    let mut blocks = 0;
    while let Some(event) = events.recv().await {
        if let Some(page) = &to.page {
            page.event(&event);
        }
        if let Some(view) = &to.view {
            view.event(&event);
        }
        // Mining that has ended is told no more; a link that has ended takes no more blocks, and
        // has said why.
        if let EmbeddedPoolEvent::Full { places, .. } = event {
            let _ = to.miners.send(PoolNews::Full { places });
        }
        if let EmbeddedPoolEvent::Retarget { difficulty, before } = event {
            let _ = to.miners.send(PoolNews::Retarget { difficulty, before });
        }
        if let Some(news) = of_a_guest(&event) {
            let _ = to.miners.send(PoolNews::Miner(news));
        }
        blocks += u64::from(matches!(event, EmbeddedPoolEvent::Block { .. }));
        if to.enough.is_some_and(|enough| blocks >= enough) {
            let _ = to.miners.send(PoolNews::Enough);
        }
        if let (EmbeddedPoolEvent::Block { raw, .. }, Some(node)) = (event, &to.node) {
            let _ = node.send(raw);
        }
    }
}

/// Tells the news that came after the end of mining: guests that were still there leave with the
/// pool, and the node judges the last blocks, which the pool had taken.
pub(super) fn tell_late(news: &mut mpsc::UnboundedReceiver<PoolNews>, out: &mut Output) {
    while let Ok(news) = news.try_recv() {
        let event = match news {
            PoolNews::Miner(news) => Event::Miner(news),
            PoolNews::Judged { node, hash, height, verdict, reason }
                if verdict != Verdict::Accepted =>
            {
                let change = [Verdict::Accepted, verdict];
                Event::Block(BlockEvent::revised(&node, &hash, height, change, reason))
            }
            PoolNews::Judged { .. }
            | PoolNews::Full { .. }
            | PoolNews::Retarget { .. }
            | PoolNews::Enough
            | PoolNews::Failed => {
                continue;
            }
        };
        out.event(&event);
        match of_late(&event) {
            Some(Sentence::Result(line)) => out.message(2, line),
            Some(Sentence::Note(line)) => out.note(line),
            None => {}
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
        device: miner.is_device,
        news,
    })
}
