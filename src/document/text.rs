//! Plain text: its encoding, its lines, its form feeds, the headings marked with `#`.

use std::fmt::Write as _;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    Encoding, ISO_2022_JP, ISO_8859_2, ISO_8859_4, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1250,
    WINDOWS_1252, WINDOWS_1254, WINDOWS_1257,
};

use super::{Document, DocumentError, Heading, Page, PageStatus, Source, Warning, clean};

pub(super) fn read(source: Source, bytes: &[u8]) -> Result<Document, DocumentError> {
    let (decoded, warning) = decode(&source.uri, bytes)?;
    let sheets: Vec<String> = decoded.split('\x0C').map(normalize).collect();
    drop(decoded);
    let mut writer = Writer {
        lines: Lines::of(&sheets),
        is_script: sheets[0].starts_with("#!"),
        ..Writer::default()
    };
    let mut pages = Vec::new();
    for (i, sheet) in sheets.iter().enumerate() {
        let is_last = i + 1 == sheets.len();
        if is_last && i > 0 && sheet.trim().is_empty() {
            break; // a form feed that ends the last page begins no other
        }
        let start = writer.text.len();
        writer.page(sheet);
        let status = if writer.text.len() > start { PageStatus::Text } else { PageStatus::Empty };
        if status == PageStatus::Text && !is_last {
            writer.text.push_str("\n\n");
        }
        let number = u32::try_from(i + 1).unwrap_or(u32::MAX);
        pages.push(Page { number, label: None, range: start..writer.text.len(), status });
    }
    let mut document = Document::new(source, writer.text, pages);
    document.headings = writer.headings;
    document.settle_title();
    document.warnings.extend(warning);
    Ok(document)
}

/// The text for reading and the headings in it, where there are no pages.
pub(super) fn render(decoded: &str) -> (String, Vec<Heading>) {
    let sheets = [normalize(decoded)];
    let mut writer = Writer {
        lines: Lines::of(&sheets),
        is_script: sheets[0].starts_with("#!"),
        ..Writer::default()
    };
    writer.page(&sheets[0]);
    (writer.text, writer.headings)
}

/// A page with plain characters and plain line ends.
fn normalize(sheet: &str) -> String {
    let mut clean = String::with_capacity(sheet.len());
    clean::push(&mut clean, &sheet.replace("\r\n", "\n").replace('\r', "\n"));
    clean
}

/// What a line of the file is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Lines {
    /// A piece of a paragraph, which a blank line ends.
    #[default]
    Wrapped,
    /// A paragraph, or what one speaker says.
    Whole,
}

/// At most one line in ten is longer where lines are wrapped.
const WRAPPED_CHARS: usize = 200;

impl Lines {
    fn of(sheets: &[String]) -> Self {
        let mut n_chars = Vec::new();
        let (mut n_turns, mut n_joints, mut n_go_on) = (0, 0, 0);
        for sheet in sheets {
            let mut before = "";
            for line in sheet.split('\n').map(str::trim) {
                if !line.is_empty() {
                    n_chars.push(line.chars().count());
                    n_turns += usize::from(is_turn(line));
                    n_joints += usize::from(!before.is_empty());
                    n_go_on += usize::from(goes_on(before, line));
                }
                before = line;
            }
        }
        if n_joints == 0 || n_go_on * 5 > n_joints {
            return Self::Wrapped; // sentences run over the ends of lines
        }
        let n_lines = n_chars.len();
        let (_, tenth, _) = n_chars.select_nth_unstable(n_lines * 9 / 10);
        let is_transcript = n_lines >= 3 && n_turns * 2 > n_lines;
        if *tenth > WRAPPED_CHARS || is_transcript { Self::Whole } else { Self::Wrapped }
    }
}

/// Whether a line carries on the sentence of the line before.
fn goes_on(before: &str, line: &str) -> bool {
    let is_open = before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, ',' | '-'));
    is_open && line.starts_with(char::is_lowercase) && !is_turn(line)
}

/// Whether a line opens with the name of who speaks, and maybe the time before it.
fn is_turn(line: &str) -> bool {
    let is_time = |c: char| c.is_ascii_digit() || " [](),:./-".contains(c);
    let Some((name, rest)) = line.trim_start_matches(is_time).split_once(':') else {
        return false;
    };
    let words = || name.split_whitespace();
    let is_name = |word: &str| {
        word.starts_with(|c: char| c.is_alphanumeric() && !c.is_lowercase() || c == '(')
    };
    (rest.is_empty() || rest.starts_with(char::is_whitespace))
        && (1..=4).contains(&words().count())
        && name.len() <= 60
        && name.starts_with(char::is_alphabetic)
        && words().next().is_some_and(is_name)
        && words().last().is_some_and(is_name)
}

