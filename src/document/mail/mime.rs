//! Internet messages in their parts: fields, bodies, encodings (RFC 5322, 2045 to 2047, 2231).
//!
//! Nothing fails: what breaks a rule is taken as it stands.

use std::borrow::Cow;
use std::iter;

use encoding_rs::{Encoding, UTF_8, UTF_16BE};

use super::super::text;

/// A longer field is cut here.
const MOST_FIELD_BYTES: usize = 64 * 1024;

/// Mail programs that do not break long encoded words stay below this.
const MOST_WORD_BYTES: usize = 2000;

/// A message, or a part of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entity<'a> {
    head: &'a [u8],
    body: &'a [u8],
    is_parted: bool,
}

impl<'a> Entity<'a> {
    /// Parts the fields from the body: at a blank line, or where lines are no fields any more.
    pub(super) fn parse(bytes: &'a [u8]) -> Self {
        let mut n_head = 0;
        for line in lines(bytes) {
            let is_blank = line.trim_ascii().is_empty();
            let goes_on = n_head > 0 && (line.starts_with(b" ") || line.starts_with(b"\t"));
            if is_blank || !(goes_on || field_name(line).is_some()) {
                let (head, body) = bytes.split_at(n_head);
                let body = if is_blank { &body[line.len()..] } else { body };
                return Self { head, body, is_parted: is_blank };
            }
            n_head += line.len();
        }
        Self { head: bytes, body: &[], is_parted: false }
    }

    /// Whether a blank line ends the fields.
    pub(super) fn is_parted(&self) -> bool {
        self.is_parted
    }

    /// Names of the fields and what follows them, folded as it is.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut rest = self.head;
        iter::from_fn(move || {
            let mut n = 0;
            for line in lines(rest) {
                if n > 0 && !line.starts_with(b" ") && !line.starts_with(b"\t") {
                    break;
                }
                n += line.len();
            }
            let (field, after) = rest.split_at(n);
            rest = after;
            let colon = field.iter().position(|&byte| byte == b':')?;
            let value = &field[colon + 1..field.len().min(colon + 1 + MOST_FIELD_BYTES)];
            Some((field[..colon].trim_ascii(), value.trim_ascii()))
        })
    }

    /// What follows the first field of a name.
    pub(super) fn field(&self, name: &str) -> Option<&'a [u8]> {
        let mut fields = self.fields();
        fields
            .find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// The words of a field.
    pub(super) fn words(&self, name: &str) -> Option<String> {
        self.field(name).map(words).filter(|words| !words.trim().is_empty())
    }

    /// A field that has parameters.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        self.field(name).map(Value::parse)
    }

    /// The body without its transfer encoding.
    pub(super) fn decoded(&self) -> Cow<'a, [u8]> {
        let encoding = self.value("content-transfer-encoding").map(|value| value.kind);
        match encoding.as_deref() {
            Some("base64") => Cow::Owned(base64(self.body)),
            Some("quoted-printable") => Cow::Owned(quoted_printable(self.body)),
            _ => Cow::Borrowed(self.body),
        }
    }

    /// The parts of a body that consists of several.
    pub(super) fn parts(&self, boundary: &str) -> impl Iterator<Item = Entity<'a>> {
        let boundary = boundary.trim_end().as_bytes().to_vec();
        let mut rest = after_delimiter(self.body, &boundary).unwrap_or_default();
        iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let mut n = 0;
            for line in lines(rest) {
                if let Some(is_last) = delimiter(line, &boundary) {
                    let part = &rest[..n];
                    rest = if is_last { &[] } else { &rest[n + line.len()..] };
                    return Some(Entity::parse(part));
                }
                n += line.len();
            }
            Some(Entity::parse(std::mem::take(&mut rest)))
        })
    }
}

/// Lines with their ends.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|&byte| byte == b'\n')
}

/// The name of the field that a line begins.
pub(super) fn field_name(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|&byte| !(byte.is_ascii_graphic() && byte != b':'))?;
    let is_field = colon > 0 && line[colon..].trim_ascii_start().starts_with(b":");
    is_field.then(|| &line[..colon])
}

/// What follows the first line that parts a body.
fn after_delimiter<'a>(body: &'a [u8], boundary: &[u8]) -> Option<&'a [u8]> {
    let mut n = 0;
    lines(body).find_map(|line| {
        n += line.len();
        (delimiter(line, boundary) == Some(false)).then(|| &body[n..])
    })
}

