//! The client's state machine: one pool, over as many connections as it takes, one channel on each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{BIP320_MASK, Job, Share};
use midstate_stratum::rules::{Bucket, Window, Withheld};
use midstate_stratum::{ExpectedPayout, Remark, redirect, sanitize};

use crate::channel::{Channel, Unusable};
use crate::message::{self, Introduction, Message, NewJob, Opened, Submit};
use crate::secure::{Frame, HANDSHAKE, Received, Secure};
use crate::shares::Shares;
use crate::{AuthorityKey, CloseReason, Event, Limits, TracedFrame};

/// Bytes of extranonce that we ask for on an extended channel. Four, with 16 version bits and the
/// nonce, last a terahash machine for years.
const EXTRANONCE: u16 = 4;
/// Warnings of different causes come together, so a few are let through at once.
const WARNINGS_AT_ONCE: u32 = 4;
/// A hash rate is told anew when it has changed by this factor.
const CHANGED: f64 = 1.25;
/// Bytes of a text that the protocol carries.
const TEXT: usize = 255;

/// The kind of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChannelKind {
    /// A job is a merkle root: nonce, version and time are ours. For one device.
    #[default]
    Standard,
    /// A job is a coinbase and a merkle path: a part of the extranonce is ours, too, and the payout
    /// can be looked at.
    Extended,
}

/// Who we are at the pool, and our wishes.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientConfig {
    /// The worker, usually `address.name`.
    pub user: String,
    /// Our name and version, for the pool's statistics.
    pub firmware: String,
    /// The key that has to have signed the server's certificate. `None`: anybody may answer; the
    /// connection is encrypted, and not authenticated.
    pub authority: Option<AuthorityKey>,
    /// The channel to open. An expected payout wants an extended one, and gets it.
    pub kind: ChannelKind,
    /// Hashes a second that we tell the pool until [`Client::set_hash_rate`] knows better: it
    /// chooses the first target by that.
    pub nominal_hash_rate: f64,
    /// One share at a time on a channel, for testing a pool: the next one goes out when the last is
    /// answered, or has waited for [`Limits::single`], since a pool may answer many at once. Shares
    /// that are found meanwhile are throttled; blocks go out at once, where they are no toy.
    pub single_submit: bool,
    /// The version bits we would roll.
    pub version_mask: u32,
    /// Whom every job has to pay; `None` does not look.
    pub expect_payout: Option<ExpectedPayout>,
    /// The limits on the pool.
    pub limits: Limits,
}

impl ClientConfig {
    /// A standard channel for `user`, and nobody's signature asked for.
    pub fn new(user: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            firmware: concat!("midstate/", env!("CARGO_PKG_VERSION")).to_owned(),
            authority: None,
            kind: ChannelKind::default(),
            nominal_hash_rate: 1e7,
            single_submit: false,
            version_mask: BIP320_MASK,
            expect_payout: None,
            limits: Limits::default(),
        }
    }
}

/// A share to be sent as it is, right or wrong ([`Client::attempt`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// The number of its job.
    pub job: u32,
    /// Its nonce.
    pub nonce: u32,
    /// Its time.
    pub time: u32,
    /// Its version, with the bits that were rolled.
    pub version: u32,
    /// Our part of the extranonce, at most 32 bytes; a standard channel has none.
    pub extranonce: &'a [u8],
}

/// The facts about a fresh transport that the client cannot know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialled {
    /// The server that was dialled, which it is told.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Seconds since 1970, for the certificate.
    pub unix: u32,
    /// 32 random bytes, never used twice.
    pub entropy: [u8; 32],
}

/// A Stratum V2 client for one pool.
///
/// One `Client` lives across reconnects and redirects. Each share that is submitted gets exactly
/// one [`Event::Verdict`]. `now` is a time since any start the caller likes, the same for all
/// calls.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    connection: Option<Connection>,
    /// Nothing more can be sent, ever.
    finished: bool,
    sessions: u64,
    hash_rate: f64,
    shares: Shares,
    redirects: Window,
    warnings: Bucket,
    held_back: u64,
    events: VecDeque<Event>,
    /// Every frame, where somebody wants to see them.
    trace: Option<VecDeque<TracedFrame>>,
}

