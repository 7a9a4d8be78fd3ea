//! `longsum extract`: what a model would be given to read.

use anyhow::Result;
use longsum::batch;
use longsum::report;

use super::args::{Extract, ExtractFormat};
use super::exit::{self, Exit};
use super::output::{self, Output};

/// Reads every document asked for and writes what was found in it.
pub fn run(args: &Extract) -> Result<Exit> {
    let reading = &args.reading;
    let inputs = batch::inputs(&reading.inputs, reading.output.as_deref())?;
    let extension = match args.format {
        ExtractFormat::Json => "json",
        ExtractFormat::Text => "txt",
    };
    let output = Output::new(reading, &inputs, extension)?;
    let mut exit = Exit::Done;
    for input in &inputs {
        let written = super::read(input, reading).and_then(|document| {
            let mut text = match args.format {
                ExtractFormat::Json => {
                    serde_json::to_string_pretty(&report::Extract::of(&document))?
                }
                ExtractFormat::Text => document.to_read(0..document.text.len()).into_owned(),
            };
            text.push('\n');
            output.write(input, text.as_bytes())
        });
        if let Err(error) = written {
            if inputs.len() == 1 || error.is::<output::WriteError>() {
                return Err(error);
            }
            exit = Exit::SomeFailed;
            exit::tell(&error);
        }
    }
    Ok(exit)
}
