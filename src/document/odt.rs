//! ODT (OpenDocument 1.x text): the paragraphs of the content, without what was deleted from it.

mod formula;
mod lists;

use std::collections::{HashMap, HashSet};

use self::formula::Formula;
use self::lists::Lists;
use super::build::Builder;
use super::build::flow::{Block, Flow, join};
use super::package::xml::{Node, Step, Tag};
use super::package::{Fault, Package, resolve};
use super::{AsideKind, Document, DocumentError, PageStatus, Source, clean, html};

const CONTENT: &str = "content.xml";
const STYLES: &str = "styles.xml";
const META: &str = "meta.xml";
const MANIFEST: &str = "META-INF/manifest.xml";

pub(super) fn read(mut source: Source, bytes: &[u8]) -> Result<Document, DocumentError> {
    let mut package = Package::open(&source.uri, bytes)?;
    if is_locked(&mut package) {
        let (uri, kind) = (source.uri, "a text that is locked with a password");
        return Err(DocumentError::Unsupported { uri, kind });
    }
    let mut faults = Vec::new();
    let mut reader = Reader::default();
    if package.has(STYLES) {
        faults.extend(package.xml(STYLES, |node| reader.style(&node)));
    }
    if package.has(META) {
        let mut is_title = false;
        let mut title = String::new();
        faults.extend(package.xml(META, |node| {
            match node {
                Node::Start(tag) => is_title = tag.name() == "title",
                Node::Text(text) if is_title => title.push_str(text),
                Node::End(_) => is_title = false,
                Node::Text(_) => {}
            }
            Step::In
        }));
        source.title = Some(clean::line(&title)).filter(|title| !title.is_empty());
    }
    reader.formulas = formulas(&mut package, &mut faults);
    reader.flow.builder.begin_page(None);
    match package.xml(CONTENT, |node| reader.take(node)) {
        // Without a word of it, there is no document.
        Some(fault) if reader.has_no_words() => return Err(fault.error(&source.uri)),
        fault => faults.extend(fault),
    }
    let needs_ocr = reader.has_no_words() && reader.has_images;
    let mut builder = reader.finish();
    if needs_ocr {
        builder.status(PageStatus::NeedsOcr);
    }
    for fault in faults {
        builder.warnings.push(fault.warning(&source.uri)?);
    }
    Ok(builder.finish(source))
}

/// Whether the content is encrypted, or the whole package in another.
fn is_locked(package: &mut Package<'_>) -> bool {
    let mut is_locked = package.has("encrypted-package");
    let mut part = String::new();
    if package.has(MANIFEST) {
        package.xml(MANIFEST, |node| {
            if let Node::Start(tag) = node {
                match tag.name() {
                    "file-entry" => part = tag.attribute("full-path").unwrap_or_default(),
                    "encryption-data" => is_locked |= part == CONTENT,
                    _ => {}
                }
            }
            Step::In
        });
    }
    is_locked
}

/// The formulas of a text, by the names of the objects that they are.
fn formulas(package: &mut Package<'_>, faults: &mut Vec<Fault>) -> HashMap<String, String> {
    let mut formulas = HashMap::new();
    for part in package.find_all("/content.xml") {
        let mut formula = Formula::default();
        faults.extend(package.xml(&part, |node| formula.take(node)));
        let object = part.trim_end_matches("/content.xml").to_owned();
        formulas.extend(formula.finish().map(|line| (object, line)));
    }
    formulas
}

/// Where the reader stands in the content.
#[derive(Default)]
struct Reader {
    flow: Flow,
    list_styles: lists::Styles,
    lists: Lists,
    /// The style that each style of paragraphs or words is based on.
    bases: HashMap<String, String>,
    /// Styles of words and sections that are not shown.
    hidden: HashSet<String>,
    /// Styles of words that are raised.
    raised: HashSet<String>,
    /// The style whose definition is open.
    open_style: String,
    formulas: HashMap<String, String>,
    /// For each span of words that is open, whether it is raised.
    spans: Vec<bool>,
    is_body: bool,
    /// The paragraphs that are open: one in a box or a note is inside another.
    paragraphs: Vec<Paragraph>,
    /// The numbers or signs of the notes that are open.
    notes: Vec<String>,
    /// What the indexes are that are open.
    indexes: Vec<AsideKind>,
    is_citation: bool,
    has_images: bool,
}

#[derive(Default)]
struct Paragraph {
    words: String,
    level: Option<u8>,
    kind: Option<AsideKind>,
    /// How deep the item is that it begins, and its mark.
    item: Option<(usize, String)>,
    /// Notes and boxes, which come behind it.
    after: Vec<Block>,
}

