//! One line of JSON, taken apart and put together: calls, answers, refusals, ids (S2).
//!
//! The parameters of a call are for the module named after the call. Both sides use this
//! one, since both sides ask and answer.

use midstate_chain::is_printable;
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::{Value, json};

/// A line as a message.
#[derive(Debug, PartialEq)]
pub(crate) enum Message {
    /// A request (with an id) or a notification (without one).
    Call(Call),
    /// An answer to a request of ours.
    Answer(Answer),
}

/// A request or a notification.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    /// `Null` for a notification.
    pub(crate) id: Value,
    pub(crate) method: String,
    pub(crate) params: Vec<Value>,
}

/// An answer, in any of the shapes that pools use.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    /// The number of the request, if it is one.
    pub(crate) id: Option<u64>,
    pub(crate) result: Value,
    /// `None` if the error was null, missing or empty.
    pub(crate) error: Option<Refusal>,
}

/// Why a request was refused, as far as the pool said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Refusal {
    pub(crate) code: Option<i64>,
    /// Not yet sanitized.
    pub(crate) reason: Option<String>,
}

/// Why a line is not a message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("not UTF-8 after byte {0}")]
    Utf8(usize),
    #[error("nested deeper than {0} levels")]
    Depth(usize),
    #[error("not a JSON object with known fields: {0}")]
    Json(String),
    #[error("an object that is neither a call nor an answer")]
    Neither,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    id: Value,
    method: Option<String>,
    params: Option<Value>,
    result: Option<Value>,
    error: Option<Value>,
    /// ckpool's own way to refuse a share.
    #[serde(rename = "reject-reason")]
    reject_reason: Option<Value>,
}

impl Message {
    /// Reads a line without its line feed. `None` for an empty one. A carriage return at the end
    /// and a byte order mark at the start are forgiven.
    pub(crate) fn parse(line: &[u8], max_depth: usize) -> Result<Option<Self>, Malformed> {
        let text =
            std::str::from_utf8(line).map_err(|error| Malformed::Utf8(error.valid_up_to()))?;
        let text = text.trim_start_matches('\u{feff}').trim_ascii();
        if text.is_empty() {
            return Ok(None);
        }
        if deeper_than(text, max_depth) {
            return Err(Malformed::Depth(max_depth));
        }
        // serde would take an array for the struct, too.
        if !text.starts_with('{') {
            return Err(Malformed::Json("it does not begin with a brace".into()));
        }
        let wire: Wire =
            serde_json::from_str(text).map_err(|error| Malformed::Json(json_words(&error)))?;
        if let Some(method) = wire.method {
            let params = match wire.params {
                Some(Value::Array(params)) => params,
                None => Vec::new(),
                // An object or a bare value: kept as one parameter, for the method to refuse.
                Some(other) => vec![other],
            };
            return Ok(Some(Self::Call(Call { id: wire.id, method, params })));
        }
        if wire.id.is_null()
            && wire.result.is_none()
            && wire.error.is_none()
            && wire.reject_reason.is_none()
        {
            return Err(Malformed::Neither);
        }
        let mut error = wire.error.as_ref().and_then(refusal);
        if let Some(reason) = wire.reject_reason.as_ref().and_then(refusal) {
            error = Some(Refusal { code: error.and_then(|error| error.code), ..reason });
        }
        let result = wire.result.unwrap_or_default();
        Ok(Some(Self::Answer(Answer { id: id_number(&wire.id), result, error })))
    }
}

/// The mistake in a line of JSON; the crate's own words are those of its source.
fn json_words(error: &serde_json::Error) -> String {
    let (text, at) = (error.to_string(), error.column());
    match error.classify() {
        Category::Eof => format!("it ends too early, after {at} bytes"),
        Category::Data if text.starts_with("duplicate field") => {
            format!("a field stands twice, near byte {at}")
        }
        Category::Data => format!("its method is no text, near byte {at}"),
        _ if text.starts_with("number out of range") => {
            format!("a number is too large, near byte {at}")
        }
        _ => format!("it is damaged near byte {at}"),
    }
}

