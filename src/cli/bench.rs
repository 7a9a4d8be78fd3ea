//! `longsum bench`: how long a token takes here, with a stream and with its window computed anew.

use std::fmt::Write;

use anyhow::Result;
use candle_core::{DType, Device};
use longsum::batch::{Input, Output};
use longsum::load::config;
use longsum::measure::{Attention, RandomWeights, Time, time_per_token};
use longsum::memory;
use longsum::model::Decoder;
use longsum::report::plot::{Line, Plot};
use serde::Serialize;

use super::args::{Bench, EvalFormat, Loudness};
use super::exit::Exit;
use super::progress::Progress;

#[derive(Debug, Serialize)]
struct Measured {
    model: String,
    n_threads: usize,
    caches: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Row {
    cache: usize,
    streaming_ms: f64,
    recompute_ms: f64,
    ratio: f64,
    cache_bytes: usize,
}

/// Measures every cache, streaming and re-computation in turn.
pub fn run(args: &Bench, loudness: Loudness) -> Result<Exit> {
    let progress = Progress::new(loudness);
    let (decoder, model) = match &args.random_weights {
        Some(path) => {
            let spec = config::read(path)?;
            let weights = RandomWeights {
                spec: spec.clone(),
                eight_bits: args.eight_bits,
                dtype: DType::BF16,
            };
            let make = || Decoder::new(spec, &weights, DType::F32, &Device::Cpu);
            let decoder = progress.while_loading("random weights", make)?;
            (decoder, format!("random weights of {}", path.display()))
        }
        None => (super::load(&args.model, &progress)?.0.decoder, args.model.clone()),
    };
    let bar = progress.set("measuring", args.cache.len());
    let mut caches = Vec::new();
    for cache in args.cache.iter().map(|n| n.get()) {
        let n_sink = args.sinks.min(cache - 1);
        let sinks = Attention::Sinks { n_sink, n_window: cache - n_sink };
        let streaming = time_per_token(&decoder, sinks, args.tokens.get())?;
        let recompute = time_per_token(
            &decoder,
            Attention::Recompute { n_window: cache },
            args.recomputed.get(),
        )?;
        caches.push(row(cache, &streaming, &recompute));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let measured = Measured {
        model,
        n_threads: std::thread::available_parallelism().map_or(1, usize::from),
        caches,
        peak_memory_bytes: memory::peak_bytes(),
    };
    if let Some(path) = &args.svg {
        let output = Output::new(Some(path), &[], &[], "svg")?;
        output.write(&Input::Stdin, plot(&measured).svg().as_bytes())?;
    }
    let text = match args.format {
        EvalFormat::Table => table(&measured),
        EvalFormat::Json => serde_json::to_string_pretty(&measured)? + "\n",
    };
    longsum::batch::output::to_stdout(text.as_bytes())?;
    Ok(Exit::Done)
}

fn row(cache: usize, streaming: &Time, recompute: &Time) -> Row {
    let ms = |time: &Time| time.token.as_secs_f64() * 1e3;
    Row {
        cache,
        streaming_ms: ms(streaming),
        recompute_ms: ms(recompute),
        ratio: ms(recompute) / ms(streaming).max(1e-9),
        cache_bytes: streaming.n_cache_bytes,
    }
}

fn table(measured: &Measured) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{:>7} {:>14} {:>14} {:>8} {:>10}",
        "cache", "streaming ms", "recompute ms", "ratio", "cache MB"
    );
    for row in &measured.caches {
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let mb = row.cache_bytes as f64 / 1e6;
        let _ = writeln!(
            text,
            "{:>7} {:>14.2} {:>14.2} {:>8.1} {mb:>10.1}",
            row.cache, row.streaming_ms, row.recompute_ms, row.ratio
        );
    }
    let _ =
        writeln!(text, "one token at a time; {}, {} threads", measured.model, measured.n_threads);
    text
}

/// Time of a token by cache, as the paper's figure 10 has it.
#[expect(clippy::cast_precision_loss, reason = "sizes of caches")]
fn plot(measured: &Measured) -> Plot {
    let line = |name: &str, of: fn(&Row) -> f64| Line {
        name: name.to_owned(),
        points: measured.caches.iter().map(|row| (row.cache as f64, of(row).log10())).collect(),
    };
    Plot {
        title: format!("Time of a token, {}", measured.model),
        x: "tokens in the cache".to_owned(),
        y: "log10 of milliseconds".to_owned(),
        lines: vec![
            line("streaming", |row| row.streaming_ms),
            line("re-computation", |row| row.recompute_ms),
        ],
    }
}
