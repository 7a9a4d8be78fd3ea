//! RTF (1.9.1): the text, in whatever encodings it is in. What is written for programs, and what is
//! told twice for old ones, is passed over.

mod encodings;
#[cfg(test)]
mod tests;
mod token;

use std::collections::HashMap;

use self::encodings::{Fonts, Letters};
use self::token::{Token, Tokens};
use super::build::Builder;
use super::build::flow::{Block, Flow, join};
use super::build::names;
use super::{AsideKind, Document, DocumentError, PageStatus, Source, Warning, clean, html, text};

/// Groups inside each other; those inside more of them change nothing outside.
const MAX_DEPTH: usize = 4096;

/// Words that are kept of a title, of the name of a style, of an instruction.
const MAX_NAME_BYTES: usize = 1000;

pub(super) fn read(mut source: Source, bytes: &[u8]) -> Result<Document, DocumentError> {
    let mut reader = Reader::default();
    reader.flow.builder.begin_page(None);
    for token in Tokens::new(bytes) {
        reader.take(token);
        if reader.is_over {
            break;
        }
    }
    reader.flush();
    let mut warnings = Vec::new();
    if !reader.is_over {
        let message = "the file ends before its text does".to_owned();
        warnings.push(Warning::new("damaged_file", message));
    }
    if let Some(page) = reader.fonts.unknown {
        let encoding = reader.fonts.default.name();
        let message = format!("code page {page} is not known; read as {encoding}");
        warnings.push(Warning::new("encoding_guessed", message));
    }
    if reader.n_unknown > 0 {
        warnings.push(text::lossy(reader.fonts.default, reader.n_unknown));
    }
    source.title = Some(clean::line(&reader.title)).filter(|title| !title.is_empty());
    let has_images = reader.has_images;
    let mut builder = reader.finish();
    if has_images && builder.len() == 0 {
        builder.status(PageStatus::NeedsOcr);
    }
    builder.warnings.extend(warnings);
    Ok(builder.finish(source))
}

/// Where text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Destination {
    #[default]
    Text,
    /// Nowhere, nor that of the groups inside.
    Skipped,
    /// Nowhere; groups inside may have their own.
    Silent,
    Fonts,
    Styles,
    Title,
    Instruction,
    /// The mark of an item.
    Mark,
}

/// What ends with a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Note,
    Box,
}

/// What a group leaves as it was before it.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    destination: Destination,
    /// The group is a note or a box.
    inside: Option<Inside>,
    font: i32,
    /// Characters behind a Unicode character that stand for it in old programs.
    n_fallback: usize,
    is_hidden: bool,
    is_deleted: bool,
    is_raised: bool,
    /// The result of a field is not text.
    kind: Option<AsideKind>,
    style: i32,
    outline: Option<u8>,
    is_in_table: bool,
    table_depth: usize,
    list_level: usize,
}

/// A style of paragraphs.
#[derive(Debug, Clone, Copy, Default)]
struct Style {
    level: Option<u8>,
    kind: Option<AsideKind>,
}

/// A paragraph that is open.
#[derive(Default)]
struct Paragraph {
    words: String,
    /// The mark of the item that it is.
    mark: Option<String>,
    kind: Option<AsideKind>,
    /// Notes and boxes, which come behind it.
    after: Vec<Block>,
    /// Tables that are open around it.
    n_tables: usize,
}

/// Where the reader stands in the file.
struct Reader {
    flow: Flow,
    fonts: Fonts,
    default_font: i32,
    styles: HashMap<i32, Style>,
    state: State,
    /// The states around this one.
    groups: Vec<State>,
    /// Groups that are too deep to have a state.
    n_ignored: usize,
    /// The group says that it may be passed over by those who do not know it.
    is_optional: bool,
    /// The paragraphs that are open: one in a box or a note is inside another.
    paragraphs: Vec<Paragraph>,
    /// Bytes that wait for the rest of their character, and what they are.
    bytes: Vec<u8>,
    letters: Letters,
    /// Characters still to be passed over.
    n_to_skip: usize,
    /// The first half of a character beyond U+FFFF.
    high: Option<u32>,
    style_name: String,
    title: String,
    instruction: String,
    n_notes: u32,
    /// A note's mark was written, and its note has not come.
    has_mark: bool,
    has_images: bool,
    n_unknown: usize,
    is_over: bool,
}

