//! DOCX (ECMA-376, Transitional and Strict): the paragraphs of the main part, as they are when all
//! changes to them are accepted.

mod math;
mod numbering;
mod styles;
#[cfg(test)]
mod tests;

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
                    if extension == "txt" { decoded } else { html::render(&decoded, false).text };
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
