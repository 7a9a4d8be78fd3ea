//! `longsum doctor`: whether the main job would work here, and what it would use.

use std::env;
use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use candle_core::{DType, Device};
use longsum::batch::output::{state_dir, to_stdout};
use longsum::batch::{self, Input, Place};
use longsum::device::{self, Choice};
use longsum::load::hub::{self, HubId};
use longsum::load::known::Known;
use longsum::load::{Loaded, config};
use longsum::measure::{STORAGES, Storage};
use longsum::memory::available_bytes;
use longsum::model::packed;
use longsum::report::{Status, plain};
use longsum::summary::{Options, summarize};
use serde::Serialize;
use serde_json::json;

use super::args::{self, BUILTIN, DeviceArgs, Doctor, EvalFormat, Job};
use super::config::{ConfigError, Row, Settings};
use super::exit::{self, Exit, Failure};
use super::models::{BF16, gb, usual_memory};

/// What was looked at, and what was found.
#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    state: State,
    found: String,
    /// What to do, where something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    /// The job works, but could do so better, or with more.
    Note,
    /// The job does not work.
    Wrong,
}

impl Check {
    fn new(what: &'static str, state: State, found: impl Into<String>) -> Self {
        Self { what, state, found: found.into(), hint: None }
    }

    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, State::Ok, found)
    }

    fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    fn wrong(what: &'static str, error: &anyhow::Error) -> Self {
        Self { hint: exit::hint(error), ..Self::new(what, State::Wrong, error.to_string()) }
    }
}

/// Looks at everything that `longsum FILE` needs.
pub fn run(args: &Doctor, settings: Result<Settings, ConfigError>) -> Result<Exit> {
    let (settings, wrong) = match settings {
        Ok(settings) => (settings, None),
        Err(error) => (Settings::default(), Some(Check::wrong("settings", &error.into()))),
    };
    let mut command = settings.apply(args::command(true));
    let (job, rows) = match args::Args::of(&mut command, vec!["longsum".into(), "-".into()]) {
        Ok((args, matches)) => (args.job, settings.rows(&command, &matches)),
        Err(error) => {
            let _ = error.print(); // a variable has a value that cannot be
            return Ok(Exit::Usage);
        }
    };
    let mut checks = vec![program(), processor(), memory(), gpu(&job.on)];
    checks.push(wrong.unwrap_or_else(|| of_settings(&settings, &rows)));
    checks.push(model(&job, &rows));
    checks.push(cache());
    checks.push(state());
    checks.push(ocr(job.reading.ocr.as_deref()));
    checks.push(trial(&job).unwrap_or_else(|error| Check::wrong("trial", &error)));
    let works = checks.iter().all(|check| check.state != State::Wrong);
    let text = match args.format {
        EvalFormat::Table => table(&checks, works),
        EvalFormat::Json => {
            serde_json::to_string_pretty(&json!({ "works": works, "checks": checks }))? + "\n"
        }
    };
    to_stdout(text.as_bytes())?;
    Ok(if works { Exit::Done } else { Exit::SomeFailed })
}

fn program() -> Check {
    let kinds = [
        (cfg!(feature = "object-store"), "object stores"),
        (cfg!(feature = "cuda"), "CUDA"),
        (cfg!(feature = "metal"), "Metal"),
    ];
    let with: Vec<&str> = kinds.iter().filter(|(is_in, _)| *is_in).map(|(_, what)| *what).collect();
    let with = if with.is_empty() { "nothing optional".to_owned() } else { with.join(", ") };
    let (version, os, arch) = (env!("CARGO_PKG_VERSION"), env::consts::OS, env::consts::ARCH);
    Check::ok("program", format!("longsum {version} for {os} on {arch}, built with {with}"))
}

fn processor() -> Check {
    let instructions = packed::instructions();
    let found = format!("{} threads, {instructions} instructions", super::n_threads());
    if instructions == "plain" {
        let hint = "fast kernels need an x86-64 processor with AVX2; here everything takes longer";
        return Check::new("processor", State::Note, found).with_hint(hint);
    }
    Check::ok("processor", found)
}

fn memory() -> Check {
    match available_bytes() {
        Some(n) => Check::ok("memory", format!("{} GB can be had", gb(n))),
        None => Check::new("memory", State::Note, "this system does not tell how much there is"),
    }
}

