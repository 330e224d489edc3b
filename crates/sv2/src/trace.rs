//! Frames for people: each message by its name, with its fields, as a sniffer behind the encryption
//! sees it. For `--frames`; the client does not decide by it.
//!
//! Apart from `message` on purpose: it spells messages of both sides, and those that the client
//! ignores, and shows the bytes of one whose fields do not fit.
//!
//! Source: specification, 3.1 (data types), 3.6 and 5.3.

use common_messages_sv2 as common;
use mining_sv2 as mining;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::secure::Frame;

/// A message that was sent or received, in the clear.
#[derive(Debug, Clone, PartialEq)]
pub struct TracedFrame {
    /// Whether it went from us to the pool.
    pub is_sent: bool,
    /// The name of the specification, as `SubmitSharesStandard`; `Handshake` for the bytes before
    /// the encryption, `Unknown` for a type that the specification does not have.
    pub name: &'static str,
    /// The extension that defines the message; 0 is the protocol itself.
    pub extension: u16,
    /// The channel, or group, that it names.
    pub channel: Option<u32>,
    /// Its fields in their order, the channel included.
    pub fields: Fields,
    /// Its bytes are not those of its fields. Those that are left over are the field `rest`.
    pub is_malformed: bool,
}

/// The fields of a message. In JSON an object: numbers, texts, and the rest as hex in the order of
/// the wire.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fields(Vec<(&'static str, Value)>);

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Number(u64),
    Real(f32),
    Flag(bool),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Absent,
}

/// The encoding of a field.
#[derive(Debug, Clone, Copy)]
enum Kind {
    U8,
    U16,
    U32,
    U64,
    F32,
    Flag,
    /// 32 bytes.
    U256,
    /// A length of one byte, and text.
    Text,
    /// A length of one byte, and bytes.
    Short,
    /// A length of two bytes, and bytes.
    Long,
    /// A count of 0 or 1, and a number of 32 bits.
    Optional,
    /// A count of one byte, and hashes.
    Hashes,
    /// A count of two bytes, and numbers of 32 bits.
    Numbers,
}

