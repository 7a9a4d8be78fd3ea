//! The metadata of a GGUF file to a [`Spec`], by the conventions of llama.cpp.

use std::num::NonZeroUsize;

use candle_core::quantized::gguf_file::{Content, Value};

use super::integer;
use crate::load::config::{MOST_LAYERS, long_rope_remark};
use crate::load::{LoadError, MOST};
use crate::model::{
    Activation, Mlp, Norm, NormKind, Positions, Residual, Rope, RopeScaling, Sight, Spec,
    usual_score_scale,
};

/// Architectures of GGUF files that the decoder can describe. Mistral calls itself `llama` here.
pub const ARCHITECTURES: [&str; 7] =
    ["llama", "qwen2", "qwen3", "smollm3", "phi3", "gemma2", "gemma3"];

/// The metadata with the questions asked of it.
pub(super) struct Metadata<'a> {
    pub content: &'a Content,
}

impl Metadata<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.content.metadata.get(key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(|v| v.to_string().ok()).map(String::as_str)
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.get(key).and_then(integer)
    }

    fn float(&self, key: &str) -> Option<f64> {
        self.get(key).and_then(|v| v.to_f32().map(f64::from).or_else(|_| v.to_f64()).ok())
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(|v| v.to_bool().ok())
    }

    pub(super) fn list<T>(&self, key: &str, f: impl Fn(&Value) -> Option<T>) -> Vec<T> {
        self.get(key)
            .and_then(|v| v.to_vec().ok())
            .map_or_else(Vec::new, |v| v.iter().filter_map(f).collect())
    }

    pub(super) fn spec(&self, factors: Option<Vec<f64>>) -> Result<Spec, LoadError> {
        let family = self
            .text("general.architecture")
            .ok_or_else(|| LoadError::config("general.architecture", "is missing"))?;
        let key = |suffix: &str| format!("{family}.{suffix}");
        if !ARCHITECTURES.contains(&family) {
            return Err(LoadError::GgufFamily { family: family.to_owned() });
        }
        if self.number(&key("expert_count")).is_some_and(|n| n > 0) {
            return Err(LoadError::GgufFamily {
                family: format!("{family} with a mixture of experts"),
            });
        }
        let maybe_count = |suffix: &str| {
            self.number(&key(suffix))
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| (1..=MOST).contains(n))
        };
        let count = |suffix: &str| {
            maybe_count(suffix)
                .ok_or_else(|| LoadError::config(&key(suffix), "is missing or not a count"))
        };
        let (n_embd, n_heads) = (count("embedding_length")?, count("attention.head_count")?);
        let n_kv_heads = maybe_count("attention.head_count_kv").unwrap_or(n_heads);
        if !n_heads.is_multiple_of(n_kv_heads) {
            let what = format!("is {n_kv_heads}, which does not divide {n_heads} query heads");
            return Err(LoadError::config(&key("attention.head_count_kv"), what));
        }
        let head_dim = match maybe_count("attention.key_length") {
            Some(head_dim) => head_dim,
            None if n_embd.is_multiple_of(n_heads) => n_embd / n_heads,
            None => {
                let what = format!("is {n_heads}, which does not divide the width of {n_embd}");
                return Err(LoadError::config(&key("attention.head_count"), what));
            }
        };
        let embedding = self.content.tensor_infos.get("token_embd.weight");
        let n_vocab = embedding
            .and_then(|i| i.shape.dims().first().copied())
            .ok_or_else(|| LoadError::config("token_embd.weight", "is missing"))?;
        let dim = maybe_count("rope.dimension_count").unwrap_or(head_dim);
        if dim > head_dim || !dim.is_multiple_of(2) {
            return Err(LoadError::config(
                &key("rope.dimension_count"),
                format!("is {dim} of {head_dim}"),
            ));
        }
        let theta = self.float(&key("rope.freq_base")).unwrap_or(10_000.0);
        if !theta.is_finite() || theta <= 0.0 {
            return Err(LoadError::config(&key("rope.freq_base"), format!("is {theta}")));
        }
        let n_layers = count("block_count")?;
        if n_layers > MOST_LAYERS {
            let what = format!("is {n_layers}, and no model has more than {MOST_LAYERS} layers");
            return Err(LoadError::config(&key("block_count"), what));
        }
        let is_gemma = family.starts_with("gemma");
        let trained = maybe_count("context_length").unwrap_or(2048);
        let mut context = trained;
        let (mut magnitude, mut remarks) = (1.0, Vec::new());
        if family == "phi3" {
            // All its layers have the window, where there is one.
            context = context.min(maybe_count("attention.sliding_window").unwrap_or(context));
            if factors.is_some() {
                let short = count("rope.scaling.original_context_length")?;
                magnitude = self.float(&key("rope.scaling.attn_factor")).unwrap_or(1.0);
                context = context.min(short);
                if short < trained {
                    remarks.push(long_rope_remark(short));
                }
            }
        }
        let rope = Rope {
            dim,
            theta,
            scaling: self.scaling(family, factors)?,
            magnitude,
            interleaved: matches!(family, "llama" | "smollm3"),
        };
        let window = maybe_count("attention.sliding_window");
        let window = if family == "gemma2" { window.or(Some(4096)) } else { window };
        let window = window.and_then(|window| NonZeroUsize::new(window.min(context)));
        let is_whole = self.whole_layers(&key("attention.sliding_window_pattern"), n_layers)?;
        let sight = |l: usize| match (family, window) {
            ("smollm3", _) if (l + 1).is_multiple_of(4) => Sight::Unplaced,
            ("gemma2", Some(window)) if l.is_multiple_of(2) => {
                Sight::Native { window, rope: rope.clone() }
            }
            ("gemma3", Some(window)) if !is_whole[l] => {
                let theta = self.float(&key("rope.freq_base_swa")).unwrap_or(10_000.0);
                let scaling = RopeScaling::None;
                Sight::Native { window, rope: Rope { theta, scaling, ..rope.clone() } }
            }
            _ => Sight::Whole,
        };
        let sights = (0..n_layers).map(sight).collect();
        // The largest Gemmas, of 27 billion weights, are told by their layers alone.
        let by_width = matches!((family, n_layers), ("gemma2", 46) | ("gemma3", 62));
        #[expect(clippy::cast_possible_truncation, reason = "an epsilon needs no f64")]
        let eps = self.float(&key("attention.layer_norm_rms_epsilon")).unwrap_or(1e-6) as f32;
        #[expect(clippy::cast_precision_loss, reason = "widths are small")]
        let embedding_scale = if is_gemma { (n_embd as f64).sqrt() } else { 1.0 };
        let cap = |name: &str, of_gemma_2| {
            let of_family = if family == "gemma2" { Some(of_gemma_2) } else { None };
            self.float(&key(name)).or(of_family).filter(|cap| *cap > 0.0)
        };
        Ok(Spec {
            family: family.to_owned(),
            n_layers,
            n_embd,
            n_heads,
            n_kv_heads,
            head_dim,
            n_ff: count("feed_forward_length")?,
            n_vocab,
            context,
            norm: Norm { kind: NormKind::Rms, eps },
            positions: Positions::Rope(rope),
            residual: if is_gemma { Residual::Sandwich } else { Residual::Sequential },
            mlp: Mlp::Gated(if is_gemma { Activation::GeluTanh } else { Activation::Silu }),
            qk_norm: matches!(family, "qwen3" | "gemma3"),
            tied: !self.content.tensor_infos.contains_key("output.weight"),
            sights,
            embedding_scale,
            score_scale: usual_score_scale(if by_width { n_embd / n_heads } else { head_dim }),
            score_cap: cap("attn_logit_softcapping", 50.0),
            logit_cap: cap("final_logit_softcapping", 30.0),
            remarks,
        })
    }

    /// Which layers see everything: every so many-th, or those whose flag is not set.
    fn whole_layers(&self, key: &str, n_layers: usize) -> Result<Vec<bool>, LoadError> {
        let every = |n: u64| (1..=n_layers as u64).map(|l| l.is_multiple_of(n)).collect();
        match self.get(key) {
            None => Ok(every(6)),
            Some(Value::Array(_)) => {
                let flags = self.list(key, |v| v.to_bool().ok().or_else(|| Some(integer(v)? > 0)));
                if flags.len() == n_layers {
                    return Ok(flags.into_iter().map(|is_native| !is_native).collect());
                }
                let what = format!("has {} entries for {n_layers} layers", flags.len());
                Err(LoadError::config(key, what))
            }
            Some(value) => match integer(value).filter(|&n| n > 0) {
                Some(n) => Ok(every(n)),
                None => Err(LoadError::config(key, "is no number of layers")),
            },
        }
    }

    fn scaling(&self, family: &str, factors: Option<Vec<f64>>) -> Result<RopeScaling, LoadError> {
        if let Some(factors) = factors {
            return Ok(RopeScaling::Factors(factors));
        }
        let key = format!("{family}.rope.scaling.type");
        match self.text(&key) {
            None | Some("none") => Ok(RopeScaling::None),
            Some("linear") => {
                let factor =
                    self.float(&format!("{family}.rope.scaling.factor")).filter(|f| *f > 0.0);
                let factor =
                    factor.ok_or_else(|| LoadError::config(&key, "is linear without a factor"))?;
                Ok(RopeScaling::Linear { factor })
            }
            Some(other) => {
                Err(LoadError::config(&key, format!("is `{other}`; supported are none and linear")))
            }
        }
    }
}
