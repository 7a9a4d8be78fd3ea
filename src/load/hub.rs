//! Models by their Hugging Face id, through the cache that all tools share.
//!
//! Honours `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN`, `HF_ENDPOINT` and `HF_HUB_OFFLINE`.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use super::LoadError;
use super::folder::shard_names;
use super::open::sha256;

/// What is being downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Download<'a> {
    /// A file begins.
    Begin {
        /// Its name in the repository.
        file: &'a str,
        /// Its size.
        n_bytes: usize,
    },
    /// So many more bytes came.
    More {
        /// Bytes.
        n_bytes: usize,
    },
    /// The file is complete.
    End,
}

/// A model on the hub: `org/name`, `org/name@revision`, `org/name:file.gguf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubId {
    repo: String,
    revision: String,
    file: Option<String>,
}

/// Where a model from the hub lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// A folder of safetensors or one GGUF file.
    pub path: PathBuf,
    /// The commit it is of.
    pub revision: Option<String>,
}

/// Files of a folder model besides the weights; the last three may be absent.
const NEEDED: [&str; 2] = ["config.json", "tokenizer.json"];
const WANTED: [&str; 3] =
    ["tokenizer_config.json", "chat_template.jinja", "generation_config.json"];
const WHOLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

impl HubId {
    /// Reads an id; `None` if this cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (text, file) = match text.split_once(':') {
            Some((rest, file)) => (rest, Some(file.to_owned()).filter(|f| !f.is_empty())),
            None => (text, None),
        };
        let (repo, revision) = text.split_once('@').unwrap_or((text, "main"));
        let (org, name) = repo.split_once('/')?;
        let plain = |s: &str| {
            !s.is_empty()
                && !s.starts_with('.')
                && s.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let good = plain(org)
            && plain(name)
            && revision.split('/').all(plain)
            && file.as_deref().is_none_or(|file| file.split('/').all(plain));
        good.then(|| Self { repo: repo.to_owned(), revision: revision.to_owned(), file })
    }

    /// Finds the model in the cache, or downloads it.
    ///
    /// # Errors
    /// [`LoadError::Offline`] if it is not in the cache and downloads are off;
    /// [`LoadError::Download`] if the hub cannot be reached or lacks what is needed.
    pub fn fetch(&self, observe: &mut dyn FnMut(Download<'_>)) -> Result<Fetched, LoadError> {
        if let Some(fetched) = self.find() {
            return Ok(fetched);
        }
        let (cache, repo) = (cache(), self.in_hub());
        if is_offline() {
            return Err(LoadError::Offline { id: self.repo.clone(), cache: cache.path().clone() });
        }
        let here = cache.repo(repo.clone());
        let api = self.api(cache).map_err(|e| self.failed(&e))?.repo(repo);
        let info = api.info().map_err(|e| self.failed(&e))?;
        // A name from outside must not lead out of the cache.
        let inside = |name: &String| !name.split('/').any(|part| part.is_empty() || part == "..");
        let names = info.siblings.into_iter().map(|s| s.rfilename).filter(inside).collect();
        let path = self.download(&api, &here.pointer_path(&info.sha), &names, observe)?;
        Ok(Fetched { path, revision: Some(info.sha) })
    }

    /// The model in the cache, if it is there whole.
    #[must_use]
    pub fn find(&self) -> Option<Fetched> {
        let path = self.cached(&cache().repo(self.in_hub()))?;
        Some(Fetched { revision: commit_of(&path, self.file.as_deref()), path })
    }

    fn in_hub(&self) -> Repo {
        Repo::with_revision(self.repo.clone(), RepoType::Model, self.revision.clone())
    }

    /// The model as the cache has it, if it is complete.
    fn cached(&self, cache: &CacheRepo) -> Option<PathBuf> {
        // Snapshots are named by their commits; other names of revisions are noted in files.
        let snapshot = cache.pointer_path(&self.revision);
        let get = |name: &str| {
            let here = snapshot.join(name);
            let here = if here.exists() { here } else { cache.get(name)? };
            let of = here.ancestors().nth(name.split('/').count())?;
            (name == "." || !unchecked(of, name).exists()).then_some(here)
        };
        if let Some(file) = &self.file {
            return get(file);
        }
        if get(NEEDED[0]).is_none() {
            return only_gguf(&get(".")?);
        }
        get(NEEDED[1])?;
        let folder = get(NEEDED[0])?.parent()?.to_owned();
        if get(WHOLE).is_none() {
            for shard in shard_names(&get(INDEX)?).ok()? {
                get(&shard)?;
            }
        }
        Some(folder)
    }

    fn api(&self, cache: Cache) -> Result<Api, ApiError> {
        let token = env::var("HF_TOKEN").ok().filter(|t| !t.is_empty()).or_else(|| cache.token());
        let mut builder =
            ApiBuilder::from_cache(cache).with_token(token).with_progress(false).with_retries(3);
        if let Some(endpoint) = env::var("HF_ENDPOINT").ok().filter(|e| !e.is_empty()) {
            builder = builder.with_endpoint(endpoint);
        }
        builder.build()
    }

    fn download(
        &self,
        api: &ApiRepo,
        snapshot: &Path,
        names: &BTreeSet<String>,
        observe: &mut dyn FnMut(Download<'_>),
    ) -> Result<PathBuf, LoadError> {
        let mut get = |name: &str| {
            let here = snapshot.join(name);
            if here.is_file() && !unchecked(snapshot, name).exists() {
                return Ok(here); // of an earlier run that did not get them all
            }
            let _ = fs::remove_file(&here); // it would not be replaced
            self.download_file(api, snapshot, name, observe)
        };
        let ggufs: Vec<&String> = names.iter().filter(|n| n.ends_with(".gguf")).collect();
        match (&self.file, &ggufs[..]) {
            (Some(file), _) if names.contains(file) => return get(file),
            (Some(file), _) => return Err(self.lacks(file, &ggufs)),
            (None, [only]) if !names.contains(NEEDED[0]) => return get(only),
            (None, _) => {}
        }
        if let Some(name) = NEEDED.into_iter().find(|name| !names.contains(*name)) {
            return Err(self.lacks(name, &ggufs));
        }
        let config = get(NEEDED[0])?;
        get(NEEDED[1])?;
        for name in WANTED.into_iter().filter(|name| names.contains(*name)) {
            get(name)?;
        }
        if names.contains(WHOLE) {
            get(WHOLE)?;
        } else if names.contains(INDEX) {
            for shard in shard_names(&get(INDEX)?)? {
                if !names.contains(&shard) {
                    return Err(self.lacks(&shard, &ggufs));
                }
                get(&shard)?;
            }
        } else {
            return Err(self.lacks(WHOLE, &ggufs));
        }
        Ok(config.parent().map(Path::to_owned).unwrap_or_default())
    }

    /// Downloads a file and sees that it is what was announced.
    fn download_file(
        &self,
        api: &ApiRepo,
        snapshot: &Path,
        name: &str,
        observe: &mut dyn FnMut(Download<'_>),
    ) -> Result<PathBuf, LoadError> {
        // hf-hub puts a file in its place before anybody can look at it.
        let mark = unchecked(snapshot, name);
        let marked =
            fs::create_dir_all(mark.parent().unwrap_or(&mark)).and_then(|()| fs::write(&mark, b""));
        marked.map_err(|source| LoadError::Read { path: mark.clone(), source })?;
        let mut n_announced = None;
        let mut watch = |event: Download<'_>| {
            if let Download::Begin { n_bytes, .. } = event {
                n_announced = Some(n_bytes as u64);
            }
            observe(event);
        };
        let mut get = || {
            let observer = Observer { file: name.to_owned(), observe: &mut watch };
            api.download_with_progress(name, observer)
        };
        let got = match get() {
            // More than the whole file is there, of a download that went wrong.
            Err(ApiError::InvalidResume) => {
                forget_parts(snapshot);
                get()
            }
            got => got,
        };
        let path = got.map_err(|e| self.failed(&e))?;
        let Some(wrong) = check(&path, n_announced)? else {
            let _ = fs::remove_file(&mark);
            return Ok(path);
        };
        // It would be taken from the cache next time, and never again from the hub.
        for path in [path.canonicalize().ok(), Some(path)].into_iter().flatten() {
            let _ = fs::remove_file(path);
        }
        Err(LoadError::Download { id: self.repo.clone(), what: format!("`{name}` {wrong}") })
    }

    fn failed(&self, error: &ApiError) -> LoadError {
        let id = self.repo.clone();
        let what = match status(error) {
            // To strangers the hub says so of what is not there, too.
            Some(401) => {
                "the hub has no such repository, or does not show it to everybody: check the name, or set HF_TOKEN"
            }
            Some(403) => "the hub does not let you in: accept the model's terms on its page",
            Some(404) => "there is no such repository, revision or file on the hub",
            _ => return LoadError::Download { id, what: error.to_string() },
        };
        LoadError::NotThere { id, what: what.to_owned() }
    }

    fn lacks(&self, file: &str, ggufs: &[&String]) -> LoadError {
        let mut what = format!("the repository has no `{file}`");
        if !ggufs.is_empty() {
            let list: Vec<String> = ggufs.iter().map(|f| format!("{}:{f}", self.repo)).collect();
            what = format!("{what}; it has {}", list.join(", "));
        }
        LoadError::NotThere { id: self.repo.clone(), what }
    }
}

/// The status with which a server refused.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::TooManyRetries(error) => status(error),
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        _ => None,
    }
}

