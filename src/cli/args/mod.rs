//! What can be said on the command line: the whole of it here, its commands, their options and the
//! values of those beside it.

mod commands;
mod groups;
mod values;

use std::cmp::Ordering;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{
    Arg, ArgAction, ArgMatches, Args as ClapArgs, Command as ClapCommand, CommandFactory,
    FromArgMatches, Parser,
};

pub use commands::*;
pub use groups::*;
pub use values::*;

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
