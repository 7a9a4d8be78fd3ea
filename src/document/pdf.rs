//! PDF: pages to lines to paragraphs, with every page accounted for.
//!
//! The backend is pure Rust and lenient: it reads what a damaged file still has. Every call into
//! it that handles a page's content may meet hostile data, so each is fenced: a page that panics
//! is a failed page with a warning.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pdfboss_core::{Error, Immediate, OcState, block_on};
use pdfboss_output::{Block, LayoutOptions, PageLayout, document_layout, page_layout_opts};
use pdfboss_output::{retain_spans_on_page, structure_for};
use pdfboss_text::{FontCache, ReadingOrder, SkippedText, SkippedTextKind, TextSpan};

use super::furniture::{self, Sheet};
use super::glyph::NamedFonts;
use super::reflow::{self, Kind, Line, Paragraph, Vocabulary};
use super::{Document, DocumentError, Heading, Page, PageStatus, Source, Warning, clean, ligature};

/// An image over this part of a page makes it a scan, unless the page has text of its own.
const SCAN_PART: f32 = 0.5;
/// Fewer letters than this on a scanned page are a stamp, not its text.
const STAMP_CHARS: usize = 120;
/// A page with more text than this, headers included, is not looked through for images.
const SPARSE_BYTES: usize = 600;

pub(super) fn read(mut source: Source, bytes: Vec<u8>) -> Result<Document, DocumentError> {
    let damage = damage(&bytes);
    let uri = source.uri.clone();
    let damaged = |reason: String| DocumentError::Damaged { uri: uri.clone(), reason };
    let file = match catch_unwind(|| pdfboss_core::Document::load(bytes)) {
        Ok(Ok(file)) => file,
        Ok(Err(Error::Encrypted)) => return Err(DocumentError::Password { uri }),
        Ok(Err(err)) => return Err(damaged(err.to_string())),
        Err(_) => return Err(damaged("the reader gave up on its structure".to_owned())),
    };
    if file.is_locked() {
        return Err(DocumentError::Password { uri });
    }
    let n_pages = fenced(|| file.page_count()).unwrap_or(0);
    if n_pages == 0 {
        return Err(damaged("no pages found".to_owned()));
    }
    source.title =
        fenced(|| file.metadata().title).flatten().and_then(|title| worthy_title(&title));

    let mut reader = Reader::new(&file);
    reader.warnings.extend(damage.map(|message| Warning::new("damaged_file", message)));
    let mut taken: Vec<Taken> = (0..n_pages).map(|index| reader.take(index)).collect();
    let layouts = lay_out(&mut taken);
    let mut sheets: Vec<Sheet> = taken
        .iter()
        .zip(layouts)
        .map(|(page, layout)| Sheet { lines: lines(layout), bottom: page.bottom, top: page.top })
        .collect();
    let mut warnings = std::mem::take(&mut reader.warnings);
    report_ligatures(&mut sheets, reader.n_ligatures, &mut warnings);

    let n_removed = furniture::remove(&mut sheets);
    if n_removed > 0 {
        let message = format!("{n_removed} running headers, footers and page numbers left out");
        warnings.push(Warning::new("running_lines_removed", message));
    }
    for (number, (page, sheet)) in (1_u32..).zip(taken.iter_mut().zip(&mut sheets)) {
        if page.status != PageStatus::Failed {
            page.status = status(page, sheet, number, &mut warnings);
        }
    }
    let mut document = assemble(source, &taken, &sheets);
    document.warnings = warnings;
    document.settle_title();
    Ok(document)
}

/// Runs something that hostile data may panic.
fn fenced<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// What is visibly wrong with the file as a whole.
fn damage(bytes: &[u8]) -> Option<String> {
    let tail = &bytes[bytes.len().saturating_sub(2048)..];
    let find = |needle: &[u8]| tail.windows(needle.len()).rposition(|window| window == needle);
    if find(b"%%EOF").is_none() && find(b"startxref").is_none() {
        return Some("the file ends early; pages may be missing".to_owned());
    }
    None
}

