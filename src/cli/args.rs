//! What can be said on the command line.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{
    Arg, ArgAction, ArgMatches, Args as ClapArgs, Command as ClapCommand, CommandFactory,
    FromArgMatches, Parser, Subcommand, ValueEnum,
};
use longsum::batch::{Shard, ShardError};
use longsum::device::Choice;
use longsum::memory;
use longsum::report::{GateError, Gates};
use longsum::stream::Decoding;
use serde::{Deserialize, Serialize};

/// Summarize documents of any length on this machine.
///
/// Reads PDF, HTML, EPUB, Word, OpenDocument, RTF, mail, Markdown and text through a language model whose memory never grows, and
/// writes rolling and final summaries with the pages and words that each statement rests on.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, arg_required_else_help = true, after_help = EXAMPLES)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub job: Job,
    #[command(flatten)]
    pub loudness: Loudness,
    #[command(flatten)]
    pub help: Help,
}

impl Args {
    /// What was typed, and where each value comes from.
    ///
    /// # Errors
    /// What clap has to say, which may be help.
    pub fn of(
        command: &mut ClapCommand,
        argv: Vec<OsString>,
    ) -> Result<(Self, ArgMatches), clap::Error> {
        let matches = command.try_get_matches_from_mut(argv)?;
        let mut args = Self::from_arg_matches(&matches)?;
        // What is typed counts before what a variable says, and that before a file.
        let rank = |id: &str| match matches.value_source(id) {
            Some(ValueSource::CommandLine) => 2,
            Some(ValueSource::EnvVariable) => 1,
            _ => 0,
        };
        if let (Some(_), Some(_)) = (args.job.jobs, args.job.streams) {
            match rank("jobs").cmp(&rank("streams")) {
                Ordering::Greater => args.job.streams = None,
                Ordering::Less => args.job.jobs = None,
                Ordering::Equal => {
                    let what = "--jobs and --streams (LONGSUM_JOBS, LONGSUM_STREAMS) exclude each other: documents are worked on each by itself, or together";
                    return Err(command.error(ErrorKind::ArgumentConflict, what));
                }
            }
        }
        let is_typed =
            |matches: &ArgMatches| matches.value_source("format") == Some(ValueSource::CommandLine);
        match (&mut args.command, matches.subcommand()) {
            (Some(Command::Merge(merge)), Some((_, matches))) => {
                merge.shape.is_asked = is_typed(matches);
            }
            _ => args.job.shape.is_asked = is_typed(&matches),
        }
        Ok((args, matches))
    }
}

/// How much is said on standard error.
#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub struct Loudness {
    /// No bars, no closing lines; errors and warnings only
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 900)]
    pub quiet: bool,

    /// Say what is done and why; twice, each step of it
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = 901)]
    pub verbose: u8,
}

/// What clap answers by itself.
#[derive(Debug, ClapArgs)]
pub struct Help {
    /// Print this help
    #[arg(short, long, global = true, action = ArgAction::HelpShort, display_order = 902)]
    help: Option<bool>,

    /// Print all options and what they mean
    #[arg(long, global = true, action = ArgAction::HelpLong, display_order = 903)]
    help_all: Option<bool>,

    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version, display_order = 904)]
    version: Option<bool>,
}

/// Commands that people need every day; `--help` names the others in a line.
const EVERYDAY: [&str; 5] = ["extract", "models", "doctor", "config", "help"];

/// All that can be said, with the variables that speak for options.
///
/// - `all`: whether commands are listed that few people need
pub fn command(all: bool) -> ClapCommand {
    let main = Args::command().after_long_help(format!("{EXAMPLES}\n\n{SETTINGS}"));
    let ids: Vec<String> = options(&main).map(|arg| arg.get_id().to_string()).collect();
    ids.iter()
        .fold(main, |command, id| {
            let name: &'static str = variable(id).leak(); // as long as the program
            change(command, id, &|arg| arg.env(name).hide_env(true))
        })
        .mut_subcommands(|command| {
            let is_rare = !EVERYDAY.contains(&command.get_name());
            let about =
                command.get_long_about().or(command.get_about()).cloned().unwrap_or_default();
            let command = command.help_template(TEMPLATE).before_help(about);
            if is_rare && !all { command.hide(true) } else { command }
        })
}

