//! Small files made by hand, whole.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use zip::ZipWriter;
use zip::unstable::write::FileOptionsExt as _;
use zip::write::SimpleFileOptions;

use super::super::read_bytes;
use super::*;

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, content) in files {
        if name.ends_with('/') {
            zip.add_directory(*name, options).unwrap();
        } else {
            zip.start_file(*name, options).unwrap();
            zip.write_all(content).unwrap();
        }
    }
    zip.finish().unwrap().into_inner()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(content).unwrap();
    gzip.finish().unwrap()
}

fn check(name: &str, bytes: &[u8], text: &str, format: Format, message: &str) {
    let extension = extension_of(name);
    let document = read_bytes(name, bytes.to_vec(), extension.as_deref()).unwrap();
    assert_eq!(document.text, text, "{name}");
    assert_eq!(document.source.format, format, "{name}");
    assert_eq!(document.source.uri, name);
    assert_eq!(document.source.n_bytes, bytes.len() as u64);
    let first = &document.warnings[0];
    assert_eq!((first.code, first.message.as_str()), ("unpacked", message), "{name}");
}

fn error(bytes: Vec<u8>) -> String {
    read_bytes("a.zip", bytes, Some("zip")).unwrap_err().to_string()
}

#[test]
fn what_gzip_packed_is_read_by_its_own_kind() {
    let how = "unpacked with gzip to 5 bytes";
    check("a.md.gz", &gzip(b"# One"), "One", Format::Markdown, how);
    check("a.txt.gz", &gzip(b"One.\n"), "One.", Format::Text, how);
    check("-", &gzip(b"One.\n"), "One.", Format::Text, how);
    // Two texts packed one after the other are one.
    let two = [gzip(b"One."), gzip(b"\n\nTwo.")].concat();
    let how = "unpacked with gzip to 10 bytes";
    check("a.gz", &two, "One.\n\nTwo.", Format::Text, how);
    let mut named =
        flate2::GzBuilder::new().filename("in/b.md").write(Vec::new(), Compression::default());
    named.write_all(b"# One").unwrap();
    let how = "unpacked with gzip to 5 bytes";
    check("b.gz", &named.finish().unwrap(), "One", Format::Markdown, how);
}

#[test]
fn the_only_document_of_an_archive_is_read() {
    let how = "`in/a.md` was read from the archive; 1 file beside it was not read";
    let files: [(&str, &[u8]); 6] = [
        ("in/", b""),
        ("in/a.md", b"# One"),
        ("in/picture.png", b"\x89PNG"),
        ("in/.DS_Store", b"x"),
        ("__MACOSX/in/._a.md", b"x"),
        (".git/a.txt", b"x"),
    ];
    check("a.zip", &zip(&files), "One", Format::Markdown, how);
    let how = "`README` was read from the archive";
    check("a.zip", &zip(&[("README", b"One.")]), "One.", Format::Text, how);
    let how = "`../a.html` was read from the archive";
    check("a.zip", &zip(&[("../a.html", b"<html><p>One.")]), "One.", Format::Html, how);
}

#[test]
fn an_archive_in_an_archive_is_opened_and_no_more() {
    let one = gzip(b"One.");
    let two = zip(&[("a.txt.gz", &one)]);
    let how = "`a.txt.gz` was read from the archive";
    check("a.zip", &two, "One.", Format::Text, how);
    let three = zip(&[("b.zip", &two)]);
    assert_eq!(
        error(three.clone()),
        "`a.zip` is an archive of archives of archives, which cannot be read"
    );
    assert!(error(zip(&[("c.zip", &three)])).contains("archives of archives"));
}

#[test]
fn what_is_no_document_is_told() {
    let several = zip(&[("a.txt", b"One."), ("b.pdf", b"%PDF-1.4"), ("c.png", b"")]);
    assert_eq!(error(several), "`a.zip` is an archive of 2 documents");
    assert_eq!(error(zip(&[])), "`a.zip` is an empty archive, which cannot be read");
    assert_eq!(error(zip(&[("a/", b"")])), "`a.zip` is an empty archive, which cannot be read");
    let pictures = zip(&[("a.png", b"x"), ("b.png", b"y")]);
    assert_eq!(error(pictures), "`a.zip` is an archive without documents, which cannot be read");
    assert_eq!(error(zip(&[("a.txt", b"")])), "`a.zip/a.txt` is empty");
    assert_eq!(
        error(zip(&[("a.jpg", b"\xFF\xD8\xFF")])),
        "`a.zip/a.jpg` is a JPEG image, which cannot be read"
    );
    let err = read_bytes("a.gz", gzip(b""), Some("gz")).unwrap_err();
    assert_eq!(err.to_string(), "`a.gz` is empty");
}

