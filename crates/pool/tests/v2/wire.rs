//! A miner's side of a Stratum V2 connection that does as it is told, bytes in and bytes out,
//! written from the specification and apart from the code of `midstate-sv2`. Used by the tests of
//! the pool, and by `examples/channels.rs` of the program.

use std::collections::BTreeMap;

use binary_sv2::{GetSize, Serialize};
use common_messages_sv2 as common;
use midstate_chain::{Bits, Hash256, Header, Target};
use mining_sv2 as mining;
use noise_sv2::{Initiator, NoiseEngine};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// No target is too easy for it.
pub(crate) const EASIEST: [u8; 32] = [0xff; 32];

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

/// A connection, as its miner knows it.
pub(crate) struct Wire {
    initiator: Box<Initiator>,
    engine: Option<NoiseEngine>,
    input: Vec<u8>,
    header: Option<[u8; 6]>,
    tip: Option<([u8; 32], u32)>,
    pub(crate) group: u32,
    pub(crate) channels: BTreeMap<u32, Channel>,
    /// All that came, oldest first.
    pub(crate) heard: Vec<Told>,
}

impl Wire {
    /// To a pool with that authority key.
    pub(crate) fn new(authority: [u8; 32], entropy: [u8; 32]) -> Self {
        let mut random = ChaCha20Rng::from_seed(entropy);
        Self {
            initiator: Initiator::from_raw_k_with_rng(authority, &mut random).unwrap(),
            engine: None,
            input: Vec::new(),
            header: None,
            tip: None,
            group: 0,
            channels: BTreeMap::new(),
            heard: Vec::new(),
        }
    }

    /// Bytes of the pool came, at a time since 1970.
    pub(crate) fn receive(&mut self, bytes: &[u8], unix: u32) {
        self.input.extend_from_slice(bytes);
        if self.engine.is_none() && self.input.len() >= 234 {
            let answer: [u8; 234] = self.take(234).unwrap().try_into().unwrap();
            self.engine = Some(self.initiator.step_2_with_now(answer, unix).unwrap());
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

    /// Whether the handshake is through.
    pub(crate) fn is_open(&self) -> bool {
        self.engine.is_some()
    }

    /// The next bytes of its handshake.
    pub(crate) fn hello(&mut self) -> [u8; 64] {
        self.initiator.step_0().unwrap()
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
        self.header(found).hash()
    }

    pub(crate) fn header(&self, found: &Found) -> Header {
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

/// OpenStandardMiningChannel.
pub(crate) fn open_standard(user: &str, rate: f32, max_target: [u8; 32]) -> Vec<u8> {
    bytes(mining::OpenStandardMiningChannel {
        request_id: 77,
        user_identity: user.try_into().unwrap(),
        nominal_hash_rate: rate,
        max_target: (&max_target).into(),
    })
}