/// A transport that is up.
#[derive(Debug)]
struct Connection {
    dialled: Dialled,
    since: Duration,
    line: Secure,
    step: Step,
    version_mask: u32,
    channel: Option<Channel>,
    /// The pool may do with it what it likes: it is to be dropped.
    closing: bool,
    heard: Duration,
    /// Since when a frame is unfinished.
    partial: Option<Duration>,
    /// When the newest job came.
    job: Option<Duration>,
    malformed: usize,
    told: Told,
    output: VecDeque<Output>,
    /// The last sequence number that was polled for writing.
    written: u32,
}

/// The nominal hash rate that the pool knows.
#[derive(Debug, Clone, Copy)]
struct Told {
    hash_rate: f64,
    at: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Handshake,
    Setup,
    Opening(ChannelKind),
    Open,
}

/// How far a connection has come, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// The server's part of the Noise handshake is awaited; there may be no connection.
    Handshake,
    /// The answer to SetupConnection is awaited.
    Setup,
    /// The answer to the opening of a channel is awaited.
    Opening,
    /// The channel is open.
    Open,
}

#[derive(Debug)]
enum Output {
    /// The first bytes of the handshake.
    Hello(Vec<u8>),
    Frame(Frame),
    Share {
        sequence: u32,
        frame: Frame,
    },
}

impl Client {
    /// A client that is not connected.
    pub fn new(config: ClientConfig) -> Self {
        let common = &config.limits.common;
        let per_second = 1.0 / common.text_interval.as_secs_f64().max(0.001);
        Self {
            shares: Shares::new(&config.limits, config.single_submit),
            redirects: Window::new(common.redirects, common.redirect_window),
            warnings: Bucket::new(WARNINGS_AT_ONCE, per_second),
            hash_rate: config.nominal_hash_rate,
            config,
            connection: None,
            finished: false,
            sessions: 0,
            held_back: 0,
            events: VecDeque::new(),
            trace: None,
        }
    }

    /// Keeps every frame for [`poll_trace`](Self::poll_trace) from now on, which the caller has to
    /// empty as often as the events.
    pub fn set_traced(&mut self) {
        self.trace.get_or_insert_default();
    }

    /// The next frame, of those that came in or were polled for writing.
    pub fn poll_trace(&mut self) -> Option<TracedFrame> {
        self.trace.as_mut()?.pop_front()
    }

    /// A fresh transport is up: the handshake begins.
    pub fn handle_connected(&mut self, now: Duration, dialled: Dialled) {
        self.handle_disconnected(now);
        if self.finished {
            return;
        }
        for (what, text) in [("user name", &self.config.user), ("host", &dialled.host)] {
            if text.len() > TEXT {
                let reason = CloseReason::TooLong { what, got: text.len() };
                return self.events.push_back(Event::Close(reason));
            }
        }
        let authority = self.config.authority.as_ref();
        match Secure::begin(authority, dialled.entropy, self.config.limits.frame) {
            Err(reason) => self.events.push_back(Event::Close(reason)),
            Ok((hello, line)) => {
                self.connection = Some(Connection {
                    dialled,
                    since: now,
                    line,
                    step: Step::Handshake,
                    version_mask: self.config.version_mask,
                    channel: None,
                    closing: false,
                    heard: now,
                    partial: None,
                    job: None,
                    malformed: 0,
                    told: Told { hash_rate: self.hash_rate, at: now },
                    output: VecDeque::from([Output::Hello(hello)]),
                    written: 0,
                });
            }
        }
    }

    /// The transport is gone, whoever closed it. The channel went with it: shares without an answer
    /// are unresolved, since no later connection can ask about them.
    pub fn handle_disconnected(&mut self, now: Duration) {
        if self.connection.take().is_some() {
            self.shares.end(now, Withheld::SessionLost);
            self.tell_outcomes();
        }
    }

    /// As [`handle_disconnected`](Self::handle_disconnected), by our own wish.
    pub fn leave(&mut self, now: Duration) {
        self.handle_disconnected(now);
    }

