//! `longsum extract`: what a model would be given to read.

use anyhow::Result;
use longsum::batch::Output;
use longsum::document::Document;
use longsum::report;

use super::args::{Extract, ExtractFormat};
use super::exit::{self, Exit};

/// Reads every document asked for and writes what was found in it.
pub fn run(args: &Extract) -> Result<Exit> {
    let (place, reading) = (&args.place, &args.reading);
    let (how, isolate) = (super::how(reading)?, super::isolate(reading)?);
    let inputs = super::find(place, &isolate)?.inputs;
    let extension = match args.format {
        ExtractFormat::Json => "json",
        ExtractFormat::Text => "txt",
    };
    let output = Output::new(place.output.as_deref(), &place.inputs, &inputs, extension)?;
    let mut exit = Exit::Done;
    for input in &inputs {
        match isolate.read(input, &how, reading.pages, &|| false) {
            Ok(document) => output.write(input, render(&document, args.format)?.as_bytes())?,
            Err(error) if inputs.len() == 1 => return Err(error.into()),
            Err(error) => {
                exit = Exit::SomeFailed;
                exit::tell(&error.into());
            }
        }
    }
    Ok(exit)
}

fn render(document: &Document, format: ExtractFormat) -> Result<String> {
    let mut text = match format {
        ExtractFormat::Json => serde_json::to_string_pretty(&report::Extract::of(document))?,
        ExtractFormat::Text => document.to_read(0..document.text.len()).into_owned(),
    };
    text.push('\n');
    Ok(text)
}
