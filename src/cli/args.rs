//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use longsum::report::{GateError, Gates};

/// Summarize documents of any length on this machine.
///
/// Reads PDF, HTML, EPUB, Word, OpenDocument, RTF, mail, Markdown and text through a language model whose memory never grows, and
/// writes rolling and final summaries with the pages and words that each statement rests on.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub job: Job,
}

/// The model that the program carries.
pub const BUILTIN: &str = "builtin";

const EXAMPLES: &str = "\
Examples:
  longsum report.pdf > report.json
  longsum report.pdf --format md --length short
  longsum report.pdf --model Qwen/Qwen3-0.6B --format md --pages 10-40
  longsum archive/ -o summaries/ --model ./my-model

Exit codes: 0 all done, 1 some documents failed, 2 wrong use, 3 a gate was not met, 75 try again later";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the text of documents as a model would read it
    Extract(Extract),
    /// Print the JSON Schema of the output
    Schema,
    /// Score summaries of documents that people have summarized too
    Eval(Eval),
}

/// Reads documents and prints what was found: as text, only what a model would read; as JSON, all of
/// the normalized text with its pages, headings, what is not read and why, and warnings.
///
/// Example: longsum extract report.pdf --format text
#[derive(Debug, ClapArgs)]
pub struct Extract {
    #[command(flatten)]
    pub reading: Reading,

    /// What to print
    #[arg(short, long, value_enum, default_value_t = ExtractFormat::Json)]
    pub format: ExtractFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExtractFormat {
    /// The text, and what is known of its parts
    Json,
    /// The text that a model would read
    Text,
}

/// Which documents are read, and where the result goes.
#[derive(Debug, ClapArgs)]
pub struct Reading {
    /// Documents, folders or ZIP archives of documents, or - for standard input
    #[arg(value_name = "FILE", required = true)]
    pub inputs: Vec<PathBuf>,

    /// Where to write: a file, or a folder for several documents [default: standard output]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// Read only these pages, or sections of formats without pages
    #[arg(long, value_name = "A-B", value_parser = pages)]
    pub pages: Option<(u32, u32)>,

    /// Password of locked PDFs
    #[arg(long, value_name = "TEXT", env = "LONGSUM_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,

    /// Program that reads PDF pages without a text layer, called as `ocrmypdf` is
    #[arg(long, value_name = "PROGRAM")]
    pub ocr: Option<String>,

    /// Languages of these pages, as that program calls them, such as eng+deu
    #[arg(long, value_name = "LANGUAGES", requires = "ocr")]
    pub ocr_language: Option<String>,
}

/// Summarizes each document to the length of its reference and prints ROUGE-1, ROUGE-2 and ROUGE-L
/// (F1, with stemmer), how many tenths of a document its summary quotes, how many statements it bears
/// out and how many quotes are exact: the means of each set, and their average.
#[derive(Debug, ClapArgs)]
pub struct Eval {
    /// Folder of sets: .jsonl or .jsonl.zst, on each line {"document", "summary"} or {"document",
    /// "references"}
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,

    /// `builtin`, or any other model, as for documents
    #[arg(short, long, value_name = "PATH", default_value = BUILTIN)]
    pub model: String,

    /// What to print
    #[arg(short, long, value_enum, default_value_t = EvalFormat::Table)]
    pub format: EvalFormat,

    /// Tokens pinned at the beginning of the stream [default: as many as the prompt has]
    #[arg(long, value_name = "N")]
    pub sinks: Option<usize>,

    /// Only the first documents of each set
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EvalFormat {
    /// A line for each set, for people
    Table,
    /// The same, unrounded
    Json,
}

#[derive(Debug, ClapArgs)]
pub struct Job {
    #[command(flatten)]
    pub reading: Reading,

    /// `builtin`, which chooses sentences of the document; or a model that writes: a GGUF file, a
    /// folder of safetensors, or a Hugging Face id (org/name[@revision][:file.gguf])
    #[arg(short, long, value_name = "PATH|ID", env = "LONGSUM_MODEL", default_value = BUILTIN)]
    pub model: String,

    /// What to write
    #[arg(short, long, value_enum, default_value_t = Format::Json)]
    pub format: Format,

    /// Length of the final summary: short (100 words), medium (200), long (500), or a number of words
    #[arg(long, value_name = "LENGTH", default_value = "medium", value_parser = length)]
    pub length: usize,

    /// How the sentences are found that a written statement rests on
    #[arg(long, value_enum, default_value_t = Evidence::Attention)]
    pub evidence: Evidence,

    /// Language to write in, such as English or German
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Option<String>,

    /// End with 3 if a report does not keep to these gates, such as weak:0.2,coverage:0.7,needs-ocr:
    /// at most this share of statements not borne out by the document, at least this share of its
    /// tenths quoted, no page without a text layer; others are unsupported:SHARE, repetition:SHARE,
    /// copy:SHARE, failed-pages, language
    #[arg(long, value_name = "GATES", default_value = "", hide_default_value = true, value_parser = gates)]
    pub fail_on: Gates,

    /// Folder of prompt templates that replace built-in ones of the same name
    #[arg(long, value_name = "DIR")]
    pub prompts: Option<PathBuf>,

    /// Tokens pinned at the beginning of the stream [default: as many as the prompt has]
    #[arg(long, value_name = "N", help_heading = "Stream")]
    pub sinks: Option<usize>,

    /// Recent tokens that the model sees [default: a chunk, the question and the reply]
    #[arg(long, value_name = "N", help_heading = "Stream")]
    pub window: Option<usize>,

    /// Most tokens read at once [default: 1024, or what the window allows]
    #[arg(long, value_name = "N", help_heading = "Stream")]
    pub chunk: Option<usize>,

    /// 0 takes the likeliest word each time; above, words are drawn
    #[arg(long, value_name = "T", default_value_t = 0.0, value_parser = temperature, help_heading = "Stream")]
    pub temperature: f64,

    /// Seed of the draws
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Stream")]
    pub seed: u64,

    /// No bars, no closing line; errors only
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
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
}

impl Format {
    /// Extension of the files it is written to.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Md => "md",
        }
    }
}

/// Gates, or none at all.
fn gates(text: &str) -> Result<Gates, GateError> {
    if text.is_empty() { Ok(Gates::default()) } else { text.parse() }
}

/// `A-B`, or `A` alone.
fn pages(text: &str) -> Result<(u32, u32), String> {
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

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err(format!("`{text}` is not a number from 1")),
    }
}

/// A name or a number of words.
fn length(text: &str) -> Result<usize, String> {
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

fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(t) if (0.0..=2.0).contains(&t) => Ok(t),
        _ => Err(format!("`{text}` is not a number from 0 to 2")),
    }
}
