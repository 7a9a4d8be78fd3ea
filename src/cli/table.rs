//! The end of a run, for people.

use longsum::report::{Entry, Fate, Run};

/// The most documents that are named one by one.
const MOST_NAMED: usize = 20;

/// What became of the documents: those that are in order as numbers, the others by name.
pub fn of(run: &Run) -> String {
    let counts = run.counts;
    let mut lines = vec![String::new()];
    let n_unmet = run.documents.iter().filter(|entry| !entry.gates_unmet.is_empty()).count();
    for (n, what) in [
        (counts.complete, "summarized"),
        (counts.partial, "summarized in part: some pages could not be read"),
        (counts.failed, "failed"),
        (counts.stopped, "not finished: run it again to go on"),
        (n_unmet, "below a gate"),
        (run.timings.n_unchanged, "of these were there already and still stand"),
    ] {
        if n > 0 {
            lines.push(format!("{n:>7} {what}"));
        }
    }
    let n_passed: usize = run.passed_over.values().sum();
    if n_passed > 0 {
        let mut kinds: Vec<_> = run.passed_over.iter().collect();
        kinds.sort_by_key(|(kind, n)| (std::cmp::Reverse(**n), (*kind).clone()));
        let some: Vec<String> =
            kinds.iter().take(5).map(|(kind, n)| format!("{n} {kind}")).collect();
        let more = if kinds.len() > 5 { ", …" } else { "" };
        lines.push(format!(
            "{n_passed:>7} passed over, no documents by name ({}{more})",
            some.join(", ")
        ));
    }
    let named = |fate| move |entry: &&Entry| entry.fate == fate;
    let failed: Vec<&Entry> = run.documents.iter().filter(named(Fate::Failed)).collect();
    if !failed.is_empty() {
        lines.push(String::new());
        lines.push("failed:".to_owned());
        for entry in failed.iter().take(MOST_NAMED) {
            let reason = entry.reason.as_deref().unwrap_or("for a reason unknown");
            lines.push(format!("  {}: {reason}", entry.document.replace('\n', " ")));
        }
        if failed.len() > MOST_NAMED {
            lines.push(format!(
                "  and {} more: the file of the run has them all",
                failed.len() - MOST_NAMED
            ));
        }
    }
    lines.join("\n")
}