/// The GPU that a model would run on, or why none would.
fn gpu(on: &DeviceArgs) -> Check {
    let (device, passed_over) = match device::open(on.device) {
        Ok(opened) => opened,
        Err(error) => {
            let hint = error.hint();
            return Check::new("gpu", State::Wrong, error.to_string()).with_hint(hint);
        }
    };
    if let Some(error) = passed_over {
        let hint = error.hint();
        return Check::new("gpu", State::Note, error.to_string()).with_hint(hint);
    }
    if let Err(error) = device::dtype(&device, on.dtype.map(DType::from)) {
        return Check::new("gpu", State::Wrong, error.to_string()).with_hint(error.hint());
    }
    if device.is_cpu() {
        let why = match on.device {
            Choice::Cpu => "the CPU is asked for".to_owned(),
            _ if cfg!(feature = "cuda") => {
                device::open(Choice::Cuda(0)).err().map_or(String::new(), |e| e.to_string())
            }
            _ => "this build is for the CPU".to_owned(),
        };
        return Check::ok("gpu", format!("not used: {why}"));
    }
    let name = device::gpu(&device).unwrap_or_else(|| device::kind(&device).to_owned());
    let free =
        device::free_bytes(&device).map_or(String::new(), |n| format!(", {} GB are free", gb(n)));
    Check::ok("gpu", format!("{name}{free}"))
}

fn of_settings(settings: &Settings, rows: &[Row]) -> Check {
    let made: Vec<String> = rows.iter().filter_map(Row::told).collect();
    let files: Vec<String> = settings.files.iter().map(|path| path.display().to_string()).collect();
    let found = match (files.is_empty(), made.is_empty()) {
        (true, true) => "no file and no variable; everything by default".to_owned(),
        (true, false) => made.join("; "),
        (false, _) => format!("from {}: {}", files.join(" and "), made.join("; ")),
    };
    match settings.warning() {
        Some(warning) => Check::new("settings", State::Note, found).with_hint(warning),
        None => Check::ok("settings", found),
    }
}

/// Which model reads, why that one, and whether there is room for it.
fn model(job: &Job, rows: &[Row]) -> Check {
    let id = job.making.model.as_str();
    let origin = rows.iter().find(|row| row.name == "model").map(|row| row.origin.as_str());
    let why = origin.unwrap_or("default");
    if id == BUILTIN {
        if !matches!(job.on.device, Choice::Auto | Choice::Cpu) {
            return Check::wrong("model", &Failure::BuiltinOnGpu { device: job.on.device }.into());
        }
        return Check::ok("model", format!("builtin, in the program ({why}): chooses sentences"));
    }
    let found = match place(id) {
        Ok(found) => found,
        Err(error) => return Check::wrong("model", &error),
    };
    let (place, spec) = found;
    let needed =
        spec.and_then(|(spec, storage)| Some(usual_memory(&spec, storage).ok()?.n_bytes()));
    let needs = needed.map_or(String::new(), |n| format!(", needs about {} GB", gb(n)));
    let found = format!("{id} ({why}): {place}{needs}");
    match (needed, available_bytes()) {
        (Some(needed), Some(there)) if needed > there => {
            let hint = "free some memory, or take a smaller model or a GGUF file: `longsum models`";
            Check::new("model", State::Wrong, found).with_hint(hint)
        }
        _ => Check::ok("model", found),
    }
}

type Shape = Option<(longsum::model::Spec, Storage)>;

/// Where a model lies, or would come from, and its shape where that is known without loading it.
fn place(id: &str) -> Result<(String, Shape)> {
    let of_folder = |dir: &Path| Some((config::read(&dir.join("config.json")).ok()?, BF16));
    let of_path = |path: &Path| {
        if path.is_dir() { of_folder(path) } else { None }
    };
    let path = Path::new(id);
    if path.exists() {
        return Ok(("is there".to_owned(), of_path(path)));
    }
    let known = Known::of(id);
    let repo = known.map_or(id, |known| known.repo);
    let hub = HubId::parse(repo).filter(|_| !id.ends_with(".gguf") || id.contains(':'));
    let hub = hub.ok_or_else(|| Failure::NoSuchModel { id: id.to_owned() })?;
    if let Some(fetched) = hub.find() {
        return Ok((format!("`{repo}` is in the cache"), of_path(&fetched.path)));
    }
    if hub::is_offline() {
        // Says so, and what to do.
        hub.fetch(&mut |_| {})?;
    }
    let spec = known.and_then(|known| Some((known.spec().ok()?, BF16)));
    Ok((format!("`{repo}` would be downloaded first"), spec))
}

