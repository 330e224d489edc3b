//! The messages: those of the pool as typed values, checked in full, and ours as frames.
//!
//! Layouts are those of the crates `common_messages_sv2` and `mining_sv2`. Source: specification,
//! 3.6 and 5.3.

use std::sync::Arc;

use binary_sv2::{GetSize, Serialize, Str0255};
use common_messages_sv2 as common;
use midstate_chain::{Bits, Hash256, Target, U256};
use mining_sv2 as mining;

use crate::secure::Frame;

/// A flag of SetupConnection: we want our jobs with their merkle root, not by group.
pub(crate) const REQUIRES_STANDARD_JOBS: u32 = 1 << 0;
/// A flag of SetupConnection.Success: the version must not be rolled.
const REQUIRES_FIXED_VERSION: u32 = 1 << 0;
/// A flag of SetupConnection.Success: no standard channels.
const REQUIRES_EXTENDED_CHANNELS: u32 = 1 << 1;

/// A message of the pool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    SetupDone {
        fixed_version: bool,
        extended_only: bool,
    },
    SetupRefused {
        code: String,
    },
    Opened(Opened),
    OpenRefused {
        request: u32,
        code: String,
    },
    Job(NewJob),
    NewPrevHash(NewPrevHash),
    Target {
        channel: u32,
        target: Target,
    },
    ExtranoncePrefix {
        channel: u32,
        prefix: Vec<u8>,
    },
    Group {
        group: u32,
        channels: Vec<u32>,
    },
    Accepted {
        channel: u32,
        last: u32,
        count: u32,
    },
    Refused {
        channel: u32,
        sequence: u32,
        code: String,
    },
    UpdateRefused {
        code: String,
    },
    Closed {
        channel: u32,
        reason: String,
    },
    Reconnect {
        host: String,
        port: u16,
    },
    /// Of an extension, or of a type that the specification does not have, or not for a miner: to
    /// be ignored.
    Unknown,
}

/// A channel that was opened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Opened {
    /// Our number of the request.
    pub(crate) request: u32,
    pub(crate) channel: u32,
    pub(crate) group: u32,
    pub(crate) target: Target,
    pub(crate) prefix: Vec<u8>,
    /// Bytes of extranonce that are ours; `None` for a standard channel.
    pub(crate) size: Option<u16>,
}

/// A job as it was announced.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewJob {
    pub(crate) channel: u32,
    pub(crate) job: u32,
    /// `None`: for the block after a SetNewPrevHash that is to come.
    pub(crate) min_time: Option<u32>,
    pub(crate) body: Arc<Body>,
}

/// The content of a job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Standard {
        version: u32,
        merkle_root: Hash256,
    },
    Extended {
        version: u32,
        may_roll: bool,
        branch: Vec<Hash256>,
        coinbase_prefix: Vec<u8>,
        coinbase_suffix: Vec<u8>,
    },
}

/// The block to build on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NewPrevHash {
    pub(crate) channel: u32,
    /// The future job to work on from now on.
    pub(crate) job: u32,
    pub(crate) prev_hash: Hash256,
    pub(crate) min_time: u32,
    pub(crate) bits: Bits,
}

/// Why the bytes of a message make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: its fields do not fit its {length} bytes")]
pub(crate) struct Malformed {
    pub(crate) name: &'static str,
    pub(crate) length: usize,
}

/// Reads the payload of `frame` as the message type given.
macro_rules! read {
    ($frame:expr, $name:literal, $type:ty) => {{
        let length = $frame.payload.len();
        binary_sv2::from_bytes::<$type>(&mut $frame.payload)
            .map_err(|_| Malformed { name: $name, length })?
    }};
}
pub(crate) use read;

