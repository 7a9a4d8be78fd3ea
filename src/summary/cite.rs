//! Finds the sentences that a statement rests on: by the attention it paid to them while it was
//! written, and by the words they share.
//!
//! Words weigh by how rare they are in the document, so a shared name counts for more than a
//! shared article; a word that the document does not have weighs most, and against the statement.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::Line;
use super::evidence::{score, strength as strength_of};
use crate::check;
use crate::chunk::Chunk;
use crate::document::Document;
use crate::report::{Citation, Quote, Statement, Support};
use crate::select;

/// A sentence must have this share of a statement's weight to be quoted for it...
const LEAST_OVERLAP: f64 = 0.4;
/// ... or, by what it looked at too, so high a score.
const LEAST_SCORE: f64 = 0.5;
/// A second sentence must bring this share of the weight that the first lacks.
const LEAST_GAIN: f64 = 0.2;
/// A sentence of fewer words bears nothing out.
const N_LEAST_WORDS: usize = 4;
/// Characters quoted before and after the sentence.
const N_AROUND: usize = 32;

/// A sentence of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of its chunk.
    chunk: usize,
    /// Its number in the chunk.
    sentence: usize,
}

/// A statement the model wrote, and what it rests on.
#[derive(Debug, Clone)]
pub struct Note {
    /// The statement.
    pub text: String,
    /// The sentences it rests on and how surely it does, best first, at most two; none if none was
    /// found.
    pub evidence: Vec<(Place, f64)>,
    /// The chunks it was written about.
    scope: Range<usize>,
}

impl Note {
    /// Whether it rests on a sentence.
    pub fn is_founded(&self) -> bool {
        !self.evidence.is_empty()
    }
}

/// All sentences of a document, and the weight of their words.
pub struct Index<'a> {
    document: &'a Document,
    chunks: &'a [Chunk],
    ids: HashMap<String, u32>,
    weights: Vec<f64>,
    unknown: f64,
}

impl<'a> Index<'a> {
    /// Weighs the words of all chunks.
    pub fn new(document: &'a Document, chunks: &'a [Chunk]) -> Self {
        let mut ids = HashMap::new();
        let mut n_with: Vec<u32> = Vec::new();
        let mut n_sentences = 0u32;
        for range in chunks.iter().flat_map(|chunk| &chunk.sentences) {
            n_sentences += 1;
            let of_sentence: HashSet<u32> = words(&document.text[range.clone()])
                .map(|word| {
                    let next = u32::try_from(ids.len()).unwrap_or(u32::MAX);
                    *ids.entry(word).or_insert(next)
                })
                .collect();
            n_with.resize(ids.len(), 0);
            of_sentence.iter().for_each(|&id| n_with[id as usize] += 1);
        }
        let weight = |n: u32| (f64::from(n_sentences + 2) / f64::from(n + 1)).ln();
        let weights = n_with.iter().map(|&n| weight(n)).collect();
        Self { document, chunks, ids, weights, unknown: weight(0) }
    }

    /// The sentences of a chunk.
    pub fn places(&self, chunk: usize) -> Vec<Place> {
        (0..self.chunks[chunk].sentences.len()).map(|sentence| Place { chunk, sentence }).collect()
    }

    /// Whether a sentence is words: a row of numbers or a reference bears nothing out.
    fn is_prose(&self, place: Place) -> bool {
        let text = &self.document.text[self.range(place)];
        words(text).take(N_LEAST_WORDS).count() == N_LEAST_WORDS && select::is_prose(text)
    }

