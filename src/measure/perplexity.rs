//! How surely a model predicts each next token of a text, by what it is allowed to see.

use std::fmt;

use candle_core::{D, Tensor};

use crate::cache::Layout;
use crate::model::{LanguageModel, ModelError};
use crate::stream::Stream;

/// What a token sees of the tokens before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// The first tokens, and the most recent ones with itself: this program's cache.
    Sinks {
        /// Pinned tokens.
        n_sink: usize,
        /// Recent tokens, itself included.
        n_window: usize,
    },
    /// The most recent ones with itself, computed as they came: a cache that forgets its beginning.
    Window {
        /// Recent tokens, itself included.
        n_window: usize,
    },
    /// All of them.
    Dense,
    /// The most recent ones with itself, all computed anew for each token: exact, and slow.
    Recompute {
        /// Recent tokens, itself included.
        n_window: usize,
    },
}

impl Attention {
    /// Tokens that are seen at once; none where that has no limit.
    #[must_use]
    pub fn n_seen(&self) -> Option<usize> {
        match *self {
            Self::Sinks { n_sink, n_window } => Some(n_sink + n_window),
            Self::Window { n_window } | Self::Recompute { n_window } => Some(n_window),
            Self::Dense => None,
        }
    }

    /// Its name: `sinks`, `window`, `dense` or `recompute`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sinks { .. } => "sinks",
            Self::Window { .. } => "window",
            Self::Dense => "dense",
            Self::Recompute { .. } => "recompute",
        }
    }
}

impl fmt::Display for Attention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sinks { n_sink, n_window } => write!(f, "{n_sink} sinks + {n_window}"),
            Self::Window { n_window } => write!(f, "window of {n_window}"),
            Self::Dense => f.write_str("dense"),
            Self::Recompute { n_window } => write!(f, "recompute {n_window}"),
        }
    }
}

/// A token whose prediction was scored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Index of the token in the text.
    pub index: usize,
    /// Minus the logarithm of its probability.
    pub loss: f32,
}

/// Scores the tokens of a text, the first one aside.
///
/// - `n_chunk`: tokens fed at once; the numbers do not depend on it
/// - `every`: with [`Attention::Recompute`], which is slow, only every so many-th token is scored
/// - `seen`: is called with the tokens scored, as they come
///
/// # Errors
/// [`ModelError`] if a token is unknown, or the device fails or has no room.
pub fn losses(
    model: &dyn LanguageModel,
    ids: &[u32],
    attention: Attention,
    n_chunk: usize,
    every: usize,
    seen: &mut dyn FnMut(&[Scored]),
) -> Result<(), ModelError> {
    let layout = |n_sink, n_window| {
        Layout::new(n_sink, n_window, n_chunk).map_err(|e| candle_core::Error::Msg(e.to_string()))
    };
    match attention {
        Attention::Recompute { n_window } => {
            recompute(model, ids, layout(0, n_window)?, every, seen)
        }
        Attention::Sinks { n_sink, n_window } => {
            streamed(model, ids, layout(n_sink, n_window)?, seen)
        }
        Attention::Window { n_window } => streamed(model, ids, layout(0, n_window)?, seen),
        Attention::Dense => streamed(model, ids, layout(0, ids.len().max(1))?, seen),
    }
}

fn streamed(
    model: &dyn LanguageModel,
    ids: &[u32],
    layout: Layout,
    seen: &mut dyn FnMut(&[Scored]),
) -> Result<(), ModelError> {
    let mut stream = Stream::new(model, layout)?;
    let mut at = 0;
    let mut failed = Ok(());
    stream.score(ids, |logits| {
        let n = logits.dims().first().copied().unwrap_or_default();
        let next = &ids[(at + 1).min(ids.len())..(at + 1 + n).min(ids.len())];
        match scored(&logits, next, at + 1) {
            Ok(scored) => seen(&scored),
            Err(e) => failed = Err(e),
        }
        at += n;
    })?;
    Ok(failed?)
}

fn recompute(
    model: &dyn LanguageModel,
    ids: &[u32],
    layout: Layout,
    every: usize,
    seen: &mut dyn FnMut(&[Scored]),
) -> Result<(), ModelError> {
    let mut stream = Stream::new(model, layout)?;
    for index in (1..ids.len()).step_by(every.max(1)) {
        let from = index.saturating_sub(layout.n_window());
        stream.start(0)?;
        let mut last = None;
        // Only the logits behind the last token are wanted, but the window is short.
        stream.feed(&ids[from..index - 1])?;
        stream.score(&ids[index - 1..index], |logits| last = Some(logits))?;
        if let Some(logits) = last {
            seen(&scored(&logits, &ids[index..=index], index)?);
        }
    }
    Ok(())
}

/// - `logits`: `[T, V]`
/// - `next`: the tokens that follow, at most T; the first of them has this index
fn scored(logits: &Tensor, next: &[u32], index: usize) -> Result<Vec<Scored>, candle_core::Error> {
    if next.is_empty() {
        return Ok(Vec::new());
    }
    let logits = logits.narrow(0, 0, next.len())?;
    let ids = Tensor::new(next, logits.device())?.reshape((next.len(), 1))?;
    let chosen = logits.gather(&ids, D::Minus1)?.squeeze(1)?;
    let losses = (logits.log_sum_exp(D::Minus1)? - chosen)?.to_vec1::<f32>()?;
    let one = |(k, loss)| Scored { index: index + k, loss };
    Ok(losses.into_iter().enumerate().map(one).collect())
}

/// The perplexity of tokens with these losses; none of no tokens.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a number of tokens")]
pub fn perplexity(losses: impl IntoIterator<Item = f32>) -> Option<f64> {
    let (mut sum, mut n) = (0.0, 0_usize);
    for loss in losses {
        sum += f64::from(loss);
        n += 1;
    }
    (n > 0).then(|| (sum / n as f64).exp())
}
