//! A node in memory that answers as Bitcoin Core does, and a world of virtual time around a client.
//! Blocks are judged by the `bitcoin` crate, not by code of ours.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "test support: a panic is the test's failure")]

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, Block, BlockHash, OutPoint, ScriptBuf, Sequence, Target, Transaction, TxIn, TxOut,
    Witness,
};
use midstate_chain::{BIP320_MASK, Hash256, Job, Share, Verdict, witness_commitment};
use midstate_failover::Limits;
use midstate_gbt::client::{Config, LongPolling, NodeEvent, NodeNews, NodeState};
use midstate_gbt::rpc::{Answer, Call, NoAnswer};
use midstate_gbt::spool::SpooledBlock;
use midstate_gbt::{Address, Client};
use serde_json::{Value, json};

/// BIP173's example key on regtest.
pub(crate) const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
const SUBSIDY: u64 = 5_000_000_000;
const FEE: u64 = 1_234;
const START: u32 = 1_800_000_000;
const REGTEST_GENESIS: &str = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";

/// A task that a node refuses, for a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No connection.
    Down,
    /// HTTP 401.
    Locked,
    /// An error of its own.
    Says(i64, &'static str),
}

/// A node's answer to a block in place of a judgement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Nothing,
    Result(Value),
    Error(i64, &'static str),
    Http(u16, &'static str),
}

/// A regtest node.
pub(crate) struct Core {
    pub(crate) chain: String,
    /// Every block it has, by hash.
    pub(crate) blocks: HashMap<BlockHash, Block>,
    /// The best chain, genesis first.
    pub(crate) best: Vec<BlockHash>,
    pub(crate) mempool: Vec<Transaction>,
    pub(crate) trouble: Option<Trouble>,
    /// Answers to proposals instead of a judgement.
    pub(crate) refuse_proposals: Option<&'static str>,
    /// The HTTP status and body that answer every proposal.
    pub(crate) proposal_http: Option<(u16, &'static str)>,
    /// The tip moves before a proposal is looked at.
    pub(crate) moves_at_proposals: bool,
    /// Answers to submissions instead of a judgement.
    pub(crate) refuse_blocks: Option<&'static str>,
    /// Its word for a block that it takes, instead of null.
    pub(crate) says_yes: Option<&'static str>,
    /// Blocks that `invalidateblock` took out of the best chain, the lowest first.
    pub(crate) invalid: Vec<BlockHash>,
    /// This one block is refused, whenever it comes.
    pub(crate) refused: Option<BlockHash>,
    /// Its word for a block on its tip. Others it judges.
    pub(crate) refuses_next: Option<&'static str>,
    /// Takes a block, but the answer is lost.
    pub(crate) mute_submit: bool,
    /// The result of every submission, which is forgotten.
    pub(crate) submit_says: Option<Value>,
    /// The HTTP status and body that answer every submission.
    pub(crate) submit_http: Option<(u16, &'static str)>,
    /// Calls that are never answered, by method ("proposal" apart).
    pub(crate) hangs_at: Vec<&'static str>,
    /// The error that answers every submission.
    pub(crate) submit_fails: Option<(i64, &'static str)>,
    /// Answers every question about a block.
    pub(crate) header_says: Option<Said>,
    /// The result of every proposal.
    pub(crate) proposal_says: Option<Value>,
    /// The next call opens a connection.
    pub(crate) fresh: bool,
    /// So does every call.
    pub(crate) closes: bool,
    /// Something in front of it closes the connection at each of these calls, the fresh one of the
    /// second try, too.
    pub(crate) cuts: Option<&'static str>,
    /// Fields put into every template over the true ones.
    pub(crate) template_extras: Value,
    /// Calls seen, by method ("proposal" apart).
    pub(crate) seen: HashMap<&'static str, usize>,
    /// How often each block came, by its hex.
    pub(crate) submitted: HashMap<Arc<str>, usize>,
    pub(crate) longpolls: Vec<(u64, BlockHash)>,
    /// It knows `waitforblockheight`, and never answers it: the limits of these calls, in ms.
    pub(crate) waits: bool,
    pub(crate) limits: Vec<u32>,
    /// Its answers name the call before.
    pub(crate) mixes_up: bool,
    /// Long polls are never answered.
    pub(crate) deaf: bool,
    /// How long polls end at once, if they do: with this HTTP status, or (0) with the connection.
    pub(crate) cuts_longpolls: Option<u16>,
    pub(crate) clock: u32,
}

impl Core {
    pub(crate) fn new() -> Self {
        Self {
            chain: "regtest".to_owned(),
            blocks: HashMap::new(),
            best: vec![REGTEST_GENESIS.parse().unwrap()],
            mempool: Vec::new(),
            trouble: None,
            refuse_proposals: None,
            proposal_http: None,
            moves_at_proposals: false,
            refuse_blocks: None,
            says_yes: None,
            invalid: Vec::new(),
            refused: None,
            refuses_next: None,
            mute_submit: false,
            submit_says: None,
            submit_fails: None,
            header_says: None,
            submit_http: None,
            hangs_at: Vec::new(),
            proposal_says: None,
            fresh: false,
            closes: false,
            cuts: None,
            template_extras: json!({}),
            seen: HashMap::new(),
            submitted: HashMap::new(),
            longpolls: Vec::new(),
            waits: false,
            mixes_up: false,
            limits: Vec::new(),
            deaf: false,
            cuts_longpolls: None,
            clock: START,
        }
    }

    pub(crate) fn seen(&self, method: &str) -> usize {
        self.seen.get(method).copied().unwrap_or(0)
    }

    /// Answers so to every block from now on.
    pub(crate) fn say(&mut self, said: &Said) {
        (self.submit_says, self.submit_fails, self.submit_http) = (None, None, None);
        match said.clone() {
            Said::Nothing => {}
            Said::Result(value) => self.submit_says = Some(value),
            Said::Error(code, words) => self.submit_fails = Some((code, words)),
            Said::Http(status, body) => self.submit_http = Some((status, body)),
        }
    }

    /// Whether it has this block, wherever.
    pub(crate) fn has(&self, hash: &Hash256) -> bool {
        self.blocks.contains_key(&hash.to_string().parse::<BlockHash>().unwrap())
    }

    pub(crate) fn tip(&self) -> BlockHash {
        *self.best.last().unwrap()
    }

    pub(crate) fn height(&self) -> usize {
        self.best.len() - 1
    }

    /// Another miner's block on top.
    pub(crate) fn foreign_block(&mut self) {
        let mut bytes = [0x77; 32];
        bytes[..8].copy_from_slice(&(self.height() as u64).to_le_bytes());
        self.best.push(bitcoin::hashes::Hash::from_byte_array(bytes));
    }

    /// `invalidateblock` of the block at this height.
    pub(crate) fn invalidate(&mut self, height: usize) {
        self.invalid = self.best.split_off(height);
    }

    /// `reconsiderblock` of the same: the node goes back to it, if no chain beside it is longer.
    pub(crate) fn reconsider(&mut self, height: usize) {
        let invalid = std::mem::take(&mut self.invalid);
        if height + invalid.len() >= self.best.len() {
            self.best.truncate(height);
            self.best.extend(invalid);
        }
    }

    /// A transaction with a witness, as the node would have it in its mempool.
    pub(crate) fn transaction(&mut self, number: u32) {
        let outpoint =
            OutPoint { txid: bitcoin::hashes::Hash::from_byte_array([9; 32]), vout: number };
        self.mempool.push(Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![TxIn {
                previous_output: outpoint,
                script_sig: ScriptBuf::new(),
                sequence: Sequence::MAX,
                witness: Witness::from_slice(&[&[1u8; 71][..], &[2u8; 33][..]]),
            }],
            output: vec![TxOut { value: Amount::from_sat(1000), script_pubkey: ScriptBuf::new() }],
        });
    }

    pub(crate) fn value(&self) -> u64 {
        SUBSIDY + FEE * self.mempool.len() as u64
    }

    /// The template, as Core 31 writes it.
    pub(crate) fn template(&self) -> Value {
        let transactions: Vec<Value> = self
            .mempool
            .iter()
            .map(|tx| {
                json!({
                    "data": serialize_hex(tx),
                    "txid": tx.compute_txid().to_string(),
                    "hash": tx.compute_wtxid().to_string(),
                    "depends": [], "fee": FEE, "sigops": 1, "weight": tx.weight().to_wu(),
                })
            })
            .collect();
        let witness_ids: Vec<Hash256> =
            self.mempool.iter().map(|tx| tx.compute_wtxid().to_string().parse().unwrap()).collect();
        let commitment = hex::encode(witness_commitment(&witness_ids).as_bytes());
        let mut template = json!({
            "capabilities": ["proposal"],
            "version": 536_870_912,
            "rules": ["csv", "!segwit", "taproot"],
            "vbavailable": {}, "vbrequired": 0,
            "previousblockhash": self.tip().to_string(),
            "transactions": transactions,
            "coinbaseaux": {},
            "coinbasevalue": self.value(),
            "longpollid": format!("{}{}", self.tip(), self.mempool.len()),
            "target": "7fffff0000000000000000000000000000000000000000000000000000000000",
            "mintime": START, "mutable": ["time", "transactions", "prevblock"],
            "noncerange": "00000000ffffffff",
            "sigoplimit": 80_000, "sizelimit": 4_000_000, "weightlimit": 4_000_000,
            "curtime": self.clock,
            "bits": "207fffff",
            "height": self.height() + 1,
            "default_witness_commitment": format!("6a24aa21a9ed{commitment}"),
        });
        for (key, value) in self.template_extras.as_object().unwrap() {
            template[key] = value.clone();
        }
        template
    }

    /// `None`: the answer comes later.
    pub(crate) fn answer(&mut self, id: u64, call: &Call) -> Option<Result<Answer, NoAnswer>> {
        let name = name(call);
        *self.seen.entry(name).or_default() += 1;
        if let Call::Submit { block } = call {
            *self.submitted.entry(Arc::clone(block)).or_default() += 1;
        }
        // A body must be the JSON that Core reads.
        let body: Value = serde_json::from_slice(&call.body(id)).unwrap();
        assert_eq!(body["method"], call.method());
        if self.hangs_at.contains(&name) {
            return None;
        }
        if self.cuts == Some(name) {
            return Some(Err(NoAnswer::Broken("connection closed".to_owned())));
        }
        match self.trouble {
            Some(Trouble::Down) => {
                return Some(Err(NoAnswer::NobodyThere("connection refused".to_owned())));
            }
            Some(Trouble::Locked) => {
                return Some(Ok(Answer { status: 401, body: Vec::new(), ..Answer::default() }));
            }
            Some(Trouble::Says(code, words)) => return Some(Ok(error(code, words))),
            None => {}
        }
        if self.moves_at_proposals && matches!(call, Call::Proposal { .. }) {
            self.foreign_block();
        }
        let result = match call {
            Call::ChainInfo => json!({
                "chain": self.chain, "blocks": self.height(), "initialblockdownload": false,
            }),
            Call::Template { longpoll_id: Some(poll) } => {
                match self.cuts_longpolls {
                    Some(0) => return Some(Err(NoAnswer::Broken("connection closed".to_owned()))),
                    Some(status) => {
                        return Some(Ok(Answer { status, body: Vec::new(), ..Answer::default() }));
                    }
                    None => {}
                }
                let tip: BlockHash = poll[..64].parse().unwrap();
                if tip == self.tip() || self.deaf {
                    self.longpolls.push((id, tip));
                    return None;
                }
                self.template()
            }
            Call::WaitForHeight { limit_ms, .. } if self.waits => {
                self.limits.push(*limit_ms);
                return None;
            }
            // As a node that is no Core: long polls are all it knows.
            Call::WaitForHeight { .. } => return Some(Ok(error(-32601, "Method not found"))),
            Call::NetworkInfo => unreachable!("mining does not ask for it"),
            Call::Template { longpoll_id: None } => self.template(),
            Call::Proposal { .. } if self.proposal_http.is_some() => {
                let (status, body) = self.proposal_http.unwrap();
                return Some(Ok(Answer { status, body: body.into(), ..Answer::default() }));
            }
            Call::Proposal { block } => match (&self.proposal_says, self.refuse_proposals) {
                (Some(says), _) => says.clone(),
                (None, Some(reason)) => json!(reason),
                (None, None) => json!(self.judge(&deserialize_hex(block).unwrap(), false)),
            },
            Call::Submit { .. } if self.submit_http.is_some() => {
                let (status, body) = self.submit_http.unwrap();
                return Some(Ok(Answer { status, body: body.into(), ..Answer::default() }));
            }
            Call::Submit { .. } if self.submit_fails.is_some() => {
                let (code, words) = self.submit_fails.unwrap();
                return Some(Ok(error(code, words)));
            }
            Call::Submit { block } => {
                let answer = match (&self.submit_says, self.refuse_blocks) {
                    (Some(says), _) => says.clone(),
                    (None, Some(reason)) => json!(reason),
                    (None, None) => {
                        json!(self.submit(deserialize_hex(block).unwrap()).or(self.says_yes))
                    }
                };
                if self.mute_submit {
                    return Some(Err(NoAnswer::Broken("connection reset".to_owned())));
                }
                answer
            }
            Call::Header(_) if self.header_says.is_some() => {
                return match self.header_says.clone().unwrap() {
                    Said::Nothing => None,
                    Said::Result(value) => Some(Ok(result(&value))),
                    Said::Error(code, words) => Some(Ok(error(code, words))),
                    Said::Http(status, body) => {
                        Some(Ok(Answer { status, body: body.into(), ..Answer::default() }))
                    }
                };
            }
            Call::Header(hash) => {
                let hash = BlockHash::from_str(&hash.to_string()).unwrap();
                let place = self.best.iter().position(|&block| block == hash);
                match (self.blocks.get(&hash), place) {
                    (Some(block), place) => json!({
                        "confirmations": place.map_or(-1, |at| (self.best.len() - at) as i64),
                        "nTx": block.txdata.len(),
                    }),
                    _ => return Some(Ok(error(-5, "Block not found"))),
                }
            }
        };
        let id = if self.mixes_up { id - 1 } else { id };
        let body = json!({"jsonrpc": "2.0", "result": result, "id": id}).to_string().into_bytes();
        Some(Ok(Answer { status: 200, body, ..Answer::default() }))
    }

    /// Takes a block as if it came from elsewhere.
    pub(crate) fn take(&mut self, block: &str) {
        assert_eq!(self.submit(deserialize_hex(block).unwrap()), None);
    }

    /// `submitblock`.
    fn submit(&mut self, block: Block) -> Option<&'static str> {
        let hash = block.block_hash();
        if self.refused == Some(hash) {
            return Some("rejected");
        }
        let prev = block.header.prev_blockhash;
        if self.invalid.contains(&hash) {
            return Some("duplicate-invalid");
        }
        if self.invalid.contains(&prev) {
            return Some("bad-prevblk");
        }
        if self.blocks.contains_key(&hash) {
            return Some("duplicate");
        }
        if prev != self.tip() {
            if !self.best.contains(&prev) && !self.blocks.contains_key(&prev) {
                return Some("prev-blk-not-found");
            }
            self.blocks.insert(hash, block);
            return Some("inconclusive");
        }
        let verdict = self.refuses_next.or_else(|| self.judge(&block, true));
        if verdict.is_none() {
            self.blocks.insert(hash, block);
            self.best.push(hash);
            self.mempool.clear();
        }
        verdict
    }

    /// The judgement of the `bitcoin` crate, and of the rules of Core's own tests, on a block.
    fn judge(&self, block: &Block, work: bool) -> Option<&'static str> {
        let height = self.height() as u64 + 1;
        if block.header.prev_blockhash != self.tip() {
            return Some("inconclusive-not-best-prevblk");
        }
        if work && block.header.validate_pow(Target::MAX_ATTAINABLE_REGTEST).is_err() {
            return Some("high-hash");
        }
        if !block.check_merkle_root() {
            return Some("bad-txnmrklroot");
        }
        let coinbase = &block.txdata[0];
        if !(2..=100).contains(&coinbase.input[0].script_sig.len()) {
            return Some("bad-cb-length");
        }
        // The `bitcoin` crate reads no height below 17: those are single opcodes.
        let height_is_right = match height {
            1..=16 => coinbase.input[0].script_sig.as_bytes()[0] == 0x50 + height as u8,
            _ => block.bip34_block_height() == Ok(height),
        };
        if !height_is_right {
            return Some("bad-cb-height");
        }
        if !block.check_witness_commitment() {
            return Some("bad-witness-merkle-match");
        }
        let paid: u64 = coinbase.output.iter().map(|output| output.value.to_sat()).sum();
        if paid != SUBSIDY + FEE * (block.txdata.len() as u64 - 1) {
            return Some("bad-cb-amount");
        }
        // BIP54.
        if coinbase.lock_time.to_consensus_u32() as u64 != height - 1
            || coinbase.input[0].sequence == Sequence::MAX
        {
            return Some("bad-cb-locktime");
        }
        None
    }
}

/// The method ("proposal" and "longpoll" apart).
fn name(call: &Call) -> &'static str {
    match call {
        Call::Proposal { .. } => "proposal",
        Call::Template { longpoll_id: Some(_) } => "longpoll",
        other => other.method(),
    }
}

