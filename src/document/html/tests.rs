//! Small files made by hand, whole.

use proptest::prelude::*;

use super::super::{AsideKind, Document, Format, promises, read_bytes};

fn read(html: &str) -> Document {
    read_bytes("-", html.as_bytes().to_vec(), Some("html")).unwrap()
}

fn check(html: &str, expected: &str) {
    assert_eq!(read(html).text, expected, "{html:?}");
}

fn check_headings(html: &str, expected: &[(u8, &str)]) {
    let document = read(html);
    let found = document.headings.iter().map(|h| (h.level, &document.text[h.range.clone()]));
    assert_eq!(found.collect::<Vec<_>>(), expected, "{html:?}");
}

#[test]
fn marks_go_and_words_stay() {
    check("<p>A <i>b</i> <b>c</b>\n  <a href='http://f'>d  e</a>.<img alt=g src=h>", "A b c d e.");
    check("<p>one<p>two<br>three<br><br>four</p>five", "one\n\ntwo\nthree\n\nfour\n\nfive");
    check(
        "AT&amp;T &lt;b&gt; &eacute;&#233;&#x1F980; &nbsp; x&shy;y &notit",
        "AT&T <b> éé🦀 xy ¬it",
    );
    check("<b>bo</b>ld<div>next</div>last", "bold\n\nnext\n\nlast");
    check("<blockquote><p>quote</blockquote><hr>b", "quote\n\nb");
    check("<pre>\nlet a = 1;\n  b\n</pre>after", "let a = 1;\n  b\n\nafter");
    check("<pre>a\n<div>b</div><div>c<br> d</div></pre>", "a\nb\nc\n d");
    check("<figure><img><figcaption>The quay.</figcaption></figure>x", "The quay.\n\nx");
    check("<dl><dt>Quay<dd>A wall.<dt>Mole<dd>A dam.</dl>", "Quay\n\nA wall.\n\nMole\n\nA dam.");
}

#[test]
fn notes_and_powers_keep_their_marks() {
    check("word<sup><a href='#1'>1</a></sup> more", "word[1] more");
    check("word<a href='#1'><sup>12</sup></a> more", "word[12] more");
    check("word<sup>[<a href='#1'>1</a>]</sup>.", "word[1].");
    check("10<sup>-6</sup> m<sup>2</sup>, 1<sup>st</sup>", "10⁻⁶ m², 1st");
    check("<a href=x>10<sup>2</sup> days</a>", "10² days");
    check("<p>Note. <a href='#2'>↩</a> <a href='#3'>↩<sup>2</sup></a>", "Note.");
    check("<h2><a href='#a'>§</a>Quay</h2>", "Quay");
    check("a<a role=doc-noteref href=x>1</a> b<a role='doc-noteref' href=x>(*)</a>", "a[1] b[*]");
    check("a <a role=doc-noteref href=x>see there</a> b", "a see there b");
    check(
        "a quay<a href='#f'>12</a>. It is old.<a href=x>3</a> 4<a href=x>5</a> <a href=x>6</a>",
        "a quay[12]. It is old.[3] 45 6",
    );
    check("It ends<span role=doc-pagebreak>12</span> here.", "It ends here.");
}

#[test]
fn an_aside_in_a_nested_list_is_not_set_in() {
    let rendered =
        super::render_book("<ul><li>x<ul><li epub:type='footnote'>n</li></ul></li></ul>", true);
    assert_eq!(rendered.text, "- x\n\n- n");
    assert_eq!(rendered.asides[0].range, 5..8);
}

#[test]
fn notes_and_sources_of_a_page_are_not_read() {
    for (apart, kind) in [
        (
            "<section class='footnotes' role=doc-endnotes><ol><li>Old.<a href=#r class=footnote-back>x</a></ol></section>",
            AsideKind::Footnote,
        ),
        (
            "<div id=sdfootnote1><p><a class=sdfootnotesym href=#a>1</a>Old.</p></div>",
            AsideKind::Footnote,
        ),
        ("<div class=footnote><hr><p>Old.</div>", AsideKind::Footnote),
        ("<ol class=references><li>Old.</ol>", AsideKind::Reference),
    ] {
        let document = read(&format!("<main><p>A quay.</p>{apart}<p>More.</main>"));
        assert_eq!(document.to_read(0..document.text.len()), "A quay.\n\nMore.");
        let aside = document.asides.first().unwrap();
        assert_eq!(aside.kind, kind);
        let words = document.text[aside.range.clone()].trim_start_matches("1. ");
        assert_eq!(words, "Old.\n\n");
    }
}

