//! A model's own chat template, rendered around messages that it never sees.

use minijinja::{Environment, Error, ErrorKind, Value, context};

use super::{FUEL, Piece, PromptError, reason, sign, trimmed};
use crate::token::{Part, Tokenizer};

/// What the chat template is called in errors.
pub(super) const FILE: &str = "chat template";

/// What a template is told when it insists on the date: the same summary today and tomorrow.
const NO_DATE: &str = "2000-01-01";

/// How a model wants its turns marked: the Jinja template that it brings along, or plain text for
/// a model that was never taught to chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatTemplate {
    /// Empty for plain text.
    source: String,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// Takes the template of a `tokenizer_config.json`, a `chat_template.jinja` or the GGUF key
    /// `tokenizer.chat_template`, with the spelling of the tokens it may write.
    ///
    /// Understood are the constructs that Hugging Face's engine offers: Python's string and dict
    /// methods, `raise_exception`, `break` and `continue`, `namespace`, `tojson`, slices, and
    /// `generation` tags (passed over). `strftime_now` is not defined, as no output may depend on
    /// the date; a template that cannot do without gets a fixed one.
    ///
    /// # Errors
    /// [`PromptError::Syntax`] if it is not valid Jinja; [`PromptError::Render`] and
    /// [`PromptError::Times`] if it cannot carry a single message.
    pub fn new(source: &str, bos: &str, eos: &str) -> Result<Self, PromptError> {
        let template =
            Self { source: without_generation_tags(source), bos: bos.into(), eos: eos.into() };
        environment(false).template_from_named_str(FILE, &template.source).map_err(|err| {
            PromptError::Syntax {
                file: FILE.into(),
                line: err.line().unwrap_or(1),
                reason: reason(&err),
            }
        })?;
        template.render(&[], &[Piece::Text("a".into())], &[])?;
        Ok(template)
    }

    /// The layout for a model without a chat template: paragraphs, and a cue to go on from.
    #[must_use]
    pub fn plain() -> Self {
        Self { source: String::new(), bos: String::new(), eos: String::new() }
    }

    /// Whether this is [`Self::plain`].
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.source.is_empty()
    }

    /// The Jinja source; empty for [`Self::plain`].
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// One exchange up to where the model begins to write.
    ///
    /// A template that knows no system message gets it as the opening of the user's. `cue` is
    /// written only in the plain layout.
    ///
    /// # Errors
    /// [`PromptError::Render`] if the template fails; [`PromptError::Times`] if it leaves the
    /// message out or writes it twice.
    pub fn render(
        &self,
        system: &[Piece],
        user: &[Piece],
        cue: &[Piece],
    ) -> Result<Vec<Piece>, PromptError> {
        if self.is_plain() {
            let mut pieces = paragraphs(&[system, user, cue]);
            pieces.push(Piece::Text("\n".into())); // the reply is a paragraph of its own
            return Ok(pieces);
        }
        let [system_sign, user_sign] = self.signs();
        let user_message = message("user", &user_sign);
        if !system.is_empty()
            && let Ok(rendered) = self
                .render_messages(vec![message("system", &system_sign), user_message.clone()], true)
            && rendered.matches(&system_sign).count() == 1
            && rendered.matches(&user_sign).count() == 1
        {
            return Ok(fill(&rendered, &[(&system_sign, system), (&user_sign, user)]));
        }
        let rendered = self.render_messages(vec![user_message], true)?;
        let n_times = rendered.matches(&user_sign).count();
        if n_times != 1 {
            return Err(PromptError::Times { file: FILE.into(), what: "the message", n_times });
        }
        Ok(fill(&rendered, &[(&user_sign, &paragraphs(&[system, user]))]))
    }

    /// The token with which the template closes the model's own turn: where to stop generating.
    #[must_use]
    pub fn end_of_turn(&self, tokenizer: &Tokenizer) -> Option<u32> {
        if self.is_plain() {
            return None;
        }
        let [user, assistant] = self.signs();
        let messages = vec![message("user", &user), message("assistant", &assistant)];
        let rendered = self.render_messages(messages, false).ok()?;
        let (_, closing) = rendered.rsplit_once(&assistant)?;
        tokenizer.parts(closing).into_iter().find_map(|part| match part {
            Part::Special(id) => Some(id),
            Part::Plain(_) => None,
        })
    }

    fn signs(&self) -> [String; 2] {
        let texts = [self.source.as_str(), &self.bos, &self.eos];
        [sign(&texts, 0), sign(&texts, 1)]
    }

    fn render_messages(&self, messages: Vec<Value>, open: bool) -> Result<String, PromptError> {
        let values = context! {
            messages => messages,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
            add_generation_prompt => open,
            enable_thinking => false,
            tools => (),
            documents => (),
        };
        let render = |with_date| {
            let env = environment(with_date);
            env.template_from_named_str(FILE, &self.source)?.render(values.clone())
        };
        render(false)
            .or_else(
                |err| if self.source.contains("strftime_now") { render(true) } else { Err(err) },
            )
            .map_err(|err| PromptError::Render {
                file: FILE.into(),
                line: err.line().unwrap_or(1),
                reason: reason(&err),
            })
    }
}

/// Set up as Hugging Face does it, so that templates written for it give the same text.
fn environment(with_date: bool) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_syntax(trimmed());
    env.set_fuel(Some(FUEL));
    env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    env.add_function("raise_exception", |reason: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, reason))
    });
    if with_date {
        env.add_function("strftime_now", |_format: String| NO_DATE);
    }
    env
}

fn message(role: &str, content: &str) -> Value {
    context! { role => role, content => content }
}

/// The non-empty parts with a blank line between.
fn paragraphs(parts: &[&[Piece]]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        if !pieces.is_empty() {
            pieces.push(Piece::Text("\n\n".into()));
        }
        pieces.extend_from_slice(part);
    }
    pieces
}

/// Rendered markup with the signs replaced by what they stand for. Each occurs once.
fn fill(rendered: &str, signs: &[(&str, &[Piece])]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = rendered;
    loop {
        let next = signs.iter().filter_map(|(sign, fill)| Some((rest.find(sign)?, *sign, *fill)));
        let Some((start, sign, fill)) = next.min_by_key(|(start, _, _)| *start) else { break };
        if start > 0 {
            pieces.push(Piece::Markup(rest[..start].into()));
        }
        pieces.extend_from_slice(fill);
        rest = &rest[start + sign.len()..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Markup(rest.into()));
    }
    pieces
}

/// The source without `{% generation %}` and `{% endgeneration %}`: they mark what to train on,
/// and only Hugging Face's engine knows them. Line breaks in the source keep their number.
fn without_generation_tags(source: &str) -> String {
    let mut kept = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(end) = rest[start..].find("%}").map(|end| start + end + 2) else { break };
        let tag = rest[start + 2..end - 2].trim_matches(['-', '+']).trim();
        if matches!(tag, "generation" | "endgeneration") {
            // An empty comment strips whitespace just as the tag did.
            let minus = |there: bool| if there { "-" } else { "" };
            let (left, right) =
                (rest[start + 2..].starts_with('-'), rest[..end - 2].ends_with('-'));
            kept.push_str(&rest[..start]);
            kept.extend(["{#", minus(left), "  ", minus(right), "#}"]);
        } else {
            kept.push_str(&rest[..end]);
        }
        rest = &rest[end..];
    }
    kept.push_str(rest);
    kept
}
