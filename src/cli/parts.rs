//! `longsum plan`, `map` and `merge`: one document over many machines.

use std::fs;
use std::path::Path;

use anyhow::Result;
use longsum::batch::{Batch, Input, Output, PartOf, RunError, Shard, Store, read_parts};
use longsum::document::Document;
use longsum::report::{Facts, Report};
use longsum::summary::parts;
use serde::{Deserialize, Serialize};

use super::args::{GateArgs, Making, Map, Merge, Plan, Reading};
use super::exit::{Exit, Failure};
use super::{Context, say};

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
pub fn plan(args: &Plan) -> Result<Exit> {
    let input = Input::at(&args.file);
    let output = Output::new(args.output.as_deref(), &[], std::slice::from_ref(&input), "json")?;
    let context = Context::new(&args.making, &args.reading, true)?;
    let no_gates = GateArgs { fail_on: longsum::report::Gates::default() };
    let batch = context.batch(&output, &no_gates);
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
        key: batch.keys().of(&document.source.sha256),
        sha256: document.source.sha256,
        making: args.making.clone(),
        reading: args.reading.clone(),
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

    fn input(&self) -> Input {
        Input::at(&self.document)
    }

    /// The document, if it is still what was planned.
    fn document(&self, batch: &Batch<'_>) -> Result<Document> {
        let document = batch.read(&self.input())?;
        let key = batch.keys().of(&document.source.sha256);
        let changed = match (document.source.sha256 == self.sha256, key == self.key) {
            (true, true) => return Ok(document),
            (false, _) => "the document",
            (true, false) => "the model, the prompts or the program",
        };
        Err(Failure::Changed { uri: document.source.uri, what: changed }.into())
    }
}

/// Reads one part.
pub fn map(args: &Map) -> Result<Exit> {
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
    let store = Store::open(&args.output)?;
    if part.read(&store).is_ok() {
        if !args.quiet {
            say(&format!(
                "{}: it is there and still stands",
                store.path_of(&part.name()).display()
            ));
        }
        return Ok(Exit::Done);
    }
    store.check()?;
    let output = Output::Folder("jsonl", store);
    let context = Context::new(&plan.making, &plan.reading, args.quiet)?.with_care(&args.care);
    let no_gates = GateArgs { fail_on: longsum::report::Gates::default() };
    let batch = context.batch(&output, &no_gates);
    let document = plan.document(&batch)?;
    let bar = context.progress.one(&plan.input().name());
    let result = batch.map(&document, &part, &mut |event| bar.event(&event));
    bar.clear();
    context.ended(result)
}

/// Makes the report from all parts.
pub fn merge(args: &Merge) -> Result<Exit> {
    let plan = PlanFile::read(&args.plan)?;
    let input = plan.input();
    let format = longsum::report::Format::from(args.format);
    let output = Output::new(
        args.output.as_deref(),
        std::slice::from_ref(&plan.document),
        std::slice::from_ref(&input),
        format.extension(),
    )?;
    let steps = read_parts(&Store::open(&args.notes)?, &plan.key, plan.parts.len())?;
    let context = Context::new(&plan.making, &plan.reading, args.quiet)?.with_care(&args.care);
    let batch = context.batch(&output, &args.gates);
    let document = plan.document(&batch)?;
    let bar = context.progress.one(&input.name());
    let finish = |report: Report| {
        let failed = |e: serde_json::Error| longsum::batch::WriteError::Stdout(e.into());
        let text = format.render(&report).map_err(failed)?;
        output.write(&input, text.as_bytes())?;
        Ok(report)
    };
    let made = batch.merge(&document, steps, &mut |event| bar.event(&event), finish);
    bar.clear();
    let report = match made {
        Ok(report) => report,
        Err(error) => return context.ended(Err(error)),
    };
    let facts = Facts::of(&report);
    if let Some(reason) = facts.reason {
        return Err(RunError::NoSummary(reason).into());
    }
    let unmet = args.gates.fail_on.unmet(&Facts::of(&report));
    unmet.iter().for_each(|gate| say(&format!("gate not met: {}: {gate}", input.name())));
    Ok(if unmet.is_empty() { Exit::Done } else { Exit::Gate })
}
