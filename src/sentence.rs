//! Sentences: where a text may be cut without cutting a thought.
//!
//! Invariant: the ranges are contiguous and cover the whole text. The white space after a
//! sentence belongs to it, so sentences joined are the text.
//!
//! Unicode's rules (UAX #29) propose the breaks; a short list of things they cannot know takes
//! some of them back: abbreviations, initials, numbers of sections and lists.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Splits a text into sentences.
///
/// A blank line always ends one, so a heading is a sentence of its own; so does the end of a
/// line whose next one is a list item, a table's row or a heading. Other line breaks are spaces.
///
/// ```
/// # use longsum::sentence;
/// let text = "Dr. No met Mr. Bond in No. 7. He left.";
/// let sentences: Vec<_> = sentence::split(text).into_iter().map(|range| &text[range]).collect();
/// assert_eq!(sentences, ["Dr. No met Mr. Bond in No. 7. ", "He left."]);
/// ```
#[must_use]
pub fn split(text: &str) -> Vec<Range<usize>> {
    let mut sentences = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let end = passage_end(text, start);
        split_passage(text, start..end, &mut sentences);
        start = end;
    }
    sentences
}

/// Where the passage that starts here ends: at a blank line, or at a line that stands for itself.
fn passage_end(text: &str, start: usize) -> usize {
    let mut at = start;
    while let Some(found) = text[at..].find('\n') {
        let line =
            &text[text[..at + found].rfind('\n').map_or(start, |n| (n + 1).max(start))..at + found];
        let mut next = at + found + 1;
        let rest = &text[next..];
        let blank = rest.len() - rest.trim_start().len();
        let is_blank = rest[..blank].contains('\n') || blank == rest.len();
        let begins = rest[blank..].lines().next().unwrap_or_default();
        if is_blank || line.trim().is_empty() && next > start + 1 {
            if !text[start..at + found].trim().is_empty() {
                return next + blank;
            }
        } else if stands_alone(line) || stands_alone(begins) || begins_item(begins) {
            return next;
        }
        next += if is_blank { blank } else { 0 };
        at = next;
    }
    text.len()
}

/// A row of a table, or a heading with its marks.
fn stands_alone(line: &str) -> bool {
    line.contains(" | ")
        || line.starts_with("# ")
        || line.starts_with("## ")
        || line.starts_with("### ")
}

/// A line that opens with a bullet or a number and a stop.
fn begins_item(line: &str) -> bool {
    let line = line.trim_start();
    let Some((mark, rest)) = line.split_once(' ') else { return false };
    if rest.trim().is_empty() {
        return false;
    }
    let is_bullet = matches!(
        mark,
        "-" | "*" | "+" | "\u{2022}" | "\u{2013}" | "\u{25AA}" | "\u{25CF}" | "\u{25E6}"
    );
    let number = mark.trim_start_matches('(').strip_suffix(['.', ')']);
    is_bullet
        || number.is_some_and(|number| {
            !number.is_empty() && number.len() <= 3 && number.bytes().all(|b| b.is_ascii_digit())
        })
}

/// Adds the sentences of one passage; its line breaks count as spaces.
fn split_passage(text: &str, passage: Range<usize>, sentences: &mut Vec<Range<usize>>) {
    let flat = text[passage.clone()].replace(['\n', '\r'], " ");
    let mut start = 0;
    let mut end = 0;
    for piece in flat.split_sentence_bounds() {
        end += piece.len();
        if start >= end {
            continue; // a note's number took this piece already
        }
        let after = end + note_mark(&flat, end);
        if end == flat.len() || (!piece.trim().is_empty() && ends(&flat, start, after)) {
            let range = passage.start + start..passage.start + after;
            // White space alone is no sentence: it goes to the one before.
            match sentences.last_mut() {
                Some(last) if text[range.clone()].trim().is_empty() => last.end = range.end,
                _ => sentences.push(range),
            }
            start = after;
        }
    }
}

