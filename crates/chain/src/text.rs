//! Which characters of strangers' text may reach a terminal or a log (S11). The one rule of the
//! house: how long a text may be, and what stands in for what is gone, is the caller's business.

/// Whether a character shows as itself and changes nothing around it.
///
/// Control characters do not (C0, C1, ESC: title and clipboard sequences of terminals), nor do the
/// invisible ones that reorder or hide text (bidi controls, zero width, tags).
pub fn is_printable(c: char) -> bool {
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
    fn s11_what_steers_reorders_or_hides_is_not_printable() {
        for (what, characters) in [
            ("C0", "\0\x07\t\n\r\x1b\x7f"),
            ("C1", "\u{80}\u{85}\u{9b}\u{9d}\u{9f}"),
            ("bidi", "\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}"),
            ("zero width", "\u{ad}\u{180e}\u{200b}\u{200d}\u{2060}\u{feff}"),
            ("line ends", "\u{2028}\u{2029}"),
            ("tags", "\u{e0001}\u{e0041}\u{e007f}"),
        ] {
            for c in characters.chars() {
                assert!(!is_printable(c), "{what}: {c:?}");
            }
        }
        for c in "user.1 ~grüße, 矿工 ⛏ عدن".chars() {
            assert!(is_printable(c), "{c:?}");
        }
    }
}
