//! Archives: what a ZIP file is, and what is packed in it or in gzip.
//!
//! Nothing is written to disk, so names in an archive are labels only. What is unpacked has a limit:
//! a small file cannot fill the memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use zip::read::ZipReadOptions;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::kind::{self, EXTENSIONS, Kind};
use super::{Document, DocumentError, Format, Reading, Source, Warning};

/// The most bytes that are unpacked from one file.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// The most files that an archive may have.
const MOST_MEMBERS: u64 = 10_000;

/// An archive in an archive is opened, one in that is not.
const MOST_LAYERS: usize = 2;

pub(super) fn begins_as_zip(bytes: &[u8]) -> bool {
    // A file, no file at all, or the mark of an archive that could have been split.
    [b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"].iter().any(|magic| bytes.starts_with(*magic))
}

pub(super) fn begins_as_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x1F\x8B\x08")
}

/// What a ZIP file is: a book, an office document, or an archive of files.
pub(super) fn kind_of_zip(bytes: &[u8]) -> Kind {
    // What cannot be opened is told when it is unpacked.
    open("", Cursor::new(bytes)).map_or(Kind::Packed, |mut zip| kind_of(&mut zip))
}

fn kind_of<R: Read + Seek>(zip: &mut ZipArchive<R>) -> Kind {
    // Some programs write names with other slashes, or in other case.
    let names: HashMap<String, usize> = (0..zip.len())
        .filter_map(|at| {
            let name = zip.name_for_index(at)?.ok()?;
            Some((name.replace('\\', "/").to_ascii_lowercase(), at))
        })
        .collect();
    let has = |name: &str| names.contains_key(name);
    let media = small(zip, names.get("mimetype"));
    let parts = small(zip, names.get("[content_types].xml"));
    if let Some(kind) = media.strip_prefix("application/vnd.oasis.opendocument.") {
        return match kind {
            "text" | "text-template" | "text-master" => Kind::Format(Format::Odt),
            kind if kind.starts_with("spreadsheet") => {
                Kind::Unsupported("an OpenDocument spreadsheet")
            }
            kind if kind.starts_with("presentation") => {
                Kind::Unsupported("an OpenDocument presentation")
            }
            _ => Kind::Unsupported("an OpenDocument drawing"),
        };
    }
    if media == "application/epub+zip" || has("meta-inf/container.xml") {
        return Kind::Format(Format::Epub);
    }
    let is_word = parts.contains("wordprocessingml.document.main+xml")
        || parts.contains("wordprocessingml.template.main+xml")
        || parts.contains("ms-word.document.macroEnabled.main+xml");
    if is_word || has("word/document.xml") {
        return Kind::Format(Format::Docx);
    }
    match MARKS.iter().find(|(name, _)| has(name)) {
        Some((_, kind)) => Kind::Unsupported(kind),
        None => Kind::Packed,
    }
}

/// Files by which other kinds of packages are known, in lower case.
const MARKS: [(&str, &str); 10] = [
    ("ppt/presentation.xml", "a PowerPoint presentation"),
    ("xl/workbook.xml", "an Excel workbook"),
    ("xl/workbook.bin", "an Excel workbook"),
    ("visio/document.xml", "a Visio drawing"),
    ("fixeddocumentsequence.fdseq", "an XPS document"),
    ("fixeddocseq.fdseq", "an XPS document"),
    ("index/document.iwa", "an Apple iWork document"),
    ("index.zip", "an Apple iWork document"),
    ("androidmanifest.xml", "an Android package"),
    ("meta-inf/manifest.mf", "a Java archive"),
];

/// The content of a small member, nothing where there is none.
fn small<R: Read + Seek>(zip: &mut ZipArchive<R>, index: Option<&usize>) -> String {
    let mut content = Vec::new();
    if let Some(&index) = index
        && let Ok(member) = zip.by_index(index)
    {
        // What was read before an error will do.
        let _ = member.take(256 * 1024).read_to_end(&mut content);
    }
    String::from_utf8_lossy(&content).trim().to_owned()
}

