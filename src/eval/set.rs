//! Sets of documents with summaries that people wrote: one JSON object on each line of a file.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ruzstd::decoding::StreamingDecoder;
use serde::Deserialize;

/// What a set's file name ends with.
pub const EXTENSIONS: [&str; 2] = [".jsonl", ".jsonl.zst"];

/// Documents of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// The file's name without its extension.
    pub name: String,
    /// The documents, as they stand in the file.
    pub samples: Vec<Sample>,
}

/// A document and how people summarized it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The document.
    pub document: String,
    /// Its summaries; at least one, and none without a word.
    pub references: Vec<String>,
}

/// Why a set cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// No such folder.
    #[error("cannot read the folder `{}`: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A folder without sets.
    #[error("the folder `{}` has no sets", path.display())]
    NoSets {
        /// The folder.
        path: PathBuf,
    },
    /// A file that cannot be read or unpacked.
    #[error("cannot read `{}`: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        what: String,
    },
    /// A line that is no document with a summary.
    #[error("`{}`, line {line}: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

impl SetError {
    /// Whether the command line is at fault, and not a set.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Folder { .. } | Self::NoSets { .. })
    }

    /// The way out, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Folder { .. } | Self::NoSets { .. } => {
                Some("a set is a file of the folder that ends in .jsonl or .jsonl.zst")
            }
            Self::Line { .. } => Some(
                r#"a line is {"document": "...", "summary": "..."}, or has "references": ["..."]"#,
            ),
            Self::File { .. } => None,
        }
    }
}

/// The files of the sets in a folder, by name. Where a set is there both plain and packed, the
/// plain file is taken.
///
/// # Errors
/// [`SetError`] if there is no such folder, or no set in it.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>, SetError> {
    let failed = |source| SetError::Folder { path: dir.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if set_name(&path).is_some() && path.is_file() {
            files.push(path);
        }
    }
    files.sort_by_key(|path| (set_name(path).map(str::to_owned), path.clone()));
    files.dedup_by(|b, a| set_name(a) == set_name(b));
    if files.is_empty() {
        return Err(SetError::NoSets { path: dir.to_owned() });
    }
    Ok(files)
}

/// Name of the set that a file holds.
fn set_name(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let stem = EXTENSIONS.iter().find_map(|extension| name.strip_suffix(extension))?;
    (!stem.is_empty() && !stem.starts_with('.')).then_some(stem)
}

impl Set {
    /// Reads a file, or only its first documents.
    ///
    /// # Errors
    /// [`SetError`] if it cannot be read, and for the first bad line.
    pub fn read(path: &Path, limit: Option<usize>) -> Result<Self, SetError> {
        let unreadable = |what| SetError::File { path: path.to_owned(), what };
        let mut bytes = fs::read(path).map_err(|e| unreadable(e.to_string()))?;
        if path.extension().is_some_and(|extension| extension == "zst") {
            bytes = unpack(&bytes).map_err(unreadable)?;
        }
        let mut samples = Vec::new();
        for (k, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if limit == Some(samples.len()) {
                break;
            }
            if !line.trim_ascii().is_empty() {
                let bad = |what| SetError::Line { path: path.to_owned(), line: k + 1, what };
                samples.push(sample(line).map_err(bad)?);
            }
        }
        if samples.is_empty() && limit != Some(0) {
            return Err(unreadable("it has no documents".to_owned()));
        }
        Ok(Self { name: set_name(path).unwrap_or_default().to_owned(), samples })
    }
}

/// All frames of a Zstandard file.
fn unpack(mut packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while !packed.is_empty() {
        let mut frame = StreamingDecoder::new(&mut packed).map_err(|e| e.to_string())?;
        frame.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        let sums =
            (frame.decoder.get_checksum_from_data(), frame.decoder.get_calculated_checksum());
        if let (Some(written), Some(found)) = sums
            && written != found
        {
            return Err("it is damaged: its checksum does not fit".to_owned());
        }
    }
    Ok(bytes)
}

#[derive(Deserialize)]
struct Line {
    document: String,
    summary: Option<String>,
    references: Option<Vec<String>>,
}

fn sample(line: &[u8]) -> Result<Sample, String> {
    let line: Line = serde_json::from_slice(line)
        .map_err(|e| e.to_string().replace(" at line 1 column ", " at byte "))?;
    let references = match (line.references, line.summary) {
        (Some(references), _) => references,
        (None, Some(summary)) => vec![summary],
        (None, None) => return Err("it has neither `summary` nor `references`".to_owned()),
    };
    if references.is_empty() {
        return Err("`references` is empty".to_owned());
    }
    if references.iter().any(|reference| reference.trim().is_empty()) {
        return Err("a summary without a word is nothing to compare with".to_owned());
    }
    if line.document.trim().is_empty() {
        return Err("`document` is empty".to_owned());
    }
    Ok(Sample { document: line.document, references })
}
