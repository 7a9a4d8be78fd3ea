//! A second reader, for pages of which the first one made little.
//!
//! pdf-extract decodes fonts in its own way, and now and then knows one that the backend does not.
//! It panics where it meets what it does not know, and follows a form that draws itself without
//! end. So it is not given the file, but one page made for it: the operators that place and show
//! text, with the fonts that they name, read and decrypted by the backend. Of what it says only
//! characters and their places are taken; lines and paragraphs are found as on any other page.

mod copy;

use std::cell::Cell;
use std::panic;
use std::sync::Once;

use pdf_extract::{MediaBox, OutputDev, OutputError, Transform};
use pdfboss_core::content::{Op, TextItem, parse_content};
use pdfboss_core::{Document, Page, Rect};
use pdfboss_text::{ReadingOrder, TextSpan};

use super::super::{PageStatus, Warning};
use super::page::{self, Sheet};
use super::reflow::Line;
use super::{fenced, lines};

/// Pages of a document that the second reader is asked for.
const MAX_TRIED: usize = 200;
/// Shorter strings may be bullets, rules and other signs that are no text.
const LEAST_SHOWN: usize = 24;
/// How far letters reach above and below their line, in parts of their size: it is not told.
const ASCENT: f32 = 0.8;
const DESCENT: f32 = 0.2;

/// Letters in a row that are no longer one word.
const MAX_WORD: usize = 25;

/// The second reader, and what it has been asked.
#[derive(Default)]
pub(super) struct Second {
    n_tried: usize,
    n_passed_over: usize,
    warnings: Vec<Warning>,
}

impl Second {
    /// Reads a page again if little was made of it, and keeps what is better.
    pub(super) fn look_at(&mut self, file: &Document, index: usize, sheet: &mut Sheet) {
        let Some(page) = fenced(|| file.page(index).ok()).flatten() else { return };
        let first = Tally::new(&sheet.lines);
        let has_failed = sheet.status == PageStatus::Failed;
        let found = fenced(|| complaint(file, &page, first, has_failed)).flatten();
        let Some((complaint, ops)) = found else { return };
        if self.n_tried == MAX_TRIED {
            self.n_passed_over += 1;
            return;
        }
        self.n_tried += 1;
        let Some(lines) = quietly(|| read(file, &page, &ops)).flatten() else { return };
        let second = Tally::new(&lines);
        if !second.is_better_than(first) {
            return;
        }
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let message = format!(
            "page {number} was read by pdf-extract, because {complaint}: {} letters instead of {}",
            second.n_letters, first.n_letters
        );
        self.warnings.push(Warning::on_page("second_reader", number, message));
        sheet.lines = lines;
        if has_failed {
            (sheet.bottom, sheet.top) = page::edges(&page);
            sheet.status = PageStatus::Text;
        }
    }

    /// Tells which pages it read, and how many it was not asked for.
    pub(super) fn report(mut self, warnings: &mut Vec<Warning>) {
        let was_read = |number| self.warnings.iter().any(|warning| warning.page == number);
        warnings.retain(|warning| warning.code != "page_failed" || !was_read(warning.page));
        warnings.append(&mut self.warnings);
        if self.n_passed_over > 0 {
            let message = format!(
                "{} pages of which little was made were not read again: {MAX_TRIED} others were",
                self.n_passed_over
            );
            warnings.push(Warning::new("second_reader_limit", message));
        }
    }
}

/// Why a page is to be read again, and its operators.
fn complaint(
    file: &Document,
    page: &Page,
    first: Tally,
    has_failed: bool,
) -> Option<(&'static str, Vec<Op>)> {
    let content = page.content(file).ok()?;
    let has_unknown = first.n_unknown > first.n_letters / 5;
    let is_joined = first.n_joined > first.n_letters / 2;
    // Less is shown than the content is long: most pages need not be looked through.
    if !has_failed && !has_unknown && !is_joined && first.n_chars >= content.len() / 4 {
        return None;
    }
    let ops = parse_content(&content).ok()?;
    let n_shown: usize = ops.iter().map(n_shown).sum();
    let why = if n_shown < LEAST_SHOWN {
        return None;
    } else if has_failed {
        "it could not be read"
    } else if has_unknown {
        "many of its characters have no known meaning"
    } else if first.n_chars < n_shown / 4 {
        "it shows more than was found"
    } else if is_joined {
        "its words run together"
    } else {
        return None;
    };
    Some((why, ops))
}

