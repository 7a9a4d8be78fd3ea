//! HTML as a tree: elements and words in the order of the file, each element with its end.
//!
//! The tokenizer follows the standard; of its rules for building a tree those are kept that say
//! where an element ends whose end tag is missing or stands in the wrong place. There is no
//! recursion, and no tag looks further up than [`REACH`] elements, so hostile nesting costs no
//! more than its length.

use html5gum::{DefaultEmitter, EndTag, StartTag, State, Token, Tokenizer};

use super::super::AsideKind;

/// An element, or words.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) role: Role,
    /// Nodes from this one up to here, without it, are inside this one.
    pub(super) end: usize,
    /// The words, where it is words.
    pub(super) text: String,
}

/// What an element does to the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Words, their entities decoded.
    Words,
    /// Nothing.
    Inline,
    /// It leads somewhere.
    Link,
    /// It leads to a note, and says so.
    NoteMark,
    /// It is raised: a note's mark, a power.
    Raised,
    Break,
    Rule,
    /// The document's title.
    Title,
    Paragraph,
    Block,
    Heading(u8),
    /// With the number of its first item, or bullets.
    List(Option<u64>),
    /// With its number, where it states one.
    Item(Option<u64>),
    /// A table of data. One that arranges a page is a block.
    Table,
    /// A row, or a group of rows.
    Row,
    Cell,
    Pre,
    /// Not for reading.
    Dropped,
}

/// What part of a page an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Plain,
    /// It says that it is the main part.
    Main,
    /// The head of a page that has shown no title and no menu so far.
    Header,
    /// Menus, asides, forms, notices, and what is not shown.
    Beside,
    /// In a book, what is kept and not read: notes, a table of contents.
    Aside(AsideKind),
}

/// How many open elements a tag looks at.
const REACH: usize = 256;

/// A heading with more text than this is none, and a cell with more arranges a page.
const MAX_LINE_BYTES: usize = 1000;

/// How a document is read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Manner {
    /// It is XML: an element may end with its own start tag.
    pub(super) is_xml: bool,
    /// It is a part of a book: nothing is beside the text but what is hidden.
    pub(super) is_book: bool,
}

