//! The opening of a connection: what is asked, what the answers mean, and what a pool was found not
//! to bear (BIP310, S3).

use std::time::Duration;

use midstate_chain::is_printable;
use serde_json::{Value, json};

use super::jobs::Extranonce;
use super::output::Output;
use crate::message::{self, Answer, hex_bytes, hex_u32, is_readable};
use crate::{ClientConfig, Limits};

/// Where the handshake stands, and what is remembered of the pool for the next one.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    /// Requests without an answer.
    asked: Vec<(u64, Request)>,
    greeting: Greeting,
    subscribed: bool,
    authorized: bool,
    /// If this connection ends now, it is for a reason that we know.
    explained: bool,
    /// `mining.configure` was answered with yes on this connection.
    rolling: bool,
    /// The answer about rolling has been waited for long enough.
    is_late: bool,
    /// The pool's name for the session, to ask for it again.
    session_id: Option<String>,
    /// The pool's words for refusing the subscription that was asked for before the present one.
    turned_down: Option<String>,
    courtesies: Courtesies,
    /// When the connection began.
    since: Duration,
}

/// Requests that a pool may do without, and what it was found to think of them. Some servers hang
/// up on a request that they do not know, and BIP310 says so.
///
/// The rule: a request that the pool refused before it hung up is left out of the next handshake.
/// Where it hangs up without a refusal, twice in a row, requests are left out one by one, also
/// those that it answered, until it has let us in once. If the connection fails without them, too,
/// they were not the cause, and all are asked again. So are they after an [hour](SUSPICION).
#[derive(Debug, Default)]
struct Courtesies {
    /// It answered them, and let us in: whatever goes wrong, these are not the cause.
    borne: Vec<Request>,
    /// It answered them on this connection, and did not refuse them.
    answered: Vec<Request>,
    /// It refused them on this connection, with these words if with any.
    refused: Vec<(Request, Option<String>)>,
    /// It refused them, and then hung up.
    protested: Vec<Request>,
    /// The words of its last protest, until they are told.
    said: Option<String>,
    /// Left out of this handshake.
    left_out: Vec<Request>,
    /// Connections in a row that the pool ended before it let us in, for no reason that it gave.
    hang_ups: usize,
    last_hang_up: Duration,
    /// Connections in a row that it ended at the request that is the last one.
    at_the_last: usize,
    /// It was told which requests are left out.
    is_told: bool,
}

/// Requests of the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Configure,
    Subscribe,
    ExtranonceSubscribe,
    Authorize,
    SuggestDifficulty,
}

/// How much is said in `mining.subscribe`. Pools that refuse one may take the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Greeting {
    /// Our name and the session to resume.
    #[default]
    Session,
    /// Our name.
    Name,
    /// Nothing.
    Silent,
}

/// A good answer to `mining.subscribe`.
#[derive(Debug, PartialEq)]
pub(super) struct Subscription {
    pub(super) extranonce: Extranonce,
    session_id: Option<String>,
}

/// A bad one.
#[derive(Debug, PartialEq)]
pub(super) enum NoSubscription {
    /// The pool refused, perhaps what was asked. Not sanitized.
    Refused(String),
    /// The pool refused us with a sentence instead of a result (ckpool: "Initialising"). Not
    /// sanitized.
    Final(String),
    /// The answer is of no use; what came instead. Not sanitized. A pool of another coin gives the
    /// same answer to the next question.
    Unfit { what: String, is_other_coin: bool },
    /// S3.
    Extranonce(String),
}

/// A session id goes back in a line of ours.
const MAX_SESSION_ID: usize = 128;

/// Requests that a pool may do without, in the order in which they are suspected.
const COURTESIES: [Request; 3] =
    [Request::Configure, Request::SuggestDifficulty, Request::ExtranonceSubscribe];
/// Hang-ups in a row before one of them is left out. A single one is a restart of the pool, or of a
/// load balancer, more often than a protest.
const BEFORE_SUSPICION: usize = 2;
/// A pool that was down may have been taken for one that protests, and to roll no version costs
/// speed. So a connection that begins this long after the last hang-up tries again.
const SUSPICION: Duration = Duration::from_secs(3600);