/// An answer with this result.
pub(crate) fn result(result: &Value) -> Answer {
    let body = json!({"jsonrpc": "2.0", "result": result}).to_string().into_bytes();
    Answer { status: 200, body, ..Answer::default() }
}

fn error(code: i64, message: &str) -> Answer {
    let error = json!({"code": code, "message": message});
    let body = json!({"jsonrpc": "2.0", "error": error}).to_string().into_bytes();
    Answer { status: 200, body, ..Answer::default() }
}

/// A client, its nodes, its spool and its clock.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) cores: Vec<Core>,
    pub(crate) now: Duration,
    /// The spool directory, by block hash.
    pub(crate) spool: BTreeMap<Hash256Text, SpooledBlock>,
    pub(crate) disk_full: bool,
    pub(crate) job: Option<Arc<Job>>,
    pub(crate) events: Vec<NodeEvent>,
    /// Blocks sent, with the time and the spool as it was then.
    pub(crate) sent: Vec<(usize, Duration, bool)>,
    /// Calls made, with their nodes and times.
    asked: Vec<(usize, &'static str, Duration)>,
    /// Calls that hang, and when the caller gives them up.
    pub(crate) hanging: Vec<(u64, Duration)>,
}

type Hash256Text = String;

pub(crate) fn config(nodes: usize) -> Config {
    Config {
        chain: None,
        address: ADDRESS.parse::<Address>().unwrap(),
        tag: b"/midstate/".to_vec(),
        extranonce1: vec![1, 2, 3, 4],
        version_mask: BIP320_MASK,
        nodes,
        long_poll: LongPolling::Always,
        failover: Limits::default(),
        block_interval: Duration::ZERO,
    }
}

