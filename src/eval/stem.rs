//! The stem of an English word: Porter's algorithm with NLTK's departures from it.
//!
//! ROUGE scores are only comparable when words are stemmed alike, and the scorer that papers use
//! (rouge-score for Python) stems with `nltk.stem.porter.PorterStemmer()`. This gives its stems,
//! letter for letter.
//!
//! Source: M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980. What NLTK does
//! otherwise: a list of irregular words; words of two letters are left alone; words of four letters
//! in `-ies` and `-ied` keep the `e` (`dies`, `died`); other `-ied` becomes `-i`; `-y` becomes `-i` after a
//! consonant that is not the first letter; `-bli` for `-abli`; `-alli` goes before the rest of step
//! 2; `-fulli` and `-logi` are suffixes; `*o` holds for a vowel and a consonant alone.

/// The stem of a word.
///
/// ```
/// use longsum::eval::stem::stem;
/// assert_eq!(stem("Relational"), "relat");
/// assert_eq!(stem("dying"), "die");
/// ```
#[must_use]
pub fn stem(word: &str) -> String {
    let lower = word.to_lowercase();
    if let Some((_, stem)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == lower) {
        return (*stem).to_owned();
    }
    let mut word: Vec<char> = lower.chars().collect();
    if word.len() <= 2 {
        return lower;
    }
    plural(&mut word);
    past_and_participle(&mut word);
    final_y(&mut word);
    double_suffix(&mut word);
    replace(&mut word, &STEP_3, |stem| measure(stem) > 0);
    single_suffix(&mut word);
    final_e(&mut word);
    double_l(&mut word);
    word.into_iter().collect()
}

const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("inning", "inning"),
    ("innings", "inning"),
    ("outing", "outing"),
    ("outings", "outing"),
    ("canning", "canning"),
    ("cannings", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

const STEP_2: [(&str, &str); 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

const STEP_3: [(&str, &str); 7] = [
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

const STEP_4: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou",
    "ism", "ate", "iti", "ous", "ive", "ize",
];

/// Step 1a.
fn plural(word: &mut Vec<char>) {
    if word.len() == 4 && ends(word, "ies") {
        word.pop();
        return;
    }
    replace(word, &[("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")], |_| true);
}

/// Step 1b.
fn past_and_participle(word: &mut Vec<char>) {
    if ends(word, "ied") {
        let n_cut = if word.len() == 4 { 1 } else { 2 };
        word.truncate(word.len() - n_cut);
        return;
    }
    if replace(word, &[("eed", "ee")], |stem| measure(stem) > 0) {
        return;
    }
    let suffix = ["ed", "ing"]
        .into_iter()
        .find(|s| without(word, s).is_some_and(|stem| consonants(stem).contains(&false)));
    let Some(suffix) = suffix else { return };
    word.truncate(word.len() - suffix.len());
    if replace(word, &[("at", "ate"), ("bl", "ble"), ("iz", "ize")], |_| true) {
        return;
    }
    if let [.., a, b] = word[..]
        && a == b
        && consonants(word).ends_with(&[true])
    {
        if !matches!(b, 'l' | 's' | 'z') {
            word.pop();
        }
    } else if measure(word) == 1 && is_short(word) {
        word.push('e');
    }
}

/// Step 1c.
fn final_y(word: &mut Vec<char>) {
    replace(word, &[("y", "i")], |stem| stem.len() > 1 && consonants(stem).ends_with(&[true]));
}

/// Step 2.
fn double_suffix(word: &mut Vec<char>) {
    // May uncover another suffix of this step, as in `-nationally`.
    while without(word, "alli").is_some_and(|stem| measure(stem) > 0) {
        word.truncate(word.len() - 2);
    }
    if replace(word, &STEP_2, |stem| measure(stem) > 0) {
        return;
    }
    // The `l` counts with the stem, so that `geology` does as `archaeology`.
    if ends(word, "logi") && measure(&word[..word.len() - 3]) > 0 {
        word.pop();
    }
}

/// Step 4.
fn single_suffix(word: &mut Vec<char>) {
    let Some(suffix) = STEP_4.iter().find(|suffix| ends(word, suffix)) else { return };
    let stem = &word[..word.len() - suffix.len()];
    if measure(stem) > 1 && (*suffix != "ion" || matches!(stem.last(), Some('s' | 't'))) {
        word.truncate(stem.len());
    }
}

/// Step 5a.
fn final_e(word: &mut Vec<char>) {
    let Some(stem) = without(word, "e") else { return };
    if measure(stem) > 1 || (measure(stem) == 1 && !is_short(stem)) {
        word.pop();
    }
}

/// Step 5b.
fn double_l(word: &mut Vec<char>) {
    if ends(word, "ll") && measure(&word[..word.len() - 1]) > 1 {
        word.pop();
    }
}

/// Applies the first rule whose suffix the word has, if its stem meets the condition; the others
/// are not looked at. Whether there was such a rule.
fn replace(
    word: &mut Vec<char>,
    rules: &[(&str, &str)],
    condition: impl Fn(&[char]) -> bool,
) -> bool {
    let Some((suffix, by)) = rules.iter().find(|(suffix, _)| ends(word, suffix)) else {
        return false;
    };
    let n_stem = word.len() - suffix.len();
    if condition(&word[..n_stem]) {
        word.truncate(n_stem);
        word.extend(by.chars());
    }
    true
}

fn ends(word: &[char], suffix: &str) -> bool {
    without(word, suffix).is_some()
}

/// The word without this suffix, which is ASCII.
fn without<'a>(word: &'a [char], suffix: &str) -> Option<&'a [char]> {
    let n_stem = word.len().checked_sub(suffix.len())?;
    word[n_stem..].iter().copied().eq(suffix.chars()).then_some(&word[..n_stem])
}

