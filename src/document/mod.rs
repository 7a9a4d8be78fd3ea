//! Documents: a file becomes normalized text that knows its pages.
//!
//! Invariant: `Document::text` is the one truth for offsets. The page ranges are contiguous and
//! cover it from the first byte to the last; a page without text has an empty range.

mod archive;
mod build;
mod clean;
mod docx;
mod epub;
mod error;
mod html;
mod kind;
mod mail;
mod markdown;
mod ocr;
mod odt;
mod package;
mod pdf;
#[cfg(test)]
mod promises;
mod rtf;
mod sections;
mod select;
mod text;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

pub use self::error::DocumentError;
pub use self::kind::{EXTENSIONS, is_named_as_document};
pub use self::ocr::Ocr;

/// A document: where it came from, its text, and what is known of its pages.
///
/// ```
/// # use longsum::document;
/// let document = document::read_bytes("-", b"# Title\n\nOne line.".to_vec(), Some("md"))?;
/// assert_eq!(document.text, "Title\n\nOne line.");
/// assert_eq!(document.headings[0].range, 0..5);
/// # Ok::<(), document::DocumentError>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Document {
    /// The file and its fingerprint.
    pub source: Source,
    /// Normalized text; every offset and range of the document counts its bytes.
    pub text: String,
    /// All pages in order, those without text included.
    pub pages: Vec<Page>,
    /// Headings in order of appearance.
    pub headings: Vec<Heading>,
    /// What is kept in the text and not read: headers, footnotes, tables of contents, references. In
    /// order, and apart from each other and from the text by blank lines.
    pub asides: Vec<Aside>,
    /// What could not be read, and what was changed while reading.
    pub warnings: Vec<Warning>,
    /// Pages of the file, where only some of them are kept.
    n_pages_before: Option<usize>,
    /// Characters before every [`MARK_BYTES`]-th byte, counted when first asked for.
    #[serde(skip)]
    marks: OnceLock<Vec<usize>>,
}

/// Where a document came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The path or name as the user gave it.
    pub uri: String,
    /// SHA-256 of the file's bytes, in lowercase hexadecimal.
    pub sha256: String,
    /// Which version of an object it is, where it came from an object store.
    pub version: Option<String>,
    /// Size of the file.
    pub n_bytes: u64,
    /// How the file was read.
    pub format: Format,
    /// The title in the file's metadata, or its first top-level heading.
    pub title: Option<String>,
}

/// A file format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Format {
    /// Portable Document Format, with a text layer or without.
    Pdf,
    /// Plain text.
    Text,
    /// Markdown (`CommonMark`, with tables, footnotes and front matter).
    Markdown,
    /// HTML and XHTML, what surrounds the text on its page left out.
    Html,
    /// An electronic book, one section for each part of its spine.
    Epub,
    /// Office Open XML text, as Microsoft Word writes it.
    Docx,
    /// OpenDocument text, as LibreOffice writes it.
    Odt,
    /// Rich Text Format.
    Rtf,
    /// A message (RFC 5322), or a mailbox of them, one section for each.
    Email,
}

/// What the pages of a document are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Division {
    /// Printed pages.
    Pages,
    /// Parts that a heading begins, files of a book, messages: the format has no pages.
    Sections,
}

impl Division {
    /// The name used in reports: `pages` or `sections`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pages => "pages",
            Self::Sections => "sections",
        }
    }
}

impl Format {
    /// The name used in reports, such as `pdf`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Epub => "epub",
            Self::Docx => "docx",
            Self::Odt => "odt",
            Self::Rtf => "rtf",
            Self::Email => "email",
        }
    }

    /// What the pages of such a document are.
    #[must_use]
    pub fn division(self) -> Division {
        match self {
            // Form feeds part the pages of a text.
            Self::Pdf | Self::Text => Division::Pages,
            _ => Division::Sections,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One page, or section of a format without pages, and the text it gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Number of the page in the file, from 1.
    pub number: u32,
    /// What is printed on it where that is not its number (`iv`, `A-3`), or the title of a section.
    pub label: Option<String>,
    /// Bytes of [`Document::text`] that came from this page.
    pub range: Range<usize>,
    /// How reading it ended.
    pub status: PageStatus,
}

/// How reading a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PageStatus {
    /// It has text.
    Text,
    /// It shows nothing.
    Empty,
    /// It shows something that is not text: a scan, a drawing, letters without meaning. The few
    /// words it may have beside that (a stamp over a scan) are in its range.
    NeedsOcr,
    /// It could not be read.
    Failed,
}

