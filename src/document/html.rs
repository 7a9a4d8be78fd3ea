//! HTML: the text for reading, the headings remembered; what surrounds the text on its page goes.
//!
//! A menu, a notice or a hidden element that holds half of the page's words is no such thing: the
//! text is never lost to a rule of what surrounds it.

#[cfg(test)]
mod tests;
mod tree;

use std::fmt::Write as _;
use std::ops::Range;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE};

use self::tree::{Kind, Manner, Node, Role};
use super::build::Builder;
use super::{Aside, AsideKind, Document, DocumentError, Heading, Source, Warning, clean, text};

pub(super) fn read(mut source: Source, bytes: &[u8]) -> Result<Document, DocumentError> {
    let (decoded, warning) = decode(&source.uri, bytes)?;
    let rendered = render(&decoded, is_xml(&decoded));
    source.title = rendered.title;
    let mut builder = Builder::default();
    builder.begin_page(None);
    builder.passage_with_asides(&rendered.text, &rendered.headings, &rendered.asides);
    builder.warnings.extend(warning);
    Ok(builder.finish(source))
}

/// What is for reading in a page.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) text: String,
    pub(super) headings: Vec<Heading>,
    /// Without the white space behind them.
    pub(super) asides: Vec<Aside>,
    pub(super) title: Option<String>,
}

/// A page of HTML, or of XHTML, where an element may end with its own start tag.
pub(super) fn render(html: &str, is_xml: bool) -> Rendered {
    write(tree::parse(html, Manner { is_xml, is_book: false }))
}

/// A part of a book, where nothing is beside the text but what is hidden.
pub(super) fn render_book(html: &str, is_xml: bool) -> Rendered {
    write(tree::parse(html, Manner { is_xml, is_book: true }))
}

/// Writes what is for reading, and finds the title.
fn write(mut nodes: Vec<Node>) -> Rendered {
    drop_what_is_beside(&mut nodes);
    let mut writer = Writer::default();
    for part in parts(&nodes) {
        writer.walk(&nodes, part);
    }
    writer.finish();
    let title = title(&nodes, &writer.text, &writer.headings);
    Rendered { text: writer.text, headings: writer.headings, asides: writer.asides, title }
}

/// Whether a page begins as XHTML does.
pub(super) fn is_xml(html: &str) -> bool {
    html.trim_start().starts_with("<?xml")
}

/// Whether bytes begin as HTML does, after white space, comments and an XML declaration.
pub(super) fn begins_as_html(bytes: &[u8]) -> bool {
    // Zero bytes are those of UTF-16.
    let head = bytes.iter().take(8192).filter(|&&byte| byte != 0);
    let head: Vec<u8> = head.map(u8::to_ascii_lowercase).collect();
    let head = String::from_utf8_lossy(&head);
    let mut rest = head.trim_start_matches(['\u{FEFF}', '\u{FFFD}']);
    loop {
        rest = rest.trim_start();
        let end = if rest.starts_with("<!--") {
            "-->"
        } else if rest.starts_with("<?xml") {
            "?>"
        } else {
            break;
        };
        let Some(at) = rest.find(end) else { return false };
        rest = &rest[at + end.len()..];
    }
    let is_tag = |rest: &str| rest.starts_with([' ', '\t', '\r', '\n', '>', '/']);
    rest.strip_prefix("<!doctype").is_some_and(|rest| rest.trim_start().starts_with("html"))
        || rest.strip_prefix("<html").is_some_and(is_tag)
}

/// The text by its mark, else by what it says of its encoding, else as plain text is read.
pub(super) fn decode(uri: &str, bytes: &[u8]) -> Result<(String, Option<Warning>), DocumentError> {
    match stated_encoding(bytes) {
        Some(encoding) if Encoding::for_bom(bytes).is_none() => {
            let (decoded, had_errors) = encoding.decode_without_bom_handling(bytes);
            let warning = had_errors.then(|| text::lossy(encoding, text::n_unknown(&decoded)));
            Ok((decoded.into_owned(), warning))
        }
        _ => text::decode(uri, bytes),
    }
}

/// The encoding that a page says it is in, where that is not UTF-8.
pub(super) fn stated_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]).to_ascii_lowercase();
    // Words that can be read as ASCII are not in UTF-16.
    let is_none = |encoding: &_| [UTF_8, UTF_16LE, UTF_16BE, REPLACEMENT].contains(encoding);
    declared(&head).filter(|encoding| !is_none(encoding))
}

