//! The link to Bitcoin Core: sockets, files and the clock for a [`NodeSession`], which decides. It
//! tells what happens in the same words as the link to a pool.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midstate_chain::{Hash256, Network, Share};
use midstate_gbt::EXTRANONCE2_SIZE;
use midstate_gbt::client::{Config, Request};
use midstate_gbt::rpc::{Answer, NoAnswer};
use midstate_gbt::spool::SpooledBlock;
use midstate_pool::{Pool, PoolTemplate};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep};

use crate::blocking::on_a_thread_or_here;
use crate::node_session::{NodeName, NodeSession, NodeTask};
use crate::rpc::{NodeAccess, RpcClient};
use crate::spool::{Spool, SpoolProblem};
use crate::{EventSender, LinkEnd};

/// Which nodes, in which order, and how patient.
#[derive(Debug, Clone)]
pub struct NodeLinkConfig {
    /// In order of preference; at least one.
    pub nodes: Vec<NodeAccess>,
    /// The payout and its rules. The number of nodes is filled in here, and the extranonce for a
    /// miner.
    pub client: Config,
    /// Where solved blocks are kept, in a directory for each chain.
    pub spool: PathBuf,
    /// Without work for this long, give up. `None`: never.
    pub give_up: Option<Duration>,
}

/// The link; [`run`](Self::run) it.
pub struct NodeLink {
    driver: Driver,
    inbox: Inbox,
    done: mpsc::UnboundedReceiver<Done>,
    stop: oneshot::Receiver<()>,
}

/// Where solved blocks come from.
enum Inbox {
    Shares(mpsc::UnboundedReceiver<Share>),
    Blocks(mpsc::UnboundedReceiver<Vec<u8>>),
}

/// Something that solves a block.
enum Found {
    Share(Share),
    Block(Vec<u8>),
}

/// Something that was started, and is over.
enum Done {
    /// A connection tells so before anything that comes over it is told.
    Connected {
        node: usize,
    },
    Call {
        id: u64,
        outcome: Result<Answer, NoAnswer>,
    },
    SpoolRead {
        blocks: Vec<(SpooledBlock, Duration)>,
        problems: Vec<SpoolProblem>,
    },
    Written {
        hash: Hash256,
        outcome: io::Result<()>,
    },
    Removed {
        node: usize,
        hash: Hash256,
        outcome: io::Result<()>,
    },
}

/// The driver that does the session's tasks.
struct Driver {
    session: NodeSession,
    /// One a node.
    rpc: Vec<Arc<RpcClient>>,
    spool_root: PathBuf,
    spool: Option<Arc<Spool>>,
    /// Calls under way, by their ids.
    calls: HashMap<u64, AbortHandle>,
    /// Blocks on their way to the disk, or off it.
    spool_changes: Vec<JoinHandle<io::Result<()>>>,
    events: EventSender,
    /// Where work for a pool goes.
    templates: Option<mpsc::UnboundedSender<PoolTemplate>>,
    done: mpsc::UnboundedSender<Done>,
    started: Instant,
}

impl NodeLink {
    /// A link that turns `shares` into blocks, tells `events`, and ends after `stop`.
    pub fn new(
        mut config: NodeLinkConfig,
        shares: mpsc::UnboundedReceiver<Share>,
        events: EventSender,
        stop: oneshot::Receiver<()>,
    ) -> Self {
        // Other miners may have the same address, and would else search the same headers.
        config.client.extranonce1 = fastrand::u32(..).to_le_bytes().to_vec();
        Self::link(config, Inbox::Shares(shares), None, events, stop)
    }

    /// A link between a node and a pool: `templates` go to the pool, which leaves the whole
    /// extranonce to itself; the `blocks` that it makes of them come back.
    pub fn for_pool(
        mut config: NodeLinkConfig,
        blocks: mpsc::UnboundedReceiver<Vec<u8>>,
        templates: mpsc::UnboundedSender<PoolTemplate>,
        events: EventSender,
        stop: oneshot::Receiver<()>,
    ) -> Self {
        config.client.extranonce1 = vec![0; Pool::EXTRANONCE_SIZE - EXTRANONCE2_SIZE];
        Self::link(config, Inbox::Blocks(blocks), Some(templates), events, stop)
    }

