//! From files to a model: the only room of the tensor side that knows files and JSON.

pub mod config;
mod folder;
pub mod names;

use std::path::{Path, PathBuf};

pub use folder::Folder;

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("`{}` is damaged: {what}", path.display())]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A value of the configuration is missing or makes no sense.
    #[error("in the model's configuration `{key}` {what}")]
    Config {
        /// The key.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// A family that the decoder does not describe.
    #[error("models of the family `{family}` are not supported")]
    Family {
        /// The family.
        family: String,
    },
    /// A way of telling positions that cannot be streamed.
    #[error("a model with {what} cannot be streamed")]
    Unstreamable {
        /// What it has.
        what: &'static str,
    },
    /// The tensors do not make a model.
    #[error("`{}` cannot be used: {source}", path.display())]
    Model {
        /// The folder or file.
        path: PathBuf,
        /// Why not.
        source: crate::model::ModelError,
    },
}

impl LoadError {
    fn config(key: &str, what: impl Into<String>) -> Self {
        Self::Config { key: key.to_owned(), what: what.into() }
    }

    /// The way out, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Family { .. } => Some(format!("supported families: {}", config::FAMILIES.join(", "))),
            Self::Damaged { .. } => Some("fetch the model again; its files may be cut off".to_owned()),
            _ => None,
        }
    }
}

/// Whether this path looks like a model at all.
#[must_use]
pub fn is_model_path(path: &Path) -> bool {
    path.is_dir() || path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf"))
}