/// Bytes of the raised note number that follows a full stop, and of the space after it.
fn note_mark(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    if text[..at].ends_with(char::is_whitespace) || !rest.starts_with(is_raised) {
        return 0;
    }
    let rest = rest.trim_start_matches(is_raised).trim_start();
    text.len() - at - rest.len()
}

/// Whether a break that Unicode proposes at `end` is a sentence's end.
fn ends(text: &str, start: usize, end: usize) -> bool {
    let sentence = text[start..end].trim_end();
    let next = text[end..].trim_start();
    let core = sentence.trim_end_matches(is_closing);
    let Some(before) = core.strip_suffix('.') else {
        // "!" and "?" end a sentence unless the text goes on in lower case: "Yahoo! is".
        return !next.starts_with(char::is_lowercase);
    };
    if next.starts_with(char::is_lowercase) || next.starts_with([',', ';', ')', ']', '|']) {
        return false;
    }
    let is_of_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '&' | '\'' | '\u{2019}');
    let word = before.rsplit(|c| !is_of_word(c)).next().unwrap_or_default();
    if word.is_empty() || before.ends_with('.') {
        // An ellipsis, or a full stop alone; dots before a number lead to a page.
        return !next.starts_with(|c: char| c.is_ascii_digit());
    }
    let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
    let is_first = before.trim_start_matches(is_opening).len() == word.len();
    if is_number && word.len() <= 2 && begins_with_month(next) {
        return false; // "am 3. Oktober"
    }
    // "1." or "IV." or "B." at the start numbers what follows.
    if is_first && (is_number || is_numeral(word) || word.chars().count() == 1) {
        return false;
    }
    if is_initials(word) {
        // "J. Smith" and "U.S. Senate" go on; "in the U.S. The" does not.
        return begins_anew(next) && word.contains('.');
    }
    let lower = word.to_lowercase();
    if ALWAYS_GO_ON.split_ascii_whitespace().any(|known| known == lower) {
        return false;
    }
    if GO_ON_BEFORE_NUMBERS.split_ascii_whitespace().any(|known| known == lower) {
        return !next
            .starts_with(|c: char| c.is_ascii_digit() || is_section_mark(c) || is_roman(c, next));
    }
    if MAY_END.split_ascii_whitespace().any(|known| known == lower) {
        return begins_anew(next);
    }
    true
}

fn is_closing(c: char) -> bool {
    is_raised(c) || matches!(c, '"' | '\'' | '\u{2019}' | '\u{201D}' | '\u{BB}' | ')' | ']')
}

fn is_raised(c: char) -> bool {
    matches!(c, '\u{B9}' | '\u{B2}' | '\u{B3}' | '\u{2070}'..='\u{2079}')
}

fn is_opening(c: char) -> bool {
    matches!(c, '(' | '[' | '"' | '\'' | '\u{2018}'..='\u{201D}')
}

fn is_section_mark(c: char) -> bool {
    matches!(c, '\u{A7}' | '\u{B6}' | '#')
}

/// A Roman numeral after "Vol." or "Art.".
fn is_roman(c: char, next: &str) -> bool {
    let word = next.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    matches!(c, 'I' | 'V' | 'X') && is_numeral(word)
}

fn is_numeral(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= 5
        && (word.bytes().all(|byte| matches!(byte, b'I' | b'V' | b'X' | b'L'))
            || word.bytes().all(|byte| matches!(byte, b'i' | b'v' | b'x' | b'l')))
}

/// Single letters with stops between them: `J`, `U.S.C`, `D.C`, `e.g`.
fn is_initials(word: &str) -> bool {
    word.split('.').all(|part| {
        let mut chars = part.chars();
        chars.next().is_some_and(char::is_alphabetic) && chars.next().is_none()
    })
}

