//! HTTP to a node's RPC port: one POST, one answer. What is asked and what the answer means is
//! `gbt`'s business; this knows connections, passwords and limits.

use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use midstate_gbt::conf::Credentials;
use midstate_gbt::rpc::{Answer, Call, Headers, MAX_BODY, NoAnswer};
use midstate_stratum::Secret;
use tokio::time::{Instant, timeout};

use crate::blocking::on_a_thread;
use crate::connector::{self, ConnectError, Connector};
use crate::file::without_os_number;
use crate::foreign::{self, Spoken};
use crate::tls_words::broken_by_tls;
use crate::{NodeUrl, Route, cookie};

/// Core closes idle connections after 30 s; one that is used at that very moment breaks.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection that was closed before the call breaks within this time. One that breaks later was
/// open, and the server hung up on the call itself.
const STALE: Duration = Duration::from_secs(2);

/// A node, how to get there, and how to be let in.
#[derive(Debug, Clone)]
pub struct NodeAccess {
    /// Where it answers.
    pub url: NodeUrl,
    /// The certificates to trust, and the proxy.
    pub route: Route,
    /// Its credentials.
    pub credentials: Credentials,
}

/// A node's RPC port. Any number of calls may be under way.
pub struct RpcClient {
    uri: String,
    credentials: Credentials,
    /// The header made of the credentials when they were last read.
    authorization: Mutex<Option<HeaderValue>>,
    http: Client<Connector, Full<Bytes>>,
    /// Opens a connection for each call.
    fresh: Client<Connector, Full<Bytes>>,
    connector: Connector,
    /// Calls of [`ask`](Self::ask): their ids.
    asked: AtomicU64,
}

impl RpcClient {
    /// Connects when something is asked.
    pub fn new(node: &NodeAccess) -> Self {
        Self::watched(node, || {})
    }

