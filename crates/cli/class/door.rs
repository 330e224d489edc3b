//! The routes: pages, and what devices ask. Every request passes the [guard](super::guard) first;
//! a body has a kilobyte and a few seconds.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::Stream as Events;
use futures_util::stream;
use midstate_classroom::{HitsError, JoinError, Report};
use midstate_limits::{LimitRow, row};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::files::{OF_DEVICES, OF_THE_CLASS};
use super::guard::{Refusal, admit, admit_here};
use super::room::{Ask, Desk, Sheet, Stream, json};
use crate::web::{Bounds, Peer, machines_json, serve_router};

/// See [`Door::CONNECTIONS`](super::Door::CONNECTIONS).
pub(super) const CONNECTIONS: usize = 1200;
/// Bytes of a request's body.
const BODY: usize = 1024;
/// Time for a request's body.
const BODY_TIME: Duration = Duration::from_secs(5);
/// How long a browser waits before it connects again.
const RETRY: Duration = Duration::from_secs(1);

/// For every answer. A device's kernel is WebAssembly, which needs its word in the policy.
const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
         connect-src 'self'; img-src 'self' data:; worker-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
];

/// Each limit as a row.
pub(crate) fn limits() -> Vec<LimitRow> {
    vec![
        row("connections, descriptors allowing", CONNECTIONS, "answered 503 and closed"),
        row(
            "connections of an address to the door",
            CONNECTIONS / 4 * 3,
            "answered 503 and closed",
        ),
        row("body of a request", format!("{BODY} B"), "answered 413"),
        row("time for a body", BODY_TIME, "answered 408"),
    ]
}

/// Serves until `stop` is dropped or used, then says goodbye. The class's page is told to be at
/// `page`.
pub(super) async fn serve(
    listener: TcpListener,
    desk: Desk,
    most: usize,
    page: SocketAddr,
    stop: oneshot::Receiver<()>,
) {
    // A school may be behind one address; one machine alone is not to keep all others out.
    let bounds = Bounds { connections: most, of_an_address: most / 4 * 3 };
    serve_router(listener, router(desk, page), bounds, stop).await;
}

fn router(desk: Desk, page: SocketAddr) -> Router {
    let file = |&(path, media_type, bytes): &(&'static str, &'static str, &'static [u8])| {
        (path, get(move || async move { text(media_type, bytes) }))
    };
    let mut class = Router::new().route("/class/events", get(class_events));
    for (path, route) in OF_THE_CLASS.iter().map(file) {
        class = class.route(path, route);
    }
    let mut router = Router::new()
        .route("/join", post(join))
        .route("/work", get(work))
        .route("/hits", post(hits))
        .route("/machines.json", get(|| async { text("application/json", machines_json()) }))
        .merge(
            class.layer(from_fn(move |peer, request, next| only_here(page, peer, request, next))),
        );
    for (path, route) in OF_DEVICES.iter().map(file) {
        router = router.route(path, route);
    }
    router
        .with_state(desk)
        .fallback(|| async {
            refuse(StatusCode::NOT_FOUND, "not-found", "there is no such page; try /", None)
        })
        .layer(from_fn(guarded))
}

