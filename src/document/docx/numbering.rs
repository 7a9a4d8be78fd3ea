//! Numbers and bullets of lists, which a document states by rule and not by word.

use std::collections::HashMap;

use super::super::build::signs::Numeral;
use super::super::package::xml::{Node, Step, Tag};

/// Levels of a list.
const N_LEVELS: usize = 9;

/// The mark of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    Number(String),
    Bullet,
    /// The paragraph is only set in like an item.
    Nothing,
}

/// How the items of a level are marked.
#[derive(Debug, Clone, Default)]
struct Level {
    start: Option<u32>,
    /// Bullets and what has no mark are not counted.
    numeral: Option<Numeral>,
    /// The mark, with `%1` for the number of the first level.
    pattern: String,
    is_stated: bool,
    /// The style whose paragraphs are on this level.
    style: Option<String>,
}

type Levels = [Level; N_LEVELS];

/// A list as it is used: what it is made after, and where it begins anew.
#[derive(Debug, Default)]
struct List {
    pattern: String,
    starts: [Option<u32>; N_LEVELS],
}

/// The lists of a document.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    patterns: HashMap<String, Levels>,
    /// Patterns that stand for the one of a style: pattern, style; and the reverse.
    links: HashMap<String, String>,
    linked: HashMap<String, String>,
    lists: HashMap<String, List>,
    open_pattern: Option<String>,
    open_list: Option<String>,
    open_level: usize,
}

/// How far the lists are counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// The numbers of the levels of each pattern.
    counts: HashMap<String, [Option<u32>; N_LEVELS]>,
    /// Lists that have begun.
    begun: HashMap<String, [bool; N_LEVELS]>,
}

impl Numbering {
    /// Takes a node of the part that defines the lists.
    pub(super) fn take(&mut self, node: Node<'_>) -> Step {
        match node {
            Node::Start(tag) => self.start(&tag),
            Node::End("abstractNum") => self.open_pattern = None,
            Node::End("num") => self.open_list = None,
            _ => {}
        }
        Step::In
    }

    fn start(&mut self, tag: &Tag<'_>) {
        let value = || tag.attribute("val");
        let number = || value().and_then(|value| value.parse().ok());
        match tag.name() {
            "abstractNum" => {
                self.open_pattern = tag.attribute("abstractNumId");
                if let Some(id) = &self.open_pattern {
                    self.patterns.entry(id.clone()).or_default();
                }
            }
            "num" => {
                self.open_list = tag.attribute("numId");
                if let Some(id) = &self.open_list {
                    self.lists.entry(id.clone()).or_default();
                }
            }
            "abstractNumId" => {
                let pattern = value().unwrap_or_default();
                if let Some(list) = self.list() {
                    list.pattern = pattern;
                }
            }
            "numStyleLink" | "styleLink" => {
                if let (Some(pattern), Some(style)) = (self.open_pattern.clone(), value()) {
                    if tag.name() == "numStyleLink" {
                        self.links.insert(pattern, style);
                    } else {
                        self.linked.insert(style, pattern);
                    }
                }
            }
            "lvl" | "lvlOverride" => {
                let level = tag.attribute("ilvl").and_then(|level| level.parse().ok());
                self.open_level = level.filter(|&level| level < N_LEVELS).unwrap_or(0);
            }
            "startOverride" => {
                let (at, start) = (self.open_level, number());
                if let Some(list) = self.list() {
                    list.starts[at] = start;
                }
            }
            name => {
                let at = self.open_level;
                let pattern = self.open_pattern.as_ref().and_then(|id| self.patterns.get_mut(id));
                let Some(level) = pattern.map(|levels| &mut levels[at]) else { return };
                match name {
                    "start" => level.start = number(),
                    "numFmt" => level.numeral = numeral(&value().unwrap_or_default()),
                    "lvlText" => {
                        level.pattern = value().unwrap_or_default();
                        level.is_stated = true;
                    }
                    "pStyle" => level.style = value(),
                    _ => {}
                }
            }
        }
    }

    fn list(&mut self) -> Option<&mut List> {
        self.open_list.as_ref().and_then(|id| self.lists.get_mut(id))
    }

    /// The pattern of a list, and its name.
    fn pattern(&self, list: &List) -> Option<(&str, &Levels)> {
        let mut id = list.pattern.as_str();
        if let Some(linked) = self.links.get(id).and_then(|style| self.linked.get(style)) {
            id = linked;
        }
        self.patterns.get_key_value(id).map(|(id, levels)| (id.as_str(), levels))
    }

    /// The level of a list that paragraphs of a style are on.
    pub(super) fn level_of(&self, list: &str, style: &str) -> Option<usize> {
        let (_, levels) = self.pattern(self.lists.get(list)?)?;
        levels.iter().position(|level| level.style.as_deref() == Some(style))
    }
}

