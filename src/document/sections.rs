//! What headings tell: the sections of a format without pages, and those that are not read.

use std::ops::Range;

use super::{Aside, AsideKind, Document, Page, PageStatus};

/// Titles of lists of sources, in lower case.
const REFERENCES: [&str; 24] = [
    "references",
    "reference list",
    "bibliography",
    "works cited",
    "literature cited",
    "sources cited",
    "notes and references",
    "endnotes",
    "footnotes",
    "index",
    "literatur",
    "literaturverzeichnis",
    "quellen",
    "quellenverzeichnis",
    "bibliographie",
    "références",
    "bibliografía",
    "referencias",
    "bibliografia",
    "riferimenti",
    "literatuur",
    "список литературы",
    "литература",
    "参考文献",
];
/// Titles of tables of contents, in lower case.
const CONTENTS: [&str; 15] = [
    "contents",
    "table of contents",
    "list of figures",
    "list of tables",
    "inhalt",
    "inhaltsverzeichnis",
    "table des matières",
    "sommaire",
    "índice",
    "sumario",
    "sommario",
    "содержание",
    "оглавление",
    "目录",
    "目次",
];

/// What stands under such a title is the document itself if it is a larger part of it than this.
const MAX_REFERENCES: f64 = 0.4;
const MAX_CONTENTS: f64 = 0.1;

/// Whether a line is the title of a table of contents or of a list of figures.
pub(super) fn is_contents_title(line: &str) -> bool {
    let line = line.to_lowercase();
    // "Table of Contents – Volume I"
    let line = line.split(['\u{2013}', '\u{2014}', ':', '(']).next().unwrap_or_default();
    let line = line.split(" - ").next().unwrap_or_default().trim();
    CONTENTS.contains(&line)
}

/// Parts the only page of a document at the headings of the highest rank that comes more than once;
/// each of them is the title of its section.
pub(super) fn part(document: &mut Document) {
    let headings = &document.headings;
    let n_of = |level: u8| headings.iter().filter(|heading| heading.level == level).count();
    let Some(level) = (1..=6).find(|&level| n_of(level) > 1) else { return };
    let title = |range: &Range<usize>| document.text[range.clone()].replace('\n', " ");
    let mut starts: Vec<(usize, Option<String>)> = (headings.iter())
        .filter(|heading| heading.level <= level)
        .map(|heading| (heading.range.start, Some(title(&heading.range))))
        .collect();
    if starts.first().is_none_or(|(start, _)| !document.text[..*start].trim().is_empty()) {
        starts.insert(0, (0, None));
    }
    starts[0].0 = 0;
    let ends: Vec<usize> =
        starts.iter().skip(1).map(|(start, _)| *start).chain([document.text.len()]).collect();
    document.pages = (1_u32..)
        .zip(starts.into_iter().zip(ends))
        .map(|(number, ((start, label), end))| Page {
            number,
            label,
            range: start..end,
            status: PageStatus::Text,
        })
        .collect();
}

/// Sets sections apart whose title says that they are not for reading: lists of sources, tables of
/// contents. The headings in them go.
pub(super) fn set_apart(document: &mut Document) {
    let n_all = document.text.len();
    let mut found: Vec<Aside> = Vec::new();
    for (at, heading) in document.headings.iter().enumerate() {
        if found.last().is_some_and(|last| heading.range.start < last.range.end) {
            continue;
        }
        let title = document.text[heading.range.clone()].to_lowercase();
        // "7. References", "VIII Bibliography:"
        let words = title
            .trim_start_matches(|c: char| !c.is_alphabetic())
            .trim_end_matches([':', '.', ' ']);
        let words = match words.split_once([' ', '.']) {
            Some((number, rest)) if number.bytes().all(|b| matches!(b, b'i' | b'v' | b'x')) => {
                rest.trim()
            }
            _ => words,
        };
        let (kind, most) = if REFERENCES.contains(&words) {
            (AsideKind::Reference, MAX_REFERENCES)
        } else if is_contents_title(words) {
            (AsideKind::Contents, MAX_CONTENTS)
        } else {
            continue;
        };
        let next = document.headings[at + 1..]
            .iter()
            .find(|next| next.level <= heading.level || kind == AsideKind::Contents);
        let range = heading.range.start..next.map_or(n_all, |next| next.range.start);
        if is_share(range.len(), n_all, most) {
            found.push(Aside { range, kind });
        }
    }
    for new in found {
        let inside =
            |range: &Range<usize>| new.range.start <= range.start && range.end <= new.range.end;
        document.headings.retain(|heading| !inside(&heading.range));
        document.asides.retain(|aside| !inside(&aside.range));
        let at = document.asides.partition_point(|aside| aside.range.start < new.range.start);
        document.asides.insert(at, new);
    }
}

/// Whether `n` is at most this share of `n_all`.
#[expect(clippy::cast_precision_loss, reason = "bytes of a text")]
fn is_share(n: usize, n_all: usize, most: f64) -> bool {
    n as f64 <= most * n_all as f64
}

#[cfg(test)]
mod tests {
    use super::super::{AsideKind, Document, read_bytes};

    fn read(markdown: &str) -> Document {
        read_bytes("-", markdown.as_bytes().to_vec(), Some("md")).unwrap()
    }

    #[test]
    fn headings_of_the_highest_common_rank_part_sections() {
        let document = read("# Title\n\nIntro.\n\n## One\n\na\n\n### Sub\n\nb\n\n## Two\n\nc");
        let labels: Vec<_> = document.pages.iter().map(|page| page.label.as_deref()).collect();
        assert_eq!(labels, [Some("Title"), Some("One"), Some("Two")]);
        assert_eq!(
            document.pages[1].range,
            document.pages[0].range.end..document.pages[2].range.start
        );
        assert_eq!(document.pages[2].range.end, document.text.len());
        assert_eq!(read("plain").pages.len(), 1);
        assert_eq!(read("before\n\n# A\n\nx\n\n# B").pages[0].label, None);
    }

    #[test]
    fn lists_of_sources_are_kept_and_not_read() {
        let body = "The quay was mended, and the ferry came back to the harbour. ".repeat(4);
        let document = read(&format!(
            "# Title\n\n## Contents\n\n- One\n\n## One\n\n{body}\n\n## 2. References\n\nSmith 1990.\n\n\
             ### Online\n\nDoe 2001.\n\n## Afterword\n\nThanks."
        ));
        let kinds: Vec<_> = document.asides.iter().map(|aside| aside.kind).collect();
        assert_eq!(kinds, [AsideKind::Contents, AsideKind::Reference]);
        let read = document.to_read(0..document.text.len());
        assert!(!read.contains("Smith") && !read.contains("Doe") && !read.contains("- One"));
        assert!(read.ends_with("Afterword\n\nThanks."));
        assert!(document.text.contains("Smith 1990."));
        assert!(document.headings.iter().all(|heading| !document.is_aside(heading.range.start)));
    }

    #[test]
    fn a_bibliography_is_read_where_it_is_the_document() {
        let document = read("# Bibliography\n\nSmith 1990, a book.\n\nDoe 2001, another.");
        assert!(document.asides.is_empty());
    }
}
