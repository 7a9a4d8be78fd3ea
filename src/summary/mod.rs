//! The method: a document is read chunk by chunk, notes are taken, and the notes make the summary.
//!
//! This is where the two sides meet: text (documents, chunks, prompts) and tensors (a stream over a
//! language model). `rolling` reads, `finish` merges, `budget` counts tokens before any call,
//! `statements` cuts replies into statements, `evidence` tells what they looked at while they were
//! written, `cite` finds the sentences that one rests on, `checks` looks at the end result, `steps`
//! lets a run that was stopped go on. `extract` is the other way: a model trained for it scores sentences, and the best are the summary.
//!
//! Invariant: the final summary is made from the notes of every chunk, never from what the cache
//! still holds at the end; and no prompt is longer than the stream can see at once.

mod budget;
mod checks;
mod cite;
mod estimate;
pub mod evidence;
mod extract;
mod finish;
mod rolling;
mod statements;
mod steps;

use std::num::NonZeroUsize;
use std::ops::Range;
use std::time::Instant;

use unicode_segmentation::UnicodeSegmentation;

use crate::cache::Layout;
use crate::check;
use crate::chunk::{self, Chunk};
use crate::document::{Document, PageStatus};
use crate::event::Event;
use crate::language;
use crate::model::{LanguageModel, ModelError, Salience};
use crate::prompt::{self, Ask, ChatTemplate, Piece, PromptError, Prompts};
use crate::report::{
    Checks, FinishReason, Model, Params, Report, SCHEMA, Source, Status, Summary, Timings, Tool,
    Usage, Warning,
};
use crate::select::Weights;
use crate::sentence;
use crate::stream::{Decoding, Finish, Limits, Stream};
use crate::token::{TokenError, Tokenizer};

use budget::Budget;
use checks::checks;
use cite::Index;
use evidence::{NEUTRAL, Sources};
use steps::{Answer, Line, Lines, Steps, asked};

pub use estimate::{Estimate, Speed, estimate, probe};
pub use steps::{Journal, NoJournal, Put, Step, Stop, Take};

/// A language model with all that is needed to talk to it.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// The model.
    pub model: &'a dyn LanguageModel,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// Its chat template.
    pub chat: &'a ChatTemplate,
    /// Tokens that end a reply.
    pub stops: &'a [u32],
    /// What a report says of it.
    pub about: &'a Model,
    /// What chooses sentences, where the model was trained for that.
    pub extract: Option<(&'a Salience, &'a Weights)>,
}

/// What a summary is asked to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Pinned slots; by default as many as the longest pinned prompt has tokens.
    pub n_sink: Option<usize>,
    /// Recent tokens kept; by default a chunk, the question after it, and the reply.
    pub n_window: Option<usize>,
    /// Most tokens fed at once.
    pub n_chunk: Option<usize>,
    /// Words of the final summary.
    pub n_words: usize,
    /// How the sentences that a statement rests on are found.
    pub evidence: Evidence,
    /// Language to write in, by its English name.
    pub language: Option<String>,
    /// The prompts.
    pub prompts: Prompts,
    /// How tokens are chosen.
    pub decoding: Decoding,
    /// First and last page, where not all are asked for; for the report alone.
    pub pages: Option<(u32, u32)>,
    /// Parts that are read apart from each other, each by a stream of its own, so that several
    /// machines can share a document.
    pub n_parts: NonZeroUsize,
}

/// How the sentences that a written statement rests on are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Evidence {
    /// By the attention that was paid to them while it was written, and by the words they share.
    #[default]
    Attention,
    /// By the words alone.
    Words,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            n_sink: None,
            n_window: None,
            n_chunk: None,
            n_words: 200,
            evidence: Evidence::default(),
            language: None,
            prompts: Prompts::built_in(),
            decoding: Decoding::default(),
            pages: None,
            n_parts: NonZeroUsize::MIN,
        }
    }
}

