//! One long document over many machines, or many streams of one: each reads a part, one makes the
//! report.
//!
//! What is found in a part are steps, as a journal has them; from a machine they come as a file. Joined
//! in order they are the journal of a run that read all parts, so the report is that of one stream.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::input::{Input, is_passing};
use super::journal::FileJournal;
use super::output::{Store, WriteError};
use super::place::Journals;
use super::run::{Batch, RunError, keyed, message_of};
use crate::document::Document;
use crate::event::Event;
use crate::report::Report;
use crate::summary::{Journal, Put, Step, Stop, Take, map, parts, resume};

/// Name of the format.
const SCHEMA: &str = "longsum.notes.v1";

/// One part of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartOf {
    /// Key of the report on the whole document.
    pub key: String,
    /// From 1.
    pub part: usize,
    /// How many there are.
    pub n_parts: usize,
}

/// Why parts cannot be joined.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// Some are not there.
    #[error("`{}` lacks {}", dir.display(), list(parts))]
    Missing {
        /// The folder, or the URI of a prefix.
        dir: PathBuf,
        /// Their numbers.
        parts: Vec<usize>,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is damaged, or of another plan.
    #[error("`{}` is not part {part} of this plan", path.display())]
    Another {
        /// The file.
        path: PathBuf,
        /// The part that was looked for.
        part: usize,
    },
}

fn list(parts: &[usize]) -> String {
    let numbers: Vec<String> = parts.iter().take(10).map(ToString::to_string).collect();
    let more = if parts.len() > 10 { ", …" } else { "" };
    let word = if parts.len() == 1 { "part" } else { "parts" };
    format!("{word} {}{more}", numbers.join(", "))
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    schema: String,
    key: String,
    part: usize,
    n_parts: usize,
    n_steps: usize,
}

impl PartsError {
    /// Whether it may go better next time.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_passing(source))
    }
}

impl PartOf {
    /// The name of the part's file.
    #[must_use]
    pub fn name(&self) -> PathBuf {
        let n_digits = self.n_parts.to_string().len();
        format!("part-{:0n_digits$}-of-{}.jsonl", self.part, self.n_parts).into()
    }

    /// The steps that were found in the part.
    ///
    /// # Errors
    /// [`PartsError`] if they are not there, or of another plan.
    pub fn read(&self, store: &Store) -> Result<Vec<Step>, PartsError> {
        let path = store.path_of(&self.name());
        let text = match store.read(&self.name()) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(PartsError::Missing { dir: store.path(), parts: vec![self.part] });
            }
            Err(source) => return Err(PartsError::Io { path, source }),
        };
        let another = || PartsError::Another { path: path.clone(), part: self.part };
        let mut lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let header: Option<Header> = lines.next().and_then(|l| serde_json::from_slice(l).ok());
        let header = header.filter(|h| h.schema == SCHEMA && h.key == self.key);
        let header = header.filter(|h| h.part == self.part && h.n_parts == self.n_parts);
        let n_steps = header.ok_or_else(another)?.n_steps;
        let steps: Vec<Step> =
            lines.map(serde_json::from_slice).collect::<Result<_, _>>().map_err(|_| another())?;
        if steps.len() == n_steps { Ok(steps) } else { Err(another()) }
    }

    fn render(&self, steps: &[Step]) -> Result<Vec<u8>, serde_json::Error> {
        let header = Header {
            schema: SCHEMA.to_owned(),
            key: self.key.clone(),
            part: self.part,
            n_parts: self.n_parts,
            n_steps: steps.len(),
        };
        let mut text = serde_json::to_vec(&header)?;
        text.push(b'\n');
        for step in steps {
            serde_json::to_writer(&mut text, step)?;
            text.push(b'\n');
        }
        Ok(text)
    }
}

