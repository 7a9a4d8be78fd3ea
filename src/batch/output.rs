//! Where reports go: to standard output, or to a store of files or of objects. What is written appears
//! whole or not at all.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::input::Input;
use super::objects::{self, Bucket, Location, Uri};
use super::place::{Journals, Place, is_special, parent};
use super::sha256_hex;
use crate::document::is_named_as_document;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file or an object.
    #[error("cannot write `{}`: {source}", path.display())]
    File {
        /// The file or folder, or the URI.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Stdout(io::Error),
    /// Several reports for one file.
    #[error("`{}` is a file, and reports on a folder, or on several documents, need a folder", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// Several reports for standard output.
    #[error("there are {n} documents, and standard output takes one report")]
    Several {
        /// How many documents.
        n: usize,
    },
    /// A report would replace a document.
    #[error("`{}` is a document itself", path.display())]
    IsInput {
        /// The file.
        path: PathBuf,
    },
    /// Reports would be taken for documents by the next run.
    #[error("reports in `{}` would lie among the documents, and look like some", path.display())]
    Among {
        /// The folder.
        path: PathBuf,
    },
    /// Two documents would share one file.
    #[error("two documents would both be written to `{}`", path.display())]
    Twice {
        /// The file.
        path: PathBuf,
    },
}

impl WriteError {
    /// Whether another command line would have avoided it.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::File { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::IsADirectory
                    | io::ErrorKind::AlreadyExists
                    | io::ErrorKind::InvalidFilename
                    | io::ErrorKind::Unsupported
            ),
            Self::Stdout(_) => false,
            Self::NotAFolder { .. }
            | Self::Several { .. }
            | Self::IsInput { .. }
            | Self::Among { .. }
            | Self::Twice { .. } => true,
        }
    }

    /// Whether it is the name or the place of this report alone, and others may be written: not where a
    /// disk is full, a store has gone or a permission has ended.
    #[must_use]
    pub fn is_of_one_report(&self) -> bool {
        use io::ErrorKind::{ReadOnlyFilesystem, Unsupported};
        let Self::File { path, source } = self else { return false };
        matches!(Location::of(path), Location::File(_))
            && self.is_usage()
            && !matches!(source.kind(), ReadOnlyFilesystem | Unsupported)
    }

    /// The way out, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotAFolder { .. } | Self::Several { .. } => {
                Some("name a folder with -o".to_owned())
            }
            Self::IsInput { .. } | Self::Among { .. } => {
                Some("name another folder with -o".to_owned())
            }
            Self::Twice { .. } => {
                Some("give them different names, or write them to different folders".to_owned())
            }
            Self::File { source, .. } | Self::Stdout(source)
                if source.kind() == io::ErrorKind::StorageFull =>
            {
                Some("free some space and run it again".to_owned())
            }
            Self::File { path, source } => objects::hint(path, source),
            _ => None,
        }
    }
}

/// Where reports go.
#[derive(Debug)]
pub enum Output {
    /// To standard output. Journals lie in the place, where there is one.
    Stdout(Option<Place>),
    /// To the file or object of this name.
    File(PathBuf, Store),
    /// To files or objects named after the documents, with this extension behind.
    Folder(&'static str, Store),
}

impl Output {
    /// Decides before the long work whether its result can be written.
    ///
    /// `path` names a folder if it is one, ends like one, or one of the `arguments` is a folder.
    ///
    /// # Errors
    /// [`WriteError`] if it cannot.
    pub fn new(
        path: Option<&Path>,
        arguments: &[PathBuf],
        inputs: &[Input],
        extension: &'static str,
    ) -> Result<Self, WriteError> {
        let n = inputs.len();
        let several = is_several(arguments, inputs);
        let Some(path) = path else {
            return if n > 1 { Err(WriteError::Several { n }) } else { Ok(Self::Stdout(state())) };
        };
        let location = Location::of(path);
        if several && matches!(&location, Location::File(path) if path.is_file()) {
            return Err(WriteError::NotAFolder { path: path.to_owned() });
        }
        if several || location.is_folder() {
            return Self::in_store(path, arguments, inputs, extension);
        }
        if arguments.iter().any(|argument| Location::of(argument).is_same(&location)) {
            return Err(WriteError::IsInput { path: path.to_owned() });
        }
        let (name, store) = Store::open_around(&location, &Place::new)?;
        if !store.is_special(&name) {
            if let Location::File(path) = &location
                && !parent(path).is_dir()
            {
                return Err(failed(parent(path), io::ErrorKind::NotFound.into()));
            }
            store.check()?;
        }
        Ok(Self::File(name, store))
    }

