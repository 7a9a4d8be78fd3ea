//! Which sentences a statement rests on, told by the attention that its tokens gave to them while it
//! was written.
//!
//! Raw attention says little: the sentences near the end and the long ones get most of it from every
//! statement. So the attention that a sentence gets is measured against what it gets from all that
//! was written but this statement: the other statements, and a neutral passage that follows them and
//! speaks of nothing in particular. How many standard deviations it lies above their mean, on
//! average over the statement's tokens, is the sentence's *standing*.

use std::ops::Range;

use crate::token::Tokenizer;

/// Sentences that could follow any summary, and so tell what any statement looks at.
pub const NEUTRAL: &str = "\nThe text is about several different things. Some people did something at a certain place on a certain day. A number is given for the amount. There is more about it in the next part.";

/// Where a statement may come from: pieces of what a stream was fed.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Stream indices of all tokens that are looked at.
    pub watch: Range<usize>,
    /// Tokens of each source, counted from the first one watched.
    spans: Vec<Range<usize>>,
}

impl Sources {
    /// Pieces of a text.
    ///
    /// - `ids`: the tokens of the text; `first`: the stream index of the first of them
    /// - `pieces`: bytes of the text
    #[must_use]
    pub fn new(
        tokenizer: &Tokenizer,
        ids: &[u32],
        first: usize,
        pieces: impl Iterator<Item = Range<usize>>,
    ) -> Self {
        let ends = tokenizer.ends(ids);
        let spans = pieces.map(|piece| tokens(&ends, &piece)).collect();
        Self { watch: first..first + ids.len(), spans }
    }

    /// The attention that a token gave to each source.
    fn gather(&self, row: &[f32]) -> Vec<f64> {
        let sum = |span: &Range<usize>| {
            let span = span.start.min(row.len())..span.end.min(row.len());
            row[span].iter().map(|&w| f64::from(w)).sum()
        };
        self.spans.iter().map(sum).collect()
    }

    /// The standing of each source with each of the statements; nothing where the model does not
    /// tell what it looks at.
    ///
    /// - `attention`: what the tokens of the reply gave to the tokens watched, `neutral`: what the
    ///   tokens of [`NEUTRAL`] gave
    /// - `statements`: tokens of each in the reply
    #[must_use]
    pub fn standing(
        &self,
        attention: &[Vec<f32>],
        neutral: &[Vec<f32>],
        statements: &[Range<usize>],
    ) -> Vec<Vec<f64>> {
        let rows = |rows: &[Vec<f32>]| rows.iter().map(|r| self.gather(r)).collect::<Vec<_>>();
        let (written, neutral) = (rows(attention), rows(neutral));
        let of = |span: &Range<usize>| {
            &written[span.start.min(written.len())..span.end.min(written.len())]
        };
        let one = |(i, span): (usize, &Range<usize>)| {
            if of(span).is_empty() || neutral.is_empty() {
                return Vec::new();
            }
            let others = statements.iter().enumerate().filter(|&(k, _)| k != i);
            let pool: Vec<&Vec<f64>> =
                others.flat_map(|(_, other)| of(other)).chain(&neutral).collect();
            let own: Vec<&Vec<f64>> = of(span).iter().collect();
            (0..self.spans.len())
                .map(|source| {
                    let (mean, deviation) = moments(pool.iter().map(|row| row[source]));
                    let (here, _) = moments(own.iter().map(|row| row[source]));
                    (here - mean) / deviation.max(f64::MIN_POSITIVE)
                })
                .collect()
        };
        statements.iter().enumerate().map(one).collect()
    }
}

/// Tokens, given by the bytes at which they end, that a range of bytes touches.
fn tokens(ends: &[usize], bytes: &Range<usize>) -> Range<usize> {
    if bytes.is_empty() {
        return 0..0; // a line that was not found
    }
    let start = ends.partition_point(|&end| end <= bytes.start);
    let end = ends.partition_point(|&end| end < bytes.end) + 1;
    start..end.min(ends.len()).max(start)
}