/// The text so far.
#[derive(Default)]
struct Writer {
    lines: Lines,
    /// Its `#` begin comments.
    is_script: bool,
    text: String,
    headings: Vec<Heading>,
}

impl Writer {
    /// Adds a page's lines without trailing spaces; two or more blank lines become one.
    fn page(&mut self, sheet: &str) {
        let start = self.text.len();
        let mut is_parted = false;
        let mut before = "";
        let mut lines = sheet.split('\n').map(str::trim_end).peekable();
        while let Some(line) = lines.next() {
            // Lines of one rank under each other are a comment.
            let alone = |next_to_it: &str| n_marks(next_to_it) != n_marks(line);
            let heading = heading(line).filter(|_| {
                !self.is_script && alone(before) && lines.peek().is_none_or(|next| alone(next))
            });
            before = line;
            if line.is_empty() {
                is_parted = true;
                continue;
            }
            is_parted |= heading.is_some() || self.lines == Lines::Whole;
            if self.text.len() > start {
                self.text.push_str(if is_parted { "\n\n" } else { "\n" });
            }
            is_parted = heading.is_some();
            let at = self.text.len();
            self.text.push_str(heading.map_or(line, |(title, _)| title));
            if let Some((_, level)) = heading {
                self.headings.push(Heading { range: at..self.text.len(), level });
            }
        }
    }
}

/// The words and the rank of a heading marked with `#`.
fn heading(line: &str) -> Option<(&str, u8)> {
    let level = n_marks(line);
    let words = line[level..].strip_prefix(' ')?.trim();
    // Marks may close a heading too: "## Title ##".
    let open = words.trim_end_matches('#');
    let words = if open.ends_with(' ') { open.trim_end() } else { words };
    let is_heading = (1..=6).contains(&level)
        && words.chars().nth(MAX_HEADING_CHARS).is_none()
        && words.contains(char::is_alphanumeric)
        && !words.ends_with(['.', ';', ',', '{', '}', '\\']);
    is_heading.then_some((words, u8::try_from(level).ok()?))
}

/// A longer line is not a heading.
const MAX_HEADING_CHARS: usize = 119;

fn n_marks(line: &str) -> usize {
    line.len() - line.trim_start_matches('#').len()
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
    let binary = || DocumentError::Binary { uri: uri.to_owned(), n_nul, n_bytes: bytes.len() };
    if let Some((encoding, text)) = utf_16_without_mark(bytes, n_nul) {
        let message = format!("no byte order mark; read as {}", encoding.name());
        return Ok((text, Some(Warning::new("encoding_guessed", message))));
    }
    // Stray zero bytes happen in text; more than one in a thousand do not.
    if n_nul > head.len() / 1000 + 1 {
        return Err(binary());
    }
    let n_valid = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(shifted(text)),
        Err(error) => error.valid_up_to(),
    };
    // One bad byte in a long UTF-8 text is damage; many are another encoding.
    let lossy_text = String::from_utf8_lossy(bytes);
    let n_bad = n_unknown(&lossy_text);
    let n_good = lossy_text.chars().filter(|&c| c >= '\u{80}' && c != '\u{FFFD}').count();
    if n_good > 4 * n_bad {
        return Ok((lossy_text.into_owned(), Some(lossy(UTF_8, n_bad))));
    }
    drop(lossy_text);
    let encoding = guess(bytes, n_valid);
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    let n_bad = n_unknown(&text);
    let n_control =
        text.chars().take(64 * 1024).filter(|c| c.is_control() && !c.is_whitespace()).count();
    if n_bad > bytes.len() / 100 + 1 || n_control > head.len() / 100 + 1 {
        return Err(binary());
    }
    let mut message = format!("not UTF-8 from byte {n_valid}; read as {}", encoding.name());
    if n_bad > 0 {
        let _ = write!(message, ", in which {n_bad} places are not valid and became U+FFFD");
    }
    Ok((text.into_owned(), Some(Warning::new("encoding_guessed", message))))
}

/// Bytes that are enough to tell an encoding.
const SAMPLE_BYTES: usize = 1024 * 1024;

