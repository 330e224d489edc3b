//! A TCP proxy that breaks what passes through it, on command. Threads and blocking sockets, on
//! loopback only.

use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

/// A fault of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Closed in order, between two lines.
    HangUp,
    /// RST to both sides.
    Reset,
    /// Nothing listens until the next fault.
    Refuse,
    /// Nothing passes, nothing is closed. The next fault resets what is left of it.
    HalfOpen,
    /// Everything comes 400 ms late until the next fault.
    Late,
    /// 200 bytes a second until the next fault.
    Slow,
    /// Half a line of the pool, then the end.
    CutLine,
    /// A line that is no JSON.
    Garbage,
    /// A job that cannot be one.
    BadJob,
    /// The pool's last line again: an answer or a job.
    Repeat,
    /// Answers to questions that were not asked.
    Strangers,
    /// `client.reconnect` to somebody else.
    Redirect,
}

impl Fault {
    pub(super) const ALL: [Self; 12] = [
        Self::HangUp,
        Self::Late,
        Self::Reset,
        Self::Garbage,
        Self::Refuse,
        Self::BadJob,
        Self::HalfOpen,
        Self::Repeat,
        Self::CutLine,
        Self::Strangers,
        Self::Slow,
        Self::Redirect,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::HangUp => "hang-up",
            Self::Reset => "reset",
            Self::Refuse => "refuse",
            Self::HalfOpen => "half-open",
            Self::Late => "late",
            Self::Slow => "slow",
            Self::CutLine => "cut-line",
            Self::Garbage => "garbage",
            Self::BadJob => "bad-job",
            Self::Repeat => "repeat",
            Self::Strangers => "strangers",
            Self::Redirect => "redirect",
        }
    }

    /// A line that the pool seems to send, all of a sudden.
    fn words(self) -> Option<&'static str> {
        match self {
            Self::Garbage => Some("\u{1b}]0;x\u{7}<html>502 Bad Gateway</html>\n"),
            Self::BadJob => Some(
                "{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"x\",\"00\",\"0\",\"\",[],\
                 \"20000000\",\"207fffff\",\"65000000\",true]}\n",
            ),
            Self::Strangers => Some(
                "{\"id\":4000000000,\"result\":true,\"error\":null}\n\
                 {\"id\":null,\"result\":false,\"error\":[23,\"low\",null]}\n",
            ),
            Self::Redirect => Some(
                "{\"id\":null,\"method\":\"client.reconnect\",\
                 \"params\":[\"evil.example\",3333,0]}\n",
            ),
            _ => None,
        }
    }
}

/// How often a thread that waits looks whether things have changed.
const GLANCE: Duration = Duration::from_millis(50);
const LATE: Duration = Duration::from_millis(400);
const BYTE: Duration = Duration::from_millis(5);

/// Stands in front of one pool. Its threads end with the process.
pub(super) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    pool: SocketAddr,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    refuses: bool,
    /// The newest connection; a miner with one pool has one. The threads that carry it own it, so
    /// that its sockets close when they end.
    wire: Weak<Wire>,
}

/// A connection from miner to pool.
struct Wire {
    miner: TcpStream,
    pool: TcpStream,
    fault: Mutex<Option<Fault>>,
}

impl Proxy {
    pub(super) fn start(pool: SocketAddr) -> anyhow::Result<Self> {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { pool, state: Mutex::default() });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(listener, address));
        Ok(Self { address, shared })
    }

    pub(super) fn url(&self) -> String {
        format!("stratum+tcp://{}", self.address)
    }

    /// Ends the fault before, and begins this one.
    pub(super) fn strike(&mut self, fault: Fault) {
        self.calm();
        let mut state = lock(&self.shared.state);
        state.refuses = fault == Fault::Refuse;
        if let Some(wire) = state.wire.upgrade() {
            wire.strike(fault);
        }
    }

    /// Ends the fault before.
    pub(super) fn calm(&mut self) {
        let mut state = lock(&self.shared.state);
        state.refuses = false;
        if let Some(wire) = state.wire.upgrade()
            && lock(&wire.fault).take() == Some(Fault::HalfOpen)
        {
            wire.strike(Fault::Reset);
        }
    }
}

