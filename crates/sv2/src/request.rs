//! The messages of a miner as typed values, checked in full, and the pool's as frames: the mirror
//! of `message`, for the server.
//!
//! Source: specification, 3.6 and 5.3.

use binary_sv2::{B032, B064K, Seq0255, Sv2Option};
use common_messages_sv2 as common;
use midstate_chain::{Hash256, Job, Target};
use mining_sv2 as mining;

use crate::ChannelKind;
use crate::message::{Malformed, frame, read, short, target, text};
use crate::secure::Frame;

/// A message of a miner.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    Setup(Setup),
    Open(Opening),
    Update {
        channel: u32,
        hash_rate: f32,
        max_target: Target,
    },
    Submit(ShareTicket, Submission),
    Close {
        channel: u32,
    },
    CustomJob {
        channel: u32,
        request: u32,
    },
    /// Of an extension, or of a type that the specification does not have, or not for a pool: to
    /// be ignored.
    Unknown,
}

/// SetupConnection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setup {
    pub(crate) is_for_mining: bool,
    pub(crate) versions: std::ops::RangeInclusive<u16>,
    pub(crate) flags: u32,
    pub(crate) device: String,
}

/// A channel that a miner asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// For the answer.
    pub(crate) request: u32,
    /// Its kind.
    pub kind: ChannelKind,
    /// The worker.
    pub user: String,
    /// The rate that the miner expects, in hashes a second; 0 if it cannot tell.
    pub hash_rate: f32,
    /// No hash above it is of use to the miner: the channel's target has to be as hard.
    pub max_target: Target,
    /// Bytes of extranonce that have to be the miner's at least; 0 on a standard channel.
    pub min_extranonce_size: usize,
}

/// The right to answer one share, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareTicket {
    /// The channel that it came by.
    pub channel: u32,
    pub(crate) sequence: u32,
}

/// A share as it was submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The job that it claims to belong to.
    pub job: u32,
    /// Header time.
    pub time: u32,
    /// Header nonce.
    pub nonce: u32,
    /// The header's whole version.
    pub version: u32,
    /// The miner's part of the extranonce. `None` on a standard channel.
    pub extranonce: Option<Vec<u8>>,
}

