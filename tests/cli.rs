//! The program as users see it: output, errors, exit codes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::tiny;

/// A folder with the tiny model, made once.
fn model() -> &'static Path {
    static DIR: OnceLock<tempfile::TempDir> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        tiny::write(dir.path());
        dir
    })
    .path()
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)
}

fn longsum() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longsum"));
    // Nobody's settings.
    command.env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.env_remove("LONGSUM_MODEL").env_remove("LONGSUM_DEVICE");
    command.env("HF_HUB_OFFLINE", "1").stdin(Stdio::null());
    command
}

/// Runs with the tiny model; its tokens are bytes, so the budgets are wide.
fn run(args: &[&str]) -> Output {
    longsum().arg("--model").arg(model()).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Fails with this code, these words in the error, and nothing on standard output.
fn check_error(output: &Output, code: i32, words: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.starts_with("error: "), "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn report(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A schema as the program prints it, which must be the one in the repository.
fn committed_schema(of: &str, file: &str) -> Value {
    let schema = longsum().args(["schema", of]).output().unwrap();
    assert_eq!(schema.status.code(), Some(0));
    let committed = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    assert!(schema.stdout == committed, "the schema changed: `longsum schema {of} > {file}`");
    serde_json::from_slice(&schema.stdout).unwrap()
}

#[test]
fn a_report_holds_to_its_schema_and_accounts_for_every_page() {
    let schema = committed_schema("summary", "longsum.summary.v1.schema.json");
    let validator = jsonschema::validator_for(&schema).unwrap();

    for name in ["minutes.pdf", "harbour.md", "lighthouse.txt"] {
        let report = report(&run(&[sample(name).to_str().unwrap()]));
        let errors: Vec<String> = validator.iter_errors(&report).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        let coverage = report["source"]["coverage"].as_object().unwrap();
        let n_pages: u64 = coverage
            .values()
            .flat_map(|ranges| ranges.as_array().unwrap())
            .map(|r| r[1].as_u64().unwrap() - r[0].as_u64().unwrap() + 1)
            .sum();
        assert_eq!(report["source"]["n_pages"], n_pages, "{name}");
        let params = &report["params"];
        let n = |key: &str| params[key].as_u64().unwrap();
        let slots = n("sinks") + n("window") - 1 + n("chunk");
        assert_eq!(report["usage"]["peak_cache_slots"], slots);
        assert_eq!(
            report["rolling"].as_array().unwrap().len(),
            report["chunks"].as_array().unwrap().len()
        );
    }
}

#[test]
fn two_runs_differ_in_their_timings_alone() {
    let read = || {
        let mut report = report(&run(&[sample("lighthouse.txt").to_str().unwrap()]));
        report.as_object_mut().unwrap().remove("timings");
        report
    };
    assert_eq!(read(), read());
}

#[test]
fn pages_outside_the_range_are_not_read() {
    let report = report(&run(&[sample("minutes.pdf").to_str().unwrap(), "--pages", "2"]));
    assert_eq!(report["source"]["coverage"]["text"], serde_json::json!([[2, 2]]));
    let output = run(&[sample("minutes.pdf").to_str().unwrap(), "--pages", "700-800"]);
    check_error(&output, 2, &["no page 700"]);
    assert!(stderr(&run(&["x.pdf", "--pages", "9-3"])).contains("comes before"));
}

#[test]
fn markdown_is_for_people() {
    let output = run(&[sample("harbour.md").to_str().unwrap(), "--format", "md"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("# "), "{text}");
    assert!(text.contains("## Summary"), "{text}");
}

#[test]
fn standard_input_is_a_document() {
    let text = fs::File::open(sample("lighthouse.txt")).unwrap();
    let output = longsum().arg("--model").arg(model()).arg("-").stdin(text).output().unwrap();
    assert_eq!(report(&output)["source"]["uri"], "-");
}

#[test]
fn a_folder_is_read_to_its_end_in_spite_of_a_bad_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    fs::copy(sample("lighthouse.txt"), dir.path().join("in/b.txt")).unwrap();
    fs::copy(sample("harbour.md"), dir.path().join("in/c.md")).unwrap();
    fs::write(dir.path().join("in/a.pdf"), "").unwrap();
    let input = dir.path().join("in");
    let out = dir.path().join("out");
    let output = run(&[input.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("a.pdf"), "{}", stderr(&output));
    let mut names: Vec<_> = fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["b.txt.json", "c.md.json", "run.json"]);
    let found: Value = serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap();
    let schema = committed_schema("run", "longsum.run.v1.schema.json");
    let errors: Vec<String> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(&found)
        .map(|e| e.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert!(found["documents"][0]["reason"].as_str().unwrap().ends_with("is empty"));

    let output = run(&[input.to_str().unwrap()]);
    check_error(&output, 2, &["3 documents", "-o"]);
}

#[test]
fn bad_input_is_named_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("empty.pdf"), "").unwrap();
    fs::create_dir(path("hollow")).unwrap();
    let pdf = fs::read(sample("minutes.pdf")).unwrap();
    fs::write(path("cut.pdf"), &pdf[..60]).unwrap();
    fs::write(path("noise.txt"), [0u8; 4096]).unwrap();
    let out = path("out.json");

    let cases: [(&str, i32, &[&str]); 5] = [
        ("missing.pdf", 2, &["missing.pdf", "No such file"]),
        ("empty.pdf", 1, &["empty.pdf", "hint"]),
        ("hollow", 2, &["hollow", "no documents"]),
        ("cut.pdf", 1, &["cut.pdf", "hint"]),
        ("noise.txt", 1, &["noise.txt"]),
    ];
    for (name, code, words) in cases {
        check_error(&run(&[&path(name), "-o", &out]), code, words);
        assert!(!Path::new(&out).exists(), "{name}");
    }
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "something was left over: {names:?}");
}

