//! One page: its pieces of text, and what else it shows.

use std::collections::HashSet;

use pdfboss_core::{Error, Immediate, OcState, Page, StructureTree, block_on};
use pdfboss_output::{retain_spans_on_page, structure_for};
use pdfboss_text::{FontCache, ReadingOrder, SkippedText, SkippedTextKind, TextSpan};

use super::super::{PageStatus, Warning, clean};
use super::glyph::NamedFonts;
use super::reflow::Line;
use super::{accent, appearance, fenced};

/// A page with more text than this, headers included, is not looked through for images.
const SPARSE_BYTES: usize = 600;

/// A page as lines.
#[derive(Debug)]
pub(super) struct Sheet {
    /// Its text, in reading order.
    pub(super) lines: Vec<Line>,
    /// Headers, footers and page numbers, once they are set apart; those of the head first.
    pub(super) running: Vec<String>,
    pub(super) status: PageStatus,
    /// The page shows something that is not text.
    pub(super) has_marks: bool,
    /// The largest part of the page that one image covers.
    pub(super) image_part: f32,
    /// Lower and upper edge, in points.
    pub(super) bottom: f32,
    pub(super) top: f32,
}

/// What was taken from one page before it was laid out.
pub(super) struct Taken {
    pub(super) spans: Vec<TextSpan>,
    pub(super) order: ReadingOrder,
    /// The page, still without its lines.
    pub(super) sheet: Sheet,
}

/// The file, and what lasts from page to page.
pub(super) struct Reader<'a> {
    file: &'a pdfboss_core::Document,
    named: NamedFonts<'a>,
    fonts: FontCache,
    layers: Option<OcState>,
    tree: Option<StructureTree>,
    /// Ligatures that only the glyph names of a font told.
    pub(super) n_ligatures: usize,
    pub(super) warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a pdfboss_core::Document) -> Self {
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

    pub(super) fn take(&mut self, index: usize) -> Taken {
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
                let sheet = Sheet {
                    lines: Vec::new(),
                    running: Vec::new(),
                    status: PageStatus::Failed,
                    has_marks: false,
                    image_part: 0.0,
                    bottom: 0.0,
                    top: 0.0,
                };
                Taken { spans: Vec::new(), order: ReadingOrder::Content, sheet }
            }
        }
    }

    fn try_take(&self, index: usize) -> Result<(Taken, Option<String>), Error> {
        let page = appearance::draw_in(self.file, self.file.page(index)?);
        let (mut spans, report) = block_on(pdfboss_text::extract_spans_reporting_cached_with(
            Immediate(&self.named),
            &page,
            &self.fonts,
            self.layers.as_ref(),
            self.tree.as_ref(),
            ReadingOrder::StructureTree,
        ))?;
        finish(&mut spans, &page);
        let (bottom, top) = edges(&page);
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
        let sheet = Sheet {
            lines: Vec::new(),
            running: Vec::new(),
            status: PageStatus::Text,
            has_marks,
            image_part,
            bottom,
            top,
        };
        Ok((Taken { spans, order: report.order, sheet }, skipped))
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

/// What is done to the pieces of text of a page, whoever found them.
pub(super) fn finish(spans: &mut Vec<TextSpan>, page: &Page) {
    retain_spans_on_page(spans, page);
    accent::compose_all(spans);
    raise_note_marks(spans);
}

/// Lower and upper edge of a page, in points.
pub(super) fn edges(page: &Page) -> (f32, f32) {
    (page.crop_box.y0.min(page.crop_box.y1), page.crop_box.y0.max(page.crop_box.y1))
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
