//! What a file is, told by its bytes; its name decides only between Markdown and plain text.

use super::Format;
use super::{archive, html, mail};

/// Extensions of the files that are taken for documents where names are all that is known.
pub const EXTENSIONS: [&str; 21] = [
    "pdf", "html", "htm", "xhtml", "epub", "docx", "docm", "dotx", "odt", "ott", "rtf", "eml",
    "mbox", "mht", "mhtml", "md", "markdown", "mdown", "mkd", "txt", "text",
];

/// Whether a file is named as a document, or as one packed with gzip, or as a ZIP archive.
#[must_use]
pub fn is_named_as_document(name: &str) -> bool {
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    let is_known = |extension: &str| EXTENSIONS.iter().any(|k| k.eq_ignore_ascii_case(extension));
    if extension.eq_ignore_ascii_case("gz") {
        return stem.rsplit_once('.').is_some_and(|(_, extension)| is_known(extension));
    }
    is_known(extension) || extension.eq_ignore_ascii_case("zip")
}

/// What is to be done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is read as this.
    Format(Format),
    /// It has to be unpacked first.
    Packed,
    /// It is named a PDF and does not begin like one.
    NotPdf,
    /// It cannot be read; what it is, with its article.
    Unsupported(&'static str),
}

/// What these bytes are. `extension`, in lower case, helps where content cannot tell.
pub(super) fn of(bytes: &[u8], extension: Option<&str>) -> Kind {
    // An archive may hold a PDF within the first kilobyte, where a PDF's own header may stand.
    if archive::begins_as_zip(bytes) {
        return archive::kind_of_zip(bytes);
    }
    if archive::begins_as_gzip(bytes) {
        return Kind::Packed;
    }
    if bytes.trim_ascii_start().starts_with(b"{\\rtf") {
        return Kind::Format(Format::Rtf);
    }
    if is_pdf(bytes) {
        return Kind::Format(Format::Pdf);
    }
    if let Some(kind) = unsupported(bytes) {
        return Kind::Unsupported(kind);
    }
    let format = match extension {
        Some("pdf") => return Kind::NotPdf,
        _ if html::begins_as_html(bytes) => Format::Html,
        Some("md" | "markdown" | "mdown" | "mkd") => Format::Markdown,
        Some("eml" | "mbox" | "mht" | "mhtml") if mail::begins_as_mail(bytes, true) => {
            Format::Email
        }
        _ if mail::begins_as_mail(bytes, false) => Format::Email,
        Some("html" | "htm" | "xhtml") if !is_plain(bytes) => Format::Html,
        _ => Format::Text,
    };
    Kind::Format(format)
}

/// A PDF may have up to 1,024 bytes of anything before its header (ISO 32000-1, annex H.3.4.1); a
/// text that tells of the header is none.
fn is_pdf(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1024 + 5)];
    let Some(at) = find(head, b"%PDF-") else { return false };
    at == 0 || find(&bytes[at..], b" obj").is_some()
}

/// Whether a file that is named HTML is text: it has paragraphs and no tags.
fn is_plain(bytes: &[u8]) -> bool {
    let is_parted = find(bytes, b"\n\n").or_else(|| find(bytes, b"\r\n\r\n")).is_some();
    is_parted && !bytes.contains(&b'<')
}

/// Kinds of files that people feed by mistake, known by their first bytes.
fn unsupported(bytes: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 14] = [
        (b"%!PS", "a PostScript file"),
        (b"\x89PNG", "a PNG image"),
        (b"\xFF\xD8\xFF", "a JPEG image"),
        (b"GIF8", "a GIF image"),
        (b"II*\0", "a TIFF image"),
        (b"MM\0*", "a TIFF image"),
        (b"AT&TFORM", "a DjVu document"),
        (b"!BDN", "an Outlook data file"),
        (b"BZh", "a bzip2 archive"),
        (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive"),
        (b"Rar!\x1A\x07", "a RAR archive"),
        (b"\x28\xB5\x2F\xFD", "a Zstandard archive"),
        (b"\xFD7zXZ\0", "an XZ archive"),
        (b"SQLite format 3\0", "a database"),
    ];
    if bytes.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") {
        return Some(compound(bytes));
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Some("a tar archive");
    }
    if bytes.get(60..68) == Some(b"BOOKMOBI") {
        return Some("a Kindle book");
    }
    KINDS.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| *kind)
}

