//! RTF as tokens: groups, control words, bytes of text.

/// A piece of RTF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Open,
    Close,
    /// A control word and its number.
    Word(&'a str, Option<i32>),
    /// A control symbol, such as `*`.
    Symbol(u8),
    /// A byte of text that is written in hexadecimal.
    Hex(u8),
    /// Bytes of text.
    Text(&'a [u8]),
}

/// Cuts RTF into tokens. Line ends of the file are none.
pub(super) struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Takes so many bytes, or as many as there are.
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(n.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, is_it: impl Fn(u8) -> bool) -> &'a [u8] {
        let n = self.rest.iter().position(|&byte| !is_it(byte)).unwrap_or(self.rest.len());
        self.take(n)
    }

    /// What comes behind a backslash.
    fn control(&mut self) -> Option<Token<'a>> {
        let &first = self.rest.first()?;
        if first == b'\'' {
            self.take(1);
            let digits = std::str::from_utf8(self.rest.get(..2)?).ok();
            let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
                return Some(Token::Symbol(b'\''));
            };
            self.take(2);
            return Some(Token::Hex(byte));
        }
        if !first.is_ascii_alphabetic() {
            self.take(1);
            return Some(Token::Symbol(first));
        }
        let word = std::str::from_utf8(self.take_while(|byte| byte.is_ascii_alphabetic())).ok()?;
        let n_minus = usize::from(self.rest.first() == Some(&b'-'));
        let n_digits = self.rest[n_minus..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut number = None;
        if n_digits > 0 {
            let digits = std::str::from_utf8(self.take(n_minus + n_digits)).unwrap_or_default();
            // A number too large for its place is none that means anything.
            number = Some(digits.parse().unwrap_or(0));
        }
        if self.rest.first() == Some(&b' ') {
            self.take(1);
        }
        if word == "bin" {
            self.take(number.and_then(|n| usize::try_from(n).ok()).unwrap_or(0));
        }
        Some(Token::Word(word, number))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.take_while(|byte| matches!(byte, b'\r' | b'\n' | 0));
        match self.rest.first()? {
            b'{' => {
                self.take(1);
                Some(Token::Open)
            }
            b'}' => {
                self.take(1);
                Some(Token::Close)
            }
            b'\\' => {
                self.take(1);
                self.control()
            }
            _ => Some(Token::Text(
                self.take_while(|byte| !matches!(byte, b'{' | b'}' | b'\\' | b'\r' | b'\n' | 0)),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_numbers_and_one_space() {
        use Token::{Close, Hex, Open, Symbol, Text, Word};
        let tokens: Vec<_> =
            Tokens::new(b"{\\rtf1\\b  a\\u-12?\r\n\\'e9\\~\\*\\bin3 {}}b\\i-\\'zz}").collect();
        assert_eq!(
            tokens,
            [
                Open,
                Word("rtf", Some(1)),
                Word("b", None),
                Text(b" a"),
                Word("u", Some(-12)),
                Text(b"?"),
                Hex(0xE9),
                Symbol(b'~'),
                Symbol(b'*'),
                Word("bin", Some(3)),
                Text(b"b"),
                Word("i", None),
                Text(b"-"),
                Symbol(b'\''),
                Text(b"zz"),
                Close,
            ]
        );
        assert_eq!(Tokens::new(b"\\u99999999999").next(), Some(Word("u", Some(0))));
        assert_eq!(Tokens::new(b"\\bin-1 a").last(), Some(Text(b"a")));
        for end in [&b"\\"[..], b"\\'", b"\\'e", b"\\bin9 ", b"\\a-"] {
            assert!(Tokens::new(end).count() < 3);
        }
    }
}