/// Why a document could not be summarized with this model and these options.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// What is kept at once does not hold the question, the reply and some text.
    #[error("a window of {n_window} tokens is smaller than the prompt, which needs {n_needed}")]
    WindowTooSmall {
        /// The window asked for.
        n_window: usize,
        /// The smallest that works with these prompts.
        n_needed: usize,
    },
    /// More is to be kept at once than the model was trained to see.
    #[error(
        "{n_sink} sinks and a window of {n_window} are more than the {context} tokens the model was trained for"
    )]
    BeyondContext {
        /// Pinned slots.
        n_sink: usize,
        /// Recent tokens.
        n_window: usize,
        /// Tokens the model was trained to see at once.
        context: usize,
    },
    /// The cache cannot have this shape.
    #[error(transparent)]
    Layout(#[from] crate::cache::LayoutError),
    /// A template or the chat template failed.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// The tokenizer failed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The run was stopped before its end; its journal has what was done.
    #[error("stopped: {}", reason_of(.0))]
    Stopped(Stop),
}

fn reason_of(stop: &Stop) -> String {
    match stop {
        Stop::Asked => "it was asked to".to_owned(),
        Stop::OutOfTime { n_secs } => format!("the document took longer than {n_secs} s"),
    }
}

impl SummaryError {
    /// The way out, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::WindowTooSmall { n_needed, .. } => {
                Some(format!("ask for --window {n_needed} or more, or leave it out"))
            }
            Self::BeyondContext { .. } => {
                Some("ask for a smaller --window, --sinks or --chunk".to_owned())
            }
            Self::Prompt(e) => e.hint().map(str::to_owned),
            Self::Token(e) => e.hint().map(str::to_owned),
            Self::Stopped(Stop::OutOfTime { .. }) => {
                Some("allow more with --time-limit; what was done is kept".to_owned())
            }
            Self::Layout(_) | Self::Model(_) | Self::Stopped(Stop::Asked) => None,
        }
    }
}

pub use extract::word_facts;

/// Summaries of a document, one for each of these lengths in words, and what can be checked of
/// each.
///
/// # Errors
/// As [`summarize`].
pub fn summaries(
    reader: &Reader<'_>,
    document: &Document,
    options: &Options,
    n_words: &[usize],
) -> Result<Vec<(Summary, Checks)>, SummaryError> {
    let summaries = if reader.extract.is_some() {
        extract::extracts(reader, document, options, n_words)?
    } else {
        let nothing = || Summary {
            text: String::new(),
            statements: Vec::new(),
            finish_reason: FinishReason::Stop,
        };
        let one = |&n_words: &usize| {
            let options = Options { n_words, ..options.clone() };
            let report = summarize(reader, document, &options, &mut |_| {})?;
            Ok(report.summary.unwrap_or_else(nothing))
        };
        n_words.iter().map(one).collect::<Result<_, SummaryError>>()?
    };
    let checked = summaries.into_iter().map(|summary| {
        let checks = checks(document, &summary, options.language.as_deref());
        (summary, checks)
    });
    Ok(checked.collect())
}

