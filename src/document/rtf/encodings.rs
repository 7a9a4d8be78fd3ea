//! Fonts and code pages: which characters the bytes of a text are.

use std::collections::HashMap;

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GBK, IBM866, MACINTOSH, SHIFT_JIS, UTF_8, WINDOWS_874, WINDOWS_1250,
    WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256,
    WINDOWS_1257, WINDOWS_1258, X_MAC_CYRILLIC,
};

use super::super::build::signs;

/// The fonts of a document, and the code page of what has none of its own.
#[derive(Debug)]
pub(super) struct Fonts {
    fonts: HashMap<i32, Font>,
    pub(super) default: &'static Encoding,
    /// A code page that is not known.
    pub(super) unknown: Option<i32>,
    /// The font that is being defined.
    open: i32,
    /// Any font states which letters it has.
    is_stated: bool,
}

#[derive(Debug, Default)]
struct Font {
    name: String,
    charset: Option<i32>,
    code_page: Option<i32>,
}

/// How a byte becomes a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letters {
    Encoded(&'static Encoding),
    /// The letters of this font are signs.
    Signs(i32),
}

impl Default for Fonts {
    fn default() -> Self {
        let fonts = HashMap::new();
        Self { fonts, default: WINDOWS_1252, unknown: None, open: 0, is_stated: false }
    }
}

impl Fonts {
    /// The code page of the document.
    pub(super) fn set_code_page(&mut self, page: i32) {
        match of_code_page(page) {
            Some(encoding) => self.default = encoding,
            None => self.unknown = Some(page),
        }
    }

    /// Takes a control word of the table of fonts.
    pub(super) fn define(&mut self, word: &str, number: Option<i32>) {
        let (Some(number), font) = (number, self.open) else { return };
        match word {
            "f" => {
                self.open = number;
                self.fonts.insert(number, Font::default());
            }
            "fcharset" => {
                self.is_stated |= !matches!(number, 0..=2);
                self.fonts.entry(font).or_default().charset = Some(number);
            }
            "cpg" => self.fonts.entry(font).or_default().code_page = Some(number),
            _ => {}
        }
    }

    /// Takes words of the table of fonts.
    pub(super) fn name(&mut self, words: &str) {
        let font = self.fonts.entry(self.open).or_default();
        if font.name.len() < 64 && !font.name.ends_with(';') {
            font.name.push_str(words.trim_start());
        }
    }

    /// What the bytes of a text in this font are.
    pub(super) fn letters(&self, font: i32) -> Letters {
        let Some(of_font) = self.fonts.get(&font) else { return Letters::Encoded(self.default) };
        if of_font.charset == Some(2) && has_signs(&of_font.name) {
            return Letters::Signs(font);
        }
        let page = of_font.code_page.or_else(|| match of_font.charset? {
            // Where no font states its letters, they are those of the document.
            0 if self.is_stated => Some(1252),
            charset => code_page(charset),
        });
        Letters::Encoded(page.and_then(of_code_page).unwrap_or(self.default))
    }

    /// What a byte shows in a font whose letters are signs.
    pub(super) fn sign(&self, font: i32, byte: u8) -> Option<char> {
        signs::of_font(&self.fonts.get(&font)?.name, byte)
    }
}

fn has_signs(name: &str) -> bool {
    ["Symbol", "Wingdings", "Webdings", "Marlett", "ZapfDingbats"]
        .iter()
        .any(|signs| name.starts_with(signs))
}

/// The code page of a set of characters, as fonts state it.
fn code_page(charset: i32) -> Option<i32> {
    Some(match charset {
        77 => 10000,
        128 => 932,
        129 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    })
}

fn of_code_page(page: i32) -> Option<&'static Encoding> {
    Some(match page {
        866 => IBM866,
        874 => WINDOWS_874,
        932 => SHIFT_JIS,
        936 => GBK,
        949 => EUC_KR,
        950 => BIG5,
        1250 => WINDOWS_1250,
        1251 => WINDOWS_1251,
        // 0 is that of the system.
        0 | 1252 => WINDOWS_1252,
        1253 => WINDOWS_1253,
        1254 => WINDOWS_1254,
        1255 => WINDOWS_1255,
        1256 => WINDOWS_1256,
        1257 => WINDOWS_1257,
        1258 => WINDOWS_1258,
        10000 => MACINTOSH,
        10007 => X_MAC_CYRILLIC,
        65001 => UTF_8,
        _ => return None,
    })
}
