//! The command line: the only place that knows clap, indicatif and anyhow.

mod args;
mod bench;
mod config;
mod device;
mod doctor;
mod dry_run;
mod eval;
mod exit;
mod extract;
mod manual;
mod models;
mod near;
mod parts;
mod ppl;
mod progress;
mod signals;
mod table;
mod terminal;
mod worker;

use std::ffi::OsString;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Result;
use longsum::batch::output::{takes_several, to_stdout};
use longsum::batch::{
    self, Batch, Found, Input, Isolate, Limits, Output, RunError, Search, isolate,
};
use longsum::document;
use longsum::load::Loaded;
use longsum::load::hub::{Download, HubId};
use longsum::memory;
use longsum::model::Together;
use longsum::prompt::Prompts;
use longsum::report::{self, Entry, Model, RUN_SCHEMA, Report, Run, RunTimings, Tool, plain};
use longsum::stream::Decoding;
use longsum::summary::{Evidence, Options, Reader, check};

use args::{Args, Command, DeviceArgs, Job, Loudness, SchemaOf, Streams};
use config::{Row, Settings};
use device::Wanted;
use exit::{Exit, Failure};
use progress::{Progress, counted};

/// How this program asks itself to read one document.
const READ_ONE: &str = "read-one";

/// Tokens that streams are fed together at most: enough to keep a device busy, and no more, so that
/// replies do not wait long behind the chunks of others.
const N_ROWS: usize = 2048;

