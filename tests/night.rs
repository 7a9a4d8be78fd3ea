//! What happens to a batch at night: it is killed, it is stopped, it meets hostile files, its disk is
//! full. `LONGSUM_KILLS` and `LONGSUM_DOCUMENTS` make these tests longer.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::tiny;

fn longsum() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longsum"));
    // Nobody's settings.
    command.env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.env_remove("LONGSUM_MODEL").env("HF_HUB_OFFLINE", "1");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn asked(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// A text of `n` sentences, none like another.
fn text(n: usize, seed: usize) -> String {
    let sentence = |k: usize| {
        let end = if k.is_multiple_of(5) { "\n\n" } else { " " };
        let (year, town, ships) = (1800 + k % 200, (k + seed) % 11, 1000 + 7 * k + seed);
        format!(
            "In {year} the harbour of town {town} counted {ships} ships and no fewer boats.{end}"
        )
    };
    (0..n).map(sentence).collect()
}

/// All files below a folder, without what differs between two equal runs.
fn results(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path.strip_prefix(dir).unwrap().to_owned(), timeless(&text));
            }
        }
    }
    found
}

fn timeless(text: &str) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("timings");
                fields.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(text).unwrap();
    strip(&mut value);
    serde_json::to_string_pretty(&value).unwrap()
}

/// Kills a batch at moments that differ each time, goes on until it ends, and compares.
fn kill_and_go_on(model: &[&str], archive: &Path, n_kills: usize) {
    let dir = tempfile::tempdir().unwrap();
    let command = |out: &str| {
        let mut command = longsum();
        command.arg(archive).arg("-o").arg(dir.path().join(out)).args(["--checkpoint", "0"]);
        command.args(model);
        command
    };
    let started = Instant::now();
    assert!(command("whole").status().unwrap().success());
    let time = started.elapsed();
    let expected = results(&dir.path().join("whole"));
    let (mut n_killed, mut random) = (0, 0x2545_F491_4F6C_DD1D_u64);
    for round in 0.. {
        if n_killed >= n_kills {
            break;
        }
        let out = format!("round-{round}");
        loop {
            let mut child = command(&out).spawn().unwrap();
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let part = (random >> 40) as f64 / (1u64 << 24) as f64;
            std::thread::sleep(time.mul_f64(part * 0.8));
            child.kill().unwrap();
            if child.wait().unwrap().success() {
                break;
            }
            n_killed += 1;
            if n_killed % 5 == 0 {
                assert!(command(&out).status().unwrap().success());
                break;
            }
        }
        let found = results(&dir.path().join(&out));
        let names = |of: &BTreeMap<PathBuf, String>| of.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found), names(&expected), "round {round}");
        assert!(found == expected, "round {round}: a report is not the same");
        assert!(!dir.path().join(&out).join(".longsum").exists());
    }
}

#[test]
fn a_batch_that_is_killed_anywhere_ends_with_the_same_bytes() {
    let archive = tempfile::tempdir().unwrap();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    for name in ["harbour.md", "lighthouse.txt", "minutes.pdf", "apples.html"] {
        fs::copy(samples.join(name), archive.path().join(name)).unwrap();
    }
    fs::create_dir(archive.path().join("in")).unwrap();
    for k in 0..4 {
        fs::write(archive.path().join(format!("in/{k}.txt")), text(200 + 400 * k, k)).unwrap();
    }
    kill_and_go_on(&[], archive.path(), asked("LONGSUM_KILLS", 8));
}

#[test]
fn a_writing_batch_that_is_killed_anywhere_ends_with_the_same_bytes() {
    let (archive, model) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    tiny::write(model.path());
    for k in 0..3 {
        fs::write(archive.path().join(format!("{k}.txt")), text(30 + 40 * k, k)).unwrap();
    }
    let model = model.path().to_str().unwrap();
    let options = ["--model", model, "--sinks", "1000", "--window", "2200", "--chunk", "300"];
    kill_and_go_on(&options, archive.path(), asked("LONGSUM_KILLS", 8));
    let together = [&options[..], &["--streams", "4", "--parts", "2"]].concat();
    kill_and_go_on(&together, archive.path(), asked("LONGSUM_KILLS", 8) / 2);
}