impl Default for Reader {
    fn default() -> Self {
        let fonts = Fonts::default();
        Self {
            flow: Flow::default(),
            letters: Letters::Encoded(fonts.default),
            fonts,
            default_font: 0,
            styles: HashMap::new(),
            state: State { n_fallback: 1, ..State::default() },
            groups: Vec::new(),
            n_ignored: 0,
            is_optional: false,
            paragraphs: vec![Paragraph::default()],
            bytes: Vec::new(),
            n_to_skip: 0,
            high: None,
            style_name: String::new(),
            title: String::new(),
            instruction: String::new(),
            n_notes: 0,
            has_mark: false,
            has_images: false,
            n_unknown: 0,
            is_over: false,
        }
    }
}

impl Reader {
    fn take(&mut self, token: Token<'_>) {
        match token {
            Token::Text(bytes) => {
                self.is_optional = false;
                let n = self.n_to_skip.min(bytes.len());
                self.n_to_skip -= n;
                self.bytes(&bytes[n..]);
            }
            Token::Hex(byte) => {
                self.is_optional = false;
                if self.n_to_skip > 0 {
                    self.n_to_skip -= 1;
                } else {
                    self.bytes(&[byte]);
                }
            }
            Token::Open => {
                self.stop_skipping();
                if self.n_ignored > 0 || self.groups.len() >= MAX_DEPTH {
                    self.n_ignored += 1;
                } else {
                    self.groups.push(self.state);
                    self.state.inside = None;
                }
            }
            Token::Close => {
                self.stop_skipping();
                self.close();
            }
            Token::Symbol(symbol) => {
                self.flush();
                self.symbol(symbol);
            }
            Token::Word(word, number) => {
                // A character beyond U+FFFF is two words with what stands for them between.
                if word != "u" {
                    self.stop_skipping();
                }
                self.flush();
                self.word(word, number);
                self.is_optional = false;
            }
        }
    }

    fn stop_skipping(&mut self) {
        self.flush();
        self.n_to_skip = 0;
        self.high = None;
    }

    fn close(&mut self) {
        self.is_optional = false;
        if self.n_ignored > 0 {
            self.n_ignored -= 1;
            return;
        }
        if self.state.destination == Destination::Styles {
            self.end_style();
        }
        if let Some(inside) = self.state.inside {
            self.end_inside(inside);
        }
        match self.groups.pop() {
            Some(state) => self.state = state,
            None => self.is_over = true,
        }
        self.is_over |= self.groups.is_empty();
    }

    fn symbol(&mut self, symbol: u8) {
        match symbol {
            b'*' => {
                self.is_optional = true;
                return;
            }
            _ if self.n_to_skip > 0 && symbol != b'\n' => self.n_to_skip -= 1,
            b'\\' | b'{' | b'}' => self.bytes(&[symbol]),
            b'~' => self.collect("\u{A0}"),
            b'_' => self.collect("-"),
            b'\n' | b'\r' if self.state.destination == Destination::Text => self.end_paragraph(),
            _ => {}
        }
        self.is_optional = false;
    }

    fn word(&mut self, word: &str, number: Option<i32>) {
        if self.state.destination == Destination::Skipped {
            return;
        }
        let is_on = number != Some(0);
        match word {
            "u" => self.unicode(number.unwrap_or(0)),
            "uc" => {
                self.state.n_fallback =
                    number.and_then(|n| usize::try_from(n).ok()).unwrap_or(1).min(16);
            }
            "f" if self.state.destination != Destination::Fonts => {
                self.state.font = number.unwrap_or(0);
            }
            "f" | "fcharset" | "cpg" => self.fonts.define(word, number),
            "ansicpg" => self.fonts.set_code_page(number.unwrap_or(0)),
            "mac" => self.fonts.set_code_page(10000),
            "pc" => self.fonts.set_code_page(437),
            "pca" => self.fonts.set_code_page(850),
            "deff" => {
                self.default_font = number.unwrap_or(0);
                self.state.font = self.default_font;
            }
            "v" => self.state.is_hidden = is_on,
            "deleted" => self.state.is_deleted = is_on,
            "super" => self.state.is_raised = is_on,
            "nosupersub" | "sub" => self.state.is_raised = false,
            "plain" => self.plain(),
            "pard" => self.pard(),
            "s" => self.state.style = number.unwrap_or(0),
            "outlinelevel" => self.state.outline = number.and_then(|n| n.try_into().ok()),
            "intbl" => self.state.is_in_table = true,
            "itap" => {
                self.state.table_depth = number.and_then(|n| n.try_into().ok()).unwrap_or(0);
            }
            "ilvl" => {
                self.state.list_level = number.and_then(|n| n.try_into().ok()).unwrap_or(0);
            }
            _ if self.destination(word) => {}
            _ if self.is_optional => self.state.destination = Destination::Skipped,
            _ if self.state.destination == Destination::Text => self.sign(word),
            _ => {}
        }
    }

