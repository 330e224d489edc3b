//! Calls that wait at a node for the next tip, so that it is heard of at once.
//!
//! **Rule: a miner never takes a node's last RPC thread.** A call that waits takes a thread of
//! Bitcoin Core until it returns, and Core does not notice that its client has left. As many long
//! polls as threads lock the node up: no block can reach it any more, so no tip moves and nothing
//! returns. So:
//!
//! - Nothing waits at a node in the first seconds, nor before the proposal is answered.
//! - A wait ends by itself ([`Call::WaitForHeight`]): what is left behind is gone in seconds. The
//!   unbounded long poll of BIP22 is for nodes that do not know that call.
//! - Before it waits, the client finds out whether the node has threads to spare. [`PROBES`] short
//!   waits at once come back at the same time only if each has a thread. Other miners that ask at
//!   the same moment take threads, too, so that all of them are on the safe side. A new tip ends
//!   all waits, and their threads look free until the other miners wait again: room is looked for
//!   only on a tip that has stood for [`QUIET`]. A wait that ends by itself leaves such a gap, too,
//!   for a moment: [`PROOFS`] answers in a row are needed. Where there is no room, the client asks
//!   every few seconds ([`POLL`]).
//! - A call that is not answered within [`HANG`] while one of ours waits ends that wait: its
//!   connection is closed, and the client asks every few seconds for a while.
//! - Where room is not proven, a wait ends before a block is sent. Core does not notice that its
//!   client has left, so that such a wait is short ([`UNPROVEN`]), also where it is asked for
//!   without looking for room ([`LongPolling::Always`]).

use std::time::Duration;

use super::node::{LongPoll, Phase, Room, Seen};
use super::{Client, LongPolling, NodeNews, Purpose};
use crate::Template;
use crate::limits::{
    CALL_TIMEOUT, FIRST_SECONDS, HANG, HELD_UP, IN_TURNS, LONGPOLL_TIMEOUT, POLL, PROBE_TIME,
    PROBES, PROOFS, QUIET, ROOM_FOR, SHORT, SHORTAGES, SPREAD, UNPROVEN, WAIT,
};
use crate::rpc::{Answer, Call, NoAnswer, RpcError, Tip};

impl Client {
    /// Notes what a template says for waiting. Whether a wait should have returned and has not.
    pub(super) fn look_at_waiting(&mut self, now: Duration, template: &Template) -> bool {
        let index = self.active;
        let node = &mut self.nodes[index];
        node.waiting.serving_since.get_or_insert(now);
        let stands = node.waiting.seen.as_ref().filter(|seen| seen.tip == template.prev_hash);
        node.waiting.seen = Some(Seen {
            since: stands.map_or(now, |seen| seen.since),
            tip: template.prev_hash,
            height: template.height,
            poll_id: template.longpoll_id.clone(),
        });
        let Some(poll) = &mut node.waiting.longpoll else { return false };
        if poll.tip == template.prev_hash {
            return false;
        }
        // It did not answer although the tip moved. It may be about to; if not, its connection is
        // dead and nobody has told us.
        if std::mem::replace(&mut poll.passed_over, true) {
            self.stop_waiting(index);
            self.longpoll_broke(now, index);
            return false;
        }
        true
    }

    /// Waits for the next template, if that may be.
    pub(super) fn wait_for_next(&mut self, now: Duration) {
        let first_seconds = self.first_seconds();
        let node = &mut self.nodes[self.active];
        let may = node.phase == Phase::Ready
            && !node.doubted
            && node.waiting.may_longpoll(now)
            && !node.waiting.would_return_at_once(now)
            && self.candidate.is_none();
        let Some(since) = node.waiting.serving_since.filter(|_| may) else { return };
        let is_quiet = node.waiting.seen.as_ref().is_some_and(|seen| now >= seen.since + QUIET);
        if let Room::Proven { until } = node.waiting.room
            && now >= until
        {
            node.waiting.room = Room::Unknown;
        }
        match (self.config.long_poll, &node.waiting.room) {
            (LongPolling::Never, _) | (_, Room::Asked { .. }) => {}
            (LongPolling::Always, _) => self.wait(now),
            (LongPolling::Auto, _) if now < since + first_seconds => {}
            (LongPolling::Auto, Room::Unknown) if !is_quiet => {}
            (LongPolling::Auto, Room::Unknown) => self.probe(now),
            (LongPolling::Auto, _) => self.wait(now),
        }
    }

