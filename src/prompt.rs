//! Templates to prompts: what the model is told around the text, and what is kept of its reply.
//!
//! Invariant: control tokens come from the model's own chat template and from nowhere else. The
//! chat template never sees a message; it is rendered around opaque signs, and what the signs
//! stand for is put in afterwards as [`Piece::Text`]. So no document, no note and no summary can
//! break out of its turn, and no template can damage them.
//!
//! Four templates make up the method: `notes`, `roll`, `merge` and `finish`, each with a block
//! for the system, one for the user, and a cue for models without a chat template.

mod chat;
mod reply;

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, path::PathBuf};

use minijinja::{Environment, UndefinedBehavior, Value, context, syntax::SyntaxConfig};
use sha2::{Digest, Sha256};

use crate::token::{Part, TokenError, Tokenizer};

pub use chat::ChatTemplate;
pub use reply::lines;

/// Steps that a template may take: far more than any needs, far fewer than an endless loop.
const FUEL: u64 = 1_000_000;

/// What can go wrong with a template.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// A file or folder of templates cannot be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A folder of templates holds a file that replaces nothing.
    #[error("`{}` is no prompt template; the names are {}", path.display(), names().join(", "))]
    UnknownFile {
        /// The file.
        path: PathBuf,
    },
    /// A template is not valid Jinja.
    #[error("`{file}`, line {line}: {reason}")]
    Syntax {
        /// The template's file name.
        file: String,
        /// Counted from one.
        line: usize,
        /// The parser's own words.
        reason: String,
    },
    /// A template asks for something that it is not given.
    #[error("`{file}`, line {line}: `{name}` is not known here; known are {known}")]
    UnknownVariable {
        /// The template's file name.
        file: String,
        /// Counted from one.
        line: usize,
        /// What it asks for.
        name: String,
        /// What there is, joined with commas.
        known: String,
    },
    /// A template leaves out something that it must contain.
    #[error("`{file}`, line {line}: {what} is missing")]
    Missing {
        /// The template's file name.
        file: String,
        /// The last line of the file.
        line: usize,
        /// A variable or a block.
        what: String,
    },
    /// A template is valid, but fails when rendered.
    #[error("`{file}`, line {line}: cannot be rendered: {reason}")]
    Render {
        /// The template's file name, or `chat template`.
        file: String,
        /// Counted from one.
        line: usize,
        /// The engine's own words.
        reason: String,
    },
    /// A template writes the text of a message or the place of the chunk not exactly once.
    #[error("`{file}` writes {what} {n_times} times instead of once")]
    Times {
        /// The template's file name, or `chat template`.
        file: String,
        /// The text or place.
        what: &'static str,
        /// How often.
        n_times: usize,
    },
    /// A prompt that waits for streamed text was to be encoded whole.
    #[error("the prompt has an open place for `{name}`")]
    Hole {
        /// Name of the place.
        name: &'static str,
    },
    /// The tokenizer refused the prompt.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl PromptError {
    /// The way out, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::UnknownFile { .. } => Some("rename it, or move it out of the folder"),
            Self::UnknownVariable { .. } | Self::Missing { .. } => {
                Some("compare it with the built-in template of the same name")
            }
            Self::Times { .. } => Some("write `{{ text }}` once, outside of loops and filters"),
            Self::Render { file, .. } if file == chat::FILE => {
                Some("use a model with another chat template")
            }
            Self::Token(err) => err.hint(),
            _ => None,
        }
    }
}

/// A stretch of a rendered prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Written by the chat template: special tokens are meant.
    Markup(String),
    /// Written by anybody: encoded as plain text, whatever it looks like.
    Text(String),
    /// The place of a text that is streamed in later.
    Hole(&'static str),
}

/// The prompt that reads a chunk, in its two halves: the chunk is fed between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotesPrompt {
    /// Pinned before the chunk: instruction, rolling summary, opening of the text.
    pub prefix: Vec<Piece>,
    /// After the chunk: what is asked, and the opening of the reply.
    pub suffix: Vec<Piece>,
}

impl NotesPrompt {
    /// Ids of the prefix, beginning-of-text included, and ids of the suffix.
    ///
    /// # Errors
    /// [`PromptError::Token`] if the tokenizer refuses a piece.
    pub fn encode(&self, tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>), PromptError> {
        let mut suffix = Vec::new();
        encode_pieces(&self.suffix, tokenizer, false, &mut suffix)?;
        Ok((encode(&self.prefix, tokenizer)?, suffix))
    }
}

/// What every prompt may be told besides its own values.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask<'a> {
    /// Title of the document.
    pub title: Option<&'a str>,
    /// Language to write in, by its English name.
    pub language: Option<&'a str>,
    /// How long the reply may be.
    pub n_words: usize,
}

