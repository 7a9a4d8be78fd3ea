//! Compares the decoder with golden logits.
//!
//! `cargo run --release --example golden -- DIR…`: each folder has `config.json`,
//! `model.safetensors` and `golden.safetensors` with `input_ids [T]`, `dense_logits [T, V]` and any
//! number of `stream_s{S}_w{W} [T, V]`. Prints family, setting, chunk size and the largest
//! difference; ends with 1 if one is above 1e-3 or a folder cannot be compared.

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

use candle_core::{DType, Device, Tensor};
use longsum::cache::Layout;
use longsum::load::Folder;
use longsum::model::{Decoder, LanguageModel, Want};

const TOLERANCE: f32 = 1e-3;
const CHUNKS: [usize; 5] = [1, 3, 7, 16, 64];

type AnyError = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let dirs: Vec<String> = std::env::args().skip(1).collect();
    if dirs.is_empty() {
        eprintln!("usage: golden DIR…");
        return ExitCode::from(2);
    }
    let mut good = true;
    for dir in &dirs {
        match compare(Path::new(dir)) {
            Ok(within) => good &= within,
            Err(error) => {
                eprintln!("error: {dir}: {error}");
                good = false;
            }
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

pub fn compare(dir: &Path) -> Result<bool, AnyError> {
    let folder = Folder::open(dir, DType::F32, &Device::Cpu)?;
    let family = folder.spec.family.clone();
    let decoder = Decoder::new(folder.spec.clone(), &folder, DType::F32, &Device::Cpu)?;
    let golden = candle_core::safetensors::load(dir.join("golden.safetensors"), &Device::Cpu)?;
    let ids: Vec<u32> = golden
        .get("input_ids")
        .ok_or("golden.safetensors has no input_ids")?
        .to_dtype(DType::U32)?
        .to_vec1()?;
    let mut good = true;
    for (name, n_sink, n_window) in settings(&golden, ids.len())? {
        for n_chunk in CHUNKS.into_iter().chain([ids.len()]) {
            let layout = Layout::new(n_sink, n_window, n_chunk)?;
            let logits = logits(&decoder, &ids, layout)?;
            let diff = (&logits - &golden[&name])?.abs()?.max_all()?.to_scalar::<f32>()?;
            let within = diff < TOLERANCE; // false for NaN
            good &= within;
            let verdict = if within { "ok" } else { "TOO FAR" };
            println!("{family:<10} {name:<14} chunk {n_chunk:>4}  {diff:.2e}  {verdict}");
        }
    }
    Ok(good)
}

/// Every setting that the file has logits for: its name, sinks and window.
fn settings(
    golden: &HashMap<String, Tensor>,
    n_ids: usize,
) -> Result<Vec<(String, usize, usize)>, AnyError> {
    let mut settings = Vec::new();
    for name in golden.keys() {
        if name == "dense_logits" {
            settings.push((name.clone(), 0, n_ids));
        } else if let Some(rest) = name.strip_prefix("stream_s") {
            let (s, w) =
                rest.split_once("_w").ok_or_else(|| format!("`{name}` names no window"))?;
            settings.push((name.clone(), s.parse()?, w.parse()?));
        }
    }
    settings.sort();
    if settings.is_empty() { Err("golden.safetensors has no logits".into()) } else { Ok(settings) }
}

/// Logits of all tokens, `[T, V]`, fed chunk by chunk.
fn logits(decoder: &Decoder, ids: &[u32], layout: Layout) -> Result<Tensor, AnyError> {
    let mut cache = decoder.new_cache(layout)?;
    let mut rest = ids;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(cache.fit(rest.len()));
        parts.push(decoder.forward(now, &mut cache, Want::All)?);
        rest = later;
    }
    Ok(Tensor::cat(&parts, 0)?)
}
