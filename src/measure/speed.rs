//! How long a token takes: with a stream that goes on, and with all of its window computed anew.

use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};

use super::Attention;
use crate::cache::Layout;
use crate::model::{LanguageModel, Linear, ModelError, Part, Spec, Weights};
use crate::stream::Stream;

/// Weights that nobody trained: they compute nonsense, as fast as any others.
pub struct RandomWeights {
    /// The decoder.
    pub spec: Spec,
    /// Whether matrices are quantized to eight bits.
    pub eight_bits: bool,
    /// Number type of matrices, where they are not.
    pub dtype: DType,
}

impl RandomWeights {
    /// Numbers that differ from each other and keep activations small: speed asks for no more.
    fn numbers(&self, part: Part, layer: usize) -> Result<Tensor, candle_core::Error> {
        let shape = part.shape(&self.spec);
        let n: usize = shape.iter().product();
        let mut state = (layer as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ part as u64;
        let numbers: Vec<f32> = (0..n)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Uniform in -0.03..0.03, about the spread of trained weights.
                #[expect(clippy::cast_precision_loss, reason = "24 bits")]
                let unit = (state >> 40) as f32 / (1u64 << 24) as f32;
                (unit - 0.5) * 0.06
            })
            .collect();
        Tensor::from_vec(numbers, shape, &Device::Cpu)
    }
}

impl Weights for RandomWeights {
    fn matrix(&self, part: Part, layer: usize) -> Result<Option<Linear>, candle_core::Error> {
        if layer >= part.n_in(&self.spec).max(1) || part.n_in(&self.spec) == 0 {
            return Ok(None);
        }
        let weight = self.numbers(part, layer)?;
        if self.eight_bits {
            return Linear::eight_bits(&weight).map(Some);
        }
        Linear::plain(&weight.to_dtype(self.dtype)?, DType::F32).map(Some)
    }

    fn norm(
        &self,
        part: Part,
        layer: usize,
    ) -> Result<Option<(Tensor, Option<Tensor>)>, candle_core::Error> {
        if layer >= part.n_in(&self.spec).max(1) || part.n_in(&self.spec) == 0 {
            return Ok(None);
        }
        let ones = Tensor::ones(part.shape(&self.spec), DType::F32, &Device::Cpu)?;
        Ok(Some((ones, None)))
    }
}

/// What a token takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Time {
    /// Median time of one token.
    pub token: Duration,
    /// Tokens measured.
    pub n_tokens: usize,
    /// Bytes of keys and values.
    pub n_cache_bytes: usize,
}

/// Tokens of a prompt that are fed at once.
const N_CHUNK: usize = 256;

/// The time of a token that comes when the cache is full.
///
/// As the paper measures it (arXiv:2309.17453, figure 10): one token at a time; a stream goes on,
/// re-computation reads the whole window for each token.
///
/// # Errors
/// [`ModelError`] if the device fails or has no room.
pub fn time_per_token(
    model: &dyn LanguageModel,
    attention: Attention,
    n_tokens: usize,
) -> Result<Time, ModelError> {
    let n_seen = attention.n_seen().unwrap_or(model.spec().context);
    let (n_sink, n_window) = match attention {
        Attention::Sinks { n_sink, n_window } => (n_sink, n_window),
        _ => (0, n_seen),
    };
    let layout = Layout::new(n_sink, n_window, N_CHUNK)
        .map_err(|e| candle_core::Error::Msg(e.to_string()))?;
    let mut stream = Stream::new(model, layout)?;
    let n_vocab = u32::try_from(model.spec().n_vocab).unwrap_or(u32::MAX);
    let id = |k: usize| (k as u32).wrapping_mul(2_654_435_761) % n_vocab;
    let window: Vec<u32> = (0..n_seen).map(id).collect();
    stream.start(n_sink)?;
    stream.feed(&window)?;
    let mut times = Vec::with_capacity(n_tokens);
    for k in 0..n_tokens {
        let started = Instant::now();
        if let Attention::Recompute { .. } = attention {
            stream.start(0)?;
            stream.feed(&window[..n_seen - 1])?;
        }
        stream.score(&[id(n_seen + k)], |_| {})?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let token = times.get(times.len() / 2).copied().unwrap_or_default();
    Ok(Time { token, n_tokens, n_cache_bytes: stream.n_cache_bytes() })
}