    fn link(
        config: NodeLinkConfig,
        inbox: Inbox,
        templates: Option<mpsc::UnboundedSender<PoolTemplate>>,
        events: EventSender,
        stop: oneshot::Receiver<()>,
    ) -> Self {
        let NodeLinkConfig { nodes, client, spool, give_up } = config;
        let (sender, done) = mpsc::unbounded_channel();
        let name = |access: &NodeAccess| NodeName {
            url: access.url.to_string().into(),
            is_proved: !access.url.tls || access.route.trust.is_verified(),
        };
        let names = nodes.iter().map(name).collect();
        let rpc = nodes.iter().enumerate().map(|(node, access)| {
            let sender = sender.clone();
            let opened = move || drop(sender.send(Done::Connected { node }));
            Arc::new(RpcClient::watched(access, opened))
        });
        let (rpc, is_for_pool) = (rpc.collect(), templates.is_some());
        let driver = Driver {
            session: NodeSession::new(names, client, give_up, is_for_pool, Duration::ZERO),
            rpc,
            spool_root: spool,
            spool: None,
            calls: HashMap::new(),
            spool_changes: Vec::new(),
            events,
            templates,
            done: sender,
            started: Instant::now(),
        };
        Self { driver, inbox, done, stop }
    }

    /// Runs until there is a reason to end. Every share it was given has its verdict by then, and
    /// every block is on disk, or it was told that it is not.
    pub async fn run(self) -> LinkEnd {
        let Self { mut driver, mut inbox, mut done, mut stop } = self;
        let mut is_stopping = false;
        let end = loop {
            driver.pump();
            let now = driver.now();
            if let Some(mut end) = driver.session.poll_end(now) {
                end.each_text(|text| driver.hide(text));
                break end;
            }
            let wait = driver.session.poll_timeout().map(|at| at.saturating_sub(now));
            tokio::select! {
                Some(done) = done.recv() => driver.handle_done(done),
                Some(found) = inbox.recv() => driver.handle_found(found),
                () = sleep(wait.unwrap_or(Duration::MAX)) => {
                    let now = driver.now();
                    driver.session.handle_timeout(now);
                }
                _ = &mut stop, if !is_stopping => {
                    is_stopping = true;
                    driver.take_waiting(&mut inbox);
                    let now = driver.now();
                    driver.session.handle_stop(now);
                }
            }
        };
        inbox.close();
        driver.take_waiting(&mut inbox);
        let now = driver.now();
        driver.session.finish(now);
        driver.finish(&mut done).await;
        end
    }
}

impl Inbox {
    /// The next thing found; `None` when nothing will be any more. Cancel safe.
    async fn recv(&mut self) -> Option<Found> {
        match self {
            Self::Shares(shares) => shares.recv().await.map(Found::Share),
            Self::Blocks(blocks) => blocks.recv().await.map(Found::Block),
        }
    }

    fn try_recv(&mut self) -> Option<Found> {
        match self {
            Self::Shares(shares) => shares.try_recv().ok().map(Found::Share),
            Self::Blocks(blocks) => blocks.try_recv().ok().map(Found::Block),
        }
    }

    fn close(&mut self) {
        match self {
            Self::Shares(shares) => shares.close(),
            Self::Blocks(blocks) => blocks.close(),
        }
    }
}

impl Driver {
    /// Does what is to be done and passes on what is to be told.
    fn pump(&mut self) {
        while let Some(task) = self.session.poll_task() {
            self.start(task);
        }
        self.tell();
        while let Some(template) = self.session.poll_template() {
            if let Some(templates) = &self.templates {
                // A pool that is gone wants no more work.
                let _ = templates.send(template);
            }
        }
    }