/// The nodes of a document.
pub(super) fn parse(html: &str, manner: Manner) -> Vec<Node> {
    let mut tree = Tree { manner, ..Tree::default() };
    let mut tokens = Tokenizer::new_with_emitter(html, DefaultEmitter::<()>::default());
    while let Some(Ok(token)) = tokens.next() {
        match token {
            Token::StartTag(tag) => {
                if let Some(state) = tree.start(&tag) {
                    tokens.set_state(state);
                }
            }
            Token::EndTag(tag) => tree.end(&tag),
            Token::String(words) => tree.words(&words),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    tree.finish()
}

#[derive(Default)]
struct Tree {
    nodes: Vec<Node>,
    open: Vec<Open>,
    /// The latest head of the page.
    header: Option<usize>,
    manner: Manner,
}

/// An element without its end so far.
struct Open {
    name: Vec<u8>,
    node: usize,
    n_paragraphs: usize,
}

impl Tree {
    /// Opens an element. Returns how to read what follows, where that is not markup.
    fn start(&mut self, tag: &StartTag<()>) -> Option<State> {
        let name = tag.name.as_slice();
        if is_void(name) {
            match name {
                b"br" => self.leaf(Kind::Break),
                b"hr" => {
                    self.close_paragraph();
                    self.leaf(Kind::Rule);
                }
                _ => {}
            }
            return None;
        }
        let is_aside = || self.manner.is_book && aside(tag).is_some();
        if matches!(name, b"html" | b"head" | b"body") && !is_aside() {
            return None;
        }
        let kind = kind(tag);
        let is_foreign = matches!(name, b"svg" | b"math");
        let is_whole = tag.self_closing
            && (self.manner.is_xml
                || is_foreign
                || self.find(|n| n == b"svg", |_| false).is_some());
        if is_block(kind) {
            self.leave_drawing();
            self.close_paragraph();
        }
        self.close_implied(name, kind);
        let role = self.role(tag);
        self.tell_table(kind);
        self.tell_header(kind, role);
        let node = self.nodes.len();
        self.nodes.push(Node { kind, role, end: node + 1, text: String::new() });
        if role == Role::Header {
            self.header = Some(node);
        }
        if is_whole {
            return None;
        }
        self.open.push(Open { name: name.to_vec(), node, n_paragraphs: 0 });
        raw(name)
    }

    fn end(&mut self, tag: &EndTag<()>) {
        let name = tag.name.as_slice();
        let is_it = |open: &[u8]| open == name;
        let found = match name {
            b"br" => return self.leaf(Kind::Break),
            b"p" if self.find(is_it, is_scope).is_none() => return self.leaf(Kind::Paragraph),
            b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => self.find(is_heading, is_scope),
            b"table" => self.find(is_it, |_| false),
            b"caption" | b"thead" | b"tbody" | b"tfoot" | b"tr" | b"td" | b"th" => {
                self.find(is_it, |open| open == b"table")
            }
            b"li" => self.find(is_it, |open| is_scope(open) || is_list(open)),
            _ if is_block(kind_of(name)) || kind_of(name) == Kind::Dropped => {
                self.find(is_it, is_scope)
            }
            _ => self.find(is_it, |open| is_block(kind_of(open))),
        };
        if let Some(at) = found {
            self.close(at);
        }
    }

    fn words(&mut self, words: &[u8]) {
        let is_code =
            |open: &Open| self.nodes[open.node].kind == Kind::Dropped && raw(&open.name).is_some();
        if !self.open.last().is_some_and(is_code) {
            let end = self.nodes.len() + 1;
            let text = String::from_utf8_lossy(words).into_owned();
            self.nodes.push(Node { kind: Kind::Words, role: Role::Plain, end, text });
        }
    }

    fn finish(mut self) -> Vec<Node> {
        // What should be dropped and never ends would take the rest of the document along.
        for open in &self.open {
            let node = &mut self.nodes[open.node];
            if node.kind == Kind::Dropped && open.name != b"svg" && raw(&open.name).is_none() {
                node.kind = Kind::Inline;
            }
        }
        self.close(0);
        self.nodes
    }

    fn leaf(&mut self, kind: Kind) {
        let end = self.nodes.len() + 1;
        self.nodes.push(Node { kind, role: Role::Plain, end, text: String::new() });
    }

    /// The innermost open element that is meant, unless one that stops the search comes first.
    fn find(&self, is_it: impl Fn(&[u8]) -> bool, stops: impl Fn(&[u8]) -> bool) -> Option<usize> {
        for (at, open) in self.open.iter().enumerate().rev().take(REACH) {
            if is_it(&open.name) {
                return Some(at);
            }
            if stops(&open.name) {
                return None;
            }
        }
        None
    }

    /// Ends the open elements from this one on.
    fn close(&mut self, at: usize) {
        while self.open.len() > at {
            let Some(open) = self.open.pop() else { break };
            let (node, end) = (open.node, self.nodes.len());
            self.nodes[node].end = end;
            let is_long = || {
                let inside = self.nodes[node..end].iter().take(MAX_LINE_BYTES);
                inside.map(|node| node.text.len()).sum::<usize>() > MAX_LINE_BYTES
            };
            match self.nodes[node].kind {
                Kind::Heading(_) if is_long() => self.nodes[node].kind = Kind::Block,
                Kind::Cell if is_long() => {
                    if let Some(table) = self.table() {
                        self.nodes[table].kind = Kind::Block;
                    }
                }
                _ => {}
            }
        }
    }

    fn close_paragraph(&mut self) {
        if let Some(at) = self.find(|name| name == b"p", is_scope) {
            self.close(at);
        }
    }

    /// A block ends a drawing whose end tag is missing, unless the drawing has a place for blocks.
    fn leave_drawing(&mut self) {
        let at = self.find(|name| name == b"svg", |name| name == b"foreignobject");
        if let Some(at) = at {
            self.close(at);
        }
    }

    /// Ends what an element of this name ends by beginning.
    fn close_implied(&mut self, name: &[u8], kind: Kind) {
        let stops =
            |open: &[u8]| is_block(kind_of(open)) && !matches!(open, b"div" | b"p" | b"address");
        let is_table = |open: &[u8]| open == b"table";
        let found = match name {
            b"li" => self.find(|open| open == b"li", stops),
            b"dt" | b"dd" => self.find(|open| matches!(open, b"dt" | b"dd"), stops),
            b"td" | b"th" => self.find(|open| matches!(open, b"td" | b"th"), is_table),
            b"tr" => self.find(|open| open == b"tr", is_table),
            b"thead" | b"tbody" | b"tfoot" => self.find(is_table, |_| false).map(|table| table + 1),
            b"button" => self.find(|open| open == b"button", |_| false),
            _ => match kind {
                Kind::Heading(_) => self.find(is_heading, |_| true),
                Kind::Link => self.find(|open| open == b"a", |open| is_block(kind_of(open))),
                _ => None,
            },
        };
        if let Some(at) = found {
            self.close(at);
        }
    }

    /// The data table that is open.
    fn table(&self) -> Option<usize> {
        let at = self.find(|name| name == b"table", |_| false)?;
        Some(self.open[at].node).filter(|&node| self.nodes[node].kind == Kind::Table)
    }

    /// A table that holds tables, headings or paragraphs arranges a page.
    fn tell_table(&mut self, kind: Kind) {
        let arranges = match kind {
            Kind::Table | Kind::Heading(_) | Kind::Pre => true,
            Kind::Paragraph => {
                let cell = self.find(|name| matches!(name, b"td" | b"th"), |_| false);
                cell.is_some_and(|at| {
                    self.open[at].n_paragraphs += 1;
                    self.open[at].n_paragraphs > 1
                })
            }
            _ => false,
        };
        if arranges && let Some(table) = self.table() {
            self.nodes[table].kind = Kind::Block;
        }
    }

    /// The head of a page is for reading if it has the title and no menu.
    fn tell_header(&mut self, kind: Kind, role: Role) {
        let is_menu = matches!(kind, Kind::List(_)) || role == Role::Beside;
        if !is_menu && kind != Kind::Heading(1) {
            return;
        }
        let found = self.find(|name| name == b"header", is_part).map(|at| self.open[at].node);
        let Some(at) = found.filter(|_| found == self.header) else { return };
        let node = &mut self.nodes[at];
        if is_menu {
            node.role = Role::Beside;
        } else if node.role == Role::Header {
            node.role = Role::Plain;
        }
    }

    fn role(&self, tag: &StartTag<()>) -> Role {
        let name = tag.name.as_slice();
        let value = |key: &str| attribute(tag, key).unwrap_or_default().to_ascii_lowercase();
        let style: String = value("style").split_whitespace().collect();
        let is_hidden = attribute(tag, "hidden").is_some() && value("hidden") != "until-found"
            || value("aria-hidden") == "true"
            || style.contains("display:none")
            || style.contains("visibility:hidden");
        let role = value("role");
        if self.manner.is_book {
            return match aside(tag) {
                // A note may be hidden where it stands, for it is shown at its mark.
                Some(kind) if !is_hidden || kind == AsideKind::Footnote => Role::Aside(kind),
                _ if is_hidden => Role::Beside,
                _ if name == b"nav" => Role::Aside(AsideKind::Contents),
                _ => Role::Plain,
            };
        }
        if is_hidden || ROLES_BESIDE.contains(&role.as_str()) {
            return Role::Beside;
        }
        if matches!(name, b"article" | b"main") || role == "main" {
            return Role::Main;
        }
        let names = format!("{} {}", value("class"), value("id"));
        if let Some(kind) = set_apart(tag, &names) {
            return Role::Aside(kind);
        }
        if names.split_whitespace().any(is_beside) {
            return Role::Beside;
        }
        match name {
            b"aside" if names.contains("note") || role.contains("note") => Role::Plain,
            b"nav" | b"aside" | b"form" | b"dialog" | b"search" => Role::Beside,
            b"header" | b"footer" if self.find(is_part, |_| false).is_some() => Role::Plain,
            b"header" => Role::Header,
            _ if role == "banner" => Role::Header,
            b"footer" => Role::Beside,
            _ => Role::Plain,
        }
    }
}

const ROLES_BESIDE: [&str; 10] = [
    "navigation",
    "search",
    "complementary",
    "contentinfo",
    "dialog",
    "alertdialog",
    "menu",
    "menubar",
    "toolbar",
    "tooltip",
];

/// Names that authors and their tools give to what is not the text.
const NAMES_BESIDE: [&str; 24] = [
    "breadcrumb",
    "breadcrumbs",
    "footnote-back",
    "footnote-backref",
    "headerlink",
    "jump-to-nav",
    "mw-editsection",
    "mw-jump-link",
    "navbar",
    "navbox",
    "newsletter-signup",
    "noprint",
    "reversefootnote",
    "screen-reader-text",
    "sdendnotesym",
    "sdfootnotesym",
    "sidebar",
    "site-footer",
    "site-header",
    "skip-link",
    "skiplink",
    "social-share",
    "sr-only",
    "visually-hidden",
];

fn is_beside(name: &str) -> bool {
    NAMES_BESIDE.contains(&name) || ["cookie", "gdpr", "onetrust"].iter().any(|n| name.contains(n))
}

/// How the inside of an element is read that is not markup.
fn raw(name: &[u8]) -> Option<State> {
    match name {
        b"title" | b"textarea" => Some(State::RcData),
        b"script" => Some(State::ScriptData),
        b"style" | b"iframe" | b"noembed" | b"noframes" | b"xmp" => Some(State::RawText),
        b"plaintext" => Some(State::PlainText),
        _ => None,
    }
}

/// The value of an attribute, empty where it has none.
fn attribute(tag: &StartTag<()>, key: &str) -> Option<String> {
    let value = tag.attributes.get(key.as_bytes())?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// What an element of a book says it is, in the words of EPUB and of ARIA, which are the same.
fn semantics(tag: &StartTag<()>) -> String {
    let value = |key| attribute(tag, key).unwrap_or_default().to_ascii_lowercase();
    format!("{} {}", value("epub:type"), value("role").replace("doc-", ""))
}

/// What an element is that is kept and not read.
fn aside(tag: &StartTag<()>) -> Option<AsideKind> {
    semantics(tag).split_whitespace().find_map(|word| match word {
        "footnote" | "footnotes" | "endnote" | "endnotes" | "rearnote" | "rearnotes" => {
            Some(AsideKind::Footnote)
        }
        "toc" | "landmarks" | "page-list" | "loi" | "lot" => Some(AsideKind::Contents),
        "bibliography" | "index" => Some(AsideKind::Reference),
        _ => None,
    })
}

/// What a part of a page is that is kept and not read: notes and sources at its end.
///
/// - `names`: its class and its id, as pandoc, LibreOffice, Markdown programs and `MediaWiki` name them
fn set_apart(tag: &StartTag<()>, names: &str) -> Option<AsideKind> {
    if aside(tag) == Some(AsideKind::Footnote) {
        return Some(AsideKind::Footnote);
    }
    if !matches!(&tag.name[..], b"div" | b"section" | b"aside" | b"ol" | b"ul" | b"dl") {
        return None;
    }
    let is_numbered = |name: &str, of: &str| {
        name.strip_prefix(of).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    names.split_whitespace().find_map(|name| match name {
        "footnote" | "footnotes" | "endnotes" => Some(AsideKind::Footnote),
        "references" | "reflist" => Some(AsideKind::Reference),
        name if is_numbered(name, "sdfootnote") || is_numbered(name, "sdendnote") => {
            Some(AsideKind::Footnote)
        }
        _ => None,
    })
}

fn kind(tag: &StartTag<()>) -> Kind {
    let number = |key| attribute(tag, key).and_then(|value| value.trim().parse().ok());
    let semantics = semantics(tag);
    let says = |word| semantics.split_whitespace().any(|it| it == word);
    match kind_of(&tag.name) {
        _ if says("pagebreak") || says("backlink") => Kind::Dropped,
        Kind::Link if says("noteref") => Kind::NoteMark,
        // An anchor without a target is a place.
        Kind::Link if attribute(tag, "href").is_none() => Kind::Inline,
        Kind::List(Some(_)) => Kind::List(Some(number("start").unwrap_or(1))),
        Kind::Item(_) => Kind::Item(number("value")),
        Kind::Table if attribute(tag, "role").is_some_and(|role| arranges(&role)) => Kind::Block,
        kind => kind,
    }
}

/// The roles of a table that arranges a page.
fn arranges(role: &str) -> bool {
    matches!(role, "presentation" | "none")
}

fn kind_of(name: &[u8]) -> Kind {
    match name {
        b"a" => Kind::Link,
        b"sup" => Kind::Raised,
        b"title" => Kind::Title,
        b"p" => Kind::Paragraph,
        [b'h', rank @ b'1'..=b'6'] => Kind::Heading(rank - b'0'),
        b"ul" | b"menu" | b"dir" => Kind::List(None),
        b"ol" => Kind::List(Some(1)),
        b"li" => Kind::Item(None),
        b"table" => Kind::Table,
        b"tr" | b"thead" | b"tbody" | b"tfoot" => Kind::Row,
        b"td" | b"th" => Kind::Cell,
        b"pre" | b"listing" | b"xmp" | b"plaintext" => Kind::Pre,
        b"script" | b"style" | b"noscript" | b"template" | b"svg" | b"iframe" | b"noembed"
        | b"noframes" | b"object" | b"applet" | b"canvas" | b"audio" | b"video" | b"map"
        | b"button" | b"select" | b"textarea" | b"datalist" | b"rp" | b"rt" | b"annotation"
        | b"annotation-xml" => Kind::Dropped,
        b"address" | b"article" | b"aside" | b"blockquote" | b"body" | b"caption" | b"center"
        | b"dd" | b"details" | b"dialog" | b"div" | b"dl" | b"dt" | b"fieldset" | b"figcaption"
        | b"figure" | b"footer" | b"form" | b"header" | b"hgroup" | b"legend" | b"main"
        | b"nav" | b"search" | b"section" | b"summary" => Kind::Block,
        _ => Kind::Inline,
    }
}

pub(super) fn is_block(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Words
            | Kind::Inline
            | Kind::Link
            | Kind::NoteMark
            | Kind::Raised
            | Kind::Title
            | Kind::Dropped
    )
}

fn is_void(name: &[u8]) -> bool {
    matches!(
        name,
        b"area"
            | b"base"
            | b"basefont"
            | b"bgsound"
            | b"br"
            | b"col"
            | b"embed"
            | b"frame"
            | b"hr"
            | b"image"
            | b"img"
            | b"input"
            | b"keygen"
            | b"link"
            | b"meta"
            | b"param"
            | b"source"
            | b"track"
            | b"wbr"
    )
}

/// Elements that an end tag inside them does not leave.
fn is_scope(name: &[u8]) -> bool {
    matches!(name, b"table" | b"td" | b"th" | b"caption" | b"button" | b"object" | b"template")
}

fn is_heading(name: &[u8]) -> bool {
    matches!(kind_of(name), Kind::Heading(_))
}

fn is_list(name: &[u8]) -> bool {
    matches!(kind_of(name), Kind::List(_))
}

/// Parts of a page that have heads and feet of their own.
fn is_part(name: &[u8]) -> bool {
    matches!(name, b"article" | b"main" | b"section" | b"blockquote" | b"figure" | b"details")
}