#[test]
fn a_pdf_cut_off_in_the_middle_tells_the_pages_that_were_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.pdf");
    let pdf = fs::read(sample("minutes.pdf")).unwrap();
    fs::write(&path, &pdf[..pdf.len() / 2]).unwrap();
    let output = run(&[path.to_str().unwrap()]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_ne!(report["status"], "complete");
    assert!(report["warnings"].as_array().unwrap().iter().any(|w| w["code"] == "damaged_file"));
    let coverage = report["source"]["coverage"].as_object().unwrap();
    let n_pages: u64 = coverage
        .values()
        .flat_map(|ranges| ranges.as_array().unwrap())
        .map(|r| r[1].as_u64().unwrap() - r[0].as_u64().unwrap() + 1)
        .sum();
    assert_eq!(n_pages, 3);
}

#[test]
fn a_document_without_text_gives_a_report_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blank.txt");
    fs::write(&path, " \n\n").unwrap();
    let output = run(&[path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["status"], "failed");
    assert!(report["reason"].as_str().unwrap().contains("blank.txt"));
    assert!(report.get("summary").is_none());
}

#[test]
fn without_a_model_the_built_in_one_chooses_sentences_of_the_document() {
    let schema = longsum().arg("schema").output().unwrap();
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    for name in ["flood-inquiry.pdf", "bus-stops.md", "apples.html"] {
        let output = longsum().arg(sample(name)).args(["--length", "short"]).output().unwrap();
        let report = report(&output);
        assert!(jsonschema::is_valid(&schema, &report), "{name}");
        let again = longsum().arg(sample(name)).args(["--length", "short"]).output().unwrap();
        let mut again: Value = serde_json::from_slice(&again.stdout).unwrap();
        again["timings"] = report["timings"].clone();
        assert_eq!(again, report, "{name}");
        assert_eq!(report["model"]["id"], "builtin");
        let statements = report["summary"]["statements"].as_array().unwrap();
        assert!(statements.len() > 2, "{name}");
        let n_words = report["summary"]["text"].as_str().unwrap().split_whitespace().count();
        assert!((100..200).contains(&n_words), "{name}: {n_words} words");
        for statement in statements {
            let quote = statement["citations"][0]["quote"]["exact"].as_str().unwrap();
            let words: Vec<&str> = quote.split_whitespace().collect();
            assert_eq!(statement["text"], words.join(" "), "{name}");
        }
        assert!(report["sections"].as_array().is_some_and(|s| s.len() > 2), "{name}");
        assert_eq!(
            report["rolling"].as_array().unwrap().len(),
            report["chunks"].as_array().unwrap().len()
        );
    }
}

