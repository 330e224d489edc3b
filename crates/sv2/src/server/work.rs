//! The jobs and targets that wait to be written to a miner: of each channel, and of the group of
//! all channels, only the newest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use midstate_chain::{Job, Target};

use super::{Channel, GROUP};
use crate::ChannelKind;
use crate::request;
use crate::secure::Frame;

#[derive(Debug, Default)]
pub(super) struct Work {
    /// The number of the newest job.
    last: u32,
    channels: BTreeMap<u32, State>,
    /// The channels that have something to be told.
    due: BTreeSet<u32>,
    /// A job for all channels. No channel has one of its own beside it.
    group: Option<Waiting>,
}

/// A channel's.
#[derive(Debug)]
struct State {
    target: Target,
    /// The target that the miner knows.
    told: Target,
    job: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    number: u32,
    /// The block to build on is another one, or was never told.
    is_clean: bool,
    job: Arc<Job>,
}

impl Work {
    pub(super) fn open(&mut self, channel: u32, target: Target) {
        self.channels.insert(channel, State { target, told: target, job: None });
    }

    pub(super) fn close(&mut self, channel: u32) {
        self.channels.remove(&channel);
        self.due.remove(&channel);
    }

    pub(super) fn is_group_waiting(&self) -> bool {
        self.group.is_some()
    }

    pub(super) fn has_issued(&self, job: u32) -> bool {
        (1..=self.last).contains(&job)
    }

    pub(super) fn issue(&mut self, channel: u32, job: &Job, target: Target) -> u32 {
        self.last += 1;
        let number = self.last;
        if let Some(state) = self.channels.get_mut(&channel) {
            state.target = target;
            let is_clean = job.clean || state.job.as_ref().is_some_and(|older| older.is_clean);
            state.job = Some(Waiting { number, is_clean, job: Arc::new(job.clone()) });
            self.due.insert(channel);
        }
        number
    }

    pub(super) fn issue_to_group(
        &mut self,
        job: &Job,
        targets: impl IntoIterator<Item = (u32, Target)>,
    ) -> u32 {
        self.last += 1;
        let mut is_clean = job.clean || self.group.as_ref().is_some_and(|older| older.is_clean);
        for (channel, target) in targets {
            let Some(state) = self.channels.get_mut(&channel) else { continue };
            state.target = target;
            if state.target != state.told {
                self.due.insert(channel);
            }
            // The newer job is for this channel, too.
            is_clean |= state.job.take().is_some_and(|older| older.is_clean);
        }
        let job = Arc::new(job.clone());
        self.group = Some(Waiting { number: self.last, is_clean, job });
        self.last
    }

    /// The next messages to write, which belong together.
    pub(super) fn pop(&mut self, channels: &BTreeMap<u32, Channel>) -> Option<Vec<Frame>> {
        while let Some(number) = self.due.pop_first() {
            let (Some(state), Some(channel)) =
                (self.channels.get_mut(&number), channels.get(&number))
            else {
                continue;
            };
            let mut frames = Vec::new();
            if state.target != state.told {
                state.told = state.target;
                frames.push(request::set_target(number, state.target));
            }
            if let Some(waiting) = state.job.take() {
                frames.append(&mut waiting.messages(number, Some(channel)));
            }
            if !frames.is_empty() {
                return Some(frames);
            }
        }
        self.group.take().map(|waiting| waiting.messages(GROUP, None))
    }
}

impl Waiting {
    /// For a channel, or for the group.
    fn messages(&self, address: u32, channel: Option<&Channel>) -> Vec<Frame> {
        let Self { number, is_clean, job } = self;
        let min_time = (!is_clean).then_some(job.time);
        let announced = match channel {
            Some(Channel { kind: ChannelKind::Standard, prefix }) => {
                let whole = Job { extranonce1: prefix.clone(), ..Job::clone(job) };
                let root = whole.merkle_root(&[]);
                request::standard_job(address, *number, min_time, job.version, &root)
            }
            _ => request::extended_job(address, *number, min_time, job),
        };
        let block = is_clean.then(|| request::new_prev_hash(address, *number, job));
        std::iter::once(announced).chain(block).collect()
    }
}
