//! Documents to be read: which files are meant, and what each is called.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;
use ignore::overrides::{Override, OverrideBuilder};
use sha2::{Digest, Sha256};

use super::objects::{self, Bucket, Location, Uri};
use crate::document::{self, Document, DocumentError, EXTENSIONS, Reading};

/// A document to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A file, and the folder it was found in, if it was found in one.
    File {
        /// The file.
        path: PathBuf,
        /// The folder named on the command line.
        root: Option<PathBuf>,
    },
    /// A file in a ZIP archive of several.
    Member {
        /// The archive.
        archive: PathBuf,
        /// What the file is called in it. Anything can stand there.
        name: String,
        /// The archive's path below the folder it was found in, and a safe form of the name.
        relative: PathBuf,
        /// Its share of the archive's bytes.
        n_bytes: u64,
    },
    /// An object in a store.
    Object {
        /// Where it is.
        uri: Uri,
        /// A safe form of its name below the prefix it was found under, or of its last part.
        relative: PathBuf,
        /// Its size, where that was told.
        n_bytes: u64,
        /// What changes whenever its bytes do, where that was told.
        version: Option<String>,
    },
    /// Bytes that are there already.
    Given {
        /// What they are called; its extension tells Markdown from plain text.
        name: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Something in a folder that cannot even be looked at.
    Broken {
        /// Its path below the folder.
        relative: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// Why a document cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// No such file, folder or object, or none that can be had.
    #[error("cannot read `{}`: {source}", path.display())]
    Path {
        /// The path or URI.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A folder without a single document.
    #[error("`{}` has no documents", path.display())]
    NoDocuments {
        /// The folder, or the URI of a prefix.
        path: PathBuf,
    },
    /// Pages that the document does not have.
    #[error("`{uri}` has {n_pages} pages, so there is no page {first}")]
    NoSuchPage {
        /// The document.
        uri: String,
        /// How many pages it has.
        n_pages: usize,
        /// The first page asked for.
        first: u32,
    },
    /// The document cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A pattern for file names that is none.
    #[error("`{glob}` is no pattern for file names: {reason}")]
    Glob {
        /// The pattern.
        glob: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something in a folder that cannot even be looked at.
    #[error("cannot read `{name}`: {reason}")]
    Broken {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// What another process said of a document that it could not read.
    #[error("{message}")]
    Told {
        /// What it said.
        message: String,
        /// The way out.
        hint: Option<String>,
        /// Whether the command line is at fault.
        is_usage: bool,
        /// Whether it may go better next time.
        is_passing: bool,
    },
    /// No process can be started or talked to.
    #[error("cannot start the reader of `{name}`: {source}")]
    Process {
        /// The document.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// The process crashed.
    #[error("`{name}` crashed its reader: {how}")]
    Crashed {
        /// The document.
        name: String,
        /// What is known of it.
        how: String,
        /// Whether somebody else ended it.
        is_killed: bool,
    },
    /// Reading takes too long.
    #[error("reading `{name}` took more than {n_secs} s")]
    OutOfTime {
        /// The document.
        name: String,
        /// Seconds allowed.
        n_secs: u64,
    },
    /// Reading takes too much memory.
    #[error("reading `{name}` takes more than {n_mib} MiB of memory")]
    OutOfMemory {
        /// The document.
        name: String,
        /// Mebibytes allowed.
        n_mib: u64,
    },
    /// The run was stopped while it was read.
    #[error("stopped")]
    Stopped,
}

impl InputError {
    /// Whether the command line is at fault, and not a document.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Path { source, .. } => !is_passing(source),
            Self::NoDocuments { .. } | Self::NoSuchPage { .. } | Self::Glob { .. } => true,
            Self::Told { is_usage, .. } => *is_usage,
            _ => false,
        }
    }

    /// Whether it may go better next time: the system is at fault, and not the document.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Document(DocumentError::Io { source, .. }) | Self::Path { source, .. } => {
                is_passing(source)
            }
            Self::Told { is_passing, .. } => *is_passing,
            Self::Process { .. } | Self::Stopped => true,
            Self::Crashed { is_killed, .. } => *is_killed,
            _ => false,
        }
    }

    /// The way out, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoDocuments { .. } => {
                let known = EXTENSIONS.join(", ");
                Some(format!(
                    "files are known by their extensions: {known}, zip, and gz after these"
                ))
            }
            Self::NoSuchPage { n_pages, .. } => Some(format!("ask for pages from 1 to {n_pages}")),
            Self::Document(DocumentError::Archive { uri, .. }) if Uri::parse(uri).is_some() => {
                Some("download it first: only a file is read as the documents in it".to_owned())
            }
            Self::Document(e) => e.hint().map(str::to_owned),
            Self::Path { path, source } => objects::hint(path, source),
            Self::Told { hint, .. } => hint.clone(),
            Self::OutOfTime { .. } => Some("allow more with --read-time".to_owned()),
            Self::OutOfMemory { .. } => Some("allow more with --read-memory".to_owned()),
            Self::Crashed { is_killed: true, .. } => {
                Some("something ended it, perhaps for want of memory: try again".to_owned())
            }
            Self::Crashed { .. } => Some("open it in a viewer and save a copy".to_owned()),
            Self::Glob { .. } => Some("for example: --glob '*.pdf' --glob '!drafts/**'".to_owned()),
            Self::Broken { .. } | Self::Process { .. } | Self::Stopped => None,
        }
    }
}

