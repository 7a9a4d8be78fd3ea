//! One stream: feed a chunk, ask, generate a reply, go back.

mod lookup;

use std::ops::Range;
use std::time::{Duration, Instant};

use candle_core::{Device, IndexOp, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};
use candle_transformers::utils::apply_repeat_penalty;

use crate::cache::{KvCache, Layout, Snapshot};
use crate::model::{LanguageModel, ModelError, Want};

use lookup::Lookup;

/// How the next token is chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoding {
    /// 0 takes the likeliest token; above it tokens are drawn.
    pub temperature: f64,
    /// Draw only from the likeliest tokens that together have this probability.
    pub top_p: f64,
    /// Seed of the draws.
    pub seed: u64,
    /// Above 1 makes tokens of the reply less likely to come again.
    pub repeat_penalty: f32,
    /// Most tokens that are guessed from what was read and looked at in one pass; 0 for none. It changes
    /// how long a reply takes, and no token of it on a device whose rows do not depend on each other.
    pub n_guess: usize,
}

/// Tokens guessed at once, unless said otherwise.
const N_GUESS: usize = 8;

impl Default for Decoding {
    fn default() -> Self {
        Self { temperature: 0.0, top_p: 0.95, seed: 0, repeat_penalty: 1.1, n_guess: N_GUESS }
    }
}

/// Where a reply ends, and what it must not say.
#[derive(Debug, Clone, Default)]
pub struct Limits<'a> {
    /// Most tokens of the reply.
    pub n_max: usize,
    /// Tokens that end it.
    pub stops: &'a [u32],
    /// Stream indices of the tokens whose share in the reply's attention is wanted: see
    /// [`Reply::attention`].
    pub watch: Range<usize>,
    /// What was said before: of it, as of the reply itself, no [`N_COPY`] tokens in a row are
    /// written once more.
    pub said: &'a [u32],
}

/// Below this temperature a draw would divide by nothing: the likeliest token is taken.
const N_COLDEST: f64 = 1e-7;

/// A passage of so many tokens is not written twice. Long enough for names and titles to return.
pub const N_COPY: usize = 16;

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model ended it.
    Stop,
    /// The limit of tokens was reached.
    Length,
    /// The reply went round in circles; what came again was cut off.
    Repetition,
}

/// What the model replied.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Tokens of the reply, without the one that ended it.
    pub ids: Vec<u32>,
    /// Why it ended.
    pub finish: Finish,
    /// What each token of the reply gave to each of the tokens that are watched, as the mean over all
    /// layers and heads; the last token's may lack.
    pub attention: Vec<Vec<f32>>,
}

/// Tokens that went through a stream, and the time they took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens fed: documents and prompts.
    pub n_fed: usize,
    /// Tokens generated.
    pub n_generated: usize,
    /// Time spent feeding.
    pub feeding: Duration,
    /// Time spent generating.
    pub generating: Duration,
    /// Tokens that were guessed from what was read.
    pub n_guessed: usize,
    /// Those of them that the model would have said itself.
    pub n_guessed_right: usize,
}

/// A document's tokens going by.
pub struct Stream<'a> {
    model: &'a dyn LanguageModel,
    cache: KvCache,
    snapshot: Option<Snapshot>,
    usage: Usage,
    lookup: Lookup,
}

impl<'a> Stream<'a> {
    /// Allocates a stream; it never needs more memory than it has then (and, from the first
    /// [`save`](Stream::save) on, as much again for the copy).
    ///
    /// # Errors
    /// [`ModelError::Cache`] if the memory cannot be had.
    pub fn new(model: &'a dyn LanguageModel, layout: Layout) -> Result<Self, ModelError> {
        let cache = model.new_cache(layout)?;
        let lookup = Lookup::new(layout.n_slots());
        Ok(Self { model, cache, snapshot: None, usage: Usage::default(), lookup })
    }

    /// Stream index that the next token will have.
    #[must_use]
    pub fn next_index(&self) -> usize {
        self.cache.next_index()
    }

