//! Small files made by hand, whole.

use proptest::prelude::*;

use super::super::{Format, Reading, promises, read_as, source};
use super::*;

fn open(bytes: &[u8]) -> Document {
    let source = source("a.rtf", bytes);
    read_as(Format::Rtf, source, bytes.to_vec(), &Reading::default()).unwrap()
}

fn document(body: &str) -> Document {
    open(format!("{{\\rtf1\\ansi\\ansicpg1252 {body}}}").as_bytes())
}

fn check(body: &str, expected: &str) {
    let document = document(body);
    assert_eq!(document.text, expected, "{body}");
    assert_eq!(document.warnings, [], "{body}");
}

#[test]
fn paragraphs_and_signs() {
    check(
        r"\b One\b0  two\par Three\line four\tab five\par\par\~six\_seven\-eight",
        "One two\n\nThree\nfour five\n\nsix-seveneight",
    );
    check(
        r"\{a\}\\ \ldblquote b\rdblquote\emdash c\bullet",
        "{a}\\ \u{201C}b\u{201D}\u{2014}c\u{2022}",
    );
    check("a\nb\r\nc\\\nd", "abc\n\nd");
    check(
        r"m{\super 2}, 1{\super st}, x\super 3\nosupersub 4, y\super 5\plain 6",
        "m², 1st, x³4, y⁵6",
    );
    check(r"a{\v hidden}b\v c\v0 d{\deleted e}f\v g\plain h", "abdfh");
}

#[test]
fn every_encoding_is_read() {
    check(r"na\'efve \u233?\u8364\'80x {\uc0\u233}{\uc2\u233??x}", "naïve é€x ééx");
    check(r"\u-10179?\u-8704? \uc1\u55358\'5f\u56704\'5f", "😀 🦀");
    check(r"\u233\par b", "é\n\nb");
    let fonts = r"{\fonttbl{\f0\fcharset0 Times;}{\f1\fcharset204 Times Cyr;}{\f2\fcharset128 Mincho;}{\f3\fcharset2 Symbol;}{\f4\fcharset2 Odd;}{\f5\cpg1253 G;}}";
    check(
        &format!(
            r"{fonts}\'e9 {{\f1 \'cf\'f0}} {{\f2 \'8a\'77\'8aw}} {{\f3 a\'b3\u-3999?\u61537?}} {{\f4 a}}{{\f5 \'e1}}"
        ),
        "é Пр 学学 α≥αα aα",
    );
    let russian =
        open(b"{\\rtf1\\ansicpg1251{\\fonttbl\\f0\\fcharset0 A;\\f1 B;}\\f0 \xCF\\f1\\'f0}");
    assert_eq!(russian.text, "Пр");
    assert_eq!(open(b"{\\rtf1\\mac \\'8e}").text, "é");
    let old = open(b"{\\rtf1\\pca a}");
    assert_eq!(old.warnings[0].code, "encoding_guessed");
    let bad = open(b"{\\rtf1\\ansicpg932 a\\'81}");
    assert_eq!((bad.text.as_str(), bad.warnings[0].code), ("a\u{FFFD}", "encoding_errors"));
}

#[test]
fn what_is_not_text_is_passed_over() {
    check(
        r"{\fonttbl{\f0 Times{\*\falt New};}}{\colortbl;\red0;}{\stylesheet{\s0 Normal;}{\*\cs1 Font;}}{\*\generator X;}
            {\info{\title The {\b Quay}}{\author A}}{\header head\par}{\footer{\field{\*\fldinst PAGE}{\fldrslt 1}}}a
            {\pict\wmetafile8 0102{\*\blipuid 03}}{\*\bkmkstart b}b{\*\bkmkend b}{\xe index}{\object{\*\objdata 0102}{\result c}}
            {\*\unknown{\footnote no}}{\upr{no}{\*\ud{d}}}\bin3 }}}e",
        "a bc de",
    );
    let document = document(r"{\info{\title The {\b Quay}}{\author A}}a");
    assert_eq!(document.source.title.as_deref(), Some("The Quay"));
}