#[test]
fn packages_are_known_by_their_parts() {
    let kind = |files: &[(&str, &[u8])]| kind_of_zip(&zip(files));
    let epub: [(&str, &[u8]); 2] = [("mimetype", b"application/epub+zip\n"), ("a.txt", b"a")];
    assert_eq!(kind(&epub), Kind::Format(Format::Epub));
    assert_eq!(kind(&[("META-INF/container.xml", b"")]), Kind::Format(Format::Epub));
    assert_eq!(kind(&[("word\\Document.xml", b"")]), Kind::Format(Format::Docx));
    let parts = b"<Override ContentType=\"application/vnd.openxmlformats-officedocument.\
            wordprocessingml.document.main+xml\"/>";
    assert_eq!(kind(&[("[Content_Types].xml", parts)]), Kind::Format(Format::Docx));
    let open = |kind: &str| format!("application/vnd.oasis.opendocument.{kind}").into_bytes();
    assert_eq!(kind(&[("mimetype", &open("text"))]), Kind::Format(Format::Odt));
    assert_eq!(kind(&[("mimetype", &open("text-template"))]), Kind::Format(Format::Odt));
    for (files, expected) in [
        (("mimetype", open("spreadsheet")), "an OpenDocument spreadsheet"),
        (("mimetype", open("presentation")), "an OpenDocument presentation"),
        (("mimetype", open("graphics")), "an OpenDocument drawing"),
        (("ppt/presentation.xml", Vec::new()), "a PowerPoint presentation"),
        (("xl/workbook.xml", Vec::new()), "an Excel workbook"),
        (("META-INF/MANIFEST.MF", Vec::new()), "a Java archive"),
        (("AndroidManifest.xml", Vec::new()), "an Android package"),
    ] {
        assert_eq!(kind(&[(files.0, &files.1)]), Kind::Unsupported(expected));
    }
    assert_eq!(kind(&[("a/ppt/presentation.xml", b"")]), Kind::Packed);
    assert_eq!(kind_of_zip(b"PK\x03\x04rest"), Kind::Packed);
}

#[test]
fn a_rare_way_to_pack_is_told() {
    let mut bytes = zip(&[("a.txt", b"One.")]);
    for at in 0..bytes.len() - 12 {
        match &bytes[at..at + 4] {
            b"PK\x01\x02" => bytes[at + 10] = 12,
            b"PK\x03\x04" => bytes[at + 8] = 12,
            _ => {}
        }
    }
    assert_eq!(error(bytes), "`a.zip/a.txt` is packed by a rare method, which cannot be read");
}

#[test]
fn a_bomb_is_stopped_by_its_length() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let block = vec![b'a'; 1 << 20];
    for _ in 0..=256 {
        gzip.write_all(&block).unwrap();
    }
    let err = read_bytes("a.gz", gzip.finish().unwrap(), Some("gz")).unwrap_err();
    assert_eq!(err.to_string(), "`a.gz` unpacks to more than 268435456 bytes");
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    zip.start_file("a.txt", options).unwrap();
    for _ in 0..=256 {
        zip.write_all(&block).unwrap();
    }
    let err = error(zip.finish().unwrap().into_inner());
    assert_eq!(err, "`a.zip/a.txt` unpacks to more than 268435456 bytes");
}

#[test]
fn files_that_share_their_bytes_are_refused() {
    let text = "It is long. ".repeat(100);
    let mut bytes = zip(&[("a.txt", text.as_bytes()), ("b.txt", b"x"), ("c.txt", b"y")]);
    let records: Vec<usize> =
        (0..bytes.len() - 4).filter(|&at| bytes[at..].starts_with(b"PK\x01\x02")).collect();
    // Sizes and place of the first file, for the others too.
    for at in &records[1..] {
        bytes.copy_within(records[0] + 16..records[0] + 28, at + 16);
        bytes.copy_within(records[0] + 42..records[0] + 46, at + 42);
    }
    let n = u32::try_from(bytes.len()).unwrap();
    assert!(read_bytes("a.zip", bytes.clone(), None).is_err());
    for at in records {
        bytes[at + 20..at + 24].copy_from_slice(&n.to_le_bytes());
    }
    assert!(error(bytes).ends_with("is damaged: its files overlap"));
}

