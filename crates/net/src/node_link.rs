//! The link to Bitcoin Core: sends the calls that the solo client asks for, keeps its time and its
//! spool, and tells what happens in the same words as the link to a pool.

mod troubles;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midstate_chain::{Hash256, Job, Network, Share, Verdict};
use midstate_gbt::client::{BlockOutcome, Config, Fatal, NodeEvent, NodeState, NotSent, What};
use midstate_gbt::rpc::Answer;
use midstate_gbt::spool::SpooledBlock;
use midstate_gbt::{Client, EXTRANONCE2_SIZE, Work};
use midstate_pool::{Pool, Template};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep};

use self::troubles::Troubles;
use crate::rpc::{NodeAccess, RpcClient};
use crate::spool::Spool;
use crate::{End, EventSender, Happened, LinkEvent, LinkState};

/// How long verdicts on blocks are awaited when stopping (I20). What has none by then is in the
/// spool.
pub(crate) const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Which nodes, in which order, and how patient.
#[derive(Debug, Clone)]
pub struct NodeLinkConfig {
    /// In order of preference; at least one.
    pub nodes: Vec<NodeAccess>,
    /// Who is paid, and how. The number of nodes is filled in here, and the extranonce for a miner.
    pub client: Config,
    /// Where solved blocks are kept, in a directory for each chain.
    pub spool: PathBuf,
    /// Without work for this long, give up. `None`: never.
    pub give_up: Option<Duration>,
}

/// The link; [`run`](Self::run) it.
pub struct NodeLink {
    config: NodeLinkConfig,
    nodes: Vec<Node>,
    /// A connection tells here that it is open before anything that comes over it is told.
    done: (mpsc::UnboundedSender<Done>, mpsc::UnboundedReceiver<Done>),
    started: Instant,
    inbox: Inbox,
    customer: Customer,
    events: EventSender,
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

/// Who gets the work.
enum Customer {
    /// Our own threads, by [`Happened::Job`].
    Miner,
    /// A pool, which wants the transactions, too.
    Pool(mpsc::UnboundedSender<Template>),
}

struct Node {
    /// The URL as people see it.
    name: Arc<str>,
    /// Whether it has proved who it is, where it has to: false for `--tls-insecure`.
    proved: bool,
    rpc: Arc<RpcClient>,
}

/// Something that was started, and is over.
enum Done {
    Connected { node: usize },
    Call { id: u64, outcome: Result<Answer, String> },
    Spooled { node: usize, hash: Hash256, outcome: Result<(), String> },
    SpoolRead { node: usize, blocks: Vec<SpooledBlock>, problems: Vec<String> },
    Unspooled { node: usize, outcome: Result<(), String> },
}

/// A link that runs.
struct Running {
    client: Client,
    nodes: Vec<Node>,
    spool_root: PathBuf,
    spool: Option<Arc<Spool>>,
    /// Calls under way, by their ids.
    calls: HashMap<u64, AbortHandle>,
    /// Blocks on their way to the disk, or off it.
    spool_changes: Vec<JoinHandle<()>>,
    customer: Customer,
    events: EventSender,
    done: mpsc::UnboundedSender<Done>,
    /// Blocks without a verdict.
    waiting: HashMap<Hash256, Share>,
    started: Instant,
    troubles: Troubles,
    skew_told: bool,
    fatal: Option<Fatal>,
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
        Self::link(config, Inbox::Shares(shares), Customer::Miner, events, stop)
    }

    /// A link between a node and a pool: `templates` go to the pool, which leaves the whole
    /// extranonce to itself; the `blocks` that it makes of them come back.
    pub fn for_pool(
        mut config: NodeLinkConfig,
        blocks: mpsc::UnboundedReceiver<Vec<u8>>,
        templates: mpsc::UnboundedSender<Template>,
        events: EventSender,
        stop: oneshot::Receiver<()>,
    ) -> Self {
        config.client.extranonce1 = Vec::new();
        Self::link(config, Inbox::Blocks(blocks), Customer::Pool(templates), events, stop)
    }

