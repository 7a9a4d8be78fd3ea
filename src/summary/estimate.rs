//! How much there is to do for a summary, and how fast it is done here, without doing it.

use std::time::{Duration, Instant};

use super::{Options, Reader, SummaryError, ask, budget::Budget, extract, n_pages, refusal, split};
use crate::cache::Layout;
use crate::document::Document;
use crate::stream::{Decoding, Limits, Stream};

/// What a summary takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Pages, or sections.
    pub n_pages: u32,
    /// Tokens to read: of the document, and of the prompts.
    pub n_fed: usize,
    /// Tokens of the document.
    pub n_tokens: usize,
    /// Chunks.
    pub n_chunks: usize,
    /// Tokens to write, about.
    pub n_written: usize,
    /// Why there would be no summary.
    pub refusal: Option<String>,
}

/// Tokens a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed {
    /// Of reading.
    pub reading: f64,
    /// Of writing, where the model writes.
    pub writing: Option<f64>,
}

impl Speed {
    /// How long that takes.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of tokens")]
    pub fn time(&self, estimate: &Estimate) -> Duration {
        let reading = estimate.n_fed as f64 / self.reading.max(1.0);
        let writing = self.writing.map_or(0.0, |rate| estimate.n_written as f64 / rate.max(1.0));
        Duration::from_secs_f64(reading + writing)
    }
}

/// What the summary of a document takes.
///
/// # Errors
/// As [`summarize`](super::summarize), if the options do not fit the model.
pub fn estimate(
    reader: &Reader<'_>,
    document: &Document,
    options: &Options,
) -> Result<Estimate, SummaryError> {
    let mut estimate = Estimate { n_pages: n_pages(document), ..Estimate::default() };
    if let Some(reason) = refusal(document) {
        return Ok(Estimate { refusal: Some(reason), ..estimate });
    }
    if reader.extract.is_some() {
        estimate.n_tokens = reader.tokenizer.count(&document.to_read(0..document.text.len()));
        estimate.n_fed = estimate.n_tokens;
        estimate.n_chunks = extract::chunks(document).len();
        return Ok(estimate);
    }
    let budget = Budget::new(reader, options, ask(None, options))?;
    let chunks = split(reader, document, &budget);
    estimate.n_chunks = chunks.len();
    estimate.n_tokens = chunks.iter().map(|chunk| chunk.n_tokens).sum();
    // Each chunk is read behind the instruction and the rolling summary, and asked about; its notes
    // are rolled into the summary, behind another instruction. SmolLM2-135M on 105,614 tokens: 941
    // tokens read for each chunk beside the text, where this says 866, and 372 written, where this
    // says 384.
    let n_around = 2 * (budget.layout.n_sink() + budget.n_reply);
    estimate.n_fed = estimate.n_tokens + estimate.n_chunks * n_around;
    estimate.n_written = estimate.n_chunks * 2 * budget.n_reply + 2 * options.n_words;
    Ok(estimate)
}

/// Tokens that are read and written to see how fast that is.
const N_READ: usize = 512;
const N_WRITTEN: usize = 16;

/// How fast the model reads and writes here.
///
/// # Errors
/// [`SummaryError`] if the model fails.
pub fn probe(reader: &Reader<'_>) -> Result<Speed, SummaryError> {
    let layout = Layout::new(1, N_READ + N_WRITTEN, N_READ / 2)?;
    let mut stream = Stream::new(reader.model, layout)?;
    let words = "The committee met on Tuesday and read the report of the engineer. ".repeat(N_READ);
    let mut ids = reader.tokenizer.encode_text(&words[..N_READ * 8])?;
    ids.truncate(N_READ);
    stream.begin(&ids[..1])?;
    stream.feed(&ids[1..])?; // the first time is slower: memory is touched
    let started = Instant::now();
    stream.feed(&ids)?;
    #[expect(clippy::cast_precision_loss, reason = "a number of tokens")]
    let rate = |n: usize, started: Instant| n as f64 / started.elapsed().as_secs_f64().max(1e-9);
    let reading = rate(ids.len(), started);
    let writing = if reader.extract.is_some() {
        None
    } else {
        let before = stream.usage().generating;
        let limits = Limits { n_max: N_WRITTEN, ..Limits::default() };
        let reply = stream.generate(&ids[..1], limits, &Decoding::default(), &mut |_| {})?;
        let secs = (stream.usage().generating - before).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a number of tokens")]
        let rate = reply.ids.len() as f64 / secs.max(1e-9);
        Some(rate)
    };
    Ok(Speed { reading, writing })
}