impl Counters {
    /// The mark of the next item of a list; a bullet where the list is not defined.
    pub(super) fn next(&mut self, numbering: &Numbering, id: &str, level: usize) -> Mark {
        self.count(numbering, id, level).unwrap_or(Mark::Bullet)
    }

    fn count(&mut self, numbering: &Numbering, id: &str, level: usize) -> Option<Mark> {
        let at = level.min(N_LEVELS - 1);
        let list = numbering.lists.get(id)?;
        let (pattern, levels) = numbering.pattern(list)?;
        if !self.counts.contains_key(pattern) {
            self.counts.insert(pattern.to_owned(), [None; N_LEVELS]);
        }
        let counts = self.counts.get_mut(pattern)?;
        if !self.begun.contains_key(id) {
            self.begun.insert(id.to_owned(), [false; N_LEVELS]);
        }
        let begun = self.begun.get_mut(id)?;
        if !std::mem::replace(&mut begun[at], true) && list.starts[at].is_some() {
            counts[at] = None;
        }
        let first = |at: usize| list.starts[at].or(levels[at].start).unwrap_or(1);
        counts[at] = Some(counts[at].map_or(first(at), |n| n.saturating_add(1)));
        counts[at + 1..].fill(None);
        if levels[at].numeral.is_none() {
            let is_blank = levels[at].pattern.trim().is_empty() && levels[at].is_stated;
            return Some(if is_blank { Mark::Nothing } else { Mark::Bullet });
        }
        let mut mark = String::new();
        let mut pattern = levels[at].pattern.chars().peekable();
        while let Some(c) = pattern.next() {
            let digit = pattern.peek().and_then(|c| c.to_digit(10)).filter(|_| c == '%');
            match digit.and_then(|digit| (digit as usize).checked_sub(1)) {
                Some(at) if at < N_LEVELS => {
                    pattern.next();
                    let n = counts[at].unwrap_or_else(|| first(at));
                    mark.push_str(&levels[at].numeral.unwrap_or_default().print(n));
                }
                _ => mark.push(c),
            }
        }
        let mark = mark.trim();
        Some(if mark.is_empty() { Mark::Nothing } else { Mark::Number(mark.to_owned()) })
    }
}

fn numeral(format: &str) -> Option<Numeral> {
    match format {
        "bullet" | "none" => None,
        "lowerLetter" => Some(Numeral::LowerLetter),
        "upperLetter" => Some(Numeral::UpperLetter),
        "lowerRoman" => Some(Numeral::LowerRoman),
        "upperRoman" => Some(Numeral::UpperRoman),
        _ => Some(Numeral::Decimal),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::package::xml;
    use super::*;

    const NUMBERING: &str = "<numbering>
        <abstractNum abstractNumId='0'>
        <lvl ilvl='0'><start val='1'/><numFmt val='decimal'/><pStyle val='H1'/><lvlText val='%1.'/></lvl>
        <lvl ilvl='1'><start val='1'/><numFmt val='lowerLetter'/><pStyle val='H2'/><lvlText val='%1.%2)'/></lvl>
        <lvl ilvl='2'><numFmt val='bullet'/><lvlText val='x'/></lvl>
        <lvl ilvl='4'><numFmt val='bullet'/><lvlText val=' '/></lvl></abstractNum>
        <abstractNum abstractNumId='1'><numStyleLink val='S'/></abstractNum>
        <abstractNum abstractNumId='2'><styleLink val='S'/>
        <lvl ilvl='0'><start val='4'/><numFmt val='upperRoman'/><lvlText val='Part %1'/></lvl></abstractNum>
        <num numId='1'><abstractNumId val='0'/></num>
        <num numId='2'><abstractNumId val='0'/><lvlOverride ilvl='0'><startOverride val='7'/></lvlOverride></num>
        <num numId='3'><abstractNumId val='1'/></num></numbering>";

    #[test]
    fn items_are_counted_by_level_and_list() {
        let mut numbering = Numbering::default();
        assert_eq!(xml::read("x", NUMBERING.as_bytes(), |node| numbering.take(node)), None);
        assert_eq!(numbering.level_of("1", "H2"), Some(1));
        let mut counters = Counters::default();
        let items = [
            ("1", 0, "1."),
            ("1", 1, "1.a)"),
            ("1", 1, "1.b)"),
            ("1", 2, "-"),
            ("1", 0, "2."),
            ("1", 1, "2.a)"),
            ("2", 0, "7."),
            ("2", 0, "8."),
            ("3", 0, "Part IV"),
            ("3", 0, "Part V"),
            ("4", 0, "-"),
            ("1", 3, "-"),
            ("1", 4, ""),
        ];
        for (list, level, expected) in items {
            let mark = match counters.next(&numbering, list, level) {
                Mark::Number(mark) => mark,
                Mark::Bullet => "-".to_owned(),
                Mark::Nothing => String::new(),
            };
            assert_eq!(mark, expected, "{list} {level}");
        }
    }
}
