//! A connection under TLS, and the words for its end. A server that wants a certificate from its
//! clients may say so by hanging up, after the handshake or in its midst; it has asked for one
//! before. Made by [`Trust`](crate::Trust), used by [`Dialler`](crate::Dialler).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{AlertDescription, ClientConfig, Error, SignatureScheme};

use crate::tls_words::is_hang_up;

/// The settings of rustls for the connections to one server.
#[derive(Debug, Clone)]
pub(crate) struct TlsSettings {
    pub(crate) config: Arc<ClientConfig>,
    asked: Arc<Asked>,
}

/// Whether the server has asked for our certificate since a handshake began. There is none.
#[derive(Debug, Default)]
struct Asked(AtomicBool);

impl ResolvesClientCert for Asked {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

impl TlsSettings {
    pub(crate) fn new(mut config: ClientConfig) -> Self {
        let asked = Arc::<Asked>::default();
        config.client_auth_cert_resolver = asked.clone();
        Self { config: Arc::new(config), asked }
    }

    /// A handshake begins.
    pub(crate) fn begin(&self) {
        self.asked.0.store(false, Ordering::Relaxed);
    }

    /// Whether the server asked for a certificate in the handshake.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.0.load(Ordering::Relaxed)
    }
}

/// A connection after its handshake.
pub(crate) struct Secured<T> {
    stream: T,
    /// The server asked for a certificate, and has sent nothing since.
    is_refusal_due: bool,
}

impl<T> Secured<T> {
    pub(crate) fn new(stream: T, is_asked: bool) -> Self {
        Self { stream, is_refusal_due: is_asked }
    }

    /// The same error, or the refusal that it stands for: as the alert which a server sends that
    /// explains itself.
    fn explained(&self, error: io::Error) -> io::Error {
        match self.is_refusal_due && is_hang_up(&error) {
            true => io::Error::other(Error::AlertReceived(AlertDescription::CertificateRequired)),
            false => error,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Secured<T> {
    /// A connection that ends without TLS's own word for it (`close_notify`) has ended: what it
    /// carries, HTTP with lengths and lines of JSON, tells by itself whether it is complete.
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let outcome = match ready!(Pin::new(&mut self.stream).poll_read(context, buffer)) {
            Ok(()) if buffer.filled().len() > before => {
                self.is_refusal_due = false;
                return Poll::Ready(Ok(()));
            }
            Ok(()) if room == 0 => Ok(()),
            Ok(()) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) => Err(error),
        };
        Poll::Ready(match outcome.map_err(|error| self.explained(error)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            other => other,
        })
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Secured<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        polled.map_err(|error| self.explained(error))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        polled.map_err(|error| self.explained(error))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        polled.map_err(|error| self.explained(error))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
