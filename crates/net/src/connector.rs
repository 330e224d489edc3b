//! How hyper gets to a node: by the code that gets to pools, so that names, proxies and TLS are the
//! same for both. Used by [`RpcClient`](crate::RpcClient) alone.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use hyper::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::sync::OnceCell;
use tokio_rustls::rustls::ClientConfig;
use tower_service::Service;

use crate::dial::{Dialler, Transport};
use crate::foreign::{self, FirstBytes, Layer, Overheard};
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
    tls: OnceCell<Arc<ClientConfig>>,
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
    type Response = TokioIo<Box<dyn Transport>>;
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
                    Ok(TokioIo::new(transport))
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

    async fn tls(&self) -> Result<Arc<ClientConfig>, DialError> {
        let config = || self.route.trust.client_config(&self.url.host);
        Ok(Arc::clone(self.tls.get_or_try_init(config).await?))
    }
}

impl Connection for Box<dyn Transport> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
