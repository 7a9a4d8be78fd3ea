//! Object stores: documents and reports by `s3://`, `gs://` and `az://`.
//!
//! A store is one more place that files come from and go to, and what goes wrong with it is an
//! `io::Error` like that of a disk: what may go better next time has a kind that says so. A put is
//! whole or nothing. Async stays in [`Bucket`], which waits for one request at a time.

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;

use super::input::{Found, Input, InputError, MOST_NAME_BYTES, Search, safe};
use crate::document::{self, Document, Reading};

#[cfg_attr(not(feature = "object-store"), path = "objects/absent.rs")]
mod remote;
#[cfg(test)]
mod tests;

pub use remote::Bucket;

/// Where something named on the command line lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A file or folder, by its path or as `file://`.
    File(PathBuf),
    /// An object or a prefix.
    Object(Uri),
}

impl Location {
    /// What a path or URI means.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let text = path.to_str().unwrap_or_default();
        if let Some(uri) = Uri::parse(text) {
            return Self::Object(uri);
        }
        let local =
            text.strip_prefix("file://").and_then(|rest| rest.find('/').map(|at| &rest[at..]));
        let decoded = local.map(|local| percent_decode_str(local).decode_utf8_lossy().into_owned());
        Self::File(decoded.map_or_else(|| path.to_owned(), PathBuf::from))
    }

    /// Whether it is there as a folder, or ends like one.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        match self {
            Self::File(path) => {
                path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.is_dir()
            }
            Self::Object(uri) => uri.is_prefix(),
        }
    }

    /// Whether both are one file or object.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(a), Self::File(b)) => {
                a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
            }
            _ => self == other,
        }
    }
}

/// Name of an object or of a prefix, such as `s3://bucket/archive/a.pdf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    scheme: &'static str,
    bucket: String,
    /// As the store knows it: nothing in it is encoded.
    key: String,
}

/// Each scheme, and where its credentials come from.
const SCHEMES: [(&str, &str); 3] = [
    (
        "s3",
        "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION; AWS_ENDPOINT_URL for another server than Amazon's, and AWS_ALLOW_HTTP=true if it has no TLS",
    ),
    ("gs", "set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account's key"),
    ("az", "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"),
];

impl Uri {
    /// A URI of a scheme that is known.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (scheme, _) = SCHEMES.iter().find(|(known, _)| *known == scheme)?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        Some(Self { scheme, bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// The name in the bucket.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it says by its end that many objects are meant.
    #[must_use]
    pub fn is_prefix(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// The same, as the prefix of what lies below.
    #[must_use]
    pub fn folder(&self) -> Self {
        let slash = if self.is_prefix() { "" } else { "/" };
        Self { key: format!("{}{slash}", self.key), ..self.clone() }
    }

    /// Something below this prefix.
    #[must_use]
    pub fn join(&self, name: &Path) -> Self {
        let parts: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
        Self { key: format!("{}{}", self.folder().key, parts.join("/")), ..self.clone() }
    }

    /// The prefix that it is right below, and its name there.
    #[must_use]
    pub fn split(&self) -> (Self, &str) {
        let name = self.key.rsplit('/').next().unwrap_or_default();
        let key = self.key[..self.key.len() - name.len()].to_owned();
        (Self { key, ..self.clone() }, name)
    }

    /// As a path, for what takes either.
    #[must_use]
    pub fn to_path(&self) -> PathBuf {
        self.to_string().into()
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.scheme, self.bucket, self.key)
    }
}

/// An object as a list of objects tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name in the bucket.
    pub key: String,
    /// Its size.
    pub n_bytes: u64,
    /// What changes whenever its bytes do.
    pub version: Option<String>,
}

impl Listed {
    /// Whether it stands for a folder, as some programs and some stores have them.
    fn is_folder(&self) -> bool {
        self.n_bytes == 0 && Path::new(&self.key).extension().is_none()
    }
}

/// An object that was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// The version that these are the bytes of.
    pub version: Option<String>,
}

