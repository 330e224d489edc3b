//! Writes to stdout and stderr on a thread of its own, so that mining never waits for whoever
//! reads: a pager at its first page, a terminal stopped with Ctrl-S, a connection that hangs. One
//! thread for both streams: what is told keeps its order.
//!
//! Everything on stdout goes through here, so that one place decides what a failure to write there
//! means ([`Printer::finish`]).

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, IsTerminal, Result, Write, stderr, stdout};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use midstate_limits::{LimitRow, row};

use crate::shell::exit::Failure;
use crate::shell::units;

/// Pieces of text that may wait for a reader.
const MOST_WAITING: usize = 10_000;

/// Each limit as a row.
pub(crate) fn limits() -> Vec<LimitRow> {
    vec![row("lines that wait to be read", MOST_WAITING, "left out while mining, and counted")]
}

/// Where a piece of text belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// A handle; all clones are one printer. Its thread ends with the program, so that what must not
/// be lost is [flushed](Self::flush) before.
#[derive(Clone)]
pub(crate) struct Printer(Arc<Desk>);

#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Stream, String)>,
    is_writing: bool,
    /// Why stdout took something no more, the first time.
    refused: Option<Refused>,
    /// The system started no thread: whoever has something to print writes it and waits.
    is_alone: bool,
    left_out: u64,
    /// Stdout is a terminal.
    on_terminal: bool,
}

/// Why stdout takes nothing any more.
enum Refused {
    /// The reader has gone: a pipe into `head`, a terminal that was closed.
    ReaderGone,
    /// Output is lost: a full disk.
    Failed(Error),
}

impl Refused {
    fn why(error: Error, on_terminal: bool) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::ReaderGone,
            _ if on_terminal => Self::ReaderGone,
            _ => Self::Failed(error),
        }
    }
}

impl Printer {
    /// Rule 22: where the system starts no thread, everything is still told.
    pub(crate) fn start() -> Self {
        Self::start_on(Builder::new())
    }

    fn start_on(thread: Builder) -> Self {
        let printer = Self(Arc::default());
        let at_work = printer.clone();
        let started = thread.name("printer".into()).spawn(move || at_work.work());
        let mut state = printer.lock();
        state.is_alone = started.is_err();
        state.on_terminal = stdout().is_terminal();
        drop(state);
        printer
    }

    /// Writes it some time soon. Waits while too much is waiting already.
    pub(crate) fn print(&self, stream: Stream, text: String) {
        let mut state = self.wait_while(|state| state.waiting.len() >= MOST_WAITING);
        if state.is_alone {
            state.note(write(stream, &text));
            return;
        }
        state.waiting.push_back((stream, text));
        self.0.changed.notify_all();
    }

    /// Writes it some time soon, or leaves it out where too much is waiting already; how much was
    /// left out is told when there is room again. Never waits.
    pub(crate) fn offer(&self, stream: Stream, text: String) {
        let mut state = self.lock();
        if state.is_alone {
            drop(state);
            return self.print(stream, text);
        }
        if state.waiting.len() >= MOST_WAITING {
            state.left_out += 1;
            return;
        }
        let left_out = std::mem::take(&mut state.left_out);
        if left_out > 0 {
            let lines = units::count(left_out, "line");
            let words = format!("warning: left out {lines}, because the reader was too slow\n");
            state.waiting.push_back((Stream::Stderr, words));
        }
        state.waiting.push_back((stream, text));
        self.0.changed.notify_all();
    }

    /// Waits until everything is written.
    pub(crate) fn flush(&self) {
        drop(self.wait_while(|state| state.is_writing || !state.waiting.is_empty()));
    }

    /// Whether stdout takes nothing any more, so that work for it is of no use.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().refused.is_some()
    }

    /// Books what became of something that others wrote to stdout, as clap its help.
    pub(crate) fn book(&self, written: Result<()>) {
        self.lock().note(written);
    }

    /// Waits until everything is written. A reader that has gone, as behind `| head`, has read
    /// what it wanted.
    ///
    /// # Errors
    /// Where something that was printed is lost, as on a full disk.
    pub(crate) fn finish(&self) -> std::result::Result<(), Failure> {
        self.flush();
        match &self.lock().refused {
            Some(Refused::Failed(error)) => {
                Err(Failure::from(anyhow::anyhow!("cannot write to stdout: {error}")))
            }
            Some(Refused::ReaderGone) | None => Ok(()),
        }
    }

    fn work(&self) -> ! {
        loop {
            let mut state = self.wait_while(|state| state.waiting.is_empty());
            let piece = state.waiting.pop_front();
            state.is_writing = true;
            drop(state);
            let written = piece.map_or(Ok(()), |(stream, text)| write(stream, &text));
            let mut state = self.lock();
            state.is_writing = false;
            state.note(written);
            drop(state);
            self.0.changed.notify_all();
        }
    }

    fn wait_while(&self, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.0.changed.wait_while(self.lock(), |state| condition(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic elsewhere cannot leave the queue half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, written: Result<()>) {
        if let Err(error) = written
            && self.refused.is_none()
        {
            self.refused = Some(Refused::why(error, self.on_terminal));
        }
    }
}

/// Fails where stdout takes it no more. On stderr nobody is left to be told, as when the
/// terminal was closed.
fn write(stream: Stream, text: &str) -> Result<()> {
    match stream {
        Stream::Stdout => {
            let mut stdout = stdout().lock();
            stdout.write_all(text.as_bytes())?;
            stdout.flush()
        }
        Stream::Stderr => {
            let _ = stderr().lock().write_all(text.as_bytes());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_22_without_a_thread_of_its_own_the_printer_writes_at_once() {
        let printer = Printer::start_on(Builder::new().stack_size(1 << 60));
        assert!(printer.lock().is_alone);
        for _ in 0..=MOST_WAITING {
            printer.offer(Stream::Stderr, String::new());
        }
        printer.print(Stream::Stderr, String::new());
        printer.flush();
        let state = printer.lock();
        assert_eq!((state.waiting.len(), state.left_out), (0, 0));
    }
}