    fn in_store(
        path: &Path,
        arguments: &[PathBuf],
        inputs: &[Input],
        extension: &'static str,
    ) -> Result<Self, WriteError> {
        let location = Location::of(path);
        let is_searched = |argument: &PathBuf| Location::of(argument).is_same(&location);
        if is_named_as_document(&format!("x.{extension}")) && arguments.iter().any(is_searched) {
            return Err(WriteError::Among { path: path.to_owned() });
        }
        let store = Store::open(path, &Place::new)?;
        store.check()?;
        let output = Self::Folder(extension, store);
        let mut taken = HashSet::from(["run.json", "index.html"].map(PathBuf::from));
        for (input, name) in inputs.iter().filter_map(|i| Some((i, output.name_of(i)?))) {
            let path = output.path_of(&name);
            if input.location().is_some_and(|document| document.is_same(&Location::of(&path))) {
                return Err(WriteError::IsInput { path });
            }
            if !taken.insert(name) {
                return Err(WriteError::Twice { path });
            }
        }
        Ok(output)
    }

    /// As [`Output::new`], but nothing is made, checked or tidied up.
    ///
    /// # Errors
    /// [`WriteError::File`] if a URI is of no use.
    pub fn looked_at(
        path: Option<&Path>,
        arguments: &[PathBuf],
        inputs: &[Input],
        extension: &'static str,
    ) -> Result<Self, WriteError> {
        let Some(path) = path else { return Ok(Self::Stdout(None)) };
        let location = Location::of(path);
        if takes_several(path, arguments, inputs) {
            return Ok(Self::Folder(extension, Store::open(path, &Place::untouched)?));
        }
        let (name, store) = Store::open_around(&location, &Place::untouched)?;
        Ok(Self::File(name, store))
    }

    /// What the report on this document is called in its store.
    #[must_use]
    pub fn name_of(&self, input: &Input) -> Option<PathBuf> {
        match self {
            Self::Stdout(_) => None,
            Self::File(name, _) => Some(name.clone()),
            Self::Folder(extension, _) => Some(report_name(input.relative(), extension)),
        }
    }

    /// Whether reports go to a folder or below a prefix.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        matches!(self, Self::Folder(..))
    }

    /// The journals of this document.
    #[must_use]
    pub fn journals(&self, input: &Input) -> Journals<'_> {
        match self {
            Self::Stdout(place) => Journals::new(place.as_ref(), input.identity()),
            Self::File(name, store) if store.is_special(name) => {
                Journals::new(None, input.identity())
            }
            Self::File(_, store) => Journals::new(store.place(), input.identity()),
            // Wherever the documents lie, these reports are on documents of these names.
            Self::Folder(_, store) => {
                Journals::new(store.place(), input.relative().as_os_str().to_owned())
            }
        }
    }

    /// The report on this document that is there already, as far as it can be had.
    #[must_use]
    pub fn read(&self, input: &Input) -> Option<Vec<u8>> {
        match self {
            Self::Stdout(_) => None,
            Self::File(name, store) if store.is_special(name) => None,
            Self::File(_, store) | Self::Folder(_, store) => store.read(&self.name_of(input)?).ok(),
        }
    }

    /// Another file of the same store, as far as it can be had.
    #[must_use]
    pub fn read_file(&self, name: &Path) -> Option<Vec<u8>> {
        match self {
            Self::Stdout(_) => None,
            Self::File(_, store) | Self::Folder(_, store) => store.read(name).ok(),
        }
    }

    /// Writes a report, whole or not at all.
    ///
    /// # Errors
    /// [`WriteError`] if it cannot be written.
    pub fn write(&self, input: &Input, report: &[u8]) -> Result<(), WriteError> {
        self.write_to(&self.name_of(input).unwrap_or_default(), report)
    }

    /// Writes another file of the same store, whole or not at all.
    ///
    /// # Errors
    /// [`WriteError`] if it cannot be written.
    pub fn write_to(&self, name: &Path, bytes: &[u8]) -> Result<(), WriteError> {
        match self {
            Self::Stdout(_) => to_stdout(bytes),
            Self::File(_, store) | Self::Folder(_, store) => store.write(name, bytes),
        }
    }

    fn path_of(&self, name: &Path) -> PathBuf {
        match self {
            Self::Stdout(_) => name.to_owned(),
            Self::File(_, store) | Self::Folder(_, store) => store.path_of(name),
        }
    }
}

