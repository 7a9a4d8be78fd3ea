//! The method from the document to the report, with a scripted model: it writes what a diligent
//! reader would, so that notes, merges, citations and budgets can be checked word by word.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;

use candle_core::{DType, Device, Tensor};
use longsum::cache::kv::KvShape;
use longsum::cache::{KvCache, Layout};
use longsum::document::{Document, read_bytes};
use longsum::event::Event;
use longsum::model::{
    Activation, LanguageModel, Mlp, ModelError, Norm, NormKind, Positions, Residual, Spec, Want,
};
use longsum::prompt::ChatTemplate;
use longsum::report::{FinishReason, Model, Report, Status, Support};
use longsum::stream::Decoding;
use longsum::summary::{Options, Reader, SummaryError, summarize};
use longsum::token::Tokenizer;

use crate::tiny;

const STOP: u32 = 258;
const N_VOCAB: usize = 259;

/// A model that follows a script: what it is asked in, what it replies out.
struct Scripted {
    spec: Spec,
    script: fn(&str) -> String,
    tokenizer: Tokenizer,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Ids fed since the last reply.
    heard: Vec<u32>,
    /// What is still to be written.
    reply: VecDeque<u32>,
}

impl Scripted {
    fn new(script: fn(&str) -> String) -> Self {
        let spec = Spec {
            family: "scripted".to_owned(),
            n_layers: 0,
            n_embd: 1,
            n_heads: 1,
            n_kv_heads: 1,
            head_dim: 1,
            n_ff: 1,
            n_vocab: N_VOCAB,
            context: 8192,
            norm: Norm { kind: NormKind::Rms, eps: 1e-5 },
            positions: Positions::alibi(1, 8.0),
            residual: Residual::Sequential,
            mlp: Mlp::Plain(Activation::Gelu),
            qk_norm: false,
            sights: Vec::new(),
            embedding_scale: 1.0,
            score_scale: 1.0,
            score_cap: None,
            logit_cap: None,
            remarks: Vec::new(),
            tied: true,
        };
        Self { spec, script, tokenizer: tokenizer(), state: Mutex::default() }
    }
}

impl LanguageModel for Scripted {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn new_cache(&self, layout: Layout) -> Result<KvCache, ModelError> {
        let shape = KvShape { native_windows: Vec::new(), n_kv_heads: 1, head_dim: 1 };
        Ok(KvCache::new(layout, shape, DType::F32, &Device::Cpu)?)
    }

    fn forward(&self, ids: &[u32], cache: &mut KvCache, want: Want) -> Result<Tensor, ModelError> {
        let mut state = self.state.lock().unwrap();
        cache.plan(ids.len())?;
        cache.advance(ids.len());
        // More than one token, or nothing wanted: something new is said, and an old reply is over.
        if ids.len() > 1 || want == Want::Nothing {
            state.reply.clear();
            state.heard.extend(ids);
        }
        if want == Want::Nothing {
            return Ok(Tensor::zeros((0, N_VOCAB), DType::F32, &Device::Cpu)?);
        }
        if state.reply.is_empty() {
            let heard = self.tokenizer.decode(&state.heard).unwrap();
            state.heard.clear();
            state.reply = self.tokenizer.encode_text(&(self.script)(&heard)).unwrap().into();
            state.reply.push_back(STOP);
        }
        let next = state.reply.pop_front().unwrap();
        let mut logits = vec![0f32; N_VOCAB];
        logits[next as usize] = 100.0;
        Ok(Tensor::from_vec(logits, (1, N_VOCAB), &Device::Cpu)?)
    }
}

fn tokenizer() -> Tokenizer {
    Tokenizer::from_json_bytes(tiny::tokenizer().to_string().as_bytes()).unwrap()
}

/// Replies with the first sentence of the part that was read, or with every third note of a merge.
fn diligent(heard: &str) -> String {
    if let Some((_, part)) = heard.split_once("Here is a part of the document.\n\n") {
        let sentence = part.trim_start().split_inclusive('.').next().unwrap_or_default();
        return sentence.trim().to_owned();
    }
    let notes: Vec<&str> = heard.lines().filter_map(|l| l.strip_prefix("- ")).collect();
    notes.iter().step_by(3).copied().collect::<Vec<_>>().join("\n")
}