impl Message {
    /// Reads a frame.
    ///
    /// # Errors
    /// When the message is one that we know, and its bytes are not.
    pub(crate) fn parse(mut frame: Frame) -> Result<Self, Malformed> {
        if frame.extension != 0 {
            return Ok(Self::Unknown);
        }
        Ok(match frame.kind {
            common::MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS => {
                let m = read!(frame, "SetupConnection.Success", common::SetupConnectionSuccess);
                Self::SetupDone {
                    fixed_version: m.flags & REQUIRES_FIXED_VERSION != 0,
                    extended_only: m.flags & REQUIRES_EXTENDED_CHANNELS != 0,
                }
            }
            common::MESSAGE_TYPE_SETUP_CONNECTION_ERROR => {
                let m = read!(frame, "SetupConnection.Error", common::SetupConnectionError);
                Self::SetupRefused { code: text(&m.error_code) }
            }
            common::MESSAGE_TYPE_RECONNECT => {
                let m = read!(frame, "Reconnect", common::Reconnect);
                Self::Reconnect { host: text(&m.new_host), port: m.new_port }
            }
            mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL_SUCCESS => {
                let m = read!(
                    frame,
                    "OpenStandardMiningChannel.Success",
                    mining::OpenStandardMiningChannelSuccess
                );
                Self::Opened(Opened {
                    request: m.request_id,
                    channel: m.channel_id,
                    group: m.group_channel_id,
                    target: target(*m.target.as_array()),
                    prefix: m.extranonce_prefix.as_bytes().to_vec(),
                    size: None,
                })
            }
            mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL_SUCCESS => {
                let m = read!(
                    frame,
                    "OpenExtendedMiningChannel.Success",
                    mining::OpenExtendedMiningChannelSuccess
                );
                Self::Opened(Opened {
                    request: m.request_id,
                    channel: m.channel_id,
                    group: m.group_channel_id,
                    target: target(*m.target.as_array()),
                    prefix: m.extranonce_prefix.as_bytes().to_vec(),
                    size: Some(m.extranonce_size),
                })
            }
            mining::MESSAGE_TYPE_OPEN_MINING_CHANNEL_ERROR => {
                let m = read!(frame, "OpenMiningChannel.Error", mining::OpenMiningChannelError);
                Self::OpenRefused { request: m.request_id, code: text(&m.error_code) }
            }
            mining::MESSAGE_TYPE_NEW_MINING_JOB => {
                let m = read!(frame, "NewMiningJob", mining::NewMiningJob);
                let merkle_root = Hash256::from_bytes(*m.merkle_root.as_array());
                Self::Job(NewJob {
                    channel: m.channel_id,
                    job: m.job_id,
                    min_time: m.min_ntime.into_inner(),
                    body: Arc::new(Body::Standard { version: m.version, merkle_root }),
                })
            }
            mining::MESSAGE_TYPE_NEW_EXTENDED_MINING_JOB => {
                let m = read!(frame, "NewExtendedMiningJob", mining::NewExtendedMiningJob);
                let branch = m.merkle_path.as_slice().iter();
                Self::Job(NewJob {
                    channel: m.channel_id,
                    job: m.job_id,
                    min_time: m.min_ntime.as_ref().copied(),
                    body: Arc::new(Body::Extended {
                        version: m.version,
                        may_roll: m.version_rolling_allowed,
                        branch: branch.map(|hash| Hash256::from_bytes(*hash.as_array())).collect(),
                        coinbase_prefix: m.coinbase_tx_prefix.as_bytes().to_vec(),
                        coinbase_suffix: m.coinbase_tx_suffix.as_bytes().to_vec(),
                    }),
                })
            }
            mining::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH => {
                let m = read!(frame, "SetNewPrevHash", mining::SetNewPrevHash);
                Self::NewPrevHash(NewPrevHash {
                    channel: m.channel_id,
                    job: m.job_id,
                    prev_hash: Hash256::from_bytes(*m.prev_hash.as_array()),
                    min_time: m.min_ntime,
                    bits: Bits::from_consensus(m.nbits),
                })
            }
            mining::MESSAGE_TYPE_SET_TARGET => {
                let m = read!(frame, "SetTarget", mining::SetTarget);
                Self::Target { channel: m.channel_id, target: target(*m.maximum_target.as_array()) }
            }
            mining::MESSAGE_TYPE_SET_EXTRANONCE_PREFIX => {
                let m = read!(frame, "SetExtranoncePrefix", mining::SetExtranoncePrefix);
                let prefix = m.extranonce_prefix.as_bytes().to_vec();
                Self::ExtranoncePrefix { channel: m.channel_id, prefix }
            }
            mining::MESSAGE_TYPE_SET_GROUP_CHANNEL => {
                let m = read!(frame, "SetGroupChannel", mining::SetGroupChannel);
                Self::Group { group: m.group_channel_id, channels: m.channel_ids.into_inner() }
            }
            mining::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS => {
                let m = read!(frame, "SubmitShares.Success", mining::SubmitSharesSuccess);
                Self::Accepted {
                    channel: m.channel_id,
                    last: m.last_sequence_number,
                    count: m.new_submits_accepted_count,
                }
            }
            mining::MESSAGE_TYPE_SUBMIT_SHARES_ERROR => {
                let m = read!(frame, "SubmitShares.Error", mining::SubmitSharesError);
                Self::Refused {
                    channel: m.channel_id,
                    sequence: m.sequence_number,
                    code: text(&m.error_code),
                }
            }
            mining::MESSAGE_TYPE_UPDATE_CHANNEL_ERROR => {
                let m = read!(frame, "UpdateChannel.Error", mining::UpdateChannelError);
                Self::UpdateRefused { code: text(&m.error_code) }
            }
            mining::MESSAGE_TYPE_CLOSE_CHANNEL => {
                let m = read!(frame, "CloseChannel", mining::CloseChannel);
                Self::Closed { channel: m.channel_id, reason: text(&m.reason_code) }
            }
            _ => Self::Unknown,
        })
    }
}

