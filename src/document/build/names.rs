//! What the names of styles and of fields say, which word processors bring along. They are the same
//! in every language.

use crate::document::AsideKind;

/// The rank of a heading at this level of the outline; the level below the last is that of text.
pub(in crate::document) fn rank(outline: u8) -> Option<u8> {
    (outline < 9).then_some(outline + 1)
}

/// What the names of styles say that word processors bring along: the level of an outline, from 0,
/// and what is not read. The names are the same in every language.
pub(in crate::document) fn of_style(name: &str) -> (Option<u8>, Option<AsideKind>) {
    let name: String = name.to_lowercase().split_whitespace().collect();
    let number = |start: &str| {
        let digit = name.strip_prefix(start)?.as_bytes();
        matches!(digit, [b'1'..=b'9']).then(|| digit[0] - b'1')
    };
    let is_numbered = |start| number(start).is_some();
    let kind = match name.as_str() {
        "tocheading" | "contentsheading" | "tableoffigures" | "tableofauthorities"
        | "toaheading" => Some(AsideKind::Contents),
        "bibliography" | "indexheading" => Some(AsideKind::Reference),
        _ if is_numbered("toc") || is_numbered("contents") => Some(AsideKind::Contents),
        _ if is_numbered("index") => Some(AsideKind::Reference),
        _ => None,
    };
    let level = if name == "title" { Some(0) } else { number("heading") };
    (level, kind)
}

/// What the result of a field is, if it is not text.
pub(in crate::document) fn of_field(instruction: &str) -> Option<AsideKind> {
    let instruction = instruction.trim().to_uppercase();
    let mut words = instruction.split_whitespace();
    match words.next()? {
        "TOC" | "TOA" => Some(AsideKind::Contents),
        "INDEX" | "BIBLIOGRAPHY" => Some(AsideKind::Reference),
        "ADDIN" => {
            let add_in = words.next()?;
            let is_list =
                ["BIBL", "REFLIST", "BIBLIOGRAPHY"].iter().any(|end| add_in.ends_with(end));
            let is_list = is_list || add_in == "MENDELEY" && words.next() == Some("BIBLIOGRAPHY");
            is_list.then_some(AsideKind::Reference)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_not_read() {
        assert_eq!(of_style("heading 3"), (Some(2), None));
        assert_eq!(of_style("Title"), (Some(0), None));
        assert_eq!(of_style("toc 1"), (None, Some(AsideKind::Contents)));
        assert_eq!(of_style("TOC Heading"), (None, Some(AsideKind::Contents)));
        assert_eq!(of_style("Index 2"), (None, Some(AsideKind::Reference)));
        assert_eq!(of_style("heading"), (None, None));
        assert_eq!(of_style("tocsin"), (None, None));
        assert_eq!([rank(0), rank(8), rank(9)], [Some(1), Some(9), None]);
        assert_eq!(of_field(" TOC \\o \"1-3\""), Some(AsideKind::Contents));
        assert_eq!(of_field("ADDIN ZOTERO_BIBL {}"), Some(AsideKind::Reference));
        assert_eq!(of_field("ADDIN EN.REFLIST"), Some(AsideKind::Reference));
        assert_eq!(
            of_field("ADDIN Mendeley Bibliography CSL_BIBLIOGRAPHY"),
            Some(AsideKind::Reference)
        );
        assert_eq!(of_field("ADDIN ZOTERO_ITEM"), None);
        assert_eq!(of_field("HYPERLINK toc"), None);
        assert_eq!(of_field(""), None);
    }
}
