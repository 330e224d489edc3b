//! Where a SOCKS5 proxy is: `socks5://[user:password@]host:port`. Names of pools are looked up by
//! the proxy, so that nothing about them leaves this machine another way (`socks5h` means the
//! same).

use std::fmt;
use std::str::FromStr;

use crate::url_parts::{Parts, UrlError, WrongPart};

/// Address of a SOCKS5 proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    /// Name or address of the proxy itself; IPv6 without brackets.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// User and password, if it wants them.
    pub login: Option<(String, String)>,
}

const EXPECTED: &str = "socks5://HOST:PORT or socks5://USER:PASSWORD@HOST:PORT";

impl FromStr for ProxyUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        parse(text.trim()).map_err(|wrong| UrlError { wrong, expected: EXPECTED })
    }
}

fn parse(text: &str) -> Result<ProxyUrl, WrongPart> {
    let Some((scheme, _)) = text.split_once("://") else {
        return Err(Parts::of(text).err().unwrap_or(WrongPart::NoScheme));
    };
    if !matches!(scheme.to_ascii_lowercase().as_str(), "socks5" | "socks5h") {
        return Err(WrongPart::scheme(scheme));
    }
    let parts = Parts::of(text)?;
    if !matches!(parts.path, "" | "/") {
        return Err(WrongPart::Path);
    }
    if parts.query.is_some() {
        return Err(WrongPart::Query);
    }
    if parts.fragment.is_some() {
        return Err(WrongPart::Fragment);
    }
    // RFC 1929: one byte of length for each.
    let fits = |part: &String| (1..=255).contains(&part.len());
    let login = match parts.login.map(|login| (login.user, login.password)) {
        None => None,
        Some((Some(user), Some(password))) if fits(&user) && fits(&password) => {
            Some((user, password))
        }
        Some(_) => {
            return Err(WrongPart::Login(
                "a proxy takes both a user name and a password, 1 to 255 bytes each",
            ));
        }
    };
    let port = parts.port.ok_or(WrongPart::NoPort)?;
    Ok(ProxyUrl { host: parts.host.to_owned(), port, login })
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            write!(f, "socks5://[{host}]:{port}")
        } else {
            write!(f, "socks5://{host}:{port}")
        }
    }
}

impl fmt::Debug for ProxyUrl {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_read_and_passwords_are_not_shown() {
        for (text, shown, login) in [
            ("socks5://127.0.0.1:9050", "socks5://127.0.0.1:9050", None),
            ("socks5h://tor.lan:9050/", "socks5://tor.lan:9050", None),
            ("socks5://[::1]:9050", "socks5://[::1]:9050", None),
            ("socks5://me:p@ss:w@a:1", "socks5://a:1", Some(("me".into(), "p@ss:w".into()))),
            ("SOCKS5://me:p%40@a:1", "socks5://a:1", Some(("me".into(), "p@".into()))),
        ] {
            let proxy: ProxyUrl = text.parse().unwrap();
            assert_eq!((proxy.to_string().as_str(), &proxy.login), (shown, &login));
            assert_eq!(format!("{proxy:?}"), shown);
        }
        for text in ["127.0.0.1:9050", "http://a:1", "socks5://a", "socks5://a:0", "socks5://::1:9"]
        {
            assert!(text.parse::<ProxyUrl>().is_err(), "{text}");
        }
        for text in ["socks5:127.0.0.1:9050", "socks5h:tor.lan:9050"] {
            let error = text.parse::<ProxyUrl>().unwrap_err();
            assert_eq!(error.wrong, WrongPart::Slashes, "{text}");
        }
        for text in [
            "socks5://me:secret@a",
            "socks5://me:secret",
            "http://me:secret@a:1",
            "socks5://secret@a:1",
            "socks5://a:1/secret",
            "me:secret@a:1",
        ] {
            let error = text.parse::<ProxyUrl>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "rule 7: {error}");
        }
    }
}
