//! The world around a client: a line, a pool, a miner that finds shares, and time.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Share, Verdict};
use midstate_stratum::{Client, ClientConfig, ClientEvent, ShareOutcome};
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::pool::{Pool, QUARTER};

const LATENCY: Duration = Duration::from_millis(10);
const REFRESH: Duration = Duration::from_secs(30);
/// However much comes in one packet: beside a verdict for each share that waits, a few events of
/// each other kind (S6).
const MOST_OTHER_EVENTS: usize = 20;
/// Nothing in a run makes more steps than this; what does, spins.
const MOST_STEPS: u64 = 1_000_000;

/// The outcome of some runs.
#[derive(Default)]
pub(crate) struct Outcome {
    found: u64,
    accepted: u64,
    unresolved: u64,
    other: u64,
    connections: u64,
}

/// How the pool answers shares.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answering {
    Well,
    Never,
    Late,
    Twice,
    Stray,
    NextConnection,
    Errors,
    Refuse,
    Unauthorized,
}

pub(crate) struct World {
    pub(crate) pool: Pool,
    pub(crate) notify_first: bool,
    pub(crate) late_authorize: bool,
    client: Client,
    random: u64,
    now: Duration,
    line: Line,
    /// The transport is up.
    up: bool,
    let_in: bool,
    connections: u64,
    reconnect_at: Duration,
    reset_at: Option<Duration>,
    refuse_until: Duration,
    answering: (Answering, Duration),
    /// Answers that the pool keeps for the next connection.
    kept: Vec<Value>,
    refresh_at: Duration,
    /// Submissions on this connection.
    seen: HashSet<String>,
    job: Option<Arc<Job>>,
    share_at: Duration,
    next_nonce: u32,
    found: HashMap<[u8; 32], Option<Verdict>>,
    /// Of those, how many have no verdict.
    open: usize,
    steps: u64,
}

/// Both directions, and what is wrong with them until when.
#[derive(Default)]
struct Line {
    to_client: BTreeMap<(Duration, u64), Vec<u8>>,
    to_pool: BTreeMap<(Duration, u64), Vec<u8>>,
    sent: u64,
    free_at: Duration,
    mute_until: Duration,
    deaf_until: Duration,
    slow_until: Duration,
    split_until: Duration,
    merge_until: Duration,
    delay: (Duration, Duration),
}

impl World {
    /// One run of one fault.
    pub(crate) fn run(fault: Fault, seed: u64) -> Outcome {
        let mut world = Self::new(seed);
        world.pass(60);
        for _ in 0..3 {
            (fault.strike)(&mut world);
            let pause = world.number() % 200;
            world.pass(u64::from(pause));
        }
        world.heal();
        world.pass(600);
        let before = world.pool.accepted();
        world.pass(300);
        let name = fault.name;
        assert!(
            world.pool.accepted() > before,
            "{name}, seed {seed}: it does not come back to work"
        );
        world.finish(name, seed)
    }

    fn new(seed: u64) -> Self {
        let now = Duration::from_secs(1000);
        Self {
            pool: Pool::new(),
            notify_first: false,
            late_authorize: false,
            client: Client::new(ClientConfig::new("addr.worker")),
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            now,
            line: Line::default(),
            up: false,
            let_in: false,
            connections: 0,
            reconnect_at: now,
            reset_at: None,
            refuse_until: Duration::ZERO,
            answering: (Answering::Well, Duration::ZERO),
            kept: Vec::new(),
            refresh_at: now + REFRESH,
            seen: HashSet::new(),
            job: None,
            share_at: now,
            next_nonce: 0,
            found: HashMap::new(),
            open: 0,
            steps: 0,
        }
    }

    /// The end of every fault.
    fn heal(&mut self) {
        let Line { to_client, to_pool, sent, .. } = std::mem::take(&mut self.line);
        self.line = Line { to_client, to_pool, sent, free_at: self.now, ..Line::default() };
        (self.notify_first, self.late_authorize) = (false, false);
        self.refuse_until = self.now;
        self.answering.0 = Answering::Well;
        self.pool.judges_by_newest = false;
        self.pool.difficulty = QUARTER;
        let (difficulty, job) = (self.pool.set_difficulty(), self.pool.job(true));
        self.send(&difficulty);
        self.send(&job);
    }

