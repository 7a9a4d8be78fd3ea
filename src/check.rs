//! What a statement says that its evidence does not: numbers, dates, names, a "not".
//!
//! Words are compared, not meanings, and in doubt a statement is left alone: a fault is worth a
//! look, and none is no proof. Number words, months and negations are those of English.

mod number;
mod orders;
mod words;

pub use orders::is_order;
use std::collections::HashSet;
use std::ops::Range;

use number::{Number, is_in_slashes, kind, month, month_at, near, number_at, scale};
use words::{
    AKIN, CLAUSES, COMPARATIVES, DERIVED, GENERIC, GERMAN, HEDGES, NEGATIONS, OMISSIONS, POSITIVES,
    REPLACED, ROMAN, STOPS, TIMES, TITLES, TWO, WEEKDAYS, Word, among, key, place, split, words_of,
};

/// What is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A count, an amount, a share or a rank.
    Number,
    /// A year, decade, century, month, weekday or day of a month.
    Date,
    /// Whom or what one writes with a capital.
    Name,
    /// A "not" too many or too few.
    Negation,
}

/// Something in a statement that the evidence lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is at fault.
    pub kind: Kind,
    /// The words of the statement, as written; "not" where it dropped one.
    pub text: String,
}

/// A negation reaches over so many content words of its clause.
const REACH: usize = 4;

/// What the statement has and neither the evidence nor `known` does: in the order of its words, but
/// for the negations.
///
/// - `evidence`: the quoted sentences
/// - `known`: words that need no evidence, as of the document's title
///
/// ```
/// # use longsum::check::{Kind, faults};
/// let faults = faults("Twelve men left in 1912.", &["The 12 men left in 1909."], "");
/// assert_eq!((faults[0].kind, faults[0].text.as_str()), (Kind::Date, "1912"));
/// ```
#[must_use]
pub fn faults(statement: &str, evidence: &[&str], known: &str) -> Vec<Fault> {
    let words = words_of(statement);
    let sentences: Vec<_> = evidence.iter().map(|sentence| words_of(sentence)).collect();
    let mut facts = Facts::default();
    for sentence in sentences.iter().chain([&words_of(known)]) {
        facts.learn(sentence);
    }

    let lacking = facts.lacking(&words).into_iter();
    let lacking = lacking
        .map(|(kind, at)| (kind, &statement[words[at.start].start..words[at.end - 1].end()]));
    let theirs: Vec<_> = sentences.iter().flat_map(|words| split(words)).collect();
    let negations = split(&words).filter_map(|own| Some((Kind::Negation, negation(own, &theirs)?)));
    lacking.chain(negations).map(|(kind, text)| Fault { kind, text: text.to_owned() }).collect()
}

/// What the evidence has.
#[derive(Default)]
struct Facts {
    /// Its words, and neighbours written as one.
    keys: HashSet<String>,
    values: Vec<f64>,
    /// First and last years.
    years: Vec<(f64, f64)>,
    months: Vec<f64>,
    /// Of the words with a capital.
    initials: Vec<String>,
}

impl Facts {
    fn learn(&mut self, words: &[Word]) {
        let mut end = 0;
        for (i, word) in words.iter().enumerate() {
            self.keys.insert(word.key.clone());
            self.keys.extend(i.checked_sub(1).map(|at| words[at].key.clone() + &word.key));
            self.months.extend(month(&word.key).filter(|_| word.is_capital()));
            self.values.extend(place(ROMAN, &word.key));
            self.values.extend(among(TWO, &word.key).then_some(2.0));
            self.values.extend(word.key.starts_with("halv").then_some(0.5));
            if end <= i
                && let Some(number) = number_at(words, i)
            {
                end = number.at.end;
                self.learn_number(number, words);
            }
        }
        let names = words.iter().filter(|w| w.is_capital() && !among(STOPS, &w.key));
        self.initials.push(names.filter_map(|w| w.key.chars().next()).collect());
    }

    fn learn_number(&mut self, number: Number, words: &[Word]) {
        let n = number.readings[0];
        self.months.extend(is_in_slashes(words, &number.at).then_some(n));
        if matches!(words[number.at.start].gap, "-" | "\u{2013}") && n < 100.0 {
            // "1915-18"
            self.values.extend(self.years.last().map(|year| year.0 - year.0 % 100.0 + n));
        }
        self.years.extend(number.years);
        // "The 1990s" do not tell a year.
        if number.years.is_none_or(|(first, last)| near(first, &[last], 0.0)) {
            self.values.extend(number.readings);
        }
    }

