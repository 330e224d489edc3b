//! Where a node answers: `http://host:port`, or `https://host` where something in front of it
//! speaks TLS.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use midstate_gbt::conf::Login;

use crate::dial::Endpoint;

const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// Address of a node: `http[s]://[USER:PASS@]HOST[:PORT][/PATH]`.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeUrl {
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// `None`: the default port of the chain. With TLS there always is one: Core itself speaks no
    /// TLS, and what stands in front of it listens where web servers do.
    pub port: Option<u16>,
    /// Whether the connection is TLS. Nothing ever falls back to plaintext.
    pub tls: bool,
    /// With its slash; `/` if there was none.
    pub path: String,
    /// A user name and a password, if they were written in it.
    pub login: Option<Login>,
}

/// Why a text is not the address of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeUrlError {
    /// Another scheme, or none.
    #[error("the URL of a node starts with http:// or https://")]
    Scheme,
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
    pub(crate) fn endpoint(&self) -> Endpoint<'_> {
        Endpoint { host: &self.host, port: self.port.unwrap_or(HTTP_PORT), url: self }
    }

    /// Whether what is said to this host stays on this machine.
    pub fn is_local(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for NodeUrl {
    type Err = NodeUrlError;

    fn from_str(text: &str) -> Result<Self, NodeUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(NodeUrlError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
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
                let (host, rest) = v6.split_once(']').ok_or(NodeUrlError::Host)?;
                match rest {
                    "" => (host, None),
                    _ => (host, Some(rest.strip_prefix(':').ok_or(NodeUrlError::Port)?)),
                }
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
        let port = port.or(tls.then_some(HTTPS_PORT));
        Ok(Self { host: host.to_owned(), port, tls, path: path.to_owned(), login })
    }
}

/// Without user name and password (S15).
impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]", self.host)?,
            false => write!(f, "{scheme}://{}", self.host)?,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u3_every_way_to_write_a_node() {
        for (text, shown, port, tls) in [
            ("http://127.0.0.1:18443", "http://127.0.0.1:18443", Some(18443), false),
            ("HTTP://node.lan/", "http://node.lan", None, false),
            ("http://me:p@ss@[::1]:8332", "http://[::1]:8332", Some(8332), false),
            ("https://node.example", "https://node.example:443", Some(443), true),
            ("https://node.example:8443/rpc", "https://node.example:8443/rpc", Some(8443), true),
        ] {
            let url: NodeUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown, "{text}");
            assert_eq!((url.port, url.tls), (port, tls), "{text}");
        }
        let url: NodeUrl = "http://me:p@ss@h:1".parse().unwrap();
        assert_eq!(url.login, Some(Login { user: "me".into(), password: "p@ss".into() }));
        assert!(!format!("{url:?}").contains("p@ss"), "S15");
    }

    #[test]
    fn u3_what_is_no_node_says_what_is_missing() {
        for (text, error) in [
            ("h:1", NodeUrlError::Scheme),
            ("ftp://h:1", NodeUrlError::Scheme),
            ("http://", NodeUrlError::Host),
            ("https://h:0", NodeUrlError::Port),
            ("http://h:70000", NodeUrlError::Port),
            ("http://me@h:1", NodeUrlError::Login),
            ("http://[::1]8332", NodeUrlError::Port),
            ("http://[::1", NodeUrlError::Host),
        ] {
            assert_eq!(text.parse::<NodeUrl>(), Err(error), "{text}");
        }
    }
}
