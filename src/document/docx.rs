//! DOCX (ECMA-376, Transitional and Strict): the paragraphs of the main part, as they are when all
//! changes to them are accepted.

mod math;
mod numbering;
mod styles;

use std::collections::HashMap;

use self::math::Math;
use self::numbering::{Counters, Mark, Numbering};
use self::styles::Styles;
use super::build::flow::{Block, Flow, join};
use super::build::names;
use super::build::signs::{self, Numeral};
use super::package::xml::{Node, Step, Tag};
use super::package::{Fault, Package, resolve};
use super::{AsideKind, Document, DocumentError, PageStatus, Source, Warning, html};

/// The part that says what the other parts are.
const RELATIONS: &str = "_rels/.rels";

pub(super) fn read(mut source: Source, bytes: &[u8]) -> Result<Document, DocumentError> {
    let mut package = Package::open(&source.uri, bytes)?;
    let mut faults = Vec::new();
    let of_package = relations(&mut package, RELATIONS, &mut faults);
    let main = main_part(&package, &of_package);
    let parts = Parts::read(&mut package, &main, &mut faults);
    source.title = title(&mut package, &of_package, &mut faults);

    let mut reader = Reader::new(&parts);
    reader.flow.builder.begin_page(None);
    match package.xml(&main, |node| reader.take(node)) {
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
    builder.warnings.extend(parts.warnings);
    Ok(builder.finish(source))
}

/// A relation of a part: what the target is, by the last word of its type, and its name.
struct Relation {
    id: String,
    kind: String,
    target: String,
}

/// The relations in this part; none if there is no such part.
fn relations(package: &mut Package<'_>, part: &str, faults: &mut Vec<Fault>) -> Vec<Relation> {
    let mut relations = Vec::new();
    // Targets are as seen from the part whose relations they are.
    let from = part.replace("_rels/", "");
    if package.has(part) {
        faults.extend(package.xml(part, |node| {
            if let Node::Start(tag) = node
                && tag.name() == "Relationship"
                && !tag.has("TargetMode", "External")
            {
                let value = |name| tag.attribute(name).unwrap_or_default();
                let kind = value("Type").rsplit('/').next().unwrap_or_default().to_owned();
                let target = resolve(&from, &value("Target"));
                relations.push(Relation { id: value("Id"), kind, target });
            }
            Step::In
        }));
    }
    relations
}

fn of_kind<'r>(relations: &'r [Relation], kind: &str) -> Option<&'r str> {
    relations.iter().find(|relation| relation.kind == kind).map(|it| it.target.as_str())
}

fn main_part(package: &Package<'_>, relations: &[Relation]) -> String {
    let stated = of_kind(relations, "officeDocument").filter(|part| package.has(part));
    stated.unwrap_or("word/document.xml").to_owned()
}

fn title(
    package: &mut Package<'_>,
    relations: &[Relation],
    faults: &mut Vec<Fault>,
) -> Option<String> {
    let part = of_kind(relations, "core-properties").unwrap_or("docProps/core.xml").to_owned();
    if !package.has(&part) {
        return None;
    }
    let (mut title, mut is_open) = (String::new(), false);
    faults.extend(package.xml(&part, |node| {
        match node {
            Node::Start(tag) => is_open = tag.name() == "title",
            Node::Text(text) if is_open => title.push_str(text),
            Node::End(_) => is_open = false,
            Node::Text(_) => {}
        }
        Step::In
    }));
    let title = super::clean::line(&title);
    Some(title).filter(|title| !title.is_empty())
}

/// What the main part refers to.
#[derive(Default)]
struct Parts {
    styles: Styles,
    numbering: Numbering,
    footnotes: HashMap<String, String>,
    endnotes: HashMap<String, String>,
    /// Documents of another format inside this one.
    chunks: HashMap<String, String>,
    warnings: Vec<Warning>,
}

impl Parts {
    fn read(package: &mut Package<'_>, main: &str, faults: &mut Vec<Fault>) -> Self {
        let (folder, name) = main.rsplit_once('/').unwrap_or(("", main));
        let relations = relations(package, &format!("{folder}/_rels/{name}.rels"), faults);
        let find = |kind: &str, package: &Package<'_>| {
            let usual = resolve(main, &format!("{kind}.xml"));
            let part = of_kind(&relations, kind).map_or(usual, str::to_owned);
            package.has(&part).then_some(part)
        };
        let mut parts = Self::default();
        if let Some(part) = find("styles", package) {
            faults.extend(package.xml(&part, |node| parts.styles.take(node)));
        }
        if let Some(part) = find("numbering", package) {
            faults.extend(package.xml(&part, |node| parts.numbering.take(node)));
        }
        if let Some(part) = find("footnotes", package) {
            parts.footnotes = notes(&parts, package, &part, faults);
        }
        if let Some(part) = find("endnotes", package) {
            parts.endnotes = notes(&parts, package, &part, faults);
        }
        for relation in relations.iter().filter(|relation| relation.kind == "aFChunk") {
            parts.chunk(package, relation, faults);
        }
        parts
    }

    /// Reads a document inside this one, if it is of a format that is text.
    fn chunk(&mut self, package: &mut Package<'_>, relation: &Relation, faults: &mut Vec<Fault>) {
        let extension = relation.target.rsplit('.').next().unwrap_or_default().to_lowercase();
        if !matches!(extension.as_str(), "html" | "htm" | "xhtml" | "txt") {
            let message = format!("the part `{}` was not read", relation.target);
            self.warnings.push(Warning::new("part_not_read", message));
            return;
        }
        let bytes = package.bytes(&relation.target);
        let decoded = bytes.map(|bytes| html::decode("-", &bytes));
        match decoded {
            Ok(Ok((decoded, warning))) => {
                self.warnings.extend(warning);
                let rendered =
                    if extension == "txt" { decoded } else { html::render(&decoded, false).0 };
                self.chunks.insert(relation.id.clone(), rendered);
            }
            Ok(Err(error)) => faults.push(Fault::Damaged(error.to_string())),
            Err(fault) => faults.push(fault),
        }
    }
}

