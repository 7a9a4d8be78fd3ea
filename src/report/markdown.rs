//! A report for people, in Markdown.

use std::fmt::Write;

use super::{Citation, Coverage, Report, Statement, Status};

/// The summary with page numbers, what was not read, and the summary as it grew.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut md = String::new();
    let source = &report.source;
    let title = source.title.as_deref().unwrap_or(&source.uri);
    // Writing to a string cannot fail.
    let _ = writeln!(md, "# {}\n", plain(title));
    let _ = writeln!(md, "{}\n", read(report));
    if report.status == Status::Failed {
        let reason = report.reason.as_deref().unwrap_or("nothing could be read");
        let _ = writeln!(md, "**No summary**: {}.", plain(reason));
        return md;
    }
    let unit = source.pages_are.strip_suffix('s').unwrap_or(source.pages_are);
    if let Some(summary) = &report.summary {
        let _ = writeln!(md, "## Summary\n");
        statements(&mut md, &summary.statements, unit);
    }
    if !report.sections.is_empty() {
        let _ = writeln!(md, "## Section by section\n");
        for section in &report.sections {
            let _ =
                writeln!(md, "### {} *({})*\n", plain(&section.title), pages(section.pages, unit));
            statements(&mut md, &section.summary.statements, unit);
        }
    }
    let _ = writeln!(md, "## Part by part\n");
    for part in &report.rolling {
        let _ = writeln!(md, "### {}\n", upper(&pages(part.pages, unit)));
        statements(&mut md, &part.statements, unit);
    }
    if !report.warnings.is_empty() {
        let _ = writeln!(md, "## Warnings\n");
        for warning in &report.warnings {
            let page = warning.page.map_or(String::new(), |p| format!(" ({unit} {p})"));
            let _ = writeln!(md, "- {}{page}", plain(&warning.message));
        }
    }
    md
}

/// What was read, and what was not.
fn read(report: &Report) -> String {
    let Coverage { text, empty, needs_ocr, failed } = &report.source.coverage;
    let n_pages = report.source.n_pages;
    let (unit, on) = match report.source.pages_are {
        "sections" => ("section", "in"),
        _ => ("page", "on"),
    };
    let plural = if n_pages == 1 { "" } else { "s" };
    let mut parts = vec![format!("{n_pages} {unit}{plural}; text {on} {}", list(text))];
    for (what, ranges) in
        [("empty", empty), ("no text layer, OCR needed", needs_ocr), ("could not be read", failed)]
    {
        if !ranges.is_empty() {
            parts.push(format!("{what}: {}", list(ranges)));
        }
    }
    format!("*{}. Read with {}.*", parts.join("; "), plain(&report.model.id))
}

/// One bullet a statement, with the pages and the words it rests on.
fn statements(md: &mut String, statements: &[Statement], unit: &str) {
    for statement in statements {
        let cited = statement.citations.first();
        let places = cited.map_or(String::new(), |c| format!(" *({})*", place(c, unit)));
        let _ = writeln!(md, "- {}{places}", plain(&statement.text));
        // A chosen sentence is its own quote.
        let is_own = |exact: &str| exact.split_whitespace().eq(statement.text.split_whitespace());
        if let Some(quote) = cited.and_then(|c| c.quote.as_ref()).filter(|q| !is_own(&q.exact)) {
            let _ = writeln!(md, "  > {}", plain(&quote.exact));
        }
    }
    if statements.is_empty() {
        md.push_str("Nothing was noted.\n");
    }
    md.push('\n');
}

/// The pages of a citation, with what is printed on the first of them.
fn place(citation: &Citation, unit: &str) -> String {
    let pages = pages(citation.pages, unit);
    match &citation.label {
        Some(label) if unit == "page" => format!("{pages}, printed {}", plain(label)),
        Some(label) => format!("{pages}, {}", plain(label)),
        None => pages,
    }
}

fn pages((first, last): (u32, u32), unit: &str) -> String {
    if first == last { format!("{unit} {first}") } else { format!("{unit}s {first}–{last}") }
}

pub(super) fn list(ranges: &[(u32, u32)]) -> String {
    let one = |&(a, b): &(u32, u32)| if a == b { a.to_string() } else { format!("{a}–{b}") };
    if ranges.is_empty() {
        "none".to_owned()
    } else {
        ranges.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

pub(super) fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// One line in which nothing is Markdown: the words are a document's or a model's.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in super::plain(text).split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        for c in word.chars() {
            if matches!(
                c,
                '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '!' | '&' | '~' | '$'
            ) {
                out.push('\\');
            }
            out.push(c);
        }
    }
    // A line that begins with a list's or a heading's sign would be one.
    if out.starts_with(['-', '+', '=']) {
        out.insert(0, '\\');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn words_of_a_document_are_not_markup() {
        assert_eq!(plain("a *b* <script>\n[x](y)"), "a \\*b\\* \\<script\\> \\[x\\](y)");
        assert_eq!(plain("- item"), "\\- item");
    }
}
