//! `longsum bench`: how long a token takes here, with a stream and with its window computed anew; how fast
//! text is read; what streams that go through the model together do.

use std::fmt::Write;
use std::num::NonZeroUsize;

use anyhow::Result;
use candle_core::DType;
use longsum::batch::{Input, Output};
use longsum::device;
use longsum::load::config;
use longsum::measure::{
    Attention, RandomWeights, STORAGES, Storage, Time, bytes_of_token, operations_of_token,
    time_of_reading, time_of_streams, time_per_token,
};
use longsum::memory;
use longsum::model::{Decoder, LanguageModel, Spec};
use longsum::report::plot::{Line, Plot};
use serde::Serialize;

use super::args::{Bench, EvalFormat, Loudness};
use super::device::{Wanted, check_room, load};
use super::exit::Exit;
use super::progress::Progress;

#[derive(Debug, Serialize)]
struct Measured {
    model: String,
    device: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu: Option<String>,
    dtype: &'static str,
    n_threads: usize,
    caches: Vec<Row>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reading: Vec<Reading>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    together: Vec<Batch>,
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
    /// What a token of the stream must read of memory, and so what is read in a second; where it is
    /// known how the weights lie in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_token: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gb_per_sec: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Reading {
    chunk: usize,
    tokens_per_sec: f64,
    tflop_per_sec: f64,
}

/// Streams that get a token each in every step.
#[derive(Debug, Serialize)]
struct Batch {
    streams: usize,
    cache: usize,
    step_ms: f64,
    /// Of all streams.
    tokens_per_sec: f64,
}

/// A model to measure.
struct Subject {
    name: String,
    decoder: Decoder,
    dtype: DType,
    /// How its weights lie in memory, where that is known.
    storage: Option<Storage>,
}

/// Chunks of a text that is read.
const N_CHUNKS: usize = 8;