/// The most likely encoding of a text that is plain ASCII before a byte.
fn guess(bytes: &[u8], n_ascii: usize) -> &'static Encoding {
    // The words before the first strange letter tell something of it.
    let start = n_ascii.saturating_sub(1024);
    let end = bytes.len().min(start + SAMPLE_BYTES);
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(&bytes[start..end], end == bytes.len());
    let encoding = detector.guess(None, Utf8Detection::Deny);
    let other_latin = [ISO_8859_2, ISO_8859_4, WINDOWS_1250, WINDOWS_1254, WINDOWS_1257];
    if encoding == WINDOWS_1252 && is_hungarian(&bytes[start..end]) {
        WINDOWS_1250
    } else if other_latin.contains(&encoding) && is_english(&bytes[start..end]) {
        WINDOWS_1252
    } else {
        encoding
    }
}

/// Whether a text that seems to be in windows-1252 is Hungarian: one byte is `ő` there and `õ` here,
/// which other languages write together with letters that Hungarian does not have.
fn is_hungarian(bytes: &[u8]) -> bool {
    let n = |letters: &[u8]| bytes.iter().filter(|byte| letters.contains(byte)).count();
    let n_acute = n(b"\xE1\xE9"); // á é
    let n_double_acute = n(b"\xF5\xFB"); // ő ű, or õ û
    let n_foreign = n(b"\xE0\xE2\xE3\xE4\xE7\xE8\xEA"); // à â ã ä ç è ê
    n_double_acute > 0 && n_acute > n_double_acute && n_foreign == 0
}

/// Whether a text is English, in which a letter with a mark is a guest and tells nothing. The most
/// frequent of them, in `naïve`, is enough.
fn is_english(bytes: &[u8]) -> bool {
    const WORDS: [&[u8]; 16] = [
        b"the", b"of", b"and", b"to", b"in", b"a", b"is", b"was", b"it", b"that", b"for", b"on",
        b"with", b"he", b"she", b"said",
    ];
    let is_word = |word: &&[u8]| !word.is_empty();
    let words = || bytes.split(|byte| !byte.is_ascii_alphabetic()).filter(is_word);
    let is_small = |word: &&[u8]| WORDS.iter().any(|small| word.eq_ignore_ascii_case(small));
    let n_small = words().filter(is_small).count();
    let n_letters = bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let n_foreign = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    let mut marked = bytes.iter().filter(|&&byte| byte >= 0xC0).peekable();
    n_small * 6 >= words().count() && n_small > 0 && n_foreign * 5 <= n_letters
        || marked.peek().is_some() && marked.all(|&byte| byte == 0xEF)
}

/// A text that is valid UTF-8; Japanese in ISO-2022-JP is so too, by the escapes that it begins with.
fn shifted(text: &str) -> (String, Option<Warning>) {
    let escapes = ["\u{1B}$B", "\u{1B}$@"];
    if text.is_ascii() && escapes.iter().any(|escape| text.contains(escape)) {
        let (decoded, had_errors) = ISO_2022_JP.decode_without_bom_handling(text.as_bytes());
        if !had_errors {
            let message = "read as ISO-2022-JP, by its escapes".to_owned();
            let warning = Warning::new("encoding_guessed", message);
            return (decoded.into_owned(), Some(warning));
        }
    }
    (text.to_owned(), None)
}

pub(super) fn n_unknown(text: &str) -> usize {
    text.chars().filter(|&c| c == '\u{FFFD}').count()
}

pub(super) fn lossy(encoding: &'static Encoding, n_bad: usize) -> Warning {
    let message = format!("{n_bad} places are not valid {} and became U+FFFD", encoding.name());
    Warning::new("encoding_errors", message)
}

/// UTF-16 has its zero bytes all on one side: those of Latin letters, of spaces and line ends.
fn utf_16_without_mark(bytes: &[u8], n_nul: usize) -> Option<(&'static Encoding, String)> {
    let head = &bytes[..bytes.len().min(64 * 1024)];
    if n_nul < head.len() / 100 + 1 || head.len() < 4 {
        return None;
    }
    let n_odd = head.iter().skip(1).step_by(2).filter(|&&byte| byte == 0).count();
    let encoding = if n_odd * 20 >= n_nul * 19 {
        UTF_16LE
    } else if n_odd * 20 <= n_nul {
        UTF_16BE
    } else {
        return None;
    };
    let (text, had_errors) = encoding.decode_without_bom_handling(bytes);
    let is_of_text = |&c: &char| {
        let is_sign =
            matches!(c, '\u{2000}'..'\u{2C00}' | '\u{3000}'..'\u{3040}' | '\u{FF00}'..'\u{FFF0}');
        c.is_alphanumeric() || c.is_whitespace() || c.is_ascii_punctuation() || is_sign
    };
    let n_read = text.chars().take(head.len()).count();
    let n_of_text = text.chars().take(head.len()).filter(is_of_text).count();
    (!had_errors && n_of_text * 10 >= n_read * 9).then(|| (encoding, text.into_owned()))
}

