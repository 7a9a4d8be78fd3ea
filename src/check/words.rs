//! The words of a text, and the lists to compare them with.

use unicode_segmentation::UnicodeSegmentation;

pub(super) const UNITS: &str = "zero one two three four five six seven eight nine ten eleven \
    twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen";
pub(super) const TENS: &str = "- - twenty thirty forty fifty sixty seventy eighty ninety";
pub(super) const RANKS: &str = "zeroth first second third fourth fifth sixth seventh eighth ninth \
    tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth \
    nineteenth";
pub(super) const ROMAN: &str =
    "- - ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx";
pub(super) const TWO: &str =
    "both pair couple twice double doubled doubling another again other either neither";
/// So many of the first are one of the third.
pub(super) const TIMES: [(&str, f64, &str); 5] = [
    ("hour", 24.0, "day"),
    ("day", 7.0, "week"),
    ("month", 12.0, "year"),
    ("year", 10.0, "decade"),
    ("year", 100.0, "century"),
];
pub(super) const HEDGES: &str =
    "about around roughly nearly almost approximately some over under least most";
pub(super) const COMPARATIVES: &str =
    "more less fewer later earlier sooner longer shorter older younger higher lower";
pub(super) const MONTHS: &str = "january february march april may june july august september \
    october november december";
pub(super) const WEEKDAYS: &str = "monday tuesday wednesday thursday friday saturday sunday";
/// A dot after these ends no sentence.
pub(super) const TITLES: &str = "mr mrs ms dr prof st rev gen col capt sgt lt jr sr no";
/// Written with a capital without being a name.
pub(super) const GENERIC: &str = "i'm i've i'd i'll miss sir lord lady president minister prime \
    king queen prince princess duke duchess count baron pope bishop judge justice senator governor \
    mayor secretary chairman director professor doctor captain general colonel major officer chief \
    god internet earth north south east west northern southern eastern western central act article \
    chapter section table figure part appendix council court government state states parliament \
    congress ministry department committee commission board university college school church \
    company bank party union city county river lake mount street road";
/// Endings of words made from a name, and the endings that these replace.
pub(super) const DERIVED: &str = "s es n an ans ian ians ean eans ese ish i is ic ist ists ism ite \
    ites er ers al vian egian uese lese";
pub(super) const REPLACED: &str = "y e a o ia al ay ey us land";
/// Names whose adjectives begin differently.
pub(super) const AKIN: &str = "france/french spain/spanish poland/polish denmark/danish \
    ireland/irish wales/welsh netherlands/dutch switzerland/swiss finland/finnish greece/greek \
    rome/roman scotland/scottish states/american us/american uk/british uk/britain";
pub(super) const NEGATIONS: &str = "not never no none nobody nothing nowhere neither nor without \
    cannot hardly scarcely barely unable impossible refuse refuses refused refusing deny denies \
    denied denying lack lacks lacked lacking lose loses lost losing";
/// Before "to" only.
pub(super) const OMISSIONS: &str =
    "fail fails failed failing decline declines declined declining neglected neglecting";
/// After "not" or "no" these leave no negation: "not only", "no fewer than".
pub(super) const POSITIVES: &str =
    "only just merely simply least fewer less more doubt sooner later matter";
pub(super) const CLAUSES: &str = "and but although though because while whereas which who whom \
    since when unless after before as if yet so nor";
pub(super) const STOPS: &str = "a an the this that these those it its he him his she her hers they \
    them their we us our you your i me my one of in on at by for from to into onto with within \
    over under about between through during against up down out off than then there here is are \
    was were be been being am has have had having do does did done doing will would shall should \
    can could may might must also too very more most much many some any all each every such own \
    same other until till even ever still only just";
/// Of German, which gives every noun a capital.
pub(super) const GERMAN: &str = "und nicht wird wurde wurden werden ist sind eine einen einer auf \
    für sich auch dass das ein dem zur zum durch bei nach seit als haben";

pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    /// In lower case, without a possessive.
    pub(super) key: String,
    pub(super) start: usize,
    /// What stands between the word before and this one.
    pub(super) gap: &'a str,
    /// Whether it begins a sentence or a quotation.
    pub(super) opens: bool,
}

impl Word<'_> {
    pub(super) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub(super) fn is_capital(&self) -> bool {
        self.text.starts_with(char::is_uppercase)
    }

    pub(super) fn is_figure(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_digit())
    }

    /// Whether only a space or a hyphen stands before it.
    pub(super) fn follows(&self) -> bool {
        self.gap.chars().all(|c| c.is_whitespace() || matches!(c, '-' | '\u{2010}' | '\u{2011}'))
    }

    pub(super) fn is_content(&self) -> bool {
        (self.text.chars().count() > 2 || self.is_figure()) && !among(STOPS, &self.key)
    }
}

pub(super) fn words_of(text: &str) -> Vec<Word<'_>> {
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
pub(super) fn split<'a, 'b>(words: &'a [Word<'b>]) -> impl Iterator<Item = &'a [Word<'b>]> {
    words.chunk_by(|_, next| !next.opens || !next.gap.contains(['.', '!', '?']))
}

/// The key of a word that follows the one before it, or nothing.
pub(super) fn key<'a>(words: &'a [Word], i: usize) -> &'a str {
    words.get(i).filter(|word| word.follows()).map_or("", |word| &word.key)
}

pub(super) fn among(list: &str, word: &str) -> bool {
    place(list, word).is_some()
}

/// The rank of a word in a list.
pub(super) fn place(list: &str, word: &str) -> Option<f64> {
    let at = list.split_ascii_whitespace().position(|other| other == word)?;
    u32::try_from(at).ok().map(f64::from)
}