impl World {
    pub(crate) fn new(cores: Vec<Core>) -> Self {
        Self::with(config(cores.len()), cores)
    }

    pub(crate) fn with(config: Config, cores: Vec<Core>) -> Self {
        let now = Duration::from_secs(1000);
        Self {
            client: Client::new(config, now),
            cores,
            now,
            spool: BTreeMap::new(),
            disk_full: false,
            job: None,
            events: Vec::new(),
            sent: Vec::new(),
            asked: Vec::new(),
            hanging: Vec::new(),
        }
    }

    /// Everything that happens without time passing.
    pub(crate) fn settle(&mut self) {
        let before = self.asked.len();
        loop {
            let mut idle = true;
            while let Some(event) = self.client.poll_event() {
                idle = false;
                self.handle(event);
            }
            while let Some(id) = self.client.poll_cancel() {
                self.hanging.retain(|&(call, _)| call != id);
                for core in &mut self.cores {
                    core.longpolls.retain(|&(poll, _)| poll != id);
                }
            }
            while let Some(request) = self.client.poll_request() {
                idle = false;
                self.asked.push((request.node, name(&request.call), self.now));
                assert!(self.asked.len() < before + 10_000, "one call leads to the next");
                let core = &mut self.cores[request.node];
                if core.fresh || core.closes || core.cuts == Some(name(&request.call)) {
                    core.fresh = false;
                    self.client.handle_connected(self.now, request.node);
                }
                if let Call::Submit { block } = &request.call {
                    let spooled = self.spool.values().any(|file| file.hex == **block);
                    self.sent.push((request.node, self.now, spooled));
                }
                match self.cores[request.node].answer(request.id, &request.call) {
                    Some(answer) => self.client.handle_answer(self.now, request.id, answer),
                    None => self.hanging.push((request.id, self.now + request.timeout)),
                }
            }
            for core in &mut self.cores {
                let tip = core.tip();
                let woken = |(_, waits_for): &mut (u64, BlockHash)| *waits_for != tip;
                let deaf = core.deaf;
                let longpolls: Vec<_> =
                    core.longpolls.extract_if(.., |poll| woken(poll) && !deaf).collect();
                for (id, _) in longpolls {
                    idle = false;
                    let result = core.template();
                    let body = json!({"result": result, "id": id}).to_string().into_bytes();
                    self.client.handle_answer(
                        self.now,
                        id,
                        Ok(Answer { status: 200, body, ..Answer::default() }),
                    );
                }
            }
            if idle {
                return;
            }
        }
    }

