//! Merges the notes of all chunks, as a tree for each part of the document, into the final summary.
//!
//! Every merge sees, beside the notes, sentences of the document that they rest on; and what it
//! writes is cited from the evidence of its parts alone, checked again. Every prompt is counted
//! before it is run, so no step can overflow at any length of document; and every merge at least
//! halves what goes into it, so the tree ends.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;

use super::budget::{Budget, N_LEAST_FINAL};
use super::cite::{Note, Place};
use super::steps::Line;
use super::{SummaryError, Writer, statements};
use crate::event::Event;
use crate::prompt::{self, Ask, Piece, PromptError};
use crate::report::{FinishReason, Summary};

/// Notes on neighbouring chunks.
#[derive(Debug, Clone)]
struct Group {
    /// The chunks they come from.
    chunks: Range<usize>,
    notes: Vec<Note>,
}

/// Words that one part of the final summary is written in, about.
const N_PART_WORDS: usize = 20;
/// Tokens around a line in a prompt: its bullet and its end.
const N_BULLET: usize = 4;

/// Writes the final summary from the notes of every chunk.
///
/// It is written part by part, in the order of the document, each part from the notes of its own
/// stretch: a model that dwells on the beginning of what it reads cannot drop the end. Notes that
/// rest on no sentence of their chunk are not carried into it while there are better ones.
pub fn finish(
    writer: &mut Writer<'_>,
    notes: Vec<Vec<Note>>,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Summary, SummaryError> {
    let n_chunks = notes.len();
    let groups: Vec<Group> = notes
        .into_iter()
        .enumerate()
        .filter(|(_, notes)| !notes.is_empty())
        .map(|(seq, notes)| Group { chunks: seq..seq + 1, notes: founded(notes) })
        .collect();
    let n_parts = (writer.ask.n_words / N_PART_WORDS).clamp(1, groups.len().max(1));
    let parts = portions(groups, n_parts, n_chunks);
    let ask = Ask { n_words: writer.ask.n_words / parts.len().max(1), ..writer.ask };
    let n_most = (2 * ask.n_words).clamp(N_LEAST_FINAL, writer.budget.n_final);
    let mut summary =
        Summary { text: String::new(), statements: Vec::new(), finish_reason: FinishReason::Stop };
    let mut said = HashSet::new();
    for part in parts {
        let chunks = span(&part);
        let notes = gather(writer, part, observe)?;
        let (prompts, chat) = (writer.options.prompts.clone(), writer.reader.chat);
        let lines: Vec<String> = notes.iter().map(|note| note.text.clone()).collect();
        let build = |evidence: &[String]| prompts.finish(chat, &lines, evidence, ask);
        let (mut written, reason) = write(writer, &notes, &chunks, n_most, &build, observe)?;
        let (first, last) = (chunks.start, chunks.end - 1);
        if written.is_empty() {
            let message = format!(
                "the model wrote no final summary of chunks {first} to {last}; their notes stand for it"
            );
            writer.warn("no_final", None, message);
            written = within(writer, &notes, n_most);
        } else if !written.iter().any(Note::is_founded) && notes.iter().any(Note::is_founded) {
            let message = format!(
                "no sentence matches what the model wrote on chunks {first} to {last}; notes stand for it"
            );
            writer.warn("unsupported_part", None, message);
            written = spread_within(writer, &founded(notes), n_most);
        }
        // Small models open every part alike.
        written.retain(|note| said.insert(statements::words(&note.text)));
        let n_written = written.len();
        let written = founded(written);
        if written.len() < n_written {
            let message = format!(
                "{} of {n_written} statements on chunks {first} to {last} left out: no sentence bears them out",
                n_written - written.len()
            );
            writer.warn("statements_left_out", None, message);
        }
        summary.statements.extend(written.iter().map(|note| writer.index.statement(note)));
        if reason != FinishReason::Stop {
            summary.finish_reason = reason;
        }
    }
    let texts: Vec<&str> = summary.statements.iter().map(|s| s.text.as_str()).collect();
    summary.text = texts.join("\n");
    Ok(summary)
}

/// Shares the groups out into at most `n_parts` parts, each of the same stretch of the document.
fn portions(groups: Vec<Group>, n_parts: usize, n_chunks: usize) -> Vec<Vec<Group>> {
    let mut parts: Vec<Vec<Group>> = vec![Vec::new(); n_parts];
    for group in groups {
        parts[group.chunks.start * n_parts / n_chunks.max(1)].push(group);
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// The notes of a part, merged until they fit the prompt of its summary.
fn gather(
    writer: &mut Writer<'_>,
    mut groups: Vec<Group>,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Vec<Note>, SummaryError> {
    let n_room = writer.budget.room_for_notes(writer.budget.n_final);
    let mut level = 0;
    // A lone note that is too long is cut by its prompt.
    while total(writer, &groups) > n_room && groups.iter().map(|g| g.notes.len()).sum::<usize>() > 1
    {
        groups = merge_level(writer, groups, level, observe)?;
        level += 1;
    }
    Ok(groups.into_iter().flat_map(|group| group.notes).collect())
}

/// Replaces every run of groups that fits one prompt by what the model makes of it.
fn merge_level(
    writer: &mut Writer<'_>,
    groups: Vec<Group>,
    level: usize,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Vec<Group>, SummaryError> {
    let n_room = writer.budget.room_for_notes(writer.budget.n_reply);
    let parts = pack(writer, groups, n_room);
    let n_parts = parts.len();
    let mut merged = Vec::with_capacity(n_parts);
    for (done, part) in parts.into_iter().enumerate() {
        observe(Event::Merging { level, done, n_parts });
        let chunks = span(&part);
        let text = |note: &Note| note.text.clone();
        let lists: Vec<Vec<String>> =
            part.iter().map(|g| g.notes.iter().map(text).collect()).collect();
        let notes: Vec<Note> = part.into_iter().flat_map(|g| g.notes).collect();
        // At most half of what goes in may come out, or the tree would not end.
        let n_half = notes.iter().map(|note| writer.count(&note.text) + 2).sum::<usize>() / 2;
        let n_most = n_half.min(writer.budget.n_reply);
        let ask = Ask { n_words: Budget::words(n_most), ..writer.ask };
        let (prompts, chat) = (writer.options.prompts.clone(), writer.reader.chat);
        let build = |evidence: &[String]| prompts.merge(chat, &lists, evidence, ask);
        let (written, _) = write(writer, &notes, &chunks, n_most, &build, observe)?;
        let mut notes_kept = within(writer, &founded(written), n_most);
        if notes_kept.is_empty() {
            let (first, last) = (chunks.start, chunks.end - 1);
            let message = format!(
                "a merge of chunks {first} to {last} came back empty; its first notes stand for it"
            );
            writer.warn("empty_merge", None, message);
            notes_kept = within(writer, &notes, n_most);
        }
        merged.push(Group { chunks, notes: notes_kept });
    }
    Ok(merged)
}

/// Makes a prompt with these sentences of the document as evidence.
type Build<'a> = dyn Fn(&[String]) -> Result<Vec<Piece>, PromptError> + 'a;

/// Lets the model write from notes and from sentences that they rest on; what it writes is cited
/// from the evidence of the notes.
fn write(
    writer: &mut Writer<'_>,
    notes: &[Note],
    chunks: &Range<usize>,
    n_most: usize,
    build: &Build<'_>,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<(Vec<Note>, FinishReason), SummaryError> {
    let mut quoted = quotes(writer, notes, n_most);
    let mut texts: Vec<String> = quoted.iter().map(|&place| writer.index.text(place)).collect();
    let mut prompt = build(&texts)?;
    while !texts.is_empty()
        && !writer.budget.fits(prompt::encode(&prompt, writer.reader.tokenizer)?.len(), n_most)
    {
        // Tokens of lines joined may be more than those of the lines: fewer sentences, then.
        let n_kept = texts.len() / 2;
        texts.truncate(n_kept);
        quoted.truncate(n_kept);
        prompt = build(&texts)?;
    }
    let lines: Vec<String> = notes.iter().map(|note| note.text.clone()).chain(texts).collect();
    writer.steps.go_on()?;
    let what = format!("write {}-{}", chunks.start, chunks.end);
    let mut seen = || observe(Event::TokenWritten);
    let reply = writer.ask_afresh(&what, &prompt, n_most, &lines, &mut seen)?;
    let mut candidates: Vec<Place> =
        notes.iter().flat_map(|note| &note.evidence).map(|&(place, _)| place).collect();
    candidates.sort_unstable();
    candidates.dedup();
    let written = reply.lines.into_iter().map(|line| {
        let standing = standing_of(&candidates, notes, &quoted, &line.standing);
        writer.index.note(&Line { text: line.text, standing }, chunks, &candidates)
    });
    Ok((written.collect(), reply.finish))
}

/// The standing of each candidate: the best of that of its quote, where it was quoted, and of those
/// of the notes that rest on it.
///
/// - `standing`: of each note, then of each quote
fn standing_of(
    candidates: &[Place],
    notes: &[Note],
    quoted: &[Place],
    standing: &[f64],
) -> Vec<f64> {
    if standing.is_empty() {
        return Vec::new();
    }
    let one = |candidate: &Place| {
        let rests = |note: &Note| note.evidence.iter().any(|(place, _)| place == candidate);
        let of_notes = notes.iter().map(rests);
        let of_quotes = quoted.iter().map(|place| place == candidate);
        let its = of_notes.chain(of_quotes).zip(standing).filter(|(is_its, _)| *is_its);
        its.map(|(_, &standing)| standing).fold(f64::NEG_INFINITY, f64::max)
    };
    candidates.iter().map(one).collect()
}

/// The sentences that a prompt has room for beside the notes, in the order of the document: the best
/// one of each note, from everywhere.
fn quotes(writer: &Writer<'_>, notes: &[Note], n_most: usize) -> Vec<Place> {
    let mut places: Vec<Place> =
        notes.iter().filter_map(|note| note.evidence.first()).map(|&(place, _)| place).collect();
    places.sort_unstable();
    places.dedup();
    let n_notes: usize = notes.iter().map(|note| writer.count(&note.text) + N_BULLET).sum();
    let mut left = writer.budget.room(n_most).saturating_sub(n_notes);
    let mut kept = Vec::new();
    for at in spread(places.len()) {
        let n = writer.count(&writer.index.text(places[at])) + N_BULLET;
        if n <= left {
            left -= n;
            kept.push(places[at]);
        }
    }
    kept.sort_unstable();
    kept
}

/// The notes that rest on a sentence; all of them where none does.
fn founded(notes: Vec<Note>) -> Vec<Note> {
    if notes.iter().any(Note::is_founded) {
        notes.into_iter().filter(Note::is_founded).collect()
    } else {
        notes
    }
}

/// The first notes that together have at most `n_tokens` tokens; of the first at least its
/// beginning.
fn within(writer: &Writer<'_>, notes: &[Note], n_tokens: usize) -> Vec<Note> {
    let n_kept = writer.n_within(notes.iter().map(|note| note.text.as_str()), n_tokens);
    let mut kept = notes[..n_kept].to_vec();
    if kept.is_empty()
        && let Some(first) = notes.first()
    {
        let mut first = first.clone();
        first.text = writer.beginning(&first.text, n_tokens);
        kept.push(first);
    }
    kept
}

/// As [`within`], with notes from everywhere, in their order.
fn spread_within(writer: &Writer<'_>, notes: &[Note], n_tokens: usize) -> Vec<Note> {
    let mut order: Vec<usize> = spread(notes.len());
    let texts = order.iter().map(|&at| notes[at].text.as_str());
    order.truncate(writer.n_within(texts, n_tokens).max(1));
    order.sort_unstable();
    within(writer, &order.iter().map(|&at| notes[at].clone()).collect::<Vec<_>>(), n_tokens)
}

/// What the notes of a group take in a prompt: their tokens, a bullet and a line end each, and the
/// group's heading.
fn cost(writer: &Writer<'_>, group: &Group) -> usize {
    const HEADING: usize = 12;
    HEADING + group.notes.iter().map(|n| writer.count(&n.text) + N_BULLET).sum::<usize>()
}

fn total(writer: &Writer<'_>, groups: &[Group]) -> usize {
    groups.iter().map(|g| cost(writer, g)).sum()
}

/// The numbers below `n` in such an order that the first ones come from everywhere: the middle, the
/// quarters, and so on.
fn spread(n: usize) -> Vec<usize> {
    let mut order = Vec::with_capacity(n);
    let mut gaps = VecDeque::new();
    gaps.push_back(0..n);
    while let Some(gap) = gaps.pop_front() {
        if !gap.is_empty() {
            let middle = gap.start + gap.len() / 2;
            order.push(middle);
            gaps.extend([gap.start..middle, middle + 1..gap.end]);
        }
    }
    order
}

/// The chunks that neighbouring groups come from.
fn span(groups: &[Group]) -> Range<usize> {
    let ends = groups.first().zip(groups.last());
    ends.map_or(0..0, |(first, last)| first.chunks.start..last.chunks.end)
}

/// Cuts the groups into as few runs as there can be that fit `n_room` tokens each, of about the same
/// size.
fn pack(writer: &Writer<'_>, groups: Vec<Group>, n_room: usize) -> Vec<Vec<Group>> {
    let n_all = total(writer, &groups).max(1);
    let n_parts = n_all.div_ceil(n_room.max(1));
    let mut parts: Vec<Vec<Group>> = Vec::new();
    let (mut n_before, mut n_used) = (0, 0);
    let mut rest = VecDeque::from(groups);
    while let Some(mut group) = rest.pop_front() {
        let n = cost(writer, &group);
        if n > n_room && group.notes.len() > 1 {
            // Two prompts take what one cannot.
            let notes = group.notes.split_off(group.notes.len() / 2);
            rest.push_front(Group { chunks: group.chunks.clone(), notes });
            rest.push_front(group);
            continue;
        }
        // The part in whose share of the whole the middle of this group lies.
        let share = (n_before + n / 2) * n_parts / n_all;
        n_before += n;
        let n_now = parts.len();
        match parts.last_mut() {
            Some(part) if n_used + n <= n_room && share < n_now => {
                part.push(group);
                n_used += n;
            }
            _ => {
                parts.push(vec![group]);
                n_used = n;
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::{Group, portions, spread};

    #[test]
    fn parts_have_the_same_stretch_of_the_document() {
        let group = |seq| Group { chunks: seq..seq + 1, notes: Vec::new() };
        // Chunks 2 to 4 have no notes.
        let groups: Vec<Group> = [0, 1, 5, 6, 7, 8, 9].map(group).into();
        let starts = |n_parts| {
            let parts = portions(groups.clone(), n_parts, 10);
            let starts = |part: &Vec<Group>| part.iter().map(|g| g.chunks.start).collect();
            parts.iter().map(starts).collect::<Vec<Vec<usize>>>()
        };
        assert_eq!(starts(2), [vec![0, 1], vec![5, 6, 7, 8, 9]]);
        assert_eq!(starts(5), [vec![0, 1], vec![5], vec![6, 7], vec![8, 9]]);
        assert_eq!(starts(1).len(), 1);
    }

    #[test]
    fn the_first_of_a_spread_come_from_everywhere() {
        assert_eq!(spread(7), [3, 1, 5, 0, 2, 4, 6]);
        assert!(spread(0).is_empty());
    }
}