/// The steps of all parts, in order.
///
/// # Errors
/// [`PartsError`]; all parts that are missing are named at once.
pub fn read_parts(store: &Store, key: &str, n_parts: usize) -> Result<Vec<Step>, PartsError> {
    let (mut steps, mut missing) = (Vec::new(), Vec::new());
    for part in 1..=n_parts {
        match (PartOf { key: key.to_owned(), part, n_parts }).read(store) {
            Ok(of_part) => steps.extend(of_part),
            Err(PartsError::Missing { .. }) => missing.push(part),
            Err(e) => return Err(e),
        }
    }
    if missing.is_empty() {
        Ok(steps)
    } else {
        Err(PartsError::Missing { dir: store.path(), parts: missing })
    }
}

impl Batch<'_> {
    /// Reads a part of a document and writes what was found into its file.
    ///
    /// # Errors
    /// [`RunError`] if it cannot be read to its end or written.
    pub fn map(
        &self,
        (input, document): (&Input, &Document),
        part: &PartOf,
        warnings: &mut Vec<String>,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), RunError> {
        // Several parts may be read at once into one folder: their journals are not each other's.
        let journals = self.output.journals(input).of_work(&work(part.part, part.n_parts));
        let make = |journal: &mut dyn Journal| {
            let mut all = Behind::new(Vec::new(), journal);
            map(&self.reader, document, self.options, part.part - 1, &mut all, observe)?;
            Ok(all.steps)
        };
        self.kept(&journals, &part.key, Instant::now(), warnings, make, |steps| {
            let failed = |source| WriteError::File { path: part.name(), source };
            let text = part.render(&steps).map_err(|e| failed(e.into()))?;
            Ok(self.output.write_to(&part.name(), &text)?)
        })
    }

    /// The report on a document whose parts were read.
    ///
    /// # Errors
    /// [`RunError`] if it cannot be finished or written.
    pub fn merge(
        &self,
        (input, document): (&Input, &Document),
        steps: Vec<Step>,
        warnings: &mut Vec<String>,
        observe: &mut dyn FnMut(Event<'_>),
        finish: impl FnOnce(Report) -> Result<Report, RunError>,
    ) -> Result<Report, RunError> {
        let key = self.keys().of(&document.source.sha256, input.relative());
        let journals = self.output.journals(input).of_work("merge");
        let make = |journal: &mut dyn Journal| {
            resume(&self.reader, document, self.options, &mut Behind::new(steps, journal), observe)
        };
        self.kept(&journals, &key, Instant::now(), warnings, make, |report| {
            finish(keyed(report, document, &key))
        })
    }
}

/// The work on a part, apart from other work on the document.
fn work(part: usize, n_parts: usize) -> String {
    format!("part {part} of {n_parts}")
}