/// Bytes of text that an operator shows.
fn n_shown(op: &Op) -> usize {
    match op {
        Op::ShowText(text)
        | Op::NextLineShowText(text)
        | Op::NextLineShowTextSpaced(_, _, text) => text.len(),
        Op::ShowTextAdjusted(items) => {
            let shown = |item: &TextItem| match item {
                TextItem::Str(text) => text.len(),
                TextItem::Offset(_) => 0,
            };
            items.iter().map(shown).sum()
        }
        _ => 0,
    }
}

/// What a page's text is worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    /// Characters with a meaning.
    n_chars: usize,
    n_letters: usize,
    /// U+FFFD, private use, control.
    n_unknown: usize,
    /// Letters in words of more than [`MAX_WORD`] letters, of scripts that part words.
    n_joined: usize,
    /// Letters that stand alone: the lines of a drawing, set in a font of lines.
    n_alone: usize,
}

impl Tally {
    fn new(lines: &[Line]) -> Self {
        let mut tally = Self::default();
        for word in lines.iter().flat_map(|line| line.text.split_whitespace()) {
            let n_unknown = word.chars().filter(|&c| is_unknown(c)).count();
            let n_letters = word.chars().filter(|c| c.is_alphanumeric()).count();
            tally.n_chars += word.chars().count() - n_unknown;
            tally.n_letters += n_letters;
            tally.n_unknown += n_unknown;
            tally.n_alone += usize::from(n_letters == 1);
            // Thai, Chinese and others behind this do without spaces.
            if n_letters > MAX_WORD && word.chars().all(|c| c < '\u{0E00}') {
                tally.n_joined += n_letters;
            }
        }
        tally
    }

    /// A quarter more letters, or words that are parted where they ran together; and these are words,
    /// with hardly any character without a meaning.
    fn is_better_than(self, first: Self) -> bool {
        let has_more = self.n_letters > first.n_letters + first.n_letters / 4
            && self.n_joined <= first.n_joined.max(self.n_letters / 4);
        let is_parted = self.n_letters >= first.n_letters - first.n_letters / 10
            && self.n_joined < first.n_joined / 4;
        (has_more || is_parted)
            // A font that is decoded wrongly gives signs of all kinds.
            && self.n_letters > self.n_chars / 2
            && self.n_alone <= self.n_letters / 2
            && self.n_unknown <= first.n_unknown
            && self.n_unknown <= self.n_letters / 20
    }
}

fn is_unknown(c: char) -> bool {
    matches!(c, '\u{FFFD}' | '\u{E000}'..='\u{F8FF}') || c.is_control()
}

/// A page's lines as pdf-extract finds their characters.
fn read(file: &Document, page: &Page, ops: &[Op]) -> Option<Vec<Line>> {
    let copy = copy::of_page(file, page, ops)?;
    let mut found = Found::default();
    pdf_extract::output_doc_page(&copy, &mut found, 1).ok()?;
    let mut spans: Vec<TextSpan> =
        found.pieces.into_iter().map(|piece| piece.into_span(page.index)).collect();
    page::finish(&mut spans, page);
    lines::of_page(&spans, ReadingOrder::Content)
}

/// Runs something that panics easily, without a word on standard error.
fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    thread_local!(static IS_QUIET: Cell<bool> = const { Cell::new(false) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                told(info);
            }
        }));
    });
    IS_QUIET.set(true);
    let done = fenced(work);
    IS_QUIET.set(false);
    done
}