/// One of the four templates: its name, and the variables it is given.
struct Spec {
    file: &'static str,
    built_in: &'static str,
    needed: &'static [&'static str],
    optional: &'static [&'static str],
}

/// Variables that all four are given.
const COMMON: [&str; 3] = ["title", "language", "n_words"];

const NOTES: Spec = Spec {
    file: "notes.jinja",
    built_in: include_str!("../templates/notes.jinja"),
    needed: &["text", "summary"],
    optional: &[],
};
const ROLL: Spec = Spec {
    file: "roll.jinja",
    built_in: include_str!("../templates/roll.jinja"),
    needed: &["summary", "notes"],
    optional: &[],
};
const MERGE: Spec = Spec {
    file: "merge.jinja",
    built_in: include_str!("../templates/merge.jinja"),
    needed: &["groups"],
    optional: &["evidence"],
};
const FINISH: Spec = Spec {
    file: "finish.jinja",
    built_in: include_str!("../templates/finish.jinja"),
    needed: &["notes"],
    optional: &["evidence"],
};
const ALL: [&Spec; 4] = [&NOTES, &ROLL, &MERGE, &FINISH];

fn names() -> Vec<String> {
    ALL.iter().map(|spec| format!("`{}`", spec.file)).collect()
}

/// The four templates in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompts {
    /// By file name; all four are there.
    sources: BTreeMap<&'static str, String>,
    replaced: bool,
}

impl Default for Prompts {
    fn default() -> Self {
        Self::built_in()
    }
}

impl Prompts {
    /// The templates that come with the program.
    #[must_use]
    pub fn built_in() -> Self {
        let sources = ALL.iter().map(|spec| (spec.file, spec.built_in.to_owned())).collect();
        Self { sources, replaced: false }
    }