impl Answer {
    /// For requests that are answered with yes or no: only `true` without an error is yes.
    pub(crate) fn accepted(&self) -> Result<(), Refusal> {
        match (&self.error, &self.result) {
            (Some(refusal), _) => Err(refusal.clone()),
            (None, Value::Bool(true)) => Ok(()),
            (None, Value::String(reason)) if is_readable(reason) => {
                Err(Refusal { reason: Some(reason.clone()), code: None })
            }
            (None, Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                let reason = format!("the answer is {}, neither true nor an error", self.result);
                Err(Refusal { reason: Some(reason), code: None })
            }
            (None, _) => Err(Refusal::default()),
        }
    }
}

/// The number of the request that a line answers, and the answer if it is yes or no: accepted, or
/// refused with a code, if it has one. `None` for any other line. For those who send requests
/// beside those of a [`Client`](crate::Client), which leaves the answers to them alone.
pub fn read_answer(line: &[u8], depth: usize) -> Option<(u64, Result<(), Option<i64>>)> {
    match Message::parse(line, depth) {
        Ok(Some(Message::Answer(answer))) => {
            Some((answer.id?, answer.accepted().map_err(|refusal| refusal.code)))
        }
        _ => None,
    }
}

impl Refusal {
    /// Whether the server does not know the call.
    pub(crate) fn is_unknown_method(&self) -> bool {
        let words = self.reason.as_ref().map(|reason| reason.to_ascii_lowercase());
        let known = ["method not found", "unknown method", "unsupported method"];
        // JSON-RPC's number, and Stratum's.
        matches!(self.code, Some(-32601 | -3))
            || words.is_some_and(|words| known.iter().any(|begin| words.starts_with(begin)))
    }
}

/// Whether there is something to read in a text: blanks and what does not print say nothing.
pub(crate) fn is_readable(text: &str) -> bool {
    text.chars().any(|c| is_printable(c) && !c.is_whitespace())
}

/// Reads an error in any shape: `[code, text, ..]` of any length, `{code, message}`, a bare text,
/// a bare code, `true`. The empty ones (`[]`, `{}`, `""`, `0`, `false`) mean that there is none.
fn refusal(error: &Value) -> Option<Refusal> {
    let text = |value: &Value| match value {
        Value::String(text) if is_readable(text) => Some(text.clone()),
        _ => None,
    };
    match error {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some(Refusal::default()),
        Value::Number(_) => {
            let code = integer(error).filter(|&code| code != 0)?;
            Some(Refusal { code: Some(code), reason: None })
        }
        Value::String(_) => text(error).map(|reason| Refusal { code: None, reason: Some(reason) }),
        Value::Array(items) => {
            let first = items.first()?;
            let code = integer(first);
            // A code, then a text; or a text alone.
            let reason =
                items.get(1).and_then(text).or_else(|| text(first).filter(|_| code.is_none()));
            Some(Refusal { code, reason })
        }
        Value::Object(fields) if fields.is_empty() => None,
        Value::Object(fields) => Some(Refusal {
            code: fields.get("code").and_then(integer),
            reason: fields.get("message").and_then(text),
        }),
    }
}

/// An integer, also as `21.0` or `"21"`.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64()?;
            let exact = float.fract() == 0.0 && float.abs() < (1u64 << 53) as f64;
            exact.then_some(float as i64)
        }),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Ours are small integers; some pools give them back as a text or a float.
fn id_number(id: &Value) -> Option<u64> {
    integer(id).and_then(|id| u64::try_from(id).ok())
}

