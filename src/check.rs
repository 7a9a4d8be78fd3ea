//! What a statement says that its evidence does not: numbers, dates, names, a "not".
//!
//! Words are compared, not meanings, and in doubt a statement is left alone: a fault is worth a
//! look, and none is no proof. Number words, months and negations are those of English.

use std::collections::HashSet;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

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
const UNITS: &str = "zero one two three four five six seven eight nine ten eleven twelve thirteen \
    fourteen fifteen sixteen seventeen eighteen nineteen";
const TENS: &str = "- - twenty thirty forty fifty sixty seventy eighty ninety";
const RANKS: &str = "zeroth first second third fourth fifth sixth seventh eighth ninth tenth \
    eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth";
const ROMAN: &str = "- - ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx";
const TWO: &str =
    "both pair couple twice double doubled doubling another again other either neither";
/// So many of the first are one of the third.
const TIMES: [(&str, f64, &str); 5] = [
    ("hour", 24.0, "day"),
    ("day", 7.0, "week"),
    ("month", 12.0, "year"),
    ("year", 10.0, "decade"),
    ("year", 100.0, "century"),
];
const HEDGES: &str = "about around roughly nearly almost approximately some over under least most";
const COMPARATIVES: &str =
    "more less fewer later earlier sooner longer shorter older younger higher lower";
const MONTHS: &str = "january february march april may june july august september october \
    november december";
const WEEKDAYS: &str = "monday tuesday wednesday thursday friday saturday sunday";
/// A dot after these ends no sentence.
const TITLES: &str = "mr mrs ms dr prof st rev gen col capt sgt lt jr sr no";
/// Written with a capital without being a name.
const GENERIC: &str = "i'm i've i'd i'll miss sir lord lady president minister prime king queen \
    prince princess duke duchess count baron pope bishop judge justice senator governor mayor \
    secretary chairman director professor doctor captain general colonel major officer chief god \
    internet earth north south east west northern southern eastern western central act article \
    chapter section table figure part appendix council court government state states parliament \
    congress ministry department committee commission board university college school church \
    company bank party union city county river lake mount street road";
/// Endings of words made from a name, and the endings that these replace.
const DERIVED: &str = "s es n an ans ian ians ean eans ese ish i is ic ist ists ism ite ites er ers \
    al vian egian uese lese";
const REPLACED: &str = "y e a o ia al ay ey us land";
/// Names whose adjectives begin differently.
const AKIN: &str = "france/french spain/spanish poland/polish denmark/danish ireland/irish \
    wales/welsh netherlands/dutch switzerland/swiss finland/finnish greece/greek rome/roman \
    scotland/scottish states/american us/american uk/british uk/britain";
const NEGATIONS: &str = "not never no none nobody nothing nowhere neither nor without cannot hardly \
    scarcely barely unable impossible refuse refuses refused refusing deny denies denied denying \
    lack lacks lacked lacking lose loses lost losing";
/// Before "to" only.
const OMISSIONS: &str =
    "fail fails failed failing decline declines declined declining neglected neglecting";
/// After "not" or "no" these leave no negation: "not only", "no fewer than".
const POSITIVES: &str = "only just merely simply least fewer less more doubt sooner later matter";
const CLAUSES: &str = "and but although though because while whereas which who whom since when \
    unless after before as if yet so nor";
const STOPS: &str = "a an the this that these those it its he him his she her hers they them their \
    we us our you your i me my one of in on at by for from to into onto with within over under \
    about between through during against up down out off than then there here is are was were be \
    been being am has have had having do does did done doing will would shall should can could may \
    might must also too very more most much many some any all each every such own same other until \
    till even ever still only just";
/// Of German, which gives every noun a capital.
const GERMAN: &str = "und nicht wird wurde wurden werden ist sind eine einen einer auf für sich \
    auch dass das ein dem zur zum durch bei nach seit als haben";

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

struct Word<'a> {
    text: &'a str,
    /// In lower case, without a possessive.
    key: String,
    start: usize,
    /// What stands between the word before and this one.
    gap: &'a str,
    /// Whether it begins a sentence or a quotation.
    opens: bool,
}

impl Word<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }

    fn is_capital(&self) -> bool {
        self.text.starts_with(char::is_uppercase)
    }

    fn is_figure(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_digit())
    }

    /// Whether only a space or a hyphen stands before it.
    fn follows(&self) -> bool {
        self.gap.chars().all(|c| c.is_whitespace() || matches!(c, '-' | '\u{2010}' | '\u{2011}'))
    }

    fn is_content(&self) -> bool {
        (self.text.chars().count() > 2 || self.is_figure()) && !among(STOPS, &self.key)
    }
}

