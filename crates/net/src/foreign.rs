//! Which protocol a server speaks, told by its first bytes, when it is not the one that the URL
//! asks for. A pure function of bytes and URL; the connections keep the bytes ([`FirstBytes`]).
//!
//! A sentence made here says what answers, shows its first bytes without control characters, and
//! says what to write instead. A server that says nothing at all is guessed at by its port.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are kept of each connection. Enough for the answer of a Stratum V2 server.
const KEPT: usize = 256;
/// Characters that are shown of them.
const SHOWN: usize = 40;

/// The protocol that a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// JSON lines: Stratum V1, or a relative.
    JsonLines,
    /// HTTP/1.
    Http,
    /// A request of ours, which came back.
    Echo,
    /// A line of JSON that no pool sends.
    OtherJson,
    /// HTTP/1, and the answer is that the port wants TLS.
    HttpAboutTls,
    /// HTTP/2 without TLS.
    Http2,
    /// A TLS record.
    Tls,
    /// Bitcoin's protocol between nodes; the network's name.
    Bitcoin(&'static str),
    /// The length of a Stratum V2 server's answer to a key, and no text.
    StratumV2,
    /// Many bytes, and no text: something encrypted.
    Encrypted,
    /// Another protocol, by its name.
    Named(&'static str),
    /// None of these.
    Unknown,
}

/// The protocol that the URL asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A pool.
    Stratum,
    /// A pool of Stratum V2.
    StratumV2,
    /// A node's RPC port.
    Http,
}

/// Where first bytes were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    /// There is no TLS.
    Plain,
    /// Before TLS or instead of it.
    BelowTls,
    /// A protocol inside TLS.
    InTls,
}

impl Layer {
    /// The layer within a connection that is TLS or not.
    pub(crate) fn inside(tls: bool) -> Self {
        if tls { Self::InTls } else { Self::Plain }
    }

    /// A cure keeps TLS where it was asked for.
    fn schemes(self) -> (&'static str, &'static str) {
        match self {
            Self::Plain => ("stratum+tcp", "http"),
            Self::BelowTls | Self::InTls => ("stratum+tls", "https"),
        }
    }
}

/// A protocol, and the server that it is asked of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) wanted: Wanted,
    /// Where the bytes were seen.
    pub(crate) layer: Layer,
    /// As in a URL; IPv6 without brackets.
    pub(crate) host: &'a str,
    pub(crate) port: u16,
}

/// The first words of protocols whose servers speak first, or answer what they do not know.
const GREETINGS: [(&[u8], &str); 27] = [
    (b"SSH-", "SSH"),
    (b"220", "SMTP or FTP"),
    (b"554", "SMTP"),
    (b"421", "SMTP or FTP"),
    (b"+OK", "POP3"),
    (b"* OK", "IMAP"),
    (b"* BYE", "IMAP"),
    (b"-ERR", "Redis"),
    (b"-NOAUTH", "Redis"),
    (b"-DENIED", "Redis"),
    (b"ERROR\r\n", "memcached"),
    (b"RFB ", "VNC"),
    (b"AMQP", "AMQP"),
    (b"RTSP/", "RTSP"),
    (b"NOTICE ", "IRC"),
    (b"\xff\xfb", "telnet"),
    (b"\xff\xfd", "telnet"),
    (b"\x05\xff", "a SOCKS proxy, as Tor's"),
    (b"\x05\x00", "a SOCKS proxy, as Tor's"),
    (b"\xff\0\0\0\0\0\0\0\x01\x7f", "ZeroMQ, as of -zmqpub ports"),
    (b"\x13BitTorrent protocol", "BitTorrent"),
    (b"E\0\0\0", "PostgreSQL"),
    (b"200 ", "NNTP"),
    (b"<?xml", "XMPP"),
    (b"<html", "a web page without HTTP"),
    (b"<HTML", "a web page without HTTP"),
    (b"<!DOCTYPE", "a web page without HTTP"),
];

