//! Cuts documents into sentences as the program does, for training.
//!
//! `cargo run --release --example segment < DOCUMENTS.jsonl > SENTENCES.jsonl`: each line is an
//! object with `document`, a text; what comes out has `sentences` in its place, each
//! `[text, kind]`, and everything else as it was. Kinds: `s` ends a sentence, `p` a paragraph, `h`
//! is a heading.

use std::io::{self, BufRead, BufWriter, Write};

use longsum::{document, sentence};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let mut fields: Value = serde_json::from_str(&line?)?;
        let text = fields["document"].as_str().ok_or("a line without `document`")?.to_owned();
        let fields = fields.as_object_mut().ok_or("a line that is no object")?;
        fields.remove("document");
        fields.insert("sentences".to_owned(), sentences(&text)?);
        serde_json::to_writer(&mut out, &fields)?;
        out.write_all(b"\n")?;
        out.flush()?; // whoever asks may wait for the answer
    }
    Ok(())
}

fn sentences(text: &str) -> Result<Value, document::DocumentError> {
    let document = document::read_unnamed(text)?;
    let mut ranges = sentence::split(&document.text);
    ranges.retain(|range| !document.is_aside(range.start));
    let cut = ranges.iter().map(|range| {
        let at = document.headings.partition_point(|h| h.range.start < range.start);
        let is_heading =
            document.headings.get(at).is_some_and(|heading| heading.range.end <= range.end);
        let whole = &document.text[range.clone()];
        let text = whole.trim();
        let gap = &whole[whole.trim_end().len()..];
        let kind = if is_heading {
            "h"
        } else if gap.contains("\n\n") || range.end == document.text.len() {
            "p"
        } else {
            "s"
        };
        json!([text, kind])
    });
    Ok(Value::Array(cut.collect()))
}
