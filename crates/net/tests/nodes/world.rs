//! A session at scripted nodes, a disk, and virtual time.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{BIP320_MASK, Hash256, Header, Job, Share, witness_commitment};
use midstate_gbt::client::{Config, LongPolling};
use midstate_gbt::rpc::{Answer, Call, NoAnswer};
use midstate_gbt::spool::SpooledBlock;
use midstate_net::{Happened, LinkEnd, LinkEvent, NodeName, NodeSession, NodeTask};
use midstate_pool::PoolTemplate;
use midstate_stratum::{Remark, ShareOutcome};
use serde_json::{Value, json};

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
/// The time of templates at the start.
pub(crate) const START: u64 = 1_800_000_000;
/// More steps at one instant mean that a timer spins.
const MANY: usize = 1_000;

/// A fault of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Down,
    /// It takes calls and answers none.
    Silent,
    /// It does not know our password.
    Locked,
    /// It is starting.
    Starting,
    /// It answers blocks, and only them, with silence.
    SilentOnBlocks,
    /// It hangs up on proposals.
    NoProposals,
    RefusesProposals,
}

pub(crate) struct Node {
    pub(crate) trouble: Option<Trouble>,
    pub(crate) chain: &'static str,
    /// Blocks that it has, by height.
    pub(crate) blocks: Vec<Hash256>,
    /// The calls that it was asked, by method.
    pub(crate) asked: Vec<&'static str>,
    /// Why it takes no block.
    pub(crate) refuses: Option<&'static str>,
    /// Calls without an answer, and when each ends.
    hanging: Vec<(u64, Duration)>,
    connected: bool,
}

pub(crate) struct World {
    pub(crate) session: NodeSession,
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: Duration,
    pub(crate) clock_skew: i64,
    /// Files of blocks; true for those that were refused.
    pub(crate) disk: BTreeMap<String, bool>,
    pub(crate) disk_is_full: bool,
    /// No file can be removed.
    pub(crate) is_read_only: bool,
    /// Every block that was written.
    pub(crate) written: Vec<SpooledBlock>,
    /// Blocks that an earlier run left.
    pub(crate) left: Vec<SpooledBlock>,
    /// Node and words of everything that was told.
    pub(crate) events: Vec<LinkEvent>,
    pub(crate) templates: Vec<PoolTemplate>,
    pub(crate) job: Option<Arc<Job>>,
    pub(crate) end: Option<LinkEnd>,
    is_over: bool,
}

pub(crate) fn config() -> Config {
    Config {
        chain: None,
        address: ADDRESS.parse().unwrap(),
        tag: b"/midstate/".to_vec(),
        extranonce1: vec![1, 2, 3, 4],
        version_mask: BIP320_MASK,
        nodes: 0,
        long_poll: LongPolling::Never,
        failover: midstate_failover::Limits::default(),
        block_interval: Duration::ZERO,
    }
}

impl Node {
    fn new() -> Self {
        Self {
            trouble: None,
            chain: "regtest",
            blocks: vec![Hash256::default()],
            asked: Vec::new(),
            refuses: None,
            hanging: Vec::new(),
            connected: false,
        }
    }

    fn answer(&mut self, now: Duration, skew: i64, call: &Call) -> Result<Answer, NoAnswer> {
        let time = START.saturating_add(now.as_secs()).saturating_add_signed(skew);
        let tip = *self.blocks.last().unwrap();
        let result = match call {
            Call::ChainInfo => json!({"chain": self.chain, "blocks": self.blocks.len() - 1}),
            Call::Template { .. } => {
                let commitment = witness_commitment(&[]);
                let digits: String =
                    commitment.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
                json!({
                    "capabilities": ["proposal"], "version": 536_870_912,
                    "rules": ["csv", "!segwit"], "vbavailable": {}, "vbrequired": 0,
                    "previousblockhash": tip.to_string(), "transactions": [], "coinbaseaux": {},
                    "coinbasevalue": 5_000_000_000u64, "mintime": START, "curtime": time,
                    "target": "7fffff0000000000000000000000000000000000000000000000000000000000",
                    "mutable": ["time"], "noncerange": "00000000ffffffff", "sigoplimit": 80_000,
                    "sizelimit": 4_000_000, "weightlimit": 4_000_000, "bits": "207fffff",
                    "height": self.blocks.len(),
                    "default_witness_commitment": format!("6a24aa21a9ed{digits}"),
                })
            }
            Call::Proposal { .. } if self.trouble == Some(Trouble::RefusesProposals) => {
                json!("bad-cb-amount")
            }
            Call::Proposal { .. } => Value::Null,
            Call::Submit { block } => match self.refuses {
                Some(reason) => json!(reason),
                None => {
                    let header: Header = block[..2 * Header::LEN].parse().unwrap();
                    json!(if self.blocks.contains(&header.hash()) {
                        Some("duplicate")
                    } else if header.prev_hash == tip {
                        self.blocks.push(header.hash());
                        None
                    } else {
                        Some("inconclusive")
                    })
                }
            },
            Call::Header(hash) => match self.blocks.iter().rposition(|block| block == hash) {
                Some(at) => json!({"confirmations": self.blocks.len() - at, "nTx": 1}),
                None => return Ok(error(-5, "Block not found")),
            },
            _ => return Ok(error(-32601, "Method not found")),
        };
        let body = json!({"result": result, "error": null}).to_string().into_bytes();
        Ok(Answer { status: 200, body, ..Answer::default() })
    }
}

