//! Chunks: runs of whole sentences within a token budget.
//!
//! Invariant: chunks joined are the document's text, and no chunk counts more tokens than the
//! budget. The count is that of the joined text, because tokenizers are not additive. What is not
//! read, the document's asides, lies in the chunks and counts nothing.

use std::num::NonZeroUsize;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::document::Document;
use crate::sentence;

/// A run of sentences fed to the model at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Number of the chunk, from 0.
    pub seq: usize,
    /// Bytes of the document's text.
    pub range: Range<usize>,
    /// First and last page.
    pub pages: (u32, u32),
    /// Tokens of what is read of it, as the caller counts them.
    pub n_tokens: usize,
    /// The chunk's sentences, in bytes of the document's text; joined, they are what is read of it:
    /// [`Document::to_read`]. A sentence too long for the budget comes in several pieces.
    pub sentences: Vec<Range<usize>>,
}

/// Splits a document into chunks of at most `budget` tokens.
///
/// Sentences stay whole. One that alone exceeds the budget is cut between words, a word between
/// characters; a single character that alone exceeds the budget is a chunk of its own, the only
/// kind that may. A chunk ends at a paragraph where its last eighth holds one, and before a
/// heading rather than after it.
///
/// `count` is called once for each sentence and about once or twice for each chunk.
#[must_use]
pub fn split(
    document: &Document,
    budget: NonZeroUsize,
    count: &dyn Fn(&str) -> usize,
) -> Vec<Chunk> {
    let filler = Filler { document, budget: budget.get(), count };
    let mut pieces = Vec::new();
    for range in sentence::split(&document.text) {
        if document.is_aside(range.start) {
            pieces.push(Piece { range, n_tokens: 0, is_heading: false, is_aside: true });
        } else {
            filler.cut(range, &mut pieces);
        }
    }
    for piece in &mut pieces {
        let at =
            document.headings.partition_point(|heading| heading.range.start < piece.range.start);
        piece.is_heading =
            document.headings.get(at).is_some_and(|heading| heading.range.end <= piece.range.end);
    }
    let mut chunks = Vec::new();
    let mut rest = pieces.as_slice();
    while !rest.is_empty() {
        let (n, n_tokens) = filler.fill(rest);
        let (taken, left) = rest.split_at(n);
        let range = span(taken);
        chunks.push(Chunk {
            seq: chunks.len(),
            pages: document.pages_of(range.clone()),
            range,
            n_tokens,
            sentences: (taken.iter().filter(|piece| !piece.is_aside))
                .map(|piece| piece.range.clone())
                .collect(),
        });
        rest = left;
    }
    chunks
}

/// A sentence, or a part of one that is too long.
#[derive(Debug)]
struct Piece {
    range: Range<usize>,
    n_tokens: usize,
    is_heading: bool,
    is_aside: bool,
}

/// From the first byte of these pieces to the last.
fn span(pieces: &[Piece]) -> Range<usize> {
    match pieces {
        [] => 0..0,
        [first, .., last] => first.range.start..last.range.end,
        [only] => only.range.clone(),
    }
}

struct Filler<'a> {
    document: &'a Document,
    budget: usize,
    count: &'a dyn Fn(&str) -> usize,
}

