//! EPUB 2 and 3: the parts of the spine in their order, each of them a page, named as the table of
//! contents names it.

use std::collections::{HashMap, HashSet};

use super::build::Builder;
use super::package::xml::{Node, Step, Tag};
use super::package::{Fault, Package, resolve};
use super::{Aside, AsideKind, Document, DocumentError, PageStatus, Source, Warning, clean, html};

/// A cover says no more than this, beside its picture.
const MAX_COVER_BYTES: usize = 100;

pub(super) fn read(mut source: Source, bytes: &[u8]) -> Result<Document, DocumentError> {
    let mut package = Package::open(&source.uri, bytes)?;
    let mut faults = Vec::new();
    let missing = || Fault::Missing("META-INF/container.xml".to_owned()).error(&source.uri);
    let place = place_of_book(&mut package, &mut faults).ok_or_else(missing)?;
    let mut book = Book { place, ..Book::default() };
    match package.xml(&book.place.clone(), |node| book.take(node)) {
        Some(fault) if book.spine.is_empty() => return Err(fault.error(&source.uri)),
        fault => faults.extend(fault),
    }
    if book.spine.is_empty() {
        let reason = "its spine names no part".to_owned();
        return Err(Fault::Damaged(reason).error(&source.uri));
    }
    book.locked = locked(&mut package, &mut faults);
    if book.is_locked() {
        let (uri, kind) = (source.uri, "a book with copy protection");
        return Err(DocumentError::Unsupported { uri, kind });
    }
    book.labels = labels(&book, &mut package, &mut faults);
    source.title = book.title();

    let mut sections =
        Sections { book: &book, builder: Builder::default(), n_pages: 0, n_failed: 0 };
    for entry in &book.spine {
        sections.read(&mut package, entry).map_err(|fault| fault.error(&source.uri))?;
    }
    if sections.n_failed == sections.n_pages && sections.n_failed > 0 {
        let reason = format!("none of its {} parts can be read", sections.n_failed);
        return Err(Fault::Damaged(reason).error(&source.uri));
    }
    let mut builder = sections.builder;
    for fault in faults {
        builder.warnings.push(fault.warning(&source.uri)?);
    }
    Ok(builder.finish(source))
}

/// The part that describes the book.
fn place_of_book(package: &mut Package<'_>, faults: &mut Vec<Fault>) -> Option<String> {
    let mut stated = None;
    if package.has("META-INF/container.xml") {
        faults.extend(package.xml("META-INF/container.xml", |node| {
            if let Node::Start(tag) = node
                && tag.name() == "rootfile"
                && stated.is_none()
            {
                stated = tag.attribute("full-path").map(|path| resolve("", &path));
            }
            Step::In
        }));
    }
    let stated = stated.filter(|place| package.has(place));
    stated.or_else(|| package.find_all(".opf").into_iter().next())
}

/// What the book says of itself.
#[derive(Default)]
struct Book {
    /// The part that says it.
    place: String,
    /// Titles, with their identifiers.
    titles: Vec<(String, String)>,
    /// The identifier of the main title.
    main_title: Option<String>,
    items: HashMap<String, Item>,
    /// The identifiers of the parts in their order, and whether they belong to the text.
    spine: Vec<(String, bool)>,
    /// The identifier of the table of contents, in EPUB 2.
    contents: Option<String>,
    /// Parts that the book says are covers, and those that are not read.
    covers: HashSet<String>,
    asides: HashMap<String, AsideKind>,
    /// Titles of parts.
    labels: HashMap<String, String>,
    /// Parts with copy protection.
    locked: HashSet<String>,
    is_title: bool,
    is_kind_of_title: Option<String>,
}

/// A part of the book.
#[derive(Default)]
struct Item {
    part: String,
    media_type: String,
    is_contents: bool,
    /// The identifier of the part that may be read in its place.
    fallback: Option<String>,
}

impl Book {
    /// Takes a node of the part that describes the book.
    fn take(&mut self, node: Node<'_>) -> Step {
        match node {
            Node::Start(tag) => self.start(&tag),
            Node::Text(text) if self.is_title => {
                if let Some((_, title)) = self.titles.last_mut() {
                    title.push_str(text);
                }
            }
            Node::Text(text) if text.trim() == "main" => {
                self.main_title = self.is_kind_of_title.take().or(self.main_title.take());
            }
            Node::End(_) => (self.is_title, self.is_kind_of_title) = (false, None),
            Node::Text(_) => {}
        }
        Step::In
    }

