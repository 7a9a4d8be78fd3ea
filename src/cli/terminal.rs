//! What standard output is, and so what is written to it.

use std::path::Path;

use console::Term;
use longsum::report::{self, Look};

use super::args::{Colour, Format, Shape};
use super::exit::Failure;

/// The format of reports.
///
/// What was asked for on the command line; or else as the name of the file ends; or else what a
/// variable or a file of settings says; or else text in a terminal, and JSON.
///
/// - `file`: where the only report goes, if it goes to a file
/// - `is_folder`: whether reports go to a folder
///
/// # Errors
/// [`Failure::TextForFolder`]: a run looks into a folder's reports for what still stands, and text
/// does not tell.
pub fn format(
    shape: &Shape,
    file: Option<&Path>,
    is_folder: bool,
) -> Result<report::Format, Failure> {
    let is_shown = file.is_none() && !is_folder;
    let asked = match (shape.format, file.and_then(by_name)) {
        (Some(format), _) if shape.is_asked => format,
        (_, Some(format)) => format,
        (Some(Format::Text), None) if is_folder => Format::Json,
        (Some(format), None) => format,
        (None, None) if is_shown && Term::stdout().is_term() => Format::Text,
        (None, None) => Format::Json,
    };
    match asked {
        Format::Json => Ok(report::Format::Json),
        Format::Md => Ok(report::Format::Md),
        Format::Html => Ok(report::Format::Html),
        Format::Text if is_folder => Err(Failure::TextForFolder),
        Format::Text => Ok(report::Format::Text(look(shape.color, is_shown))),
    }
}

fn by_name(file: &Path) -> Option<Format> {
    match file.extension()?.to_str()?.to_lowercase().as_str() {
        "json" => Some(Format::Json),
        "md" | "markdown" => Some(Format::Md),
        "html" | "htm" => Some(Format::Html),
        "txt" => Some(Format::Text),
        _ => None,
    }
}

fn look(colour: Colour, is_shown: bool) -> Look {
    let size = Term::stdout().size_checked().filter(|_| is_shown);
    Look {
        n_columns: size.map_or(Look::default().n_columns, |(_, n_columns)| n_columns.into()),
        colours: match colour {
            Colour::Auto => is_shown && console::colors_enabled(),
            Colour::Always => true,
            Colour::Never => false,
        },
    }
}