#[test]
fn an_aside_of_line_breaks_is_none() {
    let document = read("<pre><ul><li><div class=footnote><br></div></ul>");
    assert!(document.asides.is_empty());
    promises::hold(&document);
}

#[test]
fn what_follows_an_aside_is_not_set_in() {
    let note = "<div class=footnote>n</div>";
    for html in [format!("{note}<pre>  a"), format!("<ul><li>x<ul><li>{note}<li>a</ul></ul>")] {
        let document = read(&html);
        assert!(document.text.ends_with("n\n\na") || document.text.ends_with("n\n\n- a"));
        promises::hold(&document);
    }
}

#[test]
fn a_part_of_a_book_has_asides() {
    let rendered = super::render_book(
            "<html><body><header><h1>One</h1></header><p>A quay<a epub:type='noteref' href='#n'>1</a>.
            <nav>menu</nav><aside>Beside.</aside>
            <aside epub:type='footnote' hidden='hidden'><p>1. Old.</p><p>Very.</p></aside><p hidden=''>gone</p>
            <ul><li>x</li><li epub:type='footnote'>y</li><li>z</li></ul>
            <section role='doc-endnotes'><h2>Notes</h2><ol><li>n</li></ol></section></body></html>",
            true,
        );
    assert_eq!(
        rendered.text,
        "One\n\nA quay[1].\n\nmenu\n\nBeside.\n\n1. Old.\n\nVery.\n\n- x\n\n- y\n\n- z\n\nNotes\n\n1. n"
    );
    let asides = rendered.asides.iter();
    let asides: Vec<_> =
        asides.map(|aside| (aside.kind, &rendered.text[aside.range.clone()])).collect();
    assert_eq!(
        asides,
        [
            (AsideKind::Contents, "menu"),
            (AsideKind::Footnote, "1. Old.\n\nVery."),
            (AsideKind::Footnote, "- y"),
            (AsideKind::Footnote, "Notes\n\n1. n"),
        ]
    );
    assert_eq!(rendered.headings, [super::Heading { range: 0..3, level: 1 }]);
    let rendered = super::render_book("<body epub:type='index'><h1>Index</h1><p>a", true);
    assert_eq!(rendered.asides.len(), 1);
    assert_eq!(rendered.asides[0].range, 0..rendered.text.len());
}

#[test]
fn lists_are_lines() {
    check(
        "x<ul><li>a<li><p>b</p><ul><li>c</li></ul></li><li>d</ul>after",
        "x\n\n- a\n- b\n  - c\n- d\n\nafter",
    );
    check("<ol start=3><li>a<li>b<li value=9>c<li>d</ol>", "3. a\n4. b\n9. c\n10. d");
    check("<ul><li><p>a</p><p>b</p></li><li></li><li>c</li></ul>", "- a\n\nb\n- c");
    check("<p>x</p><ul><li><ul><li>a</ul></ul>", "x\n\n  - a");
    check("<ul><li><h3>Quay</h3>a<li><h3>Mole</h3></ul>", "Quay\n\na\n\nMole");
}

#[test]
fn rows_of_data_are_lines_and_tables_that_arrange_a_page_are_not() {
    check(
        "<table><caption>T</caption><thead><tr><th>x<th>y</thead><tr><td>1<td><p>2<br>3</p></table>a",
        "T\n\nx | y\n1 | 2 3\n\na",
    );
    check("<table><tr><td></td><td>b</td><td></td></tr><tr><td></tr></table>", " | b");
    check("<table><tr><td><p>a<p>b<td>c</table>", "a\n\nb\n\nc");
    check("<table><tr><td><table><tr><td>1<td>2</table></table>", "1 | 2");
    check("<table role=none><tr><td>a<td>b</table>", "a\n\nb");
    check("<table><tr><td><ul><li>a<li>b</ul><td>c</table>", "a b | c");
}

#[test]
fn headings_are_remembered_with_their_rank() {
    let html = "<title>One two | Site</title><h1>One <i>two</i></h1>text<h2></h2>\
            <h3>Three<br>four</h3><p>b<h6>Six</h6><p>c";
    check(html, "One two\n\ntext\n\nThree four\n\nb\n\nSix\n\nc");
    check_headings(html, &[(1, "One two"), (3, "Three four"), (6, "Six")]);
    assert_eq!(read(html).source.title.as_deref(), Some("One two"));
    assert_eq!(read("<h1>Quay</h1>a").source.title.as_deref(), Some("Quay"));
    assert_eq!(read("<title> A\nb </title>").source.title.as_deref(), Some("A b"));
}

