//! What a run has done so far, step by step, so that one that was stopped can go on.
//!
//! A step is one thing that the model was asked, and its answer. To go on, the method runs again
//! from its beginning: as long as there are steps of the earlier run, their answers are taken and no
//! model is asked; so the result is the same, byte for byte, wherever the run was stopped. What a
//! stream holds cannot be told from answers. It is kept now and then, and what came after that is
//! fed once more.
//!
//! Invariant: steps depend on the document, the model and the options alone. A journal belongs to
//! one combination of these, and who keeps it must see to that.

use std::collections::VecDeque;
use std::fmt::Write;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::SummaryError;
use crate::event::Event;
use crate::model::Scores;
use crate::report::FinishReason;
use crate::stream::{Stream, Usage};

/// One thing that the model was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What was asked, in short, with a hash of it all: a step that stands where another is expected
    /// is of another run.
    pub asked: String,
    /// What came back.
    pub answer: Answer,
    /// Tokens fed for it.
    pub n_fed: usize,
    /// Tokens generated for it.
    pub n_generated: usize,
    /// Tokens of its prompt with the longest reply it allowed.
    pub n_call: usize,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Lines it wrote.
    Lines(Lines),
    /// Scores of the sentences of a chunk, and how many tokens they have.
    Scores(Vec<SentenceScores>, usize),
}

/// Lines that a model wrote, and why it stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lines {
    /// The lines.
    pub lines: Vec<Line>,
    /// Why it stopped.
    pub finish: FinishReason,
}

/// A statement as the model wrote it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The statement.
    pub text: String,
    /// How much more it looked at each source than others did; empty where the model does not tell.
    /// Kept as bits: what is read again must be the same number.
    #[serde(with = "bits")]
    pub standing: Vec<f64>,
}

/// What the heads say of a sentence, as [`Scores`], kept as bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SentenceScores(Vec<u32>, u32, u32);

impl From<&Scores> for SentenceScores {
    fn from(scores: &Scores) -> Self {
        let words = scores.words.iter().map(|x| x.to_bits()).collect();
        Self(words, scores.last.to_bits(), scores.chunk.to_bits())
    }
}

impl From<&SentenceScores> for Scores {
    fn from(SentenceScores(words, last, chunk): &SentenceScores) -> Self {
        let words = words.iter().map(|&x| f32::from_bits(x)).collect();
        Self { words, last: f32::from_bits(*last), chunk: f32::from_bits(*chunk) }
    }
}

mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(numbers: &[f64], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(numbers.iter().map(|x| x.to_bits()))
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<f64>, D::Error> {
        let bits = Vec::<u64>::deserialize(from)?;
        Ok(bits.into_iter().map(f64::from_bits).collect())
    }
}

/// Why a run stops before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It was asked to.
    Asked,
    /// The document has had its time.
    OutOfTime {
        /// Seconds that it might take.
        n_secs: u64,
    },
}

/// Takes bytes.
pub type Put<'a> = dyn FnMut(&[u8]) + 'a;
/// Fills what it is given; false if there are not enough bytes.
pub type Take<'a> = dyn FnMut(&mut [u8]) -> bool + 'a;

/// Where the steps of a run are kept.
pub trait Journal {
    /// Steps of an earlier run, in order. Called once, before anything else.
    fn earlier(&mut self) -> Vec<Step>;

    /// Keeps a step that was done just now, behind those there are.
    fn keep(&mut self, step: &Step);

    /// Forgets all steps but the first `n`: the rest is of another run.
    fn forget_after(&mut self, n: usize);