/// A title that somebody wrote, rather than a program.
fn worthy_title(title: &str) -> Option<String> {
    let title = clean::line(title);
    let lower = title.to_lowercase();
    let is_made = lower.is_empty()
        || lower.starts_with("microsoft word - ")
        || lower.starts_with("untitled")
        // A file's name: one word with an extension.
        || (!lower.contains(' ') && lower.contains('.'));
    (!is_made && title.chars().filter(|c| c.is_alphabetic()).count() > 2).then_some(title)
}

/// What was taken from one page.
struct Taken {
    spans: Vec<TextSpan>,
    order: ReadingOrder,
    status: PageStatus,
    /// The page shows something that is not text.
    has_marks: bool,
    /// The largest part of the page that one image covers.
    image_part: f32,
    bottom: f32,
    top: f32,
}

/// The file, and what lasts from page to page.
struct Reader<'a> {
    file: &'a pdfboss_core::Document,
    named: NamedFonts<'a>,
    fonts: FontCache,
    layers: Option<OcState>,
    tree: Option<pdfboss_core::StructureTree>,
    n_ligatures: usize,
    warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    fn new(file: &'a pdfboss_core::Document) -> Self {
        Self {
            file,
            named: NamedFonts::new(file),
            fonts: FontCache::default(),
            layers: fenced(|| file.oc_state()).flatten(),
            tree: fenced(|| structure_for(file, ReadingOrder::StructureTree)).flatten(),
            n_ligatures: 0,
            warnings: Vec::new(),
        }
    }

    fn take(&mut self, index: usize) -> Taken {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let taken = fenced(|| self.try_take(index))
            .unwrap_or_else(|| Err(Error::Other("the reader gave up on its content".to_owned())));
        match taken {
            Ok((taken, skipped)) => {
                if let Some(what) = skipped {
                    let message = format!("part of page {number} could not be read: {what}");
                    self.warnings.push(Warning::on_page("page_incomplete", number, message));
                }
                self.count_ligatures(&taken.spans);
                taken
            }
            Err(err) => {
                let message = format!("page {number} could not be read: {err}");
                self.warnings.push(Warning::on_page("page_failed", number, message));
                Taken {
                    spans: Vec::new(),
                    order: ReadingOrder::Content,
                    status: PageStatus::Failed,
                    has_marks: false,
                    image_part: 0.0,
                    bottom: 0.0,
                    top: 0.0,
                }
            }
        }
    }

    fn try_take(&self, index: usize) -> Result<(Taken, Option<String>), Error> {
        let page = self.file.page(index)?;
        let (mut spans, report) = block_on(pdfboss_text::extract_spans_reporting_cached_with(
            Immediate(&self.named),
            &page,
            &self.fonts,
            self.layers.as_ref(),
            self.tree.as_ref(),
            ReadingOrder::StructureTree,
        ))?;
        retain_spans_on_page(&mut spans, &page);
        raise_note_marks(&mut spans);
        let (bottom, top) =
            (page.crop_box.y0.min(page.crop_box.y1), page.crop_box.y0.max(page.crop_box.y1));
        let (width, height) = ((page.crop_box.x1 - page.crop_box.x0).abs(), top - bottom);
        let n_bytes: usize = spans.iter().map(|span| span.text.len()).sum();
        // A page with plenty of text is no scan, and placing its images would read it twice.
        let images = if n_bytes > SPARSE_BYTES {
            Vec::new()
        } else {
            block_on(pdfboss_text::placed_images_with(
                Immediate(&self.named),
                &page,
                self.layers.as_ref(),
            ))?
        };
        let part = |image: &pdfboss_text::PlacedImage| {
            let (w, h) =
                ((image.bbox.x1 - image.bbox.x0).abs(), (image.bbox.y1 - image.bbox.y0).abs());
            (w.min(width) * h.min(height)) / (width * height).max(1.0)
        };
        let image_part = images.iter().map(part).fold(0.0, f32::max);
        let has_text = spans.iter().any(|span| !span.text.trim().is_empty());
        let has_marks = !images.is_empty()
            || (!has_text && page.content(self.file).is_ok_and(|content| paints(&content)));
        // A page whose content could not be read at all is not an empty one.
        let has_failed = |skipped: &SkippedText| skipped.kind == SkippedTextKind::PageContents;
        if let Some(failed) = report.skipped.iter().find(|skipped| !has_text && has_failed(skipped))
        {
            return Err(Error::Other(failed.cause.to_string()));
        }
        let skipped = report.skipped.first();
        let skipped = skipped.map(|skipped| format!("{}: {}", skipped.kind, skipped.cause));
        let taken = Taken {
            spans,
            order: report.order,
            status: PageStatus::Text,
            has_marks,
            image_part,
            bottom,
            top,
        };
        Ok((taken, skipped))
    }

    /// Counts the ligatures that only the glyph names of a font told.
    fn count_ligatures(&mut self, spans: &[TextSpan]) {
        let restored: HashSet<String> = self.named.restored();
        if restored.is_empty() {
            return;
        }
        let of_named = spans.iter().filter(|span| restored.contains(&span.font_name));
        self.n_ligatures += of_named.map(|span| clean::n_ligatures(&span.text)).sum::<usize>();
    }
}

