//! The loop over all documents: some threads read ahead, some summarize, and each report is on disk
//! before its thread takes the next document.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use super::input::{Input, InputError};
use super::isolate::Isolate;
use super::journal::FileJournal;
use super::key::Keys;
use super::output::{Output, WriteError};
use super::parts::Behind;
use super::place::Journals;
use crate::document::{Document, Reading};
use crate::event::Event;
use crate::memory;
use crate::model::{Busy, ModelError};
use crate::report::{Entry, EntryTimings, Facts, Fate, Format, Gates, Report, Status};
use crate::summary::{Journal, Options, Reader, Stop, SummaryError, layout, resume};

/// First wait before a document is read again; it doubles each time, up to the last.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LAST_WAIT: Duration = Duration::from_secs(30);
/// How often a wait looks whether the run stops.
const TICK: Duration = Duration::from_millis(50);

/// All that is the same for every document of a run.
pub struct Batch<'a> {
    /// The model.
    pub reader: Reader<'a>,
    /// What the summaries are asked to be.
    pub options: &'a Options,
    /// How documents are read.
    pub reading: &'a Reading,
    /// Where they are read.
    pub isolate: &'a Isolate,
    /// Where reports go.
    pub output: &'a Output,
    /// How they are written.
    pub format: Format,
    /// What they must keep to.
    pub gates: Gates,
    /// Whether reports that still stand are made again.
    pub force: bool,
    /// Documents that are worked on at once.
    pub n_jobs: NonZeroUsize,
    /// How many of their streams, and of those of the parts of a document, go through the model together,
    /// where that is one that feeds several at once (see [`Together`](crate::model::Together)).
    pub together: Option<NonZeroUsize>,
    /// How often a document is read again that could not be read for a passing reason.
    pub n_retries: u32,
    /// Seconds that a document may take, once it is read.
    pub n_most_secs: Option<u64>,
    /// What takes longer than this is kept on disk while it is done.
    pub checkpoint: Duration,
    /// Whether the run is to stop.
    pub stop: &'a AtomicBool,
    /// Whether it cannot go on.
    pub halt: AtomicBool,
}

/// Looks on while documents are summarized, from several threads. `at` is a document's place among
/// the inputs.
pub trait Watch: Sync {
    /// A document was read.
    fn began(&self, at: usize, input: &Input);
    /// Something happened to it.
    fn event(&self, at: usize, event: &Event<'_>);
    /// Its report is about to be written, perhaps to where bars are.
    fn writes(&self, at: usize);
    /// It is done; the report is there unless it was before, or could not be made.
    fn ended(&self, at: usize, outcome: &Outcome, report: Option<&Report>);
}

/// What became of a document.
#[derive(Debug)]
pub struct Outcome {
    /// For `run.json`.
    pub entry: Entry,
    /// Why there is no summary.
    pub error: Option<RunError>,
    /// What should be known of the run besides.
    pub warnings: Vec<String>,
}

/// Why there is no summary of a document.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It could not be summarized.
    #[error(transparent)]
    Summary(#[from] SummaryError),
    /// Its report could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// It was read, and there is nothing to summarize.
    #[error("{0}")]
    NoSummary(String),
    /// The program has a fault that it shows.
    #[error("longsum failed at `{name}`: {message}")]
    Panic {
        /// The document.
        name: String,
        /// What is known of the fault.
        message: String,
    },
}

impl RunError {
    /// Whether the next document would fare no better.
    #[must_use]
    pub fn ends_the_run(&self) -> bool {
        match self {
            Self::Input(_) | Self::NoSummary(_) | Self::Panic { .. } => false,
            Self::Write(e) => !e.is_of_one_report(),
            Self::Summary(e) => matches!(
                e,
                SummaryError::Layout(_)
                    | SummaryError::Prompt(_)
                    | SummaryError::Model(ModelError::Cache(_) | ModelError::Tensor(_))
            ),
        }
    }

