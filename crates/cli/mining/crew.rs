//! The hashing threads that are asked for, and why they rest. A pause by a viewer and a rest for a
//! sensor are independent: lifting one leaves the other in force. No threads here: what they do is
//! told, and how many are wanted is the answer.

use midstate_engine::WorkerCount;

use super::Command;
use super::notice::Notice;
use super::stalls::Stalls;

/// A report of a sensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SensorNews {
    /// Rest, because the machine is like this: told again when the reason is another one.
    Hold(String),
    /// Go on, now that it is like this.
    Release(String),
    /// Something cannot be watched any more.
    Lost(&'static str),
}

/// See the [module](self) page.
#[derive(Debug)]
pub(super) struct Crew {
    present: Ask,
    /// The newest request, until it is known to be granted.
    asked: Option<Asked>,
    /// Why the threads rest because a sensor asks for it.
    held: Option<String>,
    most: usize,
    /// Unless the system refused to start one anew.
    has_all: bool,
    stalls: Stalls,
}

#[derive(Debug, Clone, Copy)]
struct Ask {
    /// Threads that hash, unless they rest.
    threads: usize,
    /// Whether they rest because a viewer asked for it.
    paused: bool,
}

/// A request, and the notice to give when it is granted.
#[derive(Debug)]
struct Asked {
    ask: Ask,
    notice: Option<Notice>,
    /// Fewer threads will do: a viewer may have asked for more of them during a rest.
    fewer_will_do: bool,
}

impl Crew {
    pub(super) fn new(threads: usize, most: usize) -> Self {
        Self {
            present: Ask { threads, paused: false },
            asked: None,
            held: None,
            most,
            has_all: true,
            stalls: Stalls::default(),
        }
    }

    /// Threads that hash, unless they rest.
    pub(super) fn threads(&self) -> usize {
        self.present.threads
    }

    pub(super) fn rests(&self) -> bool {
        self.present.paused || self.held.is_some()
    }

    /// A viewer asks for something: how many threads are to hash.
    pub(super) fn command(&mut self, command: Command) -> usize {
        let Ask { threads, paused } = self.present;
        let ask = match command {
            Command::TogglePause => Ask { threads, paused: !paused },
            Command::AddThread => Ask { threads: (threads + 1).min(self.most), paused },
            Command::RemoveThread => Ask { threads: (threads - 1).max(1), paused },
            Command::Quit => self.present,
        };
        // Nothing else would show that the key was heard.
        let notice = match (command, self.held.clone()) {
            (Command::TogglePause, Some(why)) => {
                Some(Notice::PausedToo { paused: ask.paused, why })
            }
            (Command::AddThread | Command::RemoveThread, _) if ask.threads == threads => {
                Some(Notice::NoOtherCount { threads })
            }
            _ => None,
        };
        self.asked = Some(Asked { ask, notice, fewer_will_do: false });
        self.wanted(ask)
    }

    /// A sensor has news: how many threads are to hash, if that changes, and what to tell.
    pub(super) fn sensor(&mut self, news: SensorNews) -> (Option<usize>, Notice) {
        let notice = match news {
            SensorNews::Hold(why) => {
                self.held = Some(why.clone());
                Notice::Held { why }
            }
            SensorNews::Release(now) => {
                self.held = None;
                Notice::Released { now, paused: self.present.paused }
            }
            SensorNews::Lost(what) => return (None, Notice::SensorLost(what)),
        };
        self.asked = Some(Asked { ask: self.present, notice: None, fewer_will_do: true });
        (Some(self.wanted(self.present)), notice)
    }

    fn wanted(&self, ask: Ask) -> usize {
        if ask.paused || self.held.is_some() { 0 } else { ask.threads }
    }

    /// The threads that were asked for were started, or not: the notice, and how many to ask for
    /// instead. Where one is refused, those that are there go on as before.
    pub(super) fn granted(
        &mut self,
        outcome: Result<(), String>,
    ) -> (Option<Notice>, Option<usize>) {
        match (outcome, self.asked.take()) {
            (Ok(()), Some(Asked { ask, notice, .. })) => {
                self.present = ask;
                (notice, None)
            }
            (Ok(()), None) => (None, None),
            (Err(error), Some(Asked { fewer_will_do: true, .. })) if self.present.threads > 1 => {
                self.present.threads -= 1;
                let (ask, notice) = (self.present, Some(Notice::NoThread { error }));
                self.asked = Some(Asked { ask, notice, fewer_will_do: true });
                (None, Some(self.wanted(ask)))
            }
            (Err(error), _) => (Some(Notice::NoThread { error }), None),
        }
    }

    /// Threads that fell and were replaced, each with the hashes that are lost, and the error of
    /// one that could not be.
    pub(super) fn fallen(
        &mut self,
        replaced: Vec<(usize, u64)>,
        missing: Option<String>,
    ) -> Vec<Notice> {
        let replaced = replaced.into_iter();
        let mut notices: Vec<_> =
            replaced.map(|(index, lost)| Notice::ThreadReplaced { index, lost }).collect();
        let had_all = std::mem::replace(&mut self.has_all, missing.is_none());
        if let (true, Some(error)) = (had_all, missing) {
            notices.push(Notice::ThreadMissing { error });
        }
        notices
    }

    /// A look at what the threads have done: of those that stand still.
    pub(super) fn look(&mut self, counts: &[WorkerCount]) -> Vec<Notice> {
        self.stalls.look(counts.iter().copied())
    }
}
