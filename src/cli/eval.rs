//! `longsum eval`: scores on sets of documents that people have summarized.

use std::time::Instant;

use anyhow::Result;
use longsum::batch;
use longsum::batch::output::to_stdout;
use longsum::document;
use longsum::eval::{Evaluation, Made, Set, evaluate, set};
use longsum::report::{Checks, Citation, Summary};
use longsum::summary::{Options, Reader, summaries};

use super::args::{Eval, EvalFormat, Loudness};
use super::device::{Wanted, load};
use super::exit::{self, Exit};
use super::progress::Progress;

/// Summaries of a document, one for each of these lengths in words.
fn made(
    reader: &Reader<'_>,
    options: &Options,
    text: &str,
    n_words: &[usize],
) -> Result<Vec<Made>> {
    let document = document::read_unnamed(text)?;
    let chars: Vec<char> = document.text.chars().collect();
    let is_exact = |citation: &&Citation| {
        let (start, end) = citation.chars;
        let quote = citation.quote.as_ref().map(|quote| quote.exact.chars());
        quote.is_some_and(|quote| quote.eq(chars[start..end].iter().copied()))
    };
    let one = |(summary, checks): (Summary, Checks)| {
        let citations = summary.statements.iter().flat_map(|statement| &statement.citations);
        let quoted = citations.filter(|citation| citation.quote.is_some());
        let n_quoted = quoted.clone().count();
        #[expect(clippy::cast_precision_loss, reason = "counts of quotes")]
        let exact = quoted.filter(is_exact).count() as f64 / n_quoted.max(1) as f64;
        Made { coverage: checks.coverage, supported: 1.0 - checks.weak, exact, text: summary.text }
    };
    let summaries = summaries(reader, &document, options, n_words)?;
    Ok(summaries.into_iter().map(one).collect())
}

/// Scores every set of the folder, one after the other.
pub fn run(args: &Eval, loudness: Loudness) -> Result<Exit> {
    let progress = Progress::new(loudness);
    let wanted = Wanted { n_sink: args.sinks, ..Wanted::default() };
    let (loaded, about) = load(&args.model, &args.on, wanted, &progress)?;
    let reader = batch::reader(&loaded, &about);
    let options = Options { n_sink: args.sinks, ..Options::default() };
    let mut sets = Vec::new();
    let mut all_done = true;
    for file in set::files(&args.dir)? {
        let set = match Set::read(&file, args.limit) {
            Ok(set) => set,
            Err(error) => {
                exit::tell(&error.into());
                all_done = false;
                continue;
            }
        };
        let started = Instant::now();
        let bar = progress.set(&set.name, set.samples.len());
        let (scores, failed) =
            evaluate(&set, &mut |text, n_words| made(&reader, &options, text, n_words), &mut |n| {
                bar.set_position(n as u64);
            });
        let n_secs = started.elapsed().as_secs_f64();
        bar.println(format!("{}: {} documents in {n_secs:.1} s", set.name, set.samples.len()));
        bar.finish_and_clear();
        all_done &= failed.is_empty();
        for (k, error) in failed {
            let document = format!("{}, document {}: {error}", set.name, k + 1);
            exit::tell(&error.context(document));
        }
        sets.extend(scores);
    }
    if !sets.is_empty() {
        let evaluation = Evaluation::new(sets);
        let text = match args.format {
            EvalFormat::Table => evaluation.table(),
            EvalFormat::Json => serde_json::to_string_pretty(&evaluation)? + "\n",
        };
        to_stdout(text.as_bytes())?;
    }
    Ok(if all_done { Exit::Done } else { Exit::SomeFailed })
}
