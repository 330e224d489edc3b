//! A mistake in a configuration, in words: its place, its kind, and a likely correction. The
//! line is shown as it stands there only if nothing secret can be in it (S15): errors end up in
//! logs and in questions to others. Whoever left out a quotation mark, or misspelt `pass`, still
//! has to be told, so that the place and the kind of the mistake remain.

use std::ops::Range;

use midstate_net::without_login;

/// Keys whose values are nobody's secret. The others may be `pass`, or have been meant to be.
const HARMLESS: [&str; 17] = [
    "user",
    "threads",
    "kernel",
    "give-up",
    "return-after",
    "url",
    "cert",
    "tls-pin",
    "tls-insecure",
    "redirect",
    "no-redirect",
    "max-share-rate",
    "expect-payout",
    "payout-strict",
    "any-user",
    "suggest-difficulty",
    "long-poll",
];

/// Each key with a value, as it is written.
const EXAMPLES: [(&str, &str); 20] = [
    ("user", "\"NAME\""),
    ("pass", "\"PASSWORD\""),
    ("pass-file", "\"FILE\""),
    ("proxy", "\"socks5://HOST:PORT\""),
    ("threads", "2"),
    ("kernel", "\"NAME\""),
    ("give-up", "600"),
    ("return-after", "60"),
    ("url", "\"stratum+tcp://HOST:PORT\""),
    ("cert", "\"FILE\""),
    ("tls-pin", "\"64 HEX DIGITS\""),
    ("tls-insecure", "true"),
    ("redirect", "\"owner\""),
    ("no-redirect", "true"),
    ("max-share-rate", "200"),
    ("expect-payout", "\"ADDRESS\""),
    ("payout-strict", "true"),
    ("any-user", "true"),
    ("suggest-difficulty", "1024"),
    ("long-poll", "\"auto\""),
];

/// The mistake in a text, in words that hold no password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Mistake(String);

impl Mistake {
    /// Words `error` about `text`.
    pub(super) fn new(error: &toml::de::Error, text: &str) -> Self {
        Self(describe(error, text))
    }
}

fn describe(error: &toml::de::Error, text: &str) -> String {
    let suggestion = suggest(error, text).or_else(|| complete(error, text)).unwrap_or_default();
    // Lines of the file are repeated with the ends that Windows gives them.
    let shown = error.to_string().replace(error.message(), &plain(error.message()));
    let shown = shown.replace('\r', "");
    let line = error.span().and_then(|span| line_at(text, span.start));
    if line.is_some_and(is_harmless) {
        return format!("{}{suggestion}", shown.trim_end());
    }
    let place = line.and_then(|_| shown.lines().next()).unwrap_or("TOML parse error");
    let message = plain(&without_values(error.message()));
    format!("{place} (the line may hold a password, and is not shown)\n{message}{suggestion}")
}

/// Words of Rust in serde's messages, and their meaning in a file.
const WORDS: [(&str, &str); 6] = [
    (" as i128", ""),
    (" as u128", ""),
    ("any valid TOML value", "a number that fits"),
    ("invalid type: map, expected a sequence", "expected [[pool]], in two pairs of brackets"),
    ("expected a sequence", "expected tables that begin with [[pool]]"),
    ("wanted string or table", "expected a text in quotation marks"),
];

/// A message of serde's in plain words.
fn plain(message: &str) -> String {
    WORDS.iter().fold(message.to_owned(), |message, (rust, plain)| message.replace(rust, plain))
}

/// The line that the byte at `place` is in.
fn line_at(text: &str, place: usize) -> Option<&str> {
    let (before, after) = text.split_at_checked(place)?;
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let end = after.find('\n').map_or(text.len(), |end| place + end);
    text.get(start..end)
}

/// Whether a line is the header of a table or one plain value that is no secret.
fn is_harmless(line: &str) -> bool {
    let line = line.trim();
    if let Some(header) = line.strip_prefix('[') {
        return header.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '[' | ']' | '-'));
    }
    let Some((key, value)) = line.split_once('=') else { return false };
    // More on the line: a user name and password in a URL, a table or an assignment within it, the
    // beginning of a longer text, a comment.
    let quotes = value.matches(['"', '\'']).count();
    let is_plain = !value.contains(['@', '{', '=', '#']) && quotes <= 2;
    let text = value.trim().trim_matches(['"', '\'']);
    let has_login = match key.trim() {
        "url" => without_login(text) != text,
        "user" => text.contains(':'),
        _ => false,
    };
    HARMLESS.contains(&key.trim())
        && is_plain
        && !has_login
        && !value.to_lowercase().contains("pass")
}

