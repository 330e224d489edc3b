//! From mining to browsers: keeps the board, and tells everybody who listens what happens, in the
//! words of `--json`. Never waits for a browser: who is too slow misses something.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::board::Board;
use super::metrics;
use crate::mining::View;
use crate::mining::event::Event;
use crate::mining::status::Status;
use crate::shell::output::to_json;

/// News that a browser may be behind.
const BACKLOG: usize = 256;
/// How often the whole status goes out: a second, less half the time between two ticks.
const STATUS_EVERY: Duration = Duration::from_millis(875);

/// See the [module](self) page.
pub(super) struct Feed {
    opened: Instant,
    state: Mutex<State>,
}

struct State {
    board: Board,
    /// `None` once there is no more to tell.
    listeners: Option<broadcast::Sender<Arc<News>>>,
    /// When the status was last sent; `None` if it is to be sent as soon as may be.
    told: Option<Duration>,
}

/// Something to tell.
pub(super) struct News {
    /// The event's name.
    pub(super) name: &'static str,
    /// The event, as JSON.
    pub(super) data: String,
}

impl Feed {
    pub(super) fn new() -> Self {
        let state = State {
            board: Board::default(),
            listeners: Some(broadcast::Sender::new(BACKLOG)),
            told: None,
        };
        Self { opened: Instant::now(), state: Mutex::new(state) }
    }

    /// How things stand, if mining has begun, and what happens from now on, unless it is over.
    pub(super) fn subscribe(&self) -> (Option<News>, Option<broadcast::Receiver<Arc<News>>>) {
        let state = self.lock();
        let listener = state.listeners.as_ref().map(broadcast::Sender::subscribe);
        (state.status(self.now()).map(|data| News { name: "status", data }), listener)
    }

    /// The status, as JSON.
    pub(super) fn status(&self) -> Option<String> {
        self.lock().status(self.now())
    }

    /// The status, as OpenMetrics.
    pub(super) fn metrics(&self) -> Option<String> {
        self.lock().board.snapshot(self.now()).map(|snapshot| metrics::to_text(&snapshot))
    }

    /// See [`Board::open_pool`].
    pub(super) fn open_pool(&self, difficulty: Option<f64>) {
        self.lock().board.open_pool(difficulty);
    }

    /// See [`Board::pool_listens`].
    pub(super) fn pool_listens(&self, address: SocketAddr) {
        self.lock().board.pool_listens(address);
    }

    /// Something happened at the pool in this program.
    pub(super) fn pool_event(&self, event: &midstate_pool::EmbeddedPoolEvent) {
        let mut state = self.lock();
        state.board.record_pool_event(self.now(), event);
        if matches!(
            event,
            midstate_pool::EmbeddedPoolEvent::Block { .. }
                | midstate_pool::EmbeddedPoolEvent::Joined { .. }
        ) {
            state.told = None;
        }
    }

    /// There is no more to tell: ends every listener's stream.
    pub(super) fn close(&self) {
        self.lock().listeners = None;
    }

    fn event(&self, event: &Event, status: &Status) {
        let (now, mut state) = (self.now(), self.lock());
        state.board.record_status(now, status);
        state.board.record_event(now, event);
        state.tell(event.name(), || to_json(event));
        match event {
            Event::Pool(_) | Event::Block(_) => state.told = None,
            Event::Summary(_) => state.tell_status(now),
            // These can wait for the next status.
            _ => {}
        }
    }

    fn tick(&self, status: &Status) {
        let (now, mut state) = (self.now(), self.lock());
        state.board.record_status(now, status);
        if let Some(header) = &status.header {
            state.tell("header", || to_json(&json!({ "event": "header", "header": header })));
        }
        if state.told.is_none_or(|then| now - then >= STATUS_EVERY) {
            state.tell_status(now);
        }
    }

    fn now(&self) -> Duration {
        self.opened.elapsed()
    }

    /// A panic elsewhere cannot leave the board worse than late.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn status(&self, now: Duration) -> Option<String> {
        self.board.snapshot(now).map(|snapshot| to_json(&snapshot))
    }

    fn tell_status(&mut self, now: Duration) {
        self.told = Some(now);
        if let Some(data) = self.status(now) {
            self.tell("status", || data);
        }
    }

    /// Where nobody listens, nothing is written.
    fn tell(&self, name: &'static str, data: impl FnOnce() -> String) {
        let listeners = self.listeners.as_ref().filter(|all| all.receiver_count() > 0);
        if let Some(listeners) = listeners {
            // The last one may have left in this instant.
            let _ = listeners.send(Arc::new(News { name, data: data() }));
        }
    }
}

/// The feed, as mining knows it.
pub(super) struct FeedView(pub(super) Arc<Feed>);

impl View for FeedView {
    fn event(&mut self, event: &Event, status: &Status) {
        self.0.event(event, status);
    }

    fn tick(&mut self, status: &Status) {
        self.0.tick(status);
    }
}
