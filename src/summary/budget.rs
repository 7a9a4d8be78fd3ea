//! How many tokens each prompt and each reply may have, decided before anything is fed.

use std::num::NonZeroUsize;

use super::{Options, Reader, SummaryError};
use crate::cache::Layout;
use crate::prompt::Ask;

/// Tokens of text between two notes, where nothing else is asked for.
const N_CHUNK: usize = 1024;
/// Tokens of one reply, where the window allows.
const N_REPLY: usize = 192;
/// Fewer tokens of text than this at once are not worth a question.
const N_LEAST_TEXT: usize = 32;

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
    /// Most tokens of the final summary.
    pub n_final: usize,
}

impl Budget {
    /// Fits prompts, replies and text into what the options and the model allow.
    pub fn new(reader: &Reader<'_>, options: &Options, ask: Ask<'_>) -> Result<Self, SummaryError> {
        let context = reader.model.spec().context;
        // A short window gets short replies, so that some of it is left for text.
        let n_room = options.n_window.unwrap_or(context).min(context);
        let n_reply = N_REPLY.min(n_room / 6).max(16);
        let n_rolling = n_reply;

        let prompt = options.prompts.notes(reader.chat, "-", ask)?;
        let (prefix, suffix) = prompt.encode(reader.tokenizer)?;
        let n_prefix = prefix.len() + n_rolling;
        let n_sink = options.n_sink.unwrap_or(n_prefix);
        // What is not pinned of the prefix has to fit the window, with the question and the reply.
        let n_around = n_prefix.saturating_sub(n_sink) + suffix.len() + n_reply;
        let n_least = n_around + N_LEAST_TEXT;
        let n_most = match options.n_window {
            Some(n_window) => n_window,
            None => context.saturating_sub(n_sink),
        };
        if n_most < n_least {
            return Err(SummaryError::WindowTooSmall { n_window: n_most, n_needed: n_least });
        }
        let n_chunk = options.n_chunk.unwrap_or_else(|| N_CHUNK.min(n_most - n_around));
        let n_window = options.n_window.unwrap_or(n_chunk + n_around);
        if n_sink + n_window > context {
            return Err(SummaryError::BeyondContext { n_sink, n_window, context });
        }
        let layout = Layout::new(n_sink, n_window, n_chunk)?;
        let n_text =
            NonZeroUsize::new(n_chunk.min(n_window - n_around)).unwrap_or(NonZeroUsize::MIN);
        // Two tokens a word leave room for names and numbers.
        let n_final = (2 * options.n_words).clamp(32, (n_sink + n_window) / 2);
        Ok(Self { layout, n_text, n_reply, n_rolling, n_final })
    }

    /// Most tokens a prompt may have whose reply has at most `n_reply`: both are seen at once.
    #[must_use]
    pub fn n_prompt(&self, n_reply: usize) -> usize {
        (self.layout.n_sink() + self.layout.n_window()).saturating_sub(n_reply)
    }

    /// Words that so many tokens hold, a little less than there is room for.
    #[must_use]
    pub fn words(n_tokens: usize) -> usize {
        (n_tokens / 2).max(8)
    }
}
