//! `--dry-run`: what a run would do, and how long it would take.

use std::fmt::Write;

use anyhow::Result;
use longsum::batch::output::to_stdout;
use longsum::batch::{Batch, Input};
use longsum::summary::{Estimate, Speed, estimate, probe};

use super::exit::Exit;
use super::plain;
use super::progress::human;

/// What would become of a document.
enum Plan {
    Done,
    Refused(String),
    Read(Estimate),
}

/// Reads and counts every document, measures a little, and prints a table.
pub fn run(batch: &Batch<'_>, inputs: &[Input]) -> Result<Exit> {
    let mut rows = Vec::new();
    for input in inputs {
        rows.push((input.name(), plan(batch, input)));
    }
    let speed = probe(&batch.reader)?;
    to_stdout(table(&rows, &speed).as_bytes())?;
    let refused = rows.iter().any(|(_, plan)| matches!(plan, Plan::Refused(_)));
    Ok(if refused { Exit::SomeFailed } else { Exit::Done })
}

fn plan(batch: &Batch<'_>, input: &Input) -> Plan {
    if batch.unchanged(input, &batch.keys()).is_some() {
        return Plan::Done;
    }
    let document = match batch.read(input) {
        Ok(document) => document,
        Err(error) => return Plan::Refused(error.to_string()),
    };
    match estimate(&batch.reader, &document, batch.options) {
        Ok(Estimate { refusal: Some(reason), .. }) => Plan::Refused(reason),
        Ok(estimate) => Plan::Read(estimate),
        Err(error) => Plan::Refused(error.to_string()),
    }
}

fn table(rows: &[(String, Plan)], speed: &Speed) -> String {
    let mut text = String::new();
    let (mut all, mut n_done, mut n_refused) = (Estimate::default(), 0, 0);
    // Writing to a string cannot fail.
    let _ =
        writeln!(text, "{:>7} {:>9} {:>7} {:>9}  document", "pages", "tokens", "chunks", "time");
    for (name, plan) in rows {
        let name = name.replace('\n', " ");
        match plan {
            Plan::Done => {
                n_done += 1;
                let _ = writeln!(text, "{:>7} {:>9} {:>7} {:>9}  {name}", "-", "-", "-", "done");
            }
            Plan::Refused(reason) => {
                n_refused += 1;
                let _ = writeln!(
                    text,
                    "{:>7} {:>9} {:>7} {:>9}  {name}: {reason}",
                    "-", "-", "-", "refused"
                );
            }
            Plan::Read(estimate) => {
                let Estimate { n_pages, n_tokens, n_chunks, .. } = *estimate;
                all.n_pages += n_pages;
                all.n_fed += estimate.n_fed;
                all.n_tokens += n_tokens;
                all.n_chunks += n_chunks;
                all.n_written += estimate.n_written;
                let time = human(speed.time(estimate));
                let _ =
                    writeln!(text, "{n_pages:>7} {n_tokens:>9} {n_chunks:>7} {time:>9}  {name}");
            }
        }
    }
    let Estimate { n_pages, n_tokens, n_chunks, .. } = all;
    let time = human(speed.time(&all));
    let n = rows.len() - n_done - n_refused;
    let _ = writeln!(
        text,
        "{n_pages:>7} {n_tokens:>9} {n_chunks:>7} {time:>9}  {n} to do, {n_done} done, {n_refused} refused"
    );
    let _ = writeln!(
        text,
        "measured here: reading {:.0} tokens/s{}; one document after the other",
        speed.reading,
        speed.writing.map_or(String::new(), |rate| format!(", writing {rate:.0} tokens/s"))
    );
    plain(&text)
}
