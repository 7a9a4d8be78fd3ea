//! Signs that office formats state by number: the marks of lists and notes, and the letters of the
//! fonts Symbol and Wingdings.

/// How the items of a list are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::document) enum Numeral {
    #[default]
    Decimal,
    LowerLetter,
    UpperLetter,
    LowerRoman,
    UpperRoman,
}

impl Numeral {
    /// A number as it is printed. What cannot be written in letters or Roman numerals is decimal.
    pub(in crate::document) fn print(self, n: u32) -> String {
        match self {
            Self::LowerLetter if (1..=780).contains(&n) => letters(n, b'a'),
            Self::UpperLetter if (1..=780).contains(&n) => letters(n, b'A'),
            Self::LowerRoman if (1..4000).contains(&n) => roman(n).to_lowercase(),
            Self::UpperRoman if (1..4000).contains(&n) => roman(n),
            _ => n.to_string(),
        }
    }
}

/// a to z, then aa to zz, and so on: word processors repeat the letter.
fn letters(n: u32, first: u8) -> String {
    let (n_more, at) = ((n - 1) / 26, (n - 1) % 26);
    let letter = char::from(first + u8::try_from(at).unwrap_or(0));
    std::iter::repeat_n(letter, n_more as usize + 1).collect()
}

fn roman(mut n: u32) -> String {
    const SIGNS: [(u32, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut signs = String::new();
    for (value, sign) in SIGNS {
        while n >= value {
            signs.push_str(sign);
            n -= value;
        }
    }
    signs
}

/// What a byte shows in a font whose letters are signs. Nothing for ornaments and for other fonts.
pub(in crate::document) fn of_font(font: &str, byte: u8) -> Option<char> {
    // The letters of Symbol from A to Z and from a to z.
    const CAPITALS: &str = "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ";
    const SMALL: &str = "αβχδεφγηιϕκλμνοπθρστυϖωξψζ";
    let at = |letters: &str, first: u8| letters.chars().nth(usize::from(byte - first));
    if font.starts_with("Wingdings") {
        return match byte {
            0x6F | 0x71 | 0xA8 => Some('☐'),
            0xFC => Some('✓'),
            0xFB => Some('✗'),
            0xFD => Some('☒'),
            0xFE => Some('☑'),
            0xDF => Some('←'),
            0xE0 => Some('→'),
            _ => None,
        };
    }
    if !font.starts_with("Symbol") {
        return None;
    }
    match byte {
        b'A'..=b'Z' => at(CAPITALS, b'A'),
        b'a'..=b'z' => at(SMALL, b'a'),
        0x22 => Some('∀'),
        0x24 => Some('∃'),
        0x2D => Some('−'),
        0x40 => Some('≅'),
        0x20..=0x3F | 0x5B | 0x5D | 0x5F | 0x7B..=0x7D => Some(char::from(byte)),
        0xA2 => Some('′'),
        0xA3 => Some('≤'),
        0xA5 => Some('∞'),
        0xAB => Some('↔'),
        0xAC => Some('←'),
        0xAE => Some('→'),
        0xB0 => Some('°'),
        0xB1 => Some('±'),
        0xB3 => Some('≥'),
        0xB4 => Some('×'),
        0xB6 => Some('∂'),
        0xB7 => Some('•'),
        0xB8 => Some('÷'),
        0xB9 => Some('≠'),
        0xBA => Some('≡'),
        0xBB => Some('≈'),
        0xBC => Some('…'),
        0xC7 => Some('∩'),
        0xC8 => Some('∪'),
        0xCE => Some('∈'),
        0xCF => Some('∉'),
        0xD1 => Some('∇'),
        0xD5 => Some('∏'),
        0xD6 => Some('√'),
        0xDE => Some('⇒'),
        0xE5 => Some('∑'),
        0xF2 => Some('∫'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_asked() {
        let printed =
            |numeral: Numeral| [0, 1, 4, 26, 27, 54, 1999, 4000].map(|n| numeral.print(n));
        assert_eq!(printed(Numeral::LowerLetter)[..6], ["0", "a", "d", "z", "aa", "bbb"]);
        assert_eq!(
            printed(Numeral::UpperRoman)[1..],
            ["I", "IV", "XXVI", "XXVII", "LIV", "MCMXCIX", "4000"]
        );
        assert_eq!(Numeral::LowerRoman.print(9), "ix");
        assert_eq!(Numeral::UpperLetter.print(u32::MAX), "4294967295");
    }

    #[test]
    fn letters_of_sign_fonts_become_the_signs() {
        assert_eq!(of_font("Symbol", b'a'), Some('α'));
        assert_eq!(of_font("Symbol", b'Z'), Some('Ζ'));
        assert_eq!(of_font("Symbol MT", 0xB3), Some('≥'));
        assert_eq!(of_font("Wingdings 2", 0xFE), Some('☑'));
        assert_eq!(of_font("Arial", b'a'), None);
        for byte in 0..=255 {
            of_font("Symbol", byte);
            of_font("Wingdings", byte);
        }
    }
}