    /// The built-in templates, each replaced by the file of the same name if the folder has it.
    ///
    /// Hidden files are passed over.
    ///
    /// # Errors
    /// [`PromptError::Read`], [`PromptError::UnknownFile`], and those of [`Self::replace`].
    pub fn from_dir(folder: &Path) -> Result<Self, PromptError> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| PromptError::Read { path, source }
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(fail(folder))? {
            paths.push(entry.map_err(fail(folder))?.path());
        }
        paths.sort();
        let mut prompts = Self::built_in();
        for path in paths {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with('.') {
                continue;
            }
            if !ALL.iter().any(|spec| spec.file == name) {
                return Err(PromptError::UnknownFile { path });
            }
            let source = fs::read_to_string(&path).map_err(fail(&path))?;
            prompts.replace(name, source)?;
        }
        Ok(prompts)
    }

    /// Replaces one template, by its file name.
    ///
    /// # Errors
    /// [`PromptError::UnknownFile`] for a name that none has; [`PromptError::Syntax`],
    /// [`PromptError::UnknownVariable`] and [`PromptError::Missing`] for a source that cannot
    /// take its place.
    pub fn replace(&mut self, file: &str, source: String) -> Result<(), PromptError> {
        let spec = ALL
            .into_iter()
            .find(|spec| spec.file == file)
            .ok_or_else(|| PromptError::UnknownFile { path: file.into() })?;
        check(spec, &source)?;
        self.replaced |= self.sources[spec.file] != source;
        self.sources.insert(spec.file, source);
        Ok(())
    }

    /// What the templates are called in a report: `built-in`, or `custom` if any was replaced.
    #[must_use]
    pub fn prompt_id(&self) -> &'static str {
        if self.replaced { "custom" } else { "built-in" }
    }

    /// SHA-256 over the templates in use, the chat template included, in hexadecimal.
    #[must_use]
    pub fn sha256(&self, chat: &ChatTemplate) -> String {
        let mut hash = Sha256::new();
        let chat = (chat::FILE, chat.source());
        for (file, source) in self.sources.iter().map(|(f, s)| (*f, s.as_str())).chain([chat]) {
            for part in [file, source] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        hash.finalize().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// The prompt that reads a chunk behind the rolling summary (empty at first) and asks for
    /// notes, one a line.
    ///
    /// # Errors
    /// [`PromptError::Render`] and [`PromptError::Times`] if a template, ours or the model's, fails.
    pub fn notes(
        &self,
        chat: &ChatTemplate,
        summary: &str,
        ask: Ask<'_>,
    ) -> Result<NotesPrompt, PromptError> {
        let hole = sign(&[&self.sources[NOTES.file], summary, &ask_text(ask)], 0);
        let values = context! { text => hole.as_str(), summary => summary };
        let mut pieces = self.render(&NOTES, chat, values, ask, Some(("text", &hole)))?;
        let place = pieces.iter().position(|piece| matches!(piece, Piece::Hole(_)));
        let suffix = place.map(|place| pieces.split_off(place + 1)).unwrap_or_default();
        pieces.pop(); // the hole itself
        Ok(NotesPrompt { prefix: pieces, suffix })
    }

    /// The prompt that folds new notes into the rolling summary.
    ///
    /// # Errors
    /// As [`Self::notes`].
    pub fn roll(
        &self,
        chat: &ChatTemplate,
        summary: &str,
        notes: &[String],
        ask: Ask<'_>,
    ) -> Result<Vec<Piece>, PromptError> {
        let values = context! { summary => summary, notes => list(notes) };
        self.render(&ROLL, chat, values, ask, None)
    }

    /// The prompt that makes fewer statements of several groups of notes, with the sentences of
    /// the document that they rest on, if there are any.
    ///
    /// # Errors
    /// As [`Self::notes`].
    pub fn merge(
        &self,
        chat: &ChatTemplate,
        groups: &[Vec<String>],
        evidence: &[String],
        ask: Ask<'_>,
    ) -> Result<Vec<Piece>, PromptError> {
        let groups: Vec<Value> = groups.iter().map(|group| list(group)).collect();
        let values = context! { groups => groups, evidence => list(evidence) };
        self.render(&MERGE, chat, values, ask, None)
    }

    /// The prompt that writes the final summary from notes, one sentence a line.
    ///
    /// # Errors
    /// As [`Self::notes`].
    pub fn finish(
        &self,
        chat: &ChatTemplate,
        notes: &[String],
        evidence: &[String],
        ask: Ask<'_>,
    ) -> Result<Vec<Piece>, PromptError> {
        let values = context! { notes => list(notes), evidence => list(evidence) };
        self.render(&FINISH, chat, values, ask, None)
    }

    /// Our template, then the model's around it.
    fn render(
        &self,
        spec: &Spec,
        chat: &ChatTemplate,
        values: Value,
        ask: Ask<'_>,
        hole: Option<(&'static str, &str)>,
    ) -> Result<Vec<Piece>, PromptError> {
        let common =
            context! { title => ask.title, language => ask.language, n_words => ask.n_words };
        let values = context! { ..values, ..common };
        let blocks = blocks(spec.file, &self.sources[spec.file], values)?;
        let [system, user, cue] = blocks.map(|block| match hole {
            Some((name, hole)) => split_at_sign(&block, hole, &Piece::Hole(name)),
            None => text(&block),
        });
        let pieces = chat.render(&system, &user, &cue)?;
        if let Some((name, _)) = hole {
            let n_times = pieces.iter().filter(|piece| matches!(piece, Piece::Hole(_))).count();
            if n_times != 1 {
                return Err(PromptError::Times { file: spec.file.into(), what: name, n_times });
            }
        }
        Ok(pieces)
    }
}

/// Ids of a whole prompt, with beginning-of-text exactly once if the model was trained with it.
///
/// Markup between two special tokens and the text beside it are encoded in one go, so a harmless
/// prompt has the very ids that the model was trained on.
///
/// # Errors
/// [`PromptError::Hole`] if a place is still open; [`PromptError::Token`] if the tokenizer refuses.
pub fn encode(pieces: &[Piece], tokenizer: &Tokenizer) -> Result<Vec<u32>, PromptError> {
    let mut ids = Vec::new();
    encode_pieces(pieces, tokenizer, true, &mut ids)?;
    if let Some(bos) = tokenizer.bos()
        && ids.first() != Some(&bos)
    {
        ids.insert(0, bos);
    }
    Ok(ids)
}

fn encode_pieces(
    pieces: &[Piece],
    tokenizer: &Tokenizer,
    mut at_start: bool,
    ids: &mut Vec<u32>,
) -> Result<(), PromptError> {
    let mut run = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => run.push_str(text),
            Piece::Hole(name) => return Err(PromptError::Hole { name }),
            Piece::Markup(markup) => {
                for part in tokenizer.parts(markup) {
                    match part {
                        Part::Plain(text) => run.push_str(text),
                        Part::Special(id) => {
                            tokenizer.encode_between(&run, at_start, ids)?;
                            run.clear();
                            ids.push(id);
                            at_start = false;
                        }
                    }
                }
            }
        }
    }
    Ok(tokenizer.encode_between(&run, at_start, ids)?)
}

