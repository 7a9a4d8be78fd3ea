//! A model's configuration to a [`Spec`]: `config.json` as Hugging Face writes it, or the file that a
//! model was trained by.

mod rope;
mod training;

use std::borrow::Cow;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use serde_json::Value;

use self::rope::Regime;
pub(super) use self::rope::long_rope_remark;
use super::LoadError;
use crate::model::{
    Activation, Mlp, Norm, NormKind, Positions, Residual, Sight, Spec, usual_score_scale,
};

/// Families that the decoder can describe, as `model_type` names them.
pub const FAMILIES: [&str; 12] = [
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "smollm3",
    "phi3",
    "gemma2",
    "gemma3_text",
    "gemma3",
    "gpt_neox",
    "falcon",
    "mpt",
];

/// A model with more layers is a damaged file.
pub(super) const MOST_LAYERS: usize = 4096;

/// Families that learnt a vector for each place of a text, and have none for places beyond.
const OF_LEARNED_PLACES: [&str; 6] = ["gpt2", "gpt_neo", "gpt_bigcode", "opt", "xglm", "biogpt"];

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

    /// A number that is positive, where there is one.
    fn maybe_number(&self, name: &str) -> Result<Option<f64>, LoadError> {
        if self.get(&[name]).is_none() {
            return Ok(None);
        }
        let number = self.number(&[name], 0.0)?;
        if number > 0.0 {
            return Ok(Some(number));
        }
        Err(LoadError::config(name, format!("is {number}, not above 0")))
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
}

/// Reads a configuration: a `config.json`, or a file by which GPT-NeoX or LLM Foundry trained a model.
///
/// # Errors
/// As [`parse`]; [`LoadError::Read`] and [`LoadError::Damaged`] for the file.
pub fn read(path: &Path) -> Result<Spec, LoadError> {
    let text = fs::read_to_string(path)
        .map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    let json = match serde_json::from_str(&text) {
        Ok(json) => json,
        Err(of_json) => match training::read(&text) {
            Some(yaml) => training::renamed(&yaml)?,
            None => {
                let what = format!("it is neither JSON ({of_json}) nor YAML");
                return Err(LoadError::Damaged { path: path.to_owned(), what });
            }
        },
    };
    parse(&json)
}