/// Help on a command begins with what it does, all of it.
const TEMPLATE: &str = "{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

/// Options of the main job that have a value: each has a variable, and a key in files of settings.
pub fn options(main: &ClapCommand) -> impl Iterator<Item = &Arg> {
    main.get_arguments().filter(|arg| arg.get_long().is_some() && arg.get_action().takes_values())
}

/// The variable that speaks for an option.
pub fn variable(id: &str) -> String {
    format!("LONGSUM_{}", id.to_uppercase())
}

/// The variable that an error is about: it is set, and its option was not typed.
pub fn variable_of(error: &clap::Error) -> Option<String> {
    let ContextValue::String(usage) = error.get(ContextKind::InvalidArg)? else { return None };
    let flag = usage.split([' ', '=']).next()?;
    let variable = variable(&flag.trim_start_matches('-').replace('-', "_"));
    let is_typed = std::env::args().any(|arg| arg.starts_with(flag));
    (!is_typed && std::env::var_os(&variable).is_some()).then_some(variable)
}

/// Changes an option of the main job, and the same option of other commands.
pub fn change(command: ClapCommand, id: &str, to: &dyn Fn(Arg) -> Arg) -> ClapCommand {
    let command = command.mut_arg(id, to);
    command.mut_subcommands(|command| {
        let has_it = command.get_arguments().any(|arg| arg.get_id() == id);
        if has_it && is_same(command.get_name(), id) { command.mut_arg(id, to) } else { command }
    })
}

/// Whether an option of a command means what it means for the main job.
fn is_same(command: &str, id: &str) -> bool {
    match command {
        "merge" => id != "output",
        "extract" | "worker" | "plan" | "map" => !matches!(id, "output" | "format"),
        "ppl" => !matches!(id, "format" | "sinks" | "chunk"),
        "eval" | "bench" => matches!(id, "model" | "device" | "dtype"),
        _ => false,
    }
}

/// The model that the program carries.
pub const BUILTIN: &str = "builtin";

const EXAMPLES: &str = "\
Examples:
  longsum report.pdf                       read the summary here
  longsum report.pdf -o report.html        a page with every quote in its context
  longsum report.pdf > report.json         all of it, for programs
  longsum archive/ -o summaries/ --jobs 4  a report each; run it again to go on
  longsum report.pdf --model qwen3-0.6b    let a model write

Exit codes: 0 all done, 1 some documents failed, 2 wrong use, 3 a gate was not met,
75 try again later, 130 or 143 stopped: run it again to go on
More commands: plan, map, merge, worker, eval, ppl, bench, schema, completions, man
All options and commands: longsum --help-all. One command: longsum extract --help";

const SETTINGS: &str = "\
Settings: every option with a value can also come from a variable, such as LONGSUM_LENGTH for
--length, or from a file: longsum config --help";

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The report on a document
    Summary,
    /// `run.json`, what became of every document
    Run,
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
    #[arg(long, value_name = "DEVICE", default_value_t = Choice::Auto, help_heading = "Device", hide_short_help = true)]
    pub device: Choice,

    /// Number type of cache and activations on a GPU [default: what suits it]
    #[arg(long, value_enum, value_name = "TYPE", help_heading = "Device", hide_short_help = true)]
    pub dtype: Option<NumberType>,
}

/// Which documents are read, and where the result goes.
#[derive(Debug, ClapArgs)]
pub struct Where {
    /// Documents, folders or ZIP archives of documents; - for standard input
    ///
    /// s3://, gs:// and az:// are objects, or all below a prefix.
    #[arg(value_name = "FILE", required = true)]
    pub inputs: Vec<PathBuf>,