    /// A sentence on one line.
    pub fn text(&self, place: Place) -> String {
        let text = &self.document.text[self.range(place)];
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn range(&self, place: Place) -> Range<usize> {
        self.chunks[place.chunk].sentences[place.sentence].clone()
    }

    /// A line the model wrote about these chunks, with the sentences among `candidates` that it
    /// rests on.
    pub fn note(&self, line: &Line, scope: &Range<usize>, candidates: &[Place]) -> Note {
        let evidence = self.evidence(&line.text, candidates, &line.standing);
        Note { text: line.text.clone(), evidence, scope: scope.clone() }
    }

    /// The sentences that a statement rests on, at most two, best first.
    ///
    /// - `standing`: of each candidate; empty where the model does not tell what it looks at
    fn evidence(
        &self,
        statement: &str,
        candidates: &[Place],
        standing: &[f64],
    ) -> Vec<(Place, f64)> {
        let (mut left, total) = self.wanted(statement);
        if total <= 0.0 {
            return Vec::new();
        }
        let words_of = |&place: &Place| {
            if self.is_prose(place) { self.words(place) } else { HashSet::new() }
        };
        let texts: Vec<HashSet<u32>> = candidates.iter().map(words_of).collect();
        let overlap = |left: &[u32], words: &HashSet<u32>| {
            let shared = left.iter().filter(|id| words.contains(id));
            shared.map(|&id| self.weights[id as usize]).sum::<f64>() / total
        };
        let mut found: Vec<(usize, f64)> = Vec::new();
        for least in [LEAST_OVERLAP, LEAST_GAIN] {
            // What was looked at decides on the first sentence; a second one is for words it lacks.
            let is_first = found.is_empty();
            let is_fresh = |i: usize| !texts[i].is_empty() && found.iter().all(|f| f.0 != i);
            let fresh = texts.iter().enumerate().filter(|(i, _)| is_fresh(*i));
            let one = |(i, words): (usize, &HashSet<u32>)| {
                let overlap = overlap(&left, words);
                let strength = standing.get(i).filter(|_| is_first);
                (i, overlap, strength.map(|&standing| strength_of(standing, overlap)))
            };
            // The first of equals.
            let best = fresh.map(one).reduce(|best, next| {
                let rank = |x: &(usize, f64, Option<f64>)| x.2.unwrap_or(x.1);
                if rank(&next) > rank(&best) { next } else { best }
            });
            let Some((i, overlap, strength)) = best else { break };
            let score = strength.map_or(overlap, |strength| score(strength, overlap));
            if overlap < least && (!is_first || score < LEAST_SCORE) {
                break;
            }
            found.push((i, score));
            left.retain(|id| !texts[i].contains(id));
        }
        found.into_iter().map(|(i, score)| (candidates[i], score)).collect()
    }

    /// The words of a statement that the document has, in order of their ids, so that sums come out
    /// the same in every run; and the weight of all its words.
    fn wanted(&self, statement: &str) -> (Vec<u32>, f64) {
        let mut total = 0.0;
        let mut wanted = BTreeSet::new();
        for word in words(statement).collect::<BTreeSet<_>>() {
            match self.ids.get(&word) {
                Some(&id) => {
                    wanted.insert(id);
                    total += self.weights[id as usize];
                }
                None => total += self.unknown,
            }
        }
        (wanted.into_iter().collect(), total)
    }

    fn words(&self, place: Place) -> HashSet<u32> {
        let text = &self.document.text[self.range(place)];
        words(text).filter_map(|word| self.ids.get(&word).copied()).collect()
    }

    /// A note as reports have it: with quotes; or, where nothing was found, with the passage it was
    /// written about.
    pub fn statement(&self, note: &Note) -> Statement {
        let quote = |&(place, score): &(Place, f64)| quote(self.document, self.range(place), score);
        let mut citations: Vec<Citation> = note.evidence.iter().map(quote).collect();
        if citations.is_empty() && !note.scope.is_empty() {
            let (first, last) = (&self.chunks[note.scope.start], &self.chunks[note.scope.end - 1]);
            let range = first.range.start..last.range.end;
            let chars = self.document.char_range(range.clone());
            citations.push(Citation {
                label: self.document.label_at(range.start),
                pages: self.document.pages_of(range),
                chars: (chars.start, chars.end),
                quote: None,
                score: 0.0,
            });
        }
        let texts: Vec<&str> = citations
            .iter()
            .filter_map(|c| c.quote.as_ref())
            .map(|quote| quote.exact.as_str())
            .collect();
        let known = self.document.source.title.as_deref().unwrap_or_default();
        let faults = if texts.is_empty() {
            Vec::new()
        } else {
            check::faults(&note.text, &texts, known).into_iter().map(Into::into).collect()
        };
        let support = match (texts.is_empty(), faults.is_empty()) {
            (true, _) => Support::None,
            (_, false) => Support::Weak,
            _ => Support::Supported,
        };
        Statement { text: note.text.clone(), support, faults, citations }
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
        label: document.label_at(start),
        chars: (chars.start, chars.end),
        quote: Some(quote),
        score,
    }
}

/// Words in lower case.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.unicode_words().map(str::to_lowercase)
}
