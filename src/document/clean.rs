//! Characters: what is expanded, what is a space, what is dropped.

/// Adds text with its characters normalized. Line breaks and tabs are kept.
///
/// Ligature characters (U+FB00 to U+FB06) become their letters, every kind of horizontal space
/// a plain one; zero-width and control characters go, and so does the soft hyphen.
pub(super) fn push(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\u{FB00}' => out.push_str("ff"),
            '\u{FB01}' => out.push_str("fi"),
            '\u{FB02}' => out.push_str("fl"),
            '\u{FB03}' => out.push_str("ffi"),
            '\u{FB04}' => out.push_str("ffl"),
            '\u{FB05}' | '\u{FB06}' => out.push_str("st"),
            '\u{A0}'
            | '\u{1680}'
            | '\u{2000}'..='\u{200A}'
            | '\u{202F}'
            | '\u{205F}'
            | '\u{3000}' => {
                out.push(' ');
            }
            '\u{2010}' | '\u{2011}' => out.push('-'),
            '\u{2028}' | '\u{2029}' | '\u{85}' => out.push('\n'),
            // Joiners shape words in several scripts: U+200C and U+200D stay.
            '\u{AD}' | '\u{200B}' | '\u{2060}' | '\u{FEFF}' => {}
            '\n' | '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
}

/// How many ligature characters a text has.
pub(super) fn n_ligatures(text: &str) -> usize {
    text.chars().filter(|c| ('\u{FB00}'..='\u{FB06}').contains(c)).count()
}

/// One line: normalized, with runs of spaces as one and none at its ends, and with three dots for
/// each row of dots that leads to a page number.
pub(super) fn line(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    push(&mut cleaned, text);
    let mut line = String::with_capacity(cleaned.len());
    let mut words = cleaned.split_whitespace().peekable();
    while let Some(mut word) = words.next() {
        if is_dots(word) {
            let mut n_dots = word.len();
            while let Some(dots) = words.next_if(|word| is_dots(word)) {
                n_dots += dots.len();
            }
            if n_dots > 3 {
                word = "...";
            }
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

fn is_dots(word: &str) -> bool {
    word.bytes().all(|byte| byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ligatures_become_letters_and_odd_spaces_plain_ones() {
        assert_eq!(line("e\u{FB03}cient\u{A0}\u{2009} \u{FB01}x\u{AD}ed"), "efficient fixed");
        assert_eq!(line("Introduction . . . . . . . 4"), "Introduction ... 4");
        assert_eq!(line("and so on ... no. 4."), "and so on ... no. 4.");
        assert_eq!(n_ligatures("e\u{FB03}cient \u{FB01}xed"), 2);
    }
}