/// Whether the same may work a moment later: a slow network, a busy disk.
pub(super) fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, Interrupted, NetworkDown, NetworkUnreachable,
        ResourceBusy, StaleNetworkFileHandle, TimedOut, WouldBlock,
    };
    const EIO: i32 = 5;
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | ResourceBusy
            | StaleNetworkFileHandle
            | TimedOut
            | WouldBlock
    ) || cfg!(unix) && error.raw_os_error() == Some(EIO)
}

impl Input {
    /// The document at a path or URI.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        match Location::of(path) {
            Location::File(path) => Self::File { path, root: None },
            Location::Object(uri) => {
                let relative = objects::relative(uri.split().1);
                Self::Object { uri, relative, n_bytes: 0, version: None }
            }
        }
    }

    /// Where it lies, if it is a file or object of its own.
    #[must_use]
    pub fn location(&self) -> Option<Location> {
        match self {
            Self::File { path, .. } => Some(Location::File(path.clone())),
            Self::Object { uri, .. } => Some(Location::Object(uri.clone())),
            _ => None,
        }
    }

    /// What no other document is called, but for those that have no place of their own.
    #[must_use]
    pub fn identity(&self) -> OsString {
        let whole = |path: &Path| -> OsString {
            path.canonicalize().unwrap_or_else(|_| path.to_owned()).into()
        };
        match self {
            Self::File { path, .. } => whole(path),
            Self::Member { archive, name, .. } => {
                let mut identity = whole(archive);
                identity.push("\n");
                identity.push(name);
                identity
            }
            Self::Object { uri, .. } => uri.to_string().into(),
            Self::Stdin | Self::Given { .. } | Self::Broken { .. } => self.name().into(),
        }
    }

    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> String {
        self.relative().display().to_string()
    }

    /// Its path below the folder it was found in, or its file name. It never leads out of a folder.
    #[must_use]
    pub fn relative(&self) -> &Path {
        match self {
            Self::Stdin => Path::new("stdin"),
            Self::File { path, root: Some(root) } => path.strip_prefix(root).unwrap_or(path),
            Self::File { path, root: None } => path.file_name().map_or(path, Path::new),
            Self::Given { name, .. } => Path::new(name),
            Self::Member { relative, .. }
            | Self::Object { relative, .. }
            | Self::Broken { relative, .. } => relative,
        }
    }

    /// Its size, as far as that is known before it is read.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        match self {
            Self::Stdin | Self::Broken { .. } => 0,
            Self::File { path, .. } => fs::metadata(path).map_or(0, |meta| meta.len()),
            Self::Given { bytes, .. } => bytes.len() as u64,
            Self::Member { n_bytes, .. } | Self::Object { n_bytes, .. } => *n_bytes,
        }
    }

    /// SHA-256 of its bytes, in hexadecimal, as the document will have it; none for what can be read
    /// only once, not without being unpacked, or not at all.
    #[must_use]
    pub fn sha256(&self) -> Option<String> {
        match self {
            Self::File { path, .. } if !path.is_file() => None,
            Self::File { path, .. } => {
                let mut sum = Sha256::new();
                io::copy(&mut File::open(path).ok()?, &mut sum).ok()?;
                Some(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
            }
            _ => None,
        }
    }

    /// Reads the document, or only some of its pages.
    ///
    /// # Errors
    /// [`InputError`] if it cannot be read or does not have these pages.
    pub fn read(
        &self,
        reading: &Reading,
        pages: Option<(u32, u32)>,
    ) -> Result<Document, InputError> {
        let mut document = match self {
            Self::Stdin => {
                let mut bytes = Vec::new();
                let read = io::stdin().lock().read_to_end(&mut bytes);
                read.map_err(|source| InputError::Path { path: "-".into(), source })?;
                reading.bytes("-", bytes, None)?
            }
            Self::File { path, .. } => reading.file(path)?,
            Self::Member { archive, name, .. } => reading.member(archive, name)?,
            Self::Object { uri, .. } => objects::read(uri, reading)?,
            Self::Given { name, bytes } => {
                let extension =
                    Path::new(name).extension().map(|e| e.to_string_lossy().to_lowercase());
                reading.bytes(name, bytes.clone(), extension.as_deref())?
            }
            Self::Broken { reason, .. } => {
                return Err(InputError::Broken { name: self.name(), reason: reason.clone() });
            }
        };
        if let Some((first, last)) = pages {
            let n_pages = document.pages.len();
            if first as usize > n_pages {
                return Err(InputError::NoSuchPage { uri: document.source.uri, n_pages, first });
            }
            document.keep_pages(first, last);
        }
        Ok(document)
    }
}

