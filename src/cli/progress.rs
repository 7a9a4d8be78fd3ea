//! Bars on standard error; nothing where that is no terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use longsum::event::Event;
use longsum::report::{Report, Status};

use super::say;

const TICK: Duration = Duration::from_millis(100);

/// Draws what happens.
pub struct Progress {
    quiet: bool,
}

impl Progress {
    /// Bars and closing lines, or neither.
    pub fn new(quiet: bool) -> Self {
        Self { quiet }
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
    pub fn document(&self, name: &str) -> DocumentBar {
        let bar = self.bar(None, "{spinner} {msg}");
        bar.set_message(format!("{name}: reading"));
        bar.enable_steady_tick(TICK);
        DocumentBar {
            bar,
            name: name.to_owned(),
            quiet: self.quiet,
            started: Instant::now(),
            tally: Tally::default(),
        }
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

/// Tokens and pages so far.
#[derive(Default)]
struct Tally {
    n_pages: u32,
    page: u32,
    n_tokens: usize,
}

/// The bar of one document: pages, tokens per second, time left.
pub struct DocumentBar {
    bar: ProgressBar,
    name: String,
    quiet: bool,
    started: Instant,
    tally: Tally,
}

impl DocumentBar {
    /// Takes in what happened.
    pub fn event(&mut self, event: &Event<'_>) {
        match *event {
            Event::Started { n_pages, n_chunks } => {
                self.tally.n_pages = n_pages;
                self.bar.set_style(style("{msg} {wide_bar} {eta} left"));
                self.bar.set_length(n_chunks as u64);
                self.bar.reset_eta();
                self.started = Instant::now();
            }
            Event::ChunkFed { last_page, n_tokens, .. } => {
                self.tally.page = last_page;
                self.tally.n_tokens += n_tokens;
            }
            Event::TokenWritten => self.tally.n_tokens += 1,
            Event::Rolled { seq, .. } => self.bar.set_position(seq as u64 + 1),
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
        let Tally { n_pages, page, n_tokens } = self.tally;
        #[expect(clippy::cast_precision_loss, reason = "counts of tokens")]
        let rate = n_tokens as f64 / self.started.elapsed().as_secs_f64().max(1e-3);
        self.bar
            .set_message(format!("{}: page {page} of {n_pages}, {rate:.0} tokens/s", self.name));
    }

    /// Takes the bar away and says how it went.
    pub fn end(self, report: &Report) {
        self.bar.finish_and_clear();
        if self.quiet || report.status == Status::Failed {
            return;
        }
        let (usage, timings) = (&report.usage, &report.timings);
        let coverage = &report.source.coverage;
        let count = |ranges: &[(u32, u32)]| ranges.iter().map(|(a, b)| b - a + 1).sum::<u32>();
        let units = report.source.pages_are;
        let mut line = format!(
            "{}: {}, {}, {} tokens in {:.1} s (reading {:.0} tokens/s, writing {:.0} tokens/s)",
            self.name,
            counted(report.source.n_pages as usize, units),
            counted(report.chunks.len(), "chunks"),
            usage.tokens_document,
            timings.total_secs,
            timings.prefill_tokens_per_sec,
            timings.decode_tokens_per_sec,
        );
        for (what, ranges) in [
            ("need OCR", &coverage.needs_ocr),
            ("failed", &coverage.failed),
            ("empty", &coverage.empty),
        ] {
            if !ranges.is_empty() {
                line.push_str(&format!("; {} {what}", count(ranges)));
            }
        }
        say(&line);
    }
}

/// A number with its unit, which is given in the plural.
fn counted(n: usize, units: &str) -> String {
    if n == 1 { format!("1 {}", units.trim_end_matches('s')) } else { format!("{n} {units}") }
}
