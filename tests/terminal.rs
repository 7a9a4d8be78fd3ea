//! What a person sees: help, text in a terminal, settings, and the commands that explain.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::tiny;

/// The program as it is for somebody without settings, caches and a terminal.
fn longsum(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longsum"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home).env("HF_HUB_OFFLINE", "1").env("COLUMNS", "100");
    command.current_dir(home).stdin(Stdio::null());
    command
}

fn run(home: &Path, args: &[&str]) -> Output {
    longsum(home).args(args).output().unwrap()
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name);
    path.to_str().unwrap().to_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Fails with this code and these words.
fn check_error(output: &Output, code: i32, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}{}", stdout(output));
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

const COMMANDS: [&str; 14] = [
    "extract",
    "models",
    "doctor",
    "config",
    "plan",
    "map",
    "merge",
    "worker",
    "eval",
    "ppl",
    "bench",
    "schema",
    "completions",
    "man",
];

/// Help as it was committed. After a change: `UPDATE=1 cargo test --test main help_is`, then look at
/// what git says of tests/help.
#[test]
fn help_is_as_it_was_fits_a_screen_and_ends_with_an_example() {
    let home = home();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let mut cases = vec![
        ("longsum".to_owned(), vec!["--help"]),
        ("longsum-all".to_owned(), vec!["--help-all"]),
        ("config-show".to_owned(), vec!["config", "show", "--help"]),
    ];
    cases.extend(COMMANDS.map(|command| (command.to_owned(), vec![command, "--help"])));
    for (name, args) in cases {
        let output = run(home.path(), &args);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
        let text = stdout(&output);
        let file = dir.join(format!("{name}.txt"));
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(&dir).unwrap();
            fs::write(&file, &text).unwrap();
        }
        let committed = fs::read_to_string(&file).unwrap_or_default();
        assert!(text == committed, "{} differs from\n{text}", file.display());
        let n_lines = text.lines().count();
        assert!(n_lines <= 48 || name == "longsum-all", "{name} has {n_lines} lines");
        assert!(text.contains("\nExample"), "{name} has no example");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{name} is too wide");
        if name != "longsum-all" {
            let short = [&args[..args.len() - 1], &["-h"]].concat();
            assert_eq!(stdout(&run(home.path(), &short)), text, "{name}: -h is not --help");
        }
    }
    let all = stdout(&run(home.path(), &["--help-all"]));
    for word in COMMANDS.iter().chain(&["--checkpoint", "--read-memory", "--evidence", "--color"]) {
        assert!(all.contains(word), "{word}");
    }
}

/// What somebody sees in a terminal of 60 columns; nothing where no terminal can be had.
fn in_terminal(home: &Path, line: &str, variables: &[(&str, &str)]) -> Option<String> {
    let mut command = Command::new("script");
    let program = env!("CARGO_BIN_EXE_longsum");
    command.args(["-qec", &format!("stty cols 60 rows 30; '{program}' {line}"), "/dev/null"]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home).env("TERM", "xterm").envs(variables.iter().copied());
    let output = command.current_dir(home).stdin(Stdio::null()).output();
    let Ok(output) = output.map_err(|e| eprintln!("not tested: no `script` here: {e}")) else {
        return None;
    };
    Some(String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n"))
}

#[test]
fn a_terminal_gets_a_summary_to_read() {
    let home = home();
    let line = format!("-q '{}' --length short", sample("harbour.md"));
    let Some(text) = in_terminal(home.path(), &line, &[]) else { return };
    let lines: Vec<&str> = text.trim_end().lines().collect();
    assert_eq!(lines[0], "\u{1B}[1mDredging the Old Harbour at Velsby\u{1B}[0m", "{text}");
    assert!(lines[2].starts_with("• "), "{text}");
    assert!(text.contains("\u{1B}[2m[section 2]\u{1B}[0m"), "{text}");
    assert!(lines.last().unwrap().contains("json"), "{text}");
    let width = |line: &str| {
        let codes = ["\u{1B}[1m", "\u{1B}[2m", "\u{1B}[0m"];
        codes.iter().fold(line.to_owned(), |line, code| line.replace(code, "")).chars().count()
    };
    assert!(lines.iter().all(|line| width(line) <= 60), "{text}");
    assert!(lines.iter().any(|line| width(line) > 50), "{text}");

    for variable in [("NO_COLOR", "1"), ("CLICOLOR", "0"), ("TERM", "dumb")] {
        let text = in_terminal(home.path(), &line, &[variable]).unwrap();
        assert!(text.contains("[section 2]") && !text.contains('\u{1B}'), "{variable:?}: {text}");
    }
    let json = in_terminal(home.path(), &format!("{line} --format json"), &[]).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["status"], "complete");
    // Somebody who pipes it gets JSON, unless text is asked for.
    let piped = run(home.path(), &["-q", &sample("harbour.md")]);
    assert_eq!(serde_json::from_slice::<Value>(&piped.stdout).unwrap()["status"], "complete");
    let asked = run(home.path(), &["-q", "-f", "text", &sample("harbour.md")]);
    assert!(stdout(&asked).starts_with("Dredging the Old Harbour at Velsby\n\n• "));
    let coloured = ["-q", "-f", "text", "--color", "always", &sample("harbour.md")];
    assert!(stdout(&run(home.path(), &coloured)).starts_with("\u{1B}[1mDredging"));
}

