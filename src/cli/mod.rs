//! The command line: the only place that knows clap, indicatif and anyhow.

mod args;
mod eval;
mod exit;
mod extract;
mod output;
mod progress;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use candle_core::Device;
use clap::Parser;
use longsum::batch::{self, Input};
use longsum::document::{self, Document};
use longsum::load::Loaded;
use longsum::load::hub::{Download, HubId};
use longsum::prompt::Prompts;
use longsum::report::{self, Report, Status};
use longsum::stream::Decoding;
use longsum::summary::{Evidence, Options, Reader, summarize};

use args::{Args, Command, Format, Job};
use exit::{Exit, Failure};
use output::Output;
use progress::Progress;

/// Runs the program and says how it ended.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let result = match args.command {
        Some(Command::Schema) => {
            output::to_stdout(report::schema().as_bytes()).map(|()| Exit::Done)
        }
        Some(Command::Extract(args)) => extract::run(&args),
        Some(Command::Eval(args)) => eval::run(&args),
        None => run(&args.job),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            exit::tell(&error);
            exit::of(&error).into()
        }
    }
}

/// Summarizes every document asked for.
fn run(job: &Job) -> Result<Exit> {
    let inputs = batch::inputs(&job.reading.inputs, job.reading.output.as_deref())?;
    let options = options(job)?;
    let output = Output::new(&job.reading, &inputs, job.format.extension())?;
    let progress = Progress::new(job.quiet);
    let (loaded, revision) = load(&job.model, &progress)?;
    let about = batch::about(&loaded, &job.model, revision);
    let reader = batch::reader(&loaded, &about);
    let (mut n_failed, mut all_gates_met) = (0, true);
    for input in &inputs {
        match one(&reader, input, job, &options, &output, &progress) {
            Ok(met) => all_gates_met &= met,
            Err(error) => {
                // One bad document is a line; a full disk or a lost device is the end.
                let is_the_end =
                    exit::of(&error) == Exit::TryAgain || error.is::<output::WriteError>();
                if inputs.len() == 1 || is_the_end {
                    return Err(error);
                }
                n_failed += 1;
                exit::tell(&error);
            }
        }
    }
    if inputs.len() > 1 {
        progress.say(&format!(
            "{} of {} documents summarized",
            inputs.len() - n_failed,
            inputs.len()
        ));
    }
    Ok(match (n_failed, all_gates_met) {
        (0, true) => Exit::Done,
        (0, false) => Exit::Gate,
        _ => Exit::SomeFailed,
    })
}

/// Summarizes one document; returns whether it keeps to the gates.
fn one(
    reader: &Reader<'_>,
    input: &Input,
    job: &Job,
    options: &Options,
    output: &Output,
    progress: &Progress,
) -> Result<bool> {
    let started = Instant::now();
    let document = read(input, &job.reading)?;
    let extract_secs = started.elapsed().as_secs_f64();
    let mut bar = progress.document(&input.name());
    let mut report = summarize(reader, &document, options, &mut |event| bar.event(&event))?;
    report.timings.extract_secs = extract_secs;
    report.timings.total_secs = started.elapsed().as_secs_f64();
    bar.end(&report);
    let mut text = render(&report, job.format)?;
    text.push('\n');
    output.write(input, text.as_bytes())?;
    if let (Status::Failed, Some(reason)) = (&report.status, &report.reason) {
        return Err(Failure::Document { reason: reason.clone() }.into());
    }
    let unmet = job.fail_on.unmet(&report);
    unmet.iter().for_each(|gate| say(&format!("gate not met: {}: {gate}", input.name())));
    Ok(unmet.is_empty())
}

/// Reads a document, or the pages asked for.
fn read(input: &Input, reading: &args::Reading) -> Result<Document> {
    let language = reading.ocr_language.clone();
    let ocr = reading.ocr.clone().map(|program| document::Ocr { program, language });
    let how = document::Reading { password: reading.password.clone(), ocr };
    Ok(input.read(&how, reading.pages)?)
}

fn render(report: &Report, format: Format) -> Result<String> {
    Ok(match format {
        Format::Json => serde_json::to_string_pretty(report)?,
        Format::Md => report::markdown(report),
    })
}

fn options(job: &Job) -> Result<Options> {
    let prompts = match &job.prompts {
        Some(dir) => Prompts::from_dir(dir)?,
        None => Prompts::built_in(),
    };
    let decoding = Decoding { temperature: job.temperature, seed: job.seed, ..Decoding::default() };
    Ok(Options {
        n_sink: job.sinks,
        n_window: job.window,
        n_chunk: job.chunk,
        n_words: job.length,
        evidence: match job.evidence {
            args::Evidence::Attention => Evidence::Attention,
            args::Evidence::Words => Evidence::Words,
        },
        language: job.language.clone(),
        prompts,
        decoding,
        pages: job.reading.pages,
    })
}

/// The model of that name, and the revision it came in.
fn load(id: &str, progress: &Progress) -> Result<(Loaded, Option<String>)> {
    if id == args::BUILTIN {
        return Ok((Loaded::builtin(&Device::Cpu)?, None));
    }
    let (path, revision) = find_model(id, progress)?;
    let open = || Loaded::open(&path, &Device::Cpu).map_err(anyhow::Error::from);
    Ok((progress.while_loading(id, open)?, revision))
}

/// A path as it is; otherwise a Hugging Face id.
fn find_model(id: &str, progress: &Progress) -> Result<(PathBuf, Option<String>)> {
    let path = Path::new(id);
    if path.exists() {
        return Ok((path.to_owned(), None));
    }
    let hub = HubId::parse(id).filter(|_| !id.ends_with(".gguf") || id.contains(':'));
    let Some(hub) = hub else { return Err(Failure::NoSuchModel { id: id.to_owned() }.into()) };
    let mut bar = None;
    let fetched = hub.fetch(&mut |download| match download {
        Download::Begin { file, n_bytes } => bar = Some(progress.download(file, n_bytes)),
        Download::More { n_bytes } => {
            if let Some(bar) = &bar {
                bar.inc(n_bytes as u64);
            }
        }
        Download::End => {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
        }
    })?;
    Ok((fetched.path, fetched.revision))
}

/// Writes to standard error, which may be closed.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
