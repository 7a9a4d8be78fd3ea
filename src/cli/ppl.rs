//! `longsum ppl`: how well a model predicts a text, by what it may see of it.

use std::collections::HashSet;
use std::fmt::Write;

use anyhow::Result;
use longsum::batch::{Input, Output};
use longsum::measure::{Attention, Scored, losses, perplexity};
use longsum::report::plot::{Line, Plot};
use serde::Serialize;

use super::args::{AttentionKind, EvalFormat, Loudness, Ppl};
use super::device::{Wanted, load};
use super::exit::{Exit, Failure};
use super::progress::Progress;

/// What is printed as JSON.
#[derive(Debug, Serialize)]
struct Measured {
    model: String,
    document: String,
    sha256: String,
    n_tokens: usize,
    /// Tokens of each entry of `by_bucket`.
    bucket: usize,
    settings: Vec<Setting>,
}

#[derive(Debug, Serialize)]
struct Setting {
    attention: &'static str,
    sinks: usize,
    /// Tokens seen at once; all of them where it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<usize>,
    /// Tokens that were scored.
    n_scored: usize,
    perplexity: Option<f64>,
    /// Over the tokens alone that were scored with re-computation too, where that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_recomputed: Option<f64>,
    /// Over each run of `bucket` tokens.
    by_bucket: Vec<Option<f64>>,
}

/// The token that models learn as a sink, where they learn one (the paper's section 3.3).
const SINK: &str = "<|sink|>";

/// Scores the text in every setting asked for.
pub fn run(args: &Ppl, loudness: Loudness) -> Result<Exit> {
    let input = match args.file.to_str() {
        Some("-") => Input::Stdin,
        _ => Input::File { path: args.file.clone(), root: None },
    };
    let progress = Progress::new(loudness);
    let document = super::isolate(&args.reading)?.read(
        &input,
        &super::how(&args.reading)?,
        args.reading.pages,
        &|| false,
    )?;
    let wanted_streams = Wanted {
        n_sink: args.sinks.iter().max().copied(),
        n_window: args.cache.iter().max().map(|n| n.get()),
        n_chunk: Some(args.chunk.get()),
        n_streams: None,
    };
    let (loaded, _) = load(&args.model, &args.on, wanted_streams, &progress)?;
    let text = document.to_read(0..document.text.len());
    let mut ids = loaded.tokenizer.encode_text(&text)?;
    // A model that was trained with a sink of its own never saw a text without it.
    if let Some(sink) = loaded.tokenizer.token_id(SINK) {
        ids.insert(0, sink);
    }
    ids.truncate(args.tokens.unwrap_or(usize::MAX));
    if ids.len() < 2 {
        return Err(Failure::TooShort { uri: document.source.uri }.into());
    }
    let mut measured = Vec::new();
    for attention in wanted(args)? {
        let bar = progress.set(&attention.to_string(), ids.len());
        let mut scored: Vec<Scored> = Vec::new();
        let every = args.every.get();
        losses(&loaded.decoder, &ids, attention, args.chunk.get(), every, &mut |more| {
            scored.extend_from_slice(more);
            bar.set_position(more.last().map_or(0, |last| last.index as u64));
        })?;
        bar.finish_and_clear();
        measured.push((attention, scored));
    }
    let is_recomputed = |(attention, _): &&(Attention, Vec<Scored>)| {
        matches!(attention, Attention::Recompute { .. })
    };
    let recomputed: Option<HashSet<usize>> = measured
        .iter()
        .find(is_recomputed)
        .map(|(_, scored)| scored.iter().map(|scored| scored.index).collect());
    let settings = measured.iter().map(|(attention, scored)| {
        setting(*attention, scored, ids.len(), args.bucket.get(), recomputed.as_ref())
    });
    let settings = settings.collect();
    let measured = Measured {
        model: args.model.clone(),
        document: document.source.uri,
        sha256: document.source.sha256,
        n_tokens: ids.len(),
        bucket: args.bucket.get(),
        settings,
    };
    let text = match args.format {
        EvalFormat::Table => table(&measured),
        EvalFormat::Json => serde_json::to_string_pretty(&measured)? + "\n",
    };
    if let Some(path) = &args.svg {
        let output = Output::new(Some(path), &[], &[], "svg")?;
        output.write(&Input::Stdin, plot(&measured).svg().as_bytes())?;
    }
    longsum::batch::output::to_stdout(text.as_bytes())?;
    Ok(Exit::Done)
}

