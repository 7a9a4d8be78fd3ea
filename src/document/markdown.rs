//! Markdown: the text without its marks, the headings remembered.

use std::fmt::Write as _;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::{Document, DocumentError, Heading, Page, PageStatus, Source, clean, text};

pub(super) fn read(source: Source, bytes: &[u8]) -> Result<Document, DocumentError> {
    let (decoded, warning) = text::decode(&source.uri, bytes)?;
    let decoded = decoded.replace("\r\n", "\n").replace('\r', "\n");
    let mut plain = Plain::default();
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    for event in Parser::new_ext(&decoded, options) {
        plain.take(event);
    }
    plain.text.truncate(plain.text.trim_end().len());
    let n = plain.text.len();
    let status = if n > 0 { PageStatus::Text } else { PageStatus::Empty };
    let mut document = Document::new(
        source,
        plain.text,
        vec![Page { number: 1, label: None, range: 0..n, status }],
    );
    document.headings = plain.headings;
    document.headings.retain(|heading| !heading.range.is_empty() && heading.range.end <= n);
    document.source.title = plain.title;
    document.settle_title();
    document.warnings.extend(warning);
    Ok(document)
}

/// The text so far and where the parser stands in the tree.
#[derive(Default)]
struct Plain {
    text: String,
    headings: Vec<Heading>,
    title: Option<String>,
    heading: Option<usize>,
    /// The number of the next item of each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    n_cells: usize,
    is_code: bool,
    is_metadata: bool,
}

impl Plain {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.is_metadata => self.title = front_matter_title(&text),
            Event::Text(text) if self.is_code => clean::push(&mut self.text, &text),
            Event::Text(text)
            | Event::Code(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text) => {
                clean::push(&mut self.text, &text.replace('\n', " "));
            }
            Event::SoftBreak => self.text.push(' '),
            Event::HardBreak => self.text.push('\n'),
            Event::Rule => self.block(),
            Event::FootnoteReference(name) => {
                self.text.push('[');
                clean::push(&mut self.text, &name);
                self.text.push(']');
            }
            Event::TaskListMarker(done) => self.text.push_str(if done { "[x] " } else { "[ ] " }),
            // Marks for a browser, not words for a reader.
            Event::Html(_) | Event::InlineHtml(_) => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Heading { .. } => {
                self.block();
                self.heading = Some(self.text.len());
            }
            Tag::Paragraph if !self.text.ends_with("- ") && !self.after_number() => self.block(),
            Tag::CodeBlock(_) => {
                self.block();
                self.is_code = true;
            }
            Tag::BlockQuote(_) | Tag::Table(_) => self.block(),
            Tag::List(first) => {
                if self.lists.is_empty() {
                    self.block();
                }
                self.lists.push(*first);
            }
            Tag::Item => self.item(),
            Tag::TableHead | Tag::TableRow => {
                self.line();
                self.n_cells = 0;
            }
            Tag::TableCell => {
                if self.n_cells > 0 {
                    self.text.push_str(" | ");
                }
                self.n_cells += 1;
            }
            Tag::FootnoteDefinition(name) => {
                self.block();
                self.text.push('[');
                clean::push(&mut self.text, name);
                self.text.push_str("] - ");
            }
            Tag::MetadataBlock(_) => self.is_metadata = true,
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => {
                if let Some(start) = self.heading.take() {
                    // A space may stand first, behind a character that was dropped.
                    let title = self.text[start..].trim().to_owned();
                    self.text.truncate(start);
                    self.text.push_str(&title);
                    let end = self.text.len();
                    self.headings.push(Heading { range: start..end, level: rank(level) });
                }
                self.block();
            }
            TagEnd::CodeBlock => {
                self.is_code = false;
                self.block();
            }
            TagEnd::Paragraph if self.lists.is_empty() => self.block(),
            TagEnd::List(_) => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.block();
                }
            }
            TagEnd::Table | TagEnd::BlockQuote(_) => self.block(),
            TagEnd::MetadataBlock(_) => self.is_metadata = false,
            _ => {}
        }
    }

    fn item(&mut self) {
        self.line();
        let depth = self.lists.len().saturating_sub(1);
        self.text.extend(std::iter::repeat_n("  ", depth));
        match self.lists.last_mut() {
            Some(Some(number)) => {
                let _ = write!(self.text, "{number}. ");
                *number = number.saturating_add(1);
            }
            _ => self.text.push_str("- "),
        }
    }

    /// Whether the text ends with the number of an item that has no words yet.
    fn after_number(&self) -> bool {
        let line = self.text.rsplit('\n').next().unwrap_or_default().trim_start();
        !self.lists.is_empty()
            && line
                .strip_suffix(". ")
                .is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
    }

    /// Ends the line.
    fn line(&mut self) {
        let end = self.text.trim_end_matches(' ').len();
        self.text.truncate(end);
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// Ends the paragraph.
    fn block(&mut self) {
        self.text.truncate(self.text.trim_end().len());
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
        }
    }
}