impl PageStatus {
    /// The name used in reports: `text`, `empty`, `needs_ocr` or `failed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Empty => "empty",
            Self::NeedsOcr => "needs_ocr",
            Self::Failed => "failed",
        }
    }
}

/// A heading and its rank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// Bytes of [`Document::text`] that hold the heading.
    pub range: Range<usize>,
    /// 1 for the highest rank, 6 for the lowest.
    pub level: u8,
}

/// A part of the text that is kept and not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// Bytes of [`Document::text`] that hold it, with the white space behind it.
    pub range: Range<usize>,
    /// What it is.
    pub kind: AsideKind,
}

/// Why a part of the text is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AsideKind {
    /// A running header or footer, a page number, the numbers of lines.
    RunningLine,
    /// A footnote or endnote.
    Footnote,
    /// A table of contents, or a list of figures.
    Contents,
    /// An entry of a bibliography or an index.
    Reference,
}

impl AsideKind {
    /// The name used in reports: `running_line`, `footnote`, `contents` or `reference`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunningLine => "running_line",
            Self::Footnote => "footnote",
            Self::Contents => "contents",
            Self::Reference => "reference",
        }
    }
}

/// Something the reader of a report should know about the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Stable name, such as `ligatures_repaired`.
    pub code: &'static str,
    /// The page it is about; none for the whole document.
    pub page: Option<u32>,
    /// One sentence for people.
    pub message: String,
}

impl Warning {
    fn new(code: &'static str, message: String) -> Self {
        Self { code, page: None, message }
    }

    fn on_page(code: &'static str, page: u32, message: String) -> Self {
        Self { code, page: Some(page), message }
    }
}

impl<'a> Deserialize<'a> for Warning {
    fn deserialize<D: Deserializer<'a>>(from: D) -> Result<Self, D::Error> {
        Told::deserialize(from).map(Self::from)
    }
}

/// A warning that another process of this program wrote.
#[derive(Deserialize)]
struct Told {
    code: String,
    page: Option<u32>,
    message: String,
}

impl From<Told> for Warning {
    fn from(Told { code, page, message }: Told) -> Self {
        // There are few codes, so each is kept for good.
        static CODES: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
        let mut codes = CODES.lock().unwrap_or_else(PoisonError::into_inner);
        let code = codes.get(code.as_str()).copied().unwrap_or_else(|| {
            let code: &'static str = code.leak();
            codes.insert(code);
            code
        });
        Self { code, page, message }
    }
}

/// Reads a file by what it holds; Markdown by its extension. See [`Reading`].
///
/// # Errors
/// [`DocumentError`] if nothing at all can be read. What is missing from a document that could be
/// read in part is told by its pages and warnings.
pub fn read(path: &Path) -> Result<Document, DocumentError> {
    Reading::default().file(path)
}

/// Reads a document that is in memory already, such as standard input. See [`Reading::bytes`].
///
/// # Errors
/// As [`read`], without the reading.
pub fn read_bytes(
    uri: &str,
    bytes: Vec<u8>,
    hint_extension: Option<&str>,
) -> Result<Document, DocumentError> {
    Reading::default().bytes(uri, bytes, hint_extension)
}

