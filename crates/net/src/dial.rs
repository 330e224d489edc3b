//! From an account to an open connection: names, several addresses, a proxy, TLS. Used by the links
//! to pools and to nodes, and by `doctor`.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::blocking::on_a_thread;
use crate::file::in_words;
use crate::foreign::{self, Asked, FirstBytes, Layer, Overheard, Wanted};
use crate::tls_stream::{Secured, TlsSettings};
use crate::tls_words::{Seen, handshake_failure};
use crate::{LinkLimits, PoolUrl, ProxyUrl, Trust, TrustError, socks};

/// Bytes both ways.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Transport for T {}

/// An open connection.
pub struct Connection {
    /// The stream to read and to write.
    pub transport: Box<dyn Transport>,
    /// The address at the other end, where there is no proxy in between.
    pub peer: Option<IpAddr>,
}

/// Where a server listens, and how people write that.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint<'a> {
    /// Name or address; IPv6 without brackets.
    pub(crate) host: &'a str,
    /// TCP port.
    pub(crate) port: u16,
    /// The URL.
    pub(crate) url: &'a (dyn fmt::Display + Sync),
    /// The protocol to be spoken there.
    pub(crate) wanted: Wanted,
}

impl<'a> Endpoint<'a> {
    /// For a sentence about a server that speaks something else.
    pub(crate) fn asked(&self, layer: Layer) -> Asked<'a> {
        Asked { wanted: self.wanted, layer, host: self.host, port: self.port }
    }
}

/// How to get to a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Route {
    /// The certificates to trust, where there is TLS.
    pub trust: Trust,
    /// Through whom.
    pub proxy: Option<ProxyUrl>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// No address for the name.
    #[error("cannot find {host}: {error}")]
    Name {
        /// The name.
        host: String,
        /// The resolver's words.
        error: io::Error,
    },
    /// Nothing listens there.
    #[error("cannot connect to {0}: connection refused")]
    Refused(String),
    /// No connection for another reason.
    #[error("cannot connect to {to}: {error}")]
    Connect {
        /// To whom.
        to: String,
        /// The system's words.
        error: io::Error,
    },
    /// It took too long.
    #[error("cannot connect to {to}: no {what} within {} s", .limit.as_secs())]
    TimedOut {
        /// To whom.
        to: String,
        /// The step that was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
    },
    /// The proxy cannot be reached.
    #[error("cannot reach the proxy {proxy}: {error}")]
    NoProxy {
        /// The proxy.
        proxy: String,
        /// Why.
        error: Box<DialError>,
    },
    /// The proxy is there and does not connect us.
    #[error("the proxy {proxy} {why}")]
    Proxy {
        /// The proxy.
        proxy: String,
        /// Its mistake, with the cure.
        why: String,
    },
    /// The other end is not who it should be, or does not speak TLS.
    #[error("no safe connection to {to}: {why}")]
    Tls {
        /// To whom.
        to: String,
        /// A sentence with the cure.
        why: String,
    },
    /// There is nobody to believe.
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl DialError {
    /// Whether it makes no sense to hope that the next attempt goes better.
    pub(crate) fn is_definite(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Tls { .. } | Self::Trust(_) => true,
            Self::NoProxy { error, .. } => error.is_definite(),
            _ => false,
        }
    }
}

/// The result of dialling, some time later.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = Result<Connection, DialError>> + Send + 'a>>;

/// Opens connections. A trait so that tests can hand out pipes and let the time run.
pub trait Dial: Send + Sync {
    /// Connects to `url` by `route`.
    fn dial<'a>(&'a self, url: &'a PoolUrl, route: &'a Route) -> Dialling<'a>;
}

/// The addresses of a host, for a port of it. May wait: it is called on a thread of its own.
pub type Lookup = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// The real thing. It remembers nothing: names are looked up anew for every connection, so that a
/// pool may move.
#[derive(Debug, Clone)]
pub struct Dialler {
    /// How patient it is.
    pub limits: LinkLimits,
    /// The resolver: the system's, unless a test has another one.
    pub lookup: Lookup,
}

impl Default for Dialler {
    fn default() -> Self {
        Self { limits: LinkLimits::default(), lookup: ask_the_system }
    }
}

