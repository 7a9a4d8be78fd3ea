//! The tensors of a streaming cache: keys and values of every layer, allocated once.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::layout::{Layout, Visible};

/// Why a stream could not go on.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// More tokens at once than the ring has room for.
    #[error("{n_tokens} tokens fed at once, but the cache takes at most {n_chunk}")]
    ChunkTooLong {
        /// Tokens offered.
        n_tokens: usize,
        /// Tokens a chunk may have.
        n_chunk: usize,
    },
    /// A pinned prefix that does not fit the pinned slots.
    #[error("a pinned prefix of {n_tokens} tokens, but only {n_sink} slots are pinned")]
    PrefixTooLong {
        /// Tokens of the prefix.
        n_tokens: usize,
        /// Pinned slots.
        n_sink: usize,
    },
    /// More memory than there is.
    #[error(
        "there is no room for a cache of {n_slots} tokens a layer, {} GB: take a smaller window, fewer sinks or shorter chunks",
        n_bytes / 1_000_000_000
    )]
    NoRoom {
        /// Bytes of keys and values.
        n_bytes: usize,
        /// Slots of a layer.
        n_slots: usize,
    },
    /// The device failed: out of memory, for instance.
    #[error(transparent)]
    Device(#[from] candle_core::Error),
}

/// Keys and values of one layer, each `[G, n_slots, D]`.
#[derive(Debug)]
pub struct LayerCache {
    /// Rotated keys: ring keys at their stream index, pinned keys at their own place.
    pub keys: Tensor,
    /// Values.
    pub values: Tensor,
    /// Where each token lies in them.
    pub layout: Layout,
}

/// The shape of one layer's keys and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvShape {
    /// The window that each layer was trained to see and no more, where it was.
    pub native_windows: Vec<Option<NonZeroUsize>>,
    /// Key/value heads (G).
    pub n_kv_heads: usize,
    /// Width of a head (D).
    pub head_dim: usize,
}

/// The cache of one stream: its memory is fixed by its [`Layout`] and never grows.
#[derive(Debug)]
pub struct KvCache {
    layout: Layout,
    layers: Vec<LayerCache>,
    marks: Marks,
    watch: Option<Watch>,
    /// Shared with whoever counts the streams there are.
    #[expect(dead_code, reason = "it is held, and let go with the cache")]
    held_by: Option<Arc<()>>,
}

/// Whose share in the attention of coming tokens is wanted, and what came.
#[derive(Debug)]
struct Watch {
    of: Range<usize>,
    rows: Vec<Vec<f32>>,
}

/// What the tokens fed at once give to the tokens that are watched, summed up layer by layer.
#[derive(Debug)]
pub struct Shares {
    /// Runs of slots of the tokens that are watched, in order.
    pub runs: Vec<Range<usize>>,
    /// `[T, watched]`, over all heads and layers so far.
    pub sums: Vec<f32>,
    /// Rows that were added: heads, in all layers.
    pub n_added: usize,
}

/// Where the stream stands; with the tensors, all that a stream is.
#[derive(Debug, Clone, Copy)]
struct Marks {
    /// Pinned slots before the prefix that hold nothing.
    n_vacant: usize,
    /// Index of the oldest token ever put into the ring.
    first: usize,
    /// Index of the next token.
    next: usize,
    /// Where the ring goes on once a new prefix is pinned.
    resume: Option<usize>,
}

/// A copy of a stream, to come back to: see [`KvCache::save`].
#[derive(Debug)]
pub struct Snapshot {
    layers: Vec<LayerCache>,
    marks: Marks,
}