#[test]
fn streams_that_go_through_the_model_together_make_the_reports_of_each_alone() {
    let (archive, model) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let out = tempfile::tempdir().unwrap();
    tiny::write(model.path());
    for k in 0..4 {
        fs::write(archive.path().join(format!("{k}.txt")), text(10 + 12 * k, k)).unwrap();
    }
    let run = |name: &str, args: &[&str]| {
        let (mut command, to) = (longsum(), out.path().join(name));
        command.arg(archive.path()).arg("--model").arg(model.path()).arg("-o").arg(&to).args(args);
        command.args(["--sinks", "1000", "--window", "2200", "--chunk", "300"]);
        assert!(command.status().unwrap().success());
        results(&to)
    };
    let alone = run("alone", &["--jobs", "1", "--guess", "0"]);
    assert!(run("together", &["--streams", "4"]) == alone);
    assert!(run("auto", &["--streams", "auto"]) == alone);
    let parts = run("parts", &["--parts", "3", "--jobs", "1"]);
    assert!(parts != alone);
    assert!(run("parts-together", &["--parts", "3", "--streams", "6"]) == parts);
    // Fewer streams than parts.
    assert!(run("parts-by-two", &["--parts", "3", "--streams", "2"]) == parts);
    assert!(!out.path().join("parts-together/.longsum").exists());
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_batch_after_the_step_in_hand_and_it_goes_on() {
    let archive = tempfile::tempdir().unwrap();
    for k in 0..3 {
        fs::write(archive.path().join(format!("{k}.txt")), text(1500, k)).unwrap();
    }
    let out = archive.path().join("out");
    let command = || {
        let mut command = longsum();
        command.arg(archive.path()).arg("-o").arg(&out).args(["--checkpoint", "0"]);
        command
    };
    // Once there are steps of a document, signals are listened to.
    let has_begun = || {
        let entries = fs::read_dir(out.join(".longsum")).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.path().join("steps.jsonl").exists())
    };
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let _ = fs::remove_dir_all(&out);
        let mut child = command().spawn().unwrap();
        let started = Instant::now();
        while !has_begun() && started.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let sent = Command::new("kill").arg(signal).arg(child.id().to_string()).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().code(), Some(code));
        let run: Value = serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap();
        assert!(run["counts"]["stopped"].as_u64().unwrap() > 0, "{run}");
        assert!(command().status().unwrap().success());
        let run: Value = serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap();
        assert_eq!(run["counts"]["complete"], 3);
        assert!(!out.join(".longsum").exists());
    }
}

/// A gzip file that unpacks to `n_mib` MiB of zeros.
fn bomb(n_mib: usize) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..n_mib {
        gzip.write_all(&[b'a'; 1 << 20]).unwrap();
    }
    gzip.finish().unwrap()
}

/// A ZIP archive with one member.
fn zip(name: &str, content: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(content).unwrap();
    zip.finish().unwrap().into_inner()
}

/// Ten kinds of files that cannot be summarized.
#[cfg(unix)]
fn write_hostile(dir: &Path, n: usize) {
    let pdfs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pdfs/small");
    let minutes =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/minutes.pdf")).unwrap();
    let locked = fs::read(pdfs.join("locked-aes-256.pdf")).unwrap();
    let bomb = bomb(300);
    for k in 0..n {
        let path = |name: &str| dir.join(format!("bad-{k}-{name}"));
        match k % 10 {
            0 => fs::write(path("cut.pdf"), &minutes[..120]).unwrap(),
            1 => fs::write(path("locked.pdf"), &locked).unwrap(),
            2 => fs::write(path("bomb.txt.gz"), &bomb).unwrap(),
            3 => {
                let inner = zip("c.txt", b"deep");
                let nested = zip("a.zip", &zip("b.zip", &inner));
                fs::write(path("nested.zip"), nested).unwrap();
            }
            4 => fs::write(path("empty.docx"), b"").unwrap(),
            5 => fs::write(path("picture.pdf"), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").unwrap(),
            6 => {
                fs::create_dir(path("loop")).unwrap();
                std::os::unix::fs::symlink("..", path("loop").join("back")).unwrap();
            }
            7 => std::os::unix::fs::symlink("nowhere.txt", path("gone.txt")).unwrap(),
            8 => {
                let made = Command::new("mkfifo").arg(path("pipe.txt")).status().unwrap();
                assert!(made.success());
            }
            _ => fs::write(path("program.txt"), [0, 1, 2, 255, 0, 0, 0, 9].repeat(200)).unwrap(),
        }
    }
}

#[cfg(unix)]
#[test]
fn hostile_files_are_lines_in_the_report_of_the_run() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;
    let n = asked("LONGSUM_DOCUMENTS", 60);
    let n_bad = (n / 20).max(10);
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    fs::create_dir(&archive).unwrap();
    write_hostile(&archive, n_bad);
    let names = ["доклад", "報告", "تقرير", "-rf", "a b", "a\nb", "quote'\"", "$(id)"];
    for k in 0..n - n_bad {
        let mut name = OsString::from(format!("{} {k}", names[k % names.len()]));
        if k % 50 == 17 {
            name.push(OsStr::from_bytes(b"\xFF\xFE")); // no UTF-8
        }
        name.push(".txt");
        fs::write(archive.join(name), text(12 + k % 9, k)).unwrap();
    }
    let out = dir.path().join("out");
    let status = longsum().arg(&archive).arg("-o").arg(&out).status().unwrap();
    assert_eq!(status.code(), Some(1));
    let run: Value = serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap();
    let bad: Vec<&Value> =
        run["documents"].as_array().unwrap().iter().filter(|d| d["fate"] != "complete").collect();
    for document in &bad {
        assert!(document["reason"].as_str().is_some_and(|reason| reason.len() > 10), "{document}");
        assert!(document["document"].as_str().unwrap().starts_with("bad-"), "{document}");
    }
    assert_eq!(run["counts"]["complete"], n - n_bad, "{run:#}");
    assert_eq!(run["counts"]["failed"], n_bad, "{bad:#?}");
    let is_good = |path: &&PathBuf| !path.to_string_lossy().starts_with("bad-");
    assert_eq!(results(&out).keys().filter(is_good).count(), n - n_bad + 1);
    if std::env::var_os("LONGSUM_DOCUMENTS").is_some() {
        eprintln!("{n} documents: {}", run["timings"]);
    }
}

