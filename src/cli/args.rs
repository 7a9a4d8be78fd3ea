//! What can be said on the command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use longsum::batch::{Shard, ShardError};
use longsum::device::Choice;
use longsum::memory;
use longsum::report::{self, GateError, Gates};
use serde::{Deserialize, Serialize};

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
  longsum archive/ -o summaries/ --glob '*.pdf' --jobs 4

Exit codes: 0 all done, 1 some documents failed, 2 wrong use, 3 a gate was not met,
75 try again later, 130 or 143 stopped: run it again to go on";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the text of documents as a model would read it
    Extract(Extract),
    /// Summarize what standard input asks for, line by line
    Worker(Worker),
    /// Share a long document out to many machines
    Plan(Plan),
    /// Read one part of a planned document
    Map(Map),
    /// Make the report of a planned document from its parts
    Merge(Merge),
    /// Print the JSON Schema of the output
    Schema {
        /// Of which output
        #[arg(value_enum, default_value_t = SchemaOf::Summary)]
        of: SchemaOf,
    },
    /// Score summaries of documents that people have summarized too
    Eval(Eval),
    /// Measure how well a model predicts a text, by what it may see
    Ppl(Ppl),
    /// Measure how long a token takes here
    Bench(Bench),
    /// Say what memory a model would need
    Models(Models),
    /// Read one document for another process of this program
    #[command(hide = true)]
    ReadOne,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The report on a document
    Summary,
    /// `run.json`, what became of every document
    Run,
}

/// Reads documents and prints what was found: as text, only what a model would read; as JSON, all of
/// the normalized text with its pages, headings, what is not read and why, and warnings.
///
/// Example: longsum extract report.pdf --format text
#[derive(Debug, ClapArgs)]
pub struct Extract {
    #[command(flatten)]
    pub place: Where,
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

/// Where the model computes.
#[derive(Debug, Clone, ClapArgs)]
pub struct DeviceArgs {
    /// Where the model computes: auto, cpu, cuda, cuda:N or metal; auto takes a GPU for models that
    /// write, where there is one and this build knows it
    #[arg(long, value_name = "DEVICE", env = "LONGSUM_DEVICE", default_value_t = Choice::Auto, help_heading = "Device")]
    pub device: Choice,

    /// Number type of cache and activations on a GPU [default: what suits it]
    #[arg(long, value_enum, value_name = "TYPE", help_heading = "Device")]
    pub dtype: Option<NumberType>,
}

/// Which documents are read, and where the result goes.
#[derive(Debug, ClapArgs)]
pub struct Where {
    /// Documents, folders or ZIP archives of documents; s3://, gs:// or az:// for objects or all below a
    /// prefix; - for standard input
    #[arg(value_name = "FILE", required = true)]
    pub inputs: Vec<PathBuf>,

    /// Where to write: a file or object, or a folder or prefix for several documents [default: standard
    /// output]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// In folders and below prefixes, only files that match this pattern, or with ! before it, that do not
    #[arg(long, value_name = "PATTERN", help_heading = "Many documents")]
    pub glob: Vec<String>,
}

/// How documents are read.
#[derive(Debug, Clone, ClapArgs, Serialize, Deserialize)]
pub struct Reading {
    /// Read only these pages, or sections of formats without pages
    #[arg(long, value_name = "A-B", value_parser = pages)]
    pub pages: Option<(u32, u32)>,

    /// Password of locked PDFs
    #[arg(long, value_name = "TEXT", env = "LONGSUM_PASSWORD", hide_env_values = true)]
    #[serde(skip)]
    pub password: Option<String>,

    /// Program that reads PDF pages without a text layer, called as `ocrmypdf` is
    #[arg(long, value_name = "PROGRAM")]
    pub ocr: Option<String>,

    /// Languages of these pages, as that program calls them, such as eng+deu
    #[arg(long, value_name = "LANGUAGES", requires = "ocr")]
    pub ocr_language: Option<String>,

    /// Seconds that reading a document may take [default: 600, without end for --ocr]
    #[arg(long, value_name = "SECS", help_heading = "Limits")]
    pub read_time: Option<u64>,

