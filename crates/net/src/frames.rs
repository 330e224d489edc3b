//! The lines and messages of Stratum connections, both ways, for a file that shows what was said: a
//! sniffer without privileges, which sees through TLS and through the encryption of Stratum V2.
//!
//! A `Tap` at a connection's `Wire` makes a [`Frame`] of each line of V1. Passwords are struck out
//! here, before any other code sees the line. What passes the wire of V2 is encrypted: there the
//! client tells its messages, which have no password. The caller says where the frames go, and must
//! not wait.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use midstate_stratum::{Secret, without_password};
use midstate_sv2::TracedFrame;

use crate::PoolUrl;

/// A longer line is told in pieces of this many bytes.
const LONGEST_PIECE: usize = 1024 * 1024;

/// A line or message that was sent or received.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// When the last byte of a line came, or was written to the socket; of a message of Stratum V2,
    /// when it was decrypted, or encrypted to be written.
    pub time: SystemTime,
    /// The server at the other end.
    pub pool: Arc<str>,
    /// The pool of the list, where that redirected us to this server.
    pub listed: Option<Arc<str>>,
    /// The user that the connection belongs to.
    pub worker: Arc<str>,
    /// Which way it went.
    pub direction: Direction,
    /// The line or message itself.
    pub said: Said,
}

/// The content of a [`Frame`].
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A line of Stratum V1.
    Line {
        /// Without its line end; bytes that are no UTF-8 are replaced, passwords struck out.
        text: String,
        /// It has no line end: a piece of a line that is too long, or the last bytes of a
        /// connection.
        is_cut: bool,
    },
    /// A message of Stratum V2.
    Message(TracedFrame),
}

/// Which way a line went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From us to the pool.
    Sent,
    /// From the pool to us.
    Received,
}

/// The server of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Server<'a> {
    pub(crate) target: &'a PoolUrl,
    /// The pool of the list, which may have redirected us.
    pub(crate) of: &'a PoolUrl,
}

impl<'a> Server<'a> {
    /// One that is itself on the list.
    pub(crate) fn listed_as(url: &'a PoolUrl) -> Self {
        Self { target: url, of: url }
    }

    fn listed(self) -> Option<Arc<str>> {
        (self.target != self.of).then(|| self.of.to_string().into())
    }
}

/// Where frames go. Clones lead to the same place.
#[derive(Clone)]
pub struct Frames(Arc<dyn Fn(Frame) + Send + Sync>);

impl Frames {
    /// Frames go to `sink`, which is called by the tasks of the connections and must not wait.
    pub fn to(sink: impl Fn(Frame) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Tells a message of Stratum V2.
    pub(crate) fn tell(&self, server: Server<'_>, user: &str, message: TracedFrame) {
        (self.0)(Frame {
            time: SystemTime::now(),
            pool: server.target.to_string().into(),
            listed: server.listed(),
            worker: user.into(),
            direction: if message.is_sent { Direction::Sent } else { Direction::Received },
            said: Said::Message(message),
        });
    }

    /// Taps a connection of Stratum V1.
    pub(crate) fn tap(&self, server: Server<'_>, user: &str, password: &str) -> Tap {
        Tap {
            frames: self.clone(),
            pool: server.target.to_string().into(),
            listed: server.listed(),
            worker: user.into(),
            secret: Secret::new(password),
            sent: Vec::new(),
            received: Vec::new(),
        }
    }
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Frames(..)")
    }
}

/// Makes frames of the bytes of one connection.
pub(crate) struct Tap {
    frames: Frames,
    pool: Arc<str>,
    listed: Option<Arc<str>>,
    worker: Arc<str>,
    secret: Secret,
    /// Of lines whose end has not come, for each way.
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl Tap {
    /// These bytes went that way.
    pub(crate) fn hear(&mut self, direction: Direction, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let waiting = self.waiting(direction);
            waiting.extend_from_slice(piece);
            let (ends, is_long) = (piece.ends_with(b"\n"), waiting.len() >= LONGEST_PIECE);
            if ends || is_long {
                self.tell(direction, !ends);
            }
        }
    }

