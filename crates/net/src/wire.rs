//! An open connection as the session sees it: a queue of lines to write, and bytes that come.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};

use crate::dial::Transport;
use crate::foreign::FirstBytes;
use crate::frames::{Direction, Tap};

/// Bytes read at once. Several messages in one go let the newest job win before it is handed on.
const CHUNK: usize = 64 * 1024;

/// A transport and what is yet to be written to it.
pub(crate) struct Wire {
    reader: ReadHalf<Box<dyn Transport>>,
    writer: WriteHalf<Box<dyn Transport>>,
    unsent: Vec<u8>,
    /// Written bytes may sit in a buffer of the transport: TLS records.
    unflushed: bool,
    first: FirstBytes,
    tap: Option<Tap>,
}

/// The work done by [`Wire::exchange`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Exchanged {
    /// These came.
    Received(Vec<u8>),
    /// Something was written.
    Sent,
}

impl Wire {
    pub(crate) fn new(transport: Box<dyn Transport>) -> Self {
        let (reader, writer) = tokio::io::split(transport);
        let first = FirstBytes::default();
        Self { reader, writer, unsent: Vec::new(), unflushed: false, first, tap: None }
    }

    /// Tells every line both ways.
    pub(crate) fn tapped(self, tap: Option<Tap>) -> Self {
        Self { tap, ..self }
    }

    /// The first bytes that came.
    pub(crate) fn first(&self) -> Vec<u8> {
        self.first.get()
    }

    /// Queues a line.
    pub(crate) fn send(&mut self, line: &[u8]) {
        self.unsent.extend_from_slice(line);
    }

    /// Whether all that was queued is on its way.
    pub(crate) fn is_sent(&self) -> bool {
        self.unsent.is_empty() && !self.unflushed
    }

    /// Reads and writes, whichever is possible first. A call that is dropped loses nothing.
    ///
    /// # Errors
    /// When the connection is broken. Its orderly end is `UnexpectedEof`.
    pub(crate) async fn exchange(&mut self) -> io::Result<Exchanged> {
        let Self { reader, writer, unsent, unflushed, first, tap } = self;
        let progress = async {
            match unsent.is_empty() {
                true => writer.flush().await.map(|()| None),
                false => writer.write(unsent).await.map(Some),
            }
        };
        tokio::select! {
            read = poll_fn(|context| poll_read(reader, context)) => {
                let bytes = read?;
                if bytes.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                first.keep(&bytes);
                if let Some(tap) = tap {
                    tap.hear(Direction::Received, &bytes);
                }
                Ok(Exchanged::Received(bytes))
            },
            written = progress, if !unsent.is_empty() || *unflushed => match written? {
                Some(0) => Err(io::ErrorKind::WriteZero.into()),
                Some(count) => {
                    if let Some(tap) = tap {
                        tap.hear(Direction::Sent, &unsent[..count]);
                    }
                    unsent.drain(..count);
                    *unflushed = true;
                    Ok(Exchanged::Sent)
                }
                None => {
                    *unflushed = false;
                    Ok(Exchanged::Sent)
                }
            },
        }
    }
}

/// The bytes that are there. Their place is needed for this moment alone, so that a connection
/// which waits holds none: ten thousand of them in one program would hold 640 MB.
fn poll_read(
    reader: &mut ReadHalf<Box<dyn Transport>>,
    context: &mut Context<'_>,
) -> Poll<io::Result<Vec<u8>>> {
    let mut chunk = [MaybeUninit::uninit(); CHUNK];
    let mut buffer = ReadBuf::uninit(&mut chunk);
    let read = Pin::new(reader).poll_read(context, &mut buffer);
    read.map_ok(|()| buffer.filled().to_vec())
}