/// A document of numbered facts, two a page.
fn facts(n: usize) -> Document {
    let names = ["Aldo", "Berta", "Carlos", "Dora", "Emil", "Frida", "Gustav", "Hilda"];
    let towns = ["Aachen", "Bergen", "Cadiz", "Delft", "Evora"];
    let text: String = (0..n)
        .map(|k| {
            let fact = format!(
                "In {} {} counted {} ships at {}.",
                1800 + k,
                names[k % 8],
                1000 + 7 * k,
                towns[k % 5]
            );
            fact + if k % 2 == 1 { "\x0c" } else { " " }
        })
        .collect();
    read_bytes("facts.txt", text.into_bytes(), Some("txt")).unwrap()
}

/// A script cannot be asked what it would say behind other words, nor take anything back.
fn run(model: &Scripted, document: &Document, options: &Options) -> Result<Report, SummaryError> {
    let decoding = Decoding { n_guess: 0, ..options.decoding.clone() };
    let options = &Options { decoding, ..options.clone() };
    let about = Model {
        id: "scripted".to_owned(),
        revision: None,
        sha256: String::new(),
        architecture: "scripted".to_owned(),
        quantization: None,
        dtype: "f32".to_owned(),
        device: "cpu".to_owned(),
        gpu: None,
    };
    let (tokenizer, chat) = (tokenizer(), ChatTemplate::plain());
    let reader = Reader {
        model,
        tokenizer: &tokenizer,
        chat: &chat,
        stops: &[STOP],
        about: &about,
        extract: None,
    };
    summarize(&reader, document, options, &mut |_| {})
}

fn options() -> Options {
    // A byte is a token here, so prompts are long.
    Options { n_sink: Some(1200), n_window: Some(2400), n_chunk: Some(300), ..Options::default() }
}

#[test]
fn every_chunk_is_read_noted_and_part_of_the_summary() {
    let document = facts(120);
    let options = Options { n_words: 1000, ..options() };
    let report = run(&Scripted::new(diligent), &document, &options).unwrap();
    assert_eq!(report.status, Status::Complete);
    // Chunks joined are the document.
    let mut at = 0;
    for chunk in &report.chunks {
        assert_eq!(chunk.chars.0, at);
        assert!(chunk.n_tokens <= 300);
        assert_eq!(chunk.finish_reason, FinishReason::Stop);
        at = chunk.chars.1;
    }
    assert_eq!(at, report.source.n_chars);
    assert!(report.chunks.len() > 15, "{}", report.chunks.len());
    assert_eq!(report.rolling.len(), report.chunks.len());
    // The last summary draws on the whole of the document.
    assert!(
        report.checks.coverage_by_decile.iter().filter(|&&n| n > 0).count() >= 8,
        "{:?}",
        report.checks
    );
    assert_eq!(report.usage.peak_cache_slots, 1200 + 2400 - 1 + 300);
}

#[test]
fn statements_are_cited_with_the_very_words_of_the_document() {
    // More would repeat passages that a reply may not repeat.
    let document = facts(36);
    let report = run(&Scripted::new(diligent), &document, &options()).unwrap();
    let chars: Vec<char> = document.text.chars().collect();
    let rolling = report.rolling.iter().flat_map(|r| &r.statements);
    let mut n_quotes = 0;
    for statement in rolling.chain(&report.summary.as_ref().unwrap().statements) {
        let citation = &statement.citations[0];
        let quote = citation.quote.as_ref().unwrap();
        assert_eq!(quote.exact, statement.text);
        let found: String = chars[citation.chars.0..citation.chars.1].iter().collect();
        assert_eq!(found, quote.exact);
        // Fact k stands on page k/2 + 1.
        let year: u32 = statement.text[3..7].parse().unwrap();
        let page = (year - 1800) / 2 + 1;
        assert_eq!(citation.pages, (page, page));
        assert!((citation.score - 1.0).abs() < 1e-9);
        n_quotes += 1;
    }
    assert!(n_quotes > 10);
}

#[test]
fn a_statement_that_the_document_does_not_hold_has_no_quote() {
    let invents = |_: &str| "Penguins governed Antarctica wisely.".to_owned();
    let report = run(&Scripted::new(invents), &facts(20), &options()).unwrap();
    let summary = report.summary.unwrap();
    assert!(summary.statements.iter().all(|s| s.citations.iter().all(|c| c.quote.is_none())));
    assert!(summary.statements.iter().all(|s| s.support == Support::None));
    assert!((report.checks.unsupported - 1.0).abs() < 1e-9);
}

#[test]
fn a_number_that_the_document_does_not_have_makes_a_statement_weak() {
    // The first sentence of the part, with another count.
    let errs = |heard: &str| diligent(heard).replace(" counted 1", " counted 9");
    let report = run(&Scripted::new(errs), &facts(4), &options()).unwrap();
    let noted = &report.rolling[0].statements[0];
    assert_eq!(noted.support, Support::Weak, "{noted:?}");
    assert_eq!(noted.faults[0].kind, "number");
    assert!(noted.faults[0].text.contains("900"), "{noted:?}");
    assert!(noted.citations[0].quote.is_some());
    assert!(report.checks.weak > 0.0);
}

