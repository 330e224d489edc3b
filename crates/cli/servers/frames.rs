//! `--frames`: every line or message to and from pools, into a file or on stdout. A thread of its
//! own writes the file, so that mining never waits for a disk; a disk that takes no more is told of
//! once.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::Builder;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use midstate_limits::{LimitRow, row};
use midstate_net::{Direction, Frame, Frames, Said, without_os_number};
use midstate_sv2::Fields;
use serde::Serialize;

use crate::shell::exit::Failure;
use crate::shell::output::{Output, to_json};

/// Lines that may wait for the disk.
const MOST_WAITING: usize = 4096;
/// How long the end of the program waits for the disk.
const LAST_WAIT: Duration = Duration::from_secs(3);

/// Each limit as a row.
pub(crate) fn limits() -> Vec<LimitRow> {
    vec![
        row("lines of --frames that wait", MOST_WAITING, "left out, and counted in the file"),
        row("wait for the file at the end", LAST_WAIT, "the rest is left out"),
    ]
}

/// The flag.
#[derive(clap::Args, Debug, Clone, Default)]
#[command(next_help_heading = "Watching")]
pub(crate) struct FramesArgs {
    /// Append every line to and from pools to this file, as JSON lines with time, direction and
    /// worker, passwords struck out; of Stratum V2 every message, decrypted, with its fields. With
    /// --json, - is stdout
    #[arg(long, value_name = "FILE")]
    frames: Option<PathBuf>,
}

/// The file behind the frames, if there is one.
pub(crate) struct FramesFile(Option<SyncSender<Task>>);

enum Task {
    Write(Box<Frame>),
    /// Drop the sender when all before is in the file.
    Flush(SyncSender<()>),
}

/// A line of the file, and an event of `--json`.
#[derive(Serialize)]
#[serde(tag = "event", rename = "frame")]
struct FrameEvent<'a> {
    /// Seconds since 1970.
    time: f64,
    direction: &'static str,
    pool: &'a str,
    /// The pool of the list, where that redirected us.
    #[serde(skip_serializing_if = "Option::is_none")]
    listed: Option<&'a str>,
    worker: &'a str,
    #[serde(flatten)]
    said: SaidEvent<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum SaidEvent<'a> {
    Line {
        line: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        cut: bool,
    },
    Message {
        message: &'static str,
        #[serde(skip_serializing_if = "is_zero")]
        extension: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        channel: Option<u32>,
        fields: &'a Fields,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        malformed: bool,
    },
}

fn is_zero(extension: &u16) -> bool {
    *extension == 0
}

/// Lines that are missing at this place of the file.
#[derive(Serialize)]
#[serde(tag = "event", rename = "left_out")]
struct LeftOut {
    frames: u64,
}

impl FramesArgs {
    /// The flag, if it is given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        self.frames.is_some().then_some("--frames")
    }

    /// Opens the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn open(&self, out: &Output) -> Result<(Option<Frames>, FramesFile), Failure> {
        let Some(path) = &self.frames else { return Ok((None, FramesFile(None))) };
        if path == Path::new("-") {
            if !out.is_json() {
                return Err(Failure::usage(
                    "--frames - writes to stdout, between the events of --json: add --json, or \
                     name a file",
                ));
            }
            let tell = out.teller();
            let frames = Frames::to(move |frame| tell.event(&FrameEvent::of(&frame)));
            return Ok((Some(frames), FramesFile(None)));
        }
        let cannot = || format!("--frames {}: cannot be written", path.display());
        let file = OpenOptions::new().append(true).create(true).open(path).with_context(cannot)?;
        let (tasks, taken) = sync_channel(MOST_WAITING);
        let left_out = Arc::new(AtomicU64::new(0));
        let writer = Writer { path: path.clone(), left_out: Arc::clone(&left_out) };
        Builder::new()
            .name("frames".into())
            .spawn(move || writer.run(file, &taken))
            .with_context(cannot)?;
        let sender = tasks.clone();
        let frames = Frames::to(move |frame| {
            if let Err(TrySendError::Full(_)) = sender.try_send(Task::Write(Box::new(frame))) {
                left_out.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok((Some(frames), FramesFile(Some(tasks))))
    }
}

impl FramesFile {
    /// Waits until the disk has everything, but not for ever.
    pub(crate) fn close(self) {
        let Some(tasks) = self.0 else { return };
        let (done, is_done) = sync_channel(1);
        // A full queue means a disk that hangs.
        if tasks.try_send(Task::Flush(done)).is_err() || is_done.recv_timeout(LAST_WAIT).is_err() {
            tracing::warn!("--frames: the disk is too slow, the last lines are not in the file");
        }
    }
}

/// The thread that writes the file.
struct Writer {
    path: PathBuf,
    /// Lines that found no room in the queue.
    left_out: Arc<AtomicU64>,
}

impl Writer {
    fn run(self, file: File, tasks: &Receiver<Task>) {
        let mut file = Some(BufWriter::new(file));
        while let Ok(task) = tasks.recv() {
            let mut next = Some(task);
            while let Some(task) = next {
                match task {
                    Task::Write(frame) => {
                        self.attempt(&mut file, |file| self.write(&frame, file));
                    }
                    Task::Flush(done) => {
                        self.attempt(&mut file, |file| self.write_gap(file)?.flush());
                        let _ = done.send(());
                    }
                }
                next = tasks.try_recv().ok();
            }
            // Nothing waits: whoever looks into the file sees everything.
            self.attempt(&mut file, Write::flush);
        }
    }

    /// Does something to the file. A failure is told, and is the last one.
    fn attempt(
        &self,
        file: &mut Option<BufWriter<File>>,
        act: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
    ) {
        if let Some(Err(error)) = file.as_mut().map(act) {
            tracing::warn!(
                "--frames {}: no more lines are written, mining goes on: {}",
                self.path.display(),
                without_os_number(&error.to_string())
            );
            // Its buffer would be written once more.
            file.take().into_iter().for_each(|file| drop(file.into_parts()));
        }
    }

    fn write(&self, frame: &Frame, file: &mut BufWriter<File>) -> std::io::Result<()> {
        let file = self.write_gap(file)?;
        writeln!(file, "{}", to_json(&FrameEvent::of(frame)))
    }

    /// Says how many lines are missing here, if any are.
    fn write_gap<'a>(
        &self,
        file: &'a mut BufWriter<File>,
    ) -> std::io::Result<&'a mut BufWriter<File>> {
        let frames = self.left_out.swap(0, Ordering::Relaxed);
        if frames > 0 {
            writeln!(file, "{}", to_json(&LeftOut { frames }))?;
        }
        Ok(file)
    }
}

impl<'a> FrameEvent<'a> {
    fn of(Frame { time, pool, listed, worker, direction, said }: &'a Frame) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            time: since.as_micros() as f64 / 1e6,
            direction: match direction {
                Direction::Sent => "sent",
                Direction::Received => "received",
            },
            pool,
            listed: listed.as_deref(),
            worker,
            said: match said {
                Said::Line { text, is_cut } => SaidEvent::Line { line: text, cut: *is_cut },
                Said::Message(of) => SaidEvent::Message {
                    message: of.name,
                    extension: of.extension,
                    channel: of.channel,
                    fields: &of.fields,
                    malformed: of.is_malformed,
                },
            },
        }
    }
}
