//! Perplexity over a document, so that the effect of sinks and window can be seen.
//!
//! `cargo run --release --example perplexity -- MODEL DOCUMENT N_TOKENS N_LAST [SINKS WINDOW CHUNK]`
//! prints one line: setting, perplexity over the last `N_LAST` of the first `N_TOKENS` tokens and
//! over all of them. Without a setting attention is dense.

use std::path::Path;

use candle_core::{D, DType, Device, Tensor};
use longsum::cache::Layout;
use longsum::document;
use longsum::load::Gguf;
use longsum::model::{Decoder, LanguageModel};
use longsum::stream::Stream;
use longsum::token::Tokenizer;

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<(), AnyError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, text, n_tokens, n_last, rest @ ..] = &args[..] else {
        return Err("usage: perplexity MODEL DOCUMENT N_TOKENS N_LAST [SINKS WINDOW CHUNK]".into());
    };
    let (n_tokens, n_last): (usize, usize) = (n_tokens.parse()?, n_last.parse()?);
    let layout = match rest {
        [s, w, c] => Layout::new(s.parse()?, w.parse()?, c.parse()?)?,
        _ => Layout::new(0, n_tokens, 512)?,
    };
    let gguf = Gguf::open(Path::new(model), DType::F32, &Device::Cpu)?;
    let tokenizer = Tokenizer::from_gguf(&gguf.tokenizer())?;
    let decoder = Decoder::new(gguf.spec.clone(), &gguf, DType::F32, &Device::Cpu)?;
    let document = document::read(Path::new(text))?;
    let mut ids = tokenizer.encode_text(&document.to_read(0..document.text.len()))?;
    ids.truncate(n_tokens);
    if ids.len() < n_tokens || n_last >= n_tokens {
        return Err(format!("the text has {} tokens, {n_tokens} were asked for", ids.len()).into());
    }
    let mut losses: Vec<f32> = Vec::with_capacity(ids.len());
    let mut stream = Stream::new(&decoder as &dyn LanguageModel, layout)?;
    let mut error = None;
    stream.score(&ids, |logits| {
        let from = losses.len();
        match losses_of(&logits, &ids[(from + 1).min(ids.len())..]) {
            Ok(more) => losses.extend(more),
            Err(e) => error = Some(e),
        }
    })?;
    if let Some(error) = error {
        return Err(error);
    }
    losses.truncate(ids.len() - 1);
    let perplexity = |losses: &[f32]| {
        (losses.iter().map(|&l| f64::from(l)).sum::<f64>() / losses.len() as f64).exp()
    };
    println!(
        "sinks {:>3} window {:>5}  last {n_last}: {:.2}  all {}: {:.2}",
        layout.n_sink(),
        layout.n_window(),
        perplexity(&losses[losses.len() - n_last..]),
        losses.len(),
        perplexity(&losses),
    );
    Ok(())
}

/// Minus the log probability of each next token: `[T, V]` logits, the tokens that follow.
fn losses_of(logits: &Tensor, next: &[u32]) -> Result<Vec<f32>, AnyError> {
    let n = logits.dim(0)?.min(next.len());
    let mut losses = if n == 0 {
        Vec::new()
    } else {
        let logits = logits.narrow(0, 0, n)?;
        let ids = Tensor::new(&next[..n], logits.device())?.reshape((n, 1))?;
        let chosen = logits.gather(&ids, D::Minus1)?.squeeze(1)?;
        (logits.log_sum_exp(D::Minus1)? - chosen)?.to_vec1::<f32>()?
    };
    losses.resize(logits.dim(0)?, 0.0); // the very last token has no next one
    Ok(losses)
}