    /// Memory that reading a document may take, in MiB [default: 4096, or less where that is not there
    /// for each core]
    #[arg(long, value_name = "MIB", help_heading = "Limits")]
    pub read_memory: Option<u64>,
}

impl Reading {
    /// Seconds that reading a document may take.
    pub fn n_secs(&self) -> Option<u64> {
        const N_SECS: u64 = 600;
        self.read_time.or_else(|| self.ocr.is_none().then_some(N_SECS))
    }

    /// Mebibytes that reading a document may take.
    pub fn n_mib(&self) -> u64 {
        const MOST: u64 = 4096;
        const LEAST: u64 = 512;
        let n_cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let share = memory::available_bytes().map_or(MOST, |n| n / 2 / n_cores / (1 << 20));
        self.read_memory.unwrap_or_else(|| share.clamp(LEAST, MOST))
    }
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

    #[command(flatten)]
    pub on: DeviceArgs,
}

/// Measures how well a model predicts each next token of a text: perplexity over time, by what it may
/// see of the text before. Several numbers for --sinks and --cache make one row each.
///
/// Example: longsum ppl book.txt --attention sinks,window,dense --cache 1024 --svg ppl.svg
#[derive(Debug, ClapArgs)]
pub struct Ppl {
    /// The text: any document, or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// `builtin`, or any other model, as for documents
    #[arg(short, long, value_name = "PATH|ID", env = "LONGSUM_MODEL", default_value = BUILTIN)]
    pub model: String,

    /// What a token sees of those before it
    #[arg(long, value_enum, value_delimiter = ',', default_value = "sinks,window")]
    pub attention: Vec<AttentionKind>,

    /// Tokens pinned at the beginning of the stream
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "4")]
    pub sinks: Vec<usize>,

    /// Tokens seen at once, sinks and the token itself included
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1024")]
    pub cache: Vec<NonZeroUsize>,

    /// Only the first tokens of the text
    #[arg(long, value_name = "N")]
    pub tokens: Option<usize>,

    /// Tokens fed at once; the numbers do not depend on it
    #[arg(long, value_name = "N", default_value = "128")]
    pub chunk: NonZeroUsize,

    /// With recompute, which is slow, score only every N-th token
    #[arg(long, value_name = "N", default_value = "20")]
    pub every: NonZeroUsize,

    /// Tokens for one number over time
    #[arg(long, value_name = "N", default_value = "1000")]
    pub bucket: NonZeroUsize,

    /// What to print
    #[arg(short, long, value_enum, default_value_t = EvalFormat::Table)]
    pub format: EvalFormat,

    /// Where to write a plot over time
    #[arg(long, value_name = "PATH")]
    pub svg: Option<PathBuf>,

    #[command(flatten)]
    pub reading: Reading,
    #[command(flatten)]
    pub on: DeviceArgs,

    /// No bars
    #[arg(short, long)]
    pub quiet: bool,
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

/// Measures how long a token takes here: with a stream that goes on, and with the whole window
/// computed anew for each token, at several sizes of the cache.
///
/// Example: longsum bench --random-weights config.json --cache 256,1024,4096 --svg bench.svg
#[derive(Debug, ClapArgs)]
pub struct Bench {
    /// `builtin`, or any other model, as for documents
    #[arg(short, long, value_name = "PATH|ID", env = "LONGSUM_MODEL", default_value = BUILTIN)]
    pub model: String,

    /// Weights that nobody trained, in the shapes of this `config.json`, instead of a model
    #[arg(long, value_name = "CONFIG", conflicts_with = "model")]
    pub random_weights: Option<PathBuf>,

    /// Random weights in eight bits instead of sixteen
    #[arg(long, requires = "random_weights")]
    pub eight_bits: bool,

    /// Tokens seen at once
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "256,512,1024,2048,4096"
    )]
    pub cache: Vec<NonZeroUsize>,

    /// Tokens pinned at the beginning of the stream
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub sinks: usize,

    /// Tokens measured of the stream, and of re-computation, which is slow; the median counts
    #[arg(long, value_name = "N", default_value = "64")]
    pub tokens: NonZeroUsize,

    /// See --tokens
    #[arg(long, value_name = "N", default_value = "3")]
    pub recomputed: NonZeroUsize,

    /// Measure reading too, in chunks of so many tokens, behind a full window of the largest cache
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub chunks: Vec<NonZeroUsize>,

    /// What to print
    #[arg(short, long, value_enum, default_value_t = EvalFormat::Table)]
    pub format: EvalFormat,

    /// Where to write a plot
    #[arg(long, value_name = "PATH")]
    pub svg: Option<PathBuf>,

    #[command(flatten)]
    pub on: DeviceArgs,

    /// No bars
    #[arg(short, long)]
    pub quiet: bool,
}

