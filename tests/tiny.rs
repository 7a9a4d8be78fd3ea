//! A tiny model with random weights and a tokenizer of bytes, made when a test needs one: the whole
//! program runs on it in a moment. What it writes is noise; that it is written, cited and counted
//! rightly is what is tested.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};
use serde_json::{Value, json};

const N_EMBD: usize = 32;
const N_FF: usize = 48;
const N_LAYERS: usize = 2;
/// Special tokens, from the first id after the 256 bytes on.
const SPECIALS: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
pub const CONTEXT: usize = 4096;

/// Writes the model into a folder.
pub fn write(dir: &Path) {
    let n_vocab = 256 + SPECIALS.len();
    let config = json!({
        "model_type": "llama", "hidden_size": N_EMBD, "intermediate_size": N_FF,
        "num_hidden_layers": N_LAYERS, "num_attention_heads": 4, "num_key_value_heads": 2,
        "vocab_size": n_vocab, "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "tie_word_embeddings": true, "eos_token_id": 258,
    });
    fs::write(dir.join("config.json"), config.to_string()).unwrap();
    fs::write(dir.join("tokenizer.json"), tokenizer().to_string()).unwrap();
    let template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
        {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    fs::write(dir.join("tokenizer_config.json"), json!({ "chat_template": template }).to_string())
        .unwrap();
    candle_core::safetensors::save(&weights(n_vocab), dir.join("model.safetensors")).unwrap();
}

/// A byte-level vocabulary without merges: every byte is a token.
pub fn tokenizer() -> Value {
    let mut vocab = serde_json::Map::new();
    for (id, letter) in byte_letters().into_iter().enumerate() {
        vocab.insert(letter.to_string(), id.into());
    }
    let added: Vec<Value> = SPECIALS
        .iter()
        .enumerate()
        .map(|(k, content)| {
            json!({ "id": 256 + k, "content": content, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": true })
        })
        .collect();
    let bytes = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null, "pre_tokenizer": bytes, "post_processor": null, "decoder": bytes,
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                   "vocab": vocab, "merges": [] },
    })
}

/// The letter that byte-level vocabularies write for each byte: printable ones for themselves.
fn byte_letters() -> Vec<char> {
    let mut next = 256;
    (0..=255u8)
        .map(|byte| match byte {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
            _ => {
                next += 1;
                char::from_u32(next - 1).unwrap()
            }
        })
        .collect()
}

fn weights(n_vocab: usize) -> HashMap<String, Tensor> {
    let mut state = 1u64;
    let mut random = |shape: &[usize]| {
        let n: usize = shape.iter().product();
        let values: Vec<f32> = (0..n)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 0.6
            })
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    };
    let ones = Tensor::ones(N_EMBD, candle_core::DType::F32, &Device::Cpu).unwrap();
    let mut tensors = HashMap::from([
        ("model.embed_tokens.weight".to_owned(), random(&[n_vocab, N_EMBD])),
        ("model.norm.weight".to_owned(), ones.clone()),
    ]);
    for l in 0..N_LAYERS {
        let name = |part: &str| format!("model.layers.{l}.{part}.weight");
        for (part, shape) in [
            ("self_attn.q_proj", [N_EMBD, N_EMBD]),
            ("self_attn.k_proj", [N_EMBD / 2, N_EMBD]),
            ("self_attn.v_proj", [N_EMBD / 2, N_EMBD]),
            ("self_attn.o_proj", [N_EMBD, N_EMBD]),
            ("mlp.gate_proj", [N_FF, N_EMBD]),
            ("mlp.up_proj", [N_FF, N_EMBD]),
            ("mlp.down_proj", [N_EMBD, N_FF]),
        ] {
            tensors.insert(name(part), random(&shape));
        }
        tensors.insert(name("input_layernorm"), ones.clone());
        tensors.insert(name("post_attention_layernorm"), ones.clone());
    }
    tensors
}
