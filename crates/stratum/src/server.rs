//! The server's state machine: one connection of a miner, ours or any other.

use std::collections::VecDeque;

use midstate_chain::{Job, is_printable};
use serde_json::{Map, Value, json};

use crate::difficulty::Difficulty;
use crate::line::{LineBuffer, LineTooLong};
use crate::message::{self, Call, Message, hex_bytes, hex_u32};
use crate::{CloseReason, Limits, notify, sanitize};

/// The settings of a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerConfig {
    /// The pool's part of the extranonce, different for each connection.
    pub extranonce1: Vec<u8>,
    /// Bytes that the miner turns.
    pub extranonce2_size: usize,
    /// The version bits that a miner may roll if it asks; 0 for none.
    pub version_mask: u32,
    /// The limits on the miner.
    pub limits: Limits,
}

/// A request of a miner to the pool.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// It is answered already; difficulty and a job are due.
    Subscribed {
        /// The miner's name and version, if it gave one.
        user_agent: Option<String>,
    },
    /// To be answered with [`Server::answer`].
    Authorize {
        /// For the answer.
        ticket: Ticket,
        /// The worker.
        user: String,
        /// Empty if the miner gave none.
        password: String,
    },
    /// To be answered with [`Server::answer`].
    Submit {
        /// For the answer.
        ticket: Ticket,
        /// The share that was found.
        submission: Submission,
    },
    /// A wish.
    SuggestDifficulty(f64),
    /// The caller must drop the transport.
    Close(CloseReason),
}

/// A share as it was submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// One of the workers that this connection authorized.
    pub worker: String,
    /// The job it claims to belong to.
    pub job_id: String,
    /// Exactly as many bytes as the connection was given.
    pub extranonce2: Vec<u8>,
    /// Header time.
    pub time: u32,
    /// Header nonce.
    pub nonce: u32,
    /// The rolled version bits: `version = (job & !mask) | bits` (BIP310). `None` if rolling was
    /// not negotiated.
    pub version_bits: Option<u32>,
}

impl Submission {
    /// The request as a line. All fields at full width in lower case: a pool that does not check
    /// cuts an unpadded one wrong (NerdMiner lost 1 share in 16 so).
    pub fn to_line(&self, id: u64) -> Vec<u8> {
        let mut params = vec![
            json!(self.worker),
            json!(self.job_id),
            json!(const_hex::encode(&self.extranonce2)),
            json!(format!("{:08x}", self.time)),
            json!(format!("{:08x}", self.nonce)),
        ];
        params.extend(self.version_bits.map(|bits| json!(format!("{bits:08x}"))));
        message::request(id, "mining.submit", &params.into())
    }
}

/// Our own words, by which our own client knows them.
pub(crate) const SOLVED: &str = "a block on this tip was found already; the next job follows";

/// The right to answer one request, once.
#[derive(Debug, PartialEq)]
pub struct Ticket {
    id: Value,
    /// The worker to let in.
    worker: Option<String>,
}

/// A refusal, as pools word it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// 20 to 25.
    pub code: i64,
    /// For people.
    pub text: String,
}

impl Reject {
    /// 20: none of the others.
    pub fn other(text: impl Into<String>) -> Self {
        Self { code: 20, text: text.into() }
    }

    /// 21: the job is unknown or void.
    pub fn stale() -> Self {
        Self { code: 21, text: "job not found (stale)".into() }
    }

    /// 21: the job is void since a block was found on its tip; the next job has yet to come.
    pub fn solved() -> Self {
        Self { code: 21, text: SOLVED.into() }
    }

    /// 22: it came before.
    pub fn duplicate() -> Self {
        Self { code: 22, text: "duplicate share".into() }
    }

    /// 23: the hash is above the share target.
    pub fn low_difficulty() -> Self {
        Self { code: 23, text: "low difficulty share".into() }
    }

    /// 24: the worker is not authorized.
    pub fn unauthorized() -> Self {
        Self { code: 24, text: "unauthorized worker".into() }
    }

    /// 25: nothing works before `mining.subscribe`.
    pub fn not_subscribed() -> Self {
        Self { code: 25, text: "not subscribed".into() }
    }
}

/// The server side of one connection.
///
/// It answers by itself what needs no pool: configure, subscribe, the courtesies. The caller gets
/// what does. It is kind to foreign miners: subscribe with or without parameters, no configure, ids
/// of any sort, numbers without padding.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    lines: LineBuffer,
    /// Bytes behind a request that the pool has yet to answer.
    unread: Vec<u8>,
    is_subscribed: bool,
    /// The version bits both sides agreed on; `None` if the miner did not ask.
    version_mask: Option<u32>,
    /// The workers that were let in, and those that wait for the pool's answer.
    workers: Vec<Worker>,
    /// Malformed lines without a good line in between.
    malformed: usize,
    is_closing: bool,
    transmit: VecDeque<Line>,
    events: VecDeque<ServerEvent>,
}

