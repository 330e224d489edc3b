//! Client and server together in virtual time, over a line that cuts, delays and breaks.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Verdict};
use midstate_stratum::{
    Client, ClientEvent, Limits, Reject, Remark, Server, ServerConfig, ServerEvent, ShareOutcome,
    Submission,
};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::mock::{EASY, Mock, PREV, config, share_at};
use crate::properties::cases;

/// A pool for one miner that judges shares with a hash of its own.
struct Pool {
    server: Server,
    template: Job,
    /// Every job ever announced.
    jobs: Vec<Job>,
    live: Vec<String>,
    seen: HashSet<Vec<u8>>,
    accepted: u32,
    rejected: u32,
}

/// Bytes on their way, with the time they arrive.
#[derive(Default)]
struct Wire(VecDeque<(Duration, Vec<u8>)>);

impl Wire {
    fn send(&mut self, at: Duration, bytes: Vec<u8>) {
        self.0.push_back((at, bytes));
    }

    fn receive(&mut self, now: Duration) -> Vec<u8> {
        let arrived = self.0.iter().take_while(|(at, _)| *at <= now).count();
        self.0.drain(..arrived).flat_map(|(_, bytes)| bytes).collect()
    }
}

fn server() -> Server {
    Server::new(ServerConfig {
        extranonce1: vec![0xa1, 0xb2],
        extranonce2_size: 3,
        version_mask: 0x1fff_e000,
        limits: Limits::default(),
    })
}

impl Pool {
    fn new() -> Self {
        Self {
            server: server(),
            template: Job::clone(&Mock::ready().job("template", PREV, true)),
            jobs: Vec::new(),
            live: Vec::new(),
            seen: HashSet::new(),
            accepted: 0,
            rejected: 0,
        }
    }

    fn announce(&mut self, clean: bool) {
        let id = self.jobs.len();
        let job = Job { id: format!("{id:x}"), time: id as u32, clean, ..self.template.clone() };
        if clean {
            self.live.clear();
        }
        self.live.push(job.id.clone());
        self.server.notify(&job);
        self.jobs.push(job);
    }