#[cfg(test)]
mod tests {
    use encoding_rs::Encoding;
    use proptest::prelude::*;

    use super::super::{Document, DocumentError, promises, read_bytes};
    use crate::sentence;

    fn read(text: &str) -> Document {
        read_bytes("-", text.as_bytes().to_vec(), Some("txt")).unwrap()
    }

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
    fn the_encoding_of_a_sentence_is_guessed_by_its_letters() {
        let cases = [
            ("shift_jis", "港は石で造られた古い場所です。毎朝、漁師たちは沖へ出ます。"),
            ("euc-jp", "港は石で造られた古い場所です。毎朝、漁師たちは沖へ出ます。"),
            ("iso-2022-jp", "港は石で造られた古い場所です。毎朝、漁師たちは沖へ出ます。"),
            ("gbk", "这个港口是用石头建造的，已经有三百年的历史。"),
            ("big5", "這個港口是用石頭建造的，已經有三百年的歷史。"),
            ("euc-kr", "이 항구는 돌로 지어졌으며 삼백 년의 역사를 가지고 있습니다."),
            ("windows-1251", "Гавань построена из камня триста лет назад."),
            ("koi8-r", "Гавань построена из камня триста лет назад."),
            ("iso-8859-2", "Każdego ranka rybacy wypływają w morze. Żółta łódź świeci się."),
            ("windows-1250", "Přístav byl postaven z kamene před třemi sty lety."),
            ("windows-1250", "A kikötőt háromszáz éve építették kőből, a halászok minden reggel."),
            ("windows-1253", "Το λιμάνι χτίστηκε από πέτρα πριν από τριακόσια χρόνια."),
            (
                "windows-1254",
                "Liman üç yüz yıl önce taştan inşa edildi, balıkçılar her sabah açılır.",
            ),
            ("windows-1255", "הנמל נבנה מאבן לפני שלוש מאות שנה."),
            ("windows-1256", "بني الميناء من الحجر قبل ثلاثمائة عام."),
            ("windows-1252", "Le port fut bâti en pierre il y a trois siècles, à l’aube."),
            ("windows-1252", "It cost £5, but the naïve plan of “1902” was better."),
            ("windows-1252", "Der Hafen ist schön; abends fährt er über die Straße."),
        ];
        for (label, text) in cases {
            let encoding = Encoding::for_label(label.as_bytes()).unwrap();
            let (bytes, _, is_wrong) = encoding.encode(text);
            assert!(!is_wrong, "{label}");
            for n in [1, 50] {
                let text = [text; 50][..n].join("\n\n");
                let bytes = [bytes.as_ref(); 50][..n].join(&b"\n\n"[..]);
                check(&bytes, &text, Some("encoding_guessed"));
            }
        }
    }

    #[test]
    fn utf_16_of_other_letters_is_known_by_its_spaces() {
        let text = "Гавань построена из камня.\n\nОна старая.";
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(&wide, text, Some("encoding_guessed"));
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        check(&wide, text, Some("encoding_guessed"));
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
        // No zero bytes, but signs for machines.
        let bytes: Vec<u8> = (0..4096_u32).map(|n| (n * n % 251) as u8 | 0x01).collect();
        assert!(read_bytes("a.bin", bytes, None).is_err());
    }

    fn check_headings(text: &str, expected: &str, headings: &[(u8, &str)]) {
        let document = read(text);
        assert_eq!(document.text, expected, "{text:?}");
        let found = document.headings.iter().map(|h| (h.level, &document.text[h.range.clone()]));
        assert_eq!(found.collect::<Vec<_>>(), headings, "{text:?}");
    }

    #[test]
    fn marked_headings_lose_their_marks_and_are_remembered() {
        check_headings(
            "# The Harbour\nIt is old.\n## Depth\n\nNine\nmetres.\n\n###### No. 3: C# ##\nEnd.",
            "The Harbour\n\nIt is old.\n\nDepth\n\nNine\nmetres.\n\nNo. 3: C#\n\nEnd.",
            &[(1, "The Harbour"), (2, "Depth"), (6, "No. 3: C#")],
        );
        check_headings("# One\n## Two\ntext", "One\n\nTwo\n\ntext", &[(1, "One"), (2, "Two")]);
        check_headings("a\x0C# Über\nb", "a\n\nÜber\n\nb", &[(1, "Über")]);
        assert_eq!(read("# The Harbour\n\ntext").source.title.as_deref(), Some("The Harbour"));
    }

