//! Streams of several threads, fed to one model as one batch.
//!
//! A thread that wants something fed hands over its cache and waits. One of those that wait takes what
//! all of them have handed over and feeds it at once, while the others go on handing over: so a long
//! chunk of one stream, single tokens of others and the first chunk of a document that has just begun
//! go through the matrices together, each beside its own cache. Weights are read once for all.
//!
//! Invariant: what a stream gets does not depend on its neighbours, as far as
//! [`LanguageModel::forward_many`] promises, so it does not matter who is fed with whom.
//!
//! Source: Yu et al., "Orca: A Distributed Serving System for Transformer-Based Generative Models", OSDI
//! 2022, for batches that change with every step and attention apart from the rest.

use std::collections::HashMap;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use candle_core::Tensor;

use super::decoder::{Feed, LanguageModel, ModelError, Want};
use super::spec::Spec;
use crate::cache::{KvCache, Layout};

/// Whoever feeds waits for the others, one part of so many of the time that the last batch took.
const WAIT_PART: u32 = 4;
/// And never longer than this.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// A model that feeds the streams of several threads at once.
pub struct Together<'a> {
    model: &'a dyn LanguageModel,
    /// Most rows of a batch.
    n_rows: usize,
    state: Mutex<State>,
    changed: Condvar,
    /// Held by every cache that was made here: so many streams there are, and one more.
    streams: Arc<()>,
}

#[derive(Default)]
struct State {
    next: u64,
    waiting: Vec<Request>,
    done: HashMap<u64, Done>,
    is_feeding: bool,
    /// What the last batch took.
    took: Duration,
}

struct Request {
    number: u64,
    ids: Vec<u32>,
    cache: KvCache,
    want: Want,
}

struct Done {
    cache: KvCache,
    out: Result<Tensor, ModelError>,
}

impl<'a> Together<'a> {
    /// Feeds at most `n_rows` tokens at once, but at least what one stream wants fed.
    #[must_use]
    pub fn new(model: &'a dyn LanguageModel, n_rows: usize) -> Self {
        Self {
            model,
            n_rows,
            state: Mutex::default(),
            changed: Condvar::new(),
            streams: Arc::new(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits a little for streams that have nothing to feed yet; then takes what is there.
    fn gather<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
    ) -> (MutexGuard<'s, State>, Vec<Request>) {
        let until = Instant::now() + (state.took / WAIT_PART).min(LONGEST_WAIT);
        while state.waiting.len() + 1 < Arc::strong_count(&self.streams) {
            let Some(left) = until.checked_duration_since(Instant::now()) else { break };
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut n_rows = 0;
        let fits = |request: &Request| {
            n_rows += request.ids.len();
            n_rows == request.ids.len() || n_rows <= self.n_rows
        };
        let n = state.waiting.iter().map(fits).take_while(|&fits| fits).count();
        let batch = state.waiting.drain(..n).collect();
        (state, batch)
    }

    fn feed(&self, batch: &mut [Request]) -> Vec<Result<Tensor, ModelError>> {
        let mut feeds: Vec<Feed<'_>> = batch.iter_mut().map(Request::feed).collect();
        let outs = self.model.forward_many(&mut feeds);
        // So that the time it took is that of the device. Should that fail, the next use shows it.
        let _ = self.model.synchronize();
        outs
    }
}

impl Request {
    fn feed(&mut self) -> Feed<'_> {
        Feed { ids: &self.ids, cache: &mut self.cache, want: self.want }
    }
}

impl LanguageModel for Together<'_> {
    fn spec(&self) -> &Spec {
        self.model.spec()
    }

    fn new_cache(&self, layout: Layout) -> Result<KvCache, ModelError> {
        Ok(self.model.new_cache(layout)?.held_by(&self.streams))
    }

    fn synchronize(&self) -> Result<(), ModelError> {
        self.model.synchronize()
    }

    fn forward(&self, ids: &[u32], cache: &mut KvCache, want: Want) -> Result<Tensor, ModelError> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        let taken = mem::replace(cache, KvCache::nothing());
        state.waiting.push(Request { number, ids: ids.to_vec(), cache: taken, want });
        self.changed.notify_all();
        loop {
            if let Some(done) = state.done.remove(&number) {
                *cache = done.cache;
                return done.out;
            }
            if state.is_feeding {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.is_feeding = true;
            let (held, mut batch) = self.gather(state);
            drop(held);
            let started = Instant::now();
            let outs = catch_unwind(AssertUnwindSafe(|| self.feed(&mut batch)));
            state = self.state();
            state.is_feeding = false;
            state.took = started.elapsed();
            let (outs, panic) = match outs {
                Ok(outs) => (outs, None),
                Err(panic) => (Vec::new(), Some(panic)),
            };
            let lost = || Err(ModelError::Neighbour);
            let mut outs = outs.into_iter();
            for Request { number, cache, .. } in batch {
                let out = outs.next().unwrap_or_else(lost);
                state.done.insert(number, Done { cache, out });
            }
            self.changed.notify_all();
            if let Some(panic) = panic {
                // It may not have been in the batch: others go on without it.
                state.done.remove(&number);
                state.waiting.retain(|request| request.number != number);
                drop(state);
                resume_unwind(panic);
            }
        }
    }
}
