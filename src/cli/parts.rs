//! `longsum plan`, `map` and `merge`: one document over many machines.

use std::fs;
use std::path::Path;
use std::slice;

use anyhow::Result;
use clap::ValueEnum;
use longsum::batch::output::takes_several;
use longsum::batch::{
    Batch, Input, Output, PartOf, Place, RunError, Shard, Store, WriteError, read_parts,
};
use longsum::document::Document;
use longsum::event::Event;
use longsum::report::{Facts, Report};
use longsum::summary::parts;
use serde::{Deserialize, Serialize};

use super::args::{DeviceArgs, Loudness, Making, Map, Merge, NumberType, Plan, Reading};
use super::exit::{Exit, Failure};
use super::{Context, say, terminal};

/// Name of the format.
const SCHEMA: &str = "longsum.plan.v1";

/// What `plan` writes and the others read.
#[derive(Debug, Serialize, Deserialize)]
struct PlanFile {
    schema: String,
    document: std::path::PathBuf,
    sha256: String,
    /// Key of the report.
    key: String,
    making: Making,
    reading: Reading,
    /// Where the model was asked to compute, and in which numbers: keys depend on both.
    #[serde(default)]
    device: Option<String>,
    #[serde(default)]
    dtype: Option<NumberType>,
    parts: Vec<Part>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Part {
    part: usize,
    pages: (u32, u32),
    n_chunks: usize,
    n_bytes: usize,
}

/// Says which parts a document has.
pub fn plan(args: &Plan, loudness: Loudness) -> Result<Exit> {
    let input = Input::at(&args.file);
    let (arguments, inputs) = (slice::from_ref(&args.file), slice::from_ref(&input));
    let output = Output::new(args.output.as_deref(), arguments, inputs, "json")?;
    let quiet = Loudness { quiet: true, ..loudness };
    let context = Context::new(&args.making, &args.reading, &args.on, None, quiet)?;
    let batch = context.batch(&output);
    let document = batch.read(&input)?;
    let of = parts(&context.reader(), &document, &context.options)?;
    if of.is_empty() {
        let reason = "has too little text to summarize".to_owned();
        return Err(Failure::NoParts { uri: document.source.uri, reason }.into());
    }
    let parts = of.into_iter().zip(1..).map(|(part, number)| Part {
        part: number,
        pages: part.pages,
        n_chunks: part.n_chunks,
        n_bytes: part.n_bytes,
    });
    let plan = PlanFile {
        schema: SCHEMA.to_owned(),
        document: args.file.clone(),
        key: batch.keys().of(&document.source.sha256, input.relative()),
        sha256: document.source.sha256,
        making: args.making.clone(),
        reading: args.reading.clone(),
        device: Some(context.about.device.clone()),
        dtype: NumberType::from_str(&context.about.dtype, false).ok(),
        parts: parts.collect(),
    };
    output.write(&input, (serde_json::to_string_pretty(&plan)? + "\n").as_bytes())?;
    Ok(Exit::Done)
}

impl PlanFile {
    fn read(path: &Path) -> Result<Self> {
        let failed = |reason: String| Failure::Plan { path: path.to_owned(), reason };
        let text = fs::read(path).map_err(|e| failed(e.to_string()))?;
        let mut plan: Self =
            serde_json::from_slice(&text).map_err(|e| failed(format!("it is no plan: {e}")))?;
        if plan.schema != SCHEMA {
            return Err(failed(format!("its schema is `{}`, not `{SCHEMA}`", plan.schema)).into());
        }
        // A secret is in no file.
        plan.reading.password = std::env::var("LONGSUM_PASSWORD").ok();
        Ok(plan)
    }

    /// The model as it was planned; where it computes may be said anew.
    fn context(&self, on: &DeviceArgs, loudness: Loudness) -> Result<Context> {
        let on = on.or(self.device.as_deref(), self.dtype);
        Context::new(&self.making, &self.reading, &on, None, loudness)
    }

    fn input(&self) -> Input {
        Input::at(&self.document)
    }

