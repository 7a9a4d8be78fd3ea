//! How the program ends: exit codes, and errors as people see them.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Command;
use longsum::batch::{InputError, PartsError, RunError, ShardError, WriteError};
use longsum::device::{Choice, DeviceError};
use longsum::eval::SetError;
use longsum::load::LoadError;
use longsum::load::known::KNOWN;
use longsum::measure::TooLarge;
use longsum::prompt::PromptError;
use longsum::report::Entry;
use longsum::summary::SummaryError;

use super::config::ConfigError;
use super::{args, near, say};

/// What the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All done.
    Done,
    /// Some documents failed.
    SomeFailed,
    /// Wrong use: nothing was started.
    Usage,
    /// A gate was not met.
    Gate,
    /// Try again: memory, disk or network.
    TryAgain,
    /// Stopped by this signal; can be gone on with.
    Stopped(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::SomeFailed => 1,
            Exit::Usage => 2,
            Exit::Gate => 3,
            Exit::TryAgain => 75,
            Exit::Stopped(signal) => 128 + signal,
        })
    }
}

/// Ways to fail that only the program has.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Neither a path nor an id.
    #[error("there is no model at `{id}`")]
    NoSuchModel {
        /// What was asked for.
        id: String,
    },
    /// Text does not say whether it still stands.
    #[error("reports in a folder cannot be text")]
    TextForFolder,
    /// Of no use.
    #[error("--ocr-language {languages} says in which languages pages are that nobody reads")]
    NoOcr {
        /// What was asked for.
        languages: String,
    },
    /// A command that does not exist.
    #[error("there is no command `{name}`")]
    NoSuchCommand {
        /// What was asked for.
        name: String,
    },
    /// The built-in model, on another device than its own.
    #[error("`{device}` was asked for, but the built-in model computes on the CPU")]
    BuiltinOnGpu {
        /// What was asked for.
        device: Choice,
    },
    /// A program that pages are to be read by.
    #[error("there is no program `{program}` to read scanned pages with")]
    NoProgram {
        /// What was asked for.
        program: String,
    },
    /// A cache that its sinks fill.
    #[error("a cache of {cache} tokens has no room for {n_sink} sinks and a window")]
    NoWindow {
        /// Sinks.
        n_sink: usize,
        /// Tokens seen at once.
        cache: usize,
    },
    /// A text of which nothing can be predicted.
    #[error("`{uri}` has fewer than two tokens: nothing can be predicted")]
    TooShort {
        /// The text.
        uri: String,
    },
    /// A way to store weights that does not exist.
    #[error("weights are not stored as `{storage}`")]
    Storage {
        /// What was asked for.
        storage: String,
        /// Those that exist.
        names: String,
    },
    /// Nothing to share out.
    #[error("`{uri}` {reason}")]
    NoParts {
        /// The document.
        uri: String,
        /// Why.
        reason: String,
    },
    /// A plan that cannot be read.
    #[error("cannot read the plan `{}`: {reason}", path.display())]
    Plan {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Something is not as it was planned.
    #[error("{what} is not what it was when `{uri}` was planned")]
    Changed {
        /// The document.
        uri: String,
        /// What changed.
        what: &'static str,
    },
    /// A part that the plan does not have.
    #[error("the plan has parts 1 to {n_parts}, and no part {part}")]
    NoSuchPart {
        /// What was asked for.
        part: String,
        /// How many there are.
        n_parts: usize,
    },
}

/// The exit code of an error.
pub fn of(error: &anyhow::Error) -> Exit {
    if let Some(e) = error.downcast_ref::<InputError>() {
        return match e {
            e if e.is_usage() => Exit::Usage,
            e if e.is_passing() => Exit::TryAgain,
            _ => Exit::SomeFailed,
        };
    }
    if let Some(e) = error.downcast_ref::<SetError>() {
        return if e.is_usage() { Exit::Usage } else { Exit::SomeFailed };
    }
    if let Some(e) = error.downcast_ref::<WriteError>() {
        return if e.is_usage() { Exit::Usage } else { Exit::TryAgain };
    }
    if let Some(e) = error.downcast_ref::<PartsError>()
        && e.is_passing()
    {
        return Exit::TryAgain;
    }
    if let Some(LoadError::Download { .. }) = error.downcast_ref() {
        return Exit::TryAgain;
    }
    if let Some(SummaryError::Model(e)) = error.downcast_ref()
        && e.is_passing()
    {
        return Exit::TryAgain;
    }
    if let Some(e) = error.downcast_ref::<RunError>() {
        return of_run(e);
    }
    Exit::Usage
}

