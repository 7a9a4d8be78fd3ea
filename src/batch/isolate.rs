//! Documents are read in a process of their own: what a hostile file does to its reader, it does
//! not do to the run.
//!
//! The process is this program once more. It is told in one line of JSON what to read, gives itself
//! limits, and answers with the document as JSON. A crash, a loop without end and a bomb of memory
//! are errors like any other.

use std::ffi::OsString;
use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::input::{Input, InputError};
use crate::document::{Document, Reading};

/// How often it is asked whether the run stops.
const TICK: Duration = Duration::from_millis(50);
/// The most that is taken of an answer.
const MOST_BYTES: u64 = 4 << 30;
/// The most that is taken of what a process complains of.
const MOST_COMPLAINT: u64 = 64 * 1024;
const MIB: u64 = 1 << 20;

/// Reads documents in processes of their own.
#[derive(Debug, Clone)]
pub struct Isolate {
    /// The program that calls [`serve`], and what it has to be told for that.
    pub program: PathBuf,
    /// See `program`.
    pub args: Vec<OsString>,
    /// What one document may take.
    pub limits: Limits,
}

/// What the reading of one document may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Seconds.
    pub n_secs: Option<u64>,
    /// Mebibytes of memory, where the system can limit them.
    pub n_mib: Option<u64>,
}

/// What a process is to read.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    what: What,
    reading: Reading,
    pages: Option<(u32, u32)>,
    limits: Limits,
}

#[derive(Debug, Serialize, Deserialize)]
enum What {
    /// What follows on standard input.
    Stdin,
    /// The same, under this name.
    Given(String),
    File(OsString),
    Member(OsString, String),
    /// By its URI: whoever reads it fetches it.
    Object(String),
}

/// What a process answers.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Document(Box<Document>),
    Error { message: String, hint: Option<String>, is_usage: bool, is_passing: bool },
}

impl Isolate {
    /// Reads a document, or only some of its pages, in another process.
    ///
    /// - `stop`: ends the reading once it says so
    ///
    /// # Errors
    /// [`InputError`] if it cannot be read, within the limits or at all.
    pub fn read(
        &self,
        input: &Input,
        reading: &Reading,
        pages: Option<(u32, u32)>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Document, InputError> {
        let what = match input {
            Input::Stdin => What::Stdin,
            Input::File { path, .. } => What::File(path.clone().into()),
            Input::Member { archive, name, .. } => {
                What::Member(archive.clone().into(), name.clone())
            }
            Input::Object { uri, .. } => What::Object(uri.to_string()),
            Input::Given { name, .. } => What::Given(name.clone()),
            Input::Broken { .. } => return input.read(reading, pages),
        };
        let request = Request { what, reading: reading.clone(), pages, limits: self.limits };
        let failed = |source| InputError::Process { name: input.name(), source };
        let mut request = serde_json::to_vec(&request).map_err(|e| failed(e.into()))?;
        request.push(b'\n');
        if let Input::Given { bytes, .. } = input {
            request.extend_from_slice(bytes);
        }
        let child = self.spawn().map_err(failed)?;
        let ended = self.talk(child, request, matches!(input, Input::Stdin), stop);
        match ended.map_err(failed)? {
            Ended::Stopped => Err(InputError::Stopped),
            Ended::OutOfTime(n_secs) => Err(InputError::OutOfTime { name: input.name(), n_secs }),
            Ended::Itself { status, answer, complaint } => match serde_json::from_slice(&answer) {
                Ok(Answer::Document(document)) if status.success() => Ok(*document),
                Ok(Answer::Error { message, hint, is_usage, is_passing }) => {
                    Err(InputError::Told { message, hint, is_usage, is_passing })
                }
                _ => Err(self.crash(input, status, &complaint)),
            },
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt;
            // So that what the reader starts (OCR) ends with it, and Ctrl-C is ours to deal with.
            command.process_group(0);
        }
        command.spawn()
    }

    /// Hands over the request and waits for the end.
    fn talk(
        &self,
        mut child: Child,
        request: Vec<u8>,
        with_stdin: bool,
        stop: &dyn Fn() -> bool,
    ) -> io::Result<Ended> {
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut to), Some(from), Some(complaints)) = pipes else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        thread::spawn(move || {
            // A reader that has gone says so by its end.
            let _ = to.write_all(&request);
            if with_stdin {
                let _ = io::copy(&mut io::stdin().lock(), &mut to);
            }
        });
        let complaint = thread::spawn(move || taken(complaints, MOST_COMPLAINT));
        let (done, answer) = mpsc::channel();
        thread::spawn(move || done.send(taken(from, MOST_BYTES)));

