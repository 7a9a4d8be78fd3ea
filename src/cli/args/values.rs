//! Values of options: those with names, and how the others are read.

use std::num::NonZeroUsize;

use clap::ValueEnum;
use longsum::batch::{Shard, ShardError};
use longsum::report::{GateError, Gates};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The report on a document
    Summary,
    /// `run.json`, what became of every document
    Run,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExtractFormat {
    /// The text, and what is known of its parts
    Json,
    /// The text that a model would read
    Text,
}

/// What a token sees of those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AttentionKind {
    /// The first ones, and the most recent ones
    Sinks,
    /// The most recent ones, as they were computed when they came
    Window,
    /// All
    Dense,
    /// The most recent ones, all computed anew for each token
    Recompute,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NumberType {
    /// 32 bits: on a CPU
    F32,
    /// 16 bits
    F16,
    /// 16 bits, with the range of 32
    Bf16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EvalFormat {
    /// A line for each set, for people
    Table,
    /// The same, unrounded
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// In a terminal that wants them
    Auto,
    /// Also where it goes to a file or a program
    Always,
    /// Never
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Evidence {
    /// What the model looked at while it wrote, and the words they share
    Attention,
    /// The words they share
    Words,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The whole report, `longsum schema` describes it
    Json,
    /// The summary for people, in Markdown
    Md,
    /// The same to look at in a browser, as one page; index.html for several documents
    Html,
    /// The summary alone, as it is shown in a terminal
    Text,
}

/// How many streams go through the model together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// As many as are of use.
    Auto,
    /// So many.
    Number(NonZeroUsize),
}

/// `auto`, or a number.
pub fn streams(text: &str) -> Result<Streams, String> {
    if text == "auto" {
        return Ok(Streams::Auto);
    }
    let number = text.parse().map(Streams::Number);
    number.map_err(|_| format!("`{text}` is neither auto nor a number from 1"))
}

/// `i/n`, or what an array job says.
pub fn shard(text: &str) -> Result<Shard, ShardError> {
    if text == "auto" { Shard::auto(&|name| std::env::var(name).ok()) } else { text.parse() }
}

pub fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if (0.0..=1e9).contains(&n) => Ok(n),
        _ => Err(format!("`{text}` is not a number of seconds")),
    }
}

/// Gates, or none at all.
pub fn gates(text: &str) -> Result<Gates, GateError> {
    if text.is_empty() { Ok(Gates::default()) } else { text.parse() }
}

/// `A-B`, or `A` alone.
pub fn pages(text: &str) -> Result<(u32, u32), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number =
        |s: &str| s.trim().parse::<u32>().map_err(|_| format!("`{s}` is not a page number"));
    let (first, last) = (number(first)?, number(last)?);
    if first == 0 {
        return Err("pages count from 1".to_owned());
    }
    if last < first {
        return Err(format!("the last page, {last}, comes before the first, {first}"));
    }
    Ok((first, last))
}

pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(format!("`{text}` is not a number from 1")),
    }
}

/// A name or a number of words.
pub fn length(text: &str) -> Result<usize, String> {
    match text {
        "short" => Ok(100),
        "medium" => Ok(200),
        "long" => Ok(500),
        number => {
            match number.parse() {
                Ok(n) if (10..=20_000).contains(&n) => Ok(n),
                _ => Err("neither short, medium or long, nor a number of words from 10 to 20000"
                    .to_owned()),
            }
        }
    }
}

pub fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(t) if (0.0..=2.0).contains(&t) => Ok(t),
        _ => Err(format!("`{text}` is not a number from 0 to 2")),
    }
}