/// The first bytes of every message between Bitcoin nodes (Core's `chainparams.cpp`).
const MAGICS: [([u8; 4], &str); 5] = [
    ([0xf9, 0xbe, 0xb4, 0xd9], "main"),
    ([0x0b, 0x11, 0x09, 0x07], "testnet3"),
    ([0x1c, 0x16, 0x3f, 0x28], "testnet4"),
    ([0x0a, 0x03, 0xcf, 0x40], "signet"),
    ([0xfa, 0xbf, 0xb5, 0xda], "regtest"),
];

/// The cure where a server speaks HTTP of another version.
pub(crate) const ONLY_HTTP_1: &str = "Bitcoin Core speaks HTTP/1.1: write the node's own RPC port, \
                                      or have the proxy in front of it answer in HTTP/1.1";
/// Ports where Bitcoin nodes talk to each other, and the RPC port beside each.
const P2P_PORTS: [(u16, u16); 5] =
    [(8333, 8332), (18333, 18332), (48333, 48332), (38333, 38332), (18444, 18443)];
/// Ports of pools and translators in the examples of the Stratum V2 reference implementation.
const V2_PORTS: [u16; 3] = [34254, 43333, 3336];

/// The protocol of the first bytes; `None` before the first one.
pub(crate) fn spoken(first: &[u8]) -> Option<Spoken> {
    // The reader of lines passes over a byte order mark, too.
    let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first).trim_ascii_start();
    let begins = |with: &[u8]| first.starts_with(with);
    let spoken = match text.first().or(first.first())? {
        b'{' | b'[' => json(text),
        _ if begins(b"PRI * HTTP/2") => Spoken::Http2,
        _ if first.get(..5).is_some_and(|word| word.eq_ignore_ascii_case(b"HTTP/")) => {
            let about_tls =
                ["HTTPS port", "HTTPS server", "https://", "requires TLS"].map(str::as_bytes);
            let says = |words: &[u8]| first.windows(words.len()).any(|window| window == words);
            if about_tls.into_iter().any(says) { Spoken::HttpAboutTls } else { Spoken::Http }
        }
        // A record of a handshake or an alert, of any version.
        0x15 | 0x16 if first.get(1) == Some(&3) && first.get(2).is_none_or(|minor| *minor <= 4) => {
            Spoken::Tls
        }
        _ => by_table(first),
    };
    Some(spoken)
}

/// JSON by its first line: a message of Stratum has one of these fields, and no pool asks for
/// what a miner asks for.
fn json(text: &[u8]) -> Spoken {
    let end = text.iter().position(|byte| *byte == b'\n');
    let line = &text[..end.unwrap_or(text.len())];
    let has = |word: &str| line.windows(word.len()).any(|window| window == word.as_bytes());
    let is_answer = has("\"result\"") || has("\"error\"");
    let ours = ["\"mining.configure\"", "\"mining.subscribe\"", "\"mining.authorize\""];
    if !is_answer && has("\"method\"") && ours.into_iter().any(has) {
        return Spoken::Echo;
    }
    let is_message = is_answer || has("\"id\"") || has("\"method\"");
    if is_message || end.is_none() { Spoken::JsonLines } else { Spoken::OtherJson }
}

fn by_table(first: &[u8]) -> Spoken {
    if let Some((_, network)) = MAGICS.iter().find(|(magic, _)| first.starts_with(magic)) {
        return Spoken::Bitcoin(network);
    }
    if let Some((_, name)) = GREETINGS.iter().find(|(greeting, _)| first.starts_with(greeting)) {
        return Spoken::Named(name);
    }
    match first {
        // An empty packet number and protocol 10, then a version in text.
        [_, _, 0, 0, 10, version, ..] if version.is_ascii_digit() => Spoken::Named("MySQL"),
        // Its refusal: the same, and an error of a number from 768 to 2047.
        [_, _, 0, 0, 0xff, _, 3..=7, ..] => Spoken::Named("MySQL"),
        [0, _, _, _, 0xfe | 0xff, b'S', b'M', b'B', ..] => {
            Spoken::Named("SMB, as of Windows shares")
        }
        // A sequence of the message's number and an operation.
        [0x30, _, 2, 1, _, 0x60..=0x7f, ..] => Spoken::Named("LDAP"),
        // A SETTINGS or GOAWAY frame of stream 0.
        [0, 0, _, 4 | 7, 0, 0, 0, 0, 0, ..] => Spoken::Http2,
        _ if is_text(first) || first.len() < 64 => Spoken::Unknown,
        // A key, an encrypted key and a signed message; the older form has keys of 32 bytes.
        _ if !is_random(first) => Spoken::Unknown,
        _ if matches!(first.len(), 234 | 170) => Spoken::StratumV2,
        _ => Spoken::Encrypted,
    }
}