fn rank(level: HeadingLevel) -> u8 {
    level as u8
}

/// The `title:` of a YAML front matter.
fn front_matter_title(metadata: &str) -> Option<String> {
    let line = metadata.lines().find_map(|line| line.strip_prefix("title:"))?;
    let title = clean::line(line.trim().trim_matches(['"', '\'']));
    (!title.is_empty()).then_some(title)
}

/// The heading's text, for tests and titles.
#[cfg(test)]
fn heading_text(document: &Document, range: &std::ops::Range<usize>) -> String {
    document.text[range.clone()].to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::{Document, read_bytes};
    use super::heading_text;

    fn read(markdown: &str) -> Document {
        read_bytes("-", markdown.as_bytes().to_vec(), Some("md")).unwrap()
    }

    fn check(markdown: &str, expected: &str) {
        assert_eq!(read(markdown).text, expected, "{markdown:?}");
    }

    #[test]
    fn marks_go_and_words_stay() {
        check("A *b* **c** `d` [e](http://f) ![g](h).", "A b c d e g.");
        check("one\ntwo  \nthree", "one two\nthree");
        check("a\n\n<div>\n\n> quote\n\n---\n\nb", "a\n\nquote\n\nb");
        check("```rust\nlet a = 1;\n  b\n```\nafter", "let a = 1;\n  b\n\nafter");
        check("## \u{3} Title \u{3}\n\ntext", "Title\n\ntext");
        check("word[^1] more\n\n[^1]: The note.", "word[1] more\n\n[1] - The note.");
    }

    #[test]
    fn lists_and_tables_are_lines() {
        check("- a\n- b\n  - c\n- d\n\nafter", "- a\n- b\n  - c\n- d\n\nafter");
        check("3. a\n4. b", "3. a\n4. b");
        check("- a\n\n- b", "- a\n- b");
        check("1. a\n\n2. b", "1. a\n2. b");
        check("|x|y|\n|-|-|\n|1|2|\n|3|4|", "x | y\n1 | 2\n3 | 4");
    }

    #[test]
    fn headings_are_remembered_with_their_rank() {
        let document = read("# One *two*\ntext\n\nThree\n-----\n### Four #\n");
        let headings: Vec<_> = document
            .headings
            .iter()
            .map(|heading| (heading.level, heading_text(&document, &heading.range)))
            .collect();
        let expected = [(1, "One two"), (2, "Three"), (3, "Four")].map(|(n, s)| (n, s.to_owned()));
        assert_eq!(headings, expected);
        assert_eq!(document.source.title.as_deref(), Some("One two"));
        assert_eq!(document.text, "One two\n\ntext\n\nThree\n\nFour");
    }

    #[test]
    fn front_matter_gives_the_title_only() {
        let document = read("---\ntitle: \"A b\"\nx: y\n---\n\nText.");
        assert_eq!(document.source.title.as_deref(), Some("A b"));
        assert_eq!(document.text, "Text.");
    }
}