/// Who we are, for SetupConnection.
#[derive(Debug, Clone)]
pub(crate) struct Introduction<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) firmware: &'a str,
    pub(crate) standard_jobs: bool,
}

pub(crate) fn setup_connection(of: &Introduction<'_>) -> Frame {
    let flags = if of.standard_jobs { REQUIRES_STANDARD_JOBS } else { 0 };
    frame(
        common::MESSAGE_TYPE_SETUP_CONNECTION,
        false,
        common::SetupConnection {
            protocol: common::Protocol::MiningProtocol,
            min_version: 2,
            max_version: 2,
            flags,
            endpoint_host: short(of.host),
            endpoint_port: of.port,
            vendor: short("midstate"),
            hardware_version: short("cpu"),
            firmware: short(of.firmware),
            device_id: short(""),
        },
    )
}

pub(crate) fn open_standard(request: u32, user: &str, hash_rate: f32) -> Frame {
    frame(
        mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL,
        false,
        mining::OpenStandardMiningChannel {
            request_id: request,
            user_identity: short(user),
            nominal_hash_rate: hash_rate,
            max_target: (&ANY_TARGET).into(),
        },
    )
}

pub(crate) fn open_extended(
    request: u32,
    user: &str,
    hash_rate: f32,
    min_extranonce_size: u16,
) -> Frame {
    frame(
        mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL,
        false,
        mining::OpenExtendedMiningChannel {
            request_id: request,
            user_identity: short(user),
            nominal_hash_rate: hash_rate,
            max_target: (&ANY_TARGET).into(),
            min_extranonce_size,
        },
    )
}

pub(crate) fn update_channel(channel: u32, hash_rate: f32) -> Frame {
    frame(
        mining::MESSAGE_TYPE_UPDATE_CHANNEL,
        true,
        mining::UpdateChannel {
            channel_id: channel,
            nominal_hash_rate: hash_rate,
            maximum_target: (&ANY_TARGET).into(),
        },
    )
}

/// A share to send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Submit<'a> {
    pub(crate) channel: u32,
    pub(crate) sequence: u32,
    pub(crate) job: u32,
    pub(crate) nonce: u32,
    pub(crate) time: u32,
    pub(crate) version: u32,
    /// `None` on a standard channel.
    pub(crate) extranonce: Option<&'a [u8]>,
}

pub(crate) fn submit(share: &Submit<'_>) -> Frame {
    let Submit { channel, sequence, job, nonce, time, version, extranonce } = *share;
    match extranonce {
        None => frame(
            mining::MESSAGE_TYPE_SUBMIT_SHARES_STANDARD,
            true,
            mining::SubmitSharesStandard {
                channel_id: channel,
                sequence_number: sequence,
                job_id: job,
                nonce,
                ntime: time,
                version,
            },
        ),
        Some(extranonce) => frame(
            mining::MESSAGE_TYPE_SUBMIT_SHARES_EXTENDED,
            true,
            mining::SubmitSharesExtended {
                channel_id: channel,
                sequence_number: sequence,
                job_id: job,
                nonce,
                ntime: time,
                version,
                extranonce: binary_sv2::B032::new(extranonce).expect("within the limit of 32"),
            },
        ),
    }
}

/// A CPU takes any target: the pool's choice is by our hash rate.
const ANY_TARGET: [u8; 32] = [0xff; 32];

pub(crate) fn frame<T: Serialize + GetSize>(kind: u8, is_for_channel: bool, message: T) -> Frame {
    let payload = binary_sv2::to_bytes(message).expect("a message of ours has an encoding");
    Frame { extension: 0, is_for_channel, kind, payload }
}

/// Texts of ours are checked before a connection is made.
pub(crate) fn short(text: &str) -> Str0255<'_> {
    text.try_into().expect("at most 255 bytes")
}

/// Text of the pool, not yet sanitized. Anything that is no UTF-8 is shown as a question mark.
pub(crate) fn text(bytes: &Str0255<'_>) -> String {
    String::from_utf8_lossy(bytes.as_bytes()).into_owned()
}

pub(crate) fn target(bytes: [u8; 32]) -> Target {
    Target::from_number(U256::from_le_bytes(bytes))
}
