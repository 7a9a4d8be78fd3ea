//! Text to token ids and back. Two doors: markup we trust, text we do not.
//!
//! Invariant: [`Tokenizer::encode_text`] never returns an id that a chat template could have
//! written. A document that holds `<|im_end|>` or `</s>` is spelled out in ordinary pieces, so no
//! document can end its own turn.
//!
//! Specials are found here, outside the tokenizer library, and only in markup. Everything between
//! them goes through the same pipeline as a document: normalize, pre-tokenize, merge, and check
//! each id.

mod gguf;
mod scan;
mod stream;

use std::{borrow::Cow, collections::HashMap, panic::catch_unwind};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokenizers::{
    DecoderWrapper, ModelWrapper, NormalizerWrapper, OffsetReferential, OffsetType,
    PreTokenizedString, PreTokenizerWrapper,
    tokenizer::{Decoder, Model, Normalizer, PreTokenizer},
};

pub use gguf::GgufTokenizer;
pub use stream::DecodeStream;

use scan::{Found, Matcher};

/// Bytes encoded at once: below it the library is linear, above it memory is wasted.
const RUN_BYTES: usize = 16 * 1024;

/// More tokens than any vocabulary has: a higher id is a damaged file.
const MAX_VOCAB: usize = 1 << 24;

/// What can go wrong between text and ids.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The bytes are not a `tokenizer.json` that we can read.
    #[error("`tokenizer.json` cannot be read: {reason}")]
    Json {
        /// The parser's own words.
        reason: String,
    },
    /// The GGUF metadata names a tokenizer family that is not built in.
    #[error("tokenizer model `{model}` is not supported")]
    UnknownModel {
        /// Value of `tokenizer.ggml.model`.
        model: String,
    },
    /// The GGUF metadata names a way of splitting words that is not built in.
    #[error("pre-tokenizer `{pre}` is not supported")]
    UnknownPre {
        /// Value of `tokenizer.ggml.pre`.
        pre: String,
    },
    /// The GGUF metadata contradicts itself.
    #[error("tokenizer metadata does not fit: {n_tokens} tokens, but {n_found} in `{key}`")]
    Length {
        /// The metadata key.
        key: &'static str,
        /// Length of `tokenizer.ggml.tokens`.
        n_tokens: usize,
        /// What the other key holds.
        n_found: usize,
    },
    /// A merge rule names pieces that the vocabulary lacks.
    #[error("merge {index} (`{merge}`) names a piece that is not in the vocabulary")]
    Merge {
        /// Rank of the rule.
        index: usize,
        /// The rule as the file has it.
        merge: String,
    },
    /// The parts are sound, but do not make a tokenizer.
    #[error("the tokenizer cannot be built: {reason}")]
    Build {
        /// The library's own words.
        reason: String,
    },
    /// A text could not be encoded.
    #[error("the text `{excerpt}` cannot be encoded: {reason}")]
    Encode {
        /// How the text begins.
        excerpt: String,
        /// The library's own words.
        reason: String,
    },
    /// Ids could not be turned into text.
    #[error("{n_ids} tokens cannot be decoded: {reason}")]
    Decode {
        /// How many ids there were.
        n_ids: usize,
        /// The library's own words.
        reason: String,
    },
}

impl TokenError {
    /// The way out, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Json { .. } | Self::Length { .. } | Self::Merge { .. } => {
                Some("fetch the model's files again; they may be cut short")
            }
            Self::UnknownModel { .. } => {
                Some("`gpt2` and `llama` are read; or put the model's `tokenizer.json` beside it")
            }
            Self::UnknownPre { .. } => Some("put the model's `tokenizer.json` beside the file"),
            _ => None,
        }
    }
}

/// Where a run of plain text stands: only that decides whether a leading space is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the very beginning.
    Start,
    /// Right behind a special token.
    AfterSpecial,
    /// In the middle of a text that was cut for speed.
    Inside,
}

