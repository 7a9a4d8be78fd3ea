//! The decoder: tokens in, logits out, one streaming cache per stream.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};

use super::attention::{self, Scoring};
#[cfg(feature = "cuda")]
use super::attention_cuda::{Heads, Kernels};
use super::linear::Linear;
use super::ops::NormLayer;
use super::spec::{Mlp, Positions, Residual, Sight, Spec};
use super::view::{Lane, Rotation, Seen, View};
#[cfg(feature = "cuda")]
use crate::cache::kv::LayerCache;
use crate::cache::kv::{KvShape, Shares};
use crate::cache::{CacheError, KvCache, Layout};

/// Why a model could not be built or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The weights lack a tensor that the model's description needs.
    #[error("the weights have no tensor for {part:?} of layer {layer}")]
    Missing {
        /// Which part.
        part: Part,
        /// In which layer (0 for parts outside the layers).
        layer: usize,
    },
    /// A tensor has another shape than the model's description needs.
    #[error("the tensor for {part:?} of layer {layer} has the shape {found:?}, not {expected:?}")]
    Shape {
        /// Which part.
        part: Part,
        /// In which layer (0 for parts outside the layers).
        layer: usize,
        /// The shape it has.
        found: Vec<usize>,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// A token that the vocabulary does not have.
    #[error("token id {id} lies outside the vocabulary of {n_vocab} tokens")]
    UnknownToken {
        /// The id.
        id: u32,
        /// Size of the vocabulary.
        n_vocab: usize,
    },
    /// Another stream of the same batch showed a fault of the program; this one is lost with it.
    #[error("it was computed in one batch with a document at which longsum failed")]
    Neighbour,
    /// What comes out is not a number.
    #[error("the model computes no numbers; its files may be damaged")]
    NoNumbers,
    /// The cache refused.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The device or a shape failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl ModelError {
    /// Whether the same may go better next time: a device failed, or a neighbour did.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Cache(CacheError::NoRoom { .. }) => false, // more than the machine has
            Self::Cache(_) | Self::Tensor(_) | Self::Neighbour => true,
            _ => false,
        }
    }
}

/// The parts of a decoder, whatever a file calls them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Token embedding `[V, C]`.
    Embedding,
    /// Norm before attention.
    AttentionNorm,
    /// Queries `[H*D, C]`.
    Query,
    /// Keys `[G*D, C]`.
    Key,
    /// Values `[G*D, C]`.
    Value,
    /// Norm of each query head.
    QueryNorm,
    /// Norm of each key head.
    KeyNorm,
    /// Attention output `[C, H*D]`.
    Output,
    /// Norm behind attention.
    AfterAttentionNorm,
    /// Norm before the MLP.
    MlpNorm,
    /// Norm behind the MLP.
    AfterMlpNorm,
    /// MLP gate `[F, C]`.
    Gate,
    /// MLP up `[F, C]`.
    Up,
    /// MLP down `[C, F]`.
    Down,
    /// Norm before the head.
    FinalNorm,
    /// Output head `[V, C]`.
    Head,
}

impl Part {
    /// The shape of this part in a decoder of this kind.
    #[must_use]
    pub fn shape(self, spec: &Spec) -> Vec<usize> {
        let (c, f, v) = (spec.n_embd, spec.n_ff, spec.n_vocab);
        let (queries, keys) = (spec.n_heads * spec.head_dim, spec.n_kv_heads * spec.head_dim);
        match self {
            Self::Embedding | Self::Head => vec![v, c],
            Self::Query => vec![queries, c],
            Self::Key | Self::Value => vec![keys, c],
            Self::Output => vec![c, queries],
            Self::Gate | Self::Up => vec![f, c],
            Self::Down => vec![c, f],
            Self::AttentionNorm
            | Self::AfterAttentionNorm
            | Self::MlpNorm
            | Self::AfterMlpNorm
            | Self::FinalNorm => vec![c],
            Self::QueryNorm | Self::KeyNorm => vec![spec.head_dim],
        }
    }

    /// How many of this part a decoder of this kind has.
    #[must_use]
    pub fn n_in(self, spec: &Spec) -> usize {
        let has = |has: bool| if has { spec.n_layers } else { 0 };
        match self {
            Self::Embedding | Self::FinalNorm => 1,
            Self::Head => usize::from(!spec.tied),
            Self::QueryNorm | Self::KeyNorm => has(spec.qk_norm),
            Self::MlpNorm => has(spec.residual != Residual::ParallelSharedNorm),
            Self::AfterAttentionNorm | Self::AfterMlpNorm => {
                has(spec.residual == Residual::Sandwich)
            }
            Self::Gate => has(matches!(spec.mlp, Mlp::Gated(_))),
            _ => spec.n_layers,
        }
    }