impl Shared {
    fn accept(&self, listener: TcpListener, address: SocketAddr) {
        let mut listener = Some(listener);
        loop {
            thread::sleep(GLANCE);
            if lock(&self.state).refuses {
                // A port without a listener refuses.
                listener = None;
                continue;
            }
            listener = listener.or_else(|| listen(address).ok());
            if let Some(Ok((miner, _))) = listener.as_ref().map(TcpListener::accept) {
                // Where the pool is not there, the miner is hung up on.
                let _ = self.join(miner);
            }
        }
    }

    fn join(&self, miner: TcpStream) -> io::Result<()> {
        let pool = TcpStream::connect(self.pool)?;
        for stream in [&miner, &pool] {
            stream.set_nonblocking(false)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(GLANCE))?;
        }
        let wire = Arc::new(Wire { miner, pool, fault: Mutex::default() });
        let before = mem::replace(&mut lock(&self.state).wire, Arc::downgrade(&wire));
        if let Some(before) = before.upgrade() {
            before.strike(Fault::Reset);
        }
        let other = Arc::clone(&wire);
        thread::spawn(move || other.carry(&other.miner, &other.pool, false));
        thread::spawn(move || wire.carry(&wire.pool, &wire.miner, true));
        Ok(())
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl Wire {
    fn strike(&self, fault: Fault) {
        if matches!(fault, Fault::Reset | Fault::Refuse) {
            for stream in [&self.miner, &self.pool] {
                // A socket that is closed without lingering sends RST.
                let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
            }
        }
        *lock(&self.fault) = Some(fault);
    }

    /// Carries bytes one way until either end is gone, or a fault ends the connection.
    fn carry(&self, from: &TcpStream, to: &TcpStream, from_pool: bool) {
        if self.carry_on(from, to, from_pool).is_err() {
            // The thread of the other way reads the end from this. Who is gone cannot be told.
            let _ = self.miner.shutdown(Shutdown::Both);
            let _ = self.pool.shutdown(Shutdown::Both);
        }
    }

    /// An error is an end in order.
    fn carry_on(&self, from: &TcpStream, mut to: &TcpStream, from_pool: bool) -> io::Result<()> {
        let mut lines = Lines::default();
        let mut buffer = [0; 4096];
        loop {
            // Not held while anything blocks.
            let fault = *lock(&self.fault);
            match fault {
                Some(Fault::Reset | Fault::Refuse) => return Ok(()),
                Some(Fault::HalfOpen) => {
                    thread::sleep(GLANCE);
                    continue;
                }
                Some(Fault::HangUp) if from_pool && lines.are_whole() => {
                    return Err(ErrorKind::ConnectionAborted.into());
                }
                Some(Fault::Repeat) if from_pool && lines.are_whole() => {
                    to.write_all(&lines.last)?;
                    *lock(&self.fault) = None;
                }
                Some(fault) if from_pool && lines.are_whole() => {
                    if let Some(words) = fault.words() {
                        to.write_all(words.as_bytes())?;
                        *lock(&self.fault) = None;
                    }
                }
                _ => {}
            }
            let mut from = from;
            let bytes = match from.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => &buffer[..length],
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {
                        continue;
                    }
                    _ => return Err(error),
                },
            };
            match fault {
                Some(Fault::CutLine) if from_pool => {
                    to.write_all(&bytes[..bytes.len() / 2])?;
                    return Err(ErrorKind::ConnectionAborted.into());
                }
                Some(Fault::Late) => {
                    thread::sleep(LATE);
                    to.write_all(bytes)?;
                }
                Some(Fault::Slow) => self.trickle(bytes, to)?,
                _ => to.write_all(bytes)?,
            }
            lines.follow(bytes);
        }
    }

    fn trickle(&self, bytes: &[u8], mut to: &TcpStream) -> io::Result<()> {
        for byte in bytes {
            to.write_all(&[*byte])?;
            if *lock(&self.fault) == Some(Fault::Slow) {
                thread::sleep(BYTE);
            }
        }
        Ok(())
    }
}