/// Through the guard, and out with the headers.
async fn guarded(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let mut response = match admit(&head) {
        Ok(()) => next.run(Request::from_parts(head, body)).await,
        Err(refusal) => of_refusal(refusal),
    };
    for (name, value) in HEADERS {
        let name = HeaderName::from_static(name);
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn only_here(
    page: SocketAddr,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    match admit_here(&head, peer, page) {
        Ok(()) => next.run(Request::from_parts(head, body)).await,
        Err(refusal) => of_refusal(refusal),
    }
}

#[derive(Deserialize)]
struct JoinBody {
    code: String,
    #[serde(default)]
    name: String,
}

#[derive(Serialize)]
struct Joined {
    device: String,
    name: String,
}

async fn join(
    State(desk): State<Desk>,
    Extension(Peer(from)): Extension<Peer>,
    body: Body,
) -> Response {
    let body: JoinBody = match read(body, r#"{"code":"123456","name":"Ada"}"#).await {
        Ok(body) => body,
        Err(Unread::Answer(answer)) => return answer,
        Err(Unread::Words(words)) => return bad_request(&words),
    };
    let mut random = [0; 16];
    if getrandom::fill(&mut random).is_err() {
        let words = "the system gives no random numbers";
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "no-random", words, None);
    }
    let device = hex::encode(random);
    let JoinBody { code, name } = body;
    let token = device.clone();
    let ask = |answer| Ask::Join { from, code, name, token, answer };
    match asked(&desk, ask).await {
        Some(Ok(name)) => answer(StatusCode::OK, &Joined { device, name }),
        Some(Err(error)) => of_join_error(&error),
        None => of_join_error(&JoinError::Over),
    }
}

async fn work(
    State(desk): State<Desk>,
    Extension(Peer(from)): Extension<Peer>,
    uri: Uri,
) -> Response {
    let token = token(&uri);
    let ask = |answer| Ask::Open { from, token: token.clone(), answer };
    let stream = match asked(&desk, ask).await {
        Some(Ok(stream)) => stream,
        Some(Err(error)) => return of_hits_error(&error),
        None => return of_hits_error(&HitsError::Over),
    };
    Sse::new(sheets(stream, desk, token)).into_response()
}

#[derive(Deserialize)]
struct HitsBody {
    piece: u64,
    #[serde(default)]
    done: u64,
    #[serde(default)]
    hits: Vec<(usize, u32)>,
}

#[derive(Serialize)]
struct Verdicts {
    verdicts: Vec<midstate_classroom::Verdict>,
}

async fn hits(
    State(desk): State<Desk>,
    Extension(Peer(from)): Extension<Peer>,
    uri: Uri,
    body: Body,
) -> Response {
    let report = match read(body, r#"{"piece":17,"done":1234,"hits":[[0,99]]}"#).await {
        Ok(HitsBody { piece, done, hits }) => Ok(Report { piece, done, hits }),
        Err(Unread::Answer(answer)) => return answer,
        Err(Unread::Words(words)) => Err(words),
    };
    let token = token(&uri);
    let ask = |answer| Ask::Report { from, token, report, answer };
    match asked(&desk, ask).await {
        Some(Ok(verdicts)) => answer(StatusCode::OK, &Verdicts { verdicts }),
        Some(Err(error)) => of_hits_error(&error),
        None => of_hits_error(&HitsError::Over),
    }
}

/// The answer of the room; `None` if it has closed.
async fn asked<T>(desk: &Desk, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    desk.asks.send(ask(answer)).ok()?;
    answered.await.ok()
}

/// The token in a URL; of another length than tokens have it is nobody's.
fn token(uri: &Uri) -> String {
    let mut pairs = uri.query().unwrap_or_default().split('&');
    let token = pairs.find_map(|pair| pair.strip_prefix("device=")).unwrap_or_default();
    token.get(..32).filter(|it| it.len() == token.len()).unwrap_or_default().to_owned()
}

/// Why a body was not read.
enum Unread {
    /// It did not come, or too much of it: what to answer.
    Answer(Response),
    /// It is not what was expected.
    Words(String),
}

/// A body like the example.
async fn read<T: for<'a> Deserialize<'a>>(body: Body, example: &str) -> Result<T, Unread> {
    let bytes = match timeout(BODY_TIME, to_bytes(body, BODY)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let words = format!("a body has {BODY} bytes at most");
            let answer = refuse(StatusCode::PAYLOAD_TOO_LARGE, "too-large", &words, None);
            return Err(Unread::Answer(answer));
        }
        Err(_) => {
            let words = "the body of the request did not come";
            let answer = refuse(StatusCode::REQUEST_TIMEOUT, "timeout", words, None);
            return Err(Unread::Answer(answer));
        }
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        let what = match error.classify() {
            Category::Data => "has other fields, or other values in them, than are expected",
            Category::Io | Category::Syntax | Category::Eof => "is no JSON",
        };
        Unread::Words(format!("the body {what}; send one like {example}"))
    })
}

/// Says that a device's stream has ended, however it ends.
struct Closing {
    desk: Desk,
    token: String,
    number: u64,
}

impl Drop for Closing {
    fn drop(&mut self) {
        let Self { desk, token, number } = self;
        // A room that has closed wants no word of it.
        let _ = desk.asks.send(Ask::Close { token: std::mem::take(token), number: *number });
    }
}

/// What is on the sheet, and then what changes.
struct Reader {
    sheet: watch::Receiver<Sheet>,
    /// What was told.
    told: Sheet,
    is_first: bool,
    _closing: Closing,
}

