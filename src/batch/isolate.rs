//! Documents are read in a process of their own: what a hostile file does to its reader, it does
//! not do to the run.
//!
//! The process is this program once more. It is told in one line of JSON what to read, gives itself
//! limits, and answers with the document as JSON. A crash, a loop without end and a bomb of memory
//! are errors like any other.

use std::ffi::OsString;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::input::{Input, InputError};
use crate::document::{self, Document, Reading};
use crate::report::SourceFacts;

/// How often it is asked whether the run stops.
const TICK: Duration = Duration::from_millis(50);
/// How often it is asked whether a process that has answered is at its end.
const SHORT_TICK: Duration = Duration::from_millis(1);
/// What is in the pipes of a process that has ended comes at once.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// How often a reader looks whether its run is still there.
#[cfg(unix)]
const LOOK: Duration = Duration::from_millis(500);
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
    /// The names of the documents in an archive.
    Names(OsString),
    /// The hash of one of them.
    Sha256(OsString, String),
}

/// What a process answers.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Document(Box<Document>),
    Names(Vec<String>),
    Sha256(String),
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
        let (what, body) = match input {
            Input::Stdin => (What::Stdin, Body::Stdin),
            Input::File { path, .. } => (What::File(path.clone().into()), Body::None),
            Input::Member { archive, name, .. } => {
                (What::Member(archive.clone().into(), name.clone()), Body::None)
            }
            Input::Object { uri, .. } => (What::Object(uri.to_string()), Body::None),
            Input::Given { name, bytes } => (What::Given(name.clone()), Body::Bytes(bytes.clone())),
            Input::Broken { .. } => return input.read(reading, pages),
        };
        let request = Request { what, reading: reading.clone(), pages, limits: self.limits };
        match self.ask(&input.name(), &request, body, stop)? {
            Answer::Document(document) => Ok(*document),
            _ => Err(unexpected(&input.name())),
        }
    }

    /// The names of the documents in a ZIP archive; none if the file is anything else.
    ///
    /// # Errors
    /// As [`Isolate::read`].
    pub fn members(&self, path: &Path) -> Result<Vec<String>, InputError> {
        let name = path.display().to_string();
        match self.ask_about(&name, What::Names(path.into()))? {
            Answer::Names(names) => Ok(names),
            _ => Err(unexpected(&name)),
        }
    }

    /// Whether a document's bytes are still those that a report was made of. Archives are unpacked in
    /// another process. An object is not fetched to tell: the same version of the same object has the
    /// same bytes.
    #[must_use]
    pub fn is_still(&self, input: &Input, source: &SourceFacts) -> bool {
        let sha256 = match input {
            Input::Object { uri, version, .. } => {
                return version.is_some()
                    && *version == source.version
                    && uri.to_string() == source.uri;
            }
            Input::Member { archive, name, .. } => {
                let what = What::Sha256(archive.clone().into(), name.clone());
                match self.ask_about(&input.name(), what) {
                    Ok(Answer::Sha256(sha256)) => Some(sha256),
                    _ => None,
                }
            }
            _ => input.sha256(),
        };
        sha256.is_some_and(|sha256| sha256 == source.sha256)
    }

    fn ask_about(&self, name: &str, what: What) -> Result<Answer, InputError> {
        let reading = Reading::default();
        let request = Request { what, reading, pages: None, limits: self.limits };
        self.ask(name, &request, Body::None, &|| false)
    }

    /// Asks a process of its own.
    fn ask(
        &self,
        name: &str,
        request: &Request,
        body: Body,
        stop: &dyn Fn() -> bool,
    ) -> Result<Answer, InputError> {
        let failed = |source| InputError::Process { name: name.to_owned(), source };
        let mut request = serde_json::to_vec(&request).map_err(|e| failed(e.into()))?;
        request.push(b'\n');
        let mut child = self.spawn().map_err(failed)?;
        let ended = self.talk(&mut child, request, body, stop);
        end(&mut child); // and all that it started
        match ended.map_err(failed)? {
            Ended::Stopped => Err(InputError::Stopped),
            Ended::OutOfTime(n_secs) => {
                Err(InputError::OutOfTime { name: name.to_owned(), n_secs })
            }
            Ended::Itself { status, answer, complaint } => match serde_json::from_slice(&answer) {
                Ok(Answer::Error { message, hint, is_usage, is_passing }) => {
                    Err(InputError::Told { message, hint, is_usage, is_passing })
                }
                Ok(answer) if status.success() => Ok(answer),
                _ => Err(self.crash(name, status, &complaint)),
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
        child: &mut Child,
        request: Vec<u8>,
        body: Body,
        stop: &dyn Fn() -> bool,
    ) -> io::Result<Ended> {
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut to), Some(from), Some(complaints)) = pipes else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        start(move || {
            // A reader that has gone says so by its end.
            let _ = to.write_all(&request).and_then(|()| match body {
                Body::None => Ok(()),
                Body::Bytes(bytes) => to.write_all(&bytes),
                Body::Stdin => io::copy(&mut io::stdin().lock(), &mut to).map(|_| ()),
            });
        })?;
        let (tell, complaint) = mpsc::channel();
        start(move || tell.send(taken(complaints, MOST_COMPLAINT)))?;
        let (tell, answer) = mpsc::channel();
        start(move || tell.send(taken(from, MOST_BYTES)))?;

        let started = Instant::now();
        let ended = || {
            let late = self.limits.n_secs.filter(|&n| started.elapsed().as_secs() >= n);
            match late {
                Some(n_secs) => Some(Ended::OutOfTime(n_secs)),
                None => stop().then_some(Ended::Stopped),
            }
        };
        // What it started may hold its pipes open: so its end is asked for, and not that of the pipes.
        let mut said = None;
        let status = loop {
            if said.is_none() {
                match answer.recv_timeout(TICK) {
                    Ok(bytes) => said = Some(bytes),
                    Err(RecvTimeoutError::Disconnected) => said = Some(Vec::new()),
                    Err(RecvTimeoutError::Timeout) => {}
                }
            }
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if let Some(ended) = ended() {
                return Ok(ended);
            }
            if said.is_some() {
                thread::sleep(SHORT_TICK);
            }
        };
        kill_group(child);
        let rest =
            |from: mpsc::Receiver<Vec<u8>>| from.recv_timeout(LAST_WORDS).unwrap_or_default();
        let answer = said.unwrap_or_else(|| rest(answer));
        Ok(Ended::Itself { status, answer, complaint: rest(complaint) })
    }

    /// What is said of a reader that did not answer.
    fn crash(&self, name: &str, status: ExitStatus, complaint: &[u8]) -> InputError {
        let complaint = String::from_utf8_lossy(complaint);
        let name = name.to_owned();
        if complaint.contains("memory allocation of")
            && let Some(n_mib) = self.limits.n_mib
        {
            return InputError::OutOfMemory { name, n_mib };
        }
        // A panic says what happened in its second line; the first has the number of a thread.
        let is_panic = complaint.contains(" panicked at ");
        let mut lines = complaint.lines().filter(|line| !line.trim().is_empty());
        let said = if is_panic { lines.nth(1) } else { lines.next() };
        let said = said.unwrap_or_default().chars().take(200).collect::<String>();
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

/// Starts a thread; a system that has no more of them says so.
fn start<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<()> {
    thread::Builder::new().spawn(work).map(|_| ())
}

/// What follows the request.
enum Body {
    None,
    Stdin,
    Bytes(Vec<u8>),
}

fn unexpected(name: &str) -> InputError {
    let how = "its answer is to another question".to_owned();
    InputError::Crashed { name: name.to_owned(), how, is_killed: false }
}

/// Ends what a process started, and the process.
fn kill_group(child: &Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    #[cfg(not(unix))]
    let _ = child;
}

/// Ends a process and all that it started, if it has not ended.
fn end(child: &mut Child) {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    kill_group(child);
    let _ = child.kill();
    let _ = child.wait();
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
    #[cfg(unix)]
    let _ = start(end_with_the_run);
    // What is asked of an archive is answered at once, what is to be read is read.
    let answered = match what {
        What::Stdin => Err(Input::Stdin),
        What::Given(name) => {
            let mut bytes = Vec::new();
            stdin.read_to_end(&mut bytes)?;
            Err(Input::Given { name, bytes })
        }
        What::File(path) => Err(Input::File { path: path.into(), root: None }),
        What::Member(archive, name) => Err(Input::Member {
            archive: archive.into(),
            name,
            relative: PathBuf::new(),
            n_bytes: 0,
        }),
        What::Names(path) => {
            let names = document::members(Path::new(&path));
            Ok(names.map(Answer::Names).map_err(InputError::from))
        }
        What::Sha256(archive, name) => {
            let sha256 = document::member_sha256(Path::new(&archive), &name);
            Ok(sha256.map(Answer::Sha256).map_err(InputError::from))
        }
        What::Object(uri) => Err(Input::at(uri.as_ref())),
    };
    drop(stdin);
    let answer = match answered.unwrap_or_else(|input| input.read(&reading, pages).map(boxed)) {
        Ok(answer) => answer,
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

fn boxed(document: Document) -> Answer {
    Answer::Document(Box::new(document))
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
    // Should memory run out, this process is to go, and not the run.
    #[cfg(target_os = "linux")]
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    #[cfg(not(unix))]
    let _ = limits;
}

/// Ends this process and all that it started once the run that asked for it is no more.
#[cfg(unix)]
fn end_with_the_run() {
    let run = rustix::process::getppid();
    while rustix::process::getppid() == run {
        thread::sleep(LOOK);
    }
    let _ = rustix::process::kill_current_process_group(rustix::process::Signal::KILL);
}
