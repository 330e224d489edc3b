//! The room: the pool of the class with its devices. It is the backend of the pool's server, so
//! that one task owns all of it; the door asks it by a channel. What devices and the class's page
//! are shown waits on sheets, of which the newest alone counts: a browser that reads slowly costs
//! nothing.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midstate_classroom::{Class, ClassStatus, HitsError, JoinError, Report, Verdict, Work};
use midstate_net::Backend;
use midstate_pool::{EmbeddedPoolEvent, Front, Pool, SessionId};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::console::{Order, Reply};
use super::facts::Facts;

/// How often everybody is shown how things stand: so nothing that is shown is older than a second,
/// the way to the browser included.
const SHOWN_EVERY: Duration = Duration::from_millis(900);
/// Not more often than this, however fast blocks come.
const SHOWN_AT_MOST: Duration = Duration::from_millis(200);

/// What there is to show, each as JSON.
#[derive(Debug, Clone, Default)]
pub(super) struct Sheet {
    pub(super) work: Option<Arc<str>>,
    pub(super) you: Option<Arc<str>>,
    /// The last thing that is shown.
    pub(super) end: Option<Arc<str>>,
}

/// A request of the door.
pub(super) enum Ask {
    Join {
        from: SocketAddr,
        code: String,
        name: String,
        token: String,
        answer: oneshot::Sender<Result<String, JoinError>>,
    },
    Open {
        from: SocketAddr,
        token: String,
        answer: oneshot::Sender<Result<Stream, HitsError>>,
    },
    Close {
        token: String,
        number: u64,
    },
    Report {
        from: SocketAddr,
        token: String,
        /// What was brought, or why it cannot be read.
        report: Result<Report, String>,
        answer: oneshot::Sender<Result<Vec<Verdict>, HitsError>>,
    },
    /// A line that the teacher has typed.
    Order {
        order: Order,
        answer: oneshot::Sender<Reply>,
    },
    /// The class is over.
    End,
}

/// The stream of a device.
pub(super) struct Stream {
    pub(super) number: u64,
    pub(super) sheet: watch::Receiver<Sheet>,
}

/// Where the room is asked, and where the class's page gets its news.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(super) asks: mpsc::UnboundedSender<Ask>,
    pub(super) class: watch::Receiver<Option<Arc<str>>>,
}

/// See the [module](self) page.
pub(crate) struct Room<B> {
    backend: B,
    class: Class,
    facts: Arc<Facts>,
    /// Whether the node behind the pool gives work, if there is one.
    node: Option<watch::Receiver<bool>>,
    asks: mpsc::UnboundedReceiver<Ask>,
    streams: HashMap<String, Shown>,
    next_stream: u64,
    shown: watch::Sender<Option<Arc<str>>>,
    next_show: Instant,
    last_show: Instant,
}

/// The stream of a device, as the room sees it.
struct Shown {
    number: u64,
    sheet: watch::Sender<Sheet>,
    /// The device's.
    name: String,
}

impl Shown {
    fn put_work(&self, work: &Work) {
        self.sheet.send_modify(|sheet| sheet.work = Some(json(work)));
    }
}

/// The class, as its page gets it.
#[derive(Serialize)]
struct Shot<'a> {
    #[serde(flatten)]
    facts: &'a Facts,
    #[serde(flatten)]
    status: &'a ClassStatus,
    node: Option<bool>,
}

#[derive(Serialize)]
struct End<'a> {
    why: &'a str,
    words: &'a str,
}

impl Desk {
    /// The class is over: nobody joins any more, and whoever is there is told. A room that has
    /// closed before has done so.
    pub(crate) fn end(&self) {
        let _ = self.asks.send(Ask::End);
    }

    /// The teacher has typed a line. `None` when the room has closed.
    pub(super) async fn order(&self, order: Order) -> Option<Reply> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask::Order { order, answer }).ok()?;
        answered.await.ok()
    }
}

