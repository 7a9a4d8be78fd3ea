//! Lines become paragraphs: soft breaks joined, hyphens mended, pages run on.

use std::collections::HashMap;

use crate::sentence;

/// A printed line and where it stands on its page, in points, the origin at the lower left.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) x: f32,
    pub(super) end_x: f32,
    pub(super) y: f32,
    pub(super) size: f32,
    pub(super) kind: Kind,
    /// The layout begins a new block with this line.
    pub(super) begins_block: bool,
}

/// What a line or paragraph is to its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Body,
    Heading(u8),
    Item,
    /// A row of a table: never joined with its neighbours.
    Row,
}

/// A paragraph of one page.
#[derive(Debug, Clone)]
pub(super) struct Paragraph {
    pub(super) text: String,
    pub(super) kind: Kind,
    pub(super) size: f32,
    /// Its first line stands in from the block's left edge.
    is_indented: bool,
    /// Its last line reaches the block's right edge.
    is_full: bool,
}

impl Paragraph {
    /// Keeps the last sentence, or what the page has of it, and returns those before it.
    pub(super) fn part_at_last_sentence(&mut self) -> Option<Self> {
        let start = sentence::split(&self.text).last()?.start;
        let rest = self.text.split_off(start);
        let first = Self { text: self.text.trim_end().to_owned(), ..self.clone() };
        self.text = rest;
        (!first.text.is_empty()).then_some(first)
    }
}

/// How often each word stands in the document, in lower case, hyphenated words whole.
#[derive(Debug, Default)]
pub(super) struct Vocabulary(HashMap<String, u32>);

impl Vocabulary {
    /// Counts the words of a line, but for one that its end cuts.
    pub(super) fn add(&mut self, line: &str) {
        let line = if line.ends_with(['-', '\u{AD}']) {
            line.rsplit_once(' ').map_or("", |(rest, _)| rest)
        } else {
            line
        };
        for word in words(line) {
            *self.0.entry(word.to_lowercase()).or_default() += 1;
        }
    }

    pub(super) fn count(&self, word: &str) -> u32 {
        self.0.get(&word.to_lowercase()).copied().unwrap_or(0)
    }
}

/// Words of letters, with the hyphens and apostrophes inside them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphabetic() && !matches!(c, '-' | '\'' | '\u{2019}' | '\u{FFFD}'))
        .map(|word| word.trim_matches(['-', '\'', '\u{2019}']))
        .filter(|word| !word.is_empty())
}

/// Joins the lines of a page into paragraphs.
pub(super) fn paragraphs(lines: &[Line], vocabulary: &Vocabulary) -> Vec<Paragraph> {
    let mut paragraphs = Vec::new();
    let mut start = 0;
    for end in 1..=lines.len() {
        if end == lines.len() || lines[end].begins_block || lines[end].kind != lines[start].kind {
            block(&lines[start..end], vocabulary, &mut paragraphs);
            start = end;
        }
    }
    paragraphs
}

/// Splits one block of the layout where its lines show that a paragraph ends.
fn block(lines: &[Line], vocabulary: &Vocabulary, paragraphs: &mut Vec<Paragraph>) {
    let left = lines.iter().map(|line| line.x).fold(f32::INFINITY, f32::min);
    let right = lines.iter().map(|line| line.end_x).fold(f32::NEG_INFINITY, f32::max);
    let mut last: Option<Paragraph> = None;
    for (at, line) in lines.iter().enumerate() {
        let is_full = line.end_x > right - 2.0 * line.size;
        match &mut last {
            Some(paragraph) if at > 0 && !parts(lines, at, left, right) => {
                if line.kind == Kind::Row {
                    paragraph.text.push('\n');
                    paragraph.text.push_str(&line.text);
                } else {
                    join(&mut paragraph.text, &line.text, vocabulary);
                }
                paragraph.is_full = is_full;
                paragraph.size = paragraph.size.max(line.size);
            }
            _ => {
                paragraphs.extend(last.take());
                last = Some(Paragraph {
                    text: line.text.clone(),
                    kind: line.kind,
                    size: line.size,
                    is_indented: line.x > left + 0.8 * line.size,
                    is_full,
                });
            }
        }
    }
    paragraphs.extend(last);
}

