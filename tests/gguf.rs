//! Models in GGUF files: the golden ones, written by the conventions of llama.cpp, give the same logits
//! as from safetensors.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use longsum::cache::Layout;
use longsum::load::Gguf;
use longsum::model::{Decoder, LanguageModel, Want};

/// What llama.cpp calls the modules of a layer.
const MODULES: [(&str, &str); 14] = [
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.qkv_proj", "attn_qkv"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("self_attn.o_proj", "attn_output"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.gate_up_proj", "ffn_up"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("input_layernorm", "attn_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
];

fn name(theirs: &str, is_gemma: bool) -> String {
    if let Some(module) = theirs.strip_suffix(".bias") {
        return name(&format!("{module}.weight"), is_gemma).replace(".weight", ".bias");
    }
    let module = theirs.strip_suffix(".weight").unwrap();
    match module {
        "model.embed_tokens" => return "token_embd.weight".to_owned(),
        "model.norm" => return "output_norm.weight".to_owned(),
        "lm_head" => return "output.weight".to_owned(),
        _ => {}
    }
    let (layer, inner) = module.strip_prefix("model.layers.").unwrap().split_once('.').unwrap();
    let ours = match inner {
        "post_attention_layernorm" if is_gemma => "post_attention_norm",
        "post_attention_layernorm" => "ffn_norm",
        _ => MODULES.iter().find(|(theirs, _)| *theirs == inner).unwrap().1,
    };
    format!("blk.{layer}.{ours}.weight")
}

/// Rows of heads so that pairs of rotated elements stand beside each other.
fn interleaved(weight: &Tensor, n_heads: usize) -> Tensor {
    let (n_rows, n_cols) = weight.dims2().unwrap();
    let halves = weight.reshape((n_heads, 2, n_rows / n_heads / 2, n_cols)).unwrap();
    halves.transpose(1, 2).unwrap().contiguous().unwrap().reshape((n_rows, n_cols)).unwrap()
}

/// Writes a golden model as a GGUF file with these metadata, and compares.
fn check(folder: &str, family: &str, metadata: &[(&str, Value)]) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("config.json")).unwrap()).unwrap();
    let is_gemma = family.starts_with("gemma");
    let weights = candle_core::safetensors::load(dir.join("model.safetensors"), &Device::Cpu);
    let mut tensors: HashMap<String, QTensor> = HashMap::new();
    for (theirs, weight) in weights.unwrap() {
        let mut weight = weight.to_dtype(DType::F32).unwrap();
        if is_gemma && weight.rank() == 1 {
            weight = (weight + 1.0).unwrap();
        }
        let n_heads = |name: &str| config[name].as_u64().unwrap() as usize;
        if family == "smollm3" && theirs.ends_with("q_proj.weight") {
            weight = interleaved(&weight, n_heads("num_attention_heads"));
        } else if family == "smollm3" && theirs.ends_with("k_proj.weight") {
            weight = interleaved(&weight, n_heads("num_key_value_heads"));
        }
        // The golden Gemmas divide their scores by the root of 24, files of llama.cpp by that of the
        // width of a head, 16: their queries make up for it.
        let scales = ["self_attn.q_proj.weight", "self_attn.q_norm.weight"];
        if is_gemma && theirs.ends_with(scales[usize::from(family == "gemma3")]) {
            weight = (weight * (16.0f64 / 24.0).sqrt()).unwrap();
        }
        let tensor = QTensor::quantize(&weight, GgmlDType::F32).unwrap();
        tensors.insert(name(&theirs, is_gemma), tensor);
    }
    if let Some(factors) = config["rope_parameters"]["short_factor"].as_array() {
        let factors: Vec<f32> = factors.iter().map(|f| f.as_f64().unwrap() as f32).collect();
        let factors = Tensor::new(factors, &Device::Cpu).unwrap();
        let factors = QTensor::quantize(&factors, GgmlDType::F32).unwrap();
        tensors.insert("rope_factors_short.weight".to_owned(), factors);
    }
    let count = |name: &str| Value::U32(config[name].as_u64().unwrap() as u32);
    let float = |x: f64| Value::F32(x as f32);
    let theta = &config["rope_parameters"];
    let theta = theta.get("full_attention").unwrap_or(theta)["rope_theta"].as_f64().unwrap();
    let mut all: Vec<(String, Value)> = vec![
        ("general.architecture".to_owned(), Value::String(family.to_owned())),
        (format!("{family}.block_count"), count("num_hidden_layers")),
        (format!("{family}.embedding_length"), count("hidden_size")),
        (format!("{family}.feed_forward_length"), count("intermediate_size")),
        (format!("{family}.attention.head_count"), count("num_attention_heads")),
        (format!("{family}.attention.head_count_kv"), count("num_key_value_heads")),
        (format!("{family}.context_length"), count("max_position_embeddings")),
        (format!("{family}.rope.freq_base"), float(theta)),
        (
            format!("{family}.attention.layer_norm_rms_epsilon"),
            float(config["rms_norm_eps"].as_f64().unwrap()),
        ),
    ];
    all.extend(metadata.iter().map(|(name, value)| (format!("{family}.{name}"), value.clone())));
    let file = tempfile::NamedTempFile::new().unwrap();
    let metadata: Vec<(&str, &Value)> =
        all.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let tensors: Vec<(&str, &QTensor)> =
        tensors.iter().map(|(name, t)| (name.as_str(), t)).collect();
    let mut out = File::create(file.path()).unwrap();
    gguf_file::write(&mut out, &metadata, &tensors).unwrap();
    drop(out);

    let gguf = Gguf::open(file.path(), DType::F32, &Device::Cpu).unwrap();
    let decoder = Decoder::new(gguf.spec.clone(), &gguf, DType::F32, &Device::Cpu).unwrap();
    let golden =
        candle_core::safetensors::load(dir.join("golden.safetensors"), &Device::Cpu).unwrap();
    let ids: Vec<u32> = golden["input_ids"].to_dtype(DType::U32).unwrap().to_vec1().unwrap();
    for (setting, n_sink, n_window) in [("dense_logits", 0, 96), ("stream_s4_w12", 4, 12)] {
        let mut cache = decoder.new_cache(Layout::new(n_sink, n_window, 96).unwrap()).unwrap();
        let mut rows = Vec::new();
        let mut rest = &ids[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(cache.fit(rest.len()));
            rows.push(decoder.forward(now, &mut cache, Want::All).unwrap());
            rest = later;
        }
        let logits = Tensor::cat(&rows, 0).unwrap();
        let gap = (logits - &golden[setting]).unwrap().abs().unwrap().max_all().unwrap();
        let gap: f32 = gap.to_scalar().unwrap();
        assert!(gap < 1e-3, "{folder}, {setting}: {gap}");
    }
}