impl Request {
    /// Reads a frame.
    ///
    /// # Errors
    /// When the message is one that we know, and its bytes are not.
    pub(crate) fn parse(mut frame: Frame) -> Result<Self, Malformed> {
        if frame.extension != 0 {
            return Ok(Self::Unknown);
        }
        Ok(match frame.kind {
            common::MESSAGE_TYPE_SETUP_CONNECTION => {
                let m = read!(frame, "SetupConnection", common::SetupConnection<'_>);
                let device = [&m.vendor, &m.hardware_version, &m.firmware].map(text).join(" ");
                Self::Setup(Setup {
                    is_for_mining: m.protocol == common::Protocol::MiningProtocol,
                    versions: m.min_version..=m.max_version,
                    flags: m.flags,
                    device,
                })
            }
            mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL => {
                let m = read!(
                    frame,
                    "OpenStandardMiningChannel",
                    mining::OpenStandardMiningChannel<'_>
                );
                Self::Open(Opening {
                    request: m.request_id,
                    kind: ChannelKind::Standard,
                    user: text(&m.user_identity),
                    hash_rate: m.nominal_hash_rate,
                    max_target: target(*m.max_target.as_array()),
                    min_extranonce_size: 0,
                })
            }
            mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL => {
                let m = read!(
                    frame,
                    "OpenExtendedMiningChannel",
                    mining::OpenExtendedMiningChannel<'_>
                );
                Self::Open(Opening {
                    request: m.request_id,
                    kind: ChannelKind::Extended,
                    user: text(&m.user_identity),
                    hash_rate: m.nominal_hash_rate,
                    max_target: target(*m.max_target.as_array()),
                    min_extranonce_size: m.min_extranonce_size.into(),
                })
            }
            mining::MESSAGE_TYPE_UPDATE_CHANNEL => {
                let m = read!(frame, "UpdateChannel", mining::UpdateChannel<'_>);
                Self::Update {
                    channel: m.channel_id,
                    hash_rate: m.nominal_hash_rate,
                    max_target: target(*m.maximum_target.as_array()),
                }
            }
            mining::MESSAGE_TYPE_SUBMIT_SHARES_STANDARD => {
                let m = read!(frame, "SubmitSharesStandard", mining::SubmitSharesStandard);
                let ticket = ShareTicket { channel: m.channel_id, sequence: m.sequence_number };
                let (job, time, nonce, version) = (m.job_id, m.ntime, m.nonce, m.version);
                Self::Submit(ticket, Submission { job, time, nonce, version, extranonce: None })
            }
            mining::MESSAGE_TYPE_SUBMIT_SHARES_EXTENDED => {
                let m = read!(frame, "SubmitSharesExtended", mining::SubmitSharesExtended<'_>);
                let ticket = ShareTicket { channel: m.channel_id, sequence: m.sequence_number };
                let extranonce = Some(m.extranonce.as_bytes().to_vec());
                let (job, time, nonce, version) = (m.job_id, m.ntime, m.nonce, m.version);
                Self::Submit(ticket, Submission { job, time, nonce, version, extranonce })
            }
            mining::MESSAGE_TYPE_CLOSE_CHANNEL => {
                let m = read!(frame, "CloseChannel", mining::CloseChannel<'_>);
                Self::Close { channel: m.channel_id }
            }
            mining::MESSAGE_TYPE_SET_CUSTOM_MINING_JOB => {
                let m = read!(frame, "SetCustomMiningJob", mining::SetCustomMiningJob<'_>);
                Self::CustomJob { channel: m.channel_id, request: m.request_id }
            }
            _ => Self::Unknown,
        })
    }
}

pub(crate) fn setup_done() -> Frame {
    frame(
        common::MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS,
        false,
        common::SetupConnectionSuccess { used_version: 2, flags: 0 },
    )
}

pub(crate) fn setup_refused(flags: u32, code: &str) -> Frame {
    frame(
        common::MESSAGE_TYPE_SETUP_CONNECTION_ERROR,
        false,
        common::SetupConnectionError { flags, error_code: short(code) },
    )
}

pub(crate) fn opened_standard(
    request: u32,
    channel: u32,
    group: u32,
    target: Target,
    prefix: &[u8],
) -> Frame {
    frame(
        mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL_SUCCESS,
        false,
        mining::OpenStandardMiningChannelSuccess {
            request_id: request,
            channel_id: channel,
            target: (&target.to_le_bytes()).into(),
            extranonce_prefix: bytes32(prefix),
            group_channel_id: group,
        },
    )
}

pub(crate) fn opened_extended(
    request: u32,
    channel: u32,
    group: u32,
    target: Target,
    prefix: &[u8],
    size: u16,
) -> Frame {
    frame(
        mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL_SUCCESS,
        false,
        mining::OpenExtendedMiningChannelSuccess {
            request_id: request,
            channel_id: channel,
            target: (&target.to_le_bytes()).into(),
            extranonce_size: size,
            extranonce_prefix: bytes32(prefix),
            group_channel_id: group,
        },
    )
}

pub(crate) fn open_refused(request: u32, code: &str) -> Frame {
    frame(
        mining::MESSAGE_TYPE_OPEN_MINING_CHANNEL_ERROR,
        false,
        mining::OpenMiningChannelError { request_id: request, error_code: short(code) },
    )
}

/// `None` for `min_time`: for the block after a SetNewPrevHash that is to come.
pub(crate) fn standard_job(
    channel: u32,
    number: u32,
    min_time: Option<u32>,
    version: u32,
    merkle_root: &Hash256,
) -> Frame {
    frame(
        mining::MESSAGE_TYPE_NEW_MINING_JOB,
        true,
        mining::NewMiningJob {
            channel_id: channel,
            job_id: number,
            min_ntime: Sv2Option::new(min_time),
            version,
            merkle_root: merkle_root.as_bytes().into(),
        },
    )
}

pub(crate) fn extended_job(channel: u32, number: u32, min_time: Option<u32>, job: &Job) -> Frame {
    let path = job.branch.iter().map(|hash| hash.as_bytes().into()).collect();
    frame(
        mining::MESSAGE_TYPE_NEW_EXTENDED_MINING_JOB,
        true,
        mining::NewExtendedMiningJob {
            channel_id: channel,
            job_id: number,
            min_ntime: Sv2Option::new(min_time),
            version: job.version,
            version_rolling_allowed: true,
            merkle_path: Seq0255::new(path).expect("a block has fewer than 2^255 transactions"),
            coinbase_tx_prefix: bytes64k(&job.coinbase_prefix),
            coinbase_tx_suffix: bytes64k(&job.coinbase_suffix),
        },
    )
}

pub(crate) fn new_prev_hash(channel: u32, number: u32, job: &Job) -> Frame {
    frame(
        mining::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH,
        true,
        mining::SetNewPrevHash {
            channel_id: channel,
            job_id: number,
            prev_hash: job.prev_hash.as_bytes().into(),
            min_ntime: job.time,
            nbits: job.bits.to_consensus(),
        },
    )
}

pub(crate) fn set_target(channel: u32, target: Target) -> Frame {
    frame(
        mining::MESSAGE_TYPE_SET_TARGET,
        true,
        mining::SetTarget { channel_id: channel, maximum_target: (&target.to_le_bytes()).into() },
    )
}

pub(crate) fn accepted(channel: u32, last: u32, count: u32, difficulty: f64) -> Frame {
    frame(
        mining::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS,
        true,
        mining::SubmitSharesSuccess {
            channel_id: channel,
            last_sequence_number: last,
            new_submits_accepted_count: count,
            new_shares_sum: difficulty.round() as u64,
        },
    )
}

pub(crate) fn refused(ticket: ShareTicket, code: &str) -> Frame {
    frame(
        mining::MESSAGE_TYPE_SUBMIT_SHARES_ERROR,
        true,
        mining::SubmitSharesError {
            channel_id: ticket.channel,
            sequence_number: ticket.sequence,
            error_code: short(code),
        },
    )
}

pub(crate) fn update_refused(channel: u32, code: &str) -> Frame {
    frame(
        mining::MESSAGE_TYPE_UPDATE_CHANNEL_ERROR,
        true,
        mining::UpdateChannelError { channel_id: channel, error_code: short(code) },
    )
}

pub(crate) fn custom_job_refused(channel: u32, request: u32) -> Frame {
    frame(
        mining::MESSAGE_TYPE_SET_CUSTOM_MINING_JOB_ERROR,
        true,
        mining::SetCustomMiningJobError {
            channel_id: channel,
            request_id: request,
            error_code: short(mining::ERROR_CODE_SET_CUSTOM_MINING_JOB_JD_NOT_SUPPORTED),
        },
    )
}

fn bytes32(bytes: &[u8]) -> B032<'_> {
    B032::new(bytes).expect("an extranonce has at most 32 bytes")
}

fn bytes64k(bytes: &[u8]) -> B064K<'_> {
    B064K::new(bytes).expect("a template's coinbase is shorter than 65,536 bytes")
}
