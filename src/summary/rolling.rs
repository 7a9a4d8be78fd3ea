//! Reads a document chunk by chunk: notes on each, and the rolling summary carried on.

use std::collections::HashSet;

use super::budget::Budget;
use super::cite::Note;
use super::evidence::Sources;
use super::{Line, SummaryError, Writer, statements};
use crate::chunk::Chunk;
use crate::document::Document;
use crate::event::Event;
use crate::memory;
use crate::prompt::Ask;
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

/// Reads all chunks.
pub fn read(
    writer: &mut Writer<'_>,
    document: &Document,
    chunks: &[Chunk],
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Read, SummaryError> {
    let n = chunks.len();
    let mut read = Read {
        rolling: Vec::with_capacity(n),
        chunks: Vec::with_capacity(n),
        notes: Vec::new(),
        resident_bytes: Vec::new(),
    };
    let mut summary = String::new();
    let mut noted = HashSet::new();
    for chunk in chunks {
        let last = chunk.seq + 1 == n;
        let sources = feed(writer, &summary, document, chunk)?;
        observe(Event::ChunkFed {
            seq: chunk.seq,
            last_page: chunk.pages.1,
            n_tokens: chunk.n_tokens,
        });

        if !last {
            writer.stream.save()?;
        }
        let ask = Ask { n_words: Budget::words(writer.budget.n_reply), ..writer.ask };
        let prompt = writer.options.prompts.notes(writer.reader.chat, &summary, ask)?;
        let (_, question) = prompt.encode(writer.reader.tokenizer)?;
        let mut seen = || observe(Event::TokenWritten);
        let n_reply = writer.budget.n_reply;
        let suffix = &prompt.suffix;
        let mut reply =
            writer.ask_here(&question, suffix, n_reply, &summary, &sources, &mut seen)?;
        if reply.lines.is_empty() {
            let message = format!("the model wrote nothing usable on chunk {}", chunk.seq);
            writer.warn("no_notes", Some(chunk.pages.0), message);
        }
        reply.lines.retain(|line| !statements::is_among(&line.text, &noted));
        noted.extend(reply.lines.iter().map(|line| statements::words(&line.text)));
        let lines: Vec<String> = reply.lines.iter().map(|line| line.text.clone()).collect();
        summary = roll(writer, &summary, &lines, &mut seen)?;
        if !last {
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
    }
    Ok(read)
}

/// Pins the instruction and the rolling summary, and streams the text behind them; returns its
/// sentences as sources.
fn feed(
    writer: &mut Writer<'_>,
    summary: &str,
    document: &Document,
    chunk: &Chunk,
) -> Result<Sources, SummaryError> {
    let tokenizer = writer.reader.tokenizer;
    let ask = Ask { n_words: Budget::words(writer.budget.n_reply), ..writer.ask };
    let prompt = writer.options.prompts.notes(writer.reader.chat, summary, ask)?;
    let (prefix, suffix) = prompt.encode(tokenizer)?;
    if chunk.seq == 0 || prefix.len() > writer.stream.layout().n_sink() {
        // With fewer sinks than the prefix has tokens a part of it lives in the window, and has to
        // be fed again to be seen.
        writer.stream.begin(&prefix)?;
    } else {
        writer.stream.repin(&prefix)?;
    }
    let ids = tokenizer.encode_text(&document.to_read(chunk.range.clone()))?;
    let n_call = prefix.len() + ids.len() + suffix.len() + writer.budget.n_reply;
    writer.longest_call = writer.longest_call.max(n_call);
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
    let rolled = writer.ask_afresh(&prompt, n_rolling, &[], seen)?;
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
