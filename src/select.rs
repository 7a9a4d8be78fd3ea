//! Which sentences make a summary: as many as its length allows, that together say most of what a
//! summary of the document is expected to say.
//!
//! How likely a word is to stand in a summary, once, twice, ... is told by a logistic model of a
//! few facts about it ([`Weights::word`]). A sentence is worth the words that it adds to those
//! chosen already, and what a language model thinks of it. That is submodular, so choosing the best
//! sentence time and again comes near the best choice (Lin and Bilmes 2011), and says nothing twice.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};

use serde::Deserialize;
use unicode_segmentation::UnicodeSegmentation;

use crate::eval::stem::stem;

/// Facts about a word that [`Weights::word`] weighs.
pub const N_FACTS: usize = 16;
/// Sentences of fewer words are not chosen.
const N_LEAST_WORDS: usize = 5;
/// The beginning of a document: this share of its words.
const LEAD: f64 = 0.08;
/// A shorter sentence counts as one of so many words, or every "Yes." would be a find.
const N_SHORT: f64 = 12.0;
/// Where whole sentences hold less than this share of the words, as in transcripts and lists, others
/// are taken too.
const LEAST_WHOLE: f64 = 0.3;

/// What was learnt of choosing; `selection.json` beside the weights.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// Of the facts about a word, in the order of `Terms::facts`.
    pub word: [f64; N_FACTS],
    /// Of the score of a sentence's last token.
    pub last: f64,
    /// Of the score of the comparison with the sentence's chunk.
    pub chunk: f64,
    /// Of leaning on the sentence before, as one with a pronoun at its beginning does.
    pub pointing: f64,
    /// Of being the first one chosen from its tenth of the document.
    pub spread: f64,
}

/// One sentence of a document.
#[derive(Debug, Clone)]
pub struct Sentence {
    /// Its words in their order, stemmed, as numbers that [`Words`] gave.
    words: Vec<u32>,
    /// How many words stand between its white space.
    pub n_words: usize,
    /// Whether it is a heading.
    pub is_heading: bool,
    /// Whether it may be part of a summary.
    pub may_stand: bool,
    /// Whether it is words, though perhaps not a whole sentence.
    is_prose: bool,
    points_back: bool,
}

/// Numbers of words.
#[derive(Debug, Default)]
pub struct Words {
    ids: HashMap<String, u32>,
    stems: HashMap<String, u32>,
    /// Whether a word is one that grammar needs, or a very short one, or digits.
    kinds: Vec<Kind>,
}

#[derive(Debug, Clone, Copy)]
struct Kind {
    is_stop: bool,
    is_short: bool,
    is_number: bool,
}

impl Words {
    /// Takes in one sentence.
    pub fn sentence(&mut self, text: &str, is_heading: bool) -> Sentence {
        let words: Vec<u32> = words(text).map(|(_, word)| self.id(word)).collect();
        let n_words = text.split_whitespace().count();
        let is_prose = !is_heading && n_words >= N_LEAST_WORDS && is_prose(text);
        let may_stand = is_prose && is_whole(text);
        Sentence { words, n_words, is_heading, may_stand, is_prose, points_back: points_back(text) }
    }

    fn id(&mut self, word: &str) -> u32 {
        if let Some(&id) = self.ids.get(word) {
            return id;
        }
        let lower = word.to_lowercase();
        let stemmed =
            if lower.is_ascii() && lower.len() > 3 { stem(&lower) } else { lower.clone() };
        let next = u32::try_from(self.kinds.len()).unwrap_or(u32::MAX);
        let id = *self.stems.entry(stemmed.clone()).or_insert(next);
        if id == next {
            self.kinds.push(Kind {
                is_stop: STOP_WORDS.split_ascii_whitespace().any(|stop| stop == lower),
                is_short: stemmed.chars().count() <= 2,
                is_number: stemmed.bytes().all(|b| b.is_ascii_digit()),
            });
        }
        self.ids.insert(word.to_owned(), id);
        id
    }
}

/// The words of a text, with the byte at which each begins.
pub fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.unicode_word_indices()
}

/// Where hardly any sentence is whole, lets those that are words stand.
pub fn settle(sentences: &mut [Sentence]) {
    let n_of = |keep: fn(&Sentence) -> bool| -> usize {
        sentences.iter().filter(|s| keep(s)).map(|s| s.n_words).sum()
    };
    #[expect(clippy::cast_precision_loss, reason = "counts of words")]
    let share = n_of(|s| s.may_stand) as f64 / n_of(|s| s.is_prose).max(1) as f64;
    if share < LEAST_WHOLE {
        sentences.iter_mut().for_each(|s| s.may_stand = s.is_prose);
    }
}