    /// All parts.
    pub const ALL: [Self; 16] = [
        Self::Embedding,
        Self::AttentionNorm,
        Self::Query,
        Self::Key,
        Self::Value,
        Self::QueryNorm,
        Self::KeyNorm,
        Self::Output,
        Self::AfterAttentionNorm,
        Self::MlpNorm,
        Self::AfterMlpNorm,
        Self::Gate,
        Self::Up,
        Self::Down,
        Self::FinalNorm,
        Self::Head,
    ];
}

/// Where a decoder gets its tensors from.
pub trait Weights {
    /// A matrix with its bias, if it has one. `None` if the file has no such matrix.
    ///
    /// # Errors
    /// If the tensor is damaged or the device has no room for it.
    fn matrix(&self, part: Part, layer: usize) -> Result<Option<Linear>, candle_core::Error>;

    /// Weight and bias of a norm, in f32. `None` if the file has no such norm.
    ///
    /// # Errors
    /// If the tensor is damaged or the device has no room for it.
    fn norm(
        &self,
        part: Part,
        layer: usize,
    ) -> Result<Option<(Tensor, Option<Tensor>)>, candle_core::Error>;
}

/// For which tokens of a chunk logits are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// For none: the tokens are only to be remembered.
    Nothing,
    /// For the last one.
    Last,
    /// For every one.
    All,
    /// For none; the states that logits would be made of, of every token.
    States,
}

/// One chunk of one stream, among others that are fed at once.
#[derive(Debug)]
pub struct Feed<'a> {
    /// Its tokens, at most as many as [`KvCache::fit`] allows.
    pub ids: &'a [u32],
    /// What the stream remembers.
    pub cache: &'a mut KvCache,
    /// For which of its tokens logits are wanted.
    pub want: Want,
}

/// A language model as a stream sees it: the decoder, or a scripted one in tests.
pub trait LanguageModel: Sync {
    /// What the model is made of.
    fn spec(&self) -> &Spec;

    /// Allocates the cache of one stream.
    ///
    /// # Errors
    /// If the device has no room for it.
    fn new_cache(&self, layout: Layout) -> Result<KvCache, ModelError>;

    /// Feeds one chunk, at most as long as [`KvCache::fit`] allows, and returns logits or states.
    ///
    /// - returns `[0, V]`, `[1, V]`, `[T, V]` or, after the final norm, `[T, C]` f32, as wanted
    ///
    /// # Errors
    /// [`CacheError::ChunkTooLong`] or [`ModelError::UnknownToken`], with the cache unchanged;
    /// [`ModelError::Tensor`] if the device fails, with the stream unusable.
    fn forward(&self, ids: &[u32], cache: &mut KvCache, want: Want) -> Result<Tensor, ModelError>;

