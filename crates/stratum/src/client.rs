//! The client's state machine: one pool, over as many connections as it takes.
//!
//! This file routes: bytes to messages, messages to the part that they concern. The parts are the
//! [`handshake`], the [`jobs`] (what the pool said about its work), the [`shares`] (the book of
//! what was found), the [`watch`] (overdue things) and the [`output`] (lines and events that wait).

mod config;
mod event;
mod handshake;
mod jobs;
mod output;
mod secret;
mod shares;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Share};
use serde_json::{Value, json};

use crate::difficulty::Difficulty;
use crate::line::{LineBuffer, LineTooLong};
use crate::message::{self, Answer, Call, Message, Refusal, hex_u32};
use crate::notify::Notify;
use crate::{CloseReason, redirect};

use crate::rules::Window;
pub use config::{ClientConfig, ConfigError};
pub use event::{ClientEvent, Remark, ShareOutcome};
use handshake::{Handshake, NoSubscription, Request, Subscription};
use jobs::{Extranonce, Jobs};
use output::Output;
pub use secret::{Secret, without_password};
use shares::Shares;
use watch::Watch;

/// A Stratum v1 client for one pool.
///
/// One `Client` lives across reconnects (and redirects), so that sessions are resumed and no share
/// is lost with its connection. Each share that is submitted gets exactly one
/// [`ClientEvent::Verdict`].
///
/// `now` is a time since any start the caller likes, the same for all calls.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    state: State,
    connected_at: Duration,
    lines: LineBuffer,
    handshake: Handshake,
    jobs: Jobs,
    shares: Shares,
    watch: Watch,
    malformed: Window,
    /// A malformed line of a server that has not yet said a word of Stratum on this connection:
    /// perhaps it speaks another protocol, and then there is a better sentence about that.
    doubt: Option<String>,
    /// A line of this connection was in order.
    spoke_stratum: bool,
    redirects: Window,
    /// Notifications of methods that we do not know.
    ignored: u64,
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No transport.
    Offline,
    Online,
    /// The transport is to be dropped; nothing on it counts any more.
    Closing,
    /// No transport, ever again.
    Finished,
}

impl Client {
    /// A client that is not connected.
    pub fn new(config: ClientConfig) -> Self {
        let limits = &config.limits;
        Self {
            state: State::Offline,
            connected_at: Duration::ZERO,
            lines: LineBuffer::new(limits.line),
            handshake: Handshake::default(),
            jobs: Jobs::new(limits.jobs),
            shares: Shares::new(&config.user, limits),
            watch: Watch::default(),
            malformed: Window::new(limits.malformed_lines, limits.malformed_window),
            doubt: None,
            spoke_stratum: false,
            redirects: Window::new(limits.redirects, limits.redirect_window),
            ignored: 0,
            output: Output::new(&config),
            config,
        }
    }

    /// A fresh transport is up: the whole handshake is ready to be sent.
    pub fn handle_connected(&mut self, now: Duration) {
        self.handle_disconnected(now);
        if self.state == State::Finished {
            return;
        }
        self.state = State::Online;
        if let Err(error) = self.config.check() {
            return self.close(error.into());
        }
        self.watch.start(now);
        self.shares.connected(now);
        self.connected_at = now;
        self.handshake.start(now, &self.config, &mut self.output);
    }

    /// As [`handle_disconnected`](Self::handle_disconnected), by our own wish: nothing is concluded
    /// from what the pool did not answer.
    pub fn leave(&mut self, now: Duration) {
        self.handshake.explained();
        self.handle_disconnected(now);
    }

    /// The transport is gone, whoever closed it. Shares without an answer wait: they are sent again
    /// if the pool gives the same extranonce to the next connection, and unresolved if it does not,
    /// or not in time. The jobs live on or die with that, too.
    pub fn handle_disconnected(&mut self, now: Duration) {
        if !matches!(self.state, State::Online | State::Closing) {
            return;
        }
        self.state = State::Offline;
        self.lines.clear();
        self.malformed.clear();
        (self.doubt, self.spoke_stratum) = (None, false);
        self.shares.disconnected(&self.output);
        self.output.drop_lines();
        let finding = self.handshake.ended(now, &self.config);
        if let Some(words) = self.handshake.take_refusal() {
            self.output.message(now, &words);
        }
        if let Some(finding) = finding {
            self.output.warn(now, &finding);
        }
        self.jobs.reset();
    }

