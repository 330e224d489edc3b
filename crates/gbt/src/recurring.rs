//! Words of one cause that may come again and again, as of a disk that is full: told at once, then
//! once a minute with a count of those in between.

use std::time::Duration;

use crate::limits::TELL_AGAIN;

/// Something that may happen again and again, and what is told of it.
#[derive(Debug, Default)]
pub struct Recurring(Option<Told>);

#[derive(Debug)]
struct Told {
    cause: String,
    at: Duration,
    /// Not told yet.
    more: u64,
}

impl Recurring {
    /// It has happened for this cause: what to tell, the words of the first one or those of a
    /// count.
    pub fn happened(
        &mut self,
        now: Duration,
        cause: &str,
        first: impl FnOnce() -> String,
        further: impl FnOnce(u64) -> String,
    ) -> Option<String> {
        match self.0.as_mut().filter(|told| told.cause == cause) {
            None => {
                self.0 = Some(Told { cause: cause.to_owned(), at: now, more: 0 });
                Some(first())
            }
            Some(told) => {
                told.more += 1;
                if now < told.at + TELL_AGAIN {
                    return None;
                }
                told.at = now;
                Some(further(std::mem::take(&mut told.more)))
            }
        }
    }

    /// It went well: the next trouble is a new one.
    pub fn is_over(&mut self) {
        self.0 = None;
    }

    /// Nothing more will happen: those that are not told yet.
    pub fn rest(&mut self, further: impl FnOnce(u64) -> String) -> Option<String> {
        let more = self.0.take()?.more;
        (more > 0).then(|| further(more))
    }
}
