//! The client's state machine: one pool, over as many connections as it takes, with one channel or
//! several on each.

mod config;
mod handlers;

use std::collections::VecDeque;
use std::time::Duration;

use midstate_chain::Share;
use midstate_stratum::rules::{Bucket, Window, Withheld};
use midstate_stratum::{Remark, ShareOutcome, sanitize};

pub use self::config::{Attempt, ChannelKind, ClientConfig, Dialled};
use crate::channels::Channels;
use crate::message::{self, Submit};
use crate::secure::{Frame, Secure};
use crate::shares::{self, Pace};
use crate::{CloseReason, Event, TracedFrame};

/// Bytes of extranonce that we ask for on an extended channel. Four, with 16 version bits and the
/// nonce, last a terahash machine for years.
const EXTRANONCE: u16 = 4;
/// Warnings of different causes come together, so a few are let through at once.
const WARNINGS_AT_ONCE: u32 = 4;
/// A hash rate is told anew when it has changed by this factor.
const CHANGED: f64 = 1.25;
/// Bytes of a text that the protocol carries.
const TEXT: usize = 255;

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
    /// Of all channels together.
    pace: Pace,
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
    channels: Channels,
    /// The pool may do with it what it likes: it is to be dropped.
    closing: bool,
    heard: Duration,
    /// When the last answer to a share came.
    answered: Duration,
    /// Since when a frame is unfinished.
    partial: Option<Duration>,
    /// Whether any channel was opened, and any job came.
    was_open: bool,
    has_job: bool,
    malformed: usize,
    told: Told,
    output: VecDeque<Output>,
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
    /// Channels of this kind are opened, or are open.
    Channels(ChannelKind),
}

/// How far a connection has come, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// The server's part of the Noise handshake is awaited; there may be no connection.
    Handshake,
    /// The answer to SetupConnection is awaited.
    Setup,
    /// The answer to the opening of the first channel is awaited.
    Opening,
    /// A channel is open.
    Open,
}

