//! What decides a report, as one number: work that was done is known by it.

use std::path::Path;

use serde_json::json;

use super::sha256_hex;
use crate::document::Reading;
use crate::report::{Format, Tool};
use crate::summary::{Evidence, Options, Reader};

/// Raised whenever the method, the reading of documents or the reports change within a version.
const METHOD: u32 = 2;

/// All of a run's keys but the documents.
#[derive(Debug, Clone)]
pub struct Keys {
    common: String,
}

impl Keys {
    /// The keys of reports by this model, with these options, on documents read in this way.
    #[must_use]
    pub fn new(reader: &Reader<'_>, options: &Options, reading: &Reading, format: Format) -> Self {
        let (tool, about, decoding) = (Tool::this(), reader.about, &options.decoding);
        let ocr = reading.ocr.as_ref().map(|ocr| (&ocr.program, &ocr.language));
        let common = json!({
            "version": tool.version,
            "method": METHOD,
            "format": format.extension(),
            "model": about.sha256,
            // What GPU it was plays no part: reports of one kind are as good as those of another.
            "dtype": about.dtype,
            "device": about.device,
            "sinks": options.n_sink,
            "window": options.n_window,
            "chunk": options.n_chunk,
            "n_words": options.n_words,
            "n_parts": options.n_parts,
            "evidence": match options.evidence {
                Evidence::Attention => "attention",
                Evidence::Words => "words",
            },
            "language": options.language,
            "prompts": options.prompts.sha256(reader.chat),
            // As bits: it is the numbers that count, not how they are written.
            "temperature": decoding.temperature.to_bits(),
            "top_p": decoding.top_p.to_bits(),
            "seed": decoding.seed,
            "repeat_penalty": decoding.repeat_penalty.to_bits(),
            "pages": options.pages,
            "ocr": ocr,
        });
        Self { common: common.to_string() }
    }

    /// The key of the report on a document with this SHA-256 and this name.
    #[must_use]
    pub fn of(&self, sha256: &str, name: &Path) -> String {
        // The extension tells Markdown from plain text.
        let extension = name.extension().map(|e| e.to_string_lossy().to_lowercase());
        let extension = extension.unwrap_or_default();
        sha256_hex(format!("{sha256}\n{extension}\n{}", self.common).as_bytes())
    }
}
