//! A document as it grows: pages, and on them headings, paragraphs and asides in reading order.

pub(super) mod flow;
pub(super) mod names;
pub(super) mod signs;

use super::{Aside, AsideKind, Document, Heading, Page, PageStatus, Source, Warning, clean};

/// Collects the text of a document. What comes before the first page begins one.
///
/// Everything written is cleaned: one kind of space, no control characters, letters for ligatures.
#[derive(Debug, Default)]
pub(super) struct Builder {
    text: String,
    pages: Vec<Page>,
    headings: Vec<Heading>,
    asides: Vec<Aside>,
    pub(super) warnings: Vec<Warning>,
}

impl Builder {
    /// Begins a page, or a section where the format has no pages.
    pub(super) fn begin_page(&mut self, label: Option<String>) {
        self.end_page();
        let number = u32::try_from(self.pages.len() + 1).unwrap_or(u32::MAX);
        let start = self.text.len();
        self.pages.push(Page { number, label, range: start..start, status: PageStatus::Empty });
    }

    /// Says how reading the page ended that is open. Without it, a page with words has been read
    /// and one without is empty.
    pub(super) fn status(&mut self, status: PageStatus) {
        if let Some(page) = self.pages.last_mut() {
            page.status = status;
        }
    }

    /// A heading, from rank 1 to 6, on one line.
    pub(super) fn heading(&mut self, level: u8, words: &str) {
        let words = clean::line(words);
        if words.is_empty() {
            return;
        }
        let start = self.begin(2);
        self.text.push_str(&words);
        let level = level.clamp(1, 6);
        self.headings.push(Heading { range: start..self.text.len(), level });
        self.part(2);
    }

    /// A paragraph: runs of white space become one space.
    pub(super) fn paragraph(&mut self, words: &str) {
        self.line_after(2, &clean::line(words));
        self.part(2);
    }

    /// A line that goes with the lines before and after it: an item of a list, a table's row.
    pub(super) fn line(&mut self, words: &str) {
        self.line_after(1, &clean::line(words));
    }

    /// An item of a list, set in as far as its list is nested.
    pub(super) fn item(&mut self, depth: usize, words: &str) {
        let words = clean::line(words);
        if !words.is_empty() {
            self.begin(1);
            self.text.extend(std::iter::repeat_n("  ", depth.min(8)));
            self.text.push_str(&words);
        }
    }

    /// Ends a list or a table.
    pub(super) fn end_lines(&mut self) {
        self.part(2);
    }

    /// A paragraph that is kept and not read: a footnote, a running header.
    pub(super) fn aside(&mut self, kind: AsideKind, words: &str) {
        let words = clean::line(words);
        if words.is_empty() {
            return;
        }
        let start = self.begin(2);
        self.text.push_str(&words);
        self.part(2);
        // What parts it from the next paragraph goes with it.
        let range = start..self.text.len();
        self.asides.push(Aside { range, kind });
    }

    /// Text that is laid out already, with the headings in it.
    pub(super) fn passage(&mut self, text: &str, headings: &[Heading]) {
        self.passage_with_asides(text, headings, &[]);
    }

    /// As [`Builder::passage`], with asides that are paragraphs of the text, in order.
    pub(super) fn passage_with_asides(
        &mut self,
        text: &str,
        headings: &[Heading],
        asides: &[Aside],
    ) {
        let text = text.trim_end();
        if text.is_empty() {
            return;
        }
        let start = self.begin(2);
        self.text.push_str(text);
        let moved =
            headings.iter().filter(|heading| heading.range.end <= text.len()).map(|heading| {
                let range = start + heading.range.start..start + heading.range.end;
                Heading { range, level: heading.level }
            });
        self.headings.extend(moved);
        self.part(2);
        for Aside { range, kind } in asides {
            // What parts it from the next paragraph goes with it.
            let rest = &self.text[start + range.end.min(text.len())..];
            let end = self.text.len() - rest.trim_start_matches('\n').len();
            let range = start + range.start.min(text.len())..end;
            if !range.is_empty() {
                self.asides.push(Aside { range, kind: *kind });
            }
        }
    }

