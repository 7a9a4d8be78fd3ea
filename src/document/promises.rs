//! What every document promises, whatever file it came from. Tests and fuzzing hold documents to it.

use crate::document::Document;
use crate::sentence;

/// Panics if a document breaks one of its promises.
pub fn hold(document: &Document) {
    let text = &document.text;
    let mut at = 0;
    for page in &document.pages {
        assert_eq!(page.range.start, at, "pages cover the text without a gap");
        at = page.range.end;
    }
    assert_eq!(at, text.len(), "pages cover all of the text");
    let mut at = 0;
    for heading in &document.headings {
        assert!(heading.range.start >= at && (1..=6).contains(&heading.level), "headings in order");
        assert!(!text[heading.range.clone()].is_empty(), "a heading has words");
        at = heading.range.end;
    }
    let mut at = 0;
    for aside in &document.asides {
        assert!(aside.range.start >= at && !aside.range.is_empty(), "asides in order");
        let (before, after) = (&text[..aside.range.start], &text[aside.range.end..]);
        assert!(before.is_empty() || before.ends_with("\n\n"), "a blank line before an aside");
        let is_parted = text[aside.range.clone()].ends_with("\n\n");
        assert!(after.is_empty() || is_parted, "a blank line behind an aside");
        at = aside.range.end;
    }
    let mut read = String::new();
    for range in sentence::split(text) {
        if !document.is_aside(range.start) {
            read.push_str(&text[range]);
        }
    }
    assert_eq!(read, document.to_read(0..text.len()), "what is read is whole sentences");
}
