//! A Stratum V2 miner that does as it is told: the initiator's side of the encrypted line, written
//! from the specification and apart from the code of `midstate-sv2`. And the pool that it is
//! connected to, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use binary_sv2::{GetSize, Serialize};
use common_messages_sv2 as common;
use midstate_chain::{Bits, Hash256, Header, Target};
use midstate_pool::{EmbeddedPoolEvent, PoolConfig, RegtestPool, SessionId, WorkerStats};
use midstate_sv2::Authority;
use mining_sv2 as mining;
use noise_sv2::{Initiator, NoiseEngine};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// The date of the tests.
pub(crate) const UNIX: u64 = 1_796_000_000;
pub(crate) const EASIEST: [u8; 32] = [0xff; 32];
pub(crate) const STANDARD_JOBS: u32 = 1;

pub(crate) fn authority() -> Authority {
    Authority::from_secret([7; 32]).unwrap()
}

/// The pool, its date, and all that it told.
pub(crate) struct Hall {
    pub(crate) pool: RegtestPool,
    pub(crate) now: Duration,
    pub(crate) events: Vec<EmbeddedPoolEvent>,
}

impl Hall {
    pub(crate) fn new(config: PoolConfig) -> Self {
        let now = Duration::from_secs(UNIX);
        let pool = RegtestPool::new(config, Vec::new(), now).unwrap();
        Self { pool, now, events: Vec::new() }
    }

    /// Shares of four hashes on average, blocks of a million.
    pub(crate) fn easy() -> Self {
        Self::new(PoolConfig { block_difficulty: 2.5e-4, ..PoolConfig::new(1e-9, 1) })
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.pool.handle_timeout(self.now);
        self.hear();
    }

    pub(crate) fn hear(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.pool.poll_event()));
    }

    pub(crate) fn stats(&self) -> WorkerStats {
        let mut sum = WorkerStats::default();
        for stats in self.pool.pool().standings().values() {
            sum.accepted += stats.accepted;
            sum.rejected += stats.rejected;
            sum.blocks += stats.blocks;
            sum.work += stats.work;
        }
        sum
    }

    pub(crate) fn closed(&self) -> Option<String> {
        let reason = |event: &EmbeddedPoolEvent| match event {
            EmbeddedPoolEvent::Close { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        self.events.iter().find_map(reason)
    }
}

/// A message of the pool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) kind: u8,
    pub(crate) is_for_channel: bool,
    pub(crate) payload: Vec<u8>,
}

/// A channel, as its miner knows it.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub(crate) number: u32,
    pub(crate) prefix: Vec<u8>,
    /// `None` on a standard channel.
    pub(crate) size: Option<usize>,
    pub(crate) target: Target,
    /// Future ones, and those that may be worked on.
    pub(crate) jobs: BTreeMap<u32, Job>,
    pub(crate) newest: u32,
    sequence: u32,
}

/// A job, with the target that was frozen in it.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) version: u32,
    pub(crate) root: Root,
    pub(crate) start: Option<Start>,
    pub(crate) target: Target,
}

#[derive(Debug, Clone)]
pub(crate) enum Root {
    Whole([u8; 32]),
    Coinbase { prefix: Vec<u8>, suffix: Vec<u8>, path: Vec<[u8; 32]> },
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) prev_hash: [u8; 32],
    pub(crate) bits: u32,
    pub(crate) time: u32,
}

/// An answer to shares: channel, last sequence number and count of the accepted ones, or channel,
/// sequence number and code of a refused one.
pub(crate) type Answer = Result<(u32, u32, u32), (u32, u32, String)>;

/// A share that was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) job: u32,
    pub(crate) time: u32,
    pub(crate) version: u32,
    pub(crate) nonce: u32,
    pub(crate) extranonce: Option<Vec<u8>>,
}

pub(crate) struct Miner {
    pub(crate) id: SessionId,
    initiator: Option<Box<Initiator>>,
    engine: Option<NoiseEngine>,
    input: Vec<u8>,
    header: Option<[u8; 6]>,
    tip: Option<([u8; 32], u32)>,
    pub(crate) group: u32,
    pub(crate) channels: BTreeMap<u32, Channel>,
    /// All that came, oldest first.
    pub(crate) heard: Vec<Told>,
}

