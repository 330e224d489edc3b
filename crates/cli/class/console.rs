//! The teacher's console: lines that are typed in the terminal of `midstate class` while it runs.
//! Names can be replaced here and nowhere else, so that nobody renames another over the network.

use std::io::{self, IsTerminal, Read};

use midstate_classroom::{Class, Kind, Named, Renamed};
use midstate_pool::Pool;
use tokio::sync::mpsc;

use super::room::Desk;

/// Bytes of a line; a longer one is none.
const MOST: usize = 1024;
/// The lines that can be typed.
const HELP: &str = "type names, hide NAME, or rename NAME to NEW NAME, and Enter; a number that \
                    names shows, as #3, does instead of NAME; Ctrl-C ends the class";

/// A line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// The list of all names.
    Names,
    /// Another name for somebody: none, for one who is to be called guest.
    Hide(String),
    /// Two names with ` to ` between them, which may be a part of either.
    Rename(String),
    Help,
}

/// Something to tell the teacher.
#[derive(Debug)]
pub(crate) enum Said {
    Line(String),
    Renamed(Renamed),
}

/// The answer: lines, and the new name if somebody got one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    lines: Vec<String>,
    renamed: Option<Renamed>,
}

impl Order {
    /// `None` for an empty line.
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        Some(match (verb.to_lowercase().as_str(), rest.is_empty()) {
            ("", _) => return None,
            ("names", true) => Self::Names,
            ("hide", false) => Self::Hide(rest.to_owned()),
            ("rename", false) => Self::Rename(rest.to_owned()),
            _ => Self::Help,
        })
    }

    /// Does what is asked for.
    pub(super) fn follow(&self, class: &mut Class, pool: &Pool) -> Reply {
        let renamed = match self {
            Self::Names => return Reply::lines(class.named(pool).iter().map(line).collect()),
            Self::Help => return Reply::lines(vec![HELP.to_owned()]),
            Self::Hide(who) => class.rename(pool, who, None),
            Self::Rename(names) => {
                let splits = names.match_indices(" to ").map(|(at, to)| {
                    let (who, name) = (&names[..at], &names[at + to.len()..]);
                    (who, name.trim())
                });
                let mut splits = splits.filter(|(_, name)| !name.is_empty());
                let Some(first) = splits.next() else {
                    return Reply::lines(vec![HELP.to_owned()]);
                };
                let meant = std::iter::once(first).chain(splits);
                let meant = meant.clone().find(|(who, _)| class.find(pool, who).is_ok());
                let (who, name) = meant.unwrap_or(first);
                class.rename(pool, who, Some(name))
            }
        };
        match renamed {
            Ok(renamed) => Reply { lines: Vec::new(), renamed: Some(renamed) },
            Err(error) => Reply::lines(vec![error.to_string()]),
        }
    }
}

impl Reply {
    fn lines(lines: Vec<String>) -> Self {
        Self { lines, renamed: None }
    }
}

fn line(Named { number, name, kind, here, .. }: &Named) -> String {
    let number = format!("#{number}");
    let kind = match kind {
        Kind::Miner => ", by Stratum",
        Kind::Device | Kind::Teacher => "",
    };
    let here = if *here { "" } else { ", away" };
    format!("{number:>5}  {name}{kind}{here}")
}

/// Reads lines as long as there is a terminal, has them followed, and says what came of it. Without
/// a terminal there is nobody to type.
pub(crate) fn listen_to_teacher(desk: Desk, say: impl Fn(Said) + Send + 'static) {
    if !io::stdin().is_terminal() {
        return;
    }
    let (typed, mut lines) = mpsc::unbounded_channel();
    // The thread may wait for a line for ever, and ends with the program.
    let reader = std::thread::Builder::new().name("console".into()).spawn(move || read(&typed));
    if reader.is_err() {
        return;
    }
    tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            let Some(order) = Order::parse(&line) else { continue };
            let Some(Reply { lines, renamed }) = desk.order(order).await else { return };
            lines.into_iter().map(Said::Line).for_each(&say);
            renamed.into_iter().map(Said::Renamed).for_each(&say);
        }
    });
}

/// Until the terminal has gone.
fn read(typed: &mpsc::UnboundedSender<String>) {
    let (mut stdin, mut line, mut bytes) = (io::stdin().lock(), Vec::new(), [0; 256]);
    loop {
        wait_for_keys();
        let Ok(count @ 1..) = stdin.read(&mut bytes) else { return };
        for &byte in &bytes[..count] {
            if byte != b'\n' {
                line.push(byte);
                line.truncate(MOST + 1);
                continue;
            }
            let text = String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned();
            if text.len() <= MOST && typed.send(text).is_err() {
                return;
            }
        }
    }
}

/// A shell stops a program in the background that reads from the terminal: that would stop the
/// class. Waits until there is something to read, and the terminal is ours.
#[cfg(unix)]
fn wait_for_keys() {
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::process::getpgrp;
    use rustix::termios::tcgetpgrp;

    let stdin = io::stdin();
    loop {
        let mut descriptors = [PollFd::new(&stdin, PollFlags::IN)];
        // A failure here comes again with the read.
        let _ = poll(&mut descriptors, None);
        // A terminal that is not the one of our shell stops nobody.
        if tcgetpgrp(&stdin).map_or(true, |foreground| foreground == getpgrp()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[cfg(not(unix))]
fn wait_for_keys() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_order_or_gets_help() {
        let parse = |line: &str| Order::parse(line);
        assert_eq!(parse("  \n"), None);
        assert_eq!(parse("names"), Some(Order::Names));
        assert_eq!(parse("Hide  Ada Lovelace "), Some(Order::Hide("Ada Lovelace".into())));
        assert_eq!(parse("rename #3 to Bo"), Some(Order::Rename("#3 to Bo".into())));
        for other in ["hide", "names of all", "q", "?", "stop"] {
            assert_eq!(parse(other), Some(Order::Help), "{other}");
        }
    }
}
