//! Numbers and dates as written in figures and words.

use std::ops::Range;

use super::Kind;
use super::words::{MONTHS, RANKS, TENS, UNITS, Word, among, key, place};

/// Whether a list has the number, give or take a share of it.
pub(super) fn near(n: f64, list: &[f64], slack: f64) -> bool {
    list.iter().any(|other| (n - other).abs() <= n * slack + 1e-9)
}

pub(super) struct Number {
    pub(super) at: Range<usize>,
    /// What it may mean: "4m" is 4 or 4,000,000, "12%" is 12 or 0.12.
    pub(super) readings: Vec<f64>,
    /// The first and last of the years that it means.
    pub(super) years: Option<(f64, f64)>,
}

/// The run that begins here: "two hundred and six", "two-thirds", "1.2 million", "26 000".
pub(super) fn number_at(words: &[Word], i: usize) -> Option<Number> {
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

pub(super) fn scale(key: &str) -> Option<f64> {
    match key {
        "dozen" => Some(12.0),
        "thousand" | "k" => Some(1e3),
        "million" | "mn" | "m" => Some(1e6),
        "billion" | "bn" => Some(1e9),
        "trillion" => Some(1e12),
        _ => None,
    }
}

pub(super) fn kind(number: &Number, words: &[Word]) -> Kind {
    let Range { start, end } = number.at;
    let is_month = |at: usize| month_at(words, at).is_some();
    let is_beside = start > 0 && is_month(start - 1) || is_month(end);
    let is_day = is_beside || key(words, end) == "of" && is_month(end + 1);
    let is_in_date = number.readings[0] < 32.0 && (is_day || is_in_slashes(words, &number.at));
    if number.years.is_some() || is_in_date { Kind::Date } else { Kind::Number }
}

/// Whether it is a part of "3/6/1979".
pub(super) fn is_in_slashes(words: &[Word], at: &Range<usize>) -> bool {
    [at.start, at.end].iter().any(|&at| words.get(at).is_some_and(|w| w.gap == "/"))
}

/// The number of a month, whole or abbreviated.
pub(super) fn month(key: &str) -> Option<f64> {
    let is_short = key.len() == 3 || key == "sept";
    let mut months = MONTHS.split_ascii_whitespace();
    let month = months.find(|month| *month == key || is_short && month.starts_with(key))?;
    place(MONTHS, month).map(|n| n + 1.0)
}

/// The number of the month that the word surely means: not "Theresa May".
pub(super) fn month_at(words: &[Word], i: usize) -> Option<f64> {
    let word = words.get(i).filter(|word| word.is_capital())?;
    let mut beside = words[i.saturating_sub(1)..words.len().min(i + 2)].iter();
    let is_in_name = i > 0 && word.follows() && words[i - 1].is_capital() && !words[i - 1].opens;
    let is_sure = among(MONTHS, &word.key) && !word.opens && !is_in_name;
    month(&word.key).filter(|_| is_sure || beside.any(Word::is_figure))
}
