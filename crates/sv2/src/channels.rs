//! The channels of a connection: those that are open, those that the pool was asked for, and those
//! that are asked for later.
//!
//! Each open channel has its own jobs, target and book of shares. One that the pool closes or
//! refuses is asked for again after a pause, which doubles until the pool accepts a share of it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Limits;
use crate::channel::Channel;
use crate::shares::Shares;

/// An open channel.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) channel: Channel,
    pub(crate) shares: Shares,
    /// When its newest job came.
    pub(crate) newest_since: Duration,
    /// The last sequence number that was polled for writing.
    pub(crate) written: u32,
    pub(crate) past: Past,
}

/// The pauses of a channel so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Past {
    /// The last one, zero if there was none.
    pause: Duration,
    /// The pool accepted a share since.
    pub(crate) is_proven: bool,
}

/// See the [module](self) page.
#[derive(Debug)]
pub(crate) struct Channels {
    /// By the pool's number.
    open: BTreeMap<u32, Open>,
    /// By our number of the request, with its time.
    asked: BTreeMap<u32, (Duration, Past)>,
    /// Never asked for.
    unasked: usize,
    /// Not before.
    later: Vec<(Duration, Past)>,
    requests: u32,
}

impl Channels {
    pub(crate) fn new(wanted: usize) -> Self {
        let (open, asked) = Default::default();
        Self { open, asked, unasked: wanted, later: Vec::new(), requests: 0 }
    }

    /// The number of the next request, if one is to be made now.
    pub(crate) fn ask(&mut self, now: Duration, limits: &Limits) -> Option<u32> {
        if self.asked.len() >= limits.opening.max(1) {
            return None;
        }
        let due = self.later.iter().position(|&(due, _)| due <= now);
        let past = match due {
            Some(due) => self.later.swap_remove(due).1,
            None if self.unasked > 0 => {
                self.unasked -= 1;
                Past::default()
            }
            None => return None,
        };
        self.requests += 1;
        self.asked.insert(self.requests, (now, past));
        Some(self.requests)
    }

    /// A request is answered; `None` if it is not one of ours.
    pub(crate) fn answered(&mut self, request: u32) -> Option<Past> {
        self.asked.remove(&request).map(|(_, past)| past)
    }

    /// The oldest request that has no answer after so long.
    pub(crate) fn overdue(&self, now: Duration, limit: Duration) -> Option<u32> {
        let (&request, &(at, _)) = self.asked.first_key_value()?;
        (now >= at + limit).then_some(request)
    }

    /// A channel is to be asked for again; how long from now.
    pub(crate) fn put_off(&mut self, now: Duration, past: Past, limits: &Limits) -> Duration {
        let pause = match past {
            Past { is_proven: false, pause } if !pause.is_zero() => 2 * pause,
            _ => limits.reopen_first,
        };
        let pause = pause.min(limits.reopen_cap);
        self.later.push((now + pause, Past { pause, is_proven: false }));
        pause
    }

    /// When to [`ask`](Self::ask) again, or to look for an [`overdue`](Self::overdue) answer.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Duration> {
        let answer = self.asked.first_key_value().map(|(_, &(at, _))| at + limits.common.handshake);
        let later = self.later.iter().map(|&(due, _)| due).min();
        let later = later.filter(|_| self.asked.len() < limits.opening.max(1));
        answer.into_iter().chain(later).min()
    }

    /// No channel is open, and none will be soon.
    pub(crate) fn is_desolate(&self) -> bool {
        self.open.is_empty() && self.asked.is_empty()
    }

    pub(crate) fn any_is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether there is a channel of that number.
    pub(crate) fn has(&self, number: u32) -> bool {
        self.open.contains_key(&number)
    }

    pub(crate) fn insert(&mut self, open: Open) {
        self.open.insert(open.channel.id(), open);
    }

    pub(crate) fn get(&mut self, number: u32) -> Option<&mut Open> {
        self.open.get_mut(&number)
    }

    /// All numbers of channels that a message to `number` is for: that channel's, or those of a
    /// group.
    pub(crate) fn addressed(&self, number: u32) -> Vec<u32> {
        match self.open.contains_key(&number) {
            true => vec![number],
            false => {
                let in_group = self.open.values().filter(|open| open.channel.is_in_group(number));
                in_group.map(|open| open.channel.id()).collect()
            }
        }
    }

    pub(crate) fn remove(&mut self, number: u32) -> Option<Open> {
        self.open.remove(&number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Open> {
        self.open.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Open> {
        self.open.values_mut()
    }
}