/// A worker of this connection.
#[derive(Debug)]
struct Worker {
    name: String,
    /// Whether the pool has let it in. A worker that waits for that counts against the limit, too.
    is_in: bool,
}

/// A line that waits to be written.
#[derive(Debug)]
struct Line {
    bytes: Vec<u8>,
    /// The `clean` flag of the job, if the line is one.
    job: Option<bool>,
}

/// JSON-RPC's and the pools' number for a method that does not exist.
const NO_SUCH_METHOD: i64 = -3;

impl Server {
    /// For a connection that was just accepted.
    pub fn new(config: ServerConfig) -> Self {
        Self {
            lines: LineBuffer::new(config.limits.request_line),
            unread: Vec::new(),
            config,
            is_subscribed: false,
            version_mask: None,
            workers: Vec::new(),
            malformed: 0,
            is_closing: false,
            transmit: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// A line for a miner that is turned away, whatever it asked. Miners take the first line for
    /// the answer to their first request, and show what it says.
    pub fn farewell(words: &str) -> Vec<u8> {
        message::refuse(&Value::Null, Reject::other(words).code, words)
    }

    /// The version bits that both sides agreed to roll; 0 if the miner did not ask.
    pub fn version_mask(&self) -> u32 {
        self.version_mask.unwrap_or(0)
    }

    /// Bytes came, in any fragmentation.
    ///
    /// Requests are handled one after the other: those behind one that the pool has to answer wait
    /// until [`poll_event`](Self::poll_event) is called after it. So a share that comes in one
    /// write with its authorization is a share of an authorized worker, and answers keep the order
    /// of their requests.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        self.read_on();
    }

    /// Handles requests until one is the pool's to answer.
    fn read_on(&mut self) {
        let unread = std::mem::take(&mut self.unread);
        let mut bytes = &unread[..];
        while !self.is_closing && self.events.is_empty() {
            match self.lines.next_line(&mut bytes) {
                Ok(Some(line)) => self.handle_line(&line),
                Ok(None) => break,
                Err(LineTooLong { got }) => {
                    let limit = self.config.limits.request_line;
                    self.close(CloseReason::LineTooLong { got, limit });
                }
            }
        }
        if !self.is_closing {
            self.unread = bytes.to_vec();
        }
    }

    /// The next line to write, with its line feed.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmit.pop_front().map(|line| line.bytes)
    }