    fn finish(mut self, name: &str, seed: u64) -> Outcome {
        self.client.finish(self.now);
        self.pump();
        assert_eq!(self.client.pending(), 0);
        assert_eq!(self.pool.below_target, 0, "{name}, seed {seed}: shares above their target");
        let mut outcome = Outcome { connections: self.connections, ..Outcome::default() };
        for (hash, verdict) in &self.found {
            outcome.found += 1;
            match verdict {
                None => panic!("{name}, seed {seed}: a share without a verdict"),
                Some(Verdict::Accepted) => {
                    assert!(self.pool.has(hash), "{name}, seed {seed}: accepted by nobody");
                    outcome.accepted += 1;
                }
                Some(Verdict::Unresolved) => outcome.unresolved += 1,
                Some(_) => outcome.other += 1,
            }
        }
        outcome
    }

    /// Lets so many seconds pass.
    fn pass(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        loop {
            self.steps += 1;
            assert!(self.steps < MOST_STEPS, "it spins");
            let next = [
                self.line.to_client.keys().next().map(|&(at, _)| at),
                self.line.to_pool.keys().next().map(|&(at, _)| at),
                self.client.poll_timeout(),
                (!self.up).then_some(self.reconnect_at),
                self.reset_at,
                Some(self.refresh_at),
                Some(self.share_at),
            ];
            let next = next.into_iter().flatten().min().unwrap_or(until);
            if next > until {
                break;
            }
            self.now = self.now.max(next);
            self.step();
        }
        self.now = until;
    }

    fn step(&mut self) {
        let now = self.now;
        if self.reset_at.take_if(|at| *at <= now).is_some() {
            self.reset();
        }
        if !self.up && self.reconnect_at <= now {
            self.connect();
        }
        if let Some(bytes) = due(&mut self.line.to_client, now)
            && self.up
        {
            self.client.handle_bytes(now, &bytes);
        }
        if let Some(bytes) = due(&mut self.line.to_pool, now)
            && self.up
        {
            let request = serde_json::from_slice(&bytes).expect("the client writes JSON");
            self.serve(&request);
        }
        if let Some(at) = self.client.poll_timeout().filter(|&at| at <= now) {
            self.client.handle_timeout(now);
            assert!(self.client.poll_timeout() != Some(at), "a timer that was handled returns");
        }
        if self.refresh_at <= now {
            self.refresh_at = now + REFRESH;
            if self.let_in {
                let clean = self.number().is_multiple_of(3);
                self.pool.prev ^= u8::from(clean);
                let job = self.pool.job(clean);
                self.send(&job);
            }
        }
        if self.share_at <= now {
            let pause = u64::from(self.number() % 5000);
            self.share_at = now + Duration::from_millis(200 + pause);
            self.find_share();
        }
        self.pump();
    }

    fn connect(&mut self) {
        if self.now < self.refuse_until {
            self.reconnect_at = self.now + Duration::from_secs(10);
            return;
        }
        self.connections += 1;
        (self.up, self.let_in) = (true, false);
        self.seen.clear();
        self.client.handle_connected(self.now);
        for answer in std::mem::take(&mut self.kept) {
            self.send(&answer);
        }
        if self.notify_first {
            let (difficulty, job) = (self.pool.set_difficulty(), self.pool.job(true));
            self.send(&difficulty);
            self.send(&job);
        }
    }

    fn disconnect(&mut self) {
        if std::mem::take(&mut self.up) {
            self.line.to_client.clear();
            self.line.to_pool.clear();
            self.line.free_at = self.now;
            self.let_in = false;
            self.client.handle_disconnected(self.now);
            let pause = u64::from(self.number() % 4000);
            self.reconnect_at = self.now + Duration::from_millis(1 + pause);
        }
    }