#[test]
fn shards_are_the_archive_and_a_shard_started_again_does_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    fs::create_dir(&archive).unwrap();
    for k in 0..9 {
        fs::write(archive.join(format!("{k}.txt")), text(10 + 8 * k, k)).unwrap();
    }
    let (whole, out) = (dir.path().join("whole"), dir.path().join("out"));
    assert!(longsum().arg(&archive).arg("-o").arg(&whole).status().unwrap().success());
    for (index, shard) in [(1, "1/3"), (2, "2/3"), (2, "2/3"), (3, "auto")] {
        let mut command = longsum();
        command.arg(&archive).arg("-o").arg(&out).args(["--shard", shard]);
        command.env("SLURM_ARRAY_TASK_ID", "6").env("SLURM_ARRAY_TASK_MIN", "4");
        command.env("SLURM_ARRAY_TASK_COUNT", "3");
        assert!(command.status().unwrap().success());
        let file = out.join(format!("run-{index}-of-3.json"));
        let run: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        assert_eq!(run["shard"], format!("{index}/3"));
    }
    let file = fs::read(out.join("run-2-of-3.json")).unwrap();
    let run: Value = serde_json::from_slice(&file).unwrap();
    assert_eq!(run["timings"]["n_unchanged"], run["counts"]["complete"]);
    let is_report = |(path, _): &(PathBuf, String)| !path.to_string_lossy().starts_with("run");
    let reports = |dir: &Path| results(dir).into_iter().filter(is_report).collect::<Vec<_>>();
    assert!(reports(&out) == reports(&whole));
    assert_eq!(reports(&out).len(), 9);
}

#[test]
fn a_document_shared_out_makes_the_report_of_one_machine() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("long.txt"), text(900, 3)).unwrap();
    let run = |args: &[&str]| {
        let mut command = longsum();
        let status = command.current_dir(dir.path()).args(args).status().unwrap();
        status.code()
    };
    assert_eq!(run(&["plan", "long.txt", "--parts", "3", "-o", "plan.json"]), Some(0));
    assert_eq!(run(&["map", "plan.json", "--part", "2", "-o", "notes"]), Some(0));
    assert_eq!(run(&["merge", "plan.json", "notes", "-o", "report.json"]), Some(2));
    assert!(!path("report.json").exists());
    for part in ["1", "3", "2"] {
        assert_eq!(run(&["map", "plan.json", "--part", part, "-o", "notes"]), Some(0));
    }
    assert_eq!(run(&["map", "plan.json", "--part", "4", "-o", "notes"]), Some(2));
    assert_eq!(run(&["merge", "plan.json", "notes", "-o", "report.json"]), Some(0));
    assert_eq!(run(&["long.txt", "--parts", "3", "-o", "one.json"]), Some(0));
    let read = |name: &str| timeless(&fs::read_to_string(path(name)).unwrap());
    assert!(read("report.json") == read("one.json"));
    assert_eq!(fs::read_dir(path("notes")).unwrap().count(), 3);

    fs::write(path("long.txt"), text(901, 3)).unwrap();
    assert_eq!(run(&["merge", "plan.json", "notes", "-o", "report.json"]), Some(2));
}