/// The message without what the file says: serde's sentences begin "invalid type: integer `1234`,
/// expected a string", and ours quote what they are about. Sentences about keys quote the keys.
fn without_values(message: &str) -> String {
    let kinds = ["invalid type", "invalid value", "invalid length"];
    if let Some(kind) = kinds.into_iter().find(|kind| message.starts_with(kind)) {
        let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected);
        return format!(
            "{kind}{}",
            expected.map(|of| format!(", expected {of}")).unwrap_or_default()
        );
    }
    let is_key = |key: &str| key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if let Some((key, expected)) = message.strip_prefix("unknown field `").and_then(cut_key)
        && !is_key(key)
    {
        return format!("unknown field, {expected}");
    }
    match (message.find('"'), message.rfind('"')) {
        (Some(from), Some(to)) if from < to => {
            format!("{}..{}", &message[..=from], &message[to..])
        }
        _ => message.to_owned(),
    }
}

/// The key of serde's sentence, and the words behind it.
fn cut_key(words: &str) -> Option<(&str, &str)> {
    words.split_once("`, ")
}

/// For a line that has a key and no value that TOML can read: how the key is written. What stands
/// there for a value is left out.
fn complete(error: &toml::de::Error, text: &str) -> Option<String> {
    if error.message().contains("escape") {
        let words = "\na backslash means more in \"..\": write two of them, or the text in '..'";
        return Some(words.to_owned());
    }
    let line = line_at(text, error.span()?.start)?.trim();
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let example = EXAMPLES.iter().find(|(known, _)| *known == key)?.1;
    let rest = rest.trim_start();
    let value = rest.strip_prefix('=').map(str::trim_start).filter(|value| !value.is_empty());
    let is_written_so = value.is_some_and(|value| {
        let in_quotes = |quote: char| value.starts_with(quote) && value.ends_with(quote);
        match example.starts_with('"') {
            true => value.len() > 1 && (in_quotes('"') || in_quotes('\'')),
            false => !value.starts_with(['"', '\'']),
        }
    });
    (!is_written_so).then(|| format!("\nwrite it as: {key} = {example}"))
}

