//! How long a token takes: with a stream that goes on, with all of its window computed anew, with streams
//! beside it, and while a text is read; and what a token costs at least, in bytes and in operations.

use std::ops::Range;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};

use super::Attention;
use super::Storage;
use crate::cache::{KvCache, Layout};
use crate::model::{Feed, LanguageModel, Linear, ModelError, Part, Sight, Spec, Want, Weights};
use crate::stream::Stream;

/// Weights that nobody trained: they compute nonsense, as fast as any others.
pub struct RandomWeights {
    /// The decoder.
    pub spec: Spec,
    /// Whether matrices are quantized to eight bits.
    pub eight_bits: bool,
    /// Number type of matrices, where they are not; on a GPU that of activations too.
    pub dtype: DType,
    /// Where they are.
    pub device: Device,
}

impl RandomWeights {
    /// Numbers that differ from each other and keep activations small: speed asks for no more.
    fn numbers(&self, part: Part, layer: usize) -> Result<Tensor, candle_core::Error> {
        let shape = part.shape(&self.spec);
        if !self.device.is_cpu() {
            return Tensor::rand(-0.03f32, 0.03f32, shape, &self.device);
        }
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
        let activations = if self.device.is_cpu() { DType::F32 } else { self.dtype };
        Linear::plain(&weight.to_dtype(self.dtype)?, activations).map(Some)
    }