/// Whether a content stream paints more than a few rules and backgrounds.
fn paints(content: &[u8]) -> bool {
    let mut n_paths = 0;
    for operator in content.split(u8::is_ascii_whitespace) {
        match operator {
            b"Do" | b"BI" | b"sh" => return true,
            b"f" | b"F" | b"f*" | b"S" | b"s" | b"B" | b"B*" | b"b" | b"b*" => n_paths += 1,
            _ => {}
        }
    }
    n_paths >= 8
}

/// Writes small raised numbers as superscripts, so that "posts.5" stays "posts.⁵".
fn raise_note_marks(spans: &mut [TextSpan]) {
    let is_raised = |mark: &TextSpan, base: &TextSpan| {
        let rise = mark.y - base.y;
        mark.size < 0.85 * base.size
            && rise > 0.15 * base.size
            && rise < 0.75 * base.size
            && mark.x > base.x - base.size
            && mark.x < base.end_x + base.size
    };
    for at in 0..spans.len() {
        let text = spans[at].text.trim();
        if text.is_empty() || text.len() > 4 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let mark = &spans[at];
        if mark.rotate != 0 || mark.vertical {
            continue;
        }
        let has_text = |span: &&TextSpan| !span.text.trim().is_empty();
        let before = spans[..at].iter().rev().take(4).find(has_text);
        let after = spans[at + 1..].iter().take(4).find(has_text);
        let after_is_base = after.is_some_and(|base| {
            mark.size < 0.85 * base.size
                && (0.15 * base.size..0.75 * base.size).contains(&(mark.y - base.y))
                && base.x > mark.end_x - 0.3 * base.size
        });
        if before.is_some_and(|base| is_raised(mark, base)) || after_is_base {
            spans[at].text = spans[at].text.chars().map(superscript).collect();
        }
    }
}

fn superscript(c: char) -> char {
    match c {
        '1' => '\u{B9}',
        '2' => '\u{B2}',
        '3' => '\u{B3}',
        '0' | '4'..='9' => char::from_u32(0x2070 + (c as u32 - '0' as u32)).unwrap_or(c),
        c => c,
    }
}

/// Lays out all pages together, so that headings are ranked over the whole document.
fn lay_out(taken: &mut [Taken]) -> Vec<PageLayout> {
    let pages: Vec<_> =
        taken.iter_mut().map(|page| (std::mem::take(&mut page.spans), page.order)).collect();
    if let Some(layouts) = fenced(|| document_layout(&pages)) {
        return layouts;
    }
    let options = LayoutOptions::default();
    let mut layouts = Vec::with_capacity(pages.len());
    for (page, (spans, order)) in taken.iter_mut().zip(&pages) {
        let layout = fenced(|| page_layout_opts(spans, &[], *order, &options));
        if layout.is_none() {
            page.status = PageStatus::Failed;
        }
        layouts.push(layout.unwrap_or(PageLayout { blocks: Vec::new() }));
    }
    layouts
}

