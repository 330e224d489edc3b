//! minerd's lines: what happens, in the words that scripts look for, on stderr or in the system's
//! log. The times are UTC.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use midstate_chain::Verdict;
use midstate_economics::calendar::Date;
use midstate_net::LinkState;

use super::flags::Flags;
use crate::mining::View;
use crate::mining::event::{Event, JobEvent, PoolEvent, RejectCount, ShareEvent};
use crate::mining::notice::Notice;
use crate::mining::status::{State, Status};
use crate::mining::words::{self, Sentence, Speech};
use crate::shell::exit::Failure;
use crate::shell::printer::{Printer, Stream};

/// Where the system's log listens.
const DEV_LOG: &str = "/dev/log";
/// Syslog's facility for programs of users.
#[cfg(unix)]
const LOG_USER: u8 = 8;

/// How grave a line is, in syslog's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error = 3,
    Info = 6,
    Debug = 7,
}

/// Where the lines go.
enum Sink {
    Stderr(Printer),
    #[cfg(unix)]
    Syslog(std::os::unix::net::UnixDatagram),
}

/// See the [module](self) page.
pub(super) struct Voice {
    sink: Sink,
    quiet: bool,
    debug: bool,
    scantime: Duration,
    retry_pause: Duration,
    /// The hashes of each thread when they were counted, the time of hashing until then, and each
    /// thread's rate until then, in hashes per second.
    counts: Vec<u64>,
    counted: Instant,
    hashed: Duration,
    rates: Vec<f64>,
    accepted: u64,
    rejected: u64,
    /// A connection stands, so that the next bad news is of its end.
    is_up: bool,
    speech: Speech,
    is_introduced: bool,
}

impl Voice {
    pub(super) fn new(flags: &Flags, printer: Printer) -> Result<Self, Failure> {
        let sink = if flags.syslog { Sink::syslog(DEV_LOG)? } else { Sink::Stderr(printer) };
        Ok(Self {
            sink,
            quiet: flags.quiet,
            debug: flags.debug,
            scantime: flags.scantime(),
            retry_pause: flags.retry_pause(),
            counts: Vec::new(),
            counted: Instant::now(),
            hashed: Duration::ZERO,
            rates: Vec::new(),
            accepted: 0,
            rejected: 0,
            is_up: false,
            is_introduced: false,
            speech: Speech::default(),
        })
    }

    pub(super) fn scantime(&self) -> Duration {
        self.scantime
    }

    /// Hashing has begun, with so many threads.
    pub(super) fn started(&mut self, threads: usize) {
        self.info(&format!("{threads} miner threads started, using 'sha256d' algorithm."));
        self.counted = Instant::now();
    }

    /// The hashmeter: what each thread has done since the last call. `hashed` is the time that was
    /// spent hashing since the start.
    pub(super) fn count(&mut self, hashed: Duration, hashes: impl Iterator<Item = u64>) {
        let since = std::mem::replace(&mut self.hashed, hashed);
        let seconds = hashed.saturating_sub(since).as_secs_f64().max(f64::MIN_POSITIVE);
        self.counted = Instant::now();
        let before = std::mem::replace(&mut self.counts, hashes.collect());
        let before = before.into_iter().chain(std::iter::repeat(0));
        let done: Vec<_> = self.counts.iter().zip(before).map(|(now, then)| now - then).collect();
        self.rates = done.iter().map(|&hashes| hashes as f64 / seconds).collect();
        if !self.quiet {
            for (thread, (hashes, &rate)) in done.iter().zip(&self.rates).enumerate() {
                self.info(&format!("thread {thread}: {hashes} hashes, {}", khash(rate)));
            }
        }
    }

    /// The rate of all threads.
    pub(super) fn total(&self) {
        self.info(&format!("Total: {}", khash(self.rates.iter().sum())));
    }

    fn of_pool(&mut self, PoolEvent { url, state, reason, .. }: &PoolEvent) {
        match state {
            LinkState::Connecting if !is_node(url) && !self.is_introduced => {
                self.is_introduced = true;
                self.info(&format!("Starting Stratum on {url}"));
            }
            LinkState::Authorized => {
                self.is_up = true;
                if is_node(url) && !std::mem::replace(&mut self.is_introduced, true) {
                    self.info(&format!("Long-polling activated for {url}"));
                }
            }
            LinkState::Lost => {
                let reason = reason.as_deref().unwrap_or("no reason given");
                let (is_node, was_up) = (is_node(url), std::mem::take(&mut self.is_up));
                self.error(&match (is_node, was_up) {
                    (true, _) => format!("HTTP request failed: {reason}"),
                    (false, true) => "Stratum connection interrupted".to_owned(),
                    (false, false) => format!("Stratum connection failed: {reason}"),
                });
                self.debug(reason);
                self.error(&format!("...retry after {} seconds", self.retry_pause.as_secs()));
            }
            LinkState::Connecting | LinkState::Connected | LinkState::Failover => {}
        }
    }

    fn of_job(&self, job: &JobEvent) {
        if is_node(&job.pool) {
            self.info("LONGPOLL pushed new work");
        } else if job.clean {
            self.info("Stratum requested work restart");
        }
        self.debug(&format!("job_id='{}' difficulty={}", job.job_id, job.difficulty));
    }

