//! Summaries made of the document's own sentences, chosen by a model that was trained to.
//!
//! The document streams behind the sink in passages that the window holds, each sentence followed
//! by the mark of its kind, each passage by the token that asks for its gist. Two heads score every
//! sentence; what together says most is the summary. Nothing is written, so nothing is invented.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::time::Instant;

use candle_core::Tensor;

use super::checks::checks;
use super::rolling::{begins_part, chunks_of};
use super::steps::{Answer, Journal, Steps, asked};
use super::{Options, Reader, SummaryError, begun, blank, cite, rate, refusal};
use crate::cache::Layout;
use crate::document::Document;
use crate::event::Event;
use crate::memory;
use crate::model::{Ends, ModelError, Salience, Scores};
use crate::report::{
    ChunkRead, FinishReason, Report, Rolling, Section, Statement, Status, Summary, Support,
    Timings, Usage,
};
use crate::select::{self, N_FACTS, Sentence, Terms, Weights, Words};
use crate::sentence;
use crate::stream::Stream;
use crate::token::{TokenError, Tokenizer};

/// Most tokens of a passage; with the token after it, it fits the window the model was trained in.
const N_PASSAGE: usize = 240;
/// Words of document between two rolling summaries.
const N_CHUNK_WORDS: usize = 1000;
/// Words of a rolling summary, and of the notes on one chunk.
const N_ROLLING_WORDS: usize = 80;
const N_NOTES_WORDS: usize = 50;
/// A section needs so many words of text to be summarized, and gets one word for so many.
const N_SECTION_WORDS: usize = 120;
const N_WORDS_A_WORD: usize = 20;
/// Words of a section's summary, at least and at most.
const SECTION_WORDS: Range<usize> = 25..60;

/// Whether a paragraph opens with the mark of a note.
fn is_note(text: &str) -> bool {
    let text = text.trim_start();
    let in_brackets = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    // A raised digit may have come down: "6The recording".
    let behind = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let mut letters = behind.chars();
    let glued = behind.len() < text.len()
        && letters.next().is_some_and(char::is_uppercase)
        && letters.next().is_some_and(char::is_lowercase);
    glued
        || text.starts_with(select::is_raised)
        || in_brackets
            .is_some_and(|(mark, _)| mark.len() < 4 && mark.bytes().all(|b| b.is_ascii_digit()))
}

/// Tokens that stand for structure; a document cannot write them.
struct Marks {
    sink: u32,
    sentence: u32,
    paragraph: u32,
    heading: u32,
    summarize: u32,
}

impl Marks {
    fn new(tokenizer: &Tokenizer) -> Result<Self, SummaryError> {
        let id = |name: &str| {
            tokenizer.token_id(name).ok_or_else(|| {
                ModelError::from(candle_core::Error::Msg(format!("the vocabulary has no `{name}`")))
            })
        };
        Ok(Self {
            sink: id("<|sink|>")?,
            sentence: id("<|sentence|>")?,
            paragraph: id("<|paragraph|>")?,
            heading: id("<|heading|>")?,
            summarize: id("<|summarize|>")?,
        })
    }
}

/// A sentence without the mark of a note at its end.
fn unmarked(document: &Document, range: &Range<usize>) -> Range<usize> {
    let text = document.text[range.clone()].trim_end();
    range.start..range.start + text.trim_end_matches(select::is_raised).len()
}

/// A sentence without the mark of a note, on one line.
fn one_line(document: &Document, range: &Range<usize>) -> String {
    let words = document.text[unmarked(document, range)].split_whitespace();
    words.collect::<Vec<_>>().join(" ")
}

/// The token in which each word of a text ends.
fn word_ends(text: &str, ids: &[u32], tokenizer: &Tokenizer) -> Vec<usize> {
    let ends = tokenizer.ends(ids);
    let last = ids.len().saturating_sub(1);
    let place =
        |(at, word): (usize, &str)| ends.partition_point(|&e| e < at + word.len()).min(last);
    select::words(text).map(place).collect()
}