/// Runs the program and says how it ended.
pub fn main() -> ExitCode {
    let argv = commands_first(std::env::args_os().collect());
    // Started for every document: no settings are its business.
    if argv.get(1).is_some_and(|arg| arg == READ_ONE) {
        return end(isolate::serve().map(|()| Exit::Done).map_err(Into::into));
    }
    let settings = Settings::read(&args::command(true));
    let all = argv.iter().any(|arg| arg == "--help-all");
    let mut command = args::command(all);
    if let Ok(settings) = &settings {
        command = settings.apply(command);
    }
    let (args, matches) = match Args::of(&mut command, argv) {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            if let Some(variable) = args::variable_of(&error) {
                say(&format!(" hint: see what is in the variable {variable}"));
            }
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let loudness = args.loudness;
    // What needs no settings works without them, above all what tells what is wrong with them.
    let result = match args.command {
        Some(Command::Schema(args)) => {
            let schema = match args.of {
                SchemaOf::Summary => report::schema::<Report>(),
                SchemaOf::Run => report::schema::<Run>(),
            };
            to_stdout(schema.as_bytes()).map(|()| Exit::Done).map_err(Into::into)
        }
        Some(Command::Completions(args)) => manual::completions(&args),
        Some(Command::Man(args)) => manual::man(&args),
        Some(Command::Doctor(args)) => doctor::run(&args, settings),
        Some(Command::Config(args)) => config::run(&args.command),
        Some(Command::Models(args)) => models::run(&args),
        other => settings.map_err(Into::into).and_then(|settings| {
            if let Some(warning) = settings.warning() {
                say(&warning);
            }
            match other {
                Some(Command::Worker(args)) => worker::run(&args, loudness),
                Some(Command::Plan(args)) => parts::plan(&args, loudness),
                Some(Command::Map(args)) => parts::map(&args, loudness),
                Some(Command::Merge(args)) => parts::merge(&args, loudness),
                Some(Command::Extract(args)) => extract::run(&args),
                Some(Command::Eval(args)) => eval::run(&args, loudness),
                Some(Command::Ppl(args)) => ppl::run(&args, loudness),
                Some(Command::Bench(args)) => bench::run(&args, loudness),
                _ => {
                    if loudness.verbose > 0 {
                        settings
                            .rows(&command, &matches)
                            .iter()
                            .filter_map(Row::told)
                            .for_each(|row| say(&format!("setting {row}")));
                    }
                    run(&args.job, loudness)
                }
            }
        }),
    };
    end(result)
}

/// `longsum -q extract FILE` means `longsum extract -q FILE`: how much is said can come first.
fn commands_first(mut argv: Vec<OsString>) -> Vec<OsString> {
    let is_loudness = |arg: &OsString| {
        let arg = arg.to_str().unwrap_or_default();
        let letters = arg.strip_prefix('-').unwrap_or_default();
        matches!(arg, "--quiet" | "--verbose")
            || !letters.is_empty() && letters.chars().all(|c| matches!(c, 'q' | 'v'))
    };
    let n = argv.iter().skip(1).take_while(|arg| is_loudness(arg)).count();
    let command = argv.get(n + 1).and_then(|arg| arg.to_str());
    let is_command =
        |name: &str| args::command(true).find_subcommand(name).is_some() || name == "help";
    if n > 0 && command.is_some_and(is_command) {
        argv[1..n + 2].rotate_right(1);
    }
    argv
}

/// Says what went wrong, and gives the exit code.
fn end(result: Result<Exit>) -> ExitCode {
    match (result, signals::number()) {
        // All was done before the signal came.
        (Ok(Exit::Done), _) => Exit::Done.into(),
        (_, Some(signal)) => Exit::Stopped(signal).into(),
        (Ok(exit), None) => exit.into(),
        (Err(error), None) => {
            exit::tell(&error);
            exit::of(&error).into()
        }
    }
}

/// Summarizes every document asked for.
fn run(job: &Job, loudness: Loudness) -> Result<Exit> {
    let isolate = isolate(&job.reading)?;
    let found = find(&job.place, &isolate)?;
    let mut inputs = found.inputs;
    let (path, arguments) = (job.place.output.as_deref(), &job.place.inputs);
    let is_folder = path.is_some_and(|path| takes_several(path, arguments, &inputs));
    let format = terminal::format(&job.shape, path.filter(|_| !is_folder), is_folder)?;
    let extension = format.extension();
    // Where reports go is the same for every shard.
    let output = if job.dry_run {
        Output::looked_at(path, arguments, &inputs, extension)?
    } else {
        Output::new(path, arguments, &inputs, extension)?
    };
    let archive = job.shard.map(|_| Archive::of(&inputs));
    if let (Some(shard), Some(archive)) = (job.shard, &archive) {
        inputs = shard.pick(&archive.n_bytes).into_iter().map(|at| inputs[at].clone()).collect();
    }
    let n_asked = n_asked(job, inputs.len());
    let n_streams = n_asked.map(NonZeroUsize::get);
    let context =
        Context::new(&job.making, &job.reading, &job.on, n_streams, loudness)?.with_care(&job.care);
    let started = Instant::now();
    let (n_jobs, n_together) = at_once(job, &context, inputs.len(), n_asked)?;
    let together = Together::new(&context.loaded.decoder, N_ROWS);
    let reader = context.reader();
    let batch = Batch {
        reader: if n_together.is_some() { Reader { model: &together, ..reader } } else { reader },
        together: n_together,
        format,
        force: job.force,
        n_jobs,
        gates: job.gates.fail_on.clone(),
        ..context.batch(&output)
    };
    context
        .progress
        .explain(|| format!("{}, {} at once", counted(inputs.len(), "documents"), batch.n_jobs));
    if job.dry_run {
        return dry_run::run(&batch, &inputs);
    }
    let outcomes = batch.run(&inputs, &context.progress.documents(&inputs));
    let (entries, errors): (Vec<Entry>, Vec<Option<RunError>>) =
        outcomes.into_iter().map(|outcome| (outcome.entry, outcome.error)).unzip();
    let exit = exit::of_all(&entries, &errors, output.is_folder());
    if output.is_folder() {
        let run = Run {
            schema: RUN_SCHEMA,
            tool: Tool::this(),
            model: context.about.clone(),
            shard: job.shard.map(|shard| shard.to_string()),
            archive_sha256: archive.map(|archive| archive.sha256),
            counts: Run::count(&entries),
            passed_over: found.passed_over,
            timings: RunTimings {
                total_secs: started.elapsed().as_secs_f64(),
                n_unchanged: entries.iter().filter(|e| e.timings.unchanged).count(),
                n_jobs: batch.n_jobs.get(),
                peak_memory_bytes: memory::peak_bytes(),
            },
            documents: entries,
        };
        context.progress.say(&table::of(&run));
        let archive = run.archive_sha256.as_deref().unwrap_or_default();
        for other in job
            .shard
            .iter()
            .flat_map(|shard| shard.strangers(&|name| output.read_file(name), archive))
        {
            say(&format!(
                "warning: `{}` is of a run that found other documents: some may be in no shard; run all shards again once the archive is complete",
                other.display()
            ));
        }
        let part = job.shard.map(|shard| format!("-{}", shard.file_part()));
        let name = format!("run{}.json", part.as_deref().unwrap_or_default());
        let mut files = vec![(name, serde_json::to_string_pretty(&run)? + "\n")];
        if format == report::Format::Html {
            files.push((format!("index{}.html", part.unwrap_or_default()), report::index(&run)?));
        }
        for (name, text) in files {
            if let Err(error) = output.write_to(Path::new(&name), text.as_bytes()) {
                if exit == Exit::Done {
                    return Err(error.into());
                }
                exit::tell(&error.into()); // the first thing that went wrong tells more
            }
        }
    }
    Ok(exit)
}

/// What every command that summarizes needs: a model, and how documents are read.
struct Context {
    progress: Progress,
    loaded: Loaded,
    about: Model,
    options: Options,
    how: document::Reading,
    isolate: Isolate,
    care: Option<args::Care>,
}

impl Context {
    fn new(
        making: &args::Making,
        reading: &args::Reading,
        on: &DeviceArgs,
        n_streams: Option<usize>,
        loudness: Loudness,
    ) -> Result<Self> {
        let progress = Progress::new(loudness);
        let options = options(making, reading)?;
        let wanted = Wanted {
            n_sink: making.sinks,
            n_window: making.window,
            n_chunk: making.chunk,
            n_streams,
        };
        let (loaded, about) = device::load(&making.model, on, wanted, &progress)?;
        check(&batch::reader(&loaded, &about), &options)?;
        let (how, isolate) = (how(reading)?, isolate(reading)?);
        // From here on there is something to save.
        signals::listen()?;
        Ok(Self { progress, loaded, about, options, how, isolate, care: None })
    }

    fn with_care(mut self, care: &args::Care) -> Self {
        self.care = Some(care.clone());
        self
    }

    fn reader(&self) -> Reader<'_> {
        batch::reader(&self.loaded, &self.about)
    }

    /// One document at a time, unless said otherwise.
    fn batch<'a>(&'a self, output: &'a Output) -> Batch<'a> {
        let care = self.care.as_ref();
        Batch {
            reader: self.reader(),
            options: &self.options,
            reading: &self.how,
            isolate: &self.isolate,
            output,
            format: report::Format::Json,
            gates: report::Gates::default(),
            force: false,
            n_jobs: NonZeroUsize::MIN,
            together: None,
            n_retries: care.map_or(0, |care| care.retries),
            n_most_secs: care.and_then(|care| care.time_limit),
            checkpoint: Duration::from_secs_f64(care.map_or(0.0, |care| care.checkpoint)),
            stop: signals::stop(),
            halt: AtomicBool::new(false),
        }
    }
}

