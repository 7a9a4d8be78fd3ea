//! ROUGE-1, ROUGE-2 and ROUGE-L as rouge-score for Python computes them, with its stemmer on.
//!
//! Source: C.-Y. Lin, "ROUGE: a package for automatic evaluation of summaries", 2004; and what
//! rouge-score 0.1.2 makes of it: a word is a run of `a-z` and `0-9` in lower case, stemmed if it
//! is longer than three letters; ROUGE-L takes the whole text as one sentence.

use std::collections::HashMap;

use super::stem::stem;

/// How much of a reference a summary has.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Score {
    /// Share of the summary that is in the reference.
    pub precision: f64,
    /// Share of the reference that is in the summary.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

/// The three scores of a summary.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rouge {
    /// Words.
    pub rouge1: Score,
    /// Pairs of words.
    pub rouge2: Score,
    /// The longest sequence of words that both have, gaps allowed.
    pub rouge_l: Score,
}

/// Scores a summary against a reference.
///
/// Takes time in proportion to the product of their lengths and memory in proportion to the sum.
///
/// ```
/// use longsum::eval::rouge::rouge;
/// let score = rouge("The harbour was dredged.", "They dredged the harbour.");
/// assert_eq!(score.rouge1.f1, 0.75);
/// assert_eq!(score.rouge_l.f1, 0.5);
/// ```
#[must_use]
pub fn rouge(reference: &str, summary: &str) -> Rouge {
    let mut ids = HashMap::new();
    let mut intern = |text: &str| -> Vec<u32> {
        words(text)
            .map(|word| {
                let n_known = u32::try_from(ids.len()).expect("fewer words than u32 has numbers");
                *ids.entry(word).or_insert(n_known)
            })
            .collect()
    };
    let (reference, summary) = (intern(reference), intern(summary));
    Rouge {
        rouge1: grams(&reference, &summary, 1),
        rouge2: grams(&reference, &summary, 2),
        rouge_l: score(common(&reference, &summary), reference.len(), summary.len()),
    }
}

/// The words of a text as ROUGE sees them.
fn words(text: &str) -> impl Iterator<Item = String> {
    let text = text.to_lowercase();
    let words: Vec<String> = text
        .split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit())
        .filter(|word| !word.is_empty())
        .map(|word| if word.len() > 3 { stem(word) } else { word.to_owned() })
        .collect();
    words.into_iter()
}

/// Runs of `n` words that both have, each as often as both have it.
fn grams(reference: &[u32], summary: &[u32], n: usize) -> Score {
    let mut left: HashMap<&[u32], usize> = HashMap::new();
    for gram in reference.windows(n) {
        *left.entry(gram).or_default() += 1;
    }
    let mut n_shared = 0;
    for gram in summary.windows(n) {
        if let Some(count) = left.get_mut(gram).filter(|count| **count > 0) {
            *count -= 1;
            n_shared += 1;
        }
    }
    let n_grams = |text: &[u32]| (text.len() + 1).saturating_sub(n);
    score(n_shared, n_grams(reference), n_grams(summary))
}

#[expect(clippy::cast_precision_loss, reason = "counts of words")]
fn score(n_shared: usize, n_reference: usize, n_summary: usize) -> Score {
    let share = |n: usize| n_shared as f64 / n.max(1) as f64;
    let (precision, recall) = (share(n_summary), share(n_reference));
    let f1 = if n_shared == 0 { 0.0 } else { 2.0 * precision * recall / (precision + recall) };
    Score { precision, recall, f1 }
}

/// Length of the longest common subsequence.
fn common(a: &[u32], b: &[u32]) -> usize {
    let (long, short) = if a.len() < b.len() { (b, a) } else { (a, b) };
    // `row[k]`: of what was read of `long`, and the first `k` of `short`.
    let mut row = vec![0_usize; short.len() + 1];
    for x in long {
        let mut diagonal = 0;
        for (k, y) in short.iter().enumerate() {
            let above = row[k + 1];
            row[k + 1] = if x == y { diagonal + 1 } else { above.max(row[k]) };
            diagonal = above;
        }
    }
    row[short.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_rouge_score() {
        for (reference, summary, golden) in GOLDEN {
            let Rouge { rouge1, rouge2, rouge_l } = rouge(reference, summary);
            for (score, golden) in [rouge1, rouge2, rouge_l].into_iter().zip(golden) {
                let ours = [score.precision, score.recall, score.f1];
                let off = ours.iter().zip(golden).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(off < 1e-12, "{reference} / {summary}: {ours:?}, golden {golden:?}");
            }
        }
    }

    #[test]
    fn the_longest_common_subsequence_does_not_care_which_text_is_which() {
        let (a, b) = ([1, 2, 3, 2, 4, 1, 2], [2, 4, 3, 1, 2, 1]);
        assert_eq!((common(&a, &b), common(&b, &a)), (4, 4));
        assert_eq!(common(&a, &[]), 0);
    }

    #[test]
    fn texts_of_ten_thousand_words_are_fine() {
        let text =
            |range: std::ops::Range<usize>| -> String { range.map(|k| format!("w{k} ")).collect() };
        let (first, second) = (text(0..5000), text(5000..10_000));
        let score = rouge(&format!("{first}{second}"), &format!("{second}{first}"));
        assert_eq!((score.rouge1.f1, score.rouge_l.f1), (1.0, 0.5));
    }

    /// Reference, summary; precision, recall and F1 of ROUGE-1, ROUGE-2 and ROUGE-L. From
    /// `RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)` of rouge-score 0.1.2 with
    /// NLTK 3.10.4.
    #[rustfmt::skip]
    const GOLDEN: [(&str, &str, [[f64; 3]; 3]); 10] = [
        ("The harbour was dredged in 1861, and again in 1974.", "Dredging the harbour: first done in 1861; then once more, 1974!",
            [[0.5454545454545454, 0.6, 0.5714285714285713], [0.2, 0.2222222222222222, 0.2105263157894737], [0.45454545454545453, 0.5, 0.47619047619047616]]),
        ("The quick brown fox jumps over the lazy dog", "The quick brown dog jumps on the log.",
            [[0.75, 0.6666666666666666, 0.7058823529411765], [0.2857142857142857, 0.25, 0.26666666666666666], [0.625, 0.5555555555555556, 0.5882352941176471]]),
        ("a a a b b", "a b a b c a",
            [[0.8333333333333334, 1.0, 0.9090909090909091], [0.2, 0.25, 0.22222222222222224], [0.5, 0.6, 0.5454545454545454]]),
        ("Naïve cafés' résumés, 3.5 GHz -- e.g. U.S. İstanbul", "naive cafes resumes 3 5 ghz e g u s istanbul",
            [[0.6363636363636364, 0.4375, 0.5185185185185185], [0.6, 0.4, 0.48], [0.6363636363636364, 0.4375, 0.5185185185185185]]),
        ("same words here", "same words here",
            [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]),
        ("one", "one",
            [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]),
        ("", "nothing to compare",
            [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        ("...", "???",
            [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        ("alpha beta", "gamma delta",
            [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
        ("The committees had agreed that hopefully the operators' decisiveness would be rational", "A committee agreed: the operator was decisive, rationally and with hope",
            [[0.6363636363636364, 0.5833333333333334, 0.6086956521739131], [0.1, 0.09090909090909091, 0.09523809523809525], [0.5454545454545454, 0.5, 0.5217391304347826]]),
    ];
}
