//! Each fault that Stratum V2 has, at a pool that judges by the specification, without sockets and
//! in virtual time. The pool is written apart from the client.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[expect(dead_code, reason = "most of it is for the tests of the client")]
#[path = "../../sv2/tests/play/pool.rs"]
mod pool;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{BIP320_MASK, Bits, Hash256, Header, Job, Share, Target, U256};
use midstate_sv2::{ChannelKind, ClientConfig};
use midstate_swarm::{Books, Code, Event, Fault, FaultCounts, Miner};
use mining_sv2 as mining;

use pool::{CHANNEL, EASY, GROUP, Pool, REGTEST, Sent, UNIX, dialled};

const SECOND: Duration = Duration::from_secs(1);
/// The version and the merkle root of every job.
const VERSION: u32 = 0x2000_0000;
const ROOT: [u8; 32] = [0xab; 32];
/// The path of an extended job is empty, so that its coinbase is the tree.
const COINBASE: [[u8; 2]; 2] = [[1, 2], [3, 4]];
const PREFIX: [u8; 4] = [1, 2, 3, 4];

/// A pool and a miner that hashes whenever it is told to.
struct World {
    now: Duration,
    pool: Pool,
    miner: Miner,
    books: Books,
    is_connected: bool,
    job: Option<Arc<Job>>,
    nonce: u32,
    /// What jobs build on, by their numbers.
    jobs: BTreeMap<u32, [u8; 32]>,
    live: BTreeSet<u32>,
    seen: HashSet<Hash256>,
    opened: Vec<u8>,
}

impl World {
    fn new(kind: ChannelKind) -> Self {
        let config = ClientConfig { kind, ..ClientConfig::new("me") };
        let mut world = Self {
            now: SECOND,
            pool: Pool::new(3600 * SECOND),
            miner: Miner::with_faults(config),
            books: Books::new(1),
            is_connected: false,
            job: None,
            nonce: 0,
            jobs: BTreeMap::new(),
            live: BTreeSet::new(),
            seen: HashSet::new(),
            opened: Vec::new(),
        };
        world.connect();
        world
    }

    fn connect(&mut self) {
        self.pool = Pool::new(3600 * SECOND);
        self.is_connected = true;
        self.live.clear();
        self.miner.handle_connected(self.now, Some(dialled(UNIX)));
        self.exchange();
    }

    fn exchange(&mut self) {
        loop {
            while let Some(event) = self.miner.poll_event() {
                if let Event::Job(job) = &event {
                    self.job.clone_from(job);
                }
                self.books.record(self.now, 0, &event);
            }
            if let Some(reason) = self.miner.poll_end() {
                self.is_connected = false;
                self.miner.handle_disconnected(self.now, &reason);
                continue;
            }
            if !self.is_connected {
                return;
            }
            let Some(bytes) = self.miner.poll_transmit() else { return };
            let (answer, messages) = self.pool.receive(&bytes, UNIX);
            self.miner.handle_bytes(self.now, &answer);
            for message in messages {
                let answer = self.answer(message);
                self.miner.handle_bytes(self.now, &answer);
            }
        }
    }