    fn start(&mut self, tag: &Tag<'_>) {
        let value = |name| tag.attribute(name).unwrap_or_default();
        match tag.name() {
            "title" => {
                self.titles.push((value("id"), String::new()));
                self.is_title = true;
            }
            "meta" if tag.has("property", "title-type") => {
                let title = value("refines");
                self.is_kind_of_title = Some(title.trim_start_matches('#').to_owned());
            }
            "item" => {
                let properties = value("properties");
                let item = Item {
                    part: resolve(&self.place, &value("href")),
                    media_type: value("media-type"),
                    is_contents: properties.split_whitespace().any(|word| word == "nav"),
                    fallback: tag.attribute("fallback"),
                };
                self.items.insert(value("id"), item);
            }
            "spine" => self.contents = tag.attribute("toc"),
            "itemref" => self.spine.push((value("idref"), !tag.has("linear", "no"))),
            "reference" => self.reference(&value("type"), resolve(&self.place, &value("href"))),
            _ => {}
        }
    }

    /// What the guide of the book says of a part.
    fn reference(&mut self, kind: &str, part: String) {
        let kind = match kind.to_lowercase().as_str() {
            "cover" => {
                self.covers.insert(part);
                return;
            }
            "toc" | "loi" | "lot" => AsideKind::Contents,
            "notes" => AsideKind::Footnote,
            "bibliography" | "index" => AsideKind::Reference,
            _ => return,
        };
        self.asides.insert(part, kind);
    }

    fn title(&self) -> Option<String> {
        let main = self.main_title.as_ref();
        let main = main.and_then(|main| self.titles.iter().find(|(id, _)| id == main));
        let (_, title) = main.or(self.titles.first())?;
        Some(clean::line(title)).filter(|title| !title.is_empty())
    }

    /// The part that is read for an item: itself, or one that may stand for it.
    fn readable(&self, id: &str) -> Option<&Item> {
        let first = self.items.get(id)?;
        let mut item = first;
        for _ in 0..8 {
            if item.is_text() {
                return Some(item);
            }
            let Some(next) = item.fallback.as_ref().and_then(|id| self.items.get(id)) else {
                break;
            };
            item = next;
        }
        Some(first)
    }

    /// Whether most of the text has copy protection.
    fn is_locked(&self) -> bool {
        let parts = self.spine.iter().filter_map(|(id, _)| self.readable(id));
        let n_locked = parts.filter(|item| self.locked.contains(&item.part)).count();
        n_locked * 2 > self.spine.len()
    }
}

impl Item {
    fn is_text(&self) -> bool {
        let media_type = self.media_type.trim();
        media_type.is_empty()
            || ["text/", "application/xhtml", "application/xml", "application/x-dtbook"]
                .iter()
                .any(|start| media_type.starts_with(start))
    }
}

/// The parts that are locked. Fonts that are only made unusable elsewhere are not.
fn locked(package: &mut Package<'_>, faults: &mut Vec<Fault>) -> HashSet<String> {
    const PLACE: &str = "META-INF/encryption.xml";
    let mut locked = HashSet::new();
    let mut method = None;
    if package.has(PLACE) {
        faults.extend(package.xml(PLACE, |node| {
            let Node::Start(tag) = node else { return Step::In };
            match tag.name() {
                "EncryptedData" => method = None,
                // The methods in it are those of keys.
                "KeyInfo" | "EncryptedKey" => return Step::Over,
                "EncryptionMethod" => method = tag.attribute("Algorithm"),
                "CipherReference" => {
                    let method = method.as_deref().unwrap_or_default();
                    let is_of_font =
                        ["http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"]
                            .contains(&method);
                    if !is_of_font {
                        locked.extend(tag.attribute("URI").map(|part| resolve("", &part)));
                    }
                }
                _ => {}
            }
            Step::In
        }));
    }
    locked
}

/// The titles of the parts, from the table of contents: that of EPUB 3, or that of EPUB 2.
fn labels(
    book: &Book,
    package: &mut Package<'_>,
    faults: &mut Vec<Fault>,
) -> HashMap<String, String> {
    let mut labels = HashMap::new();
    if let Some(item) = book.items.values().find(|item| item.is_contents) {
        let mut contents = Contents::new(&item.part, &mut labels);
        faults.extend(package.xml(&item.part, |node| contents.take_nav(node)));
    }
    let stated = book.contents.as_ref().and_then(|id| book.items.get(id));
    let is_ncx = |item: &&Item| item.media_type == "application/x-dtbncx+xml";
    let ncx = stated.or_else(|| book.items.values().find(is_ncx));
    if let Some(item) = ncx.filter(|item| labels.is_empty() && package.has(&item.part)) {
        let mut contents = Contents::new(&item.part, &mut labels);
        faults.extend(package.xml(&item.part, |node| contents.take_ncx(node)));
    }
    labels
}