impl Handshake {
    /// Writes all requests at once; pools answer in order or not.
    pub(super) fn start(&mut self, now: Duration, config: &ClientConfig, out: &mut Output) {
        self.asked.clear();
        self.turned_down = None;
        self.greeting = Greeting::default();
        (self.is_late, self.since) = (false, now);
        (self.subscribed, self.authorized, self.explained, self.rolling) =
            (false, false, false, false);
        self.courtesies.start(now, config);
        if self.courtesies.asks(Request::Configure, config) {
            let mask = format!("{:08x}", config.version_mask);
            let options = json!({"version-rolling.mask": mask, "version-rolling.min-bit-count": 2});
            let params = json!([["version-rolling"], options]);
            self.ask(Request::Configure, &params, out);
        }
        self.subscribe(config, out);
        if self.courtesies.asks(Request::ExtranonceSubscribe, config) {
            self.ask(Request::ExtranonceSubscribe, &json!([]), out);
        }
        self.authorize(config, out);
        if let Some(difficulty) = config.suggest_difficulty
            && self.courtesies.asks(Request::SuggestDifficulty, config)
        {
            let difficulty = crate::difficulty::Difficulty::to_json(difficulty);
            self.ask(Request::SuggestDifficulty, &json!([difficulty]), out);
        }
    }

    /// Asks again for a subscription, with less in it. `false` if there is nothing left to leave
    /// out.
    pub(super) fn retry(&mut self, config: &ClientConfig, out: &mut Output) -> bool {
        self.greeting = match self.greeting {
            Greeting::Session if self.session_id.take().is_some() => Greeting::Name,
            Greeting::Session | Greeting::Name => Greeting::Silent,
            Greeting::Silent => return false,
        };
        self.subscribe(config, out);
        // The one that is under way will be refused for want of a subscription.
        if !self.authorized {
            self.asked.retain(|&(_, request)| request != Request::Authorize);
            self.authorize(config, out);
        }
        true
    }

    /// Which request an answer belongs to; it is settled with that.
    pub(super) fn answered(&mut self, id: u64, answer: &Answer) -> Option<Request> {
        let at = self.asked.iter().position(|&(asked, _)| asked == id)?;
        let (_, request) = self.asked.remove(at);
        self.courtesies.answered(request, answer);
        Some(request)
    }

    /// The version may be rolled: a sixth parameter is due in each submission.
    pub(super) fn agree_on_rolling(&mut self) {
        self.rolling = true;
    }

    /// Whether rolling was asked for on this connection, agreed or not yet answered.
    pub(super) fn may_roll(&self) -> bool {
        self.rolling || self.awaits_configure()
    }

    /// Whether rolling was asked for on this connection, and an answer may still come.
    pub(super) fn is_asking_to_roll(&self) -> bool {
        !self.is_late && self.awaits_configure()
    }

    /// It is too late for shares to wait for that answer. Should it come, it holds for new ones.
    pub(super) fn stop_waiting_to_roll(&mut self) {
        self.is_late = true;
    }

    fn awaits_configure(&self) -> bool {
        self.asked.iter().any(|&(_, request)| request == Request::Configure)
    }

    pub(super) fn is_rolling(&self) -> bool {
        self.rolling
    }

    /// The pool refused a subscription with these words.
    pub(super) fn turned_down(&mut self, words: &str) {
        self.turned_down = Some(words.to_owned());
    }

    /// Its words, if the connection ended before the pool answered to another question, or for a
    /// request that it refused.
    pub(super) fn take_refusal(&mut self) -> Option<String> {
        let (turned_down, protest) = (self.turned_down.take(), self.courtesies.said.take());
        let protest = protest.filter(|words| turned_down.as_ref() != Some(words));
        let words: Vec<_> = turned_down.into_iter().chain(protest).collect();
        (!self.explained && !words.is_empty()).then(|| words.join("; "))
    }

    pub(super) fn subscribed(&mut self, session_id: Option<String>) {
        (self.subscribed, self.turned_down) = (true, None);
        self.session_id = session_id;
    }

    pub(super) fn authorized(&mut self) {
        self.authorized = true;
    }

    /// If the connection ends now, the requests that have no answer are not the cause: the pool
    /// said a clear no, or leads us elsewhere, or it is we who close.
    pub(super) fn explained(&mut self) {
        self.explained = true;
    }

    /// Whether shares may be sent.
    pub(super) fn is_through(&self) -> bool {
        self.subscribed && self.authorized
    }