/// The encoding that a `meta` element or the XML declaration states.
fn declared(head: &str) -> Option<&'static Encoding> {
    let value = |tag: &str, key: &str| {
        let rest = tag[tag.find(key)? + key.len()..].trim_start().strip_prefix('=')?.trim_start();
        let rest = rest.trim_start_matches(['"', '\'']);
        let label = rest.split(|c: char| c.is_whitespace() || "\"';,/?>".contains(c)).next()?;
        Encoding::for_label(label.as_bytes())
    };
    let tag = |start: &str| start.split('>').next().unwrap_or_default().to_owned();
    let declaration = head.trim_start().strip_prefix("<?xml").map(tag);
    let stated = declaration.and_then(|declaration| value(&declaration, "encoding"));
    stated.or_else(|| head.split("<meta").skip(1).find_map(|meta| value(&tag(meta), "charset")))
}

/// Words up to each node: bytes that are neither white space, nor in links, nor dropped.
fn weigh(nodes: &[Node]) -> Vec<usize> {
    let mut sums = Vec::with_capacity(nodes.len() + 1);
    let (mut sum, mut skip_to) = (0, 0);
    for (at, node) in nodes.iter().enumerate() {
        sums.push(sum);
        match node.kind {
            Kind::Dropped | Kind::Link | Kind::Title => skip_to = skip_to.max(node.end),
            Kind::Words if at >= skip_to => {
                sum += node.text.bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
            }
            _ => {}
        }
    }
    sums.push(sum);
    sums
}

/// Drops what surrounds the text, unless the text is there.
fn drop_what_is_beside(nodes: &mut [Node]) {
    let sums = weigh(nodes);
    let n_all = sums[nodes.len()];
    let mut beside = Vec::new();
    let (mut at, mut n_beside) = (0, 0);
    while at < nodes.len() {
        let node = &nodes[at];
        let n = sums[node.end] - sums[at];
        if matches!(node.role, Role::Beside | Role::Header) && n * 2 <= n_all {
            beside.push(at);
            n_beside += n;
            at = node.end;
        } else {
            at += 1;
        }
    }
    if n_beside * 2 <= n_all {
        for at in beside {
            nodes[at].kind = Kind::Dropped;
        }
    }
}

/// What is read: the main part if it has half of the words, and the title before it.
fn parts(nodes: &[Node]) -> Vec<Range<usize>> {
    let sums = weigh(nodes);
    let whole = 0..nodes.len();
    let mut part = whole.clone();
    let (mut n_part, mut at) = (sums[nodes.len()], 0);
    while at < part.end {
        let node = &nodes[at];
        if node.kind == Kind::Dropped {
            at = node.end;
            continue;
        }
        let n = sums[node.end] - sums[at];
        // A part of the main part must have nearly all of it.
        let is_enough = if part == whole { n * 2 >= n_part } else { n * 5 >= n_part * 4 };
        if node.role == Role::Main && is_enough {
            part = at..node.end;
            n_part = n;
        }
        at += 1;
    }
    let titles = ranges(nodes, Kind::Heading(1));
    match titles.as_slice() {
        [title] if title.end <= part.start => vec![title.clone(), part],
        _ => vec![part],
    }
}

/// The elements of a kind, those that were dropped left out.
fn ranges(nodes: &[Node], kind: Kind) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < nodes.len() {
        if nodes[at].kind == Kind::Dropped {
            at = nodes[at].end;
            continue;
        }
        if nodes[at].kind == kind {
            found.push(at..nodes[at].end);
        }
        at += 1;
    }
    found
}

/// The words of some nodes as one line.
fn line(nodes: &[Node]) -> String {
    let words: String = nodes.iter().map(|node| node.text.as_str()).collect();
    clean::line(&words)
}

/// The title that the page states, without the name of its site where the first heading says what
/// the rest is.
fn title(nodes: &[Node], text: &str, headings: &[Heading]) -> Option<String> {
    let title = line(&nodes[ranges(nodes, Kind::Title).first()?.clone()]);
    let heading = headings.iter().find(|heading| heading.level == 1);
    let heading = heading.map(|heading| &text[heading.range.clone()]);
    let is_site = |rest: &str| {
        let rest = rest.trim_start();
        rest.starts_with(['|', '-', '\u{2013}', '\u{2014}', '\u{B7}', '\u{BB}', ':'])
    };
    match heading {
        Some(heading) if title.strip_prefix(heading).is_some_and(is_site) => {
            Some(heading.to_owned())
        }
        _ => Some(title).filter(|title| !title.is_empty()),
    }
}

/// Deeper lists are not set in further.
const MAX_INDENT: usize = 8;

