//! Why a document could not be read, and the way out.

use std::path::PathBuf;

/// Why a document could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The file could not be opened or read.
    #[error("cannot read `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file has no bytes.
    #[error("`{uri}` is empty")]
    Empty {
        /// The file.
        uri: String,
    },
    /// The PDF is locked with a password.
    #[error("`{uri}` is locked with a password")]
    Password {
        /// The file.
        uri: String,
    },
    /// The file is named a PDF but does not begin like one.
    #[error("`{uri}` is not a PDF: no `%PDF-` in its first 1024 bytes")]
    NotPdf {
        /// The file.
        uri: String,
    },
    /// The PDF is damaged so badly that no page could be found.
    #[error("`{uri}` is damaged: {reason}")]
    Damaged {
        /// The file.
        uri: String,
        /// What stopped the reader.
        reason: String,
    },
    /// The password is not that of the PDF.
    #[error("the password does not open `{uri}`")]
    WrongPassword {
        /// The file.
        uri: String,
    },
    /// Unpacked, the file is longer than anything that can be read.
    #[error("`{uri}` unpacks to more than {n_most} bytes")]
    TooLarge {
        /// The file.
        uri: String,
        /// The most bytes that are unpacked.
        n_most: u64,
    },
    /// An archive of several documents.
    #[error("`{uri}` is an archive of {n_members} documents")]
    Archive {
        /// The file.
        uri: String,
        /// Files in it that may be documents.
        n_members: usize,
    },
    /// The file is of a known kind that is not read.
    #[error("`{uri}` is {kind}, which cannot be read")]
    Unsupported {
        /// The file.
        uri: String,
        /// The kind of file, with its article.
        kind: &'static str,
    },
    /// The file holds binary data.
    #[error("`{uri}` is not text in a known encoding ({n_bytes} bytes, {n_nul} of them zero)")]
    Binary {
        /// The file.
        uri: String,
        /// Zero bytes among the bytes that were looked at.
        n_nul: usize,
        /// Size of the file.
        n_bytes: usize,
    },
}

impl DocumentError {
    /// The way out, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { .. } => None,
            Self::Empty { .. } => Some("check that the file was copied or downloaded completely"),
            Self::Password { .. } => Some("give it with --password"),
            Self::WrongPassword { .. } => Some("the password for opening it is needed"),
            Self::TooLarge { .. } => Some("unpack it, and look at what it holds"),
            Self::Archive { .. } => Some("unpack it, and read the folder"),
            Self::NotPdf { .. } => Some("if it is text, rename it to .txt or .md"),
            Self::Damaged { .. } => {
                Some("download it again, or open it in a viewer and save a copy")
            }
            Self::Unsupported { .. } => Some("convert it to PDF or plain text first"),
            Self::Binary { .. } => Some(READABLE),
        }
    }
}

/// What can be read, for people.
const READABLE: &str = "PDF, HTML, EPUB, DOCX, ODT, RTF, mail, Markdown and plain text can be read";