/// Normalizer and pre-tokenizer for one [`Place`].
#[derive(Debug, Clone)]
struct Pipeline {
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
}

/// What an id is allowed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    /// A piece of ordinary text.
    #[default]
    Plain,
    /// Stands for a single byte, spelled like `<0x0A>`; fine unless the text really reads so.
    Byte,
    /// Belongs to the template: may not come out of a document. Shown when decoded.
    Markup,
    /// As `Markup`, and left out when decoded.
    Control,
}

/// A token of the vocabulary that stands outside the merges.
#[derive(Debug, Clone, Deserialize)]
struct Added {
    id: u32,
    content: String,
    /// Left out of decoded text.
    #[serde(default)]
    special: bool,
    /// Swallows the whitespace before it.
    #[serde(default)]
    lstrip: bool,
    /// Swallows the whitespace behind it.
    #[serde(default)]
    rstrip: bool,
}

/// The part of a `tokenizer.json` that we read ourselves.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<Added>,
}

impl Added {
    /// Runs of spaces and the like: they save tokens and mean nothing.
    fn harmless(&self) -> bool {
        !self.special && self.content.chars().all(|c| c.is_whitespace() || c == '\u{2581}')
    }
}

/// A model's tokenizer, from `tokenizer.json` or from GGUF metadata.
#[derive(Debug)]
pub struct Tokenizer {
    model: ModelWrapper,
    pipelines: [Pipeline; 3],
    decoder: Option<DecoderWrapper>,
    /// By id; shorter than the vocabulary if the tail is plain.
    kinds: Vec<Kind>,
    added: HashMap<u32, String>,
    added_ids: HashMap<String, u32>,
    /// Every added token: looked for in markup.
    markup: Matcher,
    /// The harmless ones: looked for in documents too.
    spaces: Matcher,
    unknown: Option<u32>,
    /// By byte, whether a byte-level vocabulary lacks a piece for it.
    unspellable: Option<Box<[bool; 256]>>,
    is_byte_level: bool,
    n_vocab: usize,
    bos: Option<u32>,
    eos: Option<u32>,
    add_bos: bool,
}

/// The parts a [`Tokenizer`] is assembled from, whatever file they came from.
struct Parts {
    model: ModelWrapper,
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
    decoder: Option<DecoderWrapper>,
    added: Vec<Added>,
    unknown: Option<u32>,
    bos: Option<u32>,
    eos: Option<u32>,
    add_bos: bool,
}

impl Tokenizer {
    /// Reads the `tokenizer.json` that Hugging Face models carry.
    ///
    /// The file's post-processor is only asked whether texts begin with a token of their own
    /// ([`Self::bos`]); nothing is added to what the encoders return.
    ///
    /// # Errors
    /// [`TokenError::Json`] if the bytes do not hold a tokenizer.
    pub fn from_json_bytes(bytes: &[u8]) -> Result<Self, TokenError> {
        // The library indexes its tables with what the file says; a damaged file may panic there.
        let read = catch_unwind(|| tokenizers::Tokenizer::from_bytes(bytes))
            .map_err(|_| TokenError::Json { reason: "its tables contradict each other".into() })?
            .map_err(|err| TokenError::Json { reason: err.to_string() })?;

        // The library gives added tokens numbers of its own where it thinks it knows better; the
        // model was trained with those of the file.
        let File { added_tokens: added } = serde_json::from_slice(bytes)
            .map_err(|err| TokenError::Json { reason: err.to_string() })?;
        let token_id = |content: &str| {
            added.iter().find(|token| token.content == content).map(|token| token.id)
        };
        let bos = read
            .get_post_processor()
            .and_then(|processor| serde_json::to_value(processor).ok())
            .and_then(|processor| opening_token(&processor))
            .and_then(|token| token_id(&token).or_else(|| read.get_model().token_to_id(&token)));
        let model = read.get_model().clone();
        let unknown = match &model {
            ModelWrapper::BPE(bpe) => bpe.unk_token.as_deref().and_then(|t| bpe.token_to_id(t)),
            ModelWrapper::WordPiece(words) => words.token_to_id(&words.unk_token),
            ModelWrapper::WordLevel(words) => words.token_to_id(&words.unk_token),
            ModelWrapper::Unigram(_) => None,
        };
        Self::assemble(Parts {
            model,
            normalizer: read.get_normalizer().cloned(),
            pre_tokenizer: read.get_pre_tokenizer().cloned(),
            decoder: read.get_decoder().cloned(),
            added,
            unknown,
            add_bos: bos.is_some(),
            bos,
            eos: None,
        })
    }