#[derive(Debug)]
enum Output {
    /// The first bytes of the handshake.
    Hello(Vec<u8>),
    Frame(Frame),
    Share {
        channel: u32,
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
            pace: Pace::new(&config.limits),
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
                    channels: Channels::new(self.config.wanted()),
                    closing: false,
                    heard: now,
                    answered: now,
                    partial: None,
                    was_open: false,
                    has_job: false,
                    malformed: 0,
                    told: Told { hash_rate: self.hash_rate, at: now },
                    output: VecDeque::from([Output::Hello(hello)]),
                });
            }
        }
    }

    /// The transport is gone, whoever closed it. The channels went with it: shares without an
    /// answer are unresolved, since no later connection can ask about them.
    pub fn handle_disconnected(&mut self, now: Duration) {
        self.end_connection(now, Withheld::SessionLost);
    }

    fn end_connection(&mut self, now: Duration, why: Withheld) {
        if let Some(mut connection) = self.connection.take() {
            let open = connection.channels.iter_mut();
            let ended: Vec<_> = open.flat_map(|open| open.shares.end(now, why)).collect();
            self.tell_outcomes(ended);
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
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come. Harmless at any other time.
    pub fn handle_timeout(&mut self, now: Duration) {
        if let Some((_, reason)) =
            self.deadlines().into_iter().filter(|&(at, _)| at <= now).min_by_key(|&(at, _)| at)
        {
            self.close(reason);
        }
        let mut open = self.connection.iter().flat_map(|connection| connection.channels.iter());
        let silent = open.find_map(|open| open.shares.silence(now)).or_else(|| self.mute(now));
        drop(open);
        if let Some(reason) = silent {
            self.close(reason.into());
        }
        self.give_up_overdue(now);
        self.ask_for_channels(now);
        self.tell_hash_rate(now);
    }

    /// Takes a share that was found, in any state of the connection. It is judged, and sent at once
    /// or ended here; its end comes as [`Event::Verdict`].
    pub fn submit(&mut self, now: Duration, share: Share) {
        if self.finished {
            return self.tell_outcomes([Withheld::Finished.end(share, Duration::ZERO)]);
        }
        let connection = self.connection.as_mut().filter(|connection| !connection.closing);
        let open = connection.and_then(|Connection { channels, output, .. }| {
            Some((channels.get(share.job.channel?)?, output))
        });
        let Some((open, output)) = open.filter(|(open, _)| open.channel.issued(&share.job)) else {
            return self.tell_outcomes([shares::without_channel(share)]);
        };
        let (taken, ended) = open.shares.take(now, &share, &open.channel, &mut self.pace);
        if let Some(sequence) = taken {
            let channel = open.channel.id();
            let frame = message::submit(&Submit {
                channel,
                sequence,
                job: share.job.id.parse().expect("ids of our channels are numbers"),
                nonce: share.nonce,
                time: share.time,
                version: share.version,
                extranonce: (!open.channel.is_standard()).then_some(&share.extranonce2),
            });
            output.push_back(Output::Share { channel, sequence, frame });
        }
        self.tell_outcomes(ended);
    }

    /// Sends a share as it is, neither judged nor in the books: for the tests of pools. Returns its
    /// sequence number, by which [`Event::Attempted`] tells the answer; `None` without an open
    /// channel. Of several channels it is the first. An attempt that the pool has not answered is
    /// forgotten with the connection.
    pub fn attempt(&mut self, attempt: &Attempt<'_>) -> Option<u32> {
        let connection = self.connection.as_mut().filter(|connection| !connection.closing)?;
        let open = connection.channels.iter_mut().next()?;
        let (sequence, channel) = (open.shares.attempt(), &open.channel);
        let &Attempt { job, nonce, time, version, extranonce } = attempt;
        let extranonce = (!channel.is_standard()).then_some(extranonce);
        let channel = channel.id();
        let frame =
            message::submit(&Submit { channel, sequence, job, nonce, time, version, extranonce });
        connection.output.push_back(Output::Share { channel, sequence, frame });
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
        self.end_connection(now, Withheld::Finished);
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
            Output::Share { channel, sequence, frame } => {
                // The shares of a channel that is closed are taken out of the queue.
                if let Some(open) = connection.channels.get(channel) {
                    open.written = sequence;
                }
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
        let connection = self.connection.iter().filter(|connection| !connection.closing);
        let channels = connection.map(|connection| &connection.channels);
        let opening = channels.clone().filter_map(|of| of.deadline(&self.config.limits));
        let open = channels.flat_map(Channels::iter);
        let silence = open.filter_map(|open| open.shares.silence_deadline());
        let mute = self.mute_deadline();
        deadlines.chain(opening).chain(silence).chain(mute).chain(self.update_due()).min()
    }

    /// How far the present connection has come.
    pub fn progress(&self) -> Progress {
        match &self.connection {
            None | Some(Connection { step: Step::Handshake, .. }) => Progress::Handshake,
            Some(Connection { step: Step::Setup, .. }) => Progress::Setup,
            Some(connection) if connection.channels.any_is_open() => Progress::Open,
            Some(_) => Progress::Opening,
        }
    }

    /// Shares without a verdict.
    pub fn pending(&self) -> usize {
        let open = self.connection.iter().flat_map(|connection| connection.channels.iter());
        open.map(|open| open.shares.pending()).sum()
    }

    /// Why to leave the pool: shares wait for their answers, and it says nothing any more, or
    /// nothing about any of them. A pool that answers many at once has time for that.
    fn mute(&self, now: Duration) -> Option<midstate_stratum::CloseReason> {
        self.mute_deadline().filter(|&due| due <= now)?;
        let age = now.saturating_sub(self.oldest_unanswered()?);
        Some(midstate_stratum::CloseReason::Unanswered { count: self.pending(), age })
    }

    /// When [`mute`](Self::mute) has lasted too long.
    fn mute_deadline(&self) -> Option<Duration> {
        let connection = self.connection.as_ref().filter(|connection| !connection.closing)?;
        let limits = &self.config.limits;
        let oldest = self.oldest_unanswered()?;
        let without = |since: Duration, limit| since.max(oldest) + limit;
        let due =
            without(connection.heard, limits.mute).min(without(connection.answered, limits.answer));
        (self.pending() >= limits.common.unanswered).then_some(due)
    }

    /// When the oldest share that waits for an answer was sent, on whatever channel.
    fn oldest_unanswered(&self) -> Option<Duration> {
        let open = self.connection.iter().flat_map(|connection| connection.channels.iter());
        open.filter_map(|open| open.shares.oldest()).min()
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
            Step::Channels(kind) => (!connection.was_open).then(|| name_of(kind)),
        };
        if let Some(step) = step {
            let limit = common.handshake;
            deadlines.push((connection.since + limit, CloseReason::Late { step, limit }));
        } else if !connection.has_job {
            let limit = common.job_gap;
            deadlines.push((connection.since + limit, CloseReason::NoJob(limit)));
        }
        if let Some(since) = connection.partial {
            let limit = common.line_age;
            deadlines.push((since + limit, CloseReason::FrameUnfinished(limit)));
        }
        deadlines
    }

    /// Asks for the channels that are wanted and not open, some at a time.
    fn ask_for_channels(&mut self, now: Duration) {
        let Some(connection) = self.connection.as_mut().filter(|connection| !connection.closing)
        else {
            return;
        };
        let Step::Channels(kind) = connection.step else { return };
        let nominal = (connection.told.hash_rate / self.config.wanted() as f64) as f32;
        let user = &self.config.user;
        while let Some(request) = connection.channels.ask(now, &self.config.limits) {
            let frame = match kind {
                ChannelKind::Standard => message::open_standard(request, user, nominal),
                ChannelKind::Extended => message::open_extended(request, user, nominal, EXTRANONCE),
            };
            connection.output.push_back(Output::Frame(frame));
        }
    }

    /// A channel that is not opened in time is asked for again later, if there are others.
    fn give_up_overdue(&mut self, now: Duration) {
        let limits = self.config.limits.clone();
        while let Some(connection) = self.connection.as_mut().filter(|of| !of.closing)
            && let Step::Channels(kind) = connection.step
            && let Some(request) = connection.channels.overdue(now, limits.common.handshake)
            && let Some(past) = connection.channels.answered(request)
        {
            if connection.channels.is_desolate() {
                let (step, limit) = (name_of(kind), limits.common.handshake);
                return self.close(CloseReason::Late { step, limit });
            }
            let pause = connection.channels.put_off(now, past, &limits).as_secs();
            let (step, limit) = (name_of(kind), limits.common.handshake.as_secs());
            let words = format!("no answer to {step} within {limit} s; asking again in {pause} s");
            self.warn(now, &words);
        }
    }

    fn tell_hash_rate(&mut self, now: Duration) {
        if self.update_due().is_none_or(|due| now < due) {
            return;
        }
        let hash_rate = self.hash_rate;
        if let Some(connection) = &mut self.connection {
            connection.told = Told { hash_rate, at: now };
            let nominal = (hash_rate / self.config.wanted() as f64) as f32;
            for open in connection.channels.iter() {
                let frame = message::update_channel(open.channel.id(), nominal);
                connection.output.push_back(Output::Frame(frame));
            }
        }
    }

    /// When the pool is to be told another hash rate.
    fn update_due(&self) -> Option<Duration> {
        let connection = self.connection.as_ref()?;
        let told = connection.told;
        let factor = (self.hash_rate / told.hash_rate).max(told.hash_rate / self.hash_rate);
        let is_open = connection.channels.any_is_open() && !connection.closing;
        (is_open && factor > CHANGED).then_some(told.at + self.config.limits.update)
    }

    fn tell_outcomes(&mut self, ended: impl IntoIterator<Item = ShareOutcome>) {
        self.events.extend(ended.into_iter().map(Event::Verdict));
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

    /// An error code of the pool, as it may be shown; a pool may give none.
    fn code(&self, code: &str) -> String {
        if code.trim().is_empty() { "no reason given".to_owned() } else { self.clean(code) }
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

/// The message that asks for a channel of this kind.
fn name_of(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Standard => "OpenStandardMiningChannel",
        ChannelKind::Extended => "OpenExtendedMiningChannel",
    }
}