impl Miner {
    /// Connects, and has its handshake behind it.
    pub(crate) fn connect(hall: &mut Hall) -> Self {
        let mut miner = Self::silent(hall);
        let hello = miner.hello();
        miner.send(hall, &hello);
        miner
    }

    /// The next bytes of its handshake.
    pub(crate) fn hello(&mut self) -> [u8; 64] {
        self.initiator.as_mut().unwrap().step_0().unwrap()
    }

    /// Connects, and says nothing yet.
    pub(crate) fn silent(hall: &mut Hall) -> Self {
        let from = ([127, 0, 0, 1], 4).into();
        let id = hall.pool.connect_v2(from, authority(), [hall.events.len() as u8; 32]);
        let mut random = ChaCha20Rng::from_seed([3; 32]);
        let key = *authority().key().as_bytes();
        let initiator = Initiator::from_raw_k_with_rng(key, &mut random).unwrap();
        Self {
            id,
            initiator: Some(initiator),
            engine: None,
            input: Vec::new(),
            header: None,
            tip: None,
            group: 0,
            channels: BTreeMap::new(),
            heard: Vec::new(),
        }
    }

    pub(crate) fn set_up(mut self, hall: &mut Hall, flags: u32) -> Self {
        self.say(hall, common::MESSAGE_TYPE_SETUP_CONNECTION, &setup(flags));
        assert_eq!(self.last(), common::MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS);
        self
    }

    /// The error code in the last message, which is of a kind that begins with so many bytes.
    pub(crate) fn last_code(&self, behind: usize) -> String {
        let text = &self.heard.last().unwrap().payload[behind..];
        assert_eq!(usize::from(text[0]), text.len() - 1);
        String::from_utf8(text[1..].to_vec()).unwrap()
    }

    pub(crate) fn last(&self) -> u8 {
        self.heard.last().unwrap().kind
    }

    /// The kinds of the messages since the last call.
    pub(crate) fn kinds(&mut self) -> Vec<u8> {
        self.heard.drain(..).map(|told| told.kind).collect()
    }

    /// Opens a channel: its number.
    pub(crate) fn open(&mut self, hall: &mut Hall, user: &str) -> u32 {
        self.ask(hall, user, 0.0, EASIEST);
        *self.channels.last_key_value().expect("a channel was opened").0
    }

    /// Asks for a channel of that hash rate and maximum target.
    pub(crate) fn ask(&mut self, hall: &mut Hall, user: &str, rate: f32, max_target: [u8; 32]) {
        let message = mining::OpenStandardMiningChannel {
            request_id: 77,
            user_identity: user.try_into().unwrap(),
            nominal_hash_rate: rate,
            max_target: (&max_target).into(),
        };
        self.say(hall, mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL, &bytes(message));
    }

    pub(crate) fn open_extended(&mut self, hall: &mut Hall, user: &str) -> u32 {
        self.ask_extended(hall, user, 4);
        *self.channels.last_key_value().expect("a channel was opened").0
    }

    pub(crate) fn ask_extended(&mut self, hall: &mut Hall, user: &str, min_extranonce_size: u16) {
        let message = mining::OpenExtendedMiningChannel {
            request_id: 78,
            user_identity: user.try_into().unwrap(),
            nominal_hash_rate: 0.0,
            max_target: (&EASIEST).into(),
            min_extranonce_size,
        };
        self.say(hall, mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL, &bytes(message));
    }

    pub(crate) fn update(
        &mut self,
        hall: &mut Hall,
        channel: u32,
        rate: f32,
        max_target: [u8; 32],
    ) {
        let message = mining::UpdateChannel {
            channel_id: channel,
            nominal_hash_rate: rate,
            maximum_target: (&max_target).into(),
        };
        self.say(hall, mining::MESSAGE_TYPE_UPDATE_CHANNEL, &bytes(message));
    }

    pub(crate) fn close(&mut self, hall: &mut Hall, channel: u32) {
        let reason_code = "bye".try_into().unwrap();
        let message = mining::CloseChannel { channel_id: channel, reason_code };
        self.say(hall, mining::MESSAGE_TYPE_CLOSE_CHANNEL, &bytes(message));
    }