/// A table of contents while it is read.
struct Contents<'c> {
    part: &'c str,
    labels: &'c mut HashMap<String, String>,
    label: String,
    target: String,
    is_label: bool,
    is_contents: bool,
}

impl<'c> Contents<'c> {
    fn new(part: &'c str, labels: &'c mut HashMap<String, String>) -> Self {
        let (label, target) = (String::new(), String::new());
        Self { part, labels, label, target, is_label: false, is_contents: false }
    }

    /// Takes a node of a navigation document.
    fn take_nav(&mut self, node: Node<'_>) -> Step {
        match node {
            Node::Start(tag) if tag.name() == "nav" => {
                let kind = tag.attribute("type").unwrap_or_default();
                self.is_contents = kind.split_whitespace().any(|word| word == "toc");
            }
            Node::Start(tag) if tag.name() == "a" && self.is_contents => {
                self.begin_label();
                self.target = tag.attribute("href").unwrap_or_default();
            }
            Node::End("a") => self.insert(),
            Node::End("nav") => self.is_contents = false,
            Node::Text(text) if self.is_label => self.label.push_str(text),
            _ => {}
        }
        Step::In
    }

    /// Takes a node of an NCX.
    fn take_ncx(&mut self, node: Node<'_>) -> Step {
        match node {
            Node::Start(tag) => match tag.name() {
                "pageList" | "navList" | "docTitle" | "docAuthor" => return Step::Over,
                "navLabel" => self.begin_label(),
                "content" => {
                    self.target = tag.attribute("src").unwrap_or_default();
                    self.insert();
                }
                _ => {}
            },
            Node::End("navLabel") => self.is_label = false,
            Node::Text(text) if self.is_label => self.label.push_str(text),
            _ => {}
        }
        Step::In
    }

    fn begin_label(&mut self) {
        self.is_label = true;
        self.label.clear();
    }

    /// The first title that leads to a part is its own; the others are those of places in it.
    fn insert(&mut self) {
        self.is_label = false;
        let label = clean::line(&self.label);
        if !label.is_empty() && !self.target.is_empty() {
            self.labels.entry(resolve(self.part, &self.target)).or_insert(label);
        }
        self.label.clear();
    }
}

/// The sections of the document so far.
struct Sections<'b> {
    book: &'b Book,
    builder: Builder,
    n_pages: u32,
    n_failed: u32,
}