    fn handle(&mut self, event: NodeEvent) {
        match &event.what {
            NodeNews::Job { job, .. } => self.job = Some(job.clone()),
            NodeNews::Pause => self.job = None,
            NodeNews::Spool(block) => {
                let outcome = if self.disk_full {
                    Err(std::io::Error::other("no space left on device"))
                } else {
                    // As a file, and back.
                    let (name, content) = (block.file_name(), block.file_content());
                    let file = SpooledBlock::from_file(&name, &content).unwrap();
                    self.spool.insert(block.hash.to_string(), file);
                    Ok(())
                };
                self.client.handle_spooled(self.now, block.hash, outcome);
            }
            NodeNews::Unspool { hash, .. } => drop(self.spool.remove(&hash.to_string())),
            _ => {}
        }
        self.events.push(event);
    }

    /// Lets time pass, from deadline to deadline.
    pub(crate) fn pass(&mut self, seconds: u64) {
        self.settle();
        let end = self.now + Duration::from_secs(seconds);
        let mut spins = 0;
        while let Some(at) = self.next_deadline().filter(|&at| at <= end) {
            spins = if at > self.now { 0 } else { spins + 1 };
            assert!(spins < 1_000, "a timer spins");
            self.advance_to(at.max(self.now));
        }
        self.advance_to(end);
    }