    /// Sends a message, and hears what the pool has to say.
    pub(crate) fn say(&mut self, hall: &mut Hall, kind: u8, payload: &[u8]) {
        let sealed = self.seal(kind, 0, payload);
        self.send(hall, &sealed);
    }

    pub(crate) fn seal(&mut self, kind: u8, extension: u16, payload: &[u8]) -> Vec<u8> {
        let engine = self.engine.as_mut().expect("the handshake is through");
        let mut header = extension.to_le_bytes().to_vec();
        header.push(kind);
        header.extend_from_slice(&(payload.len() as u32).to_le_bytes()[..3]);
        let mut sealed = Vec::new();
        for piece in std::iter::once(&header[..]).chain(payload.chunks(65_519)) {
            let mut piece = piece.to_vec();
            engine.encrypt(&mut piece).unwrap();
            sealed.append(&mut piece);
        }
        sealed
    }

    pub(crate) fn send(&mut self, hall: &mut Hall, bytes: &[u8]) {
        hall.pool.handle_bytes(hall.now, self.id, bytes);
        hall.hear();
        self.listen(hall);
    }

    /// Hears what the pool has to say.
    pub(crate) fn listen(&mut self, hall: &mut Hall) {
        while let Some(bytes) = hall.pool.poll_transmit(self.id) {
            self.input.extend_from_slice(&bytes);
        }
        if self.engine.is_none() && self.input.len() >= 234 {
            let answer: [u8; 234] = self.take(234).unwrap().try_into().unwrap();
            let initiator = self.initiator.as_mut().unwrap();
            let now = hall.now.as_secs() as u32;
            self.engine = Some(initiator.step_2_with_now(answer, now).unwrap());
        }
        while self.engine.is_some() {
            let header = match self.header {
                Some(header) => header,
                None => match self.take(22) {
                    Some(sealed) => self.unseal(sealed).try_into().unwrap(),
                    None => break,
                },
            };
            self.header = Some(header);
            let length = u32::from_le_bytes([header[3], header[4], header[5], 0]) as usize;
            let Some(sealed) = self.take(length + 16) else { break };
            self.header = None;
            let payload = self.unseal(sealed);
            let told = Told { kind: header[2], is_for_channel: header[1] & 0x80 != 0, payload };
            self.hear(&told);
            self.heard.push(told);
        }
    }

    /// Bytes that are not encrypted, and came last.
    pub(crate) fn clear(&self) -> &[u8] {
        &self.input
    }