    /// The first necessary answer that is still missing.
    pub(super) fn missing(&self) -> Option<&'static str> {
        match (self.subscribed, self.authorized) {
            (false, _) => Some("mining.subscribe"),
            (true, false) => Some("mining.authorize"),
            (true, true) => None,
        }
    }

    /// The connection ended. What there is to tell about that, beside the pool's words
    /// ([`take_refusal`](Self::take_refusal)).
    pub(super) fn ended(&mut self, now: Duration, config: &ClientConfig) -> Option<String> {
        if !self.is_through() {
            return if self.explained { None } else { self.courtesies.hung_up(now, config) };
        }
        let is_young = now.saturating_sub(self.since) < config.limits.handshake;
        if is_young
            && !self.explained
            && let Some(request) = self.at_the_last()
        {
            return self.courtesies.hung_up_at(request, now);
        }
        self.courtesies.let_in();
        None
    }

    /// The request that the pool came to when it had let us in, and did not bear, it seems: the
    /// last one of all, or the one before it where a pool looks at the login first.
    fn at_the_last(&self) -> Option<Request> {
        let is_borne = |request| {
            let is_open = self.asked.iter().any(|&(_, asked)| asked == request);
            !is_open && !self.courtesies.has_refused(request)
        };
        [Request::SuggestDifficulty, Request::ExtranonceSubscribe]
            .into_iter()
            .find(|&request| !is_borne(request))
    }

    /// The remark, told once, on a pool that lets us in at last.
    pub(super) fn news(&mut self) -> Option<String> {
        self.courtesies.news().filter(|_| self.is_through())
    }

    /// Whether the next handshake is another one, since the pool hung up in this one.
    pub(super) fn tries_another(&self) -> bool {
        self.courtesies.hang_ups > 0
    }

    fn subscribe(&mut self, config: &ClientConfig, out: &mut Output) {
        let name = &config.user_agent;
        let params = match (self.greeting, &self.session_id) {
            (Greeting::Session, Some(session)) => json!([name, session]),
            (Greeting::Session | Greeting::Name, _) => json!([name]),
            (Greeting::Silent, _) => json!([]),
        };
        self.ask(Request::Subscribe, &params, out);
    }

    fn authorize(&mut self, config: &ClientConfig, out: &mut Output) {
        // Always both: public-pool wants two.
        self.ask(Request::Authorize, &json!([config.user, config.password]), out);
    }

    fn ask(&mut self, request: Request, params: &Value, out: &mut Output) {
        let id = out.next_id();
        self.asked.push((id, request));
        out.send(message::request(id, request.method(), params));
    }
}

impl Request {
    fn method(self) -> &'static str {
        match self {
            Self::Configure => "mining.configure",
            Self::Subscribe => "mining.subscribe",
            Self::ExtranonceSubscribe => "mining.extranonce.subscribe",
            Self::Authorize => "mining.authorize",
            Self::SuggestDifficulty => "mining.suggest_difficulty",
        }
    }

    /// Whether this user wants it.
    fn is_wanted(self, config: &ClientConfig) -> bool {
        match self {
            Self::Configure => config.version_mask != 0,
            Self::SuggestDifficulty => config.suggest_difficulty.is_some(),
            _ => true,
        }
    }
}

impl Courtesies {
    /// A connection begins.
    fn start(&mut self, now: Duration, config: &ClientConfig) {
        self.refused.clear();
        self.answered.clear();
        if now.saturating_sub(self.last_hang_up) >= SUSPICION {
            // One more hang-up is enough to leave one out again.
            self.hang_ups = self.hang_ups.min(BEFORE_SUSPICION - 1);
            self.protested.clear();
        }
        let left_out = self.protested.iter().copied().chain(self.suspects(config)).collect();
        if self.left_out != left_out {
            (self.left_out, self.is_told) = (left_out, false);
        }
    }

    /// Those that are left out for hang-ups without a refusal.
    fn suspects(&self, config: &ClientConfig) -> impl Iterator<Item = Request> {
        self.unknown(config).take(self.hang_ups.saturating_sub(BEFORE_SUSPICION - 1))
    }

    /// Those that may be the cause of a hang-up.
    fn unknown(&self, config: &ClientConfig) -> impl Iterator<Item = Request> {
        COURTESIES.into_iter().filter(|request| {
            let is_known = self.borne.contains(request) || self.protested.contains(request);
            request.is_wanted(config) && !is_known
        })
    }

    fn asks(&self, request: Request, config: &ClientConfig) -> bool {
        request.is_wanted(config) && !self.left_out.contains(&request)
    }