    /// The document, if it is still what was planned.
    fn document(&self, batch: &Batch<'_>) -> Result<Document> {
        let document = batch.read(&self.input())?;
        let key = batch.keys().of(&document.source.sha256, self.input().relative());
        let changed = match (document.source.sha256 == self.sha256, key == self.key) {
            (true, true) => return Ok(document),
            (false, _) => "the document",
            (true, false) => "the model, where it computes, the prompts or the program",
        };
        Err(Failure::Changed { uri: document.source.uri, what: changed }.into())
    }
}

/// Reads one part.
pub fn map(args: &Map, loudness: Loudness) -> Result<Exit> {
    let plan = PlanFile::read(&args.plan)?;
    let n_parts = plan.parts.len();
    let part = match args.part.as_str() {
        "auto" => {
            let shard = Shard::auto(&|name| std::env::var(name).ok())?;
            if shard.n_shards() != n_parts {
                return Err(Failure::NoSuchPart { part: shard.to_string(), n_parts }.into());
            }
            shard.number()
        }
        number => number.parse().unwrap_or(0),
    };
    if part == 0 || part > n_parts {
        return Err(Failure::NoSuchPart { part: args.part.clone(), n_parts }.into());
    }
    let part = PartOf { key: plan.key.clone(), part, n_parts };
    let store = Store::open(&args.output, &Place::new)?;
    if part.read(&store).is_ok() {
        if !loudness.quiet {
            say(&format!(
                "{}: it is there and still stands",
                store.path_of(&part.name()).display()
            ));
        }
        return Ok(Exit::Done);
    }
    store.check()?;
    let output = Output::Folder("jsonl", store);
    let context = plan.context(&args.on, loudness)?.with_care(&args.care);
    let batch = context.batch(&output);
    let (input, document) = (plan.input(), plan.document(&batch)?);
    let bar = context.progress.one(&input.name());
    let mut warnings = Vec::new();
    let mut observe = |event: Event<'_>| bar.event(&event);
    let done = batch.map((&input, &document), &part, &mut warnings, &mut observe);
    bar.clear();
    warn(&input, &warnings);
    Ok(done.map(|()| Exit::Done)?)
}

fn warn(input: &Input, warnings: &[String]) {
    warnings.iter().for_each(|warning| say(&format!("warning: {}: {warning}", input.name())));
}

/// Makes the report from all parts.
pub fn merge(args: &Merge, loudness: Loudness) -> Result<Exit> {
    let plan = PlanFile::read(&args.plan)?;
    let input = plan.input();
    let (arguments, inputs) = (slice::from_ref(&plan.document), slice::from_ref(&input));
    let path = args.output.as_deref();
    let is_folder = path.is_some_and(|path| takes_several(path, arguments, inputs));
    let format = terminal::format(&args.shape, path.filter(|_| !is_folder), is_folder)?;
    let output = Output::new(args.output.as_deref(), arguments, inputs, format.extension())?;
    let notes = Store::open(&args.notes, &Place::new)?;
    let steps = read_parts(&notes, &plan.key, plan.parts.len())?;
    let context = plan.context(&args.on, loudness)?.with_care(&args.care);
    let batch = context.batch(&output);
    let document = plan.document(&batch)?;
    let bar = context.progress.one(&input.name());
    let finish = |report: Report| {
        let file = || args.output.clone().unwrap_or_default();
        let failed = |source| WriteError::File { path: file(), source };
        bar.clear();
        output.write(&input, format.render(&report).map_err(failed)?.as_bytes())?;
        Ok(report)
    };
    let mut warnings = Vec::new();
    let mut observe = |event: Event<'_>| bar.event(&event);
    let made = batch.merge((&input, &document), steps, &mut warnings, &mut observe, finish);
    bar.clear();
    warn(&input, &warnings);
    let facts = Facts::of(&made?);
    let unmet = args.gates.fail_on.unmet(&facts);
    if let Some(reason) = facts.reason {
        return Err(RunError::NoSummary(reason).into());
    }
    unmet.iter().for_each(|gate| say(&format!("gate not met: {}: {gate}", input.name())));
    Ok(if unmet.is_empty() { Exit::Done } else { Exit::Gate })
}
