//! Where a pool lives: `stratum+tcp://host:port`, `stratum+tls://host:port`, or `host:port` alone
//! (U3), and at Stratum V2 `stratum2+tcp://host:port/AUTHORITYKEY`. A user name and a password may
//! stand before the host (`user:pass@`), and NiceHash's `#xnsub` behind the port: it asks for
//! `mining.extranonce.subscribe`, which the client sends to every pool.

use std::fmt;
use std::str::FromStr;

use midstate_sv2::AuthorityKey;

use crate::dial::Endpoint;
use crate::foreign::Wanted;
use crate::url_parts::{Parts, UrlError, UrlLogin, WrongPart};

const EXPECTED: &str =
    "stratum+tcp://HOST:PORT, stratum+tls://HOST:PORT or stratum2+tcp://HOST:PORT/AUTHORITYKEY";

/// Address of a Stratum pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolUrl {
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether the connection is TLS. Nothing ever falls back to plaintext.
    pub tls: bool,
    /// Whether it speaks Stratum V2, which has an encryption of its own.
    pub v2: Option<V2>,
}

/// A pool of Stratum V2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct V2 {
    /// The key that has to have signed its certificate; `None`: anybody may answer.
    pub authority: Option<AuthorityKey>,
}

/// A pool as people write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolAddress {
    /// Where it lives.
    pub url: PoolUrl,
    /// Our login there, as far as the text has it.
    pub login: UrlLogin,
}

impl PoolUrl {
    /// Where a pool at this address redirects to: what it does not name stays, and so does TLS. The
    /// host may be an IPv6 address in brackets.
    pub(crate) fn redirected(&self, host: Option<String>, port: Option<u16>) -> Self {
        let host = host.unwrap_or_else(|| self.host.clone());
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(&host).to_owned();
        Self { host, port: port.unwrap_or(self.port), tls: self.tls, v2: self.v2 }
    }

    pub(crate) fn endpoint(&self) -> Endpoint<'_> {
        let wanted = if self.v2.is_some() { Wanted::StratumV2 } else { Wanted::Stratum };
        Endpoint { host: &self.host, port: self.port, url: self, wanted }
    }
}

impl FromStr for PoolAddress {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        parse(text.trim()).map_err(|wrong| UrlError { wrong, expected: EXPECTED })
    }
}

/// Where there is no place for a user name and a password.
impl FromStr for PoolUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let PoolAddress { url, login } = text.parse()?;
        if login == UrlLogin::default() {
            return Ok(url);
        }
        let wrong = WrongPart::Login("the URL has a user name or a password");
        Err(UrlError { wrong, expected: EXPECTED })
    }
}

fn parse(text: &str) -> Result<PoolAddress, WrongPart> {
    if let Some((scheme, _)) = text.split_once("://") {
        Scheme::of(scheme)?;
    }
    let parts = Parts::of(text)?;
    let scheme = parts.scheme.map_or(Ok(Scheme::Plain), Scheme::of)?;
    let port = parts.port.ok_or(WrongPart::NoPort)?;
    let user = parts.login.as_ref().and_then(|login| login.user.as_deref());
    if scheme == Scheme::V2 && user.is_some_and(|user| user.parse::<AuthorityKey>().is_ok()) {
        return Err(WrongPart::KeyBefore);
    }
    let v2 = match (scheme, parts.path) {
        (Scheme::V2, "" | "/") => Some(V2 { authority: None }),
        (Scheme::V2, path) => {
            let key = path.trim_matches('/').parse();
            Some(V2 { authority: Some(key.map_err(WrongPart::AuthorityKey)?) })
        }
        (_, "" | "/") => None,
        _ => return Err(WrongPart::Path),
    };
    if parts.query.is_some() {
        return Err(WrongPart::Query);
    }
    if parts.fragment.is_some_and(|fragment| !fragment.eq_ignore_ascii_case("xnsub")) {
        return Err(WrongPart::Fragment);
    }
    let host = parts.host.to_owned();
    let url = PoolUrl { host, port, tls: scheme == Scheme::Tls, v2 };
    Ok(PoolAddress { url, login: parts.login.unwrap_or_default() })
}

/// The way of speaking that a scheme stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Plain,
    Tls,
    V2,
}

