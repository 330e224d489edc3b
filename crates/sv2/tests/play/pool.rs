//! A Stratum V2 pool that does as it is told: the responder's side of the encrypted line, written
//! from the specification and apart from the client's code.

use std::sync::Arc;
use std::time::Duration;

use binary_sv2::{GetSize, Seq0255, Serialize, Sv2Option};
use midstate_chain::{Job, Share, Target};
use midstate_sv2::{AuthorityKey, ChannelKind, Client, ClientConfig, Dialled, Event};
use mining_sv2 as mining;
use noise_sv2::{NoiseEngine, Responder};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// A pair of keys, Base58Check: the public one with two bytes of version.
pub(crate) const PUBLIC: &str = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";
pub(crate) const SECRET: &str = "mkDLTBBRxdBv998612qipDYoTK3YUrqLe8uWw7gu3iXbSrn2n";

/// The date of the tests.
pub(crate) const UNIX: u32 = 1_796_000_000;
/// The share target of a channel: every 256th hash meets it.
pub(crate) const EASY: [u8; 32] = {
    let mut target = [0xff; 32];
    target[31] = 0;
    target
};
pub(crate) const REGTEST: u32 = 0x207f_ffff;
pub(crate) const MAINNET: u32 = 0x1705_3894;
pub(crate) const CHANNEL: u32 = 7;
pub(crate) const GROUP: u32 = 3;

pub(crate) fn authority() -> AuthorityKey {
    PUBLIC.parse().unwrap()
}

/// A connection to the pool, made at that date.
pub(crate) fn dialled(unix: u32) -> Dialled {
    Dialled { host: "pool.example".to_owned(), port: 3333, unix, entropy: [5; 32] }
}

/// A message of the client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    pub(crate) kind: u8,
    pub(crate) is_for_channel: bool,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct Pool {
    responder: Option<Box<Responder>>,
    engine: Option<NoiseEngine>,
    input: Vec<u8>,
    header: Option<[u8; 6]>,
    random: ChaCha20Rng,
}

impl Pool {
    /// Its certificate is valid for so long.
    pub(crate) fn new(validity: Duration) -> Self {
        let mut random = ChaCha20Rng::from_seed([9; 32]);
        let secret = bs58::decode(SECRET).into_vec().unwrap();
        let secret: [u8; 32] = secret[..32].try_into().unwrap();
        let responder = Responder::from_authority_kp_with_rng(
            authority().as_bytes(),
            &secret,
            validity,
            &mut random,
        )
        .unwrap();
        Self { responder: Some(responder), engine: None, input: Vec::new(), header: None, random }
    }

    /// Takes bytes of the client: what to answer at once, and the messages that came whole.
    pub(crate) fn receive(&mut self, bytes: &[u8], unix: u32) -> (Vec<u8>, Vec<Sent>) {
        self.input.extend_from_slice(bytes);
        let mut answer = Vec::new();
        if self.engine.is_none() && self.input.len() >= 64 {
            let hello: [u8; 64] = self.take(64).unwrap().try_into().unwrap();
            let mut responder = self.responder.take().unwrap();
            let (bytes, engine) =
                responder.step_1_with_now_rng(hello, unix, &mut self.random).unwrap();
            answer = bytes.to_vec();
            self.engine = Some(engine);
        }
        let mut messages = Vec::new();
        while self.engine.is_some() {
            let header = match self.header {
                Some(header) => header,
                None => match self.take(22) {
                    Some(sealed) => self.open(sealed).try_into().unwrap(),
                    None => break,
                },
            };
            self.header = Some(header);
            let length = u32::from_le_bytes([header[3], header[4], header[5], 0]) as usize;
            assert!(length < 60_000, "the client's messages are short");
            let Some(sealed) = self.take(length + if length > 0 { 16 } else { 0 }) else { break };
            self.header = None;
            let payload = if sealed.is_empty() { sealed } else { self.open(sealed) };
            let is_for_channel = header[1] & 0x80 != 0;
            messages.push(Sent { kind: header[2], is_for_channel, payload });
        }
        (answer, messages)
    }

    /// A message as bytes.
    pub(crate) fn say<T: Serialize + GetSize>(&mut self, kind: u8, message: T) -> Vec<u8> {
        self.say_raw(kind, 0, &binary_sv2::to_bytes(message).unwrap())
    }