fn error(code: i64, message: &str) -> Answer {
    let error = json!({"code": code, "message": message});
    let body = json!({"result": null, "error": error}).to_string().into_bytes();
    Answer { status: 500, body, ..Answer::default() }
}

impl World {
    /// As many nodes as names, `http://NAME`.
    pub(crate) fn new(names: &[&str], give_up: Option<u64>) -> Self {
        Self::with(names, give_up, config(), false)
    }

    pub(crate) fn with(
        names: &[&str],
        give_up: Option<u64>,
        config: Config,
        is_for_pool: bool,
    ) -> Self {
        let name = |name: &&str| NodeName { url: format!("http://{name}").into(), is_proved: true };
        let (nodes, now) = (names.iter().map(name).collect(), Duration::from_secs(1000));
        let give_up = give_up.map(Duration::from_secs);
        Self {
            session: NodeSession::new(nodes, config, give_up, is_for_pool, now),
            nodes: names.iter().map(|_| Node::new()).collect(),
            now,
            clock_skew: 0,
            disk: BTreeMap::new(),
            disk_is_full: false,
            is_read_only: false,
            written: Vec::new(),
            left: Vec::new(),
            events: Vec::new(),
            templates: Vec::new(),
            job: None,
            end: None,
            is_over: false,
        }
    }

    /// Everything that happens without time passing.
    pub(crate) fn settle(&mut self) {
        for _ in 0..MANY {
            self.session.handle_clock(START + self.now.as_secs());
            while let Some(event) = self.session.poll_event() {
                match &event.what {
                    Happened::Job { job, .. } => self.job = Some(Arc::clone(job)),
                    Happened::Pause => self.job = None,
                    _ => {}
                }
                self.events.push(event);
            }
            self.templates.extend(std::iter::from_fn(|| self.session.poll_template()));
            self.end = self.end.take().or_else(|| self.session.poll_end(self.now));
            let Some(task) = self.session.poll_task() else { return };
            self.perform(task);
        }
        panic!("what happens at {:?} has no end", self.now);
    }

    fn perform(&mut self, task: NodeTask) {
        match task {
            NodeTask::Ask(request) => {
                assert!(!self.is_over, "nothing is asked after the end");
                let node = &mut self.nodes[request.node];
                let method = match request.call {
                    Call::Proposal { .. } => "proposal",
                    ref call => call.method(),
                };
                node.asked.push(method);
                let is_block = matches!(request.call, Call::Submit { .. });
                let refused = NoAnswer::NobodyThere("connection refused".to_owned());
                let answer = match node.trouble {
                    Some(Trouble::Down) => Err(refused),
                    Some(Trouble::Locked) => Ok(Answer { status: 401, ..Answer::default() }),
                    Some(Trouble::Starting) => Ok(error(-28, "Loading block index...")),
                    Some(Trouble::Silent) => {
                        return node.hanging.push((request.id, self.now + request.timeout));
                    }
                    Some(Trouble::SilentOnBlocks) if is_block => {
                        return node.hanging.push((request.id, self.now + request.timeout));
                    }
                    Some(Trouble::NoProposals) if method == "proposal" => {
                        Err(NoAnswer::Broken("the connection broke".to_owned()))
                    }
                    _ => node.answer(self.now, self.clock_skew, &request.call),
                };
                if answer.is_ok() && !std::mem::replace(&mut node.connected, true) {
                    self.session.handle_connected(self.now, request.node);
                }
                self.session.handle_answer(self.now, request.id, answer);
            }
            NodeTask::Cancel(id) => {
                for node in &mut self.nodes {
                    node.hanging.retain(|&(call, _)| call != id);
                }
            }
            NodeTask::ReadSpool(_) => {
                let left = std::mem::take(&mut self.left);
                let left = left.into_iter().map(|block| (block, Duration::ZERO)).collect();
                self.session.handle_spool(self.now, left, &[]);
            }
            NodeTask::Write(block) => {
                self.written.push(block.clone());
                let outcome = if self.disk_is_full {
                    Err(io::Error::other("no space left on device"))
                } else {
                    self.disk.insert(block.hash.to_string(), false);
                    Ok(())
                };
                self.session.handle_written(self.now, block.hash, outcome);
            }
            NodeTask::Remove { node, hash, refused } => {
                let name = hash.to_string();
                let outcome = match (self.is_read_only, refused) {
                    (true, _) => {
                        let words = "/spool/regtest: permission denied";
                        Err(io::Error::new(io::ErrorKind::PermissionDenied, words))
                    }
                    (false, true) => {
                        self.disk.insert(name, true);
                        Ok(())
                    }
                    (false, false) => {
                        self.disk.remove(&name);
                        Ok(())
                    }
                };
                self.session.handle_removed(self.now, node, hash, outcome);
            }
        }
    }

