//! Ligatures whose letters nothing in the file states, restored from the words around them.
//!
//! A replacement character inside a word stands for `ff`, `fi`, `fl`, `ffi` or `ffl` more often
//! than for anything else. It is replaced only if exactly one of them makes a word: one that the
//! document spells out elsewhere, or one of [`COMMON`].

use super::reflow::Vocabulary;

const LIGATURES: [&str; 5] = ["fi", "ff", "fl", "ffi", "ffl"];

/// Restores what it can and returns how many characters it replaced.
pub(super) fn repair(line: &mut String, vocabulary: &Vocabulary) -> usize {
    if !line.contains('\u{FFFD}') {
        return 0;
    }
    let is_word = |c: char| c.is_alphabetic() || c == '\u{FFFD}';
    let mut repaired = String::with_capacity(line.len());
    let mut n = 0;
    let mut rest = line.as_str();
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match restore(word, vocabulary) {
            Some(restored) => {
                n += word.matches('\u{FFFD}').count();
                repaired.push_str(&restored);
            }
            None => repaired.push_str(word),
        }
        let next = after.find(is_word).unwrap_or(after.len());
        repaired.push_str(&after[..next]);
        rest = &after[next..];
    }
    *line = repaired;
    n
}

/// The one spelling of a word with gaps that is known, if there is one.
fn restore(word: &str, vocabulary: &Vocabulary) -> Option<String> {
    let n_gaps = word.matches('\u{FFFD}').count();
    let n_letters = word.chars().count() - n_gaps;
    if n_gaps == 0 || n_gaps > 2 || n_letters < 2 {
        return None;
    }
    let mut spellings = vec![String::new()];
    for (at, part) in word.split('\u{FFFD}').enumerate() {
        if at > 0 {
            let longer = |text: &String| LIGATURES.map(|ligature| format!("{text}{ligature}"));
            spellings = spellings.iter().flat_map(longer).collect();
        }
        for text in &mut spellings {
            text.push_str(part);
        }
    }
    let mut known: Vec<_> = spellings.iter().filter(|word| vocabulary.count(word) > 0).collect();
    if known.is_empty() {
        known = spellings.iter().filter(|word| is_common(word)).collect();
    }
    match known[..] {
        [only] => Some(only.clone()),
        _ => None,
    }
}

/// Whether a word begins with one of the common stems.
fn is_common(word: &str) -> bool {
    let word = word.to_lowercase();
    if ["fi", "fl", "ffi", "ffl"].iter().any(|end| word.ends_with(end)) {
        return false; // no common word ends so
    }
    let after_prefix = ["re", "un", "in", "de", "pre", "mis", "non", "dis", "self"]
        .iter()
        .filter_map(|prefix| word.strip_prefix(prefix));
    std::iter::once(word.as_str()).chain(after_prefix).any(|word| {
        COMMON.split_ascii_whitespace().any(|stem| match stem.strip_suffix('.') {
            Some(whole) => word == whole,
            None => word.strip_prefix(stem).is_some_and(|rest| {
                // "identif" goes on with "identified", not with "identifled".
                !stem.ends_with('f')
                    || rest.is_empty()
                    || rest.starts_with(['a', 'e', 'i', 'o', 's', 'u', 'y'])
            }),
        })
    })
}

/// Stems of common English words with ligatures; a stem with a full stop is a whole word.
const COMMON: &str = "\
    affair affect affidavit affiliat affirm afflict affluen afford amplif artific backfir bailiff \
    baff beautif benefi bluff boldfac brief briefly chiefly buff caff certif chief cipher citif clarif \
    classif cliff codif coff coffee coeffic confer confess confid config confin confirm confisc \
    confla conflict conflu daffodil defi defia defici defin deflat deflect differ diffic diffus \
    disqualif diversif edific effect effic effort eff efflu exemplif falsif fiasco fiber fibre \
    fiction fidel field fierce fift fight figur file. filed filer files filing filings fill film \
    filter filthy final financ find fine. fined finer fines finest finger finish finit fir. fire \
    firm first fiscal fish fist fit. fits fitt five fix flag flame flank flap flash flat flaw flee \
    fleet flesh flew flex flick flight fling float flock flood floor flora flour flourish flow \
    fluctuat fluen fluid flung flush flux fly flyer giraff gratif handcuff horrif identif inefficien \
    infect infer infest infiltr infin inflam inflat inflect inflex inflict influ insuffic intensif \
    jiffy justif kerchief leaflet magnif manif mischief misfit modif muff muffl notif nullif offen \
    office offici offer offhand offic offici offline offs offset offshor offspring ossif pacif \
    paraffin personif plaintiff preffer profic profil profit proffer prolif purif puff qualif ramif \
    ratif rectif reflect reflex refin ruffl ruff sacrific safflow satisf scaffold scientif scoff \
    scruff scuffl sheriff shuffl significan signif simplif sniff snuff souffl specif sniffl stiff \
    staff stratif stuff stifl stultif suffer suffic suffix suffoc suffrag suffus superfic \
    sufficien tariff terrif testif traffic trafficking trifl triff truffl typif unif unify versif \
    verif waffl whiff wildfire workflow  conflat fulfil fulfill selfish shellfish crucif \
    clarific diffident affix off. offs.";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, known: &str, expected: &str, n: usize) {
        let mut vocabulary = Vocabulary::default();
        vocabulary.add(known);
        let mut text = line.replace('?', "\u{FFFD}");
        assert_eq!(repair(&mut text, &vocabulary), n, "{line}");
        assert_eq!(text, expected.replace('?', "\u{FFFD}"));
    }

    #[test]
    fn the_document_spells_the_word_out_elsewhere() {
        check("a gri?n!", "the griffin", "a griffin!", 1);
    }

    #[test]
    fn common_words_are_known() {
        check("identi?ed con?ict, the ?rst o?ce", "", "identified conflict, the first office", 4);
        check("uno?cial ?ling", "", "unofficial filing", 2);
    }

    #[test]
    fn what_is_unknown_or_ambiguous_stays() {
        check("zq?x ? ?? a?b", "", "zq?x ? ?? a?b", 0);
        check("ba?ed", "baffed bafled", "ba?ed", 0);
    }
}
