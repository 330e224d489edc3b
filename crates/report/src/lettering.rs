//! Text in a picture: its escape, and how wide it will be in a font that we do not have.

/// Size of all letters in a picture, in its own units.
pub(crate) const SIZE: f64 = 12.0;
/// Height that a line of text takes.
pub(crate) const LINE: f64 = 15.0;

/// Text as it may stand in XML and HTML, inside elements and quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Not allowed in XML, whatever the escape.
            _ if letter.is_control() && letter != '\n' => out.push(' '),
            _ => out.push(letter),
        }
    }
    out
}

/// An upper estimate of the width of `text` in any common sans-serif font: the widths are those of
/// DejaVu Sans, the widest that browsers fall back to.
pub(crate) fn width(text: &str) -> f64 {
    text.chars().map(|letter| advance(letter) * SIZE).sum()
}

/// The text in lines of at most `most` units, in letters `scale` times as large as usual; a longer
/// word has a line of its own.
pub(crate) fn wrap(text: &str, most: f64, scale: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}")) * scale <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn advance(letter: char) -> f64 {
    match letter {
        'i' | 'j' | 'l' | '\'' | '|' => 0.30,
        ' ' | '.' | ',' | ':' | ';' | 'I' => 0.33,
        'f' | 'r' | 't' | '(' | ')' | '/' | '-' => 0.42,
        'm' | 'w' | 'M' | 'W' | '%' | '@' => 1.0,
        '+' | '=' | '<' | '>' | '~' => 0.84,
        'A'..='Z' => 0.77,
        'a'..='z' | '0'..='9' | '$' => 0.64,
        _ => 0.75,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_element() {
        assert_eq!(escape("a<b>&\"c\"\u{7}"), "a&lt;b&gt;&amp;&quot;c&quot; ");
    }

    #[test]
    fn lines_are_as_long_as_they_may_be() {
        assert_eq!(wrap("one two  three", width("one two"), 1.0), ["one two", "three"]);
        assert_eq!(wrap("one two", width("one two"), 1.1), ["one", "two"]);
        assert!(wrap(" ", 100.0, 1.0).is_empty());
    }

    #[test]
    fn wider_text_is_wider() {
        assert!(width("WWW") > width("iii") * 2.0);
        assert_eq!(width(""), 0.0);
    }
}
