//! The parts of a ZIP package: what a fuzzer changes is the XML inside, not the compressed bytes.
//! `LONGSUM_FUZZ` is `docx`, `odt` or `epub`. Each part begins with its name and a line end; a line
//! of `====` parts them.
#![no_main]

use std::io::{Cursor, Write};

use longsum_fuzz::{check, document};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

libfuzzer_sys::fuzz_target!(|data: &str| {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for part in data.split("\n====\n").take(8) {
        let Some((name, content)) = part.split_once('\n') else { continue };
        if zip.start_file(name, SimpleFileOptions::default()).is_ok() {
            let _ = zip.write_all(content.as_bytes());
        }
    }
    if let Ok(bytes) = zip.finish() {
        check(document::read_bytes("fuzz", bytes.into_inner(), None));
    }
});