impl Sections<'_> {
    /// Reads a part of the spine. Only a package without end is a fault.
    fn read(&mut self, package: &mut Package<'_>, entry: &(String, bool)) -> Result<(), Fault> {
        let (id, is_linear) = entry;
        let Some(item) = self.book.readable(id) else {
            self.fail(None, &format!("the part `{id}` is not in the list of parts"));
            return Ok(());
        };
        let label = self.book.labels.get(&item.part).cloned();
        if item.media_type.starts_with("image/") {
            if *is_linear && !self.book.covers.contains(&item.part) {
                self.begin(label);
                self.builder.status(PageStatus::NeedsOcr);
            }
            return Ok(());
        }
        if self.book.locked.contains(&item.part) {
            self.fail(label, &format!("the part `{}` has copy protection", item.part));
            return Ok(());
        }
        let bytes = match package.bytes(&item.part) {
            Ok(bytes) => bytes,
            Err(Fault::TooLarge) => return Err(Fault::TooLarge),
            Err(Fault::Missing(part)) => {
                self.fail(label, &format!("the part `{part}` is missing"));
                return Ok(());
            }
            Err(Fault::Damaged(reason)) => {
                self.fail(label, &reason);
                return Ok(());
            }
        };
        match html::decode(&item.part, &bytes) {
            Ok((content, warning)) => self.write(item, label, &content, *is_linear, warning),
            Err(error) => self.fail(label, &error.to_string()),
        }
        Ok(())
    }

    fn write(
        &mut self,
        item: &Item,
        label: Option<String>,
        content: &str,
        is_linear: bool,
        warning: Option<Warning>,
    ) {
        let is_html = item.media_type == "text/html";
        let rendered = html::render_book(content, !is_html);
        let n_words = rendered.text.len();
        let has_image = has_image(content);
        let is_cover = self.is_cover(item, content) && has_image && n_words <= MAX_COVER_BYTES;
        if is_cover || n_words == 0 && (!is_linear || item.is_contents) {
            return;
        }
        // What does not belong to the text is reached from it as notes are.
        let aside = match self.book.asides.get(&item.part) {
            _ if item.is_contents => Some(AsideKind::Contents),
            None if !is_linear => Some(AsideKind::Footnote),
            kind => kind.copied(),
        };
        let first = rendered.headings.first();
        let heading = first.map(|heading| rendered.text[heading.range.clone()].replace('\n', " "));
        self.begin(label.or(heading));
        if n_words == 0 && has_image {
            self.builder.status(PageStatus::NeedsOcr);
        }
        match aside {
            Some(kind) => {
                let whole = Aside { range: 0..n_words, kind };
                self.builder.passage_with_asides(&rendered.text, &[], &[whole]);
            }
            None => self.builder.passage_with_asides(
                &rendered.text,
                &rendered.headings,
                &rendered.asides,
            ),
        }
        let number = self.n_pages;
        let warning = warning.map(|warning| Warning { page: Some(number), ..warning });
        self.builder.warnings.extend(warning);
    }

    fn is_cover(&self, item: &Item, content: &str) -> bool {
        let name = item.part.rsplit('/').next().unwrap_or_default().to_lowercase();
        self.book.covers.contains(&item.part)
            || name.contains("cover")
            || content.contains("epub:type=\"cover\"")
            || self.n_pages == 0
    }

    fn begin(&mut self, label: Option<String>) {
        self.n_pages += 1;
        self.builder.begin_page(label);
    }

    /// A page that cannot be read.
    fn fail(&mut self, label: Option<String>, reason: &str) {
        self.begin(label);
        self.n_failed += 1;
        self.builder.status(PageStatus::Failed);
        let message = format!("section {} could not be read: {reason}", self.n_pages);
        let warning = Warning::on_page("page_failed", self.n_pages, message);
        self.builder.warnings.push(warning);
    }
}