/// Says what memory a model would need for its weights, its cache and its activations, told from its
/// configuration alone.
///
/// Example: longsum models --plan Llama-2-7b-hf/config.json --window 2044 --streams 4
#[derive(Debug, ClapArgs)]
pub struct Models {
    /// The model's `config.json`
    #[arg(long, value_name = "CONFIG")]
    pub plan: PathBuf,

    /// Tokens pinned at the beginning of the stream
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub sinks: usize,

    /// Recent tokens that the model sees [default: what it was trained to see, less the sinks]
    #[arg(long, value_name = "N")]
    pub window: Option<usize>,

    /// Most tokens read at once
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub chunk: usize,

    /// How the weights are stored, such as bf16 or q4_k [default: each way]
    #[arg(long, value_name = "NAME")]
    pub storage: Option<String>,

    /// Number type of cache and activations
    #[arg(long, value_enum, default_value_t = NumberType::F32)]
    pub dtype: NumberType,

    /// Streams at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub streams: u64,

    /// What to print
    #[arg(short, long, value_enum, default_value_t = EvalFormat::Table)]
    pub format: EvalFormat,
}

impl Models {
    /// Bytes of a number of cache and activations.
    pub fn number_bytes(&self) -> u64 {
        match self.dtype {
            NumberType::F32 => 4,
            NumberType::F16 | NumberType::Bf16 => 2,
        }
    }
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

/// What summaries are asked to be.
#[derive(Debug, Clone, ClapArgs, Serialize, Deserialize)]
pub struct Making {
    /// `builtin`, which chooses sentences of the document; or a model that writes: a GGUF file, a
    /// folder of safetensors, or a Hugging Face id (org/name[@revision][:file.gguf])
    #[arg(short, long, value_name = "PATH|ID", env = "LONGSUM_MODEL", default_value = BUILTIN)]
    pub model: String,

    /// Length of the final summary: short (100 words), medium (200), long (500), or a number of words
    #[arg(long, value_name = "LENGTH", default_value = "medium", value_parser = length)]
    pub length: usize,

    /// How the sentences are found that a written statement rests on
    #[arg(long, value_enum, default_value_t = Evidence::Attention)]
    pub evidence: Evidence,

    /// Language to write in, such as English or German
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Option<String>,

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

    /// Read each document in this many parts, each by a stream of its own: what `plan`, `map` and
    /// `merge` share out to many machines
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Stream")]
    pub parts: NonZeroUsize,
}

/// What a run may cost, and what it keeps of what it did.
#[derive(Debug, Clone, ClapArgs)]
pub struct Care {
    /// Seconds that a document may take, once it is read
    #[arg(long, value_name = "SECS", help_heading = "Limits")]
    pub time_limit: Option<u64>,

    /// What takes longer than so many seconds is kept on disk as it is done, and gone on with if the
    /// program is killed
    #[arg(long, value_name = "SECS", default_value_t = 10.0, value_parser = seconds, help_heading = "Limits")]
    pub checkpoint: f64,

    /// How often a document is read again where the system was at fault
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = "Limits")]
    pub retries: u32,
}

#[derive(Debug, ClapArgs)]
pub struct Job {
    #[command(flatten)]
    pub place: Where,
    #[command(flatten)]
    pub making: Making,

    /// What to write
    #[arg(short, long, value_enum, default_value_t = Format::Json)]
    pub format: Format,

    #[command(flatten)]
    pub gates: GateArgs,
    #[command(flatten)]
    pub reading: Reading,
    #[command(flatten)]
    pub on: DeviceArgs,

    /// Documents that are worked on at once [default: one for each core, if memory allows; 1 on a GPU]
    #[arg(short, long, value_name = "N", help_heading = "Many documents")]
    pub jobs: Option<NonZeroUsize>,

    /// Only this part of the documents, the same each time: such as 2/8, or auto in an array job of
    /// Slurm, Kubernetes, AWS Batch or Cloud Run
    #[arg(long, value_name = "I/N", value_parser = shard, help_heading = "Many documents")]
    pub shard: Option<Shard>,