/// A page's lines in reading order.
fn lines(layout: PageLayout) -> Vec<Line> {
    let mut lines = Vec::new();
    for block in layout.blocks {
        let start = lines.len();
        match block {
            Block::Heading { level, lines: of, .. } => {
                lines.extend(of.iter().filter_map(|l| line(l, Kind::Heading(level.clamp(1, 6)))));
            }
            Block::Paragraph { lines: of, .. } => {
                lines.extend(of.iter().filter_map(|l| line(l, Kind::Body)));
            }
            Block::List { items, .. } => {
                for item in items {
                    let first = lines.len();
                    lines.extend(item.lines.iter().filter_map(|l| line(l, Kind::Item)));
                    if let Some(line) = lines.get_mut(first) {
                        line.begins_block = true;
                    }
                }
            }
            Block::Table { rows, .. } => table(&rows, &mut lines),
        }
        let above = start.checked_sub(1).and_then(|at| lines.get(at)).cloned();
        let mut is_split_heading = false;
        let mut runs_in = false;
        if let Some(line) = lines.get_mut(start) {
            line.begins_block = true;
            if let Some(above) = above {
                is_split_heading = is_heading_cut(&above, line);
                line.begins_block = !is_split_heading && !is_cut(&above, line);
                // A full line has the paragraph on it already: the heading runs into its text.
                runs_in = is_split_heading
                    && line.kind == Kind::Body
                    && line.end_x > above.end_x - 2.0 * line.size;
                if is_split_heading && !runs_in {
                    line.kind = above.kind;
                }
            }
        }
        // What follows the heading's last line is a block of its own.
        if runs_in {
            let is_heading = |line: &&mut Line| matches!(line.kind, Kind::Heading(_));
            for line in lines[..start].iter_mut().rev().take_while(is_heading) {
                line.kind = Kind::Body;
            }
        } else if let (true, Some(line)) = (is_split_heading, lines.get_mut(start + 1)) {
            line.begins_block |= line.kind == Kind::Body;
        }
    }
    lines
}

/// Whether the layout cut a paragraph in two between these lines: the sentence goes on in the
/// same type on the very next line.
fn is_cut(above: &Line, line: &Line) -> bool {
    above.kind == Kind::Body
        && line.kind == Kind::Body
        && is_next_line(above, line)
        && !reflow::ends_sentence(&above.text)
        && line.text.starts_with(char::is_lowercase)
}

/// Whether the layout took the last line of a heading for something else: the line above ends
/// inside a word, or both are headings of a rank and this one has no number of its own.
fn is_heading_cut(above: &Line, line: &Line) -> bool {
    let first = line.text.split(' ').next().unwrap_or_default();
    matches!(above.kind, Kind::Heading(_))
        && is_next_line(above, line)
        && match line.kind {
            Kind::Body => above.text.ends_with('-') && line.text.starts_with(char::is_lowercase),
            kind => kind == above.kind && !first.ends_with(['.', ')', ':']),
        }
}

/// The same type, and no more than a line's step below.
fn is_next_line(above: &Line, line: &Line) -> bool {
    let step = above.y - line.y;
    (above.size - line.size).abs() < 0.08 * line.size && step > 0.0 && step < 1.8 * line.size
}

fn line(line: &pdfboss_output::Line, kind: Kind) -> Option<Line> {
    let raw: String = line.inlines.iter().map(|inline| inline.text.as_str()).collect();
    let mut text = clean::line(&raw);
    if text.is_empty() {
        return None;
    }
    if raw.trim_end().ends_with('\u{AD}') {
        text.push('\u{AD}'); // the next line will take it away
    }
    part_note_mark(&mut text);
    Some(Line {
        text,
        x: line.x,
        end_x: line.end_x,
        y: line.y,
        size: line.size,
        kind,
        begins_block: false,
    })
}

/// Puts a space between a footnote's number and its first word.
fn part_note_mark(text: &mut String) {
    let is_mark = |c: char| matches!(c, '\u{B9}' | '\u{B2}' | '\u{B3}' | '\u{2070}'..='\u{2079}');
    let end = text.find(|c| !is_mark(c)).unwrap_or(0);
    if end > 0 && text[end..].starts_with(|c: char| !c.is_whitespace()) {
        text.insert(end, ' ');
    }
}