    /// What of the words there is not, in their order.
    fn lacking(&self, words: &[Word]) -> Vec<(Kind, Range<usize>)> {
        let has_names = self.has_telling_capitals(words);
        let mut found: Vec<(Kind, Range<usize>)> = Vec::new();
        let mut i = 0;
        while let Some(word) = words.get(i) {
            let mut at = i..i + 1;
            let day = word.key.trim_end_matches('s');
            let fault = if let Some(number) = number_at(words, i) {
                // "B-52"
                let is_name = word.gap == "-" && words[..i].last().is_some_and(Word::is_capital);
                at = i - usize::from(is_name)..number.at.end;
                let kind = if is_name { Kind::Name } else { kind(&number, words) };
                (!self.has_number(&number, words)).then_some(kind)
            } else if let Some(month) = month_at(words, i) {
                (!near(month, &self.months, 0.0)).then_some(Kind::Date)
            } else if word.is_capital() && among(WEEKDAYS, day) {
                (!self.has_form(day)).then_some(Kind::Date)
            } else {
                let is_joined = self.keys.contains(&(word.key.clone() + key(words, i + 1)));
                let is_lacking = is_name(word) && !is_joined && !self.has_name(word);
                (has_names && is_lacking).then_some(Kind::Name)
            };
            i = at.end;
            match (fault, found.last_mut()) {
                (Some(Kind::Name), Some((Kind::Name, name)))
                    if name.end >= at.start && word.follows() =>
                {
                    name.end = i;
                }
                _ => found.extend(fault.map(|kind| (kind, at))),
            }
        }
        found
    }

    /// Whether capitals tell names here: not in headings, nor in German.
    fn has_telling_capitals(&self, words: &[Word]) -> bool {
        let inner = words.iter().filter(|w| !w.opens && !w.is_figure());
        let n_capitals = inner.clone().filter(|w| w.is_capital()).count();
        let n_german = GERMAN.split_whitespace().filter(|&w| self.keys.contains(w)).count();
        n_capitals * 2 <= inner.count() && n_german < 2
    }

    fn has_number(&self, number: &Number, words: &[Word]) -> bool {
        let Number { at, readings, years } = number;
        let n = readings[0];
        let before = &words[at.start.saturating_sub(3)..at.start];
        let after = &words[at.end..words.len().min(at.end + 3)];
        let slack = match scale(&words[at.end - 1].key) {
            _ if years.is_some() => 0.0,
            _ if before.iter().any(|w| among(HEDGES, &w.key)) => 0.1,
            None if n >= 1.0 && readings.len() < 2 => 0.0,
            _ => 0.02,
        };
        let is_within = |(first, last): (f64, f64)| {
            self.years.iter().any(|years| first <= years.0 && years.1 <= last + 1.0)
        };
        // "14" is there in "14.3".
        let is_rounded = |exact: &f64| exact % 1.0 > 0.0 && n >= 10.0 && (exact - n).abs() < 0.6;
        // "Three days sooner" is the difference of two and five.
        let is_compared = after.iter().any(|w| among(COMPARATIVES, &w.key));
        let differ = || self.values.iter().any(|other| near(n + other, &self.values, 0.0));
        near(n, &[1.0], 0.0) && words[at.start].key != "1"
            || years.is_some_and(is_within)
            || readings.iter().any(|&n| near(n, &self.values, slack))
            || self.values.iter().any(is_rounded)
            || is_compared && differ()
            || is_in_slashes(words, at) && near(n, &self.months, 0.0)
            || after.first().is_some_and(|unit| self.has_time(n, &unit.key))
    }

    /// Whether so much time is there in another unit: "twelve months" for "a year".
    fn has_time(&self, n: f64, unit: &str) -> bool {
        let unit = unit.trim_end_matches('s');
        TIMES.iter().any(|&(small, n_small, big)| {
            let is_one = near(n, &[n_small], 0.0);
            unit == small && self.has_form(big) && (is_one || near(n / n_small, &self.values, 0.0))
                || unit == big && self.has_form(small) && near(n * n_small, &self.values, 0.0)
        })
    }

    /// Whether there is a word, in the singular or the plural.
    fn has_form(&self, word: &str) -> bool {
        self.keys.iter().any(|key| key.trim_end_matches('s') == word)
    }

    fn has_name(&self, word: &Word) -> bool {
        let is_acronym = word.text.chars().skip(1).any(char::is_uppercase);
        self.keys.iter().any(|key| is_akin(key, &word.key))
            || is_acronym && self.initials.iter().any(|initials| initials.contains(&word.key))
            || place(ROMAN, &word.key).is_some_and(|n| near(n, &self.values, 0.0))
    }
}

fn is_name(word: &Word) -> bool {
    let mut rest = word.text.chars().skip(1);
    // "NASA", "iPhone", "F16"
    let is_marked = rest.clone().any(|c| c.is_uppercase() || c.is_numeric());
    let is_written_so = is_marked || word.is_capital() && !word.opens && rest.next().is_some();
    let others = [GENERIC, TITLES, STOPS, CLAUSES, NEGATIONS, TWO];
    is_written_so && !others.iter().any(|list| among(list, &word.key))
}