    /// Builds a tokenizer from the metadata of a GGUF file.
    ///
    /// # Errors
    /// [`TokenError::UnknownModel`] and [`TokenError::UnknownPre`] for families that are not built
    /// in: a wrong guess would change every number without a word.
    pub fn from_gguf(meta: &GgufTokenizer) -> Result<Self, TokenError> {
        Self::assemble(gguf::parts(meta)?)
    }

    fn assemble(parts: Parts) -> Result<Self, TokenError> {
        let pipeline = |place| -> Result<Pipeline, TokenError> {
            Ok(Pipeline {
                normalizer: at_place(parts.normalizer.as_ref(), place)?,
                pre_tokenizer: at_place(parts.pre_tokenizer.as_ref(), place)?,
            })
        };
        let pipelines =
            [pipeline(Place::Start)?, pipeline(Place::AfterSpecial)?, pipeline(Place::Inside)?];

        let vocab = parts.model.get_vocab();
        let n_vocab = vocab
            .values()
            .copied()
            .chain(parts.added.iter().map(|token| token.id))
            .max()
            .map_or(0, |id| id as usize + 1);
        if n_vocab > MAX_VOCAB {
            return Err(TokenError::Build {
                reason: format!("it numbers a token {}", n_vocab - 1),
            });
        }
        let byte_fallback = matches!(&parts.model, ModelWrapper::BPE(bpe) if bpe.byte_fallback);
        let mut kinds = vec![Kind::Plain; n_vocab];
        if byte_fallback {
            for byte in 0..=u8::MAX {
                if let Some(&id) = vocab.get(&format!("<0x{byte:02X}>")) {
                    kinds[id as usize] = Kind::Byte;
                }
            }
        }
        for token in parts.added.iter().filter(|token| !token.harmless()) {
            kinds[token.id as usize] = if token.special { Kind::Control } else { Kind::Markup };
        }

        let byte_level = parts
            .pre_tokenizer
            .as_ref()
            .and_then(|step| serde_json::to_value(step).ok())
            .is_some_and(|step| has_step(&step, "ByteLevel"));
        let lacks = |byte| !vocab.contains_key(byte_letter(byte).to_string().as_str());
        let unspellable = (byte_level && (0..=u8::MAX).any(lacks)).then(|| {
            let mut table = Box::new([false; 256]);
            for byte in 0..=u8::MAX {
                table[usize::from(byte)] = lacks(byte);
            }
            table
        });

        let spaces = parts.added.iter().filter(|t| t.harmless()).cloned().collect();
        let added_ids = parts.added.iter().map(|t| (t.content.clone(), t.id)).collect();
        let added = parts.added.iter().map(|t| (t.id, t.content.clone())).collect();
        Ok(Self {
            model: parts.model,
            pipelines,
            decoder: parts.decoder,
            kinds,
            added,
            added_ids,
            markup: Matcher::new(parts.added),
            spaces: Matcher::new(spaces),
            unknown: parts.unknown,
            unspellable,
            is_byte_level: byte_level,
            n_vocab,
            bos: parts.bos,
            eos: parts.eos,
            add_bos: parts.add_bos,
        })
    }

