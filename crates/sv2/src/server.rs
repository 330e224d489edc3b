//! The server's state machine: one connection of a miner, ours or any other, with its channels.
//!
//! Answers go before jobs. Of jobs only the newest waits to be written, with the newest target of
//! each channel: a line that stalls costs memory for a few answers and one job for each channel. A
//! job that waits for the whole group is made again when one of its channels needs another one, so
//! that every job that is sent has the target that it was made with.

mod answers;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use midstate_chain::{Job, Target};
use midstate_stratum::sanitize;

use crate::message::REQUIRES_STANDARD_JOBS;
use crate::request::{self, Opening, Request, Setup, ShareTicket, Submission};
use crate::secure::{Frame, Received, Secure};
use crate::{Authority, ChannelKind, CloseReason, ServerLimits};
use answers::Answers;
use work::Work;

/// A flag of SetupConnection: the miner rolls versions, which it always may.
const REQUIRES_VERSION_ROLLING: u32 = 1 << 2;
/// The flags of SetupConnection that are supported. Missing is the choice of work by the miner.
const SUPPORTED: u32 = REQUIRES_STANDARD_JOBS | REQUIRES_VERSION_ROLLING;
/// The group that all channels of a connection belong to. Channels count up from the next number.
const GROUP: u32 = 1;
/// The code for a channel that is not open, or of the other kind.
const NO_SUCH_CHANNEL: &str = "invalid-channel-id";
/// Characters of a miner's text in a log.
const TEXT: usize = 256;

/// The settings of a connection.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Signs the connection's certificate.
    pub authority: Authority,
    /// 32 random bytes, never used twice.
    pub entropy: [u8; 32],
    /// The limits on the miner.
    pub limits: ServerLimits,
}

/// A request of a miner to the pool.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// To be answered with [`Server::open`] or [`Server::refuse_channel`].
    Open(Opening),
    /// The miner tells another hash rate, or wants a target that is as hard as this. To be answered
    /// with [`Server::refuse_update`], or not at all.
    Update {
        /// An open channel.
        channel: u32,
        /// Hashes a second; 0 if the miner cannot tell.
        hash_rate: f32,
        /// No hash above it is of use to the miner.
        max_target: Target,
    },
    /// To be answered with [`Server::accept`] or [`Server::refuse`].
    Submit {
        /// For the answer. Its channel is open.
        ticket: ShareTicket,
        /// The share that was found.
        submission: Submission,
    },
    /// The miner has closed this channel.
    Closed {
        /// The channel, which was open.
        channel: u32,
    },
    /// The caller must drop the transport, once it has written all that there is to write.
    Close(Breach),
}

/// Why a miner's connection is to be dropped.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Breach {
    /// It speaks Stratum V1, and is told so.
    #[error("it speaks Stratum V1 at the port of Stratum V2")]
    Stratum1,
    /// The line is damaged, or was never one.
    #[error(transparent)]
    Line(CloseReason),
    /// SetupConnection has to be the first message.
    #[error("a message of type {0:#04x} came before SetupConnection")]
    Early(u8),
    /// SetupConnection came again, or makes no sense.
    #[error("its SetupConnection came twice, or makes no sense")]
    Setup,
    /// Its SetupConnection asks for something that is not here. It is told the code.
    #[error("its SetupConnection was refused: {0}")]
    Refused(&'static str),
    /// Messages whose bytes make no sense, several of them.
    #[error("{count} malformed messages came, the last one: {last}")]
    Malformed {
        /// How many.
        count: usize,
        /// The mistake in the last one.
        last: String,
    },
    /// It asks and does not read.
    #[error("{0} answers wait to be read")]
    NotRead(usize),
}

/// Why a request is refused, in the codes of the specification and of its reference implementation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no room for another channel.
    Full,
    /// The user is no name of printable characters, or too long.
    User,
    /// The hash rate is no number, or negative.
    HashRate,
    /// The maximum target is harder than the pool's work.
    MaxTarget,
    /// The miner wants more bytes of extranonce than there are.
    ExtranonceSize,
    /// An extended channel on a connection that requires standard jobs.
    ExtendedChannel,
}

