//! The link to Bitcoin Core: sends the calls that the solo client asks for, keeps its time and its
//! spool, and tells what happens in the same words as the link to a pool.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midstate_chain::{Hash256, Network, Share, Verdict};
use midstate_gbt::Client;
use midstate_gbt::client::{BlockOutcome, Config, Event, Fatal, NodeState};
use midstate_gbt::conf::Credentials;
use midstate_gbt::rpc::Answer;
use midstate_gbt::spool::SpooledBlock;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use crate::rpc::{NodeUrl, RpcClient};
use crate::spool::Spool;
use crate::{End, Happened, LinkEvent, LinkState};

/// How long verdicts on blocks are awaited when stopping (I20). What has none by then is in the spool.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Which nodes, in which order, and how patient.
#[derive(Debug, Clone)]
pub struct NodeLinkConfig {
    /// In order of preference; at least one.
    pub nodes: Vec<(NodeUrl, Credentials)>,
    /// Who is paid, and how. The number of nodes and the extranonce are filled in here.
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
    started: Instant,
    shares: mpsc::UnboundedReceiver<Share>,
    events: mpsc::UnboundedSender<LinkEvent>,
    stop: oneshot::Receiver<()>,
}

struct Node {
    /// The URL as people see it.
    name: Arc<str>,
    rpc: Arc<RpcClient>,
}

/// Something that was started, and is over.
enum Done {
    Call { id: u64, outcome: Result<Answer, String> },
    Spooled { hash: Hash256, outcome: Result<(), String> },
    SpoolRead { blocks: Vec<SpooledBlock>, problems: Vec<String> },
    Unspooled(Result<(), String>),
}

/// A link that runs.
struct Running {
    client: Client,
    nodes: Vec<Node>,
    spool_root: PathBuf,
    spool: Option<Arc<Spool>>,
    events: mpsc::UnboundedSender<LinkEvent>,
    done: mpsc::UnboundedSender<Done>,
    /// Blocks without a verdict.
    waiting: HashMap<Hash256, Share>,
    started: Instant,
    /// The node that the last event was about.
    speaker: usize,
    /// Since when there is no work, and why; `None` while there is.
    without_work: Option<(Duration, String)>,
    skew_told: bool,
    fatal: Option<Fatal>,
}

impl NodeLink {
    /// A link that turns `shares` into blocks, tells `events`, and ends after `stop`.
    pub fn new(
        config: NodeLinkConfig,
        shares: mpsc::UnboundedReceiver<Share>,
        events: mpsc::UnboundedSender<LinkEvent>,
        stop: oneshot::Receiver<()>,
    ) -> Self {
        let nodes = config
            .nodes
            .iter()
            .map(|(url, credentials)| Node {
                name: url.to_string().into(),
                rpc: Arc::new(RpcClient::new(url, credentials.clone())),
            })
            .collect();
        Self { config, nodes, started: Instant::now(), shares, events, stop }
    }

    /// Runs until there is a reason to end. Every share it was given has its verdict by then.
    pub async fn run(self) -> End {
        let Self { config, nodes, started, mut shares, events, mut stop } = self;
        let client_config = Config {
            nodes: nodes.len(),
            extranonce1: fastrand::u32(..).to_le_bytes().to_vec(),
            ..config.client
        };
        let (done, mut finished) = mpsc::unbounded_channel();
        let mut link = Running {
            client: Client::new(client_config, started.elapsed()),
            nodes,
            spool_root: config.spool,
            spool: None,
            events,
            done,
            waiting: HashMap::new(),
            started,
            speaker: 0,
            without_work: Some((Duration::ZERO, String::new())),
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
            let patience = config.give_up.zip(link.without_work.as_ref().map(|(since, _)| *since));
            let patience = patience.map(|(limit, since)| since + limit);
            if patience.is_some_and(|until| now >= until) && flush_until.is_none() {
                let reason = link.without_work.take().map(|(_, reason)| reason).unwrap_or_default();
                break End::Unreachable(reason);
            }
            let deadlines = [link.client.poll_timeout(), flush_until, patience];
            let wait = deadlines.into_iter().flatten().min();
            let wait = wait.map_or(Duration::from_secs(3600), |at| at.saturating_sub(now));
            tokio::select! {
                Some(done) = finished.recv() => link.handle_done(done),
                Some(share) = shares.recv() => link.handle_share(share),
                () = sleep(wait) => link.client.handle_timeout(started.elapsed()),
                _ = &mut stop, if flush_until.is_none() => {
                    while let Ok(share) = shares.try_recv() {
                        link.handle_share(share);
                    }
                    link.client.finish(started.elapsed());
                    flush_until = Some(started.elapsed() + FLUSH_TIMEOUT);
                }
            }
        };
        shares.close();
        while let Ok(share) = shares.try_recv() {
            link.handle_share(share);
        }
        link.client.abandon();
        link.pump();
        link.settle_rest();
        end
    }
}

impl Running {
    /// Sends what is to be sent and tells what is to be told.
    fn pump(&mut self) {
        loop {
            if let Some(event) = self.client.poll_event() {
                self.handle_event(event);
            } else if let Some(request) = self.client.poll_request() {
                let rpc = Arc::clone(&self.nodes[request.node].rpc);
                let done = self.done.clone();
                tokio::spawn(async move {
                    let outcome = rpc.post(request.body(), request.timeout).await;
                    let _ = done.send(Done::Call { id: request.id, outcome });
                });
            } else {
                return;
            }
        }
    }