/// A document cut into sentences.
struct Cut<'a> {
    document: &'a Document,
    ranges: Vec<Range<usize>>,
    sentences: Vec<Sentence>,
    words: Words,
}

impl<'a> Cut<'a> {
    fn new(document: &'a Document) -> Self {
        let mut ranges = sentence::split(&document.text);
        ranges.retain(|range| !document.is_aside(range.start));
        let mut words = Words::default();
        let heads = &document.headings;
        let sentences = ranges.iter().map(|range| {
            let at = heads.partition_point(|heading| heading.range.start < range.start);
            let is_heading = heads.get(at).is_some_and(|h| h.range.end <= range.end);
            words.sentence(&one_line(document, range), is_heading)
        });
        let mut sentences: Vec<Sentence> = sentences.collect();
        select::settle(&mut sentences);
        let mut in_note = false;
        let mut begins = true;
        for (sentence, range) in sentences.iter_mut().zip(&ranges) {
            let text = &document.text[range.clone()];
            in_note = is_note(text) || in_note && !begins;
            begins = text[text.trim_end().len()..].contains("\n\n");
            sentence.may_stand &= !in_note;
        }
        Self { document, ranges, sentences, words }
    }

    /// A sentence without the mark of a note at its end.
    fn range(&self, i: usize) -> Range<usize> {
        unmarked(self.document, &self.ranges[i])
    }

    /// A sentence on one line.
    fn text(&self, i: usize) -> String {
        one_line(self.document, &self.ranges[i])
    }

    /// The token ids of a sentence and its mark, and where in them it ends.
    fn encode(
        &self,
        i: usize,
        tokenizer: &Tokenizer,
        marks: &Marks,
    ) -> Result<(Vec<u32>, Ends), TokenError> {
        let text = self.text(i);
        let mut ids = tokenizer.encode_text(&text)?;
        let ends = Ends { words: word_ends(&text, &ids, tokenizer), mark: ids.len() };
        let whole = &self.document.text[self.ranges[i].clone()];
        let gap = &whole[whole.trim_end().len()..];
        ids.push(if self.sentences[i].is_heading {
            marks.heading
        } else if gap.contains("\n\n") || i + 1 == self.ranges.len() {
            marks.paragraph
        } else {
            marks.sentence
        });
        Ok((ids, ends))
    }

    /// These sentences in the order of the document, as statements.
    fn statements(&self, mut chosen: Vec<usize>) -> Vec<Statement> {
        chosen.sort_unstable();
        let statement = |&i: &usize| Statement {
            text: self.text(i),
            support: Support::Supported,
            faults: Vec::new(),
            citations: vec![cite::quote(self.document, self.range(i), 1.0)],
        };
        chosen.iter().map(statement).collect()
    }

    fn summary(&self, chosen: Vec<usize>) -> Summary {
        let statements = self.statements(chosen);
        let texts: Vec<&str> = statements.iter().map(|s| s.text.as_str()).collect();
        Summary { text: texts.join(" "), statements, finish_reason: FinishReason::Stop }
    }

    /// Runs of sentences of about [`N_CHUNK_WORDS`] words.
    fn chunks(&self) -> Vec<Range<usize>> {
        let (mut chunks, mut start, mut n_words) = (Vec::new(), 0, 0);
        for (i, sentence) in self.sentences.iter().enumerate() {
            if n_words > 0 && n_words + sentence.n_words > N_CHUNK_WORDS {
                chunks.push(start..i);
                (start, n_words) = (i, 0);
            }
            n_words += sentence.n_words;
        }
        if start < self.sentences.len() {
            chunks.push(start..self.sentences.len());
        }
        chunks
    }