    /// The pool's answer to a message.
    fn answer(&mut self, mut message: Sent) -> Vec<u8> {
        match message.kind {
            common_messages_sv2::MESSAGE_TYPE_SETUP_CONNECTION => {
                let success =
                    common_messages_sv2::SetupConnectionSuccess { used_version: 2, flags: 0 };
                let kind = common_messages_sv2::MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS;
                self.pool.say(kind, success)
            }
            mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL => {
                self.opened.push(message.kind);
                let success = mining::OpenStandardMiningChannelSuccess {
                    request_id: 1,
                    channel_id: CHANNEL,
                    target: (&EASY).into(),
                    extranonce_prefix: binary_sv2::B032::new(&PREFIX).unwrap(),
                    group_channel_id: GROUP,
                };
                let kind = mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL_SUCCESS;
                let mut bytes = self.pool.say(kind, success);
                bytes.append(&mut self.new_block());
                bytes
            }
            mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL => {
                self.opened.push(message.kind);
                let success = mining::OpenExtendedMiningChannelSuccess {
                    request_id: 1,
                    channel_id: CHANNEL,
                    target: (&EASY).into(),
                    extranonce_size: 4,
                    extranonce_prefix: binary_sv2::B032::new(&PREFIX).unwrap(),
                    group_channel_id: GROUP,
                };
                let kind = mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL_SUCCESS;
                let mut bytes = self.pool.say(kind, success);
                bytes.append(&mut self.new_block());
                bytes
            }
            mining::MESSAGE_TYPE_SUBMIT_SHARES_STANDARD => {
                let share: mining::SubmitSharesStandard =
                    binary_sv2::from_bytes(&mut message.payload).unwrap();
                let header = (share.job_id, share.version, share.ntime, share.nonce);
                let verdict = self.judge(header, Hash256::from_bytes(ROOT));
                self.verdict(share.sequence_number, verdict)
            }
            mining::MESSAGE_TYPE_SUBMIT_SHARES_EXTENDED => {
                let share: mining::SubmitSharesExtended<'_> =
                    binary_sv2::from_bytes(&mut message.payload).unwrap();
                let extranonce = share.extranonce.as_bytes();
                let parts = [&COINBASE[0][..], &PREFIX, extranonce, &COINBASE[1]];
                let header = (share.job_id, share.version, share.ntime, share.nonce);
                let verdict = match extranonce.len() {
                    4 => self.judge(header, Hash256::of(&parts.concat())),
                    _ => Err("bad-extranonce-size"),
                };
                self.verdict(share.sequence_number, verdict)
            }
            _ => Vec::new(),
        }
    }

    /// The judgement on a share of that job, version, time and nonce.
    fn judge(
        &mut self,
        (job, version, time, nonce): (u32, u32, u32, u32),
        merkle_root: Hash256,
    ) -> Result<(), &'static str> {
        let prev = self.jobs.get(&job).ok_or("invalid-job-id")?;
        if !self.live.contains(&job) {
            return Err("stale-share");
        }
        if !(UNIX..UNIX + 2 * 3600).contains(&time) {
            return Err("invalid-timestamp");
        }
        if (version ^ VERSION) & !BIP320_MASK != 0 {
            return Err("invalid-non-rollable-version-bit");
        }
        let (prev_hash, bits) = (Hash256::from_bytes(*prev), Bits::from_consensus(REGTEST));
        let hash = Header { version, prev_hash, merkle_root, time, bits, nonce }.hash();
        if !Target::from_number(U256::from_le_bytes(EASY)).is_met_by(&hash) {
            return Err("difficulty-too-low");
        }
        if self.seen.insert(hash) { Ok(()) } else { Err("duplicate-share") }
    }

    fn verdict(&mut self, sequence: u32, verdict: Result<(), &'static str>) -> Vec<u8> {
        match verdict {
            Ok(()) => self.pool.say(
                mining::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS,
                mining::SubmitSharesSuccess {
                    channel_id: CHANNEL,
                    last_sequence_number: sequence,
                    new_submits_accepted_count: 1,
                    new_shares_sum: 1,
                },
            ),
            Err(code) => self.pool.say(
                mining::MESSAGE_TYPE_SUBMIT_SHARES_ERROR,
                mining::SubmitSharesError {
                    channel_id: CHANNEL,
                    sequence_number: sequence,
                    error_code: code.try_into().unwrap(),
                },
            ),
        }
    }

    /// A new block, with its job.
    fn new_block(&mut self) -> Vec<u8> {
        let id = self.jobs.len() as u32 + 1;
        let prev = [id as u8; 32];
        self.jobs.insert(id, prev);
        self.live = [id].into();
        let is_standard =
            self.opened.last() == Some(&mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL);
        let mut bytes = match is_standard {
            true => self.pool.say(
                mining::MESSAGE_TYPE_NEW_MINING_JOB,
                mining::NewMiningJob {
                    channel_id: CHANNEL,
                    job_id: id,
                    min_ntime: binary_sv2::Sv2Option::new(None),
                    version: VERSION,
                    merkle_root: (&ROOT).into(),
                },
            ),
            false => self.pool.say(
                mining::MESSAGE_TYPE_NEW_EXTENDED_MINING_JOB,
                mining::NewExtendedMiningJob {
                    channel_id: GROUP,
                    job_id: id,
                    min_ntime: binary_sv2::Sv2Option::new(None),
                    version: VERSION,
                    version_rolling_allowed: true,
                    merkle_path: binary_sv2::Seq0255::new(Vec::new()).unwrap(),
                    coinbase_tx_prefix: binary_sv2::B064K::new(&COINBASE[0]).unwrap(),
                    coinbase_tx_suffix: binary_sv2::B064K::new(&COINBASE[1]).unwrap(),
                },
            ),
        };
        bytes.append(&mut self.pool.say(
            mining::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH,
            mining::SetNewPrevHash {
                channel_id: CHANNEL,
                job_id: id,
                prev_hash: (&prev).into(),
                min_ntime: UNIX,
                nbits: REGTEST,
            },
        ));
        bytes
    }

    fn find_block(&mut self) {
        let bytes = self.new_block();
        self.miner.handle_bytes(self.now, &bytes);
        self.exchange();
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += SECOND;
            self.miner.handle_timeout(self.now);
            self.exchange();
        }
    }

    /// Hashes the present job until there is a share.
    fn find(&mut self) -> Share {
        let job = Arc::clone(self.job.as_ref().expect("there is a job"));
        let extranonce2 = vec![0; job.extranonce2_size];
        let header = job.header(&extranonce2);
        loop {
            self.nonce += 1;
            let (nonce, Header { version, time, .. }) = (self.nonce, header);
            let hash = Header { nonce, ..header }.hash();
            if job.share_target.is_met_by(&hash) {
                return Share { job, extranonce2, version, time, nonce, hash };
            }
        }
    }

    fn good(&mut self) {
        let share = self.find();
        self.miner.submit(self.now, share);
        self.exchange();
    }

    fn wrong(&mut self, fault: Fault) {
        let share = self.find();
        self.miner.submit_wrong(self.now, share, fault);
        self.exchange();
    }

    fn counts(&self, fault: Fault) -> FaultCounts {
        let kind = self.books.faults().kinds().find(|(kind, _)| *kind == fault);
        kind.map(|(_, counts)| counts.clone()).unwrap_or_default()
    }

    /// Good shares as `(found, accepted)`.
    fn shares(&self) -> (u64, u64) {
        let shares = self.books.shares();
        (shares.found(), shares.accepted())
    }
}

