//! The JSON we promise: `longsum.summary.v1`.
//!
//! Everything but `timings` is the same, byte for byte, for the same input, model and parameters on
//! the same device. Character ranges count Unicode scalar values of the normalized text, end
//! exclusive; page ranges count from 1, both ends included.

mod extract;
mod facts;
mod gate;
mod html;
mod markdown;
pub mod plot;
mod run;
mod text;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::check;
use crate::document::{self, Document, PageStatus};

pub use extract::Extract;
pub use facts::{Facts, SourceFacts};
pub use gate::{GateError, Gates};
pub use html::{html, index};
pub use markdown::markdown;
pub use run::{Counts, Entry, EntryTimings, Fate, RUN_SCHEMA, Run, RunTimings};
pub use text::{Look, plain, text};

/// Name of the format, in every report.
pub const SCHEMA: &str = "longsum.summary.v1";

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// All of it, as JSON.
    Json,
    /// The summary for people, in Markdown.
    Md,
    /// The same to look at, as one page.
    Html,
    /// The summary alone, in lines of this look. It does not say whether it still stands.
    Text(Look),
}

impl Format {
    /// Extension of the files it is written to.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Md => "md",
            Self::Html => "html",
            Self::Text(_) => "txt",
        }
    }

    /// A report in this format.
    ///
    /// # Errors
    /// If a report could not be written as JSON or by a template, which does not happen.
    pub fn render(self, report: &Report) -> Result<String, std::io::Error> {
        let mut text = match self {
            Self::Json => serde_json::to_string_pretty(report)?,
            Self::Html => html(report).map_err(std::io::Error::other)?,
            Self::Md if report.key.is_some() => {
                format!("{}\n{}", markdown(report), Facts::of(report).comment())
            }
            Self::Md => markdown(report),
            Self::Text(look) => text(report, look),
        };
        text.push('\n');
        Ok(text)
    }
}

/// What became of one document.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Report {
    /// Always `longsum.summary.v1`.
    pub schema: &'static str,
    /// The program that wrote this.
    pub tool: Tool,
    /// SHA-256 over all that decides the rest but for names and times: the bytes of the document,
    /// the weights, the prompts, what was asked for, the version of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether the document was summarized.
    pub status: Status,
    /// Why not, where `status` is `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The document.
    pub source: Source,
    /// The language model.
    pub model: Model,
    /// What the run was asked for.
    pub params: Params,
    /// The summary of the whole document; absent where `status` is `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// One entry for each section of a document with headings, where the model chooses sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<Section>,
    /// One entry for each chunk: what the text up to there says.
    pub rolling: Vec<Rolling>,
    /// One entry for each chunk: what was read.
    pub chunks: Vec<ChunkRead>,
    /// What can be checked without a reader.
    pub checks: Checks,
    /// Tokens and slots.
    pub usage: Usage,
    /// Times and memory: the only part that differs between two equal runs.
    pub timings: Timings,
    /// What a reader of the summary should know about the document or the run.
    pub warnings: Vec<Warning>,
}

/// The program.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Tool {
    /// `longsum`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl Tool {
    /// This program.
    #[must_use]
    pub fn this() -> Self {
        Self { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") }
    }
}

/// Whether the document was summarized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All of its text was read.
    Complete,
    /// Some pages could not be read, see `source.coverage`; the rest was.
    Partial,
    /// Nothing could be summarized.
    Failed,
}

/// The document.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Source {
    /// As it was named on the command line; `-` is standard input.
    pub uri: String,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
    /// What an object store calls this version of the object, its `ETag` where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Size in bytes.
    pub bytes: u64,
    /// `pdf`, `text`, `markdown`, `html`, `epub`, `docx`, `odt`, `rtf` or `email`.
    pub format: String,
    /// Title, where the file states one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What is counted as a page, here and in every `pages`: `pages`, or `sections` where the format
    /// has no pages (a section begins with a heading, a file of a book, a message).
    pub pages_are: &'static str,
    /// Pages of the file, also where only some were asked for.
    pub n_pages: u32,
    /// Characters of the normalized text.
    pub n_chars: usize,
    /// Parts of the normalized text that are kept in it and were not read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_read: Vec<NotRead>,
    /// What became of every page.
    pub coverage: Coverage,
}

