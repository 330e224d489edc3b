//! The live view on a pseudo-terminal: what is to be seen there, and that the terminal is as it was
//! afterwards, however the program ended.
#![cfg(unix)]

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::Pty;
use rustix::termios::{LocalModes, tcgetattr};
use tokio::signal::unix::{SignalKind, signal};
use vt100::{Parser, Screen};

use crate::port::Port;
use crate::program::{Directory, PATIENCE, midstate, run};

const TAKE_OVER: &[u8] = b"\x1b[?1049h";

/// A program on a terminal of its own; killed when dropped.
pub(crate) struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    display: Arc<Display>,
    reader: Option<JoinHandle<()>>,
}

/// The program's output on a terminal of so many columns, with its colours.
pub(crate) fn printed(columns: u16, arguments: &[&str]) -> String {
    let (pty, end) = pty_process::blocking::open().unwrap();
    pty.resize(Size::new(24, columns)).unwrap();
    let mut command = midstate(arguments);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
    let mut child = pty_process::blocking::Command::from(command).spawn(end).unwrap();
    let mut bytes = Vec::new();
    // On Linux the end of a terminal whose program has ended is an error.
    let _ = (&pty).read_to_end(&mut bytes);
    let status = child.wait().unwrap();
    let text = String::from_utf8(bytes).unwrap().replace('\r', "");
    assert!(status.success(), "{arguments:?}: {text}");
    text
}

/// The content of the terminal.
struct Display {
    seen: Mutex<Seen>,
    changed: Condvar,
}

struct Seen {
    parser: Parser,
    bytes: Vec<u8>,
    is_over: bool,
}

impl Terminal {
    /// A terminal of 100 by 30.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::of_size((30, 100), arguments, environment)
    }

    fn of_size(
        (rows, columns): (u16, u16),
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let (pty, end) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(rows, columns)).unwrap();
        heed_interrupts();
        let mut command = midstate(arguments);
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.envs(environment.iter().copied());
        let child = pty_process::blocking::Command::from(command).spawn(end).unwrap();
        let pty = Arc::new(pty);
        let seen = Seen {
            parser: Parser::new(nonzero(rows), nonzero(columns), 1000),
            bytes: Vec::new(),
            is_over: false,
        };
        let display = Arc::new(Display { seen: Mutex::new(seen), changed: Condvar::new() });
        let (source, shown) = (Arc::clone(&pty), Arc::clone(&display));
        let reader = std::thread::spawn(move || shown.follow(&source));
        Self { pty, child, display, reader: Some(reader) }
    }

    /// A demo with one thread and no end, on screen.
    pub(crate) fn demo(more: &[&str], environment: &[(&str, &str)]) -> Self {
        let arguments = ["demo", "--blocks", "1000000", "--difficulty", "0.001", "--threads", "1"];
        let terminal = Self::start(&[&arguments, more].concat(), environment);
        terminal.wait_for("the view", |screen| shows(screen, "mining  "));
        terminal
    }

    pub(crate) fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    fn resize(&self, rows: u16, columns: u16) {
        self.display
            .seen
            .lock()
            .unwrap()
            .parser
            .screen_mut()
            .set_size(nonzero(rows), nonzero(columns));
        self.pty.resize(Size::new(rows, columns)).unwrap();
    }

    pub(crate) fn wait_for(&self, what: &str, mut wanted: impl FnMut(&Screen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.display.seen.lock().unwrap();
        while !wanted(seen.parser.screen()) {
            let contents = seen.parser.screen().contents();
            assert!(!seen.is_over, "the program ended before {what}:\n{contents}");
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "did not come: {what}\n{contents}");
            seen = self.display.changed.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Waits for the end: the exit code if it exited by itself, what stands on the terminal, and
    /// all that was written to it. Asserts that the terminal is as it was.
    pub(crate) fn end(mut self) -> (Option<i32>, String, Vec<u8>) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = self.display.seen.lock().unwrap();
        while !seen.is_over {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it goes on:\n{}", seen.parser.screen().contents());
            seen = self.display.changed.wait_timeout(seen, left).unwrap().0;
        }
        let code = self.child.wait().unwrap().code();
        let screen = seen.parser.screen();
        let contents = screen.contents();
        assert!(!screen.alternate_screen(), "on the alternate screen:\n{contents}");
        assert!(!screen.hide_cursor(), "the cursor is hidden:\n{contents}");
        let modes = tcgetattr(&*self.pty).unwrap().local_modes;
        let cooked = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        assert!(modes.contains(cooked), "in raw mode:\n{contents}");
        (code, contents, seen.bytes.clone())
    }
}

