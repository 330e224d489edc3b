//! JSON-RPC as Bitcoin Core speaks it: the calls a solo miner needs, their answers, and the
//! words for everything that can go wrong. The bytes travel elsewhere (`net`).
//!
//! Requests state version 2.0; nodes before 28.0 take it for 1.0 and answer in that shape, so both
//! are read. Sources: Core's `rpc/request.cpp`, `httprpc.cpp`, `rpc/mining.cpp`; BIP22, BIP23.
//! (`corepc-types` has types for these answers, but pulls in the `bitcoin` crate and thus
//! libsecp256k1 for a dozen fields.)

use std::sync::Arc;

use midstate_chain::{Hash256, is_printable};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::causes;
use crate::foreign::shown;
pub use crate::foreign::{Foreign, Headers};
use crate::limits::MAX_WORDS;
pub use crate::limits::{MAX_BODY, MAX_DEPTH};

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `getblockchaininfo`: which chain, and is the node ready. Answer: [`ChainInfo`].
    ChainInfo,
    /// `getnetworkinfo`: who it is and whom it knows. Answer: [`NetworkInfo`].
    NetworkInfo,
    /// `getblocktemplate`. With an id from an earlier template the node answers when it has a
    /// better one (BIP22 long polling). Answer: parse with [`Template`](crate::Template).
    Template {
        /// `longpollid` of the template at hand.
        longpoll_id: Option<String>,
    },
    /// `getblocktemplate` in proposal mode (BIP23): is this block right but for its proof of work?
    /// Answer: `null` or a reason, as for [`Submit`](Self::Submit).
    Proposal {
        /// The block in hex.
        block: Arc<str>,
    },
    /// `submitblock`. Answer: [`BlockVerdict`].
    Submit {
        /// The block in hex.
        block: Arc<str>,
    },
    /// `waitforblockheight`: answered when the chain is that high, or after that time. Unlike a
    /// long poll it ends by itself, so that nobody holds a thread of the node for ever. Answer:
    /// [`Tip`].
    WaitForHeight {
        /// Height to wait for.
        height: u32,
        /// Milliseconds until the node answers in any case.
        limit_ms: u32,
    },
    /// `getblockheader`: does the node have this block, and how deep? Answer: [`HeaderInfo`].
    Header(
        /// Hash of the block.
        Hash256,
    ),
}

impl Call {
    /// The name of the method.
    pub fn method(&self) -> &'static str {
        match self {
            Self::ChainInfo => "getblockchaininfo",
            Self::NetworkInfo => "getnetworkinfo",
            Self::Template { .. } | Self::Proposal { .. } => "getblocktemplate",
            Self::Submit { .. } => "submitblock",
            Self::WaitForHeight { .. } => "waitforblockheight",
            Self::Header(_) => "getblockheader",
        }
    }

    /// The body of the HTTP request.
    pub fn body(&self, id: u64) -> Vec<u8> {
        let params = match self {
            Self::ChainInfo | Self::NetworkInfo => json!([]),
            Self::Template { longpoll_id } => {
                // Rules we know how to keep; naming "signet" elsewhere does no harm.
                let mut request = json!({
                    "rules": ["segwit", "signet"],
                    "capabilities": ["coinbasevalue", "longpoll", "proposal"],
                });
                if let Some(id) = longpoll_id {
                    request["longpollid"] = json!(id);
                }
                json!([request])
            }
            Self::Proposal { block } => {
                json!([{"mode": "proposal", "rules": ["segwit", "signet"], "data": &**block}])
            }
            Self::Submit { block } => json!([&**block]),
            Self::WaitForHeight { height, limit_ms } => json!([height, limit_ms]),
            Self::Header(hash) => json!([hash.to_string()]),
        };
        json!({"jsonrpc": "2.0", "id": id, "method": self.method(), "params": params})
            .to_string()
            .into_bytes()
    }
}

/// An HTTP answer: a status and a body of any kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The headers that describe the body.
    pub headers: Headers,
    /// The body, at most [`MAX_BODY`] long.
    pub body: Vec<u8>,
}