/// Follows what was carried, to know where a line ends and what it said.
#[derive(Default)]
struct Lines {
    last: Vec<u8>,
    begun: Vec<u8>,
}

impl Lines {
    fn follow(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.begun.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.last = mem::take(&mut self.begun);
            }
        }
    }

    fn are_whole(&self) -> bool {
        self.begun.is_empty()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// How long is waited for what is sure to come, however busy the machine is.
    const PATIENCE: Duration = Duration::from_secs(200);

    /// A pool that echoes.
    fn pool() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut heard = [0; 64];
                    while let Ok(length @ 1..) = stream.read(&mut heard) {
                        stream.write_all(&heard[..length]).unwrap();
                    }
                });
            }
        });
        address
    }

    /// Whether a line comes back, and all that comes with it.
    fn ask(proxy: &Proxy) -> io::Result<(TcpStream, String)> {
        let mut miner = TcpStream::connect(proxy.address)?;
        miner.set_read_timeout(Some(PATIENCE))?;
        let heard = talk(&mut miner)?;
        Ok((miner, heard))
    }

    fn talk(miner: &mut TcpStream) -> io::Result<String> {
        miner.write_all(b"hello\n")?;
        let mut heard = Vec::new();
        while !heard.ends_with(b"hello\n") {
            let mut piece = [0; 512];
            match miner.read(&mut piece) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => heard.extend_from_slice(&piece[..length]),
                // A process that was stopped and goes on, for one.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(String::from_utf8(heard).unwrap())
    }

    /// The first thing that comes of `attempt`, made again and again: the proxy's threads look at
    /// what is asked of them now and then.
    fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(outcome) = attempt() {
                return outcome;
            }
            assert!(started.elapsed() < PATIENCE, "{what}");
            thread::sleep(GLANCE / 5);
        }
    }

    /// Whether a fault that is over at once has been.
    fn has_struck(proxy: &Proxy) -> Option<()> {
        let wire = lock(&proxy.shared.state).wire.upgrade();
        wire.is_none_or(|wire| lock(&wire.fault).is_none()).then_some(())
    }

    #[test]
    fn every_fault_strikes_and_leaves_the_proxy_at_work() {
        let mut proxy = Proxy::start(pool()).unwrap();
        for fault in Fault::ALL {
            let name = fault.name();
            let (mut miner, heard) = wait_for("it listens again", || ask(&proxy).ok());
            assert_eq!(heard, "hello\n", "before {name}");
            proxy.strike(fault);
            match fault {
                Fault::Late | Fault::HalfOpen => {
                    miner.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
                    let error = wait_for(name, || talk(&mut miner).err());
                    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{name}");
                }
                Fault::Slow => assert_eq!(talk(&mut miner).unwrap(), "hello\n"),
                Fault::Repeat => {
                    wait_for(name, || has_struck(&proxy));
                    let mut heard = talk(&mut miner).unwrap().into_bytes();
                    let came = heard.len();
                    heard.resize("hello\nhello\n".len(), 0);
                    miner.read_exact(&mut heard[came..]).unwrap();
                    assert_eq!(heard, b"hello\nhello\n");
                }
                Fault::HangUp | Fault::Reset | Fault::Refuse | Fault::CutLine => {
                    let error = wait_for(name, || talk(&mut miner).err());
                    assert_ne!(error.kind(), ErrorKind::WouldBlock, "{name}");
                }
                Fault::Garbage | Fault::BadJob | Fault::Strangers | Fault::Redirect => {
                    wait_for(name, || has_struck(&proxy));
                    let said = format!("{}hello\n", fault.words().unwrap());
                    assert_eq!(talk(&mut miner).unwrap(), said, "{name}");
                }
            }
            let refused = || TcpStream::connect(proxy.address).is_err();
            match fault {
                Fault::Refuse => wait_for(name, || refused().then_some(())),
                _ => assert!(!refused(), "{name}"),
            }
            proxy.calm();
        }
    }
}
