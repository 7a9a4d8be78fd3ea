//! Small PDFs of every odd kind (`tests/pdfs/small`, made by `tests/pdfs/make.sh`), and chunks of every
//! format.

use std::num::NonZeroUsize;
use std::path::Path;

use longsum::chunk;
use longsum::document::{self, Document, DocumentError, PageStatus, Reading};
use unicode_segmentation::UnicodeSegmentation;

/// Files whose words are not all found yet, and why.
const KNOWN: [(&str, &str); 1] =
    [("hand-japanese-vertical.pdf", "columns of predefined vertical maps are read left to right")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Text without white space, which scripts and layouts set as they like.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<String>().replace('\u{2019}', "'")
}

#[test]
fn small_pdfs_are_read_as_their_makers_wrote_them() {
    let dir = root().join("tests/pdfs/small");
    let expected = std::fs::read_to_string(dir.join("expected.tsv")).unwrap();
    let mut wrong = Vec::new();
    for line in expected.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, n_pages, password, outcome, words] = fields[..] else {
            panic!("five fields: {line}")
        };
        let reading =
            Reading { password: (!password.is_empty()).then(|| password.to_owned()), ocr: None };
        let read = reading.file(&dir.join(name));
        let Ok(document) = read else {
            if outcome == "text" || outcome == "scan" {
                wrong.push(format!("{name}: {}", read.unwrap_err()));
            }
            continue;
        };
        if n_pages != "?" && n_pages.parse() != Ok(document.pages.len()) {
            wrong.push(format!("{name}: {} pages of {n_pages}", document.pages.len()));
        }
        check_ranges(&document);
        let text = squeezed(&document.text);
        let is_known = KNOWN.iter().any(|(known, _)| *known == name);
        let missing = words.split(" | ").find(|words| !text.contains(&squeezed(words)));
        if let Some(missing) = missing.filter(|_| outcome == "text" && words != "none") {
            if !is_known {
                wrong.push(format!("{name}: no {missing:?} in {:?}", document.text));
            }
        } else if is_known {
            wrong.push(format!("{name} is read now: take it off the list"));
        }
        if outcome == "scan" && document.n_pages(PageStatus::Text) > 0 {
            wrong.push(format!("{name}: a scan is said to have text"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_password_that_is_missing_or_wrong_is_said() {
    let path = root().join("tests/pdfs/small/locked-aes-256.pdf");
    let error = document::read(&path).unwrap_err();
    assert!(matches!(error, DocumentError::Password { .. }), "{error}");
    let wrong = Reading { password: Some("no".into()), ocr: None };
    let error = wrong.file(&path).unwrap_err();
    assert!(matches!(error, DocumentError::WrongPassword { .. }), "{error}");
}

fn check_ranges(document: &Document) {
    let mut at = 0;
    for page in &document.pages {
        assert_eq!(page.range.start, at, "{}", document.source.uri);
        at = page.range.end;
    }
    assert_eq!(at, document.text.len());
}

/// Every sample there is, and for each chunk size: chunks joined are the text, their sentences joined
/// are what is read.
#[test]
fn chunks_joined_are_the_text_in_every_format() {
    let files = ["samples", "tests/pdfs/small", "tests/fixtures/formats"]
        .iter()
        .filter_map(|dir| std::fs::read_dir(root().join(dir)).ok())
        .flatten()
        .map(|entry| entry.unwrap().path());
    let mut n_read = 0;
    for path in files {
        let Ok(document) = document::read(&path) else { continue };
        if !document.has_text() {
            continue;
        }
        n_read += 1;
        check_ranges(&document);
        for budget in [1, 7, 64, 1000] {
            let budget = NonZeroUsize::new(budget).unwrap();
            let chunks = chunk::split(&document, budget, &|text| text.unicode_words().count());
            let (mut at, mut read) = (0, String::new());
            for chunk in &chunks {
                assert_eq!(chunk.range.start, at, "{}", path.display());
                at = chunk.range.end;
                let sentences = chunk.sentences.iter().map(|range| &document.text[range.clone()]);
                let sentences: String = sentences.collect();
                assert_eq!(sentences, document.to_read(chunk.range.clone()));
                assert!(chunk.n_tokens <= budget.get(), "{}", path.display());
                read.push_str(&sentences);
            }
            assert_eq!(at, document.text.len(), "{}", path.display());
            assert_eq!(read, document.to_read(0..document.text.len()));
        }
    }
    assert!(n_read > 20, "only {n_read} files were read");
}
