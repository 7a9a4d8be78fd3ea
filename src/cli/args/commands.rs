//! Every command but the main job: what it takes, and its example.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::BUILTIN;
use super::groups::*;
use super::values::*;

#[derive(Debug, Subcommand)]
pub enum Command {
    Extract(Extract),
    Models(Models),
    Doctor(Doctor),
    Config(Config),
    Plan(Plan),
    Map(Map),
    Merge(Merge),
    Worker(Worker),
    Eval(Eval),
    Ppl(Ppl),
    Bench(Bench),
    Schema(Schema),
    Completions(Completions),
    Man(Man),
}

/// Print the JSON Schema of the output
///
/// Every report keeps to it; `run` is that of the file on a whole run.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  longsum schema > longsum.summary.v1.schema.json")]
pub struct Schema {
    /// Of which output
    #[arg(value_enum, default_value_t = SchemaOf::Summary)]
    pub of: SchemaOf,
}

/// Print what a shell needs to complete longsum's options
///
/// It goes to standard output; where a shell looks for it, its manual says.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  longsum completions bash > ~/.local/share/bash-completion/completions/longsum
  longsum completions zsh > ~/.zfunc/_longsum
  longsum completions fish > ~/.config/fish/completions/longsum.fish")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Print the manual page
///
/// It is roff, on standard output, and holds all options.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  longsum man | man -l -
  longsum man extract > ~/.local/share/man/man1/longsum-extract.1")]
pub struct Man {
    /// The command [default: longsum itself]
    #[arg(value_name = "COMMAND")]
    pub of: Option<String>,
}

/// Check that longsum works here, and say what it would use
///
/// Looks at processor, memory, model, settings, folders and programs, and summarizes a few sentences.
/// Ends with 1, and what to do, if `longsum FILE` would not work.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  longsum doctor")]
pub struct Doctor {
    /// What to print
    #[arg(short, long, value_enum, default_value_t = EvalFormat::Table)]
    pub format: EvalFormat,
}

/// Show every setting and where it comes from
///
/// A value comes from the command line, or else from a variable (LONGSUM_LENGTH for --length), or
/// else from a file: longsum.toml in this folder or above it, up to the repository's root, if that is
/// allowed; or else $XDG_CONFIG_HOME/longsum/config.toml (~/.config/longsum/config.toml). Keys are
/// the names of the options: length = "short". A longsum.toml is read only where
/// allow_project = ["/path"] in your own file or LONGSUM_PROJECT=1 says so: it can choose the model,
/// programs to run and places to write.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  longsum config show
  longsum config show -- --length short")]
pub struct Config {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print each value and where it comes from
    #[command(after_help = "Example:\n  longsum config show -- --length short")]
    Show {
        /// What to print
        #[arg(short, long, value_enum, default_value_t = EvalFormat::Table)]
        format: EvalFormat,

        /// Options as the main job would have them
        #[arg(last = true, value_name = "OPTIONS")]
        options: Vec<OsString>,
    },
}

/// Print the text of documents as a model would read it
///
/// Reads documents and prints what was found: as text, only what a model would read; as JSON, all of
/// the normalized text with its pages, headings, what is not read and why, and warnings.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  longsum extract report.pdf --format text | less")]
pub struct Extract {
    #[command(flatten)]
    pub place: Where,
    #[command(flatten)]
    pub reading: Reading,

    /// What to print
    #[arg(short, long, value_enum, default_value_t = ExtractFormat::Json)]
    pub format: ExtractFormat,
}

/// Score summaries of documents that people have summarized too
///
/// Summarizes each document to the length of its reference and prints ROUGE-1, ROUGE-2 and ROUGE-L
/// (F1, with stemmer), how many tenths of a document its summary quotes, how many statements it bears
/// out and how many quotes are exact: the means of each set, and their average.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  longsum eval sets/ --limit 20")]
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

/// Measure how well a model predicts a text, by what it may see
///
/// Measures how well a model predicts each next token of a text: perplexity over time, by what it may
/// see of the text before. Several numbers for --sinks and --cache make one row each.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  longsum ppl book.txt --attention sinks,window,dense --cache 1024 --svg ppl.svg"
)]
pub struct Ppl {
    /// The text: any document, or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// `builtin`, or any other model, as for documents
    #[arg(short, long, value_name = "PATH|ID", default_value = BUILTIN)]
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
}

