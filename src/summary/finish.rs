//! Merges the notes of all chunks, as a tree, into the final summary.
//!
//! Every prompt is counted before it is run, so no step can overflow at any length of document; and
//! every merge at least halves what goes into it, so the tree ends.

use std::ops::Range;

use super::budget::Budget;
use super::{SummaryError, Writer};
use crate::event::Event;
use crate::prompt::Ask;
use crate::report::{FinishReason, Summary};

/// Notes on neighbouring chunks.
#[derive(Debug, Clone)]
struct Group {
    /// The chunks they come from.
    chunks: Range<usize>,
    lines: Vec<String>,
}

/// Writes the final summary from the notes of every chunk.
pub fn finish(
    writer: &mut Writer<'_>,
    notes: &[Vec<String>],
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Summary, SummaryError> {
    let all = 0..notes.len();
    let mut groups: Vec<Group> = notes
        .iter()
        .enumerate()
        .filter(|(_, lines)| !lines.is_empty())
        .map(|(seq, lines)| Group { chunks: seq..seq + 1, lines: lines.clone() })
        .collect();
    let n_room = room(writer, writer.budget.n_final)?;
    let mut level = 0;
    while total(writer, &groups) > n_room {
        groups = merge_level(writer, groups, level, observe)?;
        level += 1;
    }
    let lines: Vec<String> = groups.into_iter().flat_map(|g| g.lines).collect();
    if lines.is_empty() {
        writer.warn("no_summary", None, "the model wrote nothing usable on any chunk".to_owned());
        return Ok(Summary {
            text: String::new(),
            statements: Vec::new(),
            finish_reason: FinishReason::Stop,
        });
    }
    let ask = writer.ask;
    let prompt = writer.options.prompts.finish(writer.reader.chat, &lines, &[], ask)?;
    let n_final = writer.budget.n_final;
    let mut written = writer.ask_afresh(&prompt, n_final, &mut || observe(Event::TokenWritten))?;
    if written.lines.is_empty() {
        writer.warn(
            "no_final",
            None,
            "the model wrote no final summary; the merged notes stand for it".to_owned(),
        );
        written.lines = writer.within(&lines, n_final);
    }
    let statements = writer.index.statements(&written.lines, &all);
    Ok(Summary { text: written.lines.join("\n"), statements, finish_reason: written.finish })
}

/// Replaces every run of groups that fits one prompt by what the model makes of it.
fn merge_level(
    writer: &mut Writer<'_>,
    groups: Vec<Group>,
    level: usize,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Vec<Group>, SummaryError> {
    let n_room = room(writer, writer.budget.n_reply)?;
    let parts = pack(writer, groups, n_room);
    let n_parts = parts.len();
    let mut merged = Vec::with_capacity(n_parts);
    for (done, part) in parts.into_iter().enumerate() {
        observe(Event::Merging { level, done, n_parts });
        let chunks = part[0].chunks.start..part[part.len() - 1].chunks.end;
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

/// Tokens of notes that one prompt can take when its reply has at most `n_reply` tokens.
fn room(writer: &Writer<'_>, n_reply: usize) -> Result<usize, SummaryError> {
    let lists = [vec!["-".to_owned()], vec!["-".to_owned()]];
    let prompts = &writer.options.prompts;
    let merge = prompts.merge(writer.reader.chat, &lists, &[], writer.ask)?;
    let finish = prompts.finish(writer.reader.chat, &lists[0], &[], writer.ask)?;
    let mut n_around = 0;
    for prompt in [merge, finish] {
        n_around = n_around.max(crate::prompt::encode(&prompt, writer.reader.tokenizer)?.len());
    }
    Ok(writer.budget.n_prompt(n_reply).saturating_sub(n_around))
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

/// Cuts the groups into as few runs as fit `n_room` tokens each, of about the same size.
fn pack(writer: &Writer<'_>, groups: Vec<Group>, n_room: usize) -> Vec<Vec<Group>> {
    let n_parts = total(writer, &groups).div_ceil(n_room.max(1)).max(1);
    let n_fair = total(writer, &groups).div_ceil(n_parts);
    let mut parts: Vec<Vec<Group>> = Vec::new();
    let mut n_used = 0;
    for mut group in groups {
        let mut n = cost(writer, &group);
        if n > n_room {
            // One group alone is too long: its first lines are what can be merged at all.
            group.lines = writer.within(&group.lines, n_room.saturating_sub(16) / 2);
            n = cost(writer, &group);
        }
        match parts.last_mut() {
            Some(part) if n_used + n <= n_room && n_used < n_fair => {
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
