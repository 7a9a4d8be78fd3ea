//! Files made by hand, page by page.

use super::super::PageStatus::{Empty, Failed, NeedsOcr, Text};
use super::super::{AsideKind, Document, Format, read_bytes};
use super::*;

/// A file of these objects, numbered from 1; the first is the catalog.
fn file(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (number, body) in (1..).zip(objects) {
        offsets.push(out.len());
        out.extend(format!("{number} 0 obj\n").bytes());
        out.extend(body);
        out.extend(b"\nendobj\n");
    }
    let start = out.len();
    out.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    for offset in &offsets {
        out.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    let n = objects.len() + 1;
    out.extend(format!("trailer\n<< /Size {n} /Root 1 0 R {trailer} >>\n").bytes());
    out.extend(format!("startxref\n{start}\n%%EOF\n").bytes());
    out
}

fn stream(dict: &str, data: &[u8]) -> Vec<u8> {
    let mut out = format!("<< {dict} /Length {} >>\nstream\n", data.len()).into_bytes();
    out.extend(data);
    out.extend(b"\nendstream");
    out
}

/// A file with one page for each content stream. Object 3 is the font, object 4 an image.
pub(super) fn pages_with(font: &[Vec<u8>], contents: &[&str]) -> Vec<u8> {
    let mut objects = vec![b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(), Vec::new()];
    objects.push(font[0].clone());
    let image = "/Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray";
    objects.push(stream(image, b"x"));
    objects.extend_from_slice(&font[1..]);
    let mut kids = String::new();
    for content in contents {
        objects.push(stream("", content.as_bytes()));
        let n = objects.len();
        objects.push(
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {n} 0 R \
                 /Resources << /Font << /F1 3 0 R >> /XObject << /I 4 0 R >> >> >>"
            )
            .into_bytes(),
        );
        kids.push_str(&(n + 1).to_string());
        kids.push_str(" 0 R ");
    }
    objects[1] =
        format!("<< /Type /Pages /Count {} /Kids [{kids}] >>", contents.len()).into_bytes();
    file(&objects, "")
}

pub(in super::super) fn pages(contents: &[&str]) -> Vec<u8> {
    let font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>";
    pages_with(&[font.into()], contents)
}

fn statuses(document: &Document) -> Vec<PageStatus> {
    document.pages.iter().map(|page| page.status).collect()
}

pub(in super::super) const TEXT: &str = "BT /F1 12 Tf 72 700 Td (Some words.) Tj ET";

#[test]
fn every_page_is_accounted_for() {
    let scan = "q 612 0 0 792 0 0 cm /I Do Q";
    let stamped = format!("{scan} {TEXT}");
    let bytes = pages(&[TEXT, "", scan, &stamped]);
    let document = read_bytes("-", bytes, None).unwrap();
    assert_eq!(statuses(&document), [Text, Empty, NeedsOcr, NeedsOcr]);
    assert_eq!(document.source.format, Format::Pdf);
    assert_eq!(document.text, "Some words.\n\nSome words.");
    assert_eq!(document.pages[0].range, 0..13);
    assert_eq!(document.pages[3].range, 13..24);
}

#[test]
fn a_page_that_cannot_be_read_has_failed() {
    let mut bytes = pages(&[TEXT, TEXT]);
    let at = bytes.windows(7).position(|window| window == b"/Length").unwrap();
    let broken = b"<< /Filter /FlateDecode";
    let last = bytes.windows(10).rposition(|window| window == b"<<  /Lengt").unwrap();
    assert!(at < last);
    bytes.splice(last..last + 3, broken.iter().copied());
    let document = read_bytes("-", bytes, None).unwrap();
    assert_eq!(statuses(&document), [Text, Failed]);
    assert!(document.warnings.iter().any(|warning| warning.code == "page_failed"));
}

#[test]
fn a_file_without_text_is_still_a_document() {
    let document = read_bytes("-", pages(&["", "/I Do"]), None).unwrap();
    assert!(!document.has_text());
    assert_eq!(document.page_ranges(PageStatus::NeedsOcr), [(2, 2)]);
}

#[test]
fn glyph_names_tell_what_no_map_does() {
    let font = "<< /Type /Font /Subtype /Type1 /BaseFont /ABCDEF+Tiny /FirstChar 0 /LastChar 0 \
                /Widths [500] /FontDescriptor 5 0 R >>";
    let descriptor = "<< /Type /FontDescriptor /FontName /ABCDEF+Tiny /Flags 4 /FontFile3 6 0 R >>";
    let program = stream("/Subtype /Type1C", &super::glyph::tests::tiny_cff());
    let objects = [font.into(), descriptor.into(), program];
    let content = "BT /F1 12 Tf 72 700 Td (\\134con\\014rm) Tj ET";
    let document = read_bytes("-", pages_with(&objects, &[content]), None).unwrap();
    assert_eq!(document.text, "\u{201C}confirm");
    assert_eq!(document.warnings[0].code, "ligatures_repaired");
    assert!(document.warnings[0].message.starts_with("1 ligatures"));
}

