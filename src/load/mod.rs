//! From files to a model: the only room of the tensor side that knows files and JSON.

mod builtin;
pub mod config;
mod folder;
mod gguf;
pub mod hub;
pub mod known;
mod names;
mod open;

use std::path::PathBuf;

pub use folder::Folder;
pub use gguf::Gguf;
pub use open::{Extractor, Loaded, Outline};

/// No count in a configuration is larger: heads, widths, layers, tokens of a vocabulary. More is a
/// damaged file, and products of two of them still fit.
const MOST: usize = 1 << 24;

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
    /// A GGUF file of an architecture that is not read.
    #[error("GGUF files of the architecture `{family}` are not supported")]
    GgufFamily {
        /// The architecture.
        family: String,
    },
    /// A way of telling positions that cannot be streamed.
    #[error("a model with {what} cannot be streamed")]
    Unstreamable {
        /// What it has.
        what: &'static str,
    },
    /// Not in the cache, and downloads are switched off.
    #[error("the model `{id}` is not in the cache `{}`, and HF_HUB_OFFLINE is set", cache.display())]
    Offline {
        /// The repository.
        id: String,
        /// Where it was looked for.
        cache: PathBuf,
    },
    /// The hub cannot be reached, or lacks what is needed.
    #[error("cannot download the model `{id}`: {what}")]
    Download {
        /// The repository.
        id: String,
        /// What went wrong.
        what: String,
    },
    /// The hub has the repository, but not what is needed.
    #[error("cannot use the model `{id}`: {what}")]
    NotThere {
        /// The repository.
        id: String,
        /// What is lacking.
        what: String,
    },
    /// The tokenizer is damaged or of an unknown kind.
    #[error(transparent)]
    Token(#[from] crate::token::TokenError),
    /// The chat template cannot be used.
    #[error(transparent)]
    Chat(#[from] crate::prompt::PromptError),
    /// It cannot be had in this number type on this device.
    #[error(transparent)]
    Device(#[from] crate::device::DeviceError),
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
            Self::GgufFamily { .. } => {
                Some(format!("supported in GGUF: {}", gguf::ARCHITECTURES.join(", ")))
            }
            Self::Damaged { .. } => Some("fetch the model again; its files may be cut off".to_owned()),
            Self::Offline { .. } => {
                Some("unset HF_HUB_OFFLINE to download it, or give the path of a model that is here".to_owned())
            }
            Self::NotThere { .. } => {
                Some("name one of its GGUF files as org/name:file.gguf, or another model".to_owned())
            }
            Self::Download { .. } => Some(
                "check the name and the connection, or give the path of a folder of safetensors or of a GGUF file"
                    .to_owned(),
            ),
            Self::Token(e) => e.hint().map(str::to_owned),
            Self::Chat(e) => e.hint().map(str::to_owned),
            Self::Device(e) => Some(e.hint()),
            _ => None,
        }
    }
}