    /// Sections of the highest rank of heading that comes more than once: heading and sentences.
    fn sections(&self) -> Vec<(usize, Range<usize>)> {
        let heads = &self.document.headings;
        let n_of = |level: u8| heads.iter().filter(|h| h.level == level).count();
        let Some(level) = (1..=6).find(|&level| n_of(level) > 1) else { return Vec::new() };
        let starts: Vec<usize> = heads
            .iter()
            .filter(|h| h.level <= level)
            .map(|h| self.ranges.partition_point(|range| range.end <= h.range.start))
            .collect();
        let ends = starts.iter().skip(1).copied().chain([self.ranges.len()]);
        starts.iter().zip(ends).map(|(&start, end)| (start, start..end)).collect()
    }
}

/// A stream over a document's sentences.
struct Scorer<'a> {
    reader: &'a Reader<'a>,
    salience: &'a Salience,
    marks: Marks,
    stream: Stream<'a>,
}

impl<'a> Scorer<'a> {
    fn new(
        reader: &'a Reader<'a>,
        salience: &'a Salience,
        layout: Layout,
    ) -> Result<Self, SummaryError> {
        let marks = Marks::new(reader.tokenizer)?;
        let stream = Stream::new(reader.model, layout)?;
        Ok(Self { reader, salience, marks, stream })
    }

    /// Begins with the sink; what was read before is forgotten.
    fn begin(&mut self) -> Result<(), SummaryError> {
        Ok(self.stream.begin(&[self.marks.sink])?)
    }

    /// Scores these sentences, which go on where the last ones ended; and counts their tokens.
    fn score(
        &mut self,
        cut: &Cut<'_>,
        sentences: Range<usize>,
    ) -> Result<(Vec<Scores>, usize), SummaryError> {
        let (mut scores, mut ids, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        let mut n_tokens = 0;
        for i in sentences {
            let (of_sentence, mut at) = cut.encode(i, self.reader.tokenizer, &self.marks)?;
            if !ids.is_empty() && ids.len() + of_sentence.len() > N_PASSAGE {
                scores.extend(self.passage(&mut ids, &mut ends)?);
            }
            n_tokens += of_sentence.len();
            at.words.iter_mut().chain([&mut at.mark]).for_each(|place| *place += ids.len());
            ids.extend(of_sentence);
            ends.push(at);
        }
        if !ids.is_empty() {
            scores.extend(self.passage(&mut ids, &mut ends)?);
        }
        Ok((scores, n_tokens))
    }

    fn passage(
        &mut self,
        ids: &mut Vec<u32>,
        ends: &mut Vec<Ends>,
    ) -> Result<Vec<Scores>, SummaryError> {
        ids.push(self.marks.summarize);
        let mut states: Vec<Tensor> = Vec::new();
        self.stream.states(ids, |part| states.push(part))?;
        let states = Tensor::cat(&states, 0).map_err(ModelError::from)?;
        let scores = self.salience.score(&states, ends)?;
        ids.clear();
        ends.clear();
        Ok(scores)
    }
}

/// The shape of the stream: the sink, and the window that the model was trained in.
pub fn layout(reader: &Reader<'_>, options: &Options) -> Result<Layout, SummaryError> {
    let n_sink = options.n_sink.unwrap_or(1);
    let n_window = options.n_window.unwrap_or(reader.model.spec().context.saturating_sub(1).max(1));
    let n_chunk = options.n_chunk.unwrap_or(N_PASSAGE + 16);
    Ok(Layout::new(n_sink, n_window, n_chunk)?)
}

/// What the model thinks of sentences, in the unit of what their words are worth.
fn weigh(scores: &[Scores], weights: &Weights) -> Vec<f64> {
    let one = |s: &Scores| weights.last * f64::from(s.last) + weights.chunk * f64::from(s.chunk);
    scores.iter().map(one).collect()
}

/// Summaries of a document, one for each of these lengths in words, without a report.
pub fn extracts(
    reader: &Reader<'_>,
    document: &Document,
    options: &Options,
    n_words: &[usize],
) -> Result<Vec<Summary>, SummaryError> {
    let whole = Whole::read(reader, document, options)?;
    let (terms, all) = (whole.terms(), 0..whole.cut.sentences.len());
    let salience = whole.salience();
    let one = |&n_words: &usize| {
        whole.cut.summary(terms.choose(all.clone(), n_words, whole.weights, &salience))
    };
    Ok(n_words.iter().map(one).collect())
}

/// Each word of a document with the facts that speak for it in a summary as long as the reference,
/// how often the document has it, and how often the reference: what `selection.json` is learnt from.
///
/// # Errors
/// [`SummaryError`] if the model was not trained to choose sentences, or fails.
pub fn word_facts(
    reader: &Reader<'_>,
    document: &Document,
    reference: &str,
) -> Result<Vec<([f64; N_FACTS], f64, usize)>, SummaryError> {
    let mut whole = Whole::read(reader, document, &Options::default())?;
    let reference = whole.cut.words.sentence(reference, false);
    Ok(whole.terms().against(&reference))
}

/// A document read to its end without a report.
struct Whole<'a> {
    cut: Cut<'a>,
    weights: &'a Weights,
    scores: Vec<Scores>,
}

