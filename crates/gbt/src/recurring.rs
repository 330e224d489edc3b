//! Words of one cause that may come again and again, as of a disk that is full: told at once, then
//! once a minute with a count of those in between.

use std::time::Duration;

use crate::limits::TELL_AGAIN;

/// Words of one matter that a peer may change each time: the same ones are told once until all has
/// gone well, and no two within a minute.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changing(Option<Said>);

#[derive(Debug, Clone)]
struct Said {
    words: String,
    at: Duration,
    /// All has gone well since: the same words would be news.
    is_over: bool,
}

impl Changing {
    /// Whether these are to be told now, which then they are.
    pub(crate) fn is_news(&mut self, now: Duration, words: &str) -> bool {
        let is_news =
            |said: &Said| (said.is_over || said.words != words) && now >= said.at + TELL_AGAIN;
        let is_news = self.0.as_ref().is_none_or(is_news);
        if is_news {
            self.0 = Some(Said { words: words.to_owned(), at: now, is_over: false });
        }
        is_news
    }

    /// It went well.
    pub(crate) fn is_over(&mut self) {
        if let Some(said) = &mut self.0 {
            said.is_over = true;
        }
    }
}

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