    fn first_seconds(&self) -> Duration {
        // The extranonce is what tells miners apart.
        let share = self.config.extranonce1.first().map_or(0, |&byte| u32::from(byte));
        FIRST_SECONDS + SPREAD * share / 256
    }

    /// Asks whether the node has threads to spare.
    fn probe(&mut self, now: Duration) {
        let limit_ms = PROBE_TIME.as_millis() as u32;
        let call = Call::WaitForHeight { height: i32::MAX as u32, limit_ms };
        let node = self.active;
        let calls = (0..PROBES)
            .map(|_| self.call(now, node, call.clone(), Purpose::Probe, CALL_TIMEOUT))
            .collect();
        self.nodes[node].waiting.room = Room::Asked { calls, since: now };
    }

    pub(super) fn handle_probe(
        &mut self,
        now: Duration,
        index: usize,
        id: u64,
        outcome: Result<Answer, RpcError>,
    ) {
        let node = &mut self.nodes[index];
        let Room::Asked { calls, since } = &mut node.waiting.room else { return };
        if !calls.contains(&id) {
            return;
        }
        calls.retain(|&call| call != id);
        match outcome.and_then(|answer| answer.result::<Tip>()) {
            // It does not wait, and so proves nothing.
            Ok(_) if now < *since + PROBE_TIME * 9 / 10 => {
                node.waiting.room = Room::Unknowable;
            }
            Ok(_) if now >= *since + IN_TURNS => self.is_short(now, index),
            // Other miners' waits returned meanwhile, and left their threads to us for a moment.
            Ok(tip)
                if !node
                    .waiting
                    .seen
                    .as_ref()
                    .is_some_and(|seen| tip.is(&seen.tip) && seen.since <= *since) =>
            {
                node.waiting.room = Room::Unknown;
                node.waiting.serving_since = Some(now);
                if index == self.active {
                    node.wake_at = Some(now);
                }
            }
            Ok(_) if !calls.is_empty() => {}
            Ok(_) => {
                node.waiting.shortages = 0;
                node.waiting.proofs += 1;
                if node.waiting.proofs >= PROOFS {
                    node.waiting.room = Room::Proven { until: now + ROOM_FOR };
                } else {
                    node.waiting.room = Room::Unknown;
                    node.waiting.serving_since = Some(now);
                }
            }
            Err(error) => self.cannot_be_asked(now, index, &error),
        }
    }

    fn cannot_be_asked(&mut self, now: Duration, index: usize, error: &RpcError) {
        match error {
            RpcError::Node { .. } | RpcError::Malformed(_) => {
                self.nodes[index].waiting.room = Room::Unknowable;
            }
            RpcError::Forbidden if self.config.long_poll == LongPolling::Always => {
                self.nodes[index].waiting.room = Room::Unknowable;
            }
            // The node is gone, which other calls tell. If nothing but waits breaks, so be it.
            RpcError::Unreachable(why) if !matches!(why, NoAnswer::TimedOut(_)) => {
                let waiting = &mut self.nodes[index].waiting;
                waiting.room = Room::Unknown;
                waiting.serving_since = Some(now);
                self.longpoll_broke(now, index);
            }
            _ => {
                self.nodes[index].waiting.rest_longpoll(now);
                let words = format!(
                    "the node does not say whether it has RPC threads to spare \
                     (waitforblockheight: {error}): asking it for templates in intervals of {} s",
                    POLL.as_secs()
                );
                self.tell_shortage(index, words);
            }
        }
    }