/// Reads a document to its end and returns the report on it.
///
/// A document without text gives a report whose status is `failed`, not an error.
///
/// # Errors
/// [`SummaryError`] if the options do not fit the model, or the model fails.
pub fn summarize(
    reader: &Reader<'_>,
    document: &Document,
    options: &Options,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Report, SummaryError> {
    resume(reader, document, options, &mut NoJournal, observe)
}

/// As [`summarize`], but goes on from the steps that the journal has, and keeps its own there.
///
/// # Errors
/// As [`summarize`], and [`SummaryError::Stopped`] if the journal says so.
pub fn resume(
    reader: &Reader<'_>,
    document: &Document,
    options: &Options,
    journal: &mut dyn Journal,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Report, SummaryError> {
    if let Some(heads) = reader.extract {
        return extract::summarize(reader, heads, document, options, journal, observe);
    }
    let started = Instant::now();
    let title = document.source.title.as_deref().map(short);
    let ask = ask(title.as_deref(), options);
    let budget = Budget::new(reader, options, ask)?;
    let mut report = blank(reader, document, options, &budget.layout, budget.n_text.get());
    if let Some(reason) = refusal(document) {
        report.status = Status::Failed;
        report.reason = Some(reason);
        return Ok(report);
    }
    let chunks = split(reader, document, &budget);
    let n_tokens = chunks.iter().map(|c| c.n_tokens).sum();
    observe(begun(document, chunks.len(), &budget.layout));
    let mut writer = Writer::new(reader, options, ask, budget, document, &chunks, journal)?;
    writer.steps.tell(observe);
    let all = 0..chunks.len();
    let read = rolling::read(&mut writer, document, &chunks, all, observe)?;
    let summary = finish::finish(&mut writer, read.notes, observe)?;

    let usage = writer.stream.usage();
    report.usage = Usage {
        tokens_document: n_tokens,
        tokens_in: writer.steps.n_fed,
        tokens_out: writer.steps.n_generated,
        peak_cache_slots: writer.stream.n_slots(),
        longest_call: writer.steps.longest_call,
    };
    report.timings = Timings {
        total_secs: started.elapsed().as_secs_f64(),
        extract_secs: 0.0,
        prefill_secs: usage.feeding.as_secs_f64(),
        decode_secs: usage.generating.as_secs_f64(),
        prefill_tokens_per_sec: rate(usage.n_fed, usage.feeding.as_secs_f64()),
        decode_tokens_per_sec: rate(usage.n_generated, usage.generating.as_secs_f64()),
        resident_bytes_by_decile: read.resident_bytes,
        peak_memory_bytes: crate::memory::peak_bytes(),
    };
    report.warnings.extend(writer.warnings);
    report.checks = checks(document, &summary, options.language.as_deref());
    report.rolling = read.rolling;
    report.chunks = read.chunks;
    if summary.statements.is_empty() {
        report.status = Status::Failed;
        report.reason =
            Some(format!("the model wrote nothing usable on `{}`", document.source.uri));
    } else {
        report.summary = Some(summary);
    }
    Ok(report)
}

/// Checks that the options fit the model, before any document is read.
///
/// # Errors
/// [`SummaryError`] if they do not. A document with a long title may need a little more.
pub fn check(reader: &Reader<'_>, options: &Options) -> Result<(), SummaryError> {
    if reader.extract.is_none() {
        Budget::new(reader, options, ask(None, options))?;
    }
    Ok(())
}

/// The shape of the streams that documents are read in; one with a long title may need a little more.
///
/// # Errors
/// [`SummaryError`] if the options do not fit the model.
pub fn layout(reader: &Reader<'_>, options: &Options) -> Result<Layout, SummaryError> {
    Ok(match reader.extract {
        Some(_) => extract::layout(reader, options)?,
        None => Budget::new(reader, options, ask(None, options))?.layout,
    })
}

/// One of the parts of a document that are read apart from each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// First and last page.
    pub pages: (u32, u32),
    /// Chunks.
    pub n_chunks: usize,
    /// Bytes of its text.
    pub n_bytes: usize,
}

/// The parts of a document, as many as were asked for if it has so many chunks; none if it has too
/// little text.
///
/// # Errors
/// As [`summarize`], if the options do not fit the model.
pub fn parts(
    reader: &Reader<'_>,
    document: &Document,
    options: &Options,
) -> Result<Vec<Part>, SummaryError> {
    if refusal(document).is_some() {
        return Ok(Vec::new());
    }
    let chunks = if reader.extract.is_some() {
        extract::chunks(document)
    } else {
        let title = document.source.title.as_deref().map(short);
        let budget = Budget::new(reader, options, ask(title.as_deref(), options))?;
        split(reader, document, &budget).into_iter().map(|chunk| chunk.range).collect()
    };
    let n_parts = options.n_parts.get().min(chunks.len());
    let part = |k| {
        let of_part = &chunks[rolling::chunks_of(k, chunks.len(), options.n_parts)];
        let range = of_part.first().map_or(0, |c| c.start)..of_part.last().map_or(0, |c| c.end);
        let (pages, n_bytes) = (document.pages_of(range.clone()), range.len());
        Part { pages, n_chunks: of_part.len(), n_bytes }
    };
    Ok((0..n_parts).map(part).collect())
}

/// Reads one of the [`parts`] of a document, from 0. What was found lies in the journal; the journals
/// of all parts, one behind the other, are one that [`resume`] goes on from.
///
/// # Errors
/// As [`resume`].
pub fn map(
    reader: &Reader<'_>,
    document: &Document,
    options: &Options,
    part: usize,
    journal: &mut dyn Journal,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<(), SummaryError> {
    if refusal(document).is_some() {
        return Ok(());
    }
    if let Some((salience, _)) = reader.extract {
        return extract::map(reader, salience, document, options, part, journal, observe);
    }
    let title = document.source.title.as_deref().map(short);
    let ask = ask(title.as_deref(), options);
    let budget = Budget::new(reader, options, ask)?;
    let chunks = split(reader, document, &budget);
    let these = rolling::chunks_of(part, chunks.len(), options.n_parts);
    observe(begun(document, chunks.len(), &budget.layout));
    let mut writer = Writer::new(reader, options, ask, budget, document, &chunks, journal)?;
    writer.steps.tell(observe);
    rolling::read(&mut writer, document, &chunks, these, observe)?;
    Ok(())
}

fn ask<'a>(title: Option<&'a str>, options: &'a Options) -> Ask<'a> {
    Ask { title, language: options.language.as_deref(), n_words: options.n_words }
}

fn split(reader: &Reader<'_>, document: &Document, budget: &Budget) -> Vec<Chunk> {
    chunk::split(document, budget.n_text, &|text| reader.tokenizer.count(text))
}

fn begun(document: &Document, n_chunks: usize, layout: &Layout) -> Event<'static> {
    Event::Started {
        n_pages: n_pages(document),
        pages_are: document.source.format.division().as_str(),
        n_chunks,
        n_sink: layout.n_sink(),
        n_window: layout.n_window(),
        n_at_once: layout.n_chunk(),
    }
}

fn n_pages(document: &Document) -> u32 {
    u32::try_from(document.n_pages_of_file()).unwrap_or(u32::MAX)
}

/// All that stays the same while one document is summarized.
struct Writer<'a> {
    reader: &'a Reader<'a>,
    options: &'a Options,
    ask: Ask<'a>,
    budget: Budget,
    index: Index<'a>,
    stream: Stream<'a>,
    warnings: Vec<Warning>,
    steps: Steps<'a>,
    n_chunks: usize,
}

