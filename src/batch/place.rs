//! Where results lie: files appear whole or not at all.
//!
//! A folder `.longsum` beside the results holds what is not whole yet, and the journals of documents
//! that are not finished. Whoever works on a file in it holds its lock, so what a killed run left
//! behind is known by a lock that nobody holds; not all network file systems tell other machines of
//! locks, so files of those are left alone for an hour. The folder goes when it is empty.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::journal::discard;
use super::sha256_hex;

/// Files that are being written, by this process.
static N_WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Name of the folder.
const NAME: &str = ".longsum";
/// How files begin that are being written.
const UNFINISHED: &str = "new-";
/// No file is written for so long.
const WRITING_LIFE: Duration = Duration::from_secs(3600);
/// A journal that nobody went on with for so long is thrown away.
const JOURNAL_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Another run may tidy up a folder or a file in the moment before it is used.
const N_TRIES: usize = 100;

/// A folder that results are written to.
#[derive(Debug)]
pub struct Place {
    /// `.longsum` in it.
    own: PathBuf,
    /// How the names of files begin that this machine writes.
    prefix: String,
}

impl Place {
    /// The folder of results `dir`, which need not be there yet. Removes what killed runs left in it.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        let prefix = format!("{UNFINISHED}{}-", machine());
        let place = Self { own: dir.join(NAME), prefix };
        place.sweep();
        place
    }

    /// As [`Place::new`], for somebody who changes nothing.
    #[must_use]
    pub fn untouched(dir: &Path) -> Self {
        Self { own: dir.join(NAME), prefix: String::new() }
    }

    /// Fails where nothing can be written, before the long work is done.
    ///
    /// # Errors
    /// What the system says.
    pub fn check(&self) -> io::Result<()> {
        let (path, _file) = self.unfinished()?;
        fs::remove_file(path)
    }

    /// Writes a file and its folders, whole or not at all, and as lasting as the system can make it.
    ///
    /// # Errors
    /// What the system says; the file is as it was.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if is_special(path) {
            return fs::write(path, bytes);
        }
        // What a link points to is written, not the link.
        let target = path.canonicalize().ok().filter(|_| path.is_symlink());
        let path = target.as_deref().unwrap_or(path);
        let dir = parent(path);
        fs::create_dir_all(dir)?;
        let (unfinished, mut file) = self.unfinished()?;
        let written = file
            .write_all(bytes)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&unfinished, path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written?;
        sync_dir(dir);
        Ok(())
    }

    /// A new file that is locked until it is closed.
    fn unfinished(&self) -> io::Result<(PathBuf, File)> {
        let mut tries = 0;
        loop {
            tries += 1;
            let n = N_WRITTEN.fetch_add(1, Ordering::Relaxed);
            let path = self.own.join(format!("{}{}-{n}", self.prefix, process::id()));
            let made = fs::create_dir_all(&self.own).and_then(|()| {
                let file = File::create_new(&path)?;
                // Some file systems have no locks: then nothing is swept either.
                let _ = file.lock();
                // Swept away before it was locked?
                fs::metadata(&path)?;
                Ok(file)
            });
            match made {
                Ok(file) => return Ok((path, file)),
                // Another run tidied up in this moment, or one with our number was killed.
                Err(e) if is_in_the_way(&e) && tries < N_TRIES => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Removes files that nobody writes any more, and old journals.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.own) else { return };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let begins = |with: &str| name.as_encoded_bytes().starts_with(with.as_bytes());
            if begins(UNFINISHED) {
                let is_ours = begins(&self.prefix);
                // The lock is held until the file is gone: nobody may begin to write it meanwhile.
                let abandoned = (is_ours || is_older(&path, WRITING_LIFE))
                    .then(|| lock_abandoned(&path))
                    .flatten();
                if let Some(_lock) = abandoned {
                    let _ = fs::remove_file(path);
                }
            } else if is_older(&path, JOURNAL_LIFE) {
                let _ = fs::remove_dir_all(path);
            }
        }
    }
}

/// The journals of one document in a place: one for each key it was worked on under.
#[derive(Debug)]
pub struct Journals<'a> {
    place: Option<&'a Place>,
    /// What no other document in this place is called.
    of: OsString,
}

impl<'a> Journals<'a> {
    /// The journals of the document that alone has this name. None are kept where there is no place.
    #[must_use]
    pub fn new(place: Option<&'a Place>, of: OsString) -> Self {
        Self { place, of }
    }