/// The extranonce and the target of a channel that is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The pool's part of the extranonce, which no other channel has.
    pub extranonce1: Vec<u8>,
    /// Bytes behind it. On an extended channel they are the miner's, on a standard one all zero.
    pub extranonce2_size: usize,
    /// Of the shares of its first job.
    pub target: Target,
}

/// The server side of one connection. It answers by itself what needs no pool. The caller gets
/// what does.
#[derive(Debug)]
pub struct Server {
    limits: ServerLimits,
    line: Secure,
    /// Seconds since 1970, when the last bytes came.
    unix: u32,
    setup: Option<Terms>,
    channels: BTreeMap<u32, Channel>,
    next_channel: u32,
    malformed: usize,
    is_closing: bool,
    answers: Answers,
    work: Work,
    events: VecDeque<ServerEvent>,
    /// Frames that came whole.
    frames: u64,
}

/// The terms of SetupConnection.
#[derive(Debug, Clone, Copy)]
struct Terms {
    /// No jobs for the group: the miner reads none.
    standard_jobs: bool,
}

/// An open channel.
#[derive(Debug)]
struct Channel {
    kind: ChannelKind,
    /// On a standard channel the whole extranonce.
    prefix: Vec<u8>,
}

impl Server {
    /// For a connection that was just accepted.
    pub fn new(config: ServerConfig) -> Self {
        let ServerConfig { authority, entropy, limits } = config;
        Self {
            line: Secure::listen(&authority, entropy, limits.frame),
            limits,
            unix: 0,
            setup: None,
            channels: BTreeMap::new(),
            next_channel: GROUP + 1,
            malformed: 0,
            is_closing: false,
            answers: Answers::default(),
            work: Work::default(),
            events: VecDeque::new(),
            frames: 0,
        }
    }

    /// Whether the connection is set up: from then on channels can be opened.
    pub fn is_set_up(&self) -> bool {
        self.setup.is_some() && !self.is_closing
    }

    /// The number of the frame that has come in part, if one has.
    pub fn unfinished(&self) -> Option<u64> {
        self.line.is_partial().then_some(self.frames)
    }

    /// Bytes came, in any fragmentation, at a time since 1970.
    ///
    /// Requests are handled one after the other: those behind one that the pool has to answer wait
    /// until [`poll_event`](Self::poll_event) is called after it. So answers keep the order of
    /// their requests.
    pub fn handle_bytes(&mut self, now: Duration, bytes: &[u8]) {
        self.unix = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        if !self.is_closing {
            self.line.receive(bytes);
            self.read_on();
        }
    }

