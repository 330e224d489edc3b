//! The parts of a URL, for pools, nodes and proxies alike: scheme, user name, password, host, port,
//! path, query, fragment. An error names the part that is wrong and what was expected.
//!
//! Rule: no text of a URL is repeated in an error, except a scheme. A password may stand where a
//! host, a port or a path is expected (`stratum+tcp://me:secret` without a host), and errors end up
//! in logs.
//!
//! A user name and a password are percent-decoded. A password may hold `/`, `?`, `#` and `@` as
//! they are; a text that can be read in two ways is refused.

use std::fmt;

/// The mistake in a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{wrong}, expected {expected}")]
pub struct UrlError {
    /// The part and its mistake.
    pub wrong: WrongPart,
    /// An example of such a URL.
    pub expected: &'static str,
}

/// The part of a URL that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WrongPart {
    /// A scheme that is not spoken here.
    #[error("unknown scheme{}", shown(.0))]
    Scheme(String),
    /// `-p=secret`: a flag that lost its own place.
    #[error("a flag stands where the URL should be")]
    Flag,
    /// `http//host`.
    #[error("the URL has // without the colon before it")]
    Colon,
    /// No scheme where one is needed.
    #[error("the URL has no scheme")]
    NoScheme,
    /// Brackets without an IPv6 address in them.
    #[error("the brackets in the URL hold no IPv6 address, as [::1]")]
    V6,
    /// `[fe80::1]`: it says not which network it is on.
    #[error(
        "the host in the URL is an IPv6 address of a link: write its zone, the name of the network \
         interface, behind a %, as in [fe80::1%eth0]"
    )]
    NoZone,
    /// Nothing where the host should be.
    #[error("the URL names no host")]
    NoHost,
    /// A host with characters that no host has.
    #[error("the host in the URL is neither a name nor an address")]
    Host,
    /// A number behind the last dot, and no IPv4 address.
    #[error(
        "the host in the URL is no IPv4 address: four numbers from 0 to 255, as 127.0.0.1, with no \
         dot behind them"
    )]
    Ipv4,
    /// Letters outside ASCII.
    #[error(
        "the host in the URL has characters outside ASCII: write its ASCII form, which begins with \
         xn--, as in a browser's address line"
    )]
    Idn,
    /// `stratum+tcp:host:port`.
    #[error("the URL has no // behind its scheme and colon")]
    Slashes,
    /// Two URLs with a comma or a semicolon between them.
    #[error(
        "the URL has a comma or a semicolon: name each server with an -o of its own, the best one \
         first"
    )]
    Comma,
    /// An IPv6 address without brackets.
    #[error("the host in the URL has several colons: write an IPv6 address in brackets, [::1]")]
    Brackets,
    /// One bracket alone.
    #[error(
        "one of the brackets around the host in the URL is missing: write an IPv6 address as \
         [::1], and the port behind it, as [::1]:3333"
    )]
    Bracket,
    /// `'host:3333'`, of a shell or a file that takes quotation marks as they are.
    #[error("the URL has quotation marks around it: leave them out")]
    Quotes,
    /// The key of a pool of Stratum V2 before its host.
    #[error(
        "the authority key in the URL stands where a user name would: write it behind the port, as \
         HOST:PORT/AUTHORITYKEY"
    )]
    KeyBefore,
    /// `host:3333:4444`.
    #[error("the URL has more than one port behind its host")]
    Ports,
    /// `user:password:host:3333`.
    #[error(
        "the host in the URL has several colons: if a user name and a password stand before it, an \
         @ ends them"
    )]
    NoAt,
    /// No port where one is needed.
    #[error("the URL has no port")]
    NoPort,
    /// A port that is no number from 1 to 65535.
    #[error("the port in the URL is no number from 1 to 65535")]
    Port,
    /// A path where none is allowed.
    #[error("the URL has a path (/..), which this kind of server does not have")]
    Path,
    /// A path that is no authority key.
    #[error("the authority key in the URL (behind the last /) {0}; the pool publishes it")]
    AuthorityKey(midstate_sv2::AuthorityKeyError),
    /// A query.
    #[error("the URL has a query (?..), which this kind of server does not have")]
    Query,
    /// A fragment other than `#xnsub`.
    #[error("the URL has a fragment (#..) that means nothing here; #xnsub is known, for pools")]
    Fragment,
    /// User name and password where none are allowed, or one of the two alone.
    #[error("{0}")]
    Login(&'static str),
    /// `%zz`.
    #[error(
        "the user name or password in the URL has a % that is not followed by two hex digits (%25 \
         stands for % itself), or does not decode to text"
    )]
    Percent,
    /// `host:80/a@b`: is the `@` part of the path, or does it end a password?
    #[error(
        "the URL has an @ behind a /, ? or #: write %40 in a path, %2F, %3F or %23 in a password"
    )]
    Ambiguous,
}