/// For a key that nobody knows: the known one that looks most like it.
fn suggest(error: &toml::de::Error, text: &str) -> Option<String> {
    // serde's sentence is "unknown field `x`, expected one of `a`, `b`": the candidates are those
    // of the table that the key stands in.
    if !error.message().starts_with("unknown field") {
        return None;
    }
    let key = error.span().and_then(|span: Range<usize>| text.get(span))?;
    if matches!(key, "node" | "nodes" | "server" | "servers") {
        let words = "\na pool stands in a table [[pool]]; a node is named by -o http://HOST:PORT";
        return Some(words.to_owned());
    }
    let known = error.message().split('`').skip(3).step_by(2);
    let (likeness, nearest) = known
        .map(|known| (strsim::jaro_winkler(key, known), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (likeness > 0.7).then(|| format!("\ndid you mean `{nearest}`?"))
}

#[cfg(test)]
mod tests {
    use super::EXAMPLES;
    use crate::servers::config::Config;

    fn error(text: &str) -> String {
        Config::parse(text).err().expect("a mistake").to_string()
    }

    #[test]
    fn each_key_has_an_example() {
        for (table, unknown) in [("", "no-key = 1"), ("[[pool]]\nurl = 'a:1'\n", "no-key = 1")] {
            let mistake = toml::from_str::<Config>(&format!("{table}{unknown}")).err().unwrap();
            let (_, expected) = mistake.message().split_once("expected one of").unwrap();
            let keys: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
            assert!(keys.len() > 10, "{expected}");
            for key in keys.into_iter().filter(|key| *key != "pool") {
                assert!(EXAMPLES.iter().any(|(known, _)| *known == key), "{key} has no example");
            }
        }
    }

    #[test]
    fn u8_mistakes_name_their_line_and_what_was_meant() {
        for (text, words) in [
            ("user = 'a'\nusr = 'me'", ["line 2", "did you mean `user`?"]),
            ("[[pool]]\nurl = 'a:1'\ntls_pin = '00'", ["line 3", "did you mean `tls-pin`?"]),
            ("[[pool]]\nurl = 'gopher://a:1'", ["line 2", "unknown scheme \"gopher\""]),
            ("[[pool]]\nurl = 'gopher://a:1'", ["2 | url = 'gopher://a:1'", "^^^"]),
            ("[[pool]]\nuser = 'a'", ["1 | [[pool]]", "missing field `url`"]),
            ("proxy = 'http://a:1'", ["line 1", "expected socks5://HOST:PORT"]),
            ("[[pool]]\nurl = 'a:1'\nexpect-payout = 'x'", ["line 3", "no Bitcoin address"]),
            ("threads = 0", ["1 | threads = 0", "expected a whole number from 1 to 4096"]),
            ("[[pool]]\nurl = 'a:1'\nredirect = 'all'", ["line 3", "expected one of `none`"]),
            ("threads = ", ["line 1", "TOML parse error"]),
            ("[[node]]\nurl = 'http://a:1'", ["in a table [[pool]]", "-o http://HOST:PORT"]),
        ] {
            let error = error(text);
            for word in words {
                assert!(error.contains(word), "{word:?} is not in: {error}");
            }
        }
        assert!(!error("xyzzy = 1").contains("did you mean"));
    }

    #[test]
    fn rule_7_a_key_without_a_value_or_its_quotes_is_told_with_its_line_and_the_cure() {
        for (text, line, cure) in [
            ("pass=", "line 1, ", "pass = \"PASSWORD\""),
            ("user = 'me'\npass = \nthreads = 2", "line 2, ", "pass = \"PASSWORD\""),
            ("user = 'me'\npass", "line 2, ", "pass = \"PASSWORD\""),
            ("pass hunter2", "line 1, ", "pass = \"PASSWORD\""),
            ("pass: hunter2", "line 1, ", "pass = \"PASSWORD\""),
            ("pass = hunter2", "line 1, ", "pass = \"PASSWORD\""),
            ("pass = 1234", "line 1, ", "pass = \"PASSWORD\""),
            ("pass = \"hunter2", "line 1, ", "pass = \"PASSWORD\""),
            ("pass = 'hunter2\nuser = 'me'", "line 1, ", "pass = \"PASSWORD\""),
            ("[[pool]]\nurl = a:1", "line 2, ", "url = \"stratum+tcp://HOST:PORT\""),
            ("[[pool]]\nurl =", "line 2, ", "url = \"stratum+tcp://HOST:PORT\""),
            ("user = me", "line 1, ", "user = \"NAME\""),
            ("pass-file = ~/pw", "line 1, ", "pass-file = \"FILE\""),
            ("threads = '2'", "line 1, ", "threads = 2"),
            ("threads =", "line 1, ", "threads = 2"),
            ("no-redirect", "line 1, ", "no-redirect = true"),
            ("tls-insecure = 'yes'", "line 1, ", "tls-insecure = true"),
        ] {
            let error = error(text);
            assert!(error.contains(line), "{text}: {error}");
            assert!(error.ends_with(&format!("\nwrite it as: {cure}")), "{text}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("1234"), "{text}: {error}");
        }
        assert!(!error("user = 'me'\r\nthreads =\r\n").contains('\r'));
        let backslash = error("pass = \"hunter2\\q\"");
        assert!(backslash.ends_with("write two of them, or the text in '..'"), "{backslash}");
        // A value that is written as it should be needs another cure.
        for text in ["threads = 0", "redirect = 'all'", "pass = 'x'\npass = 'y'"] {
            assert!(!error(text).contains("write it as"), "{text}: {}", error(text));
        }
    }

    #[test]
    fn no_mistake_is_told_in_the_words_of_rust() {
        for (text, words) in [
            ("threads = 0", "expected a whole number from 1 to 4096"),
            ("threads = -1", "expected a whole number from 1 to 4096"),
            ("threads = '2'", "expected a whole number from 1 to 4096"),
            ("threads = 99999999999999999999", "expected a number that fits"),
            ("threads = 5000", "expected a whole number from 1 to 4096"),
            ("max-share-rate = 0", "expected a whole number from 1 to 4294967295, as 200"),
            ("max-share-rate = 9999999999", "expected a whole number from 1 to 4294967295"),
            ("give-up = 1.5", "expected a whole number of seconds from 1 to 1000000000, as 60"),
            ("give-up = -1", "expected a whole number of seconds from 1 to"),
            ("give-up = 0", "expected a whole number of seconds from 1 to"),
            ("return-after = 'x'", "expected a whole number of seconds from 0 to"),
            ("return-after = 1000000001", "expected a whole number of seconds from 0 to"),
            ("suggest-difficulty = 'x'", "expected a number above 0, from 1e-30 to 1e30"),
            ("suggest-difficulty = 1e308", "expected a number above 0, from 1e-30 to 1e30"),
            ("suggest-difficulty = 1e-320", "expected a number above 0, from 1e-30 to 1e30"),
            ("suggest-difficulty = inf", "expected a number above 0, from 1e-30 to 1e30"),
            ("tls-insecure = 1", "expected a boolean"),
            ("[pool]\nurl = 'a:1'", "expected [[pool]], in two pairs of brackets"),
            ("pool = 5", "expected tables that begin with [[pool]]"),
            ("redirect = true", "expected a text in quotation marks"),
            ("long-poll = 1", "expected a text in quotation marks"),
        ] {
            let error = error(text);
            assert!(error.contains(words), "{text}: {error}");
            for rust in ["usize", "u64", "u32", "f64", "i128", "nonzero", "sequence", "map,"] {
                assert!(!error.contains(rust), "{text}: {error}");
            }
        }
    }

    #[test]
    fn s15_no_mistake_shows_a_password() {
        let mistakes = [
            ("pass = hunter2", ["line 1, column 8", "string"]),
            ("pass = \"hunter2", ["line 1, column", "\""]),
            ("  pass=hunter2", ["line 1, column 8", "string"]),
            ("pass hunter2", ["line 1, column", "expected"]),
            ("pass: hunter2", ["line 1, column", "expected"]),
            ("pass = 'hunter2' x", ["line 1, column", "expected"]),
            ("pass = ['hunter2']", ["line 1, column 8", "expected a string"]),
            ("pass = { hunter2 = 1 }", ["line 1, column 8", "expected a string"]),
            ("pass = 'hunter2\n'", ["line 2, column", "expected"]),
            ("pass = '''\nhunter2", ["line 2, column", "multi-line"]),
            ("pass = \"\"\"\nhunter2 \\q\"\"\"", ["line 2, column", "escape"]),
            ("user = 'me'\n\"pass\" = hunter2", ["line 2, column", "string"]),
            ("user = 'me' pass = 'hunter2'", ["line 1, column", "expected"]),
            ("hunter2", ["line 1, column", "expected"]),
            ("pass = 'x'\npass = 'hunter2'", ["line 2, column 1", "duplicate key"]),
            // A misspelt key is as likely as a forgotten quotation mark.
            ("pas = 'hunter2'", ["line 1, column 1", "did you mean `pass`?"]),
            ("Pass = 'hunter2'", ["line 1, column 1", "unknown field `Pass`"]),
            ("password = 'hunter2'", ["line 1, column 1", "did you mean `pass`?"]),
            // A user name and a password as curl takes them.
            ("user = me:hunter2", ["line 1, column 8", "user = \"NAME\""]),
            ("user = 'me:hunter2", ["line 1, column", "not shown"]),
            ("user = ['me:hunter2']", ["line 1, column 8", "expected a string"]),
            ("'me:hunter2' = 1", ["line 1, column 1", "unknown field, expected one of"]),
            ("'pass=hunter2' = 1", ["line 1, column 1", "unknown field, expected one of"]),
            ("[[pool]]\nurl = 'tcp//me:hunter2@h:1'", ["line 2, column 7", "without the colon"]),
            ("pool = [{ url = \"a:1\", pass = hunter2 }]", ["line 1, column 31", "string"]),
            ("pool = [{ url = 'a:1', pas = 'hunter2' }]", ["line 1, column 24", "`pass`"]),
            ("pool = [{ pass = 'hunter2' }]", ["line 1, column", "missing field `url`"]),
            ("pool = 'hunter2'", ["line 1, column 8", "tables that begin with [[pool]]"]),
            ("[[pool]]\nurl = 'a:1'\npass = hunter2 # mine\n", ["line 3, column 8", "string"]),
            ("[pool]\npass = 'hunter2'", ["line 1", "[[pool]]"]),
            ("[[pool]]\nurl = 'stratum+tcp://me:hunter2@a:x'", ["line 2, column 7", "port"]),
            ("[[pool]]\nurl = 'stratum+tcp://me:hunter2'", ["line 2, column 7", "port"]),
            ("[[pool]]\nurl = 'http://me:hunter2@a:1'", ["line 2", "stratum+tcp://HOST:PORT"]),
            ("[[pool]]\nurl = stratum+tcp://me:hunter2@a:1", ["line 2, column 7", "string"]),
            ("proxy = 'http://me:hunter2@a:1'", ["line 1, column 9", "socks5://HOST:PORT"]),
        ];
        for (text, words) in mistakes {
            let error = error(text);
            for word in words {
                assert!(error.contains(word), "{text}: {word:?} is not in: {error}");
            }
            assert!(!error.contains("hunter2"), "{text}: {error}");
        }
        // A password of digits is a number where the quotation marks are forgotten.
        for text in ["pass = 1234", "pass = 12.34", "pass = 2012-12-12", "pass = true"] {
            let error = error(text);
            let value = text.split_once("= ").unwrap().1;
            assert!(error.contains("line 1, column 8"), "{error}");
            assert!(error.contains("invalid type, expected a string"), "{error}");
            assert!(!error.contains(value), "{error}");
        }
    }
}
