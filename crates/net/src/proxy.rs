//! Where a SOCKS5 proxy is: `socks5://[user:password@]host:port`. Names of pools are looked up by
//! the proxy, so that nothing about them leaves this machine another way (`socks5h` means the
//! same).

use std::fmt;
use std::str::FromStr;

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

/// Why a text is not the address of a proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no proxy, expected socks5://HOST:PORT or socks5://USER:PASSWORD@HOST:PORT")]
pub struct ProxyError(String);

impl FromStr for ProxyUrl {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        // Not the text itself in the error: it may hold a password.
        let error = || {
            let shown = text.rsplit_once('@').map_or(text, |(_, authority)| authority);
            ProxyError(shown.to_owned())
        };
        let rest = text.strip_prefix("socks5://").or_else(|| text.strip_prefix("socks5h://"));
        let rest = rest.ok_or_else(error)?.trim_end_matches('/');
        let (login, authority) = match rest.rsplit_once('@') {
            Some((login, authority)) => {
                let (user, password) = login.split_once(':').ok_or_else(error)?;
                // RFC 1929: one byte of length for each.
                let fits = |part: &str| (1..=255).contains(&part.len());
                if !fits(user) || !fits(password) {
                    return Err(error());
                }
                (Some((user.to_owned(), password.to_owned())), authority)
            }
            None => (None, rest),
        };
        let (host, port) = authority.rsplit_once(':').ok_or_else(error)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let port = port.parse().ok().filter(|&port| port != 0).ok_or_else(error)?;
        let host = bare.unwrap_or(host);
        if !midstate_stratum::redirect::is_host(host) || (bare.is_none() && host.contains(':')) {
            return Err(error());
        }
        Ok(Self { host: host.to_owned(), port, login })
    }
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
        ] {
            let proxy: ProxyUrl = text.parse().unwrap();
            assert_eq!((proxy.to_string().as_str(), &proxy.login), (shown, &login));
            assert_eq!(format!("{proxy:?}"), shown);
        }
        for text in ["127.0.0.1:9050", "http://a:1", "socks5://a", "socks5://a:0", "socks5://::1:9"]
        {
            assert!(text.parse::<ProxyUrl>().is_err(), "{text}");
        }
        let error = "socks5://me:secret@a".parse::<ProxyUrl>().unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