/// Why a call brought no answer at all. Its words are a sentence with the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The cookie cannot be read: nothing was asked.
    #[error("{0}")]
    NoCredentials(String),
    /// There is no connection, and the next attempt will bring none: nobody listens, or the other
    /// end is not to be trusted.
    #[error("{0}")]
    NobodyThere(String),
    /// There is no connection.
    #[error("{0}")]
    NoConnection(String),
    /// Nothing came in time.
    #[error("{0}")]
    TimedOut(String),
    /// The connection ended before the answer began.
    #[error("{0}")]
    Broken(String),
    /// The connection ended in the middle of the answer.
    #[error("{0}")]
    Cut(String),
    /// The server does not speak HTTP.
    #[error("{0}")]
    NotHttp(String),
    /// Beyond [`MAX_BODY`].
    #[error("the answer is above 64 MiB")]
    TooLong,
    /// What came belongs to another call.
    #[error(
        "an answer with the id {0} came, expected {1}: check the proxy between midstate and the \
         node, which mixes up answers"
    )]
    AnotherCalls(String, u64),
}

impl NoAnswer {
    fn what(&self) -> &'static str {
        if matches!(self, Self::Cut(_)) { "no whole answer" } else { "no answer" }
    }

    /// Whether the call may have reached the node all the same.
    pub(crate) fn may_have_arrived(&self) -> bool {
        !matches!(self, Self::NoCredentials(_) | Self::NobodyThere(_) | Self::NoConnection(_))
    }
}

/// Why a call brought no result. The words say what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// No answer at all. What to do depends on why, and is said by whoever asked.
    #[error("{what} from the node: {0}", what = .0.what())]
    Unreachable(NoAnswer),
    /// HTTP 401.
    #[error(
        "the node refused our user name or password (401); point --rpccookiefile at its .cookie \
         file or --datadir at its data directory, or give -u and -p"
    )]
    Unauthorized,
    /// HTTP 403.
    #[error(
        "the node forbids this (403); allow our address with rpcallowip, and with rpcwhitelist the \
         methods getblocktemplate, submitblock, getblockchaininfo, getblockheader and \
         waitforblockheight"
    )]
    Forbidden,
    /// No answer of JSON-RPC, whatever the status.
    #[error("{0}")]
    Foreign(Foreign),
    /// The node answered with an error of its own.
    #[error("the node says: {message} ({code}); {}", cure(*.code, .message))]
    Node {
        /// Core's number, see its `rpc/protocol.h`.
        code: i64,
        /// Core's words.
        message: String,
    },
    /// Not what the method answers.
    #[error("the node's answer cannot be read: {0}")]
    Malformed(String),
    /// Beyond a limit of ours (S16).
    #[error("the node's answer is beyond our limit of {0}; nothing of it was used")]
    TooMuch(&'static str),
}

impl RpcError {
    /// Whether time may bring another answer to a block: the node is away, starts, stops, or does
    /// not let us in at present.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Node { code, .. } => matches!(*code, code::NOT_CONNECTED | code::IN_WARMUP),
            Self::Malformed(_) | Self::TooMuch(_) => false,
            _ => true,
        }
    }
}

/// Core's error codes that we tell apart (`rpc/protocol.h`).
pub(crate) mod code {
    /// Also "Block not found" of `getblockheader`.
    pub(crate) const INVALID_ADDRESS_OR_KEY: i64 = -5;
    /// The node has no peers; also "Shutting down".
    pub(crate) const NOT_CONNECTED: i64 = -9;
    /// Initial block download.
    pub(crate) const IN_INITIAL_DOWNLOAD: i64 = -10;
    /// A block that is no block.
    pub(crate) const DESERIALIZATION: i64 = -22;
    /// The node starts.
    pub(crate) const IN_WARMUP: i64 = -28;
    /// The node could not judge a block: its disk is full, or a file of it is damaged.
    pub(crate) const VERIFY_ERROR: i64 = -25;
    pub(crate) const DATABASE_ERROR: i64 = -20;
    pub(crate) const OUT_OF_MEMORY: i64 = -7;
    pub(crate) const INTERNAL_ERROR: i64 = -32603;
    /// A parameter of another type.
    pub(crate) const TYPE_ERROR: i64 = -3;
    pub(crate) const PARSE_ERROR: i64 = -32700;
    pub(crate) const INVALID_REQUEST: i64 = -32600;
    pub(crate) const INVALID_PARAMS: i64 = -32602;
    /// Unknown method.
    pub(crate) const METHOD_NOT_FOUND: i64 = -32601;
}