impl Source {
    /// What a report says of a document.
    #[must_use]
    pub fn of(document: &Document) -> Self {
        let source = &document.source;
        Self {
            uri: source.uri.clone(),
            sha256: source.sha256.clone(),
            version: source.version.clone(),
            bytes: source.n_bytes,
            format: source.format.as_str().to_owned(),
            title: source.title.clone(),
            pages_are: source.format.division().as_str(),
            n_pages: u32::try_from(document.n_pages_of_file()).unwrap_or(u32::MAX),
            n_chars: document.char_offset(document.text.len()),
            not_read: NotRead::of(document),
            coverage: Coverage {
                text: document.page_ranges(PageStatus::Text),
                empty: document.page_ranges(PageStatus::Empty),
                needs_ocr: document.page_ranges(PageStatus::NeedsOcr),
                failed: document.page_ranges(PageStatus::Failed),
            },
        }
    }
}

/// Parts of the text of one kind that were not read.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct NotRead {
    /// `running_line` (headers, footers, page numbers), `footnote`, `contents` or `reference`.
    pub kind: &'static str,
    /// How many.
    pub n: usize,
    /// Characters of all of them.
    pub n_chars: usize,
}

impl NotRead {
    fn of(document: &Document) -> Vec<Self> {
        let mut all: BTreeMap<&str, Self> = BTreeMap::new();
        for aside in &document.asides {
            let kind = aside.kind.as_str();
            let of_kind = all.entry(kind).or_insert(Self { kind, n: 0, n_chars: 0 });
            of_kind.n += 1;
            of_kind.n_chars += document.text[aside.range.clone()].trim_end().chars().count();
        }
        all.into_values().collect()
    }
}

/// What became of every page: each is in exactly one list, as ranges `[first, last]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// Text was read.
    pub text: Vec<(u32, u32)>,
    /// Nothing is on them.
    pub empty: Vec<(u32, u32)>,
    /// Pictures without a text layer: run OCR first.
    pub needs_ocr: Vec<(u32, u32)>,
    /// They could not be read.
    pub failed: Vec<(u32, u32)>,
}

/// The language model.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Model {
    /// As it was named on the command line.
    pub id: String,
    /// Commit of the repository it came from, where it came from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// SHA-256 of the model, in hexadecimal: of its file, or of the list of the sums of all files that
    /// decide what it does.
    pub sha256: String,
    /// Family of the decoder.
    pub architecture: String,
    /// Quantization of most matrices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    /// Number type of activations and cache.
    pub dtype: String,
    /// Where it ran: on the `cpu`, or on a GPU by `cuda` or `metal`.
    pub device: String,
    /// Name of the GPU, where it ran on one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
}

/// What the run was asked for.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Params {
    /// Pinned slots of the cache.
    pub sinks: usize,
    /// Recent tokens a query sees, itself included.
    pub window: usize,
    /// Most tokens fed at once.
    pub chunk: usize,
    /// Most tokens of text between two notes.
    pub chunk_text: usize,
    /// Words the final summary was asked to have.
    pub n_words: usize,
    /// Language the summary was asked to be in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Name of the set of prompts.
    pub prompt_id: String,
    /// SHA-256 over all prompts in use.
    pub prompt_sha256: String,
    /// 0 is greedy.
    pub temperature: f64,
    /// Seed of the draws; without effect where `temperature` is 0.
    pub seed: u64,
    /// How much less likely tokens of a reply become to come again.
    pub repeat_penalty: f32,
    /// How sentences were found that statements rest on: by `attention` and words, by `words` alone,
    /// or by `choice`, where the statements are sentences of the document.
    pub evidence: &'static str,
    /// First and last page asked for, where not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pages: Option<(u32, u32)>,
    /// Parts that were read apart from each other, each with rolling summaries of its own, where it
    /// was not read as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_parts: Option<usize>,
}

/// The summary of the whole document.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Summary {
    /// All statements, one after the other.
    pub text: String,
    /// The statements with their sources.
    pub statements: Vec<Statement>,
    /// Why the reply ended.
    pub finish_reason: FinishReason,
}

/// One thing the summary says, and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Statement {
    /// The statement.
    pub text: String,
    /// Whether the document bears it out.
    pub support: Support,
    /// What it says that its citations do not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// Where it comes from, best first.
    pub citations: Vec<Citation>,
}

/// Whether the document bears a statement out, as far as a program can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// Sentences of the document were found for it, and nothing in it speaks against them.
    Supported,
    /// Sentences were found, but it has numbers, dates, names or a negation that they lack.
    Weak,
    /// No sentence was found.
    None,
}

/// Words of a statement that its citations do not bear out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fault {
    /// `number`, `date`, `name` or `negation`.
    pub kind: String,
    /// The words.
    pub text: String,
}

