//! Options that commands share, and those of the main job.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use longsum::batch::Shard;
use longsum::device::Choice;
use longsum::memory;
use longsum::report::Gates;
use longsum::stream::Decoding;
use serde::{Deserialize, Serialize};

use super::BUILTIN;
use super::values::*;

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