/// A shell that runs these tests in the background may have told us to ignore Ctrl-C. The program
/// would inherit that, and keep to it until it listens itself; a signal that is handled is not
/// inherited.
fn heed_interrupts() {
    let ignored = std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        mask.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).unwrap() & 1 << (2 - 1) != 0)
    });
    if ignored {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // The handler stays when the runtime has gone.
        drop(runtime.block_on(async { signal(SignalKind::interrupt()) }).unwrap());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

impl Display {
    /// Until the program has ended: reading fails then.
    fn follow(&self, mut pty: &Pty) {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = pty.read(&mut bytes) {
            let mut seen = self.seen.lock().unwrap();
            seen.parser.process(&bytes[..count]);
            seen.bytes.extend_from_slice(&bytes[..count]);
            self.changed.notify_all();
        }
        self.seen.lock().unwrap().is_over = true;
        self.changed.notify_all();
    }
}

/// A size that is one.
fn nonzero(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

fn shows(screen: &Screen, words: &str) -> bool {
    screen.contents().contains(words)
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn u5_the_live_view_takes_keys_survives_resizing_and_leaves_the_summary() {
    let terminal = Terminal::demo(&[], &[]);
    terminal.wait_for("a cursor out of the way", Screen::hide_cursor);
    for words in ["kernel   ", "pool     stratum+tcp://127.0.0.1:", "share every", "1 thread,"] {
        terminal.wait_for(words, |screen| shows(screen, words));
    }
    terminal.wait_for("a block among the words", |screen| {
        screen.contents().lines().any(|line| line.starts_with("block ") && line.contains("after"))
    });

    for (rows, columns) in [(20, 60), (8, 30), (2, 10), (40, 120)] {
        terminal.resize(rows, columns);
        // Whole lines: nothing runs over an edge.
        terminal.wait_for("the view at its new size", |screen| {
            let contents = screen.contents();
            let starts = |label| contents.lines().filter(|line| line.starts_with(label)).count();
            starts("mining ") == 1 && starts("rate ") == 1
        });
    }

    terminal.press("p");
    terminal.wait_for("a pause", |screen| shows(screen, "paused  "));
    // A key with a name of its own, which has a P in it.
    terminal.press("\x1bOP");
    terminal.press("p");
    terminal.wait_for("the end of the pause", |screen| shows(screen, "mining  "));
    if std::thread::available_parallelism().unwrap().get() > 1 {
        terminal.press("+");
        terminal.wait_for("a second thread", |screen| shows(screen, ", 2 threads,"));
        terminal.press("-");
        terminal.wait_for("one thread", |screen| shows(screen, ", 1 thread,"));
    } else {
        println!("skipped the keys for threads: this machine has one");
    }
    terminal.press("q");
    let (code, contents, bytes) = terminal.end();
    assert_eq!(code, Some(0), "{contents}");
    assert!(has(&bytes, TAKE_OVER));
    for words in ["block ", "hashes in ", "shares ", "proved: "] {
        assert!(contents.contains(words), "{words:?} is not on the terminal:\n{contents}");
    }
}

#[test]
fn the_status_of_plain_lines_keeps_to_one_row_of_a_narrow_terminal() {
    let arguments = ["demo", "--plain", "--difficulty", "1e9", "--threads", "1"];
    for columns in [80, 40, 20] {
        let terminal = Terminal::of_size((24, columns), &arguments, &[]);
        let rows = |screen: &Screen| {
            let contents = screen.contents();
            contents
                .lines()
                .filter(|line| line.contains("hashes/s") || line.contains("H/s"))
                .count()
        };
        terminal.wait_for("a status", |screen| rows(screen) > 0);
        // Four more of them.
        std::thread::sleep(Duration::from_millis(1_200));
        terminal.wait_for("one row for them all", |screen| {
            assert_eq!(rows(screen), 1, "{columns} columns:\n{}", screen.contents());
            true
        });
        terminal.press("\x03");
        let (code, contents, _) = terminal.end();
        assert_eq!(code, Some(0), "{contents}");
    }
}

/// The terminal is closed while the program hashes: with its output in a file, and between two
/// blocks, nothing else would tell it so.
#[test]
fn a_terminal_that_is_closed_ends_mining_with_its_summary() {
    let directory = Directory::new("hangup");
    let nobody = Port::hold();
    let nobody = nobody.address().to_string();
    let demo = ["demo", "--plain", "--difficulty", "1e9", "--threads", "1", "--json"];
    let mine = ["mine", "-o", &nobody, "-u", "me", "--threads", "1", "--json"];
    for (arguments, sign) in [(&demo[..], "\"event\":\"job\""), (&mine, "\"event\":\"pool\"")] {
        let log = directory.0.join("log");
        let (pty, end) = pty_process::blocking::open().unwrap();
        let command = pty_process::blocking::Command::from(midstate(arguments));
        let mut child = command.stdout(std::fs::File::create(&log).unwrap()).spawn(end).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let logged = || std::fs::read_to_string(&log).unwrap();
        while !logged().contains(sign) {
            assert!(Instant::now() < deadline, "{}", logged());
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(pty);
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
                None => {
                    child.kill().unwrap();
                    panic!("it goes on without its terminal: {}", logged());
                }
            }
        };
        let log = logged();
        assert_eq!(status.code(), Some(0), "{log}");
        let last = log.lines().last().unwrap();
        assert!(last.contains("\"summary\"") && last.contains("\"interrupted\""), "{log}");
    }
}

#[test]
fn ctrl_c_at_any_moment_gives_the_terminal_back() {
    let arguments = ["demo", "--blocks", "1000000", "--difficulty", "0.001", "--threads", "1"];
    for milliseconds in [0, 5, 20, 50, 100, 150, 200, 250, 300, 400, 600] {
        let terminal = Terminal::start(&arguments, &[]);
        std::thread::sleep(Duration::from_millis(milliseconds));
        terminal.press("\x03");
        // Before anything was set up, it is the signal that ends the program.
        let (code, contents, bytes) = terminal.end();
        let was_up = has(&bytes, TAKE_OVER);
        println!("Ctrl-C after {milliseconds} ms: live view {was_up}, exit code {code:?}");
        assert!(code == Some(0) || (code.is_none() && !was_up), "{code:?}\n{contents}");
        assert!(!was_up || contents.contains("shares "), "no summary:\n{contents}");
    }
}

#[test]
fn signals_are_answered_in_the_view_and_give_the_terminal_back() {
    let terminal = Terminal::demo(&[], &[]);
    let pid = terminal.child.id().to_string();
    let signal = |name: &str| {
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    };
    signal("-USR1");
    terminal.wait_for("the status", |screen| shows(screen, "status: "));
    signal("-TERM");
    let (code, contents, _) = terminal.end();
    assert_eq!(code, Some(0), "{contents}");
    assert!(contents.contains("shares "), "{contents}");
    assert!(contents.contains("status: "), "what was said is printed after all:\n{contents}");
}

#[test]
fn q_ends_the_walk_through_a_header() {
    let walk = Terminal::start(&["explain", "genesis", "--step"], &[]);
    walk.wait_for("the prompt", |screen| shows(screen, "[Enter: next part; s: skip; q: end]"));
    walk.press("\n");
    walk.wait_for("the second part", |screen| shows(screen, "64 rounds of the first piece"));
    walk.press("q\n");
    let (code, contents, _) = walk.end();
    assert_eq!(code, Some(0));
    assert!(!contents.contains("3. The first SHA-256"), "{contents}");
}

#[test]
fn the_view_tells_where_the_page_is() {
    let terminal = Terminal::demo(&["--web", "127.0.0.1:0"], &[]);
    terminal.wait_for("the page", |screen| shows(screen, "page on http://127.0.0.1:"));
    terminal.press("q");
    let (_, contents, _) = terminal.end();
    assert_eq!(contents.matches("page on http://").count(), 1, "said once:\n{contents}");
}

#[test]
fn the_view_tells_who_else_is_at_the_pool_and_what_they_found() {
    let terminal = Terminal::demo(&["--max-hashrate", "1", "--midstates", "1"], &[]);
    let mut address = None;
    terminal.wait_for("the pool's address", |screen| {
        let contents = screen.contents();
        address = contents
            .split_once("stratum+tcp://")
            .and_then(|(_, rest)| rest.split_ascii_whitespace().next().map(str::to_owned));
        address.is_some()
    });
    let visit = ["mine", "-o", &address.unwrap(), "-u", "ann", "--shares", "1", "--threads", "1"];
    assert!(run(&visit).status.success());
    for words in ["ann joined from 127.0.0.1", "found by ann", "ann left after "] {
        terminal.wait_for(words, |screen| shows(screen, words));
    }
    terminal.resize(30, 120);
    terminal.wait_for("the miners beside each other", |screen| {
        let contents = screen.contents();
        let row = |name: &str| contents.lines().any(|line| line.contains(&format!("│ {name} ")));
        shows(screen, "as the pool sees it") && row("this machine") && row("ann")
    });
    terminal.press("q");
    let (_, contents, _) = terminal.end();
    assert!(contents.contains("ann left after "), "and is printed after all:\n{contents}");
}

#[test]
fn a_question_mark_explains_keys_and_rows_while_mining_goes_on() {
    let terminal = Terminal::demo(&[], &[]);
    terminal.press("?");
    for words in ["one thread more", "hashes a second, counted", "at the pool in this program"] {
        terminal.wait_for(words, |screen| shows(screen, words));
    }
    terminal.press("?");
    terminal.wait_for("the view again", |screen| shows(screen, "mining  "));
    // Escape closes the page, and a key with an effect does, which is to be seen.
    for (key, effect) in [("\x1b", "mining  "), ("-", "there are never fewer"), ("p", "none now, ")]
    {
        terminal.press("?");
        terminal.wait_for("the page", |screen| shows(screen, "one thread more"));
        terminal.press(key);
        terminal.wait_for(effect, |screen| shows(screen, effect));
    }
    terminal.press("q");
    let (code, contents, _) = terminal.end();
    assert_eq!(code, Some(0));
    assert!(!contents.contains("never fewer"), "an answer to a key is of no use afterwards");
}

/// The words that came, and how wide the widest line is.
fn words_and_width(text: &str) -> (Vec<&str>, usize) {
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    (text.split_whitespace().collect(), widest)
}

#[test]
fn messages_are_broken_between_words_on_a_terminal_and_whole_in_a_pipe() {
    let long = "a".repeat(30);
    let unknown = ["mine", "-o", &format!("{long}://pool.example:3333"), "-u", "x"];
    let by_clap = ["mine", "--time-limit", "x", "--suggest-difficulty", "-5"];
    let config = ["mine", "--config", "/no/such/directory/of/configurations/config.toml"];
    for arguments in [&unknown[..], &by_clap, &config, &["explain", "00"]] {
        let whole = run(arguments);
        let whole = String::from_utf8(whole.stderr).unwrap();
        let terminal = Terminal::of_size((24, 60), arguments, &[("NO_COLOR", "1")]);
        let bytes = terminal.end().2;
        let broken = String::from_utf8(bytes).unwrap();
        let ((words, width), (expected, whole_width)) =
            (words_and_width(&broken), words_and_width(&whole));
        assert_eq!(words, expected, "no word is cut");
        assert!(whole_width > 60 && width <= 60, "{broken}\n{whole}");
    }
    let terminal = Terminal::of_size((24, 60), &["doctor", "--threads", "1"], &[("NO_COLOR", "1")]);
    let broken = String::from_utf8(terminal.end().2).unwrap();
    let speed = broken.split_once(" speed: ").unwrap().1;
    assert!(words_and_width(&broken).1 <= 60, "{broken}");
    assert!(speed.lines().skip(1).all(|line| line.starts_with("      ")), "{broken}");
}

#[test]
fn a_manual_page_is_shown_by_man_and_not_as_its_source() {
    use std::os::unix::fs::PermissionsExt;
    let directory = std::env::temp_dir().join(format!("midstate-man-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let man = directory.join("man");
    let script = "#!/bin/sh\necho \"$@ has\" $(/bin/cat | /usr/bin/head -c 12)\n/bin/sleep 1\n";
    std::fs::write(&man, script).unwrap();
    std::fs::set_permissions(&man, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = directory.to_str().unwrap();
    let terminal = Terminal::start(&["man", "demo"], &[("PATH", path)]);
    terminal.wait_for("the page by man", |screen| shows(screen, "-l - has .ie "));
    assert_eq!(terminal.end().0, Some(0));
    // Without one the source is better than nothing.
    std::fs::remove_dir_all(&directory).unwrap();
    let terminal = Terminal::start(&["man", "demo"], &[("PATH", path)]);
    terminal.wait_for("the source", |screen| shows(screen, "midstate"));
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn hints_for_who_reaches_no_pool_are_in_the_view() {
    let nobody = Port::hold();
    let terminal = Terminal::start(&["mine", "-o", &nobody.address().to_string(), "-u", "x"], &[]);
    for words in ["connecting  ", "--give-up SECS", "midstate doctor"] {
        terminal.wait_for(words, |screen| shows(screen, words));
    }
    terminal.press("q");
    let (_, contents, _) = terminal.end();
    assert!(contents.contains("midstate doctor"), "and is printed after all:\n{contents}");
}

#[test]
fn the_log_is_shown_among_the_words_and_does_not_tear_the_view() {
    let terminal = Terminal::demo(&["-v"], &[("MIDSTATE_LOG", "midstate=debug")]);
    terminal.wait_for("a line of the log", |screen| {
        let contents = screen.contents();
        contents.starts_with("mining ") && contents.lines().any(|line| line.starts_with("DEBUG"))
    });
    terminal.press("q");
    assert_eq!(terminal.end().0, Some(0));
}

#[test]
fn u5_no_color_means_none() {
    const A_COLOUR: &[u8] = b"\x1b[38;5;";
    for (environment, coloured) in [(&[][..], true), (&[("NO_COLOR", "1")], false)] {
        let terminal = Terminal::demo(&[], environment);
        terminal.press("q");
        let (_, contents, bytes) = terminal.end();
        assert_eq!(has(&bytes, A_COLOUR), coloured, "{environment:?}\n{contents}");
    }
}

#[test]
fn plain_json_quiet_and_dumb_terminals_get_lines() {
    let demo = ["demo", "--blocks", "1", "--difficulty", "0.0001", "--threads", "1"];
    for (flag, environment) in
        [("--plain", &[][..]), ("--json", &[]), ("-q", &[]), ("--color=auto", &[("TERM", "dumb")])]
    {
        let terminal = Terminal::start(&[&demo[..], &[flag]].concat(), environment);
        let (code, contents, bytes) = terminal.end();
        assert_eq!(code, Some(0), "{flag}\n{contents}");
        assert!(!has(&bytes, TAKE_OVER), "{flag}\n{contents}");
        assert!(contents.contains("shares"), "{flag}\n{contents}");
    }
}