fn words_of(text: &str) -> Vec<Word<'_>> {
    let mut words: Vec<Word> = Vec::new();
    for (start, word) in text.unicode_word_indices() {
        let before = words.last();
        let gap = &text[before.map_or(0, Word::end)..start];
        let is_abbreviation = before.is_some_and(|w| {
            w.text.contains('.') || among(TITLES, &w.key) || w.text.len() == 1 && w.is_capital()
        });
        let opens = before.is_none()
            || gap.contains(['!', '?', ':', '"', '\u{201c}', '\u{201e}', '\u{ab}', '\u{2018}'])
            || gap.contains('.') && !is_abbreviation;
        let lower = word.to_lowercase().replace('\u{2019}', "'");
        let key = lower.strip_suffix("'s").unwrap_or(&lower);
        let is_figure = key.starts_with(|c: char| c.is_ascii_digit());
        // "U.S." is "US".
        let key = if is_figure { key.to_owned() } else { key.replace('.', "") };
        words.push(Word { text: word, key, start, gap, opens });
    }
    words
}

/// Into sentences.
fn split<'a, 'b>(words: &'a [Word<'b>]) -> impl Iterator<Item = &'a [Word<'b>]> {
    words.chunk_by(|_, next| !next.opens || !next.gap.contains(['.', '!', '?']))
}

/// The key of a word that follows the one before it, or nothing.
fn key<'a>(words: &'a [Word], i: usize) -> &'a str {
    words.get(i).filter(|word| word.follows()).map_or("", |word| &word.key)
}

fn among(list: &str, word: &str) -> bool {
    place(list, word).is_some()
}

/// The rank of a word in a list.
fn place(list: &str, word: &str) -> Option<f64> {
    let at = list.split_ascii_whitespace().position(|other| other == word)?;
    u32::try_from(at).ok().map(f64::from)
}

/// Whether a list has the number, give or take a share of it.
fn near(n: f64, list: &[f64], slack: f64) -> bool {
    list.iter().any(|other| (n - other).abs() <= n * slack + 1e-9)
}

struct Number {
    at: Range<usize>,
    /// What it may mean: "4m" is 4 or 4,000,000, "12%" is 12 or 0.12.
    readings: Vec<f64>,
    /// The first and last of the years that it means.
    years: Option<(f64, f64)>,
}

/// The run that begins here: "two hundred and six", "two-thirds", "1.2 million", "26 000".
fn number_at(words: &[Word], i: usize) -> Option<Number> {
    let word = |at| if at == i { words[i].key.as_str() } else { key(words, at) };
    let is_figure = words[i].is_figure();
    let (n, mut end) = cardinal(words, i);
    let is_share = word(i) == "half" || i > 0 && words[i - 1].key == "a";
    // In "ten seconds" they are none.
    let part = part(word(end)).filter(|_| end == i || !word(end).starts_with("second"));
    let mut readings = match part {
        None if end == i => return None,
        None => vec![n],
        Some(rank) if end > i && n > 19.0 && rank < 10.0 => vec![n + rank],
        Some(parts) if end > i => vec![n / parts],
        Some(parts) if is_share => vec![1.0 / parts, parts],
        Some(_) if word(i).starts_with("quarter") => return None,
        Some(rank) => vec![rank],
    };
    end += usize::from(part.is_some());
    let n = readings[0];
    let suffix = word(i).trim_start_matches(|c: char| !c.is_alphabetic());
    readings.extend(scale(suffix).filter(|_| is_figure).map(|scale| n * scale));
    let is_percent = words.get(end).is_some_and(|w| w.gap.starts_with('%'));
    readings.extend((is_percent || matches!(word(end), "percent" | "per")).then_some(n / 100.0));
    let is_one_in = i > 1 && words[i - 1].key == "in" && words[i - 2].key == "one";
    readings.extend(is_one_in.then_some(1.0 / n));
    let years = match suffix {
        _ if word(end) == "century" => Some((n * 100.0 - 100.0, n * 100.0)),
        _ if !is_figure || end > i + 1 => None,
        "" | "s" if words[i].text.ends_with('s') && n % 10.0 < 1.0 => {
            let first = if n < 100.0 { n + 1900.0 } else { n };
            Some((first, first + if first % 100.0 < 1.0 { 99.0 } else { 9.0 }))
        }
        "" if word(i).len() == 4 && (1000.0..=2100.0).contains(&n) => Some((n, n)),
        _ => None,
    };
    end += usize::from(word(end) == "century");
    Some(Number { at: i..end, readings, years })
}

