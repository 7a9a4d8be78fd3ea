//! Pages without a text layer, read by a program that somebody has installed.
//!
//! The program is called as `ocrmypdf` is: `PROGRAM --pages 3,5-7 … - -`, the PDF on its standard
//! input, the PDF with a text layer on its standard output. It has a time limit and is ended after
//! it. What it says is data like the rest of the document.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Document, DocumentError, PageStatus, Reading, Source, Warning, pdf};

/// Seconds for starting, and for each page.
const START_SECS: u64 = 60;
const PAGE_SECS: u64 = 60;
/// The most that is taken of what the program writes.
const MAX_BYTES: u64 = 1 << 30;
/// Characters of its complaints that are passed on.
const MAX_COMPLAINT: usize = 200;

/// How pages without a text layer are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ocr {
    /// The program, by name or path.
    pub program: String,
    /// Languages of the text as the program calls them, such as `eng+deu`.
    pub language: Option<String>,
}

impl Ocr {
    /// The PDF with a text layer on these pages, or why there is none.
    pub(super) fn run(&self, pdf: &[u8], pages: &[(u32, u32)]) -> Result<Vec<u8>, String> {
        let range = |&(first, last): &(u32, u32)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        let list = pages.iter().map(range).collect::<Vec<_>>().join(",");
        let n_pages: u64 = pages.iter().map(|(first, last)| u64::from(last - first) + 1).sum();
        let mut command = Command::new(&self.program);
        command.args(["--quiet", "--force-ocr", "--output-type", "pdf", "--optimize", "0"]);
        command.args(["--pages", &list]);
        if let Some(language) = &self.language {
            command.args(["--language", language]);
        }
        command.args(["-", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("`{}`: {error}", self.program))?;
        let limit = Duration::from_secs(START_SECS + PAGE_SECS * n_pages);
        let (written, complaint) =
            talk(&mut child, pdf, limit).map_err(|error| format!("`{}`: {error}", self.program))?;
        let status = child.wait().map_err(|error| error.to_string())?;
        if !status.success() {
            let said: String = complaint.trim().chars().take(MAX_COMPLAINT).collect();
            return Err(format!("`{}` ended with {status}: {said}", self.program));
        }
        Ok(written)
    }
}

/// Gives the program its input and takes what it writes, until it ends or the time is over.
fn talk(child: &mut Child, input: &[u8], limit: Duration) -> Result<(Vec<u8>, String), String> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let started = Instant::now();
    thread::scope(|scope| {
        scope.spawn(move || {
            // A program that does not read to the end says so itself.
            let _ = stdin.map(|mut stdin| stdin.write_all(input));
        });
        let taken = scope.spawn(move || {
            let mut bytes = Vec::new();
            let _ = stdout.map(|stdout| stdout.take(MAX_BYTES).read_to_end(&mut bytes));
            bytes
        });
        let said = scope.spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.map(|stderr| stderr.take(1 << 20).read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let mut is_late = false;
        while child.try_wait().map_err(|error| error.to_string())?.is_none() {
            if started.elapsed() > limit {
                is_late = true;
                let _ = child.kill();
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let (taken, said) = (taken.join().unwrap_or_default(), said.join().unwrap_or_default());
        if is_late {
            return Err(format!("ended after {} s", limit.as_secs()));
        }
        Ok((taken, said))
    })
}

/// Reads a PDF, and its scanned pages with the program that was named for it.
pub(super) fn read(
    source: Source,
    bytes: Vec<u8>,
    reading: &Reading,
) -> Result<Document, DocumentError> {
    let password = reading.password.as_deref();
    let Some(ocr) = &reading.ocr else { return pdf::read(source, bytes, password) };
    let mut document = pdf::read(source.clone(), bytes.clone(), password)?;
    let scanned = document.page_ranges(PageStatus::NeedsOcr);
    if scanned.is_empty() {
        return Ok(document);
    }
    let read = ocr.run(&bytes, &scanned).and_then(|found| {
        let read = pdf::read(source, found, password).map_err(|error| error.to_string())?;
        let n_pages = (read.pages.len(), document.pages.len());
        if n_pages.0 == n_pages.1 {
            Ok(read)
        } else {
            Err(format!("`{}` gave back {} pages of {}", ocr.program, n_pages.0, n_pages.1))
        }
    });
    let range = |&(first, last): &(u32, u32)| {
        if first == last { format!("page {first}") } else { format!("pages {first} to {last}") }
    };
    let pages = scanned.iter().map(range).collect::<Vec<_>>().join(", ");
    match read {
        Ok(mut read) => {
            let title = document.source.title.take().or(read.source.title.take());
            read.source = Source { title, ..document.source };
            let message = format!("{pages} have no text layer and were read by `{}`", ocr.program);
            read.warnings.push(Warning::new("ocr", message));
            Ok(read)
        }
        Err(reason) => {
            document.warnings.push(Warning::new("ocr_failed", format!("{pages}: {reason}")));
            Ok(document)
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::{PageStatus, Reading};
    use super::*;

    /// A program of these lines.
    fn program(dir: &std::path::Path, lines: &str) -> Ocr {
        let path = dir.join("ocr");
        std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Ocr { program: path.display().to_string(), language: Some("eng".into()) }
    }

    fn read(ocr: Ocr, pdf: Vec<u8>) -> super::super::Document {
        let reading = Reading { ocr: Some(ocr), ..Reading::default() };
        reading.bytes("scan.pdf", pdf, None).unwrap()
    }

    #[test]
    fn scanned_pages_get_the_text_that_the_program_finds() {
        let dir = tempfile::tempdir().unwrap();
        let text = super::super::pdf::tests::TEXT;
        let scan = super::super::pdf::tests::pages(&[text, "q 612 0 0 792 0 0 cm /I Do Q"]);
        let found = dir.path().join("found.pdf");
        std::fs::write(&found, super::super::pdf::tests::pages(&[text, text])).unwrap();
        let args = dir.path().join("args");
        let lines = format!(
            "echo \"$@\" > '{}'\ncat > /dev/null\ncat '{}'",
            args.display(),
            found.display()
        );
        let document = read(program(dir.path(), &lines), scan.clone());
        assert_eq!(document.n_pages(PageStatus::Text), 2);
        assert_eq!(document.text, "Some words.\n\nSome words.");
        let called = std::fs::read_to_string(args).unwrap();
        assert!(called.contains("--pages 2 --language eng - -"), "{called}");
        let warning = document.warnings.iter().find(|warning| warning.code == "ocr").unwrap();
        assert!(warning.message.starts_with("page 2 "), "{}", warning.message);
        // The document is still the one that was given.
        let plain = Reading::default().bytes("scan.pdf", scan, None).unwrap();
        assert_eq!(document.source, plain.source);
    }

    #[test]
    fn a_program_that_fails_costs_nothing_but_the_pages_it_was_for() {
        let dir = tempfile::tempdir().unwrap();
        let text = super::super::pdf::tests::TEXT;
        let scan = super::super::pdf::tests::pages(&[text, "q 612 0 0 792 0 0 cm /I Do Q"]);
        for lines in ["echo no engine >&2; exit 3", "exec cat > /dev/null", "echo not a pdf"] {
            let document = read(program(dir.path(), lines), scan.clone());
            assert_eq!(document.page_ranges(PageStatus::NeedsOcr), [(2, 2)], "{lines}");
            assert!(document.warnings.iter().any(|warning| warning.code == "ocr_failed"));
        }
        let absent = Ocr { program: "/no/such/program".into(), language: None };
        assert_eq!(read(absent, scan).n_pages(PageStatus::Text), 1);
    }
}
