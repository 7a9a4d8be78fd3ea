//! `config.json`, as Hugging Face writes it, to a [`Spec`].

use serde_json::Value;

use super::LoadError;
use crate::model::{Activation, Mlp, Norm, NormKind, Positions, Residual, Rope, RopeScaling, Spec};

/// Families that the decoder can describe, as `model_type` names them.
pub const FAMILIES: [&str; 7] = ["llama", "mistral", "qwen2", "qwen3", "gpt_neox", "falcon", "mpt"];

/// A configuration with the questions asked of it.
struct Config<'a> {
    json: &'a Value,
}

impl Config<'_> {
    fn get(&self, names: &[&str]) -> Option<&Value> {
        names.iter().find_map(|name| self.json.get(name)).filter(|v| !v.is_null())
    }

    fn count(&self, names: &[&str]) -> Result<usize, LoadError> {
        self.maybe_count(names)?.ok_or_else(|| LoadError::config(names[0], "is missing"))
    }

    fn maybe_count(&self, names: &[&str]) -> Result<Option<usize>, LoadError> {
        let Some(value) = self.get(names) else { return Ok(None) };
        value
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| (1..=super::MOST).contains(n))
            .map(Some)
            .ok_or_else(|| LoadError::config(names[0], format!("is {value}, not a count")))
    }

    fn number(&self, names: &[&str], default: f64) -> Result<f64, LoadError> {
        match self.get(names) {
            None => Ok(default),
            Some(value) => value
                .as_f64()
                .filter(|n| n.is_finite())
                .ok_or_else(|| LoadError::config(names[0], format!("is {value}, not a number"))),
        }
    }

    fn flag(&self, name: &str, default: bool) -> bool {
        self.get(&[name]).and_then(Value::as_bool).unwrap_or(default)
    }

    fn text(&self, names: &[&str]) -> Option<&str> {
        self.get(names).and_then(Value::as_str)
    }

    fn activation(&self, names: &[&str], default: &str) -> Result<Activation, LoadError> {
        match self.text(names).unwrap_or(default) {
            "silu" | "swish" => Ok(Activation::Silu),
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_fast" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            other => {
                Err(LoadError::config(names[0], format!("is `{other}`, which is not supported")))
            }
        }
    }

    /// `rope_parameters` of transformers 5, or `rope_theta` and `rope_scaling` of its elders.
    fn rope(&self, head_dim: usize, partial: f64) -> Result<Positions, LoadError> {
        let nested = self.get(&["rope_parameters", "rope_scaling"]).filter(|v| v.is_object());
        let inner = nested.map(|json| Config { json });
        let from_either = |names: &[&str], default| match &inner {
            Some(inner) if inner.get(names).is_some() => inner.number(names, default),
            _ => self.number(names, default),
        };
        let theta = from_either(&["rope_theta", "rotary_emb_base"], 10_000.0)?;
        let partial = from_either(&["partial_rotary_factor", "rotary_pct"], partial)?;
        if theta <= 0.0 {
            return Err(LoadError::config("rope_theta", format!("is {theta}, not above 0")));
        }
        let kind = inner.as_ref().and_then(|c| c.text(&["rope_type", "type"])).unwrap_or("default");
        let needed = |name: &str| {
            let value = inner.as_ref().map_or(Ok(f64::NAN), |c| c.number(&[name], f64::NAN))?;
            if value > 0.0 {
                Ok(value)
            } else {
                Err(LoadError::config(name, "is missing or not positive"))
            }
        };
        let scaling = match kind {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: needed("factor")? },
            "llama3" if needed("low_freq_factor")? >= needed("high_freq_factor")? => {
                let what = "is not below high_freq_factor";
                return Err(LoadError::config("low_freq_factor", what));
            }
            "llama3" => RopeScaling::Llama3 {
                factor: needed("factor")?,
                low_freq_factor: needed("low_freq_factor")?,
                high_freq_factor: needed("high_freq_factor")?,
                original_context: needed("original_max_position_embeddings")?,
            },
            other => {
                let what = format!("is `{other}`; supported are default, linear and llama3");
                return Err(LoadError::config("rope_type", what));
            }
        };
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a fraction of a head's width"
        )]
        let dim = (head_dim as f64 * partial) as usize;
        if dim == 0 || !dim.is_multiple_of(2) || dim > head_dim {
            let what = format!("rotates {dim} of {head_dim} elements of a head");
            return Err(LoadError::config("partial_rotary_factor", what));
        }
        Ok(Positions::Rope(Rope { dim, theta, scaling, interleaved: false }))
    }
}