    /// Ids of trusted markup: special tokens are recognized, nothing is added at either end.
    ///
    /// # Errors
    /// [`TokenError::Encode`] if the tokenizer refuses the text.
    pub fn encode_markup(&self, text: &str) -> Result<Vec<u32>, TokenError> {
        let mut ids = Vec::new();
        for part in self.parts(text) {
            match part {
                Part::Special(id) => ids.push(id),
                Part::Plain(text) => {
                    let place = if ids.is_empty() { Place::Start } else { Place::AfterSpecial };
                    self.encode_plain(text, place, &mut ids)?;
                }
            }
        }
        Ok(ids)
    }

    /// Ids of a text nobody vouches for: never a special or other markup token.
    ///
    /// Where the vocabulary would spell one, its characters are encoded one by one. A character
    /// that the vocabulary cannot spell at all (in `SmolLM2`'s, some control characters and planes of
    /// Unicode that are not assigned) becomes U+FFFD, or the unknown token where the model has one:
    /// the single exception.
    ///
    /// Linear in the length of the text. `decode` gives the text back if the vocabulary is
    /// byte-level and has no normalizer.
    ///
    /// # Errors
    /// [`TokenError::Encode`] if the tokenizer refuses the text.
    pub fn encode_text(&self, text: &str) -> Result<Vec<u32>, TokenError> {
        let mut ids = Vec::with_capacity(text.len() / 4);
        self.encode_plain(text, Place::Start, &mut ids)?;
        Ok(ids)
    }