/// What a compound file holds, by the names of its streams (MS-CFB).
fn compound(bytes: &[u8]) -> &'static str {
    const STREAMS: [(&str, &str); 6] = [
        ("EncryptedPackage", "an office document locked with a password"),
        ("WordDocument", "a Word document in the old binary format"),
        ("__substg1.0_", "an Outlook message"),
        ("PowerPoint Document", "a PowerPoint presentation in the old binary format"),
        ("Workbook", "an Excel workbook in the old binary format"),
        ("VisioDocument", "a Visio drawing"),
    ];
    let has = |name: &str| {
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        find(bytes, &wide).is_some()
    };
    let found = STREAMS.iter().find(|(name, _)| has(name));
    found.map_or("an office document in the old binary format", |(_, kind)| kind)
}

/// Where some bytes begin in others.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], extension: Option<&str>, expected: Kind) {
        let words = String::from_utf8_lossy(bytes);
        assert_eq!(of(bytes, extension), expected, "{words:?} {extension:?}");
    }

    #[test]
    fn content_counts_more_than_a_name() {
        let pdf = b"%PDF-1.4\n1 0 obj";
        for extension in [None, Some("txt"), Some("html"), Some("docx"), Some("pdf")] {
            check(pdf, extension, Kind::Format(Format::Pdf));
            check(b"{\\rtf1 a}", extension, Kind::Format(Format::Rtf));
            check(b"\x1F\x8B\x08", extension, Kind::Packed);
            check(b"PK\x05\x06", extension, Kind::Packed);
        }
        check(b"junk\n%PDF-1.4\n1 0 obj", None, Kind::Format(Format::Pdf));
        check(b"A PDF begins with %PDF-1.4.", Some("md"), Kind::Format(Format::Markdown));
        check(b"A PDF begins with %PDF-1.4.", None, Kind::Format(Format::Text));
        for extension in [None, Some("txt"), Some("docx"), Some("epub"), Some("html"), Some("eml")]
        {
            check(b"It is text.\n\nIt is.", extension, Kind::Format(Format::Text));
            check(b"<!doctype html><p>a", extension, Kind::Format(Format::Html));
        }
        check(b"a <b>c</b>", Some("html"), Kind::Format(Format::Html));
        check(b"<!doctype html><p>a", Some("md"), Kind::Format(Format::Html));
        check(b"It is text.", Some("pdf"), Kind::NotPdf);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let wide = |name: &str| -> Vec<u8> {
            let name = name.encode_utf16().flat_map(u16::to_le_bytes);
            b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".iter().copied().chain(name).collect()
        };
        let tar = [&[b'a'; 257][..], b"ustar"].concat();
        let kindle = [&[b'a'; 60][..], b"BOOKMOBI"].concat();
        for (bytes, expected) in [
            (wide("EncryptedPackage"), "an office document locked with a password"),
            (wide("WordDocument"), "a Word document in the old binary format"),
            (wide("__substg1.0_"), "an Outlook message"),
            (wide(""), "an office document in the old binary format"),
            (tar, "a tar archive"),
            (kindle, "a Kindle book"),
            (b"\x89PNG".to_vec(), "a PNG image"),
            (b"BZh9".to_vec(), "a bzip2 archive"),
        ] {
            check(&bytes, Some("txt"), Kind::Unsupported(expected));
        }
    }

    #[test]
    fn documents_are_known_by_their_extensions() {
        for name in ["a.pdf", "b/a.PDF", "a.txt.gz", "a.zip", "a.epub", "a.b.eml"] {
            assert!(is_named_as_document(name), "{name}");
        }
        for name in ["pdf", "a.png", "a.gz", "a.tar.gz", "a.zip.gz", "", "a."] {
            assert!(!is_named_as_document(name), "{name}");
        }
    }

    #[test]
    fn any_beginning_is_of_some_kind() {
        for n in 0..300 {
            for byte in 0..=255 {
                let _ = of(&vec![byte; n], None);
            }
        }
    }
}