impl<'a> Writer<'a> {
    fn new(
        reader: &'a Reader<'a>,
        options: &'a Options,
        ask: Ask<'a>,
        budget: Budget,
        document: &'a Document,
        chunks: &'a [Chunk],
        journal: &'a mut dyn Journal,
    ) -> Result<Self, SummaryError> {
        Ok(Self {
            reader,
            options,
            ask,
            index: Index::new(document, chunks),
            stream: Stream::new(reader.model, budget.layout)?,
            budget,
            warnings: Vec::new(),
            steps: Steps::new(journal),
            n_chunks: chunks.len(),
        })
    }

    /// Asks in a stream of its own: what was read before is forgotten. The statements of the reply
    /// may come from `quoted`: lines of the prompt, in its order. `what` names the step.
    fn ask_afresh(
        &mut self,
        what: &str,
        prompt: &[Piece],
        n_max: usize,
        quoted: &[String],
        seen: &mut dyn FnMut(),
    ) -> Result<Lines, SummaryError> {
        let tokenizer = self.reader.tokenizer;
        let ids = prompt::encode(prompt, tokenizer)?;
        let asked = asked(&format!("{what} {n_max}"), [bytes_of(&ids).as_slice()]);
        if let Some(Answer::Lines(lines)) = self.steps.known(&asked) {
            return Ok(lines);
        }
        self.stream.start(ids.len())?;
        let sources = if quoted.is_empty() {
            Sources::default()
        } else {
            let pieces = evidence::lines_in(&tokenizer.decode(&ids)?, quoted.iter());
            Sources::new(tokenizer, &ids, self.stream.next_index(), pieces.into_iter())
        };
        let lines = self.ask_here(&ids, prompt, n_max, "", &sources, seen)?;
        let answer = Answer::Lines(lines.clone());
        self.steps.keep(asked, answer, ids.len() + n_max, &self.stream);
        Ok(lines)
    }

