//! Many documents: which files are meant, and what each is called.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::document::{self, Document, DocumentError, EXTENSIONS, Reading};
use crate::load::Loaded;
use crate::report::Model;
use crate::summary::Reader;

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
                let known = EXTENSIONS.join(", ");
                Some(format!(
                    "files are known by their extensions: {known}, zip, and gz after these"
                ))
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

    /// Its path below the folder it was found in, or its file name. It never leads out of a folder.
    #[must_use]
    pub fn relative(&self) -> &Path {
        match self {
            Self::Stdin => Path::new("stdin"),
            Self::File { path, root: Some(root) } => path.strip_prefix(root).unwrap_or(path),
            Self::File { path, root: None } => path.file_name().map_or(path, Path::new),
            Self::Member { relative, .. } => relative,
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

/// The documents that these paths mean, folders searched through and sorted by name, and the members
/// of archives that have several. The folder `output` is not searched, so reports of an earlier run
/// are not taken for documents.
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
            inputs.extend(parted(Input::File { path: path.clone(), root: None }));
            continue;
        }
        let mut found = Vec::new();
        walk(path, skip, &mut found)?;
        if found.is_empty() {
            return Err(InputError::NoDocuments { path: path.clone() });
        }
        found.sort();
        let file = |file| Input::File { path: file, root: Some(path.clone()) };
        inputs.extend(found.into_iter().flat_map(|found| parted(file(found))));
    }
    Ok(inputs)
}

/// A file as it is, or the documents in it if it is an archive of several.
fn parted(input: Input) -> Vec<Input> {
    let Input::File { path, .. } = &input else { return vec![input] };
    // What is wrong with an archive is told when it is read.
    let names = document::members(path).unwrap_or_default();
    if names.len() < 2 {
        return vec![input];
    }
    let mut taken = HashMap::new();
    let member = |name: String| {
        let relative = input.relative().join(apart(&safe(&name), &mut taken));
        Input::Member { archive: path.clone(), name, relative }
    };
    names.into_iter().map(member).collect()
}

/// A path that stays below any folder, from a name that can be anything.
fn safe(name: &str) -> PathBuf {
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
const MOST_NAME_BYTES: usize = 200;

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

/// Files with a known extension below a folder; hidden ones and links are passed over.
fn walk(dir: &Path, skip: Option<&Path>, found: &mut Vec<PathBuf>) -> Result<(), InputError> {
    let failed = |source| InputError::Path { path: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let known = document::is_named_as_document(&entry.file_name().to_string_lossy());
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
        let found = inputs(&[dir.path().to_owned()], None).unwrap();
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
        assert_eq!(inputs(&[path], None).unwrap().len(), 4);
    }
}
