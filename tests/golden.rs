//! The decoder against the numbers of Hugging Face and of a slow oracle: see `tests/golden/`.

use std::path::Path;

use candle_core::{DType, Device};

use crate::golden_example::compare;

/// In f32 by the kernels of the CPU; then by plain tensor operations, which are those of every other
/// device: in f64, which has no kernels here, to see that they compute the same, and in the two types
/// that GPUs are used with.
fn check(family: &str) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(family);
    for dtype in [DType::F32, DType::F64, DType::F16, DType::BF16] {
        assert!(
            compare(&dir, dtype, &Device::Cpu).unwrap(),
            "{family} in {}: a difference above the tolerance, see the table above",
            dtype.as_str()
        );
    }
}

#[test]
fn llama_2() {
    check("llama2");
}

#[test]
fn llama_3_with_scaled_rope_and_tied_embeddings() {
    check("llama3");
}

#[test]
fn mistral() {
    check("mistral");
}

#[test]
fn qwen_2_with_biases() {
    check("qwen2");
}

#[test]
fn qwen_3_with_normalized_heads() {
    check("qwen3");
}

#[test]
fn pythia_with_partial_rotary_and_parallel_residual() {
    check("pythia");
}

#[test]
fn falcon_7b_with_one_key_head() {
    check("falcon7b");
}

#[test]
fn falcon_40b_with_groups_and_two_norms() {
    check("falcon40b");
}

#[test]
fn mpt_with_alibi() {
    check("mpt");
}

#[test]
fn smollm_3_with_layers_without_rotary() {
    check("smollm3");
}

#[test]
fn phi_3_with_fused_matrices() {
    check("phi3");
}

#[test]
fn phi_3_with_long_rope() {
    check("phi3_longrope");
}

#[test]
fn gemma_2_with_capped_scores_and_windows_of_its_own() {
    check("gemma2");
}

#[test]
fn gemma_3_with_two_rotary_embeddings() {
    check("gemma3");
}
