//! One connection of a miner at the embedded pool: moves bytes between it and the pool's task, and
//! ends it when the miner is too slow.

use std::io;
use std::pin::pin;
use std::time::Duration;

use midstate_pool::SessionId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::ServerLimits;

/// Bytes that are read from a connection at a time.
const READ: usize = 4096;

/// From the pool's task to a connection.
pub(super) struct Outbound {
    /// To be written.
    pub(super) lines: Vec<u8>,
    /// The bytes read last are handled, and their answers are among the lines: when those are
    /// written, the next bytes may be read.
    pub(super) is_answer: bool,
    /// Of Stratum V2: the frame that has come in part, when they are handled.
    pub(super) unfinished: Option<u64>,
}

/// From a connection to the pool's task.
pub(super) enum Inbound {
    /// No further ones come before their answers are written.
    Bytes(SessionId, Vec<u8>),
    /// All lines that it was given are written.
    Written(SessionId),
    /// It has had the time to be let in.
    Due(SessionId),
    Gone(SessionId),
}

/// Writes the last words, and reads until the miner hangs up: a connection that is closed with
/// unread bytes is reset, and takes the words with it.
pub(super) async fn say_farewell(
    stream: impl AsyncRead + AsyncWrite,
    words: &[u8],
) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    writer.write_all(words).await?;
    writer.shutdown().await?;
    let mut buffer = [0; 256];
    while reader.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Moves bytes between a connection and the pool's task until either side ends it.
pub(super) async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite,
    id: SessionId,
    inbound: mpsc::Sender<Inbound>,
    mut outbox: mpsc::Receiver<Outbound>,
    limits: ServerLimits,
    mut unfinished: Unfinished,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut buffer = vec![0; READ];
    let mut let_in_due = pin!(sleep(limits.let_in));
    let mut is_due = false;
    // Whether the bytes read last are still being handled, or their answers being written.
    let mut is_asking = false;
    loop {
        let message = tokio::select! {
            () = &mut let_in_due, if !is_due => {
                is_due = true;
                Inbound::Due(id)
            }
            () = unfinished.lasts(limits.line), if !is_asking => break,
            read = reader.read(&mut buffer), if !is_asking => match read {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    is_asking = true;
                    unfinished.read(&buffer[..count]);
                    Inbound::Bytes(id, buffer[..count].to_vec())
                }
            },
            outbound = outbox.recv() => match outbound {
                Some(Outbound { lines, is_answer, unfinished: frame }) => {
                    if write(&mut writer, &lines, limits.write).await.is_err() {
                        break;
                    }
                    if is_answer {
                        is_asking = false;
                        unfinished.read_on(frame);
                    }
                    Inbound::Written(id)
                }
                None => break,
            },
        };
        if inbound.send(message).await.is_err() {
            break;
        }
    }
    let _ = inbound.send(Inbound::Gone(id)).await;
}

/// A line or a frame that was begun and not ended.
pub(super) struct Unfinished {
    since: Option<Instant>,
    /// Nothing is read since then.
    paused: Option<Instant>,
    /// Of Stratum V2: the number of the frame. Only the pool sees where frames end.
    frame: Option<Option<u64>>,
}

impl Unfinished {
    pub(super) fn line() -> Self {
        Self { since: None, paused: None, frame: None }
    }

    pub(super) fn frame() -> Self {
        Self { frame: Some(None), ..Self::line() }
    }

    fn read(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        self.paused = Some(now);
        if self.frame.is_none() {
            let ended = bytes.iter().rposition(|&byte| byte == b'\n');
            let behind = &bytes[ended.map_or(0, |at| at + 1)..];
            let before = self.since.filter(|_| ended.is_none());
            self.since = before.or((!behind.trim_ascii().is_empty()).then_some(now));
        }
    }

    /// The bytes read last are handled and answered: of which `frame` has come in part, if one has.
    /// The time in which nothing was read is not the miner's.
    fn read_on(&mut self, frame: Option<u64>) {
        if let Some(before) = &mut self.frame
            && *before != frame
        {
            *before = frame;
            self.since = frame.and(self.paused);
        }
        let pause = self.paused.take().map_or(Duration::ZERO, |paused| paused.elapsed());
        self.since = self.since.map(|since| since + pause);
    }

    /// Until the line is as old as this; forever without one.
    async fn lasts(&self, limit: Duration) {
        match self.since {
            Some(since) => sleep_until(since + limit).await,
            None => std::future::pending().await,
        }
    }
}

/// Writes all of it to a miner that takes at least a byte within every `patience`.
async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    patience: Duration,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match timeout(patience, writer.write(bytes)).await?? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => bytes = &bytes[written..],
        }
    }
    writer.flush().await
}