/// Whether brackets outside of strings nest deeper than `limit`. Counted before parsing, so that no
/// parser recurses at a stranger's wish.
fn deeper_than(text: &str, limit: usize) -> bool {
    // Nearly every line has so few of them, and to count is to look at many bytes at once: without
    // this, a fifth of the time that a job takes goes into the loop below.
    if memchr::memchr2_iter(b'[', b'{', text.as_bytes()).nth(limit).is_none() {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}

/// Bytes in hex, in either case.
pub(crate) fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() / 2];
    hex_into(text, &mut bytes)?;
    Some(bytes)
}

/// The same for exactly so many bytes. By const-hex: the decoder of `hex` took half of the time
/// that a job needs to be read. It would forgive a `0x` or `0X`, which is not hex here, and with
/// which the length is another one.
pub(crate) fn hex_into(text: &str, bytes: &mut [u8]) -> Option<()> {
    if text.len() != 2 * bytes.len() {
        return None;
    }
    const_hex::decode_to_slice(text, bytes).ok()
}

/// A number in hex as pools print it: 1 to 8 digits, padded or not, either case, maybe with `0x`.
pub(crate) fn hex_u32(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let plain = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// A request as a line.
pub(crate) fn request(id: u64, method: &str, params: &Value) -> Vec<u8> {
    line(&json!({"id": id, "method": method, "params": params}))
}

/// A notification as a line.
pub(crate) fn notification(method: &str, params: &Value) -> Vec<u8> {
    line(&json!({"id": null, "method": method, "params": params}))
}

/// The answer to a request as a line.
pub(crate) fn answer(id: &Value, result: &Value) -> Vec<u8> {
    line(&json!({"id": id, "result": result, "error": null}))
}

/// The refusal of a request as a line.
pub(crate) fn refuse(id: &Value, code: i64, text: &str) -> Vec<u8> {
    line(&json!({"id": id, "result": null, "error": [code, text, null]}))
}

/// Whether an id can be sent back as it came: a number, a short text or null. Others come from no
/// known peer and could be of any size, and a number beyond 64 bits would come back as another one.
pub(crate) fn is_echoable(id: &Value) -> bool {
    const EXACT: f64 = (1_u64 << 53) as f64;
    match id {
        Value::Null => true,
        Value::Number(number) => {
            number.is_i64()
                || number.is_u64()
                || number.as_f64().is_some_and(|number| number.abs() < EXACT)
        }
        Value::String(text) => text.len() <= 64 && !text.contains(char::is_control),
        _ => false,
    }
}

fn line(message: &Value) -> Vec<u8> {
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Message {
        Message::parse(line.as_bytes(), 16).expect("well-formed").expect("not empty")
    }

    fn verdict(line: &str) -> Result<(), (Option<i64>, Option<String>)> {
        let Message::Answer(answer) = parse(line) else { panic!("{line} is an answer") };
        assert_eq!(answer.id, Some(4), "{line}");
        answer.accepted().map_err(|refusal| (refusal.code, refusal.reason))
    }

    fn refused<T>(
        code: Option<i64>,
        reason: Option<&str>,
    ) -> Result<T, (Option<i64>, Option<String>)> {
        Err((code, reason.map(str::to_owned)))
    }

    #[test]
    fn every_shape_of_acceptance() {
        for line in [
            r#"{"id":4,"result":true,"error":null}"#,
            r#"{"error":null,"id":4,"result":true}"#,
            r#"{"id":4,"result":true}"#,
            r#"{"jsonrpc":"2.0","id":4,"result":true,"error":null}"#,
            r#"{"id":"4","result":true,"error":[]}"#,
            r#"{"id":4.0,"result":true,"error":false,"extra":{"a":[1]}}"#,
            "\u{feff}{\"id\":4,\"result\":true}\r",
        ] {
            assert_eq!(verdict(line), Ok(()), "{line}");
        }
    }

    #[test]
    fn every_shape_of_refusal() {
        let stale = || refused(Some(21), Some("Job not found"));
        for (line, expected) in [
            (r#"{"id":4,"result":null,"error":[21,"Job not found",null]}"#, stale()),
            (r#"{"id":4,"result":null,"error":[21,"Job not found"]}"#, stale()),
            (r#"{"id":4,"result":null,"error":["21","Job not found"]}"#, stale()),
            (r#"{"id":4,"error":{"code":21,"message":"Job not found","data":null}}"#, stale()),
            (r#"{"id":4,"result":null,"error":[21]}"#, refused(Some(21), None)),
            (r#"{"id":4,"result":null,"error":["stale"]}"#, refused(None, Some("stale"))),
            (r#"{"id":4,"result":null,"error":"stale"}"#, refused(None, Some("stale"))),
            (r#"{"id":4,"result":"stale","error":null}"#, refused(None, Some("stale"))),
            (r#"{"id":4,"result":false,"error":null}"#, refused(None, None)),
            (r#"{"id":4,"result":null,"error":null}"#, refused(None, None)),
            (r#"{"id":4}"#, refused(None, None)),
            (r#"{"id":4,"error":true}"#, refused(None, None)),
            (r#"{"id":4,"error":-3}"#, refused(Some(-3), None)),
            // A contradiction: better a share too few in the count than one too many.
            (r#"{"id":4,"result":true,"error":[23,"low"]}"#, refused(Some(23), Some("low"))),
            (
                r#"{"reject-reason":"Above target","result":false,"error":null,"id":4}"#,
                refused(None, Some("Above target")),
            ),
        ] {
            assert_eq!(verdict(line), expected, "{line}");
        }
    }

    #[test]
    fn s2_what_is_no_message() {
        let deep = format!("{{\"id\":1,\"result\":{}{}}}", "[".repeat(16), "]".repeat(16));
        assert_eq!(Message::parse(deep.as_bytes(), 16), Err(Malformed::Depth(16)));
        let allowed = format!("{{\"id\":1,\"result\":{}{}}}", "[".repeat(15), "]".repeat(15));
        assert!(Message::parse(allowed.as_bytes(), 16).is_ok());
        let quoted = format!("{{\"id\":1,\"result\":\"\\\"{}\"}}", "[".repeat(99));
        assert!(Message::parse(quoted.as_bytes(), 16).is_ok());

        assert_eq!(Message::parse(b"{\"id\":\xff}", 16), Err(Malformed::Utf8(6)));
        assert_eq!(Message::parse(b"{}", 16), Err(Malformed::Neither));
        for line in ["[1,2]", "1", "null", "{\"id\":1", "{\"id\":NaN}", "\0{}", "GET / HTTP/1.1"] {
            assert!(
                matches!(Message::parse(line.as_bytes(), 16), Err(Malformed::Json(_))),
                "{line}"
            );
        }
        for (line, words) in [
            ("{\"id\":1e999}", "a number is too large, near byte"),
            ("{\"id\":1", "ends too early, after 7 bytes"),
            ("{\"id\":1,\"id\":2}", "a field stands twice"),
            ("{\"method\":5}", "its method is no text"),
            ("{\"id\":}", "it is damaged near byte"),
        ] {
            let error = Message::parse(line.as_bytes(), 16).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("line 1"), "{line}: {error}");
        }
        for line in ["", "\r", "  ", "\u{feff}"] {
            assert_eq!(Message::parse(line.as_bytes(), 16), Ok(None));
        }
    }

    #[test]
    fn numbers_in_hex_need_no_padding() {
        for (text, number) in
            [("1fffe000", 0x1fff_e000), ("1FFFE000", 0x1fff_e000), ("0x4", 4), ("0", 0)]
        {
            assert_eq!(hex_u32(text), Some(number));
        }
        for text in ["", "0x", "123456789", "+1", "-1", " 1", "1 ", "g", "０"] {
            assert_eq!(hex_u32(text), None, "{text:?}");
        }
    }
}
