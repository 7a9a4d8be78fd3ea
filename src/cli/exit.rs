//! How the program ends: exit codes, and errors as people see them.

use std::process::ExitCode;

use longsum::batch::InputError;
use longsum::eval::SetError;
use longsum::load::LoadError;
use longsum::model::ModelError;
use longsum::prompt::PromptError;
use longsum::summary::SummaryError;

use super::output::WriteError;
use super::say;

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
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::SomeFailed => 1,
            Exit::Usage => 2,
            Exit::Gate => 3,
            Exit::TryAgain => 75,
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
    /// The report says that the document failed.
    #[error("{reason}")]
    Document {
        /// Why.
        reason: String,
    },
}

/// The exit code of an error.
pub fn of(error: &anyhow::Error) -> Exit {
    if let Some(e) = error.downcast_ref::<InputError>() {
        return if e.is_usage() { Exit::Usage } else { Exit::SomeFailed };
    }
    if let Some(e) = error.downcast_ref::<SetError>() {
        return if e.is_usage() { Exit::Usage } else { Exit::SomeFailed };
    }
    if let Some(e) = error.downcast_ref::<WriteError>() {
        return if e.is_usage() { Exit::Usage } else { Exit::TryAgain };
    }
    if let Some(LoadError::Download { .. }) = error.downcast_ref() {
        return Exit::TryAgain;
    }
    if let Some(SummaryError::Model(ModelError::Cache(_) | ModelError::Tensor(_))) =
        error.downcast_ref()
    {
        return Exit::TryAgain;
    }
    if let Some(Failure::Document { .. }) = error.downcast_ref() {
        return Exit::SomeFailed;
    }
    Exit::Usage
}

/// Prints an error and the way out.
pub fn tell(error: &anyhow::Error) {
    say(&format!("error: {error}"));
    if let Some(hint) = hint(error) {
        say(&format!(" hint: {hint}"));
    }
}

fn hint(error: &anyhow::Error) -> Option<String> {
    if let Some(e) = error.downcast_ref::<InputError>() {
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
    match error.downcast_ref::<Failure>()? {
        Failure::NoSuchModel { .. } => Some(
            "leave --model out for the built-in one, or give a GGUF file, a folder of safetensors, or a Hugging Face id such as org/name"
                .to_owned(),
        ),
        Failure::Document { .. } => {
            Some("`source.coverage` in the report says what became of every page".to_owned())
        }
    }
}
