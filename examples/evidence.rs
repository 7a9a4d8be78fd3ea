//! Measures on statements with known sources how often attention finds the right sentence, beside
//! word overlap and BM25; and how many planted errors the checks catch.
//!
//! `cargo run --release --example evidence -- MODEL [tests/fixtures/evidence.json]`
//!
//! Chunks are read behind the prompt that notes are taken with, each statement is fed in the place
//! of a note. Longer chunks are chunks of the fixture joined. Statements on other chunks tell how
//! often something is found where there is nothing.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;

use candle_core::Device;
use longsum::cache::Layout;
use longsum::check::{self, Kind};
use longsum::load::Loaded;
use longsum::prompt::{Ask, Prompts};
use longsum::stream::Stream;
use longsum::summary::evidence::{NEUTRAL, Sources, strength};
use serde::Deserialize;
use unicode_segmentation::UnicodeSegmentation;

type Failure = Box<dyn std::error::Error>;

#[derive(Deserialize)]
struct Fixture {
    chunks: Vec<Chunk>,
}

#[derive(Deserialize)]
struct Chunk {
    sentences: Vec<String>,
    statements: Vec<Statement>,
    planted: Vec<Statement>,
}

#[derive(Deserialize, Clone)]
struct Statement {
    text: String,
    sentence: usize,
    #[serde(default)]
    kind: String,
}

/// Chunks joined, and what is said of them.
struct Text {
    sentences: Vec<String>,
    statements: Vec<Statement>,
}

/// How the sentences of a text rank for its statements.
#[derive(Default)]
struct Ranks(Vec<usize>);

impl Ranks {
    /// Takes in the scores of all sentences; ties count half against.
    fn add(&mut self, scores: &[f64], right: usize) {
        let above = scores.iter().filter(|&&s| s > scores[right]).count();
        let equal = scores.iter().filter(|&&s| s == scores[right]).count() - 1;
        self.0.push(above + equal.div_ceil(2));
    }

    #[expect(clippy::cast_precision_loss, reason = "counts")]
    fn share(&self, below: usize) -> f64 {
        100.0 * self.0.iter().filter(|&&r| r < below).count() as f64 / self.0.len() as f64
    }
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let model = PathBuf::from(args.next().ok_or("which model?")?);
    let path = args.next().unwrap_or_else(|| "tests/fixtures/evidence.json".to_owned());
    let n_joins: Vec<usize> = match args.next() {
        Some(n) => vec![n.parse()?],
        None => vec![1, 2, 4],
    };
    let fixture: Fixture = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let loaded = Loaded::open(&model, &Device::Cpu)?;
    println!("| tokens | method | first | in the first three |\n| --- | --- | --- | --- |");
    let mut sure = (Vec::new(), Vec::new());
    for n_join in n_joins {
        measure(&loaded, &fixture, n_join, &mut sure)?;
    }
    println!();
    checks(&fixture);
    if let Some(path) = args.next() {
        // Standing and overlap of right sentences and of the best ones for statements on other texts.
        std::fs::write(path, serde_json::to_string(&sure)?)?;
    }
    Ok(())
}

type Pairs = Vec<(f64, f64)>;

