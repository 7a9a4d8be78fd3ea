//! Accents that are set as glyphs of their own, over the letter that follows: TeX's old fonts have no
//! `ü`, they have `¨` and `u`.

use pdfboss_text::TextSpan;

/// An accent, letters that it stands over, and what both make.
const ACCENTED: [(char, &str, &str); 11] = [
    ('¨', "aeiouyıAEIOUY", "äëïöüÿïÄËÏÖÜŸ"),
    ('´', "aeiouycnszlrıAEIOUYCNSZ", "áéíóúýćńśźĺŕíÁÉÍÓÚÝĆŃŚŹ"),
    ('`', "aeiouıAEIOU", "àèìòùìÀÈÌÒÙ"),
    ('ˆ', "aeiouıAEIOU", "âêîôûîÂÊÎÔÛ"),
    ('˜', "anoANO", "ãñõÃÑÕ"),
    ('˚', "auAU", "åůÅŮ"),
    ('ˇ', "cdenrstzCDENRSTZ", "čďěňřšťžČĎĚŇŘŠŤŽ"),
    ('˝', "ouOU", "őűŐŰ"),
    ('˘', "agAG", "ăğĂĞ"),
    ('¯', "aeiou", "āēīōū"),
    ('˙', "zeZE", "żėŻĖ"),
];

fn compose(accent: char, letter: char) -> Option<char> {
    let (_, letters, composed) = ACCENTED.iter().find(|(of, ..)| *of == accent)?;
    let at = letters.chars().position(|of| of == letter)?;
    composed.chars().nth(at)
}

/// Puts accents on the letters that they stand over.
pub(super) fn compose_all(spans: &mut Vec<TextSpan>) {
    for at in 1..spans.len() {
        let (before, after) = spans.split_at_mut(at);
        let (accented, letters) = (&mut before[at - 1], &mut after[0]);
        // The letter begins under the accent, and not behind it.
        let is_under = letters.x < accented.end_x - 0.15 * accented.size
            && (letters.y - accented.y).abs() < 0.5 * accented.size
            && (letters.rotate, letters.vertical) == (accented.rotate, accented.vertical);
        let (Some(accent), Some(letter)) =
            (accented.text.chars().last(), letters.text.chars().next())
        else {
            continue;
        };
        if let Some(composed) = compose(accent, letter).filter(|_| is_under) {
            accented.text.pop();
            accented.end_x = accented.end_x.min(letters.x);
            letters.text.replace_range(..letter.len_utf8(), composed.encode_utf8(&mut [0; 4]));
        }
    }
    spans.retain(|span| !span.text.is_empty());
}

#[cfg(test)]
mod tests {
    use super::compose;

    #[test]
    fn accents_and_letters_make_letters() {
        assert_eq!(compose('¨', 'u'), Some('ü'));
        assert_eq!(compose('´', 'ı'), Some('í'));
        assert_eq!(compose('ˇ', 'Z'), Some('Ž'));
        assert_eq!(compose('¨', 'k'), None);
        for (_, letters, composed) in super::ACCENTED {
            assert_eq!(letters.chars().count(), composed.chars().count(), "{letters}");
        }
    }
}