    fn next_deadline(&self) -> Option<Duration> {
        let hanging = self.hanging.iter().map(|&(_, at)| at);
        hanging.chain(self.client.poll_timeout()).min()
    }

    fn advance_to(&mut self, at: Duration) {
        let clock = START + (at.as_secs() - 1000) as u32;
        self.cores.iter_mut().for_each(|core| core.clock = clock);
        self.now = at;
        for (id, _) in self.hanging.extract_if(.., |(_, until)| *until <= at).collect::<Vec<_>>() {
            let words = "nothing came within 30 s".to_owned();
            self.client.handle_answer(at, id, Err(NoAnswer::TimedOut(words)));
        }
        self.client.handle_timeout(at);
        self.settle();
    }

    /// The node goes away: its connections break.
    pub(crate) fn stop(&mut self, node: usize) {
        self.cores[node].trouble = Some(Trouble::Down);
        for (id, _) in std::mem::take(&mut self.cores[node].longpolls) {
            self.client.handle_answer(
                self.now,
                id,
                Err(NoAnswer::Broken("connection closed".to_owned())),
            );
        }
        self.settle();
    }

    /// A share of the job at hand that solves a block.
    pub(crate) fn solve(&self) -> Share {
        solve(self.job.as_ref().expect("no job to solve"), 0)
    }