    /// Whether it may go better next time.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Input(e) => e.is_passing(),
            Self::NoSummary(_) => false,
            Self::Write(e) => !e.is_usage(),
            Self::Summary(e) => goes_on(e),
            Self::Panic { .. } => false,
        }
    }

    /// The way out, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Input(e) => e.hint(),
            Self::Summary(e) => e.hint(),
            Self::Write(e) => e.hint(),
            Self::NoSummary(_) => {
                Some("`source.coverage` in the report says what became of every page".to_owned())
            }
            Self::Panic { .. } => Some("this is a bug: please report it".to_owned()),
        }
    }

    /// Whether a run could go on from what was done before this error.
    fn can_go_on(&self) -> bool {
        match self {
            Self::Write(_) => true,
            Self::Summary(e) => goes_on(e),
            Self::Input(_) | Self::NoSummary(_) | Self::Panic { .. } => false,
        }
    }

    pub(super) fn is_stop(&self) -> bool {
        matches!(
            self,
            Self::Input(InputError::Stopped) | Self::Summary(SummaryError::Stopped(Stop::Asked))
        )
    }
}

/// A document on its way from a reader to the model.
struct Read {
    at: usize,
    since: Instant,
    document: Result<Box<Document>, InputError>,
}

/// How many documents are worth working on at once: one for each core, as far as there is memory for
/// the streams. A GPU does one thing after the other, whoever asks.
#[must_use]
pub fn n_jobs(reader: &Reader<'_>, n_inputs: usize) -> NonZeroUsize {
    if reader.about.device != "cpu" {
        return NonZeroUsize::MIN;
    }
    let n_cores = thread::available_parallelism().map_or(1, usize::from);
    let spec = reader.model.spec();
    // Keys and values in 4 bytes, and as much again for the copy to come back to.
    let n_slots = spec.context.min(4096);
    let n_bytes = 4 * 4 * spec.n_layers * spec.n_kv_heads * spec.head_dim * n_slots;
    // Half of what is there: documents and reports need some too.
    let room = memory::available_bytes().map_or(u64::MAX, |n| n / 2);
    let n_fit = usize::try_from(room / (n_bytes as u64).max(1)).unwrap_or(usize::MAX);
    NonZeroUsize::new(n_cores.min(n_fit).min(n_inputs)).unwrap_or(NonZeroUsize::MIN)
}

/// How many streams go through the model together, if as many do as are of use: no more than there
/// are documents, or parts of them, and than have room in memory.
///
/// - `n_free`: bytes that are free on the model's device, where that is not the CPU
///
/// # Errors
/// [`SummaryError`] if the options do not fit the model.
pub fn n_streams(
    reader: &Reader<'_>,
    options: &Options,
    n_documents: usize,
    n_free: Option<u64>,
) -> Result<NonZeroUsize, SummaryError> {
    /// With more, a batch takes so much longer that nothing is won.
    const MOST: usize = 32;
    // A stream is as large as its cache, once it is there, and the copy to come back to.
    let n_bytes = 2 * reader.model.new_cache(layout(reader, options)?)?.n_bytes();
    let room = n_free.or_else(memory::available_bytes).map_or(u64::MAX, |n| n / 2);
    let n_fit = usize::try_from(room / (n_bytes as u64).max(1)).unwrap_or(usize::MAX);
    let n = n_documents.saturating_mul(options.n_parts.get()).min(n_fit).min(MOST);
    Ok(NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN))
}