    fn norm(
        &self,
        part: Part,
        layer: usize,
    ) -> Result<Option<(Tensor, Option<Tensor>)>, candle_core::Error> {
        if layer >= part.n_in(&self.spec).max(1) || part.n_in(&self.spec) == 0 {
            return Ok(None);
        }
        let ones = Tensor::ones(part.shape(&self.spec), DType::F32, &self.device)?;
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
    let mut stream = Stream::new(model, layout(n_sink, n_window, N_CHUNK)?)?;
    let window = ids(model, 0..n_seen);
    stream.start(n_sink)?;
    stream.feed(&window)?;
    let mut times = Vec::with_capacity(n_tokens);
    for k in 0..n_tokens {
        let started = Instant::now();
        if let Attention::Recompute { .. } = attention {
            stream.start(0)?;
            stream.feed(&window[..n_seen - 1])?;
        }
        stream.score(&ids(model, n_seen + k..n_seen + k + 1), |_| {})?;
        times.push(started.elapsed());
    }
    Ok(Time { token: median(times), n_tokens, n_cache_bytes: stream.n_cache_bytes() })
}

fn layout(n_sink: usize, n_window: usize, n_chunk: usize) -> Result<Layout, ModelError> {
    Ok(Layout::new(n_sink, n_window, n_chunk)
        .map_err(|e| candle_core::Error::Msg(e.to_string()))?)
}

/// Tokens of a text that says nothing, scattered over the vocabulary.
fn ids(model: &dyn LanguageModel, range: Range<usize>) -> Vec<u32> {
    let n_vocab = u32::try_from(model.spec().n_vocab).unwrap_or(u32::MAX);
    range.map(|k| (k as u32).wrapping_mul(2_654_435_761) % n_vocab).collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The time in which each of `n_streams` streams gets a token, all of them together, behind full windows.
///
/// # Errors
/// [`ModelError`] if the device fails or has no room.
pub fn time_of_streams(
    model: &dyn LanguageModel,
    (n_sink, n_window): (usize, usize),
    n_streams: usize,
    n_tokens: usize,
) -> Result<Time, ModelError> {
    let layout = layout(n_sink, n_window, N_CHUNK)?;
    let mut caches = Vec::with_capacity(n_streams);
    let mut filled = None;
    for _ in 0..n_streams {
        let mut cache = model.new_cache(layout)?;
        match &filled {
            Some(filled) => cache.restore(filled)?,
            None => {
                cache.begin(n_sink)?;
                let window = ids(model, 0..n_sink + n_window);
                let mut rest = &window[..];
                while !rest.is_empty() {
                    let (chunk, more) = rest.split_at(cache.fit(rest.len()));
                    model.forward(chunk, &mut cache, Want::Nothing)?;
                    rest = more;
                }
                cache.save(&mut filled)?;
            }
        }
        caches.push(cache);
    }
    drop(filled);
    model.synchronize()?;
    let mut times = Vec::with_capacity(n_tokens);
    for k in 0..n_tokens {
        let ids = ids(model, k * n_streams..(k + 1) * n_streams);
        let started = Instant::now();
        let feed = |(cache, ids)| Feed { ids, cache, want: Want::Last };
        let mut feeds: Vec<Feed<'_>> = caches.iter_mut().zip(ids.chunks(1)).map(feed).collect();
        for logits in model.forward_many(&mut feeds) {
            logits?;
        }
        model.synchronize()?;
        times.push(started.elapsed());
    }
    let n_cache_bytes = caches.iter().map(KvCache::n_bytes).sum();
    Ok(Time { token: median(times), n_tokens, n_cache_bytes })
}

/// Times a text is read; the median counts.
const N_READINGS: usize = 3;

/// The time of a token of a text that is read in chunks, behind a full window.
///
/// - `n_tokens`: of the text
///
/// # Errors
/// [`ModelError`] if the device fails or has no room.
pub fn time_of_reading(
    model: &dyn LanguageModel,
    (n_sink, n_window): (usize, usize),
    n_chunk: usize,
    n_tokens: usize,
) -> Result<Duration, ModelError> {
    let mut stream = Stream::new(model, layout(n_sink, n_window, n_chunk)?)?;
    stream.start(n_sink)?;
    stream.feed(&ids(model, 0..n_sink + n_window))?;
    let text = ids(model, 0..n_tokens);
    let mut times = Vec::with_capacity(N_READINGS);
    for _ in 0..N_READINGS {
        let started = Instant::now();
        stream.feed(&text)?; // waits for the device
        times.push(started.elapsed());
    }
    Ok(median(times) / u32::try_from(n_tokens.max(1)).unwrap_or(u32::MAX))
}

/// Bytes that must be read to write one token: every matrix once, and the keys and values that it sees.
///
/// - `n_cache_bytes`: of a number of the cache
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
pub fn bytes_of_token(spec: &Spec, storage: Storage, n_seen: usize, n_cache_bytes: usize) -> f64 {
    let cache = 2 * spec.n_kv_heads * spec.head_dim * n_cache_bytes * seen(spec, n_seen);
    weights(spec, true) as f64 * storage.n_bits / 8.0 + cache as f64
}

/// Operations, additions and multiplications apart, to read one token: the matrices of all layers, and
/// the scores and sums over the tokens that it sees. No logits are made of what is read.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
pub fn operations_of_token(spec: &Spec, n_seen: usize) -> f64 {
    let attention = 4 * spec.n_heads * spec.head_dim * seen(spec, n_seen);
    (2 * weights(spec, false) + attention) as f64
}

/// Weights of the matrices that one token is multiplied with.
fn weights(spec: &Spec, with_head: bool) -> usize {
    let parts = Part::ALL.into_iter().filter(|part| match part {
        Part::Head => with_head,
        Part::Embedding => with_head && spec.tied, // one row is looked up; as the head it is multiplied
        _ => part.shape(spec).len() == 2,
    });
    parts.map(|part| part.shape(spec).iter().product::<usize>() * part.n_in(spec)).sum()
}

/// Tokens that one token sees, summed up over the layers.
fn seen(spec: &Spec, n_seen: usize) -> usize {
    let in_layer = |sight: &Sight| sight.window().map_or(n_seen, |window| n_seen.min(window.get()));
    spec.sights.iter().map(in_layer).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::config;

    #[test]
    fn a_token_costs_every_matrix_and_what_it_sees() {
        let config = |tied: bool| {
            serde_json::json!({
                "model_type": "llama", "hidden_size": 8, "intermediate_size": 12,
                "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
                "vocab_size": 100, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
                "tie_word_embeddings": tied,
            })
        };
        // Queries and output 8x8, keys and values 4x8, the MLP three times 12x8.
        let in_layers = 3 * (2 * 64 + 2 * 32 + 3 * 96);
        for tied in [false, true] {
            let spec = config::parse(&config(tied)).unwrap();
            let bytes = bytes_of_token(&spec, Storage::of(DType::BF16), 10, 4);
            assert_eq!(bytes, (2 * (in_layers + 800) + 3 * 10 * 2 * 4 * 4) as f64);
            let operations = operations_of_token(&spec, 10);
            assert_eq!(operations, (2 * in_layers + 3 * 10 * 4 * 8) as f64);
        }
    }
}