/// Where it is noted that a file of a snapshot came and was not checked: beside the snapshots.
fn unchecked(snapshot: &Path, name: &str) -> PathBuf {
    let repo = snapshot.ancestors().nth(2).unwrap_or(snapshot);
    repo.join("longsum-unchecked").join(name.replace('/', "--"))
}

/// Throws away what is there of files that are not whole; snapshots and blobs lie side by side.
fn forget_parts(snapshot: &Path) {
    let blobs = snapshot.ancestors().nth(2).map(|repo| repo.join("blobs"));
    let files = blobs.and_then(|blobs| fs::read_dir(blobs).ok());
    for path in files.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())) {
        if path.extension().is_some_and(|extension| extension == "part") {
            let _ = fs::remove_file(path);
        }
    }
}

/// What is wrong with a file that was downloaded. Its blob is named by its SHA-256, if it is a large one.
fn check(path: &Path, n_announced: Option<u64>) -> Result<Option<String>, LoadError> {
    let read = |source| LoadError::Read { path: path.to_owned(), source };
    let n_bytes = fs::metadata(path).map_err(read)?.len();
    if let Some(n_announced) = n_announced.filter(|&n| n != n_bytes) {
        return Ok(Some(format!("has {n_bytes} bytes, and {n_announced} were announced")));
    }
    let blob = path.canonicalize().map_err(read)?;
    let name = blob.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.len() != 64 || !name.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let sum = sha256(std::slice::from_ref(&blob))?;
    let is_right = sum.eq_ignore_ascii_case(name);
    Ok((!is_right).then(|| format!("has the SHA-256 {sum}, and {name} was announced")))
}