impl Batch<'_> {
    /// Summarizes all documents. A bad one is an outcome like any other; what would befall the others
    /// too, such as a full disk, ends the run.
    ///
    /// Returns one outcome for each input, in their order.
    #[must_use]
    pub fn run(&self, inputs: &[Input], watch: &dyn Watch) -> Vec<Outcome> {
        let keys = self.keys();
        let outcomes: Vec<Mutex<Option<Outcome>>> =
            inputs.iter().map(|_| Mutex::new(None)).collect();
        let end = |at: usize, outcome: Outcome, report: Option<&Report>| {
            if outcome.error.as_ref().is_some_and(RunError::ends_the_run) {
                self.halt.store(true, Ordering::Relaxed);
            }
            // Whoever looks on is no reason to lose what was done.
            let _ = catch_unwind(AssertUnwindSafe(|| watch.ended(at, &outcome, report)));
            *outcomes[at].lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        };
        let next = AtomicUsize::new(0);
        let (send, receive) = mpsc::sync_channel(self.n_jobs.get());
        // Once nobody receives any more, nobody waits to send.
        let receive = Arc::new(Mutex::new(receive));
        thread::scope(|scope| {
            for _ in 0..self.n_jobs.get() {
                let (send, next, keys, end) = (send.clone(), &next, &keys, &end);
                start(scope, move || self.read_ahead(inputs, next, keys, &send, end));
                let receive = Arc::clone(&receive);
                start(scope, move || {
                    while let Some(read) = receive_from(&receive) {
                        let at = read.at;
                        guarded(
                            &inputs[at],
                            self,
                            &|outcome, report| end(at, outcome, report),
                            || Some(self.one(&inputs[at], read, keys, watch)),
                        );
                    }
                });
            }
            drop((send, receive));
        });
        let outcomes = outcomes.into_iter().zip(inputs);
        let done = |(outcome, input): (Mutex<Option<Outcome>>, &Input)| {
            let outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
            outcome.unwrap_or_else(|| self.failed(input, InputError::Stopped.into()))
        };
        outcomes.map(done).collect()
    }

    /// Takes one document after the other, until there are no more.
    fn read_ahead(
        &self,
        inputs: &[Input],
        next: &AtomicUsize,
        keys: &Keys,
        send: &SyncSender<Read>,
        end: &(dyn Fn(usize, Outcome, Option<&Report>) + Sync),
    ) {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(input) = inputs.get(at).filter(|_| !self.is_stopped()) else { return };
            let mut is_heard = true;
            guarded(input, self, &|outcome, report| end(at, outcome, report), || {
                if let Some(outcome) = self.unchanged(input, keys) {
                    self.output.journals(input).forget();
                    return Some((outcome, None));
                }
                let since = Instant::now();
                let document = self.read(input).map(Box::new);
                is_heard = send.send(Read { at, since, document }).is_ok();
                None
            });
            if !is_heard {
                return;
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.halt.load(Ordering::Relaxed)
    }

    /// What became of a document whose report was there already and still stands.
    #[must_use]
    pub fn unchanged(&self, input: &Input, keys: &Keys) -> Option<Outcome> {
        if self.force {
            return None;
        }
        let facts = Facts::read(&self.output.read(input)?)?;
        // The report may be right and the document another one.
        let is_same = self.isolate.is_still(input, &facts.source)
            && facts.key == keys.of(&facts.source.sha256, input.relative());
        is_same.then(|| {
            let mut outcome = self.told(input, &facts);
            outcome.entry.timings.unchanged = true;
            outcome
        })
    }

    /// Reads a document, once more where it could not be read for a passing reason.
    ///
    /// # Errors
    /// [`InputError`] if it cannot be read.
    pub fn read(&self, input: &Input) -> Result<Document, InputError> {
        let stop = || self.is_stopped();
        let mut wait = FIRST_WAIT;
        for _ in 0..self.n_retries {
            match self.isolate.read(input, self.reading, self.options.pages, &stop) {
                Err(e) if e.is_passing() && !self.is_stopped() && *input != Input::Stdin => {
                    let until = Instant::now() + wait;
                    while Instant::now() < until && !self.is_stopped() {
                        thread::sleep(TICK);
                    }
                    wait = (wait * 2).min(LAST_WAIT);
                }
                other => return other,
            }
        }
        self.isolate.read(input, self.reading, self.options.pages, &stop)
    }

    /// Summarizes a document that was read, and writes its report.
    fn one(
        &self,
        input: &Input,
        read: Read,
        keys: &Keys,
        watch: &dyn Watch,
    ) -> (Outcome, Option<Report>) {
        let Read { at, since, document } = read;
        let mut warnings = Vec::new();
        let written = document.map_err(RunError::from).and_then(|document| {
            let extract_secs = since.elapsed().as_secs_f64();
            if self.is_stopped() {
                return Err(InputError::Stopped.into());
            }
            watch.began(at, input);
            let mut observe = |event: Event<'_>| watch.event(at, &event);
            let mut said = None;
            let finish = |mut report: Report| {
                report.timings.extract_secs = extract_secs;
                report.timings.total_secs = since.elapsed().as_secs_f64();
                watch.writes(at);
                self.write(input, &report, &mut said)?;
                Ok(report)
            };
            let made = self.summarize(input, &document, keys, &mut warnings, &mut observe, finish);
            warnings.extend(said);
            made
        });
        let (mut outcome, report) = match written {
            Ok(report) => (self.told(input, &Facts::of(&report)), Some(report)),
            Err(error) => (self.failed(input, error), None),
        };
        outcome.entry.timings.total_secs = since.elapsed().as_secs_f64();
        outcome.warnings = warnings;
        (outcome, report)
    }

    /// Reads and summarizes one document, without writing its report.
    ///
    /// # Errors
    /// [`RunError`] if there is no report. A document with too little text has one that says so.
    pub fn report(&self, input: &Input, warnings: &mut Vec<String>) -> Result<Report, RunError> {
        let made = || {
            let since = Instant::now();
            let document = self.read(input)?;
            let extract_secs = since.elapsed().as_secs_f64();
            let keys = self.keys();
            self.summarize(input, &document, &keys, warnings, &mut |_| {}, |mut report| {
                report.timings.extract_secs = extract_secs;
                report.timings.total_secs = since.elapsed().as_secs_f64();
                Ok(report)
            })
        };
        catch_unwind(AssertUnwindSafe(made)).unwrap_or_else(|panic| {
            Err(RunError::Panic { name: input.name(), message: message_of(&*panic) })
        })
    }

    /// Summarizes, going on from what an earlier run kept.
    fn summarize(
        &self,
        input: &Input,
        document: &Document,
        keys: &Keys,
        warnings: &mut Vec<String>,
        observe: &mut (dyn FnMut(Event<'_>) + Send),
        finish: impl FnOnce(Report) -> Result<Report, RunError>,
    ) -> Result<Report, RunError> {
        let key = keys.of(&document.source.sha256, input.relative());
        let began = Instant::now();
        let before = match self.read_parts(input, document, &key, began, warnings, observe) {
            Ok(before) => before,
            Err(error) => {
                if !error.can_go_on() {
                    self.forget_parts(input, document);
                }
                return Err(error);
            }
        };
        let make = |journal: &mut dyn Journal| {
            if before.is_empty() {
                return resume(&self.reader, document, self.options, journal, observe);
            }
            resume(&self.reader, document, self.options, &mut Behind::new(before, journal), observe)
        };
        let with_key = |report| finish(keyed(report, document, &key));
        let result =
            self.kept(&self.journals(input, document), &key, began, warnings, make, with_key);
        if !result.as_ref().is_err_and(RunError::can_go_on) {
            self.forget_parts(input, document);
        }
        result
    }

    /// The journals of a document.
    pub(super) fn journals(&self, input: &Input, document: &Document) -> Journals<'_> {
        let journals = self.output.journals(input);
        match input {
            // What has a name only from whoever hands it over is known by what it is.
            Input::Stdin | Input::Given { .. } => journals.of_work(&document.source.sha256),
            _ => journals,
        }
    }

    /// Makes something of a document step by step, with a journal that goes once it is finished.
    ///
    /// - `key`: the same for the same steps
    /// - `began`: when the work on the document did
    pub(super) fn kept<T, U>(
        &self,
        journals: &Journals<'_>,
        key: &str,
        began: Instant,
        warnings: &mut Vec<String>,
        make: impl FnOnce(&mut dyn Journal) -> Result<T, SummaryError>,
        finish: impl FnOnce(T) -> Result<U, RunError>,
    ) -> Result<U, RunError> {
        // Streams that are fed together do their jobs with all cores.
        let _busy = self.together.is_none().then(Busy::new);
        let stop = || self.is_to_stop(began);
        let mut journal = FileJournal::new(journals.folder(key), self.checkpoint, &stop);
        let result = make(&mut journal).map_err(RunError::from).and_then(finish);
        warnings.extend(journal.failure().map(|why| format!("no checkpoints are kept: {why}")));
        drop(journal);
        // Not before the result is safe; and what would come out the same way once more is no use.
        if !result.as_ref().is_err_and(RunError::can_go_on) {
            journals.forget();
        }
        result
    }

    /// Whether work that began then is to stop.
    pub(super) fn is_to_stop(&self, began: Instant) -> Option<Stop> {
        let n_secs = self.n_most_secs.filter(|&n| began.elapsed().as_secs() >= n);
        let late = n_secs.map(|n_secs| Stop::OutOfTime { n_secs });
        if self.is_stopped() { Some(Stop::Asked) } else { late }
    }

    /// The keys of all reports.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys::new(&self.reader, self.options, self.reading, self.format)
    }

    /// Where a file cannot be written, the report goes to standard output, so that the work is not
    /// lost; it is an error all the same.
    fn write(
        &self,
        input: &Input,
        report: &Report,
        warning: &mut Option<String>,
    ) -> Result<(), WriteError> {
        let text = self
            .format
            .render(report)
            .map_err(|e| WriteError::File { path: input.relative().to_owned(), source: e })?;
        let written = self.output.write(input, text.as_bytes());
        if let Err(error @ WriteError::File { .. }) = &written {
            *warning = Some(format!("{error}; the report follows on standard output"));
            super::output::to_stdout(text.as_bytes())?;
        }
        written
    }

    fn told(&self, input: &Input, facts: &Facts) -> Outcome {
        let fate = match facts.status {
            Status::Complete => Fate::Complete,
            Status::Partial => Fate::Partial,
            Status::Failed => Fate::Failed,
        };
        let error = (fate == Fate::Failed)
            .then(|| RunError::NoSummary(facts.reason.clone().unwrap_or_default()));
        let entry = Entry {
            report: self.report_name(input),
            fate,
            sha256: Some(facts.source.sha256.clone()),
            n_pages: Some(facts.source.n_pages),
            gates_unmet: self.gates.unmet(facts),
            reason: facts.reason.clone(),
            ..blank(input)
        };
        Outcome { entry, error, warnings: Vec::new() }
    }

    fn failed(&self, input: &Input, error: RunError) -> Outcome {
        let entry = if error.is_stop() {
            Entry { fate: Fate::Stopped, ..blank(input) }
        } else {
            Entry {
                reason: Some(error.to_string()),
                hint: error.hint(),
                retry: error.is_passing(),
                ..blank(input)
            }
        };
        Outcome { entry, error: Some(error), warnings: Vec::new() }
    }

    fn report_name(&self, input: &Input) -> Option<String> {
        self.output.name_of(input).map(|path| path.display().to_string())
    }
}