        let started = Instant::now();
        let answer = loop {
            match answer.recv_timeout(TICK) {
                Ok(answer) => break answer,
                Err(RecvTimeoutError::Disconnected) => break Vec::new(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let late = self.limits.n_secs.filter(|&n| started.elapsed().as_secs() >= n);
            if late.is_some() || stop() {
                end(&mut child)?;
                return Ok(late.map_or(Ended::Stopped, Ended::OutOfTime));
            }
        };
        let status = child.wait()?;
        let complaint = complaint.join().unwrap_or_default();
        Ok(Ended::Itself { status, answer, complaint })
    }

    /// What is said of a reader that did not answer.
    fn crash(&self, input: &Input, status: ExitStatus, complaint: &[u8]) -> InputError {
        let complaint = String::from_utf8_lossy(complaint);
        let name = input.name();
        if complaint.contains("memory allocation of")
            && let Some(n_mib) = self.limits.n_mib
        {
            return InputError::OutOfMemory { name, n_mib };
        }
        let said = complaint.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let said = said.chars().take(200).collect::<String>();
        #[cfg(unix)]
        let is_killed = {
            use std::os::unix::process::ExitStatusExt;
            // Not by us: by somebody, or by the system for want of memory.
            status.signal() == Some(9)
        };
        #[cfg(not(unix))]
        let is_killed = false;
        let how = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
        InputError::Crashed { name, how, is_killed }
    }
}

enum Ended {
    Itself { status: ExitStatus, answer: Vec<u8>, complaint: Vec<u8> },
    OutOfTime(u64),
    Stopped,
}

/// Everything up to a limit; the rest is read and forgotten, so that nobody waits for it.
fn taken(mut from: impl Read, n_most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = from.by_ref().take(n_most).read_to_end(&mut bytes);
    let _ = io::copy(&mut from, &mut io::sink());
    bytes
}

/// Ends a process and all that it started.
fn end(child: &mut Child) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    child.wait().map(|_| ())
}

/// Reads what standard input asks for and answers on standard output: the other side of
/// [`Isolate::read`].
///
/// # Errors
/// If the request cannot be understood or the answer not be written.
pub fn serve() -> io::Result<()> {
    let mut stdin = io::stdin().lock();
    let mut line = Vec::new();
    stdin.read_until(b'\n', &mut line)?;
    let Request { what, reading, pages, limits } = serde_json::from_slice(&line)?;
    limit(limits);
    let input = match what {
        What::Stdin => Input::Stdin,
        What::Given(name) => {
            let mut bytes = Vec::new();
            stdin.read_to_end(&mut bytes)?;
            Input::Given { name, bytes }
        }
        What::File(path) => Input::File { path: path.into(), root: None },
        What::Member(archive, name) => {
            Input::Member { archive: archive.into(), name, relative: PathBuf::new(), n_bytes: 0 }
        }
        What::Object(uri) => Input::at(uri.as_ref()),
    };
    drop(stdin);
    let answer = match input.read(&reading, pages) {
        Ok(document) => Answer::Document(Box::new(document)),
        Err(e) => Answer::Error {
            message: e.to_string(),
            hint: e.hint(),
            is_usage: e.is_usage(),
            is_passing: e.is_passing(),
        },
    };
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    serde_json::to_writer(&mut out, &answer)?;
    out.flush()
}

/// Limits this process, as far as the system can.
fn limit(limits: Limits) {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let most = |n| Rlimit { current: Some(n), maximum: Some(n) };
        if let Some(n_mib) = limits.n_mib {
            let _ = setrlimit(Resource::As, most(n_mib.saturating_mul(MIB)));
        }
        // A reader that crashes is told of, its memory is of no use to anybody.
        let _ = setrlimit(Resource::Core, most(0));
    }
    #[cfg(target_os = "linux")]
    {
        // A run that is killed takes its readers with it.
        let signal = Some(rustix::process::Signal::KILL);
        let _ = rustix::process::set_parent_process_death_signal(signal);
    }
    #[cfg(not(unix))]
    let _ = limits;
}