/// Which letters are consonants: all but a, e, i, o, u, and y after a consonant.
fn consonants(word: &[char]) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for letter in word {
        flags.push(match letter {
            'a' | 'e' | 'i' | 'o' | 'u' => false,
            'y' => !flags.last().is_some_and(|before| *before),
            _ => true,
        });
    }
    flags
}

/// Porter's m: how often a consonant follows a vowel.
fn measure(stem: &[char]) -> usize {
    consonants(stem).windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

/// Porter's *o: ends in consonant, vowel, consonant other than w, x, y; or is vowel and consonant.
fn is_short(stem: &[char]) -> bool {
    let flags = consonants(stem);
    match flags[..] {
        [false, true] => true,
        [.., true, false, true] => !matches!(stem.last(), Some('w' | 'x' | 'y')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn stems_are_those_of_nltk() {
        for (word, expected) in NLTK {
            assert_eq!(stem(word), expected, "{word}");
        }
    }

    /// The paper's examples and each departure, with the stems of NLTK 3.10.4.
    #[rustfmt::skip]
    const NLTK: [(&str, &str); 97] = [
        ("caresses", "caress"), ("ponies", "poni"), ("ties", "tie"), ("dies", "die"),
        ("caress", "caress"), ("cats", "cat"), ("news", "news"), ("skies", "sky"),
        ("dying", "die"), ("feed", "feed"), ("agreed", "agre"), ("plastered", "plaster"),
        ("bled", "bled"), ("died", "die"), ("spied", "spi"), ("motoring", "motor"),
        ("sing", "sing"), ("conflated", "conflat"), ("troubled", "troubl"), ("sized", "size"),
        ("hopping", "hop"), ("tanned", "tan"), ("falling", "fall"), ("hissing", "hiss"),
        ("fizzed", "fizz"), ("failing", "fail"), ("filing", "file"), ("happy", "happi"),
        ("sky", "sky"), ("enjoy", "enjoy"), ("spy", "spi"), ("try", "tri"),
        ("relational", "relat"), ("conditional", "condit"), ("rational", "ration"), ("valenci", "valenc"),
        ("hesitanci", "hesit"), ("digitizer", "digit"), ("conformabli", "conform"), ("radicalli", "radic"),
        ("rationally", "ration"), ("differentli", "differ"), ("vileli", "vile"), ("analogousli", "analog"),
        ("vietnamization", "vietnam"), ("predication", "predic"), ("operator", "oper"), ("feudalism", "feudal"),
        ("decisiveness", "decis"), ("hopefulness", "hope"), ("callousness", "callous"), ("formaliti", "formal"),
        ("sensitiviti", "sensit"), ("sensibiliti", "sensibl"), ("hopefully", "hope"), ("geology", "geolog"),
        ("archaeology", "archaeolog"), ("triplicate", "triplic"), ("formative", "form"), ("formalize", "formal"),
        ("electriciti", "electr"), ("electrical", "electr"), ("hopeful", "hope"), ("goodness", "good"),
        ("revival", "reviv"), ("allowance", "allow"), ("inference", "infer"), ("airliner", "airlin"),
        ("gyroscopic", "gyroscop"), ("adjustable", "adjust"), ("defensible", "defens"), ("irritant", "irrit"),
        ("replacement", "replac"), ("adjustment", "adjust"), ("dependent", "depend"), ("adoption", "adopt"),
        ("homologou", "homolog"), ("communism", "commun"), ("activate", "activ"), ("angulariti", "angular"),
        ("homologous", "homolog"), ("effective", "effect"), ("bowdlerize", "bowdler"), ("probate", "probat"),
        ("rate", "rate"), ("cease", "ceas"), ("controll", "control"), ("roll", "roll"),
        ("succeed", "succeed"), ("ied", "i"), ("yyy", "yyy"), ("1990s", "1990"),
        ("as", "as"), ("eed", "eed"), ("national", "nation"), ("unexceptionally", "unexcept"),
        ("oed", "o"),
    ];
}
