//! Finds the sentences that a statement rests on, by the words they share.
//!
//! Words weigh by how rare they are in the document, so a shared name counts for more than a
//! shared article; a word that the document does not have weighs most, and against the statement.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::chunk::Chunk;
use crate::document::Document;
use crate::report::{Citation, Quote, Statement};

/// A sentence must have this share of a statement's weight to be quoted for it.
const LEAST_SCORE: f64 = 0.4;
/// A second sentence must bring this share of the weight that the first lacks.
const LEAST_GAIN: f64 = 0.2;
/// Characters quoted before and after the sentence.
const N_AROUND: usize = 32;

/// All sentences of a document by their words.
pub struct Index<'a> {
    document: &'a Document,
    chunks: &'a [Chunk],
    /// Words of each sentence, chunk by chunk.
    sentences: Vec<Vec<HashSet<u32>>>,
    ids: HashMap<String, u32>,
    weights: Vec<f64>,
    unknown: f64,
}

impl<'a> Index<'a> {
    /// Indexes the sentences of all chunks.
    pub fn new(document: &'a Document, chunks: &'a [Chunk]) -> Self {
        let mut ids = HashMap::new();
        let mut n_with: Vec<u32> = Vec::new();
        let mut n_sentences = 0u32;
        let mut sentences = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let of_chunk = chunk.sentences.iter().map(|range| {
                n_sentences += 1;
                let words: HashSet<u32> = words(&document.text[range.clone()])
                    .map(|word| {
                        let next = u32::try_from(ids.len()).unwrap_or(u32::MAX);
                        *ids.entry(word).or_insert(next)
                    })
                    .collect();
                n_with.resize(ids.len(), 0);
                words.iter().for_each(|&id| n_with[id as usize] += 1);
                words
            });
            sentences.push(of_chunk.collect());
        }
        let weight = |n: u32| (f64::from(n_sentences + 2) / f64::from(n + 1)).ln();
        let weights = n_with.iter().map(|&n| weight(n)).collect();
        Self { document, chunks, sentences, ids, weights, unknown: weight(0) }
    }

    /// The lines as statements, each with the sentences of these chunks that it rests on.
    pub fn statements(&self, lines: &[String], scope: &Range<usize>) -> Vec<Statement> {
        let cite =
            |line: &String| Statement { text: line.clone(), citations: self.cite(line, scope) };
        lines.iter().map(cite).collect()
    }

    /// The lines that are worth carrying on from these chunks: those that a sentence matches, or,
    /// where none is, the one that comes nearest.
    pub fn supported(&self, lines: &[String], scope: &Range<usize>) -> Vec<String> {
        let scores: Vec<f64> = lines.iter().map(|line| self.score(line, scope)).collect();
        let best = scores.iter().copied().fold(0.0, f64::max);
        let least = LEAST_SCORE.min(best);
        lines.iter().zip(scores).filter(|(_, s)| *s >= least).map(|(l, _)| l.clone()).collect()
    }

    /// The share of a statement's weight that the best sentence of these chunks has.
    fn score(&self, statement: &str, scope: &Range<usize>) -> f64 {
        let (wanted, total) = self.wanted(statement);
        self.best(&wanted, scope).map_or(0.0, |(gain, ..)| gain / total)
    }

    /// The words of a statement that the document has, and the weight of all its words.
    fn wanted(&self, statement: &str) -> (HashSet<u32>, f64) {
        let mut total = 0.0;
        let mut wanted = HashSet::new();
        for word in words(statement).collect::<BTreeSet<_>>() {
            match self.ids.get(&word) {
                Some(&id) => {
                    wanted.insert(id);
                    total += self.weights[id as usize];
                }
                None => total += self.unknown,
            }
        }
        (wanted, total)
    }

    /// The sentences of these chunks that a statement rests on, at most two, best first; where none
    /// matches, the whole passage, without a quote.
    fn cite(&self, statement: &str, scope: &Range<usize>) -> Vec<Citation> {
        let (mut left, total) = self.wanted(statement);
        let mut citations = Vec::new();
        for least in [LEAST_SCORE, LEAST_GAIN] {
            let Some((gain, chunk, sentence)) = self.best(&left, scope) else { break };
            let score = gain / total;
            if total <= 0.0 || score < least {
                break;
            }
            left = left.difference(&self.sentences[chunk][sentence]).copied().collect();
            let range = self.chunks[chunk].sentences[sentence].clone();
            citations.push(quote(self.document, range, score));
        }
        if citations.is_empty() && !scope.is_empty() {
            let range = self.chunks[scope.start].range.start..self.chunks[scope.end - 1].range.end;
            let chars = self.document.char_range(range.clone());
            let pages = self.document.pages_of(range);
            citations.push(Citation {
                pages,
                chars: (chars.start, chars.end),
                quote: None,
                score: 0.0,
            });
        }
        citations
    }

    /// The sentence with most of the wanted weight: its weight, chunk and place. The first of equals.
    fn best(&self, wanted: &HashSet<u32>, scope: &Range<usize>) -> Option<(f64, usize, usize)> {
        let mut best: Option<(f64, usize, usize)> = None;
        // In order of ids, so that sums of f64 come out the same in every run.
        let mut wanted: Vec<u32> = wanted.iter().copied().collect();
        wanted.sort_unstable();
        for chunk in scope.clone() {
            for (sentence, words) in self.sentences[chunk].iter().enumerate() {
                let gain: f64 = wanted
                    .iter()
                    .filter(|id| words.contains(id))
                    .map(|&id| self.weights[id as usize])
                    .sum();
                if gain > best.map_or(0.0, |(g, ..)| g) {
                    best = Some((gain, chunk, sentence));
                }
            }
        }
        best
    }
}

/// A sentence of the document as evidence.
pub fn quote(document: &Document, range: Range<usize>, score: f64) -> Citation {
    let text = document.text.as_str();
    let sentence = &text[range.clone()];
    let start = range.start + (sentence.len() - sentence.trim_start().len());
    let end = start + sentence.trim().len();
    let before: Vec<char> = text[..start].chars().rev().take(N_AROUND).collect();
    let quote = Quote {
        exact: text[start..end].to_owned(),
        prefix: before.into_iter().rev().collect(),
        suffix: text[end..].chars().take(N_AROUND).collect(),
    };
    let chars = document.char_range(start..end);
    let score = (score * 1000.0).round() / 1000.0;
    Citation {
        pages: document.pages_of(start..end),
        chars: (chars.start, chars.end),
        quote: Some(quote),
        score,
    }
}

/// Words in lower case.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.unicode_words().map(str::to_lowercase)
}