/// Reads a `config.json`.
///
/// # Errors
/// [`LoadError::Family`] for a family that is not supported; [`LoadError::Config`] for a value
/// that is missing or makes no sense.
pub fn parse(json: &Value) -> Result<Spec, LoadError> {
    let renamed = renamed(json);
    let config = Config { json: renamed.as_ref().unwrap_or(json) };
    let family = config
        .text(&["model_type"])
        .ok_or_else(|| {
            LoadError::config("model_type", "is missing: not a language model's configuration")
        })?
        .to_owned();
    if !FAMILIES.contains(&family.as_str()) {
        return Err(LoadError::Family { family });
    }
    let n_embd = config.count(&["hidden_size", "d_model"])?;
    let n_heads = config.count(&["num_attention_heads", "n_heads", "n_head"])?;
    let head_dim = match config.maybe_count(&["head_dim"])? {
        Some(d) => d,
        None if n_embd.is_multiple_of(n_heads) => n_embd / n_heads,
        None => {
            let what = format!("is {n_heads}, which does not divide the width of {n_embd}");
            return Err(LoadError::config("num_attention_heads", what));
        }
    };
    let spec = Spec {
        n_layers: config.count(&["num_hidden_layers", "n_layers", "n_layer"])?,
        n_embd,
        n_heads,
        n_kv_heads: n_kv_heads(&config, &family, n_heads)?,
        head_dim,
        n_ff: n_ff(&config, &family, n_embd)?,
        n_vocab: config.count(&["vocab_size"])?,
        context: context(&config)?,
        norm: norm(&config, &family)?,
        positions: positions(&config, &family, n_heads, head_dim)?,
        residual: residual(&config, &family),
        mlp: match family.as_str() {
            "gpt_neox" => Mlp::Plain(config.activation(&["hidden_act"], "gelu")?),
            "falcon" => Mlp::Plain(config.activation(&["activation"], "gelu")?),
            "mpt" => Mlp::Plain(Activation::Gelu),
            _ => Mlp::Gated(config.activation(&["hidden_act"], "silu")?),
        },
        qk_norm: family == "qwen3",
        tied: config.flag("tie_word_embeddings", matches!(family.as_str(), "falcon" | "mpt")),
        family,
    };
    if !spec.n_heads.is_multiple_of(spec.n_kv_heads) {
        let what = format!("is {}, which does not divide {n_heads} query heads", spec.n_kv_heads);
        return Err(LoadError::config("num_key_value_heads", what));
    }
    refuse_unstreamable(&config, &spec)?;
    Ok(spec)
}

/// Falcon by the names it had before transformers knew it: the larger one, with several key heads, and
/// the smaller ones.
fn renamed(json: &Value) -> Option<Value> {
    let kind = json.get("model_type").and_then(Value::as_str)?;
    let is_new = match kind {
        "RefinedWeb" => true,
        "RefinedWebModel" => false,
        _ => return None,
    };
    let mut json = json.clone();
    json["model_type"] = "falcon".into();
    json["new_decoder_architecture"] = is_new.into();
    Some(json)
}

/// Tokens seen at once. A native sliding window (Mistral 7B v0.1) is all such a model ever saw.
fn context(config: &Config<'_>) -> Result<usize, LoadError> {
    let trained = config.maybe_count(&["max_position_embeddings", "max_seq_len"])?.unwrap_or(2048);
    let slides = config.flag("use_sliding_window", true);
    let window = if slides { config.maybe_count(&["sliding_window"])? } else { None };
    Ok(window.map_or(trained, |window| window.min(trained)))
}

