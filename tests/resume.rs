//! A run that is stopped anywhere goes on and ends with the report of one that was not.

use std::num::NonZeroUsize;

use candle_core::Device;
use longsum::batch::{self, FileJournal};
use longsum::document::{Document, read_bytes};
use longsum::load::Loaded;
use longsum::report::Report;
use longsum::summary::{
    Journal, NoJournal, Options, Put, Step, Stop, SummaryError, Take, map, parts, resume,
};

use crate::tiny;

/// A journal in memory that keeps the stream after some chunks, and stops a run after some steps.
#[derive(Default, Clone)]
struct Memory {
    steps: Vec<Step>,
    stream: Option<(usize, Vec<u8>)>,
    /// The stream is kept after every chunk whose number this divides.
    every: Option<usize>,
    /// Steps until it stops.
    left: Option<usize>,
    n_new: usize,
}

impl Journal for Memory {
    fn earlier(&mut self) -> Vec<Step> {
        self.n_new = 0;
        self.steps.clone()
    }

    fn keep(&mut self, step: &Step) {
        self.n_new += 1;
        self.steps.push(step.clone());
    }

    fn forget_after(&mut self, n: usize) {
        self.steps.truncate(n);
    }

    fn keep_stream(&mut self, n_chunks: usize, export: &mut dyn FnMut(&mut Put<'_>) -> bool) {
        if self.every.is_some_and(|every| n_chunks.is_multiple_of(every)) {
            let mut bytes = Vec::new();
            assert!(export(&mut |part| bytes.extend_from_slice(part)));
            self.stream = Some((n_chunks, bytes));
        }
    }

    fn stream(
        &mut self,
        fits: &dyn Fn(usize) -> bool,
        import: &mut dyn FnMut(&mut Take<'_>) -> bool,
    ) -> Option<usize> {
        let (n_chunks, bytes) = self.stream.as_ref().filter(|(n, _)| fits(*n))?;
        let mut rest = bytes.as_slice();
        let taken = import(&mut |to| {
            let Some((now, later)) = rest.split_at_checked(to.len()) else { return false };
            to.copy_from_slice(now);
            rest = later;
            true
        });
        taken.then_some(*n_chunks)
    }

    fn stop(&mut self) -> Option<Stop> {
        (self.left? <= self.n_new).then_some(Stop::Asked)
    }
}

fn tiny_model() -> Loaded {
    let dir = tempfile::tempdir().unwrap();
    tiny::write(dir.path());
    Loaded::open(dir.path(), &Device::Cpu).unwrap()
}

fn text(n: usize) -> Document {
    let sentence = |k: usize| {
        let end = if k.is_multiple_of(7) { "\n\n" } else { " " };
        format!(
            "In {} the harbour of town {} counted {} ships.{end}",
            1800 + k,
            k % 9,
            1000 + 7 * k
        )
    };
    let text: String = (0..n).map(sentence).collect();
    read_bytes("ships.txt", text.into_bytes(), Some("txt")).unwrap()
}

fn options() -> Options {
    // A byte is a token of the tiny model.
    Options {
        n_sink: Some(1000),
        n_window: Some(2200),
        n_chunk: Some(300),
        n_words: 60,
        ..Options::default()
    }
}

/// A report but for its times.
fn json(mut report: Report) -> String {
    report.timings = longsum::report::Timings::default();
    serde_json::to_string(&report).unwrap()
}

fn summary(
    loaded: &Loaded,
    document: &Document,
    options: &Options,
    journal: &mut dyn Journal,
) -> Result<String, SummaryError> {
    let about = batch::about(loaded, "model", None);
    let reader = batch::reader(loaded, &about);
    resume(&reader, document, options, journal, &mut |_| {}).map(json)
}

/// Stops the run again and again, after `n` more steps each time, until it ends.
fn in_pieces(
    loaded: &Loaded,
    document: &Document,
    options: &Options,
    n: usize,
    every: Option<usize>,
) -> (String, usize) {
    let mut journal = Memory { every, left: Some(n), ..Memory::default() };
    for n_stops in 0.. {
        match summary(loaded, document, options, &mut journal) {
            Ok(report) => return (report, n_stops),
            Err(SummaryError::Stopped(Stop::Asked)) => {}
            Err(e) => panic!("{e}"),
        }
        // A killed process may have torn its last step.
        if n_stops % 3 == 2 {
            journal.steps.pop();
            journal.left = Some(n + 1);
        }
    }
    unreachable!()
}

#[test]
fn a_writing_model_goes_on_wherever_it_was_stopped() {
    let (loaded, document) = (tiny_model(), text(60));
    let whole = summary(&loaded, &document, &options(), &mut NoJournal).unwrap();
    for (n, every) in [(1, None), (1, Some(1)), (2, Some(3)), (5, Some(2)), (3, None)] {
        let (report, n_stops) = in_pieces(&loaded, &document, &options(), n, every);
        assert!(n_stops > 3, "{n_stops}");
        assert_eq!(report, whole, "after {n} steps each, stream kept every {every:?}");
    }
}

#[test]
fn the_built_in_model_goes_on_wherever_it_was_stopped() {
    let (loaded, document) = (Loaded::builtin(&Device::Cpu).unwrap(), text(700));
    let options = Options { n_words: 60, ..Options::default() };
    let whole = summary(&loaded, &document, &options, &mut NoJournal).unwrap();
    for (n, every) in [(1, Some(1)), (2, None), (1, Some(3))] {
        let (report, n_stops) = in_pieces(&loaded, &document, &options, n, every);
        assert!(n_stops > 2, "{n_stops}");
        assert_eq!(report, whole, "after {n} steps each, stream kept every {every:?}");
    }
}

#[test]
fn steps_of_another_run_are_not_taken() {
    let (loaded, document) = (tiny_model(), text(40));
    let whole = summary(&loaded, &document, &options(), &mut NoJournal).unwrap();
    let mut journal = Memory::default();
    summary(&loaded, &document, &options(), &mut journal).unwrap();
    journal.steps.remove(2);
    let n_before = journal.steps.len();
    assert_eq!(summary(&loaded, &document, &options(), &mut journal).unwrap(), whole);
    assert_eq!(journal.steps.len(), n_before + 1);
}

#[test]
fn a_journal_on_disk_outlives_a_torn_end_and_a_damaged_stream() {
    let (loaded, document) = (tiny_model(), text(40));
    let whole = summary(&loaded, &document, &options(), &mut NoJournal).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let now = std::time::Duration::ZERO;
    let stopped = |n: usize| {
        let n_asked = std::sync::atomic::AtomicUsize::new(0);
        let stop = move || {
            let asked = n_asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            (asked > n).then_some(Stop::Asked)
        };
        let mut journal = FileJournal::new(Some(path.clone()), now, &stop);
        let result = summary(&loaded, &document, &options(), &mut journal);
        assert_eq!(journal.failure(), None);
        result.unwrap_err()
    };
    stopped(4);
    let steps = path.join("steps.jsonl");
    let text = std::fs::read(&steps).unwrap();
    std::fs::write(&steps, &text[..text.len() - 20]).unwrap();
    stopped(4);
    let stream = path.join("stream.bin");
    let mut bytes = std::fs::read(&stream).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&stream, bytes).unwrap();
    let mut journal = FileJournal::new(Some(path.clone()), now, &|| None);
    assert_eq!(summary(&loaded, &document, &options(), &mut journal).unwrap(), whole);
    assert_eq!(journal.failure(), None);
}

#[test]
fn parts_read_apart_make_the_report_of_one_that_read_them_all() {
    let document = text(200);
    let builtin = Loaded::builtin(&Device::Cpu).unwrap();
    for (loaded, n_parts) in [(&tiny_model(), 4), (&builtin, 3)] {
        let base = if loaded.extractor.is_some() {
            Options { n_words: 60, ..Options::default() }
        } else {
            options()
        };
        let options = Options { n_parts: NonZeroUsize::new(n_parts).unwrap(), ..base };
        let whole = summary(loaded, &document, &options, &mut NoJournal).unwrap();
        let about = batch::about(loaded, "model", None);
        let reader = batch::reader(loaded, &about);
        let planned = parts(&reader, &document, &options).unwrap();
        let mut joined = Memory::default();
        for part in 0..planned.len() {
            let mut journal = Memory::default();
            map(&reader, &document, &options, part, &mut journal, &mut |_| {}).unwrap();
            joined.steps.extend(journal.steps);
        }
        let n_read = joined.steps.len();
        assert_eq!(summary(loaded, &document, &options, &mut joined).unwrap(), whole);
        assert!(loaded.extractor.is_none() || joined.steps.len() == n_read);
    }
}
