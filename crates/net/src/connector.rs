//! How hyper gets to a node: by the code that gets to pools, so that names, proxies and TLS are the
//! same for both. Used by [`RpcClient`](crate::RpcClient) alone.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use hyper::Uri;
use hyper::http::Extensions;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OnceCell;
use tower_service::Service;

use crate::dial::{Dialler, Transport};
use crate::foreign::{self, FirstBytes, Layer, Overheard};
use crate::tls_stream::TlsSettings;
use crate::{DialError, NodeUrl, Route};

/// Opens connections to one node.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Way>);

struct Way {
    url: NodeUrl,
    route: Route,
    dialler: Dialler,
    /// Made at the first connection and kept: reading the system's authorities takes longer than a
    /// solved block should wait, and the next handshake resumes the session.
    tls: OnceCell<TlsSettings>,
    /// Connections asked for so far.
    opened: AtomicUsize,
    /// Called for each connection before anything goes over it.
    tell: Box<dyn Fn() + Send + Sync>,
    /// Of the connection that was opened last.
    first: FirstBytes,
    /// Whether the server ever answered in HTTP: then it is not guessed at.
    spoke_http: AtomicBool,
}

/// Why there is no connection, and what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// No server listens there.
    #[error("{0}; is bitcoind running, with server=1, on this port?")]
    Unanswered(DialError),
    /// Its words name the cure.
    #[error("{0}")]
    Refused(DialError),
}

impl ConnectError {
    /// Whether it makes no sense to hope that the next attempt goes better.
    pub(crate) fn is_definite(&self) -> bool {
        let (Self::Unanswered(error) | Self::Refused(error)) = self;
        error.is_definite()
    }
}

impl Connector {
    pub(crate) fn new(url: NodeUrl, route: Route, tell: Box<dyn Fn() + Send + Sync>) -> Self {
        let (dialler, tls) = (Dialler::default(), OnceCell::new());
        let (opened, first) = (AtomicUsize::new(0), FirstBytes::default());
        let spoke_http = AtomicBool::new(false);
        Self(Arc::new(Way { url, route, dialler, tls, opened, tell, first, spoke_http }))
    }

    /// How many connections were asked for: a call that leaves the number as it is uses a kept
    /// one.
    pub(crate) fn opened(&self) -> usize {
        self.0.opened.load(Ordering::Relaxed)
    }

    /// Whether the connection that was opened last has brought anything.
    pub(crate) fn has_heard(&self) -> bool {
        !self.0.first.get().is_empty()
    }

    /// The beginning of the first answer on the connection that was opened last; nothing of it if
    /// the server has answered before, as these may be its words.
    pub(crate) fn first(&self) -> Vec<u8> {
        match self.0.spoke_http.load(Ordering::Relaxed) {
            true => Vec::new(),
            false => self.0.first.get(),
        }
    }

    /// An answer came.
    pub(crate) fn heard_http(&self) {
        self.0.spoke_http.store(true, Ordering::Relaxed);
    }

    /// A sentence that names the server's protocol if that is not HTTP; a guess if it said nothing.
    pub(crate) fn explain(&self, reason: String) -> String {
        if self.0.spoke_http.load(Ordering::Relaxed) {
            return reason;
        }
        let (first, to) = (self.0.first.get(), self.0.url.endpoint());
        let layer = Layer::inside(self.0.url.tls);
        if first.is_empty() {
            return format!("{reason}; {}", foreign::guess(to.asked(layer)));
        }
        foreign::sentence(&first, to.asked(layer)).unwrap_or(reason)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Exchange>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    /// There is one node at the end of this way, whatever the URI says.
    fn call(&mut self, _: Uri) -> Self::Future {
        let way = Arc::clone(&self.0);
        way.opened.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            match way.open().await {
                Ok(transport) => {
                    (way.tell)();
                    let answer = Answer::default();
                    Ok(TokioIo::new(Exchange { transport, answer, is_asked: false }))
                }
                Err(
                    error @ (DialError::Refused(_)
                    | DialError::Connect { .. }
                    | DialError::TimedOut { .. }),
                ) => Err(ConnectError::Unanswered(error)),
                Err(error) => Err(ConnectError::Refused(error)),
            }
        })
    }
}

impl Way {
    async fn open(&self) -> Result<Box<dyn Transport>, DialError> {
        let endpoint = self.url.endpoint();
        let stream = self.dialler.connect(endpoint, &self.route).await?;
        let transport = match self.url.tls {
            true => self.dialler.secure(stream, endpoint, self.tls().await?).await?,
            false => Box::new(stream),
        };
        self.first.forget();
        Ok(Box::new(Overheard::new(transport, self.first.clone())))
    }

    async fn tls(&self) -> Result<&TlsSettings, DialError> {
        let settings = || self.route.trust.client_config(&self.url.host);
        Ok(self.tls.get_or_try_init(settings).await?)
    }
}

/// A connection that keeps the beginning of the answer at hand: what came since something was sent.
pub(crate) struct Exchange {
    transport: Box<dyn Transport>,
    answer: Answer,
    /// Something was sent, and nothing has come since.
    is_asked: bool,
}

/// The beginning of the answer at hand of one connection, for an error on it.
#[derive(Clone, Default)]
pub(crate) struct Answer(FirstBytes);

impl Answer {
    /// That of the connection on which a call failed.
    pub(crate) fn of(error: &legacy::Error) -> Vec<u8> {
        let mut extras = Extensions::new();
        if let Some(connected) = error.connect_info() {
            connected.get_extras(&mut extras);
        }
        extras.get::<Self>().map(|answer| answer.0.get()).unwrap_or_default()
    }
}

impl Exchange {
    fn ask(&mut self) {
        if !std::mem::replace(&mut self.is_asked, true) {
            self.answer.0.forget();
        }
    }
}

impl Connection for Exchange {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.answer.clone())
    }
}

impl AsyncRead for Exchange {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.transport).poll_read(context, buffer);
        let came = &buffer.filled()[before..];
        if !came.is_empty() {
            self.is_asked = false;
            self.answer.0.keep(came);
        }
        polled
    }
}

impl AsyncWrite for Exchange {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.ask();
        Pin::new(&mut self.transport).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.ask();
        Pin::new(&mut self.transport).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }
}