#[test]
fn what_is_not_for_reading_goes() {
    let text = "A quay was built of stone in the year of the great storm.";
    for html in [
        "<script>if (a < b) {}</script><style>p {}</style>",
        "<!-- comment --><template>t</template><noscript>t</noscript>",
        "<nav><a href=x>Home</a> menu</nav><aside>Also read this.</aside>",
        "<header><h1>Site</h1><ul><li>Menu</ul></header>",
        "<div role=banner>Site</div><footer>All rights</footer>",
        "<div class='box cookie-notice'>We use them.</div>",
        "<form><label>Name</label><input value=v><select><option>o</select></form>",
        "<p hidden>h</p><p style='display : none'>h</p><i aria-hidden=TRUE>h</i>",
        "<svg><title>t</title><text>t</text></svg><math><annotation>t</annotation></math>",
    ] {
        check(&format!("<body>{html}<p>{text}</p>{html}"), text);
    }
    check("<header><h1>Quay</h1><p>By A.</header><p>It is old.", "Quay\n\nBy A.\n\nIt is old.");
}

#[test]
fn the_main_part_is_read_if_it_has_most_of_the_text() {
    let long = "It is old and it is long. ".repeat(4);
    let long = long.trim();
    check(&format!("<div>beside</div><main>{long}</main><div>under</div>"), long);
    check(&format!("<div role=main>x<article>{long}</article></div>y"), long);
    check(&format!("<h1>Quay</h1>b<article>{long}</article>"), &format!("Quay\n\n{long}"));
    check(&format!("<main>short</main><div>{long}</div>"), &format!("short\n\n{long}"));
    let two = format!("<article>{long}</article>").repeat(3);
    check(&two, &[long; 3].join("\n\n"));
}

#[test]
fn the_text_is_read_wherever_it_stands() {
    let long = "It is old and it is long. ".repeat(4);
    let long = long.trim();
    for tag in ["form", "aside", "nav", "div hidden", "header", "footer"] {
        check(
            &format!("<p>x</p><{tag}>{long}"),
            &format!(
                "x

{long}"
            ),
        );
    }
    check(&format!("<p>x<button>{long}"), &format!("x{long}"));
    check(&format!("<svg><path><p>{long}"), long);
}

#[test]
fn tags_in_wrong_places_end_where_browsers_end_them() {
    check("<p>a<b>b<p>c</b>d</p>e", "ab\n\ncd\n\ne");
    check("<div>a</span></p>b</div></div>c", "a\n\nb\n\nc");
    check("<table><tr><td>a<div>b</td></div><td>c</tr></table>", "a b | c");
    check("<h2>a</h3>b<h2>c<h3>d", "a\n\nb\n\nc\n\nd");
    check("<ul><li><span>a<li>b</span></ul>c", "- a\n- b\n\nc");
    check("</body></html>a<html><body>b", "ab");
    let long = "It is old and it is long. ".repeat(40);
    check_headings(&format!("<h1>a<p>{long}"), &[]);
    check("<a name=x>a <a href=y>b <a href=z>c", "a b c");
}

#[test]
fn the_encoding_is_the_one_that_is_stated() {
    let check = |bytes: &[u8], expected: &str, code: Option<&str>| {
        let document = read_bytes("-", bytes.to_vec(), Some("html")).unwrap();
        assert_eq!(document.text, expected);
        assert_eq!(document.warnings.first().map(|warning| warning.code), code);
    };
    check(b"<meta charset=\"iso-8859-5\">\xBF\xE0", "Пр", None);
    check(b"<META http-equiv=x content='text/html; charset=Shift_JIS'>\x8Aw", "学", None);
    check(b"<?xml version='1.0' encoding='koi8-r'?><p>\xF0", "П", None);
    check(b"\xEF\xBB\xBF<meta charset=koi8-r>\xC3\xA9", "é", None);
    check(b"\xFF\xFE<\0p\0>\0\xE9\0", "é", None);
    check(b"<meta charset=utf-8><p>na\xEFve", "naïve", Some("encoding_guessed"));
    check(b"<meta charset=utf-16><p>\xC3\xA9", "é", None);
    check(b"<meta charset=euc-jp><p>a\xFF", "a\u{FFFD}", Some("encoding_errors"));
}

