//! HTTP answers that are no answers of JSON-RPC, told as they are: a web page, a redirect, a
//! compressed body, nothing at all.
//!
//! Rule: a user reads the status, the content type and the first words of the body. The words of
//! the JSON parser and the names of our types stay inside the program.

use std::borrow::Cow;
use std::fmt;

use crate::rpc::{Answer, printable};

/// The body's first words are cut at this many characters.
const MAX_SHOWN: usize = 80;
/// Bytes of the body in which a complaint is looked for.
const KEPT: usize = 1024;
const OTHER_PORT: &str = "is this a Bitcoin Core RPC port?";
const NEVER_EMPTY: &str = "Bitcoin Core never answers so: look at the proxy or web server in front \
                           of the node, or at the port";
const RECODED: &str = "Bitcoin Core sends none: look at the proxy or web server that changes its \
                       answers";
/// Words of web servers (nginx) that want a certificate from their clients.
const WANTS_CERTIFICATE: [&str; 2] = ["No required SSL certificate", "SSL certificate error"];
/// Words of servers that were spoken to in plain text and speak TLS.
const SAYS_TLS: [&str; 5] = [
    "to HTTPS port",
    "to an HTTPS server",
    "SSL-enabled server port",
    "HTTPS scheme",
    "host and port requires TLS",
];

/// The headers of an answer that describe its body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Location`.
    pub location: Option<String>,
}

/// An HTTP answer without JSON-RPC in it. Fit to be printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// HTTP status.
    pub status: u16,
    /// The answer that came instead.
    what: String,
    /// The cure.
    cure: &'static str,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, what, cure } = self;
        write!(f, "HTTP status {status} with {what} instead of an answer of JSON-RPC; {cure}")
    }
}

impl Foreign {
    /// Looks at an answer whose body is not what JSON-RPC wants.
    pub(crate) fn look(answer: &Answer) -> Self {
        let (what, cure) = what_came(answer);
        Self { status: answer.status, what, cure }
    }

    /// Whether the call may have reached the node all the same: a server in between may have
    /// swallowed the answer. A 503 is Core's own word for a call that it did not take.
    pub(crate) fn may_have_arrived(&self) -> bool {
        matches!(self.status, 200..=299 | 500..=502 | 504..=599)
    }
}

fn what_came(answer: &Answer) -> (String, &'static str) {
    let Answer { status, headers, body } = answer;
    let (text, coding) = as_utf_8(body);
    if let (300..=399, Some(location)) = (*status, &headers.location) {
        let what = format!("a redirect to {}", shown_location(location));
        return (what, "if the node answers there, give that address as its URL");
    }
    if says_one_of(&SAYS_TLS, &text) {
        let what = format!("the complaint that it wants TLS: {}", first_words(&text));
        return (what, "write https:// in the node's URL");
    }
    if says_one_of(&WANTS_CERTIFICATE, &text) {
        let what =
            format!("the complaint that it wants a certificate from us: {}", first_words(&text));
        return (what, "midstate has none: take a port that asks its clients for none");
    }
    if let Some(encoding) = encoding(headers, body) {
        return (
            format!("a body packed with {encoding}, although midstate did not ask for that"),
            "switch compression off in the web server in front of the node (nginx: gzip off)",
        );
    }
    let kind = match headers.content_type.as_deref().map(shown) {
        Some(kind) if !kind.is_empty() => kind,
        _ => "no content type".to_owned(),
    };
    if text.trim_ascii().is_empty() {
        let cure = match status {
            200..=299 => NEVER_EMPTY,
            status => cure_for_status(*status),
        };
        return (format!("an empty body{coding} ({kind})"), cure);
    }
    let shape = shape(&text);
    let what = match std::str::from_utf8(text.get(..4 * MAX_SHOWN).unwrap_or(&text)) {
        Err(error) if error.error_len().is_some() && error.valid_up_to() < 8 => {
            format!("{} bytes that are no text ({kind})", body.len())
        }
        // Behind a mark there may be an answer.
        _ if !coding.is_empty() => {
            let shape = shape.split(" that is no answer").next().unwrap_or_default();
            format!("{shape}{coding} ({kind}): {}", first_words(&text))
        }
        _ => format!("{shape} ({kind}): {}", first_words(&text)),
    };
    let cure = match cure_for_status(*status) {
        OTHER_PORT if !coding.is_empty() && shape.contains("JSON") => RECODED,
        cure => cure,
    };
    (what, cure)
}