impl Filler<'_> {
    fn count(&self, range: Range<usize>) -> usize {
        (self.count)(&self.document.to_read(range))
    }

    /// How many of the pieces the next chunk takes, and its tokens.
    fn fill(&self, pieces: &[Piece]) -> (usize, usize) {
        let n_most = Self::reach(pieces, 0, self.budget);
        let mut n = self.at_paragraph(pieces, n_most);
        let mut n_tokens = self.count(span(&pieces[..n]));
        // A tokenizer that adds marks to every text counts sentences too high: there is room.
        loop {
            let n_summed: usize = pieces[..n].iter().map(|piece| piece.n_tokens).sum();
            if n == pieces.len() || n_summed.saturating_sub(n_tokens) <= self.budget / 16 {
                break;
            }
            let grown = Self::reach(pieces, n, self.budget.saturating_sub(n_tokens));
            let grown = self.at_paragraph(pieces, grown);
            if grown <= n {
                break;
            }
            let n_grown = self.count(span(&pieces[..grown]));
            if n_grown > self.budget {
                break;
            }
            (n, n_tokens) = (grown, n_grown);
        }
        // Joined text may count more than its parts did; one piece alone was counted already.
        while n > 1 && n_tokens > self.budget {
            n -= 1;
            n_tokens = self.count(span(&pieces[..n]));
        }
        (n, n_tokens)
    }

    /// How far the pieces from `start` on go within a budget, by the sum of their counts; at least
    /// one piece is taken.
    fn reach(pieces: &[Piece], start: usize, budget: usize) -> usize {
        let mut n_summed = 0_usize;
        let fits = |piece: &&Piece| {
            n_summed += piece.n_tokens;
            n_summed <= budget
        };
        (start + pieces[start..].iter().take_while(fits).count()).max(1)
    }

    /// The last paragraph's end among the pieces that make up the last eighth of the budget, and
    /// before the headings that would be left without their text.
    fn at_paragraph(&self, pieces: &[Piece], n: usize) -> usize {
        if n == pieces.len() {
            return n;
        }
        let mut better = n;
        let mut n_given_up = 0;
        for at in (1..=n).rev() {
            let last = &pieces[at - 1];
            if !last.is_heading && self.document.text[last.range.clone()].ends_with("\n\n") {
                better = at;
                break;
            }
            n_given_up += last.n_tokens;
            if n_given_up > self.budget / 8 {
                break;
            }
        }
        while better > 1 && pieces[better - 1].is_heading {
            better -= 1;
        }
        if pieces[better - 1].is_heading { n } else { better }
    }

    /// Adds a sentence, whole if it fits, else in parts that do.
    fn cut(&self, range: Range<usize>, pieces: &mut Vec<Piece>) {
        let n_tokens = self.count(range.clone());
        if n_tokens <= self.budget {
            pieces.push(Piece { range, n_tokens, is_heading: false, is_aside: false });
            return;
        }
        // Only a window of the rest is looked at, so that the whole stays near linear.
        let n_bytes_a_token = (range.len() / n_tokens).max(1);
        let mut window = self.budget.saturating_mul(n_bytes_a_token).saturating_mul(2).max(64);
        let mut start = range.start;
        while start < range.end {
            let end =
                self.document.text.floor_char_boundary(start.saturating_add(window).min(range.end));
            let part = &self.document.text[start..end];
            let mut words: Vec<usize> = Vec::new();
            words.extend(part.split_word_bound_indices().map(|(at, word)| start + at + word.len()));
            if end < range.end && words.len() > 1 {
                words.pop(); // the window may have cut it
            }
            let mut best = self.longest(start, &words);
            if best.is_none() {
                let word = start..words.first().copied().unwrap_or(end);
                let chars = &self.document.text[word.clone()];
                let ends: Vec<_> =
                    chars.char_indices().map(|(at, c)| start + at + c.len_utf8()).collect();
                // A character over the budget goes alone: nothing can be smaller.
                best = self.longest(start, &ends).or_else(|| {
                    let end = ends.first().copied().unwrap_or(word.end);
                    Some((end, self.count(start..end)))
                });
            } else if best.is_some_and(|(end, _)| Some(&end) == words.last()) && end < range.end {
                window = window.saturating_mul(2); // all of it fits: look further
                continue;
            }
            let Some((end, n_tokens)) = best else { return };
            pieces.push(Piece { range: start..end, n_tokens, is_heading: false, is_aside: false });
            start = end;
        }
    }

    /// The farthest of these ends that keeps a part within the budget, and its tokens.
    fn longest(&self, start: usize, ends: &[usize]) -> Option<(usize, usize)> {
        let mut best = None;
        let (mut low, mut high) = (0, ends.len());
        while low < high {
            let middle = low.midpoint(high);
            let n_tokens = self.count(start..ends[middle]);
            if n_tokens <= self.budget {
                best = Some((ends[middle], n_tokens));
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;
    use crate::document;

    fn read(text: &str) -> Option<Document> {
        document::read_bytes("-", text.as_bytes().to_vec(), Some("md")).ok()
    }

    fn budget(n: usize) -> NonZeroUsize {
        NonZeroUsize::new(n).unwrap()
    }

    /// Four bytes a token: what is joined may count less than its parts.
    fn quarter(text: &str) -> usize {
        text.len().div_ceil(4)
    }

    /// A tokenizer that adds a mark to every text.
    fn marked(text: &str) -> usize {
        1 + text.split_whitespace().count()
    }

    /// A tokenizer whose joined text counts more than its parts.
    fn greedy(text: &str) -> usize {
        text.chars().count() + text.matches(". ").count() * text.matches(". ").count()
    }

    fn check(document: &Document, n: usize, count: &dyn Fn(&str) -> usize) -> Vec<Chunk> {
        let chunks = split(document, budget(n), count);
        let mut at = 0;
        for (seq, chunk) in chunks.iter().enumerate() {
            assert_eq!(chunk.seq, seq);
            assert_eq!(chunk.range.start, at);
            for sentence in &chunk.sentences {
                assert_eq!(sentence.start, at);
                at = sentence.end;
            }
            assert_eq!(chunk.range.end, at);
            let text = &document.text[chunk.range.clone()];
            assert_eq!(chunk.n_tokens, count(text));
            let is_char = text.chars().count() == 1;
            assert!(chunk.n_tokens <= n || is_char, "{} > {n}: {text:?}", chunk.n_tokens);
            assert_eq!(chunk.pages, document.pages_of(chunk.range.clone()));
        }
        assert_eq!(at, document.text.len());
        chunks
    }

    #[test]
    fn sentences_stay_whole_where_they_fit() {
        let document = read("One two three. Four five six. Seven eight nine ten.").unwrap();
        let chunks = check(&document, 8, &marked);
        let texts: Vec<_> =
            chunks.iter().map(|chunk| &document.text[chunk.range.clone()]).collect();
        assert_eq!(texts, ["One two three. Four five six. ", "Seven eight nine ten."]);
    }

    #[test]
    fn a_heading_goes_with_the_text_below_it() {
        let document = read("One two three four.\n\n# Five\n\nSix seven eight nine.").unwrap();
        let chunks = check(&document, 7, &marked);
        assert_eq!(&document.text[chunks[1].range.clone()], "Five\n\nSix seven eight nine.");
    }

    #[test]
    fn a_chunk_ends_at_a_paragraph_near_its_end() {
        let words = "word ".repeat(38);
        let document = read(&format!("{words}end.\n\nA b. C d e f g h i j k l m.")).unwrap();
        let chunks = check(&document, 43, &marked);
        assert!(document.text[chunks[0].range.clone()].ends_with("end.\n\n"));
    }

    #[test]
    fn a_long_sentence_is_cut_at_words_and_a_long_word_at_characters() {
        let document = read(&format!("{} {}", "word ".repeat(50), "x".repeat(300))).unwrap();
        for chunk in check(&document, 10, &quarter) {
            let text = &document.text[chunk.range.clone()];
            assert!(text.contains('x') || text.ends_with(' ') || text.ends_with('d'), "{text:?}");
        }
    }

    #[test]
    fn a_character_over_the_budget_stands_alone() {
        let document = read("a\u{1F980}b").unwrap();
        let chunks = check(&document, 2, &str::len);
        assert_eq!(chunks.iter().map(|chunk| chunk.n_tokens).collect::<Vec<_>>(), [1, 4, 1]);
    }

    #[test]
    fn counting_is_near_linear() {
        let sentence = "The committee met on Tuesday and adjourned without a vote on the matter. ";
        for text in [sentence.repeat(4000), "word ".repeat(60_000), "x".repeat(300_000)] {
            let document = read(&text).unwrap();
            let n_counted = Cell::new(0);
            let count = |text: &str| {
                n_counted.set(n_counted.get() + text.len());
                quarter(text)
            };
            let _ = split(&document, budget(500), &count);
            let ratio = n_counted.get() / document.text.len();
            assert!(ratio < 40, "{ratio} times the text was counted");
        }
    }

    #[test]
    fn an_empty_document_has_no_chunks() {
        assert!(check(&read(" \n").unwrap(), 5, &marked).is_empty());
    }

    proptest! {
        #[test]
        fn chunks_keep_their_promises(
            text in "(([A-Za-z\u{E9}\u{6F22}]{1,9}[ ,]?){1,9}[.!?] |\n\n|# [a-z]{1,5}\n|\x0C){0,30}",
            n in 1_usize..60,
        ) {
            if let Some(document) = read(&text) {
                check(&document, n, &quarter);
                check(&document, n.max(2), &marked);
                check(&document, n, &greedy);
            }
        }

        #[test]
        fn any_text_is_cut(text in any::<String>(), n in 1_usize..9) {
            if let Some(document) = read(&text) {
                check(&document, n, &quarter);
            }
        }
    }
}
