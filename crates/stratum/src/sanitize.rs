//! Text of strangers, made safe for terminals and logs (S11).

use midstate_chain::is_printable;

/// The characters of `text` that print, at most `limit` of them; a cut ends in `…`.
///
/// Gone is what could steer the terminal, reorder text or hide it: see [`is_printable`].
pub fn sanitize(text: &str, limit: usize) -> String {
    let mut printable = text.chars().filter(|&c| is_printable(c));
    let mut clean: String = printable.by_ref().take(limit).collect();
    if printable.next().is_some() {
        clean.pop();
        clean.push('…');
    }
    clean
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
