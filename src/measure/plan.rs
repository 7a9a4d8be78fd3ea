//! What a model needs of memory, told from its description alone.

use candle_core::DType;

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

impl Storage {
    /// Plain numbers of this type.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a few bits")]
    pub fn of(dtype: DType) -> Self {
        Self { name: dtype.as_str(), n_bits: 8.0 * dtype.size_in_bytes() as f64 }
    }
}

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

/// A model that a device has no room for, and what it would have room for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "the model needs {} of the GPU's memory ({} weights, {} cache, {} activations), but {} are free",
    gb(needed.n_bytes()),
    gb(needed.weight_bytes),
    gb(needed.cache_bytes),
    gb(needed.activation_bytes),
    gb(*n_free)
)]
pub struct TooLarge {
    /// What it needs.
    pub needed: Memory,
    /// Bytes that are free.
    pub n_free: u64,
    /// The largest window that would fit, all else the same.
    pub n_window: Option<usize>,
    /// How many streams at once would fit, all else the same.
    pub n_streams: Option<u64>,
    /// The widest way to store weights that would fit, all else the same.
    pub storage: Option<Storage>,
}

impl TooLarge {
    /// The way out.
    #[must_use]
    pub fn hint(&self) -> String {
        let ways = [
            self.n_window.map(|n| format!("a window of {n} tokens (--window)")),
            self.n_streams.map(|n| format!("{n} streams at once (--jobs or --streams)")),
            self.storage.map(|storage| format!("weights in {} (a GGUF file)", storage.name)),
        ];
        let ways: Vec<String> = ways.into_iter().flatten().collect();
        match ways.is_empty() {
            true => "take a smaller model, or --device cpu".to_owned(),
            false => format!("there would be room for {}; or --device cpu", ways.join(", or for ")),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn gb(n_bytes: u64) -> String {
    format!("{:.2} GB", n_bytes as f64 / 1e9)
}

/// Fewer tokens than this are no window to read a document with.
const LEAST_WINDOW: usize = 256;

/// Whether a model has room in a memory of which `n_free` bytes are free; the rest is as in [`memory`].
///
/// A sixteenth is left to the libraries and to what is computed beside the estimate.
///
/// # Errors
/// [`TooLarge`] if it has not, with what would have room.
pub fn fit(
    spec: &Spec,
    layout: &Layout,
    storage: Storage,
    n_cache_bytes: u64,
    n_streams: u64,
    n_free: u64,
) -> Result<Memory, TooLarge> {
    let fits = |memory: &Memory| memory.n_bytes() <= n_free - n_free / 16;
    let with = |layout: &Layout, storage, n_streams| {
        memory(spec, layout, storage, n_cache_bytes, n_streams)
    };
    let needed = with(layout, storage, n_streams);
    if fits(&needed) {
        return Ok(needed);
    }
    let window_fits = |n_window: usize| {
        let layout = Layout::new(layout.n_sink(), n_window, layout.n_chunk().min(n_window));
        layout.is_ok_and(|layout| fits(&with(&layout, storage, n_streams)))
    };
    let windows: Vec<usize> = (LEAST_WINDOW..layout.n_window()).step_by(LEAST_WINDOW).collect();
    let n_windows = windows.partition_point(|&n_window| window_fits(n_window));
    let n_fewer = (1..n_streams).rev().find(|&n| fits(&with(layout, storage, n)));
    let narrower = STORAGES.iter().filter(|narrower| narrower.n_bits < storage.n_bits);
    let narrower = narrower.copied().find(|&storage| fits(&with(layout, storage, n_streams)));
    Err(TooLarge {
        needed,
        n_free,
        n_window: n_windows.checked_sub(1).map(|at| windows[at]),
        n_streams: n_fewer,
        storage: narrower,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::config;

    /// The shape of Llama 2 7B.
    fn spec() -> Spec {
        let config = serde_json::json!({
            "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
            "vocab_size": 32000, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
            "tie_word_embeddings": false,
        });
        config::parse(&config).unwrap()
    }

    const GB: u64 = 1_000_000_000;

    fn fits(n_streams: u64, n_free: u64) -> Result<Memory, TooLarge> {
        let layout = Layout::new(4, 2044, 512).unwrap();
        fit(&spec(), &layout, Storage::of(DType::BF16), 2, n_streams, n_free)
    }

    #[test]
    fn what_has_room_is_let_through() {
        let memory = fits(1, 24 * GB).unwrap();
        assert_eq!(memory.weight_bytes, 2 * memory.n_params + 2 * 65 * 4096); // norms are f32
        // 2,559 slots of 32 layers, keys and values of 4,096 numbers each, twice.
        assert_eq!(memory.cache_bytes, 2 * 2559 * 32 * 2 * 4096 * 2);
        let least = memory.n_bytes() * 16 / 15 + 16;
        assert_eq!(fits(1, least), Ok(memory));
        assert!(fits(1, memory.n_bytes()).is_err());
    }

    #[test]
    fn what_has_none_is_refused_with_what_would() {
        // Sixteen bits of each weight are 13.5 GB, and a stream is 2.7 GB.
        let error = fits(4, 20 * GB).unwrap_err();
        assert_eq!((error.n_streams, error.storage.unwrap().name), (Some(1), "q8_0"));
        let n_window = error.n_window.unwrap();
        let smaller = |n_window| Layout::new(4, n_window, n_window.min(512)).unwrap();
        let with = |n_window: usize, n_free| {
            fit(&spec(), &smaller(n_window), Storage::of(DType::BF16), 2, 4, n_free)
        };
        assert!(with(n_window, 20 * GB).is_ok() && with(n_window + 256, 20 * GB).is_err());
        assert!(error.to_string().contains("13.48 GB weights"), "{error}");
        assert!(error.hint().contains("--window") && error.hint().contains("--jobs"));

        let error = fits(1, 8 * GB).unwrap_err();
        assert_eq!((error.n_window, error.n_streams), (None, None));
        assert_eq!(error.storage.map(|storage| storage.name), Some("q5_k"));
        let error = fits(1, GB).unwrap_err();
        assert_eq!((error.n_window, error.n_streams, error.storage), (None, None, None));
        assert!(error.hint().contains("smaller model"));
    }
}