    fn start(&mut self, task: NodeTask) {
        match task {
            NodeTask::Ask(request) => self.ask(request),
            NodeTask::Cancel(id) => {
                if let Some(call) = self.calls.remove(&id) {
                    // Its connection is closed with it.
                    call.abort();
                }
            }
            NodeTask::ReadSpool(chain) => self.read_spool(chain),
            NodeTask::Write(block) => self.change_spool(move |spool| Done::Written {
                hash: block.hash,
                outcome: spool.write(&block),
            }),
            NodeTask::Remove { node, hash, refused } => {
                self.change_spool(move |spool| Done::Removed {
                    node,
                    hash,
                    outcome: spool.remove(&hash, refused),
                });
            }
        }
    }

    fn ask(&mut self, request: Request) {
        let rpc = Arc::clone(&self.rpc[request.node]);
        let (id, done) = (request.id, self.done.clone());
        let call = tokio::spawn(async move {
            let outcome = rpc.post(request.body(), request.timeout).await;
            let _ = done.send(Done::Call { id, outcome });
        });
        self.calls.insert(id, call.abort_handle());
    }

    /// Each chain has its own directory: a block of one must never be offered to another.
    fn read_spool(&mut self, chain: Network) {
        let spool = Arc::new(Spool::new(self.spool_root.join(chain.name())));
        self.spool = Some(Arc::clone(&spool));
        let done = self.done.clone();
        // It ends whether or not it is waited for.
        drop(on_a_thread_or_here(move || {
            let (blocks, problems) = spool.read();
            let _ = done.send(Done::SpoolRead { blocks, problems });
        }));
    }

    /// Runs `change` where it may block.
    fn change_spool(&mut self, change: impl FnOnce(&Spool) -> Done + Send + 'static) {
        let Some(spool) = self.spool.clone() else { return };
        let done = self.done.clone();
        self.spool_changes.retain(|change| !change.is_finished());
        // A block is written, whatever threads there are.
        let change = on_a_thread_or_here(move || drop(done.send(change(&spool))));
        self.spool_changes.push(tokio::spawn(change));
    }

    fn handle_done(&mut self, done: Done) {
        let (now, session) = (self.now(), &mut self.session);
        session.handle_clock(
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        );
        match done {
            Done::Connected { node } => session.handle_connected(now, node),
            Done::Call { id, outcome } => {
                self.calls.remove(&id);
                session.handle_answer(now, id, outcome);
            }
            Done::SpoolRead { blocks, problems } => session.handle_spool(now, blocks, &problems),
            Done::Written { hash, outcome } => session.handle_written(now, hash, outcome),
            Done::Removed { node, hash, outcome } => {
                session.handle_removed(now, node, hash, outcome);
            }
        }
    }

    fn handle_found(&mut self, found: Found) {
        let now = self.now();
        match found {
            Found::Share(share) => self.session.handle_share(now, share),
            Found::Block(block) => self.session.handle_block(now, &block),
        }
    }

    fn take_waiting(&mut self, inbox: &mut Inbox) {
        while let Some(found) = inbox.try_recv() {
            self.handle_found(found);
        }
    }

    /// Waits for the disk, as the program may end before a thread that nobody waits for. No node is
    /// asked any more.
    async fn finish(&mut self, done: &mut mpsc::UnboundedReceiver<Done>) {
        for call in std::mem::take(&mut self.calls).into_values() {
            call.abort();
        }
        self.pump();
        for change in std::mem::take(&mut self.spool_changes) {
            let changed = change.await.map_err(io::Error::other).flatten();
            if let Err(panic) = changed {
                tracing::error!("writing to the block spool: {panic}");
            }
        }
        while let Ok(done) = done.try_recv() {
            if matches!(done, Done::Written { .. } | Done::Removed { .. }) {
                self.handle_done(done);
            }
        }
        self.session.tell_rest();
        self.tell();
    }

    /// A node may repeat what we sent to be let in, and its words are in ours.
    fn tell(&mut self) {
        while let Some(mut event) = self.session.poll_event() {
            event.what.each_text(|text| self.hide(text));
            self.events.send(event);
        }
    }

    fn hide(&self, text: &mut String) {
        self.rpc.iter().for_each(|rpc| rpc.hide(text));
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}
