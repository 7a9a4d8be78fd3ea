//! A whole model from one path: weights, tokenizer, chat template, and where replies end.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::folder::read_json;
use super::{Folder, Gguf, LoadError};
use crate::device;
use crate::measure::Storage;
use crate::model::{Decoder, Salience, Spec};
use crate::prompt::ChatTemplate;
use crate::select::Weights;
use crate::token::Tokenizer;

/// A language model, ready to read.
pub struct Loaded {
    /// The decoder with its weights.
    pub decoder: Decoder,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Its chat template.
    pub chat: ChatTemplate,
    /// Tokens that end a reply.
    pub stops: Vec<u32>,
    /// SHA-256 of the weights, in hexadecimal: of the file, or of the list of the shards' sums.
    pub sha256: String,
    /// Quantization of most matrices.
    pub quantization: Option<String>,
    /// Number type of activations and cache.
    pub dtype: DType,
    /// What chooses sentences, where the model was trained for that: then it writes nothing.
    pub extractor: Option<Extractor>,
}

/// What makes an extractive summarizer of a decoder.
pub struct Extractor {
    /// The heads.
    pub salience: Salience,
    /// What was learnt of choosing.
    pub weights: Weights,
}

/// What a model is, told before its weights are loaded.
pub struct Outline {
    /// What it is made of.
    pub spec: Spec,
    /// How its matrices will lie in memory, where activations are sixteen bits wide or more.
    pub storage: Storage,
    /// Whether it chooses sentences, and writes nothing.
    pub chooses: bool,
}

impl Outline {
    /// Looks at a folder of safetensors or a GGUF file; activations will be in `dtype`.
    ///
    /// # Errors
    /// As [`Loaded::open`], but for what only the weights tell.
    pub fn of(path: &Path, dtype: DType) -> Result<Self, LoadError> {
        if !path.is_dir() {
            let gguf = Gguf::open(path, dtype, &Device::Cpu)?;
            let storage = gguf.storage();
            return Ok(Self { spec: gguf.spec, storage, chooses: false });
        }
        let folder = Folder::open(path, dtype, &Device::Cpu)?;
        let storage = Storage::of(dtype);
        Ok(Self { spec: folder.spec, storage, chooses: salience_file(path).is_file() })
    }
}

/// Spellings of tokens with which models end a turn or a text.
const ENDS: [&str; 8] = [
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|end_of_text|>",
    "<|eom_id|>",
    "<|end|>",
    "<end_of_turn>",
    "</s>",
];

impl Loaded {
    /// Opens a folder of safetensors or a GGUF file, in the number type that suits the device.
    ///
    /// # Errors
    /// [`LoadError`] naming the file that is missing, damaged or not supported.
    pub fn open(path: &Path, device: &Device) -> Result<Self, LoadError> {
        Self::open_in(path, device::dtype(device, None)?, device)
    }

    /// The same with activations and cache in `dtype`.
    ///
    /// # Errors
    /// As [`Loaded::open`].
    pub fn open_in(path: &Path, dtype: DType, device: &Device) -> Result<Self, LoadError> {
        let loaded = if path.is_dir() {
            open_folder(path, dtype, device)?
        } else {
            open_gguf(path, dtype, device)?
        };
        // Weights are used by other threads too, and what copies them may still be under way.
        let model = |source: candle_core::Error| LoadError::Model {
            path: path.to_owned(),
            source: source.into(),
        };
        device.synchronize().map_err(model)?;
        Ok(loaded)
    }

    pub(super) fn finish(
        mut self,
        more_stops: impl IntoIterator<Item = u32>,
    ) -> Result<Self, LoadError> {
        let named = ENDS
            .iter()
            .filter_map(|e| self.tokenizer.token_id(e))
            .filter(|&id| self.tokenizer.is_special(id));
        let mut stops: BTreeSet<u32> = named.collect();
        stops.extend(self.tokenizer.eos());
        stops.extend(self.chat.end_of_turn(&self.tokenizer));
        stops.extend(more_stops);
        self.stops = stops.into_iter().collect();
        Ok(self)
    }
}

fn open_gguf(path: &Path, dtype: DType, device: &Device) -> Result<Loaded, LoadError> {
    let gguf = Gguf::open(path, dtype, device)?;
    let meta = gguf.tokenizer();
    let tokenizer = Tokenizer::from_gguf(&meta)?;
    let chat = match &meta.chat_template {
        Some(source) => {
            ChatTemplate::new(source, meta.token(meta.bos_id), meta.token(meta.eos_id))?
        }
        None => ChatTemplate::plain(),
    };
    let loaded = Loaded {
        decoder: decoder(gguf.spec.clone(), &gguf, path, dtype, device)?,
        tokenizer,
        chat,
        stops: Vec::new(),
        sha256: sha256(&[path.to_owned()])?,
        quantization: Some(gguf.quantization()),
        dtype,
        extractor: None,
    };
    loaded.finish(meta.eos_id)
}

