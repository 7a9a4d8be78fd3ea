//! Many documents: which files are meant, and what each is called.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::document::{self, Document, DocumentError};
use crate::load::Loaded;
use crate::report::Model;
use crate::summary::Reader;

/// Extensions of the files that a folder is searched for.
pub const EXTENSIONS: [&str; 10] =
    ["pdf", "html", "htm", "xhtml", "md", "markdown", "mdown", "mkd", "txt", "text"];

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
}

/// Why a document cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// No such file or folder.
    #[error("cannot read `{}`: {source}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A folder without a single document.
    #[error("the folder `{}` has no documents", path.display())]
    NoDocuments {
        /// The folder.
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
}

impl InputError {
    /// Whether the command line is at fault, and not a document.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Document(_))
    }

    /// The way out, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoDocuments { .. } => {
                Some(format!("files are known by their extensions: {}", EXTENSIONS.join(", ")))
            }
            Self::NoSuchPage { n_pages, .. } => Some(format!("ask for pages from 1 to {n_pages}")),
            Self::Document(e) => e.hint().map(str::to_owned),
            Self::Path { .. } => None,
        }
    }
}

impl Input {
    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> String {
        self.relative().display().to_string()
    }

    /// Its path below the folder it was found in, or its file name.
    #[must_use]
    pub fn relative(&self) -> &Path {
        match self {
            Self::Stdin => Path::new("stdin"),
            Self::File { path, root: Some(root) } => path.strip_prefix(root).unwrap_or(path),
            Self::File { path, root: None } => path.file_name().map_or(path, Path::new),
        }
    }

    /// Reads the document, or only some of its pages.
    ///
    /// # Errors
    /// [`InputError`] if it cannot be read or does not have these pages.
    pub fn read(&self, pages: Option<(u32, u32)>) -> Result<Document, InputError> {
        let mut document = match self {
            Self::Stdin => {
                let mut bytes = Vec::new();
                let read = io::stdin().lock().read_to_end(&mut bytes);
                read.map_err(|source| InputError::Path { path: "-".into(), source })?;
                document::read_bytes("-", bytes, None)?
            }
            Self::File { path, .. } => document::read(path)?,
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

/// The documents that these paths mean, folders searched through and sorted by name. The folder
/// `output` is not searched, so reports of an earlier run are not taken for documents.
///
/// # Errors
/// [`InputError`] for a path that does not exist and a folder without documents.
pub fn inputs(paths: &[PathBuf], output: Option<&Path>) -> Result<Vec<Input>, InputError> {
    let skip = output.and_then(|path| path.canonicalize().ok());
    let skip = skip.as_deref();
    let mut inputs = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            inputs.push(Input::Stdin);
            continue;
        }
        let meta =
            fs::metadata(path).map_err(|source| InputError::Path { path: path.clone(), source })?;
        if !meta.is_dir() {
            inputs.push(Input::File { path: path.clone(), root: None });
            continue;
        }
        let mut found = Vec::new();
        walk(path, skip, &mut found)?;
        if found.is_empty() {
            return Err(InputError::NoDocuments { path: path.clone() });
        }
        found.sort();
        inputs.extend(
            found.into_iter().map(|file| Input::File { path: file, root: Some(path.clone()) }),
        );
    }
    Ok(inputs)
}

/// Files with a known extension below a folder; hidden ones and links are passed over.
fn walk(dir: &Path, skip: Option<&Path>, found: &mut Vec<PathBuf>) -> Result<(), InputError> {
    let failed = |source| InputError::Path { path: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let extension = path.extension().and_then(|e| e.to_str());
        let known = extension.is_some_and(|e| EXTENSIONS.iter().any(|k| k.eq_ignore_ascii_case(e)));
        if kind.is_dir() && path.canonicalize().ok().as_deref() != skip {
            walk(&path, skip, found)?;
        } else if kind.is_file() && known {
            found.push(path);
        }
    }
    Ok(())
}

/// A loaded model as a summary takes it.
#[must_use]
pub fn reader<'a>(loaded: &'a Loaded, about: &'a Model) -> Reader<'a> {
    Reader {
        model: &loaded.decoder,
        tokenizer: &loaded.tokenizer,
        chat: &loaded.chat,
        stops: &loaded.stops,
        about,
        extract: loaded.extractor.as_ref().map(|e| (&e.salience, &e.weights)),
    }
}

/// What a report says of a loaded model.
#[must_use]
pub fn about(loaded: &Loaded, id: &str, revision: Option<String>) -> Model {
    use crate::model::LanguageModel;
    Model {
        id: id.to_owned(),
        revision,
        sha256: loaded.sha256.clone(),
        architecture: loaded.decoder.spec().family.clone(),
        quantization: loaded.quantization.clone(),
        dtype: loaded.dtype.as_str().to_owned(),
        device: "cpu".to_owned(),
    }
}