/// So many were done, and all were refused with this code.
fn refused(done: u64, code: &str) -> FaultCounts {
    let code = Some(Code::Word(code.to_owned()));
    FaultCounts { done, refused: [(code, done)].into(), ..FaultCounts::default() }
}

fn accepted(done: u64) -> FaultCounts {
    FaultCounts { done, accepted: done, ..FaultCounts::default() }
}

const KINDS: [ChannelKind; 2] = [ChannelKind::Standard, ChannelKind::Extended];

#[test]
fn shares_that_are_wrong_in_themselves_are_refused_and_the_next_good_one_is_not() {
    for kind in KINDS {
        for (fault, code, is_used_up) in [
            (Fault::Duplicate, "duplicate-share", false),
            (Fault::Low, "difficulty-too-low", true),
            (Fault::BadJob, "invalid-job-id", true),
        ] {
            let mut world = World::new(kind);
            for _ in 0..5 {
                world.wrong(fault);
                world.good();
            }
            assert_eq!(world.counts(fault), refused(5, code), "{} {kind:?}", fault.name());
            let good = if is_used_up { 5 } else { 10 };
            assert_eq!(world.shares(), (good, good), "{} {kind:?}", fault.name());
        }
    }
}

#[test]
fn an_extended_channel_has_an_extranonce_that_can_be_too_short_and_a_standard_one_has_none() {
    let mut world = World::new(ChannelKind::Extended);
    world.wrong(Fault::BadExtranonce);
    assert_eq!(world.counts(Fault::BadExtranonce), refused(1, "bad-extranonce-size"));
    let mut world = World::new(ChannelKind::Standard);
    world.wrong(Fault::BadExtranonce);
    let unsent = FaultCounts { unsent: 1, ..FaultCounts::default() };
    assert_eq!((world.counts(Fault::BadExtranonce), world.shares()), (unsent, (1, 1)));
}