/// What takes files by their names.
#[derive(Debug)]
pub enum Store {
    /// A folder.
    Files(PathBuf, Place),
    /// All objects whose names begin like this URI. Journals lie in the place, where there is one.
    Objects(Bucket, Uri, Option<Place>),
}

impl Store {
    /// The store at a path or URI, which need not be there yet.
    ///
    /// # Errors
    /// [`WriteError::File`] if the URI is of no use.
    pub fn open(path: &Path, place: &dyn Fn(&Path) -> Place) -> Result<Self, WriteError> {
        match Location::of(path) {
            Location::File(dir) => {
                let place = place(&dir);
                Ok(Self::Files(dir, place))
            }
            Location::Object(uri) => {
                let bucket = Bucket::open(&uri).map_err(|e| failed(path, e))?;
                Ok(Self::Objects(bucket, uri.folder(), state()))
            }
        }
    }

    /// The name of a file or object, and the store that it is in.
    fn open_around(
        location: &Location,
        place: &dyn Fn(&Path) -> Place,
    ) -> Result<(PathBuf, Self), WriteError> {
        match location {
            Location::File(path) => {
                let name = path.file_name().unwrap_or_default().into();
                let dir = path.parent().unwrap_or(Path::new(""));
                Ok((name, Self::Files(dir.to_owned(), place(parent(path)))))
            }
            Location::Object(uri) => {
                let (dir, name) = uri.split();
                Ok((name.into(), Self::open(&dir.to_path(), place)?))
            }
        }
    }

    /// Fails where nothing can be written, before the long work is done.
    ///
    /// # Errors
    /// [`WriteError::File`].
    pub fn check(&self) -> Result<(), WriteError> {
        match self {
            Self::Files(dir, place) => {
                let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
                fs::create_dir_all(dir).and_then(|()| place.check()).map_err(|e| failed(dir, e))
            }
            Self::Objects(bucket, uri, _) => bucket
                .check(uri.join(Path::new("run.json")).key())
                .map_err(|e| failed(&uri.to_path(), e)),
        }
    }

    /// What is in a file or object.
    ///
    /// # Errors
    /// What the system or the network says.
    pub fn read(&self, name: &Path) -> io::Result<Vec<u8>> {
        match self {
            Self::Files(dir, _) => fs::read(dir.join(name)),
            Self::Objects(bucket, uri, _) => {
                bucket.get(uri.join(name).key()).map(|object| object.bytes)
            }
        }
    }

    /// Writes a file or object, whole or not at all.
    ///
    /// # Errors
    /// [`WriteError::File`] if it cannot be written; what was there before still is.
    pub fn write(&self, name: &Path, bytes: &[u8]) -> Result<(), WriteError> {
        let path = self.path_of(name);
        let written = match self {
            Self::Files(_, place) => place.write(&path, bytes),
            Self::Objects(bucket, uri, _) => bucket.put(uri.join(name).key(), bytes),
        };
        written.map_err(|e| failed(&path, e))
    }

    /// Its path or URI.
    #[must_use]
    pub fn path_of(&self, name: &Path) -> PathBuf {
        match self {
            Self::Files(dir, _) => dir.join(name),
            Self::Objects(_, uri, _) => uri.join(name).to_path(),
        }
    }