    pub(crate) fn say_raw(&mut self, kind: u8, extension: u16, payload: &[u8]) -> Vec<u8> {
        let engine = self.engine.as_mut().unwrap();
        let mut header = extension.to_le_bytes().to_vec();
        header.push(kind);
        header.extend_from_slice(&(payload.len() as u32).to_le_bytes()[..3]);
        let mut bytes = Vec::new();
        for piece in std::iter::once(&header[..]).chain(payload.chunks(65_519)) {
            let mut piece = piece.to_vec();
            engine.encrypt(&mut piece).unwrap();
            bytes.append(&mut piece);
        }
        bytes
    }

    /// The header of a frame alone.
    pub(crate) fn say_header(&mut self, kind: u8, length: u32) -> Vec<u8> {
        let mut header = vec![0, 0, kind];
        header.extend_from_slice(&length.to_le_bytes()[..3]);
        self.engine.as_mut().unwrap().encrypt(&mut header).unwrap();
        header
    }

    fn open(&mut self, mut sealed: Vec<u8>) -> Vec<u8> {
        self.engine.as_mut().unwrap().decrypt(&mut sealed).unwrap();
        sealed
    }

    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        if self.input.len() < count {
            return None;
        }
        let rest = self.input.split_off(count);
        Some(std::mem::replace(&mut self.input, rest))
    }
}

/// A client and the pool that it is connected to.
pub(crate) struct Pair {
    pub(crate) now: Duration,
    pub(crate) client: Client,
    pub(crate) pool: Pool,
    /// Messages of the client that no test has looked at.
    pub(crate) sent: Vec<Sent>,
    pub(crate) events: Vec<Event>,
}