#[test]
fn no_document_steers_a_terminal() {
    let home = home();
    let hostile = "<title>Ships\u{1B}[2J\u{1B}]0;mine\u{7}</title><p>The harbour counted nine\u{1B}[31m ships in May, \
        and the mayor saw \u{202E}eleven in June. In July the council counted them all once more.</p>";
    fs::write(home.path().join("a\u{1B}[2Jb.html"), hostile).unwrap();
    let Some(text) = in_terminal(home.path(), "-f text --color never *.html", &[]) else { return };
    assert!(text.contains("nine"), "{text:?}");
    // Bars move the cursor; of the document's own codes there is none.
    for code in ["\u{1B}[2J", "\u{1B}]0", "\u{7}", "\u{1B}[31m", "\u{202E}"] {
        assert!(!text.contains(code), "{code:?} in {text:?}");
    }
}

#[test]
fn bars_count_pages_where_there_are_pages() {
    let home = home();
    fs::write(home.path().join("one.txt"), "The harbour counted nine ships in May. ".repeat(800))
        .unwrap();
    let Some(text) = in_terminal(home.path(), "one.txt -o one.json", &[]) else { return };
    assert!(text.contains("one.txt: chunk ") && !text.contains("page 1 of 1"), "{text:?}");
    assert!(text.contains("tokens/s") && text.contains(" left"), "{text:?}");
    let line = format!("'{}' -o two.json", sample("lighthouse.txt"));
    let text = in_terminal(home.path(), &line, &[]).unwrap();
    assert!(text.contains("page 2 of 2"), "{text:?}");
    let quiet = in_terminal(home.path(), &format!("-q {line} --force"), &[]).unwrap();
    assert_eq!(quiet, "");
}