/// Whether a sentence begins and ends like one.
fn is_whole(text: &str) -> bool {
    let text = text.trim();
    let first = text.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '-').chars().next();
    let is_closing = |c: char| {
        matches!(c, '"' | '\'' | ')' | ']' | '\u{2019}' | '\u{201D}' | '\u{BB}') || is_raised(c)
    };
    let numbered = text.split_whitespace().next().is_some_and(|word| {
        word.trim_end_matches(['.', ')']).bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && word.ends_with(['.', ')'])
    });
    first.is_some_and(|c| !c.is_lowercase() && c != '-')
        && !numbered
        && text
            .trim_end_matches(is_closing)
            .ends_with(['.', '!', '?', '\u{3002}', '\u{FF01}', '\u{FF1F}'])
}

/// Whether a character is a raised digit, as notes have.
#[must_use]
pub fn is_raised(c: char) -> bool {
    matches!(c, '\u{B9}' | '\u{B2}' | '\u{B3}' | '\u{2070}'..='\u{2079}')
}

/// Whether a sentence needs the one before to be understood: it opens with a word that points back
/// or counts on, or has a pronoun before any name that it could stand for.
fn points_back(text: &str) -> bool {
    let is_one_of = |list: &str, word: &str| list.split_ascii_whitespace().any(|w| w == word);
    let words: Vec<&str> = text.unicode_words().collect();
    let lower = |word: &&str| word.to_lowercase();
    let first = words.first().map(lower).unwrap_or_default();
    let counts_on = is_one_of(COUNTING, &first)
        && text.trim_start().get(first.len()..).is_some_and(|rest| rest.starts_with(','));
    let n_looked_at = if words.len() < N_FEW { words.len() } else { N_OPENING };
    let opening = words.iter().skip(1).take(n_looked_at);
    let unnamed = opening.take_while(|word| word.starts_with(|c: char| !c.is_uppercase()));
    let second = words.get(1).map(lower).unwrap_or_default();
    if is_one_of("this these", &first) && is_one_of(ITSELF, &second) {
        return false;
    }
    is_one_of(POINTING, &first)
        || counts_on
        || unnamed.map(lower).any(|word| is_one_of(PRONOUNS, &word))
}

/// A sentence of fewer words is looked at as a whole for pronouns, a longer one so far.
const N_FEW: usize = 12;
const N_OPENING: usize = 5;

/// Whether these are words in a sentence, and not a table's row, a formula or a line of dots.
#[must_use]
pub fn is_prose(text: &str) -> bool {
    let n_letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let n_signs = text.chars().filter(|c| !c.is_whitespace()).count();
    let leads = text.contains("... ") && text.ends_with(|c: char| c.is_ascii_digit())
        || text.contains("....")
        || text.contains(". . . .")
        || text.contains(" | ");
    n_letters * 10 >= n_signs * 6 && !leads
}

/// What is known of the words of a document, as far as it was read.
pub struct Terms<'a> {
    words: &'a Words,
    sentences: &'a [Sentence],
    /// Words of all sentences that may be chosen.
    n_all: f64,
    /// Sentences read so far, and the words of those of them that may be chosen.
    n_read: usize,
    n_seen: f64,
    of_word: Vec<Term>,
    /// In which tenth of the document each sentence stands.
    tenths: Vec<usize>,
}

/// Words from which on a document counts as long.
const N_LONG: f64 = 10_000.0;
/// Parts of a document over which a summary should spread.
const N_PARTS: usize = 10;