/// Reads the only document that is packed in these bytes. Its source stays the packed file.
pub(super) fn read(
    source: Source,
    bytes: &[u8],
    reading: &Reading,
) -> Result<Document, DocumentError> {
    let unpacked = unpack(&source.uri, bytes, reading)?;
    read_unpacked(source, unpacked, MOST_LAYERS, reading)
}

/// Names of the documents in a ZIP archive; none if the file is no archive of documents.
pub(super) fn members(path: &Path) -> Result<Vec<String>, DocumentError> {
    let Some(mut zip) = open_file(path)? else { return Ok(Vec::new()) };
    if kind_of(&mut zip) != Kind::Packed {
        return Ok(Vec::new());
    }
    let mut names = files(&zip);
    names.retain(|(_, name)| kind::is_named_as_document(name));
    Ok(names.into_iter().map(|(_, name)| name).collect())
}

/// Reads one document of an archive.
pub(super) fn member(
    path: &Path,
    name: &str,
    reading: &Reading,
) -> Result<Document, DocumentError> {
    let missing =
        || DocumentError::Io { path: path.join(name), source: std::io::ErrorKind::NotFound.into() };
    let mut zip = open_file(path)?.ok_or_else(missing)?;
    let files = files(&zip);
    let (index, _) = files.iter().find(|(_, found)| found == name).ok_or_else(missing)?;
    let place = format!("{}/{name}", path.display());
    let mut unpacked = from_zip(&mut zip, *index, place, reading)?;
    unpacked.how = None; // it is what was asked for
    read_unpacked(super::source(&unpacked.place, &unpacked.bytes), unpacked, MOST_LAYERS, reading)
}

/// What was unpacked.
struct Unpacked {
    /// What errors call it.
    place: String,
    /// The extension of its name.
    extension: Option<String>,
    bytes: Vec<u8>,
    /// What is to be told of where it comes from.
    how: Option<String>,
    /// Why there is no more of it.
    damage: Option<String>,
}

impl Unpacked {
    fn warnings(&mut self) -> Vec<Warning> {
        let how = self.how.take().map(|message| Warning::new("unpacked", message));
        let damage = self.damage.take().map(|reason| {
            let message = format!("not all of the file could be unpacked: {reason}");
            Warning::new("damaged_file", message)
        });
        how.into_iter().chain(damage).collect()
    }
}

/// Reads what was unpacked, through `n_layers` archives in all.
fn read_unpacked(
    source: Source,
    mut unpacked: Unpacked,
    n_layers: usize,
    reading: &Reading,
) -> Result<Document, DocumentError> {
    let mut warnings = unpacked.warnings();
    for layer in 1..=n_layers {
        let Unpacked { place, extension, bytes, .. } = unpacked;
        if bytes.is_empty() {
            return Err(DocumentError::Empty { uri: place });
        }
        match kind::of(&bytes, extension.as_deref()) {
            Kind::Format(format) => {
                let mut document = super::read_as(format, source, bytes, reading)?;
                document.warnings.splice(..0, warnings);
                return Ok(document);
            }
            Kind::Packed if layer < n_layers => {
                unpacked = unpack(&place, &bytes, reading)?;
                warnings.extend(unpacked.warnings());
            }
            Kind::Packed => break,
            Kind::NotPdf => return Err(DocumentError::NotPdf { uri: place }),
            Kind::Unsupported(kind) => {
                return Err(DocumentError::Unsupported { uri: place, kind });
            }
        }
    }
    Err(DocumentError::Unsupported { uri: source.uri, kind: "an archive of archives of archives" })
}

fn unpack(place: &str, bytes: &[u8], reading: &Reading) -> Result<Unpacked, DocumentError> {
    if begins_as_gzip(bytes) {
        return from_gzip(place, bytes);
    }
    let mut zip = open(place, Cursor::new(bytes))?;
    let all = files(&zip);
    let mut documents = all.clone();
    documents.retain(|(_, name)| kind::is_named_as_document(name));
    let kind = match (all.as_slice(), documents.as_slice()) {
        (_, [(index, name)]) | ([(index, name)], []) => {
            let mut unpacked = from_zip(&mut zip, *index, format!("{place}/{name}"), reading)?;
            let n_others = all.len() - 1;
            let others = match n_others {
                0 => String::new(),
                1 => "; 1 file beside it was not read".to_owned(),
                n => format!("; {n} files beside it were not read"),
            };
            unpacked.how = Some(format!("`{name}` was read from the archive{others}"));
            return Ok(unpacked);
        }
        (_, [_, _, ..]) => {
            let n_members = documents.len();
            return Err(DocumentError::Archive { uri: place.to_owned(), n_members });
        }
        ([], _) => "an empty archive",
        _ => "an archive without documents",
    };
    Err(DocumentError::Unsupported { uri: place.to_owned(), kind })
}