impl Pair {
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self {
            now: Duration::from_secs(100),
            client: Client::new(config),
            pool: Pool::new(Duration::from_secs(3600)),
            sent: Vec::new(),
            events: Vec::new(),
        }
    }

    /// A standard channel without authority: the plainest client.
    pub(crate) fn standard() -> Self {
        Self::new(ClientConfig::new("bc1q.rig"))
    }

    pub(crate) fn extended() -> Self {
        let config = ClientConfig::new("bc1q.rig");
        Self::new(ClientConfig { kind: ChannelKind::Extended, ..config })
    }

    pub(crate) fn connect(&mut self) {
        self.client.handle_connected(self.now, dialled(UNIX));
        self.settle();
    }

    /// A new transport, to a pool that remembers nothing.
    pub(crate) fn reconnect(&mut self) {
        self.client.handle_disconnected(self.now);
        self.pool = Pool::new(Duration::from_secs(3600));
        self.connect();
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.client.handle_timeout(self.now);
        self.settle();
    }

    /// Carries bytes from the client to the pool, and the handshake's answer back.
    pub(crate) fn settle(&mut self) {
        while let Some(bytes) = self.client.poll_transmit() {
            let (answer, mut messages) = self.pool.receive(&bytes, UNIX);
            self.sent.append(&mut messages);
            self.client.handle_bytes(self.now, &answer);
        }
        while let Some(event) = self.client.poll_event() {
            self.events.push(event);
        }
    }

    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.client.handle_bytes(self.now, bytes);
        self.settle();
    }

    pub(crate) fn say<T: Serialize + GetSize>(&mut self, kind: u8, message: T) {
        let bytes = self.pool.say(kind, message);
        self.hear(&bytes);
    }

    pub(crate) fn accept_setup(&mut self, flags: u32) {
        let message = common_messages_sv2::SetupConnectionSuccess { used_version: 2, flags };
        self.say(common_messages_sv2::MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS, message);
    }

    pub(crate) fn open_standard(&mut self) {
        let message = mining::OpenStandardMiningChannelSuccess {
            request_id: 1,
            channel_id: CHANNEL,
            target: (&EASY).into(),
            extranonce_prefix: binary_sv2::B032::new(&[1, 2, 3, 4]).unwrap(),
            group_channel_id: GROUP,
        };
        self.say(mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL_SUCCESS, message);
    }

    pub(crate) fn open_extended(&mut self, size: u16) {
        self.open_extended_for(size, EASY);
    }

    pub(crate) fn open_extended_for(&mut self, size: u16, target: [u8; 32]) {
        let message = mining::OpenExtendedMiningChannelSuccess {
            request_id: 1,
            channel_id: CHANNEL,
            target: (&target).into(),
            extranonce_size: size,
            extranonce_prefix: binary_sv2::B032::new(&[1, 2, 3, 4]).unwrap(),
            group_channel_id: GROUP,
        };
        self.say(mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL_SUCCESS, message);
    }

    /// From the dial to an open channel, without a job.
    pub(crate) fn open(mut self) -> Self {
        self.connect();
        self.accept_setup(0);
        match self.sent.last().unwrap().kind {
            mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL => self.open_standard(),
            _ => self.open_extended(4),
        }
        self
    }

    pub(crate) fn standard_job(&mut self, job: u32, min_time: Option<u32>) {
        let root = [job as u8; 32];
        let message = mining::NewMiningJob {
            channel_id: CHANNEL,
            job_id: job,
            min_ntime: Sv2Option::new(min_time),
            version: 0x2000_0000,
            merkle_root: (&root).into(),
        };
        self.say(mining::MESSAGE_TYPE_NEW_MINING_JOB, message);
    }

    pub(crate) fn extended_job(&mut self, channel: u32, job: u32, min_time: Option<u32>) {
        let (sibling, prefix) = ([0xaa_u8; 32], [1, job as u8]);
        let message = mining::NewExtendedMiningJob {
            channel_id: channel,
            job_id: job,
            min_ntime: Sv2Option::new(min_time),
            version: 0x2000_0000,
            version_rolling_allowed: true,
            merkle_path: Seq0255::new(vec![(&sibling).into()]).unwrap(),
            coinbase_tx_prefix: binary_sv2::B064K::new(&prefix).unwrap(),
            coinbase_tx_suffix: binary_sv2::B064K::new(&[2; 40]).unwrap(),
        };
        self.say(mining::MESSAGE_TYPE_NEW_EXTENDED_MINING_JOB, message);
    }

    pub(crate) fn new_block(&mut self, job: u32, bits: u32) {
        let message = mining::SetNewPrevHash {
            channel_id: CHANNEL,
            job_id: job,
            prev_hash: (&[0x11; 32]).into(),
            min_ntime: UNIX,
            nbits: bits,
        };
        self.say(mining::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH, message);
    }

    pub(crate) fn set_target(&mut self, target: [u8; 32]) {
        let message = mining::SetTarget { channel_id: CHANNEL, maximum_target: (&target).into() };
        self.say(mining::MESSAGE_TYPE_SET_TARGET, message);
    }

    pub(crate) fn accept(&mut self, last: u32, count: u32) {
        let message = mining::SubmitSharesSuccess {
            channel_id: CHANNEL,
            last_sequence_number: last,
            new_submits_accepted_count: count,
            new_shares_sum: 1,
        };
        self.say(mining::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS, message);
    }

    pub(crate) fn refuse(&mut self, sequence: u32, code: &str) {
        let message = mining::SubmitSharesError {
            channel_id: CHANNEL,
            sequence_number: sequence,
            error_code: code.try_into().unwrap(),
        };
        self.say(mining::MESSAGE_TYPE_SUBMIT_SHARES_ERROR, message);
    }

    /// The newest job of all events so far.
    pub(crate) fn job(&self) -> Arc<Job> {
        let job = |event: &Event| match event {
            Event::Job(job) => Some(Arc::clone(job)),
            _ => None,
        };
        self.events.iter().rev().find_map(job).expect("a job came")
    }

    pub(crate) fn submit(&mut self, share: Share) {
        self.client.submit(self.now, share);
        self.settle();
    }

    pub(crate) fn verdicts(&self) -> Vec<(midstate_chain::Verdict, Option<String>)> {
        let verdict = |event: &Event| match event {
            Event::Verdict(outcome) => Some((outcome.verdict, outcome.reason.clone())),
            _ => None,
        };
        self.events.iter().filter_map(verdict).collect()
    }

    pub(crate) fn closed(&self) -> Option<String> {
        let reason = |event: &Event| match event {
            Event::Close(reason) => Some(reason.to_string()),
            _ => None,
        };
        self.events.iter().find_map(reason)
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let words = |event: &Event| match event {
            Event::Remark(remark) => Some(remark.sentence("pool")),
            _ => None,
        };
        self.events.iter().filter_map(words).collect()
    }
}

/// Hashes headers of the job until the `nth` one meets a target.
pub(crate) fn find(job: &Arc<Job>, target: Target, nth: usize) -> Share {
    let extranonce2 = vec![0; job.extranonce2_size];
    let shares = (0..).map(|nonce| {
        let mut share = Share {
            job: Arc::clone(job),
            extranonce2: extranonce2.clone(),
            version: job.version | (0x2000 & job.rollable_bits()),
            time: job.time,
            nonce,
            hash: job.prev_hash,
        };
        share.hash = share.header().hash();
        share
    });
    shares.filter(|share| target.is_met_by(&share.hash)).nth(nth).expect("there are many")
}

pub(crate) fn find_share(job: &Arc<Job>, nth: usize) -> Share {
    find(job, job.share_target, nth)
}