fn sheets(
    Stream { number, sheet }: Stream,
    desk: Desk,
    token: String,
) -> impl Events<Item = Result<Event, Infallible>> {
    let closing = Closing { desk, token, number };
    let reader = Reader { sheet, told: Sheet::default(), is_first: true, _closing: closing };
    stream::unfold(reader, |mut reader| async {
        loop {
            if let Some(event) = reader.next_event() {
                return Some((Ok(event), reader));
            }
            // Its end was told.
            if reader.told.end.is_some() {
                return None;
            }
            reader.sheet.changed().await.ok()?;
        }
    })
}

impl Reader {
    /// The next thing that was not told.
    fn next_event(&mut self) -> Option<Event> {
        let now = self.sheet.borrow_and_update().clone();
        let told = &mut self.told;
        let news = [
            ("work", now.work, &mut told.work),
            ("you", now.you, &mut told.you),
            ("end", now.end, &mut told.end),
        ];
        let is_same = |now: &Arc<str>, told: &Option<Arc<str>>| {
            told.as_ref().is_some_and(|told| Arc::ptr_eq(now, told))
        };
        let (name, text) = news.into_iter().find_map(|(name, now, told)| {
            let text = now.filter(|now| !is_same(now, told))?;
            *told = Some(Arc::clone(&text));
            Some((name, text))
        })?;
        let event = Event::default().event(name).data(&*text);
        Some(if std::mem::take(&mut self.is_first) { event.retry(RETRY) } else { event })
    }
}

/// How the class stands, then each time it is shown.
async fn class_events(
    State(desk): State<Desk>,
) -> Sse<impl Events<Item = Result<Event, Infallible>>> {
    let mut sheet = desk.class;
    sheet.mark_changed();
    Sse::new(stream::unfold(sheet, |mut sheet| async {
        loop {
            sheet.changed().await.ok()?;
            let text = sheet.borrow_and_update().clone();
            if let Some(text) = text {
                let event = Event::default().event("class").data(&*text).retry(RETRY);
                return Some((Ok(event), sheet));
            }
        }
    }))
}

#[derive(Serialize)]
struct Problem<'a> {
    error: &'a str,
    words: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<f64>,
}

fn refuse(status: StatusCode, error: &str, words: &str, wait: Option<Duration>) -> Response {
    let wait = wait.map(|wait| wait.as_secs_f64());
    let mut response = answer(status, &Problem { error, words, wait });
    if let Some(wait) = wait {
        let seconds = HeaderValue::from(wait.ceil() as u64);
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

fn bad_request(words: &str) -> Response {
    refuse(StatusCode::BAD_REQUEST, "bad-request", words, None)
}

fn of_refusal(refusal: Refusal) -> Response {
    let (status, error, words) = refusal.answer();
    refuse(status, error, &words, None)
}

fn of_join_error(error: &JoinError) -> Response {
    let (status, name, wait) = match error {
        JoinError::Over => (StatusCode::GONE, "over", None),
        JoinError::WrongCode => (StatusCode::FORBIDDEN, "wrong-code", None),
        JoinError::Wait(wait) => (StatusCode::TOO_MANY_REQUESTS, "wait", Some(*wait)),
        JoinError::Full(_) => (StatusCode::SERVICE_UNAVAILABLE, "full", None),
    };
    refuse(status, name, &error.to_string(), wait)
}

fn of_hits_error(error: &HitsError) -> Response {
    let (status, name, wait) = match error {
        HitsError::Over => (StatusCode::GONE, "over", None),
        HitsError::Unknown => (StatusCode::NOT_FOUND, "unknown-device", None),
        HitsError::Dropped(_) => (StatusCode::GONE, "dropped", None),
        HitsError::Wait(wait) => (StatusCode::TOO_MANY_REQUESTS, "wait", Some(*wait)),
        HitsError::Senseless(_) => (StatusCode::BAD_REQUEST, "bad-request", None),
    };
    refuse(status, name, &error.to_string(), wait)
}

fn text(media_type: &'static str, body: impl IntoResponse) -> Response {
    ([(CONTENT_TYPE, media_type)], body).into_response()
}

fn answer(status: StatusCode, body: &impl Serialize) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], json(body).to_string()).into_response()
}
