//! The HTTP side: connections within their limits, one route for each thing there is to read, and
//! the headers that keep a browser on our side. It changes nothing: there is no request that could.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, HeaderName, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::stream::{self, Stream, StreamExt};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use midstate_limits::{LimitRow, row};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{oneshot, watch};
use tokio::task::{self, JoinSet};
use tokio::time::timeout;

use super::feed::{Feed, News};
use super::guard::{Guard, Pass, Refusal};
use super::metrics;

/// Connections to the page at a time; one more is closed at once.
const MAX_CONNECTIONS: usize = 32;
/// Connections beyond those that are told so at a time. There are no words for a crowd.
const MAX_REFUSED: usize = 32;
/// Bytes of a request's head.
const MAX_HEAD: usize = 8 * 1024;
/// Time for a request's head, from the opening of the connection or the end of the last answer on.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// A connection does not get older, so that a browser that was put to sleep does not keep its
/// place. One that is awake connects again by itself.
const MAX_AGE: Duration = Duration::from_secs(10 * 60);
/// How long the browsers may take to read the last words.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a browser waits before it connects again.
const RETRY: Duration = Duration::from_secs(1);

/// For every answer. No `Access-Control-Allow-Origin`: other sites' scripts get nothing to read.
const HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    // The first URL may hold the token.
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
];

/// The page itself.
const PAGE: &str = include_str!("page.html");
/// The files that it loads: path, media type, text.
const FILES: [(&str, &str, &str); 5] = [
    ("/look.css", STYLE, super::LOOK),
    ("/page.css", STYLE, include_str!("page.css")),
    ("/words.js", SCRIPT, super::WORDS),
    ("/ladder.js", SCRIPT, super::LADDER),
    ("/page.js", SCRIPT, include_str!("page.js")),
];
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Each limit as a row.
pub(crate) fn limits() -> Vec<LimitRow> {
    vec![
        row("request head", format!("{MAX_HEAD} B"), "answered 431 and closed"),
        row("time for a head, or between two", HEAD_TIME, "closed"),
        row("connections", MAX_CONNECTIONS, "answered 503 and closed"),
        row("age of a connection", MAX_AGE, "closed; a browser connects again"),
    ]
}

/// The other end of a connection, in the extensions of its requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Serves the page until `stop` is dropped or used, then says goodbye.
pub(super) async fn serve(
    listener: TcpListener,
    guard: Guard,
    feed: Arc<Feed>,
    stop: oneshot::Receiver<()>,
) {
    let bounds = Bounds { connections: MAX_CONNECTIONS, of_an_address: MAX_CONNECTIONS };
    serve_router(listener, router(guard, feed), bounds, stop).await;
}

/// How many connections a server has at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// All together.
    pub(crate) connections: usize,
    /// From one address, so that none can take all places.
    pub(crate) of_an_address: usize,
}

/// Serves to so many connections until `stop` is dropped or used, then says goodbye. Each request
/// has the [`Peer`] that it came from.
pub(crate) async fn serve_router(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    mut stop: oneshot::Receiver<()>,
) {
    let (mut connections, mut refused) = (JoinSet::new(), JoinSet::new());
    // The address of each connection, by the task that serves it.
    let mut from: HashMap<task::Id, IpAddr> = HashMap::new();
    let has_place = |ip: IpAddr, from: &HashMap<task::Id, IpAddr>| {
        let of_it = from.values().filter(|other| **other == ip).count();
        from.len() < bounds.connections && of_it < bounds.of_an_address
    };
    let (closing, closed) = watch::channel(());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) if has_place(peer.ip(), &from) => {
                    // An answer that waits for another one to be acknowledged is late.
                    let _ = stream.set_nodelay(true);
                    let router = router.clone().layer(Extension(Peer(peer)));
                    let task = connections.spawn(serve_connection(stream, router, closed.clone()));
                    from.insert(task.id(), peer.ip());
                }
                Ok((stream, _)) if refused.len() < MAX_REFUSED => {
                    refused.spawn(turn_away(stream));
                }
                Ok(_) => {}
                Err(error) => {
                    // Out of descriptors, usually: the others' connections go on.
                    tracing::warn!(%error, "the page cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(ended) = connections.join_next_with_id() => {
                from.remove(&ended.map_or_else(|panic| panic.id(), |(id, ())| id));
            }
            Some(_) = refused.join_next() => {}
            _ = &mut stop => break,
        }
    }
    drop((listener, closing));
    // A browser that reads slower than that is left behind.
    let _ = timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
}

