//! Packages: ZIP files whose parts have known names, as books and office documents have.
//!
//! No package unpacks to more than [`MAX_UNPACKED_BYTES`], however its parts are read and however
//! often.

pub(super) mod xml;

use std::collections::HashMap;
use std::io::{self, Cursor, ErrorKind, Read};

use zip::ZipArchive;
use zip::read::ZipFile;

use self::xml::{Node, Step};
use super::{DocumentError, Warning};

/// The most that the parts of a package unpack to, all together.
pub(super) const MAX_UNPACKED_BYTES: u64 = 256 << 20;

/// A ZIP file in memory.
pub(super) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// The place of each part, by its name as [`key`] gives it.
    places: HashMap<String, usize>,
    /// Bytes that may still be unpacked.
    n_left: u64,
}

/// Why a part could not be read, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The package has no such part.
    Missing(String),
    /// The package is longer than anything that can be read.
    TooLarge,
    /// The part is damaged: which, and how.
    Damaged(String),
}

impl Fault {
    /// The error of a document that cannot be read because of this.
    pub(super) fn error(self, uri: &str) -> DocumentError {
        let uri = uri.to_owned();
        match self {
            Self::TooLarge => DocumentError::TooLarge { uri, n_most: MAX_UNPACKED_BYTES },
            Self::Missing(part) => {
                DocumentError::Damaged { uri, reason: format!("it has no part `{part}`") }
            }
            Self::Damaged(reason) => DocumentError::Damaged { uri, reason },
        }
    }

    /// The warning of a document that could be read in part; the error if it must not be read on.
    pub(super) fn warning(self, uri: &str) -> Result<Warning, DocumentError> {
        match self {
            Self::TooLarge => Err(self.error(uri)),
            Self::Missing(part) => {
                Ok(Warning::new("damaged_file", format!("the part `{part}` is missing")))
            }
            Self::Damaged(reason) => Ok(Warning::new("damaged_file", reason)),
        }
    }
}

impl<'a> Package<'a> {
    /// Looks at the list of parts.
    pub(super) fn open(uri: &str, bytes: &'a [u8]) -> Result<Self, DocumentError> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
            let reason = format!("its list of parts cannot be read: {error}");
            Fault::Damaged(reason).error(uri)
        })?;
        let names = archive.file_names_raw().map(|name| key(&String::from_utf8_lossy(name)));
        let places = names.zip(0..).collect();
        Ok(Self { archive, places, n_left: MAX_UNPACKED_BYTES })
    }

    /// Whether there is such a part.
    pub(super) fn has(&self, name: &str) -> bool {
        self.places.contains_key(&key(name))
    }

    /// The parts that end like this, in the order of their names.
    pub(super) fn find_all(&self, end: &str) -> Vec<String> {
        let mut found: Vec<String> =
            self.places.keys().filter(|name| name.ends_with(end)).cloned().collect();
        found.sort_unstable();
        found
    }

    /// A part, unpacked while it is read.
    pub(super) fn part(&mut self, name: &str) -> Result<Part<'_, 'a>, Fault> {
        let place = self.places.get(&key(name));
        let &place = place.ok_or_else(|| Fault::Missing(name.to_owned()))?;
        let file = self.archive.by_index(place).map_err(|error| {
            Fault::Damaged(format!("its part `{name}` cannot be unpacked: {error}"))
        })?;
        Ok(Part { file, n_left: &mut self.n_left })
    }

    /// Reads a part as XML. Returns what stopped it before its end.
    pub(super) fn xml(&mut self, name: &str, take: impl FnMut(Node<'_>) -> Step) -> Option<Fault> {
        match self.part(name) {
            Ok(part) => xml::read(name, part, take),
            Err(fault) => Some(fault),
        }
    }

    /// The bytes of a part.
    pub(super) fn bytes(&mut self, name: &str) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        match self.part(name)?.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) if error.kind() == ErrorKind::FileTooLarge => Err(Fault::TooLarge),
            Err(error) => Err(Fault::Damaged(format!("its part `{name}` is damaged: {error}"))),
        }
    }
}