/// A table's rows as lines; prose that only looks like a table goes back to being prose.
fn table(rows: &[Vec<pdfboss_output::Cell>], lines: &mut Vec<Line>) {
    let rows: Vec<Vec<Line>> = rows
        .iter()
        .map(|row| row.iter().filter_map(|cell| line(cell.line.as_ref()?, Kind::Row)).collect())
        .filter(|row: &Vec<Line>| !row.is_empty())
        .collect();
    // Cells stand apart by more than words do.
    let mut gaps: Vec<f32> = rows
        .iter()
        .flat_map(|row| row.windows(2))
        .map(|pair| (pair[1].x - pair[0].end_x) / pair[1].size.max(1.0))
        .collect();
    gaps.sort_by(f32::total_cmp);
    let is_prose = gaps.is_empty() || gaps[gaps.len() / 2] < 1.0;
    let (kind, mark) = if is_prose { (Kind::Body, " ") } else { (Kind::Row, " | ") };
    for row in rows {
        let fold = |mut whole: Line, cell: Line| {
            whole.text.push_str(mark);
            whole.text.push_str(&cell.text);
            whole.x = whole.x.min(cell.x);
            whole.end_x = whole.end_x.max(cell.end_x);
            whole.size = whole.size.max(cell.size);
            whole
        };
        lines.extend(row.into_iter().reduce(fold).map(|line| Line { kind, ..line }));
    }
}

/// Restores the ligatures that no font could tell, and says how many were restored in all.
fn report_ligatures(sheets: &mut [Sheet], n_named: usize, warnings: &mut Vec<Warning>) {
    let mut vocabulary = Vocabulary::default();
    let has_gaps =
        sheets.iter().flat_map(|sheet| &sheet.lines).any(|line| line.text.contains('\u{FFFD}'));
    let mut n_guessed = 0;
    if has_gaps {
        sheets.iter().flat_map(|sheet| &sheet.lines).for_each(|line| vocabulary.add(&line.text));
        for line in sheets.iter_mut().flat_map(|sheet| &mut sheet.lines) {
            n_guessed += ligature::repair(&mut line.text, &vocabulary);
        }
    }
    if n_named + n_guessed > 0 {
        let message = format!(
            "{} ligatures without a Unicode map restored: {n_named} by the names in their fonts, \
             {n_guessed} by the words around them",
            n_named + n_guessed
        );
        warnings.push(Warning::new("ligatures_repaired", message));
    }
    let all = sheets.iter().flat_map(|sheet| &sheet.lines);
    let n_left: usize = all.map(|line| line.text.matches('\u{FFFD}').count()).sum();
    if n_left > 0 {
        let message = format!("{n_left} characters have no known meaning and became U+FFFD");
        warnings.push(Warning::new("unmapped_characters", message));
    }
}

/// How a page ended, judged by what is left of it.
fn status(page: &Taken, sheet: &mut Sheet, number: u32, warnings: &mut Vec<Warning>) -> PageStatus {
    let mut n_chars = 0;
    let mut n_unknown = 0;
    for c in sheet.lines.iter().flat_map(|line| line.text.chars()) {
        n_chars += usize::from(c.is_alphanumeric());
        n_unknown += usize::from(c == '\u{FFFD}');
    }
    if n_unknown > n_chars / 2 {
        let message =
            format!("the letters of page {number} have no known meaning and were left out");
        warnings.push(Warning::on_page("unreadable_text", number, message));
        sheet.lines.clear();
        return PageStatus::NeedsOcr;
    }
    match n_chars {
        0 if page.has_marks => PageStatus::NeedsOcr,
        0 if sheet.lines.is_empty() => PageStatus::Empty,
        n if n < STAMP_CHARS && page.image_part > SCAN_PART => PageStatus::NeedsOcr,
        _ => PageStatus::Text,
    }
}