/// The text so far, and where in the tree it stands.
#[derive(Default)]
struct Writer {
    text: String,
    headings: Vec<Heading>,
    asides: Vec<Aside>,
    /// Asides inside each other that are open; of the outermost, what it is and where its words
    /// begin.
    n_asides: usize,
    aside: Option<(AsideKind, Option<usize>)>,
    /// Line breaks before the next word.
    n_breaks: usize,
    /// White space before the next word.
    is_apart: bool,
    /// The bullet or number of an item that has no words yet.
    mark: Option<String>,
    /// The number of the next item of each open list; `None` for bullets.
    lists: Vec<Option<u64>>,
    /// The outermost list has no item yet.
    is_new_list: bool,
    /// The heading that is open, and where its words begin.
    heading: Option<(u8, Option<usize>)>,
    n_headings: usize,
    /// The cells of the row that is open, in a table of data.
    row: Option<Vec<String>>,
    is_table: bool,
    n_pre: usize,
    n_links: usize,
    /// Where the text stood when the innermost link began.
    link_at: usize,
}

impl Writer {
    /// Writes these nodes.
    fn walk(&mut self, nodes: &[Node], range: Range<usize>) {
        let mut open: Vec<&Node> = Vec::new();
        let mut at = range.start;
        while at < range.end {
            while let Some(node) = open.pop_if(|node| node.end <= at) {
                self.end_node(node);
            }
            let node = &nodes[at];
            at += 1;
            match node.kind {
                Kind::Words => self.words(&node.text),
                Kind::Dropped | Kind::Title => at = node.end,
                Kind::Link if is_sign(&nodes[at..node.end]) => at = node.end,
                Kind::Link if self.is_at_word() && is_number(&nodes[at..node.end]) => {
                    self.note_mark(&line(&nodes[at..node.end]));
                    at = node.end;
                }
                Kind::NoteMark => {
                    self.note_mark(&line(&nodes[at..node.end]));
                    at = node.end;
                }
                Kind::Raised if self.raised(&nodes[at..node.end]) => at = node.end,
                kind => {
                    self.start(kind);
                    if let Some(kind) = aside(node) {
                        self.start_aside(kind);
                    }
                    open.push(node);
                }
            }
        }
        while let Some(node) = open.pop() {
            self.end_node(node);
        }
    }

    fn end_node(&mut self, node: &Node) {
        self.end(node.kind);
        if aside(node).is_some() {
            self.end_aside();
        }
    }

    fn start_aside(&mut self, kind: AsideKind) {
        self.n_asides += 1;
        if self.n_asides == 1 && !self.is_one_line() {
            self.n_breaks = 2;
            self.aside = Some((kind, None));
        }
    }

    fn end_aside(&mut self) {
        self.n_asides -= 1;
        if self.n_asides == 0 && self.aside.is_some() {
            self.end_row(); // a row that began in it is of it
        }
        if self.n_asides == 0
            && let Some((kind, Some(start))) = self.aside.take()
        {
            let range = start..self.text.trim_end().len();
            self.asides.push(Aside { range, kind });
            self.part(2);
        }
    }

    fn start(&mut self, kind: Kind) {
        match kind {
            Kind::Words
            | Kind::Title
            | Kind::Dropped
            | Kind::Inline
            | Kind::NoteMark
            | Kind::Raised => {}
            Kind::Link => {
                self.n_links += 1;
                self.link_at = self.text.len();
            }
            Kind::Break => self.line_break(),
            Kind::Rule | Kind::Paragraph => self.part(2),
            Kind::Heading(level) => {
                self.n_headings += 1;
                if self.n_headings == 1 {
                    self.mark = None;
                    self.part(2);
                    self.heading = Some((level, None));
                }
            }
            Kind::List(first) => {
                if self.lists.is_empty() {
                    self.part(2);
                    self.is_new_list = true;
                }
                self.lists.push(first);
            }
            Kind::Item(number) => self.item(number),
            Kind::Table => {
                self.part(2);
                self.is_table = true;
            }
            Kind::Row if self.is_table => {
                self.end_row();
                self.row = Some(Vec::new());
            }
            Kind::Cell if self.is_table => {
                self.row.get_or_insert_default().push(String::new());
                self.is_apart = false;
            }
            Kind::Block | Kind::Row | Kind::Cell => self.block(),
            Kind::Pre => {
                self.part(2);
                self.n_pre += 1;
            }
        }
    }