/// Checks that a source can take the place of a built-in template.
fn check(spec: &Spec, source: &str) -> Result<(), PromptError> {
    let env = environment();
    let template =
        env.template_from_named_str(spec.file, source).map_err(|err| PromptError::Syntax {
            file: spec.file.into(),
            line: err.line().unwrap_or(1),
            reason: reason(&err),
        })?;
    let used = template.undeclared_variables(false);
    let known: Vec<&str> = [spec.needed, spec.optional, &COMMON].concat();
    let mut unknown: Vec<&String> = used
        .iter()
        .filter(|name| !known.contains(&name.as_str()) && !env.globals().any(|(g, _)| g == **name))
        .collect();
    unknown.sort();
    if let Some(name) = unknown.first() {
        return Err(PromptError::UnknownVariable {
            file: spec.file.into(),
            line: source.lines().position(|line| line.contains(name.as_str())).map_or(1, |n| n + 1),
            name: (*name).clone(),
            known: known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        });
    }
    let missing = |what: String| PromptError::Missing {
        file: spec.file.into(),
        line: source.lines().count().max(1),
        what,
    };
    if let Some(name) = spec.needed.iter().find(|name| !used.contains(**name)) {
        return Err(missing(format!("the variable `{name}`")));
    }
    // Rendered once with sample values: blocks that are absent and filters that do not exist.
    let sample = list(&["a".to_owned()]);
    let hole = sign(&[source], 0);
    let values = context! {
        text => hole.as_str(), summary => "a", notes => &sample, groups => vec![sample.clone()],
        evidence => &sample, title => "a", language => "a", n_words => 1,
    };
    let blocks = blocks(spec.file, source, values)?;
    let n_times = blocks.iter().map(|block| block.matches(&hole).count()).sum();
    if spec.needed.contains(&"text") && n_times != 1 {
        return Err(PromptError::Times { file: spec.file.into(), what: "text", n_times });
    }
    Ok(())
}

/// The blocks `system`, `user` and `cue` of a template, trimmed; `user` must be there.
fn blocks(file: &str, source: &str, values: Value) -> Result<[String; 3], PromptError> {
    let env = environment();
    let fail = |err: &minijinja::Error| PromptError::Render {
        file: file.into(),
        line: err.line().unwrap_or(1),
        reason: reason(err),
    };
    let template = env.template_from_named_str(file, source).map_err(|err| fail(&err))?;
    let mut rendered = template.render_captured(values).map_err(|err| fail(&err))?;
    let mut block = |name: &str, needed: bool| {
        let text = rendered.with_state_mut(|state| state.render_block(name));
        match text {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(err) if err.kind() == minijinja::ErrorKind::UnknownBlock && !needed => {
                Ok(String::new())
            }
            Err(err) if err.kind() == minijinja::ErrorKind::UnknownBlock => {
                let line = source.lines().count().max(1);
                Err(PromptError::Missing {
                    file: file.into(),
                    line,
                    what: format!("the block `{name}`"),
                })
            }
            Err(err) => Err(fail(&err)),
        }
    };
    Ok([block("system", false)?, block("user", true)?, block("cue", false)?])
}

/// The engine for our own templates; they are lenient about nothing.
fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_syntax(trimmed());
    env.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    env.set_fuel(Some(FUEL));
    env
}

/// Tags on lines of their own leave no blank lines, as in the templates of Hugging Face models.
fn trimmed() -> SyntaxConfig {
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    syntax.build().unwrap_or_default()
}

/// The engine's words in one line, without the place (it is named beside them).
fn reason(err: &minijinja::Error) -> String {
    let kind = err.kind().to_string();
    err.detail().map_or(kind.clone(), |detail| format!("{kind}: {detail}"))
}

fn list(items: &[String]) -> Value {
    items.iter().map(String::as_str).map(Value::from).collect()
}

fn text(text: &str) -> Vec<Piece> {
    if text.is_empty() { Vec::new() } else { vec![Piece::Text(text.to_owned())] }
}

fn ask_text(ask: Ask<'_>) -> String {
    [ask.title, ask.language].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// A sign that stands for a text while a template is rendered: private-use characters that occur
/// in none of `texts`. They have no case, are no whitespace and need no escaping, so nothing that
/// a template does to a string changes them. `nth` keeps signs of one rendering apart.
fn sign(texts: &[&str], nth: u32) -> String {
    const OPEN: char = '\u{F0000}';
    const CLOSE: char = '\u{F0001}';
    (0..=u32::MAX)
        .map(|attempt| {
            let number = format!("{attempt}.{nth}");
            let digits = number.chars().filter_map(|c| char::from_u32(0xF_0100 + u32::from(c)));
            [OPEN].into_iter().chain(digits).chain([CLOSE]).collect::<String>()
        })
        .find(|sign| !texts.iter().any(|text| text.contains(sign.as_str())))
        .unwrap_or_default() // unreachable: texts are finite
}

/// A text as pieces, with `piece` where the sign stands.
fn split_at_sign(rendered: &str, sign: &str, piece: &Piece) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (i, part) in rendered.split(sign).enumerate() {
        if i > 0 {
            pieces.push(piece.clone());
        }
        pieces.extend(text(part));
    }
    pieces
}

#[cfg(test)]
mod tests;