/// The exit code of a document's error, where it is the only document.
pub fn of_run(error: &RunError) -> Exit {
    match error {
        RunError::Input(e) if e.is_usage() => Exit::Usage,
        RunError::Write(e) if e.is_usage() => Exit::Usage,
        RunError::Summary(SummaryError::Stopped(_)) | RunError::NoSummary(_) => Exit::SomeFailed,
        e if e.is_passing() => Exit::TryAgain,
        RunError::Summary(e) if !matches!(e, SummaryError::Token(_)) => Exit::Usage,
        _ => Exit::SomeFailed,
    }
}

/// The exit code of a run.
///
/// - `is_batch`: whether there could have been more documents than one
pub fn of_all(entries: &[Entry], errors: &[Option<RunError>], is_batch: bool) -> Exit {
    if let ([Some(error)], false) = (errors, is_batch) {
        return of_run(error);
    }
    let failures: Vec<&RunError> = errors.iter().flatten().collect();
    if failures.is_empty() {
        let all_met = entries.iter().all(|entry| entry.gates_unmet.is_empty());
        return if all_met { Exit::Done } else { Exit::Gate };
    }
    if let Some(error) = failures.iter().find(|error| error.ends_the_run()) {
        return of_run(error);
    }
    if failures.iter().all(|error| error.is_passing()) { Exit::TryAgain } else { Exit::SomeFailed }
}

/// An error and the way out, as people see them.
pub fn told(error: &anyhow::Error) -> String {
    told_with(&error.to_string(), hint(error).as_deref())
}

/// As [`told`], of what is in words already.
pub fn told_with(error: &str, hint: Option<&str>) -> String {
    let hint = hint.map_or(String::new(), |hint| format!("\n hint: {hint}"));
    format!("error: {error}{hint}")
}

/// Prints an error and the way out.
pub fn tell(error: &anyhow::Error) {
    say(&told(error));
}

/// The way out of an error, where there is one.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    if let Some(e) = error.downcast_ref::<InputError>() {
        return match e {
            InputError::Path { path, source } if source.kind() == ErrorKind::NotFound => {
                near::hint(path).or_else(|| e.hint())
            }
            e => e.hint(),
        };
    }
    if let Some(e) = error.downcast_ref::<ConfigError>() {
        return e.hint();
    }
    if let Some(e) = error.downcast_ref::<SetError>() {
        return e.hint().map(str::to_owned);
    }
    if let Some(e) = error.downcast_ref::<LoadError>() {
        return e.hint();
    }
    if let Some(e) = error.downcast_ref::<SummaryError>() {
        return e.hint();
    }
    if let Some(e) = error.downcast_ref::<PromptError>() {
        return e.hint().map(str::to_owned);
    }
    if let Some(e) = error.downcast_ref::<WriteError>() {
        return e.hint();
    }
    if let Some(e) = error.downcast_ref::<RunError>() {
        return e.hint();
    }
    if let Some(e) = error.downcast_ref::<DeviceError>() {
        return Some(e.hint());
    }
    if let Some(e) = error.downcast_ref::<TooLarge>() {
        return Some(e.hint());
    }
    if let Some(ShardError::NoEngine) = error.downcast_ref() {
        return Some("name the shard: --shard 1/8".to_owned());
    }
    if let Some(PartsError::Missing { .. }) = error.downcast_ref() {
        return Some("read them with `longsum map`".to_owned());
    }
    match error.downcast_ref::<Failure>()? {
        Failure::Plan { .. } | Failure::Changed { .. } => {
            Some("make a new one with `longsum plan`".to_owned())
        }
        Failure::BuiltinOnGpu { .. } => {
            Some("leave --device out, or name a model that writes with --model".to_owned())
        }
        Failure::NoProgram { .. } => Some("install it, or leave --ocr out".to_owned()),
        Failure::NoWindow { n_sink, .. } => {
            Some(format!("take a larger --cache, or fewer --sinks than {n_sink}"))
        }
        Failure::Storage { names, .. } => Some(format!("there are {names}")),
        Failure::TooShort { .. } | Failure::NoParts { .. } | Failure::NoSuchPart { .. } => None,
        Failure::TextForFolder => {
            Some("ask for json, md or html, or for one document without -o".to_owned())
        }
        Failure::NoOcr { .. } => Some("name the program too: --ocr ocrmypdf".to_owned()),
        Failure::NoSuchCommand { name } => {
            let command = args::command(true);
            let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
            near::of(name, names).map(|near| format!("did you mean `{near}`?"))
        }
        Failure::NoSuchModel { id } => Some(match near::of(id, KNOWN.map(|known| known.name)) {
            Some(near) => format!("did you mean `{near}`? `longsum models` lists short names"),
            None => "leave --model out for the built-in one, or give a short name that `longsum models` lists, a GGUF file, a folder of safetensors, or a Hugging Face id such as org/name"
                .to_owned(),
        }),
    }
}