    fn end(&mut self, kind: Kind) {
        match kind {
            Kind::Link => self.n_links -= 1,
            Kind::Paragraph => self.part(2),
            Kind::Heading(_) => {
                self.n_headings -= 1;
                if self.n_headings == 0 {
                    if let Some((level, Some(start))) = self.heading.take()
                        && self.aside.is_none()
                    {
                        let range = start..self.text.len();
                        self.headings.push(Heading { range, level });
                    }
                    self.part(2);
                }
            }
            Kind::Item(_) => self.mark = None,
            Kind::List(_) => {
                self.lists.pop();
                self.part(if self.lists.is_empty() { 2 } else { 1 });
            }
            Kind::Table => {
                self.end_row();
                self.is_table = false;
                self.part(2);
            }
            Kind::Row if self.is_table => self.end_row(),
            Kind::Cell if self.is_table => {}
            Kind::Block | Kind::Row | Kind::Cell => self.block(),
            Kind::Pre => {
                self.n_pre -= 1;
                self.part(2);
            }
            _ => {}
        }
    }

    /// Parts what comes from what was: 1 by a line break, 2 by a blank line.
    fn part(&mut self, n_breaks: usize) {
        if self.is_one_line() {
            self.is_apart = true;
        } else if self.mark.is_none() {
            self.n_breaks = self.n_breaks.max(n_breaks);
        }
    }

    fn block(&mut self) {
        self.part(if self.lists.is_empty() && self.n_pre == 0 { 2 } else { 1 });
    }

    /// A break ends the line; a second one ends the paragraph.
    fn line_break(&mut self) {
        if self.n_pre > 0 && !self.is_one_line() {
            self.words("\n");
        } else {
            self.part((self.n_breaks + 1).min(2));
        }
    }

    /// Whether all words go into one line: those of a heading or a cell.
    fn is_one_line(&self) -> bool {
        self.heading.is_some() || self.row.is_some()
    }

    fn item(&mut self, number: Option<u64>) {
        let depth = self.lists.len().saturating_sub(1).min(MAX_INDENT);
        let mut mark = "  ".repeat(depth);
        match self.lists.last_mut() {
            Some(Some(next)) => {
                let number = number.unwrap_or(*next);
                let _ = write!(mark, "{number}. ");
                *next = number.saturating_add(1);
            }
            _ => mark.push_str("- "),
        }
        if self.is_one_line() {
            self.is_apart = true;
            return;
        }
        let is_after_heading =
            self.headings.last().is_some_and(|heading| heading.range.end == self.text.len());
        let is_apart = is_after_heading || self.is_at_aside();
        if self.mark.take().is_some() || self.is_new_list || is_apart {
            self.part(1);
        } else {
            self.n_breaks = 1; // items have no blank lines between them
        }
        self.is_new_list = false;
        self.mark = Some(mark);
    }

    /// Writes the row that is open, if any of its cells has words.
    fn end_row(&mut self) {
        let Some(mut cells) = self.row.take() else { return };
        while cells.last().is_some_and(String::is_empty) {
            cells.pop();
        }
        if !cells.is_empty() {
            self.part(1);
            self.begin().push_str(&cells.join(" | "));
        }
        self.part(1);
    }

    /// Writes a raised text that is a note's mark, `[1]`, or a number, in raised digits.
    fn raised(&mut self, nodes: &[Node]) -> bool {
        if nodes.len() > 8 || nodes.iter().any(|node| node.kind == Kind::Dropped) {
            return false;
        }
        let text = line(nodes);
        let begins_link = self.n_links > 0 && self.link_at == self.text.len();
        let is_link = begins_link || nodes.iter().any(|node| node.kind == Kind::Link);
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let digits: Option<String> = text.chars().map(raise).collect();
        if is_link && (is_number || text.chars().count() == 1) {
            self.words(&format!("[{text}]"));
        } else if let Some(digits) = digits {
            self.words(&digits);
        } else {
            return false;
        }
        true
    }

    /// Whether a word or a sentence ends here, with nothing behind it.
    fn is_at_word(&self) -> bool {
        let is_end = |c: char| c.is_alphabetic() || ".,;:!?)\u{201D}\u{2019}".contains(c);
        let is_apart = self.is_apart || self.n_breaks > 0 || self.mark.is_some();
        !is_apart && self.row.is_none() && self.text.ends_with(is_end)
    }

    /// Writes what leads to a note: `[1]`, whatever the signs around the number are.
    fn note_mark(&mut self, mark: &str) {
        let number = mark.trim_matches(['[', ']', '(', ')']);
        if number.is_empty() || number.contains(' ') {
            self.words(mark);
        } else {
            self.words(&format!("[{number}]"));
        }
    }

