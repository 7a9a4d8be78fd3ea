//! What became of every document of a run: `longsum.run.v1`, in `run.json` beside the reports.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Model, Tool};

/// Name of the format.
pub const RUN_SCHEMA: &str = "longsum.run.v1";

/// What became of every document of a run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Run {
    /// Always `longsum.run.v1`.
    pub schema: &'static str,
    /// The program that wrote this.
    pub tool: Tool,
    /// The model.
    pub model: Model,
    /// Which documents of the archive these are, as `i/n`, where not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// SHA-256 over the names and sizes of all documents of the archive, where these are not all: it is
    /// the same in every shard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_sha256: Option<String>,
    /// How many documents met which fate.
    pub counts: Counts,
    /// One entry for each document, in the order they were found.
    pub documents: Vec<Entry>,
    /// Files that are not named as documents, by extension.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub passed_over: BTreeMap<String, usize>,
    /// Times of the run.
    pub timings: RunTimings,
}

/// How many documents met which fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counts {
    /// All of their text was read.
    pub complete: usize,
    /// Some pages could not be read.
    pub partial: usize,
    /// Nothing could be summarized.
    pub failed: usize,
    /// The run was stopped before their end.
    pub stopped: usize,
}

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// All of its text was read.
    Complete,
    /// Some pages could not be read.
    Partial,
    /// Nothing could be summarized.
    Failed,
    /// The run was stopped before its end: run it again to go on.
    Stopped,
}

/// One document.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Entry {
    /// Its path below the folder it was found in, or its file name.
    pub document: String,
    /// The file of its report, below the folder of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// Why, where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The way out, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether it may go better next time.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retry: bool,
    /// SHA-256 of its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Pages, or sections of formats without pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_pages: Option<u32>,
    /// Gates that its report does not keep to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates_unmet: Vec<String>,
    /// Times.
    pub timings: EntryTimings,
}

/// Times of a document: the only part that differs between two equal runs.
#[derive(Debug, Clone, Copy, Default, Serialize, JsonSchema)]
pub struct EntryTimings {
    /// Seconds spent on it in this run.
    pub total_secs: f64,
    /// Whether its report was there already and still stands.
    pub unchanged: bool,
}

/// Times of a run: the only part that differs between two equal runs.
#[derive(Debug, Clone, Copy, Default, Serialize, JsonSchema)]
pub struct RunTimings {
    /// From the first document to the last.
    pub total_secs: f64,
    /// Documents whose reports were there already and still stand.
    pub n_unchanged: usize,
    /// Documents that were worked on at once.
    pub n_jobs: usize,
    /// Most memory the process ever held, where the system tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

impl Run {
    /// How many documents met which fate.
    #[must_use]
    pub fn count(documents: &[Entry]) -> Counts {
        let n = |fate| documents.iter().filter(|entry| entry.fate == fate).count();
        Counts {
            complete: n(Fate::Complete),
            partial: n(Fate::Partial),
            failed: n(Fate::Failed),
            stopped: n(Fate::Stopped),
        }
    }
}