    /// May keep what the stream holds once the first `n_chunks` chunks were fed. `export` hands it
    /// over, and says whether it could.
    fn keep_stream(&mut self, n_chunks: usize, export: &mut dyn FnMut(&mut Put<'_>) -> bool);

    /// Hands over what was kept of a stream by an earlier run, if `fits` likes the number of its
    /// chunks; returns that number if `import` took it.
    fn stream(
        &mut self,
        fits: &dyn Fn(usize) -> bool,
        import: &mut dyn FnMut(&mut Take<'_>) -> bool,
    ) -> Option<usize>;

    /// Whether the run is to stop. Asked between two steps.
    fn stop(&mut self) -> Option<Stop>;
}

/// Keeps nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJournal;

impl Journal for NoJournal {
    fn earlier(&mut self) -> Vec<Step> {
        Vec::new()
    }

    fn keep(&mut self, _: &Step) {}

    fn forget_after(&mut self, _: usize) {}

    fn keep_stream(&mut self, _: usize, _: &mut dyn FnMut(&mut Put<'_>) -> bool) {}

    fn stream(
        &mut self,
        _: &dyn Fn(usize) -> bool,
        _: &mut dyn FnMut(&mut Take<'_>) -> bool,
    ) -> Option<usize> {
        None
    }

    fn stop(&mut self) -> Option<Stop> {
        None
    }
}

/// A name for what is asked, in which all of it counts.
pub fn asked<'a>(what: &str, parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = hash.finalize();
    let short = hash.iter().take(8).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    format!("{what} {short}")
}

/// The steps of this run: first those of an earlier one, then its own.
pub struct Steps<'a> {
    journal: &'a mut dyn Journal,
    earlier: VecDeque<Step>,
    /// Steps so far.
    n: usize,
    /// What the stream had been through at the last step.
    since: Usage,
    /// Tokens fed for all steps.
    pub n_fed: usize,
    /// Tokens generated for all steps.
    pub n_generated: usize,
    /// Tokens of the longest call.
    pub longest_call: usize,
}

impl<'a> Steps<'a> {
    pub fn new(journal: &'a mut dyn Journal) -> Self {
        let earlier = journal.earlier().into();
        Self {
            journal,
            earlier,
            n: 0,
            since: Usage::default(),
            n_fed: 0,
            n_generated: 0,
            longest_call: 0,
        }
    }

    /// Tells that there was an earlier run.
    pub fn tell(&self, observe: &mut dyn FnMut(Event<'_>)) {
        if !self.earlier.is_empty() {
            observe(Event::Resumed { n_steps: self.earlier.len() });
        }
    }

    /// Whether the next step was done by an earlier run.
    pub fn is_known(&mut self, asked: &str) -> bool {
        match self.earlier.front() {
            None => false,
            Some(step) if step.asked == asked => true,
            Some(_) => {
                self.earlier.clear();
                self.journal.forget_after(self.n);
                false
            }
        }
    }

    /// The answer of the earlier run to what is asked, if it came to that.
    pub fn known(&mut self, asked: &str) -> Option<Answer> {
        if !self.is_known(asked) {
            return None;
        }
        let step = self.earlier.pop_front()?;
        self.count(&step);
        Some(step.answer)
    }

    /// Keeps an answer that the model gave just now.
    pub fn keep(&mut self, asked: String, answer: Answer, n_call: usize, stream: &Stream<'_>) {
        let usage = stream.usage();
        let n_fed = usage.n_fed - self.since.n_fed;
        let n_generated = usage.n_generated - self.since.n_generated;
        let step = Step { asked, answer, n_fed, n_generated, n_call };
        self.since = usage;
        self.count(&step);
        self.journal.keep(&step);
    }

    fn count(&mut self, step: &Step) {
        self.n += 1;
        self.n_fed += step.n_fed;
        self.n_generated += step.n_generated;
        self.longest_call = self.longest_call.max(step.n_call);
    }

    /// Brings the stream to where the earlier run had it after the first chunks, as far as that was
    /// kept: returns how many chunks these are. They must be among `chunks`.
    pub fn restore(
        &mut self,
        stream: &mut Stream<'_>,
        chunks: RangeInclusive<usize>,
    ) -> Option<usize> {
        self.journal.stream(&|n| chunks.contains(&n), &mut |take| {
            // A device that fails here fails again at the next feed, which tells it.
            stream.import(take).unwrap_or(false)
        })
    }

    /// Says that what the stream went through since the last step was done before.
    pub fn caught_up(&mut self, stream: &Stream<'_>) {
        self.since = stream.usage();
    }

    /// Says that the first `n_chunks` chunks are behind, and whether to go on.
    ///
    /// # Errors
    /// [`SummaryError::Stopped`].
    pub fn end_of_chunk(
        &mut self,
        n_chunks: usize,
        stream: Option<&Stream<'_>>,
    ) -> Result<(), SummaryError> {
        if let Some(stream) = stream {
            self.journal.keep_stream(n_chunks, &mut |put| stream.export(put).is_ok());
        }
        self.go_on()
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`SummaryError::Stopped`].
    pub fn go_on(&mut self) -> Result<(), SummaryError> {
        match self.journal.stop() {
            // What was done before costs nothing to do again.
            Some(stop) if self.earlier.is_empty() => Err(SummaryError::Stopped(stop)),
            _ => Ok(()),
        }
    }
}
