//! What the layout found on a page, as lines.

use pdfboss_output::{Block, LayoutOptions, PageLayout, document_layout, page_layout_opts};
use pdfboss_text::{ReadingOrder, TextSpan};

use super::super::{PageStatus, clean};
use super::fenced;
use super::page::{Sheet, Taken};
use super::reflow::{self, Kind, Line};

/// Lays out pages together, so that their headings are told from one body type.
pub(super) fn lay_out(taken: Vec<Taken>) -> Vec<Sheet> {
    let (pages, mut sheets): (Vec<_>, Vec<_>) =
        taken.into_iter().map(|page| ((page.spans, page.order), page.sheet)).unzip();
    if let Some(layouts) = fenced(|| document_layout(&pages)) {
        for (sheet, layout) in sheets.iter_mut().zip(layouts) {
            sheet.lines = lines(layout);
        }
        return sheets;
    }
    // One of them is too much for the layout: the others are read.
    for (sheet, (spans, order)) in sheets.iter_mut().zip(&pages) {
        match of_page(spans, *order) {
            Some(found) => sheet.lines = found,
            None => sheet.status = PageStatus::Failed,
        }
    }
    sheets
}

/// Lays out one page by itself; none if it is too much for the layout.
pub(super) fn of_page(spans: &[TextSpan], order: ReadingOrder) -> Option<Vec<Line>> {
    fenced(|| page_layout_opts(spans, &[], order, &LayoutOptions::default())).map(lines)
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
