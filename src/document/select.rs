//! A document cut down to some of its pages.

use super::Document;

impl Document {
    /// Keeps the pages from `first` to `last`, counted from 1, with their numbers; text, headings
    /// and warnings of other pages go.
    pub fn keep_pages(&mut self, first: u32, last: u32) {
        let keep = first..=last;
        self.n_pages_before.get_or_insert(self.pages.len());
        self.pages.retain(|page| keep.contains(&page.number));
        let start = self.pages.first().map_or(0, |page| page.range.start);
        let end = self.pages.last().map_or(start, |page| page.range.end);
        self.text = self.text[start..end].to_owned();
        self.marks.take();
        for page in &mut self.pages {
            page.range = page.range.start - start..page.range.end - start;
        }
        self.headings.retain(|heading| heading.range.start >= start && heading.range.end <= end);
        for heading in &mut self.headings {
            heading.range = heading.range.start - start..heading.range.end - start;
        }
        self.asides.retain(|aside| aside.range.start >= start && aside.range.start < end);
        for aside in &mut self.asides {
            aside.range = aside.range.start - start..aside.range.end.min(end) - start;
        }
        self.warnings.retain(|warning| warning.page.is_none_or(|page| keep.contains(&page)));
    }
}

#[cfg(test)]
mod tests {
    use crate::document::read_bytes;

    #[test]
    fn kept_pages_keep_their_numbers_and_their_text() {
        let mut document =
            read_bytes("a.txt", b"One.\x0cTwo.\x0cThree.\x0cFour.".to_vec(), Some("txt")).unwrap();
        let whole = document.clone();
        document.keep_pages(2, 3);
        assert_eq!(document.pages.iter().map(|p| p.number).collect::<Vec<_>>(), [2, 3]);
        for page in &document.pages {
            let before = &whole.pages[page.number as usize - 1];
            assert_eq!(document.text[page.range.clone()], whole.text[before.range.clone()]);
        }
        assert_eq!(document.pages_of(0..1), (2, 2));
    }
}