    /// As [`new`](Self::new); calls `opened` for each connection before anything goes over it:
    /// another node may answer there.
    pub fn watched(node: &NodeAccess, opened: impl Fn() + Send + Sync + 'static) -> Self {
        let connector = Connector::new(node.url.clone(), node.route.clone(), Box::new(opened));
        let http = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .build(connector.clone());
        let fresh = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector.clone());
        Self {
            uri: node.url.without_zone().to_string(),
            credentials: node.credentials.clone(),
            authorization: Mutex::default(),
            http,
            fresh,
            connector,
            asked: AtomicU64::default(),
        }
    }

    /// Makes a call and waits for its answer.
    ///
    /// # Errors
    /// When there was none, or one to another call.
    pub(crate) async fn ask(&self, call: &Call, limit: Duration) -> Result<Answer, NoAnswer> {
        let id = self.asked.fetch_add(1, Ordering::Relaxed);
        self.post(call.body(id), limit).await?.to_call(id)
    }

    /// Sends a JSON-RPC body and waits for the answer, whatever its status. On 401 the credentials
    /// are read anew and the call is made once more: a node writes a new cookie at each start.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn post(&self, body: Vec<u8>, limit: Duration) -> Result<Answer, NoAnswer> {
        let body = Bytes::from(body);
        let progress = Progress::default();
        let exchange = async {
            let known = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(authorization) = known {
                let answer = self.send(body.clone(), authorization, &progress).await?;
                if answer.status != StatusCode::UNAUTHORIZED {
                    return Ok(answer);
                }
            }
            let fresh = self.read_credentials().await?;
            *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(fresh.clone());
            self.send(body, fresh, &progress).await
        };
        match timeout(limit, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(NoAnswer::TimedOut(self.too_late(limit, &progress))),
        }
    }

    /// The time is up.
    fn too_late(&self, limit: Duration, progress: &Progress) -> String {
        let seconds = limit.as_secs();
        match progress.bytes() {
            Some(bytes) => format!(
                "only {bytes} bytes of an answer came within {seconds} s: look at the network, and \
                 at the proxy or web server in front of the node"
            ),
            None if self.connector.has_heard() => {
                self.connector.explain(format!("no complete answer came within {seconds} s"))
            }
            None => self.connector.explain(format!("nothing came within {seconds} s")),
        }
    }

    /// Rule: a kept connection that the server closed without a word is no answer, and costs the
    /// call nothing: it is made once more, on a fresh connection. Every call may be made twice: a
    /// block that the node has already is a duplicate.
    async fn send(
        &self,
        body: Bytes,
        authorization: HeaderValue,
        progress: &Progress,
    ) -> Result<Answer, NoAnswer> {
        let request = || {
            Request::post(&self.uri)
                .header(CONTENT_TYPE, "application/json")
                .header(AUTHORIZATION, authorization.clone())
                .body(Full::new(body.clone()))
                .map_err(|error| NoAnswer::NobodyThere(error.to_string()))
        };
        let (opened, asked_at) = (self.connector.opened(), Instant::now());
        let response = match self.http.request(request()?).await {
            Err(error)
                if was_hung_up(&error)
                    && opened == self.connector.opened()
                    && asked_at.elapsed() < STALE =>
            {
                self.fresh.request(request()?).await
            }
            other => other,
        };
        let response = response.map_err(|error| self.no_answer(&error))?;
        self.connector.heard_http();
        let status = response.status().as_u16();
        let header = |name| {
            response
                .headers()
                .get(name)
                .map(|value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let headers = Headers {
            content_type: header(CONTENT_TYPE),
            content_encoding: header(CONTENT_ENCODING),
            location: header(LOCATION),
        };
        let body = read_body(response.into_body(), progress).await?;
        Ok(Answer { status, headers, body })
    }

    fn no_answer(&self, error: &legacy::Error) -> NoAnswer {
        let words = in_words(error);
        if error.is_connect() {
            // Its words name the cure already.
            return match causes(error).find_map(|cause| cause.downcast_ref::<ConnectError>()) {
                Some(error) if error.is_definite() => NoAnswer::NobodyThere(words),
                _ => NoAnswer::NoConnection(words),
            };
        }
        let is_told_by_tls = causes(error).last().and_then(broken_by_tls).is_some();
        let is_bad = |error: &_| has_too_long_a_head(error) || has_a_bad_head(error).is_some();
        if is_told_by_tls || is(error, is_bad) {
            return NoAnswer::Broken(words);
        }
        if was_hung_up(error)
            && let Some(words) = half_a_head(&connector::Answer::of(error))
        {
            return NoAnswer::Cut(words);
        }
        if is(error, hyper::Error::is_parse)
            && let Some(words) = bad_first_line(&self.connector.first())
        {
            return NoAnswer::Broken(words);
        }
        let words = self.connector.explain(words);
        match is(error, hyper::Error::is_parse) {
            true => NoAnswer::NotHttp(words),
            false => NoAnswer::Broken(words),
        }
    }

    /// Rule 7: a text of the node without what we have sent to be let in, should it repeat that.
    pub(crate) fn hide(&self, text: &mut String) {
        let known = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(sent) = known.as_ref().and_then(|value| value.to_str().ok()) else { return };
        let encoded = sent.trim_start_matches("Basic ");
        let login = BASE64.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let password = login.as_deref().and_then(|login| Some(login.split_once(':')?.1));
        for secret in [Some(encoded), password].into_iter().flatten() {
            *text = Secret::new(secret).hide(text);
        }
    }

    /// The node's credentials, as a header.
    pub(crate) async fn read_credentials(&self) -> Result<HeaderValue, NoAnswer> {
        let login = match &self.credentials {
            Credentials::Password { user, password } => format!("{user}:{password}"),
            Credentials::Cookie(path) => {
                let file = path.clone();
                // It may lie on another machine, which takes its time.
                let read = on_a_thread(move || cookie::read(&file)).await;
                read.unwrap_or_else(|error| Err(format!("cannot read the cookie file: {error}")))
                    .map_err(NoAnswer::NoCredentials)?
            }
        };
        let mut value = HeaderValue::try_from(format!("Basic {}", BASE64.encode(login)))
            .expect("base64 fits into a header");
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Whether the connection ended before anything of an answer came.
fn was_hung_up(error: &legacy::Error) -> bool {
    causes(error).any(|cause| {
        cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message)
            || cause.downcast_ref::<io::Error>().is_some_and(|error| {
                matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionReset
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::BrokenPipe
                )
            })
    })
}

/// Why there is no answer: hyper's own text is "client error (Connect)".
fn in_words(error: &legacy::Error) -> String {
    if is(error, has_too_long_a_head) {
        return "the answer has more than 100 HTTP headers, or longer ones than we read: a node \
                sends about five; look at the proxy or web server in front of it"
            .to_owned();
    }
    let bad_head = |cause: &(dyn Error + 'static)| has_a_bad_head(cause.downcast_ref()?);
    if let Some(fault) = causes(error).find_map(bad_head) {
        return format!(
            "the server speaks HTTP, but {fault}: look at the proxy or web server in front of the \
             node"
        );
    }
    if is(error, hyper::Error::is_parse) {
        return "the server answers, but not in HTTP; is this a Bitcoin Core RPC port?".to_owned();
    }
    let last = causes(error).last();
    if let Some(why) = last.and_then(broken_by_tls) {
        return format!("the connection ended: {why}");
    }
    if was_hung_up(error) && !error.is_connect() {
        return "the server closed the connection without an answer".to_owned();
    }
    without_os_number(&last.map_or_else(|| error.to_string(), ToString::to_string))
}

/// Whether there is an error of hyper's behind this one for which that holds.
fn is(error: &legacy::Error, that: impl Fn(&hyper::Error) -> bool) -> bool {
    causes(error).any(|cause| cause.downcast_ref::<hyper::Error>().is_some_and(&that))
}

/// hyper's own question after that is for servers alone, so that its words are looked at.
fn has_too_long_a_head(error: &hyper::Error) -> bool {
    error.is_parse() && error.to_string().contains("head is too large")
}

/// The header of an answer in HTTP that is wrong, in words; hyper tells by its own words alone.
fn has_a_bad_head(error: &hyper::Error) -> Option<&'static str> {
    let words = error.to_string();
    let has = |part: &str| error.is_parse() && words.contains(part);
    if has("content-length") {
        Some("sends a Content-Length that is no number, or two of them")
    } else if has("transfer-encoding") {
        Some("sends a Transfer-Encoding that cannot be")
    } else if has("HTTP header") {
        Some("sends a header that cannot be read")
    } else {
        None
    }
}

/// The fault in the first line of an answer that begins as HTTP does; `None` for any other.
fn bad_first_line(first: &[u8]) -> Option<String> {
    let version = first.get(..7).filter(|_| foreign::spoken(first).is_some_and(Spoken::is_http))?;
    let line = foreign::shown(first);
    Some(match version {
        b"HTTP/1." => format!(
            "the server speaks HTTP, but the first line of its answer cannot be read: {line}; look \
             at the proxy or web server in front of the node"
        ),
        _ => format!(
            "the server answers in another version of HTTP: {line}; {}",
            foreign::ONLY_HTTP_1
        ),
    })
}

/// The beginning of an answer in HTTP that ended before its body; `None` for any other.
fn half_a_head(answer: &[u8]) -> Option<String> {
    answer.starts_with(b"HTTP/").then(|| {
        format!(
            "the server closed the connection in the middle of the HTTP headers of its answer, \
             which begins {}: look at the proxy or web server in front of the node",
            foreign::shown(answer)
        )
    })
}

/// How much of an answer has come.
#[derive(Default)]
struct Progress(AtomicUsize);

impl Progress {
    /// The head has come, and so many bytes of the body.
    fn note(&self, bytes: usize) {
        self.0.store(bytes + 1, Ordering::Relaxed);
    }

    /// `None` before the head has come.
    fn bytes(&self) -> Option<usize> {
        self.0.load(Ordering::Relaxed).checked_sub(1)
    }
}

async fn read_body(mut body: Incoming, progress: &Progress) -> Result<Vec<u8>, NoAnswer> {
    let mut bytes = Vec::new();
    progress.note(0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| NoAnswer::Cut(broken_body(&error).to_owned()))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > MAX_BODY {
            return Err(NoAnswer::TooLong);
        }
        bytes.extend_from_slice(&data);
        progress.note(bytes.len());
    }
    Ok(bytes)
}