/// Joins the pages' paragraphs into one text.
fn assemble(source: Source, taken: &[Taken], sheets: &[Sheet]) -> Document {
    let mut vocabulary = Vocabulary::default();
    let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
    for line in sheets.iter().flat_map(|sheet| &sheet.lines) {
        vocabulary.add(&line.text);
        *sizes.entry(half_points(line.size)).or_default() += line.text.len();
    }
    let body = sizes.iter().max_by_key(|(_, n)| **n).map_or(24, |(&size, _)| size);
    let body_size = f32::from(u16::try_from(body).unwrap_or(24)) / 2.0;
    let mut pages: Vec<Vec<Paragraph>> =
        sheets.iter().map(|sheet| reflow::paragraphs(&sheet.lines, &vocabulary)).collect();
    rank_headings(&mut pages, body_size);

    let mut text = String::new();
    let mut headings = Vec::new();
    let mut starts = Vec::with_capacity(pages.len());
    let mut is_running = false;
    for index in 0..pages.len() {
        starts.push(text.len());
        let (page, rest) = pages[index..].split_at_mut(1);
        let page = &mut page[0];
        if page.is_empty() {
            continue;
        }
        // The next page with text, be there an empty one between.
        let next = rest.iter().find(|page| !page.is_empty()).map(|page| &page[0]);
        let runs_on = next.is_some_and(|next| run_on(page, next, body_size));
        for (at, paragraph) in page.iter().enumerate() {
            let start = if at == 0 && is_running {
                let before = text.len();
                reflow::join(&mut text, &paragraph.text, &vocabulary);
                // A mended hyphen may shorten the page before; the joining space is that page's.
                let first = text.len().saturating_sub(paragraph.text.len());
                starts
                    .iter_mut()
                    .filter(|start| **start >= before.min(first))
                    .for_each(|start| *start = first);
                first
            } else {
                let start = text.len();
                text.push_str(&paragraph.text);
                start
            };
            if let Kind::Heading(level) = paragraph.kind {
                headings.push(Heading { range: start..start + paragraph.text.len(), level });
            }
            if at + 1 < page.len() || (next.is_some() && !runs_on) {
                text.push_str("\n\n");
            }
        }
        is_running = runs_on;
    }
    let text_len = text.len();
    let ends = starts.iter().skip(1).copied().chain([text_len]);
    let pages: Vec<Page> = (1_u32..)
        .zip(starts.iter().zip(ends))
        .zip(taken)
        .map(|((number, (&start, end)), page)| Page {
            number,
            range: clip(start, end),
            status: page.status,
        })
        .collect();
    let mut document = Document::new(source, text, pages);
    document.headings = headings;
    document
}

fn clip(start: usize, end: usize) -> Range<usize> {
    start..end.max(start)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what a u32 holds; a NaN becomes 0"
)]
fn half_points(size: f32) -> u32 {
    (size.clamp(0.0, 1000.0) * 2.0).round() as u32
}

/// Whether a page's text runs on to the next; puts its footnotes before the part that does.
fn run_on(page: &mut [Paragraph], next: &Paragraph, body_size: f32) -> bool {
    let Some(last) = page.last() else { return false };
    let Some(notes) = reflow::footnotes(page, body_size) else {
        return reflow::runs_on(last, next);
    };
    // "... was | ¹ The note. | there": the note goes before the sentence that it cuts.
    let runs_on = reflow::runs_on(&page[notes - 1], next);
    if runs_on {
        page[notes - 1..].rotate_left(1);
    }
    runs_on
}