/// What a `config.json` says.
///
/// # Errors
/// [`LoadError::Unstreamable`] for a family with learned positions;
/// [`LoadError::Family`] for a family that is not supported; [`LoadError::Config`] for a value
/// that is missing or makes no sense.
pub fn parse(json: &Value) -> Result<Spec, LoadError> {
    let json = named_as_now(json);
    let config = Config { json: &json };
    let family = config
        .text(&["model_type"])
        .ok_or_else(|| {
            LoadError::config("model_type", "is missing: not a language model's configuration")
        })?
        .to_owned();
    if OF_LEARNED_PLACES.contains(&family.as_str()) {
        return Err(LoadError::Unstreamable { what: "learned absolute positions" });
    }
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
    let n_layers = config.count(&["num_hidden_layers", "n_layers", "n_layer"])?;
    let is_gemma = family.starts_with("gemma");
    let mut remarks = Vec::new();
    let (positions, seen) = positions(&config, &family, n_heads, head_dim, &mut remarks)?;
    let context = context(&config, &family)?;
    #[expect(clippy::cast_precision_loss, reason = "widths are small")]
    let embedding_scale = if is_gemma { (n_embd as f64).sqrt() } else { 1.0 };
    // Where nothing is said at all, the family's own; `null` is none.
    let cap = |name: &str, of_gemma_2| match (config.json.get(name), family.as_str()) {
        (None, "gemma2") => Ok(Some(of_gemma_2)),
        _ => config.maybe_number(name),
    };
    if n_layers > MOST_LAYERS {
        let what = format!("is {n_layers}, and no model has more than {MOST_LAYERS} layers");
        return Err(LoadError::config("num_hidden_layers", what));
    }
    let spec = Spec {
        n_layers,
        n_embd,
        n_heads,
        n_kv_heads: n_kv_heads(&config, &family, n_heads)?,
        head_dim,
        n_ff: n_ff(&config, &family, n_embd)?,
        n_vocab: config.count(&["vocab_size"])?,
        context: seen.map_or(context, |seen| seen.min(context)),
        norm: norm(&config, &family)?,
        sights: sights(&config, &family, (n_layers, context), &positions, head_dim)?,
        positions,
        residual: residual(&config, &family),
        mlp: match family.as_str() {
            "gpt_neox" => Mlp::Plain(config.activation(&["hidden_act"], "gelu")?),
            "falcon" => Mlp::Plain(config.activation(&["activation"], "gelu")?),
            "mpt" => Mlp::Plain(Activation::Gelu),
            _ if is_gemma => {
                Mlp::Gated(config.activation(&["hidden_activation"], "gelu_pytorch_tanh")?)
            }
            _ => Mlp::Gated(config.activation(&["hidden_act"], "silu")?),
        },
        qk_norm: matches!(family.as_str(), "qwen3" | "gemma3_text"),
        tied: config.flag(
            "tie_word_embeddings",
            matches!(family.as_str(), "falcon" | "mpt" | "smollm3") || is_gemma,
        ),
        embedding_scale,
        score_scale: match config.maybe_number("query_pre_attn_scalar")? {
            Some(scalar) if scalar > 0.0 => 1.0 / scalar.sqrt(),
            None if is_gemma => 1.0 / 16.0, // of 256
            _ => usual_score_scale(head_dim),
        },
        score_cap: cap("attn_logit_softcapping", 50.0)?,
        logit_cap: cap("final_logit_softcapping", 30.0)?,
        remarks,
        family,
    };
    if !spec.n_heads.is_multiple_of(spec.n_kv_heads) {
        let what = format!("is {}, which does not divide {n_heads} query heads", spec.n_kv_heads);
        return Err(LoadError::config("num_key_value_heads", what));
    }
    refuse_unstreamable(&config, &spec)?;
    Ok(spec)
}

/// A configuration by the names that transformers has today: Falcon before transformers knew it, the
/// larger one with several key heads and the smaller ones; and the text model of Gemma 3, with what its
/// files leave out.
fn named_as_now(json: &Value) -> Cow<'_, Value> {
    let named = |is_new: bool| {
        let mut json = json.clone();
        json["model_type"] = "falcon".into();
        json["new_decoder_architecture"] = is_new.into();
        Cow::Owned(json)
    };
    match json.get("model_type").and_then(Value::as_str) {
        Some("RefinedWeb") => named(true),
        Some("RefinedWebModel") => named(false),
        Some("gemma3") => {
            let text = json.get("text_config").filter(|text| text.is_object());
            let mut json = text.unwrap_or(json).clone();
            json["model_type"] = "gemma3_text".into();
            for (name, count) in [
                ("vocab_size", 262_208),
                ("max_position_embeddings", 131_072),
                ("num_attention_heads", 8),
                ("num_key_value_heads", 4),
                ("head_dim", 256),
            ] {
                if json.get(name).is_none_or(Value::is_null) {
                    json[name] = count.into();
                }
            }
            Cow::Owned(json)
        }
        _ => Cow::Borrowed(json),
    }
}

