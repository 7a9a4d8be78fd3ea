//! A report for people to look at: one HTML file that needs nothing and asks nobody.
//!
//! Documents are hostile: all of their words go through the escaping of the templates, and the page
//! forbids itself every script and style but its own two, by their hashes.

use std::collections::BTreeMap;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Facts, Report, Run};

const STYLE: &str = include_str!("../../templates/html/page.css");
const REPORT: [&str; 2] = [
    include_str!("../../templates/html/report.html"),
    include_str!("../../templates/html/report.js"),
];
const INDEX: [&str; 2] = [
    include_str!("../../templates/html/index.html"),
    include_str!("../../templates/html/index.js"),
];
/// What both take in.
const SHARED: [(&str, &str); 2] = [
    ("head.html", include_str!("../../templates/html/head.html")),
    ("macros.html", include_str!("../../templates/html/macros.html")),
];

/// What of a path needs no escape in a link.
const IN_PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');
/// Width and height of a page in the map, with the space around it.
const CELL: usize = 10;
/// Cells in a row of the map, at least and at most.
const MOST_COLUMNS: usize = 60;
const FEWEST_COLUMNS: usize = 20;
/// Classes of pages that are quoted, from seldom to often.
const DRAWN: [&str; 4] = ["h1", "h2", "h3", "h4"];

/// A page in the map of the document.
#[derive(Debug, Serialize)]
struct Cell {
    x: usize,
    y: usize,
    class: &'static str,
    name: String,
    /// The first statement of the summary that rests on it, from 1.
    statement: Option<usize>,
    /// Names of all quotes from it in the page, parted by spaces.
    quotes: String,
}

/// A report as a page.
///
/// # Errors
/// If a template failed, which does not happen.
pub fn html(report: &Report) -> Result<String, minijinja::Error> {
    let source = &report.source;
    let unit = source.pages_are.strip_suffix('s').unwrap_or(source.pages_are);
    let (cells, n_columns) = cells(report, unit);
    let legend = [
        (vec!["read"], "read"),
        (DRAWN.to_vec(), "quoted in the summary, once or more"),
        (vec!["empty"], "empty"),
        (vec!["ocr"], "needs OCR"),
        (vec!["bad"], "could not be read"),
    ];
    let is_there = |class: &&str| cells.iter().any(|cell| cell.class == *class);
    let legend: Vec<(Vec<&str>, &str)> = legend
        .into_iter()
        .map(|(classes, what)| (classes.into_iter().filter(is_there).collect(), what))
        .filter(|(classes, _): &(Vec<&str>, _)| !classes.is_empty())
        .collect();
    let map = context! {
        width => n_columns * CELL,
        height => cells.len().div_ceil(n_columns) * CELL,
        cells => Value::from(Serde(&cells)),
    };
    let title = source.title.as_deref().unwrap_or(&source.uri);
    let more = context! {
        r => Value::from(Serde(report)),
        title => format!("{title} – summary"),
        name => title,
        format => format_name(&source.format),
        legend => legend,
        map => map,
        checks => checks(report, unit),
        made => made(report),
    };
    let mut page = render(REPORT, unit, code(report.checks.language.as_deref()), more)?;
    if report.key.is_some() {
        page.push_str(&Facts::of(report).comment());
    }
    Ok(page)
}

/// What became of a batch as a page, with links to its reports.
///
/// # Errors
/// If a template failed, which does not happen.
pub fn index(run: &Run) -> Result<String, minijinja::Error> {
    // A name may look like the address of something else: a path from here on is none.
    let link = |path: &String| format!("./{}", utf8_percent_encode(path, IN_PATH));
    let links: Vec<Option<String>> =
        run.documents.iter().map(|entry| entry.report.as_ref().map(link)).collect();
    let more = context! {
        r => Value::from(Serde(run)),
        links => links,
        title => format!("{} documents – summaries", run.documents.len()),
    };
    render(INDEX, "page", "", more)
}