impl KvCache {
    /// Allocates the cache of a stream, ready for its first token.
    ///
    /// # Errors
    /// [`CacheError::NoRoom`] or [`CacheError::Device`] if the memory cannot be had.
    pub fn new(
        layout: Layout,
        shape: KvShape,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, CacheError> {
        let in_layer = |window: &Option<NonZeroUsize>| {
            window.map_or(layout, |window| layout.native(window)).n_slots()
        };
        let n_slots = shape.native_windows.iter().map(in_layer).fold(0, usize::saturating_add);
        let n_bytes = [2, shape.n_kv_heads, shape.head_dim, dtype.size_in_bytes()]
            .into_iter()
            .fold(n_slots, usize::saturating_mul);
        // Zeros that the CPU has no room for end the program.
        if device.is_cpu() && Vec::<u8>::new().try_reserve_exact(n_bytes).is_err() {
            return Err(CacheError::NoRoom { n_bytes, n_slots: layout.n_slots() });
        }
        let layers = shape
            .native_windows
            .iter()
            .map(|window| {
                let layout = window.map_or(layout, |window| layout.native(window));
                let dims = (shape.n_kv_heads, layout.n_slots(), shape.head_dim);
                Ok(LayerCache {
                    keys: Tensor::zeros(dims, dtype, device)?,
                    values: Tensor::zeros(dims, dtype, device)?,
                    layout,
                })
            })
            .collect::<Result<_, candle_core::Error>>()?;
        let mut cache = Self {
            layout,
            layers,
            marks: Marks { n_vacant: 0, first: 0, next: 0, resume: None },
            watch: None,
            held_by: None,
        };
        cache.begin_at(layout.n_sink(), 0);
        Ok(cache)
    }

    /// A cache of no layers, to stand where one was taken away.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            layout: Layout::least(),
            layers: Vec::new(),
            marks: Marks { n_vacant: 0, first: 0, next: 0, resume: None },
            watch: None,
            held_by: None,
        }
    }

    /// The same, held by this count as long as it lives.
    #[must_use]
    pub fn held_by(self, count: &Arc<()>) -> Self {
        Self { held_by: Some(Arc::clone(count)), ..self }
    }

    /// Forgets everything: the next token is the first of a stream whose first `n_pinned` tokens
    /// (at most [`Layout::n_sink`]) stay for good.
    ///
    /// # Errors
    /// [`CacheError::PrefixTooLong`] if there are not so many pinned slots; nothing is forgotten.
    pub fn begin(&mut self, n_pinned: usize) -> Result<(), CacheError> {
        self.check_prefix(n_pinned)?;
        self.begin_at(n_pinned, 0);
        Ok(())
    }

    /// As [`KvCache::begin`], with `n_pinned` cut to what fits, but the ring starts `offset` tokens
    /// later, as if that many had gone by unseen. Distances depend on differences of indices alone, so the
    /// numbers must not change; tests use it to stand at index 4,000,000 at once.
    pub fn begin_at(&mut self, n_pinned: usize, offset: usize) {
        let n_vacant = self.layout.n_sink() - n_pinned.min(self.layout.n_sink());
        let first = self.layout.n_sink() + offset;
        let next = if n_pinned == 0 { first } else { n_vacant };
        self.marks = Marks { n_vacant, first, next, resume: (n_pinned > 0).then_some(first) };
    }

    /// Replaces the pinned prefix: the next `n_pinned` tokens are pinned, then the ring goes on
    /// where it stood. What the ring holds stays.
    ///
    /// # Errors
    /// [`CacheError::PrefixTooLong`] if there are not so many pinned slots; nothing is replaced.
    pub fn repin(&mut self, n_pinned: usize) -> Result<(), CacheError> {
        self.check_prefix(n_pinned)?;
        let resume = self.marks.resume.unwrap_or(self.marks.next).max(self.layout.n_sink());
        self.marks.n_vacant = self.layout.n_sink() - n_pinned;
        if n_pinned == 0 {
            self.marks.next = resume;
            self.marks.resume = None;
        } else {
            self.marks.next = self.marks.n_vacant;
            self.marks.resume = Some(resume);
        }
        Ok(())
    }

    /// The shape of the cache, but for layers with a window of their own.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Slots allocated in a layer, which never change.
    #[must_use]
    pub fn n_slots(&self) -> usize {
        self.layout.n_slots()
    }

    /// Index that the next token will have.
    #[must_use]
    pub fn next_index(&self) -> usize {
        self.marks.next
    }

    /// Bytes of all keys and values.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        let bytes = |t: &Tensor| t.elem_count() * t.dtype().size_in_bytes();
        self.layers.iter().map(|l| bytes(&l.keys) + bytes(&l.values)).sum()
    }

    /// How many of `n_tokens` can be fed next in one go: a run never crosses the border between
    /// the pinned slots and the ring, nor the length of a chunk.
    #[must_use]
    pub fn fit(&self, n_tokens: usize) -> usize {
        let n = n_tokens.min(self.layout.n_chunk());
        if self.marks.next < self.layout.n_sink() {
            n.min(self.layout.n_sink() - self.marks.next)
        } else {
            n
        }
    }

    /// The indices that the next `n_tokens` tokens will have.
    ///
    /// # Errors
    /// [`CacheError::ChunkTooLong`] if they do not [`fit`](KvCache::fit).
    pub fn plan(&self, n_tokens: usize) -> Result<Vec<usize>, CacheError> {
        let n_chunk = self.fit(n_tokens);
        if n_tokens == 0 || n_tokens > n_chunk {
            return Err(CacheError::ChunkTooLong { n_tokens, n_chunk });
        }
        Ok((self.marks.next..self.marks.next + n_tokens).collect())
    }

    /// What the query with this index sees once its chunk is stored, in layers of this layout.
    #[must_use]
    pub fn visible(&self, layout: &Layout, index: usize) -> Visible {
        layout.visible(index, self.marks.n_vacant, self.marks.first)
    }

    /// Keys and values of a layer.
    #[must_use]
    pub fn layer(&self, layer: usize) -> &LayerCache {
        &self.layers[layer]
    }

    /// Writes keys and values of the coming tokens of one layer and returns the layer.
    ///
    /// - `keys`, `values`: `[G, T, D]`, contiguous
    ///
    /// # Errors
    /// [`CacheError::Device`] if the shapes are not those of the cache.
    pub fn store(
        &mut self,
        layer: usize,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<&LayerCache, CacheError> {
        let n_tokens = keys.dim(1)?;
        let cache = &self.layers[layer];
        let mut done = 0;
        for run in cache.layout.runs(self.marks.next..self.marks.next + n_tokens) {
            for (to, from) in [(&cache.keys, keys), (&cache.values, values)] {
                if run.len() == n_tokens {
                    to.slice_set(from, 1, run.start)?;
                } else {
                    to.slice_set(&from.narrow(1, done, run.len())?.contiguous()?, 1, run.start)?;
                }
            }
            done += run.len();
        }
        Ok(cache)
    }

    /// From now on keeps what coming tokens give to the tokens of these stream indices, which must
    /// not have left the cache.
    pub fn watch(&mut self, of: Range<usize>) {
        self.watch = Some(Watch { of, rows: Vec::new() });
    }

    /// Ends the watch: of each token fed since then, its attention to each token watched, as the
    /// mean over all layers and heads, `[T, watched]`.
    pub fn unwatch(&mut self) -> Vec<Vec<f32>> {
        self.watch.take().map_or_else(Vec::new, |watch| watch.rows)
    }

    /// Where layers add what the coming `n_tokens` tokens give, if somebody watches.
    #[must_use]
    pub fn shares(&self, n_tokens: usize) -> Option<Shares> {
        let watch = self.watch.as_ref()?;
        let runs = self.layout.runs(watch.of.clone());
        Some(Shares { runs, sums: vec![0.0; n_tokens * watch.of.len()], n_added: 0 })
    }

    /// Keeps what all layers added.
    pub fn keep(&mut self, shares: Option<Shares>) {
        let (Some(watch), Some(shares)) = (&mut self.watch, shares) else { return };
        #[expect(clippy::cast_precision_loss, reason = "a number of heads")]
        let mean = |sum: &f32| sum / shares.n_added.max(1) as f32;
        let rows = shares.sums.chunks_exact(watch.of.len().max(1));
        watch.rows.extend(rows.map(|row| row.iter().map(mean).collect()));
    }

    /// Says that all layers hold the coming `n_tokens` tokens.
    pub fn advance(&mut self, n_tokens: usize) {
        self.marks.next += n_tokens;
        if self.marks.next == self.layout.n_sink()
            && let Some(resume) = self.marks.resume.take()
        {
            self.marks.next = resume;
        }
    }

    /// Takes back the last `n_tokens` tokens of the chunk that was fed last, as if they had not been.
    ///
    /// Exact, because the ring has room for a whole chunk beside what a query sees: what they were
    /// written over had left the sight of every query behind the tokens that stay.
    ///
    /// # Panics
    /// If there are fewer tokens in the ring, or more than a chunk has.
    pub fn retreat(&mut self, n_tokens: usize) {
        let n_ring = self.marks.next.saturating_sub(self.marks.first);
        assert!(n_tokens <= n_ring.min(self.layout.n_chunk()), "{n_tokens} of {n_ring} tokens");
        self.marks.next -= n_tokens;
        if let Some(watch) = &mut self.watch {
            watch.rows.truncate(watch.rows.len().saturating_sub(n_tokens));
        }
    }

    /// Copies the stream into `snapshot`, which is made at the first call and reused after.
    ///
    /// # Errors
    /// [`CacheError::Device`] if the memory for the copy cannot be had.
    pub fn save(&self, snapshot: &mut Option<Snapshot>) -> Result<(), CacheError> {
        match snapshot {
            Some(s) => {
                copy_all(&self.layers, &s.layers)?;
                s.marks = self.marks;
            }
            None => {
                let layers = self
                    .layers
                    .iter()
                    .map(|l| {
                        let (keys, values) = (l.keys.copy()?, l.values.copy()?);
                        Ok(LayerCache { keys, values, layout: l.layout })
                    })
                    .collect::<Result<_, candle_core::Error>>()?;
                *snapshot = Some(Snapshot { layers, marks: self.marks });
            }
        }
        Ok(())
    }

    /// Goes back to where the stream was saved, as if it had never gone on.
    ///
    /// # Errors
    /// [`CacheError::Device`] if the snapshot is of a cache of another shape.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), CacheError> {
        copy_all(&snapshot.layers, &self.layers)?;
        self.marks = snapshot.marks;
        Ok(())
    }

    /// Hands over all that the stream is, piece by piece, in an order that [`KvCache::import`] knows.
    ///
    /// # Errors
    /// [`CacheError::Device`] if the tensors cannot be read.
    pub fn export(&self, put: &mut dyn FnMut(&[u8])) -> Result<(), CacheError> {
        let Marks { n_vacant, first, next, resume } = self.marks;
        for mark in [n_vacant, first, next, resume.map_or(0, |at| at + 1)] {
            put(&(mark as u64).to_le_bytes());
        }
        let mut bytes = Vec::new();
        for tensor in self.layers.iter().flat_map(|layer| [&layer.keys, &layer.values]) {
            bytes.clear();
            tensor.write_bytes(&mut bytes)?;
            put(&bytes);
        }
        Ok(())
    }

    /// Makes this the stream that was exported from a cache of the same shape. `take` fills what it
    /// is given with the next bytes, and says whether there were enough.
    ///
    /// Returns false, and leaves a stream that has to be begun anew, if there were not, or they are
    /// of no such cache.
    ///
    /// # Errors
    /// [`CacheError::Device`] if the tensors cannot be written.
    pub fn import(&mut self, take: &mut dyn FnMut(&mut [u8]) -> bool) -> Result<bool, CacheError> {
        let mut marks = [0; 4];
        for mark in &mut marks {
            let mut bytes = [0; 8];
            if !take(&mut bytes) {
                return Ok(false);
            }
            *mark = usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX);
        }
        let [n_vacant, first, next, resume] = marks;
        if n_vacant > self.layout.n_sink() || first < self.layout.n_sink() || next < n_vacant {
            return Ok(false);
        }
        let mut bytes = Vec::new();
        for tensor in self.layers.iter().flat_map(|layer| [&layer.keys, &layer.values]) {
            let dtype = tensor.dtype();
            bytes.resize(tensor.elem_count() * dtype.size_in_bytes(), 0);
            if !take(&mut bytes) {
                return Ok(false);
            }
            let read = Tensor::from_raw_buffer(&bytes, dtype, tensor.dims(), tensor.device())?;
            tensor.slice_set(&read, 0, 0)?;
        }
        self.marks = Marks { n_vacant, first, next, resume: resume.checked_sub(1) };
        Ok(true)
    }

    fn check_prefix(&self, n_tokens: usize) -> Result<(), CacheError> {
        let n_sink = self.layout.n_sink();
        if n_tokens > n_sink { Err(CacheError::PrefixTooLong { n_tokens, n_sink }) } else { Ok(()) }
    }
}

fn copy_all(from: &[LayerCache], to: &[LayerCache]) -> Result<(), candle_core::Error> {
    for (from, to) in from.iter().zip(to) {
        to.keys.slice_set(&from.keys, 0, 0)?;
        to.values.slice_set(&from.values, 0, 0)?;
    }
    Ok(())
}
