//! The client's output: lines for the pool, events for the caller. Bounded, whatever comes
//! in.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Job;

use super::secret::Secret;
use crate::rules::Bucket;
use crate::{ClientConfig, ClientEvent, Remark, sanitize};

/// Lines and events that wait to be polled, and the ids of requests.
#[derive(Debug)]
pub(super) struct Output {
    /// Blocks overtake everything that waits (I7). By the id of the request.
    blocks: BTreeMap<u64, Vec<u8>>,
    /// The handshake and replies.
    lines: VecDeque<Vec<u8>>,
    /// By the id of the request.
    shares: BTreeMap<u64, Vec<u8>>,
    events: VecDeque<ClientEvent>,
    last_id: u64,
    replies: usize,
    text: usize,
    secret: Secret,
    messages: Talk,
    warnings: Talk,
}

/// Text for people, at a pace they can read (S11).
#[derive(Debug)]
struct Talk {
    pace: Bucket,
    held_back: u64,
}

/// Warnings of different causes come together, so a few are let through at once.
const WARNINGS_AT_ONCE: u32 = 4;

impl Output {
    pub(super) fn new(config: &ClientConfig) -> Self {
        let limits = &config.limits;
        let per_second = 1.0 / limits.text_interval.as_secs_f64().max(0.001);
        let talk = |burst| Talk { pace: Bucket::new(burst, per_second), held_back: 0 };
        Self {
            blocks: BTreeMap::new(),
            lines: VecDeque::new(),
            shares: BTreeMap::new(),
            events: VecDeque::new(),
            last_id: 0,
            replies: limits.replies,
            text: limits.text,
            secret: Secret::new(&config.password),
            messages: talk(1),
            warnings: talk(WARNINGS_AT_ONCE),
        }
    }

    /// A number for the next request. Never used twice, so that an answer from before a reconnect
    /// meets nothing.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn send(&mut self, line: Vec<u8>) {
        self.lines.push_back(line);
    }

    /// The line of a share. It waits no longer than the share for its verdict
    /// ([`withdraw`](Self::withdraw)), so that there are never more of them than such shares.
    pub(super) fn send_share(&mut self, id: u64, line: Vec<u8>, is_block: bool) {
        let waiting = if is_block { &mut self.blocks } else { &mut self.shares };
        waiting.insert(id, line);
    }

    /// Whether the share that is sent with this id waits to be written.
    pub(super) fn has_share(&self, id: u64) -> bool {
        self.blocks.contains_key(&id) || self.shares.contains_key(&id)
    }

    /// That share is settled: if it was not written yet, it need not be.
    pub(super) fn withdraw(&mut self, id: u64) {
        self.blocks.remove(&id);
        self.shares.remove(&id);
    }

    /// An answer to a question of the pool, unless it does not read what is sent.
    pub(super) fn reply(&mut self, line: Vec<u8>) {
        if self.lines.len() < self.replies {
            self.lines.push_back(line);
        }
    }

    /// A text of the pool as it may be shown: printable, short, and without our password.
    pub(super) fn clean(&self, text: &str) -> String {
        if self.secret.is_none() {
            return sanitize(text, self.text);
        }
        // Unprintable bytes may stand between the letters of the password; a cut may, too.
        let printable = sanitize(text, usize::MAX);
        if self.secret.is_in(&printable) {
            return sanitize(&self.secret.hide(&printable), self.text);
        }
        sanitize(&printable, self.text)
    }

    pub(super) fn emit(&mut self, event: ClientEvent) {
        self.events.push_back(event);
    }

    /// The newest job takes the place of one that was not polled yet (S6); what that one voided
    /// stays void.
    pub(super) fn emit_job(&mut self, mut job: Arc<Job>) {
        let older = self.take_event(|event| matches!(event, ClientEvent::Job(_)));
        if let Some(ClientEvent::Job(older)) = older
            && older.clean
            && !job.clean
        {
            Arc::make_mut(&mut job).clean = true;
        }
        self.emit(ClientEvent::Job(job));
    }

    /// As with jobs, only the newest counts.
    pub(super) fn emit_difficulty(&mut self, difficulty: f64) {
        self.take_event(|event| matches!(event, ClientEvent::Difficulty(_)));
        self.emit(ClientEvent::Difficulty(difficulty));
    }

    /// A flood of them is one event, too.
    pub(super) fn emit_ignored(&mut self, method: &str, count: u64) {
        self.take_event(|event| matches!(event, ClientEvent::Ignored { .. }));
        self.emit(ClientEvent::Ignored { method: self.clean(method), count });
    }

    /// Words of the pool.
    pub(super) fn message(&mut self, now: Duration, text: &str) {
        let text = self.clean(text);
        if let Some(text) = self.messages.say(now, text) {
            self.emit(ClientEvent::Remark(Remark::Message { text }));
        }
    }

    /// Words of ours about the pool; may quote it.
    pub(super) fn warn(&mut self, now: Duration, text: &str) {
        let text = self.clean(text);
        if let Some(text) = self.warnings.say(now, text) {
            self.emit(ClientEvent::Remark(Remark::Warning { text }));
        }
    }

    /// Drops the lines that were not written when the transport went away.
    pub(super) fn drop_lines(&mut self) {
        self.blocks.clear();
        self.lines.clear();
        self.shares.clear();
    }

    pub(super) fn poll_line(&mut self) -> Option<Vec<u8>> {
        let share = |waiting: &mut BTreeMap<_, _>| waiting.pop_first().map(|(_, line)| line);
        share(&mut self.blocks)
            .or_else(|| self.lines.pop_front())
            .or_else(|| share(&mut self.shares))
    }

    pub(super) fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    fn take_event(&mut self, which: impl Fn(&ClientEvent) -> bool) -> Option<ClientEvent> {
        let at = self.events.iter().rposition(which)?;
        self.events.remove(at)
    }
}

impl Talk {
    fn say(&mut self, now: Duration, text: String) -> Option<String> {
        if !self.pace.take(now) {
            self.held_back += 1;
            return None;
        }
        match std::mem::take(&mut self.held_back) {
            0 => Some(text),
            held_back => Some(format!("{text} ({held_back} more held back)")),
        }
    }
}