#[test]
fn html_is_known_by_its_beginning() {
    let format =
        |text: &str| read_bytes("-", text.as_bytes().to_vec(), None).unwrap().source.format;
    for html in [
        "<!DOCTYPE html><p>a",
        "\u{FEFF}\n<?xml version='1.0'?>\n<!-- > --><HTML lang=en>a",
        "<html>",
        "<!doctype\nHTML PUBLIC \"\">",
    ] {
        assert_eq!(format(html), Format::Html, "{html:?}");
    }
    for text in ["<p>a", "a <html>", "<htmlx>", "<!-- <html>", "<?xml?><svg>"] {
        assert_eq!(format(text), Format::Text, "{text:?}");
    }
    let wide: Vec<u8> = "\u{FEFF}<html>a".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read_bytes("-", wide, None).unwrap().source.format, Format::Html);
    assert_eq!(read_bytes("-", b"a".to_vec(), Some("xhtml")).unwrap().source.format, Format::Html);
}

#[test]
fn an_element_of_xhtml_may_end_with_its_start_tag() {
    let html = "<?xml version='1.0'?><html><title/><script src='x'/><p/>a<a id='b'/></html>";
    check(html, "a");
}

#[test]
fn hostile_nesting_costs_no_more_than_its_length() {
    let n = 100_000;
    for tag in ["div", "span", "ul", "table", "td", "p", "a href=x", "h1", "svg", "form", "x-y"] {
        let name = tag.split(' ').next().unwrap();
        let open = format!("<{tag}>").repeat(n);
        let close = format!("</{name}>").repeat(n);
        for html in [
            format!("{open}a"),
            format!("{open}a{close}"),
            format!("<b>{open}a{}", "</b>".repeat(n)),
        ] {
            let document = read(&html);
            assert!(document.text == "a" || name == "svg", "{tag}: {:?}", document.text);
        }
    }
    let lists = read(&"<ul><li>a".repeat(n));
    assert_eq!(lists.text.matches("- a").count(), n);
    assert!(lists.text.len() < 30 * n);
}

#[test]
fn a_document_may_end_anywhere() {
    let html = "<!doctype html><title>é</title><body class='a'><!-- b --><h1>T&eacute;</h1>\
            <ul><li>a<li>b</ul><table><tr><td>1<td>2</table><pre>\n x</pre><script>s()</script>\
            <p>c<sup><a href='#d'>1</a></sup><svg><path/></svg>";
    for end in 1..html.len() {
        let bytes = html.as_bytes()[..end].to_vec();
        let document = read_bytes("-", bytes, Some("html")).unwrap();
        assert_eq!(document.pages[0].range, 0..document.text.len());
    }
}

#[test]
fn a_row_that_begins_in_an_aside_stands_apart_from_it() {
    let html = b"<html><table><div class=footnotes>A note.</tr><td>A cell.</table>".to_vec();
    let document = read_bytes("-", html, Some("html")).unwrap();
    promises::hold(&document);
    assert!(document.asides.len() < 2 && document.text.contains("A cell."));
}

proptest! {
    #[test]
    fn the_page_covers_the_text_and_headings_lie_in_it_in_order(
        pieces in prop::collection::vec(
            "(</?(p|div|h[1-6]|ul|ol|li|table|tr|td|pre|sup|a|a href=x|b|br|hr|main|nav|svg|form|aside|title|script|caption)/?>|<(div class=footnotes|ol class=references|li role=doc-footnote)>|[a-zé]{1,9}|[ \n]|&[a-z]{1,3};?|[<>&/='\"!-])",
            0..60,
        )
    ) {
        let document = read(&format!("<p>{}", pieces.concat()));
        promises::hold(&document);
        prop_assert_eq!(document.text.trim_end(), &document.text);
        for heading in &document.headings {
            let (before, after) =
                (&document.text[..heading.range.start], &document.text[heading.range.end..]);
            prop_assert!(before.is_empty() || before.ends_with("\n\n"), "{:?}", document.text);
            prop_assert!(after.is_empty() || after.starts_with("\n\n"), "{:?}", document.text);
        }
    }

    #[test]
    fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        let mut html = b"<!doctype html><meta charset=gbk>".to_vec();
        html.extend(bytes);
        let document = read_bytes("-", html, None).unwrap();
        promises::hold(&document);
    }
}