    fn handle_event(&mut self, event: Event) {
        match event {
            Event::Node { node, state, reason } => self.handle_state(node, state, reason),
            Event::Chain(chain) => self.open_spool(chain),
            Event::Job { node, job, height, transactions, value } => {
                tracing::debug!(height, transactions, value, "template");
                self.without_work = None;
                self.warn_of_skew();
                self.say(node, Happened::Job(job));
            }
            Event::Pause => self.say(self.speaker, Happened::Pause),
            Event::Spool(block) => {
                let hash = block.hash;
                self.on_disk(move |spool| {
                    let outcome = spool.write(&block).map_err(|error| error.to_string());
                    Done::Spooled { hash, outcome }
                });
            }
            Event::Unspool { hash, refused } => self.on_disk(move |spool| {
                Done::Unspooled(spool.remove(&hash, refused).map_err(|error| error.to_string()))
            }),
            Event::Block(outcome) => self.handle_outcome(outcome),
            Event::Warning(words) => self.say(self.speaker, Happened::Warning(words)),
            Event::Fatal(fatal) => self.fatal = Some(fatal),
            other => tracing::debug!(?other, "gbt"),
        }
    }

    fn handle_state(&mut self, node: usize, state: NodeState, reason: Option<String>) {
        self.speaker = node;
        let state = match state {
            NodeState::Connected => LinkState::Authorized,
            NodeState::Active => LinkState::Failover,
            NodeState::Lost => {
                let now = self.now();
                let words = reason.clone().unwrap_or_default();
                let since = self.without_work.take().map_or(now, |(since, _)| since);
                self.without_work = Some((since, words));
                LinkState::Lost
            }
        };
        self.tell(node, state, reason);
    }

    /// Each chain has its own directory: a block of one must never be offered to another.
    fn open_spool(&mut self, chain: Network) {
        self.spool = Some(Arc::new(Spool::new(self.spool_root.join(chain.name()))));
        self.on_disk(|spool| {
            let (blocks, problems) = spool.read();
            Done::SpoolRead { blocks, problems }
        });
    }

    /// Runs `work` where it may block.
    fn on_disk(&self, work: impl FnOnce(&Spool) -> Done + Send + 'static) {
        let Some(spool) = self.spool.clone() else { return };
        let done = self.done.clone();
        tokio::task::spawn_blocking(move || {
            let _ = done.send(work(&spool));
        });
    }

    fn handle_done(&mut self, done: Done) {
        let now = self.now();
        match done {
            Done::Call { id, outcome } => self.client.handle_answer(now, id, outcome),
            Done::Spooled { hash, outcome } => self.client.handle_spooled(now, hash, outcome),
            Done::SpoolRead { blocks, problems } => {
                for problem in problems {
                    self.say(self.speaker, Happened::Warning(problem));
                }
                for block in blocks {
                    self.client.replay(now, block);
                }
            }
            Done::Unspooled(Ok(())) => {}
            Done::Unspooled(Err(words)) => {
                self.say(self.speaker, Happened::Warning(format!("the block spool: {words}")));
            }
        }
    }

    fn handle_share(&mut self, share: Share) {
        let now = self.now();
        if self.client.handle_share(now, &share) {
            self.waiting.insert(share.hash, share);
        } else {
            let reason = "another block of ours builds on the same tip";
            self.settle(share, Verdict::Stale, Some(reason.to_owned()), Duration::ZERO);
        }
    }

    fn handle_outcome(&mut self, outcome: BlockOutcome) {
        let BlockOutcome { hash, height, verdict, was, reason, latency, replayed } = outcome;
        if let Some(share) = self.waiting.remove(&hash) {
            self.settle(share, verdict, reason, latency);
        } else if replayed {
            let words = match verdict {
                Verdict::Accepted => "is accepted".to_owned(),
                _ => reason.unwrap_or_else(|| "has no verdict yet".to_owned()),
            };
            let message = format!("block {height} {hash} of an earlier run: {words}");
            self.say(self.speaker, Happened::Message(message));
        } else if let Some(was) = was {
            self.say(self.speaker, Happened::Revised { hash, height, was, verdict, reason });
        }
    }

    fn settle(&self, share: Share, verdict: Verdict, reason: Option<String>, latency: Duration) {
        let (code, advice) = (None, None);
        let what = Happened::Verdict { share, verdict, code, reason, advice, latency };
        self.say(self.speaker, what);
    }

    /// The last verdicts: nothing more can be answered.
    fn settle_rest(&mut self) {
        for (_, share) in std::mem::take(&mut self.waiting) {
            self.settle(share, Verdict::Unresolved, None, Duration::ZERO);
        }
    }

    fn warn_of_skew(&mut self) {
        let unix_now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if let Some(skew) = self.client.clock_skew(unix_now)
            && !std::mem::replace(&mut self.skew_told, true)
        {
            let (seconds, direction) = (skew.abs(), if skew > 0 { "ahead of" } else { "behind" });
            let words = format!(
                "the node's clock or chain is {seconds} s {direction} ours: check both clocks; blocks \
                 more than two hours ahead are refused"
            );
            self.say(self.speaker, Happened::Warning(words));
        }
    }

    fn tell(&self, node: usize, state: LinkState, reason: Option<String>) {
        self.say(node, Happened::State { state, reason });
    }

    fn say(&self, node: usize, what: Happened) {
        let url = Arc::clone(&self.nodes[node].name);
        // Nobody listening means that the program is on its way out.
        let _ = self.events.send(LinkEvent { url, what });
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}