    fn plain(&mut self) {
        self.state.is_hidden = false;
        self.state.is_deleted = false;
        self.state.is_raised = false;
        self.state.font = self.default_font;
    }

    fn pard(&mut self) {
        self.state.style = 0;
        self.state.outline = None;
        self.state.is_in_table = false;
        self.state.table_depth = 0;
        self.state.list_level = 0;
    }

    /// Whether a word says where the text of its group goes.
    fn destination(&mut self, word: &str) -> bool {
        let destination = match word {
            "fonttbl" => Destination::Fonts,
            "stylesheet" => Destination::Styles,
            "info" | "upr" | "shpinst" | "do" => Destination::Silent,
            "field" => {
                self.instruction.clear();
                return true;
            }
            "title" => Destination::Title,
            "fldinst" => Destination::Instruction,
            "fldrslt" => {
                self.state.kind = names::of_field(&self.instruction).or(self.state.kind);
                return true;
            }
            "listtext" | "pntext" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.mark = Some(String::new());
                }
                Destination::Mark
            }
            "footnote" => {
                self.begin_inside(Inside::Note);
                return true;
            }
            "shptxt" | "dptxbxtext" => {
                self.begin_inside(Inside::Box);
                return true;
            }
            // The text in Unicode, told before in a code page.
            "ud" => self.groups.iter().rev().nth(1).map_or(Destination::Text, |it| it.destination),
            // Formulas, pictures in a form that is known, ends of rows.
            "moMath" | "moMathPara" | "shppict" | "nesttableprops" => return true,
            "pict" => {
                self.has_images = true;
                Destination::Skipped
            }
            _ if is_skipped(word) => Destination::Skipped,
            _ => return false,
        };
        self.state.destination = destination;
        true
    }

    /// A word that is a sign of the text, or ends a part of it.
    fn sign(&mut self, word: &str) {
        let sign = match word {
            "par" | "sect" => return self.end_paragraph(),
            "cell" => return self.end_cell(1),
            "nestcell" => return self.end_cell(2),
            "row" => return self.end_row(1),
            "nestrow" => return self.end_row(2),
            "chftn" => return self.note_mark(),
            "line" | "page" | "column" | "lbr" | "softline" => "\n",
            "tab" => "\t",
            "emdash" => "\u{2014}",
            "endash" => "\u{2013}",
            "lquote" => "\u{2018}",
            "rquote" => "\u{2019}",
            "ldblquote" => "\u{201C}",
            "rdblquote" => "\u{201D}",
            "bullet" => "\u{2022}",
            "emspace" | "enspace" | "qmspace" => " ",
            "zwj" => "\u{200D}",
            "zwnj" => "\u{200C}",
            _ => return,
        };
        self.collect(sign);
    }

    /// Adds bytes of text in the font of this place.
    fn bytes(&mut self, bytes: &[u8]) {
        let is_skipped =
            matches!(self.state.destination, Destination::Skipped | Destination::Silent);
        if is_skipped || bytes.is_empty() {
            return;
        }
        let letters = match self.state.destination {
            Destination::Fonts | Destination::Instruction => Letters::Encoded(self.fonts.default),
            _ => self.fonts.letters(self.state.font),
        };
        if letters != self.letters {
            self.flush();
            self.letters = letters;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes the bytes that wait.
    fn flush(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let bytes = std::mem::take(&mut self.bytes);
        match self.letters {
            Letters::Encoded(encoding) => {
                let (words, had_errors) = encoding.decode_without_bom_handling(&bytes);
                if had_errors && self.state.destination == Destination::Text {
                    self.n_unknown += text::n_unknown(&words);
                }
                self.collect(&words);
            }
            Letters::Signs(font) => {
                let words: String =
                    bytes.iter().filter_map(|&byte| self.fonts.sign(font, byte)).collect();
                self.collect(&words);
            }
        }
    }

    fn unicode(&mut self, number: i32) {
        self.n_to_skip = self.state.n_fallback;
        // The number is one of 16 bits with a sign; some write it without.
        let code = u32::try_from(if number < 0 { number + 0x1_0000 } else { number }).unwrap_or(0);
        let code = match (self.high.take(), code) {
            (_, 0xD800..0xDC00) => {
                self.high = Some(code);
                return;
            }
            (Some(high), 0xDC00..0xE000) => 0x1_0000 + ((high - 0xD800) << 10) + (code - 0xDC00),
            (_, code) => code,
        };
        let c = match code {
            // Letters of fonts with signs.
            0xF000..=0xF0FF => {
                let byte = u8::try_from(code - 0xF000).unwrap_or(0);
                self.fonts.sign(self.state.font, byte)
            }
            0 => None,
            code => Some(char::from_u32(code).unwrap_or('\u{FFFD}')),
        };
        if let Some(c) = c {
            self.collect(c.encode_utf8(&mut [0; 4]));
        }
    }

    /// Adds words to what the group is for.
    fn collect(&mut self, words: &str) {
        let name = match self.state.destination {
            Destination::Text => return self.words(words),
            Destination::Skipped | Destination::Silent => return,
            Destination::Fonts => return self.fonts.name(words),
            Destination::Styles => &mut self.style_name,
            Destination::Title => &mut self.title,
            Destination::Instruction => &mut self.instruction,
            Destination::Mark => match self.paragraphs.last_mut() {
                Some(paragraph) => paragraph.mark.get_or_insert_default(),
                None => return,
            },
        };
        if name.len() < MAX_NAME_BYTES {
            name.push_str(words);
        }
    }

    fn words(&mut self, words: &str) {
        let state = self.state;
        let Some(paragraph) = self.paragraphs.last_mut() else { return };
        if state.is_hidden || state.is_deleted {
            return;
        }
        paragraph.kind = paragraph.kind.or(state.kind);
        let raised: Option<String> =
            if state.is_raised { words.chars().map(html::raise).collect() } else { None };
        paragraph.words.push_str(raised.as_deref().unwrap_or(words));
    }

    /// A style has been defined.
    fn end_style(&mut self) {
        let name = std::mem::take(&mut self.style_name);
        let name = name.trim().trim_end_matches(';');
        if !name.is_empty() {
            let (level, kind) = names::of_style(name);
            let level = self.state.outline.or(level).and_then(names::rank);
            self.styles.insert(self.state.style, Style { level, kind });
        }
    }

    fn end_paragraph(&mut self) {
        let depth = if self.state.is_in_table { self.state.table_depth.max(1) } else { 0 };
        self.put_paragraph(depth);
    }

    fn end_cell(&mut self, depth: usize) {
        self.put_paragraph(self.state.table_depth.max(depth));
        self.flow.begin_cell();
    }

    fn end_row(&mut self, depth: usize) {
        self.put_paragraph(self.state.table_depth.max(depth));
        self.begin_row();
    }

    /// Begins a row and its first cell; each cell that ends begins the next.
    fn begin_row(&mut self) {
        self.flow.begin_row();
        self.flow.begin_cell();
    }

    /// Puts the open paragraph into a table of this depth, or into the text.
    fn put_paragraph(&mut self, depth: usize) {
        let (state, depth) = (self.state, depth.min(8));
        let Some(open) = self.paragraphs.last_mut() else { return };
        let n_tables = std::mem::replace(&mut open.n_tables, depth);
        let next = Paragraph { n_tables: depth, ..Paragraph::default() };
        let Paragraph { words, mark, kind, after, .. } = std::mem::replace(open, next);
        for _ in depth..n_tables {
            self.flow.end_table();
        }
        for _ in n_tables..depth {
            self.flow.begin_table();
            self.begin_row();
        }
        let style = self.styles.get(&state.style).copied().unwrap_or_default();
        let level = match state.outline {
            Some(outline) => names::rank(outline),
            None => style.level,
        };
        // A bullet is a sign, in whatever font.
        let number = mark.as_deref().map(clean::line);
        let number = number.filter(|mark| mark.chars().any(char::is_alphanumeric));
        self.flow.put(match (kind.or(style.kind), level) {
            (Some(kind), _) => Block::Aside(kind, words),
            (_, Some(_)) if words.trim().is_empty() => Block::Paragraph(String::new()),
            (_, Some(level)) => {
                Block::Heading(level, format!("{} {words}", number.unwrap_or_default()))
            }
            _ if mark.is_some() => {
                let mark = number.unwrap_or_else(|| "-".to_owned());
                Block::Item { depth: state.list_level, mark, words }
            }
            _ => Block::Paragraph(words),
        });
        after.into_iter().for_each(|block| self.flow.put(block));
    }

    /// Writes the mark of the note that follows.
    fn note_mark(&mut self) {
        // In the note itself, its mark comes first anyway.
        if self.is_in_note() {
            return;
        }
        self.has_mark = true;
        let mark = format!("[{}]", self.n_notes.saturating_add(1));
        let is_raised = std::mem::take(&mut self.state.is_raised);
        self.words(&mark);
        self.state.is_raised = is_raised;
    }

    fn is_in_note(&self) -> bool {
        let around = self.groups.iter().any(|state| state.inside == Some(Inside::Note));
        around || self.state.inside == Some(Inside::Note)
    }

    /// A note or a box begins.
    fn begin_inside(&mut self, inside: Inside) {
        if self.n_ignored > 0 || self.state.inside.is_some() {
            return;
        }
        self.state.inside = Some(inside);
        self.state.destination = Destination::Text;
        self.state.kind = None;
        self.pard();
        self.paragraphs.push(Paragraph::default());
        self.flow.begin_box();
    }

    fn end_inside(&mut self, inside: Inside) {
        self.end_paragraph();
        self.paragraphs.pop();
        let mut blocks = self.flow.end_box();
        if inside == Inside::Note {
            let mut words = join(&blocks);
            blocks.clear();
            if std::mem::take(&mut self.has_mark) {
                self.n_notes = self.n_notes.saturating_add(1);
                words = format!("[{}] {words}", self.n_notes);
            }
            blocks.push(Block::Aside(AsideKind::Footnote, words));
        }
        match self.paragraphs.last_mut() {
            Some(paragraph) => paragraph.after.extend(blocks),
            None => blocks.into_iter().for_each(|block| self.flow.put(block)),
        }
    }

    /// The document, with what is still open where the file is damaged.
    fn finish(mut self) -> Builder {
        while let Some(state) = self.groups.pop() {
            if let Some(inside) = self.state.inside {
                self.end_inside(inside);
            }
            self.state = state;
        }
        self.end_paragraph();
        self.flow.finish()
    }
}

/// Groups whose text is not that of the document.
fn is_skipped(word: &str) -> bool {
    let is_of_formula = word.starts_with('m') && word.ends_with("Pr");
    is_of_formula
        || matches!(
            word,
            "colortbl"
                | "header"
                | "headerl"
                | "headerr"
                | "headerf"
                | "footer"
                | "footerl"
                | "footerr"
                | "footerf"
                | "ftnsep"
                | "ftnsepc"
                | "ftncn"
                | "aftnsep"
                | "aftnsepc"
                | "aftncn"
                | "nonshppict"
                | "nonesttables"
                | "shprslt"
                | "sp"
                | "objdata"
                | "objclass"
                | "objname"
                | "annotation"
                | "atnid"
                | "atnauthor"
                | "atntime"
                | "atnicn"
                | "atnref"
                | "atrfstart"
                | "atrfend"
                | "bkmkstart"
                | "bkmkend"
                | "pntxta"
                | "pntxtb"
                | "pnseclvl"
                | "xe"
                | "tc"
                | "tcn"
                | "txe"
                | "rxe"
                | "template"
                | "listtable"
                | "listoverridetable"
                | "revtbl"
                | "rsidtbl"
                | "generator"
                | "datafield"
                | "formfield"
                | "filetbl"
                | "private"
                | "themedata"
                | "colorschememapping"
                | "latentstyles"
                | "datastore"
                | "mmathPict"
        )
}