    /// The next thing that happened. Answer an event before you ask for the next one.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        if self.events.is_empty() {
            self.read_on();
        }
        self.events.pop_front()
    }

    /// Sets the share difficulty of the jobs after this. Call it once the miner has subscribed.
    pub fn set_difficulty(&mut self, difficulty: f64) {
        let params = json!([Difficulty::to_json(difficulty)]);
        self.send(message::notification("mining.set_difficulty", &params));
    }

    /// Hands out a job. Its extranonce, mask and targets are the connection's business and not
    /// sent. Call it once the miner has subscribed.
    ///
    /// A job replaces an earlier one that still waits to be written: a miner on a slow line gets
    /// the newest job alone, and a flood of jobs takes no memory. The `clean` flag of the earlier
    /// job is kept.
    pub fn notify(&mut self, job: &Job) {
        let waiting = self.transmit.iter().position(|line| line.job.is_some());
        let replaced = waiting.and_then(|at| self.transmit.remove(at));
        let clean = job.clean || replaced.is_some_and(|line| line.job == Some(true));
        let params = match clean == job.clean {
            true => notify::to_params(job),
            false => notify::to_params(&Job { clean, ..job.clone() }),
        };
        let bytes = message::notification("mining.notify", &params);
        self.push(Line { bytes, job: Some(clean) });
    }

    /// Answers an authorization or a submission. A worker that is authorized may submit from then
    /// on.
    pub fn answer(&mut self, ticket: Ticket, verdict: Result<(), Reject>) {
        let asked = ticket.worker.as_ref();
        let asked = self.workers.iter().position(|worker| Some(&worker.name) == asked);
        match verdict {
            Ok(()) => {
                if let Some(at) = asked {
                    self.workers[at].is_in = true;
                }
                self.send(message::answer(&ticket.id, &json!(true)));
            }
            Err(reject) => {
                // A worker that was let in before stays: its shares are still its own.
                if let Some(at) = asked.filter(|&at| !self.workers[at].is_in) {
                    self.workers.remove(at);
                }
                self.refuse(&ticket.id, &reject);
            }
        }
    }

    fn handle_line(&mut self, line: &[u8]) {
        match Message::parse(line, self.config.limits.depth) {
            // We ask nothing, so answers answer nothing.
            Ok(None | Some(Message::Answer(_))) => {}
            Ok(Some(Message::Call(call))) => {
                self.malformed = 0;
                self.handle_call(call);
            }
            Err(error) => {
                self.malformed += 1;
                let (count, last) = (self.malformed, sanitize(&error.to_string(), 256));
                if count >= self.config.limits.malformed_lines {
                    self.close(CloseReason::Malformed { count, last });
                } else {
                    self.refuse(&Value::Null, &Reject::other(last));
                }
            }
        }
    }

    fn handle_call(&mut self, Call { id, method, params }: Call) {
        if !message::is_echoable(&id) {
            let reason = "an id must be a number of 64 bits, a text of at most 64 bytes or null";
            return self.refuse(&Value::Null, &Reject::other(reason));
        }
        match method.as_str() {
            "mining.configure" => self.handle_configure(&id, &params),
            "mining.subscribe" => self.handle_subscribe(&id, &params),
            "mining.authorize" => self.handle_authorize(id, &params),
            "mining.submit" => match self.parse_submission(&params) {
                Ok(submission) => {
                    let ticket = Ticket { id, worker: None };
                    self.events.push_back(ServerEvent::Submit { ticket, submission });
                }
                Err(reject) => self.refuse(&id, &reject),
            },
            "mining.suggest_difficulty" => match Difficulty::from_params(&params) {
                Ok(difficulty) => {
                    self.events.push_back(ServerEvent::SuggestDifficulty(difficulty.value));
                    self.reply(&id, &json!(true));
                }
                Err(error) => self.refuse(&id, &Reject::other(error.to_string())),
            },
            // Nothing to subscribe to: an extranonce here lasts as long as its connection.
            "mining.extranonce.subscribe" => self.reply(&id, &json!(true)),
            "mining.ping" => self.reply(&id, &json!("pong")),
            _ if id.is_null() => {}
            _ => self.send(message::refuse(&id, NO_SUCH_METHOD, "method not found")),
        }
    }

    /// BIP310. Extensions that are not mentioned in the answer are not supported.
    fn handle_configure(&mut self, id: &Value, params: &[Value]) {
        let extensions = params.first().and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let option = |name: &str| params.get(1).and_then(|options| options.get(name));
        let mut result = Map::new();
        for extension in extensions.iter().filter_map(Value::as_str) {
            match extension {
                "version-rolling" => {
                    // A mask that cannot be read allows nothing; none at all allows everything.
                    let asked = option("version-rolling.mask").filter(|mask| !mask.is_null());
                    let asked =
                        asked.map_or(u32::MAX, |mask| mask.as_str().and_then(hex_u32).unwrap_or(0));
                    let mask = asked & self.config.version_mask;
                    let least = option("version-rolling.min-bit-count").and_then(bit_count);
                    let is_enough = mask != 0 && mask.count_ones() >= least.unwrap_or(0);
                    let agreed = if is_enough { mask } else { 0 };
                    self.version_mask = is_enough.then_some(mask);
                    result.insert(extension.into(), is_enough.into());
                    // With a no, too: the reference implementation reads no answer without it.
                    let mask = format!("{agreed:08x}");
                    result.insert("version-rolling.mask".into(), mask.into());
                }
                "subscribe-extranonce" | "info" => {
                    result.insert(extension.into(), true.into());
                }
                "minimum-difficulty" => {
                    result.insert(extension.into(), false.into());
                }
                _ => {}
            }
        }
        self.reply(id, &result.into());
    }

    /// `[]`, `[name]`, `[name, session, ..]`. A second one gets the same answer.
    fn handle_subscribe(&mut self, id: &Value, params: &[Value]) {
        let session = const_hex::encode(&self.config.extranonce1);
        self.reply(
            id,
            &json!([
                [["mining.set_difficulty", session], ["mining.notify", session]],
                session,
                self.config.extranonce2_size,
            ]),
        );
        if !self.is_subscribed {
            self.is_subscribed = true;
            let limit = self.config.limits.text;
            let name = params.first().and_then(Value::as_str).map(|name| sanitize(name, limit));
            self.events.push_back(ServerEvent::Subscribed { user_agent: name });
        }
    }

    /// `[user]` or `[user, password]`, before or after subscribe.
    fn handle_authorize(&mut self, id: Value, params: &[Value]) {
        let user = params.first().and_then(Value::as_str).unwrap_or_default();
        let limit = self.config.limits.user;
        let is_readable = user.chars().all(is_printable) && !user.trim().is_empty();
        if !is_readable || user.len() > limit {
            let text = format!("a worker is 1 to {limit} printable bytes, and not blanks alone");
            return self.refuse(&id, &Reject { text, ..Reject::unauthorized() });
        }
        let user = user.to_owned();
        if !self.workers.iter().any(|worker| worker.name == user) {
            let most = self.config.limits.workers;
            if self.workers.len() >= most {
                let text = format!("more than {most} workers on one connection");
                return self.refuse(&id, &Reject { text, ..Reject::unauthorized() });
            }
            self.workers.push(Worker { name: user.clone(), is_in: false });
        }
        let password = params.get(1).and_then(Value::as_str).unwrap_or_default().to_owned();
        let ticket = Ticket { id, worker: Some(user.clone()) };
        self.events.push_back(ServerEvent::Authorize { ticket, user, password });
    }

    /// `[worker, job id, extranonce2, time, nonce]`, and the version bits if they were negotiated.
    fn parse_submission(&self, params: &[Value]) -> Result<Submission, Reject> {
        if !self.is_subscribed {
            return Err(Reject::not_subscribed());
        }
        let (worker, job_id, extranonce2, time, nonce, sixth) = match params {
            [worker, job_id, extranonce2, time, nonce] => {
                (worker, job_id, extranonce2, time, nonce, None)
            }
            [worker, job_id, extranonce2, time, nonce, sixth] => {
                (worker, job_id, extranonce2, time, nonce, Some(sixth))
            }
            _ => {
                let got = params.len();
                return Err(Reject::other(format!("expected 5 or 6 parameters, got {got}")));
            }
        };
        let is_in =
            |name: &&str| self.workers.iter().any(|known| known.is_in && known.name == *name);
        let worker = worker.as_str().filter(is_in).ok_or_else(Reject::unauthorized)?.to_owned();
        let job_id = job_id.as_str().ok_or_else(|| Reject::other("the job id must be a text"))?;
        let digits = 2 * self.config.extranonce2_size;
        let extranonce2 = extranonce2.as_str().filter(|text| text.len() == digits);
        let extranonce2 = extranonce2
            .and_then(hex_bytes)
            .ok_or_else(|| Reject::other(format!("extranonce2 must be {digits} hex digits")))?;
        Ok(Submission {
            worker,
            job_id: job_id.to_owned(),
            extranonce2,
            time: number("time", time)?,
            nonce: number("nonce", nonce)?,
            version_bits: self.version_bits(sixth)?,
        })
    }

    /// The sixth parameter. A miner that negotiated and leaves it out has rolled nothing; one that
    /// did not negotiate and rolled all the same would only hear "low difficulty".
    fn version_bits(&self, sixth: Option<&Value>) -> Result<Option<u32>, Reject> {
        let bits = match sixth {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => number("version bits", value)?,
        };
        match self.version_mask {
            Some(mask) if bits & !mask == 0 => Ok(Some(bits)),
            Some(mask) => Err(Reject::other(format!("version bits beyond the mask {mask:08x}"))),
            None if bits == 0 => Ok(None),
            None => Err(Reject::other("version bits without mining.configure")),
        }
    }

    fn reply(&mut self, id: &Value, result: &Value) {
        self.send(message::answer(id, result));
    }

    fn refuse(&mut self, id: &Value, reject: &Reject) {
        self.send(message::refuse(id, reject.code, &reject.text));
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.push(Line { bytes, job: None });
    }

    fn push(&mut self, line: Line) {
        let waiting = self.transmit.len();
        if waiting >= self.config.limits.server_outbox {
            return self.close(CloseReason::NotRead(waiting));
        }
        self.transmit.push_back(line);
    }

    fn close(&mut self, reason: CloseReason) {
        if !self.is_closing {
            self.is_closing = true;
            // A miner that does not read would not read this either.
            if !matches!(reason, CloseReason::NotRead(_)) {
                self.refuse(&Value::Null, &Reject::other(sanitize(&reason.to_string(), 256)));
            }
            self.events.push_back(ServerEvent::Close(reason));
        }
    }
}

/// Big-endian hex at full width.
fn number(what: &str, value: &Value) -> Result<u32, Reject> {
    let bytes = value.as_str().and_then(hex_bytes).and_then(|bytes| bytes.try_into().ok());
    bytes
        .map(u32::from_be_bytes)
        .ok_or_else(|| Reject::other(format!("{what} must be 8 hex digits")))
}

/// An integer by BIP310, a text in hex by the reference implementation.
fn bit_count(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => hex_u32(text),
        other => other.as_u64().and_then(|count| u32::try_from(count).ok()),
    }
}