/// Whether a text opens with a word that begins sentences more often than it follows initials.
fn begins_anew(next: &str) -> bool {
    let word = next.trim_start_matches(is_opening).split(|c: char| !c.is_alphabetic()).next();
    let word = word.unwrap_or_default();
    next.is_empty() || OPENERS.split_ascii_whitespace().any(|opener| opener == word)
}

/// Whether a text opens with a month of a language that writes dates as "3. Oktober".
fn begins_with_month(next: &str) -> bool {
    let word = next.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    MONTHS.split_ascii_whitespace().any(|month| month == word)
}

/// German, as written after a day. Danish, Norwegian, Czech and others write months small, which
/// ends no sentence anyway.
const MONTHS: &str = "Januar Jänner Februar Feber März April Mai Juni Juli August September Oktober \
    November Dezember";

/// Never the last word of a sentence, whatever follows.
const ALWAYS_GO_ON: &str = "mr mrs ms dr prof hon rev gen col maj capt cmdr lt sgt gov sen rep \
    pres amb messrs mmes st mt ft v vs cf e.g i.e viz ca approx dep't gov't int'l nat'l ass'n \
    comm'n fed f.supp supp cir app dist crim civ proc evid const stat reg regs ann rptr resp \
    petr cong ct cl dkt monsignor msgr supt det insp ens adm brig hr bzw ggf evtl vgl hrsg geb mme \
    mlle sra srta dña dott ing гр им ул";

/// Go on when a number follows, else end a sentence as any word does.
const GO_ON_BEFORE_NUMBERS: &str = "no nos p pp vol vols sec secs art arts ch fig figs eq eqs \
    ex exs para paras pt pts doc docs tbl tab app item items ed eds n nn l ll r rr jan feb mar \
    apr jun jul aug sep sept oct nov dec nr abs str kap bd núm pág págs стр рис табл гл";

/// May end a sentence: they do if the next word opens one.
const MAY_END: &str = "inc ltd co corp llc bros jr sr etc al ibid id op cit esq dept univ inst \
    assn ave blvd rd mass calif conn del fla ga ill ind kan ky la md mich minn miss mo mont neb \
    nev okla ore pa tenn tex va vt wash wis wyo ariz ark colo ala ph.d m.d b.a m.a ll.b j.d a.m \
    p.m b.c a.d u.s u.k u.n d.c est min max avg ext tel dr";