/// The words of the notes in a part, by their identifiers.
fn notes(
    parts: &Parts,
    package: &mut Package<'_>,
    part: &str,
    faults: &mut Vec<Fault>,
) -> HashMap<String, String> {
    let mut notes = HashMap::new();
    let mut reader = Reader::new(parts);
    let mut open = None;
    faults.extend(package.xml(part, |node| {
        match &node {
            Node::Start(tag) if matches!(tag.name(), "footnote" | "endnote") => {
                // The lines that part the notes from the text are notes of a type.
                if tag.attribute("type").is_some_and(|kind| kind != "normal") {
                    return Step::Over;
                }
                open = tag.attribute("id");
                reader.flow.begin_box();
            }
            Node::End("footnote" | "endnote") => {
                let words = join(&reader.flow.end_box());
                notes.extend(open.take().map(|id| (id, words)));
            }
            _ => return reader.take(node),
        }
        Step::In
    }));
    notes
}

/// Fields inside each other; of more, only the results are known.
const MAX_FIELDS: usize = 64;

/// Where the reader stands in the main part.
struct Reader<'p> {
    flow: Flow,
    parts: &'p Parts,
    counters: Counters,
    /// The paragraphs that are open: one in a box is inside another.
    paragraphs: Vec<Paragraph>,
    fields: Vec<Field>,
    /// For each set of alternatives that is open, whether one has been read.
    alternatives: Vec<bool>,
    /// For each control that is open, what it holds.
    controls: Vec<Control>,
    math: Math,
    /// The words and notes of a paragraph that the next one continues.
    carried: Option<Paragraph>,
    is_text: bool,
    is_instruction: bool,
    is_paragraph_property: bool,
    is_run_property: bool,
    is_hidden: bool,
    is_raised: bool,
    has_images: bool,
    n_footnotes: u32,
    n_endnotes: u32,
}

/// A paragraph that is open.
#[derive(Default)]
struct Paragraph {
    words: String,
    style: Option<String>,
    level: Option<u8>,
    kind: Option<AsideKind>,
    /// The number of its list, and the level in it.
    list: Option<(String, Option<usize>)>,
    /// The next paragraph continues it.
    is_joined: bool,
    /// The outline level that it states itself.
    outline: Option<u8>,
    /// Notes and boxes, which come behind it.
    after: Vec<Block>,
}

/// A field that is open.
#[derive(Default)]
struct Field {
    instruction: String,
    is_result: bool,
    kind: Option<AsideKind>,
}

/// A content control that is open.
#[derive(Default)]
struct Control {
    kind: Option<AsideKind>,
    /// It holds no content, but a text that asks for it.
    is_placeholder: bool,
}

impl<'p> Reader<'p> {
    fn new(parts: &'p Parts) -> Self {
        Self {
            flow: Flow::default(),
            parts,
            counters: Counters::default(),
            paragraphs: Vec::new(),
            fields: Vec::new(),
            alternatives: Vec::new(),
            controls: Vec::new(),
            math: Math::default(),
            carried: None,
            is_text: false,
            is_instruction: false,
            is_paragraph_property: false,
            is_run_property: false,
            is_hidden: false,
            is_raised: false,
            has_images: false,
            n_footnotes: 0,
            n_endnotes: 0,
        }
    }

    fn take(&mut self, node: Node<'_>) -> Step {
        match node {
            Node::Start(tag) => return self.start(&tag),
            Node::End(name) => self.end(name),
            Node::Text(text) if self.is_instruction => {
                if let Some(field) = self.fields.last_mut().filter(|it| it.instruction.len() < 256)
                {
                    field.instruction.push_str(text);
                }
            }
            Node::Text(text) if self.is_text => self.words(text),
            Node::Text(_) => {}
        }
        Step::In
    }