/// Reads a text that came without a name, as data sets have it: as HTML if it begins like that, as
/// Markdown if it has code blocks or links, which no other text has.
///
/// # Errors
/// As [`read_bytes`].
pub fn read_unnamed(text: &str) -> Result<Document, DocumentError> {
    let is_markdown = text.contains("\n```") || text.contains("](");
    let bytes = text.as_bytes().to_vec();
    let source = source("-", &bytes);
    // It is text: nothing else is looked for in it.
    if html::begins_as_html(&bytes) {
        read_as(Format::Html, source, bytes, &Reading::default())
    } else if is_markdown {
        read_as(Format::Markdown, source, bytes, &Reading::default())
    } else {
        read_as(Format::Text, source, bytes, &Reading::default())
    }
}

/// Names of the documents in a ZIP archive; none if the file is anything else.
///
/// # Errors
/// [`DocumentError`] if the file cannot be opened, or the archive is damaged or too large.
pub fn members(path: &Path) -> Result<Vec<String>, DocumentError> {
    archive::members(path)
}

/// SHA-256 of one of the [`members`] of an archive, in hexadecimal, as its document has it.
///
/// # Errors
/// [`DocumentError`] if it cannot be unpacked.
pub fn member_sha256(archive: &Path, name: &str) -> Result<String, DocumentError> {
    archive::member_sha256(archive, name)
}

/// How documents are read.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Reading {
    /// The password of locked PDFs.
    pub password: Option<String>,
    /// What reads the pages of PDFs that have no text layer; nothing, if not said.
    pub ocr: Option<Ocr>,
}

impl Reading {
    /// Reads a file.
    ///
    /// # Errors
    /// As [`read`].
    pub fn file(&self, path: &Path) -> Result<Document, DocumentError> {
        let bytes = std::fs::read(path)
            .map_err(|source| DocumentError::Io { path: path.to_owned(), source })?;
        let extension =
            path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        self.bytes(&path.to_string_lossy(), bytes, extension.as_deref())
    }

    /// Reads one of the [`members`] of an archive. Its source is what was packed, not the archive.
    ///
    /// # Errors
    /// As [`read`].
    pub fn member(&self, archive: &Path, name: &str) -> Result<Document, DocumentError> {
        archive::member(archive, name, self)
    }

    /// Reads a document that is in memory already.
    ///
    /// - `uri`: what reports and errors call it
    /// - `hint_extension`: `md`, `txt`, … where known. Most formats are known by their content;
    ///   Markdown and plain text are told apart by this alone.
    ///
    /// # Errors
    /// As [`read`], without the reading.
    pub fn bytes(
        &self,
        uri: &str,
        bytes: Vec<u8>,
        hint_extension: Option<&str>,
    ) -> Result<Document, DocumentError> {
        if bytes.is_empty() {
            return Err(DocumentError::Empty { uri: uri.to_owned() });
        }
        let source = source(uri, &bytes);
        match kind::of(&bytes, hint_extension) {
            kind::Kind::Format(format) => read_as(format, source, bytes, self),
            kind::Kind::Packed => archive::read(source, &bytes, self),
            kind::Kind::NotPdf => Err(DocumentError::NotPdf { uri: uri.to_owned() }),
            kind::Kind::Unsupported(kind) => {
                Err(DocumentError::Unsupported { uri: uri.to_owned(), kind })
            }
        }
    }
}

/// A source as it is known before its bytes are looked at.
fn source(uri: &str, bytes: &[u8]) -> Source {
    Source {
        uri: uri.to_owned(),
        sha256: sha256_hex(bytes),
        version: None,
        n_bytes: bytes.len() as u64,
        format: Format::Text,
        title: None,
    }
}

fn read_as(
    format: Format,
    mut source: Source,
    bytes: Vec<u8>,
    reading: &Reading,
) -> Result<Document, DocumentError> {
    source.format = format;
    let mut document = match format {
        Format::Pdf => ocr::read(source, bytes, reading),
        Format::Text => text::read(source, &bytes),
        Format::Markdown => markdown::read(source, &bytes),
        Format::Html => html::read(source, &bytes),
        Format::Epub => epub::read(source, &bytes),
        Format::Docx => docx::read(source, &bytes),
        Format::Odt => odt::read(source, &bytes),
        Format::Rtf => rtf::read(source, &bytes),
        Format::Email => mail::read(source, &bytes),
    }?;
    if format.division() == Division::Sections && document.pages.len() == 1 {
        sections::part(&mut document);
    }
    sections::set_apart(&mut document);
    Ok(document)
}