    /// Bytes came, in any fragmentation.
    pub fn handle_bytes(&mut self, now: Duration, bytes: &[u8]) {
        let Some(connection) = &mut self.connection else { return };
        if bytes.is_empty() || connection.closing {
            return;
        }
        connection.heard = now;
        connection.line.receive(bytes);
        let mut ended = false;
        while let Some(connection) = &mut self.connection
            && !connection.closing
        {
            let age = u32::try_from(now.saturating_sub(connection.since).as_secs());
            let unix = connection.dialled.unix.saturating_add(age.unwrap_or(u32::MAX));
            match connection.line.next(unix) {
                Ok(None) => break,
                Ok(Some(received)) => {
                    ended = true;
                    self.handle_received(now, received);
                }
                Err(reason) => self.close(reason),
            }
        }
        if let Some(connection) = &mut self.connection {
            if ended || !connection.line.is_partial() {
                connection.partial = None;
            }
            if connection.line.is_partial() {
                connection.partial.get_or_insert(now);
            }
        }
        self.tell_outcomes();
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come. Harmless at any other time.
    pub fn handle_timeout(&mut self, now: Duration) {
        if let Some((_, reason)) =
            self.deadlines().into_iter().filter(|&(at, _)| at <= now).min_by_key(|&(at, _)| at)
        {
            self.close(reason);
        }
        if let Some(reason) = self.shares.silence(now) {
            self.close(reason.into());
        }
        self.tell_hash_rate(now);
    }

    /// Takes a share that was found, in any state of the connection. It is judged, and sent at once
    /// or ended here; its end comes as [`Event::Verdict`].
    pub fn submit(&mut self, now: Duration, share: Share) {
        if self.finished {
            self.shares.refuse_late(share);
            return self.tell_outcomes();
        }
        let connection = self.connection.as_mut().filter(|connection| !connection.closing);
        let channel = connection.as_ref().and_then(|connection| connection.channel.as_ref());
        let sequence = self.shares.take(now, &share, channel);
        if let (Some(sequence), Some(connection)) = (sequence, connection)
            && let Some(channel) = &connection.channel
        {
            let frame = message::submit(&Submit {
                channel: channel.id(),
                sequence,
                job: share.job.id.parse().expect("ids of our channels are numbers"),
                nonce: share.nonce,
                time: share.time,
                version: share.version,
                extranonce: (!channel.is_standard()).then_some(&share.extranonce2),
            });
            connection.output.push_back(Output::Share { sequence, frame });
        }
        self.tell_outcomes();
    }

    /// Sends a share as it is, neither judged nor in the books: for the tests of pools. Returns its
    /// sequence number, by which [`Event::Attempted`] tells the answer; `None` without an open
    /// channel. An attempt that the pool has not answered is forgotten with the connection.
    pub fn attempt(&mut self, attempt: &Attempt<'_>) -> Option<u32> {
        let connection = self.connection.as_mut().filter(|connection| !connection.closing)?;
        let channel = connection.channel.as_ref()?;
        let sequence = self.shares.attempt();
        let &Attempt { job, nonce, time, version, extranonce } = attempt;
        let extranonce = (!channel.is_standard()).then_some(extranonce);
        let channel = channel.id();
        let frame =
            message::submit(&Submit { channel, sequence, job, nonce, time, version, extranonce });
        connection.output.push_back(Output::Share { sequence, frame });
        Some(sequence)
    }

    /// The hash rate as it is measured, in hashes a second. The pool is told when it is another one
    /// than it knows.
    pub fn set_hash_rate(&mut self, now: Duration, hash_rate: f64) {
        if hash_rate.is_finite() && hash_rate > 0.0 {
            self.hash_rate = hash_rate;
            self.tell_hash_rate(now);
        }
    }

    /// The end: a share without an answer is unresolved. A caller that wants the answers waits for
    /// [`pending`](Self::pending) to reach zero before; a pool that answers several shares at once
    /// may let the last ones wait for ever.
    pub fn finish(&mut self, now: Duration) {
        self.finished = true;
        self.connection = None;
        self.shares.end(now, Withheld::Finished);
        self.tell_outcomes();
    }

    /// The next bytes to write.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        let connection = self.connection.as_mut().filter(|connection| !connection.closing)?;
        let frame = match connection.output.pop_front()? {
            Output::Hello(bytes) => {
                let hello = || TracedFrame::handshake(true, bytes.len());
                self.trace.iter_mut().for_each(|trace| trace.push_back(hello()));
                return Some(bytes);
            }
            Output::Frame(frame) => frame,
            Output::Share { sequence, frame } => {
                connection.written = sequence;
                frame
            }
        };
        self.trace.iter_mut().for_each(|trace| trace.push_back(TracedFrame::new(true, &frame)));
        Some(connection.line.seal(&frame))
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), unless something happens before.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let deadlines = self.deadlines().into_iter().map(|(at, _)| at);
        let silence = self.connection.is_some().then(|| self.shares.silence_deadline()).flatten();
        deadlines.chain(silence).chain(self.update_due()).min()
    }

    /// How far the present connection has come.
    pub fn progress(&self) -> Progress {
        match self.connection.as_ref().map(|connection| connection.step) {
            None | Some(Step::Handshake) => Progress::Handshake,
            Some(Step::Setup) => Progress::Setup,
            Some(Step::Opening(_)) => Progress::Opening,
            Some(Step::Open) => Progress::Open,
        }
    }

    /// Shares without a verdict.
    pub fn pending(&self) -> usize {
        self.shares.pending()
    }

    fn deadlines(&self) -> Vec<(Duration, CloseReason)> {
        let Some(connection) = self.connection.as_ref().filter(|connection| !connection.closing)
        else {
            return Vec::new();
        };
        let limits = &self.config.limits;
        let common = &limits.common;
        let mut deadlines =
            vec![(connection.heard + limits.silence, CloseReason::Silent(limits.silence))];
        let step = match connection.step {
            Step::Handshake => Some("the Noise handshake"),
            Step::Setup => Some("SetupConnection"),
            Step::Opening(ChannelKind::Standard) => Some("OpenStandardMiningChannel"),
            Step::Opening(ChannelKind::Extended) => Some("OpenExtendedMiningChannel"),
            Step::Open => None,
        };
        if let Some(step) = step {
            let limit = common.handshake;
            deadlines.push((connection.since + limit, CloseReason::Late { step, limit }));
        } else if connection.job.is_none() {
            let limit = common.job_gap;
            deadlines.push((connection.since + limit, CloseReason::NoJob(limit)));
        }
        if let Some(since) = connection.partial {
            let limit = common.line_age;
            deadlines.push((since + limit, CloseReason::FrameUnfinished(limit)));
        }
        deadlines
    }

    fn handle_received(&mut self, now: Duration, received: Received) {
        if let Some(trace) = &mut self.trace {
            trace.push_back(match &received {
                Received::Secured(_) => TracedFrame::handshake(false, HANDSHAKE),
                Received::Frame(frame) => TracedFrame::new(false, frame),
            });
        }
        match received {
            Received::Secured(_) => {
                let is_standard = self.wanted() == ChannelKind::Standard;
                let firmware = self.config.firmware.clone();
                let Some(connection) = &mut self.connection else { return };
                connection.step = Step::Setup;
                let frame = message::setup_connection(&Introduction {
                    host: &connection.dialled.host,
                    port: connection.dialled.port,
                    firmware: &firmware,
                    standard_jobs: is_standard,
                });
                connection.output.push_back(Output::Frame(frame));
            }
            Received::Frame(frame) => match Message::parse(frame) {
                Ok(message) => self.handle_message(now, message),
                Err(error) => {
                    self.warn(now, &format!("ignored a malformed message: {error}"));
                    let Some(connection) = &mut self.connection else { return };
                    connection.malformed += 1;
                    let count = connection.malformed;
                    if count >= self.config.limits.malformed {
                        self.close(CloseReason::Malformed { count, last: error.to_string() });
                    }
                }
            },
        }
    }

    fn wanted(&self) -> ChannelKind {
        match self.config.expect_payout {
            Some(_) => ChannelKind::Extended,
            None => self.config.kind,
        }
    }

    fn handle_message(&mut self, now: Duration, message: Message) {
        match message {
            Message::SetupDone { fixed_version, extended_only } => {
                self.handle_setup(now, fixed_version, extended_only);
            }
            Message::SetupRefused { code } => {
                let reason = self.clean(&code);
                self.close(CloseReason::SetupRefused(reason));
            }
            Message::Opened(opened) => self.handle_opened(now, opened),
            Message::OpenRefused { code } => {
                let reason = refusal(&self.clean(&code));
                self.events.push_back(Event::Refused { reason: reason.clone() });
                self.close(CloseReason::ChannelRefused(reason));
            }
            Message::Job(job) => self.handle_job(now, job),
            Message::NewPrevHash(new) => {
                let Some(channel) = self.channel(new.channel) else { return };
                let job = channel.new_block(&new).map(Some);
                self.hand_out(now, job);
            }
            Message::Target { channel, target } => {
                let Some(channel) = self.channel(channel) else { return };
                match channel.set_target(target) {
                    Ok(difficulty) => self.events.extend(difficulty.map(Event::Difficulty)),
                    Err(error) => self.warn(now, &format!("ignored SetTarget: {error}")),
                }
            }
            Message::ExtranoncePrefix { channel, prefix } => {
                if let Some(channel) = self.channel(channel) {
                    channel.set_prefix(prefix);
                }
            }
            Message::Group { group, channels } => {
                if let Some(channel) = self.connection.as_mut().and_then(|c| c.channel.as_mut())
                    && channels.contains(&channel.id())
                {
                    channel.join_group(group);
                }
            }
            Message::Accepted { channel, last, count } => {
                self.handle_accepted(now, channel, last, count);
            }
            Message::Refused { channel, sequence, code } => {
                self.handle_refused(now, channel, sequence, &code);
            }
            Message::UpdateRefused { code } => {
                let code = self.clean(&code);
                self.warn(now, &format!("the pool did not take our hash rate: {code}"));
            }
            Message::Closed { channel, reason } => {
                if self.channel(channel).is_some() {
                    let reason = self.clean(&reason);
                    self.close(CloseReason::ChannelClosed(reason));
                }
            }
            Message::Reconnect { host, port } => self.handle_reconnect(now, &host, port),
            Message::Unknown => {}
        }
    }

    fn handle_setup(&mut self, now: Duration, fixed_version: bool, extended_only: bool) {
        let wanted = self.wanted();
        let kind = if extended_only { ChannelKind::Extended } else { wanted };
        let (user, hash_rate) = (self.config.user.clone(), self.hash_rate);
        let Some(connection) = &mut self.connection else { return };
        if connection.step != Step::Setup {
            return;
        }
        if fixed_version {
            connection.version_mask = 0;
        }
        connection.step = Step::Opening(kind);
        connection.told = Told { hash_rate, at: now };
        let nominal = hash_rate as f32;
        let frame = match kind {
            ChannelKind::Standard => message::open_standard(&user, nominal),
            ChannelKind::Extended => message::open_extended(&user, nominal, EXTRANONCE),
        };
        connection.output.push_back(Output::Frame(frame));
        if kind != wanted {
            self.warn(now, "the pool takes extended channels alone: opening one");
        }
    }

    fn handle_opened(&mut self, now: Duration, opened: Opened) {
        let session = self.sessions + 1;
        let Some(connection) = &mut self.connection else { return };
        let Step::Opening(asked) = connection.step else { return };
        let kind =
            if opened.size.is_some() { ChannelKind::Extended } else { ChannelKind::Standard };
        if kind != asked {
            let reason = "the pool opened a channel of the other kind".to_owned();
            return self.close(CloseReason::ChannelRefused(reason));
        }
        let channel =
            match Channel::open(opened, session, connection.version_mask, &self.config.limits) {
                Ok(channel) => channel,
                Err(error) => return self.close(CloseReason::Extranonce(error)),
            };
        self.sessions = session;
        connection.step = Step::Open;
        self.events.push_back(Event::Opened { channel: channel.id(), kind });
        self.events.push_back(Event::Difficulty(channel.difficulty()));
        connection.channel = Some(channel);
        self.shares.opened(now);
    }

    fn handle_job(&mut self, now: Duration, job: NewJob) {
        let limits = self.config.limits.clone();
        let Some(channel) = self.channel(job.channel) else { return };
        let job = channel.announce(job, &limits);
        self.hand_out(now, job);
    }

    fn hand_out(&mut self, now: Duration, job: Result<Option<Arc<Job>>, Unusable>) {
        let job = match job {
            Ok(Some(job)) => job,
            Ok(None) => return,
            Err(error) => return self.warn(now, &format!("refused a job: {error}")),
        };
        if let Some(expected) = &self.config.expect_payout
            && let Err(why) = expected.check(&job)
        {
            if expected.strict {
                let job = job.id.parse().expect("ids of our channels are numbers");
                return self.close(CloseReason::Payout { job, why });
            }
            self.warn(now, &format!("job {}: {why}", job.id));
        }
        if let Some(connection) = &mut self.connection {
            connection.job = Some(now);
        }
        self.emit_job(job);
    }

    /// The newest job takes the place of one that was not polled yet; what that one voided stays
    /// void.
    fn emit_job(&mut self, mut job: Arc<Job>) {
        let waiting = self.events.iter().rposition(|event| matches!(event, Event::Job(_)));
        if let Some(Event::Job(older)) = waiting.and_then(|at| self.events.remove(at))
            && older.clean
            && !job.clean
        {
            Arc::make_mut(&mut job).clean = true;
        }
        self.events.push_back(Event::Job(job));
    }

    fn handle_accepted(&mut self, now: Duration, channel: u32, last: u32, count: u32) {
        let Some(connection) = &self.connection else { return };
        let written = connection.written;
        if self.channel(channel).is_none() {
            return;
        }
        // A share that was not sent yet has no answer.
        let ended = self.shares.accepted(now, last.min(written));
        if ended != count as usize {
            let words = format!(
                "it says that it accepted {count} shares up to number {last}; {ended} of ours had \
                 no answer up to there, and are counted as accepted"
            );
            self.warn(now, &words);
        }
    }

    fn handle_refused(&mut self, now: Duration, channel: u32, sequence: u32, code: &str) {
        let code = self.clean(code);
        let Some(connection) = &self.connection else { return };
        let Some(channel) = connection.channel.as_ref().filter(|of| of.is_addressed(channel))
        else {
            return;
        };
        let newest_since = connection.job.unwrap_or_default();
        if let Some(reason) = self.shares.refused(now, sequence, &code, channel, newest_since) {
            self.close(reason.into());
        }
    }

    fn handle_reconnect(&mut self, now: Duration, host: &str, port: u16) {
        if !host.is_empty() && !redirect::is_host(host) {
            return self.warn(now, "ignored Reconnect: its host is no name and no address");
        }
        if self.redirects.count(now) > self.config.limits.common.redirects {
            return self.warn(now, "ignored Reconnect: too many in a short time");
        }
        self.events.push_back(Event::Redirect {
            host: (!host.is_empty()).then(|| host.to_owned()),
            port: (port != 0).then_some(port),
            wait: Duration::ZERO,
        });
    }

    /// The open channel, if a message is for it.
    fn channel(&mut self, number: u32) -> Option<&mut Channel> {
        let channel = self.connection.as_mut()?.channel.as_mut()?;
        channel.is_addressed(number).then_some(channel)
    }

    fn tell_hash_rate(&mut self, now: Duration) {
        if self.update_due().is_none_or(|due| now < due) {
            return;
        }
        let hash_rate = self.hash_rate;
        if let Some(connection) = &mut self.connection
            && let Some(channel) = &connection.channel
        {
            connection.told = Told { hash_rate, at: now };
            let frame = message::update_channel(channel.id(), hash_rate as f32);
            connection.output.push_back(Output::Frame(frame));
        }
    }

    /// When the pool is to be told another hash rate.
    fn update_due(&self) -> Option<Duration> {
        let connection = self.connection.as_ref()?;
        let told = connection.told;
        let factor = (self.hash_rate / told.hash_rate).max(told.hash_rate / self.hash_rate);
        let is_open = connection.step == Step::Open && !connection.closing;
        (is_open && factor > CHANGED).then_some(told.at + self.config.limits.update)
    }

    fn tell_outcomes(&mut self) {
        while let Some(outcome) = self.shares.poll_outcome() {
            self.events.push_back(Event::Verdict(outcome));
        }
        while let Some((sequence, answer)) = self.shares.poll_answer() {
            self.events.push_back(Event::Attempted { sequence, answer });
        }
    }

    fn close(&mut self, reason: CloseReason) {
        if let Some(connection) = self.connection.as_mut().filter(|connection| !connection.closing)
        {
            connection.closing = true;
            connection.output.clear();
            self.events.push_back(Event::Close(reason));
        }
    }

    fn clean(&self, text: &str) -> String {
        sanitize(text, self.config.limits.common.text)
    }

    /// Words of ours about the pool; may quote it.
    fn warn(&mut self, now: Duration, text: &str) {
        let text = self.clean(text);
        if !self.warnings.take(now) {
            self.held_back += 1;
            return;
        }
        let text = match std::mem::take(&mut self.held_back) {
            0 => text,
            held_back => format!("{text} ({held_back} more held back)"),
        };
        self.events.push_back(Event::Remark(Remark::warning(text)));
    }
}

/// The code of OpenMiningChannel.Error, with our guess of the cause.
fn refusal(code: &str) -> String {
    let cause = match code {
        "unknown-user" | "invalid-user-identity" => {
            "the pool does not know the user name, or wants it in another form"
        }
        "max-target-out-of-range" => "the pool's easiest target is harder than any we named",
        "invalid-nominal-hashrate" => "the hash rate that we told is outside of the pool's range",
        "unsupported-min-extranonce-size" | "min-extranonce-size-too-large" => {
            "the pool leaves less than four bytes of extranonce: try a standard channel"
        }
        "channel-capacity-exhausted" => "the pool is full",
        "standard-channels-not-supported-for-custom-work" => "try an extended channel",
        "extended-channels-not-supported-for-standard-jobs" => "try a standard channel",
        _ => return code.to_owned(),
    };
    format!("{code}: {cause}")
}