impl WrongPart {
    /// A scheme that is not spoken; its text is kept only if it is a word.
    pub(crate) fn scheme(text: &str) -> Self {
        if text.starts_with(QUOTES) {
            return Self::Quotes;
        }
        Self::Scheme(if is_scheme(text) { text.to_owned() } else { String::new() })
    }
}

/// A user name and a password as a URL gives them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UrlLogin {
    /// `None` where nothing stands before the colon.
    pub user: Option<String>,
    /// `None` where there is no colon.
    pub password: Option<String>,
}

impl fmt::Debug for UrlLogin {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UrlLogin({:?}, ..)", self.user)
    }
}

/// A URL cut into its parts.
pub(crate) struct Parts<'a> {
    pub(crate) scheme: Option<&'a str>,
    pub(crate) login: Option<UrlLogin>,
    /// IPv6 without brackets.
    pub(crate) host: &'a str,
    pub(crate) port: Option<u16>,
    /// With its slash; empty if there is none.
    pub(crate) path: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) fragment: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Cuts a URL; checks what is the same for all kinds of servers.
    pub(crate) fn of(text: &'a str) -> Result<Self, WrongPart> {
        let (begins, ends) = (text.starts_with(QUOTES), text.ends_with(QUOTES));
        if begins && ends || (begins || ends) && !text.contains('@') {
            return Err(WrongPart::Quotes);
        }
        if text.starts_with('-') {
            return Err(WrongPart::Flag);
        }
        // Said of a URL with a login, too, whose @ would stand behind a slash.
        if text.split_once("//").is_some_and(|(scheme, _)| KNOWN.contains(&scheme)) {
            return Err(WrongPart::Colon);
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
            _ => (None, text),
        };
        let (login, rest) = split_login(rest)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let is_list = |text: &str| text.contains([',', ';']);
        if is_list(authority) || text.contains(',') && login.is_none_or(|login| !is_list(login)) {
            return Err(WrongPart::Comma);
        }
        let behind_scheme = authority.split_once(':').filter(|(word, _)| KNOWN.contains(word));
        let lacks_slashes = |(_, port): (&str, &str)| {
            port.contains(':')
                || port.is_empty() && rest.starts_with('/') && !rest.starts_with("//")
        };
        if scheme.is_none() && behind_scheme.is_some_and(lacks_slashes) {
            return Err(WrongPart::Slashes);
        }
        if scheme.is_none() && login.is_none() && rest.starts_with("//") {
            return Err(WrongPart::Colon);
        }
        let (host, port) = host_and_port(authority)?;
        let (rest, fragment) = cut(rest, '#');
        let (path, query) = cut(rest, '?');
        let login = login.map(decoded_login).transpose()?;
        Ok(Self { scheme, login, host, port, path, query, fragment })
    }
}

/// The text before and the text behind a mark.
fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

/// Schemes of pools, nodes and proxies, in case two slashes are forgotten.
const KNOWN: [&str; 15] = [
    "stratum2+tcp",
    "stratum2",
    "stratum+tcp",
    "stratum+tls",
    "stratum+ssl",
    "stratum+tcps",
    "stratum",
    "tcp",
    "tls",
    "ssl",
    "tcps",
    "http",
    "https",
    "socks5",
    "socks5h",
];
/// Marks around a text, those of typewriters and of print.
const QUOTES: [char; 7] = ['"', '\'', '`', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];