impl Search {
    /// The object of this name, or the documents below the prefix.
    pub(super) fn list(
        &self,
        bucket: &Bucket,
        uri: &Uri,
        found: &mut Found,
    ) -> Result<(), InputError> {
        let failed = |source| InputError::Path { path: uri.to_path(), source };
        let input = |object: Listed, relative: PathBuf| Input::Object {
            uri: Uri { key: object.key, ..uri.clone() },
            relative,
            n_bytes: object.n_bytes,
            version: object.version,
        };
        let mut missing = None;
        if !uri.is_prefix() {
            match bucket.head(&uri.key) {
                Ok(object) if object.is_folder() => {}
                Ok(object) => {
                    found.inputs.push(input(object, relative(uri.split().1)));
                    return Ok(());
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => missing = Some(e),
                Err(e) => return Err(failed(e)),
            }
        }
        let folder = uri.folder();
        let skip = self.skip.as_deref().map(Location::of).and_then(|location| match location {
            Location::Object(skip) => Some(skip.folder()).filter(|skip| *skip != folder),
            Location::File(_) => None,
        });
        let is_skipped = |key: &str| {
            skip.as_ref().is_some_and(|skip| {
                skip.scheme == uri.scheme && skip.bucket == uri.bucket && key.starts_with(&skip.key)
            })
        };
        let overrides = self.overrides(Path::new(""))?;
        let n_before = found.inputs.len();
        for object in bucket.list(&folder.key).map_err(failed)? {
            missing = None;
            let Some(below) = object.key.strip_prefix(&folder.key) else { continue };
            let path = Path::new(below);
            let is_hidden = below.split('/').any(|part| part.starts_with('.'));
            let in_ignored = path.ancestors().skip(1).any(|folder| {
                folder != Path::new("") && overrides.matched(folder, true).is_ignore()
            });
            if object.is_folder()
                || is_hidden
                || in_ignored
                || overrides.matched(path, false).is_ignore()
                || is_skipped(&object.key)
            {
                continue;
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if document::is_named_as_document(&name) {
                let relative = relative(below);
                found.inputs.push(input(object, relative));
            } else {
                found.pass_over(&name);
            }
        }
        if let Some(e) = missing {
            return Err(failed(e));
        }
        let by_name = |a: &Input, b: &Input| a.relative().cmp(b.relative());
        found.inputs[n_before..].sort_by(by_name);
        if found.inputs.len() == n_before {
            return Err(InputError::NoDocuments { path: uri.to_path() });
        }
        Ok(())
    }
}

/// A path below any folder, for an object of this name.
pub(super) fn relative(name: &str) -> PathBuf {
    let path = Path::new(name);
    let is_safe = path
        .components()
        .all(|part| matches!(part, Component::Normal(name) if name.len() <= MOST_NAME_BYTES));
    if is_safe { path.to_owned() } else { safe(name) }
}

/// Fetches a document and reads it.
pub(super) fn read(uri: &Uri, reading: &Reading) -> Result<Document, InputError> {
    let fetched = Bucket::open(uri).and_then(|bucket| bucket.get(&uri.key));
    let Fetched { bytes, version } =
        fetched.map_err(|source| InputError::Path { path: uri.to_path(), source })?;
    let extension = Path::new(&uri.key).extension().map(|e| e.to_string_lossy().to_lowercase());
    let mut document = reading.bytes(&uri.to_string(), bytes, extension.as_deref())?;
    document.source.version = version;
    Ok(document)
}

/// The way out of what befell an object.
pub(super) fn hint(path: &Path, error: &io::Error) -> Option<String> {
    let Location::Object(uri) = Location::of(path) else { return None };
    match error.kind() {
        io::ErrorKind::Unsupported => {
            Some("install it with them: cargo install --path . --features object-store".to_owned())
        }
        io::ErrorKind::PermissionDenied => SCHEMES
            .iter()
            .find(|(scheme, _)| *scheme == uri.scheme)
            .map(|(_, out)| (*out).to_owned()),
        _ => None,
    }
}
