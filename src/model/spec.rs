//! What a decoder is made of, as data.

use std::num::NonZeroUsize;

/// A decoder-only language model, described.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Name of the family, as its configuration says it (`llama`, `qwen2`, …).
    pub family: String,
    /// Decoder layers.
    pub n_layers: usize,
    /// Width of the model (C).
    pub n_embd: usize,
    /// Query heads (H).
    pub n_heads: usize,
    /// Key/value heads (G); H is a multiple of it.
    pub n_kv_heads: usize,
    /// Width of a head (D).
    pub head_dim: usize,
    /// Inner width of the MLP.
    pub n_ff: usize,
    /// Size of the vocabulary (V).
    pub n_vocab: usize,
    /// Tokens the model was trained to see at once.
    pub context: usize,
    /// The norm before attention, MLP and head.
    pub norm: Norm,
    /// How a token knows where it stands.
    pub positions: Positions,
    /// How attention and MLP are joined to the residual stream.
    pub residual: Residual,
    /// The feed-forward part.
    pub mlp: Mlp,
    /// Queries and keys go through a norm of their own, per head (Qwen3).
    pub qk_norm: bool,
    /// The output head is the embedding.
    pub tied: bool,
    /// What each layer looks at, in their order.
    pub sights: Vec<Sight>,
    /// What embeddings are multiplied by (Gemma).
    pub embedding_scale: f64,
    /// What scores of attention are multiplied by.
    pub score_scale: f64,
    /// What scores of attention never exceed: `cap * tanh(score / cap)` (Gemma 2).
    pub score_cap: Option<f64>,
    /// The same, of logits.
    pub logit_cap: Option<f64>,
    /// Where the configuration asks for what cannot be streamed, or leaves something open: what was
    /// done about it, in words.
    pub remarks: Vec<String>,
}

/// What a layer looks at.
#[derive(Debug, Clone, PartialEq)]
pub enum Sight {
    /// Everything, by the positions of the model.
    Whole,
    /// Everything, without being told where it stands (SmolLM3).
    Unplaced,
    /// No more than a window of its own, by positions of its own (Gemma). It was trained so, and needs
    /// no sinks.
    Native {
        /// Tokens, the query included.
        window: NonZeroUsize,
        /// How they are told apart.
        rope: Rope,
    },
}

impl Sight {
    /// The window of the layer, where it has one of its own.
    #[must_use]
    pub fn window(&self) -> Option<NonZeroUsize> {
        match self {
            Self::Native { window, .. } => Some(*window),
            Self::Whole | Self::Unplaced => None,
        }
    }
}

/// Scores divided by the root of the head's width, as most models have them.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "head widths are small")]
pub fn usual_score_scale(head_dim: usize) -> f64 {
    1.0 / (head_dim as f64).sqrt()
}

/// A normalization and its epsilon.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// Which.
    pub kind: NormKind,
    /// Added to the variance.
    pub eps: f32,
}

/// The two normalizations in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// Root mean square, scale only.
    Rms,
    /// Mean and variance, scale and (where the weights have one) bias.
    Layer,
}

/// How attention and MLP are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residual {
    /// `x += attention(norm(x)); x += mlp(norm(x))`.
    Sequential,
    /// The same, with a norm behind each: `x += norm(attention(norm(x)))` (Gemma 2).
    Sandwich,
    /// `x += attention(norm_a(x)) + mlp(norm_b(x))`.
    Parallel,
    /// `x += attention(n) + mlp(n)` with one `n = norm(x)`.
    ParallelSharedNorm,
}

/// The feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mlp {
    /// `down(act(gate(x)) * up(x))`.
    Gated(Activation),
    /// `down(act(up(x)))`.
    Plain(Activation),
}

/// Activations of the MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// Exact GELU, with the error function.
    Gelu,
    /// GELU by its tanh approximation.
    GeluTanh,
}

/// How a token knows where it stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Positions {
    /// Rotary embedding of queries and keys.
    Rope(Rope),
    /// A bias falling linearly with the distance; one slope a head.
    Alibi {
        /// Slope of each query head, positive.
        slopes: Vec<f32>,
    },
}

/// A rotary embedding (arXiv:2104.09864).
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// How many leading elements of a head are rotated.
    pub dim: usize,
    /// Base of the angles.
    pub theta: f64,
    /// What was done to the angles for a longer context.
    pub scaling: RopeScaling,
    /// What rotated elements are multiplied by (LongRoPE).
    pub magnitude: f64,
    /// Pairs are `(2k, 2k+1)` instead of `(k, k + dim/2)`: GGUF files of the Llama family.
    pub interleaved: bool,
}

/// What was done to the angles for a longer context.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// Nothing.
    None,
    /// Every angle divided by the factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Llama 3.1: long wavelengths divided by the factor, short ones left, a ramp between.
    Llama3 {
        /// The factor.
        factor: f64,
        /// Wavelengths above `original_context / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original_context / high_freq_factor` are left.
        high_freq_factor: f64,
        /// Context before the scaling.
        original_context: f64,
    },
    /// Every frequency divided by a factor of its own, as GGUF files store it.
    Factors(Vec<f64>),
}

impl Rope {
    /// Angle per step of each rotated pair, `dim / 2` of them.
    #[must_use]
    pub fn frequencies(&self) -> Vec<f64> {
        let half = self.dim / 2;
        (0..half)
            .map(|k| {
                #[expect(clippy::cast_precision_loss, reason = "head widths are small")]
                let freq = self.theta.powf(-2.0 * k as f64 / self.dim as f64);
                match &self.scaling {
                    RopeScaling::None => freq,
                    RopeScaling::Linear { factor } => freq / factor,
                    RopeScaling::Llama3 {
                        factor,
                        low_freq_factor,
                        high_freq_factor,
                        original_context,
                    } => {
                        let wavelength = 2.0 * std::f64::consts::PI / freq;
                        let turns = original_context / wavelength;
                        let keep = ((turns - low_freq_factor)
                            / (high_freq_factor - low_freq_factor))
                            .clamp(0.0, 1.0);
                        freq * (keep + (1.0 - keep) / factor)
                    }
                    RopeScaling::Factors(factors) => freq / factors.get(k).copied().unwrap_or(1.0),
                }
            })
            .collect()
    }
}

impl Positions {
    /// ALiBi with the slopes of `n_heads` heads (arXiv:2108.12409): powers of `2^(-max_bias/n)` for
    /// the next power of two `n`, and where that is not the number of heads every second one first.
    #[must_use]
    pub fn alibi(n_heads: usize, max_bias: f32) -> Self {
        let n = n_heads.next_power_of_two();
        #[expect(clippy::cast_precision_loss, reason = "head counts are small")]
        let slope = |k: usize| (-(max_bias) * k as f32 / n as f32).exp2();
        let slopes = if n == n_heads {
            (1..=n).map(slope).collect()
        } else {
            (2..=n).step_by(2).chain((1..=n).step_by(2)).map(slope).take(n_heads).collect()
        };
        Self::Alibi { slopes }
    }
}