fn n_kv_heads(config: &Config<'_>, family: &str, n_heads: usize) -> Result<usize, LoadError> {
    match family {
        "gpt_neox" => Ok(n_heads),
        "falcon" if config.flag("new_decoder_architecture", false) => {
            Ok(config.maybe_count(&["num_kv_heads", "n_head_kv"])?.unwrap_or(n_heads))
        }
        "falcon" => Ok(if config.flag("multi_query", true) { 1 } else { n_heads }),
        "mpt" => {
            let inner = config.get(&["attn_config"]).map(|json| Config { json });
            Ok(inner.map_or(Ok(None), |c| c.maybe_count(&["kv_n_heads"]))?.unwrap_or(n_heads))
        }
        _ => Ok(config.maybe_count(&["num_key_value_heads"])?.unwrap_or(n_heads)),
    }
}

fn n_ff(config: &Config<'_>, family: &str, n_embd: usize) -> Result<usize, LoadError> {
    match family {
        "falcon" => Ok(config.maybe_count(&["ffn_hidden_size"])?.unwrap_or(4 * n_embd)),
        "mpt" => Ok(config.maybe_count(&["expansion_ratio"])?.unwrap_or(4).saturating_mul(n_embd)),
        _ => config.count(&["intermediate_size"]),
    }
}

fn norm(config: &Config<'_>, family: &str) -> Result<Norm, LoadError> {
    let (kind, names, default) = match family {
        "gpt_neox" => (NormKind::Layer, ["layer_norm_eps", "layer_norm_epsilon"], 1e-5),
        "falcon" | "mpt" => (NormKind::Layer, ["layer_norm_epsilon", "layer_norm_eps"], 1e-5),
        _ => (NormKind::Rms, ["rms_norm_eps", "norm_eps"], 1e-6),
    };
    let eps = config.number(&names, default)?;
    if eps < 0.0 {
        return Err(LoadError::config(names[0], format!("is {eps}, below 0")));
    }
    #[expect(clippy::cast_possible_truncation, reason = "an epsilon needs no f64")]
    Ok(Norm { kind, eps: eps as f32 })
}

fn positions(
    config: &Config<'_>,
    family: &str,
    n_heads: usize,
    head_dim: usize,
) -> Result<Positions, LoadError> {
    match family {
        "mpt" => {
            let inner = config.get(&["attn_config"]).map(|json| Config { json });
            let asked = inner.as_ref().is_none_or(|c| c.flag("alibi", true));
            if !asked {
                return Err(LoadError::Unstreamable { what: "learned absolute positions" });
            }
            let max_bias = inner.map_or(Ok(8.0), |c| c.number(&["alibi_bias_max"], 8.0))?;
            #[expect(clippy::cast_possible_truncation, reason = "a small whole number")]
            Ok(Positions::alibi(n_heads, max_bias as f32))
        }
        "falcon" if config.flag("alibi", false) => Err(LoadError::config(
            "alibi",
            "is true: Falcon with ALiBi (the RW models) is not supported",
        )),
        "gpt_neox" => config.rope(head_dim, 0.25),
        _ => config.rope(head_dim, 1.0),
    }
}

fn residual(config: &Config<'_>, family: &str) -> Residual {
    match family {
        "gpt_neox" if config.flag("use_parallel_residual", true) => Residual::Parallel,
        "falcon" if config.flag("new_decoder_architecture", false) => {
            let one_norm =
                config.get(&["num_ln_in_parallel_attn"]).and_then(Value::as_u64) == Some(1);
            if one_norm { Residual::ParallelSharedNorm } else { Residual::Parallel }
        }
        "falcon" if config.flag("parallel_attn", true) => Residual::ParallelSharedNorm,
        _ => Residual::Sequential,
    }
}

fn refuse_unstreamable(config: &Config<'_>, spec: &Spec) -> Result<(), LoadError> {
    let inner = config.get(&["attn_config"]).map(|json| Config { json });
    if spec.family == "mpt"
        && inner.is_some_and(|c| c.flag("qk_ln", false) || c.get(&["clip_qkv"]).is_some())
    {
        return Err(LoadError::config(
            "attn_config",
            "asks for qk_ln or clip_qkv, which are not supported",
        ));
    }
    Ok(())
}