    /// File, or folder for several documents [default: standard output]
    ///
    /// Or an object or a prefix: s3://, gs://, az://. It appears whole or not at all. A folder gets a report for each document and
    /// run.json, with what became of every one.
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,

    /// In folders, only files that match; with ! before it, only others
    ///
    /// So it is below prefixes. It can be given several times.
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
    #[arg(long, value_name = "TEXT", hide_short_help = true)]
    #[serde(skip)]
    pub password: Option<String>,

    /// Program that reads scanned pages of PDFs, such as ocrmypdf
    ///
    /// It is called as ocrmypdf is, for pages without a text layer.
    #[arg(long, value_name = "PROGRAM")]
    pub ocr: Option<String>,

    /// Languages of these pages, as that program calls them, such as eng+deu
    #[arg(long, value_name = "LANGUAGES", hide_short_help = true)]
    pub ocr_language: Option<String>,

    /// Seconds that reading a document may take [default: 600, without end for --ocr]
    #[arg(long, value_name = "SECS", help_heading = "Limits", hide_short_help = true)]
    pub read_time: Option<u64>,

    /// Memory that reading a document may take, in MiB [default: 4096, or less where that is not there
    /// for each core]
    #[arg(long, value_name = "MIB", help_heading = "Limits", hide_short_help = true)]
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
    /// `builtin`, or one that writes, see `longsum models` [default: builtin]
    ///
    /// The built-in one chooses sentences of the document. One that writes is given by a short name that `longsum models` lists, a GGUF file, a folder of safetensors, or a Hugging Face
    /// id (org/name[@revision][:file.gguf]).
    #[arg(short, long, value_name = "MODEL", default_value = BUILTIN, hide_default_value = true)]
    pub model: String,

    /// short, medium, long, or a number of words [default: medium]
    ///
    /// That is 100, 200 or 500 words for the final summary.
    #[arg(long, value_name = "LENGTH", default_value = "medium", hide_default_value = true, value_parser = length)]
    pub length: usize,

    /// How the sentences are found that a written statement rests on
    #[arg(long, value_enum, default_value_t = Evidence::Attention, hide_short_help = true)]
    pub evidence: Evidence,

    /// Language to write in, such as English or German
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Option<String>,

    /// Folder of prompt templates that replace built-in ones of the same name
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub prompts: Option<PathBuf>,

    /// Tokens pinned at the beginning of the stream [default: as many as the prompt has]
    #[arg(long, value_name = "N", help_heading = "Stream", hide_short_help = true)]
    pub sinks: Option<usize>,

    /// Recent tokens that the model sees [default: a chunk, the question and the reply]
    #[arg(long, value_name = "N", help_heading = "Stream", hide_short_help = true)]
    pub window: Option<usize>,

    /// Most tokens read at once [default: 1024, or what the window allows]
    #[arg(long, value_name = "N", help_heading = "Stream", hide_short_help = true)]
    pub chunk: Option<usize>,

    /// 0 takes the likeliest word each time; above, words are drawn
    #[arg(long, value_name = "T", default_value_t = 0.0, value_parser = temperature, help_heading = "Stream", hide_short_help = true)]
    pub temperature: f64,

    /// Seed of the draws
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        help_heading = "Stream",
        hide_short_help = true
    )]
    pub seed: u64,

    /// Most words that are guessed from what was read and checked at once while a reply is written; 0 for
    /// none. It changes how long a reply takes, and nothing else
    #[arg(long, value_name = "N", default_value_t = Decoding::default().n_guess, help_heading = "Stream", hide_short_help = true)]
    #[serde(default)]
    pub guess: usize,

    /// Read each document in this many parts, each by a stream of its own: what `plan`, `map` and
    /// `merge` share out to many machines
    #[arg(
        long,
        value_name = "N",
        default_value = "1",
        help_heading = "Stream",
        hide_short_help = true
    )]
    pub parts: NonZeroUsize,
}