#[test]
fn headings_and_lists() {
    let document = document(
        r"{\stylesheet{\s1\outlinelevel0 \'dcberschrift;}{\s2 heading 2;}{\s3 toc 1;}{\s4\outlinelevel9 Body;}}
            {\pard\s3 One\tab 1\par}\pard\s1 One\par\pard a\par
            {\listtext 1.1\tab}\s2 Two\par\pard{\listtext\f3\'b7\tab}\ilvl0 x\par{\listtext (a)\tab}\ilvl1 y\par
            \pard\outlinelevel2 Three\par\pard\s4 text\par\s1\par",
    );
    assert_eq!(document.text, "One 1\n\nOne\n\na\n\n1.1 Two\n\n- x\n  (a) y\n\nThree\n\ntext");
    let headings: Vec<_> =
        document.headings.iter().map(|h| (h.level, &document.text[h.range.clone()])).collect();
    assert_eq!(headings, [(1, "One"), (2, "1.1 Two"), (3, "Three")]);
    assert_eq!(document.asides[0].kind, AsideKind::Contents);
}

#[test]
fn notes_fields_and_boxes() {
    let document = document(
        r"{\field{\*\fldinst TOC}{\fldrslt One {\field{\*\fldinst PAGEREF}{\fldrslt 1}}\par Two 2}}\par
            Deep{\super\chftn{\footnote\pard\plain{\super\chftn} See\par there.}}, old{\super\chftn}{\*\footnote\ftnalt\chftn  End.}{\footnote * Odd.}.\par
            {\field{\*\fldinst HYPERLINK}{\fldrslt link}}{\shp{\*\shpinst{\sp{\sn a}{\sv b}}{\shptxt\pard in a box\par}}{\shprslt{\*\do no}}} goes on\par",
    );
    assert_eq!(
        document.text,
        "One 1\n\nTwo 2\n\nDeep[1], old[2].\n\n[1] See there.\n\n[2] End.\n\n* Odd.\n\nlink goes on\n\nin a box"
    );
    assert_eq!(
        document.to_read(0..document.text.len()),
        "Deep[1], old[2].\n\nlink goes on\n\nin a box"
    );
}

#[test]
fn tables_are_rows() {
    check(
        r"before\par\trowd\cellx1\cellx2\pard\intbl a\par b\cell c\cell\row\trowd\pard\intbl\cell d\cell\row\pard after\par",
        "before\n\na b | c\n| d\n\nafter",
    );
    check(r"\trowd a\cell b\cell\row\pard c", "a | b\n\nc");
    check(
        r"\pard\intbl x\par\pard\intbl\itap2 a\nestcell b\nestcell{\*\nesttableprops\trowd\nestrow}{\nonesttables\par}\pard\intbl y\cell z\cell\row\pard c",
        "x\n\na | b\n\ny\n\nz\n\nc",
    );
    check(r"\intbl a{\chftn{\footnote n}}\cell b\cell\row\pard c", "a[1] | b\n\n[1] n\n\nc");
}

#[test]
fn a_file_may_end_anywhere() {
    let rtf = br"{\rtf1\ansi{\fonttbl{\f0\fcharset128 A;}}{\stylesheet{\s1 heading 1;}}\s1 One\par\pard\f0 \'8a\'77\u233?{\footnote n}\par\trowd a\cell\row{\pict\bin2 12}{\shp{\shptxt x}}}";
    for end in 5..rtf.len() {
        let document = open(&rtf[..end]);
        assert_eq!(document.warnings[0].code, "damaged_file");
        assert_eq!(document.pages.last().unwrap().range.end, document.text.len());
    }
    assert_eq!(open(br"{\rtf1 a}} b").text, "a");
    assert_eq!(open(br"{\rtf1{\pict 00}}").pages[0].status, PageStatus::NeedsOcr);
}

#[test]
fn hostile_nesting_costs_no_more_than_its_length() {
    let n = 200_000;
    for word in ["", "\\footnote ", "\\shptxt ", "\\itap9\\intbl a\\par", "\\field", "\\upr"] {
        let deep = format!("a{}", format!("{{{word}").repeat(n));
        let rtf = format!("{{\\rtf1 {deep}b{}", "}".repeat(n + 1));
        assert!(open(rtf.as_bytes()).text.contains('a'), "{word}");
        assert!(open(format!("{{\\rtf1 {deep}").as_bytes()).text.contains('a'), "{word}");
    }
    assert!(document(&"\\intbl\\itap99999 a\\par".repeat(1000)).text.contains('a'));
}

proptest! {
    #[test]
    fn pages_cover_the_text_and_headings_lie_in_it(
        pieces in prop::collection::vec(
            r"(\{|\}|\\(par|pard|intbl|itap2|cell|row|nestcell|nestrow|footnote|shptxt|chftn|field|fldrslt|\*|listtext|s1|u233|uc[0-9]|super|outlinelevel[0-9]|info|ud|upr|plain|f1|tab|line) ?|\\'[0-9a-f]{2}|[a-zé ]{1,5})",
            0..60,
        )
    ) {
        let document = document(&pieces.concat());
        promises::hold(&document);
    }

    #[test]
    fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        open(&[br"{\rtf1", bytes.as_slice()].concat());
    }
}