    /// Solves the job and hands the block in.
    pub(crate) fn mine(&mut self) -> Hash256 {
        let share = self.solve();
        // It is not sent where one on the same tip is under way.
        let _ = self.client.handle_share(self.now, &share);
        self.settle();
        share.hash
    }

    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        let verdict = |event: &NodeEvent| match &event.what {
            NodeNews::Block(outcome) => Some(outcome.verdict),
            _ => None,
        };
        self.events.iter().filter_map(verdict).collect()
    }

    /// Another node takes this one's place in the blink of an eye: its connections break.
    pub(crate) fn swap(&mut self, node: usize, core: Core) {
        self.stop(node);
        self.cores[node] = Core { fresh: true, ..core };
    }

    /// When a node was asked for something, in seconds since the start, but for the first `skip`.
    pub(crate) fn asked_at(&self, node: usize, method: &str, skip: usize) -> Vec<u64> {
        let calls = self.asked.iter().filter(|asked| (asked.0, asked.1) == (node, method));
        calls.skip(skip).map(|asked| asked.2.as_secs() - 1000).collect()
    }

    pub(crate) fn told(&self, what: &NodeNews) -> bool {
        self.events.iter().any(|event| event.what == *what)
    }

    pub(crate) fn warnings(&self) -> Vec<&str> {
        let mut warnings = Vec::new();
        for event in &self.events {
            if let NodeNews::Warning(words) = &event.what {
                warnings.push(words.as_str());
            }
        }
        warnings
    }

    pub(crate) fn states(&self) -> Vec<(usize, NodeState)> {
        let state = |event: &NodeEvent| match &event.what {
            NodeNews::Node { state, .. } => Some((event.node, *state)),
            _ => None,
        };
        self.events.iter().filter_map(state).collect()
    }
}

/// The `skip`-th solution of a job.
pub(crate) fn solve(job: &Arc<Job>, skip: usize) -> Share {
    let extranonce2 = vec![0; job.extranonce2_size];
    let header = job.header(&extranonce2);
    let mut headers = (0..).map(|nonce| midstate_chain::Header { nonce, ..header });
    let solved =
        headers.by_ref().filter(|header| job.network_target.is_met_by(&header.hash())).nth(skip);
    let header = solved.unwrap();
    Share {
        job: Arc::clone(job),
        extranonce2,
        version: header.version,
        time: header.time,
        nonce: header.nonce,
        hash: header.hash(),
    }
}