    /// The shape of the cache.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        self.cache.layout()
    }

    /// Slots allocated, in every layer.
    #[must_use]
    pub fn n_slots(&self) -> usize {
        self.cache.n_slots()
    }

    /// Bytes of all keys and values.
    #[must_use]
    pub fn n_cache_bytes(&self) -> usize {
        self.cache.n_bytes()
    }

    /// What went through so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Forgets everything and starts with `prefix`, whose first tokens are pinned: all of them, or
    /// as many as there are pinned slots.
    ///
    /// # Errors
    /// [`ModelError`] if a token is unknown or the device fails.
    pub fn begin(&mut self, prefix: &[u32]) -> Result<(), ModelError> {
        self.start(prefix.len())?;
        self.feed(prefix)
    }

    /// Forgets everything; of the tokens that are fed next, the first are pinned: `n_tokens`, or as
    /// many as there are pinned slots.
    ///
    /// # Errors
    /// [`ModelError::Cache`] if the cache refuses.
    pub fn start(&mut self, n_tokens: usize) -> Result<(), ModelError> {
        self.lookup.clear();
        Ok(self.cache.begin(n_tokens.min(self.layout().n_sink()))?)
    }

    /// Replaces the pinned tokens by `prefix`; what the window holds stays.
    ///
    /// # Errors
    /// [`ModelError::Cache`] if the prefix is longer than the pinned slots.
    pub fn repin(&mut self, prefix: &[u32]) -> Result<(), ModelError> {
        self.cache.repin(prefix.len())?;
        self.feed(prefix)
    }

    /// Feeds tokens, in as many chunks as they need.
    ///
    /// # Errors
    /// [`ModelError`] if a token is unknown or the device fails.
    pub fn feed(&mut self, ids: &[u32]) -> Result<(), ModelError> {
        self.forward(ids, Want::Nothing).map(|_| ())
    }

    /// Feeds tokens and hands over the logits of every one, `[T, V]`, chunk by chunk.
    ///
    /// # Errors
    /// [`ModelError`] if a token is unknown or the device fails.
    pub fn score(&mut self, ids: &[u32], each: impl FnMut(Tensor)) -> Result<(), ModelError> {
        self.feed_each(ids, Want::All, each)
    }

    /// Feeds tokens and hands over the state of every one after the final norm, `[T, C]`, chunk by
    /// chunk.
    ///
    /// # Errors
    /// [`ModelError`] if a token is unknown or the device fails.
    pub fn states(&mut self, ids: &[u32], each: impl FnMut(Tensor)) -> Result<(), ModelError> {
        self.feed_each(ids, Want::States, each)
    }

    fn feed_each(
        &mut self,
        ids: &[u32],
        want: Want,
        mut each: impl FnMut(Tensor),
    ) -> Result<(), ModelError> {
        let mut rest = ids;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.cache.fit(rest.len()));
            each(self.forward(now, want)?.ok_or_else(nothing_fed)?);
            rest = later;
        }
        Ok(())
    }

    /// Feeds tokens and returns the attention that each gives to the tokens of these stream
    /// indices, as the mean over all layers and heads: `[T, of.len()]`.
    ///
    /// # Errors
    /// [`ModelError`] if a token is unknown or the device fails.
    pub fn attention(
        &mut self,
        ids: &[u32],
        of: Range<usize>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        self.cache.watch(of);
        let fed = self.forward(ids, Want::Nothing);
        let rows = self.cache.unwatch();
        fed.map(|_| rows)
    }

    /// Feeds `ask` and generates a reply.
    ///
    /// `seen` is called with every token as it comes.
    ///
    /// # Errors
    /// [`ModelError`] if a token is unknown or the device fails.
    pub fn generate(
        &mut self,
        ask: &[u32],
        limits: Limits<'_>,
        decoding: &Decoding,
        seen: &mut dyn FnMut(u32),
    ) -> Result<Reply, ModelError> {
        // Over from the device once, and not for each of the small things below.
        let here = |logits: Tensor| logits.to_device(&Device::Cpu);
        let mut logits = here(self.forward(ask, Want::Last)?.ok_or_else(nothing_fed)?)?;
        let sampling = if decoding.temperature >= N_COLDEST {
            Sampling::TopP { p: decoding.top_p, temperature: decoding.temperature }
        } else {
            Sampling::ArgMax
        };
        let mut processor = LogitsProcessor::from_sampling(decoding.seed, sampling);
        let mut ids = Vec::new();
        if !limits.watch.is_empty() {
            self.cache.watch(limits.watch.clone());
        }
        let started = Instant::now();
        // What was guessed and fed behind the last token; `n_right` of it has come true, and that row
        // of the logits tells what comes next.
        let (mut guessed, mut n_right) = (Vec::new(), 0);
        let finish = loop {
            if ids.len() >= limits.n_max {
                break Finish::Length;
            }
            let row = logits.i(n_right)?;
            if !row.max(0)?.to_scalar::<f32>()?.is_finite() {
                return Err(ModelError::NoNumbers);
            }
            let mut row = apply_repeat_penalty(&row, decoding.repeat_penalty, &ids)?;
            let copies = copies(limits.said, &ids);
            if !copies.is_empty() {
                row = without(&row, &copies)?;
            }
            let id = processor.sample(&row)?;
            if limits.stops.contains(&id) {
                break Finish::Stop;
            }
            ids.push(id);
            seen(id);
            if let Some(n_kept) = circle(&ids) {
                ids.truncate(n_kept);
                break Finish::Repetition;
            }
            self.usage.n_generated += 1;
            self.lookup.hear(&[id]);
            if guessed.get(n_right) == Some(&id) {
                n_right += 1; // it was fed already
                continue;
            }
            self.take_back(&guessed, n_right);
            guessed = self.guess(decoding.n_guess.min(limits.n_max - ids.len()));
            n_right = 0;
            let now: Vec<u32> = [id].into_iter().chain(guessed.iter().copied()).collect();
            let want = if guessed.is_empty() { Want::Last } else { Want::All };
            logits = here(self.model.forward(&now, &mut self.cache, want)?)?;
        };
        self.take_back(&guessed, n_right);
        let attention = self.cache.unwatch();
        self.usage.generating += started.elapsed();
        Ok(Reply { ids, finish, attention })
    }

    /// What may come next, as far as it can be fed and taken back.
    fn guess(&mut self, n_most: usize) -> Vec<u32> {
        if self.cache.next_index() < self.layout().n_sink() {
            return Vec::new(); // what is pinned is not guessed
        }
        let n_most = n_most.min(self.layout().n_chunk() - 1);
        self.lookup.propose(n_most).to_vec()
    }

    /// Takes back what was guessed behind the first `n_right` tokens.
    fn take_back(&mut self, guessed: &[u32], n_right: usize) {
        self.cache.retreat(guessed.len() - n_right);
        self.lookup.learn(guessed.len(), n_right);
        self.usage.n_guessed += guessed.len();
        self.usage.n_guessed_right += n_right;
    }

    /// Remembers where the stream stands; a later [`restore`](Stream::restore) comes back here.
    ///
    /// # Errors
    /// [`ModelError::Cache`] if the memory for the copy cannot be had.
    pub fn save(&mut self) -> Result<(), ModelError> {
        Ok(self.cache.save(&mut self.snapshot)?)
    }

    /// Goes back to where the stream was last saved, as if nothing had been fed since.
    ///
    /// # Errors
    /// [`ModelError`] if the stream was never saved.
    pub fn restore(&mut self) -> Result<(), ModelError> {
        let Some(snapshot) = &self.snapshot else {
            return Err(candle_core::Error::Msg("the stream was never saved".to_owned()).into());
        };
        Ok(self.cache.restore(snapshot)?)
    }

    /// Hands over all that the stream holds; see [`KvCache::export`].
    ///
    /// # Errors
    /// [`ModelError::Cache`] if the device fails.
    pub fn export(&self, put: &mut dyn FnMut(&[u8])) -> Result<(), ModelError> {
        Ok(self.cache.export(put)?)
    }

    /// Takes over what was exported from a stream of the same shape; false if it was not all there,
    /// and the stream has to be begun anew. See [`KvCache::import`].
    ///
    /// # Errors
    /// [`ModelError::Cache`] if the device fails.
    pub fn import(&mut self, take: &mut dyn FnMut(&mut [u8]) -> bool) -> Result<bool, ModelError> {
        Ok(self.cache.import(take)?)
    }

    /// Feeds `ids` in chunks; logits only of the last chunk.
    fn forward(&mut self, ids: &[u32], want: Want) -> Result<Option<Tensor>, ModelError> {
        let started = Instant::now();
        self.lookup.hear(ids);
        let mut rest = ids;
        let mut logits = None;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.cache.fit(rest.len()));
            let want = if later.is_empty() { want } else { Want::Nothing };
            logits = Some(self.model.forward(now, &mut self.cache, want)?);
            rest = later;
        }
        self.model.synchronize()?; // or what is fed would be counted as generating
        self.usage.n_fed += ids.len();
        self.usage.feeding += started.elapsed();
        Ok(logits)
    }
}