    fn waiting(&mut self, direction: Direction) -> &mut Vec<u8> {
        match direction {
            Direction::Sent => &mut self.sent,
            Direction::Received => &mut self.received,
        }
    }

    fn tell(&mut self, direction: Direction, is_cut: bool) {
        let bytes = std::mem::take(self.waiting(direction));
        let text = String::from_utf8_lossy(&bytes);
        let line = text.trim_end_matches(['\n', '\r']);
        if line.is_empty() && is_cut {
            return;
        }
        (self.frames.0)(Frame {
            time: SystemTime::now(),
            pool: Arc::clone(&self.pool),
            listed: self.listed.clone(),
            worker: Arc::clone(&self.worker),
            direction,
            said: Said::Line { text: self.secret.hide(&without_password(line)), is_cut },
        });
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        for direction in [Direction::Sent, Direction::Received] {
            self.tell(direction, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// The frames of bytes that go that way in these pieces, as `(line, is_cut)`.
    fn heard(direction: Direction, pieces: &[&[u8]]) -> Vec<(String, bool)> {
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let frames = Frames::to(move |frame| sink.lock().unwrap().push(frame));
        let url = "stratum+tcp://pool.example:3333".parse().unwrap();
        let mut tap = frames.tap(Server::listed_as(&url), "me", "hunter22");
        pieces.iter().for_each(|piece| tap.hear(direction, piece));
        drop(tap);
        let told = std::mem::take(&mut *told.lock().unwrap());
        for frame in &told {
            assert_eq!((&*frame.pool, &*frame.worker), ("stratum+tcp://pool.example:3333", "me"));
            assert_eq!(frame.direction, direction);
        }
        told.into_iter()
            .map(|frame| match frame.said {
                Said::Line { text, is_cut } => (text, is_cut),
                Said::Message(message) => panic!("{message:?} is no line"),
            })
            .collect()
    }

    #[test]
    fn a_frame_is_a_line_however_its_bytes_come() {
        let frames = heard(Direction::Received, &[b"{\"a\"", b":1}\r\nnot JSON\n\nrest"]);
        let lines = [("{\"a\":1}", false), ("not JSON", false), ("", false), ("rest", true)];
        assert_eq!(frames, lines.map(|(line, is_cut)| (line.to_owned(), is_cut)));
    }

    #[test]
    fn a_line_without_an_end_takes_no_more_memory_than_a_piece() {
        let mut sizes = Vec::new();
        for (line, is_cut) in heard(Direction::Received, &[[b'x'; 60_000].as_slice(); 50]) {
            assert!(is_cut);
            sizes.push(line.len());
        }
        assert_eq!(sizes.iter().sum::<usize>(), 3_000_000);
        assert!(sizes.iter().all(|size| *size < LONGEST_PIECE + 60_000), "{sizes:?}");
    }

    #[test]
    fn passwords_are_struck_out() {
        let login = br#"{"id":2,"method":"mining.authorize","params":["me","x"]}"#;
        let frames = heard(Direction::Sent, &[login, b"\n"]);
        assert_eq!(frames[0].0, r#"{"id":2,"method":"mining.authorize","params":["me","***"]}"#);
        // A pool repeats it.
        let frames = heard(Direction::Received, &[b"{\"error\":\"no hunter22 here\"}\n"]);
        assert_eq!(frames[0].0, r#"{"error":"no *** here"}"#);
        // Half a line is a secret, too.
        let frames = heard(Direction::Sent, &[&login[..login.len() - 1]]);
        assert!(!frames[0].0.contains("\"x\""), "{frames:?}");
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let frames = heard(Direction::Received, &[b"\xff\x00\xfe\n"]);
        assert_eq!(frames, [("\u{fffd}\0\u{fffd}".to_owned(), false)]);
    }
}