/// Whether a line parts a body, and if so whether it ends the last part.
fn delimiter(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    let end = rest.strip_prefix(b"--");
    let is_blank = |rest: &[u8]| rest.trim_ascii().is_empty();
    if is_blank(rest) { Some(false) } else { end.is_some_and(is_blank).then_some(true) }
}

/// A value such as `text/plain; charset=utf-8`.
#[derive(Debug, Default)]
pub(super) struct Value {
    /// What stands before the parameters, in lower case.
    pub(super) kind: String,
    /// Names in lower case, and what was given for them.
    parameters: Vec<(String, String)>,
}

impl Value {
    fn parse(raw: &[u8]) -> Self {
        let raw = unfold(raw);
        let (kind, mut rest) = raw.split_once(';').unwrap_or((&raw, ""));
        let kind = kind.split('(').next().unwrap_or_default().trim().to_ascii_lowercase();
        let mut parameters = Vec::new();
        while let Some((name, after)) = rest.split_once('=') {
            let name = name.rsplit(';').next().unwrap_or_default().trim();
            let (value, after) = token(after.trim_start());
            parameters.push((name.to_ascii_lowercase(), value));
            rest = after.split_once(';').map_or("", |(_, after)| after);
        }
        Self { kind, parameters }
    }

    /// A parameter; a long one may come in pieces, and one with foreign letters in percent signs.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        if let Some((_, value)) = self.parameters.iter().find(|(found, _)| found == name) {
            return Some(words(value.as_bytes()));
        }
        let mut pieces: Vec<(u32, bool, &str)> = Vec::new();
        for (found, value) in &self.parameters {
            let Some(rest) = found.strip_prefix(name).and_then(|rest| rest.strip_prefix('*'))
            else {
                continue;
            };
            let (number, is_encoded) = match rest.strip_suffix('*') {
                Some(number) => (number, true),
                None => (rest, rest.is_empty()),
            };
            pieces.push((number.parse().unwrap_or(0), is_encoded, value));
        }
        pieces.sort_by_key(|(number, ..)| *number);
        let mut label = "utf-8";
        let mut bytes = Vec::new();
        for (at, (_, is_encoded, piece)) in pieces.iter().enumerate() {
            let mut piece = *piece;
            if at == 0 && *is_encoded {
                let mut fields = piece.splitn(3, '\'');
                if let (Some(stated), Some(_), Some(rest)) =
                    (fields.next(), fields.next(), fields.next())
                {
                    (label, piece) = (stated, rest);
                }
            }
            if *is_encoded {
                bytes.extend(escaped(piece.as_bytes(), b'%'));
            } else {
                bytes.extend(piece.as_bytes());
            }
        }
        let decoded = decode(label, &bytes).map(|(decoded, _)| decoded);
        (!pieces.is_empty()).then(|| decoded.unwrap_or_else(|| stated_nowhere(&bytes)))
    }
}