/// Takes what pdf-extract finds: a piece of text for each string that is shown.
#[derive(Default)]
struct Found {
    pieces: Vec<Piece>,
    /// The next character goes on with the last piece.
    is_open: bool,
}

/// A string and where it stands.
struct Piece {
    text: String,
    /// Where each of its characters begins.
    starts: Vec<f32>,
    from: (f32, f32),
    to: (f32, f32),
    size: f32,
    rotate: i32,
}

impl OutputDev for Found {
    fn begin_page(
        &mut self,
        _number: u32,
        _media_box: &MediaBox,
        _art_box: Option<(f64, f64, f64, f64)>,
    ) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_page(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn begin_word(&mut self) -> Result<(), OutputError> {
        self.is_open = false;
        Ok(())
    }

    fn end_word(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), OutputError> {
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "places on a page are small numbers")]
    fn output_character(
        &mut self,
        place: &Transform,
        width: f64,
        _spacing: f64,
        size: f64,
        text: &str,
    ) -> Result<(), OutputError> {
        let (right, up) = (width * size * place.m11, width * size * place.m12);
        let from = (place.m31 as f32, place.m32 as f32);
        let to = ((place.m31 + right) as f32, (place.m32 + up) as f32);
        let height = (size * place.m21.hypot(place.m22)).abs() as f32;
        if ![from.0, from.1, to.0, to.1, height].into_iter().all(f32::is_finite) {
            return Ok(());
        }
        if !std::mem::replace(&mut self.is_open, true) {
            self.pieces.push(Piece {
                text: String::new(),
                starts: Vec::new(),
                from,
                to,
                size: height,
                rotate: upright(size * place.m11, size * place.m12),
            });
        }
        if let Some(piece) = self.pieces.last_mut() {
            piece.text.push_str(text);
            piece.starts.extend(text.chars().map(|_| from.0));
            piece.to = to;
        }
        Ok(())
    }
}

/// The turn of a page, in degrees, under which text of this direction reads upright.
fn upright(x: f64, y: f64) -> i32 {
    match (x.abs() >= y.abs(), x >= 0.0, y >= 0.0) {
        (true, true, _) => 0,
        (true, false, _) => 180,
        (false, _, true) => 90,
        (false, _, false) => 270,
    }
}

impl Piece {
    fn into_span(self, page: usize) -> TextSpan {
        let bbox = self.bounds();
        let has_places = pdfboss_text::keeps_glyph_x(&self.text);
        TextSpan {
            glyph_x: if has_places { self.starts.into() } else { Box::default() },
            text: self.text,
            logical: false,
            x: self.from.0,
            y: self.from.1,
            end_x: self.to.0,
            end_y: self.to.1,
            rotate: self.rotate,
            size: self.size,
            font: String::new(),
            font_name: String::new(),
            page,
            bbox,
            ascent: ASCENT * self.size,
            descent: -DESCENT * self.size,
            bold: false,
            italic: false,
            monospace: false,
            serif: false,
            font_family: String::new(),
            font_stretch: None,
            font_weight: None,
            rise: 0.0,
            vertical: false,
            invisible: false,
            color: None,
            underline: false,
            strikethrough: false,
            highlight: false,
            highlight_color: None,
            artifact: None,
            structure: None,
            alt: None,
            lang: None,
            expansion: None,
        }
    }

