//! Plain text: its encoding, its line ends, its form feeds.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::{Document, DocumentError, Page, PageStatus, Source, Warning, clean};

pub(super) fn read(source: Source, bytes: &[u8]) -> Result<Document, DocumentError> {
    let (decoded, warning) = decode(&source.uri, bytes)?;
    let mut text = String::with_capacity(decoded.len());
    let mut pages = Vec::new();
    let mut sheets = decoded.split('\x0C').peekable();
    while let Some(sheet) = sheets.next() {
        if sheets.peek().is_none() && !pages.is_empty() && sheet.trim().is_empty() {
            break; // a form feed that ends the last page begins no other
        }
        let start = text.len();
        push_lines(&mut text, sheet);
        let status = if text.len() > start { PageStatus::Text } else { PageStatus::Empty };
        if status == PageStatus::Text && sheets.peek().is_some() {
            text.push_str("\n\n");
        }
        let number = u32::try_from(pages.len() + 1).unwrap_or(u32::MAX);
        pages.push(Page { number, range: start..text.len(), status });
    }
    let mut document = Document::new(source, text, pages);
    document.warnings.extend(warning);
    Ok(document)
}

/// Adds a page's lines without trailing spaces; two or more blank lines become one.
fn push_lines(text: &mut String, sheet: &str) {
    let start = text.len();
    let mut n_blank = 0;
    let mut line = String::new();
    let sheet = sheet.replace("\r\n", "\n").replace('\r', "\n");
    for raw in sheet.split('\n') {
        line.clear();
        clean::push(&mut line, raw);
        let kept = line.trim_end();
        if kept.is_empty() {
            n_blank += 1;
            continue;
        }
        if text.len() > start {
            text.push_str(if n_blank > 0 { "\n\n" } else { "\n" });
        }
        n_blank = 0;
        text.push_str(kept);
    }
}

/// The text in these bytes, and a warning where the encoding had to be guessed.
pub(super) fn decode(uri: &str, bytes: &[u8]) -> Result<(String, Option<Warning>), DocumentError> {
    if let Some((encoding, n_mark)) = Encoding::for_bom(bytes) {
        let (text, had_errors) = encoding.decode_without_bom_handling(&bytes[n_mark..]);
        let warning = had_errors.then(|| lossy(encoding, n_unknown(&text)));
        return Ok((text.into_owned(), warning));
    }
    let head = &bytes[..bytes.len().min(64 * 1024)];
    let n_nul = head.iter().map(|&byte| usize::from(byte == 0)).sum();
    if let Some(encoding) = utf_16_without_mark(head, n_nul) {
        let (text, had_errors) = encoding.decode_without_bom_handling(bytes);
        if !had_errors {
            let message = format!("no byte order mark; read as {}", encoding.name());
            return Ok((text.into_owned(), Some(Warning::new("encoding_guessed", message))));
        }
    }
    // Stray zero bytes happen in text; more than one in a thousand do not.
    if n_nul > head.len() / 1000 + 1 {
        return Err(DocumentError::Binary { uri: uri.to_owned(), n_nul, n_bytes: bytes.len() });
    }
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok((text.to_owned(), None)),
        Err(error) => error,
    };
    // One bad byte in a long UTF-8 text is damage; many are another encoding.
    let lossy_text = String::from_utf8_lossy(bytes);
    let n_bad = n_unknown(&lossy_text);
    let n_good = lossy_text.chars().filter(|&c| c >= '\u{80}' && c != '\u{FFFD}').count();
    if n_good > 4 * n_bad {
        return Ok((lossy_text.into_owned(), Some(lossy(UTF_8, n_bad))));
    }
    let (text, had_errors) = WINDOWS_1252.decode_without_bom_handling(bytes);
    let n_control =
        text.chars().take(64 * 1024).filter(|c| c.is_control() && !c.is_whitespace()).count();
    if had_errors || n_control > head.len() / 100 + 1 {
        return Err(DocumentError::Binary { uri: uri.to_owned(), n_nul, n_bytes: bytes.len() });
    }
    let message = format!("not UTF-8 from byte {}; read as windows-1252", error.valid_up_to());
    Ok((text.into_owned(), Some(Warning::new("encoding_guessed", message))))
}

fn n_unknown(text: &str) -> usize {
    text.chars().filter(|&c| c == '\u{FFFD}').count()
}

fn lossy(encoding: &'static Encoding, n_bad: usize) -> Warning {
    let message = format!("{n_bad} places are not valid {} and became U+FFFD", encoding.name());
    Warning::new("encoding_errors", message)
}

/// UTF-16 of mostly Latin text has its zero bytes all on one side.
fn utf_16_without_mark(head: &[u8], n_nul: usize) -> Option<&'static Encoding> {
    if n_nul < head.len() / 4 || head.len() < 4 {
        return None;
    }
    let n_odd = head.iter().skip(1).step_by(2).filter(|&&byte| byte == 0).count();
    if n_odd * 20 >= n_nul * 19 {
        Some(UTF_16LE)
    } else if n_odd * 20 <= n_nul {
        Some(UTF_16BE)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DocumentError, read_bytes};

    fn check(bytes: &[u8], expected: &str, code: Option<&str>) {
        let document = read_bytes("-", bytes.to_vec(), None).unwrap();
        assert_eq!(document.text, expected);
        assert_eq!(document.warnings.first().map(|warning| warning.code), code);
        assert_eq!(document.pages.last().unwrap().range.end, document.text.len());
    }

    #[test]
    fn encodings_are_known_by_their_marks_and_guessed_aloud() {
        check(b"\xEF\xBB\xBFna\xC3\xAFve", "naïve", None);
        check(b"\xFF\xFEn\0a\0\xEF\0v\0e\0", "naïve", None);
        check(b"\xFE\xFF\0n\0a\0\xEF\0v\0e", "naïve", None);
        check(b"n\0a\0\xEF\0v\0e\0 \0w\0a\0y\0", "naïve way", Some("encoding_guessed"));
        check(b"na\xEFve \x93so\x94", "naïve “so”", Some("encoding_guessed"));
        check(
            b"\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xFF",
            "ééééé\u{FFFD}",
            Some("encoding_errors"),
        );
    }

    #[test]
    fn lines_lose_trailing_spaces_and_extra_blank_lines() {
        check(b"a \r\nb\r\n\r\n\r\n\r\nc\rd\n\n", "a\nb\n\nc\nd", None);
    }

    #[test]
    fn form_feeds_part_pages() {
        let document = read_bytes("-", b"one\n\x0Ctwo\n\x0C".to_vec(), None).unwrap();
        assert_eq!(document.text, "one\n\ntwo\n\n");
        assert_eq!(document.pages.len(), 2);
        assert_eq!(document.pages[1].range, 5..10);
    }

    #[test]
    fn binary_data_is_refused() {
        let bytes: Vec<u8> = (0..4096_u32).map(|n| (n * n % 251) as u8 & 0xF0).collect();
        let err = read_bytes("a.bin", bytes, None).unwrap_err();
        assert!(matches!(err, DocumentError::Binary { .. }), "{err}");
    }
}