/// All documents of an archive, as every shard should find them.
struct Archive {
    n_bytes: Vec<u64>,
    sha256: String,
}

impl Archive {
    fn of(inputs: &[Input]) -> Self {
        let n_bytes: Vec<u64> = inputs.iter().map(Input::n_bytes).collect();
        let mut all = String::new();
        for (input, n) in inputs.iter().zip(&n_bytes) {
            all.push_str(&format!("{n} {}\0", input.name()));
        }
        Self { n_bytes, sha256: batch::sha256_hex(all.as_bytes()) }
    }
}

/// The documents that the arguments mean.
fn find(place: &args::Where, isolate: &Isolate) -> Result<Found> {
    let search = Search {
        paths: place.inputs.clone(),
        globs: place.glob.clone(),
        skip: place.output.clone(),
    };
    Ok(search.find(&|path| isolate.members(path))?)
}

/// How many documents or streams are asked for at once, as far as there are so many.
fn n_asked(job: &Job, n_inputs: usize) -> Option<NonZeroUsize> {
    let (n, n_there) = match job.streams {
        Some(Streams::Number(n)) => (n, n_inputs.saturating_mul(job.making.parts.get())),
        Some(Streams::Auto) => return None,
        None => (job.jobs?, n_inputs),
    };
    NonZeroUsize::new(n.get().min(n_there)).or(Some(NonZeroUsize::MIN))
}