async fn serve_connection(stream: TcpStream, router: Router, mut closed: watch::Receiver<()>) {
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_header_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let served = timeout(MAX_AGE, async {
        tokio::select! {
            served = connection.as_mut() => return served,
            _ = closed.changed() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    });
    if let Ok(Err(error)) = served.await {
        tracing::debug!(%error, "a connection to the page");
    }
}

/// Tells one too many so. What it asks is read, not heeded: a socket that is closed on unread bytes
/// throws our own words away with them.
async fn turn_away(mut stream: TcpStream) {
    const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\
        Content-Type: text/plain\r\n\r\ntoo many are watching, try again in a minute\n";
    let _ = timeout(FAREWELL, async {
        stream.write_all(FULL).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    })
    .await;
}

fn router(guard: Guard, feed: Arc<Feed>) -> Router {
    let page = Router::new().route("/", get(|| async { text("text/html; charset=utf-8", PAGE) }));
    let with_files = FILES.into_iter().fold(page, |router, (path, media_type, content)| {
        router.route(path, get(move || async move { text(media_type, content) }))
    });
    with_files
        .route("/events", get(events))
        .route("/api/v1/status", get(status))
        .route("/api/v1/machines", get(|| async { json(super::machines_json()) }))
        .route("/metrics", get(metrics))
        .with_state(feed)
        .fallback(|| async { plain(StatusCode::NOT_FOUND, "there is no such page; try /\n") })
        .layer(from_fn_with_state(Arc::new(guard), admit))
}

/// Through the guard, and out with the headers.
async fn admit(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let mut response = match guard.admit(&head) {
        Ok(pass) => {
            let mut response = next.run(Request::from_parts(head, body)).await;
            if let Pass::WithCookie(cookie) = pass {
                let cookie = HeaderValue::try_from(cookie)
                    .expect("a token has letters, digits, - and _ only");
                response.headers_mut().insert(SET_COOKIE, cookie);
            }
            response
        }
        Err(refusal) => {
            let (status, words) = refusal.answer();
            let mut response = plain(status, words);
            if refusal == Refusal::Method {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            }
            response
        }
    };
    for (name, value) in HEADERS {
        let name = HeaderName::from_static(name);
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// How things stand, then all that happens. Who reads too slowly misses some of it; the next status
/// tells how things stand.
async fn events(
    State(feed): State<Arc<Feed>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (first, news) = feed.subscribe();
    let first = stream::iter(first.map(|news| to_event(&news).retry(RETRY)));
    let rest = stream::unfold(news, |news| async {
        let mut news = news?;
        loop {
            match news.recv().await {
                Ok(item) => return Some((to_event(&item), Some(news))),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    Sse::new(first.chain(rest).map(Ok))
}

fn to_event(news: &News) -> Event {
    Event::default().event(news.name).data(&news.data)
}

async fn status(State(feed): State<Arc<Feed>>) -> Response {
    feed.status().map_or_else(not_yet, json)
}

async fn metrics(State(feed): State<Arc<Feed>>) -> Response {
    feed.metrics().map_or_else(not_yet, |body| text(metrics::MEDIA_TYPE, body))
}

fn not_yet() -> Response {
    plain(StatusCode::SERVICE_UNAVAILABLE, "mining has not begun; try again in a second\n")
}

fn json(body: String) -> Response {
    text("application/json", body)
}

fn plain(status: StatusCode, words: &'static str) -> Response {
    (status, text("text/plain; charset=utf-8", words)).into_response()
}

fn text(media_type: &'static str, body: impl IntoResponse) -> Response {
    ([(CONTENT_TYPE, media_type)], body).into_response()
}