#[test]
fn inventions_are_left_out_where_something_is_borne_out() {
    let mixes =
        |heard: &str| "Penguins governed Antarctica wisely.\n".to_owned() + &diligent(heard);
    let report = run(&Scripted::new(mixes), &facts(60), &options()).unwrap();
    let summary = report.summary.unwrap();
    assert!(!summary.text.contains("Penguins"), "{}", summary.text);
    // A part that only invents gives way to its notes; both are told.
    let told = ["statements_left_out", "unsupported_part"];
    assert!(report.warnings.iter().any(|w| told.contains(&w.code.as_str())));
    // What was noted stays, and is marked.
    let noted = report.rolling.iter().flat_map(|r| &r.statements);
    assert!(noted.clone().any(|s| s.text.contains("Penguins") && s.support == Support::None));
}

#[test]
fn a_merge_sees_sentences_of_the_document_and_cites_only_what_its_parts_rest_on() {
    static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let listens = |heard: &str| {
        SEEN.lock().unwrap().push(heard.to_owned());
        diligent(heard)
    };
    let document = facts(120);
    let report = run(&Scripted::new(listens), &document, &options()).unwrap();
    let heard = SEEN.lock().unwrap();
    let merges: Vec<&String> =
        heard.iter().filter(|text| text.contains("Sentences of the document itself:")).collect();
    assert!(!merges.is_empty());
    for merge in &merges {
        let (_, quoted) = merge.rsplit_once("Sentences of the document itself:\n").unwrap();
        let quoted = quoted.lines().take_while(|l| l.starts_with("- "));
        assert!(quoted.map(|l| &l[2..]).all(|l| document.text.contains(l)), "{merge}");
    }
    let noted: Vec<_> = report
        .rolling
        .iter()
        .flat_map(|r| &r.statements)
        .flat_map(|s| &s.citations)
        .map(|c| c.chars)
        .collect();
    let cited = report.summary.unwrap().statements.into_iter().flat_map(|s| s.citations);
    assert!(cited.filter(|c| c.quote.is_some()).all(|c| noted.contains(&c.chars)));
}

#[test]
fn no_call_is_longer_than_what_is_seen_at_once() {
    for n in [4, 60, 400] {
        let report = run(&Scripted::new(diligent), &facts(n), &options()).unwrap();
        let longest = report.usage.longest_call;
        assert!(longest > 0 && longest <= 1200 + 2400, "{n}: {longest}");
    }
}

#[test]
fn a_reply_in_another_language_is_not_taken() {
    let german = |_: &str| {
        "Der Hafen wurde im Sommer von vielen Schiffen aus aller Welt besucht.".to_owned()
    };
    let options = Options { language: Some("English".to_owned()), ..options() };
    let report = run(&Scripted::new(german), &facts(20), &options).unwrap();
    assert_eq!(report.status, Status::Failed);
    assert!(report.warnings.iter().any(|w| w.code == "no_notes"));
    let options = Options { language: Some("German".to_owned()), ..options };
    let report = run(&Scripted::new(german), &facts(20), &options).unwrap();
    assert_eq!(report.checks.language_as_asked, Some(true));
}

#[test]
fn a_few_words_are_refused_with_the_reason() {
    let document = read_bytes("map.txt", b"North. Scale 1 : 5000".to_vec(), None).unwrap();
    let report = run(&Scripted::new(diligent), &document, &options()).unwrap();
    assert_eq!(report.status, Status::Failed);
    assert!(report.reason.unwrap().contains("too little to summarize"));
    assert!(report.summary.is_none());
}

/// Documents that try to give orders.
#[derive(serde::Deserialize)]
struct Injection {
    name: String,
    document: String,
}

#[test]
fn what_a_document_says_stays_data() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/injections.json");
    let injections: Vec<Injection> =
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert!(injections.len() >= 20);
    let mut n_told = 0;
    for Injection { name, document } in injections {
        let document = read_bytes("-", document.into_bytes(), Some("md")).unwrap();
        // Whatever looks like markup is spelled out: no token of the template comes of it.
        let ids = tokenizer().encode_text(&document.text).unwrap();
        assert!(!ids.iter().any(|&id| tokenizer().is_markup(id)), "{name}");
        let report = run(&Scripted::new(diligent), &document, &options()).unwrap();
        assert_eq!(report.status, Status::Complete, "{name}: {:?}", report.reason);
        n_told += usize::from(report.warnings.iter().any(|w| w.code == "reads_as_instructions"));
        // All of it was read, and it holds together as a report.
        assert_eq!(report.chunks.last().unwrap().chars.1, report.source.n_chars, "{name}");
        let json = serde_json::to_string(&report).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{name}");
    }
    // Orders in plain words without the usual ones pass; what looks like HTML is gone with Markdown.
    assert!(n_told >= 7, "{n_told} of them are told of");
}

