//! Reads a document chunk by chunk: notes on each, and the rolling summary carried on.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::ops::Range;

use super::budget::Budget;
use super::cite::Note;
use super::evidence::Sources;
use super::steps::{Answer, Line, Lines, asked};
use super::{SummaryError, Writer, bytes_of, statements};
use crate::chunk::Chunk;
use crate::document::Document;
use crate::event::Event;
use crate::memory;
use crate::prompt::{Ask, NotesPrompt};
use crate::report::{ChunkRead, Rolling};

/// What reading leaves behind.
pub struct Read {
    /// For the report.
    pub rolling: Vec<Rolling>,
    /// For the report.
    pub chunks: Vec<ChunkRead>,
    /// The notes on each chunk.
    pub notes: Vec<Vec<Note>>,
    /// Memory held after each tenth of the document.
    pub resident_bytes: Vec<u64>,
}

/// Which of `n_parts` parts a chunk belongs to, of `n` chunks in all.
fn part_of(seq: usize, n: usize, n_parts: NonZeroUsize) -> usize {
    seq * n_parts.get().min(n) / n.max(1)
}

/// The chunks of a part.
pub fn chunks_of(part: usize, n: usize, n_parts: NonZeroUsize) -> Range<usize> {
    let n_before = |part: usize| (0..n).take_while(|&seq| part_of(seq, n, n_parts) < part).count();
    n_before(part)..n_before(part + 1)
}

/// Whether a stream of its own begins with this chunk.
pub fn begins_part(seq: usize, n: usize, n_parts: NonZeroUsize) -> bool {
    seq == 0 || part_of(seq, n, n_parts) != part_of(seq - 1, n, n_parts)
}

/// A chunk that the stream has not seen yet, and the rolling summary it was read behind.
type Behind<'a> = Vec<(&'a Chunk, String)>;