    /// There was no thread for each of our short waits.
    fn is_short(&mut self, now: Duration, index: usize) {
        let node = &mut self.nodes[index];
        node.waiting.room = Room::Unknown;
        node.waiting.proofs = 0;
        node.waiting.shortages += 1;
        if node.waiting.shortages < SHORTAGES {
            // Not before the next template.
            node.waiting.serving_since = Some(now);
            return;
        }
        node.waiting.rest_longpoll(now);
        let words = format!(
            "the node is short of RPC threads: asking it for templates in intervals of {} s \
             instead of waiting there; start it with more (-rpcthreads=16)",
            POLL.as_secs()
        );
        self.tell_shortage(index, words);
    }

    fn tell_shortage(&mut self, index: usize, words: String) {
        if !std::mem::replace(&mut self.nodes[index].waiting.shortage_told, true) {
            self.events.push(index, NodeNews::Warning(words));
        }
    }

    fn wait(&mut self, now: Duration) {
        let index = self.active;
        let node = &self.nodes[index];
        let Some(Seen { tip, height, poll_id, .. }) = node.waiting.seen.clone() else { return };
        // A block of ours is on its way to that tip: the next template is asked for anyhow.
        if self.solved_tip == Some(tip) {
            return;
        }
        let (call, poll_id, timeout) = match (&node.waiting.room, poll_id) {
            (Room::Unknowable, Some(id)) => {
                let call = Call::Template { longpoll_id: Some(id.clone()) };
                (call, Some(id), LONGPOLL_TIMEOUT)
            }
            (Room::Unknowable, None) => return,
            _ => {
                let is_proven = matches!(node.waiting.room, Room::Proven { .. });
                let limit = if is_proven { WAIT } else { UNPROVEN };
                let limit_ms = limit.as_millis() as u32;
                (Call::WaitForHeight { height, limit_ms }, None, limit + CALL_TIMEOUT)
            }
        };
        let id = self.call(now, index, call, Purpose::LongPoll, timeout);
        let poll = LongPoll { id, poll_id, sent_at: now, tip, passed_over: false };
        self.nodes[index].waiting.longpoll = Some(poll);
    }

    pub(super) fn handle_longpoll(
        &mut self,
        now: Duration,
        index: usize,
        id: u64,
        outcome: Result<Answer, RpcError>,
    ) {
        // One that was given up on has nothing to say any more.
        let Some(poll) = self.nodes[index].waiting.longpoll.take_if(|poll| poll.id == id) else {
            return;
        };
        let lasted = now.saturating_sub(poll.sent_at);
        if outcome.as_ref().map_or(true, Answer::is_no_answer) {
            // The node may be down, or something between us cuts long answers: a plain fetch tells.
            let short = lasted < SHORT;
            if short {
                self.longpoll_broke(now, index);
            }
            let node = &mut self.nodes[index];
            node.doubtful = true;
            node.distrust();
            if !node.waits() && index == self.active {
                node.wake_at = Some(if short { now + Duration::from_secs(1) } else { now });
            }
            return;
        }
        if poll.poll_id.is_none() {
            return self.handle_waited(now, index, &poll, outcome);
        }
        self.receive_template(now, index, outcome);
        let node = &mut self.nodes[index];
        let same = node.waiting.seen.as_ref().is_some_and(|seen| seen.poll_id == poll.poll_id);
        if same && lasted < Duration::from_secs(1) {
            self.longpoll_broke(now, index);
        } else {
            node.waiting.breaks = 0;
        }
    }

    /// A wait that ends by itself has ended.
    fn handle_waited(
        &mut self,
        now: Duration,
        index: usize,
        poll: &LongPoll,
        outcome: Result<Answer, RpcError>,
    ) {
        let lasted = now.saturating_sub(poll.sent_at);
        let node = &mut self.nodes[index];
        match outcome.and_then(|answer| answer.result::<Tip>()) {
            Ok(tip) if tip.is(&poll.tip) => {
                if lasted < Duration::from_secs(1) {
                    self.longpoll_broke(now, index);
                }
            }
            Ok(_) => {
                node.waiting.breaks = 0;
                node.waiting.left = Some((poll.tip, now));
                if index == self.active {
                    node.wake_at = Some(now);
                }
            }
            Err(error) => {
                if index == self.active {
                    node.wake_at = node.wake_at.map(|at| at.min(now + POLL));
                }
                self.cannot_be_asked(now, index, &error);
            }
        }
    }