#[test]
fn an_archive_of_too_many_files_is_refused_before_it_is_opened() {
    let mut bytes = zip(&[("a.txt", b"One.")]);
    let end = bytes.len() - 22;
    bytes[end + 10..end + 12].copy_from_slice(&20_000_u16.to_le_bytes());
    assert_eq!(error(bytes), "`a.zip` is an archive of 20000 documents");
}

#[test]
fn what_could_be_unpacked_of_a_damaged_file_is_read() {
    let text: String = (0..5000).map(|n| format!("Line {n}. ")).collect();
    let bytes = gzip(text.as_bytes());
    let document = read_bytes("a.gz", bytes[..bytes.len() / 2].to_vec(), None).unwrap();
    assert!(text.starts_with(&document.text) && document.text.len() > text.len() / 4);
    assert_eq!(document.warnings[1].code, "damaged_file");
    let err = read_bytes("a.gz", bytes[..12].to_vec(), None).unwrap_err();
    assert!(err.to_string().starts_with("`a.gz` is damaged: "), "{err}");
    let bytes = zip(&[("a.txt", text.as_bytes())]);
    let err = error(bytes[..bytes.len() / 2].to_vec());
    assert!(err.starts_with("`a.zip` is damaged: "), "{err}");
}

#[test]
fn a_locked_file_asks_for_its_password() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .with_deprecated_encryption(b"quay")
        .unwrap();
    zip.start_file("a.txt", options).unwrap();
    zip.write_all(b"One.").unwrap();
    let bytes = zip.finish().unwrap().into_inner();
    assert_eq!(error(bytes.clone()), "`a.zip/a.txt` is locked with a password");
    let read = |password: &str| {
        let reading = Reading { password: Some(password.to_owned()), ..Reading::default() };
        reading.bytes("a.zip", bytes.clone(), Some("zip"))
    };
    assert_eq!(read("quay").unwrap().text, "One.");
    assert!(read("mole").is_err());
}

#[test]
fn names_that_say_nothing_of_their_encoding_are_read() {
    let mut bytes = zip(&[("gr\u{FC}n.txt", b"One."), ("b.txt", b"Two.")]);
    // Without the flag of UTF-8.
    for at in 0..bytes.len() - 12 {
        match &bytes[at..at + 4] {
            b"PK\x01\x02" => bytes[at + 9] &= !8,
            b"PK\x03\x04" => bytes[at + 7] &= !8,
            _ => {}
        }
    }
    let archive = open("-", Cursor::new(bytes.as_slice())).unwrap();
    let names: Vec<String> = files(&archive).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["gr\u{FC}n.txt", "b.txt"]);
}

#[test]
fn members_are_listed_and_read_from_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.zip");
    let inner = zip(&[("c.txt", b"Three.")]);
    let bytes = zip(&[("a.txt", b"One."), ("in/b.md", b"# Two"), ("in.zip", &inner)]);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(members(&path).unwrap(), ["a.txt", "in/b.md", "in.zip"]);
    let read = |name: &str| member(&path, name, &Reading::default());
    let document = read("in/b.md").unwrap();
    assert_eq!((document.text.as_str(), document.source.n_bytes), ("Two", 5));
    assert_eq!(document.source.uri, format!("{}/in/b.md", path.display()));
    assert_eq!(document.warnings, []);
    assert_eq!(read("in.zip").unwrap().text, "Three.");
    assert!(matches!(read("no.txt"), Err(DocumentError::Io { .. })));
    for (name, content) in
        [("a.txt", b"One.".to_vec()), ("b.zip", zip(&[("word/document.xml", b"")]))]
    {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        assert_eq!(members(&path).unwrap(), [""; 0]);
    }
    assert!(members(&dir.path().join("none")).is_err());
}

#[test]
fn a_file_may_end_anywhere_and_any_byte_may_be_wrong() {
    let files: [(&str, &[u8]); 3] =
        [("mimetype", b"text"), ("a.txt", b"One. One. One."), ("b.png", b"x")];
    for bytes in [zip(&files), gzip(b"One. One. One.")] {
        for at in 0..bytes.len() {
            let _ = read_bytes("a", bytes[..at].to_vec(), None);
            for wrong in [0, 1, 0x7F, 0xFF] {
                let mut bytes = bytes.clone();
                bytes[at] = wrong;
                let _ = read_bytes("a", bytes, None);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_behind_a_mark_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for mark in [&b"PK\x03\x04"[..], b"PK\x05\x06", b"\x1F\x8B\x08\0\0\0\0\0\0\0"] {
            let _ = read_bytes("a", [mark, &bytes].concat(), None);
        }
    }
}
