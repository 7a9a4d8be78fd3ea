//! What a model needs of memory, told from its description alone.

use crate::cache::Layout;
use crate::model::{Part, Sight, Spec};

/// How weights are stored, and how many bits one takes with its share of scales.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Storage {
    /// Its name.
    pub name: &'static str,
    /// Bits of a weight of a matrix.
    pub n_bits: f64,
}

/// Common ways to store weights. Blocks of ggml: 32 weights and their scale, or 256 for the K types
/// (`ggml-common.h`, `ggml-quants.c`).
pub const STORAGES: [Storage; 8] = [
    Storage { name: "f32", n_bits: 32.0 },
    Storage { name: "f16", n_bits: 16.0 },
    Storage { name: "bf16", n_bits: 16.0 },
    Storage { name: "q8_0", n_bits: 8.5 },
    Storage { name: "q6_k", n_bits: 6.5625 },
    Storage { name: "q5_k", n_bits: 5.5 },
    Storage { name: "q4_k", n_bits: 4.5 },
    Storage { name: "q4_0", n_bits: 4.5 },
];

/// Bytes that a model needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Weights, biases aside.
    pub n_params: u64,
    /// Bytes of the weights.
    pub weight_bytes: u64,
    /// Slots of the cache in each layer.
    pub n_slots: usize,
    /// Bytes of the keys and values of all streams, with the copy that a fork comes back to.
    pub cache_bytes: u64,
    /// Bytes of what is computed for one chunk of all streams, about.
    pub activation_bytes: u64,
}

impl Memory {
    /// All of it.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        self.weight_bytes + self.cache_bytes + self.activation_bytes
    }
}

/// What a model needs for `n_streams` streams of this layout.
///
/// - `n_cache_bytes`: of a number of the cache, and of the activations
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bytes of memory, for people"
)]
pub fn memory(
    spec: &Spec,
    layout: &Layout,
    storage: Storage,
    n_cache_bytes: u64,
    n_streams: u64,
) -> Memory {
    let (mut n_params, mut weight_bytes) = (0, 0.0);
    for part in Part::ALL {
        let shape = part.shape(spec);
        let n = shape.iter().product::<usize>() as u64 * part.n_in(spec) as u64;
        n_params += n;
        // Norms are kept in f32.
        weight_bytes += n as f64 * if shape.len() == 1 { 4.0 } else { storage.n_bits / 8.0 };
    }
    let n_slots = layout.n_slots();
    let in_layer = |sight: &Sight| sight.window().map_or(*layout, |w| layout.native(w)).n_slots();
    let in_all: usize = spec.sights.iter().map(in_layer).sum();
    let per_slot = 2 * (spec.n_kv_heads * spec.head_dim) as u64;
    let cache_bytes = 2 * n_streams * in_all as u64 * per_slot * n_cache_bytes;
    // What of a layer is alive at once: the residual, its norm, queries, keys, values and the
    // attention's output, the two inner rows of the MLP; and one row of logits.
    let heads = (2 * spec.n_heads + 2 * spec.n_kv_heads) * spec.head_dim;
    let row = (3 * spec.n_embd + heads + 2 * spec.n_ff) as u64;
    let activation_bytes =
        n_streams * (row * layout.n_chunk() as u64 + spec.n_vocab as u64) * n_cache_bytes;
    Memory { n_params, weight_bytes: weight_bytes as u64, n_slots, cache_bytes, activation_bytes }
}