fn measure(
    loaded: &Loaded,
    fixture: &Fixture,
    n_join: usize,
    sure: &mut (Pairs, Pairs),
) -> Result<(), Failure> {
    let mut ranks: [(&str, Ranks); 4] =
        ["attention", "attention and words", "word overlap", "BM25"].map(|n| (n, Ranks::default()));
    let (mut n_tokens, mut n_texts) = (0, 0);
    for (k, chunks) in fixture.chunks.chunks(n_join).enumerate() {
        let text = join(chunks);
        let other = (k * n_join + n_join + 3) % fixture.chunks.len();
        let foreign: Vec<Statement> = fixture.chunks[other].statements.clone();
        let (standing, n) = look(loaded, &text, &foreign)?;
        (n_tokens, n_texts) = (n_tokens + n, n_texts + 1);
        let words = Weights::new(&text.sentences, fixture);
        let of = |statement: &Statement, standing: &[f64]| -> Vec<f64> {
            let overlap = words.overlap(&statement.text);
            standing.iter().zip(overlap).map(|(&s, o)| strength(s, o)).collect()
        };
        for (statement, standing) in text.statements.iter().zip(&standing) {
            let right = statement.sentence;
            let overlap = words.overlap(&statement.text);
            ranks[0].1.add(standing, right);
            ranks[1].1.add(&of(statement, standing), right);
            ranks[2].1.add(&words.shared(&statement.text), right);
            ranks[3].1.add(&words.bm25(&statement.text), right);
            sure.0.push((standing[right], overlap[right]));
        }
        for (statement, standing) in foreign.iter().zip(&standing[text.statements.len()..]) {
            let (sure_of, overlap) = (of(statement, standing), words.overlap(&statement.text));
            let best = (0..sure_of.len()).max_by(|&a, &b| sure_of[a].total_cmp(&sure_of[b]));
            let best = best.unwrap_or_default();
            sure.1.push((standing[best], overlap[best]));
        }
    }
    for (name, ranks) in &ranks {
        let n_tokens = n_tokens / n_texts;
        println!("| {n_tokens} | {name} | {:.1} % | {:.1} % |", ranks.share(1), ranks.share(3));
    }
    Ok(())
}

fn join(chunks: &[Chunk]) -> Text {
    let mut text = Text { sentences: Vec::new(), statements: Vec::new() };
    for chunk in chunks {
        let n_before = text.sentences.len();
        text.sentences.extend(chunk.sentences.iter().cloned());
        let moved = |s: &Statement| Statement { sentence: n_before + s.sentence, ..s.clone() };
        text.statements.extend(chunk.statements.iter().map(moved));
    }
    text
}

/// The standing of every sentence with each of the text's statements, and then with each of the
/// foreign ones; and the tokens of the text.
fn look(
    loaded: &Loaded,
    text: &Text,
    foreign: &[Statement],
) -> Result<(Vec<Vec<f64>>, usize), Failure> {
    let tokenizer = &loaded.tokenizer;
    let mut joined = String::new();
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for sentence in &text.sentences {
        let start = joined.len();
        joined.push_str(sentence);
        joined.push(' ');
        ranges.push(start..joined.len());
    }
    let ask = Ask { n_words: 96, ..Ask::default() };
    let prompt = Prompts::built_in().notes(&loaded.chat, "", ask)?;
    let (prefix, suffix) = prompt.encode(tokenizer)?;
    let ids = tokenizer.encode_text(&joined)?;
    let layout = Layout::new(prefix.len(), ids.len() + suffix.len() + 256, 256)?;
    let mut stream = Stream::new(&loaded.decoder, layout)?;
    stream.begin(&prefix)?;
    let sources = Sources::new(tokenizer, &ids, stream.next_index(), ranges.into_iter());
    stream.feed(&ids)?;
    stream.feed(&suffix)?;
    stream.save()?;
    let mut neutral = Vec::new();
    let mut rows = Vec::new();
    let mut spans: Vec<Range<usize>> = Vec::new();
    let texts = text.statements.iter().chain(foreign).map(|s| s.text.as_str());
    for (k, text) in [NEUTRAL].into_iter().chain(texts).enumerate() {
        stream.restore()?;
        let seen = stream.attention(&tokenizer.encode_text(text)?, sources.watch.clone())?;
        if k == 0 {
            neutral = seen;
            continue;
        }
        let start = rows.len();
        rows.extend(seen);
        spans.push(start..rows.len());
    }
    // Foreign statements are measured against the text's own, one at a time.
    let n_own = text.statements.len();
    let mut standing = sources.standing(&rows, &neutral, &spans[..n_own]);
    for span in &spans[n_own..] {
        let with: Vec<Range<usize>> = spans[..n_own].iter().chain([span]).cloned().collect();
        standing.extend(sources.standing(&rows, &neutral, &with).pop());
    }
    Ok((standing, ids.len()))
}