    /// Bytes came, in any fragmentation.
    pub fn handle_bytes(&mut self, now: Duration, mut bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut ended = false;
        while self.state == State::Online {
            match self.lines.next_line(&mut bytes) {
                Ok(Some(line)) => {
                    ended = true;
                    self.handle_line(now, &line);
                }
                Ok(None) => break,
                Err(LineTooLong { got }) => {
                    self.close(CloseReason::LineTooLong { got, limit: self.config.limits.line });
                }
            }
        }
        self.watch.heard(now, ended, self.lines.is_partial());
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come. Harmless at any other time.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.shares.expire(now, &mut self.output);
        if self.state != State::Online {
            return;
        }
        if now >= self.rolling_due() && self.handshake.is_asking_to_roll() {
            self.handshake.stop_waiting_to_roll();
            self.flush(now);
        }
        if let Some(reason) = self.watch.overdue(now, &self.config.limits) {
            self.close(reason);
        }
        if let Some(reason) = self.shares.silence(now) {
            self.close(reason);
        }
    }

    /// Takes a share that was found, in any state of the connection. It is judged, and sent as soon
    /// as the pool has authorized us; its end comes as [`ClientEvent::Verdict`].
    pub fn submit(&mut self, now: Duration, share: Share) {
        if self.state == State::Finished {
            return self.shares.refuse_late(share, &mut self.output);
        }
        self.shares.take(now, share, &self.jobs, &mut self.output);
        self.flush(now);
    }

    /// The end: what has no answer is unresolved. A caller that wants the answers waits for
    /// [`pending`](Self::pending) to reach zero before.
    pub fn finish(&mut self, now: Duration) {
        self.handle_disconnected(now);
        self.state = State::Finished;
        self.shares.finish(&mut self.output);
    }

