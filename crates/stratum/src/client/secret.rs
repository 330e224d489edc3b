//! Our password in texts of a server: some servers repeat the line that they refuse, and their
//! words go to the terminal, to logs and into JSON.

use std::fmt;

/// Passwords that are shorter hide nothing: `x` is the usual one, and stands in every second word.
const SHORTEST: usize = 4;

/// A password, as it may stand in a text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Vec<String>);

impl Secret {
    /// One of less than four characters hides nothing and stays in texts.
    pub fn new(password: &str) -> Self {
        if password.chars().count() < SHORTEST {
            return Self::default();
        }
        // As itself, and as a quoted text has it.
        let quoted = format!("{password:?}");
        let quoted = quoted[1..quoted.len() - 1].to_owned();
        Self(if quoted == password { vec![quoted] } else { vec![quoted, password.to_owned()] })
    }

    /// The text with `***` where the password stood.
    pub fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, form| text.replace(form, "***"))
    }

    pub(super) fn is_in(&self, text: &str) -> bool {
        self.0.iter().any(|form| text.contains(form))
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

/// A line of ours as others may see it: the password of `mining.authorize` is `***`, however short
/// it is. Half of such a line is enough.
pub fn without_password(line: &str) -> String {
    let params = line.find("\"params\"").filter(|_| line.contains("mining.authorize"));
    let Some(mut at) = params.map(|at| at + "\"params\"".len()) else { return line.to_owned() };
    // The second text of the list.
    for is_password in [false, true] {
        let Some(opening) = line[at..].find('"') else { return line.to_owned() };
        let start = at + opening + 1;
        let end = start + length_of_text(&line[start..]);
        if is_password {
            return format!("{}***{}", &line[..start], &line[end..]);
        }
        at = (end + 1).min(line.len());
    }
    line.to_owned()
}

/// Up to the quotation mark that ends a text of JSON, or to the end.
fn length_of_text(rest: &str) -> usize {
    let mut is_escaped = false;
    let ends = |character| {
        let ends = character == '"' && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        ends
    };
    rest.find(ends).unwrap_or(rest.len())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn the_password_of_an_authorize_is_struck_out_and_nothing_else() {
        let login = |user, password| {
            format!(r#"{{"id":2,"method":"mining.authorize","params":[{user},{password}]}}"#)
        };
        for password in [r#""x""#, r#""""#, r#""a\"b\\""#, r#""]},""#, r#""\u0041ö""#] {
            for user in [r#""me""#, r#""m\",e""#, r#""""#] {
                assert_eq!(without_password(&login(user, password)), login(user, r#""***""#));
            }
        }
        let submit = r#"{"id":4,"method":"mining.submit","params":["me","1","00","00","00"]}"#;
        assert_eq!(without_password(submit), submit);
        let alone = r#"{"id":2,"method":"mining.authorize","params":["me"]}"#;
        assert_eq!(without_password(alone), alone);
        let spaced = r#"{ "method": "mining.authorize", "params": [ "me" , "secret" ], "id": 2 }"#;
        assert!(!without_password(spaced).contains("secret"));
    }

    #[test]
    fn half_of_an_authorize_is_struck_out_too() {
        let line = r#"{"id":2,"method":"mining.authorize","params":["me","qqqq\"qqqq"]}"#;
        for end in 0..line.len() {
            assert!(!without_password(&line[..end]).contains('q'), "{}", &line[..end]);
        }
    }
}