    /// Make reports again that are there and still stand
    #[arg(long, help_heading = "Many documents")]
    pub force: bool,

    #[command(flatten)]
    pub care: Care,

    /// Say what would be done, what is done already, what would be refused, and how long it would take
    #[arg(long)]
    pub dry_run: bool,

    /// No bars, no closing lines; errors and warnings only
    #[arg(short, long)]
    pub quiet: bool,
}

/// What reports must keep to.
#[derive(Debug, Clone, ClapArgs)]
pub struct GateArgs {
    /// End with 3 if a report does not keep to these gates, such as weak:0.2,coverage:0.7,needs-ocr:
    /// at most this share of statements not borne out by the document, at least this share of its
    /// tenths quoted, no page without a text layer; others are unsupported:SHARE, repetition:SHARE,
    /// copy:SHARE, failed-pages, language
    #[arg(long, value_name = "GATES", default_value = "", hide_default_value = true, value_parser = gates)]
    pub fail_on: Gates,
}

/// Summarizes what it is told to, line by line: for Ray, Spark and the like, which keep it running.
///
/// On standard input a line of JSON for each document: {"custom_id": "1", "path": "a.pdf"} or
/// {"custom_id": "2", "text": "…", "name": "a.md"}. On standard output a line for each, in the same
/// order and at once: {"custom_id": "1", "report": {…}} or {"custom_id": "2", "error": {"message",
/// "hint", "retry"}}. Ends with its input.
///
/// Example: echo '{"custom_id": "1", "path": "report.pdf"}' | longsum worker
#[derive(Debug, ClapArgs)]
pub struct Worker {
    #[command(flatten)]
    pub making: Making,
    #[command(flatten)]
    pub reading: Reading,
    #[command(flatten)]
    pub on: DeviceArgs,
    #[command(flatten)]
    pub care: Care,
}

/// Shares one long document out to many machines: says which parts it has.
///
/// Example: longsum plan report.pdf --parts 8 -o plan.json; then on each machine
/// longsum map plan.json --part 3 -o notes/; then longsum merge plan.json notes/ -o report.json.
/// The result is that of longsum report.pdf --parts 8.
#[derive(Debug, ClapArgs)]
pub struct Plan {
    /// The document, by a path that all machines know
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// The plan [default: standard output]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub making: Making,
    #[command(flatten)]
    pub reading: Reading,
    #[command(flatten)]
    pub on: DeviceArgs,
}

/// Reads one part of a planned document.
///
/// Example: longsum map plan.json --part 3 -o notes/
#[derive(Debug, ClapArgs)]
pub struct Map {
    /// What `longsum plan` wrote
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,

    /// Number of the part, from 1, or auto in an array job of one task for each part
    #[arg(long, value_name = "I|auto")]
    pub part: String,

    /// Folder or prefix for what was found in the parts
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,

    #[command(flatten)]
    pub care: Care,
    #[command(flatten)]
    pub on: DeviceArgs,

    /// No bars, no closing lines; errors and warnings only
    #[arg(short, long)]
    pub quiet: bool,
}

/// Makes the report of a planned document from what was found in its parts.
///
/// Example: longsum merge plan.json notes/ -o report.json
#[derive(Debug, ClapArgs)]
pub struct Merge {
    /// What `longsum plan` wrote
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,

    /// The folder or prefix that `longsum map` wrote to
    #[arg(value_name = "DIR")]
    pub notes: PathBuf,

    /// Where to write the report [default: standard output]
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// What to write
    #[arg(short, long, value_enum, default_value_t = Format::Json)]
    pub format: Format,

    #[command(flatten)]
    pub gates: GateArgs,
    #[command(flatten)]
    pub care: Care,
    #[command(flatten)]
    pub on: DeviceArgs,

    /// No bars, no closing lines; errors and warnings only
    #[arg(short, long)]
    pub quiet: bool,
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
}

impl From<Format> for report::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Md => Self::Md,
            Format::Html => Self::Html,
        }
    }
}

/// `i/n`, or what an array job says.
fn shard(text: &str) -> Result<Shard, ShardError> {
    if text == "auto" { Shard::auto(&|name| std::env::var(name).ok()) } else { text.parse() }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if (0.0..=1e9).contains(&n) => Ok(n),
        _ => Err(format!("`{text}` is not a number of seconds")),
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