    fn link(
        config: NodeLinkConfig,
        inbox: Inbox,
        customer: Customer,
        events: EventSender,
        stop: oneshot::Receiver<()>,
    ) -> Self {
        let done = mpsc::unbounded_channel();
        let node = |(index, access): (usize, &NodeAccess)| {
            let sender = done.0.clone();
            let opened = move || drop(sender.send(Done::Connected { node: index }));
            Node {
                name: access.url.to_string().into(),
                proved: !access.url.tls || access.route.trust.is_verified(),
                rpc: Arc::new(RpcClient::watched(access, opened)),
            }
        };
        let nodes = config.nodes.iter().enumerate().map(node).collect();
        Self { config, nodes, done, started: Instant::now(), inbox, customer, events, stop }
    }

    /// Runs until there is a reason to end. Every share it was given has its verdict by then, and
    /// every block is on disk, or it was told that it is not.
    pub async fn run(self) -> End {
        let Self { config, nodes, done, started, mut inbox, customer, events, mut stop } = self;
        let client_config = Config { nodes: nodes.len(), ..config.client };
        let (done, mut finished) = done;
        let mut link = Running {
            client: Client::new(client_config, started.elapsed()),
            troubles: Troubles::new(nodes.iter().map(|node| Arc::clone(&node.name))),
            nodes,
            spool_root: config.spool,
            spool: None,
            calls: HashMap::new(),
            spool_changes: Vec::new(),
            customer,
            events,
            done,
            waiting: HashMap::new(),
            started,
            skew_told: false,
            fatal: None,
        };
        link.tell(0, LinkState::Connecting, None);

        let mut flush_until = None;
        let end = loop {
            link.pump();
            let now = link.now();
            if let Some(fatal) = link.fatal.take() {
                break match fatal {
                    Fatal::Unauthorized(words) => End::Refused(words),
                    Fatal::WrongChain(words) => End::Misconfigured(words),
                    Fatal::Unusable(words) => End::Unusable(words),
                };
            }
            if flush_until.is_some_and(|until| link.client.is_settled() || now >= until) {
                break End::Stopped;
            }
            let patience = config.give_up.zip(link.troubles.workless_since());
            // Who stops has no patience to lose.
            let patience = patience.filter(|_| flush_until.is_none());
            let patience = patience.map(|(limit, since)| since.saturating_add(limit));
            if patience.is_some_and(|until| now >= until) {
                break End::Unreachable(link.troubles.words());
            }
            let deadlines = [link.client.poll_timeout(), flush_until, patience];
            let wait = deadlines.into_iter().flatten().min();
            let wait = wait.map_or(Duration::from_secs(3600), |at| at.saturating_sub(now));
            tokio::select! {
                Some(done) = finished.recv() => link.handle_done(done),
                Some(found) = inbox.recv() => link.handle_found(found),
                () = sleep(wait) => link.client.handle_timeout(started.elapsed()),
                _ = &mut stop, if flush_until.is_none() => {
                    while let Some(found) = inbox.try_recv() {
                        link.handle_found(found);
                    }
                    link.client.finish(started.elapsed());
                    flush_until = Some(started.elapsed() + FLUSH_TIMEOUT);
                }
            }
        };
        inbox.close();
        while let Some(found) = inbox.try_recv() {
            link.handle_found(found);
        }
        link.client.abandon();
        link.pump();
        link.settle_rest();
        link.finish_spooling(&mut finished).await;
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

impl Running {
    /// Sends what is to be sent and tells what is to be told.
    fn pump(&mut self) {
        loop {
            if let Some(event) = self.client.poll_event() {
                self.handle_event(event);
            } else if let Some(id) = self.client.poll_cancel() {
                if let Some(call) = self.calls.remove(&id) {
                    // Its connection is closed with it.
                    call.abort();
                }
            } else if let Some(request) = self.client.poll_request() {
                let rpc = Arc::clone(&self.nodes[request.node].rpc);
                let (id, done) = (request.id, self.done.clone());
                let call = tokio::spawn(async move {
                    let outcome = rpc.post(request.body(), request.timeout).await;
                    let _ = done.send(Done::Call { id, outcome });
                });
                self.calls.insert(id, call.abort_handle());
            } else {
                return;
            }
        }
    }

    fn handle_event(&mut self, NodeEvent { node, what }: NodeEvent) {
        match what {
            What::Node { state, reason } => self.handle_state(node, state, reason),
            What::Chain(chain) => self.open_spool(node, chain),
            What::Job { job, height, transactions, value } => {
                tracing::debug!(node, height, transactions, value, "template");
                self.troubles.works(node);
                self.warn_of_skew(node);
                match &self.customer {
                    Customer::Miner => self.say(node, Happened::job(job)),
                    Customer::Pool(templates) => {
                        if let Some(work) = self.client.newest_work() {
                            // A pool that is gone wants no more work.
                            let _ = templates.send(pool_template(work));
                        }
                    }
                }
            }
            What::Pause => self.say(node, Happened::Pause),
            What::Spool(block) => {
                let hash = block.hash;
                self.change_spool(move |spool| {
                    let outcome = spool.write(&block).map_err(|error| error.to_string());
                    Done::Spooled { node, hash, outcome }
                });
            }
            What::Unspool { hash, refused } => self.change_spool(move |spool| {
                let outcome = spool.remove(&hash, refused).map_err(|error| error.to_string());
                Done::Unspooled { node, outcome }
            }),
            What::Block(outcome) => self.handle_outcome(node, outcome),
            What::Warning(words) => self.say(node, Happened::Warning(words)),
            What::Fatal(fatal) => self.fatal = Some(fatal),
            other => tracing::debug!(?other, "gbt"),
        }
    }

    fn handle_state(&mut self, node: usize, state: NodeState, reason: Option<String>) {
        let state = match state {
            NodeState::Connected => {
                self.troubles.connected(node);
                LinkState::Authorized
            }
            NodeState::Active => LinkState::Failover,
            NodeState::Lost => {
                self.troubles.lost(self.now(), node, reason.as_deref().unwrap_or_default());
                LinkState::Lost
            }
        };
        self.tell(node, state, reason);
        if state == LinkState::Authorized && !self.nodes[node].proved {
            let text = "--tls-insecure: anybody may be answering as this node, and take the work";
            self.say(node, Happened::Warning(text.to_owned()));
        }
    }

    /// Each chain has its own directory: a block of one must never be offered to another.
    fn open_spool(&mut self, node: usize, chain: Network) {
        let spool = Arc::new(Spool::new(self.spool_root.join(chain.name())));
        self.spool = Some(Arc::clone(&spool));
        let done = self.done.clone();
        spawn_blocking(move || {
            let (blocks, problems) = spool.read();
            let _ = done.send(Done::SpoolRead { node, blocks, problems });
        });
    }

    /// Runs `change` where it may block.
    fn change_spool(&mut self, change: impl FnOnce(&Spool) -> Done + Send + 'static) {
        let Some(spool) = self.spool.clone() else { return };
        let done = self.done.clone();
        self.spool_changes.retain(|change| !change.is_finished());
        self.spool_changes.push(spawn_blocking(move || {
            let _ = done.send(change(&spool));
        }));
    }

    /// Waits for the disk, as the program may end before a thread that nobody waits for. No node is
    /// asked any more.
    async fn finish_spooling(&mut self, finished: &mut mpsc::UnboundedReceiver<Done>) {
        let mut problems = Vec::new();
        for change in std::mem::take(&mut self.spool_changes) {
            problems.extend(change.await.err().map(|error| (0, error.to_string())));
        }
        while let Ok(done) = finished.try_recv() {
            match done {
                Done::Spooled { node, hash, outcome: Err(words) } => {
                    problems.push((node, format!("{hash} is not written: {words}")));
                }
                Done::Unspooled { node, outcome: Err(words) } => problems.push((node, words)),
                _ => {}
            }
        }
        for (node, words) in problems {
            self.say(node, Happened::Warning(format!("the block spool: {words}")));
        }
    }

    fn handle_done(&mut self, done: Done) {
        let now = self.now();
        match done {
            Done::Connected { node } => self.client.handle_connected(now, node),
            Done::Call { id, outcome } => {
                self.calls.remove(&id);
                self.client.handle_answer(now, id, outcome);
            }
            Done::Spooled { hash, outcome, .. } => self.client.handle_spooled(now, hash, outcome),
            Done::SpoolRead { node, blocks, problems } => {
                for problem in problems {
                    self.say(node, Happened::Warning(problem));
                }
                for block in blocks {
                    self.client.replay(now, block);
                }
            }
            Done::Unspooled { outcome: Ok(()), .. } => {}
            Done::Unspooled { node, outcome: Err(words) } => {
                self.say(node, Happened::Warning(format!("the block spool: {words}")));
            }
        }
    }

    fn handle_found(&mut self, found: Found) {
        let now = self.now();
        match found {
            Found::Share(share) => match self.client.handle_share(now, &share) {
                Ok(()) => {
                    self.waiting.insert(share.hash, share);
                }
                Err(error) => {
                    let verdict = match error {
                        NotSent::Sibling => Verdict::Stale,
                        _ => Verdict::Rejected,
                    };
                    let (node, reason) = (self.client.node_of(&share.job), error.to_string());
                    self.settle(node, share, verdict, Some(reason), Duration::ZERO);
                }
            },
            Found::Block(block) => match self.client.handle_block(now, &block) {
                Ok(()) => (),
                Err(error @ NotSent::Sibling) => tracing::debug!("a block of the pool: {error}"),
                Err(error) => tracing::warn!("a block of the pool: {error}"),
            },
        }
    }

    fn handle_outcome(&mut self, node: usize, outcome: BlockOutcome) {
        let BlockOutcome { hash, height, verdict, was, reason, latency, replayed } = outcome;
        if let Some(share) = self.waiting.remove(&hash) {
            self.settle(node, share, verdict, reason, latency);
        } else if replayed {
            let words = match verdict {
                Verdict::Accepted => "is accepted".to_owned(),
                _ => reason.unwrap_or_else(|| "has no verdict yet".to_owned()),
            };
            let message = format!("block {height} {hash} of an earlier run: {words}");
            self.say(node, Happened::Message(message));
        } else {
            // A pool's block has had no other verdict before.
            let was = was.unwrap_or(Verdict::Unresolved);
            self.say(node, Happened::Revised { hash, height, was, verdict, reason });
        }
    }

    fn settle(
        &self,
        node: usize,
        share: Share,
        verdict: Verdict,
        reason: Option<String>,
        latency: Duration,
    ) {
        let (code, advice) = (None, None);
        let what = Happened::Verdict { share, verdict, code, reason, advice, latency };
        self.say(node, what);
    }

    /// The last verdicts: nothing more can be answered.
    fn settle_rest(&mut self) {
        for (_, share) in std::mem::take(&mut self.waiting) {
            let node = self.client.node_of(&share.job);
            self.settle(node, share, Verdict::Unresolved, None, Duration::ZERO);
        }
    }

    fn warn_of_skew(&mut self, node: usize) {
        let unix_now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if let Some(skew) = self.client.clock_skew(unix_now)
            && !std::mem::replace(&mut self.skew_told, true)
        {
            let (seconds, direction) = (skew.abs(), if skew > 0 { "ahead of" } else { "behind" });
            let words = format!(
                "the node's clock or chain is {seconds} s {direction} ours: check both clocks; \
                 blocks more than two hours ahead are refused"
            );
            self.say(node, Happened::Warning(words));
        }
    }

    fn tell(&self, node: usize, state: LinkState, reason: Option<String>) {
        self.say(node, Happened::State { state, reason });
    }

    fn say(&self, node: usize, what: Happened) {
        let url = Arc::clone(&self.nodes[node].name);
        // Nobody listening means that the program is on its way out.
        self.events.send(LinkEvent { url, listed: None, what });
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A node's work as a pool wants it: the whole extranonce is the pool's, to share out to sessions.
fn pool_template(work: &Work) -> Template {
    let mut job = Job::clone(work.job());
    job.extranonce2_size = Pool::EXTRANONCE2_SIZE;
    let template = work.template();
    Template {
        height: template.height,
        min_time: job.time,
        transactions: template.transactions.iter().map(|tx| tx.data.clone()).collect(),
        job,
    }
}

// The pool fills exactly the room that a template leaves.
const _: () = assert!(Pool::EXTRANONCE_SIZE == EXTRANONCE2_SIZE);
