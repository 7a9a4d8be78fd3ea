//! Short names of well-known models, with what can be said of them before they are downloaded.

use serde_json::Value;

use super::{LoadError, config};
use crate::model::Spec;

/// A model that has a short name.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// The short name.
    pub name: &'static str,
    /// Its repository on the Hugging Face hub. Weights there are bf16.
    pub repo: &'static str,
    /// Its licence.
    pub licence: &'static str,
    /// Whether the hub asks to agree to the licence first, which takes an account and `HF_TOKEN`.
    pub is_gated: bool,
    /// What of its `config.json` decides its shape.
    config: &'static str,
}

const LLAMA_3_2: &str = "Llama 3.2 Community License";
const GEMMA: &str = "Gemma Terms of Use";

/// All of them, the smallest first.
#[rustfmt::skip]
pub const KNOWN: [Known; 13] = [
    Known { name: "smollm2-135m", repo: "HuggingFaceTB/SmolLM2-135M-Instruct", licence: "Apache-2.0", is_gated: false,
        config: r#"{"model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "intermediate_size": 1536, "vocab_size": 49152, "max_position_embeddings": 8192, "tie_word_embeddings": true}"# },
    Known { name: "smollm2-360m", repo: "HuggingFaceTB/SmolLM2-360M-Instruct", licence: "Apache-2.0", is_gated: false,
        config: r#"{"model_type": "llama", "hidden_size": 960, "num_hidden_layers": 32, "num_attention_heads": 15, "num_key_value_heads": 5, "intermediate_size": 2560, "vocab_size": 49152, "max_position_embeddings": 8192, "tie_word_embeddings": true}"# },
    Known { name: "qwen3-0.6b", repo: "Qwen/Qwen3-0.6B", licence: "Apache-2.0", is_gated: false,
        config: r#"{"model_type": "qwen3", "hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 3072, "vocab_size": 151936, "max_position_embeddings": 40960, "tie_word_embeddings": true}"# },
    Known { name: "gemma3-1b", repo: "google/gemma-3-1b-it", licence: GEMMA, is_gated: true,
        config: r#"{"model_type": "gemma3_text", "hidden_size": 1152, "num_hidden_layers": 26, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256, "intermediate_size": 6912, "vocab_size": 262144, "max_position_embeddings": 32768, "sliding_window": 512}"# },
    Known { name: "llama3.2-1b", repo: "meta-llama/Llama-3.2-1B-Instruct", licence: LLAMA_3_2, is_gated: true,
        config: r#"{"model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 8192, "vocab_size": 128256, "max_position_embeddings": 131072, "tie_word_embeddings": true}"# },
    Known { name: "smollm2-1.7b", repo: "HuggingFaceTB/SmolLM2-1.7B-Instruct", licence: "Apache-2.0", is_gated: false,
        config: r#"{"model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 32, "num_key_value_heads": 32, "intermediate_size": 8192, "vocab_size": 49152, "max_position_embeddings": 8192, "tie_word_embeddings": true}"# },
    Known { name: "qwen3-1.7b", repo: "Qwen/Qwen3-1.7B", licence: "Apache-2.0", is_gated: false,
        config: r#"{"model_type": "qwen3", "hidden_size": 2048, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 6144, "vocab_size": 151936, "max_position_embeddings": 40960, "tie_word_embeddings": true}"# },
    Known { name: "smollm3", repo: "HuggingFaceTB/SmolLM3-3B", licence: "Apache-2.0", is_gated: false,
        config: r#"{"model_type": "smollm3", "hidden_size": 2048, "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 4, "intermediate_size": 11008, "vocab_size": 128256, "max_position_embeddings": 65536, "tie_word_embeddings": true}"# },
    Known { name: "llama3.2-3b", repo: "meta-llama/Llama-3.2-3B-Instruct", licence: LLAMA_3_2, is_gated: true,
        config: r#"{"model_type": "llama", "hidden_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 24, "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 8192, "vocab_size": 128256, "max_position_embeddings": 131072, "tie_word_embeddings": true}"# },
    Known { name: "phi4-mini", repo: "microsoft/Phi-4-mini-instruct", licence: "MIT", is_gated: false,
        config: r#"{"model_type": "phi3", "hidden_size": 3072, "num_hidden_layers": 32, "num_attention_heads": 24, "num_key_value_heads": 8, "intermediate_size": 8192, "vocab_size": 200064, "max_position_embeddings": 4096, "tie_word_embeddings": true}"# },
    Known { name: "gemma3-4b", repo: "google/gemma-3-4b-it", licence: GEMMA, is_gated: true,
        config: r#"{"model_type": "gemma3_text", "hidden_size": 2560, "num_hidden_layers": 34, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "intermediate_size": 10240, "vocab_size": 262208, "max_position_embeddings": 131072, "sliding_window": 1024}"# },
    Known { name: "qwen3-4b", repo: "Qwen/Qwen3-4B", licence: "Apache-2.0", is_gated: false,
        config: r#"{"model_type": "qwen3", "hidden_size": 2560, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 9728, "vocab_size": 151936, "max_position_embeddings": 40960, "tie_word_embeddings": true}"# },
    Known { name: "qwen3-8b", repo: "Qwen/Qwen3-8B", licence: "Apache-2.0", is_gated: false,
        config: r#"{"model_type": "qwen3", "hidden_size": 4096, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 12288, "vocab_size": 151936, "max_position_embeddings": 40960, "tie_word_embeddings": false}"# },
];

impl Known {
    /// The model of this short name.
    #[must_use]
    pub fn of(name: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.name == name)
    }

    /// What it is made of.
    ///
    /// # Errors
    /// None that a test would not find: it reads all of them.
    pub fn spec(&self) -> Result<Spec, LoadError> {
        let json: Value = serde_json::from_str(self.config)
            .map_err(|e| LoadError::config(self.name, e.to_string()))?;
        config::parse(&json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Layout;
    use crate::measure::{STORAGES, memory};

    #[test]
    fn every_model_has_as_many_weights_as_its_makers_say() {
        // Millions, as the models' cards have them or as their tensors add up.
        let said = [
            134.5, 361.8, 596.0, 999.9, 1235.8, 1711.4, 1720.6, 3075.1, 3212.7, 3836.0, 3880.1,
            4022.5, 8190.7,
        ];
        let layout = Layout::new(4, 1024, 1024).unwrap();
        for (known, said) in KNOWN.iter().zip(said) {
            let n = memory(&known.spec().unwrap(), &layout, STORAGES[2], 4, 1).n_params;
            #[expect(clippy::cast_precision_loss, reason = "counts of weights")]
            let millions = n as f64 / 1e6;
            assert!((millions / said - 1.0).abs() < 2e-3, "{}: {millions}", known.name);
        }
    }
}