impl Batch<'_> {
    /// Reads the parts of a document side by side, where streams go through the model together, and
    /// returns what was found in them, in order.
    ///
    /// # Errors
    /// That of the first part which cannot be read to its end.
    pub(super) fn read_parts(
        &self,
        input: &Input,
        document: &Document,
        key: &str,
        began: Instant,
        warnings: &mut Vec<String>,
        observe: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> Result<Vec<Step>, RunError> {
        let Some(n_streams) = self.together.filter(|_| self.options.n_parts.get() > 1) else {
            return Ok(Vec::new());
        };
        let n_parts = parts(&self.reader, document, self.options)?.len();
        let observe = Mutex::new(observe);
        let has_failed = AtomicBool::new(false);
        let read = |part: usize| {
            let stop = || {
                let in_vain = has_failed.load(Ordering::Relaxed).then_some(Stop::Asked);
                in_vain.or_else(|| self.is_to_stop(began))
            };
            let folder = self.part_journals(input, document, part).folder(key);
            let mut journal = FileJournal::new(folder, self.checkpoint, &stop);
            let mut all = Behind::new(Vec::new(), &mut journal);
            // Each of them begins the document; together they do so once.
            let mut tell = |event: Event<'_>| match event {
                Event::Started { .. } if part > 0 => {}
                event => observe.lock().unwrap_or_else(PoisonError::into_inner)(event),
            };
            map(&self.reader, document, self.options, part, &mut all, &mut tell)?;
            let steps = all.steps;
            Ok((steps, journal.failure().map(str::to_owned)))
        };
        let results: Vec<Mutex<Option<Result<_, RunError>>>> =
            (0..n_parts).map(|_| Mutex::default()).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            loop {
                let part = next.fetch_add(1, Ordering::Relaxed);
                let Some(result) = results.get(part) else { break };
                let read = catch_unwind(AssertUnwindSafe(|| read(part))).unwrap_or_else(|panic| {
                    Err(RunError::Panic { name: input.name(), message: message_of(&*panic) })
                });
                has_failed.fetch_or(read.is_err(), Ordering::Relaxed);
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
            }
        };
        let n_workers = (n_streams.get() / self.n_jobs.get()).clamp(1, n_parts);
        thread::scope(|scope| {
            for _ in 1..n_workers {
                // Where the system has no more threads, fewer do the same.
                let _ = thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        let mut read: Vec<_> = results
            .into_iter()
            .filter_map(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner))
            .collect();
        // A fault comes before what stopped because of it.
        let is_fault = |read: &Result<_, RunError>| read.as_ref().is_err_and(|e| !e.is_stop());
        if let Some(fault) = read.iter().position(is_fault) {
            read.swap(0, fault);
        }
        let mut steps = Vec::new();
        for part in read {
            let (of_part, failure) = part?;
            steps.extend(of_part);
            warnings.extend(failure.map(|why| format!("no checkpoints are kept: {why}")));
        }
        Ok(steps)
    }

    /// Throws away what was kept of parts that were read side by side.
    pub(super) fn forget_parts(&self, input: &Input, document: &Document) {
        if self.options.n_parts.get() > 1 {
            // A document may have fewer than were asked for.
            let n_parts =
                parts(&self.reader, document, self.options).map_or(0, |parts| parts.len());
            (0..n_parts).for_each(|part| self.part_journals(input, document, part).forget());
        }
    }

    fn part_journals(&self, input: &Input, document: &Document, part: usize) -> Journals<'_> {
        self.journals(input, document).of_work(&work(part + 1, self.options.n_parts.get()))
    }
}

/// A journal that stands behind the steps of others, and knows all of its own.
pub(super) struct Behind<'a> {
    before: Vec<Step>,
    steps: Vec<Step>,
    journal: &'a mut dyn Journal,
}

impl<'a> Behind<'a> {
    /// The journal behind these steps.
    pub(super) fn new(before: Vec<Step>, journal: &'a mut dyn Journal) -> Self {
        Self { before, steps: Vec::new(), journal }
    }
}

impl Journal for Behind<'_> {
    fn earlier(&mut self) -> Vec<Step> {
        self.steps = self.journal.earlier();
        self.before.iter().chain(&self.steps).cloned().collect()
    }

    fn keep(&mut self, step: &Step) {
        self.journal.keep(step);
        self.steps.push(step.clone());
    }

    fn forget_after(&mut self, n: usize) {
        let n_own = n.saturating_sub(self.before.len());
        self.before.truncate(n);
        self.steps.truncate(n_own);
        self.journal.forget_after(n_own);
    }

    fn keep_stream(&mut self, n_chunks: usize, export: &mut dyn FnMut(&mut Put<'_>) -> bool) {
        self.journal.keep_stream(n_chunks, export);
    }

    fn stream(
        &mut self,
        fits: &dyn Fn(usize) -> bool,
        import: &mut dyn FnMut(&mut Take<'_>) -> bool,
    ) -> Option<usize> {
        self.journal.stream(fits, import)
    }

    fn stop(&mut self) -> Option<Stop> {
        self.journal.stop()
    }
}