/// Whether two words are one name, or a name and its adjective.
fn is_akin(a: &str, b: &str) -> bool {
    let (n_same, x, y) = fork(a, b);
    let is_derived = |x: &str, y: &str| {
        among(DERIVED, x) && (y.is_empty() || among(REPLACED, y) || among(DERIVED, y))
    };
    a.trim_end_matches('s') == b.trim_end_matches('s')
        || n_same > 3 && (is_derived(x, y) || is_derived(y, x))
        || [(a, b), (b, a)].iter().any(|(a, b)| among(AKIN, &format!("{a}/{b}")))
}

/// How many bytes two words share at their beginning, and the rest of each.
fn fork<'a>(a: &'a str, b: &'a str) -> (usize, &'a str, &'a str) {
    let same = a.chars().zip(b.chars()).take_while(|(x, y)| x == y);
    let n = same.map(|(x, _)| x.len_utf8()).sum();
    (n, &a[n..], &b[n..])
}

/// Whether two words are forms of one, near enough.
fn is_like(a: &Word, b: &Word) -> bool {
    let (n_same, x, y) = fork(&a.key, &b.key);
    let (short, long) = (x.len().min(y.len()), x.len().max(y.len()));
    long == 0 || n_same > 4 || n_same > 2 && short < 2 && long < 4
}

/// The negation that only one of a sentence and its nearest counterpart has.
fn negation<'a>(own: &[Word<'a>], sentences: &[&[Word]]) -> Option<&'a str> {
    let contents = own.iter().filter(|w| w.is_content());
    let is_in = |w: &Word, theirs: &[Word]| theirs.iter().any(|t| is_like(w, t));
    let n_shared = |theirs: &[Word]| contents.clone().filter(|w| is_in(w, theirs)).count();
    let nearest = sentences.iter().max_by_key(|theirs| n_shared(theirs))?;
    if n_shared(nearest) * 2 < contents.clone().count() {
        return None; // they say too different things
    }
    let added = contradicted(own, nearest).map(|i| own[i].text);
    added.or_else(|| contradicted(nearest, own).map(|_| "not"))
}

/// The first negation in a sentence that the other does not have on the same word.
fn contradicted(one: &[Word], other: &[Word]) -> Option<usize> {
    let (here, there) = (are_negated(one), are_negated(other));
    let has = |words: &[Word], negated: &[bool], word, sign: bool| {
        words.iter().zip(negated).any(|(w, &negated)| negated == sign && is_like(w, word))
    };
    let is_shared = |word| [true, false].iter().any(|&sign| has(other, &there, word, sign));
    let is_agreed = |word| {
        [true, false]
            .iter()
            .any(|&sign| has(one, &here, word, sign) && has(other, &there, word, sign))
    };
    // The nearest word is the verb, as a rule.
    let nearest = |i| scope(one, i).into_iter().map(|at| &one[at]).find(|word| is_shared(word));
    (0..one.len()).find(|&i| nearest(i).is_some_and(|word| !is_agreed(word)))
}

/// Which words an odd number of negations reaches: "did not fail to come" is none.
fn are_negated(words: &[Word]) -> Vec<bool> {
    let mut negated = vec![false; words.len()];
    for at in (0..words.len()).flat_map(|i| scope(words, i)) {
        negated[at] = !negated[at];
    }
    negated
}

/// The content words that the word negates: the next few of its clause.
fn scope(words: &[Word], i: usize) -> Vec<usize> {
    let is_inside = |&at: &usize| {
        !words[at].gap.contains([',', ';', ':', '(', ')', '—', '–'])
            && !among(CLAUSES, &words[at].key)
    };
    let clause = (i + 1..words.len()).take_while(is_inside);
    // "Not until" says that it happened then.
    let is_late = clause.clone().any(|at| matches!(words[at].key.as_str(), "until" | "till"));
    if is_late || !is_negation(words, i) {
        return Vec::new();
    }
    let is_content = |&at: &usize| words[at].is_content() && !is_negation(words, at);
    clause.filter(is_content).take(REACH).collect()
}

fn is_negation(words: &[Word], i: usize) -> bool {
    let word = words[i].key.as_str();
    let next = key(words, i + 1);
    let is_numero = word == "no" && words.get(i + 1).is_some_and(|w| w.gap.starts_with('.'));
    let is_plain = word.ends_with("n't") || among(NEGATIONS, word) && !is_numero;
    is_plain && !among(POSITIVES, next)
        || among(OMISSIONS, word) && next == "to"
        || matches!((word, next), ("rather", "than") | ("instead", "of"))
}

#[cfg(test)]
mod tests;