/// A page of ours about a document in `language`.
fn render(
    [page, script]: [&str; 2],
    unit: &str,
    language: &str,
    more: Value,
) -> Result<String, minijinja::Error> {
    let mut env = Environment::new();
    for (name, template) in SHARED {
        env.add_template(name, template)?;
    }
    env.add_template("page.html", page)?;
    env.add_global("unit", unit);
    env.add_global("language", language);
    let words = [("supported", "supported"), ("weak", "weak"), ("none", "no source found")];
    env.add_global("words", Value::from(Serde(BTreeMap::from(words))));
    let own = context! {
        style => Value::from_safe_string(STYLE.to_owned()),
        script => Value::from_safe_string(script.to_owned()),
        style_hash => Value::from_safe_string(hash(STYLE)),
        script_hash => Value::from_safe_string(hash(script)),
    };
    env.get_template("page.html")?.render(context! { ..more, ..own })
}

/// How a policy names what it allows: base64 of its SHA-256.
fn hash(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let sum = Sha256::digest(text.as_bytes());
    let mut hash = "sha256-".to_owned();
    for three in sum.chunks(3) {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            hash.push(if i <= three.len() { char::from(digit) } else { '=' });
        }
    }
    hash
}

/// Every page, and how many stand in a row.
fn cells(report: &Report, unit: &str) -> (Vec<Cell>, usize) {
    let coverage = &report.source.coverage;
    let n_pages = report.source.n_pages as usize;
    let mut classes = vec!["empty"; n_pages];
    let kinds = [
        (&coverage.text, "read"),
        (&coverage.empty, "empty"),
        (&coverage.needs_ocr, "ocr"),
        (&coverage.failed, "bad"),
    ];
    let within = |&(first, last): &(u32, u32)| {
        let first = (first as usize).clamp(1, n_pages.max(1)) - 1;
        first..(last as usize).clamp(first, n_pages)
    };
    for (ranges, class) in kinds {
        for range in ranges {
            classes[within(range)].fill(class);
        }
    }
    // Statement and citation of each quote, from 1.
    let mut quotes: Vec<Vec<(usize, usize)>> = vec![Vec::new(); n_pages];
    let statements = report.summary.iter().flat_map(|summary| &summary.statements);
    for (number, statement) in (1..).zip(statements) {
        for (at, citation) in (1..).zip(&statement.citations).filter(|(_, c)| c.quote.is_some()) {
            for quotes in &mut quotes[within(&citation.pages)] {
                quotes.push((number, at));
            }
        }
    }
    let most = quotes.iter().map(Vec::len).max().unwrap_or(0).max(1);
    // About twice as wide as high.
    let n_columns = (2 * n_pages).isqrt().clamp(FEWEST_COLUMNS, MOST_COLUMNS);
    let cell = |(at, quotes): (usize, &Vec<(usize, usize)>)| {
        let was = match classes[at] {
            "read" => "read",
            "ocr" => "needs OCR",
            "bad" => "could not be read",
            _ => "empty",
        };
        let (class, drawn) = match quotes.len() {
            0 => (classes[at], String::new()),
            n => {
                let plural = if n == 1 { "" } else { "s" };
                (DRAWN[(4 * n).div_ceil(most).clamp(1, 4) - 1], format!(", {n} quote{plural}"))
            }
        };
        let ids: Vec<String> = quotes.iter().map(|(s, c)| format!("s{s}-{c}")).collect();
        Cell {
            x: at % n_columns * CELL,
            y: at / n_columns * CELL,
            class,
            name: format!("{unit} {}: {was}{drawn}", at + 1),
            statement: quotes.first().map(|&(statement, _)| statement),
            quotes: ids.join(" "),
        }
    };
    (quotes.iter().enumerate().map(cell).collect(), n_columns)
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn checks(report: &Report, unit: &str) -> Vec<(String, String)> {
    let (checks, coverage) = (&report.checks, &report.source.coverage);
    let mut rows = Vec::new();
    let mut tell = |name: &str, value: String| rows.push((name.to_owned(), value));
    if report.summary.is_some() {
        tell("Tenths of the document quoted", format!("{:.0} of 10", 10.0 * checks.coverage));
        tell("Weak statements", percent(checks.weak));
        tell("Statements without a source", percent(checks.unsupported));
        tell("Copied words", percent(checks.copy_ratio));
        tell("Words of text for each of the summary", format!("{:.0}", checks.compression));
        tell("Repeated runs of words", percent(checks.repetition));
        if let Some(language) = &checks.language {
            let asked = match checks.language_as_asked {
                Some(true) => ", as asked for",
                Some(false) => ", not the language asked for",
                None => "",
            };
            tell("Language", format!("{language}{asked}"));
        }
    }
    for (what, ranges) in [
        ("empty", &coverage.empty),
        ("that need OCR", &coverage.needs_ocr),
        ("that could not be read", &coverage.failed),
    ] {
        if !ranges.is_empty() {
            tell(
                &format!("{}s {what}", super::markdown::upper(unit)),
                super::markdown::list(ranges),
            );
        }
    }
    for part in &report.source.not_read {
        let kind = match part.kind {
            "running_line" => "headers, footers and page numbers",
            "footnote" => "footnotes",
            "contents" => "lines of contents",
            _ => "references",
        };
        tell(&format!("Not read: {kind}"), part.n.to_string());
    }
    rows
}

fn made(report: &Report) -> Vec<(&'static str, String)> {
    let (model, params, usage, timings) =
        (&report.model, &report.params, &report.usage, &report.timings);
    let mut rows = vec![
        ("Document", report.source.uri.clone()),
        ("SHA-256 of it", report.source.sha256.clone()),
        ("Model", model.id.clone()),
        ("SHA-256 of it", model.sha256.clone()),
    ];
    rows.extend(model.revision.clone().map(|revision| ("Revision", revision)));
    let quantization = model.quantization.as_deref().unwrap_or("not quantized");
    rows.push(("Family", format!("{}, {quantization}, {}", model.architecture, model.device)));
    rows.push(("Cache", format!("{} sinks and a window of {}", params.sinks, params.window)));
    rows.push(("Text between two notes", format!("{} tokens at most", params.chunk_text)));
    rows.push(("Evidence by", params.evidence.to_owned()));
    rows.push(("Tokens", {
        format!(
            "{} of the document; {} read, {} written",
            usage.tokens_document, usage.tokens_in, usage.tokens_out
        )
    }));
    rows.push(("Time", format!("{:.1} s", timings.total_secs)));
    if let Some(n_bytes) = timings.peak_memory_bytes {
        rows.push(("Memory", format!("{} MiB at most", n_bytes >> 20)));
    }
    rows
}

/// What people call a format.
fn format_name(format: &str) -> String {
    match format {
        "text" => "plain text".to_owned(),
        "markdown" => "Markdown".to_owned(),
        "docx" => "Word".to_owned(),
        "odt" => "OpenDocument".to_owned(),
        "email" => "mail".to_owned(),
        other => other.to_uppercase(),
    }
}

/// The tag of a language by its English name, as browsers and readers of screens want it.
fn code(language: Option<&str>) -> &'static str {
    match language {
        Some("German") => "de",
        Some("French") => "fr",
        Some("Spanish") => "es",
        Some("Italian") => "it",
        Some("Portuguese") => "pt",
        Some("Dutch") => "nl",
        Some("Russian") => "ru",
        Some("Arabic") => "ar",
        Some("Japanese") => "ja",
        Some("Chinese" | "Mandarin") => "zh",
        Some("English") => "en",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_a_policy() {
        // The hash of nothing, as every browser tells it.
        assert_eq!(hash(""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