impl Dial for Dialler {
    fn dial<'a>(&'a self, url: &'a PoolUrl, route: &'a Route) -> Dialling<'a> {
        Box::pin(async move {
            let endpoint = url.endpoint();
            let stream = self.connect(endpoint, route).await?;
            let peer = match route.proxy {
                Some(_) => None,
                None => stream.peer_addr().ok().map(|address| address.ip()),
            };
            let transport = match url.tls {
                true => {
                    let settings = route.trust.client_config(&url.host).await?;
                    self.secure(stream, endpoint, &settings).await?
                }
                false => Box::new(stream),
            };
            Ok(Connection { transport, peer })
        })
    }
}

impl Dialler {
    /// An open TCP connection to the server, by way of the proxy if there is one.
    pub(crate) async fn connect(
        &self,
        to: Endpoint<'_>,
        route: &Route,
    ) -> Result<TcpStream, DialError> {
        let due = Instant::now() + self.limits.connect;
        let stream = match &route.proxy {
            None => self.connect_tcp(to.host, to.port, due).await?,
            Some(proxy) => self.connect_by_proxy(proxy, to, due).await?,
        };
        self.configure_socket(&stream);
        Ok(stream)
    }

    /// TLS over an open connection. The settings are those of a [`Trust`].
    pub(crate) async fn secure(
        &self,
        stream: TcpStream,
        to: Endpoint<'_>,
        settings: &TlsSettings,
    ) -> Result<Box<dyn Transport>, DialError> {
        let refused = |why| DialError::Tls { to: to.url.to_string(), why };
        // A zone is this machine's name for a network, and in no certificate.
        let host = to.host.split('%').next().unwrap_or_default();
        let name = ServerName::try_from(host.to_owned()).map_err(|error| {
            refused(format!("{host} is no name that a certificate can have: {error}"))
        })?;
        let first = FirstBytes::default();
        let stream = Overheard::new(stream, first.clone());
        settings.begin();
        let handshake = TlsConnector::from(Arc::clone(&settings.config)).connect(name, stream);
        let limit = self.limits.tls;
        match timeout(limit, handshake).await {
            Ok(Ok(stream)) => Ok(Box::new(Secured::new(stream, settings.is_asked()))),
            Ok(Err(error)) => {
                let first = first.get();
                let foreign = foreign::sentence(&first, to.asked(Layer::BelowTls));
                let seen = Seen { of_tls: !first.is_empty(), is_asked: settings.is_asked() };
                Err(refused(foreign.unwrap_or_else(|| handshake_failure(&error, seen))))
            }
            Err(_) => match foreign::sentence(&first.get(), to.asked(Layer::BelowTls)) {
                Some(foreign) => Err(refused(foreign)),
                None => Err(DialError::TimedOut {
                    to: to.url.to_string(),
                    what: "TLS handshake (is it the TLS port?)",
                    limit,
                }),
            },
        }
    }

    /// The addresses of a name, in the order in which to try them.
    pub(crate) async fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, DialError> {
        let (lookup, name) = (self.lookup, host.to_owned());
        let found = on_a_thread(move || lookup(&name, port)).await.flatten();
        let found = found.map_err(|error| DialError::Name { host: host.to_owned(), error })?;
        Ok(alternate(found))
    }

    async fn connect_tcp(
        &self,
        host: &str,
        port: u16,
        due: Instant,
    ) -> Result<TcpStream, DialError> {
        let to =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let connected = timeout_at(due, async {
            let addresses = self.resolve(host, port).await?;
            Ok::<_, DialError>(self.connect_any(addresses).await)
        });
        let Ok(connected) = connected.await else {
            return Err(DialError::TimedOut { to, what: "answer", limit: self.limits.connect });
        };
        connected?.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => DialError::Refused(to),
            _ => DialError::Connect { to, error: in_words(error) },
        })
    }

    /// The first of several addresses to answer. Each gets a head start, so that one family of
    /// addresses that leads nowhere does not cost the whole time-out ("happy eyeballs").
    async fn connect_any(&self, addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
        let mut waiting = VecDeque::from(addresses);
        let mut attempts = JoinSet::new();
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        loop {
            if let Some(address) = waiting.pop_front() {
                attempts.spawn(TcpStream::connect(address));
            }
            let head_start = sleep(self.limits.next_address);
            tokio::select! {
                attempt = attempts.join_next() => match attempt {
                    Some(Ok(Ok(stream))) => return Ok(stream),
                    Some(Ok(Err(error))) => last = error,
                    Some(Err(panic)) => last = io::Error::other(panic),
                    None => return Err(last),
                },
                () = head_start, if !waiting.is_empty() => {}
            }
        }
    }

    async fn connect_by_proxy(
        &self,
        proxy: &ProxyUrl,
        to: Endpoint<'_>,
        due: Instant,
    ) -> Result<TcpStream, DialError> {
        let stream = self.connect_tcp(&proxy.host, proxy.port, due).await;
        let stream = stream.map_err(|error| DialError::NoProxy {
            proxy: proxy.to_string(),
            error: Box::new(error),
        })?;
        let connected = socks::through(stream, proxy, (to.host, to.port), due).await;
        connected.map_err(|why| DialError::Proxy { proxy: proxy.to_string(), why })
    }

    /// Small messages at once, and a peer that vanished is noticed. Neither is worth failing for.
    fn configure_socket(&self, stream: &TcpStream) {
        let keepalive = socket2::TcpKeepalive::new()
            .with_time(self.limits.keepalive_idle)
            .with_interval(self.limits.keepalive_interval)
            .with_retries(self.limits.keepalive_probes);
        if let Err(error) = stream
            .set_nodelay(true)
            .and_then(|()| socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive))
        {
            tracing::debug!(%error, "socket options");
        }
    }
}

