//! Where a pool lives: `stratum+tcp://host:port`, `stratum+tls://host:port`, or `host:port` alone
//! (U3).

use std::fmt;
use std::str::FromStr;

use crate::dial::Endpoint;

/// Address of a Stratum pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolUrl {
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether the connection is TLS. Nothing ever falls back to plaintext.
    pub tls: bool,
}

/// Why a text is not the address of a pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// A scheme nobody speaks.
    #[error(
        "unknown scheme {0:?} in the pool's URL, expected stratum+tcp://HOST:PORT or \
         stratum+tls://HOST:PORT"
    )]
    Scheme(String),
    /// No host.
    #[error("{0:?} names no host, expected stratum+tcp://HOST:PORT")]
    Host(String),
    /// No port, or none that exists.
    #[error("{0:?} has no port from 1 to 65535, expected stratum+tcp://HOST:PORT")]
    Port(String),
}

impl PoolUrl {
    pub(crate) fn endpoint(&self) -> Endpoint<'_> {
        Endpoint { host: &self.host, port: self.port, url: self }
    }
}

impl FromStr for PoolUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("stratum+tcp", text));
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "stratum+tcp" | "stratum" | "tcp" => false,
            "stratum+tls" | "stratum+ssl" | "stratum+tcps" | "tls" | "ssl" | "tcps" => true,
            _ => return Err(UrlError::Scheme(scheme.to_owned())),
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
        if !midstate_stratum::redirect::is_host(host) {
            return Err(UrlError::Host(text.to_owned()));
        }
        // Digits only: what else `parse` takes, as `+1`, is no port.
        match port.parse() {
            Ok(0) => Err(UrlError::Port(text.to_owned())),
            Ok(port_number) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(Self { host: host.to_owned(), port: port_number, tls })
            }
            _ => Err(UrlError::Port(text.to_owned())),
        }
    }
}

impl fmt::Display for PoolUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, tls } = self;
        let scheme = if *tls { "stratum+tls" } else { "stratum+tcp" };
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u3_every_way_to_write_a_pool() {
        for (text, shown) in [
            ("pool.example:3333", "stratum+tcp://pool.example:3333"),
            ("stratum+tcp://pool.example:3333/", "stratum+tcp://pool.example:3333"),
            ("TCP://pool.example:3333", "stratum+tcp://pool.example:3333"),
            ("stratum+tls://pool.example:443", "stratum+tls://pool.example:443"),
            ("stratum+ssl://pool.example:443", "stratum+tls://pool.example:443"),
            ("ssl://pool.example:443", "stratum+tls://pool.example:443"),
            ("tcps://10.0.0.1:443", "stratum+tls://10.0.0.1:443"),
            ("[2001:db8::1]:3333", "stratum+tcp://[2001:db8::1]:3333"),
            ("stratum+tls://[::1]:3333", "stratum+tls://[::1]:3333"),
        ] {
            let url: PoolUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown, "{text}");
            assert_eq!(shown.parse(), Ok(url), "{text}");
        }
    }

    #[test]
    fn u3_what_is_no_pool_says_what_is_missing() {
        let error = |text: &str| text.parse::<PoolUrl>().unwrap_err();
        assert!(matches!(error("gopher://a:1"), UrlError::Scheme(scheme) if scheme == "gopher"));
        for text in ["a", "a:0", "a:70000", "a:", "a:+1", "::1:3333", "2001:db8::1", ""] {
            assert!(matches!(error(text), UrlError::Port(_)), "{text:?}: {:?}", error(text));
        }
        for text in [":1", "a b:1", "user@a:1", "a/b:1", "[::1:3333", "[]:1", "a\n:1"] {
            assert!(
                matches!(error(text), UrlError::Host(_) | UrlError::Port(_)),
                "{text:?}: {:?}",
                error(text)
            );
        }
    }
}
