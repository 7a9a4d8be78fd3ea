//! The room `document`, and what must hold for whatever it reads.

#[path = "../../src/document/mod.rs"]
pub mod document;
#[path = "../../src/sentence.rs"]
pub mod sentence;

use document::{Document, DocumentError};

/// Checks what every document promises; an error is as good.
pub fn check(read: Result<Document, DocumentError>) {
    let Ok(document) = read else { return };
    let text = &document.text;
    let mut at = 0;
    for page in &document.pages {
        assert_eq!(page.range.start, at, "pages cover the text without a gap");
        at = page.range.end;
    }
    assert!(document.pages.is_empty() && text.is_empty() || at == text.len());
    let mut at = 0;
    for heading in &document.headings {
        assert!(heading.range.start >= at && (1..=6).contains(&heading.level));
        assert!(!text[heading.range.clone()].is_empty());
        at = heading.range.end;
    }
    let mut at = 0;
    for aside in &document.asides {
        assert!(aside.range.start >= at && !aside.range.is_empty(), "asides lie in order");
        let (before, after) = (&text[..aside.range.start], &text[aside.range.end..]);
        assert!(before.is_empty() || before.ends_with('\n'));
        assert!(after.is_empty() || text[aside.range.clone()].ends_with('\n'));
        at = aside.range.end;
    }
    let mut joined = String::new();
    for range in sentence::split(text) {
        if !document.is_aside(range.start) {
            joined.push_str(&text[range]);
        }
    }
    assert_eq!(joined, document.to_read(0..text.len()), "what is read is whole sentences");
}