impl Reader {
    fn take(&mut self, node: Node<'_>) -> Step {
        if !self.is_body {
            return self.style(&node);
        }
        match node {
            Node::Start(tag) => return self.start(&tag),
            Node::End(name) => self.end(name),
            Node::Text(text) if self.is_citation => {
                if let Some(note) = self.notes.last_mut() {
                    note.push_str(text);
                }
            }
            // A line break of the file is a space; those of the text are elements.
            Node::Text(text) => self.words(&text.replace('\n', " ")),
        }
        Step::In
    }

    /// Takes a node of the definitions of styles.
    fn style(&mut self, node: &Node<'_>) -> Step {
        if let Node::Start(tag) = node {
            match tag.name() {
                "body" => self.is_body = true,
                "style" => {
                    self.open_style = tag.attribute("name").unwrap_or_default();
                    if let Some(base) = tag.attribute("parent-style-name") {
                        self.bases.insert(self.open_style.clone(), base);
                    }
                }
                "text-properties" | "section-properties" => {
                    if tag.has("display", "none") {
                        self.hidden.insert(self.open_style.clone());
                    }
                    // A word, or how far up: `super 58%`, `33% 58%`.
                    let position = tag.attribute("text-position").unwrap_or_default();
                    if position.starts_with("super")
                        || position.starts_with(|c: char| c.is_ascii_digit())
                    {
                        self.raised.insert(self.open_style.clone());
                    }
                }
                _ => {}
            }
        }
        self.list_styles.take(node)
    }

    fn start(&mut self, tag: &Tag<'_>) -> Step {
        match tag.name() {
            // What was deleted, what others said, and what is no text.
            "tracked-changes" | "annotation" | "forms" | "script" | "hidden-text" | "ruby-text"
            | "desc" | "event-listeners" | "annotation-xml" | "placeholder" => return Step::Over,
            // The title of a picture; that of the document is a field, and shown.
            "title" if tag.prefix() != "text" => return Step::Over,
            name if name.ends_with("-source") => return Step::Over,
            "span" | "section" if self.is_hidden(tag) => return Step::Over,
            "span" => {
                let style = tag.attribute("style-name").unwrap_or_default();
                self.spans.push(self.raised.contains(&style));
            }
            "p" => self.begin_paragraph(None, tag),
            "h" => {
                let level = tag.attribute("outline-level").and_then(|level| level.parse().ok());
                self.begin_paragraph(Some(level.unwrap_or(1)), tag);
            }
            "s" => self.words(" "),
            "tab" => self.words("\t"),
            "line-break" => self.words("\n"),
            "list" => self.lists.begin(tag),
            "list-item" => self.lists.item(&self.list_styles, tag),
            "list-header" => self.lists.header(),
            "table" => self.flow.begin_table(),
            "table-row" => self.flow.begin_row(),
            "table-cell" | "covered-table-cell" => self.flow.begin_cell(),
            "text-box" => self.flow.begin_box(),
            "note" => self.notes.push(String::new()),
            "note-citation" => self.is_citation = true,
            "note-body" => self.flow.begin_box(),
            "table-of-content" | "illustration-index" | "table-index" | "object-index"
            | "user-index" => self.indexes.push(AsideKind::Contents),
            "alphabetical-index" | "bibliography" => self.indexes.push(AsideKind::Reference),
            "image" => self.has_images = true,
            "object" => {
                let object = resolve(CONTENT, &tag.attribute("href").unwrap_or_default());
                if let Some(formula) = self.formulas.get(&object.to_lowercase()).cloned() {
                    self.words(&formula);
                }
            }
            _ => {}
        }
        Step::In
    }

    fn end(&mut self, name: &str) {
        match name {
            "span" => {
                self.spans.pop();
            }
            "p" | "h" => self.end_paragraph(),
            "list" => self.lists.end(),
            "table" => self.flow.end_table(),
            "text-box" => {
                let blocks = self.flow.end_box();
                self.put_behind(blocks);
            }
            "note-citation" => self.is_citation = false,
            "note-body" => self.end_note(),
            "note" => {
                self.notes.pop();
            }
            "table-of-content" | "illustration-index" | "table-index" | "object-index"
            | "user-index" | "alphabetical-index" | "bibliography" => {
                self.indexes.pop();
            }
            _ => {}
        }
    }

    fn is_hidden(&self, tag: &Tag<'_>) -> bool {
        let style = tag.attribute("style-name").unwrap_or_default();
        tag.has("display", "none") || self.hidden.contains(&style)
    }