/// Words that open a sentence.
const OPENERS: &str = "The A An This That These Those He She It We They You I In On At By For \
    From To With As If When While Where After Before Since Although Though Because But And Or So \
    Yet However Moreover Furthermore Thus Therefore Then There Here His Her Its Their Our My \
    Your What Who Why How Which Some Many Most All Both Each Every No Not Nor One Two Under Upon \
    During Between Among According Even Only Also Later Once See Finally First Second Third";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let sentences: Vec<_> = split(text).into_iter().map(|range| text[range].trim()).collect();
        assert_eq!(sentences, expected, "{text:?}");
    }

    #[test]
    fn plain_sentences_are_parted() {
        check("One. Two! Three? Four", &["One.", "Two!", "Three?", "Four"]);
        check(
            "He said \u{201C}no.\u{201D} She left.",
            &["He said \u{201C}no.\u{201D}", "She left."],
        );
        check("It ended.\u{2074} The rest.", &["It ended.\u{2074}", "The rest."]);
        check(
            "\u{201C}No.\u{201D}\u{B9}\u{B2} Yes. Or no.\u{B3}",
            &["\u{201C}No.\u{201D}\u{B9}\u{B2}", "Yes.", "Or no.\u{B3}"],
        );
        check("第一句。第二句。", &["第一句。", "第二句。"]);
        check("", &[]);
        check("Wait... Really?", &["Wait...", "Really?"]);
    }

    #[test]
    fn abbreviations_do_not_end_a_sentence() {
        for text in [
            "Dr. Smith and Mr. J. R. Jones met.",
            "See 18 U.S.C. \u{A7} 371 and No. 12, pp. 3.",
            "Brown v. Board of Education was cited.",
            "Acme Inc. and Co. Ltd. merged.",
            "It grew by 3.5 percent, i.e. a lot, e.g. here.",
            "The U.S. Senate sat in Washington, D.C. for days.",
            "United States v. Manafort, 312 F. Supp. 3d 60 (D.D.C. 2018).",
            "On Jan. 5 and Sept. 12 he wrote.",
            "See Vol. II and Sec. 4.",
            "(a) Yahoo! is a name.",
            "Smith et al. found it.",
            "He said, \u{201D}Mr. Trump has left.\u{201D}",
        ] {
            check(text, &[text]);
        }
    }

    #[test]
    fn other_languages_keep_their_sentences() {
        for text in [
            "Am 3. Oktober 1990 kam Dr. Weber, geb. Lang, z. B. nach Bonn.",
            "Siehe Abs. 2 und Nr. 14, vgl. S. 9 bzw. Anlage B.",
            "La Sra. Ruiz firma en la pág. 12, núm. 4.",
            "Mme. Blanc est arrivée.",
            "См. рис. 4 и стр. 12, т.е. ниже.",
        ] {
            check(text, &[text]);
        }
        check("Das war 1990. Danach kam er.", &["Das war 1990.", "Danach kam er."]);
        check("Он ушёл. Она осталась.", &["Он ушёл.", "Она осталась."]);
        check(
            "これは船だ。灯りがともる！本当か？",
            &["これは船だ。", "灯りがともる！", "本当か？"],
        );
        check("وصل الماء. هل عاد القارب؟ نعم.", &["وصل الماء.", "هل عاد القارب؟", "نعم."]);
        check("¿Quién vino? Nadie.", &["¿Quién vino?", "Nadie."]);
    }

    #[test]
    fn abbreviations_may_end_a_sentence() {
        check("He went to Acme Inc. The firm paid.", &["He went to Acme Inc.", "The firm paid."]);
        check("He lives in the U.S. He works.", &["He lives in the U.S.", "He works."]);
        check("He said no. She left.", &["He said no.", "She left."]);
        check("It was Plan B. 1984 came.", &["It was Plan B. 1984 came."]);
    }

    #[test]
    fn numbers_of_sections_stay_with_what_they_number() {
        check("1. The first point. 2. The second.", &["1. The first point.", "2. The second."]);
        check("IV. Results", &["IV. Results"]);
        check("A. Background", &["A. Background"]);
        check("ii. Results", &["ii. Results"]);
        check("Results ... 12", &["Results ... 12"]);
        check("Results ... | 12\nMore ... | 13", &["Results ... | 12", "More ... | 13"]);
    }

    #[test]
    fn blank_lines_end_sentences_and_line_breaks_do_not() {
        check(
            "A heading\n\nText that\nruns on. More.",
            &["A heading", "Text that\nruns on.", "More."],
        );
        check("- one\n- two\nmore", &["- one", "- two\nmore"]);
        check("a | b\nc | d\nText.", &["a | b", "c | d", "Text."]);
        check("\n\n  \nText.\n\n\n", &["Text."]);
    }

    proptest! {
        #[test]
        fn sentences_joined_are_the_text(text in "([A-Za-z]{1,4}|[.!?] |\n|\n\n| \\| |- |1\\. |\u{2074}|é|。|\r|\t){0,60}") {
            let mut at = 0;
            for range in split(&text) {
                prop_assert_eq!(range.start, at);
                prop_assert!(range.end > range.start);
                at = range.end;
            }
            prop_assert_eq!(at, text.len());
        }

        #[test]
        fn any_text_is_covered(text in any::<String>()) {
            let joined: String = split(&text).into_iter().map(|range| text[range].to_owned()).collect();
            prop_assert_eq!(joined, text);
        }
    }
}
