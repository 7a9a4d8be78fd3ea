//! `longsum models`: models by their short names, and what a model would need, told from its
//! configuration.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use longsum::batch::output::to_stdout;
use longsum::cache::Layout;
use longsum::load::config;
use longsum::load::hub::HubId;
use longsum::load::known::{KNOWN, Known};
use longsum::measure::{Memory, STORAGES, Storage, memory};
use longsum::memory::available_bytes;
use longsum::model::{Sight, Spec};
use serde::Serialize;
use serde_json::json;

use super::args::{EvalFormat, Models};
use super::exit::{Exit, Failure};

#[derive(Debug, Serialize)]
struct Row {
    storage: &'static str,
    weight_bytes: u64,
    cache_bytes: u64,
    activation_bytes: u64,
    total_bytes: u64,
}

/// A model that has a short name, as it would be here.
#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    repository: &'static str,
    licence: &'static str,
    gated: bool,
    n_params: u64,
    /// Two bytes for each weight.
    download_bytes: u64,
    memory_bytes: u64,
    /// Absent where the system does not tell how much there is.
    fits: Option<bool>,
    in_cache: bool,
}

/// What one document takes: the room that instruction and rolling summary are pinned in, and the
/// window behind a chunk of 1,024 tokens, are about these.
const N_SINK: usize = 512;
const N_WINDOW: usize = 1536;
const N_CHUNK: usize = 1024;

/// What a model needs for one document at a time, its weights as they are in a folder of bf16.
pub fn usual_memory(spec: &Spec, storage: Storage) -> Result<Memory> {
    let layout = Layout::new(N_SINK, N_WINDOW, N_CHUNK)?;
    Ok(memory(spec, &layout, storage, 4, 1))
}

/// How matrices of a folder of bf16 are stored.
pub const BF16: Storage = STORAGES[2];

/// Prints the models that have short names, or what one needs.
pub fn run(args: &Models) -> Result<Exit> {
    match &args.plan {
        Some(config) => plan(args, config),
        None => list(args.format),
    }
}

fn list(format: EvalFormat) -> Result<Exit> {
    let available = available_bytes();
    let listed = |known: &Known| -> Result<Listed> {
        let memory = usual_memory(&known.spec()?, BF16)?;
        Ok(Listed {
            name: known.name,
            repository: known.repo,
            licence: known.licence,
            gated: known.is_gated,
            n_params: memory.n_params,
            download_bytes: 2 * memory.n_params,
            memory_bytes: memory.n_bytes(),
            fits: available.map(|n| memory.n_bytes() <= n),
            in_cache: HubId::parse(known.repo).is_some_and(|id| id.find().is_some()),
        })
    };
    let models = KNOWN.iter().map(listed).collect::<Result<Vec<_>>>()?;
    let text = match format {
        EvalFormat::Table => listing(&models, available),
        EvalFormat::Json => {
            let all = json!({ "available_bytes": available, "models": models });
            serde_json::to_string_pretty(&all)? + "\n"
        }
    };
    to_stdout(text.as_bytes())?;
    Ok(Exit::Done)
}

fn listing(models: &[Listed], available: Option<u64>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{:<14} {:>8} {:>9} {:>10}  {:<5} {:<8} licence",
        "name", "weights", "download", "memory", "fits", "here"
    );
    let _ = writeln!(
        text,
        "{:<14} {:>8} {:>9} {:>10}  {:<5} {:<8} as longsum; chooses sentences, writes nothing",
        "builtin", "", "", "", "yes", "yes"
    );
    for model in models {
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let billions = model.n_params as f64 / 1e9;
        let fits = model.fits.map_or("?", |fits| if fits { "yes" } else { "no" });
        let _ = writeln!(
            text,
            "{:<14} {:>6.2} B {:>6} GB {:>7} GB  {fits:<5} {:<8} {}{}",
            model.name,
            billions,
            gb(model.download_bytes),
            gb(model.memory_bytes),
            if model.in_cache { "in cache" } else { "no" },
            model.licence,
            if model.gated { ", to be accepted on the hub" } else { "" },
        );
    }
    let half = available.map_or(u64::MAX, |n| n / 2);
    let is_easy = |model: &&Listed| !model.gated && model.memory_bytes <= half;
    let takes = models.iter().rfind(is_easy);
    let there = available.map_or(String::new(), |n| format!("; {} GB are free here", gb(n)));
    let _ = writeln!(
        text,
        "\nMemory is for one document at a time on a CPU{there}.\nA GGUF file of the same model takes a quarter to a half. Names and licences are as\nlongsum knows them; the hub was not asked.\nUse one:  longsum report.pdf --model {}",
        takes.map_or("NAME", |model| model.name)
    );
    text
}

