//! A report to be read at once: the summary alone, as lines of plain text.
//!
//! Invariant: no character of a document or a model steers a terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::markdown::list;
use super::{Citation, Report, Statement, Status, Support};

/// What lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Columns that a line may take.
    pub n_columns: usize,
    /// Whether words may be bold, dim or yellow, by the codes of ECMA-48.
    pub colours: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { n_columns: 80, colours: false }
    }
}

/// Lines longer than this are hard to read, and in fewer columns than this there are none.
const LONGEST: usize = 100;
const SHORTEST: usize = 20;
/// The most warnings that are told.
const MOST_WARNINGS: usize = 3;

/// How a word is set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Face {
    Plain,
    Bold,
    Dim,
    Yellow,
}

/// Names and documents can hold anything: nothing in them may steer a terminal.
#[must_use]
pub fn plain(text: &str) -> String {
    // Control characters, but also those that turn the direction of what follows.
    let turns = |c| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let is_safe = |c: char| !turns(c) && (!c.is_control() || matches!(c, '\n' | '\t'));
    text.chars().map(|c| if is_safe(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// The summary with page numbers, what it leaves open, and where there is more.
#[must_use]
pub fn text(report: &Report, look: Look) -> String {
    let mut page = Page { look, text: String::new() };
    let source = &report.source;
    page.lines("", &[(source.title.as_deref().unwrap_or(&source.uri), Face::Bold)]);
    page.text.push('\n');
    if report.status == Status::Failed {
        let reason = report.reason.as_deref().unwrap_or("nothing could be read");
        page.lines("", &[("No summary:", Face::Yellow), (reason, Face::Plain)]);
        return page.text;
    }
    let statements = report.summary.as_ref().map_or(&[][..], |summary| &summary.statements);
    for statement in statements {
        page.statement(statement, report);
    }
    page.text.push('\n');
    for line in closing(report, statements) {
        page.lines("", &[(&line, Face::Dim)]);
    }
    page.text.truncate(page.text.trim_end().len());
    page.text
}

/// What was read and what was not, how far the summary can be trusted, where there is more.
fn closing(report: &Report, statements: &[Statement]) -> Vec<String> {
    let (source, coverage) = (&report.source, &report.source.coverage);
    let (n, units) = (source.n_pages, source.pages_are);
    let what = if n == 1 { "Read".to_owned() } else { format!("{n} {units}, read") };
    let n_tenths = (report.checks.coverage * 10.0).round();
    let mut lines = vec![format!(
        "{what} with {}. The summary quotes {n_tenths} of its 10 tenths.",
        report.model.id
    )];
    for (ranges, why) in [
        (
            &coverage.needs_ocr,
            "no text layer, and `--ocr ocrmypdf` reads them where that is installed",
        ),
        (&coverage.failed, "they could not be read"),
    ] {
        if !ranges.is_empty() {
            lines.push(format!("Not read: {units} {} ({why}).", list(ranges)));
        }
    }
    let n_weak = statements.iter().filter(|s| s.support != Support::Supported).count();
    if n_weak > 0 {
        lines.push(format!(
            "{n_weak} of {} statements, marked with ?, are not borne out by the sentences found for them.",
            statements.len()
        ));
    }
    for warning in report.warnings.iter().take(MOST_WARNINGS) {
        lines.push(format!("Warning: {}", warning.message));
    }
    if let Some(n_more) = report.warnings.len().checked_sub(MOST_WARNINGS + 1) {
        lines.push(format!("{} more warnings are in the whole report.", n_more + 1));
    }
    lines
        .push("Quotes, sections and the summary as it grew: --format html, md or json.".to_owned());
    lines
}

struct Page {
    look: Look,
    text: String,
}

impl Page {
    fn statement(&mut self, statement: &Statement, report: &Report) {
        let place = statement.citations.first().and_then(|c| place(c, report));
        let place = place.unwrap_or_default();
        let (mark, doubt) = match statement.support {
            Support::Supported => ("• ", String::new()),
            Support::Weak => ("? ", doubt(statement)),
            Support::None => ("? ", "(no sentence found for it)".to_owned()),
        };
        self.lines(
            mark,
            &[(&statement.text, Face::Plain), (&place, Face::Dim), (&doubt, Face::Yellow)],
        );
    }

    /// Words in lines, the first behind a mark and the others under them.
    fn lines(&mut self, mark: &str, runs: &[(&str, Face)]) {
        let n_columns = self.look.n_columns.clamp(SHORTEST, LONGEST);
        let indent = mark.width();
        self.text.push_str(mark);
        let mut column = indent;
        for &(run, face) in runs {
            let (open, close) = self.codes(face);
            let mut is_open = false;
            for word in plain(run).split([' ', '\t', '\n']).filter(|word| !word.is_empty()) {
                for piece in pieces(word, n_columns - indent) {
                    let gap = usize::from(column > indent);
                    if gap > 0 && column + gap + piece.width() > n_columns {
                        self.text.push_str(if is_open { close } else { "" });
                        is_open = false;
                        self.text.push('\n');
                        self.text.extend(std::iter::repeat_n(' ', indent));
                        column = indent;
                    } else if gap > 0 {
                        self.text.push(' ');
                        column += 1;
                    }
                    self.text.push_str(if is_open { "" } else { open });
                    is_open = true;
                    // A space that must not break, see `place`.
                    self.text.push_str(&piece.replace('\u{A0}', " "));
                    column += piece.width();
                }
            }
            self.text.push_str(if is_open { close } else { "" });
        }
        self.text.push('\n');
    }

    /// What begins and ends words of this face.
    fn codes(&self, face: Face) -> (&'static str, &'static str) {
        const CLOSE: &str = "\u{1B}[0m";
        match face {
            _ if !self.look.colours => ("", ""),
            Face::Plain => ("", ""),
            Face::Bold => ("\u{1B}[1m", CLOSE),
            Face::Dim => ("\u{1B}[2m", CLOSE),
            Face::Yellow => ("\u{1B}[33m", CLOSE),
        }
    }
}

/// A word in pieces that fit on a line; scripts without spaces are one long word.
fn pieces(word: &str, n_columns: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut begin, mut n) = (0, 0);
    for (at, c) in word.char_indices() {
        let width = c.width().unwrap_or(0);
        if n + width > n_columns {
            pieces.push(&word[begin..at]);
            (begin, n) = (at, 0);
        }
        n += width;
    }
    pieces.push(&word[begin..]);
    pieces
}

/// Pages of a citation, where there is more than one page; its words are not parted.
fn place(citation: &Citation, report: &Report) -> Option<String> {
    let (first, last) = citation.pages;
    let unit = match report.source.pages_are {
        _ if report.source.n_pages == 1 => return None,
        "sections" => "section",
        _ if first == last => "p.",
        _ => "pp.",
    };
    let pages = if first == last { first.to_string() } else { format!("{first}–{last}") };
    Some(format!("[{unit}\u{A0}{pages}]"))
}

/// What a statement says that its sentences lack.
fn doubt(statement: &Statement) -> String {
    let faults = statement.faults.iter().map(|fault| format!("{} `{}`", fault.kind, fault.text));
    match faults.collect::<Vec<_>>().join(", ") {
        faults if faults.is_empty() => "(weak)".to_owned(),
        faults => format!("(weak: its sentences lack the {faults})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(n_columns: usize, colours: bool, mark: &str, runs: &[(&str, Face)]) -> String {
        let mut page = Page { look: Look { n_columns, colours }, text: String::new() };
        page.lines(mark, runs);
        page.text
    }

    #[test]
    fn lines_end_between_words_and_hang_under_their_mark() {
        let runs = [("one two three four five", Face::Plain), ("[p.\u{A0}12]", Face::Dim)];
        assert_eq!(lines(20, false, "• ", &runs), "• one two three four\n  five [p. 12]\n");
        assert_eq!(lines(20, true, "", &[("a b", Face::Bold)]), "\u{1B}[1ma b\u{1B}[0m\n");
    }

    #[test]
    fn words_of_a_script_without_spaces_are_cut_by_their_width() {
        let text = "港".repeat(12);
        assert_eq!(
            lines(20, false, "", &[(&text, Face::Plain)]),
            format!("{}\n{}\n", "港".repeat(10), "港".repeat(2))
        );
    }

    #[test]
    fn no_character_of_a_document_steers_a_terminal() {
        let text = "a\u{1B}[2Jb\u{7} \u{9B}31m \u{202E}c\r\u{0}";
        let shown = lines(80, false, "", &[(text, Face::Plain)]);
        assert_eq!(shown, "a\u{FFFD}[2Jb\u{FFFD} \u{FFFD}31m \u{FFFD}c\u{FFFD}\u{FFFD}\n");
    }
}
