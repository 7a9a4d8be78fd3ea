//! `longsum worker`: summaries for an engine that asks line by line.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use longsum::batch::{Batch, Input, Output, RunError};
use longsum::report::Report;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::args::{Loudness, Worker};
use super::exit::Exit;
use super::{Context, say, signals};

/// One line of standard input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default)]
    custom_id: Value,
    path: Option<PathBuf>,
    text: Option<String>,
    name: Option<String>,
}

/// One line of standard output.
#[derive(Debug, Serialize)]
struct Reply {
    custom_id: Value,
    #[serde(flatten)]
    answer: Answer,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Report(Box<Report>),
    Error { message: String, hint: Option<String>, retry: bool },
}

/// How often it is asked whether to stop while there is nothing to do.
const TICK: Duration = Duration::from_millis(50);

/// Answers every line, until there are no more.
pub fn run(args: &Worker, loudness: Loudness) -> Result<Exit> {
    let loudness = Loudness { quiet: true, ..loudness };
    let context =
        Context::new(&args.making, &args.reading, &args.on, None, loudness)?.with_care(&args.care);
    let output = Output::new(None, &[], &[Input::Stdin], "json")?;
    let batch = context.batch(&output);
    let lines = lines();
    loop {
        let line = match lines.recv_timeout(TICK) {
            _ if signals::number().is_some() => break,
            Ok(line) => line?,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return Ok(Exit::Done),
        };
        if line.trim_ascii().is_empty() {
            continue;
        }
        let reply = answer(&batch, &line);
        if signals::number().is_some() && matches!(reply.answer, Answer::Error { .. }) {
            break; // it was stopped, not answered
        }
        let mut text = serde_json::to_vec(&reply)?;
        text.push(b'\n');
        let mut stdout = io::stdout().lock();
        if stdout.write_all(&text).and_then(|()| stdout.flush()).is_err() {
            return Ok(Exit::Done); // nobody listens any more
        }
    }
    Ok(signals::number().map_or(Exit::Done, Exit::Stopped))
}

/// The lines of standard input, one read ahead.
fn lines() -> Receiver<io::Result<Vec<u8>>> {
    let (send, receive) = mpsc::sync_channel(1);
    thread::spawn(move || {
        for line in io::stdin().lock().split(b'\n') {
            let is_last = line.is_err();
            if send.send(line).is_err() || is_last {
                return;
            }
        }
    });
    receive
}

fn answer(batch: &Batch<'_>, line: &[u8]) -> Reply {
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(e) => {
            // Who asked may be known all the same.
            let value: Value = serde_json::from_slice(line).unwrap_or_default();
            let custom_id = value.get("custom_id").cloned().unwrap_or_default();
            let message = format!("the line cannot be understood: {e}");
            return Reply { custom_id, answer: wrong(message) };
        }
    };
    let Request { custom_id, path, text, name } = request;
    let input = match (path, text) {
        (Some(path), None) if name.is_none() => Input::at(&path),
        (None, Some(text)) => {
            let name = name.unwrap_or_else(|| "text.txt".to_owned());
            Input::Given { name, bytes: text.into_bytes() }
        }
        _ => {
            let message = "one of `path` and `text` is needed, and `name` only with `text`";
            return Reply { custom_id, answer: wrong(message.to_owned()) };
        }
    };
    let mut warnings = Vec::new();
    let made = batch.report(&input, &mut warnings);
    warnings.iter().for_each(|warning| say(&format!("warning: {}: {warning}", input.name())));
    let answer = match made {
        Ok(report) => match &report.reason {
            None => Answer::Report(Box::new(report)),
            Some(reason) => failed(&RunError::NoSummary(reason.clone())),
        },
        Err(error) => failed(&error),
    };
    Reply { custom_id, answer }
}

fn failed(error: &RunError) -> Answer {
    Answer::Error { message: error.to_string(), hint: error.hint(), retry: error.is_passing() }
}

fn wrong(message: String) -> Answer {
    let hint = Some(r#"for example: {"custom_id": "1", "path": "report.pdf"}"#.to_owned());
    Answer::Error { message, hint, retry: false }
}