/// Where each of these lines stands in a reply, in tokens; an empty range for one that was changed
/// since it was written.
pub fn places(
    tokenizer: &Tokenizer,
    ids: &[u32],
    text: &str,
    lines: &[String],
) -> Vec<Range<usize>> {
    let ends = tokenizer.ends(ids);
    lines_in(text, lines.iter()).iter().map(|bytes| tokens(&ends, bytes)).collect()
}

/// Where each of these lines stands in a text, in bytes, in the same order; an empty range for one
/// that is not found.
pub fn lines_in<'a>(text: &str, lines: impl Iterator<Item = &'a String>) -> Vec<Range<usize>> {
    let mut from = 0;
    let place = |line: &String| match text[from..].find(line.as_str()) {
        Some(found) => {
            let start = from + found;
            from = start + line.len();
            start..from
        }
        None => 0..0,
    };
    lines.map(place).collect()
}

/// Mean and standard deviation.
#[expect(clippy::cast_precision_loss, reason = "a number of tokens")]
fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / n;
    let variance = values.map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

/// How strongly a statement rests on a sentence, in log-odds: above 0 it is likelier than not.
///
/// - `standing`: as [`Sources::standing`] tells
/// - `overlap`: share of the statement's words that the sentence has, each by its weight
///
/// Logistic regression on paraphrases with known sources, against statements on other texts;
/// `examples/evidence.rs` measures it.
#[must_use]
pub fn strength(standing: f64, overlap: f64) -> f64 {
    const MIDDLE: f64 = 4.9;
    const STANDING: f64 = 2.8;
    const OVERLAP: f64 = 3.7;
    STANDING * standing + OVERLAP * overlap - MIDDLE
}

/// How surely a statement rests on a sentence, 0 to 1. The same words are evidence enough.
#[must_use]
pub fn score(strength: f64, overlap: f64) -> f64 {
    (1.0 / (1.0 + (-strength).exp())).max(overlap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_by_the_bytes_they_touch() {
        let ends = [3, 5, 9, 12];
        assert_eq!(tokens(&ends, &(0..3)), 0..1);
        assert_eq!(tokens(&ends, &(2..6)), 0..3);
        assert_eq!(tokens(&ends, &(5..12)), 2..4);
        assert_eq!(tokens(&ends, &(12..20)), 4..4);
        let lines = ["b c".to_owned(), "lost".to_owned(), "d".to_owned()];
        let found = lines_in("a b c d", lines.iter());
        assert_eq!(found, [2..5, 0..0, 6..7]);
        assert_eq!(tokens(&ends, &found[1]), 0..0);
    }

    #[test]
    fn what_one_statement_looks_at_more_than_others_stands_out() {
        let sources = Sources { watch: 0..3, spans: vec![0..1, 1..2, 2..3] };
        // Everybody looks at the last source; the first statement at the first, too.
        let attention =
            [vec![0.2, 0.0, 0.5], vec![0.3, 0.01, 0.6], vec![0.01, 0.2, 0.5], vec![0.02, 0.3, 0.6]];
        let neutral = [vec![0.01, 0.01, 0.55], vec![0.02, 0.0, 0.5], vec![0.0, 0.02, 0.6]];
        let standing = sources.standing(&attention, &neutral, &[0..2, 2..4]);
        let best = |row: &[f64]| (0..3).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        assert_eq!(standing.iter().map(|row| best(row)).collect::<Vec<_>>(), [0, 1]);
        assert!(sources.standing(&[], &[], &[0..2, 2..4]).iter().all(Vec::is_empty));
    }

    #[test]
    fn words_and_attention_make_each_other_surer() {
        let sure = |standing, overlap| score(strength(standing, overlap), overlap);
        assert!(sure(0.0, 0.0) < 0.5);
        assert!(sure(1.0, 0.0) > sure(0.5, 0.0));
        assert!(sure(0.5, 0.5) > sure(0.5, 0.0));
        assert!(sure(0.0, 1.0) > 0.9 && sure(3.0, 0.0) > 0.9);
    }
}