#[test]
fn what_is_done_and_why_is_told_to_whom_asks() {
    let home = home();
    let output = run(home.path(), &["-v", &sample("lighthouse.txt"), "--length", "short"]);
    let text = stderr(&output);
    for word in [
        "setting length = short (--length)",
        "model builtin: llama",
        "runs on cpu",
        "1 document, 1 at once",
        "lighthouse.txt: 2 pages in 1 chunk",
        "to read the file",
    ] {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
    assert!(!text.contains("chunk 1 took"), "{text}");
    let output = run(home.path(), &["-vv", &sample("lighthouse.txt")]);
    assert!(stderr(&output).contains("chunk 1 took"), "{}", stderr(&output));
    assert_eq!(stderr(&run(home.path(), &["-q", &sample("lighthouse.txt")])), "");
}

#[test]
fn the_name_of_a_file_decides_what_is_written_to_it() {
    let (home, text) = (home(), sample("lighthouse.txt"));
    let begins = |name: &str, more: &[&str]| {
        let args = [&[text.as_str(), "-q", "-o", name], more].concat();
        let output = run(home.path(), &args);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        fs::read_to_string(home.path().join(name)).unwrap().chars().next().unwrap()
    };
    assert_eq!(begins("a.md", &[]), '#');
    assert_eq!(begins("a.html", &[]), '<');
    assert_eq!(begins("a.json", &[]), '{');
    assert_eq!(begins("a.out", &[]), '{');
    assert_eq!(begins("b.md", &["--format", "json"]), '{');
    assert!(!['#', '<', '{'].contains(&begins("a.txt", &[])));
    // A folder has no extension, whatever it is called.
    let folder = run(home.path(), &[&text, "-q", "-o", "all.md/"]);
    assert_eq!(folder.status.code(), Some(0), "{}", stderr(&folder));
    assert!(home.path().join("all.md/lighthouse.txt.json").is_file());
    let output = run(home.path(), &[&text, "-f", "text", "-o", "all/"]);
    check_error(&output, 2, &["cannot be text", "hint: ", "json"]);
}

#[test]
fn what_was_meant_is_asked() {
    let home = home();
    fs::copy(sample("harbour.md"), home.path().join("harbour.md")).unwrap();
    let fails = |args: &[&str], words: &[&str]| check_error(&run(home.path(), args), 2, words);
    fails(&["harbuor.md"], &["harbuor.md", "did you mean `harbour.md`?"]);
    fails(&["extrat", "harbour.md"], &["did you mean the command `longsum extract`?"]);
    fails(&["--length", "short", "extract", "harbour.md"], &["commands come first"]);
    fails(&["--model", "qwen3-0.6", "harbour.md"], &["did you mean `qwen3-0.6b`?"]);
    fails(&["--formt", "md", "harbour.md"], &["--format"]);
    fails(&["--ocr-language", "deu", "harbour.md"], &["--ocr-language deu", "--ocr ocrmypdf"]);
    fails(&["man", "extrat"], &["no command `extrat`", "did you mean `extract`?"]);
    // How much is said may come before the command.
    let output = run(home.path(), &["-q", "extract", "harbour.md", "-f", "text"]);
    assert!(stdout(&output).starts_with("Dredging"), "{}", stderr(&output));
}

#[test]
fn a_short_name_is_a_repository_unless_something_of_that_name_is_there() {
    let home = home();
    let text = sample("lighthouse.txt");
    let output = run(home.path(), &["--model", "qwen3-0.6b", &text]);
    check_error(&output, 2, &["Qwen/Qwen3-0.6B", "HF_HUB_OFFLINE"]);
    let dir = home.path().join("qwen3-0.6b");
    fs::create_dir(&dir).unwrap();
    tiny::write(&dir);
    let output = run(home.path(), &["--model", "qwen3-0.6b", &text]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["model"]["id"], "qwen3-0.6b");

    let listed = run(home.path(), &["models"]);
    for word in ["qwen3-0.6b", "Apache-2.0", "Llama 3.2 Community License", "Gemma Terms of Use"] {
        assert!(stdout(&listed).contains(word), "{word}");
    }
    let listed = run(home.path(), &["models", "--format", "json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let models = listed["models"].as_array().unwrap();
    let of = |name: &str| models.iter().find(|model| model["name"] == name).unwrap();
    assert_eq!(of("qwen3-4b")["repository"], "Qwen/Qwen3-4B");
    assert_eq!(of("gemma3-1b")["gated"], true);
    for model in models {
        assert!(model["memory_bytes"].as_u64() > model["download_bytes"].as_u64(), "{model}");
    }
}

/// Settings by their names: value and origin.
fn settings(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = all["settings"].as_array().unwrap().iter();
    rows.map(|row| (row["name"].as_str().unwrap().to_owned(), row.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn user_file(home: &Path) -> PathBuf {
    let dir = home.join(".config/longsum");
    fs::create_dir_all(&dir).unwrap();
    dir.join("config.toml")
}

#[test]
fn every_setting_tells_where_it_comes_from() {
    let home = home();
    let show = ["config", "show", "--format", "json"];
    let text = "length = 300\nglob = [\"*.pdf\", \"!x/**\"]\ntemperature = 0.5\nlanguage = \"German\"\nocr = \"./read.sh\"\n";
    fs::write(user_file(home.path()), text).unwrap();
    fs::write(home.path().join(".config/longsum/read.sh"), "#!/bin/sh\n").unwrap();
    let mut command = longsum(home.path());
    command.args(show).args(["--", "--seed", "3"]);
    command.env("LONGSUM_LANGUAGE", "Danish").env("LONGSUM_PASSWORD", "secret");
    let found = settings(&mut command);
    let is = |name: &str, value: &str, source: &str| {
        assert_eq!(found[name]["value"], value, "{name}");
        assert_eq!(found[name]["source"], source, "{name}");
    };
    is("seed", "3", "flag");
    is("language", "Danish", "variable");
    is("length", "300", "file");
    is("glob", "*.pdf !x/**", "file");
    is("temperature", "0.5", "file");
    is("retries", "2", "default");
    is("password", "(not shown)", "variable");
    assert!(found["length"]["origin"].as_str().unwrap().ends_with("config.toml, line 1"));
    let beside = home.path().join(".config/longsum/read.sh");
    is("ocr", beside.to_str().unwrap(), "file");

    // They are used, by the main job and by what shares its options.
    let report = |command: &mut Command| -> Value {
        let output = command.output().unwrap();
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", stderr(&output)))
    };
    let text = sample("lighthouse.txt");
    let mut command = longsum(home.path());
    command.arg(&text).env("LONGSUM_SEED", "7");
    let params = report(&mut command)["params"].clone();
    assert_eq!((&params["n_words"], &params["seed"]), (&300.into(), &7.into()));
    let plan = report(longsum(home.path()).args(["plan", &text]));
    assert_eq!(plan["making"]["length"], 300);
    let typed = report(longsum(home.path()).args([&text, "--length", "short"]));
    assert_eq!(typed["params"]["n_words"], 100);
    // Every option with a value is a setting.
    let all = stdout(&run(home.path(), &["--help-all"]));
    let options = all.lines().filter_map(|line| line.split_once("--")?.1.split_once(" <"));
    let names: Vec<String> = options.map(|(name, _)| name.replace('-', "_")).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(found.get(&name).is_some(), "{name}");
    }
}

#[test]
fn what_is_typed_counts_before_what_excludes_it_and_help_tells_no_secret() {
    let home = home();
    fs::write(user_file(home.path()), "streams = 2\npassword = \"hunter2\"\n").unwrap();
    let texts = [sample("lighthouse.txt"), sample("harbour.md")];
    let at_once = |command: &mut Command| {
        let command = command.args(&texts).args(["--dry-run", "-v", "--color", "never"]);
        let told = stderr(&command.output().unwrap());
        let line = told.lines().find(|line| line.ends_with(" at once"));
        line.unwrap_or_else(|| panic!("{told}")).to_owned()
    };
    let of = |n: usize| format!("2 documents, {n} at once");
    assert_eq!(at_once(&mut longsum(home.path())), of(2));
    assert_eq!(at_once(longsum(home.path()).args(["--jobs", "1"])), of(1));
    assert_eq!(at_once(longsum(home.path()).env("LONGSUM_JOBS", "1")), of(1));
    let both = run(home.path(), &[&texts[0], "--jobs", "1", "--streams", "2"]);
    check_error(&both, 2, &["exclude each other"]);
    for args in [&["--help-all"][..], &["extract", "--help-all"]] {
        assert!(!stdout(&run(home.path(), args)).contains("hunter2"));
    }
}

#[test]
fn numbers_beyond_all_reason_are_refused_or_cut_to_what_is_there() {
    let home = home();
    let text = sample("lighthouse.txt");
    for flag in ["--window", "--sinks", "--chunk"] {
        // More than any machine has, whatever it promises.
        let output = run(home.path(), &[&text, flag, "1000000000000", "-q"]);
        check_error(&output, 2, &["no room for a cache"]);
    }
    for flag in ["--jobs", "--streams", "--parts"] {
        let output = run(home.path(), &[&text, flag, "4000000000", "-q", "-f", "json"]);
        assert_eq!(output.status.code(), Some(0), "{flag}: {}", stderr(&output));
    }
    let output = run(home.path(), &["ppl", &text, "--cache", "4", "--sinks", "8"]);
    check_error(&output, 2, &["no room for 8 sinks"]);
    let output = run(home.path(), &[&text, "--ocr", "no-such-program"]);
    check_error(&output, 2, &["no program `no-such-program`"]);
}

#[test]
fn mistakes_in_settings_are_named_by_file_and_line() {
    let home = home();
    let text = sample("lighthouse.txt");
    let cases: [(&str, &[&str]); 7] = [
        ("\nlenght = 3", &["line 2", "no setting `lenght`", "did you mean `length`?"]),
        ("length = \"huge\"", &["line 1", "`length` cannot be `huge`", "number of words"]),
        ("format = \"yaml\"", &["`format` cannot be `yaml`", "json, md, html, text"]),
        ("seed = true", &["line 1", "`seed` cannot be a boolean"]),
        ("seed = ", &["line 1", "config.toml"]),
        ("glob = [1]", &["`glob` takes a list of strings"]),
        ("[main]\nseed = 1", &["no setting `main`"]),
    ];
    for (settings, words) in cases {
        fs::write(user_file(home.path()), settings).unwrap();
        check_error(&run(home.path(), &[&text]), 2, words);
        // What tells of it works all the same.
        check_error(&run(home.path(), &["config", "show"]), 2, words);
        let doctor = run(home.path(), &["doctor"]);
        assert_eq!(doctor.status.code(), Some(1), "{}", stdout(&doctor));
        assert_eq!(run(home.path(), &["--help"]).status.code(), Some(0));
    }
    fs::remove_file(user_file(home.path())).unwrap();
    let mut command = longsum(home.path());
    let output = command.arg(&text).env("LONGSUM_FORMAT", "yaml").output().unwrap();
    check_error(&output, 2, &["yaml", "variable LONGSUM_FORMAT"]);
}

#[test]
fn a_project_chooses_nothing_unless_it_is_trusted() {
    let home = home();
    let project = home.path().join("cloned");
    let inside = project.join("docs");
    fs::create_dir_all(project.join(".git")).unwrap();
    fs::create_dir_all(&inside).unwrap();
    fs::write(project.join("longsum.toml"), "length = 100\nmodel = \"./theirs.gguf\"\n").unwrap();
    let text = sample("lighthouse.txt");
    let at = |dir: &Path| {
        let mut command = longsum(home.path());
        command.current_dir(dir);
        command
    };
    let output = at(&inside).args(["-q", &text]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["params"]["n_words"], 200);
    let warning = stderr(&output);
    assert_eq!(warning.matches("longsum.toml` is not read").count(), 1, "{warning}");
    assert!(
        warning.contains("LONGSUM_PROJECT=1") && warning.contains("allow_project"),
        "{warning}"
    );
    let shown = at(&inside).args(["config", "show"]).output().unwrap();
    assert!(stdout(&shown).contains("longsum.toml` is not read"), "{}", stdout(&shown));

    let theirs = project.join("theirs.gguf");
    let trusted = at(&inside).arg(&text).env("LONGSUM_PROJECT", "1").output().unwrap();
    check_error(&trusted, 2, &[theirs.to_str().unwrap()]);
    fs::write(user_file(home.path()), format!("allow_project = [{:?}]\nlength = 400\n", project))
        .unwrap();
    let mut command = at(&inside);
    let found = settings(command.args(["config", "show", "--format", "json"]));
    assert_eq!(found["length"]["value"], "100");
    assert_eq!(found["model"]["value"], theirs.to_str().unwrap());
    // Not above the root of a repository, and not from one that allows itself.
    fs::write(project.join("longsum.toml"), "allow_project = [\"/\"]\n").unwrap();
    check_error(&at(&inside).arg(&text).output().unwrap(), 2, &["a project cannot allow itself"]);
    fs::remove_file(user_file(home.path())).unwrap();
    fs::create_dir(inside.join(".git")).unwrap();
    assert_eq!(stderr(&at(&inside).args(["-q", &text]).output().unwrap()), "");
}

#[test]
fn the_doctor_says_what_would_not_work() {
    let home = home();
    let output = run(home.path(), &["doctor"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    for word in ["processor", "instructions", "builtin", ".local/state/longsum", "works here"] {
        assert!(stdout(&output).contains(word), "{word} is not in {}", stdout(&output));
    }
    let cases = [
        ("LONGSUM_MODEL", "nowhere.gguf", "there is no model at `nowhere.gguf`"),
        ("LONGSUM_MODEL", "qwen3-8b", "HF_HUB_OFFLINE"),
        ("LONGSUM_OCR", "no-such-ocr", "there is no program `no-such-ocr`"),
    ];
    for (variable, value, words) in cases {
        let mut command = longsum(home.path());
        let output = command.args(["doctor", "-f", "json"]).env(variable, value).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{value}: {}", stdout(&output));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["works"], false);
        let wrong = found["checks"].as_array().unwrap().iter().find(|c| c["state"] == "wrong");
        let wrong = wrong.unwrap();
        assert!(wrong["found"].as_str().unwrap().contains(words), "{wrong}");
        assert!(wrong["hint"].is_string(), "{wrong}");
    }
}

#[test]
fn shells_and_readers_of_manuals_get_all_options() {
    let home = home();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&run(home.path(), &["completions", shell]));
        for word in ["checkpoint", "doctor", "bench", "qwen3", "text"] {
            let is_there = script.contains(word);
            assert_eq!(is_there, word != "qwen3", "{shell}: {word}");
        }
        assert!(!script.contains("read-one") && !script.contains("read__one"), "{shell}");
    }
    for command in COMMANDS {
        let page = stdout(&run(home.path(), &["man", command]));
        assert!(page.contains(&format!(".TH longsum-{command} 1")), "{command}: {page}");
    }
    let page = stdout(&run(home.path(), &["man"]));
    for word in ["checkpoint", "LONGSUM_", "Exit codes", "longsum\\-extract"] {
        assert!(page.contains(word), "{word} is not in {page}");
    }
}
