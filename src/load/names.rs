//! What files call the parts of a decoder.

use std::ops::Range;

use crate::model::{Part, Spec};

/// Where a part lies in a Hugging Face file: a tensor and, where several parts are fused, its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name of the module; its tensors are `{module}.weight` and perhaps `{module}.bias`.
    pub module: String,
    /// Rows that belong to the part, in order; `None` for all.
    pub rows: Option<Vec<Range<usize>>>,
}

/// Where Hugging Face keeps this part, if the family has it.
#[must_use]
pub fn hugging_face(spec: &Spec, part: Part, layer: usize) -> Option<Place> {
    let (root, inner) = match spec.family.as_str() {
        "gpt_neox" => gpt_neox(part),
        "falcon" => falcon(spec, part),
        "mpt" => mpt(part),
        "phi3" => phi3(part),
        "gemma2" | "gemma3_text" => gemma(part),
        _ => llama(part),
    }?;
    let module = match root {
        Root::Top => inner.to_owned(),
        Root::Layers(prefix) => format!("{prefix}.{layer}.{inner}"),
    };
    Some(Place { module, rows: fused_rows(spec, part) })
}

/// Where GGUF keeps this part.
#[must_use]
pub fn gguf(spec: &Spec, part: Part, layer: usize) -> Place {
    let top = |name: &str| Place { module: name.to_owned(), rows: None };
    let inner = match part {
        Part::Embedding => return top("token_embd"),
        Part::FinalNorm => return top("output_norm"),
        Part::Head => return top("output"),
        Part::Query | Part::Key | Part::Value if spec.family == "phi3" => "attn_qkv",
        Part::Gate | Part::Up if spec.family == "phi3" => "ffn_up",
        Part::AttentionNorm => "attn_norm",
        Part::AfterAttentionNorm => "post_attention_norm",
        Part::Query => "attn_q",
        Part::Key => "attn_k",
        Part::Value => "attn_v",
        Part::QueryNorm => "attn_q_norm",
        Part::KeyNorm => "attn_k_norm",
        Part::Output => "attn_output",
        Part::MlpNorm => "ffn_norm",
        Part::AfterMlpNorm => "post_ffw_norm",
        Part::Gate => "ffn_gate",
        Part::Up => "ffn_up",
        Part::Down => "ffn_down",
    };
    Place { module: format!("blk.{layer}.{inner}"), rows: fused_rows(spec, part) }
}

