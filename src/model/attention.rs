//! Attention over a streaming cache: pinned keys and ring keys in one softmax.
//!
//! The query is rotated twice, once at its stream index for the ring and once at its clamped
//! position for the pinned keys, so no stored key is ever rotated again.

use candle_core::{D, DType, Result, Tensor};

use super::attention_cpu::{self, Queries, Shape};
#[cfg(feature = "cuda")]
use super::attention_cuda::LaneStep;
use super::ops::on_cpu;
use crate::cache::kv::{LayerCache, Shares};
use crate::cache::{KvCache, Layout, Visible};

/// What all layers of one layout share while one chunk is fed.
#[derive(Debug)]
pub struct Step {
    /// Stream index of each token.
    pub indices: Vec<usize>,
    /// Position of each token as the pinned keys see it.
    pub pinned_positions: Vec<usize>,
    /// What each token sees.
    visible: Vec<Visible>,
    layout: Layout,
}

impl Step {
    /// The step that feeds tokens of these indices into the layers of `cache` with this layout.
    pub fn new(cache: &KvCache, layout: Layout, indices: Vec<usize>) -> Self {
        let visible = indices.iter().map(|&i| cache.visible(&layout, i)).collect();
        let pinned_positions = indices.iter().map(|&i| layout.pinned_position(i)).collect();
        Self { indices, pinned_positions, visible, layout }
    }

    /// The same for the kernels of a GPU; `shares` are wanted of these tokens.
    #[cfg(feature = "cuda")]
    pub fn lane<'a>(&'a self, shares: Option<&'a Shares>) -> LaneStep<'a> {
        LaneStep {
            indices: &self.indices,
            pinned_positions: &self.pinned_positions,
            visible: &self.visible,
            layout: self.layout,
            watched: shares.map_or(&[], |shares| &shares.runs),
        }
    }

    /// What is added to every score, `[H or 1, T, n_slots]`: minus infinity for slots that a query
    /// does not see, otherwise the ALiBi bias, or 0.
    fn bias(&self, slopes: Option<&[f32]>) -> Vec<f32> {
        let n_slots = self.layout.n_slots();
        let slopes = slopes.unwrap_or(&[0.0]);
        let mut bias = vec![f32::NEG_INFINITY; slopes.len() * self.indices.len() * n_slots];
        for (slope, rows) in slopes.iter().zip(bias.chunks_exact_mut(self.indices.len() * n_slots))
        {
            let tokens = self.indices.iter().zip(&self.visible);
            for (row, (&index, seen)) in rows.chunks_exact_mut(n_slots).zip(tokens) {
                let from_pinned = self.layout.pinned_position(index);
                #[expect(clippy::cast_precision_loss, reason = "distances are below the window")]
                let fall = |distance: usize| -slope * distance as f32;
                for slot in seen.pinned.clone() {
                    row[slot] = fall(from_pinned - slot);
                }
                let ring = seen.ring.iter().cloned().flatten();
                for (slot, key_index) in ring.zip(seen.first_index..) {
                    row[slot] = fall(index - key_index);
                }
            }
        }
        bias
    }
}

/// How scores are made of queries and keys.
#[derive(Debug, Clone, Copy)]
pub struct Scoring<'a> {
    /// By what they are multiplied.
    pub scale: f64,
    /// What they lose per token of distance, for each head, where they do.
    pub slopes: Option<&'a [f32]>,
    /// What they never exceed, where they are squeezed: `cap * tanh(score / cap)`.
    pub cap: Option<f64>,
}

/// Attention, by the fastest way the device has.
///
/// - `q_ring`, `q_pinned`: `[T, H, D]`, contiguous
/// - `shares`: where what each query gives to some slots is added, if it is wanted
/// - returns `[T, H*D]`
pub fn attend(
    step: &Step,
    q_ring: &Tensor,
    q_pinned: &Tensor,
    cache: &LayerCache,
    scoring: Scoring<'_>,
    shares: Option<&mut Shares>,
) -> Result<Tensor> {
    let (t, h, d) = q_ring.dims3()?;
    let (g, n_slots, _) = cache.keys.dims3()?;
    let cpu = (on_cpu(q_ring)?, on_cpu(q_pinned)?, on_cpu(&cache.keys)?, on_cpu(&cache.values)?);
    let (Some(ring), Some(pinned), Some(keys), Some(values)) = cpu else {
        return plain(step, q_ring, q_pinned, cache, scoring, shares);
    };
    #[expect(clippy::cast_possible_truncation, reason = "scores are f32")]
    let queries = Queries {
        visible: &step.visible,
        indices: &step.indices,
        pinned_positions: &step.pinned_positions,
        ring: &ring,
        pinned: &pinned,
        scale: scoring.scale as f32,
        slopes: scoring.slopes,
        cap: scoring.cap.map(|cap| cap as f32),
    };
    let shape = Shape { n_heads: h, n_kv_heads: g, head_dim: d, n_slots };
    let mut out = vec![0f32; t * h * d];
    let mut given = shares.as_ref().map(|_| vec![0f32; t * h * n_slots]);
    attention_cpu::attend(&shape, &queries, &keys, &values, &mut out, given.as_deref_mut());
    if let (Some(shares), Some(given)) = (shares, given) {
        add(shares, &given, h, n_slots);
    }
    Tensor::from_vec(out, (t, h * d), q_ring.device())
}