    /// Whether a style is that of titles, or is based on it.
    fn is_title(&self, style: &str) -> bool {
        let mut style = style;
        for _ in 0..32 {
            if style == "Title" {
                return true;
            }
            let Some(base) = self.bases.get(style) else { break };
            style = base;
        }
        false
    }

    fn begin_paragraph(&mut self, level: Option<u8>, tag: &Tag<'_>) {
        let style = tag.attribute("style-name").unwrap_or_default();
        let level = level.or_else(|| self.is_title(&style).then_some(1));
        let kind = self.indexes.last().copied();
        // Paragraphs of notes and boxes are not those of the list that they are in.
        let item =
            if self.paragraphs.is_empty() { self.lists.mark(&self.list_styles) } else { None };
        self.paragraphs.push(Paragraph { level, kind, item, ..Paragraph::default() });
    }

    fn end_paragraph(&mut self) {
        let Some(paragraph) = self.paragraphs.pop() else { return };
        let Paragraph { words, level, kind, item, after } = paragraph;
        self.flow.put(match (kind, level, item) {
            (Some(kind), ..) => Block::Aside(kind, words),
            (_, Some(level), _) => Block::Heading(level, words),
            (_, _, Some((depth, mark))) => Block::Item { depth, mark, words },
            _ => Block::Paragraph(words),
        });
        after.into_iter().for_each(|block| self.flow.put(block));
    }

    fn end_note(&mut self) {
        let words = join(&self.flow.end_box());
        let mark = self.notes.last().map(|note| clean::line(note)).unwrap_or_default();
        if words.trim().is_empty() {
            return;
        }
        let host = self.paragraphs.last_mut();
        if let Some(host) = host.filter(|host| host.level.is_none() && !mark.is_empty()) {
            host.words.push_str(&format!("[{mark}]"));
        }
        let words = if mark.is_empty() { words } else { format!("[{mark}] {words}") };
        self.put_behind(vec![Block::Aside(AsideKind::Footnote, words)]);
    }

    /// Puts blocks behind the paragraph that is open.
    fn put_behind(&mut self, blocks: Vec<Block>) {
        match self.paragraphs.last_mut() {
            Some(paragraph) => paragraph.after.extend(blocks),
            None => blocks.into_iter().for_each(|block| self.flow.put(block)),
        }
    }

    fn words(&mut self, words: &str) {
        let Some(paragraph) = self.paragraphs.last_mut() else { return };
        let is_raised = self.spans.last() == Some(&true);
        let raised: Option<String> =
            if is_raised { words.chars().map(html::raise).collect() } else { None };
        paragraph.words.push_str(raised.as_deref().unwrap_or(words));
    }

    fn has_no_words(&self) -> bool {
        self.flow.is_empty() && self.paragraphs.iter().all(|it| it.words.trim().is_empty())
    }

