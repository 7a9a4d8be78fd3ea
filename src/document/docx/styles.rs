//! Styles of paragraphs: which are headings, which are parts of a table of contents, which are lists.

use std::collections::HashMap;

use super::super::AsideKind;
use super::super::build::names::{of_style, rank};
use super::super::package::xml::{Node, Step, Tag};

/// Styles that a style may be based on, one after another; more are a circle.
const MAX_BASES: usize = 32;

/// What a style says of its paragraphs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// The rank of a heading, from 1.
    pub(super) level: Option<u8>,
    pub(super) kind: Option<AsideKind>,
    /// The list it belongs to, by number, and the level in it.
    pub(super) list: Option<(String, Option<usize>)>,
}

/// The styles of a document, by their identifiers.
#[derive(Debug, Default)]
pub(super) struct Styles {
    stated: HashMap<String, Stated>,
    /// The style whose definition is open.
    open: Option<(String, Stated)>,
}

/// What the definition of a style says itself.
#[derive(Debug, Default)]
struct Stated {
    name: String,
    based_on: Option<String>,
    outline: Option<u8>,
    number: Option<String>,
    list_level: Option<usize>,
}

impl Styles {
    /// Takes a node of the part that defines the styles.
    pub(super) fn take(&mut self, node: Node<'_>) -> Step {
        match node {
            Node::Start(tag) if tag.name() == "style" => {
                let id = tag.attribute("styleId").unwrap_or_default();
                self.open = Some((id, Stated::default()));
            }
            Node::Start(tag) => self.property(&tag),
            Node::End("style") => self.stated.extend(self.open.take()),
            _ => {}
        }
        Step::In
    }

    fn property(&mut self, tag: &Tag<'_>) {
        let Some((_, style)) = &mut self.open else { return };
        let value = || tag.attribute("val");
        match tag.name() {
            "name" => style.name = value().unwrap_or_default(),
            "basedOn" => style.based_on = value(),
            "outlineLvl" => style.outline = value().and_then(|value| value.parse().ok()),
            "numId" => style.number = value(),
            "ilvl" => style.list_level = value().and_then(|value| value.parse().ok()),
            _ => {}
        }
    }

    /// What a style says, with all that it is based on.
    pub(super) fn get(&self, id: &str) -> Style {
        let mut style = Style::default();
        let mut outline = None;
        let mut list_level = None;
        let mut at = Some(id);
        for _ in 0..MAX_BASES {
            let Some(id) = at else { break };
            let stated = self.stated.get(id);
            // A style that is not defined may have a name that tells what it is.
            let name = stated.map_or(id, |stated| &stated.name);
            let (level, kind) = of_style(name);
            style.kind = style.kind.or(kind);
            outline = outline.or(stated.and_then(|stated| stated.outline)).or(level);
            let Some(stated) = stated else { break };
            list_level = list_level.or(stated.list_level);
            if style.list.is_none()
                && let Some(number) = &stated.number
            {
                style.list = Some((number.clone(), list_level));
            }
            at = stated.based_on.as_deref();
        }
        style.level = outline.and_then(rank);
        style
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::package::xml;
    use super::*;

    fn styles(xml: &str) -> Styles {
        let mut styles = Styles::default();
        assert_eq!(xml::read("x", xml.as_bytes(), |node| styles.take(node)), None);
        styles
    }

    #[test]
    fn styles_are_what_they_are_based_on() {
        let styles = styles(
            "<w:styles><w:style w:styleId='berschrift2'><w:name w:val='heading 2'/></w:style>
            <w:style w:styleId='Own'><w:name w:val='Own'/><w:basedOn w:val='berschrift2'/>
            <w:pPr><w:numPr><w:ilvl w:val='1'/><w:numId w:val='7'/></w:numPr></w:pPr></w:style>
            <w:style w:styleId='Plain'><w:name w:val='Plain'/><w:basedOn w:val='Own'/>
            <w:pPr><w:outlineLvl w:val='9'/></w:pPr></w:style>
            <w:style w:styleId='V1'><w:name w:val='toc 1'/></w:style>
            <w:style w:styleId='A'><w:name w:val='a'/><w:basedOn w:val='B'/></w:style>
            <w:style w:styleId='B'><w:name w:val='b'/><w:basedOn w:val='A'/></w:style></w:styles>",
        );
        assert_eq!(styles.get("berschrift2").level, Some(2));
        let list = Some(("7".to_owned(), Some(1)));
        assert_eq!(styles.get("Own"), Style { level: Some(2), kind: None, list: list.clone() });
        assert_eq!(styles.get("Plain"), Style { level: None, kind: None, list });
        assert_eq!(styles.get("V1").kind, Some(AsideKind::Contents));
        assert_eq!(styles.get("A"), Style::default());
        assert_eq!(styles.get("Heading3").level, Some(3));
        assert_eq!(styles.get("Title").level, Some(1));
        assert_eq!(styles.get("Index9").kind, Some(AsideKind::Reference));
    }
}
