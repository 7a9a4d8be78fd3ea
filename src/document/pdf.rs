//! PDF: pages to lines to paragraphs, with every page accounted for.
//!
//! The backend is pure Rust and lenient: it reads what a damaged file still has. Every call into
//! it that handles a page's content may meet hostile data, so each is fenced: a page that panics
//! is a failed page with a warning.
//!
//! Pages are read in batches; of each only its lines are kept, so that memory grows with the text
//! and not with what the backend remembers of it.

mod accent;
mod appearance;
mod assemble;
mod furniture;
mod glyph;
mod ligature;
mod lines;
mod page;
mod reflow;
mod second;
#[cfg(test)]
pub(super) mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};

use pdfboss_core::{DocumentSeed, Error, OutlineItem};

use self::page::{Reader, Sheet};
use self::reflow::Vocabulary;
use self::second::Second;
use super::{Document, DocumentError, PageStatus, Source, Warning, clean};

/// Fewer letters than this on a scanned page are a stamp, not its text.
const STAMP_CHARS: usize = 120;
/// An image over this part of a page makes it a scan, unless the page has text of its own.
const SCAN_PART: f32 = 0.5;
/// Pages that are read and laid out together: enough to tell body type from headings.
const N_BATCH: usize = 64;

pub(super) fn read(
    mut source: Source,
    bytes: Vec<u8>,
    password: Option<&str>,
) -> Result<Document, DocumentError> {
    let damage = damage(&bytes);
    let mut file = open(&source.uri, bytes, password)?;
    let mut n_pages = fenced(|| file.page_count()).unwrap_or(0);
    let mut warnings: Vec<Warning> =
        damage.map(|message| Warning::new("damaged_file", message)).into_iter().collect();
    if n_pages == 0 {
        // The table of objects may point anywhere. Without it the backend looks for them itself.
        file = open(&source.uri, without_table(file.bytes()), password)?;
        n_pages = fenced(|| file.page_count()).unwrap_or(0);
        let message = "its table of objects leads nowhere; they were searched for".to_owned();
        warnings.push(Warning::new("damaged_file", message));
    }
    if n_pages == 0 {
        let reason = "no pages found".to_owned();
        return Err(DocumentError::Damaged { uri: source.uri, reason });
    }
    source.title =
        fenced(|| file.metadata().title).flatten().and_then(|title| worthy_title(&title));
    let labels = fenced(|| labels(&file, n_pages)).unwrap_or_default();
    let titles = fenced(|| titles(&file.outline())).unwrap_or_default();
    let seed = file.seed();
    drop(file);

    let mut sheets = read_sheets(&seed, n_pages, &mut warnings);
    drop(seed);
    let n_running = furniture::set_apart(&mut sheets);
    if n_running > 0 {
        let message = format!("{n_running} running headers, footers and page numbers not read");
        warnings.push(Warning::new("running_lines_set_apart", message));
    }
    for (number, sheet) in (1_u32..).zip(&mut sheets) {
        if sheet.status != PageStatus::Failed {
            sheet.status = status(sheet, number, &mut warnings);
        }
    }
    let mut document = assemble::document(source, sheets, &labels, &titles);
    document.warnings = warnings;
    document.settle_title();
    Ok(document)
}

/// Opens the file, with its password where it is locked.
fn open(
    uri: &str,
    bytes: Vec<u8>,
    password: Option<&str>,
) -> Result<pdfboss_core::Document, DocumentError> {
    let locked = |uri: String| match password {
        None => DocumentError::Password { uri },
        Some(_) => DocumentError::WrongPassword { uri },
    };
    let damaged = |reason: String| DocumentError::Damaged { uri: uri.to_owned(), reason };
    let load = || pdfboss_core::Document::load_with_password(bytes, password.unwrap_or_default());
    match fenced(load) {
        Some(Ok(file)) if file.is_locked() => Err(locked(uri.to_owned())),
        Some(Ok(file)) => Ok(file),
        Some(Err(Error::Encrypted)) => Err(locked(uri.to_owned())),
        Some(Err(error)) => Err(damaged(error.to_string())),
        None => Err(damaged("the reader gave up on its structure".to_owned())),
    }
}

