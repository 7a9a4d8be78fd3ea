//! Where added tokens lie in a text, and where a long text may be cut. Bytes only: no vocabulary.

use super::Added;

/// A stretch of text, or the token found there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found<'t> {
    Token(u32),
    Text(&'t str),
}

/// Finds added tokens: the leftmost, and of those the longest.
#[derive(Debug)]
pub(super) struct Matcher {
    /// Longest first.
    tokens: Vec<Added>,
    /// By first byte, places in `tokens`.
    by_byte: Vec<Vec<usize>>,
}

impl Matcher {
    pub(super) fn new(mut tokens: Vec<Added>) -> Self {
        tokens.retain(|token| !token.content.is_empty());
        tokens.sort_by(|a, b| {
            b.content.len().cmp(&a.content.len()).then_with(|| a.content.cmp(&b.content))
        });
        let mut by_byte = vec![Vec::new(); 256];
        for (place, token) in tokens.iter().enumerate() {
            by_byte[usize::from(token.content.as_bytes()[0])].push(place);
        }
        Self { tokens, by_byte }
    }

    /// The text as tokens and what lies between them; empty stretches are left out.
    pub(super) fn split<'t>(&self, text: &'t str) -> Vec<Found<'t>> {
        let mut found = Vec::new();
        let mut from = 0; // beginning of the stretch that is not yet written
        let mut at = 0;
        while at < text.len() && !self.tokens.is_empty() {
            let Some(token) = self.token_at(&text.as_bytes()[at..]) else {
                at += 1;
                continue;
            };
            let mut before = &text[from..at];
            if token.lstrip {
                before = before.trim_end();
            }
            if !before.is_empty() {
                found.push(Found::Text(before));
            }
            found.push(Found::Token(token.id));
            at += token.content.len();
            if token.rstrip {
                at = text.len() - text[at..].trim_start().len();
            }
            from = at;
        }
        if from < text.len() {
            found.push(Found::Text(&text[from..]));
        }
        found
    }

    fn token_at(&self, bytes: &[u8]) -> Option<&Added> {
        self.by_byte[usize::from(*bytes.first()?)]
            .iter()
            .map(|&place| &self.tokens[place])
            .find(|token| bytes.starts_with(token.content.as_bytes()))
    }
}

/// Cuts a long text into runs of about `n_bytes`, where no tokenizer joins across the cut.
///
/// Every pre-tokenizer ends a word before a single space, and no `SentencePiece` vocabulary has a
/// piece with a space in its middle; the same holds behind a single newline. A text that offers
/// no such place for long is cut at a worse one: the ids may then differ there from those of the
/// whole, the text they stand for never does.
pub(super) fn runs(text: &str, n_bytes: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (run, tail) = rest.split_at(cut(rest, n_bytes));
        rest = tail;
        Some(run)
    })
}

/// Where the first run ends: a char boundary in `1..=text.len()`.
fn cut(text: &str, n_bytes: usize) -> usize {
    if text.len() <= n_bytes + n_bytes / 2 {
        return text.len();
    }
    let good = |window: &str, start: usize| {
        let mut chars = window.char_indices();
        let (mut a, mut b) = (chars.next()?.1, chars.next()?);
        for c in chars {
            if b.1 == ' ' && !a.is_whitespace() && c.1.is_alphabetic() {
                return Some(start + b.0);
            }
            if b.1 == '\n' && !a.is_whitespace() && c.1.is_alphabetic() {
                return Some(start + c.0);
            }
            (a, b) = (b.1, c);
        }
        None
    };
    // Next best: before a sign that follows a letter, as in text written without spaces.
    let fair = |window: &str, start: usize| {
        let mut chars = window.char_indices();
        let mut a = chars.next()?.1;
        for c in chars {
            let sign = !c.1.is_alphanumeric() && !c.1.is_whitespace() && c.1 != '\'' && c.1 != '’';
            if a.is_alphabetic() && sign {
                return Some(start + c.0);
            }
            a = c.1;
        }
        None
    };
    let window = |from: usize, to: usize| {
        let from = text.ceil_char_boundary(from);
        (&text[from..text.ceil_char_boundary(to.min(text.len()))], from)
    };
    let (near, start) = window(n_bytes, 4 * n_bytes);
    good(near, start)
        .or_else(|| fair(near, start))
        .unwrap_or_else(|| text.ceil_char_boundary((4 * n_bytes).min(text.len())))
}

/// The text in two halves, or nothing if it is a single character.
pub(super) fn halves(text: &str) -> Option<(&str, &str)> {
    let middle = text.floor_char_boundary(text.len() / 2);
    let middle = if middle == 0 { text.ceil_char_boundary(1) } else { middle };
    (middle < text.len()).then(|| text.split_at(middle))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: u32, content: &str) -> Added {
        Added { id, content: content.into(), special: true, lstrip: false, rstrip: false }
    }

    #[test]
    fn the_leftmost_token_wins_and_then_the_longest() {
        let matcher = Matcher::new(vec![token(1, "<a"), token(2, "<a>"), token(3, ">é")]);
        assert_eq!(
            matcher.split("x<a>é<a y"),
            [
                Found::Text("x"),
                Found::Token(2),
                Found::Text("é"),
                Found::Token(1),
                Found::Text(" y")
            ]
        );
    }

    #[test]
    fn stripping_tokens_swallow_whitespace_on_their_side() {
        let mut both = token(7, "<|x|>");
        (both.lstrip, both.rstrip) = (true, true);
        let matcher = Matcher::new(vec![both]);
        assert_eq!(
            matcher.split("a \n<|x|>\n b"),
            [Found::Text("a"), Found::Token(7), Found::Text("b")]
        );
    }

    #[test]
    fn runs_join_back_to_the_text_and_cut_before_spaces() {
        let text = "one two  three\nfour é 世界，你好。 ".repeat(50);
        let cut: Vec<_> = runs(&text, 16).collect();
        assert_eq!(cut.concat(), text);
        assert!(cut.len() > 20);
        assert!(cut[1..].iter().all(|run| run.starts_with([' ', 'f', '，'])), "{cut:?}");
    }

    #[test]
    fn text_without_any_place_to_cut_is_cut_all_the_same() {
        for text in ["é".repeat(1000), " ".repeat(1000), "\n".repeat(1000), "x".repeat(1000)] {
            let cut: Vec<_> = runs(&text, 16).collect();
            assert_eq!(cut.concat(), text);
            assert!(cut.iter().all(|run| run.len() <= 66));
        }
    }

    #[test]
    fn halving_ends_at_single_characters() {
        assert_eq!(halves("é"), None);
        assert_eq!(halves("éa"), Some(("é", "a")));
        assert_eq!(halves(""), None);
    }
}