    /// Feeds chunks of several streams at once, and returns for each what [`forward`] would: none
    /// depends on its neighbours, but for the last bits on a GPU, whose products may be rounded otherwise
    /// for more rows. What one of them gets wrong is its own error. Logits of several lie on the CPU.
    ///
    /// [`forward`]: LanguageModel::forward
    fn forward_many(&self, feeds: &mut [Feed<'_>]) -> Vec<Result<Tensor, ModelError>> {
        feeds.iter_mut().map(|feed| self.forward(feed.ids, feed.cache, feed.want)).collect()
    }

    /// Waits until all is computed: a GPU goes on after it was told what to do.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if the device fails.
    fn synchronize(&self) -> Result<(), ModelError> {
        Ok(())
    }
}

/// A decoder of any family, with its weights.
pub struct Decoder {
    spec: Spec,
    embedding: Linear,
    layers: Vec<Layer>,
    /// What layers look at, each once.
    views: Vec<View>,
    final_norm: NormLayer,
    head: Linear,
    dtype: DType,
    device: Device,
    /// What attends on a GPU.
    #[cfg(feature = "cuda")]
    kernels: Option<Kernels>,
}

struct Layer {
    attention_norm: NormLayer,
    query: Linear,
    key: Linear,
    value: Linear,
    query_norm: Option<NormLayer>,
    key_norm: Option<NormLayer>,
    output: Linear,
    /// Absent where attention and MLP share one norm.
    mlp_norm: Option<NormLayer>,
    /// Behind attention and behind the MLP, where there are such.
    after: Option<[NormLayer; 2]>,
    /// Which of the decoder's views it has.
    view: usize,
    gate: Option<Linear>,
    up: Linear,
    down: Linear,
}

impl Decoder {
    /// Builds the decoder that `spec` describes from `weights`.
    ///
    /// `dtype` is that of activations and cache.
    ///
    /// # Errors
    /// [`ModelError::Missing`] if the weights lack a part, [`ModelError::Shape`] if one has another
    /// shape than `spec` says; [`ModelError::Tensor`] if one is damaged.
    pub fn new(
        spec: Spec,
        weights: &dyn Weights,
        dtype: DType,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let matrix = |part, layer| {
            let linear = weights.matrix(part, layer)?.ok_or(ModelError::Missing { part, layer })?;
            let (n_rows, n_cols) = linear.shape()?;
            check_shape(&spec, part, layer, &[n_rows, n_cols])?;
            Ok::<_, ModelError>(linear)
        };
        let try_norm = |part, layer| -> Result<Option<NormLayer>, ModelError> {
            let Some((weight, bias)) = weights.norm(part, layer)? else { return Ok(None) };
            for tensor in [Some(&weight), bias.as_ref()].into_iter().flatten() {
                check_shape(&spec, part, layer, tensor.dims())?;
            }
            Ok(Some(NormLayer::new(spec.norm.kind, spec.norm.eps, weight, bias, dtype)?))
        };
        let norm = |part, layer| try_norm(part, layer)?.ok_or(ModelError::Missing { part, layer });
        let mut views = Vec::new();
        let layers = (0..spec.n_layers)
            .map(|l| {
                Ok(Layer {
                    attention_norm: norm(Part::AttentionNorm, l)?,
                    query: matrix(Part::Query, l)?,
                    key: matrix(Part::Key, l)?,
                    value: matrix(Part::Value, l)?,
                    query_norm: if spec.qk_norm { Some(norm(Part::QueryNorm, l)?) } else { None },
                    key_norm: if spec.qk_norm { Some(norm(Part::KeyNorm, l)?) } else { None },
                    output: matrix(Part::Output, l)?,
                    mlp_norm: match spec.residual {
                        Residual::ParallelSharedNorm => None,
                        Residual::Sequential | Residual::Sandwich | Residual::Parallel => {
                            Some(norm(Part::MlpNorm, l)?)
                        }
                    },
                    after: match spec.residual {
                        Residual::Sandwich => {
                            Some([norm(Part::AfterAttentionNorm, l)?, norm(Part::AfterMlpNorm, l)?])
                        }
                        _ => None,
                    },
                    view: View::find(&mut views, &spec, l),
                    gate: match spec.mlp {
                        Mlp::Gated(_) => Some(matrix(Part::Gate, l)?),
                        Mlp::Plain(_) => None,
                    },
                    up: matrix(Part::Up, l)?,
                    down: matrix(Part::Down, l)?,
                })
            })
            .collect::<Result<Vec<_>, ModelError>>()?;
        let embedding = matrix(Part::Embedding, 0)?;
        let head = if spec.tied { embedding.clone() } else { matrix(Part::Head, 0)? };
        let final_norm = norm(Part::FinalNorm, 0)?;
        #[cfg(feature = "cuda")]
        let kernels = if device.is_cuda() {
            let &Spec { n_heads, n_kv_heads, head_dim, .. } = &spec;
            let heads = Heads { n_heads, n_kv_heads, head_dim };
            Kernels::new(device, dtype, heads, scoring(&spec))?
        } else {
            None
        };
        let device = device.clone();
        Ok(Self {
            spec,
            embedding,
            layers,
            views,
            final_norm,
            head,
            dtype,
            device,
            #[cfg(feature = "cuda")]
            kernels,
        })
    }