    /// Number of tokens of [`Self::encode_text`]; the number of bytes if it fails.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        self.encode_text(text).map_or(text.len(), |ids| ids.len())
    }

    /// The id of a token, by its spelling in the vocabulary.
    #[must_use]
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.added_ids.get(token).copied().or_else(|| self.model.token_to_id(token))
    }

    /// Where each of these ids ends, in bytes of the text that they spell.
    ///
    /// Exact where the vocabulary is byte-level; elsewhere the space that some tokenizers make up at
    /// the beginning counts too.
    #[must_use]
    pub fn ends(&self, ids: &[u32]) -> Vec<usize> {
        let n_bytes = |id: u32| match self.kind(id) {
            Kind::Control => 0,
            Kind::Byte => 1,
            Kind::Plain | Kind::Markup => {
                if let Some(added) = self.added.get(&id) {
                    return added.len();
                }
                let token = self.model.id_to_token(id).unwrap_or_default();
                // Each character of a byte-level vocabulary is a byte; others mark spaces.
                if self.is_byte_level {
                    token.chars().count()
                } else {
                    token.replace('\u{2581}', " ").len()
                }
            }
        };
        let mut end = 0;
        let ends = ids.iter().map(|&id| {
            end += n_bytes(id);
            end
        });
        ends.collect()
    }

    /// One more than the highest id.
    #[must_use]
    pub fn n_vocab(&self) -> usize {
        self.n_vocab
    }

    /// Whether the id is a control token: never shown, never part of a text.
    #[must_use]
    pub fn is_special(&self, id: u32) -> bool {
        self.kind(id) == Kind::Control
    }

    /// Whether the id is one that only markup may produce: control tokens, and those like
    /// `<think>` that are shown when decoded.
    #[must_use]
    pub fn is_markup(&self, id: u32) -> bool {
        matches!(self.kind(id), Kind::Control | Kind::Markup)
    }

    /// The token that begins every text, if the model was trained so.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.bos.filter(|_| self.add_bos)
    }

    /// The token that ends every text, if the file says so (`tokenizer.json` does not).
    #[must_use]
    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Text of the ids, without special tokens.
    ///
    /// Bytes that are not valid UTF-8 come out as U+FFFD.
    ///
    /// # Errors
    /// [`TokenError::Decode`] if the tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenError> {
        let tokens: Vec<String> = ids
            .iter()
            .filter(|&&id| !self.is_special(id))
            .filter_map(|&id| self.added.get(&id).cloned().or_else(|| self.model.id_to_token(id)))
            .collect();
        match &self.decoder {
            Some(decoder) => decoder
                .decode(tokens)
                .map_err(|err| TokenError::Decode { n_ids: ids.len(), reason: err.to_string() }),
            None => Ok(tokens.join(" ")),
        }
    }

    /// A decoder for ids that come one at a time.
    #[must_use]
    pub fn decode_stream(&self) -> DecodeStream<'_> {
        DecodeStream::new(self)
    }

    /// Markup as specials and the plain text between them.
    pub(crate) fn parts<'t>(&self, markup: &'t str) -> Vec<Part<'t>> {
        let mut parts = Vec::new();
        for found in self.markup.split(markup) {
            match found {
                Found::Token(id) => parts.push(Part::Special(id)),
                Found::Text(text) => parts.push(Part::Plain(text)),
            }
        }
        parts
    }

    /// Appends the ids of a text that stands right behind special tokens, or at the start.
    pub(crate) fn encode_between(
        &self,
        text: &str,
        at_start: bool,
        ids: &mut Vec<u32>,
    ) -> Result<(), TokenError> {
        let place = if at_start { Place::Start } else { Place::AfterSpecial };
        self.encode_plain(text, place, ids)
    }

    fn kind(&self, id: u32) -> Kind {
        self.kinds.get(id as usize).copied().unwrap_or_default()
    }

    fn encode_plain(
        &self,
        text: &str,
        mut place: Place,
        ids: &mut Vec<u32>,
    ) -> Result<(), TokenError> {
        let text = self.spellable(text);
        for found in self.spaces.split(&text) {
            match found {
                Found::Token(id) => {
                    ids.push(id);
                    place = Place::AfterSpecial;
                }
                Found::Text(text) => {
                    for run in scan::runs(text, RUN_BYTES) {
                        self.encode_run(run, place, ids)?;
                        place = Place::Inside;
                    }
                }
            }
        }
        Ok(())
    }

    /// The text with U+FFFD for every character that the vocabulary has no bytes for: a loss that
    /// shows, where the library would leave half a character.
    fn spellable<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Some(table) = &self.unspellable else { return Cow::Borrowed(text) };
        let lost = |bytes: &[u8]| bytes.iter().any(|&byte| table[usize::from(byte)]);
        if !lost(text.as_bytes()) {
            return Cow::Borrowed(text);
        }
        let mut buffer = [0; 4];
        let spell =
            |c: char| if lost(c.encode_utf8(&mut buffer).as_bytes()) { '\u{FFFD}' } else { c };
        Cow::Owned(text.chars().map(spell).collect())
    }

    /// One run; cut in two if the library refuses it (its regular expressions have limits).
    fn encode_run(&self, run: &str, place: Place, ids: &mut Vec<u32>) -> Result<(), TokenError> {
        let n_before = ids.len();
        let Err(err) = self.try_run(run, place, ids) else { return Ok(()) };
        ids.truncate(n_before);
        match scan::halves(run) {
            Some((left, right)) => {
                self.encode_run(left, place, ids)?;
                self.encode_run(right, Place::Inside, ids)
            }
            None => Err(TokenError::Encode {
                excerpt: run.chars().take(40).collect(),
                reason: err.to_string(),
            }),
        }
    }

    fn try_run(&self, run: &str, place: Place, ids: &mut Vec<u32>) -> tokenizers::Result<()> {
        let pipeline = &self.pipelines[place as usize];
        let mut words = PreTokenizedString::from(run);
        if let Some(normalizer) = &pipeline.normalizer {
            words.normalize(|word| normalizer.normalize(word))?;
        }
        if let Some(pre_tokenizer) = &pipeline.pre_tokenizer {
            pre_tokenizer.pre_tokenize(&mut words)?;
        }
        for (word, _, _) in words.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            self.encode_word(word, ids)?;
        }
        Ok(())
    }

    /// One word of the pre-tokenizer, each id checked.
    fn encode_word(&self, word: &str, ids: &mut Vec<u32>) -> tokenizers::Result<()> {
        for token in self.model.tokenize(word)? {
            let source = word.get(token.offsets.0..token.offsets.1);
            let allowed = match self.kind(token.id) {
                Kind::Plain => true,
                Kind::Byte => source != Some(token.value.as_str()),
                Kind::Markup | Kind::Control => {
                    Some(token.id) == self.unknown && source != Some(token.value.as_str())
                }
            };
            if allowed {
                ids.push(token.id);
            } else {
                self.spell(source.unwrap_or(&token.value), ids)?;
            }
        }
        Ok(())
    }

    /// The characters of a forbidden piece, one by one.
    fn spell(&self, piece: &str, ids: &mut Vec<u32>) -> tokenizers::Result<()> {
        for (start, letter) in piece.char_indices() {
            let letter = &piece[start..start + letter.len_utf8()];
            for token in self.model.tokenize(letter)? {
                if !self.is_markup(token.id) || Some(token.id) == self.unknown {
                    ids.push(token.id);
                }
            }
        }
        Ok(())
    }
}

