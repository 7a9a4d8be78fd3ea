//! How good summaries are: documents that people summarized, and how much of their words ours have.
//!
//! A summary is as long as the reference it is compared with, in words between white space, so no
//! method gains by writing more. Where a document has several references, it is summarized once to
//! the length of each, each summary is scored against its own, and the best F1 counts, for each
//! metric. A set's score is the mean over its documents; the average is the mean over the sets.

pub mod rouge;
pub mod set;
pub mod stem;

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use rouge::{Rouge, rouge};
pub use set::{Sample, Set, SetError};

/// F1 in percent.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Scores {
    /// ROUGE-1.
    pub rouge1: f64,
    /// ROUGE-2.
    pub rouge2: f64,
    /// ROUGE-L.
    #[serde(rename = "rougeL")]
    pub rouge_l: f64,
}

/// A summary, and what can be told of it without a reference; shares are between 0 and 1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Made {
    /// The summary.
    pub text: String,
    /// Tenths of the document that it quotes.
    pub coverage: f64,
    /// Statements that the document bears out.
    pub supported: f64,
    /// Quotes that stand in the document word by word, where they are said to.
    pub exact: f64,
}

/// What can be told without a reference, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Trust {
    /// Tenths of the document that a summary quotes.
    pub coverage: f64,
    /// Statements that the document bears out.
    pub supported: f64,
    /// Quotes that stand in the document word by word, where they are said to.
    pub exact: f64,
}

/// What one set gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetScores {
    /// The set.
    pub name: String,
    /// How many of its documents were scored.
    pub n: usize,
    /// Means over these documents.
    pub longsum: Scores,
    /// Means over these documents.
    pub trust: Trust,
}

/// Means of the means of the sets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Average {
    /// Each set counts alike.
    pub longsum: Scores,
    /// Each set counts alike.
    pub trust: Trust,
}

/// The scores of all sets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// One entry for each set.
    pub sets: Vec<SetScores>,
    /// Over the sets.
    pub average: Average,
}

/// Makes summaries of a document, one for each of these lengths in words.
pub type Summarizer<'a, E> = dyn FnMut(&str, &[usize]) -> Result<Vec<Made>, E> + 'a;

/// Scores a summarizer on one set, and names the documents that it failed on.
///
/// - `summarize`: gets a document and the lengths of its references in words, once; gives a summary
///   for each. What is longer is cut.
/// - `done`: is told after each document how many there were.
/// - returns the scores of the other documents, none if there is none, and the failed ones by their
///   place in the set
///
/// # Panics
/// If `summarize` gives more or fewer summaries than it was asked for.
pub fn evaluate<E>(
    set: &Set,
    summarize: &mut Summarizer<'_, E>,
    done: &mut dyn FnMut(usize),
) -> (Option<SetScores>, Vec<(usize, E)>) {
    let (mut scores, mut trust) = (Vec::new(), Vec::new());
    let mut failed = Vec::new();
    for (k, Sample { document, references }) in set.samples.iter().enumerate() {
        let n_words: Vec<usize> = references.iter().map(|r| r.split_whitespace().count()).collect();
        match summarize(document, &n_words) {
            Ok(summaries) => {
                assert_eq!(summaries.len(), n_words.len(), "one summary for each length");
                let pairs = references.iter().zip(&summaries).zip(&n_words);
                scores.push(best(pairs.map(|((r, s), n)| rouge(r, &cut(&s.text, *n)))));
                trust.push(Trust::of(&summaries));
            }
            Err(error) => failed.push((k, error)),
        }
        done(k + 1);
    }
    let set_scores = (!scores.is_empty()).then(|| SetScores {
        name: set.name.clone(),
        n: scores.len(),
        longsum: mean(&scores),
        trust: Trust::mean(&trust),
    });
    (set_scores, failed)
}

/// At most the first `n` words.
fn cut(text: &str, n: usize) -> String {
    text.split_whitespace().take(n).collect::<Vec<_>>().join(" ")
}

/// The best F1 for each metric, in percent.
fn best(scores: impl Iterator<Item = Rouge>) -> Scores {
    scores.fold(Scores::default(), |best, score| Scores {
        rouge1: best.rouge1.max(100.0 * score.rouge1.f1),
        rouge2: best.rouge2.max(100.0 * score.rouge2.f1),
        rouge_l: best.rouge_l.max(100.0 * score.rouge_l.f1),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a count of documents")]
fn mean(scores: &[Scores]) -> Scores {
    let n = scores.len().max(1) as f64;
    let of = |metric: fn(&Scores) -> f64| scores.iter().map(metric).sum::<f64>() / n;
    Scores { rouge1: of(|s| s.rouge1), rouge2: of(|s| s.rouge2), rouge_l: of(|s| s.rouge_l) }
}

#[expect(clippy::cast_precision_loss, reason = "a count of summaries")]
impl Trust {
    fn of(summaries: &[Made]) -> Self {
        let mean = |share: fn(&Made) -> f64| {
            100.0 * summaries.iter().map(share).sum::<f64>() / summaries.len().max(1) as f64
        };
        Self {
            coverage: mean(|s| s.coverage),
            supported: mean(|s| s.supported),
            exact: mean(|s| s.exact),
        }
    }

    fn mean(all: &[Self]) -> Self {
        let n = all.len().max(1) as f64;
        let of = |share: fn(&Self) -> f64| all.iter().map(share).sum::<f64>() / n;
        Self {
            coverage: of(|t| t.coverage),
            supported: of(|t| t.supported),
            exact: of(|t| t.exact),
        }
    }
}

impl Evaluation {
    /// The sets and their average.
    #[must_use]
    pub fn new(sets: Vec<SetScores>) -> Self {
        let scores: Vec<Scores> = sets.iter().map(|set| set.longsum).collect();
        let trust: Vec<Trust> = sets.iter().map(|set| set.trust).collect();
        let average = Average { longsum: mean(&scores), trust: Trust::mean(&trust) };
        Self { sets, average }
    }

    /// A table for people: a line for each set, then the average.
    #[must_use]
    pub fn table(&self) -> String {
        let n_documents = self.sets.iter().map(|set| set.n).sum();
        let lines = self.sets.iter().map(|set| (set.name.as_str(), set.n, set.longsum, set.trust));
        let Average { longsum, trust } = self.average;
        let lines: Vec<_> = lines.chain([("average", n_documents, longsum, trust)]).collect();
        let width = lines.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
        let mut table = format!(
            "{:width$}      n  ROUGE-1  ROUGE-2  ROUGE-L  coverage  supported  exact\n",
            "set"
        );
        for (name, n, Scores { rouge1, rouge2, rouge_l }, trust) in lines {
            let Trust { coverage, supported, exact } = trust;
            let _ = writeln!(
                table,
                "{name:width$}  {n:5}  {rouge1:7.1}  {rouge2:7.1}  {rouge_l:7.1}  {coverage:7.0}%  {supported:8.0}%  {exact:4.0}%"
            );
        }
        table
    }
}

#[cfg(test)]
mod tests;