fn sha256_hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// Bytes between two marks of the character count.
const MARK_BYTES: usize = 512;

impl Document {
    fn new(source: Source, text: String, pages: Vec<Page>) -> Self {
        Self {
            source,
            text,
            pages,
            headings: Vec::new(),
            asides: Vec::new(),
            warnings: Vec::new(),
            n_pages_before: None,
            marks: OnceLock::new(),
        }
    }

    /// The first and the last page that a range of bytes touches.
    ///
    /// An empty range touches the page it stands on. A document without pages answers `(1, 1)`.
    #[must_use]
    pub fn pages_of(&self, range: Range<usize>) -> (u32, u32) {
        let last_byte = range.end.saturating_sub(1).max(range.start);
        // Pages without text have empty ranges, so "ends after" finds the page that has the byte.
        let page_at = |byte: usize| {
            let at = self.pages.partition_point(|page| page.range.end <= byte);
            self.pages.get(at).or(self.pages.last()).map_or(1, |page| page.number)
        };
        (page_at(range.start), page_at(last_byte))
    }

    /// The label of the page that this byte is on.
    #[must_use]
    pub fn label_at(&self, byte: usize) -> Option<String> {
        let at = self.pages.partition_point(|page| page.range.end <= byte);
        self.pages.get(at).and_then(|page| page.label.clone())
    }

    /// Characters before a byte of the text.
    ///
    /// The first call counts the whole text; each call after that counts a few hundred bytes. An
    /// offset inside a character counts that character, one past the end counts all.
    #[must_use]
    pub fn char_offset(&self, byte: usize) -> usize {
        let bytes = self.text.as_bytes();
        let byte = byte.min(bytes.len());
        let marks = self.marks.get_or_init(|| {
            let mut n = 0;
            let mut marks = Vec::with_capacity(bytes.len() / MARK_BYTES + 1);
            for block in bytes.chunks(MARK_BYTES) {
                marks.push(n);
                n += n_chars(block);
            }
            marks.push(n);
            marks
        });
        let block = byte / MARK_BYTES;
        marks[block] + n_chars(&bytes[block * MARK_BYTES..byte])
    }

    /// A range of bytes as a range of characters.
    #[must_use]
    pub fn char_range(&self, range: Range<usize>) -> Range<usize> {
        self.char_offset(range.start)..self.char_offset(range.end)
    }

    /// Runs of pages that ended the same way, as first and last page number.
    #[must_use]
    pub fn page_ranges(&self, status: PageStatus) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for page in self.pages.iter().filter(|page| page.status == status) {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == page.number => *last = page.number,
                _ => runs.push((page.number, page.number)),
            }
        }
        runs
    }

    /// Pages of the file, those that were not kept included.
    #[must_use]
    pub fn n_pages_of_file(&self) -> usize {
        self.n_pages_before.unwrap_or(self.pages.len())
    }

    /// How many pages ended this way.
    #[must_use]
    pub fn n_pages(&self, status: PageStatus) -> usize {
        self.pages.iter().filter(|page| page.status == status).count()
    }

    /// Whether any page has text to summarize.
    #[must_use]
    pub fn has_text(&self) -> bool {
        self.to_read(0..self.text.len()).chars().any(char::is_alphanumeric)
    }

    /// A range of the text as it is read: without the asides in it.
    #[must_use]
    pub fn to_read(&self, range: Range<usize>) -> Cow<'_, str> {
        let first = self.asides.partition_point(|aside| aside.range.end <= range.start);
        let touched = self.asides[first..].iter().take_while(|aside| aside.range.start < range.end);
        let mut kept = String::new();
        let mut start = range.start;
        let mut is_whole = true;
        for aside in touched {
            is_whole = false;
            kept.push_str(&self.text[start..aside.range.start.max(start)]);
            start = aside.range.end.min(range.end);
        }
        if is_whole {
            return Cow::Borrowed(&self.text[range]);
        }
        kept.push_str(&self.text[start..range.end]);
        Cow::Owned(kept)
    }

    /// Whether the text that begins at this byte is kept and not read.
    #[must_use]
    pub fn is_aside(&self, byte: usize) -> bool {
        let at = self.asides.partition_point(|aside| aside.range.end <= byte);
        self.asides.get(at).is_some_and(|aside| aside.range.start <= byte)
    }

    /// The title: the source's own, or the first heading of the highest rank.
    fn settle_title(&mut self) {
        if self.source.title.is_none() {
            // A title stands at the beginning: on the first page that has text.
            let end = self.pages.iter().map(|page| page.range.end).find(|&end| end > 0);
            let is_title = |heading: &&Heading| {
                heading.level == 1 && end.is_some_and(|end| heading.range.end <= end)
            };
            let first = self.headings.iter().find(is_title);
            self.source.title = first
                .map(|heading| self.text[heading.range.clone()].replace('\n', " "))
                .filter(|title| title.chars().count() > 2 && title.len() <= 300);
        }
    }
}

