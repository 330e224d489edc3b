//! Through a SOCKS5 proxy (RFC 1928), and why the way ends there, in words: what the proxy
//! answered is told apart from what no proxy answers. Called by [`Dialler`](crate::Dialler).

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_socks::Error;
use tokio_socks::tcp::Socks5Stream;

use crate::ProxyUrl;
use crate::foreign::{self, FirstBytes, Overheard, Spoken};

const VERSION: u8 = 5;
/// The bytes of an answer come together, nearly always.
const MORE: Duration = Duration::from_millis(200);

/// Has the proxy at the other end of `stream` connect us. The name goes to it as it is.
///
/// # Errors
/// A sentence that goes on after the name of the proxy.
pub(crate) async fn through(
    stream: TcpStream,
    proxy: &ProxyUrl,
    to: (&str, u16),
    due: Instant,
) -> Result<TcpStream, String> {
    let first = FirstBytes::default();
    let mut stream = Overheard::new(stream, first.clone());
    let connected = async {
        let stream = &mut stream;
        match &proxy.login {
            None => Socks5Stream::connect_with_socket(stream, to).await.map(drop),
            Some((user, password)) => {
                Socks5Stream::connect_with_password_and_socket(stream, to, user, password)
                    .await
                    .map(drop)
            }
        }
    };
    match timeout_at(due, connected).await {
        Ok(Ok(())) => Ok(stream.into_inner()),
        Ok(Err(error)) => {
            if first.get().first().is_some_and(|version| *version != VERSION) {
                // Two bytes were read; the next ones tell which protocol it is.
                let more = Instant::now() + MORE;
                let _ = timeout_at(more.min(due), stream.read(&mut [0; 64])).await;
            }
            Err(why(&error, &first.get(), proxy))
        }
        Err(_) => Err(why_silent(&first.get())),
    }
}

/// The sentence about a server that answers and is no SOCKS5 proxy.
fn not_socks(first: &[u8]) -> Option<String> {
    if first.first().is_none_or(|version| *version == VERSION) {
        return None;
    }
    let what = match foreign::spoken(first)? {
        _ if matches!(first, [0, 0x5a..=0x5d, ..]) => "it looks like SOCKS4",
        Spoken::Http | Spoken::HttpAboutTls | Spoken::Http2 => "it looks like an HTTP server",
        Spoken::Tls => "it looks like a TLS port",
        Spoken::JsonLines => "it looks like a Stratum port",
        Spoken::Bitcoin(_) => "it looks like a Bitcoin node's port for other nodes",
        Spoken::Named("SSH") => "it looks like SSH (`ssh -D PORT` makes a SOCKS5 proxy of it)",
        Spoken::Named(name) => {
            return Some(sentence(&format!("it looks like {name}"), first));
        }
        Spoken::Echo
        | Spoken::OtherJson
        | Spoken::StratumV2
        | Spoken::Encrypted
        | Spoken::Unknown => "its protocol is unknown",
    };
    Some(sentence(what, first))
}

fn sentence(what: &str, first: &[u8]) -> String {
    let shown = foreign::shown(first);
    format!(
        "does not speak SOCKS5: {what}; its first bytes are {shown}; write the address of a SOCKS5 \
         proxy, as socks5://127.0.0.1:9050"
    )
}

fn why_silent(first: &[u8]) -> String {
    not_socks(first).unwrap_or_else(|| match first.is_empty() {
        true => "does not answer our greeting: is it a SOCKS5 proxy?".to_owned(),
        false => "has not connected us in time: the way from there may be slow or shut".to_owned(),
    })
}

/// Every error of the crate has its words here; none of its texts reaches the user.
fn why(error: &Error, first: &[u8], proxy: &ProxyUrl) -> String {
    if let Some(foreign) = not_socks(first) {
        return foreign;
    }
    let words = match error {
        Error::Io(_) if first.is_empty() => {
            "closed the connection without a word: is it a SOCKS5 proxy?"
        }
        Error::Io(_) => "closed the connection before it had connected us",
        Error::PasswordAuthFailure(_) => "does not take the user and password of --proxy",
        Error::InvalidAuthValues(_) => "takes user and password of 1 to 255 bytes each",
        Error::AuthorizationRequired | Error::NoAcceptableAuthMethods if proxy.login.is_none() => {
            "wants a user and a password: write socks5://USER:PASS@HOST:PORT"
        }
        Error::AuthorizationRequired
        | Error::NoAcceptableAuthMethods
        | Error::IdentdAuthFailure
        | Error::InvalidUserIdAuthFailure => "wants another login than user and password",
        Error::GeneralSocksServerFailure => {
            "could not connect us and says no more (general failure)"
        }
        Error::ConnectionNotAllowedByRuleset => "does not allow this connection by its rules",
        Error::NetworkUnreachable => "finds no way to that network",
        Error::HostUnreachable => "cannot reach that host: check its name, and the proxy's network",
        Error::ConnectionRefused => "was refused there: no program listens at that port",
        Error::TtlExpired => "had no answer from there in time",
        Error::CommandNotSupported => "does not support CONNECT (command not supported)",
        Error::AddressTypeNotSupported => "does not take a name or address of this kind",
        Error::InvalidTargetAddress(_) | Error::ParseError(_) => {
            "cannot be given this host: a name has at most 255 bytes"
        }
        Error::UnknownAuthMethod => return unknown_code(first),
        _ => "broke the rules of SOCKS5: is it a SOCKS5 proxy?",
    };
    words.to_owned()
}

/// The crate has one error for a login and for an answer that it does not know.
fn unknown_code(first: &[u8]) -> String {
    let reply = match first {
        [VERSION, 0, VERSION, code, ..] | [VERSION, 2, 1, 0, VERSION, code, ..] => code,
        _ => return "wants another login than user and password".to_owned(),
    };
    format!("did not connect us, with code {reply}, which SOCKS5 does not have")
}
