//! The seam between mining and whoever watches it: pipes, people at a terminal, a web page.

use super::event::{Event, RejectCount};
use super::notice::Notice;
use super::status::Status;
use super::words::{self, Sentence, Speech};
use crate::shell::output::Output;

/// A viewer of mining. Called on the mining loop between two events, so it must never wait.
pub(crate) trait View {
    /// Something happened, and this is how things stand since.
    fn event(&mut self, event: &Event, status: &Status);

    /// A quarter of a second has passed.
    fn tick(&mut self, _status: &Status) {}

    /// Something to tell people that is no event.
    fn notice(&mut self, _notice: &Notice, _status: &Status) {}

    /// The status was asked for. `rejects` are the reasons for refusals so far.
    fn report(&mut self, _status: &Status, _rejects: &[RejectCount]) {}

    /// A sentence of the program around mining.
    fn note(&mut self, _text: &str) {}

    /// Hashing has ended. What is left to come are verdicts, for seconds perhaps, and the summary.
    fn ending(&mut self) {}

    /// Whether those for whom all this is done have gone.
    fn is_gone(&self) -> bool {
        false
    }
}

/// All who watch; what one is told, all are told.
pub(crate) struct Views<'a>(Vec<Box<dyn View + 'a>>);

impl<'a> Views<'a> {
    pub(crate) fn new(first: impl View + 'a) -> Self {
        Self(vec![Box::new(first)])
    }

    /// One more.
    pub(crate) fn and(mut self, next: impl View + 'a) -> Self {
        self.0.push(Box::new(next));
        self
    }
}

impl View for Views<'_> {
    fn event(&mut self, event: &Event, status: &Status) {
        self.0.iter_mut().for_each(|view| view.event(event, status));
    }

    fn tick(&mut self, status: &Status) {
        self.0.iter_mut().for_each(|view| view.tick(status));
    }

    fn note(&mut self, text: &str) {
        self.0.iter_mut().for_each(|view| view.note(text));
    }

    fn notice(&mut self, notice: &Notice, status: &Status) {
        self.0.iter_mut().for_each(|view| view.notice(notice, status));
    }

    fn report(&mut self, status: &Status, rejects: &[RejectCount]) {
        self.0.iter_mut().for_each(|view| view.report(status, rejects));
    }

    fn ending(&mut self) {
        self.0.iter_mut().for_each(|view| view.ending());
    }

    fn is_gone(&self) -> bool {
        self.0.iter().any(|view| view.is_gone())
    }
}

/// Lines: JSON events on stdout for programs, or words on stdout and stderr for people. Which of
/// both, [`Output`] knows; it is hurried as long as this lives.
pub(crate) struct Lines<'a> {
    out: &'a mut Output,
    speech: Speech,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(out: &'a mut Output) -> Self {
        out.set_hurried(true);
        Self { out, speech: Speech::default() }
    }

    /// The words for events, for a view that shows them in another place.
    pub(crate) fn speech(&mut self) -> &mut Speech {
        &mut self.speech
    }

    /// Where the lines go.
    pub(crate) fn out(&self) -> &Output {
        self.out
    }

    /// Prints words where they belong.
    pub(crate) fn say(&mut self, said: Sentence) {
        match said {
            // A program that reads the output, or a reader of a log, gets them whole.
            Sentence::Result(line) if self.out.is_seen() => {
                self.out.message(2, words::shorten_hashes(&line))
            }
            Sentence::Result(line) => self.out.line(line),
            Sentence::Note(note) => self.out.note(note),
        }
    }

    /// Whether the status is refreshed in place; elsewhere it comes with the rates.
    fn refreshes(&self) -> bool {
        self.out.is_live() && !self.out.is_json()
    }
}

impl Drop for Lines<'_> {
    fn drop(&mut self) {
        self.out.set_hurried(false);
    }
}

impl View for Lines<'_> {
    fn event(&mut self, event: &Event, status: &Status) {
        if let Event::Summary(summary) = event {
            // There is nothing left to be late for.
            self.out.set_hurried(false);
            self.out.last_event(event);
            for line in words::summary(summary) {
                self.out.message(2, line);
            }
            return;
        }
        self.out.event(event);
        if let Some(said) = self.speech.of(event, status) {
            self.say(said);
        }
        if matches!(event, Event::Rate(_)) && !self.refreshes() {
            self.out.status(&words::status(status));
        }
    }

    fn tick(&mut self, status: &Status) {
        for said in self.speech.due(status) {
            self.say(said);
        }
        if self.refreshes() {
            self.out.status(&words::status(status));
        }
    }

    fn note(&mut self, text: &str) {
        self.out.note(text);
    }

    fn notice(&mut self, notice: &Notice, status: &Status) {
        if let Some(said) = self.speech.of_notice(notice, status) {
            self.say(said);
        }
    }

    fn report(&mut self, status: &Status, rejects: &[RejectCount]) {
        self.out.note(words::full_status(status, rejects));
    }

    fn is_gone(&self) -> bool {
        self.out.is_closed()
    }
}
