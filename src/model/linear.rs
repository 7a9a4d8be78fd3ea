//! A matrix of weights, in whichever form the file has it.

use candle_core::quantized::QMatMul;
use candle_core::{DType, Module, Result, Tensor};

/// `y = x Wᵀ + b`.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Weight,
    /// `[out]`.
    bias: Option<Tensor>,
}

#[derive(Debug, Clone)]
enum Weight {
    /// `[out, in]`.
    Dense(Tensor),
    /// Quantized blocks, multiplied by candle.
    Quantized(QMatMul),
}

impl Linear {
    /// From plain numbers, `[out, in]`.
    #[must_use]
    pub fn dense(weight: Tensor) -> Self {
        Self { weight: Weight::Dense(weight), bias: None }
    }

    /// From quantized blocks, `[out, in]`.
    #[must_use]
    pub fn quantized(weight: QMatMul) -> Self {
        Self { weight: Weight::Quantized(weight), bias: None }
    }

    /// The same with a bias, `[out]`.
    #[must_use]
    pub fn with_bias(self, bias: Option<Tensor>) -> Self {
        Self { bias, ..self }
    }

    /// `[T, in]` to `[T, out]`.
    ///
    /// # Errors
    /// If the widths do not match or the device fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = match &self.weight {
            Weight::Dense(w) => x.matmul(&w.t()?)?,
            Weight::Quantized(w) => w.forward(&x.to_dtype(DType::F32)?)?.to_dtype(x.dtype())?,
        };
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }

    /// Several matrices with the same input.
    ///
    /// # Errors
    /// If the widths do not match or the device fails.
    pub fn forward_many<const N: usize>(layers: [&Self; N], x: &Tensor) -> Result<[Tensor; N]> {
        let outs = layers.iter().map(|l| l.forward(x)).collect::<Result<Vec<_>>>()?;
        outs.try_into().map_err(|_| candle_core::Error::Msg("as many outputs as inputs".into()))
    }

    /// Rows of the matrix: the embeddings of tokens, `[T, in]` in `dtype`.
    ///
    /// # Errors
    /// If an id lies outside the vocabulary or the device fails.
    pub fn rows(&self, ids: &[u32], dtype: DType) -> Result<Tensor> {
        match &self.weight {
            Weight::Dense(w) => {
                let ids = Tensor::new(ids, w.device())?;
                w.embedding(&ids)?.to_dtype(dtype)
            }
            Weight::Quantized(w) => {
                let ids = Tensor::new(ids, &candle_core::Device::Cpu)?;
                w.embedding(&ids)?.to_dtype(dtype)
            }
        }
    }
}
