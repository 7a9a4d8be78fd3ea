//! A tokenizer from the metadata of a GGUF file: the vocabulary is there, the rules are named.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use tokenizers::{ModelWrapper, models::bpe};

use super::{Added, Parts, TokenError};

/// The keys `tokenizer.*` of a GGUF file, as plain data.
#[derive(Debug, Clone, Default)]
pub struct GgufTokenizer {
    /// `tokenizer.ggml.model`: `gpt2` (byte-level BPE) or `llama` (`SentencePiece`).
    pub model: String,
    /// `tokenizer.ggml.pre`: how words are split before merging, for `gpt2`.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`: the vocabulary, by id.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.scores`, for `llama`; may be empty for `gpt2`.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.token_type`: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused,
    /// 6 byte. If empty, all are normal but the ones named by id below.
    pub token_types: Vec<u32>,
    /// `tokenizer.ggml.merges`, for `gpt2`: two pieces and a space between.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.bos_token_id`.
    pub bos_id: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos_id: Option<u32>,
    /// `tokenizer.ggml.unknown_token_id`.
    pub unknown_id: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`, for `llama`.
    pub add_space_prefix: Option<bool>,
    /// `tokenizer.chat_template`: for [`ChatTemplate::new`](crate::prompt::ChatTemplate::new).
    pub chat_template: Option<String>,
}

const NORMAL: u32 = 1;
const UNKNOWN: u32 = 2;
const CONTROL: u32 = 3;
const USER_DEFINED: u32 = 4;
const UNUSED: u32 = 5;

/// The sign of `SentencePiece` for a space.
const SPACE: char = '\u{2581}';

impl GgufTokenizer {
    /// The spelling of a token, for templates that write it.
    #[must_use]
    pub fn token(&self, id: Option<u32>) -> &str {
        id.and_then(|id| self.tokens.get(id as usize)).map_or("", String::as_str)
    }

    fn kind(&self, id: usize) -> u32 {
        let named = |named: Option<u32>| named.is_some_and(|named| named as usize == id);
        match self.token_types.get(id) {
            Some(&kind) => kind,
            None if named(self.unknown_id) => UNKNOWN,
            None if named(self.bos_id) || named(self.eos_id) => CONTROL,
            None => NORMAL,
        }
    }
}

pub(super) fn parts(meta: &GgufTokenizer) -> Result<Parts, TokenError> {
    let n_tokens = meta.tokens.len();
    let fits = |key, n_found: usize, may_lack: bool| {
        let fits = n_found == n_tokens || (may_lack && n_found == 0);
        if fits { Ok(()) } else { Err(TokenError::Length { key, n_tokens, n_found }) }
    };
    fits("tokenizer.ggml.token_type", meta.token_types.len(), true)?;
    if n_tokens == 0 {
        return Err(TokenError::Build { reason: "`tokenizer.ggml.tokens` is empty".into() });
    }
    match meta.model.as_str() {
        "gpt2" => byte_level(meta),
        "llama" => {
            fits("tokenizer.ggml.scores", meta.scores.len(), false)?;
            sentencepiece(meta)
        }
        _ => Err(TokenError::UnknownModel { model: meta.model.clone() }),
    }
}

/// How one family of byte-level vocabularies prepares a text.
struct Split {
    /// Pre-tokenizers, in order; the last one maps bytes to letters.
    steps: Vec<Value>,
    normalizer: Option<Value>,
    /// A word that is a piece is taken whole, whatever the merges say.
    ignore_merges: bool,
    add_bos: bool,
}

fn split_of(pre: &str) -> Option<Split> {
    // The rules that the models of each family were trained with, as their own files state them.
    const CONTRACTIONS: &str = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    const TAIL: &str = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let regex = |regex: String| json!({ "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false });
    let bytes = |use_regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex });
    let digits = |each: bool| json!({ "type": "Digits", "individual_digits": each });
    let words = |n_digits: &str| {
        regex(format!(r"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{n_digits}{TAIL}"))
    };
    // Upper-case runs end where a lower-case run begins.
    let cased = |ending: &str, n_digits: &str| {
        const BEFORE: &str = r"[^\r\n\p{L}\p{N}]?";
        const UPPER: &str = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]";
        const LOWER: &str = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]";
        regex(format!(
            r"{BEFORE}{UPPER}*{LOWER}+{ending}|{BEFORE}{UPPER}+{LOWER}*{ending}|\p{{N}}{n_digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
        ))
    };
    let plain =
        |steps: Vec<Value>| Split { steps, normalizer: None, ignore_merges: false, add_bos: false };

    Some(match pre {
        "gpt-2" | "gpt2" | "mpt" | "olmo" | "phi-2" | "jais" | "roberta-bpe" => {
            plain(vec![bytes(true)])
        }
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" => {
            plain(vec![digits(true), bytes(true)])
        }
        "default" | "falcon" => plain(vec![
            json!({ "type": "Punctuation", "behavior": "Contiguous" }),
            bytes(true),
            digits(false),
            regex("[0-9][0-9][0-9]".into()),
        ]),
        "llama-bpe" | "llama3" | "llama-v3" | "smaug-bpe" | "lfm2" | "falcon3" | "pixtral" => {
            Split {
                ignore_merges: true,
                add_bos: true,
                ..plain(vec![words("{1,3}"), bytes(false)])
            }
        }
        "dbrx" => plain(vec![words("{1,3}"), bytes(false)]),
        "qwen2" | "deepseek-r1-qwen" | "stablelm2" | "hunyuan" | "megrez" => Split {
            normalizer: (pre != "stablelm2").then(|| json!({ "type": "NFC" })),
            ..plain(vec![words(""), bytes(false)])
        },
        "tekken" => {
            Split { ignore_merges: true, add_bos: true, ..plain(vec![cased("", ""), bytes(false)]) }
        }
        "gpt-4o" | "llama4" => {
            plain(vec![cased(&format!("{CONTRACTIONS}?"), "{1,3}"), bytes(false)])
        }
        _ => return None,
    })
}

fn byte_level(meta: &GgufTokenizer) -> Result<Parts, TokenError> {
    let pre = meta.pre.as_deref().unwrap_or("default");
    let split = split_of(pre).ok_or_else(|| TokenError::UnknownPre { pre: pre.to_owned() })?;

    let ids: HashMap<&str, u32> = ids_of(meta);
    let mut merges = Vec::with_capacity(meta.merges.len());
    for (index, merge) in meta.merges.iter().enumerate() {
        let (left, right) = merge
            .split_once(' ')
            .filter(|(left, right)| {
                let whole = [*left, *right].concat();
                [left, right, whole.as_str()].into_iter().all(|piece| ids.contains_key(piece))
            })
            .ok_or_else(|| TokenError::Merge { index, merge: merge.clone() })?;
        merges.push((left.to_owned(), right.to_owned()));
    }
    let model = bpe::BPE::builder()
        .vocab_and_merges(vocab_of(&ids), merges)
        .ignore_merges(split.ignore_merges)
        .build()
        .map_err(|err| build_error(&err))?;
    Ok(Parts {
        model: ModelWrapper::BPE(model),
        normalizer: split.normalizer.map(step).transpose()?,
        pre_tokenizer: Some(step(json!({ "type": "Sequence", "pretokenizers": split.steps }))?),
        decoder: Some(step(
            json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true }),
        )?),
        added: added_of(meta),
        unknown: None, // bytes are never unknown, at most unspellable
        bos: meta.bos_id,
        eos: meta.eos_id,
        add_bos: meta.add_bos.unwrap_or(split.add_bos),
    })
}

fn sentencepiece(meta: &GgufTokenizer) -> Result<Parts, TokenError> {
    let ids = ids_of(meta);
    // Pieces that text may be made of. The others (control, bytes, unused) must never be merged
    // into, or a document could write them letter by letter.
    let mergeable: HashSet<&str> = meta
        .tokens
        .iter()
        .enumerate()
        .filter(|(id, token)| match meta.kind(*id) {
            NORMAL => true,
            USER_DEFINED => token.chars().all(|c| c.is_whitespace() || c == SPACE),
            _ => false,
        })
        .map(|(_, token)| token.as_str())
        .collect();
    let model = bpe::BPE::builder()
        .vocab_and_merges(vocab_of(&ids), merges_of(meta, &ids, &mergeable))
        .byte_fallback(ids.contains_key("<0x00>"))
        .fuse_unk(true);
    let unknown = meta
        .unknown_id
        .map(|id| id as usize)
        .or_else(|| (0..meta.tokens.len()).find(|&id| meta.kind(id) == UNKNOWN))
        .filter(|&id| id < meta.tokens.len());
    let model = match unknown {
        Some(id) => model.unk_token(meta.tokens[id].clone()),
        None => model,
    };

    let prefix = meta.add_space_prefix.unwrap_or(true);
    let space = SPACE.to_string();
    let mut normalizers = vec![];
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": space }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if prefix {
        normalizers.push(json!({ "type": "Prepend", "prepend": space }));
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    normalizers.push(json!({ "type": "Replace", "pattern": { "String": " " }, "content": space }));
    Ok(Parts {
        model: ModelWrapper::BPE(model.build().map_err(|err| build_error(&err))?),
        normalizer: Some(step(json!({ "type": "Sequence", "normalizers": normalizers }))?),
        pre_tokenizer: None,
        decoder: Some(step(json!({ "type": "Sequence", "decoders": decoders }))?),
        added: added_of(meta),
        unknown: unknown.and_then(|id| u32::try_from(id).ok()),
        bos: meta.bos_id,
        eos: meta.eos_id,
        add_bos: meta.add_bos.unwrap_or(true),
    })
}

/// Every way to make a piece of two others, best score first: what `SentencePiece` decides while it
/// merges, written down as rules.
fn merges_of(
    meta: &GgufTokenizer,
    ids: &HashMap<&str, u32>,
    mergeable: &HashSet<&str>,
) -> Vec<(String, String)> {
    let mut rules = Vec::new();
    for (&piece, &id) in ids.iter().filter(|(piece, _)| mergeable.contains(*piece)) {
        for (middle, _) in piece.char_indices().skip(1) {
            let (left, right) = piece.split_at(middle);
            if mergeable.contains(left) && mergeable.contains(right) {
                rules.push((id, ids[left], ids[right], left, right));
            }
        }
    }
    rules.sort_by(|a, b| {
        let score = |rule: &(u32, u32, u32, &str, &str)| meta.scores[rule.0 as usize];
        score(b).total_cmp(&score(a)).then_with(|| (a.0, a.1, a.2).cmp(&(b.0, b.1, b.2)))
    });
    rules.into_iter().map(|rule| (rule.3.to_owned(), rule.4.to_owned())).collect()
}

/// Ids by spelling; of two tokens spelled alike the first counts.
fn ids_of(meta: &GgufTokenizer) -> HashMap<&str, u32> {
    let mut ids = HashMap::with_capacity(meta.tokens.len());
    for (id, token) in (0..).zip(&meta.tokens) {
        ids.entry(token.as_str()).or_insert(id);
    }
    ids
}

fn vocab_of(ids: &HashMap<&str, u32>) -> bpe::Vocab {
    ids.iter().map(|(&token, &id)| (token.to_owned(), id)).collect()
}

/// The tokens that stand outside the merges.
fn added_of(meta: &GgufTokenizer) -> Vec<Added> {
    let added = |(id, token): (u32, &String)| {
        let kind = meta.kind(id as usize);
        matches!(kind, UNKNOWN | CONTROL | USER_DEFINED | UNUSED).then(|| Added {
            id,
            content: token.clone(),
            special: kind != USER_DEFINED,
            lstrip: false,
            rstrip: false,
        })
    };
    (0..).zip(&meta.tokens).filter_map(added).collect()
}

/// One step of the pipeline from its description.
fn step<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, TokenError> {
    serde_json::from_value(value).map_err(|err| TokenError::Build { reason: err.to_string() })
}

fn build_error(err: &tokenizers::Error) -> TokenError {
    TokenError::Build { reason: err.to_string() }
}