/// Lines in heading type that the layout took for prose become headings of the same rank.
fn rank_headings(pages: &mut [Vec<Paragraph>], body_size: f32) {
    for paragraph in pages.iter_mut().flatten() {
        if matches!(paragraph.kind, Kind::Heading(_)) && reflow::has_leader(&paragraph.text) {
            paragraph.kind = Kind::Item; // an entry of a table of contents
        }
    }
    let mut levels: HashMap<u32, u8> = HashMap::new();
    for paragraph in pages.iter().flatten() {
        if let Kind::Heading(level) = paragraph.kind {
            levels.entry(half_points(paragraph.size)).or_insert(level);
        }
    }
    for paragraph in pages.iter_mut().flatten() {
        let is_candidate = paragraph.kind == Kind::Body
            && paragraph.size > 1.1 * body_size
            && paragraph.text.len() <= 120
            && paragraph.text.chars().any(char::is_alphabetic);
        if let (true, Some(&level)) = (is_candidate, levels.get(&half_points(paragraph.size))) {
            paragraph.kind = Kind::Heading(level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::PageStatus::{Empty, Failed, NeedsOcr, Text};
    use super::super::{Format, read_bytes};
    use super::*;

    /// A file of these objects, numbered from 1; the first is the catalog.
    fn file(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
        let mut out = b"%PDF-1.4\n".to_vec();
        let mut offsets = Vec::new();
        for (number, body) in (1..).zip(objects) {
            offsets.push(out.len());
            out.extend(format!("{number} 0 obj\n").bytes());
            out.extend(body);
            out.extend(b"\nendobj\n");
        }
        let start = out.len();
        out.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
        for offset in &offsets {
            out.extend(format!("{offset:010} 00000 n \n").bytes());
        }
        let n = objects.len() + 1;
        out.extend(format!("trailer\n<< /Size {n} /Root 1 0 R {trailer} >>\n").bytes());
        out.extend(format!("startxref\n{start}\n%%EOF\n").bytes());
        out
    }

    fn stream(dict: &str, data: &[u8]) -> Vec<u8> {
        let mut out = format!("<< {dict} /Length {} >>\nstream\n", data.len()).into_bytes();
        out.extend(data);
        out.extend(b"\nendstream");
        out
    }

    /// A file with one page for each content stream. Object 3 is the font, object 4 an image.
    fn pages_with(font: &[Vec<u8>], contents: &[&str]) -> Vec<u8> {
        let mut objects = vec![b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(), Vec::new()];
        objects.push(font[0].clone());
        let image = "/Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray";
        objects.push(stream(image, b"x"));
        objects.extend_from_slice(&font[1..]);
        let mut kids = String::new();
        for content in contents {
            objects.push(stream("", content.as_bytes()));
            let n = objects.len();
            objects.push(
                format!(
                    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {n} 0 R \
                     /Resources << /Font << /F1 3 0 R >> /XObject << /I 4 0 R >> >> >>"
                )
                .into_bytes(),
            );
            kids.push_str(&(n + 1).to_string());
            kids.push_str(" 0 R ");
        }
        objects[1] =
            format!("<< /Type /Pages /Count {} /Kids [{kids}] >>", contents.len()).into_bytes();
        file(&objects, "")
    }

    fn pages(contents: &[&str]) -> Vec<u8> {
        let font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>";
        pages_with(&[font.into()], contents)
    }

    fn statuses(document: &Document) -> Vec<PageStatus> {
        document.pages.iter().map(|page| page.status).collect()
    }

    const TEXT: &str = "BT /F1 12 Tf 72 700 Td (Some words.) Tj ET";

    #[test]
    fn every_page_is_accounted_for() {
        let scan = "q 612 0 0 792 0 0 cm /I Do Q";
        let stamped = format!("{scan} {TEXT}");
        let bytes = pages(&[TEXT, "", scan, &stamped]);
        let document = read_bytes("-", bytes, None).unwrap();
        assert_eq!(statuses(&document), [Text, Empty, NeedsOcr, NeedsOcr]);
        assert_eq!(document.source.format, Format::Pdf);
        assert_eq!(document.text, "Some words.\n\nSome words.");
        assert_eq!(document.pages[0].range, 0..13);
        assert_eq!(document.pages[3].range, 13..24);
    }

    #[test]
    fn a_page_that_cannot_be_read_has_failed() {
        let mut bytes = pages(&[TEXT, TEXT]);
        let at = bytes.windows(7).position(|window| window == b"/Length").unwrap();
        let broken = b"<< /Filter /FlateDecode";
        let last = bytes.windows(10).rposition(|window| window == b"<<  /Lengt").unwrap();
        assert!(at < last);
        bytes.splice(last..last + 3, broken.iter().copied());
        let document = read_bytes("-", bytes, None).unwrap();
        assert_eq!(statuses(&document), [Text, Failed]);
        assert!(document.warnings.iter().any(|warning| warning.code == "page_failed"));
    }

    #[test]
    fn a_file_without_text_is_still_a_document() {
        let document = read_bytes("-", pages(&["", "/I Do"]), None).unwrap();
        assert!(!document.has_text());
        assert_eq!(document.page_ranges(PageStatus::NeedsOcr), [(2, 2)]);
    }

    #[test]
    fn glyph_names_tell_what_no_map_does() {
        let font = "<< /Type /Font /Subtype /Type1 /BaseFont /ABCDEF+Tiny /FirstChar 0 /LastChar 0 \
                    /Widths [500] /FontDescriptor 5 0 R >>";
        let descriptor =
            "<< /Type /FontDescriptor /FontName /ABCDEF+Tiny /Flags 4 /FontFile3 6 0 R >>";
        let program = stream("/Subtype /Type1C", &super::super::glyph::tests::tiny_cff());
        let objects = [font.into(), descriptor.into(), program];
        let content = "BT /F1 12 Tf 72 700 Td (\\134con\\014rm) Tj ET";
        let document = read_bytes("-", pages_with(&objects, &[content]), None).unwrap();
        assert_eq!(document.text, "\u{201C}confirm");
        assert_eq!(document.warnings[0].code, "ligatures_repaired");
        assert!(document.warnings[0].message.starts_with("1 ligatures"));
    }

    #[test]
    fn the_sample_reads_as_it_was_written() {
        let bytes = include_bytes!("../../samples/minutes.pdf");
        let document = read_bytes("minutes.pdf", bytes.to_vec(), None).unwrap();
        assert_eq!(document.source.title.as_deref(), Some("Minutes of the Velsby Harbour Board"));
        for whole in [
            "in the evening. Nine of",
            "the well-known trouble at the mouth of the basin. Since",
            "in which the treasurer explained the state of the reserve fund, the board agreed",
            "without change.\n\nThe harbour master",
            "The proposal was put off",
        ] {
            assert!(document.text.contains(whole), "{whole:?} in {}", document.text);
        }
        assert!(!document.text.contains("Velsby Harbour Board"));
        assert_eq!(document.warnings[0].code, "running_lines_removed");
        assert!(document.warnings[0].message.starts_with("6 "));
        let headings =
            document.headings.iter().map(|heading| &document.text[heading.range.clone()]);
        let expected =
            ["Minutes of the Meeting of 12 October", "The offer of Nordmole", "Other business"];
        assert_eq!(headings.collect::<Vec<_>>(), expected);
        let treasurer = document.text.find("treasurer").unwrap();
        assert_eq!(document.pages_of(treasurer - 5..treasurer + 9), (1, 2));
        assert_eq!(document.pages[1].range.start, treasurer);
    }

    #[test]
    fn a_locked_file_asks_for_its_password() {
        let zeros = "00".repeat(32);
        let encrypt = format!(
            "/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <{zeros}> /U <{zeros}> >> /ID [<00> <00>]"
        );
        let objects = [
            b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
            b"<< /Type /Pages /Count 0 /Kids [] >>".to_vec(),
        ];
        let err = read_bytes("a.pdf", file(&objects, &encrypt), None).unwrap_err();
        assert!(matches!(err, DocumentError::Password { .. }), "{err}");
    }

    #[test]
    fn a_file_cut_anywhere_is_read_or_refused_but_never_panics() {
        let bytes = pages(&[TEXT, TEXT, TEXT]);
        let mut n_read = 0;
        for end in (10..bytes.len()).step_by(41) {
            match read_bytes("-", bytes[..end].to_vec(), None) {
                Ok(document) => {
                    n_read += 1;
                    assert!(document.warnings.iter().any(|warning| warning.code == "damaged_file"));
                }
                Err(err) => assert!(matches!(err, DocumentError::Damaged { .. }), "{err}"),
            }
        }
        assert!(n_read > 0);
    }

    #[test]
    fn garbled_bytes_do_not_panic() {
        let bytes = pages(&[TEXT, TEXT]);
        for at in (9..bytes.len()).step_by(7) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x15;
            let _ = read_bytes("-", bytes, None);
        }
    }
}