impl Spoken {
    /// Whether it begins as an answer in HTTP/1 does.
    pub(crate) fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::HttpAboutTls)
    }

    /// Whether it cannot become what was asked for, so that there is no need to wait for more.
    pub(crate) fn is_certain(self) -> bool {
        !matches!(
            self,
            Self::JsonLines | Self::OtherJson | Self::Unknown | Self::StratumV2 | Self::Encrypted
        )
    }
}

/// Whether these bytes are no part of the answer of a Stratum V2 server, which is as good as
/// random: another protocol, or text.
pub(crate) fn is_no_noise(first: &[u8]) -> bool {
    let is_readable = |byte: &&u8| matches!(byte, b' '..=b'~' | b'\t'..=b'\r');
    let readable = first.iter().filter(is_readable).count();
    let is_text = first.len() >= 8 && readable * 10 >= first.len() * 9;
    let is_named = spoken(first).is_some_and(Spoken::is_certain);
    !(first.len() >= 64 && is_random(first)) && (is_named || is_text)
}

/// A sentence that names the protocol of a server which does not speak the one asked for, with the
/// cure; `None` where the bytes are as they should be.
pub(crate) fn sentence(first: &[u8], asked: Asked<'_>) -> Option<String> {
    let spoken = spoken(first)?;
    let Asked { wanted, layer, .. } = asked;
    let expected = match (layer, wanted) {
        // Of a TLS connection only its records are seen.
        (Layer::BelowTls, _) if spoken == Spoken::Tls => return None,
        (Layer::BelowTls, _) => "TLS",
        (_, Wanted::Stratum) if spoken == Spoken::JsonLines => return None,
        (_, Wanted::Http) if matches!(spoken, Spoken::Http | Spoken::HttpAboutTls) => {
            return None;
        }
        (_, Wanted::StratumV2) if first.len() >= 64 && is_random(first) => return None,
        (_, Wanted::Stratum) => "Stratum",
        (_, Wanted::StratumV2) => "Stratum V2",
        (_, Wanted::Http) => "HTTP",
    };
    let what = match spoken {
        Spoken::JsonLines if wanted == Wanted::StratumV2 => "it looks like Stratum V1".to_owned(),
        Spoken::JsonLines if layer == Layer::InTls => "it looks like Stratum".to_owned(),
        Spoken::JsonLines => "it looks like Stratum in plain text".to_owned(),
        Spoken::Echo => "it repeats what we send".to_owned(),
        Spoken::OtherJson => "it looks like JSON of another protocol".to_owned(),
        Spoken::Http => "it looks like HTTP, a web server's or a node's".to_owned(),
        Spoken::HttpAboutTls => "it is a web server that wants TLS".to_owned(),
        Spoken::Http2 => "it looks like HTTP/2".to_owned(),
        Spoken::Tls => "it looks like TLS".to_owned(),
        Spoken::Bitcoin(network) => {
            format!("it looks like a Bitcoin node's port for other nodes ({network})")
        }
        Spoken::StratumV2 => "it looks like Stratum V2".to_owned(),
        Spoken::Encrypted if p2p(asked.port).is_some() => {
            "it looks like a Bitcoin node's port for other nodes (encrypted)".to_owned()
        }
        Spoken::Encrypted => {
            "it looks encrypted: Stratum V2, or a Bitcoin node's port for other nodes".to_owned()
        }
        Spoken::Named(name) => format!("it looks like {name}"),
        Spoken::Unknown => "its protocol is unknown".to_owned(),
    };
    Some(format!(
        "what answers there does not speak {expected}: {what}; its first bytes are {}; {}",
        shown(first),
        cure(spoken, asked)
    ))
}