fn is_scheme(text: &str) -> bool {
    text.len() <= 20
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

fn shown(scheme: &str) -> String {
    if scheme.is_empty() { String::new() } else { format!(" {scheme:?}") }
}

/// User name and password end at the last `@`.
fn split_login(rest: &str) -> Result<(Option<&str>, &str), WrongPart> {
    let Some((login, address)) = rest.rsplit_once('@') else { return Ok((None, rest)) };
    let head = login.split(['/', '?', '#']).next().unwrap_or_default();
    if head.len() < login.len() && !head.contains('@') {
        // The '@' stands behind a '/': it ends a password, unless what is before the '/' is a host.
        let is_host = match head.rsplit_once(':') {
            None => true,
            Some((_, port)) => port.parse::<u16>().is_ok(),
        };
        if is_host {
            return Err(WrongPart::Ambiguous);
        }
    }
    Ok((Some(login), address))
}

/// The mistake in a host without brackets that has several colons.
fn too_many_colons(authority: &str) -> WrongPart {
    let is_v6 = |text: &str| cut(text, '%').0.parse::<std::net::Ipv6Addr>().is_ok();
    let (before, behind) = authority.rsplit_once(':').unwrap_or((authority, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if is_v6(authority) || is_v6(before) && is_number(behind) {
        return WrongPart::Brackets;
    }
    match authority.split(':').skip(1).all(is_number) {
        true => WrongPart::Ports,
        false => WrongPart::NoAt,
    }
}

fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), WrongPart> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']').ok_or(WrongPart::Bracket)?;
            check_v6(host)?;
            match rest {
                "" => (host, None),
                _ if rest.contains(']') => return Err(WrongPart::Bracket),
                _ => (host, Some(rest.strip_prefix(':').ok_or(WrongPart::Port)?)),
            }
        }
        None if authority.contains(']') => return Err(WrongPart::Bracket),
        None => {
            let (host, port) = match authority.split_once(':') {
                Some((_, port)) if port.contains(':') => return Err(too_many_colons(authority)),
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            check_host(host)?;
            (host, port)
        }
    };
    let port = match port {
        None => None,
        Some(ports) if ports.contains(':') => return Err(WrongPart::Ports),
        // Digits only: `parse` takes `+1`, too.
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(port.parse().ok().filter(|&port| port != 0).ok_or(WrongPart::Port)?)
        }
        Some(_) => return Err(WrongPart::Port),
    };
    Ok((host, port))
}

/// Checks the text in brackets: an IPv6 address, with a zone behind `%` if it is one of a link (RFC
/// 4007); RFC 6874 writes the `%` as `%25`.
fn check_v6(host: &str) -> Result<(), WrongPart> {
    let (address, zone) = cut(host, '%');
    let address: std::net::Ipv6Addr = address.parse().map_err(|_| WrongPart::V6)?;
    let is_zone = |zone: &str| {
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        !zone.is_empty() && zone.bytes().all(sign)
    };
    match zone {
        None if address.is_unicast_link_local() => Err(WrongPart::NoZone),
        None => Ok(()),
        Some(zone) if is_zone(zone) => Ok(()),
        Some(_) => Err(WrongPart::NoZone),
    }
}

/// A name or an IPv4 address.
fn check_host(host: &str) -> Result<(), WrongPart> {
    if host.is_empty() {
        return Err(WrongPart::NoHost);
    }
    if !host.is_ascii() {
        return Err(WrongPart::Idn);
    }
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_numeric = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    // No name ends in a number (RFC 3696, 2): the resolver would look for it all the same.
    if is_numeric && host.parse::<std::net::Ipv4Addr>().is_err() {
        return Err(WrongPart::Ipv4);
    }
    match midstate_stratum::redirect::is_host(host) {
        true => Ok(()),
        false => Err(WrongPart::Host),
    }
}

fn decoded_login(login: &str) -> Result<UrlLogin, WrongPart> {
    let (user, password) = cut(login, ':');
    Ok(UrlLogin {
        user: (!user.is_empty()).then(|| decoded(user)).transpose()?,
        password: password.map(decoded).transpose()?,
    })
}

/// Percent-decoded.
fn decoded(text: &str) -> Result<String, WrongPart> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, behind @ ..] = rest {
        rest = behind;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let [high, low, behind @ ..] = rest else { return Err(WrongPart::Percent) };
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(WrongPart::Percent);
        bytes.push((digit(*high)? << 4 | digit(*low)?) as u8);
        rest = behind;
    }
    String::from_utf8(bytes).map_err(|_| WrongPart::Percent)
}