/// Words of sentences by how rare they are in the whole fixture, as the program weighs them by how
/// rare they are in the document.
struct Weights {
    sentences: Vec<Vec<String>>,
    n_with: HashMap<String, f64>,
    n_all: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts of words")]
impl Weights {
    fn new(sentences: &[String], fixture: &Fixture) -> Self {
        let (mut n_with, mut n_all) = (HashMap::new(), 0.0);
        for sentence in fixture.chunks.iter().flat_map(|chunk| &chunk.sentences) {
            n_all += 1.0;
            for word in words(sentence).into_iter().collect::<HashSet<_>>() {
                *n_with.entry(word).or_insert(0.0) += 1.0;
            }
        }
        Self { sentences: sentences.iter().map(|s| words(s)).collect(), n_with, n_all }
    }

    /// The share of a statement's weight that each sentence has.
    fn overlap(&self, statement: &str) -> Vec<f64> {
        let weight = |word: &String| {
            ((self.n_all + 2.0) / (self.n_with.get(word).unwrap_or(&0.0) + 1.0)).ln()
        };
        let wanted: HashSet<String> = words(statement).into_iter().collect();
        let total: f64 = wanted.iter().map(weight).sum();
        let share = |sentence: &Vec<String>| {
            let has = wanted.iter().filter(|word| sentence.contains(word));
            has.map(weight).sum::<f64>() / total
        };
        self.sentences.iter().map(share).collect()
    }

    /// How many of a statement's words each sentence has; short words, which grammar needs, apart.
    fn shared(&self, statement: &str) -> Vec<f64> {
        let wanted: HashSet<String> =
            words(statement).into_iter().filter(|word| word.len() > 3).collect();
        let count = |s: &Vec<String>| wanted.iter().filter(|word| s.contains(word)).count() as f64;
        self.sentences.iter().map(count).collect()
    }

    /// Robertson and Zaragoza 2009, with k1 = 1.2 and b = 0.75.
    fn bm25(&self, statement: &str) -> Vec<f64> {
        let n = self.n_all;
        let mean =
            self.sentences.iter().map(Vec::len).sum::<usize>() as f64 / self.sentences.len() as f64;
        let wanted: HashSet<String> = words(statement).into_iter().collect();
        let score = |sentence: &Vec<String>| {
            let norm = 1.2 * (0.25 + 0.75 * sentence.len() as f64 / mean);
            let of = |word: &String| {
                let times = sentence.iter().filter(|w| *w == word).count() as f64;
                let with = self.n_with.get(word).unwrap_or(&0.0);
                (1.0 + (n - with + 0.5) / (with + 0.5)).ln() * times * 2.2 / (times + norm)
            };
            wanted.iter().map(of).sum()
        };
        self.sentences.iter().map(score).collect()
    }
}

fn words(text: &str) -> Vec<String> {
    text.unicode_words().map(str::to_lowercase).collect()
}

/// How many planted errors are caught, and how many true statements are flagged.
fn checks(fixture: &Fixture) {
    let faults =
        |chunk: &Chunk, s: &Statement| check::faults(&s.text, &[&chunk.sentences[s.sentence]], "");
    println!("| planted | of | caught | by its kind |\n| --- | --- | --- | --- |");
    let kinds = [
        ("number", Kind::Number),
        ("date", Kind::Date),
        ("name", Kind::Name),
        ("negation", Kind::Negation),
    ];
    for (name, kind) in kinds {
        let planted = fixture.chunks.iter().flat_map(|c| c.planted.iter().map(move |s| (c, s)));
        let found: Vec<_> =
            planted.filter(|(_, s)| s.kind == name).map(|(c, s)| faults(c, s)).collect();
        let n_caught = found.iter().filter(|f| !f.is_empty()).count();
        let n_kind = found.iter().filter(|f| f.iter().any(|f| f.kind == kind)).count();
        println!("| {name} | {} | {n_caught} | {n_kind} |", found.len());
    }
    let all = fixture.chunks.iter().flat_map(|c| c.statements.iter().map(move |s| (c, s)));
    let flagged: Vec<_> = all.clone().filter(|(c, s)| !faults(c, s).is_empty()).collect();
    println!("\n{} of {} true statements flagged", flagged.len(), all.count());
}