/// The value of the figures and number words from here on, and where they end.
fn cardinal(words: &[Word], i: usize) -> (f64, usize) {
    let word = |at| if at == i { words[i].key.as_str() } else { key(words, at) };
    let (mut total, mut group, mut end) = (0.0, 0.0, i);
    if word(i) == "half" && word(i + 1) == "a" && scale(word(i + 2)).is_some() {
        (group, end) = (0.5, i + 2);
    }
    loop {
        let is_joined = || words[i].is_figure() && word(i).len() < 4 && word(end).len() == 3;
        if let Some(n) = figure(word(end)).filter(|_| end == i || is_joined()) {
            group = group * 1000.0 + n;
        } else if let Some(n) = small(word(end)) {
            group += n;
        } else if word(end) == "hundred" {
            group = f64::max(group, 1.0) * 100.0;
        } else if let Some(scale) = scale(word(end)).filter(|_| word(end).len() > 1) {
            total += if end == i { scale } else { group * scale };
            group = 0.0;
        } else if end > i && [0, 1, 2].map(|n| word(end + n)) == ["and", "a", "half"] {
            group += 0.5;
            end += 2;
        } else if end == i
            || word(end) != "and"
            || group % 100.0 > 0.0
            || small(word(end + 1)).is_none()
            || scale(word(end + 2)).is_some()
        {
            return (total + group, end); // "two hundred and six" goes on, "two and three" does not
        }
        end += 1;
    }
}

/// The value of a word's digits: "26,000" and "26.000" are thousands, "3.5" and "3,5" are not.
fn figure(key: &str) -> Option<f64> {
    let digits = key.trim_end_matches(char::is_alphabetic);
    let (head, last) = digits.rsplit_once(['.', ',', '\'']).unwrap_or(("", digits));
    let point = if head.is_empty() || last.len() == 3 { "" } else { "." };
    format!("{}{point}{last}", head.replace(['.', ',', '\''], "")).parse().ok()
}

fn small(key: &str) -> Option<f64> {
    place(UNITS, key).or_else(|| place(TENS, key).map(|n| n * 10.0))
}

/// The rank that a word says, or into how many parts it divides.
fn part(key: &str) -> Option<f64> {
    match key.trim_end_matches('s') {
        "half" | "halve" => Some(2.0),
        "quarter" => Some(4.0),
        key => place(RANKS, key).or_else(|| small(&format!("{}y", key.strip_suffix("ieth")?))),
    }
}

fn scale(key: &str) -> Option<f64> {
    match key {
        "dozen" => Some(12.0),
        "thousand" | "k" => Some(1e3),
        "million" | "mn" | "m" => Some(1e6),
        "billion" | "bn" => Some(1e9),
        "trillion" => Some(1e12),
        _ => None,
    }
}

fn kind(number: &Number, words: &[Word]) -> Kind {
    let Range { start, end } = number.at;
    let is_month = |at: usize| month_at(words, at).is_some();
    let is_beside = start > 0 && is_month(start - 1) || is_month(end);
    let is_day = is_beside || key(words, end) == "of" && is_month(end + 1);
    let is_in_date = number.readings[0] < 32.0 && (is_day || is_in_slashes(words, &number.at));
    if number.years.is_some() || is_in_date { Kind::Date } else { Kind::Number }
}

/// Whether it is a part of "3/6/1979".
fn is_in_slashes(words: &[Word], at: &Range<usize>) -> bool {
    [at.start, at.end].iter().any(|&at| words.get(at).is_some_and(|w| w.gap == "/"))
}

/// The number of a month, whole or abbreviated.
fn month(key: &str) -> Option<f64> {
    let is_short = key.len() == 3 || key == "sept";
    let mut months = MONTHS.split_ascii_whitespace();
    let month = months.find(|month| *month == key || is_short && month.starts_with(key))?;
    place(MONTHS, month).map(|n| n + 1.0)
}