impl<'a> Whole<'a> {
    fn read(
        reader: &Reader<'a>,
        document: &'a Document,
        options: &Options,
    ) -> Result<Self, SummaryError> {
        let Some((salience, weights)) = reader.extract else {
            let message = "the model was not trained to choose sentences".to_owned();
            return Err(ModelError::from(candle_core::Error::Msg(message)).into());
        };
        let cut = Cut::new(document);
        let all = 0..cut.sentences.len();
        let mut scorer = Scorer::new(reader, salience, layout(reader, options)?)?;
        scorer.begin()?;
        let (scores, _) = scorer.score(&cut, all)?;
        Ok(Self { cut, weights, scores })
    }

    fn terms(&self) -> Terms<'_> {
        let mut terms = Terms::new(&self.cut.words, &self.cut.sentences);
        let odds: Vec<&[f32]> = self.scores.iter().map(|s| s.words.as_slice()).collect();
        terms.read(&odds);
        terms
    }

    fn salience(&self) -> Vec<f64> {
        weigh(&self.scores, self.weights)
    }
}

/// Reads the chunks of a document, as far as an earlier run has not.
struct Reading<'a> {
    cut: &'a Cut<'a>,
    chunks: &'a [Range<usize>],
    scorer: Scorer<'a>,
    steps: Steps<'a>,
    /// Chunks that the stream has not seen yet.
    behind: Vec<usize>,
    n_parts: NonZeroUsize,
}

impl<'a> Reading<'a> {
    fn new(
        scorer: Scorer<'a>,
        cut: &'a Cut<'a>,
        chunks: &'a [Range<usize>],
        n_parts: NonZeroUsize,
        journal: &'a mut dyn Journal,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Self {
        observe(begun(cut.document, chunks.len(), scorer.stream.layout()));
        let steps = Steps::new(journal);
        steps.tell(observe);
        Self { cut, chunks, scorer, steps, behind: Vec::new(), n_parts }
    }

    /// Scores of the sentences of a chunk, and how many tokens they have.
    fn read(&mut self, seq: usize) -> Result<(Vec<Scores>, usize), SummaryError> {
        let begins = begins_part(seq, self.chunks.len(), self.n_parts);
        if begins {
            self.behind.clear();
        }
        let sentences = &self.cut.ranges[self.chunks[seq].clone()];
        let texts = sentences.iter().map(|range| self.cut.document.text[range.clone()].as_bytes());
        let asked = asked(&format!("scores {seq}"), texts);
        if let Some(Answer::Scores(scores, n_tokens)) = self.steps.known(&asked) {
            self.behind.push(seq);
            return Ok((scores.iter().map(Scores::from).collect(), n_tokens));
        }
        self.catch_up()?;
        let (scores, n_tokens) = self.feed(seq)?;
        let answer = Answer::Scores(scores.iter().map(Into::into).collect(), n_tokens);
        self.steps.keep(asked, answer, 0, &self.scorer.stream);
        Ok((scores, n_tokens))
    }

