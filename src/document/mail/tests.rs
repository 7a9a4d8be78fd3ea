//! Small files made by hand, whole.

use proptest::prelude::*;

use super::super::PageStatus::{Empty, Text};
use super::super::{Format, promises, read_bytes};
use super::*;

fn read(message: &str) -> Document {
    let document = read_bytes("a.eml", message.as_bytes().to_vec(), Some("eml")).unwrap();
    assert_eq!(document.source.format, Format::Email);
    promises::hold(&document);
    document
}

/// A message with this body, and the fields that describe it.
fn check(content: &str, expected: &str, warning: Option<&str>) {
    let document = read(&format!("From: Ann\nSubject: S\n{content}"));
    let expected =
        if expected.is_empty() { String::new() } else { format!("S\n\nFrom: Ann\n\n{expected}") };
    assert_eq!(document.text, expected, "{content}");
    let found = document.warnings.first().map(|warning| warning.message.as_str());
    assert_eq!(found, warning, "{content}");
}

const MESSAGE: &str = "Received: from a by b; Tue, 3 Mar 2020 10:00:01 +0000\r\n\
        From: =?utf-8?q?Ann_L=C3=A9e?= <ann@example.org>\r\n\
        To: \"Ray, Bob\" <bob@example.org>,\r\n carol@example.org (Carol Day);\r\n \
        d@example.org, e@example.org\r\n\
        Date: Tue, 03 Mar 2020 10:00:00 +0000 (GMT)\r\n\
        Subject: =?utf-8?b?VGhlIHF1YXkg4oCTIG9wZW4=?=\r\n\
        Content-Type: text/plain; charset=iso-8859-1\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\n\
        The quay is =\r\nopen; the caf=E9 too.\r\n\r\n\
        > Is it open?\r\n\r\n-- \r\nAnn\r\n";

#[test]
fn a_message_is_its_subject_its_people_and_its_words() {
    let document = read(MESSAGE);
    assert_eq!(
        document.text,
        "The quay – open\n\n\
             From: Ann Lée <ann@example.org> | To: Ray, Bob, Carol Day, d@example.org and 1 more | \
             Date: Tue, 03 Mar 2020 10:00:00 +0000\n\n\
             The quay is open; the café too.\n\n> Is it open?\n\n--\nAnn"
    );
    assert_eq!(document.source.title.as_deref(), Some("The quay – open"));
    assert_eq!(document.headings, [Heading { range: 0..17, level: 1 }]);
    assert_eq!(document.pages.len(), 1);
    assert_eq!(document.pages[0].label.as_deref(), Some("The quay – open"));
    assert_eq!(document.warnings, []);
}

#[test]
fn mail_is_known_by_the_fields_that_programs_write() {
    let format = |text: &str, extension: Option<&str>| {
        read_bytes("-", text.as_bytes().to_vec(), extension).unwrap().source.format
    };
    let news = "From: a@b.org (Ann)\nSubject: Quay\nNewsgroups: x.y\nLines: 1\n\nOpen.";
    let mailbox = "From a@b.org  Tue Mar  3 10:00:00 2020\nFrom: a@b.org\n\nOpen.";
    for text in [MESSAGE, news, mailbox, &format!("\u{FEFF}{MESSAGE}")] {
        assert_eq!(format(text, Some("txt")), Format::Email, "{text}");
        assert_eq!(format(text, None), Format::Email, "{text}");
    }
    let memo = "TO: Bob\nFROM: Ann\nDATE: 3 March 2020\nSUBJECT: Quay\n\nIt is open.";
    for text in [
        memo,
        "From here on\nNote: it is 10:00.",
        "From: Ann",
        "Title: a\nAuthor: b\n\nc",
        "From the quay at 10:00\nwe saw it.",
    ] {
        assert_eq!(format(text, Some("txt")), Format::Text, "{text}");
    }
    assert_eq!(format(memo, Some("eml")), Format::Email);
    assert_eq!(format("It is open.", Some("eml")), Format::Text);
    assert_eq!(format(MESSAGE, Some("md")), Format::Markdown);
}

