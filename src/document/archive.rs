//! Archives: what a ZIP file is, and what is packed in it or in gzip.
//!
//! Nothing is written to disk, so names in an archive are labels only. What is unpacked has a limit:
//! a small file cannot fill the memory.

#[cfg(test)]
mod tests;

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
    let unpacked = unpack_member(path, name, reading)?;
    read_unpacked(super::source(&unpacked.place, &unpacked.bytes), unpacked, MOST_LAYERS, reading)
}

pub(super) fn member_sha256(path: &Path, name: &str) -> Result<String, DocumentError> {
    let unpacked = unpack_member(path, name, &Reading::default())?;
    Ok(super::sha256_hex(&unpacked.bytes))
}

fn unpack_member(path: &Path, name: &str, reading: &Reading) -> Result<Unpacked, DocumentError> {
    let missing =
        || DocumentError::Io { path: path.join(name), source: std::io::ErrorKind::NotFound.into() };
    let mut zip = open_file(path)?.ok_or_else(missing)?;
    let files = files(&zip);
    let (index, _) = files.iter().find(|(_, found)| found == name).ok_or_else(missing)?;
    let place = format!("{}/{name}", path.display());
    let mut unpacked = from_zip(&mut zip, *index, place, reading)?;
    unpacked.how = None; // it is what was asked for
    Ok(unpacked)
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