/// Whether a paragraph ends before the line `at` of a block.
fn parts(lines: &[Line], at: usize, left: f32, right: f32) -> bool {
    let (above, line) = (&lines[at - 1], &lines[at]);
    if line.kind != Kind::Body {
        return false; // a heading or an item is one block, and so is a table
    }
    if line.text.chars().all(is_note_mark) || above.text.chars().all(is_note_mark) {
        return false; // a note's number alone, left over where the text around it is gone
    }
    let begins_note = line.text.chars().next().is_some_and(is_superscript);
    if begins_note || begins_item(&line.text) {
        return true;
    }
    if has_leader(&above.text) || (has_leader(&line.text) && begins_entry(&line.text)) {
        return true; // a table of contents
    }
    if (above.size - line.size).abs() > 0.08 * above.size.max(line.size) {
        return true;
    }
    let ends = ends_sentence(&above.text);
    if !ends && line.text.chars().next().is_some_and(char::is_lowercase) {
        return false;
    }
    let em = line.size;
    let is_short = {
        let n = u16::try_from(line.text.chars().count()).unwrap_or(u16::MAX);
        let first = line.text.split(' ').next().unwrap_or_default();
        let n_first = u16::try_from(first.chars().count()).unwrap_or(u16::MAX);
        let width = (line.end_x - line.x) / f32::from(n.max(1));
        // The first word of this line would have had room on the line above.
        above.end_x + width * f32::from(n_first.saturating_add(1)) < right - em
    };
    let is_indented = line.x > above.x + 0.8 * em
        || (line.x > left + 0.8 * em
            && at + 1 < lines.len()
            && lines[at + 1].x < line.x - 0.8 * em);
    is_short || (ends && is_indented)
}

/// Adds a line to the text before it.
///
/// A hyphen at the line's end goes if the document has the joined word, or if either half is no
/// word of its own; else it is taken for a real one and stays.
pub(super) fn join(text: &mut String, next: &str, vocabulary: &Vocabulary) {
    if text.ends_with('\u{AD}') {
        text.pop();
        text.push_str(next);
        return;
    }
    let mut back = text.chars().rev();
    let (last, before) = (back.next(), back.next());
    let first = next.chars().next();
    match (before, last, first) {
        (_, None, _) => text.push_str(next),
        (Some(before), Some('-'), Some(first))
            if before.is_alphanumeric() && first.is_alphanumeric() =>
        {
            if before.is_alphabetic()
                && first.is_lowercase()
                && !is_hyphenated(text, next, vocabulary)
            {
                text.pop();
            }
            text.push_str(next);
        }
        // A dash or a slash between words without spaces is one wherever the line ends.
        (Some(before), Some('\u{2013}' | '\u{2014}' | '/'), Some(_)) if !before.is_whitespace() => {
            text.push_str(next);
        }
        (_, Some(last), Some(first)) if has_no_spaces(last) && has_no_spaces(first) => {
            text.push_str(next);
        }
        _ => {
            text.push(' ');
            text.push_str(next);
        }
    }
}

/// Whether the hyphen at the end of `text` belongs to the word that `next` continues.
fn is_hyphenated(text: &str, next: &str, vocabulary: &Vocabulary) -> bool {
    let head = text.trim_end_matches('-');
    let start = head.rfind(|c: char| !c.is_alphabetic() && !matches!(c, '-' | '\u{2019}' | '\''));
    let head =
        &head[start.map_or(0, |at| at + head[at..].chars().next().map_or(1, char::len_utf8))..];
    let end = next.find(|c: char| !c.is_alphabetic() && !matches!(c, '\u{2019}' | '\''));
    let tail = &next[..end.unwrap_or(next.len())];
    let n_joined = vocabulary.count(&format!("{head}{tail}"));
    let n_hyphenated = vocabulary.count(&format!("{head}-{tail}"));
    if n_joined != n_hyphenated {
        return n_hyphenated > n_joined;
    }
    // "cross-border-" + "trade": the word has hyphens already, so this is likely one more.
    let (n_head, n_tail) = (vocabulary.count(head), vocabulary.count(tail));
    head.contains('-') || (n_head > 0 && n_tail > 0 && tail.chars().count() > 2)
}

/// Scripts written without spaces between words.
fn has_no_spaces(c: char) -> bool {
    matches!(c, '\u{2E80}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF00}'..='\u{FF60}' | '\u{20000}'..='\u{3FFFF}')
}

fn is_superscript(c: char) -> bool {
    matches!(c, '\u{B9}' | '\u{B2}' | '\u{B3}' | '\u{2070}'..='\u{2079}')
}

fn is_note_mark(c: char) -> bool {
    is_superscript(c) || c.is_ascii_digit() || c.is_whitespace()
}

/// Whether a text ends where a sentence may end.
pub(super) fn ends_sentence(text: &str) -> bool {
    let is_closing = |c: char| {
        is_superscript(c)
            || matches!(c, '"' | '\'' | '\u{2019}' | '\u{201D}' | ')' | ']' | '\u{BB}')
    };
    text.trim_end_matches(is_closing).ends_with(['.', '!', '?', ':', ';', '\u{3002}', '\u{2026}'])
}

/// Whether a line leads the eye with dots to a page number at its end.
pub(super) fn has_leader(line: &str) -> bool {
    let words = line.trim_end_matches(|c: char| c.is_ascii_alphanumeric());
    words.ends_with(" ... ") || words.ends_with(" . ")
}

/// How many rows of dots lead to page numbers in a text, which may hold several entries.
pub(super) fn n_leaders(text: &str) -> usize {
    let leads = |rest: &&str| {
        let rest = rest.trim_start_matches([' ', '|']);
        let number = rest.split([' ', '\n']).next().unwrap_or_default();
        !number.is_empty() && number.len() <= 8 && number.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    text.split(" ...").skip(1).filter(leads).count()
}

fn begins_entry(line: &str) -> bool {
    line.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit())
}