    fn answered(&mut self, request: Request, answer: &Answer) {
        if !COURTESIES.contains(&request) {
            return;
        }
        match &answer.error {
            None => self.answered.push(request),
            Some(refusal) => self.refused.push((request, refusal.reason.clone())),
        }
    }

    fn bears(&mut self, request: Request) {
        if !self.borne.contains(&request) {
            self.borne.push(request);
        }
    }

    fn has_refused(&self, request: Request) -> bool {
        self.refused.iter().any(|(refused, _)| *refused == request)
    }

    /// The pool let us in, and the connection ended later: it bears the requests that it answered,
    /// and those that it refused.
    fn let_in(&mut self) {
        self.at_the_last = 0;
        let refused = std::mem::take(&mut self.refused).into_iter().map(|(request, _)| request);
        for request in std::mem::take(&mut self.answered).into_iter().chain(refused) {
            self.bears(request);
        }
        if self.hang_ups < BEFORE_SUSPICION {
            self.hang_ups = 0;
        }
    }

    /// It ended the connection before it let us in, for no reason that it gave.
    fn hung_up(&mut self, now: Duration, config: &ClientConfig) -> Option<String> {
        self.hang_ups += 1;
        self.last_hang_up = now;
        // Without any of them it failed as well.
        if self.hang_ups > self.unknown(config).count() + BEFORE_SUSPICION - 1 {
            self.hang_ups = 0;
            self.protested.clear();
        }
        let refused = std::mem::take(&mut self.refused);
        self.protest(refused)
    }

    /// It let us in, and ended the connection at its last request.
    fn hung_up_at(&mut self, request: Request, now: Duration) -> Option<String> {
        self.last_hang_up = now;
        let refused = self.refused.extract_if(.., |(refused, _)| *refused == request).collect();
        let count = self.at_the_last + 1;
        self.let_in();
        self.at_the_last = count % BEFORE_SUSPICION;
        let told = self.protest(refused);
        if told.is_some() || count < BEFORE_SUSPICION {
            return told;
        }
        self.protested.push(request);
        let method = request.method();
        Some(format!("the pool hung up right after {method}; this is left out from now on"))
    }

    /// A request that it refused before it hung up is not sent again.
    fn protest(&mut self, refused: Vec<(Request, Option<String>)>) -> Option<String> {
        let (requests, words): (Vec<_>, Vec<_>) = refused.into_iter().unzip();
        let consequence = consequence(&requests)?;
        self.protested.extend(&requests);
        let mut words: Vec<_> = words.into_iter().flatten().collect();
        words.dedup();
        self.said = (!words.is_empty()).then(|| words.join("; "));
        let methods = methods(&requests);
        Some(format!(
            "the pool refused {methods} and hung up; this is left out from now on{consequence}"
        ))
    }

    /// The finding of our tries, told once.
    fn news(&mut self) -> Option<String> {
        let found: Vec<_> =
            self.left_out.iter().copied().filter(|at| !self.protested.contains(at)).collect();
        let consequence = consequence(&found)?;
        (!std::mem::replace(&mut self.is_told, true)).then(|| {
            format!(
                "the pool hung up on each connection that began with {}, and lets us in without \
                 (or it was down, and is back){consequence}; it is asked again on a connection \
                 that begins in an hour or later",
                methods(&found)
            )
        })
    }
}

fn methods(requests: &[Request]) -> String {
    let methods: Vec<_> = requests.iter().map(|request| request.method()).collect();
    methods.join(" and ")
}

/// The loss from leaving these out; `None` if nothing is left out.
fn consequence(left_out: &[Request]) -> Option<&'static str> {
    match left_out {
        [] => None,
        some if some.contains(&Request::Configure) => {
            Some(": no version bits are rolled; --version-mask off never asks for them")
        }
        _ => Some(""),
    }
}