    /// The journals of some work on the document that may be done beside other work on it.
    #[must_use]
    pub fn of_work(mut self, what: &str) -> Self {
        self.of.push("\n");
        self.of.push(what);
        self
    }

    /// The folder for the journal with this key; made by whoever writes there.
    #[must_use]
    pub fn folder(&self, key: &str) -> Option<PathBuf> {
        let name = format!("{}{}", self.prefix(), &key[..32.min(key.len())]);
        Some(self.place?.own.join(name))
    }

    /// Throws all of them away, but for one that somebody works on.
    pub fn forget(&self) {
        let Some(place) = self.place else { return };
        let Ok(entries) = fs::read_dir(&place.own) else { return };
        let prefix = self.prefix();
        let is_of = |entry: &fs::DirEntry| {
            entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes())
        };
        entries.flatten().filter(is_of).for_each(|entry| discard(&entry.path()));
    }

    /// How their names begin.
    fn prefix(&self) -> String {
        format!("{}-", &sha256_hex(self.of.as_encoded_bytes())[..16])
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.own); // if it is empty
    }
}

/// A file whose lock nobody held; it is held as long as the file is open.
fn lock_abandoned(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    file.try_lock().is_ok().then_some(file)
}

fn is_older(path: &Path, than: Duration) -> bool {
    let changed = fs::metadata(path).and_then(|meta| meta.modified());
    let age = |changed| SystemTime::now().duration_since(changed).unwrap_or_default();
    changed.is_ok_and(|changed| age(changed) > than)
}

fn is_in_the_way(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists)
}

/// The name of this machine, as far as it can stand in a file name.
fn machine() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    name.chars().filter(char::is_ascii_alphanumeric).take(60).collect()
}

/// A pipe or a device: written to, never replaced.
#[must_use]
pub fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

/// The folder that a file is in.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a renaming last through a loss of power, where folders can be opened.
fn sync_dir(dir: &Path) {
    if let Ok(dir) = File::open(dir) {
        let _ = dir.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_written_whole_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path());
        place.check().unwrap();
        let path = dir.path().join("a/b.json");
        place.write(&path, b"one").unwrap();
        place.write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        drop(place);
        assert_eq!(names(dir.path()), ["a"]);
        assert_eq!(names(&dir.path().join("a")), ["b.json"]);
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_what_a_running_one_writes_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let running = Place::new(dir.path());
        let (path, file) = running.unfinished().unwrap();
        let own = dir.path().join(NAME);
        let left = own.join(format!("{}0-0", running.prefix));
        let elsewhere = own.join("new-another-1-0");
        fs::write(&left, "half").unwrap();
        fs::write(&elsewhere, "half").unwrap();
        drop(Place::new(dir.path()));
        assert!(path.exists() && elsewhere.exists());
        assert!(!left.exists());
        fs::remove_file(elsewhere).unwrap();
        drop(file);
        drop(Place::new(dir.path()));
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn journals_are_those_of_one_document_and_one_kind_of_work() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::new(dir.path());
        let of = |name: &str| Journals::new(Some(&place), name.into());
        let all = [of("a"), of("b"), of("a").of_work("merge")];
        for (journals, key) in all.iter().flat_map(|j| [(j, "first"), (j, "second")]) {
            fs::create_dir_all(journals.folder(key).unwrap()).unwrap();
        }
        let there = || {
            let is_there = |key| move |j: &Journals<'_>| j.folder(key).unwrap().is_dir();
            (
                all.iter().map(is_there("first")).collect::<Vec<_>>(),
                all.iter().map(is_there("second")).collect::<Vec<_>>(),
            )
        };
        assert_eq!(there(), (vec![true; 3], vec![true; 3]));
        all[0].forget();
        assert_eq!(there(), (vec![false, true, true], vec![false, true, true]));
    }

    #[test]
    fn many_write_at_once() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for k in 0..8 {
                let dir = dir.path();
                scope.spawn(move || {
                    for n in 0..20 {
                        let place = Place::new(dir);
                        let (path, text) = (dir.join(format!("{k}-{n}")), format!("{k} {n}"));
                        place.write(&path, text.repeat(1000).as_bytes()).unwrap();
                    }
                });
            }
        });
        let names = names(dir.path());
        let files = names.iter().filter(|n| *n != NAME);
        let is_right = |name: &&String| {
            let text = fs::read_to_string(dir.path().join(name)).unwrap();
            text == name.replace('-', " ").repeat(1000)
        };
        assert_eq!(files.filter(is_right).count(), 160);
    }
}
