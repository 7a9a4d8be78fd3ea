//! A document as it was read, for those who want to see what a model is given.

use serde::Serialize;

use super::{Source, Tool, Warning};
use crate::document::Document;

/// Name of the format.
const SCHEMA: &str = "longsum.extract.v1";

/// A document's normalized text, and what is known of its parts. Character ranges count Unicode
/// scalar values of `text`, end exclusive; pages count from 1, both ends included.
#[derive(Debug, Clone, Serialize)]
pub struct Extract<'a> {
    /// Always `longsum.extract.v1`.
    pub schema: &'static str,
    /// The program that wrote this.
    pub tool: Tool,
    /// The document, as in the report of a summary.
    pub source: Source,
    /// Every page: together they are the text.
    pub pages: Vec<Page<'a>>,
    /// Headings in their order.
    pub headings: Vec<Part<'a>>,
    /// What is kept in the text and not read: `running_line`, `footnote`, `contents` or `reference`.
    pub asides: Vec<Part<'a>>,
    /// What the reader of a summary should know about the text.
    pub warnings: Vec<Warning>,
    /// The normalized text.
    pub text: &'a str,
}

/// A page, or a section of a format without pages.
#[derive(Debug, Clone, Serialize)]
pub struct Page<'a> {
    /// Its number, from 1.
    pub number: u32,
    /// What is printed on it where that is not its number, or the title of a section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<&'a str>,
    /// `text`, `empty`, `needs_ocr` or `failed`.
    pub status: &'static str,
    /// Characters of the text.
    pub chars: (usize, usize),
}

/// A heading or an aside.
#[derive(Debug, Clone, Serialize)]
pub struct Part<'a> {
    /// Rank of a heading, from 1 to 6.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Kind of an aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// First and last page.
    pub pages: (u32, u32),
    /// Characters of the text.
    pub chars: (usize, usize),
    /// Its words.
    pub text: &'a str,
}

impl<'a> Extract<'a> {
    /// What is known of a document.
    #[must_use]
    pub fn of(document: &'a Document) -> Self {
        let chars = |range: &std::ops::Range<usize>| {
            let range = document.char_range(range.clone());
            (range.start, range.end)
        };
        let part = |range: &std::ops::Range<usize>, level, kind| Part {
            level,
            kind,
            pages: document.pages_of(range.clone()),
            chars: chars(range),
            text: document.text[range.clone()].trim_end(),
        };
        Self {
            schema: SCHEMA,
            tool: Tool::this(),
            source: Source::of(document),
            pages: (document.pages.iter())
                .map(|page| Page {
                    number: page.number,
                    label: page.label.as_deref(),
                    status: page.status.as_str(),
                    chars: chars(&page.range),
                })
                .collect(),
            headings: (document.headings.iter())
                .map(|heading| part(&heading.range, Some(heading.level), None))
                .collect(),
            asides: (document.asides.iter())
                .map(|aside| part(&aside.range, None, Some(aside.kind.as_str())))
                .collect(),
            warnings: document.warnings.iter().map(Warning::from).collect(),
            text: &document.text,
        }
    }
}