/// Looks into a ZIP archive: the names of its documents, none if the file is anything else.
pub type Members<'a> = dyn Fn(&Path) -> Result<Vec<String>, InputError> + 'a;

/// What standard input is called.
const STDIN: [&str; 4] = ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];

/// Where documents are looked for.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Files, folders and archives, URIs of objects and prefixes; `-` is standard input.
    pub paths: Vec<PathBuf>,
    /// Patterns that names in folders must match; with `!` before them, must not match.
    pub globs: Vec<String>,
    /// A folder or prefix that is not searched, so that reports of an earlier run are not taken for
    /// documents.
    pub skip: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Documents, in the order of the paths, those of a folder by name.
    pub inputs: Vec<Input>,
    /// Files in folders that are not named as documents, by extension.
    pub passed_over: BTreeMap<String, usize>,
}

impl Found {
    /// Counts a file that is not named as a document.
    pub(super) fn pass_over(&mut self, name: &str) {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        *self.passed_over.entry(format!(".{}", extension.to_lowercase())).or_default() += 1;
    }
}

impl Search {
    /// The documents that these paths mean, folders searched through and sorted by name, and the
    /// members of archives that have several. Links are followed; hidden files, and what a
    /// `.longsumignore` names as a `.gitignore` would, are left out. Prefixes of an object store are
    /// searched as folders are, but for archives and `.longsumignore`.
    ///
    /// - `members`: looks into an archive
    ///
    /// # Errors
    /// [`InputError`] for a path that does not exist, a folder without documents and a pattern that
    /// is none. What cannot be read inside of a folder is among the inputs.
    pub fn find(&self, members: &Members<'_>) -> Result<Found, InputError> {
        let mut found = Found::default();
        for path in &self.paths {
            if STDIN.iter().any(|name| path.as_os_str() == *name) {
                found.inputs.push(Input::Stdin);
                continue;
            }
            let failed = |source| InputError::Path { path: path.clone(), source };
            match Location::of(path) {
                Location::Object(uri) => {
                    let bucket = Bucket::open(&uri).map_err(failed)?;
                    self.list(&bucket, &uri, &mut found)?;
                }
                Location::File(path) if fs::metadata(&path).map_err(failed)?.is_dir() => {
                    self.walk(&path, members, &mut found)?;
                }
                Location::File(path) => {
                    found.inputs.extend(parted(Input::File { path, root: None }, members));
                }
            }
        }
        Ok(found)
    }