impl Subscription {
    /// Reads an answer: `[anything, extranonce1, extranonce2 size, ..]`. What stands first varies:
    /// pairs in either order, one pair alone, null.
    pub(super) fn from_answer(answer: &Answer, limits: &Limits) -> Result<Self, NoSubscription> {
        if let Some(refusal) = &answer.error {
            let code = refusal.code.map(|code| format!("code {code}"));
            let reason = refusal.reason.clone().or(code).unwrap_or("without a reason".into());
            let hint = if refusal.is_unknown_method() { NO_STRATUM_V1 } else { "" };
            return Err(NoSubscription::Refused(reason + hint));
        }
        let items = match &answer.result {
            Value::Array(items) => items.as_slice(),
            Value::String(sentence) if is_readable(sentence) => {
                return Err(NoSubscription::Final(sentence.clone()));
            }
            other => return Err(unfit(other)),
        };
        let ([subscriptions, first, size, ..], None) = (items, other_coin(items)) else {
            return Err(unfit(&answer.result));
        };
        Ok(Self {
            extranonce: Extranonce {
                first: extranonce1(first, limits).map_err(NoSubscription::Extranonce)?,
                second_size: extranonce2_size(size, limits).map_err(NoSubscription::Extranonce)?,
            },
            session_id: session_id(subscriptions),
        })
    }

    pub(super) fn into_session_id(self) -> Option<String> {
        self.session_id
    }
}

/// For a server that does not know the call.
const NO_STRATUM_V1: &str = "; is it a port of Stratum V1, for SHA-256?";

/// An answer that gives no extranonce, in words.
fn unfit(result: &Value) -> NoSubscription {
    let coin = result.as_array().and_then(|items| other_coin(items));
    let came = match result {
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
        Value::String(_) => "an empty text".to_owned(),
        other => other.to_string(),
    };
    let wanted = "where a pool for Bitcoin gives its part of the extranonce";
    let hint = match coin {
        Some(coin) => format!("; it looks like a pool of another coin ({coin})"),
        None => NO_STRATUM_V1.to_owned(),
    };
    NoSubscription::Unfit { what: format!("{came} {wanted}{hint}"), is_other_coin: coin.is_some() }
}

/// The other coin whose pools answer so. Their protocols have the calls' names in common with
/// Bitcoin's.
fn other_coin(items: &[Value]) -> Option<&'static str> {
    let is_eth =
        |text: &Value| text.as_str().is_some_and(|text| text.starts_with("EthereumStratum/"));
    let names_eth = items
        .iter()
        .any(|item| is_eth(item) || item.as_array().is_some_and(|inner| inner.iter().any(is_eth)));
    if names_eth {
        return Some("EthereumStratum, as for Ethash or Kaspa");
    }
    // ZIP 301: a session or null, and the pool's part of the nonce.
    let [Value::Null | Value::String(_), Value::String(nonce)] = items else { return None };
    hex_bytes(nonce).map(|_| "as for Equihash, Zcash")
}

/// The pool's bytes of the extranonce.
pub(super) fn extranonce1(value: &Value, limits: &Limits) -> Result<Vec<u8>, String> {
    let bytes = value.as_str().and_then(hex_bytes);
    let bytes = bytes.ok_or("extranonce1 is not an even number of hex digits")?;
    if bytes.len() > limits.extranonce1 {
        let limit = limits.extranonce1;
        return Err(format!("extranonce1 has {} bytes, the limit is {limit}", bytes.len()));
    }
    Ok(bytes)
}

/// How many bytes are ours. Refused, never clamped: a miner that clamps mines a wrong coinbase.
pub(super) fn extranonce2_size(value: &Value, limits: &Limits) -> Result<usize, String> {
    let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
    size.filter(|&size| size <= limits.extranonce2).ok_or_else(|| {
        let limit = limits.extranonce2;
        format!("extranonce2 size must be a whole number from 0 to {limit}, got {value}")
    })
}

/// The mask that a pool agrees to; `None` if it does not roll. A yes without a mask allows nothing.
pub(super) fn agreed_mask(answer: &Answer) -> Option<u32> {
    let agrees = answer.error.is_none() && answer.result.get("version-rolling")?.as_bool()?;
    agrees.then(|| {
        let mask = answer.result.get("version-rolling.mask").and_then(Value::as_str);
        mask.and_then(hex_u32).unwrap_or(0)
    })
}

/// The id beside `mining.notify`, in a pair that stands alone or among others.
fn session_id(subscriptions: &Value) -> Option<String> {
    let pairs = std::iter::once(subscriptions).chain(subscriptions.as_array()?);
    let mut ids = pairs.filter_map(|pair| match pair.as_array()?.as_slice() {
        [Value::String(method), Value::String(id), ..] if method == "mining.notify" => Some(id),
        _ => None,
    });
    let is_sendable =
        |id: &&String| (1..=MAX_SESSION_ID).contains(&id.len()) && id.chars().all(is_printable);
    ids.find(is_sendable).cloned()
}