    /// Takes what the client has to say, to the pool and to us.
    fn pump(&mut self) {
        while let Some(bytes) = self.client.poll_transmit() {
            if self.up && self.now >= self.line.deaf_until {
                let at = self.now + LATENCY + self.line.delay(self.now);
                self.line.sent += 1;
                self.line.to_pool.insert((at, self.line.sent), bytes);
            }
        }
        let (waiting, mut verdicts, mut others) = (self.open, 0, 0);
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::Verdict(_) => verdicts += 1,
                _ => others += 1,
            }
            match event {
                ClientEvent::Job(job) => self.job = Some(job),
                ClientEvent::Close(_) => self.disconnect(),
                ClientEvent::Redirect { .. } if self.number().is_multiple_of(2) => {
                    self.disconnect()
                }
                ClientEvent::Verdict(ShareOutcome { share, verdict, .. }) => {
                    let entry = self.found.get_mut(share.hash.as_bytes()).expect("it was found");
                    assert_eq!(entry.replace(verdict), None, "one verdict each");
                    self.open -= 1;
                }
                _ => {}
            }
        }
        assert!(verdicts <= waiting, "{verdicts} verdicts at once for {waiting} shares");
        assert!(others <= MOST_OTHER_EVENTS, "{others} events at once beside the verdicts");
        // I9: the books add up at every instant.
        assert_eq!(self.client.pending(), self.open, "shares without a verdict");
    }

    /// The miner is as lucky as the moment says.
    fn find_share(&mut self) {
        let Some(job) = self.job.clone() else { return };
        let version = job.version | (self.number() & job.rollable_bits());
        loop {
            self.next_nonce += 1;
            let (time, nonce) = (job.time, self.next_nonce);
            let extranonce2 = vec![0; job.extranonce2_size];
            let hash = Default::default();
            let job = Arc::clone(&job);
            let mut share = Share { job, extranonce2, version, time, nonce, hash };
            share.hash = share.header().hash();
            if share.meets_share_target() {
                self.found.insert(*share.hash.as_bytes(), None);
                self.open += 1;
                return self.client.submit(self.now, share);
            }
        }
    }

    fn serve(&mut self, request: &Value) {
        let result = match request["method"].as_str() {
            Some("mining.configure") => {
                let mask = format!("{:08x}", self.pool.mask);
                json!({"version-rolling": true, "version-rolling.mask": mask})
            }
            Some("mining.subscribe") => {
                let (first, size) = (&self.pool.extranonce1, self.pool.extranonce2_size);
                json!([[["mining.notify", first]], first, size])
            }
            Some("mining.submit") => return self.answer_share(request),
            Some(_) => json!(true),
            // An answer to a question of ours.
            None => return,
        };
        let answer = json!({"id": request["id"], "result": result, "error": null});
        if request["method"] == "mining.authorize" {
            self.let_in = true;
            let (difficulty, job) = (self.pool.set_difficulty(), self.pool.job(true));
            self.send(&difficulty);
            self.send(&job);
            if self.late_authorize {
                return self.send_at(self.now + Duration::from_secs(10), &answer);
            }
        }
        self.send(&answer);
    }

    fn answer_share(&mut self, request: &Value) {
        let (id, params) = (&request["id"], &request["params"]);
        assert!(self.seen.insert(params.to_string()), "sent twice on a connection: {params}");
        let how = match self.answering {
            (how, until) if self.now < until => how,
            _ => Answering::Well,
        };
        let refused = match how {
            Answering::Refuse => Some(json!([20, "no", null])),
            Answering::Unauthorized => Some(json!([24, "unauthorized", null])),
            Answering::Errors => Some(self.pick_error()),
            _ => None,
        };
        if let Some(error) = refused {
            return self.send(&json!({"id": id, "result": null, "error": error}));
        }
        let answer = match self.pool.judge(params) {
            Ok(()) => json!({"id": id, "result": true, "error": null}),
            Err((code, text)) => json!({"id": id, "result": null, "error": [code, text, null]}),
        };
        match how {
            Answering::Never => {}
            Answering::Late => self.send_at(self.now + Duration::from_secs(130), &answer),
            Answering::NextConnection => self.kept.push(answer),
            Answering::Stray => {
                for id in [json!(999_999), json!(null), json!("x"), json!(-1), json!(1.5)] {
                    self.send(&json!({"id": id, "result": true, "error": null}));
                }
                self.send(&answer);
            }
            Answering::Twice => {
                self.send(&answer);
                self.send(&answer);
            }
            _ => self.send(&answer),
        }
    }

    fn pick_error(&mut self) -> Value {
        let errors = [
            json!([21, "Job not found"]),
            json!([23]),
            json!({"code": 20, "message": "\u{1b}[2Jother", "data": null}),
            json!("low difficulty"),
            json!(true),
            json!([]),
            json!(["22", "Duplicate", {}]),
        ];
        errors[self.number() as usize % errors.len()].clone()
    }
}

/// Deeds of a fault.
impl World {
    pub(crate) fn send(&mut self, line: &Value) {
        self.raw(&format!("{line}\n"));
    }

