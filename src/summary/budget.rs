//! How many tokens each prompt and each reply may have, decided before anything is fed.

use std::num::NonZeroUsize;

use super::evidence::NEUTRAL;
use super::{Options, Reader, SummaryError};
use crate::cache::Layout;
use crate::prompt::{self, Ask};

/// Tokens of text between two notes, where nothing else is asked for.
const N_CHUNK: usize = 1024;
/// Tokens of one reply, where the window allows.
const N_REPLY: usize = 192;
/// A reply takes at most one part of so many of the window.
const REPLY_PART: usize = 6;
/// Fewer tokens of text than this at once are not worth a question.
const N_LEAST_TEXT: usize = 32;
/// Tokens in which a part of the final summary can say something.
pub const N_LEAST_FINAL: usize = 48;
/// Room for bullets, line ends and headings around notes.
const N_LEAST_NOTES: usize = 64;
/// What sentences quoted as evidence may take of the room for notes: one part in so many.
const EVIDENCE_PART: usize = 3;

/// The shape of the stream, and what goes into it.
#[derive(Debug, Clone)]
pub struct Budget {
    /// Shape of the cache.
    pub layout: Layout,
    /// Most tokens of text between two notes.
    pub n_text: NonZeroUsize,
    /// Most tokens of the notes on a chunk, and of a merge.
    pub n_reply: usize,
    /// Most tokens of the rolling summary.
    pub n_rolling: usize,
    /// Most tokens of one part of the final summary.
    pub n_final: usize,
    /// Tokens of the longest of the prompts that take notes, without the notes.
    n_asking: usize,
    /// Tokens of the passage that follows a reply to tell what it looked at.
    n_neutral: usize,
}

/// Lengths in tokens that no option changes.
struct Lengths {
    /// Before the text, without a rolling summary.
    n_prefix: usize,
    /// Behind the text.
    n_suffix: usize,
    n_asking: usize,
    n_neutral: usize,
}

impl Budget {
    /// Fits prompts, replies and text into what the options and the model allow.
    pub fn new(reader: &Reader<'_>, options: &Options, ask: Ask<'_>) -> Result<Self, SummaryError> {
        let context = reader.model.spec().context;
        let prompt = options.prompts.notes(reader.chat, "-", ask)?;
        let (prefix, suffix) = prompt.encode(reader.tokenizer)?;
        // What a reply looked at is told from a neutral passage behind it.
        let n_neutral = reader.tokenizer.count(NEUTRAL);
        let lengths = Lengths {
            n_prefix: prefix.len(),
            n_suffix: suffix.len(),
            n_asking: asking(reader, options, ask)? + n_neutral,
            n_neutral,
        };
        match Self::fit(&lengths, options, options.n_window, context) {
            Err(SummaryError::WindowTooSmall { n_window, n_needed }) => {
                // Replies grow with the window, so what is lacking is not what has to be added; and a
                // window at which they grow may do less well than the one before it.
                let fits = |n: usize| Self::fit(&lengths, options, Some(n), context).is_ok();
                let does = |&n: &usize| (n..=context.min(n + REPLY_PART)).all(fits);
                if options.n_window.is_none()
                    && let Some(n) = (1..=context).rev().find(|&n| fits(n))
                {
                    return Self::fit(&lengths, options, Some(n), context);
                }
                let n_sink = options.n_sink.unwrap_or(lengths.n_prefix + N_REPLY.min(context));
                Err(match (n_window + 1..=context).find(does) {
                    Some(n_needed) => SummaryError::WindowTooSmall { n_window, n_needed },
                    None => SummaryError::BeyondContext {
                        n_sink,
                        n_window: n_needed.max((context + 1).saturating_sub(n_sink)),
                        context,
                    },
                })
            }
            other => other,
        }
    }