    /// How many bytes of text there are so far.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// The document. Its title is the source's, or the first heading of the highest rank.
    pub(super) fn finish(mut self, source: Source) -> Document {
        self.end_page();
        let n = self.text.trim_end().len();
        self.text.truncate(n);
        for page in &mut self.pages {
            page.range = page.range.start.min(n)..page.range.end.min(n);
        }
        for aside in &mut self.asides {
            aside.range.end = aside.range.end.min(n);
        }
        let mut document = Document::new(source, self.text, self.pages);
        document.headings = self.headings;
        document.asides = self.asides;
        document.warnings = self.warnings;
        document.settle_title();
        document
    }

    fn line_after(&mut self, n_breaks: usize, line: &str) {
        if !line.is_empty() {
            self.begin(n_breaks);
            self.text.push_str(line);
        }
    }

    /// Begins a block of the page that is open; returns where.
    fn begin(&mut self, n_breaks: usize) -> usize {
        if self.pages.is_empty() {
            self.begin_page(None);
        }
        self.part(n_breaks);
        self.text.len()
    }

    /// Sees to it that the text ends with so many line breaks, if there is any on this page.
    fn part(&mut self, n_breaks: usize) {
        let on_page = &self.text[self.pages.last().map_or(0, |page| page.range.start)..];
        let n = on_page.len() - on_page.trim_end_matches('\n').len();
        if !on_page.is_empty() {
            self.text.extend(std::iter::repeat_n('\n', n_breaks.saturating_sub(n)));
        }
    }

    fn end_page(&mut self) {
        self.part(2);
        let end = self.text.len();
        if let Some(page) = self.pages.last_mut() {
            page.range.end = end;
            if page.status == PageStatus::Empty && !page.range.is_empty() {
                page.status = PageStatus::Text;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;

    fn source() -> Source {
        Source {
            uri: "-".into(),
            sha256: String::new(),
            version: None,
            n_bytes: 0,
            format: Format::Text,
            title: None,
        }
    }

    #[test]
    fn pages_cover_the_text_and_blocks_are_parted_by_blank_lines() {
        let mut builder = Builder::default();
        builder.begin_page(Some("i".into()));
        builder.aside(AsideKind::RunningLine, "The  Harbour");
        builder.aside(AsideKind::RunningLine, "page i");
        builder.heading(1, "On\nwater");
        builder.paragraph("It is\n deep.");
        builder.begin_page(None);
        builder.begin_page(Some("2".into()));
        builder.line("- one");
        builder.line("- two");
        builder.paragraph("End. \u{FB01}n");
        let document = builder.finish(source());
        assert_eq!(
            document.text,
            "The Harbour\n\npage i\n\nOn water\n\nIt is deep.\n\n- one\n- two\n\nEnd. fin"
        );
        let ranges: Vec<_> = document.pages.iter().map(|page| page.range.clone()).collect();
        assert_eq!(ranges, [0..44, 44..44, 44..document.text.len()]);
        assert_eq!(document.pages[0].label.as_deref(), Some("i"));
        assert_eq!(document.pages[1].status, PageStatus::Empty);
        assert_eq!(
            document.asides,
            [
                Aside { range: 0..13, kind: AsideKind::RunningLine },
                Aside { range: 13..21, kind: AsideKind::RunningLine },
            ]
        );
        assert_eq!(&document.text[document.headings[0].range.clone()], "On water");
        assert_eq!(document.source.title.as_deref(), Some("On water"));
    }

    #[test]
    fn asides_of_a_passage_end_where_the_next_paragraph_begins() {
        let mut builder = Builder::default();
        builder.paragraph("One.");
        let note = |range| Aside { range, kind: AsideKind::Footnote };
        builder.passage_with_asides(
            "Two.\n\n[1] a\n\nThree.\n\n[2] b\n",
            &[],
            &[note(6..11), note(21..26)],
        );
        builder.item(1, "- four");
        let document = builder.finish(source());
        assert_eq!(document.text, "One.\n\nTwo.\n\n[1] a\n\nThree.\n\n[2] b\n\n  - four");
        assert_eq!(document.asides, [note(12..19), note(27..34)]);
        assert_eq!(document.to_read(0..document.text.len()), "One.\n\nTwo.\n\nThree.\n\n  - four");
    }

    #[test]
    fn nothing_is_a_document_too() {
        let document = Builder::default().finish(source());
        assert_eq!((document.text.as_str(), document.pages.len()), ("", 0));
        let mut builder = Builder::default();
        builder.begin_page(None);
        builder.status(PageStatus::Failed);
        assert_eq!(builder.finish(source()).pages[0].status, PageStatus::Failed);
    }
}