    fn unseal(&mut self, mut sealed: Vec<u8>) -> Vec<u8> {
        self.engine.as_mut().unwrap().decrypt(&mut sealed).expect("nothing is lost or doubled");
        sealed
    }

    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        if self.input.len() < count {
            return None;
        }
        let rest = self.input.split_off(count);
        Some(std::mem::replace(&mut self.input, rest))
    }

    /// Follows the specification: jobs, blocks and targets.
    fn hear(&mut self, told: &Told) {
        let mut payload = told.payload.clone();
        match told.kind {
            mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL_SUCCESS => {
                let m: mining::OpenStandardMiningChannelSuccess<'_> =
                    binary_sv2::from_bytes(&mut payload).unwrap();
                let prefix = m.extranonce_prefix.as_bytes().to_vec();
                self.opened(m.channel_id, m.group_channel_id, prefix, None, *m.target.as_array());
            }
            mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL_SUCCESS => {
                let m: mining::OpenExtendedMiningChannelSuccess<'_> =
                    binary_sv2::from_bytes(&mut payload).unwrap();
                let prefix = m.extranonce_prefix.as_bytes().to_vec();
                let (size, target) = (Some(m.extranonce_size.into()), *m.target.as_array());
                self.opened(m.channel_id, m.group_channel_id, prefix, size, target);
            }
            mining::MESSAGE_TYPE_NEW_MINING_JOB => {
                let m: mining::NewMiningJob<'_> = binary_sv2::from_bytes(&mut payload).unwrap();
                let root = Root::Whole(*m.merkle_root.as_array());
                self.job(m.channel_id, m.job_id, m.min_ntime.into_inner(), m.version, root);
            }
            mining::MESSAGE_TYPE_NEW_EXTENDED_MINING_JOB => {
                let m: mining::NewExtendedMiningJob<'_> =
                    binary_sv2::from_bytes(&mut payload).unwrap();
                assert!(m.version_rolling_allowed);
                let path = m.merkle_path.as_slice().iter().map(|hash| *hash.as_array()).collect();
                let root = Root::Coinbase {
                    prefix: m.coinbase_tx_prefix.as_bytes().to_vec(),
                    suffix: m.coinbase_tx_suffix.as_bytes().to_vec(),
                    path,
                };
                let min_time = m.min_ntime.as_ref().copied();
                self.job(m.channel_id, m.job_id, min_time, m.version, root);
            }
            mining::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH => {
                let m: mining::SetNewPrevHash<'_> = binary_sv2::from_bytes(&mut payload).unwrap();
                let (prev_hash, bits, time) = (*m.prev_hash.as_array(), m.nbits, m.min_ntime);
                self.tip = Some((prev_hash, bits));
                let group = self.group;
                for channel in self.channels.values_mut() {
                    if m.channel_id == channel.number || m.channel_id == group {
                        channel.jobs.retain(|&id, _| id == m.job_id);
                        channel.newest = m.job_id;
                        let job = channel.jobs.get_mut(&m.job_id).expect("a future job");
                        assert!(job.start.is_none(), "it was a future job");
                        job.start = Some(Start { prev_hash, bits, time });
                        job.target = channel.target;
                    }
                }
            }
            mining::MESSAGE_TYPE_SET_TARGET => {
                let m: mining::SetTarget<'_> = binary_sv2::from_bytes(&mut payload).unwrap();
                let target = number(*m.maximum_target.as_array());
                self.channels.get_mut(&m.channel_id).unwrap().target = target;
            }
            _ => {}
        }
    }

    fn opened(
        &mut self,
        number: u32,
        group: u32,
        prefix: Vec<u8>,
        size: Option<usize>,
        target: [u8; 32],
    ) {
        let target = self::number(target);
        self.group = group;
        let (jobs, newest, sequence) = (BTreeMap::new(), 0, 0);
        let channel = Channel { number, prefix, size, target, jobs, newest, sequence };
        assert!(self.channels.insert(number, channel).is_none(), "a channel has a new number");
    }

    fn job(&mut self, address: u32, id: u32, min_time: Option<u32>, version: u32, root: Root) {
        let (group, tip) = (self.group, self.tip);
        let mut is_heard = false;
        for channel in self.channels.values_mut() {
            if address != channel.number && address != group {
                continue;
            }
            is_heard = true;
            let is_standard = channel.size.is_none();
            assert!(is_standard || matches!(root, Root::Coinbase { .. }), "of the other kind");
            let start = min_time.map(|time| {
                let (prev_hash, bits) = tip.expect("a block was named before");
                channel.newest = id;
                Start { prev_hash, bits, time }
            });
            let job = Job { version, root: root.clone(), start, target: channel.target };
            assert!(channel.jobs.insert(id, job).is_none(), "a job has a new number");
        }
        assert!(is_heard, "a job for nobody");
    }

    /// The `nth` share of the channel's newest job.
    pub(crate) fn find(&self, channel: u32, nth: usize) -> Found {
        let channel = &self.channels[&channel];
        let target = channel.jobs[&channel.newest].target;
        self.find_where(channel.number, nth, |hash| target.is_met_by(hash))
    }

    pub(crate) fn find_where(
        &self,
        channel: u32,
        nth: usize,
        wanted: impl Fn(&Hash256) -> bool,
    ) -> Found {
        let channel = &self.channels[&channel];
        let job = &channel.jobs[&channel.newest];
        let time = job.start.expect("a job to work on").time;
        let extranonce = channel.size.map(|size| vec![0x5a; size]);
        let all = (0..).map(|nonce| Found {
            job: channel.newest,
            time,
            version: job.version ^ 0x2000,
            nonce,
            extranonce: extranonce.clone(),
        });
        let found = all.filter(|found| wanted(&channel.hash(found)));
        found.into_iter().nth(nth).expect("there are many")
    }

    /// Sends a share: its sequence number.
    pub(crate) fn submit(&mut self, hall: &mut Hall, channel: u32, found: &Found) -> u32 {
        let (sealed, sequence) = self.seal_share(channel, found);
        self.send(hall, &sealed);
        sequence
    }

    pub(crate) fn seal_share(&mut self, channel: u32, found: &Found) -> (Vec<u8>, u32) {
        let sequence = self.channels.get_mut(&channel).map_or(1, |channel| {
            channel.sequence += 1;
            channel.sequence
        });
        let Found { job, time, version, nonce, extranonce } = found.clone();
        let (kind, payload) = match extranonce {
            None => (
                mining::MESSAGE_TYPE_SUBMIT_SHARES_STANDARD,
                bytes(mining::SubmitSharesStandard {
                    channel_id: channel,
                    sequence_number: sequence,
                    job_id: job,
                    nonce,
                    ntime: time,
                    version,
                }),
            ),
            Some(extranonce) => (
                mining::MESSAGE_TYPE_SUBMIT_SHARES_EXTENDED,
                bytes(mining::SubmitSharesExtended {
                    channel_id: channel,
                    sequence_number: sequence,
                    job_id: job,
                    nonce,
                    ntime: time,
                    version,
                    extranonce: binary_sv2::B032::new(&extranonce).unwrap(),
                }),
            ),
        };
        (self.seal(kind, 0x8000, &payload), sequence)
    }

    /// The answers to shares so far, taken.
    pub(crate) fn answers(&mut self) -> Vec<Answer> {
        let answers = self.heard.drain(..).filter_map(|mut told| match told.kind {
            mining::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS => {
                let m: mining::SubmitSharesSuccess =
                    binary_sv2::from_bytes(&mut told.payload).unwrap();
                Some(Ok((m.channel_id, m.last_sequence_number, m.new_submits_accepted_count)))
            }
            mining::MESSAGE_TYPE_SUBMIT_SHARES_ERROR => {
                let m: mining::SubmitSharesError<'_> =
                    binary_sv2::from_bytes(&mut told.payload).unwrap();
                let code = m.error_code.as_utf8_or_hex();
                Some(Err((m.channel_id, m.sequence_number, code)))
            }
            _ => None,
        });
        answers.collect()
    }
}

