//! From what the model wrote to statements: one sentence each, nothing twice, no echo of the prompt.

use std::collections::HashSet;

use unicode_segmentation::UnicodeSegmentation;

use crate::prompt::{self, Piece};
use crate::sentence;

/// A statement with this share of its words in one sentence of the instructions is an echo of them.
const ECHO: f64 = 0.65;
/// Sentences longer than this are not instructions.
const N_LONGEST_INSTRUCTION: usize = 32;

/// The statements of a reply to a prompt.
pub fn split(reply: &str, prompt: &[Piece]) -> Vec<String> {
    let asked = instructions(prompt);
    let mut seen = HashSet::new();
    let mut statements = Vec::new();
    for line in prompt::lines(reply) {
        for range in sentence::split(&line) {
            let sentence = line[range].trim();
            let words = words(sentence);
            let fresh = !words.is_empty() && !is_echo(&words, &asked) && seen.insert(words);
            if fresh {
                statements.push(sentence.to_owned());
            }
        }
    }
    statements
}

/// Whether a statement says again, word by word, what one of these says.
pub fn is_among(statement: &str, others: &HashSet<Vec<String>>) -> bool {
    others.contains(&words(statement))
}

/// A statement as its words, for [`is_among`].
pub fn words(text: &str) -> Vec<String> {
    text.unicode_words().map(str::to_lowercase).collect()
}

/// The sentences in which the prompt says what to do: the last lines of what it says.
fn instructions(prompt: &[Piece]) -> Vec<HashSet<String>> {
    let texts = prompt.iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(text.as_str()),
        Piece::Markup(_) | Piece::Hole(_) => None,
    });
    let said: String = texts.collect();
    // Notes and summaries in the prompt stand above the instruction, which is its last paragraph;
    // a model without a chat template gets one more, the cue for its reply.
    let last = said.trim_end();
    let at = last.rmatch_indices("\n\n").nth(1).map_or(0, |(at, _)| at);
    let lines = last[at..].lines().filter(|line| !line.trim_start().starts_with("- "));
    lines
        .flat_map(|line| sentence::split(line).into_iter().map(|range| words(&line[range])))
        .filter(|words| (3..=N_LONGEST_INSTRUCTION).contains(&words.len()))
        .map(|words| words.into_iter().collect())
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of words")]
fn is_echo(words: &[String], asked: &[HashSet<String>]) -> bool {
    asked.iter().any(|asked| {
        let n_shared = words.iter().filter(|word| asked.contains(*word)).count();
        n_shared as f64 >= ECHO * words.len() as f64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_becomes_sentences_without_echoes_and_repetitions() {
        let prompt = [Piece::Text(
            "- Berta counted ships.\n\nSummarize this part in at most 96 words. Write short sentences, one on each line. \
             Keep names and numbers.\n\nSummary of this part, one short sentence on each line:\n"
                .to_owned(),
        )];
        let reply = "Berta counted 7 ships. Dr. Aldo left in 1874.\nThis part was summarized in at most 96 words.\n\
            Berta counted 7 ships.\nWrite short sentences, one on each line. Keep names and numbers.\nBerta counted ships.";
        let expected = ["Berta counted 7 ships.", "Dr. Aldo left in 1874.", "Berta counted ships."];
        assert_eq!(split(reply, &prompt), expected);
    }
}