    /// The next line to write, with its line feed.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.output.poll_line()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.output.poll_event()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), unless something happens before. Not
    /// only while there is a connection: shares that were sent wait for their answer without one,
    /// too, and not for ever.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let is_online = self.state == State::Online;
        let watch = is_online.then(|| self.watch.deadline(&self.config.limits));
        let is_asking = is_online && self.handshake.is_asking_to_roll();
        let rolling = is_asking.then(|| self.rolling_due());
        let silence = is_online.then(|| self.shares.silence_deadline()).flatten();
        [self.shares.deadline(), watch, rolling, silence].into_iter().flatten().min()
    }

    /// Whether the pool hung up in the handshake, and the next connection asks less of it, or the
    /// same once more.
    pub fn tries_another_handshake(&self) -> bool {
        self.handshake.tries_another()
    }

    /// Shares without a verdict.
    pub fn pending(&self) -> usize {
        self.shares.pending()
    }

    /// Until when shares that rolled bits wait for the pool to agree to them anew.
    fn rolling_due(&self) -> Duration {
        self.connected_at + self.config.limits.handshake
    }

    fn handle_line(&mut self, now: Duration, line: &[u8]) {
        let message = Message::parse(line, self.config.limits.depth);
        if matches!(message, Ok(Some(_))) {
            self.spoke_stratum = true;
            if let Some(words) = self.doubt.take() {
                self.output.warn(now, &words);
            }
        }
        match message {
            Ok(None) => {}
            // The method comes first: pools use ids of their own that collide with ours.
            Ok(Some(Message::Call(call))) => self.handle_call(now, call),
            Ok(Some(Message::Answer(answer))) => self.handle_answer(now, answer),
            Err(error) => {
                let last = self.output.clean(&error.to_string());
                let words = format!("ignored a malformed line: {last}");
                match self.spoke_stratum {
                    true => self.output.warn(now, &words),
                    false => self.doubt = Some(words),
                }
                let count = self.malformed.count(now);
                if count >= self.config.limits.malformed_lines {
                    self.close(CloseReason::Malformed { count, last });
                }
            }
        }
    }

    fn handle_call(&mut self, now: Duration, Call { id, method, params }: Call) {
        match method.as_str() {
            "mining.notify" => self.handle_notify(now, &params),
            "mining.set_difficulty" => self.handle_difficulty(now, &params),
            "mining.set_extranonce" => self.handle_extranonce(&params),
            // The second name is what the reference implementation sends.
            "mining.set_version_mask" | "mining.set_version" => self.handle_mask(now, &params),
            "client.reconnect" => self.handle_reconnect(now, &params),
            "client.show_message" => {
                if let Some(Value::String(text)) = params.first() {
                    self.output.message(now, text);
                }
                self.reply(&id, &json!(true));
            }
            "client.get_version" => self.reply(&id, &json!(self.config.user_agent)),
            "mining.ping" => self.reply(&id, &json!("pong")),
            _ => {
                if id.is_null() {
                    self.ignored += 1;
                    self.output.emit_ignored(&method, self.ignored);
                } else if message::is_echoable(&id) {
                    self.output.reply(message::refuse(&id, -3, "method not found"));
                }
            }
        }
    }

    fn handle_notify(&mut self, now: Duration, params: &[Value]) {
        match Notify::from_params(params, &self.config.limits) {
            Ok(notify) => {
                self.watch.job(now);
                if let Some(job) = self.jobs.notify(now, notify) {
                    self.hand_out(now, job);
                }
            }
            Err(error) => self.output.warn(now, &format!("refused a job: {error}")),
        }
    }

    fn handle_difficulty(&mut self, now: Duration, params: &[Value]) {
        match Difficulty::from_params(params) {
            Ok(difficulty) => {
                if self.jobs.set_difficulty(difficulty) {
                    self.output.emit_difficulty(difficulty.value);
                }
            }
            Err(error) => self.output.warn(now, &format!("ignored mining.set_difficulty: {error}")),
        }
    }

    /// `[extranonce1, extranonce2 size]`, each of which may be null or missing: unchanged. One that
    /// cannot be used ends the connection, since all shares after it would be wrong.
    fn handle_extranonce(&mut self, params: &[Value]) {
        // Before the subscription is answered there is nothing to change; the answer will tell.
        let Some(mut extranonce) = self.jobs.extranonce().cloned() else { return };
        let change = || -> Result<Extranonce, String> {
            let limits = &self.config.limits;
            if let Some(first) = params.first().filter(|value| !value.is_null()) {
                extranonce.first = handshake::extranonce1(first, limits)?;
            }
            if let Some(size) = params.get(1).filter(|value| !value.is_null()) {
                extranonce.second_size = handshake::extranonce2_size(size, limits)?;
            }
            Ok(extranonce)
        };
        match change() {
            Ok(extranonce) => self.jobs.set_extranonce(extranonce),
            Err(error) => {
                let error = self.output.clean(&error);
                self.close(CloseReason::Extranonce(error));
            }
        }
    }

    fn handle_mask(&mut self, now: Duration, params: &[Value]) {
        let Some(mask) = params.first().and_then(Value::as_str).and_then(hex_u32) else {
            return self.output.warn(now, "ignored a version mask: expected up to 8 hex digits");
        };
        if !self.handshake.may_roll() {
            return self.output.warn(now, "ignored a version mask: none was negotiated");
        }
        self.handshake.agree_on_rolling();
        self.set_mask(mask);
        self.flush(now);
    }

    fn handle_reconnect(&mut self, now: Duration, params: &[Value]) {
        let redirect = parse_redirect(params, self.config.limits.redirect_wait);
        match redirect {
            Err(error) => self.output.warn(now, &format!("ignored client.reconnect: {error}")),
            Ok(_) if self.redirects.count(now) > self.config.limits.redirects => {
                self.output.warn(now, "ignored client.reconnect: too many in a short time");
            }
            Ok(redirect) => {
                self.handshake.explained();
                if let Some(asked) = redirect.longer {
                    let most = self.config.limits.redirect_wait.as_secs();
                    let words = format!(
                        "client.reconnect: the wait is cut to {most} s, the limit, from {asked} s"
                    );
                    self.output.warn(now, &words);
                }
                let Redirect { host, port, wait, .. } = redirect;
                self.output.emit(ClientEvent::Redirect { host, port, wait });
            }
        }
    }

    fn handle_answer(&mut self, now: Duration, answer: Answer) {
        let Some(id) = answer.id else {
            // No request of ours has such an id: the pool could not read one, and says so.
            if let Some(Refusal { reason: Some(reason), .. }) = answer.error {
                self.output.message(now, &reason);
            }
            return;
        };
        let (jobs, output) = (&mut self.jobs, &mut self.output);
        if self.shares.answered(now, id, &answer, jobs, output) {
            if self.shares.strikes() >= self.config.limits.unauthorized {
                self.close(CloseReason::Unauthorized(self.shares.strikes()));
            }
            if let Some(reason) = self.shares.take_distrust() {
                self.close(reason);
            }
            return;
        }
        // Late, doubled or invented ones meet no request.
        match self.handshake.answered(id, &answer) {
            Some(Request::Configure) => {
                if let Some(mask) = handshake::agreed_mask(&answer) {
                    self.handshake.agree_on_rolling();
                    self.set_mask(mask);
                }
                self.flush(now);
            }
            Some(Request::Subscribe) => self.handle_subscription(now, &answer),
            Some(Request::Authorize) => self.handle_authorization(now, &answer),
            Some(Request::ExtranonceSubscribe | Request::SuggestDifficulty) | None => {}
        }
    }

    fn handle_subscription(&mut self, now: Duration, answer: &Answer) {
        let subscription = match Subscription::from_answer(answer, &self.config.limits) {
            Ok(subscription) => subscription,
            Err(NoSubscription::Refused(reason)) => {
                let reason = self.output.clean(&reason);
                match self.handshake.retry(&self.config, &mut self.output) {
                    true => self.handshake.turned_down(&reason),
                    false => self.close(CloseReason::SubscriptionRefused(reason)),
                }
                return;
            }
            Err(NoSubscription::Final(reason)) => {
                return self.close(CloseReason::SubscriptionRefused(self.output.clean(&reason)));
            }
            Err(NoSubscription::Unfit { what, is_other_coin }) => {
                let is_final =
                    is_other_coin || !self.handshake.retry(&self.config, &mut self.output);
                if is_final {
                    self.close(CloseReason::Subscription(self.output.clean(&what)));
                }
                return;
            }
            Err(NoSubscription::Extranonce(error)) => {
                return self.close(CloseReason::Extranonce(self.output.clean(&error)));
            }
        };
        let extranonce = subscription.extranonce.clone();
        self.output.emit(ClientEvent::Subscribed {
            extranonce1: extranonce.first.clone(),
            extranonce2_size: extranonce.second_size,
            version_mask: self.jobs.version_mask(),
        });
        self.handshake.subscribed(subscription.into_session_id());
        self.watch.waits_for(self.handshake.missing());
        if let Some(job) = self.jobs.subscribed(extranonce) {
            self.hand_out(now, job);
        }
        self.flush(now);
    }

    fn handle_authorization(&mut self, now: Duration, answer: &Answer) {
        match answer.accepted() {
            Ok(()) => {
                self.handshake.authorized();
                self.watch.waits_for(self.handshake.missing());
                self.output.emit(ClientEvent::Authorized);
                self.flush(now);
            }
            Err(Refusal { code, reason }) => {
                let code = code.map(|code| format!("code {code}"));
                let reason = reason.or(code).unwrap_or("no reason given".into());
                let reason = self.output.clean(&reason);
                self.output.emit(ClientEvent::AuthorizationRefused { reason: reason.clone() });
                self.close(CloseReason::AuthorizationRefused(reason));
            }
        }
    }

    /// A new job goes out to be hashed, unless it is for somebody else (S13).
    fn hand_out(&mut self, now: Duration, job: Arc<Job>) {
        if let Some(expected) = &self.config.expect_payout
            && let Err(why) = expected.check(&job)
        {
            let job = job.id.clone();
            if expected.strict {
                return self.close(CloseReason::Payout { job, why });
            }
            self.output.warn(now, &format!("job {job}: {why}"));
        }
        self.output.emit_job(job);
    }

    /// Only bits that both sides allow are rolled: pools name masks that were not asked for.
    fn set_mask(&mut self, theirs: u32) {
        if let Some(job) = self.jobs.set_version_mask(theirs & self.config.version_mask) {
            self.output.emit_job(job);
        }
    }

    fn flush(&mut self, now: Duration) {
        if self.state == State::Online && self.handshake.is_through() {
            if let Some(words) = self.handshake.news() {
                self.output.warn(now, &words);
            }
            self.shares.flush(now, &self.handshake, &self.jobs, &mut self.output);
        }
    }

    /// Only a question with an id wants an answer.
    fn reply(&mut self, id: &Value, result: &Value) {
        if !id.is_null() && message::is_echoable(id) {
            self.output.reply(message::answer(id, result));
        }
    }

    fn close(&mut self, reason: CloseReason) {
        if self.state == State::Online {
            self.state = State::Closing;
            // Silence is what some pools have for a request that they do not know.
            if !matches!(reason, CloseReason::Handshake { .. }) {
                self.handshake.explained();
            }
            self.output.emit(ClientEvent::Close(reason));
        }
    }
}

