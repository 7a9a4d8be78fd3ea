//! What the choice of sentences is learnt from: for each word of a document, what speaks for it, and
//! whether the reference summary has it.
//!
//! `cargo run --release --example facts -- MODEL < DOCUMENTS.jsonl > FACTS.jsonl`: `MODEL` is a
//! folder with heads, each line that goes in an object with `document` and `summary`, each that
//! comes out a list of `[facts, times in the document, times in the summary]`.

use std::io::{self, BufRead, BufWriter, Write};
use std::path::PathBuf;

use candle_core::Device;
use longsum::load::Loaded;
use longsum::{batch, document, summary};
use serde::Deserialize;

#[derive(Deserialize)]
struct Sample {
    document: String,
    summary: String,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = PathBuf::from(std::env::args().nth(1).ok_or("which model?")?);
    let loaded = Loaded::open(&model, &Device::Cpu)?;
    let about = batch::about(&loaded, "-", None);
    let reader = batch::reader(&loaded, &about);
    let mut out = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let sample: Sample = serde_json::from_str(&line?)?;
        let document = document::read_unnamed(&sample.document)?;
        let facts = summary::word_facts(&reader, &document, &sample.summary)?;
        serde_json::to_writer(&mut out, &facts)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}
