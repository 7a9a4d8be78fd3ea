//! The steps of one document on disk, so that a run that was killed can go on.
//!
//! `steps.jsonl` has one line for each step, appended as it is done. `stream.bin` is what the stream
//! held after some chunk, replaced now and then; it ends with its own SHA-256. What is torn at the
//! end was not done.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::summary::{Journal, Put, Step, Stop, Take};

/// The stream is kept so seldom that this takes at most one part of so many of the time.
const STREAM_PART: u32 = 50;
/// How often steps are made to last through a loss of power; a killed run loses none.
const SYNC: Duration = Duration::from_secs(1);
const SHA256_BYTES: u64 = 32;

const STEPS: &str = "steps.jsonl";

/// The steps of a journal, with their lock.
fn locked(dir: &Path) -> io::Result<File> {
    let file = File::options().read(true).append(true).create(true).open(dir.join(STEPS))?;
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "another run works on it"))
        }
        // Some file systems have no locks.
        Ok(()) | Err(fs::TryLockError::Error(_)) => Ok(file),
    }
}

/// Makes a folder that only its owner can read: journals have notes on documents.
fn make_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    if let Some(parent) = dir.parent() {
        builder.create(parent)?;
    }
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Throws a journal away, unless somebody works on it.
pub fn discard(dir: &Path) {
    if locked(dir).is_ok() {
        let _ = fs::remove_dir_all(dir);
    }
}

/// When a run is to stop.
pub type AskStop<'a> = dyn Fn() -> Option<Stop> + Sync + 'a;

/// The journal of one document.
pub struct FileJournal<'a> {
    /// Where it lies; nothing is kept where there is no such place.
    dir: Option<PathBuf>,
    stop: &'a AskStop<'a>,
    /// Nothing is written before the document has taken so long.
    after: Duration,
    began: Instant,
    /// Steps that are not written yet.
    waiting: Vec<u8>,
    file: Option<File>,
    /// Where each step ends in the file.
    ends: Vec<u64>,
    synced: Instant,
    /// When the stream was last kept, and how long that took.
    kept_stream: Option<(Instant, Duration)>,
    /// Why nothing can be kept.
    failure: Option<String>,
}

impl<'a> FileJournal<'a> {
    /// The journal in this folder, which need not be there.
    ///
    /// - `after`: what takes less is not kept
    /// - `stop`: asked between two steps
    #[must_use]
    pub fn new(dir: Option<PathBuf>, after: Duration, stop: &'a AskStop<'a>) -> Self {
        let now = Instant::now();
        Self {
            dir,
            stop,
            after,
            began: now,
            waiting: Vec::new(),
            file: None,
            ends: Vec::new(),
            synced: now,
            kept_stream: None,
            failure: None,
        }
    }

    /// Why nothing could be kept, if that was so.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// Writes down what is waiting.
    fn flush(&mut self) {
        if self.waiting.is_empty() || !self.is_kept() {
            return;
        }
        let written = self.open().and_then(|()| {
            let Some(file) = &mut self.file else { return Ok(()) };
            file.write_all(&self.waiting)?;
            if self.synced.elapsed() >= SYNC {
                file.sync_data()?;
                self.synced = Instant::now();
            }
            Ok(())
        });
        self.waiting.clear();
        if let Err(e) = written {
            self.fail("write", &e);
        }
    }

    fn fail(&mut self, what: &str, error: &io::Error) {
        let dir = self.dir.as_deref().unwrap_or(Path::new("")).display();
        self.failure = Some(format!("cannot {what} `{dir}`: {error}"));
    }

    /// Whether anything is kept.
    fn is_kept(&self) -> bool {
        self.dir.is_some() && self.failure.is_none()
    }

    /// Opens the file and holds its lock.
    fn open(&mut self) -> io::Result<()> {
        let Some(dir) = self.dir.as_ref().filter(|_| self.file.is_none()) else { return Ok(()) };
        make_private(dir)?;
        self.file = Some(locked(dir)?);
        Ok(())
    }