/// The URL to write instead.
fn cure(spoken: Spoken, asked: Asked<'_>) -> String {
    let Asked { wanted, port, layer, .. } = asked;
    let at = asked.at();
    let (stratum, http) = layer.schemes();
    match (spoken, wanted) {
        (Spoken::JsonLines, _) if layer == Layer::InTls => format!("write stratum+tls://{at}"),
        (Spoken::JsonLines, _) => format!("write stratum+tcp://{at}"),
        (Spoken::Tls, Wanted::Stratum) => format!("write stratum+tls://{at}"),
        (Spoken::Tls, Wanted::StratumV2) => format!(
            "Stratum V2 has an encryption of its own; a pool of Stratum V1 with TLS is \
             stratum+tls://{at}"
        ),
        (Spoken::Tls | Spoken::HttpAboutTls, Wanted::Http) => format!("write https://{at}"),
        (Spoken::HttpAboutTls, Wanted::Stratum | Wanted::StratumV2) => format!(
            "write https://{at} with --address ADDR if a node is behind it; a pool's Stratum port \
             is another one"
        ),
        (Spoken::Http2, Wanted::Http) => ONLY_HTTP_1.to_owned(),
        // Below TLS it spoke without.
        (Spoken::Http, Wanted::Http) => format!("write http://{at}"),
        (Spoken::Http2, Wanted::Stratum | Wanted::StratumV2) => format!(
            "a pool's Stratum port is another than that of its web page: {stratum}://HOST:PORT"
        ),
        (Spoken::Http, Wanted::Stratum | Wanted::StratumV2) => format!(
            "write {}://{at} with --address ADDR if it is a Bitcoin node; a pool's Stratum port \
             is another than that of its web page",
            // Below TLS it spoke without.
            if layer == Layer::InTls { "https" } else { "http" }
        ),
        (Spoken::Bitcoin(_), _) => rpc_port(asked),
        (Spoken::Encrypted, _) if p2p(port).is_some() => rpc_port(asked),
        (Spoken::StratumV2 | Spoken::Encrypted, _) => {
            format!(
                "if it is Stratum V2, write stratum2+tcp://{at}/KEY with the pool's authority key"
            )
        }
        (
            Spoken::Echo | Spoken::OtherJson | Spoken::Named(_) | Spoken::Unknown,
            Wanted::Stratum,
        ) => {
            format!("write the pool's Stratum port: {stratum}://HOST:PORT")
        }
        (
            Spoken::Echo | Spoken::OtherJson | Spoken::Named(_) | Spoken::Unknown,
            Wanted::StratumV2,
        ) => "write the pool's Stratum V2 port: stratum2+tcp://HOST:PORT/KEY".to_owned(),
        (Spoken::Echo | Spoken::OtherJson | Spoken::Named(_) | Spoken::Unknown, Wanted::Http) => {
            format!("write the node's RPC port: {http}://HOST:PORT")
        }
    }
}