    fn feed(&mut self, seq: usize) -> Result<(Vec<Scores>, usize), SummaryError> {
        if begins_part(seq, self.chunks.len(), self.n_parts) {
            self.scorer.begin()?;
        }
        self.scorer.score(self.cut, self.chunks[seq].clone())
    }

    /// Brings the stream to the end of what an earlier run read.
    fn catch_up(&mut self) -> Result<(), SummaryError> {
        let ends = self.behind.first().zip(self.behind.last());
        let Some((&first, &last)) = ends else { return Ok(()) };
        if let Some(n_chunks) = self.steps.restore(&mut self.scorer.stream, first + 1..=last + 1) {
            self.behind.retain(|&seq| seq >= n_chunks);
        }
        for seq in std::mem::take(&mut self.behind) {
            self.feed(seq)?;
            self.steps.go_on()?;
        }
        self.steps.caught_up(&self.scorer.stream);
        Ok(())
    }

    fn end_of_chunk(&mut self, seq: usize) -> Result<(), SummaryError> {
        let is_last = seq + 1 == self.chunks.len();
        let is_fed = self.behind.is_empty() && !is_last;
        self.steps.end_of_chunk(seq + 1, is_fed.then_some(&self.scorer.stream))
    }
}

/// The chunks of a document, in bytes of its text.
pub fn chunks(document: &Document) -> Vec<Range<usize>> {
    let cut = Cut::new(document);
    let bytes = |of: Range<usize>| cut.ranges[of.start].start..cut.ranges[of.end - 1].end;
    cut.chunks().into_iter().map(bytes).collect()
}