    fn work(&mut self) {
        while let Some(event) = self.server.poll_event() {
            match event {
                ServerEvent::Subscribed { .. } => {
                    self.server.set_difficulty(EASY);
                    self.announce(false);
                }
                ServerEvent::Authorize { ticket, .. } => self.server.answer(ticket, Ok(())),
                ServerEvent::Submit { ticket, submission } => {
                    let verdict = self.judge(&submission);
                    match verdict {
                        Ok(()) => self.accepted += 1,
                        Err(_) => self.rejected += 1,
                    }
                    self.server.answer(ticket, verdict);
                }
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    /// By the protocol text and the `sha2` crate alone.
    fn judge(&mut self, share: &Submission) -> Result<(), Reject> {
        let job = self.jobs.iter().find(|job| job.id == share.job_id);
        let job = job.filter(|job| self.live.contains(&job.id)).ok_or_else(Reject::stale)?;
        let hash = |data: &[u8]| <[u8; 32]>::from(Sha256::digest(Sha256::digest(data)));
        let extranonce = [&[0xa1, 0xb2][..], &share.extranonce2].concat();
        let coinbase = [&job.coinbase_prefix, &extranonce, &job.coinbase_suffix].map(|v| &v[..]);
        let version = (job.version & !0x1fff_e000) | share.version_bits.unwrap_or(0);
        let header = [
            &version.to_le_bytes()[..],
            job.prev_hash.as_bytes(),
            &hash(&coinbase.concat()),
            &share.time.to_le_bytes(),
            &job.bits.to_consensus().to_le_bytes(),
            &share.nonce.to_le_bytes(),
        ]
        .concat();
        // At this difficulty every hash will do; what must agree is that no header comes twice.
        if self.seen.insert(header) { Ok(()) } else { Err(Reject::duplicate()) }
    }
}

/// The next event on the line.
#[derive(Debug, Clone)]
enum Step {
    Share,
    Job { clean: bool },
    Pass(u64),
    Break,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Share),
        2 => any::<bool>().prop_map(|clean| Step::Job { clean }),
        4 => (1u64..400).prop_map(Step::Pass),
        1 => Just(Step::Break),
    ]
}

/// Both ends, the line between them, and what the client said.
struct Pair {
    now: Duration,
    latency: Duration,
    pieces: usize,
    client: Client,
    pool: Pool,
    up: Wire,
    down: Wire,
    job: Option<Arc<Job>>,
    found: u32,
    ended: Vec<Verdict>,
}

impl Pair {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Share => {
                if let Some(job) = &self.job {
                    let version = job.version | (self.found << 13 & job.version_mask);
                    self.client.submit(self.now, share_at(job, version, self.found));
                    self.found += 1;
                }
            }
            Step::Job { clean } if !self.pool.jobs.is_empty() => self.pool.announce(clean),
            Step::Job { .. } => {}
            Step::Pass(millis) => self.now += Duration::from_millis(millis),
            Step::Break => {
                // Bytes on the line are lost, answers included.
                (self.up, self.down) = (Wire::default(), Wire::default());
                self.client.handle_disconnected(self.now);
                self.pool.server = server();
                self.client.handle_connected(self.now);
            }
        }
    }

    /// Moves what is due. Panics on anything that a good pool must not cause.
    fn exchange(&mut self) {
        let arrival = self.now + self.latency;
        while let Some(line) = self.client.poll_transmit() {
            self.up.send(arrival, line);
        }
        for piece in self.up.receive(self.now).chunks(self.pieces) {
            self.pool.server.handle_bytes(piece);
        }
        self.pool.work();
        while let Some(line) = self.pool.server.poll_transmit() {
            self.down.send(arrival, line);
        }
        for piece in self.down.receive(self.now).chunks(self.pieces) {
            self.client.handle_bytes(self.now, piece);
        }
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::Job(newest) => self.job = Some(newest),
                ClientEvent::Verdict(ShareOutcome { verdict, .. }) => self.ended.push(verdict),
                ClientEvent::Close(reason) => panic!("closed: {reason}"),
                // The network cuts handshakes, too.
                ClientEvent::Remark(Remark::Warning { text }) => {
                    assert!(text.starts_with("the pool hung up"), "warned: {text}");
                }
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(60))]

    /// Over latency, fragmentation and breaks: each share has one verdict, the books of both sides
    /// agree, and nothing is counted as accepted that the pool did not take.
    #[test]
    fn i9_the_ledgers_of_client_and_pool_agree_to_the_share(
        steps in prop::collection::vec(step(), 1..120),
        latency in 0u64..150,
        pieces in 1usize..200,
    ) {
        let now = Duration::from_secs(5);
        let mut pair = Pair {
            now,
            latency: Duration::from_millis(latency),
            pieces,
            client: Client::new(config()),
            pool: Pool::new(),
            up: Wire::default(),
            down: Wire::default(),
            job: None,
            found: 0,
            ended: Vec::new(),
        };
        pair.client.handle_connected(now);
        // In the end the line holds for long enough: a handshake, its answers, the shares that
        // waited for them, their verdicts.
        let calm = [const { Step::Pass(200) }; 8];
        for step in steps.iter().chain(&calm) {
            pair.step(step);
            pair.exchange();
            prop_assert_eq!(pair.found as usize, pair.ended.len() + pair.client.pending());
        }
        prop_assert_eq!(pair.client.pending(), 0, "all answered in the end");

        let count = |wanted| pair.ended.iter().filter(|&&verdict| verdict == wanted).count() as u32;
        let (accepted, rejected) = (count(Verdict::Accepted), count(Verdict::Rejected));
        prop_assert_eq!(accepted + rejected + count(Verdict::Stale), pair.found);
        prop_assert_eq!(pair.pool.seen.len() as u32, pair.pool.accepted, "no header came twice");
        // Where the line broke between a share and its answer, the pool judged it twice: it knew
        // the share (accepted, by us as well) or had voided its job since (rejected, by us as
        // well).
        prop_assert!(accepted <= pair.pool.accepted);
        prop_assert!(pair.pool.accepted - accepted <= rejected);
        if !steps.iter().any(|step| matches!(step, Step::Break)) {
            prop_assert_eq!((accepted, rejected), (pair.pool.accepted, pair.pool.rejected));
        }
    }
}