fn cure(code: i64, message: &str) -> &'static str {
    match code {
        code::NOT_CONNECTED if message.contains("Shutting down") => "it is on its way out",
        code::NOT_CONNECTED => {
            "it gives no work without peers: check its network, or use -chain=regtest, which needs \
             none"
        }
        code::IN_INITIAL_DOWNLOAD => {
            "it is still downloading the chain: no work comes before it has caught up (bitcoin-cli \
             getblockchaininfo shows how far it is)"
        }
        code::IN_WARMUP => "it is starting, and answers in a while",
        code::METHOD_NOT_FOUND => "is this a Bitcoin Core node?",
        code::TYPE_ERROR | code::PARSE_ERROR | code::INVALID_REQUEST | code::INVALID_PARAMS => {
            "it does not understand our call: is this a Bitcoin Core node, with nothing in between \
             that changes calls?"
        }
        // Of a template that the node makes: it would refuse the block itself.
        _ if message.contains("time-too-new") => {
            "the chain's tip is too far ahead of the node's clock; check both clocks"
        }
        _ => causes::cause_within(message).unwrap_or(match code {
            code::VERIFY_ERROR
            | code::DATABASE_ERROR
            | code::OUT_OF_MEMORY
            | code::INTERNAL_ERROR => {
                "the node has a trouble of its own, as a full disk; its debug.log says more"
            }
            _ => "its debug.log may say more",
        }),
    }
}

impl Answer {
    /// The answer, unless it names another call than `id`. One that names none counts: nodes that
    /// could not read a call do not know its id.
    pub fn to_call(self, id: u64) -> Result<Self, NoAnswer> {
        let text = std::str::from_utf8(&self.body).ok();
        let named = text.and_then(object::<Named<'_>>).and_then(|answer| answer.id);
        // Some write a number as a text.
        let other = named.map(RawValue::get).filter(|it| it.trim_matches('"') != id.to_string());
        match other.map(shown) {
            Some(other) => Err(NoAnswer::AnotherCalls(other, id)),
            None => Ok(self),
        }
    }

    /// Whether this is a web server's word instead of the node's: one in between that waits no
    /// longer, or Core's own, which has too much to do.
    pub(crate) fn is_no_answer(&self) -> bool {
        matches!(self.status, 502..=504)
    }

    /// The result of a call, or why there is none.
    pub fn result<T: Reply>(&self) -> Result<T, RpcError> {
        let result = self.raw_result()?.get();
        T::read(result).ok_or_else(|| {
            RpcError::Malformed(format!(
                "its result is {}, expected {}",
                shown(result),
                T::EXPECTED
            ))
        })
    }

    /// The result as the node wrote it.
    pub fn raw_result(&self) -> Result<&RawValue, RpcError> {
        if self.body.len() > MAX_BODY {
            return Err(RpcError::TooMuch("64 MiB"));
        }
        // Web pages have brackets, too.
        let is_object = self.body.trim_ascii_start().starts_with(b"{");
        if is_object && depth(&self.body) > MAX_DEPTH {
            return Err(RpcError::TooMuch("16 levels of JSON"));
        }
        match self.status {
            401 => return Err(RpcError::Unauthorized),
            403 => return Err(RpcError::Forbidden),
            _ => {}
        }
        // Nodes that take us for 1.0 send errors with status 500 or 404, and JSON all the same.
        let foreign = || RpcError::Foreign(Foreign::look(self));
        let text = std::str::from_utf8(&self.body).map_err(|_| foreign())?;
        let envelope: Envelope<'_> = object(text).ok_or_else(foreign)?;
        let Some(error) = envelope.error else { return envelope.result.ok_or_else(foreign) };
        Err(match object(error.get()) {
            Some(NodeError { code, message }) => {
                RpcError::Node { code, message: printable(&message) }
            }
            None => RpcError::Malformed(format!(
                "its error is {}, expected a code and a message; is this a Bitcoin Core node?",
                shown(error.get())
            )),
        })
    }
}

/// The result of a call.
pub trait Reply: DeserializeOwned {
    /// Its shape, for people who get something else.
    const EXPECTED: &'static str;

    /// From a result. Most are objects.
    fn read(result: &str) -> Option<Self> {
        object(result)
    }
}

impl Reply for Value {
    const EXPECTED: &'static str = "JSON";