/// Scores the sentences of one part of a document.
pub fn map(
    reader: &Reader<'_>,
    salience: &Salience,
    document: &Document,
    options: &Options,
    part: usize,
    journal: &mut dyn Journal,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<(), SummaryError> {
    let cut = Cut::new(document);
    let chunks = cut.chunks();
    let scorer = Scorer::new(reader, salience, layout(reader, options)?)?;
    let mut reading = Reading::new(scorer, &cut, &chunks, options.n_parts, journal, observe);
    for seq in chunks_of(part, chunks.len(), options.n_parts) {
        let (_, n_tokens) = reading.read(seq)?;
        let range = cut.ranges[chunks[seq].start].start..cut.ranges[chunks[seq].end - 1].end;
        observe(Event::ChunkFed { seq, last_page: document.pages_of(range).1, n_tokens });
        reading.end_of_chunk(seq)?;
    }
    Ok(())
}

/// Reads a document to its end and returns the report on it.
pub fn summarize(
    reader: &Reader<'_>,
    (salience, weights): (&Salience, &Weights),
    document: &Document,
    options: &Options,
    journal: &mut dyn Journal,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Report, SummaryError> {
    let started = Instant::now();
    let layout = layout(reader, options)?;
    let mut report = blank(reader, document, options, &layout, N_PASSAGE);
    if let Some(reason) = refusal(document) {
        report.status = Status::Failed;
        report.reason = Some(reason);
        return Ok(report);
    }
    let cut = Cut::new(document);
    let chunks = cut.chunks();
    let scorer = Scorer::new(reader, salience, layout)?;
    let mut reading = Reading::new(scorer, &cut, &chunks, options.n_parts, journal, observe);
    let mut terms = Terms::new(&cut.words, &cut.sentences);
    let mut salience = Vec::with_capacity(cut.sentences.len());
    let mut carried: Vec<usize> = Vec::new();
    let mut resident_bytes = Vec::new();
    for (seq, chunk) in chunks.iter().enumerate() {
        let (scores, n_tokens) = reading.read(seq)?;
        if begins_part(seq, chunks.len(), options.n_parts) {
            carried.clear();
        }
        salience.extend(weigh(&scores, weights));
        let odds: Vec<Vec<f32>> = scores.into_iter().map(|s| s.words).collect();
        terms.read(&odds);
        let range = cut.ranges[chunk.start].start..cut.ranges[chunk.end - 1].end;
        let pages = document.pages_of(range.clone());
        observe(Event::ChunkFed { seq, last_page: pages.1, n_tokens });
        let notes = terms.choose(chunk.clone(), N_NOTES_WORDS, weights, &salience);
        let among = carried.iter().copied().chain(notes.iter().copied());
        carried = terms.choose(among, N_ROLLING_WORDS, weights, &salience);
        let text = cut.summary(carried.clone()).text;
        observe(Event::Rolled { seq, text: &text });
        report.rolling.push(Rolling { seq, pages, text, statements: cut.statements(notes) });
        let chars = document.char_range(range);
        report.chunks.push(ChunkRead {
            seq,
            pages,
            chars: (chars.start, chars.end),
            n_tokens,
            finish_reason: FinishReason::Stop,
        });
        let tenth = |k: usize| k * 10 / chunks.len();
        if tenth(seq + 1) > tenth(seq) {
            resident_bytes.extend(memory::resident_bytes());
        }
        reading.end_of_chunk(seq)?;
    }
    let longest = report.chunks.iter().map(|chunk| chunk.n_tokens).max();
    report.params.chunk_text = longest.unwrap_or_default();
    let all = 0..cut.sentences.len();
    let summary = cut.summary(terms.choose(all, options.n_words, weights, &salience));
    report.sections = sections(&cut, &terms, weights, &salience);
    report.checks = checks(document, &summary, options.language.as_deref());
    finish(&mut report, &reading);
    report.timings.total_secs = started.elapsed().as_secs_f64();
    report.timings.resident_bytes_by_decile = resident_bytes;
    if summary.statements.is_empty() {
        report.status = Status::Failed;
        report.reason = Some(format!("`{}` has no sentence to choose", document.source.uri));
    } else {
        report.summary = Some(summary);
    }
    Ok(report)
}

/// Sections with enough text, each with its best sentences.
fn sections(cut: &Cut<'_>, terms: &Terms<'_>, weights: &Weights, salience: &[f64]) -> Vec<Section> {
    let mut sections = Vec::new();
    for (heading, sentences) in cut.sections() {
        let of = cut.sentences[sentences.clone()].iter().filter(|s| s.may_stand);
        let n_words: usize = of.map(|s| s.n_words).sum();
        if n_words < N_SECTION_WORDS {
            continue;
        }
        let n_asked = (n_words / N_WORDS_A_WORD).clamp(SECTION_WORDS.start, SECTION_WORDS.end);
        let range = cut.ranges[sentences.start].start..cut.ranges[sentences.end - 1].end;
        sections.push(Section {
            title: cut.text(heading),
            pages: cut.document.pages_of(range),
            summary: cut.summary(terms.choose(sentences, n_asked, weights, salience)),
        });
    }
    sections
}

fn finish(report: &mut Report, reading: &Reading<'_>) {
    let streamed = reading.scorer.stream.usage();
    let secs = streamed.feeding.as_secs_f64();
    report.usage = Usage {
        tokens_document: report.chunks.iter().map(|chunk| chunk.n_tokens).sum(),
        tokens_in: reading.steps.n_fed,
        tokens_out: 0,
        peak_cache_slots: reading.scorer.stream.n_slots(),
        longest_call: 0,
    };
    report.timings = Timings {
        prefill_secs: secs,
        prefill_tokens_per_sec: rate(streamed.n_fed, secs),
        peak_memory_bytes: memory::peak_bytes(),
        ..Timings::default()
    };
}