fn cache() -> Check {
    let (dir, repos) = hub::in_cache();
    let some: Vec<String> =
        repos.iter().take(10).map(|(name, n)| format!("{name} ({} GB)", gb(*n))).collect();
    let more = if repos.len() > some.len() { ", …" } else { "" };
    let found = if some.is_empty() { "no models".to_owned() } else { some.join(", ") + more };
    Check::ok("cache", format!("{}: {found}", dir.display()))
}

/// Where work that was stopped is kept.
fn state() -> Check {
    let hint = "name a folder that can be written to in XDG_STATE_HOME; without one, work that is stopped begins anew";
    let Some(dir) = state_dir() else {
        return Check::new("state", State::Note, "neither XDG_STATE_HOME nor HOME is set")
            .with_hint(hint);
    };
    match std::fs::create_dir_all(&dir).and_then(|()| Place::new(&dir).check()) {
        Ok(()) => Check::ok("state", format!("{} can be written to", dir.display())),
        Err(error) => {
            let found = format!("{} cannot be written to: {error}", dir.display());
            Check::new("state", State::Note, found).with_hint(hint)
        }
    }
}

/// The program for pages without a text layer: the one asked for has to be there.
fn ocr(asked: Option<&str>) -> Check {
    let name = asked.unwrap_or("ocrmypdf");
    match (super::on_path(name), asked) {
        (Some(path), None) => {
            let found = format!("{} is there", path.display());
            Check::ok("ocr", found).with_hint("`--ocr ocrmypdf` reads scanned pages with it")
        }
        (Some(path), Some(_)) => Check::ok("ocr", path.display().to_string()),
        (None, None) => {
            Check::ok("ocr", "ocrmypdf is not there: scanned pages are reported, not read")
        }
        (None, Some(name)) => {
            Check::new("ocr", State::Wrong, format!("there is no program `{name}`"))
                .with_hint("install it, or take `ocr` out of the settings")
        }
    }
}

const TEXT: &str = "The harbour master counted nine ships in May. In June there were eleven, and two \
    of them were too long for the old quay. The council decided in July to build a longer one. It \
    will cost four million, which is a third of what the town takes in a year.";

/// Reads a few sentences in a process of their own, as documents are, and summarizes them.
fn trial(job: &Job) -> Result<Check> {
    let started = Instant::now();
    super::how(&job.reading)?;
    super::options(&job.making, &job.reading)?;
    let input = Input::Given { name: "trial.txt".to_owned(), bytes: TEXT.into() };
    let isolate = super::isolate(&job.reading)?;
    let document = isolate.read(&input, &longsum::document::Reading::default(), None, &|| false)?;
    let loaded = Loaded::builtin(&Device::Cpu)?;
    let about = batch::about(&loaded, BUILTIN, None);
    let reader = batch::reader(&loaded, &about);
    let n_jobs = job.jobs.unwrap_or_else(|| batch::n_jobs(&reader, usize::MAX));
    let report = summarize(&reader, &document, &Options::default(), &mut |_| {})?;
    if report.status != Status::Complete {
        let reason = report.reason.unwrap_or_default();
        return Ok(Check::new("trial", State::Wrong, format!("no summary: {reason}")));
    }
    let needed = usual_memory(reader.model.spec(), STORAGES[3])?;
    Ok(Check::ok(
        "trial",
        format!(
            "a text was read in a process of its own and summarized by builtin, in {:.2} s; it would take up to {n_jobs} documents at once, in {} GB each",
            started.elapsed().as_secs_f64(),
            gb(needed.cache_bytes + needed.activation_bytes),
        ),
    ))
}

fn table(checks: &[Check], works: bool) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for check in checks {
        let state = match check.state {
            State::Ok => "ok",
            State::Note => "note",
            State::Wrong => "WRONG",
        };
        let _ = writeln!(text, "{state:<6} {:<10} {}", check.what, check.found);
        for line in check.hint.iter().flat_map(|hint| hint.lines()) {
            let _ = writeln!(text, "{:18}{}", "", line.trim_start());
        }
    }
    let end =
        if works { "`longsum FILE` works here." } else { "`longsum FILE` does not work here." };
    let _ = writeln!(text, "\n{end}");
    plain(&text)
}