    fn longpoll_broke(&mut self, now: Duration, index: usize) {
        if self.nodes[index].waiting.longpoll_broke(now) {
            let words = format!(
                "long polling does not work at this node: asking it in intervals of {} s",
                POLL.as_secs()
            );
            self.events.push(index, NodeNews::Warning(words));
        }
    }

    /// Ends what waits at the node: nobody listens to it any more.
    pub(super) fn stop_waiting(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let mut ended = Vec::new();
        if let Some(poll) = node.waiting.longpoll.take() {
            ended.push(poll.id);
        }
        if let Room::Asked { calls, .. } = &mut node.waiting.room {
            ended.append(calls);
            node.waiting.room = Room::Unknown;
        }
        for id in ended {
            self.withdraw(id);
        }
    }

    /// A block is about to be sent: it must not stand behind a wait of ours.
    pub(super) fn make_way(&mut self, now: Duration, index: usize) {
        let waiting = &mut self.nodes[index].waiting;
        if !matches!(waiting.room, Room::Proven { .. }) {
            waiting.made_way = waiting.longpoll.as_ref().map(|_| now).or(waiting.made_way);
            self.stop_waiting(index);
        }
    }

    /// A block that was sent at that time has its answer: if it stood behind our own wait, nothing
    /// waits there for a while.
    pub(super) fn look_back_at_way(&mut self, now: Duration, index: usize, sent_at: Duration) {
        let waiting = &mut self.nodes[index].waiting;
        let took = now.saturating_sub(sent_at);
        if waiting.made_way.take() == Some(sent_at) && took >= HELD_UP {
            waiting.rest_longpoll(now);
            let words = format!(
                "the node answered to a block of ours after {:.1} s, behind a call of ours that \
                 waited there for the next tip: it is short of RPC threads (-rpcthreads=16 gives \
                 it more), or slow; asking it for templates in intervals of {} s instead of \
                 waiting there",
                took.as_secs_f64(),
                POLL.as_secs()
            );
            self.tell_shortage(index, words);
        }
    }

    /// When a call counts as hanging, if there is a wait that may be the reason.
    pub(super) fn waiting_ends(&self) -> Option<Duration> {
        self.hangs().map(|(_, at)| at).min()
    }

    /// For each node where something of ours waits: since when its oldest ordinary call does.
    fn hangs(&self) -> impl Iterator<Item = (usize, Duration)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter(|(_, node)| node.waiting.longpoll.is_some()).filter_map(|(index, _)| {
            let ordinary = self.pending.values().filter(|call| {
                call.node == index && !matches!(call.purpose, Purpose::LongPoll | Purpose::Probe)
            });
            Some((index, ordinary.map(|call| call.sent_at).min()? + HANG))
        })
    }

    /// Ends a wait behind which an ordinary call hangs.
    pub(super) fn give_up_waiting(&mut self, now: Duration) {
        let hanging: Vec<_> = self.hangs().filter(|&(_, at)| at <= now).collect();
        for (index, _) in hanging {
            self.stop_waiting(index);
            let node = &mut self.nodes[index];
            node.waiting.rest_longpoll(now);
            if index == self.active && node.wake_at.is_some() {
                node.wake_at = node.wake_at.map(|at| at.min(now + POLL));
            }
            let words = format!(
                "the node does not answer within {} s while a call of ours waits there for the \
                 next tip: it is short of RPC threads (-rpcthreads=16 gives it more), or slow; \
                 asking it for templates in intervals of {} s instead of waiting there",
                HANG.as_secs(),
                POLL.as_secs()
            );
            self.tell_shortage(index, words);
        }
    }
}
