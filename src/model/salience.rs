//! What matters: three heads on the states of a decoder that was trained for it.

use std::collections::HashMap;

use candle_core::{DType, Tensor};

use super::ModelError;

/// The heads. One looks at the state of a word's last token, one at that of a sentence's; the third
/// compares a sentence's with the one of the token that ends the chunk, and so has seen what comes
/// after it too.
pub struct Salience {
    n_embd: usize,
    word: Affine,
    last: Affine,
    sentence: Affine,
    chunk: Affine,
}

/// `[R, C]` weights and `[R]` biases.
struct Affine {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// What the heads say of a sentence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// Of each of its words: log-odds that it stands in the summary.
    pub words: Vec<f32>,
    /// From its last token.
    pub last: f32,
    /// From the comparison with its chunk.
    pub chunk: f32,
}

/// Tokens at which a sentence ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ends {
    /// The last token of each word.
    pub words: Vec<usize>,
    /// The token after the sentence, which tells its kind.
    pub mark: usize,
}

impl Salience {
    /// From tensors named `word`, `last`, `sentence` and `chunk`, each with `.weight` and `.bias`.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] naming the one that is missing or of another shape.
    pub fn new(tensors: &HashMap<String, Tensor>, n_embd: usize) -> Result<Self, ModelError> {
        let affine = |name: &str, n_rows: usize| -> Result<Affine, ModelError> {
            let get = |part: &str, shape: &[usize]| -> Result<Vec<f32>, ModelError> {
                let key = format!("{name}.{part}");
                let tensor = tensors.get(&key).filter(|t| t.dims() == shape).ok_or_else(|| {
                    candle_core::Error::Msg(format!("no tensor `{key}` of the shape {shape:?}"))
                })?;
                Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
            };
            Ok(Affine { weight: get("weight", &[n_rows, n_embd])?, bias: get("bias", &[n_rows])? })
        };
        let n_head = tensors.get("chunk.bias").and_then(|t| t.dims().first().copied()).unwrap_or(0);
        Ok(Self {
            n_embd,
            word: affine("word", 1)?,
            last: affine("last", 1)?,
            sentence: affine("sentence", n_head)?,
            chunk: affine("chunk", n_head)?,
        })
    }

    /// Scores the sentences of a chunk.
    ///
    /// - `states`: `[T, C]` of the chunk's tokens, its end included
    /// - `ends`: where in them each sentence and each of its words end
    ///
    /// # Errors
    /// [`ModelError::Tensor`] if the states have another width or an end lies outside.
    pub fn score(&self, states: &Tensor, ends: &[Ends]) -> Result<Vec<Scores>, ModelError> {
        let (n_tokens, width) = states.dims2()?;
        let mut places = ends.iter().flat_map(|e| e.words.iter().chain([&e.mark]));
        if width != self.n_embd || n_tokens == 0 || places.any(|&place| place >= n_tokens) {
            return Err(candle_core::Error::Msg("states of another shape".to_owned()).into());
        }
        let states: Vec<f32> = states.flatten_all()?.to_vec1()?;
        let row = |t: usize| &states[t * width..(t + 1) * width];
        let about = self.chunk.apply(row(n_tokens - 1));
        #[expect(clippy::cast_precision_loss, reason = "the width of a head")]
        let scale = 1.0 / (about.len() as f32).sqrt();
        let one = |ends: &Ends| {
            let sentence = self.sentence.apply(row(ends.mark));
            let product: f32 = sentence.iter().zip(&about).map(|(a, b)| a * b).sum();
            Scores {
                words: ends.words.iter().map(|&word| self.word.apply(row(word))[0]).collect(),
                last: self.last.apply(row(ends.mark))[0],
                chunk: product * scale,
            }
        };
        Ok(ends.iter().map(one).collect())
    }
}

impl Affine {
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let rows = self.weight.chunks_exact(x.len()).zip(&self.bias);
        rows.map(|(w, b)| b + w.iter().zip(x).map(|(w, x)| w * x).sum::<f32>()).collect()
    }
}