#[derive(Debug, Clone, Copy, Default)]
struct Term {
    n: f64,
    n_sentences: f64,
    n_lead: f64,
    n_headings: f64,
    first: f64,
    in_title: bool,
    /// Sum and greatest of what the language model said of it, and how often it did.
    odds: f64,
    best_odds: f64,
    n_odds: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts of words")]
impl<'a> Terms<'a> {
    /// Of a document's sentences; none is read yet.
    #[must_use]
    pub fn new(words: &'a Words, sentences: &'a [Sentence]) -> Self {
        let mut of_word = vec![Term::default(); words.kinds.len()];
        for &word in sentences.first().map_or(&[][..], |title| &title.words) {
            of_word[word as usize].in_title = true;
        }
        let chosen = sentences.iter().filter(|s| s.may_stand);
        let n_all = chosen.map(|s| s.words.len()).sum::<usize>().max(1) as f64;
        let total = sentences.iter().map(|s| s.words.len()).sum::<usize>().max(1);
        let mut n_before = 0;
        let tenth = |sentence: &Sentence| {
            let tenth = n_before * N_PARTS / total;
            n_before += sentence.words.len();
            tenth.min(N_PARTS - 1)
        };
        let tenths = sentences.iter().map(tenth).collect();
        Self { words, sentences, n_all, n_read: 0, n_seen: 0.0, of_word, tenths }
    }

    /// Counts the words of the next sentences.
    ///
    /// - `odds`: what a language model thinks of each word of each of them, as log-odds; no entry
    ///   for a word that it says nothing of
    pub fn read(&mut self, odds: &[impl AsRef<[f32]>]) {
        let end = self.n_read + odds.len();
        for (sentence, odds) in self.sentences[self.n_read..end].iter().zip(odds) {
            for (&word, &odds) in sentence.words.iter().zip(odds.as_ref()) {
                let (term, odds) = (&mut self.of_word[word as usize], f64::from(odds));
                term.odds += odds;
                term.best_odds = if term.n_odds == 0.0 { odds } else { term.best_odds.max(odds) };
                term.n_odds += 1.0;
            }
            let distinct: HashSet<u32> = sentence.words.iter().copied().collect();
            if sentence.is_heading {
                distinct.iter().for_each(|&word| self.of_word[word as usize].n_headings += 1.0);
            }
            if !sentence.may_stand {
                continue;
            }
            let place = self.n_seen / self.n_all;
            for word in distinct {
                let term = &mut self.of_word[word as usize];
                if term.n_sentences == 0.0 {
                    term.first = place;
                }
                term.n_sentences += 1.0;
            }
            for &word in &sentence.words {
                self.of_word[word as usize].n += 1.0;
                self.of_word[word as usize].n_lead += if place < LEAD { 1.0 } else { 0.0 };
            }
            self.n_seen += sentence.words.len() as f64;
        }
        self.n_read = end;
    }

    /// What speaks for a word in a summary of `n` words; the third fact, the logarithm of how often
    /// the summary has it, is left at 0.
    fn facts(&self, word: usize, n: f64) -> [f64; N_FACTS] {
        let (term, kind) = (self.of_word[word], self.words.kinds[word]);
        let expected = (n * term.n / self.n_seen.max(1.0) + 0.02).ln();
        let in_lead = (n * term.n_lead / (LEAD * self.n_all).max(1.0) + 0.02).ln();
        let flag = |yes: bool| if yes { 1.0 } else { 0.0 };
        [
            1.0,
            expected,
            0.0,
            flag(kind.is_stop),
            flag(kind.is_stop) * expected,
            in_lead,
            flag(term.in_title && !kind.is_stop),
            if kind.is_stop { 0.0 } else { term.n_headings.ln_1p() },
            term.n_sentences.max(1.0).ln() / 10.0,
            term.first,
            flag(kind.is_number),
            n.ln() / 5.0,
            expected * expected / 5.0,
            flag(kind.is_short),
            if kind.is_stop { 0.0 } else { term.odds / term.n_odds.max(1.0) },
            if kind.is_stop { 0.0 } else { term.best_odds },
        ]
    }

    /// Each word of a document that was read to its end with its facts, how often the document has it,
    /// and how often the reference summary: what [`Weights::word`] is learnt from.
    #[must_use]
    pub fn against(&self, reference: &Sentence) -> Vec<([f64; N_FACTS], f64, usize)> {
        let mut n_of = HashMap::new();
        reference.words.iter().for_each(|word| *n_of.entry(*word).or_insert(0) += 1);
        let seen = (0..self.of_word.len()).filter(|&word| self.of_word[word].n > 0.0);
        let one = |word: usize| {
            let n_reference = u32::try_from(word).ok().and_then(|word| n_of.get(&word).copied());
            let facts = self.facts(word, reference.n_words as f64);
            (facts, self.of_word[word].n, n_reference.unwrap_or(0))
        };
        seen.map(one).collect()
    }

