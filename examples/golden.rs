//! Compares the decoder with golden logits.
//!
//! `cargo run --release --example golden -- [--device DEVICE] [--dtype TYPE] DIR…`: each folder has
//! `config.json`, `model.safetensors` and `golden.safetensors` with `input_ids [T]`,
//! `dense_logits [T, V]` and any number of `stream_s{S}_w{W} [T, V]`. Prints family, setting, chunk size
//! and the largest difference; ends with 1 if one is above the tolerance of the type or a folder cannot
//! be compared.

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

use candle_core::{DType, Device, Tensor};
use longsum::cache::Layout;
use longsum::device;
use longsum::load::Folder;
use longsum::model::{Decoder, LanguageModel, Want};

/// How far logits may be from the golden ones: the largest difference; in sixteen bits, as a share of
/// their spread, the spread of the differences.
fn tolerance(dtype: DType) -> f32 {
    match dtype {
        DType::F16 => 0.02,
        DType::BF16 => 0.1,
        _ => 1e-3,
    }
}

fn distance(logits: &Tensor, golden: &Tensor, dtype: DType) -> Result<f32, candle_core::Error> {
    let diff = (logits - golden)?;
    let spread = |x: &Tensor| x.sqr()?.mean_all()?.sqrt()?.to_scalar::<f32>();
    match dtype {
        DType::F16 | DType::BF16 => Ok(spread(&diff)? / spread(golden)?),
        _ => diff.abs()?.max_all()?.to_scalar(),
    }
}

const CHUNKS: [usize; 5] = [1, 3, 7, 16, 64];

type AnyError = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let (device, dtype, dirs) = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error}\nusage: golden [--device DEVICE] [--dtype TYPE] DIR…");
            return ExitCode::from(2);
        }
    };
    let mut good = true;
    for dir in &dirs {
        match compare(Path::new(dir), dtype, &device) {
            Ok(within) => good &= within,
            Err(error) => {
                eprintln!("error: {dir}: {error}");
                good = false;
            }
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The device, the number type and the folders.
fn arguments() -> Result<(Device, DType, Vec<String>), AnyError> {
    let (mut choice, mut dtype, mut dirs) = (device::Choice::Cpu, DType::F32, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--device" => choice = arguments.next().unwrap_or_default().parse()?,
            "--dtype" => dtype = arguments.next().unwrap_or_default().parse()?,
            _ => dirs.push(argument),
        }
    }
    if dirs.is_empty() {
        return Err("no folder is named".into());
    }
    let (device, _) = device::open(choice).map_err(|e| format!("{e} ({})", e.hint()))?;
    Ok((device, dtype, dirs))
}

/// Whether all logits of a decoder in this type on this device are as they should be.
///
/// Only f32 on the CPU has kernels of its own; every other type goes the way of every other device.
pub fn compare(dir: &Path, dtype: DType, device: &Device) -> Result<bool, AnyError> {
    let folder = Folder::open(dir, dtype, device)?;
    let family = folder.spec.family.clone();
    let decoder = Decoder::new(folder.spec.clone(), &folder, dtype, device)?;
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
            let logits = logits(&decoder, &ids, layout)?.to_device(&Device::Cpu)?;
            let diff = distance(&logits, &golden[&name], dtype)?;
            let within = diff < tolerance(dtype); // false for NaN
            good &= within;
            let verdict = if within { "ok" } else { "TOO FAR" };
            let dtype = dtype.as_str();
            println!("{family:<10} {dtype} {name:<14} chunk {n_chunk:>4}  {diff:.2e}  {verdict}");
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