impl From<check::Fault> for Fault {
    fn from(fault: check::Fault) -> Self {
        let kind = match fault.kind {
            check::Kind::Number => "number",
            check::Kind::Date => "date",
            check::Kind::Name => "name",
            check::Kind::Negation => "negation",
        };
        Self { kind: kind.to_owned(), text: fault.text }
    }
}

/// A place in the document.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Citation {
    /// First and last page.
    pub pages: (u32, u32),
    /// What is printed on the first of them where that is not its number, or the title of the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Characters of the normalized text.
    pub chars: (usize, usize),
    /// The words at that place, copied from the document; absent where no sentence matches and the
    /// place is the whole passage that was being read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<Quote>,
    /// How surely the statement rests on the quote, 0 to 1: by the attention it paid to it while it
    /// was written and by the words they share; by the words alone where the model does not tell.
    pub score: f64,
}

/// Words copied from the document, as the Web Annotation model has them.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Quote {
    /// The words.
    pub exact: String,
    /// What stands right before.
    pub prefix: String,
    /// What stands right after.
    pub suffix: String,
}

/// A section and what it says.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// First and last page.
    pub pages: (u32, u32),
    /// What it says.
    pub summary: Summary,
}

/// What the text says, up to the end of a chunk.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Rolling {
    /// Number of the chunk, from 0.
    pub seq: usize,
    /// First and last page of the chunk.
    pub pages: (u32, u32),
    /// Summary of everything up to here.
    pub text: String,
    /// Notes taken of this chunk.
    pub statements: Vec<Statement>,
}

/// A piece of the document that was read at once.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ChunkRead {
    /// Number of the chunk, from 0.
    pub seq: usize,
    /// First and last page.
    pub pages: (u32, u32),
    /// Characters of the normalized text; all chunks together are the text.
    pub chars: (usize, usize),
    /// Tokens of its text.
    pub n_tokens: usize,
    /// Why the notes on it ended.
    pub finish_reason: FinishReason,
}

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it.
    Stop,
    /// The limit of tokens was reached.
    Length,
    /// The reply went round in circles and was cut.
    Repetition,
}

/// What can be checked without a reader. Shares are of the final summary, 0 to 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checks {
    /// How many citations with a quote the summary has in each tenth of what was read.
    pub coverage_by_decile: Vec<usize>,
    /// Tenths of the document with at least one.
    pub coverage: f64,
    /// Statements that are not `supported`.
    pub weak: f64,
    /// Statements for which no sentence of the document was found.
    pub unsupported: f64,
    /// Words that stand in the document in a run of at least eight.
    pub copy_ratio: f64,
    /// Words of the document for each word of the summary.
    pub compression: f64,
    /// Runs of four words that came before.
    pub repetition: f64,
    /// Language of the summary, by its English name, where it can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Whether that is the language asked for; absent where none was, or it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language_as_asked: Option<bool>,
}

/// Tokens and slots.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Usage {
    /// Tokens of the document's text.
    pub tokens_document: usize,
    /// Tokens fed: text and prompts.
    pub tokens_in: usize,
    /// Tokens generated.
    pub tokens_out: usize,
    /// Slots of the cache in each layer: `sinks + window - 1 + chunk`, never more.
    pub peak_cache_slots: usize,
    /// Tokens of the longest prompt with the longest reply it allowed; never more than `sinks +
    /// window`, which is what is seen at once. 0 where nothing was asked.
    pub longest_call: usize,
}

/// Times and memory of this run.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Timings {
    /// From opening the document to the end.
    pub total_secs: f64,
    /// Reading the document's text.
    pub extract_secs: f64,
    /// Feeding tokens.
    pub prefill_secs: f64,
    /// Generating tokens.
    pub decode_secs: f64,
    /// Tokens fed, each second of feeding.
    pub prefill_tokens_per_sec: f64,
    /// Tokens generated, each second of generating.
    pub decode_tokens_per_sec: f64,
    /// Memory the process holds after each tenth of the document, where the system tells.
    pub resident_bytes_by_decile: Vec<u64>,
    /// Most memory the process held, where the system tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

/// What a reader of the summary should know.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Warning {
    /// What kind, for programs.
    pub code: String,
    /// On which page, where on one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// For people.
    pub message: String,
}

impl From<&document::Warning> for Warning {
    fn from(warning: &document::Warning) -> Self {
        let code = warning.code.to_owned();
        Self { code, page: warning.page, message: warning.message.clone() }
    }
}

/// The JSON Schema of [`Report`] or [`Run`], as `longsum schema` prints it.
#[must_use]
pub fn schema<T: JsonSchema>() -> String {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>();
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
