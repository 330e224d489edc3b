//! The answers that wait to be written to a miner, in the order of the requests.

use std::collections::VecDeque;

use crate::request::{self, ShareTicket};
use crate::secure::Frame;

/// The next thing to write.
pub(super) enum Answer {
    /// Not to be encrypted.
    Clear(Vec<u8>),
    Frame(Frame),
}

#[derive(Debug, Default)]
pub(super) struct Answers(VecDeque<Waiting>);

#[derive(Debug)]
enum Waiting {
    Clear(Vec<u8>),
    Frame(Frame),
    /// Accepted shares of one channel.
    Accepted {
        channel: u32,
        last: u32,
        count: u32,
        difficulty: f64,
    },
}

impl Answers {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, frame: Frame) {
        self.0.push_back(Waiting::Frame(frame));
    }

    pub(super) fn push_clear(&mut self, bytes: Vec<u8>) {
        self.0.push_back(Waiting::Clear(bytes));
    }

    /// A share was accepted. If the last answer says so of one of the same channel, it says it of
    /// both.
    pub(super) fn accept(&mut self, ticket: ShareTicket, share: f64) {
        if let Some(Waiting::Accepted { channel, last, count, difficulty }) = self.0.back_mut()
            && *channel == ticket.channel
            && ticket.sequence > *last
        {
            (*last, *count, *difficulty) = (ticket.sequence, *count + 1, *difficulty + share);
            return;
        }
        let ShareTicket { channel, sequence } = ticket;
        self.0.push_back(Waiting::Accepted {
            channel,
            last: sequence,
            count: 1,
            difficulty: share,
        });
    }

    pub(super) fn pop(&mut self) -> Option<Answer> {
        Some(match self.0.pop_front()? {
            Waiting::Clear(bytes) => Answer::Clear(bytes),
            Waiting::Frame(frame) => Answer::Frame(frame),
            Waiting::Accepted { channel, last, count, difficulty } => {
                Answer::Frame(request::accepted(channel, last, count, difficulty))
            }
        })
    }
}