#[test]
fn each_message_of_a_mailbox_is_a_section() {
    let mailbox = "From ann@example.org Tue Mar  3 10:00:00 2020\n\
            From: Ann\nSubject: Quay\n\nIt is open.\n\n>From here on it is deep.\n>>From: x\n\n\
            From the wall one sees: it is 10:00\nand light.\n\n\
            From - Tue Mar  3 11:00:00 2020\n\
            Subject: Re: Quay\n\n\
            From bob@example.org Tue Mar  3 12:00:00 2020\r\n\
            From: Bob\r\nSubject: RE: Quay\r\n\r\nThanks.\r\n";
    let document = read_bytes("-", mailbox.as_bytes().to_vec(), None).unwrap();
    promises::hold(&document);
    assert_eq!(
        document.text,
        "Quay\n\nFrom: Ann\n\nIt is open.\n\nFrom here on it is deep.\n>>From: x\n\n\
             From the wall one sees: it is 10:00\nand light.\n\n\
             RE: Quay\n\nFrom: Bob\n\nThanks."
    );
    let pages = document.pages.iter().map(|page| (page.label.as_deref(), page.status));
    assert_eq!(
        pages.collect::<Vec<_>>(),
        [(Some("Quay"), Text), (Some("Re: Quay"), Empty), (Some("RE: Quay"), Text)]
    );
    assert_eq!(document.headings.iter().map(|h| h.level).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(document.source.title.as_deref(), Some("Quay"));
    let other = format!("{mailbox}\nFrom x 1:00\nSubject: Mole\n\nIt is old.\n");
    let document = read_bytes("-", other.as_bytes().to_vec(), None).unwrap();
    assert_eq!((document.pages.len(), document.source.title), (4, None));
}

#[test]
fn of_two_ways_to_say_it_the_plain_one_is_read() {
    let both = |plain: &str, html: &str| {
        format!(
            "Content-Type: multipart/alternative; boundary=x\n\n--x\n\n{plain}\n--x\n\
                 Content-Type: text/html\n\n{html}\n--x--\n"
        )
    };
    check(&both("Plain.", "<p>Rich.</p>"), "Plain.", None);
    check(&both("", "<p>Rich.</p>"), "Rich.", None);
    let long = "It is rich. ".repeat(20);
    check(&both("See it in a browser.", &format!("<p>{long}")), long.trim(), None);
    check("Content-Type: text/html\n\n<meta charset=koi8-r><h1>A</h1>b", "A\n\nb", None);
    check(
        "Content-Type: multipart/related; boundary=x\n\n--x\nContent-Type: text/html\n\n<p>a\n\
             --x\nContent-Type: image/png; name=a.png\n\nAAAA\n--x--",
        "a",
        None,
    );
}

#[test]
fn attachments_are_named_and_messages_in_messages_are_read() {
    let mut content =
        "Content-Type: multipart/mixed; boundary=\"x y\"\n\nfor old programs\n--x y\n\nOne.\n"
            .to_owned();
    content += "--x y\nContent-Type: application/pdf; name=a.pdf\n\nJVBE\n";
    content += "--x y\nContent-Type: text/plain\n\
            Content-Disposition: attachment; filename*=utf-8''%C3%BC.txt\n\nnot read\n";
    content += "--x y\nContent-Type: message/rfc822\n\n\
            From: Bob\nSubject: Mole\n\nIt is old.\n\n";
    content += "--x y\nContent-Type: application/pgp-signature\n\nAAAA\n--x y--\n";
    check(
        &content,
        "One.\n\nMole\n\nFrom: Bob\n\nIt is old.",
        Some("2 attachments were not read: `a.pdf`, `ü.txt`"),
    );
    check("Content-Type: image/png\n\nAAAA", "", Some("1 attachment was not read: `image/png`"));
    check(
        "\nIt is this:\n\nbegin 644 a.bin\n#0V%T\n`\nend\n\nbegin 4 x\n",
        "It is this:\n\nbegin 4 x",
        Some("1 attachment was not read: `a.bin`"),
    );
    check(
        "\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA1\n\nIt is so.\n\
             -----BEGIN PGP SIGNATURE-----\n\niQ\n-----END PGP SIGNATURE-----\nAnn\n",
        "It is so.\nAnn",
        None,
    );
    let open = "-----BEGIN PGP SIGNATURE-----\n\nbegin 644 a.bin\n#0V%T\nAnn";
    check(&format!("\n{open}"), open, None);
}

#[test]
fn a_digest_is_its_messages() {
    check(
        "Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: A\n\na\n--x\n\
             Content-Type: message/rfc822\n\nSubject: B\n\nb\n--x--",
        "A\n\na\n\nB\n\nb",
        None,
    );
}

#[test]
fn a_saved_page_has_no_sender() {
    let page = "From: <Saved by a browser>\r\nSnapshot-Content-Location: https://example.org\r\n\
            Subject: Quay\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/related; type=\"text/html\"; boundary=\"x\"\r\n\r\n\
            --x\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            <h1>The=20quay</h1><p>It is old.\r\n--x\r\nContent-Type: text/css\r\n\r\np {}\r\n--x--\r\n";
    let document = read_bytes("-", page.as_bytes().to_vec(), Some("mhtml")).unwrap();
    assert_eq!(document.text, "The quay\n\nIt is old.");
    assert_eq!(document.source.title.as_deref(), Some("Quay"));
}

#[test]
fn the_encoding_of_a_body_is_the_one_that_is_stated_if_it_can_be() {
    let text = |charset: &str, body: &[u8]| {
        let mut message =
            format!("Subject: S\nContent-Type: text/plain; charset={charset}\n\n").into_bytes();
        message.extend(body);
        let document = read_bytes("-", message, Some("eml")).unwrap();
        let code = document.warnings.first().map(|warning| warning.code);
        (document.text.replacen("S\n\n", "", 1), code)
    };
    let guessed = Some("encoding_guessed");
    assert_eq!(text("koi8-r", b"\xF0\xD2"), ("Пр".into(), None));
    assert_eq!(text("utf-8", b"\xC3\xA9"), ("é".into(), None));
    assert_eq!(text("utf-8", b"Der sch\xF6ne Tag"), ("Der schöne Tag".into(), guessed));
    assert_eq!(text("us-ascii", b"Der sch\xF6ne Tag"), ("Der schöne Tag".into(), guessed));
    assert_eq!(text("x-none", b"Der sch\xC3\xB6ne Tag"), ("Der schöne Tag".into(), None));
    assert_eq!(text("utf-7", b"sch+APY-n"), ("schön".into(), None));
    assert_eq!(text("shift_jis", b"\x8Aw\xFF").1, Some("encoding_errors"));
}

#[test]
fn a_message_may_end_anywhere() {
    let whole = format!(
        "{}--x\r\nContent-Type: text/html\r\n\r\n<p>a</p>\r\n--x\r\n\
             Content-Type: message/rfc822\r\n\r\n{MESSAGE}\r\n--x--\r\n",
        MESSAGE.replace("text/plain", "multipart/mixed; boundary=x; name=\"a")
    );
    for end in 1..whole.len() {
        read_bytes("-", whole.as_bytes()[..end].to_vec(), Some("eml")).unwrap();
    }
}

#[test]
fn parts_in_parts_are_read_to_a_depth() {
    let n = 30_000;
    for open in ["-----BEGIN PGP A-----\n", "begin 644 a\n#0V%T\n"] {
        assert!(read(&format!("From: a\n\n{}", open.repeat(n))).text.len() > n);
    }
    for nest in [
        "Content-Type: message/rfc822\n\n",
        "Content-Type: multipart/mixed; boundary=x#\n\n--x#\n",
        "Content-Type: multipart/digest; boundary=x#\n\n--x#\n\n",
    ] {
        let nested: String = (0..n).map(|n| nest.replace('#', &n.to_string())).collect();
        let document = read(&format!("From: a\n{nested}\n\na"));
        assert_eq!(document.warnings[0].code, "attachments_not_read", "{nest}");
    }
    let parts = "--x\n\na\n".repeat(n);
    let document = read(&format!("From: a\nContent-Type: multipart/mixed; boundary=x\n\n{parts}"));
    assert_eq!(document.text.matches("\n\na").count(), n);
}

proptest! {
    #[test]
    fn pages_cover_the_text_of_any_mailbox(
        pieces in prop::collection::vec(
            "(From a 1:00\n|>From |Subject: |From: |Content-Type: |text/(plain|html)|multipart/(mixed|alternative|related|digest)|message/rfc822|; boundary=x|; charset=(utf-8|koi8-r|utf-7)|Content-Transfer-Encoding: (base64|quoted-printable)\n|--x\n|--x--\n|=[0-9A-F]{2}|=\\?utf-8\\?[qb]\\?|\\?=|begin 644 a\n|-----BEGIN PGP |[a-zé]{1,9}|[ \n,;<>\"()]|\n\n)",
            0..60,
        )
    ) {
        let mailbox = format!("From a 1:00\nFrom: b\n{}", pieces.concat());
        let document = read_bytes("-", mailbox.into_bytes(), None).unwrap();
        promises::hold(&document);
        for heading in &document.headings {
            prop_assert!(document.text.is_char_boundary(heading.range.end));
            prop_assert!(!heading.range.is_empty());
        }
    }

    #[test]
    fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut message = b"From: a\nMIME-Version: 1.0\nContent-Type: text/plain;".to_vec();
        message.extend(bytes);
        let _ = read_bytes("-", message, Some("eml"));
    }
}
