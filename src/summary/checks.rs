//! What can be told of a summary without a reader: how it spreads over the document, what bears it
//! out, how much it copies and repeats, which language it is in.

use std::collections::{HashMap, HashSet, VecDeque};

use unicode_segmentation::UnicodeSegmentation;

use crate::document::Document;
use crate::language;
use crate::report::{Checks, Statement, Summary, Support};

/// Words in a row that count as copied.
const N_COPIED: usize = 8;
/// Words in a row that count as repeated.
const N_REPEATED: usize = 4;

/// Checks the final summary of a document; `asked` is the language asked for.
pub fn checks(document: &Document, summary: &Summary, asked: Option<&str>) -> Checks {
    let coverage_by_decile = deciles(document, summary);
    let n_covered = coverage_by_decile.iter().filter(|&&n| n > 0).count();
    let n_statements = summary.statements.len();
    let n_of =
        |wanted: fn(&Statement) -> bool| summary.statements.iter().filter(|s| wanted(s)).count();
    let texts: Vec<&str> = summary.statements.iter().map(|s| s.text.as_str()).collect();
    let words: Vec<String> = texts.iter().flat_map(|text| words(text)).collect();
    let n_document = document.to_read(0..document.text.len()).unicode_words().count();
    let language = language::of(&texts.join(" "));
    Checks {
        coverage_by_decile,
        coverage: share(n_covered, 10),
        weak: share(n_of(|s| s.support != Support::Supported), n_statements),
        unsupported: share(n_of(|s| s.support == Support::None), n_statements),
        copy_ratio: share(n_copied(&document.text, &words), words.len()),
        compression: share(n_document, words.len()),
        repetition: repetition(&words),
        language: language.map(str::to_owned),
        language_as_asked: asked.and_then(|asked| language::is(&texts.join(" "), asked)),
    }
}

/// How many quotes lie in each tenth of what was read.
fn deciles(document: &Document, summary: &Summary) -> Vec<usize> {
    let asides = document.asides.iter().map(|aside| document.char_range(aside.range.clone()));
    let asides: Vec<_> = asides.collect();
    // Characters that were read before this one.
    let n_read = |char: usize| {
        let before = asides.iter().take_while(|aside| aside.start < char);
        char - before.map(|aside| aside.end.min(char) - aside.start).sum::<usize>()
    };
    let n_all = n_read(document.char_offset(document.text.len())).max(1);
    let mut counts = vec![0; 10];
    let citations = summary.statements.iter().flat_map(|s| &s.citations);
    for citation in citations.filter(|c| c.quote.is_some()) {
        counts[(n_read(citation.chars.0) * 10 / n_all).min(9)] += 1;
    }
    counts
}

#[expect(clippy::cast_precision_loss, reason = "counts of words")]
fn share(n: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { (n as f64 / of as f64 * 1000.0).round() / 1000.0 }
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.unicode_words().map(str::to_lowercase)
}

/// How many of these words stand in the text in a run of [`N_COPIED`]. The text goes by once; only
/// the runs of the words are kept.
fn n_copied(text: &str, summary: &[String]) -> usize {
    let mut runs: HashMap<Vec<&str>, Vec<usize>> = HashMap::new();
    for (at, run) in summary.windows(N_COPIED).enumerate() {
        runs.entry(run.iter().map(String::as_str).collect()).or_default().push(at);
    }
    let mut is_copied = vec![false; summary.len()];
    let mut last: VecDeque<String> = VecDeque::with_capacity(N_COPIED);
    for word in words(text) {
        if last.len() == N_COPIED {
            last.pop_front();
        }
        last.push_back(word);
        let run: Vec<&str> = last.iter().map(String::as_str).collect();
        for &at in runs.get(&run).into_iter().flatten() {
            is_copied[at..at + N_COPIED].fill(true);
        }
    }
    is_copied.iter().filter(|&&yes| yes).count()
}

/// The share of runs of [`N_REPEATED`] words that came before.
fn repetition(words: &[String]) -> f64 {
    let mut seen = HashSet::new();
    let runs = words.windows(N_REPEATED);
    let n_again = runs.clone().filter(|run| !seen.insert(*run)).count();
    share(n_again, runs.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        words(text).collect()
    }

    #[test]
    fn copied_words_are_counted_once() {
        let text = "one two three four five six seven eight nine ten eleven";
        assert_eq!(n_copied(text, &split("two three four five six seven eight nine ten")), 9);
        assert_eq!(n_copied(text, &split("one two three four five six seven and eight")), 0);
        assert_eq!(n_copied(text, &split("x Two, three four five six seven eight NINE y")), 8);
    }

    #[test]
    fn repetition_is_a_share_of_runs() {
        assert!(repetition(&split("a b c d e f")).abs() < 1e-9);
        // Six runs, of which a b c d and b c d e came before.
        assert!((repetition(&split("a b c d e a b c d e")) - 2.0 / 7.0).abs() < 1e-3);
        assert!(repetition(&[]).abs() < 1e-9);
    }
}