/// What a run may cost, and what it keeps of what it did.
#[derive(Debug, Clone, ClapArgs)]
pub struct Care {
    /// Seconds that a document may take, once it is read
    #[arg(long, value_name = "SECS", help_heading = "Limits", hide_short_help = true)]
    pub time_limit: Option<u64>,

    /// What takes longer than so many seconds is kept on disk as it is done, and gone on with if the
    /// program is killed
    #[arg(long, value_name = "SECS", default_value_t = 10.0, value_parser = seconds, help_heading = "Limits", hide_short_help = true)]
    pub checkpoint: f64,

    /// How often a document is read again where the system was at fault
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        help_heading = "Limits",
        hide_short_help = true
    )]
    pub retries: u32,
}

#[derive(Debug, ClapArgs)]
pub struct Job {
    #[command(flatten)]
    pub place: Where,
    #[command(flatten)]
    pub shape: Shape,
    #[command(flatten)]
    pub making: Making,
    #[command(flatten)]
    pub reading: Reading,
    #[command(flatten)]
    pub gates: GateArgs,
    #[command(flatten)]
    pub on: DeviceArgs,

    /// Documents at once [default: one for each core, if memory allows; 1 on a GPU]
    #[arg(short, long, value_name = "N", help_heading = "Many documents")]
    pub jobs: Option<NonZeroUsize>,

    /// Documents, or parts of one, that go through the model together, as one batch: a number, or auto
    /// for as many as memory allows [default: each by itself]
    #[arg(long, value_name = "N|auto", value_parser = streams, help_heading = "Many documents", hide_short_help = true)]
    pub streams: Option<Streams>,

    /// Only this part of the documents, the same each time: such as 2/8, or auto in an array job of
    /// Slurm, Kubernetes, AWS Batch or Cloud Run
    #[arg(long, value_name = "I/N", value_parser = shard, help_heading = "Many documents", hide_short_help = true)]
    pub shard: Option<Shard>,

    /// Make reports again that are there and still stand
    #[arg(long, help_heading = "Many documents")]
    pub force: bool,

    #[command(flatten)]
    pub care: Care,

    /// Say what would be done, and how long it would take
    ///
    /// And what is done already, and what would be refused.
    #[arg(long)]
    pub dry_run: bool,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct Shape {
    /// What to write [default: as the output's name ends; text in a terminal, json otherwise]
    #[arg(short, long, value_enum)]
    pub format: Option<Format>,

    /// Whether text is in colours; auto asks the terminal, NO_COLOR and CLICOLOR
    #[arg(long, value_enum, default_value_t = Colour::Auto, hide_short_help = true)]
    pub color: Colour,

    /// Whether the format was asked for on the command line, and not by a variable or a file.
    #[arg(skip)]
    pub is_asked: bool,
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

/// What reports must keep to.
#[derive(Debug, Clone, ClapArgs)]
pub struct GateArgs {
    /// End with 3 below gates such as weak:0.2,coverage:0.7,needs-ocr
    ///
    /// weak:SHARE, at most this share of statements not borne out by the document; coverage:SHARE, at
    /// least this share of its tenths quoted; needs-ocr, no page without a text layer; and
    /// unsupported:SHARE, repetition:SHARE, copy:SHARE, failed-pages, language.
    #[arg(long, value_name = "GATES", default_value = "", hide_default_value = true, value_parser = gates)]
    pub fail_on: Gates,
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
fn streams(text: &str) -> Result<Streams, String> {
    if text == "auto" {
        return Ok(Streams::Auto);
    }
    let number = text.parse().map(Streams::Number);
    number.map_err(|_| format!("`{text}` is neither auto nor a number from 1"))
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
