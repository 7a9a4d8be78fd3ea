//! The two sides of the code meet in `summary` and nowhere else. This reads the `use` lines and the
//! paths in the code and says so.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room, and what its code must never name.
const BANS: [(&str, &[&str]); 23] = [
    // Text side: no tensors.
    ("document", TENSORS),
    ("sentence", TENSORS),
    ("chunk", TENSORS),
    ("prompt", TENSORS),
    ("token", TENSORS),
    ("report", TENSORS),
    ("event", TENSORS),
    ("eval", TENSORS),
    ("select", TENSORS),
    ("check", TENSORS),
    ("language", TENSORS),
    // Tensor side: no documents, no JSON, no files, no terminal.
    ("cache", TEXT),
    ("model", TEXT),
    ("device", TEXT),
    ("stream", TEXT),
    ("measure", TEXT),
    // From files to tensors: no documents, no reports.
    (
        "load",
        &[
            "crate::document",
            "crate::chunk",
            "crate::report",
            "crate::summary",
            "crate::stream",
            "clap::",
            "indicatif::",
        ],
    ),
    // The method: no files, no terminal.
    (
        "summary",
        &["std::fs", "std::io", "crate::load", "crate::batch", "clap::", "indicatif::", "anyhow::"],
    ),
    ("batch", &["crate::cache", "crate::stream", "clap::", "indicatif::", "anyhow::"]),
    ("memory", &["crate::"]),
    // The program: only what the library shows.
    ("cli", &["crate::"]),
    ("main", &["longsum::", "candle"]),
    ("lib", &["fn main"]),
];

const TENSORS: &[&str] = &[
    "candle",
    "crate::cache",
    "crate::model",
    "crate::stream",
    "crate::load",
    "crate::summary",
    "crate::batch",
    "clap::",
    "indicatif::",
    "anyhow::",
];
const TEXT: &[&str] = &[
    "crate::document",
    "crate::chunk",
    "crate::prompt",
    "crate::report",
    "crate::summary",
    "crate::load",
    "crate::batch",
    "crate::token",
    "serde_json",
    "std::fs",
    "std::io",
    "clap::",
    "indicatif::",
    "anyhow::",
];

#[test]
fn every_room_keeps_to_its_side() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut rooms = Vec::new();
    for file in files(&src) {
        let inner = file.strip_prefix(&src).unwrap();
        let room = inner
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs");
        let Some((_, bans)) = BANS.iter().find(|(name, _)| *name == room) else {
            panic!("`{}` belongs to no room: say in this test what it may name", inner.display());
        };
        rooms.push(room.to_owned());
        for (number, line) in code(&fs::read_to_string(&file).unwrap()) {
            wrong.extend(
                bans.iter()
                    .filter(|ban| line.contains(**ban))
                    .map(|ban| format!("src/{}:{number} names `{ban}`", inner.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    for (room, _) in BANS {
        assert!(rooms.iter().any(|r| r == room), "there is no room `{room}`");
    }
}

#[test]
fn async_stays_with_the_object_stores() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_elsewhere = |file: &PathBuf| !file.ends_with("batch/objects/remote.rs");
    let elsewhere = files(&src).into_iter().filter(is_elsewhere);
    for file in elsewhere {
        for (number, line) in code(&fs::read_to_string(&file).unwrap()) {
            for ban in ["async ", ".await", "tokio::", "object_store::"] {
                assert!(!line.contains(ban), "{}:{number} names `{ban}`", file.display());
            }
        }
    }
}

/// Lines of code with their numbers: no comments, and nothing from the unit tests on.
fn code(text: &str) -> Vec<(usize, &str)> {
    let is_tests = |text: &str| text.lines().take(5).any(|line| line.starts_with("mod tests {"));
    let end = text
        .match_indices("\n#[cfg(test)]\n")
        .find(|(at, mark)| is_tests(&text[at + mark.len()..]))
        .map_or(text.len(), |(at, _)| at);
    text[..end]
        .lines()
        .enumerate()
        .map(|(k, line)| (k + 1, line.trim()))
        .filter(|(_, line)| !line.starts_with("//"))
        .collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