    fn bounds(&self) -> Rect {
        let (up, down) = (ASCENT * self.size, DESCENT * self.size);
        let (x0, x1) = (self.from.0.min(self.to.0), self.from.0.max(self.to.0));
        let (y0, y1) = (self.from.1.min(self.to.1), self.from.1.max(self.to.1));
        match self.rotate {
            0 => Rect { x0, x1, y0: y0 - down, y1: y1 + up },
            180 => Rect { x0, x1, y0: y0 - up, y1: y1 + down },
            90 => Rect { x0: x0 - up, x1: x1 + down, y0, y1 },
            _ => Rect { x0: x0 - down, x1: x1 + up, y0, y1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::read_bytes;
    use super::super::tests::{pages, pages_with};
    use super::*;

    /// A font drawn by the file itself, with names for its letters that say nothing.
    const NAMELESS: &str = "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FirstChar 224 \
        /LastChar 233 /FontMatrix [0.1 0 0 0.1 0 0] /Widths [5 5 5 5 5 5 5 5 5 5] /CharProcs << >> \
        /Encoding << /Differences [224 /a224 /a225 /a226 /a227 /a228 /a229 /a230 /a231 /a232 /a233] >> >>";

    #[test]
    fn a_page_of_unknown_characters_is_read_again() {
        let lines = "0 -14 Td (\\340\\341\\342\\350\\351\\350) Tj ".repeat(8);
        let content = format!("BT /F1 10 Tf 72 700 Td {lines}ET");
        let document = read_bytes("-", pages_with(&[NAMELESS.into()], &[&content]), None).unwrap();
        assert!(document.text.starts_with("àáâèéè àáâèéè"), "{}", document.text);
        let warning = document.warnings.iter().find(|w| w.code == "second_reader").unwrap();
        assert_eq!(warning.page, Some(1));
        let expected = "page 1 was read by pdf-extract, because many of its characters have no \
                        known meaning: 48 letters instead of 32";
        assert_eq!(warning.message, expected);
        assert_eq!(document.page_ranges(PageStatus::Text), [(1, 1)]);
    }

    #[test]
    fn a_page_that_is_read_well_is_not_read_again() {
        let content = format!("BT /F1 10 Tf 72 700 Td ({}) Tj ET", "Some words. ".repeat(9));
        let document = read_bytes("-", pages(&[&content]), None).unwrap();
        assert!(document.warnings.is_empty(), "{:?}", document.warnings);
    }

    fn tally(n_letters: usize, n_unknown: usize, n_joined: usize) -> Tally {
        Tally { n_chars: n_letters, n_letters, n_unknown, n_joined, n_alone: 0 }
    }

    #[test]
    fn only_what_is_better_is_taken() {
        let first = tally(100, 40, 0);
        assert!(tally(140, 0, 0).is_better_than(first));
        assert!(tally(140, 7, 0).is_better_than(first));
        assert!(!tally(140, 8, 0).is_better_than(first), "too much without a meaning");
        assert!(!tally(125, 0, 0).is_better_than(first), "hardly more");
        assert!(!tally(140, 0, 140).is_better_than(first), "words run together");
        let first = tally(400, 0, 300);
        assert!(tally(380, 0, 0).is_better_than(first), "words are parted");
        assert!(!tally(300, 0, 0).is_better_than(first), "letters are lost");
        assert!(!Tally::default().is_better_than(Tally::default()));
        let signs = Tally { n_chars: 80, ..tally(30, 0, 0) };
        assert!(!signs.is_better_than(Tally::default()), "mostly signs");
        let drawing = Tally { n_alone: 20, ..tally(30, 0, 0) };
        assert!(!drawing.is_better_than(Tally::default()), "hardly a word");
    }

    #[test]
    fn a_tally_counts_what_a_reader_sees() {
        let line = |text: &str| Line {
            text: text.into(),
            x: 0.0,
            end_x: 9.0,
            y: 0.0,
            size: 9.0,
            kind: super::super::reflow::Kind::Body,
            begins_block: false,
        };
        let long = "itsbodywasfoundbyafishermanwholived";
        let found = Tally::new(&[line("A \u{FFFD}\u{E001}b."), line(long)]);
        let n = long.len();
        let expected =
            Tally { n_chars: n + 3, n_letters: n + 2, n_unknown: 2, n_joined: n, n_alone: 2 };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_panic_is_caught() {
        assert_eq!(quietly(|| -> u8 { panic!("of the second reader") }), None);
        assert_eq!(quietly(|| 1), Some(1));
    }
}
