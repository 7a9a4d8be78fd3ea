//! `longsum models --plan`: what a model would need, told from its configuration.

use std::fmt::Write;

use anyhow::Result;
use longsum::batch::output::to_stdout;
use longsum::cache::Layout;
use longsum::load::config;
use longsum::measure::{Memory, STORAGES, Storage, memory};
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

/// Prints what the model needs, for each way to store its weights.
pub fn run(args: &Models) -> Result<Exit> {
    let spec = config::read(&args.plan)?;
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

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn gb(n_bytes: u64) -> String {
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
