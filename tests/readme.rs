//! What the documents print is what the program prints: every block of commands is run, in a folder
//! with the samples, and what stands below a command is compared with what it says.
//!
//! - ```` ```sh ````: a script that has to end with 0.
//! - ```` ```console ````: commands after `$ `, each with what it prints, on stdout and stderr. A line
//!   `...` stands for any lines. `echo $?` tells how the command before it ended.
//! - `<!-- not run: why -->` above a block: it is not. The test prints how many, and why.
//!
//! What differs from run to run and machine to machine is taken out of both sides, see [`REDACTED`].

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Units whose numbers are not compared: `1.7 s` is `_ s`.
const REDACTED: [&str; 6] = ["s", "ms", "tokens/s", "MB", "MiB", "GB"];

/// A block of commands.
#[derive(Debug, PartialEq)]
struct Block {
    /// Line of its first command, from 1.
    line: usize,
    is_console: bool,
    text: String,
    /// Why it is not run.
    skipped: Option<String>,
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut skipped = None;
    let mut lines = markdown.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        if let Some(why) = line.strip_prefix("<!-- not run: ") {
            skipped = why.strip_suffix(" -->").map(str::to_owned);
            continue;
        }
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<&str> =
                lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            if ["sh", "console"].contains(&language) {
                blocks.push(Block {
                    line: at + 2,
                    is_console: language == "console",
                    text: text.join("\n"),
                    skipped: skipped.take(),
                });
            }
        }
        if !line.is_empty() {
            assert_eq!(skipped, None, "line {at}: what is not run stands right below");
        }
    }
    blocks
}

/// Commands and what they print, in order.
fn commands(block: &Block) -> Vec<(String, Vec<&str>)> {
    if !block.is_console {
        return vec![(format!("set -e\n{}", block.text), Vec::new())];
    }
    let mut commands: Vec<(String, Vec<&str>)> = Vec::new();
    for line in block.text.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
            (None, Some((_, printed))) => printed.push(line),
            (None, None) => panic!("line {}: a console begins with `$ `", block.line),
        }
    }
    commands
}

/// A line without the numbers before units and without hashes; where one was, columns are not kept to.
fn redacted(line: &str) -> String {
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let kept = |at: usize| {
        let (word, next) = (words[at], words.get(at + 1).copied().unwrap_or_default());
        let is_timing = REDACTED.contains(&next.trim_end_matches([',', ';', ':', ')']))
            && is_number(word.trim_start_matches('('));
        let is_hash = word.len() >= 64 && word.chars().all(|c| c.is_ascii_hexdigit());
        (!is_timing && !is_hash).then_some(word)
    };
    let kept: Vec<Option<&str>> = (0..words.len()).map(kept).collect();
    if kept.iter().all(Option::is_some) {
        return line.trim_end().to_owned();
    }
    let shown = kept.into_iter().map(|word| word.unwrap_or("_")).filter(|word| !word.is_empty());
    shown.collect::<Vec<_>>().join(" ")
}

/// Whether `printed` is as `expected` says, where a line `...` stands for any lines.
fn is_as(expected: &[String], printed: &[String]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((any, rest)) if any == "..." => {
            (0..=printed.len()).any(|at| is_as(rest, &printed[at..]))
        }
        Some((line, rest)) => printed.first() == Some(line) && is_as(rest, &printed[1..]),
    }
}

fn check(name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(name)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let work = dir.path().join("work");
    for folder in ["samples", "templates"] {
        fs::create_dir_all(work.join(folder)).unwrap();
        for entry in fs::read_dir(root.join(folder)).unwrap().map(Result::unwrap) {
            if entry.path().is_file() {
                fs::copy(entry.path(), work.join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
    let program = Path::new(env!("CARGO_BIN_EXE_longsum"));
    let path = format!("{}:{}", program.parent().unwrap().display(), env!("PATH"));
    let (mut n_run, mut status) = (0, 0);
    let (mut wrong, mut skipped) = (String::new(), Vec::new());
    for block in blocks(&text) {
        if let Some(why) = &block.skipped {
            skipped.push(format!("line {}: {why}", block.line));
            continue;
        }
        for (command, expected) in commands(&block) {
            let output = Command::new("sh")
                // So that `echo $?` tells how the command before it ended.
                .arg("-c")
                .arg(format!(
                    "(exit {status})\n{{ {}\n}} 2>&1",
                    command.replace("cargo run --release --", "longsum")
                ))
                .current_dir(&work)
                .env("PATH", &path)
                .env("HF_HUB_OFFLINE", "1")
                .env("XDG_STATE_HOME", dir.path())
                .env_remove("LONGSUM_MODEL")
                .stdin(Stdio::null())
                .output()
                .unwrap();
            n_run += 1;
            status = output.status.code().unwrap_or(-1);
            let printed = String::from_utf8_lossy(&output.stdout);
            let lines: Vec<String> = printed.trim_end().lines().map(redacted).collect();
            let wanted: Vec<String> = expected.iter().map(|line| redacted(line)).collect();
            let is_right = if block.is_console { is_as(&wanted, &lines) } else { status == 0 };
            if !is_right {
                let _ = writeln!(
                    wrong,
                    "{name}, line {}: `{command}` ended with {status} and printed\n{printed}",
                    block.line
                );
            }
        }
    }
    println!("{name}: {n_run} commands run, {} blocks not run", skipped.len());
    for line in skipped {
        println!("not run: {name}, {line}");
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(n_run > 2, "{name}: {n_run} commands");
}

#[test]
fn the_readme_prints_what_the_program_prints() {
    check("README.md");
}

#[test]
fn the_guide_prints_what_the_program_prints() {
    check("docs/guide.md");
}

#[test]
fn a_printed_line_that_differs_is_noticed() {
    let lines = |text: &str| text.lines().map(redacted).collect::<Vec<_>>();
    assert!(is_as(&lines("a\n...\nc"), &lines("a\nb\nb\nc")));
    assert!(is_as(&lines("a\n..."), &lines("a")));
    assert!(is_as(&lines("read in 1.7 s, 3 pages"), &lines("read in 22 s, 3 pages")));
    for (expected, printed) in
        [("a\n...", "b"), ("a", "a\nb"), ("a\n...\nc", "a\nb"), ("3 pages", "4 pages")]
    {
        assert!(!is_as(&lines(expected), &lines(printed)), "{expected}");
    }
    let text = "<!-- not run: far away -->\n\n```sh\nx\n```\n\n```console\n$ a\nb\n$ c\n```\n";
    let found = blocks(text);
    assert_eq!(found[0].skipped.as_deref(), Some("far away"));
    assert_eq!(found[1].skipped, None);
    assert_eq!(commands(&found[1]), [("a".to_owned(), vec!["b"]), ("c".to_owned(), vec![])]);
}