    fn start(&mut self, tag: &Tag<'_>) -> Step {
        if self.is_paragraph_property {
            return self.paragraph_property(tag);
        }
        if self.is_run_property {
            return self.run_property(tag);
        }
        match tag.name() {
            // What was deleted or moved away, what is not text, and how it looked before.
            "del" | "moveFrom" | "delText" | "delInstrText" | "sectPr" | "tblPr" | "tblPrEx"
            | "tblGrid" | "trPr" | "tcPr" | "sdtEndPr" | "rt" => return Step::Over,
            "p" => self.begin_paragraph(),
            "pPr" => self.is_paragraph_property = true,
            "r" => (self.is_hidden, self.is_raised) = (false, false),
            "rPr" => self.is_run_property = true,
            "t" => self.is_text = true,
            "tab" | "ptab" => self.words("\t"),
            "br" | "cr" => self.words("\n"),
            "noBreakHyphen" => self.words("-"),
            "sym" => self.sign(tag),
            "tbl" => self.flow.begin_table(),
            "tr" => self.flow.begin_row(),
            "tc" => self.flow.begin_cell(),
            "txbxContent" => self.flow.begin_box(),
            "AlternateContent" => self.alternatives.push(false),
            "Choice" | "Fallback" => {
                if let Some(is_read) = self.alternatives.last_mut()
                    && std::mem::replace(is_read, true)
                {
                    return Step::Over;
                }
            }
            "sdt" => self.controls.push(Control::default()),
            "docPartGallery" => self.gallery(tag),
            "showingPlcHdr" if is_on(tag) => {
                if let Some(control) = self.controls.last_mut() {
                    control.is_placeholder = true;
                }
            }
            "sdtContent" if self.controls.last().is_some_and(|it| it.is_placeholder) => {
                return Step::Over;
            }
            "instrText" => self.is_instruction = true,
            "fldChar" => self.field(tag),
            "fldSimple" => {
                let instruction = tag.attribute("instr").unwrap_or_default();
                let kind = names::of_field(&instruction);
                self.fields.push(Field { instruction, is_result: true, kind });
            }
            "footnoteReference" => self.note(tag, false),
            "endnoteReference" => self.note(tag, true),
            "altChunk" => self.chunk(tag),
            "blip" | "imagedata" => self.has_images = true,
            _ => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    self.math.start(tag, &mut paragraph.words);
                }
            }
        }
        Step::In
    }

    fn end(&mut self, name: &str) {
        match name {
            "p" => self.end_paragraph(),
            "pPr" => self.is_paragraph_property = false,
            "rPr" => self.is_run_property = false,
            "t" => self.is_text = false,
            "tbl" => self.flow.end_table(),
            "txbxContent" => {
                let blocks = self.flow.end_box();
                match self.paragraphs.last_mut() {
                    Some(paragraph) => paragraph.after.extend(blocks),
                    None => blocks.into_iter().for_each(|block| self.flow.put(block)),
                }
            }
            "AlternateContent" => {
                self.alternatives.pop();
            }
            "sdt" => {
                self.controls.pop();
            }
            "instrText" => self.is_instruction = false,
            "fldSimple" => {
                self.fields.pop();
            }
            _ => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    self.math.end(name, &mut paragraph.words);
                }
            }
        }
    }

    fn paragraph_property(&mut self, tag: &Tag<'_>) -> Step {
        let Some(paragraph) = self.paragraphs.last_mut() else { return Step::In };
        let value = || tag.attribute("val");
        match tag.name() {
            "pStyle" => paragraph.style = value(),
            "outlineLvl" => paragraph.outline = value().and_then(|value| value.parse().ok()),
            "numId" => paragraph.list.get_or_insert_default().0 = value().unwrap_or_default(),
            "ilvl" => {
                paragraph.list.get_or_insert_default().1 = value().and_then(|it| it.parse().ok());
            }
            // These are properties of the mark that ends the paragraph.
            "del" | "moveFrom" => paragraph.is_joined = true,
            // A large letter, with the rest of its word in the next paragraph.
            "framePr" if tag.attribute("dropCap").is_some_and(|it| it != "none") => {
                paragraph.is_joined = true;
            }
            "tabs" | "pPrChange" | "rPrChange" | "sectPr" | "numberingChange" => return Step::Over,
            _ => {}
        }
        Step::In
    }

    fn run_property(&mut self, tag: &Tag<'_>) -> Step {
        match tag.name() {
            "vanish" => self.is_hidden = is_on(tag),
            "vertAlign" => self.is_raised = tag.has("val", "superscript"),
            "rPrChange" => return Step::Over,
            _ => {}
        }
        Step::In
    }

    fn begin_paragraph(&mut self) {
        self.paragraphs.push(self.carried.take().unwrap_or_default());
    }

    fn end_paragraph(&mut self) {
        let Some(mut paragraph) = self.paragraphs.pop() else { return };
        if paragraph.is_joined {
            let Paragraph { words, after, .. } = paragraph;
            self.carried = Some(Paragraph { words, after, ..Paragraph::default() });
            return;
        }
        self.settle(&mut paragraph);
        let Paragraph { words, level, kind, list, after, .. } = paragraph;
        let (list, depth) = list.map_or((None, 0), |(id, level)| (Some(id), level.unwrap_or(0)));
        let mark = list.map(|id| self.counters.next(&self.parts.numbering, &id, depth));
        self.flow.put(match (kind, level, mark) {
            (Some(kind), ..) => Block::Aside(kind, words),
            (_, Some(_), _) if words.trim().is_empty() => Block::Paragraph(String::new()),
            (_, Some(level), Some(Mark::Number(mark))) => {
                Block::Heading(level, format!("{mark} {words}"))
            }
            (_, Some(level), _) => Block::Heading(level, words),
            (_, _, Some(Mark::Number(mark))) => Block::Item { depth, mark, words },
            (_, _, Some(Mark::Bullet)) => Block::Item { depth, mark: "-".to_owned(), words },
            _ => Block::Paragraph(words),
        });
        after.into_iter().for_each(|block| self.flow.put(block));
    }

    /// Finds out what a paragraph is, from what it says itself, its style, and what it is in.
    fn settle(&mut self, paragraph: &mut Paragraph) {
        let style =
            paragraph.style.as_deref().map(|id| self.parts.styles.get(id)).unwrap_or_default();
        paragraph.level = match paragraph.outline {
            Some(outline) => names::rank(outline),
            None => style.level,
        };
        if paragraph.list.is_none() {
            paragraph.list = style.list.map(|(list, level)| {
                let id = paragraph.style.as_deref().unwrap_or_default();
                let level = self.parts.numbering.level_of(&list, id).or(level);
                (list, level)
            });
        }
        // List 0 takes a paragraph out of the list of its style.
        paragraph.list.take_if(|(id, _)| id == "0" || id.is_empty());
        if style.kind.is_some() {
            paragraph.kind = style.kind;
        } else if paragraph.level.is_some() && paragraph.kind.is_some() && self.controls.is_empty()
        {
            // A field that was left open does not go on beyond the next heading.
            paragraph.kind = None;
            self.fields.clear();
        }
    }

    /// Adds words to the open paragraph, unless they are hidden.
    fn words(&mut self, words: &str) {
        // A result inside an instruction is not shown.
        let outer = &self.fields[..self.fields.len().saturating_sub(1)];
        if self.is_hidden || outer.iter().any(|field| !field.is_result) {
            return;
        }
        let of_field = self.fields.iter().find_map(|field| field.kind);
        let of_control = || self.controls.iter().find_map(|control| control.kind);
        let kind = of_field.or_else(of_control);
        let Some(paragraph) = self.paragraphs.last_mut() else { return };
        paragraph.kind = paragraph.kind.or(kind);
        let raised: Option<String> =
            if self.is_raised { words.chars().map(html::raise).collect() } else { None };
        paragraph.words.push_str(raised.as_deref().unwrap_or(words));
    }

    fn sign(&mut self, tag: &Tag<'_>) {
        let font = tag.attribute("font").unwrap_or_default();
        let code = tag.attribute("char").and_then(|code| u32::from_str_radix(&code, 16).ok());
        // Signs of a font stand in the private area of Unicode.
        let code =
            code.map(|code| if (0xF000..=0xF0FF).contains(&code) { code - 0xF000 } else { code });
        let sign = code.and_then(|code| match u8::try_from(code) {
            Ok(byte) => signs::of_font(&font, byte),
            Err(_) => char::from_u32(code),
        });
        if let Some(sign) = sign {
            self.words(sign.encode_utf8(&mut [0; 4]));
        }
    }

    fn field(&mut self, tag: &Tag<'_>) {
        match tag.attribute("fldCharType").as_deref() {
            Some("begin") if self.fields.len() < MAX_FIELDS => self.fields.push(Field::default()),
            Some("separate") => {
                if let Some(field) = self.fields.last_mut() {
                    field.is_result = true;
                    field.kind = names::of_field(&field.instruction);
                }
            }
            Some("end") => {
                self.fields.pop();
            }
            _ => {}
        }
    }

    fn gallery(&mut self, tag: &Tag<'_>) {
        let Some(control) = self.controls.last_mut() else { return };
        control.kind = match tag.attribute("val").as_deref() {
            Some("Table of Contents") => Some(AsideKind::Contents),
            Some("Bibliographies") => Some(AsideKind::Reference),
            _ => None,
        };
    }

    /// Writes the mark of a note, and the note behind the paragraph.
    fn note(&mut self, tag: &Tag<'_>, is_endnote: bool) {
        let id = tag.attribute("id").unwrap_or_default();
        let (notes, n) = if is_endnote {
            (&self.parts.endnotes, &mut self.n_endnotes)
        } else {
            (&self.parts.footnotes, &mut self.n_footnotes)
        };
        let has_own_mark = is_on_attribute(tag, "customMarkFollows");
        if !has_own_mark {
            *n = n.saturating_add(1);
        }
        let numeral = if is_endnote { Numeral::LowerRoman } else { Numeral::Decimal };
        let mark = format!("[{}]", numeral.print(*n));
        let Some(note) = notes.get(&id).filter(|note| !note.trim().is_empty()) else { return };
        let Some(paragraph) = self.paragraphs.last_mut() else { return };
        let style = paragraph.style.as_deref().map(|id| self.parts.styles.get(id));
        let is_heading = paragraph.outline.is_some() || style.is_some_and(|it| it.level.is_some());
        let words = if has_own_mark {
            note.clone()
        } else {
            if !is_heading {
                paragraph.words.push_str(&mark);
            }
            format!("{mark} {note}")
        };
        paragraph.after.push(Block::Aside(AsideKind::Footnote, words));
    }

    /// Writes a document inside this one.
    fn chunk(&mut self, tag: &Tag<'_>) {
        let id = tag.attribute("id").unwrap_or_default();
        if let Some(words) = self.parts.chunks.get(&id) {
            self.flow.builder.passage(words, &[]);
        }
    }

    fn has_no_words(&self) -> bool {
        self.flow.is_empty() && self.paragraphs.iter().all(|it| it.words.trim().is_empty())
    }

    /// The document, with what is still open where the part is damaged.
    fn finish(mut self) -> super::build::Builder {
        while !self.paragraphs.is_empty() {
            self.end_paragraph();
        }
        if self.carried.is_some() {
            self.begin_paragraph();
            self.end_paragraph();
        }
        self.flow.finish()
    }
}