fn broken_body(error: &hyper::Error) -> &'static str {
    use io::ErrorKind::{InvalidData, InvalidInput};

    let behind = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    match behind.map(io::Error::kind) {
        Some(InvalidData | InvalidInput) => {
            "the server sends a chunk whose length is no number: look at the proxy or web server \
             in front of the node"
        }
        _ => "the connection broke in the middle of the answer",
    }
}

/// The causes behind an error, outermost first.
fn causes<'a>(error: &'a legacy::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let behind = |error: &&'a (dyn Error + 'static)| (*error).source();
    std::iter::successors(error.source(), behind)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// The answer of a server that sends these bytes.
    async fn answered(bytes: String) -> NoAnswer {
        answered_within(bytes, STALE * 10).await
    }

    async fn answered_within(bytes: String, limit: Duration) -> NoAnswer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(bytes.as_bytes()).await.unwrap();
            stream
        };
        let access = NodeAccess {
            url: url.parse().unwrap(),
            route: Route::default(),
            credentials: Credentials::Password { user: "u".into(), password: "p".into() },
        };
        let rpc = RpcClient::new(&access);
        let (answer, _stream) = tokio::join!(rpc.post(Vec::new(), limit), server);
        answer.unwrap_err()
    }

    #[tokio::test]
    async fn rule_26_an_answer_with_too_many_headers_is_told_as_that() {
        let headers: String = (0..101).map(|number| format!("X-{number}: y\r\n")).collect();
        let error = answered(format!("HTTP/1.1 200 OK\r\n{headers}\r\n")).await;
        assert!(
            matches!(&error, NoAnswer::Broken(words) if words.contains("HTTP headers")),
            "{error}"
        );
        for header in ["-5", "abc", "100000000000000000000", "3\r\nContent-Length: 4"] {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {header}\r\n\r\n{{}}");
            let error = answered(answer).await;
            let NoAnswer::Broken(words) = &error else { panic!("{header:?}: {error}") };
            assert!(words.contains("a Content-Length that is no number"), "{header:?}: {words}");
        }
        let error = answered("HTTP/1.1 200 OK\r\n\u{1}: x\r\n\r\n".to_owned()).await;
        assert!(error.to_string().contains("a header that cannot be read"), "{error}");
        let error = answered("MTTP/1.1 200 OK\r\n\r\n".to_owned()).await;
        assert!(matches!(&error, NoAnswer::NotHttp(_)), "{error}");
    }

    #[tokio::test]
    async fn rule_26_a_body_that_is_damaged_or_does_not_end_is_told_as_that() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for size in ["zz", "-1"] {
            let error = answered(format!("{chunked}{size}\r\n{{}}\r\n")).await;
            assert!(error.to_string().contains("whose length is no number"), "{size}: {error}");
        }
        let limit = Duration::from_millis(1_500);
        for (answer, bytes) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"a\"".to_owned(), 4),
            (format!("{chunked}ffffff\r\n{{\"a\""), 4),
            (format!("{chunked}2\r\n{{}}\r\n"), 2),
            ("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n".to_owned(), 0),
        ] {
            let error = answered_within(answer, limit).await;
            let words = format!("only {bytes} bytes of an answer came within 1 s");
            assert!(
                matches!(&error, NoAnswer::TimedOut(told) if told.starts_with(&words)),
                "{error}"
            );
        }
        for (answer, words) in [
            ("HTTP/1.1 200 OK\r\nContent-Le", "no complete answer came within 1 s"),
            ("", "nothing came within 1 s; "),
        ] {
            let error = answered_within(answer.to_owned(), limit).await;
            let told = error.to_string();
            assert!(told.starts_with(words), "{answer:?}: {told}");
        }
    }

    #[tokio::test]
    async fn rule_26_an_answer_whose_first_line_is_no_http_1_is_told_with_that_line() {
        for (answer, words, cure) in [
            (
                "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
                "another version of HTTP: \"HTTP/2.0 200 OK\"; Bitcoin Core speaks HTTP/1.1",
                "the node's own RPC port",
            ),
            (
                "HTTP/1.1 403 Forb\u{1b}[31m\r\nContent-Length: 0\r\n\r\n",
                "the first line of its answer cannot be read: \"HTTP/1.1 403 Forb.[31m\"",
                "look at the proxy",
            ),
            ("HTTP/1.1 20 OK\r\n\r\n", "cannot be read: \"HTTP/1.1 20 OK\"", "the proxy"),
            (
                "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
                "HTTP: \"http/1.1 200 OK\"",
                "the node's own RPC port",
            ),
            ("\0\0\u{12}\u{4}\0\0\0\0\0\0\u{3}\0\0\0d", "it looks like HTTP/2", "HTTP/1.1"),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "it looks like HTTP/2", "HTTP/1.1"),
        ] {
            let told = answered(answer.to_owned()).await.to_string();
            assert!(told.contains(words) && told.contains(cure), "{answer:?}: {told}");
            assert!(!told.contains("--address") && !told.contains('\u{1b}'), "{told}");
        }
    }
}
