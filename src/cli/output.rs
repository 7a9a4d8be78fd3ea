//! Where reports go. A file appears whole or not at all.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use longsum::batch::Input;
use tempfile::{Builder, NamedTempFile};

use super::args::Reading;
use super::say;

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
    #[error("`{}` is a file, but there are {n} documents", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
        /// How many documents.
        n: usize,
    },
    /// Several reports for standard output.
    #[error("there are {n} documents, and standard output takes one report")]
    Several {
        /// How many documents.
        n: usize,
    },
    /// The report would replace its document.
    #[error("`{}` is the document itself", path.display())]
    IsInput {
        /// The file.
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
    pub fn is_usage(&self) -> bool {
        match self {
            Self::File { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::NotADirectory
            ),
            Self::Stdout(_) => false,
            Self::NotAFolder { .. }
            | Self::Several { .. }
            | Self::IsInput { .. }
            | Self::Twice { .. } => true,
        }
    }

    /// The way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotAFolder { .. } | Self::Several { .. } => {
                Some("name a folder with -o".to_owned())
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
    Stdout,
    File(PathBuf),
    /// A folder, and the extension of the files in it.
    Folder(PathBuf, &'static str),
}

impl Output {
    /// Decides before the long work whether its result can be written.
    ///
    /// `-o` names a folder if it is one, ends like one, or there is a folder among the arguments.
    pub fn new(reading: &Reading, inputs: &[Input], extension: &'static str) -> Result<Self> {
        let n = inputs.len();
        let path = reading.output.as_deref();
        let several = n > 1 || reading.inputs.iter().any(|argument| argument.is_dir());
        let Some(path) = path else {
            return if n > 1 { Err(WriteError::Several { n }.into()) } else { Ok(Self::Stdout) };
        };
        if several && path.is_file() {
            return Err(WriteError::NotAFolder { path: path.to_owned(), n }.into());
        }
        if several || path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.is_dir() {
            fs::create_dir_all(path).map_err(|e| failed(path, e))?;
            temporary(path)?;
            let output = Self::Folder(path.to_owned(), extension);
            let mut taken = HashSet::new();
            for path in inputs.iter().filter_map(|input| output.file_of(input)) {
                if !taken.insert(path.clone()) {
                    return Err(WriteError::Twice { path }.into());
                }
            }
            return Ok(output);
        }
        let place = path.canonicalize().ok();
        if place.is_some() && reading.inputs.iter().any(|a| a.canonicalize().ok() == place) {
            return Err(WriteError::IsInput { path: path.to_owned() }.into());
        }
        if !is_special(path) {
            temporary(parent(path))?;
        }
        Ok(Self::File(path.to_owned()))
    }

    /// The file that the report on this document goes to.
    fn file_of(&self, input: &Input) -> Option<PathBuf> {
        match self {
            Self::Stdout => None,
            Self::File(path) => Some(path.clone()),
            Self::Folder(dir, extension) => {
                Some(dir.join(input.relative()).with_added_extension(extension))
            }
        }
    }

    /// Writes a report, whole or not at all.
    ///
    /// Where a file cannot be written the report goes to standard output, so that the work is not
    /// lost; it is an error all the same.
    pub fn write(&self, input: &Input, report: &[u8]) -> Result<()> {
        let Some(path) = self.file_of(input) else { return to_stdout(report) };
        let written = fs::create_dir_all(parent(&path))
            .map_err(|e| failed(&path, e).into())
            .and_then(|()| whole(&path, report));
        if let Err(error) = &written {
            say(&format!("warning: {error}; the report follows on standard output"));
            to_stdout(report)?;
        }
        written
    }
}

/// Writes to standard output. A reader that has gone is no error.
pub fn to_stdout(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(WriteError::Stdout(e).into()),
        _ => Ok(()),
    }
}

/// A pipe or a device: written to, never replaced.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

/// Writes beside the file, then takes its place.
fn whole(path: &Path, bytes: &[u8]) -> Result<()> {
    if is_special(path) {
        return Ok(fs::write(path, bytes).map_err(|e| failed(path, e))?);
    }
    let mut file = temporary(parent(path))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(|e| failed(path, e))?;
    file.persist(path).map_err(|e| failed(path, e.error))?;
    Ok(())
}

fn temporary(dir: &Path) -> Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".longsum-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any other new file; the umask takes away what it should.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    Ok(builder.tempfile_in(dir).map_err(|e| failed(dir, e))?)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn failed(path: &Path, source: io::Error) -> WriteError {
    WriteError::File { path: path.to_owned(), source }
}