    fn walk(
        &self,
        root: &Path,
        members: &Members<'_>,
        found: &mut Found,
    ) -> Result<(), InputError> {
        let skip = self.skip.as_deref().map(Location::of).and_then(|location| match location {
            Location::File(path) => path.canonicalize().ok(),
            Location::Object(_) => None,
        });
        let mut walk = WalkBuilder::new(root);
        walk.standard_filters(false)
            .hidden(true)
            .follow_links(true)
            .add_custom_ignore_filename(".longsumignore")
            .overrides(self.overrides(root)?)
            .sort_by_file_path(Path::cmp)
            .filter_entry(move |entry| {
                skip.is_none() || !is_dir(entry) || entry.path().canonicalize().ok() != skip
            });
        let n_before = found.inputs.len();
        for entry in walk.build() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    found.inputs.push(broken(&error, root));
                    continue;
                }
            };
            if is_dir(&entry) {
                continue;
            }
            let name = entry.file_name().to_string_lossy();
            if document::is_named_as_document(&name) && !is_file(&entry) {
                // Who opens a pipe may wait for ever.
                found.inputs.push(Input::Broken {
                    relative: entry.path().strip_prefix(root).unwrap_or(entry.path()).to_owned(),
                    reason: "it is no file, but a pipe, a socket or a device".to_owned(),
                });
            } else if document::is_named_as_document(&name) {
                let path = entry.into_path();
                let input = Input::File { path, root: Some(root.to_owned()) };
                found.inputs.extend(parted(input, members));
            } else {
                found.pass_over(&name);
            }
        }
        if found.inputs.len() == n_before {
            return Err(InputError::NoDocuments { path: root.to_owned() });
        }
        Ok(())
    }

    pub(super) fn overrides(&self, root: &Path) -> Result<Override, InputError> {
        let mut builder = OverrideBuilder::new(root);
        for glob in &self.globs {
            builder
                .add(glob)
                .map_err(|e| InputError::Glob { glob: glob.clone(), reason: e.to_string() })?;
        }
        let glob = || self.globs.join(", ");
        builder.build().map_err(|e| InputError::Glob { glob: glob(), reason: e.to_string() })
    }
}

fn is_dir(entry: &ignore::DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_dir())
}

fn is_file(entry: &ignore::DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_file())
}

/// What could not be looked at, as far as the error tells.
fn broken(error: &ignore::Error, root: &Path) -> Input {
    use ignore::Error::{Loop, WithDepth, WithLineNumber, WithPath};
    match error {
        WithDepth { err, .. } | WithLineNumber { err, .. } => broken(err, root),
        WithPath { path, err } => Input::Broken {
            relative: path.strip_prefix(root).unwrap_or(path).to_owned(),
            reason: reason(err),
        },
        Loop { child, .. } => Input::Broken {
            relative: child.strip_prefix(root).unwrap_or(child).to_owned(),
            reason: "the link leads back to a folder that it is in".to_owned(),
        },
        other => Input::Broken { relative: root.to_owned(), reason: reason(other) },
    }
}

fn reason(error: &ignore::Error) -> String {
    match error {
        ignore::Error::Io(e) => e.to_string(),
        other => other.to_string(),
    }
}

/// A file as it is, or the documents in it if it is an archive of several.
fn parted(input: Input, members: &Members<'_>) -> Vec<Input> {
    let Input::File { path, .. } = &input else { return vec![input] };
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if document::is_named_as_document(&name) && !name.ends_with(".zip") {
        return vec![input]; // books and office documents are ZIP files too
    }
    // What is wrong with an archive is told when it is read.
    let names = members(path).unwrap_or_default();
    if names.len() < 2 {
        return vec![input];
    }
    let n_bytes = input.n_bytes() / names.len() as u64;
    let mut taken = HashMap::new();
    let member = |name: String| {
        let relative = input.relative().join(apart(&safe(&name), &mut taken));
        Input::Member { archive: path.clone(), name, relative, n_bytes }
    };
    names.into_iter().map(member).collect()
}