    fn read_steps(&mut self) -> io::Result<Vec<Step>> {
        if !self.dir.as_ref().is_some_and(|dir| dir.join(STEPS).exists()) {
            return Ok(Vec::new());
        }
        self.open()?;
        let Some(file) = &mut self.file else { return Ok(Vec::new()) };
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let (mut steps, mut end) = (Vec::new(), 0);
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            if line.last() != Some(&b'\n') {
                break;
            }
            let Ok(step) = serde_json::from_slice(line) else { break };
            steps.push(step);
            end += line.len() as u64;
            self.ends.push(end);
        }
        file.set_len(end)?;
        Ok(steps)
    }

    fn write_stream(
        &mut self,
        n_chunks: usize,
        export: &mut dyn FnMut(&mut Put<'_>) -> bool,
    ) -> io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let unfinished = dir.join("stream.new");
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&unfinished)?);
        let mut sum = Sha256::new();
        let mut result = Ok(());
        let mut put = |bytes: &[u8]| {
            if result.is_ok() {
                sum.update(bytes);
                result = out.write_all(bytes);
            }
        };
        put(&(n_chunks as u64).to_le_bytes());
        let is_whole = export(&mut put);
        result?;
        out.write_all(&sum.finalize())?;
        let file = out.into_inner()?;
        file.sync_data()?;
        if is_whole {
            fs::rename(unfinished, dir.join("stream.bin"))?;
        }
        Ok(())
    }

    /// What was kept of a stream, checked, and standing behind the number of chunks.
    fn read_stream(&self) -> Option<(usize, impl Read + use<>)> {
        let mut file = File::open(self.dir.as_ref()?.join("stream.bin")).ok()?;
        let n_bytes = file.metadata().ok()?.len().checked_sub(SHA256_BYTES)?;
        let mut sum = Sha256::new();
        let mut body = BufReader::with_capacity(1 << 20, (&mut file).take(n_bytes));
        io::copy(&mut body, &mut sum).ok()?;
        let mut stored = [0; SHA256_BYTES as usize];
        file.seek(SeekFrom::Start(n_bytes)).ok()?;
        file.read_exact(&mut stored).ok()?;
        if sum.finalize().as_slice() != stored {
            return None;
        }
        file.rewind().ok()?;
        let mut body = BufReader::with_capacity(1 << 20, file.take(n_bytes));
        let mut n_chunks = [0; 8];
        body.read_exact(&mut n_chunks).ok()?;
        Some((usize::try_from(u64::from_le_bytes(n_chunks)).ok()?, body))
    }
}

impl Journal for FileJournal<'_> {
    fn earlier(&mut self) -> Vec<Step> {
        match self.read_steps() {
            Ok(steps) => steps,
            Err(e) => {
                self.fail("read", &e);
                Vec::new()
            }
        }
    }

    fn keep(&mut self, step: &Step) {
        if !self.is_kept() {
            return;
        }
        let start = self.waiting.len();
        if serde_json::to_writer(&mut self.waiting, step).is_err() {
            self.waiting.truncate(start);
            self.failure = Some("a step cannot be written as JSON".to_owned());
            return;
        }
        self.waiting.push(b'\n');
        let n_bytes = (self.waiting.len() - start) as u64;
        self.ends.push(self.ends.last().copied().unwrap_or(0) + n_bytes);
        if self.file.is_some() || self.began.elapsed() >= self.after {
            self.flush();
        }
    }

    fn forget_after(&mut self, n: usize) {
        self.ends.truncate(n);
        let end = self.ends.last().copied().unwrap_or(0);
        if let Some(file) = &self.file
            && let Err(e) = file.set_len(end)
        {
            self.fail("write", &e);
        }
    }

    fn keep_stream(&mut self, n_chunks: usize, export: &mut dyn FnMut(&mut Put<'_>) -> bool) {
        let is_time = match self.kept_stream {
            None => self.began.elapsed() >= self.after,
            Some((when, took)) => when.elapsed() >= self.after.max(took * STREAM_PART),
        };
        let is_last = (self.stop)().is_some();
        if !self.is_kept() || !(is_time || is_last) {
            return;
        }
        self.flush();
        let started = Instant::now();
        if let Err(e) = self.open().and_then(|()| self.write_stream(n_chunks, export)) {
            if let Some(dir) = &self.dir {
                let _ = fs::remove_file(dir.join("stream.new"));
            }
            self.fail("write", &e);
        }
        self.kept_stream = Some((Instant::now(), started.elapsed()));
    }

    fn stream(
        &mut self,
        fits: &dyn Fn(usize) -> bool,
        import: &mut dyn FnMut(&mut Take<'_>) -> bool,
    ) -> Option<usize> {
        let (n_chunks, mut body) = self.read_stream()?;
        let is_taken = fits(n_chunks) && import(&mut |bytes| body.read_exact(bytes).is_ok());
        is_taken.then_some(n_chunks)
    }

    fn stop(&mut self) -> Option<Stop> {
        let stop = (self.stop)();
        if stop.is_some() {
            self.flush();
        }
        stop
    }
}
