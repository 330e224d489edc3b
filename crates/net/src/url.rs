//! Where a pool lives: `stratum+tcp://host:port`, `stratum+tls://host:port`, or `host:port` alone
//! (U3). A user name and a password may stand before the host (`user:pass@`), and NiceHash's
//! `#xnsub` behind the port: it asks for `mining.extranonce.subscribe`, which the client sends to
//! every pool.

use std::fmt;
use std::str::FromStr;

use crate::dial::Endpoint;
use crate::foreign::Wanted;
use crate::url_parts::{Parts, UrlError, UrlLogin, WrongPart};

const EXPECTED: &str = "stratum+tcp://HOST:PORT or stratum+tls://HOST:PORT";

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
        Self { host, port: port.unwrap_or(self.port), tls: self.tls }
    }

    pub(crate) fn endpoint(&self) -> Endpoint<'_> {
        Endpoint { host: &self.host, port: self.port, url: self, wanted: Wanted::Stratum }
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
        is_tls(scheme)?;
    }
    let parts = Parts::of(text)?;
    let tls = parts.scheme.is_some_and(|scheme| is_tls(scheme) == Ok(true));
    if !matches!(parts.path, "" | "/") {
        return Err(WrongPart::Path);
    }
    if parts.query.is_some() {
        return Err(WrongPart::Query);
    }
    if parts.fragment.is_some_and(|fragment| !fragment.eq_ignore_ascii_case("xnsub")) {
        return Err(WrongPart::Fragment);
    }
    let url =
        PoolUrl { host: parts.host.to_owned(), port: parts.port.ok_or(WrongPart::NoPort)?, tls };
    Ok(PoolAddress { url, login: parts.login.unwrap_or_default() })
}

fn is_tls(scheme: &str) -> Result<bool, WrongPart> {
    match scheme.to_ascii_lowercase().as_str() {
        "stratum+tcp" | "stratum" | "tcp" => Ok(false),
        "stratum+tls" | "stratum+ssl" | "stratum+tcps" | "tls" | "ssl" | "tcps" => Ok(true),
        _ => Err(WrongPart::scheme(scheme)),
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
            ("stratum+tcp://pool.example:3333#xnsub", "stratum+tcp://pool.example:3333"),
            ("pool.example:3333/#XNSUB", "stratum+tcp://pool.example:3333"),
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
            ("[::1:3333", WrongPart::Host),
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
