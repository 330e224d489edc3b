//! HTTP to a node's RPC port: one POST, one answer. What is asked and what the answer means is
//! `gbt`'s business; this knows names, ports, passwords and limits.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use midstate_gbt::conf::{Credentials, Login};
use midstate_gbt::rpc::{Answer, MAX_BODY};
use tokio::time::timeout;

/// A connection that takes longer is given up (S9).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Core closes idle connections after 30 s; one that is used at that very moment breaks.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Address of a node: `http://[USER:PASS@]HOST[:PORT][/PATH]`.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeUrl {
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// `None`: the default port of the chain.
    pub port: Option<u16>,
    /// With its slash; `/` if there was none.
    pub path: String,
    /// A user name and a password, if they were written in it.
    pub login: Option<Login>,
}

/// Why a text is not the address of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeUrlError {
    /// Another scheme, or none.
    #[error("the URL of a node starts with http://")]
    Scheme,
    /// TLS.
    #[error(
        "https:// is not spoken yet; Bitcoin Core does not either: forward the port with ssh -L"
    )]
    Tls,
    /// No host.
    #[error("the URL names no host, expected http://HOST:PORT")]
    Host,
    /// No such port.
    #[error("the URL has no port from 1 to 65535, expected http://HOST:PORT")]
    Port,
    /// A user name alone.
    #[error("the URL has a user name without a password, expected http://USER:PASS@HOST:PORT")]
    Login,
}

impl NodeUrl {
    /// Whether what is said to this host stays on this machine.
    pub fn is_local(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for NodeUrl {
    type Err = NodeUrlError;

    fn from_str(text: &str) -> Result<Self, NodeUrlError> {
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(NodeUrlError::Tls);
            }
            _ => return Err(NodeUrlError::Scheme),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        // A password may hold an '@', a host may not.
        let (login, address) = match authority.rsplit_once('@') {
            Some((login, address)) => {
                let (user, password) = login.split_once(':').ok_or(NodeUrlError::Login)?;
                let (user, password) = (user.to_owned(), password.to_owned());
                (Some(Login { user, password }), address)
            }
            None => (None, authority),
        };
        let (host, port) = match address.strip_prefix('[') {
            Some(v6) => {
                let (host, port) = v6.split_once(']').ok_or(NodeUrlError::Host)?;
                (host, port.strip_prefix(':'))
            }
            None => match address.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            },
        };
        if host.is_empty() || host.contains([' ', '?', '#']) {
            return Err(NodeUrlError::Host);
        }
        let port = port.map(|port| port.parse().ok().filter(|&port| port != 0));
        let port = port.map(|port| port.ok_or(NodeUrlError::Port)).transpose()?;
        Ok(Self { host: host.to_owned(), port, path: path.to_owned(), login })
    }
}

/// Without user name and password (S15).
impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "http://[{}]", self.host)?,
            false => write!(f, "http://{}", self.host)?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if self.path != "/" {
            f.write_str(&self.path)?;
        }
        Ok(())
    }
}

impl fmt::Debug for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeUrl({self})")
    }
}

/// A node's RPC port. Any number of calls may be under way.
pub struct RpcClient {
    uri: String,
    credentials: Credentials,
    /// The header made of the credentials when they were last read.
    authorization: Mutex<Option<HeaderValue>>,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl RpcClient {
    /// Connects when something is asked.
    pub fn new(url: &NodeUrl, credentials: Credentials) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        connector.set_keepalive(Some(CONNECT_TIMEOUT));
        let http = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self { uri: url.to_string(), credentials, authorization: Mutex::default(), http }
    }

    /// Sends a JSON-RPC body and waits for the answer, whatever its status. On 401 the credentials
    /// are read anew and the call is made once more: a node writes a new cookie at each start.
    ///
    /// # Errors
    /// In words, when there was no answer.
    pub async fn post(&self, body: Vec<u8>, limit: Duration) -> Result<Answer, String> {
        let body = Bytes::from(body);
        let exchange = async {
            let known = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(authorization) = known {
                let answer = self.send(body.clone(), authorization).await?;
                if answer.status != StatusCode::UNAUTHORIZED {
                    return Ok(answer);
                }
            }
            let fresh = self.read_credentials()?;
            *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(fresh.clone());
            self.send(body, fresh).await
        };
        match timeout(limit, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("nothing came within {} s", limit.as_secs())),
        }
    }

    async fn send(&self, body: Bytes, authorization: HeaderValue) -> Result<Answer, String> {
        let request = Request::post(&self.uri)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, authorization)
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let response = self.http.request(request).await.map_err(|error| chain_of(&error))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_BODY)
            .collect()
            .await
            .map_err(|error| format!("the answer broke off or is above 64 MiB: {error}"))?;
        Ok(Answer { status, body: body.to_bytes().into() })
    }

    fn read_credentials(&self) -> Result<HeaderValue, String> {
        let login = match &self.credentials {
            Credentials::Password { user, password } => format!("{user}:{password}"),
            Credentials::Cookie(path) => std::fs::read_to_string(path)
                .map_err(|error| {
                    format!(
                        "cannot read the cookie file {} ({error}); the node writes it when it \
                         starts: is --datadir or --rpccookiefile right?",
                        path.display()
                    )
                })?
                .trim()
                .to_owned(),
        };
        let mut value = HeaderValue::try_from(format!("Basic {}", BASE64.encode(login)))
            .map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// An error with its causes: hyper's own text alone is "client error (Connect)".
fn chain_of(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.last().map_or_else(|| error.to_string(), ToString::to_string)
}
