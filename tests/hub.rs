//! Models from the hub, against a server on this machine that speaks its protocol: whole, with a
//! connection that breaks, with files that are not what was announced, and with files that are lacking.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::tiny;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What is wrong with the hub today.
#[derive(Default)]
struct Faults {
    /// Bodies of weights that break off after so many bytes, before all goes well.
    n_breaks: usize,
    /// Weights that are shorter than was announced, over a connection that just ends.
    is_short: bool,
    /// Weights with one other byte.
    is_damaged: bool,
    /// Nobody is let in.
    is_gated: bool,
}

struct Hub {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    faults: Mutex<Faults>,
    /// Path and first byte of every request.
    asked: Mutex<Vec<(String, usize)>>,
    is_done: AtomicBool,
    port: u16,
}

/// Ends the server.
struct Running(Arc<Hub>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.is_done.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.0.port));
    }
}

impl Hub {
    /// Serves the tiny model as `org/tiny`.
    fn start() -> Running {
        let dir = tempfile::tempdir().unwrap();
        tiny::write(dir.path());
        let files = fs::read_dir(dir.path()).unwrap().map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hub = Arc::new(Self {
            files: Mutex::new(files.collect()),
            faults: Mutex::default(),
            asked: Mutex::default(),
            is_done: AtomicBool::new(false),
            port: listener.local_addr().unwrap().port(),
        });
        let serving = Arc::clone(&hub);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.is_done.load(Ordering::Relaxed) {
                    return;
                }
                let hub = Arc::clone(&serving);
                thread::spawn(move || hub.answer(&stream.unwrap()));
            }
        });
        Running(hub)
    }

    fn answer(&self, mut stream: &TcpStream) {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let first = lines.next().unwrap_or_default();
        let Some(path) = first.split(' ').nth(1).map(str::to_owned) else { return };
        let mut range = None;
        for line in lines.take_while(|line| !line.is_empty()) {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("range")
            {
                range = value.trim().strip_prefix("bytes=").map(str::to_owned);
            }
        }
        let range = range.unwrap_or_default();
        let (from, to) = range.split_once('-').unwrap_or(("0", ""));
        let from: usize = from.parse().unwrap_or(0);
        self.asked.lock().unwrap().push((path.clone(), from));
        let say = |mut stream: &TcpStream, status: &str, body: &[u8]| {
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        };
        let mut faults = self.faults.lock().unwrap();
        if faults.is_gated {
            return say(stream, "401 Unauthorized", b"who are you?");
        }
        let files = self.files.lock().unwrap();
        if path == "/api/models/org/tiny/revision/main" {
            let siblings: Vec<Value> =
                files.keys().map(|name| json!({ "rfilename": name })).collect();
            let info = json!({ "sha": COMMIT, "siblings": siblings });
            return say(stream, "200 OK", info.to_string().as_bytes());
        }
        let file = path.strip_prefix("/org/tiny/resolve/main/");
        let Some((name, bytes)) = file.and_then(|name| files.get_key_value(name)) else {
            return say(stream, "404 Not Found", b"no such thing");
        };
        let is_weights = name == "model.safetensors";
        let sum: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let etag = if is_weights { sum } else { sum[..40].to_owned() };
        let mut bytes = bytes.clone();
        if is_weights && faults.is_damaged {
            *bytes.last_mut().unwrap() ^= 1;
        }
        let end = to.parse().map_or(bytes.len(), |to: usize| bytes.len().min(to + 1));
        let body = &bytes[from.min(end)..end];
        let is_whole = to.is_empty();
        let length = if is_weights && faults.is_short && is_whole {
            String::new()
        } else {
            format!("content-length: {}\r\n", body.len())
        };
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\nx-repo-commit: {COMMIT}\r\netag: \"{etag}\"\r\n\
             content-range: bytes {from}-{}/{}\r\n{length}connection: close\r\n\r\n",
            end.max(1) - 1,
            bytes.len()
        );
        let sent = if is_weights && is_whole && faults.n_breaks > 0 {
            faults.n_breaks -= 1;
            body.len().min(10_000)
        } else if length.is_empty() {
            body.len() / 2
        } else {
            body.len()
        };
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..sent]));
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read(&mut [0; 16]);
    }

    fn set(&self, faults: Faults) {
        *self.faults.lock().unwrap() = faults;
    }

    /// From which bytes on the weights were asked for, but for their first alone.
    fn starts(&self) -> Vec<usize> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        let of_weights = asked.into_iter().filter(|(path, _)| path.ends_with("/model.safetensors"));
        of_weights.map(|(_, from)| from).skip(1).collect()
    }

    fn run(&self, home: &Path, model: &str) -> Output {
        let document = home.join("document.txt");
        let text = "The harbour counted nine ships in May. In June there were eleven ships and a boat. The mayor was glad of it.";
        fs::write(&document, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_longsum"));
        // Nobody's settings.
        command.env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
        command.env_remove("LONGSUM_MODEL").env_remove("HF_HUB_OFFLINE").env_remove("HF_HUB_CACHE");
        command.env("HF_HOME", home).env("HF_ENDPOINT", format!("http://127.0.0.1:{}", self.port));
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        command.arg(&document).args(["--model", model, "--length", "short"]);
        command.output().unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn expect(output: &Output, code: i32, words: &[&str]) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    words.iter().for_each(|word| assert!(said.contains(word), "no `{word}` in: {said}"));
}

/// Files of the cache that are whole, and parts of others.
fn kept(home: &Path) -> (usize, usize) {
    let blobs = home.join("hub/models--org--tiny/blobs");
    let names = fs::read_dir(blobs)
        .into_iter()
        .flatten()
        .filter_map(|e| e.unwrap().file_name().into_string().ok());
    let names: Vec<String> = names.filter(|name| !name.ends_with(".lock")).collect();
    let n_parts = names.iter().filter(|name| name.ends_with(".part")).count();
    (names.len() - n_parts, n_parts)
}

#[test]
fn a_model_is_downloaded_once_and_its_commit_and_checksum_are_in_the_report() {
    let (hub, home) = (Hub::start(), tempfile::tempdir().unwrap());
    let output = hub.0.run(home.path(), "org/tiny");
    expect(&output, 0, &[]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["model"]["id"], "org/tiny");
    assert_eq!(report["model"]["revision"], COMMIT);
    assert_eq!(report["model"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(kept(home.path()), (4, 0));
    hub.0.asked.lock().unwrap().clear();
    // From the cache: nobody is asked, be the hub there or not.
    expect(&hub.0.run(home.path(), "org/tiny"), 0, &[]);
    expect(&hub.0.run(home.path(), &format!("org/tiny@{COMMIT}")), 0, &[]);
    assert_eq!(hub.0.asked.lock().unwrap().len(), 0);
}

#[test]
fn a_connection_that_breaks_goes_on_where_it_was() {
    let (hub, home) = (Hub::start(), tempfile::tempdir().unwrap());
    hub.0.set(Faults { n_breaks: 1, ..Faults::default() });
    expect(&hub.0.run(home.path(), "org/tiny"), 0, &[]);
    let starts = hub.0.starts();
    assert_eq!(starts, [0, 10_000]);

    // It breaks more often than it is tried again: the next run goes on.
    let home = tempfile::tempdir().unwrap();
    hub.0.set(Faults { n_breaks: 100, ..Faults::default() });
    expect(&hub.0.run(home.path(), "org/tiny"), 75, &["cannot download", "org/tiny"]);
    let n_tried = hub.0.starts().len();
    assert_eq!(kept(home.path()), (3, 1));
    hub.0.set(Faults::default());
    expect(&hub.0.run(home.path(), "org/tiny"), 0, &[]);
    assert_eq!(hub.0.starts(), [10_000 * n_tried]);
    assert_eq!(kept(home.path()), (4, 0));
}

#[test]
fn files_that_are_not_what_was_announced_are_not_kept() {
    let (hub, home) = (Hub::start(), tempfile::tempdir().unwrap());
    hub.0.set(Faults { is_short: true, ..Faults::default() });
    let output = hub.0.run(home.path(), "org/tiny");
    expect(&output, 75, &["model.safetensors", "bytes, and ", "were announced"]);
    assert_eq!(kept(home.path()), (3, 0));
    hub.0.set(Faults { is_damaged: true, ..Faults::default() });
    let output = hub.0.run(home.path(), "org/tiny");
    expect(&output, 75, &["model.safetensors", "SHA-256", "was announced"]);
    assert_eq!(kept(home.path()), (3, 0));
    // A run that ends before a file is checked leaves it to the next.
    let snapshot = home.path().join("hub/models--org--tiny/snapshots").join(COMMIT);
    let unchecked = home.path().join("hub/models--org--tiny/longsum-unchecked");
    fs::write(snapshot.join("model.safetensors"), "half").unwrap();
    fs::write(unchecked.join("model.safetensors"), "").unwrap();
    hub.0.set(Faults::default());
    hub.0.starts();
    expect(&hub.0.run(home.path(), "org/tiny"), 0, &[]);
    assert!(!unchecked.join("model.safetensors").exists());
    fs::remove_file(snapshot.join("model.safetensors")).unwrap();
    // What is longer than the file can be is of no use either.
    let blobs = home.path().join("hub/models--org--tiny/blobs");
    let weights = hub.0.files.lock().unwrap()["model.safetensors"].clone();
    let sum: String = Sha256::digest(&weights).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(blobs.join(format!("{sum}.part")), vec![0; weights.len() + 1]).unwrap();
    hub.0.set(Faults::default());
    expect(&hub.0.run(home.path(), "org/tiny"), 0, &[]);
}

#[test]
fn what_the_hub_lacks_or_keeps_back_is_told() {
    let (hub, home) = (Hub::start(), tempfile::tempdir().unwrap());
    expect(&hub.0.run(home.path(), "org/none"), 2, &["org/none", "no such repository"]);
    expect(&hub.0.run(home.path(), "org/tiny:x.gguf"), 2, &["has no `x.gguf`"]);
    hub.0.files.lock().unwrap().remove("tokenizer.json");
    expect(&hub.0.run(home.path(), "org/tiny"), 2, &["has no `tokenizer.json`"]);
    hub.0.set(Faults { is_gated: true, ..Faults::default() });
    expect(&hub.0.run(home.path(), "org/tiny"), 2, &["HF_TOKEN", "check the name"]);
    let port = hub.0.port;
    drop(hub);
    let gone = Hub {
        files: Mutex::default(),
        faults: Mutex::default(),
        asked: Mutex::default(),
        is_done: AtomicBool::new(true),
        port,
    };
    thread::sleep(std::time::Duration::from_millis(100));
    expect(&gone.run(home.path(), "org/tiny"), 75, &["cannot download"]);
}