/// Measure how long a token takes here
///
/// Measures how long a token takes here: with a stream that goes on, and with the whole window
/// computed anew for each token, at several sizes of the cache.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  longsum bench --random-weights config.json --cache 256,1024,4096 --svg bench.svg"
)]
pub struct Bench {
    /// `builtin`, or any other model, as for documents
    #[arg(short, long, value_name = "PATH|ID", default_value = BUILTIN)]
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

    /// Measure so many streams too that go through the model together, a token of each at a time,
    /// behind full windows of the largest cache
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub streams: Vec<NonZeroUsize>,

    /// What to print
    #[arg(short, long, value_enum, default_value_t = EvalFormat::Table)]
    pub format: EvalFormat,

    /// Where to write a plot
    #[arg(long, value_name = "PATH")]
    pub svg: Option<PathBuf>,

    #[command(flatten)]
    pub on: DeviceArgs,
}

/// List models by their short names, and say what memory a model needs
///
/// Lists well-known models with their short names for --model, licence, size and memory, and whether
/// they fit here. What is said of them is not asked of the hub: it has the last word on names and
/// licences. With --plan, says what memory a model needs for its weights, its cache and its
/// activations, told from its configuration alone.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  longsum models\n  longsum models --plan Llama-2-7b-hf/config.json --window 2044 --streams 4"
)]
pub struct Models {
    /// Say what the model of this `config.json` needs
    #[arg(long, value_name = "CONFIG")]
    pub plan: Option<PathBuf>,

    /// Tokens pinned at the beginning of the stream
    #[arg(long, value_name = "N", default_value_t = 4, requires = "plan")]
    pub sinks: usize,

    /// Recent tokens that the model sees [default: what it was trained to see, less the sinks]
    #[arg(long, value_name = "N", requires = "plan")]
    pub window: Option<usize>,

    /// Most tokens read at once
    #[arg(long, value_name = "N", default_value_t = 1024, requires = "plan")]
    pub chunk: usize,

    /// How the weights are stored, such as bf16 or q4_k [default: each way]
    #[arg(long, value_name = "NAME", requires = "plan")]
    pub storage: Option<String>,

    /// Number type of cache and activations
    #[arg(long, value_enum, default_value_t = NumberType::F32, requires = "plan")]
    pub dtype: NumberType,

    /// Streams at once
    #[arg(long, value_name = "N", default_value_t = 1, requires = "plan")]
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

/// Summarize what standard input asks for, line by line
///
/// Summarizes what it is told to, line by line: for Ray, Spark and the like, which keep it running.
///
/// On standard input a line of JSON for each document: {"custom_id": "1", "path": "a.pdf"} or
/// {"custom_id": "2", "text": "…", "name": "a.md"}. On standard output a line for each, in the same
/// order and at once: {"custom_id": "1", "report": {…}} or {"custom_id": "2", "error": {"message",
/// "hint", "retry"}}. Ends with its input.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Example:\n  echo '{\"custom_id\": \"1\", \"path\": \"report.pdf\"}' | longsum worker"
)]
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

/// Share a long document out to many machines
///
/// Shares one long document out to many machines: says which parts it has. The report that `longsum
/// merge` makes of them is that of longsum report.pdf --parts 8.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:
  longsum plan report.pdf --parts 8 -o plan.json
  longsum map plan.json --part 3 -o notes/            on each machine
  longsum merge plan.json notes/ -o report.json")]
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

/// Read one part of a planned document
///
/// Reads one part of a planned document.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  longsum map plan.json --part 3 -o notes/")]
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
}

/// Make the report of a planned document from its parts
///
/// Makes the report of a planned document from what was found in its parts.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  longsum merge plan.json notes/ -o report.json")]
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

    #[command(flatten)]
    pub shape: Shape,
    #[command(flatten)]
    pub gates: GateArgs,
    #[command(flatten)]
    pub care: Care,

    #[command(flatten)]
    pub on: DeviceArgs,
}