/// Whether a run could go on from what was done before this error.
fn goes_on(error: &SummaryError) -> bool {
    match error {
        SummaryError::Model(error) => error.is_passing(),
        error => matches!(error, SummaryError::Stopped(_)),
    }
}

/// What a panic says.
pub(super) fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

fn blank(input: &Input) -> Entry {
    Entry {
        document: input.name(),
        report: None,
        fate: Fate::Failed,
        reason: None,
        hint: None,
        retry: false,
        sha256: None,
        n_pages: None,
        gates_unmet: Vec::new(),
        timings: EntryTimings::default(),
    }
}

/// A report under its key. One that the system had a part in has none, so that it is made again.
pub(super) fn keyed(mut report: Report, document: &Document, key: &str) -> Report {
    let is_ours = document.warnings.iter().all(|warning| warning.code != "ocr_failed");
    report.key = is_ours.then(|| key.to_owned());
    report
}

/// Starts a thread. Fewer do the work as well: where the system has no more of them, there is one less.
fn start<'scope>(scope: &'scope Scope<'scope, '_>, work: impl FnOnce() + Send + 'scope) {
    let _ = thread::Builder::new().spawn_scoped(scope, work);
}

/// Does what has to be done for a document. Whatever it does, the night goes on: a panic is its
/// outcome.
fn guarded(
    input: &Input,
    batch: &Batch<'_>,
    end: &dyn Fn(Outcome, Option<&Report>),
    work: impl FnOnce() -> Option<(Outcome, Option<Report>)>,
) {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(None) => {}
        Ok(Some((outcome, report))) => end(outcome, report.as_ref()),
        Err(panic) => {
            let error = RunError::Panic { name: input.name(), message: message_of(&*panic) };
            end(batch.failed(input, error), None);
        }
    }
}

fn receive_from(receive: &Mutex<Receiver<Read>>) -> Option<Read> {
    receive.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