    /// Asks behind what the stream holds. `prompt` is what is asked, in words; nothing long of it
    /// or of `said` comes back in the reply.
    fn ask_here(
        &mut self,
        ids: &[u32],
        prompt: &[Piece],
        n_max: usize,
        said: &str,
        sources: &Sources,
        seen: &mut dyn FnMut(),
    ) -> Result<Lines, SummaryError> {
        let tokenizer = self.reader.tokenizer;
        let said = tokenizer.encode_text(said)?;
        let watch = match self.options.evidence {
            Evidence::Attention => sources.watch.clone(),
            Evidence::Words => 0..0,
        };
        let limits = Limits { n_max, stops: self.reader.stops, said: &said, watch };
        let reply = self.stream.generate(ids, limits, &self.options.decoding, &mut |_| seen())?;
        let text = tokenizer.decode(&reply.ids)?;
        let mut lines = statements::split(&text, prompt);
        if reply.finish == Finish::Length && lines.len() > 1 {
            lines.pop(); // cut off in the middle
        }
        if let Some(language) = self.options.language.as_deref() {
            // What is short cannot be told and stays.
            lines.retain(|line| language::is(line, language) != Some(false));
        }
        let places = evidence::places(tokenizer, &reply.ids, &text, &lines);
        let neutral = if reply.attention.is_empty() || lines.is_empty() {
            Vec::new()
        } else {
            self.stream.attention(&tokenizer.encode_text(NEUTRAL)?, sources.watch.clone())?
        };
        let standing = sources.standing(&reply.attention, &neutral, &places);
        let lines = lines.into_iter().zip(standing);
        let lines = lines.map(|(text, standing)| Line { text, standing }).collect();
        Ok(Lines { lines, finish: reply.finish.into() })
    }

    fn warn(&mut self, code: &str, page: Option<u32>, message: String) {
        self.warnings.push(Warning { code: code.to_owned(), page, message });
    }

    fn count(&self, text: &str) -> usize {
        self.reader.tokenizer.count(text)
    }

    /// The first lines that together have at most `n_tokens` tokens; of the first at least its
    /// beginning, so that nothing is ever made of something.
    fn within(&self, lines: &[String], n_tokens: usize) -> Vec<String> {
        let n_kept = self.n_within(lines.iter().map(String::as_str), n_tokens);
        let mut kept = lines[..n_kept].to_vec();
        if kept.is_empty()
            && let Some(first) = lines.first()
        {
            kept.push(self.beginning(first, n_tokens));
        }
        kept
    }

    /// How many of the lines, from the first on, together have at most `n_tokens` tokens.
    fn n_within<'l>(&self, lines: impl Iterator<Item = &'l str>, n_tokens: usize) -> usize {
        let mut left = n_tokens;
        let fits = |line: &&str| match left.checked_sub(self.count(line) + 2) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        };
        lines.take_while(fits).count()
    }

    /// As many words of a line as have at most `n_tokens` tokens, at least one.
    fn beginning(&self, line: &str, n_tokens: usize) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let fits = |n: &usize| self.count(&words[..*n].join(" ")) + 3 <= n_tokens;
        let n_words = (1..words.len()).rev().find(fits).unwrap_or(1);
        format!("{}…", words[..n_words.min(words.len())].join(" "))
    }
}

/// Token ids as bytes.
fn bytes_of(ids: &[u32]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.to_le_bytes()).collect()
}

impl From<Finish> for FinishReason {
    fn from(finish: Finish) -> Self {
        match finish {
            Finish::Stop => Self::Stop,
            Finish::Length => Self::Length,
            Finish::Repetition => Self::Repetition,
        }
    }
}