    /// Adds words, runs of white space as one space; in preformatted text as they are.
    fn words(&mut self, words: &str) {
        let mut cleaned = String::with_capacity(words.len());
        clean::push(&mut cleaned, words);
        if self.n_pre > 0 && !self.is_one_line() {
            self.lines(&cleaned);
            return;
        }
        for piece in cleaned.split_inclusive(char::is_whitespace) {
            let word = piece.trim_end();
            if !word.is_empty() {
                self.begin().push_str(word);
            }
            self.is_apart |= word.len() < piece.len();
        }
    }

    /// Adds preformatted text, without the blank lines at its beginning.
    fn lines(&mut self, lines: &str) {
        let is_first = self.n_breaks > 0 || self.mark.is_some() || self.text.is_empty();
        let lines = if is_first && self.is_at_aside() {
            lines.trim_start()
        } else if is_first {
            lines.trim_start_matches('\n')
        } else {
            lines
        };
        if !lines.is_empty() {
            self.begin().push_str(lines);
        }
    }

    /// Writes what stands before the next word. Returns where the word goes.
    fn begin(&mut self) -> &mut String {
        let is_at_aside = self.is_at_aside();
        if let Some(cells) = &mut self.row {
            if cells.is_empty() {
                cells.push(String::new()); // words of a row before its first cell
            }
            let last = cells.len() - 1;
            let cell = &mut cells[last];
            if std::mem::take(&mut self.is_apart) && !cell.is_empty() {
                cell.push(' ');
            }
            return cell;
        }
        if self.n_breaks > 0 || is_at_aside {
            self.text.truncate(self.text.trim_end().len());
        }
        // Asides stand apart, whatever is before or behind them.
        let n_least = if is_at_aside { 2 } else { 0 };
        let n_breaks = std::mem::take(&mut self.n_breaks).max(n_least);
        let is_apart = std::mem::take(&mut self.is_apart);
        if self.text.is_empty() {
            // The text begins here.
        } else if n_breaks > 0 {
            self.text.extend(std::iter::repeat_n('\n', n_breaks));
        } else if is_apart && !self.text.ends_with(char::is_whitespace) {
            self.text.push(' ');
        }
        if let Some((_, start @ None)) = &mut self.aside {
            *start = Some(self.text.len());
        }
        let mark = self.mark.take().unwrap_or_default();
        self.text.push_str(if is_at_aside { mark.trim_start() } else { &mark });
        if let Some((_, start @ None)) = &mut self.heading {
            *start = Some(self.text.len());
        }
        &mut self.text
    }

    /// Whether the next word begins an aside, or is the first behind one. Nothing is set in there: the
    /// spaces would be of the sentence before, and that is read where this one is not, or not where
    /// this one is.
    fn is_at_aside(&self) -> bool {
        let is_behind = |aside: &Aside| self.text[aside.range.end..].trim_start().is_empty();
        matches!(self.aside, Some((_, None))) || self.asides.last().is_some_and(is_behind)
    }

    fn finish(&mut self) {
        self.text.truncate(self.text.trim_end().len());
    }
}

/// What an element is that is kept and not read. Words inside a line are part of the line.
fn aside(node: &Node) -> Option<AsideKind> {
    let is_apart = tree::is_block(node.kind) && !matches!(node.kind, Kind::Row | Kind::Cell);
    match node.role {
        Role::Aside(kind) if is_apart => Some(kind),
        _ => None,
    }
}

/// Whether a link shows the number of a note, without raising it.
fn is_number(link: &[Node]) -> bool {
    let [words] = link else { return false };
    (1..4).contains(&words.text.len()) && words.text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a link shows no words: a sign at a heading, or at a note the way back.
fn is_sign(link: &[Node]) -> bool {
    let Some(words) = link.first() else { return false };
    let words = words.text.trim();
    words.starts_with('\u{21A9}') || link.len() == 1 && matches!(words, "#" | "\u{A7}" | "\u{B6}")
}

/// The raised form of a digit or sign.
pub(super) fn raise(c: char) -> Option<char> {
    let raised = match c {
        '0' => '\u{2070}',
        '1' => '\u{B9}',
        '2' => '\u{B2}',
        '3' => '\u{B3}',
        '4'..='9' => return char::from_u32(u32::from(c) - u32::from('4') + 0x2074),
        '+' => '\u{207A}',
        '-' | '\u{2212}' => '\u{207B}',
        _ => return None,
    };
    Some(raised)
}
