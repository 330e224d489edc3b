//! Passes the embedded pool's news on: everything to the page and the live view, what other miners
//! do to those who watch our mining, blocks to the node. What happens to our own shares comes back
//! by our own client. Used by `demo` and `class`.

use std::sync::Arc;

use midstate_chain::Verdict;
use midstate_pool::{EmbeddedPoolEvent, RetargetReason};
use tokio::sync::mpsc;

use crate::console;
use crate::mining::PoolNews;
use crate::mining::event::{
    BlockEvent, Event, MinerEvent, MinerNews, RetargetCause, RetargetEvent,
};
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
    /// The node whose word our own mining has on its blocks from here, and from nowhere else.
    pub(super) judge: Option<Arc<str>>,
    /// Our own mining is told when all miners together have found so many blocks.
    pub(super) enough: Option<u64>,
}

impl Listeners {
    /// Our own mining alone.
    pub(super) fn new(miners: mpsc::UnboundedSender<PoolNews>) -> Self {
        Self { page: None, view: None, miners, node: None, judge: None, enough: None }
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
        if let EmbeddedPoolEvent::Retarget { difficulty, before, height, reason } = event {
            let reason = match reason {
                RetargetReason::Blocks => RetargetCause::Blocks,
                RetargetReason::Time => RetargetCause::Time,
            };
            let retarget = RetargetEvent { before, difficulty, height, reason };
            let _ = to.miners.send(PoolNews::Retarget(retarget));
        }
        if let Some(news) = to.judge.as_ref().and_then(|node| of_our_block(node, &event)) {
            let _ = to.miners.send(news);
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
            PoolNews::OwnBlock { node, hash, height, verdict, reason } => {
                let change = [Verdict::Unresolved, verdict];
                Event::Block(BlockEvent::of_our_pool(&node, &hash, height, change, reason))
            }
            PoolNews::Retarget(retarget) => Event::Retarget(retarget),
            PoolNews::Renamed(renamed) => Event::Renamed(renamed),
            PoolNews::Judged { .. }
            | PoolNews::Full { .. }
            | PoolNews::Said(_)
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

/// A node's word on a block of our own.
fn of_our_block(node: &Arc<str>, event: &EmbeddedPoolEvent) -> Option<PoolNews> {
    let node = Arc::clone(node);
    match event {
        EmbeddedPoolEvent::Block { miner, height, header, .. } if miner.is_host => {
            let (hash, height, verdict) = (header.hash(), *height, Verdict::Accepted);
            Some(PoolNews::OwnBlock { node, hash, height, verdict, reason: None })
        }
        EmbeddedPoolEvent::Unchained { miner, height, hash, verdict, reason, .. }
            if miner.is_host =>
        {
            let (hash, height, verdict, reason) = (*hash, *height, *verdict, reason.clone());
            Some(PoolNews::OwnBlock { node, hash, height, verdict, reason })
        }
        _ => None,
    }
}

/// The news about a guest; none about our own miner, whatever name a guest gives itself.
fn of_a_guest(event: &EmbeddedPoolEvent) -> Option<MinerEvent> {
    let (miner, news) = match event {
        EmbeddedPoolEvent::Joined { miner, from } => (miner, MinerNews::Joined { address: *from }),
        EmbeddedPoolEvent::Block { miner, height, header, .. } => {
            (miner, MinerNews::Block { height: *height, hash: header.hash().to_string() })
        }
        EmbeddedPoolEvent::Unchained { miner, height, hash, verdict, reason, .. } => {
            let (hash, reason) = (hash.to_string(), reason.clone());
            (miner, MinerNews::Refused { height: *height, hash, verdict: *verdict, reason })
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
