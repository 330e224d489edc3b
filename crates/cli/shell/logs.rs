//! The log: what tracing has to tell, on stderr, or wherever a live view shows it while it has the
//! terminal.

use std::io::{Write, stderr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::flags::OutputArgs;
use super::output::broken;
use super::printer::{Printer, Stream};

/// The log filter, in tracing's syntax.
const VARIABLE: &str = "MIDSTATE_LOG";

type Listener = Box<dyn Fn(String) + Send>;

/// Where the log goes; all clones are one.
#[derive(Clone)]
pub(crate) struct Logs {
    listener: Arc<Mutex<Option<Listener>>>,
    printer: Printer,
}

impl Logs {
    /// Starts logging. `MIDSTATE_LOG` takes tracing's filter syntax and wins over `-v` and `-q`. A
    /// text that is no filter is told of.
    pub(crate) fn init(args: &OutputArgs, printer: Printer) -> Self {
        let logs = Self { listener: Arc::default(), printer };
        let usual = || EnvFilter::new(args.log_level());
        let filter = match std::env::var(VARIABLE) {
            Ok(text) => EnvFilter::try_new(&text).unwrap_or_else(|_| {
                logs.printer.print(Stream::Stderr, not_understood(&text));
                usual()
            }),
            Err(_) => usual(),
        };
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(logs.clone())
            .with_ansi(args.stderr_colour())
            .with_target(false)
            .without_time()
            .init();
        logs
    }

    /// From now on `listener` gets every line, without colour and line end.
    pub(crate) fn divert(&self, listener: impl Fn(String) + Send + 'static) {
        *self.listener() = Some(Box::new(listener));
    }

    /// From now on lines go to stderr again.
    pub(crate) fn restore(&self) {
        *self.listener() = None;
    }

    fn listener(&self) -> MutexGuard<'_, Option<Listener>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MakeWriter<'_> for Logs {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// tracing writes each event at once, with its line end.
impl Write for Logs {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        match &*self.listener() {
            Some(listener) => listener(without_colour(&text)),
            None => {
                let lines = broken(text.trim_end(), 2, &stderr()).join("\n");
                self.printer.offer(Stream::Stderr, format!("{lines}\n"));
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn not_understood(text: &str) -> String {
    format!(
        "warning: {VARIABLE} is {text:?}, and is left out: expected a level for all or for parts \
         of the program, as debug, or warn,midstate_net=trace\n"
    )
}

/// The text without `ESC [ .. m` and its like, and without the line end.
fn without_colour(line: &str) -> String {
    let mut pieces = line.trim_end().split("\x1b[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        let ends = piece.find(|letter: char| letter.is_ascii_alphabetic());
        text + ends.map_or("", |end| &piece[end + 1..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_taken_off() {
        assert_eq!(
            without_colour("\x1b[33m WARN\x1b[0m \x1b[2mlow\x1b[0m disk\n"),
            " WARN low disk"
        );
        assert_eq!(without_colour("plain [1] text"), "plain [1] text");
        assert_eq!(without_colour(""), "");
    }
}
