//! Lists, and how their items are marked.

use std::collections::HashMap;

use super::super::build::signs::Numeral;
use super::super::package::xml::{Node, Step, Tag};

/// Levels that a style of lists may have.
const N_LEVELS: usize = 10;

/// How the items of a level are marked.
#[derive(Debug, Clone, Default)]
struct Level {
    /// Bullets are not counted.
    numeral: Option<Numeral>,
    before: String,
    behind: String,
    start: u32,
    /// How many levels the number shows, the outer ones first.
    n_shown: usize,
    /// The bullet is a space.
    is_blank: bool,
}

/// The styles of lists, by their names.
#[derive(Debug, Default)]
pub(super) struct Styles {
    levels: HashMap<String, [Level; N_LEVELS]>,
    open: Option<String>,
}

impl Styles {
    /// Takes a node of a part that defines styles.
    pub(super) fn take(&mut self, node: &Node<'_>) -> Step {
        match node {
            Node::Start(tag) => match tag.name() {
                "list-style" => {
                    let name = tag.attribute("name").unwrap_or_default();
                    self.levels.entry(name.clone()).or_default();
                    self.open = Some(name);
                }
                "list-level-style-number" | "list-level-style-bullet" => self.level(tag),
                _ => {}
            },
            Node::End("list-style") => self.open = None,
            _ => {}
        }
        Step::In
    }

    fn level(&mut self, tag: &Tag<'_>) {
        let number = |name| tag.attribute(name).and_then(|value| value.parse::<usize>().ok());
        let Some(at) = number("level").and_then(|level| level.checked_sub(1)) else { return };
        let levels = self.open.as_ref().and_then(|name| self.levels.get_mut(name));
        let Some(level) = levels.and_then(|levels| levels.get_mut(at)) else { return };
        *level = Level {
            numeral: tag.attribute("num-format").and_then(|format| numeral(&format)),
            before: tag.attribute("num-prefix").unwrap_or_default(),
            behind: tag.attribute("num-suffix").unwrap_or_default(),
            start: number("start-value").and_then(|n| n.try_into().ok()).unwrap_or(1),
            n_shown: number("display-levels").unwrap_or(1).min(N_LEVELS),
            is_blank: tag.attribute("bullet-char").is_some_and(|bullet| bullet.trim().is_empty()),
        };
    }

    fn get(&self, name: &str, level: usize) -> Option<&Level> {
        self.levels.get(name)?.get(level)
    }
}

fn numeral(format: &str) -> Option<Numeral> {
    match format {
        "" => None,
        "a" => Some(Numeral::LowerLetter),
        "A" => Some(Numeral::UpperLetter),
        "i" => Some(Numeral::LowerRoman),
        "I" => Some(Numeral::UpperRoman),
        _ => Some(Numeral::Decimal),
    }
}

/// The lists that are open.
#[derive(Debug, Default)]
pub(super) struct Lists {
    open: Vec<List>,
    /// Where the outermost lists of each style ended, for those that go on.
    ended: HashMap<String, u32>,
}

#[derive(Debug)]
struct List {
    style: String,
    /// The number of the item that is open.
    n: Option<u32>,
    /// The item that is open has no words yet.
    is_new_item: bool,
}

impl Lists {
    pub(super) fn begin(&mut self, tag: &Tag<'_>) {
        let outer = self.open.last().map(|list| list.style.clone());
        let style = tag.attribute("style-name").or(outer).unwrap_or_default();
        let goes_on =
            tag.has("continue-numbering", "true") || tag.attribute("continue-list").is_some();
        let is_outermost = self.open.is_empty();
        let n = self.ended.get(&style).copied().filter(|_| goes_on && is_outermost);
        self.open.push(List { style, n, is_new_item: false });
    }

    pub(super) fn end(&mut self) {
        if let Some(List { style, n: Some(n), .. }) = self.open.pop()
            && self.open.is_empty()
        {
            self.ended.insert(style, n);
        }
    }

    /// An item begins.
    pub(super) fn item(&mut self, styles: &Styles, tag: &Tag<'_>) {
        let level = self.open.len().saturating_sub(1);
        let Some(list) = self.open.last_mut() else { return };
        let first = styles.get(&list.style, level).map_or(1, |level| level.start);
        let stated = tag.attribute("start-value").and_then(|value| value.parse().ok());
        let next = list.n.map_or(first, |n| n.saturating_add(1));
        list.n = Some(stated.unwrap_or(next));
        list.is_new_item = true;
    }

    /// What has no mark, though it stands in a list.
    pub(super) fn header(&mut self) {
        if let Some(list) = self.open.last_mut() {
            list.is_new_item = false;
        }
    }

    /// How deep the item is whose first paragraph this is, and its mark; nothing for any other
    /// paragraph.
    pub(super) fn mark(&mut self, styles: &Styles) -> Option<(usize, String)> {
        let depth = self.open.len().checked_sub(1)?;
        let list = self.open.last_mut()?;
        if !std::mem::replace(&mut list.is_new_item, false) {
            return None;
        }
        let list = self.open.last()?;
        let bullet = || "-".to_owned();
        let Some(level) = styles.get(&list.style, depth) else { return Some((depth, bullet())) };
        if level.is_blank {
            return None;
        }
        if level.numeral.is_none() {
            return Some((depth, bullet()));
        }
        let first = (depth + 1).saturating_sub(level.n_shown.max(1));
        let shown = self.open[first..].iter().zip(first..).filter_map(|(list, at)| {
            let numeral = styles.get(&list.style, at).and_then(|level| level.numeral)?;
            Some(numeral.print(list.n.unwrap_or(1)))
        });
        let numbers: Vec<String> = shown.collect();
        Some((depth, format!("{}{}{}", level.before, numbers.join("."), level.behind)))
    }
}