enum Root {
    Top,
    Layers(&'static str),
}

fn llama(part: Part) -> Option<(Root, &'static str)> {
    let inner = match part {
        Part::Embedding => return Some((Root::Top, "model.embed_tokens")),
        Part::FinalNorm => return Some((Root::Top, "model.norm")),
        Part::Head => return Some((Root::Top, "lm_head")),
        Part::AttentionNorm => "input_layernorm",
        Part::Query => "self_attn.q_proj",
        Part::Key => "self_attn.k_proj",
        Part::Value => "self_attn.v_proj",
        Part::QueryNorm => "self_attn.q_norm",
        Part::KeyNorm => "self_attn.k_norm",
        Part::Output => "self_attn.o_proj",
        Part::MlpNorm => "post_attention_layernorm",
        Part::Gate => "mlp.gate_proj",
        Part::Up => "mlp.up_proj",
        Part::Down => "mlp.down_proj",
        Part::AfterAttentionNorm | Part::AfterMlpNorm => return None,
    };
    Some((Root::Layers("model.layers"), inner))
}

fn phi3(part: Part) -> Option<(Root, &'static str)> {
    let inner = match part {
        Part::Query | Part::Key | Part::Value => "self_attn.qkv_proj",
        Part::Gate | Part::Up => "mlp.gate_up_proj",
        other => return llama(other),
    };
    Some((Root::Layers("model.layers"), inner))
}

fn gemma(part: Part) -> Option<(Root, &'static str)> {
    let inner = match part {
        Part::AfterAttentionNorm => "post_attention_layernorm",
        Part::MlpNorm => "pre_feedforward_layernorm",
        Part::AfterMlpNorm => "post_feedforward_layernorm",
        other => return llama(other),
    };
    Some((Root::Layers("model.layers"), inner))
}

/// What is added to the weights of norms as Hugging Face keeps them.
#[must_use]
pub fn norm_offset(spec: &Spec) -> f64 {
    if spec.family.starts_with("gemma") { 1.0 } else { 0.0 }
}

fn gpt_neox(part: Part) -> Option<(Root, &'static str)> {
    let inner = match part {
        Part::Embedding => return Some((Root::Top, "gpt_neox.embed_in")),
        Part::FinalNorm => return Some((Root::Top, "gpt_neox.final_layer_norm")),
        Part::Head => return Some((Root::Top, "embed_out")),
        Part::AttentionNorm => "input_layernorm",
        Part::Query | Part::Key | Part::Value => "attention.query_key_value",
        Part::Output => "attention.dense",
        Part::MlpNorm => "post_attention_layernorm",
        Part::Up => "mlp.dense_h_to_4h",
        Part::Down => "mlp.dense_4h_to_h",
        Part::QueryNorm
        | Part::KeyNorm
        | Part::Gate
        | Part::AfterAttentionNorm
        | Part::AfterMlpNorm => return None,
    };
    Some((Root::Layers("gpt_neox.layers"), inner))
}

fn falcon(spec: &Spec, part: Part) -> Option<(Root, &'static str)> {
    let two_norms = spec.residual == crate::model::Residual::Parallel;
    let inner = match part {
        Part::Embedding => return Some((Root::Top, "transformer.word_embeddings")),
        Part::FinalNorm => return Some((Root::Top, "transformer.ln_f")),
        Part::Head => return Some((Root::Top, "lm_head")),
        Part::AttentionNorm if two_norms => "ln_attn",
        Part::MlpNorm if two_norms => "ln_mlp",
        Part::AttentionNorm => "input_layernorm",
        Part::MlpNorm => "post_attention_layernorm",
        Part::Query | Part::Key | Part::Value => "self_attention.query_key_value",
        Part::Output => "self_attention.dense",
        Part::Up => "mlp.dense_h_to_4h",
        Part::Down => "mlp.dense_4h_to_h",
        Part::QueryNorm
        | Part::KeyNorm
        | Part::Gate
        | Part::AfterAttentionNorm
        | Part::AfterMlpNorm => return None,
    };
    Some((Root::Layers("transformer.h"), inner))
}

fn mpt(part: Part) -> Option<(Root, &'static str)> {
    let inner = match part {
        Part::Embedding => return Some((Root::Top, "transformer.wte")),
        Part::FinalNorm => return Some((Root::Top, "transformer.norm_f")),
        Part::Head => return Some((Root::Top, "lm_head")),
        Part::AttentionNorm => "norm_1",
        Part::Query | Part::Key | Part::Value => "attn.Wqkv",
        Part::Output => "attn.out_proj",
        Part::MlpNorm => "norm_2",
        Part::Up => "ffn.up_proj",
        Part::Down => "ffn.down_proj",
        Part::QueryNorm
        | Part::KeyNorm
        | Part::Gate
        | Part::AfterAttentionNorm
        | Part::AfterMlpNorm => return None,
    };
    Some((Root::Layers("transformer.blocks"), inner))
}

/// The rows of a fused matrix that belong to a part.
fn fused_rows(spec: &Spec, part: Part) -> Option<Vec<Range<usize>>> {
    let one = |range: Range<usize>| Some(vec![range]);
    let which = match part {
        Part::Gate if spec.family == "phi3" => return one(0..spec.n_ff),
        Part::Up if spec.family == "phi3" => return one(spec.n_ff..2 * spec.n_ff),
        Part::Query => 0,
        Part::Key => 1,
        Part::Value => 2,
        _ => return None,
    };
    let (h, g, d) = (spec.n_heads, spec.n_kv_heads, spec.head_dim);
    match spec.family.as_str() {
        // Every group of heads has its queries, then its key, then its value; where each query
        // head has a key of its own a group is one head.
        "gpt_neox" | "falcon" => {
            let group = h / g;
            let stride = group + 2;
            let (skip, take) = [(0, group), (group, 1), (group + 1, 1)][which];
            Some((0..g).map(|k| (k * stride + skip) * d..(k * stride + skip + take) * d).collect())
        }
        // All queries, all keys, all values.
        "mpt" | "phi3" => {
            let ends = [0, h * d, (h + g) * d, (h + 2 * g) * d];
            one(ends[which]..ends[which + 1])
        }
        _ => None,
    }
}