/// Adds what the queries give in one layer, `[T, H, n_slots]`.
fn add(shares: &mut Shares, given: &[f32], n_heads: usize, n_slots: usize) {
    let Shares { runs, sums, n_added } = shares;
    let n_watched: usize = runs.iter().map(ExactSizeIterator::len).sum();
    let by_token = sums.chunks_exact_mut(n_watched.max(1));
    for (sums, given) in by_token.zip(given.chunks_exact(n_heads * n_slots)) {
        for of_head in given.chunks_exact(n_slots) {
            let mut rest = &mut *sums;
            for run in &*runs {
                let (here, later) = rest.split_at_mut(run.len());
                here.iter_mut().zip(&of_head[run.clone()]).for_each(|(sum, share)| *sum += share);
                rest = later;
            }
        }
    }
    *n_added += n_heads;
}

/// Attention in plain tensor operations, on any device: the definition, and the twin of the fast
/// way.
fn plain(
    step: &Step,
    q_ring: &Tensor,
    q_pinned: &Tensor,
    cache: &LayerCache,
    Scoring { scale, slopes, cap }: Scoring<'_>,
    shares: Option<&mut Shares>,
) -> Result<Tensor> {
    let (t, h, d) = q_ring.dims3()?;
    let (g, n_slots, _) = cache.keys.dims3()?;
    let n_sink = step.layout.n_sink();
    let group = h / g;
    // [T, H, D] -> [G, group*T, D]: grouped heads are more queries of the same keys.
    let fold = |q: &Tensor| {
        q.reshape((t, g, group, d))?.permute((1, 2, 0, 3))?.contiguous()?.reshape((g, group * t, d))
    };
    let scores = |q: &Tensor, from: usize, len: usize| {
        fold(q)?.matmul(&cache.keys.narrow(1, from, len)?.transpose(1, 2)?.contiguous()?)
    };
    let ring = scores(q_ring, n_sink, n_slots - n_sink)?; // [G, group*T, n_ring]
    let all = if n_sink == 0 {
        ring
    } else {
        Tensor::cat(&[scores(q_pinned, 0, n_sink)?, ring], D::Minus1)? // [G, group*T, n_slots]
    };
    let bias = step.bias(slopes);
    let n_slopes = slopes.map_or(1, <[f32]>::len);
    let bias =
        Tensor::from_vec(bias, (n_slopes, t, n_slots), q_ring.device())?.to_dtype(all.dtype())?;
    let mut all = (all.reshape((h, t, n_slots))? * scale)?;
    if let Some(cap) = cap {
        all = ((all / cap)?.tanh()? * cap)?;
    }
    let all = all.broadcast_add(&bias)?;
    let weights = candle_nn::ops::softmax_last_dim(&all)?; // [H, T, n_slots]
    if let Some(shares) = shares {
        let given = weights.transpose(0, 1)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        add(shares, &given, h, n_slots);
    }
    // Slots that nobody sees may hold anything but NaN: they are allocated as zeros.
    let out = weights.reshape((g, group * t, n_slots))?.matmul(&cache.values)?; // [G, group*T, D]
    out.reshape((g, group, t, d))?.permute((2, 0, 1, 3))?.contiguous()?.reshape((t, h * d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroUsize;

    use crate::cache::kv::KvShape;
    use candle_core::Device;

    #[test]
    fn both_ways_agree_while_the_ring_turns() {
        let cases = [
            (6, 2, None, None, None),
            (4, 4, Some(vec![0.5, 0.25, 0.1, 0.01]), None, None),
            (3, 1, None, None, Some(1.5)),
            (2, 1, None, NonZeroUsize::new(4), None),
            (4, 2, None, NonZeroUsize::new(6), Some(0.7)),
        ];
        for (n_heads, n_kv_heads, slopes, window, cap) in cases {
            let shape = KvShape { native_windows: vec![window], n_kv_heads, head_dim: 8 };
            let layout = Layout::new(3, 10, 7).unwrap();
            let mut cache = KvCache::new(layout, shape, DType::F32, &Device::Cpu).unwrap();
            let layout = window.map_or(layout, |window| layout.native(window));
            let random = |dims| Tensor::randn(0f32, 1f32, dims, &Device::Cpu).unwrap();
            cache.begin(2).unwrap();
            for n_tokens in [2, 7, 7, 1, 5, 7, 1, 7] {
                let step = Step::new(&cache, layout, cache.plan(n_tokens).unwrap());
                let by_head = (n_kv_heads, n_tokens, 8);
                let stored = cache.store(0, &random(by_head), &random(by_head)).unwrap();
                let queries = (n_tokens, n_heads, 8);
                let (ring, pinned) = (random(queries), random(queries));
                let scoring = Scoring { scale: 0.35, slopes: slopes.as_deref(), cap };
                let watched = || {
                    let runs = vec![1..3, 9..10, 4..5];
                    Shares { runs, sums: vec![0.0; 4 * n_tokens], n_added: 0 }
                };
                let mut shares = [watched(), watched()];
                let [by_cpu, by_tensors] = &mut shares;
                let fast = attend(&step, &ring, &pinned, stored, scoring, Some(by_cpu)).unwrap();
                let unwatched = attend(&step, &ring, &pinned, stored, scoring, None).unwrap();
                let slow = plain(&step, &ring, &pinned, stored, scoring, Some(by_tensors)).unwrap();
                let gap = |a: &Tensor, b: &Tensor| -> f32 {
                    (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
                };
                assert!(gap(&fast, &slow) < 1e-5);
                assert!(gap(&fast, &unwatched) == 0.0, "watching changes nothing");
                let [by_cpu, by_tensors] = &shares;
                let mut pairs = by_cpu.sums.iter().zip(&by_tensors.sums);
                assert!(pairs.all(|(a, b)| (a - b).abs() < 1e-5), "{shares:?}");
                assert_eq!(by_cpu.n_added, n_heads);
                cache.advance(n_tokens);
            }
        }
    }
}
