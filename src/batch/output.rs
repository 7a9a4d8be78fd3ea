//! Where reports go. A file appears whole or not at all.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::input::Input;
use super::place::{Place, is_special, parent};
use super::sha256_hex;
use crate::document::is_named_as_document;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file.
    #[error("cannot write `{}`: {source}", path.display())]
    File {
        /// The file or folder.
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
            ),
            Self::Stdout(_) => false,
            Self::NotAFolder { .. }
            | Self::Several { .. }
            | Self::IsInput { .. }
            | Self::Among { .. }
            | Self::Twice { .. } => true,
        }
    }

    /// Whether other reports would fare no better.
    #[must_use]
    pub fn is_of_the_disk(&self) -> bool {
        const EIO: i32 = 5;
        match self {
            Self::File { source, .. } => {
                matches!(
                    source.kind(),
                    io::ErrorKind::StorageFull
                        | io::ErrorKind::QuotaExceeded
                        | io::ErrorKind::ReadOnlyFilesystem
                ) || source.raw_os_error() == Some(EIO)
            }
            _ => true,
        }
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
            _ => None,
        }
    }
}

/// Where reports go.
#[derive(Debug)]
pub enum Output {
    /// To standard output. Journals lie in the place, where there is one.
    Stdout(Option<Place>),
    /// To this file.
    File(PathBuf, Place),
    /// To a folder, with this extension behind the names of the documents.
    Folder(PathBuf, &'static str, Place),
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
        let several = n > 1 || arguments.iter().any(|argument| argument.is_dir());
        let Some(path) = path else {
            return if n > 1 {
                Err(WriteError::Several { n })
            } else {
                Ok(Self::Stdout(state_dir().map(|dir| Place::new(&dir))))
            };
        };
        if several && path.is_file() {
            return Err(WriteError::NotAFolder { path: path.to_owned() });
        }
        if several || path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.is_dir() {
            return Self::in_folder(path, arguments, inputs, extension);
        }
        let here = path.canonicalize().ok();
        if here.is_some() && arguments.iter().any(|a| a.canonicalize().ok() == here) {
            return Err(WriteError::IsInput { path: path.to_owned() });
        }
        let place = Place::new(parent(path));
        if !is_special(path) {
            if !parent(path).is_dir() {
                return Err(failed(parent(path), io::ErrorKind::NotFound.into()));
            }
            place.check().map_err(|e| failed(parent(path), e))?;
        }
        Ok(Self::File(path.to_owned(), place))
    }

    fn in_folder(
        dir: &Path,
        arguments: &[PathBuf],
        inputs: &[Input],
        extension: &'static str,
    ) -> Result<Self, WriteError> {
        let here = dir.canonicalize().ok();
        let is_searched = |a: &PathBuf| here.is_some() && a.canonicalize().ok() == here;
        if is_named_as_document(&format!("x.{extension}")) && arguments.iter().any(is_searched) {
            return Err(WriteError::Among { path: dir.to_owned() });
        }
        fs::create_dir_all(dir).map_err(|e| failed(dir, e))?;
        let place = Place::new(dir);
        place.check().map_err(|e| failed(dir, e))?;
        let output = Self::Folder(dir.to_owned(), extension, place);
        let mut taken = HashSet::from([dir.join("run.json")]);
        for (input, path) in inputs.iter().filter_map(|i| Some((i, output.file_of(i)?))) {
            if matches!(input, Input::File { path: document, .. } if is_same(document, &path)) {
                return Err(WriteError::IsInput { path });
            }
            if !taken.insert(path.clone()) {
                return Err(WriteError::Twice { path });
            }
        }
        Ok(output)
    }

    /// As [`Output::new`], but nothing is made, checked or tidied up.
    #[must_use]
    pub fn looked_at(
        path: Option<&Path>,
        arguments: &[PathBuf],
        inputs: &[Input],
        extension: &'static str,
    ) -> Self {
        let is_folder = |path: &Path| {
            path.is_dir()
                || path.as_os_str().as_encoded_bytes().ends_with(b"/")
                || inputs.len() > 1
                || arguments.iter().any(|argument| argument.is_dir())
        };
        match path {
            None => Self::Stdout(None),
            Some(path) if is_folder(path) => {
                Self::Folder(path.to_owned(), extension, Place::untouched(path))
            }
            Some(path) => Self::File(path.to_owned(), Place::untouched(parent(path))),
        }
    }

    /// The file that the report on this document goes to.
    #[must_use]
    pub fn file_of(&self, input: &Input) -> Option<PathBuf> {
        match self {
            Self::Stdout(_) => None,
            Self::File(path, _) => Some(path.clone()),
            Self::Folder(dir, ..) => Some(dir.join(self.name_of(input)?)),
        }
    }

    /// As [`Output::file_of`], below the folder of all reports.
    #[must_use]
    pub fn name_of(&self, input: &Input) -> Option<PathBuf> {
        match self {
            Self::Stdout(_) => None,
            Self::File(path, _) => path.file_name().map(PathBuf::from),
            Self::Folder(_, extension, _) => Some(report_name(input.relative(), extension)),
        }
    }

    /// The folder, if reports go to one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(dir, ..) => Some(dir),
            Self::Stdout(_) | Self::File(..) => None,
        }
    }

    /// The folder for the journal of the document with this key.
    #[must_use]
    pub fn journal(&self, key: &str) -> Option<PathBuf> {
        match self {
            Self::Stdout(place) => Some(place.as_ref()?.journal(key)),
            Self::File(path, _) if is_special(path) => None,
            Self::File(_, place) | Self::Folder(.., place) => Some(place.journal(key)),
        }
    }

    /// Throws away the journals whose names begin like this.
    pub fn forget(&self, prefix: &str) {
        match self {
            Self::Stdout(None) => {}
            Self::Stdout(Some(place)) | Self::File(_, place) | Self::Folder(.., place) => {
                place.forget(prefix);
            }
        }
    }

    /// Writes a report, whole or not at all.
    ///
    /// # Errors
    /// [`WriteError`] if it cannot be written.
    pub fn write(&self, input: &Input, report: &[u8]) -> Result<(), WriteError> {
        match self.file_of(input) {
            Some(path) => self.write_to(&path, report),
            None => to_stdout(report),
        }
    }

    /// Writes another file of the folder, whole or not at all.
    ///
    /// # Errors
    /// [`WriteError`] if it cannot be written.
    pub fn write_to(&self, path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
        match self {
            Self::Stdout(_) => to_stdout(bytes),
            Self::File(_, place) | Self::Folder(.., place) => {
                place.write(path, bytes).map_err(|e| failed(path, e))
            }
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

fn is_same(a: &Path, b: &Path) -> bool {
    a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
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

/// Where journals lie of reports that go to standard output.
fn state_dir() -> Option<PathBuf> {
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