    /// Chooses sentences of together at least `n_words` words, where there are as many; in the order
    /// in which they were chosen.
    ///
    /// - `among`: the sentences to choose from; those that may not stand in a summary are passed over
    /// - `salience`: what a language model thinks of each sentence of the document
    #[must_use]
    pub fn choose(
        &self,
        among: impl Iterator<Item = usize>,
        n_words: usize,
        weights: &Weights,
        salience: &[f64],
    ) -> Vec<usize> {
        let n = n_words as f64;
        let among: Vec<usize> = among.filter(|&i| self.sentences[i].may_stand).collect();
        // Of each word of theirs: its odds, and how often the chosen sentences say it.
        let mut said: HashMap<u32, (f64, u32)> = HashMap::new();
        for &word in among.iter().flat_map(|&i| &self.sentences[i].words) {
            said.entry(word).or_insert_with(|| {
                let facts = self.facts(word as usize, n);
                (facts.iter().zip(&weights.word).map(|(f, w)| f * w).sum(), 0)
            });
        }
        // What is short is read from its beginning.
        let spread = weights.spread * (self.n_all / N_LONG).min(1.0);
        let mut is_covered = [false; N_PARTS];
        let worth =
            |sentence: usize, said: &mut HashMap<u32, (f64, u32)>, is_covered: &[bool; N_PARTS]| {
                let words = &self.sentences[sentence].words;
                let mut sum = 0.0;
                for word in words {
                    let Some((odds, n)) = said.get_mut(word) else { continue };
                    *n += 1;
                    sum += 1.0 / (1.0 + (-(*odds + weights.word[2] * f64::from(*n).ln())).exp());
                }
                for word in words {
                    said.entry(*word).and_modify(|(_, n)| *n -= 1);
                }
                let pointing =
                    if self.sentences[sentence].points_back { weights.pointing } else { 0.0 };
                let salience = salience.get(sentence).copied().unwrap_or(0.0);
                let spread = if is_covered[self.tenths[sentence]] { 0.0 } else { spread };
                sum / (words.len() as f64).max(N_SHORT) + salience + pointing + spread
            };
        let mut heap: BinaryHeap<Found> = among
            .iter()
            .map(|&sentence| Found { worth: worth(sentence, &mut said, &is_covered), sentence })
            .collect();
        let (mut chosen, mut n_chosen) = (Vec::new(), 0);
        while n_chosen < n_words
            && let Some(best) = heap.pop()
        {
            // Worths only fall, so one that still leads after it was looked at again is the best.
            let again = Found { worth: worth(best.sentence, &mut said, &is_covered), ..best };
            if heap.peek().is_some_and(|next| *next > again) {
                heap.push(again);
                continue;
            }
            let sentence = &self.sentences[best.sentence];
            for word in &sentence.words {
                said.entry(*word).and_modify(|(_, n)| *n += 1);
            }
            is_covered[self.tenths[best.sentence]] = true;
            n_chosen += sentence.n_words;
            chosen.push(best.sentence);
        }
        chosen
    }
}

/// A sentence and what it is worth; of equals the earlier one leads.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Found {
    worth: f64,
    sentence: usize,
}

impl Eq for Found {}

impl Ord for Found {
    fn cmp(&self, other: &Self) -> Ordering {
        self.worth.total_cmp(&other.worth).then(other.sentence.cmp(&self.sentence))
    }
}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Words that open a sentence which leans on the one before.
const POINTING: &str = "it this that these those they he she his her their its but and however thus so also such then \
    therefore hence here there instead similarly moreover furthermore nevertheless yet or";

/// Words that stand for somebody or something named before.
const PRONOUNS: &str = "it its they them their he him his she her this these those such";

/// What a document calls itself.
const ITSELF: &str = "article book chapter document guide kep memo memorandum paper pep proposal report review rfc section study \
    survey thesis volume work";

/// Words that go on counting, where a comma follows.
const COUNTING: &str = "second third fourth fifth finally lastly next";

