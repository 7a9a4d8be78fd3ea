//! A matrix of weights, in whichever form the file has it.

use std::cell::RefCell;
use std::sync::Arc;

use candle_core::quantized::QMatMul;
use candle_core::{DType, Device, Module, Result, Tensor};

use super::ops::on_cpu;
use super::packed::{self, Activations, PackedMatrix};

/// `y = x Wᵀ + b`.
#[derive(Clone)]
pub struct Linear {
    weight: Weight,
    /// `[out]`.
    bias: Option<Tensor>,
}

#[derive(Clone)]
enum Weight {
    /// `[out, in]`.
    Dense(Tensor),
    /// Quantized blocks, multiplied by candle: other devices, rare formats.
    Quantized(QMatMul),
    /// Quantized blocks on the CPU, multiplied as integers.
    Packed(Arc<PackedMatrix>),
}

thread_local! {
    /// The quantized input of the product at hand; kept for its memory.
    static ACTIVATIONS: RefCell<Activations> = RefCell::new(Activations::new());
}

impl Linear {
    /// From plain numbers, `[out, in]`.
    #[must_use]
    pub fn dense(weight: Tensor) -> Self {
        Self { weight: Weight::Dense(weight), bias: None }
    }

    /// From quantized blocks in candle's hands, `[out, in]`.
    #[must_use]
    pub fn quantized(weight: QMatMul) -> Self {
        Self { weight: Weight::Quantized(weight), bias: None }
    }

    /// From quantized blocks for the CPU, `[out, in]`.
    #[must_use]
    pub fn packed(weight: PackedMatrix) -> Self {
        Self { weight: Weight::Packed(Arc::new(weight)), bias: None }
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
        let [y] = Self::forward_many([self], x)?;
        Ok(y)
    }

    /// Several matrices with the same input: packed ones share its quantization and one dispatch.
    ///
    /// # Errors
    /// If the widths do not match or the device fails.
    pub fn forward_many<const N: usize>(layers: [&Self; N], x: &Tensor) -> Result<[Tensor; N]> {
        let packed = layers.map(|l| match &l.weight {
            Weight::Packed(w) => Some(&**w),
            Weight::Dense(_) | Weight::Quantized(_) => None,
        });
        let outs: Vec<Tensor> = if packed.iter().all(Option::is_some) {
            multiply_packed(&packed.into_iter().flatten().collect::<Vec<_>>(), x)?
        } else {
            layers.iter().map(|l| l.multiply(x)).collect::<Result<_>>()?
        };
        let outs = outs
            .into_iter()
            .zip(layers)
            .map(|(y, l)| match &l.bias {
                Some(bias) => y.broadcast_add(bias),
                None => Ok(y),
            })
            .collect::<Result<Vec<_>>>()?;
        outs.try_into().map_err(|_| candle_core::Error::Msg("as many outputs as matrices".into()))
    }

    fn multiply(&self, x: &Tensor) -> Result<Tensor> {
        match &self.weight {
            Weight::Dense(w) => x.matmul(&w.t()?),
            Weight::Quantized(w) => w.forward(&x.to_dtype(DType::F32)?)?.to_dtype(x.dtype()),
            Weight::Packed(w) => Ok(multiply_packed(&[w], x)?.swap_remove(0)),
        }
    }

    /// Rows of the matrix: the embeddings of tokens, `[T, in]` in `dtype`.
    ///
    /// # Errors
    /// If an id lies outside the vocabulary or the device fails.
    pub fn rows(&self, ids: &[u32], dtype: DType) -> Result<Tensor> {
        match &self.weight {
            Weight::Dense(w) => w.embedding(&Tensor::new(ids, w.device())?)?.to_dtype(dtype),
            Weight::Quantized(w) => w.embedding(&Tensor::new(ids, &Device::Cpu)?)?.to_dtype(dtype),
            Weight::Packed(w) => {
                let mut rows = vec![0f32; ids.len() * w.n_cols()];
                for (&id, row) in ids.iter().zip(rows.chunks_exact_mut(w.n_cols())) {
                    if id as usize >= w.n_rows() {
                        candle_core::bail!(
                            "token {id} has no row in an embedding of {}",
                            w.n_rows()
                        );
                    }
                    w.row_into(id as usize, row);
                }
                Tensor::from_vec(rows, (ids.len(), w.n_cols()), &Device::Cpu)?.to_dtype(dtype)
            }
        }
    }
}

/// Multiplies one input with several packed matrices: `[T, in]` to one `[T, out]` each.
fn multiply_packed(matrices: &[&PackedMatrix], x: &Tensor) -> Result<Vec<Tensor>> {
    let (n_tokens, n_cols) = x.dims2()?;
    if let Some(w) = matrices.iter().find(|w| w.n_cols() != n_cols) {
        candle_core::bail!("a row of {n_cols} numbers for a matrix of {} columns", w.n_cols());
    }
    let x = x.contiguous()?;
    let Some(data) = on_cpu(&x)? else { candle_core::bail!("packed weights need f32 on the CPU") };
    let mut outs: Vec<Vec<f32>> =
        matrices.iter().map(|w| vec![0f32; n_tokens * w.n_rows()]).collect();
    ACTIVATIONS.with_borrow_mut(|activations| {
        activations.quantize(&data, n_tokens, n_cols);
        let mut slices: Vec<&mut [f32]> = outs.iter_mut().map(Vec::as_mut_slice).collect();
        packed::matmul(matrices, activations, &mut slices);
    });
    let outs = outs.into_iter().zip(matrices);
    outs.map(|(out, w)| Tensor::from_vec(out, (n_tokens, w.n_rows()), &Device::Cpu)).collect()
}
