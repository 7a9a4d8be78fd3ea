//! Bars on standard error; nothing where that is no terminal.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use longsum::batch::{Input, Outcome, Watch};
use longsum::event::Event;
use longsum::report::{Fate, Report, Status};

use super::args::Loudness;
use super::{exit, plain, say};

const TICK: Duration = Duration::from_millis(100);

/// Draws what happens.
pub struct Progress {
    quiet: bool,
    /// 1 says what is done and why, 2 each step of it.
    verbose: u8,
}

impl Progress {
    /// Bars and closing lines, or neither, or more.
    pub fn new(loudness: Loudness) -> Self {
        Self { quiet: loudness.quiet, verbose: loudness.verbose }
    }

    /// Says what is done and why, if somebody wants to know.
    pub fn explain(&self, line: impl FnOnce() -> String) {
        if self.verbose > 0 {
            say(&line());
        }
    }

    /// Says a line, unless nothing is to be said.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            say(line);
        }
    }

    /// A spinner while the model is loaded.
    pub fn while_loading<T>(&self, model: &str, load: impl FnOnce() -> T) -> T {
        let bar = self.bar(None, "{spinner} {msg}");
        bar.set_message(format!("loading {model}"));
        bar.enable_steady_tick(TICK);
        let loaded = load();
        bar.finish_and_clear();
        loaded
    }

    /// A bar for one file of a download.
    pub fn download(&self, file: &str, n_bytes: usize) -> ProgressBar {
        let template = "{msg} {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";
        let bar = self.bar(Some(n_bytes as u64), template);
        bar.set_message(file.to_owned());
        bar
    }

    /// A bar for one set of documents.
    pub fn set(&self, name: &str, n_documents: usize) -> ProgressBar {
        let bar = self.bar(Some(n_documents as u64), "{msg} {wide_bar} {pos}/{len}  {eta} left");
        bar.set_message(name.to_owned());
        bar
    }

    /// A bar for one document.
    pub fn one(&self, name: &str) -> OneBar {
        let bar = ProgressBar::no_length();
        if self.quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        OneBar(self.verbose, RefCell::new(DocumentBar::new(bar, name)))
    }

    /// Bars for documents, as many as are worked on at once, and one for all of them.
    pub fn documents(&self, inputs: &[Input]) -> Documents {
        let target =
            if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let screen = MultiProgress::with_draw_target(target);
        let all = (inputs.len() > 1).then(|| {
            let bar = screen.add(ProgressBar::new(inputs.len() as u64));
            bar.set_style(style("{pos} of {len} documents {wide_bar} {elapsed}"));
            bar.enable_steady_tick(TICK);
            bar
        });
        Documents { quiet: self.quiet, verbose: self.verbose, screen, all, bars: Mutex::default() }
    }

    fn bar(&self, len: Option<u64>, template: &str) -> ProgressBar {
        let target =
            if self.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(len, target);
        bar.set_style(style(template));
        bar
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// The bar of the only document.
pub struct OneBar(u8, RefCell<DocumentBar>);

impl OneBar {
    /// Takes in what happened.
    pub fn event(&self, event: &Event<'_>) {
        let mut bar = self.1.borrow_mut();
        bar.event(event);
        if let Some(line) = bar.explained(event, self.0) {
            bar.bar.suspend(|| say(&line));
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.1.borrow().bar.finish_and_clear();
    }
}

/// Bars of all documents.
pub struct Documents {
    quiet: bool,
    verbose: u8,
    screen: MultiProgress,
    all: Option<ProgressBar>,
    bars: Mutex<HashMap<usize, DocumentBar>>,
}

impl Documents {
    fn say(&self, line: &str) {
        self.screen.suspend(|| say(line));
    }

    fn take_away(&self, at: usize) {
        let bar = self.bars.lock().unwrap_or_else(PoisonError::into_inner).remove(&at);
        if let Some(bar) = bar {
            bar.bar.finish_and_clear();
            self.screen.remove(&bar.bar);
        }
    }
}

impl Drop for Documents {
    fn drop(&mut self) {
        if let Some(all) = &self.all {
            all.finish_and_clear();
        }
        let _ = self.screen.clear();
    }
}

impl Watch for Documents {
    fn began(&self, at: usize, input: &Input) {
        let bar = match &self.all {
            Some(all) => self.screen.insert_before(all, ProgressBar::no_length()),
            None => self.screen.add(ProgressBar::no_length()),
        };
        let bar = DocumentBar::new(bar, &input.name());
        self.bars.lock().unwrap_or_else(PoisonError::into_inner).insert(at, bar);
    }

    fn event(&self, at: usize, event: &Event<'_>) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bar) = bars.get_mut(&at) else { return };
        if let Event::Resumed { n_steps } = event
            && !self.quiet
        {
            self.say(&format!("{}: goes on after {n_steps} steps of an earlier run", bar.name));
        }
        bar.event(event);
        if let Some(line) = bar.explained(event, self.verbose) {
            self.say(&line);
        }
    }

    fn writes(&self, at: usize) {
        self.take_away(at);
    }

    fn ended(&self, at: usize, outcome: &Outcome, report: Option<&Report>) {
        self.take_away(at);
        if let Some(all) = &self.all {
            all.inc(1);
        }
        let entry = &outcome.entry;
        for warning in &outcome.warnings {
            self.say(&format!("warning: {}: {warning}", entry.document));
        }
        match (&outcome.error, report) {
            (Some(_), _) if entry.fate == Fate::Stopped => {
                if !self.quiet && self.all.is_none() {
                    self.say(&format!("{}: stopped; run it again to go on", entry.document));
                }
            }
            (Some(error), _) => {
                self.say(&exit::told_with(&error.to_string(), error.hint().as_deref()));
            }
            (None, Some(report)) if !self.quiet && report.status != Status::Failed => {
                if self.verbose > 0 {
                    self.say(&stages(&entry.document, report));
                }
                self.say(&closing(&entry.document, report));
            }
            (None, None) if !self.quiet && self.all.is_none() => {
                self.say(&format!("{}: its report is there and still stands", entry.document));
            }
            (None, _) => {}
        }
        for gate in &entry.gates_unmet {
            self.say(&format!("gate not met: {}: {gate}", entry.document));
        }
    }
}

/// How far it is with a document.
struct Tally {
    n_pages: u32,
    pages_are: &'static str,
    page: u32,
    n_chunks: usize,
    n_done: usize,
    n_tokens: usize,
    /// Chunks that an earlier run did, and since when others are done.
    n_before: usize,
    since: Instant,
    /// When all chunks will be done, as fast as they were so far.
    due: Option<Instant>,
}

/// The bar of one document: pages, tokens per second, time left.
pub struct DocumentBar {
    bar: ProgressBar,
    name: String,
    tally: Tally,
    chunk_began: Instant,
}

impl DocumentBar {
    fn new(bar: ProgressBar, name: &str) -> Self {
        bar.set_style(style("{spinner} {msg}"));
        bar.set_message(format!("{}: reading", plain(name)));
        bar.enable_steady_tick(TICK);
        Self { bar, name: plain(name), tally: Tally::new(0, "", 0), chunk_began: Instant::now() }
    }

    /// Takes in what happened.
    pub fn event(&mut self, event: &Event<'_>) {
        let tally = &mut self.tally;
        match *event {
            Event::Started { n_pages, pages_are, n_chunks, .. } => {
                *tally = Tally::new(n_pages, pages_are, n_chunks);
                self.bar.set_style(style("{msg} {wide_bar} {prefix}"));
                self.bar.set_length(n_chunks as u64);
            }
            Event::Resumed { .. } => {}
            Event::ChunkFed { last_page, n_tokens, .. } => {
                tally.page = last_page;
                tally.n_tokens += n_tokens;
            }
            Event::TokenWritten => tally.n_tokens += 1,
            Event::Rolled { seq, .. } => {
                tally.rolled(seq + 1);
                self.bar.set_position(seq as u64 + 1);
            }
            Event::Merging { level, done, n_parts } => {
                let line = format!(
                    "{}: merging notes, level {}, {} of {n_parts}",
                    self.name,
                    level + 1,
                    done + 1
                );
                self.bar.set_style(style("{spinner} {msg}"));
                self.bar.set_message(line);
                return;
            }
        }
        self.bar.set_message(format!("{}: {}", self.name, self.tally.place()));
        self.bar.set_prefix(self.tally.left());
    }

    /// The same in lines, for who wants to know: what was decided, and twice, each step.
    fn explained(&mut self, event: &Event<'_>, verbose: u8) -> Option<String> {
        let name = &self.name;
        let line = match *event {
            Event::Started { n_pages, pages_are, n_chunks, n_sink, n_window, n_at_once }
                if verbose > 0 =>
            {
                self.chunk_began = Instant::now();
                format!(
                    "{name}: {} in {}; the model sees {} pinned and the last {n_window}, and is fed {n_at_once} at once",
                    counted(n_pages as usize, pages_are),
                    counted(n_chunks, "chunks"),
                    counted(n_sink, "tokens"),
                )
            }
            Event::Rolled { seq, .. } if verbose > 1 => {
                let n_secs = self.chunk_began.elapsed().as_secs_f64();
                self.chunk_began = Instant::now();
                let place = self.tally.place();
                format!("{name}: chunk {} took {n_secs:.1} s; {place}", seq + 1)
            }
            Event::Merging { level, done, n_parts } if verbose > 1 => {
                format!("{name}: merging notes, level {}, {} of {n_parts}", level + 1, done + 1)
            }
            _ => return None,
        };
        Some(line)
    }
}

impl Tally {
    fn new(n_pages: u32, pages_are: &'static str, n_chunks: usize) -> Self {
        let (page, n_done, n_tokens, n_before) = (0, 0, 0, 0);
        let since = Instant::now();
        Self { n_pages, pages_are, page, n_chunks, n_done, n_tokens, n_before, since, due: None }
    }

    /// Takes in that so many chunks are done.
    fn rolled(&mut self, n_done: usize) {
        let took = self.since.elapsed();
        // What an earlier run did comes in no time, and says nothing of the rest.
        if self.n_done == self.n_before && took.as_secs_f64() < 1e-3 {
            (self.n_before, self.n_done, self.n_tokens) = (n_done, n_done, 0);
            self.since = Instant::now();
            return;
        }
        self.n_done = n_done;
        let n_new = u32::try_from(n_done - self.n_before).unwrap_or(u32::MAX).max(1);
        let n_left = u32::try_from(self.n_chunks.saturating_sub(n_done)).unwrap_or(u32::MAX);
        self.due = (n_left > 0).then(|| Instant::now() + took / n_new * n_left);
    }

    fn place(&self) -> String {
        let Self { n_pages, page, n_chunks, n_done, n_tokens, .. } = *self;
        #[expect(clippy::cast_precision_loss, reason = "counts of tokens")]
        let rate = n_tokens as f64 / self.since.elapsed().as_secs_f64().max(1e-3);
        // A text without pages is one page from its beginning to its end.
        match n_pages {
            0 | 1 => {
                format!("chunk {} of {n_chunks}, {rate:.0} tokens/s", (n_done + 1).min(n_chunks))
            }
            n => {
                let unit = self.pages_are.trim_end_matches('s');
                format!("{unit} {page} of {n}, {rate:.0} tokens/s")
            }
        }
    }

    fn left(&self) -> String {
        let left = self.due.map(|due| due.saturating_duration_since(Instant::now()));
        left.map_or(String::new(), |left| format!("about {} left", human(left)))
    }
}

/// About how long, for people.
pub fn human(time: Duration) -> String {
    match time.as_secs() {
        0..=119 => format!("{} s", time.as_secs().max(1)),
        secs @ 120..=7199 => format!("{} min", secs.div_ceil(60)),
        secs => format!("{:.1} h", Duration::from_secs(secs).as_secs_f64() / 3600.0),
    }
}

/// How long each stage took.
fn stages(name: &str, report: &Report) -> String {
    let timings = &report.timings;
    let others =
        timings.total_secs - timings.extract_secs - timings.prefill_secs - timings.decode_secs;
    format!(
        "{name}: {:.2} s to read the file, {:.2} s to feed the model, {:.2} s to write, {:.2} s for the rest",
        timings.extract_secs,
        timings.prefill_secs,
        timings.decode_secs,
        others.max(0.0)
    )
}

/// How it went with a document.
fn closing(name: &str, report: &Report) -> String {
    let (usage, timings) = (&report.usage, &report.timings);
    let coverage = &report.source.coverage;
    let count = |ranges: &[(u32, u32)]| ranges.iter().map(|(a, b)| b - a + 1).sum::<u32>();
    let units = report.source.pages_are;
    let mut line = format!(
        "{name}: {}, {}, {} tokens in {:.1} s",
        counted(report.source.n_pages as usize, units),
        counted(report.chunks.len(), "chunks"),
        usage.tokens_document,
        timings.total_secs,
    );
    let rates =
        [("reading", timings.prefill_tokens_per_sec), ("writing", timings.decode_tokens_per_sec)];
    let rates = rates.iter().filter(|(_, rate)| *rate > 0.0);
    let rates: Vec<String> =
        rates.map(|(what, rate)| format!("{what} {rate:.0} tokens/s")).collect();
    if !rates.is_empty() {
        line.push_str(&format!(" ({})", rates.join(", ")));
    }
    for (what, ranges) in [
        ("need OCR", &coverage.needs_ocr),
        ("failed", &coverage.failed),
        ("empty", &coverage.empty),
    ] {
        if !ranges.is_empty() {
            line.push_str(&format!("; {} {what}", count(ranges)));
        }
    }
    line
}

/// A number with its unit, which is given in the plural.
pub fn counted(n: usize, units: &str) -> String {
    if n == 1 { format!("1 {}", units.trim_end_matches('s')) } else { format!("{n} {units}") }
}