    /// The document, with what is still open where the content is damaged.
    fn finish(mut self) -> Builder {
        while !self.paragraphs.is_empty() {
            self.end_paragraph();
        }
        self.flow.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::package::tests::{closed, packed};
    use super::super::{Format, Reading, promises, read_as, source};
    use super::*;

    const AUTOMATIC: &str = "<office:automatic-styles>
        <style:style style:name='P1' style:parent-style-name='Title'/>
        <style:style style:name='T1'><style:text-properties text:display='none'/></style:style>
        <style:style style:name='T2'><style:text-properties style:text-position='super 58%'/></style:style>
        <style:style style:name='T3'><style:text-properties style:text-position='-33% 58%'/></style:style>
        <text:list-style style:name='L1'><text:list-level-style-number text:level='1' style:num-format='1' style:num-suffix='.'/>
        <text:list-level-style-number text:level='2' style:num-format='a' style:num-prefix='(' style:num-suffix=')' text:display-levels='2'/></text:list-style>
        <text:list-style style:name='L2'><text:list-level-style-bullet text:level='1' text:bullet-char='•'/></text:list-style>
        <text:list-style style:name='L3'><text:list-level-style-bullet text:level='1' text:bullet-char=' '/></text:list-style></office:automatic-styles>";

    fn file(body: &str) -> Vec<u8> {
        let content = format!(
            "<?xml version='1.0'?><office:document-content>{AUTOMATIC}<office:body><office:text>{body}</office:text></office:body></office:document-content>"
        );
        packed(&[
            ("mimetype", "application/vnd.oasis.opendocument.text"),
            ("content.xml", &content),
            (
                "styles.xml",
                "<office:document-styles><style:style style:name='Title'/></office:document-styles>",
            ),
            ("Object 1/content.xml", "<math><msup><mi>x</mi><mi>y</mi></msup></math>"),
            (
                "meta.xml",
                "<office:document-meta><dc:title>On\nQuays</dc:title></office:document-meta>",
            ),
        ])
    }

    fn open(bytes: Vec<u8>) -> Result<Document, DocumentError> {
        read_as(Format::Odt, source("a.odt", &bytes), bytes, &Reading::default())
    }

    fn check(body: &str, expected: &str) -> Document {
        let document = open(file(body)).unwrap();
        assert_eq!(document.text, expected, "{body}");
        assert_eq!(document.warnings, [], "{body}");
        document
    }

    #[test]
    fn paragraphs_headings_and_signs() {
        let document = check(
            "<text:p text:style-name='P1'>The Quay</text:p><text:h text:outline-level='2'>One <text:span>b</text:span></text:h>
            <text:p>a<text:s text:c='3'/>b<text:tab/>c\n d<text:line-break/>e<text:soft-page-break/>
            <text:a xlink:href='x'>link</text:a><text:span text:style-name='T1'>hidden</text:span></text:p>
            <text:section text:display='none'><text:p>hidden</text:p></text:section>
            <text:p><text:ruby><text:ruby-base>漢</text:ruby-base><text:ruby-text>kan</text:ruby-text></text:ruby>
            <text:title>field</text:title><office:annotation><text:p>remark</text:p></office:annotation></text:p><text:h>Two</text:h>",
            "The Quay\n\nOne b\n\na b c d\ne link\n\n漢 field\n\nTwo",
        );
        let headings: Vec<_> =
            document.headings.iter().map(|h| (h.level, &document.text[h.range.clone()])).collect();
        assert_eq!(headings, [(1, "The Quay"), (2, "One b"), (1, "Two")]);
        assert_eq!(document.source.title.as_deref(), Some("On Quays"));
    }

    #[test]
    fn powers_and_formulas() {
        check(
            "<text:p>m<text:span text:style-name='T2'>2</text:span><text:span text:style-name='T3'>3</text:span>4
            <draw:frame><draw:object xlink:href='./Object%201'/><draw:image xlink:href='x'/></draw:frame></text:p>",
            "m²34 x^y",
        );
    }

    #[test]
    fn lists_are_lines_with_their_numbers() {
        let item = |inside: &str| format!("<text:list-item>{inside}</text:list-item>");
        let p = |words: &str| format!("<text:p>{words}</text:p>");
        let inner = format!("<text:list>{}{}</text:list>", item(&p("x")), item(&p("y")));
        check(
            &format!(
                "<text:list text:style-name='L1'>{}{}</text:list>{}
                <text:list text:style-name='L1' text:continue-numbering='true'>{}</text:list>
                <text:list text:style-name='L1'><text:list-item text:start-value='7'>{}</text:list-item></text:list>
                <text:list text:style-name='L2'><text:list-header>{}</text:list-header>{}</text:list><text:list text:style-name='L3'>{}</text:list>",
                item(&p("a")),
                item(&format!("{}{}{inner}", p("b"), p("more"))),
                p("between"),
                item(&p("c")),
                p("g"),
                p("head"),
                item(&p("z")),
                item(&p("set in")),
            ),
            "1. a\n2. b\n\nmore\n\n  (2.a) x\n  (2.b) y\n\nbetween\n\n3. c\n7. g\n\nhead\n\n- z\n\nset in",
        );
    }

    #[test]
    fn what_was_deleted_is_gone_and_what_is_not_read_is_told() {
        let document = check(
            "<text:tracked-changes><text:changed-region><text:deletion><text:p>old</text:p></text:deletion></text:changed-region></text:tracked-changes>
            <text:table-of-content><text:table-of-content-source><text:index-title-template>no</text:index-title-template></text:table-of-content-source>
            <text:index-body><text:index-title><text:p>Contents</text:p></text:index-title><text:p>One<text:tab/>1</text:p></text:index-body></text:table-of-content>
            <text:h>One</text:h><text:p>Deep<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>See</text:p><text:p>there.</text:p></text:note-body></text:note>,
            old<text:note><text:note-citation text:label='*'>*</text:note-citation><text:note-body><text:p>End.</text:p></text:note-body></text:note></text:p>
            <text:bibliography><text:bibliography-source/><text:index-body><text:p>A. Author.</text:p></text:index-body></text:bibliography>",
            "Contents\n\nOne 1\n\nOne\n\nDeep[1], old[*]\n\n[1] See there.\n\n[*] End.\n\nA. Author.",
        );
        let kinds: Vec<_> = document.asides.iter().map(|aside| aside.kind).collect();
        use AsideKind::{Contents, Footnote, Reference};
        assert_eq!(kinds, [Contents, Contents, Footnote, Footnote, Reference]);
        assert_eq!(document.to_read(0..document.text.len()), "One\n\nDeep[1], old[*]\n\n");
    }

    #[test]
    fn tables_are_rows_and_boxes_stand_behind_their_paragraph() {
        let cell =
            |words: &str| format!("<table:table-cell><text:p>{words}</text:p></table:table-cell>");
        check(
            &format!(
                "<table:table><table:table-column/><table:table-header-rows><table:table-row>{}{}</table:table-row></table:table-header-rows>
                <table:table-row>{}<table:covered-table-cell/>{}</table:table-row></table:table>
                <text:p>host <draw:frame><draw:text-box><text:p>in a box</text:p></draw:text-box><svg:title>pic</svg:title><svg:desc>d</svg:desc></draw:frame>goes on</text:p>",
                cell("a"),
                cell("b"),
                cell("c"),
                cell("d")
            ),
            "a | b\nc | | d\n\nhost goes on\n\nin a box",
        );
    }

    #[test]
    fn a_locked_text_is_refused_and_a_damaged_one_is_read_as_far_as_it_goes() {
        let manifest = "<manifest:manifest><manifest:file-entry manifest:full-path='content.xml'>
            <manifest:encryption-data/></manifest:file-entry></manifest:manifest>";
        let err =
            open(packed(&[("META-INF/manifest.xml", manifest), ("content.xml", "x")])).unwrap_err();
        assert!(err.to_string().contains("password"), "{err}");
        assert!(matches!(open(packed(&[("a", "b")])), Err(DocumentError::Damaged { .. })));
        let content = "<a><office:body><text:p>one</text:p><text:p>two<text:note><text:note-body><text:p>n</text:p></text:note-body></text:note></text:p></office:body></a>";
        for end in (0..content.len()).filter(|&end| content.is_char_boundary(end)) {
            if let Ok(document) = open(packed(&[("content.xml", &content[..end])])) {
                // A note that is cut stands before what it belongs to.
                let is_read = ["one", "two\n\nn", "n\n\ntwo"];
                let rest = document.text.trim_start_matches("one\n\n");
                assert!(is_read.iter().any(|it| it.starts_with(rest)), "{:?}", document.text);
                assert_eq!(document.warnings[0].code, "damaged_file");
            }
        }
        let bytes = file("<text:p>a</text:p>");
        for end in 0..bytes.len() {
            assert!(open(bytes[..end].to_vec()).is_err());
        }
    }

    #[test]
    fn a_scan_without_words_needs_ocr() {
        let document =
            open(file("<text:p><draw:frame><draw:image/></draw:frame></text:p>")).unwrap();
        assert_eq!(document.pages[0].status, PageStatus::NeedsOcr);
    }

    #[test]
    fn hostile_nesting_is_refused() {
        for element in [
            "text:p",
            "table:table",
            "text:list",
            "text:note",
            "draw:text-box",
            "text:bibliography",
            "text:span",
        ] {
            let body =
                format!("<text:p>a</text:p><text:p>{}", format!("<{element}>").repeat(100_000));
            let content = format!("<a><office:body>{body}");
            let document = open(packed(&[("content.xml", &content)])).unwrap();
            assert_eq!((document.text.as_str(), document.warnings.len()), ("a", 1), "{element}");
        }
    }

    proptest! {
        #[test]
        fn pages_cover_the_text_and_headings_lie_in_it(
            pieces in prop::collection::vec(
                "(<(text:p|text:h|text:list|text:list-item|table:table|table:table-row|table:table-cell|text:note|text:note-citation|text:note-body|draw:text-box|text:bibliography|text:span)>\
                |<text:p>[a-zé ]{1,9}</text:p>|[a-z]{1,5}|<text:s/>)",
                0..40,
            )
        ) {
            let xml = closed(&pieces.concat());
            let document = open(file(&xml)).unwrap();
            promises::hold(&document);
        }

        #[test]
        fn garbled_files_do_not_panic(at in 0..4000_usize, byte in any::<u8>(), xml in "[<>/a-z:'= ]{0,80}") {
            let mut bytes = file("<text:p>words</text:p>");
            let n = bytes.len();
            bytes[at % n] = byte;
            let _ = open(bytes);
            let _ = open(packed(&[("content.xml", &xml), ("styles.xml", &xml), ("META-INF/manifest.xml", &xml)]));
        }
    }
}