/// A guess at a server that says nothing, or closes the connection without a word. No claim: a
/// pool that is starting does the same.
pub(crate) fn guess(asked: Asked<'_>) -> String {
    let Asked { wanted, layer, port, .. } = asked;
    let (at, tls) = (asked.at(), layer != Layer::Plain);
    if p2p(port).is_some() {
        let cure = rpc_port(asked);
        return format!("port {port} is one where Bitcoin nodes talk to each other; {cure}");
    }
    let is_rpc = P2P_PORTS.iter().any(|(_, rpc)| *rpc == port);
    match wanted {
        Wanted::Stratum | Wanted::StratumV2 if is_rpc => format!(
            "port {port} is a Bitcoin node's RPC port; write http://{at} with --address ADDR"
        ),
        Wanted::Stratum if V2_PORTS.contains(&port) => {
            format!("port {port} is one of Stratum V2: write stratum2+tcp://{at}/KEY")
        }
        Wanted::Stratum if tls => {
            "it speaks TLS, as web servers do, too; is a pool's Stratum port behind it?".to_owned()
        }
        Wanted::Stratum => format!(
            "is it a port of Stratum V1? If it wants TLS, write stratum+tls://{at}; a Bitcoin \
             node is http://{at}"
        ),
        Wanted::StratumV2 => {
            format!("is it a port of Stratum V2? A pool of Stratum V1 is stratum+tcp://{at}")
        }
        Wanted::Http if tls => {
            "it speaks TLS; is a Bitcoin Core RPC port behind it, and does the node run?".to_owned()
        }
        Wanted::Http => format!("is it an RPC port? If it wants TLS, write https://{at}"),
    }
}

fn p2p(port: u16) -> Option<u16> {
    P2P_PORTS.iter().find(|(p2p, _)| *p2p == port).map(|(_, rpc)| *rpc)
}

fn rpc_port(asked: Asked<'_>) -> String {
    let rpc = p2p(asked.port).map_or_else(|| "PORT".to_owned(), |rpc| rpc.to_string());
    let host = asked.bracketed();
    format!("to mine at this node write its RPC port, http://{host}:{rpc}, with --address ADDR")
}

impl Asked<'_> {
    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_owned() }
    }

    fn at(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }
}

/// The first line if it is text, else bytes in hex; at most [`SHOWN`] characters.
pub(crate) fn shown(first: &[u8]) -> String {
    if is_text(first) {
        let line = first.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let clean = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' };
        let line: String = line.iter().take(SHOWN - 2).map(clean).collect();
        return format!("\"{line}\"");
    }
    let hex: Vec<_> = first.iter().take(SHOWN / 3).map(|byte| format!("{byte:02x}")).collect();
    hex.join(" ")
}

/// Whether the bytes are as varied as encrypted ones: of 64 about 57 differ, of 256 about 162.
fn is_random(first: &[u8]) -> bool {
    let mut seen = [false; 256];
    first.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count() * 2 > first.len()
}

/// Whether the first line can be read.
fn is_text(first: &[u8]) -> bool {
    let line = first.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    let is_readable = |byte: &&u8| matches!(byte, b' '..=b'~' | b'\t');
    !line.is_empty() && line.iter().filter(is_readable).count() * 10 >= line.len() * 9
}

/// The first bytes that came over a connection.
#[derive(Clone, Default)]
pub(crate) struct FirstBytes(Arc<Mutex<Vec<u8>>>);

impl FirstBytes {
    pub(crate) fn get(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another connection begins, or another answer.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn keep(&self, bytes: &[u8]) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT - first.len();
        first.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }
}

/// A transport whose first bytes are kept.
pub(crate) struct Overheard<T> {
    transport: T,
    first: FirstBytes,
    /// Bytes that may still be kept. Looked at without the lock.
    room: usize,
}

impl<T> Overheard<T> {
    pub(crate) fn new(transport: T, first: FirstBytes) -> Self {
        Self { transport, first, room: KEPT }
    }

    pub(crate) fn into_inner(self) -> T {
        self.transport
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Overheard<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.transport).poll_read(context, buffer);
        if self.room > 0 {
            let came = &buffer.filled()[before..];
            self.first.keep(came);
            self.room = self.room.saturating_sub(came.len());
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Overheard<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(wanted: Wanted, tls: bool, port: u16) -> Asked<'static> {
        let layer = if tls { Layer::BelowTls } else { Layer::Plain };
        Asked { wanted, layer, host: "h", port }
    }

