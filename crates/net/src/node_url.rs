//! Where a node answers: `http://host:port`, or `https://host` where something in front of it
//! speaks TLS.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use midstate_gbt::conf::Login;

use crate::dial::Endpoint;
use crate::foreign::Wanted;
use crate::url_parts::{Parts, UrlError, WrongPart};

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

const EXPECTED: &str =
    "http://HOST:PORT or https://HOST:PORT, with USER:PASS@ before HOST if need be";

impl NodeUrl {
    pub(crate) fn endpoint(&self) -> Endpoint<'_> {
        let port = self.port.unwrap_or(HTTP_PORT);
        Endpoint { host: &self.host, port, url: self, wanted: Wanted::Http }
    }

    /// As a server may read it: the zone of an address is our own name for a network (RFC 6874).
    pub(crate) fn without_zone(&self) -> Self {
        let host = self.host.split('%').next().unwrap_or_default().to_owned();
        Self { host, ..self.clone() }
    }

    /// Whether what is said to this host stays on this machine.
    pub fn is_local(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for NodeUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        parse(text.trim()).map_err(|wrong| UrlError { wrong, expected: EXPECTED })
    }
}

fn parse(text: &str) -> Result<NodeUrl, WrongPart> {
    let (scheme, _) = text.split_once("://").ok_or(WrongPart::NoScheme)?;
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return Err(WrongPart::scheme(scheme)),
    };
    let parts = Parts::of(text)?;
    if parts.query.is_some() {
        return Err(WrongPart::Query);
    }
    if parts.fragment.is_some() {
        return Err(WrongPart::Fragment);
    }
    let login = match parts.login.map(|login| (login.user, login.password)) {
        None => None,
        // Basic authentication ends the user name at the first colon.
        Some((Some(user), _)) if user.contains(':') => {
            return Err(WrongPart::Login("the user name in the URL has a colon"));
        }
        Some((Some(user), Some(password))) => Some(Login { user, password }),
        Some((Some(_), None)) => {
            return Err(WrongPart::Login("the URL has a user name without a password"));
        }
        Some((None, _)) => {
            return Err(WrongPart::Login("the URL has an @ without a user name before it"));
        }
    };
    let port = parts.port.or(tls.then_some(HTTPS_PORT));
    let path = if parts.path.is_empty() { "/" } else { parts.path };
    Ok(NodeUrl { host: parts.host.to_owned(), port, tls, path: path.to_owned(), login })
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
    fn rule_7_an_error_names_the_part_that_is_wrong_and_no_password() {
        for (text, wrong) in [
            ("h:1", WrongPart::NoScheme),
            ("ftp://h:1", WrongPart::Scheme("ftp".into())),
            ("http://", WrongPart::NoHost),
            ("http://me:hunter2@", WrongPart::NoHost),
            ("https://h:0", WrongPart::Port),
            ("http://me:hunter2@h:70000", WrongPart::Port),
            ("http://me:hunter2", WrongPart::Port),
            ("http://[::1]8332", WrongPart::Port),
            ("http://[::1", WrongPart::Bracket),
            ("http://h:1?me:hunter2", WrongPart::Query),
            ("http://h:1#me:hunter2", WrongPart::Fragment),
        ] {
            let error = text.parse::<NodeUrl>().unwrap_err();
            assert_eq!(error.wrong, wrong, "{text}: {error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{text}: {error}");
        }
        for text in ["http://me@h:1", "http://:hunter2@h:1", "http://a%3ab:hunter2@h:1"] {
            let error = text.parse::<NodeUrl>().unwrap_err();
            assert!(matches!(error.wrong, WrongPart::Login(_)), "{text}: {error}");
        }
        let url: NodeUrl = "http://me:a%2Fb/c%40@h:1/wallet/w".parse().unwrap();
        assert_eq!(url.login.unwrap().password, "a/b/c@");
        assert_eq!(url.path, "/wallet/w");
    }
}
