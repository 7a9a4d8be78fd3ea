//! What decides a report, as one number: work that was done is known by it.

use std::fmt::Write;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::document::Reading;
use crate::report::Tool;
use crate::summary::{Evidence, Options, Reader};

/// All of a run's keys but the documents.
#[derive(Debug, Clone)]
pub struct Keys {
    common: String,
}

impl Keys {
    /// The keys of reports by this model, with these options, on documents read in this way.
    #[must_use]
    pub fn new(
        reader: &Reader<'_>,
        options: &Options,
        reading: &Reading,
        pages: Option<(u32, u32)>,
    ) -> Self {
        let (tool, about, decoding) = (Tool::this(), reader.about, &options.decoding);
        let ocr = reading.ocr.as_ref().map(|ocr| (&ocr.program, &ocr.language));
        let common = json!({
            "version": tool.version,
            "model": about.sha256,
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
            "pages": pages,
            "ocr": ocr,
        });
        Self { common: common.to_string() }
    }

    /// The key of the report on a document with this SHA-256.
    #[must_use]
    pub fn of(&self, sha256: &str) -> String {
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(format!("{sha256}\n{}", self.common)) {
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}