/// A text for an error message: whole if it cannot hold a password, else with what may be one
/// replaced by `..`. For messages of parsers that repeat what they were given.
pub fn without_login(text: &str) -> String {
    if text.starts_with('-') {
        return "..".to_owned();
    }
    let (before, rest) = text.split_at(text.find("://").map_or(0, |at| at + 3));
    if let Some((_, address)) = rest.rsplit_once('@') {
        return match host_and_port(address.split(['/', '?', '#']).next().unwrap_or_default()) {
            Ok(_) if is_plain(before, address) => format!("{before}..@{address}"),
            _ => "..".to_owned(),
        };
    }
    if is_plain(before, rest) {
        return text.to_owned();
    }
    // Text behind the first colon may be a password; text before it is none.
    let is_name = |host: &str| {
        !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
    };
    match rest.split_once(':') {
        Some((host, _)) if is_name(host) && has_scheme_or_none(before) => {
            format!("{before}{host}:..")
        }
        _ => "..".to_owned(),
    }
}

fn has_scheme_or_none(before: &str) -> bool {
    let scheme = before.strip_suffix("://").unwrap_or(before);
    scheme.is_empty() || is_scheme(scheme)
}

/// Whether this is a host with or without a port, of as many digits as a port has: then no part of
/// it can be a password. A host in brackets may have colons.
fn is_plain(before: &str, rest: &str) -> bool {
    let (host, port) = rest.trim_end_matches('/').rsplit_once(':').unwrap_or((rest, ""));
    let is_port = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_v6 = host.starts_with('[') && host.ends_with(']');
    has_scheme_or_none(before) && is_port && (is_v6 || !host.contains(':') && host.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_7_a_login_is_decoded_and_ends_at_the_last_at() {
        for (text, user, password, host) in [
            ("me:p%40ss@h:1", Some("me"), Some("p@ss"), "h"),
            ("x://a.rig:p@ss@h:1", Some("a.rig"), Some("p@ss"), "h"),
            ("x://a.rig@h:1", Some("a.rig"), None, "h"),
            ("x://:only@h:1", None, Some("only"), "h"),
            ("x://me:@h:1", Some("me"), Some(""), "h"),
            ("x://me:a/b?c#d@h:1/", Some("me"), Some("a/b?c#d"), "h"),
            ("x://me:a@b/c@[::1]:1", Some("me"), Some("a@b/c"), "::1"),
            ("x://m%C3%BC:%2f%3A@h:1", Some("mü"), Some("/:"), "h"),
        ] {
            let parts = Parts::of(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let login = parts.login.unwrap();
            assert_eq!((login.user.as_deref(), login.password.as_deref()), (user, password));
            assert_eq!((parts.host, parts.port), (host, Some(1)), "{text}");
            assert!(!format!("{login:?}").contains("p@ss"));
        }
    }

    #[test]
    fn rule_7_the_part_that_is_wrong_is_named() {
        for (text, wrong) in [
            ("stratum+tcp:127.0.0.1:3999", WrongPart::Slashes),
            ("http:127.0.0.1:8332", WrongPart::Slashes),
            ("stratum+tcp//h:3333", WrongPart::Colon),
            ("stratum+tcp//me:hunter2@h:3333", WrongPart::Colon),
            ("http//me:hunter2@h:8332/wallet", WrongPart::Colon),
            ("-p=hunter2", WrongPart::Flag),
            ("--pass=hunter2", WrongPart::Flag),
            ("x://a:1,x://b:2", WrongPart::Comma),
            ("a:1,b:2", WrongPart::Comma),
            ("a:1;b:2", WrongPart::Comma),
            ("x://a:1;", WrongPart::Comma),
            ("http:/127.0.0.1:8332", WrongPart::Slashes),
            ("stratum+tcp:/h:1", WrongPart::Slashes),
            ("x://127.0.0.1.:1", WrongPart::Ipv4),
            ("x://256.256.256.256:1", WrongPart::Ipv4),
            ("x://1.2.3:1", WrongPart::Ipv4),
            ("3333", WrongPart::Ipv4),
            ("x://münze.example:1", WrongPart::Idn),
            ("::1:3333", WrongPart::Brackets),
            ("[fe80::1]:3333", WrongPart::NoZone),
            ("x://[febf::1]:3333", WrongPart::NoZone),
            ("[fe80::1%]:3333", WrongPart::NoZone),
            ("[fe80::1%et h]:3333", WrongPart::NoZone),
            ("[::ffff:127.0.0.256]:1", WrongPart::V6),
            ("[127.0.0.1]:1", WrongPart::V6),
            ("x://fe80::1:3333", WrongPart::Brackets),
            ("2001:db8:0:0:0:0:0:1:3333", WrongPart::Brackets),
            ("fe80::1%eth0", WrongPart::Brackets),
            ("[::1:3333", WrongPart::Bracket),
            ("x://[::1", WrongPart::Bracket),
            ("x://::1]:3333", WrongPart::Bracket),
            ("x://h]:3333", WrongPart::Bracket),
            ("[::1]]:3333", WrongPart::Bracket),
            ("'h:3333'", WrongPart::Quotes),
            ("\"x://h:3333\"", WrongPart::Quotes),
            ("x://h:3333\u{201d}", WrongPart::Quotes),
            ("'x://me:hunter2@h:3333'", WrongPart::Quotes),
            ("[h:3333", WrongPart::Bracket),
            ("x://h:3333:4444", WrongPart::Ports),
            ("127.0.0.1:3333:4444", WrongPart::Ports),
            ("x://h::3333", WrongPart::Ports),
            ("x://h:3333:", WrongPart::Ports),
            ("x://[::1]:3333:4444", WrongPart::Ports),
            ("x://me:hunter2:h:3333", WrongPart::NoAt),
            ("me:hunter2:127.0.0.1:3333", WrongPart::NoAt),
            ("a:b:c", WrongPart::NoAt),
        ] {
            assert_eq!(Parts::of(text).err(), Some(wrong), "{text}");
        }
        // A password may hold a comma; a name may begin with a number or end in a dot.
        for text in [
            "x://me:a,b@h:1",
            "x://me:a;b@h:1",
            "http:8332/",
            "x://1pool.example:1",
            "x://pool.example.:1",
            "tcp:1",
            "[::ffff:127.0.0.1]:3333",
            "x://[64:ff9b::192.0.2.1]:3333",
            "[fe80::1%eth0]:3333",
            "[fe80::1%25en-0.1]:3333",
            "[fe80::1%3]:3333",
            "'me:hunter2'@h:1",
        ] {
            assert!(Parts::of(text).is_ok(), "{text}");
        }
        let pool = " stratum+tcp://h:1\n".parse::<crate::PoolUrl>().unwrap();
        assert_eq!(pool.to_string(), "stratum+tcp://h:1");
        assert!(" http://h:1 ".parse::<crate::NodeUrl>().is_ok());
        assert!(" socks5://h:1 ".parse::<crate::ProxyUrl>().is_ok());
    }

    #[test]
    fn rule_7_what_can_be_read_in_two_ways_is_refused() {
        for text in ["x://h:80/a@b", "x://h/a@b:1", "x://h?a@b", "x://h:1#a@b"] {
            assert_eq!(Parts::of(text).err(), Some(WrongPart::Ambiguous), "{text}");
        }
        for text in ["x://a%:b@h:1", "x://a:%4@h:1", "x://a:%zz@h:1", "x://a:%ff@h:1"] {
            assert_eq!(Parts::of(text).err(), Some(WrongPart::Percent), "{text}");
        }
    }

    #[test]
    fn rule_7_a_text_that_may_hold_a_password_is_not_repeated() {
        for (text, shown) in [
            ("stratum+tcp://h:70000", "stratum+tcp://h:70000"),
            ("gopher://h", "gopher://h"),
            ("h:1/path", "h:.."),
            ("127.0.0.1:333333", "127.0.0.1:.."),
            ("x://me:hunter2@h:1", "x://..@h:1"),
            ("x://me:hunter2", "x://me:.."),
            ("me:hunter2@h", "..@h"),
            ("x://me:hunter2@h:hunter2", ".."),
            ("me:hunter2://h:1", ".."),
            ("-p=hunter2", ".."),
        ] {
            assert_eq!(without_login(text), shown, "{text}");
        }
    }

    #[test]
    fn rule_7_a_login_whose_at_is_missing_or_another_is_not_shown() {
        for text in [
            "stratum+tcp://w:PW:127.0.0.1:3333",
            "w:PW:pool.example:3333",
            "stratum+tcp://w:PW%40127.0.0.1:3333",
            "stratum+tcp://w:PW 127.0.0.1:3333",
            "w:PW\u{ff20}127.0.0.1:3333",
            "http://w:PW:127.0.0.1:8332",
            "socks5://u:PW:127.0.0.1:9050",
            "socks5://u:PW%4127.0.0.1:9050",
        ] {
            assert!(!without_login(text).contains("PW"), "{text}: {}", without_login(text));
        }
        for text in ["127.0.0.1:33333", "stratum+tcp://[::1]:3333", "pool.example:1/"] {
            assert_eq!(without_login(text), text);
        }
    }
}