fn from_gzip(place: &str, bytes: &[u8]) -> Result<Unpacked, DocumentError> {
    let mut gzip = MultiGzDecoder::new(bytes);
    let named = gzip.header().and_then(|header| header.filename()).unwrap_or_default();
    let named = String::from_utf8_lossy(named).into_owned();
    let stem = Path::new(place).file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
    let extension = [extension_of(&stem), extension_of(&named)]
        .into_iter()
        .flatten()
        .find(|extension| EXTENSIONS.contains(&extension.as_str()));
    let (bytes, damage) = take(place, &mut gzip)?;
    let how = Some(format!("unpacked with gzip to {} bytes", bytes.len()));
    Ok(Unpacked { place: place.to_owned(), extension, bytes, how, damage })
}

fn from_zip<R: Read + Seek>(
    zip: &mut ZipArchive<R>,
    index: usize,
    place: String,
    reading: &Reading,
) -> Result<Unpacked, DocumentError> {
    let extension = extension_of(&place);
    let entry = zip.by_index_data(index).map_err(|error| fault(&place, error))?;
    if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
        let kind = if entry.encrypted() { "locked with AES" } else { "packed by a rare method" };
        return Err(DocumentError::Unsupported { uri: place, kind });
    }
    let password = reading.password.as_deref().map(str::as_bytes);
    let options = ZipReadOptions::new().password(password);
    let mut member =
        zip.by_index_with_options(index, options).map_err(|error| fault(&place, error))?;
    let (bytes, damage) = take(&place, &mut member)?;
    drop(member);
    Ok(Unpacked { place, extension, bytes, how: None, damage })
}

/// What can be unpacked, and what ended it.
fn take(place: &str, packed: &mut dyn Read) -> Result<(Vec<u8>, Option<String>), DocumentError> {
    let uri = || place.to_owned();
    let mut bytes = Vec::new();
    let end = packed.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    if bytes.len() as u64 > MOST_BYTES {
        return Err(DocumentError::TooLarge { uri: uri(), n_most: MOST_BYTES });
    }
    match end {
        Ok(_) => Ok((bytes, None)),
        Err(error) if bytes.is_empty() => {
            Err(DocumentError::Damaged { uri: uri(), reason: error.to_string() })
        }
        Err(error) => Ok((bytes, Some(error.to_string()))),
    }
}

fn extension_of(name: &str) -> Option<String> {
    Path::new(name).extension().map(|extension| extension.to_string_lossy().to_lowercase())
}