/// A title as prompts take it: some documents have theirs go on for pages.
fn short(title: &str) -> String {
    const N_CHARS: usize = 200;
    let line = title.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(N_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of tokens")]
fn rate(n: usize, secs: f64) -> f64 {
    if secs > 0.0 { n as f64 / secs } else { 0.0 }
}

/// The report before anything was read.
fn blank(
    reader: &Reader<'_>,
    document: &Document,
    options: &Options,
    layout: &Layout,
    n_text: usize,
) -> Report {
    let source = Source::of(document);
    let coverage = &source.coverage;
    let all_read = coverage.needs_ocr.is_empty() && coverage.failed.is_empty();
    let warnings = document.warnings.iter().map(Warning::from);
    let remarks = reader.model.spec().remarks.iter().map(|remark| Warning {
        code: "model_fixed".to_owned(),
        page: None,
        message: remark.clone(),
    });
    let warnings = warnings.chain(orders(document)).chain(remarks);
    Report {
        schema: SCHEMA,
        tool: Tool::this(),
        key: None,
        status: if all_read { Status::Complete } else { Status::Partial },
        reason: None,
        source,
        model: reader.about.clone(),
        params: Params {
            sinks: layout.n_sink(),
            window: layout.n_window(),
            chunk: layout.n_chunk(),
            chunk_text: n_text,
            n_words: options.n_words,
            language: options.language.clone(),
            prompt_id: options.prompts.prompt_id().to_owned(),
            prompt_sha256: options.prompts.sha256(reader.chat),
            temperature: options.decoding.temperature,
            seed: options.decoding.seed,
            repeat_penalty: options.decoding.repeat_penalty,
            pages: options.pages,
            n_parts: (options.n_parts.get() > 1).then_some(options.n_parts.get()),
            evidence: match (reader.extract.is_some(), options.evidence) {
                (true, _) => "choice",
                (_, Evidence::Attention) => "attention",
                (_, Evidence::Words) => "words",
            },
        },
        summary: None,
        sections: Vec::new(),
        rolling: Vec::new(),
        chunks: Vec::new(),
        checks: Checks::default(),
        usage: Usage::default(),
        timings: Timings::default(),
        warnings: warnings.collect(),
    }
}

/// Sentences that talk to a language model, the first of each page.
fn orders(document: &Document) -> impl Iterator<Item = Warning> {
    let mut last = 0;
    let sentences = sentence::split(&document.text).into_iter();
    let is_order = |range: &Range<usize>| {
        !document.is_aside(range.start) && check::is_order(&document.text[range.clone()])
    };
    sentences.filter(is_order).filter_map(move |range| {
        let page = document.pages_of(range.clone()).0;
        let is_first = page != last;
        last = page;
        is_first.then(|| Warning {
            code: "reads_as_instructions".to_owned(),
            page: Some(page),
            message: format!(
                "the document talks to a language model, which was told not to listen: {}",
                short(&document.text[range])
            ),
        })
    })
}

/// Words that a document must have: fewer are their own summary.
const N_LEAST_WORDS: usize = 12;

/// Why a document has too little text to be summarized, if it has.
fn refusal(document: &Document) -> Option<String> {
    if !document.has_text() {
        return Some(no_text(document));
    }
    let to_read = document.to_read(0..document.text.len());
    let n_words = to_read.unicode_words().take(N_LEAST_WORDS).count();
    let uri = &document.source.uri;
    let n_scanned = document.n_pages(PageStatus::NeedsOcr);
    if n_words < N_LEAST_WORDS {
        let word = if n_words == 1 { "word" } else { "words" };
        let scanned = match n_scanned {
            0 => String::new(),
            n => format!("; {n} of its {} pages need OCR", document.pages.len()),
        };
        return Some(format!("`{uri}` has {n_words} {word}: too little to summarize{scanned}"));
    }
    None
}

fn no_text(document: &Document) -> String {
    let (uri, n_pages) = (&document.source.uri, document.pages.len());
    let n = |status| document.n_pages(status);
    let said = match (n(PageStatus::Failed), n(PageStatus::NeedsOcr)) {
        (0, 0) => "no text".to_owned(),
        (0, n_scanned) => format!("no text layer: {n_scanned} need OCR"),
        (n_failed, 0) => format!("no text: {n_failed} could not be read"),
        (n_failed, n_scanned) => {
            format!("no text: {n_failed} could not be read, {n_scanned} need OCR")
        }
    };
    format!("`{uri}` has {n_pages} pages but {said}")
}
