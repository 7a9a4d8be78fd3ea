//! How fast a real model reads and writes: `cargo bench --bench decoder -- MODEL.gguf [N_TIMES]`;
//! threads as `RAYON_NUM_THREADS` says.
//!
//! Prints JSON: tokens per second of feeding 512 tokens to an empty stream and of generating 128
//! after 16, each time, so that a script can put another program beside it in the same run.

#![allow(clippy::cast_precision_loss, clippy::print_stdout, reason = "a benchmark's business")]

use std::path::Path;
use std::time::Instant;

use candle_core::Device;
use longsum::cache::Layout;
use longsum::load::Loaded;
use longsum::model::{LanguageModel, Want};

const N_PROMPT: usize = 512;
const N_START: usize = 16;
const N_GENERATED: usize = 128;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let Some(model) = args.first() else {
        eprintln!("skipped: name a GGUF file to measure");
        return Ok(());
    };
    let n_times: usize = args.get(1).map_or(Ok(5), |n| n.parse())?;
    let loaded = Loaded::open(Path::new(model), &Device::Cpu)?;
    let decoder = &loaded.decoder;
    let n_vocab = u32::try_from(decoder.spec().n_vocab)?;
    let ids: Vec<u32> =
        (0..2 * N_PROMPT as u32).map(|i| (i * 7919 + i * i * 31 + 100) % n_vocab).collect();
    let mut cache = decoder.new_cache(Layout::new(4, 2044, N_PROMPT)?)?;
    let (mut prefill, mut decode) = (Vec::new(), Vec::new());
    for _ in 0..n_times {
        cache.begin(0)?;
        let started = Instant::now();
        decoder.forward(&ids[..N_PROMPT], &mut cache, Want::Last)?;
        prefill.push(N_PROMPT as f64 / started.elapsed().as_secs_f64());

        cache.begin(0)?;
        decoder.forward(&ids[..N_START], &mut cache, Want::Last)?;
        let started = Instant::now();
        for id in &ids[N_START..N_START + N_GENERATED] {
            decoder.forward(&[*id], &mut cache, Want::Last)?;
        }
        decode.push(N_GENERATED as f64 / started.elapsed().as_secs_f64());
    }
    println!("{}", serde_json::json!({ "prefill": prefill, "decode": decode }));
    Ok(())
}