    #[test]
    fn what_only_resembles_a_heading_is_text() {
        for text in [
            "#hashtag\n####### seven\n #\n#\n## ...",
            "# a comment that is a sentence.\nmake all",
            "# if (a) {\nx\n# }",
            "# install what it needs\n# and what the tests need\nmake",
            "  # indented\ntext",
            "#!/bin/sh\n\n# Build it\nmake",
            "It rose from\n#4 to #3.",
        ] {
            check_headings(text, text, &[]);
        }
        let long = format!("# {}\ntext", "word ".repeat(25));
        check_headings(&long, &long.replace(" \n", "\n"), &[]);
    }

    #[test]
    fn long_lines_are_paragraphs() {
        let (a, b) = ("A quay of stone was built. ".repeat(9), "It stood. ".repeat(30));
        let (a, b) = (a.trim(), b.trim());
        let parted = format!("Title\n\n{a}\n\n{b}\n\n{a}");
        assert_eq!(read(&format!("Title\n{a}\n{b}\n\n{a}\n")).text, parted);
        assert_eq!(read(&format!("Title\n{a}\x0C{b}\n{a}")).text, parted);
        // Without full stops nothing but the blank line parts them.
        let open = "quay of stone ".repeat(20);
        let document = read(&format!("A {open}\nB {open}"));
        assert_eq!(sentence::split(&document.text).len(), 2);
    }

    #[test]
    fn each_line_of_a_transcript_is_a_passage() {
        check(
            b"PROFESSOR A: So\nMaria Lopez: yes um\nGrad C: Right .\n[laughter]\n",
            "PROFESSOR A: So\n\nMaria Lopez: yes um\n\nGrad C: Right .\n\n[laughter]",
            None,
        );
        check(
            b"[12/05, 10:02] Bob: hi\n[12/05, 10:03] Dr. Li: hello\n00:10:04 Speaker 2: bye",
            "[12/05, 10:02] Bob: hi\n\n[12/05, 10:03] Dr. Li: hello\n\n00:10:04 Speaker 2: bye",
            None,
        );
    }

    #[test]
    fn wrapped_lines_stay_as_they_are() {
        let prose = "The lighthouse on Gull Rock was lit for the first time on 9 October\n\
            1888. The keeper was a retired sailmaker named Thomas Orrin, who had\n\
            never lived alone and, as he wrote on the first page of his notebook,\n\
            \"did not expect to take to it.\"\n\nHe took to it.";
        let verse =
            "Who has seen the wind?\nNeither I nor you:\nBut when the leaves hang\ntrembling";
        let list = "We need:\n- bread\n- salt\nNote: no butter\nAlso: http://example.org";
        let wide = "quay of stone and\n".replace(' ', &" quay ".repeat(40)).repeat(20);
        for text in [prose, verse, list, wide.trim_end(), "One line", "a\nb\n\nc\nd"] {
            check(text.as_bytes(), text, None);
        }
        // A few long lines among wrapped ones make no paragraphs of them.
        let mixed = format!("{prose}\n\n{}\n{prose}", "A table's row. ".repeat(20).trim());
        check(mixed.as_bytes(), &mixed, None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_text_or_refused(bytes in prop::collection::vec(any::<u8>(), 1..300)) {
            if let Ok(document) = read_bytes("-", bytes, Some("txt")) {
                prop_assert_eq!(document.pages.last().unwrap().range.end, document.text.len());
            }
        }

        #[test]
        fn pages_cover_the_text_and_headings_lie_in_it_in_order(
            text in "([a-z]{1,9}|[A-Z][a-z]{0,5}: |#{1,7} |[.,é漢] ?| |\n|\r\n|\n\n|\x0C|\u{85}|[A-Z][a-z ]{210}){1,50}"
        ) {
            let document = read(&text);
            promises::hold(&document);
            for heading in &document.headings {
                let (before, after) =
                    (&document.text[..heading.range.start], &document.text[heading.range.end..]);
                prop_assert!(before.is_empty() || before.ends_with("\n\n"));
                prop_assert!(after.is_empty() || after.starts_with("\n\n"));
            }
            let kept: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
            let found: String = document.text.chars().filter(|c| c.is_alphanumeric()).collect();
            prop_assert_eq!(found, kept);
        }
    }
}