/// What stands before a semicolon or in quotation marks, and what follows it.
fn token(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim_end().to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

/// A field on one line.
pub(super) fn unfold(raw: &[u8]) -> String {
    let mut text = stated_nowhere(raw);
    text.retain(|c| c != '\r' && c != '\n');
    text
}

/// Words in an encoding that is stated nowhere.
fn stated_nowhere(bytes: &[u8]) -> String {
    match text::decode("", bytes) {
        Ok((text, _)) => text,
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The words of a field, those that were encoded to fit into ASCII decoded (RFC 2047).
pub(super) fn words(raw: &[u8]) -> String {
    let text = unfold(raw);
    let mut words = String::with_capacity(text.len());
    // A letter of several bytes may begin in one encoded word and end in the next.
    let mut open: Option<(&str, Vec<u8>)> = None;
    let mut rest = text.as_str();
    while let Some(at) = rest.find("=?") {
        let (before, from) = rest.split_at(at);
        let Some((label, bytes, after)) = encoded_word(from) else {
            close(&mut open, &mut words);
            words.push_str(before);
            words.push_str("=?");
            rest = &from[2..];
            continue;
        };
        match &mut open {
            Some((last, run)) if before.trim().is_empty() && last.eq_ignore_ascii_case(label) => {
                run.extend(bytes);
            }
            _ => {
                // White space between encoded words only keeps them apart.
                let is_joint = open.is_some() && before.trim().is_empty();
                close(&mut open, &mut words);
                words.push_str(if is_joint { "" } else { before });
                open = Some((label, bytes));
            }
        }
        rest = after;
    }
    close(&mut open, &mut words);
    words.push_str(rest);
    words
}

fn close(open: &mut Option<(&str, Vec<u8>)>, words: &mut String) {
    if let Some((label, bytes)) = open.take() {
        match decode(label, &bytes) {
            Some((decoded, _)) => words.push_str(&decoded),
            None => words.push_str(&stated_nowhere(&bytes)),
        }
    }
}

/// Bytes in the charset that a label states, and whether some are not in it.
///
/// None where the label says nothing: it is unknown, or the bytes are not the ASCII or UTF-8 that
/// they are said to be.
pub(super) fn decode(label: &str, bytes: &[u8]) -> Option<(String, bool)> {
    let label = label.trim().to_ascii_lowercase();
    if label == "utf-7" || label == "unicode-1-1-utf-7" {
        return Some((utf_7(bytes), false));
    }
    if label.ends_with("ascii") && !bytes.is_ascii() {
        return None;
    }
    let encoding = Encoding::for_label_no_replacement(label.as_bytes())?;
    let (text, encoding, had_errors) = encoding.decode(bytes);
    (encoding != UTF_8 || !had_errors).then(|| (text.into_owned(), had_errors))
}

/// UTF-7: letters that are not ASCII are UTF-16 in base64, between a plus and a minus (RFC 2152).
fn utf_7(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| byte == b'+') {
        text.push_str(&String::from_utf8_lossy(&rest[..at]));
        rest = &rest[at + 1..];
        let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        let n = rest.iter().take_while(|byte| is_letter(byte)).count();
        let (letters, after) = rest.split_at(n);
        rest = after.strip_prefix(b"-").unwrap_or(after);
        if n == 0 {
            text.push('+');
        }
        text.push_str(&UTF_16BE.decode_without_bom_handling(&base64(letters)).0);
    }
    text.push_str(&String::from_utf8_lossy(rest));
    text
}

/// The charset and the bytes of the encoded word that a text begins with, and what follows it.
fn encoded_word(text: &str) -> Option<(&str, Vec<u8>, &str)> {
    let (label, rest) = text.strip_prefix("=?")?.split_once('?')?;
    let label = label.split('*').next()?; // a language may follow
    let (kind, rest) = rest.split_once('?')?;
    let end = rest[..rest.floor_char_boundary(MOST_WORD_BYTES)].find("?=")?;
    let (content, rest) = (&rest[..end], &rest[end + 2..]);
    let bytes = match kind {
        "b" | "B" => base64(content.as_bytes()),
        "q" | "Q" => escaped(content.replace('_', " ").as_bytes(), b'='),
        _ => return None,
    };
    let is_label = !label.is_empty() && label.len() <= 40 && !label.contains(char::is_whitespace);
    is_label.then_some((label, bytes, rest))
}

/// Bytes out of base64, up to the sign that fills its end; what is no letter of it is passed over.
fn base64(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut n_bits) = (0_u32, 0);
    for &letter in text {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' => break,
            _ => continue,
        };
        bits = bits << 6 | u32::from(six);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push((bits >> n_bits & 0xFF) as u8);
        }
    }
    bytes
}

/// Bytes out of quoted-printable text.
fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for line in lines(text) {
        // An equals sign at the end of a line joins it to the next.
        match line.trim_ascii_end().strip_suffix(b"=") {
            Some(words) => bytes.extend(escaped(words, b'=')),
            None => bytes.extend(escaped(line, b'=')),
        }
    }
    bytes
}