/// Whether a property is on: it is unless it says that it is not.
fn is_on(tag: &Tag<'_>) -> bool {
    !matches!(tag.attribute("val").as_deref(), Some("0" | "false" | "off"))
}

fn is_on_attribute(tag: &Tag<'_>, name: &str) -> bool {
    matches!(tag.attribute(name).as_deref(), Some("1" | "true" | "on"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::package::tests::packed;
    use super::super::{Format, Reading, read_as, source};
    use super::*;

    const STYLES: &str = "<w:styles>
        <w:style w:styleId='Titel'><w:name w:val='Title'/></w:style>
        <w:style w:styleId='berschrift1'><w:name w:val='heading 1'/><w:pPr><w:outlineLvl w:val='0'/></w:pPr></w:style>
        <w:style w:styleId='Own'><w:name w:val='Own'/><w:basedOn w:val='berschrift1'/><w:pPr><w:outlineLvl w:val='1'/></w:pPr></w:style>
        <w:style w:styleId='V1'><w:name w:val='toc 1'/></w:style>
        <w:style w:styleId='L'><w:name w:val='List Bullet'/><w:pPr><w:numPr><w:numId w:val='1'/></w:numPr></w:pPr></w:style>
        </w:styles>";
    const NUMBERING: &str = "<w:numbering>
        <w:abstractNum w:abstractNumId='0'><w:lvl w:ilvl='0'><w:numFmt w:val='bullet'/></w:lvl></w:abstractNum>
        <w:abstractNum w:abstractNumId='1'><w:lvl w:ilvl='0'><w:numFmt w:val='decimal'/><w:lvlText w:val='%1.'/></w:lvl>
        <w:lvl w:ilvl='1'><w:numFmt w:val='lowerLetter'/><w:lvlText w:val='(%2)'/></w:lvl></w:abstractNum>
        <w:num w:numId='1'><w:abstractNumId w:val='0'/></w:num>
        <w:num w:numId='2'><w:abstractNumId w:val='1'/></w:num></w:numbering>";
    const FOOTNOTES: &str = "<w:footnotes>
        <w:footnote w:type='separator' w:id='-1'><w:p><w:r><w:separator/></w:r></w:p></w:footnote>
        <w:footnote w:id='2'><w:p><w:r><w:footnoteRef/></w:r><w:r><w:t xml:space='preserve'> See </w:t></w:r></w:p>
        <w:p><w:r><w:t>there.</w:t></w:r></w:p></w:footnote></w:footnotes>";
    const ENDNOTES: &str = "<w:endnotes><w:endnote w:id='5'><w:p><w:r><w:t>End.</w:t></w:r></w:p></w:endnote></w:endnotes>";

    fn file(body: &str) -> Vec<u8> {
        let main = format!("<?xml version='1.0'?><w:document><w:body>{body}</w:body></w:document>");
        packed(&[
            ("[Content_Types].xml", "<Types/>"),
            ("word/document.xml", &main),
            ("word/styles.xml", STYLES),
            ("word/numbering.xml", NUMBERING),
            ("word/footnotes.xml", FOOTNOTES),
            ("word/endnotes.xml", ENDNOTES),
        ])
    }

    fn open(bytes: Vec<u8>) -> Result<Document, DocumentError> {
        read_as(Format::Docx, source("a.docx", &bytes), bytes, &Reading::default())
    }

    fn document(body: &str) -> Document {
        open(file(body)).unwrap()
    }

    fn check(body: &str, expected: &str) {
        let document = document(body);
        assert_eq!(document.text, expected, "{body}");
        assert_eq!(document.warnings, [], "{body}");
    }

    /// A paragraph of this style and these words.
    fn p(style: &str, words: &str) -> String {
        format!("<w:p><w:pPr><w:pStyle w:val='{style}'/></w:pPr>{}</w:p>", r(words))
    }

    fn r(words: &str) -> String {
        format!("<w:r><w:t xml:space='preserve'>{words}</w:t></w:r>")
    }

    #[test]
    fn paragraphs_headings_and_lists() {
        let body = [
            p("Titel", "The Quay"),
            p("berschrift1", "One"),
            p("", "Stone &amp; wood."),
            p("L", "first"),
            p("L", "second"),
            "<w:p><w:pPr><w:numPr><w:ilvl w:val='0'/><w:numId w:val='2'/></w:numPr></w:pPr><w:r><w:t>x</w:t></w:r></w:p>
            <w:p><w:pPr><w:numPr><w:ilvl w:val='1'/><w:numId w:val='2'/></w:numPr></w:pPr><w:r><w:t>y</w:t></w:r></w:p>
            <w:p><w:pPr><w:pStyle w:val='L'/><w:numPr><w:numId w:val='0'/></w:numPr></w:pPr><w:r><w:t>no item</w:t></w:r></w:p>"
                .into(),
            p("Own", "Two"),
            "<w:p><w:pPr><w:outlineLvl w:val='2'/></w:pPr><w:r><w:t>Three</w:t></w:r></w:p>".into(),
            p("Heading4", "Four"),
            p("berschrift1", " "),
            p("berschrift1", "Five"),
        ];
        let document = document(&body.concat());
        assert_eq!(
            document.text,
            "The Quay\n\nOne\n\nStone & wood.\n\n- first\n- second\n1. x\n  (a) y\n\nno item\n\n\
            Two\n\nThree\n\nFour\n\nFive"
        );
        let headings: Vec<_> =
            document.headings.iter().map(|h| (h.level, &document.text[h.range.clone()])).collect();
        assert_eq!(
            headings,
            [(1, "The Quay"), (1, "One"), (2, "Two"), (3, "Three"), (4, "Four"), (1, "Five")]
        );
        let labels: Vec<_> = document.pages.iter().map(|page| page.label.as_deref()).collect();
        assert_eq!(labels, [Some("The Quay"), Some("One"), Some("Five")]);
        assert_eq!(document.source.title.as_deref(), Some("The Quay"));
    }

    #[test]
    fn signs_in_a_run() {
        check(
            "<w:p><w:pPr><w:tabs><w:tab w:val='left'/></w:tabs></w:pPr><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t>
            <w:noBreakHyphen/><w:t>c</w:t><w:softHyphen/><w:t>d</w:t><w:br/><w:t>e</w:t>
            <w:sym w:font='Symbol' w:char='F061'/><w:sym w:font='X' w:char='F061'/></w:r></w:p>",
            "a b-cd\neα",
        );
        check(
            "<w:p><w:r><w:t>m</w:t></w:r><w:r><w:rPr><w:vertAlign w:val='superscript'/></w:rPr><w:t>2</w:t></w:r>
            <w:r><w:rPr><w:vertAlign w:val='superscript'/></w:rPr><w:t>nd</w:t></w:r>
            <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>
            <w:r><w:rPr><w:vanish w:val='0'/></w:rPr><w:t>x</w:t></w:r></w:p>",
            "m²ndx",
        );
        check(
            "<w:p><w:r><w:ruby><w:rt><w:r><w:t>kan</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>漢</w:t></w:r></w:rubyBase></w:ruby></w:r></w:p>",
            "漢",
        );
    }

    #[test]
    fn changes_are_accepted() {
        check(
            "<w:p><w:r><w:t>a</w:t></w:r><w:ins><w:r><w:t>b</w:t></w:r></w:ins><w:del><w:r><w:delText>c</w:delText></w:r></w:del>
            <w:moveFrom><w:r><w:t>d</w:t></w:r></w:moveFrom><w:moveTo><w:r><w:t>e</w:t></w:r></w:moveTo></w:p>
            <w:p><w:pPr><w:pStyle w:val='L'/><w:rPr><w:del/></w:rPr></w:pPr><w:r><w:t>one </w:t></w:r></w:p>
            <w:p><w:pPr><w:pPrChange><w:pPr><w:pStyle w:val='L'/></w:pPr></w:pPrChange></w:pPr><w:r><w:t>two</w:t></w:r></w:p>
            <w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr><w:r><w:t>last</w:t></w:r></w:p>",
            "abe\n\none two\n\nlast",
        );
        check(
            "<w:p><w:pPr><w:framePr w:dropCap='drop'/></w:pPr><w:r><w:t>D</w:t></w:r></w:p><w:p><w:r><w:t>eep</w:t></w:r></w:p>",
            "Deep",
        );
    }

    #[test]
    fn notes_stand_behind_their_paragraphs() {
        let document = document(
            "<w:p><w:r><w:t>Deep</w:t></w:r><w:r><w:footnoteReference w:id='2'/></w:r><w:r><w:t>, old</w:t></w:r>
            <w:r><w:endnoteReference w:id='5'/><w:footnoteReference w:id='9'/></w:r></w:p><w:p><w:r><w:t>Next.</w:t></w:r></w:p>",
        );
        assert_eq!(document.text, "Deep[1], old[i]\n\n[1] See there.\n\n[i] End.\n\nNext.");
        let asides: Vec<_> = document
            .asides
            .iter()
            .map(|aside| (aside.kind, &document.text[aside.range.clone()]))
            .collect();
        assert_eq!(
            asides,
            [(AsideKind::Footnote, "[1] See there.\n\n"), (AsideKind::Footnote, "[i] End.\n\n")]
        );
    }

    #[test]
    fn fields_show_their_results_and_contents_are_not_read() {
        let field = |kind: &str| format!("<w:r><w:fldChar w:fldCharType='{kind}'/></w:r>");
        let code = |words: &str| format!("<w:r><w:instrText>{words}</w:instrText></w:r>");
        let (begin, separate, end) = (field("begin"), field("separate"), field("end"));
        let link = format!("{begin}{}{separate}{}{end}", code("HYPERLINK x"), r("shown"));
        check(&format!("<w:p>{}{link}{}</w:p>", r("a "), r(" b")), "a shown b");
        let nested = format!(
            "{begin}{}{begin}{}{separate}{}{end}{separate}{}{end}",
            code("IF"),
            code("REF"),
            r("no"),
            r("yes")
        );
        check(&format!("<w:p>{nested}</w:p>"), "yes");
        check(&format!("<w:p>{begin}{}{}</w:p>", code("DATE"), r("open")), "open");
        check(
            "<w:p><w:fldSimple w:instr='DATE'><w:r><w:t>May</w:t></w:r></w:fldSimple></w:p>",
            "May",
        );
        let document = document(&format!(
            "<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val='Table of Contents'/></w:docPartObj></w:sdtPr>
            <w:sdtContent>{}<w:p>{begin}{}{separate}{}</w:p><w:p>{}</w:p><w:p>{end}</w:p></w:sdtContent></w:sdt>
            {}<w:p>{begin}{}{separate}{}</w:p>{}{}",
            p("berschrift1", "Contents"),
            code(" TOC \\o"),
            r("One 1"),
            r("Two 2"),
            p("V1", "Three 3"),
            code("TOC"),
            r("Four 4"),
            p("berschrift1", "One"),
            p("", "Text."),
        ));
        assert_eq!(document.to_read(0..document.text.len()), "One\n\nText.");
        assert!(document.asides.iter().all(|aside| aside.kind == AsideKind::Contents));
        assert!(document.text.starts_with("Contents\n\nOne 1\n\nTwo 2\n\nThree 3\n\nFour 4\n\n"));
    }

    #[test]
    fn tables_are_rows_and_boxes_stand_once_behind_their_paragraph() {
        let cell = |words: &str| format!("<w:tc><w:tcPr/>{}</w:tc>", p("", words));
        check(
            &format!(
                "<w:tbl><w:tr>{}{}</w:tr><w:tr>{}{}</w:tr></w:tbl>{}",
                cell("a"),
                cell("b"),
                cell("c"),
                cell(""),
                p("", "after")
            ),
            "a | b\nc\n\nafter",
        );
        check(
            &format!(
                "<w:p>{}<w:r><mc:AlternateContent><mc:Choice Requires='wps'><w:drawing><wp:posOffset>12</wp:posOffset>
                <w:txbxContent>{}</w:txbxContent></w:drawing></mc:Choice><mc:Fallback><w:pict><v:textbox>
                <w:txbxContent>{}</w:txbxContent></v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>{}</w:p>",
                r("host "),
                p("", "in a box"),
                p("", "in a box"),
                r("goes on")
            ),
            "host goes on\n\nin a box",
        );
        check(
            &format!(
                "<w:p>{}<w:pict><w:txbxContent>{}</w:txbxContent></w:pict></w:p>",
                r("a"),
                p("", "b")
            ),
            "a\n\nb",
        );
    }

    #[test]
    fn controls_that_ask_for_words_have_none() {
        check(
            &format!(
                "<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent>{}</w:sdtContent></w:sdt>
                <w:sdt><w:sdtPr><w:showingPlcHdr w:val='0'/></w:sdtPr><w:sdtContent>{}</w:sdtContent></w:sdt>",
                p("", "Click here"),
                p("", "filled in")
            ),
            "filled in",
        );
    }

    #[test]
    fn formulas_are_lines() {
        check(
            "<w:p><m:oMath><m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>c</m:t></m:r></m:den></m:f>
            <m:r><m:t>=</m:t></m:r><m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>10</m:t></m:r></m:sup></m:sSup>
            <m:d><m:dPr><m:begChr m:val='['/><m:endChr m:val=']'/></m:dPr><m:e><m:rad><m:deg/><m:e><m:r><m:t>y</m:t></m:r></m:e></m:rad></m:e></m:d>
            <m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr><m:sub><m:r><m:t>i</m:t></m:r></m:sub><m:sup/><m:e><m:r><m:t>i</m:t></m:r></m:e></m:nary>
            <m:nary><m:naryPr/><m:sub/><m:sup/><m:e><m:r><m:t>f</m:t></m:r></m:e></m:nary></m:oMath></w:p>",
            "(a+b)/c=x^(10)[√y]∑_i i∫ f",
        );
    }

    #[test]
    fn parts_are_found_by_their_relations() {
        let strict = "http://purl.oclc.org/ooxml/officeDocument/relationships";
        let bytes = packed(&[
            (
                "_rels/.rels",
                &format!(
                    "<Relationships><Relationship Id='1' Type='{strict}/officeDocument' Target='doc/main.xml'/>
                    <Relationship Id='2' Type='x/metadata/core-properties' Target='/core.xml'/></Relationships>"
                ),
            ),
            ("core.xml", "<cp:coreProperties><dc:creator>A</dc:creator><dc:title> On\nQuays </dc:title></cp:coreProperties>"),
            (
                "doc/_rels/main.xml.rels",
                &format!(
                    "<Relationships><Relationship Id='1' Type='{strict}/footnotes' Target='notes.xml'/>
                    <Relationship Id='h' Type='{strict}/aFChunk' Target='../a.html'/>
                    <Relationship Id='m' Type='{strict}/aFChunk' Target='a.mht'/></Relationships>"
                ),
            ),
            ("doc/notes.xml", FOOTNOTES),
            ("a.html", "<p>From <b>HTML</b>.</p>"),
            (
                "doc/main.xml",
                "<ns0:document xmlns:ns0='http://purl.oclc.org/ooxml/wordprocessingml/main'><ns0:body><ns0:p><ns0:r>
                <ns0:t>One</ns0:t><ns0:footnoteReference ns0:id='2'/></ns0:r></ns0:p><ns0:altChunk r:id='h'/>
                </ns0:body></ns0:document>",
            ),
        ]);
        let document = open(bytes).unwrap();
        assert_eq!(document.text, "One[1]\n\n[1] See there.\n\nFrom HTML.");
        assert_eq!(document.source.title.as_deref(), Some("On Quays"));
        let codes: Vec<_> = document.warnings.iter().map(|warning| warning.code).collect();
        assert_eq!(codes, ["part_not_read"]);
    }

    #[test]
    fn a_scan_without_words_needs_ocr() {
        let document = document("<w:p><w:drawing><a:blip/></w:drawing></w:p>");
        assert_eq!(document.pages[0].status, PageStatus::NeedsOcr);
        assert_eq!(self::document("<w:p/>").pages[0].status, PageStatus::Empty);
    }

    #[test]
    fn damaged_parts_keep_the_text_before_the_damage() {
        let whole = format!("{}<w:p><w:r><w:t>two", p("", "one"));
        let bytes = packed(&[("word/document.xml", &format!("<w:document>{whole}"))]);
        let document = open(bytes).unwrap();
        assert_eq!(document.text, "one\n\ntwo");
        assert_eq!(document.warnings[0].code, "damaged_file");
        let err = open(packed(&[("a", "b")])).unwrap_err();
        assert!(matches!(err, DocumentError::Damaged { .. }));
        assert!(err.to_string().contains("`word/document.xml`"), "{err}");
        assert!(open(packed(&[("word/document.xml", "no XML")])).is_err());
        let main = format!("<w:document>{}{}</w:document>", p("Own", "one"), p("L", "two"));
        for end in 0..main.len() {
            if let Ok(document) = open(packed(&[("word/document.xml", &main[..end])])) {
                assert!("one\n\ntwo".starts_with(&document.text));
                assert_eq!(document.warnings.len(), 1);
            }
        }
    }

    #[test]
    fn hostile_nesting_is_refused() {
        for element in
            ["w:p", "w:tbl", "w:txbxContent", "w:sdt", "m:oMath", "m:d", "w:AlternateContent"]
        {
            let deep = format!(
                "<w:p><w:r><w:t>a</w:t></w:r></w:p><w:p>{}",
                format!("<{element}>").repeat(100_000)
            );
            let document =
                open(packed(&[("word/document.xml", &format!("<w:document>{deep}"))])).unwrap();
            assert_eq!((document.text.as_str(), document.warnings.len()), ("a", 1), "{element}");
        }
        let fields =
            "<w:p><w:r><w:fldChar w:fldCharType='begin'/></w:r><w:r><w:t>a</w:t></w:r></w:p>"
                .repeat(10_000);
        assert!(!document(&fields).text.is_empty());
    }

    #[test]
    fn a_file_may_end_anywhere() {
        let bytes = file(&format!("{}{}", p("berschrift1", "One"), p("", "two")));
        for end in 0..bytes.len() {
            assert!(open(bytes[..end].to_vec()).is_err());
        }
    }

    proptest! {
        #[test]
        fn pages_cover_the_text_and_headings_lie_in_it(
            pieces in prop::collection::vec(
                "(<w:(p|tbl|tr|tc|r|t|sdt|txbxContent|del|pPr|fldSimple|m:oMath|m:d|m:sup|AlternateContent|Choice)>\
                |<w:pStyle w:val='(Own|V1|L|Titel)'/>|<w:footnoteReference w:id='2'/>|<w:tab/>|<w:p><w:r><w:t>[a-zé ]{1,9}</w:t></w:r></w:p>)",
                0..40,
            )
        ) {
            // Each element ends, the last that began first.
            let xml = pieces.concat();
            let mut open_elements: Vec<&str> = Vec::new();
            for piece in xml.split('<').skip(1).filter(|piece| !piece.contains("/>")) {
                match piece.split('>').next().unwrap().strip_prefix('/') {
                    Some(_) => drop(open_elements.pop()),
                    None => open_elements.push(piece.split(['>', ' ']).next().unwrap()),
                }
            }
            let ends: String = open_elements.iter().rev().map(|name| format!("</{name}>")).collect();
            let document = document(&format!("{xml}{ends}"));
            let mut at = 0;
            for page in &document.pages {
                prop_assert_eq!(page.range.start, at);
                at = page.range.end;
            }
            prop_assert_eq!(at, document.text.len());
            let mut at = 0;
            for heading in &document.headings {
                prop_assert!(heading.range.start >= at && !heading.range.is_empty());
                at = heading.range.end;
                prop_assert!(document.text.get(heading.range.clone()).is_some());
            }
        }

        #[test]
        fn garbled_files_do_not_panic(at in 0..4000_usize, byte in any::<u8>(), xml in "[<>/a-z:'= ]{0,80}") {
            let mut bytes = file(&p("Own", "words"));
            let n = bytes.len();
            bytes[at % n] = byte;
            let _ = open(bytes);
            let _ = open(packed(&[("word/document.xml", &xml), ("word/styles.xml", &xml)]));
        }
    }
}
