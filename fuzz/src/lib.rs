//! The room `document`, and what must hold for whatever it reads.

#[path = "../../src/document/mod.rs"]
pub mod document;
#[path = "../../src/document/promises.rs"]
mod promises;
#[path = "../../src/sentence.rs"]
pub mod sentence;

use document::{Document, DocumentError};

/// Holds a document to its promises; an error is as good.
pub fn check(read: Result<Document, DocumentError>) {
    if let Ok(document) = read {
        promises::hold(&document);
    }
}