/// A part while it is unpacked.
pub(super) struct Part<'p, 'a> {
    file: ZipFile<'p, Cursor<&'a [u8]>>,
    n_left: &'p mut u64,
}

impl Read for Part<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        let n_left = self.n_left.checked_sub(n as u64);
        *self.n_left = n_left.ok_or_else(|| io::Error::from(ErrorKind::FileTooLarge))?;
        Ok(n)
    }
}

/// The name of a part as it is looked up: programs write separators and capitals as they like.
fn key(name: &str) -> String {
    name.replace('\\', "/").trim_start_matches('/').to_lowercase()
}

/// The name of the part that `target` leads to from a part of the package: percent signs decoded,
/// dots resolved, and without the place in it.
pub(super) fn resolve(from: &str, target: &str) -> String {
    let target = target.split(['#', '?']).next().unwrap_or_default();
    let target = decode_percent(target);
    let folder = from.rfind('/').map_or("", |at| &from[..at]);
    let mut steps: Vec<&str> = Vec::new();
    let folder = if target.starts_with('/') { "" } else { folder };
    for step in folder.split('/').chain(target.split('/')) {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    steps.join("/")
}

fn decode_percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    /// A package of these parts.
    pub(in super::super) fn packed(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in parts {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// XML whose elements all end, the last that began first.
    pub(in super::super) fn closed(xml: &str) -> String {
        let mut open: Vec<&str> = Vec::new();
        for piece in xml.split('<').skip(1).filter(|piece| !piece.contains("/>")) {
            match piece.split('>').next().unwrap().strip_prefix('/') {
                Some(_) => drop(open.pop()),
                None => open.push(piece.split(['>', ' ']).next().unwrap()),
            }
        }
        let ends: String = open.iter().rev().map(|name| format!("</{name}>")).collect();
        format!("{xml}{ends}")
    }

    #[test]
    fn parts_are_found_however_their_names_are_written() {
        let bytes = packed(&[("Word\\Document.xml", "one"), ("a/b.opf", "two"), ("a.opf", "")]);
        let mut package = Package::open("-", &bytes).unwrap();
        assert_eq!(package.bytes("/word/document.xml").unwrap(), b"one");
        assert!(package.has("A/b.opf") && !package.has("b.opf"));
        assert_eq!(package.find_all(".opf"), ["a.opf", "a/b.opf"]);
        assert_eq!(package.bytes("x"), Err(Fault::Missing("x".into())));
    }

    #[test]
    fn targets_lead_from_part_to_part() {
        for (from, target, expected) in [
            ("OEBPS/book.opf", "text/a%20b.xhtml#c", "OEBPS/text/a b.xhtml"),
            ("OEBPS/text/a.xhtml", "../x.ncx", "OEBPS/x.ncx"),
            ("a.opf", "../../b%zz%e9", "b%zz\u{FFFD}"),
            ("word/document.xml", "/word/styles.xml", "word/styles.xml"),
            ("a/b", "", "a"),
        ] {
            assert_eq!(resolve(from, target), expected);
        }
    }

    #[test]
    fn a_package_unpacks_to_so_much_and_no_more() {
        let long = "a".repeat(1 << 20);
        let bytes = packed(&[("a", &long)]);
        let mut package = Package::open("-", &bytes).unwrap();
        for _ in 0..MAX_UNPACKED_BYTES >> 20 {
            assert_eq!(package.bytes("a").unwrap().len(), long.len());
        }
        assert_eq!(package.bytes("a"), Err(Fault::TooLarge));
    }

    #[test]
    fn what_is_no_package_is_damaged() {
        let bytes = packed(&[("a", "b")]);
        for end in 0..bytes.len() {
            assert!(matches!(
                Package::open("-", &bytes[..end]).err(),
                Some(DocumentError::Damaged { .. })
            ));
        }
    }
}
