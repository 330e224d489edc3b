//! Servers with few threads, miners at them, and virtual time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bitcoin::BlockHash;
use midstate_chain::{Hash256, Job, Verdict};
use midstate_gbt::Client;
use midstate_gbt::client::{Config, LongPolling, NodeEvent, NodeNews};
use midstate_gbt::rpc::{Answer, Call, NoAnswer};
use serde_json::json;

use crate::support::{Core, config, solve};

/// More steps at one instant mean that a timer spins.
const MANY: usize = 10_000;

/// A node and its threads. As in Core, a thread that waits stays taken when its client has gone.
pub(crate) struct Server {
    pub(crate) core: Core,
    threads: usize,
    /// `waitforblockheight` is known.
    pub(crate) knows_waits: bool,
    /// A client that has gone is noticed.
    pub(crate) notices: bool,
    pub(crate) is_down: bool,
    queue: VecDeque<Asked>,
    waiting: Vec<Waiting>,
    /// Longest time from a call that does not wait to its answer.
    pub(crate) slowest: Duration,
    /// Most threads that were taken for long.
    pub(crate) most_waiting: usize,
}

struct Asked {
    miner: usize,
    id: u64,
    call: Call,
    at: Duration,
}

struct Waiting {
    miner: usize,
    id: u64,
    /// The height it waits for; a long poll waits for another tip than this.
    height: Result<usize, BlockHash>,
    until: Duration,
    is_long: bool,
}

pub(crate) struct Miner {
    client: Client,
    /// The server behind each of its nodes.
    servers: Vec<usize>,
    /// Nodes to which a connection is open.
    connected: Vec<bool>,
    job: Option<Arc<Job>>,
    pub(crate) jobs: usize,
    /// Calls that it made.
    pub(crate) asked: usize,
    next_find: Duration,
    pub(crate) finds: bool,
    pub(crate) found: usize,
    /// Solutions of a job, by its id.
    solved: HashMap<String, usize>,
    verdicts: HashMap<Hash256, Verdict>,
    events: Vec<NodeEvent>,
    has_left: bool,
}

pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) servers: Vec<Server>,
    pub(crate) miners: Vec<Miner>,
    /// Each miner takes so many times longer for a block.
    pub(crate) pace: u32,
    /// Nodes tell each other of their blocks.
    pub(crate) relays: bool,
    state: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let now = Duration::from_secs(1000);
        Self { now, servers: Vec::new(), miners: Vec::new(), pace: 1, relays: true, state }
    }

    /// From 1 to `below`.
    pub(crate) fn random(&mut self, below: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) % below.saturating_sub(1).max(1)
    }

    pub(crate) fn server(&mut self, core: Core, threads: usize) -> usize {
        self.servers.push(Server {
            core,
            threads,
            knows_waits: true,
            notices: false,
            is_down: false,
            queue: VecDeque::new(),
            waiting: Vec::new(),
            slowest: Duration::ZERO,
            most_waiting: 0,
        });
        self.servers.len() - 1
    }

    pub(crate) fn miner(&mut self, servers: &[usize], long_poll: LongPolling) -> usize {
        let extranonce1 = (self.random(u64::MAX) as u32).to_le_bytes().to_vec();
        let config = Config { long_poll, extranonce1, ..config(servers.len()) };
        let next_find = self.now + Duration::from_millis(500 + self.random(6_000));
        self.miners.push(Miner {
            client: Client::new(config, self.now),
            servers: servers.to_vec(),
            connected: vec![false; servers.len()],
            job: None,
            jobs: 0,
            asked: 0,
            next_find,
            finds: true,
            found: 0,
            solved: HashMap::new(),
            verdicts: HashMap::new(),
            events: Vec::new(),
            has_left: false,
        });
        self.settle();
        self.miners.len() - 1
    }

    /// The program ends; what it asked for stays at the node.
    pub(crate) fn leave(&mut self, miner: usize) {
        self.miners[miner].has_left = true;
    }

    pub(crate) fn events(&self, miner: usize) -> impl Iterator<Item = &NodeEvent> {
        self.miners[miner].events.iter()
    }

    pub(crate) fn told(&self, wanted: impl Fn(&NodeNews) -> bool) -> usize {
        let events = self.miners.iter().flat_map(|miner| &miner.events);
        events.filter(|event| wanted(&event.what)).count()
    }

    /// All connections to a server break, and what it was asked is lost.
    pub(crate) fn break_connections(&mut self, server: usize) {
        let Server { queue, waiting, .. } = &mut self.servers[server];
        let asked = queue.drain(..).map(|asked| (asked.miner, asked.id));
        let lost: Vec<_> = asked.chain(waiting.drain(..).map(|it| (it.miner, it.id))).collect();
        for miner in &mut self.miners {
            for (node, &behind) in miner.servers.iter().enumerate() {
                miner.connected[node] &= behind != server;
            }
        }
        for (miner, id) in lost {
            self.answer(miner, id, Err(NoAnswer::Broken("connection closed".to_owned())));
        }
        self.settle();
    }

    pub(crate) fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        let mut steps = 0;
        while let Some(at) = self.next_deadline().filter(|&at| at <= end) {
            steps = if at > self.now { 0 } else { steps + 1 };
            assert!(steps < MANY, "a timer spins");
            self.advance_to(at.max(self.now));
        }
        self.advance_to(end);
    }

    fn next_deadline(&self) -> Option<Duration> {
        let present = self.miners.iter().filter(|miner| !miner.has_left);
        let timers = present.clone().filter_map(|miner| miner.client.poll_timeout());
        let finding = present.filter(|miner| miner.finds && miner.job.is_some());
        let finds = finding.map(|miner| miner.next_find);
        let waits = self.servers.iter().flat_map(|server| &server.waiting).map(|it| it.until);
        let waits = waits.filter(|&at| at != Duration::MAX);
        timers.chain(finds).chain(waits).min()
    }

    fn advance_to(&mut self, at: Duration) {
        self.now = at;
        for server in &mut self.servers {
            server.core.clock = 1_800_000_000 + (at.as_secs() - 1000) as u32;
        }
        for index in 0..self.miners.len() {
            let pause = Duration::from_millis(500 + self.random(6_000)) * self.pace;
            let miner = &mut self.miners[index];
            if miner.has_left {
                continue;
            }
            miner.client.handle_timeout(at);
            if miner.finds && miner.next_find <= at {
                miner.next_find = at + pause;
                if let Some(job) = &miner.job {
                    // A job that is handed out again is hashed on, not anew.
                    let skip = miner.solved.entry(job.id.clone()).or_default();
                    if miner.client.handle_share(at, &solve(job, *skip)).is_ok() {
                        *skip += 1;
                        miner.found += 1;
                    }
                }
            }
        }
        self.settle();
    }

    fn settle(&mut self) {
        for _ in 0..MANY {
            let mut idle = true;
            for index in 0..self.miners.len() {
                idle &= !self.drain(index);
            }
            for server in 0..self.servers.len() {
                idle &= !self.serve(server);
            }
            idle &= !self.relay();
            if idle {
                return;
            }
        }
        panic!("what happens at {:?} has no end", self.now);
    }

    /// Nodes of one chain that are up tell each other of their blocks. Whether there was news.
    fn relay(&mut self) -> bool {
        if !self.relays {
            return false;
        }
        let up: Vec<_> = (0..self.servers.len()).filter(|&at| !self.servers[at].is_down).collect();
        let height = |world: &Self, at: usize| world.servers[at].core.height();
        let Some(&best) = up.iter().max_by_key(|&&at| height(self, at)) else { return false };
        let mut news = false;
        for at in up {
            if height(self, at) < height(self, best)
                && self.servers[at].core.chain == self.servers[best].core.chain
            {
                let (chain, blocks) = {
                    let core = &self.servers[best].core;
                    (core.best.clone(), core.blocks.clone())
                };
                self.servers[at].core.best = chain;
                self.servers[at].core.blocks.extend(blocks);
                news = true;
            }
        }
        news
    }

    /// Takes what a miner has to say. Whether it had.
    fn drain(&mut self, index: usize) -> bool {
        let miner = &mut self.miners[index];
        let mut busy = false;
        while let Some(event) = miner.client.poll_event() {
            busy = true;
            match &event.what {
                NodeNews::Job { job, .. } => {
                    miner.job = Some(job.clone());
                    miner.jobs += 1;
                }
                NodeNews::Pause => miner.job = None,
                NodeNews::Spool(block) => miner.client.handle_spooled(self.now, block.hash, Ok(())),
                NodeNews::Block(outcome) => {
                    assert_eq!(miner.verdicts.insert(outcome.hash, outcome.verdict), outcome.was);
                }
                NodeNews::Fatal(fatal) => panic!("{fatal}"),
                _ => {}
            }
            miner.events.push(event);
        }
        while let Some(id) = miner.client.poll_cancel() {
            for server in self.servers.iter_mut().filter(|server| server.notices) {
                server.waiting.retain(|it| (it.miner, it.id) != (index, id));
                server.queue.retain(|it| (it.miner, it.id) != (index, id));
            }
        }
        while let Some(request) = miner.client.poll_request() {
            busy = true;
            miner.asked += 1;
            if miner.has_left {
                continue;
            }
            let server = &mut self.servers[miner.servers[request.node]];
            if server.is_down {
                let refused = Err(NoAnswer::NobodyThere("connection refused".to_owned()));
                miner.client.handle_answer(self.now, request.id, refused);
                continue;
            }
            if !std::mem::replace(&mut miner.connected[request.node], true) {
                miner.client.handle_connected(self.now, request.node);
            }
            let (id, call, at) = (request.id, request.call, self.now);
            server.queue.push_back(Asked { miner: index, id, call, at });
        }
        busy
    }

    /// Gives threads to calls and answers to miners. Whether there was any.
    fn serve(&mut self, index: usize) -> bool {
        let now = self.now;
        let server = &mut self.servers[index];
        let (tip, height) = (server.core.tip(), server.core.height());
        let over = |it: &mut Waiting| {
            it.until <= now || it.height.map_or_else(|old| old != tip, |wanted| wanted <= height)
        };
        let over: Vec<_> = server.waiting.extract_if(.., over).collect();
        let mut answers = Vec::new();
        for it in over {
            let result = match it.height.is_err() {
                true => server.core.template(),
                false => json!({"hash": tip.to_string(), "height": height}),
            };
            answers.push((it.miner, it.id, Ok(result_of(result))));
        }
        while server.waiting.len() < server.threads
            && let Some(Asked { miner, id, call, at }) = server.queue.pop_front()
        {
            match &call {
                Call::WaitForHeight { height: wanted, limit_ms } if server.knows_waits => {
                    if *wanted as usize <= height {
                        let result = json!({"hash": tip.to_string(), "height": height});
                        answers.push((miner, id, Ok(result_of(result))));
                        continue;
                    }
                    let until = now + Duration::from_millis((*limit_ms).into());
                    // A probe waits for a height that never comes, and thus for its time.
                    let (is_long, height) = (*limit_ms > 1_000, Ok(*wanted as usize));
                    server.waiting.push(Waiting { miner, id, height, until, is_long });
                }
                Call::Template { longpoll_id: Some(poll) } if poll[..64] == tip.to_string() => {
                    let (height, until, is_long) = (Err(tip), Duration::MAX, true);
                    server.waiting.push(Waiting { miner, id, height, until, is_long });
                }
                call => {
                    let is_wait = matches!(
                        call,
                        Call::WaitForHeight { .. } | Call::Template { longpoll_id: Some(_) }
                    );
                    if !is_wait && !self.miners[miner].has_left {
                        server.slowest = server.slowest.max(now - at);
                    }
                    answers.extend(server.core.answer(id, call).map(|it| (miner, id, it)));
                }
            }
            let long = server.waiting.iter().filter(|it| it.is_long).count();
            server.most_waiting = server.most_waiting.max(long);
        }
        let busy = !answers.is_empty();
        for (miner, id, answer) in answers {
            self.answer(miner, id, answer);
        }
        busy
    }

    fn answer(&mut self, miner: usize, id: u64, answer: Result<Answer, NoAnswer>) {
        if !self.miners[miner].has_left {
            self.miners[miner].client.handle_answer(self.now, id, answer);
        }
    }

    /// Asserts at the end that each block has a verdict, and that the miners found at least so
    /// many.
    pub(crate) fn check(&mut self, least: usize) {
        for miner in &mut self.miners {
            miner.finds = false;
        }
        self.pass(130);
        for miner in self.miners.iter().filter(|miner| !miner.has_left) {
            let (found, verdicts) = (miner.found, miner.verdicts.len());
            assert_eq!(found, verdicts, "{found} found, {verdicts} verdicts: {:?}", miner.events);
            assert!(found >= least, "{found} found, at least {least} expected");
            assert!(miner.job.is_some(), "no work in the end: {:?}", miner.events.last());
            assert!(miner.client.is_settled());
            assert!(miner.events.iter().all(|event| event.node < miner.servers.len()));
        }
    }
}

fn result_of(result: serde_json::Value) -> Answer {
    let body = json!({"jsonrpc": "2.0", "result": result}).to_string().into_bytes();
    Answer { status: 200, body, ..Answer::default() }
}