/// Bytes with those decoded that are two hexadecimal digits behind a sign.
fn escaped(text: &[u8], sign: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let digit = |at: usize| text.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        let code = if byte == sign { digit(at + 1).zip(digit(at + 2)) } else { None };
        match code.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(byte) => {
                bytes.push(byte);
                at += 3;
            }
            None => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_end_at_a_blank_line_or_where_they_are_none() {
        let entity = Entity::parse(b"A: one\r\n two\r\nB:\r\n\tthree\r\n\r\nbody\r\n");
        let fields: Vec<_> = entity.fields().collect();
        assert_eq!(fields, [(&b"A"[..], &b"one\r\n two"[..]), (&b"B"[..], &b"three"[..])]);
        assert_eq!(unfold(entity.field("a").unwrap()), "one two");
        assert_eq!((entity.body, entity.is_parted()), (&b"body\r\n"[..], true));
        let entity = Entity::parse(b"A: one\nno field\nB: two");
        assert_eq!((entity.body, entity.is_parted()), (&b"no field\nB: two"[..], false));
        assert!(entity.field("B").is_none());
        assert_eq!(Entity::parse(b"\nA: one").body, b"A: one");
        assert_eq!(Entity::parse(b"").fields().count(), 0);
    }

    fn check_words(raw: &str, expected: &str) {
        assert_eq!(words(raw.as_bytes()), expected, "{raw:?}");
    }

    #[test]
    fn encoded_words_are_decoded_and_join() {
        check_words("plain =? words", "plain =? words");
        check_words("=?utf-8?Q?Gr=C3=BC=C3=9Fe_aus?= K=?iso-8859-1?q?=F6ln?=", "Grüße aus Köln");
        check_words("=?UTF-8?B?w6Q=?=\r\n =?UTF-8?B?w7Y=?= =?iso-8859-1*de?Q?=FC?=", "äöü");
        // A letter of two bytes in two words.
        check_words("=?utf-8?q?=C3?= =?UTF-8?Q?=A4?=", "ä");
        check_words("=?iso-2022-jp?B?GyRCQGkbKEI=?=", "千");
        check_words("=?utf-7?Q?Fr+APY-sche?= 1+-1", "Frösche 1+-1");
        check_words("=?no-such?q?=C3=A4?=", "ä");
        check_words("=?utf-8?x?a?= =?utf-8?q?a =?a=?", "=?utf-8?x?a?= =?utf-8?q?a =?a=?");
        assert_eq!(words(b"Gr\xFC\xDFe aus dem sch\xF6nen K\xF6ln"), "Grüße aus dem schönen Köln");
    }

    #[test]
    fn parameters_come_whole_or_in_pieces() {
        let value = |raw: &str| Value::parse(raw.as_bytes());
        let content = value("Text/Plain (words); Charset = \"utf-8\"; name=\"a;\\\"b\\\".txt\"");
        assert_eq!(content.kind, "text/plain");
        assert_eq!(content.parameter("charset").as_deref(), Some("utf-8"));
        assert_eq!(content.parameter("name").as_deref(), Some("a;\"b\".txt"));
        assert_eq!(content.parameter("boundary"), None);
        let name = |raw: &str| value(raw).parameter("filename").unwrap_or_default();
        assert_eq!(name("attachment; filename*=utf-8'de'%C3%BCber.pdf"), "über.pdf");
        assert_eq!(
            name("attachment; filename*1=\"b.pdf\"; filename*0*=iso-8859-1''%FC"),
            "\u{FC}b.pdf"
        );
        assert_eq!(name("attachment; filename=\"=?utf-8?q?=C3=BC.pdf?=\""), "ü.pdf");
        assert_eq!(name("attachment; filename=My File.pdf; size=1"), "My File.pdf");
        assert_eq!(name("attachment;; filename=\"open"), "open");
        assert_eq!(name("attachment; filename"), "");
    }

    #[test]
    fn transfer_encodings_are_taken_off() {
        assert_eq!(base64(b"SGVs\r\nbG8="), b"Hello");
        assert_eq!(base64(b"SGVsbG8 ! ="), b"Hello");
        assert_eq!(base64(b"SGVsbG8=footer"), b"Hello");
        assert_eq!(quoted_printable(b"a=3Db =\r\nc=\nd=zz=4"), b"a=b cd=zz=4");
    }

    #[test]
    fn parts_lie_between_the_lines_of_their_boundary() {
        let parts = |body: &str| -> Vec<String> {
            let message = format!("A: b\n\n{body}");
            let entity = Entity::parse(message.as_bytes());
            let part = |part: Entity<'_>| String::from_utf8_lossy(part.body).trim().to_owned();
            entity.parts("x").map(part).collect()
        };
        assert_eq!(parts("before\n--x\n\none\n--x  \r\n\ntwo\n--x--\nafter"), ["one", "two"]);
        assert_eq!(
            parts("--x\n\none\n--xy\n\ntwo\n --x\nthree"),
            ["one\n--xy\n\ntwo\n --x\nthree"]
        );
        assert_eq!(parts("no parts"), [""; 0]);
        assert_eq!(parts("--x\n--x\n--x--"), ["", ""]);
    }

    #[test]
    fn a_hostile_field_costs_no_more_than_its_length() {
        let words = words("=?a?q?b".repeat(9000).as_bytes());
        assert!(words.len() >= 9000);
        let value = Value::parse("; a*=b'".repeat(9000).as_bytes());
        assert!(value.parameter("a").is_some());
    }
}