    /// Lets time pass, from deadline to deadline, until the end of the session at the latest.
    pub(crate) fn pass(&mut self, seconds: u64) {
        self.settle();
        let until = self.now + Duration::from_secs(seconds);
        let mut steps = 0;
        while self.end.is_none() {
            let hanging = self.nodes.iter().flat_map(|node| &node.hanging).map(|&(_, at)| at);
            let due = self.session.poll_timeout().into_iter().chain(hanging).min();
            let next = due.map_or(until, |at| at.clamp(self.now, until));
            steps = if next > self.now { 0 } else { steps + 1 };
            assert!(steps < MANY, "a timer spins at {:?}", self.now);
            let is_last = next == until && due.is_none_or(|at| at > until);
            self.advance(next);
            if is_last {
                return;
            }
        }
    }

    fn advance(&mut self, now: Duration) {
        self.now = now;
        let over = |(_, at): &mut (u64, Duration)| *at <= now;
        let calls: Vec<_> =
            self.nodes.iter_mut().flat_map(|node| node.hanging.extract_if(.., over)).collect();
        for (id, _) in calls {
            let silence = NoAnswer::TimedOut("nothing came".to_owned());
            self.session.handle_answer(now, id, Err(silence));
        }
        self.session.handle_timeout(now);
        self.settle();
    }

    /// The session is over: the last verdicts.
    pub(crate) fn finish(&mut self) {
        self.is_over = true;
        self.session.finish(self.now);
        self.settle();
    }

    pub(crate) fn break_node(&mut self, node: usize, trouble: Trouble) {
        self.nodes[node].trouble = Some(trouble);
        self.nodes[node].connected = false;
    }

    /// A share of the job at hand that solves a block, handed in.
    pub(crate) fn mine(&mut self) -> Hash256 {
        let share = solve(self.job.as_ref().expect("a job"));
        let hash = share.hash;
        self.session.handle_share(self.now, share);
        self.settle();
        hash
    }

    /// The messages since the last look, as (node, words).
    pub(crate) fn told(&mut self) -> Vec<(String, String)> {
        let told = std::mem::take(&mut self.events);
        told.into_iter()
            .map(|LinkEvent { url, what, .. }| {
                let words = match what {
                    Happened::State { state, reason } => {
                        format!("{state:?} {}", reason.unwrap_or_default())
                    }
                    Happened::Job { job, .. } => format!("job {}", job.height().unwrap()),
                    Happened::Pause => "pause".to_owned(),
                    Happened::ChannelEnded { channel } => format!("channel {channel} ended"),
                    Happened::Verdict(ShareOutcome { verdict, reason, .. }) => {
                        format!("{verdict:?} {}", reason.unwrap_or_default())
                    }
                    Happened::Revised { was, verdict, .. } => format!("{was:?} -> {verdict:?}"),
                    Happened::Remark(Remark::Message { text } | Remark::Warning { text }) => text,
                    Happened::Remark(remark) => format!("{remark:?}"),
                };
                (url.trim_start_matches("http://").to_owned(), words.trim().to_owned())
            })
            .collect()
    }
}

pub(crate) fn solve(job: &Arc<Job>) -> Share {
    let extranonce2 = vec![0; job.extranonce2_size];
    let header = job.header(&extranonce2);
    let mut headers = (0..).map(|nonce| Header { nonce, ..header });
    let solved = headers.find(|header| job.network_target.is_met_by(&header.hash())).unwrap();
    Share {
        job: Arc::clone(job),
        extranonce2,
        version: solved.version,
        time: solved.time,
        nonce: solved.nonce,
        hash: solved.hash(),
    }
}