    fn of_share(&mut self, share: &ShareEvent, status: &Status) {
        let cheer = match share.verdict {
            Verdict::Accepted => {
                self.accepted += 1;
                "(yay!!!)"
            }
            Verdict::Rejected => {
                self.rejected += 1;
                "(booooo)"
            }
            // Not sent.
            Verdict::Stale | Verdict::Throttled | Verdict::Unresolved => {
                self.debug("stale work detected, discarding");
                return;
            }
        };
        let answered = self.accepted + self.rejected;
        self.info(&format!(
            "accepted: {}/{answered} ({:.2}%), {} {cheer}",
            self.accepted,
            100.0 * self.accepted as f64 / answered as f64,
            khash(self.rate(status)),
        ));
        if let Some(reason) = &share.reason {
            self.debug(&format!("reject reason: {reason}"));
        }
    }

    /// Of all threads; before they were counted, the mean since the start.
    fn rate(&self, status: &Status) -> f64 {
        match self.rates.is_empty() {
            true => status.hashes as f64 / status.seconds_hashing.max(f64::MIN_POSITIVE),
            false => self.rates.iter().sum(),
        }
    }

    fn say(&self, said: &Sentence) {
        let (Sentence::Result(text) | Sentence::Note(text)) = said;
        self.info(text.trim_start());
    }

    fn error(&self, text: &str) {
        self.sink.print(Level::Error, text);
    }

    fn info(&self, text: &str) {
        self.sink.print(Level::Info, text);
    }

    fn debug(&self, text: &str) {
        if self.debug {
            self.sink.print(Level::Debug, &format!("DEBUG: {text}"));
        }
    }
}

impl View for Voice {
    fn event(&mut self, event: &Event, status: &Status) {
        match event {
            Event::Pool(pool) => self.of_pool(pool),
            Event::Job(job) => self.of_job(job),
            Event::Share(share) => self.of_share(share, status),
            Event::Remark(_) => {
                let said = self.speech.of(event, status);
                said.iter().for_each(|said| self.say(said));
            }
            // minerd knows no blocks, and leaves without a word.
            _ => {}
        }
    }

    fn tick(&mut self, status: &Status) {
        let due = self.speech.due(status);
        due.iter().for_each(|said| self.say(said));
        if status.state == State::Mining && self.counted.elapsed() >= self.scantime {
            let hashed = Duration::from_secs_f64(status.seconds_hashing);
            self.count(hashed, status.thread_hashes.iter().copied());
        }
    }

    fn notice(&mut self, notice: &Notice, status: &Status) {
        // minerd has other flags for how long to try.
        if !matches!(notice, Notice::NothingReached { .. })
            && let Some(said) = self.speech.of_notice(notice, status)
        {
            self.say(&said);
        }
    }

    fn report(&mut self, status: &Status, rejects: &[RejectCount]) {
        self.info(&words::full_status(status, rejects));
    }

    fn note(&mut self, text: &str) {
        self.info(text);
    }
}

fn is_node(url: &str) -> bool {
    url.starts_with("http")
}

/// As minerd writes a rate.
fn khash(hashes_per_second: f64) -> String {
    let digits = if hashes_per_second >= 1e6 { 0 } else { 2 };
    format!("{:.digits$} khash/s", hashes_per_second / 1e3)
}

impl Sink {
    #[cfg(unix)]
    fn syslog(path: &str) -> Result<Self, Failure> {
        use anyhow::Context;
        let open = || {
            let socket = std::os::unix::net::UnixDatagram::unbound()?;
            socket.connect(path)?;
            socket.set_nonblocking(true)?;
            std::io::Result::Ok(socket)
        };
        Ok(Self::Syslog(open().with_context(|| format!("no system log answers at {path}"))?))
    }

    #[cfg(not(unix))]
    fn syslog(path: &str) -> Result<Self, Failure> {
        Err(Failure::usage(format!("--syslog is refused: there is no {path} here")))
    }

    fn print(&self, level: Level, text: &str) {
        // A closed output is no reason to stop or to wait, and there is no one to tell.
        match self {
            Self::Stderr(printer) => {
                printer.offer(Stream::Stderr, format!("[{}] {text}\n", now()));
            }
            #[cfg(unix)]
            Self::Syslog(socket) => {
                let (priority, id) = (LOG_USER | level as u8, std::process::id());
                let _ = socket.send(format!("<{priority}>cpuminer[{id}]: {text}").as_bytes());
            }
        }
        #[cfg(not(unix))]
        let _ = level;
    }
}

/// As `2026-11-22 19:30:00`.
fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{} {hour:02}:{minute:02}:{second:02}", Date::from_unix(seconds as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_two_digits_below_a_million() {
        assert_eq!(khash(1_441_000.0), "1441 khash/s");
        assert_eq!(khash(999_999.0), "1000.00 khash/s");
        assert_eq!(khash(0.0), "0.00 khash/s");
    }

    #[cfg(unix)]
    #[test]
    fn lines_reach_a_system_log() {
        let directory = std::env::temp_dir().join(format!("midstate-log-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("log");
        let log = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        Sink::syslog(path.to_str().unwrap()).unwrap().print(Level::Error, "no");
        let mut line = [0; 64];
        let length = log.recv(&mut line).unwrap();
        let expected = format!("<11>cpuminer[{}]: no", std::process::id());
        assert_eq!(std::str::from_utf8(&line[..length]).unwrap(), expected);
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(Sink::syslog(path.to_str().unwrap()).is_err());
    }
}