type Layout = (&'static str, &'static [(&'static str, Kind)]);

impl TracedFrame {
    /// Bytes of the handshake.
    pub(crate) fn handshake(is_sent: bool, bytes: usize) -> Self {
        let fields = Fields(vec![("bytes", Value::Number(bytes as u64))]);
        let (extension, channel, is_malformed) = (0, None, false);
        Self { is_sent, name: "Handshake", extension, channel, fields, is_malformed }
    }

    pub(crate) fn new(is_sent: bool, frame: &Frame) -> Self {
        Self::decode(is_sent, frame.extension, frame.kind, &frame.payload)
    }

    /// A message of this extension and type.
    pub fn decode(is_sent: bool, extension: u16, kind: u8, payload: &[u8]) -> Self {
        let known = (extension == 0).then(|| layout(kind)).flatten();
        let (name, fields) = known.unwrap_or(("Unknown", &[]));
        let mut values = Vec::new();
        let mut rest = payload;
        if known.is_none() {
            values.push(("type", Value::Number(kind.into())));
        }
        let is_whole = fields.iter().all(|&(name, kind)| match read(kind, &mut rest) {
            Some(value) => {
                values.push((name, value));
                true
            }
            None => false,
        });
        if !rest.is_empty() {
            values.push(("rest", Value::Bytes(rest.to_vec())));
        }
        let channel = values.iter().find_map(|(name, value)| match value {
            Value::Number(number) if *name == "channel_id" => u32::try_from(*number).ok(),
            _ => None,
        });
        let is_malformed = known.is_some() && !(is_whole && rest.is_empty());
        Self { is_sent, name, extension, channel, fields: Fields(values), is_malformed }
    }
}

fn read(kind: Kind, bytes: &mut &[u8]) -> Option<Value> {
    // A field that does not fit takes nothing, so that all of it is in the rest.
    let mut left = *bytes;
    let value = match kind {
        Kind::U8 => Value::Number(number(1, &mut left)?),
        Kind::U16 => Value::Number(number(2, &mut left)?),
        Kind::U32 => Value::Number(number(4, &mut left)?),
        Kind::U64 => Value::Number(number(8, &mut left)?),
        Kind::F32 => Value::Real(f32::from_bits(number(4, &mut left)? as u32)),
        Kind::Flag => Value::Flag(number(1, &mut left)? & 1 == 1),
        Kind::U256 => Value::Bytes(take(32, &mut left)?),
        Kind::Text => {
            let length = number(1, &mut left)? as usize;
            Value::Text(String::from_utf8_lossy(&take(length, &mut left)?).into_owned())
        }
        Kind::Short => {
            let length = number(1, &mut left)? as usize;
            Value::Bytes(take(length, &mut left)?)
        }
        Kind::Long => {
            let length = number(2, &mut left)? as usize;
            Value::Bytes(take(length, &mut left)?)
        }
        Kind::Optional => match number(1, &mut left)? {
            0 => Value::Absent,
            1 => Value::Number(number(4, &mut left)?),
            _ => return None,
        },
        Kind::Hashes => {
            let count = number(1, &mut left)?;
            Value::List((0..count).map(|_| read(Kind::U256, &mut left)).collect::<Option<_>>()?)
        }
        Kind::Numbers => {
            let count = number(2, &mut left)?;
            Value::List((0..count).map(|_| read(Kind::U32, &mut left)).collect::<Option<_>>()?)
        }
    };
    *bytes = left;
    Some(value)
}

fn take(count: usize, bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken.to_vec())
}

/// A little-endian number of up to eight bytes.
fn number(size: usize, bytes: &mut &[u8]) -> Option<u64> {
    let mut whole = [0; 8];
    whole[..size].copy_from_slice(&take(size, bytes)?);
    Some(u64::from_le_bytes(whole))
}

/// The name of a message and its fields.
#[expect(clippy::too_many_lines, reason = "a table of all messages")]
fn layout(kind: u8) -> Option<Layout> {
    use Kind::{F32, Flag, Hashes, Long, Numbers, Optional, Short, Text, U8, U16, U32, U64, U256};
    const CHANNEL: (&str, Kind) = ("channel_id", U32);
    const REQUEST: (&str, Kind) = ("request_id", U32);
    const ERROR: (&str, Kind) = ("error_code", Text);
    const USER: (&str, Kind) = ("user_identity", Text);
    const RATE: (&str, Kind) = ("nominal_hash_rate", F32);
    const GROUP: (&str, Kind) = ("group_channel_id", U32);
    const PREFIX: (&str, Kind) = ("extranonce_prefix", Short);
    const JOB: (&str, Kind) = ("job_id", U32);
    const VERSION: (&str, Kind) = ("version", U32);
    const SEQUENCE: (&str, Kind) = ("sequence_number", U32);
    const NONCE: (&str, Kind) = ("nonce", U32);
    const TIME: (&str, Kind) = ("ntime", U32);
    Some(match kind {
        common::MESSAGE_TYPE_SETUP_CONNECTION => (
            "SetupConnection",
            &[
                ("protocol", U8),
                ("min_version", U16),
                ("max_version", U16),
                ("flags", U32),
                ("endpoint_host", Text),
                ("endpoint_port", U16),
                ("vendor", Text),
                ("hardware_version", Text),
                ("firmware", Text),
                ("device_id", Text),
            ],
        ),
        common::MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS => {
            ("SetupConnection.Success", &[("used_version", U16), ("flags", U32)])
        }
        common::MESSAGE_TYPE_SETUP_CONNECTION_ERROR => {
            ("SetupConnection.Error", &[("flags", U32), ERROR])
        }
        common::MESSAGE_TYPE_CHANNEL_ENDPOINT_CHANGED => ("ChannelEndpointChanged", &[CHANNEL]),
        common::MESSAGE_TYPE_RECONNECT => ("Reconnect", &[("new_host", Text), ("new_port", U16)]),
        mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL => {
            ("OpenStandardMiningChannel", &[REQUEST, USER, RATE, ("max_target", U256)])
        }
        mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL_SUCCESS => (
            "OpenStandardMiningChannel.Success",
            &[REQUEST, CHANNEL, ("target", U256), PREFIX, GROUP],
        ),
        mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL => (
            "OpenExtendedMiningChannel",
            &[REQUEST, USER, RATE, ("max_target", U256), ("min_extranonce_size", U16)],
        ),
        mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL_SUCCESS => (
            "OpenExtendedMiningChannel.Success",
            &[REQUEST, CHANNEL, ("target", U256), ("extranonce_size", U16), PREFIX, GROUP],
        ),
        mining::MESSAGE_TYPE_OPEN_MINING_CHANNEL_ERROR => {
            ("OpenMiningChannel.Error", &[REQUEST, ERROR])
        }
        mining::MESSAGE_TYPE_NEW_MINING_JOB => (
            "NewMiningJob",
            &[CHANNEL, JOB, ("min_ntime", Optional), VERSION, ("merkle_root", U256)],
        ),
        mining::MESSAGE_TYPE_NEW_EXTENDED_MINING_JOB => (
            "NewExtendedMiningJob",
            &[
                CHANNEL,
                JOB,
                ("min_ntime", Optional),
                VERSION,
                ("version_rolling_allowed", Flag),
                ("merkle_path", Hashes),
                ("coinbase_tx_prefix", Long),
                ("coinbase_tx_suffix", Long),
            ],
        ),
        mining::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH => (
            "SetNewPrevHash",
            &[CHANNEL, JOB, ("prev_hash", U256), ("min_ntime", U32), ("nbits", U32)],
        ),
        mining::MESSAGE_TYPE_UPDATE_CHANNEL => {
            ("UpdateChannel", &[CHANNEL, RATE, ("maximum_target", U256)])
        }
        mining::MESSAGE_TYPE_UPDATE_CHANNEL_ERROR => ("UpdateChannel.Error", &[CHANNEL, ERROR]),
        mining::MESSAGE_TYPE_CLOSE_CHANNEL => ("CloseChannel", &[CHANNEL, ("reason_code", Text)]),
        mining::MESSAGE_TYPE_SET_EXTRANONCE_PREFIX => ("SetExtranoncePrefix", &[CHANNEL, PREFIX]),
        mining::MESSAGE_TYPE_SET_TARGET => ("SetTarget", &[CHANNEL, ("maximum_target", U256)]),
        mining::MESSAGE_TYPE_SET_GROUP_CHANNEL => {
            ("SetGroupChannel", &[GROUP, ("channel_ids", Numbers)])
        }
        mining::MESSAGE_TYPE_SUBMIT_SHARES_STANDARD => {
            ("SubmitSharesStandard", &[CHANNEL, SEQUENCE, JOB, NONCE, TIME, VERSION])
        }
        mining::MESSAGE_TYPE_SUBMIT_SHARES_EXTENDED => (
            "SubmitSharesExtended",
            &[CHANNEL, SEQUENCE, JOB, NONCE, TIME, VERSION, ("extranonce", Short)],
        ),
        mining::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS => (
            "SubmitShares.Success",
            &[
                CHANNEL,
                ("last_sequence_number", U32),
                ("new_submits_accepted_count", U32),
                ("new_shares_sum", U64),
            ],
        ),
        mining::MESSAGE_TYPE_SUBMIT_SHARES_ERROR => {
            ("SubmitShares.Error", &[CHANNEL, SEQUENCE, ERROR])
        }
        mining::MESSAGE_TYPE_SET_CUSTOM_MINING_JOB => (
            "SetCustomMiningJob",
            &[
                CHANNEL,
                REQUEST,
                ("token", Short),
                VERSION,
                ("prev_hash", U256),
                ("min_ntime", U32),
                ("nbits", U32),
                ("coinbase_tx_version", U32),
                ("coinbase_prefix", Short),
                ("coinbase_tx_input_n_sequence", U32),
                ("coinbase_tx_outputs", Long),
                ("coinbase_tx_locktime", U32),
                ("merkle_path", Hashes),
            ],
        ),
        mining::MESSAGE_TYPE_SET_CUSTOM_MINING_JOB_SUCCESS => {
            ("SetCustomMiningJob.Success", &[CHANNEL, REQUEST, JOB])
        }
        mining::MESSAGE_TYPE_SET_CUSTOM_MINING_JOB_ERROR => {
            ("SetCustomMiningJob.Error", &[CHANNEL, REQUEST, ERROR])
        }
        _ => return None,
    })
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Real(number) => serializer.serialize_f32(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_str(&const_hex::encode(bytes)),
            Self::List(values) => serializer.collect_seq(values),
            Self::Absent => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use binary_sv2::{B032, GetSize, Seq0255, Sv2Option};
    use serde_json::{Value as Json, json};

    use super::*;

    fn traced(kind: u8, payload: Vec<u8>) -> TracedFrame {
        TracedFrame::new(false, &Frame { extension: 0, is_for_channel: true, kind, payload })
    }

    fn whole<T: binary_sv2::Serialize + GetSize>(kind: u8, message: T) -> (TracedFrame, Json) {
        let traced = traced(kind, binary_sv2::to_bytes(message).unwrap());
        assert!(!traced.is_malformed, "{traced:?}");
        let json = serde_json::to_value(&traced.fields).unwrap();
        (traced, json)
    }

    #[test]
    fn fields_are_those_that_the_messages_crate_writes() {
        let job = mining::NewExtendedMiningJob {
            channel_id: 7,
            job_id: 9,
            min_ntime: Sv2Option::new(Some(5)),
            version: 0x2000_0000,
            version_rolling_allowed: true,
            merkle_path: Seq0255::new(vec![(&[0xaa; 32]).into()]).unwrap(),
            coinbase_tx_prefix: binary_sv2::B064K::new(&[1, 2]).unwrap(),
            coinbase_tx_suffix: binary_sv2::B064K::new(&[3]).unwrap(),
        };
        let (frame, fields) = whole(mining::MESSAGE_TYPE_NEW_EXTENDED_MINING_JOB, job);
        assert_eq!((frame.name, frame.channel), ("NewExtendedMiningJob", Some(7)));
        let expected = json!({
            "channel_id": 7, "job_id": 9, "min_ntime": 5, "version": 0x2000_0000,
            "version_rolling_allowed": true, "merkle_path": ["aa".repeat(32)],
            "coinbase_tx_prefix": "0102", "coinbase_tx_suffix": "03",
        });
        assert_eq!(fields, expected);

        let opened = mining::OpenExtendedMiningChannelSuccess {
            request_id: 1,
            channel_id: 2,
            target: (&[0xff; 32]).into(),
            extranonce_size: 4,
            extranonce_prefix: B032::new(&[1, 2, 3]).unwrap(),
            group_channel_id: 3,
        };
        let kind = mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL_SUCCESS;
        let expected = json!({
            "request_id": 1, "channel_id": 2, "target": "ff".repeat(32), "extranonce_size": 4,
            "extranonce_prefix": "010203", "group_channel_id": 3,
        });
        assert_eq!(whole(kind, opened).1, expected);
        let root = [1; 32];
        let job = mining::NewMiningJob {
            channel_id: 7,
            job_id: 9,
            min_ntime: Sv2Option::new(None),
            version: 1,
            merkle_root: (&root).into(),
        };
        let fields = whole(mining::MESSAGE_TYPE_NEW_MINING_JOB, job).1;
        assert_eq!(fields["min_ntime"], Json::Null);
        let update = mining::UpdateChannel {
            channel_id: 7,
            nominal_hash_rate: 1.5e6,
            maximum_target: (&[0; 32]).into(),
        };
        let fields = whole(mining::MESSAGE_TYPE_UPDATE_CHANNEL, update).1;
        assert_eq!(fields["nominal_hash_rate"], json!(1.5e6));
        let group = mining::SetGroupChannel {
            group_channel_id: 3,
            channel_ids: binary_sv2::Seq064K::new(vec![1, 2]).unwrap(),
        };
        let fields = whole(mining::MESSAGE_TYPE_SET_GROUP_CHANNEL, group).1;
        assert_eq!(fields, json!({"group_channel_id": 3, "channel_ids": [1, 2]}));
        let done = mining::SubmitSharesSuccess {
            channel_id: 7,
            last_sequence_number: 1,
            new_submits_accepted_count: 2,
            new_shares_sum: u64::MAX,
        };
        let fields = whole(mining::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS, done).1;
        assert_eq!(fields["new_shares_sum"], json!(u64::MAX));
    }

    #[test]
    fn a_message_that_does_not_fit_shows_the_bytes_that_are_left_over() {
        let target = traced(mining::MESSAGE_TYPE_SET_TARGET, vec![1; 9]);
        assert!(target.is_malformed);
        let fields = serde_json::to_value(&target.fields).unwrap();
        assert_eq!(fields, json!({"channel_id": 0x0101_0101, "rest": "0101010101"}));
        let long = traced(mining::MESSAGE_TYPE_SET_TARGET, vec![1; 37]);
        assert!(long.is_malformed);
        assert_eq!(serde_json::to_value(&long.fields).unwrap()["rest"], "01");
        // A text that is announced longer than it is.
        let error = traced(mining::MESSAGE_TYPE_OPEN_MINING_CHANNEL_ERROR, vec![1, 0, 0, 0, 9, 65]);
        let fields = serde_json::to_value(&error.fields).unwrap();
        assert_eq!(fields, json!({"request_id": 1, "rest": "0941"}));
    }

    #[test]
    fn an_unknown_message_is_its_type_and_its_bytes() {
        let frame = Frame { extension: 2, is_for_channel: false, kind: 0x1a, payload: vec![7] };
        let traced = TracedFrame::new(true, &frame);
        assert_eq!((traced.name, traced.extension, traced.is_malformed), ("Unknown", 2, false));
        let fields = serde_json::to_value(&traced.fields).unwrap();
        assert_eq!(fields, json!({"type": 0x1a, "rest": "07"}));
    }
}