    /// Where it computes.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// `[R, C]` to `[R, C]` through attention; keys and values go into the caches.
    fn attend(
        &self,
        l: usize,
        x: &Tensor,
        lanes: &[Lane],
        seen: &[Seen],
        feeds: &mut [Feed<'_>],
        shares: &mut [Option<Shares>],
    ) -> Result<Tensor, ModelError> {
        let (layer, spec) = (&self.layers[l], &self.spec);
        let seen = &seen[layer.view];
        let n_rows = x.dim(0)?;
        let [q, k, v] = Linear::forward_many([&layer.query, &layer.key, &layer.value], x)?;
        let mut q = q.reshape((n_rows, spec.n_heads, spec.head_dim))?; // [R, H, D]
        let mut k = k.reshape((n_rows, spec.n_kv_heads, spec.head_dim))?; // [R, G, D]
        let v = v.reshape((n_rows, spec.n_kv_heads, spec.head_dim))?; // [R, G, D]
        if let (Some(qn), Some(kn)) = (&layer.query_norm, &layer.key_norm) {
            q = qn.forward(&q)?;
            k = kn.forward(&k)?;
        }
        #[cfg(feature = "cuda")]
        if let (Some(kernels), Some(rows)) = (&self.kernels, &seen.rows) {
            let caches: Vec<&LayerCache> = feeds.iter().map(|feed| feed.cache.layer(l)).collect();
            let attended = kernels.attend(rows, [&q, &k, &v], &caches)?;
            return Ok(layer.output.forward(&attended)?);
        }
        let (q_ring, q_pinned) = match &seen.rotation {
            Some(Rotation { ring, pinned }) => {
                k = ring.rotate(&k)?;
                let q_ring = ring.rotate(&q)?;
                let q_pinned = match pinned {
                    Some(pinned) => pinned.rotate(&q)?,
                    None => q_ring.clone(),
                };
                (q_ring, q_pinned)
            }
            None => (q.contiguous()?, q.contiguous()?),
        };
        let scoring = scoring(spec);
        // What has left a layer's own window has no share there.
        let has_shares = self.views[layer.view].window.is_none();
        let mut outs = Vec::with_capacity(lanes.len()); // [T, H*D] each
        for (((lane, step), feed), shares) in lanes.iter().zip(&seen.steps).zip(feeds).zip(shares) {
            let of = |x: &Tensor| x.narrow(0, lane.rows.start, lane.rows.len());
            let by_head = |x: &Tensor| of(x)?.transpose(0, 1)?.contiguous(); // [G, T, D]
            let stored = feed.cache.store(l, &by_head(&k)?, &by_head(&v)?)?;
            let shares = shares.as_mut().filter(|_| has_shares);
            let (ring, pinned) = (of(&q_ring)?, of(&q_pinned)?);
            outs.push(attention::attend(step, &ring, &pinned, stored, scoring, shares)?);
        }
        Ok(layer.output.forward(&joined(outs)?)?)
    }

    /// `[T, C]` to `[T, C]` through the feed-forward part.
    fn mlp(&self, layer: &Layer, x: &Tensor) -> Result<Tensor, ModelError> {
        let inner = match (self.spec.mlp, &layer.gate) {
            (Mlp::Gated(act), Some(gate)) => {
                let [gate, up] = Linear::forward_many([gate, &layer.up], x)?; // [T, F]
                act.gated(&gate, &up)?
            }
            (Mlp::Gated(act) | Mlp::Plain(act), _) => act.forward(&layer.up.forward(x)?)?,
        };
        Ok(layer.down.forward(&inner)?)
    }
}

/// How scores of attention are made.
fn scoring(spec: &Spec) -> Scoring<'_> {
    let slopes = match &spec.positions {
        Positions::Alibi { slopes } => Some(&slopes[..]),
        Positions::Rope(_) => None,
    };
    Scoring { scale: spec.score_scale, slopes, cap: spec.score_cap }
}

/// The kernels trust the shapes of the weights; they are checked here, once.
fn check_shape(spec: &Spec, part: Part, layer: usize, found: &[usize]) -> Result<(), ModelError> {
    let expected = part.shape(spec);
    if found == expected {
        Ok(())
    } else {
        Err(ModelError::Shape { part, layer, found: found.to_vec(), expected })
    }
}

impl LanguageModel for Decoder {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn synchronize(&self) -> Result<(), ModelError> {
        Ok(self.device.synchronize()?)
    }

    fn new_cache(&self, layout: Layout) -> Result<KvCache, ModelError> {
        let shape = KvShape {
            native_windows: self.spec.sights.iter().map(Sight::window).collect(),
            n_kv_heads: self.spec.n_kv_heads,
            head_dim: self.spec.head_dim,
        };
        Ok(KvCache::new(layout, shape, self.dtype, &self.device)?)
    }