/// The number of the month that the word surely means: not "Theresa May".
fn month_at(words: &[Word], i: usize) -> Option<f64> {
    let word = words.get(i).filter(|word| word.is_capital())?;
    let mut beside = words[i.saturating_sub(1)..words.len().min(i + 2)].iter();
    let is_in_name = i > 0 && word.follows() && words[i - 1].is_capital() && !words[i - 1].opens;
    let is_sure = among(MONTHS, &word.key) && !word.opens && !is_in_name;
    month(&word.key).filter(|_| is_sure || beside.any(Word::is_figure))
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
mod tests {
    use super::*;

    /// Statement | evidence | what is at fault.
    const CASES: &str = "
        12 men left with two dogs. | Twelve men left with 2 dogs. |
        The mill made 1,200,000 bricks and 26 000 tiles. | It made 1.2 million bricks and 26,000 tiles. |
        Two hundred and six people came on the 21st day. | On the twenty-first day, 206 came. |
        Half a million people paid $4m. | They were 500,000 and paid 4 million dollars. |
        Two-thirds agreed and a quarter did not. | 66 percent agreed, 25% did not. |
        A third of the cattle died. | A quarter of the cattle died. | Number third
        One in nine fell ill. | About 11 percent fell ill. |
        The trip took two and a half hours. | The trip took 2.5 hours. |
        Nearly 500 came. | There were 482 guests. |
        About 700 came. | There were 482 guests. | Number 700
        It waited twelve months and ten years. | It waited a year, and then a decade. |
        He came three days sooner. | He came in two days and she in five. |
        The road is 50km long. | The road is 50 miles, or 80 kilometres, long. |
        It cost 3.5 million. | It cost 35 million. | Number 3.5 million
        The first of them said once that one should wait. | They said that people should wait. |
        Both left, and a third one stayed. | Two left and three stayed. |
        Ten seconds were enough. | It took 10 seconds. |
        It opened on 3 June 1979. | It opened on June 3rd, 1979. |
        It opened on 3 June 1979. | It opened on 4 July 1978. | Date 3, Date June, Date 1979
        It opened on 3 June 1979. | It opened on 03/06/1979. |
        It opened on 03/06/1979. | It opened on 3 June 1979. |
        It opened on 03/07/1979. | It opened on 3 June 1979. | Date 07
        They left on Sept. 4 and met every Monday. | On September 4 they left; Mondays they met. |
        They left on a Monday. | They left on a Tuesday. | Date Monday
        In March they asked Theresa May. | They asked Theresa May in April. | Date March
        He may march in May. | He might walk in May. |
        Prices fell in the 1990s. | Prices fell in 1994. |
        Prices fell in the 1990s and in 1985. | Prices fell from the 1980s on. | Date 1990s, Date 1985
        It dates from the 19th century. | It was built in 1842. |
        It dates from the 18th century. | It was built in 1842. | Date 18th century
        It lasted until 1918. | It lasted from 1915-18. |
        The flight of Ines Calloway was long. | The flight of Petra Lindqvar was long. | Name Ines Calloway
        Mr. Oduya's brother met the Italians there. | Oduya met people from Italy. |
        The hill at Elm-wood is Swiss. | Elmwood lies in Switzerland. |
        It was built by NASA for the B-52. | The National Aeronautics and Space Administration built it. | Name B-52
        It was found by President Keswick. | Bruno Keswick found it, said the president. |
        Then they fought in World War II. | They fought in the Second World War. |
        The Mayor Opened The Old Bridge. | A bridge was opened. |
        Das Haus wurde mit dem Geld der Bank und der Stadt gekauft. | Das Geld kam und das Haus wurde gekauft. |
        The bank did not close its doors. | The bank closed its doors in May. | Negation not
        The bank closed its doors. | The bank never closed its doors. | Negation not
        The seeds failed to sprout. | The seeds did not sprout. |
        The seeds have not failed to sprout. | The seeds failed to sprout. | Negation not
        The filter removes lead. | The filter removes lead but not salt. |
        The law was abolished in 1790. | The law was not abolished until 1790. |
        The law wasn't only unfair. | The law was unfair. |
        No claim requires a photograph. | Every claim requires a photograph. | Negation No
        See No. 7 of the series of claims. | See number 7 of the series of claims. |
        Nobody wanted cheaper bread. | Soldiers guarded the engine house. |
    ";

    #[test]
    fn tells_what_the_evidence_lacks() {
        for case in CASES.trim().lines() {
            let [statement, evidence, lacking] =
                case.split('|').map(str::trim).collect::<Vec<_>>()[..]
            else {
                panic!("{case}");
            };
            let found = faults(statement, &[evidence], "");
            let found: Vec<_> = found.iter().map(|f| format!("{:?} {}", f.kind, f.text)).collect();
            assert_eq!(found.join(", "), lacking, "{case}");
            assert_eq!(faults(statement, &[statement], ""), []);
        }
    }

    #[test]
    fn all_evidence_and_the_title_count() {
        let evidence = ["The dam at Pellow broke.", "It was built in 1912."];
        assert_eq!(faults("The dam at Pellow on the Tamsin is of 1912.", &evidence, "Tamsin"), []);
        assert_eq!(faults("", &[], ""), []);
    }
}