/// How many documents are worked on at once, and how many streams go through the model together, where
/// they do.
fn at_once(
    job: &Job,
    context: &Context,
    n_inputs: usize,
    n_asked: Option<NonZeroUsize>,
) -> Result<(NonZeroUsize, Option<NonZeroUsize>)> {
    let device = context.loaded.decoder.device();
    let n_together = match job.streams {
        Some(Streams::Auto) => {
            let n_free = longsum::device::free_bytes(device);
            Some(batch::n_streams(&context.reader(), &context.options, n_inputs, n_free)?)
        }
        Some(Streams::Number(_)) => n_asked,
        // A GPU does one thing at a time: what is done at once is done together.
        None => n_asked.filter(|_| !device.is_cpu()),
    };
    let n_jobs = match n_together {
        // Each has a stream for each of its parts.
        Some(n) => {
            let n = n.get() / context.options.n_parts;
            NonZeroUsize::new(n.min(n_inputs)).unwrap_or(NonZeroUsize::MIN)
        }
        None => n_asked.unwrap_or_else(|| batch::n_jobs(&context.reader(), n_inputs)),
    };
    Ok((n_jobs, n_together.filter(|n| n.get() > 1)))
}

/// The program that would run under this name.
fn on_path(name: &str) -> Option<PathBuf> {
    if Path::new(name).components().count() > 1 {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// How documents are read.
fn how(reading: &args::Reading) -> Result<document::Reading> {
    let language = reading.ocr_language.clone();
    if let (Some(languages), None) = (&language, &reading.ocr) {
        return Err(Failure::NoOcr { languages: languages.clone() }.into());
    }
    if let Some(program) = reading.ocr.as_ref().filter(|program| on_path(program).is_none()) {
        return Err(Failure::NoProgram { program: program.clone() }.into());
    }
    let ocr = reading.ocr.clone().map(|program| document::Ocr { program, language });
    Ok(document::Reading { password: reading.password.clone(), ocr })
}

/// Where documents are read: in this program once more.
fn isolate(reading: &args::Reading) -> Result<Isolate> {
    // The very program that runs, also if another one was installed in its place meanwhile.
    let this = Path::new("/proc/self/exe");
    let program = if this.exists() { this.to_owned() } else { std::env::current_exe()? };
    Ok(Isolate {
        program,
        args: vec![READ_ONE.into()],
        limits: Limits { n_secs: reading.n_secs(), n_mib: Some(reading.n_mib()) },
    })
}

fn options(making: &args::Making, reading: &args::Reading) -> Result<Options> {
    let prompts = match &making.prompts {
        Some(dir) => Prompts::from_dir(dir)?,
        None => Prompts::built_in(),
    };
    let (temperature, seed) = (making.temperature, making.seed);
    let decoding = Decoding { temperature, seed, n_guess: making.guess, ..Decoding::default() };
    Ok(Options {
        n_sink: making.sinks,
        n_window: making.window,
        n_chunk: making.chunk,
        n_words: making.length,
        evidence: match making.evidence {
            args::Evidence::Attention => Evidence::Attention,
            args::Evidence::Words => Evidence::Words,
        },
        language: making.language.clone(),
        prompts,
        decoding,
        pages: reading.pages,
        n_parts: making.parts,
    })
}

/// Threads that compute.
fn n_threads() -> usize {
    let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok());
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    asked.filter(|&n| n > 0).unwrap_or(n_cores)
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
fn say(lines: &str) {
    let _ = writeln!(std::io::stderr(), "{}", plain(lines));
}
