//! Which language a text is in, where it is long enough to tell.

use whatlang::{Lang, detect};

/// Fewer letters tell nothing.
const N_LETTERS: usize = 40;
/// How sure one must be.
const SURE: f64 = 0.8;

/// The language of a text by its English name, if it can be told.
#[must_use]
pub fn of(text: &str) -> Option<&'static str> {
    found(text).map(|lang| lang.eng_name())
}

/// Whether a text is in a language, given by its English name, its own name or its code: `German`,
/// `Deutsch`, `de` or `deu`. Nothing where either is unknown.
#[must_use]
pub fn is(text: &str, language: &str) -> Option<bool> {
    let asked = named(language)?;
    found(text).map(|lang| lang == asked)
}

/// Whether the name of a language is known, so that [`is`] can tell.
#[must_use]
pub fn is_known(language: &str) -> bool {
    named(language).is_some()
}

fn found(text: &str) -> Option<Lang> {
    if text.chars().filter(|c| c.is_alphabetic()).count() < N_LETTERS {
        return None;
    }
    let found = detect(text)?;
    (found.confidence() >= SURE).then(|| found.lang())
}

/// Codes of two letters (ISO 639-1) that people write.
const SHORT: [(&str, Lang); 20] = [
    ("ar", Lang::Ara),
    ("cs", Lang::Ces),
    ("da", Lang::Dan),
    ("de", Lang::Deu),
    ("en", Lang::Eng),
    ("es", Lang::Spa),
    ("fi", Lang::Fin),
    ("fr", Lang::Fra),
    ("hu", Lang::Hun),
    ("it", Lang::Ita),
    ("ja", Lang::Jpn),
    ("ko", Lang::Kor),
    ("nl", Lang::Nld),
    ("pl", Lang::Pol),
    ("pt", Lang::Por),
    ("ru", Lang::Rus),
    ("sv", Lang::Swe),
    ("tr", Lang::Tur),
    ("uk", Lang::Ukr),
    ("zh", Lang::Cmn),
];

fn named(language: &str) -> Option<Lang> {
    let wanted = language.trim().to_lowercase();
    if wanted == "chinese" {
        return Some(Lang::Cmn);
    }
    let short = SHORT.iter().find(|(code, _)| *code == wanted).map(|(_, lang)| *lang);
    let is_it = |lang: &&Lang| {
        [lang.eng_name(), lang.name(), lang.code()].iter().any(|name| name.to_lowercase() == wanted)
    };
    short.or_else(|| Lang::all().iter().find(is_it).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_apart_where_there_is_enough_text() {
        let german =
            "Der Fluss trat im März über die Ufer, und die Stadt stand tagelang unter Wasser.";
        let english =
            "The river burst its banks in March, and the town stood under water for days.";
        assert_eq!((of(german), of(english)), (Some("German"), Some("English")));
        assert_eq!(is(german, "Deutsch"), Some(true));
        assert_eq!(is(english, "de"), Some(false));
        assert_eq!(is(english, "Quenya"), None);
        assert_eq!(of("Yes."), None);
        assert!(is_known("french") && !is_known("Sindarin"));
    }
}
