//! The program's output: data on stdout, everything else on stderr. With `--json` stdout is one
//! JSON object a line and nothing but that.

use std::io::{IsTerminal, stderr, stdout};
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::exit::Failure;
use super::flags::OutputArgs;
use super::logs::Logs;
use super::printer::{Printer, Stream};
use super::prose::{fold, fold_hanging, wrap};
use super::style::Style;

/// Version of the JSON events' shape.
const SCHEMA: u32 = 1;

/// The program's voice.
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    terminal: bool,
    /// A status line stands on the terminal, without a line end.
    status_shown: bool,
    /// Nothing waits for a reader: what does not fit is left out.
    hurried: bool,
    /// The event that comes after all others.
    last: Option<String>,
    stderr_colour: bool,
    stdout_colour: bool,
    /// Columns of a text on stdout.
    width: usize,
    printer: Printer,
    logs: Logs,
}

#[derive(Serialize)]
struct Envelope<'a, E: Serialize> {
    schema: u32,
    #[serde(flatten)]
    event: &'a E,
}

impl Output {
    pub(crate) fn new(args: &OutputArgs, printer: Printer, logs: Logs) -> Self {
        Self {
            json: args.json,
            quiet: args.quiet,
            terminal: stderr().is_terminal(),
            status_shown: false,
            hurried: false,
            last: None,
            stderr_colour: args.stderr_colour(),
            stdout_colour: args.stdout_colour(),
            width: width_of_stdout(),
            printer,
            logs,
        }
    }

    /// Whether what is written to stderr may be coloured.
    pub(crate) fn is_coloured(&self) -> bool {
        self.stderr_colour
    }

    /// Whether what is written to stdout may be coloured.
    pub(crate) fn has_coloured_data(&self) -> bool {
        self.stdout_colour
    }

    /// Where the log goes.
    pub(crate) fn logs(&self) -> &Logs {
        &self.logs
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a status line can be refreshed in place.
    pub(crate) fn is_live(&self) -> bool {
        self.terminal && !self.quiet
    }

    /// Whether stdout is a terminal.
    pub(crate) fn is_seen(&self) -> bool {
        stdout().is_terminal()
    }

    /// Columns that a text on stdout may take.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Whether stdout takes nothing any more, so that there is nobody left to work for.
    pub(crate) fn is_closed(&self) -> bool {
        self.printer.is_closed()
    }

    /// From now on nothing here waits for whoever reads, or all of it does again.
    pub(crate) fn set_hurried(&mut self, hurried: bool) {
        self.hurried = hurried;
    }

    /// Waits until everything is written.
    pub(crate) fn flush(&self) {
        self.printer.flush();
    }

    /// An event for programs; people do not see it.
    pub(crate) fn event(&mut self, event: &impl Serialize) {
        if self.json {
            self.print(&to_json(event));
        }
    }

    /// Tells events of other threads, and never waits.
    pub(crate) fn teller(&self) -> Teller {
        Teller(self.json.then(|| self.printer.clone()))
    }

    /// The event that comes last: it is printed by [`finish`](Self::finish), after whatever else
    /// there is to tell.
    pub(crate) fn last_event(&mut self, event: &impl Serialize) {
        if self.json {
            self.last = Some(to_json(event));
        }
    }

    /// Whether the event that comes last is known already.
    pub(crate) fn has_last_event(&self) -> bool {
        self.last.is_some()
    }

    /// The program has nothing more to tell.
    pub(crate) fn finish(&mut self) {
        self.end_status();
        if let Some(line) = self.last.take() {
            self.print(&line);
        }
        self.flush();
    }

    /// A line of data for people; programs do not see it.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        if !self.json {
            self.print(text.as_ref());
        }
    }

    /// A message for people, however long it is: on a terminal it is broken between words, and goes
    /// on `hang` columns further to the right; elsewhere it is one line. Programs do not see it.
    pub(crate) fn message(&mut self, hang: usize, text: impl AsRef<str>) {
        for line in broken(text.as_ref(), hang, &stdout()) {
            self.line(line);
        }
    }

    /// A text for other programs, such as a shell or `man`, whatever the flags say.
    pub(crate) fn document(&mut self, text: &[u8]) {
        self.end_status();
        self.write(Stream::Stdout, String::from_utf8_lossy(text).into_owned());
    }

    /// Text for people, folded to the terminal's width; programs do not see it.
    pub(crate) fn text(&mut self, text: impl AsRef<str>) {
        for line in fold(text.as_ref(), self.width) {
            self.line(line);
        }
    }

    /// A paragraph, `indent` columns from the left; programs do not see it.
    pub(crate) fn prose(&mut self, indent: usize, text: impl AsRef<str>) {
        for line in wrap(text.as_ref(), self.width - indent) {
            self.line(format!("{:indent$}{line}", ""));
        }
    }

    /// A paragraph whose first line begins at the left, and the others `hang` columns from it;
    /// programs do not see it.
    pub(crate) fn hanging(&mut self, hang: usize, text: impl AsRef<str>) {
        for line in fold_hanging(text.as_ref(), self.width, hang) {
            self.line(line);
        }
    }

    /// Text in a style.
    pub(crate) fn styled(&mut self, style: Style, text: impl AsRef<str>) {
        for line in fold(text.as_ref(), self.width) {
            let styled = if line.is_empty() { line } else { self.paint(style, &line) };
            self.line(styled);
        }
    }

    /// A part of a line in a style, where stdout has styles.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        if self.stdout_colour { style.paint(text) } else { text.to_owned() }
    }

    /// A line about what is going on, on stderr; on a terminal it is broken between words.
    pub(crate) fn note(&mut self, text: impl AsRef<str>) {
        if !self.quiet {
            self.end_status();
            let lines = broken(text.as_ref(), 2, &stderr());
            self.write(Stream::Stderr, format!("{}\n", lines.join("\n")));
        }
    }

    /// The status: refreshed in place on a terminal, a line of its own elsewhere.
    pub(crate) fn status(&mut self, text: &str) {
        if self.quiet {
            return;
        }
        if self.terminal {
            // A longer line would take several rows, of which the next status clears one.
            let columns = columns_of(&stderr()).unwrap_or(80);
            self.write(Stream::Stderr, format!("\r\x1b[K{}", cut(text, columns)));
            self.status_shown = true;
        } else {
            self.write(Stream::Stderr, format!("{text}\n"));
        }
    }

    /// Takes the status line off the terminal.
    pub(crate) fn end_status(&mut self) {
        if std::mem::take(&mut self.status_shown) {
            self.write(Stream::Stderr, "\r\x1b[K".to_owned());
        }
    }

    /// Whether the file that was asked for can be written, before work is spent on its content.
    pub(crate) fn try_to_save(&self, path: &Path) -> Result<(), Failure> {
        let existed = path.exists();
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
        if !existed {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }

    /// Writes a file that was asked for, and says so.
    pub(crate) fn save(&mut self, path: &Path, text: &str) -> Result<(), Failure> {
        std::fs::write(path, text)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
        self.note(format!("wrote {}", path.display()));
        Ok(())
    }

    fn print(&mut self, line: &str) {
        self.end_status();
        self.write(Stream::Stdout, format!("{line}\n"));
    }

    fn write(&self, stream: Stream, text: String) {
        match self.hurried {
            true => self.printer.offer(stream, text),
            false => self.printer.print(stream, text),
        }
    }
}