#[test]
fn models_that_cannot_be_used_are_named_with_the_way_out() {
    let sample = sample("lighthouse.txt");
    let with = |model: &str| longsum().arg("--model").arg(model).arg(&sample).output().unwrap();
    check_error(&with("nowhere.gguf"), 2, &["nowhere.gguf", "hint"]);

    let home = tempfile::tempdir().unwrap();
    let offline = longsum()
        .env("HF_HUB_CACHE", home.path())
        .args(["--model", "org/name"])
        .arg(&sample)
        .output()
        .unwrap();
    check_error(&offline, 2, &["org/name", "HF_HUB_OFFLINE", "hint"]);

    let dir = tempfile::tempdir().unwrap();
    let write = |config: &str| fs::write(dir.path().join("config.json"), config).unwrap();
    write(r#"{"model_type": "mamba"}"#);
    check_error(&with(dir.path().to_str().unwrap()), 2, &["mamba", "supported families: llama"]);
    write("{");
    check_error(&with(dir.path().to_str().unwrap()), 2, &["config.json", "damaged"]);

    tiny::write(dir.path());
    let weights = fs::read(dir.path().join("model.safetensors")).unwrap();
    fs::write(dir.path().join("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    check_error(&with(dir.path().to_str().unwrap()), 2, &["damaged"]);

    let gguf = dir.path().join("cut.gguf");
    fs::write(&gguf, b"GGUF\x03\x00\x00\x00").unwrap();
    check_error(&with(gguf.to_str().unwrap()), 2, &["cut.gguf", "damaged"]);
}

#[test]
fn a_window_that_cannot_hold_the_prompt_is_refused_before_reading() {
    let sample = sample("lighthouse.txt");
    check_error(
        &run(&[sample.to_str().unwrap(), "--window", "64"]),
        2,
        &["window of 64", "--window"],
    );
    check_error(&run(&[sample.to_str().unwrap(), "--window", "100000"]), 2, &["100000", "4096"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_to_try_again() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = longsum();
    command.arg("--model").arg(model()).arg(sample("lighthouse.txt")).stdout(full);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{}", stderr(&output));
    assert!(stderr(&output).contains("standard output"), "{}", stderr(&output));
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_reading() {
    let sample = sample("lighthouse.txt");
    let output = run(&[sample.to_str().unwrap(), "-o", "/nonexistent/out.json"]);
    check_error(&output, 2, &["/nonexistent"]);
}

#[test]
fn prompts_can_be_replaced_and_mistakes_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let sample = sample("lighthouse.txt");
    fs::write(dir.path().join("notes.jinja"), "{% block user %}{{ summary }}{% endblock %}")
        .unwrap();
    check_error(&run(&[sample.to_str().unwrap(), "--prompts", path]), 2, &["notes.jinja", "text"]);
    fs::remove_file(dir.path().join("notes.jinja")).unwrap();
    fs::write(dir.path().join("nots.jinja"), "").unwrap();
    check_error(&run(&[sample.to_str().unwrap(), "--prompts", path]), 2, &["nots.jinja"]);
}

#[test]
fn a_device_is_one_that_is_there_or_an_error_with_a_way_out() {
    let document = sample("harbour.md");
    let document = document.to_str().unwrap();
    let builtin = |args: &[&str]| longsum().arg(document).args(args).output().unwrap();
    let cpu = report(&builtin(&["--device", "cpu", "--dtype", "f32"]));
    assert_eq!((&cpu["model"]["device"], &cpu["model"]["dtype"]), (&"cpu".into(), &"f32".into()));
    assert_eq!(cpu["key"], report(&builtin(&[]))["key"]);
    check_error(&builtin(&["--device", "cuda:1"]), 2, &["`cuda:1`", "built-in", "hint", "--model"]);
    check_error(&builtin(&["--dtype", "bf16"]), 2, &["f32", "bf16", "hint", "--device"]);
    check_error(&builtin(&["--device", "gpu"]), 2, &["gpu", "cuda:N"]);
    check_error(&run(&[document, "--device", "cpu", "--dtype", "f16"]), 2, &["f32", "hint"]);
    for (device, name) in [("cuda", "CUDA"), ("metal", "Metal")] {
        if !cfg!(any(feature = "cuda", feature = "metal")) {
            let mut command = longsum();
            command.args([document, "-m"]).arg(model()).env("LONGSUM_DEVICE", device);
            check_error(&command.output().unwrap(), 2, &["no support", name, "hint"]);
        }
    }
}

#[test]
fn sets_are_scored_and_only_the_table_is_on_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let eval = |args: &[&str]| longsum().arg("eval").args(args).output().unwrap();
    check_error(&eval(&[path]), 2, &[path, "no sets", "hint", ".jsonl"]);
    check_error(&eval(&["nowhere"]), 2, &["nowhere", "hint"]);

    let sample = fs::read_to_string(sample("lighthouse.txt")).unwrap();
    let line = serde_json::json!({"document": sample, "summary": "A keeper and his lamp."});
    fs::write(dir.path().join("lights.jsonl"), format!("{line}\n{line}\n")).unwrap();
    let json = report(&eval(&[path, "--format", "json", "--limit", "1"]));
    assert_eq!(json["sets"][0]["name"], "lights");
    assert_eq!(json["sets"][0]["n"], 1);
    assert_eq!(json["sets"][0]["longsum"], json["average"]["longsum"]);
    let table = String::from_utf8(eval(&[path]).stdout).unwrap();
    assert!(table.starts_with("set") && table.contains("lights       2"), "{table}");

    fs::write(dir.path().join("broken.jsonl"), "{}\n").unwrap();
    let output = eval(&[path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("broken.jsonl`, line 1: missing field `document`"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), table);
}

#[test]
fn a_gate_that_is_not_met_ends_with_three_after_the_report_was_written() {
    let run = |gates: &str| {
        longsum().arg(sample("lighthouse.txt")).args(["--fail-on", gates]).output().unwrap()
    };
    let met = run("weak:0.2,unsupported:0,needs-ocr,failed-pages");
    assert_eq!(report(&met)["checks"]["weak"], 0.0);
    let unmet = run("copy:0.5");
    assert_eq!(unmet.status.code(), Some(3), "{}", stderr(&unmet));
    assert!(
        stderr(&unmet).contains("gate not met: lighthouse.txt: copy is 1"),
        "{}",
        stderr(&unmet)
    );
    assert_eq!(serde_json::from_slice::<Value>(&unmet.stdout).unwrap()["status"], "complete");
    let wrong = run("weakness:0.2");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("`weakness:0.2` is no gate"), "{}", stderr(&wrong));
}

#[test]
fn what_a_model_needs_is_told_from_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    let plan = |config: Value, args: &[&str]| {
        fs::write(&path, config.to_string()).unwrap();
        longsum().args(["models", "--plan", path.to_str().unwrap()]).args(args).output().unwrap()
    };
    // Falcon 40B as it was published first.
    let falcon = serde_json::json!({
        "model_type": "RefinedWeb", "hidden_size": 8192, "n_head": 128, "n_head_kv": 8,
        "n_layer": 60, "parallel_attn": true, "vocab_size": 65024, "alibi": false, "bias": false,
    });
    let found =
        report(&plan(falcon, &["--format", "json", "--window", "2044", "--storage", "bf16"]));
    let billions = found["n_params"].as_f64().unwrap() / 1e9;
    assert!((billions - 41.3).abs() < 0.5, "{billions}");
    assert_eq!(found["slots"], 4 + 2044 - 1 + 1024);
    // Keys and values of 8 heads of 64 in 60 layers, f32, and the copy to come back to.
    let cache = 2 * 2 * 60 * 8 * 64 * 4 * found["slots"].as_u64().unwrap();
    assert_eq!(found["plans"][0]["cache_bytes"], cache);
    let table = plan(serde_json::json!({ "model_type": "mamba" }), &[]);
    check_error(&table, 2, &["mamba"]);
    let learned = plan(serde_json::json!({ "model_type": "gpt2" }), &[]);
    check_error(&learned, 2, &["learned absolute positions", "cannot be streamed"]);
}

#[test]
fn a_page_shows_words_of_a_document_and_runs_none_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("in");
    fs::create_dir(&archive).unwrap();
    let hostile = "The harbour counted <script>alert(1)</script> nine ships in May. \"></title><img src=x onerror=alert(2)> \
        In June the mayor saw eleven ships, and --> </style> he was glad of every one of them.";
    fs::write(archive.join("javascript:alert(3).txt"), hostile.repeat(3)).unwrap();
    fs::write(archive.join("bad.pdf"), "<b>no PDF</b>").unwrap();
    let out = dir.path().join("out");
    let run = || {
        let args = ["--format", "html", "-o", out.to_str().unwrap()];
        longsum().arg(&archive).args(args).output().unwrap()
    };
    let output = run();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    let (page, index) = (read("javascript:alert(3).txt.html"), read("index.html"));
    for html in [&page, &index] {
        assert_eq!(html.matches("<script").count(), 1);
        assert_eq!(html.matches("<style").count(), 1);
        assert_eq!(html.matches("</title>").count(), html.matches("<title>").count());
        for banned in ["<img", "http:", "https:", "url(", "onerror=alert(2)>", "href=\"javascript"]
        {
            assert!(!html.contains(banned), "{banned}");
        }
        assert!(html.contains("default-src 'none'; style-src 'sha256-"));
    }
    assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
    assert!(page.contains("class=\"h4\"><title>page 1: read, "));
    assert!(index.contains("href=\".&#x2f;javascript%3Aalert%283%29.txt.html\""));
    assert!(index.contains("is not a PDF"));
    // The page tells the next run that it still stands.
    let made =
        || fs::metadata(out.join("javascript:alert(3).txt.html")).unwrap().modified().unwrap();
    let before = made();
    run();
    assert_eq!(made(), before);
}

#[test]
fn what_cannot_be_streamed_is_fixed_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    let plan = |more: Value| {
        let mut config = serde_json::json!({
            "model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 6,
            "intermediate_size": 128, "vocab_size": 100, "max_position_embeddings": 4096,
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fs::write(&path, config.to_string()).unwrap();
        longsum().args(["models", "--plan", path.to_str().unwrap()]).output().unwrap()
    };
    let text = |output: Output| String::from_utf8(output.stdout).unwrap();
    let dynamic =
        text(plan(serde_json::json!({ "rope_scaling": { "type": "dynamic", "factor": 4.0 } })));
    assert!(dynamic.contains("note: dynamic NTK"), "{dynamic}");
    let long = text(plan(serde_json::json!({
        "model_type": "phi3", "max_position_embeddings": 131_072,
        "original_max_position_embeddings": 4096,
        "rope_scaling": { "type": "longrope", "short_factor": [1, 1, 1, 1, 1, 1, 1, 1.5] },
    })));
    assert!(
        long.contains("trained to see 4096 tokens") && long.contains("note: LongRoPE"),
        "{long}"
    );
    let native =
        text(plan(serde_json::json!({ "model_type": "gemma3_text", "sliding_window": 512 })));
    assert!(native.contains("5 layers see no more than 512 tokens"), "{native}");
}

/// The settings that decide the shape, in the two styles in which the paper's models were trained.
#[test]
fn files_that_models_were_trained_by_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let plan = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        let args = ["models", "--plan", path.to_str().unwrap(), "--format", "json"];
        report(&longsum().args(args).output().unwrap())
    };
    // Pythia 12B: as published it lacks a comma, and its embedding is padded for four devices.
    let neox = "{\n  # parallelism\n  \"model-parallel-size\": 4,\n  \"num-layers\": 36,\n  \"hidden-size\": 5120,\n  \
        \"num-attention-heads\": 40,\n  \"max-position-embeddings\": 2048,\n  \"pos-emb\": \"rotary\",\n  \
        \"rotary_pct\": 0.25,\n  \"no-weight-tying\": true,\n  \"gpt_j_residual\": true,\n  \
        \"attention-config\": [[[\"flash\"], 36]]\n\n  \"vocab-file\": \"x/20B_tokenizer.json\"\n}\n";
    let found = plan("pythia.yml", neox);
    assert_eq!(
        (found["family"].as_str(), found["context"].as_u64()),
        (Some("gpt_neox"), Some(2048))
    );
    // 11,846,072,320 with biases, which are not counted.
    let billions = found["n_params"].as_f64().unwrap() / 1e9;
    assert!((billions - 11.846).abs() < 0.003, "{billions}");
    let foundry = "variables:\n  max_seq_len: 2048\nmodel:\n  name: mpt_causal_lm\n  d_model: 4096\n  n_heads: 32\n  \
        n_layers: 32\n  expansion_ratio: 4\n  max_seq_len: ${variables.max_seq_len}\n  vocab_size: 50368\n  \
        attn_config:\n    attn_impl: flash\n";
    let found = plan("mpt.yaml", foundry);
    assert_eq!((found["family"].as_str(), found["context"].as_u64()), (Some("mpt"), Some(2048)));
    let billions = found["n_params"].as_f64().unwrap() / 1e9;
    assert!((billions - 6.649).abs() < 0.003, "{billions}");
    let path = dir.path().join("odd.yaml");
    fs::write(&path, "a: [1").unwrap();
    let odd = longsum().args(["models", "--plan", path.to_str().unwrap()]).output().unwrap();
    check_error(&odd, 2, &["odd.yaml", "neither JSON"]);
}

#[test]
fn perplexity_and_times_are_measured() {
    let dir = tempfile::tempdir().unwrap();
    let svg = dir.path().join("a.svg");
    let text = sample("lighthouse.txt");
    let args = ["ppl", text.to_str().unwrap(), "--attention", "sinks,window,dense,recompute"];
    let more = ["--sinks", "0,4", "--cache", "64", "--tokens", "200", "--bucket", "50"];
    let mut command = longsum();
    command.args(args).args(more).args(["--format", "json", "--svg", svg.to_str().unwrap()]);
    let found = report(&command.output().unwrap());
    let settings = found["settings"].as_array().unwrap();
    assert_eq!(settings.len(), 5);
    assert_eq!(settings[0]["n_scored"], 199);
    assert_eq!(settings[0]["by_bucket"].as_array().unwrap().len(), 4);
    // No sinks are a plain window.
    assert_eq!(settings[0]["perplexity"], settings[2]["perplexity"]);
    assert!(fs::read_to_string(svg).unwrap().starts_with("<svg"));
    let mut command = longsum();
    let found = report(
        &command
            .args(["bench", "--cache", "64,128", "--tokens", "4", "--format", "json"])
            .args(["--chunks", "32", "--device", "cpu"])
            .output()
            .unwrap(),
    );
    assert!(found["caches"][1]["ratio"].as_f64().unwrap() > 1.0);
    assert!(found["reading"][0]["tokens_per_sec"].as_f64().unwrap() > 0.0);
    assert_eq!((&found["device"], &found["dtype"]), (&"cpu".into(), &"f32".into()));
}