    fn random(length: u32) -> Vec<u8> {
        (1..=length).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    #[test]
    fn rule_8_a_byte_order_mark_before_json_is_no_other_protocol() {
        assert_eq!(spoken(b"\xef\xbb\xbf{\"id\":1}\n"), Some(Spoken::JsonLines));
        assert_eq!(spoken(b"\xef\xbb\xbfhello, who are you\n"), Some(Spoken::Unknown));
    }

    #[test]
    fn rule_8_json_that_no_pool_sends_is_no_stratum() {
        for (first, expected) in [
            (&b"{\"status\":\"ok\"}\n"[..], Spoken::OtherJson),
            (b"{hello}\r\n", Spoken::OtherJson),
            (b"[]\n", Spoken::OtherJson),
            (b"{\"id\":1,\"method\":\"mining.configure\",\"params\":[[", Spoken::Echo),
            (b"{\"status\":\"o", Spoken::JsonLines),
            (b"{\"method\":\"mining.notify\",\"params\":[]}\n", Spoken::JsonLines),
            (
                b"{\"error\":[20,\"no\",{\"method\":\"mining.configure\"}],\"id\":1}\n",
                Spoken::JsonLines,
            ),
            (
                b"{\"error\":{\"message\":\"unknown method \\\"mining.configure\\\"\"},\"id\":1}\n",
                Spoken::JsonLines,
            ),
        ] {
            assert_eq!(spoken(first), Some(expected), "{}", first.escape_ascii());
        }
        assert!(Spoken::Echo.is_certain() && !Spoken::OtherJson.is_certain());
    }

    #[test]
    fn rule_8_the_first_bytes_tell_the_protocol() {
        for (first, expected) in [
            (&b"{\"id\":1,\"result\":true}\n"[..], Spoken::JsonLines),
            (b" \r\n{", Spoken::JsonLines),
            (b"HTTP/1.1 400 Bad Request\r\n", Spoken::Http),
            (b"HTTP/1.0 200 OK", Spoken::Http),
            (b"HTTP/1.1 400\r\n\r\nThe plain HTTP request was sent to HTTPS port", {
                Spoken::HttpAboutTls
            }),
            (b"\0\0\x12\x04\0\0\0\0\0\0\x03", Spoken::Http2),
            (b"\x15\x03\x01\0\x02\x02\x46", Spoken::Tls),
            (b"\x16\x03\x03\0\x7a\x02", Spoken::Tls),
            (b"\x15", Spoken::Unknown),
            (b"SSH-2.0-OpenSSH_9.6\r\n", Spoken::Named("SSH")),
            (b"220 mail.example ESMTP", Spoken::Named("SMTP or FTP")),
            (b"* OK IMAP4", Spoken::Named("IMAP")),
            (b"+OK POP3", Spoken::Named("POP3")),
            (b"-ERR unknown command", Spoken::Named("Redis")),
            (b"ERROR\r\nERROR\r\n", Spoken::Named("memcached")),
            (b"J\0\0\0\x0a8.0.36\0", Spoken::Named("MySQL")),
            (b"RFB 003.008\n", Spoken::Named("VNC")),
            (b"\xff\xfd\x18", Spoken::Named("telnet")),
            (b"\x05\xff", Spoken::Named("a SOCKS proxy, as Tor's")),
            (b"\xff\0\0\0\0\0\0\0\x01\x7f\x03", Spoken::Named("ZeroMQ, as of -zmqpub ports")),
            (b"E\0\0\0\x8fSFATAL\0", Spoken::Named("PostgreSQL")),
            (b"J\0\0\0\xffj\x04Host '10.0.0.1'", Spoken::Named("MySQL")),
            (b"\0\0\0\xd0\xfeSMB@\0", Spoken::Named("SMB, as of Windows shares")),
            (b"0\x24\x02\x01\0\x78\x1f\x0a", Spoken::Named("LDAP")),
            (b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0", Spoken::Http2),
            (b"<html><body>", Spoken::Named("a web page without HTTP")),
            (b"PRI * HTTP/2.0\r\n", Spoken::Http2),
            (b"http/1.1 200 OK", Spoken::Http),
            (b"\xf9\xbe\xb4\xd9version", Spoken::Bitcoin("main")),
            (b"\x1c\x16\x3f\x28version", Spoken::Bitcoin("testnet4")),
            (b"\x0a\x03\xcf\x40version", Spoken::Bitcoin("signet")),
            (b"\xfa\xbf\xb5\xdaversion", Spoken::Bitcoin("regtest")),
            (b"hello", Spoken::Unknown),
            (b"\0\0\0", Spoken::Unknown),
        ] {
            assert_eq!(spoken(first), Some(expected), "{}", first.escape_ascii());
        }
        assert_eq!(spoken(b""), None);
        // Many bytes that are no text are not encrypted for that.
        for dull in [[b'\n'; 100], [0; 100], [0x80; 100]] {
            assert_eq!(spoken(&dull), Some(Spoken::Unknown));
        }
        assert_eq!(spoken(&random(234)), Some(Spoken::StratumV2));
        assert_eq!(spoken(&random(256)), Some(Spoken::Encrypted));
        assert_eq!(spoken(&random(64)), Some(Spoken::Encrypted));
    }

    #[test]
    fn rule_8_a_cure_keeps_tls_where_it_was_asked_for() {
        let layers = [Layer::BelowTls, Layer::InTls];
        let [(below, node_below), (within, node_within)] = layers.map(|layer| {
            let asked = |wanted| Asked { layer, ..asked(wanted, false, 3333) };
            (asked(Wanted::Stratum), asked(Wanted::Http))
        });
        for (first, asked, words, others) in [
            (&b"SSH-2.0-x"[..], below, "stratum+tls://HOST:PORT", "tcp://"),
            (b"SSH-2.0-x", within, "stratum+tls://HOST:PORT", "tcp://"),
            (b"hello", within, "stratum+tls://HOST:PORT", "tcp://"),
            (b"hello", node_below, "https://HOST:PORT", "http://"),
            (b"hello", node_within, "https://HOST:PORT", "http://"),
            // A node's port without TLS; a pool is not spoken of.
            (b"HTTP/1.1 400 Bad", node_below, "write http://h:3333", "--address"),
            (b"HTTP/1.1 400 Bad", within, "https://h:3333", "http://"),
            (b"{\"id\":1}", node_within, "stratum+tls://h:3333", "tcp://"),
            // There, nothing is behind TLS.
            (b"{\"id\":1}", node_below, "stratum+tcp://h:3333", "tls://"),
        ] {
            let sentence = sentence(first, asked).unwrap();
            assert!(sentence.contains(words) && !sentence.contains(others), "{sentence}");
        }
        assert_eq!(sentence(b"{\"id\":1}", within), None);
        assert_eq!(sentence(b"HTTP/1.1 500", node_within), None);
    }

    #[test]
    fn rule_8_the_sentence_shows_clean_bytes_and_what_to_write() {
        let pool = asked(Wanted::Stratum, false, 3333);
        let node = asked(Wanted::Http, false, 8332);
        let v2 = random(234);
        for (first, asked, words) in [
            (&b"HTTP/1.1 400 Bad Request\r\nX: \x1b[2J"[..], pool, {
                ["HTTP", "\"HTTP/1.1 400 Bad Request\"", "http://h:3333"]
            }),
            (b"\x15\x03\x03\0\x02\x02\x28", pool, ["TLS", "15 03 03", "stratum+tls://h:3333"]),
            (b"\x15\x03\x03\0\x02\x02\x28", node, ["TLS", "15 03 03", "https://h:8332"]),
            (b"SSH-2.0-\x1b[31m", pool, ["SSH", "\"SSH-2.0-.[31m\"", "stratum+tcp://"]),
            (b"SSH-2.0-x", node, ["SSH", "\"SSH-2.0-x\"", "http://"]),
            (b"{\"id\":null}", node, ["Stratum", "\"{\"id\":null}\"", "stratum+tcp://h:8332"]),
            (&v2, pool, ["Stratum V2", "9e 3c", "stratum2+tcp://h:3333/KEY"]),
        ] {
            let sentence = sentence(first, asked).unwrap();
            for word in words {
                assert!(sentence.contains(word), "{word:?} is not in: {sentence}");
            }
            assert!(sentence.chars().all(|c| matches!(c, ' '..='~')), "{sentence:?}");
        }
        let tls = asked(Wanted::Stratum, true, 3333);
        let plain = sentence(b"{\"id\":1}\n", tls).unwrap();
        assert!(plain.contains("does not speak TLS") && plain.contains("stratum+tcp://h:3333"));
        for (first, asked) in [(&b"{}"[..], pool), (b"HTTP/1.1 500", node), (b"\x16\x03\x03", tls)]
        {
            assert_eq!(sentence(first, asked), None);
        }
        assert!((0..300).all(|length| shown(&random(length)).len() <= SHOWN));
        assert!(shown(&[b'a'; 300]).len() <= SHOWN);
    }

    #[test]
    fn rule_8_what_is_no_stratum_v2_is_named_and_what_may_be_is_waited_for() {
        let asked = asked(Wanted::StratumV2, false, 3333);
        for (first, words) in [
            (
                &b"{\"id\":1,\"result\":true}\n"[..],
                ["like Stratum V1", "write stratum+tcp://h:3333"],
            ),
            (b"HTTP/1.1 400 Bad", ["like HTTP", "http://h:3333 with --address"]),
            (b"\x15\x03\x01\0\x02\x02\x46", ["like TLS", "stratum+tls://h:3333"]),
            (b"SSH-2.0-OpenSSH_9.6\r\n", ["like SSH", "stratum2+tcp://HOST:PORT/KEY"]),
            (b"Welcome!\r\nlogin: ", ["unknown", "\"Welcome!\""]),
            (b"\xf9\xbe\xb4\xd9version\0", ["other nodes (main)", "RPC port"]),
        ] {
            assert!(is_no_noise(first), "{}", first.escape_ascii());
            let sentence = sentence(first, asked).unwrap();
            assert!(sentence.contains("does not speak Stratum V2"), "{sentence}");
            for word in words {
                assert!(sentence.contains(word), "{word:?} is not in: {sentence}");
            }
        }
        // Its answer, whole or the beginning of it, whatever bytes it has.
        assert!((1..=234).all(|length| !is_no_noise(&random(length))));
        for start in [&b"{"[..], b"220", b"A\n", b"\x05\xff", b"E\0\0\0"] {
            let answer = [start, &random(230)].concat();
            assert!(!is_no_noise(&answer), "{}", start.escape_ascii());
        }
        for start in [&b""[..], b"{", b"220", b"\x15\x03\x03"] {
            assert_eq!(sentence(&[start, &random(230)].concat(), asked), None);
        }
        assert!(guess(asked).contains("stratum+tcp://h:3333"));
    }

    #[test]
    fn rule_8_a_server_that_says_nothing_is_guessed_at_by_its_port() {
        for (asked, word) in [
            (asked(Wanted::Stratum, false, 8333), "http://h:8332"),
            (asked(Wanted::Stratum, false, 18444), "http://h:18443"),
            (asked(Wanted::Stratum, false, 18443), "http://h:18443"),
            (asked(Wanted::Stratum, false, 34254), "Stratum V2"),
            (asked(Wanted::Stratum, false, 3333), "stratum+tls://h:3333"),
            (asked(Wanted::Http, false, 8333), "http://h:8332"),
            (asked(Wanted::Http, false, 80), "https://h:80"),
        ] {
            assert!(guess(asked).contains(word), "{asked:?}: {}", guess(asked));
        }
        // A server that has spoken TLS is not said to have none.
        for wanted in [Wanted::Stratum, Wanted::Http] {
            let words = guess(Asked { layer: Layer::InTls, ..asked(wanted, true, 3333) });
            assert!(words.contains("it speaks TLS") && !words.contains("://"), "{words}");
        }
    }
}