    /// The next thing that happened. Answer an event before you ask for the next one.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.read_on();
        self.events.pop_front()
    }

    /// The next bytes to write.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        if let Some(answer) = self.answers.pop() {
            return Some(match answer {
                answers::Answer::Clear(bytes) => bytes,
                answers::Answer::Frame(frame) => self.line.seal(&frame),
            });
        }
        // A connection that ends has no use for work.
        let frames = self.work.pop(&self.channels).filter(|_| !self.is_closing)?;
        Some(frames.iter().flat_map(|frame| self.line.seal(frame)).collect())
    }

    /// Opens a channel: its number.
    pub fn open(&mut self, opening: &Opening, grant: &Grant) -> u32 {
        let channel = self.next_channel;
        self.next_channel += 1;
        let Grant { extranonce1, extranonce2_size, target } = grant;
        let (request, kind, mut prefix) = (opening.request, opening.kind, extranonce1.clone());
        self.answer(match kind {
            ChannelKind::Standard => {
                prefix.resize(prefix.len() + extranonce2_size, 0);
                request::opened_standard(request, channel, GROUP, *target, &prefix)
            }
            ChannelKind::Extended => {
                let size = u16::try_from(*extranonce2_size).expect("at most 32");
                request::opened_extended(request, channel, GROUP, *target, &prefix, size)
            }
        });
        self.channels.insert(channel, Channel { kind, prefix });
        self.work.open(channel, *target);
        channel
    }

    /// Opens no channel.
    pub fn refuse_channel(&mut self, opening: &Opening, why: Refusal) {
        self.answer(request::open_refused(opening.request, why.code()));
    }

    /// The channel stays as it was.
    pub fn refuse_update(&mut self, channel: u32, why: Refusal) {
        self.answer(request::update_refused(channel, why.code()));
    }

    /// Accepts a share of that difficulty. Accepted shares of one channel that wait side by side
    /// have one answer.
    pub fn accept(&mut self, ticket: ShareTicket, difficulty: f64) {
        self.answers.accept(ticket, difficulty);
        self.check_outbox();
    }

    /// Refuses a share with an error code of at most 255 bytes.
    pub fn refuse(&mut self, ticket: ShareTicket, code: &str) {
        self.answer(request::refused(ticket, code));
    }

    /// Whether jobs go to all channels at once.
    pub fn has_group(&self) -> bool {
        self.setup.is_some_and(|terms| !terms.standard_jobs) && !self.channels.is_empty()
    }

    /// Whether a job for all channels waits to be written: then a job for one of them has to be one
    /// for all.
    pub fn is_group_waiting(&self) -> bool {
        self.work.is_group_waiting()
    }

    /// Hands out a job to one channel, with the target of its shares: the job's number. Its
    /// extranonce, mask and targets are the channel's business and not sent.
    pub fn issue(&mut self, channel: u32, job: &Job, target: Target) -> u32 {
        self.work.issue(channel, job, target)
    }

    /// Hands out a job to all channels, each with the target of its shares.
    pub fn issue_to_group(
        &mut self,
        job: &Job,
        targets: impl IntoIterator<Item = (u32, Target)>,
    ) -> u32 {
        self.work.issue_to_group(job, targets)
    }

    /// Whether that job number was ever given out.
    pub fn has_issued(&self, job: u32) -> bool {
        self.work.has_issued(job)
    }

    /// Handles requests until one is the pool's to answer.
    fn read_on(&mut self) {
        while !self.is_closing && self.events.is_empty() {
            if self.frames == 0 && is_stratum_1(self.line.unread()) {
                let words = "this port speaks Stratum V2: use a miner of Stratum V2, or the \
                             pool's port of Stratum V1";
                self.answers.push_clear(midstate_stratum::Server::farewell(words));
                return self.close(Breach::Stratum1);
            }
            match self.line.next(self.unix) {
                Ok(None) => break,
                Ok(Some(received)) => {
                    self.frames += 1;
                    self.handle_received(received);
                }
                Err(reason) => self.close(Breach::Line(reason)),
            }
        }
    }

    fn handle_received(&mut self, received: Received) {
        let frame = match received {
            Received::Secured(answer) => return self.answers.push_clear(answer),
            Received::Frame(frame) => frame,
        };
        let kind = frame.kind;
        match Request::parse(frame) {
            Ok(Request::Setup(setup)) if self.setup.is_none() => self.handle_setup(&setup),
            Ok(Request::Setup(_)) => self.close(Breach::Setup),
            Err(_) if self.setup.is_none() => self.close(Breach::Setup),
            Ok(_) if self.setup.is_none() => self.close(Breach::Early(kind)),
            Ok(request) => self.handle_request(request),
            Err(error) => {
                self.malformed += 1;
                let count = self.malformed;
                if count >= self.limits.malformed {
                    self.close(Breach::Malformed { count, last: error.to_string() });
                }
            }
        }
    }

    fn handle_setup(&mut self, setup: &Setup) {
        let unsupported = setup.flags & !SUPPORTED;
        let code = if !setup.is_for_mining {
            "unsupported-protocol"
        } else if !setup.versions.contains(&2) {
            "protocol-version-mismatch"
        } else if unsupported != 0 {
            "unsupported-feature-flags"
        } else {
            let standard_jobs = setup.flags & REQUIRES_STANDARD_JOBS != 0;
            self.setup = Some(Terms { standard_jobs });
            return self.answer(request::setup_done());
        };
        let flags = if code == "unsupported-feature-flags" { unsupported } else { 0 };
        self.answer(request::setup_refused(flags, code));
        self.close(Breach::Refused(code));
    }

    fn handle_request(&mut self, request: Request) {
        match request {
            Request::Open(opening) => match self.check_opening(&opening) {
                Ok(()) => self.events.push_back(ServerEvent::Open(opening)),
                Err(why) => self.refuse_channel(&opening, why),
            },
            Request::Update { channel, hash_rate, max_target } => {
                if !self.channels.contains_key(&channel) {
                    self.answer(request::update_refused(channel, NO_SUCH_CHANNEL));
                } else if !is_rate(hash_rate) {
                    self.refuse_update(channel, Refusal::HashRate);
                } else {
                    let update = ServerEvent::Update { channel, hash_rate, max_target };
                    self.events.push_back(update);
                }
            }
            Request::Submit(ticket, submission) => {
                let kind = self.channels.get(&ticket.channel).map(|channel| channel.kind);
                let came = match submission.extranonce {
                    None => ChannelKind::Standard,
                    Some(_) => ChannelKind::Extended,
                };
                if kind == Some(came) {
                    self.events.push_back(ServerEvent::Submit { ticket, submission });
                } else {
                    self.refuse(ticket, NO_SUCH_CHANNEL);
                }
            }
            Request::Close { channel: GROUP } => {
                for (channel, _) in std::mem::take(&mut self.channels) {
                    self.close_channel(channel);
                }
            }
            Request::Close { channel } => {
                if self.channels.remove(&channel).is_some() {
                    self.close_channel(channel);
                }
            }
            Request::CustomJob { channel, request } => {
                self.answer(request::custom_job_refused(channel, request));
            }
            Request::Setup(_) | Request::Unknown => {}
        }
    }

    fn check_opening(&self, opening: &Opening) -> Result<(), Refusal> {
        let Opening { kind, user, hash_rate, max_target, .. } = opening;
        let standard_jobs = self.setup.is_some_and(|terms| terms.standard_jobs);
        if standard_jobs && *kind == ChannelKind::Extended {
            return Err(Refusal::ExtendedChannel);
        }
        if user.is_empty()
            || user.len() > self.limits.user
            || !user.chars().all(midstate_chain::is_printable)
        {
            return Err(Refusal::User);
        }
        if !is_rate(*hash_rate) {
            return Err(Refusal::HashRate);
        }
        if *max_target == Target::from_number(midstate_chain::U256::ZERO) {
            return Err(Refusal::MaxTarget);
        }
        if self.channels.len() >= self.limits.channels || self.next_channel == u32::MAX {
            return Err(Refusal::Full);
        }
        Ok(())
    }

    fn close_channel(&mut self, channel: u32) {
        self.work.close(channel);
        self.events.push_back(ServerEvent::Closed { channel });
    }

    fn answer(&mut self, frame: Frame) {
        self.answers.push(frame);
        self.check_outbox();
    }

    fn check_outbox(&mut self) {
        let waiting = self.answers.len();
        if waiting > self.limits.outbox {
            self.close(Breach::NotRead(waiting));
        }
    }

    fn close(&mut self, breach: Breach) {
        if !self.is_closing {
            self.is_closing = true;
            self.events.push_back(ServerEvent::Close(breach));
        }
    }
}

impl Refusal {
    /// As the miner is told.
    fn code(self) -> &'static str {
        match self {
            Self::Full => "channel-capacity-exhausted",
            Self::User => "invalid-user-identity",
            Self::HashRate => "invalid-nominal-hashrate",
            Self::MaxTarget => "max-target-out-of-range",
            Self::ExtranonceSize => "min-extranonce-size-too-large",
            Self::ExtendedChannel => "extended-channels-not-supported-for-standard-jobs",
        }
    }
}

fn is_rate(hash_rate: f32) -> bool {
    hash_rate.is_finite() && hash_rate >= 0.0
}

/// A handshake's first 64 bytes are as good as random.
fn is_stratum_1(bytes: &[u8]) -> bool {
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    bytes.starts_with(b"{")
        && bytes.iter().all(is_text)
        && sanitize(&String::from_utf8_lossy(bytes), TEXT).contains("\"mining.")
}
