//! Devices that speak the protocol of a class's door, as its page does, with a kernel of this
//! machine. Used by the tests of `class`, and by the example `devices` for many of them.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use midstate_sha256d::{Kernel, Midstate, Tail, Work};
use serde_json::{Value, json};

/// How often a device says how far it is, if it has found nothing.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// A device that was let in.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    address: String,
    pub(crate) token: String,
    pub(crate) name: String,
}

/// What became of a device's hits, by the verdicts that it got.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) accepted: u64,
    pub(crate) blocks: u64,
    pub(crate) stale: u64,
    pub(crate) rejected: u64,
    /// Hashes that it did.
    pub(crate) hashes: u64,
    /// Seconds from hit to verdict, the longest.
    pub(crate) slowest: f64,
    /// Streams that it opened.
    pub(crate) streams: u64,
}

/// A piece of work, ready for the kernel.
pub(crate) struct Piece {
    number: u64,
    work: Work,
    midstates: u64,
    first: u64,
    end: u64,
}

/// What the stream has brought.
#[derive(Default)]
struct Inbox {
    piece: Option<Arc<Piece>>,
    you: Value,
    end: Option<Value>,
    streams: u64,
}

/// Sends a request and reads the answer: its status and its body, if that is JSON.
pub(crate) fn send(address: &str, request: &str) -> io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    // A server may answer and hang up before it has heard all.
    let _ = stream.write_all(request.as_bytes());
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no answer: {text:?}")))?;
    Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// Posts a body, as a browser does.
pub(crate) fn post(address: &str, path: &str, body: &str) -> io::Result<(u16, Value)> {
    let length = body.len();
    send(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nOrigin: http://{address}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        ),
    )
}

impl Device {
    /// Joins; else the status and the words of the refusal.
    pub(crate) fn join(address: &str, code: &str, name: &str) -> Result<Self, (u16, Value)> {
        let body = json!({"code": code, "name": name}).to_string();
        let (status, answer) =
            post(address, "/join", &body).map_err(|error| (0, Value::from(error.to_string())))?;
        let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
        match status {
            200 => {
                Ok(Self { address: address.to_owned(), token: text("device"), name: text("name") })
            }
            _ => Err((status, answer)),
        }
    }

    /// Its stream, event by event.
    pub(crate) fn events(&self) -> io::Result<impl Iterator<Item = (String, Value)> + use<>> {
        let path = format!("/work?device={}", self.token);
        events(&self.address, &path)
    }

    /// Brings hits, or anything else.
    pub(crate) fn post(&self, body: &str) -> io::Result<(u16, Value)> {
        post(&self.address, &format!("/hits?device={}", self.token), body)
    }

    /// Mines at this rate until it is to stop or its stream has ended for good. Hits that could not
    /// be sent are sent again, as they were.
    pub(crate) fn mine(&self, kernel: Kernel, hps: f64, stop: &AtomicBool) -> Tally {
        self.mine_and_tell(kernel, hps, stop, &|| {})
    }