#[test]
fn what_befalls_one_document_does_not_end_the_night() {
    let dir = tempfile::tempdir().unwrap();
    let (archive, model) = (dir.path().join("in"), dir.path().join("model"));
    fs::create_dir_all(archive.join("a")).unwrap();
    fs::create_dir(&model).unwrap();
    tiny::write(&model);
    fs::write(archive.join("a/1.txt"), text(30, 1)).unwrap();
    fs::write(archive.join("b.md"), format!("# {}\n\n{}", "Ships ".repeat(30), text(30, 2)))
        .unwrap();
    for k in 3..6 {
        fs::write(archive.join(format!("{k}.txt")), text(30, k)).unwrap();
    }
    // A file lies where the folder of one report has to be.
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("a"), "in the way").unwrap();
    let command = |window: &str| {
        let mut command = longsum();
        command.args(["--sinks", "4", "--chunk", "300", "--jobs", "1", "--window", window]);
        command.arg("--model").arg(&model).stderr(Stdio::piped());
        command
    };
    // The smallest window that will do has no room for a title.
    let output = command("1").arg(archive.join("3.txt")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let (_, needed) = said.split_once("--window ").unwrap();
    let needed = needed.split(' ').next().unwrap();
    let output = command(needed).arg(&archive).arg("-o").arg(&out).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let run: Value = serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap();
    let fates: Vec<(&str, &str)> = run["documents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["document"].as_str().unwrap(), entry["fate"].as_str().unwrap()))
        .collect();
    assert_eq!(
        fates,
        [
            ("3.txt", "complete"),
            ("4.txt", "complete"),
            ("5.txt", "complete"),
            ("a/1.txt", "failed"),
            ("b.md", "failed"),
        ],
        "{said}"
    );
    let title = run["documents"][4]["reason"].as_str().unwrap();
    assert!(title.contains("window"), "{title}");
}

#[test]
fn a_worker_answers_every_line_in_order() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.txt"), text(30, 1)).unwrap();
    let mut worker = longsum()
        .args(["worker", "--length", "short"])
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = [
        r#"{"custom_id": "one", "path": "a.txt"}"#.to_owned(),
        r#"{"custom_id": 2, "path": "none.txt"}"#.to_owned(),
        "no JSON".to_owned(),
        String::new(),
        serde_json::json!({ "custom_id": "three", "text": format!("# Ships\n\n{}", text(30, 2)), "name": "b.md" })
            .to_string(),
        r#"{"custom_id": "four", "path": "a.txt", "typo": 1}"#.to_owned(),
        r#"{"custom_id": "five", "text": "Too short."}"#.to_owned(),
    ];
    worker.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    let output = worker.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let replies: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(replies.len(), 6);
    assert_eq!(replies[0]["custom_id"], "one");
    assert_eq!(replies[0]["report"]["status"], "complete");
    assert_eq!(replies[1]["custom_id"], 2);
    assert!(replies[1]["error"]["message"].as_str().unwrap().contains("none.txt"));
    assert_eq!(replies[1]["error"]["retry"], false);
    assert!(replies[2]["custom_id"].is_null() && replies[2]["error"].is_object());
    assert_eq!(replies[3]["report"]["source"]["format"], "markdown");
    assert_eq!(replies[3]["report"]["source"]["uri"], "b.md");
    assert_eq!(replies[4]["custom_id"], "four");
    assert!(replies[4]["error"]["message"].as_str().unwrap().contains("typo"));
    assert!(replies[5]["error"]["message"].as_str().unwrap().contains("2 words"));
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    fs::create_dir(&archive).unwrap();
    fs::write(archive.join("a.txt"), text(100, 1)).unwrap();
    fs::write(archive.join("b.pdf"), "no PDF").unwrap();
    let out = dir.path().join("out");
    let mut command = longsum();
    command.arg(&archive).arg("--dry-run").arg("-o").arg(&out).stdout(Stdio::piped());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("  a.txt\n"), "{text}");
    assert!(text.contains("refused  b.pdf: `"), "{text}");
    assert!(text.contains("1 to do, 0 done, 1 refused"), "{text}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn what_decides_a_report_decides_whether_it_still_stands() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let mut command = longsum();
        let status = command.current_dir(dir.path()).args(args).status().unwrap();
        assert_eq!(status.code(), Some(0), "{args:?}");
    };
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let made = |name: &str| fs::metadata(dir.path().join(name)).unwrap().modified().unwrap();
    // The same bytes are a heading in Markdown and none in plain text.
    let document = format!("# Ships\n\n{}", text(40, 1));
    fs::write(dir.path().join("a.txt"), &document).unwrap();
    fs::write(dir.path().join("a.md"), &document).unwrap();
    run(&["a.txt", "-o", "out"]);
    assert!(read("out").contains("\"format\": \"text\""));
    let before = made("out");
    run(&["a.txt", "-o", "out"]);
    assert_eq!(made("out"), before);
    run(&["a.md", "-o", "out"]);
    assert!(read("out").contains("\"format\": \"markdown\""));
    run(&["a.md", "-o", "out", "--format", "md"]);
    assert!(read("out").starts_with("# Ships\n"));
    let before = made("out");
    run(&["a.md", "-o", "out", "--format", "md"]);
    assert_eq!(made("out"), before);
    run(&["a.md", "-o", "out", "--format", "md", "--force"]);
    assert_ne!(made("out"), before);
    run(&["a.md", "-o", "out", "--format", "md", "--length", "short"]);
    let short = read("out");
    fs::write(dir.path().join("a.md"), document.replace("boats", "ferries")).unwrap();
    run(&["a.md", "-o", "out", "--format", "md", "--length", "short"]);
    assert_ne!(read("out"), short);
}