/// Measures every cache, streaming and re-computation in turn, then reading.
pub fn run(args: &Bench, loudness: Loudness) -> Result<Exit> {
    let progress = Progress::new(loudness);
    let subject = subject(args, &progress)?;
    let Subject { decoder, storage, .. } = &subject;
    let spec = decoder.spec();
    let bar = progress.set("measuring", args.cache.len() + args.chunks.len() + args.streams.len());
    let mut caches = Vec::new();
    for cache in args.cache.iter().map(|n| n.get()) {
        let n_sink = args.sinks.min(cache - 1);
        let sinks = Attention::Sinks { n_sink, n_window: cache - n_sink };
        let streaming = time_per_token(decoder, sinks, args.tokens.get())?;
        let recompute = time_per_token(
            decoder,
            Attention::Recompute { n_window: cache },
            args.recomputed.get(),
        )?;
        let n_bytes =
            storage.map(|s| bytes_of_token(spec, s, cache, subject.dtype.size_in_bytes()));
        caches.push(row(cache, &streaming, &recompute, n_bytes));
        bar.inc(1);
    }
    let mut reading = Vec::new();
    for chunk in args.chunks.iter().map(|n| n.get()) {
        reading.push(read(decoder, args, chunk)?);
        bar.inc(1);
    }
    let mut together = Vec::new();
    for n_streams in args.streams.iter().map(|n| n.get()) {
        together.push(step(decoder, args, n_streams)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let measured = Measured {
        device: device::kind(decoder.device()),
        gpu: device::gpu(decoder.device()),
        dtype: subject.dtype.as_str(),
        model: subject.name,
        n_threads: super::n_threads(),
        caches,
        reading,
        together,
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

/// The model asked for, on the device asked for.
fn subject(args: &Bench, progress: &Progress) -> Result<Subject> {
    let most = |counts: &[NonZeroUsize]| counts.iter().max().map(|n| n.get());
    let wanted = Wanted {
        n_sink: Some(args.sinks),
        n_window: most(&args.cache),
        n_chunk: most(&args.chunks).or(Some(256)),
        n_streams: most(&args.streams),
    };
    let Some(path) = &args.random_weights else {
        let loaded = load(&args.model, &args.on, wanted, progress)?.0;
        let (decoder, dtype) = (loaded.decoder, loaded.dtype);
        return Ok(Subject { name: args.model.clone(), decoder, dtype, storage: None });
    };
    let spec: Spec = config::read(path)?;
    let (device, dtype) = args.on.open()?;
    // The CPU has a kernel for bf16 numbers under f32 activations.
    let of_weights = if device.is_cpu() { DType::BF16 } else { dtype };
    let eight_bits = STORAGES.into_iter().find(|storage| storage.name == "q8_0");
    let storage = eight_bits.filter(|_| args.eight_bits).unwrap_or(Storage::of(of_weights));
    check_room(&spec, storage, dtype, wanted, &device)?;
    let weights = RandomWeights {
        spec: spec.clone(),
        eight_bits: args.eight_bits,
        dtype: of_weights,
        device: device.clone(),
    };
    let decoder = progress
        .while_loading("random weights", || Decoder::new(spec, &weights, dtype, &device))?;
    let name = format!("random weights of {}", path.display());
    Ok(Subject { name, decoder, dtype, storage: Some(storage) })
}

/// The largest cache, and how much of it is pinned and how much the window.
fn largest(args: &Bench) -> (usize, (usize, usize)) {
    let cache = args.cache.iter().max().map_or(1, |n| n.get());
    let n_sink = args.sinks.min(cache - 1);
    (cache, (n_sink, cache - n_sink))
}

/// Streams that go through the model together behind full windows of the largest cache.
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn step(decoder: &Decoder, args: &Bench, streams: usize) -> Result<Batch> {
    let (cache, parts) = largest(args);
    let time = time_of_streams(decoder, parts, streams, args.tokens.get())?;
    let secs = time.token.as_secs_f64().max(1e-9);
    Ok(Batch { streams, cache, step_ms: secs * 1e3, tokens_per_sec: streams as f64 / secs })
}

/// Reads a text in chunks behind a full window of the largest cache.
fn read(decoder: &Decoder, args: &Bench, chunk: usize) -> Result<Reading> {
    let (cache, parts) = largest(args);
    let time = time_of_reading(decoder, parts, chunk, N_CHUNKS * chunk)?;
    let tokens_per_sec = 1.0 / time.as_secs_f64().max(1e-9);
    let tflop_per_sec = operations_of_token(decoder.spec(), cache) * tokens_per_sec / 1e12;
    Ok(Reading { chunk, tokens_per_sec, tflop_per_sec })
}

fn row(cache: usize, streaming: &Time, recompute: &Time, bytes_per_token: Option<f64>) -> Row {
    let ms = |time: &Time| time.token.as_secs_f64() * 1e3;
    Row {
        cache,
        streaming_ms: ms(streaming),
        recompute_ms: ms(recompute),
        ratio: ms(recompute) / ms(streaming).max(1e-9),
        cache_bytes: streaming.n_cache_bytes,
        bytes_per_token,
        gb_per_sec: bytes_per_token.map(|n| n / 1e6 / ms(streaming).max(1e-9)),
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
    let place = match &measured.gpu {
        Some(gpu) => format!("{gpu}, {}", measured.dtype),
        None => format!("{} threads", measured.n_threads),
    };
    let _ = writeln!(text, "one token at a time; {}, {place}", measured.model);
    for Reading { chunk, tokens_per_sec, tflop_per_sec } in &measured.reading {
        let _ = writeln!(
            text,
            "reading in chunks of {chunk}: {tokens_per_sec:.0} tokens/s, {tflop_per_sec:.2} TFLOP/s"
        );
    }
    for Batch { streams, step_ms, tokens_per_sec, .. } in &measured.together {
        let _ = writeln!(
            text,
            "{streams} streams together: {step_ms:.1} ms for a token of each, {tokens_per_sec:.1} tokens/s"
        );
    }
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