    fn fit(
        lengths: &Lengths,
        options: &Options,
        n_window: Option<usize>,
        context: usize,
    ) -> Result<Self, SummaryError> {
        let &Lengths { n_prefix, n_suffix, n_asking, n_neutral } = lengths;
        // A short window gets short replies, so that some of it is left for text.
        let n_room = n_window.unwrap_or(context).min(context);
        let n_reply = N_REPLY.min(n_room / REPLY_PART).max(16);
        let n_rolling = n_reply;

        let n_prefix = n_prefix + n_rolling;
        let n_sink = options.n_sink.unwrap_or(n_prefix);
        // What is not pinned of the prefix has to fit the window, with the question and the reply.
        let n_around = n_prefix.saturating_sub(n_sink) + n_suffix + n_reply + n_neutral;
        let n_least = n_around + N_LEAST_TEXT;
        let n_most = n_window.unwrap_or(context.saturating_sub(n_sink));
        if n_sink.saturating_add(n_least) > context {
            return Err(SummaryError::BeyondContext { n_sink, n_window: n_least, context });
        }
        if n_most < n_least {
            return Err(SummaryError::WindowTooSmall { n_window: n_most, n_needed: n_least });
        }
        let n_chunk = match options.n_chunk {
            Some(n) => n.min(context),
            None => N_CHUNK.min(n_most - n_around),
        };
        let n_window = n_window.unwrap_or(n_chunk + n_around);
        let n_seen = n_sink.saturating_add(n_window);
        if n_seen > context {
            return Err(SummaryError::BeyondContext { n_sink, n_window, context });
        }
        let layout = Layout::new(n_sink, n_window, n_chunk)?;
        // Less than a sentence is not worth a question, however little is fed at once.
        let n_text = n_chunk.max(N_LEAST_TEXT).min(n_window - n_around);
        let n_text = NonZeroUsize::new(n_text).unwrap_or(NonZeroUsize::MIN);

        // Rolling takes the old summary and the notes in; merging takes no less.
        let n_notes = 3 * n_reply + N_LEAST_NOTES;
        let n_needed = n_asking + n_notes + n_reply.max(N_LEAST_FINAL);
        if n_seen < n_needed {
            let n_needed = n_window + n_needed - n_seen;
            return Err(SummaryError::WindowTooSmall { n_window, n_needed });
        }
        // Two tokens a word leave room for names and numbers.
        let n_final = (2 * options.n_words).max(N_LEAST_FINAL).min(n_seen - n_asking - n_notes);
        Ok(Self { layout, n_text, n_reply, n_rolling, n_final, n_asking, n_neutral })
    }

    /// Tokens of notes that one prompt can take when its reply has at most `n_reply` tokens: all of
    /// it is seen at once.
    #[must_use]
    pub fn room(&self, n_reply: usize) -> usize {
        self.n_seen().saturating_sub(n_reply + self.n_asking)
    }

    /// Tokens of [`Budget::room`] that notes alone may take, so that some is left for the sentences
    /// they rest on.
    #[must_use]
    pub fn room_for_notes(&self, n_reply: usize) -> usize {
        let n_room = self.room(n_reply);
        n_room - n_room / EVIDENCE_PART
    }

    /// Tokens that are seen at once.
    #[must_use]
    pub fn n_seen(&self) -> usize {
        self.layout.n_sink() + self.layout.n_window()
    }

    /// Whether a prompt and its reply are seen at once, with what follows them.
    #[must_use]
    pub fn fits(&self, n_prompt: usize, n_reply: usize) -> bool {
        n_prompt + n_reply + self.n_neutral <= self.n_seen()
    }

    /// Words that so many tokens hold, a little less than there is room for.
    #[must_use]
    pub fn words(n_tokens: usize) -> usize {
        (n_tokens / 2).max(8)
    }
}

/// Tokens of the longest of the prompts that take notes, without the notes.
fn asking(reader: &Reader<'_>, options: &Options, ask: Ask<'_>) -> Result<usize, SummaryError> {
    let (prompts, chat) = (&options.prompts, reader.chat);
    let note = ["-".to_owned()];
    let asked = [
        prompts.roll(chat, "-", &note, ask)?,
        prompts.merge(chat, &[note.to_vec(), note.to_vec()], &[], ask)?,
        prompts.finish(chat, &note, &[], ask)?,
    ];
    let mut n_most = 0;
    for pieces in asked {
        n_most = n_most.max(prompt::encode(&pieces, reader.tokenizer)?.len());
    }
    Ok(n_most)
}