/// Prints what the model needs, for each way to store its weights.
fn plan(args: &Models, config: &Path) -> Result<Exit> {
    let spec = config::read(config)?;
    let window = args.window.unwrap_or_else(|| spec.context.saturating_sub(args.sinks).max(1));
    let layout = Layout::new(args.sinks, window, args.chunk)?;
    let wanted = |storage: &&Storage| args.storage.as_deref().is_none_or(|s| s == storage.name);
    let rows: Vec<(Storage, Memory)> = STORAGES
        .iter()
        .filter(wanted)
        .map(|&s| (s, memory(&spec, &layout, s, args.number_bytes(), args.streams)))
        .collect();
    let Some(&(_, first)) = rows.first() else {
        let names = STORAGES.map(|storage| storage.name).join(", ");
        let storage = args.storage.clone().unwrap_or_default();
        return Err(Failure::Storage { storage, names }.into());
    };
    let text = match args.format {
        EvalFormat::Table => table(&spec, &layout, &first, &rows),
        EvalFormat::Json => {
            let row = |(storage, memory): &(Storage, Memory)| Row {
                storage: storage.name,
                weight_bytes: memory.weight_bytes,
                cache_bytes: memory.cache_bytes,
                activation_bytes: memory.activation_bytes,
                total_bytes: memory.n_bytes(),
            };
            let plan = json!({
                "family": spec.family, "n_params": first.n_params, "n_layers": spec.n_layers,
                "context": spec.context, "remarks": spec.remarks, "sinks": layout.n_sink(), "window": layout.n_window(),
                "chunk": layout.n_chunk(), "slots": first.n_slots, "streams": args.streams,
                "plans": rows.iter().map(row).collect::<Vec<_>>(),
            });
            serde_json::to_string_pretty(&plan)? + "\n"
        }
    };
    to_stdout(text.as_bytes())?;
    Ok(Exit::Done)
}

/// Billions of bytes.
#[expect(clippy::cast_precision_loss, reason = "for people")]
pub fn gb(n_bytes: u64) -> String {
    format!("{:.2}", n_bytes as f64 / 1e9)
}

fn table(spec: &Spec, layout: &Layout, first: &Memory, rows: &[(Storage, Memory)]) -> String {
    let mut text = String::new();
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let billions = first.n_params as f64 / 1e9;
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{}: {billions:.2} billion weights, {} layers, trained to see {} tokens",
        spec.family, spec.n_layers, spec.context
    );
    let _ = writeln!(
        text,
        "{} sinks, a window of {}, chunks of {}: {} slots a layer, for ever",
        layout.n_sink(),
        layout.n_window(),
        layout.n_chunk(),
        first.n_slots
    );
    let native = spec.sights.iter().filter_map(Sight::window);
    if let Some(window) = native.clone().max() {
        let _ = writeln!(text, "{} layers see no more than {window} tokens", native.count());
    }
    text.push('\n');
    let _ = writeln!(
        text,
        "{:<8} {:>11} {:>10} {:>14} {:>9}",
        "storage", "weights GB", "cache GB", "activations GB", "total GB"
    );
    for (storage, memory) in rows {
        let _ = writeln!(
            text,
            "{:<8} {:>11} {:>10} {:>14} {:>9}",
            storage.name,
            gb(memory.weight_bytes),
            gb(memory.cache_bytes),
            gb(memory.activation_bytes),
            gb(memory.n_bytes())
        );
    }
    for remark in &spec.remarks {
        let _ = writeln!(text, "\nnote: {remark}");
    }
    text
}