/// Tokens seen at once. A native sliding window in every layer (Mistral 7B v0.1) is all such a model
/// ever saw.
fn context(config: &Config<'_>, family: &str) -> Result<usize, LoadError> {
    let trained = config.maybe_count(&["max_position_embeddings", "max_seq_len"])?.unwrap_or(2048);
    let slides = config.flag("use_sliding_window", true) && !family.starts_with("gemma");
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

/// What each layer looks at.
fn sights(
    config: &Config<'_>,
    family: &str,
    (n_layers, context): (usize, usize),
    positions: &Positions,
    head_dim: usize,
) -> Result<Vec<Sight>, LoadError> {
    let listed =
        |name: &str, of: &dyn Fn(&Value) -> bool| -> Result<Option<Vec<bool>>, LoadError> {
            let Some(list) = config.get(&[name]).and_then(Value::as_array) else { return Ok(None) };
            if list.len() == n_layers {
                return Ok(Some(list.iter().map(of).collect()));
            }
            let what = format!("has {} entries for {n_layers} layers", list.len());
            Err(LoadError::config(name, what))
        };
    let every = |n: usize| (1..=n_layers).map(|l| l.is_multiple_of(n)).collect::<Vec<_>>();
    match family {
        "smollm3" => {
            let interval = config.maybe_count(&["no_rope_layer_interval"])?.unwrap_or(4);
            // In the list 0 is a layer without rotary embedding.
            let unplaced = listed("no_rope_layers", &|v| v.as_u64() == Some(0))?;
            let unplaced = unplaced.unwrap_or_else(|| every(interval));
            let sight = |is_so| if is_so { Sight::Unplaced } else { Sight::Whole };
            Ok(unplaced.into_iter().map(sight).collect())
        }
        "gemma2" | "gemma3_text" => {
            let (window, pattern) = if family == "gemma2" { (4096, 2) } else { (4096, 6) };
            let window = config.maybe_count(&["sliding_window"])?.unwrap_or(window);
            let pattern = config
                .maybe_count(&["sliding_window_pattern", "_sliding_window_pattern"])?
                .unwrap_or(pattern);
            let whole = listed("layer_types", &|v| v.as_str() == Some("full_attention"))?;
            let whole = whole.unwrap_or_else(|| every(pattern));
            let rope = match (family, positions) {
                ("gemma2", Positions::Rope(rope)) => rope.clone(),
                _ => config.local_rope(head_dim)?,
            };
            let window = NonZeroUsize::new(window.min(context)).unwrap_or(NonZeroUsize::MIN);
            let sight = |is_whole| {
                if is_whole { Sight::Whole } else { Sight::Native { window, rope: rope.clone() } }
            };
            Ok(whole.into_iter().map(sight).collect())
        }
        _ => Ok(vec![Sight::Whole; n_layers]),
    }
}

/// How positions are told, and how many tokens can be told apart, where that is fewer than the
/// configuration says.
fn positions(
    config: &Config<'_>,
    family: &str,
    n_heads: usize,
    head_dim: usize,
    remarks: &mut Vec<String>,
) -> Result<(Positions, Option<usize>), LoadError> {
    match family {
        "mpt" => {
            let inner = config.get(&["attn_config"]).map(|json| Config { json });
            let asked = inner.as_ref().is_none_or(|c| c.flag("alibi", true));
            if inner.as_ref().is_some_and(|c| c.flag("rope", false)) {
                return Err(LoadError::config(
                    "rope",
                    "is true: MPT with rotary embeddings is not supported",
                ));
            }
            if inner.as_ref().is_none_or(|c| c.get(&["alibi"]).is_none()) {
                let remark = "nothing is said of how positions are told: by ALiBi, as in the models of this family that were published";
                remarks.push(remark.to_owned());
            }
            if !asked {
                return Err(LoadError::Unstreamable { what: "learned absolute positions" });
            }
            let max_bias = inner.map_or(Ok(8.0), |c| c.number(&["alibi_bias_max"], 8.0))?;
            #[expect(clippy::cast_possible_truncation, reason = "a small whole number")]
            Ok((Positions::alibi(n_heads, max_bias as f32), None))
        }
        "falcon" if config.flag("alibi", false) => Err(LoadError::config(
            "alibi",
            "is true: Falcon with ALiBi (the RW models) is not supported",
        )),
        _ => {
            let partial = if family == "gpt_neox" { 0.25 } else { 1.0 };
            let theta = if family == "gemma3_text" { 1e6 } else { 10_000.0 };
            let Regime { rope, remark, context } = config.rope(head_dim, partial, theta)?;
            remarks.extend(remark);
            Ok((Positions::Rope(rope), context))
        }
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
        "gemma2" | "gemma3_text" => Residual::Sandwich,
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