/// A piece of markup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'t> {
    /// A special token.
    Special(u32),
    /// What stands between two of them.
    Plain(&'t str),
}

/// A copy of a normalizer or pre-tokenizer that makes up leading spaces only where `place` has one.
fn at_place<T>(step: Option<&T>, place: Place) -> Result<Option<T>, TokenError>
where
    T: Clone + Serialize + DeserializeOwned,
{
    let Some(step) = step else { return Ok(None) };
    if place == Place::Start {
        return Ok(Some(step.clone()));
    }
    let fail = |err: serde_json::Error| TokenError::Build { reason: err.to_string() };
    let mut value = serde_json::to_value(step).map_err(fail)?;
    let before = value.clone();
    set_prefix(&mut value, place);
    if value == before {
        return Ok(Some(step.clone()));
    }
    serde_json::from_value(value).map(Some).map_err(fail)
}

/// Turns off what makes up a leading space, wherever it is nested.
fn set_prefix(value: &mut Value, place: Place) {
    let Value::Object(fields) = value else { return };
    let inside = place == Place::Inside;
    let is = |fields: &serde_json::Map<String, Value>, name: &str| {
        fields.get("type").and_then(Value::as_str) == Some(name)
    };
    if is(fields, "Prepend") && inside {
        fields.insert("prepend".into(), "".into());
    } else if is(fields, "ByteLevel") && inside {
        fields.insert("add_prefix_space".into(), false.into());
    } else if is(fields, "Metaspace") {
        let first = fields.get("prepend_scheme").and_then(Value::as_str) == Some("first");
        if inside || first {
            fields.insert("prepend_scheme".into(), "never".into());
            fields.remove("add_prefix_space");
        }
    }
    for key in ["normalizers", "pretokenizers"] {
        if let Some(Value::Array(steps)) = fields.get_mut(key) {
            for step in steps {
                set_prefix(step, place);
            }
        }
    }
}

/// Whether a step of that name is there, however nested.
fn has_step(value: &Value, name: &str) -> bool {
    value.get("type").and_then(Value::as_str) == Some(name)
        || value
            .get("pretokenizers")
            .and_then(Value::as_array)
            .is_some_and(|steps| steps.iter().any(|step| has_step(step, name)))
}

/// The letter that stands for a byte in byte-level vocabularies: itself if it can be printed, else
/// the next free one from U+0100 on.
fn byte_letter(byte: u8) -> char {
    let printable = |byte: &u8| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    if printable(&byte) {
        return char::from(byte);
    }
    let rank = (0..byte).filter(|byte| !printable(byte)).count();
    u32::try_from(rank).ok().and_then(|rank| char::from_u32(0x100 + rank)).unwrap_or('\u{FFFD}')
}

/// The token that a post-processor puts before a text.
fn opening_token(processor: &Value) -> Option<String> {
    if let Some(Value::Array(steps)) = processor.get("processors") {
        return steps.iter().find_map(opening_token);
    }
    let first = processor.get("single")?.get(0)?;
    Some(first.get("SpecialToken")?.get("id")?.as_str()?.to_owned())
}

#[cfg(test)]
pub(crate) mod tests;