/// The archive in a file, if it is one.
fn open_file(path: &Path) -> Result<Option<ZipArchive<BufReader<File>>>, DocumentError> {
    let failed = |source| DocumentError::Io { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut head = Vec::new();
    file.by_ref().take(4).read_to_end(&mut head).map_err(failed)?;
    if !begins_as_zip(&head) {
        return Ok(None);
    }
    open(&path.to_string_lossy(), BufReader::new(file)).map(Some)
}

fn open<R: Read + Seek>(place: &str, mut reader: R) -> Result<ZipArchive<R>, DocumentError> {
    let damaged = |error: std::io::Error| fault(place, ZipError::Io(error));
    let n_bytes = reader.seek(SeekFrom::End(0)).map_err(damaged)?;
    let n_members = n_members(&mut reader, n_bytes).map_err(damaged)?;
    if n_members > MOST_MEMBERS {
        let n_members = usize::try_from(n_members).unwrap_or(usize::MAX);
        return Err(DocumentError::Archive { uri: place.to_owned(), n_members });
    }
    let zip = ZipArchive::new(reader).map_err(|error| fault(place, error))?;
    // Files that share their bytes make much of little.
    let n_packed = (0..zip.len()).filter_map(|at| zip.by_index_data(at).ok());
    let n_packed: u128 = n_packed.map(|member| u128::from(member.compressed_size())).sum();
    if n_packed > u128::from(n_bytes) {
        let reason = "its files overlap".to_owned();
        return Err(DocumentError::Damaged { uri: place.to_owned(), reason });
    }
    Ok(zip)
}

/// How many files an archive says it has, before memory is taken for them (APPNOTE 4.3.14, 4.3.16).
fn n_members<R: Read + Seek>(reader: &mut R, n_bytes: u64) -> std::io::Result<u64> {
    // A comment of up to 65,535 bytes may follow.
    let n_tail = n_bytes.min(65_535 + 22 + 20 + 56);
    reader.seek(SeekFrom::Start(n_bytes - n_tail))?;
    let mut tail = Vec::new();
    reader.by_ref().take(n_tail).read_to_end(&mut tail)?;
    let number = |at: usize, n: usize| -> Option<u64> {
        let bytes = tail.get(at..at + n)?;
        Some(bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    };
    let mut most = 0;
    for at in 0..tail.len().saturating_sub(3) {
        let n = match &tail[at..at + 4] {
            b"PK\x05\x06" => number(at + 10, 2),
            b"PK\x06\x06" => number(at + 32, 8),
            _ => None,
        };
        most = most.max(n.unwrap_or(0));
    }
    Ok(most)
}

/// The files of an archive, without folders and what systems leave in them.
fn files<R: Read + Seek>(zip: &ZipArchive<R>) -> Vec<(usize, String)> {
    let mut files = Vec::new();
    for at in 0..zip.len() {
        let Ok(member) = zip.by_index_data(at) else { continue };
        // Archives often have names in UTF-8 that do not say so.
        let name = match std::str::from_utf8(member.name_raw()) {
            Ok(name) => name.to_owned(),
            Err(_) => member.name().map(|name| name.into_owned()).unwrap_or_default(),
        };
        let is_left = |part: &str| {
            part.starts_with('.') && !part.starts_with("..")
                || ["__MACOSX", "Thumbs.db", "desktop.ini"].contains(&part)
        };
        if !member.is_dir() && !name.is_empty() && !name.split(['/', '\\']).any(is_left) {
            // Nothing that a terminal would obey.
            files.push((at, name.replace(char::is_control, "\u{FFFD}")));
        }
    }
    files
}

fn fault(place: &str, error: ZipError) -> DocumentError {
    let uri = place.to_owned();
    match error {
        ZipError::InvalidPassword => DocumentError::WrongPassword { uri },
        ZipError::UnsupportedArchive(reason) if reason == ZipError::PASSWORD_REQUIRED => {
            DocumentError::Password { uri }
        }
        ZipError::UnsupportedArchive(_) => {
            DocumentError::Unsupported { uri, kind: "an archive of a rare kind" }
        }
        error => DocumentError::Damaged { uri, reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use zip::ZipWriter;
    use zip::unstable::write::FileOptionsExt as _;
    use zip::write::SimpleFileOptions;

    use super::super::read_bytes;
    use super::*;

    fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        for (name, content) in files {
            if name.ends_with('/') {
                zip.add_directory(*name, options).unwrap();
            } else {
                zip.start_file(*name, options).unwrap();
                zip.write_all(content).unwrap();
            }
        }
        zip.finish().unwrap().into_inner()
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(content).unwrap();
        gzip.finish().unwrap()
    }

    fn check(name: &str, bytes: &[u8], text: &str, format: Format, message: &str) {
        let extension = extension_of(name);
        let document = read_bytes(name, bytes.to_vec(), extension.as_deref()).unwrap();
        assert_eq!(document.text, text, "{name}");
        assert_eq!(document.source.format, format, "{name}");
        assert_eq!(document.source.uri, name);
        assert_eq!(document.source.n_bytes, bytes.len() as u64);
        let first = &document.warnings[0];
        assert_eq!((first.code, first.message.as_str()), ("unpacked", message), "{name}");
    }

    fn error(bytes: Vec<u8>) -> String {
        read_bytes("a.zip", bytes, Some("zip")).unwrap_err().to_string()
    }

    #[test]
    fn what_gzip_packed_is_read_by_its_own_kind() {
        let how = "unpacked with gzip to 5 bytes";
        check("a.md.gz", &gzip(b"# One"), "One", Format::Markdown, how);
        check("a.txt.gz", &gzip(b"One.\n"), "One.", Format::Text, how);
        check("-", &gzip(b"One.\n"), "One.", Format::Text, how);
        // Two texts packed one after the other are one.
        let two = [gzip(b"One."), gzip(b"\n\nTwo.")].concat();
        let how = "unpacked with gzip to 10 bytes";
        check("a.gz", &two, "One.\n\nTwo.", Format::Text, how);
        let mut named =
            flate2::GzBuilder::new().filename("in/b.md").write(Vec::new(), Compression::default());
        named.write_all(b"# One").unwrap();
        let how = "unpacked with gzip to 5 bytes";
        check("b.gz", &named.finish().unwrap(), "One", Format::Markdown, how);
    }

    #[test]
    fn the_only_document_of_an_archive_is_read() {
        let how = "`in/a.md` was read from the archive; 1 file beside it was not read";
        let files: [(&str, &[u8]); 6] = [
            ("in/", b""),
            ("in/a.md", b"# One"),
            ("in/picture.png", b"\x89PNG"),
            ("in/.DS_Store", b"x"),
            ("__MACOSX/in/._a.md", b"x"),
            (".git/a.txt", b"x"),
        ];
        check("a.zip", &zip(&files), "One", Format::Markdown, how);
        let how = "`README` was read from the archive";
        check("a.zip", &zip(&[("README", b"One.")]), "One.", Format::Text, how);
        let how = "`../a.html` was read from the archive";
        check("a.zip", &zip(&[("../a.html", b"<html><p>One.")]), "One.", Format::Html, how);
    }

    #[test]
    fn an_archive_in_an_archive_is_opened_and_no_more() {
        let one = gzip(b"One.");
        let two = zip(&[("a.txt.gz", &one)]);
        let how = "`a.txt.gz` was read from the archive";
        check("a.zip", &two, "One.", Format::Text, how);
        let three = zip(&[("b.zip", &two)]);
        assert_eq!(
            error(three.clone()),
            "`a.zip` is an archive of archives of archives, which cannot be read"
        );
        assert!(error(zip(&[("c.zip", &three)])).contains("archives of archives"));
    }

    #[test]
    fn what_is_no_document_is_told() {
        let several = zip(&[("a.txt", b"One."), ("b.pdf", b"%PDF-1.4"), ("c.png", b"")]);
        assert_eq!(error(several), "`a.zip` is an archive of 2 documents");
        assert_eq!(error(zip(&[])), "`a.zip` is an empty archive, which cannot be read");
        assert_eq!(error(zip(&[("a/", b"")])), "`a.zip` is an empty archive, which cannot be read");
        let pictures = zip(&[("a.png", b"x"), ("b.png", b"y")]);
        assert_eq!(
            error(pictures),
            "`a.zip` is an archive without documents, which cannot be read"
        );
        assert_eq!(error(zip(&[("a.txt", b"")])), "`a.zip/a.txt` is empty");
        assert_eq!(
            error(zip(&[("a.jpg", b"\xFF\xD8\xFF")])),
            "`a.zip/a.jpg` is a JPEG image, which cannot be read"
        );
        let err = read_bytes("a.gz", gzip(b""), Some("gz")).unwrap_err();
        assert_eq!(err.to_string(), "`a.gz` is empty");
    }

    #[test]
    fn packages_are_known_by_their_parts() {
        let kind = |files: &[(&str, &[u8])]| kind_of_zip(&zip(files));
        let epub: [(&str, &[u8]); 2] = [("mimetype", b"application/epub+zip\n"), ("a.txt", b"a")];
        assert_eq!(kind(&epub), Kind::Format(Format::Epub));
        assert_eq!(kind(&[("META-INF/container.xml", b"")]), Kind::Format(Format::Epub));
        assert_eq!(kind(&[("word\\Document.xml", b"")]), Kind::Format(Format::Docx));
        let parts = b"<Override ContentType=\"application/vnd.openxmlformats-officedocument.\
            wordprocessingml.document.main+xml\"/>";
        assert_eq!(kind(&[("[Content_Types].xml", parts)]), Kind::Format(Format::Docx));
        let open = |kind: &str| format!("application/vnd.oasis.opendocument.{kind}").into_bytes();
        assert_eq!(kind(&[("mimetype", &open("text"))]), Kind::Format(Format::Odt));
        assert_eq!(kind(&[("mimetype", &open("text-template"))]), Kind::Format(Format::Odt));
        for (files, expected) in [
            (("mimetype", open("spreadsheet")), "an OpenDocument spreadsheet"),
            (("mimetype", open("presentation")), "an OpenDocument presentation"),
            (("mimetype", open("graphics")), "an OpenDocument drawing"),
            (("ppt/presentation.xml", Vec::new()), "a PowerPoint presentation"),
            (("xl/workbook.xml", Vec::new()), "an Excel workbook"),
            (("META-INF/MANIFEST.MF", Vec::new()), "a Java archive"),
            (("AndroidManifest.xml", Vec::new()), "an Android package"),
        ] {
            assert_eq!(kind(&[(files.0, &files.1)]), Kind::Unsupported(expected));
        }
        assert_eq!(kind(&[("a/ppt/presentation.xml", b"")]), Kind::Packed);
        assert_eq!(kind_of_zip(b"PK\x03\x04rest"), Kind::Packed);
    }

    #[test]
    fn a_rare_way_to_pack_is_told() {
        let mut bytes = zip(&[("a.txt", b"One.")]);
        for at in 0..bytes.len() - 12 {
            match &bytes[at..at + 4] {
                b"PK\x01\x02" => bytes[at + 10] = 12,
                b"PK\x03\x04" => bytes[at + 8] = 12,
                _ => {}
            }
        }
        assert_eq!(error(bytes), "`a.zip/a.txt` is packed by a rare method, which cannot be read");
    }

    #[test]
    fn a_bomb_is_stopped_by_its_length() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        let block = vec![b'a'; 1 << 20];
        for _ in 0..=256 {
            gzip.write_all(&block).unwrap();
        }
        let err = read_bytes("a.gz", gzip.finish().unwrap(), Some("gz")).unwrap_err();
        assert_eq!(err.to_string(), "`a.gz` unpacks to more than 268435456 bytes");
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        zip.start_file("a.txt", options).unwrap();
        for _ in 0..=256 {
            zip.write_all(&block).unwrap();
        }
        let err = error(zip.finish().unwrap().into_inner());
        assert_eq!(err, "`a.zip/a.txt` unpacks to more than 268435456 bytes");
    }

    #[test]
    fn files_that_share_their_bytes_are_refused() {
        let text = "It is long. ".repeat(100);
        let mut bytes = zip(&[("a.txt", text.as_bytes()), ("b.txt", b"x"), ("c.txt", b"y")]);
        let records: Vec<usize> =
            (0..bytes.len() - 4).filter(|&at| bytes[at..].starts_with(b"PK\x01\x02")).collect();
        // Sizes and place of the first file, for the others too.
        for at in &records[1..] {
            bytes.copy_within(records[0] + 16..records[0] + 28, at + 16);
            bytes.copy_within(records[0] + 42..records[0] + 46, at + 42);
        }
        let n = u32::try_from(bytes.len()).unwrap();
        assert!(read_bytes("a.zip", bytes.clone(), None).is_err());
        for at in records {
            bytes[at + 20..at + 24].copy_from_slice(&n.to_le_bytes());
        }
        assert!(error(bytes).ends_with("is damaged: its files overlap"));
    }

    #[test]
    fn an_archive_of_too_many_files_is_refused_before_it_is_opened() {
        let mut bytes = zip(&[("a.txt", b"One.")]);
        let end = bytes.len() - 22;
        bytes[end + 10..end + 12].copy_from_slice(&20_000_u16.to_le_bytes());
        assert_eq!(error(bytes), "`a.zip` is an archive of 20000 documents");
    }

    #[test]
    fn what_could_be_unpacked_of_a_damaged_file_is_read() {
        let text: String = (0..5000).map(|n| format!("Line {n}. ")).collect();
        let bytes = gzip(text.as_bytes());
        let document = read_bytes("a.gz", bytes[..bytes.len() / 2].to_vec(), None).unwrap();
        assert!(text.starts_with(&document.text) && document.text.len() > text.len() / 4);
        assert_eq!(document.warnings[1].code, "damaged_file");
        let err = read_bytes("a.gz", bytes[..12].to_vec(), None).unwrap_err();
        assert!(err.to_string().starts_with("`a.gz` is damaged: "), "{err}");
        let bytes = zip(&[("a.txt", text.as_bytes())]);
        let err = error(bytes[..bytes.len() / 2].to_vec());
        assert!(err.starts_with("`a.zip` is damaged: "), "{err}");
    }

    #[test]
    fn a_locked_file_asks_for_its_password() {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .with_deprecated_encryption(b"quay")
            .unwrap();
        zip.start_file("a.txt", options).unwrap();
        zip.write_all(b"One.").unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        assert_eq!(error(bytes.clone()), "`a.zip/a.txt` is locked with a password");
        let read = |password: &str| {
            let reading = Reading { password: Some(password.to_owned()), ..Reading::default() };
            reading.bytes("a.zip", bytes.clone(), Some("zip"))
        };
        assert_eq!(read("quay").unwrap().text, "One.");
        assert!(read("mole").is_err());
    }

    #[test]
    fn names_that_say_nothing_of_their_encoding_are_read() {
        let mut bytes = zip(&[("gr\u{FC}n.txt", b"One."), ("b.txt", b"Two.")]);
        // Without the flag of UTF-8.
        for at in 0..bytes.len() - 12 {
            match &bytes[at..at + 4] {
                b"PK\x01\x02" => bytes[at + 9] &= !8,
                b"PK\x03\x04" => bytes[at + 7] &= !8,
                _ => {}
            }
        }
        let archive = open("-", Cursor::new(bytes.as_slice())).unwrap();
        let names: Vec<String> = files(&archive).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["gr\u{FC}n.txt", "b.txt"]);
    }

    #[test]
    fn members_are_listed_and_read_from_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.zip");
        let inner = zip(&[("c.txt", b"Three.")]);
        let bytes = zip(&[("a.txt", b"One."), ("in/b.md", b"# Two"), ("in.zip", &inner)]);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(members(&path).unwrap(), ["a.txt", "in/b.md", "in.zip"]);
        let read = |name: &str| member(&path, name, &Reading::default());
        let document = read("in/b.md").unwrap();
        assert_eq!((document.text.as_str(), document.source.n_bytes), ("Two", 5));
        assert_eq!(document.source.uri, format!("{}/in/b.md", path.display()));
        assert_eq!(document.warnings, []);
        assert_eq!(read("in.zip").unwrap().text, "Three.");
        assert!(matches!(read("no.txt"), Err(DocumentError::Io { .. })));
        for (name, content) in
            [("a.txt", b"One.".to_vec()), ("b.zip", zip(&[("word/document.xml", b"")]))]
        {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            assert_eq!(members(&path).unwrap(), [""; 0]);
        }
        assert!(members(&dir.path().join("none")).is_err());
    }

    #[test]
    fn a_file_may_end_anywhere_and_any_byte_may_be_wrong() {
        let files: [(&str, &[u8]); 3] =
            [("mimetype", b"text"), ("a.txt", b"One. One. One."), ("b.png", b"x")];
        for bytes in [zip(&files), gzip(b"One. One. One.")] {
            for at in 0..bytes.len() {
                let _ = read_bytes("a", bytes[..at].to_vec(), None);
                for wrong in [0, 1, 0x7F, 0xFF] {
                    let mut bytes = bytes.clone();
                    bytes[at] = wrong;
                    let _ = read_bytes("a", bytes, None);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_behind_a_mark_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for mark in [&b"PK\x03\x04"[..], b"PK\x05\x06", b"\x1F\x8B\x08\0\0\0\0\0\0\0"] {
                let _ = read_bytes("a", [mark, &bytes].concat(), None);
            }
        }
    }
}