/// Tells events of other threads; what does not fit is left out.
#[derive(Clone)]
pub(crate) struct Teller(Option<Printer>);

impl Teller {
    /// An event for programs; people do not see it.
    pub(crate) fn event(&self, event: &impl Serialize) {
        if let Some(printer) = &self.0 {
            printer.offer(Stream::Stdout, format!("{}\n", to_json(event)));
        }
    }
}

/// Columns of a text: those of the terminal, within what can still be read; in a pipe always the
/// same.
fn width_of_stdout() -> usize {
    const NARROWEST: usize = 60;
    const WIDEST: usize = 120;
    const PIPE: usize = 96;
    columns_of(&stdout()).map_or(PIPE, |columns| columns.clamp(NARROWEST, WIDEST))
}

/// The columns of a stream that is a terminal.
fn columns_of(stream: &impl IsTerminal) -> Option<usize> {
    let size = stream.is_terminal().then(|| ratatui::crossterm::terminal::size().ok());
    // A terminal that does not know its size says 0.
    size.flatten().map(|(columns, _)| columns.into()).filter(|&columns| columns > 0)
}

/// The lines of a message on a stream: on a terminal none is wider than that unless one word is.
pub(super) fn broken(text: &str, hang: usize, stream: &impl IsTerminal) -> Vec<String> {
    match columns_of(stream) {
        Some(columns) => fold_hanging(text, columns, hang),
        None => vec![text.to_owned()],
    }
}

/// As much of a status as one row of so many columns holds: the cursor stays in it. A status has no
/// wide letters.
fn cut(text: &str, columns: usize) -> String {
    let most = columns.saturating_sub(1);
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// An event as programs get it, here and elsewhere: one line, with the version of its shape.
pub(crate) fn to_json(event: &impl Serialize) -> String {
    serde_json::to_string(&Envelope { schema: SCHEMA, event })
        .expect("events are structs with string keys and finite numbers or null")
}