impl Channel {
    pub(crate) fn hash(&self, found: &Found) -> Hash256 {
        let job = &self.jobs[&found.job];
        let start = job.start.unwrap();
        let merkle_root = match &job.root {
            Root::Whole(root) => *root,
            Root::Coinbase { prefix, suffix, path } => {
                let own = found.extranonce.as_deref().unwrap_or_default();
                let coinbase = [prefix, &self.prefix, own, suffix].concat();
                path.iter().fold(*Hash256::of(&coinbase).as_bytes(), |root, sibling| {
                    *Hash256::of(&[root, *sibling].concat()).as_bytes()
                })
            }
        };
        Header {
            version: found.version,
            prev_hash: Hash256::from_bytes(start.prev_hash),
            merkle_root: Hash256::from_bytes(merkle_root),
            time: found.time,
            bits: Bits::from_consensus(start.bits),
            nonce: found.nonce,
        }
        .hash()
    }
}

pub(crate) fn number(target: [u8; 32]) -> Target {
    Target::from_number(midstate_chain::U256::from_le_bytes(target))
}

pub(crate) fn bytes<T: Serialize + GetSize>(message: T) -> Vec<u8> {
    binary_sv2::to_bytes(message).unwrap()
}

pub(crate) fn setup(flags: u32) -> Vec<u8> {
    bytes(common::SetupConnection {
        protocol: common::Protocol::MiningProtocol,
        min_version: 2,
        max_version: 2,
        flags,
        endpoint_host: "pool.example".try_into().unwrap(),
        endpoint_port: 34255,
        vendor: "test".try_into().unwrap(),
        hardware_version: "1".try_into().unwrap(),
        firmware: "2".try_into().unwrap(),
        device_id: "".try_into().unwrap(),
    })
}