    fn read(result: &str) -> Option<Self> {
        serde_json::from_str(result).ok()
    }
}

/// From a JSON object. Derived readers take an array of the fields' values, too, which no node
/// means.
pub(crate) fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    if !json.trim_start().starts_with('{') {
        return None;
    }
    serde_json::from_str(json).ok()
}

#[derive(Deserialize)]
struct Envelope<'a> {
    /// `None` only when the key is missing: a result of `null` is a result.
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// The call that an answer belongs to; `null` is none.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct NodeError {
    code: i64,
    message: String,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A node's answer to a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockVerdict {
    /// `null`: valid, and the new tip (or, of a proposal, valid but for its proof of work).
    Accepted,
    /// `duplicate`: the node had it already, in its chain or beside it, and it is valid.
    Duplicate,
    /// `inconclusive`: stored, but another block of the same height or a longer chain came first.
    Inconclusive,
    /// Any other reason, in Core's words (`high-hash`, `bad-cb-amount`, ..). Sending it again
    /// brings the same answer.
    Refused(String),
    /// Neither `null` nor a reason, as JSON (`true`, `{}`, `-1`): it says neither yes nor no.
    Unknown(String),
}

impl BlockVerdict {
    /// From the answer to `submitblock` or to a proposal.
    pub fn from_answer(answer: &Answer) -> Result<Self, RpcError> {
        let verdict = match answer.result::<Value>()? {
            Value::Null => Self::Accepted,
            Value::String(reason) => match reason.as_str() {
                "duplicate" => Self::Duplicate,
                "inconclusive" | "duplicate-inconclusive" => Self::Inconclusive,
                reason => match printable(reason) {
                    // No reason at all.
                    words if words.is_empty() => Self::Unknown(json!(reason).to_string()),
                    words => Self::Refused(words),
                },
            },
            other => Self::Unknown(printable(&other.to_string())),
        };
        Ok(verdict)
    }
}

/// The fields that we read of `getblockchaininfo`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ChainInfo {
    /// Core's name of the chain; see [`Network::name`](midstate_chain::Network::name).
    pub chain: String,
    /// Height of the tip.
    pub blocks: u32,
    /// Height of the best header: blocks up to there are known, and may be missing.
    #[serde(default)]
    pub headers: u32,
    /// Whether the node still catches up.
    #[serde(default, rename = "initialblockdownload")]
    pub initial_download: bool,
}

impl Reply for ChainInfo {
    const EXPECTED: &'static str =
        "what getblockchaininfo answers: an object with chain (text) and blocks (a number)";
}

/// The fields that we read of `waitforblockheight`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Tip {
    hash: String,
}

impl Reply for Tip {
    const EXPECTED: &'static str = "what waitforblockheight answers: an object with hash (text)";
}

impl Tip {
    /// Whether the tip is this block.
    pub fn is(&self, hash: &Hash256) -> bool {
        self.hash == hash.to_string()
    }
}

/// The fields that we read of `getnetworkinfo`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct NetworkInfo {
    /// Peers, in both directions.
    pub connections: u32,
    subversion: String,
}

impl Reply for NetworkInfo {
    const EXPECTED: &'static str =
        "what getnetworkinfo answers: an object with connections (a number) and subversion (text)";
}

impl NetworkInfo {
    /// The node's name for itself (BIP14), fit to be printed.
    pub fn agent(&self) -> String {
        printable(&self.subversion)
    }
}

/// The fields that we read of `getblockheader`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HeaderInfo {
    /// 1 for the tip, -1 when the block is not in the best chain.
    pub confirmations: i64,
    /// 0 while the node has the header only.
    #[serde(rename = "nTx")]
    pub transactions: u64,
}

impl Reply for HeaderInfo {
    const EXPECTED: &'static str =
        "what getblockheader answers: an object with confirmations and nTx (numbers)";
}

/// A node's or file's words without what could steer a terminal (S11), a line or two of them.
pub(crate) fn printable(words: &str) -> String {
    let mut shown: String = words
        .chars()
        .map(|letter| if letter.is_whitespace() { ' ' } else { letter })
        .filter(|letter| is_printable(*letter))
        .take(MAX_WORDS)
        .collect();
    shown.truncate(shown.trim_end().len());
    shown
}

/// How deep brackets nest outside of strings, for well-formed JSON; at least that for anything
/// else.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
