//! Small files made by hand, whole.

use proptest::prelude::*;

use super::super::package::tests::{closed, packed};
use super::super::{Format, Reading, promises, read_as, source};
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
    check("<w:p><w:fldSimple w:instr='DATE'><w:r><w:t>May</w:t></w:r></w:fldSimple></w:p>", "May");
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
    let fields = "<w:p><w:r><w:fldChar w:fldCharType='begin'/></w:r><w:r><w:t>a</w:t></w:r></w:p>"
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
        let xml = closed(&pieces.concat());
        let document = document(&xml);
        promises::hold(&document);
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