/// Every attention with every cache, and sinks with every number of them.
fn wanted(args: &Ppl) -> Result<Vec<Attention>, Failure> {
    let mut wanted = Vec::new();
    for kind in &args.attention {
        for &cache in &args.cache {
            match kind {
                AttentionKind::Sinks => {
                    for &n_sink in &args.sinks {
                        let n_window = cache.get().saturating_sub(n_sink);
                        if n_window == 0 {
                            return Err(Failure::NoWindow { n_sink, cache: cache.get() });
                        }
                        wanted.push(Attention::Sinks { n_sink, n_window });
                    }
                }
                AttentionKind::Window => wanted.push(Attention::Window { n_window: cache.get() }),
                AttentionKind::Recompute => {
                    wanted.push(Attention::Recompute { n_window: cache.get() });
                }
                AttentionKind::Dense => wanted.push(Attention::Dense),
            }
        }
    }
    wanted.dedup();
    Ok(wanted)
}

fn setting(
    attention: Attention,
    scored: &[Scored],
    n_tokens: usize,
    bucket: usize,
    recomputed: Option<&HashSet<usize>>,
) -> Setting {
    let on_recomputed = recomputed.and_then(|indices| {
        let among = scored.iter().filter(|scored| indices.contains(&scored.index));
        perplexity(among.map(|scored| scored.loss))
    });
    let of = |from: usize, to: usize| {
        let inside = scored.iter().filter(|s| (from..to).contains(&s.index));
        perplexity(inside.map(|s| s.loss))
    };
    let starts = (0..n_tokens).step_by(bucket);
    Setting {
        attention: attention.as_str(),
        sinks: if let Attention::Sinks { n_sink, .. } = attention { n_sink } else { 0 },
        cache: attention.n_seen(),
        n_scored: scored.len(),
        perplexity: perplexity(scored.iter().map(|s| s.loss)),
        on_recomputed,
        by_bucket: starts.map(|start| of(start, start + bucket)).collect(),
    }
}

fn name(setting: &Setting) -> String {
    match (setting.attention, setting.cache) {
        ("sinks", Some(cache)) => format!("{} sinks, {}", setting.sinks, cache - setting.sinks),
        (kind, Some(cache)) => format!("{kind}, {cache}"),
        (kind, None) => kind.to_owned(),
    }
}

fn table(measured: &Measured) -> String {
    let mut text = String::new();
    let has_sample = measured.settings.iter().any(|s| s.on_recomputed.is_some());
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{:<20} {:>9} {:>11} {:>11}{}",
        "attention",
        "scored",
        "perplexity",
        "at the end",
        if has_sample { "  recomputed too" } else { "" }
    );
    for setting in &measured.settings {
        let number = |n: Option<f64>| n.map_or("-".to_owned(), |n| format!("{n:.2}"));
        let last = setting.by_bucket.iter().rev().flatten().next().copied();
        let _ = writeln!(
            text,
            "{:<20} {:>9} {:>11} {:>11}{}",
            name(setting),
            setting.n_scored,
            number(setting.perplexity),
            number(last),
            setting.on_recomputed.map_or(String::new(), |n| format!("{n:>16.2}"))
        );
    }
    let Measured { n_tokens, bucket, .. } = measured;
    let _ = writeln!(text, "{n_tokens} tokens; at the end: the last {bucket}, or what is left");
    text
}

/// The logarithm of perplexity over the text, as the paper's figure 3 has it.
#[expect(clippy::cast_precision_loss, reason = "counts of tokens")]
fn plot(measured: &Measured) -> Plot {
    let lines = measured.settings.iter().map(|setting| {
        let points = setting.by_bucket.iter().enumerate();
        let point = |(k, n): (usize, &Option<f64>)| {
            n.map(|n| ((k as f64 + 0.5) * measured.bucket as f64, n.ln()))
        };
        Line { name: name(setting), points: points.filter_map(point).collect() }
    });
    Plot {
        title: format!("{} on {}", measured.model, measured.document),
        x: "tokens".to_owned(),
        y: "log perplexity".to_owned(),
        lines: lines.collect(),
    }
}