impl<B: Backend> Room<B> {
    /// A room whose pool is `backend`, and the desk at which it is asked.
    pub(crate) fn new(backend: B, class: Class, facts: Facts) -> (Self, Desk) {
        let (asks, inbox) = mpsc::unbounded_channel();
        let (shown, class_sheet) = watch::channel(None);
        let now = Instant::now();
        let room = Self {
            backend,
            class,
            facts: Arc::new(facts),
            node: None,
            asks: inbox,
            streams: HashMap::new(),
            next_stream: 0,
            shown,
            next_show: now,
            last_show: now,
        };
        (room, Desk { asks, class: class_sheet })
    }

    /// The same, of a pool at a node that gives work or does not.
    pub(crate) fn at_node(self, node: Option<watch::Receiver<bool>>) -> Self {
        Self { node, ..self }
    }

    /// The pool.
    pub(crate) fn backend(&self) -> &B {
        &self.backend
    }

    /// How the class stands.
    pub(crate) fn status(&self) -> ClassStatus {
        self.class.status(now(), self.backend.pool())
    }

    fn handle(&mut self, ask: Ask) {
        let now = now();
        // An answer that nobody waits for any more was asked for by a browser that has left.
        match ask {
            Ask::Join { from, code, name, token, answer } => {
                let joined = self.class.join(now, &mut self.backend, from, (&code, &name), token);
                let _ = answer.send(joined);
            }
            Ask::Open { from, token, answer } => {
                let opened = self.class.open(now, &mut self.backend, from, &token);
                let _ = answer.send(opened.map(|name| self.open(token, name)));
            }
            Ask::Close { token, number } => {
                // Unless another stream has taken its place.
                if self.streams.get(&token).is_some_and(|shown| shown.number == number) {
                    self.class.close(now, &token);
                }
            }
            Ask::Report { from, token, report, answer } => {
                let _ = answer.send(self.report(now, from, &token, report));
            }
            Ask::Order { order, answer } => {
                let reply = order.follow(&mut self.class, self.backend.pool());
                let _ = answer.send(reply);
                self.next_show = Instant::now();
            }
            Ask::End => {
                self.class.end(&mut self.backend);
                self.show();
            }
        }
    }

    /// A stream for a device. One that it had before ends; what was on its sheet stays there.
    fn open(&mut self, token: String, name: String) -> Stream {
        let before = self.streams.remove(&token);
        let sheet = before.map(|before| {
            let sheet = before.sheet.borrow().clone();
            let words = "another page of this device has taken over";
            before.sheet.send_modify(|sheet| sheet.end = Some(end("replaced", words)));
            Sheet { end: None, ..sheet }
        });
        let (sheet, receiver) = watch::channel(sheet.unwrap_or_default());
        self.next_stream += 1;
        let number = self.next_stream;
        // Its work comes behind the last event, as everybody's.
        self.streams.insert(token, Shown { number, sheet, name });
        // Sheets of devices that are forgotten are of no use.
        let most = 2 * self.class.limits().remembered;
        if self.streams.len() > most {
            self.streams.retain(|_, shown| shown.sheet.receiver_count() > 0);
        }
        // It need not wait a second for its first standing.
        self.next_show = Instant::now();
        Stream { number, sheet: receiver }
    }

    fn report(
        &mut self,
        now: Duration,
        from: SocketAddr,
        token: &str,
        report: Result<Report, String>,
    ) -> Result<Vec<Verdict>, HitsError> {
        let (class, backend) = (&mut self.class, &mut self.backend);
        let handled = match report {
            Ok(report) => class.handle_report(now, backend, from, token, &report),
            Err(words) => Err(class.handle_junk(now, backend, token, words)),
        };
        if let Err(HitsError::Dropped(words)) = &handled
            && let Some(shown) = self.streams.get(token)
        {
            shown.sheet.send_modify(|sheet| sheet.end = Some(end("dropped", words)));
        }
        let (verdicts, next) = handled?;
        if let Some((work, shown)) = next.zip(self.streams.get(token)) {
            shown.put_work(&work);
        }
        Ok(verdicts)
    }