    /// The same; calls back for each share that was accepted.
    pub(crate) fn mine_and_tell(
        &self,
        kernel: Kernel,
        hps: f64,
        stop: &AtomicBool,
        on_accepted: &dyn Fn(),
    ) -> Tally {
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let reader = {
            let (inbox, device) = (Arc::clone(&inbox), self.clone());
            std::thread::spawn(move || device.read(&inbox))
        };
        let mut tally = Tally::default();
        let (begun, mut reported) = (Instant::now(), Instant::now());
        let mut present: Option<(Arc<Piece>, u64)> = None;
        while !stop.load(Ordering::Relaxed) {
            let newest = {
                let inbox = lock(&inbox);
                tally.streams = inbox.streams;
                if inbox.end.is_some() {
                    break;
                }
                inbox.piece.clone()
            };
            if let Some(newest) = newest
                && present.as_ref().is_none_or(|(piece, _)| piece.number < newest.number)
            {
                let first = newest.first;
                present = Some((newest, first));
            }
            // No faster than it may.
            let ahead = tally.hashes as f64 / hps - begun.elapsed().as_secs_f64();
            let Some((piece, next)) = present.as_mut().filter(|_| ahead <= 0.0) else {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            let step = ((hps / 50.0) as u64 / piece.midstates).clamp(1, 1 << 20);
            let end = (*next + step).min(piece.end);
            let mut hits = Vec::new();
            tally.hashes += kernel.scan(&piece.work, *next..end, &mut |hit| {
                hits.push(json!([hit.midstate, hit.nonce]));
            });
            *next = end;
            if hits.is_empty() && reported.elapsed() < REPORT_EVERY && end < piece.end {
                continue;
            }
            reported = Instant::now();
            let done = (end - piece.first) * piece.midstates;
            for hits in hits.chunks(16).chain(hits.is_empty().then_some(&[][..])) {
                let body = json!({"piece": piece.number, "done": done, "hits": hits});
                let is_over = || stop.load(Ordering::Relaxed) || lock(&inbox).end.is_some();
                self.bring(&body.to_string(), is_over, &mut tally, on_accepted);
            }
        }
        // The reader ends with its stream, which the class ends; a test does not wait for that.
        drop(reader);
        tally
    }

    /// Posts hits until there is an answer, or all is over, and counts the verdicts.
    fn bring(
        &self,
        body: &str,
        is_over: impl Fn() -> bool,
        tally: &mut Tally,
        on_accepted: &dyn Fn(),
    ) {
        let begun = Instant::now();
        let answer = loop {
            match self.post(body) {
                Ok((429 | 503, _)) | Err(_) if !is_over() => {
                    std::thread::sleep(Duration::from_millis(200));
                }
                Ok((_, answer)) => break answer,
                Err(_) => return,
            }
        };
        tally.slowest = tally.slowest.max(begun.elapsed().as_secs_f64());
        for verdict in answer["verdicts"].as_array().into_iter().flatten() {
            match verdict["verdict"].as_str() {
                Some("accepted") => {
                    tally.accepted += 1;
                    on_accepted();
                }
                Some("stale") => tally.stale += 1,
                _ => tally.rejected += 1,
            }
            tally.blocks += u64::from(verdict["block"] == true);
        }
    }

    /// Reads streams until one ends for good.
    fn read(&self, inbox: &Mutex<Inbox>) {
        loop {
            if let Ok(events) = self.events() {
                lock(inbox).streams += 1;
                for (name, data) in events {
                    let mut inbox = lock(inbox);
                    match name.as_str() {
                        "work" => inbox.piece = Some(Arc::new(Piece::parse(&data))),
                        "you" => inbox.you = data,
                        _ => {
                            inbox.end = Some(data);
                            return;
                        }
                    }
                }
            }
            // A browser waits as long.
            std::thread::sleep(Duration::from_secs(1));
            let gone = self.post(r#"{"piece":0}"#).map(|(status, _)| status);
            if matches!(gone, Err(_) | Ok(404 | 410)) {
                lock(inbox).end = Some(Value::Null);
                return;
            }
        }
    }
}

fn lock(inbox: &Mutex<Inbox>) -> MutexGuard<'_, Inbox> {
    inbox.lock().expect("no thread of a device panics")
}

impl Piece {
    /// Hashes these nonces with every midstate; how many hashes that were. Hits are told by the
    /// index of their midstate.
    pub(crate) fn scan(
        &self,
        kernel: Kernel,
        nonces: Range<u64>,
        on_hit: &mut dyn FnMut(usize),
    ) -> u64 {
        kernel.scan(&self.work, nonces, &mut |hit| on_hit(hit.midstate))
    }

    pub(crate) fn parse(work: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let midstates: Vec<_> = work["midstates"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|midstate| {
                let hex = text(midstate);
                let word = |at: usize| u32::from_str_radix(&hex[8 * at..8 * at + 8], 16);
                Midstate::from_words(std::array::from_fn(|at| word(at).expect("a word in hex")))
            })
            .collect();
        let tail = hex::decode(text(&work["tail"])).expect("hex").try_into().expect("12 bytes");
        let mut target: [u8; 32] =
            hex::decode(text(&work["target"])).expect("hex").try_into().expect("32 bytes");
        target.reverse();
        let number = |field: &str| work[field].as_u64().expect("a number");
        Self {
            number: number("piece"),
            midstates: midstates.len() as u64,
            work: Work::new(&midstates, Tail::from_bytes(tail), &target)
                .expect("1 to 64 midstates"),
            first: number("first"),
            end: number("first") + number("count"),
        }
    }
}

/// The server-sent events of a path, until the stream ends.
pub(crate) fn events(
    address: &str,
    path: &str,
) -> io::Result<impl Iterator<Item = (String, Value)> + use<>> {
    let mut stream = TcpStream::connect(address)?;
    // HTTP/1.0: no chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut lines = BufReader::new(stream).lines();
    let status = lines.next().transpose()?.unwrap_or_default();
    if !status.contains(" 200 ") {
        return Err(io::Error::other(status));
    }
    let mut lines = lines.map_while(Result::ok);
    Ok(std::iter::from_fn(move || {
        let mut name = String::new();
        loop {
            let line = lines.next()?;
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(data).expect("JSON")));
            }
        }
    }))
}