/// The answer of the system's resolver.
fn ask_the_system(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    // As URLs write the sign before a zone (RFC 6874), and as the system does.
    let found = (host.replace("%25", "%").as_str(), port).to_socket_addrs();
    found.map(Iterator::collect).map_err(in_words)
}

/// The resolver's order, but the families take turns.
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else { return addresses };
    let (same, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first);
    let mut other = other.into_iter();
    let mut order = Vec::new();
    for address in same {
        order.push(address);
        order.extend(other.next());
    }
    order.extend(other);
    order
}

/// Whether an address is one that only neighbours can reach.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_private(IpAddr::V4(v4)),
            None => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
        },
    }
}

/// Whether strangers are on the way of what is not encrypted. `peer` is not known where a proxy
/// connects us, which is the first of them; what goes to a Tor service is encrypted by Tor.
pub(crate) fn is_overheard(peer: Option<IpAddr>, host: &str) -> bool {
    match peer.or_else(|| host.parse().ok()) {
        Some(address) => !is_private(address),
        None => host != "localhost" && !host.to_ascii_lowercase().ends_with(".onion"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[test]
    fn s8_strangers_are_behind_a_proxy_too() {
        let peer = |text: &str| Some(text.parse().unwrap());
        for (peer, host, overheard) in [
            (peer("192.168.1.1"), "pool.lan", false),
            (peer("8.8.8.8"), "pool.example", true),
            (None, "pool.example", true),
            (None, "8.8.8.8", true),
            (None, "10.0.0.1", false),
            (None, "::1", false),
            (None, "localhost", false),
            (None, "abcdef.ONION", false),
        ] {
            assert_eq!(is_overheard(peer, host), overheard, "{peer:?} {host}");
        }
    }

    #[test]
    fn address_families_take_turns() {
        let addresses = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"];
        let order = alternate(addresses.map(|text| text.parse().unwrap()).to_vec());
        let order: Vec<_> = order.iter().map(ToString::to_string).collect();
        assert_eq!(order, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
    }

    #[test]
    fn neighbours_are_private() {
        for (address, private) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("192.168.1.1", true),
            ("169.254.1.1", true),
            ("8.8.8.8", false),
            ("::1", true),
            ("fd00::1", true),
            ("::ffff:10.0.0.1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(address.parse().unwrap()), private, "{address}");
        }
    }

    #[tokio::test]
    async fn an_address_that_leads_nowhere_does_not_hide_the_next_one() {
        // No connection is accepted, and where the queue is full Linux answers no further one. An
        // address of the documentation's would be refused at once by many a machine.
        let deaf = TcpSocket::new_v4().unwrap();
        deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let deaf = deaf.listen(1).unwrap();
        let mut queue = Vec::new();
        let connect = || TcpStream::connect(deaf.local_addr().unwrap());
        while let Ok(Ok(stream)) = timeout(Duration::from_millis(100), connect()).await {
            queue.push(stream);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = vec![deaf.local_addr().unwrap(), listener.local_addr().unwrap()];
        let dialler = Dialler::default();
        // The bound of the real thing. Linux itself gives up after two minutes.
        let connected = timeout(dialler.limits.connect, dialler.connect_any(addresses)).await;
        let stream = connected.expect("the second address has its turn in time").unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
    }
}