/// The only GGUF file of a snapshot, if it has just one.
fn only_gguf(folder: &Path) -> Option<PathBuf> {
    let mut found = fs::read_dir(folder).ok()?.filter_map(|e| Some(e.ok()?.path()));
    let mut ggufs = found.by_ref().filter(|path| path.extension().is_some_and(|e| e == "gguf"));
    let first = ggufs.next()?;
    ggufs.next().is_none().then_some(first)
}

/// Tells the observer what hf-hub tells.
struct Observer<'a, 'b> {
    file: String,
    observe: &'a mut (dyn FnMut(Download<'_>) + 'b),
}

impl hf_hub::api::Progress for Observer<'_, '_> {
    fn init(&mut self, size: usize, _filename: &str) {
        (self.observe)(Download::Begin { file: &self.file, n_bytes: size });
    }

    fn update(&mut self, size: usize) {
        (self.observe)(Download::More { n_bytes: size });
    }

    fn finish(&mut self) {
        (self.observe)(Download::End);
    }
}

/// The folder of the cache, and every repository of models in it with the bytes of its files on disk,
/// by their names.
#[must_use]
pub fn in_cache() -> (PathBuf, Vec<(String, u64)>) {
    let dir = cache().path().clone();
    let folders = fs::read_dir(&dir).into_iter().flatten().filter_map(Result::ok);
    let mut repos: Vec<(String, u64)> = folders
        .filter_map(|folder| {
            let name = folder.file_name().into_string().ok()?;
            // Files lie among the blobs, and snapshots are links to them.
            let blobs = fs::read_dir(folder.path().join("blobs")).ok()?;
            let n_bytes = blobs.filter_map(|blob| Some(blob.ok()?.metadata().ok()?.len())).sum();
            Some((name.strip_prefix("models--")?.replace("--", "/"), n_bytes))
        })
        .collect();
    repos.sort();
    (dir, repos)
}

fn cache() -> Cache {
    match env::var_os("HF_HUB_CACHE").filter(|v| !v.is_empty()) {
        Some(path) => Cache::new(path.into()),
        None => Cache::from_env(),
    }
}

/// Whether nothing is to be downloaded: `HF_HUB_OFFLINE`.
#[must_use]
pub fn is_offline() -> bool {
    env::var("HF_HUB_OFFLINE")
        .is_ok_and(|v| matches!(v.to_lowercase().as_str(), "1" | "on" | "yes" | "true"))
}

/// Snapshots lie in folders named by their commit.
fn commit_of(path: &Path, file: Option<&str>) -> Option<String> {
    let n_up = file.map_or(usize::from(path.is_file()), |f| f.split('/').count());
    let folder = path.ancestors().nth(n_up)?;
    Some(folder.file_name()?.to_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_paths() {
        let id = HubId::parse("Qwen/Qwen3-0.6B").unwrap();
        assert_eq!(
            (id.repo.as_str(), id.revision.as_str(), id.file),
            ("Qwen/Qwen3-0.6B", "main", None)
        );
        let id = HubId::parse("a/b@v1.0:sub/c-Q4_K_M.gguf").unwrap();
        assert_eq!((id.repo.as_str(), id.revision.as_str()), ("a/b", "v1.0"));
        assert_eq!(id.file.as_deref(), Some("sub/c-Q4_K_M.gguf"));
        for path in [
            "model.gguf",
            "./a/b",
            "/a/b",
            "a/b/c",
            "a b/c",
            "a/",
            "../a",
            "a/b@x/../y",
            "a/b:../c.gguf",
        ] {
            assert_eq!(HubId::parse(path), None, "{path}");
        }
    }
}