    fn forward(&self, ids: &[u32], cache: &mut KvCache, want: Want) -> Result<Tensor, ModelError> {
        let lane = self.lane(ids, cache)?;
        let mut outs = self.feed(&[lane], &mut [Feed { ids, cache, want }])?;
        Ok(outs.swap_remove(0))
    }

    fn forward_many(&self, feeds: &mut [Feed<'_>]) -> Vec<Result<Tensor, ModelError>> {
        let mut lanes: Vec<Result<Lane, ModelError>> =
            feeds.iter().map(|feed| self.lane(feed.ids, feed.cache)).collect();
        let (mut good, mut right) = (Vec::new(), Vec::new());
        let mut n_rows = 0;
        for (lane, feed) in lanes.iter_mut().zip(feeds) {
            if let Ok(lane) = lane {
                let n = lane.indices.len();
                let indices = std::mem::take(&mut lane.indices);
                right.push(Lane { rows: n_rows..n_rows + n, indices });
                good.push(Feed { ids: feed.ids, cache: &mut *feed.cache, want: feed.want });
                n_rows += n;
            }
        }
        let outs = if good.is_empty() { Ok(Vec::new()) } else { self.feed(&right, &mut good) };
        let (mut outs, failure) = match outs {
            Ok(outs) => (outs.into_iter(), None),
            Err(e) => (Vec::new().into_iter(), Some(e.to_string())),
        };
        // What the device refuses it refuses to all.
        let message = || failure.clone().unwrap_or_default();
        let out = |lane: Result<Lane, ModelError>| {
            lane?;
            outs.next().ok_or_else(|| candle_core::Error::Msg(message()).into())
        };
        lanes.into_iter().map(out).collect()
    }
}

impl Decoder {
    /// Checks a chunk before anything is changed for it.
    fn lane(&self, ids: &[u32], cache: &KvCache) -> Result<Lane, ModelError> {
        let n_vocab = self.spec.n_vocab;
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= n_vocab) {
            return Err(ModelError::UnknownToken { id, n_vocab });
        }
        Ok(Lane { rows: 0..ids.len(), indices: cache.plan(ids.len())? })
    }