/// Whether a line opens with the mark of a list item.
fn begins_item(line: &str) -> bool {
    let mut chars = line.chars();
    matches!(
        chars.next(),
        Some('\u{2022}' | '\u{25CF}' | '\u{25AA}' | '\u{25E6}' | '\u{25A0}' | '\u{2023}')
    ) && chars.next().is_some_and(char::is_whitespace)
}

/// Whether a paragraph runs on into the first one of the next page.
pub(super) fn runs_on(last: &Paragraph, next: &Paragraph) -> bool {
    if last.kind != Kind::Body || next.kind != Kind::Body || ends_sentence(&last.text) {
        return false;
    }
    if (last.size - next.size).abs() > 0.08 * last.size.max(next.size) || begins_item(&next.text) {
        return false;
    }
    let first = next.text.chars().next();
    first.is_some_and(char::is_lowercase)
        || (last.is_full && !next.is_indented && !first.is_some_and(is_superscript))
}

/// Where the footnotes at the foot of a page begin.
///
/// They are the smaller type at the page's end, the first of them marked with a number or a sign.
pub(super) fn footnotes(paragraphs: &[Paragraph], body_size: f32) -> Option<usize> {
    let is_small = |paragraph: &Paragraph| {
        paragraph.size < 0.93 * body_size && !matches!(paragraph.kind, Kind::Heading(_))
    };
    let n = paragraphs.iter().rev().take_while(|paragraph| is_small(paragraph)).count();
    let start = paragraphs.len() - n;
    let is_marked = |paragraph: &Paragraph| {
        paragraph
            .text
            .chars()
            .next()
            .is_some_and(|c| is_note_mark(c) || matches!(c, '*' | '\u{2020}' | '\u{2021}'))
    };
    (n > 0 && start > 0 && paragraphs[start..].iter().any(is_marked)).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(text: &str) -> Vocabulary {
        let mut vocabulary = Vocabulary::default();
        vocabulary.add(text);
        vocabulary
    }

    fn check_join(above: &str, below: &str, known: &str, expected: &str) {
        let mut text = above.to_owned();
        join(&mut text, below, &vocabulary(known));
        assert_eq!(text, expected);
    }

    #[test]
    fn hyphens_are_mended_only_where_the_join_is_plausible() {
        check_join("the ap-", "proximate cause", "", "the approximate cause");
        check_join("in-", "terview", "in the interview", "interview");
        check_join("well-", "known fact", "well known", "well-known fact");
        check_join("co-", "operate", "they co-operate", "co-operate");
        check_join("be-", "come", "be come become", "become");
        check_join("Anglo-", "American", "", "Anglo-American");
        check_join("2017-", "2018", "", "2017-2018");
        check_join("- 12 -", "next", "", "- 12 - next");
        check_join("so\u{AD}", "ft", "", "soft");
        check_join("one\u{2014}", "two", "", "one\u{2014}two");
        check_join("漢", "字", "", "漢字");
        check_join("plain", "text", "", "plain text");
    }

    fn line(text: &str, x: f32, end_x: f32, size: f32) -> Line {
        Line { text: text.into(), x, end_x, y: 0.0, size, kind: Kind::Body, begins_block: false }
    }

    fn texts(lines: &[Line]) -> Vec<String> {
        let paragraphs = paragraphs(lines, &Vocabulary::default());
        paragraphs.into_iter().map(|paragraph| paragraph.text).collect()
    }

    #[test]
    fn indents_and_short_lines_part_paragraphs() {
        let lines = [
            line("First line of text", 108.0, 520.0, 12.0),
            line("that ends on the edge here.", 90.0, 522.0, 12.0),
            line("Second begins indented and", 108.0, 521.0, 12.0),
            line("is short.", 90.0, 140.0, 12.0),
            line("Third begins at the left edge.", 90.0, 522.0, 12.0),
        ];
        let expected = [
            "First line of text that ends on the edge here.",
            "Second begins indented and is short.",
            "Third begins at the left edge.",
        ];
        assert_eq!(texts(&lines), expected);
    }

    #[test]
    fn a_footnote_in_smaller_type_is_a_paragraph() {
        let lines = [
            line("Text with a note.", 90.0, 522.0, 12.0),
            line("\u{B9} The note", 103.0, 522.0, 10.0),
            line("runs on.", 90.0, 200.0, 10.0),
        ];
        assert_eq!(texts(&lines), ["Text with a note.", "\u{B9} The note runs on."]);
    }

    #[test]
    fn a_sentence_cut_by_a_gap_is_not_parted() {
        let lines =
            [line("He was", 90.0, 130.0, 12.0), line("there and stayed on for", 90.0, 522.0, 12.0)];
        assert_eq!(texts(&lines), ["He was there and stayed on for"]);
    }
}