    /// Shows everybody how things stand.
    fn show(&mut self) {
        let now = Instant::now();
        (self.last_show, self.next_show) = (now, now + SHOWN_EVERY);
        let status = self.status();
        let mut devices: HashMap<_, _> = status.devices().collect();
        for shown in self.streams.values().filter(|shown| shown.sheet.receiver_count() > 0) {
            if let Some(you) = devices.remove(&*shown.name) {
                let you = json(&you);
                shown.sheet.send_modify(|sheet| {
                    sheet.you = Some(you);
                    if status.over {
                        sheet.end.get_or_insert_with(|| end("over", "the class has ended"));
                    }
                });
            }
        }
        if self.shown.receiver_count() > 0 {
            let node = self.node.as_ref().map(|node| *node.borrow());
            let shot = json(&Shot { facts: &self.facts, status: &status, node });
            self.shown.send_replace(Some(shot));
        }
    }
}

impl<B: Backend> Front for Room<B> {
    fn pool(&self) -> &Pool {
        self.backend.pool()
    }

    fn pool_mut(&mut self) -> &mut Pool {
        self.backend.pool_mut()
    }

    fn settle(&mut self, now: Duration) {
        self.backend.settle(now);
    }

    /// On the way out the class hears of every event; behind the last one devices get their work.
    fn poll_event(&mut self) -> Option<EmbeddedPoolEvent> {
        if let Some(mut event) = self.backend.poll_event() {
            // Connections come and go with every pocket: a class hears of a name's sum.
            if let EmbeddedPoolEvent::Left { miner, stats, .. } = &mut event
                && let Some(sum) = self.backend.pool().standings().get(&miner.label())
            {
                *stats = *sum;
            }
            self.class.handle_event(now(), self.backend.pool(), &event);
            // Outside of the books nobody is called by a name that the teacher has hidden.
            if let Some(miner) = event.miner_mut()
                && self.class.is_renamed(miner)
            {
                miner.worker = self.class.shown_name(miner);
            }
            if matches!(event, EmbeddedPoolEvent::Block { .. }) {
                self.next_show = self.next_show.min(self.last_show + SHOWN_AT_MOST);
            }
            return Some(event);
        }
        for (token, shown) in &self.streams {
            if let Some(work) = self.class.poll_work(&mut self.backend, token) {
                shown.put_work(&work);
            }
        }
        None
    }

    /// When the class is over nothing counts any more: the standings that were shown are the last.
    fn handle_bytes(&mut self, now: Duration, id: SessionId, bytes: &[u8]) {
        if self.class.is_over() {
            return;
        }
        self.backend.handle_bytes(now, id, bytes);
    }
}

impl<B: Backend> Backend for Room<B> {
    /// Seats may find a block at any call.
    fn jobs(&self) -> Option<u64> {
        None
    }

    async fn renew(&mut self) {
        let due = self.class.poll_timeout();
        let silence = async {
            match due {
                Some(due) => sleep(due.saturating_sub(now())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // The pool first: what the node has said when the class ends still counts. Requests
            // last: however many come, the pages stay current.
            biased;
            () = self.backend.renew() => {}
            () = sleep_until(self.next_show) => self.show(),
            () = silence => self.class.handle_timeout(now(), &mut self.backend),
            Some(ask) = self.asks.recv() => self.handle(ask),
        }
    }
}

fn end(why: &str, words: &str) -> Arc<str> {
    json(&End { why, words })
}

pub(super) fn json(value: &impl Serialize) -> Arc<str> {
    let text = serde_json::to_string(value);
    text.expect("structs with string keys and finite numbers or null").into()
}

/// The time as the pool has it: since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
