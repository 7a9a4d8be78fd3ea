//! Formulas on one line: `(a+b)/c`, `x^2`, `√(x)`.

use super::super::package::xml::Tag;

/// The parts of a formula that are open.
#[derive(Debug, Default)]
pub(super) struct Math {
    parts: Vec<Part>,
    n_formulas: usize,
}

/// A part of a formula that has a sign before it or signs around it.
#[derive(Debug)]
struct Part {
    name: &'static str,
    /// Where it begins among the words.
    start: usize,
    open: String,
    close: String,
}

/// Parts, with the sign before them.
const PARTS: [(&str, &str); 7] =
    [("d", ""), ("num", ""), ("den", "/"), ("sup", "^"), ("sub", "_"), ("rad", "√"), ("nary", "")];

impl Math {
    /// An element begins; `words` are those of the paragraph so far.
    pub(super) fn start(&mut self, tag: &Tag<'_>, words: &mut String) {
        if tag.name() == "oMath" {
            self.n_formulas += 1;
        }
        if self.n_formulas == 0 {
            return;
        }
        let value = || tag.attribute("val").unwrap_or_default();
        if let Some((name, _)) = PARTS.iter().find(|(name, _)| *name == tag.name()) {
            let (start, open, close) = (words.len(), "(".to_owned(), ")".to_owned());
            self.parts.push(Part { name, start, open, close });
            return;
        }
        let Some(part) = self.parts.last_mut() else { return };
        match (tag.name(), part.name) {
            ("begChr", "d") => part.open = value(),
            ("endChr", "d") => part.close = value(),
            // The sign of a sum, which comes before its bounds.
            ("chr", "nary") => words.push_str(&value()),
            ("e", "nary") => words.push(' '),
            _ => {}
        }
    }

    /// An element ends.
    pub(super) fn end(&mut self, name: &str, words: &mut String) {
        if name == "oMath" {
            self.n_formulas = self.n_formulas.saturating_sub(1);
        }
        if self.n_formulas == 0 {
            self.parts.clear();
            return;
        }
        let is_new = self.parts.last().is_some_and(|part| part.start == words.len());
        if name == "naryPr" && is_new {
            words.push('∫');
        }
        let Some(part) = self.parts.pop_if(|part| part.name == name) else { return };
        let Some(inside) = words.get(part.start..).filter(|inside| !inside.is_empty()) else {
            return;
        };
        let sign = PARTS.iter().find(|(name, _)| *name == part.name).map_or("", |(_, sign)| sign);
        let is_around = match part.name {
            "d" => true,
            "nary" => false,
            _ => inside.chars().count() > 1,
        };
        if is_around {
            words.insert_str(part.start, &part.open);
            words.push_str(&part.close);
        }
        words.insert_str(part.start, sign);
    }
}