/// Words that English needs for its grammar.
const STOP_WORDS: &str = "a about above after again against all also am an and any are as at be because been before \
    being below between both but by can could did do does doing down during each few for from \
    further had has have having he her here hers him his how i if in into is it its itself just may \
    me might more most must my no nor not now of off on once only or other our out over own same \
    shall she should so some such than that the their them then there these they this those through \
    to too under until up upon very was we were what when where which while who whom why will with \
    would you your";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn weights() -> Weights {
        let mut word = [0.0; N_FACTS];
        (word[1], word[2], word[3]) = (1.0, -2.0, -1.0);
        Weights { word, last: 0.0, chunk: 0.0, pointing: 0.0, spread: 0.0 }
    }

    fn choose(texts: &[&str], n_words: usize, salience: &[f64]) -> Vec<usize> {
        let mut words = Words::default();
        let sentences: Vec<_> = texts.iter().map(|text| words.sentence(text, false)).collect();
        let mut terms = Terms::new(&words, &sentences);
        terms.read(&vec![[]; sentences.len()]);
        terms.choose(0..sentences.len(), n_words, &weights(), salience)
    }

    const TEXTS: [&str; 4] = [
        "The river flooded the lower town in March.",
        "The river flooded the lower town in March.",
        "Nobody had read the warning of the river gauge.",
        "Lunch was served at noon by two cooks.",
    ];

    #[test]
    fn nothing_is_said_twice_while_there_is_something_else() {
        let chosen = choose(&TEXTS, 16, &[]);
        assert_eq!(chosen.len(), 2);
        assert!(!(chosen.contains(&0) && chosen.contains(&1)), "{chosen:?}");
    }

    #[test]
    fn salience_counts() {
        assert_eq!(choose(&TEXTS, 5, &[0.0, 0.0, 0.0, 5.0]), [3]);
    }

    #[test]
    fn tables_dots_and_headings_are_not_chosen() {
        let mut words = Words::default();
        for (text, is_heading, expected) in [
            ("The gauge was read once a day.", false, true),
            ("The gauge was read once a day", true, false),
            ("Gauge | Level | 3 | 4 | 5", false, false),
            ("Introduction ........................ 12 of 13", false, false),
            ("12 14 16 18 20 22 24", false, false),
            ("Yes, it was.", false, false),
            ("which the town had never read before.", false, false),
            ("2. Read the gauge once a day.", false, false),
            ("The group wanted the following things:", false, false),
            ("\u{201C}The gauge was read once a day.\u{201D}\u{B2}", false, true),
        ] {
            assert_eq!(words.sentence(text, is_heading).may_stand, expected, "{text}");
        }
    }

    #[test]
    fn sentences_that_lean_on_others_are_known() {
        for (text, expected) in [
            ("One of them was looking at the river.", true),
            ("Three of the seven were on it.", true),
            ("By the standards of its time it was well conceived.", true),
            ("Second, Manafort briefed Kilimnik on the campaign.", true),
            ("It was read once a day.", true),
            ("The Kell is the other half of the story.", false),
            ("This report tells how it came to that.", false),
            ("This gauge was read by two clerks of the valley.", true),
            ("Second graders read the gauge once a day.", false),
            ("In 1974 Anna Kell said that she had read the gauge.", false),
            (
                "The Authority bought a gauge in 1974 and had it read once a day by two clerks.",
                false,
            ),
        ] {
            assert_eq!(points_back(text), expected, "{text}");
        }
    }

    #[test]
    fn a_summary_spreads_where_it_costs_little() {
        let texts =
            ["The river flooded the town in March.", "The river rose over the town at night."];
        let texts: Vec<&str> =
            texts.into_iter().chain(vec!["The gauge was read by nobody here."; 18]).collect();
        let chosen = |spread: f64| {
            let mut words = Words::default();
            let sentences: Vec<_> = texts.iter().map(|text| words.sentence(text, false)).collect();
            let mut terms = Terms::new(&words, &sentences);
            terms.read(&vec![[]; sentences.len()]);
            let weights = Weights { spread: spread * N_LONG / 140.0, ..weights() };
            let salience: Vec<f64> = (0..20).map(|i| if i < 2 { 0.5 } else { 0.0 }).collect();
            terms.choose(0..sentences.len(), 14, &weights, &salience)
        };
        assert!(chosen(0.0).iter().all(|&i| i < 2));
        assert!(chosen(2.0)[1] > 1);
    }

    proptest! {
        #[test]
        fn the_length_is_kept(
            texts in prop::collection::vec("A ([a-f]{1,4} ){5,9}end\\.", 1..20), n in 1_usize..80,
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let chosen = choose(&texts, n, &[]);
            let n_words = |i: &usize| texts[*i].split_whitespace().count();
            let all: usize = chosen.iter().map(n_words).sum();
            let without_last: usize = chosen.iter().rev().skip(1).map(n_words).sum();
            prop_assert!(without_last < n);
            prop_assert!(all >= n || chosen.len() == texts.len());
        }
    }
}