    pub(crate) fn raw(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn call(&mut self, method: &str, params: Value) {
        self.send(&json!({"id": null, "method": method, "params": params}));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        if self.up {
            self.line.deliver(self.now, bytes);
        }
    }

    /// Tells the size and the first part of the extranonce, and a job that uses them.
    pub(crate) fn announce_extranonce(&mut self) {
        let params = json!([self.pool.extranonce1, self.pool.extranonce2_size]);
        self.call("mining.set_extranonce", params);
        let job = self.pool.job(true);
        self.send(&job);
    }

    pub(crate) fn renew_session(&mut self) {
        let extranonce1 = self.number();
        self.pool.renew(u64::from(extranonce1));
    }

    /// The connection is gone, and with it whatever was under way.
    pub(crate) fn reset(&mut self) {
        self.disconnect();
    }

    pub(crate) fn reset_in(&mut self, seconds: u64) {
        self.reset_at = Some(self.now + Duration::from_secs(seconds));
    }

    /// The connection ends after all that was sent has arrived.
    pub(crate) fn close(&mut self) {
        for (_, bytes) in std::mem::take(&mut self.line.to_client) {
            if self.up {
                self.client.handle_bytes(self.now, &bytes);
            }
        }
        self.pump();
        self.disconnect();
    }

    /// The process stands still for so long; bytes that come meanwhile wait in the socket.
    pub(crate) fn sleep(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    pub(crate) fn refuse(&mut self, seconds: u64) {
        self.refuse_until = self.now + Duration::from_secs(seconds);
    }

    pub(crate) fn mute(&mut self, seconds: u64) {
        self.line.mute_until = self.now + Duration::from_secs(seconds);
    }

    pub(crate) fn deaf(&mut self, seconds: u64) {
        self.line.deaf_until = self.now + Duration::from_secs(seconds);
    }

    pub(crate) fn slow(&mut self, seconds: u64) {
        self.line.slow_until = self.now + Duration::from_secs(seconds);
    }

    pub(crate) fn split(&mut self, seconds: u64) {
        self.line.split_until = self.now + Duration::from_secs(seconds);
    }

    pub(crate) fn merge(&mut self, seconds: u64) {
        self.line.merge_until = self.now + Duration::from_secs(seconds);
    }

    pub(crate) fn delay(&mut self, delay: u64, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        self.line.delay = (Duration::from_secs(delay), until);
    }

    pub(crate) fn answer_shares(&mut self, how: Answering, seconds: u64) {
        self.answering = (how, self.now + Duration::from_secs(seconds));
        if how == Answering::NextConnection {
            self.reset_in(seconds);
        }
    }

    /// Xorshift: the same for the same seed, on every machine.
    pub(crate) fn number(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) as u32
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.number() as usize % choices.len()]
    }

    fn send_at(&mut self, at: Duration, line: &Value) {
        self.line.sent += 1;
        self.line.to_client.insert((at, self.line.sent), format!("{line}\n").into_bytes());
    }
}

impl Line {
    fn delay(&self, now: Duration) -> Duration {
        if now < self.delay.1 { self.delay.0 } else { Duration::ZERO }
    }

    fn deliver(&mut self, now: Duration, bytes: &[u8]) {
        if now < self.mute_until {
            return;
        }
        let mut at = (now + LATENCY + self.delay(now)).max(self.free_at);
        if now < self.merge_until {
            at = at.max(self.merge_until);
        }
        let piece = if now < self.slow_until.max(self.split_until) { 1 } else { bytes.len() };
        for piece in bytes.chunks(piece.max(1)) {
            self.sent += 1;
            self.to_client.insert((at, self.sent), piece.to_vec());
            if now < self.slow_until {
                at += Duration::from_secs(1);
            }
        }
        self.free_at = at;
    }
}

/// The bytes that arrive now.
fn due(queue: &mut BTreeMap<(Duration, u64), Vec<u8>>, now: Duration) -> Option<Vec<u8>> {
    let first = queue.first_entry().filter(|entry| entry.key().0 <= now)?;
    Some(first.remove())
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.found += other.found;
        self.accepted += other.accepted;
        self.unresolved += other.unresolved;
        self.other += other.other;
        self.connections += other.connections;
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, accepted, unresolved, other, connections } = self;
        write!(
            f,
            "{connections:>7} connections, {found:>8} shares = {accepted} accepted + {unresolved} \
             unresolved + {other} rejected or stale; 0 lost, 0 doubled, 0 above their target"
        )
    }
}
