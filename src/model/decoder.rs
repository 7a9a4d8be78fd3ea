//! The decoder: tokens in, logits out, one streaming cache per stream.

use std::num::NonZeroUsize;

use candle_core::{DType, Device, IndexOp, Tensor};

use super::attention::{self, Scoring, Step};
use super::linear::Linear;
use super::ops::NormLayer;
use super::rope::Angles;
use super::spec::{Mlp, Positions, Residual, Rope, Sight, Spec};
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
        let device = device.clone();
        Ok(Self { spec, embedding, layers, views, final_norm, head, dtype, device })
    }

    /// Where it computes.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// `[T, C]` to `[T, C]` through attention; keys and values go into the cache.
    fn attend(
        &self,
        l: usize,
        x: &Tensor,
        steps: &[(Step, Option<Rotation>)],
        cache: &mut KvCache,
        shares: Option<&mut Shares>,
    ) -> Result<Tensor, ModelError> {
        let (layer, spec) = (&self.layers[l], &self.spec);
        let (step, rotation) = &steps[layer.view];
        let t = x.dim(0)?;
        let [q, k, v] = Linear::forward_many([&layer.query, &layer.key, &layer.value], x)?;
        let mut q = q.reshape((t, spec.n_heads, spec.head_dim))?; // [T, H, D]
        let mut k = k.reshape((t, spec.n_kv_heads, spec.head_dim))?; // [T, G, D]
        let v = v.reshape((t, spec.n_kv_heads, spec.head_dim))?; // [T, G, D]
        if let (Some(qn), Some(kn)) = (&layer.query_norm, &layer.key_norm) {
            q = qn.forward(&q)?;
            k = kn.forward(&k)?;
        }
        let (q_ring, q_pinned) = match rotation {
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
        let by_head = |x: &Tensor| x.transpose(0, 1)?.contiguous(); // [G, T, D]
        let stored = cache.store(l, &by_head(&k)?, &by_head(&v)?)?;
        let slopes = match &spec.positions {
            Positions::Alibi { slopes } => Some(&slopes[..]),
            Positions::Rope(_) => None,
        };
        let scoring = Scoring { scale: spec.score_scale, slopes, cap: spec.score_cap };
        // What has left a layer's own window has no share there.
        let shares = shares.filter(|_| self.views[layer.view].window.is_none());
        let out = attention::attend(step, &q_ring, &q_pinned, stored, scoring, shares)?; // [T, H*D]
        Ok(layer.output.forward(&out)?)
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

/// The kernels trust the shapes of the weights; they are checked here, once.
fn check_shape(spec: &Spec, part: Part, layer: usize, found: &[usize]) -> Result<(), ModelError> {
    let expected = part.shape(spec);
    if found == expected {
        Ok(())
    } else {
        Err(ModelError::Shape { part, layer, found: found.to_vec(), expected })
    }
}

/// The two rotations of a chunk's queries.
struct Rotation {
    /// At the stream index: for the ring, and for the keys themselves.
    ring: Angles,
    /// At the clamped position, where any differs from the stream index.
    pinned: Option<Angles>,
}

/// What layers look at, and how they tell it apart: the same for many of them.
struct View {
    window: Option<NonZeroUsize>,
    /// A rotary embedding with the angle per step of each rotated pair.
    rope: Option<(Rope, Vec<f64>)>,
}

impl View {
    /// The view of a layer, among those that there are already, or added to them.
    fn find(views: &mut Vec<Self>, spec: &Spec, layer: usize) -> usize {
        let sight = spec.sights.get(layer).unwrap_or(&Sight::Whole);
        let rope = match (sight, &spec.positions) {
            (Sight::Native { rope, .. }, _) | (Sight::Whole, Positions::Rope(rope)) => Some(rope),
            (Sight::Unplaced, _) | (Sight::Whole, Positions::Alibi { .. }) => None,
        };
        let window = sight.window();
        let is_same =
            |view: &Self| view.window == window && view.rope.as_ref().map(|(rope, _)| rope) == rope;
        views.iter().position(is_same).unwrap_or_else(|| {
            views.push(Self { window, rope: rope.map(|rope| (rope.clone(), rope.frequencies())) });
            views.len() - 1
        })
    }

    /// What layers with this view share while tokens of these indices are fed.
    fn step(&self, cache: &KvCache, indices: &[usize]) -> (Step, Option<Rotation>) {
        let layout = *cache.layout();
        let layout = self.window.map_or(layout, |window| layout.native(window));
        let step = Step::new(cache, layout, indices.to_vec());
        let rotation = self.rope.as_ref().map(|(rope, frequencies)| {
            let pinned = &step.pinned_positions;
            let angles = |positions: &[usize]| Angles::new(rope, frequencies, positions);
            Rotation {
                ring: angles(&step.indices),
                pinned: (*pinned != step.indices).then(|| angles(pinned)),
            }
        });
        (step, rotation)
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
        let n_vocab = self.spec.n_vocab;
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= n_vocab) {
            return Err(ModelError::UnknownToken { id, n_vocab });
        }
        let indices = cache.plan(ids.len())?;
        let steps: Vec<_> = self.views.iter().map(|view| view.step(cache, &indices)).collect();
        let mut shares = cache.shares(ids.len());
        let mut x = self.embedding.rows(ids, self.dtype)?; // [T, C]
        if self.spec.embedding_scale != 1.0 {
            x = (x * self.spec.embedding_scale)?;
        }
        for (l, layer) in self.layers.iter().enumerate() {
            let h = layer.attention_norm.forward(&x)?;
            let attended = self.attend(l, &h, &steps, cache, shares.as_mut())?;
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
        cache.keep(shares);
        cache.advance(ids.len());
        let x = match want {
            Want::Nothing => return Ok(Tensor::zeros((0, n_vocab), DType::F32, &Device::Cpu)?),
            Want::Last => x.i(ids.len() - 1..)?.contiguous()?,
            Want::All => x,
            Want::States => return Ok(self.final_norm.forward(&x)?.to_dtype(DType::F32)?),
        };
        let logits = self.head.forward(&self.final_norm.forward(&x)?)?; // [1 or T, V]
        let logits = logits.to_dtype(DType::F32)?;
        match self.spec.logit_cap {
            Some(cap) => Ok(((logits / cap)?.tanh()? * cap)?),
            None => Ok(logits),
        }
    }
}