/// Tokens that would complete a passage of [`N_COPY`] tokens which was said before.
fn copies(said: &[u32], ids: &[u32]) -> Vec<u32> {
    let Some(tail) = ids.len().checked_sub(N_COPY - 1).map(|at| &ids[at..]) else {
        return Vec::new();
    };
    let completes =
        |passage: &[u32]| passage.strip_prefix(tail).and_then(|rest| rest.first().copied());
    said.windows(N_COPY).chain(ids.windows(N_COPY)).filter_map(completes).collect()
}

/// The logits with some tokens made impossible.
fn without(logits: &Tensor, ids: &[u32]) -> Result<Tensor, candle_core::Error> {
    let mut row: Vec<f32> = logits.to_vec1()?;
    for &id in ids {
        row[id as usize] = f32::NEG_INFINITY;
    }
    Tensor::new(row, logits.device())
}

fn nothing_fed() -> ModelError {
    candle_core::Error::Msg("a reply needs at least one token before it".to_owned()).into()
}

/// Shortest tail, in tokens, that counts as going round in circles.
const CIRCLE: usize = 24;

/// If the end of the reply is one passage three times or more, how many tokens stand up to the end
/// of its first time.
fn circle(ids: &[u32]) -> Option<usize> {
    (1..=ids.len() / 3).find_map(|period| {
        let same =
            ids.iter().rev().zip(ids.iter().rev().skip(period)).take_while(|(a, b)| a == b).count();
        // `same` tokens repeat those one period earlier: the passage stands `same / period + 1` times.
        let turning = same >= 2 * period && same + period >= CIRCLE;
        turning.then_some(ids.len() - same)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_said_before_is_not_completed() {
        let said: Vec<u32> = (100..140).collect();
        let ids: Vec<u32> = (110..110 + N_COPY as u32 - 1).collect();
        assert_eq!(copies(&said, &ids), [110 + N_COPY as u32 - 1]);
        assert!(copies(&said, &ids[1..]).is_empty());
        let twice: Vec<u32> = (0..20).chain(0..N_COPY as u32 - 1).collect();
        assert_eq!(copies(&[], &twice), [N_COPY as u32 - 1]);
    }

    #[test]
    fn a_reply_that_turns_in_circles_is_cut_after_the_first_round() {
        let mut ids: Vec<u32> = vec![9, 8];
        for _ in 0..3 {
            ids.extend(10..20);
        }
        assert_eq!(circle(&ids), Some(12));
        assert_eq!(circle(&ids[..31]), None);
        assert_eq!(circle(&[7; 23]), None);
        assert_eq!(circle(&[7; 24]), Some(1));
        assert_eq!(circle(&(0..300).collect::<Vec<_>>()), None);
    }
}
