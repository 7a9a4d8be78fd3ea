//! Pages of lines become one text: paragraphs that run on over the pages, headings, asides.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::super::{Aside, AsideKind, Document, Heading, Page, Source, sections};
use super::page::Sheet;
use super::reflow::{self, Kind, Paragraph, Vocabulary};

/// Longer than this, a line in heading type is a paragraph.
const MAX_HEADING_BYTES: usize = 120;

/// Joins the pages' paragraphs into one text.
///
/// - `labels`: what is printed on each page where that is not its number
/// - `titles`: the outline, in order: title and rank
pub(super) fn document(
    source: Source,
    sheets: Vec<Sheet>,
    labels: &[Option<String>],
    titles: &[(String, u8)],
) -> Document {
    let mut vocabulary = Vocabulary::default();
    let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
    for line in sheets.iter().flat_map(|sheet| &sheet.lines) {
        vocabulary.add(&line.text);
        *sizes.entry(half_points(line.size)).or_default() += line.text.len();
    }
    let body = sizes.iter().max_by_key(|(_, n)| **n).map_or(24, |(&size, _)| size);
    let body_size = f32::from(u16::try_from(body).unwrap_or(24)) / 2.0;
    let mut statuses = Vec::with_capacity(sheets.len());
    let mut sides: Vec<Side> = Vec::with_capacity(sheets.len());
    for sheet in sheets {
        statuses.push(sheet.status);
        sides.push(Side::new(sheet, body_size, &vocabulary));
    }
    rank_headings(&mut sides, body, body_size);
    follow_outline(&mut sides, titles);
    set_contents_apart(&mut sides);

    let mut writer = Writer::new(&vocabulary);
    for at in 0..sides.len() {
        let side = std::mem::take(&mut sides[at]);
        // The next page with text, be there an empty one between.
        let next = sides[at + 1..].iter().find_map(|side| side.body.first());
        writer.page(side, next);
    }
    let Writer { text, starts, headings, mut asides, .. } = writer;
    for aside in &mut asides {
        let rest = &text[aside.range.end..];
        aside.range.end += rest.len() - rest.trim_start_matches('\n').len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let pages: Vec<Page> = (1_u32..)
        .zip(starts.iter().zip(ends))
        .zip(statuses)
        .enumerate()
        .map(|(at, ((number, (&start, end)), status))| Page {
            number,
            label: labels.get(at).cloned().flatten(),
            range: start..end.max(start),
            status,
        })
        .collect();
    let mut document = Document::new(source, text, pages);
    document.headings = headings;
    document.asides = asides;
    document
}

/// The paragraphs of a page, in their order.
#[derive(Default)]
struct Side {
    body: Vec<Paragraph>,
    /// What is kept and not read: notes, then running lines.
    asides: Vec<(AsideKind, String)>,
}

impl Side {
    fn new(sheet: Sheet, body_size: f32, vocabulary: &Vocabulary) -> Self {
        let mut body = reflow::paragraphs(&sheet.lines, vocabulary);
        let start = reflow::footnotes(&body, body_size).unwrap_or(body.len());
        let notes = body.drain(start..).map(|note| (AsideKind::Footnote, note.text));
        let mut asides: Vec<_> = notes.collect();
        asides.extend(sheet.running.into_iter().map(|line| (AsideKind::RunningLine, line)));
        Self { body, asides }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what a u32 holds; a NaN becomes 0"
)]
fn half_points(size: f32) -> u32 {
    (size.clamp(0.0, 1000.0) * 2.0).round() as u32
}

/// Ranks headings by their size over the whole document: pages were laid out in batches, each with
/// ranks of its own. Lines in heading type that the layout took for prose become headings too.
fn rank_headings(sides: &mut [Side], body: u32, body_size: f32) {
    let mut ranks: HashMap<u32, u8> = HashMap::new();
    let mut sizes: Vec<u32> = Vec::new();
    for paragraph in sides.iter_mut().flat_map(|side| &mut side.body) {
        if let Kind::Heading(level) = paragraph.kind {
            if reflow::has_leader(&paragraph.text) {
                paragraph.kind = Kind::Item; // an entry of a table of contents
                continue;
            }
            let size = half_points(paragraph.size);
            let rank = ranks.entry(size).or_insert(level);
            *rank = level.min(*rank);
            sizes.push(size);
        }
    }
    sizes.retain(|&size| size > body);
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup();
    for (rank, size) in (1_u8..=6).zip(&sizes) {
        ranks.insert(*size, rank);
    }
    // Headings no larger than the text, bold ones, rank below the larger ones.
    let n_larger = u8::try_from(sizes.len().min(5)).unwrap_or(5);
    ranks.iter_mut().filter(|(size, _)| **size <= body).for_each(|(_, rank)| *rank = n_larger + 1);
    for paragraph in sides.iter_mut().flat_map(|side| &mut side.body) {
        let rank = ranks.get(&half_points(paragraph.size)).copied();
        let is_candidate = paragraph.kind == Kind::Body
            && paragraph.size > 1.1 * body_size
            && paragraph.text.len() <= MAX_HEADING_BYTES
            && paragraph.text.chars().any(char::is_alphabetic);
        if let (true, Some(rank)) =
            (is_candidate || matches!(paragraph.kind, Kind::Heading(_)), rank)
        {
            paragraph.kind = Kind::Heading(rank.min(6));
        }
    }
}

/// Paragraphs that say what the outline says are headings of the outline's rank.
fn follow_outline(sides: &mut [Side], titles: &[(String, u8)]) {
    // Numbers may stand before a title in one place and not in the other.
    let key = |text: &str| -> String {
        let words = text.trim_start_matches(|c: char| !c.is_alphabetic());
        words.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let mut ranks: HashMap<String, u8> = HashMap::new();
    for (title, level) in titles {
        let key = key(title);
        if key.chars().count() > 2 {
            ranks.entry(key).or_insert(*level);
        }
    }
    if ranks.is_empty() {
        return;
    }
    for paragraph in sides.iter_mut().flat_map(|side| &mut side.body) {
        let is_heading = matches!(paragraph.kind, Kind::Heading(_));
        if paragraph.text.len() > 2 * MAX_HEADING_BYTES || paragraph.kind == Kind::Row {
            continue;
        }
        if !is_heading && reflow::ends_sentence(&paragraph.text) {
            continue;
        }
        if let Some(&level) = ranks.get(&key(&paragraph.text)) {
            paragraph.kind = Kind::Heading(level);
        }
    }
}

/// Moves tables of contents from the body of their pages to what is not read.
fn set_contents_apart(sides: &mut [Side]) {
    let mut is_open = false;
    for side in sides {
        // A lone line with dots is an entry of a form; a table of contents has several.
        let n_leaders: usize = side.body.iter().map(|p| reflow::n_leaders(&p.text)).sum();
        let is_title = |paragraph: &Paragraph| sections::is_contents_title(&paragraph.text);
        let is_contents = n_leaders >= if is_open { 1 } else { 3 }
            || n_leaders > 0 && side.body.iter().any(is_title);
        let is_entry = |paragraph: &Paragraph| reflow::n_leaders(&paragraph.text) > 0;
        let last = side.body.iter().rposition(is_entry).filter(|_| is_contents);
        let Some(last) = last else {
            is_open = false;
            continue;
        };
        // One that is open goes on from the top of the page.
        let begins = |paragraph: &Paragraph| is_title(paragraph) || is_entry(paragraph);
        let first = if is_open { 0 } else { side.body.iter().position(begins).unwrap_or(last) };
        let found = side.body.drain(first..=last).map(|entry| (AsideKind::Contents, entry.text));
        side.asides.splice(0..0, found);
        is_open = side.body.len() == first;
    }
}

/// The text so far.
struct Writer<'a> {
    vocabulary: &'a Vocabulary,
    text: String,
    starts: Vec<usize>,
    headings: Vec<Heading>,
    asides: Vec<Aside>,
    /// The last paragraph goes on with the next page's first.
    is_running: bool,
}

impl<'a> Writer<'a> {
    fn new(vocabulary: &'a Vocabulary) -> Self {
        Self {
            vocabulary,
            text: String::new(),
            starts: Vec::new(),
            headings: Vec::new(),
            asides: Vec::new(),
            is_running: false,
        }
    }

    /// Adds a page. `next` is the next paragraph of the body, on whatever page.
    ///
    /// What is not read stands at the page's end, but before a paragraph that goes on over the page:
    /// "... was | ¹ The note. | there" would cut its sentence.
    fn page(&mut self, side: Side, next: Option<&Paragraph>) {
        self.starts.push(self.text.len());
        let Side { mut body, asides } = side;
        let Some(last) = body.last() else {
            // A figure may stand alone on its page, amid a sentence. Its page number is not worth
            // the sentence.
            if !self.is_running || asides.iter().any(|(kind, _)| *kind != AsideKind::RunningLine) {
                self.asides(asides);
                self.is_running = false;
            }
            return;
        };
        let mut runs_on = next.is_some_and(|next| reflow::runs_on(last, next));
        let mut held_back = None;
        if runs_on && !asides.is_empty() {
            held_back = body.pop();
            if let (true, true, Some(only)) = (self.is_running, body.is_empty(), &mut held_back) {
                // All of the page is one paragraph: it is parted between sentences.
                match only.part_at_last_sentence() {
                    Some(first) => body.push(first),
                    None => {
                        body.extend(held_back.take());
                        runs_on = false;
                    }
                }
            }
        }
        body.into_iter().for_each(|paragraph| self.paragraph(paragraph));
        self.asides(asides);
        held_back.into_iter().for_each(|paragraph| self.paragraph(paragraph));
        self.is_running = runs_on;
    }

    /// Adds a paragraph, to the one before if that goes on.
    fn paragraph(&mut self, paragraph: Paragraph) {
        let start = if std::mem::take(&mut self.is_running) {
            let before = self.text.len();
            reflow::join(&mut self.text, &paragraph.text, self.vocabulary);
            // A mended hyphen may shorten the page before; the joining space is that page's.
            let start = self.text.len().saturating_sub(paragraph.text.len());
            self.move_starts(before.min(start), start);
            start
        } else {
            self.block(&paragraph.text).start
        };
        if let Kind::Heading(level) = paragraph.kind {
            self.headings.push(Heading { range: start..self.text.len(), level });
        }
    }

    fn asides(&mut self, asides: Vec<(AsideKind, String)>) {
        for (kind, text) in asides {
            let range = self.block(&text);
            self.asides.push(Aside { range, kind });
        }
    }

    /// Adds text that blank lines part from what is before it.
    fn block(&mut self, text: &str) -> Range<usize> {
        let before = self.text.len();
        if before > 0 {
            self.text.push_str("\n\n");
        }
        let start = self.text.len();
        self.move_starts(before, start);
        self.text.push_str(text);
        start..self.text.len()
    }

    /// Pages that began from `old` on begin at `new`: they have no text yet.
    fn move_starts(&mut self, old: usize, new: usize) {
        let late = self.starts.iter_mut().rev().take_while(|start| **start >= old);
        late.for_each(|start| *start = new);
    }
}