fn has_image(content: &str) -> bool {
    ["<img", "<image", "<svg", "<object", ":img", ":image"].iter().any(|tag| content.contains(tag))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::package::tests::packed;
    use super::super::{Format, Reading, promises, read_as, source};
    use super::*;

    const CONTAINER: (&str, &str) = (
        "META-INF/container.xml",
        "<container><rootfiles><rootfile full-path='OPS/book.opf' media-type='application/oebps-package+xml'/></rootfiles></container>",
    );
    const NAV: &str = "<html><body><nav epub:type='toc'><h1>Contents</h1><ol><li><a href='a.xhtml'>Chapter <b>One</b></a><ol>
        <li><a href='a.xhtml#x'>Part</a></li></ol></li><li><a href='b%20b.xhtml#y'>Chapter&nbsp;Two</a></li></ol></nav>
        <nav epub:type='page-list' hidden=''><ol><li><a href='c.xhtml'>12</a></li></ol></nav></body></html>";

    /// A description with these items, as `id href properties`, and this spine.
    fn description(items: &[&str], spine: &str) -> String {
        let item = |item: &&str| {
            let mut words = item.split(' ');
            let mut next = || words.next().unwrap_or_default();
            let (id, href, properties) = (next(), next(), next());
            let media_type = match href.rsplit('.').next() {
                Some("png") => "image/png",
                Some("ncx") => "application/x-dtbncx+xml",
                _ => "application/xhtml+xml",
            };
            format!(
                "<item id='{id}' href='{href}' media-type='{media_type}' properties='{properties}'/>"
            )
        };
        let items: String = items.iter().map(item).collect();
        format!(
            "<package><metadata><dc:title id='t1'>The  Quay</dc:title><dc:title id='t2'>Sub</dc:title></metadata>
            <manifest>{items}</manifest><spine toc='ncx'>{spine}</spine>
            <guide><reference type='cover' href='cov.xhtml'/><reference type='index' href='ind.xhtml'/></guide></package>"
        )
    }

    fn open(parts: &[(&str, &str)]) -> Result<Document, DocumentError> {
        let bytes = packed(parts);
        read_as(Format::Epub, source("a.epub", &bytes), bytes, &Reading::default())
    }

    fn chapter(words: &str) -> String {
        format!(
            "<?xml version='1.0'?><html><head><title>The Quay</title></head><body>{words}</body></html>"
        )
    }

    /// Number, label, status and text of each page.
    fn pages(document: &Document) -> Vec<(Option<&str>, PageStatus, &str)> {
        let page = |page: &'_ super::super::Page| page.range.clone();
        let pages = document.pages.iter();
        pages
            .map(|it| (it.label.as_deref(), it.status, document.text[page(it)].trim_end()))
            .collect()
    }

    #[test]
    fn a_book_is_its_spine() {
        let description = description(
            &["nav nav.xhtml nav", "cov cov.xhtml", "a a.xhtml", "b b%20b.xhtml", "c c.xhtml", "d d.xhtml", "pic pic.png", "n n.xhtml", "i ind.xhtml", "gone gone.xhtml"],
            "<itemref idref='cov'/><itemref idref='nav'/><itemref idref='a'/><itemref idref='b'/><itemref idref='c'/>
            <itemref idref='d'/><itemref idref='pic'/><itemref idref='n' linear='no'/><itemref idref='i'/><itemref idref='gone'/><itemref idref='x'/>",
        );
        let document = open(&[
            ("mimetype", "application/epub+zip"),
            CONTAINER,
            ("OPS/book.opf", &description),
            ("OPS/nav.xhtml", NAV),
            ("OPS/cov.xhtml", &chapter("<img src='x'/>")),
            ("OPS/a.xhtml", &chapter("<h1>1</h1><p>It is old<a epub:type='noteref' href='#n'>1</a>.</p><aside epub:type='footnote' id='n'>1. Very.</aside><p>And deep.</p>")),
            ("OPS/b b.xhtml", &chapter("<h2>II</h2><p>It is new.</p>")),
            ("OPS/c.xhtml", &chapter("<h3>Three<br/>four</h3><p>c</p>")),
            ("OPS/d.xhtml", &chapter("<svg><image/></svg>")),
            ("OPS/n.xhtml", &chapter("<p>Answers.</p>")),
            ("OPS/ind.xhtml", &chapter("<h1>Index</h1><p>quay, 1</p>")),
        ])
        .unwrap();
        assert_eq!(document.source.title.as_deref(), Some("The Quay"));
        use PageStatus::{Failed, NeedsOcr, Text};
        assert_eq!(
            pages(&document),
            [
                (None, Text, "Contents\n\n1. Chapter One\n  1. Part\n2. Chapter Two"),
                (Some("Chapter One"), Text, "1\n\nIt is old[1].\n\n1. Very.\n\nAnd deep."),
                (Some("Chapter Two"), Text, "II\n\nIt is new."),
                (Some("Three four"), Text, "Three four\n\nc"),
                (None, NeedsOcr, ""),
                (None, NeedsOcr, ""),
                (None, Text, "Answers."),
                (Some("Index"), Text, "Index\n\nquay, 1"),
                (None, Failed, ""),
                (None, Failed, ""),
            ]
        );
        assert_eq!(
            document.to_read(0..document.text.len()),
            "1\n\nIt is old[1].\n\nAnd deep.\n\nII\n\nIt is new.\n\nThree four\n\nc\n\n"
        );
        let warnings: Vec<_> =
            document.warnings.iter().map(|warning| (warning.code, warning.page)).collect();
        assert_eq!(warnings, [("page_failed", Some(9)), ("page_failed", Some(10))]);
    }

    #[test]
    fn a_book_of_epub_2_has_an_ncx() {
        let ncx = "<!DOCTYPE ncx PUBLIC '-//NISO//DTD ncx 2005-1//EN' 'x'><ncx><docTitle><text>T</text></docTitle>
            <navMap><navPoint><navLabel><text>First &amp; last</text></navLabel><content src='t/a.html#p'/>
            <navPoint><navLabel><text>Inner</text></navLabel><content src='t/a.html#q'/></navPoint></navPoint></navMap>
            <pageList><pageTarget><navLabel><text>1</text></navLabel><content src='t/b.html'/></pageTarget></pageList></ncx>";
        let description = description(
            &["ncx x.ncx", "a t/a.html", "b t/b.html"],
            "<itemref idref='a'/><itemref idref='b'/>",
        )
        .replace("id='t2'>", "id='t2'>Long ")
        .replace("</metadata>", "<meta refines='#t2' property='title-type'>main</meta></metadata>");
        let document = open(&[
            ("x/y.opf", &description),
            ("x/x.ncx", ncx),
            ("x/t/a.html", &chapter("<p>a")),
            ("x/t/b.html", &chapter("<p>b&nbsp;c<br>d")),
        ])
        .unwrap();
        assert_eq!(
            pages(&document),
            [(Some("First & last"), PageStatus::Text, "a"), (None, PageStatus::Text, "b c\nd")]
        );
        assert_eq!(document.source.title.as_deref(), Some("Long Sub"));
    }

    #[test]
    fn a_locked_book_is_refused_and_locked_fonts_are_not() {
        let description = description(&["a a.xhtml"], "<itemref idref='a'/>");
        let locked = |method: &str, part: &str| {
            let lock = format!(
                "<encryption><enc:EncryptedData><enc:EncryptionMethod Algorithm='{method}'/>
                <KeyInfo><EncryptionMethod Algorithm='http://www.idpf.org/2008/embedding'/></KeyInfo>
                <enc:CipherData><enc:CipherReference URI='{part}'/></enc:CipherData></enc:EncryptedData></encryption>"
            );
            let chapter = chapter("<p>a");
            open(&[
                CONTAINER,
                ("OPS/book.opf", &description),
                ("META-INF/encryption.xml", &lock),
                ("OPS/a.xhtml", &chapter),
            ])
        };
        assert!(locked("http://www.idpf.org/2008/embedding", "OPS/a.xhtml").is_ok());
        assert!(locked("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OPS/font.otf").is_ok());
        let err = locked("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OPS/a.xhtml").unwrap_err();
        assert!(err.to_string().contains("copy protection"), "{err}");
    }

    #[test]
    fn a_book_without_its_parts_is_damaged() {
        let damaged = |parts: &[(&str, &str)]| match open(parts) {
            Err(DocumentError::Damaged { reason, .. }) => reason,
            other => panic!("{other:?}"),
        };
        assert!(damaged(&[("a", "")]).contains("META-INF/container.xml"));
        assert!(damaged(&[CONTAINER, ("OPS/book.opf", "<package/>")]).contains("spine"));
        assert!(damaged(&[CONTAINER, ("OPS/book.opf", "<package>")]).contains("too early"));
        let description = description(&["a a.xhtml"], "<itemref idref='a'/>");
        assert!(
            damaged(&[CONTAINER, ("OPS/book.opf", &description)]).contains("none of its 1 parts")
        );
        // What is damaged behind the spine is no matter.
        let cut = description.split("</spine>").next().unwrap();
        let document = open(&[CONTAINER, ("OPS/book.opf", cut), ("OPS/a.xhtml", "a")]).unwrap();
        assert_eq!((document.text.as_str(), document.warnings[0].code), ("a", "damaged_file"));
    }

    #[test]
    fn a_part_that_is_named_over_and_over_does_not_unpack_without_end() {
        let description = description(&["a a.xhtml"], &"<itemref idref='a'/>".repeat(1000));
        let long = "\0".repeat(1 << 20);
        let err =
            open(&[CONTAINER, ("OPS/book.opf", &description), ("OPS/a.xhtml", &long)]).unwrap_err();
        assert!(matches!(err, DocumentError::TooLarge { .. }));
    }

    proptest! {
        #[test]
        fn pages_cover_the_text(
            chapters in prop::collection::vec(
                "(<h1>[a-z]{0,5}</h1>|<p>[a-zé ]{0,9}</p>|<img/>|<nav>b</nav>|<li epub:type='footnote'>|<ul>|</ul>|<aside role='doc-footnote'>|</aside>|[a-z<>&]){0,8}",
                0..5,
            ),
            parts in "[<>/a-z:'= ]{0,80}",
        ) {
            let names: Vec<String> = (0..chapters.len()).map(|n| format!("OPS/{n}.xhtml")).collect();
            let items: Vec<String> = (0..chapters.len()).map(|n| format!("i{n} {n}.xhtml")).collect();
            let items: Vec<&str> = items.iter().map(String::as_str).collect();
            let spine: String = (0..=chapters.len()).map(|n| format!("<itemref idref='i{n}'/>")).collect();
            let description = description(&items, &spine);
            let mut all = vec![CONTAINER, ("OPS/book.opf", description.as_str()), ("META-INF/encryption.xml", &parts)];
            all.extend(names.iter().zip(&chapters).map(|(name, text)| (name.as_str(), text.as_str())));
            if let Ok(document) = open(&all) {
                promises::hold(&document);
            }
            let _ = open(&[CONTAINER, ("OPS/book.opf", &parts)]);
        }
    }
}