/// Reads these of all chunks. The first of them begins a part.
///
/// What an earlier run did is taken from its steps; the stream follows once it is needed.
pub fn read(
    writer: &mut Writer<'_>,
    document: &Document,
    chunks: &[Chunk],
    these: Range<usize>,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Read, SummaryError> {
    let (n, n_parts) = (chunks.len(), writer.options.n_parts);
    let mut read = Read {
        rolling: Vec::with_capacity(these.len()),
        chunks: Vec::with_capacity(these.len()),
        notes: Vec::new(),
        resident_bytes: Vec::new(),
    };
    let mut summary = String::new();
    let mut noted = HashSet::new();
    let mut behind = Behind::new();
    for chunk in &chunks[these] {
        if begins_part(chunk.seq, n, n_parts) {
            summary.clear();
            noted.clear();
            behind.clear();
        }
        // Nothing is fed to the stream behind the last chunk of a part.
        let goes_on = chunk.seq + 1 < n && !begins_part(chunk.seq + 1, n, n_parts);
        let (mut reply, is_live) =
            notes(writer, document, (chunk, &summary), &mut behind, goes_on, observe)?;
        if reply.lines.is_empty() {
            let message = format!("the model wrote nothing usable on chunk {}", chunk.seq);
            writer.warn("no_notes", Some(chunk.pages.0), message);
        }
        reply.lines.retain(|line| !statements::is_among(&line.text, &noted));
        noted.extend(reply.lines.iter().map(|line| statements::words(&line.text)));
        let lines: Vec<String> = reply.lines.iter().map(|line| line.text.clone()).collect();
        let mut seen = || observe(Event::TokenWritten);
        summary = roll(writer, chunk.seq, &summary, &lines, &mut seen)?;
        if goes_on && is_live {
            writer.stream.restore()?;
        }
        observe(Event::Rolled { seq: chunk.seq, text: &summary });

        let (scope, index) = (chunk.seq..chunk.seq + 1, &writer.index);
        let places = index.places(chunk.seq);
        let note = |line: &Line| index.note(line, &scope, &places);
        let notes: Vec<Note> = reply.lines.iter().map(note).collect();
        read.rolling.push(Rolling {
            seq: chunk.seq,
            pages: chunk.pages,
            text: summary.clone(),
            statements: notes.iter().map(|note| index.statement(note)).collect(),
        });
        let chars = document.char_range(chunk.range.clone());
        read.chunks.push(ChunkRead {
            seq: chunk.seq,
            pages: chunk.pages,
            chars: (chars.start, chars.end),
            n_tokens: chunk.n_tokens,
            finish_reason: reply.finish,
        });
        read.notes.push(notes);
        let tenth = |k: usize| k * 10 / n;
        if tenth(chunk.seq + 1) > tenth(chunk.seq) {
            read.resident_bytes.extend(memory::resident_bytes());
        }
        let stream = (goes_on && is_live).then_some(&writer.stream);
        writer.steps.end_of_chunk(chunk.seq + 1, stream)?;
    }
    Ok(read)
}

/// The notes on a chunk, and whether the model was asked for them: if an earlier run has them the
/// stream stays `behind`.
fn notes<'a>(
    writer: &mut Writer<'_>,
    document: &Document,
    (chunk, summary): (&'a Chunk, &str),
    behind: &mut Behind<'a>,
    goes_on: bool,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<(Lines, bool), SummaryError> {
    let (seq, last_page) = (chunk.seq, chunk.pages.1);
    let fed = Event::ChunkFed { seq, last_page, n_tokens: chunk.n_tokens };
    let (prompt, prefix, question) = prompt_behind(writer, summary)?;
    let text = document.to_read(chunk.range.clone());
    let asked = asked(
        &format!("notes {seq}"),
        [bytes_of(&prefix).as_slice(), text.as_bytes(), &bytes_of(&question)],
    );
    if let Some(Answer::Lines(lines)) = writer.steps.known(&asked) {
        behind.push((chunk, summary.to_owned()));
        observe(fed);
        return Ok((lines, false));
    }
    catch_up(writer, document, behind)?;
    let sources = feed(writer, &prefix, document, chunk)?;
    observe(fed);
    if goes_on {
        writer.stream.save()?;
    }
    let n_reply = writer.budget.n_reply;
    let mut seen = || observe(Event::TokenWritten);
    let lines =
        writer.ask_here(&question, &prompt.suffix, n_reply, summary, &sources, &mut seen)?;
    let n_call = prefix.len() + sources.watch.len() + question.len() + n_reply;
    writer.steps.keep(asked, Answer::Lines(lines.clone()), n_call, &writer.stream);
    Ok((lines, true))
}

/// Brings the stream to the end of what an earlier run read.
fn catch_up(
    writer: &mut Writer<'_>,
    document: &Document,
    behind: &mut Behind<'_>,
) -> Result<(), SummaryError> {
    let Some((first, last)) = behind.first().zip(behind.last()) else { return Ok(()) };
    let ends = first.0.seq + 1..=last.0.seq + 1;
    if let Some(n_chunks) = writer.steps.restore(&mut writer.stream, ends) {
        behind.retain(|(chunk, _)| chunk.seq >= n_chunks);
    }
    for (chunk, summary) in behind.drain(..) {
        let (_, prefix, _) = prompt_behind(writer, &summary)?;
        feed(writer, &prefix, document, chunk)?;
        writer.steps.go_on()?;
    }
    writer.steps.caught_up(&writer.stream);
    Ok(())
}

/// What is asked of a chunk behind this rolling summary: the prompt, and the tokens before and behind
/// the chunk.
fn prompt_behind(
    writer: &Writer<'_>,
    summary: &str,
) -> Result<(NotesPrompt, Vec<u32>, Vec<u32>), SummaryError> {
    let ask = Ask { n_words: Budget::words(writer.budget.n_reply), ..writer.ask };
    let prompt = writer.options.prompts.notes(writer.reader.chat, summary, ask)?;
    let (prefix, question) = prompt.encode(writer.reader.tokenizer)?;
    Ok((prompt, prefix, question))
}

/// Pins the instruction and the rolling summary, and streams the text behind them; returns its
/// sentences as sources.
fn feed(
    writer: &mut Writer<'_>,
    prefix: &[u32],
    document: &Document,
    chunk: &Chunk,
) -> Result<Sources, SummaryError> {
    let tokenizer = writer.reader.tokenizer;
    let begins = begins_part(chunk.seq, writer.n_chunks, writer.options.n_parts);
    if begins || prefix.len() > writer.stream.layout().n_sink() {
        // With fewer sinks than the prefix has tokens a part of it lives in the window, and has to
        // be fed again to be seen.
        writer.stream.begin(prefix)?;
    } else {
        writer.stream.repin(prefix)?;
    }
    let ids = tokenizer.encode_text(&document.to_read(chunk.range.clone()))?;
    let first = writer.stream.next_index();
    // Where each sentence stands in what is fed.
    let sentences = chunk.sentences.iter().scan(0, |end, range| {
        let start = *end;
        *end += range.len();
        Some(start..*end)
    });
    let sources = Sources::new(tokenizer, &ids, first, sentences);
    writer.stream.feed(&ids)?;
    Ok(sources)
}

/// Folds notes into the rolling summary.
fn roll(
    writer: &mut Writer<'_>,
    seq: usize,
    summary: &str,
    notes: &[String],
    seen: &mut dyn FnMut(),
) -> Result<String, SummaryError> {
    let n_rolling = writer.budget.n_rolling;
    let old: Vec<String> = summary.lines().map(str::to_owned).collect();
    let together: Vec<String> = old.iter().chain(notes).cloned().collect();
    let all = writer.within(&together, n_rolling);
    if all.len() == together.len() {
        return Ok(all.join("\n")); // it still fits as it is
    }
    let ask = Ask { n_words: Budget::words(n_rolling), ..writer.ask };
    let prompt = writer.options.prompts.roll(writer.reader.chat, summary, notes, ask)?;
    let rolled = writer.ask_afresh(&format!("roll {seq}"), &prompt, n_rolling, &[], seen)?;
    let lines: Vec<String> = rolled.lines.into_iter().map(|line| line.text).collect();
    let kept = writer.within(&lines, n_rolling);
    if kept.is_empty() {
        // Nothing usable came back: half of the old and half of the new is better than neither.
        let mut kept = writer.within(&old, n_rolling / 2);
        kept.extend(writer.within(notes, n_rolling / 2));
        return Ok(kept.join("\n"));
    }
    Ok(kept.join("\n"))
}