    /// Its own path or URI.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Files(dir, _) => dir.clone(),
            Self::Objects(_, uri, _) => uri.to_path(),
        }
    }

    fn place(&self) -> Option<&Place> {
        match self {
            Self::Files(_, place) => Some(place),
            Self::Objects(.., place) => place.as_ref(),
        }
    }

    /// A pipe or a device: written to, never read or replaced.
    fn is_special(&self, name: &Path) -> bool {
        matches!(self, Self::Files(dir, _) if is_special(&dir.join(name)))
    }
}

/// Whether this path would name a folder for reports, or a prefix.
#[must_use]
pub fn takes_several(path: &Path, arguments: &[PathBuf], inputs: &[Input]) -> bool {
    is_several(arguments, inputs) || Location::of(path).is_folder()
}

/// Whether there are several documents, or could be.
fn is_several(arguments: &[PathBuf], inputs: &[Input]) -> bool {
    inputs.len() > 1 || arguments.iter().any(|argument| is_folder(argument, inputs))
}

/// Whether an argument means what is in a folder, or below the prefix of a URI.
fn is_folder(argument: &Path, inputs: &[Input]) -> bool {
    match Location::of(argument) {
        Location::File(path) => path.is_dir(),
        Location::Object(uri) => {
            let is_it = |input: &Input| matches!(input, Input::Object { uri: u, .. } if *u == uri);
            !inputs.iter().any(is_it)
        }
    }
}

/// The most bytes of a file name.
const MOST_NAME_BYTES: usize = 255;

/// The name of a document with the extension of its report. Where that would be too long, the end of
/// the name gives way to a hash of it.
fn report_name(document: &Path, extension: &str) -> PathBuf {
    let name = document.with_added_extension(extension);
    let n_bytes = name.file_name().map_or(0, |name| name.as_encoded_bytes().len());
    if n_bytes <= MOST_NAME_BYTES {
        return name;
    }
    let text = document.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let hash = &sha256_hex(text.as_bytes())[..12];
    let kept = text.floor_char_boundary(MOST_NAME_BYTES - hash.len() - extension.len() - 2);
    document.with_file_name(format!("{}-{hash}.{extension}", &text[..kept]))
}

/// Writes to standard output. A reader that has gone is no error.
///
/// # Errors
/// [`WriteError::Stdout`] for everything else.
pub fn to_stdout(bytes: &[u8]) -> Result<(), WriteError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(WriteError::Stdout(e)),
        _ => Ok(()),
    }
}

/// Where journals lie of reports that go to standard output or to a store of objects.
fn state() -> Option<Place> {
    state_dir().map(|dir| Place::new(&dir))
}

/// The folder of what is kept between runs, where the environment tells of one.
#[must_use]
pub fn state_dir() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|dir| !dir.is_empty());
    let dir = folder("XDG_STATE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&folder("HOME")?).join(".local/state")))?;
    Some(dir.join("longsum"))
}

fn failed(path: &Path, source: io::Error) -> WriteError {
    WriteError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_one_name_have_journals_of_their_own_unless_their_reports_are_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = |folder: &str| {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
            let path = dir.path().join(folder).join("report.txt");
            fs::write(&path, folder).unwrap();
            Input::File { path, root: Some(dir.path().join(folder)) }
        };
        let (one, other) = (file("one"), file("other"));
        let place = || Place::new(dir.path());
        let folder = |output: &Output, input: &Input| output.journals(input).folder("key").unwrap();
        let stdout = Output::Stdout(Some(place()));
        assert_ne!(folder(&stdout, &one), folder(&stdout, &other));
        let store = || Store::Files(dir.path().to_owned(), place());
        let to_file = Output::File("report.json".into(), store());
        assert_ne!(folder(&to_file, &one), folder(&to_file, &other));
        let to_folder = Output::Folder("json", store());
        assert_eq!(folder(&to_folder, &one), folder(&to_folder, &other));
    }
}