    /// Feeds chunks that were checked. Every row goes through the matrices beside all others, R of them,
    /// and looks at the cache of its own stream.
    fn feed(&self, lanes: &[Lane], feeds: &mut [Feed<'_>]) -> Result<Vec<Tensor>, ModelError> {
        let caches = || feeds.iter().map(|feed| &*feed.cache);
        let seen: Vec<Seen> = self.views.iter().map(|view| view.see(lanes, caches())).collect();
        let mut shares: Vec<Option<Shares>> =
            feeds.iter().map(|feed| feed.cache.shares(feed.ids.len())).collect();
        #[cfg(feature = "cuda")]
        let seen = self.on_device(seen, &shares)?;
        let ids: Vec<u32> = feeds.iter().flat_map(|feed| feed.ids.iter().copied()).collect();
        let mut x = self.embedding.rows(&ids, self.dtype)?; // [R, C]
        if self.spec.embedding_scale != 1.0 {
            x = (x * self.spec.embedding_scale)?;
        }
        for (l, layer) in self.layers.iter().enumerate() {
            let h = layer.attention_norm.forward(&x)?;
            let attended = self.attend(l, &h, lanes, &seen, feeds, &mut shares)?;
            x = match (self.spec.residual, &layer.mlp_norm, &layer.after) {
                (Residual::Sandwich, Some(norm), Some([after_attention, after_mlp])) => {
                    let x = (x + after_attention.forward(&attended)?)?;
                    let fed = self.mlp(layer, &norm.forward(&x)?)?;
                    (x + after_mlp.forward(&fed)?)?
                }
                (Residual::Sequential, Some(norm), _) => {
                    let x = (x + attended)?;
                    let fed = self.mlp(layer, &norm.forward(&x)?)?;
                    (x + fed)?
                }
                (Residual::Parallel, Some(norm), _) => {
                    let fed = self.mlp(layer, &norm.forward(&x)?)?;
                    ((x + attended)? + fed)?
                }
                _ => {
                    let fed = self.mlp(layer, &h)?;
                    ((x + attended)? + fed)?
                }
            };
        }
        #[cfg(feature = "cuda")]
        self.take_shares(&seen, &mut shares)?;
        for (feed, shares) in feeds.iter_mut().zip(shares) {
            feed.cache.keep(shares);
            feed.cache.advance(feed.ids.len());
        }
        self.outs(&x, lanes, feeds)
    }

    /// What the views see, with what a GPU needs of it.
    #[cfg(feature = "cuda")]
    fn on_device(
        &self,
        seen: Vec<Seen>,
        shares: &[Option<Shares>],
    ) -> Result<Vec<Seen>, ModelError> {
        let Some(kernels) = &self.kernels else { return Ok(seen) };
        // What has left a layer's own window has no share there.
        let none: Vec<Option<Shares>> = shares.iter().map(|_| None).collect();
        let wanted = |view: &View| if view.window.is_none() { shares } else { &none };
        let seen = seen.into_iter().zip(&self.views);
        let seen = seen.map(|(seen, view)| seen.on_device(kernels, wanted(view)));
        Ok(seen.collect::<Result<_, _>>()?)
    }

    /// Takes from the GPU what the rows of all layers gave to the tokens that are watched.
    #[cfg(feature = "cuda")]
    fn take_shares(&self, seen: &[Seen], shares: &mut [Option<Shares>]) -> Result<(), ModelError> {
        for (number, seen) in seen.iter().enumerate() {
            let Some(rows) = &seen.rows else { continue };
            let n_layers = self.layers.iter().filter(|layer| layer.view == number).count();
            // Rows of the streams that are watched, one stream behind the other.
            let mut given = rows.shares()?.into_iter().flatten();
            for shares in shares.iter_mut().flatten().filter(|_| rows.is_watched()) {
                shares.sums.iter_mut().zip(&mut given).for_each(|(sum, share)| *sum += share);
                shares.n_added += n_layers * self.spec.n_heads;
            }
        }
        Ok(())
    }

    /// What is wanted of each stream, made of the last layer's `[R, C]`.
    fn outs(
        &self,
        x: &Tensor,
        lanes: &[Lane],
        feeds: &[Feed<'_>],
    ) -> Result<Vec<Tensor>, ModelError> {
        let wanted = |(lane, feed): (&Lane, &Feed<'_>)| match feed.want {
            Want::Nothing => lane.rows.end..lane.rows.end,
            Want::Last => lane.rows.end - 1..lane.rows.end,
            Want::All | Want::States => lane.rows.clone(),
        };
        let wanted: Vec<Range<usize>> = lanes.iter().zip(feeds).map(wanted).collect();
        let rows = |range: &Range<usize>| x.narrow(0, range.start, range.len());
        let has_rows = |range: &&Range<usize>| !range.is_empty();
        let nothing = || Tensor::zeros((0, self.spec.n_vocab), DType::F32, &Device::Cpu);
        if wanted.iter().all(Range::is_empty) {
            return Ok(wanted.iter().map(|_| nothing()).collect::<Result<_, _>>()?);
        }
        let x = joined(wanted.iter().filter(has_rows).map(rows).collect::<Result<_, _>>()?)?;
        let mut x = self.final_norm.forward(&x)?;
        // One product for all streams, but where somebody wants what comes before it.
        let has_states = feeds.iter().any(|feed| feed.want == Want::States);
        if !has_states {
            x = self.logits(&x)?;
            if feeds.len() > 1 {
                // Over from the device once for all, or each stream would copy what all of them got.
                x = x.to_device(&Device::Cpu)?;
            }
        }
        let mut first = 0;
        let mut next = |range: &Range<usize>| {
            first += range.len();
            x.narrow(0, first - range.len(), range.len())?.contiguous()
        };
        let out = |(range, feed): (&Range<usize>, &Feed<'_>)| match feed.want {
            Want::Nothing => Ok(nothing()?),
            Want::States => Ok(next(range)?.to_dtype(DType::F32)?),
            Want::Last | Want::All if has_states => self.logits(&next(range)?),
            Want::Last | Want::All => Ok(next(range)?),
        };
        wanted.iter().zip(feeds).map(out).collect()
    }

    /// `[T, C]` behind the final norm to `[T, V]`.
    fn logits(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        let logits = self.head.forward(x)?.to_dtype(DType::F32)?;
        match self.spec.logit_cap {
            Some(cap) => Ok(((logits / cap)?.tanh()? * cap)?),
            None => Ok(logits),
        }
    }
}

/// Rows below each other; one piece is not copied.
fn joined(mut pieces: Vec<Tensor>) -> Result<Tensor, candle_core::Error> {
    match &pieces[..] {
        [_] => pieces.swap_remove(0).contiguous(),
        _ => Tensor::cat(&pieces, 0),
    }
}