#[test]
fn a_common_font_need_not_be_in_the_file() {
    let font = "<< /Type /Font /Subtype /Type0 /BaseFont /ArialMT /Encoding /Identity-H \
                /DescendantFonts [5 0 R] >>";
    let descendant = "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /ArialMT /DW 600 \
        /FontDescriptor 6 0 R /CIDSystemInfo << /Ordering (Identity) /Supplement 0 >> >>";
    let descriptor = "<< /Type /FontDescriptor /FontName /ArialMT /Flags 32 >>";
    let objects = [font.into(), descendant.into(), descriptor.into()];
    let content = "BT /F1 12 Tf 72 700 Td <0030006C00550056> Tj ET";
    let document = read_bytes("-", pages_with(&objects, &[content]), None).unwrap();
    assert_eq!(document.text, "Märs");
}

#[test]
fn the_sample_reads_as_it_was_written() {
    let bytes = include_bytes!("../../../samples/minutes.pdf");
    let document = read_bytes("minutes.pdf", bytes.to_vec(), None).unwrap();
    assert_eq!(document.source.title.as_deref(), Some("Minutes of the Velsby Harbour Board"));
    for whole in [
        "in the evening. Nine of",
        "the well-known trouble at the mouth of the basin. Since",
        "in which the treasurer explained the state of the reserve fund, the board agreed",
        "The proposal was put off",
    ] {
        assert!(document.text.contains(whole), "{whole:?} in {}", document.text);
    }
    let read = document.to_read(0..document.text.len());
    assert!(read.contains("without change.\n\nThe harbour master"), "{read}");
    assert!(!read.contains("Velsby Harbour Board"));
    assert_eq!(document.asides.len(), 6);
    for aside in &document.asides {
        assert_eq!(aside.kind, AsideKind::RunningLine);
        assert!(document.text[..aside.range.start].ends_with("\n\n"));
        assert!(!document.text[aside.range.clone()].trim_end().is_empty());
    }
    assert_eq!(document.warnings[0].code, "running_lines_set_apart");
    assert!(document.warnings[0].message.starts_with("6 "));
    let headings = document.headings.iter().map(|heading| &document.text[heading.range.clone()]);
    let expected =
        ["Minutes of the Meeting of 12 October", "The offer of Nordmole", "Other business"];
    assert_eq!(headings.collect::<Vec<_>>(), expected);
    let treasurer = document.text.find("treasurer").unwrap();
    assert_eq!(document.pages_of(treasurer - 5..treasurer + 9), (1, 2));
    assert_eq!(document.pages[1].range.start, treasurer);
}

#[test]
fn a_locked_file_asks_for_its_password() {
    let zeros = "00".repeat(32);
    let encrypt = format!(
        "/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <{zeros}> /U <{zeros}> >> /ID [<00> <00>]"
    );
    let objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Count 0 /Kids [] >>".to_vec(),
    ];
    let err = read_bytes("a.pdf", file(&objects, &encrypt), None).unwrap_err();
    assert!(matches!(err, DocumentError::Password { .. }), "{err}");
}

#[test]
fn a_file_cut_anywhere_is_read_or_refused_but_never_panics() {
    let bytes = pages(&[TEXT, TEXT, TEXT]);
    let mut n_read = 0;
    for end in (10..bytes.len()).step_by(41) {
        match read_bytes("-", bytes[..end].to_vec(), None) {
            Ok(document) => {
                n_read += 1;
                assert!(document.warnings.iter().any(|warning| warning.code == "damaged_file"));
            }
            Err(err) => assert!(matches!(err, DocumentError::Damaged { .. }), "{err}"),
        }
    }
    assert!(n_read > 0);
}

#[test]
fn garbled_bytes_do_not_panic() {
    let bytes = pages(&[TEXT, TEXT]);
    for at in (9..bytes.len()).step_by(7) {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x15;
        let _ = read_bytes("-", bytes, None);
    }
}

#[test]
fn an_accent_goes_onto_the_letter_under_it() {
    // The letter is set back under the accent, which is 333 wide.
    let content = "BT /F1 10 Tf 72 700 Td [(Gl\\310) 444 (uck)] TJ ET";
    let document = read_bytes("-", pages(&[content]), None).unwrap();
    assert_eq!(document.text, "Glück");
    // Not where it stands beside the letter.
    let content = "BT /F1 10 Tf 72 700 Td (a \\310 uck) Tj ET";
    assert!(!read_bytes("-", pages(&[content]), None).unwrap().text.contains('ü'));
}

/// A page with one annotation: its appearance says what a form field holds.
fn with_appearance(flags: u32) -> Document {
    let form =
        "/Type /XObject /Subtype /Form /BBox [0 0 100 20] /Resources << /Font << /F1 3 0 R >> >>";
    let objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Count 1 /Kids [6 0 R] >>".to_vec(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_vec(),
        stream(form, b"BT /F1 12 Tf 2 5 Td (Ada Lovelace) Tj ET"),
        stream("", b"BT /F1 12 Tf 72 700 Td (Name of the applicant:) Tj ET"),
        format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R \
             /Resources << /Font << /F1 3 0 R >> >> /Annots [<< /Type /Annot /Subtype /Widget \
             /F {flags} /Rect [72 640 172 660] /AP << /N 4 0 R >> >>] >>"
        )
        .into_bytes(),
    ];
    read_bytes("-", file(&objects, ""), None).unwrap()
}

#[test]
fn what_a_form_field_shows_is_text_of_its_page() {
    let text = with_appearance(4).text;
    assert!(text.contains("Name of the applicant:"), "{text}");
    assert!(text.contains("Ada Lovelace"), "{text}");
    let hidden = with_appearance(2).text;
    assert!(!hidden.contains("Ada"), "{hidden}");
}