#[test]
fn a_stale_share_waits_until_its_job_is_void() {
    for kind in KINDS {
        let mut world = World::new(kind);
        world.wrong(Fault::Stale);
        world.wait(9 * SECOND);
        assert_eq!(world.counts(Fault::Stale), FaultCounts::default(), "its job lasts");
        world.find_block();
        assert_eq!(world.counts(Fault::Stale), refused(1, "stale-share"));
        world.good();
        assert_eq!(world.shares(), (1, 1));
    }
}

#[test]
fn shares_from_the_future_and_with_forbidden_bits_meet_the_target_and_are_refused_all_the_same() {
    for kind in KINDS {
        for (fault, code) in [
            (Fault::BadTime, "invalid-timestamp"),
            (Fault::BadVersion, "invalid-non-rollable-version-bit"),
        ] {
            let mut world = World::new(kind);
            world.wrong(fault);
            assert_eq!(world.shares(), (1, 1), "the share that brings it about is a good one");
            world.find_block();
            world.good();
            assert_eq!(world.counts(fault), refused(1, code), "{} {kind:?}", fault.name());
            world.good();
            assert_eq!(world.shares(), (2, 2));
        }
    }
}

#[test]
fn a_late_share_comes_ten_seconds_later() {
    let mut world = World::new(ChannelKind::Standard);
    world.wrong(Fault::Late);
    world.wait(9 * SECOND);
    assert_eq!(world.counts(Fault::Late), FaultCounts::default());
    world.wait(SECOND);
    assert_eq!(world.counts(Fault::Late), accepted(1));
}

#[test]
fn half_a_frame_holds_all_others_back_until_its_rest_comes() {
    for kind in KINDS {
        let mut world = World::new(kind);
        // A share in front, not polled yet: it keeps its place.
        let share = world.find();
        world.miner.submit(world.now, share);
        world.wrong(Fault::HalfLine);
        world.wrong(Fault::HalfLine);
        world.good();
        world.wrong(Fault::Low);
        assert_eq!(world.counts(Fault::HalfLine).accepted, 0);
        world.wait(4 * SECOND);
        assert_eq!(world.shares(), (3, 1));
        world.wait(SECOND);
        let counts = world.counts(Fault::HalfLine);
        assert_eq!((counts.done, counts.accepted, counts.unsent), (1, 1, 1), "one at a time");
        assert_eq!(world.shares(), (3, 3));
        assert_eq!(world.counts(Fault::Low), refused(1, "difficulty-too-low"));
    }
}

#[test]
fn a_silent_miner_neither_reads_nor_writes_for_a_minute() {
    let mut world = World::new(ChannelKind::Standard);
    world.miner.act(world.now, Fault::Silent);
    world.good();
    world.wait(59 * SECOND);
    assert_eq!(world.shares(), (1, 0));
    world.wait(SECOND);
    assert_eq!(world.shares(), (1, 1));
    assert_eq!(world.counts(Fault::Silent).done, 1);
}

#[test]
fn a_disconnect_is_no_lost_connection_and_an_attempt_without_an_answer_is_told() {
    let mut world = World::new(ChannelKind::Standard);
    world.good();
    let share = world.find();
    world.miner.submit_wrong(world.now, share, Fault::Low);
    world.miner.act(world.now, Fault::Disconnect);
    world.exchange();
    let low = world.counts(Fault::Low);
    assert_eq!((low.done, low.unanswered), (1, 1));
    assert_eq!(world.counts(Fault::Disconnect).done, 1);
    assert_eq!((world.books.connections().lost, world.is_connected), (0, false));
    world.connect();
    world.good();
    assert_eq!(world.shares(), (2, 2));
}

#[test]
fn an_honest_miner_of_v2_does_nothing_wrong() {
    let mut world = World::new(ChannelKind::Standard);
    world.miner = Miner::new(ClientConfig::new("me"));
    world.connect();
    world.wrong(Fault::Low);
    world.miner.act(world.now, Fault::Disconnect);
    world.exchange();
    assert_eq!(world.counts(Fault::Low), FaultCounts { unsent: 1, ..FaultCounts::default() });
    assert_eq!((world.shares(), world.is_connected), ((1, 1), true));
}