#[cfg(unix)]
#[test]
fn names_that_are_too_long_twice_there_or_full_of_escapes_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    fs::create_dir(&archive).unwrap();
    let long = format!("{}.txt", "n".repeat(251));
    for name in [long.as_str(), "same.txt", "again.txt", "\u{1B}[31mred\u{202E}.txt"] {
        fs::write(archive.join(name), text(30, 1)).unwrap();
    }
    fs::write(archive.join("\u{1B}[2Jbad.pdf"), "no PDF").unwrap();
    let out = dir.path().join("out");
    let mut command = longsum();
    let output = command.arg(&archive).arg("-o").arg(&out).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains('\u{1B}') && !said.contains('\u{202E}'), "{said:?}");
    assert!(!said.contains("checkpoints"), "{said}");
    assert_eq!(results(&out).len(), 5);
    let again = longsum().arg(&archive).arg("-o").arg(&out).status().unwrap();
    assert_eq!(again.code(), Some(1));
    let run: Value = serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap();
    assert_eq!(run["timings"]["n_unchanged"], 4);
}

#[test]
fn reports_never_take_the_place_of_documents() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("a.txt"), text(30, 1)).unwrap();
    fs::write(path("b.txt"), text(30, 2)).unwrap();
    for args in [
        vec![path("a.txt"), "-o".into(), path("a.txt")],
        vec!["plan".into(), path("a.txt"), "-o".into(), path("a.txt")],
        vec![path(""), "-o".into(), path(""), "--format".into(), "md".into()],
        vec![path("a.txt"), path("b.txt"), "-o".into(), path("b.txt")],
    ] {
        assert_eq!(longsum().args(&args).status().unwrap().code(), Some(2), "{args:?}");
    }
    assert_eq!(fs::read_to_string(path("a.txt")).unwrap(), text(30, 1));
    assert_eq!(fs::read_to_string(path("b.txt")).unwrap(), text(30, 2));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    // Files named one by one are shards of a folder of reports, too.
    for shard in ["1/2", "2/2"] {
        let mut command = longsum();
        command.args([&path("a.txt"), &path("b.txt"), "-o", &path("out"), "--shard", shard]);
        assert!(command.status().unwrap().success());
    }
    assert_eq!(fs::read_dir(path("out")).unwrap().count(), 4);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_what_has_nothing_to_do_and_what_keeps_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.txt"), text(20_000, 1)).unwrap();
    let stop = |command: &mut Command| {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let _open = child.stdin.take();
        std::thread::sleep(Duration::from_millis(1500));
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let since = Instant::now();
        let code = child.wait().unwrap().code();
        assert!(since.elapsed() < Duration::from_secs(60));
        // Before it listens the system ends it.
        assert!(matches!(code, Some(143) | None), "{code:?}");
    };
    stop(longsum().arg("worker"));
    let mut homeless = longsum();
    homeless.env_remove("HOME").env_remove("XDG_STATE_HOME").env_remove("LOCALAPPDATA");
    stop(homeless.arg(dir.path().join("a.txt")));
}