/// A path that stays below any folder, from a name that can be anything.
pub(super) fn safe(name: &str) -> PathBuf {
    let is_forbidden = |c: char| c.is_control() || "<>:\"|?*".contains(c);
    let part = |part: &str| {
        let part = part.trim_matches([' ', '.']).replace(is_forbidden, "_");
        // A report's extension follows, and a file's name may have 255 bytes.
        let start = part.ceil_char_boundary(part.len().saturating_sub(MOST_NAME_BYTES));
        part[start..].to_owned()
    };
    let parts: Vec<String> =
        name.split(['/', '\\']).map(part).filter(|part| !part.is_empty()).collect();
    let first = parts.len().saturating_sub(MOST_PARTS);
    if parts.is_empty() { PathBuf::from("_") } else { parts[first..].iter().collect() }
}

/// The end of a longer name has to do.
pub(super) const MOST_NAME_BYTES: usize = 200;

/// Folders in folders.
const MOST_PARTS: usize = 10;

/// A path that was not taken before; `taken` counts how often each was asked for.
fn apart(path: &Path, taken: &mut HashMap<String, usize>) -> PathBuf {
    let mut found = path.to_owned();
    loop {
        // Some systems do not know upper case from lower.
        let n = taken.entry(found.to_string_lossy().to_lowercase()).or_insert(0);
        *n += 1;
        if *n == 1 {
            return found;
        }
        let stem = found.file_stem().unwrap_or_default().to_string_lossy();
        let extension = found.extension().map(|e| format!(".{}", e.to_string_lossy()));
        let name = format!("{stem} ({n}){}", extension.unwrap_or_default());
        found.set_file_name(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_an_archive_is_a_path_below_the_folder() {
        let cases = [
            ("inner/name.pdf", "inner/name.pdf"),
            ("../../etc/passwd.txt", "etc/passwd.txt"),
            ("/etc/a.txt", "etc/a.txt"),
            ("C:\\temp\\a.txt", "C_/temp/a.txt"),
            ("a/./b//c.txt", "a/b/c.txt"),
            ("a\u{1B}[31m\0.txt", "a_[31m_.txt"),
            ("....", "_"),
            ("", "_"),
        ];
        for (name, expected) in cases {
            assert_eq!(safe(name), Path::new(expected), "{name:?}");
        }
        let long = safe(&format!("{}/{}.txt", "d/".repeat(3000), "é".repeat(3000)));
        assert!(long.as_os_str().len() < 300 && long.extension().is_some());
    }

    #[test]
    fn two_names_are_never_one_path() {
        let mut taken = HashMap::new();
        let mut path = |name: &str| apart(&safe(name), &mut taken).display().to_string();
        assert_eq!(path("a/b.txt"), "a/b.txt");
        assert_eq!(path("../a/B.txt"), "a/B (2).txt");
        assert_eq!(path("/a/b.txt"), "a/b (3).txt");
        assert_eq!(path("a"), "a");
        assert_eq!(path("a/"), "a (2)");
    }

    #[test]
    fn an_archive_of_several_documents_is_its_members() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("all.zip");
        let mut zip = zip::ZipWriter::new(fs::File::create(&path).unwrap());
        for (name, content) in [
            ("one.txt", "One."),
            ("in/two.md", "# Two"),
            ("../three.txt", "Three."),
            ("bad.pdf", "no PDF"),
            ("picture.png", "picture"),
            ("__MACOSX/._one.txt", "fork"),
        ] {
            zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            io::Write::write_all(&mut zip, content.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        let inputs = |path: &Path| {
            let search = Search { paths: vec![path.to_owned()], ..Search::default() };
            search.find(&|path| Ok(document::members(path)?)).unwrap().inputs
        };
        let found = inputs(dir.path());
        let names: Vec<String> = found.iter().map(Input::name).collect();
        assert_eq!(
            names,
            ["all.zip/one.txt", "all.zip/in/two.md", "all.zip/three.txt", "all.zip/bad.pdf"]
        );
        let read = |at: usize| found[at].read(&Reading::default(), None);
        let second = read(1).unwrap();
        assert_eq!(second.text, "Two");
        assert_eq!(second.source.uri, format!("{}/in/two.md", path.display()));
        assert_eq!(second.source.n_bytes, 5);
        assert_eq!(read(2).unwrap().text, "Three.");
        assert!(matches!(read(3), Err(InputError::Document(DocumentError::NotPdf { .. }))));
        assert_eq!(inputs(&path).len(), 4);
    }
}