fn cure_for_status(status: u16) -> &'static str {
    match status {
        413 => {
            "the web server in front of the node takes no body as long as a block: raise its limit \
             (nginx: client_max_body_size 20m)"
        }
        407 | 511 => {
            "a proxy or a log-in page of the network stands between us and the node: log in there, \
             or go around it"
        }
        429 => "the web server in front of the node limits the calls: lift that limit for miners",
        502..=504 => "is bitcoind running behind it, and not overloaded?",
        _ => OTHER_PORT,
    }
}

/// Whether a server complains in one of these ways: nginx, Apache and Go do so in plain text.
fn says_one_of(complaints: &[&str], text: &[u8]) -> bool {
    let begin = String::from_utf8_lossy(text.get(..KEPT).unwrap_or(text));
    complaints.iter().any(|words| begin.contains(words))
}

/// A body in the encoding of JSON (RFC 8259: UTF-8, and no byte order mark), with the way in which
/// it came if that is another one.
fn as_utf_8(body: &[u8]) -> (Cow<'_, [u8]>, &'static str) {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    if let Some(mut text) = body.strip_prefix(MARK) {
        while let Some(rest) = text.strip_prefix(MARK) {
            text = rest;
        }
        return (Cow::Borrowed(text), " behind the byte order mark of UTF-8");
    }
    let (text, read, how): (_, fn([u8; 2]) -> u16, _) = match body {
        [0xff, 0xfe, text @ ..] => {
            (text, u16::from_le_bytes, " behind the byte order mark of UTF-16")
        }
        [0xfe, 0xff, text @ ..] => {
            (text, u16::from_be_bytes, " behind the byte order mark of UTF-16")
        }
        [0, 1..=127, 0, 1..=127, ..] => (body, u16::from_be_bytes, " in UTF-16"),
        [1..=127, 0, 1..=127, 0, ..] => (body, u16::from_le_bytes, " in UTF-16"),
        _ => return (Cow::Borrowed(body), ""),
    };
    let units = text.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
    let letters = char::decode_utf16(units).map(|letter| letter.unwrap_or('\u{fffd}'));
    (Cow::Owned(letters.collect::<String>().into_bytes()), how)
}

/// The name of a compression, by the header or by the first bytes.
fn encoding(headers: &Headers, body: &[u8]) -> Option<String> {
    let named = headers.content_encoding.as_deref().map(shown);
    if let Some(named) = named.filter(|name| !name.is_empty() && name != "identity") {
        return Some(named);
    }
    let known: [(&[u8], &str); 2] = [(&[0x1f, 0x8b], "gzip"), (&[0x28, 0xb5, 0x2f, 0xfd], "zstd")];
    let found = known.iter().find(|(magic, _)| body.starts_with(magic));
    found.map(|(_, name)| (*name).to_owned())
}

/// The look of a body by its first byte.
fn shape(body: &[u8]) -> &'static str {
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(body);
    match (body.trim_ascii_start().first(), is_json) {
        (Some(b'<'), _) => "a web page",
        (Some(b'{'), Ok(_)) => "a JSON object that is no answer to a call",
        (Some(b'['), Ok(_)) => "a JSON array",
        (Some(b'"'), Ok(_)) => "a JSON string",
        (_, Ok(_)) => "a bare JSON value",
        (Some(b'{' | b'['), Err(error)) if error.is_eof() => "JSON that breaks off",
        (Some(b'{' | b'['), Err(_)) => "damaged JSON",
        _ => "text that is not JSON",
    }
}

/// The beginning of a body in quotes.
fn first_words(body: &[u8]) -> String {
    let start = body.trim_ascii_start();
    let start = start.get(..4 * MAX_SHOWN).unwrap_or(start);
    format!("\"{}\"", shown(&String::from_utf8_lossy(start)))
}

/// A short piece of foreign text.
pub(crate) fn shown(text: &str) -> String {
    let words = printable(text);
    if words.chars().count() <= MAX_SHOWN {
        return words;
    }
    words.chars().take(MAX_SHOWN).chain(['.', '.']).collect()
}

/// Without user name, password and query, which may hold a secret.
fn shown_location(location: &str) -> String {
    let plain = location.split(['?', '#']).next().unwrap_or_default();
    let plain = match (plain.split_once("://"), plain.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, address))) => format!("{scheme}://{address}"),
        _ => plain.to_owned(),
    };
    shown(&plain)
}