/// Characters that begin in these bytes of UTF-8.
fn n_chars(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte & 0xC0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::PageStatus::{Empty, Text};
    use super::*;

    fn text(content: &str) -> Document {
        read_bytes("-", content.as_bytes().to_vec(), None).unwrap()
    }

    #[test]
    fn a_zero_byte_file_is_refused() {
        let err = read_bytes("a.pdf", Vec::new(), Some("pdf")).unwrap_err();
        assert!(matches!(err, DocumentError::Empty { .. }));
        assert_eq!(err.to_string(), "`a.pdf` is empty");
        assert!(err.hint().is_some());
    }

    #[test]
    fn a_missing_file_is_named() {
        let err = read(Path::new("no/such/file.txt")).unwrap_err();
        assert!(err.to_string().starts_with("cannot read `no/such/file.txt`: "));
    }

    #[test]
    fn text_named_pdf_is_refused() {
        let err = read_bytes("a.pdf", b"hello".to_vec(), Some("pdf")).unwrap_err();
        assert!(matches!(err, DocumentError::NotPdf { .. }));
    }

    #[test]
    fn an_office_document_is_refused_by_kind() {
        let old = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1rest".to_vec();
        let err = read_bytes("a.docx", old, Some("docx")).unwrap_err();
        assert!(err.to_string().contains("office document"), "{err}");
        let err = read_bytes("a.docx", b"PK\x03\x04rest".to_vec(), Some("docx")).unwrap_err();
        assert!(err.to_string().starts_with("`a.docx` is damaged: "), "{err}");
    }

    #[test]
    fn pages_are_found_by_bytes() {
        let document = text("one\x0ctwo\x0c\x0cfour");
        let statuses: Vec<_> = document.pages.iter().map(|page| page.status).collect();
        assert_eq!(statuses, [Text, Text, Empty, Text]);
        let four = document.text.find("four").unwrap();
        assert_eq!(document.pages_of(0..3), (1, 1));
        assert_eq!(document.pages_of(0..document.text.len()), (1, 4));
        assert_eq!(document.pages_of(four..four + 4), (4, 4));
        assert_eq!(document.pages_of(four..four), (4, 4));
        assert_eq!(document.page_ranges(Text), [(1, 2), (4, 4)]);
        assert_eq!(document.page_ranges(Empty), [(3, 3)]);
    }

    #[test]
    fn characters_are_counted_as_the_slow_way_counts_them() {
        let document = text(&"aé漢🦀 ".repeat(700));
        for (byte, _) in document.text.char_indices().step_by(37) {
            assert_eq!(document.char_offset(byte), document.text[..byte].chars().count());
        }
        let n = document.text.chars().count();
        assert_eq!(document.char_offset(document.text.len()), n);
        assert_eq!(document.char_offset(usize::MAX), n);
    }

    #[test]
    fn the_fingerprint_is_that_of_the_bytes() {
        let sha = text("abc").source.sha256;
        assert_eq!(sha, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
