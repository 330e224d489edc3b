//! Where a pool lives: `stratum+tcp://host:port`, or `host:port` alone (U3).

use std::fmt;
use std::str::FromStr;

/// Address of a Stratum pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolUrl {
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Why a text is not the address of a pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// A scheme nobody speaks.
    #[error("unknown scheme {0:?} in the pool's URL, expected stratum+tcp://HOST:PORT")]
    Scheme(String),
    /// No host.
    #[error("{0:?} names no host, expected stratum+tcp://HOST:PORT")]
    Host(String),
    /// No port, or none that exists.
    #[error("{0:?} has no port from 1 to 65535, expected stratum+tcp://HOST:PORT")]
    Port(String),
}

impl FromStr for PoolUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let rest = match text.split_once("://") {
            Some(("stratum+tcp" | "tcp", rest)) => rest,
            Some((scheme, _)) => return Err(UrlError::Scheme(scheme.to_owned())),
            None => text,
        };
        let authority = rest.trim_end_matches('/');
        let (host, port) =
            authority.rsplit_once(':').ok_or_else(|| UrlError::Port(text.to_owned()))?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(v6) => v6,
            // An IPv6 address without brackets: the last group is not a port.
            None if host.contains(':') => return Err(UrlError::Port(text.to_owned())),
            None => host,
        };
        if host.is_empty() || host.contains(['/', '@', ' ']) {
            return Err(UrlError::Host(text.to_owned()));
        }
        match port.parse() {
            Ok(port) if port != 0 => Ok(Self { host: host.to_owned(), port }),
            _ => Err(UrlError::Port(text.to_owned())),
        }
    }
}

impl fmt::Display for PoolUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "stratum+tcp://[{host}]:{port}")
        } else {
            write!(f, "stratum+tcp://{host}:{port}")
        }
    }
}
