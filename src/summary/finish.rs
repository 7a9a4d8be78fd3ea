//! Merges the notes of all chunks, as a tree, into the final summary.
//!
//! Every prompt is counted before it is run, so no step can overflow at any length of document; and
//! every merge at least halves what goes into it, so the tree ends.

use std::collections::VecDeque;
use std::ops::Range;

use super::budget::{Budget, N_LEAST_FINAL};
use super::{SummaryError, Writer};
use crate::event::Event;
use crate::prompt::Ask;
use crate::report::{FinishReason, Statement, Summary};

/// Notes on neighbouring chunks.
#[derive(Debug, Clone)]
struct Group {
    /// The chunks they come from.
    chunks: Range<usize>,
    lines: Vec<String>,
}

/// Words that one part of the final summary is written in, about.
const N_PART_WORDS: usize = 50;

/// Writes the final summary from the notes of every chunk.
///
/// It is written part by part, in the order of the document, each part from its own share of the
/// notes: a model that dwells on the beginning of what it reads cannot drop the end. Notes that no
/// sentence of their chunk matches are not carried into it while there are better ones.
pub fn finish(
    writer: &mut Writer<'_>,
    notes: &[Vec<String>],
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Summary, SummaryError> {
    let mut groups: Vec<Group> = notes
        .iter()
        .enumerate()
        .filter(|(_, lines)| !lines.is_empty())
        .map(|(seq, lines)| {
            let chunks = seq..seq + 1;
            let lines = writer.index.supported(lines, &chunks);
            Group { chunks, lines }
        })
        .collect();
    let n_parts = (writer.ask.n_words / N_PART_WORDS).clamp(1, groups.len().max(1));
    let n_room = writer.budget.room(writer.budget.n_final);
    let mut level = 0;
    while pack(writer, groups.clone(), n_room, n_parts).len() > n_parts {
        groups = merge_level(writer, groups, level, observe)?;
        level += 1;
    }
    let parts = pack(writer, groups, n_room, n_parts);
    let ask = Ask { n_words: writer.ask.n_words / parts.len().max(1), ..writer.ask };
    let n_most = (2 * ask.n_words).clamp(N_LEAST_FINAL, writer.budget.n_final);
    let mut summary =
        Summary { text: String::new(), statements: Vec::new(), finish_reason: FinishReason::Stop };
    for part in parts {
        let chunks = span(&part);
        let lines: Vec<String> = part.into_iter().flat_map(|g| g.lines).collect();
        let prompt = writer.options.prompts.finish(writer.reader.chat, &lines, &[], ask)?;
        let mut written =
            writer.ask_afresh(&prompt, n_most, &mut || observe(Event::TokenWritten))?;
        if written.lines.is_empty() {
            let message = format!(
                "the model wrote no final summary of chunks {} to {}; their notes stand for it",
                chunks.start,
                chunks.end - 1
            );
            writer.warn("no_final", None, message);
            written.lines = writer.within(&lines, n_most);
        }
        let mut statements = writer.index.statements(&written.lines, &chunks);
        if !statements.iter().any(is_quoted) {
            let notes = writer.index.statements(&lines, &chunks);
            let quoted: Vec<String> =
                notes.into_iter().filter(is_quoted).map(|note| note.text).collect();
            if !quoted.is_empty() {
                let (first, last) = (chunks.start, chunks.end - 1);
                let message = format!(
                    "no sentence matches what the model wrote on chunks {first} to {last}; notes stand for it"
                );
                writer.warn("unsupported_part", None, message);
                let kept = writer.within(&spread(&quoted), n_most);
                let in_order: Vec<String> =
                    quoted.into_iter().filter(|line| kept.contains(line)).collect();
                statements = writer.index.statements(&in_order, &chunks);
            }
        }
        summary.statements.extend(statements);
        if written.finish != FinishReason::Stop {
            summary.finish_reason = written.finish;
        }
    }
    let texts: Vec<&str> = summary.statements.iter().map(|s| s.text.as_str()).collect();
    summary.text = texts.join("\n");
    Ok(summary)
}

/// Replaces every run of groups that fits one prompt by what the model makes of it.
fn merge_level(
    writer: &mut Writer<'_>,
    groups: Vec<Group>,
    level: usize,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Vec<Group>, SummaryError> {
    let n_room = writer.budget.room(writer.budget.n_reply);
    let parts = pack(writer, groups, n_room, 1);
    let n_parts = parts.len();
    let mut merged = Vec::with_capacity(n_parts);
    for (done, part) in parts.into_iter().enumerate() {
        observe(Event::Merging { level, done, n_parts });
        let chunks = span(&part);
        let lists: Vec<Vec<String>> = part.into_iter().map(|g| g.lines).collect();
        let flat: Vec<String> = lists.iter().flatten().cloned().collect();
        // At most half of what goes in may come out, or the tree would not end.
        let n_half = flat.iter().map(|l| writer.count(l) + 2).sum::<usize>() / 2;
        let n_most = n_half.min(writer.budget.n_reply);
        let ask = Ask { n_words: Budget::words(n_most), ..writer.ask };
        let prompt = writer.options.prompts.merge(writer.reader.chat, &lists, &[], ask)?;
        let reply = writer.ask_afresh(&prompt, n_most, &mut || observe(Event::TokenWritten))?;
        let mut lines = writer.within(&reply.lines, n_most);
        if lines.is_empty() {
            let message = format!(
                "a merge of chunks {} to {} came back empty; its first notes stand for it",
                chunks.start,
                chunks.end - 1
            );
            writer.warn("empty_merge", None, message);
            lines = writer.within(&flat, n_most);
        }
        merged.push(Group { chunks, lines });
    }
    Ok(merged)
}

/// What the lines of a group take in a prompt: their tokens, a bullet and a line end each, and the
/// group's heading.
fn cost(writer: &Writer<'_>, group: &Group) -> usize {
    const HEADING: usize = 12;
    const BULLET: usize = 4;
    HEADING + group.lines.iter().map(|l| writer.count(l) + BULLET).sum::<usize>()
}

fn total(writer: &Writer<'_>, groups: &[Group]) -> usize {
    groups.iter().map(|g| cost(writer, g)).sum()
}

fn is_quoted(statement: &Statement) -> bool {
    statement.citations.iter().any(|c| c.quote.is_some())
}

/// The lines in such an order that the first ones come from everywhere: the middle, the quarters,
/// and so on.
fn spread(lines: &[String]) -> Vec<String> {
    let mut order = Vec::with_capacity(lines.len());
    let mut gaps = VecDeque::new();
    gaps.push_back(0..lines.len());
    while let Some(gap) = gaps.pop_front() {
        if !gap.is_empty() {
            let middle = gap.start + gap.len() / 2;
            order.push(lines[middle].clone());
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

/// Cuts the groups into runs that fit `n_room` tokens each, of about the same size: as few as there
/// can be, but at least `n_least` where there are so many groups.
fn pack(writer: &Writer<'_>, groups: Vec<Group>, n_room: usize, n_least: usize) -> Vec<Vec<Group>> {
    let n_all = total(writer, &groups).max(1);
    let n_parts = n_all.div_ceil(n_room.max(1)).max(n_least);
    let mut parts: Vec<Vec<Group>> = Vec::new();
    let (mut n_before, mut n_used) = (0, 0);
    let mut rest = VecDeque::from(groups);
    while let Some(mut group) = rest.pop_front() {
        let n = cost(writer, &group);
        if n > n_room && group.lines.len() > 1 {
            // Two prompts take what one cannot.
            let lines = group.lines.split_off(group.lines.len() / 2);
            rest.push_front(Group { chunks: group.chunks.clone(), lines });
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