#[test]
fn a_model_that_says_nothing_is_told_in_warnings_and_ends() {
    let report = run(&Scripted::new(|_| String::new()), &facts(30), &options()).unwrap();
    assert_eq!(report.status, Status::Failed);
    assert!(report.reason.unwrap().contains("nothing usable"));
    assert!(report.summary.is_none());
    assert!(report.warnings.iter().any(|w| w.code == "no_notes"));
}

#[test]
fn a_model_that_never_stops_is_cut_and_the_tree_ends() {
    let talks = |heard: &str| (0..200).map(|k| format!("Line {} of {k}.\n", heard.len())).collect();
    let report = run(&Scripted::new(talks), &facts(120), &options()).unwrap();
    assert!(report.chunks.iter().all(|c| c.finish_reason != FinishReason::Stop));
    assert!(!report.summary.unwrap().text.is_empty());
}

#[test]
fn fewer_sinks_than_the_prompt_has_tokens_work_too() {
    let document = facts(40);
    let options =
        Options { n_sink: Some(4), n_window: Some(3600), n_chunk: Some(256), ..Options::default() };
    let report = run(&Scripted::new(diligent), &document, &options).unwrap();
    assert_eq!(report.usage.peak_cache_slots, 4 + 3600 - 1 + 256);
    assert!(report.rolling.iter().all(|r| r.statements[0].citations[0].quote.is_some()));
}

#[test]
fn a_window_smaller_than_the_prompt_is_refused_with_the_smallest_that_works() {
    let options = |n| Options { n_sink: Some(1200), n_window: Some(n), ..Options::default() };
    let model = Scripted::new(diligent);
    let Err(SummaryError::WindowTooSmall { n_window: 100, n_needed }) =
        run(&model, &facts(4), &options(100))
    else {
        panic!("a window of 100 was not refused");
    };
    let least = n_needed;
    let refused = run(&model, &facts(4), &options(least - 1));
    assert!(
        matches!(refused, Err(SummaryError::WindowTooSmall { n_needed, .. }) if n_needed == least)
    );
    for n in least..least + 20 {
        assert!(run(&model, &facts(4), &options(n)).is_ok(), "{n}");
    }
    let beyond = run(&model, &facts(4), &options(9000));
    assert!(matches!(beyond, Err(SummaryError::BeyondContext { context: 8192, .. })));
}

#[test]
fn a_document_without_text_fails_with_its_reason_and_no_summary() {
    let document = read_bytes("blank.txt", b" \n\x0c \n".to_vec(), Some("txt")).unwrap();
    let report = run(&Scripted::new(diligent), &document, &options()).unwrap();
    assert_eq!(report.status, Status::Failed);
    assert!(report.reason.unwrap().contains("blank.txt"));
    assert!(report.summary.is_none());
}

#[test]
fn two_runs_give_the_same_report() {
    let report = || {
        let mut report = run(&Scripted::new(diligent), &facts(40), &options()).unwrap();
        report.timings = longsum::report::Timings::default();
        serde_json::to_string(&report).unwrap()
    };
    assert_eq!(report(), report());
}

#[test]
fn events_tell_every_chunk_in_order() {
    let about = run(&Scripted::new(diligent), &facts(2), &options()).unwrap().model;
    let (tokenizer, chat, model) = (tokenizer(), ChatTemplate::plain(), Scripted::new(diligent));
    let reader = Reader {
        model: &model,
        tokenizer: &tokenizer,
        chat: &chat,
        stops: &[STOP],
        about: &about,
        extract: None,
    };
    let mut fed = Vec::new();
    let mut n_announced = 0;
    let report = summarize(&reader, &facts(40), &options(), &mut |event| match event {
        Event::Started { n_chunks, .. } => n_announced = n_chunks,
        Event::ChunkFed { seq, .. } => fed.push(seq),
        _ => {}
    })
    .unwrap();
    assert_eq!(fed, (0..n_announced).collect::<Vec<_>>());
    assert_eq!(n_announced, report.chunks.len());
}