#[test]
fn phi_3() {
    check("phi3", "phi3", &[("rope.dimension_count", Value::U32(6))]);
    let factor = (1.0 + 4f64.ln() / 128f64.ln()).sqrt();
    check(
        "phi3_longrope",
        "phi3",
        &[
            ("rope.scaling.original_context_length", Value::U32(128)),
            ("rope.scaling.attn_factor", Value::F32(factor as f32)),
        ],
    );
}

#[test]
fn gemma_2() {
    check(
        "gemma2",
        "gemma2",
        &[
            ("attention.key_length", Value::U32(16)),
            ("attention.sliding_window", Value::U32(10)),
            ("attn_logit_softcapping", Value::F32(5.0)),
            ("final_logit_softcapping", Value::F32(30.0)),
        ],
    );
}

#[test]
fn gemma_3() {
    check(
        "gemma3",
        "gemma3",
        &[
            ("attention.key_length", Value::U32(16)),
            ("attention.sliding_window", Value::U32(10)),
            ("attention.sliding_window_pattern", Value::U32(2)),
            ("rope.scaling.type", Value::String("linear".to_owned())),
            ("rope.scaling.factor", Value::F32(8.0)),
        ],
    );
}

#[test]
fn smollm_3() {
    check("smollm3", "smollm3", &[]);
}

#[test]
fn models_without_surprises() {
    check("qwen2", "qwen2", &[]);
    check("qwen3", "qwen3", &[("attention.key_length", Value::U32(16))]);
}