/// The wish of a `client.reconnect`.
struct Redirect {
    host: Option<String>,
    port: Option<u16>,
    /// At most the limit.
    wait: Duration,
    /// The wait in seconds where the pool asks for a longer one.
    longer: Option<f64>,
}

/// `[]` or `[host, port, wait]`, the numbers as numbers or texts (S7).
fn parse_redirect(params: &[Value], longest_wait: Duration) -> Result<Redirect, &'static str> {
    let number = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    };
    let given = |at: usize| params.get(at).filter(|value| !value.is_null() && *value != "");
    let host = match given(0) {
        None => None,
        Some(Value::String(host)) if redirect::is_host(host) => Some(host.clone()),
        Some(_) => return Err("its host is no name and no address"),
    };
    let port = match given(1).map(number) {
        None => None,
        Some(Some(port)) if port.fract() == 0.0 && (1.0..=65535.0).contains(&port) => {
            Some(port as u16)
        }
        Some(_) => return Err("its port is not a number from 1 to 65535"),
    };
    let asked = given(2).and_then(number).filter(|wait| *wait > 0.0).unwrap_or(0.0);
    let wait = Duration::try_from_secs_f64(asked).unwrap_or(longest_wait).min(longest_wait);
    let longer = (asked > longest_wait.as_secs_f64()).then_some(asked);
    Ok(Redirect { host, port, wait, longer })
}