/// The file without what says where its table of objects stands.
fn without_table(bytes: &[u8]) -> Vec<u8> {
    const START: &[u8] = b"startxref";
    let mut bytes = bytes.to_vec();
    let found: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(START)).collect();
    for at in found {
        bytes[at..at + START.len()].fill(b' ');
    }
    bytes
}

/// All pages as lines. What the backend remembers is thrown away after each batch.
fn read_sheets(seed: &DocumentSeed, n_pages: usize, warnings: &mut Vec<Warning>) -> Vec<Sheet> {
    let mut sheets = Vec::with_capacity(n_pages);
    let mut second = Second::default();
    let mut n_named = 0;
    for start in (0..n_pages).step_by(N_BATCH) {
        let file = pdfboss_core::Document::from_seed(seed.clone());
        let mut reader = Reader::new(&file);
        let batch = (start..n_pages.min(start + N_BATCH)).map(|index| reader.take(index)).collect();
        let mut laid_out = lines::lay_out(batch);
        for (index, sheet) in (start..).zip(&mut laid_out) {
            second.look_at(&file, index, sheet);
        }
        sheets.extend(laid_out);
        n_named += reader.n_ligatures;
        warnings.append(&mut reader.warnings);
    }
    second.report(warnings);
    report_ligatures(&mut sheets, n_named, warnings);
    sheets
}

/// What is printed on each page where that is not its number.
fn labels(file: &pdfboss_core::Document, n_pages: usize) -> Vec<Option<String>> {
    let Some(ranges) = file.page_labels() else { return Vec::new() };
    let label = |index: usize| {
        let label = clean::line(&pdfboss_core::page_label(&ranges, index));
        let is_new = !label.is_empty() && label != (index + 1).to_string();
        is_new.then_some(label).filter(|label| label.chars().count() <= 40)
    };
    (0..n_pages).map(label).collect()
}

/// The titles of an outline and their ranks, from 1.
fn titles(items: &[OutlineItem]) -> Vec<(String, u8)> {
    let mut titles = Vec::new();
    let mut open: Vec<(&OutlineItem, u8)> = items.iter().rev().map(|item| (item, 1)).collect();
    while let Some((item, level)) = open.pop() {
        titles.push((clean::line(&item.title), level));
        open.extend(item.children.iter().rev().map(|child| (child, (level + 1).min(6))));
    }
    titles
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
fn status(sheet: &mut Sheet, number: u32, warnings: &mut Vec<Warning>) -> PageStatus {
    // Lines of music, arrows and other drawing fonts go; the words beside them stay.
    let mut n_left_out = 0;
    let mut n_chars = 0;
    sheet.lines.retain(|line| {
        let n_unknown = line.text.matches('\u{FFFD}').count();
        let n_known = line.text.chars().filter(|c| c.is_alphanumeric()).count();
        let is_readable = n_unknown <= n_known / 2;
        if is_readable {
            n_chars += n_known;
        } else {
            n_left_out += n_unknown;
        }
        is_readable
    });
    if n_left_out > 0 {
        let message = format!(
            "{n_left_out} letters of page {number} have no known meaning and were left out"
        );
        warnings.push(Warning::on_page("unreadable_text", number, message));
        if n_chars < STAMP_CHARS && n_left_out > n_chars / 2 {
            return PageStatus::NeedsOcr;
        }
    }
    match n_chars {
        0 if sheet.has_marks => PageStatus::NeedsOcr,
        0 if sheet.lines.is_empty() => PageStatus::Empty,
        n if n < STAMP_CHARS && sheet.image_part > SCAN_PART => PageStatus::NeedsOcr,
        _ => PageStatus::Text,
    }
}