impl Scheme {
    fn of(scheme: &str) -> Result<Self, WrongPart> {
        match scheme.to_ascii_lowercase().as_str() {
            "stratum+tcp" | "stratum" | "tcp" => Ok(Self::Plain),
            "stratum+tls" | "stratum+ssl" | "stratum+tcps" | "tls" | "ssl" | "tcps" => {
                Ok(Self::Tls)
            }
            "stratum2+tcp" | "stratum2" => Ok(Self::V2),
            _ => Err(WrongPart::scheme(scheme)),
        }
    }
}

impl fmt::Display for PoolUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, tls, v2 } = self;
        let scheme = match (v2, tls) {
            (Some(_), _) => "stratum2+tcp",
            (None, true) => "stratum+tls",
            (None, false) => "stratum+tcp",
        };
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")?;
        } else {
            write!(f, "{scheme}://{host}:{port}")?;
        }
        match v2 {
            Some(V2 { authority: Some(key) }) => write!(f, "/{key}"),
            _ => Ok(()),
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
            ("stratum+tcp://pool.example:3333#xnsub", "stratum+tcp://pool.example:3333"),
            ("pool.example:3333/#XNSUB", "stratum+tcp://pool.example:3333"),
            ("stratum2+tcp://pool.example:3333/", "stratum2+tcp://pool.example:3333"),
            (
                "STRATUM2+TCP://[::1]:34254/9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh/",
                "stratum2+tcp://[::1]:34254/9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh",
            ),
        ] {
            let url: PoolUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown, "{text}");
            assert_eq!(shown.parse(), Ok(url), "{text}");
        }
    }

    #[test]
    fn rule_7_an_error_names_the_part_that_is_wrong_and_no_password() {
        for (text, wrong) in [
            ("gopher://a:1", WrongPart::Scheme("gopher".into())),
            ("me:hunter2://a:1", WrongPart::Scheme(String::new())),
            ("stratum+tcp//a:1", WrongPart::Colon),
            ("a", WrongPart::NoPort),
            ("", WrongPart::NoHost),
            (":1", WrongPart::NoHost),
            ("stratum+tcp://me:hunter2@", WrongPart::NoHost),
            ("stratum+tcp://me:hunter2@:1", WrongPart::NoHost),
            ("[]:1", WrongPart::V6),
            ("[::1:3333", WrongPart::Bracket),
            ("me:hunter2:a:1", WrongPart::NoAt),
            ("'stratum+tcp://a:1'", WrongPart::Quotes),
            ("stratum2+tcp://a/short:1", WrongPart::NoPort),
            (
                "stratum2+tcp://9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh@a:1",
                WrongPart::KeyBefore,
            ),
            ("a b:1", WrongPart::Host),
            ("a\n:1", WrongPart::Host),
            ("::1:3333", WrongPart::Brackets),
            ("stratum+tcp://me:hunter2@2001:db8::1", WrongPart::Brackets),
            ("stratum+tcp://me:hunter2@a", WrongPart::NoPort),
            ("stratum+tcp://me:hunter2", WrongPart::Port),
            ("a:0", WrongPart::Port),
            ("a:", WrongPart::Port),
            ("a:+1", WrongPart::Port),
            ("me:hunter2@a:70000", WrongPart::Port),
            ("[::1]3333", WrongPart::Port),
            ("me:hunter2@a:1/path", WrongPart::Path),
            ("me:hunter2@a:1/?x", WrongPart::Query),
            ("me:hunter2@a:1?x=1", WrongPart::Query),
            ("me:hunter2@a:1#sub", WrongPart::Fragment),
            ("me:hunter2%@a:1", WrongPart::Percent),
            ("a:1/me:hunter2@b:1", WrongPart::Ambiguous),
        ] {
            let error = text.parse::<PoolAddress>().unwrap_err();
            assert_eq!(error.wrong, wrong, "{text:?}: {error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{text:?}: {error}");
        }
        let address: PoolAddress = "stratum+tls://me:hunter2@a:1#xnsub".parse().unwrap();
        assert_eq!(address.url.to_string(), "stratum+tls://a:1");
        assert_eq!(address.login.password.as_deref(), Some("hunter2"));
        assert!(!format!("{address:?}").contains("hunter2"));
        assert!("me:hunter2@a:1".parse::<PoolUrl>().is_err());
    }
}
