//! The part of a [`Client`] that handles the messages of the pool.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Job;
use midstate_stratum::redirect;
use midstate_stratum::rules::Withheld;

use super::{ChannelKind, Client, ClientConfig, Output, Step, Told};
use crate::channel::{Channel, Unusable};
use crate::channels::Open;
use crate::message::{self, Introduction, Message, NewJob, Opened};
use crate::secure::{HANDSHAKE, Received};
use crate::shares::Shares;
use crate::{CloseReason, Event, TracedFrame};

/// Jobs that a channel keeps, however many channels there are.
const FEWEST_JOBS: usize = 4;

impl Client {
    pub(super) fn handle_received(&mut self, now: Duration, received: Received) {
        if let Some(trace) = &mut self.trace {
            trace.push_back(match &received {
                Received::Secured(_) => TracedFrame::handshake(false, HANDSHAKE),
                Received::Frame(frame) => TracedFrame::new(false, frame),
            });
        }
        match received {
            Received::Secured(_) => {
                // With several channels, one job for the group is less to send.
                let kind = self.config.kind();
                let standard_jobs = kind == ChannelKind::Standard && self.config.wanted() == 1;
                let firmware = self.config.firmware.clone();
                let Some(connection) = &mut self.connection else { return };
                connection.step = Step::Setup;
                let frame = message::setup_connection(&Introduction {
                    host: &connection.dialled.host,
                    port: connection.dialled.port,
                    firmware: &firmware,
                    standard_jobs,
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

    fn handle_message(&mut self, now: Duration, message: Message) {
        match message {
            Message::SetupDone { fixed_version, extended_only } => {
                self.handle_setup(now, fixed_version, extended_only);
            }
            Message::SetupRefused { code } => {
                let reason = self.code(&code);
                self.close(CloseReason::SetupRefused(reason));
            }
            Message::Opened(opened) => self.handle_opened(now, opened),
            Message::OpenRefused { request, code } => self.handle_open_refused(now, request, &code),
            Message::Job(job) => self.handle_job(now, &job),
            Message::NewPrevHash(new) => self.for_each(now, new.channel, |_, open| {
                Some(Said::Job(open.channel.new_block(&new).map(Some)))
            }),
            Message::Target { channel, target } => self.for_each(now, channel, |_, open| {
                Some(Said::Target(open.channel.set_target(target)))
            }),
            Message::ExtranoncePrefix { channel, prefix } => {
                self.for_each(now, channel, |_, open| {
                    open.channel.set_prefix(prefix.clone());
                    None
                });
            }
            Message::Group { group, channels } => {
                for channel in channels {
                    if let Some(open) = self.open(channel) {
                        open.channel.join_group(group);
                    }
                }
            }
            Message::Accepted { channel, last, count } => {
                self.handle_accepted(now, channel, last, count);
            }
            Message::Refused { channel, sequence, code } => {
                self.handle_refused(now, channel, sequence, &code);
            }
            Message::UpdateRefused { code } => {
                let code = self.code(&code);
                self.warn(now, &format!("the pool did not take our hash rate: {code}"));
            }
            Message::Closed { channel, reason } => {
                let reason = self.code(&reason);
                let addressed = self.connection.as_ref().map(|of| of.channels.addressed(channel));
                for channel in addressed.into_iter().flatten() {
                    self.handle_closed(now, channel, &reason);
                }
                self.ask_for_channels(now);
            }
            Message::Reconnect { host, port } => self.handle_reconnect(now, &host, port),
            Message::Unknown => {}
        }
    }

    fn handle_setup(&mut self, now: Duration, fixed_version: bool, extended_only: bool) {
        let wanted = self.config.kind();
        let kind = if extended_only { ChannelKind::Extended } else { wanted };
        let hash_rate = self.hash_rate;
        let Some(connection) = &mut self.connection else { return };
        if connection.step != Step::Setup {
            return;
        }
        if fixed_version {
            connection.version_mask = 0;
        }
        connection.step = Step::Channels(kind);
        connection.told = Told { hash_rate, at: now };
        self.ask_for_channels(now);
        if kind != wanted {
            self.warn(now, "the pool takes extended channels alone: opening one");
        }
    }

    fn handle_opened(&mut self, now: Duration, opened: Opened) {
        let session = self.sessions + 1;
        let (number, limits) = (opened.channel, &self.config.limits);
        let Some(connection) = &mut self.connection else { return };
        let Step::Channels(asked) = connection.step else { return };
        let Some(past) = connection.channels.answered(opened.request) else { return };
        let kind =
            if opened.size.is_some() { ChannelKind::Extended } else { ChannelKind::Standard };
        if kind != asked {
            let reason = "the pool opened a channel of the other kind".to_owned();
            return self.close(CloseReason::ChannelRefused(reason));
        }
        if connection.channels.has(number) {
            let reason = format!("the pool opened channel {number} twice");
            return self.close(CloseReason::ChannelRefused(reason));
        }
        // Of many channels, each keeps fewer jobs: all together they may fill some memory.
        let jobs = (limits.common.jobs / self.config.wanted()).max(FEWEST_JOBS);
        let jobs = jobs.min(limits.common.jobs).max(1);
        let channel = Channel::open(opened, session, connection.version_mask, jobs, limits);
        let channel = match channel {
            Ok(channel) => channel,
            Err(error) => return self.close(CloseReason::Unusable(error)),
        };
        let difficulty = channel.difficulty();
        let shares = Shares::new(now, limits, self.config.single_submit);
        let (newest_since, written) = (now, 0);
        connection.channels.insert(Open { channel, shares, newest_since, written, past });
        connection.was_open = true;
        self.sessions = session;
        self.events.push_back(Event::Opened { channel: number, kind });
        self.events.push_back(Event::Difficulty(difficulty));
        self.ask_for_channels(now);
    }

    /// The last channel's refusal is the pool's.
    fn handle_open_refused(&mut self, now: Duration, request: u32, code: &str) {
        let reason = refusal(&self.code(code));
        let Some(connection) = &mut self.connection else { return };
        let Some(past) = connection.channels.answered(request) else { return };
        if connection.channels.is_desolate() {
            let is_user = ["user", "auth"].iter().any(|word| code.contains(word));
            self.events.push_back(Event::Refused { reason: reason.clone(), is_user });
            return self.close(match is_user {
                true => CloseReason::UserRefused(reason),
                false => CloseReason::ChannelRefused(reason),
            });
        }
        let pause = connection.channels.put_off(now, past, &self.config.limits).as_secs();
        let words = format!("opened no further channel: {reason}; asking again in {pause} s");
        self.warn(now, &words);
    }

    /// That channel alone ends, and is asked for again; without any channel the connection ends.
    fn handle_closed(&mut self, now: Duration, number: u32, reason: &str) {
        let Some(connection) = &mut self.connection else { return };
        let Some(mut open) = connection.channels.remove(number) else { return };
        let is_of_it =
            |output: &Output| matches!(output, Output::Share { channel, .. } if *channel == number);
        connection.output.retain(|output| !is_of_it(output));
        if connection.channels.is_desolate() {
            connection.channels.insert(open);
            return self.close(CloseReason::ChannelClosed(reason.to_owned()));
        }
        let pause = connection.channels.put_off(now, open.past, &self.config.limits).as_secs();
        self.tell_outcomes(open.shares.end(now, Withheld::ChannelClosed));
        let is_of_it =
            |event: &Event| matches!(event, Event::Job(job) if job.channel == Some(number));
        self.events.retain(|event| !is_of_it(event));
        self.events.push_back(Event::Ended { channel: number });
        self.warn(now, &format!("closed channel {number}: {reason}; asking again in {pause} s"));
    }

    fn handle_job(&mut self, now: Duration, job: &NewJob) {
        self.for_each(now, job.channel, |client, open| {
            Some(Said::Job(open.channel.announce(job, &client.limits)))
        });
    }

    /// Does something to each channel that a message is for, and says what comes of it.
    fn for_each(
        &mut self,
        now: Duration,
        number: u32,
        act: impl Fn(&ClientConfig, &mut Open) -> Option<Said>,
    ) {
        let addressed = self.connection.as_ref().map(|of| of.channels.addressed(number));
        for channel in addressed.into_iter().flatten() {
            let Some(connection) = self.connection.as_mut().filter(|of| !of.closing) else {
                return;
            };
            let Some(open) = connection.channels.get(channel) else { continue };
            match act(&self.config, open) {
                None => {}
                Some(Said::Job(job)) => {
                    if job.as_ref().is_ok_and(Option::is_some) {
                        open.newest_since = now;
                    }
                    self.hand_out(now, job);
                }
                Some(Said::Target(Ok(difficulty))) => {
                    self.events.extend(difficulty.map(Event::Difficulty));
                }
                Some(Said::Target(Err(error))) => {
                    self.warn(now, &format!("ignored SetTarget: {error}"));
                }
            }
        }
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
            connection.has_job = true;
        }
        self.emit_job(job);
    }

    /// The newest job takes the place of one of the same channel that was not polled yet; what that
    /// one voided stays void.
    fn emit_job(&mut self, mut job: Arc<Job>) {
        let is_before =
            |event: &Event| matches!(event, Event::Job(before) if before.channel == job.channel);
        let waiting = self.events.iter().rposition(is_before);
        if let Some(Event::Job(older)) = waiting.and_then(|at| self.events.remove(at))
            && older.clean
            && !job.clean
        {
            Arc::make_mut(&mut job).clean = true;
        }
        self.events.push_back(Event::Job(job));
    }

    fn handle_accepted(&mut self, now: Duration, channel: u32, last: u32, count: u32) {
        let Some(open) = self.open(channel) else { return };
        // A share that was not sent yet has no answer.
        let last_written = last.min(open.written);
        let attempts = open.shares.attempts_accepted(last_written);
        let ended = open.shares.accepted(now, last_written);
        open.past.is_proven |= !ended.is_empty();
        let accepted = ended.len() + attempts.len();
        if accepted > 0 {
            self.heard_of_shares(now);
        }
        self.tell_outcomes(ended);
        let attempted = |sequence| Event::Attempted { sequence, answer: Ok(()) };
        self.events.extend(attempts.into_iter().map(attempted));
        if accepted != count as usize {
            let words = format!(
                "it says that it accepted {count} shares up to number {last}; {accepted} of ours \
                 had no answer up to there, and are counted as accepted"
            );
            self.warn(now, &words);
        }
    }

    fn handle_refused(&mut self, now: Duration, channel: u32, sequence: u32, code: &str) {
        let code = self.clean(code);
        let Some(Open { channel, shares, newest_since, .. }) = self.open(channel) else { return };
        if shares.attempt_refused(sequence) {
            return self.events.push_back(Event::Attempted { sequence, answer: Err(code) });
        }
        let refused = shares.refused(now, sequence, &code, channel, *newest_since);
        let Some((ended, distrust)) = refused else { return };
        self.heard_of_shares(now);
        self.tell_outcomes([ended]);
        if let Some(reason) = distrust {
            self.close(reason.into());
        }
    }

    /// The pool answered to a share.
    fn heard_of_shares(&mut self, now: Duration) {
        if let Some(connection) = &mut self.connection {
            connection.answered = now;
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

    /// The open channel of that number.
    fn open(&mut self, number: u32) -> Option<&mut Open> {
        self.connection.as_mut()?.channels.get(number)
    }
}

/// The meaning of a message to a channel.
enum Said {
    Job(Result<Option<Arc<Job>>, Unusable>),
    /// The difficulty, if it changed.
    Target(Result<Option<f64>, Unusable>),
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