fn open_folder(path: &Path, dtype: DType, device: &Device) -> Result<Loaded, LoadError> {
    let folder = Folder::open(path, dtype, device)?;
    let tokenizer_path = path.join("tokenizer.json");
    let bytes = fs::read(&tokenizer_path)
        .map_err(|source| LoadError::Read { path: tokenizer_path, source })?;
    let tokenizer = Tokenizer::from_json_bytes(&bytes)?;
    let extractor = extractor(path, folder.spec.n_embd)?;
    let loaded = Loaded {
        decoder: decoder(folder.spec.clone(), &folder, path, dtype, device)?,
        tokenizer,
        chat: folder_chat(path)?,
        stops: Vec::new(),
        sha256: sha256(&read_of(path, &folder.files))?,
        quantization: None,
        dtype,
        extractor,
    };
    let mut stops = Vec::new();
    for file in ["config.json", "generation_config.json"] {
        if let Some(json) = read_if_there(&path.join(file))? {
            stops.extend(ids(json.get("eos_token_id")));
        }
    }
    loaded.finish(stops)
}

pub(super) fn decoder(
    spec: Spec,
    weights: &dyn crate::model::Weights,
    path: &Path,
    dtype: DType,
    device: &Device,
) -> Result<Decoder, LoadError> {
    Decoder::new(spec, weights, dtype, device)
        .map_err(|source| LoadError::Model { path: path.to_owned(), source })
}

/// The heads in `salience.safetensors` and what `selection.json` says of choosing, if they are there.
fn extractor(dir: &Path, n_embd: usize) -> Result<Option<Extractor>, LoadError> {
    let path = salience_file(dir);
    if !path.is_file() {
        return Ok(None);
    }
    let damaged = |path: &Path, what: String| LoadError::Damaged { path: path.to_owned(), what };
    let heads = candle_core::safetensors::load(&path, &Device::Cpu)
        .map_err(|e| damaged(&path, e.to_string()))?;
    let model = |source| LoadError::Model { path: path.clone(), source };
    let salience = Salience::new(&heads, n_embd).map_err(model)?;
    let path = dir.join("selection.json");
    let weights =
        serde_json::from_value(read_json(&path)?).map_err(|e| damaged(&path, e.to_string()))?;
    Ok(Some(Extractor { salience, weights }))
}

fn salience_file(dir: &Path) -> PathBuf {
    dir.join("salience.safetensors")
}

/// `chat_template.jinja`, or the template inside `tokenizer_config.json`; plain text without one.
fn folder_chat(dir: &Path) -> Result<ChatTemplate, LoadError> {
    let config = read_if_there(&dir.join("tokenizer_config.json"))?.unwrap_or(Value::Null);
    let token = |key: &str| {
        let value = config.get(key);
        let text =
            value.and_then(|v| v.as_str().or_else(|| v.get("content").and_then(Value::as_str)));
        text.unwrap_or_default().to_owned()
    };
    let file = dir.join("chat_template.jinja");
    let source = match config.get("chat_template") {
        _ if file.is_file() => Some(
            fs::read_to_string(&file).map_err(|source| LoadError::Read { path: file, source })?,
        ),
        Some(Value::String(source)) => Some(source.clone()),
        // Several templates by name: the one without a purpose of its own.
        Some(Value::Array(list)) => list
            .iter()
            .find(|t| t.get("name").and_then(Value::as_str) == Some("default"))
            .and_then(|t| t.get("template").and_then(Value::as_str))
            .map(str::to_owned),
        _ => None,
    };
    match source {
        Some(source) => Ok(ChatTemplate::new(&source, &token("bos_token"), &token("eos_token"))?),
        None => Ok(ChatTemplate::plain()),
    }
}

fn read_if_there(path: &Path) -> Result<Option<Value>, LoadError> {
    if path.is_file() { read_json(path).map(Some) } else { Ok(None) }
}

/// One id or a list of them.
fn ids(value: Option<&Value>) -> Vec<u32> {
    let id = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(id).collect(),
        Some(value) => id(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// All files of a folder that decide what its model does: the weights, and what says how to use them.
fn read_of(dir: &Path, weights: &[PathBuf]) -> Vec<PathBuf> {
    let others = OTHERS.map(|name| dir.join(name)).into_iter().filter(|path| path.is_file());
    weights.iter().cloned().chain(others).collect()
}

const OTHERS: [&str; 7] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "salience.safetensors",
    "selection.json",
];

/// The sum of one file, or of the list of sums of several.
pub(super) fn sha256(files: &[PathBuf]) -> Result<String, LoadError> {
    let mut sums = Vec::with_capacity(files.len());
    for path in files {
        let read = |source| LoadError::Read { path: path.clone(), source };
        let mut hash = Sha256::new();
        io::copy(&mut File::open(path).map_err(read)?, &mut hash).map_err(read)?;
        sums.push(hex(&hash.finalize()));
    }
    match &sums[..] {
        [one] => Ok(one.clone()),
        several => Ok(hex(&Sha256::digest(several.join("\n")))),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
