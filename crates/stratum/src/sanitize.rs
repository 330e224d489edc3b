//! Text of strangers, made safe for terminals and logs (S11).

/// The characters of `text` that print, at most `limit` of them; a cut ends in `…`.
///
/// Gone are control characters (C0, C1, ESC: title and clipboard sequences of terminals) and the
/// invisible ones that reorder or hide text (bidi controls, zero width, tags).
pub fn sanitize(text: &str, limit: usize) -> String {
    let mut printable = text.chars().filter(|&c| is_printable(c));
    let mut clean: String = printable.by_ref().take(limit).collect();
    if printable.next().is_some() {
        clean.pop();
        clean.push('…');
    }
    clean
}

/// Whether a character shows as itself and changes nothing around it.
pub(crate) fn is_printable(c: char) -> bool {
    let invisible = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s11_terminal_escapes_and_bidi_do_not_survive() {
        let title = "\x1b]0;owned\x07ok";
        assert_eq!(sanitize(title, 256), "]0;ownedok");
        let clipboard = "\x1b]52;c;ZWNobw==\x1b\\";
        assert_eq!(sanitize(clipboard, 256), "]52;c;ZWNobw==\\");
        assert_eq!(sanitize("\u{9b}31mred\r\n\0", 256), "31mred");
        assert_eq!(sanitize("user\u{202e}drowssap\u{2066}\u{200b}\u{feff}", 256), "userdrowssap");
        assert_eq!(sanitize("grüße, 矿工 ⛏", 256), "grüße, 矿工 ⛏");
    }

    #[test]
    fn s11_text_is_cut_by_characters_with_a_mark() {
        assert_eq!(sanitize("äöüß", 4), "äöüß");
        assert_eq!(sanitize("äöüß!", 4), "äöü…");
        assert_eq!(sanitize(&"x".repeat(1 << 20), 256).chars().count(), 256);
    }
}
